/* Core dumps: when there is one, what wait tells of it, its name, and what is in it. */
#include "test.h"
#include "linux.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>

#define PATTERN "/proc/sys/kernel/core_pattern"

static char folder[] = "/tmp/core-test-XXXXXX";
static char old_pattern[256];

/* What a file has, up to the room there is. */
static ssize_t read_file(const char *path, void *to, size_t room) {
	int fd = open(path, O_RDONLY);
	if (fd < 0) return -1;
	ssize_t len = read(fd, to, room);
	close(fd);
	return len;
}

static int write_file(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0) return -1;
	ssize_t len = write(fd, text, strlen(text));
	close(fd);
	return len == (ssize_t)strlen(text) ? 0 : -1;
}

__attribute__((constructor(101))) static void prepare(void) {
	mkdir("/tmp", 0777);
	if (!mkdtemp(folder) || chdir(folder)) _exit(120);
	ssize_t len = read_file(PATTERN, old_pattern, sizeof old_pattern - 1);
	old_pattern[len > 0 ? len : 0] = 0;
}

static pid_t owner;

__attribute__((destructor)) static void clean_up(void) {
	if (owner && getpid() != owner) return;
	write_file(PATTERN, old_pattern);
	unlink("core");
	if (chdir("/")) return;
	rmdir(folder);
}

static void limit_core(rlim_t bytes) {
	struct rlimit limit = {bytes, RLIM_INFINITY};
	setrlimit(RLIMIT_CORE, &limit);
}

static volatile char *secret;
static char *shared, *excluded, *untouched;

/* A child that dies by the signal, with a core limit; gives its status. */
static int die_by(int signal, rlim_t limit, void (*before)(void)) {
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		limit_core(limit);
		if (before) before();
		raise(signal);
		_exit(1);
	}
	return waitpid(child, &status, 0) == child ? status : -1;
}

static int exists(const char *name) {
	struct stat stat;
	return lstat(name, &stat) == 0;
}

static void be_secretive(void) { prctl(PR_SET_DUMPABLE, 0); }

TEST(a_core_is_written_if_the_limit_allows) {
	struct stat stat;
	owner = getpid();
	CHECK_EQ(write_file(PATTERN, "core\n"), 0);
	int status = die_by(SIGSEGV, 0, NULL);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && !WCOREDUMP(status) && !exists("core"));
	status = die_by(SIGSEGV, 4095, NULL);
	CHECK(!WCOREDUMP(status) && !exists("core"));
	status = die_by(SIGTERM, RLIM_INFINITY, NULL);
	CHECK(WTERMSIG(status) == SIGTERM && !WCOREDUMP(status) && !exists("core"));
	status = die_by(SIGSEGV, RLIM_INFINITY, be_secretive);
	CHECK(WTERMSIG(status) == SIGSEGV && !WCOREDUMP(status) && !exists("core"));
	status = die_by(SIGABRT, RLIM_INFINITY, NULL);
	CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	CHECK_EQ(lstat("core", &stat), 0);
	CHECK(S_ISREG(stat.st_mode) && (stat.st_mode & 0777) == 0600 && stat.st_size > 4096);
	CHECK_EQ(unlink("core"), 0);
}

TEST(a_small_limit_cuts_the_core) {
	struct stat stat;
	int status = die_by(SIGQUIT, 8192, NULL);
	CHECK(WTERMSIG(status) == SIGQUIT && WCOREDUMP(status));
	CHECK_EQ(lstat("core", &stat), 0);
	CHECK(stat.st_size > 0 && stat.st_size <= 8192);
	CHECK_EQ(unlink("core"), 0);
}

TEST(wait_and_the_parent_are_told) {
	siginfo_t info;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		limit_core(RLIM_INFINITY);
		abort();
	}
	CHECK_EQ(waitid(P_PID, child, &info, WEXITED), 0);
	CHECK(info.si_code == CLD_DUMPED && info.si_status == SIGABRT);
	CHECK_EQ(unlink("core"), 0);
}

TEST(what_is_in_the_place_is_replaced_unless_it_is_a_directory) {
	struct stat stat;
	CHECK_EQ(symlink("elsewhere", "core"), 0);
	int status = die_by(SIGABRT, RLIM_INFINITY, NULL);
	CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status) && !exists("elsewhere"));
	CHECK(lstat("core", &stat) == 0 && S_ISREG(stat.st_mode));
	CHECK_EQ(unlink("core"), 0);
	CHECK_EQ(mkdir("core", 0777), 0);
	status = die_by(SIGABRT, RLIM_INFINITY, NULL);
	CHECK(WTERMSIG(status) == SIGABRT && !WCOREDUMP(status));
	CHECK_EQ(rmdir("core"), 0);
	int fd = open("other", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && close(fd) == 0);
	CHECK_EQ(link("other", "core"), 0);
	status = die_by(SIGABRT, RLIM_INFINITY, NULL);
	CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	CHECK(lstat("other", &stat) == 0 && stat.st_size == 0 && stat.st_nlink == 1);
	CHECK_EQ(unlink("core") | unlink("other"), 0);
}

