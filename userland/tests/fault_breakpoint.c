// status: 133
/* A breakpoint is SIGTRAP. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("int3");
	return 1;
}
