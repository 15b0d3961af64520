// timeout: 120
/* Many items through a one-place buffer: each hand-over blocks and wakes. */
#include "test.h"
#include "linux.h"
#include <pthread.h>

enum { ITEMS = 50000 };

static atomic_uint turn; /* even: the place is empty; odd: it is full */
static long place, sum;

static void await_parity(unsigned parity) {
	for (;;) {
		unsigned now = atomic_load(&turn);
		if ((now & 1) == parity) return;
		futex(&turn, FUTEX_WAIT | FUTEX_PRIVATE, now, NULL, NULL, 0);
	}
}

static void pass_turn(void) {
	atomic_fetch_add(&turn, 1);
	futex(&turn, FUTEX_WAKE | FUTEX_PRIVATE, 1, NULL, NULL, 0);
}

static void *consume(void *unused) {
	(void)unused;
	for (int i = 0; i < ITEMS; i++) {
		await_parity(1);
		sum += place;
		pass_turn();
	}
	return NULL;
}

TEST(many_hand_overs_lose_nothing) {
	pthread_t consumer;
	CHECK_EQ(pthread_create(&consumer, NULL, consume, NULL), 0);
	for (int i = 0; i < ITEMS; i++) {
		await_parity(0);
		place = i;
		pass_turn();
	}
	CHECK_EQ(pthread_join(consumer, NULL), 0);
	CHECK_EQ(sum, (long)ITEMS * (ITEMS - 1) / 2);
}
