/* dns/reverse.h - forward-confirmed reverse DNS: by which names is an address known, and do these names know
 * the address?
 *
 * PTR of the address, then A (or AAAA, by its family) of every name; a name whose addresses hold ours is
 * confirmed. There may be several; whoever looks for a registered name goes through all of them. The verdict
 * has four values and REVERSE_TEMPERROR is neither "yes" nor "no": a resolver that is down must not turn a
 * registered device into a stranger. A verdict that rests on answers whose time is over, while nobody gives
 * newer ones, says so (`stale`).
 *
 * Ownership: the lookup is embedded in its owner; the names live until reverse_deinit() or the next
 *   start.  Threads: the loop's.
 * Errors: the verdict is valid in done() whatever op.status says; at the deadline it is made of what is known
 *   then.
 * Limits: REVERSE_NAMES_MAX names are looked at, in the order of the answer; `more_names` says that there are
 *   others.
 * Source: RFC 8601 section 2.7.3 ("iprev"), RFC 1912 section 2.1.  Tests: tests/unit/dns/test_reverse.c
 */
#pragma once

#include "dns/dns.h"

enum { REVERSE_NAMES_MAX = 10 };

#define REVERSE_VERDICT_MAP(X)                                                                               \
	X(PASS, "pass")           /* at least one name is confirmed */                                       \
	X(NO_PTR, "no_ptr")       /* the address has no name */                                              \
	X(MISMATCH, "mismatch")   /* it has names, none of which leads back to it */                         \
	X(TEMPERROR, "temperror") /* not known */

enum reverse_verdict {
#define X(name, text) REVERSE_##name,
	REVERSE_VERDICT_MAP(X)
#undef X
};

const char *reverse_verdict_name(enum reverse_verdict verdict);

#define REVERSE_STATE_MAP(X)                                                                                 \
	X(CONFIRMED, "confirmed")                                                                            \
	X(OTHER_ADDRESS, "other_address") /* it has addresses, not this one */                               \
	X(NO_ADDRESS, "no_address")       /* it has no address of this family, or does not exist */          \
	X(NOT_A_HOST, "not_a_host")       /* it cannot be a host's name */                                   \
	X(UNKNOWN, "unknown")             /* its addresses could not be learned */

enum reverse_state {
#define X(name, text) REVERSE_NAME_##name,
	REVERSE_STATE_MAP(X)
#undef X
};

const char *reverse_state_name(enum reverse_state state);

struct reverse;

struct reverse_name {
	struct span name; /* canonical */
	enum reverse_state state;
	/* internal */
	struct reverse *owner_;
	struct dns_query query_;
};

struct reverse {
	struct op op;
	enum reverse_verdict verdict;
	struct span name; /* PASS: the first confirmed name; else the first name; empty without any */
	struct reverse_name *names; /* in the order of the answer */
	size_t n;
	bool more_names;
	bool stale;
	uint32_t ttl_s;     /* for as long the verdict may be kept */
	struct errtext why; /* unless PASS: which look-up said what, as a sentence */

	/* internal */
	struct dns *dns;
	struct ip_addr addr;
	int64_t until_us;
	struct dns_query ptr;
	unsigned pending;
	bool canceled;
	char what[DNS_WHAT_MAX];
};

void reverse_init(struct reverse *r, void (*done)(struct op *op));
void reverse_deinit(struct reverse *r);

/* @deadline_us for both steps, of which the first may take half; 0: twice the resolver's. Returns 0, or
 * -ERR_CANCELED when the scope is closing. */
int reverse_start(struct reverse *r, struct dns *dns, struct scope *scope, const struct ip_addr *addr,
		  int64_t deadline_us);

/* Is @name, in any case of letters and with or without a final dot, among the confirmed ones? */
bool reverse_confirms(const struct reverse *r, struct span name);
