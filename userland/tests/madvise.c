/* madvise(2) and process_madvise(2): each advice of Linux 6.1, which memory it is for, and in which order errors come. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

enum {
	NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED, FREE = 8, REMOVE, DONTFORK, DOFORK, MERGEABLE, UNMERGEABLE, HUGEPAGE,
	NOHUGEPAGE, DONTDUMP, DODUMP, WIPEONFORK, KEEPONFORK, COLD, PAGEOUT, POPULATE_READ, POPULATE_WRITE, DONTNEED_LOCKED,
};

static const int all_advice[] = {
	NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED, FREE, REMOVE, DONTFORK, DOFORK, DONTDUMP, DODUMP, WIPEONFORK, KEEPONFORK,
	COLD, PAGEOUT, POPULATE_READ, POPULATE_WRITE, DONTNEED_LOCKED,
};
enum { ADVICE = sizeof all_advice / sizeof *all_advice };

static char *anonymous(int pages) {
	char *map = mmap(NULL, pages * PAGE, RW, ANON, -1, 0);
	return map == MAP_FAILED ? NULL : map;
}

static long resident(void *map, int pages) {
	unsigned char vector[64];
	long count = 0;
	if (mincore(map, pages * PAGE, vector)) return -1;
	for (int i = 0; i < pages; i++) count += vector[i] & 1;
	return count;
}

TEST(an_unknown_advice_comes_before_all_else) {
	static const int unknown[] = {5, 6, 7, 26, 99, 102, -1};
	for (int i = 0; i < 7; i++) CHECK_ERRNO(madvise((void *)1, -1ul, unknown[i]), EINVAL);
	CHECK_ERRNO(madvise(NULL, 0, 99), EINVAL);
}

TEST(then_come_alignment_and_lengths_that_wrap) {
	char *map = anonymous(2);
	for (int i = 0; i < ADVICE; i++) {
		CHECK_ERRNO(madvise(map + 1, 0, all_advice[i]), EINVAL);
		CHECK_ERRNO(madvise(map, -1ul, all_advice[i]), EINVAL);
		CHECK_EQ(madvise(map, 0, all_advice[i]), 0);
		CHECK_EQ(madvise(NULL, 0, all_advice[i]), 0);
	}
	munmap(map, 2 * PAGE);
}

TEST(nothing_mapped_is_enomem_for_every_advice) {
	char *map = anonymous(2);
	munmap(map, 2 * PAGE);
	for (int i = 0; i < ADVICE; i++) CHECK_ERRNO(madvise(map, PAGE, all_advice[i]), ENOMEM);
}

TEST(a_hole_is_told_after_the_rest_was_advised) {
	char *map = anonymous(3);
	memset(map, 7, 3 * PAGE);
	munmap(map + PAGE, PAGE);
	CHECK_ERRNO(madvise(map, 3 * PAGE, DONTNEED), ENOMEM);
	CHECK(map[0] == 0 && map[2 * PAGE] == 0);
	CHECK_EQ(madvise(map, PAGE, DONTNEED), 0);
	CHECK_EQ(madvise(map + 2 * PAGE, PAGE, DONTNEED), 0);
	CHECK_ERRNO(madvise(map, 3 * PAGE, POPULATE_WRITE), ENOMEM);
	CHECK_EQ(resident(map, 1), 1);
	munmap(map, 3 * PAGE);
}

TEST(what_fails_in_one_map_leaves_the_maps_behind_it_alone) {
	char *map = anonymous(3);
	memset(map, 7, 3 * PAGE);
	CHECK(mmap(map + PAGE, PAGE, RW, MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0) == map + PAGE);
	CHECK_ERRNO(madvise(map, 3 * PAGE, FREE), EINVAL);
	CHECK_EQ(map[2 * PAGE], 7);
	munmap(map, 3 * PAGE);
}

TEST(locked_memory_cannot_be_given_up) {
	char *map = anonymous(2);
	map[0] = 7;
	CHECK_EQ(mlock(map, 2 * PAGE), 0);
	static const int refused[] = {DONTNEED, FREE, COLD, PAGEOUT};
	for (int i = 0; i < 4; i++) CHECK_ERRNO(madvise(map, PAGE, refused[i]), EINVAL);
	CHECK_EQ(map[0], 7);
	CHECK_ERRNO(madvise(map, PAGE, REMOVE), EINVAL);
	CHECK_EQ(madvise(map, PAGE, WILLNEED), 0);
	CHECK_EQ(madvise(map, PAGE, DONTNEED_LOCKED), 0);
	CHECK_EQ(map[0], 0);
	munmap(map, 2 * PAGE);
}

TEST(cold_and_paged_out_memory_keeps_what_it_holds) {
	char *map = anonymous(4);
	memset(map, 7, 4 * PAGE);
	CHECK_EQ(madvise(map, 4 * PAGE, COLD), 0);
	CHECK_EQ(madvise(map, 4 * PAGE, PAGEOUT), 0);
	for (int i = 0; i < 4 * PAGE; i++) CHECK_EQ(map[i], 7);
	munmap(map, 4 * PAGE);
}

TEST(freed_memory_holds_the_old_or_zeros_and_takes_the_new) {
	char *map = anonymous(2);
	memset(map, 7, 2 * PAGE);
	CHECK_EQ(madvise(map, 2 * PAGE, FREE), 0);
	for (int i = 0; i < PAGE; i++) CHECK(map[i] == 7 || map[i] == 0);
	map[PAGE] = 9;
	CHECK_EQ(map[PAGE], 9);
	munmap(map, 2 * PAGE);
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(ftruncate(fd, PAGE), 0);
	map = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK_ERRNO(madvise(map, PAGE, FREE), EINVAL);
	munmap(map, PAGE);
	close(fd);
}

TEST(dontneed_gives_the_page_of_the_object_back) {
	char *map = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	map[0] = 7;
	CHECK_EQ(madvise(map, 2 * PAGE, DONTNEED), 0);
	CHECK_EQ(map[0], 7);
	munmap(map, 2 * PAGE);
}

TEST(remove_makes_a_hole_in_what_all_share) {
	int fd = memfd_create("hole", MFD_ALLOW_SEALING);
	CHECK_EQ(ftruncate(fd, 4 * PAGE), 0);
	char *map = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0), *again = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	memset(map, 7, 4 * PAGE);
	CHECK_EQ(again[PAGE], 7);
	CHECK_EQ(madvise(map + PAGE, PAGE, REMOVE), 0);
	CHECK(again[PAGE] == 0 && map[PAGE] == 0 && map[0] == 7 && map[2 * PAGE] == 7);
	struct stat st;
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 4 * PAGE);
	/* One that cannot be written just now, but may be, is as good. */
	CHECK_EQ(mprotect(map, 4 * PAGE, PROT_READ), 0);
	CHECK_EQ(madvise(map, PAGE, REMOVE), 0);
	CHECK_EQ(map[0], 0);
	/* Sealed against writes, it keeps what it has. */
	munmap(map, 4 * PAGE);
	map = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, 0x10 /* F_SEAL_FUTURE_WRITE */), 0);
	CHECK_ERRNO(madvise(map + 2 * PAGE, PAGE, REMOVE), EPERM);
	CHECK_EQ(map[2 * PAGE], 7);
	munmap(map, 4 * PAGE);
	munmap(again, 4 * PAGE);
	close(fd);
}

