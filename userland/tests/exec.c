/* execve(2), execveat(2): arguments, what stays and what goes, scripts, errors. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

/* --- the program as the tests start it: EXEC_MODE says what it does ------------------------------------------------- */

static char **arguments;
static int argument_count;

static void find_arguments(void) {
	char **end = environ - 1; /* the NULL behind argv */
	for (argument_count = 0; (long)end[-1 - argument_count] != argument_count; argument_count++) {}
	arguments = end - argument_count;
}

static int is_default(int signal) {
	struct sigaction action;
	return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_DFL && !action.sa_flags;
}

static int check_signals(void) {
	struct sigaction ignored;
	sigset_t mask, pending;
	if (!is_default(SIGUSR1)) return 1;
	if (sigaction(SIGUSR2, NULL, &ignored) || ignored.sa_handler != SIG_IGN) return 2;
	if (sigprocmask(SIG_BLOCK, NULL, &mask) || !sigismember(&mask, SIGTERM)) return 3;
	if (sigpending(&pending) || !sigismember(&pending, SIGTERM)) return 4;
	stack_t stack;
	if (sigaltstack(NULL, &stack) || stack.ss_flags != SS_DISABLE) return 5;
	if (alarm(0) < 90) return 6;
	return 0;
}

static int mode_is(const char *mode) {
	return !strcmp(getenv("EXEC_MODE"), mode);
}

__attribute__((constructor(102))) static void run_mode(void) {
	char name[16];
	if (!getenv("EXEC_MODE")) return;
	find_arguments();
	if (mode_is("status")) _exit(argument_count > 1 ? atoi(arguments[1]) : 0);
	if (mode_is("print")) {
		for (int i = 0; i < argument_count; i++) dprintf(1, "[%s]", arguments[i]);
		_exit(0);
	}
	if (mode_is("count")) _exit(argument_count);
	if (mode_is("fds")) _exit((fcntl(50, F_GETFD) == 0) | (fcntl(51, F_GETFD) == -1) << 1);
	if (mode_is("signals")) _exit(check_signals());
	if (mode_is("pid")) _exit(getpid() == atoi(arguments[1]) && syscall(SYS_gettid) == getpid() ? 0 : 1);
	if (mode_is("comm")) _exit(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, arguments[1]) ? 0 : 1);
	if (mode_is("long")) {
		size_t all = 0;
		for (int i = 1; i < argument_count; i++) all += strlen(arguments[i]);
		_exit(all == strtoul(getenv("EXPECTED"), NULL, 10) ? 0 : 1);
	}
	if (mode_is("robust")) {
		void *list = (void *)1;
		size_t size;
		syscall(SYS_get_robust_list, 0, &list, &size);
		_exit(list == NULL ? 0 : 1);
	}
	if (mode_is("secure")) _exit(getauxval(AT_SECURE) == 0 && umask(0) == 0135 ? 0 : 1);
	_exit(90);
}

/* --- the tests --------------------------------------------------------------------------------------------------------- */

