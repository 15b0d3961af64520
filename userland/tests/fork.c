/* fork, vfork, clone, clone3: what parent and child share, and which combinations are refused. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Waits for the child and gives its exit status, or -1 if it did not exit. */
static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, __WALL) != child || !WIFEXITED(status)) return -1;
	return WEXITSTATUS(status);
}

static long raw_clone(unsigned long flags, void *stack, int *parent_tid, int *child_tid, unsigned long tls) {
	return syscall(SYS_clone, flags, stack, parent_tid, child_tid, tls);
}

static long clone3(struct clone_args *args, size_t size) {
	return syscall(SYS_clone3, args, size);
}

static int shared_word;

TEST(a_forked_child_has_its_own_memory_and_pid) {
	pid_t parent = getpid(), child = fork();
	shared_word = 1;
	CHECK(child >= 0);
	if (!child) {
		CHILD_CHECK(getpid() != parent);
		CHILD_CHECK(getppid() == parent);
		CHILD_CHECK(syscall(SYS_gettid) == getpid());
		shared_word = 2;
		_exit(7);
	}
	CHECK_EQ(status_of(child), 7);
	CHECK_EQ(shared_word, 1);
}

TEST(file_descriptors_are_copied_and_offsets_shared) {
	int fd = memfd_create("offset", 0), gone = dup(fd);
	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(lseek(fd, 2, SEEK_SET), 2);
	pid_t child = fork();
	if (!child) {
		char byte;
		CHILD_CHECK(read(fd, &byte, 1) == 1 && byte == '2');
		CHILD_CHECK(close(gone) == 0);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
	CHECK_EQ(close(gone), 0);
	close(fd);
}

TEST(shared_maps_stay_shared_and_private_ones_part) {
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*shared = *private = 1;
	pid_t child = fork();
	if (!child) {
		*shared = *private = 2;
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
	CHECK_EQ(*shared, 2);
	CHECK_EQ(*private, 1);
	munmap(shared, 4096);
	munmap(private, 4096);
}

static void *note_thread(void *unused) {
	for (;;) pause();
	return unused;
}

TEST(only_the_calling_thread_is_forked) {
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, note_thread, NULL), 0);
	pid_t child = fork();
	if (!child) _exit(syscall(SYS_tgkill, getpid(), getpid() + 1, 0) == -1 && errno == ESRCH ? 3 : 4);
	CHECK_EQ(status_of(child), 3);
	CHECK_EQ(pthread_cancel(thread), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *fork_in_thread(void *unused) {
	(void)unused;
	pid_t child = fork();
	if (!child) _exit(syscall(SYS_gettid) == getpid() ? 9 : 1);
	return (void *)(long)status_of(child);
}

TEST(a_thread_can_fork_and_its_child_is_a_leader) {
	pthread_t thread;
	void *status;
	CHECK_EQ(pthread_create(&thread, NULL, fork_in_thread, NULL), 0);
	CHECK_EQ(pthread_join(thread, &status), 0);
	CHECK_EQ((long)status, 9);
}

TEST(pending_signals_alarms_and_cpu_times_are_not_inherited) {
	sigset_t usr1, pending;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	alarm(100);
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
		sigset_t mask;
		CHILD_CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, SIGUSR1));
		CHILD_CHECK(alarm(0) == 0);
		struct timespec cpu;
		CHILD_CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0 && cpu.tv_sec == 0);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
	CHECK(alarm(0) > 90);
	struct timespec none = {0, 0};
	CHECK_EQ(sigtimedwait(&usr1, NULL, &none), SIGUSR1);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
}

TEST(a_vfork_child_runs_first_in_the_parents_memory) {
	static volatile int order;
	order = 0;
	pid_t child = vfork();
	if (!child) {
		order = 1;
		_exit(5);
	}
	CHECK_EQ(order, 1);
	CHECK_EQ(status_of(child), 5);
}

