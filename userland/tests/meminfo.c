// only: rustos
// cpus: 1 2
// timeout: 60
/* /proc/meminfo follows what programs do with memory. On Linux others would use the host's meanwhile. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/shm.h>

enum { KIB = 1024, PAGE = 4096, RW = PROT_READ | PROT_WRITE, SIZE = 32 << 20, SLACK_KIB = 768 };

static long kib(const char *name) {
	static char text[8192];
	char wanted[32];
	int fd = open("/proc/meminfo", O_RDONLY);
	long length = read(fd, text + 1, sizeof text - 2);
	close(fd);
	text[0] = '\n';
	text[length + 1] = 0;
	snprintf(wanted, sizeof wanted, "\n%s:", name);
	char *at = strstr(text, wanted);
	return at ? strtol(at + strlen(wanted), NULL, 10) : -1;
}

static const char *const names[] = {"MemFree", "MemAvailable", "AnonPages", "Shmem", "Cached", "Mapped", "PageTables"};
enum { FREE, AVAILABLE, ANON, SHMEM, CACHED, MAPPED, TABLES, NAMES };

static void look(long figures[NAMES]) {
	for (int i = 0; i < NAMES; i++) figures[i] = kib(names[i]);
}

/* Each figure grew by so many KiB, more or less. */
static void expect(const long before[NAMES], const long grown[NAMES]) {
	long now[NAMES];
	look(now);
	for (int i = 0; i < NAMES; i++) {
		long difference = now[i] - before[i] - grown[i];
		if (before[i] < 0 || difference > SLACK_KIB || difference < -SLACK_KIB)
			test_fail(__FILE__, __LINE__, "%s was %ld, is %ld, not %ld more", names[i], before[i], now[i], grown[i]);
	}
}

TEST(private_memory_counts_when_it_is_written) {
	long before[NAMES], mib = SIZE / KIB;
	look(before);
	char *map = mmap(NULL, SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TRY(expect(before, (long[NAMES]){0}));
	memset(map, 1, SIZE);
	TRY(expect(before, (long[NAMES]){[FREE] = -mib, [AVAILABLE] = -mib, [ANON] = mib, [TABLES] = mib / 512}));
	munmap(map, SIZE);
	TRY(expect(before, (long[NAMES]){0}));
}

TEST(shared_memory_counts_once_and_as_mapped) {
	long before[NAMES], mib = SIZE / KIB;
	look(before);
	char *map = mmap(NULL, SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(map, 1, SIZE);
	TRY(expect(before, (long[NAMES]){[FREE] = -mib, [AVAILABLE] = -mib, [SHMEM] = mib, [CACHED] = mib, [MAPPED] = mib}));
	munmap(map, SIZE);
	TRY(expect(before, (long[NAMES]){0}));
	int fd = memfd_create("file", 0);
	for (int i = 0; i < SIZE / PAGE; i++) CHECK_EQ(pwrite(fd, "x", 1, (long)i * PAGE), 1);
	TRY(expect(before, (long[NAMES]){[FREE] = -mib, [AVAILABLE] = -mib, [SHMEM] = mib, [CACHED] = mib}));
	close(fd);
	TRY(expect(before, (long[NAMES]){0}));
	int segment = shmget(IPC_PRIVATE, SIZE, 0600);
	map = shmat(segment, NULL, 0);
	memset(map, 1, SIZE);
	CHECK_EQ(shmdt(map), 0);
	TRY(expect(before, (long[NAMES]){[FREE] = -mib, [AVAILABLE] = -mib, [SHMEM] = mib, [CACHED] = mib}));
	CHECK_EQ(shmctl(segment, IPC_RMID, NULL), 0);
	TRY(expect(before, (long[NAMES]){0}));
}

TEST(tables_are_counted) {
	long before[NAMES];
	look(before);
	/* A page in each 2 MiB has a table of its own. */
	enum { TABLES_MADE = 512 };
	size_t bytes = (size_t)TABLES_MADE << 21;
	char *map = mmap(NULL, bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (int i = 0; i < TABLES_MADE; i++) map[(size_t)i << 21] = 1;
	long kib_ = TABLES_MADE * PAGE / KIB;
	TRY(expect(before, (long[NAMES]){[FREE] = -2 * kib_, [AVAILABLE] = -2 * kib_, [ANON] = kib_, [TABLES] = kib_}));
	munmap(map, bytes);
	TRY(expect(before, (long[NAMES]){0}));
}

TEST(available_is_what_a_program_can_have) {
	long total = kib("MemTotal"), free = kib("MemFree"), available = kib("MemAvailable");
	CHECK(available < free && free < total && available > total / 2);
}
