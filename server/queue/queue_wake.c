/* Times: what is due for a job when, and what happens then. One heap, one timer. */
#include "queue/queue_priv.h"

enum { WAKES_MAX = 4096 }; /* in one go: the loop has other things to do */

/* A job that became ready is not given up, nor is its sender told, before it had a chance to get a
 * connection. */
#define READY_GRACE_US INT64_C(900000000)

static int64_t min_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t max_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

unsigned queue_job_notices_due(const struct queue_job *job, int64_t wall_us)
{
	const struct schedule_message m = queue_entry_message(job->entry);
	const unsigned due = schedule_notices_due(queue_job_schedule(job), &m, wall_us);

	return due < UINT8_MAX ? due : UINT8_MAX;
}

/* Wall clock; INT64_MAX: never. */
static int64_t next_notice(const struct queue_job *job, const struct schedule_message *m, int64_t now_us)
{
	if (m->null_sender || job->flags & JOB_IN_DELAY || job->entry->flags & ENTRY_IN_DELAYS)
		return INT64_MAX;
	if (queue_job_notices_due(job, now_us) > job->notices)
		return now_us;
	return schedule_notice_next_at(queue_job_schedule(job), m, now_us);
}

static int64_t ready_since_us(const struct queue *q, const struct queue_job *job)
{
	return loop_now_us(q->loop) - (int64_t)(uint32_t)(queue_clock_ms(q) - job->when) * 1000;
}

/* Loop time. */
static int64_t due_at(const struct queue *q, const struct queue_job *job)
{
	const struct schedule_message m = queue_entry_message(job->entry);
	const int64_t now = loop_wall_us(q->loop);
	enum schedule_end why;
	const int64_t end = schedule_expires_at(queue_job_schedule(job), &m, &why);
	const int64_t notice = next_notice(job, &m, now);

	if (job->state == QUEUE_STATE_WAITING) {
		int64_t at = min_of(job->when * INT64_C(1000000), notice);
		if (why == SCHEDULE_END_DELIVERBY)
			at = min_of(at, end);
		return queue_loop_time(q, at);
	}
	const int64_t grace = ready_since_us(q, job) + READY_GRACE_US;
	const int64_t soft = max_of(
		queue_loop_time(q, why == SCHEDULE_END_DELIVERBY ? notice : min_of(end, notice)), grace);
	return why == SCHEDULE_END_DELIVERBY ? min_of(soft, queue_loop_time(q, end)) : soft;
}

void queue_wakes_arm(struct queue *q)
{
	const struct heap_node *first = heap_min(&q->wakes);

	if (!first || q->closing)
		timer_unset(q->loop, &q->wake_timer);
	else if (q->wake_timer.due_us != first->key)
		timer_set_at(q->loop, &q->wake_timer, first->key);
}

void queue_job_arm(struct queue *q, struct queue_job *job)
{
	if (job->state == QUEUE_STATE_READY || job->state == QUEUE_STATE_WAITING) {
		heap_change(&q->wakes, &job->wake, due_at(q, job));
		if (heap_min(&q->wakes) == &job->wake)
			queue_wakes_arm(q);
	}
}

void queue_job_end(struct queue *q, struct queue_job *job, enum queue_notice_kind kind,
		   enum queue_cause cause)
{
	struct queue_rcpt *r = queue_job_rcpts(job);

	/* One that was never tried itself was kept by what its destination said. */
	for (uint32_t i = 0; i < job->nrcpt; i++)
		if (!r[i].reason)
			r[i].reason = queue_reason_ref(job->dest->why);
	queue_job_leave(q, job);
	job->end_kind = (uint8_t)kind;
	job->end_cause = (uint8_t)cause;
	queue_job_enter(q, job, QUEUE_STATE_ENDING);
	queue_state_write(q, job->entry, job);
}

/* Arms the job again unless it went elsewhere. */
static void tell_delay(struct queue *q, struct queue_job *job)
{
	if (queue_delay_add(q, job->entry))
		queue_job_arm(q, job);
	else
		heap_change(&q->wakes, &job->wake, loop_now_us(q->loop) + 1000000);
}

/* @job is out of the heap. */
static void wake(struct queue *q, struct queue_job *job)
{
	const struct schedule_message m = queue_entry_message(job->entry);
	const int64_t now = loop_wall_us(q->loop);
	const bool ready = job->state == QUEUE_STATE_READY;
	const bool graced = ready && ready_since_us(q, job) + READY_GRACE_US <= loop_now_us(q->loop);
	enum schedule_end why;
	const int64_t end = schedule_expires_at(queue_job_schedule(job), &m, &why);

	if (job->state == QUEUE_STATE_ENDING) {
		list_push_back(&q->endings, &job->link);
		queue_kick(q);
	} else if (why == SCHEDULE_END_DELIVERBY && now >= end) {
		queue_job_end(q, job, QUEUE_NOTICE_FAILED,
			      QUEUE_CAUSE_DELIVERBY); /* RFC 2852 section 4.1.4, by-mode R */
	} else if (graced && now >= end) {
		queue_job_end(q, job, QUEUE_NOTICE_FAILED, QUEUE_CAUSE_EXPIRED);
	} else if (!ready && job->when * INT64_C(1000000) <= now) {
		queue_job_leave(q, job);
		queue_job_enter(q, job, QUEUE_STATE_READY);
	} else if ((graced || !ready) && next_notice(job, &m, now) <= now) {
		tell_delay(q, job);
	} else {
		queue_job_arm(q, job);
	}
}

static void on_wake(struct timer *t)
{
	struct queue *q = container_of(t, struct queue, wake_timer);
	const int64_t now = loop_now_us(q->loop);
	struct heap_node *first;

	for (unsigned n = 0; n < WAKES_MAX && (first = heap_min(&q->wakes)) != NULL && first->key <= now;
	     n++) {
		heap_remove(&q->wakes, first);
		wake(q, container_of(first, struct queue_job, wake));
	}
	queue_wakes_arm(q);
}

void queue_wake_init(struct queue *q)
{
	timer_init(&q->wake_timer, on_wake);
}
