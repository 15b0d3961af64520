// only: rustos
// timeout: 60
// alone: it kills every other process
/* Random system calls from processes of two threads each: whatever becomes of them, they can be killed and waited for, and
 * the machine lives on. A run is bounded and repeats by its seed: FUZZ_SEED (default 1) and FUZZ_ROUNDS (processes, default
 * 60) come from the environment, with PASS=FUZZ_SEED,FUZZ_ROUNDS. It would do harm on a machine that one needs. */
#include "test.h"
#include "linux.h"
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

/* The kinds of arguments of a call, in order: f descriptor, p pointer to anything, s path, l length, n small number,
 * g flags, d process, k signal, o offset, t pointer to a time, v pointer to an iovec, x any of those. */
static const struct call {
	short number;
	const char *kinds;
} calls[] = {
	{SYS_read, "fpl"}, {SYS_write, "fpl"}, {SYS_open, "sgn"}, {SYS_close, "f"}, {SYS_stat, "sp"}, {SYS_fstat, "fp"},
	{SYS_lstat, "sp"}, {SYS_poll, "pnn"}, {SYS_lseek, "fon"}, {SYS_mmap, "plggfo"}, {SYS_mprotect, "plg"},
	{SYS_munmap, "pl"}, {SYS_brk, "p"}, {SYS_rt_sigaction, "kppn"}, {SYS_rt_sigprocmask, "nppn"}, {SYS_ioctl, "fxp"},
	{SYS_pread64, "fplo"}, {SYS_pwrite64, "fplo"}, {SYS_readv, "fvn"}, {SYS_writev, "fvn"}, {SYS_access, "sg"},
	{SYS_pipe, "p"}, {SYS_select, "npppt"}, {SYS_sched_yield, ""}, {SYS_mremap, "pllgp"}, {SYS_msync, "plg"},
	{SYS_mincore, "plp"}, {SYS_madvise, "pln"}, {SYS_shmget, "nlg"}, {SYS_shmat, "npg"}, {SYS_shmctl, "nnp"},
	{SYS_dup, "f"}, {SYS_dup2, "ff"}, {SYS_pause, ""}, {SYS_nanosleep, "tp"}, {SYS_getitimer, "np"}, {SYS_alarm, "n"},
	{SYS_setitimer, "npp"}, {SYS_getpid, ""}, {SYS_sendfile, "ffpl"}, {SYS_socket, "nnn"}, {SYS_connect, "fpl"},
	{SYS_accept, "fpp"}, {SYS_sendto, "fplgpl"}, {SYS_recvfrom, "fplgpp"}, {SYS_sendmsg, "fpg"}, {SYS_recvmsg, "fpg"},
	{SYS_shutdown, "fn"}, {SYS_bind, "fpl"}, {SYS_listen, "fn"}, {SYS_getsockname, "fpp"}, {SYS_getpeername, "fpp"},
	{SYS_socketpair, "nnnp"}, {SYS_setsockopt, "fnnpl"}, {SYS_getsockopt, "fnnpp"}, {SYS_wait4, "dpgp"},
	{SYS_kill, "dk"}, {SYS_uname, "p"}, {SYS_semget, "nng"}, {SYS_semop, "npn"}, {SYS_semctl, "nnnp"}, {SYS_shmdt, "p"},
	{SYS_msgget, "ng"}, {SYS_msgsnd, "nplg"}, {SYS_msgrcv, "nplng"}, {SYS_msgctl, "nnp"}, {SYS_fcntl, "fnx"},
	{SYS_flock, "fg"}, {SYS_fsync, "f"}, {SYS_truncate, "so"}, {SYS_ftruncate, "fo"}, {SYS_getdents, "fpl"},
	{SYS_getcwd, "pl"}, {SYS_chdir, "s"}, {SYS_fchdir, "f"}, {SYS_rename, "ss"}, {SYS_mkdir, "sn"}, {SYS_rmdir, "s"},
	{SYS_creat, "sn"}, {SYS_link, "ss"}, {SYS_unlink, "s"}, {SYS_symlink, "ss"}, {SYS_readlink, "spl"},
	{SYS_chmod, "sn"}, {SYS_fchmod, "fn"}, {SYS_chown, "snn"}, {SYS_umask, "n"}, {SYS_gettimeofday, "pp"},
	{SYS_getrlimit, "np"}, {SYS_getrusage, "np"}, {SYS_sysinfo, "p"}, {SYS_times, "p"}, {SYS_ptrace, "ndpp"},
	{SYS_syslog, "npl"}, {SYS_setpgid, "dd"}, {SYS_setsid, ""}, {SYS_getgroups, "np"}, {SYS_setgroups, "np"},
	{SYS_setresuid, "nnn"}, {SYS_getpgid, "d"}, {SYS_capget, "pp"}, {SYS_capset, "pp"}, {SYS_rt_sigpending, "pn"},
	{SYS_rt_sigtimedwait, "pptn"}, {SYS_rt_sigqueueinfo, "dkp"}, {SYS_rt_sigsuspend, "pn"}, {SYS_sigaltstack, "pp"},
	{SYS_rt_sigreturn, ""},
	{SYS_utime, "sp"}, {SYS_mknod, "snn"}, {SYS_personality, "x"}, {SYS_statfs, "sp"}, {SYS_fstatfs, "fp"},
	{SYS_getpriority, "nd"}, {SYS_setpriority, "ndn"}, {SYS_sched_setparam, "dp"}, {SYS_sched_getparam, "dp"},
	{SYS_sched_setscheduler, "dnp"}, {SYS_sched_rr_get_interval, "dp"}, {SYS_mlock, "pl"}, {SYS_munlock, "pl"},
	{SYS_mlockall, "g"}, {SYS_munlockall, ""}, {SYS_prctl, "nxxxx"}, {SYS_arch_prctl, "xp"}, {SYS_chroot, "s"},
	{SYS_sync, ""}, {SYS_mount, "sspgp"}, {SYS_umount2, "sg"}, {SYS_gettid, ""}, {SYS_readahead, "fol"},
	{SYS_setxattr, "sspln"}, {SYS_fsetxattr, "fspln"}, {SYS_getxattr, "sspl"}, {SYS_listxattr, "spl"},
	{SYS_removexattr, "ss"}, {SYS_tkill, "dk"}, {SYS_futex, "pnntpn"}, {SYS_sched_setaffinity, "dlp"},
	{SYS_sched_getaffinity, "dlp"}, {SYS_epoll_create, "n"}, {SYS_getdents64, "fpl"}, {SYS_set_tid_address, "p"},
	{SYS_semtimedop, "npnt"}, {SYS_fadvise64, "fooo"}, {SYS_timer_create, "npp"}, {SYS_timer_settime, "nnpp"},
	{SYS_timer_gettime, "np"}, {SYS_timer_getoverrun, "n"}, {SYS_timer_delete, "n"}, {SYS_clock_gettime, "np"},
	{SYS_clock_getres, "np"}, {SYS_clock_nanosleep, "nntp"}, {SYS_epoll_wait, "fpnn"}, {SYS_epoll_ctl, "fnfp"},
	{SYS_tgkill, "ddk"}, {SYS_utimes, "sp"}, {SYS_mq_open, "sgnp"}, {SYS_mq_unlink, "s"}, {SYS_mq_timedsend, "fplnt"},
	{SYS_mq_timedreceive, "fplpt"}, {SYS_mq_notify, "fp"}, {SYS_mq_getsetattr, "fpp"}, {SYS_waitid, "ndpgp"},
	{SYS_inotify_init, ""}, {SYS_inotify_add_watch, "fsg"}, {SYS_inotify_rm_watch, "fn"}, {SYS_openat, "fsgn"},
	{SYS_mkdirat, "fsn"}, {SYS_mknodat, "fsnn"}, {SYS_fchownat, "fsnng"}, {SYS_newfstatat, "fspg"},
	{SYS_unlinkat, "fsg"}, {SYS_renameat, "fsfs"}, {SYS_linkat, "fsfsg"}, {SYS_symlinkat, "sfs"},
	{SYS_readlinkat, "fspl"}, {SYS_fchmodat, "fsn"}, {SYS_faccessat, "fsn"}, {SYS_pselect6, "nppptp"},
	{SYS_ppoll, "pntpn"}, {SYS_set_robust_list, "pn"}, {SYS_get_robust_list, "dpp"}, {SYS_splice, "fpfplg"},
	{SYS_tee, "fflg"}, {SYS_sync_file_range, "foog"}, {SYS_vmsplice, "fvng"}, {SYS_utimensat, "fspg"},
	{SYS_epoll_pwait, "fpnnpn"}, {SYS_signalfd, "fpn"}, {SYS_timerfd_create, "ng"}, {SYS_eventfd, "n"},
	{SYS_fallocate, "fgoo"}, {SYS_timerfd_settime, "fgpp"}, {SYS_timerfd_gettime, "fp"}, {SYS_accept4, "fppg"},
	{SYS_signalfd4, "fpng"}, {SYS_eventfd2, "ng"}, {SYS_epoll_create1, "g"}, {SYS_dup3, "ffg"}, {SYS_pipe2, "pg"},
	{SYS_inotify_init1, "g"}, {SYS_preadv, "fvno"}, {SYS_pwritev, "fvno"}, {SYS_rt_tgsigqueueinfo, "ddkp"},
	{SYS_recvmmsg, "fpngt"}, {SYS_prlimit64, "dnpp"}, {SYS_name_to_handle_at, "fsppg"}, {SYS_open_by_handle_at, "fpg"},
	{SYS_syncfs, "f"}, {SYS_sendmmsg, "fpng"}, {SYS_setns, "fg"}, {SYS_getcpu, "pp"},
	{SYS_process_vm_readv, "dvnvng"}, {SYS_process_vm_writev, "dvnvng"}, {SYS_kcmp, "ddnxx"},
	{SYS_sched_setattr, "dpg"}, {SYS_sched_getattr, "dplg"}, {SYS_renameat2, "fsfsg"}, {SYS_seccomp, "ngp"},
	{SYS_getrandom, "plg"}, {SYS_memfd_create, "sg"}, {SYS_execveat, "fsppg"}, {SYS_membarrier, "ngn"},
	{SYS_mlock2, "plg"}, {SYS_copy_file_range, "fpfplg"}, {SYS_preadv2, "fvnong"}, {SYS_pwritev2, "fvnong"},
	{SYS_statx, "fsggp"}, {SYS_pidfd_send_signal, "fkpg"}, {SYS_pidfd_open, "dg"}, {SYS_clone3, "pl"}, {SYS_close_range, "ffg"}, {437, "fspl"}, {438, "ffg"},
	{439, "fsng"}, {440, "fvnng"}, {441, "fpntpn"}, {449, "pngtn"}, {SYS_fork, ""}, {SYS_vfork, ""},
	{SYS_unshare, "g"}, {SYS_getpgrp, ""}, {SYS_remap_file_pages, "plgog"}, {SYS_fgetxattr, "fspl"},
	{SYS_flistxattr, "fpl"}, {SYS_lchown, "snn"}, {SYS_fchown, "fnn"}, {SYS_futimesat, "fsp"},
};
#define CALLS (sizeof calls / sizeof *calls)

