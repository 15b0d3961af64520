// cpus: 1 2 4
/* POSIX message queues, mq_overview(7). By system call: C libraries strip the slash and hide errors of their own. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char name[32];

static int queue_open(const char *which, int flags, int mode, const struct mq_attr *attributes) {
	return (int)syscall(SYS_mq_open, which, flags, mode, attributes);
}

static int queue_unlink(const char *which) {
	return (int)syscall(SYS_mq_unlink, which);
}

static int queue_send(int queue, const void *text, size_t length, unsigned priority, const struct timespec *until) {
	return (int)syscall(SYS_mq_timedsend, queue, text, length, priority, until);
}

static ssize_t queue_receive(int queue, void *text, size_t length, unsigned *priority, const struct timespec *until) {
	return syscall(SYS_mq_timedreceive, queue, text, length, priority, until);
}

static int queue_notify(int queue, const struct sigevent *event) {
	return (int)syscall(SYS_mq_notify, queue, event);
}

static int queue_attributes(int queue, const struct mq_attr *new, struct mq_attr *old) {
	return (int)syscall(SYS_mq_getsetattr, queue, new, old);
}

/* A new queue of two messages of 16 bytes, whose name is gone again. */
static int small_queue(int flags) {
	struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 16};
	snprintf(name, sizeof name, "test%d", getpid());
	queue_unlink(name);
	int queue = queue_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attributes);
	if (queue >= 0) queue_unlink(name);
	return queue;
}

