#include "base/map.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/random.h"

void map_init(struct map *m)
{
	*m = (struct map){ 0 };
	random_bytes(&m->seed, sizeof m->seed);
}

void map_deinit(struct map *m)
{
	free(m->v);
	m->v = NULL;
	m->n = m->cap = 0;
}

static uint32_t hash_of(const struct map *m, struct span key)
{
	return (uint32_t)hash_sip(&m->seed, key);
}

static struct map_node *find(const struct map *m, uint32_t hash, struct span key)
{
	if (m->n == 0)
		return NULL;
	for (struct map_node *e = m->v[hash & (m->cap - 1)]; e; e = e->next)
		if (e->hash == hash && span_eq(e->key, key))
			return e;
	return NULL;
}

struct map_node *map_get(const struct map *m, struct span key)
{
	return m->n ? find(m, hash_of(m, key), key) : NULL;
}

static void grow(struct map *m)
{
	const size_t cap = m->cap ? m->cap * 2 : 16;
	struct map_node **v = mem_alloc_array(cap, sizeof(struct map_node *));

	for (size_t i = 0; i < m->cap; i++) {
		for (struct map_node *e = m->v[i], *next; e; e = next) {
			next = e->next;
			e->next = v[e->hash & (cap - 1)];
			v[e->hash & (cap - 1)] = e;
		}
	}
	free(m->v);
	m->v = v;
	m->cap = cap;
}

bool map_put(struct map *m, struct map_node *node, struct span key)
{
	const uint32_t hash = hash_of(m, key);

	if (find(m, hash, key))
		return false;
	if (m->n >= m->cap)
		grow(m);
	node->key = key;
	node->hash = hash;
	node->next = m->v[node->hash & (m->cap - 1)];
	m->v[node->hash & (m->cap - 1)] = node;
	m->n++;
	return true;
}

void map_remove(struct map *m, struct map_node *node)
{
	require(m->n > 0);
	struct map_node **at = &m->v[node->hash & (m->cap - 1)];
	while (*at && *at != node)
		at = &(*at)->next;
	require(*at == node);
	*at = node->next;
	node->next = NULL;
	m->n--;
}

struct map_node *map_next(const struct map *m, const struct map_node *after)
{
	if (after && after->next)
		return after->next;
	for (size_t i = after ? (after->hash & (m->cap - 1)) + 1 : 0; i < m->cap; i++)
		if (m->v[i])
			return m->v[i];
	return NULL;
}
