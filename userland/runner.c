/*
 * Runs the programs of a list one by one, each with a time limit, and frames what they write: the guest's half of the test
 * suite. `runner LIST`; a line of LIST has fields parted by tabs:
 *
 *     milliseconds  standard-input-file  program  argument…
 *
 * For each line, counted from 0, it writes to its standard output
 *
 *     @start INDEX\n
 *     @end INDEX STATUS OUTPUT-BYTES ERROR-BYTES MILLISECONDS\n  and then those bytes
 *
 * where STATUS is the exit status, 128 + n for death by signal n, or -1 when the time was up. Every program is the leader of a
 * process group of its own, which is killed when the program has ended or must end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 64, MAX_LINE = 4096 };

struct text {
	char *bytes;
	size_t length, room;
};

static void die(const char *what) {
	fprintf(stderr, "runner: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Appends what can be read; 0 at the end of the stream. */
static int take(int fd, struct text *text) {
	if (text->length == text->room) {
		text->room = text->room ? 2 * text->room : 16384;
		text->bytes = realloc(text->bytes, text->room);
		if (!text->bytes) die("realloc");
	}
	ssize_t count = read(fd, text->bytes + text->length, text->room - text->length);
	if (count < 0) return errno == EINTR || errno == EAGAIN;
	text->length += count;
	return count > 0;
}

static void write_all(const char *bytes, size_t length) {
	while (length) {
		ssize_t count = write(1, bytes, length);
		if (count < 0 && errno != EINTR) die("write");
		if (count > 0) bytes += count, length -= count;
	}
}

static void become(const char *input, char **arguments, int output, int error) {
	setpgid(0, 0);
	int fd = open(input, O_RDONLY);
	if (fd < 0 || dup2(fd, 0) < 0 || dup2(output, 1) < 0 || dup2(error, 2) < 0) _exit(126);
	if (fd > 2) close(fd);
	execv(arguments[0], arguments);
	dprintf(2, "runner: %s: %s\n", arguments[0], strerror(errno));
	_exit(127);
}

/* Reads both streams until they end, the program has ended, or the time is up; true if it has ended. */
static int follow(pid_t child, int fds[2], struct text texts[2], long long deadline_ms, int *status) {
	struct pollfd polled[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
	for (int ended = 0;;) {
		int open = polled[0].fd >= 0 || polled[1].fd >= 0;
		/* Once: it has no status to give a second time. */
		ended = ended || waitpid(child, status, WNOHANG) == child;
		/* What a program wrote before its end is in the pipes by now; what its leftovers write is not waited for. */
		long long left_ms = deadline_ms - now_ms();
		if (!ended && left_ms <= 0) return 0;
		/* With both streams closed there is nothing to wake us: look again soon. */
		int ready = open ? poll(polled, 2, ended ? 0 : left_ms < 20 ? (int)left_ms : 20) : (usleep(2000), 0);
		if (ended && ready <= 0) return 1;
		for (int i = 0; i < 2; i++)
			if (polled[i].fd >= 0 && polled[i].revents && !take(polled[i].fd, &texts[i])) polled[i].fd = -1;
		if (ended && polled[0].fd < 0 && polled[1].fd < 0) return 1;
	}
}

static void run(int index, const char *milliseconds, const char *input, char **arguments) {
	int output[2], error[2], status = 0;
	struct text texts[2] = {{0}, {0}};
	if (pipe2(output, O_CLOEXEC) || pipe2(error, O_CLOEXEC)) die("pipe2");
	printf("@start %d\n", index);
	fflush(stdout);
	long long begun_ms = now_ms();
	pid_t child = fork();
	if (child < 0) die("fork");
	if (!child) become(input, arguments, output[1], error[1]);
	setpgid(child, child);
	close(output[1]);
	close(error[1]);
	int ended = follow(child, (int[]){output[0], error[0]}, texts, begun_ms + atoll(milliseconds), &status);
	kill(-child, SIGKILL);
	if (!ended) waitpid(child, &status, 0);
	while (waitpid(-1, NULL, WNOHANG) > 0) {}
	close(output[0]);
	close(error[0]);
	int shown = !ended ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	printf("@end %d %d %zu %zu %lld\n", index, shown, texts[0].length, texts[1].length, now_ms() - begun_ms);
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		write_all(texts[i].bytes, texts[i].length);
		free(texts[i].bytes);
	}
}

int main(int argc, char **argv) {
	static char line[MAX_LINE];
	FILE *list = argc == 2 ? fopen(argv[1], "re") : NULL;
	if (!list) die("usage: runner LIST");
	for (int index = 0; fgets(line, sizeof line, list); index++) {
		char *fields[MAX_ARGUMENTS + 1], *rest = line;
		int count = 0;
		line[strcspn(line, "\n")] = 0;
		while (count < MAX_ARGUMENTS && (fields[count] = strsep(&rest, "\t"))) count++;
		fields[count] = NULL;
		if (count >= 3) run(index, fields[0], fields[1], fields + 2);
	}
	return 0;
}
