// status: 139
/* Code cannot be written. */
#include <string.h>
#include <unistd.h>

int main(void) {
	*(volatile char *)(void *)main = 0;
	return 1;
}
