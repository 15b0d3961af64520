// cflags: -Wno-infinite-recursion -Wno-array-bounds
/* Signals: actions, masks, queues, siginfo, alternate stacks, who gets them. */
#include "test.h"
#include "linux.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>

static atomic_int count;
static volatile int last_signal, last_code, last_pid, last_value;
static volatile long last_address;

static void on_signal(int signal) {
	last_signal = signal;
	atomic_fetch_add(&count, 1);
}

static void on_info(int signal, siginfo_t *info, void *context) {
	(void)context;
	last_signal = signal;
	last_code = info->si_code;
	last_pid = info->si_pid;
	last_value = info->si_value.sival_int;
	atomic_fetch_add(&count, 1);
}

static void install(int number, void (*handler)(int), int flags) {
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	sigaction(number, &action, NULL);
	atomic_store(&count, 0);
}

static void install_info(int number, void (*handler)(int, siginfo_t *, void *), int flags) {
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
	sigaction(number, &action, NULL);
	atomic_store(&count, 0);
}

static sigset_t set_of(int one, int two) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, one);
	if (two) sigaddset(&set, two);
	return set;
}

static void block(int number) {
	sigset_t set = set_of(number, 0);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void unblock(int number) {
	sigset_t set = set_of(number, 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(a_handler_runs_before_kill_returns) {
	install(SIGUSR1, on_signal, 0);
	for (int i = 1; i <= 100; i++) {
		CHECK_EQ(kill(getpid(), SIGUSR1), 0);
		CHECK_EQ(count, i);
	}
	CHECK_EQ(last_signal, SIGUSR1);
}

TEST(siginfo_tells_the_source) {
	install_info(SIGUSR1, on_info, 0);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK(last_code == SI_USER && last_pid == getpid());
	CHECK_EQ(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1), 0);
	CHECK(last_code == SI_TKILL && last_pid == getpid());
	CHECK_EQ(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 77}), 0);
	CHECK(last_code == SI_QUEUE && last_value == 77 && last_pid == getpid());
	CHECK_EQ(count, 3);
}

TEST(every_register_survives_a_handler) {
	install(SIGUSR1, on_signal, 0);
	long in[14], out[14];
	for (int i = 0; i < 14; i++) in[i] = 0x1111 * (i + 1);
	/* The signal comes in the middle, by tgkill, with known values in the rest. */
	__asm__ volatile(
		"push %%rbp\n push %[out]\n mov %[in], %%rbp\n"
		"mov 0(%%rbp), %%rbx\n mov 8(%%rbp), %%r8\n mov 16(%%rbp), %%r9\n mov 24(%%rbp), %%r10\n"
		"mov 32(%%rbp), %%r12\n mov 40(%%rbp), %%r13\n mov 48(%%rbp), %%r14\n mov 56(%%rbp), %%r15\n"
		"mov %[pid], %%edi\n mov %[pid], %%esi\n mov $10, %%edx\n mov $234, %%eax\n syscall\n"
		"pop %%rax\n"
		"mov %%rbx, 0(%%rax)\n mov %%r8, 8(%%rax)\n mov %%r9, 16(%%rax)\n mov %%r10, 24(%%rax)\n"
		"mov %%r12, 32(%%rax)\n mov %%r13, 40(%%rax)\n mov %%r14, 48(%%rax)\n mov %%r15, 56(%%rax)\n"
		"pop %%rbp\n"
		: : [in] "a"(in), [out] "c"(out), [pid] "d"(getpid())
		: "rbx", "rdi", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	CHECK_EQ(count, 1);
	CHECK(!memcmp(in, out, 64));
}

static void clobber_vectors(int signal) {
	(void)signal;
	__asm__ volatile("pxor %%xmm0, %%xmm0\n pxor %%xmm7, %%xmm7\n pxor %%xmm15, %%xmm15\n fninit"
	                 : : : "xmm0", "xmm7", "xmm15");
	unsigned mxcsr = 0x1f80 | 0x6000;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	atomic_fetch_add(&count, 1);
}

TEST(vector_registers_and_modes_survive_a_handler) {
	install(SIGUSR1, clobber_vectors, 0);
	double a = 1.5, b = 2.5, c = 3.5;
	unsigned mxcsr = 0x1fa0, after = 0;
	long pid = getpid(), number = SYS_tgkill;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	register double x __asm__("xmm0") = a;
	register double y __asm__("xmm7") = b;
	register double z __asm__("xmm15") = c;
	__asm__ volatile("syscall" : "+a"(number), "+x"(x), "+x"(y), "+x"(z)
	                 : "D"(pid), "S"(pid), "d"((long)SIGUSR1) : "rcx", "r11", "memory");
	double x2 = x, y2 = y, z2 = z;
	__asm__ volatile("stmxcsr %0" : "=m"(after));
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	CHECK_EQ(count, 1);
	CHECK(x2 == a && y2 == b && z2 == c);
	CHECK_EQ(after, 0x1fa0);
}

static void change_context(int signal, siginfo_t *info, void *context) {
	(void)signal;
	(void)info;
	ucontext_t *user = context;
	/* The faulting instruction is two bytes long: mov (%rax), %eax. */
	user->uc_mcontext.gregs[REG_RIP] += 2;
	user->uc_mcontext.gregs[REG_RAX] = 4711;
	atomic_fetch_add(&count, 1);
}

TEST(a_handler_can_change_the_context_it_returns_to) {
	long value = 8;
	install_info(SIGSEGV, change_context, 0);
	__asm__ volatile(".byte 0x8b, 0x00" : "+a"(value) : : "memory");
	CHECK_EQ(value, 4711);
	CHECK_EQ(count, 1);
	signal(SIGSEGV, SIG_DFL);
}

static void mask_of_context(int signal, siginfo_t *info, void *context) {
	(void)signal;
	(void)info;
	sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGUSR2);
}

