/* ptrace(2): threads, group stops, waits, deaths, and the registers and signals a debugger changes. */
#include "test.h"
#include "linux.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
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

static void await_kill(pid_t child, int signal) {
	CHECK_EQ(waitpid(child, &status, __WALL), child);
	CHECK_EQ(status, signal);
}

static void resume(pid_t child) {
	CHECK_EQ(trace(PTRACE_CONT, child, 0, 0), 0);
}

#define EVENT(event) (SIGTRAP | (event) << 8)

static void *wait_a_moment(void *argument) {
	sleep_ms(1);
	return argument;
}

TEST(a_new_thread_is_traced_and_its_end_reported) {
	unsigned long tid = 0;
	pid_t child = TRACED({ pthread_t t; pthread_create(&t, NULL, wait_a_moment, NULL); pthread_join(t, NULL); sleep_ms(20); }; 3);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACECLONE), 0);
	TRY(resume(child));
	TRY(await_stop(child, EVENT(PTRACE_EVENT_CLONE)));
	CHECK_EQ(trace(PTRACE_GETEVENTMSG, child, 0, (uintptr_t)&tid), 0);
	TRY(await_stop((pid_t)tid, SIGSTOP));
	TRY(resume((pid_t)tid));
	TRY(resume(child));
	TRY(await_exit((pid_t)tid, 0));
	TRY(await_exit(child, 3));
}

static void *exec_true(void *name) {
	char *argv[] = {name, "--no-test-of-this-name", NULL}, *envp[] = {NULL};
	execve("/proc/self/exe", argv, envp);
	return NULL;
}

TEST(a_thread_that_executes_a_program_takes_the_place_of_the_leader) {
	unsigned long tid = 0, old = 0;
	pid_t child = TRACED({ pthread_t t; pthread_create(&t, NULL, exec_true, "x"); pause(); }; 3);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC), 0);
	TRY(resume(child));
	TRY(await_stop(child, EVENT(PTRACE_EVENT_CLONE)));
	CHECK_EQ(trace(PTRACE_GETEVENTMSG, child, 0, (uintptr_t)&tid), 0);
	TRY(await_stop((pid_t)tid, SIGSTOP));
	TRY(resume(child));
	TRY(resume((pid_t)tid));
	TRY(await_stop(child, EVENT(PTRACE_EVENT_EXEC)));
	CHECK_EQ(trace(PTRACE_GETEVENTMSG, child, 0, (uintptr_t)&old), 0);
	CHECK_EQ(old, tid);
	CHECK_ERRNO(trace(PTRACE_CONT, (pid_t)tid, 0, 0), ESRCH);
	TRY(resume(child));
	TRY(await_exit(child, 0));
}

TEST(a_vfork_is_seen_at_both_ends) {
	unsigned long vforked = 0, done = 0;
	pid_t child = TRACED(({ if (!vfork()) _exit(0); wait(NULL); }); 4);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE), 0);
	TRY(resume(child));
	TRY(await_stop(child, EVENT(PTRACE_EVENT_VFORK)));
	CHECK_EQ(trace(PTRACE_GETEVENTMSG, child, 0, (uintptr_t)&vforked), 0);
	TRY(await_stop((pid_t)vforked, SIGSTOP));
	TRY(resume((pid_t)vforked));
	TRY(resume(child));
	TRY(await_exit((pid_t)vforked, 0));
	TRY(await_stop(child, EVENT(PTRACE_EVENT_VFORK_DONE)));
	CHECK_EQ(trace(PTRACE_GETEVENTMSG, child, 0, (uintptr_t)&done), 0);
	CHECK_EQ(done, vforked);
	TRY(resume(child));
	TRY(await_stop(child, SIGCHLD));
	TRY(resume(child));
	TRY(await_exit(child, 4));
}

