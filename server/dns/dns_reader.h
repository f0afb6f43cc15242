/* dns/dns_reader.h - a cursor over a DNS message: numbers, octets, names. What is not there sets `bad`, which
 * stays, so a caller may read several things and look once.
 *
 * Pure; never beyond `end`.  Ownership: spans point into the message.  Threads: one at a time.
 * Source: RFC 1035 sections 2.3.3 and 4.1.4.  Tests: tests/unit/dns/test_wire.c, tests/fuzz/fuzz_dns_wire.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
	DNS_HEADER_OCTETS = 12,
	DNS_WIRE_NAME_MAX = 255,
	DNS_TEXT_NAME_MAX = 4 * DNS_WIRE_NAME_MAX, /* every octet escaped */
};

/* A cursor over the whole message; `end` is lower than its length while record data is read. */
struct dns_reader {
	const uint8_t *p;
	size_t at, end;
	bool bad; /* sticky: something was not there */
};

/* A name in canonical form (dns_name.h); "." for the root; octets that cannot stand in a name's text are
 * escaped. */
struct dns_name_text {
	char s[DNS_TEXT_NAME_MAX + 1];
	size_t n, wire_n;
};

uint8_t dns_read_u8(struct dns_reader *r);
uint16_t dns_read_u16(struct dns_reader *r);
uint32_t dns_read_u32(struct dns_reader *r);
struct span dns_read_octets(struct dns_reader *r, size_t n);
/* Follows compression pointers, which must go back. *name_r is empty when it is bad. */
void dns_read_name(struct dns_reader *r, struct dns_name_text *name_r);