static const char *const paths[] = {
	"a", "b", "d", "d/a", "d/d", "./d/../a", "link", "loop", "loop/x", "dangling", "fifo", "socket", "", "/", ".", "..",
	"/proc/self/maps", "/proc/self/fd", "/proc/self/fd/3", "/proc/self/mem", "/proc/self/status", "/proc/1/stat", "/proc",
	"/proc/self/exe", "/proc/self/task", "/proc/self/comm", "/proc/self/oom_score_adj", "/proc/sys/kernel/pid_max",
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/ptmx", "/dev/pts", "/dev/tty", "/dev/shm/x", "/dev/fd/0",
	"mount", "mount/a", "tmpfs", "proc", "/q", "user.x", "trusted.y", "a/", "d/", "nothing/there",
};

static int keeper, null;
static unsigned *made; /* how often each call was made, to be told of if asked */
static _Atomic uint64_t state;
static char *shared, *readable, *hole, *edge; /* pages to read and write, to read, none, and the end of a mapped one */
static char long_path[5000];

static uint64_t draw(void) {
	uint64_t z = state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t limit) {
	return draw() % limit;
}

static uint64_t odd_number(void) {
	static const uint64_t odd[] = {
		0, 1, -1ul, -2ul, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 4095, 4096, 4097,
		0x7ffffffff000, 0x800000000000, 0xffff800000000000, -4095ul, -4096ul, 1ul << 40, 1ul << 46,
	};
	return below(4) ? odd[below(sizeof odd / sizeof *odd)] : draw() >> below(64);
}