TEST(flags_of_clone_trace_a_child_always_or_never) {
	for (int never = 0; never < 2; never++) {
		unsigned long flag = never ? CLONE_UNTRACED : CLONE_PTRACE;
		pid_t child = TRACED(({
			long grandchild = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);
			if (!grandchild) _exit(0);
			waitpid((pid_t)grandchild, NULL, 0);
		}); 6);
		TRY(await_stop(child, SIGSTOP));
		CHECK_EQ(trace(PTRACE_SETOPTIONS, child, 0, never ? PTRACE_O_TRACEFORK : 0), 0);
		TRY(resume(child));
		if (!never) {
			pid_t grandchild = waitpid(-1, &status, __WALL);
			CHECK(grandchild > 0 && grandchild != child && status >> 8 == SIGSTOP);
			TRY(resume(grandchild));
			TRY(await_exit(grandchild, 0));
		}
		TRY(await_stop(child, SIGCHLD));
		TRY(resume(child));
		TRY(await_exit(child, 6));
	}
}

TEST(a_group_stop_is_a_stop_without_information) {
	siginfo_t info;
	pid_t child = TRACED(1);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_GETSIGINFO, child, 0, (uintptr_t)&info), 0);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, SIGSTOP), 0);
	TRY(await_stop(child, SIGSTOP));
	CHECK_ERRNO(trace(PTRACE_GETSIGINFO, child, 0, (uintptr_t)&info), EINVAL);
	TRY(resume(child));
	TRY(await_exit(child, 1));
}

static pid_t sleeper(void) {
	int p[2];
	char byte;
	if (pipe(p)) return -1;
	pid_t child = fork();
	if (!child) {
		if (write(p[1], "x", 1) == 1) for (;;) pause();
		_exit(1);
	}
	if (read(p[0], &byte, 1) != 1) return -1;
	close(p[0]), close(p[1]);
	return child;
}

TEST(who_seizes_sees_group_stops_begin_and_end) {
	siginfo_t info;
	pid_t child = sleeper();
	CHECK_EQ(trace(PTRACE_SEIZE, child, 0, 0), 0);
	CHECK_ERRNO(trace(PTRACE_LISTEN, child, 0, 0), ESRCH);
	kill(child, SIGSTOP);
	TRY(await_stop(child, SIGSTOP));
	CHECK_ERRNO(trace(PTRACE_LISTEN, child, 0, 0), EIO);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, SIGSTOP), 0);
	TRY(await_stop(child, SIGSTOP | PTRACE_EVENT_STOP << 8));
	CHECK_EQ(trace(PTRACE_GETSIGINFO, child, 0, (uintptr_t)&info), 0);
	CHECK_EQ(info.si_code, SIGSTOP | PTRACE_EVENT_STOP << 8);
	CHECK_EQ(trace(PTRACE_LISTEN, child, 0, 0), 0);
	CHECK_ERRNO(trace(PTRACE_CONT, child, 0, 0), ESRCH);
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	kill(child, SIGCONT);
	TRY(await_stop(child, EVENT(PTRACE_EVENT_STOP)));
	TRY(resume(child));
	TRY(await_stop(child, SIGCONT));
	TRY(resume(child));
	kill(child, SIGKILL);
	TRY(await_kill(child, SIGKILL));
}

TEST(a_listening_tracee_is_interrupted) {
	pid_t child = sleeper();
	CHECK_EQ(trace(PTRACE_SEIZE, child, 0, 0), 0);
	kill(child, SIGSTOP);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_CONT, child, 0, SIGSTOP), 0);
	TRY(await_stop(child, SIGSTOP | PTRACE_EVENT_STOP << 8));
	CHECK_EQ(trace(PTRACE_LISTEN, child, 0, 0), 0);
	CHECK_EQ(trace(PTRACE_INTERRUPT, child, 0, 0), 0);
	TRY(await_stop(child, SIGSTOP | PTRACE_EVENT_STOP << 8));
	kill(child, SIGKILL);
	TRY(await_kill(child, SIGKILL));
}

TEST(a_stopped_process_can_be_attached_and_stays_stopped) {
	pid_t child = sleeper();
	kill(child, SIGSTOP);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	CHECK_EQ(trace(PTRACE_ATTACH, child, 0, 0), 0);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_DETACH, child, 0, 0), 0);
	kill(child, SIGKILL);
	TRY(await_kill(child, SIGKILL));
}

