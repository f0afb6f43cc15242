/* The happy path of a session:
 *
 *   1. from the greeting to READY (smtp_client_opening.c)
 *   2. transactions, one after the other (smtp_client_txn.c), each ending in READY
 *   3. QUIT, its reply, CLOSED
 * How it goes wrong:
 *   421, a reply out of place, lost       smtp_client_give_up(): open recipients get it as a temporary
 *                                         result; CLOSED
 */
#include "smtp/smtp_client_priv.h"

#include "base/check.h"
#include "base/err.h"

enum { WINDOW = 100, CHUNK_OCTETS = 1024 * 1024 };

const char *smtp_client_state_name(enum smtp_client_state state)
{
	static const char *const names[SMTP_CLIENT_STATE_MAX_] = {
#define X(name, text) [SMTP_CLIENT_IN_##name] = text,
		SMTP_CLIENT_STATE_MAP(X)
#undef X
	};

	return (unsigned)state < SMTP_CLIENT_STATE_MAX_ ? names[state] : "";
}

void smtp_client_init(struct smtp_client *c, const struct smtp_client_config *cfg)
{
	*c = (struct smtp_client){ .cfg = *cfg, .tls = cfg->tls, .secure = cfg->tls && cfg->secure };
	c->in_flight = 1; /* the greeting is owed */
	if (c->cfg.window == 0)
		c->cfg.window = WINDOW;
	if (c->cfg.chunk_octets == 0)
		c->cfg.chunk_octets = CHUNK_OCTETS;
}

/* ---- endings
 * -------------------------------------------------------------------------------------------------- */

/* The text goes into the client, for it outlives every transaction's memory. The first failure is the
 * reason. */
void smtp_client_set_failure(struct smtp_client *c, const struct smtp_result *result)
{
	const struct span text = span_first(result->text, sizeof c->failure_text);

	if (c->failure.kind != SMTP_RESULT_PENDING)
		return;
	c->failure = *result;
	if (text.n)
		memcpy(c->failure_text, text.p, text.n);
	c->failure.text = span_make(c->failure_text, text.n);
}

void smtp_client_give_up(struct smtp_client *c, const struct smtp_result *result)
{
	struct smtp_result open = *result;

	smtp_client_set_failure(c, result);
	c->state = SMTP_CLIENT_IN_CLOSED;
	c->in_flight = 0;
	if (!c->txn)
		return;
	open.kind = SMTP_RESULT_TEMP;
	open.enhanced.class = 4;
	open.text = arena_dup(c->txn->mem, span_first(result->text, SMTP_RESULT_TEXT_MAX));
	if (c->mail.kind == SMTP_RESULT_TEMP || c->mail.kind == SMTP_RESULT_PERM)
		smtp_txn_settle(c->txn, SMTP_RESULT_PENDING, &c->mail);
	smtp_txn_settle(c->txn, SMTP_RESULT_PENDING, &open);
	smtp_txn_settle(c->txn, SMTP_RESULT_ACCEPTED, &open);
}

enum smtp_step smtp_client_awaits(const struct smtp_client *c)
{
	switch (c->state) {
	case SMTP_CLIENT_IN_GREETING:
		return SMTP_STEP_GREETING;
	case SMTP_CLIENT_IN_EHLO:
		return SMTP_STEP_EHLO;
	case SMTP_CLIENT_IN_HELO:
		return SMTP_STEP_HELO;
	case SMTP_CLIENT_IN_STARTTLS:
		return SMTP_STEP_STARTTLS;
	case SMTP_CLIENT_IN_HANDSHAKE:
		return SMTP_STEP_TLS;
	case SMTP_CLIENT_IN_AUTH:
		return SMTP_STEP_AUTH;
	case SMTP_CLIENT_IN_ENVELOPE:
		return c->due.step;
	case SMTP_CLIENT_IN_CONTENT:
		return SMTP_STEP_BODY;
	case SMTP_CLIENT_IN_QUIT:
		return SMTP_STEP_QUIT;
	default:
		return SMTP_STEP_NONE;
	}
}

void smtp_client_lost(struct smtp_client *c, struct smtp_enhanced enhanced, const char *why)
{
	const struct smtp_result r = {
		.kind = SMTP_RESULT_TEMP,
		.step = smtp_client_awaits(c),
		.enhanced = { 4, enhanced.subject, enhanced.detail },
		.text = span_of(why),
	};

	if (c->state == SMTP_CLIENT_IN_QUIT || c->state == SMTP_CLIENT_IN_CLOSED)
		c->state = SMTP_CLIENT_IN_CLOSED; /* nothing is at stake any more */
	else
		smtp_client_give_up(c, &r);
}

