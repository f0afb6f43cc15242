/* mail_dkim_write.c - the signature field that we make; see mail_dkim_sig.h. */
#include "mail/mail_dkim_sig.h"

#include "base/base64.h"
#include "mail/mail_char.h"
#include "mail/mail_fold.h"

/* The field while it is written. */
struct writer {
	struct buf *out;
	size_t column;
	bool bad; /* a value had what may not stand there */
};

static void put(struct writer *w, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		w->bad |= mail_is_control(s.p[i]) || s.p[i] == ';' || (s.p[i] == ' ' && i + 1 < s.n);
	buf_add_span(w->out, s);
	w->column += s.n;
}

/* Room for @octets on this line, or a new one. */
static void room(struct writer *w, size_t octets)
{
	if (w->column > 1 && w->column + octets > MAIL_LINE_WANTED_MAX) {
		buf_add_str(w->out, "\r\n\t");
		w->column = 1;
	}
}

/* The next tag stands behind a space or a fold. */
static void put_tag(struct writer *w, const char *name, struct span value, bool last)
{
	const struct span n = span_of(name);

	if (w->column > 1 && w->column + 3 + n.n + value.n > MAIL_LINE_WANTED_MAX) {
		buf_add_str(w->out, "\r\n\t");
		w->column = 1;
	} else {
		put(w, SPAN(" "));
	}
	put(w, n);
	put(w, SPAN("="));
	put(w, value);
	if (!last) {
		buf_add_char(w->out, ';');
		w->column++;
	}
}

static void put_number(struct writer *w, const char *name, uint64_t v)
{
	struct buf b = BUF_INIT(24);

	buf_add_u64(&b, v);
	put_tag(w, name, buf_span(&b), false);
	buf_free(&b);
}

static void put_names(struct writer *w, const struct mail_dkim_sig *sig)
{
	put_tag(w, "h", SPAN(""), true);
	for (size_t i = 0; i < sig->names_n; i++) {
		room(w, sig->names[i].n + 1);
		put(w, sig->names[i]);
		if (i + 1 < sig->names_n)
			put(w, SPAN(":"));
	}
	buf_add_char(w->out, ';');
	w->column++;
}

static void put_body_hash(struct writer *w, const struct mail_dkim_sig *sig)
{
	struct buf b = BUF_INIT(BASE64_LEN(MAIL_DKIM_HASH_OCTETS));

	base64_encode(&b, span_make(sig->body_hash, sizeof sig->body_hash));
	put_tag(w, "bh", buf_span(&b), false);
	buf_free(&b);
}

static void put_canon(struct writer *w, const struct mail_dkim_sig *sig)
{
	struct buf b = BUF_INIT(32);

	buf_addf(&b, "%s/%s", mail_dkim_canon_name(sig->head_canon), mail_dkim_canon_name(sig->body_canon));
	put_tag(w, "c", buf_span(&b), false);
	buf_free(&b);
}

int mail_dkim_sig_write(struct buf *out, const struct mail_dkim_sig *sig)
{
	struct writer w = { .out = out };
	const bool seal = sig->kind == MAIL_DKIM_ARC_SEAL;
	const size_t before = out->n;

	put(&w, span_of(mail_dkim_kind_name(sig->kind)));
	put(&w, SPAN(":"));
	if (sig->kind == MAIL_DKIM_FIELD)
		put_tag(&w, "v", SPAN("1"), false);
	else
		put_number(&w, "i", sig->instance);
	put_tag(&w, "a", span_of(mail_dkim_algorithm_name(sig->algorithm)), false);
	if (seal)
		put_tag(&w, "cv", sig->chain, false);
	else
		put_canon(&w, sig);
	put_tag(&w, "d", sig->domain, false);
	put_tag(&w, "s", sig->selector, false);
	if (sig->signed_s >= 0)
		put_number(&w, "t", (uint64_t)sig->signed_s);
	if (sig->expires_s >= 0)
		put_number(&w, "x", (uint64_t)sig->expires_s);
	if (sig->kind == MAIL_DKIM_FIELD && sig->identity.n)
		put_tag(&w, "i", sig->identity, false);
	if (!seal) {
		put_names(&w, sig);
		put_body_hash(&w, sig);
	}
	/* Behind it stands the signature, in lines of its own: what was signed ends here. */
	put_tag(&w, "b", SPAN(""), true);
	if (!w.bad && !out->overflow)
		return 0;
	out->n = before;
	return w.bad ? -ERR_INVAL : -ERR_TOOBIG;
}