static struct timespec from_now(long ms) {
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_nsec += ms * 1000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

TEST(names_are_single_components) {
	char longest[NAME_MAX + 2];
	memset(longest, 'n', sizeof longest);
	longest[NAME_MAX + 1] = 0;
	CHECK_ERRNO(queue_open("/slash", O_CREAT | O_RDWR, 0600, NULL), EACCES);
	CHECK_ERRNO(queue_open("a/b", O_CREAT | O_RDWR, 0600, NULL), EACCES);
	CHECK_ERRNO(queue_open(".", O_RDWR, 0600, NULL), EACCES);
	CHECK_ERRNO(queue_open("..", O_RDWR, 0600, NULL), EACCES);
	CHECK_ERRNO(queue_open("", O_RDWR, 0600, NULL), ENOENT);
	CHECK_ERRNO(queue_open(longest, O_CREAT | O_RDWR, 0600, NULL), ENAMETOOLONG);
	CHECK_ERRNO(queue_open("absent", O_RDWR, 0600, NULL), ENOENT);
	CHECK_ERRNO(queue_open((char *)1, O_RDWR, 0600, NULL), EFAULT);
	CHECK_ERRNO(queue_open("absent", O_RDWR, 0600, (void *)1), EFAULT);
	CHECK_ERRNO(queue_unlink("/slash"), EACCES);
	CHECK_ERRNO(queue_unlink("absent"), ENOENT);
	CHECK_ERRNO(queue_unlink(longest), ENAMETOOLONG);
	longest[NAME_MAX] = 0;
	int queue = queue_open(longest, O_CREAT | O_RDWR, 0600, NULL);
	CHECK(queue >= 0);
	CHECK_EQ(queue_unlink(longest), 0);
	close(queue);
}

TEST(a_queue_is_made_once_and_closed_at_exec) {
	int queue = small_queue(0);
	CHECK(queue >= 0);
	CHECK_EQ(fcntl(queue, F_GETFD), FD_CLOEXEC);
	close(queue);
	struct mq_attr attributes = {.mq_maxmsg = 3, .mq_msgsize = 20};
	int first = queue_open("once", O_CREAT | O_EXCL | O_RDONLY, 0640, &attributes);
	CHECK(first >= 0);
	CHECK_ERRNO(queue_open("once", O_CREAT | O_EXCL | O_RDONLY, 0640, &attributes), EEXIST);
	CHECK_ERRNO(queue_open("once", O_RDWR | O_WRONLY, 0, NULL), EINVAL);
	/* The attributes of a queue that is there already are not looked at. */
	attributes.mq_maxmsg = -1;
	int second = queue_open("once", O_CREAT | O_RDWR, 0640, &attributes);
	CHECK(second >= 0);
	struct stat status;
	CHECK_EQ(fstat(second, &status), 0);
	CHECK(S_ISREG(status.st_mode) && (status.st_mode & 0777) == 0640);
	CHECK_EQ(status.st_size, 80);
	CHECK_EQ(queue_unlink("once"), 0);
	CHECK_ERRNO(queue_unlink("once"), ENOENT);
	CHECK_EQ(queue_send(second, "x", 1, 0, NULL), 0);
	char text[20];
	CHECK_EQ(queue_receive(first, text, 20, NULL, NULL), 1);
	close(first);
	close(second);
}

TEST(sizes_have_bounds) {
	struct mq_attr attributes = {.mq_maxmsg = 0, .mq_msgsize = 16};
	CHECK_ERRNO(queue_open("sizes", O_CREAT | O_RDWR, 0600, &attributes), EINVAL);
	attributes = (struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = 0};
	CHECK_ERRNO(queue_open("sizes", O_CREAT | O_RDWR, 0600, &attributes), EINVAL);
	attributes = (struct mq_attr){.mq_maxmsg = -1, .mq_msgsize = 16};
	CHECK_ERRNO(queue_open("sizes", O_CREAT | O_RDWR, 0600, &attributes), EINVAL);
	attributes = (struct mq_attr){.mq_maxmsg = 65537, .mq_msgsize = 16};
	CHECK_ERRNO(queue_open("sizes", O_CREAT | O_RDWR, 0600, &attributes), EINVAL);
	attributes = (struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = (16 << 20) + 1};
	CHECK_ERRNO(queue_open("sizes", O_CREAT | O_RDWR, 0600, &attributes), EINVAL);
	/* RLIMIT_MSGQUEUE counts messages, their headers and nodes. */
	struct rlimit limit, less;
	CHECK_EQ(getrlimit(RLIMIT_MSGQUEUE, &limit), 0);
	less = (struct rlimit){10 * 100 + 10 * 96 - 1, limit.rlim_max};
	attributes = (struct mq_attr){.mq_maxmsg = 10, .mq_msgsize = 100};
	CHECK_EQ(setrlimit(RLIMIT_MSGQUEUE, &less), 0);
	CHECK_ERRNO(queue_open("sizes", O_CREAT | O_RDWR, 0600, &attributes), EMFILE);
	less.rlim_cur++;
	CHECK_EQ(setrlimit(RLIMIT_MSGQUEUE, &less), 0);
	int queue = queue_open("sizes", O_CREAT | O_RDWR, 0600, &attributes);
	CHECK(queue >= 0);
	CHECK_EQ(setrlimit(RLIMIT_MSGQUEUE, &limit), 0);
	CHECK_EQ(queue_attributes(queue, NULL, &attributes), 0);
	CHECK(attributes.mq_maxmsg == 10 && attributes.mq_msgsize == 100 && !attributes.mq_curmsgs);
	close(queue);
	CHECK_EQ(queue_unlink("sizes"), 0);
}

TEST(a_queue_without_attributes_has_the_default_size) {
	struct mq_attr attributes;
	int queue = queue_open("default", O_CREAT | O_RDWR, 0600, NULL);
	CHECK(queue >= 0);
	CHECK_EQ(queue_attributes(queue, NULL, &attributes), 0);
	CHECK(attributes.mq_maxmsg == 10 && attributes.mq_msgsize == 8192);
	CHECK_EQ(queue_unlink("default"), 0);
	close(queue);
}

TEST(the_highest_priority_comes_first) {
	int queue = small_queue(0);
	char text[16];
	unsigned priority;
	CHECK_EQ(queue_send(queue, "low", 3, 1, NULL), 0);
	CHECK_EQ(queue_send(queue, "high", 4, 32767, NULL), 0);
	CHECK_EQ(queue_receive(queue, text, 16, &priority, NULL), 4);
	CHECK(priority == 32767 && !memcmp(text, "high", 4));
	CHECK_EQ(queue_receive(queue, text, 16, &priority, NULL), 3);
	CHECK(priority == 1 && !memcmp(text, "low", 3));
	CHECK_EQ(queue_send(queue, NULL, 0, 0, NULL), 0);
	CHECK_EQ(queue_receive(queue, text, 16, NULL, NULL), 0);
	close(queue);
}

TEST(errors_come_in_order) {
	int queue = small_queue(O_NONBLOCK), plain = open("/dev/null", O_RDWR);
	struct timespec bad = {0, 1000000000}, before = {-1, 0}, past = {0, 0};
	char text[16];
	CHECK_ERRNO(queue_send(-1, "x", 1, 0, (void *)1), EFAULT);
	CHECK_ERRNO(queue_send(-1, "x", 1, 0, &bad), EINVAL);
	CHECK_ERRNO(queue_send(-1, "x", 1, 0, &before), EINVAL);
	CHECK_ERRNO(queue_send(-1, "x", 1, 32768, NULL), EINVAL);
	CHECK_ERRNO(queue_send(-1, "x", 1, 0, NULL), EBADF);
	CHECK_ERRNO(queue_send(plain, "x", 1, 0, NULL), EBADF);
	CHECK_ERRNO(queue_send(queue, "x", 17, 0, NULL), EMSGSIZE);
	CHECK_ERRNO(queue_send(queue, (void *)1, 4, 0, NULL), EFAULT);
	CHECK_ERRNO(queue_receive(-1, text, 16, NULL, &bad), EINVAL);
	CHECK_ERRNO(queue_receive(plain, text, 16, NULL, NULL), EBADF);
	CHECK_ERRNO(queue_receive(queue, text, 15, NULL, NULL), EMSGSIZE);
	CHECK_ERRNO(queue_receive(queue, text, 16, NULL, NULL), EAGAIN);
	CHECK_ERRNO(queue_receive(queue, text, 16, NULL, &past), EAGAIN);
	CHECK_EQ(queue_send(queue, "x", 1, 0, &past), 0);
	CHECK_EQ(queue_send(queue, "y", 1, 0, NULL), 0);
	CHECK_ERRNO(queue_send(queue, "z", 1, 0, NULL), EAGAIN);
	/* A message that cannot be written is gone. */
	CHECK_ERRNO(queue_receive(queue, (void *)1, 16, NULL, NULL), EFAULT);
	CHECK_EQ(queue_receive(queue, text, 16, NULL, NULL), 1);
	CHECK_EQ(text[0], 'y');
	struct mq_attr attributes = {.mq_flags = 1};
	CHECK_ERRNO(queue_attributes(-1, &attributes, NULL), EINVAL);
	CHECK_ERRNO(queue_attributes(plain, NULL, NULL), EBADF);
	CHECK_ERRNO(queue_attributes(queue, (void *)1, NULL), EFAULT);
	CHECK_ERRNO(queue_attributes(queue, NULL, (void *)1), EFAULT);
	close(queue);
	close(plain);
}

TEST(what_may_be_done_depends_on_how_it_was_opened) {
	struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 16};
	char text[16];
	int reader = queue_open("rights", O_CREAT | O_RDONLY, 0200, &attributes);
	int writer = queue_open("rights", O_WRONLY, 0, NULL);
	CHECK(reader >= 0 && writer >= 0);
	CHECK_ERRNO(queue_send(reader, "x", 1, 0, NULL), EBADF);
	CHECK_ERRNO(queue_receive(writer, text, 16, NULL, NULL), EBADF);
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(!setresuid(1000, 1000, 1000));
		CHILD_CHECK(queue_open("rights", O_RDONLY, 0, NULL) == -1 && errno == EACCES);
		CHILD_CHECK(queue_unlink("rights") == -1 && errno == EPERM);
		_exit(0);
	}
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(queue_unlink("rights"), 0);
	close(reader);
	close(writer);
}

