/* session/session.c - the dialogue.
 *
 * The happy path of one command:
 *
 *   READ   a complete line is there; find the verb in the table
 *   CHECK  syntax and sequence only; reads the line and the phase, answers only to refuse
 *   HOOK   policy decides; waits
 *   APPLY  change the transaction, answer, back to READ
 *
 * DATA and BDAT go on with BODY (content streams into the store), MESSAGE (header section, policy), ROUTE (policy, per
 * domain), COMMIT (waits for the disk). Before the first READ come PROXY, ENTER, REVERSE, CONNECT, BANNER.
 *
 * Ways it ends early: CHECK refuses; the verdict is a refusal (its reply is sent, or kept for RCPT); a deadline passes (421);
 * the client goes. In the last two the scope is closed: what is pending is cancelled, the answers are dropped, and only when
 * the scope and the stream are both closed does the memory go.
 */
#include "session/session_priv.h"

#include <stdlib.h>

#include "base/mem.h"

static void on_readable(struct stream *stream, void *owner);
static void on_writable(struct stream *stream, void *owner);
static void on_deadline(struct stream *stream, void *owner);
static void on_closed(struct stream *stream, void *owner, int err);
static void on_scope_closed(struct scope *scope);
static void on_verdict(struct hook_call *call);
static void on_run_task(struct task *t);

enum { REFUSED_WAIT_US = 10000000 }; /* for the QUIT of a client whose greeting was a refusal */

static const struct stream_events stream_events = {
	.readable = on_readable, .writable = on_writable, .deadline = on_deadline, .closed = on_closed
};

void session_start(struct session_env *env, const struct session_setup *setup, struct stream *stream)
{
	struct session *s = mem_alloc(sizeof *s);

	s->env = env;
	s->setup = *setup;
	s->listener = setup->listener;
	s->profile = setup->listener->profile;
	s->conn = (struct view_conn){ .actions = &session_actions,
				      .id = id_random(),
				      .listener = s->listener->name,
				      .client = stream->peer,
				      .server = stream->local,
				      .profile = s->profile ? s->profile->name : (struct span){ NULL, 0 },
				      .reverse = VIEW_REVERSE_OFF,
				      .started_wall_us = loop_wall_us(env->loop) };
	s->started_us = loop_now_us(env->loop);
	s->conn_mem = arena_new(SESSION_CONN_MEM_MAX);
	decision_path_init(&s->path, s->conn_mem);
	scope_init(&s->scope, env->loop, on_scope_closed);
	task_init(&s->run_task, on_run_task);
	s->call.done = on_verdict;
	s->phase = SESSION_PHASE_CONNECT;
	s->step = SESSION_STEP_PROXY;
	list_push_back(&env->sessions, &s->link);
	env->count++;
	metric_add(env->metrics, METRIC_SESSIONS_OPEN, 1);
	session_stream_set(s, stream);
	stream_set_deadline(stream, session_proxy_timeout_us(s));
	session_run_soon(s);
}

