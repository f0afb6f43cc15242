/* AUTH commands of a client that says anything. The input: a line with flags, then the mechanism and its initial response, then a line for
 * each challenge. Whatever it says, a step ends exactly once, the number of steps is bounded, and nobody is let in who did not
 * bring a password or a proof: the backend here takes one password alone, and none of SCRAM's proofs can be right. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth_exchange.h"
#include "auth/auth_gssapi.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

struct bed {
	struct loop *loop;
	struct scope scope;
	struct auth_exchange x;
	bool done, closed, right;
};

static void no_stop(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

struct backend {
	struct auth_backend head;
	struct bed *bed;
};

static int check(struct auth_backend *head, struct auth_check *c, struct scope *scope)
{
	struct bed *bed = container_of(head, struct backend, head)->bed;

	MUST(c->user.n > 0 && c->user.n < AUTH_USER_MAX && utf8_valid(c->user));
	MUST(secret_span(c->password).n > 0);
	MUST(op_begin(&c->op, scope, "check", 1000000, no_stop) == 0);
	bed->right = secret_eq(c->password, SPAN("pw"));
	c->answer = bed->right ? AUTH_ANSWER_RIGHT : AUTH_ANSWER_WRONG;
	(void)snprintf(c->identity.user, sizeof c->identity.user, "%.*s", SPAN_ARG(c->user));
	op_complete(&c->op, 0);
	return 0;
}

static void verifier(struct auth_backend *head, struct span user, struct auth_verifier *v)
{
	(void)head;
	MUST(user.n > 0 && utf8_valid(user));
	*v = (struct auth_verifier){
		.answer = AUTH_ANSWER_RIGHT, .salt = "salt", .nsalt = 4, .iterations = 4096
	};
}

static int binding(void *arg, struct span type, uint8_t *out, size_t max)
{
	(void)arg;
	(void)type;
	memset(out, 'b', max < 8 ? max : 8);
	return 8;
}

/* GSSAPI is libkrb5's and is not what is looked for here. */
void auth_gssapi_exchange_init(struct auth_gssapi_exchange *x, struct auth_gssapi *g,
			       const struct auth_channel *channel, void (*done)(struct op *op))
{
	(void)channel;
	*x = (struct auth_gssapi_exchange){ .gssapi = g };
	op_init(&x->work.op, done);
}

int auth_gssapi_exchange_step(struct auth_gssapi_exchange *x, struct scope *scope, struct span token,
			      int64_t deadline_us)
{
	MUST(op_begin(&x->work.op, scope, "gssapi", deadline_us, no_stop) == 0);
	x->result = token.n ? AUTH_GSSAPI_CHALLENGE : AUTH_GSSAPI_REFUSED;
	x->challenge = SPAN("again");
	op_complete(&x->work.op, 0);
	return 0;
}

void auth_gssapi_exchange_deinit(struct auth_gssapi_exchange *x)
{
	MUST(!op_pending(&x->work.op));
}

static void on_done(struct op *op)
{
	struct bed *b = container_of(op, struct bed, x.op);

	MUST(!b->done);
	b->done = true;
}

static void on_closed(struct scope *s)
{
	container_of(s, struct bed, scope)->closed = true;
}

static void wait_done(struct bed *b)
{
	for (int i = 0; i < 100 && !b->done; i++)
		loop_run_once(b->loop, false);
	MUST(b->done);
}

static void look(const struct bed *b, struct buf *scratch)
{
	const struct auth_exchange *x = &b->x;

	MUST(x->why[sizeof x->why - 1] == '\0' && utf8_valid(x->tried));
	for (size_t i = 0; i < x->tried.n; i++)
		MUST((unsigned char)x->tried.p[i] >= 0x20);
	if (x->result == AUTH_CHALLENGE) {
		buf_reset(scratch);
		MUST(base64_decode(scratch, x->challenge) == 0);
	}
	if (x->result == AUTH_DONE)
		MUST(x->identity.user[0] && (b->right || x->mech == AUTH_MECH_EXTERNAL));
}

static void play(struct bed *b, struct span rest)
{
	struct buf scratch = BUF_INIT(100000);
	struct span line = span_cut(&rest, '\n');
	const struct span mech = span_cut(&line, ' ');

	MUST(auth_exchange_start(&b->x, &b->scope, mech, line, 1000000) == 0);
	wait_done(b);
	look(b, &scratch);
	for (int i = 0; b->x.result == AUTH_CHALLENGE; i++) {
		MUST(i < AUTH_STEPS_MAX + 1);
		b->done = false;
		MUST(auth_exchange_next(&b->x, &b->scope, span_cut(&rest, '\n'), 1000000) == 0);
		wait_done(b);
		look(b, &scratch);
	}
	buf_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct auth_backend_ops ops = { .name = "fuzz", .check = check, .verifier = verifier };
	struct bed b = { .done = false };
	struct backend backend = { .head.ops = &ops, .bed = &b };
	const char flags = size ? (char)data[0] : 0;
	const struct auth_server server = { .backend = { &backend.head },
					    .nbackends = 1,
					    .gssapi = (struct auth_gssapi *)(void *)&b,
					    .mechs = UINT32_MAX,
					    .clear_mechs = flags & 8 ? UINT32_MAX : 0,
					    .realm = SPAN_INIT("realm") };
	const struct auth_channel channel = { .tls = !(flags & 1),
					      .binding = flags & 2 ? NULL : binding,
					      .external = flags & 4 ? SPAN("cn") : SPAN("") };

	b.loop = loop_new();
	loop_set_resident(b.loop, false);
	scope_init(&b.scope, b.loop, on_closed);
	auth_exchange_init(&b.x, &server, &channel, on_done);
	play(&b, span_make(size ? data + 1 : data, size ? size - 1 : 0));
	scope_close(&b.scope);
	while (!b.closed)
		loop_run_once(b.loop, false);
	auth_exchange_deinit(&b.x);
	loop_free(&b.loop);
	return 0;
}
