/* state/bans_table.h - private to bans_memory: a bounded table of addresses or of users with their failures and bans.
 *
 * An entry is in one place of its shard, and that is also the order in which a full table lets go:
 *
 *   counting   failures within the time that counts, touched longest ago first
 *   known      no ban, and addresses that the user got in from, likewise
 *   banned     by the end of the ban
 *
 * Of a failure two hashes are kept: what was tried, and whose it was (for an address the user, for a user the address); the
 * maker of the hashes keys them, so that nothing here tells a secret.
 *
 * Threads: all but init and deinit with the shard's lock held.
 */
#pragma once

#include <pthread.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "state/bans.h"

enum {
	BANS_SHARDS = 16,
	BANS_KNOWN_MAX = 8, /* addresses of a user that are remembered */
};

struct bans_failure {
	uint64_t what; /* 0: not known, equal to none */
	uint64_t whose;
	int64_t at_us;
};

struct bans_known {
	uint64_t address;
	int64_t at_us; /* 0: none */
};

struct bans_entry {
	struct map_node node;
	struct list link;     /* in counting or known, unless banned */
	struct heap_node end; /* in the shard's banned */
	struct bans_failure *failure;
	uint32_t nfailures, cap;
	struct bans_known *known; /* BANS_KNOWN_MAX of them, or NULL */
	int64_t keep_us;          /* then it holds nothing that counts */
	int64_t since_us, until_us;
	uint32_t ban_failures;
	char octets[];
};

struct bans_shard {
	pthread_mutex_t lock;
	struct map entries;
	struct list counting, known;
	struct heap banned;
	uint64_t forgotten;
};

struct bans_table {
	enum bans_kind kind;
	uint32_t entries_max; /* of a shard */
	struct bans_shard shard[BANS_SHARDS];
};

/* What names an address or a user here. */
struct bans_name {
	struct span key;
	uint64_t hash;
	char octets[BANS_USER_MAX];
};

void bans_table_init(struct bans_table *t, enum bans_kind kind, uint32_t entries_max);
void bans_table_deinit(struct bans_table *t);
/* How many entries there are; adds to *forgotten. Takes the locks itself. */
uint64_t bans_table_count(struct bans_table *t, uint64_t *forgotten);

static inline struct bans_shard *bans_shard_of(struct bans_table *t, const struct bans_name *n)
{
	return &t->shard[n->hash % BANS_SHARDS];
}

/* Bans that are over end, and what holds nothing goes. */
void bans_shard_settle(struct bans_shard *sh, int64_t now_us);

struct bans_entry *bans_entry_get(struct bans_shard *sh, const struct bans_name *n); /* or NULL */
struct bans_entry *bans_entry_need(const struct bans_table *t, struct bans_shard *sh,
				   const struct bans_name *n); /* made if missing */
void bans_entry_free(struct bans_shard *sh, struct bans_entry *e);
bool bans_entry_banned(const struct bans_entry *e);
void bans_entry_touch(struct bans_shard *sh, struct bans_entry *e); /* to the end of its list */
void bans_entry_copy(const struct bans_table *t, const struct bans_entry *e, struct bans_ban *ban_r);
/* One more; the same again takes the place of itself. */
void bans_entry_add(struct bans_entry *e, struct bans_failure f);
void bans_entry_forget(struct bans_entry *e,
		       bool (*gone)(const struct bans_failure *f, uint64_t whose, int64_t before_us),
		       uint64_t whose, int64_t before_us);
/* Ends its ban. What a user is known by stays; without that the entry goes. */
void bans_entry_lift(struct bans_shard *sh, struct bans_entry *e);
