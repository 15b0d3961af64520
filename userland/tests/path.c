/* Paths and folders: mkdir, link, symlink, rename, unlink, getdents64, stat, permissions, times. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <pthread.h>
#include <signal.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static char text[5000];
static struct stat status;

static int status_of(pid_t child) {
	int ended;
	if (waitpid(child, &ended, 0) != child) return -1;
	return WIFEXITED(ended) ? WEXITSTATUS(ended) : 1000 + WTERMSIG(ended);
}

TEST(folders_are_made_and_removed) {
	umask(022);
	CHECK_EQ(mkdir("d", 0777), 0);
	CHECK_EQ(stat("d", &status), 0);
	CHECK(status.st_mode == (S_IFDIR | 0755));
	CHECK_ERRNO(mkdir("d", 0777), EEXIST);
	CHECK_ERRNO(mkdir("none/d", 0777), ENOENT);
	CHECK_EQ(mkdir("d/e/", 0700), 0);
	CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
	CHECK_ERRNO(rmdir("d/e/."), EINVAL);
	CHECK_ERRNO(rmdir("d/e/.."), ENOTEMPTY);
	CHECK_ERRNO(unlink("d/e"), EISDIR);
	CHECK_EQ(rmdir("d/e"), 0);
	CHECK_EQ(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR), 0);
	CHECK_ERRNO(rmdir("d"), ENOENT);
	CHECK_ERRNO(rmdir("/"), EBUSY);
	CHECK_EQ(room_file("f", "", 0600), 0);
	CHECK_ERRNO(rmdir("f"), ENOTDIR);
	CHECK_ERRNO(mkdir("f/x", 0700), ENOTDIR);
	CHECK_ERRNO(mkdir("/", 0700), EEXIST);
	CHECK_ERRNO(mkdir("", 0700), ENOENT);
}

TEST(links_count) {
	CHECK_EQ(room_file("a", "content", 0600), 0);
	CHECK_EQ(link("a", "b"), 0);
	CHECK_EQ(stat("a", &status), 0);
	CHECK_EQ(status.st_nlink, 2);
	ino_t inode = status.st_ino;
	CHECK_EQ(stat("b", &status), 0);
	CHECK_EQ(status.st_ino, inode);
	CHECK_ERRNO(link("a", "b"), EEXIST);
	CHECK_ERRNO(link("none", "c"), ENOENT);
	CHECK_EQ(mkdir("d", 0700), 0);
	CHECK_ERRNO(link("d", "e"), EPERM);
	CHECK_EQ(unlink("a"), 0);
	CHECK_EQ(stat("b", &status), 0);
	CHECK_EQ(status.st_nlink, 1);
	int fd = open("b", O_RDONLY);
	CHECK_EQ(unlink("b"), 0);
	CHECK_EQ(read(fd, text, 100), 7);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK_EQ(status.st_nlink, 0);
	close(fd);
	CHECK_ERRNO(unlink("b"), ENOENT);
	rmdir("d");
}

TEST(a_folder_counts_its_folders) {
	CHECK_EQ(mkdir("d", 0700), 0);
	for (int i = 0; i < 3; i++) {
		char name[8] = {'d', '/', (char)('0' + i), 0};
		CHECK_EQ(mkdir(name, 0700), 0);
	}
	CHECK_EQ(stat("d", &status), 0);
	/* Some file systems (overlay, btrfs) do not count: then it is 1. */
	CHECK(status.st_nlink == 5 || status.st_nlink == 1);
	for (int i = 0; i < 3; i++) {
		char name[8] = {'d', '/', (char)('0' + i), 0};
		CHECK_EQ(rmdir(name), 0);
	}
	CHECK_EQ(rmdir("d"), 0);
}

