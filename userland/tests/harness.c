/* The test header itself: order, arguments of checks, threads that report. */
#include "test.h"
#include <pthread.h>

static int steps;

static void *count_a_step(void *unused) {
	(void)unused;
	EXPECT(steps == 0);
	steps++;
	return NULL;
}

static void fails_if(int wrong) {
	CHECK(!wrong);
}

TEST(the_first_test_runs_first) {
	count_a_step(NULL);
	CHECK_EQ(steps, 1);
}

TEST(checks_pass_on_true_conditions) {
	CHECK(1 + 1 == 2);
	TRY(fails_if(0));
	CHECK_EQ(steps, 1);
}

TEST(a_failing_call_leaves_its_errno) {
	CHECK_ERRNO(close(-1), EBADF);
}
