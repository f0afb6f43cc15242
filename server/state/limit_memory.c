#include "state/limit_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"

enum {
	SHARDS = 64,
	IDLE_LOOKED_AT = 2, /* keys that each use of the table may throw away: more than it can add */
};

struct limit_key {
	struct map_node node;
	struct list link; /* in the shard's `used` */
	int64_t tat_us;
	char octets[];
};

struct shard {
	pthread_mutex_t lock;
	struct map keys;
	struct list used; /* the one used longest ago first */
	uint64_t bytes, forgotten;
};

struct limit_memory {
	struct limit_store store;
	struct limit_memory_config cfg;
	struct hash_key seed;
	uint32_t keys_max; /* of a shard */
	struct shard shard[SHARDS];
};

static int64_t system_now_us(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static struct limit_memory *memory_of(struct limit_store *s)
{
	return container_of(s, struct limit_memory, store);
}

static struct shard *shard_of(struct limit_memory *m, struct span key)
{
	/* Another key than the maps': the bits that choose the shard must not be the bits that choose the
	 * bucket. */
	return &m->shard[hash_sip(&m->seed, key) % SHARDS];
}

static void key_free(struct shard *sh, struct limit_key *k)
{
	map_remove(&sh->keys, &k->node);
	list_remove(&k->link);
	sh->bytes -= sizeof *k + k->node.key.n;
	free(k);
}

/* A key whose cells have all come back is as one that never was. Those used longest ago are looked at; one
 * with a long period may keep others behind it until the table is full, and then it is the one to go. */
static void throw_idle(struct shard *sh, int64_t now_us)
{
	for (unsigned i = 0; i < IDLE_LOOKED_AT && !list_empty(&sh->used); i++) {
		struct limit_key *k = list_entry(list_first(&sh->used), struct limit_key, link);
		if (k->tat_us > now_us)
			return;
		key_free(sh, k);
	}
}

static struct limit_key *key_get(struct shard *sh, struct span key)
{
	struct map_node *node = map_get(&sh->keys, key);

	return node ? map_entry(node, struct limit_key, node) : NULL;
}

static struct limit_key *key_new(struct limit_memory *m, struct shard *sh, struct span key)
{
	if (sh->keys.n >= m->keys_max) {
		key_free(sh, list_entry(list_first(&sh->used), struct limit_key, link));
		sh->forgotten++;
	}
	struct limit_key *k = mem_alloc(sizeof *k + key.n);
	memcpy(k->octets, key.p, key.n);
	list_init(&k->link);
	map_put(&sh->keys, &k->node, span_make(k->octets, key.n));
	sh->bytes += sizeof *k + key.n;
	return k;
}

static bool memory_try_now(struct limit_store *s, const struct limit_request *req,
			   struct limit_answer *answer_r)
{
	struct limit_memory *m = memory_of(s);
	struct shard *sh = shard_of(m, req->key);
	const int64_t now = m->cfg.now_us(m->cfg.clock_arg);
	struct rate_result res;

	pthread_mutex_lock(&sh->lock);
	throw_idle(sh, now);
	struct limit_key *k = key_get(sh, req->key);
	if (req->mode == LIMIT_PEEK) {
		res = rate_peek(&req->rate, k ? k->tat_us : 0, now, req->quantity);
	} else {
		int64_t tat_us = k ? k->tat_us : 0;
		res = rate_take(&req->rate, &tat_us, now, req->quantity);
		if (res.allowed && !k)
			k = key_new(m, sh, req->key);
		if (k) {
			k->tat_us = tat_us;
			list_remove(&k->link);
			list_push_back(&sh->used, &k->link);
		}
	}
	pthread_mutex_unlock(&sh->lock);
	*answer_r = (struct limit_answer){ .allowed = res.allowed,
					   .remaining = res.remaining,
					   .retry_after_us = res.retry_after_us,
					   .source = m->cfg.source };
	return true;
}

static int memory_take_start(struct limit_store *s, struct limit_take *t, struct scope *scope,
			     int64_t deadline_us)
{
	(void)s, (void)t, (void)scope, (void)deadline_us;
	const bool never_asked = false; /* it decides at once */
	return verify(never_asked) ? 0 : -ERR_BUG;
}

static void memory_refund(struct limit_store *s, const struct limit_request *req)
{
	struct limit_memory *m = memory_of(s);
	struct shard *sh = shard_of(m, req->key);
	const int64_t now = m->cfg.now_us(m->cfg.clock_arg);

	pthread_mutex_lock(&sh->lock);
	struct limit_key *k = key_get(sh, req->key);
	if (k)
		rate_refund(&req->rate, &k->tat_us, now, req->quantity);
	pthread_mutex_unlock(&sh->lock);
}

static const struct limit_store_ops memory_ops = {
	.try_now = memory_try_now,
	.take_start = memory_take_start,
	.refund = memory_refund,
};

struct limit_store *limit_memory_new(const struct limit_memory_config *cfg)
{
	struct limit_memory *m = mem_alloc(sizeof *m);

	require(cfg->keys_max > 0);
	m->store.ops = &memory_ops;
	m->cfg = *cfg;
	if (!m->cfg.now_us)
		m->cfg.now_us = system_now_us;
	m->keys_max = (cfg->keys_max + SHARDS - 1) / SHARDS;
	random_bytes(&m->seed, sizeof m->seed);
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&m->shard[i].lock, NULL);
		map_init(&m->shard[i].keys);
		list_init(&m->shard[i].used);
	}
	return &m->store;
}

void limit_memory_free(struct limit_store **s)
{
	if (!*s)
		return;
	struct limit_memory *m = memory_of(*s);
	*s = NULL;
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *sh = &m->shard[i];
		while (!list_empty(&sh->used))
			key_free(sh, list_entry(list_first(&sh->used), struct limit_key, link));
		map_deinit(&sh->keys);
		pthread_mutex_destroy(&sh->lock);
	}
	free(m);
}

void limit_memory_stats(struct limit_store *s, struct limit_memory_stats *st_r)
{
	struct limit_memory *m = memory_of(s);
	struct limit_memory_stats st = { 0 };

	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *sh = &m->shard[i];
		pthread_mutex_lock(&sh->lock);
		st.keys += sh->keys.n;
		st.bytes += sh->bytes + sh->keys.cap * sizeof *sh->keys.v;
		st.forgotten += sh->forgotten;
		pthread_mutex_unlock(&sh->lock);
	}
	*st_r = st;
}
