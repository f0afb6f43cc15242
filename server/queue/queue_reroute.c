/* Routing anew after the configuration changed. Routes may depend on sender, recipient and what a policy
 * said, so the message is read; that is done when a job is about to be tried, and what was read serves
 * the attempt that follows.
 *
 *   1. a job at the head of its destination's list was routed by an older configuration: it goes to
 *      q->reroutes
 *   2. its message is loaded if it is not in memory; all jobs of it that wait for this are done at once
 *   3. their recipients are grouped by their new destinations and are ready there
 * When it cannot be read now they wait a minute; when it is damaged they are held for an operator to see.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_priv.h"

enum {
	UNREADABLE_AGAIN_S = 60,
	STARTS_MAX = 256, /* in one go, when no loads are needed */
};

struct queue_reroute_run {
	struct list link; /* in q->reroute_runs */
	struct queue *q;
	uint64_t id; /* its entry may go meanwhile */
	struct spool_load load;
};

bool queue_job_stale(const struct queue *q, const struct queue_job *job)
{
	return job->epoch != q->epoch;
}

void queue_reroute_add(struct queue *q, struct queue_job *job)
{
	list_remove(&job->link);
	heap_remove(&q->wakes, &job->wake);
	job->flags |= JOB_ROUTING;
	job->dest->nready--;
	list_push_back(&q->reroutes, &job->link);
	queue_kick(q);
}

/* ---- routing ------------------------------------------------------------------------------------------- */

static void route_job(struct queue *q, struct queue_job *job, const struct envelope *env)
{
	const uint32_t since = job->when;
	struct queue_job *piece = NULL;

	queue_job_leave(q, job);
	while (piece != job) {
		struct queue_rcpt *r = queue_job_rcpts(job);
		struct queue_dest_priv *to = NULL;

		for (uint32_t i = 0; i < job->nrcpt; i++) {
			struct queue_route route = { 0 };
			q->ops.route(q->ops.arg, env, &env->rcpt[r[i].index], &route);
			struct queue_dest_priv *d = queue_dest_get(q, &route);
			to = to ? to : d;
			r[i].pick = d == to;
		}
		piece = queue_job_extract(q, job, 1);
		queue_job_move(q, piece, to);
		queue_job_enter(q, piece, QUEUE_STATE_READY);
		piece->when = since;
	}
}

static int route_entry(struct queue *q, struct queue_entry *e, struct spool_image *img)
{
	struct envelope env;

	arena_reset(q->arena);
	const int ret = envelope_decode(img->meta, q->arena, &env);
	if (ret < 0 || env.nrcpt != e->nrcpt_all)
		return ret < 0 ? ret : -ERR_CORRUPT;
	queue_for_each_job_safe(job, e) if (job->flags & JOB_ROUTING) route_job(q, job, &env);
	arena_release(q->arena);
	return 0;
}

static void not_routed(struct queue *q, struct queue_entry *e, int err)
{
	const bool never = err == -ERR_NOTFOUND || err == -ERR_CORRUPT;
	const struct queue_outcome why = { .text = SPAN("the message cannot be read from the spool") };

	queue_for_each_job_safe(job, e)
	{
		if (!(job->flags & JOB_ROUTING))
			continue;
		queue_job_leave(q, job);
		if (never)
			for (uint32_t i = 0; i < job->nrcpt; i++)
				queue_rcpt_reason(q, &queue_job_rcpts(job)[i], &why, QUEUE_TEXT_KEPT_MAX);
		else
			job->when = (uint32_t)(loop_wall_us(q->loop) / 1000000 + UNREADABLE_AGAIN_S);
		queue_job_enter(q, job, never ? QUEUE_STATE_HELD : QUEUE_STATE_WAITING);
		if (never)
			queue_state_write(q, e, job);
	}
}

/* ---- runs ---------------------------------------------------------------------------------------------- */

static void on_loaded(struct op *op)
{
	struct queue_reroute_run *run = container_of(op, struct queue_reroute_run, load.op);
	struct queue *q = run->q;
	struct queue_entry *e = queue_find(q, run->id);
	struct spool_image *img = op->status >= 0 ? run->load.image : NULL;
	int ret = op->status;

	if (e && ret >= 0)
		ret = route_entry(q, e, img);
	if (e && ret < 0)
		not_routed(q, e, ret);
	if (e && ret >= 0)
		queue_image_keep(q, e, img);
	else
		spool_image_unref(&img);
	list_remove(&run->link);
	free(run);
	q->nreroute_runs--;
	queue_kick(q);
}

static void start(struct queue *q, struct queue_entry *e)
{
	/* All of its jobs that wait for this leave the list: they are found by their flag. */
	queue_for_each_job(job, e) if (job->flags & JOB_ROUTING) list_remove(&job->link);
	if (e->image) {
		const int ret = route_entry(q, e, e->image->img);
		if (ret < 0)
			not_routed(q, e, ret);
		return;
	}
	struct queue_reroute_run *run = mem_alloc(sizeof *run);
	run->q = q;
	run->id = e->id;
	op_init(&run->load.op, on_loaded);
	const int ret = spool_load_start(&run->load, &q->scope, q->spool, e->id);
	if (ret < 0) {
		free(run);
		not_routed(q, e, ret);
		return;
	}
	list_push_back(&q->reroute_runs, &run->link);
	q->nreroute_runs++;
}

void queue_reroute_pump(struct queue *q)
{
	struct list *link;

	for (unsigned n = 0;
	     !q->closing && q->nreroute_runs < QUEUE_LOADS_MAX && (link = list_first(&q->reroutes)) != NULL;
	     n++) {
		if (n == STARTS_MAX) {
			queue_kick(q);
			return;
		}
		start(q, list_entry(link, struct queue_job, link)->entry);
	}
}

void queue_reroutes_cancel(struct queue *q)
{
	list_for_each(link, &q->reroute_runs)
		op_cancel(&list_entry(link, struct queue_reroute_run, link)->load.op);
}

/* ---- a new configuration ------------------------------------------------------------------------------- */

void queue_reroute(struct queue *q)
{
	q->epoch++;
	list_for_each(link, &q->dest_list) {
		struct queue_dest_priv *d = list_entry(link, struct queue_dest_priv, all);
		struct queue_route route = { 0 };

		d->gone = !q->ops.refresh(q->ops.arg, &d->pub, &route);
		d->pub.route_config = d->gone ? NULL : route.config;
		d->pub.schedule = d->gone ? NULL : route.schedule;
		if (!d->gone) {
			d->pub.limits = route.limits;
			ledger_set_limits(d->member, &route.limits);
		}
		queue_dest_probe_now(d);
		queue_dest_touch(d);
	}
}
