// timeout: 60
/* Where a program's parts lie is random: among runs of the same program hardly two agree. */
#include "test.h"
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { RUNS = 32, PARTS = 4 };
static const char *const part_names[PARTS] = {"stack", "mmap", "brk", "vdso"};
static uintptr_t seen[RUNS][PARTS];

/* Run as another program: tells where things are. */
__attribute__((constructor)) static void tell(void) {
	const char *out = getenv("ASLR_OUT");
	if (!out) return;
	int local;
	uintptr_t parts[PARTS] = {
		(uintptr_t)&local & ~0xffful,
		(uintptr_t)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		(uintptr_t)sbrk(0),
		getauxval(AT_SYSINFO_EHDR),
	};
	_exit(write(atoi(out), parts, sizeof parts) == sizeof parts ? 0 : 1);
}

static int distinct(int part) {
	int count = 0;
	for (int i = 0; i < RUNS; i++) {
		int is_new = 1;
		for (int j = 0; j < i; j++) is_new &= seen[i][part] != seen[j][part];
		count += is_new;
	}
	return count;
}

TEST(stack_maps_heap_and_vdso_lie_elsewhere_in_every_run) {
	int pipe_ends[2];
	char number[16];
	CHECK_EQ(pipe(pipe_ends), 0);
	snprintf(number, sizeof number, "%d", pipe_ends[1]);
	CHECK_EQ(setenv("ASLR_OUT", number, 1), 0);
	for (int i = 0; i < RUNS; i++) {
		pid_t child = fork();
		int status;
		if (child == 0) {
			execl("/proc/self/exe", "aslr", (char *)NULL);
			_exit(102);
		}
		CHECK(waitpid(child, &status, 0) == child && status == 0);
		CHECK_EQ(read(pipe_ends[0], seen[i], sizeof seen[i]), sizeof seen[i]);
	}
	/* The least random is the heap, with 13 bits: 32 draws agree somewhere once in 17 times, twice once in 500. */
	for (int part = 0; part < PARTS; part++) {
		if (distinct(part) < RUNS - 3) test_fail(__FILE__, __LINE__, "only %d places for %s", distinct(part), part_names[part]);
	}
}
