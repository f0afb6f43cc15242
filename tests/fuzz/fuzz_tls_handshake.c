/* A server of ours that is given anything; see tls_wire.h. */
#include "tls_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	wire_run(data, size, true);
	return 0;
}
