/* Odd properties of a thread: personality, priorities of input and output, calls for the machine as a whole. */
#include "test.h"
#include <fcntl.h>
#include <linux/reboot.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

enum { UNAME26_ = 0x20000, NOBODY = 65534 };
enum { CLASS_RT = 1 << 13, CLASS_BE = 2 << 13, CLASS_IDLE = 3 << 13 };

/* The child's exit code. */
static int result_of(pid_t child) {
	int status = -1;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

TEST(any_personality_is_kept_told_and_inherited) {
	int first = personality(0xffffffff);
	unsigned all[] = {0x0001 | 0x4000000, 0x0008, 0x0400000, 0x0040000, 0x1200000, 0};
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		CHECK(personality(all[i]) != -1);
		CHECK_EQ(personality(0xffffffff), all[i]);
	}
	personality(ADDR_NO_RANDOMIZE);
	pid_t child = fork();
	if (child == 0) _exit(personality(0xffffffff) == ADDR_NO_RANDOMIZE ? 0 : 1);
	CHECK_EQ(result_of(child), 0);
	char text[16] = "";
	int fd = open("/proc/self/personality", O_RDONLY);
	CHECK_EQ(read(fd, text, sizeof text), 9);
	close(fd);
	CHECK(!memcmp(text, "00040000\n", 9));
	personality(first);
}

TEST(uname26_hides_the_new_numbers) {
	struct utsname names, old;
	uname(&names);
	personality(UNAME26_);
	uname(&old);
	personality(0);
	CHECK(strncmp(names.release, "2.6.", 4) != 0);
	CHECK(strncmp(old.release, "2.6.", 4) == 0);
	personality(PER_LINUX32);
	uname(&old);
	personality(0);
	CHECK(!strcmp(old.machine, "i686"));
	CHECK(!strcmp(names.machine, "x86_64"));
}

TEST(what_can_be_read_can_be_executed_if_the_personality_says_so) {
	personality(READ_IMPLIES_EXEC);
	unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	personality(0);
	memcpy(code, (unsigned char[]){0xb8, 42, 0, 0, 0, 0xc3}, 6);
	int (*function)(void);
	memcpy(&function, &code, sizeof function);
	CHECK_EQ(function(), 42);
	munmap(code, 4096);
}

TEST(a_sticky_timeout_is_not_written_back) {
	struct timeval time = {.tv_usec = 1000};
	personality(STICKY_TIMEOUTS);
	int found = select(0, NULL, NULL, NULL, &time);
	personality(0);
	CHECK_EQ(found, 0);
	CHECK_EQ(time.tv_usec, 1000);
	CHECK_EQ(syscall(SYS_select, 0, NULL, NULL, NULL, &time), 0);
	CHECK_EQ(time.tv_usec, 0);
}

TEST(io_priorities_are_kept_checked_and_inherited) {
	int self = getpid();
	CHECK_EQ(syscall(SYS_ioprio_set, 1, 0, CLASS_BE | 3), 0);
	CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), CLASS_BE | 3);
	CHECK_EQ(syscall(SYS_ioprio_get, 1, self), CLASS_BE | 3);
	pid_t child = fork();
	if (child == 0) _exit(syscall(SYS_ioprio_get, 1, 0) == (CLASS_BE | 3) ? 0 : 1);
	CHECK_EQ(result_of(child), 0);
	CHECK_EQ(syscall(SYS_ioprio_set, 1, 0, CLASS_RT | 0), 0);
	CHECK_EQ(syscall(SYS_ioprio_set, 1, 0, CLASS_IDLE), 0);
	CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), CLASS_IDLE);
	CHECK_ERRNO(syscall(SYS_ioprio_set, 1, 0, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_ioprio_set, 8, 0, CLASS_BE | 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_ioprio_get, 8, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_ioprio_get, 1, 0x3fffff), ESRCH);
	CHECK_EQ(syscall(SYS_ioprio_set, 1, 0, 0), 0);
	child = fork();
	if (child == 0) {
		CHILD_CHECK(setuid(NOBODY) == 0);
		_exit(syscall(SYS_ioprio_set, 1, 0, CLASS_RT | 4) == -1 && errno == EPERM &&
		      syscall(SYS_ioprio_set, 1, self, CLASS_BE | 4) == -1 && errno == EPERM ? 0 : 1);
	}
	CHECK_EQ(result_of(child), 0);
}