TEST(symbolic_links_are_read_and_followed) {
	CHECK_EQ(room_file("target", "12345", 0600), 0);
	CHECK_EQ(symlink("target", "l"), 0);
	CHECK_EQ(readlink("l", text, 3), 3);
	CHECK(!memcmp(text, "tar", 3));
	CHECK_EQ(lstat("l", &status), 0);
	CHECK(status.st_mode == (S_IFLNK | 0777) && status.st_size == 6);
	CHECK_EQ(stat("l", &status), 0);
	CHECK_EQ(status.st_size, 5);
	CHECK_ERRNO(readlink("target", text, 10), EINVAL);
	CHECK_ERRNO(syscall(SYS_readlink, "l", text, 0), EINVAL);
	CHECK_ERRNO(symlink("", "m"), ENOENT);
	CHECK_ERRNO(symlink("x", "l"), EEXIST);
	CHECK_EQ(symlink("nowhere", "dangling"), 0);
	CHECK_ERRNO(stat("dangling", &status), ENOENT);
	int fd = open("dangling", O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK_EQ(stat("nowhere", &status), 0);
	CHECK_EQ(unlink("l"), 0);
	CHECK_EQ(stat("target", &status), 0);
	CHECK_EQ(mkdir("d", 0700), 0);
	CHECK_EQ(symlink("d", "ld"), 0);
	CHECK_EQ(lstat("ld/", &status), 0);
	CHECK(S_ISDIR(status.st_mode));
	CHECK_ERRNO(rmdir("ld"), ENOTDIR);
}

TEST(forty_links_are_followed_and_no_more) {
	char from[16], to[16] = "end";
	CHECK_EQ(room_file("end", "", 0600), 0);
	for (int i = 1; i <= 41; i++) {
		snprintf(from, sizeof from, "chain%d", i);
		CHECK_EQ(symlink(to, from), 0);
		strcpy(to, from);
	}
	CHECK_EQ(stat("chain40", &status), 0);
	CHECK_ERRNO(stat("chain41", &status), ELOOP);
}

TEST(paths_are_walked_by_the_rules) {
	CHECK_EQ(mkdir("p", 0700), 0);
	CHECK_EQ(mkdir("p/q", 0700), 0);
	CHECK_EQ(room_file("p/q/f", "x", 0600), 0);
	CHECK_EQ(stat("p//q/./../q/f", &status), 0);
	CHECK_EQ(stat("./p/q/../../p/q/f", &status), 0);
	CHECK_ERRNO(stat("p/q/f/.", &status), ENOTDIR);
	CHECK_ERRNO(stat("p/q/f/..", &status), ENOTDIR);
	CHECK_EQ(stat("/../../..", &status), 0);
	ino_t root = status.st_ino;
	CHECK_EQ(stat("/", &status), 0);
	CHECK_EQ(status.st_ino, root);
	CHECK_EQ(chdir("p/q"), 0);
	CHECK_EQ(stat("../q/f", &status), 0);
	CHECK_EQ(chdir("../.."), 0);
	int fd = open("p", O_RDONLY | O_DIRECTORY);
	CHECK_EQ(fstatat(fd, "q/f", &status, 0), 0);
	CHECK_EQ(fstatat(fd, "", &status, AT_EMPTY_PATH), 0);
	CHECK_ERRNO(fstatat(fd, "", &status, 0), ENOENT);
	CHECK_ERRNO(syscall(SYS_newfstatat, fd, "q", &status, 0x40), EINVAL);
	CHECK_EQ(fchdir(fd), 0);
	CHECK(getcwd(text, sizeof text) && !strcmp(text + strlen(text) - 2, "/p"));
	CHECK_ERRNO(syscall(SYS_getcwd, text, 3), ERANGE);
	CHECK_EQ(chdir(".."), 0);
	close(fd);
	CHECK_EQ(unlink("p/q/f"), 0);
	CHECK_EQ(chdir("p/q"), 0);
	CHECK_EQ(rmdir("../q"), 0);
	CHECK_ERRNO(syscall(SYS_getcwd, text, sizeof text), ENOENT);
	CHECK_ERRNO(open("new", O_CREAT | O_WRONLY, 0600), ENOENT);
	CHECK_EQ(chdir(room_path), 0);
	CHECK_EQ(rmdir("p"), 0);
}

TEST(openat2_confines) {
	struct { uint64_t flags, mode, resolve; } how = {O_RDONLY, 0, 8 /* RESOLVE_BENEATH */};
	CHECK_EQ(mkdir("box", 0700), 0);
	CHECK_EQ(room_file("box/f", "x", 0600), 0);
	CHECK_EQ(symlink("/etc", "box/out"), 0);
	int box = open("box", O_RDONLY);
	int fd = syscall(SYS_openat2, box, "f", &how, sizeof how);
	CHECK(fd >= 0);
	close(fd);
	CHECK_ERRNO(syscall(SYS_openat2, box, "../box/f", &how, sizeof how), EXDEV);
	CHECK_ERRNO(syscall(SYS_openat2, box, "out", &how, sizeof how), EXDEV);
	how.resolve = 4; /* RESOLVE_NO_SYMLINKS */
	CHECK_ERRNO(syscall(SYS_openat2, box, "out", &how, sizeof how), ELOOP);
	how.resolve = 16; /* RESOLVE_IN_ROOT */
	fd = syscall(SYS_openat2, box, "/../f", &how, sizeof how);
	CHECK(fd >= 0);
	close(fd);
	how.resolve = 1 << 20;
	CHECK_ERRNO(syscall(SYS_openat2, box, "f", &how, sizeof how), EINVAL);
	how.resolve = 0;
	how.mode = 0600;
	CHECK_ERRNO(syscall(SYS_openat2, box, "f", &how, sizeof how), EINVAL);
	CHECK_ERRNO(syscall(SYS_openat2, box, "f", &how, 8), EINVAL);
	close(box);
	unlink("box/f");
	unlink("box/out");
	rmdir("box");
}

static volatile int is_moving = 1;

static void *swaps_folders(void *unused) {
	(void)unused;
	while (is_moving) syscall(SYS_renameat2, AT_FDCWD, "box/a/b", AT_FDCWD, "outside", 2 /* RENAME_EXCHANGE */);
	return NULL;
}

/* While a folder inside goes out and another comes in, a walk up from it leads out of the box, unless the kernel looks. */
TEST(nothing_moved_meanwhile_leads_out_of_a_confined_walk) {
	struct { uint64_t flags, mode, resolve; } how = {O_PATH, 0, 16 /* RESOLVE_IN_ROOT */};
	pthread_t mover;
	CHECK_EQ(mkdir("box", 0700), 0);
	CHECK_EQ(mkdir("box/a", 0700), 0);
	CHECK_EQ(mkdir("box/a/b", 0700), 0);
	CHECK_EQ(mkdir("outside", 0700), 0);
	int box = open("box", O_PATH), escapes = 0, odd = 0;
	struct stat root, found;
	CHECK_EQ(fstat(box, &root), 0);
	CHECK_EQ(pthread_create(&mover, NULL, swaps_folders, NULL), 0);
	for (int i = 0; i < 10000; i++) {
		int fd = syscall(SYS_openat2, box, "a/b/../../../../../..", &how, sizeof how);
		odd += fd < 0 && errno != EAGAIN && errno != EXDEV;
		if (fd < 0) continue;
		escapes += fstat(fd, &found) != 0 || found.st_ino != root.st_ino || found.st_dev != root.st_dev;
		close(fd);
	}
	is_moving = 0;
	pthread_join(mover, NULL);
	close(box);
	rmdir("box/a/b");
	rmdir("box/a");
	rmdir("box");
	rmdir("outside");
	CHECK_EQ(escapes, 0);
	CHECK_EQ(odd, 0);
}

TEST(rename_moves_and_replaces) {
	CHECK_EQ(room_file("one", "1", 0600), 0);
	CHECK_EQ(room_file("two", "22", 0600), 0);
	CHECK_EQ(rename("one", "two"), 0);
	CHECK_ERRNO(stat("one", &status), ENOENT);
	CHECK_EQ(stat("two", &status), 0);
	CHECK_EQ(status.st_size, 1);
	CHECK_EQ(rename("two", "two"), 0);
	CHECK_ERRNO(rename("none", "x"), ENOENT);
	CHECK_EQ(mkdir("d1", 0700), 0);
	CHECK_EQ(mkdir("d2", 0700), 0);
	CHECK_ERRNO(rename("two", "d1"), EISDIR);
	CHECK_ERRNO(rename("d1", "two"), ENOTDIR);
	CHECK_ERRNO(rename("d1", "d1/inside"), EINVAL);
	CHECK_EQ(rename("two", "d2/two"), 0);
	CHECK_ERRNO(rename("d1", "d2"), ENOTEMPTY);
	CHECK_EQ(rename("d2", "d3"), 0);
	CHECK_EQ(rename("d1", "d4"), 0);
	CHECK_EQ(rename("d4", "d3/sub"), 0);
	CHECK_EQ(stat("d3/two", &status), 0);
	CHECK_ERRNO(rename("d3", "d3/sub/deep"), EINVAL);
	CHECK_ERRNO(rename("d3/sub", "d3"), ENOTEMPTY);
	CHECK_ERRNO(rename(".", "x"), EBUSY);
	CHECK_ERRNO(rename("d3/sub/..", "x"), EBUSY);
	unlink("d3/two");
	rmdir("d3/sub");
	CHECK_EQ(rmdir("d3"), 0);
}

TEST(rename_with_flags_keeps_or_exchanges) {
	CHECK_EQ(room_file("one", "1", 0600), 0);
	CHECK_EQ(room_file("two", "22", 0600), 0);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 1), EEXIST);
	CHECK_EQ(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 2), 0);
	CHECK_EQ(stat("one", &status), 0);
	CHECK_EQ(status.st_size, 2);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "none", 2), ENOENT);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 3), EINVAL);
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 64), EINVAL);
}

