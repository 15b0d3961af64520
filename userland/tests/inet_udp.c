// cpus: 1 2 4
/* UDP over loopback, and the loopback interface. */
#include "test.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

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

static int datagram(int flags) { return socket(AF_INET, SOCK_DGRAM | flags, 0); }

static int bound(const char *ip) {
	int fd = datagram(0);
	struct sockaddr_in address = v4(ip, 0);
	return bind(fd, (struct sockaddr *)&address, sizeof address) ? -1 : fd;
}

static long send_to(int fd, const char *text, const char *ip, int port) {
	struct sockaddr_in address = v4(ip, port);
	return sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address, sizeof address);
}

static int connect_to(int fd, const char *ip, int port) {
	struct sockaddr_in address = v4(ip, port);
	return connect(fd, (struct sockaddr *)&address, sizeof address);
}

TEST(messages_keep_their_bounds_and_their_senders) {
	char got[8];
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	int receiver = bound("127.0.0.1"), sender = datagram(0);
	CHECK_EQ(send_to(sender, "one", "127.0.0.1", port_of(receiver)), 3);
	CHECK_EQ(send_to(sender, "", "127.0.0.1", port_of(receiver)), 0);
	CHECK_EQ(send_to(sender, "three", "127.0.0.1", port_of(receiver)), 5);
	CHECK_EQ(recvfrom(receiver, got, 8, MSG_PEEK, NULL, NULL), 3);
	CHECK_EQ(recvfrom(receiver, got, 8, 0, (struct sockaddr *)&from, &len), 3);
	CHECK_EQ(len, sizeof from);
	CHECK_EQ(ntohs(from.sin_port), port_of(sender));
	CHECK_EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_EQ(recv(receiver, got, 8, 0), 0);
	/* What does not fit is lost. */
	struct iovec part = {got, 2};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	CHECK_EQ(recvmsg(receiver, &message, 0), 2);
	CHECK_EQ(message.msg_flags, MSG_TRUNC);
	CHECK_ERRNO(recv(receiver, got, 8, MSG_DONTWAIT), EAGAIN);
	close(receiver), close(sender);
}

TEST(a_connected_socket_hears_its_peer_alone) {
	char got[8];
	int first = bound("127.0.0.1"), second = bound("127.0.0.1"), third = bound("127.0.0.1");
	CHECK_EQ(connect_to(first, "127.0.0.1", port_of(second)), 0);
	CHECK_EQ(send_to(third, "no", "127.0.0.1", port_of(first)), 2);
	CHECK_EQ(send_to(second, "yes", "127.0.0.1", port_of(first)), 3);
	CHECK_EQ(recv(first, got, 8, 0), 3);
	CHECK_ERRNO(recv(first, got, 8, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(send(first, "back", 4, 0), 4);
	CHECK_EQ(recv(second, got, 8, 0), 4);
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	CHECK_EQ(connect(first, &none, sizeof none), 0);
	CHECK_ERRNO(send(first, "x", 1, 0), EDESTADDRREQ);
	CHECK_EQ(send_to(third, "now", "127.0.0.1", port_of(first)), 3);
	CHECK_EQ(recv(first, got, 8, 0), 3);
	close(first), close(second), close(third);
}

TEST(a_connected_sender_learns_that_nobody_is_there) {
	char got[4];
	int fd = datagram(0), gone = bound("127.0.0.1"), port = port_of(gone);
	close(gone);
	CHECK_EQ(send_to(fd, "lost", "127.0.0.1", port), 4);
	CHECK_EQ(send_to(fd, "lost", "127.0.0.1", port), 4);
	CHECK_EQ(connect_to(fd, "127.0.0.1", port), 0);
	CHECK_EQ(send(fd, "x", 1, 0), 1);
	struct pollfd poll_fd = {fd, POLLIN, 0};
	CHECK_EQ(poll(&poll_fd, 1, 5000), 1);
	CHECK_EQ(poll_fd.revents, POLLERR);
	CHECK_ERRNO(recv(fd, got, 4, MSG_DONTWAIT), ECONNREFUSED);
	CHECK_ERRNO(recv(fd, got, 4, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(send(fd, "x", 1, 0), 1);
	CHECK_ERRNO(send(fd, "x", 1, 0), ECONNREFUSED);
	close(fd);
}

TEST(errors_of_sending) {
	static char large[70000];
	int fd = datagram(0);
	struct sockaddr_in there = v4("127.0.0.1", 9), nowhere = v4("127.0.0.1", 0);
	CHECK_ERRNO(send(fd, "x", 1, 0), EDESTADDRREQ);
	CHECK_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&nowhere, sizeof nowhere), EINVAL);
	CHECK_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&there, 8), EINVAL);
	CHECK_ERRNO(sendto(fd, large, 65508, 0, (struct sockaddr *)&there, sizeof there), EMSGSIZE);
	CHECK_ERRNO(sendto(fd, large, 70000, 0, (struct sockaddr *)&there, sizeof there), EMSGSIZE);
	CHECK_EQ(sendto(fd, large, 65507, 0, (struct sockaddr *)&there, sizeof there), 65507);
	CHECK_ERRNO(listen(fd, 1), EOPNOTSUPP);
	CHECK_ERRNO(accept(fd, NULL, NULL), EOPNOTSUPP);
	CHECK_ERRNO(shutdown(fd, SHUT_RD), ENOTCONN);
	close(fd);
}

