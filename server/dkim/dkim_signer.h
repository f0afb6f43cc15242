/* dkim/dkim_signer.h - signs mail: which key for whom, and the fields.
 *
 * A message is signed by the keys of its author's domain (From), or of the nearest domain above it that has any; without such by
 * those of the default domain, which is the relay's own. A domain may have several keys: each makes a signature, so that RSA
 * for everybody and Ed25519 for those who know it stand side by side (RFC 8463 section 5).
 *
 * Signatures are relaxed/relaxed, over the whole body. The hash of the body (dkim_body.h) is the caller's; so nothing here waits
 * and no message is read twice.
 *
 * Ownership: the signer owns its keys.  Threads: not changed after the last dkim_signer_add(); then any, several at once.
 * Units:  seconds since 1970-01-01 UTC.  Errors: -ERR_x.
 * Source: RFC 6376 section 5, RFC 8463, RFC 8617 section 5.1.
 * Tests:  tests/unit/dkim/test_signer.c, tests/interop/dkim_signatures.py
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "mail/mail_arc.h"
#include "mail/mail_dkim_sig.h"
#include "mail/mail_head.h"
#include "tls/tls_sign.h"

enum { DKIM_KEYS_MAX = 1000, DKIM_SIGNATURES_MAX = 4 /* of one domain */ };

struct dkim_signer;

struct dkim_signer *dkim_signer_new(void);
void dkim_signer_free(struct dkim_signer **s);

/* Takes the key. The domain of the first one is the default. -ERR_INVAL: @domain or @selector is no name; -ERR_EXISTS: there
 * is such a selector; -ERR_LIMIT: too many. On error the key is the caller's. */
int dkim_signer_add(struct dkim_signer *s, struct span domain, struct span selector,
		    struct tls_private_key **key, struct errtext *e);
/* Another default domain, which must have a key: else -ERR_NOTFOUND. */
int dkim_signer_set_default(struct dkim_signer *s, struct span domain);

size_t dkim_signer_count(const struct dkim_signer *s);
/* Key number @i, for those who look at the configuration; NULL behind the last. */
const struct tls_private_key *dkim_signer_key(const struct dkim_signer *s, size_t i, struct span *domain_r,
					      struct span *selector_r);

/* The domain that signs what this head is of. Borrowed from the signer; {NULL, 0}: nobody, for there is no From or no key. */
struct span dkim_signer_domain(const struct dkim_signer *s, const struct mail_head *h);

/* Does the default domain have a key that dkim_seal() can use? */
bool dkim_signer_seals(const struct dkim_signer *s);

/* Adds the signature fields for the message with this head, which is as it will be sent, and @body_hash, that of its relaxed body.
 * They belong on top of it. Returns how many, 0 if nobody signs; on error nothing was added. */
int dkim_sign(const struct dkim_signer *s, const struct mail_head *h, const uint8_t *body_hash, int64_t now_s,
	      struct buf *out);

/* Adds an ARC set for the message: its three fields, which belong on top of the head and of what dkim_sign() made. @chain is
 * what the head had when it came; @passed says whether that was right. @results: the value of Authentication-Results.
 * Returns 1; 0: not sealed, since the chain has ended (RFC 8617 section 5.1: it said itself that it failed, or is full), or
 * there is no key. On error nothing was added. */
int dkim_seal(const struct dkim_signer *s, const struct mail_head *h, const struct mail_arc *chain,
	      bool passed, struct span results, const uint8_t *body_hash, int64_t now_s, struct buf *out);
