/* mail/mail_arc.h - the chain of ARC sets in a header section: collected, checked for its form, and what each seal covers.
 *
 * A set is three fields with the same number (i=): ARC-Authentication-Results, ARC-Message-Signature and ARC-Seal. Whether the
 * signatures are right is dkim/'s to find out.
 *
 * Pure.  Ownership: fields are the head's; the rest lives in the arena given.
 * Source: RFC 8617 sections 4, 5.1, 5.2.
 * Tests:  tests/unit/mail/test_mail_arc.c, tests/fuzz/fuzz_mail_arc.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "mail/mail_dkim_sig.h"
#include "mail/mail_head.h"

enum { MAIL_ARC_SETS_MAX = 50 };

struct mail_arc_set {
	const struct mail_field *results, *message, *seal;
	struct mail_dkim_sig message_sig, seal_sig;
};

struct mail_arc {
	size_t n;               /* sets; 0: there is no chain */
	struct mail_arc_set *v; /* v[0] is that of i=1 */
	bool ended; /* its newest seal says that it failed, or it is full: nobody adds to it any more */
	/* A constant phrase: the chain is not formed as it must be, and fails. NULL: it is. */
	const char *why;
};

/* Returns 0, or -ERR_TOOBIG if the arena is full. With arc_r->why set, n is the number of sets as far as it can be told. */
int mail_arc_parse(struct arena *a, const struct mail_head *h, struct mail_arc *arc_r);

/* Adds what a seal is computed over (RFC 8617 section 5.1.1): the first @n sets of @arc, then these three fields of the set
 * behind them, the last of which is the seal. False if @out is full. */
bool mail_arc_cover(struct buf *out, const struct mail_arc *arc, size_t n, struct span results,
		    struct span message, struct span seal);
