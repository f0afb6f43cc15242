/* Which recipients an operator means, what is shown of them, and what is done with them. */
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_match.h"
#include "queue/queue_priv.h"

/* ---- choosing ------------------------------------------------------------------------------------------ */

bool queue_order_needs_envelope(const struct queue_action *a)
{
	return a->want_envelope || a->select.to.n > 0 || a->select.from.n > 0 || a->select.device.n > 0;
}

static bool entry_matches(struct queue *q, const struct queue_select *s, const struct queue_entry *e,
			  const struct envelope *env)
{
	if (s->older_than_us > 0 && loop_wall_us(q->loop) - e->created_at_us < s->older_than_us)
		return false;
	if (!env)
		return true;
	return (s->from.n == 0 || queue_match_address(s->from, env->sender)) &&
	       (s->device.n == 0 || queue_match_glob(s->device, env->device));
}

static bool job_matches(const struct queue_select *s, const struct queue_job *job)
{
	const struct queue_dest *d = &job->dest->pub;

	if (s->status && !(s->status & 1u << job->state))
		return false;
	if (s->held_reason.n > 0 && job->state != QUEUE_STATE_HELD)
		return false;
	return s->destination.n == 0 || queue_match_glob(s->destination, d->name) ||
	       queue_match_glob(s->destination, d->next_hop);
}

static bool rcpt_matches(const struct queue_select *s, const struct queue_rcpt *r, const struct envelope *env)
{
	struct queue_outcome why;

	if (s->domain.n > 0 && !queue_match_domain(s->domain, queue_domain_name(r->domain)))
		return false;
	if (s->held_reason.n > 0) {
		queue_reason_tell(r->reason, &why);
		if (!queue_match_glob(s->held_reason, why.text))
			return false;
	}
	return !env || s->to.n == 0 || queue_match_address(s->to, env->rcpt[r->index].address);
}

uint32_t queue_order_match(struct queue *q, const struct queue_action *a, struct queue_entry *e,
			   const struct envelope *env)
{
	const bool entry = entry_matches(q, &a->select, e, env);
	uint32_t n = 0;

	queue_for_each_job(job, e)
	{
		const bool matches = entry && job_matches(&a->select, job);
		struct queue_rcpt *r = queue_job_rcpts(job);

		for (uint32_t i = 0; i < job->nrcpt; i++) {
			r[i].pick = matches && rcpt_matches(&a->select, &r[i], env);
			n += r[i].pick;
		}
	}
	return n;
}

/* ---- showing ------------------------------------------------------------------------------------------- */

static struct queue_row_rcpt row_rcpt(struct queue *q, const struct queue_job *job,
				      const struct queue_rcpt *r)
{
	const struct queue_dest_priv *d = job->dest;
	struct queue_row_rcpt row = {
		.index = r->index,
		.state = (enum queue_state)job->state,
		.attempts = job->attempts,
		.domain = queue_domain_name(r->domain),
		.destination = d->pub.name,
		.last = { .rcpt = r->index,
			  .status = job->state == QUEUE_STATE_HELD ? QUEUE_HELD : QUEUE_DEFERRED },
	};

	if (job->state == QUEUE_STATE_WAITING)
		row.next_at_us = job->when * INT64_C(1000000);
	else if (job->state == QUEUE_STATE_READY && d->state == DEST_DOWN)
		row.next_at_us = queue_wall_time(q, d->probe_at_us);
	if (job->state == QUEUE_STATE_ENDING) {
		row.last.status = job->end_kind == QUEUE_NOTICE_FAILED ? QUEUE_BOUNCED : QUEUE_RELAYED_NO_DSN;
		row.last.cause = (enum queue_cause)job->end_cause;
	}
	queue_reason_tell(r->reason ? r->reason : d->why, &row.last);
	return row;
}

void queue_order_row(struct queue *q, struct queue_action *a, struct queue_entry *e,
		     const struct envelope *env)
{
	struct queue_row_rcpt one, *rcpts = e->nrcpt == 1 ? &one : mem_alloc_array(e->nrcpt, sizeof *rcpts);
	struct queue_row row = {
		.id = e->id,
		.arrived_at_us = e->created_at_us,
		.size_bytes = e->size_bytes,
		.nrcpt_left = e->nrcpt,
		.env = env,
		.rcpt = rcpts,
	};

	queue_for_each_job(job, e) for (uint32_t i = 0; i < job->nrcpt; i++) if (queue_job_rcpts(job)[i].pick)
		rcpts[row.nrcpt++] = row_rcpt(q, job, &queue_job_rcpts(job)[i]);
	a->row(a, &row);
	if (rcpts != &one)
		free(rcpts);
}

/* ---- doing --------------------------------------------------------------------------------------------- */

