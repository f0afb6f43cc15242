/* sts/sts.h - which MTA-STS policy a domain has: asked of the DNS and of its web server, kept until it expires.
 *
 *     sts_lookup_init(&l, on_done);
 *     sts_lookup_start(&l, sts, &x->scope, domain, 0);
 *     on_done: l.policy, or NULL for none; then sts_lookup_deinit(&l)
 *
 *   1. the TXT record of _mta-sts.<domain>: the DNS cache answers it most of the time
 *   2. the policy that is kept is live and has the record's id: that one
 *   3. else https://mta-sts.<domain>/.well-known/mta-sts.txt, once for all who ask meanwhile
 *
 * What cannot be learned is no policy, unless one is kept that has not expired: then that one (RFC 8461 section 5.1). A fetch that
 * failed is not tried again for STS_FAILED_US.
 *
 * Ownership: one per worker. sts_close(), and in `closed` or later sts_free(). A policy is a reference of its lookup.
 * Threads:   the loop's; the loop of the DNS.
 * Limits:    cfg.entries_max domains, the least recently used goes first; a fetch STS_FETCH_US and STS_POLICY_OCTETS.
 * Errors:    op.status 0 in each case that is no cancel; l.why has a sentence when something failed on the way.
 * Source:    RFC 8461 sections 3, 4 and 5.
 * Tests:     tests/unit/sts/test_sts.c
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "dns/dns.h"
#include "dns/mx_lookup.h"
#include "http/http_fetch.h"
#include "sts/sts_policy.h"

#define STS_FAILED_US (300 * INT64_C(1000000))
#define STS_FETCH_US  (20 * INT64_C(1000000))

enum { STS_WHY_MAX = 240 };

struct sts_config {
	unsigned entries_max;  /* 0: 10,000 */
	struct span ca_file;   /* of web servers; empty: the system's. Must outlive the sts */
	uint16_t connect_port; /* of web servers; 0: 443 */
};

struct sts;

struct sts *sts_new(const struct sts_config *cfg, struct loop *loop, struct dns *dns,
		    struct http_client *http);
/* Lookups that wait are cancelled; @closed comes later, from the loop. */
void sts_close(struct sts *s, void (*closed)(void *arg), void *arg);
void sts_free(struct sts **s);

struct sts_lookup {
	struct op op;
	struct sts_policy *policy; /* one reference; NULL: none */
	bool fetch_failed;         /* there is a record, but its policy could not be had: for reports */
	bool invalid;              /* that was its own fault: syntax, content type, status */
	char why[STS_WHY_MAX];
	struct list waiting_;
};

void sts_lookup_init(struct sts_lookup *l, void (*done)(struct op *op));
/* @deadline_us 0: STS_FETCH_US. Returns 0, or -ERR_CANCELED when the scope is closing. */
int sts_lookup_start(struct sts_lookup *l, struct sts *s, struct scope *scope, struct span domain,
		     int64_t deadline_us);
void sts_lookup_deinit(struct sts_lookup *l);

/* What is kept, a domain a line, for the next start: "domain id expires mode pattern ...". */
void sts_save(const struct sts *s, struct buf *out);
/* What another life saved; lines that mean nothing, or are over, are passed over. How many count. */
size_t sts_load(struct sts *s, struct span text);
bool sts_changed(struct sts *s); /* since it was asked the last time: worth saving */
