//! Every structure of this crate against the `libc` and `linux-raw-sys` crates: size, and the offset of each field.

use std::mem::offset_of;

/// Asserts equal sizes, and equal offsets of the named fields (`ours => theirs` where the names differ).
macro_rules! same_layout {
    ($ours:ty = $theirs:path: $($field:ident $(=> $other:ident)?),*) => {
        assert_eq!(size_of::<$ours>(), size_of::<$theirs>(), "size of {}", stringify!($ours));
        $(assert_eq!(
            offset_of!($ours, $field),
            same_layout!(@offset $theirs, $field $(, $other)?),
            "{}.{}", stringify!($ours), stringify!($field)
        );)*
    };
    (@offset $theirs:ty, $field:ident) => { offset_of!($theirs, $field) };
    (@offset $theirs:ty, $field:ident, $other:ident) => { offset_of!($theirs, $other) };
}

#[test]
fn time_structures_are_those_of_linux() {
    use abi::time::*;
    same_layout!(Timespec = libc::timespec: tv_sec, tv_nsec);
    same_layout!(Timeval = libc::timeval: tv_sec, tv_usec);
    same_layout!(Itimerspec = libc::itimerspec: it_interval, it_value);
    same_layout!(Itimerval = libc::itimerval: it_interval, it_value);
    same_layout!(Timezone = linux_raw_sys::general::timezone: tz_minuteswest, tz_dsttime);
    same_layout!(Utimbuf = libc::utimbuf: actime, modtime);
    same_layout!(Tms = libc::tms: tms_utime, tms_stime, tms_cutime, tms_cstime);
    same_layout!(Timex = libc::timex:
        modes, offset, freq, maxerror, esterror, status, constant, precision, tolerance, time, tick, ppsfreq,
        jitter, shift, stabil, jitcnt, calcnt, errcnt, stbcnt, tai
    );
}

