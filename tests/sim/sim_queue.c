/* sim_queue.c - random histories of a queue on the real log and a simulated disk: destinations fail and recover, senders want
 * notices, operators interfere, configurations change, the machine stops at any write, all on a clock that jumps.
 *
 *   sim_queue [histories [seed]]
 *
 * Must hold at every step:
 *   1. A recipient is tried only while it is neither settled nor held, only once at a time, and not before the schedule's next
 *      time. After a crash an exception is made for what was not yet durable: the notes of the moments before it.
 *   2. Connections and messages per time stay within the destination's limits.
 *   3. What the queue counts is what there is.
 * And when everything works again and time has passed:
 *   4. The queue is empty: every recipient of every message that was committed was delivered, or ended with the notice that its
 *      sender wants.
 *
 * A failure prints the seed: `sim_queue 1 SEED` runs that history alone.
 */
#include <inttypes.h>

#include "queue/queue.h"
#include "queue/queue_action.h"

#include "model_spool.h"

#define S INT64_C(1000000)
#define M (60 * S)
#define H (60 * M)

enum {
	HISTORIES = 80,
	TICKS = 1500,
	SUBMITTED_MAX = 150,
	MESSAGES_MAX = 4000, /* with all notices */
	RCPTS_MAX = 6,
	DOMAINS = 8, /* the first one has a rate; the last one is where senders are */
	CONNS_MAX = 64,
	NOTICES_MAX = 64,
	CONNECTIONS_MAX = 3,
	RATE_BURST = 5,
};

/* ---- what must be -------------------------------------------------------------------------------------------------- */

/* Something that was said once and must not be taken back: a number that grows, durable up to world.durable. */
struct event {
	uint64_t at;   /* 0: did not happen */
	bool doubtful; /* a crash came before it was durable */
};

struct rcpt {
	unsigned domain, notify;
	bool out, shaky; /* shaky: a crash may have undone an attempt */
	unsigned attempts;
	int64_t not_before_us;
	uint64_t deferred_in; /* tick */
	struct event deferred, settled, held, noticed;
	bool delivered, bounced, removed;
	unsigned failed_notices, relayed_notices;
	bool wants_relayed;
};

struct message {
	uint64_t id;
	bool committed, found, null_sender;
	bool hurried; /* it has a deadline: waits are shorter */
	int64_t end_us;
	uint32_t nrcpt;
	struct rcpt rcpt[RCPTS_MAX];
};

enum conn_state { CONN_FREE, CONN_CONNECTING, CONN_IDLE, CONN_BUSY };

struct conn {
	enum conn_state state;
	struct queue_dest *dest;
	struct queue_work work;
	bool has_work; /* BUSY; CONNECTING too when the job is taken first */
	int64_t due_us;
};

struct notice {
	struct world *w;
	struct queue_notice *asked; /* NULL: free */
	struct buf meta;
};

struct world {
	uint64_t seed;
	struct model_rng rng;
	struct model disk;
	struct loop *loop;
	struct spool spool;
	struct ledger *ledger;
	struct queue *q;
	struct logger log;
	struct metric_shard metrics;
	struct schedule schedule;
	struct message *messages;
	size_t nmessages;
	unsigned submitted;
	struct conn conn[CONNS_MAX];
	struct notice notice[NOTICES_MAX];
	bool up[DOMAINS];
	uint64_t now, durable, barrier_at; /* of events */
	struct spool_rec barrier;
	bool barrier_out, calm, closed, take_first;
	int64_t rate_taken; /* less those that were put back */
	int64_t rate_since_us;
	unsigned open[2][DOMAINS];
	const char *route_name; /* "r" or "s" */
	struct scope scope;
	struct queue_action action;
	bool acting;
	uint64_t ticks, etrn_at;
};

/* What the histories went through: a simulation that never gets there proves nothing. */
static struct {
	uint64_t crashes, messages, attempts, delivered, bounced, expired, delayed, relayed, repeated, held, compacted;
} seen;

#define SIM_CHECK(w, cond, ...)                                                                              \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			printf("seed %" PRIu64 ": ", (w)->seed);                                             \
			printf(__VA_ARGS__);                                                                 \
			printf("\n");                                                                        \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

static bool chance(struct world *w, unsigned percent)
{
	return model_chance(&w->rng, percent);
}

static uint64_t below(struct world *w, uint64_t bound)
{
	return model_below(&w->rng, bound);
}

