/* state/bans_memory.h - the bans of one process: two bounded tables, of addresses and of users.
 *
 * An entry costs memory while it has failures within the time that counts, a ban, or (a user) an address that it got in from
 * lately. When a table is full, the entry without a ban that was touched longest ago goes; when all have one, the ban that ends
 * first. So whoever floods with addresses or names can win fresh attempts, which his next failures count again, and does not
 * lift bans as long as one entry has none.
 *
 * Threads: any; shards with a lock each, held for one probe.  Tests: tests/unit/state/test_bans.c
 */
#pragma once

#include "state/bans.h"

struct bans_memory_config {
	uint32_t entries_max; /* 50,000: of each table */
	/* How long an address from which a user got in is remembered: 7 days. */
	int64_t known_us;
};

struct bans *bans_memory_new(const struct bans_memory_config *cfg);

struct bans_memory_stats {
	uint64_t addresses, users; /* entries */
	uint64_t forgotten;        /* entries that had to go since the start */
};

void bans_memory_stats(struct bans *b, struct bans_memory_stats *st_r);
