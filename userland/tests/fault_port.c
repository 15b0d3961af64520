// status: 139
/* Access to an I/O port is SIGSEGV. */
#include <string.h>
#include <unistd.h>

int main(void) {
	unsigned char byte;
	__asm__ volatile("inb $0x60, %0" : "=a"(byte));
	return 1;
}
