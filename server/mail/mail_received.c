#include "mail/mail_received.h"

#include "base/err.h"
#include "base/utf8.h"
#include "mail/mail_address.h"
#include "mail/mail_char.h"
#include "mail/mail_date.h"
#include "mail/mail_fold.h"

/* Longest word that is taken from a peer, and longest note: no line can come near MAIL_LINE_MAX. */
enum { WORD_MAX = 255, ADDRESS_MAX = 2 * WORD_MAX, NOTE_MAX = 400, NOTE_OCTETS_MAX = NOTE_MAX + 2 };

#define PRODUCT "(Postern)"

const char *mail_received_keyword(unsigned how)
{
	/* RFC 3848, RFC 6531 section 4.3: [UTF8 or not][LMTP or not][TLS and AUTH] */
	static const char *const names[2][2][4] = {
		{ { "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA" }, { "LMTP", "LMTPS", "LMTPA", "LMTPSA" } },
		{ { "UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA" },
		  { "UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA" } },
	};
	const unsigned which = !!(how & MAIL_RECEIVED_TLS) + 2 * !!(how & MAIL_RECEIVED_AUTH);

	if (!(how & (MAIL_RECEIVED_ESMTP | MAIL_RECEIVED_LMTP)))
		return "SMTP"; /* HELO has no variants, whatever happened around it */
	return names[!!(how & MAIL_RECEIVED_UTF8)][!!(how & MAIL_RECEIVED_LMTP)][which];
}

/* The field while it is written, word by word. */
struct writer {
	struct buf *out;
	size_t column;
	unsigned fold_flags;
};

static void new_line(struct writer *w)
{
	buf_add_str(w->out, "\r\n\t");
	w->column = 1;
}

/* Adds a word that is clean already, in front of it a space or a fold. */
static void put(struct writer *w, struct span word)
{
	if (w->column > 1) {
		if (w->column + 1 + word.n > MAIL_LINE_WANTED_MAX) {
			new_line(w);
		} else {
			buf_add_char(w->out, ' ');
			w->column++;
		}
	}
	buf_add_span(w->out, word);
	w->column += word.n;
}

static void put_str(struct writer *w, const char *word)
{
	put(w, span_of(word));
}

/* Octets of the character at the start of @s if it may stand in a domain, or 0. More is allowed than in real
 * names, since what the device said helps to find it: but nothing that has a meaning in this field. */
static size_t domain_char_len(struct span s, unsigned fold_flags)
{
	if (mail_is_8bit(s.p[0]))
		return fold_flags & MAIL_FOLD_UTF8 ? utf8_char_len(s) : 0;
	return mail_is_atext(s.p[0]) || strchr(".:[]", s.p[0]) ? 1 : 0;
}

/* Adds @s, cleaned and cut. */
static void clean_domain(struct buf *out, struct span s, unsigned fold_flags)
{
	const size_t max = out->n + WORD_MAX;

	if (s.n == 0)
		buf_add_str(out, "unknown");
	while (s.n && out->n < max) {
		const size_t n = s.p[0] ? domain_char_len(s, fold_flags) : 0;
		if (n)
			buf_add(out, s.p, n);
		else
			buf_add_char(out, '?');
		s = span_skip(s, n ? n : 1);
	}
}

static void put_domain(struct writer *w, struct span s)
{
	struct buf word = BUF_INIT(WORD_MAX + 4);

	clean_domain(&word, s, w->fold_flags);
	put(w, buf_span(&word));
	buf_free(&word);
}

static bool parentheses_match(struct span s)
{
	size_t depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' || (s.p[i] == ')' && depth == 0))
			return false;
		depth = depth + (s.p[i] == '(') - (s.p[i] == ')');
	}
	return depth == 0;
}

/* Adds a comment, which may be folded at its spaces. */
static void put_note(struct writer *w, struct span note)
{
	struct buf b = BUF_INIT(NOTE_OCTETS_MAX);

	buf_add_char(&b, '(');
	mail_text_clean(&b, span_first(note, NOTE_MAX), w->fold_flags);
	const bool match = parentheses_match(span_skip(buf_span(&b), 1));
	for (size_t i = 1; i < b.n; i++) {
		if (!match && strchr("()\\", b.p[i]))
			b.p[i] = '?';
		else if (b.p[i] == '\t')
			b.p[i] = ' ';
	}
	buf_add_char(&b, ')');
	new_line(w);
	for (struct span rest = buf_span(&b); rest.p;) {
		const struct span word = span_cut(&rest, ' ');
		if (word.n)
			put(w, word);
	}
	buf_free(&b);
}

