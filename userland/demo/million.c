/*
 * A million threads: `million [COUNT]` starts so many (1,000,000 unless told otherwise), has them sleep in futex waits, wakes
 * and joins them all, and says what each cost. A thread's stack is one page. Runs on Linux too, as root, where it shows
 * Linux's figures.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* Linux 6.1's for one sleeping thread of ten thousand: 16 KiB of stack, 11 KiB of slab. */
enum { LINUX_BYTES = 27 * 1024 };

static int gate;
static atomic_long asleep;

/* At the bottom of each stack: the word that the kernel clears at the thread's end. */
static atomic_int *end_word(char *stack) { return (atomic_int *)stack; }

static long futex(void *word, int operation, int value) {
	return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static int wait_at_gate(void *unused) {
	(void)unused;
	atomic_fetch_add(&asleep, 1);
	futex(&gate, FUTEX_WAIT_PRIVATE, 0);
	syscall(SYS_exit, 0);
	return 0;
}

static long long now_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long free_bytes(void) {
	struct sysinfo info;
	sysinfo(&info);
	return (long)(info.freeram * info.mem_unit);
}

/* A line of a text of /proc: the number behind `name`, the `skip` numbers in between left out; -1 without such a line. */
static long proc_number(const char *path, const char *name, int skip) {
	char line[512];
	FILE *text = fopen(path, "r");
	long number = -1;
	while (text && number < 0 && fgets(line, sizeof line, text)) {
		size_t length = strlen(name);
		if (strncmp(line, name, length) || (line[length] != ' ' && line[length] != ':')) continue;
		char *at = line + length + (line[length] == ':');
		for (number = strtol(at, &at, 10); skip > 0; skip--) number = strtol(at, &at, 10);
	}
	if (text) fclose(text);
	return number;
}

static long page_table_bytes(void) { return proc_number("/proc/self/status", "VmPTE", 0) * 1024; }

static long mappings(void) {
	long lines = 0;
	int letter;
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && (letter = getc(maps)) != EOF) lines += letter == '\n';
	if (maps) fclose(maps);
	return lines;
}

static int fail(const char *what) {
	perror(what);
	return 1;
}

static void wait_until_asleep(long count) {
	while (atomic_load(&asleep) < count) usleep(1000);
	usleep(50000);
}

static int start(char *stacks, long from, long to) {
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
	for (long i = from; i < to; i++) {
		char *stack = stacks + i * PAGE;
		atomic_store(end_word(stack), 1);
		if (clone(wait_at_gate, stack + PAGE, flags, NULL, NULL, NULL, end_word(stack)) < 0) return fail("clone");
	}
	return 0;
}

/* Starts `count` threads, and says at each power of ten what the last tenth of them took. */
static int start_all(char *stacks, long count) {
	long done = 0, next = 1000;
	while (done < count) {
		long until = next < count ? next : count, window = until - until / 10;
		if (start(stacks, done, window)) return 1;
		wait_until_asleep(window);
		long long begun = now_ns();
		if (start(stacks, window, until)) return 1;
		long ns = (now_ns() - begun) / (until - window);
		wait_until_asleep(until);
		printf("%8ld threads: %6ld ns to start another\n", until, ns);
		done = until;
		next *= 10;
	}
	return 0;
}

static void join_all(char *stacks, long count) {
	gate = 1;
	futex(&gate, FUTEX_WAKE_PRIVATE, INT_MAX);
	for (long i = 0; i < count; i++)
		while (atomic_load(end_word(stacks + i * PAGE))) futex(end_word(stacks + i * PAGE), FUTEX_WAIT, 1);
}

int main(int argc, char **argv) {
	long count = argc > 1 ? atol(argv[1]) : 1000000;
	setvbuf(stdout, NULL, _IOLBF, 0);
	char *stacks = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stacks == MAP_FAILED) return fail("mmap");
	madvise(stacks, count * PAGE, MADV_NOHUGEPAGE);
	long free_before = free_bytes(), tables_before = page_table_bytes(), mappings_before = mappings();
	if (start_all(stacks, count)) return 1;
	long all = (free_before - free_bytes()) / count;
	long tables = (page_table_bytes() - tables_before) / count;
	long task = proc_number("/proc/slabinfo", "task_struct", 2), thread = proc_number("/proc/slabinfo", "thread", 2);
	long fpu = proc_number("/proc/slabinfo", "xsave", 2);
	long mapping = (mappings() - mappings_before) * proc_number("/proc/slabinfo", "vm_area_struct", 2) / count;
	long kernel = all - PAGE - tables;
	printf("%ld threads asleep; bytes a thread:\n", count);
	printf("%8d user stack\n%8ld page tables\n%8ld VMA\n", PAGE, tables, mapping);
	if (thread >= 0) {
		printf("%8ld FPU state\n%8ld future and its task\n%8ld shared halves\n", fpu, task, thread);
		printf("%8ld tables of threads, and what the heap adds\n", kernel - mapping - fpu - task - thread);
		printf("%8ld kernel memory without FPU state (aim: 1,536)\n", kernel - fpu);
	}
	printf("%8ld kernel memory in all (Linux 6.1: %d)\n", kernel, LINUX_BYTES);
	long long begun = now_ns();
	join_all(stacks, count);
	printf("woken and joined: %lld ns each\n", (now_ns() - begun) / count);
	return 0;
}
