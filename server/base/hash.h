/* base/hash.h - the two hashes of the house.
 *
 *   hash_sip()     SipHash-1-3 with a key: tables whose keys a peer chooses (map), stable ids that must not be guessable
 *   hash_crc32c()  CRC-32C (Castagnoli, RFC 3720 appendix B.4): damage on disk; by the instruction of SSE 4.2 if there is one
 *
 * Both give the same on every machine.
 *
 * Threads: pure.  Tests: tests/unit/base/test_hash.c
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct hash_key {
	uint64_t k0, k1;
};

uint64_t hash_sip(const struct hash_key *key, struct span s);

/* Continues from @crc; 0 to begin. */
uint32_t hash_crc32c(uint32_t crc, const void *p, size_t n);
