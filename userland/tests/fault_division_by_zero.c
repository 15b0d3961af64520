// status: 136
/* A division by zero is SIGFPE. */
#include <string.h>
#include <unistd.h>

int main(void) {
	volatile int five = 5, zero = 0;
	return five / zero;
	return 1;
}
