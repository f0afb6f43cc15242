#include "mail/mail_date.h"

#include "base/err.h"
#include "test.h"

static void dates_are_written(void)
{
	static const struct {
		int64_t unix_s;
		int zone_min;
		const char *want;
	} cases[] = {
		{ 0, 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ 1732173300, 0, "Thu, 21 Nov 2024 07:15:00 +0000" },
		{ 1732173300, -360, "Thu, 21 Nov 2024 01:15:00 -0600" },
		{ 1732173300, 345, "Thu, 21 Nov 2024 13:00:00 +0545" },
		{ 951782399, 0, "Mon, 28 Feb 2000 23:59:59 +0000" },
		{ 951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ 951868800, 0, "Wed, 1 Mar 2000 00:00:00 +0000" },
		{ 4107542399, 0, "Sun, 28 Feb 2100 23:59:59 +0000" },
		{ 4107542400, 0, "Mon, 1 Mar 2100 00:00:00 +0000" },
		{ -1, 0, "Wed, 31 Dec 1969 23:59:59 +0000" },
		{ 1735689600, -1, "Tue, 31 Dec 2024 23:59:00 -0001" },
		{ INT64_MAX, 0, "Fri, 31 Dec 9999 23:59:59 +0000" },
		{ INT64_MAX, 100000, "Fri, 31 Dec 9999 23:59:59 +2359" },
		{ INT64_MIN, -100000, "Mon, 1 Jan 0001 00:00:00 -2359" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct mail_date_text text = mail_date_format(cases[i].unix_s, cases[i].zone_min);
		CHECK_STR(cases[i].want, text.s);
	}
}

static void what_is_written_is_read(void)
{
	/* A prime number of seconds, so that all times of day come by, over some hundred years. */
	for (int64_t t = -2000000000; t < 8000000000; t += 7368787) {
		struct mail_date d;
		const int zone = (int)(t % 1440);
		const struct mail_date_text text = mail_date_format(t, zone);
		NEED(mail_date_parse(span_of(text.s), &d) == 0);
		CHECK_INT(t, d.unix_s);
		CHECK_INT(zone, d.zone_min);
		CHECK_INT(0, d.flags);
	}
}

static void dates_are_read(void)
{
	static const struct {
		const char *in;
		int64_t unix_s;
		int zone_min;
		unsigned flags;
	} cases[] = {
		{ "Thu, 21 Nov 2024 07:15:00 +0000", 1732173300, 0, 0 },
		{ " Thu,21 Nov 2024 07:15:00 +0000 ", 1732173300, 0, 0 },
		{ "21 Nov 2024 07:15 +0000", 1732173300, 0, 0 },
		{ "Thu, 21 Nov 2024 01:15:00 -0600 (CST)", 1732173300, -360, 0 },
		{ "Thu,\r\n 21 Nov\r\n 2024 07:15:00 +0000", 1732173300, 0, 0 },
		{ "Thu, 21 Nov 24 07:15:00 GMT", 1732173300, 0, MAIL_DATE_OBSOLETE },
		{ "Thu, 21 Nov 124 07:15:00 UT", 1732173300, 0, MAIL_DATE_OBSOLETE },
		{ "Thu, 21 Nov 2024 02:15:00 EST", 1732173300, -300, MAIL_DATE_OBSOLETE },
		{ "21 Nov 97 09:55:06 -0600", 880127706, -360, MAIL_DATE_OBSOLETE },
		{ "Thu, 21 Nov 2024 07:15:00 CET", 1732173300, 0,
		  MAIL_DATE_OBSOLETE | MAIL_DATE_ZONE_UNKNOWN },
		{ "Thu, 21 Nov 2024 07:15:00 A", 1732173300, 0, MAIL_DATE_OBSOLETE | MAIL_DATE_ZONE_UNKNOWN },
		{ "Thu, 21 Nov 2024 07:15:00", 1732173300, 0, MAIL_DATE_OBSOLETE | MAIL_DATE_ZONE_UNKNOWN },
		{ "Thu, 21 Nov 2024 07:15:00 -0000", 1732173300, 0, MAIL_DATE_ZONE_UNKNOWN },
		{ "Fri, 21 Nov 2024 07:15:00 +0000", 1732173300, 0, MAIL_DATE_WRONG_DAY },
		{ "thursday, 21 november 2024 07:15:00 +0000", 1732173300, 0, 0 },
		{ "Thu, 21 (a (b) \\) c) Nov 2024 07 : 15 : 00 +0000", 1732173300, 0, MAIL_DATE_OBSOLETE },
		{ "Sat, 31 Dec 2016 23:59:60 +0000", 1483228800, 0, 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct mail_date d = { 0 };
		const int rc = mail_date_parse(span_of(cases[i].in), &d);
		if (rc != 0 || d.unix_s != cases[i].unix_s || d.flags != cases[i].flags)
			printf("  \"%s\":\n", cases[i].in);
		CHECK_INT(0, rc);
		CHECK_INT(cases[i].unix_s, d.unix_s);
		CHECK_INT(cases[i].zone_min, d.zone_min);
		CHECK_INT(cases[i].flags, d.flags);
	}
}

static void bad_dates_are_refused(void)
{
	static const struct {
		const char *in;
		int rc;
	} cases[] = {
		{ "", -ERR_SYNTAX },
		{ "today", -ERR_SYNTAX },
		{ "2024-11-21T07:15:00Z", -ERR_SYNTAX },
		{ "Thu 21 Nov 2024 07:15:00 +0000", -ERR_SYNTAX },
		{ "Thu, Nov 21 2024 07:15:00 +0000", -ERR_SYNTAX },
		{ "Xyz, 21 Nov 2024 07:15:00 +0000", -ERR_SYNTAX },
		{ "Thu, 21 Nov 2024 07:15:00 +000", -ERR_SYNTAX },
		{ "Thu, 21 Nov 2024 07:15:00 +00000", -ERR_SYNTAX },
		{ "Thu, 21 Nov 2024 07:15:00 + 0000", -ERR_SYNTAX },
		{ "Thu, 21 Nov 2024 07:15:00 +0000 x", -ERR_SYNTAX },
		{ "Thu, 21 Nov 2024 07:15:00 +0000 (x", -ERR_SYNTAX },
		{ "Thu, 21 Nov 2024 7:1:00 +0000", -ERR_SYNTAX },
		{ "Thu, 21 Nov 2024 07.15.00 +0000", -ERR_SYNTAX },
		{ "Thu, 121 Nov 2024 07:15:00 +0000", -ERR_SYNTAX },
		{ "Thu, 21 Nov 99999999999999999999 07:15:00 +0000", -ERR_SYNTAX },
		{ "Thu, 31 Nov 2024 07:15:00 +0000", -ERR_INVAL },
		{ "Thu, 0 Nov 2024 07:15:00 +0000", -ERR_INVAL },
		{ "29 Feb 2023 07:15:00 +0000", -ERR_INVAL },
		{ "29 Feb 2100 07:15:00 +0000", -ERR_INVAL },
		{ "21 Nov 0000 07:15:00 +0000", -ERR_INVAL },
		{ "21 Nov 2024 24:15:00 +0000", -ERR_INVAL },
		{ "21 Nov 2024 07:60:00 +0000", -ERR_INVAL },
		{ "21 Nov 2024 07:15:61 +0000", -ERR_INVAL },
		{ "21 Nov 2024 07:15:00 +0060", -ERR_INVAL },
		{ "21 Nov 2024 07:15:00 +2400", -ERR_INVAL },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct mail_date d = { .unix_s = 42 };
		const int rc = mail_date_parse(span_of(cases[i].in), &d);
		if (rc != cases[i].rc)
			printf("  \"%s\":\n", cases[i].in);
		CHECK_INT(cases[i].rc, rc);
		CHECK_INT(42, d.unix_s);
	}
	struct mail_date d;
	CHECK_INT(-ERR_SYNTAX, mail_date_parse(SPAN("21 Nov 2024 07:15:00 +0000\0"), &d));
}

TEST_MAIN(TEST(dates_are_written), TEST(what_is_written_is_read), TEST(dates_are_read),
	  TEST(bad_dates_are_refused))
