/*
 * A folder of one's own for tests that make files: entered before main, removed at exit if empty of folders.
 */
#ifndef RUSTOS_ROOM_H
#define RUSTOS_ROOM_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char room_path[64];
static pid_t room_owner;

static void room_leave(void) {
	if (getpid() != room_owner || chdir(room_path)) return;
	DIR *folder = opendir(".");
	struct dirent *entry;
	while (folder && (entry = readdir(folder))) {
		unlink(entry->d_name);
		rmdir(entry->d_name);
	}
	if (folder) closedir(folder);
	rmdir(room_path);
}

__attribute__((constructor(101))) static void room_enter(void) {
	if (getenv("EXEC_MODE")) return; /* a program started by a test stays where its starter is */
	mkdir("/tmp", 01777);
	strcpy(room_path, "/tmp/rustos.XXXXXX");
	if (!mkdtemp(room_path) || chdir(room_path)) {
		perror("making a folder for the test");
		_exit(99);
	}
	room_owner = getpid();
	atexit(room_leave);
}

/* A file with this content and mode. */
__attribute__((unused)) static int room_file(const char *name, const char *content, mode_t mode) {
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) return -1;
	long length = (long)strlen(content);
	int failed = write(fd, content, length) != length || fchmod(fd, mode);
	return close(fd) || failed ? -1 : 0;
}

#endif
