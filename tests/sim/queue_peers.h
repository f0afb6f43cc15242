/* queue_peers.h - the other side of the queue of sim_queue.c: connections that fail and recover,
 * outcomes, notices. It takes jobs before it connects, or when it is connected, as the world says.
 */
#pragma once

#include "queue_world.h"

/* ---- delivery ------------------------------------------------------------------------------------------ */

static void check_attempt(struct world *w, const struct queue_work *work)
{
	struct message *m = find(w, work->id);

	SIM_CHECK(w, m && m->committed, "an attempt for a message that was never accepted");
	for (uint32_t i = 0; i < work->nrcpt; i++) {
		SIM_CHECK(w, work->rcpts[i] < m->nrcpt, "recipient %u of %u", work->rcpts[i], m->nrcpt);
		struct rcpt *r = &m->rcpt[work->rcpts[i]];
		SIM_CHECK(w, !r->out, "message %" PRIx64 ", recipient %u is tried twice at once", m->id,
			  work->rcpts[i]);
		SIM_CHECK(w, !binds(&r->settled),
			  "message %" PRIx64 ", recipient %u is tried though it is settled", m->id,
			  work->rcpts[i]);
		SIM_CHECK(w, !binds(&r->held), "message %" PRIx64 ", recipient %u is tried though it is held",
			  m->id, work->rcpts[i]);
		/* Who asks for a domain gets what waits for it within a turn or two, and what goes with
		 * that. */
		const bool etrn = w->ticks <= w->etrn_at + 2 || r->deferred_in <= w->etrn_at + 2;
		SIM_CHECK(w, etrn || !binds(&r->deferred) || loop_wall_us(w->loop) >= r->not_before_us - S,
			  "message %" PRIx64 ", recipient %u is tried %" PRId64 " s too soon", m->id,
			  work->rcpts[i], (r->not_before_us - loop_wall_us(w->loop)) / S);
		SIM_CHECK(w, work->attempt == r->attempts + 1 || r->shaky, "attempt %u after %u",
			  work->attempt, r->attempts);
		seen.repeated += r->settled.doubtful;
		r->out = true;
		r->shaky = false;
		r->attempts = work->attempt;
	}
	seen.attempts++;
}

static bool has_rate(const struct queue_dest *dest)
{
	return domain_of(dest->next_hop) == 0 && dest->route.p[0] == 'r';
}

/* Exact: GCRA lets through the burst and what has come back since; counted from the first one of this
 * life. */
static void check_rate(struct world *w)
{
	const int64_t now = loop_now_us(w->loop);

	if (w->rate_since_us == 0)
		w->rate_since_us = now;
	w->rate_taken++;
	SIM_CHECK(w, w->rate_taken <= RATE_BURST + (now - w->rate_since_us) / (20 * S),
		  "%" PRId64 " messages in %" PRId64 " s", w->rate_taken, (now - w->rate_since_us) / S);
}

static bool take(struct world *w, struct conn *c)
{
	if (!queue_take(w->q, c->dest, &c->work))
		return false;
	c->has_work = true;
	check_attempt(w, &c->work);
	if (has_rate(c->dest))
		check_rate(w);
	return true;
}

static void put_back(struct world *w, struct conn *c)
{
	struct message *m = find(w, c->work.id);

	for (uint32_t i = 0; i < c->work.nrcpt; i++) {
		m->rcpt[c->work.rcpts[i]].out = false;
		m->rcpt[c->work.rcpts[i]].attempts--;
	}
	queue_put_back(w->q, c->work.job);
	if (has_rate(c->dest))
		w->rate_taken--;
	c->has_work = false;
}

/* It is up: the transfer begins, or it is kept for one. */
static bool use(struct world *w, struct conn *c)
{
	const bool busy = c->has_work || take(w, c);

	c->state = busy ? CONN_BUSY : CONN_IDLE;
	c->due_us = loop_now_us(w->loop) +
		    (busy ? (int64_t)below(w, (uint64_t)(chance(w, 90) ? S : 2 * M)) : 5 * S);
	return busy;
}

static void hang_up(struct world *w, struct conn *c)
{
	struct queue_dest *dest = c->dest;

	c->state = CONN_FREE;
	--*open_to(w, dest);
	queue_close_connection(w->q, dest);
}

