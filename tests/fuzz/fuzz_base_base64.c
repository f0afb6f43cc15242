/* Any octets to text and back; any text either refused or, decoded and encoded again, itself. */
#include <stdint.h>
#include <stdlib.h>

#include "base/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = span_make(data, size);
	struct buf text = BUF_INIT(BASE64_LEN(size)), plain = BUF_INIT(size);

	MUST(base64_encode(&text, in) && text.n == BASE64_LEN(size));
	MUST(base64_decode(&plain, buf_span(&text)) == 0 && span_eq(buf_span(&plain), in));
	buf_reset(&plain);
	buf_reset(&text);
	const int err = base64_decode(&plain, in);
	MUST(err == 0 || (err == -ERR_SYNTAX && plain.n == 0));
	if (err == 0)
		MUST(base64_encode(&text, buf_span(&plain)) && span_eq(buf_span(&text), in));
	buf_free(&text);
	buf_free(&plain);
	return 0;
}
