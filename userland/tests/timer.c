/* Timers: alarm, setitimer, timer_create, timerfd, CPU-time timers. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

static atomic_int count;
static siginfo_t last;

static void on_timer(int signal, siginfo_t *info, void *context) {
	(void)signal;
	(void)context;
	last = *info;
	atomic_fetch_add(&count, 1);
}

static void install(int number) {
	struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(number, &action, NULL);
	atomic_store(&count, 0);
}

static int await_count(int wanted) {
	for (int i = 0; i < 5000 && atomic_load(&count) < wanted; i++) sleep_ms(1);
	return atomic_load(&count) >= wanted;
}

static void burn_ms(long ms) {
	struct timespec start, now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
	do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while (ns_between(start, now) < ms * 1000000);
}

TEST(alarm_rings_once_and_returns_what_was_left) {
	install(SIGALRM);
	CHECK_EQ(alarm(100), 0);
	CHECK_EQ(alarm(1), 100);
	CHECK(await_count(1));
	CHECK_EQ(last.si_code, SI_KERNEL);
	CHECK_EQ(alarm(0), 0);
}

TEST(an_interval_timer_repeats) {
	struct itimerval timer = {{0, 5000}, {0, 5000}}, now, off = {{0, 0}, {0, 0}};
	install(SIGALRM);
	CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
	CHECK(await_count(5));
	CHECK_EQ(getitimer(ITIMER_REAL, &now), 0);
	CHECK(now.it_interval.tv_usec == 5000 && now.it_value.tv_sec == 0 && now.it_value.tv_usec <= 9000);
	CHECK_EQ(setitimer(ITIMER_REAL, &off, &now), 0);
	CHECK_EQ(now.it_interval.tv_usec, 5000);
	int seen = atomic_load(&count);
	sleep_ms(20);
	CHECK_EQ(atomic_load(&count), seen);
	CHECK_ERRNO(setitimer(3, &timer, NULL), EINVAL);
	timer.it_value.tv_usec = 1000000;
	CHECK_ERRNO(setitimer(ITIMER_REAL, &timer, NULL), EINVAL);
}

TEST(virtual_and_prof_timers_count_work) {
	struct itimerval timer = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}};
	install(SIGVTALRM);
	CHECK_EQ(setitimer(ITIMER_VIRTUAL, &timer, NULL), 0);
	sleep_ms(60);
	CHECK(atomic_load(&count) <= 2);
	while (atomic_load(&count) < 3) __asm__ volatile("");
	CHECK_EQ(setitimer(ITIMER_VIRTUAL, &off, NULL), 0);
	install(SIGPROF);
	CHECK_EQ(setitimer(ITIMER_PROF, &timer, NULL), 0);
	while (atomic_load(&count) < 3) burn_ms(1);
	CHECK_EQ(setitimer(ITIMER_PROF, &off, NULL), 0);
}

static int make_timer(int clock, int notify, int signal, int value) {
	struct sigevent event = {.sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_int = value};
	int timer = -1;
	if (notify == 4 /* SIGEV_THREAD_ID */) ((int *)&event)[4] = (int)syscall(SYS_gettid);
	return syscall(SYS_timer_create, clock, &event, &timer) ? -1 : timer;
}

TEST(only_a_timer_on_cpu_time_keeps_a_period_without_a_value) {
	const int which[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
	for (int i = 0; i < 3; i++) {
		struct itimerval timer = {{7, 0}, {0, 0}}, off = {0}, now;
		CHECK_EQ(setitimer(which[i], &timer, NULL), 0);
		CHECK_EQ(getitimer(which[i], &now), 0);
		CHECK_EQ(now.it_interval.tv_sec, which[i] == ITIMER_REAL ? 0 : 7);
		CHECK_EQ(setitimer(which[i], &off, &now), 0);
		CHECK_EQ(now.it_interval.tv_sec, which[i] == ITIMER_REAL ? 0 : 7);
		CHECK_EQ(now.it_value.tv_sec, 0);
	}
}

TEST(a_posix_timer_signals_with_its_value) {
	struct itimerspec late = {{0, 0}, {20, 0}}, time = {{0, 0}, {0, 10000000}}, now;
	install(SIGRTMIN);
	int timer = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 99);
	CHECK(timer >= 0);
	CHECK_EQ(syscall(SYS_timer_settime, timer, 0, &late, NULL), 0);
	CHECK_EQ(syscall(SYS_timer_gettime, timer, &now), 0);
	CHECK((now.it_value.tv_sec >= 15 && now.it_value.tv_sec < 20) || now.it_value.tv_sec == 20);
	CHECK_EQ(syscall(SYS_timer_settime, timer, 0, &time, &now), 0);
	CHECK(now.it_value.tv_sec >= 15);
	CHECK(await_count(1));
	CHECK(last.si_code == SI_TIMER && last.si_value.sival_int == 99 && last.si_timerid == timer && last.si_overrun == 0);
	CHECK_EQ(syscall(SYS_timer_gettime, timer, &now), 0);
	CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
	CHECK_EQ(syscall(SYS_timer_delete, timer), 0);
	CHECK_ERRNO(syscall(SYS_timer_delete, timer), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_gettime, timer, &now), EINVAL);
}

