#include "test.h"

#include "base/duration.h"

#define S INT64_C(1000000)

static int64_t parsed(const char *text)
{
	int64_t us = -1;

	return duration_parse(span_of(text), &us) ? us : -1;
}

static void units_are_read(void)
{
	CHECK_INT(0, parsed("0"));
	CHECK_INT(0, parsed("0s"));
	CHECK_INT(250000, parsed("250ms"));
	CHECK_INT(90 * S, parsed("90s"));
	CHECK_INT(300 * S, parsed("5m"));
	CHECK_INT(3600 * S, parsed("1h"));
	CHECK_INT(5 * 86400 * S, parsed("5d"));
	CHECK_INT(14 * 86400 * S, parsed("2w"));
	CHECK_INT(5400 * S, parsed("1h30m"));
	CHECK_INT(90061 * S + 1000, parsed("1d1h1m1s1ms"));
	CHECK_INT(DURATION_MAX_US, parsed("3650d"));
}

static void others_are_refused(void)
{
	static const char *const wrong[] = {
		"",    "5",   "m",     "5x",   "5M",    "-5m",  "1.5h",
		"5 m", "m5",  "30m1h", "1m1m", "3651d", "1h30", "99999999999999999999h",
		"5m,", " 5m", "5m ",   "5mm",  "00"
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		int64_t us = 77;
		if (duration_parse(span_of(wrong[i]), &us) || us != 77)
			FAIL("\"%s\" is no duration", wrong[i]);
	}
}

static void durations_are_written_short(void)
{
	CHECK_STR("0s", duration_format(0).s);
	CHECK_STR("0s", duration_format(999).s);
	CHECK_STR("5m", duration_format(300 * S).s);
	CHECK_STR("1h30m", duration_format(5400 * S).s);
	CHECK_STR("14d", duration_format(14 * 86400 * S).s);
	CHECK_STR("-1s500ms", duration_format(-1500000).s);
	CHECK(duration_format(INT64_MIN).s[0] == '-');
	CHECK(strlen(duration_format(INT64_MAX).s) < DURATION_TEXT_MAX - 1);
	CHECK_INT(90061 * S + 1000, parsed(duration_format(90061 * S + 1000).s));
}

TEST_MAIN(TEST(units_are_read), TEST(others_are_refused), TEST(durations_are_written_short))
