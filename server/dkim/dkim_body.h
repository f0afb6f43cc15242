/* dkim/dkim_body.h - the hashes of one message's body that signatures want, computed while the body streams by.
 *
 *   1. dkim_body_want()  who needs a hash says in which form and how far; the same twice is one hash
 *   2. dkim_body_add()   all of the body, in pieces of any size
 *   3. dkim_body_end()   then dkim_body_hash() gives what was asked for
 *
 * Ownership: the creator frees.  Threads: one at a time.  Errors: -ERR_LIMIT, -ERR_BUG (libcrypto).
 * Source: RFC 6376 section 3.7.  Tests: tests/unit/dkim/test_body.c
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "mail/mail_dkim_canon.h"
#include "mail/mail_dkim_sig.h"

enum { DKIM_BODY_HASHES_MAX = 8 };

struct dkim_body;

struct dkim_body *dkim_body_new(void);
void dkim_body_free(struct dkim_body **b);

/* Returns the number of the hash. Before the first piece. -ERR_LIMIT: too many different ones. */
int dkim_body_want(struct dkim_body *b, enum mail_dkim_canon canon, uint64_t limit_octets);
void dkim_body_add(struct dkim_body *b, struct span piece);
void dkim_body_end(struct dkim_body *b);

/* Of hash number @i, after the end: MAIL_DKIM_HASH_OCTETS; NULL if libcrypto failed. */
const uint8_t *dkim_body_hash(const struct dkim_body *b, int i);
/* Octets of the canonical form, whatever the limit was. */
uint64_t dkim_body_octets(const struct dkim_body *b, int i);
