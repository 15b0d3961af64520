/* Pipes and FIFOs: capacity, atomicity, ends, packets, flags. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char block[1 << 20];
static int p[2];

static int fill(int fd) {
	int flags = fcntl(fd, F_GETFL), total = 0;
	long more;
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while ((more = write(fd, block, 4096)) > 0) total += more;
	fcntl(fd, F_SETFL, flags);
	return total;
}

static void reopen(int flags) {
	if (p[1]) close(p[0]), close(p[1]);
	CHECK_EQ(pipe2(p, flags), 0);
}

TEST(bytes_come_out_in_order) {
	char got[16] = {0};
	TRY(reopen(0));
	CHECK_EQ(write(p[1], "hello", 5), 5);
	CHECK_EQ(write(p[1], " pipe", 5), 5);
	CHECK_EQ(read(p[0], got, 3), 3);
	CHECK_EQ(read(p[0], got + 3, 13), 7);
	CHECK(!strcmp(got, "hello pipe"));
}

TEST(flags_are_taken) {
	TRY(reopen(O_CLOEXEC | O_NONBLOCK));
	CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	CHECK_EQ(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	CHECK_ERRNO(pipe2(p, 1), EINVAL);
	CHECK_ERRNO(read(p[1], block, 1), EBADF);
	CHECK_ERRNO(write(p[0], block, 1), EBADF);
	CHECK_ERRNO(lseek(p[0], 0, SEEK_SET), ESPIPE);
	CHECK_ERRNO(pread(p[0], block, 1, 0), ESPIPE);
	struct stat status;
	CHECK_EQ(fstat(p[0], &status), 0);
	CHECK(S_ISFIFO(status.st_mode));
}

TEST(a_pipe_holds_64_kib_and_can_be_resized) {
	TRY(reopen(0));
	int left = 0;
	CHECK_EQ(fcntl(p[1], F_GETPIPE_SZ), 65536);
	CHECK_EQ(fill(p[1]), 65536);
	CHECK_EQ(ioctl(p[0], FIONREAD, &left), 0);
	CHECK_EQ(left, 65536);
	CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 100000), 131072);
	CHECK_EQ(fill(p[1]), 65536);
	CHECK_ERRNO(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
	CHECK_EQ(read(p[0], block, sizeof block), 131072);
	CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 1), 4096);
	CHECK_EQ(fill(p[1]), 4096);
	CHECK_ERRNO(fcntl(p[1], F_SETPIPE_SZ, -1), EINVAL);
}

TEST(without_blocking_there_is_eagain) {
	TRY(reopen(O_NONBLOCK));
	CHECK_ERRNO(read(p[0], block, 1), EAGAIN);
	fill(p[1]);
	CHECK_ERRNO(write(p[1], block, 1), EAGAIN);
	CHECK_EQ(read(p[0], block, 4096), 4096);
	/* A write of no more than a page goes whole or not; a longer one goes in part. */
	CHECK_EQ(read(p[0], block, 100), 100);
	CHECK_EQ(write(p[1], block, 4096), 4096);
	CHECK_ERRNO(write(p[1], block, 4096), EAGAIN);
	CHECK_EQ(read(p[0], block, 8192), 8192);
	long part = write(p[1], block, 65536);
	CHECK(part >= 4096 && part < 65536);
}

TEST(an_end_that_closes_is_seen_by_the_other) {
	TRY(reopen(0));
	CHECK_EQ(write(p[1], "x", 1), 1);
	close(p[1]);
	CHECK_EQ(read(p[0], block, 10), 1);
	CHECK_EQ(read(p[0], block, 10), 0);
	CHECK_EQ(read(p[0], block, 10), 0);
	close(p[0]);
	p[1] = 0;
	TRY(reopen(0));
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
	CHECK_EQ(write(p[1], "x", 0), 0);
	signal(SIGPIPE, SIG_DFL);
	close(p[1]);
	p[1] = 0;
}

