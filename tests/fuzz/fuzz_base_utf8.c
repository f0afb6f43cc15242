/* utf8_char_len() against a decoder that works the other way round: it decodes generously, then asks whether the code point is one
 * and whether its shortest form is what was read. */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t reference_len(const uint8_t *p, size_t n)
{
	const unsigned lead = n ? p[0] : 0;
	const size_t len = n == 0            ? 0
			   : lead < 0x80     ? 1
			   : lead >> 5 == 6  ? 2
			   : lead >> 4 == 14 ? 3
			   : lead >> 3 == 30 ? 4
					     : 0;
	uint32_t c = len == 1 ? lead : lead & (0x7fu >> len);

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	const size_t shortest = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	return shortest == len && c <= 0x10ffff && c >> 11 != 0x1b ? len : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < size; i++)
		if (utf8_char_len(span_make(data + i, size - i)) != reference_len(data + i, size - i))
			abort();
	while (at < size) {
		const size_t n = reference_len(data + at, size - at);
		if (n == 0)
			break;
		at += n;
	}
	if (utf8_valid(span_make(data, size)) != (at == size))
		abort();
	return 0;
}
