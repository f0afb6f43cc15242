#include "base/span.h"

bool span_ieq(struct span a, struct span b)
{
	return a.n == b.n && span_icmp(a, b) == 0;
}

bool span_istarts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_ieq(span_first(s, prefix.n), prefix);
}

int span_cmp(struct span a, struct span b)
{
	const size_t n = a.n < b.n ? a.n : b.n;
	const int c = n ? memcmp(a.p, b.p, n) : 0;

	if (c != 0)
		return c < 0 ? -1 : 1;
	return (a.n > b.n) - (a.n < b.n);
}

int span_icmp(struct span a, struct span b)
{
	const size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		const unsigned char x = (unsigned char)ascii_lower(a.p[i]),
				    y = (unsigned char)ascii_lower(b.p[i]);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a.n > b.n) - (a.n < b.n);
}

ptrdiff_t span_find_char(struct span s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

ptrdiff_t span_rfind_char(struct span s, char c)
{
	for (size_t i = s.n; i > 0; i--)
		if (s.p[i - 1] == c)
			return (ptrdiff_t)(i - 1);
	return -1;
}

ptrdiff_t span_find(struct span s, struct span needle)
{
	if (needle.n == 0)
		return 0;
	if (s.n < needle.n)
		return -1;
	const char *at = memmem(s.p, s.n, needle.p, needle.n);
	return at ? at - s.p : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct span span_cut(struct span *s, char sep)
{
	const struct span all = *s;
	const ptrdiff_t at = span_find_char(all, sep);

	if (at < 0) {
		*s = (struct span){ NULL, 0 };
		return all;
	}
	*s = span_skip(all, (size_t)at + 1);
	return span_first(all, (size_t)at);
}

bool span_to_u64(struct span s, uint64_t max, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
		const uint64_t d = (uint64_t)(s.p[i] - '0');
		if (v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	if (v > max)
		return false;
	*v_r = v;
	return true;
}
