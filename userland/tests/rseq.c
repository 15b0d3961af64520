/* Restartable sequences, rseq(2): registration, the fields the kernel keeps, and when a sequence is aborted. musl
 * registers no area of its own, so the tests have the call to themselves. */
#include "test.h"
#include "linux.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>

#define SIGNATURE 0x53053053u
#define UNREGISTER 1
#define UNINITIALIZED 0xffffffffu
#define AREA_BYTES 32

struct area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t sequence;
	uint32_t flags, node_id, mm_cid, rest;
} __attribute__((aligned(32)));

struct sequence {
	uint32_t version, flags;
	uint64_t start, length, abort;
} __attribute__((aligned(32)));

static struct area area;

static long rseq(void *where, unsigned length, int flags, unsigned signature) {
	return syscall(SYS_rseq, where, length, flags, signature);
}

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* The sequences: `spin` counts at *counter until it is aborted, and gives 1. The abort handler has the signature in front,
 * where an instruction that traps is made of it. */
extern char spin_start[], spin_end[], spin_abort[], after_bad_signature[];
long spin(struct area *area, struct sequence *sequence, volatile long *counter);
__asm__(".text\n"
        ".globl spin, spin_start, spin_end, spin_abort, after_bad_signature\n"
        "spin:\n"
        "	mov %rsi, 8(%rdi)\n"
        "spin_start:\n"
        "1:	incq (%rdx)\n"
        "	jmp 1b\n"
        "spin_end:\n"
        "	nop\n"
        "	.byte 0x0f, 0xb9, 0x3d\n"
        "	.long 0x53053053\n"
        "spin_abort:\n"
        "	mov $1, %eax\n"
        "	ret\n"
        "	.long 0x12345678\n"
        "after_bad_signature:\n"
        "	mov $1, %eax\n"
        "	ret\n");

static struct sequence whole(void) {
	return (struct sequence){0, 0, (uintptr_t)spin_start, (uintptr_t)(spin_end - spin_start), (uintptr_t)spin_abort};
}

TEST(the_auxiliary_vector_tells_the_size_of_what_is_kept) {
	CHECK_EQ(getauxval(27), 28);
	CHECK_EQ(getauxval(28), 32);
}

TEST(an_area_is_registered_once_and_taken_back_as_it_was_given) {
	memset(&area, 0, sizeof area);
	area.cpu_id = UNINITIALIZED;
	CHECK_EQ(rseq(&area, AREA_BYTES, 0, SIGNATURE), 0);
	CHECK(area.cpu_id < 4 && area.cpu_id_start == area.cpu_id);
	CHECK_ERRNO(rseq(&area, AREA_BYTES, 0, SIGNATURE), EBUSY);
	CHECK_ERRNO(rseq(&area, AREA_BYTES, 0, SIGNATURE + 1), EPERM);
	CHECK_ERRNO(rseq(&area, AREA_BYTES + 32, 0, SIGNATURE), EINVAL);
	CHECK_ERRNO(rseq(&area + 1, AREA_BYTES, 0, SIGNATURE), EINVAL);
	CHECK_ERRNO(rseq(&area + 1, AREA_BYTES, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_ERRNO(rseq(&area, AREA_BYTES + 32, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_ERRNO(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE + 1), EPERM);
	CHECK_ERRNO(rseq(&area, AREA_BYTES, UNREGISTER | 2, SIGNATURE), EINVAL);
	CHECK_EQ(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE), 0);
	CHECK(area.cpu_id == UNINITIALIZED && area.cpu_id_start == 0 && area.node_id == 0 && area.mm_cid == 0);
	CHECK_ERRNO(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE), EINVAL);
}

TEST(bad_areas_are_refused_in_order) {
	static struct area two[2];
	CHECK_ERRNO(rseq(two, AREA_BYTES, 2, SIGNATURE), EINVAL);
	CHECK_ERRNO(rseq(two, AREA_BYTES - 1, 0, SIGNATURE), EINVAL);
	CHECK_ERRNO(rseq((char *)two + 16, AREA_BYTES, 0, SIGNATURE), EINVAL);
	CHECK_ERRNO(rseq((char *)two + 16, 33, 0, SIGNATURE), EINVAL);
	CHECK_ERRNO(rseq((void *)-32, AREA_BYTES, 0, SIGNATURE), EFAULT);
	CHECK_ERRNO(rseq((void *)64, AREA_BYTES, 0, SIGNATURE), EFAULT);
	CHECK_ERRNO(rseq((void *)65, AREA_BYTES, 0, SIGNATURE), EINVAL);
	CHECK_ERRNO(rseq(NULL, AREA_BYTES, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_EQ(rseq(two, sizeof two, 0, SIGNATURE), 0);
	CHECK_EQ(rseq(two, sizeof two, UNREGISTER, SIGNATURE), 0);
}

TEST(a_sequence_left_in_the_area_is_forgotten_at_registration) {
	memset(&area, 0, sizeof area);
	area.sequence = 0x1234;
	CHECK_EQ(rseq(&area, AREA_BYTES, 0, SIGNATURE), 0);
	CHECK_EQ(area.sequence, 0);
	CHECK_EQ(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE), 0);
}

TEST(the_cpu_is_the_one_the_thread_runs_on) {
	cpu_set_t all, one;
	memset(&area, 0, sizeof area);
	CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
	CHECK_EQ(rseq(&area, AREA_BYTES, 0, SIGNATURE), 0);
	for (int round = 0; round < 20; round++)
		for (int cpu = 0; cpu < 4; cpu++) {
			if (!CPU_ISSET(cpu, &all)) continue;
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
			CHECK_EQ(area.cpu_id, cpu);
			CHECK_EQ(area.cpu_id_start, cpu);
			/* The only thread of its memory. */
			CHECK_EQ(area.mm_cid, 0);
			CHECK_EQ(area.node_id, 0);
			sched_yield();
			CHECK_EQ(area.cpu_id, cpu);
		}
	CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
	CHECK_EQ(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE), 0);
}

static volatile long counter;
static volatile uint64_t sequence_in_handler;
static volatile long counter_in_handler;

static void note(int signal) {
	(void)signal;
	sequence_in_handler = area.sequence;
	counter_in_handler = counter;
}

TEST(a_signal_aborts_a_sequence_before_its_handler_runs) {
	struct sequence sequence = whole();
	struct sigaction action = {.sa_handler = note}, old;
	struct itimerval soon = {.it_value = {0, 20000}};
	memset(&area, 0, sizeof area);
	CHECK_EQ(sigaction(SIGALRM, &action, &old), 0);
	CHECK_EQ(rseq(&area, AREA_BYTES, 0, SIGNATURE), 0);
	for (int round = 0; round < 5; round++) {
		sequence_in_handler = 1;
		CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
		/* Preemption may abort it before: then again. */
		do CHECK_EQ(spin(&area, &sequence, &counter), 1);
		while (sequence_in_handler == 1);
		CHECK_EQ(sequence_in_handler, 0);
		CHECK_EQ(area.sequence, 0);
	}
	CHECK_EQ(counter_in_handler <= counter, 1);
	CHECK_EQ(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE), 0);
	CHECK_EQ(sigaction(SIGALRM, &old, NULL), 0);
}

