/* Destinations: which has work and may work.
 *
 * The happy path:
 *   1. a job becomes ready: the destination is touched, that is, put into q->work
 *   2. at the end of the turn it is pumped: ready() is called as long as that opens a connection or takes
 *      a job
 *   3. delivery opens connections (the ledger is asked) and takes jobs (the rate is asked)
 * When it may not, its timer or the ledger touches it again: a probe is due, the rate has a token, a
 * connection is free.
 *
 *   UP       -- a connection failed and nothing works --> DOWN
 *   DOWN     -- probe_at, or an operator --> PROBING: one connection, one job
 *   PROBING  -- greeted --> UP; failed, or closed without a word --> DOWN
 */
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_priv.h"

enum {
	OFFERS_MAX = 1000, /* calls of ready() in one go */
	STALE_MAX = 1000,  /* jobs sent to be routed anew in one go */
	FRESH_TURNS = 4,   /* of so many jobs one is a retry, if both wait */
};

/* No more connections for so long when one of several could not be opened. */
#define GROW_AGAIN_US INT64_C(30000000)
/* A destination that greeted us so lately works. */
#define WORKS_US INT64_C(60000000)
/* Fresh mail does not probe more often than this, whatever the schedule says. */
#define DOWN_FRESH_US INT64_C(1000000)

/* ---- life ---------------------------------------------------------------------------------------------- */

static void on_granted(void *arg)
{
	struct queue_dest_priv *d = arg;

	d->grants++;
	queue_dest_touch(d);
}

static void on_wanted(void *arg)
{
	struct queue_dest_priv *d = arg;

	if (d->q->ops.wanted)
		d->q->ops.wanted(d->q->ops.arg, &d->pub);
}

static const struct ledger_events ledger_events = { on_granted, on_wanted };

static void on_timer(struct timer *t)
{
	queue_dest_touch(container_of(t, struct queue_dest_priv, timer));
}

static struct queue_dest_priv *dest_new(struct queue *q, struct span name, const struct queue_route *route)
{
	struct queue_dest_priv *d = mem_alloc(sizeof *d + name.n);

	memcpy(d->text, name.p, name.n);
	d->q = q;
	d->pub = (struct queue_dest){
		.name = span_make(d->text, name.n),
		.route = span_make(d->text, route->name.n),
		.next_hop = span_make(d->text + route->name.n + 1, route->next_hop.n),
		.variant = span_make(d->text + name.n - route->variant.n, route->variant.n),
		.route_config = route->config,
		.schedule = route->schedule,
		.limits = route->limits,
		.priv = d,
	};
	list_push_back(&q->dest_list, &d->all);
	list_init(&d->work);
	list_init(&d->fresh);
	list_init(&d->retry);
	list_init(&d->out);
	timer_init(&d->timer, on_timer);
	map_put(&q->dests, &d->node, d->pub.name);
	d->member = ledger_join(q->ledger, d->pub.name, &route->limits, q->loop, &ledger_events, d);
	d->idle_at_us = loop_now_us(q->loop);
	return d;
}

struct queue_dest_priv *queue_dest_get(struct queue *q, const struct queue_route *route)
{
	buf_reset(&q->scratch);
	buf_add_span(&q->scratch, route->name);
	buf_add_char(&q->scratch, '|');
	buf_add_span(&q->scratch, route->next_hop);
	if (route->variant.n) {
		buf_add_char(&q->scratch, '|');
		buf_add_span(&q->scratch, route->variant);
	}
	require(!q->scratch.overflow);
	struct map_node *node = map_get(&q->dests, buf_span(&q->scratch));

	return node ? map_entry(node, struct queue_dest_priv, node)
		    : dest_new(q, buf_span(&q->scratch), route);
}

static void give_back_grants(struct queue_dest_priv *d)
{
	for (; d->grants > 0; d->grants--)
		ledger_close(d->member);
}

static void set_state(struct queue_dest_priv *d, enum queue_dest_state state)
{
	if (d->state == DEST_UP && state != DEST_UP)
		d->q->dests_down++;
	if (d->state != DEST_UP && state == DEST_UP)
		d->q->dests_down--;
	d->state = state;
}

