/* The PROXY header's parser: what it consumes lies within the input, what is a header stays one whatever
 * follows, a beginning of one asks for more, and errors leave the result alone. */
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "io/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = span_make(data, size);
	struct proxy_header h = { .source.port = 1 }, again = { 0 };
	const int n = proxy_header_parse(in, &h);

	if (n < 0) {
		require(h.source.port == 1 && !h.known);
		require(n == -ERR_AGAIN || n == -ERR_SYNTAX || n == -ERR_TOOBIG || n == -ERR_UNSUPPORTED);
		require(n != -ERR_AGAIN || size < PROXY_HEADER_V2_MAX);
		return 0;
	}
	require(n > 0 && (size_t)n <= size && n <= PROXY_HEADER_V2_MAX);
	require(!h.known || (h.source.addr.len && h.destination.addr.len));
	require(proxy_header_parse(span_first(in, (size_t)n), &again) == n);
	require(again.known == h.known && ip_eq(&again.source.addr, &h.source.addr) &&
		again.source.port == h.source.port);
	require(proxy_header_parse(span_first(in, (size_t)n - 1), &again) == -ERR_AGAIN);
	return 0;
}
