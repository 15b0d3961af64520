/* Seccomp: strict mode, filters and what each of their actions does, filters of several threads, inheritance. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

#define STRICT 0
#define FILTER 1
#define ACTION_AVAIL 2
#define TSYNC 1u
#define LOG 2u
#define TSYNC_ESRCH 16u

#define KILL_PROCESS 0x80000000u
#define KILL_THREAD 0u
#define TRAP 0x30000u
#define ERRNO 0x50000u
#define TRACE 0x7ff00000u
#define LOGGED 0x7ffc0000u
#define ALLOW 0x7fff0000u

struct filter { uint16_t code; uint8_t jt, jf; uint32_t k; };
struct program { unsigned short len; struct filter *filter; };

#define LD_ABS 0x20
#define LD_IMM 0x00
#define LD_MEM 0x60
#define LD_LEN 0x80
#define LDX_IMM 0x01
#define ST 0x02
#define JA 0x05
#define JEQ 0x15
#define JEQ_X 0x1d
#define JGT 0x25
#define JSET 0x45
#define RET 0x06
#define RET_A 0x16
#define TAX 0x07
#define ALU(op) (0x04 | (op))
#define ALU_X(op) (0x0c | (op))
#define NR 0
#define ARCH 4
#define IP 8
#define ARG(n) (16 + 8 * (n))

static long seccomp(unsigned op, unsigned flags, void *argument) {
	return syscall(SYS_seccomp, op, flags, argument);
}

static long attach_flags(struct filter *code, int len, unsigned flags) {
	struct program program = {(unsigned short)len, code};
	return seccomp(FILTER, flags, &program);
}

#define ATTACH(...) attach_flags((struct filter[]){__VA_ARGS__}, sizeof((struct filter[]){__VA_ARGS__}) / 8, 0)

/* One call has this result, all others are let through. */
#define CALL_GETS(number, result) {LD_ABS, 0, 0, NR}, {JEQ, 0, 1, number}, {RET, 0, 0, result}, {RET, 0, 0, ALLOW}

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* The same function is run in a child, which gives what it returns. */
static int in_child(int (*function)(void)) {
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) _exit(function());
	return status_of(child);
}

/* What /proc/self/status says in a line. */
static int status_line(const char *name) {
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t len = read(fd, text, sizeof text - 1);
	close(fd);
	text[len > 0 ? len : 0] = 0;
	char *line = strstr(text, name);
	return line ? atoi(line + strlen(name)) : -1;
}

static int strict_reads_writes_and_exits(void) {
	int fds[2];
	char byte;
	if (pipe(fds) || prctl(PR_SET_SECCOMP, 1)) return 1;
	if (write(fds[1], "x", 1) != 1 || read(fds[0], &byte, 1) != 1 || byte != 'x') syscall(SYS_exit, 2);
	syscall(SYS_exit, 3);
	return 4;
}

static int strict_dies(void) {
	if (seccomp(STRICT, 0, NULL)) return 1;
	getppid();
	return 2;
}

static int strict_refuses_arguments(void) {
	if (seccomp(STRICT, 1, NULL) != -1 || errno != EINVAL) return 1;
	if (seccomp(STRICT, 0, (void *)8) != -1 || errno != EINVAL) return 2;
	if (prctl(PR_SET_SECCOMP, 3) != -1 || errno != EINVAL) return 3;
	if (prctl(PR_SET_SECCOMP, 0) != -1 || errno != EINVAL) return 4;
	return prctl(PR_GET_SECCOMP) == 0 ? 0 : 5;
}

TEST(strict_mode_leaves_four_calls) {
	CHECK_EQ(in_child(strict_reads_writes_and_exits), 3);
	CHECK_EQ(in_child(strict_dies), 1000 + SIGKILL);
	CHECK_EQ(in_child(strict_refuses_arguments), 0);
}

