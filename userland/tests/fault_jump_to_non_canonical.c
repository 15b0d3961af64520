// status: 139
/* A jump to a non-canonical address is SIGSEGV. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("jmp *%0" : : "r"(0x800000000000));
	return 1;
}
