/* state/limit_memory.h - the limit store of one process: a bounded table of keys, decided at once.
 *
 * A key costs memory while its rate remembers it; one that is as if never used is thrown away. When the table
 * is full of keys in use, the one that was used longest ago is forgotten and counted: whoever floods with
 * keys can win a fresh burst for a key that has been quiet meanwhile, and nothing else.
 *
 * Threads: any; the table is cut into shards with a lock each, held for one probe.
 * Tests: tests/unit/state/test_limit_memory.c
 */
#pragma once

#include "state/limit.h"

struct limit_memory_config {
	uint32_t keys_max;        /* 1,000,000: over all shards, which share it evenly */
	enum limit_source source; /* what answers say: MEMORY, or LOCAL behind a shared store */
	/* A clock that does not go back, safe from any thread; NULL: the system's. */
	int64_t (*now_us)(void *clock_arg);
	void *clock_arg;
};

struct limit_store *limit_memory_new(const struct limit_memory_config *cfg);
void limit_memory_free(struct limit_store **s);

struct limit_memory_stats {
	uint64_t keys, bytes;
	uint64_t forgotten; /* keys in use that had to go since the start */
};

void limit_memory_stats(struct limit_store *s, struct limit_memory_stats *st_r);