TEST(a_folder_lists_every_entry_once) {
	enum { FILES = 300 };
	static char seen[FILES];
	char name[32], entries[1000];
	int others = 0;
	CHECK_EQ(mkdir("many", 0700), 0);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "many/file-%d", i);
		CHECK_EQ(room_file(name, "", 0600), 0);
	}
	int fd = open("many", O_RDONLY | O_DIRECTORY);
	for (;;) {
		long got = syscall(SYS_getdents64, fd, entries, sizeof entries);
		CHECK(got >= 0);
		if (!got) break;
		for (long at = 0; at < got;) {
			unsigned short length;
			memcpy(&length, entries + at + 16, 2);
			const char *entry = entries + at + 19;
			if (!strncmp(entry, "file-", 5)) seen[atoi(entry + 5)]++;
			else others++;
			CHECK(length % 8 == 0);
			CHECK(entry[-1] == DT_UNKNOWN || entry[-1] == (entry[0] == '.' ? DT_DIR : DT_REG));
			at += length;
		}
	}
	for (int i = 0; i < FILES; i++) CHECK_EQ(seen[i], 1);
	CHECK_EQ(others, 2);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_ERRNO(syscall(SYS_getdents64, fd, entries, 10), EINVAL);
	CHECK(syscall(SYS_getdents64, fd, entries, sizeof entries) > 0);
	CHECK_ERRNO(read(fd, entries, 10), EISDIR);
	close(fd);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "many/file-%d", i);
		CHECK_EQ(unlink(name), 0);
	}
	CHECK_EQ(rmdir("many"), 0);
	fd = open("one", O_RDONLY);
	CHECK_ERRNO(syscall(SYS_getdents64, fd, entries, sizeof entries), ENOTDIR);
	close(fd);
}

