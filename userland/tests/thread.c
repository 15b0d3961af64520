/* Threads: creation, joining, detaching, attributes, identity. */
#include "test.h"
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

static void *return_argument(void *argument) {
	return argument;
}

static void *exit_with_argument(void *argument) {
	pthread_exit(argument);
}

TEST(join_returns_the_value_of_the_thread) {
	pthread_t thread;
	void *value = NULL;
	CHECK_EQ(pthread_create(&thread, NULL, return_argument, (void *)42), 0);
	CHECK_EQ(pthread_join(thread, &value), 0);
	CHECK_EQ((long)value, 42);
}

TEST(join_returns_the_value_given_to_pthread_exit) {
	pthread_t thread;
	void *value = NULL;
	CHECK_EQ(pthread_create(&thread, NULL, exit_with_argument, (void *)43), 0);
	CHECK_EQ(pthread_join(thread, &value), 0);
	CHECK_EQ((long)value, 43);
}

TEST(a_thread_that_has_ended_can_be_joined_later) {
	pthread_t thread;
	void *value = NULL;
	CHECK_EQ(pthread_create(&thread, NULL, return_argument, (void *)44), 0);
	usleep(20000);
	CHECK_EQ(pthread_join(thread, &value), 0);
	CHECK_EQ((long)value, 44);
}

