// status: 139
/* A privileged instruction is SIGSEGV. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("hlt");
	return 1;
}