TEST(the_pattern_names_the_file) {
	char name[64], pattern[128];
	int status;
	CHECK_EQ(write_file(PATTERN, "c.%p.%s.%u.%%x%q"), 0);
	CHECK(read_file(PATTERN, pattern, sizeof pattern) == 17 && !memcmp(pattern, "c.%p.%s.%u.%%x%q\n", 17));
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		limit_core(RLIM_INFINITY);
		abort();
	}
	CHECK(waitpid(child, &status, 0) == child && WCOREDUMP(status));
	snprintf(name, sizeof name, "c.%d.6.0.%%x", child);
	CHECK(exists(name));
	CHECK_EQ(unlink(name), 0);
	CHECK_EQ(write_file(PATTERN, "core"), 0);
}

/* The core as it is in memory. */
static char *core;
static size_t core_bytes;

static void load(void) {
	struct stat stat;
	int fd = open("core", O_RDONLY);
	if (core) munmap(core, core_bytes);
	core = NULL;
	CHECK(fd >= 0 && fstat(fd, &stat) == 0);
	core_bytes = stat.st_size;
	core = mmap(NULL, core_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	CHECK(core != MAP_FAILED);
	CHECK_EQ(unlink("core"), 0);
}

static const Elf64_Phdr *header(int index) {
	return (const Elf64_Phdr *)(core + ((const Elf64_Ehdr *)core)->e_phoff) + index;
}

/* The `nth` note of a kind, and its length. */
static const void *note(unsigned kind, int nth, unsigned *len) {
	const char *at = core + header(0)->p_offset, *end = at + header(0)->p_filesz;
	while (at < end) {
		const Elf64_Nhdr *head = (const void *)at;
		const char *content = at + sizeof *head + ((head->n_namesz + 3) & ~3u);
		if (head->n_type == kind && nth-- == 0) {
			*len = head->n_descsz;
			return content;
		}
		at = content + ((head->n_descsz + 3) & ~3u);
	}
	return NULL;
}

/* The segment of an address. */
static const Elf64_Phdr *segment(const volatile void *address) {
	uintptr_t wanted = (uintptr_t)address;
	for (int i = 1; i < ((const Elf64_Ehdr *)core)->e_phnum; i++)
		if (header(i)->p_vaddr <= wanted && wanted < header(i)->p_vaddr + header(i)->p_memsz) return header(i);
	return NULL;
}

static const char *contents(const volatile void *address) {
	const Elf64_Phdr *found = segment(address);
	if (!found || (uintptr_t)address - found->p_vaddr >= found->p_filesz) return NULL;
	return core + found->p_offset + ((uintptr_t)address - found->p_vaddr);
}

/* Two pages with nothing beside them that they could be one mapping with. */
static char *pages(int flags) {
	char *guarded = mmap(NULL, 4 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mmap(guarded + 4096, 8192, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void make_memory(void) {
	strcpy((char *)secret, "the secret");
	strcpy(shared, "shared too");
	strcpy(excluded, "left out");
}

TEST(the_core_has_headers_registers_and_memory) {
	unsigned len;
	secret = pages(MAP_PRIVATE);
	shared = pages(MAP_SHARED);
	excluded = pages(MAP_PRIVATE);
	untouched = pages(MAP_PRIVATE);
	CHECK_EQ(madvise(excluded, 8192, MADV_DONTDUMP), 0);
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		limit_core(RLIM_INFINITY);
		make_memory();
		__asm__ volatile("mov $0x1122334455667788, %%rbx\n movq %%rbx, %%xmm5\n movb $0, 8" ::: "rbx", "xmm5");
		_exit(1);
	}
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGSEGV && WCOREDUMP(status));
	TRY(load());
	const Elf64_Ehdr *elf = (const void *)core;
	CHECK(!memcmp(elf->e_ident, "\x7f" "ELF\2\1\1", 7) && elf->e_type == ET_CORE && elf->e_machine == EM_X86_64);
	CHECK(header(0)->p_type == PT_NOTE);

	const struct elf_prstatus *thread = note(NT_PRSTATUS, 0, &len);
	CHECK(thread && len == sizeof *thread);
	CHECK(thread->pr_pid == child && thread->pr_ppid == getpid() && thread->pr_cursig == SIGSEGV);
	const struct user_regs_struct *regs = (const void *)&thread->pr_reg;
	CHECK_EQ(regs->rbx, 0x1122334455667788);
	CHECK(contents((void *)regs->rsp) != NULL);
	const struct elf_prpsinfo *process = note(NT_PRPSINFO, 0, &len);
	CHECK(process && len == sizeof *process);
	CHECK(process->pr_pid == child && !strncmp(process->pr_fname, "core", 4));
	const siginfo_t *info = note(NT_SIGINFO, 0, &len);
	CHECK(info && len == sizeof *info);
	CHECK(info->si_signo == SIGSEGV && info->si_addr == (void *)8 && info->si_code == 1);
	const Elf64_auxv_t *aux = note(NT_AUXV, 0, &len);
	CHECK(aux && len >= 20 * sizeof *aux && len % sizeof *aux == 0);
	const unsigned char *fp = note(NT_PRFPREG, 0, &len);
	CHECK(fp && len == 512);
	CHECK(!memcmp(fp + 160 + 5 * 16, "\x88\x77\x66\x55\x44\x33\x22\x11", 8));
	CHECK(note(NT_X86_XSTATE, 0, &len) && len >= 576);

	const long *files = note(NT_FILE, 0, &len);
	CHECK(files && files[0] >= 1 && files[1] == 4096);
	int is_named = 0;
	for (long i = 0; i < files[0]; i++)
		is_named |= files[2 + 3 * i] <= (long)exists && (long)exists < files[3 + 3 * i];
	CHECK(is_named);

	CHECK(contents(secret) && !strcmp(contents(secret), "the secret"));
	CHECK(contents(shared) && !strcmp(contents(shared), "shared too"));
	CHECK(segment(excluded) && !contents(excluded));
	/* Memory that was never written to, and of memory that was, the page that was not. */
	CHECK(segment(untouched) && !contents(untouched));
	CHECK(contents(secret + 5000) && !contents(secret + 5000)[0]);
	/* Of the program itself the first page, and all that was written to. */
	CHECK(contents(&owner));
	CHECK(!contents((void *)exists) || segment((void *)exists)->p_filesz == 4096);
}

static void *wait_for_the_end(void *argument) {
	atomic_fetch_add((atomic_int *)argument, 1);
	for (;;) pause();
	return NULL;
}

static void *spin_for_the_end(void *argument) {
	atomic_fetch_add((atomic_int *)argument, 1);
	for (;;) __asm__ volatile("pause");
	return NULL;
}

TEST(every_thread_is_in_the_core) {
	unsigned len;
	int status, count = 0, found = 0;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		static atomic_int ready;
		pthread_t thread;
		limit_core(RLIM_INFINITY);
		for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, wait_for_the_end, &ready);
		pthread_create(&thread, NULL, spin_for_the_end, &ready);
		while (atomic_load(&ready) < 4) usleep(100);
		abort();
	}
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	TRY(load());
	const struct elf_prstatus *thread;
	while ((thread = note(NT_PRSTATUS, count, &len))) {
		const struct user_regs_struct *regs = (const void *)&thread->pr_reg;
		if (count == 0) CHECK_EQ(thread->pr_pid, child);
		found += (long)regs->orig_rax == SYS_pause;
		count++;
	}
	CHECK_EQ(count, 5);
	CHECK_EQ(found, 3);
}

