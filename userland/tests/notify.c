/* inotify(7) and extended attributes. */
#include "test.h"
#include "linux.h"
#include "room.h"
#include <sys/inotify.h>
#include <sys/xattr.h>

static int notify;
static char events[4096];
static long at, have;

static struct inotify_event *next(void) {
	if (at >= have) {
		at = 0;
		have = read(notify, events, sizeof events);
		if (have <= 0) return NULL;
	}
	struct inotify_event *event = (void *)(events + at);
	at += (long)sizeof *event + event->len;
	return event;
}

#define EXPECT_EVENT(bits, text)                                                           \
	do {                                                                                   \
		struct inotify_event *event_ = next();                                             \
		CHECK(event_);                                                                     \
		CHECK_EQ(event_->mask, bits);                                                      \
		CHECK(!strcmp(event_->len ? event_->name : "", text));                             \
	} while (0)

TEST(a_watch_tells_what_happens_in_a_folder) {
	notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CHECK(notify >= 0);
	CHECK_EQ(mkdir("w", 0700), 0);
	int watch = inotify_add_watch(notify, "w", IN_ALL_EVENTS);
	CHECK(watch > 0);
	int fd = open("w/f", O_WRONLY | O_CREAT, 0600);
	CHECK_EQ(write(fd, "x", 1), 1);
	close(fd);
	EXPECT_EVENT(IN_CREATE, "f");
	EXPECT_EVENT(IN_OPEN, "f");
	EXPECT_EVENT(IN_MODIFY, "f");
	EXPECT_EVENT(IN_CLOSE_WRITE, "f");
	CHECK_EQ(rename("w/f", "w/g"), 0);
	struct inotify_event *from = next();
	CHECK(from && from->mask == IN_MOVED_FROM);
	uint32_t cookie = from->cookie;
	struct inotify_event *to = next();
	CHECK(to && to->mask == IN_MOVED_TO && to->cookie == cookie && cookie != 0);
	CHECK_EQ(chmod("w/g", 0644), 0);
	EXPECT_EVENT(IN_ATTRIB, "g");
	CHECK_EQ(mkdir("w/sub", 0700), 0);
	EXPECT_EVENT(IN_CREATE | IN_ISDIR, "sub");
	CHECK_EQ(rmdir("w/sub"), 0);
	EXPECT_EVENT(IN_DELETE | IN_ISDIR, "sub");
	CHECK_EQ(unlink("w/g"), 0);
	EXPECT_EVENT(IN_DELETE, "g");
	CHECK(next() == NULL && errno == EAGAIN);
	CHECK_EQ(rmdir("w"), 0);
	EXPECT_EVENT(IN_DELETE_SELF, "");
	EXPECT_EVENT(IN_IGNORED, "");
	CHECK_ERRNO(inotify_rm_watch(notify, watch), EINVAL);
	close(notify);
}

TEST(watches_are_checked_and_removed) {
	notify = inotify_init1(IN_NONBLOCK);
	CHECK_EQ(room_file("f", "", 0600), 0);
	CHECK_ERRNO(inotify_add_watch(notify, "none", IN_OPEN), ENOENT);
	CHECK_ERRNO(inotify_add_watch(notify, "f", 0), EINVAL);
	CHECK_ERRNO(inotify_add_watch(notify, "f", IN_OPEN | IN_ONLYDIR), ENOTDIR);
	CHECK_ERRNO(inotify_add_watch(0, "f", IN_OPEN), EINVAL);
	int watch = inotify_add_watch(notify, "f", IN_OPEN | IN_ONESHOT);
	CHECK_EQ(inotify_add_watch(notify, "f", IN_OPEN | IN_ONESHOT), watch);
	close(open("f", O_RDONLY));
	close(open("f", O_RDONLY));
	EXPECT_EVENT(IN_OPEN, "");
	EXPECT_EVENT(IN_IGNORED, "");
	CHECK(next() == NULL);
	watch = inotify_add_watch(notify, "f", IN_OPEN);
	CHECK_EQ(inotify_rm_watch(notify, watch), 0);
	EXPECT_EVENT(IN_IGNORED, "");
	close(notify);
	CHECK_ERRNO(inotify_init1(1), EINVAL);
}

TEST(extended_attributes_are_kept) {
	char value[100];
	CHECK_EQ(room_file("x", "", 0600), 0);
	CHECK_EQ(setxattr("x", "trusted.one", "value", 5, XATTR_CREATE), 0);
	CHECK_ERRNO(setxattr("x", "trusted.one", "value", 5, XATTR_CREATE), EEXIST);
	CHECK_ERRNO(setxattr("x", "trusted.two", "value", 5, XATTR_REPLACE), ENODATA);
	CHECK_EQ(getxattr("x", "trusted.one", value, sizeof value), 5);
	CHECK(!memcmp(value, "value", 5));
	CHECK_EQ(getxattr("x", "trusted.one", NULL, 0), 5);
	CHECK_ERRNO(getxattr("x", "trusted.one", value, 2), ERANGE);
	CHECK_ERRNO(getxattr("x", "trusted.two", value, 100), ENODATA);
	CHECK_ERRNO(setxattr("x", "nonsense", "v", 1, 0), EOPNOTSUPP);
	CHECK_ERRNO(setxattr("x", "", "v", 1, 0), ERANGE);
	long length = listxattr("x", value, sizeof value);
	CHECK(length >= 12 && memmem(value, length, "trusted.one", 12));
	CHECK_EQ(removexattr("x", "trusted.one"), 0);
	CHECK_ERRNO(removexattr("x", "trusted.one"), ENODATA);
}
