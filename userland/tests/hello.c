/* The smallest program with a libc: a line of output, status 0. */
#include <stdio.h>

int main(void) {
	puts("hello, world");
	return 0;
}
