// status: 0
/* A process whose threads all call pthread_exit ends with status 0. */
#include <pthread.h>
#include <stdio.h>

static void *leave(void *unused) {
	pthread_exit(unused);
}

int main(void) {
	puts("all leave");
	fflush(stdout);
	for (int i = 0; i < 10; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, leave, NULL)) return 1;
		pthread_detach(thread);
	}
	pthread_exit(NULL);
}
