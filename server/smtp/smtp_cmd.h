/* smtp/smtp_cmd.h - a command line's verb and argument, and what each verb is.
 *
 * Pure: no I/O, no clock.  Ownership: results point into the line.  Threads: any.
 * Source: RFC 5321 sections 2.4, 4.1.1 and 4.5.1; the extensions' verbs from their own documents.
 * Tests: tests/unit/smtp/test_cmd.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "smtp/smtp_line.h"
#include "smtp/smtp_syntax.h"

enum smtp_verb_kind {
	SMTP_VERB_IS_UNKNOWN,  /* 500 */
	SMTP_VERB_IS_SERVED,   /* the session's table says when */
	SMTP_VERB_IS_UNSERVED, /* a real command that this server does not have: 502 */
	SMTP_VERB_IS_HOSTILE,  /* another protocol: a browser or proxy made to talk to us; the session ends */
};

enum smtp_verb_arg { SMTP_ARG_ANY, SMTP_ARG_NONE, SMTP_ARG_NEEDED };

/* name (and its text), kind, argument, longest line. */
#define SMTP_VERB_MAP(X)                                                                                     \
	X(UNKNOWN, UNKNOWN, ANY, SMTP_LINE_COMMAND_MAX)                                                      \
	X(HELO, SERVED, NEEDED, SMTP_LINE_COMMAND_MAX)                                                       \
	X(EHLO, SERVED, NEEDED, SMTP_LINE_COMMAND_MAX)                                                       \
	X(MAIL, SERVED, NEEDED, SMTP_LINE_ENVELOPE_MAX)                                                      \
	X(RCPT, SERVED, NEEDED, SMTP_LINE_ENVELOPE_MAX)                                                      \
	X(DATA, SERVED, NONE, SMTP_LINE_COMMAND_MAX)                                                         \
	X(BDAT, SERVED, NEEDED, SMTP_LINE_COMMAND_MAX)                                                       \
	X(RSET, SERVED, NONE, SMTP_LINE_COMMAND_MAX)                                                         \
	X(NOOP, SERVED, ANY, SMTP_LINE_COMMAND_MAX)                                                          \
	X(VRFY, SERVED, NEEDED, SMTP_LINE_ENVELOPE_MAX)                                                      \
	X(EXPN, SERVED, NEEDED, SMTP_LINE_ENVELOPE_MAX)                                                      \
	X(HELP, SERVED, ANY, SMTP_LINE_COMMAND_MAX)                                                          \
	X(ETRN, SERVED, NEEDED, SMTP_LINE_COMMAND_MAX)                                                       \
	X(QUIT, SERVED, NONE, SMTP_LINE_COMMAND_MAX)                                                         \
	X(STARTTLS, SERVED, NONE, SMTP_LINE_COMMAND_MAX)                                                     \
	X(AUTH, SERVED, NEEDED, SMTP_LINE_AUTH_MAX)                                                          \
	X(TURN, UNSERVED, ANY, SMTP_LINE_COMMAND_MAX)                                                        \
	X(ATRN, UNSERVED, ANY, SMTP_LINE_COMMAND_MAX)                                                        \
	X(SEND, UNSERVED, ANY, SMTP_LINE_ENVELOPE_MAX)                                                       \
	X(SOML, UNSERVED, ANY, SMTP_LINE_ENVELOPE_MAX)                                                       \
	X(SAML, UNSERVED, ANY, SMTP_LINE_ENVELOPE_MAX)                                                       \
	X(VERB, UNSERVED, ANY, SMTP_LINE_COMMAND_MAX)                                                        \
	X(ONEX, UNSERVED, ANY, SMTP_LINE_COMMAND_MAX)                                                        \
	X(XCLIENT, UNSERVED, ANY, SMTP_LINE_ENVELOPE_MAX)                                                    \
	X(XFORWARD, UNSERVED, ANY, SMTP_LINE_ENVELOPE_MAX)                                                   \
	X(GET, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)                                                          \
	X(HEAD, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)                                                         \
	X(POST, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)                                                         \
	X(PUT, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)                                                          \
	X(PATCH, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)                                                        \
	X(DELETE, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)                                                       \
	X(OPTIONS, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)                                                      \
	X(TRACE, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)                                                        \
	X(CONNECT, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)                                                      \
	X(PRI, HOSTILE, ANY, SMTP_LINE_COMMAND_MAX)

enum smtp_verb {
#define X(name, kind, arg, octets_max) SMTP_VERB_##name,
	SMTP_VERB_MAP(X)
#undef X
		SMTP_VERB_MAX_
};

struct smtp_cmd {
	enum smtp_verb verb;
	struct span word;   /* the verb as it was written */
	struct span arg;    /* what follows the space, without trailing white space; may be empty */
	unsigned tolerated; /* enum smtp_lax */
};

const char *smtp_verb_name(enum smtp_verb verb);
enum smtp_verb_kind smtp_verb_kind(enum smtp_verb verb);

/* Splits a line. An unknown verb is a result, not an error. White space at the end is always forgiven (RFC
 * 5321 section 4.1.1), elsewhere only with SMTP_LAX_SPACE.
 * Returns 0, or -ERR_SYNTAX: not a command line (500 5.5.2); *why_r says why. */
int smtp_cmd_parse(struct span line, unsigned flags, struct smtp_cmd *cmd_r, const char **why_r);

/* Has the command an argument where it needs one, and none where it takes none? Apart from parsing, so that a
 * command in the wrong place is told that first. Returns 0, or -ERR_INVAL (501 5.5.4) with *why_r.
 * SMTP_LAX_ARGUMENT drops a superfluous one from @cmd; SMTP_LAX_HELO lets HELO and EHLO come without. */
int smtp_cmd_arg_check(struct smtp_cmd *cmd, unsigned flags, const char **why_r);

/* The "FROM:" of MAIL, the "TO:" of RCPT: takes @keyword and its colon off the start of @arg.
 * Returns the octets consumed, the path starts there, or -ERR_SYNTAX. *tolerated gets bits added. */
int smtp_cmd_keyword(struct span arg, struct span keyword, unsigned flags, unsigned *tolerated,
		     const char **why_r);

/* Longest line that may begin as @unread does; for smtp_line_next(). */
size_t smtp_cmd_octets_max(struct span unread);

/* Do the first octets of a connection look like a TLS record (a client that speaks TLS at once where it
 * should not)? */
bool smtp_cmd_is_tls_hello(struct span unread);
