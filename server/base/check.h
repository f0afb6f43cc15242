/* base/check.h - checks on ourselves.
 *
 *   require(x)   x holds or the process ends: going on would lose or forge mail. Always compiled in.
 *   verify(x)    x should hold; if not, it is counted, reported once per place, and the caller must handle it:
 *                    if (!verify(n > 0)) return -ERR_BUG;
 *
 * assert() is for tests only. Nothing a peer, a file or an operator can say may fail either of these. A report is a line of the
 * form of base/log.h, event "bug", on standard error.
 *
 * Threads: any.  Tests: tests/unit/base/test_check.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

_Noreturn void check_require_failed(const char *what, const char *file, int line);
bool check_verify_failed(const char *what, const char *file, int line); /* false */

/* How many have failed since the process started. */
unsigned check_verify_failures(void);

#define require(x) ((x) ? (void)0 : check_require_failed(#x, __FILE__, __LINE__))
#define verify(x)  (__builtin_expect(!!(x), 1) ? true : check_verify_failed(#x, __FILE__, __LINE__))

/* The struct that embeds @member at @ptr. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof *(a))