TEST(waits_end_by_time_by_signal_and_by_success) {
	int queue = small_queue(0);
	char text[16];
	struct timespec soon = from_now(20), past = {0, 0};
	CHECK_ERRNO(queue_receive(queue, text, 16, NULL, &soon), ETIMEDOUT);
	CHECK_ERRNO(queue_receive(queue, text, 16, NULL, &past), ETIMEDOUT);
	pid_t child = fork();
	if (!child) {
		sleep_ms(20);
		CHILD_CHECK(!queue_send(queue, "one", 3, 5, NULL));
		CHILD_CHECK(!queue_send(queue, "two", 3, 5, NULL));
		CHILD_CHECK(!queue_send(queue, "three", 5, 5, NULL));
		CHILD_CHECK(!queue_send(queue, "four", 4, 6, NULL)); /* waits: only two have room */
		_exit(0);
	}
	unsigned priority;
	CHECK_EQ(queue_receive(queue, text, 16, &priority, NULL), 3);
	CHECK(priority == 5 && !memcmp(text, "one", 3));
	sleep_ms(60);
	struct mq_attr attributes;
	CHECK_EQ(queue_attributes(queue, NULL, &attributes), 0);
	CHECK_EQ(attributes.mq_curmsgs, 2);
	CHECK_EQ(queue_receive(queue, text, 16, NULL, NULL), 3);
	CHECK(!memcmp(text, "two", 3));
	/* The waiting sender's message came in as soon as there was room. */
	CHECK_EQ(queue_receive(queue, text, 16, &priority, NULL), 4);
	CHECK_EQ(priority, 6);
	CHECK_EQ(queue_receive(queue, text, 16, NULL, NULL), 5);
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	close(queue);
}

