// status: 133
/* The trap flag set before a system call traps after it, in user mode. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("sub $128, %%rsp\n pushf\n orl $0x100, (%%rsp)\n mov $39, %%eax\n popf\n syscall\n nop\n nop\n add $128, %%rsp"
	                 : : : "rax", "rcx", "r11", "memory", "cc");
	return 1;
}
