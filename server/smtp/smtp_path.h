/* smtp/smtp_path.h - the <path> of MAIL FROM and RCPT TO (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
 *
 * Two paths that mean the same mailbox parse to the same value: quoting is undone, the domain is lower-cased,
 * an address literal is written one way. What a local part says about routing ("a%b", "a!b", "\"a@b\"") stays
 * visible in it.
 *
 * Pure: no I/O, no clock, no globals, no logging.
 * Ownership:  results live in the caller's arena and keep no pointer into the input.
 * Threads:    safe from any thread; a call touches only its arguments.
 * Tests:      tests/unit/smtp/test_path.c, tests/fuzz/fuzz_smtp_path.c
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "smtp/smtp_domain.h"
#include "smtp/smtp_syntax.h"

/* In octets: RFC 5321 sections 4.5.3.1.1 and 4.5.3.1.3, and what SMTP_LAX_LONG makes of them. The local part
 * is counted without its quoting, the path as it was written, with brackets and route. */
enum {
	SMTP_LOCAL_MAX = 64,
	SMTP_LOCAL_LONG_MAX = 255,
	SMTP_PATH_MAX = 256,
	SMTP_PATH_LONG_MAX = 1024,
};

enum smtp_path_is {
	SMTP_PATH_IS_NULL = 1 << 0,    /* "<>" */
	SMTP_PATH_IS_QUOTED = 1 << 1,  /* the local part needs quotes when it is written */
	SMTP_PATH_IS_LITERAL = 1 << 2, /* the domain is an address literal */
	SMTP_PATH_IS_UTF8 = 1 << 3,    /* not ASCII: may travel only with SMTPUTF8 */
};

struct smtp_path {
	struct span local;  /* unquoted, case kept; empty only for the null path */
	struct span domain; /* lower-cased, a literal with brackets; empty: "<>", <postmaster>, <name> */
	struct span route;  /* "@a,@b" as it was written, without the colon; only for the log (appendix C) */
	unsigned is;        /* enum smtp_path_is */
	unsigned tolerated; /* enum smtp_lax */
};

/* Parses one path at the start of @in; after it comes a space or the end. @flags: enum smtp_allow and enum
 * smtp_lax.
 *
 * A path with SMTP_PATH_IS_UTF8 is only right if the transaction has the SMTPUTF8 parameter, which in a MAIL
 * command comes later: the caller checks (550 for the sender, 553 for a recipient, X.6.7; RFC 6531 section
 * 3.5).
 *
 * Returns the number of octets consumed (> 0; parameters, if any, start there), or
 *   -ERR_SYNTAX  not a path
 *   -ERR_TOOBIG  local part, domain or path over its limit
 *   -ERR_NOMEM   @a is full
 * On error *path_r and *why_r are: untouched, and a constant English phrase for the reply text. */
int smtp_path_parse(struct arena *a, struct span in, unsigned flags, struct smtp_path *path_r,
		    const char **why_r);

/* The same for all of @in being a mailbox without brackets: AUTH=, configuration, policies. */
int smtp_path_parse_mailbox(struct arena *a, struct span in, unsigned flags, struct smtp_path *path_r,
			    const char **why_r);

/* Appends "<local@domain>", quoted as little as possible, without a route; "<>" for the null path.
 * Returns 0, -ERR_INVAL if the value holds a control character and so cannot be written, -ERR_TOOBIG if @out
 * is full. */
int smtp_path_format(const struct smtp_path *path, struct buf *out);
/* Without the brackets; nothing for the null path. */
int smtp_path_format_mailbox(const struct smtp_path *path, struct buf *out);

/* Does the local part hold what some host could take for a route: @ % ! or a colon? Such a path must not be
 * relayed on the strength of its domain alone: "a%elsewhere@ours" is the classic way through a relay. */
bool smtp_path_is_routed_local(const struct smtp_path *path);

/* The same mailbox? Local parts by octets (RFC 5321 section 2.4), domains as they were lower-cased. */
bool smtp_path_eq(const struct smtp_path *a, const struct smtp_path *b);
