/* /proc/PID/maps, smaps, smaps_rollup and statm: what they say of maps, held against what the program mapped and touched. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static char text[1 << 19];

/* The whole of a file, as a string in `text`, whose pages are there before it is read. */
static const char *content(const char *path) {
	long length = 0, more;
	memset(text, 0, sizeof text);
	int fd = open(path, O_RDONLY);
	while ((more = read(fd, text + length, sizeof text - 1 - length)) > 0) length += more;
	close(fd);
	return text;
}

/* The number of KiB behind a name, from `at` on. */
static long number(const char *at, const char *name) {
	char wanted[32];
	snprintf(wanted, sizeof wanted, "\n%s:", name);
	at = strstr(at, wanted);
	return at ? strtol(at + strlen(wanted), NULL, 10) : -1;
}

/* The same for the map that starts at `map`, in /proc/self/smaps. */
static long kib(const void *map, const char *name) {
	char start[32];
	snprintf(start, sizeof start, "\n%lx-", (unsigned long)map);
	const char *line = strstr(content("/proc/self/smaps"), start);
	return line ? number(line + 1, name) : -2;
}

static long sum(const char *name) {
	char wanted[32];
	long all = 0;
	snprintf(wanted, sizeof wanted, "\n%s:", name);
	for (char *at = text; (at = strstr(at, wanted)); at++) all += strtol(at + strlen(wanted), NULL, 10);
	return all;
}

/* How many lines of /proc/self/maps show parts of these addresses. */
static int lines(const void *map, long bytes) {
	unsigned long start, end, first = (unsigned long)map, last = first + bytes;
	int count = 0;
	for (const char *at = content("/proc/self/maps"); at && sscanf(at, "%lx-%lx", &start, &end) == 2;) {
		count += start < last && end > first;
		at = strchr(at, '\n');
		if (at) at++;
	}
	return count;
}

static char *anonymous(int pages) {
	char *map = mmap(NULL, pages * PAGE, RW, ANON, -1, 0);
	return map == MAP_FAILED ? NULL : map;
}

/* A map of its own, alike no neighbour. */
static char *apart(int pages) {
	char *map = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, ANON, -1, 0);
	mprotect(map + PAGE, pages * PAGE, RW);
	return map + PAGE;
}

