#include "base/rfc3339.h"

#include <time.h>

#define YEAR_10000 INT64_C(253402300800)

static bool number(struct span *s, size_t digits, int min, int max, int *v_r)
{
	uint64_t v;

	if (s->n < digits || !span_to_u64(span_first(*s, digits), (uint64_t)max, &v) || (int)v < min)
		return false;
	*s = span_skip(*s, digits);
	*v_r = (int)v;
	return true;
}

static bool take(struct span *s, const char *any)
{
	if (!s->n || !s->p[0] || !strchr(any, s->p[0]))
		return false;
	*s = span_skip(*s, 1);
	return true;
}

static bool take_zone(struct span *s, int64_t *offset_s_r)
{
	int h = 0, m = 0;

	*offset_s_r = 0;
	if (!s->n || take(s, "Zz"))
		return true;
	const int sign = s->p[0] == '-' ? -1 : 1;
	if (!take(s, "+-") || !number(s, 2, 0, 14, &h) || !take(s, ":") || !number(s, 2, 0, 59, &m))
		return false;
	*offset_s_r = sign * (h * 3600 + m * 60);
	return true;
}

bool rfc3339_parse(struct span s, int64_t *unix_s_r)
{
	struct tm t = { 0 };
	int64_t offset_s = 0;
	int year, month;

	if (!number(&s, 4, 1970, 9999, &year) || !take(&s, "-") || !number(&s, 2, 1, 12, &month) ||
	    !take(&s, "-") || !number(&s, 2, 1, 31, &t.tm_mday))
		return false;
	t.tm_year = year - 1900;
	t.tm_mon = month - 1;
	const int day = t.tm_mday;
	if (s.n) {
		if (!take(&s, "Tt ") || !number(&s, 2, 0, 23, &t.tm_hour) || !take(&s, ":") ||
		    !number(&s, 2, 0, 59, &t.tm_min))
			return false;
		if (take(&s, ":") && !number(&s, 2, 0, 60, &t.tm_sec))
			return false;
		if (!take_zone(&s, &offset_s) || s.n)
			return false;
	}
	const int second = t.tm_sec;
	const int64_t at_s = timegm(&t);
	if (t.tm_mday != day && second != 60) /* the 31st of a month of 30 days was moved on */
		return false;
	*unix_s_r = at_s - offset_s;
	return true;
}

struct rfc3339_text rfc3339_format(int64_t unix_s)
{
	struct rfc3339_text text = { "" };
	const time_t at = (time_t)unix_s;
	struct tm t = { 0 };

	if (unix_s >= 0 && unix_s < YEAR_10000 && gmtime_r(&at, &t))
		(void)strftime(text.s, sizeof text.s, "%Y-%m-%dT%H:%M:%SZ", &t);
	return text;
}
