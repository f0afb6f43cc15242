#include "test.h"

#include "queue/queue_table.h"

struct thing {
	uint64_t id;
	bool in;
};

static void ids_are_found(void)
{
	struct queue_table t;
	uint64_t a = 1, b = 2, same = 1;

	queue_table_init(&t);
	CHECK(queue_table_get(&t, 1) == NULL);
	CHECK(queue_table_put(&t, &a));
	CHECK(queue_table_put(&t, &b));
	CHECK(!queue_table_put(&t, &same));
	CHECK(queue_table_get(&t, 1) == &a);
	CHECK(queue_table_get(&t, 2) == &b);
	CHECK(queue_table_get(&t, 3) == NULL);
	queue_table_remove(&t, &a);
	CHECK(queue_table_get(&t, 1) == NULL);
	CHECK(queue_table_put(&t, &same));
	CHECK(queue_table_get(&t, 1) == &same);
	CHECK_INT(2, t.n);
	queue_table_deinit(&t);
}

enum { MANY = 60000 };

/* Ids one after another, as the spool gives them, and scattered ones. */
static void many_come_and_go(void)
{
	static struct thing things[MANY];
	struct queue_table t;
	unsigned random = 1;

	queue_table_init(&t);
	for (unsigned i = 0; i < MANY; i++)
		things[i] = (struct thing){ .id = i & 1 ? (uint64_t)i << 40 : i };
	for (unsigned round = 0; round < 6 * MANY; round++) {
		random = random * 1103515245u + 12345u;
		struct thing *x = &things[(random >> 8) % MANY];
		/* Grows for the first half, shrinks in the second. */
		const bool add = round < 3 * MANY ? random % 7 != 0 : random % 7 == 0;

		if (add && !x->in)
			CHECK(queue_table_put(&t, &x->id));
		else if (!add && x->in)
			queue_table_remove(&t, &x->id);
		else
			continue;
		x->in = add;
	}
	size_t n = 0;
	for (unsigned i = 0; i < MANY; i++) {
		n += things[i].in;
		CHECK(queue_table_get(&t, things[i].id) == (things[i].in ? &things[i].id : NULL));
	}
	CHECK_INT(n, t.n);
	for (unsigned i = 0; i < MANY; i++)
		if (things[i].in)
			queue_table_remove(&t, &things[i].id);
	CHECK_INT(sizeof t, queue_table_bytes(&t));
	queue_table_deinit(&t);
}

static void a_slot_costs_little(void)
{
	static uint64_t ids[MANY];
	struct queue_table t;

	queue_table_init(&t);
	for (unsigned i = 0; i < MANY; i++) {
		ids[i] = i + 1000000007u;
		queue_table_put(&t, &ids[i]);
	}
	CHECK(queue_table_bytes(&t) / MANY <= 20);
	queue_table_deinit(&t);
}

TEST_MAIN(TEST(ids_are_found), TEST(many_come_and_go), TEST(a_slot_costs_little))