TEST(a_vfork_parent_waits_for_exit) {
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	pid_t child = vfork();
	if (!child) {
		struct timespec time = {0, 30000000};
		syscall(SYS_nanosleep, &time, NULL);
		_exit(0);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(ns_between(start, end) >= 30000000);
	CHECK_EQ(status_of(child), 0);
}

TEST(clone_refuses_what_cannot_be_combined) {
	int tid;
	CHECK_ERRNO(raw_clone(CLONE_SIGHAND, NULL, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_THREAD, NULL, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_THREAD | CLONE_SIGHAND, NULL, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_THREAD | CLONE_VM, NULL, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_NEWNS | CLONE_FS, NULL, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_NEWUSER | CLONE_FS, NULL, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_NEWPID | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, NULL, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_PIDFD | CLONE_DETACHED, NULL, &tid, NULL, 0), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_PIDFD | CLONE_PARENT_SETTID, NULL, &tid, NULL, 0), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_NEWIPC | CLONE_SYSVSEM, NULL, NULL, NULL, 0), EINVAL);
}

TEST(clone_of_nothing_is_a_fork_without_a_signal) {
	pid_t child = raw_clone(0, NULL, NULL, NULL, 0);
	if (!child) _exit(4);
	CHECK(child > 0);
	int status;
	/* A child that sends no SIGCHLD is a "clone" child: only __WCLONE or __WALL sees it. */
	CHECK_ERRNO(waitpid(child, &status, 0), ECHILD);
	CHECK_EQ(waitpid(child, &status, __WCLONE), child);
	CHECK_EQ(WEXITSTATUS(status), 4);
}

TEST(the_tid_is_stored_in_parent_and_child_as_asked) {
	static int parent_tid, child_tid;
	parent_tid = child_tid = 0;
	pid_t child = raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, NULL, &parent_tid, &child_tid, 0);
	if (!child) _exit(child_tid == getpid() && parent_tid == 0 ? 0 : 1);
	CHECK_EQ(parent_tid, child);
	/* Each word is in the memory of the one it is named for alone. */
	CHECK_EQ(child_tid, 0);
	CHECK_EQ(status_of(child), 0);
}

TEST(a_bad_tid_address_does_not_stop_a_clone) {
	pid_t child = raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, (int *)8, (int *)8, 0);
	if (!child) _exit(6);
	CHECK(child > 0);
	CHECK_EQ(status_of(child), 6);
}

TEST(a_child_that_shares_memory_clears_its_tid_and_wakes) {
	static int tid;
	static char stack[65536] __attribute__((aligned(16)));
	extern int child_sleep_and_exit(void *);
	tid = 0;
	pid_t child = clone(child_sleep_and_exit, stack + sizeof stack, CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD,
	                    NULL, &tid, NULL, &tid);
	CHECK(child > 0);
	int now;
	while ((now = __atomic_load_n(&tid, __ATOMIC_SEQ_CST))) futex(&tid, FUTEX_WAIT, now, NULL, NULL, 0);
	CHECK_EQ(status_of(child), 11);
}

int child_sleep_and_exit(void *unused) {
	(void)unused;
	struct timespec time = {0, 20000000};
	syscall(SYS_nanosleep, &time, NULL);
	return 11;
}

static int change_shared_state(void *fd) {
	syscall(SYS_close, (int)(long)fd);
	syscall(SYS_chdir, "/");
	syscall(SYS_umask, 0123);
	syscall(SYS_exit, 0);
	return 0;
}

TEST(files_and_fs_are_shared_only_if_asked) {
	static char stack[65536] __attribute__((aligned(16)));
	char here[256], now[256];
	CHECK(syscall(SYS_getcwd, here, sizeof here) > 0);
	for (int shared = 0; shared < 2; shared++) {
		int fd = dup(1);
		umask(022);
		pid_t child = clone(change_shared_state, stack + sizeof stack,
		                    CLONE_VM | CLONE_VFORK | SIGCHLD | (shared ? CLONE_FILES | CLONE_FS : 0), (void *)(long)fd);
		CHECK(child > 0);
		CHECK_EQ(status_of(child), 0);
		CHECK_EQ(fcntl(fd, F_GETFD), shared ? -1 : 0);
		CHECK(syscall(SYS_getcwd, now, sizeof now) > 0);
		CHECK(shared ? !strcmp(now, "/") : !strcmp(now, here));
		CHECK_EQ(umask(022), shared ? 0123 : 022);
		if (!shared) close(fd);
	}
	CHECK_EQ(chdir(here), 0);
}

