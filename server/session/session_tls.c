/* session_tls.c - from a clear connection to one under TLS: STARTTLS, TLS from the first octet, and who must have it.
 *
 *   1. session_tls_start() throws away what the client has sent already (RFC 3207 section 4.2: it could be anybody's), and hands
 *      the stream to the TLS filter (tls/tls_stream.h)
 *   2. the handshake; the reverse name of the client may be looked up meanwhile
 *   3. the session has a stream again; what TLS brought is copied into the view, the hook `starttls` is asked
 *   4. the dialogue goes on: with the greeting, or as if it had just been said
 *
 * Ways it fails: the handshake does, or its deadline passes (the connection is gone; the log says why, and what the client
 * offered); policy refuses: kept for RCPT as any early refusal, or at once, and then every command but QUIT gets it.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "session/session_priv.h"

struct session_tls {
	struct session *session;
	struct tls_handshake handshake;
	enum session_step then;
	int64_t began_us;
	bool done;
};

static void on_handshake(struct op *op);

const char *session_tls_mode_name(enum session_tls_mode mode)
{
	static const char *const names[] = {
#define X(name, text) [SESSION_TLS_##name] = text,
		SESSION_TLS_MODE_MAP(X)
#undef X
	};

	return names[mode];
}

bool session_tls_pending(const struct session *s)
{
	return s->tls && !s->tls->done;
}

void session_tls_cancel(struct session *s)
{
	if (session_tls_pending(s))
		op_cancel(&s->tls->handshake.op);
}

void session_tls_free(struct session *s)
{
	free(s->tls);
	s->tls = NULL;
}

/* ---- what it brought ---------------------------------------------------------------------------------------------- */

static const struct view_tls *keep_info(struct session *s, const struct tls_info *i)
{
	struct view_tls *v = i ? arena_new_of(s->conn_mem, struct view_tls) : NULL;

	if (!v)
		return NULL;
	*v = (struct view_tls){
		.bits = i->bits,
		.cipher_bits = i->cipher_bits,
		.resumed = i->resumed,
		.cert_asked = s->listener->tls.asks_cert,
		.cert_given = i->cert_given,
		.cert_ok = i->cert_given && i->cert_ok,
	};
	const struct {
		struct span *to, from;
	} texts[] = {
		{ &v->version, i->version },
		{ &v->cipher, i->cipher },
		{ &v->sni, i->sni },
		{ &v->subject, i->subject },
		{ &v->common_name, i->common_name },
		{ &v->email, i->email },
		{ &v->issuer, i->issuer },
		{ &v->fingerprint, i->fingerprint },
		{ &v->dns_name, i->dns_name },
		{ &v->cert_why, i->cert_why },
	};
	for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
		if (!texts[k].from.n)
			continue;
		*texts[k].to = arena_dup(s->conn_mem, texts[k].from);
		if (!texts[k].to->p)
			return NULL;
	}
	return v;
}

/* A tool that has no wire says what TLS would have brought. */
static const struct view_tls *pretended(struct session *s)
{
	struct view_tls *v = arena_new_of(s->conn_mem, struct view_tls);

	if (v)
		*v = (struct view_tls){ .version = SPAN("TLSv1.3"),
					.cipher = SPAN("TLS_AES_256_GCM_SHA384"),
					.bits = 256,
					.cipher_bits = 256,
					.cert_asked = s->listener->tls.asks_cert };
	return v;
}

/* Without the memory for it nobody could say how this connection is protected. */
static void secured(struct session *s, const struct view_tls *info)
{
	s->conn.tls = info;
	if (info)
		metric_add_label(s->env->metrics, METRIC_TLS_SESSIONS_TOTAL, info->version, 1);
	else
		session_end(s, "memory");
}

/* ---- the handshake -------------------------------------------------------------------------------------------------- */

static void log_failed(struct session *s, const char *why, const char *offered, int status)
{
	struct log_rec r;

	metric_add_label(s->env->metrics, METRIC_TLS_FAILED_TOTAL, s->listener->name, 1);
	if (!log_begin(&r, s->env->log, LOG_EV_TLS_FAILED))
		return;
	session_log_who(s, &r);
	log_cstr(&r, LOG_F_ERROR, err_name(status));
	log_cstr(&r, LOG_F_TEXT, why[0] ? why : err_text(status));
	if (offered[0])
		log_cstr(&r, LOG_F_OFFERED, offered);
	log_int(&r, LOG_F_DURATION_US, loop_now_us(s->env->loop) - s->tls->began_us);
	log_end(&r);
}

/* The stream is gone, and the session with it: there is nobody who could be told. */
static void failed(struct session *s, int status)
{
	struct session_tls *t = s->tls;

	if (!s->end_reason)
		s->end_reason = status == -ERR_TIMEOUT ? "tls-timeout" : "tls-failed";
	log_failed(s, t->handshake.why, t->handshake.offered, status);
	t->done = true;
	session_stream_gone(s);
}

