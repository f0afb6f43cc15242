#include "queue/queue_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum { CAP_MIN = 4 };

/* The finaliser of SplitMix64: every bit of the id reaches every bit of the hash. */
static uint64_t hash_of(uint64_t id)
{
	id = (id ^ (id >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	id = (id ^ (id >> 27)) * UINT64_C(0x94d049bb133111eb);
	return id ^ (id >> 31);
}

static size_t part_of(uint64_t hash)
{
	return (size_t)(hash >> 55); /* the top 9 bits; slots go by the low ones */
}

_Static_assert(QUEUE_TABLE_PARTS == 1 << 9, "part_of() takes nine bits");

void queue_table_init(struct queue_table *t)
{
	memset(t, 0, sizeof *t);
}

void queue_table_deinit(struct queue_table *t)
{
	for (size_t i = 0; i < QUEUE_TABLE_PARTS; i++)
		free(t->part[i].v);
	queue_table_init(t);
}

static void resize(struct queue_table_part *p, uint32_t cap)
{
	uint64_t **v = cap ? mem_alloc_array(cap, sizeof *v) : NULL;

	for (uint32_t i = 0; i < p->cap; i++) {
		if (!p->v[i])
			continue;
		uint32_t at = (uint32_t)hash_of(*p->v[i]) & (cap - 1);
		while (v[at])
			at = (at + 1) & (cap - 1);
		v[at] = p->v[i];
	}
	free(p->v);
	p->v = v;
	p->cap = cap;
}

/* The slot that holds @id, or the empty one where it would be. The part has an empty one. */
static uint32_t slot_of(const struct queue_table_part *p, uint64_t id, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & (p->cap - 1);

	while (p->v[at] && *p->v[at] != id)
		at = (at + 1) & (p->cap - 1);
	return at;
}

uint64_t *queue_table_get(const struct queue_table *t, uint64_t id)
{
	const uint64_t hash = hash_of(id);
	const struct queue_table_part *p = &t->part[part_of(hash)];

	return p->cap ? p->v[slot_of(p, id, hash)] : NULL;
}

bool queue_table_put(struct queue_table *t, uint64_t *id)
{
	const uint64_t hash = hash_of(*id);
	struct queue_table_part *p = &t->part[part_of(hash)];

	if ((p->n + 1) * 5 > p->cap * 4)
		resize(p, p->cap ? p->cap * 2 : CAP_MIN);
	const uint32_t at = slot_of(p, *id, hash);
	if (p->v[at])
		return false;
	p->v[at] = id;
	p->n++;
	t->n++;
	return true;
}

/* Linear probing without tombstones: those behind the gap that may not stay there move up. */
static void close_gap(struct queue_table_part *p, uint32_t gap)
{
	const uint32_t mask = p->cap - 1;

	for (uint32_t at = (gap + 1) & mask; p->v[at]; at = (at + 1) & mask) {
		const uint32_t home = (uint32_t)hash_of(*p->v[at]) & mask;

		/* Does its probe, from home to here, pass the gap? */
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		p->v[gap] = p->v[at];
		gap = at;
	}
	p->v[gap] = NULL;
}

void queue_table_remove(struct queue_table *t, uint64_t *id)
{
	const uint64_t hash = hash_of(*id);
	struct queue_table_part *p = &t->part[part_of(hash)];

	require(p->cap > 0);
	const uint32_t at = slot_of(p, *id, hash);
	require(p->v[at] == id);
	close_gap(p, at);
	p->n--;
	t->n--;
	if (p->n == 0)
		resize(p, 0);
	else if (p->cap > CAP_MIN && p->n * 8 < p->cap)
		resize(p, p->cap / 2);
}

size_t queue_table_bytes(const struct queue_table *t)
{
	size_t slots = 0;

	for (size_t i = 0; i < QUEUE_TABLE_PARTS; i++)
		slots += t->part[i].cap;
	return sizeof *t + slots * sizeof(uint64_t *);
}
