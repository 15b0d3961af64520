/* Sockets of the unix family: streams, datagrams, packets, names, descriptors and credentials sent along. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static char bytes[300000];

static socklen_t name_address(struct sockaddr_un *address, const char *name) {
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if (name[0] == '@') memcpy(address->sun_path + 1, name + 1, strlen(name) - 1);
	else strcpy(address->sun_path, name);
	return offsetof(struct sockaddr_un, sun_path) + strlen(name) + (name[0] != '@');
}

static int bind_to(int fd, const char *name) {
	struct sockaddr_un address;
	socklen_t length = name_address(&address, name);
	return bind(fd, (struct sockaddr *)&address, length);
}

static int connect_to(int fd, const char *name) {
	struct sockaddr_un address;
	socklen_t length = name_address(&address, name);
	return connect(fd, (struct sockaddr *)&address, length);
}

TEST(a_pair_talks_both_ways) {
	int s[2];
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	CHECK_EQ(fcntl(s[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(s[0], "ping", 4), 4);
	CHECK_EQ(read(s[1], bytes, 100), 4);
	CHECK_EQ(write(s[1], "pong", 4), 4);
	CHECK_EQ(recv(s[0], bytes, 2, MSG_PEEK), 2);
	CHECK_EQ(read(s[0], bytes, 100), 4);
	CHECK(!memcmp(bytes, "pong", 4));
	CHECK_ERRNO(recv(s[0], bytes, 1, MSG_DONTWAIT), EAGAIN);
	close(s[1]);
	CHECK_EQ(read(s[0], bytes, 100), 0);
	CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(s[0]);
}

TEST(kinds_and_families_are_checked) {
	int s[2];
	CHECK_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socket(999, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_listen, 0, 1), ENOTSOCK);
	CHECK_ERRNO(syscall(SYS_listen, 999, 1), EBADF);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
	int type = 0;
	socklen_t length = sizeof type;
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &type, &length), 0);
	CHECK_EQ(type, SOCK_SEQPACKET);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &type, &length), 0);
	CHECK_EQ(type, AF_UNIX);
	CHECK_ERRNO(getsockopt(s[0], SOL_SOCKET, 9999, &type, &length), ENOPROTOOPT);
	struct stat status;
	CHECK_EQ(fstat(s[0], &status), 0);
	CHECK(S_ISSOCK(status.st_mode));
	CHECK_ERRNO(lseek(s[0], 0, SEEK_SET), ESPIPE);
	close(s[0]);
	close(s[1]);
}

static void *serve(void *listener) {
	for (int i = 0; i < 20; i++) {
		char byte;
		int fd = accept4((int)(long)listener, NULL, NULL, SOCK_CLOEXEC);
		EXPECT(fd >= 0 && read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1);
		close(fd);
	}
	return NULL;
}

static void talk_to_server(const char *name) {
	pthread_t thread;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(bind_to(listener, name), 0);
	CHECK_EQ(listen(listener, 5), 0);
	CHECK_EQ(pthread_create(&thread, NULL, serve, (void *)(long)listener), 0);
	for (int i = 0; i < 20; i++) {
		char byte = (char)i;
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK_EQ(connect_to(fd, name), 0);
		CHECK_EQ(write(fd, &byte, 1), 1);
		CHECK_EQ(read(fd, &byte, 1), 1);
		CHECK_EQ(byte, (char)i);
		CHECK_EQ(read(fd, &byte, 1), 0);
		close(fd);
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	close(listener);
}

TEST(a_server_is_found_by_path) {
	TRY(talk_to_server("server"));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(connect_to(fd, "server"), ECONNREFUSED);
	CHECK_ERRNO(connect_to(fd, "missing"), ENOENT);
	CHECK_ERRNO(bind_to(fd, "server"), EADDRINUSE);
	CHECK_EQ(unlink("server"), 0);
	close(fd);
}

TEST(a_server_is_found_by_abstract_name) {
	TRY(talk_to_server("@rustos-test-server"));
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(connect_to(fd, "@rustos-test-server"), ECONNREFUSED);
	close(fd);
}

TEST(names_are_told) {
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	CHECK(length == 2 && address.sun_family == AF_UNIX);
	CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&address, &length), ENOTCONN);
	CHECK_EQ(bind_to(listener, "named"), 0);
	CHECK_EQ(listen(listener, 1), 0);
	CHECK_EQ(connect_to(fd, "named"), 0);
	length = sizeof address;
	CHECK_EQ(getpeername(fd, (struct sockaddr *)&address, &length), 0);
	CHECK(length == 2 + 6 && !strcmp(address.sun_path, "named"));
	CHECK_ERRNO(connect_to(fd, "named"), EISCONN);
	CHECK_ERRNO(bind_to(listener, "again"), EINVAL);
	/* Binding without a name gives one: five hexadecimal digits, abstract. */
	int anonymous = socket(AF_UNIX, SOCK_DGRAM, 0);
	sa_family_t family = AF_UNIX;
	CHECK_EQ(bind(anonymous, (struct sockaddr *)&family, sizeof family), 0);
	length = sizeof address;
	CHECK_EQ(getsockname(anonymous, (struct sockaddr *)&address, &length), 0);
	CHECK(length == 8 && address.sun_path[0] == 0);
	close(anonymous);
	close(listener);
	close(fd);
}

