/* test.h - the smallest test harness that says what was expected.
 *
 *   static void words_are_split(void) { CHECK_INT(3, count("a b c")); }
 *   TEST_MAIN(TEST(words_are_split))
 *
 * A failed CHECK prints file, line, both values, marks the test as failed and goes on; a failed NEED ends the test.
 * With arguments, only the tests whose names contain one of them run.
 */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

struct test {
	const char *name;
	void (*run)(void);
};

static unsigned test_failures;
static jmp_buf test_abort;

static inline void test_fail(const char *file, int line)
{
	test_failures++;
	printf("  %s:%d: ", file, line);
}

#define CHECK(cond)                                                                                          \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			test_fail(__FILE__, __LINE__);                                                       \
			printf("expected %s\n", #cond);                                                      \
		}                                                                                            \
	} while (0)

/* For what no other macro says: FAIL("case %zu: ...", i). */
#define FAIL(...)                                                                                            \
	do {                                                                                                 \
		test_fail(__FILE__, __LINE__);                                                               \
		printf(__VA_ARGS__);                                                                         \
		putchar('\n');                                                                               \
	} while (0)

#define NEED(cond)                                                                                           \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			test_fail(__FILE__, __LINE__);                                                       \
			printf("needed %s\n", #cond);                                                        \
			longjmp(test_abort, 1);                                                              \
		}                                                                                            \
	} while (0)

#define CHECK_INT(want, got)                                                                                 \
	do {                                                                                                 \
		const long long want_ = (long long)(want), got_ = (long long)(got);                          \
		if (want_ != got_) {                                                                         \
			test_fail(__FILE__, __LINE__);                                                       \
			printf("%s: expected %lld, got %lld\n", #got, want_, got_);                          \
		}                                                                                            \
	} while (0)

#define CHECK_SPAN(want, got)                                                                                \
	do {                                                                                                 \
		const struct span want_ = span_of(want), got_ = (got);                                       \
		if (!span_eq(want_, got_)) {                                                                 \
			test_fail(__FILE__, __LINE__);                                                       \
			printf("%s: expected \"%s\", got \"%.*s\"\n", #got, want_.p, (int)got_.n,            \
			       got_.p ? got_.p : "");                                                        \
		}                                                                                            \
	} while (0)

#define CHECK_STR(want, got)                                                                                 \
	do {                                                                                                 \
		const char *want_s = (want), *got_s = (got);                                                 \
		if (!got_s || strcmp(want_s, got_s) != 0) {                                                  \
			test_fail(__FILE__, __LINE__);                                                       \
			printf("%s: expected \"%s\", got \"%s\"\n", #got, want_s, got_s ? got_s : "(null)"); \
		}                                                                                            \
	} while (0)

static inline int test_main(const struct test *tests, size_t n, int argc, char **argv)
{
	volatile unsigned failed = 0, run = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (volatile size_t i = 0; i < n; i++) {
		bool wanted = argc < 2;
		for (int a = 1; a < argc; a++)
			wanted |= strstr(tests[i].name, argv[a]) != NULL;
		if (!wanted)
			continue;
		test_failures = 0;
		run++;
		if (setjmp(test_abort) == 0)
			tests[i].run();
		printf("%s %s\n", test_failures ? "not ok" : "ok", tests[i].name);
		failed += test_failures != 0;
	}
	printf("%u run, %u failed\n", run, failed);
	return failed != 0 || run == 0;
}

#define TEST(fn)                                                                                             \
	{                                                                                                    \
#fn, fn                                                                                      \
	}
#define TEST_MAIN(...)                                                                                       \
	int main(int argc, char **argv)                                                                      \
	{                                                                                                    \
		static const struct test tests[] = { __VA_ARGS__ };                                          \
		return test_main(tests, sizeof tests / sizeof *tests, argc, argv);                           \
	}
