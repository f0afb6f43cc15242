/* fuzz_mail_dkim_key.c - key records, and the names where they are: selector and domain are what stands in front of two LFs. */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "mail/mail_dkim_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(256 * 1024);
	struct span rest = span_make(data, size);
	struct buf out = BUF_INIT(64 * 1024);
	struct mail_dkim_key key, back;
	const char *why = NULL;
	const struct span selector = span_cut(&rest, '\n'), domain = span_cut(&rest, '\n');

	if (mail_dkim_key_name(&out, selector, domain) == 0) {
		CLAIM(ascii_only(buf_span(&out)) && span_find(buf_span(&out), SPAN("._domainkey.")) >= 0);
		if (ascii_only(domain))
			CLAIM(span_ends(buf_span(&out), domain));
	} else {
		CLAIM(out.n == 0);
	}
	buf_reset(&out);
	const int err = mail_dkim_key_parse(a, rest, &key, &why);
	CLAIM((err < 0) == (why != NULL));
	if (err == 0) {
		CLAIM(key.revoked == (key.octets.n == 0));
		CLAIM(mail_dkim_key_write(&out, key.kind, key.octets));
		CLAIM(mail_dkim_key_parse(a, buf_span(&out), &back, &why) == 0);
		CLAIM(back.kind == key.kind && span_eq(back.octets, key.octets));
	}
	buf_free(&out);
	arena_free(&a);
	return 0;
}
