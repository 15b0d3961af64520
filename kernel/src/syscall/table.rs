//! The system call table: one line a call, by family.
//!
//! `number name(argument: type, …) kind handler, note;` See [`super`] for the kinds and notes. From it come
//! [`call_now`], [`call_whole`] and [`call_wait`] (dispatch), [`arguments`] (tracing) and [`SUPPORT`] (the support list).

use core::fmt;
use core::future::ready;
use core::pin::Pin;

use abi::Errno;
use abi::fcntl::OpenHow;
use abi::ipc::Sembuf;
use abi::mqueue::MqAttr;
use abi::poll::{EpollEvent, SigsetArgpack};
use abi::resource::{Rlimit, Rusage, Sysinfo};
use abi::sched::SchedParam;
use abi::signal::SigEvent;
use abi::socket::{Mmsghdr, Msghdr};
use abi::stat::{Stat, Statfs, Statx, Ustat};
use abi::time::{Itimerspec, Timespec, Timeval};
use abi::utsname::NewUtsname;
use alloc::boxed::Box;
use runtime::Slot;

use super::args::*;
use super::futex::FutexOp;
use super::prctl::PrctlOption;
use super::*;
use crate::mem::*;

/// Numbers from here on are no calls.
const LIMIT: usize = 512;

/// How much of a system call is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// As on Linux.
    Full,
    /// As on Linux except for what the text says.
    Partial(&'static str),
}

/// A row of the support list.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The number in `rax`.
    pub number: u64,
    /// The name in Linux's table.
    pub name: &'static str,
    /// The module of this folder that translates it, which is named after its family.
    pub family: &'static str,
    /// How much of it is there.
    pub support: Support,
}

/// The first word of a handler's path.
const fn family(handler: &str) -> &str {
    let bytes = handler.as_bytes();
    let mut len = 0;
    while len < bytes.len() && bytes[len] != b':' && bytes[len] != b' ' {
        len += 1;
    }
    handler.split_at(len).0
}

/// Runs the call and leaves its result in the caller's registers, if it never waits, or need not wait this time. Else gives
/// `false` and has done nothing. Of the registers it needs those alone that [`UserMode::system_call`] has. Of the number the
/// lower half counts ([`UserContext::call_number`](crate::arch::UserContext::call_number)).
///
/// [`UserMode::system_call`]: crate::arch::UserMode::system_call
#[inline]
pub fn call_now(cx: &mut Cx<'_>, number: u64) -> bool {
    AT_ONCE.get(number as u32 as usize).is_some_and(|call| call(cx))
}

/// The room each thread has for a call that waits.
const CALL_BYTES: usize = 256;

/// A call that waits, whichever it is. It borrows its caller for `'a`.
pub type Waiting<'a> = Slot<'a, SyscallResult, CALL_BYTES>;

/// Puts a call, with the arguments in its caller's registers, into a slot.
type Begin = for<'a> fn(Pin<&mut Waiting<'a>>, &'a mut Cx<'_>);

/// Puts a call that neither [`call_now`] nor [`call_whole`] has run into `slot`, to be awaited there: one that may wait, or one
/// that does not exist. Its arguments are in the caller's registers.
#[inline]
pub fn call_wait<'a>(slot: Pin<&mut Waiting<'a>>, cx: &'a mut Cx<'_>, number: u64) {
    match WAITING.get(number as usize) {
        Some(begin) => begin(slot, cx),
        None => slot.put(ready(Err(Errno::ENOSYS))),
    }
}

/// Runs a call that [`call_now`] leaves alone because it has to do with all of the caller's registers. Else gives `false` and
/// has done nothing.
#[inline]
pub fn call_whole(cx: &mut Cx<'_>, number: u64) -> bool {
    let call = WHOLE.get(number as usize).copied().flatten();
    call.map(|call| call(cx)).is_some()
}

