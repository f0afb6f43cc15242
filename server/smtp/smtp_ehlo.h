/* smtp/smtp_ehlo.h - what a server offers (the EHLO reply, RFC 5321 section 4.1.1.1), and what a client calls
 * itself.
 *
 * One value for both directions: a listener builds its set and formats it; a delivery parses the peer's.
 *
 * Pure.  Ownership: a struct smtp_ehlo is a value without pointers.  Threads: any.
 * Tests: tests/unit/smtp/test_ehlo.c, tests/fuzz/fuzz_smtp_ehlo.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "smtp/smtp_reply.h"
#include "smtp/smtp_syntax.h"

/* name, keyword, document; in the order in which a server lists them */
#define SMTP_EXT_MAP(X)                                                                                      \
	X(PIPELINING, "PIPELINING", 2920)                                                                    \
	X(SIZE, "SIZE", 1870)                                                                                \
	X(8BITMIME, "8BITMIME", 6152)                                                                        \
	X(SMTPUTF8, "SMTPUTF8", 6531)                                                                        \
	X(CHUNKING, "CHUNKING", 3030)                                                                        \
	X(BINARYMIME, "BINARYMIME", 3030)                                                                    \
	X(ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES", 2034)                                                  \
	X(DSN, "DSN", 3461)                                                                                  \
	X(DELIVERBY, "DELIVERBY", 2852)                                                                      \
	X(ETRN, "ETRN", 1985)                                                                                \
	X(STARTTLS, "STARTTLS", 3207)                                                                        \
	X(REQUIRETLS, "REQUIRETLS", 8689)                                                                    \
	X(AUTH, "AUTH", 4954)                                                                                \
	X(EXPN, "EXPN", 5321)                                                                                \
	X(VRFY, "VRFY", 5321)                                                                                \
	X(VERB, "VERB", 0)                                                                                   \
	X(XCLIENT, "XCLIENT", 0)                                                                             \
	X(HELP, "HELP", 5321)

enum smtp_ext_index {
#define X(name, keyword, rfc) SMTP_EXT_INDEX_##name,
	SMTP_EXT_MAP(X)
#undef X
		SMTP_EXT_COUNT_
};

enum smtp_ext {
#define X(name, keyword, rfc) SMTP_EXT_##name = 1 << SMTP_EXT_INDEX_##name,
	SMTP_EXT_MAP(X)
#undef X
};

enum { SMTP_EHLO_NAME_MAX = 255, SMTP_EHLO_AUTH_MAX = 400 };

struct smtp_ehlo {
	uint32_t ext;                      /* enum smtp_ext */
	uint64_t size_octets_max;          /* 0: no limit declared */
	uint32_t deliverby_min_s;          /* shortest BY= in mode R; 0: none declared */
	char auth[SMTP_EHLO_AUTH_MAX + 1]; /* mechanisms, upper case, one space between */
	char name[SMTP_EHLO_NAME_MAX + 1]; /* the server's name as its reply begins */
};

/* Fills *e_r from the reply to EHLO. What it does not know or cannot read it leaves out: a peer's odd keyword
 * is no reason not to send mail. Returns 0, or -ERR_INVAL if the reply is not a positive one. */
int smtp_ehlo_parse(const struct smtp_reply *reply, struct smtp_ehlo *e_r);

/* Adds a mechanism to the list, once. False if the list is full or @mech is not a SASL mechanism name. */
bool smtp_ehlo_add_mech(struct smtp_ehlo *e, struct span mech);
bool smtp_ehlo_has_mech(const struct smtp_ehlo *e, struct span mech);

/* Appends the server's reply to EHLO: name and @greeting on the first line, then one line per extension. With
 * @auth_equals there is also "AUTH=..." for clients of old drafts. A set without mechanisms has no AUTH line.
 * False, with nothing added, if @out is full. */
bool smtp_ehlo_format(const struct smtp_ehlo *e, struct span greeting, bool auth_equals, struct buf *out);

const char *smtp_ext_name(enum smtp_ext_index index);
/* The bit of a keyword, case-blind; 0 if unknown. For lists of extensions to hide. */
uint32_t smtp_ext_from_keyword(struct span keyword);

/* ---- the client's name
 * ---------------------------------------------------------------------------------------- */

enum smtp_helo_kind {
	SMTP_HELO_DOMAIN,  /* a well-formed name, qualified or not */
	SMTP_HELO_LITERAL, /* "[192.0.2.1]" */
	SMTP_HELO_ADDRESS, /* "192.0.2.1": as a name well-formed, but no name */
	SMTP_HELO_OTHER,   /* tolerated: printable, but none of these; or empty */
};

/* Checks the argument of HELO and EHLO. Strict: domain or literal and nothing else. With SMTP_LAX_HELO any
 * printable word and whatever follows it. Which of the tolerated characters to refuse after all is policy.
 *
 * Returns the kind, *name_r is the name inside @arg; or -ERR_SYNTAX, -ERR_TOOBIG with *why_r. *tolerated gets
 * bits added. */
int smtp_helo_name_check(struct span arg, unsigned flags, struct span *name_r, unsigned *tolerated,
			 const char **why_r);
