#include "state/clients.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"

enum { SHARDS = 32 };

struct client {
	struct map_node node;
	uint32_t open;
	struct ip_addr addr; /* its octets are the key */
};

struct shard {
	pthread_mutex_t lock;
	struct map clients;
};

struct clients {
	struct hash_key seed;
	struct shard shard[SHARDS];
};

static const char *const names[] = {
#define X(name, text) text,
	CLIENTS_MAP(X)
#undef X
};

const char *clients_verdict_name(enum clients_verdict v)
{
	return (size_t)v < ARRAY_LEN(names) ? names[v] : "?";
}

struct clients *clients_new(void)
{
	struct clients *c = mem_alloc(sizeof *c);

	random_bytes(&c->seed, sizeof c->seed);
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&c->shard[i].lock, NULL);
		map_init(&c->shard[i].clients);
	}
	return c;
}

void clients_free(struct clients **cp)
{
	struct clients *c = *cp;

	if (!c)
		return;
	*cp = NULL;
	for (size_t i = 0; i < SHARDS; i++) {
		require(c->shard[i].clients.n == 0);
		map_deinit(&c->shard[i].clients);
		pthread_mutex_destroy(&c->shard[i].lock);
	}
	free(c);
}

/* What counts as one client. */
static struct ip_addr client_of(const struct ip_addr *addr)
{
	return ip_net_of(addr, 32, 64).addr;
}

static struct span key_of(const struct ip_addr *client)
{
	return span_make(client->b, client->len);
}

static struct shard *shard_of(struct clients *c, struct span key)
{
	return &c->shard[hash_sip(&c->seed, key) % SHARDS];
}

static struct client *find(struct shard *sh, struct span key)
{
	struct map_node *node = map_get(&sh->clients, key);

	return node ? map_entry(node, struct client, node) : NULL;
}

/* Counts one more unless that is over @max (0: none). */
static bool total_enter(struct clients_total *total, uint32_t max, uint32_t *open_r)
{
	uint32_t open = atomic_load_explicit(&total->open, memory_order_relaxed);

	do {
		*open_r = open;
		if (max && open >= max)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&total->open, &open, open + 1, memory_order_relaxed,
							memory_order_relaxed));
	*open_r = open + 1;
	return true;
}

enum clients_verdict clients_enter(struct clients *c, const struct ip_addr *addr, struct clients_total *total,
				   const struct clients_limits *limits, uint32_t *open_r)
{
	const struct ip_addr client = client_of(addr);
	const struct span key = key_of(&client);
	struct shard *sh = shard_of(c, key);
	enum clients_verdict v = CLIENTS_OVER_CLIENT;
	uint32_t open;

	if (!total_enter(total, limits->total_max, &open)) {
		v = CLIENTS_OVER_TOTAL;
		goto out;
	}
	pthread_mutex_lock(&sh->lock);
	struct client *e = find(sh, key);
	open = e ? e->open : 0;
	if (limits->per_client_max == 0 || open < limits->per_client_max) {
		if (!e) {
			e = mem_alloc(sizeof *e);
			e->addr = client;
			map_put(&sh->clients, &e->node, key_of(&e->addr));
		}
		open = ++e->open;
		v = CLIENTS_OK;
	}
	pthread_mutex_unlock(&sh->lock);
	if (v != CLIENTS_OK)
		atomic_fetch_sub_explicit(&total->open, 1, memory_order_relaxed);
out:
	if (open_r)
		*open_r = open;
	return v;
}

void clients_leave(struct clients *c, const struct ip_addr *addr, struct clients_total *total)
{
	const struct ip_addr client = client_of(addr);
	const struct span key = key_of(&client);
	struct shard *sh = shard_of(c, key);
	struct client *gone = NULL;

	pthread_mutex_lock(&sh->lock);
	struct client *e = find(sh, key);
	require(e && e->open > 0);
	if (--e->open == 0) {
		map_remove(&sh->clients, &e->node);
		gone = e;
	}
	pthread_mutex_unlock(&sh->lock);
	free(gone);
	const uint32_t before = atomic_fetch_sub_explicit(&total->open, 1, memory_order_relaxed);
	require(before > 0);
}

uint32_t clients_open(struct clients *c, const struct ip_addr *addr)
{
	const struct ip_addr client = client_of(addr);
	const struct span key = key_of(&client);
	struct shard *sh = shard_of(c, key);

	pthread_mutex_lock(&sh->lock);
	const struct client *e = find(sh, key);
	const uint32_t open = e ? e->open : 0;
	pthread_mutex_unlock(&sh->lock);
	return open;
}

uint64_t clients_distinct(struct clients *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_lock(&c->shard[i].lock);
		n += c->shard[i].clients.n;
		pthread_mutex_unlock(&c->shard[i].lock);
	}
	return n;
}
