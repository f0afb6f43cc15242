/* dns/mx_lookup.h - from a domain to the addresses that its mail may be sent to, in order.
 *
 * Two steps: the MX records (mx.h says which hosts count), then A and AAAA of all hosts at once. The result
 * is one of three kinds: targets; "not now" (MX_TEMPFAIL: the MX records, or addresses when none at all was
 * found, could not be learned); "never".
 *
 * Ownership: the lookup is embedded in its owner; mx_lookup_deinit() frees the targets. What the
 *   configuration points to must stay until op.done.  Threads: the loop's.  Units: as named.
 * Errors: `result` and `why` are valid in done() whatever op.status says; after its deadline that is
 *   MX_TEMPFAIL or what was found until then, after a cancel they mean nothing.
 * Source: RFC 5321 sections 2.3.5, 5.1, 5.2, RFC 7505, RFC 7672 section 2.2 (`authenticated`).
 * Tests: tests/unit/dns/test_mx_lookup.c
 */
#pragma once

#include "base/err.h"
#include "dns/dns.h"
#include "dns/mx.h"

struct mx_config {
	struct mx_self self;
	enum mx_families families;
	struct mx_random random; /* { NULL }: the system's */
};

struct mx_target {
	struct span host; /* the name its certificate should have; without a name the text of the address */
	struct span
		canonical; /* what that is an alias of; empty: it is none (and an MX host should not be one) */
	struct ip_addr addr;
	uint16_t preference;
	bool authenticated; /* MX and address records both were (see dns_answer.h) */
};

struct mx_lookup_host; /* internal */

struct mx_lookup {
	struct op op;
	enum mx_result result;
	struct errtext why;        /* a sentence about it, unless it is MX_FOUND */
	struct mx_target *targets; /* best first; hosts in order, the addresses of each */
	size_t n;                  /* at most MX_ADDRS_MAX */
	uint32_t ttl_s;            /* for as long the result may be kept; UINT32_MAX: for ever */
	bool implicit;             /* no MX records: the domain is its own host */
	bool incomplete;           /* something was not answered: a host may be missing */
	bool stale;                /* some of it is old, nobody answered */

	/* internal */
	struct dns *dns;
	struct mx_config config;
	int64_t until_us;
	struct dns_name domain;
	struct dns_query mx;
	struct mx_lookup_host *hosts;
	size_t hosts_n;
	unsigned pending;
	bool mx_authenticated, canceled;
	char what[DNS_WHAT_MAX];
};

void mx_lookup_init(struct mx_lookup *m, void (*done)(struct op *op));
void mx_lookup_deinit(struct mx_lookup *m);

/* @domain as it stands in an address: a name or an address literal with its brackets. @deadline_us for both
 * steps, of which the first may take half; 0: twice the resolver's. Returns 0, or -ERR_CANCELED when the
 * scope is closing. */
int mx_lookup_start(struct mx_lookup *m, struct dns *dns, struct scope *scope, const struct mx_config *config,
		    struct span domain, int64_t deadline_us);
/* As a route "[host]:port" says: the addresses of that one host, a name or an address (without brackets),
 * whatever its MX records and even if that is this host (a filter on another port). */
int mx_lookup_start_host(struct mx_lookup *m, struct dns *dns, struct scope *scope,
			 const struct mx_config *config, struct span host, int64_t deadline_us);
