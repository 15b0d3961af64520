/* Process groups and sessions: setpgid(2), setsid(2), getpgid(2), getsid(2), orphaned groups. */
#include "test.h"
#include "linux.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static pid_t sleeping(void) {
	pid_t child = fork();
	if (!child)
		for (;;) pause();
	return child;
}

static int finish(pid_t child) {
	kill(child, SIGKILL);
	return status_of(child);
}

TEST(a_child_inherits_group_and_session) {
	pid_t child = sleeping();
	CHECK_EQ(getpgid(child), getpgrp());
	CHECK_EQ(getsid(child), getsid(0));
	CHECK_EQ(getpgid(0), getpgrp());
	finish(child);
}

TEST(a_child_can_be_moved_into_a_group_of_its_own_and_others_join) {
	pid_t one = sleeping(), two = sleeping();
	CHECK_EQ(setpgid(one, 0), 0);
	CHECK_EQ(getpgid(one), one);
	CHECK_EQ(setpgid(one, one), 0);
	CHECK_EQ(setpgid(two, one), 0);
	CHECK_EQ(getpgid(two), one);
	CHECK_EQ(setpgid(two, getpgrp()), 0);
	finish(one);
	finish(two);
}

TEST(setpgid_refuses_in_linuxs_order) {
	pid_t child = sleeping();
	CHECK_ERRNO(setpgid(child, -1), EINVAL);
	CHECK_ERRNO(setpgid(0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(setpgid(1, 0), ESRCH);
	CHECK_ERRNO(setpgid(getppid(), 0), ESRCH);
	CHECK_ERRNO(setpgid(child, 0x3fffffff), EPERM);
	finish(child);
	CHECK_ERRNO(getpgid(0x3fffffff), ESRCH);
	CHECK_ERRNO(getsid(0x3fffffff), ESRCH);
	CHECK_ERRNO(getpgid(-1), ESRCH);
}

TEST(setsid_makes_a_session_and_a_group) {
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(setsid() == getpid());
		CHILD_CHECK(getsid(0) == getpid() && getpgrp() == getpid());
		CHILD_CHECK(setsid() == -1 && errno == EPERM);
		CHILD_CHECK(setpgid(0, 0) == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(a_group_leader_cannot_make_a_session) {
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(setpgid(0, 0) == 0);
		CHILD_CHECK(setsid() == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(a_group_that_outlives_its_leader_still_bars_the_number) {
	int ready[2];
	CHECK_EQ(pipe(ready), 0);
	pid_t leader = sleeping();
	CHECK_EQ(setpgid(leader, leader), 0);
	pid_t member = sleeping();
	CHECK_EQ(setpgid(member, leader), 0);
	finish(leader);
	CHECK_EQ(getpgid(member), leader);
	CHECK_EQ(kill(-leader, 0), 0);
	finish(member);
	CHECK_ERRNO(kill(-leader, 0), ESRCH);
	close(ready[0]);
	close(ready[1]);
}

TEST(nobody_moves_across_sessions) {
	int go[2], done[2];
	char byte;
	CHECK(pipe(go) == 0 && pipe(done) == 0);
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(setsid() > 0 && write(done[1], "x", 1) == 1);
		CHILD_CHECK(read(go[0], &byte, 1) == 1);
		_exit(0);
	}
	CHECK_EQ(read(done[0], &byte, 1), 1);
	CHECK_ERRNO(setpgid(child, 0), EPERM);
	CHECK_ERRNO(setpgid(0, child), EPERM);
	CHECK(getsid(child) == child);
	CHECK_EQ(write(go[1], "x", 1), 1);
	CHECK_EQ(status_of(child), 0);
	for (int i = 0; i < 2; i++) close(go[i]), close(done[i]);
}

TEST(a_child_that_has_execed_cannot_be_moved) {
	/* Shown with the flag alone: close-on-exec of a pipe tells that exec is done. */
	extern char **environ;
	int closed[2];
	char byte, *argv[] = {"x", "--nothing-by-this-name", NULL};
	CHECK_EQ(pipe2(closed, 02000000), 0);
	pid_t child = fork();
	if (!child) {
		dup2(closed[0], 0);
		execve("/proc/self/exe", argv, environ);
		_exit(1);
	}
	close(closed[1]);
	CHECK_EQ(read(closed[0], &byte, 1), 0);
	/* It runs or is a zombie now: EACCES either way. */
	CHECK_ERRNO(setpgid(child, child), EACCES);
	CHECK_EQ(status_of(child), 0);
	close(closed[0]);
}

TEST(signals_reach_a_whole_group) {
	pid_t children[5];
	for (int i = 0; i < 5; i++) {
		children[i] = sleeping();
		CHECK_EQ(setpgid(children[i], children[0]), 0);
	}
	CHECK_EQ(kill(-children[0], SIGTERM), 0);
	for (int i = 0; i < 5; i++) CHECK_EQ(status_of(children[i]), 1000 + SIGTERM);
}

TEST(stopped_members_of_a_group_that_becomes_orphaned_get_hup_and_cont) {
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	int tell[2];
	pid_t stopped;
	CHECK_EQ(pipe(tell), 0);
	pid_t leader = fork();
	if (!leader) {
		/* A session of its own, in which this is the only parent of the group below. */
		CHILD_CHECK(setsid() > 0);
		pid_t child = sleeping();
		CHILD_CHECK(setpgid(child, child) == 0);
		kill(child, SIGSTOP);
		siginfo_t info;
		CHILD_CHECK(waitid(P_PID, child, &info, WSTOPPED) == 0);
		CHILD_CHECK(write(tell[1], &child, sizeof child) == sizeof child);
		_exit(0);
	}
	CHECK_EQ(read(tell[0], &stopped, sizeof stopped), (long)sizeof stopped);
	CHECK_EQ(status_of(leader), 0);
	CHECK_EQ(status_of(stopped), 1000 + SIGHUP);
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	close(tell[0]);
	close(tell[1]);
}

TEST(terminal_stop_signals_do_nothing_in_an_orphaned_group) {
	pid_t leader = fork();
	if (!leader) {
		CHILD_CHECK(setsid() > 0);
		/* A session leader's group is orphaned: its parent is in another session. */
		raise(SIGTSTP);
		raise(SIGTTIN);
		raise(SIGTTOU);
		_exit(3);
	}
	CHECK_EQ(status_of(leader), 3);
}
