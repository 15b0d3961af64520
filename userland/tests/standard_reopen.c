// alone: the standard descriptors are the host's
// stdin: one\ntwo\n
/* The standard descriptors through /dev and /proc. */
#include "test.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

TEST(standard_input_opened_again_is_the_same_stream) {
	char got[8] = {0};
	struct stat old, new;
	int again = open("/dev/stdin", O_RDONLY);
	CHECK(again >= 0);
	CHECK_EQ(fstat(0, &old), 0);
	CHECK_EQ(fstat(again, &new), 0);
	CHECK(old.st_ino == new.st_ino);
	CHECK_EQ(read(again, got, 4), 4);
	CHECK(!memcmp(got, "one\n", 4));
	int third = open("/proc/self/fd/0", O_RDONLY);
	CHECK(third >= 0);
	int total = 0, more;
	while ((more = read(third, got + total, 4)) > 0) total += more;
	/* A pipe goes on where the other left off; a file starts again. */
	if (S_ISFIFO(old.st_mode)) CHECK(total == 4 && !memcmp(got, "two\n", 4));
	close(third), close(again);
}

TEST(standard_output_and_error_opened_again_go_where_they_went) {
	int out = open("/dev/stdout", O_WRONLY | O_APPEND), error = open("/dev/stderr", O_WRONLY);
	CHECK(out >= 0 && error >= 0);
	CHECK_EQ(write(out, "through /dev/stdout\n", 20), 20);
	struct pollfd writable = {out, POLLOUT, 0};
	CHECK_EQ(poll(&writable, 1, 0), 1);
	FILE *stream = fopen("/proc/self/fd/1", "a");
	CHECK(stream);
	fputs("through /proc/self/fd/1\n", stream);
	CHECK_EQ(fclose(stream), 0);
	close(out), close(error);
}
