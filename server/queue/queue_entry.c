/* Messages and their jobs: made from an envelope, counted, split, settled, freed. */
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_priv.h"

_Static_assert(sizeof(struct queue_entry) <= 152, "see the promise in queue/queue.h");

/* ---- counting ------------------------------------------------------------------------------------------ */

static void count_held(struct queue *q, struct queue_entry *e, int by)
{
	if (by > 0 ? e->held == 0 : e->held == 1)
		metric_add(q->metrics, METRIC_QUEUE_HELD, by);
	e->held = (uint16_t)(e->held + by);
}

static bool is_pending(const struct queue_job *job)
{
	return job->state == QUEUE_STATE_READY || job->state == QUEUE_STATE_WAITING;
}

/* @by is 1 when the job enters its state, -1 when it leaves it. */
static void count(struct queue *q, struct queue_job *job, int by)
{
	const int n = by * job->nrcpt;
	struct queue_dest_priv *d = job->dest;
	struct queue_rcpt *r = queue_job_rcpts(job);

	q->rcpts[job->state] += (uint64_t)n;
	d->rcpts[job->state] += (uint64_t)n;
	if (job->state == QUEUE_STATE_OUT)
		metric_add(q->metrics, METRIC_QUEUE_ACTIVE, n);
	if (job->state == QUEUE_STATE_WAITING)
		metric_add(q->metrics, METRIC_QUEUE_DEFERRED, n);
	if (job->state == QUEUE_STATE_HELD)
		count_held(q, job->entry, by);
	if (is_pending(job))
		for (uint32_t i = 0; i < job->nrcpt; i++)
			r[i].domain->pending += (uint32_t)by;
}

/* ---- states -------------------------------------------------------------------------------------------- */

void queue_job_leave(struct queue *q, struct queue_job *job)
{
	struct queue_dest_priv *d = job->dest;

	count(q, job, -1);
	heap_remove(&q->wakes, &job->wake);
	list_remove(&job->link);
	if (job->state == QUEUE_STATE_READY && !(job->flags & JOB_ROUTING))
		d->nready--;
	if (job->state == QUEUE_STATE_OUT) {
		d->nout--;
		if (job->flags & JOB_MANY) {
			free(job->many.out);
			job->many.out = NULL;
		}
		if (job->flags & JOB_IMAGE)
			job->entry->image->out--;
	}
	job->flags &= (uint8_t) ~(JOB_ROUTING | JOB_IMAGE | JOB_IN_NOTICE);
	queue_dest_touch(d);
}

void queue_job_enter(struct queue *q, struct queue_job *job, enum queue_state state)
{
	struct queue_dest_priv *d = job->dest;

	require(job->nrcpt > 0);
	job->state = (uint8_t)state;
	if (state != QUEUE_STATE_ENDING)
		job->flags &= (uint8_t)~JOB_TOLD;
	count(q, job, 1);
	switch (state) {
	case QUEUE_STATE_READY: {
		const bool fresh = job->attempts == 0 && !(job->entry->flags & ENTRY_RECOVERED);

		job->when = queue_clock_ms(q);
		list_push_back(fresh ? &d->fresh : &d->retry, &job->link);
		queue_dest_ready_job(d, fresh);
		break;
	}
	case QUEUE_STATE_OUT:
		list_push_back(&d->out, &job->link);
		d->nout++;
		break;
	case QUEUE_STATE_ENDING:
		list_push_back(&q->endings, &job->link);
		queue_kick(q);
		break;
	default:
		break;
	}
	queue_job_arm(q, job);
	queue_dest_touch(d);
}

/* ---- jobs ---------------------------------------------------------------------------------------------- */

static void job_init(struct queue_job *job, struct queue_entry *e, struct queue_job *next)
{
	*job = (struct queue_job){ .entry = e, .next = next };
	list_init(&job->link);
}

/* A new job behind the others of @e, or its unused first one. */
static struct queue_job *job_new(struct queue *q, struct queue_entry *e)
{
	struct queue_job *job = &e->first;

	if (!job->entry) {
		job_init(job, e, job->next);
		return job;
	}
	job = mem_alloc(sizeof *job);
	job_init(job, e, e->first.next);
	e->first.next = job;
	q->jobs_extra++;
	return job;
}

