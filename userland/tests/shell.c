/*
 * What a C library makes of fork, exec and wait: system(3), popen(3), posix_spawn(3) with attributes. Where there is no
 * /bin/sh this program takes its place, and knows the few commands used here.
 */
#define main test_main
#include "test.h"
#undef main
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

static int as_shell(const char *command) {
	char line[256];
	int number;
	if (sscanf(command, "exit %d", &number) == 1) return number;
	if (!strcmp(command, "kill -TERM $$")) return raise(SIGTERM);
	if (!strcmp(command, "echo $WORD")) return puts(getenv("WORD")) < 0;
	if (!strcmp(command, "cat")) {
		ssize_t len;
		while ((len = read(0, line, sizeof line)) > 0)
			if (write(1, line, (size_t)len) != len) return 1;
		return 0;
	}
	return 127;
}

/* What the program finds when it is started as `spawned`, as bits. */
static int as_spawned(void) {
	sigset_t blocked;
	struct sigaction action;
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	sigaction(SIGUSR1, NULL, &action);
	return (getpgrp() == getpid()) | sigismember(&blocked, SIGUSR2) << 1 | (action.sa_handler == SIG_IGN) << 2
	       | (fcntl(9, F_GETFD) == 0) << 3;
}

int main(int argc, char **argv) {
	if (argc == 3 && !strcmp(argv[1], "-c")) {
		int status = as_shell(argv[2]);
		fflush(stdout);
		return status;
	}
	if (argc == 1 && !strcmp(argv[0], "spawned")) return as_spawned();
	return test_main(argc, argv);
}

TEST(there_is_a_shell) {
	if (access("/bin/sh", X_OK) != 0) {
		CHECK(mkdir("/bin", 0755) == 0 || errno == EEXIST);
		CHECK_EQ(symlink("/proc/self/exe", "/bin/sh"), 0);
	}
	CHECK(system(NULL) != 0);
}

TEST(system_gives_the_status_of_the_command) {
	CHECK_EQ(system("exit 0"), 0);
	int status = system("exit 42");
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = system("kill -TERM $$");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	CHECK_ERRNO(waitpid(-1, &status, WNOHANG), ECHILD);
}

static volatile int children;

static void on_child(int signal) {
	(void)signal;
	children++;
}

TEST(system_leaves_signals_as_they_were) {
	struct sigaction action = {.sa_handler = on_child}, old;
	sigset_t before, after;
	CHECK_EQ(sigaction(SIGCHLD, &action, NULL), 0);
	signal(SIGINT, on_child);
	sigprocmask(SIG_BLOCK, NULL, &before);
	CHECK_EQ(system("exit 3"), 3 << 8);
	sigprocmask(SIG_BLOCK, NULL, &after);
	CHECK(!memcmp(&before, &after, 8));
	CHECK_EQ(sigaction(SIGINT, NULL, &old), 0);
	CHECK(old.sa_handler == on_child);
	signal(SIGINT, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
}

TEST(popen_reads_what_a_command_writes) {
	char line[64] = "";
	CHECK_EQ(setenv("WORD", "rainbow", 1), 0);
	FILE *pipe = popen("echo $WORD", "r");
	CHECK(pipe);
	CHECK(fgets(line, sizeof line, pipe));
	CHECK(!strcmp(line, "rainbow\n"));
	CHECK(!fgets(line, sizeof line, pipe) && feof(pipe));
	CHECK_EQ(pclose(pipe), 0);
	pipe = popen("exit 9", "r");
	CHECK(pipe);
	CHECK_EQ(pclose(pipe), 9 << 8);
}

TEST(popen_writes_what_a_command_reads) {
	int fds[2], saved = dup(1);
	char text[64] = "";
	CHECK_EQ(pipe(fds), 0);
	fflush(stdout);
	CHECK_EQ(dup2(fds[1], 1), 1);
	FILE *command = popen("cat", "w");
	CHECK_EQ(dup2(saved, 1), 1);
	close(saved);
	close(fds[1]);
	CHECK(command);
	CHECK(fputs("through the pipe", command) >= 0);
	CHECK_EQ(pclose(command), 0);
	CHECK_EQ(read(fds[0], text, sizeof text), 16);
	CHECK(!strcmp(text, "through the pipe"));
	CHECK_EQ(read(fds[0], text, sizeof text), 0);
	close(fds[0]);
}

TEST(hundreds_of_commands_leave_nothing_behind) {
	for (int i = 0; i < 300; i++) {
		CHECK_EQ(system("exit 1"), 1 << 8);
		FILE *pipe = popen("exit 2", "r");
		CHECK(pipe);
		CHECK_EQ(pclose(pipe), 2 << 8);
	}
	int fd = dup(0);
	CHECK(fd >= 0 && fd < 16);
	close(fd);
	CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
}

TEST(posix_spawn_obeys_its_attributes) {
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_t actions;
	sigset_t mask, defaults;
	char *argv[] = {"spawned", NULL};
	pid_t child;
	int status;
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGUSR1);
	CHECK_EQ(posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environ), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 4 << 8);
	CHECK_EQ(posix_spawnattr_init(&attributes), 0);
	CHECK_EQ(posix_spawn_file_actions_init(&actions), 0);
	short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	CHECK_EQ(posix_spawnattr_setflags(&attributes, flags), 0);
	CHECK_EQ(posix_spawnattr_setpgroup(&attributes, 0), 0);
	CHECK_EQ(posix_spawnattr_setsigmask(&attributes, &mask), 0);
	CHECK_EQ(posix_spawnattr_setsigdefault(&attributes, &defaults), 0);
	CHECK_EQ(posix_spawn_file_actions_adddup2(&actions, 0, 9), 0);
	CHECK_EQ(posix_spawn(&child, "/proc/self/exe", &actions, &attributes, argv, environ), 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 11 << 8);
	posix_spawn_file_actions_addclose(&actions, 1000);
	CHECK_EQ(posix_spawn_file_actions_addopen(&actions, 8, "/not/there", O_RDONLY, 0), 0);
	CHECK_EQ(posix_spawn(&child, "/proc/self/exe", &actions, &attributes, argv, environ), ENOENT);
	CHECK_ERRNO(waitpid(-1, &status, WNOHANG), ECHILD);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	signal(SIGUSR1, SIG_DFL);
}
