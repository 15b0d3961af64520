/* wait4(2) and waitid(2): whom they wait for, what they report, what they leave. */
#include "test.h"
#include "linux.h"
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static long raw_waitid(int type, int id, siginfo_t *info, int options, struct rusage *usage) {
	return syscall(SYS_waitid, type, id, info, options, usage);
}

/* A child that exits with the status. */
static pid_t exiting(int status) {
	pid_t child = fork();
	if (!child) _exit(status);
	return child;
}

/* A child that waits to be killed. */
static pid_t sleeping(void) {
	pid_t child = fork();
	if (!child)
		for (;;) pause();
	return child;
}

TEST(an_exit_status_is_reported) {
	int status = -1;
	pid_t child = exiting(42);
	CHECK_EQ(wait4(child, &status, 0, NULL), child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	CHECK_EQ(status, 42 << 8);
	CHECK_ERRNO(wait4(child, &status, 0, NULL), ECHILD);
}

TEST(a_death_by_signal_is_reported) {
	static const int signals[] = {SIGKILL, SIGTERM, SIGHUP, SIGUSR1, 34 + 5};
	for (int i = 0; i < 5; i++) {
		int status = -1;
		pid_t child = sleeping();
		CHECK_EQ(kill(child, signals[i]), 0);
		CHECK_EQ(wait4(child, &status, 0, NULL), child);
		CHECK_EQ(status, signals[i]);
	}
}

TEST(waitid_fills_siginfo_for_an_exit) {
	siginfo_t info;
	memset(&info, 0xff, sizeof info);
	pid_t child = exiting(200);
	CHECK_EQ(raw_waitid(P_PID, child, &info, WEXITED, NULL), 0);
	CHECK_EQ(info.si_signo, SIGCHLD);
	CHECK_EQ(info.si_errno, 0);
	CHECK_EQ(info.si_code, CLD_EXITED);
	CHECK_EQ(info.si_pid, child);
	CHECK_EQ(info.si_uid, getuid());
	CHECK_EQ(info.si_status, 200);
}

TEST(waitid_fills_siginfo_for_a_kill) {
	siginfo_t info;
	pid_t child = sleeping();
	kill(child, SIGTERM);
	CHECK_EQ(raw_waitid(P_ALL, 0, &info, WEXITED, NULL), 0);
	CHECK_EQ(info.si_code, CLD_KILLED);
	CHECK_EQ(info.si_pid, child);
	CHECK_EQ(info.si_status, SIGTERM);
}

TEST(wnohang_finds_nothing_and_clears_siginfo) {
	siginfo_t info;
	int status = 77;
	pid_t child = sleeping();
	memset(&info, 0xff, sizeof info);
	CHECK_EQ(raw_waitid(P_PID, child, &info, WEXITED | WNOHANG, NULL), 0);
	CHECK(info.si_signo == 0 && info.si_pid == 0 && info.si_code == 0 && info.si_status == 0);
	CHECK_EQ(wait4(child, &status, WNOHANG, NULL), 0);
	CHECK_EQ(status, 77);
	kill(child, SIGKILL);
	CHECK_EQ(wait4(child, NULL, 0, NULL), child);
}

TEST(wnowait_leaves_the_child_waitable) {
	siginfo_t info;
	pid_t child = exiting(5);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(raw_waitid(P_PID, child, &info, WEXITED | WNOWAIT, NULL), 0);
		CHECK_EQ(info.si_status, 5);
	}
	CHECK_EQ(wait4(child, NULL, 0, NULL), child);
}

TEST(waitid_with_a_null_siginfo_still_reaps) {
	pid_t child = exiting(5);
	CHECK_EQ(raw_waitid(P_PID, child, NULL, WEXITED, NULL), 0);
	CHECK_ERRNO(raw_waitid(P_PID, child, NULL, WEXITED, NULL), ECHILD);
}

TEST(a_bad_status_address_reaps_and_says_efault) {
	pid_t child = exiting(5);
	CHECK_ERRNO(syscall(SYS_wait4, child, 8, 0, NULL), EFAULT);
	CHECK_ERRNO(wait4(child, NULL, 0, NULL), ECHILD);
	child = exiting(5);
	CHECK_ERRNO(raw_waitid(P_PID, child, (siginfo_t *)8, WEXITED, NULL), EFAULT);
	CHECK_ERRNO(wait4(child, NULL, 0, NULL), ECHILD);
}