TEST(a_periodic_timer_counts_what_it_overran) {
	struct itimerspec time = {{0, 1000000}, {0, 1000000}};
	sigset_t set;
	siginfo_t info;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int timer = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 1);
	CHECK_EQ(syscall(SYS_timer_settime, timer, 0, &time, NULL), 0);
	sleep_ms(50);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
	CHECK(info.si_overrun >= 30);
	CHECK_EQ(syscall(SYS_timer_getoverrun, timer), info.si_overrun);
	CHECK_EQ(syscall(SYS_timer_delete, timer), 0);
	struct timespec none = {0, 0};
	sigtimedwait(&set, &info, &none);
	CHECK_ERRNO(sigtimedwait(&set, &info, &none), EAGAIN);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

TEST(timers_of_every_clock_and_kind_can_be_made) {
	static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID,
		CLOCK_THREAD_CPUTIME_ID};
	for (int i = 0; i < 6; i++) {
		int timer = make_timer(clocks[i], SIGEV_NONE, 0, 0);
		CHECK(timer >= 0);
		CHECK_EQ(syscall(SYS_timer_delete, timer), 0);
	}
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	int timer;
	CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_create, 77, NULL, &timer), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, (void *)8), EFAULT);
	CHECK_EQ(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &timer), 0);
	struct itimerspec bad = {{0, 0}, {0, 1000000000}};
	CHECK_ERRNO(syscall(SYS_timer_settime, timer, 0, &bad, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_timer_settime, timer, 0, NULL, NULL), EINVAL);
	CHECK_EQ(syscall(SYS_timer_delete, timer), 0);
}

TEST(a_timer_that_is_stopped_has_no_period) {
	timer_t timer;
	struct itimerspec setting = {{0, 5}, {0, 0}};
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &timer), 0);
	CHECK_EQ(timer_settime(timer, 0, &setting, NULL), 0);
	CHECK_EQ(timer_gettime(timer, &setting), 0);
	CHECK_EQ(setting.it_interval.tv_nsec, 0);
	CHECK_EQ(timer_delete(timer), 0);
}

TEST(a_timer_can_signal_one_thread_at_an_absolute_time) {
	install(SIGRTMIN + 1);
	int timer = make_timer(CLOCK_REALTIME, 4 /* SIGEV_THREAD_ID */, SIGRTMIN + 1, 7);
	CHECK(timer >= 0);
	struct itimerspec time = {{0, 0}, time_from_now(CLOCK_REALTIME, 20000000)};
	struct timespec end;
	CHECK_EQ(syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &time, NULL), 0);
	CHECK(await_count(1));
	clock_gettime(CLOCK_REALTIME, &end);
	CHECK(ns_between(time.it_value, end) >= 0);
	CHECK_EQ(syscall(SYS_timer_delete, timer), 0);
}

TEST(a_cpu_timer_counts_the_time_of_the_process) {
	install(SIGRTMIN);
	int timer = make_timer(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN, 3);
	struct itimerspec time = {{0, 0}, {0, 30000000}};
	CHECK_EQ(syscall(SYS_timer_settime, timer, 0, &time, NULL), 0);
	sleep_ms(60);
	CHECK_EQ(atomic_load(&count), 0);
	burn_ms(60);
	CHECK(await_count(1));
	CHECK_EQ(syscall(SYS_timer_delete, timer), 0);
}

TEST(timers_are_not_inherited) {
	install(SIGRTMIN);
	int timer = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 3), status;
	pid_t child = fork();
	if (!child) _exit(syscall(SYS_timer_delete, timer) == -1 && errno == EINVAL ? 0 : 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(syscall(SYS_timer_delete, timer), 0);
}

TEST(a_timerfd_counts_expirations) {
	uint64_t expired = 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct itimerspec time = {{0, 5000000}, {0, 5000000}}, now;
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(read(fd, &expired, 8), EAGAIN);
	CHECK_EQ(timerfd_settime(fd, 0, &time, NULL), 0);
	CHECK_EQ(poll(&poll_fd, 1, 5000), 1);
	CHECK_EQ(poll_fd.revents, POLLIN);
	CHECK_EQ(read(fd, &expired, 8), 8);
	CHECK(expired >= 1);
	sleep_ms(30);
	CHECK_EQ(read(fd, &expired, 8), 8);
	CHECK(expired >= 4);
	CHECK_EQ(timerfd_gettime(fd, &now), 0);
	CHECK_EQ(now.it_interval.tv_nsec, 5000000);
	CHECK_ERRNO(read(fd, &expired, 7), EINVAL);
	close(fd);
	CHECK_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	CHECK_ERRNO(timerfd_settime(1, 0, &time, NULL), EINVAL);
}

TEST(a_timerfd_read_blocks_until_an_absolute_time) {
	uint64_t expired = 0;
	int fd = timerfd_create(CLOCK_REALTIME, 0);
	struct itimerspec time = {{0, 0}, time_from_now(CLOCK_REALTIME, 20000000)};
	struct timespec end;
	CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &time, NULL), 0);
	CHECK_EQ(read(fd, &expired, 8), 8);
	clock_gettime(CLOCK_REALTIME, &end);
	CHECK_EQ(expired, 1);
	CHECK(ns_between(time.it_value, end) >= 0);
	time.it_value = (struct timespec){1, 0};
	CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &time, NULL), 0);
	CHECK_EQ(read(fd, &expired, 8), 8);
	close(fd);
}

TEST(a_fast_timer_does_not_starve_the_program) {
	struct itimerval timer = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
	install(SIGALRM);
	CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
	burn_ms(200);
	CHECK_EQ(setitimer(ITIMER_REAL, &off, NULL), 0);
	CHECK(atomic_load(&count) > 100);
}