TEST(reboot_and_vhangup_check_who_asks_and_how) {
	CHECK_ERRNO(syscall(SYS_reboot, 1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_ON, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, 1, LINUX_REBOOT_CMD_CAD_ON, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, 12345, NULL), EINVAL);
	pid_t child = fork();
	if (child == 0) {
		CHILD_CHECK(setuid(NOBODY) == 0);
		CHILD_CHECK(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, 1, LINUX_REBOOT_CMD_CAD_ON, NULL) == -1 && errno == EPERM);
		_exit(vhangup() == -1 && errno == EPERM ? 0 : 1);
	}
	CHECK_EQ(result_of(child), 0);
	child = fork();
	if (child == 0) {
		setsid();
		_exit(vhangup() == 0 ? 0 : 1);
	}
	CHECK_EQ(result_of(child), 0);
}

TEST(advice_about_another_process_goes_by_its_pidfd) {
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t child = fork();
	if (child == 0)
		for (;;) pause();
	int fd = syscall(SYS_pidfd_open, child, 0);
	struct iovec range = {page, 8192};
	long good = syscall(SYS_process_madvise, fd, &range, 1, MADV_COLD, 0);
	long flags = syscall(SYS_process_madvise, fd, &range, 1, MADV_COLD, 1) == -1 ? errno : 0;
	long advice = syscall(SYS_process_madvise, fd, &range, 1, MADV_DONTFORK, 0) == -1 ? errno : 0;
	long bad_fd = syscall(SYS_process_madvise, 999, &range, 1, MADV_COLD, 0) == -1 ? errno : 0;
	long not_dying = syscall(SYS_process_mrelease, fd, 0) == -1 ? errno : 0;
	long release_flags = syscall(SYS_process_mrelease, fd, 1) == -1 ? errno : 0;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	long gone = syscall(SYS_process_mrelease, fd, 0) == -1 ? errno : 0;
	long gone_advice = syscall(SYS_process_madvise, fd, &range, 1, MADV_COLD, 0) == -1 ? errno : 0;
	close(fd);
	munmap(page, 8192);
	CHECK_EQ(good, 8192);
	CHECK_EQ(flags, EINVAL);
	CHECK_EQ(advice, EINVAL);
	CHECK_EQ(bad_fd, EBADF);
	CHECK_EQ(not_dying, EINVAL);
	CHECK_EQ(release_flags, EINVAL);
	CHECK_EQ(gone, ESRCH);
	CHECK_EQ(gone_advice, ESRCH);
}

TEST(protection_keys_check_their_arguments) {
	CHECK_ERRNO(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pkey_alloc, 0, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_pkey_free, 17), EINVAL);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ, -1), 0);
	CHECK_ERRNO(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ, 17), EINVAL);
	munmap(page, 4096);
}

static void *where(void) {
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[256];
	void *start = NULL;
	while (fgets(line, sizeof line, maps))
		if (strstr(line, "[stack]")) sscanf(line, "%p", &start);
	fclose(maps);
	return start;
}

TEST(without_randomisation_every_run_lies_alike) {
	void *seen[2] = {0};
	for (int i = 0; i < 2; i++) {
		int ends[2];
		CHECK_EQ(pipe(ends), 0);
		pid_t child = fork();
		if (child == 0) {
			personality(ADDR_NO_RANDOMIZE);
			dup2(ends[1], 1);
			setenv("WHERE", "1", 1);
			execl("/proc/self/exe", "persona", "tell", NULL);
			_exit(1);
		}
		CHECK_EQ(result_of(child), 0);
		CHECK_EQ(read(ends[0], &seen[i], sizeof seen[i]), sizeof seen[i]);
		close(ends[0]), close(ends[1]);
	}
	CHECK(seen[0] != NULL);
	CHECK(seen[0] == seen[1]);
}

/* The program executed by the test above. */
__attribute__((constructor)) static void tell(void) {
	if (!getenv("WHERE")) return;
	void *start = where();
	_exit(write(1, &start, sizeof start) == sizeof start ? 0 : 1);
}
