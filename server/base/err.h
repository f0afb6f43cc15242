/* base/err.h - what can go wrong, as one enum.
 *
 * Functions return >= 0 for success and -ERR_x for failure. Every error has a class, so that "try later" and "never" are
 * decided once and the reply family follows from it. A struct errtext carries the words: the innermost caller sets them,
 * every caller on the way out may put its own in front ("spool 3: segment 17: fdatasync: Input/output error").
 *
 * Threads: pure.  Ownership: an errtext is a value.  Tests: tests/unit/base/test_err.c
 */
#pragma once

#include <stdarg.h>

enum err_class { ERR_CLASS_TEMP, ERR_CLASS_PERM, ERR_CLASS_BUG };

#define ERR_MAP(X)                                                                                           \
	X(NONE, TEMP, "no error")                                                                            \
	X(AGAIN, TEMP, "more input or room is needed")                                                       \
	X(SYNTAX, PERM, "syntax error")                                                                      \
	X(TOOBIG, PERM, "over its limit")                                                                    \
	X(NOMEM, TEMP, "out of memory")                                                                      \
	X(IO, TEMP, "input/output error")                                                                    \
	X(NOSPACE, TEMP, "no space")                                                                         \
	X(TIMEOUT, TEMP, "timed out")                                                                        \
	X(CANCELED, TEMP, "canceled")                                                                        \
	X(CLOSED, TEMP, "connection closed")                                                                 \
	X(UNREACH, TEMP, "unreachable")                                                                      \
	X(REFUSED, TEMP, "refused")                                                                          \
	X(BUSY, TEMP, "busy")                                                                                \
	X(LIMIT, TEMP, "limit reached")                                                                      \
	X(NOTFOUND, PERM, "not found")                                                                       \
	X(EXISTS, PERM, "exists already")                                                                    \
	X(CORRUPT, PERM, "corrupt data")                                                                     \
	X(INVAL, PERM, "invalid value")                                                                      \
	X(UNSUPPORTED, PERM, "not supported")                                                                \
	X(DENIED, PERM, "permission denied")                                                                 \
	X(BUG, BUG, "internal error")

enum err {
#define X(name, class, text) ERR_##name,
	ERR_MAP(X) ERR_MAX_
#undef X
};

/* Both take the error as returned (negative) or as named (positive). */
const char *err_name(int err);
const char *err_text(int err);
enum err_class err_class(int err);

/* The error that stands for an errno value (positive, as the kernel's callers see it). */
int err_from_errno(int errno_value);

struct errtext {
	char s[240];
};

/* Sets the text and returns -err, so that `return errtext_set(e, ERR_IO, "...")` reads well. @e may be NULL. */
int errtext_set(struct errtext *e, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<text>: " in front of what is there; the end is cut when it does not fit. @e may be NULL. */
void errtext_wrap(struct errtext *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