static void ready(void *arg, struct queue_dest *dest)
{
	struct world *w = arg;
	struct conn *free_one = NULL;

	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *c = &w->conn[i];
		if (c->state == CONN_IDLE && c->dest == dest && use(w, c))
			return;
		if (c->state == CONN_FREE)
			free_one = c;
	}
	if (!free_one || !queue_open_connection(w->q, dest))
		return;
	SIM_CHECK(w, ++*open_to(w, dest) <= CONNECTIONS_MAX, "%u connections", *open_to(w, dest));
	*free_one = (struct conn){ .state = CONN_CONNECTING,
				   .dest = dest,
				   .due_us = loop_now_us(w->loop) +
					     (int64_t)below(w, (uint64_t)(chance(w, 80) ? S : 30 * S)) };
	if (w->take_first)
		take(w, free_one);
}

/* Sets what becomes of one recipient, in the world and for the queue. */
static void decide(struct world *w, struct message *m, uint32_t index, bool reached, struct queue_outcome *o)
{
	struct rcpt *r = &m->rcpt[index];
	const unsigned what = !reached ? 60 : w->calm ? 0 : (unsigned)below(w, 100);

	r->out = false;
	r->wants_relayed = r->delivered = r->bounced = false; /* what was doubtful does not count now */
	*o = (struct queue_outcome){ .rcpt = index, .code = 250, .text = SPAN("ok") };
	if (what < 55) {
		o->status = r->notify & NOTIFY_SUCCESS && !m->null_sender && chance(w, 50)
				    ? QUEUE_RELAYED_NO_DSN
				    : QUEUE_DELIVERED;
		r->wants_relayed = o->status == QUEUE_RELAYED_NO_DSN;
		happens(w, &r->settled);
		r->delivered = true;
		seen.delivered++;
	} else if (what < 85) {
		const unsigned step =
			r->attempts - 1 < w->schedule.nsteps ? r->attempts - 1 : w->schedule.nsteps - 1;
		o->status = QUEUE_DEFERRED;
		o->code = 451;
		o->text = chance(w, 50) ? SPAN("greylisted") : SPAN("busy");
		happens(w, &r->deferred);
		r->deferred_in = w->ticks;
		r->not_before_us = loop_wall_us(w->loop) + w->schedule.step_us[step];
		if (r->not_before_us > m->end_us)
			r->not_before_us = m->end_us; /* the last one */
		if (m->hurried)
			r->not_before_us = 0;
	} else if (what < 97) {
		o->status = QUEUE_BOUNCED;
		o->code = 550;
		happens(w, &r->settled);
		r->bounced = true;
		seen.bounced++;
	} else {
		o->status = QUEUE_HELD;
		o->text = SPAN("no TLS");
		happens(w, &r->held);
		seen.held++;
	}
}

/* The job ends; @reached: the next hop said something. */
static void done(struct world *w, struct conn *c, bool reached)
{
	struct queue_outcome o[RCPTS_MAX];
	struct message *m = find(w, c->work.id);
	const uint32_t n = c->work.nrcpt;

	for (uint32_t i = 0; i < n; i++) /* in the wrong order, which is right too */
		decide(w, m, c->work.rcpts[i], reached, &o[n - 1 - i]);
	c->has_work = false;
	queue_done(w->q, c->work.job, o, n);
}

static void finished(struct world *w, struct conn *c)
{
	if (!w->calm && chance(w, 5)) { /* the connection broke before anything was said */
		put_back(w, c);
		hang_up(w, c);
		return;
	}
	done(w, c, true);
	if (!use(w, c) && chance(w, 20))
		hang_up(w, c);
}

static void refused(struct world *w, struct conn *c)
{
	const struct queue_outcome why = { .status = QUEUE_DEFERRED, .text = SPAN("connection refused") };
	struct queue_dest *dest = c->dest;
	const bool first = chance(w, 50); /* either order is right */

	if (first)
		queue_dest_failed(w->q, dest, &why);
	if (c->has_work && chance(w, 80))
		done(w, c, false);
	else if (c->has_work)
		put_back(w, c);
	hang_up(w, c);
	if (!first)
		queue_dest_failed(w->q, dest, &why);
}

static void connected(struct world *w, struct conn *c)
{
	if (!w->up[domain_of(c->dest->next_hop)] || (!w->calm && chance(w, 5))) {
		refused(w, c);
		return;
	}
	queue_dest_ok(w->q, c->dest);
	use(w, c);
}

static void wanted(void *arg, struct queue_dest *dest)
{
	struct world *w = arg;

	for (unsigned i = 0; i < CONNS_MAX; i++)
		if (w->conn[i].state == CONN_IDLE && w->conn[i].dest == dest)
			hang_up(w, &w->conn[i]);
}

static void dest_gone(void *arg, struct queue_dest *dest)
{
	wanted(arg, dest);
}

