// status: 139
/* A push into the kernel half is SIGSEGV, though no handler could run. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("mov $0xffff900000000000, %rsp\n push %rax");
	return 1;
}
