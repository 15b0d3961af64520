// status: 139
/* The page table root cannot be loaded. */
#include <string.h>
#include <unistd.h>

int main(void) {
	__asm__ volatile("mov %0, %%cr3" : : "r"(0l));
	return 1;
}
