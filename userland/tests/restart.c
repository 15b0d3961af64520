/* What a signal with a handler does to each blocking call: EINTR, or a restart under SA_RESTART (signal(7)). */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "room.h"

static atomic_int handled;
static pthread_t waiter;
static int pipes[2], sockets[2], full[2];

static void on_signal(int signal) {
	(void)signal;
	atomic_fetch_add(&handled, 1);
}

/* Signals the waiter once, then after a pause ends its wait in the lawful way. */
static void *interrupt(void *finish) {
	sleep_ms(20);
	pthread_kill(waiter, SIGUSR1);
	sleep_ms(20);
	((void (*)(void))finish)();
	return NULL;
}

static void finish_nothing(void) {
}

static void finish_pipe(void) {
	if (write(pipes[1], "x", 1) != 1) abort();
}

static void finish_full(void) {
	static char drain[65536];
	if (read(full[0], drain, sizeof drain) <= 0) abort();
}

static void finish_socket(void) {
	if (write(sockets[1], "x", 1) != 1) abort();
}

static atomic_uint word;

static void finish_futex(void) {
	atomic_store(&word, 1);
	futex(&word, FUTEX_WAKE | FUTEX_PRIVATE, 1, NULL, NULL, 0);
}

enum outcome { INTERRUPTED, RESTARTED };

/* Runs a call that blocks, under a handler with these flags; the call must end as said. */
#define EXPECT_OUTCOME(flags, finish, outcome, good, ...)                                  \
	do {                                                                                   \
		struct sigaction action_ = {.sa_handler = on_signal, .sa_flags = flags};           \
		pthread_t thread_;                                                                 \
		sigaction(SIGUSR1, &action_, NULL);                                                \
		atomic_store(&handled, 0);                                                         \
		waiter = pthread_self();                                                           \
		CHECK_EQ(pthread_create(&thread_, NULL, interrupt, (void *)finish), 0);            \
		errno = 0;                                                                         \
		long value_ = (long)(__VA_ARGS__);                                                 \
		int errno_ = errno;                                                                \
		CHECK_EQ(pthread_join(thread_, NULL), 0);                                          \
		CHECK_EQ(atomic_load(&handled), 1);                                                \
		if (outcome == INTERRUPTED) {                                                      \
			CHECK_EQ(value_, -1);                                                          \
			CHECK_EQ(errno_, EINTR);                                                       \
		} else {                                                                           \
			CHECK_EQ(value_, good);                                                        \
		}                                                                                  \
	} while (0)

static char byte, block[65536];

static void drain_pipe(void) {
	int flags = fcntl(pipes[0], F_GETFL);
	fcntl(pipes[0], F_SETFL, flags | O_NONBLOCK);
	while (read(pipes[0], &byte, 1) == 1) {}
	fcntl(pipes[0], F_SETFL, flags);
}

TEST(a_pipe_read_restarts) {
	CHECK_EQ(pipe(pipes), 0);
	EXPECT_OUTCOME(0, finish_pipe, INTERRUPTED, 0, read(pipes[0], &byte, 1));
	drain_pipe();
	EXPECT_OUTCOME(SA_RESTART, finish_pipe, RESTARTED, 1, read(pipes[0], &byte, 1));
}

TEST(a_pipe_write_restarts_or_reports_what_it_wrote) {
	CHECK_EQ(pipe(full), 0);
	while (write(full[1], block, 4096) == 4096) {
		struct pollfd writable = {.fd = full[1], .events = POLLOUT};
		if (poll(&writable, 1, 0) == 0) break;
	}
	EXPECT_OUTCOME(0, finish_full, INTERRUPTED, 0, write(full[1], block, 4096));
	while (write(full[1], block, 4096) == 4096) {
		struct pollfd writable = {.fd = full[1], .events = POLLOUT};
		if (poll(&writable, 1, 0) == 0) break;
	}
	EXPECT_OUTCOME(SA_RESTART, finish_full, RESTARTED, 4096, write(full[1], block, 4096));
}