TEST(a_handler_can_change_the_mask_it_returns_to) {
	sigset_t mask;
	install_info(SIGUSR1, mask_of_context, 0);
	raise(SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	CHECK(sigismember(&mask, SIGUSR2) && !sigismember(&mask, SIGUSR1));
	unblock(SIGUSR2);
}

TEST(a_blocked_signal_waits) {
	sigset_t pending;
	install(SIGUSR1, on_signal, 0);
	block(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQ(count, 0);
	CHECK_EQ(sigpending(&pending), 0);
	CHECK(sigismember(&pending, SIGUSR1));
	unblock(SIGUSR1);
	CHECK_EQ(count, 1);
}

static int sequence[16];

static void on_queued(int signal, siginfo_t *info, void *context) {
	(void)context;
	int at = atomic_fetch_add(&count, 1);
	if (at < 16) sequence[at] = (signal - SIGRTMIN) * 100 + info->si_value.sival_int;
}

TEST(real_time_signals_queue_in_order_lowest_first) {
	install_info(SIGRTMIN + 2, on_queued, 0);
	install_info(SIGRTMIN + 1, on_queued, 0);
	block(SIGRTMIN + 1);
	block(SIGRTMIN + 2);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = i}), 0);
		CHECK_EQ(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i}), 0);
	}
	sigset_t both = set_of(SIGRTMIN + 1, SIGRTMIN + 2);
	sigprocmask(SIG_UNBLOCK, &both, NULL);
	CHECK_EQ(count, 8);
	/* The frames are stacked: the handler of the highest runs first unless the lower masks it; each of a kind in order. */
	int lower = 0, upper = 0;
	for (int i = 0; i < 8; i++) {
		if (sequence[i] / 100 == 1) CHECK_EQ(sequence[i] % 100, 10 + lower++);
		else CHECK_EQ(sequence[i] % 100, upper++);
	}
	siginfo_t info;
	block(SIGRTMIN + 1);
	block(SIGRTMIN + 2);
	sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 1});
	sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 2});
	CHECK_EQ(sigwaitinfo(&both, &info), SIGRTMIN + 1);
	CHECK_EQ(sigwaitinfo(&both, &info), SIGRTMIN + 2);
	sigprocmask(SIG_UNBLOCK, &both, NULL);
}

static atomic_int depth, deepest;

static void on_nested(int number) {
	int now = atomic_fetch_add(&depth, 1) + 1;
	if (now > atomic_load(&deepest)) atomic_store(&deepest, now);
	if (atomic_fetch_add(&count, 1) < 3) raise(number);
	atomic_fetch_sub(&depth, 1);
}

