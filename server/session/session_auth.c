/* session_auth.c - one AUTH, from its mechanism to who it is.
 *
 *   1. AUTH        the exchange (auth/auth_exchange.h) got the mechanism and perhaps a first response; it answers later
 *   2. AUTH_LINE   334 was said; the client's next line goes to the exchange; again AUTH
 *   3. AUTH_HOOK   the identity is verified; policy says whether it may be used here
 *   4. 235, and the view has user, mechanism and realm
 *
 * Ways it fails: the client cancels ("*") or says what is no base64; the mechanism is not offered; name or secret is wrong, expired
 * or locked (535, the same text for all of them; the log is precise); nobody can say now (454: devices give up for good on a 535);
 * address or user is banned (454, and nobody is asked, or the answer does not count); policy refuses. A refusal of credentials is
 * said after a while that grows, and after failures_max of them the connection ends.
 *
 * Secrets: what the client sent is wiped from the input as soon as the exchange has seen it; nothing of it is logged.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "session/session_auth.h"
#include "tls/tls_digest.h"

enum { DELAY_MAX_US = 10000000, DOUBLINGS_MAX = 8 };

static void on_step(struct op *op);
static void on_pause_over(struct timer *t);

/* ---- what can be offered ---------------------------------------------------------------------------------------------- */

static int binding(void *arg, struct span type, uint8_t *out, size_t max)
{
	const struct session *s = arg;

	if (s->env->pretend) { /* there is one, so that the same is offered as in earnest */
		memset(out, 0, max);
		return (int)max;
	}
	return s->stream ? tls_channel_binding(s->stream, type, out, max) : -ERR_UNSUPPORTED;
}

/* Whom a verified certificate is of: the first mail address in it, or host name, or its common name. */
static struct span external_of(const struct view_tls *tls)
{
	if (!tls || !tls->cert_ok)
		return (struct span){ NULL, 0 };
	return tls->email.n ? tls->email : tls->dns_name.n ? tls->dns_name : tls->common_name;
}

static struct auth_channel channel_of(const struct session *s)
{
	return (struct auth_channel){ .tls = s->conn.tls != NULL,
				      .client = s->conn.client.addr,
				      .binding = s->conn.tls ? binding : NULL,
				      .arg = (void *)(uintptr_t)s,
				      .external = external_of(s->conn.tls) };
}

/* Without TLS only for named networks, and nowhere that TLS has to come first. */
static bool may_speak(const struct session *s)
{
	const struct ip_set *clear = s->listener->auth.clear_from;

	if (s->conn.tls)
		return true;
	return clear && ip_set_contains(clear, &s->conn.client.addr) && !session_tls_required(s);
}

uint32_t session_auth_offered(const struct session *s)
{
	const struct auth_channel channel = channel_of(s);

	if (!s->listener->auth.server || s->conn.auth_user.n || !may_speak(s))
		return 0;
	return auth_offered(s->listener->auth.server, &channel);
}

int session_auth_refuse_now(struct session *s)
{
	if (!may_speak(s)) {
		session_auth_failed(s, "clear", 538, NULL);
		return session_refuse_protocol(s, 538, SMTP_ENHANCED(5, 7, 11), "auth-needs-tls",
					       "authentication needs encryption; say STARTTLS first");
	}
	if (!session_auth_banned(s, SPAN("")))
		return 0;
	session_auth_failed(s, "ban", 454, NULL);
	return session_refuse_protocol(s, 454, SMTP_ENHANCED(4, 7, 0), "auth-ban",
				       "Temporary authentication failure");
}

/* ---- its life --------------------------------------------------------------------------------------------------------- */

bool session_auth_pending(const struct session *s)
{
	return s->auth && (op_pending(&s->auth->x.op) || s->auth->pausing);
}

void session_auth_free(struct session *s)
{
	struct session_auth *a = s->auth;

	if (!a)
		return;
	timer_unset(s->env->loop, &a->pause);
	auth_exchange_deinit(&a->x);
	free(a);
	s->auth = NULL;
}