static int read_tls(void *unused) {
	(void)unused;
	unsigned long base;
	if (syscall(SYS_arch_prctl, 0x1003, &base)) return 1;
	return *(int *)base == 77 ? 0 : 2;
}

TEST(settls_sets_the_childs_fs_base) {
	/* musl's TLS is not there in the child: nothing in it may touch errno. */
	static char stack[65536] __attribute__((aligned(16)));
	static int tls[64];
	tls[0] = 77;
	pid_t child = clone(read_tls, stack + sizeof stack, CLONE_VM | CLONE_SETTLS | SIGCHLD, NULL, NULL, tls, NULL);
	CHECK(child > 0);
	CHECK_EQ(status_of(child), 0);
}

TEST(the_exit_signal_is_the_low_byte) {
	sigset_t usr2;
	siginfo_t info;
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	pid_t child = raw_clone(SIGUSR2, NULL, NULL, NULL, 0);
	if (!child) _exit(3);
	CHECK_EQ(sigwaitinfo(&usr2, &info), SIGUSR2);
	CHECK_EQ(info.si_pid, child);
	CHECK_EQ(info.si_status, 3);
	CHECK_EQ(status_of(child), 3);
	sigprocmask(SIG_UNBLOCK, &usr2, NULL);
}

TEST(clone_parent_makes_a_sibling) {
	pid_t child = fork();
	if (!child) {
		pid_t sibling = raw_clone(CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
		if (!sibling) _exit(21);
		CHILD_CHECK(sibling > 0);
		CHILD_CHECK(waitpid(sibling, NULL, 0) == -1 && errno == ECHILD);
		_exit(22);
	}
	int seen = 0, status;
	for (int i = 0; i < 2; i++) {
		CHECK(waitpid(-1, &status, 0) > 0);
		seen |= WEXITSTATUS(status) == 21 ? 1 : WEXITSTATUS(status) == 22 ? 2 : 4;
	}
	CHECK_EQ(seen, 3);
}

TEST(clone_gives_a_pidfd) {
	int fd = -1;
	pid_t child = raw_clone(CLONE_PIDFD | SIGCHLD, NULL, &fd, NULL, 0);
	if (!child) _exit(8);
	CHECK(child > 0 && fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	siginfo_t info;
	CHECK_EQ(waitid(P_PIDFD, fd, &info, WEXITED), 0);
	CHECK_EQ(info.si_pid, child);
	CHECK_EQ(info.si_status, 8);
	close(fd);
}

TEST(clone3_checks_its_size) {
	struct { struct clone_args args; char beyond[4096]; } room = {.args = {.exit_signal = SIGCHLD}};
	CHECK_ERRNO(clone3(&room.args, 0), EINVAL);
	CHECK_ERRNO(clone3(&room.args, 63), EINVAL);
	CHECK_ERRNO(clone3(&room.args, 4097), E2BIG);
	room.beyond[100] = 1;
	CHECK_ERRNO(clone3(&room.args, sizeof room.args + 200), E2BIG);
	room.beyond[100] = 0;
	for (int size = 64; size <= 88 + 64; size += 8) {
		pid_t child = clone3(&room.args, size);
		if (!child) _exit(size);
		CHECK(child > 0);
		CHECK_EQ(status_of(child), size);
	}
}

TEST(clone3_refuses_what_makes_no_sense) {
	struct clone_args args;
#define REFUSED(error, ...)                                                                \
	args = (struct clone_args){__VA_ARGS__};                                               \
	CHECK_ERRNO(clone3(&args, sizeof args), error)
	REFUSED(EINVAL, .flags = CLONE_DETACHED);
	REFUSED(EINVAL, .flags = 1ull << 40);
	REFUSED(EINVAL, .flags = SIGCHLD);
	REFUSED(EINVAL, .exit_signal = 65);
	REFUSED(EINVAL, .exit_signal = 0x100);
	REFUSED(EINVAL, .flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD);
	REFUSED(EINVAL, .flags = CLONE_PARENT, .exit_signal = SIGCHLD);
	REFUSED(EINVAL, .stack = 4096);
	REFUSED(EINVAL, .stack_size = 4096);
	REFUSED(EINVAL, .flags = CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND_);
	REFUSED(EINVAL, .set_tid_size = 1);
	REFUSED(EINVAL, .set_tid = 4096);
	REFUSED(EINVAL, .set_tid = 4096, .set_tid_size = 33);
	REFUSED(EINVAL, .flags = CLONE_SIGHAND);
	REFUSED(EFAULT, .set_tid = 8, .set_tid_size = 1);
	CHECK_ERRNO(clone3((void *)8, sizeof args), EFAULT);
}

TEST(clone3_can_clear_the_handlers) {
	extern void nothing(int);
	signal(SIGUSR1, nothing);
	signal(SIGUSR2, SIG_IGN);
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND_, .exit_signal = SIGCHLD};
	pid_t child = clone3(&args, sizeof args);
	if (!child) {
		struct sigaction one, two;
		sigaction(SIGUSR1, NULL, &one);
		sigaction(SIGUSR2, NULL, &two);
		_exit(one.sa_handler == SIG_DFL && two.sa_handler == SIG_IGN ? 0 : 1);
	}
	CHECK_EQ(status_of(child), 0);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

void nothing(int signal) {
	(void)signal;
}

TEST(clone3_can_choose_the_tid) {
	pid_t probe = fork();
	if (!probe) _exit(0);
	CHECK_EQ(status_of(probe), 0);
	/* The number just freed is taken by nobody so soon. */
	int wish = probe;
	struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wish, .set_tid_size = 1};
	pid_t child = clone3(&args, sizeof args);
	if (!child) _exit(0);
	CHECK_EQ(child, wish);
	wish = 1;
	CHECK_ERRNO(clone3(&args, sizeof args), EEXIST);
	CHECK_EQ(status_of(child), 0);
	wish = 0;
	CHECK_ERRNO(clone3(&args, sizeof args), EINVAL);
}

TEST(children_of_children_are_waited_for_by_their_parents) {
	pid_t child = fork();
	if (!child) {
		pid_t grandchild = fork();
		if (!grandchild) _exit(2);
		int status;
		CHILD_CHECK(waitpid(grandchild, &status, 0) == grandchild);
		_exit(WEXITSTATUS(status) + 1);
	}
	CHECK_EQ(status_of(child), 3);
}

TEST(a_thousand_forks_in_a_row_and_fifty_at_once) {
	for (int i = 0; i < 1000; i++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (!child) _exit(i & 127);
		CHECK_EQ(status_of(child), i & 127);
	}
	pid_t children[50];
	for (int i = 0; i < 50; i++) {
		children[i] = fork();
		CHECK(children[i] >= 0);
		if (!children[i]) _exit(i);
	}
	for (int i = 49; i >= 0; i--) CHECK_EQ(status_of(children[i]), i);
}

TEST(a_process_limit_makes_fork_fail) {
	/* Root is not limited; another user is. */
	pid_t child = fork();
	if (!child) {
		struct { unsigned long cur, max; } limit = {5, 5};
		CHILD_CHECK(syscall(SYS_setrlimit, 6 /* RLIMIT_NPROC */, &limit) == 0);
		CHILD_CHECK(syscall(SYS_setresgid, 54321, 54321, 54321) == 0);
		CHILD_CHECK(syscall(SYS_setresuid, 54321, 54321, 54321) == 0);
		int made = 0;
		while (made < 100) {
			pid_t grandchild = fork();
			if (!grandchild) {
				for (;;) pause();
			}
			if (grandchild < 0) break;
			made++;
		}
		int error = errno;
		signal(SIGTERM, SIG_IGN);
		setpgid(0, 0);
		kill(-1, SIGKILL);
		while (wait(NULL) > 0) {}
		_exit(made == 4 && error == EAGAIN ? 0 : made == 100 ? 1 : 2);
	}
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	/* kill(-1) spares the caller on Linux. */
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}
