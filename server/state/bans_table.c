#include "state/bans_table.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

enum {
	IDLE_LOOKED_AT = 2, /* entries that each use of a list may throw away: more than it can add */
	FAILURES_FIRST = 4, /* room of an entry at first */
};

bool bans_entry_banned(const struct bans_entry *e)
{
	return heap_node_in(&e->end);
}

void bans_entry_free(struct bans_shard *sh, struct bans_entry *e)
{
	map_remove(&sh->entries, &e->node);
	list_remove(&e->link);
	heap_remove(&sh->banned, &e->end);
	free(e->failure);
	free(e->known);
	free(e);
}

void bans_entry_touch(struct bans_shard *sh, struct bans_entry *e)
{
	list_remove(&e->link);
	if (!bans_entry_banned(e))
		list_push_back(e->known ? &sh->known : &sh->counting, &e->link);
}

static void throw_idle(struct bans_shard *sh, struct list *from, int64_t now_us)
{
	for (unsigned i = 0; i < IDLE_LOOKED_AT && !list_empty(from); i++) {
		struct bans_entry *e = list_entry(list_first(from), struct bans_entry, link);
		if (e->keep_us > now_us)
			return;
		bans_entry_free(sh, e);
	}
}

void bans_shard_settle(struct bans_shard *sh, int64_t now_us)
{
	struct heap_node *first;

	while ((first = heap_min(&sh->banned)) != NULL && first->key <= now_us) {
		struct bans_entry *e = container_of(first, struct bans_entry, end);
		heap_remove(&sh->banned, first);
		if (e->keep_us > now_us)
			bans_entry_touch(sh, e);
		else
			bans_entry_free(sh, e);
	}
	throw_idle(sh, &sh->counting, now_us);
	throw_idle(sh, &sh->known, now_us);
}

struct bans_entry *bans_entry_get(struct bans_shard *sh, const struct bans_name *n)
{
	struct map_node *node = map_get(&sh->entries, n->key);

	return node ? map_entry(node, struct bans_entry, node) : NULL;
}

static void make_room(struct bans_shard *sh)
{
	struct bans_entry *e;

	if (!list_empty(&sh->counting))
		e = list_entry(list_first(&sh->counting), struct bans_entry, link);
	else if (!list_empty(&sh->known))
		e = list_entry(list_first(&sh->known), struct bans_entry, link);
	else
		e = container_of(heap_min(&sh->banned), struct bans_entry, end);
	bans_entry_free(sh, e);
	sh->forgotten++;
}

struct bans_entry *bans_entry_need(const struct bans_table *t, struct bans_shard *sh,
				   const struct bans_name *n)
{
	struct bans_entry *e = bans_entry_get(sh, n);

	if (e)
		return e;
	if (sh->entries.n >= t->entries_max)
		make_room(sh);
	e = mem_alloc(sizeof *e + n->key.n);
	memcpy(e->octets, n->key.p, n->key.n);
	list_init(&e->link);
	map_put(&sh->entries, &e->node, span_make(e->octets, n->key.n));
	return e;
}

void bans_entry_copy(const struct bans_table *t, const struct bans_entry *e, struct bans_ban *ban_r)
{
	const struct span key = e->node.key;

	*ban_r = (struct bans_ban){
		.kind = t->kind, .failures = e->ban_failures, .since_us = e->since_us, .until_us = e->until_us
	};
	if (t->kind == BANS_USER) {
		memcpy(ban_r->user, key.p, key.n);
	} else {
		ban_r->net.addr.len = (uint8_t)key.n;
		memcpy(ban_r->net.addr.b, key.p, key.n);
		ban_r->net.bits = key.n == 4 ? 32 : 64;
	}
}

void bans_entry_add(struct bans_entry *e, struct bans_failure f)
{
	for (uint32_t i = 0; f.what && i < e->nfailures; i++) {
		if (e->failure[i].what == f.what) {
			e->failure[i] = f;
			return;
		}
	}
	if (e->nfailures == e->cap) {
		e->cap = e->cap ? 2 * e->cap : FAILURES_FIRST;
		e->failure = mem_realloc(e->failure, e->cap * sizeof *e->failure);
	}
	e->failure[e->nfailures++] = f;
}

void bans_entry_forget(struct bans_entry *e,
		       bool (*gone)(const struct bans_failure *f, uint64_t whose, int64_t before_us),
		       uint64_t whose, int64_t before_us)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->nfailures; i++) {
		if (!gone(&e->failure[i], whose, before_us))
			e->failure[n++] = e->failure[i];
	}
	e->nfailures = n;
}

void bans_entry_lift(struct bans_shard *sh, struct bans_entry *e)
{
	heap_remove(&sh->banned, &e->end);
	e->until_us = 0;
	if (e->known)
		bans_entry_touch(sh, e);
	else
		bans_entry_free(sh, e);
}

void bans_table_init(struct bans_table *t, enum bans_kind kind, uint32_t entries_max)
{
	t->kind = kind;
	t->entries_max = (entries_max + BANS_SHARDS - 1) / BANS_SHARDS;
	for (unsigned i = 0; i < BANS_SHARDS; i++) {
		struct bans_shard *sh = &t->shard[i];
		pthread_mutex_init(&sh->lock, NULL);
		map_init(&sh->entries);
		list_init(&sh->counting);
		list_init(&sh->known);
	}
}

void bans_table_deinit(struct bans_table *t)
{
	for (unsigned i = 0; i < BANS_SHARDS; i++) {
		struct bans_shard *sh = &t->shard[i];
		while (sh->entries.n)
			make_room(sh);
		map_deinit(&sh->entries);
		heap_deinit(&sh->banned);
		pthread_mutex_destroy(&sh->lock);
	}
}

uint64_t bans_table_count(struct bans_table *t, uint64_t *forgotten)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < BANS_SHARDS; i++) {
		pthread_mutex_lock(&t->shard[i].lock);
		n += t->shard[i].entries.n;
		*forgotten += t->shard[i].forgotten;
		pthread_mutex_unlock(&t->shard[i].lock);
	}
	return n;
}
