/* What threads share and how they are told apart: kcmp, pidfds in poll and epoll, numbers and their limits. */
#include "test.h"
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static long compare(pid_t one, pid_t other, int kind, unsigned long a, unsigned long b) {
	return syscall(SYS_kcmp, one, other, kind, a, b);
}

static int differ(long result) {
	return result == 1 || result == 2;
}

/* A child of clone that waits to be killed. */
static char stack[65536] __attribute__((aligned(16)));
static int pauses(void *unused) {
	(void)unused;
	while (pause()) {}
	return 0;
}

static void end(pid_t child) {
	kill(child, SIGKILL);
	waitpid(child, NULL, __WALL);
}

TEST(kcmp_tells_what_a_forked_child_shares) {
	pid_t self = getpid(), child = fork();
	if (child == 0) pauses(NULL);
	int same = compare(self, self, KCMP_VM, 0, 0);
	int vm = compare(self, child, KCMP_VM, 0, 0), files = compare(self, child, KCMP_FILES, 0, 0);
	int fs = compare(self, child, KCMP_FS, 0, 0), hand = compare(self, child, KCMP_SIGHAND, 0, 0);
	int io = compare(self, child, KCMP_IO, 0, 0), sem = compare(self, child, KCMP_SYSVSEM, 0, 0);
	int file = compare(self, child, KCMP_FILE, 1, 1), reverse = compare(child, self, KCMP_VM, 0, 0);
	end(child);
	CHECK_EQ(same, 0);
	CHECK(differ(vm) && differ(files) && differ(fs) && differ(hand));
	CHECK_EQ(vm + reverse, 3);
	CHECK_EQ(io, 0);
	CHECK_EQ(sem, 0);
	CHECK_EQ(file, 0);
}

TEST(kcmp_tells_what_clone_shared) {
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | SIGCHLD;
	pid_t self = getpid(), child = clone(pauses, stack + sizeof stack, flags, NULL);
	CHECK(child > 0);
	int vm = compare(self, child, KCMP_VM, 0, 0), files = compare(self, child, KCMP_FILES, 0, 0);
	int fs = compare(self, child, KCMP_FS, 0, 0), hand = compare(self, child, KCMP_SIGHAND, 0, 0);
	end(child);
	CHECK_EQ(vm, 0);
	CHECK_EQ(files, 0);
	CHECK_EQ(fs, 0);
	CHECK_EQ(hand, 0);
}

TEST(kcmp_compares_open_files_not_descriptors) {
	pid_t self = getpid();
	int fd = open("/dev/null", O_RDONLY), copy = dup(fd), other = open("/dev/null", O_RDONLY);
	CHECK_EQ(compare(self, self, KCMP_FILE, fd, copy), 0);
	CHECK(differ(compare(self, self, KCMP_FILE, fd, other)));
	close(fd), close(copy), close(other);
	CHECK_ERRNO(compare(self, self, KCMP_FILE, fd, 1), EBADF);
}

