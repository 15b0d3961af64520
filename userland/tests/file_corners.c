/* Corners of file calls that conformance suites look at: orders of errors, ends of ranges, what failure leaves behind. */
#include "test.h"
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static char bytes[20000];

/* On a tmpfs on both sides. */
static int fresh(const char *name) {
	unlink(name);
	return open(name, O_CREAT | O_RDWR, 0644);
}
#define FILE_A "/dev/shm/corner-a"
#define FILE_B "/dev/shm/corner-b"

TEST(seeking_past_the_largest_offset_is_einval) {
	int file = fresh(FILE_A);
	CHECK_EQ(lseek(file, LLONG_MAX, SEEK_SET), LLONG_MAX);
	CHECK_ERRNO(lseek(file, 1, SEEK_CUR), EINVAL);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), LLONG_MAX);
	close(file);
}

TEST(transfers_past_the_largest_offset_are_einval) {
	int file = fresh(FILE_A);
	struct iovec vector = {bytes, 10};
	CHECK_ERRNO(pwrite(file, bytes, 10, LLONG_MAX), EINVAL);
	CHECK_ERRNO(pwrite(file, bytes, 10, LLONG_MAX - 5), EINVAL);
	CHECK_ERRNO(pread(file, bytes, 10, LLONG_MAX - 5), EINVAL);
	CHECK_ERRNO(preadv(file, &vector, 1, LLONG_MAX - 5), EINVAL);
	CHECK_ERRNO(pwritev(file, &vector, 1, LLONG_MAX - 5), EINVAL);
	CHECK_EQ(lseek(file, 0, SEEK_END), 0);
	close(file);
}

TEST(a_failed_fallocate_leaves_nothing_allocated) {
	int file = fresh(FILE_A);
	struct stat before, after;
	CHECK_EQ(pwrite(file, "x", 1, 100000), 1);
	CHECK_EQ(fstat(file, &before), 0);
	CHECK(fallocate(file, 0, 0, 1LL << 50) == -1);
	CHECK_EQ(fstat(file, &after), 0);
	CHECK_EQ(after.st_blocks, before.st_blocks);
	CHECK_EQ(after.st_size, 100001);
	CHECK_EQ(lseek(file, 0, SEEK_DATA), 98304);
	close(file);
}

TEST(nowait_is_not_for_files_in_memory) {
	int file = fresh(FILE_A);
	struct iovec vector = {bytes, 10};
	CHECK_ERRNO(syscall(SYS_preadv2, file, &vector, 1, 0, 0, 8), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_pwritev2, file, &vector, 1, 0, 0, 8), EOPNOTSUPP);
	close(file);
}

