/* link_auth.c - who we are to the server: auth/auth_client says what to send, smtp/smtp_client when.
 *
 *   1. link_auth_begin     the credential of the route, or of the sender's domain
 *   2. link_auth_step      it is our turn: the exchange is begun, or has the server's challenge
 *   3. on_step             what it says is sent
 *   4. link_auth_accepted  235, and the server has proved what it had to
 * How it fails: a server that is not verified is told nothing, unless the route says otherwise. A login that is refused (5yz), or
 * that we cannot make, is the operator's to mend: no other host of the destination is tried, all of its mail waits, and the log
 * says so at its highest level. 4yz is the server's: the next host may do.
 */
#include "delivery/delivery_priv.h"

#include <stdlib.h>

#include "base/mem.h"

/* Of one connection. It may outlive that, for what it waits for ends later: it is then nobody's and frees itself. */
struct link_auth_run {
	struct auth_client exchange;
	struct link *l; /* NULL: nobody's */
};

static void on_step(struct op *op);

void link_auth_begin(struct link *l)
{
	const struct route *r = l->dest->route_config;
	const struct variant v = variant_parse(l->dest->variant);
	const struct route_login *own = v.login.n ? route_login_of(r, v.login) : NULL;

	link_auth_over(l);
	l->auth.credential = own ? own->credential : r->auth;
}

static int binding(void *arg, struct span type, uint8_t *out, size_t max)
{
	const struct link_auth_run *run = arg;

	return run->l && run->l->stream ? tls_channel_binding(run->l->stream, type, out, max)
					: -ERR_UNSUPPORTED;
}

static void abort_with(struct link *l, const char *why)
{
	buf_reset(&l->out);
	l->auth.gave_up = true;
	smtp_client_auth_abort(&l->client, SMTP_ENHANCED(4, 7, 0), why, &l->out);
	if (l->out.n && l->stream)
		stream_write(l->stream, buf_span(&l->out));
}

static int64_t deadline_us(const struct link *l)
{
	const struct route *r = l->dest->route_config;

	return (int64_t)smtp_step_timeout_s(SMTP_STEP_AUTH) * 10000 * (r ? r->timeout_percent : 100);
}

static int begin(struct link *l)
{
	struct link_auth_run *run = mem_alloc(sizeof *run);
	const struct auth_client_channel channel = { .tls = l->tls.on,
						     .verified = l->tls.verified,
						     .host = l->mx.targets[l->target_at].host,
						     .port = l->port,
						     .binding = l->tls.on ? binding : NULL,
						     .arg = run };

	link_auth_over(l);
	run->l = l;
	l->auth.run = run;
	auth_client_init(&run->exchange, l->auth.credential, &channel, on_step);
	return auth_client_start(&run->exchange, &l->scope, span_of(l->client.peer.auth), deadline_us(l));
}

bool link_auth_step(struct link *l)
{
	const struct route *r = l->dest->route_config;
	struct link_auth_run *run = l->auth.run;
	int err;

	if (run && op_pending(&run->exchange.op))
		return false;
	if (!r) { /* the route is gone, and the credential with it */
		abort_with(l, "the configuration has changed");
		return true;
	}
	if (!l->tls.verified && !r->auth_unverified) {
		abort_with(l, "the server is not verified, so it does not get the password");
		return true;
	}
	if (stream_eof(l->stream)) {
		smtp_client_lost(&l->client, SMTP_ENHANCED(4, 4, 2), "the server closed the connection");
		return true;
	}
	/* Nobody answers while it is our turn: a token may take its time. */
	if (!l->d->stopping)
		stream_set_deadline(l->stream, 0);
	if (!l->client.auth_open)
		err = begin(l);
	else if (run)
		err = auth_client_next(&run->exchange, &l->scope, l->client.auth_challenge, deadline_us(l));
	else
		err = -ERR_BUG;
	if (err == 0)
		return false;
	abort_with(l, err_text(err));
	return true;
}