TEST(tryjoin_says_busy_until_the_thread_ends) {
	pthread_t thread;
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	extern void *lock_and_unlock(void *);
	pthread_mutex_lock(&gate);
	CHECK_EQ(pthread_create(&thread, NULL, lock_and_unlock, &gate), 0);
	CHECK_EQ(pthread_tryjoin_np(thread, NULL), EBUSY);
	pthread_mutex_unlock(&gate);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

void *lock_and_unlock(void *mutex) {
	pthread_mutex_lock(mutex);
	pthread_mutex_unlock(mutex);
	return NULL;
}

TEST(timedjoin_times_out_and_leaves_the_thread_joinable) {
	pthread_t thread;
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	struct timespec until;
	pthread_mutex_lock(&gate);
	CHECK_EQ(pthread_create(&thread, NULL, lock_and_unlock, &gate), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 20000000;
	if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
	CHECK_EQ(pthread_timedjoin_np(thread, NULL, &until), ETIMEDOUT);
	pthread_mutex_unlock(&gate);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static atomic_int detached_ran;

static void *count_detached(void *unused) {
	(void)unused;
	atomic_fetch_add(&detached_ran, 1);
	return NULL;
}

TEST(detached_threads_run_and_are_forgotten) {
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 100; i++) {
		pthread_t thread;
		CHECK_EQ(pthread_create(&thread, i % 2 ? &attributes : NULL, count_detached, NULL), 0);
		if (i % 2 == 0) CHECK_EQ(pthread_detach(thread), 0);
	}
	for (int i = 0; i < 1000 && atomic_load(&detached_ran) < 100; i++) usleep(1000);
	CHECK_EQ(atomic_load(&detached_ran), 100);
}

static void *return_tid(void *unused) {
	(void)unused;
	return (void *)syscall(SYS_gettid);
}

TEST(every_thread_has_a_tid_of_its_own_and_the_pid_of_all) {
	pthread_t thread;
	void *tid;
	CHECK_EQ(syscall(SYS_gettid), getpid());
	CHECK_EQ(pthread_create(&thread, NULL, return_tid, NULL), 0);
	CHECK_EQ(pthread_join(thread, &tid), 0);
	CHECK((long)tid > 0);
	CHECK((long)tid != getpid());
}

TEST(set_tid_address_returns_the_tid) {
	/* NULL would lose musl's own clear-child-tid word, which the main thread does not need: it never gets joined here. */
	CHECK_EQ(syscall(SYS_set_tid_address, NULL), syscall(SYS_gettid));
}

static void *touch_deep(void *bytes) {
	volatile char *stack = __builtin_alloca((size_t)bytes);
	for (size_t i = 0; i < (size_t)bytes; i += 4096) stack[i] = 1;
	return (void *)(long)stack[0];
}

TEST(a_thread_gets_the_stack_size_it_asked_for) {
	pthread_attr_t attributes;
	pthread_t thread;
	size_t size = 0;
	pthread_attr_init(&attributes);
	CHECK_EQ(pthread_attr_setstacksize(&attributes, 8 << 20), 0);
	CHECK_EQ(pthread_attr_getstacksize(&attributes, &size), 0);
	CHECK_EQ(size, 8 << 20);
	CHECK_EQ(pthread_create(&thread, &attributes, touch_deep, (void *)(7L << 20)), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(a_thread_runs_on_the_stack_it_was_given) {
	static char stack[65536] __attribute__((aligned(4096)));
	pthread_attr_t attributes;
	pthread_t thread;
	int touched = 0;
	pthread_attr_init(&attributes);
	CHECK_EQ(pthread_attr_setstack(&attributes, stack, sizeof stack), 0);
	CHECK_EQ(pthread_create(&thread, &attributes, touch_deep, (void *)16384L), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	for (size_t i = 0; i < sizeof stack; i++) touched |= stack[i];
	CHECK(touched);
}

TEST(getattr_np_tells_the_stack_of_the_running_thread) {
	pthread_attr_t attributes;
	void *base;
	size_t size;
	CHECK_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
	CHECK_EQ(pthread_attr_getstack(&attributes, &base, &size), 0);
	CHECK((char *)&attributes >= (char *)base && (char *)&attributes < (char *)base + size);
}

static void *create_and_join(void *depth) {
	pthread_t thread;
	void *below = NULL;
	if (!depth) return NULL;
	if (pthread_create(&thread, NULL, create_and_join, (char *)depth - 1)) return (void *)-1000;
	pthread_join(thread, &below);
	return (char *)below + 1;
}

TEST(threads_create_threads) {
	CHECK_EQ((long)create_and_join((void *)50), 50);
}

static void *yield_a_lot(void *count) {
	for (int i = 0; i < 1000; i++) sched_yield();
	atomic_fetch_add((atomic_int *)count, 1);
	return NULL;
}

TEST(yielding_threads_all_finish) {
	pthread_t threads[20];
	atomic_int count = 0;
	for (int i = 0; i < 20; i++) CHECK_EQ(pthread_create(&threads[i], NULL, yield_a_lot, &count), 0);
	for (int i = 0; i < 20; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(count, 20);
}

static atomic_int spinner_seen;

static void *spin_until_seen(void *unused) {
	while (!atomic_load(&spinner_seen)) {}
	return unused;
}

TEST(a_spinning_thread_is_preempted) {
	pthread_t threads[4];
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, spin_until_seen, NULL), 0);
	usleep(20000);
	atomic_store(&spinner_seen, 1);
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void *keep_vectors(void *seed) {
	/* Values live in SSE registers across preemption and yields; the asm keeps the compiler from knowing them. */
	double base = (double)(long)seed;
	double a = base + 0.25, b = base * 3, c = base - 0.5;
	for (int i = 0; i < 20000; i++) {
		__asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c));
		if (i % 64 == 0) {
			register long number __asm__("rax") = SYS_sched_yield;
			__asm__ volatile("syscall" : "+r"(number), "+x"(a), "+x"(b), "+x"(c) : : "rcx", "r11", "memory");
		}
	}
	return (void *)(long)(a == base + 0.25 && b == base * 3 && c == base - 0.5);
}

TEST(vector_registers_belong_to_the_thread) {
	pthread_t threads[16];
	void *same;
	for (long i = 0; i < 16; i++) CHECK_EQ(pthread_create(&threads[i], NULL, keep_vectors, (void *)(i * 17 + 1)), 0);
	for (int i = 0; i < 16; i++) {
		CHECK_EQ(pthread_join(threads[i], &same), 0);
		CHECK(same);
	}
}

static void *check_fresh_fpu(void *unused) {
	(void)unused;
	unsigned short control;
	unsigned mxcsr;
	__asm__ volatile("fnstcw %0" : "=m"(control));
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	return (void *)(long)((control == 0x037f) | (mxcsr & 0xffc0) << 8);
}

TEST(a_thread_inherits_the_rounding_mode_of_its_creator) {
	pthread_t thread;
	void *seen;
	unsigned mxcsr = 0x1f80 | 0x6000;
	CHECK_EQ(pthread_create(&thread, NULL, check_fresh_fpu, NULL), 0);
	CHECK_EQ(pthread_join(thread, &seen), 0);
	CHECK_EQ((long)seen, 1 | 0x1f80 << 8);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	CHECK_EQ(pthread_create(&thread, NULL, check_fresh_fpu, NULL), 0);
	CHECK_EQ(pthread_join(thread, &seen), 0);
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	CHECK_EQ((long)seen, 1 | 0x7f80 << 8);
}

TEST(general_registers_survive_a_system_call) {
	long in[6] = {11, 12, 13, 14, 15, 16}, out[6];
	__asm__ volatile(
		"mov 0(%[in]), %%rbx\n mov 8(%[in]), %%r12\n mov 16(%[in]), %%r13\n mov 24(%[in]), %%r14\n mov 32(%[in]), %%r15\n"
		"mov 40(%[in]), %%r8\n"
		"push %[in]\n push %[out]\n mov %[number], %%eax\n syscall\n pop %[out]\n pop %[in]\n"
		"mov %%rbx, 0(%[out])\n mov %%r12, 8(%[out])\n mov %%r13, 16(%[out])\n mov %%r14, 24(%[out])\n mov %%r15, 32(%[out])\n"
		"mov %%r8, 40(%[out])\n"
		: : [in] "S"(in), [out] "D"(out), [number] "i"(SYS_getppid)
		: "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
	CHECK(!memcmp(in, out, sizeof in));
}
