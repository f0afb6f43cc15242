/* Where recipients stand, written to the spool and read from it. */
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_priv.h"

/* ---- writing ------------------------------------------------------------------------------------------- */

static struct queue_note_group group_of(const struct queue_job *job)
{
	static const enum queue_note_tag tags[QUEUE_STATE_MAX_] = {
		[QUEUE_STATE_READY] = QUEUE_NOTE_READY, /* OUT: after a crash it is tried again */
		[QUEUE_STATE_OUT] = QUEUE_NOTE_READY,   [QUEUE_STATE_WAITING] = QUEUE_NOTE_WAITING,
		[QUEUE_STATE_HELD] = QUEUE_NOTE_HELD,   [QUEUE_STATE_ENDING] = QUEUE_NOTE_ENDING,
	};

	return (struct queue_note_group){
		.tag = tags[job->state],
		.attempts = job->attempts,
		.notices = job->notices,
		.next_at_s = job->when,
		.kind = (enum queue_notice_kind)job->end_kind,
		.cause = (enum queue_cause)job->end_cause,
		.told = job->flags & JOB_TOLD,
	};
}

void queue_state_group(struct queue_note_writer *w, struct queue_job *job, bool with_texts)
{
	struct queue_note_group g = group_of(job);
	struct queue_rcpt *r = queue_job_rcpts(job);
	const bool reasons = g.tag != QUEUE_NOTE_READY;

	for (uint32_t i = 0; i < job->nrcpt; i++)
		r[i].pick = 0;
	/* A group for each reason. */
	for (uint32_t i = 0; i < job->nrcpt; i++) {
		if (r[i].pick)
			continue;
		if (reasons)
			queue_reason_tell(r[i].reason, &g.reason);
		if (!with_texts)
			g.reason.text = g.reason.remote = (struct span){ 0 };
		queue_note_group_begin(w, &g);
		for (uint32_t k = i; k < job->nrcpt; k++) {
			if (r[k].pick || (reasons && r[k].reason != r[i].reason))
				continue;
			r[k].pick = 1;
			queue_note_rcpt(w, r[k].index);
		}
		queue_note_group_end(w);
	}
}

void queue_state_write(struct queue *q, struct queue_entry *e, struct queue_job *job)
{
	struct queue_note_writer w;

	for (unsigned with_texts = 2; with_texts-- > 0;) {
		buf_reset(&q->note);
		queue_note_begin(&w, &q->note);
		queue_state_group(&w, job, with_texts);
		if (queue_note_end(&w))
			break;
	}
	if (verify(!q->note.overflow))
		spool_note(q->spool, e->id, buf_span(&q->note));
}

void queue_state_settled_group(struct queue_note_writer *w, struct queue_job *job)
{
	const struct queue_note_group g = { .tag = QUEUE_NOTE_SETTLED };
	const struct queue_rcpt *r = queue_job_rcpts(job);

	queue_note_group_begin(w, &g);
	for (uint32_t i = 0; i < job->nrcpt; i++)
		queue_note_rcpt(w, r[i].index);
	queue_note_group_end(w);
}

void queue_state_write_settled(struct queue *q, struct queue_job *job)
{
	struct queue_note_writer w;

	if (job->nrcpt == job->entry->nrcpt)
		return; /* all that was left of it: the message is dropped, which says more */
	buf_reset(&q->note);
	queue_note_begin(&w, &q->note);
	queue_state_settled_group(&w, job);
	if (verify(queue_note_end(&w)))
		spool_note(q->spool, job->entry->id, buf_span(&q->note));
}

/* A job that is as the envelope alone would make it. */
static bool is_new(const struct queue_job *job)
{
	return job->attempts == 0 && job->notices == 0 && !(job->entry->flags & ENTRY_HELD_AT_FIRST) &&
	       job->state != QUEUE_STATE_HELD && job->state != QUEUE_STATE_ENDING;
}