static uint64_t pointer(void) {
	switch (below(16)) {
	case 0: return odd_number();
	case 1: return (uintptr_t)readable + below(4096);
	case 2: return (uintptr_t)hole + below(3) * 2048;
	case 3: return (uintptr_t)edge - below(64);
	case 4: return 0;
	case 5: return (uintptr_t)shared + below(65536);
	default: return (uintptr_t)shared + below(16) * 4096;
	}
}

/* Words that look like what a call may want: small numbers, descriptors, pointers to more of the same. */
static uint64_t fill(void) {
	uint64_t *words = (uint64_t *)(shared + below(16) * 4096);
	for (int i = 0; i < 24; i++) {
		switch (below(6)) {
		case 0: words[i] = below(8); break;
		case 1: words[i] = pointer(); break;
		case 2: words[i] = below(32) | below(64) << 32; break;
		case 3: words[i] = odd_number(); break;
		case 4: words[i] = 0; break;
		default: words[i] = 1ul << below(64); break;
		}
	}
	return (uintptr_t)words;
}

static uint64_t vector(void) {
	uint64_t *words = (uint64_t *)(shared + below(16) * 4096);
	for (int i = 0; i < 16; i++) {
		words[2 * i] = pointer();
		words[2 * i + 1] = below(8) ? below(10000) : odd_number();
	}
	return (uintptr_t)words;
}

