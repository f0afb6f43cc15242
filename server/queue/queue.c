/* The queue of a worker: what comes in, what comes back from delivery, and its end. See queue/queue.h for
 * the way of a message.
 *
 * All that may call others (ready, notify, loads) runs from one task at the end of the turn, never from
 * inside a call of the owner.
 */
#include "queue/queue.h"

#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_priv.h"

enum { SCRATCH_MAX = 4096 };

/* ---- names --------------------------------------------------------------------------------------------- */

#define X(name, text) text,
static const char *const state_names[] = { QUEUE_STATE_MAP(X) };
static const char *const status_names[] = { QUEUE_STATUS_MAP(X) };
static const char *const cause_names[] = { QUEUE_CAUSE_MAP(X) };
static const char *const notice_names[] = { QUEUE_NOTICE_MAP(X) };
#undef X

const char *queue_state_name(enum queue_state s)
{
	return (size_t)s < ARRAY_LEN(state_names) ? state_names[s] : "?";
}

const char *queue_status_name(enum queue_status s)
{
	return (size_t)s < ARRAY_LEN(status_names) ? status_names[s] : "?";
}

const char *queue_cause_name(enum queue_cause c)
{
	return (size_t)c < ARRAY_LEN(cause_names) ? cause_names[c] : "?";
}

const char *queue_notice_name(enum queue_notice_kind k)
{
	return (size_t)k < ARRAY_LEN(notice_names) ? notice_names[k] : "?";
}

/* ---- time and chance ----------------------------------------------------------------------------------- */