TEST(an_interrupted_call_goes_on) {
	struct user_regs_struct registers;
	int p[2], q[2];
	char byte;
	CHECK(!pipe(p) && !pipe(q));
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(write(q[1], "x", 1) == 1);
		_exit(read(p[0], &byte, 1) == 1 ? byte : 1);
	}
	CHECK_EQ(read(q[0], &byte, 1), 1);
	sleep_ms(20);
	CHECK_EQ(trace(PTRACE_SEIZE, child, 0, 0), 0);
	CHECK_EQ(trace(PTRACE_INTERRUPT, child, 0, 0), 0);
	TRY(await_stop(child, EVENT(PTRACE_EVENT_STOP)));
	CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (uintptr_t)&registers), 0);
	CHECK_EQ(registers.orig_rax, SYS_read);
	CHECK_EQ((long)registers.rax, -512);
	TRY(resume(child));
	CHECK_EQ(write(p[1], "\x2a", 1), 1);
	TRY(await_exit(child, 42));
	close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

TEST(waitid_tells_of_traps_and_can_leave_them) {
	siginfo_t info;
	pid_t child = TRACED(2);
	for (int i = 0; i < 2; i++) {
		memset(&info, 0, sizeof info);
		CHECK_EQ(waitid(P_PID, child, &info, WSTOPPED | (i ? 0 : WNOWAIT)), 0);
		CHECK(info.si_pid == child && info.si_code == CLD_TRAPPED && info.si_status == SIGSTOP);
	}
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	TRY(resume(child));
	TRY(await_exit(child, 2));
}

TEST(stops_are_reported_without_being_asked_for_and_signalled) {
	sigset_t set;
	siginfo_t info;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	pid_t child = TRACED(2);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
	CHECK(info.si_pid == child && info.si_code == CLD_TRAPPED && info.si_status == SIGSTOP);
	CHECK_EQ(waitpid(child, &status, 0), child);
	TRY(resume(child));
	TRY(await_exit(child, 2));
	CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
	CHECK_EQ(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}

TEST(the_end_is_the_tracers_first_and_then_the_parents) {
	int p[2], q[2];
	char byte;
	CHECK(!pipe(p) && !pipe(q));
	pid_t child = sleeper();
	pid_t tracer = fork();
	if (!tracer) {
		CHILD_CHECK(trace(PTRACE_SEIZE, child, 0, 0) == 0);
		CHILD_CHECK(kill(child, SIGKILL) == 0);
		siginfo_t info;
		CHILD_CHECK(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0 && info.si_status == SIGKILL);
		CHILD_CHECK(write(p[1], "x", 1) == 1 && read(q[0], &byte, 1) == 1);
		CHILD_CHECK(waitpid(child, &status, 0) == child && status == SIGKILL);
		CHILD_CHECK(waitpid(child, &status, 0) == -1 && errno == ECHILD);
		_exit(0);
	}
	CHECK_EQ(read(p[0], &byte, 1), 1);
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	CHECK_EQ(write(q[1], "x", 1), 1);
	TRY(await_kill(child, SIGKILL));
	TRY(await_exit(tracer, 0));
	close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

TEST(a_killed_tracee_leaves_its_stop) {
	pid_t child = TRACED(1);
	TRY(await_stop(child, SIGSTOP));
	kill(child, SIGKILL);
	TRY(await_kill(child, SIGKILL));
	CHECK_ERRNO(trace(PTRACE_CONT, child, 0, 0), ESRCH);
	child = TRACED(1);
	TRY(await_stop(child, SIGSTOP));
	CHECK_EQ(trace(PTRACE_KILL, child, 0, 0), 0);
	TRY(await_kill(child, SIGKILL));
}

TEST(exitkill_ends_the_tracees_of_a_dead_tracer) {
	pid_t victim = sleeper();
	pid_t tracer = fork();
	if (!tracer) _exit(trace(PTRACE_SEIZE, victim, 0, PTRACE_O_EXITKILL) == 0 ? 0 : 1);
	TRY(await_exit(tracer, 0));
	TRY(await_kill(victim, SIGKILL));
}

TEST(a_signal_that_a_dead_tracer_has_not_seen_is_delivered) {
	pid_t victim = sleeper();
	pid_t tracer = fork();
	if (!tracer) {
		CHILD_CHECK(trace(PTRACE_SEIZE, victim, 0, 0) == 0);
		kill(victim, SIGTERM);
		sleep_ms(20);
		_exit(0);
	}
	TRY(await_exit(tracer, 0));
	TRY(await_kill(victim, SIGTERM));
}

static volatile int value;

static void take(int signal, siginfo_t *info, void *context) {
	(void)signal, (void)context;
	value = info->si_value.sival_int;
}

TEST(what_a_signal_tells_can_be_changed) {
	siginfo_t info;
	struct sigaction action = {.sa_sigaction = take, .sa_flags = SA_SIGINFO};
	pid_t child = TRACED(({ sigaction(SIGUSR1, &action, NULL); sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 5}); value; }));
	TRY(await_stop(child, SIGSTOP));
	TRY(resume(child));
	TRY(await_stop(child, SIGUSR1));
	CHECK_EQ(trace(PTRACE_GETSIGINFO, child, 0, (uintptr_t)&info), 0);
	CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == 5);
	info.si_value.sival_int = 55;
	CHECK_EQ(trace(PTRACE_SETSIGINFO, child, 0, (uintptr_t)&info), 0);
	CHECK_EQ(trace(PTRACE_CONT, child, 0, SIGUSR1), 0);
	TRY(await_exit(child, 55));
}