static void on_handshake(struct op *op)
{
	struct session_tls *t = container_of(op, struct session_tls, handshake.op);
	struct session *s = t->session;

	if (op->status < 0) {
		failed(s, op->status);
		return;
	}
	t->done = true;
	session_stream_set(s, t->handshake.stream_r);
	if (s->end_reason) { /* the server has ended meanwhile */
		stream_close(s->stream, false);
		return;
	}
	session_deadline(s, s->listener->command_timeout_us);
	secured(s, keep_info(s, tls_info(s->stream)));
	session_run(s);
}

static size_t drop_input(struct session *s)
{
	const size_t n = stream_input(s->stream).n;

	session_consume(s, n);
	s->line_octets = 0;
	s->reader = SMTP_LINE_READER_INIT;
	return n;
}

static void begin(struct session *s)
{
	struct stream *lower = s->stream;

	s->bytes_in += lower->bytes_in;
	s->bytes_out += lower->bytes_out;
	session_deadline(s, 0); /* the handshake has its own */
	s->stream = NULL;
	tls_handshake_init(&s->tls->handshake, on_handshake);
	const int err = tls_accept_start(&s->tls->handshake, &s->scope, lower, s->listener->tls.server,
					 s->listener->tls.handshake_timeout_us);
	if (err == 0)
		return;
	s->stream = lower; /* still ours */
	s->tls->done = true;
	log_failed(s, "it cannot be begun", "", err);
	session_end(s, "tls-failed");
}

void session_tls_start(struct session *s, enum session_step then)
{
	const bool from_first =
		s->phase == SESSION_PHASE_CONNECT; /* then what is there belongs to the handshake */

	if (!from_first && drop_input(s) > 0)
		session_log_event(s, LOG_EV_TLS_INPUT_DROPPED);
	s->tls = mem_alloc(sizeof *s->tls);
	s->tls->session = s;
	s->tls->then = then;
	s->tls->began_us = loop_now_us(s->env->loop);
	s->step = SESSION_STEP_TLS;
	if (s->env->pretend) {
		s->tls->done = true;
		secured(s, pretended(s));
	} else {
		begin(s);
	}
}

/* ---- steps ------------------------------------------------------------------------------------------------------------ */

enum session_next session_step_tls(struct session *s)
{
	session_ask(s, HOOK_STARTTLS, SESSION_STEP_SECURED);
	return NEXT_STEP;
}

enum session_next session_step_secured(struct session *s)
{
	const struct verdict *v = &s->call.verdict;

	s->step = s->tls->then;
	session_tls_free(s);
	if (v->kind == VERDICT_DISCONNECT) {
		session_refuse_verdict(s, v, HOOK_STARTTLS, (struct span){ NULL, 0 });
		session_end(s, "policy");
		return NEXT_STEP;
	}
	if (v->kind != VERDICT_REJECT && v->kind != VERDICT_DEFER)
		return NEXT_STEP;
	s->barred = v->now || v->broken || s->listener->refuse_now;
	if (s->refusal.kind == VERDICT_NONE || s->barred) {
		s->refusal = *v;
		s->refusal_stage = HOOK_STARTTLS;
	}
	return NEXT_STEP;
}

/* Some speak TLS at once on a port where STARTTLS was expected. Once the greeting is sent they have read it as a broken TLS record,
 * so that only those can be served who were faster. */
enum session_next session_tls_hello(struct session *s)
{
	const struct session_tls_config *c = &s->listener->tls;

	session_log_event(s, LOG_EV_TLS_ON_PLAIN_PORT);
	if (c->serve_hello && c->server && s->phase == SESSION_PHASE_CONNECT)
		session_tls_start(s, SESSION_STEP_BANNER);
	else
		session_end(s, "tls-on-plain-port");
	return NEXT_STEP;
}

/* ---- who must have it ------------------------------------------------------------------------------------------------- */

bool session_tls_required(const struct session *s)
{
	const struct session_tls_config *c = &s->listener->tls;

	return c->mode == SESSION_TLS_REQUIRED && !s->conn.tls &&
	       loop_wall_us(s->env->loop) >= c->required_from_wall_us;
}

/* The day has not come yet: it is told who has to be helped until then. */
static void note_without(struct session *s)
{
	if (s->tls_noted)
		return;
	s->tls_noted = true;
	metric_add_label(s->env->metrics, METRIC_TLS_WOULD_REFUSE_TOTAL, s->listener->name, 1);
	session_log_event(s, LOG_EV_TLS_WOULD_REFUSE);
}

/* RFC 3207 section 4. The text is the one that how-tos and test pages name, word for word. */
int session_tls_wanted(struct session *s)
{
	if (s->listener->tls.mode != SESSION_TLS_REQUIRED || s->conn.tls || s->cmd->clear)
		return 0;
	if (!session_tls_required(s)) {
		note_without(s);
		return 0;
	}
	return session_refuse(s, &(struct session_refusal){ .code = 530,
							    .enhanced = SMTP_ENHANCED(5, 7, 0),
							    .rule = "starttls-first",
							    .text = "Must issue a STARTTLS command first",
							    .stage = HOOK_MAX_,
							    .plain = true });
}