TEST(options_are_checked_before_children) {
	CHECK_ERRNO(raw_waitid(P_ALL, 0, NULL, 0, NULL), EINVAL);
	CHECK_ERRNO(raw_waitid(P_ALL, 0, NULL, WNOHANG, NULL), EINVAL);
	CHECK_ERRNO(raw_waitid(P_ALL, 0, NULL, WEXITED | 0x100, NULL), EINVAL);
	CHECK_ERRNO(raw_waitid(4, 1, NULL, WEXITED, NULL), EINVAL);
	CHECK_ERRNO(raw_waitid(P_PID, 0, NULL, WEXITED, NULL), EINVAL);
	CHECK_ERRNO(raw_waitid(P_PID, -1, NULL, WEXITED, NULL), EINVAL);
	CHECK_ERRNO(raw_waitid(P_PGID, -1, NULL, WEXITED, NULL), EINVAL);
	CHECK_ERRNO(raw_waitid(P_PIDFD, -1, NULL, WEXITED, NULL), EINVAL);
	CHECK_ERRNO(raw_waitid(P_PIDFD, 999, NULL, WEXITED, NULL), EBADF);
	CHECK_ERRNO(raw_waitid(P_PIDFD, 1, NULL, WEXITED, NULL), EBADF);
	CHECK_ERRNO(syscall(SYS_wait4, -1, NULL, WEXITED, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_wait4, -1, NULL, WNOWAIT, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_wait4, (int)0x80000000, NULL, 0, NULL), ESRCH);
}

TEST(without_children_there_is_echild) {
	CHECK_ERRNO(wait4(-1, NULL, 0, NULL), ECHILD);
	CHECK_ERRNO(wait4(0, NULL, WNOHANG, NULL), ECHILD);
	CHECK_ERRNO(wait4(getpid(), NULL, 0, NULL), ECHILD);
	CHECK_ERRNO(wait4(1, NULL, 0, NULL), ECHILD);
	CHECK_ERRNO(wait4(-getpid() - 1000000, NULL, 0, NULL), ECHILD);
	CHECK_ERRNO(raw_waitid(P_ALL, 0, NULL, WEXITED | WNOHANG, NULL), ECHILD);
	CHECK_ERRNO(raw_waitid(P_PGID, 0, NULL, WEXITED, NULL), ECHILD);
	CHECK_ERRNO(raw_waitid(P_ALL, 0, NULL, WSTOPPED, NULL), ECHILD);
}

TEST(stops_and_continues_are_reported_once_each) {
	siginfo_t info;
	int status;
	pid_t child = sleeping();
	/* In a group of its own, which has us for a parent: SIGTSTP does nothing in an orphaned group, as ours may be. */
	CHECK_EQ(setpgid(child, child), 0);
	CHECK_EQ(kill(child, SIGSTOP), 0);
	CHECK_EQ(raw_waitid(P_PID, child, &info, WSTOPPED, NULL), 0);
	CHECK_EQ(info.si_code, CLD_STOPPED);
	CHECK_EQ(info.si_status, SIGSTOP);
	CHECK_EQ(raw_waitid(P_PID, child, &info, WSTOPPED | WNOHANG, NULL), 0);
	CHECK_EQ(info.si_pid, 0);
	CHECK_EQ(kill(child, SIGCONT), 0);
	CHECK_EQ(raw_waitid(P_PID, child, &info, WCONTINUED, NULL), 0);
	CHECK_EQ(info.si_code, CLD_CONTINUED);
	CHECK_EQ(info.si_status, SIGCONT);
	CHECK_EQ(wait4(child, &status, WCONTINUED | WNOHANG, NULL), 0);
	CHECK_EQ(kill(child, SIGTSTP), 0);
	CHECK_EQ(wait4(child, &status, WUNTRACED, NULL), child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
	CHECK_EQ(kill(child, SIGCONT), 0);
	CHECK_EQ(wait4(child, &status, WCONTINUED, NULL), child);
	CHECK_EQ(status, 0xffff);
	kill(child, SIGKILL);
	CHECK_EQ(wait4(child, &status, WUNTRACED, NULL), child);
	CHECK_EQ(status, SIGKILL);
}

TEST(a_stop_can_be_seen_twice_with_wnowait) {
	siginfo_t info;
	pid_t child = sleeping();
	kill(child, SIGSTOP);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(raw_waitid(P_PID, child, &info, WSTOPPED | WNOWAIT, NULL), 0);
		CHECK_EQ(info.si_code, CLD_STOPPED);
	}
	kill(child, SIGKILL);
	CHECK_EQ(wait4(child, NULL, 0, NULL), child);
}