static int gets_errors(void) {
	if (ATTACH(CALL_GETS(SYS_getppid, ERRNO | ENOTTY))) return 1;
	errno = 0;
	if (syscall(SYS_getppid) != -1 || errno != ENOTTY) return 2;
	if (getpid() <= 0) return 3;
	/* Of several filters the strictest word counts, and of equals the newest one's data. */
	if (ATTACH(CALL_GETS(SYS_getppid, LOGGED))) return 4;
	if (syscall(SYS_getppid) != -1 || errno != ENOTTY) return 5;
	if (ATTACH(CALL_GETS(SYS_getppid, ERRNO | EDOM))) return 6;
	if (syscall(SYS_getppid) != -1 || errno != EDOM) return 7;
	if (ATTACH(CALL_GETS(SYS_getpid, ERRNO))) return 8;
	if (syscall(SYS_getpid) != 0) return 9;
	if (ATTACH(CALL_GETS(SYS_gettid, ERRNO | 0xffff))) return 10;
	if (syscall(SYS_gettid) != -1 || errno != 4095) return 11;
	if (prctl(PR_GET_SECCOMP) != 2) return 12;
	if (status_line("Seccomp:\t") != 2 || status_line("Seccomp_filters:\t") != 5) return 13;
	if (seccomp(STRICT, 0, NULL) != -1 || errno != EINVAL) return 14;
	if (ATTACH(CALL_GETS(1000, ERRNO | ENOTTY))) return 15;
	if (syscall(1000) != -1 || errno != ENOTTY) return 16;
	if (syscall(1001) != -1 || errno != ENOSYS) return 17;
	return 0;
}

TEST(a_filter_gives_calls_errors) {
	CHECK_EQ(in_child(gets_errors), 0);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
	CHECK_EQ(status_line("Seccomp:\t"), 0);
	CHECK_EQ(status_line("Seccomp_filters:\t"), 0);
}

/* The filter may let through and may wait: a call that blocks is made all the same. */
static int lets_waiting_calls_through(void) {
	int fds[2];
	char byte = 0;
	if (pipe(fds) || ATTACH(CALL_GETS(SYS_getppid, ERRNO | EPERM))) return 1;
	pid_t child = fork();
	if (child == 0) {
		struct timespec moment = {0, 5000000};
		nanosleep(&moment, NULL);
		_exit(write(fds[1], "y", 1) == 1 ? 8 : 9);
	}
	if (read(fds[0], &byte, 1) != 1 || byte != 'y') return 2;
	return status_of(child) == 8 ? 0 : 3;
}

TEST(calls_that_wait_are_let_through) {
	CHECK_EQ(in_child(lets_waiting_calls_through), 0);
}

static int looks_at_everything(void) {
	/* lseek(7, 0x100000002, 3) and nothing else; the architecture and the size of the data. */
	struct filter code[] = {
		{LD_ABS, 0, 0, ARCH}, {JEQ, 1, 0, 0xc000003e}, {RET, 0, 0, ERRNO | 1},
		{LD_LEN, 0, 0, 0}, {JEQ, 1, 0, 64}, {RET, 0, 0, ERRNO | 2},
		{LD_ABS, 0, 0, NR}, {JEQ, 1, 0, SYS_lseek}, {RET, 0, 0, ALLOW},
		{LD_ABS, 0, 0, ARG(0)}, {JEQ, 0, 7, 7},
		{LD_ABS, 0, 0, ARG(1)}, {JEQ, 0, 5, 2},
		{LD_ABS, 0, 0, ARG(1) + 4}, {JEQ, 0, 3, 1},
		{LD_ABS, 0, 0, ARG(2)}, {JEQ, 0, 1, 3},
		{RET, 0, 0, ERRNO | 77}, {RET, 0, 0, ERRNO | 78},
	};
	if (attach_flags(code, sizeof code / 8, 0)) return 1;
	if (syscall(SYS_lseek, 7, 0x100000002, 3) != -1 || errno != 77) return 2;
	if (syscall(SYS_lseek, 7, 0x000000002, 3) != -1 || errno != 78) return 3;
	if (syscall(SYS_lseek, 6, 0x100000002, 3) != -1 || errno != 78) return 4;
	return 0;
}

