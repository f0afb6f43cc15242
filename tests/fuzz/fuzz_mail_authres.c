/* fuzz_mail_authres.c - Authentication-Results: what was read is written so that it is read as the same; what is written is one
 * field; and nothing that names us is left in a head. */
#include <stdint.h>
#include <stdlib.h>

#include "mail/mail_authres.h"
#include "mail/mail_fold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static void check_same(const struct mail_authres *x, const struct mail_authres *y)
{
	CLAIM(span_eq(x->id, y->id) && x->n == y->n);
	for (size_t i = 0; i < x->n; i++) {
		CLAIM(span_eq(x->v[i].method, y->v[i].method) && span_eq(x->v[i].result, y->v[i].result));
		CLAIM(x->v[i].props_n == y->v[i].props_n);
		for (size_t k = 0; k < x->v[i].props_n; k++)
			CLAIM(span_eq(x->v[i].prop[k].name, y->v[i].prop[k].name));
	}
}

static void check_drop(struct arena *a, struct span value, struct span id)
{
	struct mail_head *h = mail_head_new(a);

	if (mail_head_append(h, SPAN("Authentication-Results"), value, MAIL_FOLD_UTF8) < 0)
		return;
	struct span theirs;
	CLAIM(mail_authres_drop(h, id) >= 0);
	if (h->count)
		CLAIM(mail_authres_id(a, mail_head_next(h, NULL)->body, &theirs) < 0 ||
		      !span_ieq(theirs, id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = span_make(data, size);
	struct arena *a = arena_new(8 * 1024 * 1024);
	struct buf out = BUF_INIT(4 * size + 1000);
	struct mail_authres x, y;

	if (mail_authres_parse(a, in, &x) == 0) {
		CLAIM(mail_authres_write(&out, &x));
		CLAIM(span_find_char(buf_span(&out), '\n') < 0);
		/* An id of control characters alone is not read again as it was. */
		const int err = mail_authres_parse(a, buf_span(&out), &y);
		CLAIM(err == 0);
		if (span_find_char(x.id, '\0') < 0 && mail_authres_id(a, buf_span(&out), &y.id) == 0 &&
		    y.id.n == x.id.n && span_eq(x.id, y.id))
			check_same(&x, &y);
		check_drop(a, in, x.id);
	}
	check_drop(a, in, SPAN("relay.example.edu"));
	buf_free(&out);
	arena_free(&a);
	return 0;
}
