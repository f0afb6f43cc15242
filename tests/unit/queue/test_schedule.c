#include "test.h"

#include "queue/schedule.h"

#define S INT64_C(1000000)
#define M (60 * S)
#define H (60 * M)
#define D (24 * H)

static const int64_t T0 = 1000 * D; /* when messages arrive */

static struct schedule plain(void)
{
	struct schedule s;

	schedule_init(&s);
	s.jitter_percent = 0;
	return s;
}

/* The next time after a deferral, as an age; -1: expired. */
static int64_t next(const struct schedule *s, const struct schedule_message *m, int64_t age_us,
		    unsigned attempt, uint64_t random)
{
	int64_t at = -2;

	if (schedule_next(s, m, T0 + age_us, attempt, random, &at) == SCHEDULE_EXPIRED)
		return at == -2 ? -1 : -3;
	return at - T0;
}

static void waits_follow_the_list(void)
{
	const struct schedule s = plain();
	const struct schedule_message m = { .created_at_us = T0 };

	CHECK_INT(5 * M, next(&s, &m, 0, 1, 0));
	CHECK_INT(5 * M + 15 * M, next(&s, &m, 5 * M, 2, 0));
	CHECK_INT(4 * H, next(&s, &m, 0, 6, 0));
	CHECK_INT(4 * H, next(&s, &m, 0, 7, 0));
	CHECK_INT(4 * H, next(&s, &m, 0, 4000000000u, 0));
}

static void jitter_only_lengthens(void)
{
	struct schedule s = plain();
	const struct schedule_message m = { .created_at_us = T0 };

	s.jitter_percent = 10;
	CHECK_INT(5 * M, next(&s, &m, 0, 1, 0));
	CHECK_INT(5 * M + 30 * S, next(&s, &m, 0, 1, (uint64_t)(30 * S)));
	for (uint64_t r = 1; r; r *= 3, r &= INT64_MAX) {
		const int64_t at = next(&s, &m, 0, 1, r * UINT64_C(0x9e3779b97f4a7c15));
		CHECK(at >= 5 * M && at <= 5 * M + 30 * S);
		if (r > INT64_MAX / 4)
			break;
	}
}

static void the_last_attempt_is_at_the_end(void)
{
	const struct schedule s = plain();
	const struct schedule_message m = { .created_at_us = T0 };
	enum schedule_end why;

	CHECK_INT(T0 + 5 * D, schedule_expires_at(&s, &m, &why));
	CHECK_INT(SCHEDULE_END_LIFETIME, why);
	CHECK_INT(5 * D, next(&s, &m, 5 * D - H, 9, 0));
	CHECK_INT(5 * D, next(&s, &m, 5 * D - 1, 9, 0));
	CHECK_INT(-1, next(&s, &m, 5 * D, 9, 0));
	CHECK_INT(-1, next(&s, &m, 9 * D, 1, 0));
}

static void notices_live_shorter(void)
{
	const struct schedule s = plain();
	const struct schedule_message m = { .created_at_us = T0, .null_sender = true };

	CHECK_INT(D, next(&s, &m, D - H, 6, 0));
	CHECK_INT(-1, next(&s, &m, D, 7, 0));
}

static void deliverby_return_ends_at_the_deadline(void)
{
	const struct schedule s = plain();
	const struct schedule_message m = { .created_at_us = T0, .deliver_by_us = T0 + 10 * M };
	enum schedule_end why;

	CHECK_INT(T0 + 10 * M, schedule_expires_at(&s, &m, &why));
	CHECK_INT(SCHEDULE_END_DELIVERBY, why);
	CHECK_INT(5 * M, next(&s, &m, 0, 1, 0));
	/* 15 min would be too late, so half of what is left. */
	CHECK_INT(5 * M + 150 * S, next(&s, &m, 5 * M, 2, 0));
	CHECK_INT(10 * M, next(&s, &m, 9 * M, 3, 0));
	CHECK_INT(-1, next(&s, &m, 10 * M, 4, 0));
	/* A deadline behind the lifetime changes nothing. */
	const struct schedule_message far = { .created_at_us = T0, .deliver_by_us = T0 + 9 * D };
	CHECK_INT(T0 + 5 * D, schedule_expires_at(&s, &far, &why));
	CHECK_INT(SCHEDULE_END_LIFETIME, why);
}

