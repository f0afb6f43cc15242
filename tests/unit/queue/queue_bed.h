/* queue_bed.h - a queue with a spool of memory, a delivery that does what it is told, and a clock that
 * the test moves. */
#pragma once

#include "bed_spool.h"

#include "queue/queue.h"
#include "queue/queue_action.h"

/* ---- the bed ------------------------------------------------------------------------------------------- */

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
	bool variants; /* each sender has destinations of its own */

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

	*route_r = (struct queue_route){ .name = span_of(b->route_name),
					 .next_hop = b->via ? span_of(b->via) : rcpt->domain,
					 .variant = b->variants ? env->sender : SPAN(""),
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

/* ---- messages ------------------------------------------------------------------------------------------ */

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
