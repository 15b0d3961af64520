// cflags: -Wno-array-bounds
/* Hostile signal frames: rt_sigreturn trusts nothing; the process dies or goes on, the kernel stays. */
#include "test.h"
#include "linux.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int what;

static void spoil(int signal, siginfo_t *info, void *context) {
	(void)signal;
	(void)info;
	ucontext_t *user = context;
	greg_t *registers = user->uc_mcontext.gregs;
	uint32_t *area = (void *)user->uc_mcontext.fpregs;
	switch (what) {
	case 0: registers[REG_RIP] = 0xffffffff81000000; break;
	case 1: registers[REG_RIP] = 0x0000800000000000; break;
	case 2: registers[REG_RIP] = (greg_t)0x8000000000000000; break;
	case 3: registers[REG_RSP] = 0x0000800000000000; break;
	case 4: registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~0xffffll) | 0x10; break;
	case 5: registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~0xffffll) | 0x08; break;
	case 6: registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~0xffffll) | 0xffff; break;
	case 7: registers[REG_CSGSFS] = (registers[REG_CSGSFS] & 0xffffffffffffll) | 0x10ll << 48; break;
	case 8: registers[REG_EFL] = -1; break;                         /* IOPL, NT, VM, TF: only user flags are taken */
	case 9: user->uc_mcontext.fpregs = (void *)8; break;
	case 10: user->uc_mcontext.fpregs = (void *)0xffff800000000000; break;
	case 11: area[6] = 0xffffffff; break;                           /* reserved MXCSR bits */
	case 12: memset((char *)area + 512, 0xff, 64); break;           /* XSAVE header all ones */
	case 13: memset((char *)area + 464, 0xff, 48); break;           /* the kernel's own words */
	case 14: user->uc_mcontext.fpregs = NULL; break;
	case 15: user->uc_mcontext.fpregs = (void *)((char *)area + 1); break;
	case 16: ((uint32_t *)((char *)area + 464))[1] = 0xfffffff0; break; /* extended size */
	case 17: ((uint64_t *)((char *)area + 464))[1] = ~0ull; break;      /* features */
	}
}

static int after_spoiling(int how) {
	pid_t child = fork();
	if (!child) {
		struct sigaction action = {.sa_sigaction = spoil, .sa_flags = SA_SIGINFO};
		sigaction(SIGUSR1, &action, NULL);
		what = how;
		raise(SIGUSR1);
		_exit(0);
	}
	return status_of(child);
}

TEST(instruction_pointers_nowhere_kill) {
	CHECK_EQ(after_spoiling(0), 1000 + SIGSEGV);
	CHECK_EQ(after_spoiling(1), 1000 + SIGSEGV);
	CHECK_EQ(after_spoiling(2), 1000 + SIGSEGV);
}

TEST(a_wild_stack_pointer_kills) {
	CHECK(after_spoiling(3) >= 1000);
}

TEST(kernel_selectors_do_not_reach_the_kernel) {
	/* Linux forces privilege 3 on what it loads: a selector that cannot be used kills. */
	for (int how = 4; how <= 7; how++) {
		int status = after_spoiling(how);
		CHECK(status == 0 || status == 1000 + SIGSEGV || status == 1000 + SIGBUS);
	}
}

TEST(flags_a_user_may_not_set_are_left_out) {
	int status = after_spoiling(8);
	/* The trap flag is the user's to set. */
	CHECK_EQ(status, 1000 + SIGTRAP);
}

TEST(bad_vector_areas_kill_or_are_mended) {
	CHECK_EQ(after_spoiling(9), 1000 + SIGSEGV);
	CHECK_EQ(after_spoiling(10), 1000 + SIGSEGV);
	CHECK_EQ(after_spoiling(14), 0);
	for (int how = 11; how <= 17; how++) {
		int status = after_spoiling(how);
		CHECK(status == 0 || status == 1000 + SIGSEGV);
	}
}

static volatile int faults;

static void on_fault(int signal) {
	(void)signal;
	if (++faults > 1) _exit(9);
}

static int goes_on_after_a_bad_area(void) {
	struct sigaction action = {.sa_sigaction = spoil, .sa_flags = SA_SIGINFO}, fault = {.sa_handler = on_fault};
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	what = 12;
	raise(SIGUSR1);
	return faults == 1 ? 8 : 10;
}

TEST(general_registers_are_restored_before_a_bad_vector_area_faults) {
	pid_t child = fork();
	if (!child) _exit(goes_on_after_a_bad_area());
	CHECK_EQ(status_of(child), 8);
}

TEST(sigreturn_out_of_the_blue_kills) {
	static const uintptr_t stacks[] = {0, 8, 0x1000, 0x7ffffffff000, 0x800000000000, 0xffff800000000000};
	for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
		pid_t child = fork();
		if (!child) {
			__asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n hlt" : : "r"(stacks[i]));
			__builtin_unreachable();
		}
		CHECK_EQ(status_of(child), 1000 + SIGSEGV);
	}
}

TEST(a_frame_of_random_bytes_kills_or_goes_astray_alone) {
	unsigned seed = 12345;
	for (int round = 0; round < 200; round++) {
		pid_t child = fork();
		if (!child) {
			static unsigned char frame[8192] __attribute__((aligned(64)));
			alarm(1);
			for (size_t i = 0; i < sizeof frame; i++) {
				seed = seed * 1103515245 + 12345 + round;
				/* Mostly zeroes, so that some frames get far. */
				frame[i] = (seed >> 16) % 4 ? 0 : seed >> 24;
			}
			__asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n hlt" : : "r"(frame + 8));
			__builtin_unreachable();
		}
		CHECK(status_of(child) >= 1000);
	}
}

TEST(unmapped_and_tiny_alternate_stacks_kill) {
	for (int tiny = 0; tiny < 2; tiny++) {
		pid_t child = fork();
		if (!child) {
			char *room = mmap(NULL, 1 << 20, tiny ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			stack_t stack = {.ss_sp = room, .ss_size = 1 << 20};
			struct sigaction action = {.sa_sigaction = spoil, .sa_flags = SA_SIGINFO | SA_ONSTACK};
			what = 100;
			sigaction(SIGSEGV, &action, NULL);
			if (tiny) munmap(room + 4096, (1 << 20) - 4096);
			sigaltstack(&stack, NULL);
			*(volatile int *)8 = 1;
			_exit(0);
		}
		CHECK_EQ(status_of(child), 1000 + SIGSEGV);
	}
}

TEST(a_handler_address_nowhere_kills) {
	static const uintptr_t handlers[] = {8, 0x800000000000, 0xffffffff81000000, 0x8000000000000000};
	for (size_t i = 0; i < 4; i++) {
		pid_t child = fork();
		if (!child) {
			struct { uintptr_t handler; unsigned long flags; uintptr_t restorer; uint64_t mask; } action = {
				handlers[i], 0x04000000, 8, 0};
			syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8);
			kill(getpid(), SIGUSR1);
			_exit(0);
		}
		CHECK_EQ(status_of(child), 1000 + SIGSEGV);
	}
}

TEST(a_handler_without_restorer_kills) {
	pid_t child = fork();
	if (!child) {
		struct { uintptr_t handler; unsigned long flags; uintptr_t restorer; uint64_t mask; } action = {
			(uintptr_t)spoil, 0, 0, 0};
		syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8);
		kill(getpid(), SIGUSR1);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 1000 + SIGSEGV);
}
