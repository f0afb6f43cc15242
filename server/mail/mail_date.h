/* mail/mail_date.h - dates in messages: "Thu, 21 Nov 2024 07:15:00 +0000".
 *
 * Pure: the time and the zone are arguments, no locale and no zone data are used.
 * Units:  seconds since 1970-01-01 00:00:00 UTC, minutes east of UTC.
 * Source: RFC 5322 sections 3.3 and 4.3.
 * Tests:  tests/unit/mail/test_mail_date.c, tests/fuzz/fuzz_mail_date.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { MAIL_DATE_TEXT_MAX = 64 };

struct mail_date_text {
	char s[MAIL_DATE_TEXT_MAX]; /* NUL-terminated */
};

/* The date-time for @unix_s in the zone @zone_min. A time before the year 1 or after 9999, and a zone of a
 * day or more, are brought to the nearest that can be written. */
struct mail_date_text mail_date_format(int64_t unix_s, int zone_min);

enum mail_date_flags {
	MAIL_DATE_OBSOLETE = 1 << 0,     /* two or three digits of year, a zone by name, or comments */
	MAIL_DATE_WRONG_DAY = 1 << 1,    /* the day of the week is not that of the date */
	MAIL_DATE_ZONE_UNKNOWN = 1 << 2, /* "-0000", or a name without agreed meaning: taken for UTC */
};

struct mail_date {
	int64_t unix_s;
	int zone_min;
	unsigned flags; /* enum mail_date_flags */
};

/* Parses the value of a Date field. Returns 0, or
 *   -ERR_SYNTAX  it is no date
 *   -ERR_INVAL   it is written like one, but there is no such day, time or zone
 * On error *date_r is untouched. */
int mail_date_parse(struct span value, struct mail_date *date_r);
