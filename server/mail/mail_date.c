#include "mail/mail_date.h"

#include <stdio.h>

#include "base/check.h"
#include "base/err.h"
#include "mail/mail_char.h"

enum { ZONE_MAX_MIN = 24 * 60 - 1 };

static const int64_t minute_s = 60, day_s = 86400;

/* 0001-01-01 00:00:00 and 9999-12-31 23:59:59, UTC. */
static const int64_t unix_min_s = -62135596800, unix_max_s = 253402300799;

static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct civil {
	int64_t year;
	int month; /* 1..12 */
	int day;   /* 1..31 */
};

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int64_t year, int month)
{
	static const int days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 0001-01-01 to the first day of @year, of the Gregorian calendar. */
static int64_t days_before_year(int64_t year)
{
	const int64_t y = year - 1;

	return y * 365 + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400);
}

static int64_t days_from_civil(struct civil c)
{
	int64_t days = days_before_year(c.year) - days_before_year(1970);

	for (int m = 1; m < c.month; m++)
		days += days_in_month(c.year, m);
	return days + c.day - 1;
}

static struct civil civil_from_days(int64_t days)
{
	const int64_t since_1 = days + days_before_year(1970);
	/* 146097 days are 400 years: at most one year too many or too few. */
	struct civil c = { .year = floor_div(since_1 * 400, 146097) + 1, .month = 1 };

	while (days_before_year(c.year) > since_1)
		c.year--;
	while (days_before_year(c.year + 1) <= since_1)
		c.year++;
	int64_t left = since_1 - days_before_year(c.year);
	while (left >= days_in_month(c.year, c.month))
		left -= days_in_month(c.year, c.month++);
	c.day = (int)left + 1;
	return c;
}

/* 0 is Sunday. */
static int weekday(int64_t days)
{
	return (int)((days % 7 + 7 + 4) % 7);
}

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
	return v < min ? min : v > max ? max : v;
}

struct mail_date_text mail_date_format(int64_t unix_s, int zone_min)
{
	struct mail_date_text text;
	const int zone = (int)clamp(zone_min, -ZONE_MAX_MIN, ZONE_MAX_MIN);
	const int64_t local =
		clamp(clamp(unix_s, unix_min_s, unix_max_s) + zone * minute_s, unix_min_s, unix_max_s);
	const int64_t days = floor_div(local, day_s);
	const int second = (int)(local - days * day_s);
	const struct civil c = civil_from_days(days);
	const int z = zone < 0 ? -zone : zone;

	snprintf(text.s, sizeof text.s, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d", day_names[weekday(days)],
		 c.day, month_names[c.month - 1], (int)c.year, second / 3600, second / 60 % 60, second % 60,
		 zone < 0 ? '-' : '+', z / 60, z % 60);
	return text;
}

/* --- parsing --- */

struct reader {
	struct span s;
	unsigned flags;
};

/* White space and comments, which may be nested. False if one is not closed. */
static bool skip_cfws(struct reader *r)
{
	size_t depth = 0, i = 0;

	for (; i < r->s.n; i++) {
		const char c = r->s.p[i];
		if (c == '(') {
			depth++;
			r->flags |= MAIL_DATE_OBSOLETE;
		} else if (depth && c == ')') {
			depth--;
		} else if (depth && c == '\\') {
			i++;
		} else if (!depth && !mail_is_space(c)) {
			break;
		}
	}
	r->s = span_skip(r->s, i);
	return depth == 0;
}

/* A number of @min to @max digits, and nothing if there are more. */
static bool read_number(struct reader *r, size_t min, size_t max, int *v_r, size_t *digits_r)
{
	uint64_t v = 0;
	size_t n = 0;

	if (!skip_cfws(r))
		return false;
	while (n < r->s.n && ascii_is_digit(r->s.p[n]))
		n++;
	if (n < min || n > max || !span_to_u64(span_first(r->s, n), INT32_MAX, &v))
		return false;
	r->s = span_skip(r->s, n);
	*v_r = (int)v;
	*digits_r = n;
	return true;
}

static bool read_char(struct reader *r, char c)
{
	if (!skip_cfws(r) || r->s.n == 0 || r->s.p[0] != c)
		return false;
	r->s = span_skip(r->s, 1);
	return true;
}

static struct span read_word(struct reader *r)
{
	size_t n = 0;

	if (!skip_cfws(r))
		return (struct span){ NULL, 0 };
	while (n < r->s.n && ascii_is_alpha(r->s.p[n]))
		n++;
	const struct span word = span_first(r->s, n);
	r->s = span_skip(r->s, n);
	return word;
}

/* Index of the three-letter name that is @word, or -1. Names written out ("Thursday") are taken too. */
static int find_name(const char names[][4], int n, struct span word)
{
	for (int i = 0; i < n; i++)
		if (word.n >= 3 && span_ieq(span_first(word, 3), span_of(names[i])))
			return i;
	return -1;
}

