/* mail/mail_char.h - the character classes of RFC 5322, as inline tests on one octet. Pure.
 *
 * Octets above 127 are text here: RFC 6532 section 3.2 allows them wherever atext and qtext stand, and broken
 * devices send them anyway. Whether they may leave again is decided where fields are written (mail_fold.h).
 *
 * Tests: tests/unit/mail/test_mail_address.c, tests/unit/mail/test_mail_head.c
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "base/span.h"

static inline bool mail_is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* White space, also that of a folded line whose line ends are still there. */
static inline bool mail_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool mail_is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

static inline bool mail_is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* A character of a field's name: printable and no colon (RFC 5322 section 3.6.8). */
static inline bool mail_is_ftext(char c)
{
	return c > 0x20 && c < 0x7f && c != ':';
}

/* A character of an atom (RFC 5322 section 3.2.3, RFC 6532 section 3.2). */
static inline bool mail_is_atext(char c)
{
	return ascii_is_alnum(c) || mail_is_8bit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* A non-empty run of atoms and single dots, as in both halves of an address or a Message-ID. */
static inline bool mail_is_dot_atom(struct span s)
{
	bool dot = true; /* the last octet was a dot, or there was none */

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? dot : !mail_is_atext(s.p[i]))
			return false;
		dot = s.p[i] == '.';
	}
	return !dot;
}

/* Without white space and line ends at both ends. */
static inline struct span mail_trim(struct span s)
{
	while (s.n && mail_is_space(s.p[0]))
		s = span_skip(s, 1);
	while (s.n && mail_is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}