static void deliver(struct world *w)
{
	const int64_t now = loop_now_us(w->loop);

	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *c = &w->conn[i];
		if (c->state == CONN_FREE || c->due_us > now)
			continue;
		if (c->state == CONN_CONNECTING)
			connected(w, c);
		else if (c->state == CONN_BUSY)
			finished(w, c);
		else
			hang_up(w, c);
	}
}

/* ---- notices ------------------------------------------------------------------------------------------- */

static void told(struct world *w, const struct queue_notice *n)
{
	struct message *m = find(w, n->id);

	for (uint32_t i = 0; i < n->n; i++) {
		struct rcpt *r = &m->rcpt[n->outcomes[i].rcpt];

		SIM_CHECK(w, !(r->notify & NOTIFY_NEVER) || n->kind == QUEUE_NOTICE_NOBODY,
			  "a notice for NOTIFY=NEVER");
		if (n->kind == QUEUE_NOTICE_DELAYED)
			continue;
		SIM_CHECK(w, !binds(&r->noticed), "message %" PRIx64 ", recipient %u: a second notice", m->id,
			  n->outcomes[i].rcpt);
		happens(w, &r->noticed);
		r->failed_notices += n->kind == QUEUE_NOTICE_FAILED;
		r->relayed_notices += n->kind == QUEUE_NOTICE_RELAYED;
	}
	seen.delayed += n->kind == QUEUE_NOTICE_DELAYED;
	seen.relayed += n->kind == QUEUE_NOTICE_RELAYED;
}

static void on_notice(void *arg, struct model_commit *c, int status)
{
	struct notice *n = arg;
	struct world *w = n->w;

	if (!n->asked)
		return; /* of an earlier life */
	if (status == 0) {
		told(w, n->asked);
		on_accepted(w, c, status);
	}
	queue_notice_done(w->q, n->asked, status);
	n->asked = NULL;
}

static void notify(void *arg, struct queue_notice *asked)
{
	struct world *w = arg;
	struct notice *n = NULL;

	SIM_CHECK(w, (asked->env->sender.n == 0) == (asked->kind == QUEUE_NOTICE_NOBODY),
		  "a notice to nobody");
	if (asked->kind == QUEUE_NOTICE_NOBODY || (!w->calm && chance(w, 10))) {
		queue_notice_done(w->q, asked, asked->kind == QUEUE_NOTICE_NOBODY ? 0 : -ERR_NOSPACE);
		return;
	}
	for (unsigned i = 0; i < NOTICES_MAX && !n; i++)
		if (!w->notice[i].asked)
			n = &w->notice[i];
	SIM_CHECK(w, n, "too many notices at once");
	*n = (struct notice){ .w = w, .asked = asked };
	struct message *m = message_new(w);
	struct envelope_rcpt rcpt = { .address = SPAN("me@d7.example"),
				      .domain = SPAN("d7.example"),
				      .notify = NOTIFY_NEVER };
	const struct envelope env = {
		.arrived_at_us = loop_wall_us(w->loop), .flags = ENVELOPE_BOUNCE, .rcpt = &rcpt, .nrcpt = 1
	};
	buf_init(&n->meta, 1 << 16);
	SIM_CHECK(w, envelope_encode(&env, &n->meta), "an envelope is not written");
	m->nrcpt = 1;
	m->null_sender = true;
	m->end_us = env.arrived_at_us + w->schedule.bounce_lifetime_us;
	m->rcpt[0] = (struct rcpt){ .domain = 7, .notify = NOTIFY_NEVER };
	/* The log may refuse it before this returns: then the message has no id yet, and nobody looks for
	 * it. */
	const uint64_t id = model_commit_start(&w->spool, buf_span(&n->meta), SPAN("Subject: notice\r\n\r\n"),
					       SPAN("sorry"), on_notice, n);
	m->id = id;
	buf_free(&n->meta);
}

static void ended(void *arg, uint64_t id, const struct envelope *env, const struct queue_outcome *outcomes,
		  uint32_t n)
{
	struct world *w = arg;
	struct message *m = find(w, id);

	SIM_CHECK(w, env, "an envelope could not be read");
	for (uint32_t i = 0; i < n; i++) {
		struct rcpt *r = &m->rcpt[outcomes[i].rcpt];
		SIM_CHECK(w, !r->out, "a recipient is ended while it is tried");
		SIM_CHECK(w, !r->delivered || r->settled.doubtful,
			  "a recipient is ended though it was delivered");
		happens(w, &r->settled);
		r->bounced = true;
		r->delivered = r->wants_relayed = false;
		seen.expired++;
	}
}
