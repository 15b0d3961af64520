/* Thread-local storage: __thread variables, pthread keys and their destructors, errno. */
#include "test.h"
#include <pthread.h>

static __thread long counter = 5;
static __thread char zeroed[5000];
static __thread long aligned __attribute__((aligned(256))) = 3;

static void *use_thread_variables(void *argument) {
	long id = (long)argument, fresh = counter == 5 && aligned == 3 && (uintptr_t)&aligned % 256 == 0;
	for (size_t i = 0; i < sizeof zeroed; i++) fresh &= !zeroed[i];
	for (int i = 0; i < 1000; i++) {
		counter += id;
		if (i % 100 == 0) sched_yield();
	}
	memset(zeroed, 1, sizeof zeroed);
	return (void *)(long)(fresh && counter == 5 + 1000 * id);
}

TEST(thread_variables_start_fresh_and_stay_private) {
	pthread_t threads[20];
	void *good;
	for (long i = 0; i < 20; i++) CHECK_EQ(pthread_create(&threads[i], NULL, use_thread_variables, (void *)i), 0);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(pthread_join(threads[i], &good), 0);
		CHECK(good);
	}
	CHECK_EQ(counter, 5);
}

static pthread_key_t first_key, second_key;
static atomic_long destroyed;

static void add_value(void *value) {
	atomic_fetch_add(&destroyed, (long)value);
}

static void set_other_key(void *value) {
	atomic_fetch_add(&destroyed, (long)value);
	pthread_setspecific(first_key, (void *)100);
}

static void *set_keys(void *unused) {
	(void)unused;
	pthread_setspecific(second_key, (void *)10);
	return (void *)(long)(pthread_getspecific(first_key) == NULL && pthread_getspecific(second_key) == (void *)10);
}

TEST(destructors_run_at_thread_exit_again_for_values_set_by_destructors) {
	pthread_t thread;
	void *good;
	CHECK_EQ(pthread_key_create(&first_key, add_value), 0);
	CHECK_EQ(pthread_key_create(&second_key, set_other_key), 0);
	CHECK_EQ(pthread_create(&thread, NULL, set_keys, NULL), 0);
	CHECK_EQ(pthread_join(thread, &good), 0);
	CHECK(good);
	CHECK_EQ(destroyed, 110);
	CHECK_EQ(pthread_key_delete(first_key), 0);
	CHECK_EQ(pthread_key_delete(second_key), 0);
}

static void *fail_differently(void *unused) {
	(void)unused;
	for (int i = 0; i < 500; i++) {
		close(-1);
		EXPECT(errno == EBADF);
		sched_yield();
		EXPECT(errno == EBADF);
	}
	return NULL;
}

TEST(errno_is_private_to_the_thread) {
	pthread_t threads[4];
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, fail_differently, NULL), 0);
	errno = 0;
	for (int i = 0; i < 500; i++) {
		sched_yield();
		CHECK_EQ(errno, 0);
	}
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void push_value(void *value) {
	atomic_fetch_add(&destroyed, (long)value);
}

static void *exit_with_cleanup(void *unused) {
	pthread_cleanup_push(push_value, (void *)1000);
	pthread_cleanup_push(push_value, (void *)2000);
	pthread_cleanup_pop(0);
	pthread_exit(unused);
	pthread_cleanup_pop(0);
}

TEST(cleanup_handlers_run_at_pthread_exit) {
	pthread_t thread;
	atomic_store(&destroyed, 0);
	CHECK_EQ(pthread_create(&thread, NULL, exit_with_cleanup, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(destroyed, 1000);
}
