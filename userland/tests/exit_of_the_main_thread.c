// status: 7
/* pthread_exit of the main thread leaves the process alive; the last thread's exit_group gives the status. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_t main_thread;

static void *outlive(void *unused) {
	(void)unused;
	pthread_join(main_thread, NULL);
	puts("the main thread is gone");
	fflush(stdout);
	usleep(10000);
	exit(7);
}

int main(void) {
	pthread_t thread;
	main_thread = pthread_self();
	if (pthread_create(&thread, NULL, outlive, NULL)) return 1;
	pthread_exit(NULL);
}
