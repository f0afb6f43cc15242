#include "base/check.h"
#include "base/heap.h"
#include "test.h"

enum { N = 2000 };

/* A small generator of our own: the same numbers in every run. */
static uint32_t next_number(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void check_order(const struct heap *h)
{
	for (uint32_t i = 0; i < h->n; i++) {
		CHECK(i == 0 || h->v[(i - 1) / 4]->key <= h->v[i]->key);
		CHECK_INT(i + 1, h->v[i]->at);
	}
}

static void the_least_comes_first(void)
{
	static struct heap_node nodes[N];
	struct heap h = { 0 };
	uint32_t state = 1;
	int64_t before = INT64_MIN;

	CHECK(heap_min(&h) == NULL);
	for (int i = 0; i < N; i++)
		heap_insert(&h, &nodes[i], (int64_t)next_number(&state) - 8000000);
	check_order(&h);
	for (int i = 0; i < N; i++) {
		struct heap_node *least = heap_min(&h);
		NEED(least);
		CHECK(least->key >= before);
		before = least->key;
		heap_remove(&h, least);
		CHECK(!heap_node_in(least));
	}
	CHECK(heap_min(&h) == NULL);
	heap_deinit(&h);
}

static void any_node_may_change_or_go(void)
{
	static struct heap_node nodes[N];
	struct heap h = { 0 };
	uint32_t state = 2;
	unsigned in = 0;

	memset(nodes, 0, sizeof nodes);
	for (int step = 0; step < 20000; step++) {
		struct heap_node *n = &nodes[next_number(&state) % N];
		const int64_t key = (int64_t)(next_number(&state) % 1000);
		switch (next_number(&state) % 3) {
		case 0:
			in += !heap_node_in(n);
			heap_change(&h, n, key);
			CHECK_INT(key, n->key);
			break;
		case 1:
			in -= heap_node_in(n);
			heap_remove(&h, n);
			CHECK(!heap_node_in(n));
			break;
		default:
			if (heap_min(&h))
				heap_change(&h, heap_min(&h), key);
		}
		CHECK_INT(in, h.n);
		if (step % 500 == 0)
			check_order(&h);
	}
	check_order(&h);
	heap_deinit(&h);
}

static void extreme_keys_are_ordered(void)
{
	struct heap_node a = { 0 }, b = { 0 }, c = { 0 };
	struct heap h = { 0 };

	heap_insert(&h, &a, INT64_MAX);
	heap_insert(&h, &b, INT64_MIN);
	heap_insert(&h, &c, 0);
	CHECK(heap_min(&h) == &b);
	heap_remove(&h, &b);
	heap_remove(&h, &b);
	CHECK(heap_min(&h) == &c);
	heap_change(&h, &a, -1);
	CHECK(heap_min(&h) == &a);
	heap_deinit(&h);
	CHECK(heap_min(&h) == NULL);
}

TEST_MAIN(TEST(the_least_comes_first), TEST(any_node_may_change_or_go), TEST(extreme_keys_are_ordered))
