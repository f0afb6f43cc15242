/* probe_talk.c - the dialogue of a probe: smtp/smtp_client up to its READY, then MAIL, RCPT and RSET one by one, so that no message
 * is begun.
 */
#include <stdio.h>

#include "base/check.h"
#include "delivery/probe_priv.h"

static void on_readable(struct stream *stream, void *owner);
static void on_deadline(struct stream *stream, void *owner);
static void on_closed(struct stream *stream, void *owner, int err);

const struct stream_events probe_stream_events = { .readable = on_readable,
						   .deadline = on_deadline,
						   .closed = on_closed };

static enum smtp_client_tls policy(const struct probe *p)
{
	return p->required                                ? SMTP_CLIENT_TLS_REQUIRED
	       : p->cfg.route->tls.level == ROUTE_TLS_OFF ? SMTP_CLIENT_TLS_NEVER
							  : SMTP_CLIENT_TLS_IF_OFFERED;
}

/* The first line that says something, without what a terminal would obey. */
static struct span first_line(struct span text)
{
	return span_cut(&text, '\n');
}

static enum probe_step step_of(const struct probe *p, enum smtp_step awaited)
{
	switch (awaited) {
	case SMTP_STEP_GREETING:
		return PROBE_GREETING;
	case SMTP_STEP_EHLO:
	case SMTP_STEP_HELO:
		return p->client.tls && !p->cfg.route->tls.implicit ? PROBE_EHLO_AGAIN : PROBE_EHLO;
	case SMTP_STEP_STARTTLS:
	case SMTP_STEP_TLS:
		return PROBE_STARTTLS;
	default:
		return PROBE_AUTH;
	}
}

/* ---- what the server says ------------------------------------------------------------------------------------------ */

static void say_ehlo(struct probe *p, enum probe_step step, const struct smtp_reply *reply)
{
	const struct smtp_ehlo *peer = &p->client.peer;

	probe_say(p, step, PROBE_OK, reply->code, "%.*s%s%s%s", SPAN_ARG(first_line(reply->text)),
		  peer->ext & SMTP_EXT_STARTTLS ? "; offers STARTTLS" : "",
		  peer->ext & SMTP_EXT_AUTH ? "; offers AUTH " : "",
		  peer->ext & SMTP_EXT_AUTH ? peer->auth : "");
}

/* A reply in the opening was taken: what it came to. */
static void say_reply(struct probe *p, enum smtp_step awaited, const struct smtp_reply *reply)
{
	const struct smtp_result *failure = &p->client.failure;
	const enum probe_step step = step_of(p, awaited);

	if (awaited == SMTP_STEP_AUTH || awaited == SMTP_STEP_QUIT)
		return; /* auth_over() has the words */
	if (failure->kind != SMTP_RESULT_PENDING && step_of(p, failure->step) == step) {
		probe_say(p, step, PROBE_FAILED, reply->code, "%.*s", SPAN_ARG(failure->text));
		return;
	}
	if (step == PROBE_EHLO || step == PROBE_EHLO_AGAIN) {
		if (p->client.state == SMTP_CLIENT_IN_HELO)
			probe_say(p, step, PROBE_NOTE, reply->code, "EHLO refused, HELO is tried: %.*s",
				  SPAN_ARG(first_line(reply->text)));
		else
			say_ehlo(p, step, reply);
	} else {
		probe_say(p, step, PROBE_OK, reply->code, "%.*s", SPAN_ARG(first_line(reply->text)));
	}
	if (failure->kind != SMTP_RESULT_PENDING)
		probe_say(p, step_of(p, failure->step), PROBE_FAILED, 0, "%.*s", SPAN_ARG(failure->text));
	else if (step == PROBE_EHLO && !p->client.tls && p->client.state != SMTP_CLIENT_IN_STARTTLS &&
		 p->client.state != SMTP_CLIENT_IN_HELO)
		probe_say(
			p, PROBE_STARTTLS, PROBE_NOTE, 0, "%s",
			p->client.tls_offered
				? "it is offered, but the route has TLS switched off: mail goes in the clear"
				: "it is not offered: mail goes in the clear, which this route permits");
}

/* ---- the login ----------------------------------------------------------------------------------------------------- */

static void fail_auth(struct probe *p, unsigned code, const char *why)
{
	probe_say(p, PROBE_AUTH, PROBE_FAILED, code, "%s", why);
	probe_end(p, false);
}

static int binding(void *arg, struct span type, uint8_t *out, size_t max)
{
	const struct probe *p = arg;

	return p->stream ? tls_channel_binding(p->stream, type, out, max) : -ERR_UNSUPPORTED;
}

