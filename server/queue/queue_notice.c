/* Notices: telling senders that recipients failed, take long, or went where nobody will report (RFC 3461
 * section 5.2).
 *
 * The happy path:
 *   1. a job is ENDING, or an entry's delay notice is due: it is in a list
 *   2. a run takes an entry with all its jobs of that kind, and loads the message if it is not in memory
 *   3. the recipients who want it are chosen; ops->notify() makes the notice
 *   4. queue_notice_done(): it is durable; recipients of ENDING jobs are settled
 * A notice that cannot be made is tried again later; its recipients stay until then. A message that
 * cannot be read any more cannot be reported; that is logged and its recipients are settled, since
 * nothing will ever become of them.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_priv.h"

enum { RUNS_MAX = QUEUE_LOADS_MAX, DELAYS_MAX = 1000 };

/* An entry whose delay notice is due. */
struct queue_delay {
	struct list link;
	struct queue_entry *entry; /* pinned */
};

struct queue_run {
	struct queue_notice pub;
	struct queue *q;
	struct list link;            /* in q->runs */
	struct queue_entry *entry;   /* pinned */
	enum queue_notice_kind kind; /* FAILED, RELAYED or DELAYED, whoever will be told */
	enum queue_cause cause;
	unsigned due; /* DELAYED: notices due when it began */
	struct spool_load load;
	struct spool_image *image;
	struct arena *arena;
	struct envelope env;
	struct queue_outcome *all; /* of all recipients it is about */
	uint32_t nall;
	bool asked; /* notify() was called */
	int status;
	struct task done;
};

/* ---- which jobs ---------------------------------------------------------------------------------------- */

static bool is_about(const struct queue_run *run, const struct queue_job *job)
{
	return job->flags & (run->kind == QUEUE_NOTICE_DELAYED ? JOB_IN_DELAY : JOB_IN_NOTICE);
}

#define for_each_about_safe(it, run) queue_for_each_job_safe(it, (run)->entry) if (is_about(run, it))

/* ---- ending -------------------------------------------------------------------------------------------- */

static void run_free(struct queue_run *run)
{
	struct queue *q = run->q;
	struct queue_entry *e = run->entry;

	list_remove(&run->link);
	q->nruns--;
	spool_image_unref(&run->image);
	arena_free(&run->arena);
	free(run);
	e->pins--;
	if (!queue_entry_check(q, e))
		queue_image_done(q, e);
	queue_kick(q);
}

static void delay_ended(struct queue_run *run, bool made)
{
	struct queue *q = run->q;

	run->entry->flags &= (uint8_t)~ENTRY_IN_DELAYS;
	for_each_about_safe(job, run)
	{
		job->flags &= (uint8_t)~JOB_IN_DELAY;
		if (made) {
			job->notices = (uint8_t)run->due;
			queue_state_write(q, run->entry, job);
			queue_job_arm(q, job);
		} else if (heap_node_in(&job->wake)) {
			heap_change(&q->wakes, &job->wake, loop_now_us(q->loop) + q->cfg.notice_retry_us);
			queue_wakes_arm(q);
		}
	}
}

static void ending_ended(struct queue_run *run, bool made)
{
	struct queue *q = run->q;

	run->entry->flags &= (uint8_t)~ENTRY_IN_RUN;
	for_each_about_safe(job, run)
	{
		if (made) {
			queue_state_write_settled(q, job);
			queue_job_leave(q, job);
			queue_job_settle(q, job);
		} else {
			job->flags &= (uint8_t)~JOB_IN_NOTICE;
			heap_change(&q->wakes, &job->wake, loop_now_us(q->loop) + q->cfg.notice_retry_us);
			queue_state_write(q, run->entry, job); /* ops->ended() need not be called again */
		}
	}
	queue_wakes_arm(q);
	/* Those that came while this ran, of another kind or later. */
	queue_for_each_job(job, run->entry) if (job->state == QUEUE_STATE_ENDING && list_empty(&job->link) &&
						!heap_node_in(&job->wake))
		list_push_back(&q->endings, &job->link);
}

