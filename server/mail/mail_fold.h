/* mail/mail_fold.h - writes one new header field: cleaned, folded, with CRLF.
 *
 * Whatever the value holds, the result is exactly one field: no line of it can be taken for another field or
 * for the end of the header section. This is the only place where text from peers, policies and operators
 * becomes a field.
 *
 * Pure; output goes behind what is in @out.  Source: RFC 5322 sections 2.1.1, 2.2.3, 3.2.2; RFC 6532
 * section 3.2. Tests: tests/unit/mail/test_mail_fold.c, tests/fuzz/fuzz_mail_received.c
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

/* Octets of a line without its CRLF (RFC 5322 section 2.1.1): should not, and must not, be more. */
enum { MAIL_LINE_WANTED_MAX = 78, MAIL_LINE_MAX = 998 };

/* Longest name of a field that is written. */
enum { MAIL_FIELD_NAME_MAX = 76 };

enum mail_fold_flags {
	MAIL_FOLD_UTF8 = 1 << 0, /* valid UTF-8 may stay: the message is sent with SMTPUTF8 */
};

/* Can this be the name of a field that we write? */
bool mail_field_name_ok(struct span name);

/* Adds @value without what may not stand in a field: a run of control characters (CR, LF and NUL too; not
 * tab) and the white space behind it become one space, an octet above 127 that may not stay becomes '?' (one
 * for each character if it was UTF-8), white space at both ends goes, and more than MAIL_SPACE_MAX in between
 * is cut. False if @out is full. */
enum { MAIL_SPACE_MAX = 64 };
bool mail_text_clean(struct buf *out, struct span value, unsigned flags);

/* Adds "name: value" CRLF, cleaned, and folded in front of white space so that lines are at most
 * MAIL_LINE_WANTED_MAX octets where there is white space, and at most MAIL_LINE_MAX always: a longer word is
 * cut.
 *
 * Returns 0, -ERR_INVAL if @name is not a name, -ERR_TOOBIG if @out is full: it then holds what it held
 * before and its overflow is set. */
int mail_field_write(struct buf *out, struct span name, struct span value, unsigned flags);
