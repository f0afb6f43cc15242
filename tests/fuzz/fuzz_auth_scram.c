/* Both sides of SCRAM against any messages: the input is a line each. Nothing but the right proof is ever taken. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/auth_scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static const uint8_t stored[AUTH_SCRAM_KEY] = "a key that nobody has the hash"; /* so no proof can be right */

static void serve(struct span first, struct span final)
{
	struct auth_scram s;
	struct auth_scram_hello hello;
	struct buf out = BUF_INIT(3 * AUTH_SCRAM_MESSAGE_MAX);

	auth_scram_init(&s);
	if (auth_scram_server_first(&s, first, &hello) == 0) {
		MUST(hello.user.n > 0 && hello.user.n <= first.n);
		MUST((hello.binding == AUTH_SCRAM_BINDING_USED) == (hello.binding_type.n > 0));
		MUST(auth_scram_server_challenge(&s, SPAN("nonce"), SPAN("salt"), 4096, &out) == 0);
		MUST(auth_scram_server_final(&s, final, SPAN("bound"), stored, stored, &out) < 0);
	}
	auth_scram_deinit(&s);
	buf_free(&out);
}

static void ask(struct span challenge, struct span verify)
{
	const struct auth_scram_hello hello = { .user = SPAN_INIT("u,=") };
	struct auth_scram s;
	struct buf out = BUF_INIT(3 * AUTH_SCRAM_MESSAGE_MAX), salt = BUF_INIT(AUTH_SCRAM_MESSAGE_MAX);
	struct span why;
	uint32_t iterations;

	auth_scram_init(&s);
	MUST(auth_scram_client_first(&s, &hello, SPAN("r"), &out) == 0);
	if (auth_scram_client_challenge(&s, challenge, &salt, &iterations) == 0) {
		MUST(iterations >= AUTH_SCRAM_ITERATIONS_MIN && iterations <= AUTH_SCRAM_ITERATIONS_MAX);
		MUST(auth_scram_client_final(&s, stored, SPAN(""), &out) == 0);
		MUST(auth_scram_client_verify(&s, verify, &why) < 0);
	}
	auth_scram_deinit(&s);
	buf_free(&out);
	buf_free(&salt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_make(data, size);
	const struct span one = span_cut(&rest, '\n');

	serve(one, rest);
	ask(one, rest);
	return 0;
}
