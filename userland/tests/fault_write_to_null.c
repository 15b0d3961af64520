// status: 139
/* A store through NULL is SIGSEGV. */
#include <string.h>
#include <unistd.h>

int main(void) {
	volatile int *volatile nowhere = (int *)8;
	*nowhere = 1;
	return 1;
}
