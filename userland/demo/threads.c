/*
 * A demonstration: `threads [COUNT]` has so many threads pass a turn round a ring a hundred times.
 * Every hand-over is a futex wake and a switch.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 100, COUNT_MAX = 100000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t *turns;
static long count, holder, sum;

static double seconds(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void *take_turns(void *argument) {
	long self = (long)argument;
	pthread_mutex_lock(&lock);
	for (int round = 0; round < ROUNDS; round++) {
		while (holder != self) pthread_cond_wait(&turns[self], &lock);
		sum++;
		holder = (self + 1) % count;
		pthread_cond_signal(&turns[holder]);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(int argc, char **argv) {
	count = argc > 1 ? atol(argv[1]) : 100;
	if (count < 1 || count > COUNT_MAX) return fprintf(stderr, "usage: threads [1..%d]\n", COUNT_MAX), 2;
	pthread_t *threads = calloc(count, sizeof *threads);
	turns = calloc(count, sizeof *turns);
	if (!threads || !turns) return perror("threads"), 1;
	double begun = seconds();
	for (long i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, take_turns, (void *)i)) return perror("threads: pthread_create"), 1;
	}
	for (long i = 0; i < count; i++) pthread_join(threads[i], NULL);
	double took = seconds() - begun;
	printf("%ld threads took %ld turns in %.3f s, %.1f us each\n", count, sum, took, took / sum * 1e6);
	return sum == count * ROUNDS ? 0 : 1;
}