TEST(masks_and_queues_can_be_looked_at) {
	siginfo_t infos[4];
	struct { uint64_t off; uint32_t flags; int32_t nr; } from = {0, 1, 4};
	uint64_t mask = 0;
	pid_t child = TRACED(8);
	TRY(await_stop(child, SIGSTOP));
	CHECK_ERRNO(trace(PTRACE_GETSIGMASK, child, 4, (uintptr_t)&mask), EINVAL);
	mask = 1 << (SIGUSR1 - 1) | 1 << (SIGUSR2 - 1);
	CHECK_EQ(trace(PTRACE_SETSIGMASK, child, 8, (uintptr_t)&mask), 0);
	mask = 0;
	CHECK_EQ(trace(PTRACE_GETSIGMASK, child, 8, (uintptr_t)&mask), 0);
	CHECK_EQ(mask, 1 << (SIGUSR1 - 1) | 1 << (SIGUSR2 - 1));
	kill(child, SIGUSR1);
	CHECK_EQ(trace(PTRACE_PEEKSIGINFO, child, (uintptr_t)&from, (uintptr_t)infos), 1);
	CHECK(infos[0].si_signo == SIGUSR1 && infos[0].si_pid == getpid());
	from.flags = 2;
	CHECK_ERRNO(trace(PTRACE_PEEKSIGINFO, child, (uintptr_t)&from, (uintptr_t)infos), EINVAL);
	/* raise() goes back to the mask it has saved: the signal comes. */
	CHECK_EQ(trace(PTRACE_DETACH, child, 0, 0), 0);
	TRY(await_kill(child, SIGUSR1));
}

TEST(vector_registers_are_read_and_written) {
	struct user_fpregs_struct fpregs;
	static unsigned char area[16384];
	pid_t child = TRACED(({
		double number = 1.5;
		__asm__ volatile("movsd %0, %%xmm7\n int3\n movsd %%xmm7, %0" : "+m"(number) : : "xmm7");
		(int)number;
	}));
	TRY(await_stop(child, SIGSTOP));
	TRY(resume(child));
	TRY(await_stop(child, SIGTRAP));
	CHECK_EQ(trace(PTRACE_GETFPREGS, child, 0, (uintptr_t)&fpregs), 0);
	double number = 0;
	memcpy(&number, (char *)fpregs.xmm_space + 7 * 16, 8);
	CHECK(number == 1.5);
	struct iovec vector = {area, sizeof area};
	CHECK_EQ(trace(PTRACE_GETREGSET, child, NT_X86_XSTATE, (uintptr_t)&vector), 0);
	CHECK(vector.iov_len >= 576 && vector.iov_len < sizeof area && !memcmp(area + 160 + 7 * 16, &number, 8));
	CHECK((area[464] & 3) == 3);
	number = 21;
	memcpy((char *)fpregs.xmm_space + 7 * 16, &number, 8);
	CHECK_EQ(trace(PTRACE_SETFPREGS, child, 0, (uintptr_t)&fpregs), 0);
	fpregs.mxcsr = ~0u;
	CHECK_ERRNO(trace(PTRACE_SETFPREGS, child, 0, (uintptr_t)&fpregs), EINVAL);
	TRY(resume(child));
	TRY(await_exit(child, 21));
}

