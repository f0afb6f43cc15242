/* fuzz_mail_dkim_tags.c - tag lists: what was read can be written and is then the same; no name is there twice. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "mail/mail_dkim_tags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_dkim_tags t, again;
	struct arena *a = arena_new(256 * 1024);
	struct buf out = BUF_INIT(2 * size + 200);
	struct span octets;

	if (mail_dkim_tags_parse(span_make(data, size), &t) == 0) {
		CLAIM(t.n > 0 && t.n <= MAIL_DKIM_TAGS_MAX);
		for (size_t i = 0; i < t.n; i++) {
			buf_add_span(&out, t.v[i].name);
			buf_add_str(&out, " = ");
			buf_add_span(&out, t.v[i].value);
			buf_add_str(&out, ";\r\n ");
			for (size_t k = 0; k < i; k++)
				CLAIM(!span_eq(t.v[i].name, t.v[k].name));
			mail_dkim_base64(a, t.v[i].value, &octets);
		}
		CLAIM(mail_dkim_tags_parse(buf_span(&out), &again) == 0 && again.n == t.n);
		for (size_t i = 0; i < t.n; i++)
			CLAIM(span_eq(t.v[i].value, again.v[i].value));
	}
	buf_free(&out);
	arena_free(&a);
	return 0;
}
