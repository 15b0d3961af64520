// status: 139
/* A fault in one thread ends the process with all its threads. */
#include <pthread.h>
#include <unistd.h>

static void *fault(void *unused) {
	(void)unused;
	usleep(10000);
	volatile int *volatile nowhere = (int *)8;
	*nowhere = 1;
	return NULL;
}

int main(void) {
	pthread_t thread;
	if (pthread_create(&thread, NULL, fault, NULL)) return 1;
	for (;;) pause();
}
