/* futex(2): wait and wake, bitsets, time limits, arguments. */
#include "test.h"
#include "linux.h"
#include <pthread.h>
#include <sys/mman.h>

enum { WAIT = FUTEX_WAIT | FUTEX_PRIVATE, WAKE = FUTEX_WAKE | FUTEX_PRIVATE };

static atomic_uint word, done;

struct waiter {
	pthread_t thread;
	unsigned bitset;
	atomic_int woken;
};

static void *wait_on_word(void *argument) {
	struct waiter *waiter = argument;
	EXPECT(futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE, 0, NULL, NULL, waiter->bitset) == 0);
	atomic_store(&waiter->woken, 1);
	atomic_fetch_add(&done, 1);
	futex(&done, WAKE, 1, NULL, NULL, 0);
	return NULL;
}

static void start_waiters(struct waiter *waiters, int count) {
	atomic_store(&word, 0);
	atomic_store(&done, 0);
	for (int i = 0; i < count; i++) {
		if (!waiters[i].bitset) waiters[i].bitset = FUTEX_BITSET_MATCH_ANY;
		atomic_store(&waiters[i].woken, 0);
		CHECK_EQ(pthread_create(&waiters[i].thread, NULL, wait_on_word, &waiters[i]), 0);
	}
	/* Asleep when a requeue onto themselves counts them all. */
	while (futex(&word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE, 0, (void *)1000L, &word, 0) != count) usleep(1000);
}

static void await_done(unsigned count) {
	for (;;) {
		unsigned now = atomic_load(&done);
		if (now == count) return;
		futex(&done, WAIT, now, NULL, NULL, 0);
	}
}

static void join_all(struct waiter *waiters, int count) {
	for (int i = 0; i < count; i++) CHECK_EQ(pthread_join(waiters[i].thread, NULL), 0);
}

TEST(a_wait_for_another_value_returns_at_once) {
	atomic_store(&word, 1);
	CHECK_ERRNO(futex(&word, WAIT, 2, NULL, NULL, 0), EAGAIN);
}

TEST(a_wake_without_waiters_wakes_none) {
	CHECK_EQ(futex(&word, WAKE, 1000, NULL, NULL, 0), 0);
}

TEST(a_wake_wakes_as_many_as_it_says) {
	struct waiter waiters[6] = {0};
	TRY(start_waiters(waiters, 6));
	CHECK_EQ(futex(&word, WAKE, 1, NULL, NULL, 0), 1);
	await_done(1);
	CHECK_EQ(futex(&word, WAKE, 2, NULL, NULL, 0), 2);
	await_done(3);
	CHECK_EQ(futex(&word, WAKE, 1000, NULL, NULL, 0), 3);
	await_done(6);
	TRY(join_all(waiters, 6));
	CHECK_EQ(futex(&word, WAKE, 1000, NULL, NULL, 0), 0);
}

TEST(waiters_are_woken_in_the_order_they_came) {
	struct waiter waiters[5] = {0};
	atomic_store(&word, 0);
	atomic_store(&done, 0);
	for (int i = 0; i < 5; i++) {
		waiters[i].bitset = FUTEX_BITSET_MATCH_ANY;
		CHECK_EQ(pthread_create(&waiters[i].thread, NULL, wait_on_word, &waiters[i]), 0);
		/* Requeues all but changes no order. */
		while (futex(&word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE, 0, (void *)1000L, &word, 0) != i + 1) usleep(500);
	}
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(futex(&word, WAKE, 1, NULL, NULL, 0), 1);
		await_done(i + 1);
		CHECK(atomic_load(&waiters[i].woken));
	}
	TRY(join_all(waiters, 5));
}

TEST(a_wake_of_zero_still_wakes_one) {
	/* A quirk of Linux: the count is compared after the first is woken. */
	struct waiter waiters[2] = {0};
	TRY(start_waiters(waiters, 2));
	CHECK_EQ(futex(&word, WAKE, 0, NULL, NULL, 0), 1);
	await_done(1);
	CHECK_EQ(futex(&word, WAKE, 1, NULL, NULL, 0), 1);
	TRY(join_all(waiters, 2));
}

