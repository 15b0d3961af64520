/* Files: open, read, write, seek, truncate, dup, fcntl, locks, copying. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char bytes[70000];

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(a_file_is_created_written_and_read) {
	umask(022);
	int fd = open("new", O_RDWR | O_CREAT | O_EXCL, 0666);
	struct stat status;
	CHECK(fd >= 0);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK(status.st_mode == (S_IFREG | 0644) && status.st_size == 0 && status.st_nlink == 1);
	CHECK_EQ(write(fd, "hello", 5), 5);
	CHECK_EQ(read(fd, bytes, 10), 0);
	CHECK_EQ(pread(fd, bytes, 10, 1), 4);
	CHECK(!memcmp(bytes, "ello", 4));
	CHECK_EQ(pwrite(fd, "XY", 2, 3), 2);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
	CHECK_EQ(lseek(fd, -4, SEEK_END), 1);
	CHECK_EQ(read(fd, bytes, 10), 4);
	CHECK(!memcmp(bytes, "elXY", 4));
	close(fd);
	CHECK_ERRNO(open("new", O_RDWR | O_CREAT | O_EXCL, 0666), EEXIST);
}

TEST(holes_read_as_zeroes) {
	int fd = open("holes", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct stat status;
	CHECK_EQ(lseek(fd, 50000, SEEK_SET), 50000);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_size, 50001);
	memset(bytes, 1, sizeof bytes);
	CHECK_EQ(pread(fd, bytes, sizeof bytes, 0), 50001);
	for (int i = 0; i < 50000; i++) CHECK_EQ(bytes[i], 0);
	CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_DATA) <= 50000, 1);
	CHECK_EQ(lseek(fd, 50000, SEEK_HOLE), 50001);
	CHECK_ERRNO(lseek(fd, 50001, SEEK_DATA), ENXIO);
	close(fd);
}

TEST(truncation_cuts_and_extends) {
	int fd = open("cut", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct stat status;
	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(ftruncate(fd, 4), 0);
	CHECK_EQ(ftruncate(fd, 8), 0);
	CHECK_EQ(pread(fd, bytes, 10, 0), 8);
	CHECK(!memcmp(bytes, "0123\0\0\0\0", 8));
	CHECK_EQ(truncate("cut", 2), 0);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_size, 2);
	CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
	CHECK_ERRNO(truncate("none", 0), ENOENT);
	CHECK_ERRNO(truncate(".", 0), EISDIR);
	close(fd);
	fd = open("cut", O_RDONLY);
	CHECK_ERRNO(ftruncate(fd, 0), EINVAL);
	close(fd);
	fd = open("cut", O_WRONLY | O_TRUNC);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_size, 0);
	close(fd);
}

TEST(append_writes_at_the_end_always) {
	CHECK_EQ(room_file("log", "one", 0600), 0);
	int fd = open("log", O_RDWR | O_APPEND), other = open("log", O_WRONLY);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(write(fd, "two", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_EQ(pwrite(other, "123456789", 9, 0), 9);
	CHECK_EQ(write(fd, "x", 1), 1);
	/* pwrite on an append file appends too, whatever POSIX says. */
	CHECK_EQ(pwrite(fd, "y", 1, 0), 1);
	CHECK_EQ(pread(fd, bytes, 20, 0), 11);
	CHECK(!memcmp(bytes, "123456789xy", 11));
	close(fd);
	close(other);
}

