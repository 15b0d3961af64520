/* Files that signal their owners: leases, directory notification, O_ASYNC; fcntl(2)'s F_SETOWN and F_SETSIG. */
#include "test.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define WANTED (SIGRTMIN + 3)
#define UNWANTED (SIGRTMIN + 4)

/* Blocks the signal and gives the set with it alone. */
static sigset_t blocked(int signal) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return set;
}

/* The signal's details, if it comes within ten seconds; else si_signo is 0. */
static siginfo_t await_signal(int signal) {
	sigset_t set = blocked(signal);
	siginfo_t info = {0};
	struct timespec patience = {10, 0};
	if (sigtimedwait(&set, &info, &patience) < 0) info.si_signo = 0;
	return info;
}

/* Whether the signal is not even pending now. */
static int is_silent(int signal) {
	sigset_t set = blocked(signal);
	struct timespec none = {0, 0};
	return sigtimedwait(&set, NULL, &none) == -1 && errno == EAGAIN;
}

static int fresh(const char *path) {
	unlink(path);
	int fd = open(path, O_CREAT | O_RDWR, 0644);
	close(fd);
	return open(path, O_RDONLY);
}

TEST(a_lease_can_be_taken_only_while_nobody_is_in_its_way) {
	int reader = fresh("/tmp/lease-a");
	CHECK_EQ(fcntl(reader, F_GETLEASE), F_UNLCK);
	CHECK_ERRNO(fcntl(reader, F_SETLEASE, F_UNLCK), EAGAIN);
	CHECK_ERRNO(fcntl(reader, F_SETLEASE, 77), EINVAL);
	CHECK_EQ(fcntl(reader, F_SETLEASE, F_RDLCK), 0);
	CHECK_EQ(fcntl(reader, F_GETLEASE), F_RDLCK);
	CHECK_EQ(fcntl(reader, F_SETLEASE, F_WRLCK), 0);
	CHECK_EQ(fcntl(reader, F_GETLEASE), F_WRLCK);
	CHECK_EQ(fcntl(reader, F_SETLEASE, F_UNLCK), 0);

	int other = open("/tmp/lease-a", O_RDONLY);
	CHECK_EQ(fcntl(reader, F_SETLEASE, F_RDLCK), 0);
	CHECK_ERRNO(fcntl(reader, F_SETLEASE, F_WRLCK), EAGAIN);
	close(other);
	close(reader);
	int writer = open("/tmp/lease-a", O_RDWR);
	CHECK_ERRNO(fcntl(writer, F_SETLEASE, F_RDLCK), EAGAIN);
	CHECK_EQ(fcntl(writer, F_SETLEASE, F_WRLCK), 0);
	close(writer);
	unlink("/tmp/lease-a");
}

TEST(leases_are_for_regular_files_of_ones_own) {
	int ends[2];
	CHECK_EQ(pipe(ends), 0);
	CHECK_ERRNO(fcntl(ends[0], F_SETLEASE, F_RDLCK), EINVAL);
	int directory = open("/tmp", O_RDONLY);
	CHECK_ERRNO(fcntl(directory, F_SETLEASE, F_RDLCK), EINVAL);
	int file = fresh("/tmp/lease-b");
	pid_t child = fork();
	if (child == 0) {
		CHILD_CHECK(setuid(1000) == 0);
		CHILD_CHECK(fcntl(file, F_SETLEASE, F_RDLCK) == -1 && errno == EACCES);
		_exit(0);
	}
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	close(ends[0]);
	close(ends[1]);
	close(directory);
	close(file);
	unlink("/tmp/lease-b");
}

TEST(who_will_not_wait_is_refused_and_the_holder_is_told) {
	int file = fresh("/tmp/lease-c");
	blocked(WANTED);
	CHECK_EQ(fcntl(file, F_SETSIG, WANTED), 0);
	CHECK_EQ(fcntl(file, F_SETLEASE, F_WRLCK), 0);
	CHECK_EQ(fcntl(file, F_GETOWN), getpid());
	CHECK_ERRNO(open("/tmp/lease-c", O_RDONLY | O_NONBLOCK), EAGAIN);
	CHECK_EQ(fcntl(file, F_GETLEASE), F_RDLCK);
	siginfo_t info = await_signal(WANTED);
	CHECK_EQ(info.si_signo, WANTED);
	CHECK_EQ(info.si_fd, file);
	CHECK_EQ(info.si_code, POLL_MSG);
	CHECK_ERRNO(open("/tmp/lease-c", O_RDONLY | O_NONBLOCK), EAGAIN);
	CHECK_ERRNO(open("/tmp/lease-c", O_WRONLY | O_NONBLOCK), EAGAIN);
	CHECK_EQ(fcntl(file, F_GETLEASE), F_UNLCK);
	CHECK_EQ(await_signal(WANTED).si_signo, WANTED);
	CHECK(is_silent(WANTED));
	close(file);
	int free_again = open("/tmp/lease-c", O_WRONLY | O_NONBLOCK);
	CHECK(free_again >= 0);
	close(free_again);
	unlink("/tmp/lease-c");
}

