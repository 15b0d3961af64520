// status: 9
/* exit_group from one thread ends siblings that sleep, spin and wait. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_barrier_t barrier;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *block(void *how) {
	pthread_barrier_wait(&barrier);
	switch ((long)how % 3) {
	case 0: for (;;) pause();
	case 1: pthread_mutex_lock(&mutex); break;
	case 2: for (;;) __asm__ volatile("pause");
	}
	return NULL;
}

int main(void) {
	enum { threads = 30 };
	pthread_barrier_init(&barrier, NULL, threads + 1);
	pthread_mutex_lock(&mutex);
	for (long i = 0; i < threads; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, block, (void *)i)) return 1;
	}
	pthread_barrier_wait(&barrier);
	exit(9);
}
