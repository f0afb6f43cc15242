/* dns/dns_hosts.h - answers that are given without asking anybody: what `postern simulate --ptr` supposes,
 * what tests need.
 *
 * A name that is in the table is known with all of its types: one that was not added is answered with
 * DNS_NODATA. Of the names of addresses (PTR) the same holds. Names that are not in it are asked for as
 * usual.
 *
 *     dns_hosts_add(h, SPAN("copier1.bio.example.edu"), DNS_A, SPAN("192.0.2.17"), &why);
 *     dns_hosts_add(h, SPAN("192.0.2.17"), DNS_PTR, SPAN("copier1.bio.example.edu"), &why);
 *     dns_hosts_add(h, SPAN("example.org"), DNS_MX, SPAN("10 mx1.example.org"), &why);
 *     dns_hosts_add_result(h, SPAN("down.example.org"), DNS_MX, DNS_TEMPFAIL, &why);
 *
 * Ownership: the creator frees; a resolver makes a copy.  Threads: one at a time.
 * Tests: tests/unit/dns/test_hosts.c
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "dns/dns_answer.h"

enum { DNS_HOSTS_TTL_S = 60, DNS_HOSTS_MAX = 10000 /* answers */ };

struct dns_hosts;

struct dns_hosts *dns_hosts_new(void);
void dns_hosts_free(struct dns_hosts **h);
struct dns_hosts *dns_hosts_copy(const struct dns_hosts *h);

/* Adds a record to what is there. @name is an address when @type is DNS_PTR. Returns 0, -ERR_INVAL,
 * -ERR_LIMIT. */
int dns_hosts_add(struct dns_hosts *h, struct span name, enum dns_type type, struct span value,
		  struct errtext *why);
/* The answer is @result, not DNS_OK, from now on, whatever was added. */
int dns_hosts_add_result(struct dns_hosts *h, struct span name, enum dns_type type, enum dns_result result,
			 struct errtext *why);

/* All that is in it, and in copies of it, counts as validated by DNSSEC. */
void dns_hosts_authenticate(struct dns_hosts *h);

/* Borrowed, as long as the table is not changed; NULL when @name, canonical, is not in it. */
struct dns_answer *dns_hosts_get(const struct dns_hosts *h, enum dns_type type, struct span name);
size_t dns_hosts_count(const struct dns_hosts *h);
