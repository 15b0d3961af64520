// status: 139
// cflags: -O0 -Wno-infinite-recursion
/* Endless recursion ends at the stack's limit with SIGSEGV. */
static int deeper(int depth) {
	volatile char frame[4000];
	frame[depth % 4000] = (char)depth;
	return deeper(depth + 1) + frame[0];
}

int main(void) {
	return deeper(0);
}
