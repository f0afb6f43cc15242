/* dns/dns_answer.h - the answer to one question, as a value that is counted, never changed and never copied.
 *
 * Ownership: an answer is one block of memory; whoever keeps it has a reference. Its spans live as long as it
 *   does.
 * Threads: one; the count is not atomic (every loop has a resolver and a cache of its own).  Units: seconds
 *   for TTLs, as DNS has.
 * Source: RFC 1035, RFC 2308 (what NODATA and NXDOMAIN are), RFC 6698 (TLSA).
 * Tests: tests/unit/dns/test_answer.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/span.h"

#define DNS_TYPE_MAP(X)                                                                                      \
	X(A, 1)                                                                                              \
	X(PTR, 12)                                                                                           \
	X(MX, 15)                                                                                            \
	X(TXT, 16)                                                                                           \
	X(AAAA, 28)                                                                                          \
	X(TLSA, 52)

enum dns_type {
#define X(name, number) DNS_##name = (number),
	DNS_TYPE_MAP(X)
#undef X
};

const char *dns_type_name(enum dns_type type);
bool dns_type_parse(struct span s, enum dns_type *type_r); /* case-blind */

#define DNS_RESULT_MAP(X)                                                                                    \
	X(OK, "ok")             /* there are records */                                                      \
	X(NODATA, "nodata")     /* the name exists, records of this type do not */                           \
	X(NXDOMAIN, "nxdomain") /* the name does not exist */                                                \
	X(TEMPFAIL, "tempfail") /* we do not know: nobody answered, or with an error */                      \
	X(INVALID, "invalid")   /* the question cannot be asked */

enum dns_result {
#define X(name, text) DNS_##name,
	DNS_RESULT_MAP(X)
#undef X
};

const char *dns_result_name(enum dns_result result);

enum { DNS_RECORDS_MAX = 64 /* of an answer; more are left out */ };

struct dns_tlsa {
	uint8_t usage, selector, matching;
};

struct dns_record {
	uint32_t ttl_s;
	uint16_t preference;  /* MX */
	struct dns_tlsa tlsa; /* TLSA */
	struct ip_addr addr;  /* A, AAAA */
	/* MX, PTR: a name, canonical; "." for the root; octets that names of hosts cannot have are escaped as
	 * in zone files. TXT: its strings joined (RFC 7208 section 3.3), any octets.  TLSA: the association
	 * data. */
	struct span data;
};

struct dns_answer {
	unsigned refs; /* internal */
	enum dns_type type;
	enum dns_result result;
	/* The resolver says that it validated this (RFC 4035 section 3.2.3), and its word is taken. */
	bool authenticated;
	const char *why; /* TEMPFAIL, INVALID: a constant phrase; else "" */
	/* The least one on the way to the records; of a negative answer what its SOA says, or 0. */
	uint32_t ttl_s;
	struct span name; /* what was asked for */
	struct span
		canonical; /* the name that its aliases (CNAME) led to, as in a zone file; empty: there are none */
	size_t bytes;      /* of this block */
	size_t n;          /* > 0 only with DNS_OK */
	struct dns_record record[];
};

/* Copies all that it is given but @why. One reference is the caller's. */
struct dns_answer *dns_answer_new(enum dns_type type, struct span name, const struct dns_record *records,
				  size_t n);
/* Of a name that is an alias of @canonical; empty: it is none. */
struct dns_answer *dns_answer_new_alias(enum dns_type type, struct span name, struct span canonical,
					const struct dns_record *records, size_t n);
/* Without records; @why is constant, or NULL. */
struct dns_answer *dns_answer_new_empty(enum dns_type type, struct span name, enum dns_result result,
					const char *why);

struct dns_answer *dns_answer_ref(struct dns_answer *a);
void dns_answer_unref(struct dns_answer **a);
