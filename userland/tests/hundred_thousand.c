// mem: 1G
// timeout: 240
/* A hundred thousand threads asleep at once; on a system that takes fewer, as many as leave room for others. */
#include "test.h"
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { PAGE = 4096, WANTED = 100000 };

static int gate;
static atomic_long awake, asleep;

static atomic_int *end_word(char *stack) { return (atomic_int *)stack; }

static long futex(void *word, int operation, int value) {
	return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static int wait_at_gate(void *unused) {
	(void)unused;
	atomic_fetch_add(&asleep, 1);
	while (__atomic_load_n(&gate, __ATOMIC_SEQ_CST) == 0) futex(&gate, FUTEX_WAIT_PRIVATE, 0);
	atomic_fetch_add(&awake, 1);
	syscall(SYS_exit, 0);
	return 0;
}

static long setting(const char *path) {
	long number = 0;
	FILE *file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &number) != 1) number = 0;
	if (file) fclose(file);
	return number;
}

static long threads_to_start(void) {
	long most = setting("/proc/sys/kernel/pid_max"), tasks = setting("/proc/sys/kernel/threads-max");
	if (tasks < most) most = tasks;
	return most * 3 / 4 < WANTED ? most / 2 : WANTED;
}

TEST(a_hundred_thousand_threads_sleep_are_woken_and_end) {
	long count = threads_to_start();
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
	char *stacks = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(count > 1000 && stacks != MAP_FAILED);
	for (long i = 0; i < count; i++) {
		char *stack = stacks + i * PAGE;
		atomic_store(end_word(stack), 1);
		CHECK(clone(wait_at_gate, stack + PAGE, flags, NULL, NULL, NULL, end_word(stack)) > 0);
	}
	while (atomic_load(&asleep) < count) usleep(1000);
	CHECK_EQ(atomic_load(&awake), 0);
	__atomic_store_n(&gate, 1, __ATOMIC_SEQ_CST);
	futex(&gate, FUTEX_WAKE_PRIVATE, INT_MAX);
	for (long i = 0; i < count; i++)
		while (atomic_load(end_word(stacks + i * PAGE))) futex(end_word(stacks + i * PAGE), FUTEX_WAIT, 1);
	CHECK_EQ(atomic_load(&awake), count);
	CHECK_EQ(munmap(stacks, count * PAGE), 0);
}