static int computes(void) {
	/* A = (((5 * 7 + 1) / 4 - 2) << 3 | 1) ^ 2 = 59; through memory and X; minus 4 = 55; & ~1 = 54; -(-54); >> 1 = 27. */
	struct filter code[] = {
		{LD_ABS, 0, 0, NR}, {JEQ, 1, 0, SYS_getppid}, {RET, 0, 0, ALLOW},
		{LDX_IMM, 0, 0, 7}, {LD_IMM, 0, 0, 5}, {ALU_X(0x20), 0, 0, 0}, {ALU(0x00), 0, 0, 1}, {ALU(0x30), 0, 0, 4},
		{ALU(0x10), 0, 0, 2}, {ALU(0x60), 0, 0, 3}, {ALU(0x40), 0, 0, 1}, {ALU(0xa0), 0, 0, 2}, {ST, 0, 0, 15},
		{LD_IMM, 0, 0, 4}, {TAX, 0, 0, 0}, {LD_MEM, 0, 0, 15}, {ALU_X(0x10), 0, 0, 0}, {ALU(0x50), 0, 0, 0xfffffffe},
		{ALU(0x80), 0, 0, 0}, {ALU(0x80), 0, 0, 0}, {ALU(0x70), 0, 0, 1}, {JSET, 0, 1, 1}, {JGT, 1, 0, 27},
		{JA, 0, 0, 1}, {RET, 0, 0, KILL_PROCESS}, {ALU(0x40), 0, 0, ERRNO}, {RET_A, 0, 0, 0},
	};
	if (attach_flags(code, sizeof code / 8, 0)) return 1;
	return syscall(SYS_getppid) == -1 && errno == 27 ? 0 : 2;
}

static int divides_by_zero(void) {
	if (ATTACH({LD_ABS, 0, 0, NR}, {JEQ, 1, 0, SYS_getppid}, {RET, 0, 0, ALLOW}, {LDX_IMM, 0, 0, 0},
	           {ALU_X(0x30), 0, 0, 0}, {RET, 0, 0, ALLOW}))
		return 1;
	getppid();
	return 2;
}

TEST(a_filter_computes_with_the_call) {
	CHECK_EQ(in_child(looks_at_everything), 0);
	CHECK_EQ(in_child(computes), 0);
	CHECK_EQ(in_child(divides_by_zero), 1000 + SIGSYS);
}

