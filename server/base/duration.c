#include "base/duration.h"

#include <stdio.h>

static const struct {
	struct span name;
	int64_t us;
} units[] = {
	{ SPAN_INIT("w"), INT64_C(604800000000) }, { SPAN_INIT("d"), INT64_C(86400000000) },
	{ SPAN_INIT("h"), INT64_C(3600000000) },   { SPAN_INIT("m"), INT64_C(60000000) },
	{ SPAN_INIT("s"), INT64_C(1000000) },      { SPAN_INIT("ms"), INT64_C(1000) },
};

enum { UNITS = sizeof units / sizeof *units };

bool duration_parse(struct span s, int64_t *us_r)
{
	int64_t sum = 0;
	size_t next = 0; /* the largest unit that may still come */

	if (span_eq(s, SPAN("0"))) {
		*us_r = 0;
		return true;
	}
	if (s.n == 0)
		return false;
	while (s.n) {
		size_t digits = 0, letters = 0;
		uint64_t number;

		while (digits < s.n && ascii_is_digit(s.p[digits]))
			digits++;
		if (!span_to_u64(span_first(s, digits), DURATION_MAX_US, &number))
			return false;
		s = span_skip(s, digits);
		while (letters < s.n && ascii_is_alpha(s.p[letters]))
			letters++;
		const struct span unit = span_first(s, letters);
		s = span_skip(s, letters);
		while (next < UNITS && !span_eq(unit, units[next].name))
			next++;
		if (next == UNITS || number > (uint64_t)(DURATION_MAX_US - sum) / (uint64_t)units[next].us)
			return false;
		sum += (int64_t)number * units[next++].us;
	}
	*us_r = sum;
	return true;
}

struct duration_text duration_format(int64_t us)
{
	struct duration_text t = { "0s" };
	uint64_t left = us < 0 ? -(uint64_t)us : (uint64_t)us;
	size_t n = 0;

	left -= left % 1000;
	if (left == 0)
		return t;
	if (us < 0)
		t.s[n++] = '-';
	for (size_t i = 1; i < UNITS; i++) { /* weeks are for writing, days are read more easily */
		const uint64_t number = left / (uint64_t)units[i].us;
		if (number == 0)
			continue;
		left -= number * (uint64_t)units[i].us;
		n += (size_t)snprintf(t.s + n, sizeof t.s - n, "%llu%s", (unsigned long long)number,
				      units[i].name.p);
	}
	return t;
}
