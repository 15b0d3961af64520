/* Actions, masks and pending signals: rt_sigaction(2), rt_sigprocmask(2), rt_sigpending(2), sigaltstack(2). */
#include "test.h"
#include "linux.h"
#include <signal.h>
#include <sys/wait.h>
#include <sys/mman.h>

struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

#define SA_UNSUPPORTED_ 0x400ul
#define SA_EXPOSE_TAGBITS_ 0x800ul
#define SS_AUTODISARM_ (1u << 31)

static volatile sig_atomic_t count, last_signal, last_code, nested, depth, most_nested;
static volatile pid_t last_pid;
static siginfo_t last_info;

static void note(int signal) {
	count++;
	last_signal = signal;
}

static void note_info(int signal, siginfo_t *info, void *context) {
	(void)context;
	note(signal);
	last_info = *info;
	last_code = info->si_code;
	last_pid = info->si_pid;
}

static void set(int signal, void (*handler)(int), int flags) {
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	sigaction(signal, &action, NULL);
	count = 0;
	last_signal = 0;
}

static void set_info(int signal, int flags) {
	struct sigaction action = {.sa_sigaction = note_info, .sa_flags = flags | SA_SIGINFO};
	sigaction(signal, &action, NULL);
	count = 0;
	last_signal = 0;
}

TEST(a_handler_runs_and_is_told_the_signal) {
	set(SIGUSR1, note, 0);
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(last_signal, SIGUSR1);
}

TEST(kill_tells_who_sent_it) {
	set_info(SIGUSR1, 0);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(last_code, SI_USER);
	CHECK_EQ(last_pid, getpid());
	CHECK_EQ(last_info.si_uid, getuid());
	CHECK_EQ(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1), 0);
	CHECK_EQ(last_code, SI_TKILL);
	CHECK_EQ(count, 2);
}

TEST(sigqueue_carries_a_value) {
	set_info(SIGUSR1, 0);
	union sigval value = {.sival_ptr = (void *)0x123456789abcdef0};
	CHECK_EQ(sigqueue(getpid(), SIGUSR1, value), 0);
	CHECK_EQ(last_code, SI_QUEUE);
	CHECK(last_info.si_value.sival_ptr == value.sival_ptr);
}

TEST(a_blocked_signal_waits_and_comes_once) {
	sigset_t set_, old, pending;
	set(SIGUSR1, note, 0);
	sigemptyset(&set_);
	sigaddset(&set_, SIGUSR1);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set_, &old), 0);
	for (int i = 0; i < 3; i++) raise(SIGUSR1);
	CHECK_EQ(count, 0);
	CHECK_EQ(sigpending(&pending), 0);
	CHECK(sigismember(&pending, SIGUSR1));
	CHECK_EQ(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	/* Both the process's and the thread's queue may hold one: raise sends to the thread only. */
	CHECK_EQ(count, 1);
	CHECK_EQ(sigpending(&pending), 0);
	CHECK(!sigismember(&pending, SIGUSR1));
}

static int order[8], ordered;

static void note_order(int signal, siginfo_t *info, void *context) {
	(void)context;
	if (ordered < 8) order[ordered++] = (signal - SIGRTMIN) * 100 + info->si_value.sival_int;
}

TEST(realtime_signals_queue_up_and_the_lower_number_comes_first) {
	sigset_t set_, old;
	sigemptyset(&set_);
	for (int i = 0; i < 2; i++) {
		struct sigaction action = {.sa_sigaction = note_order, .sa_flags = SA_SIGINFO};
		sigfillset(&action.sa_mask);
		sigaction(SIGRTMIN + i, &action, NULL);
		sigaddset(&set_, SIGRTMIN + i);
	}
	sigprocmask(SIG_BLOCK, &set_, &old);
	ordered = 0;
	for (int i = 0; i < 6; i++) sigqueue(getpid(), SIGRTMIN + (i + 1) % 2, (union sigval){.sival_int = i});
	sigprocmask(SIG_SETMASK, &old, NULL);
	static const int expected[] = {1, 3, 5, 100, 102, 104};
	CHECK_EQ(ordered, 6);
	for (int i = 0; i < 6; i++) CHECK_EQ(order[i], expected[i]);
}

