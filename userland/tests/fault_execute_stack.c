// status: 139
/* The stack cannot be executed. */
#include <string.h>
#include <unistd.h>

int main(void) {
	volatile char code[] = {(char)0xc3};
	((void (*)(void))(void *)code)();
	return 1;
}