TEST(open_refuses_in_linuxs_order) {
	static char name[5000];
	CHECK_EQ(room_file("file", "x", 0600), 0);
	CHECK_ERRNO(open("none", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("file/x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("file/", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("none/", O_WRONLY | O_CREAT, 0600), EISDIR);
	CHECK_ERRNO(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(open(".", O_WRONLY), EISDIR);
	CHECK_ERRNO(open(".", O_RDONLY | O_CREAT, 0600), EISDIR);
	memset(name, 'a', 256);
	CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
	memset(name, '/', 4096);
	CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
	CHECK_EQ(symlink("file", "link"), 0);
	CHECK_ERRNO(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_EQ(symlink("around", "around"), 0);
	CHECK_ERRNO(open("around", O_RDONLY), ELOOP);
	CHECK_ERRNO(openat(999, "file", O_RDONLY), EBADF);
	int fd = open("file", O_RDONLY);
	CHECK_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(write(fd, "x", 1), EBADF);
	close(fd);
	fd = open("file", O_WRONLY);
	CHECK_ERRNO(read(fd, bytes, 1), EBADF);
	close(fd);
	CHECK_ERRNO(read(fd, bytes, 1), EBADF);
}

TEST(a_path_descriptor_is_only_a_place) {
	int fd = open("file", O_PATH), folder = open(".", O_PATH | O_DIRECTORY);
	struct stat status;
	CHECK(fd >= 0 && folder >= 0);
	CHECK_ERRNO(read(fd, bytes, 1), EBADF);
	CHECK_ERRNO(ioctl(fd, FIONREAD, bytes), EBADF);
	CHECK_ERRNO(syscall(SYS_fchmod, fd, 0600), EBADF);
	CHECK_EQ(fstat(fd, &status), 0);
	int real = openat(folder, "file", O_RDONLY);
	CHECK(real >= 0);
	close(real);
	int link = open("link", O_PATH | O_NOFOLLOW);
	CHECK(link >= 0);
	CHECK_EQ(fstat(link, &status), 0);
	CHECK(S_ISLNK(status.st_mode));
	CHECK_EQ(readlinkat(link, "", bytes, 100), 4);
	close(fd);
	close(folder);
	close(link);
}

TEST(an_unnamed_file_can_be_given_a_name) {
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	char path[64];
	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & ~O_LARGEFILE & ~0x8000, O_TMPFILE | O_RDWR);
	CHECK_EQ(write(fd, "temp", 4), 4);
	struct stat status;
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_nlink, 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	CHECK_EQ(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
	CHECK_EQ(stat("named", &status), 0);
	CHECK_EQ(status.st_size, 4);
	close(fd);
	CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
}

TEST(duplicates_share_the_offset_and_not_the_flag) {
	int fd = open("file2", O_RDWR | O_CREAT, 0600), twin = dup(fd), high = fcntl(fd, F_DUPFD_CLOEXEC, 40);
	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(high, 40);
	CHECK_EQ(fcntl(high, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(twin, F_GETFD), 0);
	CHECK_EQ(lseek(twin, 3, SEEK_SET), 3);
	CHECK_EQ(lseek(high, 0, SEEK_CUR), 3);
	CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK), 0);
	CHECK_EQ(fcntl(twin, F_GETFL) & (O_APPEND | O_NONBLOCK | O_ACCMODE), O_APPEND | O_NONBLOCK | O_RDWR);
	CHECK_EQ(dup2(fd, fd), fd);
	CHECK_ERRNO(syscall(SYS_dup3, fd, fd, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_dup3, fd, 41, 1), EINVAL);
	CHECK_ERRNO(dup2(999, 41), EBADF);
	CHECK_ERRNO(dup2(fd, -1), EBADF);
	CHECK_ERRNO(fcntl(fd, 9999), EINVAL);
	CHECK_EQ(syscall(SYS_close_range, 40, 45, 0), 0);
	CHECK_ERRNO(fcntl(40, F_GETFD), EBADF);
	CHECK_EQ(dup2(fd, 50), 50);
	CHECK_EQ(syscall(SYS_close_range, 50, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */), 0);
	CHECK_EQ(fcntl(50, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
	close(50);
	close(fd);
	close(twin);
}

TEST(the_lowest_free_descriptor_is_taken) {
	int a = dup(0), b = dup(0), c = dup(0);
	CHECK(b == a + 1 && c == b + 1);
	close(a);
	close(b);
	CHECK_EQ(open("file2", O_RDONLY), a);
	CHECK_EQ(dup(0), b);
	close(a);
	close(b);
	close(c);
}

TEST(whole_file_locks_exclude_between_open_files) {
	int one = open("file2", O_RDWR), two = open("file2", O_RDWR);
	CHECK_EQ(flock(one, LOCK_SH), 0);
	CHECK_EQ(flock(two, LOCK_SH | LOCK_NB), 0);
	CHECK_ERRNO(flock(one, LOCK_EX | LOCK_NB), EAGAIN);
	CHECK_EQ(flock(two, LOCK_UN), 0);
	CHECK_EQ(flock(one, LOCK_EX | LOCK_NB), 0);
	CHECK_ERRNO(flock(two, LOCK_SH | LOCK_NB), EAGAIN);
	int twin = dup(one);
	close(one);
	CHECK_ERRNO(flock(two, LOCK_SH | LOCK_NB), EAGAIN);
	close(twin);
	CHECK_EQ(flock(two, LOCK_SH | LOCK_NB), 0);
	CHECK_ERRNO(flock(two, 77), EINVAL);
	close(two);
}

TEST(record_locks_exclude_between_processes) {
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
	int fd = open("file2", O_RDWR);
	CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
	CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
	pid_t child = fork();
	if (!child) {
		struct flock mine = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
		CHILD_CHECK(fcntl(fd, F_SETLK, &mine) == -1 && (errno == EAGAIN || errno == EACCES));
		CHILD_CHECK(fcntl(fd, F_GETLK, &mine) == 0 && mine.l_type == F_WRLCK && mine.l_start == 10 && mine.l_len == 10 &&
		            mine.l_pid == getppid());
		mine = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
		CHILD_CHECK(fcntl(fd, F_SETLK, &mine) == 0);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
	/* Closing any descriptor of the file gives up all the process's locks. */
	close(open("file2", O_RDONLY));
	child = fork();
	if (!child) {
		struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		_exit(fcntl(fd, F_SETLK, &mine) == 0 ? 0 : 1);
	}
	CHECK_EQ(status_of(child), 0);
	close(fd);
}

TEST(closing_a_path_descriptor_leaves_the_record_locks) {
	int fd = open("file2", O_RDWR);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	for (int with_path = 1; with_path >= 0; with_path--) {
		CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
		CHECK_EQ(close(open("file2", with_path ? O_PATH : O_RDONLY)), 0);
		pid_t child = fork();
		if (!child) {
			struct flock seen = lock;
			_exit(fcntl(fd, F_GETLK, &seen) == 0 ? seen.l_type != F_UNLCK : 2);
		}
		CHECK_EQ(status_of(child), with_path);
	}
	close(fd);
}

TEST(open_file_locks_belong_to_the_open_file) {
	int one = open("file2", O_RDWR), two = open("file2", O_RDWR);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 5};
	CHECK_EQ(fcntl(one, 37 /* F_OFD_SETLK */, &lock), 0);
	CHECK_ERRNO(fcntl(two, 37, &lock), EAGAIN);
	struct flock seen = lock;
	CHECK_EQ(fcntl(two, 36 /* F_OFD_GETLK */, &seen), 0);
	CHECK(seen.l_type == F_WRLCK && seen.l_pid == -1);
	close(one);
	CHECK_EQ(fcntl(two, 37, &lock), 0);
	close(two);
}

TEST(a_deadlock_of_record_locks_is_seen) {
	int fd = open("file2", O_RDWR), p[2];
	char byte;
	struct flock first = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
	struct flock second = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(fcntl(fd, F_SETLK, &first), 0);
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(fcntl(fd, F_SETLK, &second) == 0 && write(p[1], "x", 1) == 1);
		CHILD_CHECK(fcntl(fd, F_SETLKW, &first) == 0);
		_exit(0);
	}
	CHECK_EQ(read(p[0], &byte, 1), 1);
	sleep_ms(20);
	CHECK_ERRNO(fcntl(fd, F_SETLKW, &second), EDEADLK);
	first.l_type = F_UNLCK;
	CHECK_EQ(fcntl(fd, F_SETLK, &first), 0);
	CHECK_EQ(status_of(child), 0);
	close(fd);
	close(p[0]);
	close(p[1]);
}

TEST(bytes_are_copied_between_files) {
	for (int i = 0; i < 60000; i++) bytes[i] = (char)(i % 249);
	int in = open("in", O_RDWR | O_CREAT | O_TRUNC, 0600), out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK_EQ(write(in, bytes, 60000), 60000);
	off_t at = 100;
	CHECK_EQ(sendfile(out, in, &at, 50000), 50000);
	CHECK_EQ(at, 50100);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 60000);
	static char copied[50000];
	CHECK_EQ(pread(out, copied, 50000, 0), 50000);
	CHECK(!memcmp(copied, bytes + 100, 50000));
	at = 0;
	off_t to = 1000;
	CHECK_EQ(syscall(SYS_copy_file_range, in, &at, out, &to, 500, 0), 500);
	CHECK(at == 500 && to == 1500);
	CHECK_EQ(pread(out, copied, 500, 1000), 500);
	CHECK(!memcmp(copied, bytes, 500));
	at = 60000;
	CHECK_EQ(sendfile(out, in, &at, 10), 0);
	close(in);
	close(out);
}

TEST(allocation_keeps_or_grows_the_size) {
	int fd = open("space", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct stat status;
	CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10000), 0);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_size, 0);
	CHECK_EQ(posix_fallocate(fd, 0, 10000), 0);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_size, 10000);
	CHECK_EQ(pwrite(fd, "xxxxxxxxxx", 10, 5000), 10);
	CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 4096, 4096), 0);
	CHECK_EQ(pread(fd, bytes, 10, 5000), 10);
	CHECK(!memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0", 10));
	CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, -1, 5), EINVAL);
	close(fd);
}

