/*
 * Who gets to see a system call before it is made: the program itself (PR_SET_SYSCALL_USER_DISPATCH), a tracer, filters; and
 * what its number is.
 */
#include "test.h"
#include "linux.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define DISPATCH PR_SET_SYSCALL_USER_DISPATCH
#define SUSPEND_SECCOMP (1 << 21)

struct filter { uint16_t code; uint8_t jt, jf; uint32_t k; };
struct program { unsigned short len; struct filter *filter; };

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int in_child(int (*function)(void)) {
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) _exit(function());
	return status_of(child);
}

static long numbered(long number, long a, long b, long c) {
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

TEST(the_lower_half_of_rax_is_the_number) {
	long high[] = {1l << 32, (long)0xffffffff00000000, 0x7fffffffl << 32, (long)0x8000000000000000};
	char byte;
	int fds[2];
	CHECK_EQ(pipe(fds), 0);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(numbered(SYS_getpid | high[i], 0, 0, 0), getpid());
		CHECK_EQ(numbered(SYS_write | high[i], fds[1], (long)"x", 1), 1);
		CHECK_EQ(numbered(SYS_read | high[i], fds[0], (long)&byte, 1), 1);
		CHECK_EQ(numbered(SYS_nanosleep | high[i], (long)&(struct timespec){0, 1000}, 0, 0), 0);
		long child = numbered(SYS_fork | high[i], 0, 0, 0);
		if (!child) _exit(7);
		CHECK_EQ(status_of((pid_t)child), 7);
	}
	CHECK_EQ(numbered(-1, 0, 0, 0), -ENOSYS);
	CHECK_EQ(numbered(0xffffffff, 0, 0, 0), -ENOSYS);
	CHECK_EQ(numbered(0x80000000l | SYS_getpid, 0, 0, 0), -ENOSYS);
	CHECK_EQ(numbered(511, 0, 0, 0), -ENOSYS);
}

static volatile unsigned char selector;
static volatile int caught, caught_number, caught_code;
static volatile long caught_rax;
static void *volatile caught_address;

static void on_sigsys(int signal, siginfo_t *info, void *context) {
	ucontext_t *user = context;
	(void)signal;
	selector = 0;
	caught++;
	caught_number = info->si_syscall;
	caught_code = info->si_code;
	caught_address = info->si_call_addr;
	caught_rax = user->uc_mcontext.gregs[REG_RAX];
	user->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void catch_sigsys(void) {
	struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	sigaction(SIGSYS, &action, NULL);
}

static int calls_come_back(void) {
	catch_sigsys();
	CHILD_CHECK(prctl(DISPATCH, 1, 0, 0, &selector) == 0);
	CHILD_CHECK(getppid() > 0);
	selector = 1;
	long result = numbered(SYS_getppid, 0, 0, 0);
	CHILD_CHECK(selector == 0 && caught == 1 && result == 4711);
	CHILD_CHECK(caught_number == SYS_getppid && caught_code == 2 && caught_rax == SYS_getppid);
	CHILD_CHECK(((unsigned char *)caught_address)[-2] == 0x0f && ((unsigned char *)caught_address)[-1] == 0x05);
	selector = 1;
	result = numbered(400000, 0, 0, 0);
	CHILD_CHECK(caught == 2 && result == 4711 && caught_number == 400000);
	CHILD_CHECK(prctl(DISPATCH, 0, 0, 0, 0) == 0);
	selector = 1;
	CHILD_CHECK(getppid() > 0 && caught == 2);
	return 3;
}

TEST(a_program_gets_its_system_calls_back) {
	CHECK_EQ(in_child(calls_come_back), 3);
}

static int one_range_passes(void) {
	/* mov %edi, %eax; syscall; ret */
	static const unsigned char code[] = {0x89, 0xf8, 0x0f, 0x05, 0xc3};
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHILD_CHECK(page != MAP_FAILED);
	memcpy(page, code, sizeof code);
	CHILD_CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
	long (*call)(int) = (long (*)(int))(uintptr_t)page;
	pid_t parent = getppid();
	catch_sigsys();
	CHILD_CHECK(prctl(DISPATCH, 1, page, 4096, &selector) == 0);
	selector = 1;
	CHILD_CHECK(call(SYS_getppid) == parent && caught == 0);
	CHILD_CHECK(numbered(SYS_getppid, 0, 0, 0) == 4711 && caught == 1);
	return 4;
}

TEST(calls_from_one_range_pass) {
	CHECK_EQ(in_child(one_range_passes), 4);
}

static int bad_byte(void) {
	catch_sigsys();
	prctl(DISPATCH, 1, 0, 0, &selector);
	selector = 2;
	return (int)numbered(SYS_getppid, 0, 0, 0);
}

static int no_byte(void) {
	signal(SIGSEGV, SIG_IGN);
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	prctl(DISPATCH, 1, 0, 0, page);
	munmap(page, 4096);
	return (int)numbered(SYS_getppid, 0, 0, 0);
}

static int no_selector(void) {
	prctl(DISPATCH, 1, 0, 0, 0);
	return (int)numbered(SYS_getppid, 0, 0, 0);
}

TEST(a_selector_that_says_nothing_kills) {
	CHECK_EQ(in_child(bad_byte), 1000 + SIGSYS);
	CHECK_EQ(in_child(no_byte), 1000 + SIGSEGV);
	CHECK_EQ(in_child(no_selector), 1000 + SIGSYS);
}

static void *calls_freely(void *unused) {
	(void)unused;
	return (void *)(long)(numbered(SYS_getppid, 0, 0, 0) > 0);
}

static int not_inherited(void) {
	pthread_t thread;
	void *result;
	catch_sigsys();
	/* Only calls from below the first page pass, and the selector lets all pass until it is set. */
	CHILD_CHECK(prctl(DISPATCH, 1, 0, 0, &selector) == 0);
	int fds[2];
	CHILD_CHECK(pipe(fds) == 0);
	pid_t child = fork();
	if (!child) {
		selector = 1;
		_exit(numbered(SYS_getppid, 0, 0, 0) != 4711 && caught == 0);
	}
	CHILD_CHECK(status_of(child) == 1);
	CHILD_CHECK(pthread_create(&thread, NULL, calls_freely, NULL) == 0);
	CHILD_CHECK(pthread_join(thread, &result) == 0 && result);
	return 5;
}

TEST(children_and_threads_do_not_inherit_it) {
	CHECK_EQ(in_child(not_inherited), 5);
}

TEST(the_request_is_checked) {
	CHECK_ERRNO(prctl(DISPATCH, 2, 0, 0, &selector), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 0, 1, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 0, 0, 1, 0), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 0, 0, 0, &selector), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 1, 4096, 0, &selector), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 1, 4096l, -4096l, &selector), EINVAL);
	CHECK_ERRNO(prctl(DISPATCH, 1, 0, 0, 0xffff800000000000), EFAULT);
}

