#include "smtp/smtp_line.h"

#include <limits.h>

#include "base/check.h"
#include "base/err.h"

/* Once per line, over the line alone; so each octet is looked at twice in all, however it was cut up on the
 * way. */
static unsigned flags_of(struct span text)
{
	unsigned flags = 0;
	unsigned char high = 0;

	for (size_t i = 0; i < text.n; i++)
		high |= (unsigned char)text.p[i];
	if (high & 0x80)
		flags |= SMTP_LINE_8BIT;
	if (span_find_char(text, '\0') >= 0)
		flags |= SMTP_LINE_NUL;
	if (span_find_char(text, '\r') >= 0)
		flags |= SMTP_LINE_BARE_CR;
	return flags;
}

int smtp_line_next(struct smtp_line_reader *r, struct span in, size_t octets_max, struct smtp_line *line_r)
{
	const size_t window = in.n < octets_max ? in.n : octets_max;
	const char *lf = NULL;

	require(octets_max > 0 && octets_max <= INT_MAX && !r->skipping);
	if (r->scanned < window)
		lf = memchr(in.p + r->scanned, '\n', window - r->scanned);
	if (!lf) {
		r->scanned = window;
		if (in.n < octets_max)
			return -ERR_AGAIN;
		r->skipping = true;
		return -ERR_TOOBIG;
	}

	const size_t n = (size_t)(lf - in.p);
	const bool crlf = n > 0 && lf[-1] == '\r';
	line_r->text = span_first(in, crlf ? n - 1 : n);
	line_r->flags = flags_of(line_r->text) | (crlf ? 0 : SMTP_LINE_BARE_LF);
	r->scanned = 0;
	return (int)n + 1;
}

size_t smtp_line_skip(struct smtp_line_reader *r, struct span in)
{
	const size_t from = r->scanned < in.n ? r->scanned : in.n;
	const ptrdiff_t lf = span_find_char(span_skip(in, from), '\n');

	require(r->skipping);
	r->scanned = 0;
	if (lf < 0)
		return in.n;
	r->skipping = false;
	return from + (size_t)lf + 1;
}