void session_auth_forget(struct session *s)
{
	s->conn.auth_user = s->conn.auth_mech = s->conn.auth_realm = (struct span){ NULL, 0 };
}

static bool may_try(void *arg, struct span account)
{
	struct session *s = arg;

	s->auth->banned = session_auth_banned(s, account);
	return !s->auth->banned;
}

/* The buffer is the stream's, of which we are the only reader. */
void session_auth_wipe_input(struct session *s, size_t n)
{
	const struct span in = span_first(stream_input(s->stream), n);

	tls_wipe((void *)(uintptr_t)in.p, in.n);
	session_consume(s, n);
}

static void pretend(struct session *s, struct span mechanism)
{
	const struct session_pretend *p = s->env->pretend;
	struct auth_exchange *x = &s->auth->x;

	x->result = AUTH_NO_MECH;
	if (auth_mech_parse(mechanism, &x->mech) < 0 || !(session_auth_offered(s) & (1u << x->mech)))
		return;
	x->result = AUTH_DONE;
	snprintf(x->identity.user, sizeof x->identity.user, "%.*s", SPAN_ARG(p->user));
	snprintf(x->identity.realm, sizeof x->identity.realm, "%.*s", SPAN_ARG(p->realm));
}

/* For the log: a client in disorder may say its password in this place, so what is no name in capitals is not kept. */
static void keep_name(struct session_auth *a, struct span mechanism)
{
	if (mechanism.n >= sizeof a->offered)
		return;
	for (size_t i = 0; i < mechanism.n; i++) {
		const char c = mechanism.p[i];
		if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return;
	}
	memcpy(a->offered, mechanism.p, mechanism.n);
}

void session_auth_start(struct session *s, struct span mechanism, struct span initial)
{
	struct session_auth *a = mem_alloc(sizeof *a);

	s->auth = a;
	a->session = s;
	a->channel = channel_of(s);
	a->channel.may_try = may_try;
	timer_init(&a->pause, on_pause_over);
	keep_name(a, mechanism);
	auth_exchange_init(&a->x, s->listener->auth.server, &a->channel, on_step);
	s->step = SESSION_STEP_AUTH;
	if (s->env->pretend)
		pretend(s, mechanism);
	else if (auth_exchange_start(&a->x, &s->scope, mechanism, initial, s->listener->auth.timeout_us) < 0)
		a->x.result = AUTH_TEMPORARY;
	session_auth_wipe_input(s, s->line_octets);
	s->line_octets = 0;
}

static void on_step(struct op *op)
{
	struct session_auth *a = container_of(op, struct session_auth, x.op);

	if (op->status < 0)
		a->x.result = AUTH_TEMPORARY;
	session_run(a->session);
}

/* ---- refusals --------------------------------------------------------------------------------------------------------- */

#define OUTCOME(reason_, code_, class_, subject_, detail_, rule_, text_)                                     \
	{                                                                                                    \
		.reason = (reason_), .refusal = {                                                            \
			.code = (code_),                                                                     \
			.enhanced = { class_, subject_, detail_ },                                           \
			.rule = (rule_),                                                                     \
			.text = (text_),                                                                     \
			.stage = HOOK_AUTH                                                                   \
		}                                                                                            \
	}

struct outcome {
	const char *reason; /* in the log */
	struct session_refusal refusal;
};

static enum session_next give_up(struct session *s, const struct outcome *o)
{
	session_auth_failed(s, o->reason, o->refusal.code, s->auth->x.why);
	session_refuse(s, &o->refusal);
	session_auth_free(s);
	return session_command_done(s);
}

static enum session_next say_refusal(struct session *s)
{
	struct session_auth *a = s->auth;

	session_refuse(s, &a->refusal);
	session_auth_free(s);
	if (s->auth_failures < s->listener->auth.failures_max)
		return session_command_done(s);
	session_replyf(s, 421, SMTP_ENHANCED(4, 7, 0), "too many failed logins");
	session_end(s, "auth-failures");
	return NEXT_STEP;
}

static void on_pause_over(struct timer *t)
{
	struct session_auth *a = container_of(t, struct session_auth, pause);

	a->pausing = false;
	session_run(a->session);
}