static void nest(int signal) {
	depth++;
	if (depth > most_nested) most_nested = depth;
	if (nested++ == 0) raise(signal);
	depth--;
}

TEST(a_signal_is_blocked_in_its_own_handler_unless_nodefer) {
	nested = most_nested = depth = 0;
	set(SIGUSR1, nest, 0);
	raise(SIGUSR1);
	CHECK_EQ(nested, 2);
	CHECK_EQ(most_nested, 1);
	nested = most_nested = depth = 0;
	set(SIGUSR1, nest, SA_NODEFER);
	raise(SIGUSR1);
	CHECK_EQ(nested, 2);
	CHECK_EQ(most_nested, 2);
}

static volatile sig_atomic_t mask_in_handler_had_usr2;

static void look_at_mask(int signal) {
	sigset_t mask;
	(void)signal;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	mask_in_handler_had_usr2 = sigismember(&mask, SIGUSR2) && sigismember(&mask, SIGUSR1);
}

TEST(sa_mask_blocks_during_the_handler_and_no_longer) {
	struct sigaction action = {.sa_handler = look_at_mask};
	sigset_t mask;
	sigaddset(&action.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	CHECK(mask_in_handler_had_usr2);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	CHECK(!sigismember(&mask, SIGUSR2) && !sigismember(&mask, SIGUSR1));
}

TEST(resethand_resets_the_action) {
	struct sigaction now;
	set(SIGUSR1, note, SA_RESETHAND);
	raise(SIGUSR1);
	CHECK_EQ(count, 1);
	sigaction(SIGUSR1, NULL, &now);
	CHECK(now.sa_handler == SIG_DFL);
}

TEST(ignoring_a_pending_signal_discards_it) {
	sigset_t set_, old;
	set(SIGUSR1, note, 0);
	sigemptyset(&set_);
	sigaddset(&set_, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set_, &old);
	kill(getpid(), SIGUSR1);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	set(SIGUSR1, note, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK_EQ(count, 0);
}

TEST(flags_the_kernel_does_not_know_read_back_clear) {
	struct kernel_action action = {(void *)1, ~0ul, (void *)0x1234, ~0ull}, back = {0};
	CHECK_EQ(syscall(SYS_rt_sigaction, SIGUSR2, &action, NULL, 8), 0);
	CHECK_EQ(syscall(SYS_rt_sigaction, SIGUSR2, NULL, &back, 8), 0);
	CHECK_EQ(back.flags & SA_UNSUPPORTED_, 0);
	CHECK_EQ(back.flags & SA_EXPOSE_TAGBITS_, SA_EXPOSE_TAGBITS_);
	CHECK_EQ(back.flags, 0xdc000807ul);
	CHECK_EQ((long)back.restorer, 0x1234);
	CHECK_EQ(back.mask, ~0ull & ~(1ull << (SIGKILL - 1)) & ~(1ull << (SIGSTOP - 1)));
	signal(SIGUSR2, SIG_DFL);
}

TEST(bad_arguments_of_sigaction_are_refused_in_order) {
	struct kernel_action action = {0};
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 16), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, (void *)8, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, &action, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGKILL, &action, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGSTOP, &action, NULL, 8), EINVAL);
	CHECK_EQ(syscall(SYS_rt_sigaction, SIGKILL, NULL, &action, 8), 0);
	CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, 8), EFAULT);
}

TEST(bad_arguments_of_masks_are_refused) {
	uint64_t set_ = 0;
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 7, &set_, NULL, 8), EINVAL);
	CHECK_EQ(syscall(SYS_rt_sigprocmask, 7, NULL, &set_, 8), 0);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set_, NULL, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigpending, &set_, 9), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigpending, (void *)8, 8), EFAULT);
	CHECK_EQ(syscall(SYS_rt_sigpending, &set_, 3), 0);
	CHECK_ERRNO(syscall(SYS_rt_sigsuspend, &set_, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigsuspend, (void *)8, 8), EFAULT);
}

