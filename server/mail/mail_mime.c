#include "mail/mail_mime.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "base/utf8.h"
#include "mail/mail_char.h"
#include "mail/mail_fold.h"

static const char *const encoding_names[] = {
#define X(name, text) text,
	MAIL_MIME_ENCODING_MAP(X)
#undef X
};

const char *mail_mime_encoding_name(enum mail_mime_encoding e)
{
	return (size_t)e < ARRAY_LEN(encoding_names) ? encoding_names[e] : "unknown";
}

/* --- Content-Type --- */

/* RFC 2045 section 5.1 */
static bool is_token_char(char c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

static void skip_cfws(struct span *s)
{
	size_t depth = 0, i = 0;

	for (; i < s->n; i++) {
		const char c = s->p[i];
		if (c == '(')
			depth++;
		else if (depth && c == ')')
			depth--;
		else if (depth && c == '\\')
			i++;
		else if (!depth && !mail_is_space(c))
			break;
	}
	*s = span_skip(*s, i);
}

static struct span take_token(struct span *s)
{
	size_t n = 0;

	skip_cfws(s);
	while (n < s->n && is_token_char(s->p[n]))
		n++;
	const struct span token = span_first(*s, n);
	*s = span_skip(*s, n);
	return token;
}

/* A value without quotes. Many boundaries have characters that would need some. */
static struct span take_value(struct span *s)
{
	size_t n = 0;

	while (n < s->n && !mail_is_space(s->p[n]) && s->p[n] != ';')
		n++;
	const struct span value = span_first(*s, n);
	*s = span_skip(*s, n);
	return value;
}

static bool take_char(struct span *s, char c)
{
	skip_cfws(s);
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = span_skip(*s, 1);
	return true;
}

int mail_mime_type_parse(struct span body, struct mail_mime_type *type_r)
{
	struct mail_mime_type t = { .type = take_token(&body) };

	if (t.type.n == 0 || !take_char(&body, '/'))
		return -ERR_SYNTAX;
	t.subtype = take_token(&body);
	skip_cfws(&body);
	if (t.subtype.n == 0 || (body.n && body.p[0] != ';'))
		return -ERR_SYNTAX;
	t.params = body;
	*type_r = t;
	return 0;
}

bool mail_mime_type_is(const struct mail_mime_type *t, const char *type, const char *subtype)
{
	return span_ieq(t->type, span_of(type)) && span_ieq(t->subtype, span_of(subtype));
}

/* Length of the quoted string at the start of @s with both quotes; to the end if it is not closed. */
static size_t quoted_len(struct span s)
{
	size_t i = 1;

	for (; i < s.n && s.p[i] != '"'; i++)
		i += s.p[i] == '\\';
	return i < s.n ? i + 1 : s.n;
}

static struct span unquote(struct arena *a, struct span quoted)
{
	char *p = arena_alloc(a, quoted.n + 1);
	size_t n = 0;

	if (!p)
		return (struct span){ NULL, 0 };
	for (size_t i = 1; i < quoted.n && quoted.p[i] != '"'; i++) {
		if (quoted.p[i] == '\\' && i + 1 < quoted.n)
			i++;
		if (quoted.p[i] != '\r' && quoted.p[i] != '\n')
			p[n++] = quoted.p[i];
	}
	return span_make(p, n);
}

struct span mail_mime_param(struct arena *a, const struct mail_mime_type *t, struct span name)
{
	struct span s = t->params;

	while (take_char(&s, ';')) {
		const struct span key = take_token(&s);
		struct span value = { NULL, 0 };
		bool quoted = false;
		if (key.n && take_char(&s, '=')) {
			skip_cfws(&s);
			quoted = s.n && s.p[0] == '"';
			if (quoted) {
				value = span_first(s, quoted_len(s));
				s = span_skip(s, value.n);
			} else {
				value = take_value(&s);
			}
			if (span_ieq(key, name))
				return quoted ? unquote(a, value) : value;
		}
		/* Over what cannot be read, to the next parameter. */
		const ptrdiff_t next = span_find_char(s, ';');
		s = next < 0 ? span_skip(s, s.n) : span_skip(s, (size_t)next);
	}
	return (struct span){ NULL, 0 };
}

/* --- the head --- */

bool mail_mime_head_is_utf8(const struct mail_head *h)
{
	bool found = false;

	for (const struct mail_field *f = mail_head_next(h, NULL); f; f = mail_head_next(h, f)) {
		if (ascii_only(f->raw))
			continue;
		if (!utf8_valid(f->raw))
			return false;
		found = true;
	}
	return found;
}

static enum mail_mime_encoding encoding_of(const struct mail_head *h)
{
	const struct mail_field *f = mail_head_find(h, SPAN("Content-Transfer-Encoding"), 0);

	if (!f)
		return MAIL_MIME_7BIT;
	struct span body = f->body;
	const struct span token = take_token(&body);
	for (size_t i = 0; i < ARRAY_LEN(encoding_names); i++)
		if (span_ieq(token, span_of(encoding_names[i])))
			return (enum mail_mime_encoding)i;
	return MAIL_MIME_ENCODING_UNKNOWN;
}

struct mail_mime mail_mime_peek(const struct mail_head *h, bool eightbit)
{
	struct mail_mime m = { .encoding = encoding_of(h), .utf8 = mail_mime_head_is_utf8(h) };
	const struct mail_field *f = mail_head_find(h, SPAN("Content-Type"), 0);

	if (!f || mail_mime_type_parse(f->body, &m.type) < 0)
		m.type = (struct mail_mime_type){ SPAN("text"), SPAN("plain"), { NULL, 0 } };
	m.eightbit = eightbit || m.encoding == MAIL_MIME_8BIT || m.encoding == MAIL_MIME_BINARY;
	return m;
}

/* --- parts --- */

static size_t line_len(struct span s)
{
	const ptrdiff_t lf = span_find_char(s, '\n');

	return lf < 0 ? s.n : (size_t)lf + 1;
}

enum line_kind { LINE_TEXT, LINE_BOUNDARY, LINE_LAST };

static enum line_kind line_kind(struct span line, struct span boundary)
{
	if (!span_starts(line, SPAN("--")) || !span_starts(span_skip(line, 2), boundary))
		return LINE_TEXT;
	struct span after = span_skip(line, 2 + boundary.n);
	const bool last = span_starts(after, SPAN("--"));
	after = mail_trim(span_skip(after, last ? 2 : 0));
	return after.n ? LINE_TEXT : last ? LINE_LAST : LINE_BOUNDARY;
}

static struct span without_last_line_end(struct span s)
{
	if (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

bool mail_mime_next_part(struct span *rest, struct span boundary, struct span *part_r)
{
	struct span s = *rest;
	enum line_kind kind = LINE_TEXT;

	while (s.n && kind == LINE_TEXT) {
		const size_t n = line_len(s);
		kind = line_kind(span_first(s, n), boundary);
		s = span_skip(s, n);
	}
	*rest = span_skip(s, s.n);
	if (kind != LINE_BOUNDARY)
		return false;
	size_t n = 0;
	while (n < s.n &&
	       line_kind(span_first(span_skip(s, n), line_len(span_skip(s, n))), boundary) == LINE_TEXT)
		n += line_len(span_skip(s, n));
	*part_r = n < s.n ? without_last_line_end(span_first(s, n)) : s;
	*rest = span_skip(s, n);
	return true;
}

/* --- transfer encodings --- */

bool mail_mime_lines_ok(struct span s)
{
	if (span_find_char(s, '\0') >= 0)
		return false;
	while (s.n) {
		const ptrdiff_t cr = span_find_char(s, '\r'), lf = span_find_char(s, '\n');
		if (cr < 0 && lf < 0)
			return s.n <= MAIL_LINE_MAX;
		if (cr < 0 || lf != cr + 1 || cr > MAIL_LINE_MAX)
			return false;
		s = span_skip(s, (size_t)lf + 1);
	}
	return true;
}

bool mail_mime_write_qp(struct buf *out, struct span s)
{
	size_t column = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		if (c == '\n' || (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')) {
			i += c == '\r';
			buf_add_str(out, "\r\n");
			column = 0;
			continue;
		}
		const bool line_ends = i + 1 == s.n || s.p[i + 1] == '\n' ||
				       (s.p[i + 1] == '\r' && i + 2 < s.n && s.p[i + 2] == '\n');
		/* White space at the end of a line would get lost; a dot or "From " at its start may get
		 * another. */
		const bool plain = (c > ' ' && c < 0x7f && c != '=' &&
				    !(column == 0 && (c == '.' || c == 'F' || c == '-'))) ||
				   (mail_is_wsp(c) && !line_ends);
		if (column + (plain ? 1 : 3) + !line_ends > 76) {
			buf_add_str(out, "=\r\n");
			column = 0;
		}
		if (plain)
			buf_add_char(out, c);
		else
			buf_addf(out, "=%02X", (unsigned char)c);
		column += plain ? 1 : 3;
	}
	return !out->overflow;
}

static void decode_qp(struct buf *out, struct span s)
{
	while (s.n && !out->overflow) {
		const struct span line = span_first(s, line_len(s));
		const struct span end = span_skip(line, without_last_line_end(line).n);
		struct span text = without_last_line_end(line);
		bool soft = false;
		s = span_skip(s, line.n);
		while (text.n && mail_is_wsp(text.p[text.n - 1]))
			text.n--;
		for (size_t i = 0; i < text.n; i++) {
			const int high =
				text.p[i] == '=' && i + 2 < text.n ? ascii_hex_value(text.p[i + 1]) : -1;
			const int low = high >= 0 ? ascii_hex_value(text.p[i + 2]) : -1;
			soft = text.p[i] == '=' && i + 1 == text.n;
			if (low >= 0)
				buf_add_char(out, (char)(high * 16 + low));
			else if (!soft)
				buf_add_char(out, text.p[i]);
			i += low >= 0 ? 2 : 0;
		}
		if (!soft)
			buf_add_span(out, end);
	}
}

static void decode_base64(struct buf *out, struct span s)
{
	unsigned v = 0, bits = 0;

	for (size_t i = 0; i < s.n && s.p[i] != '=' && !out->overflow; i++) {
		const int six = base64_value(s.p[i]);
		if (six < 0) /* line ends, and what RFC 2045 section 6.8 says to ignore */
			continue;
		v = (v << 6 | (unsigned)six) & 0xfff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			buf_add_char(out, (char)(v >> bits & 0xff));
		}
	}
}

int mail_mime_decode(struct buf *out, enum mail_mime_encoding encoding, struct span s)
{
	if (encoding == MAIL_MIME_ENCODING_UNKNOWN)
		return -ERR_UNSUPPORTED;
	if (encoding == MAIL_MIME_QUOTED_PRINTABLE)
		decode_qp(out, s);
	else if (encoding == MAIL_MIME_BASE64)
		decode_base64(out, s);
	else
		buf_add_span(out, s);
	return out->overflow ? -ERR_TOOBIG : 0;
}
