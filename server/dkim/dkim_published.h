/* dkim/dkim_published.h - what the DNS says about a key, in plain words: for `postern dkim check`.
 *
 * Pure.  Source: RFC 6376 section 3.6, RFC 8301 section 3.2.  Tests: tests/unit/dkim/test_published.c
 */
#pragma once

#include "base/buf.h"
#include "base/span.h"
#include "dns/dns_answer.h"
#include "tls/tls_sign.h"

enum dkim_published {
	DKIM_PUBLISHED_GOOD,
	DKIM_PUBLISHED_WEAK,   /* it works, but something should be done */
	DKIM_PUBLISHED_BAD,    /* signatures with this key do not pass */
	DKIM_PUBLISHED_UNKNOWN /* the DNS did not answer */
};

const char *dkim_published_name(enum dkim_published p);

/* Judges the answer to the question for TXT of @name. With @key (NULL: none) the record must be of its public half. Adds
 * sentences to @words, one a line. */
enum dkim_published dkim_published_judge(struct span name, const struct dns_answer *a,
					 const struct tls_private_key *key, struct buf *words);

/* Adds the record for @key: what is to be published. 0, -ERR_BUG, -ERR_TOOBIG. */
int dkim_published_record(const struct tls_private_key *key, struct buf *out);
