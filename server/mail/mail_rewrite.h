/* mail/mail_rewrite.h - other addresses for senders that nobody could answer.
 *
 * A template says what an address becomes: "scans+{local}-{domain}@example.edu" makes
 * scans+root-host.lab.example.edu@example.edu of root@host.lab.example.edu. The result is the same wherever
 * and whenever it is made. A local part that would be longer than 64 octets, or from which characters had to
 * be taken, ends with a hash of the whole address, so that what was cut off still tells two senders apart. An
 * address that has the form of the template already stays as it is.
 *
 * In header fields only the address is exchanged: display names, comments and folding stay.
 *
 * Pure.
 * Ownership: results live in the arena given, or in that of the head.
 * Source:    RFC 5321 section 4.5.3.1 (lengths), RFC 5322 section 3.6.2 (From and Sender), RFC 5233
 *            (sub-addresses).
 * Tests:     tests/unit/mail/test_mail_rewrite.c, tests/fuzz/fuzz_mail_rewrite.c
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"
#include "mail/mail_address.h"
#include "mail/mail_head.h"

/* Checks a template: text with {local} and {domain} in front of the "@", and at most one {domain} behind it.
 * Returns 0, or -ERR_INVAL and says in @e what is wrong. */
int mail_rewrite_check(struct span template, struct errtext *e);

struct mail_rewritten {
	struct span local; /* a dot-atom of at most 64 octets */
	struct span domain;
};

/* Makes the address that stands for local@domain.
 *
 * Returns 1; 0 if the address has the form of the template: then *r is the address given; or
 *   -ERR_INVAL   the template is bad, or the domain cannot be part of another (an address literal, or too
 *                long)
 *   -ERR_TOOBIG  @a is full
 * On error *r_r is untouched. */
int mail_rewrite_expand(struct arena *a, struct span template, struct span local, struct span domain,
			struct mail_rewritten *r_r);

struct mail_rewrite_rule {
	struct span template;
	struct span domain;         /* "host.example.edu", or ".example.edu": all below it, or "": all */
	struct span default_domain; /* given to addresses that have none; "": those stay as they are */
	bool keep_original;         /* in X-Original-From */
};

/* Is an address of this domain meant by @rule_domain? */
bool mail_rewrite_domain_matches(struct span rule_domain, struct span domain);

/* Applies the rule to all addresses in From and Sender. Returns how many were exchanged, or as
 * mail_rewrite_expand(); on error a field may have been changed and the next one not. Reply-To is never
 * touched. */
int mail_rewrite_senders(struct mail_head *h, const struct mail_rewrite_rule *rule);

/* Makes local@domain the only author: it takes the place of the address in From, whose display name stays if
 * there was one address only; Sender goes, since it would say the same or something else. Returns 0 or
 * -ERR_TOOBIG. */
int mail_rewrite_author(struct mail_head *h, struct span local, struct span domain, bool keep_original);

/* Exchanges single addresses: for each box of @list, which was parsed from f->body, the text in @specs, or
 * nothing if that is empty. Returns 0 or -ERR_TOOBIG. */
int mail_rewrite_field(struct mail_head *h, struct mail_field *f, const struct mail_address_list *list,
		       const struct span *specs);

/* "user" of "user+tag": what stands in front of the first @separator, or all of it if there is none or
 * nothing in front of it. */
struct span mail_base_local(struct span local, char separator);

/* Is @address, or the address without its tag, the one that is allowed? Without case. @separator 0: no
 * tags. */
bool mail_address_is_allowed(struct span allowed_local, struct span allowed_domain, struct span local,
			     struct span domain, char separator);
