/* Mutexes of every type, under contention and with time limits. */
#include "test.h"
#include <pthread.h>
#include <time.h>

enum { THREADS = 8, ROUNDS = 5000 };

struct shared {
	pthread_mutex_t mutex;
	long plain;
};

static void *add_under_lock(void *argument) {
	struct shared *shared = argument;
	for (int i = 0; i < ROUNDS; i++) {
		EXPECT(pthread_mutex_lock(&shared->mutex) == 0);
		long seen = shared->plain;
		if (i % 100 == 0) sched_yield();
		shared->plain = seen + 1;
		EXPECT(pthread_mutex_unlock(&shared->mutex) == 0);
	}
	return NULL;
}

static void contend(int type, int protocol) {
	struct shared shared = {.plain = 0};
	pthread_mutexattr_t attributes;
	pthread_t threads[THREADS];
	pthread_mutexattr_init(&attributes);
	CHECK_EQ(pthread_mutexattr_settype(&attributes, type), 0);
	CHECK_EQ(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
	CHECK_EQ(pthread_mutex_init(&shared.mutex, &attributes), 0);
	for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, add_under_lock, &shared), 0);
	for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(shared.plain, THREADS * ROUNDS);
	CHECK_EQ(pthread_mutex_destroy(&shared.mutex), 0);
}

TEST(a_normal_mutex_excludes) {
	TRY(contend(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE));
}

TEST(a_recursive_mutex_excludes) {
	TRY(contend(PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE));
}

TEST(an_error_checking_mutex_excludes) {
	TRY(contend(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE));
}

static void init_typed(pthread_mutex_t *mutex, int type) {
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, type);
	pthread_mutex_init(mutex, &attributes);
}

static void *try_lock(void *mutex) {
	int error = pthread_mutex_trylock(mutex);
	if (!error) pthread_mutex_unlock(mutex);
	return (void *)(long)error;
}

static long trylock_elsewhere(pthread_mutex_t *mutex) {
	pthread_t thread;
	void *error = (void *)-1;
	if (pthread_create(&thread, NULL, try_lock, mutex)) return -1;
	pthread_join(thread, &error);
	return (long)error;
}

TEST(a_recursive_mutex_is_free_after_as_many_unlocks_as_locks) {
	pthread_mutex_t mutex;
	init_typed(&mutex, PTHREAD_MUTEX_RECURSIVE);
	for (int i = 0; i < 3; i++) CHECK_EQ(pthread_mutex_lock(&mutex), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(trylock_elsewhere(&mutex), EBUSY);
		CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	}
	CHECK_EQ(trylock_elsewhere(&mutex), 0);
}

static void *unlock_elsewhere(void *mutex) {
	return (void *)(long)pthread_mutex_unlock(mutex);
}

TEST(an_error_checking_mutex_refuses_relocking_and_unlocking_by_others) {
	pthread_mutex_t mutex;
	pthread_t thread;
	void *error;
	init_typed(&mutex, PTHREAD_MUTEX_ERRORCHECK);
	CHECK_EQ(pthread_mutex_unlock(&mutex), EPERM);
	CHECK_EQ(pthread_mutex_lock(&mutex), 0);
	CHECK_EQ(pthread_mutex_lock(&mutex), EDEADLK);
	CHECK_EQ(pthread_create(&thread, NULL, unlock_elsewhere, &mutex), 0);
	CHECK_EQ(pthread_join(thread, &error), 0);
	CHECK_EQ((long)error, EPERM);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
}

static struct timespec from_now(clockid_t clock, long ns) {
	struct timespec time;
	clock_gettime(clock, &time);
	time.tv_nsec += ns;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

static void *timedlock_30ms(void *mutex) {
	struct timespec until = from_now(CLOCK_REALTIME, 30000000);
	int error = pthread_mutex_timedlock(mutex, &until);
	struct timespec after = from_now(CLOCK_REALTIME, 0);
	if (error == ETIMEDOUT &&
	    (after.tv_sec < until.tv_sec || (after.tv_sec == until.tv_sec && after.tv_nsec < until.tv_nsec)))
		error = -1; /* too early */
	return (void *)(long)error;
}

TEST(timedlock_gives_up_not_before_its_time) {
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;
	void *error;
	pthread_mutex_lock(&mutex);
	CHECK_EQ(pthread_create(&thread, NULL, timedlock_30ms, &mutex), 0);
	CHECK_EQ(pthread_join(thread, &error), 0);
	CHECK_EQ((long)error, ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	CHECK_EQ(trylock_elsewhere(&mutex), 0);
}

static void *timedlock_10s(void *mutex) {
	struct timespec until = from_now(CLOCK_REALTIME, 0);
	until.tv_sec += 10;
	int error = pthread_mutex_timedlock(mutex, &until);
	if (!error) pthread_mutex_unlock(mutex);
	return (void *)(long)error;
}

TEST(timedlock_gets_a_lock_that_is_released_in_time) {
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;
	void *error;
	pthread_mutex_lock(&mutex);
	CHECK_EQ(pthread_create(&thread, NULL, timedlock_10s, &mutex), 0);
	usleep(20000);
	pthread_mutex_unlock(&mutex);
	CHECK_EQ(pthread_join(thread, &error), 0);
	CHECK_EQ((long)error, 0);
}

TEST(a_spin_lock_excludes) {
	static pthread_spinlock_t lock;
	CHECK_EQ(pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE), 0);
	CHECK_EQ(pthread_spin_lock(&lock), 0);
	CHECK_EQ(pthread_spin_trylock(&lock), EBUSY);
	CHECK_EQ(pthread_spin_unlock(&lock), 0);
	CHECK_EQ(pthread_spin_trylock(&lock), 0);
	CHECK_EQ(pthread_spin_unlock(&lock), 0);
}
