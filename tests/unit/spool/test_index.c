#include "spool/spool_index.h"

#include <stdlib.h>

#include "test.h"

/* As the log gives them: a time, a log, a counter. */
static uint64_t id_of(uint32_t i)
{
	return (UINT64_C(200000000) + i / 100) << 19 | (i % 3) << 11 | i % 100;
}

static void what_is_put_is_found(void)
{
	struct spool_index ix;

	spool_index_init(&ix);
	CHECK(spool_index_get(&ix, 1) == NULL);
	CHECK(spool_index_get(&ix, 0) == NULL);
	spool_index_remove(&ix, 1);
	struct spool_entry *e = spool_index_put(&ix, 1);
	CHECK_INT(1, e->id);
	CHECK_INT(0, e->segment);
	e->segment = 7;
	CHECK_INT(7, spool_index_put(&ix, 1)->segment);
	CHECK_INT(1, ix.n);
	spool_index_remove(&ix, 1);
	CHECK(spool_index_get(&ix, 1) == NULL);
	CHECK_INT(0, ix.n);
	spool_index_deinit(&ix);
}

/* Against the plainest table that there is. */
static void it_agrees_with_an_array(void)
{
	enum { IDS = 3000, STEPS = 200000 };
	static uint32_t want[IDS]; /* 0: not there */
	struct spool_index ix;
	uint64_t n = 0, cursor = 0, seen = 0;
	uint32_t x = 1;

	spool_index_init(&ix);
	for (uint32_t i = 0; i < STEPS; i++) {
		x = x * 1664525 + 1013904223;
		const uint32_t k = (x >> 8) % IDS;
		/* It grows for a while and then shrinks. */
		if ((x >> 24) % 10 < (i < STEPS / 2 ? 7 : 3)) {
			spool_index_put(&ix, id_of(k))->segment = i + 1;
			n += !want[k];
			want[k] = i + 1;
		} else {
			spool_index_remove(&ix, id_of(k));
			n -= want[k] != 0;
			want[k] = 0;
		}
		const struct spool_entry *e = spool_index_get(&ix, id_of((x >> 4) % IDS));
		NEED((e ? e->segment : 0) == want[(x >> 4) % IDS]);
	}
	CHECK_INT(n, ix.n);
	for (uint32_t k = 0; k < IDS; k++) {
		const struct spool_entry *e = spool_index_get(&ix, id_of(k));
		NEED((e ? e->segment : 0) == want[k]);
	}
	while (spool_index_next(&ix, &cursor))
		seen++;
	CHECK_INT(n, seen);
	spool_index_deinit(&ix);
}

static void an_entry_costs_at_most_forty_two_octets(void)
{
	struct spool_index ix;

	spool_index_init(&ix);
	for (uint32_t i = 0; i < 300000; i++) {
		spool_index_put(&ix, id_of(i));
		if (i < 20000 || i % 5000)
			continue;
		uint64_t octets = 0;
		for (unsigned p = 0; p < SPOOL_INDEX_PARTS; p++)
			octets += ix.part[p].cap * sizeof(struct spool_entry);
		CHECK(octets <= 42 * ix.n);
	}
	spool_index_deinit(&ix);
}

TEST_MAIN(TEST(what_is_put_is_found), TEST(it_agrees_with_an_array),
	  TEST(an_entry_costs_at_most_forty_two_octets))
