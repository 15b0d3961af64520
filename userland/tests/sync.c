/* Read-write locks, barriers, once, semaphores. */
#include "test.h"
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static atomic_int readers, writers, most_readers;
static long written;

static void *read_often(void *unused) {
	(void)unused;
	for (int i = 0; i < 500; i++) {
		EXPECT(pthread_rwlock_rdlock(&rwlock) == 0);
		int now = atomic_fetch_add(&readers, 1) + 1;
		if (now > atomic_load(&most_readers)) atomic_store(&most_readers, now);
		EXPECT(atomic_load(&writers) == 0);
		if (i % 10 == 0) sched_yield();
		atomic_fetch_sub(&readers, 1);
		EXPECT(pthread_rwlock_unlock(&rwlock) == 0);
	}
	return NULL;
}

static void *write_often(void *unused) {
	(void)unused;
	for (int i = 0; i < 500; i++) {
		EXPECT(pthread_rwlock_wrlock(&rwlock) == 0);
		EXPECT(atomic_fetch_add(&writers, 1) == 0);
		EXPECT(atomic_load(&readers) == 0);
		written++;
		if (i % 10 == 0) sched_yield();
		atomic_fetch_sub(&writers, 1);
		EXPECT(pthread_rwlock_unlock(&rwlock) == 0);
	}
	return NULL;
}

TEST(writers_exclude_and_readers_share) {
	pthread_t threads[10];
	for (int i = 0; i < 10; i++) CHECK_EQ(pthread_create(&threads[i], NULL, i < 6 ? read_often : write_often, NULL), 0);
	for (int i = 0; i < 10; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(written, 2000);
}

TEST(a_held_rwlock_lets_readers_in_and_writers_not) {
	struct timespec past = {1, 0};
	CHECK_EQ(pthread_rwlock_rdlock(&rwlock), 0);
	CHECK_EQ(pthread_rwlock_tryrdlock(&rwlock), 0);
	CHECK_EQ(pthread_rwlock_trywrlock(&rwlock), EBUSY);
	CHECK_EQ(pthread_rwlock_timedwrlock(&rwlock, &past), ETIMEDOUT);
	CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
	CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
	CHECK_EQ(pthread_rwlock_wrlock(&rwlock), 0);
	CHECK_EQ(pthread_rwlock_tryrdlock(&rwlock), EBUSY);
	CHECK_EQ(pthread_rwlock_timedrdlock(&rwlock, &past), ETIMEDOUT);
	CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
}

enum { PARTIES = 7, PHASES = 200 };

static pthread_barrier_t barrier;
static atomic_int arrived[PHASES], serial;

static void *pass_phases(void *unused) {
	(void)unused;
	for (int phase = 0; phase < PHASES; phase++) {
		atomic_fetch_add(&arrived[phase], 1);
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) atomic_fetch_add(&serial, 1);
		EXPECT(atomic_load(&arrived[phase]) == PARTIES);
	}
	return NULL;
}

TEST(nobody_passes_a_barrier_before_all_arrive) {
	pthread_t threads[PARTIES];
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, PARTIES), 0);
	for (int i = 0; i < PARTIES; i++) CHECK_EQ(pthread_create(&threads[i], NULL, pass_phases, NULL), 0);
	for (int i = 0; i < PARTIES; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(serial, PHASES);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_ran;

static void slow_init(void) {
	usleep(10000);
	once_ran++;
}

static void *call_once(void *unused) {
	(void)unused;
	pthread_once(&once, slow_init);
	return (void *)(long)once_ran;
}

TEST(once_runs_once_and_all_wait_for_it) {
	pthread_t threads[20];
	void *seen;
	for (int i = 0; i < 20; i++) CHECK_EQ(pthread_create(&threads[i], NULL, call_once, NULL), 0);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(pthread_join(threads[i], &seen), 0);
		CHECK_EQ((long)seen, 1);
	}
}

static sem_t items, done;
static atomic_int taken;

static void *take_items(void *unused) {
	(void)unused;
	for (int i = 0; i < 1000; i++) {
		EXPECT(sem_wait(&items) == 0);
		atomic_fetch_add(&taken, 1);
		EXPECT(sem_post(&done) == 0);
	}
	return NULL;
}

TEST(a_semaphore_counts) {
	pthread_t threads[4];
	int value = -1;
	sem_init(&items, 0, 0);
	sem_init(&done, 0, 0);
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, take_items, NULL), 0);
	for (int i = 0; i < 4000; i++) CHECK_EQ(sem_post(&items), 0);
	for (int i = 0; i < 4000; i++) CHECK_EQ(sem_wait(&done), 0);
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(taken, 4000);
	CHECK_EQ(sem_getvalue(&items, &value), 0);
	CHECK_EQ(value, 0);
}

TEST(a_semaphore_wait_can_time_out) {
	sem_t semaphore;
	struct timespec until;
	sem_init(&semaphore, 0, 1);
	CHECK_EQ(sem_trywait(&semaphore), 0);
	CHECK_ERRNO(sem_trywait(&semaphore), EAGAIN);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 20000000;
	if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
	CHECK_ERRNO(sem_timedwait(&semaphore, &until), ETIMEDOUT);
}
