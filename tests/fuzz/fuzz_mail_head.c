/* fuzz_mail_head.c - a header section that nobody edited comes out as it went in, wherever the stream was
 * cut; and what comes out of a broken one is a good one. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "mail/mail_fold.h"
#include "mail/mail_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OCTETS_MAX = 64 * 1024 };

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static void check_pieces(struct span in, size_t step, const struct mail_head *h, size_t octets)
{
	struct mail_head_scan s = MAIL_HEAD_SCAN_INIT;

	for (size_t at = 0; at < in.n; at += step)
		mail_head_scan_feed(&s, span_first(span_skip(in, at), step));
	mail_head_scan_finish(&s);
	CLAIM(s.end == h->end);
	CLAIM(s.end == MAIL_HEAD_END_NONE ? octets == in.n : octets == s.line_octets);
}

/* Every line ends with CRLF, which stand nowhere else, and @fields fields and a blank line are all there is.
 */
static void check_written(struct arena *a, struct span out, size_t fields)
{
	struct mail_head *h = NULL;

	for (size_t i = 0; i < out.n; i++) {
		CLAIM(out.p[i] != '\n' || (i > 0 && out.p[i - 1] == '\r'));
		CLAIM(out.p[i] != '\r' || (i + 1 < out.n && out.p[i + 1] == '\n'));
	}
	CLAIM(mail_head_parse(a, out, 4 * OCTETS_MAX, &h) == (int)out.n);
	CLAIM(h->count == fields && h->end == MAIL_HEAD_END_BLANK);
}

static void edit(struct mail_head *h, struct span in)
{
	struct mail_field *f = mail_head_find(h, SPAN("Subject"), -1);
	const struct span part = span_first(in, in.n / 2);

	if (f && mail_head_replace(h, f, part, MAIL_FOLD_UTF8) == 0)
		CLAIM(f->raw.n > 0);
	mail_head_prepend(h, SPAN("Received"), in, 0);
	mail_head_append(h, SPAN("X-End"), part, MAIL_FOLD_UTF8);
	mail_head_append(h, part, in, 0);
	mail_head_prepend_raw(h, in);
	mail_head_remove_all(h, SPAN("Return-Path"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = span_make(data, size);
	struct arena *a = arena_new(4 * 1024 * 1024);
	struct buf out = BUF_INIT(4 * OCTETS_MAX);
	struct mail_head *h = NULL;
	const int octets = mail_head_parse(a, in, OCTETS_MAX, &h);

	if (octets >= 0) {
		check_pieces(in, 1, h, (size_t)octets);
		check_pieces(in, 7, h, (size_t)octets);
		CLAIM(mail_head_write(h, &out) == 0);
		const unsigned mended = MAIL_HEAD_BARE_LF | MAIL_HEAD_BARE_CR | MAIL_HEAD_MBOX_LINE;
		if (h->end == MAIL_HEAD_END_BLANK && !(h->oddities & mended))
			CLAIM(span_eq(buf_span(&out), span_first(in, (size_t)octets)));
		check_written(a, buf_span(&out), h->count);
		for (struct mail_field *f = mail_head_next(h, NULL); f; f = mail_head_next(h, f))
			CLAIM(mail_field_value(a, f).n <= f->body.n);
		edit(h, in);
		buf_reset(&out);
		if (mail_head_write(h, &out) == 0)
			check_written(a, buf_span(&out), h->count);
	}
	buf_free(&out);
	arena_free(&a);
	return 0;
}