static void on_word(struct op *op)
{
	struct probe *p = container_of(op, struct probe, auth.op);
	const struct span none = { NULL, 0 };
	bool good;

	if (p->ended)
		return;
	if (op->status < 0 || p->auth.result != AUTH_CLIENT_SEND) {
		fail_auth(p, 0, p->auth.why[0] ? p->auth.why : err_text(op->status));
		return;
	}
	buf_reset(&p->out);
	if (p->client.auth_open)
		good = smtp_client_auth_next(&p->client, p->auth.response, &p->out);
	else
		good = smtp_client_auth_send(&p->client, span_of(p->auth.mech),
					     p->auth.has_response ? p->auth.response : none, &p->out);
	if (good)
		stream_write(p->stream, buf_span(&p->out));
	buf_wipe(&p->out);
	if (!good) {
		fail_auth(p, 0, "what the mechanism says cannot be sent");
		return;
	}
	stream_set_deadline(p->stream, PROBE_STEP_US);
}

static void begin_auth(struct probe *p)
{
	const struct auth_client_channel channel = { .tls = p->client.tls,
						     .verified = p->verified,
						     .host = p->mx.targets[p->target_at].host,
						     .port = p->port,
						     .binding = p->client.tls ? binding : NULL,
						     .arg = p };

	auth_client_init(&p->auth, p->cfg.credential, &channel, on_word);
	p->auth_used = true;
	require(auth_client_start(&p->auth, &p->scope, span_of(p->client.peer.auth), PROBE_STEP_US) == 0);
}

static void token_here(struct probe *p)
{
	struct auth_token_status status;

	p->token_here = true;
	if (p->ended) {
		probe_token_came(p);
		return;
	}
	if (p->token.status < 0) {
		probe_say(p, PROBE_TOKEN, PROBE_FAILED, 0, "%s", p->token.why);
		probe_end(p, false);
		return;
	}
	auth_token_status(auth_credential_token(p->cfg.credential), loop_now_us(p->loop), &status);
	probe_say(p, PROBE_TOKEN, status.why[0] ? PROBE_NOTE : PROBE_OK, 0, "a token for %lld s%s%s",
		  (long long)(status.expires_in_us / 1000000), status.why[0] ? "; " : "", status.why);
	begin_auth(p);
}

static void on_token(struct auth_token_wait *w)
{
	token_here(container_of(w, struct probe, token));
}

static void our_turn(struct probe *p)
{
	struct auth_token *token = auth_credential_token(p->cfg.credential);

	stream_set_deadline(p->stream, 0);
	if (p->auth_used) {
		require(auth_client_next(&p->auth, &p->scope, p->client.auth_challenge, PROBE_STEP_US) == 0);
		return;
	}
	if (!token) {
		begin_auth(p);
		return;
	}
	p->token_used = true;
	auth_token_wait_init(&p->token, on_token);
	if (auth_token_get(token, p->loop, &p->token) > 0)
		token_here(p);
}

bool probe_talk_leave(struct probe *p)
{
	if (p->auth_used && op_pending(&p->auth.op))
		op_cancel(&p->auth.op); /* the scope waits for it */
	return p->token_used && !p->token_here &&
	       !auth_token_leave(auth_credential_token(p->cfg.credential), &p->token);
}

/* True: go on. */
static bool auth_over(struct probe *p, const struct smtp_reply *reply)
{
	if (reply->code >= 400) {
		auth_client_refused(&p->auth, (int)reply->code, first_line(reply->text));
		fail_auth(p, reply->code, p->auth.why);
		return false;
	}
	if (p->client.state != SMTP_CLIENT_IN_READY)
		return true;
	if (auth_client_accepted(&p->auth) < 0) {
		fail_auth(p, reply->code, p->auth.why);
		return false;
	}
	probe_say(p, PROBE_AUTH, PROBE_OK, reply->code, "%s as %.*s: %.*s", p->auth.mech,
		  SPAN_ARG(auth_credential_user(p->cfg.credential)), SPAN_ARG(first_line(reply->text)));
	return true;
}

/* ---- MAIL, RCPT, RSET ---------------------------------------------------------------------------------------------- */

static void ask(struct probe *p, const char *verb, struct span path)
{
	buf_reset(&p->out);
	if (path.p)
		buf_addf(&p->out, "%s:<%.*s>\r\n", verb, SPAN_ARG(path));
	else
		buf_addf(&p->out, "%s\r\n", verb);
	stream_write(p->stream, buf_span(&p->out));
	stream_set_deadline(p->stream, PROBE_STEP_US);
}

static void say_goodbye(struct probe *p, bool good)
{
	stream_write(p->stream, SPAN("QUIT\r\n"));
	stream_flush(p->stream);
	probe_end(p, good);
}

static void mail_reply(struct probe *p, const struct smtp_reply *reply)
{
	const bool good = reply->code < 300;
	const enum probe_step step = p->talk == PROBE_TALK_MAIL ? PROBE_MAIL : PROBE_RCPT;

	if (p->talk == PROBE_TALK_RSET) {
		say_goodbye(p, true);
		return;
	}
	probe_say(p, step, good ? PROBE_OK : PROBE_FAILED, reply->code, "<%.*s>: %.*s",
		  SPAN_ARG(step == PROBE_MAIL ? p->cfg.from : p->cfg.to), SPAN_ARG(first_line(reply->text)));
	if (!good) {
		say_goodbye(p, false);
	} else if (p->talk == PROBE_TALK_MAIL) {
		p->talk = PROBE_TALK_RCPT;
		ask(p, "RCPT TO", p->cfg.to);
	} else {
		p->talk = PROBE_TALK_RSET;
		ask(p, "RSET", (struct span){ NULL, 0 });
	}
}