static void filter_all(void) {
	write_file("/proc/self/coredump_filter", "0x7f");
	make_memory();
}

static void filter_private(void) {
	write_file("/proc/self/coredump_filter", "2");
	make_memory();
}

TEST(the_filter_chooses_memory) {
	char text[16] = "";
	int status;
	CHECK_EQ(read_file("/proc/self/coredump_filter", text, sizeof text - 1), 9);
	CHECK(!strcmp(text, "00000033\n"));
	CHECK_EQ(write_file("/proc/self/coredump_filter", "nonsense"), -1);
	status = die_by(SIGABRT, RLIM_INFINITY, filter_all);
	CHECK(WCOREDUMP(status));
	TRY(load());
	CHECK(contents(secret) && contents(shared) && contents((void *)exists));
	status = die_by(SIGABRT, RLIM_INFINITY, filter_private);
	CHECK(WCOREDUMP(status));
	TRY(load());
	CHECK(!contents(secret) && contents(shared) && !contents((void *)exists));
	CHECK_EQ(write_file("/proc/self/coredump_filter", "0x31"), 0);
	pid_t child = fork();
	if (child == 0) {
		memset(text, 0, sizeof text);
		CHILD_CHECK(read_file("/proc/self/coredump_filter", text, sizeof text - 1) == 9);
		_exit(strcmp(text, "00000031\n") ? 1 : 0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}
