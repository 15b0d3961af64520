/* prctl(2), limits with an effect, identity, scheduling parameters, membarrier(2). */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(a_thread_has_a_name_of_fifteen_bytes) {
	char name[17] = "xxxxxxxxxxxxxxxx";
	CHECK_EQ(prctl(PR_SET_NAME, "twenty-bytes-of-name"), 0);
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK(!strcmp(name, "twenty-bytes-of"));
	CHECK_EQ(prctl(PR_SET_NAME, "short"), 0);
	memset(name, 'x', 16);
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK(!memcmp(name, "short\0\0\0\0\0\0\0\0\0\0\0", 16));
	CHECK_ERRNO(prctl(PR_SET_NAME, 8), EFAULT);
	CHECK_ERRNO(prctl(PR_GET_NAME, 8), EFAULT);
}

static void *name_of_new_thread(void *unused) {
	static char name[16];
	(void)unused;
	prctl(PR_GET_NAME, name);
	prctl(PR_SET_NAME, "other");
	return name;
}

TEST(names_are_inherited_and_private) {
	pthread_t thread;
	void *name;
	char mine[16];
	CHECK_EQ(prctl(PR_SET_NAME, "parent"), 0);
	CHECK_EQ(pthread_create(&thread, NULL, name_of_new_thread, NULL), 0);
	CHECK_EQ(pthread_join(thread, &name), 0);
	CHECK(!strcmp(name, "parent"));
	CHECK_EQ(prctl(PR_GET_NAME, mine), 0);
	CHECK(!strcmp(mine, "parent"));
}

TEST(flags_are_set_and_read) {
	int signal = -1;
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
	CHECK_EQ(prctl(PR_SET_DUMPABLE, 0), 0);
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
	CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
	CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
	CHECK_EQ(prctl(PR_GET_PDEATHSIG, &signal), 0);
	CHECK_EQ(signal, SIGUSR1);
	CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
	CHECK_EQ(prctl(PR_SET_PDEATHSIG, 0), 0);
	CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
	CHECK_EQ(prctl(PR_SET_TIMERSLACK, 12345), 0);
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 12345);
	CHECK_EQ(prctl(PR_SET_TIMERSLACK, 0), 0);
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
	CHECK_EQ(prctl(PR_CAPBSET_READ, 0), 1);
	CHECK_ERRNO(prctl(PR_CAPBSET_READ, 64), EINVAL);
	CHECK_ERRNO(prctl(0x12345), EINVAL);
}