TEST(filters_that_make_no_sense_are_refused) {
	static struct filter many[4097];
	for (int i = 0; i < 4097; i++) many[i] = (struct filter){RET, 0, 0, ALLOW};
	CHECK_ERRNO(attach_flags(many, 0, 0), EINVAL);
	CHECK_ERRNO(attach_flags(many, 4097, 0), EINVAL);
	CHECK_ERRNO(attach_flags(many, 1, 64), EINVAL);
	CHECK_ERRNO(attach_flags((void *)64, 1, 0), EFAULT);
	CHECK_ERRNO(seccomp(FILTER, 0, NULL), EFAULT);
	CHECK_ERRNO(seccomp(FILTER, 64, NULL), EINVAL);
	CHECK_ERRNO(ATTACH({LD_IMM, 0, 0, 0}), EINVAL);
	CHECK_ERRNO(ATTACH({JA, 0, 0, 1}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({JA, 0, 0, 0xffffffff}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({JEQ, 0, 1, 0}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({JEQ, 1, 0, 0}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({ALU(0x30), 0, 0, 0}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({ALU(0x60), 0, 0, 32}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({ALU(0x90), 0, 0, 3}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({LD_ABS, 0, 0, 2}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({LD_ABS, 0, 0, 64}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({0x28, 0, 0, 0}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({0x30, 0, 0, 0}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({0x40, 0, 0, 0}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({0xffff, 0, 0, 0}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({0x0e, 0, 0, 0}), EINVAL);
	CHECK_ERRNO(ATTACH({ST, 0, 0, 16}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_ERRNO(ATTACH({LD_MEM, 0, 0, 0}, {RET, 0, 0, ALLOW}), EINVAL);
	/* One of two ways leaves the word unset. */
	CHECK_ERRNO(ATTACH({JEQ, 0, 1, 0}, {ST, 0, 0, 3}, {LD_MEM, 0, 0, 3}, {RET, 0, 0, ALLOW}), EINVAL);
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
}

static int attaches_unprivileged(void) {
	if (setresuid(1000, 1000, 1000)) return 1;
	if (ATTACH({RET, 0, 0, ALLOW}) != -1 || errno != EACCES) return 2;
	if (attach_flags(NULL, 0, 0) != -1 || errno != EINVAL) return 3;
	if (attach_flags((void *)64, 1, 0) != -1 || errno != EACCES) return 4;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 5;
	return ATTACH({RET, 0, 0, ALLOW}) ? 6 : 0;
}

static int attaches_until_full(void) {
	static struct filter code[4000];
	for (int i = 0; i < 4000; i++) code[i] = (struct filter){RET, 0, 0, ALLOW};
	for (int i = 0; i < 100; i++)
		if (attach_flags(code, 4000, 0)) return errno == ENOMEM && i >= 2 ? 0 : 1;
	return 2;
}

TEST(a_filter_needs_privilege_or_the_promise_to_gain_none) {
	CHECK_EQ(in_child(attaches_unprivileged), 0);
}

TEST(filters_are_limited_in_all) {
	CHECK_EQ(in_child(attaches_until_full), 0);
}

TEST(actions_can_be_asked_for) {
	uint32_t known[] = {KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, TRACE, LOGGED, ALLOW}, unknown = 0x12340000;
	for (unsigned i = 0; i < 7; i++) CHECK_EQ(seccomp(ACTION_AVAIL, 0, &known[i]), 0);
	CHECK_ERRNO(seccomp(ACTION_AVAIL, 0, &unknown), EOPNOTSUPP);
	CHECK_ERRNO(seccomp(ACTION_AVAIL, 1, &known[0]), EINVAL);
	CHECK_ERRNO(seccomp(ACTION_AVAIL, 0, NULL), EFAULT);
	CHECK_ERRNO(seccomp(99, 0, NULL), EINVAL);
}

static volatile siginfo_t seen;
static volatile long seen_rax, seen_rip;

static void on_trap(int signal, siginfo_t *info, void *context) {
	ucontext_t *uc = context;
	(void)signal;
	*(siginfo_t *)&seen = *info;
	seen_rax = uc->uc_mcontext.gregs[REG_RAX];
	seen_rip = uc->uc_mcontext.gregs[REG_RIP];
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

static int traps(void) {
	struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
	if (sigaction(SIGSYS, &action, NULL)) return 1;
	if (ATTACH(CALL_GETS(SYS_getppid, TRAP | 123))) return 2;
	if (syscall(SYS_getppid) != 4711) return 3;
	if (seen.si_signo != SIGSYS || seen.si_code != 1 || seen.si_errno != 123) return 4;
	if (seen.si_syscall != SYS_getppid || seen.si_arch != 0xc000003e) return 5;
	if ((long)seen.si_call_addr != seen_rip || seen_rax != SYS_getppid) return 6;
	return 0;
}

static int traps_blocked(void) {
	sigset_t set;
	sigfillset(&set);
	struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
	sigaction(SIGSYS, &action, NULL);
	sigprocmask(SIG_SETMASK, &set, NULL);
	if (ATTACH(CALL_GETS(SYS_getppid, TRAP))) return 2;
	getppid();
	return 3;
}

static int traps_ignored(void) {
	signal(SIGSYS, SIG_IGN);
	if (ATTACH(CALL_GETS(SYS_getppid, TRAP))) return 2;
	getppid();
	return 3;
}

TEST(a_trap_is_a_signal_that_tells_of_the_call) {
	CHECK_EQ(in_child(traps), 0);
	CHECK_EQ(in_child(traps_blocked), 1000 + SIGSYS);
	CHECK_EQ(in_child(traps_ignored), 1000 + SIGSYS);
}

static uint32_t deadly;

static int dies(void) {
	signal(SIGSYS, SIG_IGN);
	if (ATTACH(CALL_GETS(SYS_getppid, deadly))) return 1;
	getppid();
	return 2;
}

static void *calls(void *argument) {
	(void)argument;
	syscall(SYS_getppid);
	return argument;
}

static int thread_dies(void) {
	pthread_t thread;
	if (ATTACH(CALL_GETS(SYS_getppid, deadly))) return 1;
	if (pthread_create(&thread, NULL, calls, NULL)) return 2;
	/* musl's own bookkeeping died with the thread: only the kernel's tells of its end. */
	for (int i = 0; i < 1000 && status_line("Threads:\t") != 1; i++) usleep(1000);
	return status_line("Threads:\t") == 1 ? 5 : 6;
}

TEST(killing_a_thread_spares_the_others_and_killing_a_process_does_not) {
	deadly = KILL_THREAD;
	CHECK_EQ(in_child(dies), 1000 + SIGSYS);
	CHECK_EQ(in_child(thread_dies), 5);
	deadly = KILL_PROCESS;
	CHECK_EQ(in_child(dies), 1000 + SIGSYS);
	CHECK_EQ(in_child(thread_dies), 1000 + SIGSYS);
	deadly = 0x12340000;
	CHECK_EQ(in_child(dies), 1000 + SIGSYS);
	CHECK_EQ(in_child(thread_dies), 1000 + SIGSYS);
}

static int logs(void) {
	if (attach_flags((struct filter[]){CALL_GETS(SYS_getppid, LOGGED)}, 4, LOG)) return 1;
	return getppid() > 0 ? 0 : 2;
}

static int traces_without_tracer(void) {
	if (ATTACH(CALL_GETS(SYS_getppid, TRACE | 5))) return 1;
	return syscall(SYS_getppid) == -1 && errno == ENOSYS ? 0 : 2;
}

TEST(logging_lets_through_and_tracing_without_a_tracer_does_not) {
	CHECK_EQ(in_child(logs), 0);
	CHECK_EQ(in_child(traces_without_tracer), 0);
}

static int traced(void) {
	if (ptrace(PTRACE_TRACEME, 0, 0, 0)) return 1;
	raise(SIGSTOP);
	if (ATTACH(CALL_GETS(SYS_getppid, TRACE | 5))) return 2;
	if (syscall(SYS_getppid) != getpid()) return 3;
	if (syscall(SYS_getppid) != 99) return 4;
	if (syscall(SYS_getppid) <= 0) return 5;
	return 6;
}

TEST(a_tracer_decides_about_calls_a_filter_shows_it) {
	struct user_regs_struct regs;
	unsigned long message = 0;
	int status, event = SIGTRAP | 7 << 8;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) _exit(traced());
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	CHECK_EQ(ptrace(PTRACE_SETOPTIONS, child, 0, 0x80), 0);
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	/* Another call is made instead. */
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status >> 8, event);
	CHECK_EQ(ptrace(PTRACE_GETEVENTMSG, child, 0, &message), 0);
	CHECK_EQ(message, 5);
	CHECK_EQ(ptrace(PTRACE_GETREGS, child, 0, &regs), 0);
	CHECK_EQ(regs.orig_rax, SYS_getppid);
	CHECK_EQ((long)regs.rax, -ENOSYS);
	regs.orig_rax = SYS_getpid;
	CHECK_EQ(ptrace(PTRACE_SETREGS, child, 0, &regs), 0);
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	/* None is made, and the result is the tracer's. */
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status >> 8, event);
	CHECK_EQ(ptrace(PTRACE_GETREGS, child, 0, &regs), 0);
	regs.orig_rax = -1;
	regs.rax = 99;
	CHECK_EQ(ptrace(PTRACE_SETREGS, child, 0, &regs), 0);
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	/* Let through as it is, and then without the option. */
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status >> 8, event);
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	CHECK_EQ(status_of(child), 6);
}

static int shows_its_filter(void) {
	if (ptrace(PTRACE_TRACEME, 0, 0, 0)) return 1;
	if (ATTACH({RET, 0, 0, ALLOW}) || ATTACH(CALL_GETS(SYS_getppid, ERRNO | 3))) return 2;
	raise(SIGSTOP);
	return 7;
}

TEST(a_tracer_can_read_filters) {
	struct filter code[8];
	uint64_t metadata[2] = {1, 99};
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) _exit(shows_its_filter());
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	CHECK_EQ(syscall(SYS_ptrace, 0x420c, child, 0, NULL), 1);
	CHECK_EQ(syscall(SYS_ptrace, 0x420c, child, 1, code), 4);
	CHECK(code[1].code == JEQ && code[1].k == SYS_getppid && code[2].k == (ERRNO | 3));
	CHECK_ERRNO(syscall(SYS_ptrace, 0x420c, child, 2, code), ENOENT);
	CHECK_ERRNO(syscall(SYS_ptrace, 0x420c, child, 1, 8), EFAULT);
	CHECK_EQ(syscall(SYS_ptrace, 0x420d, child, sizeof metadata, metadata), sizeof metadata);
	CHECK_EQ(metadata[1], 0);
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	CHECK_EQ(status_of(child), 7);
}

/* A new program looks whether it still has the filter, and says so by its status. */
__attribute__((constructor(101))) static void new_program(void) {
	if (!getenv("SECCOMP_TEST_PROGRAM")) return;
	int is_filtered = syscall(SYS_getppid) == -1 && errno == EXDEV;
	_exit(is_filtered && prctl(PR_GET_SECCOMP) == 2 && status_line("Seccomp_filters:\t") == 1 ? 21 : 22);
}

static int executes(void) {
	char *arguments[] = {"program", NULL}, *environment[] = {"SECCOMP_TEST_PROGRAM=1", NULL};
	if (ATTACH(CALL_GETS(SYS_getppid, ERRNO | EXDEV))) return 1;
	pid_t child = fork();
	if (child == 0) _exit(syscall(SYS_getppid) == -1 && errno == EXDEV ? 20 : 19);
	if (status_of(child) != 20) return 2;
	execve("/proc/self/exe", arguments, environment);
	return 3;
}

TEST(children_and_new_programs_keep_the_filters) {
	CHECK_EQ(in_child(executes), 21);
}

static atomic_int phase, result;
static atomic_int other_tid;

static void *other(void *argument) {
	atomic_store(&other_tid, (int)syscall(SYS_gettid));
	if (argument && ATTACH({RET, 0, 0, ALLOW})) return NULL;
	atomic_store(&phase, 1);
	while (atomic_load(&phase) == 1) usleep(100);
	errno = 0;
	int value = syscall(SYS_getppid) == -1 ? errno : 0;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) value += 1000;
	atomic_store(&result, value);
	return NULL;
}

static int with_other(int has_own, unsigned flags, int *value) {
	pthread_t thread;
	struct filter code[] = {CALL_GETS(SYS_getppid, ERRNO | EXDEV)};
	if (pthread_create(&thread, NULL, other, has_own ? &thread : NULL)) return -2;
	while (!atomic_load(&phase)) usleep(100);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -3;
	errno = 0;
	*value = (int)attach_flags(code, 4, flags);
	int error = errno;
	atomic_store(&phase, 2);
	pthread_join(thread, NULL);
	return error;
}

static int syncs(void) {
	int value;
	if (with_other(0, TSYNC, &value) || value) return 1;
	return atomic_load(&result) == 1000 + EXDEV ? 0 : 2;
}

static int does_not_sync(void) {
	int value;
	if (with_other(0, 0, &value) || value) return 1;
	return atomic_load(&result) == 0 ? 0 : 2;
}

static int cannot_sync(void) {
	int value;
	if (with_other(1, TSYNC, &value) || value != atomic_load(&other_tid)) return 1;
	if (prctl(PR_GET_SECCOMP) != 0) return 2;
	return atomic_load(&result) == 0 ? 0 : 3;
}

static int cannot_sync_and_says_so(void) {
	int value;
	return with_other(1, TSYNC | TSYNC_ESRCH, &value) == ESRCH && value == -1 ? 0 : 1;
}

TEST(a_filter_can_be_given_to_all_threads) {
	CHECK_EQ(in_child(syncs), 0);
	CHECK_EQ(in_child(does_not_sync), 0);
	CHECK_EQ(in_child(cannot_sync), 0);
	CHECK_EQ(in_child(cannot_sync_and_says_so), 0);
}
