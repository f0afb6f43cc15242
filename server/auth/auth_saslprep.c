#include "auth/auth_saslprep.h"

#include "base/check.h"
#include "base/utf8.h"

struct range {
	uint32_t first, last;
};

/* Assigned in Unicode 3.2, not forbidden by RFC 4013 section 2.3, the same in NFKC alone and next to any other of these, and not
 * of a script that runs from right to left (so that RFC 3454 section 6 is met). Ascending. */
static const struct range unchanged[] = {
	{ 0x20, 0x7e },     { 0xa1, 0xa7 },     { 0xa9, 0xa9 },     { 0xab, 0xac },     { 0xae, 0xae },
	{ 0xb0, 0xb1 },     { 0xb6, 0xb7 },     { 0xbb, 0xbb },     { 0xbf, 0x131 },    { 0x134, 0x13e },
	{ 0x141, 0x148 },   { 0x14a, 0x17e },   { 0x180, 0x1c3 },   { 0x1cd, 0x1f0 },   { 0x1f4, 0x220 },
	{ 0x222, 0x233 },   { 0x250, 0x2ad },   { 0x386, 0x386 },   { 0x388, 0x38a },   { 0x38c, 0x38c },
	{ 0x38e, 0x3a1 },   { 0x3a3, 0x3ce },   { 0x400, 0x482 },   { 0x48a, 0x4ce },   { 0x4d0, 0x4f5 },
	{ 0x4f8, 0x4f9 },   { 0x500, 0x50f },   { 0x531, 0x556 },   { 0x561, 0x586 },   { 0x1e00, 0x1e99 },
	{ 0x1ea0, 0x1ef9 }, { 0x2010, 0x2010 }, { 0x2012, 0x2016 }, { 0x2018, 0x2023 }, { 0x2030, 0x2032 },
	{ 0x20a0, 0x20a7 }, { 0x20a9, 0x20b1 }, { 0x3001, 0x3029 }, { 0x3041, 0x3096 }, { 0x309d, 0x309e },
	{ 0x30a0, 0x30fe }, { 0x4e00, 0x9fa5 }, { 0xac00, 0xd7a3 },
};

/* RFC 3454 table C.1.2: to a space. U+200B is of B.1 too, and that comes first. */
static const struct range spaces[] = {
	{ 0xa0, 0xa0 },     { 0x1680, 0x1680 }, { 0x2000, 0x200a },
	{ 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3000 },
};

/* RFC 3454 table B.1: to nothing. */
static const struct range nothings[] = {
	{ 0xad, 0xad },     { 0x34f, 0x34f },   { 0x1806, 0x1806 }, { 0x180b, 0x180d },
	{ 0x200b, 0x200d }, { 0x2060, 0x2060 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
};

static bool within(const struct range *ranges, size_t n, uint32_t c)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static uint32_t code_point(struct span ch)
{
	static const uint8_t lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (uint8_t)ch.p[0] & lead[ch.n];

	for (size_t i = 1; i < ch.n; i++)
		c = c << 6 | ((uint8_t)ch.p[i] & 0x3f);
	return c;
}

static bool add_prepared(struct buf *out, struct span ch, int *err)
{
	const uint32_t c = code_point(ch);

	if (within(unchanged, ARRAY_LEN(unchanged), c))
		return buf_add_span(out, ch);
	if (within(nothings, ARRAY_LEN(nothings), c))
		return true;
	if (within(spaces, ARRAY_LEN(spaces), c))
		return buf_add_char(out, ' ');
	if (c >= 0xff01 && c <= 0xff5e) /* full-width ASCII: NFKC */
		return buf_add_char(out, (char)(c - 0xff01 + 0x21));
	*err = c < 0x20 || (c >= 0x7f && c < 0xa0) ? -ERR_INVAL : -ERR_UNSUPPORTED;
	return true;
}

int auth_saslprep(struct span in, struct buf *out)
{
	const size_t before = out->n;
	int err = 0;

	if (!buf_reserve(out, in.n))
		return -ERR_TOOBIG;
	while (in.n && err == 0) {
		const size_t n = utf8_char_len(in);
		if (n == 0)
			err = -ERR_SYNTAX;
		else
			add_prepared(out, span_first(in, n), &err);
		in = span_skip(in, n);
	}
	/* RFC 4616 section 2, RFC 4954 section 4: what is empty after preparation fails. */
	if (err == 0 && out->n == before)
		err = -ERR_INVAL;
	if (err < 0)
		out->n = before;
	return err;
}