bool mail_dkim_sig_finish(struct buf *out, struct span signature)
{
	enum { LINE = 72 };
	struct buf text = BUF_INIT(BASE64_LEN(signature.n));

	base64_encode(&text, signature);
	for (size_t i = 0; i < text.n; i += LINE) {
		buf_add_str(out, "\r\n\t");
		buf_add_span(out, span_first(span_skip(buf_span(&text), i), LINE));
	}
	buf_free(&text);
	return buf_add_str(out, "\r\n");
}

/* --- what we sign --- */

/* RFC 6376 section 5.4.1, and what mail programs act upon today. SEAL: one more than are there. Return-Path, Received and the
 * like, which others may change on the way, are not here (section 5.4). */
enum { SIGN, SEAL };
static const struct {
	struct span name;
	int how;
} wanted[] = {
	{ SPAN_INIT("From"), SEAL },
	{ SPAN_INIT("Sender"), SIGN },
	{ SPAN_INIT("Reply-To"), SEAL },
	{ SPAN_INIT("To"), SEAL },
	{ SPAN_INIT("Cc"), SEAL },
	{ SPAN_INIT("Subject"), SEAL },
	{ SPAN_INIT("Date"), SEAL },
	{ SPAN_INIT("Message-ID"), SEAL },
	{ SPAN_INIT("In-Reply-To"), SIGN },
	{ SPAN_INIT("References"), SIGN },
	{ SPAN_INIT("MIME-Version"), SIGN },
	{ SPAN_INIT("Content-Type"), SEAL },
	{ SPAN_INIT("Content-Transfer-Encoding"), SIGN },
	{ SPAN_INIT("Content-ID"), SIGN },
	{ SPAN_INIT("Content-Description"), SIGN },
	{ SPAN_INIT("Content-Disposition"), SIGN },
	{ SPAN_INIT("Content-Language"), SIGN },
	{ SPAN_INIT("Resent-Date"), SIGN },
	{ SPAN_INIT("Resent-From"), SIGN },
	{ SPAN_INIT("Resent-Sender"), SIGN },
	{ SPAN_INIT("Resent-To"), SIGN },
	{ SPAN_INIT("Resent-Cc"), SIGN },
	{ SPAN_INIT("Resent-Message-ID"), SIGN },
	{ SPAN_INIT("List-Id"), SIGN },
	{ SPAN_INIT("List-Help"), SIGN },
	{ SPAN_INIT("List-Unsubscribe"), SIGN },
	{ SPAN_INIT("List-Unsubscribe-Post"), SIGN },
	{ SPAN_INIT("List-Subscribe"), SIGN },
	{ SPAN_INIT("List-Post"), SIGN },
	{ SPAN_INIT("List-Owner"), SIGN },
	{ SPAN_INIT("List-Archive"), SIGN },
	{ SPAN_INIT("Auto-Submitted"), SIGN },
};

size_t mail_dkim_names_wanted(const struct mail_head *h, struct span *names_r)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		const size_t times = mail_head_count(h, wanted[i].name) + (wanted[i].how == SEAL);
		for (size_t k = 0; k < times && n < MAIL_DKIM_NAMES_MAX; k++)
			names_r[n++] = wanted[i].name;
	}
	return n;
}
