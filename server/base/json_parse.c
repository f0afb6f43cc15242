#include "base/json_parse.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/utf8.h"

enum { STRING_SMALL = 64 * 1024 };

/* What may come next is one of a few places; the stack holds only what each open bracket was. */
enum place { PLACE_VALUE, PLACE_FIRST_VALUE, PLACE_FIRST_KEY, PLACE_KEY, PLACE_AFTER, PLACE_END };

struct parser {
	struct span text;
	size_t at;
	char open[JSON_DEPTH_MAX];
	size_t depth;
	enum place place;
	struct buf string;
	int (*on)(void *arg, const struct json_token *token);
	void *arg;
	const char *why;
};

static int fail(struct parser *p, int err, const char *why)
{
	p->why = why;
	return -err;
}

static int peek(const struct parser *p)
{
	return p->at < p->text.n ? (unsigned char)p->text.p[p->at] : -1;
}

static void skip_space(struct parser *p)
{
	for (int c = peek(p); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(p))
		p->at++;
}

static int tell(struct parser *p, const struct json_token *t)
{
	return p->on(p->arg, t);
}

/* After a value: what comes now depends on where it was. */
static void value_done(struct parser *p)
{
	p->place = p->depth ? PLACE_AFTER : PLACE_END;
}

/* ---- strings ---------------------------------------------------------------------------------------------------- */

static int hex4(struct parser *p, uint32_t *v_r)
{
	uint32_t v = 0;

	if (p->text.n - p->at < 4)
		return fail(p, ERR_SYNTAX, "\\u wants four hexadecimal digits");
	for (int i = 0; i < 4; i++) {
		const int d = ascii_hex_value(p->text.p[p->at++]);
		if (d < 0)
			return fail(p, ERR_SYNTAX, "\\u wants four hexadecimal digits");
		v = v * 16 + (uint32_t)d;
	}
	*v_r = v;
	return 0;
}

