/* mail/mail_dsn_parse.h - reads the report of another mail system, as far as programs need it: what became of
 * whom.
 *
 * Pure.
 * Ownership: all spans point into the message or live in the arena.
 * Source:    RFC 3464, RFC 6522 section 3, RFC 6533 section 4.4.
 * Tests:     tests/unit/mail/test_mail_dsn.c, tests/fuzz/fuzz_mail_dsn_parse.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/span.h"
#include "mail/mail_dsn.h"

enum { MAIL_DSN_REPORT_RCPTS_MAX = 200 };

struct mail_dsn_report_rcpt {
	struct span final_type, final;       /* "rfc822" and the address, as written */
	struct span original_type, original; /* empty if there is none */
	enum mail_dsn_action action;         /* MAIL_DSN_ACTION_MAX_ if it is none that we know */
	struct span status;                  /* "5.1.1", or empty if it has not that form */
	struct span remote;                  /* of Remote-MTA, without its type */
	struct span diagnostic;              /* likewise */
};

struct mail_dsn_report {
	struct span reporting; /* of Reporting-MTA, without its type */
	struct span envid;
	struct span message_id; /* of the message that it is about, with brackets; empty if unknown */
	struct mail_dsn_report_rcpt *rcpts;
	size_t rcpt_count;
};

/* Reads @message, or as much of its beginning as there is.
 *
 * Returns 0, or
 *   -ERR_NOTFOUND  it is no delivery status notification
 *   -ERR_SYNTAX    it is one, but names no recipient that can be read
 *   -ERR_TOOBIG    the head is larger than 256 KiB, there are too many recipients, or @a is full
 * On error *report_r is untouched. */
int mail_dsn_parse(struct arena *a, struct span message, struct mail_dsn_report *report_r);
