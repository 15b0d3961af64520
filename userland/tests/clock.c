/* Clocks and sleeping: clock_gettime(2), nanosleep(2), clock_nanosleep(2). */
#include "test.h"
#include <sys/timex.h>
#include "linux.h"
#include <pthread.h>
#include <sys/time.h>
#include <sys/times.h>

static const clockid_t clocks[] = {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
	CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI,
};

TEST(every_clock_can_be_read_and_has_a_resolution) {
	for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
		struct timespec time = {-1, -1}, resolution = {-1, -1};
		CHECK_EQ(syscall(SYS_clock_gettime, clocks[i], &time), 0);
		CHECK(time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < 1000000000);
		CHECK_EQ(syscall(SYS_clock_getres, clocks[i], &resolution), 0);
		CHECK(resolution.tv_sec == 0 && resolution.tv_nsec > 0 && resolution.tv_nsec <= 10000000);
	}
	CHECK_EQ(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL), 0);
}

TEST(unknown_clocks_and_bad_addresses_are_refused) {
	struct timespec time;
	CHECK_ERRNO(syscall(SYS_clock_gettime, 10, &time), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_gettime, 100, &time), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_getres, 100, &time), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)8), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)0xffff800000000000), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &(struct timespec){0, 0}, NULL), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &(struct timespec){0, 0}, NULL), EOPNOTSUPP);
}

TEST(the_address_is_looked_at_before_the_kind_of_clock) {
	struct timespec bad = {0, -1};
	void *nowhere = (void *)16;
	CHECK_ERRNO(syscall(SYS_clock_adjtime, CLOCK_MONOTONIC, nowhere), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_adjtime, 99, nowhere), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_PROCESS_CPUTIME_ID, nowhere), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_settime, -1, nowhere), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_settime, ~getpid() << 3 | 2, &(struct timespec){1, 0}), EPERM);
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, 4, 0, nowhere, NULL), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, nowhere, NULL), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, 10, 0, nowhere, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME_ALARM, 0, nowhere, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME_ALARM, 0, &bad, NULL), EINVAL);
}

TEST(senseless_adjustments_are_refused) {
	struct timex change = {.modes = ADJ_TICK, .tick = 1};
	CHECK_ERRNO(syscall(SYS_adjtimex, &change), EINVAL);
	change.tick = 11001;
	CHECK_ERRNO(syscall(SYS_adjtimex, &change), EINVAL);
	change.modes = 0x8000; /* ADJ_ADJTIME without ADJ_OFFSET_SINGLESHOT */
	CHECK_ERRNO(syscall(SYS_adjtimex, &change), EINVAL);
}

TEST(the_monotonic_clock_never_goes_back) {
	struct timespec last, now;
	clock_gettime(CLOCK_MONOTONIC, &last);
	for (int i = 0; i < 100000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		CHECK(ns_between(last, now) >= 0);
		last = now;
	}
}

static atomic_long latest_ns;

static void *watch_clock(void *unused) {
	(void)unused;
	for (int i = 0; i < 20000; i++) {
		long before = atomic_load(&latest_ns);
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		long ns = now.tv_sec * 1000000000 + now.tv_nsec;
		EXPECT(ns >= before);
		while (before < ns && !atomic_compare_exchange_weak(&latest_ns, &before, ns)) {}
	}
	return NULL;
}

TEST(the_monotonic_clock_never_goes_back_between_threads) {
	pthread_t threads[4];
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, watch_clock, NULL), 0);
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(system_call_and_library_read_the_same_clock) {
	struct timespec before, raw, after;
	for (int i = 0; i < 1000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &before);
		CHECK_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &raw), 0);
		clock_gettime(CLOCK_MONOTONIC, &after);
		CHECK(ns_between(before, raw) >= 0 && ns_between(raw, after) >= 0);
	}
}

TEST(wall_time_is_this_century_and_all_calls_agree) {
	struct timespec clock;
	struct timeval day;
	struct timezone zone = {99, 99};
	CHECK_EQ(syscall(SYS_gettimeofday, &day, &zone), 0);
	CHECK_EQ(clock_gettime(CLOCK_REALTIME, &clock), 0);
	CHECK(day.tv_sec > 1600000000);
	CHECK(clock.tv_sec - day.tv_sec <= 2);
	CHECK(zone.tz_minuteswest == 0 && zone.tz_dsttime == 0);
	long seconds = syscall(SYS_time, NULL), stored = 0;
	CHECK(seconds - clock.tv_sec <= 2 && seconds - clock.tv_sec >= -1);
	CHECK_EQ(syscall(SYS_time, &stored), stored);
}