static void happens(struct world *w, struct event *e)
{
	*e = (struct event){ .at = ++w->now };
}

/* It happened, and nothing that came after can excuse forgetting it. */
static bool binds(const struct event *e)
{
	return e->at > 0 && !e->doubtful;
}

static struct message *find(struct world *w, uint64_t id)
{
	for (size_t i = w->nmessages; i-- > 0;)
		if (w->messages[i].id == id)
			return &w->messages[i];
	return NULL;
}

static unsigned *open_to(struct world *w, const struct queue_dest *dest)
{
	return &w->open[dest->route.p[0] == 's'][dest->next_hop.p[1] - '0'];
}

static unsigned domain_of(struct span name)
{
	return (unsigned)(name.p[1] - '0'); /* "d3.example" */
}

/* ---- messages come --------------------------------------------------------------------------------------------------- */

static struct message *message_new(struct world *w)
{
	SIM_CHECK(w, w->nmessages < MESSAGES_MAX, "too many messages for the simulation");
	struct message *m = &w->messages[w->nmessages++];

	*m = (struct message){ 0 };
	return m;
}

static void on_accepted(void *arg, struct model_commit *c, int status)
{
	struct world *w = arg;
	struct message *m = find(w, c->id);
	struct spool_image *img;
	struct arena *a;
	struct envelope env;

	if (status < 0)
		return;
	m->committed = true;
	seen.messages++;
	img = model_commit_image(c);
	a = arena_new(1 << 20);
	SIM_CHECK(w, envelope_decode(img->meta, a, &env) == 0, "an envelope is not read");
	queue_add(w->q, c->id, &env, chance(w, 80) ? spool_image_ref(img) : NULL, 1000);
	spool_image_unref(&img);
	arena_free(&a);
}

static const unsigned notifies[] = {
	NOTIFY_DEFAULT, NOTIFY_DEFAULT, NOTIFY_DEFAULT, NOTIFY_NEVER, NOTIFY_SUCCESS, NOTIFY_FAILURE, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
};

static void act_submit(struct world *w)
{
	if (w->submitted == SUBMITTED_MAX)
		return;
	w->submitted++;
	struct message *m = message_new(w);
	struct envelope_rcpt rcpt[RCPTS_MAX];
	char address[RCPTS_MAX][32];
	struct envelope env = { .arrived_at_us = loop_wall_us(w->loop), .rcpt = rcpt };
	struct buf meta = BUF_INIT(1 << 16);
	char body[2000];

	m->null_sender = chance(w, 10);
	m->nrcpt = chance(w, 60) ? 1 : 1 + (uint32_t)below(w, RCPTS_MAX);
	env.sender = m->null_sender ? SPAN("") : SPAN("me@d7.example");
	env.nrcpt = m->nrcpt;
	m->end_us = env.arrived_at_us + (m->null_sender ? w->schedule.bounce_lifetime_us : w->schedule.lifetime_us);
	if (chance(w, 10)) {
		m->hurried = true;
		env.deliver_by_us = env.arrived_at_us + (int64_t)below(w, (uint64_t)H);
		env.flags |= chance(w, 50) ? ENVELOPE_BY_NOTIFY : 0;
	}
	if (chance(w, 4))
		env.flags |= ENVELOPE_HELD;
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		struct rcpt *r = &m->rcpt[i];
		r->domain = (unsigned)below(w, DOMAINS);
		r->notify = notifies[below(w, ARRAY_LEN(notifies))];
		if (env.flags & ENVELOPE_HELD)
			happens(w, &r->held);
		snprintf(address[i], sizeof address[i], "u%u@d%u.example", i, r->domain);
		rcpt[i] = (struct envelope_rcpt){ .address = span_of(address[i]), .notify = (uint8_t)r->notify };
		rcpt[i].domain = span_skip(rcpt[i].address, 3);
	}
	SIM_CHECK(w, envelope_encode(&env, &meta), "an envelope is not written");
	memset(body, 'b', sizeof body);
	m->id = model_commit_start(&w->spool, buf_span(&meta), SPAN("Subject: x\r\n\r\n"),
				   span_make(body, below(w, sizeof body)), on_accepted, w);
	buf_free(&meta);
}

/* ---- delivery -------------------------------------------------------------------------------------------------------- */

