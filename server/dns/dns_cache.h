/* dns/dns_cache.h - answers that are still good, and those that are better than none.
 *
 * An answer is kept for its TTL within limits; "there is none" for a shorter time; "we do not know" for a few
 * seconds, so that a dead server does not make everybody wait for it again and again. Records outlive their
 * TTL for a while: when asking anew ends in DNS_TEMPFAIL they are served once more, marked as stale (RFC
 * 8767), which is how forward-confirmed names and routes survive an outage of the resolver. Over its limits
 * the cache forgets what was not used for longest.
 *
 * Ownership: the cache holds a reference to what is in it; what it returns is borrowed until it is next
 *   called.
 * Threads: one.  Time is an argument, microseconds that do not go back.  Tests: tests/unit/dns/test_cache.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/dns_answer.h"

struct dns_cache_limits {
	size_t entries_max, bytes_max;
	int64_t ttl_min_us, ttl_max_us; /* of records */
	int64_t negative_ttl_max_us;    /* of DNS_NODATA and DNS_NXDOMAIN; ttl_min_us holds for them too */
	int64_t tempfail_ttl_us;        /* of DNS_TEMPFAIL, and between attempts to replace something stale */
	int64_t stale_max_us;           /* how long records are kept beyond their TTL; 0: not at all */
};

struct dns_cache_limits dns_cache_limits_default(void);

struct dns_cache;

struct dns_cache *dns_cache_new(const struct dns_cache_limits *limits);
void dns_cache_free(struct dns_cache **c);

/* What may be answered now without asking anybody; NULL if nothing. @name is canonical. *stale_r is set when
 * it is not NULL. */
struct dns_answer *dns_cache_get(struct dns_cache *c, enum dns_type type, struct span name, int64_t now_us,
				 bool *stale_r);

/* Records that are kept, however old; NULL if there are none. For those who cannot wait any longer. */
struct dns_answer *dns_cache_get_stale(struct dns_cache *c, enum dns_type type, struct span name,
				       int64_t now_us);

/* Takes a reference to @a and returns what those who asked should get: @a, or, when that is DNS_TEMPFAIL and
 * there are old records, those. */
struct dns_answer *dns_cache_put(struct dns_cache *c, struct dns_answer *a, int64_t now_us, bool *stale_r);

/* They hold from the next answer on. */
void dns_cache_set_limits(struct dns_cache *c, const struct dns_cache_limits *limits);
void dns_cache_clear(struct dns_cache *c);
size_t dns_cache_entries(const struct dns_cache *c);
size_t dns_cache_bytes(const struct dns_cache *c);