TEST(a_handler_is_not_reentered_unless_it_says_nodefer) {
	install(SIGUSR1, on_nested, 0);
	atomic_store(&deepest, 0);
	raise(SIGUSR1);
	CHECK_EQ(count, 4);
	CHECK_EQ(deepest, 1);
	install(SIGUSR1, on_nested, SA_NODEFER);
	atomic_store(&deepest, 0);
	raise(SIGUSR1);
	CHECK_EQ(count, 4);
	CHECK_EQ(deepest, 4);
}

static void raise_other(int number) {
	(void)number;
	raise(SIGUSR2);
	sequence[0] = atomic_load(&count);
}

TEST(the_mask_of_the_action_holds_during_the_handler) {
	struct sigaction action = {.sa_handler = raise_other};
	sigaddset(&action.sa_mask, SIGUSR2);
	install(SIGUSR2, on_signal, 0);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	CHECK_EQ(sequence[0], 0);
	CHECK_EQ(count, 1);
}

TEST(resethand_restores_the_default) {
	struct sigaction now;
	install(SIGUSR1, on_signal, SA_RESETHAND);
	raise(SIGUSR1);
	CHECK_EQ(count, 1);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
	CHECK(now.sa_handler == SIG_DFL);
}

TEST(sigaction_gives_back_what_was_set) {
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_NODEFER}, now;
	sigaddset(&action.sa_mask, SIGTERM);
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
	CHECK(now.sa_handler == on_signal && (now.sa_flags & (SA_RESTART | SA_NODEFER)) == (SA_RESTART | SA_NODEFER));
	CHECK(sigismember(&now.sa_mask, SIGTERM) && !sigismember(&now.sa_mask, SIGINT));
	signal(SIGUSR1, SIG_DFL);
}

TEST(arguments_are_checked) {
	unsigned long action[4] = {0};
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGKILL, action, NULL, 8), EINVAL);
	CHECK_EQ(syscall(SYS_rt_sigaction, SIGKILL, NULL, action, 8), 0);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 16), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 3, action, NULL, 8), EINVAL);
	CHECK_EQ(syscall(SYS_rt_sigprocmask, 3, NULL, action, 8), 0);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, action, NULL, 4), EINVAL);
	CHECK_ERRNO(kill(getpid(), 65), EINVAL);
	CHECK_ERRNO(kill(getpid(), -1), EINVAL);
	CHECK_ERRNO(kill(0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(kill(-0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(kill((int)0x80000000, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, 0, 1, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, 1, syscall(SYS_gettid), 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tkill, -1, 0), EINVAL);
	CHECK_EQ(kill(getpid(), 0), 0);
}

TEST(kill_and_stop_cannot_be_blocked) {
	sigset_t all, mask;
	sigfillset(&all);
	CHECK_EQ(sigprocmask(SIG_SETMASK, &all, &mask), 0);
	CHECK_EQ(sigprocmask(SIG_SETMASK, &mask, &all), 0);
	CHECK(!sigismember(&all, SIGKILL) && !sigismember(&all, SIGSTOP) && sigismember(&all, SIGTERM));
}

TEST(nobody_forges_a_kernels_siginfo) {
	siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_USER};
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
	info.si_code = SI_TKILL;
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
	info.si_code = SI_KERNEL;
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
	/* To oneself anything goes. */
	install_info(SIGUSR1, on_info, 0);
	CHECK_EQ(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info), 0);
	CHECK_EQ(last_code, SI_KERNEL);
	info.si_code = -60;
	CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR1, &info), 0);
	CHECK_EQ(last_code, -60);
}

TEST(the_queue_of_signals_has_a_limit) {
	pid_t child = fork();
	if (!child) {
		struct rlimit limit = {5, 5};
		block(SIGRTMIN);
		CHILD_CHECK(syscall(SYS_setresuid, 51234, 51234, 51234) == 0 && setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
		for (int i = 0; i < 5; i++) CHILD_CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0);
		CHILD_CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == -1 && errno == EAGAIN);
		CHILD_CHECK(kill(getpid(), SIGRTMIN) == 0);
		block(SIGUSR1);
		CHILD_CHECK(kill(getpid(), SIGUSR1) == 0);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
}