TEST(remove_is_for_shared_memory_that_may_be_written) {
	char *map = anonymous(1);
	CHECK_ERRNO(madvise(map, PAGE, REMOVE), EINVAL);
	munmap(map, PAGE);
	int fd = open("file", O_RDWR | O_CREAT, 0600), reader = open("file", O_RDONLY);
	CHECK_EQ(ftruncate(fd, PAGE), 0);
	map = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK_ERRNO(madvise(map, PAGE, REMOVE), EACCES);
	munmap(map, PAGE);
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
	CHECK_ERRNO(madvise(map, PAGE, REMOVE), EACCES);
	munmap(map, PAGE);
	map = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	map[0] = 7;
	CHECK_EQ(madvise(map, PAGE, REMOVE), 0);
	CHECK_EQ(map[0], 0);
	munmap(map, PAGE);
	close(fd);
	close(reader);
}

TEST(populating_wants_the_right_that_it_uses) {
	char *map = mmap(NULL, 4 * PAGE, PROT_READ, ANON, -1, 0);
	CHECK_ERRNO(madvise(map, 4 * PAGE, POPULATE_WRITE), EINVAL);
	CHECK_EQ(madvise(map, 4 * PAGE, POPULATE_READ), 0);
	CHECK_EQ(resident(map, 4), 4);
	CHECK_EQ(mprotect(map, 4 * PAGE, PROT_NONE), 0);
	CHECK_ERRNO(madvise(map, 4 * PAGE, POPULATE_READ), EINVAL);
	CHECK_ERRNO(madvise(map, 4 * PAGE, POPULATE_WRITE), EINVAL);
	CHECK_EQ(mprotect(map, 4 * PAGE, PROT_EXEC), 0);
	CHECK_ERRNO(madvise(map, 4 * PAGE, POPULATE_READ), EINVAL);
	CHECK_EQ(mprotect(map, 4 * PAGE, PROT_WRITE), 0);
	CHECK_ERRNO(madvise(map, 4 * PAGE, POPULATE_READ), EINVAL);
	CHECK_EQ(madvise(map, 4 * PAGE, POPULATE_WRITE), 0);
	munmap(map, 4 * PAGE);
	/* Past the end of a file there is nothing to bring in. */
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(ftruncate(fd, PAGE), 0);
	map = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	CHECK_EQ(madvise(map, PAGE, POPULATE_WRITE), 0);
	CHECK_ERRNO(madvise(map, 2 * PAGE, POPULATE_READ), EFAULT);
	munmap(map, 2 * PAGE);
	close(fd);
}

