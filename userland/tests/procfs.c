/* /proc: what it tells of the process, its threads, maps and descriptors, and of the system. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static char text[200000];

/* The whole of a file, as a string. */
static const char *content(const char *path) {
	int fd = open(path, O_RDONLY);
	long length = 0, more;
	text[0] = 0;
	if (fd < 0) return text;
	while (length < (long)sizeof text - 1 && (more = read(fd, text + length, sizeof text - 1 - length)) > 0) length += more;
	text[length] = 0;
	close(fd);
	return text;
}

/* The number behind a word at the start of a line, or -1. */
static long field(const char *path, const char *name) {
	const char *at = content(path);
	size_t length = strlen(name);
	while (at && *at) {
		if (!strncmp(at, name, length)) return strtol(at + length, NULL, 10);
		at = strchr(at, '\n');
		if (at) at++;
	}
	return -1;
}

TEST(self_is_this_process) {
	char link[64], expected[64];
	long length = readlink("/proc/self", link, sizeof link);
	snprintf(expected, sizeof expected, "%d", getpid());
	CHECK(length == (long)strlen(expected) && !memcmp(link, expected, length));
	length = readlink("/proc/thread-self", link, sizeof link);
	snprintf(expected, sizeof expected, "%d/task/%d", getpid(), getpid());
	CHECK(length == (long)strlen(expected) && !memcmp(link, expected, length));
}

TEST(status_tells_who_it_is) {
	CHECK_EQ(field("/proc/self/status", "Pid:"), getpid());
	CHECK_EQ(field("/proc/self/status", "Tgid:"), getpid());
	CHECK_EQ(field("/proc/self/status", "PPid:"), getppid());
	CHECK_EQ(field("/proc/self/status", "Uid:"), getuid());
	CHECK_EQ(field("/proc/self/status", "Threads:"), 1);
	CHECK(field("/proc/self/status", "VmSize:") > 0);
	CHECK(strstr(content("/proc/self/status"), "State:\tR (running)"));
	CHECK_EQ(prctl(PR_SET_NAME, "a name"), 0);
	CHECK(!strncmp(content("/proc/self/status"), "Name:\ta name\n", 13));
	CHECK(!strcmp(content("/proc/self/comm"), "a name\n"));
}

TEST(stat_has_its_fields_in_order) {
	char state;
	int pid, parent, group, session;
	const char *stat = content("/proc/self/stat");
	CHECK_EQ(sscanf(stat, "%d (a name) %c %d %d %d", &pid, &state, &parent, &group, &session), 5);
	CHECK(pid == getpid() && state == 'R' && parent == getppid() && group == getpgrp() && session == getsid(0));
	int fields = 1;
	for (const char *at = strchr(stat, ')'); *at; at++) fields += *at == ' ';
	CHECK_EQ(fields, 51);
}

TEST(states_of_other_processes_are_told) {
	char path[64];
	pid_t child = fork();
	if (!child) for (;;) pause();
	snprintf(path, sizeof path, "/proc/%d/status", child);
	for (int i = 0; i < 1000 && !strstr(content(path), "State:\tS (sleeping)"); i++) sleep_ms(1);
	CHECK(strstr(text, "State:\tS (sleeping)"));
	kill(child, SIGSTOP);
	siginfo_t info;
	waitid(P_PID, child, &info, WSTOPPED);
	CHECK(strstr(content(path), "State:\tT (stopped)"));
	kill(child, SIGKILL);
	waitid(P_PID, child, &info, WEXITED | WNOWAIT);
	CHECK(strstr(content(path), "State:\tZ (zombie)"));
	waitpid(child, NULL, 0);
	CHECK_EQ(open(path, O_RDONLY), -1);
	CHECK_EQ(errno, ENOENT);
}

TEST(cmdline_and_environ_are_those_of_the_start) {
	const char *line = content("/proc/self/cmdline");
	CHECK(strstr(line, "procfs"));
	extern char **environ;
	const char *variables = content("/proc/self/environ");
	if (environ[0]) CHECK(!strcmp(variables, environ[0]));
}

TEST(exe_cwd_and_root_are_links) {
	char link[4096] = {0};
	CHECK(readlink("/proc/self/exe", link, sizeof link - 1) > 0);
	CHECK(strstr(link, "procfs"));
	memset(link, 0, sizeof link);
	CHECK(readlink("/proc/self/cwd", link, sizeof link - 1) > 0);
	CHECK(!strcmp(link, room_path));
	memset(link, 0, sizeof link);
	CHECK_EQ(readlink("/proc/self/root", link, sizeof link - 1), 1);
	CHECK(!strcmp(link, "/"));
}