/* Says a->refusal, after a pause. Nothing here tells a wrong secret from an unknown name: not the text, not the time. */
static enum session_next refuse(struct session *s, const char *reason, unsigned code, const char *why)
{
	const uint32_t doublings = s->auth_failures < DOUBLINGS_MAX ? s->auth_failures : DOUBLINGS_MAX;
	const int64_t delay = s->listener->auth.failure_delay_us << doublings;
	struct session_auth *a = s->auth;

	s->auth_failures++;
	session_auth_failed(s, reason, code, why);
	s->step = SESSION_STEP_AUTH;
	a->refused = true;
	a->pausing = delay > 0;
	if (a->pausing)
		timer_set_in(s->env->loop, &a->pause, delay < DELAY_MAX_US ? delay : DELAY_MAX_US);
	return NEXT_STEP;
}

static enum session_next refuse_credentials(struct session *s)
{
	struct session_auth *a = s->auth;

	a->refusal = (struct session_refusal){ .code = 535,
					       .enhanced = SMTP_ENHANCED(5, 7, 8),
					       .rule = "auth-failed",
					       .text = "Authentication credentials invalid",
					       .stage = HOOK_AUTH };
	session_auth_count(s);
	return refuse(s, auth_answer_name(a->x.answer), 535, a->x.why);
}

static enum session_next refuse_temporary(struct session *s)
{
	static const struct outcome temporary =
		OUTCOME("tempfail", 454, 4, 7, 0, "auth-unavailable", "Temporary authentication failure");
	static const struct outcome banned =
		OUTCOME("ban", 454, 4, 7, 0, "auth-ban", "Temporary authentication failure");

	return give_up(s, s->auth->banned ? &banned : &temporary);
}

static enum session_next refuse_too_long(struct session *s)
{
	static const struct outcome too_long =
		OUTCOME("malformed", 500, 5, 5, 6, "auth-too-long", "authentication line too long");

	return give_up(s, &too_long);
}

static enum session_next refuse_malformed(struct session *s)
{
	static const struct outcome malformed =
		OUTCOME("malformed", 501, 5, 5, 2, "auth-syntax", "this is no response of the mechanism");

	return give_up(s, &malformed);
}

/* ---- steps ------------------------------------------------------------------------------------------------------------ */

/* One line whatever its length: a challenge cannot be continued on another one. */
static void say_challenge(struct session *s, struct span challenge)
{
	struct buf out = BUF_INIT(AUTH_LINE_MAX);

	buf_add_str(&out, "334 ");
	buf_add_span(&out, challenge);
	if (buf_add_str(&out, "\r\n") && s->stream)
		stream_write(s->stream, buf_span(&out));
	buf_free(&out);
}

/* Policies see who it would be. */
static enum session_next ask_policy(struct session *s)
{
	const struct auth_exchange *x = &s->auth->x;

	s->conn.auth_user = arena_dup(s->conn_mem, span_of(x->identity.user));
	s->conn.auth_realm = arena_dup(s->conn_mem, span_of(x->identity.realm));
	s->conn.auth_mech = span_of(auth_mech_name(x->mech));
	if (!s->conn.auth_user.n || !s->conn.auth_realm.p) {
		session_auth_forget(s);
		return refuse_temporary(s);
	}
	session_ask(s, HOOK_AUTH, SESSION_STEP_AUTH_HOOK);
	return NEXT_STEP;
}

/* Was the client banned while somebody was asked for it? Else who tries many passwords at once learns of each of them. A right
 * one gets the same answer as a wrong one. */
static bool banned_meanwhile(struct session *s)
{
	struct session_auth *a = s->auth;
	const bool guessable =
		a->x.mech != AUTH_MECH_GSSAPI; /* a ticket is not locked out by guesses of others */

	if (a->x.result == AUTH_DONE || a->x.result == AUTH_REFUSED)
		a->banned = session_auth_banned(s, guessable ? a->x.account : SPAN(""));
	return a->banned;
}