int smtp_client_out_of_place(struct smtp_client *c, const char *why)
{
	smtp_client_lost(c, SMTP_ENHANCED(4, 5, 0), why);
	return -ERR_SYNTAX;
}

/* ---- what to send
 * --------------------------------------------------------------------------------------------- */

void smtp_client_say(struct smtp_client *c, struct buf *out, const char *verb, struct span arg)
{
	if (c->said)
		return;
	buf_add_str(out, verb);
	if (arg.n) {
		buf_add_char(out, ' ');
		buf_add_span(out, arg);
	}
	buf_add(out, "\r\n", 2);
	c->said = true;
	c->in_flight++;
}

enum smtp_client_action smtp_client_next(struct smtp_client *c, struct buf *out)
{
	require(out->max - out->n >= 2 * SMTP_TXN_COMMAND_MAX && !out->overflow);
	switch (c->state) {
	case SMTP_CLIENT_IN_GREETING:
	case SMTP_CLIENT_IN_EHLO:
	case SMTP_CLIENT_IN_HELO:
	case SMTP_CLIENT_IN_STARTTLS:
	case SMTP_CLIENT_IN_HANDSHAKE:
	case SMTP_CLIENT_IN_AUTH:
		return smtp_client_opening_next(c, out);
	case SMTP_CLIENT_IN_READY:
		return c->txn ? SMTP_CLIENT_DONE : SMTP_CLIENT_READY;
	case SMTP_CLIENT_IN_ENVELOPE:
	case SMTP_CLIENT_IN_CONTENT:
		return smtp_client_txn_next(c, out);
	case SMTP_CLIENT_IN_QUIT:
		smtp_client_say(c, out, "QUIT", SPAN(""));
		return SMTP_CLIENT_WAIT;
	default:
		return c->txn ? SMTP_CLIENT_DONE : SMTP_CLIENT_CLOSE;
	}
}

void smtp_client_quit(struct smtp_client *c)
{
	if (c->state == SMTP_CLIENT_IN_CLOSED || c->state == SMTP_CLIENT_IN_QUIT)
		return;
	require(c->state == SMTP_CLIENT_IN_READY && !c->txn);
	c->said = false;
	c->state = SMTP_CLIENT_IN_QUIT;
}

/* ---- what was answered
 * ---------------------------------------------------------------------------------------- */

struct smtp_result smtp_client_result(const struct smtp_client *c, const struct smtp_reply *reply,
				      enum smtp_result_kind kind)
{
	struct smtp_result r = {
		.kind = kind,
		.step = smtp_client_awaits(c),
		.code = reply->code,
		.enhanced = reply->enhanced,
		.text = reply->text,
	};

	if (r.enhanced.class == 0)
		r.enhanced.subject = r.enhanced.detail = 0;
	r.enhanced.class = kind == SMTP_RESULT_PERM ? 5 : 4;
	return r;
}

int smtp_client_reply(struct smtp_client *c, const struct smtp_reply *reply)
{
	const enum smtp_reply_class class = smtp_reply_class(reply->code);
	struct smtp_result r;

	if (c->state == SMTP_CLIENT_IN_QUIT || c->state == SMTP_CLIENT_IN_CLOSED) {
		c->state = SMTP_CLIENT_IN_CLOSED;
		return 0;
	}
	if (class == SMTP_REPLY_NONE)
		return smtp_client_out_of_place(c, "not a reply code");
	/* RFC 5321 section 3.8: the server is closing, whatever was asked. */
	if (reply->code == 421) {
		r = smtp_client_result(c, reply, SMTP_RESULT_TEMP);
		smtp_client_give_up(c, &r);
		return 0;
	}
	switch (c->state) {
	case SMTP_CLIENT_IN_GREETING:
	case SMTP_CLIENT_IN_EHLO:
	case SMTP_CLIENT_IN_HELO:
	case SMTP_CLIENT_IN_STARTTLS:
	case SMTP_CLIENT_IN_HANDSHAKE:
	case SMTP_CLIENT_IN_AUTH:
		return smtp_client_opening_reply(c, reply, class);
	case SMTP_CLIENT_IN_ENVELOPE:
	case SMTP_CLIENT_IN_CONTENT:
		return smtp_client_txn_reply(c, reply, class);
	default:
		return smtp_client_out_of_place(c, "reply without a command");
	}
}
