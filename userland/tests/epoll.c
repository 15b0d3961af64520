/* epoll(7), poll(2), select(2), eventfd(2), signalfd(2). */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int ep, p[2];

static void fresh(void) {
	if (ep) close(ep), close(p[0]), close(p[1]);
	ep = epoll_create1(EPOLL_CLOEXEC);
	CHECK(ep >= 0 && pipe2(p, O_NONBLOCK) == 0);
}

static int control(int op, int fd, uint32_t events, uint64_t data) {
	struct epoll_event event = {.events = events, .data.u64 = data};
	return epoll_ctl(ep, op, fd, &event);
}

static int wait_ms(int ms, struct epoll_event *events, int room) {
	return epoll_wait(ep, events, room, ms);
}

TEST(a_level_triggered_entry_reports_while_ready) {
	struct epoll_event event;
	char byte;
	TRY(fresh());
	CHECK_EQ(control(EPOLL_CTL_ADD, p[0], EPOLLIN, 0x1122334455667788), 0);
	CHECK_EQ(wait_ms(0, &event, 1), 0);
	CHECK_EQ(write(p[1], "ab", 2), 2);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(wait_ms(1000, &event, 1), 1);
		CHECK(event.events == EPOLLIN && event.data.u64 == 0x1122334455667788);
	}
	CHECK_EQ(read(p[0], &byte, 1), 1);
	CHECK_EQ(wait_ms(0, &event, 1), 1);
	CHECK_EQ(read(p[0], &byte, 1), 1);
	CHECK_EQ(wait_ms(0, &event, 1), 0);
}

TEST(an_edge_triggered_entry_reports_each_arrival_once) {
	struct epoll_event event;
	TRY(fresh());
	CHECK_EQ(control(EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET, 1), 0);
	CHECK_EQ(write(p[1], "a", 1), 1);
	CHECK_EQ(wait_ms(1000, &event, 1), 1);
	CHECK_EQ(wait_ms(0, &event, 1), 0);
	CHECK_EQ(write(p[1], "b", 1), 1);
	CHECK_EQ(wait_ms(1000, &event, 1), 1);
	CHECK_EQ(wait_ms(0, &event, 1), 0);
}

TEST(a_oneshot_entry_is_disarmed_until_modified) {
	struct epoll_event event;
	TRY(fresh());
	CHECK_EQ(control(EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLONESHOT, 1), 0);
	CHECK_EQ(write(p[1], "a", 1), 1);
	CHECK_EQ(wait_ms(1000, &event, 1), 1);
	CHECK_EQ(write(p[1], "a", 1), 1);
	CHECK_EQ(wait_ms(0, &event, 1), 0);
	CHECK_EQ(control(EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 2), 0);
	CHECK_EQ(wait_ms(1000, &event, 1), 1);
	CHECK_EQ(event.data.u64, 2);
}

TEST(hangup_and_error_are_reported_unasked) {
	struct epoll_event event;
	TRY(fresh());
	CHECK_EQ(control(EPOLL_CTL_ADD, p[0], 0, 1), 0);
	close(p[1]);
	CHECK_EQ(wait_ms(1000, &event, 1), 1);
	CHECK_EQ(event.events, EPOLLHUP);
	p[1] = dup(p[0]);
	TRY(fresh());
	CHECK_EQ(control(EPOLL_CTL_ADD, p[1], 0, 1), 0);
	close(p[0]);
	CHECK_EQ(wait_ms(1000, &event, 1), 1);
	CHECK_EQ(event.events, EPOLLERR);
	p[0] = dup(p[1]);
}

TEST(arguments_are_checked) {
	struct epoll_event event;
	TRY(fresh());
	CHECK_ERRNO(epoll_create1(1), EINVAL);
	CHECK_ERRNO(syscall(SYS_epoll_create, 0), EINVAL);
	CHECK_EQ(control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1), 0);
	CHECK_ERRNO(control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1), EEXIST);
	CHECK_ERRNO(control(EPOLL_CTL_MOD, p[1], EPOLLIN, 1), ENOENT);
	CHECK_ERRNO(control(EPOLL_CTL_DEL, p[1], EPOLLIN, 1), ENOENT);
	CHECK_ERRNO(control(EPOLL_CTL_ADD, ep, EPOLLIN, 1), EINVAL);
	CHECK_ERRNO(control(EPOLL_CTL_ADD, 999, EPOLLIN, 1), EBADF);
	CHECK_ERRNO(control(9, p[1], EPOLLIN, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_epoll_ctl, p[0], EPOLL_CTL_ADD, p[1], &event), EINVAL);
	CHECK_ERRNO(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, p[1], NULL), EFAULT);
	CHECK_EQ(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_DEL, p[0], NULL), 0);
	CHECK_ERRNO(wait_ms(0, &event, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(p[0], &event, 1, 0), EINVAL);
	CHECK_ERRNO(epoll_wait(999, &event, 1, 0), EBADF);
	int file = memfd_create("file", 0);
	CHECK_ERRNO(control(EPOLL_CTL_ADD, file, EPOLLIN, 1), EPERM);
	close(file);
}