TEST(wexited_alone_does_not_see_a_stop) {
	siginfo_t info;
	pid_t child = sleeping();
	kill(child, SIGSTOP);
	CHECK_EQ(raw_waitid(P_PID, child, &info, WSTOPPED | WNOWAIT, NULL), 0);
	CHECK_EQ(raw_waitid(P_PID, child, &info, WEXITED | WNOHANG, NULL), 0);
	CHECK_EQ(info.si_pid, 0);
	CHECK_EQ(wait4(child, NULL, WNOHANG, NULL), 0);
	kill(child, SIGKILL);
	CHECK_EQ(wait4(child, NULL, 0, NULL), child);
}

TEST(a_child_that_has_ended_has_only_its_end_to_wait_for) {
	siginfo_t info;
	pid_t child = fork();
	if (child == 0) {
		usleep(20000);
		_exit(0);
	}
	CHECK_ERRNO(raw_waitid(P_PID, child, &info, WSTOPPED | WCONTINUED, NULL), ECHILD);
	CHECK_ERRNO(raw_waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG, NULL), ECHILD);
	CHECK_EQ(wait4(child, NULL, 0, NULL), child);
}

TEST(groups_select_children) {
	int status;
	pid_t one = sleeping(), two = sleeping();
	CHECK_EQ(setpgid(one, one), 0);
	CHECK_EQ(setpgid(two, one), 0);
	CHECK_ERRNO(wait4(0, NULL, WNOHANG, NULL), ECHILD);
	CHECK_EQ(wait4(-one, NULL, WNOHANG, NULL), 0);
	CHECK_EQ(kill(-one, SIGKILL), 0);
	int sum = 0;
	for (int i = 0; i < 2; i++) {
		siginfo_t info;
		CHECK_EQ(raw_waitid(P_PGID, one, &info, WEXITED, NULL), 0);
		sum += info.si_pid == one ? 1 : info.si_pid == two ? 2 : 4;
	}
	CHECK_EQ(sum, 3);
	pid_t three = exiting(1);
	CHECK_EQ(wait4(0, &status, 0, NULL), three);
	three = exiting(2);
	siginfo_t info;
	CHECK_EQ(raw_waitid(P_PGID, 0, &info, WEXITED, NULL), 0);
	CHECK_EQ(info.si_pid, three);
}

TEST(clone_children_are_seen_with_wclone_or_wall_only) {
	signal(SIGUSR2, SIG_IGN);
	pid_t normal = exiting(1), odd = syscall(SYS_clone, SIGUSR2, NULL, NULL, NULL, NULL);
	if (!odd) _exit(2);
	CHECK_EQ(wait4(-1, NULL, 0, NULL), normal);
	CHECK_ERRNO(wait4(-1, NULL, 0, NULL), ECHILD);
	CHECK_ERRNO(wait4(odd, NULL, 0, NULL), ECHILD);
	CHECK_EQ(wait4(-1, NULL, __WCLONE, NULL), odd);
	odd = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (!odd) _exit(2);
	CHECK_EQ(wait4(-1, NULL, __WALL, NULL), odd);
	signal(SIGUSR2, SIG_DFL);
}

TEST(an_ignored_sigchld_leaves_no_zombie) {
	signal(SIGCHLD, SIG_IGN);
	pid_t child = exiting(1);
	/* Waits until the child is gone, then says there was none. */
	CHECK_ERRNO(wait4(child, NULL, 0, NULL), ECHILD);
	CHECK_ERRNO(kill(child, 0), ESRCH);
	signal(SIGCHLD, SIG_DFL);
}

static atomic_int chld_count;

static void count_chld(int signal) {
	(void)signal;
	atomic_fetch_add(&chld_count, 1);
}

TEST(sa_nocldwait_leaves_no_zombie_but_signals) {
	struct sigaction action = {.sa_handler = count_chld, .sa_flags = SA_NOCLDWAIT | SA_RESTART};
	atomic_store(&chld_count, 0);
	sigaction(SIGCHLD, &action, NULL);
	pid_t child = exiting(1);
	CHECK_ERRNO(wait4(child, NULL, 0, NULL), ECHILD);
	signal(SIGCHLD, SIG_DFL);
	CHECK_EQ(atomic_load(&chld_count), 1);
}