static void send_word(struct link *l, const struct auth_client *x)
{
	const struct span none = { NULL, 0 };
	const struct span word = x->response.p ? x->response : SPAN("");
	bool ok;

	buf_reset(&l->out);
	if (l->client.auth_open)
		ok = smtp_client_auth_next(&l->client, word, &l->out);
	else
		ok = smtp_client_auth_send(&l->client, span_of(x->mech), x->has_response ? word : none,
					   &l->out);
	if (ok)
		stream_write(l->stream, buf_span(&l->out));
	buf_wipe(&l->out);
	if (!ok)
		abort_with(l, "what the mechanism says cannot be sent");
}

static void free_run(struct link_auth_run *run)
{
	auth_client_deinit(&run->exchange);
	free(run);
}

static void on_step(struct op *op)
{
	struct link_auth_run *run = container_of(op, struct link_auth_run, exchange.op);
	const struct auth_client *x = &run->exchange;
	struct link *l = run->l;

	if (!l) {
		free_run(run);
		return;
	}
	if (!l->has_work || l->step != LINK_TALKING || !l->stream || l->client.state != SMTP_CLIENT_IN_AUTH)
		return; /* the connection has ended meanwhile, and says so itself */
	if (op->status < 0)
		abort_with(l,
			   op->status == -ERR_TIMEOUT ? "no credential came in time" : err_text(op->status));
	else if (x->result == AUTH_CLIENT_SEND)
		send_word(l, x);
	else
		abort_with(l, x->why);
	link_talk(l);
}

/* ---- how it ended -------------------------------------------------------------------------------------------------- */

static void log_failed(const struct link *l, const struct link_trouble *t)
{
	const struct link_auth_run *run = l->auth.run;
	struct log_rec r;

	if (!log_begin(&r, l->d->log, LOG_EV_UPSTREAM_AUTH_FAILED))
		return;
	log_cstr(&r, LOG_F_RELAY, l->remote);
	log_str(&r, LOG_F_ROUTE, l->dest->route);
	/* The snapshot that the credential is of may be gone; the exchange's own reference is not. */
	if (run) {
		log_str(&r, LOG_F_USER, auth_credential_user(run->exchange.credential));
		if (run->exchange.mech)
			log_cstr(&r, LOG_F_MECH, run->exchange.mech);
	}
	if (t->code)
		log_int(&r, LOG_F_CODE, t->code);
	/* What the exchange says about a refusal has the server's words in it, and what is known about them. */
	log_str(&r, LOG_F_TEXT,
		run && t->code && run->exchange.why[0] ? span_of(run->exchange.why) : t->text);
	log_end(&r);
}

bool link_auth_accepted(struct link *l, struct link_trouble *t)
{
	struct link_auth_run *run = l->auth.run;

	if (!run || auth_client_accepted(&run->exchange) == 0)
		return true;
	*t = (struct link_trouble){ .what = smtp_step_text(SMTP_STEP_AUTH),
				    .enhanced = SMTP_ENHANCED(4, 7, 0),
				    .text = span_of(run->exchange.why),
				    .final = true };
	log_failed(l, t);
	return false;
}

void link_auth_failed(struct link *l, struct link_trouble *t)
{
	const bool refused = t->code >= 500;
	const bool unknown = t->code == 0 && !(l->client.peer.ext & SMTP_EXT_AUTH);

	if (t->code || l->auth.gave_up || unknown)
		t->enhanced = SMTP_ENHANCED(4, 7, refused ? 8 : 0);
	t->final = refused || l->auth.gave_up;
	if (l->auth.run && t->code) {
		auth_client_refused(&l->auth.run->exchange, t->code, t->text);
		if (auth_client_shows(&l->auth.run->exchange, t->text))
			t->text = SPAN("(the server's words hold the password)");
	}
	if (t->final || unknown)
		log_failed(l, t);
}

void link_auth_over(struct link *l)
{
	struct link_auth_run *run = l->auth.run;

	l->auth.run = NULL;
	l->auth.gave_up = false;
	if (!run)
		return;
	run->l = NULL;
	if (op_pending(&run->exchange.op))
		op_cancel(&run->exchange.op); /* on_step() frees it */
	else
		free_run(run);
}
