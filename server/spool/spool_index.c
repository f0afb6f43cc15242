#include "spool/spool_index.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

enum { CAP_MIN = 8 };

_Static_assert(sizeof(struct spool_entry) == 24, "an entry is compact");

/* Ids are ours and nearly sequential; this spreads them (the finalizer of MurmurHash3). */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

static uint32_t slot_of(uint64_t hash, uint32_t cap)
{
	return (uint32_t)((hash & UINT32_MAX) * cap >> 32); /* any capacity, without a division */
}

static uint32_t next_slot(uint32_t i, uint32_t cap)
{
	return ++i == cap ? 0 : i;
}

static struct spool_index_part *part_of(const struct spool_index *ix, uint64_t hash)
{
	return (struct spool_index_part *)&ix->part[hash >> 56];
}

void spool_index_init(struct spool_index *ix)
{
	*ix = (struct spool_index){ .n = 0 };
}

void spool_index_deinit(struct spool_index *ix)
{
	for (unsigned i = 0; i < SPOOL_INDEX_PARTS; i++)
		free(ix->part[i].v);
	spool_index_init(ix);
}

/* The slot that has @id, or the free one where it belongs. */
static struct spool_entry *find(const struct spool_index_part *part, uint64_t id, uint64_t hash)
{
	uint32_t i = slot_of(hash, part->cap);

	while (part->v[i].id && part->v[i].id != id)
		i = next_slot(i, part->cap);
	return &part->v[i];
}

static void grow(struct spool_index_part *part)
{
	const struct spool_index_part old = *part;

	part->cap = old.cap ? old.cap + old.cap / 2 : CAP_MIN;
	part->v = mem_alloc_array(part->cap, sizeof *part->v);
	for (uint32_t i = 0; i < old.cap; i++)
		if (old.v[i].id)
			*find(part, old.v[i].id, mix(old.v[i].id)) = old.v[i];
	free(old.v);
}

struct spool_entry *spool_index_get(const struct spool_index *ix, uint64_t id)
{
	const uint64_t hash = mix(id);
	const struct spool_index_part *part = part_of(ix, hash);

	if (!part->n || !id)
		return NULL;
	struct spool_entry *e = find(part, id, hash);
	return e->id ? e : NULL;
}

struct spool_entry *spool_index_put(struct spool_index *ix, uint64_t id)
{
	const uint64_t hash = mix(id);
	struct spool_index_part *part = part_of(ix, hash);
	struct spool_entry *e = part->cap ? find(part, id, hash) : NULL;

	require(id && id >> 60 == 0);
	if (e && e->id)
		return e;
	if (part->n + 1 > part->cap - part->cap / 8) { /* at most 7/8 full */
		grow(part);
		e = find(part, id, hash);
	}
	require(e);
	*e = (struct spool_entry){ .id = id & ((UINT64_C(1) << 60) - 1) };
	part->n++;
	ix->n++;
	return e;
}

/* Without tombstones: what follows is moved back as far as its own place allows. */
void spool_index_remove(struct spool_index *ix, uint64_t id)
{
	const uint64_t hash = mix(id);
	struct spool_index_part *part = part_of(ix, hash);
	struct spool_entry *e = spool_index_get(ix, id);

	if (!e)
		return;
	uint32_t hole = (uint32_t)(e - part->v);
	for (uint32_t i = next_slot(hole, part->cap); part->v[i].id; i = next_slot(i, part->cap)) {
		const uint32_t want = slot_of(mix(part->v[i].id), part->cap);
		/* It may move when its place is not in the cyclic interval (hole, i]. */
		const bool stays = hole < i ? want > hole && want <= i : want > hole || want <= i;
		if (stays)
			continue;
		part->v[hole] = part->v[i];
		hole = i;
	}
	part->v[hole] = (struct spool_entry){ .id = 0 };
	part->n--;
	ix->n--;
	if (!part->n) {
		free(part->v);
		*part = (struct spool_index_part){ .n = 0 };
	}
}

struct spool_entry *spool_index_next(const struct spool_index *ix, uint64_t *cursor)
{
	for (; *cursor >> 32 < SPOOL_INDEX_PARTS; *cursor = ((*cursor >> 32) + 1) << 32) {
		const struct spool_index_part *part = &ix->part[*cursor >> 32];
		while ((uint32_t)*cursor < part->cap) {
			struct spool_entry *e = &part->v[(uint32_t)*cursor];
			++*cursor;
			if (e->id)
				return e;
		}
	}
	return NULL;
}