static void job_unlink(struct queue *q, struct queue_job *job)
{
	struct queue_entry *e = job->entry;

	if (job == &e->first) {
		job->entry = NULL; /* stays, unused: it is part of the entry */
		return;
	}
	struct queue_job *before = &e->first;
	while (before->next != job)
		before = before->next;
	before->next = job->next;
	q->jobs_extra--;
	free(job);
}

/* How many recipients an array has room for that holds @n: the next power of two. */
static uint32_t room_for(uint32_t n)
{
	uint32_t room = 2;

	while (room < n)
		room *= 2;
	return room;
}

static void many_free(struct queue *q, struct queue_job *job)
{
	if (!(job->flags & JOB_MANY))
		return;
	q->many_bytes -= room_for(job->nrcpt) * sizeof *job->many.v;
	free(job->many.v);
	free(job->many.out);
}

/* Takes over what @r refers to. */
static void job_add(struct queue *q, struct queue_job *job, const struct queue_rcpt *r)
{
	if (job->nrcpt == 0) {
		job->one = *r;
		job->dest->njobs++;
	} else if (!(job->flags & JOB_MANY)) {
		struct queue_rcpt *v = mem_alloc_array(2, sizeof *v);
		v[0] = job->one;
		job->many.v = v;
		job->many.out = NULL;
		job->flags |= JOB_MANY;
		q->many_bytes += 2 * sizeof *v;
	} else if (room_for(job->nrcpt) == job->nrcpt) {
		q->many_bytes += job->nrcpt * sizeof *job->many.v;
		job->many.v = mem_realloc(job->many.v, 2 * (size_t)job->nrcpt * sizeof *job->many.v);
	}
	queue_job_rcpts(job)[job->nrcpt++] = *r;
}

/* The job has no recipients any more. */
static void job_emptied(struct queue *q, struct queue_job *job)
{
	struct queue_dest_priv *d = job->dest;

	d->njobs--;
	queue_dest_touch(d);
	job->flags &= (uint8_t)~JOB_MANY;
	job->nrcpt = 0;
	job_unlink(q, job);
}

void queue_job_settle(struct queue *q, struct queue_job *job)
{
	struct queue_rcpt *r = queue_job_rcpts(job);
	struct queue_entry *e = job->entry;

	for (uint32_t i = 0; i < job->nrcpt; i++) {
		queue_domain_put(&q->domains, &r[i].domain);
		queue_reason_put(&q->reasons, &r[i].reason);
	}
	e->nrcpt = (uint16_t)(e->nrcpt - job->nrcpt);
	q->rcpts_all -= job->nrcpt;
	metric_add(q->metrics, METRIC_QUEUE_RECIPIENTS, -(int64_t)job->nrcpt);
	many_free(q, job);
	job_emptied(q, job);
}

/* A job without recipients that stands where @job stands. */
static struct queue_job *job_twin(struct queue *q, const struct queue_job *job)
{
	struct queue_job *twin = job_new(q, job->entry);

	twin->dest = job->dest;
	twin->when = job->when;
	twin->attempts = job->attempts;
	twin->state = job->state;
	twin->flags = job->flags & (JOB_IN_DELAY | JOB_TOLD);
	twin->notices = job->notices;
	twin->epoch = job->epoch;
	twin->end_kind = job->end_kind;
	twin->end_cause = job->end_cause;
	return twin;
}

uint32_t queue_job_pick(struct queue_job *job, const uint32_t *index, uint32_t n)
{
	struct queue_rcpt *r = queue_job_rcpts(job);
	uint32_t at = 0, picked = 0;

	for (uint32_t i = 0; i < job->nrcpt; i++) {
		while (at < n && index[at] < r[i].index)
			at++;
		r[i].pick = at < n && index[at] == r[i].index;
		picked += r[i].pick;
	}
	return picked;
}

struct queue_job *queue_job_extract(struct queue *q, struct queue_job *job, uint8_t pick)
{
	struct queue_rcpt *r = queue_job_rcpts(job);
	uint32_t picked = 0, kept = 0;