static void add_utf8(struct buf *b, uint32_t c)
{
	char u[4];
	size_t n = 0;

	if (c < 0x80) {
		u[n++] = (char)c;
	} else if (c < 0x800) {
		u[n++] = (char)(0xc0 | c >> 6);
		u[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		u[n++] = (char)(0xe0 | c >> 12);
		u[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		u[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		u[n++] = (char)(0xf0 | c >> 18);
		u[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		u[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		u[n++] = (char)(0x80 | (c & 0x3f));
	}
	buf_add(b, u, n);
}

/* Behind "\u". */
static int unicode_escape(struct parser *p)
{
	uint32_t c, low;
	int r = hex4(p, &c);

	if (r < 0)
		return r;
	if (c >= 0xdc00 && c <= 0xdfff)
		return fail(p, ERR_SYNTAX, "half of a surrogate pair");
	if (c >= 0xd800 && c <= 0xdbff) {
		if (!span_starts(span_skip(p->text, p->at), SPAN("\\u")))
			return fail(p, ERR_SYNTAX, "half of a surrogate pair");
		p->at += 2;
		r = hex4(p, &low);
		if (r < 0)
			return r;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(p, ERR_SYNTAX, "half of a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	add_utf8(&p->string, c);
	return 0;
}

static int escape(struct parser *p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const int c = peek(p);

	if (c < 0)
		return fail(p, ERR_SYNTAX, "a string without an end");
	p->at++;
	if (c == 'u')
		return unicode_escape(p);
	const char *found = c > 0 ? strchr(from, c) : NULL;
	if (!found)
		return fail(p, ERR_SYNTAX, "unknown escape");
	buf_add_char(&p->string, to[found - from]);
	return 0;
}

/* At the opening quote. The text is left in p->string. */
static int string(struct parser *p)
{
	buf_reset(&p->string);
	for (p->at++;;) {
		const int c = peek(p);
		int r = 0;
		if (c < 0)
			return fail(p, ERR_SYNTAX, "a string without an end");
		if (c < 0x20)
			return fail(p, ERR_SYNTAX, "a control character in a string");
		if (c == '"') {
			p->at++;
			break;
		}
		if (c == '\\') {
			p->at++;
			r = escape(p);
		} else {
			const size_t n = utf8_char_len(span_skip(p->text, p->at));
			if (n == 0)
				return fail(p, ERR_SYNTAX, "not UTF-8");
			buf_add(&p->string, p->text.p + p->at, n);
			p->at += n;
		}
		if (r < 0)
			return r;
		if (p->string.overflow)
			return fail(p, ERR_TOOBIG, "a string is too long");
	}
	return 0;
}

/* ---- numbers and words ---------------------------------------------------------------------------------------------- */

static size_t digits(const struct parser *p, size_t at)
{
	size_t n = 0;

	while (at + n < p->text.n && ascii_is_digit(p->text.p[at + n]))
		n++;
	return n;
}

static int number(struct parser *p)
{
	size_t end = p->at + (peek(p) == '-');
	const size_t whole = digits(p, end);
	char text[64];

	if (whole == 0 || (whole > 1 && p->text.p[end] == '0'))
		return fail(p, ERR_SYNTAX, "not a number");
	end += whole;
	if (end < p->text.n && p->text.p[end] == '.') {
		const size_t n = digits(p, end + 1);
		if (n == 0)
			return fail(p, ERR_SYNTAX, "not a number");
		end += 1 + n;
	}
	if (end < p->text.n && (p->text.p[end] == 'e' || p->text.p[end] == 'E')) {
		const bool sign =
			end + 1 < p->text.n && (p->text.p[end + 1] == '+' || p->text.p[end + 1] == '-');
		const size_t n = digits(p, end + 1 + sign);
		if (n == 0)
			return fail(p, ERR_SYNTAX, "not a number");
		end += 1 + sign + n;
	}
	if (end - p->at >= sizeof text)
		return fail(p, ERR_TOOBIG, "a number is too long");
	memcpy(text, p->text.p + p->at, end - p->at);
	text[end - p->at] = 0;
	const double v = strtod(text, NULL); /* no call of setlocale() in the server: the point is a point */
	if (!isfinite(v))
		return fail(p, ERR_TOOBIG, "a number is too large");
	p->at = end;
	return tell(p, &(struct json_token){ .event = JSON_NUMBER, .number = v });
}

static int word(struct parser *p)
{
	static const struct {
		struct span text;
		struct json_token token;
	} words[] = {
		{ SPAN_INIT("null"), { .event = JSON_NULL } },
		{ SPAN_INIT("true"), { .event = JSON_BOOL, .boolean = true } },
		{ SPAN_INIT("false"), { .event = JSON_BOOL } },
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (span_starts(span_skip(p->text, p->at), words[i].text)) {
			p->at += words[i].text.n;
			return tell(p, &words[i].token);
		}
	}
	return fail(p, ERR_SYNTAX, "a value is expected");
}

/* ---- structure ---------------------------------------------------------------------------------------------------- */

static int open_bracket(struct parser *p, char c)
{
	if (p->depth == JSON_DEPTH_MAX)
		return fail(p, ERR_TOOBIG, "too deep");
	p->open[p->depth++] = c;
	p->at++;
	p->place = c == '{' ? PLACE_FIRST_KEY : PLACE_FIRST_VALUE;
	return tell(p, &(struct json_token){ .event = c == '{' ? JSON_OBJECT : JSON_ARRAY });
}

static int close_bracket(struct parser *p)
{
	const char c = p->open[--p->depth];

	p->at++;
	value_done(p);
	return tell(p, &(struct json_token){ .event = c == '{' ? JSON_OBJECT_END : JSON_ARRAY_END });
}

static int value(struct parser *p)
{
	const int c = peek(p);
	int r;

	if (c == '{' || c == '[')
		return open_bracket(p, (char)c);
	if (c == ']' && p->place == PLACE_FIRST_VALUE)
		return close_bracket(p);
	if (c == '"') {
		r = string(p);
		if (r == 0)
			r = tell(p, &(struct json_token){ .event = JSON_STRING,
							  .string = buf_span(&p->string) });
	} else if (c == '-' || (c >= '0' && c <= '9')) {
		r = number(p);
	} else {
		r = word(p);
	}
	if (r == 0)
		value_done(p);
	return r;
}

static int key(struct parser *p)
{
	if (peek(p) == '}' && p->place == PLACE_FIRST_KEY)
		return close_bracket(p);
	if (peek(p) != '"')
		return fail(p, ERR_SYNTAX, "a name in quotes is expected");
	int r = string(p);
	if (r < 0)
		return r;
	skip_space(p);
	if (peek(p) != ':')
		return fail(p, ERR_SYNTAX, "':' is expected");
	p->at++;
	p->place = PLACE_VALUE;
	return tell(p, &(struct json_token){ .event = JSON_KEY, .string = buf_span(&p->string) });
}

static int after(struct parser *p)
{
	const bool object = p->open[p->depth - 1] == '{';
	const int c = peek(p);

	if (c == (object ? '}' : ']'))
		return close_bracket(p);
	if (c != ',')
		return fail(p, ERR_SYNTAX, object ? "',' or '}' is expected" : "',' or ']' is expected");
	p->at++;
	p->place = object ? PLACE_KEY : PLACE_VALUE;
	return 0;
}

static int next(struct parser *p)
{
	switch (p->place) {
	case PLACE_VALUE:
	case PLACE_FIRST_VALUE:
		return value(p);
	case PLACE_FIRST_KEY:
	case PLACE_KEY:
		return key(p);
	case PLACE_AFTER:
		return after(p);
	case PLACE_END:
		break;
	}
	return peek(p) < 0 ? 0 : fail(p, ERR_SYNTAX, "something follows the value");
}

int json_parse(struct span text, int (*on)(void *arg, const struct json_token *token), void *arg,
	       size_t *at_r, const char **why_r)
{
	struct parser p = { .text = text, .on = on, .arg = arg, .string = BUF_INIT(JSON_STRING_MAX) };
	int r = 0;

	/* A token or a password may be among the strings: none is left behind, not even where the buf would have grown. */
	buf_reserve(&p.string, text.n < STRING_SMALL ? text.n : STRING_SMALL);
	while (r == 0) {
		skip_space(&p);
		const bool end = p.place == PLACE_END;
		r = next(&p);
		if (end)
			break;
	}
	buf_wipe(&p.string);
	if (p.why) {
		*at_r = p.at;
		*why_r = p.why;
	}
	return r;
}
