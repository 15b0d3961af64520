// status: 139
/* A jump into the kernel's half is SIGSEGV. */
#include <string.h>
#include <unistd.h>

int main(void) {
	((void (*)(void))0xffffffff81000000)();
	return 1;
}