static void check_attempt(struct world *w, const struct queue_work *work)
{
	struct message *m = find(w, work->id);

	SIM_CHECK(w, m && m->committed, "an attempt for a message that was never accepted");
	for (uint32_t i = 0; i < work->nrcpt; i++) {
		SIM_CHECK(w, work->rcpts[i] < m->nrcpt, "recipient %u of %u", work->rcpts[i], m->nrcpt);
		struct rcpt *r = &m->rcpt[work->rcpts[i]];
		SIM_CHECK(w, !r->out, "message %" PRIx64 ", recipient %u is tried twice at once", m->id, work->rcpts[i]);
		SIM_CHECK(w, !binds(&r->settled), "message %" PRIx64 ", recipient %u is tried though it is settled", m->id, work->rcpts[i]);
		SIM_CHECK(w, !binds(&r->held), "message %" PRIx64 ", recipient %u is tried though it is held", m->id, work->rcpts[i]);
		/* Who asks for a domain gets what waits for it within a turn or two, and what goes with that. */
		const bool etrn = w->ticks <= w->etrn_at + 2 || r->deferred_in <= w->etrn_at + 2;
		SIM_CHECK(w, etrn || !binds(&r->deferred) || loop_wall_us(w->loop) >= r->not_before_us - S,
			  "message %" PRIx64 ", recipient %u is tried %" PRId64 " s too soon", m->id, work->rcpts[i],
			  (r->not_before_us - loop_wall_us(w->loop)) / S);
		SIM_CHECK(w, work->attempt == r->attempts + 1 || r->shaky, "attempt %u after %u", work->attempt,
			  r->attempts);
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

/* Exact: GCRA lets through the burst and what has come back since; counted from the first one of this life. */
static void check_rate(struct world *w)
{
	const int64_t now = loop_now_us(w->loop);

	if (w->rate_since_us == 0)
		w->rate_since_us = now;
	w->rate_taken++;
	SIM_CHECK(w, w->rate_taken <= RATE_BURST + (now - w->rate_since_us) / (20 * S), "%" PRId64 " messages in %" PRId64 " s", w->rate_taken,
		  (now - w->rate_since_us) / S);
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
				   .due_us = loop_now_us(w->loop) + (int64_t)below(w, (uint64_t)(chance(w, 80) ? S : 30 * S)) };
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
		o->status = r->notify & NOTIFY_SUCCESS && !m->null_sender && chance(w, 50) ? QUEUE_RELAYED_NO_DSN : QUEUE_DELIVERED;
		r->wants_relayed = o->status == QUEUE_RELAYED_NO_DSN;
		happens(w, &r->settled);
		r->delivered = true;
		seen.delivered++;
	} else if (what < 85) {
		const unsigned step = r->attempts - 1 < w->schedule.nsteps ? r->attempts - 1 : w->schedule.nsteps - 1;
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

/* ---- notices --------------------------------------------------------------------------------------------------------- */

static void told(struct world *w, const struct queue_notice *n)
{
	struct message *m = find(w, n->id);

	for (uint32_t i = 0; i < n->n; i++) {
		struct rcpt *r = &m->rcpt[n->outcomes[i].rcpt];

		SIM_CHECK(w, !(r->notify & NOTIFY_NEVER) || n->kind == QUEUE_NOTICE_NOBODY, "a notice for NOTIFY=NEVER");
		if (n->kind == QUEUE_NOTICE_DELAYED)
			continue;
		SIM_CHECK(w, !binds(&r->noticed), "message %" PRIx64 ", recipient %u: a second notice", m->id, n->outcomes[i].rcpt);
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

	SIM_CHECK(w, (asked->env->sender.n == 0) == (asked->kind == QUEUE_NOTICE_NOBODY), "a notice to nobody");
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
	struct envelope_rcpt rcpt = { .address = SPAN("me@d7.example"), .domain = SPAN("d7.example"), .notify = NOTIFY_NEVER };
	const struct envelope env = {
		.arrived_at_us = loop_wall_us(w->loop), .flags = ENVELOPE_BOUNCE, .rcpt = &rcpt, .nrcpt = 1
	};
	buf_init(&n->meta, 1 << 16);
	SIM_CHECK(w, envelope_encode(&env, &n->meta), "an envelope is not written");
	m->nrcpt = 1;
	m->null_sender = true;
	m->end_us = env.arrived_at_us + w->schedule.bounce_lifetime_us;
	m->rcpt[0] = (struct rcpt){ .domain = 7, .notify = NOTIFY_NEVER };
	/* The log may refuse it before this returns: then the message has no id yet, and nobody looks for it. */
	const uint64_t id = model_commit_start(&w->spool, buf_span(&n->meta), SPAN("Subject: notice\r\n\r\n"), SPAN("sorry"), on_notice, n);
	m->id = id;
	buf_free(&n->meta);
}

static void ended(void *arg, uint64_t id, const struct envelope *env, const struct queue_outcome *outcomes, uint32_t n)
{
	struct world *w = arg;
	struct message *m = find(w, id);

	SIM_CHECK(w, env, "an envelope could not be read");
	for (uint32_t i = 0; i < n; i++) {
		struct rcpt *r = &m->rcpt[outcomes[i].rcpt];
		SIM_CHECK(w, !r->out, "a recipient is ended while it is tried");
		SIM_CHECK(w, !r->delivered || r->settled.doubtful, "a recipient is ended though it was delivered");
		happens(w, &r->settled);
		r->bounced = true;
		r->delivered = r->wants_relayed = false;
		seen.expired++;
	}
}

/* ---- configuration and operators ------------------------------------------------------------------------------------- */

static struct queue_route route_to(struct world *w, struct span domain)
{
	struct queue_route r = { .name = span_of(w->route_name), .next_hop = domain, .schedule = &w->schedule };

	r.limits = (struct ledger_limits){ .connections_max = CONNECTIONS_MAX };
	if (domain_of(domain) == 0)
		r.limits.rate = (struct rate){ .count = 3, .period_us = M, .burst = RATE_BURST };
	return r;
}

static void route(void *arg, const struct envelope *env, const struct envelope_rcpt *rcpt, struct queue_route *route_r)
{
	(void)env;
	*route_r = route_to(arg, rcpt->domain);
}

static bool refresh(void *arg, const struct queue_dest *dest, struct queue_route *route_r)
{
	struct world *w = arg;

	*route_r = route_to(w, dest->next_hop);
	return span_eq(dest->route, span_of(w->route_name));
}

static void on_action(struct op *op)
{
	struct world *w = container_of(op, struct world, action.op);

	w->acting = false;
}

static void on_row(struct queue_action *a, const struct queue_row *row)
{
	struct world *w = container_of(a, struct world, action);
	struct message *m = find(w, row->id);

	for (uint32_t i = 0; i < row->nrcpt; i++) {
		struct rcpt *r = &m->rcpt[row->rcpt[i].index];
		SIM_CHECK(w, r->out == (row->rcpt[i].state == QUEUE_STATE_OUT), "a row is wrong about what is out");
		if (r->out)
			continue;
		if (a->verb == QUEUE_VERB_RETRY || a->verb == QUEUE_VERB_RELEASE)
			for (uint32_t k = 0; k < m->nrcpt; k++) /* those that go with it are tried too */
				m->rcpt[k].not_before_us = 0;
		if (a->verb == QUEUE_VERB_RELEASE && row->rcpt[i].state == QUEUE_STATE_HELD)
			r->held = (struct event){ 0 };
		if (a->verb == QUEUE_VERB_HOLD && row->rcpt[i].state != QUEUE_STATE_ENDING)
			happens(w, &r->held);
	}
}

static void act_operate(struct world *w)
{
	static const enum queue_verb verbs[] = { QUEUE_VERB_LS, QUEUE_VERB_RETRY, QUEUE_VERB_HOLD, QUEUE_VERB_RELEASE,
						 QUEUE_VERB_BOUNCE };

	if (w->acting)
		return;
	queue_action_init(&w->action, on_action);
	w->action.verb = w->calm ? QUEUE_VERB_RELEASE : verbs[below(w, ARRAY_LEN(verbs))];
	w->action.row = on_row;
	w->action.reason = SPAN("the simulation wants it");
	if (!w->calm) {
		w->action.select.domain = chance(w, 50) ? SPAN("d1.example") : SPAN("@d2.example");
		w->action.want_envelope = chance(w, 50);
		w->action.max = below(w, 5);
	}
	w->acting = queue_action_start(&w->action, &w->scope, w->q, H) == 0;
}

static void act_etrn(struct world *w)
{
	char domain[16];

	snprintf(domain, sizeof domain, "d%u.example", (unsigned)below(w, DOMAINS));
	queue_retry_domain(w->q, span_of(domain));
	w->etrn_at = w->ticks;
}

static void barrier_ended(struct spool_rec *r, int status)
{
	struct world *w = container_of(r, struct world, barrier);

	w->barrier_out = false;
	if (status == 0 && !w->spool.dead)
		w->durable = w->barrier_at;
}

/* Only when the loop has come to rest: what the queue does in its task is written then. */
static void act_barrier(struct world *w)
{
	if (w->barrier_out)
		return;
	w->barrier_out = true;
	w->barrier_at = w->now;
	w->barrier.done = barrier_ended;
	spool_log_barrier(w->spool.log, &w->barrier);
}

/* ---- what recovery tells --------------------------------------------------------------------------------------------- */

struct told_by_log {
	struct world *w;
	struct spool_recovery owner;    /* the queue's own */
	struct spool_recovery recovery; /* what the log tells: the world first, then the queue */
};

static int on_message(void *arg, uint64_t id, struct span meta, uint64_t head_bytes, uint64_t body_bytes)
{
	struct told_by_log *t = arg;
	struct message *m = find(t->w, id);

	SIM_CHECK(t->w, m, "message %" PRIx64 " was never there", id);
	m->committed = m->found = true; /* nobody was told, but it is there */
	return t->owner.message(t->owner.arg, id, meta, head_bytes, body_bytes);
}

static void on_note(void *arg, uint64_t id, struct span note)
{
	struct told_by_log *t = arg;

	t->owner.note(t->owner.arg, id, note);
}

static void on_dropped(void *arg, uint64_t id)
{
	struct told_by_log *t = arg;

	find(t->w, id)->found = false;
	t->owner.dropped(t->owner.arg, id);
}

static void on_snapshot(void *arg, uint64_t id, struct buf *note_r)
{
	struct told_by_log *t = arg;

	t->owner.snapshot(t->owner.arg, id, note_r);
}

static void check_found(struct world *w)
{
	for (size_t i = 0; i < w->nmessages; i++) {
		struct message *m = &w->messages[i];
		for (uint32_t k = 0; m->committed && k < m->nrcpt; k++) {
			struct rcpt *r = &m->rcpt[k];
			SIM_CHECK(w, m->found || r->settled.at, "message %" PRIx64 " is lost: recipient %u is not settled", m->id, k);
			if (!m->found)
				r->settled.doubtful = false; /* it is over */
		}
	}
}

/* ---- life and death --------------------------------------------------------------------------------------------------- */

static void begin(struct world *w, struct told_by_log *t)
{
	static const struct queue_ops ops = { .route = route, .refresh = refresh, .ready = ready, .wanted = wanted,
					      .notify = notify, .ended = ended, .dest_gone = dest_gone };
	struct queue_config cfg = QUEUE_CONFIG_DEFAULT;
	struct queue_ops mine = ops;

	mine.arg = w;
	cfg.seed = w->seed + 1;
	cfg.rcpts_per_job_max = 3;
	cfg.image_budget_bytes = 20000;
	w->ledger = ledger_new();
	w->q = queue_new(&cfg, w->loop, w->ledger, &mine, &w->log, &w->metrics);
	t->w = w;
	t->recovery = (struct spool_recovery){ t, on_message, on_note, on_dropped, on_snapshot };
	queue_recovery(w->q, &t->owner);
	for (size_t i = 0; i < w->nmessages; i++)
		w->messages[i].found = false;
	w->rate_taken = w->rate_since_us = 0;
	const int ret = model_spool_open(&w->spool, &t->recovery);
	SIM_CHECK(w, ret == 0, "the log does not open: %s", err_name(ret));
	check_found(w);
	queue_start(w->q, &w->spool);
}

static void on_closed(void *arg)
{
	((struct world *)arg)->closed = true;
}

static void give_back(struct world *w)
{
	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *c = &w->conn[i];
		if (c->has_work)
			put_back(w, c);
		if (c->state != CONN_FREE)
			hang_up(w, c);
	}
}

/* What had not reached the disk may be forgotten. */
static void doubt(struct world *w)
{
	for (size_t i = 0; i < w->nmessages; i++)
		for (uint32_t k = 0; k < w->messages[i].nrcpt; k++) {
			struct rcpt *r = &w->messages[i].rcpt[k];
			struct event *const events[] = { &r->deferred, &r->settled, &r->held, &r->noticed };
			for (size_t e = 0; e < ARRAY_LEN(events); e++) {
				events[e]->doubtful |= events[e]->at > w->durable;
				r->shaky |= events[e]->at > w->durable;
			}
		}
}

/* The process ends, in order or, with the spool dead, as its machine stops. */
static void end(struct world *w)
{
	give_back(w);
	w->closed = false;
	queue_close(w->q, on_closed, w);
	for (unsigned i = 0; w->spool.dead && i < NOTICES_MAX; i++)
		if (w->notice[i].asked) {
			queue_notice_done(w->q, w->notice[i].asked, -ERR_IO);
			w->notice[i].asked = NULL;
		}
	for (unsigned i = 0; i < 1000 && !w->closed; i++) {
		loop_clock_advance(w->loop, 1000);
		model_spool_step_batch(&w->spool);
		model_spool_step_chore(&w->spool);
		loop_run_once(w->loop, false);
	}
	SIM_CHECK(w, w->closed, "the queue does not close");
	SIM_CHECK(w, !w->acting, "an action goes on");
	model_spool_close(&w->spool); /* until then it may ask the queue for snapshots */
	queue_free(&w->q);
	ledger_free(&w->ledger);
	seen.compacted += w->spool.compacted;
	w->spool.compacted = 0;
	w->barrier_out = false;
	SIM_CHECK(w, w->spool.images == 0, "%" PRIu64 " images are not given back", w->spool.images);
}

static void crash(struct world *w, struct told_by_log *t)
{
	seen.crashes++;
	w->spool.dead = true;
	w->disk.crashed = true;
	end(w);
	doubt(w);
	model_crash(&w->disk);
	w->disk.crash_at = 0;
	loop_clock_advance(w->loop, (int64_t)below(w, (uint64_t)(chance(w, 80) ? M : 2 * H)) + 2 * S);
	begin(w, t);
	w->disk.crash_at = w->calm ? 0 : w->disk.ops + 1 + below(w, 60);
}

static void restart(struct world *w, struct told_by_log *t)
{
	end(w);
	if (w->disk.crashed)
		doubt(w);
	else
		w->durable = w->now;
	model_crash(&w->disk); /* what was synced stays */
	begin(w, t);
}

/* ---- a history -------------------------------------------------------------------------------------------------------- */

static void check_counts(struct world *w)
{
	struct queue_stats st;
	uint64_t out = 0;

	queue_stats(w->q, &st);
	for (size_t i = 0; i < w->nmessages; i++)
		for (uint32_t k = 0; k < w->messages[i].nrcpt; k++)
			out += w->messages[i].rcpt[k].out;
	SIM_CHECK(w, st.ready + st.out + st.waiting + st.held + st.ending == st.recipients, "the sums are wrong");
	SIM_CHECK(w, st.out == out, "%" PRIu64 " are out, not %" PRIu64, out, st.out);
}

static int64_t pause(struct world *w)
{
	const unsigned how = (unsigned)below(w, 100);

	return (int64_t)below(w, (uint64_t)(how < 40 ? 50000 : how < 70 ? S : how < 92 ? 20 * S : 3 * M));
}

static void interfere(struct world *w)
{
	const unsigned what = (unsigned)below(w, 1000);

	if (what < 150)
		act_submit(w);
	else if (what < 180)
		w->up[below(w, DOMAINS)] ^= true;
	else if (what < 190)
		act_etrn(w);
	else if (what < 215)
		act_operate(w);
	else if (what < 220) {
		w->route_name = chance(w, 50) ? "r" : "s";
		queue_reroute(w->q);
	} else if (what < 240)
		queue_poke(w->q);
}

static void tick(struct world *w, struct told_by_log *t)
{
	w->ticks++;
	loop_clock_advance(w->loop, pause(w));
	if (!w->calm)
		interfere(w);
	deliver(w);
	for (unsigned i = 0; i < 3; i++)
		loop_run_once(w->loop, false);
	for (uint64_t i = below(w, 5); i > 0; i--)
		model_spool_step_batch(&w->spool);
	for (uint64_t i = below(w, 3); i > 0; i--)
		model_spool_step_chore(&w->spool);
	for (unsigned i = 0; i < 2; i++)
		loop_run_once(w->loop, false);
	if (chance(w, 20))
		act_barrier(w);
	check_counts(w);
	if (w->disk.crashed)
		crash(w, t);
	else if (!w->calm && chance(w, 1) && chance(w, 30))
		restart(w, t);
}

static void check_end(struct world *w)
{
	for (size_t i = 0; i < w->nmessages; i++) {
		const struct message *m = &w->messages[i];
		for (uint32_t k = 0; m->committed && k < m->nrcpt; k++) {
			const struct rcpt *r = &m->rcpt[k];
			const bool wants = r->notify == NOTIFY_DEFAULT || r->notify & NOTIFY_FAILURE;
			SIM_CHECK(w, r->delivered || r->bounced, "message %" PRIx64 ", recipient %u has no end", m->id, k);
			SIM_CHECK(w, r->delivered || m->null_sender || !wants || r->failed_notices,
				  "message %" PRIx64 ", recipient %u: its sender was never told", m->id, k);
			SIM_CHECK(w, !r->wants_relayed || r->relayed_notices, "message %" PRIx64 ", recipient %u: no relayed notice",
				  m->id, k);
		}
	}
}

static void sink(void *arg, struct span lines)
{
	(void)arg, (void)lines;
}

static void history(uint64_t seed)
{
	struct world *w = mem_alloc(sizeof *w);
	struct told_by_log t = { 0 };
	struct queue_stats st;

	*w = (struct world){ .seed = seed, .rng = { seed }, .route_name = "r", .ticks = 10, .take_first = seed % 2 };
	w->messages = mem_alloc_array(MESSAGES_MAX, sizeof *w->messages);
	w->loop = loop_new();
	loop_clock_hold(w->loop, INT64_C(1700000000000000));
	model_init(&w->disk, ~seed);
	w->spool = (struct spool){ .loop = w->loop, .disk = &w->disk, .rng = &w->rng, .busy_percent = 3 };
	logger_init(&w->log, (struct log_sink){ .write = sink });
	metric_shard_init(&w->metrics);
	schedule_init(&w->schedule);
	require(schedule_parse_steps(&w->schedule, SPAN("1m,5m,20m"), NULL) == 0);
	require(schedule_parse_notices(&w->schedule, SPAN("40m"), NULL) == 0);
	w->schedule.lifetime_us = 3 * H;
	w->schedule.bounce_lifetime_us = H;
	scope_init(&w->scope, w->loop, NULL);
	for (unsigned i = 0; i < DOMAINS; i++)
		w->up[i] = true;
	begin(w, &t);
	w->disk.crash_at = seed % 4 == 0 ? 0 : w->disk.ops + 1 + below(w, 120);
	for (unsigned i = 0; i < TICKS; i++)
		tick(w, &t);

	w->calm = true;
	w->disk.crash_at = 0;
	w->spool.busy_percent = 0;
	for (unsigned i = 0; i < DOMAINS; i++)
		w->up[i] = true;
	for (unsigned i = 0; i < 4000; i++) {
		tick(w, &t);
		if (i % 50 == 0)
			act_operate(w);
		queue_stats(w->q, &st);
		if (st.messages == 0 && i > 100)
			break;
	}
	SIM_CHECK(w, st.messages == 0, "%" PRIu64 " messages are left: %" PRIu64 " ready, %" PRIu64 " waiting, %" PRIu64 " held, %" PRIu64 " ending",
		  st.messages, st.ready, st.waiting, st.held, st.ending);
	check_end(w);
	end(w);
	model_deinit(&w->disk);
	logger_deinit(&w->log);
	metric_shard_deinit(&w->metrics);
	loop_free(&w->loop);
	free(w->messages);
	free(w);
}

int main(int argc, char **argv)
{
	const unsigned histories = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : HISTORIES;
	const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

	printf("seeds %" PRIu64 " to %" PRIu64 "\n", seed, seed + histories - 1);
	fflush(stdout);
	for (unsigned i = 0; i < histories; i++)
		history(seed + i);
	printf("%" PRIu64 " crashes, %" PRIu64 " messages, %" PRIu64 " attempts, %" PRIu64 " delivered, %" PRIu64 " bounced, %" PRIu64
	       " ended by the queue, %" PRIu64 " held; notices: %" PRIu64 " delayed, %" PRIu64 " relayed; %" PRIu64
	       " repeated after a crash, %" PRIu64 " segments compacted\n",
	       seen.crashes, seen.messages, seen.attempts, seen.delivered, seen.bounced, seen.expired, seen.held, seen.delayed, seen.relayed,
	       seen.repeated, seen.compacted);
	return check_verify_failures() != 0;
}
