#include "smtp/smtp_bdat.h"

#include "base/check.h"
#include "base/err.h"

static int fail(const char **why_r, const char *why, int err)
{
	*why_r = why;
	return -err;
}

int smtp_bdat_parse(struct span arg, struct smtp_bdat_chunk *chunk_r, const char **why_r)
{
	struct span rest = span_trim(arg);
	const struct span size = span_cut(&rest, ' ');
	struct smtp_bdat_chunk chunk = { 0 };

	if (size.n == 0)
		return fail(why_r, "chunk size missing", ERR_SYNTAX);
	for (size_t i = 0; i < size.n; i++)
		if (!ascii_is_digit(size.p[i]))
			return fail(why_r, "chunk size is not a number", ERR_SYNTAX);
	if (rest.p) {
		if (!span_ieq(span_trim(rest), SPAN("LAST")))
			return fail(why_r, "expected LAST or nothing after the chunk size", ERR_SYNTAX);
		chunk.is_last = true;
	}
	if (!span_to_u64(size, INT64_MAX, &chunk.octets))
		return fail(why_r, "chunk size too big", ERR_TOOBIG);
	*chunk_r = chunk;
	return 0;
}

void smtp_bdat_init(struct smtp_bdat *b, uint64_t octets_max)
{
	*b = (struct smtp_bdat){ .octets_max = octets_max };
}

int smtp_bdat_begin(struct smtp_bdat *b, struct smtp_bdat_chunk chunk)
{
	const bool after_last = b->is_last;

	require(b->remaining == 0);
	b->remaining = chunk.octets;
	b->is_last |= chunk.is_last;
	b->chunks++;
	/* Saturates: over the maximum stays over the maximum. */
	b->octets = chunk.octets > UINT64_MAX - b->octets ? UINT64_MAX : b->octets + chunk.octets;
	if (after_last)
		return -ERR_BUSY;
	return b->octets > b->octets_max ? -ERR_TOOBIG : 0;
}

struct span smtp_bdat_take(struct smtp_bdat *b, struct span *in)
{
	const size_t n = in->n < b->remaining ? in->n : (size_t)b->remaining;
	const struct span part = span_first(*in, n);

	*in = span_skip(*in, n);
	b->remaining -= n;
	return part;
}
