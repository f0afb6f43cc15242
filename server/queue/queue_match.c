#include "queue/queue_match.h"

/* One step back is enough: what an earlier * could match, the last one can as well. */
bool queue_match_glob(struct span pattern, struct span text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, star_t = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			star_t = t;
		} else if (p < pattern.n &&
			   (pattern.p[p] == '?' || ascii_lower(pattern.p[p]) == ascii_lower(text.p[t]))) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++star_t;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

bool queue_match_address(struct span pattern, struct span address)
{
	if (span_eq(pattern, SPAN("<>")))
		return address.n == 0;
	if (pattern.n > 1 && pattern.p[0] == '@') {
		const ptrdiff_t at = span_rfind_char(address, '@');
		return at >= 0 && queue_match_glob(span_skip(pattern, 1), span_skip(address, (size_t)at + 1));
	}
	return queue_match_glob(pattern, address);
}

bool queue_match_domain(struct span pattern, struct span domain)
{
	if (pattern.n < 2 || pattern.p[0] != '@')
		return queue_match_glob(pattern, domain);
	const struct span suffix = span_skip(pattern, 1);
	if (domain.n < suffix.n || !span_ieq(span_skip(domain, domain.n - suffix.n), suffix))
		return false;
	return domain.n == suffix.n || domain.p[domain.n - suffix.n - 1] == '.';
}
