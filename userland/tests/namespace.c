/* unshare(2): what is shared by clone can be parted later. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int fd;

static void *part_and_close(void *how) {
	EXPECT(unshare((int)(long)how) == 0);
	close(fd);
	umask(0111);
	return NULL;
}

TEST(a_thread_can_part_from_the_files_and_the_folder_of_its_process) {
	pthread_t thread;
	fd = dup(1);
	umask(022);
	CHECK_EQ(pthread_create(&thread, NULL, part_and_close, (void *)(long)(CLONE_FILES | CLONE_FS)), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	CHECK_EQ(umask(022), 022);
	close(fd);
}

static void *try_threads(void *unused) {
	EXPECT(unshare(CLONE_SIGHAND) == -1 && errno == EINVAL);
	EXPECT(unshare(CLONE_THREAD) == -1 && errno == EINVAL);
	EXPECT(unshare(CLONE_VM) == -1 && errno == EINVAL);
	return unused;
}

TEST(what_a_process_of_many_threads_cannot_part_is_refused) {
	pthread_t thread;
	CHECK_EQ(unshare(0), 0);
	CHECK_EQ(unshare(CLONE_FILES | CLONE_FS | CLONE_SYSVSEM), 0);
	/* A thread that has been joined may be there for a moment yet; a forked child is surely alone. */
	pid_t child = fork();
	if (!child) _exit(unshare(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) ? 1 : 0);
	CHECK_EQ(status_of(child), 0);
	CHECK_ERRNO(unshare(CLONE_VFORK), EINVAL);
	CHECK_ERRNO(unshare(1), EINVAL);
	CHECK_EQ(pthread_create(&thread, NULL, try_threads, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(setns_wants_a_namespace) {
	int file = open("/dev/null", O_RDONLY);
	CHECK_ERRNO(setns(999, 0), EBADF);
	CHECK_ERRNO(setns(file, 0), EINVAL);
	close(file);
}

TEST(close_range_can_part_the_table_first) {
	pid_t child = fork();
	if (!child) {
		int one = dup(1);
		CHILD_CHECK(syscall(SYS_close_range, one, one, 2 /* CLOSE_RANGE_UNSHARE */) == 0);
		CHILD_CHECK(fcntl(one, F_GETFD) == -1 && errno == EBADF);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}
