#include "base/map.h"
#include "test.h"

enum { N = 1000 };

struct item {
	struct map_node node;
	char key[20];
	int seen;
};

static struct item *make(const char *key)
{
	struct item *it = calloc(1, sizeof *it);

	NEED(it && strlen(key) < sizeof it->key);
	memcpy(it->key, key, strlen(key) + 1);
	return it;
}

static void fill(struct map *m, int n)
{
	for (int i = 0; i < n; i++) {
		char key[20];
		snprintf(key, sizeof key, "key-%d", i);
		struct item *it = make(key);
		CHECK(map_put(m, &it->node, span_of(it->key)));
	}
}

static void empty(struct map *m)
{
	map_for_each_safe(e, m) {
		map_remove(m, e);
		free(map_entry(e, struct item, node));
	}
	CHECK_INT(0, m->n);
	map_deinit(m);
}

static void what_is_put_is_found(void)
{
	struct map m;

	map_init(&m);
	CHECK(map_get(&m, SPAN("key-1")) == NULL);
	CHECK(map_next(&m, NULL) == NULL);
	fill(&m, N);
	CHECK_INT(N, m.n);
	for (int i = 0; i < N; i++) {
		char key[20];
		snprintf(key, sizeof key, "key-%d", i);
		struct map_node *e = map_get(&m, span_of(key));
		NEED(e);
		CHECK_STR(key, map_entry(e, struct item, node)->key);
	}
	CHECK(map_get(&m, SPAN("key-1000")) == NULL);
	CHECK(map_get(&m, SPAN("")) == NULL);
	empty(&m);
}

static void a_key_is_there_once(void)
{
	struct map m;
	struct item *a = make("same"), *b = make("same");

	map_init(&m);
	CHECK(map_put(&m, &a->node, span_of(a->key)));
	CHECK(!map_put(&m, &b->node, span_of(b->key)));
	CHECK_INT(1, m.n);
	CHECK(map_get(&m, SPAN("same")) == &a->node);
	map_remove(&m, &a->node);
	CHECK(map_put(&m, &b->node, span_of(b->key)));
	free(a);
	empty(&m);
}

static void keys_are_bytes(void)
{
	struct map m;
	struct item *a = make("x"), *b = make("x"), *c = make("");

	map_init(&m);
	CHECK(map_put(&m, &a->node, span_make("x\0", 2)));
	CHECK(map_put(&m, &b->node, span_make("x", 1)));
	CHECK(map_put(&m, &c->node, (struct span){ NULL, 0 }));
	CHECK(map_get(&m, SPAN("x\0")) == &a->node);
	CHECK(map_get(&m, SPAN("x")) == &b->node);
	CHECK(map_get(&m, SPAN("")) == &c->node);
	empty(&m);
}

static void a_walk_sees_each_once(void)
{
	struct map m;
	int n = 0;

	map_init(&m);
	fill(&m, N);
	map_for_each(e, &m) {
		map_entry(e, struct item, node)->seen++;
		n++;
	}
	CHECK_INT(N, n);
	map_for_each(e, &m)
		CHECK_INT(1, map_entry(e, struct item, node)->seen);
	empty(&m);
}

static void a_walk_may_remove_the_one_in_hand(void)
{
	struct map m;
	int n = 0;

	map_init(&m);
	fill(&m, N);
	map_for_each_safe(e, &m) {
		if (n++ % 3 == 0) {
			map_remove(&m, e);
			free(map_entry(e, struct item, node));
		}
	}
	CHECK_INT(N, n);
	CHECK_INT(N - (N + 2) / 3, m.n);
	n = 0;
	map_for_each(e, &m) {
		CHECK(map_get(&m, e->key) == e);
		n++;
	}
	CHECK_INT(m.n, n);
	empty(&m);
}

static void two_maps_have_two_seeds(void)
{
	struct map a, b;

	map_init(&a);
	map_init(&b);
	CHECK(a.seed.k0 != b.seed.k0 || a.seed.k1 != b.seed.k1);
	map_deinit(&a);
	map_deinit(&b);
}

TEST_MAIN(TEST(what_is_put_is_found), TEST(a_key_is_there_once), TEST(keys_are_bytes),
	  TEST(a_walk_sees_each_once), TEST(a_walk_may_remove_the_one_in_hand), TEST(two_maps_have_two_seeds))