static void *close_writer(void *unused) {
	sleep_ms(20);
	close(p[1]);
	return unused;
}

TEST(a_blocked_reader_sees_the_writer_close) {
	pthread_t thread;
	TRY(reopen(0));
	CHECK_EQ(pthread_create(&thread, NULL, close_writer, NULL), 0);
	CHECK_EQ(read(p[0], block, 10), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	close(p[0]);
	p[1] = 0;
}

TEST(packets_stay_apart) {
	TRY(reopen(O_DIRECT));
	CHECK_EQ(write(p[1], "one", 3), 3);
	CHECK_EQ(write(p[1], "second", 6), 6);
	CHECK_EQ(read(p[0], block, 100), 3);
	CHECK_EQ(read(p[0], block, 2), 2);
	CHECK_EQ(write(p[1], "third", 5), 5);
	CHECK_EQ(read(p[0], block, 100), 5);
	CHECK(!memcmp(block, "third", 5));
}

static void *write_records(void *who) {
	char record[500];
	memset(record, (int)(long)who, sizeof record);
	for (int i = 0; i < 400; i++) EXPECT(write(p[1], record, sizeof record) == sizeof record);
	return NULL;
}

TEST(writes_of_a_page_or_less_do_not_mix) {
	pthread_t threads[4];
	char record[500];
	int counts[4] = {0};
	TRY(reopen(0));
	for (long i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, write_records, (void *)i), 0);
	for (int i = 0; i < 1600; i++) {
		for (size_t got = 0; got < sizeof record;) {
			long more = read(p[0], record + got, sizeof record - got);
			CHECK(more > 0);
			got += more;
		}
		for (size_t j = 1; j < sizeof record; j++) CHECK_EQ(record[j], record[0]);
		counts[(int)record[0]]++;
	}
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(counts[i], 400);
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	}
}

static void *write_large(void *unused) {
	static char large[3 << 20];
	for (size_t i = 0; i < sizeof large; i++) large[i] = (char)(i % 251);
	EXPECT(write(p[1], large, sizeof large) == sizeof large);
	return unused;
}

