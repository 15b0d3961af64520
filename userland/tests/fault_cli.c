// status: 139
/* Interrupts cannot be turned off. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("cli");
	return 1;
}
