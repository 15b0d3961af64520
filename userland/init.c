/*
 * The first program of a machine started by `just qemu`: mounts what programs expect, shows a demonstration, gives the console
 * to a shell, takes in orphans, and powers off when the shell ends.
 *
 * It runs under any Linux as pid 1 too. What cannot be mounted is left out: the shell tells more than an init that gives up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const SHELL[] = {"-sh", NULL};
static const char *const DEMO[] = {"threads", "100", NULL};

static void mount_all(void) {
	static const struct {
		const char *type, *where, *options;
	} mounts[] = {
		{"proc", "/proc", NULL},      {"sysfs", "/sys", NULL},          {"devtmpfs", "/dev", "mode=755"},
		{"devpts", "/dev/pts", NULL}, {"tmpfs", "/dev/shm", "mode=1777"}, {"tmpfs", "/tmp", "mode=1777"},
		{"tmpfs", "/run", "mode=755"},
	};
	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
		mkdir(mounts[i].where, 0755);
		mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, mounts[i].options);
	}
}

/* Makes the console standard input, output and error, if the kernel has not. */
static void open_console(void) {
	if (fcntl(0, F_GETFD) >= 0) return;
	int fd = open("/dev/console", O_RDWR);
	while (fd >= 0 && fd < 2) fd = dup(fd);
}

static void set_environment(void) {
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/bin/demo:/bin/tests", 1);
	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("TERM", "linux", 0);
	setenv("PS1", "\\w \\$ ", 0);
	sethostname("rustos", 6);
	if (chdir("/root")) chdir("/");
}

/* The child: default signals, then the program. A login shell leads a session, and the console is its terminal. */
static void become(const char *path, const char *const *arguments) {
	if (arguments == SHELL) {
		setsid();
		ioctl(0, TIOCSCTTY, 0);
	}
	for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
	execv(path, (char *const *)arguments);
	fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
	_exit(127);
}

/* Runs a program to its end, taking in whoever else dies meanwhile; its wait status, or -1 if it could not be started. */
static int run(const char *path, const char *const *arguments) {
	pid_t child = fork();
	if (child < 0) {
		fprintf(stderr, "init: fork: %s\n", strerror(errno));
		return -1;
	}
	if (!child) become(path, arguments);
	for (;;) {
		int status;
		pid_t dead = wait(&status);
		if (dead == child) return status;
		if (dead < 0 && errno != EINTR) return -1;
	}
}

static void power_off(void) {
	sync();
	kill(-1, SIGTERM);
	reboot(RB_POWER_OFF);
	_exit(0);
}

int main(void) {
	struct utsname name;
	mount_all();
	open_console();
	set_environment();
	if (!uname(&name)) printf("%s %s on %s\n", name.sysname, name.release, name.machine);
	fflush(stdout);
	if (!access("/bin/demo/threads", X_OK)) run("/bin/demo/threads", DEMO);
	if (access("/bin/sh", X_OK)) {
		puts("init: no /bin/sh here");
	} else {
		run("/bin/sh", SHELL);
	}
	power_off();
}
