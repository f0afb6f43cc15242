/* sim_queue.c - random histories of a queue on the real log and a simulated disk: destinations fail and
 * recover, senders want notices, operators interfere, configurations change, the machine stops at any
 * write, all on a clock that jumps.
 *
 *   sim_queue [histories [seed]]
 *
 * Must hold at every step:
 *   1. A recipient is tried only while it is neither settled nor held, only once at a time, and not
 *      before the schedule's next time. After a crash an exception is made for what was not yet durable:
 *      the notes of the moments before it.
 *   2. Connections and messages per time stay within the destination's limits.
 *   3. What the queue counts is what there is.
 * And when everything works again and time has passed:
 *   4. The queue is empty: every recipient of every message that was committed was delivered, or ended
 *      with the notice that its sender wants.
 *
 * A failure prints the seed: `sim_queue 1 SEED` runs that history alone.
 */
#include "queue_peers.h"

/* ---- configuration and operators ----------------------------------------------------------------------- */

static struct queue_route route_to(struct world *w, struct span domain)
{
	struct queue_route r = { .name = span_of(w->route_name),
				 .next_hop = domain,
				 .schedule = &w->schedule };

	r.limits = (struct ledger_limits){ .connections_max = CONNECTIONS_MAX };
	if (domain_of(domain) == 0)
		r.limits.rate = (struct rate){ .count = 3, .period_us = M, .burst = RATE_BURST };
	return r;
}

static void route(void *arg, const struct envelope *env, const struct envelope_rcpt *rcpt,
		  struct queue_route *route_r)
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
		SIM_CHECK(w, r->out == (row->rcpt[i].state == QUEUE_STATE_OUT),
			  "a row is wrong about what is out");
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
	static const enum queue_verb verbs[] = { QUEUE_VERB_LS, QUEUE_VERB_RETRY, QUEUE_VERB_HOLD,
						 QUEUE_VERB_RELEASE, QUEUE_VERB_BOUNCE };

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

/* ---- what recovery tells ------------------------------------------------------------------------------- */

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
			SIM_CHECK(w, m->found || r->settled.at,
				  "message %" PRIx64 " is lost: recipient %u is not settled", m->id, k);
			if (!m->found)
				r->settled.doubtful = false; /* it is over */
		}
	}
}

/* ---- life and death ------------------------------------------------------------------------------------ */

static void begin(struct world *w, struct told_by_log *t)
{
	static const struct queue_ops ops = { .route = route,
					      .refresh = refresh,
					      .ready = ready,
					      .wanted = wanted,
					      .notify = notify,
					      .ended = ended,
					      .dest_gone = dest_gone };
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

/* ---- a history ----------------------------------------------------------------------------------------- */

static void check_counts(struct world *w)
{
	struct queue_stats st;
	uint64_t out = 0;

	queue_stats(w->q, &st);
	for (size_t i = 0; i < w->nmessages; i++)
		for (uint32_t k = 0; k < w->messages[i].nrcpt; k++)
			out += w->messages[i].rcpt[k].out;
	SIM_CHECK(w, st.ready + st.out + st.waiting + st.held + st.ending == st.recipients,
		  "the sums are wrong");
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
			SIM_CHECK(w, r->delivered || r->bounced,
				  "message %" PRIx64 ", recipient %u has no end", m->id, k);
			SIM_CHECK(w, r->delivered || m->null_sender || !wants || r->failed_notices,
				  "message %" PRIx64 ", recipient %u: its sender was never told", m->id, k);
			SIM_CHECK(w, !r->wants_relayed || r->relayed_notices,
				  "message %" PRIx64 ", recipient %u: no relayed notice", m->id, k);
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

	*w = (struct world){
		.seed = seed, .rng = { seed }, .route_name = "r", .ticks = 10, .take_first = seed % 2
	};
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
	SIM_CHECK(w, st.messages == 0,
		  "%" PRIu64 " messages are left: %" PRIu64 " ready, %" PRIu64 " waiting, %" PRIu64
		  " held, %" PRIu64 " ending",
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
	printf("%" PRIu64 " crashes, %" PRIu64 " messages, %" PRIu64 " attempts, %" PRIu64
	       " delivered, %" PRIu64 " bounced, %" PRIu64 " ended by the queue, %" PRIu64
	       " held; notices: %" PRIu64 " delayed, %" PRIu64 " relayed; %" PRIu64
	       " repeated after a crash, %" PRIu64 " segments compacted\n",
	       seen.crashes, seen.messages, seen.attempts, seen.delivered, seen.bounced, seen.expired,
	       seen.held, seen.delayed, seen.relayed, seen.repeated, seen.compacted);
	return check_verify_failures() != 0;
}
