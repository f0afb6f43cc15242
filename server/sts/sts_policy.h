/* sts/sts_policy.h - MTA-STS as a domain publishes it: the TXT record that says a policy exists, and the policy itself.
 *
 * Pure.
 * Ownership: a policy is counted; its spans point into it.  Threads: any, but the count is one thread's.
 * Limits:    STS_POLICY_OCTETS of text (RFC 8461 section 3.3 suggests 64 KiB), STS_MX_MAX patterns.
 * Errors:    -ERR_SYNTAX, -ERR_TOOBIG with a constant phrase.
 * Source:    RFC 8461 sections 3.1, 3.2 and 4.1.
 * Tests:     tests/unit/sts/test_policy.c, tests/fuzz/fuzz_sts_policy.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { STS_ID_MAX = 32, STS_POLICY_OCTETS = 64 * 1024, STS_MX_MAX = 64, STS_MAX_AGE_S = 31557600 };

#define STS_MODE_MAP(X) X(NONE, "none") X(TESTING, "testing") X(ENFORCE, "enforce")

enum sts_mode {
#define X(name, text) STS_MODE_##name,
	STS_MODE_MAP(X)
#undef X
		STS_MODE_MAX_
};

const char *sts_mode_name(enum sts_mode mode);

struct sts_policy {
	unsigned refs;
	enum sts_mode mode;
	uint32_t max_age_s;
	size_t nmx;
	struct span mx[]; /* lower case; ".example.org" where it says "*.example.org": one label more */
};

/* The id of one TXT record, 1 to STS_ID_MAX letters and digits; points into @txt. -ERR_NOTFOUND: another kind of record;
 * -ERR_SYNTAX: it begins like ours and is none. */
int sts_record_parse(struct span txt, struct span *id_r);

/* One reference is the caller's. */
int sts_policy_parse(struct span text, struct sts_policy **policy_r, const char **why_r);
struct sts_policy *sts_policy_ref(struct sts_policy *p);
void sts_policy_unref(struct sts_policy **p);

/* Section 4.1: does this @mx of a policy mean that host? */
bool sts_mx_matches(struct span mx, struct span host);
/* May mail go to this host? @host is lower case, without a final dot. */
bool sts_policy_has_mx(const struct sts_policy *p, struct span host);