TEST(no_new_privs_can_be_set_only) {
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
		CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == -1 && errno == EINVAL);
		CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0) == -1 && errno == EINVAL);
		CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		CHILD_CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
		pid_t grandchild = fork();
		if (!grandchild) _exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
		_exit(status_of(grandchild) == 1 ? 0 : 1);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(users_and_groups_are_changed_and_given_up) {
	pid_t child = fork();
	if (!child) {
		uid_t real, effective, saved;
		gid_t groups[4] = {10, 20, 30}, got[8];
		CHILD_CHECK(syscall(SYS_setgroups, 3, groups) == 0);
		CHILD_CHECK(syscall(SYS_getgroups, 8, got) == 3 && got[0] == 10 && got[2] == 30);
		CHILD_CHECK(syscall(SYS_getgroups, 2, got) == -1 && errno == EINVAL);
		CHILD_CHECK(syscall(SYS_getgroups, 0, NULL) == 3);
		CHILD_CHECK(syscall(SYS_setresgid, 100, 101, 102) == 0);
		CHILD_CHECK(getgid() == 100 && getegid() == 101);
		CHILD_CHECK(syscall(SYS_setresuid, 1000, 1001, 1002) == 0);
		CHILD_CHECK(getresuid(&real, &effective, &saved) == 0 && real == 1000 && effective == 1001 && saved == 1002);
		CHILD_CHECK(syscall(SYS_setuid, 0) == -1 && errno == EPERM);
		CHILD_CHECK(syscall(SYS_setuid, 1002) == 0 && geteuid() == 1002 && getuid() == 1000);
		CHILD_CHECK(syscall(SYS_setreuid, -1, 1000) == 0 && geteuid() == 1000);
		CHILD_CHECK(syscall(SYS_setgroups, 0, NULL) == -1 && errno == EPERM);
		CHILD_CHECK(syscall(SYS_setresuid, -1, -1, -1) == 0);
		CHILD_CHECK(kill(1, SIGTERM) == -1 && errno == EPERM);
		CHILD_CHECK(syscall(SYS_setfsuid, -1) == 1000);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(a_descriptor_limit_is_kept) {
	pid_t child = fork();
	if (!child) {
		struct rlimit limit = {20, 20};
		CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		int last = -1, fd;
		while ((fd = dup(0)) >= 0) last = fd;
		CHILD_CHECK(errno == EMFILE && last == 19);
		CHILD_CHECK(fcntl(0, F_DUPFD, 20) == -1 && errno == EINVAL);
		CHILD_CHECK(dup2(0, 20) == -1 && errno == EBADF);
		CHILD_CHECK(dup2(0, 19) == 19);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(a_memory_limit_is_kept) {
	pid_t child = fork();
	if (!child) {
		struct rlimit limit = {64 << 20, 64 << 20};
		CHILD_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
		CHILD_CHECK(mmap(NULL, 65 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
		CHILD_CHECK(mmap(NULL, 16 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(a_cpu_limit_kills) {
	pid_t child = fork();
	if (!child) {
		struct rlimit limit = {1, 2};
		CHILD_CHECK(setrlimit(RLIMIT_CPU, &limit) == 0);
		for (;;) __asm__ volatile("");
	}
	CHECK_EQ(status_of(child), 1000 + SIGXCPU);
}

TEST(a_file_size_limit_signals_or_fails) {
	pid_t child = fork();
	if (!child) {
		struct rlimit limit = {100, 100};
		static char bytes[200];
		int fd = memfd_create("limit", 0);
		CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
		CHILD_CHECK(write(fd, bytes, 200) == 100);
		signal(SIGXFSZ, SIG_IGN);
		CHILD_CHECK(write(fd, bytes, 1) == -1 && errno == EFBIG);
		CHILD_CHECK(ftruncate(fd, 101) == -1 && errno == EFBIG);
		signal(SIGXFSZ, SIG_DFL);
		write(fd, bytes, 1);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 1000 + SIGXFSZ);
}

TEST(scheduling_parameters_are_kept_and_checked) {
	struct sched_param parameter = {0};
	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
	CHECK_EQ(syscall(SYS_sched_getparam, 0, &parameter), 0);
	CHECK_EQ(parameter.sched_priority, 0);
	CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	CHECK_EQ(sched_get_priority_min(SCHED_FIFO), 1);
	CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
	CHECK_ERRNO(sched_get_priority_max(77), EINVAL);
	parameter.sched_priority = 1;
	CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &parameter), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, 77, &parameter), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_setscheduler, -1, SCHED_OTHER, &parameter), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0x3fffffff, SCHED_OTHER, &parameter), ESRCH);
	parameter.sched_priority = 0;
	CHECK_EQ(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &parameter), 0);
	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_BATCH);
	CHECK_EQ(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &parameter), 0);
	struct timespec interval = {-1, -1};
	CHECK_EQ(syscall(SYS_sched_rr_get_interval, 0, &interval), 0);
	CHECK(interval.tv_sec == 0 && interval.tv_nsec >= 0);
}

TEST(nice_values_are_kept_and_bounded) {
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5);
		CHILD_CHECK(syscall(SYS_getpriority, PRIO_PROCESS, 0) == 15);
		CHILD_CHECK(setpriority(PRIO_PROCESS, 0, 100) == 0 && getpriority(PRIO_PROCESS, 0) == 19);
		pid_t grandchild = fork();
		if (!grandchild) _exit(getpriority(PRIO_PROCESS, 0));
		_exit(status_of(grandchild) == 19 ? 0 : 1);
	}
	CHECK_EQ(status_of(child), 0);
	CHECK_ERRNO(syscall(SYS_setpriority, 9, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_getpriority, PRIO_PROCESS, 0x3fffffff), ESRCH);
}

