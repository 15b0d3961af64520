// status: 139
// cflags: -O0 -Wno-infinite-recursion
/* A thread that overflows its stack meets the guard page. */
#include <pthread.h>

static int deeper(int depth) {
	volatile char frame[1000];
	frame[depth % 1000] = (char)depth;
	return deeper(depth + 1) + frame[0];
}

static void *overflow(void *unused) {
	deeper(0);
	return unused;
}

int main(void) {
	pthread_t thread;
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 65536);
	if (pthread_create(&thread, &attributes, overflow, NULL)) return 1;
	pthread_join(thread, NULL);
	return 1;
}
