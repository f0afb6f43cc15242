/* session_bed.h - a session whose client is the test: a stream of memory, policies that say what they are told to say and when,
 * and a store that keeps messages in memory and can be full, slow or broken. */
#pragma once

#include "test.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "io/memory_stream.h"
#include "session/session.h"

#define SECOND INT64_C(1000000)

struct bed;

/* ---- policies -------------------------------------------------------------------------------------------------- */

struct bed_hook {
	struct verdict verdict;
	bool waits;    /* the answer comes with bed_answer() only */
	bool unwanted; /* no policy has this hook */
	unsigned asked;
};

/* ---- the store ------------------------------------------------------------------------------------------------- */

enum { BED_MESSAGES_MAX = 32 };

struct bed_message { /* committed */
	struct buf meta, octets; /* the encoded envelope; head and body */
	size_t head_octets;
};

struct store_message { /* open */
	struct bed *bed;
	struct buf body;
	struct id id;
	void (*room)(void *arg);
	void *room_arg;
};

struct bed_store {
	int begin_error, body_error, commit_error, commit_status;
	bool room_waits, commit_waits, peek_nothing;
	size_t again_after; /* 0: never; else -ERR_AGAIN for each piece once this much is there */
	struct store_message *waiting_room;
	struct store_commit *commit;
	struct bed_message msg[BED_MESSAGES_MAX];
	unsigned n, open, begun, aborted;
};

/* ---- the bed --------------------------------------------------------------------------------------------------- */

struct bed {
	struct loop *loop;
	struct logger log;
	struct buf lines;
	struct metric_shard metrics;
	struct session_profile profile;
	struct session_listener listener;
	struct session_env env;
	struct session_setup setup;
	struct bed_hook hook[HOOK_MAX_];
	struct hook_call *asked; /* the question that is open */
	struct task answer_task;
	unsigned conn_gone, txn_gone, observed[OBSERVER_MAX_], etrns;
	struct bed_store store;
	struct memory_peer peer;
	struct session *s; /* NULL: gone */
	unsigned gone, released;
	struct buf got;
};

static void bed_hook_answer(struct task *t)
{
	struct bed *b = container_of(t, struct bed, answer_task);
	struct hook_call *call = b->asked;

	b->asked = NULL;
	call->done(call);
}

static bool bed_wants(void *impl, const void *policies, enum hook_id id)
{
	(void)policies;
	return !((struct bed *)impl)->hook[id].unwanted;
}

static void bed_hook_start(void *impl, struct hook_call *call)
{
	struct bed *b = impl;
	struct bed_hook *h = &b->hook[call->id];
	const struct verdict *v = &h->verdict;

	NEED(b->asked == NULL);
	b->asked = call;
	h->asked++;
	/* In the memory that the session gave for it: a use after its end is seen. */
	call->verdict = *v;
	call->verdict.rule = arena_dup(call->mem, v->rule);
	call->verdict.text = arena_dup(call->mem, v->text);
	call->verdict.enhanced = arena_dup(call->mem, v->enhanced);
	call->verdict.route = arena_dup(call->mem, v->route);
	decision_path_add(call->path, &(struct decision){ .hook = (uint8_t)call->id,
							  .kind = (uint8_t)v->kind,
							  .policy = SPAN("bed"),
							  .rule = v->rule });
	if (!h->waits)
		task_schedule(b->loop, &b->answer_task);
}

static void bed_hook_cancel(void *impl, struct hook_call *call)
{
	struct bed *b = impl;

	NEED(b->asked == call);
	call->verdict = (struct verdict){ .kind = VERDICT_DEFER, .broken = true };
	/* Everything that the question is about must still be there. */
	CHECK(call->conn->listener.n > 0);
	if (call->txn)
		CHECK(call->txn->conn == call->conn);
	task_schedule(b->loop, &b->answer_task);
}

static void bed_observe(void *impl, const struct hook_event *ev)
{
	((struct bed *)impl)->observed[ev->id]++;
}