	for (uint32_t i = 0; i < job->nrcpt; i++)
		picked += r[i].pick == pick;
	if (picked == 0)
		return NULL;
	if (picked == job->nrcpt)
		return job;
	/* Both stay in ascending order. */
	struct queue_job *twin = job_twin(q, job);
	const uint32_t had = job->nrcpt;
	for (uint32_t i = 0; i < had; i++) {
		if (r[i].pick == pick)
			job_add(q, twin, &r[i]);
		else
			r[kept++] = r[i];
	}
	job->nrcpt = (uint16_t)kept;
	if (room_for(kept) < room_for(had)) {
		q->many_bytes -= (room_for(had) - room_for(kept)) * sizeof *r;
		job->many.v = mem_realloc(job->many.v, room_for(kept) * sizeof *r);
	}
	return twin;
}

static int by_index(const void *a, const void *b)
{
	const struct queue_rcpt *ra = a, *rb = b;

	return ra->index < rb->index ? -1 : ra->index > rb->index;
}

static void job_absorb(struct queue *q, struct queue_job *into, struct queue_job *from)
{
	const struct queue_rcpt *r = queue_job_rcpts(from);

	for (uint32_t i = 0; i < from->nrcpt; i++)
		job_add(q, into, &r[i]);
	qsort(queue_job_rcpts(into), into->nrcpt, sizeof *r, by_index);
	many_free(q, from);
	job_emptied(q, from);
}

void queue_entry_merge(struct queue *q, struct queue_entry *e)
{
	queue_for_each_job_safe(job, e)
	{
		struct queue_job *into = job->dest->building;

		if (into && into->entry == e && into->state == job->state && into->when == job->when &&
		    into->attempts == job->attempts && into->notices == job->notices &&
		    into->end_kind == job->end_kind && into->end_cause == job->end_cause &&
		    into->nrcpt + job->nrcpt <= q->cfg.rcpts_per_job_max)
			job_absorb(q, into, job);
		else
			job->dest->building = job;
	}
	queue_for_each_job(job, e) job->dest->building = NULL;
}

void queue_job_move(struct queue *q, struct queue_job *job, struct queue_dest_priv *d)
{
	job->dest->njobs--;
	queue_dest_touch(job->dest);
	job->dest = d;
	d->njobs++;
	job->epoch = q->epoch;
}

void queue_rcpt_reason(struct queue *q, struct queue_rcpt *r, const struct queue_outcome *o, size_t text_max)
{
	struct queue_reason *before = r->reason;

	r->reason = queue_reason_get(&q->reasons, o, text_max);
	queue_reason_put(&q->reasons, &before);
}

/* ---- entries ------------------------------------------------------------------------------------------- */

/* A spool that was damaged, or another node, may say anything; differences of times must not overflow. */
static int64_t sane(int64_t wall_us)
{
	return wall_us < 0 ? 0 : wall_us > INT64_MAX / 4 ? INT64_MAX / 4 : wall_us;
}

static int32_t deliver_by_s(const struct envelope *env)
{
	if (env->deliver_by_us == 0)
		return 0;
	const int64_t s = (sane(env->deliver_by_us) - sane(env->arrived_at_us)) / 1000000;
	/* 0 is "none". A deadline at the moment of its arrival is one that has passed. */
	return s > INT32_MAX ? INT32_MAX : s < INT32_MIN ? INT32_MIN : s == 0 ? -1 : (int32_t)s;
}

/* The job for @d that has room; one destination's are found by its `building`. */
static struct queue_job *job_for(struct queue *q, struct queue_entry *e, struct queue_dest_priv *d)
{
	struct queue_job *job = d->building;

	if (!job || job->entry != e || job->nrcpt >= q->cfg.rcpts_per_job_max) {
		job = job_new(q, e);
		job->dest = d;
		job->epoch = q->epoch;
		d->building = job;
	}
	return job;
}

