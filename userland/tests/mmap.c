// timeout: 120
/* mmap(2), munmap(2), mprotect(2), brk(2): what is mapped, how, and in which order errors come. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static sigjmp_buf after_fault;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void on_fault(int signal, siginfo_t *info, void *context) {
	(void)context;
	fault_signal = signal;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(after_fault, 1);
}

__attribute__((constructor)) static void catch_faults(void) {
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* 0 if the access goes well, else the signal. */
#define FAULT_OF(access)                                                                   \
	({                                                                                     \
		fault_signal = 0;                                                                  \
		if (!sigsetjmp(after_fault, 1)) { access; }                                        \
		fault_signal;                                                                      \
	})

static int reads(volatile char *at) {
	return FAULT_OF((void)*at) == 0;
}

static int writes(volatile char *at) {
	return FAULT_OF(*at = 1) == 0;
}

static void *anonymous(size_t bytes, int prot) {
	return mmap(NULL, bytes, prot, ANON, -1, 0);
}

TEST(fresh_memory_is_zero_and_page_aligned) {
	unsigned char *map = anonymous(64 * PAGE, RW);
	CHECK(map != MAP_FAILED && (uintptr_t)map % PAGE == 0);
	for (int i = 0; i < 64 * PAGE; i += 64) CHECK_EQ(map[i], 0);
	memset(map, 0xaa, 64 * PAGE);
	CHECK_EQ(munmap(map, 64 * PAGE), 0);
	map = anonymous(64 * PAGE, RW);
	for (int i = 0; i < 64 * PAGE; i++) CHECK_EQ(map[i], 0);
	CHECK_EQ(munmap(map, 64 * PAGE), 0);
}

TEST(a_length_is_rounded_up_to_pages) {
	char *map = anonymous(1, RW);
	CHECK(writes(map + PAGE - 1));
	CHECK_EQ(munmap(map, 1), 0);
	CHECK(!reads(map));
}

TEST(faults_tell_address_and_reason) {
	char *map = anonymous(2 * PAGE, PROT_READ);
	CHECK_EQ(munmap(map + PAGE, PAGE), 0);
	CHECK(!writes(map + 100));
	CHECK(fault_signal == SIGSEGV && fault_code == SEGV_ACCERR && fault_address == map + 100);
	CHECK(!reads(map + PAGE + 7));
	CHECK(fault_signal == SIGSEGV && fault_code == SEGV_MAPERR && fault_address == map + PAGE + 7);
	CHECK(!reads((char *)0xffffffff81000000));
	CHECK(fault_code == SEGV_MAPERR);
	CHECK(!reads((char *)0x8000000000000000));
	CHECK(fault_code == 128 /* SI_KERNEL */ && fault_address == NULL);
	CHECK_EQ(munmap(map, PAGE), 0);
}

TEST(protections_are_kept) {
	char *map = anonymous(PAGE, PROT_NONE);
	CHECK(!reads(map) && !writes(map));
	CHECK_EQ(mprotect(map, PAGE, PROT_READ), 0);
	CHECK(reads(map) && !writes(map));
	CHECK_EQ(mprotect(map, PAGE, RW), 0);
	CHECK(reads(map) && writes(map));
	CHECK_EQ(mprotect(map, PAGE, PROT_WRITE), 0);
	CHECK(writes(map));
	CHECK_EQ(mprotect(map, PAGE, PROT_NONE), 0);
	CHECK(!reads(map));
	CHECK_EQ(mprotect(map, PAGE, PROT_READ), 0);
	CHECK_EQ(*map, 1);
	munmap(map, PAGE);
}

