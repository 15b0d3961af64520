// timeout: 120
/* Whole lives over and over: threads, processes, programs, maps; afterwards memory and numbers are where they were. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Free memory as the system tells it, in MiB. */
static long free_mib(void) {
	struct sysinfo info;
	sysinfo(&info);
	return (long)(info.freeram * info.mem_unit >> 20);
}

/* Whether rounds leave free memory where it was. On the host others use it too: a wide margin, and some tries, all of which
   something that leaks would fail. */
static void leaves_memory_alone(void (*rounds)(void)) {
	for (int tries = 0; tries < 5; tries++) {
		long before = free_mib();
		TRY(rounds());
		if (free_mib() > before - 100) return;
	}
	CHECK(!"it leaks");
}

static void *nothing(void *unused) {
	return unused;
}

TEST(ten_thousand_threads_come_and_go) {
	for (int i = 0; i < 10000; i++) {
		pthread_t thread;
		CHECK_EQ(pthread_create(&thread, NULL, nothing, NULL), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
}

static atomic_int gone;

static void *count_down(void *unused) {
	atomic_fetch_add(&gone, 1);
	return unused;
}

TEST(detached_threads_leave_nothing_behind) {
	for (int i = 0; i < 3000; i++) {
		pthread_t thread;
		CHECK_EQ(pthread_create(&thread, NULL, count_down, NULL), 0);
		CHECK_EQ(pthread_detach(thread), 0);
		while (atomic_load(&gone) <= i) sched_yield();
	}
}

static void three_thousand_processes(void) {
	for (int i = 0; i < 3000; i++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (!child) _exit(i & 63);
		CHECK_EQ(status_of(child), i & 63);
	}
}

TEST(three_thousand_processes_come_and_go) {
	leaves_memory_alone(three_thousand_processes);
}

TEST(five_hundred_vforks_come_and_go) {
	for (int i = 0; i < 500; i++) {
		pid_t child = vfork();
		if (!child) _exit(1);
		CHECK_EQ(status_of(child), 1);
	}
}

TEST(processes_with_threads_are_killed_whole) {
	for (int round = 0; round < 30; round++) {
		pid_t child = fork();
		if (!child) {
			for (int i = 0; i < 20; i++) {
				pthread_t thread;
				pthread_create(&thread, NULL, nothing, NULL);
			}
			for (;;) pthread_testcancel();
		}
		if (round % 2) sleep_ms(1);
		kill(child, SIGKILL);
		CHECK_EQ(status_of(child), 1000 + SIGKILL);
	}
}

static void *exit_at_once(void *barrier) {
	pthread_barrier_wait(barrier);
	_exit(5);
}

TEST(threads_that_all_exit_the_process_give_one_status) {
	for (int round = 0; round < 50; round++) {
		pid_t child = fork();
		if (!child) {
			pthread_barrier_t barrier;
			pthread_barrier_init(&barrier, NULL, 8);
			for (int i = 0; i < 8; i++) {
				pthread_t thread;
				pthread_create(&thread, NULL, exit_at_once, &barrier);
			}
			for (;;) pause();
		}
		CHECK_EQ(status_of(child), 5);
	}
}

static void *fork_often(void *unused) {
	for (int i = 0; i < 100; i++) {
		pid_t child = fork();
		if (!child) _exit(i);
		EXPECT(child > 0 && status_of(child) == i);
	}
	return unused;
}

TEST(threads_fork_at_once) {
	pthread_t threads[6];
	for (int i = 0; i < 6; i++) CHECK_EQ(pthread_create(&threads[i], NULL, fork_often, NULL), 0);
	for (int i = 0; i < 6; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(a_tree_of_processes_unfolds_and_folds) {
	/* Each node has three children, four levels deep: 120 processes at once below this one. */
	pid_t root = fork();
	if (!root) {
		int level = 0, sum = 1, status;
	next:
		if (level < 4) {
			for (int i = 0; i < 3; i++) {
				pid_t child = fork();
				if (!child) {
					level++;
					sum = 1;
					goto next;
				}
			}
			for (int i = 0; i < 3; i++) {
				if (wait(&status) < 0) _exit(0);
				sum += WEXITSTATUS(status);
			}
		}
		_exit(sum);
	}
	CHECK_EQ(status_of(root), 121);
}

TEST(orphans_are_reaped_by_somebody) {
	for (int i = 0; i < 100; i++) {
		pid_t child = fork();
		if (!child) {
			if (!fork()) _exit(0);
			_exit(0);
		}
		CHECK_EQ(status_of(child), 0);
	}
}

static void touch_and_drop_maps(void) {
	for (int i = 0; i < 300; i++) {
		char *map = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(map != MAP_FAILED);
		for (int j = 0; j < 4 << 20; j += 4096) map[j] = 1;
		CHECK_EQ(munmap(map, 4 << 20), 0);
	}
}

TEST(maps_touched_and_dropped_give_their_memory_back) {
	leaves_memory_alone(touch_and_drop_maps);
}

TEST(a_storm_of_everything_passes) {
	/* Threads that fork, map and signal at the same time, for a while. */
	struct timespec start;
	pid_t child = fork();
	if (!child) {
		extern void *storm(void *);
		pthread_t threads[6];
		signal(SIGUSR1, SIG_IGN);
		clock_gettime(CLOCK_MONOTONIC, &start);
		for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, storm, &start);
		for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
		_exit(atomic_load(&test_failed));
	}
	CHECK_EQ(status_of(child), 0);
}

void *storm(void *start) {
	struct timespec now;
	unsigned seed = (unsigned)(uintptr_t)&now;
	do {
		seed = seed * 1103515245 + 12345;
		switch (seed >> 16 & 3) {
		case 0: {
			pid_t child = fork();
			if (!child) _exit(3);
			EXPECT(child > 0 && status_of(child) == 3);
			break;
		}
		case 1: {
			char *map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			memset(map, 7, 65536);
			EXPECT(mprotect(map + 4096, 4096, PROT_READ) == 0 && munmap(map, 65536) == 0);
			break;
		}
		case 2: {
			pthread_t thread;
			EXPECT(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
			break;
		}
		case 3:
			EXPECT(kill(getpid(), SIGUSR1) == 0);
			sched_yield();
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (ns_between(*(struct timespec *)start, now) < 500000000);
	return NULL;
}
