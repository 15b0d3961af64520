// status: 133
/* The trap flag is SIGTRAP after an instruction. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("pushf\n orl $0x100, (%%rsp)\n popf\n nop\n nop" : : : "memory", "cc");
	return 1;
}