TEST(kill_and_stop_cannot_be_blocked) {
	uint64_t all = ~0ull, old, now;
	CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, 8), 0);
	CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, &now, 8), 0);
	CHECK_EQ(now, ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1)));
}

TEST(sending_checks_its_arguments) {
	CHECK_ERRNO(kill(getpid(), 65), EINVAL);
	CHECK_ERRNO(kill(getpid(), -1), EINVAL);
	CHECK_ERRNO(kill(99999999, 0), ESRCH);
	CHECK_ERRNO(kill(99999999, 65), ESRCH);
	CHECK_ERRNO(kill((pid_t)0x80000000, 0), ESRCH);
	CHECK_EQ(kill(getpid(), 0), 0);
	CHECK_EQ(kill(0, 0), 0);
	CHECK_ERRNO(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
	CHECK_ERRNO(syscall(SYS_tkill, -1, SIGUSR1), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, 0, getpid(), 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 99999999, 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, getppid(), getpid(), 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), getpid(), 65), EINVAL);
	CHECK_EQ(syscall(SYS_tgkill, getpid(), getpid(), 0), 0);
}

TEST(information_from_the_kernel_can_be_forged_only_towards_oneself) {
	siginfo_t info = {.si_code = SI_USER};
	set_info(SIGUSR1, 0);
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
	info.si_code = SI_TKILL;
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
	info.si_code = SI_USER;
	info.si_pid = 4242;
	CHECK_EQ(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info), 0);
	CHECK_EQ(last_pid, 4242);
	info.si_code = SI_QUEUE;
	CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR1, &info), 0);
	CHECK_EQ(last_code, SI_QUEUE);
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, (void *)8), EFAULT);
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &info), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, 0, getpid(), SIGUSR1, &info), EINVAL);
}

static volatile uintptr_t handler_stack;

static void note_stack(int signal) {
	stack_t now;
	char here;
	count++;
	last_signal = signal;
	handler_stack = (uintptr_t)&here;
	sigaltstack(NULL, &now);
	last_code = now.ss_flags;
	nested = sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL) ? errno : 0;
}

TEST(a_handler_on_the_alternate_stack_runs_there_and_cannot_change_it) {
	static char stack[1 << 16];
	stack_t wanted = {.ss_sp = stack, .ss_size = sizeof stack}, was;
	CHECK_EQ(sigaltstack(&wanted, NULL), 0);
	set(SIGUSR1, note_stack, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(handler_stack > (uintptr_t)stack && handler_stack < (uintptr_t)stack + sizeof stack);
	CHECK_EQ(last_code, SS_ONSTACK);
	CHECK_EQ(nested, EPERM);
	set(SIGUSR1, note_stack, 0);
	raise(SIGUSR1);
	CHECK(handler_stack < (uintptr_t)stack || handler_stack > (uintptr_t)stack + sizeof stack);
	/* The handler disabled it; its return put it back, as uc_stack said. */
	CHECK_EQ(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, &was), 0);
	CHECK_EQ(was.ss_flags, 0);
	CHECK(was.ss_sp == stack);
}

TEST(an_autodisarmed_stack_is_gone_in_the_handler_and_back_after_it) {
	static char stack[1 << 16];
	stack_t wanted = {.ss_sp = stack, .ss_size = sizeof stack, .ss_flags = SS_AUTODISARM_}, was;
	CHECK_EQ(sigaltstack(&wanted, NULL), 0);
	set(SIGUSR1, note_stack, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(handler_stack > (uintptr_t)stack && handler_stack < (uintptr_t)stack + sizeof stack);
	CHECK_EQ(last_code, SS_DISABLE);
	CHECK_EQ(nested, 0);
	CHECK_EQ(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, &was), 0);
	CHECK(was.ss_sp == stack);
	CHECK_EQ((unsigned)was.ss_flags, SS_AUTODISARM_);
}

