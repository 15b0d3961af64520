// alone: standard input comes from the host
// stdin: one\ntwo\n
/* Standard input of the first program: what the host gave is there, however early it came. */
#include "test.h"

TEST(the_first_program_reads_what_the_host_gave) {
	char text[16];
	size_t length = 0;
	ssize_t count;
	while ((count = read(0, text + length, sizeof text - length)) > 0) length += count;
	CHECK_EQ(count, 0);
	CHECK_EQ(length, 8);
	CHECK(!memcmp(text, "one\ntwo\n", 8));
}
