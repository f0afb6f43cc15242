#include "mail/mail_dkim_canon.h"

#include "mail/mail_char.h"
#include "mail/mail_head.h"

const char *mail_dkim_canon_name(enum mail_dkim_canon canon)
{
	return canon == MAIL_DKIM_SIMPLE ? "simple" : "relaxed";
}

/* --- header fields --- */

/* RFC 6376 section 3.4.2. @text has no line end behind it, but may be folded. */
static void relax_field(struct buf *out, struct span text)
{
	const ptrdiff_t colon = span_find_char(text, ':');
	const struct span name = mail_trim(span_first(text, colon < 0 ? text.n : (size_t)colon));
	const struct span value = mail_trim(colon < 0 ? SPAN("") : span_skip(text, (size_t)colon + 1));
	bool space = false;

	for (size_t i = 0; i < name.n; i++)
		buf_add_char(out, ascii_lower(name.p[i]));
	buf_add_char(out, ':');
	for (size_t i = 0; i < value.n; i++) {
		if (mail_is_space(value.p[i])) {
			space = true;
			continue;
		}
		if (space)
			buf_add_char(out, ' ');
		space = false;
		buf_add_char(out, value.p[i]);
	}
}

/* The field as it is sent, without its last line end. False if @sent is full. */
static bool as_sent(struct buf *sent, struct span raw)
{
	const struct mail_field f = { .raw = raw };

	if (!mail_field_copy(sent, &f))
		return false;
	while (sent->n && (sent->p[sent->n - 1] == '\n' || sent->p[sent->n - 1] == '\r'))
		sent->n--;
	return true;
}

static void write_field(struct buf *out, enum mail_dkim_canon canon, struct span text)
{
	if (canon == MAIL_DKIM_RELAXED)
		relax_field(out, text);
	else
		buf_add_span(out, text);
}

bool mail_dkim_canon_field(struct buf *out, enum mail_dkim_canon canon, struct span raw)
{
	struct buf sent = BUF_INIT(raw.n * 2 + 2);

	as_sent(&sent, raw);
	write_field(out, canon, buf_span(&sent));
	buf_free(&sent);
	return buf_add_str(out, "\r\n");
}

/* Takes the value of b= out of the field in @b. The name of the field ends at its first colon. */
static void remove_signature(struct buf *b)
{
	const ptrdiff_t colon = span_find_char(buf_span(b), ':');
	struct span rest = span_skip(buf_span(b), (size_t)(colon + 1));

	while (rest.p) {
		const struct span spec = span_cut(&rest, ';');
		const ptrdiff_t equals = span_find_char(spec, '=');
		if (equals < 0 || !span_eq(mail_trim(span_first(spec, (size_t)equals)), SPAN("b")))
			continue;
		const struct span value = span_skip(spec, (size_t)equals + 1);
		buf_remove(b, (size_t)(value.p - b->p), value.n);
		return;
	}
}

bool mail_dkim_canon_signature(struct buf *out, enum mail_dkim_canon canon, struct span raw)
{
	struct buf sent = BUF_INIT(raw.n * 2 + 2);

	as_sent(&sent, raw);
	remove_signature(&sent);
	write_field(out, canon, buf_span(&sent));
	buf_free(&sent);
	return !out->overflow;
}

/* --- the body --- */

enum { NEWLINES_AT_ONCE = 16 };
static const char newlines[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

/* What was held back and counts now, because something stands behind it. */
static bool take_held(struct mail_dkim_body *b, struct span *run_r)
{
	if (b->newlines) {
		const uint64_t n = b->newlines < NEWLINES_AT_ONCE ? b->newlines : NEWLINES_AT_ONCE;
		b->newlines -= n;
		*run_r = span_make(newlines, (size_t)n * 2);
		return true;
	}
	if (b->space) {
		b->space = false;
		*run_r = SPAN(" ");
		return true;
	}
	return false;
}

/* An octet that neither ends a line nor may be changed. */
static bool is_content(const struct mail_dkim_body *b, char c)
{
	return c != '\r' && (b->canon == MAIL_DKIM_SIMPLE || !mail_is_wsp(c));
}

/* How many octets from @s on, the first of which is content, stand in the canonical form as they are: lines and words as long as
 * what separates them is the canonical separator and what is behind it is here to be seen. */
static size_t verbatim_octets(const struct mail_dkim_body *b, struct span s)
{
	size_t i = 0;

	for (;;) {
		while (i < s.n && is_content(b, s.p[i]))
			i++;
		if (i == s.n)
			return i;
		const size_t behind = s.p[i] == '\r' ? i + 2 : i + 1;
		if (behind >= s.n || !is_content(b, s.p[behind]) || s.p[i] == '\t' ||
		    (s.p[i] == '\r' && s.p[i + 1] != '\n'))
			return i;
		i = behind;
	}
}

static bool next_run(struct mail_dkim_body *b, struct span *in, struct span *run_r)
{
	while (in->n) {
		const char c = in->p[0];
		if (b->cr && c == '\n') {
			b->cr = b->space = false;
			b->newlines++;
		} else if (b->cr) { /* a CR alone */
			if (!take_held(b, run_r)) {
				b->cr = false;
				*run_r = SPAN("\r");
			}
			return true;
		} else if (c == '\r') {
			b->cr = true;
		} else if (!is_content(b, c)) {
			b->space = true;
		} else {
			if (!take_held(b, run_r)) {
				*run_r = span_first(*in, verbatim_octets(b, *in));
				*in = span_skip(*in, run_r->n);
			}
			return true;
		}
		*in = span_skip(*in, 1);
	}
	return false;
}

/* Counts the run and cuts it at the limit. False when nothing of it is left. */
static bool within_limit(struct mail_dkim_body *b, struct span *run)
{
	const uint64_t left = b->octets < b->limit_octets ? b->limit_octets - b->octets : 0;

	b->octets += run->n;
	if (run->n > left)
		run->n = (size_t)left;
	return run->n > 0;
}

bool mail_dkim_body_next(struct mail_dkim_body *b, struct span *piece, struct span *run_r)
{
	struct span run = { NULL, 0 };

	while (next_run(b, piece, &run)) {
		if (within_limit(b, &run)) {
			*run_r = run;
			return true;
		}
	}
	return false;
}

static bool end_run(struct mail_dkim_body *b, struct span *run_r)
{
	if (b->cr) {
		if (!take_held(b, run_r)) {
			b->cr = false;
			*run_r = SPAN("\r");
		}
		return true;
	}
	/* Empty lines at the end do not count, but the last line has its CRLF. Without any line there is one in the simple form
	 * and none in the relaxed (RFC 6376 sections 3.4.3 and 3.4.4). */
	const bool wanted = !b->ended && (b->canon == MAIL_DKIM_SIMPLE || b->octets > 0);
	b->ended = true;
	*run_r = SPAN("\r\n");
	return wanted;
}

bool mail_dkim_body_end(struct mail_dkim_body *b, struct span *run_r)
{
	struct span run = { NULL, 0 };

	while (end_run(b, &run)) {
		if (within_limit(b, &run)) {
			*run_r = run;
			return true;
		}
	}
	return false;
}
