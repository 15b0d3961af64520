// only: rustos
// timeout: 300
/* What was given back is free again: after many rounds there is as much memory as before. */
#include "test.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#define PAGE 4096l
/* Caches of the kernel's own may settle on a little more or less. */
#define SLACK_BYTES (512 * 1024l)

static long free_bytes(void) {
	struct sysinfo info;
	if (sysinfo(&info) != 0) return -1;
	return (long)(info.freeram * info.mem_unit);
}

#define CHECK_NO_LEAK(ROUNDS, WORK)                                                                       \
	do {                                                                                                  \
		for (int i_ = 0; i_ < 50; i_++) { WORK; }                                                         \
		long before_ = free_bytes();                                                                      \
		for (int i_ = 0; i_ < (ROUNDS); i_++) { WORK; }                                                   \
		long lost_ = before_ - free_bytes();                                                              \
		if (lost_ > SLACK_BYTES) test_fail(__FILE__, __LINE__, "%ld bytes are lost after " #ROUNDS, lost_); \
	} while (0)

static void run_true(void) {
	int status;
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "leak", "no_such_test", (char *)NULL);
		_exit(102);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void fork_and_dirty(void) {
	static char dirty[64 * 4096];
	int status;
	pid_t child = fork();
	if (child == 0) {
		memset(dirty, 1, sizeof dirty);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void map_touch_unmap(void) {
	char *map = mmap(NULL, 40 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	for (int i = 0; i < 40; i += 3) map[i * PAGE] = 1;
	CHECK_EQ(munmap(map, 40 * PAGE), 0);
}

static void share_and_unmap(void) {
	char *map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	memset(map, 1, 8 * PAGE);
	CHECK_EQ(munmap(map, 8 * PAGE), 0);
}

static void *nothing(void *unused) { return unused; }

static void create_and_join(void) {
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, nothing, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(maps_touched_and_unmapped_leave_nothing) { CHECK_NO_LEAK(10000, TRY(map_touch_unmap())); }
TEST(shared_maps_leave_nothing) { CHECK_NO_LEAK(2000, TRY(share_and_unmap())); }
TEST(threads_leave_nothing) { CHECK_NO_LEAK(2000, TRY(create_and_join())); }
TEST(children_with_copied_pages_leave_nothing) { CHECK_NO_LEAK(2000, TRY(fork_and_dirty())); }
TEST(programs_executed_leave_nothing) { CHECK_NO_LEAK(500, TRY(run_true())); }
