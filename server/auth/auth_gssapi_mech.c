/* GSSAPI in an AUTH command: tokens go to auth_gssapi.h and back. */
#include <stdio.h>

#include "auth/auth_priv.h"
#include "base/check.h"

static enum auth_step stepped(struct auth_exchange *x)
{
	const struct auth_gssapi_exchange *g = &x->state_->m.gssapi;

	if (g->work.op.status < 0)
		return auth_say(x, AUTH_TEMPORARY, g->why[0] ? g->why : err_text(g->work.op.status));
	switch (g->result) {
	case AUTH_GSSAPI_CHALLENGE:
		return auth_challenge(x, g->challenge);
	case AUTH_GSSAPI_DONE:
		x->identity = g->identity;
		x->tried = x->account = span_of(x->identity.user);
		return auth_done(x);
	case AUTH_GSSAPI_REFUSED:
		return auth_refuse(x, g->answer, g->why);
	case AUTH_GSSAPI_MALFORMED:
		return auth_say(x, AUTH_MALFORMED, g->why);
	default:
		x->answer = AUTH_ANSWER_TEMPFAIL;
		return auth_say(x, AUTH_TEMPORARY, g->why);
	}
}

static void on_step(struct op *op)
{
	struct auth_state *st = container_of(op, struct auth_state, m.gssapi.work.op);
	struct auth_exchange *x = st->owner;

	auth_step_end(x, st->stopped ? AUTH_SAID : stepped(x));
}

static void begin_gssapi(struct auth_exchange *x)
{
	x->backend = "gssapi";
	auth_gssapi_exchange_init(&x->state_->m.gssapi, x->server->gssapi, x->channel, on_step);
}

static enum auth_step step_gssapi(struct auth_exchange *x, struct span in)
{
	struct auth_state *st = x->state_;
	const int64_t left_us = st->due_us - loop_now_us(st->scope->loop);
	const int err = auth_gssapi_exchange_step(&st->m.gssapi, st->scope, in, left_us);

	return err < 0 ? auth_say(x, AUTH_TEMPORARY, err_text(err)) : AUTH_WAITS;
}

static void cancel_gssapi(struct auth_exchange *x)
{
	op_cancel(&x->state_->m.gssapi.work.op);
}

static void end_gssapi(struct auth_exchange *x)
{
	auth_gssapi_exchange_deinit(&x->state_->m.gssapi);
}

const struct auth_mechanism auth_mechanism_gssapi = {
	.step = step_gssapi,
	.begin = begin_gssapi,
	.cancel = cancel_gssapi,
	.deinit = end_gssapi,
};
