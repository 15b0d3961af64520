// status: 139
/* Model-specific registers cannot be read. */
#include <string.h>
#include <unistd.h>

int main(void) {
	unsigned low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0xc0000082));
	return 1;
}