TEST(modes_and_owners_are_changed) {
	CHECK_EQ(room_file("m", "", 0600), 0);
	CHECK_EQ(chmod("m", 07777), 0);
	CHECK_EQ(stat("m", &status), 0);
	CHECK_EQ(status.st_mode, S_IFREG | 07777);
	CHECK_EQ(chown("m", 1000, 1001), 0);
	CHECK_EQ(stat("m", &status), 0);
	/* Changing the owner takes the set-id bits away, even from root. */
	CHECK(status.st_uid == 1000 && status.st_gid == 1001 && status.st_mode == (S_IFREG | 01777));
	CHECK_EQ(chown("m", -1, 0), 0);
	CHECK_EQ(stat("m", &status), 0);
	CHECK(status.st_uid == 1000 && status.st_gid == 0);
	CHECK_EQ(symlink("m", "lm"), 0);
	CHECK_EQ(lchown("lm", 5, 5), 0);
	CHECK_EQ(stat("m", &status), 0);
	CHECK_EQ(status.st_uid, 1000);
}

TEST(permissions_hold_for_others_than_root) {
	CHECK_EQ(chmod(".", 0755), 0);
	CHECK_EQ(room_file("secret", "s", 0600), 0);
	CHECK_EQ(room_file("public", "p", 0644), 0);
	CHECK_EQ(mkdir("closed", 0700), 0);
	CHECK_EQ(mkdir("sticky", 01777), 0);
	CHECK_EQ(chmod("sticky", 01777), 0);
	CHECK_EQ(room_file("sticky/of-root", "", 0666), 0);
	CHECK_EQ(access("secret", R_OK | W_OK), 0);
	CHECK_ERRNO(access("secret", X_OK), EACCES);
	CHECK_ERRNO(access("secret", 8), EINVAL);
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(syscall(SYS_setresgid, 777, 777, 777) == 0 && syscall(SYS_setgroups, 0, NULL) == 0);
		CHILD_CHECK(syscall(SYS_setresuid, 777, 777, 777) == 0);
		CHILD_CHECK(open("secret", O_RDONLY) == -1 && errno == EACCES);
		CHILD_CHECK(open("public", O_RDONLY) >= 0);
		CHILD_CHECK(open("public", O_WRONLY) == -1 && errno == EACCES);
		CHILD_CHECK(open("closed/x", O_RDONLY) == -1 && errno == EACCES);
		CHILD_CHECK(open("newfile", O_WRONLY | O_CREAT, 0600) == -1 && errno == EACCES);
		CHILD_CHECK(unlink("public") == -1 && errno == EACCES);
		CHILD_CHECK(chmod("public", 0777) == -1 && errno == EPERM);
		CHILD_CHECK(chown("public", 777, 777) == -1 && errno == EPERM);
		CHILD_CHECK(unlink("sticky/of-root") == -1 && errno == EPERM);
		int fd = open("sticky/mine", O_WRONLY | O_CREAT, 0600);
		CHILD_CHECK(fd >= 0 && fchmod(fd, 04755) == 0 && unlink("sticky/mine") == 0);
		CHILD_CHECK(access("public", W_OK) == -1 && errno == EACCES);
		CHILD_CHECK(mknod("sticky/device", S_IFCHR | 0600, makedev(1, 3)) == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
	unlink("sticky/of-root");
	rmdir("sticky");
	rmdir("closed");
}

TEST(times_are_set_and_kept) {
	struct timespec times[2] = {{1000, 500}, {2000, 700}}, odd[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
	CHECK_EQ(room_file("t", "", 0600), 0);
	CHECK_EQ(utimensat(AT_FDCWD, "t", times, 0), 0);
	CHECK_EQ(stat("t", &status), 0);
	CHECK(status.st_atim.tv_sec == 1000 && status.st_atim.tv_nsec == 500 && status.st_mtim.tv_sec == 2000 && status.st_mtim.tv_nsec == 700);
	CHECK_EQ(utimensat(AT_FDCWD, "t", odd, 0), 0);
	CHECK_EQ(stat("t", &status), 0);
	CHECK(status.st_atim.tv_sec > 1000000 && status.st_mtim.tv_sec == 2000);
	CHECK(status.st_ctim.tv_sec > 1000000);
	int fd = open("t", O_WRONLY);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(fstat(fd, &status), 0);
	CHECK(status.st_mtim.tv_sec > 1000000);
	CHECK_EQ(futimens(fd, NULL), 0);
	times[0].tv_nsec = 1000000000;
	CHECK_ERRNO(futimens(fd, times), EINVAL);
	close(fd);
}

TEST(statx_gives_what_stat_gives) {
	struct { uint32_t mask, blksize; uint64_t attributes; uint32_t nlink, uid, gid; uint16_t mode, pad; uint64_t ino, size, rest[26]; } x;
	_Static_assert(sizeof x == 256, "as in Linux");
	CHECK_EQ(stat("t", &status), 0);
	CHECK_EQ(syscall(SYS_statx, AT_FDCWD, "t", 0, 0x7ff, &x), 0);
	CHECK((x.mask & 0x7ff) == 0x7ff && x.ino == status.st_ino && x.size == (uint64_t)status.st_size && x.mode == status.st_mode &&
	      x.nlink == status.st_nlink);
	CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "t", 0x6000, 0x7ff, &x), EINVAL);
	CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "t", 0, 0x80000000, &x), EINVAL);
	CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "none", 0, 0x7ff, &x), ENOENT);
}