void queue_dest_free(struct queue_dest_priv *d)
{
	struct queue *q = d->q;

	require(d->njobs == 0);
	if (q->ops.dest_gone)
		q->ops.dest_gone(q->ops.arg, &d->pub);
	require(d->conns == 0);
	give_back_grants(d);
	set_state(d, DEST_UP);
	ledger_leave(&d->member, loop_now_us(q->loop));
	queue_reason_put(&q->reasons, &d->why);
	timer_unset(q->loop, &d->timer);
	list_remove(&d->work);
	list_remove(&d->all);
	map_remove(&q->dests, &d->node);
	free(d);
}

/* ---- being looked at ----------------------------------------------------------------------------------- */

void queue_dest_touch(struct queue_dest_priv *d)
{
	if (!list_empty(&d->work))
		return;
	list_push_back(&d->q->work, &d->work);
	queue_kick(d->q);
}

void queue_poke(struct queue *q)
{
	list_for_each(link, &q->dest_list) {
		struct queue_dest_priv *d = list_entry(link, struct queue_dest_priv, all);
		if (d->nready > 0)
			queue_dest_touch(d);
	}
}

/* May anything be handed out now? */
static bool may_work(const struct queue_dest_priv *d)
{
	if (d->q->closing || d->gone || d->nready == 0 || d->state == DEST_DOWN)
		return false;
	if (d->state == DEST_PROBING && d->nout > 0)
		return false;
	return d->rate_at_us <= loop_now_us(d->q->loop);
}

/* Jobs at the head of the lists whose route is of an older configuration. */
static void send_stale(struct queue_dest_priv *d)
{
	struct list *const lists[] = { &d->fresh, &d->retry };
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (struct list *link; (link = list_first(lists[i])) != NULL;) {
			struct queue_job *job = list_entry(link, struct queue_job, link);
			if (!queue_job_stale(d->q, job))
				break;
			if (n++ == STALE_MAX) {
				queue_dest_touch(d);
				return;
			}
			queue_reroute_add(d->q, job);
		}
	}
}

static void offer(struct queue_dest_priv *d)
{
	for (unsigned i = 0; i < OFFERS_MAX && may_work(d); i++) {
		const uint32_t conns = d->conns, nout = d->nout, nready = d->nready;

		d->q->ops.ready(d->q->ops.arg, &d->pub);
		if (conns == d->conns && nout == d->nout && nready == d->nready)
			return;
	}
}

static int64_t sooner(int64_t a, int64_t b)
{
	return b > 0 && b < a ? b : a;
}

/* When it is to be looked at next, if nothing happens before. */
static void arm(struct queue_dest_priv *d)
{
	const int64_t now = loop_now_us(d->q->loop);
	int64_t at = INT64_MAX;

	if (d->nready > 0 && d->state == DEST_DOWN)
		at = sooner(at, d->probe_at_us);
	if (d->nready > 0 && d->rate_at_us > now)
		at = sooner(at, d->rate_at_us);
	if (d->nready > 0 && d->grow_at_us > now)
		at = sooner(at, d->grow_at_us);
	if (d->idle_at_us)
		at = sooner(at, d->idle_at_us + d->q->cfg.dest_idle_us);
	if (at == INT64_MAX)
		timer_unset(d->q->loop, &d->timer);
	else
		timer_set_at(d->q->loop, &d->timer, at);
}

static void probe(struct queue_dest_priv *d)
{
	set_state(d, DEST_PROBING);
	d->undecided = false;
}

void queue_dest_pump(struct queue_dest_priv *d)
{
	struct queue *q = d->q;
	const int64_t now = loop_now_us(q->loop);

	if (d->njobs > 0 || d->conns > 0)
		d->idle_at_us = 0;
	else if (d->idle_at_us == 0)
		d->idle_at_us = now;
	else if (d->idle_at_us + q->cfg.dest_idle_us <= now) {
		queue_dest_free(d);
		return;
	}
	if (!q->closing)
		send_stale(d);
	if (d->state == DEST_DOWN && d->nready > 0 && d->probe_at_us <= now)
		probe(d);
	offer(d);
	give_back_grants(d);
	if (!may_work(d))
		ledger_unqueue(d->member);
	arm(d);
}