TEST(code_runs_only_where_execution_is_allowed) {
	unsigned char *map = anonymous(PAGE, RW);
	memcpy(map, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov eax, 42; ret */
	int (*function)(void) = (int (*)(void))(void *)map;
	volatile int result = 0;
	CHECK_EQ(FAULT_OF(result = function()), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK(fault_address == map);
	CHECK_EQ(mprotect(map, PAGE, PROT_READ | PROT_EXEC), 0);
	CHECK_EQ(FAULT_OF(result = function()), 0);
	CHECK_EQ(result, 42);
	CHECK(!writes((char *)map));
	munmap(map, PAGE);
}

TEST(mprotect_splits_and_joins) {
	char *map = anonymous(9 * PAGE, RW);
	memset(map, 5, 9 * PAGE);
	CHECK_EQ(mprotect(map + 3 * PAGE, 3 * PAGE, PROT_READ), 0);
	CHECK_EQ(mprotect(map + 4 * PAGE, PAGE, PROT_NONE), 0);
	for (int i = 0; i < 9; i++) {
		CHECK_EQ(reads(map + i * PAGE), i != 4);
		CHECK_EQ(writes(map + i * PAGE + 1), i < 3 || i > 5);
	}
	CHECK_EQ(mprotect(map, 9 * PAGE, RW), 0);
	for (int i = 0; i < 9; i++) CHECK_EQ(map[i * PAGE], 5);
	CHECK_EQ(munmap(map + 2 * PAGE, 5 * PAGE), 0);
	for (int i = 0; i < 9; i++) CHECK_EQ(reads(map + i * PAGE), i < 2 || i > 6);
	CHECK_EQ(munmap(map, 9 * PAGE), 0);
}

TEST(mprotect_goes_up_to_a_hole_and_says_enomem) {
	char *map = anonymous(3 * PAGE, RW);
	CHECK_EQ(munmap(map + PAGE, PAGE), 0);
	CHECK_ERRNO(mprotect(map, 3 * PAGE, PROT_READ), ENOMEM);
	CHECK(!writes(map));
	CHECK(writes(map + 2 * PAGE));
	CHECK_EQ(munmap(map, 3 * PAGE), 0);
}

TEST(errors_come_in_linuxs_order) {
	char *map = anonymous(PAGE, RW);
	CHECK(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
	CHECK(syscall(SYS_mmap, NULL, PAGE, RW, ANON, -1, 1) == -1 && errno == EINVAL);
	CHECK(mmap(map + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(syscall(SYS_mmap, NULL, -1ul, RW, ANON, -1, 0) == -1 && errno == ENOMEM);
	CHECK(syscall(SYS_mmap, NULL, 1ul << 47, RW, ANON, -1, 0) == -1 && errno == ENOMEM);
	CHECK(syscall(SYS_mmap, 0xffff800000000000, PAGE, RW, ANON | MAP_FIXED, -1, 0) == -1 && errno == ENOMEM);
	CHECK(syscall(SYS_mmap, 0x7ffffffff000, PAGE, RW, ANON | MAP_FIXED, -1, 0) == -1 && errno == ENOMEM);
	CHECK(mmap(map, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	CHECK_ERRNO(munmap(map + 1, PAGE), EINVAL);
	CHECK_ERRNO(munmap(map, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_munmap, 0xffff800000000000, PAGE), EINVAL);
	CHECK_ERRNO(syscall(SYS_munmap, map, -1ul), EINVAL);
	CHECK_ERRNO(syscall(SYS_mprotect, map + 1, PAGE, RW), EINVAL);
	CHECK_ERRNO(syscall(SYS_mprotect, map, PAGE, 0x40), EINVAL);
	CHECK_EQ(mprotect(map, 0, RW), 0);
	CHECK_ERRNO(syscall(SYS_mprotect, map, -1ul << 12, RW), ENOMEM);
	CHECK_ERRNO(syscall(SYS_mprotect, 0xffff800000000000, PAGE, RW), ENOMEM);
	CHECK_EQ(munmap(map, PAGE), 0);
	CHECK_EQ(munmap(map, PAGE), 0);
}

TEST(a_fixed_map_replaces_what_is_there) {
	char *map = anonymous(3 * PAGE, RW);
	memset(map, 9, 3 * PAGE);
	CHECK(mmap(map + PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == map + PAGE);
	CHECK_EQ(map[PAGE - 1], 9);
	CHECK_EQ(map[PAGE], 0);
	CHECK(!writes(map + PAGE));
	CHECK_EQ(map[2 * PAGE], 9);
	munmap(map, 3 * PAGE);
}

TEST(nothing_is_mapped_at_the_lowest_addresses) {
	pid_t child = fork();
	int status;
	if (!child) {
		/* Root may on Linux. */
		CHILD_CHECK(setgid(1000) == 0 && setuid(1000) == 0);
		CHILD_CHECK(mmap(NULL, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EPERM);
		/* A hint so low is raised. */
		char *map = mmap((void *)1, PAGE, RW, ANON, -1, 0);
		CHILD_CHECK(map != MAP_FAILED && (uintptr_t)map >= PAGE);
		CHILD_CHECK(mremap(map, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, NULL) == MAP_FAILED && errno == EPERM);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

TEST(a_hint_is_taken_if_free) {
	char *map = anonymous(3 * PAGE, RW);
	CHECK_EQ(munmap(map, 3 * PAGE), 0);
	CHECK(mmap(map + PAGE, PAGE, RW, ANON, -1, 0) == map + PAGE);
	CHECK(mmap(map + PAGE, PAGE, RW, ANON, -1, 0) != map + PAGE);
	CHECK(mmap(map, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == map);
}

TEST(a_low_map_is_below_two_gib) {
	void *map = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);
	CHECK(map != MAP_FAILED && (uintptr_t)map < 1ul << 31);
	munmap(map, PAGE);
}

TEST(populated_maps_are_resident) {
	unsigned char resident[16];
	char *map = mmap(NULL, 16 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
	CHECK_EQ(mincore(map, 16 * PAGE, resident), 0);
	for (int i = 0; i < 16; i++) CHECK_EQ(resident[i] & 1, 1);
	munmap(map, 16 * PAGE);
	map = anonymous(16 * PAGE, RW);
	map[3 * PAGE] = 1;
	CHECK_EQ(mincore(map, 16 * PAGE, resident), 0);
	for (int i = 0; i < 16; i++) CHECK_EQ(resident[i] & 1, i == 3);
	CHECK_ERRNO(mincore(map + 1, PAGE, resident), EINVAL);
	CHECK_ERRNO(mincore(map, 16 * PAGE, (void *)8), EFAULT);
	munmap(map, 16 * PAGE);
	CHECK_ERRNO(mincore(map, 16 * PAGE, resident), ENOMEM);
}

TEST(a_private_file_map_shows_the_file_and_keeps_changes_to_itself) {
	char byte;
	CHECK_EQ(room_file("file", "0123456789", 0644), 0);
	int fd = open("file", O_RDWR);
	char *map = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK(map != MAP_FAILED && !memcmp(map, "0123456789", 10));
	for (int i = 10; i < PAGE; i++) CHECK_EQ(map[i], 0);
	map[0] = 'x';
	CHECK(pread(fd, &byte, 1, 0) == 1 && byte == '0');
	munmap(map, PAGE);
	close(fd);
}

TEST(a_shared_file_map_is_the_file) {
	char bytes[4];
	CHECK_EQ(room_file("file", "0123456789", 0644), 0);
	int fd = open("file", O_RDWR);
	char *map = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), *again = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	CHECK(map != MAP_FAILED && again != MAP_FAILED);
	memcpy(map + 2, "ab", 2);
	CHECK(again[2] == 'a');
	fd = open("file", O_RDWR);
	CHECK(pread(fd, bytes, 4, 1) == 4 && !memcmp(bytes, "1ab4", 4));
	CHECK_EQ(pwrite(fd, "Z", 1, 5), 1);
	CHECK(map[5] == 'Z');
	CHECK_EQ(msync(map, PAGE, MS_SYNC), 0);
	munmap(map, PAGE);
	munmap(again, PAGE);
	close(fd);
}

TEST(beyond_the_end_of_the_file_there_is_sigbus) {
	CHECK_EQ(room_file("file", "0123456789", 0644), 0);
	int fd = open("file", O_RDWR);
	char *map = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(reads(map + PAGE - 1));
	CHECK(!reads(map + PAGE));
	CHECK(fault_signal == SIGBUS && fault_code == BUS_ADRERR && fault_address == map + PAGE);
	CHECK_EQ(ftruncate(fd, 3 * PAGE), 0);
	CHECK(writes(map + 2 * PAGE));
	CHECK_EQ(ftruncate(fd, PAGE), 0);
	CHECK(!reads(map + 2 * PAGE));
	CHECK_EQ(fault_signal, SIGBUS);
	CHECK_ERRNO(syscall(SYS_getrandom, map + PAGE, 8, 0), EFAULT);
	munmap(map, 3 * PAGE);
	close(fd);
}

TEST(a_map_may_do_what_its_descriptor_may) {
	CHECK_EQ(room_file("file", "0123456789", 0644), 0);
	int reader = open("file", O_RDONLY), writer = open("file", O_WRONLY), folder = open(".", O_RDONLY);
	CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, reader, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writer, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, folder, 0) == MAP_FAILED && errno == ENODEV);
	char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
	CHECK_ERRNO(mprotect(map, PAGE, RW), EACCES);
	munmap(map, PAGE);
	map = mmap(NULL, PAGE, RW, MAP_PRIVATE, reader, 0);
	CHECK(writes(map));
	munmap(map, PAGE);
	close(reader);
	close(writer);
	close(folder);
}

TEST(an_offset_maps_that_part) {
	static char content[3 * PAGE + 1];
	for (int i = 0; i < 3; i++) memset(content + i * PAGE, 'a' + i, PAGE);
	CHECK_EQ(room_file("file", content, 0644), 0);
	int fd = open("file", O_RDONLY);
	char *map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE);
	CHECK_EQ(map[0], 'c');
	CHECK_EQ(map[PAGE - 1], 'c');
	munmap(map, PAGE);
	CHECK(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100) == -1 && errno == EINVAL);
	close(fd);
}

TEST(brk_moves_the_end_of_the_heap) {
	/* musl's allocator may use brk too; only this test runs meanwhile. */
	uintptr_t start = syscall(SYS_brk, 0);
	CHECK(start != 0);
	CHECK_EQ((uintptr_t)syscall(SYS_brk, start + 10 * PAGE), start + 10 * PAGE);
	char *heap = (char *)((start + PAGE - 1) & -(uintptr_t)PAGE);
	for (int i = 0; i < 9 * PAGE; i += 512) CHECK_EQ(heap[i], 0);
	CHECK(writes(heap + 8 * PAGE));
	CHECK_EQ((uintptr_t)syscall(SYS_brk, start), start);
	CHECK(!reads(heap + 8 * PAGE));
	CHECK_EQ((uintptr_t)syscall(SYS_brk, start + 10 * PAGE), start + 10 * PAGE);
	CHECK_EQ(heap[8 * PAGE], 0);
	CHECK_EQ((uintptr_t)syscall(SYS_brk, start), start);
	CHECK_EQ((uintptr_t)syscall(SYS_brk, 1), start);
	CHECK_EQ((uintptr_t)syscall(SYS_brk, 0xffff800000000000), start);
}

TEST(the_stack_grows_on_touch) {
	volatile char *deep = (char *)__builtin_frame_address(0) - (4 << 20);
	CHECK(writes((char *)deep));
}

TEST(copy_on_write_keeps_parent_and_child_apart) {
	enum { PAGES = 500 };
	unsigned char *map = anonymous(PAGES * PAGE, RW);
	for (int i = 0; i < PAGES; i++) map[i * PAGE] = i;
	pid_t children[4];
	for (int c = 0; c < 4; c++) {
		children[c] = fork();
		if (!children[c]) {
			for (int i = 0; i < PAGES; i++) {
				CHILD_CHECK(map[i * PAGE] == (unsigned char)i);
				map[i * PAGE] = c;
				CHILD_CHECK(map[i * PAGE + 1] == 0);
			}
			for (int i = 0; i < PAGES; i++) CHILD_CHECK(map[i * PAGE] == c);
			_exit(0);
		}
	}
	for (int i = 0; i < PAGES; i++) map[i * PAGE + 1] = 7;
	for (int c = 0; c < 4; c++) {
		int status;
		CHECK_EQ(waitpid(children[c], &status, 0), children[c]);
		CHECK_EQ(status, 0);
	}
	for (int i = 0; i < PAGES; i++) CHECK(map[i * PAGE] == (unsigned char)i && map[i * PAGE + 1] == 7);
	munmap(map, PAGES * PAGE);
}

TEST(system_calls_write_through_copy_on_write) {
	char *map = anonymous(PAGE, RW);
	map[0] = 'p';
	int pipes[2], status;
	CHECK_EQ(pipe(pipes), 0);
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(write(pipes[1], "c", 1) == 1 && read(pipes[0], map, 1) == 1 && map[0] == 'c');
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(map[0], 'p');
	munmap(map, PAGE);
	close(pipes[0]);
	close(pipes[1]);
}

static char *arena;
static atomic_int stop;

static void *map_and_unmap(void *seed) {
	for (int i = 0; i < 300; i++) {
		char *map = anonymous((1 + i % 7) * PAGE, RW);
		EXPECT(map != MAP_FAILED);
		memset(map, (int)(long)seed, (1 + i % 7) * PAGE);
		for (int j = 0; j < 1 + i % 7; j++) EXPECT(map[j * PAGE + 17] == (char)(long)seed);
		EXPECT(munmap(map, (1 + i % 7) * PAGE) == 0);
	}
	return NULL;
}

TEST(threads_map_touch_and_unmap_at_once) {
	pthread_t threads[8];
	for (long i = 0; i < 8; i++) CHECK_EQ(pthread_create(&threads[i], NULL, map_and_unmap, (void *)(i + 1)), 0);
	for (int i = 0; i < 8; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void *write_arena(void *unused) {
	/* Faults when the page is read-only meanwhile; the handler of this thread then just tries again. */
	(void)unused;
	volatile char *page = arena;
	while (!atomic_load(&stop)) {
		page[0]++;
		page[PAGE]++;
	}
	return NULL;
}

TEST(other_cpus_see_a_page_vanish_and_come_back_zero) {
	/* madvise(DONTNEED) races with writers: afterwards each sees its own or fresh zero pages, never another's. */
	pthread_t threads[3];
	arena = anonymous(2 * PAGE, RW);
	atomic_store(&stop, 0);
	for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], NULL, write_arena, NULL), 0);
	for (int i = 0; i < 2000; i++) CHECK_EQ(madvise(arena, 2 * PAGE, MADV_DONTNEED), 0);
	atomic_store(&stop, 1);
	for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(madvise(arena, 2 * PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(arena[0], 0);
	munmap(arena, 2 * PAGE);
}

static volatile int *guarded;
static atomic_int writer_state; /* 1: go, 2: written, 3: seen the fault */

static void *write_after_protection(void *unused) {
	(void)unused;
	*guarded = 1;
	atomic_store(&writer_state, 1);
	while (atomic_load(&writer_state) != 2) {}
	EXPECT(FAULT_OF(*guarded = 2) == SIGSEGV);
	return NULL;
}

TEST(a_protection_holds_on_every_cpu_at_once) {
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		guarded = anonymous(PAGE, RW);
		atomic_store(&writer_state, 0);
		CHECK_EQ(pthread_create(&thread, NULL, write_after_protection, NULL), 0);
		while (atomic_load(&writer_state) != 1) sched_yield();
		CHECK_EQ(mprotect((void *)guarded, PAGE, PROT_READ), 0);
		atomic_store(&writer_state, 2);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(*guarded, 1);
		munmap((void *)guarded, PAGE);
	}
}

TEST(ten_thousand_maps_live_together) {
	enum { MAPS = 10000 };
	static char *maps[MAPS];
	for (int i = 0; i < MAPS; i++) {
		/* Protections alternate so that neighbours cannot merge. */
		maps[i] = anonymous(PAGE, i % 2 ? RW : PROT_READ);
		CHECK(maps[i] != MAP_FAILED);
		if (i % 2) maps[i][0] = (char)i;
	}
	for (int i = 1; i < MAPS; i += 2) CHECK_EQ(maps[i][0], (char)i);
	for (int i = 0; i < MAPS; i++) CHECK_EQ(munmap(maps[i], PAGE), 0);
}
