/* ptrace(2), as far as strace and a debugger need it. */
#include "test.h"
#include "linux.h"
#include <elf.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static int status;

static long trace(int request, pid_t pid, uintptr_t address, uintptr_t data) {
	return syscall(SYS_ptrace, request, pid, address, data);
}

/* A child that is traced, stopped by its own SIGSTOP, and then runs the body and exits with its value. */
#define TRACED(...)                                                                        \
	({                                                                                     \
		pid_t child_ = fork();                                                             \
		if (!child_) {                                                                     \
			CHILD_CHECK(trace(PTRACE_TRACEME, 0, 0, 0) == 0);                              \
			raise(SIGSTOP);                                                                \
			_exit(({ __VA_ARGS__; }));                                                     \
		}                                                                                  \
		child_;                                                                            \
	})

static void await_stop(pid_t child, int signal) {
	CHECK_EQ(waitpid(child, &status, __WALL), child);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(status >> 8, signal);
}

static void await_exit(pid_t child, int value) {
	CHECK_EQ(waitpid(child, &status, __WALL), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), value);
}

TEST(a_traced_child_stops_at_signals_and_goes_on) {
	pid_t child = TRACED(5);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_exit(child, 5));
}

TEST(a_signal_can_be_passed_changed_or_dropped) {
	pid_t child = TRACED(raise(SIGUSR1); 6);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_stop(child, SIGUSR1));
	siginfo_t info;
	CHECK_EQ(trace(PTRACE_GETSIGINFO, child, 0, (uintptr_t)&info), 0);
	CHECK(info.si_signo == SIGUSR1 && info.si_code == SI_TKILL && info.si_pid == child);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_exit(child, 6));
	child = TRACED(raise(SIGUSR1); 6);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_stop(child, SIGUSR1));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, SIGTERM), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, SIGTERM);
}

static volatile long watched = 0x1122334455667788;

TEST(memory_and_registers_are_read_and_written) {
	struct user_regs_struct registers;
	long word = 0;
	pid_t child = TRACED(watched == 99 ? 7 : 1);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_PEEKDATA, child, (uintptr_t)&watched, (uintptr_t)&word), 0);
	CHECK_EQ(word, 0x1122334455667788);
	CHECK_EQ(trace(PTRACE_POKEDATA, child, (uintptr_t)&watched, 99), 0);
	CHECK_ERRNO(trace(PTRACE_PEEKDATA, child, 8, (uintptr_t)&word), EIO);
	CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (uintptr_t)&registers), 0);
	CHECK(registers.rip > 0x1000 && (registers.cs & 3) == 3);
	unsigned long old = registers.r15;
	registers.r15 = 0x4711;
	CHECK_EQ(trace(PTRACE_SETREGS, child, 0, (uintptr_t)&registers), 0);
	CHECK_EQ(trace(PTRACE_PEEKUSER, child, offsetof(struct user, regs.r15), (uintptr_t)&word), 0);
	CHECK_EQ(word, 0x4711);
	CHECK_EQ(trace(PTRACE_POKEUSER, child, offsetof(struct user, regs.r15), old), 0);
	registers.r15 = old;
	struct iovec vector = {&registers, sizeof registers};
	CHECK_EQ(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, (uintptr_t)&vector), 0);
	CHECK(vector.iov_len == sizeof registers && registers.r15 == old);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_exit(child, 7));
}

TEST(system_calls_are_seen_at_entry_and_exit) {
	struct user_regs_struct registers;
	pid_t child = TRACED(syscall(SYS_getppid), 8);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD), 0);
	int seen = 0;
	for (;;) {
		CHECK_EQ(trace(PTRACE_SYSCALL, child, 0, 0), 0);
		CHECK_EQ(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) break;
		CHECK_EQ(status >> 8, SIGTRAP | 0x80);
		CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (uintptr_t)&registers), 0);
		if (registers.orig_rax != SYS_getppid) continue;
		if (!seen) CHECK_EQ((long)registers.rax, -ENOSYS);
		else CHECK_EQ((long)registers.rax, getpid());
		seen++;
	}
	CHECK_EQ(seen, 2);
	CHECK_EQ(WEXITSTATUS(status), 8);
}

