/* auth/auth_cache.h - answers that were given a moment ago: so that a device which logs in for every page asks the KDC
 * once, and one with a stale password does not use up the tries that a KDC allows.
 *
 * In memory only. The key of an entry is HMAC-SHA-256(key of this process, principal NUL password), the first being drawn
 * when the cache is made: an entry says nothing without it, and nothing at all once the process has gone. Right answers
 * live for up to AUTH_CACHE_RIGHT_MAX_US, refusals for a shorter time, TEMPFAIL not at all. Bounded: what was put first
 * goes first.
 *
 * Pure: the time is an argument.  Threads: one at a time.  Source: requirement R-58 and the measurements behind it.
 * Tests: tests/unit/auth/test_cache.c
 */
#pragma once

#include "auth/auth_backend.h"
#include "base/list.h"
#include "base/map.h"

#define AUTH_CACHE_RIGHT_MAX_US (300 * INT64_C(1000000))

enum { AUTH_CACHE_KEY_OCTETS = 32 };

struct auth_cache_key {
	uint8_t b[AUTH_CACHE_KEY_OCTETS];
};

struct auth_cache {
	struct map map;
	struct list oldest; /* in the order of being put */
	size_t entries_max;
	int64_t right_us, refused_us; /* 0: not kept */
	uint8_t key[AUTH_CACHE_KEY_OCTETS];
	struct hash_key who;
};

int auth_cache_init(struct auth_cache *c, size_t entries_max, int64_t right_us, int64_t refused_us);
void auth_cache_deinit(struct auth_cache *c); /* the key is wiped; NULL and a zeroed one are taken */

int auth_cache_key(const struct auth_cache *c, struct span principal, struct span password,
		   struct auth_cache_key *key_r);
/* AUTH_ANSWER_TEMPFAIL: it has none. @age_us_r: how old the answer is. */
enum auth_answer auth_cache_get(struct auth_cache *c, const struct auth_cache_key *key, int64_t now_us,
				int64_t *age_us_r);
void auth_cache_put(struct auth_cache *c, const struct auth_cache_key *key, struct span principal,
		    enum auth_answer answer, int64_t now_us);
/* All entries of @principal, or all there are ({NULL, 0}). */
void auth_cache_forget(struct auth_cache *c, struct span principal);
