/* dns/mx.h - which hosts take a domain's mail, in which order: the rules, without asking anybody.
 *
 * Pure but for the random numbers, which are passed in.  Ownership: results point into the answer.  Threads:
 * any.
 * Source: RFC 5321 section 5.1, RFC 7505.  Tests: tests/unit/dns/test_mx.c, tests/fuzz/fuzz_dns_mx.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/span.h"
#include "dns/dns_answer.h"

enum {
	MX_HOSTS_MAX = 20,      /* tried of a domain */
	MX_ADDRS_MAX = 40,      /* of all hosts */
	MX_HOST_ADDRS_MAX = 10, /* of one, so that it cannot crowd out the others */
};

#define MX_RESULT_MAP(X)                                                                                     \
	X(FOUND, "found")                                                                                    \
	X(TEMPFAIL, "tempfail")     /* ask again later */                                                    \
	X(NXDOMAIN, "nxdomain")     /* there is no such domain */                                            \
	X(NULL, "null_mx")          /* it says that it takes no mail: 556 5.1.10 (RFC 7505 section 4.1) */   \
	X(LOOP, "loop")             /* the best host for it is ourselves: 554 5.4.6 */                       \
	X(UNUSABLE, "unusable_mx")  /* it has MX records, none of which names a host */                      \
	X(NO_ADDRESS, "no_address") /* no host of it has an address */                                       \
	X(INVALID, "invalid")       /* it cannot be a domain */

enum mx_result {
#define X(name, text) MX_##name,
	MX_RESULT_MAP(X)
#undef X
};

const char *mx_result_name(enum mx_result result);

/* By which names and addresses this host is known is the operator's to tell; loopback and unspecified
 * addresses belong to them wherever mail to oneself would loop. */
struct mx_self {
	const struct span *names;
	size_t names_n;
	const struct ip_set *addrs; /* NULL: none */
};

bool mx_self_has_name(const struct mx_self *self, struct span name);
bool mx_self_has_addr(const struct mx_self *self, const struct ip_addr *addr);

struct mx_random {
	uint64_t (*below)(void *arg, uint64_t bound); /* uniform in 0 .. bound-1 */
	void *arg;
};

/* The system's random numbers. */
struct mx_random mx_random_system(void);

struct mx_host {
	struct span name;
	uint16_t preference;
};

/* Orders the MX records of @mx, which is DNS_OK: lowest preference first, equal ones shuffled, each host
 * once, ourselves and what is not better left out, at most MX_HOSTS_MAX. Returns MX_FOUND, and the hosts, or
 * MX_NULL, MX_LOOP, MX_UNUSABLE. */
enum mx_result mx_order(const struct dns_answer *mx, const struct mx_self *self, const struct mx_random *rnd,
			struct mx_host *hosts_r, size_t *n_r);

#define MX_FAMILIES_MAP(X)                                                                                   \
	X(IPV6_FIRST, "ipv6_first")                                                                          \
	X(IPV4_FIRST, "ipv4_first")                                                                          \
	X(IPV4_ONLY, "ipv4_only")                                                                            \
	X(IPV6_ONLY, "ipv6_only")

enum mx_families {
#define X(name, text) MX_FAMILIES_##name,
	MX_FAMILIES_MAP(X)
#undef X
};

/* The addresses of one host, at most MX_HOST_ADDRS_MAX: each family shuffled (their order is the
 * resolver's business, RFC 5321 section 5.1), then in turns, so that the second attempt already tries the
 * other family. @v4 and @v6 may be NULL or without records. */
size_t mx_addrs_order(const struct dns_answer *v4, const struct dns_answer *v6, enum mx_families families,
		      const struct mx_random *rnd, struct ip_addr *addrs_r);
