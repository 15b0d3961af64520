// status: 132
/* An undefined instruction is SIGILL. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("ud2");
	return 1;
}
