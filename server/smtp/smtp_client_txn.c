/* The happy path of a transaction, with PIPELINING:
 *
 *   1. begin() plans it; next() appends MAIL, RCPTs and DATA as far as there is room: `next` runs ahead
 *   2. reply() attributes each reply to the command at `due`, which follows `next` in the same order
 *   3. 354: next() says BODY_DATA, body_done() puts the end of data in flight
 *   4. its reply settles the accepted recipients; the state is READY again
 * Without PIPELINING a command is only appended when nothing is in flight.
 *
 * How it goes wrong:
 *   MAIL refused          nothing more is sent, but what is in flight is still awaited; all recipients get
 *                         MAIL's reply
 *   every RCPT refused    DATA is not sent; if it is in flight and answered 354, an empty body is sent
 *                         (RFC 2920 section 3.1) and its reply means nothing
 *   a chunk refused       no more chunks (RFC 3030 section 2), and its reply is the message's
 *   421, a reply out of place, the connection lost
 *                         open recipients get a temporary result, those already refused keep theirs; CLOSED
 *   a reply before the body is complete
 *                         it is taken as the reply to the body, and the connection is closed: there is no
 *                         other way to stop
 * A transaction that was not completed with success leaves `is_open`, and RSET goes before the next one.
 */
#include "smtp/smtp_client_priv.h"

#include "base/check.h"
#include "base/err.h"

enum { CHUNKS_IN_FLIGHT_MAX = 2 };

static bool is_refusal(const struct smtp_result *r)
{
	return r->kind == SMTP_RESULT_TEMP || r->kind == SMTP_RESULT_PERM;
}

/* ---- the order of commands
 * ------------------------------------------------------------------------------------ */

/* The first recipient from @i on that is to be sent, or what comes after the recipients. */
static void to_rcpt(const struct smtp_client *c, struct smtp_client_at *at, uint32_t i)
{
	while (i < c->txn->nrcpt && c->txn->rcpt[i].skip)
		i++;
	at->i = i;
	at->step = SMTP_STEP_RCPT;
	if (i == c->txn->nrcpt)
		at->step = c->txn->bdat ? SMTP_STEP_BDAT : SMTP_STEP_DATA;
}

/* RSET MAIL RCPT... then DATA END, or BDAT... */
static void advance(const struct smtp_client *c, struct smtp_client_at *at)
{
	switch (at->step) {
	case SMTP_STEP_RSET:
		at->step = SMTP_STEP_MAIL;
		break;
	case SMTP_STEP_MAIL:
		to_rcpt(c, at, 0);
		break;
	case SMTP_STEP_RCPT:
		to_rcpt(c, at, at->i + 1);
		break;
	case SMTP_STEP_DATA:
		at->step = SMTP_STEP_END;
		break;
	default: /* BDAT follows BDAT; nothing follows END */
		break;
	}
}

/* ---- what to send
 * --------------------------------------------------------------------------------------------- */

enum may { MAY_SEND, MAY_NOT_YET, MAY_NOT };

static bool is_pipelining(const struct smtp_client *c)
{
	return c->peer.ext & SMTP_EXT_PIPELINING;
}

static bool envelope_is_answered(const struct smtp_client *c)
{
	return c->due.step == c->next.step;
}

static enum may may_send_chunk(const struct smtp_client *c)
{
	const bool eager = is_pipelining(c) && (c->txn->needs & SMTP_TXN_EAGER_BDAT) &&
			   c->txn->octets <= c->cfg.chunk_octets;

	if (envelope_is_answered(c)) {
		if (c->accepted == 0)
			return MAY_NOT;
		return c->in_flight < (is_pipelining(c) ? CHUNKS_IN_FLIGHT_MAX : 1) ? MAY_SEND : MAY_NOT_YET;
	}
	/* RFC 3030 section 2 has all replies to the envelope come first; with one small chunk nothing is
	 * lost. */
	return eager ? MAY_SEND : MAY_NOT_YET;
}

static enum may may_send(const struct smtp_client *c)
{
	if (c->over || is_refusal(&c->mail))
		return MAY_NOT;
	switch (c->next.step) {
	case SMTP_STEP_RSET:
	case SMTP_STEP_MAIL:
	case SMTP_STEP_RCPT:
		return c->in_flight < (is_pipelining(c) ? c->cfg.window : 1) ? MAY_SEND : MAY_NOT_YET;
	case SMTP_STEP_DATA:
		if (envelope_is_answered(c))
			return c->accepted ? MAY_SEND : MAY_NOT;
		return is_pipelining(c) ? MAY_SEND : MAY_NOT_YET;
	case SMTP_STEP_BDAT:
		return may_send_chunk(c);
	default:
		return MAY_NOT_YET; /* END is put in flight by body_done() */
	}
}

static void sent(struct smtp_client *c)
{
	advance(c, &c->next);
	c->in_flight++;
}