TEST(sigchld_carries_what_waitid_would_report) {
	sigset_t chld;
	siginfo_t info;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	pid_t child = exiting(33);
	CHECK_EQ(sigwaitinfo(&chld, &info), SIGCHLD);
	CHECK(info.si_code == CLD_EXITED && info.si_pid == child && info.si_status == 33 && info.si_uid == getuid());
	CHECK_EQ(wait4(child, NULL, 0, NULL), child);
	child = sleeping();
	kill(child, SIGSTOP);
	CHECK_EQ(sigwaitinfo(&chld, &info), SIGCHLD);
	CHECK(info.si_code == CLD_STOPPED && info.si_pid == child && info.si_status == SIGSTOP);
	kill(child, SIGCONT);
	CHECK_EQ(sigwaitinfo(&chld, &info), SIGCHLD);
	CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
	kill(child, SIGKILL);
	CHECK_EQ(sigwaitinfo(&chld, &info), SIGCHLD);
	CHECK(info.si_code == CLD_KILLED && info.si_status == SIGKILL);
	CHECK_EQ(wait4(child, NULL, 0, NULL), child);
	sigprocmask(SIG_UNBLOCK, &chld, NULL);
}

TEST(wait_is_not_interrupted_by_the_sigchld_of_its_own_child) {
	struct sigaction action = {.sa_handler = count_chld};
	sigaction(SIGCHLD, &action, NULL);
	for (int i = 0; i < 200; i++) {
		pid_t child = exiting(1);
		CHECK_EQ(wait4(child, NULL, 0, NULL), child);
	}
	signal(SIGCHLD, SIG_DFL);
}

static void do_nothing(int signal) {
	(void)signal;
}

TEST(wait_is_interrupted_by_a_handler_or_restarted) {
	struct sigaction action = {.sa_handler = do_nothing};
	pid_t parent = getpid();
	for (int restart = 0; restart < 2; restart++) {
		action.sa_flags = restart ? SA_RESTART : 0;
		sigaction(SIGUSR1, &action, NULL);
		pid_t child = fork();
		if (!child) {
			sleep_ms(20);
			kill(parent, SIGUSR1);
			sleep_ms(20);
			_exit(0);
		}
		if (!restart) CHECK_ERRNO(wait4(child, NULL, 0, NULL), EINTR);
		CHECK_EQ(wait4(child, NULL, 0, NULL), child);
	}
	signal(SIGUSR1, SIG_DFL);
}

static void *wait_for_any(void *reaped) {
	for (;;) {
		pid_t child = wait4(-1, NULL, 0, NULL);
		if (child < 0) {
			EXPECT(errno == ECHILD);
			return NULL;
		}
		atomic_fetch_add((atomic_int *)reaped, 1);
	}
}

TEST(each_child_is_reaped_once_however_many_wait) {
	pthread_t threads[6];
	atomic_int reaped = 0;
	pid_t keeper = sleeping();
	for (int i = 0; i < 6; i++) CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_any, &reaped), 0);
	for (int i = 0; i < 200; i++) CHECK(exiting(0) > 0);
	for (int i = 0; i < 5000 && atomic_load(&reaped) < 200; i++) sleep_ms(1);
	CHECK_EQ(atomic_load(&reaped), 200);
	kill(keeper, SIGKILL);
	for (int i = 0; i < 6; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(atomic_load(&reaped), 201);
}

static void *fork_sleeper(void *child) {
	*(pid_t *)child = sleeping();
	return NULL;
}

