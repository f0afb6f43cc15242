/* base/map.h - intrusive hash map from bytes to elements.
 *
 * The element embeds a struct map_node and owns the key bytes, which must not change while it is in the map. The table is
 * keyed (SipHash), so that a peer cannot choose colliding keys. Bounded growth is the caller's: `n` says how many there are. The
 * table of pointers grows and does not shrink.
 *
 * Threads: one at a time.  Tests: tests/unit/base/test_map.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/span.h"

struct map_node {
	struct map_node *next;
	struct span key;
	uint32_t hash;
};

struct map {
	struct map_node **v;
	size_t n, cap;
	struct hash_key seed;
};

void map_init(struct map *m);   /* seeds itself from the system */
void map_deinit(struct map *m); /* the elements are the caller's */

struct map_node *map_get(const struct map *m, struct span key);
/* Adds @node under @key, which points into the element. Returns false, and adds nothing, when the key is there already. */
bool map_put(struct map *m, struct map_node *node, struct span key);
void map_remove(struct map *m, struct map_node *node); /* it must be in @m */

/* Visits all, in no order; start with NULL. Nothing may be put during the walk; see map_for_each_safe for removals. */
struct map_node *map_next(const struct map *m, const struct map_node *after);

#define map_for_each(it, m) for (struct map_node *it = map_next((m), NULL); it; it = map_next((m), it))
/* The element in hand may be removed, and freed. */
#define map_for_each_safe(it, m)                                                                             \
	for (struct map_node *it = map_next((m), NULL), *it##_next = it ? map_next((m), it) : NULL; it;      \
	     it = it##_next, it##_next = it ? map_next((m), it) : NULL)
#define map_entry(node, type, member) container_of(node, type, member)
