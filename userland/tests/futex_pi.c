// timeout: 120
/* Priority-inheritance futexes, requeue onto them, and futex_waitv(2). */
#include "test.h"
#include "linux.h"
#include <pthread.h>
#include <signal.h>

enum { PRIVATE = FUTEX_PRIVATE };

static atomic_uint word, other;

static unsigned tid(void) {
	return (unsigned)syscall(SYS_gettid);
}

static void run(void *(*body)(void *), void *argument) {
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(a_free_lock_is_taken_by_the_kernel) {
	atomic_store(&word, 0);
	CHECK_EQ(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(atomic_load(&word), tid());
	CHECK_ERRNO(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0), EDEADLK);
	CHECK_ERRNO(futex(&word, FUTEX_TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EDEADLK);
	CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(atomic_load(&word), 0);
}

static void *try_and_unlock_as_stranger(void *unused) {
	errno = 0;
	EXPECT(futex(&word, FUTEX_TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0) == -1 && errno == EAGAIN);
	EXPECT(futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0) == -1 && errno == EPERM);
	return unused;
}

TEST(a_stranger_can_neither_take_nor_free_it) {
	atomic_store(&word, 0);
	CHECK_EQ(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	TRY(run(try_and_unlock_as_stranger, NULL));
	CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
}

static atomic_int order;

static void *lock_and_note(void *number) {
	EXPECT(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0) == 0);
	EXPECT((atomic_load(&word) & FUTEX_TID_MASK) == tid());
	atomic_store(&order, atomic_load(&order) * 10 + (int)(long)number);
	EXPECT(futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0) == 0);
	return NULL;
}

TEST(waiters_are_marked_and_get_the_lock_in_turn) {
	pthread_t threads[3];
	atomic_store(&word, 0);
	atomic_store(&order, 0);
	CHECK_EQ(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	for (long i = 0; i < 3; i++) {
		CHECK_EQ(pthread_create(&threads[i], NULL, lock_and_note, (void *)(i + 1)), 0);
		sleep_ms(20);
	}
	CHECK_EQ(atomic_load(&word), (tid() | FUTEX_WAITERS));
	CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(atomic_load(&order), 123);
	CHECK_EQ(atomic_load(&word), 0);
}

static void *lock_with_limit(void *unused) {
	struct timespec real = time_from_now(CLOCK_REALTIME, 20000000), mono = time_from_now(CLOCK_MONOTONIC, 20000000);
	EXPECT(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, &real, NULL, 0) == -1 && errno == ETIMEDOUT);
	EXPECT(futex(&word, FUTEX_LOCK_PI2 | PRIVATE, 0, &mono, NULL, 0) == -1 && errno == ETIMEDOUT);
	return unused;
}

TEST(a_lock_attempt_times_out) {
	atomic_store(&word, 0);
	CHECK_EQ(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	TRY(run(lock_with_limit, NULL));
	CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(atomic_load(&word), 0);
}

TEST(a_word_that_names_nobody_has_no_owner) {
	atomic_store(&word, 0x3ffffff0);
	CHECK_ERRNO(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0), ESRCH);
	atomic_store(&word, 0);
	CHECK_ERRNO(futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EPERM);
}

