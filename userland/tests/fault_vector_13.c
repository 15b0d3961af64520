// status: 139
/* A software interrupt of a vector users may not raise is SIGSEGV. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("int $13");
	return 1;
}
