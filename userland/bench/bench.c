/*
 * The benchmarks behind `just bench`: what an operation costs, in ticks of the time stamp counter.
 *
 * Under `-icount shift=0` a tick is a guest instruction, so one CPU's figures repeat; otherwise it is time. The
 * program is the same on RustOS and on Linux, and needs no files but /dev/zero and /dev/null.
 *
 *     bench            every line of one CPU
 *     bench two        the lines of two CPUs, each thread pinned to one
 *     bench NAME…      these lines alone
 *     bench hello      says so: the boot is over
 *
 * A line of output is `name ticks`, or `name -` if the system refuses what the line needs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define REFUSED (-1.0)
#define PAGE 4096

/* Ticks an operation: WORK run COUNT times after a tenth as many to warm up. */
#define TICKS(COUNT, WORK)                                        \
	({                                                            \
		long count_ = (COUNT), i;                                 \
		for (i = 0; i < count_ / 10 + 1; i++) { WORK; }           \
		uint64_t start_ = __rdtsc();                              \
		for (i = 0; i < count_; i++) { WORK; }                    \
		(double)(__rdtsc() - start_) / (double)count_;            \
	})

static char page[PAGE];
static const char *self;

/* Pins the calling thread to CPU `cpu`, if the benchmark runs on two. */
static int on_two;
static void pin(int cpu) {
	cpu_set_t set;
	if (!on_two) return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

/* --- system calls --------------------------------------------------------------------------------------------- */

static double null_syscall(void) { return TICKS(10000, syscall(SYS_getppid)); }

static double read_zero_byte(void) {
	int fd = open("/dev/zero", O_RDONLY);
	if (fd < 0) return REFUSED;
	double ticks = TICKS(5000, if (read(fd, page, 1) != 1) return REFUSED);
	close(fd);
	return ticks;
}

static double read_zero_4k(void) {
	int fd = open("/dev/zero", O_RDONLY);
	if (fd < 0) return REFUSED;
	double ticks = TICKS(2000, if (read(fd, page, PAGE) != PAGE) return REFUSED);
	close(fd);
	return ticks;
}

static double write_null_byte(void) {
	int fd = open("/dev/null", O_WRONLY);
	if (fd < 0) return REFUSED;
	double ticks = TICKS(5000, if (write(fd, page, 1) != 1) return REFUSED);
	close(fd);
	return ticks;
}

static double clock_gettime_libc(void) {
	struct timespec now;
	return TICKS(5000, clock_gettime(CLOCK_MONOTONIC, &now));
}

static double clock_gettime_syscall(void) {
	struct timespec now;
	return TICKS(5000, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now));
}

static double getrandom_16(void) { return TICKS(2000, if (getrandom(page, 16, 0) != 16) return REFUSED); }

static double uname_call(void) { return TICKS(2000, syscall(SYS_uname, page)); }

/* --- scheduling ----------------------------------------------------------------------------------------------- */

static double yield_alone(void) { return TICKS(5000, sched_yield()); }

static atomic_int stop;
static void *yielder(void *arg) {
	pin(0);
	while (!atomic_load(&stop)) sched_yield();
	return arg;
}

/* A yield to the other thread and back is two operations. */
static double yield_two_threads(void) {
	pthread_t other;
	pin(0);
	atomic_store(&stop, 0);
	if (pthread_create(&other, NULL, yielder, NULL)) return REFUSED;
	double ticks = TICKS(5000, sched_yield());
	atomic_store(&stop, 1);
	pthread_join(other, NULL);
	return ticks / 2;
}