TEST(another_thread_that_gets_the_cpu_aborts_a_sequence) {
	struct sequence sequence = whole();
	cpu_set_t all, one;
	memset(&area, 0, sizeof area);
	CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
	pid_t child = fork();
	if (child == 0)
		for (;;) __asm__ volatile("pause");
	CHECK_EQ(rseq(&area, AREA_BYTES, 0, SIGNATURE), 0);
	for (int round = 0; round < 3; round++) {
		long before = counter;
		CHECK_EQ(spin(&area, &sequence, &counter), 1);
		CHECK(counter > before || round == 0);
		CHECK_EQ(area.sequence, 0);
	}
	CHECK_EQ(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE), 0);
	CHECK_EQ(kill(child, SIGKILL), 0);
	CHECK_EQ(status_of(child), 1000 + SIGKILL);
	CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
}

TEST(a_sequence_left_behind_is_forgotten_without_an_abort) {
	struct sequence elsewhere = whole();
	memset(&area, 0, sizeof area);
	CHECK_EQ(rseq(&area, AREA_BYTES, 0, SIGNATURE), 0);
	*(volatile uint64_t *)&area.sequence = (uintptr_t)&elsewhere;
	struct timespec moment = {0, 1000000};
	CHECK_EQ(nanosleep(&moment, NULL), 0);
	CHECK_EQ(*(volatile uint64_t *)&area.sequence, 0);
	CHECK_EQ(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE), 0);
}

/* What becomes of a child that sleeps with this sequence in its area. */
static int end_with(const struct sequence *sequence) {
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct timespec moment = {0, 1000000};
		memset(&area, 0, sizeof area);
		CHILD_CHECK(rseq(&area, AREA_BYTES, 0, SIGNATURE) == 0);
		*(volatile uint64_t *)&area.sequence = (uintptr_t)sequence;
		nanosleep(&moment, NULL);
		_exit(7);
	}
	return status_of(child);
}

TEST(a_malformed_sequence_kills) {
	struct sequence good = whole(), bad;
	CHECK_EQ(end_with(&good), 7);
	bad = good, bad.version = 1;
	CHECK_EQ(end_with(&bad), 1000 + SIGSEGV);
	bad = good, bad.abort = (uintptr_t)spin_start;
	CHECK_EQ(end_with(&bad), 1000 + SIGSEGV);
	bad = good, bad.abort = (uintptr_t)after_bad_signature;
	CHECK_EQ(end_with(&bad), 1000 + SIGSEGV);
	bad = good, bad.abort = (uint64_t)-4096;
	CHECK_EQ(end_with(&bad), 1000 + SIGSEGV);
	bad = good, bad.start = (uint64_t)-8;
	CHECK_EQ(end_with(&bad), 1000 + SIGSEGV);
	bad = good, bad.length = (uint64_t)-1;
	CHECK_EQ(end_with(&bad), 1000 + SIGSEGV);
	CHECK_EQ(end_with((void *)64), 1000 + SIGSEGV);
	CHECK_EQ(end_with((void *)-64), 1000 + SIGSEGV);
}