static char *alternate;
static volatile int on_alternate, flags_inside;

static void check_stack(int signal) {
	char here;
	stack_t now;
	(void)signal;
	sigaltstack(NULL, &now);
	flags_inside = now.ss_flags;
	on_alternate = &here >= alternate && &here < alternate + 65536;
}

TEST(a_handler_runs_on_the_alternate_stack_if_asked) {
	stack_t stack = {0}, now;
	alternate = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack.ss_sp = alternate;
	stack.ss_size = 65536;
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	install(SIGUSR1, check_stack, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(on_alternate && flags_inside == SS_ONSTACK);
	install(SIGUSR1, check_stack, 0);
	raise(SIGUSR1);
	CHECK(!on_alternate && flags_inside == 0);
	stack.ss_flags = (int)0x80000000; /* SS_AUTODISARM */
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	install(SIGUSR1, check_stack, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(on_alternate);
	CHECK_EQ(flags_inside, SS_DISABLE);
	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK_EQ(now.ss_flags, (int)0x80000000);
	stack.ss_flags = 0;
	stack.ss_size = 100;
	CHECK_ERRNO(syscall(SYS_sigaltstack, &stack, NULL), ENOMEM);
	stack.ss_flags = 77;
	CHECK_ERRNO(syscall(SYS_sigaltstack, &stack, NULL), EINVAL);
	stack.ss_flags = SS_DISABLE;
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK_EQ(now.ss_flags, SS_DISABLE);
}

static sigjmp_buf overflowed;

static void leave_overflow(int signal) {
	(void)signal;
	siglongjmp(overflowed, 1);
}

__attribute__((noinline)) static int recurse(int levels) {
	volatile char frame[1000];
	frame[levels % 1000] = 1;
	return recurse(levels + 1) + frame[0];
}

TEST(a_stack_overflow_is_caught_on_the_alternate_stack) {
	stack_t stack = {.ss_sp = alternate, .ss_size = 65536};
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	install(SIGSEGV, leave_overflow, SA_ONSTACK);
	for (volatile int i = 0; i < 3; i++)
		if (!sigsetjmp(overflowed, 1)) recurse(0);
	signal(SIGSEGV, SIG_DFL);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
}

TEST(a_handler_without_stack_kills) {
	pid_t child = fork();
	if (!child) {
		install(SIGUSR1, on_signal, 0);
		__asm__ volatile("mov %0, %%rdi\n mov $10, %%esi\n mov $62, %%eax\n mov $8, %%rsp\n syscall\n hlt" : : "r"((long)getpid()));
	}
	CHECK_EQ(status_of(child), 1000 + SIGSEGV);
}

TEST(a_blocked_or_ignored_fault_kills) {
	for (int ignored = 0; ignored < 2; ignored++) {
		pid_t child = fork();
		if (!child) {
			if (ignored) signal(SIGSEGV, SIG_IGN);
			else install(SIGSEGV, on_signal, 0), block(SIGSEGV);
			*(volatile int *)8 = 1;
			_exit(0);
		}
		CHECK_EQ(status_of(child), 1000 + SIGSEGV);
	}
}

static volatile long fault_code_seen;

static void leave_fault(int signal, siginfo_t *info, void *context) {
	(void)context;
	fault_code_seen = signal * 1000 + info->si_code;
	last_address = (long)info->si_addr;
	siglongjmp(overflowed, 1);
}

#define CODE_OF(instruction)                                                               \
	({                                                                                     \
		fault_code_seen = 0;                                                               \
		if (!sigsetjmp(overflowed, 1)) { instruction; }                                    \
		fault_code_seen;                                                                   \
	})

TEST(faults_have_signal_and_code) {
	static const int faults[] = {SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGBUS};
	for (int i = 0; i < 5; i++) install_info(faults[i], leave_fault, 0);
	volatile int five = 5, zero = 0;
	volatile int *volatile nowhere = (int *)24;
	CHECK_EQ(CODE_OF(*nowhere = 1), SIGSEGV * 1000 + SEGV_MAPERR);
	CHECK_EQ(last_address, 24);
	CHECK_EQ(CODE_OF(__asm__ volatile("ud2")), SIGILL * 1000 + ILL_ILLOPN);
	CHECK_EQ(CODE_OF(five /= zero), SIGFPE * 1000 + FPE_INTDIV);
	CHECK_EQ(CODE_OF(__asm__ volatile("int3")), SIGTRAP * 1000 + SI_KERNEL);
	CHECK_EQ(CODE_OF(__asm__ volatile("hlt")), SIGSEGV * 1000 + SI_KERNEL);
	CHECK_EQ(CODE_OF(__asm__ volatile("pushf\n orl $0x100, (%%rsp)\n popf\n nop" : : : "memory", "cc")), SIGTRAP * 1000 + TRAP_TRACE);
	/* By the x87 unit, as QEMU's interpreter raises no exceptions of SSE. */
	unsigned short control = 0x037f & ~4;
	CHECK_EQ(CODE_OF(__asm__ volatile("fldcw %0\n fld1\n fldz\n fdivrp\n fwait" : : "m"(control))), SIGFPE * 1000 + FPE_FLTDIV);
	__asm__ volatile("fninit");
	for (int i = 0; i < 5; i++) signal(faults[i], SIG_DFL);
}

static pthread_t threads[3];
static atomic_int handled_by[3], ready, stop;

static void note_thread(int signal) {
	(void)signal;
	for (int i = 0; i < 3; i++)
		if (pthread_equal(pthread_self(), threads[i])) atomic_fetch_add(&handled_by[i], 1);
	atomic_fetch_add(&count, 1);
}

static void *wait_for_stop(void *masked) {
	if (masked) {
		sigset_t set = set_of(SIGUSR1, 0);
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	} else {
		sigset_t set = set_of(SIGUSR1, 0);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	}
	atomic_fetch_add(&ready, 1);
	while (!atomic_load(&stop)) sleep_ms(1);
	return NULL;
}

TEST(a_process_signal_goes_to_a_thread_that_does_not_block_it) {
	install(SIGUSR1, note_thread, SA_RESTART);
	block(SIGUSR1);
	for (long i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_stop, (void *)(long)(i != 1)), 0);
	while (atomic_load(&ready) < 3) sleep_ms(1);
	for (int i = 1; i <= 20; i++) {
		CHECK_EQ(kill(getpid(), SIGUSR1), 0);
		for (int tries = 0; tries < 2000 && atomic_load(&count) < i; tries++) sleep_ms(1);
		CHECK_EQ(atomic_load(&count), i);
	}
	CHECK_EQ(handled_by[1], 20);
	CHECK_EQ(pthread_kill(threads[0], SIGUSR1), 0);
	sleep_ms(10);
	CHECK_EQ(atomic_load(&count), 20);
	atomic_store(&stop, 1);
	for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	unblock(SIGUSR1);
	CHECK_EQ(atomic_load(&count), 20);
}

TEST(masks_are_inherited_by_threads) {
	extern void *read_mask(void *);
	pthread_t thread;
	void *blocked;
	block(SIGUSR2);
	CHECK_EQ(pthread_create(&thread, NULL, read_mask, NULL), 0);
	CHECK_EQ(pthread_join(thread, &blocked), 0);
	CHECK((long)blocked);
	unblock(SIGUSR2);
}

void *read_mask(void *unused) {
	sigset_t mask;
	(void)unused;
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	return (void *)(long)sigismember(&mask, SIGUSR2);
}

TEST(sigsuspend_swaps_the_mask_and_comes_back) {
	sigset_t none, mask;
	sigemptyset(&none);
	install(SIGUSR1, on_signal, 0);
	block(SIGUSR1);
	raise(SIGUSR1);
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	CHECK_EQ(count, 1);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	CHECK(sigismember(&mask, SIGUSR1));
	unblock(SIGUSR1);
}

TEST(sigtimedwait_takes_a_pending_signal_or_times_out) {
	sigset_t set = set_of(SIGUSR1, SIGRTMIN);
	struct timespec limit = {0, 20000000}, bad = {0, -1}, start, end;
	siginfo_t info;
	sigprocmask(SIG_BLOCK, &set, NULL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_ERRNO(sigtimedwait(&set, &info, &limit), EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(ns_between(start, end) >= 20000000);
	CHECK_ERRNO(sigtimedwait(&set, &info, &bad), EINVAL);
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5});
	CHECK_EQ(sigtimedwait(&set, &info, &limit), SIGRTMIN);
	CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == 5);
	raise(SIGUSR1);
	CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void *send_soon(void *thread) {
	sleep_ms(20);
	pthread_kill(*(pthread_t *)thread, SIGUSR1);
	return NULL;
}

TEST(sigtimedwait_is_woken_and_pause_interrupted) {
	sigset_t set = set_of(SIGUSR1, 0);
	pthread_t self = pthread_self(), sender;
	install(SIGUSR1, on_signal, SA_RESTART);
	block(SIGUSR1);
	CHECK_EQ(pthread_create(&sender, NULL, send_soon, &self), 0);
	CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
	CHECK_EQ(pthread_join(sender, NULL), 0);
	CHECK_EQ(count, 0);
	unblock(SIGUSR1);
	CHECK_EQ(pthread_create(&sender, NULL, send_soon, &self), 0);
	CHECK_ERRNO(pause(), EINTR);
	CHECK_EQ(pthread_join(sender, NULL), 0);
	CHECK_EQ(count, 1);
}

TEST(a_sleep_interrupted_tells_what_is_left_and_a_stop_does_not_interrupt_it) {
	pthread_t self = pthread_self(), sender;
	struct timespec length = {5, 0}, left = {0, 0};
	install(SIGUSR1, on_signal, SA_RESTART);
	CHECK_EQ(pthread_create(&sender, NULL, send_soon, &self), 0);
	CHECK_ERRNO(nanosleep(&length, &left), EINTR);
	CHECK_EQ(pthread_join(sender, NULL), 0);
	CHECK(left.tv_sec == 4 && left.tv_nsec > 0);
	pid_t child = fork();
	if (!child) {
		struct timespec start, end, time = {0, 100000000};
		clock_gettime(CLOCK_MONOTONIC, &start);
		CHILD_CHECK(nanosleep(&time, NULL) == 0);
		clock_gettime(CLOCK_MONOTONIC, &end);
		CHILD_CHECK(ns_between(start, end) >= 100000000);
		_exit(0);
	}
	sleep_ms(20);
	kill(child, SIGSTOP);
	sleep_ms(20);
	kill(child, SIGCONT);
	CHECK_EQ(status_of(child), 0);
}

TEST(a_stopped_process_does_not_run_until_continued) {
	atomic_int *ticks = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child = fork();
	if (!child)
		for (;;) atomic_fetch_add(ticks, 1);
	while (!atomic_load(ticks)) sleep_ms(1);
	kill(child, SIGSTOP);
	siginfo_t info;
	CHECK_EQ(waitid(P_PID, child, &info, WSTOPPED), 0);
	int seen = atomic_load(ticks);
	sleep_ms(20);
	CHECK_EQ(atomic_load(ticks), seen);
	kill(child, SIGTERM);
	sleep_ms(10);
	CHECK_EQ(atomic_load(ticks), seen);
	kill(child, SIGCONT);
	CHECK_EQ(status_of(child), 1000 + SIGTERM);
	munmap(ticks, 4096);
}

TEST(sigcont_discards_stops_and_stops_discard_sigcont) {
	sigset_t pending;
	block(SIGTSTP);
	block(SIGCONT);
	raise(SIGTSTP);
	raise(SIGCONT);
	sigpending(&pending);
	CHECK(!sigismember(&pending, SIGTSTP) && sigismember(&pending, SIGCONT));
	raise(SIGTSTP);
	sigpending(&pending);
	CHECK(sigismember(&pending, SIGTSTP) && !sigismember(&pending, SIGCONT));
	raise(SIGCONT);
	unblock(SIGTSTP);
	unblock(SIGCONT);
}

TEST(ignoring_a_signal_discards_it) {
	sigset_t pending;
	block(SIGUSR1);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	sigpending(&pending);
	CHECK(!sigismember(&pending, SIGUSR1));
	signal(SIGUSR1, SIG_DFL);
	unblock(SIGUSR1);
}

TEST(defaults_are_those_of_linux) {
	static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV,
		SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSYS, 40, 64};
	static const int harmless[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH};
	for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
		pid_t child = fork();
		if (!child) {
			signal(deadly[i], SIG_DFL);
			kill(getpid(), deadly[i]);
			_exit(1);
		}
		CHECK_EQ(status_of(child), 1000 + deadly[i]);
	}
	for (int i = 0; i < 4; i++) {
		pid_t child = fork();
		if (!child) {
			kill(getpid(), harmless[i]);
			_exit(1);
		}
		CHECK_EQ(status_of(child), 1);
	}
}

