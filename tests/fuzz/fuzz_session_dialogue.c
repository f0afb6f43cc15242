/* fuzz_session_dialogue.c - any octets, in any pieces, from a client; policies and a store that answer as the input says, at once
 * or late or never. The first octets of the input choose these, the rest is what the client sends.
 *
 * Where the input says so clients can authenticate, in clear, by PLAIN, LOGIN and SCRAM, at a place that knows one password and is
 * sometimes late or out of order.
 *
 * What must hold: every reply is a reply; there is one for each line that is a command, no more; nothing is kept without an
 * accepted recipient, nor, on a listener that demands a login, from who has none; no bare CR or LF is kept unless BINARYMIME was said;
 * everything is given back at the end. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/memory_stream.h"
#include "session/session.h"
#include "smtp/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHOICES = 12, TURNS_MAX = 400 };

struct store_message {
	struct buf body;
	void (*room)(void *arg);
	void *room_arg;
};

struct world {
	const uint8_t *choice;
	unsigned at; /* of the next choice */
	struct loop *loop;
	struct hook_call *asked;
	struct task answer_task;
	unsigned answer_in;
	struct store_message *waits;
	unsigned room_in;
	struct store_commit *commit;
	unsigned commit_in;
	unsigned open, committed, gone, accepts;
	uint64_t accepted; /* 250 queued */
	bool auth_required;
	struct auth_backend book; /* the place that knows a password */
	struct auth_check *check;
	unsigned check_in;
};

#define PASSWORD "fuzz-Secret-42"

static unsigned choose(struct world *w, unsigned of)
{
	return w->choice[w->at++ % CHOICES] % of;
}

/* ---- policies -------------------------------------------------------------------------------------------------- */

static void on_answer(struct task *t)
{
	struct world *w = container_of(t, struct world, answer_task);
	struct hook_call *call = w->asked;

	w->asked = NULL;
	call->done(call);
}

static bool wants(void *impl, const void *policies, enum hook_id id)
{
	(void)policies;
	return ((struct world *)impl)->choice[0] >> (id % 8) & 1;
}

static void start(void *impl, struct hook_call *call)
{
	static const enum verdict_kind kinds[] = { VERDICT_NONE,       VERDICT_ACCEPT,  VERDICT_ACCEPT,
						   VERDICT_REJECT,     VERDICT_DEFER,   VERDICT_HOLD,
						   VERDICT_DISCONNECT, VERDICT_DISCARD, VERDICT_ACCEPT,
						   VERDICT_ACCEPT };
	struct world *w = impl;

	require(!w->asked && !call->verdict.kind);
	w->asked = call;
	call->verdict = (struct verdict){ .kind = kinds[choose(w, ARRAY_LEN(kinds))],
					  .now = choose(w, 4) == 0,
					  .rule = arena_dup(call->mem, SPAN("rule")),
					  .text = arena_dup(call->mem, SPAN("because\r\n250 forged")),
					  .route = arena_dup(call->mem, SPAN("smarthost")) };
	if (call->id == HOOK_RCPT && call->verdict.kind == VERDICT_ACCEPT)
		w->accepts++;
	decision_path_add(call->path, &(struct decision){ .hook = (uint8_t)call->id });
	require(call->conn->listener.n && (!call->txn || call->txn->conn == call->conn));
	if (call->msg)
		require(call->msg->head && call->msg->nrcpt > 0);
	w->answer_in = choose(w, 5);
	if (w->answer_in == 0)
		task_schedule(w->loop, &w->answer_task);
}

static void cancel(void *impl, struct hook_call *call)
{
	struct world *w = impl;

	require(w->asked == call);
	w->answer_in = 0;
	call->verdict = (struct verdict){ .kind = VERDICT_DEFER, .broken = true };
	task_schedule(w->loop, &w->answer_task);
}

static void observe(void *impl, const struct hook_event *ev)
{
	(void)impl, (void)ev;
}

static const struct hook_ops hook_ops = {
	.wants = wants, .start = start, .cancel = cancel, .observe = observe
};

/* ---- passwords ------------------------------------------------------------------------------------------------- */

static void cancel_check(struct op *op)
{
	struct auth_check *c = container_of(op, struct auth_check, op);
	struct world *w = c->impl;

	w->check = NULL;
	op_complete(op, -ERR_CANCELED);
}

static int check(struct auth_backend *b, struct auth_check *c, struct scope *scope)
{
	struct world *w = container_of(b, struct world, book);

	require(!w->check && c->user.n);
	if (choose(w, 16) == 11)
		return -ERR_BUSY;
	const int err = op_begin(&c->op, scope, "check", 60000000, cancel_check);
	if (err < 0)
		return err;
	c->answer = choose(w, 8) == 5                        ? AUTH_ANSWER_TEMPFAIL
		    : !span_eq(c->user, SPAN("user"))        ? AUTH_ANSWER_UNKNOWN_HERE
		    : secret_eq(c->password, SPAN(PASSWORD)) ? AUTH_ANSWER_RIGHT
							     : AUTH_ANSWER_WRONG;
	if (c->answer == AUTH_ANSWER_RIGHT)
		snprintf(c->identity.user, sizeof c->identity.user, "user");
	c->impl = w;
	w->check = c;
	w->check_in = 1 + choose(w, 4);
	return 0;
}

