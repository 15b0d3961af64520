// status: 139
/* A load from a non-canonical address is SIGSEGV. */
#include <string.h>
#include <unistd.h>

int main(void) {
	return *(volatile char *)0x8000000000000000;
	return 1;
}
