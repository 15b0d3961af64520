/*
 * The one header of the C test programs: tests that are functions named as sentences.
 *
 *     #include "test.h"
 *
 *     TEST(join_returns_the_value_of_the_thread) {
 *         CHECK_EQ(pthread_create(&t, NULL, f, NULL), 0);
 *         CHECK(value == expected);
 *     }
 *
 * A program prints one line a test, `ok name` or `FAIL name: file:line: why`, runs the tests in the order of the file, and
 * ends with status 0 if all passed, else 1. Given arguments it runs only the tests so named. The same program runs on the
 * host's Linux and on RustOS, and its output must be the same byte for byte: print no pids, addresses or times.
 *
 * A failed CHECK leaves the test (by return), so use it in the test function itself or in a function called through
 * TRY(f(...)); in another thread or in a forked child use EXPECT, which records the failure and goes on (thread), or
 * CHILD_CHECK, which ends the child with status 101.
 *
 * Words for the harness, in comments at the top of a file (all optional):
 *     // cpus: 1 2         numbers of virtual CPUs to run with (default 1 2 4)
 *     // args: a b c       arguments
 *     // status: 3         the exit status expected (default 0; 128+n for death by signal n)
 *     // stdin: text       standard input, with \n and \t (default: empty)
 *     // timeout: 60       seconds (default 30)
 *     // mem: 512M         the guest's memory
 *     // share: folder     an empty folder of the host is in the guest at /mnt/host
 *     // not yet: why      known not to pass on RustOS: left out there unless asked for by name
 *     // only: rustos      not run on the host's Linux
 *     // cflags: -O0       more flags for the compiler
 */
#ifndef RUSTOS_TEST_H
#define RUSTOS_TEST_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

static struct test *test_first, **test_last = &test_first;
static const char *test_name;
static char test_why[256];
static atomic_int test_failed;

/* Records the first failure of the running test; later ones are dropped. Callable from any thread. */
__attribute__((format(printf, 3, 4), unused))
static void test_fail(const char *file, int line, const char *format, ...) {
	if (atomic_exchange(&test_failed, 1)) return;
	const char *base = strrchr(file, '/');
	int used = snprintf(test_why, sizeof test_why, "%s:%d: ", base ? base + 1 : file, line);
	__builtin_va_list list;
	__builtin_va_start(list, format);
	vsnprintf(test_why + used, sizeof test_why - used, format, list);
	__builtin_va_end(list);
}

#define TEST(name)                                                                         \
	static void name(void);                                                                \
	__attribute__((constructor)) static void test_register_##name(void) {                  \
		static struct test entry = {#name, name, NULL};                                    \
		*test_last = &entry;                                                               \
		test_last = &entry.next;                                                           \
	}                                                                                      \
	static void name(void)

/* The condition holds, or the test fails and returns. */
#define CHECK(condition)                                                                   \
	do {                                                                                   \
		if (!(condition)) { test_fail(__FILE__, __LINE__, "%s", #condition); return; }     \
	} while (0)

/* Both integers are equal, or the test fails, says both, and returns. */
#define CHECK_EQ(left, right)                                                              \
	do {                                                                                   \
		long long left_ = (long long)(left), right_ = (long long)(right);                  \
		if (left_ != right_) {                                                             \
			test_fail(__FILE__, __LINE__, "%s is %lld, not %s = %lld", #left, left_, #right, right_); \
			return;                                                                        \
		}                                                                                  \
	} while (0)

/* A call fails with -1 and this errno, or the test fails and returns. */
#define CHECK_ERRNO(call, error)                                                           \
	do {                                                                                   \
		errno = 0;                                                                         \
		long long value_ = (long long)(call);                                              \
		int errno_ = errno;                                                                \
		if (value_ != -1 || errno_ != (error)) {                                           \
			test_fail(__FILE__, __LINE__, "%s gives %lld, errno %d (%s), not %s", #call, value_, errno_, \
			          strerror(errno_), #error);                                           \
			return;                                                                        \
		}                                                                                  \
	} while (0)

/* As CHECK, but goes on: for other threads of the test. */
#define EXPECT(condition)                                                                  \
	do {                                                                                   \
		if (!(condition)) test_fail(__FILE__, __LINE__, "%s", #condition);                 \
	} while (0)

/* As CHECK, for a forked child: ends it at once with status 101. */
#define CHILD_CHECK(condition)                                                             \
	do {                                                                                   \
		if (!(condition)) {                                                                \
			dprintf(2, "child: %s:%d: %s\n", __FILE__, __LINE__, #condition);              \
			_exit(101);                                                                    \
		}                                                                                  \
	} while (0)

/* Calls a helper that may fail, and leaves the test if it did. */
#define TRY(call)                                                                          \
	do {                                                                                   \
		call;                                                                              \
		if (atomic_load(&test_failed)) return;                                             \
	} while (0)

static int test_wanted(const char *name, int count, char **names) {
	for (int i = 1; i < count; i++)
		if (!strcmp(names[i], name)) return 1;
	return count <= 1;
}

#ifndef TEST_NO_MAIN
int main(int argc, char **argv) {
	int failures = 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test *test = test_first; test; test = test->next) {
		if (!test_wanted(test->name, argc, argv)) continue;
		test_name = test->name;
		atomic_store(&test_failed, 0);
		test->run();
		if (!atomic_load(&test_failed)) {
			printf("ok %s\n", test->name);
		} else {
			failures++;
			printf("FAIL %s: %s\n", test->name, test_why);
		}
	}
	return failures ? 1 : 0;
}
#endif

#endif