static long futex(atomic_uint *word, int op, unsigned value) {
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static double futex_wake_nobody(void) {
	static atomic_uint word;
	return TICKS(5000, futex(&word, FUTEX_WAKE, 1));
}

static atomic_uint ball;
#define ROUNDS 2000
static void await_turn(unsigned turn) {
	for (unsigned seen; (seen = atomic_load(&ball)) % 2 != turn;) futex(&ball, FUTEX_WAIT, seen);
}
static void *futex_ponger(void *arg) {
	pin(on_two);
	for (int i = 0; i < ROUNDS; i++) {
		await_turn(1);
		atomic_fetch_add(&ball, 1);
		futex(&ball, FUTEX_WAKE, 1);
	}
	return arg;
}

/* A round trip: two wakes, two waits, two switches. */
static double futex_ping_pong(void) {
	pthread_t other;
	pin(0);
	atomic_store(&ball, 0);
	if (pthread_create(&other, NULL, futex_ponger, NULL)) return REFUSED;
	uint64_t start = __rdtsc();
	for (int i = 0; i < ROUNDS; i++) {
		await_turn(0);
		atomic_fetch_add(&ball, 1);
		futex(&ball, FUTEX_WAKE, 1);
	}
	await_turn(0);
	uint64_t ticks = __rdtsc() - start;
	pthread_join(other, NULL);
	return (double)ticks / ROUNDS;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static int turn;
static void take_turns(int mine) {
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != mine) pthread_cond_wait(&moved, &mutex);
		turn = !mine;
		pthread_cond_signal(&moved);
		pthread_mutex_unlock(&mutex);
	}
}
static void *turn_taker(void *arg) {
	pin(on_two);
	take_turns(1);
	return arg;
}

/* One hand-over of a mutex and a condition: half a round trip. */
static double mutex_hand_over(void) {
	pthread_t other;
	pin(0);
	turn = 0;
	if (pthread_create(&other, NULL, turn_taker, NULL)) return REFUSED;
	uint64_t start = __rdtsc();
	take_turns(0);
	uint64_t ticks = __rdtsc() - start;
	pthread_join(other, NULL);
	return (double)ticks / (2 * ROUNDS);
}

/* --- threads and processes ------------------------------------------------------------------------------------ */

static void *nothing(void *arg) { return arg; }
static double thread_create_join(void) {
	return TICKS(300, {
		pthread_t thread;
		if (pthread_create(&thread, NULL, nothing, NULL)) return REFUSED;
		pthread_join(thread, NULL);
	});
}

static int reap(pid_t child) {
	siginfo_t info;
	return child > 0 && waitid(P_PID, (id_t)child, &info, WEXITED) == 0 && info.si_status == 0;
}

static double fork_exit_wait(void) {
	return TICKS(100, {
		pid_t child = fork();
		if (child == 0) _exit(0);
		if (!reap(child)) return REFUSED;
	});
}

static double exec_wait(int by_vfork) {
	char *argv[] = {(char *)self, "nothing", NULL}, *envp[] = {NULL};
	return TICKS(30, {
		pid_t child = by_vfork ? vfork() : fork();
		if (child == 0) {
			execve(self, argv, envp);
			_exit(1);
		}
		if (!reap(child)) return REFUSED;
	});
}
static double vfork_exec_wait(void) { return exec_wait(1); }
static double fork_exec_wait(void) { return exec_wait(0); }

/* fork with 64 MiB of pages of its own. */
static double fork_64m_dirty(void) {
	size_t len = 64 << 20;
	char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) return REFUSED;
	for (size_t at = 0; at < len; at += PAGE) memory[at] = 1;
	double ticks = TICKS(3, {
		pid_t child = fork();
		if (child == 0) _exit(0);
		if (!reap(child)) return REFUSED;
	});
	munmap(memory, len);
	return ticks;
}

/* --- pipes, eventfd, signals ---------------------------------------------------------------------------------- */

/* Bounces WRITE/READ over two descriptors with a child process. */
static double bounce(int to[2], int from[2], size_t len) {
	uint64_t value = 1;
	pid_t child = fork();
	if (child < 0) return REFUSED;
	if (child == 0) {
		pin(on_two);
		for (int i = 0; i < ROUNDS; i++)
			if (read(to[0], &value, len) != (ssize_t)len || write(from[1], &value, len) != (ssize_t)len) _exit(1);
		_exit(0);
	}
	pin(0);
	uint64_t start = __rdtsc();
	for (int i = 0; i < ROUNDS; i++)
		if (write(to[1], &value, len) != (ssize_t)len || read(from[0], &value, len) != (ssize_t)len) return REFUSED;
	uint64_t ticks = __rdtsc() - start;
	return reap(child) ? (double)ticks / ROUNDS : REFUSED;
}

static double pipe_ping_pong(void) {
	int to[2], from[2];
	if (pipe(to) || pipe(from)) return REFUSED;
	double ticks = bounce(to, from, 1);
	for (int i = 0; i < 2; i++) close(to[i]), close(from[i]);
	return ticks;
}