TEST(kcmp_has_its_errors) {
	pid_t self = getpid();
	CHECK_ERRNO(compare(self, self, 1000, 0, 0), EINVAL);
	CHECK_ERRNO(compare(self, self, -1, 0, 0), EINVAL);
	CHECK_ERRNO(compare(-1, self, KCMP_FILE, 1, 1), ESRCH);
	CHECK_ERRNO(compare(self, 0, KCMP_FILE, 1, 1), ESRCH);
	CHECK_ERRNO(compare(self, self, KCMP_FILE, 1, -1), EBADF);
	pid_t child = fork();
	if (child == 0) {
		CHILD_CHECK(setuid(65534) == 0);
		_exit(compare(getpid(), self, KCMP_VM, 0, 0) == -1 && errno == EPERM ? 0 : 1);
	}
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

TEST(a_pidfd_can_be_watched_by_epoll) {
	pid_t child = fork();
	if (child == 0) pauses(NULL);
	int fd = syscall(SYS_pidfd_open, child, 0), set = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
	CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
	CHECK_EQ(epoll_wait(set, &event, 1, 0), 0);
	kill(child, SIGKILL);
	CHECK_EQ(epoll_wait(set, &event, 1, 5000), 1);
	CHECK_EQ(event.events, EPOLLIN);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	CHECK_EQ(poll(&poll_fd, 1, 0), 1);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	CHECK_EQ(poll(&poll_fd, 1, 0), 1);
	CHECK_EQ(poll_fd.revents, POLLIN | POLLHUP);
	close(fd), close(set);
}

TEST(there_is_a_thread_with_number_one) {
	CHECK(syscall(SYS_sched_getscheduler, 1) >= 0);
	CHECK(sched_getaffinity(1, sizeof(cpu_set_t), &(cpu_set_t){0}) == 0);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 99999999, stack, stack), ESRCH);
	pid_t child = fork();
	if (child == 0) {
		CHILD_CHECK(setresuid(1000, 1000, 1000) == 0);
		CHILD_CHECK(syscall(SYS_tkill, 1, 0) == -1 && errno == EPERM);
		CHILD_CHECK(syscall(SYS_tgkill, 1, 1, 0) == -1 && errno == EPERM);
		CHILD_CHECK(syscall(SYS_get_robust_list, 1, stack, stack) == -1 && errno == EPERM);
		CHILD_CHECK(syscall(SYS_sched_setparam, 1, &(struct sched_param){0}) == -1 && errno == EPERM);
		_exit(0);
	}
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

static int write_file(const char *path, const char *text) {
	int fd = open(path, O_WRONLY);
	if (fd < 0) return -1;
	ssize_t done = write(fd, text, strlen(text));
	int error = errno;
	close(fd);
	errno = error;
	return done < 0 ? -1 : 0;
}

static long read_number(const char *path) {
	char text[64] = "";
	int fd = open(path, O_RDONLY);
	ssize_t len = read(fd, text, sizeof text - 1);
	close(fd);
	return len > 0 ? atol(text) : -1;
}

TEST(numbers_stay_below_the_limit_and_start_again) {
	char old[32];
	long limit = read_number("/proc/sys/kernel/pid_max");
	CHECK(limit > 300);
	snprintf(old, sizeof old, "%ld\n", limit);
	CHECK_ERRNO(write_file("/proc/sys/kernel/pid_max", "300"), EINVAL);
	CHECK_ERRNO(write_file("/proc/sys/kernel/pid_max", "5000000"), EINVAL);
	CHECK_ERRNO(write_file("/proc/sys/kernel/pid_max", "nonsense"), EINVAL);
	CHECK_EQ(write_file("/proc/sys/kernel/pid_max", old), 0);
	CHECK_EQ(read_number("/proc/sys/kernel/pid_max"), limit);
}

/* What KCMP_EPOLL_TFD compares with: a descriptor that an epoll instance watches. */
struct slot { uint32_t epoll, fd, index; };