static void run_ended(struct queue_run *run, int status)
{
	if (run->kind == QUEUE_NOTICE_DELAYED)
		delay_ended(run, status == 0);
	else
		ending_ended(run, status == 0);
	run_free(run);
}

static void on_notice_done(struct task *t)
{
	struct queue_run *run = container_of(t, struct queue_run, done);

	run_ended(run, run->status);
}

void queue_notice_done(struct queue *q, struct queue_notice *notice, int status)
{
	struct queue_run *run = container_of(notice, struct queue_run, pub);

	require(run->q == q && run->asked && !task_scheduled(&run->done));
	run->status = status;
	task_schedule(q->loop, &run->done);
}

/* ---- what is said -------------------------------------------------------------------------------------- */

static void log_expired(struct queue_run *run, const struct queue_outcome *o, unsigned attempts)
{
	struct log_rec r;

	if (!log_begin(&r, run->q->log, LOG_EV_MESSAGE_EXPIRED))
		return;
	const struct id id = id_from_u64(run->entry->id);
	log_cstr(&r, LOG_F_ID, id.s);
	log_str(&r, LOG_F_FROM, run->env.sender.p ? run->env.sender : SPAN(""));
	log_str(&r, LOG_F_TO, run->env.rcpt[o->rcpt].address);
	log_int(&r, LOG_F_DELAY_US, loop_wall_us(run->q->loop) - run->entry->created_at_us);
	log_int(&r, LOG_F_ATTEMPT, attempts);
	log_str(&r, LOG_F_TEXT, o->text);
	log_end(&r);
}

static struct span or_else(struct arena *a, struct span s, struct span otherwise)
{
	const struct span copy = arena_dup(a, s.n ? s : otherwise);

	return copy.p ? copy : otherwise;
}

/* Texts are copied: those of a job may change while a delay notice is made. */
static void add_outcome(struct queue_run *run, const struct queue_job *job, const struct queue_rcpt *r)
{
	static const struct span texts[] = {
		[QUEUE_CAUSE_ATTEMPT] = SPAN_INIT(""),
		[QUEUE_CAUSE_EXPIRED] = SPAN_INIT("could not be delivered within its lifetime"),
		[QUEUE_CAUSE_DELIVERBY] = SPAN_INIT("could not be delivered by the time that its sender set"),
		[QUEUE_CAUSE_OPERATOR] = SPAN_INIT("returned by an operator"),
	};
	const bool ran_out = run->cause == QUEUE_CAUSE_EXPIRED || run->cause == QUEUE_CAUSE_DELIVERBY;
	struct queue_outcome o = { .rcpt = r->index, .cause = run->cause };

	o.status = run->kind == QUEUE_NOTICE_FAILED    ? QUEUE_BOUNCED
		   : run->kind == QUEUE_NOTICE_RELAYED ? QUEUE_RELAYED_NO_DSN
						       : QUEUE_DEFERRED;
	queue_reason_tell(r->reason ? r->reason : job->dest->why, &o);
	/* RFC 3463 section 3.5: delivery time expired. */
	o.enhanced = or_else(run->arena, o.enhanced, ran_out ? SPAN("5.4.7") : SPAN(""));
	o.text = or_else(run->arena, o.text, texts[run->cause]);
	o.remote = or_else(run->arena, o.remote, SPAN(""));
	run->all[run->nall++] = o;
	if (ran_out && !(job->flags & JOB_TOLD))
		log_expired(run, &o, job->attempts);
}

static int collect(struct queue_run *run)
{
	run->arena = arena_new(QUEUE_ENV_ARENA_MAX);
	const int ret = envelope_decode(run->image->meta, run->arena, &run->env);
	if (ret < 0)
		return ret;
	run->all = arena_array(run->arena, struct queue_outcome, run->entry->nrcpt_all);
	if (!run->all || run->env.nrcpt != run->entry->nrcpt_all)
		return -ERR_CORRUPT;
	for_each_about_safe(job, run) for (uint32_t i = 0; i < job->nrcpt; i++)
		add_outcome(run, job, &queue_job_rcpts(job)[i]);
	return 0;
}

