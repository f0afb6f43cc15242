/* mail/mail_dkim_canon.h - the canonical forms of a message: what a signature is computed over.
 *
 * Header fields are written to a buf. The body comes in pieces of any size and goes out in runs, most of which are parts of the
 * pieces themselves: nothing is copied and nothing is kept but a few counters, however long the message is.
 *
 *     struct mail_dkim_body b = mail_dkim_body_init(MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT);
 *     while (mail_dkim_body_next(&b, &piece, &run))
 *             hash(run);
 *     ...
 *     while (mail_dkim_body_end(&b, &run))
 *             hash(run);
 *
 * A line ends with CRLF; a CR or LF alone is an octet like others.
 *
 * Pure.  Ownership: runs point into the piece or are constant.
 * Source: RFC 6376 sections 3.4, 3.5 (l=), 3.7.
 * Tests:  tests/unit/mail/test_mail_dkim_canon.c, tests/fuzz/fuzz_mail_dkim_canon.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum mail_dkim_canon { MAIL_DKIM_SIMPLE, MAIL_DKIM_RELAXED };

const char *mail_dkim_canon_name(enum mail_dkim_canon canon);

/* Adds the canonical form of a field, which may lack its last line end. A bare LF counts as CRLF and a bare CR as a space, as
 * mail_field_copy() sends them. False if @out is full. */
bool mail_dkim_canon_field(struct buf *out, enum mail_dkim_canon canon, struct span raw);

/* The same for the field that holds the signature: without the value of its b= tag and without its line end. */
bool mail_dkim_canon_signature(struct buf *out, enum mail_dkim_canon canon, struct span raw);

#define MAIL_DKIM_NO_LIMIT UINT64_MAX

struct mail_dkim_body {
	enum mail_dkim_canon canon;
	uint64_t limit_octets; /* more of the canonical form are not given out (l=) */
	uint64_t octets;       /* of the canonical form so far, those over the limit too */
	uint64_t newlines;     /* seen, and not counted before something stands behind them */
	bool cr;               /* the last octet was a CR */
	bool space;            /* relaxed: white space was seen, and nothing behind it yet */
	bool ended;
};

static inline struct mail_dkim_body mail_dkim_body_init(enum mail_dkim_canon canon, uint64_t limit_octets)
{
	return (struct mail_dkim_body){ .canon = canon, .limit_octets = limit_octets };
}

/* Takes from the front of @piece and gives the next run. False when the piece is used up; it is then empty. */
bool mail_dkim_body_next(struct mail_dkim_body *b, struct span *piece, struct span *run_r);
/* The message has ended. To be called until it returns false. */
bool mail_dkim_body_end(struct mail_dkim_body *b, struct span *run_r);
