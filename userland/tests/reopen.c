// cpus: 1 2 4
/* Opening again, through /proc/PID/fd and /dev/fd, what a descriptor refers to. */
#include "test.h"
#include "room.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int again(const char *where, int fd, int flags) {
	char path[64];
	snprintf(path, sizeof path, "%s/%d", where, fd);
	return open(path, flags);
}

static int reopen(int fd, int flags) { return again("/proc/self/fd", fd, flags); }

TEST(a_pipe_opened_again_is_the_same_pipe) {
	int p[2];
	char got[8] = {0};
	struct stat old, new;
	CHECK_EQ(pipe(p), 0);
	int reader = reopen(p[1], O_RDONLY), writer = reopen(p[0], O_WRONLY);
	CHECK(reader >= 0 && writer >= 0);
	CHECK_EQ(fcntl(writer, F_GETFL) & ~0100000, O_WRONLY);
	CHECK_EQ(fstat(p[0], &old), 0);
	CHECK_EQ(fstat(reader, &new), 0);
	CHECK(old.st_ino == new.st_ino && old.st_dev == new.st_dev);
	CHECK_EQ(write(writer, "one", 3), 3);
	CHECK_EQ(write(p[1], "two", 3), 3);
	CHECK_EQ(read(reader, got, 4), 4);
	CHECK_EQ(read(p[0], got + 4, 4), 2);
	CHECK(!memcmp(got, "onetwo", 6));
	CHECK_ERRNO(write(reader, "x", 1), EBADF);
	CHECK_ERRNO(read(writer, got, 1), EBADF);
	close(reader), close(writer), close(p[0]), close(p[1]);
}

TEST(ends_opened_again_count_as_readers_and_writers) {
	int p[2];
	char got[4];
	CHECK_EQ(pipe(p), 0);
	int writer = reopen(p[1], O_WRONLY | O_NONBLOCK);
	CHECK(writer >= 0);
	close(p[1]);
	struct pollfd poll_reader = {p[0], POLLIN, 0};
	CHECK_EQ(poll(&poll_reader, 1, 0), 0);
	close(writer);
	CHECK_EQ(poll(&poll_reader, 1, 0), 1);
	CHECK_EQ(poll_reader.revents, POLLHUP);
	CHECK_EQ(read(p[0], got, 1), 0);
	/* Opening a pipe waits for nobody, unlike a FIFO. */
	int reader = reopen(p[0], O_RDONLY);
	CHECK(reader >= 0);
	CHECK_EQ(read(reader, got, 1), 0);
	writer = reopen(p[0], O_WRONLY);
	CHECK(writer >= 0);
	close(p[0]);
	CHECK_EQ(write(writer, "abc", 3), 3);
	CHECK_EQ(read(reader, got, 4), 3);
	int both = reopen(reader, O_RDWR);
	CHECK(both >= 0);
	CHECK_EQ(write(both, "de", 2), 2);
	CHECK_EQ(read(both, got, 4), 2);
	close(both), close(reader), close(writer);
}

TEST(the_new_description_has_flags_of_its_own) {
	int p[2];
	char byte;
	CHECK_EQ(pipe(p), 0);
	int reader = reopen(p[0], O_RDONLY | O_NONBLOCK);
	CHECK(reader >= 0);
	CHECK_ERRNO(read(reader, &byte, 1), EAGAIN);
	CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY);
	CHECK_ERRNO(reopen(p[1], O_WRONLY | O_DIRECT), EINVAL);
	CHECK_ERRNO(reopen(p[1], O_RDWR | O_CREAT | O_EXCL), EEXIST);
	CHECK_ERRNO(reopen(p[1], O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(reopen(p[1], O_RDONLY | O_NOFOLLOW), ELOOP);
	int made = reopen(p[1], O_WRONLY | O_TRUNC | O_APPEND | O_CREAT);
	CHECK(made >= 0);
	close(made), close(reader), close(p[0]), close(p[1]);
}

TEST(a_child_opens_its_parents_pipe_by_number) {
	int p[2], status;
	char path[64], got[4] = {0};
	CHECK_EQ(pipe2(p, O_CLOEXEC), 0);
	snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), p[1]);
	pid_t child = fork();
	if (child == 0) {
		close(p[0]), close(p[1]);
		int writer = open(path, O_WRONLY);
		CHILD_CHECK(writer >= 0);
		CHILD_CHECK(write(writer, "up", 2) == 2);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(read(p[0], got, 4), 2);
	close(p[0]), close(p[1]);
}

