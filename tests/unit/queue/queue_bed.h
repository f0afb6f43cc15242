/* queue_bed.h - a queue with a spool of memory, a delivery that does what it is told, and a clock that the test moves. */
#pragma once

#include "../test.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "queue/queue.h"
#include "queue/queue_action.h"

#define S INT64_C(1000000)
#define M (60 * S)
#define H (60 * M)
#define D (24 * H)

/* ---- the spool ------------------------------------------------------------------------------------------------ */

struct bed_note {
	struct list link;
	size_t n;
	char octets[];
};

struct bed_message {
	struct list link, notes;
	uint64_t id;
	struct spool_image *image; /* the spool's own reference */
	char *body;                /* of a large one */
	bool dropped;
};

struct spool {
	struct loop *loop;
	struct list messages;
	uint64_t next_id;
	int load_error, sync_error;
	unsigned loads, notes, drops, syncs;
	unsigned images; /* references that others hold */
	/* writing */
	unsigned writes;     /* that are open */
	unsigned again_each; /* every so many pieces of a body the disk is behind; 0: never */
	int begin_error, commit_error;
	/* messages with this many octets of body or more are large; 0: none is */
	size_t large;
};

/* An image is one block: the struct, then what its spans point to. */
struct bed_image {
	struct spool_image pub;
	struct spool *spool;
	char octets[];
};

static inline struct spool_image *bed_image_new(struct spool *s, uint64_t id, struct span meta, struct span head,
					 struct span body)
{
	struct bed_image *im = mem_alloc(sizeof *im + meta.n + head.n + body.n + 1);

	char *end = im->octets;

	for (size_t i = 0; i < 3; i++) {
		const struct span part = i == 0 ? meta : i == 1 ? head : body;
		if (part.n)
			memcpy(end, part.p, part.n);
		end += part.n;
	}
	im->spool = s;
	im->pub = (struct spool_image){ .refs = 1,
					.id = id,
					.meta = span_make(im->octets, meta.n),
					.head = span_make(im->octets + meta.n, head.n),
					.body = span_make(im->octets + meta.n + head.n, body.n) };
	return &im->pub;
}

struct spool_image *spool_image_ref(struct spool_image *img)
{
	img->refs++;
	container_of(img, struct bed_image, pub)->spool->images++;
	return img;
}

void spool_image_unref(struct spool_image **img)
{
	if (!*img)
		return;
	container_of(*img, struct bed_image, pub)->spool->images--;
	if (--(*img)->refs == 0)
		free(container_of(*img, struct bed_image, pub));
	*img = NULL;
}

static inline struct bed_message *bed_find(struct spool *s, uint64_t id)
{
	/* The newest first: it is asked for most. */
	for (struct list *link = s->messages.prev; link != &s->messages; link = link->prev) {
		struct bed_message *m = list_entry(link, struct bed_message, link);
		if (m->id == id && !m->dropped)
			return m;
	}
	return NULL;
}

void spool_note(struct spool *s, uint64_t id, struct span note)
{
	struct bed_message *m = bed_find(s, id);
	struct bed_note *copy = mem_alloc(sizeof *copy + note.n);

	NEED(m != NULL);
	memcpy(copy->octets, note.p, note.n);
	copy->n = note.n;
	list_push_back(&m->notes, &copy->link);
	s->notes++;
}

void spool_drop(struct spool *s, uint64_t id)
{
	struct bed_message *m = bed_find(s, id);

	NEED(m != NULL);
	m->dropped = true;
	s->drops++;
}

