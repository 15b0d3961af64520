// status: 3
/* exit_group's status reaches whoever waits. */
#include <unistd.h>

int main(void) {
	_exit(3);
}
