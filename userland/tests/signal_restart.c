/* What a signal does to a call that waits: EINTR, restart, or going on with what was left (signal(7)). */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>

static atomic_int handled;
static int pipe_ends[2];
static pthread_t main_thread;

static void note(int signal) {
	(void)signal;
	atomic_fetch_add(&handled, 1);
}

static void handle(int flags) {
	struct sigaction action = {.sa_handler = note, .sa_flags = flags};
	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&handled, 0);
}

/* Signals the main thread while it waits, and then gives it what it waits for. */
static void *interrupt_then_write(void *what) {
	sleep_ms(50);
	pthread_kill(main_thread, SIGUSR1);
	while (!atomic_load(&handled)) sleep_ms(1);
	sleep_ms(50);
	if (what && write(pipe_ends[1], what, 1) != 1) abort();
	return NULL;
}

static pthread_t helper;

static void start(char *what) {
	main_thread = pthread_self();
	if (pipe(pipe_ends)) abort();
	if (pthread_create(&helper, NULL, interrupt_then_write, what)) abort();
}

static void finish(void) {
	pthread_join(helper, NULL);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

TEST(a_read_restarts_with_sa_restart) {
	char byte = 0;
	handle(SA_RESTART);
	start("x");
	long got = read(pipe_ends[0], &byte, 1);
	finish();
	CHECK_EQ(got, 1);
	CHECK_EQ(byte, 'x');
	CHECK_EQ(atomic_load(&handled), 1);
}

TEST(a_read_fails_with_eintr_without_sa_restart) {
	char byte = 0;
	handle(0);
	start(NULL);
	long got = read(pipe_ends[0], &byte, 1);
	int error = errno;
	finish();
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EINTR);
}

TEST(an_ignored_signal_interrupts_nothing) {
	char byte = 0;
	signal(SIGUSR1, SIG_IGN);
	atomic_store(&handled, 1);
	start("y");
	long got = read(pipe_ends[0], &byte, 1);
	finish();
	CHECK_EQ(got, 1);
}

TEST(nanosleep_tells_what_was_left_and_does_not_restart) {
	struct timespec length = {2, 0}, left = {-1, -1};
	handle(SA_RESTART);
	start(NULL);
	long got = nanosleep(&length, &left);
	int error = errno;
	finish();
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EINTR);
	CHECK(left.tv_sec == 1 && left.tv_nsec > 0 && left.tv_nsec < 1000000000);
}

TEST(an_absolute_sleep_is_interrupted_without_remaining_time) {
	struct timespec until, left = {-1, -1};
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 2;
	handle(SA_RESTART);
	start(NULL);
	int error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, &left);
	finish();
	CHECK_EQ(error, EINTR);
	CHECK_EQ(left.tv_sec, -1);
}

TEST(poll_select_and_epoll_never_restart) {
	handle(SA_RESTART);
	start(NULL);
	struct pollfd fd = {pipe_ends[0], POLLIN, 0};
	long got = poll(&fd, 1, 2000);
	int error = errno;
	finish();
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EINTR);

	handle(SA_RESTART);
	start(NULL);
	fd_set set;
	FD_ZERO(&set);
	FD_SET(pipe_ends[0], &set);
	got = select(pipe_ends[0] + 1, &set, NULL, NULL, &(struct timeval){2, 0});
	error = errno;
	finish();
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EINTR);

	int epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	handle(SA_RESTART);
	start(NULL);
	epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_ends[0], &event);
	got = epoll_wait(epoll, &event, 1, 2000);
	error = errno;
	finish();
	close(epoll);
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EINTR);
}

TEST(sigsuspend_waits_under_its_mask_and_leaves_the_old_one) {
	sigset_t blocked, old, empty, now;
	handle(0);
	sigemptyset(&empty);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(atomic_load(&handled), 0);
	CHECK_ERRNO(sigsuspend(&empty), EINTR);
	CHECK_EQ(atomic_load(&handled), 1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGUSR1));
	sigprocmask(SIG_SETMASK, &old, NULL);
}

TEST(ppoll_and_pselect_take_the_signal_under_their_mask) {
	sigset_t blocked, old, empty, now;
	sigemptyset(&empty);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	handle(0);
	raise(SIGUSR1);
	CHECK_ERRNO(ppoll(NULL, 0, &(struct timespec){2, 0}, &empty), EINTR);
	CHECK_EQ(atomic_load(&handled), 1);
	raise(SIGUSR1);
	CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &(struct timespec){2, 0}, &empty), EINTR);
	CHECK_EQ(atomic_load(&handled), 2);
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGUSR1));
	/* Without a signal the mask is back at once. */
	CHECK_EQ(ppoll(NULL, 0, &(struct timespec){0, 1000}, &empty), 0);
	raise(SIGUSR1);
	CHECK_EQ(atomic_load(&handled), 2);
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK_EQ(atomic_load(&handled), 3);
}

