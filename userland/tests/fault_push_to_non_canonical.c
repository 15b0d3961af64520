// not yet: QEMU (TCG) raises a general protection fault here where a processor raises a stack fault
// status: 135
/* A push to a non-canonical address is a stack fault, which Linux makes SIGBUS (unlike a load: SIGSEGV). */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("mov $0x900000000000, %rsp\n push %rax");
	return 1;
}
