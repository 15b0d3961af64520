// only: rustos
// mem: 128M
// timeout: 120
/* Memory runs out: the process with the most dies by SIGKILL, all others and the kernel go on. */
#include "test.h"
#include "linux.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Takes memory and dirties it for ever. */
static void devour(void) {
	for (;;) {
		char *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (map == MAP_FAILED) _exit(2);
		for (int i = 0; i < 1 << 20; i += 4096) map[i] = 1;
	}
}

TEST(a_devourer_is_killed_and_its_memory_comes_back) {
	struct sysinfo before, after;
	for (int i = 0; i < 5; i++) {
		sysinfo(&before);
		pid_t child = fork();
		if (!child) devour();
		CHECK_EQ(status_of(child), 1000 + SIGKILL);
		sysinfo(&after);
		CHECK(after.freeram + (4 << 20) > before.freeram);
	}
}

TEST(of_many_processes_the_small_ones_live) {
	pid_t small[10];
	for (int i = 0; i < 10; i++) {
		small[i] = fork();
		if (!small[i]) {
			for (;;) sleep_ms(100);
		}
	}
	pid_t large = fork();
	if (!large) devour();
	CHECK_EQ(status_of(large), 1000 + SIGKILL);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(waitpid(small[i], NULL, WNOHANG), 0);
		kill(small[i], SIGKILL);
		CHECK_EQ(status_of(small[i]), 1000 + SIGKILL);
	}
}

TEST(a_hundred_devourers_die_one_by_one) {
	for (int i = 0; i < 100; i++) {
		pid_t child = fork();
		if (child < 0) break;
		if (!child) {
			sleep_ms(20);
			devour();
		}
	}
	int status, dead = 0;
	while (wait(&status) > 0) {
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		dead++;
	}
	CHECK(dead > 0);
}

/* Forks as long as it can; every process dirties what it has and goes on. Ends by itself after a while. */
static void bomb(char *own, long long until_ns) {
	struct timespec now;
	do {
		fork();
		memset(own, getpid(), 1 << 20);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec * 1000000000LL + now.tv_nsec < until_ns);
	_exit(0);
}

TEST(a_fork_bomb_with_dirty_pages_leaves_the_rest_alive) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pid_t root = fork();
	if (!root) {
		setpgid(0, 0);
		char *own = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		bomb(own, now.tv_sec * 1000000000LL + now.tv_nsec + 2000000000LL);
	}
	setpgid(root, root);
	sleep_ms(2200);
	kill(-root, SIGKILL);
	int status = status_of(root);
	CHECK(status == 0 || status == 1000 + SIGKILL);
	/* Orphans are the kernel's to reap; memory comes back when the last is gone. */
	struct sysinfo info;
	for (int tries = 0; tries < 100; tries++) {
		sysinfo(&info);
		if (info.freeram > info.totalram / 2) return;
		kill(-root, SIGKILL);
		sleep_ms(50);
	}
	CHECK(!"memory comes back");
}

TEST(a_map_that_can_never_fit_is_refused) {
	struct sysinfo info;
	sysinfo(&info);
	CHECK(mmap(NULL, info.totalram * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	CHECK_EQ(errno, ENOMEM);
}
