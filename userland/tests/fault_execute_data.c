// status: 139
/* Data cannot be executed. */
#include <string.h>
#include <unistd.h>

int main(void) {
	static char code[] = {(char)0xc3};
	((void (*)(void))code)();
	return 1;
}