static void only_group(struct queue_note_writer *w, struct queue_entry *e)
{
	const struct queue_note_group g = { .tag = QUEUE_NOTE_ONLY };
	bool *left = mem_alloc_array(e->nrcpt_all, sizeof *left);

	queue_for_each_job(job, e) for (uint32_t i = 0; i < job->nrcpt; i++)
		left[queue_job_rcpts(job)[i].index] = true;
	queue_note_group_begin(w, &g);
	for (uint32_t i = 0; i < e->nrcpt_all; i++)
		if (left[i])
			queue_note_rcpt(w, i);
	queue_note_group_end(w);
	free(left);
}

static bool snapshot(struct queue_entry *e, struct buf *note, bool with_texts)
{
	struct queue_note_writer w;

	queue_note_begin(&w, note);
	if (e->nrcpt < e->nrcpt_all)
		only_group(&w, e);
	queue_for_each_job(job, e) if (!is_new(job)) queue_state_group(&w, job, with_texts);
	return queue_note_end(&w);
}

void queue_state_snapshot(struct queue_entry *e, struct buf *note)
{
	bool says = e->nrcpt < e->nrcpt_all;

	queue_for_each_job(job, e) says |= !is_new(job);
	if (!says || snapshot(e, note, true))
		return;
	buf_reset(note);
	(void)verify(snapshot(e, note, false));
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static enum queue_state state_of(enum queue_note_tag tag)
{
	switch (tag) {
	case QUEUE_NOTE_WAITING:
		return QUEUE_STATE_WAITING;
	case QUEUE_NOTE_HELD:
		return QUEUE_STATE_HELD;
	case QUEUE_NOTE_ENDING:
		return QUEUE_STATE_ENDING;
	default:
		return QUEUE_STATE_READY;
	}
}

/* @job stands where @g says from now on. */
static void set_job(struct queue *q, struct queue_job *job, const struct queue_note_group *g)
{
	struct queue_rcpt *r = queue_job_rcpts(job);

	job->state = (uint8_t)state_of(g->tag);
	job->attempts = (uint16_t)g->attempts;
	job->notices = (uint8_t)g->notices;
	job->when = (uint32_t)g->next_at_s;
	job->end_kind = (uint8_t)g->kind;
	job->end_cause = (uint8_t)g->cause;
	job->flags = (uint8_t)((job->flags & ~JOB_TOLD) | (g->told ? JOB_TOLD : 0));
	for (uint32_t i = 0; i < job->nrcpt; i++)
		queue_rcpt_reason(q, &r[i], &g->reason, QUEUE_TEXT_MAX);
}

static void apply_group(struct queue *q, struct queue_entry *e, const struct queue_note_group *g,
			const uint32_t *index, uint32_t n)
{
	const bool settles = g->tag == QUEUE_NOTE_SETTLED || g->tag == QUEUE_NOTE_ONLY;

	queue_for_each_job_safe(job, e)
	{
		queue_job_pick(job, index, n);
		struct queue_job *piece = queue_job_extract(q, job, g->tag != QUEUE_NOTE_ONLY);
		if (piece && settles)
			queue_job_settle(q, piece);
		else if (piece)
			set_job(q, piece, g);
	}
}

/* Reads the recipients of the group @g and applies it. */
static int read_group(struct queue *q, struct queue_entry *e, struct queue_note_reader *r,
		      const struct queue_note_group *g)
{
	uint32_t few[64], *index = few, n = 0, at;
	int ret;

	if (r->n > ARRAY_LEN(few))
		index = mem_alloc_array(r->n, sizeof *index);
	while ((ret = queue_note_next_rcpt(r, &at)) > 0)
		index[n++] = at;
	if (ret == 0)
		apply_group(q, e, g, index, n);
	if (index != few)
		free(index);
	return ret;
}

int queue_state_apply(struct queue *q, struct queue_entry *e, struct span note)
{
	struct queue_note_reader r;
	struct queue_note_group g;
	int ret = queue_note_open(&r, note);

	while (ret == 0 && (ret = queue_note_next(&r, &g)) > 0)
		ret = read_group(q, e, &r, &g);
	return ret;
}
