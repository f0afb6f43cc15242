/* dns/dns.h - one loop's resolver: questions as operations, answers as shared values.
 *
 *   dns_query_init(&q, on_answer);
 *   dns_query_start(&q, dns, &session->scope, DNS_MX, SPAN("example.org"), 0);
 *   ...
 *   static void on_answer(struct op *op) {
 *       const struct dns_answer *a = dns_query_answer(container_of(op, struct dns_query, op)); // never NULL
 *       switch (a->result) ...
 *   }
 *
 * In this order: the static answers (dns_hosts), the cache, a question that is open already (one question is
 * asked once, however many wait for it), the servers. DNS_TEMPFAIL is never a fact about the name: whoever
 * decides by an answer has three cases.
 *
 * Ownership: the query is embedded in its owner, who calls dns_query_deinit() when it is not pending.
 *   dns_free() completes what is pending with -ERR_CANCELED, as always at the end of the turn. Lookups of
 *   more than one step (mx_lookup, reverse) go on by themselves: their scopes are closed before.
 * Threads: the loop's; one resolver per loop, nothing shared. dns_global_init() before the first thread.
 * Limits: questions_max open ones, the cache's; beyond them DNS_TEMPFAIL.  Units: as named.
 * Errors: op.status is 0 when somebody answered, whatever was said; else -ERR_TIMEOUT, -ERR_CANCELED,
 *   -ERR_BUSY.
 * Not here: U-labels (a name that is not ASCII is DNS_INVALID; converting to A-labels belongs before this),
 *   DNSSEC validation (the resolver's word is taken when trust_ad says so), search lists and /etc/hosts.
 * Tests: tests/unit/dns/test_dns.c, test_dns_failures.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/list.h"
#include "dns/dns_answer.h"
#include "dns/dns_cache.h"
#include "dns/dns_hosts.h"
#include "dns/dns_name.h"
#include "io/op.h"

struct dns_config {
	const struct ip_endpoint *servers; /* at most 8 */
	size_t servers_n;                  /* 0: those of resolv_conf */
	const char *resolv_conf;           /* NULL: /etc/resolv.conf */
	int64_t try_timeout_us;            /* for a server's answer; the second round waits twice as long */
	unsigned tries;                    /* rounds over all servers */
	int64_t deadline_us;               /* for a question as a whole, and for a query that names none */
	unsigned questions_max;            /* open at a time */
	bool trust_ad; /* the servers validate, and the way to them is safe: believe their AD bit */
	bool offline;  /* never ask: what is not in `hosts` does not exist */
	const struct dns_hosts *hosts; /* copied; NULL: none */
	struct dns_cache_limits cache;
};

struct dns_config dns_config_default(void);

/* Once per process, before and after everything else. Returns 0 or -ERR_x. */
int dns_global_init(void);
void dns_global_deinit(void);

/* The version of c-ares that is linked: "1.18.1". Constant. */
const char *dns_library(void);

struct dns;

struct dns *dns_new(struct loop *loop, const struct dns_config *config, struct errtext *why);
/* Everything is asked for by @config from now on; what is open goes on where it was asked. The cache is
 * emptied when the servers are others (they may see another world); so this also makes changes of resolv.conf
 * known. On failure nothing changes. Returns 0 or -ERR_x. */
int dns_reconfigure(struct dns *dns, const struct dns_config *config, struct errtext *why);
void dns_free(struct dns **dns);

enum { DNS_WHAT_MAX = 80 };

struct dns_question;

struct dns_query {
	struct op op;
	/* A reference of the query's, NULL: none (see dns_query_answer). To keep it: dns_answer_ref(). */
	struct dns_answer *answer;
	bool from_cache; /* or static: nobody was asked for this */
	bool stale;      /* its TTL is over, but nobody answers */
	struct list waiting_;
	struct dns_question *question_;
	char what_[DNS_WHAT_MAX];
};

void dns_query_init(struct dns_query *q, void (*done)(struct op *op));
void dns_query_deinit(struct dns_query *q); /* not while pending; it can be started again after */

/* @deadline_us from now; 0: the configured one. Returns 0, or -ERR_CANCELED when the scope is closing. A name
 * that cannot be asked for is answered with DNS_INVALID. */
int dns_query_start(struct dns_query *q, struct dns *dns, struct scope *scope, enum dns_type type,
		    struct span name, int64_t deadline_us);
/* PTR of an address, which is not none. */
int dns_query_start_ptr(struct dns_query *q, struct dns *dns, struct scope *scope, const struct ip_addr *addr,
			int64_t deadline_us);

/* What was said; DNS_TEMPFAIL when nobody said anything. Valid until the query is started again or
 * deinited. */
const struct dns_answer *dns_query_answer(const struct dns_query *q);

/* What can be said at once: static or cached. NULL if nothing. Borrowed until the next call of a function
 * here and until the loop's next turn. */
const struct dns_answer *dns_cache_peek(struct dns *dns, enum dns_type type, struct span name);

/* As configured. */
int64_t dns_deadline_us(const struct dns *dns);

struct dns_stats {
	uint64_t queries;    /* started */
	uint64_t from_cache; /* of those */
	uint64_t joined;     /* of those: waited for a question that was open already */
	uint64_t questions;  /* to servers */
	uint64_t answered;   /* by them, DNS_TEMPFAIL left out */
	uint64_t failed;     /* ended in DNS_TEMPFAIL */
	uint64_t malformed;  /* of those: what came was not an answer */
	uint64_t timeouts;   /* of those: at the deadline */
	uint64_t refused;    /* queries that would have been one question too many */
	uint64_t stale;      /* queries answered with something old */
	unsigned open;       /* questions, now */
	size_t cache_entries, cache_bytes;
	int64_t latency_us;                      /* of an answer, smoothed */
	int64_t last_answer_us, last_failure_us; /* loop time; 0: never */
};

struct dns_stats dns_stats(const struct dns *dns);
/* As dns_channel_servers(); 0 when offline. @servers_r has room for 8. */
size_t dns_servers(const struct dns *dns, struct ip_endpoint *servers_r);