/* SplitMix64: jitter needs no secrecy, and a seed makes a simulation repeatable. */
uint64_t queue_random(struct queue *q)
{
	uint64_t z = q->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Wraps after 49 days; only differences are looked at. */
uint32_t queue_clock_ms(const struct queue *q)
{
	return (uint32_t)((loop_now_us(q->loop) - q->started_us) / 1000);
}

int64_t queue_loop_time(const struct queue *q, int64_t wall_us)
{
	const int64_t in_us = wall_us - loop_wall_us(q->loop); /* both are after 1970: no overflow */

	return in_us > INT64_MAX / 2 ? INT64_MAX : loop_now_us(q->loop) + in_us;
}

int64_t queue_wall_time(const struct queue *q, int64_t loop_us)
{
	return loop_wall_us(q->loop) + (loop_us - loop_now_us(q->loop));
}

/* ---- the task ------------------------------------------------------------------------------------------ */

void queue_kick(struct queue *q)
{
	task_schedule(q->loop, &q->task);
}

/* From the scope's end and not from an operation's: whoever hears of it may free the queue. */
static void finished(struct scope *s)
{
	struct queue *q = container_of(s, struct queue, scope);

	q->closed = true;
	if (q->on_closed)
		q->on_closed(q->on_closed_arg);
}

static void on_synced(struct op *op)
{
	scope_close(&container_of(op, struct queue, sync)->scope); /* an error is the spool's to report */
}

/* Everything came back: what was written about it goes to the disk, and that is all. */
static void close_when_idle(struct queue *q)
{
	const bool asked = !list_empty(&q->walks) || !list_empty(&q->exports) || q->nimports > 0;

	if (!q->closing || q->syncing || asked || q->rcpts[QUEUE_STATE_OUT] > 0 || q->nruns > 0 ||
	    q->nreroute_runs > 0)
		return;
	q->syncing = true;
	op_init(&q->sync, on_synced);
	if (!q->spool || spool_sync_start(&q->sync, &q->scope, q->spool) < 0)
		scope_close(&q->scope);
}

static void on_task(struct task *t)
{
	struct queue *q = container_of(t, struct queue, task);
	struct list work;

	list_init(&work);
	list_splice_back(&work, &q->work);
	for (struct list *link; (link = list_pop_front(&work)) != NULL;)
		queue_dest_pump(list_entry(link, struct queue_dest_priv, work));
	queue_notice_pump(q);
	queue_reroute_pump(q);
	queue_retry_pump(q);
	close_when_idle(q);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

struct queue *queue_new(const struct queue_config *cfg, struct loop *loop, struct ledger *ledger,
			const struct queue_ops *ops, struct logger *log, struct metric_shard *metrics)
{
	struct queue *q = mem_alloc(sizeof *q);
	struct list *const lists[] = { &q->entries, &q->cursors,  &q->walks,       &q->exports, &q->dest_list,
				       &q->work,    &q->retries,  &q->images,      &q->endings, &q->delays,
				       &q->runs,    &q->reroutes, &q->reroute_runs };

	q->cfg = *cfg;
	if (q->cfg.rcpts_per_job_max == 0)
		q->cfg.rcpts_per_job_max = 1;
	q->loop = loop;
	q->ledger = ledger;
	q->ops = *ops;
	q->log = log;
	q->metrics = metrics;
	q->started_us = loop_now_us(loop);
	q->random = cfg->seed ? cfg->seed : random_u64();
	schedule_init(&q->schedule_default);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_init(lists[i]);
	queue_table_init(&q->table);
	map_init(&q->dests);
	queue_reasons_init(&q->reasons, cfg->reason_budget_bytes);
	queue_domains_init(&q->domains);
	task_init(&q->task, on_task);
	queue_wake_init(q);
	queue_retry_init(q);
	scope_init(&q->scope, loop, finished);
	op_init(&q->sync, on_synced);
	q->arena = arena_new(QUEUE_ENV_ARENA_MAX);
	buf_init(&q->note, QUEUE_NOTE_MAX);
	buf_init(&q->scratch, SCRATCH_MAX);
	return q;
}

void queue_close(struct queue *q, void (*closed)(void *arg), void *arg)
{
	require(!q->closing);
	q->closing = true;
	q->on_closed = closed;
	q->on_closed_arg = arg;
	queue_retry_forget(q);
	queue_walks_cancel(q);
	queue_exports_cancel(q);
	queue_runs_cancel(q);
	queue_reroutes_cancel(q);
	timer_unset(q->loop, &q->wake_timer);
	list_for_each(link, &q->dest_list)
		queue_dest_touch(list_entry(link, struct queue_dest_priv, all));
	queue_kick(q);
}

void queue_free(struct queue **qp)
{
	struct queue *q = *qp;

	if (!q)
		return;
	*qp = NULL;
	require(q->closed || !q->spool);
	q->closing = true;
	queue_retry_forget(q);
	while (!list_empty(&q->entries))
		queue_entry_free(q, list_entry(list_first(&q->entries), struct queue_entry, all));
	while (!list_empty(&q->dest_list))
		queue_dest_free(list_entry(list_first(&q->dest_list), struct queue_dest_priv, all));
	task_unschedule(&q->task);
	timer_unset(q->loop, &q->wake_timer);
	map_deinit(&q->dests);
	queue_table_deinit(&q->table);
	queue_reasons_deinit(&q->reasons);
	queue_domains_deinit(&q->domains);
	heap_deinit(&q->wakes);
	arena_free(&q->arena);
	buf_free(&q->note);
	buf_free(&q->scratch);
	free(q);
}

/* ---- coming in ----------------------------------------------------------------------------------------- */

static void log_held(struct queue *q, struct queue_entry *e, const struct envelope *env, struct span reason)
{
	struct log_rec r;

	if (!log_begin(&r, q->log, LOG_EV_MESSAGE_HELD))
		return;
	const struct id id = id_from_u64(e->id);
	log_cstr(&r, LOG_F_ID, id.s);
	if (env)
		log_str(&r, LOG_F_FROM, env->sender.p ? env->sender : SPAN(""));
	log_int(&r, LOG_F_NRCPT, e->nrcpt);
	log_str(&r, LOG_F_REASON, reason);
	log_end(&r);
}

void queue_add(struct queue *q, uint64_t id, const struct envelope *env, struct spool_image *image,
	       uint64_t size_bytes)
{
	struct queue_entry *e = queue_entry_new(q, id, env, size_bytes);
	const struct queue_outcome held = { .text = env->hold_reason };
	const bool hold = env->flags & ENVELOPE_HELD;

	require(e && q->spool); /* the spool gives every id once */
	if (hold)
		log_held(q, e, env, env->hold_reason);
	queue_for_each_job_safe(job, e)
	{
		for (uint32_t i = 0; hold && i < job->nrcpt; i++)
			queue_rcpt_reason(q, &queue_job_rcpts(job)[i], &held, QUEUE_TEXT_KEPT_MAX);
		queue_job_enter(q, job, hold ? QUEUE_STATE_HELD : QUEUE_STATE_READY);
	}
	/* Last: @env may point into it, and it may go at once. */
	if (hold)
		spool_image_unref(&image);
	else
		queue_image_keep(q, e, image);
	queue_entry_check(q, e); /* one without recipients */
}

/* ---- coming back --------------------------------------------------------------------------------------- */

/* What becomes of a recipient: the picks of queue_job_extract(). */
enum fate { FATE_SETTLED, FATE_FAILED, FATE_RELAYED, FATE_HELD, FATE_DEFERRED, FATE_MAX_ };

static enum fate fate_of(const struct queue_outcome *o, const struct queue_rcpt *r,
			 const struct queue_entry *e)
{
	switch (o->status) {
	case QUEUE_DELIVERED:
		return FATE_SETTLED;
	case QUEUE_RELAYED_NO_DSN:
		return r->wants_success && !(e->flags & ENTRY_NULL_SENDER) ? FATE_RELAYED : FATE_SETTLED;
	case QUEUE_RELAYED_NO_BY:
		return e->flags & ENTRY_NULL_SENDER ? FATE_SETTLED : FATE_RELAYED;
	case QUEUE_BOUNCED:
		return FATE_FAILED;
	case QUEUE_HELD:
		return FATE_HELD;
	default:
		return FATE_DEFERRED;
	}
}

static const struct queue_outcome *outcome_of(const struct queue_outcome *o, uint32_t n, uint32_t rcpt,
					      uint32_t guess)
{
	if (guess < n && o[guess].rcpt == rcpt)
		return &o[guess];
	for (uint32_t i = 0; i < n; i++)
		if (o[i].rcpt == rcpt)
			return &o[i];
	return NULL;
}

/* Gives every recipient its fate and its reason. Returns whether the next hop took any of them. */
static bool assign(struct queue *q, struct queue_job *job, const struct queue_outcome *outcomes, uint32_t n)
{
	struct queue_rcpt *r = queue_job_rcpts(job);
	bool taken = false;

	for (uint32_t i = 0; i < job->nrcpt; i++) {
		const struct queue_outcome *o = outcome_of(outcomes, n, r[i].index, i);

		if (!o) {
			r[i].pick = FATE_DEFERRED;
			continue;
		}
		const enum fate fate = fate_of(o, &r[i], job->entry);
		r[i].pick = (uint8_t)fate;
		taken |= o->status == QUEUE_DELIVERED || o->status == QUEUE_RELAYED_NO_DSN ||
			 o->status == QUEUE_RELAYED_NO_BY;
		if (fate != FATE_SETTLED)
			queue_rcpt_reason(q, &r[i], o,
					  fate == FATE_FAILED || fate == FATE_RELAYED ? QUEUE_TEXT_MAX
										      : QUEUE_TEXT_KEPT_MAX);
	}
	return taken;
}

static void deferred(struct queue *q, struct queue_job *job)
{
	const struct schedule_message m = queue_entry_message(job->entry);
	enum schedule_end why;
	int64_t at = 0;

	if (schedule_next(queue_job_schedule(job), &m, loop_wall_us(q->loop), job->attempts, queue_random(q),
			  &at) == SCHEDULE_RETRY) {
		job->when =
			at < INT64_C(1000000) * UINT32_MAX ? (uint32_t)((at + 999999) / 1000000) : UINT32_MAX;
		queue_job_enter(q, job, QUEUE_STATE_WAITING);
		return;
	}
	schedule_expires_at(queue_job_schedule(job), &m, &why);
	job->end_kind = QUEUE_NOTICE_FAILED;
	job->end_cause = why == SCHEDULE_END_DELIVERBY ? QUEUE_CAUSE_DELIVERBY : QUEUE_CAUSE_EXPIRED;
	queue_job_enter(q, job, QUEUE_STATE_ENDING);
}

/* @job has one fate; the note says what it is. @job may be gone afterwards. */
static void meet(struct queue *q, struct queue_job *job, enum fate fate, struct queue_note_writer *note)
{
	struct queue_outcome why;

	switch (fate) {
	case FATE_SETTLED:
		queue_state_settled_group(note, job);
		queue_job_settle(q, job);
		return;
	case FATE_FAILED:
	case FATE_RELAYED:
		job->end_kind = fate == FATE_FAILED ? QUEUE_NOTICE_FAILED : QUEUE_NOTICE_RELAYED;
		job->end_cause = QUEUE_CAUSE_ATTEMPT;
		queue_job_enter(q, job, QUEUE_STATE_ENDING);
		break;
	case FATE_HELD:
		queue_job_enter(q, job, QUEUE_STATE_HELD);
		queue_reason_tell(queue_job_rcpts(job)->reason, &why);
		log_held(q, job->entry, NULL, why.text);
		break;
	default:
		deferred(q, job);
		break;
	}
	queue_state_group(note, job, true);
}

void queue_done(struct queue *q, struct queue_job *job, const struct queue_outcome *outcomes, uint32_t n)
{
	struct queue_entry *e = job->entry;
	struct queue_note_writer note;

	require(job->state == QUEUE_STATE_OUT);
	queue_job_leave(q, job);
	if (job->attempts < UINT16_MAX)
		job->attempts++;
	if (assign(q, job, outcomes, n))
		queue_dest_ok(q, &job->dest->pub);
	buf_reset(&q->note);
	queue_note_begin(&note, &q->note);
	for (unsigned fate = 0; job && fate < FATE_MAX_; fate++) {
		struct queue_job *piece = queue_job_extract(q, job, (uint8_t)fate);

		if (piece == job)
			job = NULL;
		if (piece)
			meet(q, piece, (enum fate)fate, &note);
	}
	const bool fits = queue_note_end(&note);
	if (queue_entry_check(q, e))
		return;
	if (verify(fits))
		spool_note(q->spool, e->id, buf_span(&q->note));
	queue_image_done(q, e);
}

/* ---- looking ------------------------------------------------------------------------------------------- */

void queue_stats(const struct queue *q, struct queue_stats *st_r)
{
	const struct list *oldest = list_first(&q->entries);

	*st_r = (struct queue_stats){
		.messages = q->table.n,
		.recipients = q->rcpts_all,
		.ready = q->rcpts[QUEUE_STATE_READY],
		.out = q->rcpts[QUEUE_STATE_OUT],
		.waiting = q->rcpts[QUEUE_STATE_WAITING],
		.held = q->rcpts[QUEUE_STATE_HELD],
		.ending = q->rcpts[QUEUE_STATE_ENDING],
		.destinations = q->dests.n,
		.destinations_down = q->dests_down,
		.bytes = queue_memory(q),
		.images = q->nimages,
		.image_bytes = q->image_bytes,
		.reasons = q->reasons.map.n,
		.reason_bytes = q->reasons.bytes,
		.oldest_at_us = oldest ? list_entry(oldest, struct queue_entry, all)->created_at_us : 0,
	};
}