TEST(only_pages_that_were_written_are_resident_and_anonymous) {
	char *map = apart(16);
	for (int i = 0; i < 5; i++) map[i * PAGE] = 1;
	for (int i = 8; i < 11; i++) (void)*(volatile char *)(map + i * PAGE);
	CHECK_EQ(kib(map, "Size"), 64);
	CHECK_EQ(kib(map, "KernelPageSize"), 4);
	CHECK_EQ(kib(map, "MMUPageSize"), 4);
	CHECK_EQ(kib(map, "Rss"), 20);
	CHECK_EQ(kib(map, "Pss"), 20);
	CHECK_EQ(kib(map, "Anonymous"), 20);
	CHECK_EQ(kib(map, "Private_Dirty"), 20);
	CHECK_EQ(kib(map, "Private_Clean"), 0);
	CHECK_EQ(kib(map, "Shared_Clean") + kib(map, "Shared_Dirty"), 0);
	CHECK_EQ(kib(map, "Swap"), 0);
	CHECK_EQ(kib(map, "Locked"), 0);
	CHECK_EQ(madvise(map, 2 * PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(kib(map, "Rss"), 12);
	munmap(map - PAGE, 18 * PAGE);
}

TEST(pages_shared_since_a_fork_count_by_halves) {
	char *map = apart(16);
	int done[2], status;
	memset(map, 1, 10 * PAGE);
	CHECK_EQ(pipe(done), 0);
	pid_t child = fork();
	if (!child) {
		char byte;
		map[0] = 2;
		CHILD_CHECK(kib(map, "Rss") == 40 && kib(map, "Private_Dirty") == 4 && kib(map, "Shared_Dirty") == 36);
		_exit(read(done[0], &byte, 1) != 1);
	}
	/* Until the child has made its copy of the first. */
	for (int i = 0; i < 1000 && kib(map, "Private_Dirty") != 4; i++) sleep_ms(1);
	CHECK_EQ(kib(map, "Private_Dirty"), 4);
	CHECK_EQ(kib(map, "Rss"), 40);
	CHECK_EQ(kib(map, "Shared_Dirty"), 36);
	CHECK_EQ(kib(map, "Pss"), 4 + 18);
	CHECK_EQ(kib(map, "Anonymous"), 40);
	CHECK_EQ(write(done[1], "", 1), 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK_EQ(kib(map, "Private_Dirty"), 40);
	CHECK_EQ(kib(map, "Pss"), 40);
	munmap(map - PAGE, 18 * PAGE);
}

TEST(pages_of_an_object_count_by_its_mappers) {
	int fd = memfd_create("object", 0);
	CHECK_EQ(ftruncate(fd, 8 * PAGE), 0);
	char *map = mmap(NULL, 8 * PAGE, RW, MAP_SHARED, fd, 0);
	for (int i = 0; i < 3; i++) map[i * PAGE] = 1;
	CHECK_EQ(kib(map, "Rss"), 12);
	CHECK_EQ(kib(map, "Pss"), 12);
	CHECK_EQ(kib(map, "Anonymous"), 0);
	CHECK_EQ(kib(map, "Private_Dirty"), 12);
	char *again = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	for (int i = 0; i < 3; i++) CHECK_EQ(again[i * PAGE], 1);
	CHECK_EQ(kib(again, "Rss"), 12);
	CHECK_EQ(kib(again, "Pss"), 6);
	CHECK_EQ(kib(map, "Pss"), 6);
	CHECK_EQ(kib(map, "Shared_Dirty"), 12);
	CHECK_EQ(kib(again, "Shared_Clean") + kib(again, "Shared_Dirty"), 12);
	munmap(again, 8 * PAGE);
	CHECK_EQ(kib(map, "Pss"), 12);
	munmap(map, 8 * PAGE);
	/* A private map of it: what is read is the object's, what is written one's own. */
	map = mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE, fd, 0);
	map[0] = 2;
	(void)*(volatile char *)(map + PAGE);
	CHECK_EQ(kib(map, "Anonymous"), 4);
	CHECK(kib(map, "Rss") >= 8 && kib(map, "Private_Dirty") >= 4);
	munmap(map, 8 * PAGE);
	close(fd);
}

TEST(what_is_locked_is_told) {
	char *map = apart(8);
	CHECK_EQ(mlock(map, 4 * PAGE), 0);
	CHECK_EQ(kib(map, "Size"), 16);
	CHECK_EQ(kib(map, "Rss"), 16);
	CHECK_EQ(kib(map, "Locked"), 16);
	CHECK_EQ(kib(map + 4 * PAGE, "Locked"), 0);
	CHECK_EQ(munlock(map, 4 * PAGE), 0);
	CHECK_EQ(kib(map, "Size"), 32);
	CHECK_EQ(kib(map, "Locked"), 0);
	munmap(map - PAGE, 10 * PAGE);
}

TEST(the_rollup_is_the_sum_of_the_maps) {
	static const char *const names[] = {
		"Rss", "Shared_Dirty", "Private_Dirty", "Anonymous", "Swap", "Locked", "LazyFree",
	};
	long sums[7];
	char *map = apart(32);
	memset(map, 1, 20 * PAGE);
	CHECK_EQ(mlock(map, 2 * PAGE), 0);
	content("/proc/self/smaps_rollup");
	content("/proc/self/smaps");
	for (int i = 0; i < 7; i++) sums[i] = sum(names[i]);
	content("/proc/self/smaps_rollup");
	for (int i = 0; i < 7; i++) {
		if (number(text, names[i]) != sums[i])
			test_fail(__FILE__, __LINE__, "%s is %ld, not %ld", names[i], number(text, names[i]), sums[i]);
	}
	CHECK_EQ(number(text, "Locked"), 8);
	CHECK(number(text, "Pss_Anon") >= 80 && number(text, "Pss") >= number(text, "Pss_Anon"));
	CHECK_EQ(number(text, "Rss"), number(text, "Shared_Clean") + number(text, "Shared_Dirty") +
	                                  number(text, "Private_Clean") + number(text, "Private_Dirty"));
	munmap(map - PAGE, 34 * PAGE);
}

TEST(statm_follows_what_is_mapped_and_touched) {
	long size[3], resident[3], shared, code;
	CHECK_EQ(sscanf(content("/proc/self/statm"), "%ld %ld %ld %ld", &size[0], &resident[0], &shared, &code), 4);
	CHECK(code > 0 && code < size[0]);
	char *map = anonymous(2000);
	CHECK_EQ(sscanf(content("/proc/self/statm"), "%ld %ld", &size[1], &resident[1]), 2);
	memset(map, 1, 1000 * PAGE);
	CHECK_EQ(sscanf(content("/proc/self/statm"), "%ld %ld", &size[2], &resident[2]), 2);
	CHECK(size[1] == size[0] + 2000 && size[2] == size[1]);
	/* Linux counts in batches, a few dozen for each CPU. */
	CHECK(resident[2] > resident[1] + 700 && resident[2] < resident[1] + 1300);
	munmap(map, 2000 * PAGE);
	CHECK_EQ(sscanf(content("/proc/self/statm"), "%ld", &size[2]), 1);
	CHECK_EQ(size[2], size[0]);
}

TEST(neighbours_that_are_alike_are_one_line) {
	char *map = apart(9);
	CHECK_EQ(lines(map, 9 * PAGE), 1);
	CHECK_EQ(mprotect(map + 3 * PAGE, 3 * PAGE, PROT_READ), 0);
	CHECK_EQ(lines(map, 9 * PAGE), 3);
	CHECK_EQ(mprotect(map + 4 * PAGE, PAGE, RW), 0);
	CHECK_EQ(lines(map, 9 * PAGE), 5);
	CHECK_EQ(mprotect(map + 3 * PAGE, 3 * PAGE, RW), 0);
	CHECK_EQ(lines(map, 9 * PAGE), 1);
	CHECK_EQ(munmap(map + 4 * PAGE, PAGE), 0);
	CHECK_EQ(lines(map, 9 * PAGE), 2);
	CHECK(mmap(map + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == map + 4 * PAGE);
	CHECK_EQ(lines(map, 9 * PAGE), 1);
	CHECK_EQ(madvise(map + 4 * PAGE, PAGE, MADV_DONTFORK), 0);
	CHECK_EQ(lines(map, 9 * PAGE), 3);
	CHECK_EQ(madvise(map, 9 * PAGE, MADV_DOFORK), 0);
	CHECK_EQ(lines(map, 9 * PAGE), 1);
	CHECK_EQ(mlock(map, PAGE), 0);
	CHECK_EQ(lines(map, 9 * PAGE), 2);
	CHECK_EQ(munlock(map, 9 * PAGE), 0);
	CHECK_EQ(lines(map, 9 * PAGE), 1);
	munmap(map - PAGE, 11 * PAGE);
}

TEST(maps_of_a_file_join_where_their_offsets_do) {
	int fd = memfd_create("object", 0);
	CHECK_EQ(ftruncate(fd, 8 * PAGE), 0);
	char *map = mmap(NULL, 8 * PAGE, PROT_NONE, ANON, -1, 0);
	CHECK(mmap(map, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == map);
	CHECK(mmap(map + 2 * PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 2 * PAGE) == map + 2 * PAGE);
	CHECK_EQ(lines(map, 4 * PAGE), 1);
	CHECK(mmap(map + 4 * PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 5 * PAGE) == map + 4 * PAGE);
	CHECK_EQ(lines(map, 6 * PAGE), 2);
	munmap(map, 8 * PAGE);
	close(fd);
}

static int initialised = 1;

TEST(stat_tells_where_code_and_data_lie) {
	unsigned long fields[52] = {0};
	char *at = strchr(content("/proc/self/stat"), ')') + 4;
	for (int i = 4; i < 52; i++) fields[i] = strtoul(at, &at, 10);
	/* startcode, endcode; start_data, end_data; start_brk, where the heap begins. */
	uintptr_t function = (uintptr_t)content, variable = (uintptr_t)&initialised;
	CHECK(fields[26] <= function && function < fields[27]);
	CHECK(fields[45] <= variable && variable < fields[46]);
	CHECK(fields[46] <= fields[47]);
}