unsigned session_lax(const struct session *s)
{
	return s->profile ? s->profile->lax : 0;
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

bool session_line_flags_ok(const struct session *s, const struct smtp_line *line)
{
	const bool newline = line->flags & (SMTP_LINE_BARE_LF | SMTP_LINE_BARE_CR);

	return !(line->flags & SMTP_LINE_NUL) && (!newline || (s->profile && s->profile->normalise_newlines));
}

static int line_refused(struct session *s, const struct smtp_line *line)
{
	if (session_line_flags_ok(s, line))
		return 0;
	if (line->flags & SMTP_LINE_NUL)
		return session_refuse_protocol(s, 500, SMTP_ENHANCED(5, 5, 2), "nul",
					       "a command may not hold a NUL octet");
	return session_refuse_protocol(s, 500, SMTP_ENHANCED(5, 5, 2), "bare-newline",
				       "a command line ends in CRLF and holds no other CR or LF");
}

static enum session_next verb_refused(struct session *s)
{
	switch (smtp_verb_kind(s->parsed.verb)) {
	case SMTP_VERB_IS_HOSTILE:
		session_refuse_protocol(s, 554, SMTP_ENHANCED(5, 5, 0), "other-protocol",
					"this is an SMTP server");
		session_end(s, "other-protocol");
		break;
	case SMTP_VERB_IS_UNSERVED:
		session_refuse_protocol(s, 502, SMTP_ENHANCED(5, 5, 1), "not-implemented",
					"command not implemented");
		break;
	default:
		session_refuse_protocol(s, 500, SMTP_ENHANCED(5, 5, 2), "unknown-command",
					"command not recognised");
	}
	return session_command_done(s);
}

static enum session_next line_too_long(struct session *s, struct span in)
{
	stream_consume(s->stream, smtp_line_skip(&s->reader, in));
	if (s->reader.skipping && !stream_eof(s->stream))
		return NEXT_WAIT;
	if (s->reader.skipping) {
		session_end(s, "eof");
		return NEXT_STEP;
	}
	s->commands++;
	session_refuse_protocol(s, 500, s->auth_too_long ? SMTP_ENHANCED(5, 5, 6) : SMTP_ENHANCED(5, 5, 2),
				"line-too-long", "line too long");
	return session_command_done(s);
}

static enum session_next step_read(struct session *s)
{
	const struct span in = stream_input(s->stream);
	struct smtp_line line;
	const char *why;

	if (stream_pending(s->stream) > STREAM_OUT_HIGH) {
		s->waiting_out = true;
		return NEXT_WAIT;
	}
	if (s->draining && s->phase <= SESSION_PHASE_READY) {
		session_replyf(s, 421, SMTP_ENHANCED(4, 3, 2), "%.*s is shutting down; come again",
			       SPAN_ARG(s->listener->hostname));
		session_end(s, "drain");
		return NEXT_STEP;
	}
	if (s->reader.skipping)
		return line_too_long(s, in);
	if (s->commands == 0 && !s->conn.tls && smtp_cmd_is_tls_hello(in))
		return session_tls_hello(s);
	const size_t octets_max = smtp_cmd_octets_max(in);
	const int n = smtp_line_next(&s->reader, in, octets_max, &line);
	if (n == -ERR_TOOBIG) {
		s->auth_too_long = octets_max ==
				   SMTP_LINE_AUTH_MAX; /* RFC 4954 section 4 has a code of its own for that */
		return NEXT_STEP;                      /* now it is skipping */
	}
	if (n < 0) {
		if (!stream_eof(s->stream))
			return NEXT_WAIT;
		session_end(s, "eof");
		return NEXT_STEP;
	}
	s->line_octets = (size_t)n;
	s->commands++;
	s->cmd = NULL;
	if (line_refused(s, &line))
		return session_command_done(s);
	if (smtp_cmd_parse(line.text, session_lax(s), &s->parsed, &why) < 0) {
		session_refuse_protocol(s, 500, SMTP_ENHANCED(5, 5, 2), "syntax", why);
		return session_command_done(s);
	}
	s->cmd = session_cmd_find(s->parsed.verb);
	if (!s->cmd)
		return verb_refused(s);
	s->step = SESSION_STEP_CHECK;
	return NEXT_STEP;
}

static const char *sequence_text(const struct session *s)
{
	switch (s->phase) {
	case SESSION_PHASE_REFUSED:
		return "there is no service for you here; say QUIT";
	case SESSION_PHASE_HELO:
		return "say EHLO or HELO first";
	case SESSION_PHASE_READY:
		return "say MAIL first";
	case SESSION_PHASE_MAIL:
		return s->cmd->verb == SMTP_VERB_MAIL ? "a transaction is open already; RSET ends it"
						      : "say RCPT first";
	case SESSION_PHASE_RCPT:
		return "a transaction is open already; RSET ends it";
	default:
		return "bad sequence of commands";
	}
}

static enum session_next step_check(struct session *s)
{
	const char *why;
	int refused = 0;

	if (s->cmd->idle && ++s->idle_commands > s->listener->idle_commands_max) {
		session_refuse_protocol(s, 421, SMTP_ENHANCED(4, 7, 0), "idle-commands",
					"too many commands without mail");
		session_end(s, "idle-commands");
		return NEXT_STEP;
	}
	if (s->barred && s->cmd->verb != SMTP_VERB_QUIT)
		refused = session_refuse_verdict(s, &s->refusal, s->refusal_stage, (struct span){ NULL, 0 });
	else if (s->cmd->verb != SMTP_VERB_BDAT && session_tls_wanted(s))
		refused = 1;
	else if (!(s->cmd->phases & (1u << s->phase)))
		refused =
			session_refuse_protocol(s, 503, SMTP_ENHANCED(5, 5, 1), "sequence", sequence_text(s));
	else if (s->cmd->verb != SMTP_VERB_BDAT && smtp_cmd_arg_check(&s->parsed, session_lax(s), &why) < 0)
		refused = session_refuse_protocol(s, 501, SMTP_ENHANCED(5, 5, 4), "syntax", why);
	else if (s->cmd->check)
		refused = s->cmd->check(s);
	if (refused)
		return s->step == SESSION_STEP_CHECK ? session_command_done(s) : NEXT_STEP;
	/* One DATA question a message: the later chunks of BDAT are not asked about. */
	const bool later_chunk = s->cmd->verb == SMTP_VERB_BDAT && s->phase == SESSION_PHASE_BDAT;
	s->step = s->cmd->hooked && !later_chunk ? SESSION_STEP_HOOK : SESSION_STEP_APPLY;
	s->call.verdict = (struct verdict){ 0 };
	return NEXT_STEP;
}

/* Asks; `then` is the step that reads s->call.verdict. What connect and HELO bring outlives a transaction that HELO ends. */
void session_ask(struct session *s, enum hook_id id, enum session_step then)
{
	struct session_txn *txn = id < HOOK_MAIL ? NULL : s->txn;

	s->step = then;
	s->call.verdict = (struct verdict){ 0 };
	if (!s->setup.hooks.ops->wants(s->setup.hooks.impl, s->setup.policies, id))
		return;
	s->call.id = id;
	s->call.policies = s->setup.policies;
	s->call.conn = &s->conn;
	s->call.txn = txn ? &txn->view : NULL;
	s->call.rcpt = id == HOOK_RCPT || id == HOOK_ROUTE ? s->rcpt : NULL;
	s->call.msg = id == HOOK_MESSAGE || id == HOOK_ROUTE ? &s->msg->view : NULL;
	s->call.mem = txn ? s->txn_mem : id == HOOK_HELO ? s->helo_mem : s->conn_mem;
	s->call.path = txn ? &txn->path : id == HOOK_HELO ? &s->helo_path : &s->path;
	s->call.pending = true;
	s->setup.hooks.ops->start(s->setup.hooks.impl, &s->call);
}

static enum session_next step_hook(struct session *s)
{
	session_ask(s, s->cmd->hook, SESSION_STEP_APPLY);
	return s->call.pending ? NEXT_WAIT : NEXT_STEP;
}

/* Before RCPT a refusal is kept, so that the log gets client, name, sender and recipient, and the device shows an error that
 * its maker expected. */
static bool refusal_waits(const struct session *s, const struct verdict *v)
{
	const bool early = s->call.id == HOOK_HELO || s->call.id == HOOK_MAIL;

	return early && !v->now && !v->broken && !s->listener->refuse_now;
}

static void keep_refusal(struct session *s)
{
	if (s->call.id == HOOK_MAIL) {
		s->txn->refusal = s->call.verdict;
	} else if (s->refusal.kind == VERDICT_NONE) {
		s->refusal = s->call.verdict;
		s->refusal_stage = s->call.id;
		s->helo_kept = s->call.id == HOOK_HELO;
	}
}

static struct span rcpt_in_question(const struct session *s)
{
	return s->cmd->hook == HOOK_RCPT ? s->rcpt->address : (struct span){ NULL, 0 };
}

static enum session_next step_apply(struct session *s)
{
	const struct verdict *v = &s->call.verdict;

	if (s->cmd->hooked && (v->kind == VERDICT_REJECT || v->kind == VERDICT_DEFER)) {
		if (!refusal_waits(s, v)) {
			session_refuse_verdict(s, v, s->cmd->hook, rcpt_in_question(s));
			if (s->cmd->hook == HOOK_MAIL)
				session_txn_end(s);
			if (s->cmd->verb == SMTP_VERB_BDAT)
				session_swallow_chunk(s);
			return s->step == SESSION_STEP_BODY ? NEXT_STEP : session_command_done(s);
		}
		keep_refusal(s);
	}
	if (s->cmd->hooked && v->kind == VERDICT_DISCONNECT) {
		session_refuse_verdict(s, v, s->cmd->hook, rcpt_in_question(s));
		session_end(s, "policy");
		return NEXT_STEP;
	}
	return s->cmd->apply(s);
}

void session_consume(struct session *s, size_t n)
{
	if (s->stream)
		stream_consume(s->stream, n);
}

void session_deadline(struct session *s, int64_t in_us)
{
	if (s->stream)
		stream_set_deadline(s->stream, in_us);
}

enum session_next session_command_done(struct session *s)
{
	if (s->cmd && s->cmd->verb == SMTP_VERB_AUTH && s->stream)
		session_auth_wipe_input(s, s->line_octets); /* it was refused, with what stands in it */
	else
		session_consume(s, s->line_octets);
	s->line_octets = 0;
	s->cmd = NULL;
	if (s->step == SESSION_STEP_CLOSE)
		return NEXT_STEP;
	if (s->refusals >= s->listener->errors_max) {
		session_replyf(s, 421, SMTP_ENHANCED(4, 7, 0), "too many errors");
		session_end(s, "errors");
		return NEXT_STEP;
	}
	s->step = SESSION_STEP_READ;
	session_deadline(s, s->phase == SESSION_PHASE_REFUSED ? REFUSED_WAIT_US
							      : s->listener->command_timeout_us);
	return NEXT_STEP;
}

void session_end(struct session *s, const char *reason)
{
	if (!s->end_reason)
		s->end_reason = reason;
	s->step = SESSION_STEP_CLOSE;
}

static enum session_next step_close(struct session *s)
{
	if (s->stream_closed) {
		scope_close(&s->scope);
	} else {
		stream_want_input(s->stream, false);
		stream_close(s->stream, true);
	}
	return NEXT_GONE;
}

static enum session_next (*const steps[SESSION_STEP_MAX_])(struct session *) = {
	[SESSION_STEP_PROXY] = session_step_proxy,
	[SESSION_STEP_ENTER] = session_step_enter,
	[SESSION_STEP_TLS] = session_step_tls,
	[SESSION_STEP_SECURED] = session_step_secured,
	[SESSION_STEP_REVERSE] = session_step_reverse,
	[SESSION_STEP_CONNECT] = session_step_connect,
	[SESSION_STEP_BANNER] = session_step_banner,
	[SESSION_STEP_READ] = step_read,
	[SESSION_STEP_CHECK] = step_check,
	[SESSION_STEP_HOOK] = step_hook,
	[SESSION_STEP_APPLY] = step_apply,
	[SESSION_STEP_BODY] = session_step_body,
	[SESSION_STEP_MESSAGE] = session_step_message,
	[SESSION_STEP_ROUTE] = session_step_route,
	[SESSION_STEP_COMMIT] = session_step_commit,
	[SESSION_STEP_AUTH] = session_step_auth,
	[SESSION_STEP_AUTH_LINE] = session_step_auth_line,
	[SESSION_STEP_AUTH_HOOK] = session_step_auth_hook,
	[SESSION_STEP_CLOSE] = step_close,
};

static bool is_waiting(const struct session *s)
{
	return s->call.pending || op_pending(&s->commit.op) || s->reverse || s->waiting_room ||
	       s->waiting_out || session_tls_pending(s) || session_auth_pending(s) || session_dkim_pending(s);
}

/* Once all of a message is here it is kept even if the client does not wait for the reply: devices hang up early. */
static bool outlives_stream(const struct session *s)
{
	return s->step == SESSION_STEP_MESSAGE || s->step == SESSION_STEP_ROUTE ||
	       s->step == SESSION_STEP_COMMIT;
}

/* The only loop. Entered from input, from a completion and from the start; never from itself. */
void session_run(struct session *s)
{
	enum session_next next = NEXT_STEP;

	if (s->ended || !verify(!s->running))
		return;
	s->running = true;
	while (next == NEXT_STEP) {
		if (s->stream_closed && !outlives_stream(s))
			session_end(s, "lost");
		next = is_waiting(s) ? NEXT_WAIT : steps[s->step](s);
	}
	s->running = false;
	s->ended = next == NEXT_GONE;
	if (next == NEXT_WAIT && s->stream)
		stream_want_input(s->stream, !is_waiting(s));
}

static void on_run_task(struct task *t)
{
	session_run(container_of(t, struct session, run_task));
}

void session_run_soon(struct session *s)
{
	task_schedule(s->env->loop, &s->run_task);
}

/* ---- events --------------------------------------------------------------------------------------------------- */

static void on_readable(struct stream *stream, void *owner)
{
	(void)stream;
	session_run(owner);
}

static void on_writable(struct stream *stream, void *owner)
{
	struct session *s = owner;

	(void)stream;
	s->waiting_out = false;
	session_run(s);
}

/* Waiting for ourselves is not the client's fault, and what is waited for has a deadline of its own, but for two: room in the
 * store, whose deadline this is, and replies that are not read, which is the stream's to end. */
static bool wait_is_ours(struct session *s)
{
	if (!is_waiting(s))
		return false;
	if (s->waiting_room) {
		session_msg_fail(s, 452, SMTP_ENHANCED(4, 3, 1), "storage",
				 "insufficient system storage; try again later");
		session_run_soon(s);
	}
	return true;
}

static void on_deadline(struct stream *stream, void *owner)
{
	struct session *s = owner;

	if (s->ended)
		return;
	if (wait_is_ours(s)) {
		stream_set_deadline(stream, s->listener->command_timeout_us);
		return;
	}
	if (s->step != SESSION_STEP_PROXY) /* nobody knows whom it would be said to */
		session_replyf(s, 421, SMTP_ENHANCED(4, 4, 2), "%.*s timeout exceeded",
			       SPAN_ARG(s->listener->hostname));
	session_end(s, "timeout");
	session_run(s);
}

static void free_session(struct session *s)
{
	struct session_env *env = s->env;

	if (s->setup.hooks.ops->conn_gone)
		s->setup.hooks.ops->conn_gone(s->setup.hooks.impl, &s->conn);
	if (s->counted)
		clients_leave(env->clients, &s->conn.client.addr, s->setup.total);
	session_reverse_free(s);
	session_tls_free(s);
	session_auth_free(s);
	task_unschedule(&s->run_task);
	arena_free(&s->txn_mem);
	arena_free(&s->helo_mem);
	arena_free(&s->conn_mem);
	if (s->setup.release)
		s->setup.release(s->setup.release_arg);
	list_remove(&s->link);
	env->count--;
	metric_add(env->metrics, METRIC_SESSIONS_OPEN, -1);
	if (env->gone)
		env->gone(env->arg, s);
	free(s);
}

/* The memory goes when nothing can call back or look at it any more: stream closed, scope closed, no question open. */
static void maybe_gone(struct session *s)
{
	if (!s->stream_closed || !s->scope_closed || s->call.pending)
		return;
	session_msg_end(s);
	session_log_finished(s);
	session_txn_end(s);
	free_session(s);
}

static void on_verdict(struct hook_call *call)
{
	struct session *s = container_of(call, struct session, call);

	call->pending = false;
	if (s->ended) {
		maybe_gone(s);
		return;
	}
	if (s->env->trace)
		s->env->trace(s->env->arg, s, call->path);
	session_run(s);
}

static void on_scope_closed(struct scope *scope)
{
	struct session *s = container_of(scope, struct session, scope);

	s->scope_closed = true;
	maybe_gone(s);
}

static void on_closed(struct stream *stream, void *owner, int err)
{
	struct session *s = owner;

	if (!s->end_reason)
		s->end_reason = err == -ERR_TIMEOUT ? "stalled" : err ? "lost" : "closed";
	s->bytes_in += stream->bytes_in;
	s->bytes_out += stream->bytes_out;
	s->stream = NULL;
	stream_free(stream);
	session_stream_gone(s);
}

void session_stream_set(struct session *s, struct stream *stream)
{
	s->stream = stream;
	stream_set_owner(stream, &stream_events, s);
}

void session_stream_gone(struct session *s)
{
	s->stream_closed = true;
	s->waiting_out = false;
	timer_unset(s->env->loop, &s->banner_timer);
	if (!s->ended && outlives_stream(s))
		return; /* it ends when the message is kept */
	s->ended = true;
	task_unschedule(&s->run_task);
	if (s->call.pending)
		s->setup.hooks.ops->cancel(s->setup.hooks.impl, &s->call);
	scope_close(&s->scope);
}