TEST(a_closed_descriptor_leaves_and_its_duplicate_stays) {
	struct epoll_event event;
	TRY(fresh());
	int twin = dup(p[0]);
	CHECK_EQ(control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1), 0);
	CHECK_EQ(write(p[1], "a", 1), 1);
	close(p[0]);
	/* The open file lives on by its duplicate, and so does the entry. */
	CHECK_EQ(wait_ms(0, &event, 1), 1);
	close(twin);
	CHECK_EQ(wait_ms(0, &event, 1), 0);
	p[0] = dup(p[1]);
}

TEST(one_epoll_watches_another) {
	struct epoll_event event;
	TRY(fresh());
	int outer = epoll_create1(0);
	event.events = EPOLLIN;
	event.data.u64 = 5;
	CHECK_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, ep, &event), 0);
	CHECK_EQ(control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1), 0);
	CHECK_EQ(epoll_wait(outer, &event, 1, 0), 0);
	CHECK_EQ(write(p[1], "a", 1), 1);
	CHECK_EQ(epoll_wait(outer, &event, 1, 1000), 1);
	CHECK_EQ(event.data.u64, 5);
	CHECK_ERRNO(control(EPOLL_CTL_ADD, outer, EPOLLIN, 1), ELOOP);
	close(outer);
}

TEST(a_chain_of_epolls_has_a_limit) {
	int chain[8];
	struct epoll_event event = {.events = EPOLLIN};
	for (int i = 0; i < 8; i++) chain[i] = epoll_create1(0);
	int linked = 0;
	while (linked < 7 && epoll_ctl(chain[linked + 1], EPOLL_CTL_ADD, chain[linked], &event) == 0) linked++;
	CHECK_EQ(errno, linked < 7 ? ELOOP : errno);
	CHECK(linked >= 4 && linked < 7);
	for (int i = 0; i < 8; i++) close(chain[i]);
}

static void *write_later(void *unused) {
	sleep_ms(20);
	EXPECT(write(p[1], "x", 1) == 1);
	return unused;
}

