/* fuzz_mail_received.c - whatever peers say: the field that we add is one field, in lines that may be sent,
 * and counts as ours. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "mail/mail_fold.h"
#include "mail/mail_head.h"
#include "mail/mail_received.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

/* Takes the next string of the input: they are separated by 0xff, which is in no UTF-8 text. */
static struct span take(struct span *in)
{
	return span_cut(in, '\xff');
}

static void check_field(struct arena *a, struct span field, bool utf8)
{
	struct mail_head *h = NULL;

	CLAIM(mail_head_parse(a, field, 64 * 1024, &h) == (int)field.n);
	CLAIM(h->count == 1);
	CLAIM((h->oddities & ~(unsigned)(utf8 ? MAIL_HEAD_8BIT : 0)) == 0);
	for (size_t i = 0; i < field.n; i++)
		CLAIM((unsigned char)field.p[i] >= 0x20 || strchr("\t\r\n", field.p[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make(data, size);
	struct arena *a = arena_new(256 * 1024);
	struct buf out = BUF_INIT(64 * 1024);
	struct mail_received r = { .host = SPAN("relay.example.edu"), .rcpt_count = 1 };

	r.how = size ? data[0] : 0;
	r.ip.len = size % 3 == 0 ? 4 : size % 3 == 1 ? 16 : 0;
	r.unix_s = (int64_t)size * 1000000007 * (size ? (int8_t)data[size - 1] : 1);
	r.zone_min = size ? data[size / 2] * 10 - 1280 : 0;
	r.helo = take(&in);
	r.ptr_name = take(&in);
	r.id = take(&in);
	r.rcpt_local = take(&in);
	r.rcpt_domain = take(&in);
	for (size_t i = 0; i < MAIL_RECEIVED_NOTES_MAX; i++)
		r.notes[i] = take(&in);
	CLAIM(mail_received_write(&out, &r) == 0);
	check_field(a, buf_span(&out), r.how & MAIL_RECEIVED_UTF8);

	struct mail_head *h = mail_head_new(a);
	CLAIM(mail_head_prepend_raw(h, buf_span(&out)) == 0);
	CLAIM(mail_received_count_own(h, SPAN("relay.example.edu")) == 1);
	mail_received_delivered_to(h, r.rcpt_local, r.rcpt_domain);

	/* The folding writer, with the same strings. */
	buf_reset(&out);
	if (mail_field_write(&out, SPAN("X-Any"), span_make(data, size), r.how & MAIL_FOLD_UTF8) == 0)
		check_field(a, buf_span(&out), r.how & MAIL_FOLD_UTF8);
	buf_free(&out);
	arena_free(&a);
	return 0;
}
