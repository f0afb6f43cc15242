/* dns/dns_key.h - type and name as one string of octets: the key of the cache, of open questions and of
 * static answers.  Pure.  Tests: through its users, tests/unit/dns/test_cache.c, test_hosts.c
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "dns/dns_answer.h"
#include "dns/dns_name.h"

struct dns_key {
	uint8_t n;
	char s[DNS_NAME_MAX + 2];
};

/* @name is canonical and not longer than DNS_NAME_MAX. */
static inline struct dns_key dns_key_make(enum dns_type type, struct span name)
{
	struct dns_key key;

	require(name.n <= DNS_NAME_MAX);
	key.s[0] = (char)type; /* all of ours are below 256 */
	if (name.n)
		memcpy(key.s + 1, name.p, name.n);
	key.n = (uint8_t)(name.n + 1);
	return key;
}

static inline struct span dns_key_span(const struct dns_key *key)
{
	return span_make(key->s, key->n);
}
