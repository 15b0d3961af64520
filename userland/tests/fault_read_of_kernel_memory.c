// status: 139
/* A load from the kernel's half is SIGSEGV. */
#include <string.h>
#include <unistd.h>

int main(void) {
	return *(volatile char *)0xffffffff81000000;
	return 1;
}