enum session_next session_step_auth(struct session *s)
{
	static const struct outcome no_mech =
		OUTCOME("mechanism", 504, 5, 5, 4, "auth-mechanism", "this mechanism is not offered here");
	static const struct outcome too_weak = OUTCOME("clear", 538, 5, 7, 11, "auth-needs-tls",
						       "this mechanism needs encryption; say STARTTLS first");
	const struct session_auth *a = s->auth;

	if (a->refused)
		return say_refusal(s);
	if (banned_meanwhile(s))
		return refuse_temporary(s);
	switch (a->x.result) {
	case AUTH_CHALLENGE:
		say_challenge(s, a->x.challenge);
		s->step = SESSION_STEP_AUTH_LINE;
		session_deadline(s, s->listener->command_timeout_us);
		return NEXT_STEP;
	case AUTH_DONE:
		return ask_policy(s);
	case AUTH_REFUSED:
		return refuse_credentials(s);
	case AUTH_MALFORMED:
		return refuse_malformed(s);
	case AUTH_TOO_LONG:
		return refuse_too_long(s);
	case AUTH_NO_MECH:
		return give_up(s, &no_mech);
	case AUTH_TOO_WEAK:
		return give_up(s, &too_weak);
	case AUTH_TEMPORARY:
		break;
	}
	return refuse_temporary(s);
}

static enum session_next line_too_long(struct session *s, struct span in)
{
	session_auth_wipe_input(s, smtp_line_skip(&s->reader, in));
	if (!s->reader.skipping)
		return refuse_too_long(s);
	if (!stream_eof(s->stream))
		return NEXT_WAIT;
	session_end(s, "eof");
	return NEXT_STEP;
}

enum session_next session_step_auth_line(struct session *s)
{
	static const struct outcome cancelled =
		OUTCOME("cancelled", 501, 5, 0, 0, "auth-cancelled", "authentication cancelled");
	const struct span in = stream_input(s->stream);
	struct session_auth *a = s->auth;
	struct smtp_line line;

	if (s->reader.skipping)
		return line_too_long(s, in);
	const int n = smtp_line_next(&s->reader, in, AUTH_LINE_MAX, &line);
	if (n == -ERR_TOOBIG)
		return NEXT_STEP; /* now it is skipping */
	if (n < 0) {
		if (!stream_eof(s->stream))
			return NEXT_WAIT;
		session_end(s, "eof");
		return NEXT_STEP;
	}
	s->step = SESSION_STEP_AUTH;
	const bool cancels = span_eq(line.text, SPAN("*"));
	if (!cancels && !session_line_flags_ok(s, &line))
		a->x.result = AUTH_MALFORMED;
	else if (!cancels &&
		 auth_exchange_next(&a->x, &s->scope, line.text, s->listener->auth.timeout_us) < 0)
		a->x.result = AUTH_TEMPORARY;
	session_auth_wipe_input(s, (size_t)n);
	return cancels ? give_up(s, &cancelled) : NEXT_STEP;
}

enum session_next session_step_auth_hook(struct session *s)
{
	const struct verdict *v = &s->call.verdict;
	struct session_auth *a = s->auth;

	if (v->kind == VERDICT_DISCONNECT) {
		session_auth_forget(s);
		session_auth_failed(s, "policy", v->code ? v->code : 421, NULL);
		session_refuse_verdict(s, v, HOOK_AUTH, (struct span){ NULL, 0 });
		session_end(s, "policy");
		return NEXT_STEP;
	}
	if (v->kind == VERDICT_REJECT || v->kind == VERDICT_DEFER) {
		session_auth_forget(s);
		a->verdict = *v;
		a->refusal = (struct session_refusal){ .verdict = &a->verdict, .stage = HOOK_AUTH };
		return refuse(s, "policy", v->code ? v->code : v->kind == VERDICT_REJECT ? 535 : 454, NULL);
	}
	session_auth_succeeded(s);
	session_auth_free(s);
	session_reply(s, 235, SMTP_ENHANCED(2, 7, 0), SPAN("Authentication successful"));
	return session_command_done(s);
}