static double eventfd_ping_pong(void) {
	int to = eventfd(0, 0), from = eventfd(0, 0);
	if (to < 0 || from < 0) return REFUSED;
	double ticks = bounce((int[]){to, to}, (int[]){from, from}, 8);
	close(to), close(from);
	return ticks;
}

/* 64 KiB written to a pipe and read by a child. */
static double pipe_64k(void) {
	enum { LEN = 65536, COUNT = 100 };
	static char block[LEN];
	int fds[2];
	if (pipe(fds)) return REFUSED;
	pid_t child = fork();
	if (child < 0) return REFUSED;
	if (child == 0) {
		close(fds[1]);
		while (read(fds[0], block, LEN) > 0) {}
		_exit(0);
	}
	close(fds[0]);
	uint64_t start = __rdtsc();
	for (int i = 0; i < COUNT; i++)
		if (write(fds[1], block, LEN) != LEN) return REFUSED;
	close(fds[1]);
	if (!reap(child)) return REFUSED;
	return (double)(__rdtsc() - start) / COUNT;
}

static void ignore(int signal) { (void)signal; }
static double signal_install(void) {
	struct sigaction action = {.sa_handler = ignore};
	return TICKS(2000, if (sigaction(SIGUSR1, &action, NULL)) return REFUSED);
}

static double signal_raise_handle(void) {
	struct sigaction action = {.sa_handler = ignore};
	if (sigaction(SIGUSR1, &action, NULL)) return REFUSED;
	pid_t pid = getpid();
	long tid = syscall(SYS_gettid);
	return TICKS(2000, if (syscall(SYS_tgkill, pid, tid, SIGUSR1)) return REFUSED);
}

/* Two processes that send each other SIGUSR1 and sleep in sigwaitinfo. */
static double signal_ping_pong(void) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid_t parent = getpid(), child = fork();
	if (child < 0) return REFUSED;
	if (child == 0) {
		pin(on_two);
		for (int i = 0; i < ROUNDS; i++)
			if (sigwaitinfo(&set, NULL) != SIGUSR1 || kill(parent, SIGUSR1)) _exit(1);
		_exit(0);
	}
	pin(0);
	uint64_t start = __rdtsc();
	for (int i = 0; i < ROUNDS; i++)
		if (kill(child, SIGUSR1) || sigwaitinfo(&set, NULL) != SIGUSR1) return REFUSED;
	uint64_t ticks = __rdtsc() - start;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return reap(child) ? (double)ticks / ROUNDS : REFUSED;
}

/* --- memory --------------------------------------------------------------------------------------------------- */

#define PAGES 1024
static char *pages(int flags) {
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
	if (memory != MAP_FAILED) madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
	return memory;
}
static double touch_all(char *memory) {
	uint64_t start = __rdtsc();
	for (int i = 0; i < PAGES; i++) ((volatile char *)memory)[i * PAGE] = 1;
	return (double)(__rdtsc() - start) / PAGES;
}

static double touch_new_page(void) {
	char *memory = pages(MAP_PRIVATE);
	if (memory == MAP_FAILED) return REFUSED;
	double ticks = touch_all(memory);
	munmap(memory, PAGES * PAGE);
	return ticks;
}

/* In a child, pages its parent has too. */
static double cow_break(void) {
	char *memory = pages(MAP_PRIVATE);
	double *ticks = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || ticks == MAP_FAILED) return REFUSED;
	touch_all(memory);
	pid_t child = fork();
	if (child == 0) {
		*ticks = touch_all(memory);
		_exit(0);
	}
	double result = reap(child) ? *ticks : REFUSED;
	munmap(memory, PAGES * PAGE);
	munmap(ticks, PAGE);
	return result;
}

/* A page of this program's own file, in the page cache already. */
static double file_map_fault(void) {
	int fd = open(self, O_RDONLY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st)) return REFUSED;
	size_t count = (size_t)st.st_size / PAGE;
	double ticks = 0;
	/* The first round brings in what an initial root file system leaves packed. */
	for (int round = 0; round < 2; round++) {
		char *memory = mmap(NULL, count * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
		if (memory == MAP_FAILED) return REFUSED;
		madvise(memory, count * PAGE, MADV_RANDOM);
		uint64_t start = __rdtsc();
		for (size_t i = 0; i < count; i++) (void)((volatile char *)memory)[i * PAGE];
		ticks = (double)(__rdtsc() - start) / (double)count;
		munmap(memory, count * PAGE);
	}
	close(fd);
	return ticks;
}