TEST(without_a_descriptor_left_open_makes_nothing_and_looks_at_nothing) {
	unlink(FILE_B);
	pid_t child = fork();
	if (child == 0) {
		struct rlimit limit = {8, 8};
		CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		while (dup(0) >= 0) {}
		CHILD_CHECK(open(FILE_B, O_CREAT | O_RDWR, 0600) == -1 && errno == EMFILE);
		CHILD_CHECK(open("/nowhere/at/all", O_RDONLY) == -1 && errno == EMFILE);
		CHILD_CHECK(open((char *)1, O_RDONLY) == -1 && errno == EFAULT);
		CHILD_CHECK(access(FILE_B, F_OK) == -1 && errno == ENOENT);
		_exit(0);
	}
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

TEST(sendfile_takes_from_a_socket_what_goes_to_a_pipe) {
	int ends[2], pair[2], file = fresh(FILE_A);
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	CHECK_EQ(write(pair[0], "hello", 5), 5);
	CHECK_ERRNO(sendfile(file, pair[1], NULL, 5), EINVAL);
	CHECK_EQ(sendfile(ends[1], pair[1], NULL, 5), 5);
	CHECK_EQ(read(ends[0], bytes, 10), 5);
	CHECK(!memcmp(bytes, "hello", 5));
	CHECK_ERRNO(sendfile(ends[1], file, NULL, -1), EINVAL);
	close(ends[0]);
	close(ends[1]);
	close(pair[0]);
	close(pair[1]);
	close(file);
}

TEST(a_directory_cannot_be_spliced) {
	int ends[2], directory = open("/tmp", O_RDONLY);
	CHECK_EQ(pipe(ends), 0);
	CHECK_ERRNO(splice(directory, NULL, ends[1], NULL, 5, 0), EINVAL);
	close(ends[0]);
	close(ends[1]);
	close(directory);
}

TEST(copies_that_reach_past_all_offsets_overflow) {
	int from = fresh(FILE_A), to = fresh(FILE_B);
	CHECK_EQ(write(from, bytes, 1000), 1000);
	loff_t start = 1;
	CHECK_ERRNO(copy_file_range(from, &start, to, NULL, -1, 0), EOVERFLOW);
	start = LLONG_MAX - 5;
	CHECK_EQ(copy_file_range(from, &start, to, NULL, 10, 0), 0);
	CHECK_EQ(lseek(to, 0, SEEK_END), 0);
	start = 0;
	CHECK_EQ(copy_file_range(from, &start, to, NULL, -1, 0), 1000);
	close(from);
	close(to);
}

TEST(a_write_to_a_file_sealed_against_growth_ends_with_its_last_whole_page) {
	int file = memfd_create("sealed", MFD_ALLOW_SEALING);
	CHECK_EQ(ftruncate(file, 16384), 0);
	CHECK_EQ(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), 0);
	CHECK_EQ(pwrite(file, bytes, 10000, 10000), 6384);
	CHECK_ERRNO(pwrite(file, bytes, 10, 16384), EPERM);
	close(file);
}

TEST(pipe_sizes_are_for_pipes) {
	int file = fresh(FILE_A), ends[2];
	CHECK_ERRNO(fcntl(file, F_GETPIPE_SZ), EBADF);
	CHECK_ERRNO(fcntl(file, F_SETPIPE_SZ, 4096), EBADF);
	CHECK_ERRNO(pipe2(ends, O_EXCL), ENOPKG);
	close(file);
}

TEST(a_file_keeps_how_long_its_data_will_live) {
	int file = fresh(FILE_A), again = open(FILE_A, O_RDONLY);
	uint64_t hint = 77;
	CHECK_EQ(fcntl(file, F_GET_RW_HINT, &hint), 0);
	CHECK_EQ(hint, 0);
	hint = 3;
	CHECK_EQ(fcntl(file, F_SET_RW_HINT, &hint), 0);
	hint = 0;
	CHECK_EQ(fcntl(again, F_GET_RW_HINT, &hint), 0);
	CHECK_EQ(hint, 3);
	hint = 6;
	CHECK_ERRNO(fcntl(file, F_SET_RW_HINT, &hint), EINVAL);
	CHECK_ERRNO(fcntl(file, F_GET_RW_HINT, 1), EFAULT);
	close(file);
	close(again);
}

TEST(the_first_lock_in_the_way_is_told_of) {
	int file = fresh(FILE_A);
	struct flock lock = {.l_type = F_WRLCK, .l_start = 500, .l_len = 5};
	CHECK_EQ(fcntl(file, F_SETLK, &lock), 0);
	lock.l_start = 100;
	CHECK_EQ(fcntl(file, F_SETLK, &lock), 0);
	pid_t child = fork();
	if (child == 0) {
		struct flock all = {.l_type = F_WRLCK};
		CHILD_CHECK(fcntl(file, F_GETLK, &all) == 0);
		CHILD_CHECK(all.l_type == F_WRLCK && all.l_start == 100 && all.l_len == 5);
		_exit(0);
	}
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(flock(file, 32), 0);
	close(file);
}

TEST(files_say_their_block_size_and_refuse_to_be_cloned) {
	int file = fresh(FILE_A), size = 0;
	CHECK_EQ(ioctl(file, 2 /* FIGETBSZ */, &size), 0);
	CHECK_EQ(size, 4096);
	CHECK_ERRNO(ioctl(file, 0x40049409 /* FICLONE */, file), EOPNOTSUPP);
	close(file);
}