TEST(sigtimedwait_takes_a_blocked_signal_or_times_out) {
	sigset_t wanted, old;
	siginfo_t info;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	sigprocmask(SIG_BLOCK, &wanted, &old);
	handle(0);
	CHECK_ERRNO(sigtimedwait(&wanted, &info, &(struct timespec){0, 0}), EAGAIN);
	CHECK_ERRNO(sigtimedwait(&wanted, &info, &(struct timespec){0, 20000000}), EAGAIN);
	CHECK_ERRNO(sigtimedwait(&wanted, &info, &(struct timespec){0, -1}), EINVAL);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(sigtimedwait(&wanted, &info, NULL), SIGUSR1);
	CHECK_EQ(info.si_pid, getpid());
	start(NULL);
	atomic_store(&handled, 1);
	CHECK_EQ(sigtimedwait(&wanted, &info, &(struct timespec){5, 0}), SIGUSR1);
	CHECK_EQ(info.si_code, SI_TKILL);
	finish();
	sigprocmask(SIG_SETMASK, &old, NULL);
}

TEST(sigtimedwait_is_interrupted_by_another_signal) {
	sigset_t wanted, old;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR2);
	sigprocmask(SIG_BLOCK, &wanted, &old);
	handle(SA_RESTART);
	start(NULL);
	/* musl's own function would try again. */
	long got = syscall(SYS_rt_sigtimedwait, &wanted, NULL, NULL, 8);
	int error = errno;
	finish();
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EINTR);
	CHECK_EQ(atomic_load(&handled), 1);
}

TEST(a_futex_wait_is_interrupted_and_one_without_timeout_restarts) {
	int word = 0;
	handle(0);
	start(NULL);
	long got = syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE, 0, &(struct timespec){2, 0}, NULL, 0);
	int error = errno;
	finish();
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EINTR);
}

TEST(wait_reports_the_child_rather_than_its_sigchld) {
	struct sigaction action = {.sa_handler = note}, old;
	atomic_store(&handled, 0);
	sigaction(SIGCHLD, &action, &old);
	for (int i = 0; i < 20; i++) {
		int status;
		pid_t child = fork();
		if (!child) {
			sleep_ms(i % 3);
			_exit(7);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(status, 7 << 8);
	}
	CHECK_EQ(atomic_load(&handled), 20);
	sigaction(SIGCHLD, &old, NULL);
}

TEST(a_stop_and_continue_restart_every_wait) {
	int status;
	int ends[2];
	CHECK_EQ(pipe(ends), 0);
	pid_t child = fork();
	if (!child) {
		struct timespec start, end;
		char byte;
		clock_gettime(CLOCK_MONOTONIC, &start);
		CHILD_CHECK(nanosleep(&(struct timespec){0, 300000000}, NULL) == 0);
		clock_gettime(CLOCK_MONOTONIC, &end);
		long ns = (end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec;
		CHILD_CHECK(ns >= 300000000);
		CHILD_CHECK(read(ends[0], &byte, 1) == 1);
		CHILD_CHECK(poll(&(struct pollfd){ends[0], POLLIN, 0}, 1, 200) == 0);
		_exit(9);
	}
	for (int i = 0; i < 4; i++) {
		sleep_ms(40);
		kill(child, SIGSTOP);
		CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
		sleep_ms(20);
		kill(child, SIGCONT);
		CHECK_EQ(waitpid(child, &status, WCONTINUED), child);
		CHECK(WIFCONTINUED(status));
	}
	sleep_ms(300);
	kill(child, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	kill(child, SIGCONT);
	sleep_ms(20);
	CHECK_EQ(write(ends[1], "z", 1), 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 9 << 8);
	close(ends[0]);
	close(ends[1]);
}

static atomic_int ticks;

static void tick(int signal) {
	(void)signal;
	atomic_fetch_add(&ticks, 1);
}

TEST(a_partial_write_is_reported_and_none_is_lost_under_a_storm) {
	struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
	struct itimerval fast = {{0, 300}, {0, 300}}, off = {{0, 0}, {0, 0}};
	int ends[2], status;
	CHECK_EQ(pipe(ends), 0);
	pid_t child = fork();
	if (!child) {
		char block[4096];
		long sum = 0, got;
		close(ends[1]);
		while ((got = read(ends[0], block, sizeof block)) > 0) sum += got;
		_exit(sum == 4 << 20 ? 0 : 1);
	}
	close(ends[0]);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &fast, NULL);
	static char data[1 << 16];
	for (long left = 4 << 20; left > 0;) {
		long wrote = write(ends[1], data, left < (long)sizeof data ? left : (long)sizeof data);
		CHECK(wrote > 0);
		left -= wrote;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	close(ends[1]);
	while (waitpid(child, &status, 0) < 0) CHECK_EQ(errno, EINTR);
	CHECK_EQ(status, 0);
}
