/* Start-up: what the spool holds becomes entries again, then their first attempts are spread over time.
 *
 *   1. spool_open() tells messages, notes and drops in the order of its log: entries are made and
 *      changed, in no state yet
 *   2. queue_start(): each job enters the state that the notes gave it. Recorded times are honoured; what
 *      is overdue (the server was down, or it was never tried) is spread, so that a million messages do
 *      not ask the DNS all at once
 * A message whose notes cannot be read is held: trying it might repeat deliveries, and only a person can
 * say whether that is worse.
 */
#include "queue/queue_priv.h"

enum { AT_ONCE = 1000, PER_SECOND = 2000, SPREAD_MAX_S = 300 };

/* Where its envelope alone puts it. */
void queue_entry_as_it_came(struct queue *q, struct queue_entry *e, const struct envelope *env)
{
	const struct queue_outcome held = { .text = env->hold_reason };

	e->flags |= ENTRY_RECOVERED;
	queue_for_each_job(job, e)
	{
		job->state = env->flags & ENVELOPE_HELD ? QUEUE_STATE_HELD : QUEUE_STATE_READY;
		for (uint32_t i = 0; job->state == QUEUE_STATE_HELD && i < job->nrcpt; i++)
			queue_rcpt_reason(q, &queue_job_rcpts(job)[i], &held, QUEUE_TEXT_KEPT_MAX);
	}
}

static int on_message(void *arg, uint64_t id, struct span meta, uint64_t head_bytes, uint64_t body_bytes)
{
	struct queue *q = arg;
	struct envelope env;

	arena_reset(q->arena);
	const int ret = envelope_decode(meta, q->arena, &env);
	if (ret < 0)
		return -ERR_CORRUPT;
	struct queue_entry *e = queue_entry_new(q, id, &env, head_bytes + body_bytes);
	if (!e)
		return 0; /* a second copy of one that is here already */
	queue_entry_as_it_came(q, e, &env);
	return 0;
}

void queue_entry_hold_unreadable(struct queue *q, struct queue_entry *e)
{
	const struct queue_outcome why = {
		.text = SPAN("what was tried cannot be read: once released, some may get it again")
	};

	queue_for_each_job(job, e)
	{
		job->state = QUEUE_STATE_HELD;
		for (uint32_t i = 0; i < job->nrcpt; i++)
			queue_rcpt_reason(q, &queue_job_rcpts(job)[i], &why, QUEUE_TEXT_KEPT_MAX);
	}
}

static void on_note(void *arg, uint64_t id, struct span note)
{
	struct queue *q = arg;
	struct queue_entry *e = queue_find(q, id);

	if (e && queue_state_apply(q, e, note) < 0)
		queue_entry_hold_unreadable(q, e);
}

static void on_dropped(void *arg, uint64_t id)
{
	struct queue *q = arg;
	struct queue_entry *e = queue_find(q, id);

	if (e)
		queue_entry_free(q, e);
}

static void on_snapshot(void *arg, uint64_t id, struct buf *note_r)
{
	struct queue *q = arg;
	struct queue_entry *e = queue_find(q, id);

	if (e)
		queue_state_snapshot(e, note_r);
}

void queue_recovery(struct queue *q, struct spool_recovery *recovery_r)
{
	*recovery_r = (struct spool_recovery){ .arg = q,
					       .message = on_message,
					       .note = on_note,
					       .dropped = on_dropped,
					       .snapshot = on_snapshot };
}

/* ---- start --------------------------------------------------------------------------------------------- */

static bool is_overdue(const struct queue_job *job, int64_t now_s)
{
	return job->state == QUEUE_STATE_READY || (job->state == QUEUE_STATE_WAITING && job->when <= now_s);
}

struct spread {
	int64_t now_s;
	uint64_t overdue, placed, seconds;
};

static void enter(struct queue *q, struct queue_job *job, struct spread *s)
{
	enum queue_state state = (enum queue_state)job->state;

	if (is_overdue(job, s->now_s)) {
		const uint64_t after_s = s->overdue > AT_ONCE ? s->placed * s->seconds / s->overdue : 0;

		s->placed++;
		state = after_s == 0 ? QUEUE_STATE_READY : QUEUE_STATE_WAITING;
		job->when = (uint32_t)(s->now_s + (int64_t)after_s);
	}
	queue_job_enter(q, job, state);
}

void queue_start(struct queue *q, struct spool *spool)
{
	struct spread s = { .now_s = loop_wall_us(q->loop) / 1000000 };

	require(!q->spool);
	q->spool = spool;
	list_for_each(link, &q->entries) {
		struct queue_entry *e = list_entry(link, struct queue_entry, all);

		queue_entry_merge(q, e);
		queue_for_each_job(job, e) s.overdue += is_overdue(job, s.now_s);
	}
	s.seconds = s.overdue / PER_SECOND < SPREAD_MAX_S ? s.overdue / PER_SECOND + 1 : SPREAD_MAX_S;
	list_for_each_safe(link, &q->entries) {
		struct queue_entry *e = list_entry(link, struct queue_entry, all);

		queue_for_each_job_safe(job, e) enter(q, job, &s);
		queue_entry_check(q, e); /* settled, and the crash came before its drop was written */
	}
	arena_release(q->arena);
}