TEST(a_waiter_is_woken_by_an_arrival) {
	struct epoll_event event;
	pthread_t thread;
	TRY(fresh());
	CHECK_EQ(control(EPOLL_CTL_ADD, p[0], EPOLLIN, 1), 0);
	CHECK_EQ(pthread_create(&thread, NULL, write_later, NULL), 0);
	CHECK_EQ(wait_ms(-1, &event, 1), 1);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *add_later(void *unused) {
	sleep_ms(20);
	EXPECT(control(EPOLL_CTL_ADD, p[1], EPOLLOUT, 3) == 0);
	return unused;
}

TEST(a_waiter_is_woken_by_an_entry_added_ready) {
	struct epoll_event event;
	pthread_t thread;
	TRY(fresh());
	CHECK_EQ(pthread_create(&thread, NULL, add_later, NULL), 0);
	CHECK_EQ(wait_ms(-1, &event, 1), 1);
	CHECK_EQ(event.data.u64, 3);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(a_wait_times_out_not_before_its_time) {
	struct epoll_event event;
	struct timespec start, end, limit = {0, 15000000};
	TRY(fresh());
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_EQ(wait_ms(20, &event, 1), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(ns_between(start, end) >= 20000000 && ns_between(start, end) < 2000000000);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_EQ(syscall(SYS_epoll_pwait2, ep, &event, 1, &limit, NULL, 8), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(ns_between(start, end) >= 15000000);
}

TEST(ready_entries_take_turns) {
	struct epoll_event event;
	int pipes[4][2], seen = 0;
	TRY(fresh());
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(pipe(pipes[i]), 0);
		CHECK_EQ(write(pipes[i][1], "x", 1), 1);
		CHECK_EQ(control(EPOLL_CTL_ADD, pipes[i][0], EPOLLIN, i), 0);
	}
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(wait_ms(0, &event, 1), 1);
		seen |= 1 << event.data.u64;
	}
	CHECK_EQ(seen, 15);
	for (int i = 0; i < 4; i++) close(pipes[i][0]), close(pipes[i][1]);
}

static atomic_int woken;

static void *wait_once(void *unused) {
	struct epoll_event event;
	if (wait_ms(200, &event, 1) == 1) atomic_fetch_add(&woken, 1);
	return unused;
}

TEST(an_edge_wakes_one_waiter) {
	pthread_t threads[4];
	TRY(fresh());
	atomic_store(&woken, 0);
	CHECK_EQ(control(EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET, 1), 0);
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, wait_once, NULL), 0);
	sleep_ms(30);
	CHECK_EQ(write(p[1], "x", 1), 1);
	for (int i = 0; i < 4; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(atomic_load(&woken), 1);
}

static void handle(int signal) {
	(void)signal;
	atomic_fetch_add(&woken, 1);
}

TEST(a_pwait_takes_its_mask_for_the_wait_alone) {
	struct epoll_event event;
	sigset_t none, usr1, mask;
	struct sigaction action = {.sa_handler = handle};
	struct timespec zero = {0, 0};
	TRY(fresh());
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	atomic_store(&woken, 0);
	raise(SIGUSR1);
	CHECK_ERRNO(epoll_pwait(ep, &event, 1, 1000, &none), EINTR);
	CHECK_EQ(woken, 1);
	raise(SIGUSR1);
	CHECK_ERRNO(ppoll(NULL, 0, NULL, &none), EINTR);
	CHECK_EQ(woken, 2);
	raise(SIGUSR1);
	CHECK_ERRNO(pselect(0, NULL, NULL, NULL, NULL, &none), EINTR);
	CHECK_EQ(woken, 3);
	raise(SIGUSR1);
	CHECK_EQ(ppoll(NULL, 0, &zero, &usr1), 0);
	CHECK_EQ(woken, 3);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	CHECK(sigismember(&mask, SIGUSR1));
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	CHECK_EQ(woken, 4);
	signal(SIGUSR1, SIG_DFL);
}

TEST(poll_counts_and_marks) {
	struct pollfd fds[4] = {{.fd = -1, .events = POLLIN}, {.fd = 999, .events = POLLIN}, {.events = POLLIN}, {.events = POLLIN | POLLOUT}};
	TRY(fresh());
	fds[2].fd = p[0];
	fds[3].fd = p[1];
	CHECK_EQ(poll(fds, 4, 0), 2);
	CHECK(fds[0].revents == 0 && fds[1].revents == POLLNVAL && fds[2].revents == 0 && fds[3].revents == POLLOUT);
	CHECK_EQ(poll(fds, 0, 10), 0);
	CHECK_ERRNO(syscall(SYS_poll, NULL, 1, 0), EFAULT);
	CHECK_ERRNO(syscall(SYS_poll, fds, 1ul << 30, 0), EINVAL);
}

TEST(select_finds_what_is_ready) {
	fd_set readable, writable;
	struct timeval limit = {0, 20000};
	TRY(fresh());
	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(p[0], &readable);
	FD_SET(p[1], &writable);
	CHECK_EQ(syscall(SYS_select, p[1] + 1, &readable, &writable, NULL, &limit), 1);
	CHECK(!FD_ISSET(p[0], &readable) && FD_ISSET(p[1], &writable));
	CHECK(limit.tv_sec == 0 && limit.tv_usec > 0);
	FD_SET(p[0], &readable);
	CHECK_EQ(syscall(SYS_select, p[1] + 1, &readable, NULL, NULL, &limit), 0);
	CHECK(limit.tv_sec == 0 && limit.tv_usec == 0);
	CHECK(!FD_ISSET(p[0], &readable));
	/* Beyond the size of the table (64 here) Linux looks at no bit at all. */
	FD_SET(60, &readable);
	CHECK_ERRNO(select(61, &readable, NULL, NULL, &limit), EBADF);
	CHECK_ERRNO(syscall(SYS_select, -1, NULL, NULL, NULL, &limit), EINVAL);
	limit.tv_sec = -1;
	CHECK_ERRNO(syscall(SYS_select, 0, NULL, NULL, NULL, &limit), EINVAL);
}

TEST(an_eventfd_adds_and_gives_all_or_one) {
	uint64_t value = 3;
	int fd = eventfd(5, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK_EQ(write(fd, &value, 8), 8);
	CHECK_EQ(read(fd, &value, 8), 8);
	CHECK_EQ(value, 8);
	CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
	CHECK_ERRNO(read(fd, &value, 7), EINVAL);
	value = ~0ull;
	CHECK_ERRNO(write(fd, &value, 8), EINVAL);
	value = ~0ull - 1;
	CHECK_EQ(write(fd, &value, 8), 8);
	value = 1;
	CHECK_ERRNO(write(fd, &value, 8), EAGAIN);
	struct pollfd state = {.fd = fd, .events = POLLIN | POLLOUT};
	CHECK_EQ(poll(&state, 1, 0), 1);
	CHECK_EQ(state.revents, POLLIN);
	close(fd);
	fd = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(read(fd, &value, 8), 8);
		CHECK_EQ(value, 1);
	}
	CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
	close(fd);
	CHECK_ERRNO(eventfd(0, 2), EINVAL);
}

static int ping, pong;

static void *answer(void *unused) {
	uint64_t value;
	for (int i = 0; i < 5000; i++) EXPECT(read(ping, &value, 8) == 8 && write(pong, &value, 8) == 8);
	return unused;
}

TEST(threads_play_ping_pong_by_eventfd) {
	pthread_t thread;
	ping = eventfd(0, 0);
	pong = eventfd(0, 0);
	CHECK_EQ(pthread_create(&thread, NULL, answer, NULL), 0);
	for (uint64_t i = 1; i <= 5000; i++) {
		uint64_t value = i;
		CHECK_EQ(write(ping, &value, 8), 8);
		CHECK_EQ(read(pong, &value, 8), 8);
		CHECK_EQ(value, i);
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	close(ping);
	close(pong);
}

TEST(to_seek_in_them_is_allowed_and_does_nothing) {
	char byte;
	sigset_t none;
	sigemptyset(&none);
	int fds[] = {eventfd(0, 0), signalfd(-1, &none, 0), epoll_create1(0), timerfd_create(CLOCK_MONOTONIC, 0)};
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(lseek(fds[i], 5, SEEK_SET), 0);
		CHECK_ERRNO(lseek(fds[i], 5, 9), EINVAL);
		CHECK_ERRNO(pread(fds[i], &byte, 1, 0), ESPIPE);
		close(fds[i]);
	}
}

TEST(a_signalfd_reads_signals) {
	sigset_t set;
	struct signalfd_siginfo info[2];
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_NONBLOCK);
	CHECK(fd >= 0);
	CHECK_ERRNO(read(fd, info, sizeof info), EAGAIN);
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 6});
	kill(getpid(), SIGUSR1);
	struct pollfd state = {.fd = fd, .events = POLLIN};
	CHECK_EQ(poll(&state, 1, 0), 1);
	CHECK_EQ(read(fd, info, sizeof info), (long)sizeof info);
	CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_code == SI_USER && info[0].ssi_pid == (unsigned)getpid());
	CHECK(info[1].ssi_signo == (unsigned)SIGRTMIN && info[1].ssi_code == SI_QUEUE && info[1].ssi_int == 6);
	CHECK_ERRNO(read(fd, info, 64), EINVAL);
	sigdelset(&set, SIGUSR1);
	CHECK_EQ(signalfd(fd, &set, 0), fd);
	kill(getpid(), SIGUSR1);
	CHECK_ERRNO(read(fd, info, sizeof info), EAGAIN);
	sigaddset(&set, SIGUSR1);
	siginfo_t taken;
	CHECK_EQ(sigwaitinfo(&set, &taken), SIGUSR1);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	close(fd);
}

TEST(a_pidfd_becomes_readable_at_the_end_of_the_process) {
	pid_t child = fork();
	if (!child) {
		sleep_ms(20);
		_exit(0);
	}
	int fd = syscall(SYS_pidfd_open, child, 0);
	struct pollfd state = {.fd = fd, .events = POLLIN};
	CHECK_EQ(poll(&state, 1, 0), 0);
	CHECK_EQ(poll(&state, 1, 5000), 1);
	CHECK_EQ(state.revents, POLLIN);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	close(fd);
}