/* A child that gets stopped, then has getppid(2) kill the process by a filter. */
static pid_t filtered_child(uint32_t action, long number) {
	pid_t child = fork();
	if (child) return child;
	struct filter code[] = {{0x20, 0, 0, 0}, {0x15, 0, 1, (uint32_t)number}, {6, 0, 0, action}, {6, 0, 0, 0x7fff0000}};
	struct program program = {4, code};
	CHILD_CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
	raise(SIGSTOP);
	CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHILD_CHECK(prctl(PR_SET_SECCOMP, 2, &program) == 0);
	_exit(numbered(SYS_getppid, 0, 0, 0) == getpid() ? 1 : 2);
}

TEST(a_tracer_does_not_see_the_signal_of_a_filter_that_kills) {
	int status;
	pid_t child = filtered_child(0x80000000, SYS_getppid);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSYS);
}

TEST(a_tracer_may_suspend_filters) {
	int status;
	pid_t child = filtered_child(0x80000000, SYS_getppid);
	CHECK_EQ(waitpid(child, &status, 0), child);
	if (ptrace(PTRACE_SETOPTIONS, child, 0, SUSPEND_SECCOMP) != 0) {
		/* A Linux without checkpoints knows no such option. */
		CHECK_EQ(errno, EINVAL);
		kill(child, SIGKILL);
		CHECK_EQ(waitpid(child, &status, 0), child);
		return;
	}
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	CHECK_EQ(status_of(child), 2);
}

/* The tracer gives the call that is about to be made another number. */
static void with_number(long number, long expected) {
	int status;
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		numbered(SYS_kill, getpid(), SIGSTOP, 0);
		_exit(numbered(SYS_getppid, 0, 0, 0) == expected ? 6 : 7);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(ptrace(PTRACE_SYSCALL, child, 0, 0), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	struct user_regs_struct registers;
	CHECK_EQ(ptrace(PTRACE_GETREGS, child, 0, &registers), 0);
	CHECK_EQ(registers.orig_rax, SYS_getppid);
	CHECK_EQ((long)registers.rax, -ENOSYS);
	registers.orig_rax = (unsigned long)number;
	registers.rax = (unsigned long)-9999;
	CHECK_EQ(ptrace(PTRACE_SETREGS, child, 0, &registers), 0);
	CHECK_EQ(ptrace(PTRACE_CONT, child, 0, 0), 0);
	CHECK_EQ(status_of(child), 6);
}

TEST(only_minus_one_skips_a_traced_call) {
	TRY(with_number(-1, -9999));
	TRY(with_number(-2, -ENOSYS));
	TRY(with_number(-64, -ENOSYS));
	TRY(with_number(0xffffffff, -9999));
	TRY(with_number((1l << 32) | SYS_getpgid, getpgid(0)));
}