TEST(bad_alternate_stacks_are_refused) {
	static char stack[4096];
	CHECK_ERRNO(syscall(SYS_sigaltstack, &(stack_t){.ss_sp = stack, .ss_size = 2047}, NULL), ENOMEM);
	CHECK_ERRNO(syscall(SYS_sigaltstack, &(stack_t){.ss_sp = stack, .ss_size = 4096, .ss_flags = 4}, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_sigaltstack, (void *)8, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_sigaltstack, NULL, (void *)8), EFAULT);
}

TEST(a_fork_inherits_actions_and_mask_but_no_pending_signals) {
	sigset_t set_, old, pending;
	int status;
	set(SIGUSR1, note, 0);
	sigemptyset(&set_);
	sigaddset(&set_, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set_, &old);
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);
	pid_t child = fork();
	if (!child) {
		sigset_t mask;
		sigpending(&pending);
		CHILD_CHECK(!sigismember(&pending, SIGUSR1));
		sigprocmask(SIG_SETMASK, NULL, &mask);
		CHILD_CHECK(sigismember(&mask, SIGUSR1));
		sigprocmask(SIG_SETMASK, &old, NULL);
		CHILD_CHECK(count == 0);
		raise(SIGUSR1);
		_exit(count);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 1 << 8);
}

static volatile int *volatile bad = (int *)8;

static int end_of(void (*life)(void)) {
	int status;
	pid_t child = fork();
	if (!child) {
		life();
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status;
}

static void life_terminates(void) { raise(SIGTERM); }
static void life_aborts(void) { raise(SIGQUIT); }
static void life_realtime(void) { raise(SIGRTMIN + 5); }
static void life_ignores(void) { raise(SIGCHLD), raise(SIGURG), raise(SIGWINCH), raise(SIGCONT); }
static void life_killed_blocking(void) {
	uint64_t all = ~0ull;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	kill(getpid(), SIGKILL);
}
static void life_faults_blocked(void) {
	uint64_t all = ~0ull;
	set(SIGSEGV, note, 0);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	*bad = 0;
}
static void life_faults_ignored(void) {
	signal(SIGSEGV, SIG_IGN);
	*bad = 0;
}
static void life_without_restorer(void) {
	struct kernel_action action = {note, 0, NULL, 0};
	syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8);
	raise(SIGUSR1);
}
static void life_on_a_bad_stack(void) {
	set(SIGUSR1, note, SA_ONSTACK);
	sigaltstack(&(stack_t){.ss_sp = (void *)0x10000, .ss_size = 1 << 16}, NULL);
	raise(SIGUSR1);
}
static void life_on_a_tiny_stack(void) {
	/* A frame that would leave the stack it is nested on. */
	static char stack[2048] __attribute__((aligned(16)));
	set(SIGUSR1, note, 0);
	sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
	__asm__ volatile("mov %0, %%rsp\n call raise" : : "r"(stack + 1024), "D"(SIGUSR1) : "memory");
}

TEST(default_actions_end_or_do_nothing) {
	CHECK_EQ(end_of(life_terminates), SIGTERM);
	CHECK_EQ(end_of(life_aborts) & 0x7f, SIGQUIT);
	CHECK_EQ(end_of(life_realtime), SIGRTMIN + 5);
	CHECK_EQ(end_of(life_ignores), 0);
	CHECK_EQ(end_of(life_killed_blocking), SIGKILL);
}

TEST(a_fault_that_is_blocked_or_ignored_kills) {
	CHECK_EQ(end_of(life_faults_blocked) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of(life_faults_ignored) & 0x7f, SIGSEGV);
}

TEST(a_frame_that_cannot_be_written_kills) {
	CHECK_EQ(end_of(life_without_restorer) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of(life_on_a_bad_stack) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of(life_on_a_tiny_stack) & 0x7f, SIGSEGV);
}