TEST(a_plain_wait_and_a_pi_lock_do_not_mix) {
	atomic_store(&word, 0);
	pthread_t thread;
	CHECK_EQ(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(pthread_create(&thread, NULL, lock_and_note, (void *)1), 0);
	sleep_ms(20);
	CHECK_ERRNO(futex(&word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *wait_requeue(void *unused) {
	EXPECT(futex(&word, FUTEX_WAIT_REQUEUE_PI | PRIVATE, 5, NULL, &other, 0) == 0);
	EXPECT((atomic_load(&other) & FUTEX_TID_MASK) == tid());
	EXPECT(futex(&other, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0) == 0);
	return unused;
}

TEST(waiters_are_requeued_onto_a_pi_lock) {
	pthread_t threads[4];
	atomic_store(&word, 5);
	atomic_store(&other, 0);
	CHECK_EQ(futex(&other, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, wait_requeue, NULL), 0);
	sleep_ms(50);
	CHECK_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PI | PRIVATE, 1, (void *)10L, &other, 6), EAGAIN);
	CHECK_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PI | PRIVATE, 2, (void *)10L, &other, 5), EINVAL);
	CHECK_EQ(futex(&word, FUTEX_CMP_REQUEUE_PI | PRIVATE, 1, (void *)10L, &other, 5), 4);
	CHECK_EQ(futex(&other, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(atomic_load(&other), 0);
}

static void *wait_requeue_with_limit(void *unused) {
	struct timespec until = time_from_now(CLOCK_MONOTONIC, 20000000);
	EXPECT(futex(&word, FUTEX_WAIT_REQUEUE_PI | PRIVATE, 5, &until, &other, 0) == -1 && errno == ETIMEDOUT);
	return unused;
}

TEST(a_requeue_wait_times_out) {
	atomic_store(&word, 5);
	atomic_store(&other, 0);
	TRY(run(wait_requeue_with_limit, NULL));
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_REQUEUE_PI | PRIVATE, 6, NULL, &other, 0), EAGAIN);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT_REQUEUE_PI | PRIVATE, 5, NULL, &word, 0), EINVAL);
}

static void *lock_pi_and_die(void *unused) {
	EXPECT(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0) == 0);
	sleep_ms(30);
	return unused;
}