static void nothing(int signal) {
	(void)signal;
}

TEST(a_step_into_a_handler_stops_at_its_first_instruction) {
	struct user_regs_struct registers;
	pid_t child = TRACED(({ signal(SIGUSR1, nothing); raise(SIGUSR1); 9; }));
	TRY(await_stop(child, SIGSTOP));
	TRY(resume(child));
	TRY(await_stop(child, SIGUSR1));
	CHECK_EQ(trace(PTRACE_SINGLESTEP, child, 0, SIGUSR1), 0);
	TRY(await_stop(child, SIGTRAP));
	CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (uintptr_t)&registers), 0);
	CHECK_EQ(registers.rip, (uintptr_t)nothing);
	TRY(resume(child));
	TRY(await_exit(child, 9));
}

TEST(proc_names_the_tracer_and_the_stop) {
	static char path[64], content[4096], wanted[64];
	pid_t child = TRACED(0);
	TRY(await_stop(child, SIGSTOP));
	snprintf(path, sizeof path, "/proc/%d/status", child);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, content, sizeof content - 1) > 0);
	close(fd);
	snprintf(wanted, sizeof wanted, "TracerPid:\t%d\n", getpid());
	CHECK(strstr(content, wanted) && strstr(content, "State:\tt (tracing stop)"));
	TRY(resume(child));
	TRY(await_exit(child, 0));
}

TEST(a_request_is_refused_for_a_reason) {
	struct user_regs_struct registers;
	long word;
	pid_t child = TRACED(0);
	TRY(await_stop(child, SIGSTOP));
	CHECK_ERRNO(trace(PTRACE_ATTACH, child, 0, 0), EPERM);
	CHECK_ERRNO(trace(PTRACE_PEEKUSER, child, 4, (uintptr_t)&word), EIO);
	CHECK_ERRNO(trace(PTRACE_PEEKUSER, child, 928, (uintptr_t)&word), EIO);
	CHECK_ERRNO(trace(PTRACE_PEEKUSER, child, 0, 8), EFAULT);
	CHECK_ERRNO(trace(PTRACE_PEEKDATA, child, (uintptr_t)&status, 8), EFAULT);
	CHECK_ERRNO(trace(PTRACE_POKEDATA, child, 8, 8), EIO);
	CHECK_ERRNO(trace(PTRACE_GETREGS, child, 0, 8), EFAULT);
	struct iovec vector = {&registers, 12};
	CHECK_ERRNO(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, (uintptr_t)&vector), EINVAL);
	vector.iov_len = 8;
	CHECK_ERRNO(trace(PTRACE_GETREGSET, child, 0x4711, (uintptr_t)&vector), EINVAL);
	CHECK_ERRNO(trace(PTRACE_GETREGSET, child, NT_PRSTATUS, 8), EFAULT);
	CHECK_EQ(trace(PTRACE_GETREGS, child, 0, (uintptr_t)&registers), 0);
	registers.fs_base = 1ul << 63;
	CHECK_ERRNO(trace(PTRACE_SETREGS, child, 0, (uintptr_t)&registers), EIO);
	CHECK_ERRNO(trace(PTRACE_INTERRUPT, child, 0, 0), EIO);
	CHECK_ERRNO(trace(PTRACE_LISTEN, child, 0, 0), EIO);
	CHECK_ERRNO(trace(PTRACE_DETACH, child, 0, 65), EIO);
	CHECK_ERRNO(trace(PTRACE_SEIZE, child, 1, 0), EIO);
	TRY(resume(child));
	TRY(await_exit(child, 0));
	pid_t stranger = fork();
	if (!stranger) {
		pid_t parent = getppid();
		CHILD_CHECK(setgid(1000) == 0 && setuid(1000) == 0);
		CHILD_CHECK(trace(PTRACE_ATTACH, parent, 0, 0) == -1 && errno == EPERM);
		_exit(0);
	}
	TRY(await_exit(stranger, 0));
}