static uint64_t instant(void) {
	uint64_t *words = (uint64_t *)(shared + below(16) * 4096 + 2048);
	words[0] = below(8) ? 0 : odd_number();
	words[1] = below(8) ? below(1000000) : odd_number();
	return (uintptr_t)words;
}

static uint64_t argument(char kind) {
	if (!below(24)) kind = "fpslngdkotvx"[below(12)];
	switch (kind) {
	case 'f': return below(12) ? below(40) : below(2) ? (uint64_t)-100 : odd_number();
	case 'p': return below(2) ? fill() : pointer();
	case 's': return below(24) ? (uintptr_t)paths[below(sizeof paths / sizeof *paths)] : below(2) ? pointer() : (uintptr_t)long_path + below(5000);
	case 'l': return below(4) ? below(3) ? below(300) : below(40) * 4096 : odd_number();
	case 'n': return below(8) ? below(24) : odd_number();
	case 'g': return below(4) ? below(64) : below(2) ? 1ul << below(32) | 1ul << below(32) : draw();
	case 'd': return below(3) ? (uint64_t)getpid() : below(2) ? below(400) : odd_number();
	case 'k': return below(66);
	case 'o': return below(3) ? below(100000) : odd_number();
	case 't': return below(4) ? instant() : below(2) ? 0 : pointer();
	case 'v': return below(4) ? vector() : pointer();
	default: return argument("fpslngdkotv"[below(11)]);
	}
}

/* The first processes, the last of which keeps the score, are left in peace. */
static int may_harm_the_keeper(long number, const uint64_t *values) {
	int first = (int)values[0], second = (int)values[1];
	switch (number) {
	case SYS_process_vm_writev: case SYS_prlimit64: case SYS_sched_setscheduler: case SYS_sched_setattr:
	case SYS_sched_setparam: case SYS_sched_setaffinity: case SYS_tkill: case SYS_rt_sigqueueinfo:
	case SYS_tgkill: case SYS_rt_tgsigqueueinfo: case SYS_pidfd_open:
		return first > 0 && first <= keeper;
	case SYS_kill: return first == -1 || (first <= keeper && first >= -keeper && first);
	case SYS_ptrace: case SYS_setpriority: return second > 0 && second <= keeper;
	case SYS_fcntl: return second == 8 || second == 15; /* F_SETOWN: signals by way of a descriptor */
	default: return 0;
	}
}

