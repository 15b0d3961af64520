/*
 * Shares of a CPU: sched(7), nice(2). All threads are pinned to one CPU and what they get is measured by the work they
 * do: a count, which stands still, like theirs all, while the host has the virtual CPU wait; so the bounds hold on a busy
 * host as well.
 */
// timeout: 60
#include "../test.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

/* A thread that computes until told to stop. */
struct hog {
	pthread_t thread;
	int nice;
	_Atomic uint64_t work;
};

static atomic_int waiting, stop;

/* Keeps the caller, and the threads it starts, on the first CPU it may use. */
static int stay_on_one_cpu(void) {
	cpu_set_t all, one;
	if (sched_getaffinity(0, sizeof all, &all)) return -1;
	int cpu = 0;
	while (!CPU_ISSET(cpu, &all)) cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof one, &one);
}

static uint64_t now_ns(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void sleep_ns(long ns) { nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL); }

/* A piece of work, some microseconds long. */
static void work(struct hog *hog) {
	for (int i = 0; i < 1000; i++) __asm__ volatile("" ::: "memory");
	atomic_fetch_add_explicit(&hog->work, 1, memory_order_relaxed);
}

static void *compute(void *argument) {
	struct hog *hog = argument;
	EXPECT(setpriority(PRIO_PROCESS, syscall(SYS_gettid), hog->nice) == 0);
	atomic_fetch_sub(&waiting, 1);
	while (atomic_load(&waiting) > 0) sched_yield();
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) work(hog);
	return NULL;
}

/* Has hogs compute side by side for some time. */
static int run(struct hog *hogs, int count, long ns) {
	atomic_store(&waiting, count);
	atomic_store(&stop, 0);
	for (int i = 0; i < count; i++)
		if (pthread_create(&hogs[i].thread, NULL, compute, &hogs[i])) return -1;
	while (atomic_load(&waiting) > 0) sched_yield();
	sleep_ns(ns);
	atomic_store(&stop, 1);
	for (int i = 0; i < count; i++) pthread_join(hogs[i].thread, NULL);
	return 0;
}

TEST(equal_threads_get_equal_shares) {
	enum { HOGS = 4 };
	struct hog hogs[HOGS] = {0};
	uint64_t all = 0;
	CHECK_EQ(stay_on_one_cpu(), 0);
	CHECK_EQ(run(hogs, HOGS, 1500000000), 0);
	for (int i = 0; i < HOGS; i++) all += hogs[i].work;
	for (int i = 0; i < HOGS; i++) CHECK(hogs[i].work * HOGS * 10 >= all * 8);
}

TEST(a_nice_thread_gets_less) {
	struct hog hogs[2] = {{.nice = 0}, {.nice = 10}};
	CHECK_EQ(stay_on_one_cpu(), 0);
	CHECK_EQ(run(hogs, 2, 1000000000), 0);
	/* By the weights it is 9 to 1. */
	CHECK(hogs[1].work > 0);
	CHECK(hogs[1].work * 3 < hogs[0].work);
}

/* The most work that is done in so much time of the CPU. */
static uint64_t work_in(uint64_t ns) {
	struct hog hog = {0};
	uint64_t most = 0;
	for (int round = 0; round < 20; round++) {
		uint64_t begun = now_ns(CLOCK_THREAD_CPUTIME_ID), before = hog.work;
		while (now_ns(CLOCK_THREAD_CPUTIME_ID) - begun < ns)
			for (int i = 0; i < 10; i++) work(&hog);
		if (hog.work - before > most) most = hog.work - before;
	}
	return most;
}

/* Sleeps a millisecond, again and again, beside a thread that computes all the time. */
TEST(a_thread_that_computes_holds_up_a_woken_one_for_a_slice_at_most) {
	enum { WAKES = 100 };
	CHECK_EQ(stay_on_one_cpu(), 0);
	uint64_t in_10_ms = work_in(10000000);
	struct hog hog = {0};
	atomic_store(&waiting, 1);
	atomic_store(&stop, 0);
	CHECK_EQ(pthread_create(&hog.thread, NULL, compute, &hog), 0);
	while (atomic_load(&waiting) > 0) sched_yield();
	for (int i = 0; i < WAKES; i++) sleep_ns(1000000);
	uint64_t done = hog.work;
	atomic_store(&stop, 1);
	pthread_join(hog.thread, NULL);
	/* A millisecond of sleep, and a slice of 2 ms (on Linux up to 4): so much the other may have done each time. */
	CHECK(done > 0);
	CHECK(done < WAKES * in_10_ms);
}
