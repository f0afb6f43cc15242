#include "smtp/smtp_reply.h"

#include <stdio.h>

#include "base/check.h"
#include "base/err.h"
#include "base/utf8.h"

/* ---- enhanced codes
 * ------------------------------------------------------------------------------------------- */

/* 1*3DIGIT */
static size_t number_at_start(struct span s, uint16_t *v_r)
{
	unsigned v = 0;
	size_t n = 0;

	for (; n < s.n && n < 3 && ascii_is_digit(s.p[n]); n++)
		v = v * 10 + (unsigned)(s.p[n] - '0');
	*v_r = (uint16_t)v;
	return n;
}

int smtp_enhanced_parse(struct span s, struct smtp_enhanced *e_r)
{
	struct smtp_enhanced e;
	size_t at = 2, n;

	if (s.n < 5 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5') || s.p[1] != '.')
		return -ERR_SYNTAX;
	e.class = (uint8_t)(s.p[0] - '0');
	n = number_at_start(span_skip(s, at), &e.subject);
	at += n;
	if (n == 0 || at >= s.n || s.p[at] != '.')
		return -ERR_SYNTAX;
	at++;
	n = number_at_start(span_skip(s, at), &e.detail);
	at += n;
	if (n == 0 || (at < s.n && s.p[at] != ' ' && s.p[at] != '\t' && s.p[at] != '\n'))
		return -ERR_SYNTAX;
	*e_r = e;
	return (int)at;
}

struct smtp_enhanced_text smtp_enhanced_format(struct smtp_enhanced e)
{
	struct smtp_enhanced_text t = { "" };

	if (e.class)
		snprintf(t.s, sizeof t.s, "%u.%u.%u", e.class % 10u, e.subject % 1000u, e.detail % 1000u);
	return t;
}

/* ---- writing
 * -------------------------------------------------------------------------------------------------- */

/* How much of @line goes on one line of at most @room octets. */
static size_t line_break(struct span line, size_t room)
{
	size_t n = room;

	if (line.n <= room)
		return line.n;
	while (n > room / 2 && line.p[n] != ' ')
		n--;
	if (line.p[n] == ' ')
		return n;
	/* No space to break at: at least not inside a character. */
	n = room;
	while (n > room - 4 && ((unsigned char)line.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* RFC 5321 section 4.2: textstring is HT and printable ASCII. */
static bool add_sanitised(struct buf *out, struct span s, unsigned flags)
{
	bool ok = true;

	while (s.n && ok) {
		const unsigned char c = (unsigned char)s.p[0];
		size_t n = 1;
		if (c >= 0x80) {
			n = utf8_char_len(s);
			if (n && (flags & SMTP_REPLY_UTF8))
				ok = buf_add(out, s.p, n);
			else
				ok = buf_add_char(out, '?');
			n = n ? n : 1;
		} else if (c == '\t' || (c >= ' ' && c < 0x7f)) {
			ok = buf_add_char(out, s.p[0]);
		} else {
			ok = buf_add_char(out, c == '\r' ? ' ' : '?');
		}
		s = span_skip(s, n);
	}
	return ok;
}

bool smtp_reply_add(struct buf *out, unsigned code, struct smtp_enhanced enhanced, struct span text,
		    unsigned flags)
{
	const size_t before = out->n;
	char prefix[32];
	size_t last;
	bool ok = true;

	if (!verify(smtp_reply_class(code) != SMTP_REPLY_NONE))
		code = 451;
	if (smtp_reply_class(code) == SMTP_REPLY_MORE)
		enhanced.class = 0;
	else if (enhanced.class)
		enhanced.class = (uint8_t)(code / 100);
	const int prefix_n = snprintf(prefix, sizeof prefix, "%u-%s%s", code,
				      smtp_enhanced_format(enhanced).s, enhanced.class ? " " : "");

	while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	do {
		struct span line = span_cut(&text, '\n');
		if (span_ends(line, SPAN("\r")))
			line.n--;
		do {
			const size_t n = line_break(line, SMTP_REPLY_LINE_MAX - 2 - (size_t)prefix_n);
			last = out->n;
			ok = ok && buf_add(out, prefix, (size_t)prefix_n) &&
			     add_sanitised(out, span_first(line, n), flags) && buf_add(out, "\r\n", 2);
			line = span_skip(line, n);
			if (line.n && line.p[0] == ' ')
				line = span_skip(line, 1);
		} while (line.n && ok);
	} while (text.p && ok);

	if (!ok) {
		out->n = before;
		return false;
	}
	out->p[last + 3] = ' ';
	return true;
}

/* ---- reading
 * -------------------------------------------------------------------------------------------------- */

enum position { AT_DIGIT_1, AT_DIGIT_2, AT_DIGIT_3, AT_SEPARATOR, AT_TEXT, AT_CR, AT_DONE };

void smtp_reply_parser_init(struct smtp_reply_parser *p, size_t text_max)
{
	*p = (struct smtp_reply_parser){ .text = BUF_INIT(text_max) };
}

void smtp_reply_parser_deinit(struct smtp_reply_parser *p)
{
	buf_free(&p->text);
}

bool smtp_reply_parser_is_midway(const struct smtp_reply_parser *p)
{
	return p->at != AT_DONE && p->octets > 0;
}

static int fail(const char **why_r, const char *why, int err)
{
	*why_r = why;
	return -err;
}

static void text_add(struct smtp_reply_parser *p, const char *s, size_t n)
{
	const size_t room = p->text.max - p->text.n;

	if (n > room) {
		p->reply.notes |= SMTP_REPLY_TRUNCATED;
		n = room;
	}
	buf_add(&p->text, s, n);
}

/* A run of text octets; control characters would not survive into a log or a report as they are. */
static void text_add_clean(struct smtp_reply_parser *p, struct span s)
{
	const size_t from = p->text.n;

	text_add(p, s.p, s.n);
	for (size_t i = from; i < p->text.n; i++) {
		const unsigned char c = (unsigned char)p->text.p[i];
		if ((c < ' ' && c != '\t') || c == 0x7f) {
			p->text.p[i] = '?';
			p->reply.notes |= SMTP_REPLY_CONTROL;
		}
	}
}

/* LF: the line is complete. Returns 1 if the reply is. */
static int line_end(struct smtp_reply_parser *p, const char **why_r)
{
	struct smtp_reply *r = &p->reply;

	if (r->lines == 0)
		r->code = p->line_code;
	else if (r->code != p->line_code) /* RFC 5321 section 4.2.1 */
		return fail(why_r, "reply lines have different codes", ERR_SYNTAX);
	r->lines++;
	if (r->enhanced.class == 0)
		smtp_enhanced_parse(span_skip(buf_span(&p->text), p->line_start), &r->enhanced);
	if (p->last) {
		r->text = buf_span(&p->text);
		p->at = AT_DONE;
		return 1;
	}
	if (r->lines >= SMTP_REPLY_LINES_MAX)
		return fail(why_r, "reply has too many lines", ERR_TOOBIG);
	p->at = AT_DIGIT_1;
	return 0;
}

/* One octet outside of the text. */
static int octet(struct smtp_reply_parser *p, char c, const char **why_r)
{
	switch ((enum position)p->at) {
	case AT_DIGIT_1:
		p->line_code = 0;
		p->last = false;
		if (c < '2' || c > '5')
			return fail(why_r, "not a reply code", ERR_SYNTAX);
		/* fallthrough */
	case AT_DIGIT_2:
	case AT_DIGIT_3:
		if (!ascii_is_digit(c))
			return fail(why_r, "not a reply code", ERR_SYNTAX);
		p->line_code = p->line_code * 10 + (unsigned)(c - '0');
		p->at++;
		return 0;
	case AT_SEPARATOR:
		if (p->reply.lines)
			text_add(p, "\n", 1);
		p->line_start = p->text.n;
		p->last = c != '-';
		if (c == '-' || c == ' ') {
			p->at = AT_TEXT;
			return 0;
		}
		/* A code alone is a reply, too (RFC 5321 section 4.2). */
		if (c == '\n') {
			p->reply.notes |= SMTP_REPLY_BARE_LF;
			return line_end(p, why_r);
		}
		p->at = AT_CR;
		return c == '\r' ? 0 : fail(why_r, "no space after the reply code", ERR_SYNTAX);
	case AT_CR:
		if (c == '\n')
			return line_end(p, why_r);
		text_add_clean(p, SPAN("\r"));
		if (c != '\r') {
			text_add_clean(p, span_make(&c, 1));
			p->at = AT_TEXT;
		}
		return 0;
	case AT_TEXT:
	case AT_DONE:
		break;
	}
	return -ERR_BUG;
}

/* Text up to CR or LF. */
static int text_run(struct smtp_reply_parser *p, struct span *in, const char **why_r)
{
	size_t n = 0;

	while (n < in->n && in->p[n] != '\r' && in->p[n] != '\n')
		n++;
	text_add_clean(p, span_first(*in, n));
	p->octets += n;
	*in = span_skip(*in, n);
	if (in->n == 0)
		return 0;
	const char end = in->p[0];
	*in = span_skip(*in, 1);
	p->octets++;
	if (end == '\r') {
		p->at = AT_CR;
		return 0;
	}
	p->reply.notes |= SMTP_REPLY_BARE_LF;
	return line_end(p, why_r);
}

int smtp_reply_parse(struct smtp_reply_parser *p, struct span *in, const char **why_r)
{
	int rc = 0;

	if (p->at == AT_DONE) {
		buf_reset(&p->text);
		p->reply = (struct smtp_reply){ 0 };
		p->octets = 0;
		p->at = AT_DIGIT_1;
	}
	while (rc == 0 && in->n) {
		if (p->octets > SMTP_REPLY_OCTETS_MAX)
			return fail(why_r, "reply too long", ERR_TOOBIG);
		if (p->at == AT_TEXT) {
			rc = text_run(p, in, why_r);
		} else {
			const char c = in->p[0];
			*in = span_skip(*in, 1);
			p->octets++;
			rc = octet(p, c, why_r);
		}
	}
	return rc;
}