static double mmap_munmap_1m(void) {
	return TICKS(500, {
		void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED || munmap(memory, 1 << 20)) return REFUSED;
	});
}

static double mprotect_page(void) {
	char *memory = pages(MAP_PRIVATE);
	if (memory == MAP_FAILED) return REFUSED;
	memory[PAGE] = 1;
	double ticks = TICKS(500, {
		if (mprotect(memory + PAGE, PAGE, PROT_READ)) return REFUSED;
		if (mprotect(memory + PAGE, PAGE, PROT_READ | PROT_WRITE)) return REFUSED;
	});
	munmap(memory, PAGES * PAGE);
	return ticks / 2;
}

/* --- files and readiness -------------------------------------------------------------------------------------- */

static double open_close(void) {
	return TICKS(1000, {
		int fd = open(self, O_RDONLY);
		if (fd < 0) return REFUSED;
		close(fd);
	});
}

static double stat_path(void) {
	struct stat st;
	return TICKS(1000, if (stat(self, &st)) return REFUSED);
}

static double pread_cached_4k(void) {
	int fd = open(self, O_RDONLY);
	if (fd < 0) return REFUSED;
	double ticks = TICKS(1000, if (pread(fd, page, PAGE, 0) != PAGE) return REFUSED);
	close(fd);
	return ticks;
}

static double poll_two_pipes(void) {
	int a[2], b[2];
	if (pipe(a) || pipe(b)) return REFUSED;
	struct pollfd fds[2] = {{a[0], POLLIN, 0}, {b[0], POLLIN, 0}};
	double ticks = TICKS(2000, if (poll(fds, 2, 0) != 0) return REFUSED);
	for (int i = 0; i < 2; i++) close(a[i]), close(b[i]);
	return ticks;
}

static double epoll_wait_ready(void) {
	int epoll = epoll_create1(0), event = eventfd(1, 0);
	struct epoll_event entry = {.events = EPOLLIN};
	if (epoll < 0 || event < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, event, &entry)) return REFUSED;
	double ticks = TICKS(2000, if (epoll_wait(epoll, &entry, 1, 0) != 1) return REFUSED);
	close(epoll), close(event);
	return ticks;
}

