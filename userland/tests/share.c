// share: folder
/*
 * A folder of the host: every call of the files families on it, as on any file system. On RustOS it is the folder that the
 * harness shares, on Linux a fresh folder in /tmp.
 */
#include "test.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#define SHARE "/mnt/host"

static char own_folder[] = "/tmp/share-XXXXXX";

__attribute__((constructor)) static void enter(void) {
	if (chdir(SHARE) == 0) return;
	if (!mkdtemp(own_folder) || chdir(own_folder) != 0) abort();
}

__attribute__((destructor)) static void leave(void) { rmdir(own_folder); }

static int put(const char *name, const char *text) {
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	if (fd < 0) return -1;
	ssize_t written = write(fd, text, strlen(text));
	close(fd);
	return written == (ssize_t)strlen(text) ? 0 : -1;
}

static const char *get(const char *name) {
	static char text[256];
	int fd = open(name, O_RDONLY);
	if (fd < 0) return "(none)";
	ssize_t len = read(fd, text, sizeof text - 1);
	close(fd);
	text[len < 0 ? 0 : len] = 0;
	return text;
}

static int is_empty(const char *name) {
	DIR *dir = opendir(name);
	int count = 0;
	while (dir && readdir(dir)) count++;
	if (dir) closedir(dir);
	return count == 2;
}

TEST(the_file_system_is_the_hosts_folder) {
	struct statfs fs;
	CHECK_EQ(statfs(".", &fs), 0);
	CHECK(fs.f_bsize > 0 && fs.f_blocks > 0);
}

TEST(a_file_is_made_written_read_and_taken_away) {
	CHECK_EQ(put("a", "some text\n"), 0);
	CHECK(strcmp(get("a"), "some text\n") == 0);
	struct stat st;
	CHECK_EQ(stat("a", &st), 0);
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(st.st_size, 10);
	CHECK_EQ(st.st_nlink, 1);
	CHECK_EQ(unlink("a"), 0);
	CHECK_EQ(access("a", F_OK), -1);
	CHECK_EQ(errno, ENOENT);
}

TEST(opening_for_making_a_file_that_is_there_fails_if_it_must_be_new) {
	CHECK_EQ(put("x", "1"), 0);
	CHECK_EQ(open("x", O_CREAT | O_EXCL | O_WRONLY, 0600), -1);
	CHECK_EQ(errno, EEXIST);
	CHECK_EQ(unlink("x"), 0);
}

TEST(a_new_file_may_be_written_by_its_maker_whatever_its_mode) {
	int fd = open("sealed", O_CREAT | O_EXCL | O_WRONLY, 0400);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "abc", 3), 3);
	struct stat st;
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0400);
	CHECK_EQ(st.st_size, 3);
	close(fd);
	CHECK(strcmp(get("sealed"), "abc") == 0);
	CHECK_EQ(unlink("sealed"), 0);
}

TEST(reads_and_writes_at_offsets_and_at_the_end) {
	CHECK_EQ(put("p", "0123456789"), 0);
	int fd = open("p", O_RDWR);
	char text[16] = "";
	CHECK_EQ(pread(fd, text, 4, 3), 4);
	CHECK(strcmp(text, "3456") == 0);
	CHECK_EQ(pwrite(fd, "xx", 2, 4), 2);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 10);
	CHECK_EQ(read(fd, text, 4), 0);
	CHECK_EQ(lseek(fd, 20, SEEK_SET), 20);
	CHECK_EQ(write(fd, "!", 1), 1);
	struct stat st;
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 21);
	close(fd);
	fd = open("p", O_WRONLY | O_APPEND);
	CHECK_EQ(write(fd, "end", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 24);
	close(fd);
	CHECK(strcmp(get("p"), "0123xx6789") == 0);
	CHECK_EQ(unlink("p"), 0);
}