/* Zones by name (RFC 5322 section 4.3): the North American ones, military letters of no sure meaning, and all
 * others. */
static int zone_of_name(struct span name, unsigned *flags)
{
	static const struct {
		char name[4];
		int hours;
	} zones[] = { { "UT", 0 },   { "GMT", 0 },  { "UTC", 0 },  { "EDT", -4 },
		      { "EST", -5 }, { "CDT", -5 }, { "CST", -6 }, { "MDT", -6 },
		      { "MST", -7 }, { "PDT", -7 }, { "PST", -8 } };

	*flags |= MAIL_DATE_OBSOLETE;
	for (size_t i = 0; i < ARRAY_LEN(zones); i++)
		if (span_ieq(name, span_of(zones[i].name)))
			return zones[i].hours * 60;
	*flags |= MAIL_DATE_ZONE_UNKNOWN;
	return 0;
}

static int read_zone(struct reader *r, int *zone_r)
{
	int v = 0;
	size_t digits = 0;

	if (!skip_cfws(r))
		return -ERR_SYNTAX;
	const char sign = r->s.n ? r->s.p[0] : '\0';
	if (sign != '+' && sign != '-') {
		const struct span name = read_word(r);
		if (name.n == 0 && sign != '\0')
			return -ERR_SYNTAX;
		*zone_r = zone_of_name(name, &r->flags);
		return 0;
	}
	r->s = span_skip(r->s, 1);
	if (r->s.n == 0 || !ascii_is_digit(r->s.p[0]) || !read_number(r, 4, 4, &v, &digits))
		return -ERR_SYNTAX;
	if (v % 100 > 59 || v / 100 > 23)
		return -ERR_INVAL;
	if (sign == '-' && v == 0)
		r->flags |= MAIL_DATE_ZONE_UNKNOWN;
	*zone_r = (v / 100 * 60 + v % 100) * (sign == '-' ? -1 : 1);
	return 0;
}

/* Day, month, year. */
static bool read_day(struct reader *r, struct civil *c_r)
{
	int day = 0, year = 0;
	size_t digits = 0;

	if (!read_number(r, 1, 2, &day, &digits))
		return false;
	const int month = find_name(month_names, 12, read_word(r));
	if (month < 0 || !read_number(r, 2, 4, &year, &digits))
		return false;
	if (digits < 4) { /* RFC 5322 section 4.3: 49 is 2049, 50 is 1950, 104 is 2004 */
		r->flags |= MAIL_DATE_OBSOLETE;
		year += digits == 2 && year < 50 ? 2000 : 1900;
	}
	*c_r = (struct civil){ .year = year, .month = month + 1, .day = day };
	return true;
}

/* Hour, minute and, if there is one, second: as seconds of the day. */
static int read_time(struct reader *r, int *second_r)
{
	int hour = 0, minute = 0, second = 0;
	size_t digits = 0;

	if (!read_number(r, 1, 2, &hour, &digits) || !read_char(r, ':') ||
	    !read_number(r, 2, 2, &minute, &digits))
		return -ERR_SYNTAX;
	if (read_char(r, ':') && !read_number(r, 2, 2, &second, &digits))
		return -ERR_SYNTAX;
	if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second */
		return -ERR_INVAL;
	*second_r = hour * 3600 + minute * 60 + second;
	return 0;
}

int mail_date_parse(struct span value, struct mail_date *date_r)
{
	struct reader r = { value, 0 };
	struct civil c = { 0 };
	int second = 0, zone = 0;

	const struct span day_name = read_word(&r);
	const int named = find_name(day_names, 7, day_name);
	if (day_name.n && (named < 0 || !read_char(&r, ',')))
		return -ERR_SYNTAX;
	if (!read_day(&r, &c))
		return -ERR_SYNTAX;
	int rc = read_time(&r, &second);
	if (rc < 0)
		return rc;
	rc = read_zone(&r, &zone);
	if (rc < 0)
		return rc;
	/* Only what explains the zone, "(CET)", may follow: that is a comment in today's syntax too. */
	const unsigned before = r.flags;
	if (!skip_cfws(&r) || r.s.n)
		return -ERR_SYNTAX;
	r.flags = before;
	if (c.year < 1 || c.day < 1 || c.day > days_in_month(c.year, c.month))
		return -ERR_INVAL;
	const int64_t days = days_from_civil(c);
	if (named >= 0 && named != weekday(days))
		r.flags |= MAIL_DATE_WRONG_DAY;
	*date_r = (struct mail_date){ .unix_s = days * day_s + second - zone * minute_s,
				      .zone_min = zone,
				      .flags = r.flags };
	return 0;
}