/* How much longer than 50 µs a sleep of 50 µs takes, with the least slack. */
static double nanosleep_overshoot(void) {
	struct timespec span = {0, 50000}, before, after;
	prctl(PR_SET_TIMERSLACK, 1L);
	int64_t over = 0;
	for (int i = 0; i < 100; i++) {
		clock_gettime(CLOCK_MONOTONIC, &before);
		if (nanosleep(&span, NULL)) return REFUSED;
		clock_gettime(CLOCK_MONOTONIC, &after);
		over += (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec - span.tv_nsec;
	}
	return (double)over / 100;
}

/* --- memory in use -------------------------------------------------------------------------------------------- */

/* KiB that this first program finds in use, of those that the kernel calls memory. */
static double memory_in_use_kib(void) {
	struct sysinfo info;
	if (sysinfo(&info)) return REFUSED;
	return (double)(info.totalram - info.freeram) * info.mem_unit / 1024;
}

/* The same of a machine's 512 MiB, whatever the kernel calls memory. */
static double memory_not_free_kib(void) {
	struct sysinfo info;
	if (sysinfo(&info)) return REFUSED;
	return (512.0 * (1 << 20) - (double)info.freeram * info.mem_unit) / 1024;
}

/* --- independent work on two CPUs ----------------------------------------------------------------------------- */

enum { SYSCALLS = 200000, FAULTS = 4096 };
static void *make_syscalls(void *arg) {
	pin((int)(intptr_t)arg);
	for (int i = 0; i < SYSCALLS; i++) syscall(SYS_getppid);
	return NULL;
}
static void *make_faults(void *arg) {
	pin((int)(intptr_t)arg);
	for (int round = 0; round < 16; round++) {
		char *memory = mmap(NULL, FAULTS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (int i = 0; i < FAULTS; i++) ((volatile char *)memory)[i * PAGE] = 1;
		munmap(memory, FAULTS * PAGE);
	}
	return NULL;
}

/* The speed of two workers over that of one, in hundredths: 200 is perfect. Each worker is a process. */
static double speedup(void *(*work)(void *)) {
	uint64_t start = __rdtsc();
	work((void *)0);
	double alone = (double)(__rdtsc() - start);
	start = __rdtsc();
	pid_t child = fork();
	if (child == 0) {
		work((void *)1);
		_exit(0);
	}
	work((void *)0);
	if (!reap(child)) return REFUSED;
	return 200 * alone / (double)(__rdtsc() - start);
}
static double two_cpus_syscalls_speedup_x100(void) { return speedup(make_syscalls); }
static double two_cpus_faults_speedup_x100(void) { return speedup(make_faults); }

/* --- the table ------------------------------------------------------------------------------------------------ */

struct line {
	const char *name;
	double (*measure)(void);
};
#define LINE(name) {#name, name}
static const struct line one_cpu[] = {
	LINE(memory_in_use_kib), LINE(memory_not_free_kib),
	LINE(null_syscall), LINE(read_zero_byte), LINE(read_zero_4k), LINE(write_null_byte), LINE(clock_gettime_libc),
	LINE(clock_gettime_syscall), LINE(getrandom_16), LINE(uname_call), LINE(yield_alone), LINE(yield_two_threads),
	LINE(futex_wake_nobody), LINE(futex_ping_pong), LINE(mutex_hand_over), LINE(thread_create_join),
	LINE(fork_exit_wait), LINE(vfork_exec_wait), LINE(fork_exec_wait), LINE(fork_64m_dirty), LINE(pipe_ping_pong),
	LINE(pipe_64k), LINE(eventfd_ping_pong), LINE(signal_install), LINE(signal_raise_handle), LINE(signal_ping_pong),
	LINE(touch_new_page), LINE(cow_break), LINE(file_map_fault), LINE(mmap_munmap_1m), LINE(mprotect_page),
	LINE(open_close), LINE(stat_path), LINE(pread_cached_4k), LINE(poll_two_pipes), LINE(epoll_wait_ready),
	LINE(nanosleep_overshoot),
};
static const struct line two_cpus[] = {
	LINE(futex_ping_pong), LINE(mutex_hand_over), LINE(pipe_ping_pong), LINE(eventfd_ping_pong), LINE(signal_ping_pong),
	LINE(two_cpus_syscalls_speedup_x100), LINE(two_cpus_faults_speedup_x100),
};

static void run(const struct line *lines, size_t count, char **only) {
	for (size_t i = 0; i < count; i++) {
		int wanted = !*only;
		for (char **name = only; *name; name++) wanted |= !strcmp(*name, lines[i].name);
		if (!wanted) continue;
		double ticks = lines[i].measure();
		if (ticks == REFUSED)
			printf("%s -\n", lines[i].name);
		else
			printf("%s %.1f\n", lines[i].name, ticks);
		fflush(stdout);
	}
}

int main(int argc, char **argv) {
	uint64_t begun = __rdtsc();
	if (argc > 1 && !strcmp(argv[1], "nothing")) return 0;
	if (argc > 1 && !strcmp(argv[1], "hello")) return puts("hello") < 0;
	/* As init on Linux it has neither /proc nor device nodes. */
	self = argv[0];
	/* Let what the kernel started at boot come to rest. */
	nanosleep(&(struct timespec){0, 5000000}, NULL);
	if (getpid() == 1) {
		mkdir("/dev", 0755);
		mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3));
		mknod("/dev/zero", S_IFCHR | 0666, makedev(1, 5));
	}
	on_two = argc > 1 && !strcmp(argv[1], "two");
	if (on_two)
		run(two_cpus, sizeof two_cpus / sizeof *two_cpus, argv + 2);
	else {
		if (argc == 1 || !strcmp(argv[1], "boot_to_first_program")) printf("boot_to_first_program %.1f\n", (double)begun);
		run(one_cpu, sizeof one_cpu / sizeof *one_cpu, argv + 1);
	}
	return 0;
}