static const struct auth_backend_ops book_ops = { .name = "book", .check = check };

/* ---- the store ------------------------------------------------------------------------------------------------- */

static int begin(void *impl, uint64_t size_hint, struct store_message **m_r)
{
	struct world *w = impl;

	(void)size_hint;
	if (choose(w, 16) == 7)
		return -ERR_NOSPACE;
	*m_r = mem_alloc(sizeof **m_r);
	buf_init(&(*m_r)->body, 1 << 24);
	w->open++;
	return 0;
}

static struct id store_id(void *impl, const struct store_message *m)
{
	(void)impl, (void)m;
	return id_from_u64(1);
}

static int body(void *impl, struct store_message *m, struct span piece)
{
	struct world *w = impl;

	require(!w->waits && piece.n > 0);
	buf_add_span(&m->body, piece);
	switch (choose(w, 16)) {
	case 3:
		return -ERR_IO;
	case 5:
		return -ERR_AGAIN;
	default:
		return 0;
	}
}

static void on_room(void *impl, struct store_message *m, void (*room)(void *arg), void *arg)
{
	struct world *w = impl;

	m->room = room;
	m->room_arg = arg;
	w->waits = m;
	w->room_in = 1 + choose(w, 3);
}

static struct span peek(void *impl, const struct store_message *m)
{
	(void)impl;
	return buf_span(&m->body);
}

static void drop(struct world *w, struct store_message **m)
{
	if (w->waits == *m)
		w->waits = NULL;
	w->open--;
	buf_free(&(*m)->body);
	free(*m);
	*m = NULL;
}

static void abort_message(void *impl, struct store_message **m)
{
	drop(impl, m);
}

static void cancel_commit(struct op *op)
{
	((struct world *)container_of(op, struct store_commit, op)->store_)->commit = NULL;
	op_complete(op, -ERR_CANCELED);
}

