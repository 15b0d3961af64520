/* Pointers to nowhere, into the kernel and to non-canonical addresses, given to system calls: EFAULT from each. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

static const uintptr_t bad[] = {
	8, 0x1000, 0x00007ffffffff000, 0x00007ffffffffffc, 0x0000800000000000, 0x0000ffffffffffff, 0x8000000000000000,
	0xffff7fffffffffff, 0xffff800000000000, 0xffff888000000000, 0xffffffff80000000, 0xffffffff81000000,
	0xfffffffffffff000, 0xffffffffffffffff,
};
enum { BAD = sizeof bad / sizeof *bad };

#define EACH_BAD(...)                                                                      \
	for (int i = 0; i < BAD; i++) {                                                        \
		void *at = (void *)bad[i];                                                         \
		CHECK_ERRNO(__VA_ARGS__, EFAULT);                                                  \
	}

TEST(calls_that_fill_a_structure_say_efault) {
	EACH_BAD(syscall(SYS_uname, at));
	EACH_BAD(syscall(SYS_sysinfo, at));
	EACH_BAD(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, at));
	EACH_BAD(syscall(SYS_clock_getres, CLOCK_MONOTONIC, at));
	EACH_BAD(syscall(SYS_gettimeofday, at, NULL));
	EACH_BAD(syscall(SYS_getrlimit, RLIMIT_STACK, at));
	EACH_BAD(syscall(SYS_prlimit64, 0, RLIMIT_STACK, NULL, at));
	EACH_BAD(syscall(SYS_getrusage, RUSAGE_SELF, at));
	EACH_BAD(syscall(SYS_sched_getaffinity, 0, 128, at));
	EACH_BAD(syscall(SYS_sched_getparam, 0, at));
	EACH_BAD(syscall(SYS_getcpu, at, NULL, NULL));
	EACH_BAD(syscall(SYS_times, at));
	EACH_BAD(syscall(SYS_time, at));
	EACH_BAD(syscall(SYS_getrandom, at, 16, 0));
	EACH_BAD(syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, at));
	EACH_BAD(syscall(SYS_getitimer, 0, at));
	EACH_BAD(syscall(SYS_get_robust_list, 0, at, at));
	EACH_BAD(syscall(SYS_pipe2, at, 0));
}

TEST(calls_that_read_a_structure_say_efault) {
	EACH_BAD(syscall(SYS_nanosleep, at, NULL));
	EACH_BAD(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, at, NULL));
	EACH_BAD(syscall(SYS_prlimit64, 0, RLIMIT_STACK, at, NULL));
	EACH_BAD(syscall(SYS_setrlimit, RLIMIT_STACK, at));
	EACH_BAD(syscall(SYS_sched_setaffinity, 0, 8, at));
	EACH_BAD(syscall(SYS_clone3, at, sizeof(struct clone_args)));
	EACH_BAD(syscall(SYS_setitimer, 0, at, NULL));
}

TEST(signal_calls_say_efault) {
	EACH_BAD(syscall(SYS_rt_sigaction, SIGUSR1, at, NULL, 8));
	EACH_BAD(syscall(SYS_rt_sigaction, SIGUSR1, NULL, at, 8));
	EACH_BAD(syscall(SYS_rt_sigprocmask, SIG_BLOCK, at, NULL, 8));
	EACH_BAD(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, at, 8));
	EACH_BAD(syscall(SYS_rt_sigpending, at, 8));
	EACH_BAD(syscall(SYS_sigaltstack, at, NULL));
	EACH_BAD(syscall(SYS_sigaltstack, NULL, at));
	EACH_BAD(syscall(SYS_rt_sigtimedwait, at, NULL, NULL, 8));
	EACH_BAD(syscall(SYS_rt_sigsuspend, at, 8));
}

TEST(futex_calls_say_efault) {
	/* Misaligned addresses would be EINVAL first. */
	for (int i = 0; i < BAD; i++) {
		void *at = (void *)(bad[i] & ~7ul);
		CHECK_ERRNO(futex(at, FUTEX_WAIT | FUTEX_PRIVATE, 0, NULL, NULL, 0), EFAULT);
		CHECK_ERRNO(futex(at, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
		CHECK_ERRNO(futex(at, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	}
}

TEST(reading_and_writing_say_efault) {
	int pipes[2], zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
	CHECK(pipe(pipes) == 0 && zero >= 0 && null >= 0);
	CHECK_EQ(write(pipes[1], "abcd", 4), 4);
	EACH_BAD(syscall(SYS_write, pipes[1], at, 8));
	EACH_BAD(syscall(SYS_read, pipes[0], at, 4));
	EACH_BAD(syscall(SYS_read, zero, at, 8));
	EACH_BAD(syscall(SYS_writev, pipes[1], at, 1));
	EACH_BAD(syscall(SYS_readv, pipes[0], at, 1));
	for (int i = 0; i < BAD; i++) {
		struct iovec vector = {(void *)bad[i], 4};
		CHECK_ERRNO(writev(pipes[1], &vector, 1), EFAULT);
		CHECK_ERRNO(readv(zero, &vector, 1), EFAULT);
	}
	char left[4];
	CHECK_EQ(read(pipes[0], left, 4), 4);
	CHECK(!memcmp(left, "abcd", 4));
	close(pipes[0]);
	close(pipes[1]);
	close(zero);
	close(null);
}

TEST(file_calls_say_efault) {
	char room[512];
	EACH_BAD(syscall(SYS_openat, AT_FDCWD, at, O_RDONLY));
	EACH_BAD(syscall(SYS_newfstatat, AT_FDCWD, at, room, 0));
	EACH_BAD(syscall(SYS_newfstatat, AT_FDCWD, "/", at, 0));
	EACH_BAD(syscall(SYS_stat, "/", at));
	EACH_BAD(syscall(SYS_fstat, 1, at));
	EACH_BAD(syscall(SYS_access, at, 0));
	EACH_BAD(syscall(SYS_chdir, at));
	EACH_BAD(syscall(SYS_mkdir, at, 0));
	EACH_BAD(syscall(SYS_unlink, at));
	EACH_BAD(syscall(SYS_rename, "/nowhere", at));
	EACH_BAD(syscall(SYS_rename, at, "/nowhere"));
	EACH_BAD(syscall(SYS_readlink, at, room, sizeof room));
	EACH_BAD(syscall(SYS_getcwd, at, 64));
	EACH_BAD(syscall(SYS_execve, at, NULL, NULL));
	EACH_BAD(syscall(SYS_poll, at, 1, 0));
	EACH_BAD(syscall(SYS_select, 1, at, NULL, NULL, NULL));
	EACH_BAD(syscall(SYS_memfd_create, at, 0));
}

TEST(an_argument_vector_with_bad_pointers_says_efault) {
	EACH_BAD(syscall(SYS_execve, "/proc/self/exe", at, NULL));
	EACH_BAD(syscall(SYS_execve, "/proc/self/exe", NULL, at));
	for (int i = 0; i < BAD; i++) {
		char *arguments[] = {"name", (char *)bad[i], NULL};
		CHECK_ERRNO(syscall(SYS_execve, "/proc/self/exe", arguments, NULL), EFAULT);
		CHECK_ERRNO(syscall(SYS_execve, "/proc/self/exe", NULL, arguments), EFAULT);
	}
}

TEST(memory_that_may_only_be_read_cannot_be_filled) {
	static const char constant[256] = {1};
	char *fresh = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_ERRNO(syscall(SYS_uname, constant), EFAULT);
	CHECK_ERRNO(syscall(SYS_getrandom, fresh, 16, 0), EFAULT);
	CHECK_EQ(syscall(SYS_mprotect, fresh, 4096, PROT_NONE), 0);
	CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, fresh, NULL, 8), EFAULT);
	CHECK_EQ(munmap(fresh, 4096), 0);
}

TEST(a_structure_that_runs_into_a_hole_says_efault) {
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(munmap(pages + 4096, 4096), 0);
	CHECK_ERRNO(syscall(SYS_uname, pages + 4096 - 100), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, pages + 4096 - 8), EFAULT);
	CHECK_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, pages + 4096 - 16), 0);
	CHECK_EQ(munmap(pages, 4096), 0);
}