TEST(a_wildcard_hears_every_loopback_address_unless_another_is_nearer) {
	char got[8];
	int all = bound("0.0.0.0"), sender = datagram(0), one = datagram(0);
	struct sockaddr_in near = v4("127.0.0.5", port_of(all));
	setsockopt(all, SOL_SOCKET, SO_REUSEADDR, &(int){1}, 4);
	setsockopt(one, SOL_SOCKET, SO_REUSEADDR, &(int){1}, 4);
	CHECK_EQ(bind(one, (struct sockaddr *)&near, sizeof near), 0);
	CHECK_EQ(send_to(sender, "far", "127.0.0.4", port_of(all)), 3);
	CHECK_EQ(send_to(sender, "near!", "127.0.0.5", port_of(all)), 5);
	CHECK_EQ(recv(all, got, 8, MSG_DONTWAIT), 3);
	CHECK_ERRNO(recv(all, got, 8, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(recv(one, got, 8, MSG_DONTWAIT), 5);
	close(all), close(one), close(sender);
}

TEST(a_receiver_that_does_not_read_loses_messages_not_memory) {
	static char block[60000];
	int receiver = bound("127.0.0.1"), sender = datagram(0), kept = 0;
	CHECK_EQ(connect_to(sender, "127.0.0.1", port_of(receiver)), 0);
	for (int i = 0; i < 1000; i++) CHECK_EQ(send(sender, block, sizeof block, 0), sizeof block);
	while (recv(receiver, block, sizeof block, MSG_DONTWAIT) > 0) kept++;
	CHECK(kept >= 1 && kept < 20);
	close(receiver), close(sender);
}

TEST(shutting_a_connected_socket_ends_its_reads) {
	char got[4];
	int first = bound("127.0.0.1"), second = bound("127.0.0.1");
	CHECK_EQ(connect_to(first, "127.0.0.1", port_of(second)), 0);
	CHECK_EQ(shutdown(first, SHUT_RD), 0);
	CHECK_EQ(recv(first, got, 4, 0), 0);
	CHECK_EQ(shutdown(first, SHUT_WR), 0);
	CHECK_ERRNO(send(first, "x", 1, MSG_NOSIGNAL), EPIPE);
	close(first), close(second);
}

TEST(v6_sends_to_v6_and_to_mapped_addresses) {
	char got[8];
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, from;
	socklen_t len = sizeof from;
	int six = socket(AF_INET6, SOCK_DGRAM, 0), four = bound("127.0.0.1");
	CHECK_EQ(bind(six, (struct sockaddr *)&(struct sockaddr_in6){.sin6_family = AF_INET6}, sizeof to), 0);
	to.sin6_port = htons(port_of(six));
	CHECK_EQ(sendto(six, "self", 4, 0, (struct sockaddr *)&to, sizeof to), 4);
	CHECK_EQ(recvfrom(six, got, 8, 0, (struct sockaddr *)&from, &len), 4);
	CHECK(IN6_IS_ADDR_LOOPBACK(&from.sin6_addr));
	CHECK_EQ(send_to(four, "map", "127.0.0.1", port_of(six)), 3);
	CHECK_EQ(recvfrom(six, got, 8, 0, (struct sockaddr *)&from, &len), 3);
	CHECK(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
	CHECK_EQ(sendto(six, "back", 4, 0, (struct sockaddr *)&from, sizeof from), 4);
	CHECK_EQ(recv(four, got, 8, 0), 4);
	close(six), close(four);
}

TEST(loopback_is_an_interface) {
	int fd = datagram(0);
	struct ifreq request = {0};
	char room[40 * 16];
	struct ifconf list = {.ifc_len = sizeof room, .ifc_buf = room};
	strcpy(request.ifr_name, "lo");
	CHECK_EQ(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	CHECK_EQ(request.ifr_flags & (IFF_UP | IFF_LOOPBACK), IFF_UP | IFF_LOOPBACK);
	CHECK_EQ(ioctl(fd, SIOCGIFADDR, &request), 0);
	CHECK_EQ(((struct sockaddr_in *)&request.ifr_addr)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_EQ(ioctl(fd, SIOCGIFINDEX, &request), 0);
	CHECK_EQ(request.ifr_ifindex, 1);
	CHECK_EQ(ioctl(fd, SIOCGIFMTU, &request), 0);
	CHECK_EQ(request.ifr_mtu, 65536);
	CHECK_EQ(if_nametoindex("lo"), 1);
	strcpy(request.ifr_name, "none");
	CHECK_ERRNO(ioctl(fd, SIOCGIFADDR, &request), ENODEV);
	CHECK_EQ(ioctl(fd, SIOCGIFCONF, &list), 0);
	CHECK(list.ifc_len >= 40 && !strcmp(room, "lo"));
	close(fd);
}

TEST(proc_net_shows_a_listener) {
	char line[256], wanted[64];
	int fd = socket(AF_INET, SOCK_STREAM, 0), found = 0;
	struct sockaddr_in address = v4("127.0.0.1", 0);
	CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	CHECK_EQ(listen(fd, 1), 0);
	snprintf(wanted, sizeof wanted, " 0100007F:%04X 00000000:0000 0A ", port_of(fd));
	FILE *file = fopen("/proc/net/tcp", "r");
	CHECK(file);
	while (fgets(line, sizeof line, file)) found += strstr(line, wanted) != NULL;
	fclose(file);
	CHECK_EQ(found, 1);
	close(fd);
}