TEST(a_socket_read_restarts_unless_it_has_a_time_limit) {
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	EXPECT_OUTCOME(0, finish_socket, INTERRUPTED, 0, recv(sockets[0], &byte, 1, 0));
	CHECK_EQ(read(sockets[0], &byte, 1), 1);
	EXPECT_OUTCOME(SA_RESTART, finish_socket, RESTARTED, 1, recv(sockets[0], &byte, 1, 0));
	struct timeval limit = {10, 0};
	CHECK_EQ(setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	EXPECT_OUTCOME(SA_RESTART, finish_socket, INTERRUPTED, 0, recv(sockets[0], &byte, 1, 0));
	CHECK_EQ(read(sockets[0], &byte, 1), 1);
}

TEST(poll_select_and_epoll_never_restart) {
	struct pollfd readable = {.fd = pipes[0], .events = POLLIN};
	struct epoll_event event;
	struct timeval limit = {10, 0};
	fd_set set;
	int epoll = epoll_create1(0);
	drain_pipe();
	EXPECT_OUTCOME(SA_RESTART, finish_nothing, INTERRUPTED, 0, poll(&readable, 1, 10000));
	EXPECT_OUTCOME(SA_RESTART, finish_nothing, INTERRUPTED, 0, ppoll(&readable, 1, NULL, NULL));
	FD_ZERO(&set);
	FD_SET(pipes[0], &set);
	EXPECT_OUTCOME(SA_RESTART, finish_nothing, INTERRUPTED, 0, select(pipes[0] + 1, &set, NULL, NULL, &limit));
	EXPECT_OUTCOME(SA_RESTART, finish_nothing, INTERRUPTED, 0, epoll_wait(epoll, &event, 1, 10000));
	close(epoll);
}

TEST(sleeps_and_signal_waits_never_restart) {
	struct timespec length = {10, 0};
	sigset_t none, usr2;
	sigemptyset(&none);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	EXPECT_OUTCOME(SA_RESTART, finish_nothing, INTERRUPTED, 0, nanosleep(&length, NULL));
	EXPECT_OUTCOME(SA_RESTART, finish_nothing, INTERRUPTED, 0, pause());
	EXPECT_OUTCOME(SA_RESTART, finish_nothing, INTERRUPTED, 0, sigsuspend(&none));
	EXPECT_OUTCOME(SA_RESTART, finish_nothing, INTERRUPTED, 0, syscall(SYS_rt_sigtimedwait, &usr2, NULL, &length, 8));
}

TEST(futex_waits_restart_without_a_limit) {
	atomic_store(&word, 0);
	EXPECT_OUTCOME(0, finish_futex, INTERRUPTED, 0, futex(&word, FUTEX_WAIT | FUTEX_PRIVATE, 0, NULL, NULL, 0));
	atomic_store(&word, 0);
	EXPECT_OUTCOME(SA_RESTART, finish_futex, RESTARTED, 0, futex(&word, FUTEX_WAIT | FUTEX_PRIVATE, 0, NULL, NULL, 0));
}

static pid_t child;

static void finish_child(void) {
	kill(child, SIGKILL);
}

TEST(waits_for_children_restart) {
	for (int restart = 0; restart < 2; restart++) {
		child = fork();
		if (!child) for (;;) pause();
		EXPECT_OUTCOME(restart ? SA_RESTART : 0, finish_child, (restart ? RESTARTED : INTERRUPTED), child, waitpid(child, NULL, 0));
		if (!restart) CHECK_EQ(waitpid(child, NULL, 0), child);
	}
}

static int lock_fd;

static void finish_lock(void) {
	flock(lock_fd, LOCK_UN);
}

TEST(file_locks_restart) {
	CHECK_EQ(room_file("lock", "", 0644), 0);
	lock_fd = open("lock", O_RDWR);
	int second = open("lock", O_RDWR);
	for (int restart = 0; restart < 2; restart++) {
		CHECK_EQ(flock(lock_fd, LOCK_EX), 0);
		EXPECT_OUTCOME(restart ? SA_RESTART : 0, finish_lock, (restart ? RESTARTED : INTERRUPTED), 0, flock(second, LOCK_EX));
		flock(second, LOCK_UN);
	}
	close(lock_fd);
	close(second);
}

static int event_fd;

static void finish_event(void) {
	eventfd_write(event_fd, 1);
}

TEST(eventfd_reads_restart) {
	uint64_t value;
	event_fd = eventfd(0, 0);
	EXPECT_OUTCOME(0, finish_event, INTERRUPTED, 0, read(event_fd, &value, 8));
	CHECK_EQ(read(event_fd, &value, 8), 8);
	EXPECT_OUTCOME(SA_RESTART, finish_event, RESTARTED, 8, read(event_fd, &value, 8));
	close(event_fd);
}

static void finish_fifo(void) {
	int fd = open("fifo", O_WRONLY | O_NONBLOCK);
	if (fd >= 0) sleep_ms(20), close(fd);
}

TEST(opening_a_fifo_restarts) {
	CHECK_EQ(mkfifo("fifo", 0600), 0);
	EXPECT_OUTCOME(0, finish_nothing, INTERRUPTED, 0, open("fifo", O_RDONLY));
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	pthread_t thread;
	sigaction(SIGUSR1, &action, NULL);
	waiter = pthread_self();
	CHECK_EQ(pthread_create(&thread, NULL, interrupt, (void *)finish_fifo), 0);
	int fd = open("fifo", O_RDONLY);
	CHECK(fd >= 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	close(fd);
}

TEST(an_ignored_signal_interrupts_nothing) {
	pthread_t thread;
	struct timespec length = {0, 60000000}, start, end;
	signal(SIGUSR1, SIG_IGN);
	waiter = pthread_self();
	CHECK_EQ(pthread_create(&thread, NULL, interrupt, (void *)finish_nothing), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_EQ(nanosleep(&length, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(ns_between(start, end) >= 60000000);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	signal(SIGUSR1, SIG_DFL);
}
