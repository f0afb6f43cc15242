/* fuzz_mail_arc.c - chains of ARC sets in any header section: complete or refused, and covered in linear space. */
#include <stdint.h>
#include <stdlib.h>

#include "mail/mail_arc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(4 * 1024 * 1024);
	struct mail_head *h = NULL;
	struct mail_arc arc;

	if (mail_head_parse(a, span_make(data, size), size, &h) >= 0 && mail_arc_parse(a, h, &arc) == 0 &&
	    !arc.why) {
		struct buf cover = BUF_INIT(2 * size + 100);
		CLAIM(arc.n <= MAIL_ARC_SETS_MAX);
		for (size_t i = 0; i < arc.n; i++) {
			const struct mail_arc_set *s = &arc.v[i];
			CLAIM(s->results && s->message && s->seal);
			CLAIM(s->message_sig.instance == i + 1 && s->seal_sig.instance == i + 1);
		}
		if (arc.n) {
			const struct mail_arc_set *s = &arc.v[arc.n - 1];
			CLAIM(!arc.ended);
			CLAIM(mail_arc_cover(&cover, &arc, arc.n - 1, s->results->raw, s->message->raw,
					     s->seal->raw));
		}
		buf_free(&cover);
	}
	arena_free(&a);
	return 0;
}