/* What the queue ended by itself is told once, whether or not its sender wants to know. */
static void tell_ended(struct queue_run *run, const struct envelope *env)
{
	bool told = true;

	if (run->kind != QUEUE_NOTICE_FAILED || run->cause == QUEUE_CAUSE_ATTEMPT)
		return;
	for_each_about_safe(job, run)
	{
		told = told && job->flags & JOB_TOLD;
		job->flags |= JOB_TOLD;
	}
	if (!told && run->q->ops.ended)
		run->q->ops.ended(run->q->ops.arg, run->entry->id, env, run->all, run->nall);
}

/* Does the sender want this notice about @r? RFC 3461 section 4.1 and, for each kind, section 5.2. */
static bool is_wanted(const struct queue_run *run, const struct envelope_rcpt *r)
{
	if (r->notify & NOTIFY_NEVER)
		return false;
	switch (run->kind) {
	case QUEUE_NOTICE_FAILED:
		return r->notify == NOTIFY_DEFAULT || r->notify & NOTIFY_FAILURE;
	case QUEUE_NOTICE_DELAYED:
		return r->notify == NOTIFY_DEFAULT || r->notify & NOTIFY_DELAY;
	default:
		return r->notify & NOTIFY_SUCCESS || run->env.flags & ENVELOPE_BY_NOTIFY;
	}
}

static uint32_t choose(struct queue_run *run)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < run->nall; i++)
		if (is_wanted(run, &run->env.rcpt[run->all[i].rcpt]))
			run->all[n++] = run->all[i];
	return n;
}

static int64_t retry_until(const struct queue_run *run)
{
	const struct schedule_message m = queue_entry_message(run->entry);
	int64_t until = INT64_MIN;

	for_each_about_safe(job, run)
	{
		enum schedule_end why;
		const int64_t end = schedule_expires_at(queue_job_schedule(job), &m, &why);
		until = end > until ? end : until;
	}
	return until;
}

/* ---- a run --------------------------------------------------------------------------------------------- */

static void ask(struct queue_run *run)
{
	struct queue *q = run->q;
	const bool nobody =
		run->env.sender.n == 0; /* RFC 3461 section 5.2: no notice for the null reverse path */

	tell_ended(run, &run->env);
	run->pub = (struct queue_notice){
		.kind = nobody ? QUEUE_NOTICE_NOBODY : run->kind,
		.id = run->entry->id,
		.env = &run->env,
		.image = run->image,
		.outcomes = run->all,
		.n = nobody ? run->nall : choose(run),
	};
	if (run->kind == QUEUE_NOTICE_DELAYED)
		run->pub.retry_until_us = retry_until(run);
	if (run->pub.n == 0 || (nobody && run->kind != QUEUE_NOTICE_FAILED)) {
		task_schedule(q->loop, &run->done); /* nobody is to be told */
		return;
	}
	run->asked = true;
	q->ops.notify(q->ops.arg, &run->pub);
}

/* The message cannot be read, now or ever. */
static void give_up(struct queue_run *run, int err)
{
	struct log_rec r;

	if (log_begin(&r, run->q->log, LOG_EV_NOTICE_FAILED)) {
		const struct id id = id_from_u64(run->entry->id);
		log_cstr(&r, LOG_F_ID, id.s);
		log_cstr(&r, LOG_F_ERROR, err_name(err));
		log_cstr(&r, LOG_F_TEXT, "the message cannot be read from the spool");
		log_end(&r);
	}
	run->nall = 0;
	tell_ended(run, NULL);
	task_schedule(run->q->loop, &run->done);
}

static void loaded(struct queue_run *run)
{
	const int ret = collect(run);

	if (ret < 0)
		give_up(run, ret);
	else
		ask(run);
}

static void on_loaded(struct op *op)
{
	struct queue_run *run = container_of(op, struct queue_run, load.op);

	if (op->status >= 0) {
		run->image = run->load.image;
		if (!run->q->closing) {
			loaded(run);
			return;
		}
		op->status = -ERR_CANCELED;
	}
	if (op->status == -ERR_NOTFOUND || op->status == -ERR_CORRUPT)
		give_up(run, op->status);
	else
		run_ended(run, op->status);
}