TEST(populated_pages_are_copies_where_writes_are_private) {
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(ftruncate(fd, PAGE), 0);
	CHECK_EQ(pwrite(fd, "a", 1, 0), 1);
	char *map = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK_EQ(madvise(map, PAGE, POPULATE_WRITE), 0);
	CHECK_EQ(pwrite(fd, "b", 1, 0), 1);
	CHECK_EQ(map[0], 'a');
	munmap(map, PAGE);
	close(fd);
}

/* The letters behind VmFlags: of the map that starts at `map`. */
static int has_flag(const void *map, const char *letters) {
	static char text[1 << 18];
	char start[32], wanted[8];
	long length = 0, more;
	int fd = open("/proc/self/smaps", O_RDONLY);
	while ((more = read(fd, text + length, sizeof text - 1 - length)) > 0) length += more;
	close(fd);
	text[length] = 0;
	snprintf(start, sizeof start, "\n%lx-", (unsigned long)map);
	snprintf(wanted, sizeof wanted, " %s ", letters);
	char *line = strstr(text, start), *flags = line ? strstr(line, "VmFlags:") : NULL;
	if (!flags) return -1;
	*strchr(flags, '\n') = 0;
	return strstr(flags, wanted) != NULL;
}

TEST(advice_is_a_property_of_the_pages_it_was_given_for) {
	static const struct { int set, clear; const char *letters; } pairs[] = {
		{RANDOM, NORMAL, "rr"}, {SEQUENTIAL, NORMAL, "sr"}, {DONTFORK, DOFORK, "dc"}, {DONTDUMP, DODUMP, "dd"},
		{WIPEONFORK, KEEPONFORK, "wf"},
	};
	for (int i = 0; i < 5; i++) {
		char *map = anonymous(3);
		CHECK_EQ(madvise(map + PAGE, PAGE, pairs[i].set), 0);
		CHECK_EQ(has_flag(map + PAGE, pairs[i].letters), 1);
		CHECK_EQ(has_flag(map + 2 * PAGE, pairs[i].letters), 0);
		CHECK_EQ(madvise(map + PAGE, PAGE, pairs[i].clear), 0);
		CHECK_EQ(has_flag(map + PAGE, pairs[i].letters), -1);
		munmap(map, 3 * PAGE);
	}
	char *map = anonymous(1);
	CHECK_EQ(madvise(map, PAGE, RANDOM), 0);
	CHECK_EQ(madvise(map, PAGE, SEQUENTIAL), 0);
	CHECK(has_flag(map, "sr") == 1 && has_flag(map, "rr") == 0);
	munmap(map, PAGE);
}

