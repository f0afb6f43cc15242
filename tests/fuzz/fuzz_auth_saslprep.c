/* What is prepared is UTF-8, not longer than it was, has no controls, and stays as it is when it is prepared again. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/auth_saslprep.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = BUF_INIT(size), twice = BUF_INIT(size);
	const struct span in = span_make(data, size);

	const int err = auth_saslprep(in, &once);
	if (err < 0) {
		MUST(once.n == 0 && !once.overflow);
	} else {
		MUST(once.n > 0 && once.n <= size && utf8_valid(buf_span(&once)));
		for (size_t i = 0; i < once.n; i++)
			MUST((unsigned char)once.p[i] >= 0x20 && once.p[i] != 0x7f);
		MUST(auth_saslprep(buf_span(&once), &twice) == 0 &&
		     span_eq(buf_span(&once), buf_span(&twice)));
	}
	buf_free(&once);
	buf_free(&twice);
	return 0;
}