macro_rules! syscalls {
    ($($number:literal $name:ident($($arg:ident: $type:ty),*) $kind:ident $handler:path $([$first:path])?, $level:ident $($reason:literal)?;)*) => {
        /// Every system call there is, in the table's order.
        pub const SUPPORT: &[Row] = &[$(
            Row {
                number: $number,
                name: stringify!($name),
                family: family(stringify!($handler)),
                support: syscalls!(@note $level $($reason)?),
            },
        )*];

        /// By number, what makes a call that never waits, or need not wait this time, and leaves its result in the caller's
        /// registers; or does nothing and gives `false`.
        static AT_ONCE: [fn(&mut Cx<'_>) -> bool; LIMIT] = {
            let mut calls: [fn(&mut Cx<'_>) -> bool; LIMIT] = [|_| false; LIMIT];
            $(calls[$number] = syscalls!(@now $kind $number $handler $([$first])?, ($($arg: $type),*));)*
            calls
        };

        /// By number, what makes a call that has to do with all of the caller's registers.
        static WHOLE: [Option<fn(&mut Cx<'_>)>; LIMIT] = {
            let mut calls: [Option<fn(&mut Cx<'_>)>; LIMIT] = [None; LIMIT];
            $(syscalls!(@whole $kind calls $number $handler);)*
            calls
        };

        /// By number, what puts a call that may wait into a slot.
        static WAITING: [Begin; LIMIT] = {
            let mut calls: [Begin; LIMIT] = [|slot, _| slot.put(ready(Err(Errno::ENOSYS))); LIMIT];
            $(syscalls!(@wait $kind calls $number $handler, ($($arg: $type),*));)*
            calls
        };

        /// The call's name.
        pub fn name(number: u64) -> Option<&'static str> {
            match number {
                $($number => Some(stringify!($name)),)*
                _ => None,
            }
        }

        /// Writes the call's arguments as strace does, separated by commas.
        pub fn arguments(number: u64, registers: &[u64; 6], f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match number {
                $($number => {
                    syscalls!(@trace $name registers f $($arg: $type),*);
                    Ok(())
                })*
                _ => {
                    for (index, register) in registers.iter().enumerate() {
                        write!(f, "{}{register:#x}", if index == 0 { "" } else { ", " })?;
                    }
                    Ok(())
                }
            }
        }
    };

    (@note full) => { Support::Full };
    (@note partial $reason:literal) => { Support::Partial($reason) };

    (@now now $number:literal $handler:path, ($($arg:ident: $type:ty),*)) => {
        |cx| {
            let [$($arg,)* ..] = cx.private.context.syscall_arguments();
            let result = $handler(cx $(, <$type as FromRegister>::from_register($arg))*);
            finish(cx.private, $number, result);
            true
        }
    };
    (@now $kind:ident $number:literal $handler:path [$first:path], ($($arg:ident: $type:ty),*)) => {
        |cx| {
            let [$($arg,)* ..] = cx.private.context.syscall_arguments();
            let result = $first(cx $(, <$type as FromRegister>::from_register($arg))*);
            result.map(|result| finish(cx.private, $number, result)).is_some()
        }
    };
    (@now $kind:ident $number:literal $handler:path, ($($arg:ident: $type:ty),*)) => { |_| false };

    (@whole whole $calls:ident $number:literal $handler:path) => {
        $calls[$number] = Some(|cx| {
            let result = $handler(cx);
            finish(cx.private, $number, result);
        })
    };
    (@whole $kind:ident $calls:ident $number:literal $handler:path) => {};

    (@wait whole $calls:ident $number:literal $handler:path, ($($arg:ident: $type:ty),*)) => {};
    (@wait now $calls:ident $number:literal $handler:path, ($($arg:ident: $type:ty),*)) => {};
    (@wait wait $calls:ident $number:literal $handler:path, ($($arg:ident: $type:ty),*)) => {
        $calls[$number] = |slot, cx| {
            let [$($arg,)* ..] = cx.private.context.syscall_arguments();
            slot.put($handler(cx $(, <$type as FromRegister>::from_register($arg))*));
        }
    };
    (@wait boxed $calls:ident $number:literal $handler:path, ($($arg:ident: $type:ty),*)) => {
        $calls[$number] = |slot, cx| {
            let [$($arg,)* ..] = cx.private.context.syscall_arguments();
            slot.put(Box::pin($handler(cx $(, <$type as FromRegister>::from_register($arg))*)));
        }
    };

    (@trace $name:ident $registers:ident $f:ident) => {};
    (@trace $name:ident $registers:ident $f:ident $($arg:ident: $type:ty),+) => {
        let mut registers = $registers.iter();
        let mut separator = "";
        $(
            $f.write_str(separator)?;
            let $arg = registers.next().copied().unwrap_or(0);
            match names::view_of(stringify!($name), stringify!($arg)) {
                Some(show) => show($arg, $f)?,
                None => TraceArgument::trace(&<$type as FromRegister>::from_register($arg), $f)?,
            }
            separator = ", ";
        )+
        let _ = separator;
    };
}

syscalls! {
    // process: who is who
    39 getpid() now process::sys_getpid, full;
    186 gettid() now process::sys_gettid, full;
    110 getppid() now process::sys_getppid, full;
    109 setpgid(pid: i32, pgid: i32) now process::sys_setpgid, full;
    121 getpgid(pid: i32) now process::sys_getpgid, full;
    111 getpgrp() now process::sys_getpgrp, full;
    112 setsid() now process::sys_setsid, full;
    124 getsid(pid: i32) now process::sys_getsid, full;
    272 unshare(flags: u64) now process::sys_unshare, partial "namespaces of host names alone";
    308 setns(fd: i32, nstype: Flags) now process::sys_setns, partial "namespaces of host names alone";
    424 pidfd_send_signal(pidfd: i32, sig: i32, info: Pointer, flags: Flags) now process::sys_pidfd_send_signal, full;
    438 pidfd_getfd(pidfd: i32, targetfd: i32, flags: Flags) now process::sys_pidfd_getfd, full;
    312 kcmp(pid1: i32, pid2: i32, kind: u32, idx1: u64, idx2: u64) now kcmp::sys_kcmp, full;
    434 pidfd_open(pid: i32, flags: Flags) now process::sys_pidfd_open, full;

    // thread: birth and death
    56 clone(flags: u64, stack: Pointer, parent_tid: Pointer, child_tid: Pointer, tls: u64) wait thread::sys_clone,
        partial "namespaces of host names alone; CLONE_IO and CLONE_SYSVSEM have nothing to share";
    57 fork() whole thread::sys_fork, full;
    58 vfork() wait thread::sys_vfork, full;
    435 clone3(args: Pointer, size: usize) wait thread::sys_clone3, partial "as clone; no cgroups";
    60 exit(status: i32) now thread::sys_exit, full;
    231 exit_group(status: i32) now thread::sys_exit_group, full;
    218 set_tid_address(tid: Pointer) now thread::sys_set_tid_address, full;
    273 set_robust_list(head: Pointer, len: usize) now thread::sys_set_robust_list, full;
    274 get_robust_list(pid: i32, head: UserOut<u64>, len: UserOut<u64>) now thread::sys_get_robust_list, full;
    317 seccomp(operation: u32, flags: Flags, argument: Pointer) now seccomp::sys_seccomp, partial "no user notification";
    334 rseq(rseq: Pointer, len: u32, flags: Flags, signature: u32) now thread::sys_rseq, full;

    // wait
    61 wait4(pid: i32, status: UserOut<i32>, options: Flags, usage: UserOut<Rusage>) wait wait::sys_wait4, full;
    247 waitid(which: u32, pid: i32, info: Pointer, options: Flags, usage: UserOut<Rusage>) boxed wait::sys_waitid, full;

    // exec
    59 execve(filename: UserStr, argv: Pointer, envp: Pointer) boxed exec::sys_execve,
        partial "files have no capabilities of their own";
    322 execveat(dirfd: i32, filename: UserStr, argv: Pointer, envp: Pointer, flags: Flags) boxed exec::sys_execveat,
        partial "as execve";

    // futex
    202 futex(uaddr: Pointer, op: FutexOp, val: u32, timeout: Pointer, uaddr2: Pointer, val3: u32)
        wait futex::sys_futex [futex::futex_at_once], partial "FUTEX_FD is gone, as on Linux; priorities are not lent";
    449 futex_waitv(waiters: Pointer, count: u32, flags: Flags, timeout: UserIn<Timespec>, clock: i32)
        wait futex::sys_futex_waitv, full;

    // signal
    13 rt_sigaction(signum: i32, act: Pointer, oldact: Pointer, sigsetsize: usize) now signal::sys_rt_sigaction, full;
    14 rt_sigprocmask(how: u32, set: Pointer, oldset: Pointer, sigsetsize: usize) now signal::sys_rt_sigprocmask, full;
    15 rt_sigreturn() whole signal::sys_rt_sigreturn, full;
    34 pause() wait signal::sys_pause, full;
    62 kill(pid: i32, sig: i32) now signal::sys_kill, full;
    127 rt_sigpending(set: Pointer, sigsetsize: usize) now signal::sys_rt_sigpending, full;
    128 rt_sigtimedwait(set: Pointer, info: Pointer, timeout: Pointer, sigsetsize: usize)
        wait signal::sys_rt_sigtimedwait, full;
    129 rt_sigqueueinfo(pid: i32, sig: i32, info: Pointer) now signal::sys_rt_sigqueueinfo, full;
    130 rt_sigsuspend(mask: Pointer, sigsetsize: usize) wait signal::sys_rt_sigsuspend, full;
    131 sigaltstack(ss: Pointer, old_ss: Pointer) now signal::sys_sigaltstack, full;
    200 tkill(tid: i32, sig: i32) now signal::sys_tkill, full;
    219 restart_syscall() boxed signal::sys_restart_syscall, full;
    234 tgkill(tgid: i32, tid: i32, sig: i32) now signal::sys_tgkill, full;
    282 signalfd(fd: i32, mask: Pointer, sizemask: usize) now signal::sys_signalfd, full;
    289 signalfd4(fd: i32, mask: Pointer, sizemask: usize, flags: Flags) now signal::sys_signalfd4, full;
    297 rt_tgsigqueueinfo(tgid: i32, tid: i32, sig: i32, info: Pointer) now signal::sys_rt_tgsigqueueinfo, full;

    // timer
    35 nanosleep(duration: Pointer, rem: Pointer) wait timer::sys_nanosleep, full;
    36 getitimer(which: u32, curr_value: Pointer) now timer::sys_getitimer, full;
    37 alarm(seconds: u32) now timer::sys_alarm, full;
    38 setitimer(which: u32, new_value: Pointer, old_value: Pointer) now timer::sys_setitimer, full;
    222 timer_create(clockid: i32, sevp: Pointer, timerid: Pointer) now timer::sys_timer_create, full;
    223 timer_settime(timerid: i32, flags: u32, new_value: Pointer, old_value: Pointer) now timer::sys_timer_settime, full;
    224 timer_gettime(timerid: i32, curr_value: Pointer) now timer::sys_timer_gettime, full;
    225 timer_getoverrun(timerid: i32) now timer::sys_timer_getoverrun, full;
    226 timer_delete(timerid: i32) now timer::sys_timer_delete, full;
    230 clock_nanosleep(clockid: i32, flags: u32, request: Pointer, remain: Pointer) wait timer::sys_clock_nanosleep, full;

    // time
    96 gettimeofday(tv: Pointer, tz: Pointer) now time::sys_gettimeofday, full;
    100 times(buf: Pointer) now time::sys_times, full;
    159 adjtimex(buf: Pointer) now time::sys_adjtimex, partial "frequency and slewing have no effect";
    164 settimeofday(tv: Pointer, tz: Pointer) now time::sys_settimeofday, partial "no time zone is kept";
    201 time(tloc: Pointer) now time::sys_time, full;
    227 clock_settime(clockid: i32, tp: Pointer) now time::sys_clock_settime, full;
    228 clock_gettime(clockid: i32, tp: Pointer) now time::sys_clock_gettime, full;
    229 clock_getres(clockid: i32, res: Pointer) now time::sys_clock_getres, full;
    305 clock_adjtime(clockid: i32, buf: Pointer) now time::sys_clock_adjtime,
        partial "frequency and slewing have no effect";

    // sched
    24 sched_yield() now sched::sys_sched_yield, full;
    203 sched_setaffinity(pid: i32, len: usize, mask: Pointer) wait sched::sys_sched_setaffinity, full;
    204 sched_getaffinity(pid: i32, len: usize, mask: Pointer) now sched::sys_sched_getaffinity, full;
    142 sched_setparam(pid: i32, param: UserIn<SchedParam>) now sched::sys_sched_setparam, full;
    143 sched_getparam(pid: i32, param: UserOut<SchedParam>) now sched::sys_sched_getparam, full;
    144 sched_setscheduler(pid: i32, policy: i32, param: UserIn<SchedParam>) now sched::sys_sched_setscheduler,
        partial "real-time policies are kept and reported, without effect";
    145 sched_getscheduler(pid: i32) now sched::sys_sched_getscheduler, full;
    146 sched_get_priority_max(policy: i32) now sched::sys_sched_get_priority_max, full;
    147 sched_get_priority_min(policy: i32) now sched::sys_sched_get_priority_min, full;
    148 sched_rr_get_interval(pid: i32, tp: UserOut<Timespec>) now sched::sys_sched_rr_get_interval, full;
    314 sched_setattr(pid: i32, attr: Pointer, flags: Flags) now sched::sys_sched_setattr,
        partial "deadlines are kept and reported, without effect; no utilisation clamps";
    315 sched_getattr(pid: i32, attr: Pointer, size: u32, flags: Flags) now sched::sys_sched_getattr, full;
    251 ioprio_set(which: u32, who: i32, ioprio: u32) now ioprio::sys_ioprio_set,
        partial "priorities are kept and reported, without effect";
    252 ioprio_get(which: u32, who: i32) now ioprio::sys_ioprio_get, full;
    140 getpriority(which: u32, who: i32) now sched::sys_getpriority, full;
    141 setpriority(which: u32, who: i32, niceval: i32) now sched::sys_setpriority, full;

    // cred
    102 getuid() now cred::sys_getuid, full;
    104 getgid() now cred::sys_getgid, full;
    105 setuid(uid: u32) now cred::sys_setuid, full;
    106 setgid(gid: u32) now cred::sys_setgid, full;
    107 geteuid() now cred::sys_geteuid, full;
    108 getegid() now cred::sys_getegid, full;
    113 setreuid(ruid: u32, euid: u32) now cred::sys_setreuid, full;
    114 setregid(rgid: u32, egid: u32) now cred::sys_setregid, full;
    115 getgroups(size: i32, list: UserOut<u32>) now cred::sys_getgroups, full;
    116 setgroups(size: i32, list: UserIn<u32>) now cred::sys_setgroups, full;
    117 setresuid(ruid: u32, euid: u32, suid: u32) now cred::sys_setresuid, full;
    118 getresuid(ruid: UserOut<u32>, euid: UserOut<u32>, suid: UserOut<u32>) now cred::sys_getresuid, full;
    119 setresgid(rgid: u32, egid: u32, sgid: u32) now cred::sys_setresgid, full;
    120 getresgid(rgid: UserOut<u32>, egid: UserOut<u32>, sgid: UserOut<u32>) now cred::sys_getresgid, full;
    122 setfsuid(uid: u32) now cred::sys_setfsuid, full;
    123 setfsgid(gid: u32) now cred::sys_setfsgid, full;
    125 capget(hdr: Pointer, data: Pointer) now cred::sys_capget, full;
    126 capset(hdr: Pointer, data: Pointer) now cred::sys_capset, full;

    // resource
    97 getrlimit(resource: u32, rlim: UserOut<Rlimit>) now resource::sys_getrlimit, full;
    160 setrlimit(resource: u32, rlim: UserIn<Rlimit>) now resource::sys_setrlimit, full;
    302 prlimit64(pid: i32, resource: u32, new: UserIn<Rlimit>, old: UserOut<Rlimit>) now resource::sys_prlimit64, full;
    98 getrusage(who: i32, usage: UserOut<Rusage>) now resource::sys_getrusage, full;

    // system
    157 prctl(option: PrctlOption, arg2: u64, arg3: u64, arg4: u64, arg5: u64) now prctl::sys_prctl,
        partial "options of features this kernel does not have are EINVAL";
    63 uname(buf: UserOut<NewUtsname>) now system::sys_uname, full;
    99 sysinfo(info: UserOut<Sysinfo>) now system::sys_sysinfo, partial "no load average";
    135 personality(persona: u32) now system::sys_personality, partial "other systems' execution domains change nothing";
    153 vhangup() now machine::sys_vhangup, full;
    169 reboot(magic: u32, magic2: u32, cmd: u32) now machine::sys_reboot, partial "every way down ends the machine; no kexec";
    158 arch_prctl(option: u32, addr: Pointer) now system::sys_arch_prctl, partial "no CPUID faulting";
    170 sethostname(name: Pointer, len: i32) now system::sys_sethostname, full;
    171 setdomainname(name: Pointer, len: i32) now system::sys_setdomainname, full;
    309 getcpu(cpu: UserOut<u32>, node: UserOut<u32>, tcache: Pointer) now system::sys_getcpu, full;
    318 getrandom(buf: Pointer, count: usize, flags: Flags) now system::sys_getrandom, full;

    // memory
    9 mmap(addr: Pointer, length: u64, prot: u64, flags: u64, fd: i32, offset: u64) now memory::sys_mmap,
        partial "no huge pages are reserved";
    10 mprotect(addr: Pointer, len: u64, prot: u64) now memory::sys_mprotect, full;
    11 munmap(addr: Pointer, length: u64) now memory::sys_munmap, full;
    12 brk(addr: Pointer) now memory::sys_brk, full;
    25 mremap(old_address: Pointer, old_size: u64, new_size: u64, flags: u64, new_address: u64) now memory::sys_mremap,
        full;
    216 remap_file_pages(addr: Pointer, size: u64, prot: u64, pgoff: u64, flags: u64) now memory::sys_remap_file_pages, full;
    26 msync(addr: Pointer, length: u64, flags: u32) now memory::sys_msync, full;
    27 mincore(addr: Pointer, length: u64, vec: Pointer) now memory::sys_mincore, full;
    28 madvise(addr: Pointer, length: u64, advice: u32) now memory::sys_madvise,
        partial "no MADV_COLLAPSE, MADV_HWPOISON or MADV_SOFT_OFFLINE";
    29 shmget(key: i32, size: u64, shmflg: u32) now shm::sys_shmget, partial "no huge pages";
    30 shmat(shmid: i32, shmaddr: Pointer, shmflg: u32) now shm::sys_shmat, full;
    31 shmctl(shmid: i32, cmd: u32, buf: Pointer) now shm::sys_shmctl, full;
    67 shmdt(shmaddr: Pointer) now shm::sys_shmdt, full;
    149 mlock(addr: Pointer, len: u64) now memory::sys_mlock, full;
    150 munlock(addr: Pointer, len: u64) now memory::sys_munlock, full;
    151 mlockall(flags: u32) now memory::sys_mlockall, full;
    152 munlockall() now memory::sys_munlockall, full;
    101 ptrace(request: ptrace::Request, pid: i32, addr: Pointer, data: Pointer) now ptrace::sys_ptrace,
        partial "no debug registers, PTRACE_SYSEMU, PTRACE_SINGLEBLOCK or suspending of filters";
    310 process_vm_readv(pid: i32, local_iov: Pointer, liovcnt: u64, remote_iov: Pointer, riovcnt: u64, flags: u64) now
        process_vm::sys_process_vm_readv, full;
    311 process_vm_writev(pid: i32, local_iov: Pointer, liovcnt: u64, remote_iov: Pointer, riovcnt: u64, flags: u64) now
        process_vm::sys_process_vm_writev, full;
    440 process_madvise(pidfd: i32, vec: Pointer, vlen: u64, advice: u32, flags: u32) now
        process_vm::sys_process_madvise, full;
    448 process_mrelease(pidfd: i32, flags: u32) wait process_vm::sys_process_mrelease, full;
    329 pkey_mprotect(addr: Pointer, len: u64, prot: u64, pkey: i32) now memory::sys_pkey_mprotect,
        partial "no protection keys, as on a CPU without them";
    330 pkey_alloc(flags: u64, rights: u64) now memory::sys_pkey_alloc, partial "as pkey_mprotect";
    331 pkey_free(pkey: i32) now memory::sys_pkey_free, partial "as pkey_mprotect";
    324 membarrier(cmd: u32, flags: u32, cpu_id: i32) now memory::sys_membarrier,
        partial "sequences are aborted in the caller's process, not in others that share its memory";
    325 mlock2(addr: Pointer, len: u64, flags: u32) now memory::sys_mlock2, full;

    // file: descriptors
    2 open(path: UserStr, flags: Flags, mode: u32) wait file::sys_open [file::open_at_once], full;
    3 close(fd: i32) now file::sys_close, full;
    16 ioctl(fd: i32, request: u32, arg: Pointer) now file::sys_ioctl, full;
    32 dup(fd: i32) now file::sys_dup, full;
    33 dup2(old: i32, new: i32) now file::sys_dup2, full;
    72 fcntl(fd: i32, command: u32, arg: u64) wait file::sys_fcntl, full;
    73 flock(fd: i32, operation: Flags) wait file::sys_flock, full;
    85 creat(path: UserStr, mode: u32) wait file::sys_creat, full;
    257 openat(dirfd: i32, path: UserStr, flags: Flags, mode: u32) wait file::sys_openat [file::openat_at_once], full;
    292 dup3(old: i32, new: i32, flags: Flags) now file::sys_dup3, full;
    436 close_range(first: u32, last: u32, flags: Flags) now file::sys_close_range, full;
    437 openat2(dirfd: i32, path: UserStr, how: UserIn<OpenHow>, size: usize) wait file::sys_openat2, full;

    // file: bytes
    0 read(fd: i32, buffer: Pointer, count: usize) wait io::sys_read [io::read_at_once], full;
    1 write(fd: i32, buffer: Pointer, count: usize) boxed io::sys_write [io::write_at_once], full;
    8 lseek(fd: i32, offset: i64, whence: u32) now io::sys_lseek, full;
    17 pread64(fd: i32, buffer: Pointer, count: usize, position: i64) boxed io::sys_pread64 [io::pread64_at_once],
        full;
    18 pwrite64(fd: i32, buffer: Pointer, count: usize, position: i64) boxed io::sys_pwrite64 [io::pwrite64_at_once],
        full;
    19 readv(fd: i32, vector: Pointer, count: u64) boxed io::sys_readv [io::readv_at_once], full;
    20 writev(fd: i32, vector: Pointer, count: u64) boxed io::sys_writev [io::writev_at_once], full;
    74 fsync(fd: i32) now io::sys_fsync, full;
    75 fdatasync(fd: i32) now io::sys_fdatasync, full;
    77 ftruncate(fd: i32, len: i64) now io::sys_ftruncate, full;
    162 sync() now io::sys_sync, full;
    187 readahead(fd: i32, offset: i64, count: usize) now io::sys_readahead, full;
    221 fadvise64(fd: i32, offset: i64, len: i64, advice: u32) now io::sys_fadvise64, full;
    277 sync_file_range(fd: i32, offset: i64, len: i64, flags: Flags) now io::sys_sync_file_range, full;
    285 fallocate(fd: i32, mode: Flags, offset: i64, len: i64) now io::sys_fallocate, partial "allocation and holes only, as tmpfs has on Linux";
    295 preadv(fd: i32, vector: Pointer, count: u64, position: i64) boxed io::sys_preadv, full;
    296 pwritev(fd: i32, vector: Pointer, count: u64, position: i64) boxed io::sys_pwritev, full;
    306 syncfs(fd: i32) now io::sys_syncfs, full;
    327 preadv2(fd: i32, vector: Pointer, count: u64, position: i64, high: u64, flags: Flags) boxed io::sys_preadv2, full;
    328 pwritev2(fd: i32, vector: Pointer, count: u64, position: i64, high: u64, flags: Flags) boxed io::sys_pwritev2, full;

    // path
    78 getdents(fd: i32, buffer: Pointer, count: u32) now path::sys_getdents, full;
    79 getcwd(buffer: Pointer, size: usize) now path::sys_getcwd, full;
    80 chdir(path: UserStr) now path::sys_chdir, full;
    81 fchdir(fd: i32) now path::sys_fchdir, full;
    82 rename(old: UserStr, new: UserStr) now path::sys_rename, full;
    83 mkdir(path: UserStr, mode: u32) now path::sys_mkdir, full;
    84 rmdir(path: UserStr) now path::sys_rmdir, full;
    86 link(old: UserStr, new: UserStr) now path::sys_link, full;
    87 unlink(path: UserStr) now path::sys_unlink, full;
    88 symlink(text: UserStr, path: UserStr) now path::sys_symlink, full;
    89 readlink(path: UserStr, buffer: Pointer, len: i32) now path::sys_readlink, full;
    95 umask(mask: u32) now path::sys_umask, full;
    133 mknod(path: UserStr, mode: u32, device: u32) now path::sys_mknod, full;
    161 chroot(path: UserStr) now path::sys_chroot, full;
    217 getdents64(fd: i32, buffer: Pointer, count: u32) now path::sys_getdents64, full;
    258 mkdirat(dirfd: i32, path: UserStr, mode: u32) now path::sys_mkdirat, full;
    259 mknodat(dirfd: i32, path: UserStr, mode: u32, device: u32) now path::sys_mknodat, full;
    263 unlinkat(dirfd: i32, path: UserStr, flags: Flags) now path::sys_unlinkat, full;
    264 renameat(old_dirfd: i32, old: UserStr, new_dirfd: i32, new: UserStr) now path::sys_renameat, full;
    265 linkat(old_dirfd: i32, old: UserStr, new_dirfd: i32, new: UserStr, flags: Flags) now path::sys_linkat, full;
    266 symlinkat(text: UserStr, dirfd: i32, path: UserStr) now path::sys_symlinkat, full;
    267 readlinkat(dirfd: i32, path: UserStr, buffer: Pointer, len: i32) now path::sys_readlinkat, full;
    316 renameat2(old_dirfd: i32, old: UserStr, new_dirfd: i32, new: UserStr, flags: Flags) now path::sys_renameat2, partial "no RENAME_WHITEOUT";

    // stat
    4 stat(path: UserStr, to: UserOut<Stat>) now stat::sys_stat, full;
    5 fstat(fd: i32, to: UserOut<Stat>) now stat::sys_fstat, full;
    6 lstat(path: UserStr, to: UserOut<Stat>) now stat::sys_lstat, full;
    21 access(path: UserStr, mode: u32) now stat::sys_access, full;
    76 truncate(path: UserStr, len: i64) now stat::sys_truncate, full;
    90 chmod(path: UserStr, mode: u32) now stat::sys_chmod, full;
    91 fchmod(fd: i32, mode: u32) now stat::sys_fchmod, full;
    92 chown(path: UserStr, uid: u32, gid: u32) now stat::sys_chown, full;
    93 fchown(fd: i32, uid: u32, gid: u32) now stat::sys_fchown, full;
    94 lchown(path: UserStr, uid: u32, gid: u32) now stat::sys_lchown, full;
    132 utime(path: UserStr, times: UserIn<[i64; 2]>) now stat::sys_utime, full;
    137 statfs(path: UserStr, to: UserOut<Statfs>) now stat::sys_statfs, full;
    103 syslog(action: i32, buffer: Pointer, len: i32) now syslog::sys_syslog,
        partial "reading what is unread does not wait; the console's level has no effect";
    136 ustat(device: u32, to: UserOut<Ustat>) now stat::sys_ustat, full;
    138 fstatfs(fd: i32, to: UserOut<Statfs>) now stat::sys_fstatfs, full;
    235 utimes(path: UserStr, times: UserIn<[Timeval; 2]>) now stat::sys_utimes, full;
    260 fchownat(dirfd: i32, path: UserStr, uid: u32, gid: u32, flags: Flags) now stat::sys_fchownat, full;
    261 futimesat(dirfd: i32, path: UserStr, times: UserIn<[Timeval; 2]>) now stat::sys_futimesat, full;
    262 newfstatat(dirfd: i32, path: UserStr, to: UserOut<Stat>, flags: Flags) now stat::sys_newfstatat, full;
    268 fchmodat(dirfd: i32, path: UserStr, mode: u32) now stat::sys_fchmodat, full;
    269 faccessat(dirfd: i32, path: UserStr, mode: u32) now stat::sys_faccessat, full;
    280 utimensat(dirfd: i32, path: UserStr, times: UserIn<[Timespec; 2]>, flags: Flags) now stat::sys_utimensat, full;
    332 statx(dirfd: i32, path: UserStr, flags: Flags, mask: Flags, to: UserOut<Statx>) now stat::sys_statx, full;
    439 faccessat2(dirfd: i32, path: UserStr, mode: u32, flags: Flags) now stat::sys_faccessat2, full;

    // stat: extended attributes
    188 setxattr(path: UserStr, name: UserStr, value: Pointer, size: u64, flags: Flags) now xattr::sys_setxattr, full;
    189 lsetxattr(path: UserStr, name: UserStr, value: Pointer, size: u64, flags: Flags) now xattr::sys_lsetxattr, full;
    190 fsetxattr(fd: i32, name: UserStr, value: Pointer, size: u64, flags: Flags) now xattr::sys_fsetxattr, full;
    191 getxattr(path: UserStr, name: UserStr, buffer: Pointer, size: usize) now xattr::sys_getxattr, full;
    192 lgetxattr(path: UserStr, name: UserStr, buffer: Pointer, size: usize) now xattr::sys_lgetxattr, full;
    193 fgetxattr(fd: i32, name: UserStr, buffer: Pointer, size: usize) now xattr::sys_fgetxattr, full;
    194 listxattr(path: UserStr, buffer: Pointer, size: usize) now xattr::sys_listxattr, full;
    195 llistxattr(path: UserStr, buffer: Pointer, size: usize) now xattr::sys_llistxattr, full;
    196 flistxattr(fd: i32, buffer: Pointer, size: usize) now xattr::sys_flistxattr, full;
    197 removexattr(path: UserStr, name: UserStr) now xattr::sys_removexattr, full;
    198 lremovexattr(path: UserStr, name: UserStr) now xattr::sys_lremovexattr, full;
    199 fremovexattr(fd: i32, name: UserStr) now xattr::sys_fremovexattr, full;

    // file: from file to file
    40 sendfile(to: i32, from: i32, offset: UserOut<i64>, count: usize) boxed copy::sys_sendfile, full;
    326 copy_file_range(from: i32, from_offset: UserOut<i64>, to: i32, to_offset: UserOut<i64>, len: usize, flags: Flags)
        boxed copy::sys_copy_file_range, full;

    // inotify
    253 inotify_init() now inotify::sys_inotify_init, full;
    254 inotify_add_watch(fd: i32, path: UserStr, mask: Flags) now inotify::sys_inotify_add_watch, full;
    255 inotify_rm_watch(fd: i32, watch: i32) now inotify::sys_inotify_rm_watch, full;
    294 inotify_init1(flags: Flags) now inotify::sys_inotify_init1, full;

    // mount
    165 mount(source: UserStr, target: UserStr, kind: UserStr, flags: u64, data: Pointer) now mount::sys_mount, partial "one namespace, nothing propagates";
    166 umount2(target: UserStr, flags: Flags) now mount::sys_umount2, full;
    139 sysfs(option: i32, first: u64, second: Pointer) now mount::sys_sysfs, full;
    319 memfd_create(name: UserStr, flags: Flags) now mount::sys_memfd_create, partial "no huge pages";

    // pipe, eventfd
    22 pipe(fds: UserOut<[i32; 2]>) now pipe::sys_pipe, full;
    293 pipe2(fds: UserOut<[i32; 2]>, flags: Flags) now pipe::sys_pipe2, partial "no O_NOTIFICATION_PIPE";
    275 splice(from: i32, from_offset: Pointer, to: i32, to_offset: Pointer, len: usize, flags: Flags) boxed pipe::sys_splice,
        full;
    276 tee(from: i32, to: i32, len: usize, flags: Flags) boxed pipe::sys_tee, full;
    278 vmsplice(fd: i32, vector: Pointer, count: usize, flags: Flags) boxed pipe::sys_vmsplice,
        partial "copies the bytes: SPLICE_F_GIFT has no effect";
    284 eventfd(count: u32) now pipe::sys_eventfd, full;
    290 eventfd2(count: u32, flags: Flags) now pipe::sys_eventfd2, full;
    283 timerfd_create(clock: i32, flags: Flags) now timerfd::sys_timerfd_create, full;
    286 timerfd_settime(fd: i32, flags: Flags, new: UserIn<Itimerspec>, old: UserOut<Itimerspec>)
        now timerfd::sys_timerfd_settime, full;
    287 timerfd_gettime(fd: i32, current: UserOut<Itimerspec>) now timerfd::sys_timerfd_gettime, full;

    // poll, epoll
    7 poll(fds: Pointer, count: u32, timeout: i32) boxed poll::sys_poll [poll::poll_at_once], full;
    271 ppoll(fds: Pointer, count: u32, timeout: Pointer, mask: Pointer, mask_bytes: usize) boxed poll::sys_ppoll, full;
    23 select(count: i32, read: Pointer, write: Pointer, except: Pointer, timeout: Pointer) boxed poll::sys_select, full;
    270 pselect6(count: i32, read: Pointer, write: Pointer, except: Pointer, timeout: Pointer, mask: UserIn<SigsetArgpack>)
        boxed poll::sys_pselect6, full;
    213 epoll_create(size: i32) now epoll::sys_epoll_create, full;
    291 epoll_create1(flags: Flags) now epoll::sys_epoll_create1, full;
    233 epoll_ctl(epoll: i32, operation: u32, fd: i32, event: UserIn<EpollEvent>) now epoll::sys_epoll_ctl, full;
    232 epoll_wait(epoll: i32, events: Pointer, limit: i32, timeout: i32)
        wait epoll::sys_epoll_wait [epoll::epoll_wait_at_once], full;
    281 epoll_pwait(epoll: i32, events: Pointer, limit: i32, timeout: i32, mask: Pointer, mask_bytes: usize)
        wait epoll::sys_epoll_pwait [epoll::epoll_pwait_at_once], full;
    441 epoll_pwait2(epoll: i32, events: Pointer, limit: i32, timeout: Pointer, mask: Pointer, mask_bytes: usize)
        boxed epoll::sys_epoll_pwait2, full;

    // System V semaphores and message queues
    64 semget(key: i32, count: i32, flags: Flags) now sysv::sys_semget, full;
    65 semop(id: i32, operations: UserIn<Sembuf>, count: usize) boxed sysv::sys_semop, full;
    220 semtimedop(id: i32, operations: UserIn<Sembuf>, count: usize, timeout: Pointer) boxed sysv::sys_semtimedop, full;
    66 semctl(id: i32, index: i32, command: u32, arg: u64) now sysv::sys_semctl, full;
    68 msgget(key: i32, flags: Flags) now sysv::sys_msgget, full;
    69 msgsnd(id: i32, message: UserIn<i64>, len: usize, flags: Flags) boxed sysv::sys_msgsnd, full;
    70 msgrcv(id: i32, message: UserOut<i64>, len: usize, kind: i64, flags: Flags) boxed sysv::sys_msgrcv,
        full;
    71 msgctl(id: i32, command: u32, arg: u64) now sysv::sys_msgctl, full;

    // mqueue
    240 mq_open(name: UserStr, flags: u32, mode: u32, attributes: UserIn<MqAttr>) now mqueue::sys_mq_open, full;
    241 mq_unlink(name: UserStr) now mqueue::sys_mq_unlink, full;
    242 mq_timedsend(fd: i32, text: Pointer, len: usize, priority: u32, timeout: UserIn<Timespec>)
        boxed mqueue::sys_mq_timedsend, partial "waiters are served in order of arrival, whatever their priority";
    243 mq_timedreceive(fd: i32, text: Pointer, len: usize, priority: UserOut<u32>, timeout: UserIn<Timespec>)
        boxed mqueue::sys_mq_timedreceive, partial "as mq_timedsend";
    244 mq_notify(fd: i32, event: UserIn<SigEvent>) now mqueue::sys_mq_notify, partial "no SIGEV_THREAD: it takes a netlink socket";
    245 mq_getsetattr(fd: i32, new: UserIn<MqAttr>, old: UserOut<MqAttr>) now mqueue::sys_mq_getsetattr, full;

    // socket
    41 socket(family: u32, kind: u32, protocol: u32) now socket::sys_socket, partial "AF_UNIX, and AF_INET and AF_INET6 over loopback alone; no raw sockets";
    53 socketpair(family: u32, kind: u32, protocol: u32, fds: UserOut<[i32; 2]>) now socket::sys_socketpair, full;
    49 bind(fd: i32, address: Pointer, len: i32) now socket::sys_bind, full;
    50 listen(fd: i32, backlog: i32) now socket::sys_listen, full;
    43 accept(fd: i32, address: Pointer, len: Pointer) boxed socket::sys_accept, full;
    288 accept4(fd: i32, address: Pointer, len: Pointer, flags: Flags) boxed socket::sys_accept4, full;
    42 connect(fd: i32, address: Pointer, len: i32) boxed socket::sys_connect, full;
    51 getsockname(fd: i32, address: Pointer, len: Pointer) now socket::sys_getsockname, full;
    52 getpeername(fd: i32, address: Pointer, len: Pointer) now socket::sys_getpeername, full;
    48 shutdown(fd: i32, how: u32) now socket::sys_shutdown, full;
    54 setsockopt(fd: i32, level: u32, option: u32, value: Pointer, len: i32) now sockopt::sys_setsockopt,
        partial "SO_PEEK_OFF, SO_TIMESTAMP and filters are not there; TCP_INFO and TCP_CONGESTION neither; those of IP and TCP are only kept";
    55 getsockopt(fd: i32, level: u32, option: u32, value: Pointer, len: UserIn<i32>) now sockopt::sys_getsockopt,
        partial "of the levels of IP and TCP numbers alone; no TCP_INFO or TCP_CONGESTION";
    44 sendto(fd: i32, buffer: Pointer, len: usize, flags: Flags, address: Pointer, address_len: i32)
        boxed message::sys_sendto, partial "no MSG_OOB";
    45 recvfrom(fd: i32, buffer: Pointer, len: usize, flags: Flags, address: Pointer, address_len: Pointer)
        boxed message::sys_recvfrom, partial "no MSG_OOB";
    46 sendmsg(fd: i32, message: UserIn<Msghdr>, flags: Flags) boxed message::sys_sendmsg, partial "no MSG_OOB";
    47 recvmsg(fd: i32, message: UserIn<Msghdr>, flags: Flags) boxed message::sys_recvmsg, partial "no MSG_OOB";
    307 sendmmsg(fd: i32, messages: UserIn<Mmsghdr>, count: u32, flags: Flags) boxed message::sys_sendmmsg,
        partial "no MSG_OOB";
    299 recvmmsg(fd: i32, messages: UserIn<Mmsghdr>, count: u32, flags: Flags, timeout: UserIn<Timespec>)
        boxed message::sys_recvmmsg, partial "no MSG_OOB";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_and_name_appears_once() {
        for (index, row) in SUPPORT.iter().enumerate() {
            for other in &SUPPORT[index + 1..] {
                assert!(row.number != other.number && row.name != other.name, "{row:?} and {other:?}");
            }
        }
    }
}
