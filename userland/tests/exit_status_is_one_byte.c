// status: 44
/* exit_group takes the low eight bits of its argument. */
#include <stdlib.h>

int main(void) {
	exit(300);
}