TEST(datagrams_stay_apart_and_tell_their_sender) {
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	int one = socket(AF_UNIX, SOCK_DGRAM, 0), two = socket(AF_UNIX, SOCK_DGRAM, 0);
	CHECK_EQ(bind_to(one, "@rustos-one"), 0);
	CHECK_EQ(bind_to(two, "@rustos-two"), 0);
	length = name_address(&address, "@rustos-one");
	CHECK_EQ(sendto(two, "first", 5, 0, (struct sockaddr *)&address, length), 5);
	CHECK_EQ(sendto(two, "second", 6, 0, (struct sockaddr *)&address, length), 6);
	CHECK_EQ(sendto(two, "", 0, 0, (struct sockaddr *)&address, length), 0);
	length = sizeof address;
	CHECK_EQ(recvfrom(one, bytes, 3, 0, (struct sockaddr *)&address, &length), 3);
	CHECK(length == 2 + 11 && !memcmp(address.sun_path + 1, "rustos-two", 10));
	CHECK_EQ(recv(one, bytes, 3, MSG_TRUNC), 6);
	CHECK_EQ(recv(one, bytes, 3, 0), 0);
	CHECK_ERRNO(send(one, "x", 1, 0), ENOTCONN);
	CHECK_EQ(connect_to(one, "@rustos-two"), 0);
	CHECK_EQ(send(one, "x", 1, 0), 1);
	close(two);
	CHECK_ERRNO(send(one, "x", 1, 0), ECONNREFUSED);
	close(one);
}

TEST(packets_keep_their_bounds) {
	int s[2];
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
	CHECK_EQ(send(s[0], "abc", 3, 0), 3);
	CHECK_EQ(send(s[0], "defg", 4, 0), 4);
	struct iovec vector = {bytes, 2};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	CHECK_EQ(recvmsg(s[1], &message, 0), 2);
	CHECK(message.msg_flags & MSG_TRUNC);
	CHECK_EQ(recv(s[1], bytes, 100, 0), 4);
	close(s[0]);
	CHECK_EQ(recv(s[1], bytes, 100, 0), 0);
	close(s[1]);
}