TEST(device_nodes_and_fifos_are_made) {
	CHECK_EQ(mknod("null", S_IFCHR | 0666, makedev(1, 3)), 0);
	CHECK_EQ(stat("null", &status), 0);
	CHECK(S_ISCHR(status.st_mode) && major(status.st_rdev) == 1 && minor(status.st_rdev) == 3);
	CHECK_EQ(mknod("fifo", S_IFIFO | 0600, 0), 0);
	CHECK_EQ(mknod("plain", S_IFREG | 0600, 0), 0);
	CHECK_EQ(stat("plain", &status), 0);
	CHECK(S_ISREG(status.st_mode));
	CHECK_ERRNO(mknod("dir", S_IFDIR | 0600, 0), EPERM);
	CHECK_ERRNO(mknod("bad", 0030000, 0), EINVAL);
	CHECK_ERRNO(mknod("plain", S_IFREG | 0600, 0), EEXIST);
}

TEST(the_file_system_describes_itself) {
	struct statfs fs;
	CHECK_EQ(statfs(".", &fs), 0);
	CHECK(fs.f_bsize > 0 && fs.f_namelen == 255);
	CHECK_ERRNO(statfs("none", &fs), ENOENT);
	int fd = open(".", O_RDONLY);
	CHECK_EQ(fstatfs(fd, &fs), 0);
	close(fd);
}
