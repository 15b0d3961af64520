// cpus: 1 2 4
// timeout: 90
/* Signals without end: two processes that trade them, threads at work under a fast timer, one at every system call. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static void handle(int signal, void (*handler)(int), int flags) {
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	sigaction(signal, &action, NULL);
}

static int ended_well(pid_t child) {
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR) return 0;
	return status == 0;
}

/* --- trading ------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t received;

static void count(int signal) {
	(void)signal;
	received++;
}

/* Answers each signal, or opens the trade and waits for each answer. */
static void trade(pid_t other, int rounds, int opens) {
	sigset_t none;
	sigemptyset(&none);
	for (int round = 1; round <= rounds; round++) {
		if (opens) kill(other, SIGUSR1);
		while (received < round) sigsuspend(&none);
		if (!opens) kill(other, SIGUSR1);
	}
}

/* Each way; SIGNALS=500000 makes it a million in all, which takes minutes. Fewer where each crosses to another CPU. */
static int rounds_of_trade(void) {
	const char *wanted = getenv("SIGNALS");
	if (wanted) return atoi(wanted);
	return sysconf(_SC_NPROCESSORS_ONLN) == 1 ? 30000 : 2000;
}

TEST(two_processes_trade_signals_and_none_is_lost) {
	int rounds = rounds_of_trade();
	pid_t parent = getpid();
	sigset_t usr1;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	handle(SIGUSR1, count, 0);
	received = 0;
	pid_t child = fork();
	if (!child) {
		trade(parent, rounds, 0);
		_exit(received == rounds ? 0 : 1);
	}
	trade(child, rounds, 1);
	CHECK_EQ(received, rounds);
	CHECK(ended_well(child));
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
}

/* --- a fast timer -------------------------------------------------------------------------------------------------- */

enum { WORKERS = 6, JOBS = 20000 };

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER, queue_drained = PTHREAD_COND_INITIALIZER;
static int queue[64], queued;
static atomic_long done_jobs;
static atomic_int ticks;

static void tick(int signal) {
	(void)signal;
	atomic_fetch_add(&ticks, 1);
}

static void *work(void *unused) {
	(void)unused;
	for (;;) {
		pthread_mutex_lock(&queue_lock);
		while (!queued) pthread_cond_wait(&queue_filled, &queue_lock);
		int job = queue[--queued];
		pthread_cond_signal(&queue_drained);
		pthread_mutex_unlock(&queue_lock);
		if (job < 0) return NULL;
		atomic_fetch_add(&done_jobs, job);
	}
}

static void submit(int job) {
	pthread_mutex_lock(&queue_lock);
	while (queued == 64) pthread_cond_wait(&queue_drained, &queue_lock);
	queue[queued++] = job;
	pthread_cond_signal(&queue_filled);
	pthread_mutex_unlock(&queue_lock);
}

TEST(a_thread_pool_does_its_work_under_a_ten_kilohertz_timer) {
	struct itimerval fast = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
	pthread_t workers[WORKERS];
	handle(SIGALRM, tick, SA_RESTART);
	for (int i = 0; i < WORKERS; i++) CHECK_EQ(pthread_create(&workers[i], NULL, work, NULL), 0);
	setitimer(ITIMER_REAL, &fast, NULL);
	for (int job = 1; job <= JOBS; job++) submit(job);
	while (atomic_load(&ticks) < 100) sched_yield();
	/* The last ones end their workers: the oldest are taken last, so wait until the others are done. */
	while (atomic_load(&done_jobs) < (long)JOBS * (JOBS + 1) / 2) sched_yield();
	for (int i = 0; i < WORKERS; i++) submit(-1);
	for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK_EQ(atomic_load(&done_jobs), (long)JOBS * (JOBS + 1) / 2);
}

/* --- one at every system call -------------------------------------------------------------------------------------- */

enum { ROUNDS = 20 };

static int there[2], back[2], stream[2], event, semaphores;
static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static int turn;

/* Calls that a handler with SA_RESTART leaves whole, and those that end with EINTR whatever its flags. */
#define AGAIN(call)                                                                        \
	({                                                                                     \
		long value_;                                                                       \
		do value_ = (call);                                                                \
		while (value_ < 0 && errno == EINTR);                                              \
		value_;                                                                            \
	})

static void sleep_whole(long ns) {
	struct timespec left = {0, ns};
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {}
}

/* The other side of what the main thread does. */
static void *answer(void *unused) {
	(void)unused;
	char byte;
	for (int round = 0; round < ROUNDS; round++) {
		CHILD_CHECK(read(there[0], &byte, 1) == 1 && byte == (char)round);
		sleep_whole(100000);
		CHILD_CHECK(write(back[1], &byte, 1) == 1);
		CHILD_CHECK(recv(stream[1], &byte, 1, 0) == 1);
		CHILD_CHECK(send(stream[1], &byte, 1, 0) == 1);
		sleep_whole(100000);
		CHILD_CHECK(write(event, &(uint64_t){3}, 8) == 8);
		pthread_mutex_lock(&turn_lock);
		while (turn != 2 * round + 1) pthread_cond_wait(&turn_changed, &turn_lock);
		turn++;
		pthread_cond_signal(&turn_changed);
		pthread_mutex_unlock(&turn_lock);
		CHILD_CHECK(AGAIN(semop(semaphores, &(struct sembuf){0, 1, 0}, 1)) == 0);
	}
	return NULL;
}