static void send_descriptor(int socket, int fd) {
	char room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec vector = {"f", 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &fd, sizeof fd);
	CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

static int receive_descriptor(int socket, int flags) {
	char room[CMSG_SPACE(sizeof(int))] = {0}, byte;
	int fd = -1;
	struct iovec vector = {&byte, 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
	if (recvmsg(socket, &message, flags) != 1) return -1;
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	if (control && control->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(control), sizeof fd);
	return fd;
}

TEST(descriptors_travel_between_processes) {
	int s[2], p[2], status;
	char byte;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(pipe(p), 0);
	pid_t child = fork();
	if (!child) {
		close(p[0]);
		close(p[1]);
		int fd = receive_descriptor(s[1], MSG_CMSG_CLOEXEC);
		CHILD_CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && write(fd, "!", 1) == 1);
		_exit(0);
	}
	TRY(send_descriptor(s[0], p[1]));
	CHECK_EQ(read(p[0], &byte, 1), 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	/* One that is never received is closed with the socket. */
	TRY(send_descriptor(s[0], p[1]));
	close(p[1]);
	close(s[0]);
	close(s[1]);
	CHECK_EQ(read(p[0], &byte, 1), 0);
	close(p[0]);
}

TEST(a_socket_sent_into_itself_is_collected) {
	for (int i = 0; i < 50; i++) {
		int s[2];
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
		TRY(send_descriptor(s[0], s[1]));
		TRY(send_descriptor(s[1], s[0]));
		close(s[0]);
		close(s[1]);
	}
}

TEST(credentials_are_told) {
	int s[2], on = 1;
	struct { int pid; unsigned uid, gid; } who;
	socklen_t length = sizeof who;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &who, &length), 0);
	CHECK(who.pid == getpid() && who.uid == getuid() && who.gid == getgid());
	CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
	CHECK_EQ(send(s[0], "x", 1, 0), 1);
	char room[CMSG_SPACE(sizeof who)];
	struct iovec vector = {bytes, 1};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
	CHECK_EQ(recvmsg(s[1], &message, 0), 1);
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	CHECK(control && control->cmsg_type == 2 /* SCM_CREDENTIALS */ && control->cmsg_len == CMSG_LEN(sizeof who));
	memcpy(&who, CMSG_DATA(control), sizeof who);
	CHECK(who.pid == getpid() && who.uid == getuid());
	close(s[0]);
	close(s[1]);
}

TEST(shutdown_ends_one_direction) {
	int s[2];
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
	CHECK_EQ(read(s[1], bytes, 1), 0);
	CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(write(s[1], "x", 1), 1);
	CHECK_EQ(read(s[0], bytes, 1), 1);
	struct pollfd state = {.fd = s[1], .events = POLLIN | POLLRDHUP};
	CHECK_EQ(poll(&state, 1, 0), 1);
	CHECK_EQ(state.revents, POLLIN | POLLRDHUP);
	CHECK_EQ(shutdown(s[0], SHUT_RD), 0);
	CHECK_EQ(poll(&state, 1, 0), 1);
	CHECK(state.revents & POLLHUP);
	CHECK_ERRNO(shutdown(s[0], 3), EINVAL);
	close(s[0]);
	close(s[1]);
}

static void *send_all(void *socket) {
	static char out[300000];
	for (size_t i = 0; i < sizeof out; i++) out[i] = (char)(i % 253);
	for (size_t sent = 0; sent < sizeof out;) {
		long more = send((int)(long)socket, out + sent, sizeof out - sent, 0);
		EXPECT(more > 0);
		if (more <= 0) break;
		sent += more;
	}
	return NULL;
}

TEST(a_stream_holds_the_sender_back) {
	int s[2];
	pthread_t thread;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(pthread_create(&thread, NULL, send_all, (void *)(long)s[0]), 0);
	sleep_ms(10);
	CHECK_EQ(recv(s[1], bytes, sizeof bytes, MSG_WAITALL), (long)sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++) CHECK_EQ(bytes[i], (char)(i % 253));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	close(s[0]);
	close(s[1]);
}

TEST(time_limits_end_a_wait) {
	int s[2];
	struct timeval limit = {0, 20000}, got;
	socklen_t length = sizeof got;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &got, &length), 0);
	CHECK(got.tv_sec == 0 && got.tv_usec == 20000);
	CHECK_ERRNO(recv(s[0], bytes, 1, 0), EAGAIN);
	close(s[0]);
	close(s[1]);
}

TEST(a_full_backlog_holds_connections_back) {
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fds[4];
	CHECK_EQ(bind_to(listener, "@rustos-backlog"), 0);
	CHECK_EQ(listen(listener, 1), 0);
	for (int i = 0; i < 4; i++) fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_EQ(connect_to(fds[0], "@rustos-backlog"), 0);
	CHECK_EQ(connect_to(fds[1], "@rustos-backlog"), 0);
	CHECK_ERRNO(connect_to(fds[2], "@rustos-backlog"), EAGAIN);
	struct pollfd state = {.fd = listener, .events = POLLIN};
	CHECK_EQ(poll(&state, 1, 0), 1);
	int one = accept(listener, NULL, NULL);
	CHECK(one >= 0);
	CHECK_EQ(connect_to(fds[2], "@rustos-backlog"), 0);
	close(one);
	for (int i = 0; i < 4; i++) close(fds[i]);
	close(listener);
}
