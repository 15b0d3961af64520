/* The frame a handler runs on: what it shows, what a handler may change in it, and frames nobody could return to. */
#include "test.h"
#include "linux.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>

#define MAGIC1 0x46505853u
#define MAGIC2 0x46505845u
#define UC_FLAGS 7ul

struct sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, padding[7];
};

static ucontext_t seen;
static siginfo_t seen_info;
static uint64_t seen_flags, seen_mask, change_by;
static struct sw_bytes seen_sw;
static uint32_t seen_magic2;
static uintptr_t seen_frame, seen_fp;
static int change;

static void look(int signal, siginfo_t *info, void *context) {
	ucontext_t *uc = context;
	(void)signal;
	memcpy(&seen, uc, sizeof(uint64_t) * 5 + sizeof(mcontext_t));
	memcpy(&seen_mask, &uc->uc_sigmask, 8);
	seen_info = *info;
	seen_flags = uc->uc_flags;
	seen_frame = (uintptr_t)context;
	seen_fp = (uintptr_t)uc->uc_mcontext.fpregs;
	memcpy(&seen_sw, (char *)seen_fp + 464, sizeof seen_sw);
	if (seen_sw.magic1 == MAGIC1) memcpy(&seen_magic2, (char *)seen_fp + seen_sw.xstate_size, 4);
	if (change) uc->uc_mcontext.gregs[change - 1] += change_by;
}

static void handle(int signal, int change_register, uint64_t by) {
	struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
	sigaction(signal, &action, NULL);
	change = change_register;
	change_by = by;
}

TEST(the_frame_shows_registers_mask_and_vector_state) {
	sigset_t blocked, old;
	handle(SIGUSR1, 0, 0);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK_EQ(seen_flags, UC_FLAGS);
	CHECK(seen.uc_link == NULL);
	CHECK(seen_mask & 1ull << (SIGUSR2 - 1));
	CHECK_EQ(seen.uc_mcontext.gregs[REG_CSGSFS] & 0xffff, 0x33);
	CHECK_EQ((seen.uc_mcontext.gregs[REG_CSGSFS] >> 48) & 0xffff, 0x2b);
	CHECK_EQ(seen.uc_mcontext.gregs[REG_OLDMASK], (long long)seen_mask);
	CHECK_EQ(seen_frame % 16, 0);
	CHECK_EQ(seen_fp % 64, 0);
	CHECK_EQ(seen_sw.magic1, MAGIC1);
	CHECK(seen_sw.xstate_size >= 576 && seen_sw.extended_size == seen_sw.xstate_size + 4);
	CHECK_EQ(seen_sw.xfeatures & 3, 3);
	CHECK_EQ(seen_magic2, MAGIC2);
	CHECK((uintptr_t)seen.uc_mcontext.gregs[REG_RSP] > seen_fp + seen_sw.extended_size + 127);
}

TEST(a_handler_can_change_a_register) {
	long value = 5;
	handle(SIGTRAP, REG_RBX + 1, 37);
	__asm__ volatile("int3" : "+b"(value));
	CHECK_EQ(value, 42);
	CHECK_EQ(seen_info.si_code, SI_KERNEL);
	CHECK_EQ(seen.uc_mcontext.gregs[REG_TRAPNO], 3);
}

TEST(a_fault_shows_its_address_and_can_be_skipped) {
	volatile char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handle(SIGSEGV, REG_RIP + 1, 3);
	__asm__ volatile("movb $1, (%0)" : : "a"(none + 5) : "memory");
	CHECK_EQ(seen_info.si_code, SEGV_ACCERR);
	CHECK(seen_info.si_addr == none + 5);
	CHECK_EQ(seen.uc_mcontext.gregs[REG_TRAPNO], 14);
	CHECK_EQ(seen.uc_mcontext.gregs[REG_ERR] & 6, 6);
	CHECK_EQ(seen.uc_mcontext.gregs[REG_CR2], (long long)(uintptr_t)(none + 5));
	munmap((void *)none, 4096);
	__asm__ volatile("movb $1, (%0)" : : "a"(none + 5) : "memory");
	CHECK_EQ(seen_info.si_code, SEGV_MAPERR);
	handle(SIGFPE, REG_RIP + 1, 2);
	__asm__ volatile("div %%ecx" : : "a"(1), "c"(0), "d"(0));
	CHECK_EQ(seen_info.si_code, FPE_INTDIV);
	CHECK_EQ((long long)(uintptr_t)seen_info.si_addr, seen.uc_mcontext.gregs[REG_RIP]);
	handle(SIGILL, REG_RIP + 1, 2);
	__asm__ volatile("ud2");
	CHECK_EQ(seen_info.si_code, ILL_ILLOPN);
	handle(SIGSEGV, REG_RIP + 1, 1);
	__asm__ volatile("hlt");
	CHECK_EQ(seen_info.si_code, SI_KERNEL);
	CHECK_EQ(seen.uc_mcontext.gregs[REG_TRAPNO], 13);
}