TEST(much_data_comes_back_as_it_went) {
	enum { BYTES = 1000003 };
	unsigned char *data = malloc(BYTES), *back = malloc(BYTES);
	for (int i = 0; i < BYTES; i++) data[i] = (unsigned char)(i * 31 + i / 4096);
	int fd = open("big", O_CREAT | O_RDWR, 0644);
	CHECK_EQ(write(fd, data, BYTES), BYTES);
	CHECK_EQ(fsync(fd), 0);
	CHECK_EQ(fdatasync(fd), 0);
	CHECK_EQ(pread(fd, back, BYTES, 0), BYTES);
	CHECK(memcmp(data, back, BYTES) == 0);
	unsigned char *map = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK(memcmp(data, map, BYTES) == 0);
	CHECK_EQ(munmap(map, BYTES), 0);
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 4096);
	CHECK(map != MAP_FAILED);
	CHECK(memcmp(data + 4096, map, 8192) == 0);
	map[1] ^= 0xff;
	CHECK_EQ(pread(fd, back, 1, 4097), 1);
	CHECK_EQ(back[0], data[4097]);
	CHECK_EQ(munmap(map, 8192), 0);
	CHECK_EQ(ftruncate(fd, 5000), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 5000);
	CHECK_EQ(pread(fd, back, BYTES, 4000), 1000);
	close(fd);
	CHECK_EQ(truncate("big", 6000), 0);
	struct stat st;
	CHECK_EQ(stat("big", &st), 0);
	CHECK_EQ(st.st_size, 6000);
	CHECK_EQ(unlink("big"), 0);
	free(data);
	free(back);
}

TEST(directories_are_made_listed_and_removed) {
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(mkdir("d", 0755), -1);
	CHECK_EQ(errno, EEXIST);
	CHECK(is_empty("d"));
	char name[32], seen[200] = "";
	for (int i = 0; i < 200; i++) {
		sprintf(name, "d/file-%d", i);
		CHECK_EQ(put(name, "x"), 0);
	}
	DIR *dir = opendir("d");
	CHECK(dir != NULL);
	struct dirent *entry;
	int count = 0, number;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "file-%d", &number) == 1) {
			CHECK_EQ(entry->d_type, DT_REG);
			CHECK(number < 200 && !seen[number]);
			seen[number] = 1;
			count++;
		}
	closedir(dir);
	CHECK_EQ(count, 200);
	CHECK_EQ(rmdir("d"), -1);
	CHECK_EQ(errno, ENOTEMPTY);
	for (int i = 0; i < 200; i++) {
		sprintf(name, "d/file-%d", i);
		CHECK_EQ(unlink(name), 0);
	}
	CHECK_EQ(unlink("d"), -1);
	CHECK_EQ(errno, EISDIR);
	CHECK_EQ(rmdir("d"), 0);
	CHECK_EQ(chdir("d"), -1);
	CHECK_EQ(errno, ENOENT);
}

TEST(names_move_and_replace_others) {
	CHECK_EQ(put("from", "from"), 0);
	CHECK_EQ(put("to", "to"), 0);
	CHECK_EQ(rename("from", "to"), 0);
	CHECK(strcmp(get("to"), "from") == 0);
	CHECK(strcmp(get("from"), "(none)") == 0);
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(rename("to", "d/to"), 0);
	CHECK(strcmp(get("d/to"), "from") == 0);
	CHECK_EQ(rename("nothing", "d/to"), -1);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(rename("d", "e"), 0);
	CHECK(strcmp(get("e/to"), "from") == 0);
	CHECK_EQ(unlink("e/to"), 0);
	CHECK_EQ(rmdir("e"), 0);
	CHECK(is_empty("."));
}

TEST(links_of_both_kinds_lead_to_the_file) {
	CHECK_EQ(put("file", "text"), 0);
	CHECK_EQ(link("file", "hard"), 0);
	CHECK_EQ(symlink("file", "soft"), 0);
	struct stat st;
	CHECK_EQ(stat("hard", &st), 0);
	CHECK_EQ(st.st_nlink, 2);
	char text[16] = "";
	CHECK_EQ(readlink("soft", text, sizeof text), 4);
	CHECK(strcmp(text, "file") == 0);
	CHECK_EQ(lstat("soft", &st), 0);
	CHECK(S_ISLNK(st.st_mode));
	CHECK(strcmp(get("soft"), "text") == 0);
	CHECK_EQ(unlink("file"), 0);
	CHECK(strcmp(get("hard"), "text") == 0);
	CHECK(strcmp(get("soft"), "(none)") == 0);
	CHECK_EQ(unlink("hard"), 0);
	CHECK_EQ(unlink("soft"), 0);
}