static volatile int signals_seen;
static siginfo_t last_info;

static void note_signal(int signal, siginfo_t *info, void *context) {
	(void)context;
	(void)signal;
	last_info = *info;
	signals_seen++;
}

static void handle(int signal, int flags) {
	struct sigaction action = {.sa_sigaction = note_signal, .sa_flags = SA_SIGINFO | flags};
	sigaction(signal, &action, NULL);
	signals_seen = 0;
}

TEST(a_signal_interrupts_a_wait_unless_it_restarts) {
	int queue = small_queue(0);
	char text[16];
	for (int restarts = 0; restarts < 2; restarts++) {
		handle(SIGUSR1, restarts ? SA_RESTART : 0);
		pid_t parent = getpid(), child = fork();
		if (!child) {
			sleep_ms(30);
			kill(parent, SIGUSR1);
			sleep_ms(30);
			queue_send(queue, "x", 1, 0, NULL);
			_exit(0);
		}
		if (!restarts) CHECK_ERRNO(queue_receive(queue, text, 16, NULL, NULL), EINTR);
		CHECK_EQ(queue_receive(queue, text, 16, NULL, NULL), 1);
		CHECK_EQ(signals_seen, 1);
		CHECK_EQ(waitpid(child, NULL, 0), child);
	}
	close(queue);
}

TEST(a_listener_is_told_once_of_a_message_in_an_empty_queue) {
	int queue = small_queue(0);
	char text[16];
	handle(SIGUSR2, 0);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 42};
	CHECK_EQ(queue_notify(queue, &event), 0);
	CHECK_ERRNO(queue_notify(queue, &event), EBUSY);
	CHECK_EQ(queue_send(queue, "x", 1, 0, NULL), 0);
	CHECK_EQ(signals_seen, 1);
	CHECK_EQ(last_info.si_code, SI_MESGQ);
	CHECK_EQ(last_info.si_value.sival_int, 42);
	CHECK_EQ(last_info.si_pid, getpid());
	/* It is over after one message; and one that comes to others is none for an empty queue. */
	CHECK_EQ(queue_send(queue, "y", 1, 0, NULL), 0);
	CHECK_EQ(queue_notify(queue, &event), 0);
	CHECK_EQ(queue_receive(queue, text, 16, NULL, NULL), 1);
	CHECK_EQ(queue_send(queue, "z", 1, 0, NULL), 0);
	CHECK_EQ(signals_seen, 1);
	CHECK_EQ(queue_notify(queue, NULL), 0);
	CHECK_EQ(queue_receive(queue, text, 16, NULL, NULL), 1);
	CHECK_EQ(queue_receive(queue, text, 16, NULL, NULL), 1);
	CHECK_EQ(queue_send(queue, "z", 1, 0, NULL), 0);
	CHECK_EQ(signals_seen, 1);
	close(queue);
}

