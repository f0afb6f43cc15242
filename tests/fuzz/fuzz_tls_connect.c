/* A client of ours whose server says anything; see tls_wire.h. */
#include "tls_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	wire_run(data, size, false);
	return 0;
}