TEST(modes_and_times_are_kept) {
	CHECK_EQ(put("m", "x"), 0);
	CHECK_EQ(chmod("m", 0640), 0);
	struct timespec times[2] = {{1000000, 5000}, {2000000, 7000}};
	CHECK_EQ(utimensat(AT_FDCWD, "m", times, 0), 0);
	struct stat st;
	CHECK_EQ(stat("m", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0640);
	CHECK_EQ(st.st_atim.tv_sec, 1000000);
	CHECK_EQ(st.st_mtim.tv_sec, 2000000);
	CHECK_EQ(st.st_mtim.tv_nsec, 7000);
	CHECK_EQ(unlink("m"), 0);
}

TEST(an_open_file_without_a_name_can_still_be_used) {
	int fd = open("gone", O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "still here", 10), 10);
	CHECK_EQ(unlink("gone"), 0);
	char text[16] = "";
	CHECK_EQ(pread(fd, text, sizeof text, 0), 10);
	CHECK(strcmp(text, "still here") == 0);
	struct stat st;
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 10);
	close(fd);
}

TEST(a_lock_is_seen_through_another_descriptor) {
	int one = open("lock", O_CREAT | O_RDWR, 0644), two = open("lock", O_RDWR);
	struct flock lock = {.l_type = F_WRLCK};
	CHECK_EQ(fcntl(one, F_OFD_SETLK, &lock), 0);
	CHECK_EQ(fcntl(two, F_OFD_SETLK, &lock), -1);
	CHECK_EQ(errno, EAGAIN);
	close(one);
	CHECK_EQ(fcntl(two, F_OFD_SETLK, &lock), 0);
	close(two);
	CHECK_EQ(unlink("lock"), 0);
}

TEST(a_program_is_executed_from_the_folder) {
	int from = open("/proc/self/exe", O_RDONLY), to = open("program", O_CREAT | O_WRONLY, 0755);
	static char part[65536];
	for (ssize_t len; (len = read(from, part, sizeof part)) > 0;) CHECK_EQ(write(to, part, len), len);
	close(from);
	close(to);
	pid_t child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		execl("./program", "program", "the_file_system_is_the_hosts_folder", (char *)NULL);
		_exit(99);
	}
	int status;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(unlink("program"), 0);
}

TEST(many_processes_write_at_once) {
	enum { PROCESSES = 8, ROUNDS = 20 };
	char name[32], text[32];
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			for (int round = 0; round < ROUNDS; round++) {
				sprintf(name, "process-%d", i);
				sprintf(text, "%d %d", i, round);
				CHILD_CHECK(put(name, text) == 0);
				CHILD_CHECK(strcmp(get(name), text) == 0);
			}
			CHILD_CHECK(unlink(name) == 0);
			_exit(0);
		}
	int status, failed = 0;
	while (wait(&status) > 0) failed += status != 0;
	CHECK_EQ(failed, 0);
	CHECK(is_empty("."));
}

TEST(of_two_that_take_a_name_away_one_succeeds) {
	for (int round = 0; round < 20; round++) {
		CHECK_EQ(put("name", "x"), 0);
		pid_t child = fork();
		int gone = unlink("name") == 0;
		if (child == 0) _exit(gone);
		int status;
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(gone + WEXITSTATUS(status), 1);
	}
}

TEST(a_name_too_long_is_refused) {
	char name[300];
	memset(name, 'n', 256);
	name[256] = 0;
	CHECK_EQ(open(name, O_CREAT | O_RDWR, 0644), -1);
	CHECK_EQ(errno, ENAMETOOLONG);
}
