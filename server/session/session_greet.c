/* session_greet.c - from the connection to the greeting.
 *
 *   PROXY    a trusted load balancer says who the client really is
 *   ENTER    the limits of connections, by the real address
 *   TLS      from the first octet, where the listener says so
 *   REVERSE  the forward-confirmed name of the client; waits for the DNS, at most reverse_timeout_us
 *   CONNECT  policy
 *   BANNER   waits greet_delay_us; who speaks before the 220 is an early talker, or speaks TLS
 *
 * Ways it fails: no or a bad PROXY header (closed without a word: nobody knows whom it would be said to), over a limit (421),
 * the DNS does not answer (the name is "temporary error", which no policy may take for a mismatch), policy says disconnect.
 * Other refusals at connect are kept and told at RCPT, or, if policy says "now", are the greeting: then the session lives until
 * QUIT (RFC 5321 section 3.1).
 */
#include <stdlib.h>

#include "base/mem.h"
#include "io/proxy_header.h"
#include "session/session_priv.h"

enum {
	PROXY_TIMEOUT_US = 5000000,
	HELLO_WAIT_US =
		300000, /* for the ClientHello of those who do not wait for a greeting: a round trip and a slow device */
};

/* A look-up under way: of its session's heap only for as long as it lasts. */
struct look_up {
	struct reverse reverse;
	struct session *session;
};

static void on_reverse(struct op *op);
static void keep_reverse(struct session *s);
static void on_banner_due(struct timer *t);

static bool is_behind_proxy(const struct session *s)
{
	return s->listener->proxy_from && ip_set_contains(s->listener->proxy_from, &s->conn.client.addr);
}

int64_t session_proxy_timeout_us(const struct session *s)
{
	return is_behind_proxy(s) ? PROXY_TIMEOUT_US : s->listener->command_timeout_us;
}

enum session_next session_step_proxy(struct session *s)
{
	struct proxy_header h;

	if (!is_behind_proxy(s)) {
		s->step = SESSION_STEP_ENTER;
		return NEXT_STEP;
	}
	const int n = proxy_header_parse(stream_input(s->stream), &h);
	if (n == -ERR_AGAIN && !stream_eof(s->stream))
		return NEXT_WAIT;
	if (n < 0) {
		session_end(s, "proxy-header");
		return NEXT_STEP;
	}
	stream_consume(s->stream, (size_t)n);
	stream_set_deadline(s->stream, s->listener->command_timeout_us);
	if (h.known) {
		s->conn.proxy = s->conn.client.addr;
		s->conn.client = h.source;
		s->conn.server = h.destination;
	}
	s->step = SESSION_STEP_ENTER;
	return NEXT_STEP;
}

static void log_turned_away(struct session *s, const char *limit, uint32_t max, uint32_t count)
{
	struct log_rec r;

	metric_add_label(s->env->metrics, METRIC_SESSIONS_REFUSED_TOTAL, span_of(limit), 1);
	if (!log_begin(&r, s->env->log, LOG_EV_SESSION_REFUSED))
		return;
	log_str(&r, LOG_F_LISTENER, s->listener->name);
	log_cstr(&r, LOG_F_CLIENT, ip_format(&s->conn.client.addr).s);
	log_int(&r, LOG_F_CLIENT_PORT, s->conn.client.port);
	log_cstr(&r, LOG_F_LIMIT, limit);
	log_int(&r, LOG_F_LIMIT_MAX, max);
	log_int(&r, LOG_F_COUNT, count);
	log_int(&r, LOG_F_CODE, 421);
	log_end(&r);
}

/* Before TLS from the first octet there are no words: the client would read them as a broken record. */
static void turn_away(struct session *s, const char *text)
{
	if (s->listener->tls.mode != SESSION_TLS_IMPLICIT)
		session_replyf(s, 421, SMTP_ENHANCED(4, 7, 0), "%s", text);
	session_end(s, "limit");
}

static bool enter(struct session *s)
{
	const struct clients_limits *limits = &s->listener->clients;
	uint32_t open = 0;

	if (s->listener->clients_from && !ip_set_contains(s->listener->clients_from, &s->conn.client.addr)) {
		turn_away(s, "this service is not for your network");
		log_turned_away(s, "network", 0, 0);
		return false;
	}
	if (session_auth_banned(s, SPAN(""))) {
		turn_away(s, "too many failed logins from your address; come again later");
		log_turned_away(s, "ban", s->listener->auth.bans.failures_max, 0);
		return false;
	}
	if (!s->env->clients)
		return true;
	const enum clients_verdict v = clients_enter(s->env->clients, &s->conn.client.addr, s->setup.total,
						     &s->listener->clients, &open);
	if (v == CLIENTS_OK) {
		s->counted = true;
		return true;
	}
	turn_away(s, v == CLIENTS_OVER_CLIENT ? "too many connections from your address"
					      : "too many connections; come again");
	log_turned_away(s, clients_verdict_name(v),
			v == CLIENTS_OVER_CLIENT ? limits->per_client_max : limits->total_max, open);
	return false;
}

enum session_next session_step_enter(struct session *s)
{
	const struct session_listener *l = s->listener;

	s->step = SESSION_STEP_REVERSE;
	if (!enter(s))
		return NEXT_STEP;
	metric_add_label(s->env->metrics, METRIC_SESSIONS_TOTAL, l->name, 1);
	if (l->tls.mode == SESSION_TLS_IMPLICIT)
		session_tls_start(s, SESSION_STEP_REVERSE);
	if (s->step == SESSION_STEP_CLOSE)
		return NEXT_STEP;
	if (!l->reverse_dns || !s->env->dns)
		return NEXT_STEP;
	struct look_up *up = mem_alloc(sizeof *up);
	up->session = s;
	s->reverse = &up->reverse;
	s->conn.reverse = VIEW_REVERSE_PENDING;
	reverse_init(s->reverse, on_reverse);
	if (reverse_start(s->reverse, s->env->dns, &s->scope, &s->conn.client.addr, l->reverse_timeout_us) <
	    0) {
		session_reverse_free(s);
		s->conn.reverse = VIEW_REVERSE_TEMPERROR;
	}
	return NEXT_STEP;
}