static const void *bed_list(void *impl, struct span listener)
{
	(void)listener;
	return impl;
}

static void bed_conn_gone(void *impl, struct view_conn *conn)
{
	(void)conn;
	((struct bed *)impl)->conn_gone++;
}

static void bed_txn_gone(void *impl, struct view_txn *txn)
{
	CHECK(txn->conn != NULL);
	((struct bed *)impl)->txn_gone++;
}

static const struct hook_ops bed_hook_ops = { .wants = bed_wants,
					      .start = bed_hook_start,
					      .cancel = bed_hook_cancel,
					      .observe = bed_observe,
					      .list = bed_list,
					      .conn_gone = bed_conn_gone,
					      .txn_gone = bed_txn_gone };

static int bed_store_begin(void *impl, uint64_t size_hint, struct store_message **m_r)
{
	struct bed *b = impl;

	(void)size_hint;
	if (b->store.begin_error)
		return b->store.begin_error;
	*m_r = mem_alloc(sizeof **m_r);
	**m_r = (struct store_message){ .bed = b,
					.body = BUF_INIT(64 * 1024 * 1024),
					.id = id_from_u64(++b->store.begun) };
	b->store.open++;
	return 0;
}

static struct id bed_store_id(void *impl, const struct store_message *m)
{
	(void)impl;
	return m->id;
}

static int bed_store_body(void *impl, struct store_message *m, struct span piece)
{
	struct bed_store *st = &((struct bed *)impl)->store;

	CHECK(st->waiting_room == NULL);
	if (st->body_error)
		return st->body_error;
	NEED(buf_add_span(&m->body, piece));
	return st->again_after && m->body.n >= st->again_after ? -ERR_AGAIN : 0;
}

static void bed_store_on_room(void *impl, struct store_message *m, void (*room)(void *arg), void *arg)
{
	m->room = room;
	m->room_arg = arg;
	((struct bed *)impl)->store.waiting_room = m;
}

static struct span bed_store_peek(void *impl, const struct store_message *m)
{
	return ((struct bed *)impl)->store.peek_nothing ? (struct span){ NULL, 0 } : buf_span(&m->body);
}

static void bed_store_free(struct bed *b, struct store_message **m)
{
	if (b->store.waiting_room == *m)
		b->store.waiting_room = NULL;
	b->store.open--;
	buf_free(&(*m)->body);
	free(*m);
	*m = NULL;
}

static void bed_store_abort(void *impl, struct store_message **m)
{
	((struct bed *)impl)->store.aborted++;
	bed_store_free(impl, m);
}

static void bed_commit_cancel(struct op *op)
{
	((struct bed *)container_of(op, struct store_commit, op)->store_)->store.commit = NULL;
	op_complete(op, -ERR_CANCELED);
}

static int bed_store_commit(void *impl, struct store_commit *c, struct scope *scope, struct store_message **m,
			    const struct envelope *env, struct span head)
{
	struct bed *b = impl;
	struct bed_store *st = &b->store;

	if (st->commit_error)
		return st->commit_error;
	NEED(st->n < BED_MESSAGES_MAX);
	struct bed_message *to = &st->msg[st->n++];
	*to = (struct bed_message){ .meta = BUF_INIT(ENVELOPE_OCTETS_MAX), .octets = BUF_INIT(64 * 1024 * 1024) };
	NEED(envelope_encode(env, &to->meta));
	buf_add_span(&to->octets, head);
	to->head_octets = head.n;
	buf_add_span(&to->octets, buf_span(&(*m)->body));
	bed_store_free(b, m);
	c->store_ = b;
	const int err = op_begin(&c->op, scope, "commit", 60 * SECOND, bed_commit_cancel);
	if (err < 0)
		return err;
	if (st->commit_waits)
		st->commit = c;
	else
		op_complete(&c->op, st->commit_status);
	return 0;
}