static void put_client(struct writer *w, const struct mail_received *r)
{
	struct buf address = BUF_INIT(WORD_MAX + IP_TEXT_MAX + 16);

	put_str(w, "from");
	put_domain(w, r->helo);
	if (r->ip.len == 0)
		return;
	const struct ip_text ip = ip_format(&r->ip);
	buf_add_char(&address, '(');
	clean_domain(&address, r->ptr_name, w->fold_flags);
	buf_addf(&address, " [%s%s])", r->ip.len == 16 ? "IPv6:" : "", ip.s);
	put(w, buf_span(&address));
	buf_free(&address);
}

/* "for <path>", unless the address cannot be written here: RFC 6531 section 3.7.3 wants plain ASCII without
 * SMTPUTF8. */
static void put_rcpt(struct writer *w, const struct mail_received *r)
{
	struct buf b = BUF_INIT(ADDRESS_MAX);

	if (r->rcpt_count != 1 || r->rcpt_local.n == 0)
		return;
	buf_add_char(&b, '<');
	mail_address_write(&b, r->rcpt_local, r->rcpt_domain, MAIL_FOLD_UTF8);
	buf_add_char(&b, '>');
	if (!b.overflow && (w->fold_flags & MAIL_FOLD_UTF8 || ascii_only(buf_span(&b)))) {
		new_line(w);
		put_str(w, "for");
		put(w, buf_span(&b));
	}
	buf_free(&b);
}

int mail_received_write(struct buf *out, const struct mail_received *r)
{
	struct writer w = { .out = out, .fold_flags = r->how & MAIL_RECEIVED_UTF8 ? MAIL_FOLD_UTF8 : 0 };
	const struct mail_date_text date = mail_date_format(r->unix_s, r->zone_min);

	if (r->host.n == 0)
		return -ERR_INVAL;
	put_str(&w, "Received:");
	put_client(&w, r);
	for (size_t i = 0; i < MAIL_RECEIVED_NOTES_MAX; i++)
		if (r->notes[i].n)
			put_note(&w, r->notes[i]);
	new_line(&w);
	put_str(&w, "by");
	put_domain(&w, r->host);
	put_str(&w, PRODUCT);
	put_str(&w, "with");
	put_str(&w, mail_received_keyword(r->how));
	if (r->id.n) {
		put_str(&w, "id");
		put_domain(&w, r->id);
	}
	put_rcpt(&w, r);
	buf_add_char(out, ';');
	w.column++;
	/* The date stays in one piece: some read it line by line. */
	put(&w, span_of(date.s));
	return buf_add_str(out, "\r\n") ? 0 : -ERR_TOOBIG;
}

/* --- those of others --- */

/* The next word or comment of a field's body; empty at its end. */
static struct span next_token(struct span *s)
{
	size_t n = 0, depth = 0;

	while (s->n && mail_is_space(s->p[0]))
		*s = span_skip(*s, 1);
	for (; n < s->n; n++) {
		const char c = s->p[n];
		if (c == '(') {
			if (depth == 0 && n > 0)
				break;
			depth++;
		} else if (c == ')' && depth > 0 && --depth == 0) {
			n++;
			break;
		} else if (depth == 0 && (mail_is_space(c) || c == ';')) {
			n += n == 0;
			break;
		}
	}
	const struct span token = span_first(*s, n);
	*s = span_skip(*s, n);
	return token;
}

/* Does it say "by @host (Postern)"? */
static bool is_own(struct span body, struct span host)
{
	struct span before[2] = { { NULL, 0 }, { NULL, 0 } };

	for (;;) {
		const struct span token = next_token(&body);
		if (token.n == 0)
			return false;
		if (span_eq(token, SPAN(PRODUCT)) && span_ieq(before[1], host) &&
		    span_ieq(before[0], SPAN("by")))
			return true;
		before[0] = before[1];
		before[1] = token;
	}
}

size_t mail_received_count(const struct mail_head *h)
{
	return mail_head_count(h, SPAN("Received"));
}

size_t mail_received_count_own(const struct mail_head *h, struct span host)
{
	size_t n = 0;

	for (const struct mail_field *f = mail_head_next(h, NULL); f; f = mail_head_next(h, f))
		if (span_ieq(f->name, SPAN("Received")))
			n += is_own(f->body, host);
	return n;
}

bool mail_received_delivered_to(const struct mail_head *h, struct span local, struct span domain)
{
	for (const struct mail_field *f = mail_head_next(h, NULL); f; f = mail_head_next(h, f)) {
		struct mail_address_list list;
		if (!span_ieq(f->name, SPAN("Delivered-To")) ||
		    mail_address_parse(h->arena, f->body, 1, &list) < 0)
			continue;
		if (list.n == 1 && span_ieq(list.boxes[0].local, local) &&
		    span_ieq(list.boxes[0].domain, domain))
			return true;
	}
	return false;
}

size_t mail_received_drop_return_path(struct mail_head *h)
{
	return mail_head_remove_all(h, SPAN("Return-Path"));
}