void session_reverse_free(struct session *s)
{
	if (!s->reverse)
		return;
	reverse_deinit(s->reverse);
	free(container_of(s->reverse, struct look_up, reverse));
	s->reverse = NULL;
}

static void on_reverse(struct op *op)
{
	struct session *s = container_of(op, struct look_up, reverse.op)->session;

	if (s->ended)
		return;
	keep_reverse(s);
	session_run(s);
}

/* What was learnt is copied: the look-up's own memory is not kept for the life of a connection. */
static void keep_reverse(struct session *s)
{
	static const enum view_reverse views[] = {
		[REVERSE_PASS] = VIEW_REVERSE_PASS,
		[REVERSE_NO_PTR] = VIEW_REVERSE_NO_PTR,
		[REVERSE_MISMATCH] = VIEW_REVERSE_MISMATCH,
		[REVERSE_TEMPERROR] = VIEW_REVERSE_TEMPERROR,
	};
	const struct reverse *r = s->reverse;
	struct span *names = arena_array(s->conn_mem, struct span, r->n ? r->n : 1);
	uint32_t n = 0;

	s->conn.reverse = views[r->verdict];
	s->conn.reverse_name = arena_dup(s->conn_mem, r->name);
	if (r->verdict != REVERSE_PASS)
		s->conn.reverse_why = arena_dup(s->conn_mem, span_of(r->why.s));
	for (size_t i = 0; names && i < r->n; i++)
		if (r->names[i].state == REVERSE_NAME_CONFIRMED)
			names[n++] = arena_dup(s->conn_mem, r->names[i].name);
	s->conn.reverse_names = names;
	s->conn.nreverse_names = n;
	session_reverse_free(s);
}

enum session_next session_step_reverse(struct session *s)
{
	session_ask(s, HOOK_CONNECT, SESSION_STEP_CONNECT);
	return NEXT_STEP;
}

static int64_t banner_wait_us(const struct session *s)
{
	const struct session_listener *l = s->listener;
	const bool hello = l->tls.serve_hello && l->tls.server && !s->conn.tls;

	return hello && l->greet_delay_us < HELLO_WAIT_US && !s->env->pretend ? HELLO_WAIT_US
									      : l->greet_delay_us;
}

enum session_next session_step_connect(struct session *s)
{
	const struct verdict *v = &s->call.verdict;
	const bool now = v->now || s->listener->refuse_now;
	const int64_t wait_us = banner_wait_us(s);

	s->connect_profile = s->profile;
	s->connect_device = s->conn.device;
	if (v->kind == VERDICT_DISCONNECT || (v->kind == VERDICT_DEFER && now)) {
		session_refuse_verdict(s, v, HOOK_CONNECT, (struct span){ NULL, 0 });
		session_end(s, "policy");
		return NEXT_STEP;
	}
	if (v->kind == VERDICT_REJECT && now) {
		session_refuse_verdict(s, v, HOOK_CONNECT, (struct span){ NULL, 0 });
		s->phase = SESSION_PHASE_REFUSED;
		return session_command_done(s);
	}
	if ((v->kind == VERDICT_REJECT || v->kind == VERDICT_DEFER) && !s->barred) {
		s->refusal = *v;
		s->refusal_stage = HOOK_CONNECT;
	}
	s->step = SESSION_STEP_BANNER;
	if (wait_us > 0) {
		timer_init(&s->banner_timer, on_banner_due);
		timer_set_in(s->env->loop, &s->banner_timer, wait_us);
	} else {
		s->banner_due = true;
	}
	return NEXT_STEP;
}

static void on_banner_due(struct timer *t)
{
	struct session *s = container_of(t, struct session, banner_timer);

	s->banner_due = true;
	session_run(s);
}

enum session_next session_step_banner(struct session *s)
{
	const struct session_listener *l = s->listener;

	if (!s->conn.tls && smtp_cmd_is_tls_hello(stream_input(s->stream)))
		return session_tls_hello(s);
	if (s->barred) { /* what policy said of TLS from the first octet */
		session_refuse_verdict(s, &s->refusal, s->refusal_stage, (struct span){ NULL, 0 });
		s->phase = SESSION_PHASE_REFUSED;
		s->barred = false;
		return session_command_done(s);
	}
	if (stream_input(s->stream).n)
		s->conn.early_talker = true;
	if (s->conn.early_talker && l->refuse_early_talkers && !(s->profile && s->profile->early)) {
		session_refuse_protocol(s, 554, SMTP_ENHANCED(5, 5, 0), "early-talker",
					"you spoke before the greeting");
		session_end(s, "early-talker");
		return NEXT_STEP;
	}
	if (!s->banner_due && !stream_eof(s->stream))
		return NEXT_WAIT;
	if (stream_eof(s->stream) && !stream_input(s->stream).n) {
		session_end(s, "eof");
		return NEXT_STEP;
	}
	session_replyf(s, 220, (struct smtp_enhanced){ 0 }, "%.*s %.*s", SPAN_ARG(l->hostname),
		       SPAN_ARG(l->greeting));
	s->phase = SESSION_PHASE_HELO;
	s->step = SESSION_STEP_READ;
	stream_set_deadline(s->stream, l->command_timeout_us);
	return NEXT_STEP;
}