#[test]
fn file_structures_are_those_of_linux() {
    use abi::{fcntl::*, stat::*, uio::*};
    same_layout!(Stat = libc::stat:
        st_dev, st_ino, st_nlink, st_mode, st_uid, st_gid, st_rdev, st_size, st_blksize, st_blocks, st_atime,
        st_atime_nsec, st_mtime, st_mtime_nsec, st_ctime, st_ctime_nsec
    );
    same_layout!(StatxTimestamp = libc::statx_timestamp: tv_sec, tv_nsec);
    same_layout!(Statx = libc::statx:
        stx_mask, stx_blksize, stx_attributes, stx_nlink, stx_uid, stx_gid, stx_mode, stx_ino, stx_size,
        stx_blocks, stx_attributes_mask, stx_atime, stx_btime, stx_ctime, stx_mtime, stx_rdev_major,
        stx_rdev_minor, stx_dev_major, stx_dev_minor, stx_mnt_id, stx_dio_mem_align, stx_dio_offset_align
    );
    same_layout!(Statfs = linux_raw_sys::general::statfs64:
        f_type, f_bsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_fsid, f_namelen, f_frsize, f_flags
    );
    same_layout!(Iovec = libc::iovec: iov_base, iov_len);
    same_layout!(OpenHow = libc::open_how: flags, mode, resolve);
    same_layout!(Flock = libc::flock: l_type, l_whence, l_start, l_len, l_pid);
    same_layout!(FOwnerEx = linux_raw_sys::general::f_owner_ex: r#type => type_, pid);
    assert_eq!(size_of::<Dirent64Header>(), offset_of!(libc::dirent64, d_name));
    assert_eq!(offset_of!(Dirent64Header, d_off), offset_of!(libc::dirent64, d_off));
    assert_eq!(offset_of!(Dirent64Header, d_reclen), offset_of!(libc::dirent64, d_reclen));
    assert_eq!(offset_of!(Dirent64Header, d_type), offset_of!(libc::dirent64, d_type));
    for (major, minor) in [(0, 0), (1, 3), (8, 511), (4095, 1 << 19), (5000, 256)] {
        let dev = makedev(major, minor);
        assert_eq!(dev, libc::makedev(major, minor));
        assert_eq!((abi::stat::major(dev), abi::stat::minor(dev)), (major, minor));
    }
}

#[test]
fn a_directory_entry_fills_a_multiple_of_eight_bytes() {
    use abi::fcntl::Dirent64Header;
    for (name_bytes, reclen) in [(1, 24), (4, 24), (5, 32), (255, 280)] {
        let header = Dirent64Header::new(1, 2, name_bytes, 8).expect("the name is short");
        assert_eq!(header.reclen(), reclen);
    }
}

#[test]
fn process_structures_are_those_of_linux() {
    use abi::{futex::*, prctl::*, resource::*, sched::*, utsname::*};
    use linux_raw_sys::general as raw;
    same_layout!(CloneArgs = raw::clone_args:
        flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
        cgroup
    );
    same_layout!(SchedParam = libc::sched_param: sched_priority);
    // The C library has the first 48 bytes.
    assert_eq!(size_of::<libc::sched_attr>(), usize::try_from(SCHED_ATTR_SIZE_VER0).expect("small"));
    assert_eq!(size_of::<SchedAttr>(), usize::try_from(SCHED_ATTR_SIZE_VER1).expect("small"));
    assert_eq!(offset_of!(SchedAttr, sched_nice), offset_of!(libc::sched_attr, sched_nice));
    assert_eq!(offset_of!(SchedAttr, sched_period), offset_of!(libc::sched_attr, sched_period));
    same_layout!(RobustList = raw::robust_list: next);
    same_layout!(RobustListHead = raw::robust_list_head: list, futex_offset, list_op_pending);
    same_layout!(FutexWaitv = raw::futex_waitv: val, uaddr, flags, __reserved);
    same_layout!(Rlimit = libc::rlimit64: rlim_cur, rlim_max);
    // The C library keeps room behind.
    assert_eq!(offset_of!(Rusage, ru_maxrss), offset_of!(libc::rusage, ru_maxrss));
    assert_eq!(offset_of!(Rusage, ru_nivcsw), offset_of!(libc::rusage, ru_nivcsw));
    assert_eq!(size_of::<Rusage>(), size_of::<linux_raw_sys::general::rusage>());
    same_layout!(Sysinfo = libc::sysinfo:
        uptime, loads, totalram, freeram, sharedram, bufferram, totalswap, freeswap, procs, totalhigh,
        freehigh, mem_unit
    );
    same_layout!(NewUtsname = libc::utsname: sysname, nodename, release, version, machine, domainname);
    same_layout!(CapHeader = raw::__user_cap_header_struct: version, pid);
    same_layout!(CapData = raw::__user_cap_data_struct: effective, permitted, inheritable);
}

#[test]
fn signal_structures_are_those_of_linux() {
    use abi::{signal::*, ucontext::*};
    use linux_raw_sys::general as raw;
    same_layout!(SigAction = raw::kernel_sigaction: sa_handler => sa_handler_kernel, sa_flags, sa_restorer, sa_mask);
    same_layout!(StackT = libc::stack_t: ss_sp, ss_flags, ss_size);
    same_layout!(SigEvent = libc::sigevent: sigev_value, sigev_signo, sigev_notify, sigev_notify_thread_id);
    same_layout!(SigInfo = libc::siginfo_t: si_signo, si_errno, si_code);
    assert_eq!(size_of::<SigContext>(), 256);
    let gregs = offset_of!(libc::ucontext_t, uc_mcontext);
    for (ours, index) in [
        (offset_of!(SigContext, r8), libc::REG_R8),
        (offset_of!(SigContext, r15), libc::REG_R15),
        (offset_of!(SigContext, rdi), libc::REG_RDI),
        (offset_of!(SigContext, rbx), libc::REG_RBX),
        (offset_of!(SigContext, rax), libc::REG_RAX),
        (offset_of!(SigContext, rsp), libc::REG_RSP),
        (offset_of!(SigContext, rip), libc::REG_RIP),
        (offset_of!(SigContext, eflags), libc::REG_EFL),
        (offset_of!(SigContext, cs), libc::REG_CSGSFS),
        (offset_of!(SigContext, err), libc::REG_ERR),
        (offset_of!(SigContext, trapno), libc::REG_TRAPNO),
        (offset_of!(SigContext, cr2), libc::REG_CR2),
    ] {
        let index = usize::try_from(index).expect("an index");
        assert_eq!(offset_of!(UContext, uc_mcontext) + ours, gregs + 8 * index);
    }
    assert_eq!(gregs + offset_of!(SigContext, fpstate), gregs + offset_of!(libc::mcontext_t, fpregs));
    assert_eq!(offset_of!(UContext, uc_sigmask), offset_of!(libc::ucontext_t, uc_sigmask));
    assert_eq!(offset_of!(UContext, uc_stack), offset_of!(libc::ucontext_t, uc_stack));
    assert_eq!(size_of::<FpState>(), size_of::<libc::user_fpregs_struct>());
    assert_eq!(offset_of!(FpState, mxcsr), offset_of!(libc::user_fpregs_struct, mxcsr));
    assert_eq!(offset_of!(FpState, xmm_space), offset_of!(libc::user_fpregs_struct, xmm_space));
    assert_eq!(offset_of!(FpState, sw_reserved), 464);
    assert_eq!((size_of::<FpxSwBytes>(), size_of::<XstateHeader>()), (48, 64));
    // pretcode, ucontext (304 bytes), siginfo.
    assert_eq!((size_of::<UContext>(), size_of::<RtSigFrame>()), (304, 440));
}

#[test]
#[expect(unsafe_code, reason = "libc reads the siginfo union through unsafe accessors")]
fn siginfo_unions_lie_where_linux_has_them() {
    use abi::signal::*;
    use abi::zerocopy::IntoBytes;
    let to_libc = |info: SigInfo| -> libc::siginfo_t {
        let bytes: [u8; 128] = info.as_bytes().try_into().expect("128 bytes");
        // SAFETY: both are 128 bytes of plain data, and any bit pattern is a valid siginfo_t.
        unsafe { std::mem::transmute(bytes) }
    };
    let child = SiChild { si_pid: 7, si_uid: 8, si_status: 9, si_utime: 10, si_stime: 11, ..SiChild::default() };
    let info = to_libc(SigInfo::child(abi::wait::CLD_KILLED, child));
    assert_eq!((info.si_signo, info.si_errno, info.si_code), (libc::SIGCHLD, 0, libc::CLD_KILLED));
    // SAFETY: the record is a SIGCHLD one.
    unsafe {
        assert_eq!((info.si_pid(), info.si_uid(), info.si_status()), (7, 8, 9));
        assert_eq!((info.si_utime(), info.si_stime()), (10, 11));
    }
    // SAFETY: the record is a fault's.
    assert_eq!(unsafe { to_libc(SigInfo::fault(SIGSEGV, SEGV_MAPERR, 0x1234)).si_addr() } as u64, 0x1234);
    let queued = SigInfo::new(SIGUSR1, SI_QUEUE, SiSent { si_pid: 3, si_uid: 4, si_value: 5 });
    // SAFETY: the record is a queued signal's.
    assert_eq!(unsafe { to_libc(queued).si_value().sival_ptr } as u64, 5);
    assert_eq!(queued.view::<SiSent>(), SiSent { si_pid: 3, si_uid: 4, si_value: 5 });
}

#[test]
fn terminal_structures_are_those_of_linux() {
    use abi::termios::*;
    use linux_raw_sys::general as raw;
    same_layout!(Termios = raw::termios: c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc);
    same_layout!(Termios2 = raw::termios2: c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc, c_ispeed, c_ospeed);
    same_layout!(Winsize = libc::winsize: ws_row, ws_col, ws_xpixel, ws_ypixel);
}

#[test]
fn readiness_structures_are_those_of_linux() {
    use abi::poll::*;
    same_layout!(Pollfd = libc::pollfd: fd, events, revents);
    same_layout!(EpollEvent = libc::epoll_event: events, data => u64);
    same_layout!(InotifyEvent = libc::inotify_event: wd, mask, cookie, len);
    same_layout!(SignalfdSiginfo = libc::signalfd_siginfo:
        ssi_signo, ssi_errno, ssi_code, ssi_pid, ssi_uid, ssi_fd, ssi_tid, ssi_band, ssi_overrun, ssi_trapno,
        ssi_status, ssi_int, ssi_ptr, ssi_utime, ssi_stime, ssi_addr, ssi_addr_lsb, ssi_syscall,
        ssi_call_addr, ssi_arch
    );
    let event = EpollEvent::new(1, 0x1122_3344_5566_7788);
    assert_eq!(event.data(), 0x1122_3344_5566_7788);
}

#[test]
fn socket_structures_are_those_of_linux() {
    use abi::socket::*;
    same_layout!(SockaddrUn = libc::sockaddr_un: sun_family, sun_path);
    same_layout!(SockaddrIn = libc::sockaddr_in: sin_family, sin_port, sin_addr);
    same_layout!(SockaddrIn6 = libc::sockaddr_in6: sin6_family, sin6_port, sin6_flowinfo, sin6_addr, sin6_scope_id);
    same_layout!(Msghdr = libc::msghdr:
        msg_name, msg_namelen, msg_iov, msg_iovlen, msg_control, msg_controllen, msg_flags
    );
    same_layout!(Mmsghdr = libc::mmsghdr: msg_hdr, msg_len);
    same_layout!(Cmsghdr = libc::cmsghdr: cmsg_len, cmsg_level, cmsg_type);
    same_layout!(Ucred = libc::ucred: pid, uid, gid);
    same_layout!(Linger = libc::linger: l_onoff, l_linger);
}

#[test]
fn ipc_structures_are_those_of_linux() {
    use abi::ipc::*;
    same_layout!(IpcPerm = libc::ipc_perm: key => __key, uid, gid, cuid, cgid, mode, seq => __seq);
    same_layout!(ShmidDs = libc::shmid_ds:
        shm_perm, shm_segsz, shm_atime, shm_dtime, shm_ctime, shm_cpid, shm_lpid, shm_nattch
    );
    same_layout!(Sembuf = libc::sembuf: sem_num, sem_op, sem_flg);
    same_layout!(SemidDs = libc::semid_ds: sem_perm, sem_otime, sem_ctime, sem_nsems);
    same_layout!(MsqidDs = libc::msqid_ds:
        msg_perm, msg_stime, msg_rtime, msg_ctime, msg_cbytes => __msg_cbytes, msg_qnum, msg_qbytes,
        msg_lspid, msg_lrpid
    );
}

#[test]
fn trace_structures_are_those_of_linux() {
    use abi::ptrace::*;
    use abi::seccomp::*;
    same_layout!(UserRegs = libc::user_regs_struct:
        r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags,
        rsp, ss, fs_base, gs_base, ds, es, fs, gs
    );
    same_layout!(PtraceSyscallInfo = libc::ptrace_syscall_info:
        op, arch, instruction_pointer, stack_pointer, data => u
    );
    same_layout!(SockFilter = libc::sock_filter: code, jt, jf, k);
    same_layout!(SockFprog = libc::sock_fprog: len, filter);
    same_layout!(SeccompData = libc::seccomp_data: nr, arch, instruction_pointer, args);
    same_layout!(PtracePeeksiginfoArgs = libc::ptrace_peeksiginfo_args: off, flags, nr);
}

#[test]
fn a_wait_status_reads_as_the_c_library_reads_it() {
    use abi::wait::{WaitStatus, WaitStatus::*};
    for code in 0..=255 {
        let word = Exited(code).encode().cast_signed();
        assert!(libc::WIFEXITED(word) && libc::WEXITSTATUS(word) == i32::from(code));
    }
    for signal in 1..=64 {
        for core in [false, true] {
            let word = Signaled { signal, core }.encode().cast_signed();
            assert!(libc::WIFSIGNALED(word) && libc::WTERMSIG(word) == i32::from(signal));
            assert_eq!(libc::WCOREDUMP(word), core);
        }
        let word = Stopped { signal, event: 0 }.encode().cast_signed();
        assert!(libc::WIFSTOPPED(word) && libc::WSTOPSIG(word) == i32::from(signal));
    }
    assert!(libc::WIFCONTINUED(Continued.encode().cast_signed()));
    for status in [Exited(3), Signaled { signal: 11, core: true }, Stopped { signal: 5, event: 4 }, Continued] {
        assert_eq!(WaitStatus::decode(status.encode()), status);
    }
}
