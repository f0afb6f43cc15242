#include "base/rate.h"
#include "test.h"

#define SECOND INT64_C(1000000)

static struct rate rate(const char *text)
{
	struct rate r = { 0 };

	if (!rate_parse(span_of(text), &r)) {
		FAIL("\"%s\" is a rate", text);
		r = (struct rate){ 1, 1, 1 };
	}
	return r;
}

static void rates_are_read(void)
{
	static const struct {
		const char *text;
		uint64_t count;
		int64_t period_s;
		uint64_t burst;
	} cases[] = {
		{ "60/hour", 60, 3600, 60 },
		{ "60/hour,burst=10", 60, 3600, 10 },
		{ "100/15min", 100, 900, 100 },
		{ "1000/day", 1000, 86400, 1000 },
		{ "1/s", 1, 1, 1 },
		{ " 5 / 2h , burst=7 ", 5, 7200, 7 },
		{ "1/1000d", 1, 86400000, 1 },
		{ "1000000/s", 1000000, 1, 1000000 },
	};
	static const char *const wrong[] = { "",
					     "60",
					     "/hour",
					     "0/hour",
					     "-1/hour",
					     "60/",
					     "60/fortnight",
					     "60/0min",
					     "60/1001d",
					     "60/hour,",
					     "60/hour,burst=",
					     "60/hour,burst=0",
					     "60/hour,bust=1",
					     "60/hour,burst=1,burst=2",
					     "60/hour/day",
					     "1000000001/s",
					     "1000001/s",
					     "1/1000d,burst=51000",
					     "60/ 5 min" };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct rate r = rate(cases[i].text);
		CHECK_INT(cases[i].count, r.count);
		CHECK_INT(cases[i].period_s * SECOND, r.period_us);
		CHECK_INT(cases[i].burst, r.burst);
	}
	struct rate r = { 3, 4, 5 };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (rate_parse(span_of(wrong[i]), &r))
			FAIL("\"%s\" is no rate", wrong[i]);
	}
	CHECK_INT(3, r.count);
}

static void a_burst_and_then_the_pace(void)
{
	const struct rate r = rate("6/min,burst=3");
	int64_t tat = 0, now = 1000 * SECOND;

	for (uint64_t left = 3; left-- > 0;) {
		const struct rate_result res = rate_take(&r, &tat, now, 1);
		CHECK(res.allowed);
		CHECK_INT(left, res.remaining);
		CHECK_INT(0, res.retry_after_us);
	}
	struct rate_result res = rate_take(&r, &tat, now, 1);
	CHECK(!res.allowed);
	CHECK_INT(10 * SECOND, res.retry_after_us);
	CHECK_INT(30 * SECOND, res.reset_after_us);
	CHECK(!rate_take(&r, &tat, now + 10 * SECOND - 1, 1).allowed);
	CHECK(rate_take(&r, &tat, now + 10 * SECOND, 1).allowed);
	CHECK(!rate_take(&r, &tat, now + 10 * SECOND, 1).allowed);
	/* After a long rest, the burst and no more. */
	now += 100000 * SECOND;
	CHECK_INT(3, rate_peek(&r, tat, now, 0).remaining);
	CHECK(rate_take(&r, &tat, now, 3).allowed);
	CHECK(!rate_take(&r, &tat, now, 1).allowed);
}

static void a_refusal_changes_nothing(void)
{
	const struct rate r = rate("6/min,burst=3");
	int64_t tat = 0;

	rate_take(&r, &tat, SECOND, 2);
	const int64_t before = tat;
	CHECK(!rate_take(&r, &tat, SECOND, 2).allowed);
	CHECK_INT(before, tat);
	CHECK(rate_peek(&r, tat, SECOND, 1).allowed);
	CHECK_INT(before, tat);
	const struct rate_result never = rate_take(&r, &tat, SECOND, 4);
	CHECK(!never.allowed);
	CHECK_INT(-1, never.retry_after_us);
	CHECK(rate_take(&r, &tat, SECOND, 0).allowed);
	CHECK_INT(before, tat);
}

static void what_was_not_used_is_given_back(void)
{
	const struct rate r = rate("6/min,burst=3");
	int64_t tat = 0;
	const int64_t now = 50 * SECOND;

	rate_take(&r, &tat, now, 3);
	rate_refund(&r, &tat, now, 2);
	CHECK_INT(2, rate_peek(&r, tat, now, 0).remaining);
	rate_refund(&r, &tat, now, 100);
	CHECK_INT(3, rate_peek(&r, tat, now, 0).remaining);
	CHECK_INT(0, rate_peek(&r, tat, now, 0).reset_after_us);
}

/* What is announced is what is given: exactly `remaining` cells pass, one by one or at once, and exactly at `retry_after`. */
static void announcements_are_kept(void)
{
	static const char *const texts[] = { "7/hour,burst=10",  "7/hour",          "1/day",
					     "999/s,burst=13",   "13/7min,burst=1", "3/1000d,burst=50",
					     "333333/s,burst=20" };

	for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
		const struct rate r = rate(texts[t]);
		int64_t tat = 0, now = 77 * SECOND;
		for (int round = 0; round < 20; round++) {
			const struct rate_result all_left = rate_peek(&r, tat, now, 0),
						 res = rate_peek(&r, tat, now, 1);
			int64_t all = tat, more = tat;
			CHECK(rate_take(&r, &all, now, all_left.remaining).allowed);
			CHECK(!rate_take(&r, &more, now, all_left.remaining + 1).allowed);
			CHECK_INT(all_left.remaining > 0, res.allowed);
			if (!res.allowed) {
				CHECK(!rate_peek(&r, tat, now + res.retry_after_us - 1, 1).allowed);
				now += res.retry_after_us;
			}
			CHECK(rate_take(&r, &tat, now, 1).allowed);
		}
	}
}

static void extremes_do_not_overflow(void)
{
	const struct rate slow = rate("1/1000d,burst=20000");
	const struct rate odd = { UINT64_MAX, 1, UINT64_MAX };
	int64_t tat = 0;

	CHECK(rate_take(&slow, &tat, SECOND, 1000).allowed);
	CHECK(!rate_take(&slow, &tat, SECOND, 20001).allowed);
	CHECK(!rate_take(&slow, &tat, SECOND, UINT64_MAX).allowed);
	tat = 0;
	CHECK(rate_take(&odd, &tat, SECOND, 1).allowed);
	CHECK(tat > SECOND); /* a cell is never free */
}

static void a_clock_that_went_back_locks_nobody_out(void)
{
	const struct rate r = rate("6/min,burst=3");
	int64_t tat = 1000000 * SECOND;

	const struct rate_result res = rate_take(&r, &tat, SECOND, 1);
	CHECK(!res.allowed);
	CHECK_INT(10 * SECOND, res.retry_after_us);
	tat = INT64_MAX;
	CHECK_INT(10 * SECOND, rate_peek(&r, tat, SECOND, 1).retry_after_us);
	rate_refund(&r, &tat, SECOND, 1);
	CHECK_INT(1, rate_peek(&r, tat, SECOND, 1).allowed);
}

TEST_MAIN(TEST(rates_are_read), TEST(a_burst_and_then_the_pace), TEST(a_refusal_changes_nothing),
	  TEST(what_was_not_used_is_given_back), TEST(announcements_are_kept), TEST(extremes_do_not_overflow),
	  TEST(a_clock_that_went_back_locks_nobody_out))
