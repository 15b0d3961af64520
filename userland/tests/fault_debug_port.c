// status: 139
/* A store to the port the kernel reports by is SIGSEGV, not a report. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("outb %0, $0xe9" : : "a"((char)1));
	return 1;
}