struct queue_entry *queue_entry_new(struct queue *q, uint64_t id, const struct envelope *env,
				    uint64_t size_bytes)
{
	struct queue_entry *e = mem_alloc(sizeof *e);

	require(env->nrcpt <= ENVELOPE_RCPT_MAX);
	e->id = id;
	list_init(&e->all);
	if (!queue_table_put(&q->table, &e->id)) {
		free(e);
		return NULL;
	}
	list_push_back(&q->entries, &e->all);
	e->created_at_us = sane(env->arrived_at_us);
	e->deliver_by_s = deliver_by_s(env);
	e->size_bytes = size_bytes < UINT32_MAX ? (uint32_t)size_bytes : UINT32_MAX;
	e->flags = (env->sender.n == 0 ? ENTRY_NULL_SENDER : 0) |
		   (env->flags & ENVELOPE_BY_NOTIFY ? ENTRY_BY_NOTIFY : 0) |
		   (env->flags & ENVELOPE_HELD ? ENTRY_HELD_AT_FIRST : 0);
	for (uint32_t i = 0; i < env->nrcpt; i++) {
		struct queue_route route = { 0 };
		const struct queue_rcpt r = { .domain = queue_domain_get(&q->domains, env->rcpt[i].domain),
					      .index = i,
					      .wants_success = (env->rcpt[i].notify & NOTIFY_SUCCESS) != 0 };

		q->ops.route(q->ops.arg, env, &env->rcpt[i], &route);
		job_add(q, job_for(q, e, queue_dest_get(q, &route)), &r);
	}
	queue_for_each_job(job, e) job->dest->building = NULL;
	e->nrcpt = e->nrcpt_all = (uint16_t)env->nrcpt;
	q->rcpts_all += env->nrcpt;
	metric_add(q->metrics, METRIC_QUEUE_MESSAGES, 1);
	metric_add(q->metrics, METRIC_QUEUE_RECIPIENTS, env->nrcpt);
	return e;
}

void queue_entry_free(struct queue *q, struct queue_entry *e)
{
	queue_for_each_job_safe(job, e)
	{
		if (q->spool) /* before queue_start() they are in no state */
			queue_job_leave(q, job);
		queue_job_settle(q, job);
	}
	queue_cursors_entry_gone(q, e);
	queue_image_drop(q, e);
	queue_table_remove(&q->table, &e->id);
	list_remove(&e->all);
	metric_add(q->metrics, METRIC_QUEUE_MESSAGES, -1);
	free(e);
}

bool queue_entry_check(struct queue *q, struct queue_entry *e)
{
	struct log_rec r;

	if (e->nrcpt > 0 || e->pins > 0)
		return false;
	spool_drop(q->spool, e->id);
	if (log_begin(&r, q->log, LOG_EV_MESSAGE_REMOVED)) {
		const struct id id = id_from_u64(e->id);
		log_cstr(&r, LOG_F_ID, id.s);
		log_int(&r, LOG_F_DELAY_US, loop_wall_us(q->loop) - e->created_at_us);
		log_end(&r);
	}
	if (q->ops.removed)
		q->ops.removed(q->ops.arg, e->id);
	queue_entry_free(q, e);
	return true;
}

struct schedule_message queue_entry_message(const struct queue_entry *e)
{
	return (struct schedule_message){
		.created_at_us = e->created_at_us,
		.deliver_by_us = e->deliver_by_s ? e->created_at_us + e->deliver_by_s * INT64_C(1000000) : 0,
		.by_notify = e->flags & ENTRY_BY_NOTIFY,
		.null_sender = e->flags & ENTRY_NULL_SENDER,
	};
}

const struct schedule *queue_job_schedule(const struct queue_job *job)
{
	const struct schedule *s = job->dest->pub.schedule;

	return s ? s : &job->dest->q->schedule_default;
}

/* What malloc adds to a block of this size: its header, and what is left of the next 16. */
static uint64_t block(uint64_t bytes)
{
	return (bytes + 8 + 15) & ~UINT64_C(15);
}

uint64_t queue_memory(const struct queue *q)
{
	return q->table.n * block(sizeof(struct queue_entry)) +
	       q->jobs_extra * block(sizeof(struct queue_job)) + q->many_bytes +
	       queue_table_bytes(&q->table) + q->wakes.cap * sizeof(struct heap_node *) + q->reasons.bytes +
	       q->domains.bytes;
}
