// cpus: 1 2 4
/* TCP over loopback: names, connections, their end, errors. */
#include "test.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define ANY ((struct sockaddr *)&(struct sockaddr_storage){0})

static struct sockaddr_in v4(const char *ip, int port) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	inet_pton(AF_INET, ip, &address.sin_addr);
	return address;
}

static int port_of(int fd) {
	struct sockaddr_in6 address;
	socklen_t len = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &len)) return -1;
	return ntohs(address.sin6_port);
}

static int connect4(int fd, const char *ip, int port) {
	struct sockaddr_in address = v4(ip, port);
	return connect(fd, (struct sockaddr *)&address, sizeof address);
}

static int bind4(int fd, const char *ip, int port) {
	struct sockaddr_in address = v4(ip, port);
	return bind(fd, (struct sockaddr *)&address, sizeof address);
}

static int stream(int flags) { return socket(AF_INET, SOCK_STREAM | flags, 0); }

/* A listener on a port of its own. */
static int listener(int backlog) {
	int fd = stream(0);
	return bind4(fd, "127.0.0.1", 0) || listen(fd, backlog) ? -1 : fd;
}

static int error_of(int fd) {
	int error = -1;
	socklen_t len = sizeof error;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

static int number(int fd, int level, int option) {
	int value = -1;
	socklen_t len = sizeof value;
	return getsockopt(fd, level, option, &value, &len) ? -errno : value;
}

static int events(int fd) {
	struct pollfd poll_fd = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
	return poll(&poll_fd, 1, 0) < 0 ? -1 : poll_fd.revents;
}

static int ends[2], at;

/* A connection: ends[0] connected, ends[1] accepted. */
static void pair(void) {
	at = listener(5);
	CHECK(at >= 0);
	ends[0] = stream(0);
	CHECK_EQ(connect4(ends[0], "127.0.0.1", port_of(at)), 0);
	ends[1] = accept(at, NULL, NULL);
	CHECK(ends[1] >= 0);
}

static void done(void) { close(ends[0]), close(ends[1]), close(at); }

TEST(bytes_go_both_ways_and_addresses_are_told) {
	char got[16];
	struct sockaddr_in own, peer;
	socklen_t len = sizeof own;
	TRY(pair());
	CHECK_EQ(write(ends[0], "hello", 5), 5);
	CHECK_EQ(write(ends[0], " there", 6), 6);
	CHECK_EQ(recv(ends[1], got, 16, MSG_WAITALL | MSG_PEEK | MSG_DONTWAIT), 11);
	CHECK_EQ(read(ends[1], got, 16), 11);
	CHECK(!memcmp(got, "hello there", 11));
	CHECK_EQ(send(ends[1], "back", 4, 0), 4);
	CHECK_EQ(recv(ends[0], got, 16, 0), 4);
	CHECK_EQ(getsockname(ends[0], (struct sockaddr *)&own, &len), 0);
	CHECK_EQ(len, sizeof own);
	CHECK_EQ(getpeername(ends[1], (struct sockaddr *)&peer, &len), 0);
	CHECK(own.sin_port == peer.sin_port && own.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	CHECK_EQ(port_of(ends[1]), port_of(at));
	len = 4;
	CHECK_ERRNO(recv(ends[0], got, 0, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(read(ends[0], got, 0), 0);
	CHECK_EQ(write(ends[1], "x", 1), 1);
	CHECK_EQ(recvfrom(ends[0], got, 1, MSG_DONTWAIT, (struct sockaddr *)&peer, &len), 1);
	CHECK_EQ(len, 0);
	done();
}

TEST(options_are_what_linux_starts_with) {
	int fd = stream(0);
	CHECK_EQ(number(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	CHECK_EQ(number(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
	CHECK_EQ(number(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	CHECK_EQ(number(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
	CHECK_EQ(number(fd, SOL_SOCKET, SO_REUSEADDR), 0);
	CHECK_EQ(number(fd, SOL_SOCKET, SO_SNDBUF), 16384);
	CHECK_EQ(number(fd, SOL_SOCKET, SO_RCVBUF), 131072);
	CHECK_EQ(number(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	CHECK_EQ(number(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
	CHECK_EQ(number(fd, IPPROTO_IP, IP_TTL), 64);
	CHECK_EQ(number(fd, IPPROTO_IP, 9999), -ENOPROTOOPT);
	CHECK_EQ(number(fd, IPPROTO_TCP, 9999), -ENOPROTOOPT);
	CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){7}, 4), 0);
	CHECK_EQ(number(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, 2), EINVAL);
	CHECK_ERRNO(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){0}, 4), EINVAL);
	CHECK_ERRNO(setsockopt(fd, IPPROTO_IP, IP_TTL, &(int){300}, 4), EINVAL);
	struct linger linger = {1, 5}, got;
	socklen_t len = sizeof got;
	CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_LINGER, &got, &len), 0);
	CHECK(got.l_onoff == 1 && got.l_linger == 5);
	close(fd);
}

TEST(making_sockets_checks_family_type_and_protocol) {
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, 17, 0), EINVAL);
	CHECK_ERRNO(socket(999, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, ends), EOPNOTSUPP);
}

TEST(binding_checks_the_address) {
	int fd = stream(0), other = stream(0);
	struct sockaddr_in address = v4("127.0.0.1", 0);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&address, 15), EINVAL);
	CHECK_ERRNO(bind(fd, (struct sockaddr *)&(struct sockaddr_in6){.sin6_family = AF_INET6}, 28), EAFNOSUPPORT);
	CHECK_ERRNO(bind4(fd, "8.8.8.8", 0), EADDRNOTAVAIL);
	CHECK_EQ(bind4(fd, "127.0.0.1", 0), 0);
	CHECK(port_of(fd) >= 1024);
	CHECK_ERRNO(bind4(fd, "127.0.0.1", 0), EINVAL);
	CHECK_ERRNO(bind4(other, "127.0.0.1", port_of(fd)), EADDRINUSE);
	CHECK_ERRNO(bind4(other, "0.0.0.0", port_of(fd)), EADDRINUSE);
	CHECK_EQ(bind4(other, "127.0.0.2", port_of(fd)), 0);
	close(other);
	close(fd);
}

TEST(reuseaddr_lets_a_port_be_bound_twice_but_not_listened_at) {
	int first = stream(0), second = stream(0), third = stream(0), one = 1;
	setsockopt(first, SOL_SOCKET, SO_REUSEADDR, &one, 4);
	setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &one, 4);
	setsockopt(third, SOL_SOCKET, SO_REUSEADDR, &one, 4);
	CHECK_EQ(bind4(first, "127.0.0.1", 0), 0);
	CHECK_EQ(bind4(second, "127.0.0.1", port_of(first)), 0);
	CHECK_EQ(listen(first, 1), 0);
	CHECK_ERRNO(listen(second, 1), EADDRINUSE);
	CHECK_ERRNO(bind4(third, "127.0.0.1", port_of(first)), EADDRINUSE);
	close(first);
	CHECK_EQ(listen(second, 1), 0);
	close(second), close(third);
}

TEST(without_a_listener_a_connection_is_refused) {
	int free_port = listener(1), port = port_of(free_port), fd = stream(0);
	close(free_port);
	CHECK_ERRNO(connect4(fd, "127.0.0.1", port), ECONNREFUSED);
	/* Bound but not listening is refused, too, and the socket can be used again. */
	int bound = stream(0);
	CHECK_EQ(bind4(bound, "127.0.0.1", port), 0);
	CHECK_ERRNO(connect4(fd, "127.0.0.1", port), ECONNREFUSED);
	CHECK_EQ(listen(bound, 1), 0);
	CHECK_EQ(connect4(fd, "127.0.0.1", port), 0);
	CHECK_ERRNO(connect4(fd, "127.0.0.1", port), EISCONN);
	close(fd), close(bound);
}

TEST(connecting_without_waiting_is_told_by_poll) {
	int l = listener(5), fd = stream(SOCK_NONBLOCK);
	CHECK_ERRNO(connect4(fd, "127.0.0.1", port_of(l)), EINPROGRESS);
	struct pollfd writable = {fd, POLLOUT, 0};
	CHECK_EQ(poll(&writable, 1, 5000), 1);
	CHECK_EQ(error_of(fd), 0);
	CHECK_EQ(connect4(fd, "127.0.0.1", port_of(l)), 0);
	CHECK_ERRNO(connect4(fd, "127.0.0.1", port_of(l)), EISCONN);
	close(fd);
	int port = port_of(l);
	close(l);
	fd = stream(SOCK_NONBLOCK);
	CHECK_ERRNO(connect4(fd, "127.0.0.1", port), EINPROGRESS);
	writable.fd = fd;
	CHECK_EQ(poll(&writable, 1, 5000), 1);
	CHECK_EQ(events(fd), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	CHECK_EQ(error_of(fd), ECONNREFUSED);
	CHECK_EQ(error_of(fd), 0);
	CHECK_ERRNO(connect4(fd, "127.0.0.1", port), ECONNABORTED);
	close(fd);
}

TEST(a_connections_events_follow_its_state) {
	char got[4];
	int fresh = stream(0);
	CHECK_EQ(events(fresh), POLLOUT | POLLHUP);
	CHECK_ERRNO(read(fresh, got, 1), ENOTCONN);
	CHECK_ERRNO(shutdown(fresh, SHUT_WR), ENOTCONN);
	CHECK_ERRNO(getpeername(fresh, ANY, &(socklen_t){16}), ENOTCONN);
	CHECK_ERRNO(send(fresh, "x", 1, MSG_NOSIGNAL), EPIPE);
	close(fresh);
	TRY(pair());
	CHECK_EQ(events(at), 0);
	CHECK_EQ(events(ends[0]), POLLOUT);
	CHECK_EQ(write(ends[1], "x", 1), 1);
	CHECK_EQ(events(ends[0]), POLLIN | POLLOUT);
	CHECK_EQ(shutdown(ends[1], SHUT_WR), 0);
	CHECK_EQ(events(ends[0]), POLLIN | POLLOUT | POLLRDHUP);
	CHECK_EQ(read(ends[0], got, 4), 1);
	CHECK_EQ(read(ends[0], got, 4), 0);
	CHECK_ERRNO(send(ends[1], "y", 1, MSG_NOSIGNAL), EPIPE);
	/* The other half still works. */
	CHECK_EQ(write(ends[0], "half", 4), 4);
	CHECK_EQ(read(ends[1], got, 4), 4);
	CHECK_EQ(shutdown(ends[0], SHUT_WR), 0);
	CHECK_EQ(read(ends[1], got, 4), 0);
	CHECK_EQ(events(ends[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	done();
}

TEST(closing_with_unread_bytes_resets_the_peer) {
	char got[4];
	TRY(pair());
	CHECK_EQ(write(ends[0], "unread", 6), 6);
	CHECK_EQ(close(ends[1]), 0);
	CHECK_EQ(events(ends[0]), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	CHECK_ERRNO(read(ends[0], got, 4), ECONNRESET);
	CHECK_EQ(read(ends[0], got, 4), 0);
	CHECK_ERRNO(send(ends[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(getpeername(ends[0], ANY, &(socklen_t){16}), ENOTCONN);
	close(ends[0]), close(at);
}

TEST(writing_to_a_closed_peer_is_answered_by_a_reset) {
	char got[4];
	TRY(pair());
	CHECK_EQ(close(ends[1]), 0);
	CHECK_EQ(read(ends[0], got, 4), 0);
	CHECK_EQ(send(ends[0], "x", 1, MSG_NOSIGNAL), 1);
	CHECK_ERRNO(send(ends[0], "y", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(read(ends[0], got, 4), 0);
	close(ends[0]), close(at);
}

TEST(the_answer_to_a_write_is_an_error_until_it_is_told) {
	TRY(pair());
	CHECK_EQ(close(ends[1]), 0);
	CHECK_EQ(events(ends[0]), POLLIN | POLLOUT | POLLRDHUP);
	CHECK_EQ(write(ends[0], "x", 1), 1);
	CHECK_EQ(events(ends[0]), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	CHECK_EQ(error_of(ends[0]), EPIPE);
	CHECK_EQ(events(ends[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	close(ends[0]), close(at);
}

TEST(a_long_write_to_a_closed_peer_ends_with_the_reset) {
	static char bytes[16 << 20];
	for (int flags = 0; flags <= MSG_DONTWAIT; flags += MSG_DONTWAIT) {
		TRY(pair());
		CHECK_EQ(close(ends[1]), 0);
		ssize_t sent = send(ends[0], bytes, sizeof bytes, flags | MSG_NOSIGNAL);
		CHECK(sent > 0 && sent < (ssize_t)sizeof bytes);
		CHECK_ERRNO(send(ends[0], "y", 1, MSG_NOSIGNAL), EPIPE);
		close(ends[0]), close(at);
	}
}

static volatile sig_atomic_t pipes;
static void on_pipe(int signal) { (void)signal, pipes++; }

TEST(epipe_comes_with_sigpipe) {
	TRY(pair());
	signal(SIGPIPE, on_pipe);
	CHECK_EQ(shutdown(ends[0], SHUT_WR), 0);
	CHECK_ERRNO(write(ends[0], "x", 1), EPIPE);
	CHECK_EQ(pipes, 1);
	signal(SIGPIPE, SIG_DFL);
	done();
}

TEST(lingering_for_no_time_resets) {
	char got[4];
	struct linger none = {1, 0};
	TRY(pair());
	CHECK_EQ(setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
	close(ends[1]);
	CHECK_ERRNO(read(ends[0], got, 4), ECONNRESET);
	close(ends[0]), close(at);
}

TEST(a_closed_listener_resets_those_it_has_not_accepted) {
	char got[4];
	int l = listener(5), fd = stream(0);
	CHECK_EQ(connect4(fd, "127.0.0.1", port_of(l)), 0);
	CHECK_EQ(write(fd, "early", 5), 5);
	CHECK_EQ(events(l), POLLIN);
	close(l);
	CHECK_ERRNO(read(fd, got, 4), ECONNRESET);
	close(fd);
}

TEST(what_is_sent_before_accept_is_there_after_it) {
	char got[8];
	struct sockaddr_in peer;
	socklen_t len = sizeof peer;
	int l = listener(5), fd = stream(0);
	CHECK_EQ(connect4(fd, "127.0.0.1", port_of(l)), 0);
	CHECK_EQ(write(fd, "early", 5), 5);
	int port = port_of(fd);
	close(fd);
	int accepted = accept4(l, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	CHECK(accepted >= 0);
	CHECK_EQ(ntohs(peer.sin_port), port);
	CHECK_EQ(fcntl(accepted, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(read(accepted, got, 8), 5);
	CHECK_EQ(read(accepted, got, 8), 0);
	close(accepted);
	fcntl(l, F_SETFL, O_NONBLOCK);
	CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
	CHECK_ERRNO(accept(ends[0], NULL, NULL), EBADF);
	int fresh = stream(0);
	CHECK_ERRNO(accept(fresh, NULL, NULL), EINVAL);
	close(fresh), close(l);
}

TEST(timeouts_end_a_wait) {
	char byte;
	struct timeval short_time = {0, 20000};
	TRY(pair());
	CHECK_EQ(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof short_time), 0);
	CHECK_ERRNO(read(ends[0], &byte, 1), EAGAIN);
	CHECK_EQ(setsockopt(at, SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof short_time), 0);
	CHECK_ERRNO(accept(at, NULL, NULL), EAGAIN);
	done();
}

static void *echo(void *unused) {
	static char buffer[65536];
	long more;
	(void)unused;
	int fd = accept(at, NULL, NULL);
	while ((more = read(fd, buffer, sizeof buffer)) > 0)
		for (long sent = 0; sent < more;) {
			long part = write(fd, buffer + sent, more - sent);
			EXPECT(part > 0);
			if (part <= 0) break;
			sent += part;
		}
	close(fd);
	return NULL;
}

static void *feed(void *fd) {
	static char block[100000];
	for (int i = 0; i < 20; i++) {
		memset(block, 'a' + i, sizeof block);
		EXPECT(send(*(int *)fd, block, sizeof block, 0) == sizeof block);
	}
	shutdown(*(int *)fd, SHUT_WR);
	return NULL;
}

TEST(two_megabytes_come_back_whole_and_in_order) {
	static char got[70000];
	pthread_t echoer, feeder;
	at = listener(1);
	int fd = stream(0);
	CHECK_EQ(pthread_create(&echoer, NULL, echo, NULL), 0);
	CHECK_EQ(connect4(fd, "127.0.0.1", port_of(at)), 0);
	CHECK_EQ(pthread_create(&feeder, NULL, feed, &fd), 0);
	long total = 0, more;
	while ((more = read(fd, got, sizeof got)) > 0)
		for (long i = 0; i < more; i++, total++)
			if (got[i] != 'a' + total / 100000) { CHECK_EQ(total, -1); }
	CHECK_EQ(more, 0);
	CHECK_EQ(total, 2000000);
	pthread_join(echoer, NULL), pthread_join(feeder, NULL);
	close(fd), close(at);
}

TEST(epoll_tells_a_server_of_many_clients) {
	enum { CLIENTS = 50 };
	int l = listener(CLIENTS), clients[CLIENTS], epoll = epoll_create1(0), served = 0;
	struct epoll_event event = {EPOLLIN, {.fd = l}};
	CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, l, &event), 0);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = stream(SOCK_NONBLOCK);
		CHECK_ERRNO(connect4(clients[i], "127.0.0.1", port_of(l)), EINPROGRESS);
	}
	for (int i = 0; i < CLIENTS; i++) {
		struct pollfd ready = {clients[i], POLLOUT, 0};
		CHECK_EQ(poll(&ready, 1, 5000), 1);
		CHECK_EQ(write(clients[i], "?", 1), 1);
	}
	while (served < CLIENTS) {
		CHECK_EQ(epoll_wait(epoll, &event, 1, 5000), 1);
		if (event.data.fd == l) {
			event = (struct epoll_event){EPOLLIN, {.fd = accept(l, NULL, NULL)}};
			CHECK(event.data.fd >= 0);
			CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event), 0);
			continue;
		}
		char byte;
		CHECK_EQ(read(event.data.fd, &byte, 1), 1);
		CHECK_EQ(write(event.data.fd, "!", 1), 1);
		close(event.data.fd);
		served++;
	}
	for (int i = 0; i < CLIENTS; i++) {
		char got[2];
		fcntl(clients[i], F_SETFL, 0);
		CHECK_EQ(recv(clients[i], got, 2, MSG_WAITALL), 1);
		CHECK_EQ(got[0], '!');
		close(clients[i]);
	}
	close(l), close(epoll);
}

TEST(a_full_buffer_stops_a_sender_until_it_is_read) {
	static char block[65536];
	TRY(pair());
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	long total = 0, more;
	while ((more = write(ends[0], block, sizeof block)) > 0) total += more;
	CHECK_EQ(errno, EAGAIN);
	CHECK(total > 65536);
	CHECK_EQ(events(ends[0]) & POLLOUT, 0);
	long left = total;
	while (left > 0 && (more = read(ends[1], block, sizeof block)) > 0) left -= more;
	CHECK_EQ(left, 0);
	struct pollfd writable = {ends[0], POLLOUT, 0};
	CHECK_EQ(poll(&writable, 1, 5000), 1);
	done();
}

TEST(a_connection_waits_for_room_in_the_listeners_queue) {
	int l = listener(0), first = stream(0), second = stream(SOCK_NONBLOCK);
	CHECK_EQ(connect4(first, "127.0.0.1", port_of(l)), 0);
	CHECK_ERRNO(connect4(second, "127.0.0.1", port_of(l)), EINPROGRESS);
	struct pollfd writable = {second, POLLOUT, 0};
	CHECK_EQ(poll(&writable, 1, 0), 0);
	CHECK_ERRNO(connect4(second, "127.0.0.1", port_of(l)), EALREADY);
	int accepted = accept(l, NULL, NULL);
	CHECK_EQ(poll(&writable, 1, 10000), 1);
	CHECK_EQ(error_of(second), 0);
	close(accepted), close(first), close(second), close(l);
}

TEST(v6_and_mapped_addresses_meet) {
	int l = socket(AF_INET6, SOCK_STREAM, 0), fd = stream(0), six = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6}, peer, loop = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t len = sizeof peer;
	CHECK_ERRNO(bind(l, (struct sockaddr *)&any, 16), EINVAL);
	CHECK_EQ(bind(l, (struct sockaddr *)&any, sizeof any), 0);
	CHECK_EQ(listen(l, 2), 0);
	CHECK_EQ(number(l, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	CHECK_ERRNO(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, 4), EINVAL);
	CHECK_EQ(connect4(fd, "127.0.0.1", port_of(l)), 0);
	int accepted = accept(l, (struct sockaddr *)&peer, &len);
	CHECK_EQ(len, sizeof peer);
	CHECK(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
	close(accepted);
	loop.sin6_port = htons(port_of(l));
	CHECK_EQ(connect(six, (struct sockaddr *)&loop, sizeof loop), 0);
	accepted = accept(l, (struct sockaddr *)&peer, &len);
	CHECK(IN6_IS_ADDR_LOOPBACK(&peer.sin6_addr));
	close(accepted), close(fd), close(six), close(l);
}

TEST(unix_and_internet_calls_do_not_mix_up_their_addresses) {
	int fd = stream(0);
	CHECK_ERRNO(connect(fd, (struct sockaddr *)&(struct sockaddr_storage){.ss_family = AF_UNIX}, 110), EAFNOSUPPORT);
	CHECK_ERRNO(connect(fd, (struct sockaddr *)&(struct sockaddr_storage){.ss_family = AF_INET}, 4), EINVAL);
	CHECK_ERRNO(connect(fd, NULL, 16), EFAULT);
	close(fd);
}

TEST(disconnecting_lets_a_socket_connect_again) {
	TRY(pair());
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	CHECK_EQ(connect(ends[0], &none, sizeof none), 0);
	char got[4];
	CHECK_ERRNO(read(ends[1], got, 4), ECONNRESET);
	CHECK_EQ(connect4(ends[0], "127.0.0.1", port_of(at)), 0);
	done();
}