TEST(a_receiver_that_waits_comes_before_a_listener) {
	int queue = small_queue(0);
	handle(SIGUSR2, 0);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	CHECK_EQ(queue_notify(queue, &event), 0);
	pid_t child = fork();
	if (!child) {
		char text[16];
		_exit(queue_receive(queue, text, 16, NULL, NULL) != 1);
	}
	sleep_ms(50);
	CHECK_EQ(queue_send(queue, "x", 1, 0, NULL), 0);
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(signals_seen, 0);
	CHECK_EQ(queue_send(queue, "y", 1, 0, NULL), 0);
	CHECK_EQ(signals_seen, 1);
	close(queue);
}

TEST(who_listens_is_checked_and_shown) {
	int queue = small_queue(0), plain = open("/dev/null", O_RDWR);
	struct sigevent event = {.sigev_notify = 77};
	CHECK_ERRNO(queue_notify(-1, &event), EINVAL);
	event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	CHECK_ERRNO(queue_notify(-1, &event), EINVAL);
	CHECK_ERRNO(queue_notify(queue, (void *)1), EFAULT);
	event = (struct sigevent){.sigev_notify = SIGEV_NONE};
	CHECK_ERRNO(queue_notify(-1, &event), EBADF);
	CHECK_ERRNO(queue_notify(plain, &event), EBADF);
	CHECK_ERRNO(queue_notify(plain, NULL), EBADF);
	char text[128] = "", wanted[128];
	event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	CHECK_EQ(queue_send(queue, "four", 4, 0, NULL), 0);
	CHECK_EQ(queue_notify(queue, &event), 0);
	CHECK(read(queue, text, sizeof text) > 0);
	snprintf(wanted, sizeof wanted, "QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", 4, 0, SIGUSR2, getpid());
	CHECK(!strcmp(text, wanted));
	/* Closing any descriptor of the queue ends it. */
	int other = dup(queue);
	close(other);
	memset(text, 0, sizeof text);
	CHECK(pread(queue, text, sizeof text, 0) > 0);
	CHECK(strstr(text, "NOTIFY_PID:0 "));
	/* A listener that has ended stands in nobody's way. */
	pid_t child = fork();
	if (!child) _exit(queue_notify(queue, &event) != 0);
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(queue_notify(queue, &event), 0);
	close(queue);
	close(plain);
}

TEST(readiness_follows_the_queue) {
	int queue = small_queue(0), set = epoll_create1(0);
	struct pollfd one = {.fd = queue, .events = POLLIN | POLLOUT};
	struct epoll_event event = {.events = EPOLLIN | EPOLLET}, got;
	char text[16];
	CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, queue, &event), 0);
	CHECK_EQ(poll(&one, 1, 0), 1);
	CHECK_EQ(one.revents, POLLOUT);
	CHECK_EQ(epoll_wait(set, &got, 1, 0), 0);
	CHECK_EQ(queue_send(queue, "x", 1, 0, NULL), 0);
	CHECK_EQ(epoll_wait(set, &got, 1, 0), 1);
	CHECK_EQ(epoll_wait(set, &got, 1, 0), 0);
	CHECK_EQ(poll(&one, 1, 0), 1);
	CHECK_EQ(one.revents, POLLIN | POLLOUT);
	CHECK_EQ(queue_send(queue, "y", 1, 0, NULL), 0);
	CHECK_EQ(poll(&one, 1, 0), 1);
	CHECK_EQ(one.revents, POLLIN);
	CHECK_EQ(queue_receive(queue, text, 16, NULL, NULL), 1);
	CHECK_EQ(poll(&one, 1, 0), 1);
	CHECK_EQ(one.revents, POLLIN | POLLOUT);
	close(set);
	close(queue);
}

