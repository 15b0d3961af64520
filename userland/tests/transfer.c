// cpus: 1 2
/* splice(2) and sendfile(2): what can be moved to and from which file, and what is told when it cannot. */
#include "test.h"
#include "room.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static int p[2], file;

static void begin(void) {
	CHECK_EQ(pipe(p), 0);
	file = memfd_create("transfer", 0);
	CHECK_EQ(write(file, "0123456789", 10), 10);
	CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
}

static void end(void) { close(p[0]), close(p[1]), close(file); }

TEST(a_file_that_cannot_take_a_splice_says_so_even_of_an_empty_pipe) {
	TRY(begin());
	int files[] = {eventfd(0, 0), epoll_create1(0), timerfd_create(CLOCK_MONOTONIC, 0)};
	for (int i = 0; i < 3; i++) {
		CHECK_ERRNO(splice(p[0], NULL, files[i], NULL, 8, 0), EINVAL);
		CHECK_ERRNO(splice(files[i], NULL, p[1], NULL, 8, 0), EINVAL);
		CHECK_ERRNO(sendfile(files[i], file, NULL, 8), EINVAL);
		CHECK_ERRNO(sendfile(file, files[i], NULL, 8), EINVAL);
		CHECK_ERRNO(sendfile(file, files[i], &(off_t){0}, 8), ESPIPE);
		close(files[i]);
	}
	CHECK_ERRNO(splice(p[0], NULL, file, NULL, 8, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
	end();
}

static void on_alarm(int signal) { (void)signal; }

TEST(a_splice_to_a_file_that_can_take_it_waits) {
	TRY(begin());
	struct sigaction action = {.sa_handler = on_alarm};
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	CHECK_ERRNO(splice(p[0], NULL, file, NULL, 8, 0), EINTR);
	end();
}

TEST(sendfile_reads_files_and_devices_with_positions) {
	char got[8];
	TRY(begin());
	int zero = open("/dev/zero", O_RDONLY), s[2];
	CHECK_EQ(sendfile(p[1], zero, NULL, 4), 4);
	CHECK_EQ(read(p[0], got, 8), 4);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(write(s[0], "x", 1), 1);
	CHECK_ERRNO(sendfile(file, s[1], NULL, 1), EINVAL);
	CHECK_ERRNO(sendfile(p[1], s[1], &(off_t){0}, 1), ESPIPE);
	CHECK_ERRNO(sendfile(p[1], file, &(off_t){-1}, 1), EINVAL);
	CHECK_EQ(sendfile(s[0], file, NULL, 4), 4);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 4);
	close(zero), close(s[0]), close(s[1]);
	end();
}

TEST(sendfile_to_a_tcp_socket_counts_and_moves_the_offset) {
	char got[16];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	off_t offset = 2;
	TRY(begin());
	int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(bind(l, (struct sockaddr *)&address, sizeof address), 0);
	CHECK_EQ(listen(l, 1), 0);
	CHECK_EQ(getsockname(l, (struct sockaddr *)&address, &len), 0);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERRNO(sendfile(fd, file, NULL, 4), EPIPE);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
	CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	int accepted = accept(l, NULL, NULL);
	CHECK_EQ(sendfile(fd, file, &offset, 5), 5);
	CHECK_EQ(offset, 7);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
	CHECK_EQ(sendfile(fd, file, NULL, 100), 10);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 10);
	offset = 20;
	CHECK_EQ(sendfile(fd, file, &offset, 5), 0);
	CHECK_EQ(offset, 20);
	CHECK_EQ(recv(accepted, got, 15, MSG_WAITALL), 15);
	CHECK(!memcmp(got, "234560123456789", 15));
	/* What a socket has goes through a pipe into a file. */
	CHECK_EQ(write(accepted, "spliced", 7), 7);
	CHECK_EQ(splice(fd, NULL, p[1], NULL, 100, 0), 7);
	CHECK_EQ(splice(p[0], NULL, file, &(off_t){0}, 7, 0), 7);
	CHECK_EQ(pread(file, got, 7, 0), 7);
	CHECK(!memcmp(got, "spliced", 7));
	close(accepted), close(fd), close(l);
	end();
}