/* The next chunk: what is left, but no more than the configured size. */
static void append_chunk(struct smtp_client *c, struct buf *out)
{
	const uint64_t left = c->txn->octets - c->chunk_at;
	const bool last = left <= c->cfg.chunk_octets;

	c->chunk_octets = last ? left : c->cfg.chunk_octets;
	buf_addf(out, "BDAT %llu%s\r\n", (unsigned long long)c->chunk_octets, last ? " LAST" : "");
	c->over = last;
	c->txn->progress = SMTP_TXN_BODY;
	c->state = SMTP_CLIENT_IN_CONTENT;
}

static void append_command(struct smtp_client *c, struct buf *out)
{
	switch (c->next.step) {
	case SMTP_STEP_RSET:
		buf_add_str(out, "RSET\r\n");
		break;
	case SMTP_STEP_MAIL:
		smtp_txn_format_mail(c->txn, out);
		break;
	case SMTP_STEP_RCPT:
		smtp_txn_format_rcpt(c->txn, c->next.i, out);
		break;
	case SMTP_STEP_DATA:
		buf_add_str(out, "DATA\r\n");
		break;
	default:
		append_chunk(c, out);
		break;
	}
	sent(c);
}

/* 354 although nobody was accepted: an empty message, which the server must not send to anybody (RFC 2920
 * section 3.2). */
static void append_empty_body(struct smtp_client *c, struct buf *out)
{
	buf_add_str(out, ".\r\n");
	c->go = false;
	c->over = true;
	sent(c);
}

/* All replies are in, and nothing more is to be sent. */
static enum smtp_client_action finish(struct smtp_client *c)
{
	static const struct smtp_result bug = {
		.kind = SMTP_RESULT_TEMP,
		.step = SMTP_STEP_END,
		.enhanced = { 4, 3, 0 },
		.text = SPAN_INIT("internal error"),
	};

	if (is_refusal(&c->mail))
		smtp_txn_settle(c->txn, SMTP_RESULT_PENDING, &c->mail);
	if (!verify(c->accepted == 0 || c->answered))
		smtp_txn_settle(c->txn, SMTP_RESULT_ACCEPTED, &bug);
	c->state = SMTP_CLIENT_IN_READY;
	return SMTP_CLIENT_DONE;
}

enum smtp_client_action smtp_client_txn_next(struct smtp_client *c, struct buf *out)
{
	enum may may = MAY_NOT_YET;

	if (c->state == SMTP_CLIENT_IN_CONTENT)
		return c->txn->bdat ? SMTP_CLIENT_BODY_CHUNK : SMTP_CLIENT_BODY_DATA;
	if (c->go && c->accepted == 0) {
		append_empty_body(c, out);
		return SMTP_CLIENT_WAIT;
	}
	if (c->go) {
		c->go = false;
		c->state = SMTP_CLIENT_IN_CONTENT;
		c->txn->progress = SMTP_TXN_BODY;
		return SMTP_CLIENT_BODY_DATA;
	}
	while (out->max - out->n >= SMTP_TXN_COMMAND_MAX) {
		may = may_send(c);
		if (may == MAY_NOT && c->in_flight == 0)
			return finish(c);
		if (may != MAY_SEND)
			return SMTP_CLIENT_WAIT;
		append_command(c, out);
		if (c->state == SMTP_CLIENT_IN_CONTENT)
			return SMTP_CLIENT_BODY_CHUNK;
	}
	return SMTP_CLIENT_MORE;
}

void smtp_client_body_done(struct smtp_client *c)
{
	if (c->state != SMTP_CLIENT_IN_CONTENT)
		return; /* it was lost meanwhile */
	c->state = SMTP_CLIENT_IN_ENVELOPE;
	if (c->txn->bdat) {
		c->chunk_at += c->chunk_octets;
		c->chunk_octets = 0;
	} else {
		c->over = true;
		sent(c); /* the end of data */
	}
	if (!c->txn->bdat || c->chunk_at == c->txn->octets)
		c->txn->progress = SMTP_TXN_SENT;
}

/* ---- what was answered
 * ---------------------------------------------------------------------------------------- */

/* RFC 5321 section 4.5.3.1.10: 552 is "too many recipients" from old servers. Not when the enhanced code says
 * that it is the message's size (RFC 1870 section 6.4). */
static bool is_too_many(const struct smtp_result *r)
{
	const bool too_large = (r->enhanced.subject == 2 && r->enhanced.detail == 3) ||
			       (r->enhanced.subject == 3 && r->enhanced.detail == 4);

	return r->code == 552 && !too_large;
}

static void reply_to_rcpt(struct smtp_client *c, const struct smtp_reply *reply)
{
	struct smtp_txn_rcpt *const rcpt = &c->txn->rcpt[c->due.i];

	/* After a refused MAIL this is about the sequence of commands, not about the recipient. */
	if (is_refusal(&c->mail))
		return;
	rcpt->result = smtp_result_of_reply(c->txn->mem, SMTP_STEP_RCPT, reply);
	if (rcpt->result.kind == SMTP_RESULT_OK) {
		rcpt->result.kind = SMTP_RESULT_ACCEPTED;
		c->accepted++;
	} else if (is_too_many(&rcpt->result)) {
		rcpt->result.kind = SMTP_RESULT_TEMP;
		rcpt->result.enhanced.class = 4;
	}
}