static void deliverby_notify_only_tells(void)
{
	const struct schedule s = plain();
	const struct schedule_message m = { .created_at_us = T0, .deliver_by_us = T0 + M, .by_notify = true };
	enum schedule_end why;

	CHECK_INT(T0 + 5 * D, schedule_expires_at(&s, &m, &why));
	CHECK_INT(5 * M, next(&s, &m, 0, 1, 0));
	CHECK_INT(0, schedule_notices_due(&s, &m, T0 + M - 1));
	CHECK_INT(1, schedule_notices_due(&s, &m, T0 + M));
	CHECK_INT(T0 + M, schedule_notice_next_at(&s, &m, T0));
	CHECK_INT(T0 + 4 * H, schedule_notice_next_at(&s, &m, T0 + M));
	CHECK_INT(2, schedule_notices_due(&s, &m, T0 + 4 * H));
	CHECK(schedule_notice_next_at(&s, &m, T0 + 4 * H) == INT64_MAX);
}

static void lists_are_parsed(void)
{
	struct schedule s = plain();
	struct errtext e = { "" };

	CHECK_INT(0, schedule_parse_steps(&s, SPAN("1m, 1h30m ,2d"), &e));
	CHECK_INT(3, s.nsteps);
	CHECK_INT(90 * M, s.step_us[1]);
	CHECK_INT(2 * D, s.step_us[2]);
	CHECK_INT(0, schedule_parse_notices(&s, SPAN("30m,1d"), &e));
	CHECK_INT(2, s.nnotices);
	CHECK_INT(0, schedule_parse_notices(&s, SPAN("none"), &e));
	CHECK_INT(0, s.nnotices);
	CHECK_INT(0, schedule_parse_notices(&s, SPAN(""), NULL));
}

static void wrong_lists_change_nothing(void)
{
	struct schedule s = plain();
	struct errtext e = { "" };

	CHECK_INT(-ERR_SYNTAX, schedule_parse_steps(&s, SPAN(""), &e));
	CHECK_INT(-ERR_SYNTAX, schedule_parse_steps(&s, (struct span){ 0 }, NULL));
	CHECK_INT(-ERR_SYNTAX, schedule_parse_steps(&s, SPAN("5m,,1h"), &e));
	CHECK_INT(-ERR_SYNTAX, schedule_parse_steps(&s, SPAN("5m,"), &e));
	CHECK_INT(-ERR_SYNTAX, schedule_parse_steps(&s, SPAN("0"), &e));
	CHECK_INT(-ERR_SYNTAX, schedule_parse_steps(&s, SPAN("5 minutes"), &e));
	CHECK(strstr(e.s, "5 minutes") != NULL);
	CHECK_INT(-ERR_TOOBIG,
		  schedule_parse_steps(&s, SPAN("1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m,1m"), &e));
	CHECK_INT(-ERR_SYNTAX, schedule_parse_notices(&s, SPAN("4h,1h"), &e));
	CHECK_INT(-ERR_SYNTAX, schedule_parse_notices(&s, SPAN("1s"), &e));
	CHECK_INT(6, s.nsteps);
	CHECK_INT(1, s.nnotices);
}

static void odd_times_do_not_wrap(void)
{
	const struct schedule s = plain();
	const struct schedule_message m = { .created_at_us = INT64_MAX - 1 };
	enum schedule_end why;
	int64_t at = 0;

	CHECK(schedule_expires_at(&s, &m, &why) == INT64_MAX);
	CHECK_INT(SCHEDULE_RETRY, schedule_next(&s, &m, INT64_MAX - 1, 1, UINT64_MAX, &at));
	CHECK(at == INT64_MAX);
	CHECK_INT(0, schedule_notices_due(&s, &m, 0));
}

TEST_MAIN(TEST(waits_follow_the_list), TEST(jitter_only_lengthens), TEST(the_last_attempt_is_at_the_end),
	  TEST(notices_live_shorter), TEST(deliverby_return_ends_at_the_deadline),
	  TEST(deliverby_notify_only_tells), TEST(lists_are_parsed), TEST(wrong_lists_change_nothing),
	  TEST(odd_times_do_not_wrap))
