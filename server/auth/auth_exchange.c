/* The server's side of one AUTH command:
 *
 *   1. auth_exchange_start() looks whether the mechanism is one that may be used here and now
 *   2. what the client said is freed of its base64 and given to the mechanism (auth_priv.h), which says what comes of it:
 *        a challenge: it is put into base64, the op completes, and auth_exchange_next() brings the answer: 2 again
 *        an end: the op completes
 *        it waits, for a backend: the op completes when that has answered
 *
 * It fails when the line is too long, is no base64, or is not what the mechanism wants (malformed); when the proof is wrong
 * (refused); when no backend can say, the deadline passes or the scope closes (temporary). All of these end the exchange: only
 * auth_exchange_deinit() is left to be called.
 */
#include "auth/auth_exchange.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/auth_priv.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/mem.h"

static const struct auth_mechanism *const mechanisms[] = {
	[AUTH_MECH_SCRAM_SHA_256_PLUS] = &auth_mechanism_scram,
	[AUTH_MECH_SCRAM_SHA_256] = &auth_mechanism_scram,
	[AUTH_MECH_GSSAPI] = &auth_mechanism_gssapi,
	[AUTH_MECH_EXTERNAL] = &auth_mechanism_external,
	[AUTH_MECH_PLAIN] = &auth_mechanism_plain,
	[AUTH_MECH_LOGIN] = &auth_mechanism_login,
};

static const char *const op_names[] = {
#define X(name, text) [AUTH_MECH_##name] = "auth " text,
	AUTH_MECH_MAP(X)
#undef X
};

/* ---- what mechanisms say ------------------------------------------------------------------------------- */

enum auth_step auth_say(struct auth_exchange *x, enum auth_result result, const char *why)
{
	x->result = result;
	(void)snprintf(x->why, sizeof x->why, "%s", why);
	return AUTH_SAID;
}

enum auth_step auth_refuse(struct auth_exchange *x, enum auth_answer answer, const char *why)
{
	x->answer = answer;
	return auth_say(x, AUTH_REFUSED, why);
}

enum auth_step auth_challenge(struct auth_exchange *x, struct span text)
{
	struct auth_state *st = x->state_;

	if (st->steps == AUTH_STEPS_MAX)
		return auth_say(x, AUTH_MALFORMED, "the exchange has no end");
	buf_reset(&st->challenge_text);
	if (!base64_encode(&st->challenge_text, text))
		return auth_say(x, AUTH_TEMPORARY, "the challenge is too long");
	x->challenge = buf_span(&st->challenge_text);
	return auth_say(x, AUTH_CHALLENGE, "");
}

static struct span name_span(const struct auth_name *name)
{
	return span_make(name->s, name->n);
}

enum auth_step auth_done(struct auth_exchange *x)
{
	const struct auth_state *st = x->state_;
	const struct span as = name_span(&st->authzid);

	if (as.n && !span_eq(as, name_span(&st->typed)) && !span_eq(as, name_span(&st->user)) &&
	    !span_eq(as, span_of(x->identity.user)))
		return auth_refuse(x, AUTH_ANSWER_WRONG, "it wants to act as somebody else");
	if (!x->identity.realm[0])
		(void)snprintf(x->identity.realm, sizeof x->identity.realm, "%.*s",
			       SPAN_ARG(x->server->realm));
	return auth_say(x, AUTH_DONE, "");
}

/* ---- a step -------------------------------------------------------------------------------------------- */

void auth_step_end(struct auth_exchange *x, enum auth_step said)
{
	struct auth_state *st = x->state_;

	st->waits = said == AUTH_WAITS;
	if (st->waits)
		return;
	if (st->stopped)
		auth_say(x, AUTH_TEMPORARY, "canceled, or out of time");
	buf_wipe(&st->line);
	if (x->result != AUTH_CHALLENGE)
		x->challenge = (struct span){ NULL, 0 };
	op_complete(&x->op, 0);
}

static void stop_step(struct op *op)
{
	struct auth_exchange *x = container_of(op, struct auth_exchange, op);
	struct auth_state *st = x->state_;

	st->stopped = true;
	if (st->waits && st->how->cancel)
		st->how->cancel(x);
}

/* "=" stands for an empty initial response (RFC 4954 section 4); later it is as wrong as any lone padding. */
static enum auth_step decode(struct auth_exchange *x, struct span line)
{
	struct auth_state *st = x->state_;