static struct queue_run *run_new(struct queue *q, struct queue_entry *e, enum queue_notice_kind kind)
{
	struct queue_run *run = mem_alloc(sizeof *run);

	run->q = q;
	run->entry = e;
	run->kind = kind;
	op_init(&run->load.op, on_loaded);
	task_init(&run->done, on_notice_done);
	list_push_back(&q->runs, &run->link);
	q->nruns++;
	e->pins++;
	return run;
}

static void run_start(struct queue_run *run)
{
	struct queue *q = run->q;

	if (run->entry->image) {
		run->image = spool_image_ref(run->entry->image->img);
		loaded(run);
		return;
	}
	const int ret = spool_load_start(&run->load, &q->scope, q->spool, run->entry->id);
	if (ret < 0) {
		run->status = ret;
		task_schedule(q->loop, &run->done);
	}
}

/* ---- who is next --------------------------------------------------------------------------------------- */

static void start_ending(struct queue *q, struct queue_job *first)
{
	struct queue_entry *e = first->entry;

	list_remove(&first->link);
	if (e->flags & ENTRY_IN_RUN)
		return; /* comes back when that has ended */
	struct queue_run *run = run_new(q, e, (enum queue_notice_kind)first->end_kind);
	run->cause = (enum queue_cause)first->end_cause;
	e->flags |= ENTRY_IN_RUN;
	queue_for_each_job(job, e)
	{
		if (job->state != QUEUE_STATE_ENDING || job->end_kind != first->end_kind ||
		    job->end_cause != first->end_cause)
			continue;
		job->flags |= JOB_IN_NOTICE;
		list_remove(&job->link);
		heap_remove(&q->wakes, &job->wake);
	}
	run_start(run);
}

static void start_delay(struct queue *q, struct queue_delay *delay)
{
	struct queue_entry *e = delay->entry;
	const int64_t now = loop_wall_us(q->loop);
	unsigned due = 0;

	list_remove(&delay->link);
	free(delay);
	q->ndelays--;
	queue_for_each_job(job, e)
	{
		const bool tried = job->state == QUEUE_STATE_READY || job->state == QUEUE_STATE_WAITING ||
				   job->state == QUEUE_STATE_OUT;
		const unsigned n = queue_job_notices_due(job, now);

		if (!tried || n <= job->notices)
			continue;
		job->flags |= JOB_IN_DELAY;
		due = n > due ? n : due;
	}
	struct queue_run *run = run_new(q, e, QUEUE_NOTICE_DELAYED);
	e->pins--; /* the delay's pin */
	run->due = due;
	if (due > 0)
		run_start(run);
	else
		task_schedule(q->loop, &run->done); /* they were delivered meanwhile */
}

bool queue_delay_add(struct queue *q, struct queue_entry *e)
{
	if (q->ndelays >= DELAYS_MAX)
		return false;
	struct queue_delay *delay = mem_alloc(sizeof *delay);
	delay->entry = e;
	list_push_back(&q->delays, &delay->link);
	q->ndelays++;
	e->pins++;
	e->flags |= ENTRY_IN_DELAYS;
	queue_kick(q);
	return true;
}

void queue_notice_pump(struct queue *q)
{
	struct list *link;

	while (!q->closing && q->nruns < RUNS_MAX && (link = list_first(&q->endings)) != NULL)
		start_ending(q, list_entry(link, struct queue_job, link));
	while (!q->closing && q->nruns < RUNS_MAX && (link = list_first(&q->delays)) != NULL)
		start_delay(q, list_entry(link, struct queue_delay, link));
}

void queue_runs_cancel(struct queue *q)
{
	list_for_each(link, &q->runs)
		op_cancel(&list_entry(link, struct queue_run, link)->load.op);
	while (!list_empty(&q->delays)) {
		struct queue_delay *delay = list_entry(list_pop_front(&q->delays), struct queue_delay, link);
		struct queue_entry *e = delay->entry;

		free(delay);
		q->ndelays--;
		e->pins--;
		e->flags &= (uint8_t)~ENTRY_IN_DELAYS;
		queue_entry_check(q, e);
	}
}