TEST(an_area_that_goes_away_kills) {
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct timespec moment = {0, 1000000};
		void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHILD_CHECK(rseq(page, AREA_BYTES, 0, SIGNATURE) == 0);
		CHILD_CHECK(munmap(page, 4096) == 0);
		nanosleep(&moment, NULL);
		_exit(7);
	}
	CHECK_EQ(status_of(child), 1000 + SIGSEGV);
}

TEST(a_forked_child_keeps_the_area_and_a_thread_starts_without) {
	memset(&area, 0, sizeof area);
	CHECK_EQ(rseq(&area, AREA_BYTES, 0, SIGNATURE), 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		CHILD_CHECK(area.cpu_id < 4);
		errno = 0;
		CHILD_CHECK(rseq(&area, AREA_BYTES, 0, SIGNATURE) == -1 && errno == EBUSY);
		CHILD_CHECK(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE) == 0);
		_exit(9);
	}
	CHECK_EQ(status_of(child), 9);
	CHECK(area.cpu_id < 4);
	CHECK_EQ(rseq(&area, AREA_BYTES, UNREGISTER, SIGNATURE), 0);
}

TEST(a_tracer_is_told_of_the_area) {
	struct { uint64_t address; uint32_t size, signature, flags, pad; } told = {0};
	fflush(stdout);
	pid_t child = fork();
	int status;
	if (child == 0) {
		CHILD_CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		CHILD_CHECK(rseq(&area, AREA_BYTES, 0, SIGNATURE) == 0);
		raise(SIGUSR1);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	CHECK_EQ(syscall(SYS_ptrace, 0x420f, child, sizeof told, &told), sizeof told);
	CHECK_EQ(told.address, (uintptr_t)&area);
	CHECK_EQ(told.size, AREA_BYTES);
	CHECK_EQ(told.signature, SIGNATURE);
	CHECK_EQ(told.flags, 0);
	CHECK_EQ(kill(child, SIGKILL), 0);
	CHECK_EQ(status_of(child), 1000 + SIGKILL);
}

static struct area areas[2];
static atomic_int is_ready, is_over;

static void *spinner(void *argument) {
	struct sequence sequence = whole();
	(void)argument;
	if (rseq(&areas[1], AREA_BYTES, UNREGISTER, SIGNATURE) != -1) return "the area was inherited";
	if (rseq(&areas[1], AREA_BYTES, 0, SIGNATURE) != 0) return "no registration";
	atomic_store(&is_ready, 1);
	long aborts = 0;
	while (!atomic_load(&is_over)) aborts += spin(&areas[1], &sequence, &counter);
	if (rseq(&areas[1], AREA_BYTES, UNREGISTER, SIGNATURE) != 0) return "no way back";
	return aborts > 0 ? NULL : "no abort";
}

static int membarrier(int command, unsigned flags, int cpu) {
	return (int)syscall(SYS_membarrier, command, flags, cpu);
}

TEST(a_barrier_aborts_the_sequences_of_other_threads) {
	pthread_t thread;
	void *why;
	CHECK(membarrier(0, 0, 0) & 128 && membarrier(0, 0, 0) & 256);
	CHECK_ERRNO(membarrier(128, 0, 0), EPERM);
	CHECK_ERRNO(membarrier(128, 2, 0), EINVAL);
	CHECK_ERRNO(membarrier(256, 1, 0), EINVAL);
	CHECK_EQ(membarrier(256, 0, 0), 0);
	CHECK_EQ(membarrier(128, 0, 0), 0);
	CHECK_EQ(membarrier(128, 1, 1 << 20), 0);
	CHECK_EQ(rseq(&areas[0], AREA_BYTES, 0, SIGNATURE), 0);
	CHECK_EQ(pthread_create(&thread, NULL, spinner, NULL), 0);
	while (!atomic_load(&is_ready)) sched_yield();
	for (int round = 0; round < 50; round++) {
		CHECK_EQ(membarrier(128, round & 1, (int)areas[1].cpu_id), 0);
		sched_yield();
	}
	atomic_store(&is_over, 1);
	/* The spinner may be in its sequence once more. */
	struct timespec moment = {0, 1000000};
	nanosleep(&moment, NULL);
	CHECK_EQ(membarrier(128, 0, 0), 0);
	CHECK_EQ(pthread_join(thread, &why), 0);
	if (why) printf("%s\n", (char *)why);
	CHECK(!why);
	CHECK_EQ(rseq(&areas[0], AREA_BYTES, UNREGISTER, SIGNATURE), 0);
}