TEST(a_write_larger_than_the_pipe_waits_for_the_reader) {
	pthread_t thread;
	TRY(reopen(0));
	CHECK_EQ(pthread_create(&thread, NULL, write_large, NULL), 0);
	for (long at = 0; at < 3 << 20;) {
		long got = read(p[0], block, 10000);
		CHECK(got > 0);
		for (long i = 0; i < got; i++) CHECK_EQ(block[i], (char)((at + i) % 251));
		at += got;
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(poll_tells_the_state_of_both_ends) {
	TRY(reopen(0));
	struct pollfd ends[2] = {{.fd = p[0], .events = POLLIN}, {.fd = p[1], .events = POLLOUT}};
	CHECK_EQ(poll(ends, 2, 0), 1);
	CHECK(ends[0].revents == 0 && ends[1].revents == POLLOUT);
	fill(p[1]);
	CHECK_EQ(poll(ends, 2, 0), 1);
	CHECK(ends[0].revents == POLLIN && ends[1].revents == 0);
	close(p[0]);
	CHECK_EQ(poll(&ends[1], 1, 0), 1);
	CHECK_EQ(ends[1].revents, POLLERR);
	close(p[1]);
	CHECK_EQ(pipe(p), 0);
	ends[0].fd = p[0];
	close(p[1]);
	CHECK_EQ(poll(ends, 1, 0), 1);
	CHECK_EQ(ends[0].revents, POLLHUP);
	close(p[0]);
	p[1] = 0;
}

TEST(parent_and_child_play_ping_pong) {
	int back[2], status;
	char byte = 0;
	TRY(reopen(0));
	CHECK_EQ(pipe(back), 0);
	pid_t child = fork();
	if (!child) {
		for (int i = 0; i < 5000; i++) CHILD_CHECK(read(p[0], &byte, 1) == 1 && byte == (char)i && write(back[1], &byte, 1) == 1);
		_exit(0);
	}
	for (int i = 0; i < 5000; i++) {
		char sent = (char)i;
		CHECK_EQ(write(p[1], &sent, 1), 1);
		CHECK_EQ(read(back[0], &byte, 1), 1);
		CHECK_EQ(byte, sent);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	close(back[0]);
	close(back[1]);
}

TEST(vectors_are_gathered_and_scattered) {
	char a[3], b[5];
	struct iovec out[3] = {{"abc", 3}, {"", 0}, {"defgh", 5}}, in[2] = {{a, 3}, {b, 5}};
	TRY(reopen(0));
	CHECK_EQ(writev(p[1], out, 3), 8);
	CHECK_EQ(readv(p[0], in, 2), 8);
	CHECK(!memcmp(a, "abc", 3) && !memcmp(b, "defgh", 5));
	CHECK_EQ(writev(p[1], out, 0), 0);
	CHECK_ERRNO(writev(p[1], out, 1025), EINVAL);
	CHECK_ERRNO(writev(p[1], out, -1), EINVAL);
	out[0].iov_len = (size_t)-1;
	CHECK_ERRNO(writev(p[1], out, 1), EINVAL);
}

TEST(splice_and_tee_move_and_copy) {
	int q[2];
	TRY(reopen(0));
	CHECK_EQ(pipe(q), 0);
	CHECK_EQ(write(p[1], "spliced", 7), 7);
	CHECK_EQ(tee(p[0], q[1], 100, 0), 7);
	CHECK_EQ(read(q[0], block, 100), 7);
	CHECK_EQ(splice(p[0], NULL, q[1], NULL, 3, 0), 3);
	CHECK_EQ(splice(p[0], NULL, q[1], NULL, 100, 0), 4);
	CHECK_EQ(splice(p[0], NULL, q[1], NULL, 100, SPLICE_F_NONBLOCK) == -1 && errno == EAGAIN, 1);
	CHECK_EQ(read(q[0], block, 100), 7);
	CHECK(!memcmp(block, "spliced", 7));
	CHECK_EQ(room_file("file", "from a file", 0644), 0);
	int fd = open("file", O_RDONLY);
	off_t at = 5;
	CHECK_EQ(splice(fd, &at, q[1], NULL, 100, 0), 6);
	CHECK_EQ(at, 11);
	CHECK_EQ(read(q[0], block, 100), 6);
	CHECK_ERRNO(splice(fd, NULL, fd, NULL, 1, 0), EBADF);
	close(fd);
	fd = open("file", O_RDWR);
	CHECK_ERRNO(splice(fd, NULL, fd, NULL, 1, 0), EINVAL);
	close(fd);
	close(q[0]);
	close(q[1]);
}

static void *open_writer(void *unused) {
	(void)unused;
	sleep_ms(10);
	int fd = open("fifo", O_WRONLY);
	EXPECT(fd >= 0 && write(fd, "fifo", 4) == 4);
	close(fd);
	return NULL;
}

TEST(a_fifo_waits_for_its_other_end) {
	pthread_t thread;
	CHECK_EQ(mkfifo("fifo", 0600), 0);
	CHECK_EQ(pthread_create(&thread, NULL, open_writer, NULL), 0);
	int fd = open("fifo", O_RDONLY);
	CHECK(fd >= 0);
	CHECK_EQ(read(fd, block, 10), 4);
	CHECK_EQ(read(fd, block, 10), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	close(fd);
	CHECK_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	fd = open("fifo", O_RDONLY | O_NONBLOCK);
	CHECK(fd >= 0);
	CHECK_EQ(read(fd, block, 1), 0);
	int writer = open("fifo", O_WRONLY | O_NONBLOCK);
	CHECK(writer >= 0);
	CHECK_ERRNO(read(fd, block, 1), EAGAIN);
	close(fd);
	close(writer);
	fd = open("fifo", O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(read(fd, block, 1), 1);
	close(fd);
}