/* A child does what disturbs the lease, which waits until the holder gives it back or down. */
static void disturb(int lease, int flags, int given_back) {
	int file = fresh("/tmp/lease-d");
	blocked(SIGIO);
	CHECK_EQ(fcntl(file, F_SETLEASE, lease), 0);
	pid_t child = fork();
	if (child == 0) {
		int opened = flags == O_TRUNC ? truncate("/tmp/lease-d", 5) : open("/tmp/lease-d", flags);
		CHILD_CHECK(opened >= 0);
		_exit(0);
	}
	CHECK_EQ(await_signal(SIGIO).si_signo, SIGIO);
	int status;
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	CHECK_EQ(fcntl(file, F_SETLEASE, given_back), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	close(file);
	unlink("/tmp/lease-d");
}

TEST(an_open_waits_until_the_lease_in_its_way_is_given_back) {
	TRY(disturb(F_WRLCK, O_RDONLY, F_RDLCK));
	TRY(disturb(F_WRLCK, O_RDWR, F_UNLCK));
	TRY(disturb(F_RDLCK, O_WRONLY, F_UNLCK));
}

TEST(truncate_waits_for_leases_too) {
	TRY(disturb(F_RDLCK, O_TRUNC, F_UNLCK));
}

TEST(a_directory_tells_of_its_entries_once_or_each_time) {
	unlink("/tmp/watched/a");
	unlink("/tmp/watched/b");
	mkdir("/tmp/watched", 0755);
	int directory = open("/tmp/watched", O_RDONLY), file = fresh("/tmp/lease-e");
	blocked(WANTED);
	CHECK_ERRNO(fcntl(file, F_NOTIFY, DN_CREATE), ENOTDIR);
	CHECK_EQ(fcntl(directory, F_SETSIG, WANTED), 0);
	CHECK_EQ(fcntl(directory, F_NOTIFY, DN_CREATE), 0);
	close(open("/tmp/watched/a", O_CREAT | O_RDWR, 0644));
	siginfo_t info = await_signal(WANTED);
	CHECK_EQ(info.si_signo, WANTED);
	CHECK_EQ(info.si_fd, directory);
	CHECK_EQ(info.si_code, POLL_MSG);

	CHECK_EQ(fcntl(directory, F_NOTIFY, DN_DELETE | DN_RENAME | DN_ATTRIB | DN_MULTISHOT), 0);
	CHECK_EQ(rename("/tmp/watched/a", "/tmp/watched/b"), 0);
	CHECK_EQ(await_signal(WANTED).si_signo, WANTED);
	CHECK_EQ(chmod("/tmp/watched/b", 0600), 0);
	CHECK_EQ(await_signal(WANTED).si_signo, WANTED);
	CHECK_EQ(unlink("/tmp/watched/b"), 0);
	CHECK_EQ(await_signal(WANTED).si_signo, WANTED);
	close(directory);
	close(file);
	unlink("/tmp/lease-e");
	rmdir("/tmp/watched");
}

TEST(what_was_not_asked_for_is_not_told) {
	unlink("/tmp/watched/a");
	unlink("/tmp/watched/b");
	mkdir("/tmp/watched", 0755);
	int directory = open("/tmp/watched", O_RDONLY), other = open("/tmp/watched", O_RDONLY);
	blocked(UNWANTED);
	blocked(SIGIO);
	CHECK_EQ(fcntl(directory, F_SETSIG, UNWANTED), 0);
	CHECK_EQ(fcntl(directory, F_NOTIFY, DN_MODIFY | DN_MULTISHOT), 0);
	CHECK_EQ(fcntl(directory, F_NOTIFY, 0), 0);
	CHECK_EQ(fcntl(other, F_NOTIFY, DN_CREATE | DN_MULTISHOT), 0);
	int file = open("/tmp/watched/a", O_CREAT | O_RDWR, 0644);
	CHECK_EQ(await_signal(SIGIO).si_signo, SIGIO);
	CHECK_EQ(write(file, "x", 1), 1);
	close(open("/tmp/watched/b", O_CREAT | O_RDWR, 0644));
	CHECK_EQ(await_signal(SIGIO).si_signo, SIGIO);
	CHECK(is_silent(UNWANTED));
	close(directory);
	close(other);
	close(file);
	unlink("/tmp/watched/a");
	unlink("/tmp/watched/b");
	rmdir("/tmp/watched");
}

/* What arrives at `reader` when `writer` writes is told by SIGIO, or by the signal asked for. */
static void tell_of_input(int reader, int writer, int wanted) {
	char byte;
	blocked(SIGIO);
	blocked(wanted);
	CHECK_EQ(fcntl(reader, F_SETOWN, getpid()), 0);
	CHECK_EQ(fcntl(reader, F_SETFL, O_ASYNC), 0);
	CHECK(fcntl(reader, F_GETFL) & O_ASYNC);
	CHECK_EQ(write(writer, "a", 1), 1);
	siginfo_t info = await_signal(SIGIO);
	CHECK_EQ(info.si_signo, SIGIO);
	CHECK_EQ(info.si_code, SI_KERNEL);
	CHECK_EQ(read(reader, &byte, 1), 1);
	CHECK_EQ(fcntl(reader, F_SETSIG, wanted), 0);
	CHECK_EQ(write(writer, "b", 1), 1);
	info = await_signal(wanted);
	CHECK_EQ(info.si_signo, wanted);
	CHECK_EQ(info.si_fd, reader);
	CHECK_EQ(info.si_code, POLL_IN);
	CHECK_EQ(read(reader, &byte, 1), 1);
	CHECK_EQ(fcntl(reader, F_SETFL, 0), 0);
	CHECK(!(fcntl(reader, F_GETFL) & O_ASYNC));
}

TEST(a_pipe_with_o_async_signals_its_owner) {
	int ends[2];
	CHECK_EQ(pipe(ends), 0);
	TRY(tell_of_input(ends[0], ends[1], SIGRTMIN + 5));
	close(ends[0]);
	close(ends[1]);
}

TEST(a_socket_with_o_async_signals_its_owner) {
	int ends[2];
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	TRY(tell_of_input(ends[0], ends[1], SIGRTMIN + 6));
	close(ends[0]);
	close(ends[1]);
}

TEST(a_thread_and_a_group_can_own_a_file) {
	int ends[2];
	char byte;
	struct f_owner_ex owner = {F_OWNER_TID, gettid()};
	CHECK_EQ(pipe(ends), 0);
	blocked(SIGIO);
	CHECK_EQ(fcntl(ends[0], F_SETOWN_EX, &owner), 0);
	int on = 1;
	CHECK_EQ(ioctl(ends[0], FIOASYNC, &on), 0);
	CHECK_EQ(write(ends[1], "a", 1), 1);
	CHECK_EQ(await_signal(SIGIO).si_signo, SIGIO);
	CHECK_EQ(read(ends[0], &byte, 1), 1);
	pid_t child = fork();
	if (child == 0) {
		CHILD_CHECK(setpgid(0, 0) == 0);
		CHILD_CHECK(fcntl(ends[0], F_SETOWN, -getpid()) == 0);
		CHILD_CHECK(fcntl(ends[0], F_GETOWN) == -getpid());
		CHILD_CHECK(write(ends[1], "b", 1) == 1);
		CHILD_CHECK(await_signal(SIGIO).si_signo == SIGIO);
		_exit(0);
	}
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK(is_silent(SIGIO));
	close(ends[0]);
	close(ends[1]);
}

TEST(an_owner_must_be_there) {
	int ends[2];
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(fcntl(ends[0], F_SETOWN, getpid()), 0);
	pid_t gone = fork();
	if (gone == 0) _exit(0);
	CHECK_EQ(waitpid(gone, NULL, 0), gone);
	CHECK_ERRNO(fcntl(ends[0], F_SETOWN, gone), ESRCH);
	CHECK_ERRNO(fcntl(ends[0], F_SETOWN, -gone), ESRCH);
	struct f_owner_ex owner = {F_OWNER_TID, gone};
	CHECK_ERRNO(fcntl(ends[0], F_SETOWN_EX, &owner), ESRCH);
	CHECK_EQ(fcntl(ends[0], F_GETOWN), getpid());
	CHECK_EQ(fcntl(ends[0], F_SETOWN, 0), 0);
	CHECK_EQ(fcntl(ends[0], F_GETOWN), 0);
	close(ends[0]);
	close(ends[1]);
}

TEST(a_regular_file_does_not_know_o_async) {
	int file = fresh("/tmp/lease-f"), on = 1;
	CHECK_EQ(fcntl(file, F_SETFL, O_ASYNC), 0);
	CHECK(!(fcntl(file, F_GETFL) & O_ASYNC));
	CHECK_ERRNO(ioctl(file, FIOASYNC, &on), ENOTTY);
	close(file);
	unlink("/tmp/lease-f");
}