/* The reply to the message, or to DATA when it is a refusal: it is every accepted recipient's. */
static void reply_to_message(struct smtp_client *c, enum smtp_step step, const struct smtp_reply *reply)
{
	const struct smtp_result r = smtp_result_of_reply(c->txn->mem, step, reply);

	c->over = true;
	if (c->answered)
		return; /* a chunk was refused, and this is about one after it */
	c->answered = true;
	c->is_open = r.kind != SMTP_RESULT_OK;
	smtp_txn_settle(c->txn, SMTP_RESULT_ACCEPTED, &r);
}

static int reply_to_data(struct smtp_client *c, const struct smtp_reply *reply, enum smtp_reply_class class)
{
	if (class == SMTP_REPLY_OK)
		return smtp_client_out_of_place(c, "DATA was answered as if it were complete");
	if (class == SMTP_REPLY_MORE)
		c->go = true;
	else
		reply_to_message(c, SMTP_STEP_DATA, reply);
	return 0;
}

/* A reply while the message is on its way and nothing else is in flight. */
static int reply_too_early(struct smtp_client *c, const struct smtp_reply *reply, enum smtp_reply_class class)
{
	const struct smtp_result r = smtp_client_result(c, reply, SMTP_RESULT_TEMP);

	if (class != SMTP_REPLY_TEMP && class != SMTP_REPLY_PERM)
		return smtp_client_out_of_place(c, "message was answered before it was complete");
	reply_to_message(c, SMTP_STEP_BODY, reply);
	smtp_client_give_up(c, &r);
	return 0;
}

static int reply_to_rset(struct smtp_client *c, const struct smtp_reply *reply, enum smtp_reply_class class)
{
	const struct smtp_result r = smtp_client_result(c, reply, SMTP_RESULT_TEMP);

	if (class == SMTP_REPLY_OK)
		c->is_open = false;
	else
		smtp_client_give_up(c, &r);
	return 0;
}

int smtp_client_txn_reply(struct smtp_client *c, const struct smtp_reply *reply, enum smtp_reply_class class)
{
	const enum smtp_step step = c->due.step;
	int rc = 0;

	/* A chunk counts as in flight from its command on. */
	if (c->state == SMTP_CLIENT_IN_CONTENT && c->in_flight == c->txn->bdat)
		return reply_too_early(c, reply, class);
	if (c->in_flight == 0) {
		c->due.step = SMTP_STEP_NONE;
		return smtp_client_out_of_place(c, "more replies than commands");
	}
	if (class == SMTP_REPLY_MORE && step != SMTP_STEP_DATA)
		return smtp_client_out_of_place(c, "unexpected intermediate reply");
	if (c->txn->progress == SMTP_TXN_UNTRIED && step != SMTP_STEP_RSET)
		c->txn->progress = SMTP_TXN_ENVELOPE;
	c->in_flight--;
	switch (step) {
	case SMTP_STEP_RSET:
		rc = reply_to_rset(c, reply, class);
		break;
	case SMTP_STEP_MAIL:
		c->mail = smtp_result_of_reply(c->txn->mem, step, reply);
		c->is_open = true;
		break;
	case SMTP_STEP_RCPT:
		reply_to_rcpt(c, reply);
		break;
	case SMTP_STEP_DATA:
		rc = reply_to_data(c, reply, class);
		break;
	case SMTP_STEP_BDAT:
		/* The last one's reply is the message's. */
		if (class != SMTP_REPLY_OK || (c->over && c->in_flight == 0))
			reply_to_message(c, step, reply);
		break;
	default:
		reply_to_message(c, step, reply);
		break;
	}
	advance(c, &c->due);
	return rc;
}

/* ---- transactions
 * --------------------------------------------------------------------------------------------- */

void smtp_client_begin(struct smtp_client *c, struct smtp_txn *txn)
{
	require(c->state == SMTP_CLIENT_IN_READY && !c->txn);
	c->txn = txn;
	c->mail = (struct smtp_result){ 0 };
	c->accepted = 0;
	c->in_flight = 0;
	c->go = c->over = c->answered = false;
	c->chunk_at = c->chunk_octets = 0;
	if (smtp_txn_plan(txn, &c->peer, c->secure) == 0)
		return; /* READY, with results to be taken */
	c->next = (struct smtp_client_at){ c->is_open ? SMTP_STEP_RSET : SMTP_STEP_MAIL, 0 };
	c->due = c->next;
	c->state = SMTP_CLIENT_IN_ENVELOPE;
}

struct smtp_txn *smtp_client_take(struct smtp_client *c)
{
	struct smtp_txn *const txn = c->txn;

	if (c->state != SMTP_CLIENT_IN_READY && c->state != SMTP_CLIENT_IN_CLOSED)
		return NULL;
	c->txn = NULL;
	return txn;
}