static const struct session_store_ops bed_store_ops = { .begin = bed_store_begin,
							.id = bed_store_id,
							.body = bed_store_body,
							.on_room = bed_store_on_room,
							.peek = bed_store_peek,
							.commit = bed_store_commit,
							.abort = bed_store_abort };

/* ---- running --------------------------------------------------------------------------------------------------- */

static void bed_sink(void *arg, struct span lines)
{
	buf_add_span(&((struct bed *)arg)->lines, lines);
}

static void bed_on_gone(void *arg, struct session *s)
{
	struct bed *b = arg;

	CHECK(b->s == NULL || b->s == s);
	b->s = NULL;
	b->gone++;
}

static void bed_release(void *arg)
{
	((struct bed *)arg)->released++;
}

static uint64_t bed_etrn(void *arg, struct span domain)
{
	(void)domain;
	((struct bed *)arg)->etrns++;
	return 3;
}

static inline void bed_run(struct bed *b)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(b->loop, false);
}

static inline void bed_accept(struct bed *b)
{
	b->hook[HOOK_RCPT].verdict = (struct verdict){ .kind = VERDICT_ACCEPT };
}

static inline void bed_init(struct bed *b)
{
	*b = (struct bed){ .lines = BUF_INIT(16 * 1024 * 1024), .got = BUF_INIT(64 * 1024 * 1024) };
	b->loop = loop_new();
	loop_set_resident(b->loop, false);
	logger_init(&b->log, (struct log_sink){ .write = bed_sink, .arg = b });
	metric_shard_init(&b->metrics);
	task_init(&b->answer_task, bed_hook_answer);
	b->listener = (struct session_listener){
		.name = SPAN("relay"),
		.hostname = SPAN("relay.example.edu"),
		.greeting = SPAN("ESMTP Postern"),
		.help_url = SPAN("https://help.example.edu/"),
		.help_text = SPAN("Ask the help desk"),
		.ext = SMTP_EXT_PIPELINING | SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |
		       SMTP_EXT_CHUNKING | SMTP_EXT_BINARYMIME | SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN |
		       SMTP_EXT_DELIVERBY | SMTP_EXT_ETRN | SMTP_EXT_HELP,
		.message_max_bytes = 2 * 1024 * 1024,
		.head_max_bytes = 64 * 1024,
		.line_max_octets = 2000,
		.rcpts_max = 100,
		.messages_max = 1000,
		.errors_max = 20,
		.idle_commands_max = 20,
		.hops_max = 30,
		.own_hops_max = 2,
		.deliverby_min_s = 60,
		.command_timeout_us = 300 * SECOND,
		.data_timeout_us = 180 * SECOND,
		.message_timeout_us = 3600 * SECOND,
		.reverse_timeout_us = 5 * SECOND,
		.profiles = &b->profile,
		.nprofiles = 1,
	};
	b->profile = (struct session_profile){
		.name = SPAN("copier"), .lax = SMTP_LAX_ALL, .normalise_newlines = true, .nul = true, .early = true
	};
	b->env = (struct session_env){ .loop = b->loop,
				       .store = { &bed_store_ops, b },
				       .log = &b->log,
				       .metrics = &b->metrics,
				       .etrn = bed_etrn,
				       .gone = bed_on_gone,
				       .arg = b };
	session_env_init(&b->env);
	b->setup = (struct session_setup){ .listener = &b->listener,
					   .hooks = { &bed_hook_ops, b },
					   .policies = b,
					   .release = bed_release,
					   .release_arg = b };
	bed_accept(b);
}

static inline void bed_connect(struct bed *b)
{
	struct stream *stream = memory_stream_new(b->loop, &b->peer);

	NEED(ip_parse(SPAN("192.0.2.7"), &stream->peer.addr));
	NEED(ip_parse(SPAN("192.0.2.1"), &stream->local.addr));
	stream->peer.port = 4321;
	stream->local.port = 25;
	session_start(&b->env, &b->setup, stream);
	b->s = session_next(&b->env, NULL);
}

