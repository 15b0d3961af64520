// status: 134
/* abort is SIGABRT. */
#include <string.h>
#include <unistd.h>

int main(void) {
	extern void abort(void);
	abort();
	return 1;
}