TEST(a_time_of_creation_is_told_to_who_asks) {
	enum { BASIC = 0x7ff, BTIME = 0x800, FORCE_SYNC = 0x2000, MASK = 0, BTIME_SECONDS = 10 };
	uint64_t told[32];
	CHECK_EQ(syscall(SYS_statx, AT_FDCWD, FILE_A, 0, BASIC, told), 0);
	CHECK_EQ(told[MASK] & BTIME, 0);
	CHECK_EQ(told[BTIME_SECONDS], 0);
	CHECK_EQ(syscall(SYS_statx, AT_FDCWD, FILE_A, 0, BTIME, told), 0);
	CHECK(told[MASK] & BTIME);
	CHECK(told[BTIME_SECONDS] != 0);
	struct stat status;
	CHECK_EQ(syscall(SYS_newfstatat, AT_FDCWD, FILE_A, &status, FORCE_SYNC), 0);
}

TEST(an_attribute_needs_a_name_after_its_kind) {
	CHECK_ERRNO(setxattr(FILE_A, "trusted.", "a", 1, 0), EINVAL);
	CHECK_ERRNO(setxattr(FILE_A, "security.", "a", 1, 0), EINVAL);
	int ends[2];
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(flistxattr(ends[0], bytes, sizeof bytes), 0);
	close(ends[0]);
	close(ends[1]);
}

TEST(what_is_mounted_has_a_kind_and_readable_options) {
	mkdir("/tmp/corner-mount", 0755);
	CHECK_ERRNO(mount("none", "/tmp/corner-mount", NULL, 0, NULL), EINVAL);
	CHECK_ERRNO(mount("none", "/tmp/corner-mount", "tmpfs", 0, (void *)1), EFAULT);
	rmdir("/tmp/corner-mount");
}

TEST(a_path_in_use_comes_before_a_socket_that_has_a_name) {
	struct sockaddr_un address = {AF_UNIX, "/tmp/corner-socket"};
	unlink(address.sun_path);
	int named = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(bind(named, (struct sockaddr *)&address, sizeof address), 0);
	CHECK_ERRNO(bind(named, (struct sockaddr *)&address, sizeof address), EADDRINUSE);
	unlink(address.sun_path);
	CHECK_ERRNO(bind(named, (struct sockaddr *)&address, sizeof address), EINVAL);
	close(named);
}

TEST(options_of_foreign_levels_are_not_supported) {
	int stream = socket(AF_INET, SOCK_STREAM, 0), value;
	socklen_t len = sizeof value;
	CHECK_ERRNO(getsockopt(stream, 500, 1, &value, &len), EOPNOTSUPP);
	CHECK_ERRNO(getsockopt(stream, IPPROTO_UDP, 1, &value, &len), EOPNOTSUPP);
	CHECK_ERRNO(getsockopt(stream, IPPROTO_TCP, 99, &value, &len), ENOPROTOOPT);
	close(stream);
}

TEST(datagrams_have_nothing_out_of_band_and_long_buffers_are_cut) {
	int datagram = socket(AF_INET, SOCK_DGRAM, 0), pair[2];
	CHECK_ERRNO(recv(datagram, bytes, 10, MSG_OOB | MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	CHECK_EQ(write(pair[0], "abc", 3), 3);
	CHECK_EQ(recv(pair[1], bytes, (size_t)-1, 0), 3);
	close(datagram);
	close(pair[0]);
	close(pair[1]);
}

TEST(a_socket_tells_whom_it_signals) {
	int stream = socket(AF_INET, SOCK_STREAM, 0), owner = getpid(), told = 0;
	CHECK_EQ(ioctl(stream, 0x8902 /* SIOCSPGRP */, &owner), 0);
	CHECK_EQ(ioctl(stream, 0x8903 /* FIOGETOWN */, &told), 0);
	CHECK_EQ(told, owner);
	CHECK_EQ(ioctl(stream, 0x8904 /* SIOCGPGRP */, &told), 0);
	CHECK_EQ(told, owner);
	close(stream);
	unlink(FILE_A);
	unlink(FILE_B);
}