TEST(wiping_is_for_private_memory_without_a_file) {
	char *map = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK_ERRNO(madvise(map, PAGE, WIPEONFORK), EINVAL);
	CHECK_EQ(madvise(map, PAGE, KEEPONFORK), 0);
	CHECK_EQ(madvise(map, PAGE, DONTFORK), 0);
	munmap(map, PAGE);
}

/* --- process_madvise ----------------------------------------------------------------------------------------------- */

static long advise(int pidfd, struct iovec *vector, size_t count, int advice, unsigned flags) {
	return syscall(440, pidfd, vector, count, advice, flags);
}

TEST(a_process_is_advised_by_its_pidfd) {
	char *map = anonymous(4);
	memset(map, 7, 4 * PAGE);
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	struct iovec two[] = {{map, PAGE}, {map + 2 * PAGE, 2 * PAGE}};
	CHECK_EQ(advise(pidfd, two, 2, COLD, 0), 3 * PAGE);
	CHECK_EQ(advise(pidfd, two, 2, PAGEOUT, 0), 3 * PAGE);
	CHECK_EQ(advise(pidfd, two, 2, WILLNEED, 0), 3 * PAGE);
	CHECK_EQ(advise(pidfd, two, 0, COLD, 0), 0);
	for (int i = 0; i < 4; i++) CHECK_EQ(map[i * PAGE], 7);
	/* What comes before the hole was advised. */
	munmap(map + 2 * PAGE, PAGE);
	CHECK_EQ(advise(pidfd, two, 2, COLD, 0), PAGE);
	CHECK_ERRNO(advise(pidfd, two + 1, 1, COLD, 0), ENOMEM);
	munmap(map, 4 * PAGE);
	close(pidfd);
}

TEST(process_madvise_refuses_in_linuxs_order) {
	char *map = anonymous(1);
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0), file = open("file", O_RDWR | O_CREAT, 0600);
	struct iovec one = {map, PAGE}, long_ = {map, -1ul};
	CHECK_ERRNO(advise(-1, (void *)8, 2000, 99, 1), EINVAL);
	CHECK_ERRNO(advise(-1, &one, 2000, 99, 0), EINVAL);
	CHECK_ERRNO(advise(-1, (void *)8, 1, 99, 0), EFAULT);
	CHECK_ERRNO(advise(-1, &long_, 1, 99, 0), EINVAL);
	CHECK_ERRNO(advise(-1, &one, 1, 99, 0), EBADF);
	CHECK_ERRNO(advise(file, &one, 1, 99, 0), EBADF);
	CHECK_ERRNO(advise(pidfd, &one, 1, 99, 0), EINVAL);
	one.iov_base = map + 1;
	CHECK_ERRNO(advise(pidfd, &one, 1, COLD, 0), EINVAL);
	one.iov_base = map;
	pid_t child = fork();
	if (!child) _exit(0);
	int dead = syscall(SYS_pidfd_open, child, 0);
	CHECK_EQ(waitpid(child, NULL, 0), child);
	CHECK_ERRNO(advise(dead, &one, 1, COLD, 0), ESRCH);
	munmap(map, PAGE);
	close(pidfd);
	close(file);
	close(dead);
}
