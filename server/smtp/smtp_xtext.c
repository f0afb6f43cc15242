#include "smtp/smtp_xtext.h"

#include <stdint.h>

#include "base/err.h"
#include "base/utf8.h"

static bool is_xchar(char c)
{
	return c >= '!' && c <= '~' && c != '+' && c != '=';
}

bool smtp_xtext_encode(struct buf *out, struct span s)
{
	const size_t before = out->n;
	bool ok = true;

	for (size_t i = 0; i < s.n && ok; i++) {
		static const char hex[] = "0123456789ABCDEF";
		const unsigned char c = (unsigned char)s.p[i];
		if (is_xchar(s.p[i]))
			ok = buf_add_char(out, s.p[i]);
		else
			ok = buf_add(out, (const char[]){ '+', hex[c >> 4], hex[c & 15] }, 3);
	}
	if (!ok)
		out->n = before;
	return ok;
}

/* hexchar takes upper case only */
static int upper_hex_value(char c)
{
	return c >= 'a' && c <= 'f' ? -1 : ascii_hex_value(c);
}

int smtp_xtext_decode(struct arena *a, struct span xtext, struct span *text_r)
{
	char *const p = arena_alloc(a, xtext.n + 1);
	size_t n = 0;

	if (!p)
		return -ERR_NOMEM;
	for (size_t i = 0; i < xtext.n; i++) {
		if (is_xchar(xtext.p[i])) {
			p[n++] = xtext.p[i];
			continue;
		}
		if (xtext.p[i] != '+' || xtext.n - i < 3)
			return -ERR_SYNTAX;
		const int high = upper_hex_value(xtext.p[i + 1]), low = upper_hex_value(xtext.p[i + 2]);
		if (high < 0 || low < 0)
			return -ERR_SYNTAX;
		p[n++] = (char)(high << 4 | low);
		i += 2;
	}
	*text_r = span_make(p, n);
	return 0;
}

bool smtp_text_is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

/* ---- the address type utf-8
 * ----------------------------------------------------------------------------------- */

static size_t utf8_put(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 0x3f));
		p[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	p[0] = (char)(0xf0 | c >> 18);
	p[1] = (char)(0x80 | (c >> 12 & 0x3f));
	p[2] = (char)(0x80 | (c >> 6 & 0x3f));
	p[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* What HEXPOINT may stand for: what cannot be written plainly, and all above ASCII; no surrogates, no NUL. */
static bool is_embeddable(uint32_t c)
{
	if (c < 0x80)
		return (c > 0 && c <= ' ') || c == '+' || c == '=' || c == '\\' || c == 0x7f;
	return c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
}

/* EmbeddedUnicodeChar = "\x{" HEXPOINT "}" at the start of @s. Returns the octets taken, 0 if it is not
 * one. */
static size_t embedded(struct span s, uint32_t *c_r)
{
	uint32_t c = 0;
	size_t n = 3;

	if (!span_starts(s, SPAN("\\x{")))
		return 0;
	for (; n < s.n && s.p[n] != '}'; n++) {
		const int v = upper_hex_value(s.p[n]);
		if (v < 0 || n >= 3 + 6)
			return 0;
		c = c << 4 | (uint32_t)v;
	}
	if (n == s.n || n < 3 + 2 || !is_embeddable(c))
		return 0;
	*c_r = c;
	return n + 1;
}

static int utf8_addr_decode(struct arena *a, struct span s, bool utf8, struct span *text_r)
{
	char *const p = arena_alloc(a, s.n + 1); /* an embedded character is longer than what it stands for */
	size_t n = 0;

	if (!p)
		return -ERR_NOMEM;
	while (s.n) {
		size_t taken = 1;
		if (s.p[0] == '\\') {
			uint32_t c = 0;
			taken = embedded(s, &c);
			if (taken)
				n += utf8_put(p + n, c);
		} else if (is_xchar(s.p[0])) {
			p[n++] = s.p[0];
		} else {
			taken = utf8 && (unsigned char)s.p[0] >= 0x80 ? utf8_char_len(s) : 0;
			memcpy(p + n, s.p, taken);
			n += taken;
		}
		if (taken == 0)
			return -ERR_SYNTAX;
		s = span_skip(s, taken);
	}
	*text_r = span_make(p, n);
	return 0;
}

/* atom of RFC 822: no specials, no space, no control */
static bool is_addr_type(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("()<>@,;:\\\".[]", s.p[i]))
			return false;
	return s.n > 0;
}

int smtp_orcpt_decode(struct arena *a, struct span value, bool utf8, struct smtp_orcpt *orcpt_r)
{
	struct span rest = value;
	struct smtp_orcpt o = { .type = span_cut(&rest, ';') };
	int rc;

	if (!is_addr_type(o.type) || rest.n == 0)
		return -ERR_SYNTAX;
	if (span_ieq(o.type, SPAN("utf-8"))) {
		rc = utf8_addr_decode(a, rest, utf8, &o.addr);
	} else {
		rc = smtp_xtext_decode(a, rest, &o.addr);
		if (rc == 0 && !smtp_text_is_printable(o.addr))
			rc = -ERR_SYNTAX;
	}
	if (rc == 0)
		*orcpt_r = o;
	return rc;
}

bool smtp_orcpt_to_ascii(struct buf *out, struct span value)
{
	const size_t before = out->n;
	bool ok = true;

	while (value.n && ok) {
		size_t n = (unsigned char)value.p[0] < 0x80 ? 0 : utf8_char_len(value);
		if (n > 1) {
			static const unsigned char mask[] = { 0, 0, 0x1f, 0x0f, 0x07 };
			uint32_t c = (unsigned char)value.p[0] & mask[n];
			for (size_t i = 1; i < n; i++)
				c = c << 6 | ((unsigned char)value.p[i] & 0x3fu);
			ok = buf_addf(out, "\\x{%02X}", (unsigned)c);
		} else {
			n = 1;
			ok = buf_add_char(out, (unsigned char)value.p[0] < 0x80 ? value.p[0] : '?');
		}
		value = span_skip(value, n);
	}
	if (!ok)
		out->n = before;
	return ok;
}

bool smtp_orcpt_encode(struct buf *out, struct span mailbox)
{
	const size_t before = out->n;
	bool ok = true;

	if (ascii_only(mailbox)) {
		ok = buf_add_str(out, "rfc822;") && smtp_xtext_encode(out, mailbox);
	} else {
		ok = buf_add_str(out, "utf-8;");
		for (size_t i = 0; i < mailbox.n && ok; i++) {
			const char c = mailbox.p[i];
			if ((unsigned char)c >= 0x80 || (is_xchar(c) && c != '\\'))
				ok = buf_add_char(out, c);
			else
				ok = buf_addf(out, "\\x{%02X}", (unsigned)(unsigned char)c);
		}
	}
	if (!ok)
		out->n = before;
	return ok;
}