TEST(a_reader_of_dev_fd_sees_the_end_when_the_writer_ends) {
	int p[2], status;
	char got[16];
	CHECK_EQ(pipe(p), 0);
	pid_t child = fork();
	if (child == 0) {
		close(p[0]);
		CHILD_CHECK(write(p[1], "substituted", 11) == 11);
		_exit(0);
	}
	close(p[1]);
	int reader = again("/dev/fd", p[0], O_RDONLY);
	CHECK(reader >= 0);
	close(p[0]);
	int total = 0, more;
	while ((more = read(reader, got + total, sizeof got - total)) > 0) total += more;
	CHECK_EQ(total, 11);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	close(reader);
}

TEST(sockets_and_anonymous_inodes_cannot_be_opened_again) {
	int s[2], event = eventfd(0, 0), poll = epoll_create1(0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	int fds[] = {s[0], event, poll}, flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC, O_RDONLY | O_NONBLOCK};
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 5; j++) CHECK_ERRNO(reopen(fds[i], flags[j]), ENXIO);
	int place = reopen(event, O_PATH);
	CHECK(place >= 0);
	CHECK_ERRNO(reopen(place, O_RDONLY), ENXIO);
	close(place), close(event), close(poll), close(s[0]), close(s[1]);
}

TEST(memory_and_deleted_files_open_again_with_positions_of_their_own) {
	char got[4] = {0};
	int files[2] = {memfd_create("again", 0), open("gone", O_RDWR | O_CREAT, 0600)};
	CHECK_EQ(unlink("gone"), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(write(files[i], "abcd", 4), 4);
		int other = reopen(files[i], O_RDONLY);
		CHECK(other >= 0);
		CHECK_EQ(read(other, got, 4), 4);
		CHECK(!memcmp(got, "abcd", 4));
		CHECK_ERRNO(write(other, "x", 1), EBADF);
		int cut = reopen(files[i], O_WRONLY | O_TRUNC);
		CHECK(cut >= 0);
		CHECK_EQ(pread(other, got, 4, 0), 0);
		close(cut), close(other), close(files[i]);
	}
}

TEST(a_fifo_opened_again_is_the_one_that_was_unlinked) {
	char got[4];
	CHECK_EQ(mkfifo("fifo", 0600), 0);
	int both = open("fifo", O_RDWR);
	CHECK_EQ(unlink("fifo"), 0);
	int writer = reopen(both, O_WRONLY);
	CHECK(writer >= 0);
	CHECK_EQ(write(writer, "x", 1), 1);
	CHECK_EQ(read(both, got, 4), 1);
	close(both);
	/* Unlike a pipe it minds whether there is a partner. */
	CHECK_ERRNO(reopen(writer, O_WRONLY | O_NONBLOCK), ENXIO);
	int reader = reopen(writer, O_RDONLY);
	CHECK(reader >= 0);
	close(writer), close(reader);
}

TEST(root_opens_a_text_of_proc_for_writing_but_cannot_write) {
	int fd = open("/proc/self/status", O_RDWR);
	CHECK(fd >= 0);
	CHECK_ERRNO(write(fd, "x", 1), EINVAL);
	CHECK_ERRNO(open("/proc/self/status", O_RDONLY | O_DIRECT), EINVAL);
	close(fd);
}