static const char *self(void) {
	static char path[4096];
	if (!path[0]) {
		/* Found before the folder of the test was entered, so it may be relative to where the program was started. */
		const char *name = (const char *)getauxval(AT_EXECFN);
		if (name[0] == '/') snprintf(path, sizeof path, "%s", name);
		else strcpy(path, "/proc/self/exe");
	}
	return path;
}

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Runs this program in a mode, with arguments, and gives its status. */
#define RUN(mode, ...)                                                                     \
	({                                                                                     \
		char *argv_[] = {"self", ##__VA_ARGS__, NULL}, *envp_[] = {"EXEC_MODE=" mode, NULL}; \
		pid_t child_ = fork();                                                             \
		if (!child_) _exit(execve(self(), argv_, envp_) ? 91 : 0);                         \
		status_of(child_);                                                                 \
	})

/* What a command prints. */
static char printed[512];

static int print_of(const char *path, char **argv) {
	int out[2];
	char *envp[] = {"EXEC_MODE=print", NULL};
	if (pipe(out)) return -1;
	pid_t child = fork();
	if (!child) {
		dup2(out[1], 1);
		execve(path, argv, envp);
		_exit(errno);
	}
	close(out[1]);
	long length = 0, more;
	while ((more = read(out[0], printed + length, sizeof printed - 1 - length)) > 0) length += more;
	printed[length] = 0;
	close(out[0]);
	return status_of(child);
}

TEST(a_program_replaces_the_caller) {
	CHECK_EQ(RUN("status", "33"), 33);
}

TEST(arguments_arrive_unchanged) {
	char *argv[] = {"zero", "", "two words", "tab\tnewline\n", "\xff", NULL};
	CHECK_EQ(print_of(self(), argv), 0);
	CHECK(!strcmp(printed, "[zero][][two words][tab\tnewline\n][\xff]"));
}

TEST(an_empty_argument_vector_becomes_one_empty_argument) {
	char *none[] = {NULL};
	CHECK_EQ(print_of(self(), none), 0);
	CHECK(!strcmp(printed, "[]"));
	CHECK_EQ(print_of(self(), NULL), 0);
	CHECK(!strcmp(printed, "[]"));
}

TEST(a_thousand_arguments_and_a_long_one_arrive) {
	static char *argv[1002], expected[32], big[131072];
	char *envp[] = {"EXEC_MODE=count", NULL, NULL};
	for (int i = 0; i < 250; i++) argv[i] = "x";
	pid_t child = fork();
	if (!child) _exit(execve(self(), argv, envp) ? 91 : 0);
	CHECK_EQ(status_of(child), 250);
	memset(big, 'y', sizeof big - 1);
	for (int i = 1; i < 6; i++) argv[i] = big;
	argv[6] = NULL;
	envp[0] = "EXEC_MODE=long";
	snprintf(expected, sizeof expected, "EXPECTED=%lu", 5 * (sizeof big - 1));
	envp[1] = expected;
	child = fork();
	if (!child) _exit(execve(self(), argv, envp) ? 91 : 0);
	CHECK_EQ(status_of(child), 0);
}

TEST(too_much_is_refused) {
	static char big[131073], *argv[100];
	char *envp[] = {NULL};
	memset(big, 'y', sizeof big - 1);
	argv[0] = big;
	CHECK_ERRNO(execve(self(), argv, envp), E2BIG);
	big[131071] = 0;
	for (int i = 0; i < 70; i++) argv[i] = big;
	/* A quarter of the stack limit, 2 MiB of 8, bounds all strings together. */
	struct rlimit limit;
	CHECK_EQ(getrlimit(RLIMIT_STACK, &limit), 0);
	limit.rlim_cur = 8 << 20;
	CHECK_EQ(setrlimit(RLIMIT_STACK, &limit), 0);
	CHECK_ERRNO(execve(self(), argv, envp), E2BIG);
}

TEST(close_on_exec_closes_and_the_rest_stays) {
	CHECK_EQ(dup2(1, 50), 50);
	CHECK_EQ(dup3(1, 51, O_CLOEXEC), 51);
	CHECK_EQ(RUN("fds"), 3);
	CHECK_EQ(fcntl(51, F_GETFD), FD_CLOEXEC);
	close(50);
	close(51);
}

static void handle(int signal) {
	(void)signal;
}

TEST(handlers_go_ignored_masked_and_pending_signals_stay) {
	pid_t child = fork();
	if (!child) {
		static char stack[8192];
		stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
		char *argv[] = {"self", NULL}, *envp[] = {"EXEC_MODE=signals", NULL};
		sigset_t term;
		struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};
		sigemptyset(&term);
		sigaddset(&term, SIGTERM);
		sigaction(SIGUSR1, &action, NULL);
		signal(SIGUSR2, SIG_IGN);
		sigprocmask(SIG_BLOCK, &term, NULL);
		sigaltstack(&alternate, NULL);
		raise(SIGTERM);
		alarm(100);
		execve(self(), argv, envp);
		_exit(92);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(umask_stays) {
	umask(0135);
	CHECK_EQ(RUN("secure"), 0);
	umask(022);
}

TEST(the_robust_list_is_forgotten) {
	pid_t child = fork();
	if (!child) {
		static struct robust_list_head head;
		char *argv[] = {"self", NULL}, *envp[] = {"EXEC_MODE=robust", NULL};
		head.list.next = &head.list;
		syscall(SYS_set_robust_list, &head, sizeof head);
		execve(self(), argv, envp);
		_exit(92);
	}
	CHECK_EQ(status_of(child), 0);
}

TEST(the_pid_stays) {
	pid_t child = fork();
	if (!child) {
		char pid[16], *argv[] = {"self", pid, NULL}, *envp[] = {"EXEC_MODE=pid", NULL};
		snprintf(pid, sizeof pid, "%d", getpid());
		execve(self(), argv, envp);
		_exit(92);
	}
	CHECK_EQ(status_of(child), 0);
}

static void *sleep_for_ever(void *unused) {
	for (;;) pause();
	return unused;
}

static void *spin_for_ever(void *unused) {
	for (;;) __asm__ volatile("pause");
	return unused;
}

static void *exec_here(void *unused) {
	(void)unused;
	char pid[16], *argv[] = {"self", pid, NULL}, *envp[] = {"EXEC_MODE=pid", NULL};
	snprintf(pid, sizeof pid, "%d", getpid());
	execve(self(), argv, envp);
	_exit(92);
}

TEST(exec_from_a_thread_ends_the_others_and_takes_the_leaders_pid) {
	for (int round = 0; round < 5; round++) {
		pid_t child = fork();
		if (!child) {
			pthread_t thread;
			for (int i = 0; i < 10; i++) pthread_create(&thread, NULL, i % 2 ? sleep_for_ever : spin_for_ever, NULL);
			pthread_create(&thread, NULL, exec_here, NULL);
			if (round % 2) pthread_exit(NULL); /* the leader may be a zombie already */
			for (;;) pause();
		}
		CHECK_EQ(status_of(child), 0);
	}
}

TEST(exec_by_the_leader_ends_all_threads) {
	pid_t child = fork();
	if (!child) {
		pthread_t thread;
		for (int i = 0; i < 20; i++) pthread_create(&thread, NULL, i % 2 ? sleep_for_ever : spin_for_ever, NULL);
		exec_here(NULL);
	}
	CHECK_EQ(status_of(child), 0);
}

static void *exec_in_a_race(void *barrier) {
	pthread_barrier_wait(barrier);
	return exec_here(NULL);
}

TEST(of_threads_that_exec_at_once_one_wins) {
	for (int round = 0; round < 10; round++) {
		pid_t child = fork();
		if (!child) {
			pthread_barrier_t barrier;
			pthread_t thread;
			pthread_barrier_init(&barrier, NULL, 5);
			for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, exec_in_a_race, &barrier);
			exec_in_a_race(&barrier);
		}
		CHECK_EQ(status_of(child), 0);
	}
}

TEST(a_vfork_parent_goes_on_when_the_child_execs) {
	char *argv[] = {"self", "44", NULL}, *envp[] = {"EXEC_MODE=status", NULL};
	self();
	pid_t child = vfork();
	if (!child) {
		execve(self(), argv, envp);
		_exit(92);
	}
	CHECK_EQ(status_of(child), 44);
}

struct cleared_tid {
	int tid;
	char *argv[3], *envp[2];
};

static int exec_child(void *argument) {
	struct cleared_tid *shared = argument;
	syscall(SYS_execve, self(), shared->argv, shared->envp);
	return 92;
}

TEST(exec_clears_the_tid_in_the_memory_it_leaves) {
	static char stack[65536] __attribute__((aligned(16)));
	static struct cleared_tid shared = {0, {"self", "0", NULL}, {"EXEC_MODE=status", NULL}};
	self();
	pid_t child = clone(exec_child, stack + sizeof stack, CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, &shared,
	                    &shared.tid, NULL, &shared.tid);
	CHECK(child > 0);
	int now;
	while ((now = __atomic_load_n(&shared.tid, __ATOMIC_SEQ_CST))) futex(&shared.tid, FUTEX_WAIT, now, NULL, NULL, 0);
	CHECK_EQ(status_of(child), 0);
}

TEST(the_name_of_the_program_becomes_the_name_of_the_thread) {
	char *argv[] = {"self", "a-name-of-more-", NULL}, *envp[] = {"EXEC_MODE=comm", NULL};
	CHECK_EQ(symlink(self(), "a-name-of-more-than-fifteen-bytes"), 0);
	pid_t child = fork();
	if (!child) _exit(execve("./a-name-of-more-than-fifteen-bytes", argv, envp) ? 91 : 0);
	CHECK_EQ(status_of(child), 0);
}

TEST(names_that_cannot_be_resolved_have_their_errors) {
	static char name[5000];
	char *argv[] = {"x", NULL}, *envp[] = {NULL};
	CHECK_ERRNO(execve("missing", argv, envp), ENOENT);
	CHECK_ERRNO(execve("", argv, envp), ENOENT);
	CHECK_EQ(room_file("plain", "text", 0644), 0);
	CHECK_ERRNO(execve("plain/below", argv, envp), ENOTDIR);
	CHECK_ERRNO(execve("plain", argv, envp), EACCES);
	CHECK_ERRNO(execve("/", argv, envp), EACCES);
	CHECK_EQ(symlink("loop", "loop"), 0);
	CHECK_ERRNO(execve("loop", argv, envp), ELOOP);
	memset(name, 'n', 256);
	CHECK_ERRNO(execve(name, argv, envp), ENAMETOOLONG);
	memset(name, 'n', 4999);
	CHECK_ERRNO(execve(name, argv, envp), ENAMETOOLONG);
}

TEST(what_is_no_program_is_enoexec_and_the_caller_lives) {
	char *argv[] = {"x", NULL}, *envp[] = {NULL};
	CHECK_EQ(room_file("text", "just text\n", 0755), 0);
	CHECK_ERRNO(execve("./text", argv, envp), ENOEXEC);
	CHECK_EQ(room_file("empty", "", 0755), 0);
	CHECK_ERRNO(execve("./empty", argv, envp), ENOEXEC);
	CHECK_EQ(room_file("magic", "\177ELF", 0755), 0);
	CHECK_ERRNO(execve("./magic", argv, envp), ENOEXEC);
	CHECK_EQ(room_file("half", "\177ELF\2\1\1", 0755), 0);
	CHECK_ERRNO(execve("./half", argv, envp), ENOEXEC);
}

/* The first bytes of this program, changed at one place, as a program of its own. */
static int start_changed(long offset, uint64_t value, int width, long keep) {
	static char bytes[4096];
	char *argv[] = {"x", NULL}, *envp[] = {"EXEC_MODE=status", NULL};
	int in = open(self(), O_RDONLY), out = open("changed", O_WRONLY | O_CREAT | O_TRUNC, 0755);
	if (in < 0 || out < 0) return -2;
	long at = 0, got;
	while ((got = read(in, bytes, sizeof bytes)) > 0 && at < keep) {
		if (got > keep - at) got = keep - at;
		if (offset >= at && offset + width <= at + got) memcpy(bytes + offset - at, &value, width);
		if (write(out, bytes, got) != got) return -3;
		at += got;
	}
	close(in);
	close(out);
	pid_t child = fork();
	if (!child) {
		execve("./changed", argv, envp);
		_exit(errno);
	}
	return status_of(child);
}

TEST(a_damaged_elf_header_is_enoexec) {
	CHECK_EQ(start_changed(0, 0, 0, 1 << 30), 0);
	CHECK_EQ(start_changed(16, 1, 2, 1 << 30), ENOEXEC);                  /* an object file */
	CHECK_EQ(start_changed(18, 183, 2, 1 << 30), ENOEXEC);                /* another machine */
	CHECK_EQ(start_changed(54, 32, 2, 1 << 30), ENOEXEC);                 /* size of a program header */
	CHECK_EQ(start_changed(56, 0, 2, 1 << 30), ENOEXEC);                  /* none of them */
	CHECK_EQ(start_changed(56, 0xffff, 2, 1 << 30), ENOEXEC);             /* too many */
	CHECK_EQ(start_changed(32, 1ull << 62, 8, 1 << 30), ENOEXEC);         /* headers beyond any file */
	CHECK_EQ(start_changed(0, 0, 0, 64), ENOEXEC);                        /* a header alone: headers cannot be read whole */
}

TEST(an_entry_point_nowhere_kills_the_new_program) {
	CHECK_EQ(start_changed(24, 8, 8, 1 << 30), 1000 + SIGSEGV);
	CHECK_EQ(start_changed(24, 0xffffffff81000000, 8, 1 << 30), 1000 + SIGSEGV);
	CHECK_EQ(start_changed(24, 0x8000000000000000, 8, 1 << 30), 1000 + SIGSEGV);
}

TEST(a_program_open_for_writing_is_busy) {
	char *argv[] = {"x", NULL}, *envp[] = {"EXEC_MODE=status", NULL};
	CHECK_EQ(start_changed(0, 0, 0, 1 << 30), 0);
	int fd = open("changed", O_WRONLY);
	CHECK(fd >= 0);
	CHECK_ERRNO(execve("./changed", argv, envp), ETXTBSY);
	close(fd);
}

TEST(a_running_program_can_be_neither_written_nor_cut) {
	CHECK_ERRNO(open(self(), O_WRONLY), ETXTBSY);
	CHECK_ERRNO(open(self(), O_RDONLY | O_TRUNC), ETXTBSY);
	CHECK_ERRNO(truncate(self(), 0), ETXTBSY);
}

static void make_script(const char *name, const char *interpreter, const char *rest) {
	char text[5000];
	snprintf(text, sizeof text, "#!%s%s", interpreter, rest);
	CHECK_EQ(room_file(name, text, 0755), 0);
}

TEST(a_script_starts_its_interpreter_with_one_argument) {
	char expected[600], *argv[] = {"ignored", "one", "two", NULL};
	if (strlen(self()) > 100 || self()[0] != '/') return;
	TRY(make_script("plain.sh", self(), "\nbody\n"));
	CHECK_EQ(print_of("./plain.sh", argv), 0);
	snprintf(expected, sizeof expected, "[%s][./plain.sh][one][two]", self());
	CHECK(!strcmp(printed, expected));
	TRY(make_script("arg.sh", self(), "  -a b  c \t\n"));
	CHECK_EQ(print_of("./arg.sh", argv), 0);
	snprintf(expected, sizeof expected, "[%s][-a b  c][./arg.sh][one][two]", self());
	CHECK(!strcmp(printed, expected));
	TRY(make_script("nonewline.sh", self(), ""));
	CHECK_EQ(print_of("./nonewline.sh", argv), 0);
}

TEST(scripts_nest_but_not_for_ever) {
	char *argv[] = {"x", NULL};
	if (strlen(self()) > 100 || self()[0] != '/') return;
	TRY(make_script("s1", self(), "\n"));
	TRY(make_script("s2", "./s1", "\n"));
	TRY(make_script("s3", "./s2", "\n"));
	TRY(make_script("s4", "./s3", "\n"));
	TRY(make_script("s5", "./s4", "\n"));
	TRY(make_script("s6", "./s5", "\n"));
	CHECK_EQ(print_of("./s2", argv), 0);
	CHECK_EQ(print_of("./s5", argv), 0);
	CHECK_EQ(print_of("./s6", argv), ELOOP);
}

TEST(bad_scripts_have_their_errors) {
	char *argv[] = {"x", NULL}, *envp[] = {NULL};
	TRY(make_script("nowhere", "/no/such/interpreter", "\n"));
	CHECK_ERRNO(execve("./nowhere", argv, envp), ENOENT);
	TRY(make_script("nothing", "", "\n"));
	CHECK_ERRNO(execve("./nothing", argv, envp), ENOEXEC);
	TRY(make_script("blank", "  \t ", "\n"));
	CHECK_ERRNO(execve("./blank", argv, envp), ENOEXEC);
	TRY(make_script("folder", "/", "\n"));
	CHECK_ERRNO(execve("./folder", argv, envp), EACCES);
}

TEST(execveat_takes_a_folder_or_the_file_itself) {
	char *argv[] = {"x", "12", NULL}, *envp[] = {"EXEC_MODE=status", NULL};
	int fd = open(self(), O_RDONLY | O_CLOEXEC), path_fd = open(self(), O_PATH | O_CLOEXEC), here = open(".", O_RDONLY);
	CHECK_EQ(symlink(self(), "link"), 0);
	CHECK(fd >= 0 && path_fd >= 0 && here >= 0);
#define AT(...)                                                                            \
	({                                                                                     \
		pid_t child_ = fork();                                                             \
		if (!child_) {                                                                     \
			syscall(SYS_execveat, __VA_ARGS__);                                            \
			_exit(errno);                                                                  \
		}                                                                                  \
		status_of(child_);                                                                 \
	})
	CHECK_EQ(AT(fd, "", argv, envp, AT_EMPTY_PATH), 12);
	CHECK_EQ(AT(path_fd, "", argv, envp, AT_EMPTY_PATH), 12);
	CHECK_EQ(AT(here, "link", argv, envp, 0), 12);
	CHECK_EQ(AT(here, "link", argv, envp, AT_SYMLINK_NOFOLLOW), ELOOP);
	CHECK_EQ(AT(AT_FDCWD, "link", argv, envp, 0), 12);
	CHECK_EQ(AT(fd, "", argv, envp, 0), ENOENT);
	CHECK_EQ(AT(AT_FDCWD, "", argv, envp, AT_EMPTY_PATH), EACCES);
	CHECK_EQ(AT(-1, "link", argv, envp, 0), EBADF);
	CHECK_EQ(AT(fd, "link", argv, envp, 0), ENOTDIR);
	CHECK_EQ(AT(here, "link", argv, envp, 0x8000), EINVAL);
	close(fd);
	close(path_fd);
	close(here);
}

TEST(a_program_in_memory_runs_by_its_descriptor) {
	static char bytes[65536];
	char *argv[] = {"x", "13", NULL}, *envp[] = {"EXEC_MODE=status", NULL};
	int in = open(self(), O_RDONLY), memory = memfd_create("program", MFD_CLOEXEC);
	long got;
	while ((got = read(in, bytes, sizeof bytes)) > 0) CHECK_EQ(write(memory, bytes, got), got);
	close(in);
	pid_t child = fork();
	if (!child) {
		syscall(SYS_execveat, memory, "", argv, envp, AT_EMPTY_PATH);
		_exit(errno);
	}
	/* Linux counts no writer for the descriptor memfd_create gives, so it is not busy. */
	CHECK_EQ(status_of(child), 13);
	close(memory);
}

TEST(posix_spawn_starts_a_program_and_reports_its_failure) {
	char *argv[] = {"self", "21", NULL}, *envp[] = {"EXEC_MODE=status", NULL};
	pid_t child;
	CHECK_EQ(posix_spawn(&child, self(), NULL, NULL, argv, envp), 0);
	CHECK_EQ(status_of(child), 21);
	CHECK_EQ(posix_spawn(&child, "./not-there", NULL, NULL, argv, envp), ENOENT);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(posix_spawn(&child, self(), NULL, NULL, argv, envp), 0);
		CHECK_EQ(status_of(child), 21);
	}
}
