/* fuzz_mail_dkim_sig.c - a header section whose first field is a signature: reading it, what it covers, and writing it again. */
#include <stdint.h>
#include <stdlib.h>

#include "mail/mail_dkim_sig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static bool same(const struct mail_dkim_sig *a, const struct mail_dkim_sig *b)
{
	bool eq = a->algorithm == b->algorithm && a->head_canon == b->head_canon &&
		  a->body_canon == b->body_canon && a->signed_s == b->signed_s &&
		  a->expires_s == b->expires_s && a->instance == b->instance &&
		  span_eq(a->domain, b->domain) && span_eq(a->selector, b->selector) &&
		  a->names_n == b->names_n && span_eq(a->signature, b->signature) &&
		  memcmp(a->body_hash, b->body_hash, sizeof a->body_hash) == 0;

	for (size_t i = 0; eq && i < a->names_n; i++)
		eq = span_eq(a->names[i], b->names[i]);
	return eq;
}

static void write_again(struct arena *a, const struct mail_dkim_sig *sig)
{
	struct buf out = BUF_INIT(1024 * 1024);
	struct mail_dkim_sig back;
	struct mail_head *h = NULL;
	const char *why = "";

	if (mail_dkim_sig_write(&out, sig) == 0) {
		CLAIM(mail_dkim_sig_finish(&out, sig->signature));
		if (mail_head_parse(a, buf_span(&out), out.n, &h) > 0) {
			CLAIM(h->count == 1);
			CLAIM(mail_dkim_sig_parse(a, sig->kind, mail_head_next(h, NULL), &back, &why) == 0);
			CLAIM(same(sig, &back));
		}
	}
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(4 * 1024 * 1024);
	struct mail_head *h = NULL;

	if (mail_head_parse(a, span_make(data, size), size, &h) > 0 && h->count) {
		const struct mail_field *f = mail_head_next(h, NULL);
		for (enum mail_dkim_kind kind = MAIL_DKIM_FIELD; kind <= MAIL_DKIM_ARC_SEAL; kind++) {
			struct mail_dkim_sig sig;
			const char *why = NULL;
			const int err = mail_dkim_sig_parse(a, kind, f, &sig, &why);
			CLAIM((err < 0) == (why != NULL));
			if (err < 0)
				continue;
			struct buf cover = BUF_INIT(2 * size + 64 * MAIL_DKIM_NAMES_MAX);
			CLAIM(mail_dkim_sig_cover(&cover, h, &sig, f));
			buf_free(&cover);
			write_again(a, &sig);
		}
		struct span names[MAIL_DKIM_NAMES_MAX];
		CLAIM(mail_dkim_names_wanted(h, names) <= MAIL_DKIM_NAMES_MAX);
	}
	arena_free(&a);
	return 0;
}
