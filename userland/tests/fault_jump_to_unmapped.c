// status: 139
/* A jump to an unmapped address is SIGSEGV. */
#include <string.h>
#include <unistd.h>

int main(void) {
	((void (*)(void))0x10)();
	return 1;
}