static double in_handler;

static void clobber(int signal) {
	(void)signal;
	__asm__ volatile("pxor %%xmm0, %%xmm0\n movsd %%xmm0, %0\n pcmpeqd %%xmm15, %%xmm15\n pcmpeqd %%xmm3, %%xmm3"
	                 : "=m"(in_handler) : : "xmm0", "xmm3", "xmm15");
}

TEST(vector_registers_survive_a_handler) {
	signal(SIGUSR1, clobber);
	uint64_t in = 0x1122334455667788, out3 = 0, out15 = 0;
	long pid = getpid();
	__asm__ volatile("movq %2, %%xmm3\n movq %2, %%xmm15\n mov $62, %%eax\n syscall\n movq %%xmm3, %0\n movq %%xmm15, %1"
	                 : "=&r"(out3), "=&r"(out15)
	                 : "r"(in), "D"(pid), "S"((long)SIGUSR1)
	                 : "rax", "rcx", "r11", "xmm3", "xmm15", "memory");
	CHECK_EQ(out3, in);
	CHECK_EQ(out15, in);
}

static volatile int direction_was_clear;

static void look_at_flags(int signal) {
	unsigned long flags;
	(void)signal;
	__asm__ volatile("pushf\n pop %0" : "=r"(flags));
	direction_was_clear = !(flags & 0x400);
}

TEST(a_handler_starts_with_the_direction_flag_clear_and_it_comes_back) {
	unsigned long flags;
	signal(SIGUSR1, look_at_flags);
	__asm__ volatile("std\n syscall\n pushf\n pop %0\n cld"
	                 : "=r"(flags) : "a"(62), "D"((long)getpid()), "S"((long)SIGUSR1) : "rcx", "r11", "memory");
	CHECK(direction_was_clear);
	CHECK(flags & 0x400);
}

TEST(the_red_zone_is_left_alone) {
	uint64_t out;
	signal(SIGUSR1, clobber);
	__asm__ volatile("movq $0x5aa5, -8(%%rsp)\n movq $0x5aa5, -128(%%rsp)\n syscall\n mov -8(%%rsp), %0\n xor -128(%%rsp), %0"
	                 : "=&r"(out) : "a"(62), "D"((long)getpid()), "S"((long)SIGUSR1) : "rcx", "r11", "memory", "xmm0");
	CHECK_EQ(out, 0);
}

/* Hostile frames. Each child returns through a frame of its own making; none may come back but to where it says. */

struct frame {
	uint64_t flags, link;
	stack_t stack;
	uint64_t registers[23];
	uint64_t fpstate, reserved[8], mask;
};

static _Alignas(64) char fp_area[16384];
static struct frame base;

static void capture(int signal, siginfo_t *info, void *context) {
	(void)signal, (void)info;
	memcpy(&base, context, sizeof base);
	struct sw_bytes sw;
	memcpy(&sw, (char *)base.fpstate + 464, sizeof sw);
	memcpy(fp_area, (char *)base.fpstate, sw.extended_size);
	base.fpstate = (uintptr_t)fp_area;
}

static void landed(void) { _exit(77); }

/* Runs rt_sigreturn on a copy of `frame` at this misalignment. */
static void jump_through(struct frame *frame, int misalign) {
	static _Alignas(64) char place[4096];
	memcpy(place + 1024 + misalign, frame, sizeof *frame);
	__asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n ud2" : : "r"(place + 1024 + misalign) : "memory");
	__builtin_unreachable();
}

enum { CS_GS_FS_SS = 18, RIP = 16, RSP = 15, EFLAGS = 17 };

static int end_of_frame(void (*spoil)(struct frame *), int misalign) {
	static _Alignas(16) char stack[8192];
	int status;
	pid_t child = fork();
	if (!child) {
		struct sigaction action = {.sa_sigaction = capture, .sa_flags = SA_SIGINFO};
		sigaction(SIGUSR1, &action, NULL);
		signal(SIGSEGV, SIG_DFL);
		raise(SIGUSR1);
		base.registers[RIP] = (uintptr_t)landed;
		base.registers[RSP] = (uintptr_t)stack + sizeof stack - 8;
		spoil(&base);
		jump_through(&base, misalign);
	}
	waitpid(child, &status, 0);
	return status;
}

