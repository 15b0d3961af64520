// cpus: 1 2
/* Namespaces of host names: unshare(2), setns(2), clone(2) with CLONE_NEWUTS, and /proc/PID/ns/uts. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Everything is done in children, so that names and namespaces stay as they were. */
static int in_child(int (*function)(void)) {
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) _exit(function());
	return status_of(child);
}

static int is_host(const char *name) {
	struct utsname names;
	return uname(&names) == 0 && !strcmp(names.nodename, name);
}

static int is_in_proc(const char *name) {
	char text[80] = "";
	int fd = open("/proc/sys/kernel/hostname", O_RDONLY);
	ssize_t len = read(fd, text, sizeof text - 1);
	close(fd);
	return len == (ssize_t)strlen(name) + 1 && !strncmp(text, name, strlen(name));
}

static void link_of(const char *path, char *to) {
	ssize_t len = readlink(path, to, 63);
	to[len > 0 ? len : 0] = 0;
}

static char before[65];

static int has_names_of_its_own(void) {
	char old[64], new[64];
	link_of("/proc/self/ns/uts", old);
	if (strncmp(old, "uts:[", 5)) return 1;
	if (unshare(CLONE_NEWUTS)) return 2;
	link_of("/proc/self/ns/uts", new);
	if (strncmp(new, "uts:[", 5) || !strcmp(old, new)) return 3;
	if (!is_host(before)) return 4;
	if (sethostname("other", 5) || !is_host("other") || !is_in_proc("other")) return 5;
	pid_t child = fork();
	if (child == 0) _exit(is_host("other") && sethostname("third", 5) == 0 ? 0 : 1);
	if (status_of(child)) return 6;
	if (!is_host("third")) return 7;
	int fd = open("/proc/sys/kernel/hostname", O_WRONLY);
	if (write(fd, "fourth\n", 7) != 7 || !is_host("fourth")) return 8;
	return 0;
}

TEST(unshared_names_are_a_copy_that_others_do_not_see) {
	CHECK_EQ(gethostname(before, sizeof before), 0);
	CHECK_EQ(in_child(has_names_of_its_own), 0);
	CHECK(is_host(before) && is_in_proc(before));
}

static int cloned(void *ready) {
	(void)ready;
	return sethostname("cloned", 6) == 0 && is_host("cloned") ? 0 : 1;
}

static int clones(void) {
	static char stack[65536];
	pid_t child = clone(cloned, stack + sizeof stack, CLONE_NEWUTS | SIGCHLD, NULL);
	if (child < 0 || status_of(child)) return 1;
	return is_host(before) ? 0 : 2;
}

TEST(a_clone_can_have_names_of_its_own) {
	CHECK_EQ(in_child(clones), 0);
}

static void *other_thread(void *argument) {
	(void)argument;
	if (unshare(CLONE_NEWUTS) || sethostname("thread", 6) || !is_host("thread")) return "no names of its own";
	return NULL;
}

static int threads_differ(void) {
	pthread_t thread;
	void *why;
	if (pthread_create(&thread, NULL, other_thread, NULL) || pthread_join(thread, &why)) return 1;
	return !why && is_host(before) ? 0 : 2;
}

TEST(names_are_a_threads_own) {
	CHECK_EQ(in_child(threads_differ), 0);
}

static int goes_back_and_forth(void) {
	char old[64], now[64];
	struct stat first, again;
	link_of("/proc/self/ns/uts", old);
	int home = open("/proc/self/ns/uts", O_RDONLY);
	if (home < 0 || fstat(home, &first) || stat("/proc/self/ns/uts", &again)) return 1;
	if (first.st_ino != again.st_ino || first.st_dev != again.st_dev || !S_ISREG(first.st_mode)) return 2;
	if (unshare(CLONE_NEWUTS) || sethostname("away", 4)) return 3;
	int away = open("/proc/self/ns/uts", O_RDONLY);
	if (setns(home, 0) || !is_host(before)) return 4;
	link_of("/proc/self/ns/uts", now);
	if (strcmp(old, now)) return 5;
	if (setns(away, CLONE_NEWUTS) || !is_host("away")) return 6;
	if (setns(home, CLONE_NEWIPC) != -1 || errno != EINVAL) return 7;
	if (setns(-1, 0) != -1 || errno != EBADF) return 8;
	int null = open("/dev/null", O_RDONLY);
	if (setns(null, 0) != -1 || errno != EINVAL) return 9;
	if (read(home, now, 1) != -1 || errno != EINVAL) return 10;
	return 0;
}

TEST(an_open_namespace_can_be_entered) {
	CHECK_EQ(in_child(goes_back_and_forth), 0);
}

static int enters_by_pidfd(void) {
	int ready[2], done[2];
	char byte;
	if (pipe(ready) || pipe(done)) return 1;
	pid_t child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWUTS) || sethostname("child", 5)) _exit(1);
		if (write(ready[1], "", 1) != 1) _exit(2);
		_exit(read(done[0], &byte, 1) == 1 ? 0 : 3);
	}
	if (read(ready[0], &byte, 1) != 1) return 2;
	int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	if (setns(pidfd, 0) != -1 || errno != EINVAL) return 3;
	if (setns(pidfd, 1) != -1 || errno != EINVAL) return 4;
	if (setns(pidfd, CLONE_NEWUTS) || !is_host("child")) return 5;
	if (write(done[1], "", 1) != 1 || status_of(child)) return 6;
	if (setns(pidfd, CLONE_NEWUTS) != -1 || errno != ESRCH) return 7;
	return is_host("child") ? 0 : 8;
}

TEST(a_processs_namespace_can_be_entered_by_its_pidfd) {
	CHECK_EQ(in_child(enters_by_pidfd), 0);
}

static int unprivileged(void) {
	int home = open("/proc/self/ns/uts", O_RDONLY);
	if (setresuid(1000, 1000, 1000)) return 1;
	if (unshare(CLONE_NEWUTS) != -1 || errno != EPERM) return 2;
	if (setns(home, 0) != -1 || errno != EPERM) return 3;
	if (syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0) != -1 || errno != EPERM) return 4;
	return 0;
}

TEST(namespaces_take_privilege) {
	CHECK_EQ(in_child(unprivileged), 0);
}