TEST(a_bitset_wakes_those_it_meets) {
	struct waiter waiters[4] = {{.bitset = 1}, {.bitset = 2}, {.bitset = 4}, {.bitset = 3}};
	TRY(start_waiters(waiters, 4));
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE, 1000, NULL, NULL, 8), 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE, 1000, NULL, NULL, 2), 2);
	await_done(2);
	CHECK(atomic_load(&waiters[1].woken) && atomic_load(&waiters[3].woken));
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE, 1, NULL, NULL, 5), 1);
	CHECK_EQ(futex(&word, WAKE, 1, NULL, NULL, 0), 1);
	TRY(join_all(waiters, 4));
}

TEST(an_empty_bitset_is_refused) {
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(&word, FUTEX_WAKE_BITSET | FUTEX_PRIVATE, 1, NULL, NULL, 0), EINVAL);
}

TEST(a_relative_wait_times_out_not_before_its_time) {
	struct timespec limit = {0, 20000000}, start, end;
	atomic_store(&word, 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_ERRNO(futex(&word, WAIT, 0, &limit, NULL, 0), ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(ns_between(start, end) >= 20000000);
	CHECK(ns_between(start, end) < 5000000000);
}

TEST(an_absolute_wait_times_out_by_either_clock) {
	struct timespec until = time_from_now(CLOCK_MONOTONIC, 20000000), end;
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE, 0, &until, NULL, 1), ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(ns_between(until, end) >= 0);
	until = time_from_now(CLOCK_REALTIME, 20000000);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &until, NULL, 1), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &end);
	CHECK(ns_between(until, end) >= 0);
	CHECK(ns_between(until, end) < 5000000000);
}

TEST(a_time_limit_in_the_past_ends_the_wait_at_once) {
	struct timespec past = {0, 0};
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE, 0, &past, NULL, 1), ETIMEDOUT);
	CHECK_ERRNO(futex(&word, WAIT, 0, &past, NULL, 0), ETIMEDOUT);
}

TEST(a_value_that_differs_comes_before_the_time_limit) {
	struct timespec past = {0, 0};
	CHECK_ERRNO(futex(&word, WAIT, 1, &past, NULL, 0), EAGAIN);
}

TEST(a_bad_time_limit_is_refused_before_the_value_is_seen) {
	struct timespec bad[] = {{0, -1}, {0, 1000000000}, {-1, 0}};
	for (int i = 0; i < 3; i++) {
		CHECK_ERRNO(futex(&word, WAIT, 1, &bad[i], NULL, 0), EINVAL);
		CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE, 1, &bad[i], NULL, 1), EINVAL);
	}
	CHECK_ERRNO(futex(&word, WAIT, 1, (void *)8, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(&word, WAIT, 1, (void *)0xffff800000000000, NULL, 0), EFAULT);
}