TEST(descriptors_are_listed_and_can_be_opened_again) {
	char path[64], link[4096] = {0};
	int fd = open("f", O_RDWR | O_CREAT, 0600), seen = 0, p[2];
	CHECK_EQ(write(fd, "hello", 5), 5);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	CHECK(readlink(path, link, sizeof link - 1) > 0);
	CHECK(!strncmp(link, room_path, strlen(room_path)) && !strcmp(link + strlen(link) - 2, "/f"));
	struct stat status;
	CHECK_EQ(lstat(path, &status), 0);
	CHECK_EQ(status.st_size, 64);
	int again = open(path, O_RDONLY);
	CHECK_EQ(read(again, text, 10), 5);
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	while ((entry = readdir(folder))) seen += atoi(entry->d_name) == fd && entry->d_name[0] != '.';
	CHECK_EQ(seen, 1);
	closedir(folder);
	CHECK_EQ(pipe(p), 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
	memset(link, 0, sizeof link);
	CHECK(readlink(path, link, sizeof link - 1) > 0);
	CHECK(!strncmp(link, "pipe:[", 6));
	CHECK_EQ(unlink("f"), 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	memset(link, 0, sizeof link);
	CHECK(readlink(path, link, sizeof link - 1) > 0);
	CHECK(!strcmp(link + strlen(link) - 10, " (deleted)"));
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	CHECK_EQ(field(path, "pos:"), 5);
	close(fd);
	close(again);
	close(p[0]);
	close(p[1]);
}

TEST(maps_show_what_is_mapped) {
	char expected[128];
	char *map = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(mprotect(map + 4096, 4096, PROT_READ | PROT_WRITE), 0);
	snprintf(expected, sizeof expected, "\n%lx-%lx rw-p 00000000 00:00 0 \n", (long)map + 4096, (long)map + 8192);
	CHECK(strstr(content("/proc/self/maps"), expected));
	CHECK(strstr(text, "[stack]"));
	CHECK(strstr(text, "r-xp"));
	CHECK(strstr(text, "procfs\n"));
	munmap(map, 3 * 4096);
	CHECK(!strstr(content("/proc/self/maps"), expected));
	long size, resident;
	CHECK_EQ(sscanf(content("/proc/self/statm"), "%ld %ld", &size, &resident), 2);
	CHECK(size > 10 && resident > 0 && resident <= size);
}

static void *stay(void *gate) {
	pthread_mutex_lock(gate);
	pthread_mutex_unlock(gate);
	return NULL;
}

TEST(threads_are_listed) {
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	pthread_t threads[5];
	int count = 0;
	pthread_mutex_lock(&gate);
	for (int i = 0; i < 5; i++) CHECK_EQ(pthread_create(&threads[i], NULL, stay, &gate), 0);
	CHECK_EQ(field("/proc/self/status", "Threads:"), 6);
	DIR *folder = opendir("/proc/self/task");
	struct dirent *entry;
	while ((entry = readdir(folder))) count += entry->d_name[0] != '.';
	closedir(folder);
	CHECK_EQ(count, 6);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 5; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(memory_of_oneself_can_be_read_and_written) {
	static char here[] = "through the file";
	int fd = open("/proc/self/mem", O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, text, 7, (off_t)(uintptr_t)here), 7);
	CHECK(!memcmp(text, "through", 7));
	CHECK_EQ(pwrite(fd, "T", 1, (off_t)(uintptr_t)here), 1);
	CHECK_EQ(here[0], 'T');
	CHECK_ERRNO(pread(fd, text, 1, 8), EIO);
	close(fd);
}

TEST(the_system_is_described) {
	double up, idle;
	CHECK(field("/proc/meminfo", "MemTotal:") > 1000);
	CHECK(field("/proc/meminfo", "MemFree:") > 0);
	CHECK(field("/proc/meminfo", "MemAvailable:") > 0);
	CHECK_EQ(sscanf(content("/proc/uptime"), "%lf %lf", &up, &idle), 2);
	CHECK(up > 0);
	CHECK(!strncmp(content("/proc/stat"), "cpu ", 4));
	CHECK(strstr(content("/proc/cpuinfo"), "processor\t: 0"));
	CHECK(!strncmp(content("/proc/version"), "Linux version ", 14));
	CHECK_EQ(sscanf(content("/proc/loadavg"), "%lf", &up), 1);
	CHECK(strstr(content("/proc/filesystems"), "proc\n"));
	CHECK(strstr(content("/proc/mounts"), " /proc proc "));
	CHECK(strstr(content("/proc/self/mountinfo"), " /proc "));
	CHECK(!strcmp(content("/proc/sys/kernel/ostype"), "Linux\n"));
	CHECK(strtol(content("/proc/sys/kernel/pid_max"), NULL, 10) >= 32768);
	CHECK(strstr(content("/proc/self/limits"), "Max open files"));
}

TEST(nothing_is_renamed) {
	CHECK_ERRNO(rename("/proc/version", "/proc/uptime"), EPERM);
	CHECK_ERRNO(rename("/proc/self/comm", "/proc/self/cmdline"), EPERM);
	CHECK(access("/proc/version", F_OK) == 0);
}

TEST(what_cannot_be_is_refused) {
	CHECK_ERRNO(open("/proc/none", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("/proc/99999999", O_RDONLY), ENOENT);
	CHECK_ERRNO(mkdir("/proc/x", 0700), ENOENT);
	int fd = open("/proc/uptime", O_RDONLY);
	CHECK_ERRNO(write(fd, "x", 1), EBADF);
	close(fd);
}

TEST(a_descriptor_has_one_name) {
	static const char *const none[] = {"-0", "+0", "00", "0 ", " 0", "0x0", "-1", "4294967296", "2147483648", "a"};
	char path[64];
	CHECK_EQ(access("/proc/self/fd/1", F_OK), 0);
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		snprintf(path, sizeof path, "/proc/self/fd/%s", none[i]);
		CHECK_ERRNO(access(path, F_OK), ENOENT);
	}
	snprintf(path, sizeof path, "/proc/-%d", getpid());
	CHECK_ERRNO(access(path, F_OK), ENOENT);
}
