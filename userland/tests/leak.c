// only: rustos
// cpus: 1 4
// timeout: 900
/* What was given back is free again: after many rounds there is as much memory as before, and as many threads. */
#include "test.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/shm.h>
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

static int threads_now(void) {
	struct sysinfo info;
	return sysinfo(&info) == 0 ? info.procs : -1;
}

#define CHECK_NO_LEAK(ROUNDS, WORK)                                                                       \
	do {                                                                                                  \
		for (int i_ = 0; i_ < 50; i_++) { WORK; }                                                         \
		long before_ = free_bytes();                                                                      \
		int threads_ = threads_now();                                                                     \
		for (int i_ = 0; i_ < (ROUNDS); i_++) { WORK; }                                                   \
		long lost_ = before_ - free_bytes();                                                              \
		/* What was killed may be on its last steps. */                                                    \
		for (int i_ = 0; i_ < 1000 && threads_now() != threads_; i_++) usleep(1000);                      \
		CHECK_EQ(threads_now(), threads_);                                                                \
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

static void fork_and_wait(void) {
	int status;
	pid_t child = fork();
	if (child == 0) _exit(0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static char *const self_arguments[] = {"leak", "no_such_test", NULL};

static void vfork_and_execute(void) {
	int status;
	pid_t child = vfork();
	if (child == 0) {
		execv("/proc/self/exe", self_arguments);
		_exit(102);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void *execute(void *unused) {
	execv("/proc/self/exe", self_arguments);
	return unused;
}

static void *sleep_on(void *unused) {
	for (;;) pause();
	return unused;
}

static void execute_from_a_thread(void) {
	int status;
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		pthread_create(&thread, NULL, sleep_on, NULL);
		pthread_create(&thread, NULL, execute, NULL);
		sleep_on(NULL);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* A process of three threads and its child, all killed by one signal to their group. */
static void kill_everything(void) {
	int status, ready[2];
	char byte;
	CHECK_EQ(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		setpgid(0, 0);
		for (int i = 0; i < 2; i++) pthread_create(&thread, NULL, sleep_on, NULL);
		if (fork() == 0) sleep_on(NULL);
		_exit(write(ready[1], "", 1) == 1 ? (sleep_on(NULL), 1) : 2);
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	CHECK_EQ(kill(-child, SIGKILL), 0);
	CHECK(waitpid(child, &status, 0) == child && status == SIGKILL);
	CHECK_EQ(close(ready[0]) | close(ready[1]), 0);
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

/* Splits, moves, grows and joins maps, and gives some of their pages back early. */
static void change_maps(void) {
	char *map = mmap(NULL, 40 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	memset(map, 1, 40 * PAGE);
	for (int i = 1; i < 20; i += 2) CHECK_EQ(mprotect(map + i * PAGE, PAGE, PROT_READ), 0);
	CHECK_EQ(madvise(map + 20 * PAGE, 5 * PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(madvise(map + 30 * PAGE, PAGE, MADV_DONTFORK), 0);
	CHECK_EQ(mprotect(map, 20 * PAGE, PROT_READ | PROT_WRITE), 0);
	char *moved = mremap(map, 20 * PAGE, 60 * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED);
	memset(moved, 1, 60 * PAGE);
	CHECK_EQ(munmap(moved + 10 * PAGE, 50 * PAGE), 0);
	CHECK_EQ(munmap(moved, 10 * PAGE) | munmap(map + 20 * PAGE, 20 * PAGE), 0);
}

static void share_objects(void) {
	int file = memfd_create("object", 0), segment = shmget(IPC_PRIVATE, 8 * PAGE, 0600);
	CHECK_EQ(ftruncate(file, 8 * PAGE), 0);
	char *map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *own = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	char *attached = shmat(segment, NULL, 0);
	CHECK(map != MAP_FAILED && own != MAP_FAILED && attached != (char *)-1);
	memset(map, 1, 8 * PAGE);
	memset(own, 2, 3 * PAGE);
	memset(attached, 3, 8 * PAGE);
	CHECK_EQ(madvise(map, 2 * PAGE, MADV_REMOVE), 0);
	CHECK_EQ(ftruncate(file, 4 * PAGE), 0);
	CHECK_EQ(shmctl(segment, IPC_RMID, NULL) | shmdt(attached) | close(file), 0);
	CHECK_EQ(munmap(map, 8 * PAGE) | munmap(own, 8 * PAGE), 0);
}

TEST(maps_touched_and_unmapped_leave_nothing) { CHECK_NO_LEAK(10000, TRY(map_touch_unmap())); }
TEST(maps_changed_leave_nothing) { CHECK_NO_LEAK(10000, TRY(change_maps())); }
TEST(shared_maps_leave_nothing) { CHECK_NO_LEAK(10000, TRY(share_and_unmap())); }
TEST(shared_objects_leave_nothing) { CHECK_NO_LEAK(10000, TRY(share_objects())); }
TEST(children_with_copied_pages_leave_nothing) { CHECK_NO_LEAK(10000, TRY(fork_and_dirty())); }

/* Each way of life, often enough to see 53 bytes lost a round. */
TEST(threads_leave_nothing) { CHECK_NO_LEAK(10000, TRY(create_and_join())); }
TEST(children_leave_nothing) { CHECK_NO_LEAK(10000, TRY(fork_and_wait())); }
TEST(programs_executed_leave_nothing) { CHECK_NO_LEAK(10000, TRY(run_true())); }
TEST(programs_executed_by_vfork_leave_nothing) { CHECK_NO_LEAK(10000, TRY(vfork_and_execute())); }
TEST(programs_executed_by_a_thread_leave_nothing) { CHECK_NO_LEAK(10000, TRY(execute_from_a_thread())); }
TEST(the_killed_leave_nothing) { CHECK_NO_LEAK(10000, TRY(kill_everything())); }