TEST(a_misaligned_word_is_refused) {
	char *inside = (char *)&word + 1;
	CHECK_ERRNO(futex(inside, WAIT, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(futex(inside, WAKE, 1, NULL, NULL, 0), EINVAL);
}

TEST(a_bad_address_is_refused) {
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_ERRNO(futex(hole, WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(hole, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	munmap(hole, 4096);
	CHECK_ERRNO(futex(hole, WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex(NULL, WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex((void *)0xffff800000000000, WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERRNO(futex((void *)0x800000000000, WAKE, 1, NULL, NULL, 0), EFAULT);
}

TEST(a_private_wake_needs_no_mapped_word_and_a_shared_one_does) {
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(hole, 4096);
	CHECK_EQ(futex(hole, WAKE, 1, NULL, NULL, 0), 0);
	CHECK_ERRNO(futex(hole, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
}

TEST(unknown_operations_are_refused) {
	CHECK_ERRNO(futex(&word, FUTEX_FD, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERRNO(futex(&word, 14, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERRNO(futex(&word, 127, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERRNO(futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERRNO(futex(&word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
}

static void *wait_then_count(void *unused) {
	struct timespec limit = {10, 0};
	(void)unused;
	EXPECT(futex(&word, WAIT, 0, &limit, NULL, 0) == 0);
	return NULL;
}

TEST(a_wait_with_a_time_limit_can_be_woken) {
	pthread_t thread;
	atomic_store(&word, 0);
	CHECK_EQ(pthread_create(&thread, NULL, wait_then_count, NULL), 0);
	while (!futex(&word, WAKE, 1, NULL, NULL, 0)) usleep(1000);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(requeue_wakes_some_and_moves_the_rest) {
	static atomic_uint other;
	struct waiter waiters[5] = {0};
	TRY(start_waiters(waiters, 5));
	CHECK_ERRNO(futex(&word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE, 1, (void *)2L, &other, 1), EAGAIN);
	CHECK_EQ(futex(&word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE, 1, (void *)2L, &other, 0), 3);
	await_done(1);
	CHECK_EQ(futex(&other, WAKE, 1000, NULL, NULL, 0), 2);
	await_done(3);
	CHECK_EQ(futex(&word, FUTEX_REQUEUE | FUTEX_PRIVATE, 0, (void *)1000L, &other, 0), 2);
	CHECK_EQ(futex(&word, WAKE, 1000, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&other, WAKE, 1000, NULL, NULL, 0), 2);
	TRY(join_all(waiters, 5));
}

TEST(requeue_refuses_negative_counts) {
	CHECK_ERRNO(futex(&word, FUTEX_REQUEUE | FUTEX_PRIVATE, -1, (void *)1L, &done, 0), EINVAL);
	CHECK_ERRNO(futex(&word, FUTEX_REQUEUE | FUTEX_PRIVATE, 1, (void *)-1L, &done, 0), EINVAL);
}

TEST(wake_op_changes_the_second_word_and_wakes_by_its_old_value) {
	static atomic_uint second;
	struct { int op, arg; unsigned before, after; } cases[] = {
		{FUTEX_OP_SET, 9, 5, 9}, {FUTEX_OP_ADD, 3, 5, 8}, {FUTEX_OP_OR, 10, 5, 15},
		{FUTEX_OP_ANDN, 4, 5, 1}, {FUTEX_OP_XOR, 6, 5, 3}, {FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, 5, 21},
		{FUTEX_OP_ADD, 0xfff, 5, 4},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		atomic_store(&second, cases[i].before);
		CHECK_EQ(futex(&word, FUTEX_WAKE_OP | FUTEX_PRIVATE, 1, (void *)1L, &second,
		               FUTEX_OP(cases[i].op, cases[i].arg, FUTEX_OP_CMP_EQ, 5)), 0);
		CHECK_EQ(atomic_load(&second), cases[i].after);
	}
	CHECK_ERRNO(futex(&word, FUTEX_WAKE_OP | FUTEX_PRIVATE, 1, (void *)1L, &second, FUTEX_OP(7, 1, 0, 0)), ENOSYS);
	CHECK_ERRNO(futex(&word, FUTEX_WAKE_OP | FUTEX_PRIVATE, 1, (void *)1L, &second, FUTEX_OP(0, 1, 9, 0)), ENOSYS);
	struct waiter waiters[2] = {0};
	TRY(start_waiters(waiters, 2));
	atomic_store(&second, 1);
	CHECK_EQ(futex(&second, FUTEX_WAKE_OP | FUTEX_PRIVATE, 1, (void *)1L, &word, FUTEX_OP(0, 0, FUTEX_OP_CMP_GT, 0)), 0);
	CHECK_EQ(futex(&second, FUTEX_WAKE_OP | FUTEX_PRIVATE, 1, (void *)1000L, &word, FUTEX_OP(0, 7, FUTEX_OP_CMP_GE, 0)), 2);
	CHECK_EQ(atomic_load(&word), 7);
	TRY(join_all(waiters, 2));
}

static void *shared_wait(void *page) {
	EXPECT(futex(page, FUTEX_WAIT, 0, NULL, NULL, 0) == 0);
	return NULL;
}

TEST(a_shared_page_mapped_twice_is_one_futex) {
	int fd = memfd_create("futex", 0);
	CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
	void *one = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *two = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pthread_t thread;
	close(fd);
	CHECK_EQ(pthread_create(&thread, NULL, shared_wait, one), 0);
	usleep(20000);
	CHECK_EQ(futex(two, WAKE, 1, NULL, NULL, 0), 0);
	while (!futex(two, FUTEX_WAKE, 1, NULL, NULL, 0)) usleep(1000);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	munmap(one, 4096);
	munmap(two, 4096);
}

TEST(private_and_shared_operations_on_a_private_page_do_not_meet) {
	pthread_t thread;
	atomic_store(&word, 0);
	CHECK_EQ(pthread_create(&thread, NULL, shared_wait, &word), 0);
	usleep(20000);
	CHECK_EQ(futex(&word, WAKE, 1, NULL, NULL, 0), 0);
	while (!futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0)) usleep(1000);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}
