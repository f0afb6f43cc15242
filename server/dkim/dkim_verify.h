/* dkim/dkim_verify.h - verifies the signatures and the ARC chain of a message that comes in.
 *
 *   1. dkim_verify_head()    the header section is complete: signatures are read, hashes of what they cover are computed,
 *                            the body's hashes are asked for (dkim_body.h). Nothing of the head is needed after that.
 *   2. dkim_verify_start()   an op: the keys are asked for, all at once, while the body still comes
 *   3. dkim_verify_finish()  the op is done and the body has ended: the results
 *
 * A message may have no signature: then 2 has nothing to do and completes at once.
 * A key that cannot be learned in time makes its signature DKIM_TEMPERROR; the op itself never fails but when it is cancelled.
 *
 * Ownership: the struct is embedded in its owner, who calls dkim_verify_deinit() when the op is not pending; results live until
 *   then.  Threads: the loop's.  Units: seconds since 1970-01-01 UTC, _us.
 * Limits: signatures_max from the top, the rest is not looked at; MAIL_ARC_SETS_MAX; DKIM_VERIFY_BYTES_MAX for all of it.
 * Source: RFC 6376 section 6, RFC 8301, RFC 8463, RFC 8601 section 2.7.1 (results), RFC 8617 section 5.2.
 * Tests:  tests/unit/dkim/test_verify.c, test_arc.c, tests/interop/dkim_signatures.py
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "dkim/dkim_body.h"
#include "dns/dns.h"
#include "io/op.h"
#include "mail/mail_arc.h"
#include "mail/mail_dkim_sig.h"
#include "mail/mail_head.h"

enum { DKIM_VERIFY_SIGNATURES_MAX = 5, DKIM_VERIFY_BYTES_MAX = 1024 * 1024 };

/* RFC 8601 section 2.7.1 */
#define DKIM_RESULT_MAP(X)                                                                                   \
	X(NONE, "none") /* not signed */                                                                     \
	X(PASS, "pass")                                                                                      \
	X(FAIL, "fail")           /* the message is not what was signed, or was signed too long ago */       \
	X(POLICY, "policy")       /* a signature that is right, but not good enough: the key is too short */ \
	X(NEUTRAL, "neutral")     /* it cannot be read */                                                    \
	X(TEMPERROR, "temperror") /* the key could not be learned now */                                     \
	X(PERMERROR, "permerror") /* there is no such key, or it may not be used for this */

enum dkim_result {
#define X(name, text) DKIM_##name,
	DKIM_RESULT_MAP(X)
#undef X
};

const char *dkim_result_name(enum dkim_result r);

struct dkim_outcome {
	enum dkim_result result;
	const char *why;              /* a constant phrase; "" with DKIM_PASS */
	struct span domain, selector; /* empty if they could not be read */
	struct span identity;         /* i=; empty if it was not said */
	enum mail_dkim_algorithm algorithm;
	unsigned key_bits; /* 0: not known */
	bool testing;      /* the domain says that it is trying things out */
	bool partial;      /* behind what was signed there is more of the body (l=) */
	char begin[9];     /* the first characters of the signature, to tell two of them apart (RFC 6008) */
};

struct dkim_check;
struct dkim_lookup;

struct dkim_verify {
	struct op op;

	/* after dkim_verify_finish() */
	size_t n; /* of signatures that were looked at */
	struct dkim_outcome *outcome;
	size_t ignored; /* further signatures */
	struct dkim_outcome
		chain; /* of ARC: DKIM_NONE, _PASS, _FAIL, _TEMPERROR; the domain is that of the newest seal */
	size_t sets;

	/* internal */
	struct arena *arena;
	struct dkim_body *body;
	struct dkim_check *checks;
	size_t checks_n;
	struct dkim_lookup *lookups;
	size_t lookups_n;
	unsigned pending;
};

void dkim_verify_init(struct dkim_verify *v, void (*done)(struct op *op));
void dkim_verify_deinit(struct dkim_verify *v);

/* Once, before the first piece of the body goes into @body, which must outlive the last step. @chain: the ARC chain too.
 * Returns 0, or -ERR_TOOBIG, -ERR_BUG: then the results are none. */
int dkim_verify_head(struct dkim_verify *v, const struct mail_head *h, struct dkim_body *body, bool chain,
		     int64_t now_s);

/* Returns 0, or -ERR_CANCELED when the scope is closing. */
int dkim_verify_start(struct dkim_verify *v, struct dns *dns, struct scope *scope, int64_t deadline_us);

void dkim_verify_finish(struct dkim_verify *v);