/* Calls that soon leave a process with nothing to fuzz are made now and then only. */
static int is_deadly(long number) {
	switch (number) {
	case SYS_kill: case SYS_tkill: case SYS_tgkill: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo:
	case SYS_pidfd_send_signal: case SYS_munmap: case SYS_mremap: case SYS_mprotect: case SYS_mmap: case SYS_seccomp:
	case SYS_prlimit64: case SYS_rt_sigreturn: case SYS_clone3: case SYS_vfork: case SYS_chroot: case SYS_ptrace:
	case SYS_close_range: case SYS_umount2: case SYS_shmat: case SYS_madvise: case SYS_remap_file_pages:
	case SYS_timer_settime: case SYS_brk: case SYS_pause: case SYS_rt_sigsuspend: case SYS_rt_sigaction:
	case SYS_arch_prctl: case SYS_prctl: case SYS_setresuid: case SYS_setitimer: case SYS_alarm: case SYS_sigaltstack:
	case SYS_fork: case SYS_rt_sigprocmask: case SYS_execveat: case SYS_close:
		return 1;
	default: return 0;
	}
}

static void *make_calls(void *none) {
	(void)none;
	for (int count = 0; count < 4000; count++) {
		const struct call *call = &calls[below(CALLS)];
		uint64_t values[6] = {0};
		for (int i = 0; call->kinds[i]; i++) values[i] = argument(call->kinds[i]);
		if (may_harm_the_keeper(call->number, values)) continue;
		if (is_deadly(call->number) && below(call->number == SYS_vfork || call->number == SYS_clone3 ? 200 : 20)) continue;
		if (made) made[call - calls]++;
		long result = syscall(call->number, values[0], values[1], values[2], values[3], values[4], values[5]);
		if (call->number == SYS_fork && !result && below(2)) _exit(0);
	}
	return NULL;
}

static void on_alarm(int signal) {
	(void)signal;
}

/* Of TCP: one that listens, one that is connected to it, one that is not; and one of UDP that is connected to itself. */
static void open_internet_sockets(void) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *any = (struct sockaddr *)&address;
	for (int kind = SOCK_STREAM; kind <= SOCK_DGRAM; kind++) {
		int bound = socket(AF_INET, kind, 0), other = kind == SOCK_STREAM ? socket(AF_INET, kind, 0) : bound;
		socklen_t length = sizeof address;
		address.sin_port = 0;
		bind(bound, any, sizeof address);
		listen(bound, 4);
		getsockname(bound, any, &length);
		connect(other, any, length);
	}
	socket(AF_INET6, SOCK_STREAM, 0);
}

