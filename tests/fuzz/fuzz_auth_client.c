/* A server's side of AUTH, as hostile as can be, against each mechanism: no crash, no response that is no base64 or too long for a
 * line, no success without proof where a mechanism has one, no password in words.
 *
 * Input: an octet that chooses the mechanism and what is offered, then lines: each is a challenge; the last one a refusal. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_client.h"
#include "base/base64.h"
#include "base/check.h"

#define PASSWORD "xyzzy-plugh"

static unsigned done;

static void on_done(struct op *op)
{
	(void)op;
	done++;
}

static int binding(void *arg, struct span type, uint8_t *out, size_t max)
{
	(void)arg;
	(void)type;
	(void)max;
	memset(out, 'b', 32);
	return 32;
}

static void check_word(const struct auth_client *x)
{
	struct buf octets = BUF_INIT(64 * 1024);

	if (x->result == AUTH_CLIENT_SEND) {
		require(x->response.n <= 12288);
		require(base64_decode(&octets, x->response) == 0);
	} else {
		require(x->why[0] && !strstr(x->why, PASSWORD));
	}
	buf_free(&octets);
}

static bool turn(struct loop *loop, struct auth_client *x)
{
	while (!done)
		loop_run_once(loop, true);
	done = 0;
	require(x->op.status == 0);
	check_word(x);
	return x->result == AUTH_CLIENT_SEND;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const offers[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256",
					      "SCRAM-SHA-256 SCRAM-SHA-256-PLUS" };
	struct span rest = span_make(data, size);
	struct auth_credential *c = NULL;
	struct auth_client x;
	struct scope scope;
	struct errtext e;

	if (size < 1)
		return 0;
	const unsigned which = data[0];
	rest = span_skip(rest, 1);
	setenv("POSTERN_SECRET_FUZZ", PASSWORD, 1);
	struct loop *loop = loop_new();
	struct auth_services *services = auth_services_new();
	scope_init(&scope, loop, NULL);
	const struct auth_credential_config cfg = { .name = SPAN("fuzz"),
						    .user = SPAN("user"),
						    .password_variable = SPAN("POSTERN_SECRET_FUZZ") };
	require(auth_credential_new(&cfg, services, &c, &e) == 0);
	const struct auth_client_channel channel = { .tls = true,
						     .verified = true,
						     .host = SPAN("mx.example.org"),
						     .binding = which & 16 ? binding : NULL };
	auth_client_init(&x, c, &channel, on_done);
	struct span line = span_of(offers[which & 3]);
	if (which & 8)
		line = span_cut(&rest, '\n');
	require(auth_client_start(&x, &scope, line, 10000000) == 0);
	bool going = turn(loop, &x);
	while (going && rest.p) {
		line = span_cut(&rest, '\n');
		if (!rest.p)
			break;
		require(auth_client_next(&x, &scope, line, 10000000) == 0);
		going = turn(loop, &x);
	}
	if (going) {
		/* Nothing that a fuzzer finds proves the knowledge of a password. */
		if (strncmp(x.mech, "SCRAM", 5) == 0)
			require(auth_client_accepted(&x) < 0);
		else
			require(auth_client_accepted(&x) == 0);
		auth_client_refused(&x, 535, line);
		check_word(&x);
	}
	auth_client_deinit(&x);
	auth_credential_unref(&c);
	auth_services_unref(&services);
	loop_free(&loop);
	return 0;
}
