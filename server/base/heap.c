#include "base/heap.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

static void place(struct heap *h, uint32_t i, struct heap_node *node)
{
	h->v[i] = node;
	node->at = i + 1;
}

static void sift_up(struct heap *h, uint32_t i)
{
	struct heap_node *node = h->v[i];

	while (i > 0) {
		const uint32_t parent = (i - 1) / 4;
		if (h->v[parent]->key <= node->key)
			break;
		place(h, i, h->v[parent]);
		i = parent;
	}
	place(h, i, node);
}

static void sift_down(struct heap *h, uint32_t i)
{
	struct heap_node *node = h->v[i];

	for (;;) {
		const uint64_t first = (uint64_t)i * 4 + 1;
		if (first >= h->n)
			break;
		uint32_t least = (uint32_t)first;
		for (uint32_t c = least + 1; c < first + 4 && c < h->n; c++)
			if (h->v[c]->key < h->v[least]->key)
				least = c;
		if (h->v[least]->key >= node->key)
			break;
		place(h, i, h->v[least]);
		i = least;
	}
	place(h, i, node);
}

void heap_deinit(struct heap *h)
{
	free(h->v);
	*h = (struct heap){ 0 };
}

void heap_insert(struct heap *h, struct heap_node *node, int64_t key)
{
	require(!heap_node_in(node));
	if (h->n == h->cap) {
		require(h->cap < UINT32_MAX / 2);
		h->cap = h->cap ? h->cap * 2 : 16;
		h->v = mem_realloc(h->v, h->cap * sizeof *h->v);
	}
	node->key = key;
	h->v[h->n] = node;
	sift_up(h, h->n++);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	if (!heap_node_in(node))
		return;
	const uint32_t i = node->at - 1;
	require(i < h->n && h->v[i] == node);
	struct heap_node *last = h->v[--h->n];
	node->at = 0;
	if (last == node)
		return;
	place(h, i, last);
	sift_up(h, i);
	sift_down(h, last->at - 1);
}

void heap_change(struct heap *h, struct heap_node *node, int64_t key)
{
	if (!heap_node_in(node)) {
		heap_insert(h, node, key);
		return;
	}
	node->key = key;
	const uint32_t i = node->at - 1;
	sift_up(h, i);
	sift_down(h, node->at - 1);
}