static void ask(int round, int epoll) {
	char byte = (char)round;
	uint64_t value;
	CHILD_CHECK(write(there[1], &byte, 1) == 1);
	struct pollfd readable = {back[0], POLLIN, 0};
	CHILD_CHECK(AGAIN(poll(&readable, 1, -1)) == 1);
	CHILD_CHECK(read(back[0], &byte, 1) == 1 && byte == (char)round);
	CHILD_CHECK(send(stream[0], &byte, 1, 0) == 1);
	CHILD_CHECK(recv(stream[0], &byte, 1, 0) == 1);
	struct epoll_event ready;
	CHILD_CHECK(AGAIN(epoll_wait(epoll, &ready, 1, -1)) == 1);
	CHILD_CHECK(read(event, &value, 8) == 8 && value == 3);
	pthread_mutex_lock(&turn_lock);
	turn++;
	pthread_cond_signal(&turn_changed);
	while (turn != 2 * round + 2) pthread_cond_wait(&turn_changed, &turn_lock);
	pthread_mutex_unlock(&turn_lock);
	CHILD_CHECK(AGAIN(semop(semaphores, &(struct sembuf){0, -1, 0}, 1)) == 0);
}

static void wait_for_a_child(int round) {
	pid_t child = fork();
	if (!child) {
		sleep_whole(200000);
		_exit(round);
	}
	int status;
	CHILD_CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == round);
}

/* A program of every kind of wait: with a handler that may come at any of its calls, its outcome is the same. */
static int waits_of_all_kinds(void) {
	CHILD_CHECK(pipe(there) == 0 && pipe(back) == 0);
	CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0);
	event = eventfd(0, 0);
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	int epoll = epoll_create1(0);
	struct epoll_event interest = {.events = EPOLLIN};
	CHILD_CHECK(semaphores >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, event, &interest) == 0);
	pthread_t other;
	CHILD_CHECK(pthread_create(&other, NULL, answer, NULL) == 0);
	for (int round = 0; round < ROUNDS; round++) ask(round, epoll);
	pthread_join(other, NULL);
	for (int round = 0; round < 5; round++) wait_for_a_child(round);
	semctl(semaphores, 0, IPC_RMID);
	return received >= 10 * ROUNDS ? 0 : 1;
}

/* A thread of the traced program. */
struct tracee {
	pid_t tid;
	int inside;      /* between the stops of a call's entry and its exit */
	int spared;      /* its call was interrupted: the next is let through, so that each is interrupted once */
};

static struct tracee tracees[64];

static struct tracee *tracee_of(pid_t tid) {
	struct tracee *free_one = NULL;
	for (int i = 0; i < 64; i++) {
		if (tracees[i].tid == tid) return &tracees[i];
		if (!tracees[i].tid && !free_one) free_one = &tracees[i];
	}
	*free_one = (struct tracee){.tid = tid};
	return free_one;
}

static void at_call(struct tracee *tracee) {
	struct __ptrace_syscall_info info;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->tid, sizeof info, &info) <= 0) return;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		long value = info.exit.rval;
		if (value == -EINTR || (value <= -512 && value >= -516)) tracee->spared = 1;
	} else if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr != SYS_rt_sigreturn) {
		if (!tracee->spared) syscall(SYS_tkill, tracee->tid, SIGUSR1);
		tracee->spared = 0;
	}
}

/* Lets the child and all it makes run from call to call, with a signal at each; gives the child's status. */
static int interrupt_every_call(pid_t child) {
	int status, result = -1;
	pid_t tid;
	while ((tid = waitpid(-1, &status, __WALL)) > 0) {
		struct tracee *tracee = tracee_of(tid);
		if (!WIFSTOPPED(status)) {
			if (tid == child) result = status;
			tracee->tid = 0;
			continue;
		}
		int signal = WSTOPSIG(status);
		if (signal == (SIGTRAP | 0x80)) at_call(tracee);
		if (signal != SIGUSR1 && signal != SIGCHLD) signal = 0;
		ptrace(PTRACE_SYSCALL, tid, 0, signal);
	}
	return result;
}

TEST(a_signal_at_every_call_changes_nothing) {
	int status;
	memset(tracees, 0, sizeof tracees);
	pid_t child = fork();
	if (!child) {
		handle(SIGUSR1, count, SA_RESTART);
		received = 0;
		CHILD_CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		_exit(waits_of_all_kinds());
	}
	CHECK_EQ(waitpid(child, &status, __WALL), child);
	CHECK(WIFSTOPPED(status));
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
	               PTRACE_O_EXITKILL;
	CHECK_EQ(ptrace(PTRACE_SETOPTIONS, child, 0, options), 0);
	CHECK_EQ(ptrace(PTRACE_SYSCALL, child, 0, 0), 0);
	CHECK_EQ(interrupt_every_call(child), 0);
}