/* ---- connections --------------------------------------------------------------------------------------- */

bool queue_open_connection(struct queue *q, struct queue_dest *dest)
{
	struct queue_dest_priv *d = dest->priv;

	if (!may_work(d) || (d->state == DEST_PROBING && d->conns > 0))
		return false;
	/* Connections that are open and have no job, or are being opened, are enough for what is ready. */
	if ((int64_t)d->nready <= (int64_t)d->conns - (int64_t)d->nout)
		return false;
	if (d->conns > 0 && d->grow_at_us > loop_now_us(q->loop))
		return false;
	if (d->grants > 0)
		d->grants--;
	else if (!ledger_open(d->member))
		return false;
	d->conns++;
	return true;
}

/* The probe's connection ended and nobody said how it went. */
static void probe_undecided(struct queue_dest_priv *d)
{
	const struct schedule *s = d->pub.schedule ? d->pub.schedule : &d->q->schedule_default;

	set_state(d, DEST_DOWN);
	d->undecided = true;
	d->probe_at_us = loop_now_us(d->q->loop) + schedule_wait_us(s, d->failures, queue_random(d->q));
}

void queue_close_connection(struct queue *q, struct queue_dest *dest)
{
	struct queue_dest_priv *d = dest->priv;

	(void)q;
	require(d->conns > 0);
	d->conns--;
	ledger_close(d->member);
	if (d->state == DEST_PROBING && d->conns == 0)
		probe_undecided(d);
	queue_dest_touch(d);
}

bool queue_connection_wanted(const struct queue *q, const struct queue_dest *dest)
{
	(void)q;
	return ledger_wanted(dest->priv->member);
}

/* ---- backing off --------------------------------------------------------------------------------------- */

void queue_dest_failed(struct queue *q, struct queue_dest *dest, const struct queue_outcome *why)
{
	struct queue_dest_priv *d = dest->priv;
	const struct schedule *s = dest->schedule ? dest->schedule : &q->schedule_default;
	const int64_t now = loop_now_us(q->loop);
	struct queue_reason *before = d->why;

	d->why = queue_reason_get(&q->reasons, why, QUEUE_TEXT_KEPT_MAX);
	queue_reason_put(&q->reasons, &before);
	if (d->state == DEST_DOWN && !d->undecided)
		return; /* several were under way */
	d->undecided = false;
	if (d->conns > 1 && d->ok_at_us && now - d->ok_at_us < WORKS_US) {
		d->grow_at_us = now + GROW_AGAIN_US; /* it works, but wants no more of us */
	} else {
		d->failures++;
		d->failed_at_us = now;
		d->probe_at_us = now + schedule_wait_us(s, d->failures, queue_random(q));
		set_state(d, DEST_DOWN);
		/* What comes while it is down is not kept waiting behind these when it is up again. */
		list_splice_back(&d->retry, &d->fresh);
	}
	ledger_unqueue(d->member);
	queue_dest_touch(d);
}

void queue_dest_ok(struct queue *q, struct queue_dest *dest)
{
	struct queue_dest_priv *d = dest->priv;

	d->ok_at_us = loop_now_us(q->loop);
	if (d->state == DEST_UP && d->failures == 0)
		return;
	set_state(d, DEST_UP);
	d->failures = 0;
	queue_reason_put(&q->reasons, &d->why);
	queue_dest_touch(d);
}

void queue_dest_ready_job(struct queue_dest_priv *d, bool fresh)
{
	d->nready++;
	if (d->state == DEST_DOWN && fresh) {
		/* The schedule's later steps are for old mail; fresh mail waits for the first one at most. */
		const struct schedule *s = d->pub.schedule ? d->pub.schedule : &d->q->schedule_default;
		const int64_t first = s->step_us[0] > DOWN_FRESH_US ? s->step_us[0] : DOWN_FRESH_US;
		if (d->probe_at_us > d->failed_at_us + first)
			d->probe_at_us = d->failed_at_us + first;
	}
}

