/* Condition variables: signal, broadcast, time limits, a queue of producers and consumers. */
#include "test.h"
#include <pthread.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int waiting, released, woken;

static void *wait_for_release(void *unused) {
	(void)unused;
	pthread_mutex_lock(&mutex);
	waiting++;
	while (!released) pthread_cond_wait(&condition, &mutex);
	if (released > 0) released--;
	woken++;
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void start_waiters(pthread_t *threads, int count) {
	waiting = released = woken = 0;
	for (int i = 0; i < count; i++) CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_release, NULL), 0);
	for (;;) {
		pthread_mutex_lock(&mutex);
		int all = waiting == count;
		pthread_mutex_unlock(&mutex);
		if (all) return;
		usleep(1000);
	}
}

TEST(a_signal_wakes_one_waiter) {
	pthread_t threads[5];
	TRY(start_waiters(threads, 5));
	for (int i = 1; i <= 5; i++) {
		pthread_mutex_lock(&mutex);
		released = 1;
		pthread_cond_signal(&condition);
		pthread_mutex_unlock(&mutex);
		for (int tries = 0; tries < 2000; tries++) {
			pthread_mutex_lock(&mutex);
			int now = woken;
			pthread_mutex_unlock(&mutex);
			if (now == i) break;
			usleep(1000);
		}
		CHECK_EQ(woken, i);
	}
	for (int i = 0; i < 5; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(a_broadcast_wakes_all_waiters) {
	pthread_t threads[50];
	TRY(start_waiters(threads, 50));
	pthread_mutex_lock(&mutex);
	released = -1;
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < 50; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(woken, 50);
}

static long passed_ns(struct timespec from, struct timespec to) {
	return (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
}

static void time_out_by(clockid_t clock) {
	pthread_condattr_t attributes;
	pthread_cond_t timed;
	struct timespec start, until, end;
	pthread_condattr_init(&attributes);
	CHECK_EQ(pthread_condattr_setclock(&attributes, clock), 0);
	CHECK_EQ(pthread_cond_init(&timed, &attributes), 0);
	clock_gettime(clock, &start);
	until = start;
	until.tv_nsec += 50000000;
	if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
	pthread_mutex_lock(&mutex);
	CHECK_EQ(pthread_cond_timedwait(&timed, &mutex, &until), ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	clock_gettime(clock, &end);
	CHECK(passed_ns(until, end) >= 0);
	CHECK(passed_ns(start, end) < 5000000000);
}

TEST(timedwait_by_the_realtime_clock_times_out) {
	TRY(time_out_by(CLOCK_REALTIME));
}

TEST(timedwait_by_the_monotonic_clock_times_out) {
	TRY(time_out_by(CLOCK_MONOTONIC));
}

TEST(timedwait_in_the_past_times_out_at_once) {
	struct timespec past = {1, 0};
	pthread_mutex_lock(&mutex);
	CHECK_EQ(pthread_cond_timedwait(&condition, &mutex, &past), ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
}

TEST(timedwait_refuses_a_bad_time) {
	struct timespec bad = {1, 1000000000};
	pthread_mutex_lock(&mutex);
	CHECK_EQ(pthread_cond_timedwait(&condition, &mutex, &bad), EINVAL);
	pthread_mutex_unlock(&mutex);
}

enum { SLOTS = 4, ITEMS = 20000, PRODUCERS = 3, CONSUMERS = 3 };

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t filled, emptied;
	int slots[SLOTS], head, count, taken;
	long sum;
} queue = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, {0}, 0, 0, 0, 0};

static void *produce(void *first) {
	for (int item = (int)(long)first; item < ITEMS; item += PRODUCERS) {
		pthread_mutex_lock(&queue.mutex);
		while (queue.count == SLOTS) pthread_cond_wait(&queue.emptied, &queue.mutex);
		queue.slots[(queue.head + queue.count++) % SLOTS] = item;
		pthread_cond_signal(&queue.filled);
		pthread_mutex_unlock(&queue.mutex);
	}
	return NULL;
}

static void *consume(void *unused) {
	(void)unused;
	for (;;) {
		pthread_mutex_lock(&queue.mutex);
		while (!queue.count && queue.taken < ITEMS) pthread_cond_wait(&queue.filled, &queue.mutex);
		if (queue.taken == ITEMS) {
			pthread_mutex_unlock(&queue.mutex);
			return NULL;
		}
		queue.sum += queue.slots[queue.head];
		queue.head = (queue.head + 1) % SLOTS;
		queue.count--;
		if (++queue.taken == ITEMS) pthread_cond_broadcast(&queue.filled);
		pthread_cond_signal(&queue.emptied);
		pthread_mutex_unlock(&queue.mutex);
	}
}

TEST(producers_and_consumers_lose_nothing) {
	pthread_t threads[PRODUCERS + CONSUMERS];
	for (long i = 0; i < PRODUCERS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, produce, (void *)i), 0);
	for (int i = 0; i < CONSUMERS; i++) CHECK_EQ(pthread_create(&threads[PRODUCERS + i], NULL, consume, NULL), 0);
	for (int i = 0; i < PRODUCERS + CONSUMERS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(queue.sum, (long)ITEMS * (ITEMS - 1) / 2);
}