static void log_order(struct queue *q, const struct queue_action *a, uint64_t entry_id)
{
	static const int events[] = {
		[QUEUE_VERB_HOLD] = LOG_EV_MESSAGE_HELD,
		[QUEUE_VERB_RELEASE] = LOG_EV_MESSAGE_RELEASED,
		[QUEUE_VERB_REMOVE] = LOG_EV_MESSAGE_REMOVED,
	};
	struct log_rec r;

	if (a->verb != QUEUE_VERB_HOLD && a->verb != QUEUE_VERB_RELEASE && a->verb != QUEUE_VERB_REMOVE)
		return;
	if (!log_begin(&r, q->log, (enum log_event)events[a->verb]))
		return;
	const struct id id = id_from_u64(entry_id);
	log_cstr(&r, LOG_F_ID, id.s);
	log_str(&r, LOG_F_REASON, a->reason);
	log_str(&r, LOG_F_ACTOR, a->actor);
	log_end(&r);
}

/* Can the order be carried out for recipients in this state? */
static bool can(const struct queue_action *a, const struct queue_job *job)
{
	const enum queue_state state = (enum queue_state)job->state;

	switch (a->verb) {
	case QUEUE_VERB_LS:
		return true;
	case QUEUE_VERB_RELEASE:
		return state == QUEUE_STATE_HELD;
	case QUEUE_VERB_RETRY:
		return state != QUEUE_STATE_HELD && state != QUEUE_STATE_OUT;
	case QUEUE_VERB_HOLD:
		return state == QUEUE_STATE_READY || state == QUEUE_STATE_WAITING;
	case QUEUE_VERB_BOUNCE:
		return state != QUEUE_STATE_OUT && state != QUEUE_STATE_ENDING;
	case QUEUE_VERB_REMOVE:
		return state != QUEUE_STATE_OUT && !(job->flags & JOB_IN_NOTICE);
	}
	return false;
}

/* The recipients with pick 1 as a job of their own that is in no state; the others go on where they were. */
static struct queue_job *take_out(struct queue *q, struct queue_job *job)
{
	const enum queue_state state = (enum queue_state)job->state;
	const uint32_t when = job->when;

	queue_job_leave(q, job);
	struct queue_job *piece = queue_job_extract(q, job, 1);
	if (piece != job) {
		queue_job_enter(q, job, state);
		job->when = when;
		queue_job_arm(q, job);
	}
	return piece;
}

static void carry_out(struct queue *q, struct queue_action *a, struct queue_job *job)
{
	const struct queue_outcome why = { .text = a->reason };
	struct queue_entry *e = job->entry;

	if (a->verb == QUEUE_VERB_RETRY) {
		queue_job_retry(q, job); /* as a whole: they share a transaction */
		return;
	}
	job = take_out(q, job);
	if (a->verb == QUEUE_VERB_REMOVE) {
		queue_state_write_settled(q, job);
		queue_job_settle(q, job);
		return;
	}
	if (a->verb != QUEUE_VERB_RELEASE)
		for (uint32_t i = 0; i < job->nrcpt; i++)
			queue_rcpt_reason(q, &queue_job_rcpts(job)[i], &why, QUEUE_TEXT_KEPT_MAX);
	if (a->verb == QUEUE_VERB_BOUNCE) {
		job->end_kind = QUEUE_NOTICE_FAILED;
		job->end_cause = QUEUE_CAUSE_OPERATOR;
	}
	queue_job_enter(q, job,
			a->verb == QUEUE_VERB_HOLD     ? QUEUE_STATE_HELD
			: a->verb == QUEUE_VERB_BOUNCE ? QUEUE_STATE_ENDING
						       : QUEUE_STATE_READY);
	queue_state_write(q, e, job);
}

static uint32_t picked(struct queue_job *job)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < job->nrcpt; i++)
		n += queue_job_rcpts(job)[i].pick;
	return n;
}

bool queue_order_carry_out(struct queue *q, struct queue_action *a, struct queue_entry *e)
{
	const uint64_t before = a->done_recipients;

	queue_for_each_job_safe(job, e)
	{
		const uint32_t n = picked(job);

		if (n == 0 || job->state == QUEUE_STATE_OUT || !can(a, job)) {
			a->busy_recipients +=
				n && a->verb != QUEUE_VERB_LS && job->state != QUEUE_STATE_HELD ? n : 0;
			continue;
		}
		a->done_recipients += n;
		if (a->verb != QUEUE_VERB_LS && !a->dry_run)
			carry_out(q, a, job);
	}
	if (a->verb == QUEUE_VERB_LS || a->dry_run || a->done_recipients == before)
		return false;
	log_order(q, a, e->id);
	queue_entry_check(q, e);
	return true;
}
