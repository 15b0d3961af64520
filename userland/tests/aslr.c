// timeout: 120
/* Where a program's parts lie is random, in at least as many bits as on Linux 6.1: measured over many runs of one program.
 *
 * A bit of an address counts if it is set in a quarter to three quarters of the runs: for one that is random that fails
 * once in 10^12. */
#include "test.h"
#include "room.h"
#include <elf.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { RUNS = 200, STACK = 0, MMAP, BRK, VDSO, PROGRAM, PARTS };
static uintptr_t seen[RUNS][PARTS];

/* Run as another program: tells where things are. */
__attribute__((constructor)) static void tell(void) {
	const char *out = getenv("ASLR_OUT");
	if (!out) return;
	int local;
	uintptr_t parts[PARTS] = {
		(uintptr_t)&local,
		(uintptr_t)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		(uintptr_t)sbrk(0),
		getauxval(AT_SYSINFO_EHDR),
		getauxval(AT_ENTRY),
	};
	_exit(write(atoi(out), parts, sizeof parts) == sizeof parts ? 0 : 1);
}

/* A position-independent program with this one as the interpreter that is to load it. */
static int write_relocatable(const char *name) {
	static const char interpreter[] = "/proc/self/exe";
	struct {
		Elf64_Ehdr file;
		Elf64_Phdr parts[2];
		char interpreter[sizeof interpreter];
	} program = {
		.file = {
			.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			.e_type = ET_DYN,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.parts = {{.p_type = PT_INTERP, .p_flags = PF_R, .p_filesz = sizeof interpreter, .p_memsz = sizeof interpreter},
			{.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = 4096, .p_memsz = 4096, .p_align = 4096}},
	};
	memcpy(program.interpreter, interpreter, sizeof interpreter);
	program.parts[0].p_offset = (char *)program.interpreter - (char *)&program;
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0755);
	int failed = write(fd, &program, sizeof program) != sizeof program || ftruncate(fd, 4096);
	return close(fd) || failed;
}

/* Runs a program many times, and notes what it tells. */
static void run_many(const char *path) {
	extern char **environ;
	int pipe_ends[2], status;
	char number[16], *arguments[] = {"aslr", NULL};
	CHECK_EQ(pipe(pipe_ends), 0);
	snprintf(number, sizeof number, "%d", pipe_ends[1]);
	CHECK_EQ(setenv("ASLR_OUT", number, 1), 0);
	for (int i = 0; i < RUNS; i++) {
		pid_t child;
		CHECK_EQ(posix_spawn(&child, path, NULL, NULL, arguments, environ), 0);
		CHECK(waitpid(child, &status, 0) == child && status == 0);
		CHECK_EQ(read(pipe_ends[0], seen[i], sizeof seen[i]), sizeof seen[i]);
	}
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	unsetenv("ASLR_OUT");
}

/* The bits, from that of a page on, that are random. */
static int random_bits(int part) {
	int bits = 0;
	for (int bit = 12; bit < 47; bit++) {
		int set = 0;
		for (int i = 0; i < RUNS; i++) set += seen[i][part] >> bit & 1;
		bits += set >= RUNS / 4 && set <= RUNS * 3 / 4;
	}
	return bits;
}

TEST(stack_maps_heap_and_vdso_lie_elsewhere_in_every_run) {
	TRY(run_many("/proc/self/exe"));
	CHECK(random_bits(STACK) >= 22);
	CHECK(random_bits(MMAP) >= 28);
	CHECK(random_bits(BRK) >= 13);
	/* On Linux just above the stack, and no more random than that but in its last bits. */
	CHECK(random_bits(VDSO) >= 13);
	/* Within a page the stack varies, too, in steps of 16 bytes. */
	int distinct = 0;
	for (int i = 1; i < RUNS; i++) distinct += (seen[i][STACK] & 0xff0) != (seen[0][STACK] & 0xff0);
	CHECK(distinct > RUNS / 2);
}

TEST(a_relocatable_program_lies_elsewhere_in_every_run) {
	CHECK_EQ(write_relocatable("program"), 0);
	TRY(run_many("./program"));
	CHECK(random_bits(PROGRAM) >= 28);
	CHECK(random_bits(STACK) >= 22);
	for (int i = 0; i < RUNS; i++) CHECK_EQ(seen[i][PROGRAM] & 0xfff, 0);
}

TEST(without_randomisation_every_run_is_the_same) {
	pid_t child = fork();
	int status;
	if (!child) {
		/* personality(ADDR_NO_RANDOMIZE), inherited by the programs. */
		CHILD_CHECK(syscall(SYS_personality, 0x0040000) >= 0);
		run_many("/proc/self/exe");
		CHILD_CHECK(!atomic_load(&test_failed));
		for (int i = 1; i < RUNS; i++) CHILD_CHECK(!memcmp(seen[0], seen[i], sizeof seen[i]));
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}
