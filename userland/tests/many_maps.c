// only: rustos
// mem: 1G
// timeout: 120
/* Settings of memory in /proc/sys/vm, and a million maps. On Linux it would change the host's settings. */
#include "test.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#define PAGE 4096l

static int set(const char *name, const char *value) {
	int fd = open(name, O_WRONLY);
	if (fd < 0) return -1;
	int result = (int)write(fd, value, strlen(value)), error = errno;
	close(fd);
	errno = error;
	return result;
}

static long get(const char *name) {
	char text[32] = "";
	int fd = open(name, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof text - 1) < 0) return -1;
	close(fd);
	return atol(text);
}

#define MAX_MAPS "/proc/sys/vm/max_map_count"
#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"

TEST(settings_take_numbers_within_their_bounds) {
	struct stat stat_;
	CHECK_EQ(stat(MAX_MAPS, &stat_), 0);
	CHECK_EQ(stat_.st_mode, S_IFREG | 0644);
	CHECK_EQ(get(MAX_MAPS), 65530);
	CHECK_ERRNO(set(MAX_MAPS, "-1"), EINVAL);
	CHECK_ERRNO(set(MAX_MAPS, "maps"), EINVAL);
	CHECK_ERRNO(set(MAX_MAPS, "4294967296"), EINVAL);
	CHECK_EQ(get(MAX_MAPS), 65530);
	CHECK_EQ(set(MAX_MAPS, " 70000\n"), 7);
	CHECK_EQ(get(MAX_MAPS), 70000);
}

TEST(what_could_never_fit_is_refused_unless_overcommitment_is_allowed) {
	struct sysinfo info;
	sysinfo(&info);
	size_t bytes = info.totalram * 4;
	CHECK(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	CHECK_EQ(errno, ENOMEM);
	CHECK_EQ(set(OVERCOMMIT, "1"), 1);
	char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	map[bytes - 1] = 1;
	munmap(map, bytes);
	CHECK_EQ(set(OVERCOMMIT, "0"), 1);
}

/* Every second page of an area is a map of its own. Gives how many there are when no more are allowed. */
static long cut(char *area, long pages) {
	for (long i = 1; i < pages; i += 2)
		if (mprotect(area + i * PAGE, PAGE, PROT_READ)) return i;
	return pages;
}

TEST(a_million_maps_are_found_again) {
	enum { MAPS = 1000000 };
	char *area = mmap(NULL, MAPS * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(area != MAP_FAILED);
	CHECK_EQ(set(MAX_MAPS, "65530"), 5);
	long reached = cut(area, MAPS);
	CHECK(reached > 65000 && reached < 65530);
	CHECK_EQ(errno, ENOMEM);
	CHECK_EQ(set(MAX_MAPS, "1100000"), 7);
	CHECK_EQ(cut(area, MAPS), MAPS);
	long sum = 0;
	for (long i = 1; i < MAPS; i += 9998) sum += area[i * PAGE];
	CHECK_EQ(sum, 0);
	CHECK_EQ(munmap(area, MAPS * PAGE), 0);
	CHECK_EQ(set(MAX_MAPS, "65530"), 5);
}