static void check_bare(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		require(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		require(s.p[i] != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'));
	}
}

static int commit(void *impl, struct store_commit *c, struct scope *scope, struct store_message **m,
		  const struct envelope *env, struct span head)
{
	struct world *w = impl;
	struct buf all = BUF_INIT(1 << 25);

	require(env->nrcpt > 0 && env->nrcpt <= w->accepts);
	require(!w->auth_required || span_eq(env->protocol, SPAN("ESMTPA")) ||
		span_eq(env->protocol, SPAN("UTF8SMTPA")) ||
		span_eq(env->protocol, SPAN("SMTP"))); /* after HELO it does not say */
	require(!w->auth_required || span_eq(env->device, SPAN("user")));
	buf_add_span(&all, head);
	buf_add_span(&all, buf_span(&(*m)->body));
	check_bare(env->flags & ENVELOPE_BINARYMIME ? head : buf_span(&all));
	buf_free(&all);
	if (choose(w, 16) == 9)
		return -ERR_IO;
	drop(w, m);
	c->store_ = w;
	const int err = op_begin(&c->op, scope, "commit", 60000000, cancel_commit);
	require(err == 0);
	w->committed++;
	w->commit = c;
	w->commit_in = 1 + choose(w, 3);
	return 0;
}

static const struct session_store_ops store_ops = { .begin = begin,
						    .id = store_id,
						    .body = body,
						    .on_room = on_room,
						    .peek = peek,
						    .commit = commit,
						    .abort = abort_message };

/* ---- a turn ---------------------------------------------------------------------------------------------------- */

static void on_gone(void *arg, struct session *s)
{
	(void)s;
	((struct world *)arg)->gone++;
}

/* What is late comes at last. */
static void tick(struct world *w)
{
	if (w->asked && w->answer_in > 0 && --w->answer_in == 0)
		task_schedule(w->loop, &w->answer_task);
	if (w->waits && --w->room_in == 0) {
		struct store_message *m = w->waits;
		w->waits = NULL;
		m->room(m->room_arg);
	}
	if (w->check && --w->check_in == 0) {
		struct auth_check *c = w->check;
		w->check = NULL;
		op_complete(&c->op, 0);
	}
	if (w->commit && --w->commit_in == 0) {
		struct store_commit *c = w->commit;
		w->commit = NULL;
		op_complete(&c->op, choose(w, 8) == 3 ? -ERR_IO : 0);
	}
	loop_run_once(w->loop, false);
}

static bool is_busy(const struct world *w)
{
	return w->asked || w->waits || w->commit || w->check;
}

/* Every octet that was said belongs to a reply. */
static unsigned count_replies(struct world *w, struct span out)
{
	struct smtp_reply_parser p;
	const char *why;
	unsigned n = 0;
	int ret;

	smtp_reply_parser_init(&p, 1000);
	while ((ret = smtp_reply_parse(&p, &out, &why)) == 1) {
		n++;
		require(p.reply.notes == 0);
		if (p.reply.code == 250 && span_find(p.reply.text, SPAN("queued as")) >= 0)
			w->accepted++;
	}
	require(ret == 0 && !smtp_reply_parser_is_midway(&p));
	smtp_reply_parser_deinit(&p);
	return n;
}

static void sink(void *arg, struct span lines)
{
	(void)arg, (void)lines;
}

static void run(struct world *w, const struct session_listener *l, const uint8_t *data, size_t size)
{
	struct logger log;
	struct metric_shard metrics;
	struct memory_peer peer;

	logger_init(&log, (struct log_sink){ .write = sink });
	metric_shard_init(&metrics);
	struct session_env env = { .loop = w->loop,
				   .store = { &store_ops, w },
				   .log = &log,
				   .metrics = &metrics,
				   .gone = on_gone,
				   .arg = w };
	const struct session_setup setup = { .listener = l, .hooks = { &hook_ops, w }, .policies = w };
	const unsigned piece = 1 + w->choice[1] * 4u;
	unsigned newlines = 0;

	session_env_init(&env);
	struct stream *stream = memory_stream_new(w->loop, &peer);
	require(ip_parse(SPAN("192.0.2.7"), &stream->peer.addr));
	session_start(&env, &setup, stream);
	tick(w);
	for (size_t at = 0; at < size; at += piece) {
		const size_t n = size - at < piece ? size - at : piece;
		for (size_t i = at; i < at + n; i++)
			newlines += data[i] == '\n';
		memory_stream_send(&peer, span_make((const char *)data + at, n));
		tick(w);
	}
	const unsigned end = w->choice[2] % 4;
	if (end == 1)
		memory_stream_send_eof(&peer);
	else if (end == 2)
		session_drain_all(&env);
	else if (end == 3)
		memory_stream_reset(&peer, -ERR_CLOSED);
	for (int i = 0; i < TURNS_MAX && (i < 8 || is_busy(w)); i++)
		tick(w);
	/* One for the greeting, one for the end, at most one for each line end: DATA has two of both. */
	require(count_replies(w, buf_span(&peer.output)) <= newlines + 2);
	require(w->accepted <= w->committed + w->accepts);
	memory_stream_peer_deinit(&peer);
	for (int i = 0; i < TURNS_MAX && !w->gone; i++)
		tick(w);
	require(w->gone == 1 && w->open == 0 && env.count == 0 && !is_busy(w));
	logger_deinit(&log);
	metric_shard_deinit(&metrics);
}

static struct ip_set *everybody(void)
{
	struct ip_set *set = ip_set_new();
	struct ip_net net;

	require(ip_net_parse(SPAN("0.0.0.0/0"), &net));
	ip_set_add(set, &net);
	return set;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < CHOICES || size > 100000)
		return 0;
	const struct session_profile profile = {
		.name = SPAN("lax"), .lax = SMTP_LAX_ALL, .normalise_newlines = true, .nul = true
	};
	struct world w = { .choice = data,
			   .at = 4,
			   .loop = loop_new(),
			   .auth_required = data[3] & 32,
			   .book = { .ops = &book_ops } };
	const struct auth_server server = {
		.backend = { &w.book }, .nbackends = 1, .mechs = ~0u, .clear_mechs = ~0u
	};
	struct ip_set *all = everybody();
	const struct session_listener l = {
		.name = SPAN("fuzz"),
		.auth = { .server = data[3] & 48 ? &server : NULL,
			  .clear_from = all,
			  .required = w.auth_required,
			  .failures_max = 4,
			  .timeout_us = 60000000 },
		.hostname = SPAN("relay.example.edu"),
		.greeting = SPAN("ESMTP"),
		.help_url = SPAN("https://help.example.edu/"),
		.ext = SMTP_EXT_PIPELINING | SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |
		       SMTP_EXT_CHUNKING | SMTP_EXT_BINARYMIME | SMTP_EXT_DSN | SMTP_EXT_DELIVERBY |
		       SMTP_EXT_ETRN | SMTP_EXT_AUTH,
		.message_max_bytes = 5000,
		.head_max_bytes = 600,
		.line_max_octets = 500,
		.rcpts_max = 5,
		.messages_max = 5,
		.errors_max = 50,
		.idle_commands_max = 50,
		.hops_max = 5,
		.own_hops_max = 2,
		.deliverby_min_s = 10,
		.command_timeout_us = 300000000,
		.data_timeout_us = 300000000,
		.message_timeout_us = 600000000,
		.refuse_now = data[3] & 1,
		.refuse_early_talkers = data[3] & 2 && data[3] & 4,
		.profiles = &profile,
		.nprofiles = 1,
		.profile = data[3] & 8 ? &profile : NULL,
	};
	loop_set_resident(w.loop, false);
	task_init(&w.answer_task, on_answer);
	run(&w, &l, data + CHOICES, size - CHOICES);
	loop_free(&w.loop);
	ip_set_free(&all);
	return 0;
}