TEST(a_waiter_gets_the_lock_of_an_owner_that_died) {
	/* Without a robust list the kernel still knows the owner of a contended lock, and passes it on. */
	pthread_t thread;
	atomic_store(&word, 0);
	CHECK_EQ(pthread_create(&thread, NULL, lock_pi_and_die, NULL), 0);
	while (!atomic_load(&word)) sleep_ms(1);
	CHECK_EQ(futex(&word, FUTEX_LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(atomic_load(&word) & FUTEX_TID_MASK, tid());
	CHECK(atomic_load(&word) & FUTEX_OWNER_DIED);
	CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static pthread_mutex_t mutex;
static long plain;

static void *add_under_pi(void *unused) {
	for (int i = 0; i < 3000; i++) {
		EXPECT(pthread_mutex_lock(&mutex) == 0);
		long seen = plain;
		if (i % 50 == 0) sched_yield();
		plain = seen + 1;
		EXPECT(pthread_mutex_unlock(&mutex) == 0);
	}
	return unused;
}

TEST(an_inheriting_mutex_excludes) {
	pthread_mutexattr_t attributes;
	pthread_t threads[6];
	pthread_mutexattr_init(&attributes);
	CHECK_EQ(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), 0);
	CHECK_EQ(pthread_mutex_init(&mutex, &attributes), 0);
	for (int i = 0; i < 6; i++) CHECK_EQ(pthread_create(&threads[i], NULL, add_under_pi, NULL), 0);
	for (int i = 0; i < 6; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(plain, 18000);
}

static void *lock_mutex_and_die(void *unused) {
	EXPECT(pthread_mutex_lock(&mutex) == 0);
	sleep_ms(20);
	return unused;
}

TEST(a_robust_inheriting_mutex_tells_of_the_owners_death) {
	pthread_mutexattr_t attributes;
	pthread_t thread;
	pthread_mutexattr_init(&attributes);
	CHECK_EQ(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), 0);
	CHECK_EQ(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
	CHECK_EQ(pthread_mutex_init(&mutex, &attributes), 0);
	CHECK_EQ(pthread_create(&thread, NULL, lock_mutex_and_die, NULL), 0);
	sleep_ms(10);
	CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&mutex), 0);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static atomic_uint many[8];

static long waitv(struct futex_waitv *waiters, unsigned count, unsigned flags, struct timespec *until, clockid_t clock) {
	return syscall(SYS_futex_waitv, waiters, count, flags, until, clock);
}

static void fill_waiters(struct futex_waitv *waiters) {
	for (int i = 0; i < 8; i++) {
		atomic_store(&many[i], i);
		waiters[i] = (struct futex_waitv){.val = i, .uaddr = (uintptr_t)&many[i], .flags = FUTEX2_32 | PRIVATE};
	}
}

static void *wake_sixth(void *unused) {
	sleep_ms(20);
	while (futex(&many[6], FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0) == 0) sleep_ms(1);
	return unused;
}

TEST(a_wait_for_many_ends_with_the_index_of_the_one_woken) {
	struct futex_waitv waiters[8];
	pthread_t thread;
	fill_waiters(waiters);
	CHECK_EQ(pthread_create(&thread, NULL, wake_sixth, NULL), 0);
	CHECK_EQ(waitv(waiters, 8, 0, NULL, 0), 6);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	for (int i = 0; i < 8; i++) CHECK_EQ(futex(&many[i], FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0), 0);
}

TEST(a_wait_for_many_checks_values_times_and_arguments) {
	struct futex_waitv waiters[8];
	struct timespec until = time_from_now(CLOCK_MONOTONIC, 20000000);
	fill_waiters(waiters);
	CHECK_ERRNO(waitv(waiters, 8, 0, &until, CLOCK_MONOTONIC), ETIMEDOUT);
	until = time_from_now(CLOCK_REALTIME, 20000000);
	CHECK_ERRNO(waitv(waiters, 8, 0, &until, CLOCK_REALTIME), ETIMEDOUT);
	CHECK_ERRNO(waitv(waiters, 8, 0, &until, CLOCK_BOOTTIME), EINVAL);
	CHECK_ERRNO(waitv(waiters, 0, 0, NULL, 0), EINVAL);
	CHECK_ERRNO(waitv(waiters, 129, 0, NULL, 0), EINVAL);
	CHECK_ERRNO(waitv(waiters, 8, 1, NULL, 0), EINVAL);
	CHECK_ERRNO(waitv(NULL, 8, 0, NULL, 0), EINVAL);
	waiters[7].val = 99;
	CHECK_ERRNO(waitv(waiters, 8, 0, NULL, 0), EAGAIN);
	waiters[7].flags = PRIVATE | 1 << 20;
	CHECK_ERRNO(waitv(waiters, 8, 0, NULL, 0), EINVAL);
	fill_waiters(waiters);
	waiters[3].reserved = 1;
	CHECK_ERRNO(waitv(waiters, 8, 0, NULL, 0), EINVAL);
	fill_waiters(waiters);
	waiters[3].uaddr = 8;
	CHECK_ERRNO(waitv(waiters, 8, 0, NULL, 0), EFAULT);
}

static void handle(int signal) {
	(void)signal;
}

static pthread_t main_thread;

static void *interrupt_main(void *unused) {
	sleep_ms(20);
	pthread_kill(main_thread, SIGUSR1);
	sleep_ms(20);
	atomic_store(&word, 1);
	futex(&word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0);
	return unused;
}

TEST(a_signal_interrupts_or_restarts_a_wait) {
	struct sigaction action = {.sa_handler = handle};
	pthread_t thread;
	main_thread = pthread_self();
	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&word, 0);
	CHECK_EQ(pthread_create(&thread, NULL, interrupt_main, NULL), 0);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT | PRIVATE, 0, NULL, NULL, 0), EINTR);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&word, 0);
	CHECK_EQ(pthread_create(&thread, NULL, interrupt_main, NULL), 0);
	CHECK_EQ(futex(&word, FUTEX_WAIT | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	/* A relative limit is kept across the restart by restart_syscall(2), which a handler turns into EINTR. */
	struct timespec limit = {10, 0};
	atomic_store(&word, 0);
	CHECK_EQ(pthread_create(&thread, NULL, interrupt_main, NULL), 0);
	CHECK_ERRNO(futex(&word, FUTEX_WAIT | PRIVATE, 0, &limit, NULL, 0), EINTR);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	signal(SIGUSR1, SIG_DFL);
}