TEST(nanosleep_sleeps_at_least_as_long_as_asked) {
	static const long lengths_ns[] = {0, 1, 1000, 50000, 1000000, 30000000};
	for (int i = 0; i < 6; i++) {
		struct timespec start, end, length = {0, lengths_ns[i]};
		clock_gettime(CLOCK_MONOTONIC, &start);
		CHECK_EQ(syscall(SYS_nanosleep, &length, NULL), 0);
		clock_gettime(CLOCK_MONOTONIC, &end);
		CHECK(ns_between(start, end) >= lengths_ns[i]);
		CHECK(ns_between(start, end) < lengths_ns[i] + 2000000000);
	}
}

TEST(nanosleep_refuses_bad_times) {
	struct timespec bad[] = {{0, -1}, {0, 1000000000}, {-1, 0}};
	for (int i = 0; i < 3; i++) {
		CHECK_ERRNO(syscall(SYS_nanosleep, &bad[i], NULL), EINVAL);
		CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &bad[i], NULL), EINVAL);
	}
	CHECK_ERRNO(syscall(SYS_nanosleep, NULL, NULL), EFAULT);
}

TEST(an_absolute_sleep_ends_not_before_its_time) {
	static const clockid_t sleepers[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI};
	for (int i = 0; i < 4; i++) {
		struct timespec until = time_from_now(sleepers[i], 10000000), end;
		CHECK_EQ(syscall(SYS_clock_nanosleep, sleepers[i], TIMER_ABSTIME, &until, NULL), 0);
		clock_gettime(sleepers[i], &end);
		CHECK(ns_between(until, end) >= 0);
		CHECK(ns_between(until, end) < 2000000000);
	}
	struct timespec past = {1, 0};
	CHECK_EQ(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL), 0);
}

static void *sleep_20ms(void *unused) {
	sleep_ms(20);
	return unused;
}

TEST(many_sleep_at_the_same_time) {
	pthread_t threads[50];
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < 50; i++) CHECK_EQ(pthread_create(&threads[i], NULL, sleep_20ms, NULL), 0);
	for (int i = 0; i < 50; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(ns_between(start, end) < 900000000);
}

static void burn_ns(clockid_t clock, long ns) {
	struct timespec start, now;
	clock_gettime(clock, &start);
	do clock_gettime(clock, &now);
	while (ns_between(start, now) < ns);
}

TEST(cpu_clocks_count_work_and_not_sleep) {
	struct timespec process[3], thread[3];
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process[0]);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &thread[0]);
	sleep_ms(50);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process[1]);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &thread[1]);
	CHECK(ns_between(process[0], process[1]) < 30000000);
	CHECK(ns_between(thread[0], thread[1]) < 30000000);
	burn_ns(CLOCK_THREAD_CPUTIME_ID, 20000000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process[2]);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &thread[2]);
	CHECK(ns_between(process[1], process[2]) >= 19000000);
	CHECK(ns_between(thread[1], thread[2]) >= 20000000);
}

static void *burn_20ms(void *unused) {
	burn_ns(CLOCK_THREAD_CPUTIME_ID, 20000000);
	return unused;
}

TEST(the_process_clock_counts_its_dead_threads) {
	struct timespec process[2], thread[2];
	pthread_t other;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process[0]);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &thread[0]);
	CHECK_EQ(pthread_create(&other, NULL, burn_20ms, NULL), 0);
	CHECK_EQ(pthread_join(other, NULL), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process[1]);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &thread[1]);
	CHECK(ns_between(process[0], process[1]) >= 19000000);
	CHECK(ns_between(thread[0], thread[1]) < 15000000);
}

TEST(times_counts_ticks) {
	struct tms before, after;
	clock_t start = times(&before);
	CHECK(start != -1);
	burn_ns(CLOCK_THREAD_CPUTIME_ID, 50000000);
	clock_t end = times(&after);
	CHECK(end - start >= 4);
	CHECK(after.tms_utime + after.tms_stime - before.tms_utime - before.tms_stime >= 3);
	CHECK_EQ(after.tms_cutime, 0);
	CHECK_EQ(sysconf(_SC_CLK_TCK), 100);
}