void queue_dest_probe_now(struct queue_dest_priv *d)
{
	if (d->state != DEST_DOWN)
		return;
	d->probe_at_us = loop_now_us(d->q->loop);
	queue_dest_touch(d);
}

/* ---- jobs ---------------------------------------------------------------------------------------------- */

/* The job whose turn it is; NULL: what is there must be routed anew first. */
static struct queue_job *choose(struct queue_dest_priv *d)
{
	struct list *fresh = list_first(&d->fresh), *retry = list_first(&d->retry);
	struct list *link = !fresh ? retry : !retry ? fresh : d->turns % FRESH_TURNS ? fresh : retry;

	return link ? list_entry(link, struct queue_job, link) : NULL;
}

static bool rate_allows(struct queue_dest_priv *d)
{
	const int64_t now = loop_now_us(d->q->loop);
	int64_t wait_us = 0;

	if (ledger_take(d->member, now, &wait_us))
		return true;
	d->rate_at_us = now + (wait_us > 0 ? wait_us : 1);
	queue_dest_touch(d);
	return false;
}

static void fill_work(struct queue *q, struct queue_job *job, struct queue_work *w)
{
	struct queue_entry *e = job->entry;

	*w = (struct queue_work){
		.job = job,
		.id = e->id,
		.nrcpt = job->nrcpt,
		.attempt = job->attempts + 1u,
		.arrived_at_us = e->created_at_us,
		.ready_at_us =
			loop_now_us(q->loop) - (int64_t)(uint32_t)(queue_clock_ms(q) - job->when) * 1000,
	};
	if (e->image) {
		e->image->out++;
		job->flags |= JOB_IMAGE;
		w->image = e->image->img;
	}
	if (job->flags & JOB_MANY) {
		job->many.out = mem_alloc_array(job->nrcpt, sizeof *job->many.out);
		for (uint32_t i = 0; i < job->nrcpt; i++)
			job->many.out[i] = job->many.v[i].index;
		w->rcpts = job->many.out;
	} else {
		w->rcpts = &job->one.index;
	}
}

bool queue_take(struct queue *q, struct queue_dest *dest, struct queue_work *work_r)
{
	struct queue_dest_priv *d = dest->priv;
	struct queue_job *job;

	send_stale(d);
	if (!may_work(d) || (job = choose(d)) == NULL || queue_job_stale(q, job) || !rate_allows(d))
		return false;
	d->turns++;
	queue_job_leave(q, job);
	const uint32_t since = job->when;
	queue_job_enter(q, job, QUEUE_STATE_OUT);
	job->when = since;
	fill_work(q, job, work_r);
	return true;
}

void queue_put_back(struct queue *q, struct queue_job *job)
{
	struct queue_dest_priv *d = job->dest;
	const uint32_t since = job->when;

	require(job->state == QUEUE_STATE_OUT);
	ledger_refund(d->member, loop_now_us(q->loop));
	d->rate_at_us = 0;
	queue_job_leave(q, job);
	queue_job_enter(q, job, QUEUE_STATE_READY);
	/* In front of its list, as old as it was. */
	struct list *list = job->link.next; /* it is the last: next is the head */
	list_remove(&job->link);
	list_push_front(list, &job->link);
	job->when = since;
	queue_job_arm(q, job);
}

/* ---- looking ------------------------------------------------------------------------------------------- */

void queue_for_each_dest(struct queue *q, void (*see)(void *arg, const struct queue_dest_view *v), void *arg)
{
	list_for_each(link, &q->dest_list) {
		struct queue_dest_priv *d = list_entry(link, struct queue_dest_priv, all);
		struct queue_dest_view v = {
			.dest = &d->pub,
			.ready = d->rcpts[QUEUE_STATE_READY],
			.out = d->rcpts[QUEUE_STATE_OUT],
			.waiting = d->rcpts[QUEUE_STATE_WAITING],
			.connections = d->conns,
			.failures = d->failures,
		};

		if (d->state == DEST_DOWN)
			v.probe_at_us = queue_wall_time(q, d->probe_at_us);
		queue_reason_tell(d->why, &v.why);
		see(arg, &v);
	}
}
