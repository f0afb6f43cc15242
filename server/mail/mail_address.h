/* mail/mail_address.h - the addresses of a From, Sender, To ... field: where each one stands and what it
 * says.
 *
 * Parsing is tolerant: obsolete syntax (RFC 5322 section 4.4), comments, source routes, display names that
 * should have been quoted, dots in odd places and addresses without a domain are understood; what cannot be
 * understood is counted and passed over. Each mailbox knows its extent in the input, so that an address can
 * be exchanged while display name, comments and folding around it stay as they were.
 *
 * Encoded-words (RFC 2047) are left as they stand.
 *
 * Pure.
 * Ownership: spans point into the input or live in the arena: both must outlive the list.
 * Source:    RFC 5322 sections 3.4 and 4.4, RFC 6532 section 3.2.
 * Tests:     tests/unit/mail/test_mail_address.c, tests/fuzz/fuzz_mail_address.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

/* Octets of the two halves of an address in the envelope (RFC 5321 section 4.5.3.1). Parsing does not enforce
 * them. */
enum { MAIL_LOCAL_MAX = 64, MAIL_DOMAIN_MAX = 255 };

enum mail_mailbox_flags {
	MAIL_MAILBOX_ANGLE = 1 << 0,     /* the address stands in angle brackets */
	MAIL_MAILBOX_ROUTE = 1 << 1,     /* behind a source route, which is part of spec */
	MAIL_MAILBOX_QUOTED = 1 << 2,    /* the local part has a quoted string */
	MAIL_MAILBOX_COMMENT = 1 << 3,   /* white space or a comment inside the address */
	MAIL_MAILBOX_NO_DOMAIN = 1 << 4, /* "root": an error by the RFCs, and the normal case for cron */
	MAIL_MAILBOX_DOTS = 1 << 5,      /* a dot at an end of a half, or two in a row */
};

struct mail_mailbox {
	struct span all;   /* from display name to closing bracket or comment, without white space around */
	struct span name;  /* display name as written, quotes included; empty if there is none */
	struct span spec;  /* what a rewrite replaces: local@domain with its source route, without brackets */
	struct span local; /* without quotes, comments and white space between its words */
	struct span domain; /* likewise, in the case it was written; a literal has its brackets */
	struct span group;  /* display name of the group around it, as written; empty if there is none */
	unsigned flags;     /* enum mail_mailbox_flags */
};

struct mail_address_list {
	struct mail_mailbox *boxes;
	size_t n;
	size_t groups;            /* also empty ones: "undisclosed-recipients:;" */
	size_t broken;            /* elements that were passed over */
	struct span broken_first; /* the first of those */
};

/* Parses a mailbox-list or an address-list: the body of a field, which may be folded.
 *
 * Returns 0, also if there is no address in it; or -ERR_TOOBIG if there are more than @boxes_max addresses or
 * @a is full. On error *list_r is untouched. */
int mail_address_parse(struct arena *a, struct span in, size_t boxes_max, struct mail_address_list *list_r);

/* Adds local@domain; the local part is quoted if it must be, the domain is left out if empty. Control
 * characters, and non-ASCII unless MAIL_FOLD_UTF8 is in @flags, become '?'. False if @out is full. */
bool mail_address_write(struct buf *out, struct span local, struct span domain, unsigned flags);

/* Adds @text as a display name: as atoms if that is possible, else as a quoted string. Cleaned as
 * mail_text_clean() does. */
bool mail_phrase_write(struct buf *out, struct span text, unsigned flags);

/* Does this local@domain fit an envelope, and is the domain a name or an address literal in syntax? */
bool mail_address_valid(struct span local, struct span domain);
