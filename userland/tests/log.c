/* The kernel's log (syslog(2)), and what it knows of file systems by number: sysfs(2), ustat(2). */
#include "test.h"
#include "linux.h"
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static char lines[1 << 20];

TEST(the_log_is_lines_with_levels) {
	int size = klogctl(10, NULL, 0);
	CHECK(size >= 4096);
	int len = klogctl(3, lines, sizeof lines);
	CHECK(len >= 0 && len <= (int)sizeof lines);
	CHECK(len == 0 || (lines[0] == '<' && lines[len - 1] == '\n'));
	int unread = klogctl(9, NULL, 0);
	CHECK(unread >= 0);
}

TEST(requests_to_the_log_are_checked) {
	CHECK_EQ(klogctl(0, NULL, 0), 0);
	CHECK_EQ(klogctl(1, NULL, 0), 0);
	CHECK_ERRNO(klogctl(11, NULL, 0), EINVAL);
	CHECK_ERRNO(klogctl(-1, NULL, 0), EINVAL);
	CHECK_ERRNO(klogctl(3, NULL, 100), EINVAL);
	CHECK_ERRNO(klogctl(3, lines, -1), EINVAL);
	CHECK_EQ(klogctl(3, lines, 0), 0);
	CHECK_ERRNO(klogctl(3, (char *)0xffff800000000000, 8), EFAULT);
	CHECK_ERRNO(klogctl(8, NULL, 0), EINVAL);
	CHECK_ERRNO(klogctl(8, NULL, 9), EINVAL);
	CHECK_ERRNO(klogctl(8, NULL, -1), EINVAL);
}

TEST(only_root_may_do_more_than_look) {
	int status;
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(setuid(1) == 0);
		for (int action = 0; action <= 11; action++) {
			if (action == 3 || action == 10) continue;
			CHILD_CHECK(klogctl(action, lines, 8) == -1 && errno == EPERM);
		}
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

TEST(kinds_of_file_system_have_numbers) {
	char name[64], unknown[] = "no such kind";
	long count = syscall(SYS_sysfs, 3);
	CHECK(count > 1);
	for (long number = 0; number < count; number++) {
		CHECK_EQ(syscall(SYS_sysfs, 2, number, name), 0);
		CHECK(strlen(name) > 0 && strlen(name) < sizeof name);
		CHECK_EQ(syscall(SYS_sysfs, 1, name), number);
	}
	CHECK(syscall(SYS_sysfs, 1, "proc") >= 0);
	CHECK_ERRNO(syscall(SYS_sysfs, 1, unknown), EINVAL);
	CHECK_ERRNO(syscall(SYS_sysfs, 1, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_sysfs, 2, count, name), EINVAL);
	CHECK_ERRNO(syscall(SYS_sysfs, 2, 0, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_sysfs, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_sysfs, 4), EINVAL);
}

struct ustat { int32_t tfree; uint64_t tinode; char fname[6], fpack[6]; };

TEST(a_device_tells_its_free_room) {
	struct stat status;
	struct ustat room;
	memset(&room, 0xff, sizeof room);
	CHECK_EQ(stat("/", &status), 0);
	CHECK_EQ(syscall(SYS_ustat, (unsigned)status.st_dev, &room), 0);
	CHECK_EQ(room.fname[0], 0);
	CHECK_EQ(room.fpack[0], 0);
	CHECK_ERRNO(syscall(SYS_ustat, (unsigned)status.st_dev, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_ustat, 0xfff00000u, &room), EINVAL);
}
