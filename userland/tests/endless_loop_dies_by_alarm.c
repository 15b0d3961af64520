// status: 142
/* A loop that makes no system call is ended by a signal from the clock. */
#include <unistd.h>

int main(void) {
	alarm(1);
	for (;;) __asm__ volatile("");
}