/* Descriptors of every kind, files of every kind, and a ticking clock that ends what would wait for ever. */
static void prepare(int round) {
	int fds[2];
	char folder[32];
	snprintf(folder, sizeof folder, "/tmp/fuzz%d", round);
	mkdir(folder, 0777);
	if (chdir(folder)) _exit(1);
	for (int fd = 0; fd < 3; fd++) dup2(null, fd);
	int file = open("a", O_RDWR | O_CREAT, 0666);
	ftruncate(file, 20000);
	open("b", O_RDWR | O_CREAT | O_APPEND, 0666);
	mkdir("d", 0777);
	mkdir("mount", 0777);
	mknod("fifo", S_IFIFO | 0666, 0);
	symlink("a", "link");
	symlink("loop", "loop");
	symlink("nowhere", "dangling");
	open("d", O_RDONLY | O_DIRECTORY);
	open("fifo", O_RDWR | O_NONBLOCK);
	open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	open("/proc/self/maps", O_RDONLY);
	open("/dev/zero", O_RDWR);
	open("/dev/ptmx", O_RDWR | O_NOCTTY);
	open("a", O_PATH);
	pipe2(fds, round & 1 ? O_NONBLOCK : 0);
	for (int kind = SOCK_STREAM; kind <= SOCK_DGRAM; kind++) socketpair(AF_UNIX, kind, 0, fds);
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds);
	socket(AF_UNIX, SOCK_STREAM, 0);
	open_internet_sockets();
	syscall(SYS_mq_open, "fuzz", O_RDWR | O_CREAT, 0666, NULL);
	eventfd(1, 0);
	epoll_create1(0);
	timerfd_create(CLOCK_MONOTONIC, 0);
	inotify_init1(0);
	sigset_t all;
	sigfillset(&all);
	signalfd(-1, &all, 0);
	memfd_create("m", MFD_ALLOW_SEALING);
	mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* between what is scribbled on and the rest */
	shared = mmap(NULL, 1 << 17, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	readable = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, file, 0);
	hole = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	edge = (char *)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
	mprotect(edge, 4096, PROT_NONE);
	struct rlimit limit = {64, 64};
	setrlimit(RLIMIT_NPROC, &limit);
	struct sigaction action = {.sa_handler = on_alarm};
	for (int signal = 1; signal < SIGRTMIN; signal++)
		if (signal != SIGSEGV && signal != SIGBUS && signal != SIGILL) sigaction(signal, &action, NULL);
	struct itimerval tick = {{0, 3000}, {0, 3000}};
	setitimer(ITIMER_REAL, &tick, NULL);
}

static void child(uint64_t seed, int round) {
	state = seed * 1000003 + round;
	setsid();
	prepare(round);
	if (round % 3 == 2) setresuid(1000, 1000, 1000);
	pthread_t other;
	pthread_create(&other, NULL, make_calls, NULL);
	make_calls(NULL);
	_exit(0);
}

static void show(const char *pid, const char *name) {
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
	int fd = open(path, O_RDONLY);
	ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (length > 0) dprintf(2, "%s: %.*s\n", path, (int)length, text);
	close(fd);
}

/* Who is left, and what it waits in. */
static void show_processes(void) {
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	while (folder && (entry = readdir(folder))) {
		if (atoi(entry->d_name) <= keeper) continue;
		show(entry->d_name, "stat");
		show(entry->d_name, "wchan");
	}
	if (folder) closedir(folder);
}

/* Kills everything but the first process, and waits until nothing is left. */
static void reap(void) {
	for (int tries = 0;; tries++) {
		kill(-1, SIGKILL);
		int ended;
		while ((ended = waitpid(-1, NULL, WNOHANG)) > 0);
		if (ended < 0) return;
		if (tries == 5000) show_processes();
		CHECK(tries < 5000);
		sleep_ms(1);
	}
}

TEST(random_calls_harm_nobody_else) {
	const char *text = getenv("FUZZ_SEED");
	uint64_t seed = text ? strtoul(text, NULL, 0) : 1;
	int rounds = (text = getenv("FUZZ_ROUNDS")) ? atoi(text) : 60, verbose = text != NULL;
	keeper = getpid();
	null = open("/dev/null", O_RDWR);
	CHECK(null >= 0);
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	int most_mounts = open("/proc/sys/fs/mount-max", O_WRONLY);
	CHECK_EQ(write(most_mounts, "300", 3), 3); /* trees copied into themselves double, and every look at them costs */
	close(most_mounts);
	memset(long_path, 'n', sizeof long_path - 1);
	for (int i = 200; i < 5000; i += 200) long_path[i] = '/';
	if (verbose) made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int round = 0; round < rounds; round++) {
		if (verbose) dprintf(2, "round %d\n", round);
		pid_t pid = fork();
		if (!pid) child(seed, round);
		CHECK_EQ(pid > 0 ? 0 : errno, 0);
		for (int tries = 0; tries < 200 && !waitpid(pid, NULL, WNOHANG); tries++) sleep_ms(1);
		TRY(reap());
	}
	for (size_t i = 0; made && i < CALLS; i++) dprintf(2, "%d: %u\n", calls[i].number, made[i]);
}
