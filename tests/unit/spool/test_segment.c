#include "spool/spool_segment.h"

#include "test.h"

static struct spool_segments set;
static struct spool_segment *seg[6]; /* 10, 20, ... */

static void set_up(void)
{
	for (uint32_t i = 0; i < 6; i++) {
		seg[i] = spool_segments_add(&set, 10 * (i + 1), i, 1000);
		seg[i]->state = SPOOL_SEGMENT_CLOSED;
	}
}

static void segments_are_found_by_number(void)
{
	set_up();
	CHECK_INT(6000, set.octets);
	for (uint32_t i = 0; i < 6; i++)
		CHECK(spool_segments_find(&set, 10 * (i + 1)) == seg[i]);
	CHECK(spool_segments_find(&set, 5) == NULL);
	CHECK(spool_segments_find(&set, 35) == NULL);
	CHECK(spool_segments_find(&set, 70) == NULL);
	CHECK(spool_segments_find(&set, UINT64_C(10) << 32) == NULL);
	spool_segments_remove(&set, seg[2]);
	CHECK(spool_segments_find(&set, 30) == NULL);
	CHECK(spool_segments_find(&set, 40) == seg[3]);
	CHECK_INT(5000, set.octets);
	spool_segments_deinit(&set);
}

static void what_is_live_keeps_a_segment(void)
{
	set_up();
	CHECK(spool_segment_is_free(seg[0]));
	spool_segment_live(&set, seg[0], 100);
	spool_segment_live(&set, seg[0], 50);
	CHECK_INT(150, set.live_octets);
	spool_segment_dead(&set, seg[0], 100);
	CHECK(!spool_segment_is_free(seg[0]));
	spool_segment_dead(&set, seg[0], 50);
	CHECK(spool_segment_is_free(seg[0]));
	seg[0]->readers++;
	CHECK(!spool_segment_is_free(seg[0]));
	seg[0]->readers--;
	seg[0]->keep = true;
	CHECK(!spool_segment_is_free(seg[0]));
	spool_segments_deinit(&set);
}

static void a_segment_goes_after_those_that_need_it(void)
{
	set_up();
	/* In any order, and more than once. */
	spool_segment_need(seg[0], seg[3], SPOOL_NEED_DROP);
	spool_segment_need(seg[0], seg[1], SPOOL_NEED_NOTE);
	spool_segment_need(seg[0], seg[3], SPOOL_NEED_NOTE);
	spool_segment_need(seg[0], seg[2], SPOOL_NEED_DROP);
	spool_segment_need(seg[0], seg[1], SPOOL_NEED_NOTE);
	spool_segment_need(seg[1], seg[3], SPOOL_NEED_DROP);
	spool_segment_need(seg[3], seg[3], SPOOL_NEED_DROP);
	CHECK_INT(0, seg[0]->pins);
	CHECK_INT(1, seg[1]->pins);
	CHECK_INT(1, seg[2]->pins);
	CHECK_INT(2, seg[3]->pins);
	CHECK(spool_segment_is_free(seg[0]) && !spool_segment_is_free(seg[1]) &&
	      !spool_segment_is_free(seg[3]));
	spool_segments_remove(&set, seg[0]);
	CHECK(spool_segment_is_free(seg[1]) && spool_segment_is_free(seg[2]) &&
	      !spool_segment_is_free(seg[3]));
	spool_segments_remove(&set, seg[1]);
	CHECK(spool_segment_is_free(seg[3]));
	spool_segments_deinit(&set);
}

static void an_emptied_segment_is_needed_for_copies_and_links_alone(void)
{
	set_up();
	spool_segment_need(seg[0], seg[4], SPOOL_NEED_DROP);
	spool_segment_need(seg[1], seg[4], SPOOL_NEED_NOTE);
	spool_segment_need(seg[2], seg[4], SPOOL_NEED_NOTE);
	spool_segment_need(seg[2], seg[4], SPOOL_NEED_MOVE);
	spool_segment_need(seg[3], seg[4], SPOOL_NEED_LINK);
	CHECK_INT(4, seg[4]->pins);
	spool_segments_emptied(&set, seg[4]);
	CHECK_INT(2, seg[4]->pins);
	spool_segments_remove(&set, seg[2]);
	spool_segments_remove(&set, seg[3]);
	CHECK(spool_segment_is_free(seg[4]));
	spool_segments_deinit(&set);
}

TEST_MAIN(TEST(segments_are_found_by_number), TEST(what_is_live_keeps_a_segment),
	  TEST(a_segment_goes_after_those_that_need_it),
	  TEST(an_emptied_segment_is_needed_for_copies_and_links_alone))