	if (!st->opened && span_eq(line, SPAN("=")))
		line = SPAN("");
	if (line.n > AUTH_LINE_MAX)
		return auth_say(x, AUTH_TOO_LONG, "the line is too long");
	buf_reserve(&st->line,
		    line.n); /* so that it never grows, which would leave a part of a secret behind */
	if (base64_decode(&st->line, line) < 0)
		return auth_say(x, AUTH_MALFORMED, "not base64");
	return AUTH_WAITS;
}

static enum auth_step step(struct auth_exchange *x, struct span line)
{
	struct auth_state *st = x->state_;
	enum auth_step said;

	/* RFC 4422 section 5.1: who does not begin though he should is asked to, by an empty challenge. */
	if (!st->opened && !line.p && !st->how->server_first) {
		st->steps++;
		return auth_challenge(x, SPAN(""));
	}
	said = decode(x, line.p ? line : SPAN(""));
	if (said == AUTH_SAID)
		return said;
	if (!st->opened && st->how->begin)
		st->how->begin(x);
	st->opened = true;
	st->steps++;
	return st->how->step(x, buf_span(&st->line));
}

static int run(struct auth_exchange *x, struct scope *scope, struct span line, int64_t deadline_us)
{
	struct auth_state *st = x->state_;
	const int err = op_begin(&x->op, scope, op_names[x->mech], deadline_us, stop_step);

	if (err < 0)
		return err;
	st->scope = scope;
	st->due_us = loop_now_us(scope->loop) + deadline_us;
	auth_step_end(x, step(x, line));
	return 0;
}

/* ---- the outside --------------------------------------------------------------------------------------- */

void auth_exchange_init(struct auth_exchange *x, const struct auth_server *server,
			const struct auth_channel *channel, void (*done)(struct op *op))
{
	*x = (struct auth_exchange){ .result = AUTH_TEMPORARY, .server = server, .channel = channel };
	op_init(&x->op, done);
}

static struct auth_state *state_new(struct auth_exchange *x)
{
	struct auth_state *st = mem_alloc(sizeof *st);

	st->owner = x;
	st->line = BUF_INIT(AUTH_LINE_MAX);
	st->challenge = BUF_INIT(AUTH_LINE_MAX);
	st->challenge_text = BUF_INIT(BASE64_LEN(AUTH_LINE_MAX));
	return st;
}

/* Ends at once, without a mechanism. */
static int end_at_once(struct auth_exchange *x, struct scope *scope, int64_t deadline_us)
{
	const int err = op_begin(&x->op, scope, "auth", deadline_us, stop_step);

	if (err == 0)
		op_complete(&x->op, 0);
	return err;
}

int auth_exchange_start(struct auth_exchange *x, struct scope *scope, struct span mechanism,
			struct span initial, int64_t deadline_us)
{
	enum auth_mech mech;

	require(!x->state_);
	x->state_ = state_new(x);
	if (auth_mech_parse(mechanism, &mech) < 0) {
		auth_say(x, AUTH_NO_MECH, "no such mechanism");
		return end_at_once(x, scope, deadline_us);
	}
	x->mech = mech;
	if (!(auth_offered(x->server, x->channel) >> mech & 1)) {
		if (!x->channel->tls && (x->server->mechs >> mech & 1))
			auth_say(x, AUTH_TOO_WEAK, "not without TLS");
		else
			auth_say(x, AUTH_NO_MECH, "the mechanism is not offered here");
		return end_at_once(x, scope, deadline_us);
	}
	x->state_->how = mechanisms[mech];
	return run(x, scope, initial, deadline_us);
}

int auth_exchange_next(struct auth_exchange *x, struct scope *scope, struct span line, int64_t deadline_us)
{
	if (!verify(x->state_ && x->state_->how && x->result == AUTH_CHALLENGE && !op_pending(&x->op)))
		return -ERR_BUG;
	return run(x, scope, line.p ? line : SPAN(""), deadline_us);
}

void auth_exchange_deinit(struct auth_exchange *x)
{
	struct auth_state *st = x->state_;

	if (!st)
		return;
	require(!op_pending(&x->op));
	if (st->opened && st->how->deinit)
		st->how->deinit(x);
	x->state_ = NULL;
	x->tried = x->account = x->challenge = (struct span){ NULL, 0 };
	buf_wipe(&st->line);
	buf_wipe(&st->challenge);
	buf_wipe(&st->challenge_text);
	secret_deinit(&st->password);
	mem_wipe(st, sizeof *st);
	free(st);
}
