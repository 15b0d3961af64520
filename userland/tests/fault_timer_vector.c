// status: 139
/* A device's vector cannot be raised. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("int $0x20");
	return 1;
}
