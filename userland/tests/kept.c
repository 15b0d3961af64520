// cpus: 1 2
/* What is kept of a process: its number while it is a zombie, its largest size, the deadlines it asked for. */
#include "test.h"
#include "linux.h"
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(a_zombie_takes_signals_until_it_has_been_waited_for) {
	siginfo_t info;
	pid_t child = fork();
	if (child == 0) _exit(5);
	CHECK_EQ(waitid(P_PID, child, &info, WEXITED | WNOWAIT), 0);
	CHECK_EQ(syscall(SYS_tkill, child, SIGTERM), 0);
	CHECK_EQ(syscall(SYS_tgkill, child, child, SIGTERM), 0);
	CHECK_EQ(syscall(SYS_tgkill, child, child, 0), 0);
	CHECK_EQ(kill(child, SIGKILL), 0);
	CHECK_ERRNO(syscall(SYS_tkill, child, 99), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, child + 1, child, 0), ESRCH);
	CHECK_EQ(status_of(child), 5);
	CHECK_ERRNO(syscall(SYS_tkill, child, 0), ESRCH);
}

/* Touches so many MiB. */
static void touch(int mebibytes) {
	char *memory = malloc((size_t)mebibytes << 20);
	for (size_t at = 0; at < (size_t)mebibytes << 20; at += 4096) ((volatile char *)memory)[at] = 1;
}

TEST(the_largest_size_of_a_child_is_reported) {
	struct rusage usage, children;
	int status;
	pid_t child = fork();
	if (child == 0) {
		touch(24);
		CHILD_CHECK(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss >= 24 * 1024);
		_exit(0);
	}
	CHECK_EQ(wait4(child, &status, 0, &usage), child);
	CHECK_EQ(status, 0);
	CHECK(usage.ru_maxrss >= 24 * 1024 && usage.ru_maxrss < 40 * 1024);
	CHECK_EQ(getrusage(RUSAGE_CHILDREN, &children), 0);
	CHECK(children.ru_maxrss >= usage.ru_maxrss);
	/* A smaller one does not make it less. */
	child = fork();
	if (child == 0) _exit(0);
	CHECK_EQ(wait4(child, &status, 0, &usage), child);
	CHECK(usage.ru_maxrss < 20 * 1024);
	CHECK_EQ(getrusage(RUSAGE_CHILDREN, &usage), 0);
	CHECK_EQ(usage.ru_maxrss, children.ru_maxrss);
}

__attribute__((constructor(101))) static void new_program(void) {
	struct rusage usage;
	if (!getenv("LARGEST_SIZE")) return;
	_exit(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss >= 24 * 1024 ? 31 : 32);
}

TEST(a_new_program_remembers_the_largest_size) {
	char *arguments[] = {"program", NULL}, *environment[] = {"LARGEST_SIZE=1", NULL};
	pid_t child = fork();
	if (child == 0) {
		touch(24);
		execve("/proc/self/exe", arguments, environment);
		_exit(30);
	}
	CHECK_EQ(status_of(child), 31);
}

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int set(struct attr attr) {
	attr.size = sizeof attr;
	return (int)syscall(SYS_sched_setattr, 0, &attr, 0);
}

#define MS 1000000ull

TEST(a_deadline_is_kept_and_reported) {
	struct attr attr;
	CHECK_ERRNO(set((struct attr){.policy = 6}), EINVAL);
	CHECK_ERRNO(set((struct attr){.policy = 6, .runtime = 1023, .deadline = 10 * MS}), EINVAL);
	CHECK_ERRNO(set((struct attr){.policy = 6, .runtime = 20 * MS, .deadline = 10 * MS}), EINVAL);
	CHECK_ERRNO(set((struct attr){.policy = 6, .runtime = MS, .deadline = 30 * MS, .period = 20 * MS}), EINVAL);
	CHECK_ERRNO(set((struct attr){.policy = 6, .runtime = MS, .deadline = 10 * MS, .period = 1ull << 63}), EINVAL);
	CHECK_ERRNO(set((struct attr){.policy = 6, .runtime = MS, .deadline = 10 * MS, .priority = 1}), EINVAL);
	CHECK_ERRNO(set((struct attr){.policy = 6, .runtime = 2000, .deadline = 50000, .period = 50000}), EINVAL);
	CHECK_EQ(set((struct attr){.policy = 6, .runtime = MS, .deadline = 10 * MS, .period = 20 * MS}), 0);
	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), 6);
	CHECK_EQ(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
	CHECK(attr.policy == 6 && attr.runtime == MS && attr.deadline == 10 * MS && attr.period == 20 * MS && attr.nice == 0);
	CHECK_ERRNO(fork(), EAGAIN);
	CHECK_EQ(set((struct attr){.policy = 6, .flags = 1, .runtime = MS, .deadline = 10 * MS}), 0);
	CHECK_EQ(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
	CHECK(attr.flags == 1 && attr.period == 10 * MS);
	pid_t child = fork();
	if (child == 0) _exit(syscall(SYS_sched_getscheduler, 0) == 0 ? 0 : 1);
	CHECK_EQ(set((struct attr){.policy = 0}), 0);
	CHECK_EQ(status_of(child), 0);
	CHECK_EQ(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
	CHECK(attr.policy == 0 && attr.deadline == 0);
}

static int unprivileged(void) {
	if (setresuid(1000, 1000, 1000)) return 1;
	return set((struct attr){.policy = 6, .runtime = MS, .deadline = 10 * MS}) == -1 && errno == EPERM ? 0 : 2;
}

TEST(a_deadline_takes_privilege) {
	pid_t child = fork();
	if (child == 0) _exit(unprivileged());
	CHECK_EQ(status_of(child), 0);
}