TEST(kcmp_finds_what_an_epoll_instance_watches) {
	int fds[2], epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	CHECK_EQ(pipe(fds), 0);
	int copy = dup(fds[0]), former = fds[0];
	CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event), 0);
	struct slot slot = {(uint32_t)epoll, (uint32_t)former, 0};
	pid_t self = getpid();
	CHECK_EQ(compare(self, self, KCMP_EPOLL_TFD, (unsigned long)copy, (unsigned long)&slot), 0);
	CHECK(differ(compare(self, self, KCMP_EPOLL_TFD, (unsigned long)fds[1], (unsigned long)&slot)));
	/* The number is another file's now; the instance still watches the one it was. */
	CHECK_EQ(dup2(fds[1], former), former);
	CHECK_EQ(compare(self, self, KCMP_EPOLL_TFD, (unsigned long)copy, (unsigned long)&slot), 0);
	slot.index = 1;
	CHECK_ERRNO(compare(self, self, KCMP_EPOLL_TFD, (unsigned long)copy, (unsigned long)&slot), ENOENT);
	slot = (struct slot){(uint32_t)epoll, (uint32_t)copy, 0};
	CHECK_ERRNO(compare(self, self, KCMP_EPOLL_TFD, (unsigned long)copy, (unsigned long)&slot), ENOENT);
	slot.epoll = (uint32_t)copy;
	CHECK_ERRNO(compare(self, self, KCMP_EPOLL_TFD, (unsigned long)copy, (unsigned long)&slot), EINVAL);
	slot.epoll = 1000;
	CHECK_ERRNO(compare(self, self, KCMP_EPOLL_TFD, (unsigned long)copy, (unsigned long)&slot), EBADF);
	CHECK_ERRNO(compare(self, self, KCMP_EPOLL_TFD, (unsigned long)copy, 8), EFAULT);
	CHECK_ERRNO(compare(self, self, KCMP_EPOLL_TFD, 1000, (unsigned long)&slot), EBADF);
	close(epoll);
	close(former);
	close(fds[1]);
	close(copy);
}

TEST(a_folder_of_proc_is_as_good_as_a_pidfd_to_send_a_signal_by) {
	pid_t child = fork();
	if (child == 0) pauses(NULL);
	char path[64];
	snprintf(path, sizeof path, "/proc/%d", child);
	int folder = open(path, O_DIRECTORY | O_CLOEXEC), status;
	CHECK(folder >= 0);
	snprintf(path, sizeof path, "/proc/%d/task", child);
	int tasks = open(path, O_DIRECTORY | O_CLOEXEC);
	CHECK(tasks >= 0);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, folder, 0, NULL, 0), 0);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, tasks, 0, NULL, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, folder, 0, 0), EBADF);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, folder, SIGTERM, NULL, 0), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, SIGTERM);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, folder, 0, NULL, 0), ESRCH);
	close(folder);
	close(tasks);
}

/* Ends by itself at once. */
static int ends(void *unused) {
	(void)unused;
	syscall(SYS_exit, 0);
	return 0;
}

/* A process whose second thread is traced from birth and has ended. Tells its number, then waits to be killed. */
static void traced_process(int out) {
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
	CHILD_CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
	raise(SIGSTOP);
	pid_t thread = clone(ends, stack + sizeof stack, flags, NULL);
	CHILD_CHECK(write(out, &thread, sizeof thread) == sizeof thread);
	pauses(NULL);
}

/* clone3's arguments up to those that name the number. */
struct numbered { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size; };

static pid_t fork_as(pid_t number) {
	struct numbered arguments = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&number, .set_tid_size = 1};
	pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
	if (child == 0) _exit(0);
	return child;
}

TEST(the_number_of_a_traced_thread_is_held_until_its_tracer_has_waited) {
	int fds[2], status;
	pid_t thread = 0;
	CHECK_EQ(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0) traced_process(fds[1]);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACECLONE), 0);
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	CHECK_EQ(waitpid(child, &status, __WALL), child);
	CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_CLONE << 8);
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	CHECK_EQ(read(fds[0], &thread, sizeof thread), sizeof thread);
	CHECK_EQ(waitpid(thread, &status, __WALL), thread);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(ptrace(PTRACE_CONT, thread, 0, 0), 0);
	siginfo_t info;
	CHECK_EQ(waitid(P_PID, thread, &info, WEXITED | WNOWAIT | __WALL), 0);
	CHECK_EQ(info.si_pid, thread);
	CHECK_ERRNO(fork_as(thread), EEXIST);
	CHECK_EQ(waitpid(thread, &status, __WALL), thread);
	CHECK_EQ(status, 0);
	pid_t again = fork_as(thread);
	CHECK_EQ(again, thread);
	CHECK_EQ(waitpid(again, &status, 0), again);
	CHECK_EQ(kill(child, SIGKILL), 0);
	CHECK_EQ(waitpid(child, &status, __WALL), child);
	close(fds[0]);
	close(fds[1]);
}
