/* fuzz_mail_address.c - what is found in a list of addresses stands in it, in order; an address that is
 * written from what was found is found again. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "mail/mail_address.h"
#include "mail/mail_fold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static bool is_inside(struct span inner, struct span outer)
{
	return inner.n == 0 || (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n);
}

static void check_written(struct arena *a, const struct mail_mailbox *m)
{
	struct buf b = BUF_INIT(64 * 1024);
	struct mail_address_list again;

	CLAIM(mail_phrase_write(&b, m->name, MAIL_FOLD_UTF8));
	CLAIM(buf_add_str(&b, " <"));
	CLAIM(mail_address_write(&b, m->local, m->domain, MAIL_FOLD_UTF8));
	CLAIM(buf_add_char(&b, '>'));
	CLAIM(span_find_char(buf_span(&b), '\r') < 0 && span_find_char(buf_span(&b), '\n') < 0);
	CLAIM(mail_address_parse(a, buf_span(&b), 2, &again) == 0);
	CLAIM(again.n == 1 && again.broken == 0);
	CLAIM(again.boxes[0].local.n == m->local.n || !(m->flags & MAIL_MAILBOX_QUOTED));
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = span_make(data, size);
	struct arena *a = arena_new(1024 * 1024);
	struct mail_address_list list;
	const char *at = in.p;

	if (mail_address_parse(a, in, 50, &list) == 0) {
		CLAIM(list.n <= 50);
		CLAIM(is_inside(list.broken_first, in));
		for (size_t i = 0; i < list.n; i++) {
			const struct mail_mailbox *m = &list.boxes[i];
			CLAIM(m->all.p >= at && is_inside(m->all, in));
			CLAIM(is_inside(m->name, m->all) && is_inside(m->spec, m->all));
			CLAIM(m->spec.n >= m->local.n + m->domain.n);
			CLAIM((m->domain.n == 0) == ((m->flags & MAIL_MAILBOX_NO_DOMAIN) != 0));
			at = m->all.p + m->all.n;
			check_written(a, m);
		}
	}
	arena_free(&a);
	return 0;
}