TEST(a_system_call_can_be_changed) {
	struct user_regs_struct registers;
	pid_t child = TRACED(syscall(SYS_getppid) == 4711 ? 9 : 1);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD), 0);
	do {
		CHECK_EQ(trace(PTRACE_SYSCALL, child, 0, 0), 0);
		TRY(await_stop(child, SIGTRAP | 0x80));
		CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (uintptr_t)&registers), 0);
	} while (registers.orig_rax != SYS_getppid);
	registers.orig_rax = -1ul;
	CHECK_EQ(trace(PTRACE_SETREGS, child, 0, (uintptr_t)&registers), 0);
	CHECK_EQ(trace(PTRACE_SYSCALL, child, 0, 0), 0);
	TRY(await_stop(child, SIGTRAP | 0x80));
	CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (uintptr_t)&registers), 0);
	registers.rax = 4711;
	CHECK_EQ(trace(PTRACE_SETREGS, child, 0, (uintptr_t)&registers), 0);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_exit(child, 9));
}

TEST(syscall_info_tells_entry_and_exit) {
	struct { uint8_t op, pad[3]; uint32_t arch; uint64_t rip, rsp, data[8]; } info;
	pid_t child = TRACED(syscall(SYS_getpgid, 0), 8);
	int stops = 0;
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD), 0);
	for (;;) {
		CHECK_EQ(trace(PTRACE_SYSCALL, child, 0, 0), 0);
		CHECK_EQ(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) break;
		CHECK(trace(0x420e, child, sizeof info, (uintptr_t)&info) > 0);
		CHECK_EQ(info.arch, 0xc000003e);
		if (info.op == 1 && info.data[0] == SYS_getpgid) {
			CHECK_EQ(info.data[1], 0);
			stops = 1;
		} else if (info.op == 2 && stops == 1) {
			CHECK_EQ(info.data[0], getpgrp());
			CHECK_EQ(info.data[1] & 0xff, 0);
			stops = 2;
		}
	}
	CHECK_EQ(stops, 2);
}

TEST(single_steps_stop_after_each_instruction) {
	struct user_regs_struct registers;
	unsigned long last = 0;
	pid_t child = TRACED(3);
	TRY(await_stop(child, SIGSTOP));
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(trace(PTRACE_SINGLESTEP, child, 0, 0), 0);
		TRY(await_stop(child, SIGTRAP));
		CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (uintptr_t)&registers), 0);
		CHECK(registers.rip != last);
		last = registers.rip;
	}
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_exit(child, 3));
}

__attribute__((noinline)) static void broken(void) {
	__asm__ volatile("nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop");
}

TEST(a_breakpoint_stops_and_is_stepped_over) {
	struct user_regs_struct registers;
	uintptr_t at = (uintptr_t)broken;
	long code;
	pid_t child = TRACED(broken(); 4);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_PEEKTEXT, child, at, (uintptr_t)&code), 0);
	CHECK_EQ(trace(PTRACE_POKETEXT, child, at, (code & ~0xffl) | 0xcc), 0);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_stop(child, SIGTRAP));
	CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (uintptr_t)&registers), 0);
	CHECK_EQ(registers.rip, at + 1);
	CHECK_EQ(trace(PTRACE_POKETEXT, child, at, code), 0);
	registers.rip = at;
	CHECK_EQ(trace(PTRACE_SETREGS, child, 0, (uintptr_t)&registers), 0);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_exit(child, 4));
}

TEST(a_running_process_is_attached_and_let_go) {
	pid_t child = fork();
	if (!child) for (;;) pause();
	sleep_ms(10);
	CHECK_EQ(trace(PTRACE_ATTACH, child, 0, 0), 0);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_DETACH, child, 0, 0), 0);
	CHECK_ERRNO(trace(PTRACE_CONT, child, 0, 0), ESRCH);
	kill(child, SIGTERM);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, SIGTERM);
}