TEST(only_waiting_or_not_can_be_changed) {
	int queue = small_queue(0);
	struct mq_attr new = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 7}, old;
	char text[16];
	CHECK_EQ(queue_attributes(queue, &new, &old), 0);
	CHECK(old.mq_flags == 0 && old.mq_maxmsg == 2 && old.mq_msgsize == 16);
	CHECK_ERRNO(queue_receive(queue, text, 16, NULL, NULL), EAGAIN);
	CHECK(fcntl(queue, F_GETFL) & O_NONBLOCK);
	new.mq_flags = 0;
	CHECK_EQ(queue_attributes(queue, &new, &old), 0);
	CHECK(old.mq_flags == O_NONBLOCK && old.mq_maxmsg == 2);
	CHECK(!(fcntl(queue, F_GETFL) & O_NONBLOCK));
	close(queue);
}

TEST(the_file_system_shows_queues_as_files) {
	struct stat status;
	char text[128] = "";
	CHECK_EQ(mkdir("/tmp/mqueue", 0755), 0);
	CHECK_EQ(mount("none", "/tmp/mqueue", "mqueue", 0, NULL), 0);
	int queue = queue_open("shown", O_CREAT | O_RDWR, 0640, NULL);
	CHECK_EQ(stat("/tmp/mqueue/shown", &status), 0);
	CHECK(S_ISREG(status.st_mode) && (status.st_mode & 0777) == 0640);
	CHECK_EQ(queue_send(queue, "four", 4, 0, NULL), 0);
	int file = open("/tmp/mqueue/shown", O_RDONLY);
	CHECK(read(file, text, sizeof text) > 0);
	CHECK(!strncmp(text, "QSIZE:4 ", 8));
	close(file);
	CHECK_ERRNO(mkdir("/tmp/mqueue/folder", 0755), EPERM);
	file = open("/tmp/mqueue/made", O_CREAT | O_RDWR, 0600);
	CHECK(file >= 0);
	CHECK_EQ(queue_send(file, "x", 1, 0, NULL), 0);
	close(file);
	CHECK_EQ(unlink("/tmp/mqueue/made"), 0);
	CHECK_EQ(unlink("/tmp/mqueue/shown"), 0);
	CHECK_ERRNO(queue_open("shown", O_RDWR, 0, NULL), ENOENT);
	close(queue);
	CHECK_EQ(umount("/tmp/mqueue"), 0);
	CHECK_EQ(rmdir("/tmp/mqueue"), 0);
}

/* Messages numbered by each of two senders, taken by two receivers: none is lost, none comes twice, two at most are there. */
enum { MANY = 2000 };
static int shared_queue;
static _Atomic int taken[2 * MANY];

static void *send_many(void *from) {
	for (int i = 0; i < MANY; i++) {
		int number = (int)(intptr_t)from * MANY + i;
		if (queue_send(shared_queue, &number, sizeof number, (unsigned)i % 3, NULL)) return "send";
	}
	return NULL;
}

static void *receive_many(void *none) {
	(void)none;
	for (int i = 0; i < MANY; i++) {
		int number[4];
		struct mq_attr attributes;
		if (queue_receive(shared_queue, number, sizeof number, NULL, NULL) != sizeof *number) return "receive";
		taken[number[0]]++;
		if (queue_attributes(shared_queue, NULL, &attributes) || attributes.mq_curmsgs > 2) return "too many";
	}
	return NULL;
}

TEST(nothing_is_lost_between_many) {
	pthread_t threads[4];
	shared_queue = small_queue(0);
	for (intptr_t i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, i < 2 ? send_many : receive_many, (void *)i), 0);
	for (int i = 0; i < 4; i++) {
		void *failure;
		CHECK_EQ(pthread_join(threads[i], &failure), 0);
		CHECK(failure == NULL);
	}
	for (int i = 0; i < 2 * MANY; i++) CHECK_EQ(taken[i], 1);
	close(shared_queue);
}