static inline void bed_op_cancel(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

int spool_sync_start(struct op *op, struct scope *scope, struct spool *s)
{
	const int ret = op_begin(op, scope, "sync", M, bed_op_cancel);

	s->syncs++;
	if (ret == 0)
		op_complete(op, s->sync_error);
	return ret;
}

int spool_load_start(struct spool_load *ld, struct scope *scope, struct spool *s, uint64_t id)
{
	const int ret = op_begin(&ld->op, scope, "load", M, bed_op_cancel);
	struct bed_message *m = bed_find(s, id);

	if (ret < 0)
		return ret;
	s->loads++;
	ld->image = NULL;
	if (s->load_error || !m)
		op_complete(&ld->op, m ? s->load_error : -ERR_NOTFOUND);
	else {
		ld->image = spool_image_ref(m->image);
		op_complete(&ld->op, 0);
	}
	return 0;
}

/* ---- writing and reading, for import and export ---- */

struct spool_write {
	struct spool *spool;
	struct buf body;
	unsigned pieces;
	void (*room)(void *arg);
	void *room_arg;
	struct task room_task;
};

static inline void bed_room(struct task *t)
{
	struct spool_write *w = container_of(t, struct spool_write, room_task);

	w->room(w->room_arg);
}

int spool_write_begin(struct spool *s, uint64_t size_hint, struct spool_write **w_r)
{
	(void)size_hint;
	if (s->begin_error)
		return s->begin_error;
	*w_r = mem_alloc(sizeof **w_r);
	(*w_r)->spool = s;
	buf_init(&(*w_r)->body, 1 << 20);
	task_init(&(*w_r)->room_task, bed_room);
	s->writes++;
	return 0;
}

int spool_write_body(struct spool_write *w, struct span piece)
{
	if (!buf_add_span(&w->body, piece))
		return -ERR_TOOBIG;
	if (w->spool->again_each == 0 || ++w->pieces % w->spool->again_each != 0)
		return 0;
	task_schedule(w->spool->loop, &w->room_task);
	return -ERR_AGAIN;
}

void spool_write_on_room(struct spool_write *w, void (*room)(void *arg), void *arg)
{
	w->room = room;
	w->room_arg = arg;
}

void spool_write_abort(struct spool_write **w)
{
	task_unschedule(&(*w)->room_task);
	(*w)->spool->writes--;
	buf_free(&(*w)->body);
	free(*w);
	*w = NULL;
}

static inline struct bed_message *bed_message_new(struct spool *s, struct span meta, struct span head,
					   struct span body)
{
	struct bed_message *m = mem_alloc(sizeof *m);

	m->id = s->next_id++;
	m->image = bed_image_new(s, m->id, meta, head, body);
	if (s->large && body.n >= s->large) {
		m->image->file_bytes = body.n;
		m->body = body.n ? mem_strndup(body.p, body.n) : NULL;
		m->image->body = (struct span){ 0 };
	}
	list_init(&m->notes);
	list_push_back(&s->messages, &m->link);
	return m;
}

int spool_commit_start(struct spool_commit *c, struct scope *scope, struct spool_write **w, struct span meta,
		       struct span head)
{
	struct spool *s = (*w)->spool;
	const int ret = op_begin(&c->op, scope, "commit", M, bed_op_cancel);

	if (ret < 0)
		return ret;
	if (!s->commit_error) {
		struct bed_message *m = bed_message_new(s, meta, head, buf_span(&(*w)->body));
		c->id = m->id;
		c->image = m->body ? NULL : spool_image_ref(m->image);
	}
	spool_write_abort(w);
	op_complete(&c->op, s->commit_error);
	return 0;
}

int spool_read_start(struct spool_read *r, struct scope *scope, struct spool *s, uint64_t id)
{
	const int ret = op_begin(&r->op, scope, "read", M, bed_op_cancel);
	struct bed_message *m = bed_find(s, id);

	if (ret < 0)
		return ret;
	if (!m || !m->body) {
		op_complete(&r->op, -ERR_NOTFOUND);
		return 0;
	}
	const struct span piece = span_first(span_skip(span_make(m->body, m->image->file_bytes), r->offset),
					     r->size < 7 ? r->size : 7);
	memcpy(r->buf, piece.p, piece.n);
	op_complete(&r->op, (int)piece.n);
	return 0;
}

static inline void bed_spool_init(struct spool *s, struct loop *loop)
{
	*s = (struct spool){ .loop = loop, .next_id = 1000 };
	list_init(&s->messages);
}

static inline void bed_spool_deinit(struct spool *s)
{
	for (struct list *link; (link = list_pop_front(&s->messages)) != NULL;) {
		struct bed_message *m = list_entry(link, struct bed_message, link);
		for (struct list *note; (note = list_pop_front(&m->notes)) != NULL;)
			free(list_entry(note, struct bed_note, link));
		CHECK_INT(1, m->image->refs); /* the queue has given all of them back */
		free(container_of(m->image, struct bed_image, pub));
		free(m->body);
		free(m);
	}
}

/* ---- the bed -------------------------------------------------------------------------------------------------- */

enum { BED_OUT_MAX = 64, BED_NOTICES_MAX = 64 };

struct bed_said {
	enum queue_notice_kind kind;
	uint64_t id;
	struct queue_notice *notice; /* until it is done */
	uint32_t n, rcpt[8];
	enum queue_cause cause;
	int code;
	char text[64], enhanced[16], sender[64];
	int64_t retry_until_us;
};

struct bed {
	struct loop *loop;
	struct spool spool;
	struct ledger *ledger;
	struct logger log;
	struct metric_shard metrics;
	struct metric_shard *shards[1];
	struct queue_config cfg;
	struct queue_ops ops;
	struct queue *q;
	struct schedule schedule;
	struct ledger_limits limits;

	/* delivery */
	const char *via; /* all mail goes there; NULL: to the recipient's domain */
	const char *route_name;
	bool route_gone;
	bool idle;         /* ready() does nothing */
	bool keep;         /* connections stay open */
	unsigned take_max; /* jobs out at once */
	unsigned readies, wanted, gone, removed, ended;
	enum queue_cause ended_cause;
	struct queue_work out[BED_OUT_MAX];
	struct queue_dest *dest[BED_OUT_MAX];
	unsigned nout, conns;
	struct queue_dest *last_dest;

	/* notices */
	struct bed_said said[BED_NOTICES_MAX];
	unsigned nsaid;
	bool notices_wait; /* the test says when they are done */
	int notice_status;
	bool closed;
};

static inline void bed_route(void *arg, const struct envelope *env, const struct envelope_rcpt *rcpt,
		      struct queue_route *route_r)
{
	struct bed *b = arg;

	(void)env;
	*route_r = (struct queue_route){ .name = span_of(b->route_name),
					 .next_hop = b->via ? span_of(b->via) : rcpt->domain,
					 .config = b,
					 .schedule = &b->schedule,
					 .limits = b->limits };
}

static inline bool bed_refresh(void *arg, const struct queue_dest *dest, struct queue_route *route_r)
{
	struct bed *b = arg;

	if (!span_eq(dest->route, span_of(b->route_name)) || b->route_gone)
		return false;
	*route_r = (struct queue_route){ .config = b, .schedule = &b->schedule, .limits = b->limits };
	return true;
}

/* Opens one connection and takes one job for it. */
static inline void bed_ready(void *arg, struct queue_dest *dest)
{
	struct bed *b = arg;

	b->readies++;
	b->last_dest = dest;
	if (b->idle || b->nout >= b->take_max || !queue_open_connection(b->q, dest))
		return;
	b->conns++;
	queue_dest_ok(b->q, dest);
	if (queue_take(b->q, dest, &b->out[b->nout])) {
		b->dest[b->nout++] = dest;
	} else {
		b->conns--;
		queue_close_connection(b->q, dest);
	}
}

static inline void bed_wanted(void *arg, struct queue_dest *dest)
{
	(void)dest;
	((struct bed *)arg)->wanted++;
}

static inline void bed_copy(char *to, size_t size, struct span s)
{
	snprintf(to, size, "%.*s", SPAN_ARG(s));
}

static inline void bed_notify(void *arg, struct queue_notice *notice)
{
	struct bed *b = arg;
	NEED(b->nsaid < BED_NOTICES_MAX);
	struct bed_said *said = &b->said[b->nsaid++];

	*said = (struct bed_said){ .kind = notice->kind,
				   .id = notice->id,
				   .notice = notice,
				   .n = notice->n,
				   .cause = notice->outcomes[0].cause,
				   .code = notice->outcomes[0].code,
				   .retry_until_us = notice->retry_until_us };
	for (uint32_t i = 0; i < notice->n && i < 8; i++)
		said->rcpt[i] = notice->outcomes[i].rcpt;
	bed_copy(said->text, sizeof said->text, notice->outcomes[0].text);
	bed_copy(said->enhanced, sizeof said->enhanced, notice->outcomes[0].enhanced);
	bed_copy(said->sender, sizeof said->sender, notice->env->sender);
	CHECK(notice->image != NULL && notice->image->head.n > 0);
	if (!b->notices_wait)
		queue_notice_done(b->q, notice, b->notice_status);
}

static inline void bed_ended(void *arg, uint64_t id, const struct envelope *env,
		      const struct queue_outcome *outcomes, uint32_t n)
{
	struct bed *b = arg;

	(void)id, (void)env;
	b->ended++;
	if (n > 0)
		b->ended_cause = outcomes[0].cause;
}

static inline void bed_removed(void *arg, uint64_t id)
{
	(void)id;
	((struct bed *)arg)->removed++;
}

static inline void bed_dest_gone(void *arg, struct queue_dest *dest)
{
	struct bed *b = arg;

	(void)dest;
	b->gone++;
}

static inline void bed_sink(void *arg, struct span lines)
{
	(void)arg, (void)lines;
}

static inline void bed_queue_new(struct bed *b)
{
	b->q = queue_new(&b->cfg, b->loop, b->ledger, &b->ops, &b->log, &b->metrics);
}

static inline void bed_start(struct bed *b)
{
	*b = (struct bed){ .cfg = QUEUE_CONFIG_DEFAULT,
			   .limits = LEDGER_LIMITS_DEFAULT,
			   .take_max = BED_OUT_MAX };
	b->loop = loop_new();
	loop_set_resident(b->loop, false);
	b->ledger = ledger_new();
	bed_spool_init(&b->spool, b->loop);
	logger_init(&b->log, (struct log_sink){ .write = bed_sink });
	metric_shard_init(&b->metrics);
	b->shards[0] = &b->metrics;
	schedule_init(&b->schedule);
	b->schedule.jitter_percent = 0;
	b->route_name = "r";
	b->cfg.seed = 1;
	b->ops = (struct queue_ops){ .arg = b,
				     .route = bed_route,
				     .refresh = bed_refresh,
				     .ready = bed_ready,
				     .wanted = bed_wanted,
				     .notify = bed_notify,
				     .ended = bed_ended,
				     .removed = bed_removed,
				     .dest_gone = bed_dest_gone };
	bed_queue_new(b);
	queue_start(b->q, &b->spool);
}

static inline void bed_run(struct bed *b)
{
	for (int i = 0; i < 20; i++) {
		loop_clock_advance(b->loop, 10); /* what is to come "next turn" comes */
		loop_run_once(b->loop, false);
	}
}

static inline void bed_pass(struct bed *b, int64_t us)
{
	loop_clock_advance(b->loop, us);
	bed_run(b);
}

static inline int64_t bed_now(const struct bed *b)
{
	return loop_wall_us(b->loop);
}

static inline void bed_on_closed(void *arg)
{
	((struct bed *)arg)->closed = true;
}

/* The job and its connection are not ours any more. */
static inline void bed_forget(struct bed *b, unsigned i)
{
	b->nout--;
	memmove(&b->out[i], &b->out[i + 1], (b->nout - i) * sizeof *b->out);
	memmove(&b->dest[i], &b->dest[i + 1], (b->nout - i) * sizeof *b->dest);
}

static inline void bed_hang_up(struct bed *b, struct queue_dest *dest)
{
	if (b->keep)
		return;
	b->conns--;
	queue_close_connection(b->q, dest);
}

/* The i-th job that is out ends with @status for all of its recipients. */
static inline void bed_done(struct bed *b, unsigned i, enum queue_status status, int code, const char *text)
{
	struct queue_outcome o[128];
	struct queue_dest *dest = b->dest[i];
	const struct queue_work w = b->out[i];

	NEED(i < b->nout && w.nrcpt <= 128);
	for (uint32_t k = 0; k < w.nrcpt; k++)
		o[k] = (struct queue_outcome){ .rcpt = w.rcpts[k],
					       .status = status,
					       .code = code,
					       .enhanced = code ? SPAN("4.3.2") : (struct span){ 0 },
					       .text = span_of(text),
					       .remote = SPAN("mx.example.org[192.0.2.1]:25") };
	bed_forget(b, i);
	queue_done(b->q, w.job, o, w.nrcpt);
	bed_hang_up(b, dest);
	bed_run(b);
}

static inline void bed_put_back(struct bed *b, unsigned i)
{
	struct queue_job *job = b->out[i].job;
	struct queue_dest *dest = b->dest[i];

	bed_forget(b, i);
	queue_put_back(b->q, job);
	bed_hang_up(b, dest);
}

static inline void bed_queue_end(struct bed *b)
{
	b->closed = false;
	b->idle = true;
	queue_close(b->q, bed_on_closed, b);
	while (b->nout > 0)
		bed_put_back(b, 0);
	bed_run(b);
	NEED(b->closed);
	queue_free(&b->q);
	b->idle = false;
}

static inline void bed_end(struct bed *b)
{
	bed_queue_end(b);
	bed_run(b);
	CHECK_INT(0, b->spool.writes);
	CHECK_INT(0, check_verify_failures());
	bed_spool_deinit(&b->spool);
	ledger_free(&b->ledger);
	logger_deinit(&b->log);
	metric_shard_deinit(&b->metrics);
	loop_free(&b->loop);
}

/* The queue ends as a crash would leave it (all notes are there) and begins again with what the spool has. */
static inline void bed_restart(struct bed *b)
{
	struct spool_recovery rec;

	bed_queue_end(b);
	bed_queue_new(b);
	queue_recovery(b->q, &rec);
	list_for_each(link, &b->spool.messages) {
		struct bed_message *m = list_entry(link, struct bed_message, link);
		CHECK_INT(0, rec.message(rec.arg, m->id, m->image->meta, m->image->head.n, m->image->body.n));
		list_for_each(n, &m->notes) {
			struct bed_note *note = list_entry(n, struct bed_note, link);
			rec.note(rec.arg, m->id, span_make(note->octets, note->n));
		}
		if (m->dropped)
			rec.dropped(rec.arg, m->id);
	}
	queue_start(b->q, &b->spool);
	bed_run(b);
}

/* ---- messages ------------------------------------------------------------------------------------------------- */

/* The recipients of "a@x b@y" with the NOTIFY bits of @notify for all. */
static inline void bed_rcpts(struct envelope *env, struct envelope_rcpt *rcpt, uint32_t max, const char *to,
		      unsigned notify)
{
	struct span left = span_of(to);

	env->rcpt = rcpt;
	while (left.n) {
		const struct span address = span_cut(&left, ' ');
		struct span domain = address;
		NEED(env->nrcpt < max);
		span_cut(&domain, '@');
		rcpt[env->nrcpt++] = (struct envelope_rcpt){ .address = address,
							     .domain = domain,
							     .notify = (uint8_t)notify };
	}
}

static inline uint64_t bed_store(struct bed *b, const struct envelope *env)
{
	struct buf meta = BUF_INIT(ENVELOPE_OCTETS_MAX);

	NEED(envelope_encode(env, &meta));
	const struct bed_message *m = bed_message_new(&b->spool, buf_span(&meta), SPAN("Subject: x\r\n\r\n"),
						      SPAN("body of it\r\n"));
	buf_free(&meta);
	return m->id;
}

static inline uint64_t bed_add_env(struct bed *b, struct envelope *env)
{
	if (env->arrived_at_us == 0)
		env->arrived_at_us = bed_now(b);
	const uint64_t id = bed_store(b, env);
	struct bed_message *m = bed_find(&b->spool, id);
	queue_add(b->q, id, env, m->body ? NULL : spool_image_ref(m->image), 20);
	bed_run(b);
	return id;
}

static inline uint64_t bed_add_notify(struct bed *b, const char *from, const char *to, unsigned notify)
{
	struct envelope_rcpt rcpt[128];
	struct envelope env = { .sender = span_of(from), .device = SPAN("mfp-1") };

	bed_rcpts(&env, rcpt, 128, to, notify);
	return bed_add_env(b, &env);
}

static inline uint64_t bed_add(struct bed *b, const char *from, const char *to)
{
	return bed_add_notify(b, from, to, 0);
}

static inline struct queue_stats bed_stats(const struct bed *b)
{
	struct queue_stats st;

	queue_stats(b->q, &st);
	return st;
}