TEST(positioned_vectors_leave_the_offset) {
	int fd = open("vector", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char a[3], b[3];
	struct iovec out[2] = {{"abc", 3}, {"def", 3}}, in[2] = {{a, 3}, {b, 3}};
	CHECK_EQ(pwritev(fd, out, 2, 10), 6);
	CHECK_EQ(preadv(fd, in, 2, 10), 6);
	CHECK(!memcmp(a, "abc", 3) && !memcmp(b, "def", 3));
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_ERRNO(syscall(SYS_preadv2, fd, in, 2, 0, 0, 1 << 20), EOPNOTSUPP);
	CHECK_EQ(syscall(SYS_pwritev2, fd, out, 1, -1l, -1l, 0), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
	CHECK_ERRNO(pread(fd, a, 1, -1), EINVAL);
	close(fd);
}

TEST(memory_devices_behave) {
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR), random = open("/dev/urandom", O_RDONLY);
	CHECK(null >= 0 && zero >= 0 && full >= 0 && random >= 0);
	CHECK_EQ(write(null, bytes, 1000), 1000);
	CHECK_EQ(read(null, bytes, 10), 0);
	memset(bytes, 1, 5000);
	CHECK_EQ(read(zero, bytes, 5000), 5000);
	for (int i = 0; i < 5000; i++) CHECK_EQ(bytes[i], 0);
	CHECK_EQ(write(zero, bytes, 10), 10);
	CHECK_ERRNO(write(full, bytes, 1), ENOSPC);
	CHECK_EQ(read(full, bytes, 10), 10);
	CHECK_EQ(read(random, bytes, 100), 100);
	struct stat status;
	CHECK_EQ(fstat(null, &status), 0);
	CHECK(S_ISCHR(status.st_mode) && status.st_rdev == 0x103);
	CHECK_ERRNO(ioctl(null, TIOCGWINSZ, bytes), ENOTTY);
	CHECK_EQ(lseek(null, 100, SEEK_SET), 0);
	close(null);
	close(zero);
	close(full);
	close(random);
}

TEST(syncing_succeeds) {
	int fd = open("file2", O_RDWR), p[2];
	CHECK_EQ(fsync(fd), 0);
	CHECK_EQ(fdatasync(fd), 0);
	CHECK_EQ(pipe(p), 0);
	CHECK_ERRNO(fsync(p[0]), EINVAL);
	close(fd);
	close(p[0]);
	close(p[1]);
}