static void spoil_nothing(struct frame *f) { (void)f; }
static void spoil_rip(struct frame *f) { f->registers[RIP] = 0x8000000000000000; }
static void spoil_rip_kernel(struct frame *f) { f->registers[RIP] = 0xffffffff80000000; }
static void spoil_rip_hole(struct frame *f) { f->registers[RIP] = 0x800000000000; }
static void spoil_cs(struct frame *f) { f->registers[CS_GS_FS_SS] = (f->registers[CS_GS_FS_SS] & ~0xffffull) | 0x10; }
static void spoil_ss(struct frame *f) { f->registers[CS_GS_FS_SS] &= ~(0xffffull << 48); f->registers[CS_GS_FS_SS] |= 0x10ull << 48; }
static void spoil_flags(struct frame *f) { f->registers[EFLAGS] |= 0x3000 | 0x20000 | 0x80000 | 0x100000; f->registers[EFLAGS] &= ~0x200ull; }
static void spoil_fp_pointer(struct frame *f) { f->fpstate = 0xffff800000000000; }
static void spoil_fp_unmapped(struct frame *f) { f->fpstate = 64; }
static void spoil_fp_null(struct frame *f) { f->fpstate = 0; }
static void spoil_fp_header(struct frame *f) { (void)f; memset(fp_area + 512, 0xff, 64); }
static void spoil_fp_compact(struct frame *f) { (void)f; fp_area[512 + 15] = (char)0x80, fp_area[512 + 14] = 1; }
static void spoil_fp_mxcsr(struct frame *f) { (void)f; memset(fp_area + 24, 0xff, 4); }
static void spoil_fp_magic(struct frame *f) { (void)f; memset(fp_area + 464, 0, 4); }
static void spoil_fp_size(struct frame *f) { (void)f; memset(fp_area + 464 + 16, 0xff, 4); }
static void spoil_stack(struct frame *f) { f->stack.ss_flags = 12345; f->stack.ss_size = 1; }
static void spoil_mask(struct frame *f) { f->mask = ~0ull; }

#define LANDED (77 << 8)

TEST(a_sound_frame_of_ones_own_making_is_returned_to) {
	CHECK_EQ(end_of_frame(spoil_nothing, 0), LANDED);
	CHECK_EQ(end_of_frame(spoil_nothing, 8), LANDED);
	CHECK_EQ(end_of_frame(spoil_nothing, 3), LANDED);
	CHECK_EQ(end_of_frame(spoil_stack, 0), LANDED);
	CHECK_EQ(end_of_frame(spoil_mask, 0), LANDED);
	CHECK_EQ(end_of_frame(spoil_flags, 0), LANDED);
	CHECK_EQ(end_of_frame(spoil_fp_null, 0), LANDED);
	CHECK_EQ(end_of_frame(spoil_fp_magic, 0), LANDED);
	CHECK_EQ(end_of_frame(spoil_fp_size, 0), LANDED);
}

TEST(addresses_outside_user_space_kill) {
	CHECK_EQ(end_of_frame(spoil_rip, 0) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of_frame(spoil_rip_kernel, 0) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of_frame(spoil_rip_hole, 0) & 0x7f, SIGSEGV);
}

TEST(kernel_selectors_kill) {
	CHECK_EQ(end_of_frame(spoil_cs, 0) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of_frame(spoil_ss, 0) & 0x7f, SIGSEGV);
}

TEST(malformed_vector_state_kills) {
	CHECK_EQ(end_of_frame(spoil_fp_pointer, 0) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of_frame(spoil_fp_unmapped, 0) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of_frame(spoil_fp_header, 0) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of_frame(spoil_fp_compact, 0) & 0x7f, SIGSEGV);
	CHECK_EQ(end_of_frame(spoil_fp_mxcsr, 0) & 0x7f, SIGSEGV);
}

TEST(a_return_without_any_frame_kills) {
	int status;
	pid_t child = fork();
	if (!child) {
		signal(SIGSEGV, SIG_DFL);
		__asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n ud2" : : "r"(16ul) : "memory");
		_exit(0);
	}
	waitpid(child, &status, 0);
	CHECK_EQ(status & 0x7f, SIGSEGV);
}