TEST(a_write_that_runs_into_a_hole_writes_what_there_is) {
	int pipes[2];
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char got[200];
	CHECK_EQ(munmap(pages + 4096, 4096), 0);
	CHECK_EQ(pipe(pipes), 0);
	memset(pages, 'x', 4096);
	struct iovec vector[2] = {{pages + 4000, 96}, {pages + 4096, 50}};
	int file = memfd_create("partial", 0);
	CHECK_EQ(writev(file, vector, 2), 96);
	CHECK_EQ(write(file, pages + 4090, 20), 6);
	CHECK_EQ(lseek(file, 0, SEEK_END), 102);
	close(file);
	/* A pipe takes a page's worth whole or not at all. */
	CHECK_ERRNO(writev(pipes[1], vector, 2), EFAULT);
	CHECK_EQ(write(pipes[1], "y", 1), 1);
	CHECK_EQ(read(pipes[0], got, 200), 1);
	close(pipes[0]);
	close(pipes[1]);
	munmap(pages, 4096);
}

TEST(fs_base_cannot_point_into_the_kernel) {
	CHECK_ERRNO(syscall(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, 0xffff800000000000), EPERM);
	CHECK_ERRNO(syscall(SYS_arch_prctl, 0x1002, 0x8000000000000000), EPERM);
	CHECK_ERRNO(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, 0xffff800000000000), EPERM);
	CHECK_ERRNO(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
}
