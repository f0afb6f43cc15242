#include "base/rfc3339.h"
#include "test.h"

static void moments_are_read(void)
{
	static const struct {
		const char *text;
		int64_t want_s;
	} cases[] = {
		{ "1970-01-01", 0 },
		{ "2026-12-01T10:00:00Z", 1796119200 },
		{ "2026-12-01t10:00z", 1796119200 },
		{ "2026-12-01 11:00:00+01:00", 1796119200 },
		{ "2026-12-01T04:30-05:30", 1796119200 },
		{ "2024-02-29", 1709164800 },
		{ "2016-12-31T23:59:60Z", 1483228800 },
		{ "9999-12-31T23:59:59Z", 253402300799 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t at_s = -1;
		CHECK(rfc3339_parse(span_of(cases[i].text), &at_s));
		CHECK_INT(cases[i].want_s, at_s);
	}
}

static void what_is_no_moment_is_refused(void)
{
	static const char *const bad[] = { "",
					   "1969-12-31",
					   "2026",
					   "2026-13-01",
					   "2026-02-29",
					   "2026-04-31",
					   "2026-1-01",
					   "2026-12-01T",
					   "2026-12-01T10",
					   "2026-12-01T24:00",
					   "2026-12-01T10:60",
					   "2026-12-01T10:00:00.5Z",
					   "2026-12-01T10:00:00+1",
					   "2026-12-01T10:00:00+15:00",
					   "2026-12-01T10:00:00ZZ",
					   "2026-12-01x",
					   "tomorrow" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int64_t at_s = -1;
		if (rfc3339_parse(span_of(bad[i]), &at_s))
			FAIL("\"%s\" was taken", bad[i]);
		CHECK_INT(-1, at_s);
	}
}

static void moments_are_written(void)
{
	CHECK_STR("1970-01-01T00:00:00Z", rfc3339_format(0).s);
	CHECK_STR("2026-12-01T10:00:00Z", rfc3339_format(1796119200).s);
	CHECK_STR("", rfc3339_format(-1).s);
	CHECK_STR("", rfc3339_format(INT64_MAX).s);
}

TEST_MAIN(TEST(moments_are_read), TEST(what_is_no_moment_is_refused), TEST(moments_are_written))
