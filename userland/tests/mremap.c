/* mremap(2), madvise(2), mlock(2), msync(2), memfd_create(2), process_vm_readv(2), shared memory. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static sigjmp_buf after_fault;

static void on_fault(int signal) {
	(void)signal;
	siglongjmp(after_fault, 1);
}

static int reads(volatile char *at) {
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	if (sigsetjmp(after_fault, 1)) return 0;
	(void)*at;
	return 1;
}

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static char *anonymous(size_t bytes) {
	return mmap(NULL, bytes, RW, ANON, -1, 0);
}

TEST(a_map_shrinks_in_place) {
	char *map = anonymous(4 * PAGE);
	map[0] = 1;
	CHECK(mremap(map, 4 * PAGE, 2 * PAGE, 0) == map);
	CHECK(reads(map + PAGE) && !reads(map + 2 * PAGE));
	CHECK_EQ(map[0], 1);
	munmap(map, 2 * PAGE);
}

TEST(a_map_grows_in_place_if_there_is_room) {
	char *map = anonymous(8 * PAGE);
	CHECK_EQ(munmap(map + 2 * PAGE, 6 * PAGE), 0);
	map[PAGE] = 5;
	CHECK(mremap(map, 2 * PAGE, 4 * PAGE, 0) == map);
	CHECK_EQ(map[3 * PAGE], 0);
	CHECK_EQ(map[PAGE], 5);
	munmap(map, 4 * PAGE);
}

TEST(a_map_without_room_moves_if_it_may) {
	char *map = anonymous(3 * PAGE);
	CHECK(mmap(map + PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == map + PAGE);
	map[7] = 7;
	CHECK(mremap(map, PAGE, 2 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
	char *moved = mremap(map, PAGE, 50 * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && moved != map);
	CHECK_EQ(moved[7], 7);
	CHECK_EQ(moved[49 * PAGE], 0);
	CHECK(!reads(map));
	munmap(moved, 50 * PAGE);
	munmap(map, 3 * PAGE);
}

TEST(a_map_moves_to_a_fixed_place_and_replaces_what_is_there) {
	char *from = anonymous(2 * PAGE), *to = anonymous(4 * PAGE);
	memset(from, 1, 2 * PAGE);
	memset(to, 2, 4 * PAGE);
	CHECK(mremap(from, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE) == to + PAGE);
	CHECK(to[0] == 2 && to[PAGE] == 1 && to[2 * PAGE] == 1 && to[3 * PAGE] == 2);
	CHECK(!reads(from));
	munmap(to, 4 * PAGE);
}

/* Old and new place share a page table that maps nothing else. */
TEST(a_map_that_moves_a_little_keeps_its_pages) {
	char *area = anonymous(3072 * PAGE);
	char *table = (char *)(((long)area + 512 * PAGE) & -(512l * PAGE));
	CHECK_EQ(munmap(area, 3072 * PAGE), 0);
	char *map = mmap(table + 64 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	CHECK(map == table + 64 * PAGE);
	map[0] = 5, map[PAGE] = 6;
	CHECK(mremap(map, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, table) == table);
	CHECK_EQ(table[0], 5);
	CHECK_EQ(table[PAGE], 6);
	CHECK_EQ(table[3 * PAGE], 0);
	CHECK(!reads(map));
	munmap(table, 4 * PAGE);
}

/* The moved map becomes one with a neighbour that has never been touched. */
TEST(a_child_inherits_what_was_moved_beside_other_memory) {
	for (int below = 0; below < 2; below++) {
		char *area = anonymous(8 * PAGE), *from = area + 6 * PAGE, *to = area + 2 * PAGE;
		CHECK_EQ(munmap(area, 8 * PAGE), 0);
		CHECK(mmap(to + (below ? -PAGE : PAGE), PAGE, RW, ANON | MAP_FIXED, -1, 0) != MAP_FAILED);
		CHECK(mmap(from, PAGE, RW, ANON | MAP_FIXED, -1, 0) == from);
		*from = 7;
		CHECK(mremap(from, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
		pid_t child = fork();
		if (!child) _exit(*to);
		CHECK_EQ(status_of(child), 7);
		munmap(area, 8 * PAGE);
	}
}

TEST(dontunmap_leaves_an_empty_map_behind) {
	char *from = anonymous(PAGE);
	from[0] = 9;
	char *to = mremap(from, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	CHECK(to != MAP_FAILED && to != from);
	CHECK_EQ(to[0], 9);
	CHECK_EQ(from[0], 0);
	munmap(from, PAGE);
	munmap(to, PAGE);
}

/* musl passes an address with MREMAP_FIXED alone. */
static char *kept(char *from, char *to) {
	return (char *)syscall(SYS_mremap, from, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, to);
}

TEST(dontunmap_goes_where_it_is_told_if_that_is_free) {
	char *from = anonymous(PAGE), *room = anonymous(3 * PAGE);
	CHECK_EQ(munmap(room, 2 * PAGE), 0);
	room[2 * PAGE] = 4;
	from[0] = 9;
	CHECK(kept(from, room + PAGE) == room + PAGE);
	CHECK_EQ(room[PAGE], 9);
	CHECK_EQ(from[0], 0);
	char *elsewhere = kept(from, room + 2 * PAGE);
	CHECK(elsewhere != MAP_FAILED && elsewhere != room + 2 * PAGE);
	CHECK_EQ(room[2 * PAGE], 4);
	CHECK(kept(from, room + 1) == MAP_FAILED && errno == EINVAL);
	CHECK(kept(from, from) == MAP_FAILED && errno == EINVAL);
	munmap(from, PAGE);
	munmap(elsewhere, PAGE);
	munmap(room + PAGE, 2 * PAGE);
}

TEST(mremap_of_size_zero_doubles_a_shared_map) {
	char *map = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *twin = mremap(map, 0, PAGE, MREMAP_MAYMOVE);
	CHECK(twin != MAP_FAILED && twin != map);
	map[0] = 3;
	CHECK_EQ(twin[0], 3);
	munmap(map, PAGE);
	munmap(twin, PAGE);
}

TEST(mremap_refuses_in_linuxs_order) {
	char *map = anonymous(2 * PAGE);
	CHECK(mremap(map + 1, PAGE, PAGE, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(map, PAGE, 0, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(map, PAGE, PAGE, 8) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(map, PAGE, PAGE, MREMAP_FIXED, map) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(map, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map + PAGE) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(map, 2 * PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == MAP_FAILED && errno == EINVAL);
	munmap(map, 2 * PAGE);
	CHECK(mremap(map, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
}

static long remap_pages(void *at, size_t bytes, int prot, size_t page, int flags) {
	return syscall(SYS_remap_file_pages, at, bytes, prot, page, flags);
}

TEST(pages_of_a_shared_map_are_shown_in_another_order) {
	int fd = memfd_create("pages", 0);
	CHECK_EQ(ftruncate(fd, 4 * PAGE), 0);
	char *map = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	for (int i = 0; i < 4; i++) map[i * PAGE] = (char)('a' + i);
	CHECK_EQ(remap_pages(map, PAGE, 0, 3, 0), 0);
	/* An address within a page means the page; a length counts in whole pages. */
	CHECK_EQ(remap_pages(map + 3 * PAGE + 5, PAGE + 100, 0, 0, MAP_NONBLOCK), 0);
	CHECK(map[0] == 'd' && map[PAGE] == 'b' && map[2 * PAGE] == 'c' && map[3 * PAGE] == 'a');
	map[0] = 'D';
	CHECK_EQ(remap_pages(map, 4 * PAGE, 0, 0, 0), 0);
	for (int i = 0; i < 4; i++) CHECK_EQ(map[i * PAGE], "abcD"[i]);
	/* Only what is one object's, shared, and without a hole. */
	CHECK_ERRNO(remap_pages(map, PAGE, PROT_READ, 0, 0), EINVAL);
	CHECK_ERRNO(remap_pages(map, PAGE - 1, 0, 0, 0), EINVAL);
	CHECK_ERRNO(remap_pages(map, -(size_t)map, 0, 0, 0), EINVAL);
	CHECK_ERRNO(remap_pages(map, 2 * PAGE, 0, -1ul, 0), EINVAL);
	munmap(map + 2 * PAGE, PAGE);
	CHECK_ERRNO(remap_pages(map, 4 * PAGE, 0, 0, 0), EINVAL);
	CHECK_ERRNO(remap_pages(map + 2 * PAGE, PAGE, 0, 0, 0), EINVAL);
	munmap(map, 4 * PAGE);
	map = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK_ERRNO(remap_pages(map, PAGE, 0, 1, 0), EINVAL);
	munmap(map, 2 * PAGE);
	map = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_ERRNO(remap_pages(map, PAGE, 0, 1, 0), EINVAL);
	munmap(map, 2 * PAGE);
	/* What may only be read is as good as private. */
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int reader = open(path, O_RDONLY);
	map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, reader, 0);
	CHECK_ERRNO(remap_pages(map, PAGE, 0, 1, 0), EINVAL);
	munmap(map, 2 * PAGE);
	close(reader);
	close(fd);
}

TEST(dontneed_gives_zeroes_back_and_the_file_for_a_private_map) {
	char *map = anonymous(2 * PAGE);
	memset(map, 1, 2 * PAGE);
	CHECK_EQ(madvise(map, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(map[0], 0);
	CHECK_EQ(map[PAGE], 1);
	munmap(map, 2 * PAGE);
	int fd = memfd_create("advice", 0);
	CHECK_EQ(write(fd, "file", 4), 4);
	map = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	map[0] = 'x';
	CHECK_EQ(madvise(map, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(map[0], 'f');
	munmap(map, PAGE);
	close(fd);
}

TEST(advice_is_checked) {
	char *map = anonymous(3 * PAGE);
	CHECK_ERRNO(madvise(map + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERRNO(madvise(map, PAGE, 12345), EINVAL);
	CHECK_EQ(madvise(map, 0, MADV_DONTNEED), 0);
	CHECK_ERRNO(madvise(map, -1ul, MADV_DONTNEED), EINVAL);
	CHECK_EQ(madvise(map, PAGE, MADV_NORMAL), 0);
	CHECK_EQ(madvise(map, PAGE, MADV_WILLNEED), 0);
	CHECK_EQ(madvise(map, PAGE, MADV_SEQUENTIAL), 0);
	CHECK_EQ(madvise(map, PAGE, MADV_FREE), 0);
	map[2 * PAGE] = 1;
	CHECK_EQ(munmap(map + PAGE, PAGE), 0);
	/* Advice is applied around the hole, which is then reported. */
	CHECK_ERRNO(madvise(map, 3 * PAGE, MADV_DONTNEED), ENOMEM);
	CHECK_EQ(map[2 * PAGE], 0);
	munmap(map, 3 * PAGE);
}

TEST(populate_advice_brings_pages_in) {
	unsigned char resident[4];
	char *map = anonymous(4 * PAGE);
	CHECK_EQ(madvise(map, 4 * PAGE, 23 /* MADV_POPULATE_WRITE */), 0);
	CHECK_EQ(mincore(map, 4 * PAGE, resident), 0);
	for (int i = 0; i < 4; i++) CHECK(resident[i] & 1);
	CHECK_EQ(mprotect(map, PAGE, PROT_READ), 0);
	CHECK_ERRNO(madvise(map, PAGE, 23), EINVAL);
	munmap(map, 4 * PAGE);
}

TEST(fork_leaves_out_and_wipes_what_advice_says) {
	char *map = anonymous(3 * PAGE);
	memset(map, 1, 3 * PAGE);
	CHECK_EQ(madvise(map, PAGE, MADV_DONTFORK), 0);
	CHECK_EQ(madvise(map + PAGE, PAGE, 18 /* MADV_WIPEONFORK */), 0);
	pid_t child = fork();
	if (!child) _exit(!reads(map) && map[PAGE] == 0 && map[2 * PAGE] == 1 ? 0 : 1);
	CHECK_EQ(status_of(child), 0);
	CHECK_EQ(map[PAGE], 1);
	CHECK_EQ(madvise(map, PAGE, MADV_DOFORK), 0);
	CHECK_EQ(madvise(map + PAGE, PAGE, 19 /* MADV_KEEPONFORK */), 0);
	child = fork();
	if (!child) _exit(map[0] == 1 && map[PAGE] == 1 ? 0 : 1);
	CHECK_EQ(status_of(child), 0);
	munmap(map, 3 * PAGE);
}

TEST(memory_can_be_locked_within_the_limit) {
	char *map = anonymous(4 * PAGE);
	unsigned char resident[4];
	CHECK_EQ(mlock(map, 4 * PAGE), 0);
	CHECK_EQ(mincore(map, 4 * PAGE, resident), 0);
	for (int i = 0; i < 4; i++) CHECK(resident[i] & 1);
	CHECK_ERRNO(madvise(map, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_EQ(munlock(map, 4 * PAGE), 0);
	CHECK_EQ(madvise(map, PAGE, MADV_DONTNEED), 0);
	CHECK_ERRNO(mlockall(0), EINVAL);
	CHECK_ERRNO(mlockall(8), EINVAL);
	CHECK_EQ(munlockall(), 0);
	munmap(map, 4 * PAGE);
	CHECK_ERRNO(mlock(map, PAGE), ENOMEM);
	map = anonymous(4 * PAGE);
	pid_t child = fork();
	if (!child) {
		struct rlimit limit = {2 * PAGE, 2 * PAGE}, none = {0, 0};
		CHILD_CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && syscall(SYS_setresuid, 1000, 1000, 1000) == 0);
		CHILD_CHECK(mlock(map, 2 * PAGE) == 0);
		CHILD_CHECK(mlock(map, 4 * PAGE) == -1 && errno == ENOMEM);
		CHILD_CHECK(munlock(map, 4 * PAGE) == 0 && setrlimit(RLIMIT_MEMLOCK, &none) == 0);
		CHILD_CHECK(mlock(map, PAGE) == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
	munmap(map, 4 * PAGE);
}

TEST(a_locked_map_that_grows_is_filled_unless_locked_on_fault) {
	for (int on_fault = 0; on_fault < 2; on_fault++) {
		unsigned char resident[4];
		char *map = anonymous(4 * PAGE);
		CHECK_EQ(munmap(map + PAGE, 3 * PAGE), 0);
		CHECK_EQ(syscall(SYS_mlock2, map, PAGE, on_fault), 0);
		CHECK(mremap(map, PAGE, 4 * PAGE, 0) == map);
		CHECK_EQ(mincore(map, 4 * PAGE, resident), 0);
		CHECK_EQ(resident[3] & 1, !on_fault);
		munmap(map, 4 * PAGE);
	}
}

TEST(msync_checks_its_arguments) {
	char *map = mmap(NULL, 3 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(msync(map, PAGE, MS_ASYNC), 0);
	CHECK_ERRNO(msync(map + 1, PAGE, MS_SYNC), EINVAL);
	CHECK_ERRNO(msync(map, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_ERRNO(msync(map, PAGE, 8), EINVAL);
	munmap(map + PAGE, PAGE);
	CHECK_ERRNO(msync(map, 3 * PAGE, MS_SYNC), ENOMEM);
	munmap(map, 3 * PAGE);
}

TEST(a_memfd_is_a_file_with_seals) {
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(ftruncate(fd, 2 * PAGE), 0);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
	char *map = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	munmap(map, PAGE);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	CHECK_ERRNO(ftruncate(fd, PAGE), EPERM);
	CHECK_EQ(ftruncate(fd, 3 * PAGE), 0);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	CHECK_ERRNO(ftruncate(fd, 4 * PAGE), EPERM);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CHECK_ERRNO(write(fd, "x", 1), EPERM);
	CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
	map = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	CHECK(map != MAP_FAILED);
	munmap(map, PAGE);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), EPERM);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	close(fd);
	fd = memfd_create("plain", 0);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	close(fd);
	CHECK_ERRNO(memfd_create("x", 0x100), EINVAL);
	static char name[300];
	memset(name, 'n', 250);
	CHECK_ERRNO(memfd_create(name, 0), EINVAL);
}

TEST(a_sealed_memfd_is_shared_by_readers_who_stay_readers) {
	static const int seals[] = {F_SEAL_WRITE, 0x10 /* F_SEAL_FUTURE_WRITE */};
	for (int i = 0; i < 2; i++) {
		int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
		CHECK_EQ(write(fd, "text", 4), 4);
		CHECK_EQ(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
		CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
		char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
		CHECK(map != MAP_FAILED && map[0] == 't');
		CHECK_ERRNO(mprotect(map, PAGE, PROT_READ | PROT_WRITE), EACCES);
		munmap(map, PAGE);
		map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		map[0] = 'T';
		CHECK(pread(fd, map + 8, 1, 0) == 1 && map[8] == 't');
		munmap(map, PAGE);
		close(fd);
	}
}

TEST(a_process_reads_and_writes_anothers_memory) {
	static char secret[] = "secret of the child", got[32];
	int ready[2];
	char byte;
	CHECK_EQ(pipe(ready), 0);
	pid_t child = fork();
	if (!child) {
		memcpy(secret, "changed", 7);
		CHILD_CHECK(write(ready[1], "x", 1) == 1);
		while (((volatile char *)secret)[0] != '!') sleep_ms(1);
		_exit(0);
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	struct iovec here[2] = {{got, 3}, {got + 3, 4}}, there = {secret, 7};
	CHECK_EQ(process_vm_readv(child, here, 2, &there, 1, 0), 7);
	CHECK(!memcmp(got, "changed", 7));
	there.iov_base = (void *)8;
	CHECK_ERRNO(process_vm_readv(child, here, 2, &there, 1, 0), EFAULT);
	CHECK_ERRNO(process_vm_readv(0x3fffffff, here, 2, &there, 1, 0), ESRCH);
	CHECK_ERRNO(process_vm_readv(child, here, 2, &there, 1, 1), EINVAL);
	there.iov_base = secret;
	there.iov_len = here[0].iov_len = 1;
	got[0] = '!';
	CHECK_EQ(process_vm_writev(child, here, 1, &there, 1, 0), 1);
	CHECK_EQ(status_of(child), 0);
	close(ready[0]);
	close(ready[1]);
}

TEST(shared_memory_segments_are_attached_and_removed) {
	struct shmid_ds status;
	int id = shmget(IPC_PRIVATE, 3 * PAGE, IPC_CREAT | 0600);
	CHECK(id >= 0);
	char *one = shmat(id, NULL, 0), *two = shmat(id, NULL, SHM_RDONLY);
	CHECK(one != (void *)-1 && two != (void *)-1 && one != two);
	one[5] = 5;
	CHECK_EQ(two[5], 5);
	CHECK_EQ(shmctl(id, IPC_STAT, &status), 0);
	CHECK(status.shm_segsz == 3 * PAGE && status.shm_nattch == 2);
	pid_t child = fork();
	if (!child) {
		one[6] = 6;
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
	CHECK_EQ(two[6], 6);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	CHECK_EQ(shmdt(two), 0);
	CHECK_EQ(one[5], 5);
	CHECK_EQ(shmdt(one), 0);
	CHECK_ERRNO(shmctl(id, IPC_STAT, &status), EINVAL);
	CHECK_ERRNO(shmdt(one), EINVAL);
	CHECK_ERRNO(shmget(IPC_PRIVATE, 0, IPC_CREAT), EINVAL);
	CHECK_ERRNO(shmget(0x7a7a1234, PAGE, 0), ENOENT);
	id = shmget(0x7a7a1234, PAGE, IPC_CREAT | IPC_EXCL | 0600);
	CHECK(id >= 0);
	CHECK_ERRNO(shmget(0x7a7a1234, PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_ERRNO(shmget(0x7a7a1234, 2 * PAGE, 0), EINVAL);
	CHECK_EQ(shmget(0x7a7a1234, PAGE, 0), id);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
}

TEST(segments_are_counted) {
	struct shm_info before, after;
	CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)&before) >= 0);
	int id = shmget(IPC_PRIVATE, 3 * PAGE, IPC_CREAT | 0600);
	CHECK(id >= 0);
	CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)&after) >= 0);
	CHECK_EQ(after.used_ids, before.used_ids + 1);
	CHECK_EQ(after.shm_tot, before.shm_tot + 3);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
}

TEST(a_growing_map_stops_at_its_guard) {
	char *area = anonymous(600 * PAGE);
	CHECK_EQ(munmap(area, 599 * PAGE), 0);
	char *top = mmap(area + 599 * PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	CHECK(top == area + 599 * PAGE);
	/* Grows page by page, 256 pages of guard apart from what lies below. */
	CHECK(reads(top - 1) && reads(top - 5 * PAGE));
	munmap(top - 5 * PAGE, 6 * PAGE);
}
