// only: rustos
// cpus: 2 4
// timeout: 90
/*
 * Storms of threads, forks, signals and mappings, all at once, after which nothing is left over. A few seconds in the suite;
 * SOAK_SECONDS in the environment asks for longer:
 *
 *     SOAK_SECONDS=600 PASS=SOAK_SECONDS SMP=4 ./just run target/userland/tests/soak
 */
#include "test.h"
#include "linux.h"
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

enum { SHORT_SECONDS = 3, THREADS = 8, PAGES = 16, PAGE = 4096 };

static double deadline;

static double now(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int go_on(void) { return now() < deadline; }

/* A storm runs in a process of its own and gives its exit status. */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long shared;

static void *add_one(void *unused) {
	(void)unused;
	pthread_mutex_lock(&lock);
	shared++;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void thread_storm(void) {
	for (long rounds = 1; go_on(); rounds++) {
		pthread_t threads[THREADS];
		for (int i = 0; i < THREADS; i++) CHILD_CHECK(pthread_create(&threads[i], NULL, add_one, NULL) == 0);
		for (int i = 0; i < THREADS; i++) CHILD_CHECK(pthread_join(threads[i], NULL) == 0);
		CHILD_CHECK(shared == rounds * THREADS);
	}
}

static void fork_storm(void) {
	for (int round = 0; go_on(); round++) {
		int ends[2], status;
		char letter = 0;
		CHILD_CHECK(pipe(ends) == 0);
		pid_t child = fork();
		CHILD_CHECK(child >= 0);
		if (!child) {
			close(ends[0]);
			letter = (char)round;
			CHILD_CHECK(write(ends[1], &letter, 1) == 1);
			_exit(round & 63);
		}
		close(ends[1]);
		CHILD_CHECK(read(ends[0], &letter, 1) == 1 && letter == (char)round);
		CHILD_CHECK(read(ends[0], &letter, 1) == 0);
		close(ends[0]);
		CHILD_CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == (round & 63));
	}
}

static atomic_long caught;

static void count_signal(int signal) {
	(void)signal;
	atomic_fetch_add(&caught, 1);
}

static void *send_signals(void *target) {
	while (go_on()) {
		long before = atomic_load(&caught);
		CHILD_CHECK(pthread_kill(*(pthread_t *)target, SIGUSR1) == 0);
		while (atomic_load(&caught) == before) sched_yield();
	}
	return NULL;
}

static void signal_storm(void) {
	pthread_t self = pthread_self(), sender;
	signal(SIGUSR1, count_signal);
	CHILD_CHECK(pthread_create(&sender, NULL, send_signals, &self) == 0);
	while (go_on()) usleep(100);
	CHILD_CHECK(pthread_join(sender, NULL) == 0);
	CHILD_CHECK(atomic_load(&caught) > 0);
}

static void *map_and_unmap(void *seed) {
	unsigned value = (unsigned)(long)seed;
	while (go_on()) {
		unsigned *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHILD_CHECK(map != MAP_FAILED);
		for (int page = 0; page < PAGES; page++) map[page * PAGE / 4] = value + page;
		CHILD_CHECK(mprotect(map, PAGES / 2 * PAGE, PROT_READ) == 0);
		CHILD_CHECK(madvise(map + PAGES / 2 * PAGE / 4, PAGE, MADV_DONTNEED) == 0);
		CHILD_CHECK(map[PAGES / 2 * PAGE / 4] == 0);
		for (int page = 0; page < PAGES / 2; page++) CHILD_CHECK(map[page * PAGE / 4] == value + page);
		CHILD_CHECK(munmap(map, PAGES * PAGE) == 0);
	}
	return NULL;
}

static void mapping_storm(void) {
	pthread_t threads[4];
	for (long i = 0; i < 4; i++) CHILD_CHECK(pthread_create(&threads[i], NULL, map_and_unmap, (void *)(i << 20)) == 0);
	for (long i = 0; i < 4; i++) CHILD_CHECK(pthread_join(threads[i], NULL) == 0);
}

/* Threads that die with their process in the middle of whatever they do. */
static void death_storm(void) {
	while (go_on()) {
		pid_t child = fork();
		CHILD_CHECK(child >= 0);
		if (!child) {
			deadline = now() + 60;
			pthread_t thread;
			for (long i = 0; i < 4; i++) CHILD_CHECK(pthread_create(&thread, NULL, map_and_unmap, (void *)i) == 0);
			usleep(2000);
			raise(SIGKILL);
		}
		int status;
		CHILD_CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

static void run_all(double seconds) {
	void (*storms[])(void) = {thread_storm, fork_storm, signal_storm, mapping_storm, death_storm};
	pid_t children[5];
	deadline = now() + seconds;
	for (int i = 0; i < 5; i++) {
		children[i] = fork();
		CHECK(children[i] >= 0);
		if (!children[i]) {
			storms[i]();
			_exit(0);
		}
	}
	for (int i = 0; i < 5; i++) {
		int status;
		CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
		CHECK_EQ(status, 0);
	}
}

static long entries(const char *path) {
	long count = 0;
	DIR *directory = opendir(path);
	while (directory && readdir(directory)) count++;
	if (directory) closedir(directory);
	return count;
}

static long free_kib(void) {
	struct sysinfo info;
	sysinfo(&info);
	return (long)(info.freeram * info.mem_unit / 1024);
}

TEST(after_storms_of_threads_forks_signals_and_mappings_nothing_is_left) {
	const char *wish = getenv("SOAK_SECONDS");
	/* What is kept for the next time is taken by a first round. */
	TRY(run_all(1));
	long files = entries("/proc/self/fd"), memory = free_kib();
	TRY(run_all(wish ? atof(wish) : SHORT_SECONDS));
	CHECK_EQ(entries("/proc/self/fd"), files);
	CHECK_EQ(entries("/proc/self/task"), 3);
	CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
	CHECK(free_kib() + 2048 > memory);
}
