/* dns/dns_name.h - domain names as text: which can be asked for, which can be hosts, and the names of
 * addresses.
 *
 * The canonical text is lower case without the final dot, so that equal names are equal octets. Names are
 * asked for as they are, never with a search list (RFC 5321 section 5.1: no inference from partial names).
 * Octets above 127 are refused: whoever has a U-label converts it to its A-label (RFC 5890) first.
 *
 * Pure.  Ownership: values.  Threads: any.  Source: RFC 1035 sections 2.3.4 and 3.5, RFC 2181 section 11, RFC
 * 3596 section 2.5.
 * Tests: tests/unit/dns/test_name.c, tests/fuzz/fuzz_dns_name.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/span.h"

enum {
	DNS_NAME_MAX = 253, /* 255 octets on the wire (RFC 1035 section 2.3.4) are at most 253 of text */
	DNS_LABEL_MAX = 63,
};

struct dns_name {
	char s[DNS_NAME_MAX + 1]; /* NUL-terminated */
	uint8_t n;
};

static inline struct span dns_name_span(const struct dns_name *name)
{
	return span_make(name->s, name->n);
}

/* Can @text be asked for? Any visible ASCII may stand in a label (service names have underscores, SPF macros
 * worse) but the backslash and the quote of zone files. One final dot is taken off. Returns 0, or
 * -ERR_SYNTAX, -ERR_TOOBIG and in *why_r a constant phrase. */
int dns_name_parse(struct span text, struct dns_name *name_r, const char **why_r);

/* Can the canonical @name be that of a host: letters, digits, hyphens (and underscores, which are in use),
 * and a last label that is not a number, so that an address that was written where a name belongs is not one
 * (RFC 1123 section 2.1). */
bool dns_name_is_host(struct span name);

/* The name under in-addr.arpa or ip6.arpa; @addr is not none. */
void dns_name_of_addr(const struct ip_addr *addr, struct dns_name *name_r);