TEST(a_thread_waits_for_its_siblings_children_unless_told_not_to) {
	pthread_t thread;
	pid_t child;
	CHECK_EQ(pthread_create(&thread, NULL, fork_sleeper, &child), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	/* The dead thread's children are now another thread's of the process: ours. */
	CHECK_EQ(wait4(child, NULL, WNOHANG | __WNOTHREAD, NULL), 0);
	kill(child, SIGKILL);
	CHECK_EQ(wait4(child, NULL, 0, NULL), child);
}

TEST(usage_of_the_child_is_reported_and_added) {
	struct rusage usage, before, after;
	getrusage(RUSAGE_CHILDREN, &before);
	pid_t child = fork();
	if (!child) {
		struct timespec now;
		do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
		while (now.tv_nsec < 40000000);
		_exit(0);
	}
	memset(&usage, 0xff, sizeof usage);
	CHECK_EQ(wait4(child, NULL, 0, &usage), child);
	long used_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	CHECK(used_us >= 30000 && used_us < 5000000);
	CHECK(usage.ru_maxrss >= 0 && usage.ru_maxrss < 1 << 30);
	getrusage(RUSAGE_CHILDREN, &after);
	long added_us = (after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
	                after.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_utime.tv_usec - before.ru_stime.tv_usec;
	CHECK(added_us >= 30000);
}

TEST(orphans_go_to_the_nearest_subreaper) {
	int status, tree[2];
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	int is = 0;
	CHECK_EQ(prctl(PR_GET_CHILD_SUBREAPER, &is), 0);
	CHECK_EQ(is, 1);
	CHECK_EQ(pipe(tree), 0);
	pid_t child = fork();
	if (!child) {
		pid_t grandchild = fork();
		if (!grandchild) {
			pid_t old = getppid();
			while (getppid() == old) sleep_ms(1);
			_exit(getppid() == 1 ? 1 : 17);
		}
		CHILD_CHECK(write(tree[1], &grandchild, sizeof grandchild) == sizeof grandchild);
		sleep_ms(10);
		_exit(0);
	}
	pid_t grandchild;
	CHECK_EQ(read(tree[0], &grandchild, sizeof grandchild), (long)sizeof grandchild);
	CHECK_EQ(wait4(child, &status, 0, NULL), child);
	CHECK_EQ(wait4(-1, &status, 0, NULL), grandchild);
	CHECK_EQ(WEXITSTATUS(status), 17);
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	close(tree[0]);
	close(tree[1]);
}

TEST(zombies_of_a_dead_parent_go_too) {
	int status;
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid_t child = fork();
	if (!child) {
		if (!fork()) _exit(9);
		siginfo_t info;
		waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
		_exit(0);
	}
	CHECK_EQ(wait4(child, &status, 0, NULL), child);
	CHECK(wait4(-1, &status, 0, NULL) > 0);
	CHECK_EQ(WEXITSTATUS(status), 9);
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

TEST(the_parent_death_signal_comes) {
	int status;
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid_t child = fork();
	if (!child) {
		pid_t parent = getpid(), grandchild = fork();
		if (!grandchild) {
			CHILD_CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
			kill(parent, SIGKILL);
			for (;;) pause();
		}
		for (;;) pause();
	}
	CHECK_EQ(wait4(child, &status, 0, NULL), child);
	CHECK_EQ(status, SIGKILL);
	CHECK(wait4(-1, &status, 0, NULL) > 0);
	CHECK_EQ(status, SIGTERM);
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void *sleep_and_exit_group(void *unused) {
	(void)unused;
	sleep_ms(30);
	exit(13);
}

TEST(a_leader_that_left_is_no_zombie_until_its_threads_are_gone) {
	int status;
	pid_t child = fork();
	if (!child) {
		pthread_t thread;
		pthread_create(&thread, NULL, sleep_and_exit_group, NULL);
		syscall(SYS_exit, 1);
	}
	sleep_ms(10);
	CHECK_EQ(wait4(child, &status, WNOHANG, NULL), 0);
	CHECK_EQ(wait4(child, &status, 0, NULL), child);
	CHECK_EQ(WEXITSTATUS(status), 13);
}

TEST(a_pidfd_waits_and_signals) {
	siginfo_t info;
	pid_t child = sleeping();
	int fd = syscall(SYS_pidfd_open, child, 0);
	CHECK(fd >= 0);
	CHECK_EQ(raw_waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG, NULL), 0);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), 0);
	CHECK_EQ(raw_waitid(P_PIDFD, fd, &info, WEXITED, NULL), 0);
	CHECK(info.si_pid == child && info.si_status == SIGTERM);
	CHECK_ERRNO(raw_waitid(P_PIDFD, fd, &info, WEXITED, NULL), ECHILD);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), ESRCH);
	close(fd);
	CHECK_ERRNO(syscall(SYS_pidfd_open, child, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_pidfd_open, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_open, getpid(), 1), EINVAL);
}
