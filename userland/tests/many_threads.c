// timeout: 60
/* A thousand threads alive at once. */
#include "test.h"
#include <pthread.h>

enum { THREADS = 1000 };

static pthread_t threads[THREADS];
static pthread_barrier_t barrier;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int alive, let_go;

static void create_all(void *(*body)(void *)) {
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 32768);
	for (long i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], &attributes, body, (void *)i), 0);
}

static void *meet(void *index) {
	pthread_barrier_wait(&barrier);
	return index;
}

TEST(a_thousand_threads_meet_at_a_barrier) {
	void *value;
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
	TRY(create_all(meet));
	pthread_barrier_wait(&barrier);
	for (long i = 0; i < THREADS; i++) {
		CHECK_EQ(pthread_join(threads[i], &value), 0);
		CHECK_EQ((long)value, i);
	}
}

static void *wait_to_go(void *index) {
	pthread_mutex_lock(&mutex);
	alive++;
	while (!let_go) pthread_cond_wait(&condition, &mutex);
	alive--;
	pthread_mutex_unlock(&mutex);
	return index;
}

TEST(a_thousand_threads_wait_and_are_released_together) {
	TRY(create_all(wait_to_go));
	for (;;) {
		pthread_mutex_lock(&mutex);
		int all = alive == THREADS;
		if (all) {
			let_go = 1;
			pthread_cond_broadcast(&condition);
		}
		pthread_mutex_unlock(&mutex);
		if (all) break;
		usleep(1000);
	}
	for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(alive, 0);
}

TEST(ten_thousand_threads_one_after_another) {
	for (int round = 0; round < 10; round++) {
		CHECK_EQ(pthread_barrier_init(&barrier, NULL, 1), 0);
		TRY(create_all(meet));
		for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	}
}