TEST(membarrier_registers_before_it_works) {
	long query = syscall(SYS_membarrier, 0, 0, 0);
	CHECK(query > 0 && (query & 8) && (query & 16));
	CHECK_ERRNO(syscall(SYS_membarrier, 0, 1, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_membarrier, 1 << 20, 0, 0), EINVAL);
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(syscall(SYS_membarrier, 8, 0, 0) == -1 && errno == EPERM);
		CHILD_CHECK(syscall(SYS_membarrier, 16, 0, 0) == 0);
		CHILD_CHECK(syscall(SYS_membarrier, 8, 0, 0) == 0);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(personality_is_linux) {
	CHECK_EQ(syscall(SYS_personality, 0xffffffff), 0);
}

TEST(capabilities_can_be_read) {
	struct { unsigned version; int pid; } head = {0x20080522, 0};
	struct { unsigned effective, permitted, inheritable; } data[2];
	CHECK_EQ(syscall(SYS_capget, &head, data), 0);
	CHECK(geteuid() || data[0].effective & 1 << 21);
	head.version = 1;
	CHECK_ERRNO(syscall(SYS_capget, &head, data), EINVAL);
	CHECK_EQ(head.version, 0x20080522);
	CHECK_EQ(syscall(SYS_capget, &head, NULL), 0);
}

static volatile int faults;

static void on_fault(int signal) {
	(void)signal;
	faults++;
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
}

static int reads_the_counter(void) {
	__builtin_ia32_rdtsc();
	return 0;
}

TEST(the_time_stamp_counter_can_be_forbidden) {
	int mode = 0, status;
	signal(SIGSEGV, on_fault);
	CHECK_EQ(prctl(PR_GET_TSC, &mode), 0);
	CHECK_EQ(mode, PR_TSC_ENABLE);
	CHECK_EQ(prctl(PR_SET_TSC, PR_TSC_SIGSEGV), 0);
	CHECK_EQ(prctl(PR_GET_TSC, &mode), 0);
	CHECK_EQ(mode, PR_TSC_SIGSEGV);
	pid_t child = fork();
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		_exit(reads_the_counter());
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	reads_the_counter();
	CHECK_EQ(faults, 1);
	CHECK_EQ(prctl(PR_GET_TSC, &mode), 0);
	CHECK_EQ(mode, PR_TSC_ENABLE);
	CHECK_ERRNO(prctl(PR_SET_TSC, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_TSC, 3), EINVAL);
	CHECK_ERRNO(prctl(PR_GET_TSC, 8), EFAULT);
	signal(SIGSEGV, SIG_DFL);
}

TEST(what_to_do_about_memory_errors_is_kept) {
	CHECK_EQ(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_DEFAULT);
	CHECK_EQ(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0), 0);
	CHECK_EQ(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_EARLY);
	CHECK_EQ(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0), 0);
	CHECK_EQ(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_LATE);
	pid_t child = fork();
	if (!child) _exit(10 + prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	CHECK_EQ(status_of(child), 10 + PR_MCE_KILL_LATE);
	CHECK_ERRNO(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, 3, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_MCE_KILL, 2, 0, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, 0, 1, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_MCE_KILL_GET, 1, 0, 0, 0), EINVAL);
	CHECK_EQ(prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_DEFAULT);
}

TEST(a_server_of_input_and_output_says_so) {
	/* Root of a container may lack the privilege. */
	if (prctl(PR_CAPBSET_READ, 24 /* CAP_SYS_RESOURCE */) == 0) {
		CHECK_ERRNO(prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0), EPERM);
		return;
	}
	CHECK_EQ(prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0), 1);
	pid_t child = fork();
	if (!child) _exit(20 + prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
	CHECK_EQ(status_of(child), 21);
	CHECK_ERRNO(prctl(PR_SET_IO_FLUSHER, 2, 0, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_IO_FLUSHER, 1, 1, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_GET_IO_FLUSHER, 1, 0, 0, 0), EINVAL);
	CHECK_EQ(prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0), 0);
	child = fork();
	if (!child) {
		CHILD_CHECK(setuid(1) == 0);
		CHILD_CHECK(prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == -1 && errno == EPERM);
		CHILD_CHECK(prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(what_of_speculation_can_be_controlled_is_told) {
	CHECK(prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0) >= 0);
	CHECK(prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 0, 0, 0) >= 0);
	CHECK_ERRNO(prctl(PR_GET_SPECULATION_CTRL, 3, 0, 0, 0), ENODEV);
	CHECK_ERRNO(prctl(PR_GET_SPECULATION_CTRL, 0, 1, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_SPECULATION_CTRL, 3, 2, 0, 0), ENODEV);
	CHECK_ERRNO(prctl(PR_SET_SPECULATION_CTRL, 0, 2, 1, 0), EINVAL);
}
