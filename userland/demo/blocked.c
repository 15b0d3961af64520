/* What a sleeping thread costs the kernel: starts threads that wait on a futex, each on a stack of one page, and compares the
 * machine's free memory with and without them. An argument says how many (default 10,000). */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { PAGE = 4096 };

static int gate;

static long free_bytes(void) {
	struct sysinfo info;
	sysinfo(&info);
	return (long)(info.freeram * info.mem_unit);
}

static int wait_at_gate(void *unused) {
	(void)unused;
	syscall(SYS_futex, &gate, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	syscall(SYS_exit, 0);
	return 0;
}

int main(int argc, char **argv) {
	long threads = argc > 1 ? atol(argv[1]) : 10000;
	char *stacks = mmap(NULL, threads * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stacks == MAP_FAILED) return 1;
	/* The stacks are the program's own memory: there before the count. */
	for (long i = 0; i < threads; i++) stacks[i * PAGE] = 1;
	long before = free_bytes();
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	for (long i = 0; i < threads; i++)
		if (clone(wait_at_gate, stacks + (i + 1) * PAGE, flags, NULL) < 0) return 1;
	sleep(1);
	printf("%ld threads asleep, %ld bytes of kernel memory each\n", threads, (before - free_bytes()) / threads);
	return 0;
}