TEST(kill_ends_what_sleeps_and_what_spins_soon) {
	for (int i = 0; i < 20; i++) {
		struct timespec start, end;
		pid_t child = fork();
		if (!child) {
			sigset_t all;
			sigfillset(&all);
			sigprocmask(SIG_BLOCK, &all, NULL);
			if (i % 2) for (;;) pause();
			for (;;) __asm__ volatile("pause");
		}
		sleep_ms(2);
		clock_gettime(CLOCK_MONOTONIC, &start);
		CHECK_EQ(kill(child, SIGKILL), 0);
		CHECK_EQ(status_of(child), 1000 + SIGKILL);
		clock_gettime(CLOCK_MONOTONIC, &end);
		CHECK(ns_between(start, end) < 1000000000);
	}
}

TEST(permission_to_signal_is_checked) {
	pid_t other = fork();
	if (!other) {
		syscall(SYS_setresuid, 2222, 2222, 2222);
		for (;;) pause();
	}
	sleep_ms(10);
	pid_t child = fork();
	if (!child) {
		syscall(SYS_setresuid, 1111, 1111, 1111);
		CHILD_CHECK(kill(other, 0) == -1 && errno == EPERM);
		CHILD_CHECK(kill(other, SIGTERM) == -1 && errno == EPERM);
		CHILD_CHECK(kill(getpid(), 0) == 0);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
	kill(other, SIGKILL);
	CHECK_EQ(status_of(other), 1000 + SIGKILL);
}

TEST(a_write_to_a_pipe_without_reader_signals) {
	int pipes[2];
	CHECK_EQ(pipe(pipes), 0);
	close(pipes[0]);
	install(SIGPIPE, on_signal, 0);
	CHECK_ERRNO(write(pipes[1], "x", 1), EPIPE);
	CHECK_EQ(count, 1);
	signal(SIGPIPE, SIG_DFL);
	close(pipes[1]);
}

TEST(two_processes_trade_signals) {
	enum { ROUNDS = 5000 };
	sigset_t set = set_of(SIGUSR1, SIGUSR2);
	siginfo_t info;
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid_t parent = getpid(), child = fork();
	if (!child) {
		for (int i = 0; i < ROUNDS; i++) {
			CHILD_CHECK(sigwaitinfo(&set, &info) == SIGUSR1);
			kill(parent, SIGUSR2);
		}
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		kill(child, SIGUSR1);
		CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR2);
	}
	CHECK_EQ(status_of(child), 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void *be_cancelled(void *how) {
	struct timespec length = {100, 0};
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	int pipes[2];
	char byte;
	atomic_fetch_add(&ready, 1);
	switch ((long)how) {
	case 0: nanosleep(&length, NULL); break;
	case 1:
		if (pipe(pipes)) break;
		EXPECT(read(pipes[0], &byte, 1) < 0);
		break;
	case 2:
		pthread_mutex_lock(&mutex);
		pthread_cond_wait(&condition, &mutex);
		break;
	case 3: pause(); break;
	case 4:
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
		for (;;) __asm__ volatile("");
	case 5:
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		sleep_ms(30);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		for (;;) pthread_testcancel();
	}
	return NULL;
}

TEST(threads_are_cancelled_where_they_wait) {
	for (long how = 0; how < 6; how++) {
		for (int delay_ms = 0; delay_ms < 20; delay_ms += 10) {
			pthread_t thread;
			void *result;
			CHECK_EQ(pthread_create(&thread, NULL, be_cancelled, (void *)how), 0);
			sleep_ms(delay_ms);
			CHECK_EQ(pthread_cancel(thread), 0);
			CHECK_EQ(pthread_join(thread, &result), 0);
			CHECK(result == PTHREAD_CANCELED);
		}
	}
}
