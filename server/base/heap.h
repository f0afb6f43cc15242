/* base/heap.h - intrusive 4-ary min-heap on a 64-bit key: timers, queue order.
 *
 * Nodes are embedded in their owner; the heap owns only its array of pointers (8 octets a node). All operations are
 * O(log n). A node is in at most one heap; heap_node_in() tells. Equal keys come in any order. A node is zeroed before its first
 * use; heap_deinit() does not touch the nodes that are still in.
 *
 * Threads: one at a time.  Tests: tests/unit/base/test_heap.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	int64_t key;
	uint32_t at; /* index + 1; 0 = in no heap */
};

struct heap {
	struct heap_node **v;
	uint32_t n, cap;
};

void heap_deinit(struct heap *h); /* the nodes are the caller's */

static inline bool heap_node_in(const struct heap_node *node)
{
	return node->at != 0;
}

static inline struct heap_node *heap_min(const struct heap *h)
{
	return h->n ? h->v[0] : NULL;
}

void heap_insert(struct heap *h, struct heap_node *node, int64_t key);
void heap_remove(struct heap *h, struct heap_node *node);              /* harmless when it is in no heap */
void heap_change(struct heap *h, struct heap_node *node, int64_t key); /* inserts when it is in no heap */