static inline const char *bed_take(struct bed *b)
{
	bed_run(b);
	buf_reset(&b->got);
	memory_stream_take_output(&b->peer, &b->got);
	return buf_cstr(&b->got);
}

/* What the server answers to @text. */
static inline const char *bed_say_span(struct bed *b, struct span text)
{
	memory_stream_send(&b->peer, text);
	return bed_take(b);
}

static inline const char *bed_say(struct bed *b, const char *text)
{
	return bed_say_span(b, span_of(text));
}

static inline void bed_check(const char *file, int line, const char *said, const char *want, const char *got)
{
	if (strncmp(got, want, strlen(want)) == 0 && (want[0] || !got[0]))
		return;
	test_fail(file, line);
	printf("after \"%.60s\": expected \"%s\", got \"%.300s\"\n", said, want, got);
}

/* The answer to @text begins with @want; "" for silence. */
#define SAY(b, text, want)  bed_check(__FILE__, __LINE__, (text), (want), bed_say((b), (text)))
#define HEAR(b, what, want) bed_check(__FILE__, __LINE__, (what), (want), bed_take(b))
#define HAS(text, part)     CHECK(strstr((text), (part)) != NULL)

/* Up to the greeting. */
static inline void bed_open(struct bed *b)
{
	bed_connect(b);
	HEAR(b, "connect", "220 relay.example.edu ESMTP Postern\r\n");
}

static inline void bed_ehlo(struct bed *b)
{
	bed_open(b);
	SAY(b, "EHLO copier.example.edu\r\n", "250-relay.example.edu Hello ");
}

static inline void bed_envelope(struct bed *b)
{
	SAY(b, "MAIL FROM:<a@example.edu>\r\n", "250 2.1.0 Ok\r\n");
	SAY(b, "RCPT TO:<b@example.org>\r\n", "250 2.1.5 Ok\r\n");
}

static inline void bed_answer(struct bed *b)
{
	NEED(b->asked != NULL);
	task_schedule(b->loop, &b->answer_task);
}

static inline void bed_room(struct bed *b)
{
	struct store_message *m = b->store.waiting_room;

	NEED(m != NULL);
	b->store.waiting_room = NULL;
	m->room(m->room_arg);
}

static inline void bed_pass(struct bed *b, int64_t us)
{
	loop_clock_advance(b->loop, us);
	bed_run(b);
}

static inline void bed_committed(struct bed *b, int status)
{
	struct store_commit *c = b->store.commit;

	NEED(c != NULL);
	b->store.commit = NULL;
	op_complete(&c->op, status);
}

/* The client goes; everything must go with it. */
static inline void bed_close(struct bed *b)
{
	if (b->peer.stream)
		memory_stream_reset(&b->peer, -ERR_CLOSED);
	bed_run(b);
	CHECK(b->s == NULL);
	memory_stream_peer_deinit(&b->peer);
}

static inline void bed_end(struct bed *b)
{
	bed_close(b);
	CHECK_INT(1, b->gone);
	CHECK_INT(1, b->released);
	CHECK_INT(1, b->conn_gone);
	CHECK_INT(0, b->env.count);
	CHECK_INT(0, b->store.open);
	CHECK_INT(1, b->observed[OBSERVER_SESSION_CLOSED]);
	CHECK(b->asked == NULL);
	for (unsigned i = 0; i < b->store.n; i++) {
		buf_free(&b->store.msg[i].meta);
		buf_free(&b->store.msg[i].octets);
	}
	bed_run(b);
	logger_deinit(&b->log);
	metric_shard_deinit(&b->metrics);
	loop_free(&b->loop);
	buf_free(&b->lines);
	buf_free(&b->got);
}

static inline const char *bed_log(struct bed *b)
{
	log_flush(&b->log);
	return buf_cstr(&b->lines);
}