TEST(a_process_is_seized_and_interrupted) {
	pid_t child = fork();
	if (!child) for (;;) pause();
	sleep_ms(10);
	CHECK_EQ(trace(PTRACE_SEIZE, child, 0, 0), 0);
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	CHECK_EQ(trace(PTRACE_INTERRUPT, child, 0, 0), 0);
	TRY(await_stop(child, SIGTRAP | PTRACE_EVENT_STOP << 8));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	kill(child, SIGTERM);
	TRY(await_stop(child, SIGTERM));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, SIGTERM), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, SIGTERM);
}

TEST(forks_and_exits_are_reported) {
	unsigned long message = 0;
	pid_t child = TRACED(({ pid_t grandchild = fork(); if (!grandchild) _exit(0); waitpid(grandchild, NULL, 0); 2; }));
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL), 0);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_stop(child, SIGTRAP | PTRACE_EVENT_FORK << 8));
	CHECK_EQ(trace(PTRACE_GETEVENTMSG, child, 0, (uintptr_t)&message), 0);
	pid_t grandchild = (pid_t)message;
	TRY(await_stop(grandchild, SIGSTOP));
	CHECK_EQ(trace(PTRACE_CONT, grandchild, 0, 0), 0);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_stop(grandchild, SIGTRAP | PTRACE_EVENT_EXIT << 8));
	CHECK_EQ(trace(PTRACE_CONT, grandchild, 0, 0), 0);
	CHECK_EQ(waitpid(grandchild, &status, __WALL), grandchild);
	/* The death of its child brings it SIGCHLD, which stops it too. */
	TRY(await_stop(child, SIGCHLD));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_stop(child, SIGTRAP | PTRACE_EVENT_EXIT << 8));
	CHECK_EQ(trace(PTRACE_GETEVENTMSG, child, 0, (uintptr_t)&message), 0);
	CHECK_EQ(message, 2 << 8);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_exit(child, 2));
}

TEST(exec_is_reported) {
	char *argv[] = {"x", "--no-test-of-this-name", NULL}, *envp[] = {NULL};
	pid_t child = TRACED(execve("/proc/self/exe", argv, envp); 1);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXEC), 0);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_stop(child, SIGTRAP | PTRACE_EVENT_EXEC << 8));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_exit(child, 0));
	/* Without the option exec is a plain SIGTRAP. */
	child = TRACED(execve("/proc/self/exe", argv, envp); 1);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_stop(child, SIGTRAP));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
	TRY(await_exit(child, 0));
}

TEST(a_tracer_that_dies_lets_its_tracees_go) {
	pid_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t victim = fork();
	if (!victim) for (;;) pause();
	pid_t tracer = fork();
	if (!tracer) {
		int stopped;
		CHILD_CHECK(trace(PTRACE_ATTACH, victim, 0, 0) == 0);
		CHILD_CHECK(waitpid(victim, &stopped, __WALL) == victim);
		CHILD_CHECK(trace(PTRACE_CONT, victim, 0, 0) == 0);
		_exit(0);
	}
	TRY(await_exit(tracer, 0));
	kill(victim, SIGTERM);
	CHECK_EQ(waitpid(victim, &status, 0), victim);
	CHECK_EQ(status, SIGTERM);
	munmap(shared, 4096);
}

TEST(requests_are_checked) {
	pid_t child = fork();
	if (!child) for (;;) pause();
	CHECK_ERRNO(trace(PTRACE_CONT, child, 0, 0), ESRCH);
	CHECK_ERRNO(trace(PTRACE_ATTACH, 0x3fffffff, 0, 0), ESRCH);
	CHECK_ERRNO(trace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
	CHECK_EQ(trace(PTRACE_SEIZE, child, 0, 0), 0);
	CHECK_ERRNO(trace(PTRACE_SEIZE, child, 0, 0), EPERM);
	CHECK_ERRNO(trace(PTRACE_GETREGS, child, 0, 0), ESRCH);
	CHECK_EQ(trace(PTRACE_INTERRUPT, child, 0, 0), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_ERRNO(trace(PTRACE_CONT, child, 0, 65), EIO);
	CHECK_ERRNO(trace(PTRACE_SETOPTIONS, child, 0, 1 << 30), EINVAL);
	CHECK_ERRNO(trace(0x7777, child, 0, 0), EIO);
	kill(child, SIGKILL);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, SIGKILL);
}