static void ready(struct probe *p)
{
	if (!p->cfg.to.n) {
		say_goodbye(p, true);
		return;
	}
	p->talk = PROBE_TALK_MAIL;
	ask(p, "MAIL FROM", p->cfg.from.p ? p->cfg.from : SPAN(""));
}

/* ---- driving ------------------------------------------------------------------------------------------------------- */

void probe_talk(struct probe *p)
{
	while (!p->ended && p->talk == PROBE_TALK_OPENING) {
		enum smtp_client_action act;
		do {
			buf_reset(&p->out);
			act = smtp_client_next(&p->client, &p->out);
			if (p->out.n)
				stream_write(p->stream, buf_span(&p->out));
		} while (act == SMTP_CLIENT_MORE);
		if (act == SMTP_CLIENT_READY)
			ready(p);
		else if (act == SMTP_CLIENT_STARTTLS)
			probe_handshake(p);
		else if (act == SMTP_CLIENT_AUTH)
			our_turn(p);
		else if (act == SMTP_CLIENT_CLOSE || p->client.failure.kind != SMTP_RESULT_PENDING)
			probe_end(p, false);
		else
			stream_set_deadline(p->stream, PROBE_STEP_US);
		return;
	}
}

static void lost(struct probe *p, const char *why)
{
	const enum probe_step step = p->talk == PROBE_TALK_MAIL ? PROBE_MAIL
				     : p->talk != PROBE_TALK_OPENING
					     ? PROBE_RCPT
					     : step_of(p, smtp_client_awaits(&p->client));

	if (p->ended)
		return;
	probe_say(p, step, PROBE_FAILED, 0, "%s", why);
	probe_end(p, false);
}

/* False: it is over, or something is to be done before more is read. */
static bool take_reply(struct probe *p, const struct smtp_reply *reply)
{
	const enum smtp_step awaited = smtp_client_awaits(&p->client);

	if (p->talk != PROBE_TALK_OPENING) {
		mail_reply(p, reply);
		return !p->ended;
	}
	const int r = smtp_client_reply(&p->client, reply);
	if (r < 0) {
		lost(p, "what the server says is out of place");
		return false;
	}
	if (awaited == SMTP_STEP_AUTH) {
		if (!auth_over(p, reply))
			return false;
	} else {
		say_reply(p, awaited, reply);
	}
	return r == 0;
}

static void on_readable(struct stream *stream, void *owner)
{
	struct probe *p = owner;
	struct span in = stream_input(stream);
	const size_t all = in.n;
	const char *why = NULL;
	int n = 0;

	while (!p->ended && (n = smtp_reply_parse(&p->parser, &in, &why)) == 1)
		if (!take_reply(p, &p->parser.reply))
			break;
	if (p->ended)
		return;
	stream_consume(stream, all - in.n);
	if (n < 0)
		lost(p, why);
	else if (p->client.state == SMTP_CLIENT_IN_HANDSHAKE &&
		 (in.n || smtp_reply_parser_is_midway(&p->parser)))
		lost(p,
		     "more than the reply to STARTTLS came before the handshake: somebody writes into the connection");
	else if (n == 0 && stream_eof(stream))
		lost(p, "the server closed the connection");
	else
		probe_talk(p);
}

static void on_deadline(struct stream *stream, void *owner)
{
	(void)stream;
	lost(owner, "no answer in time");
}

static void on_closed(struct stream *stream, void *owner, int err)
{
	struct probe *p = owner;

	p->stream = NULL;
	stream_free(stream);
	lost(p, err < 0 ? err_text(err) : "the connection was closed");
}

void probe_talk_begin(struct probe *p, bool tls)
{
	const struct route *r = p->cfg.route;
	const struct smtp_client_config cfg = { .name = p->cfg.hostname,
						.hide_ext = r->hide_ext,
						.starttls = policy(p),
						.tls = tls,
						.secure = tls && p->verified,
						.auth = p->cfg.credential != NULL,
						.helo_only = r->helo_only };

	stream_set_owner(p->stream, &probe_stream_events, p);
	if (p->client.state == SMTP_CLIENT_IN_HANDSHAKE && tls && !r->tls.implicit) {
		smtp_client_tls_done(&p->client, p->verified);
	} else {
		smtp_reply_parser_init(&p->parser, SMTP_REPLY_TEXT_MAX);
		smtp_client_init(&p->client, &cfg);
	}
	probe_talk(p);
}

void probe_talk_deinit(struct probe *p)
{
	if (p->auth_used)
		auth_client_deinit(&p->auth);
	if (p->token_used)
		auth_token_wait_deinit(&p->token);
	smtp_reply_parser_deinit(&p->parser);
}
