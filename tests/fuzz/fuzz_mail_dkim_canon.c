/* fuzz_mail_dkim_canon.c - the canonical body does not depend on the pieces it came in, ends as the RFC says, and has none of
 * what its form takes out; a header field becomes one line. The first octet says how the rest is cut. */
#include <stdint.h>
#include <stdlib.h>

#include "mail/mail_dkim_canon.h"
#include "mail/mail_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static void canon(struct buf *out, enum mail_dkim_canon form, uint64_t limit, struct span body, size_t step)
{
	struct mail_dkim_body b = mail_dkim_body_init(form, limit);
	struct span run;

	buf_reset(out);
	while (body.n) {
		struct span piece = span_first(body, step);
		body = span_skip(body, piece.n);
		while (mail_dkim_body_next(&b, &piece, &run)) {
			CLAIM(run.n > 0);
			buf_add_span(out, run);
		}
		CLAIM(piece.n == 0);
	}
	while (mail_dkim_body_end(&b, &run))
		buf_add_span(out, run);
	CLAIM(out->n == (b.octets < limit ? b.octets : limit));
}

static void check_body(struct span body, size_t step, enum mail_dkim_canon form)
{
	struct buf whole = BUF_INIT(2 * body.n + 10), cut = BUF_INIT(2 * body.n + 10);
	const struct span w = (canon(&whole, form, MAIL_DKIM_NO_LIMIT, body, body.n + 1), buf_span(&whole));

	canon(&cut, form, MAIL_DKIM_NO_LIMIT, body, step);
	CLAIM(span_eq(w, buf_span(&cut)));
	canon(&cut, form, step, body, step);
	CLAIM(span_eq(span_first(w, step), buf_span(&cut)));
	CLAIM(w.n == 0 ? form == MAIL_DKIM_RELAXED : span_ends(w, SPAN("\r\n")));
	if (w.n > 2)
		CLAIM(!span_ends(w, SPAN("\r\n\r\n")));
	if (form == MAIL_DKIM_RELAXED) {
		CLAIM(span_find(w, SPAN(" \r\n")) < 0 && span_find(w, SPAN("  ")) < 0 &&
		      span_find(w, SPAN("\t")) < 0);
		/* It is its own canonical form. */
		canon(&cut, form, MAIL_DKIM_NO_LIMIT, w, step);
		CLAIM(span_eq(w, buf_span(&cut)));
	}
	buf_free(&whole);
	buf_free(&cut);
}

static void check_field(struct span raw)
{
	struct buf out = BUF_INIT(2 * raw.n + 10), mine = BUF_INIT(2 * raw.n + 10);

	CLAIM(mail_dkim_canon_field(&out, MAIL_DKIM_RELAXED, raw));
	CLAIM(span_find_char(buf_span(&out), '\n') == (ptrdiff_t)out.n - 1);
	CLAIM(mail_dkim_canon_signature(&mine, MAIL_DKIM_RELAXED, raw));
	CLAIM(mine.n <= out.n && span_find_char(buf_span(&mine), '\n') < 0);
	buf_reset(&out);
	buf_reset(&mine);
	CLAIM(mail_dkim_canon_field(&out, MAIL_DKIM_SIMPLE, raw) && span_ends(buf_span(&out), SPAN("\r\n")));
	CLAIM(mail_dkim_canon_signature(&mine, MAIL_DKIM_SIMPLE, raw) && mine.n < out.n);
	buf_free(&out);
	buf_free(&mine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct span rest = span_make(data + 1, size - 1);
	const size_t step = (size_t)data[0] + 1;

	check_body(rest, step, MAIL_DKIM_SIMPLE);
	check_body(rest, step, MAIL_DKIM_RELAXED);
	struct arena *a = arena_new(1024 * 1024);
	struct mail_head *h = NULL;
	if (mail_head_parse(a, rest, rest.n, &h) >= 0)
		for (const struct mail_field *f = mail_head_next(h, NULL); f; f = mail_head_next(h, f))
			check_field(f->raw);
	arena_free(&a);
	return 0;
}
