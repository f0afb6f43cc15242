#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_encode(struct buf *out, struct span octets)
{
	if (!buf_reserve(out, BASE64_LEN(octets.n)))
		return false;
	for (size_t i = 0; i < octets.n; i += 3) {
		const struct span s = span_first(span_skip(octets, i), 3);
		uint32_t v = (uint32_t)(unsigned char)s.p[0] << 16;
		if (s.n > 1)
			v |= (uint32_t)(unsigned char)s.p[1] << 8;
		if (s.n > 2)
			v |= (unsigned char)s.p[2];
		const char four[4] = { alphabet[v >> 18 & 63], alphabet[v >> 12 & 63],
				       s.n > 1 ? alphabet[v >> 6 & 63] : '=',
				       s.n > 2 ? alphabet[v & 63] : '=' };
		buf_add(out, four, 4);
	}
	return true;
}

/* The four characters at @p, the last of the text if @last. Returns how many octets they stand for, or 0. */
static size_t decode_four(const char *p, bool last, char *three)
{
	const size_t pad = !last ? 0 : p[3] != '=' ? 0 : p[2] != '=' ? 1 : 2;
	uint32_t v = 0;

	for (size_t i = 0; i < 4; i++) {
		const int six = i < 4 - pad ? base64_value(p[i]) : 0;
		if (six < 0)
			return 0;
		v = v << 6 | (uint32_t)six;
	}
	if ((pad == 1 && v & 0xff) || (pad == 2 && v & 0xffff))
		return 0;
	three[0] = (char)(v >> 16);
	three[1] = (char)(v >> 8);
	three[2] = (char)v;
	return 3 - pad;
}

int base64_decode(struct buf *out, struct span text)
{
	const size_t before = out->n;

	if (text.n % 4 != 0)
		return -ERR_SYNTAX;
	const size_t pad = (size_t)span_ends(text, SPAN("=")) + span_ends(text, SPAN("=="));
	if (!buf_reserve(out, text.n / 4 * 3 - (text.n ? pad : 0)))
		return -ERR_TOOBIG;
	for (size_t i = 0; i < text.n; i += 4) {
		char three[3];
		const size_t n = decode_four(text.p + i, i + 4 == text.n, three);
		if (n == 0) {
			out->n = before;
			return -ERR_SYNTAX;
		}
		buf_add(out, three, n);
	}
	return 0;
}
