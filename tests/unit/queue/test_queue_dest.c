#include "queue_bed.h"

static const struct queue_outcome refused = { .status = QUEUE_DEFERRED,
					      .text = SPAN_INIT("connection refused"),
					      .remote = SPAN_INIT("mx[192.0.2.1]:25") };

/* A delivery whose connections never come up. */
static void ready_fails(void *arg, struct queue_dest *dest)
{
	struct bed *b = arg;

	b->readies++;
	b->last_dest = dest;
	if (b->idle || !queue_open_connection(b->q, dest))
		return;
	b->conns++;
	queue_dest_failed(b->q, dest, &refused);
	queue_close_connection(b->q, dest);
}

/* The same, but in the other order. */
static void ready_closes(void *arg, struct queue_dest *dest)
{
	struct bed *b = arg;

	if (!queue_open_connection(b->q, dest))
		return;
	b->conns++;
	queue_close_connection(b->q, dest);
	queue_dest_failed(b->q, dest, &refused);
}

static void start_with(struct bed *b, void (*ready)(void *arg, struct queue_dest *dest))
{
	bed_start(b);
	bed_queue_end(b);
	b->ops.ready = ready;
	bed_queue_new(b);
	queue_start(b->q, &b->spool);
}

/* ---- backing off --------------------------------------------------------------------------------------- */

static void see_one(void *arg, const struct queue_dest_view *v)
{
	*(struct queue_dest_view *)arg = *v;
}

static void probes_follow(void (*ready)(void *arg, struct queue_dest *dest))
{
	static const int64_t waits[] = { 5 * M, 15 * M, 30 * M, H };
	struct bed b;
	struct queue_dest_view v = { 0 };

	start_with(&b, ready);
	b.schedule.nnotices = 0;
	for (int i = 0; i < 10; i++)
		bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(1, b.conns); /* the first one's failure is all that is needed */
	CHECK_INT(1, bed_stats(&b).destinations_down);
	for (unsigned i = 0; i < sizeof waits / sizeof *waits; i++) {
		queue_for_each_dest(b.q, see_one, &v);
		CHECK_INT(i + 1, v.failures);
		CHECK_SPAN("connection refused", v.why.text);
		CHECK_INT(10, v.ready);
		CHECK((v.probe_at_us - bed_now(&b) - waits[i]) / S == 0);
		bed_pass(&b, waits[i] - S);
		CHECK_INT(i + 1, b.conns);
		bed_pass(&b, 2 * S);
		CHECK_INT(i + 2, b.conns); /* one probe, not ten */
	}
	CHECK_INT(0, b.spool.notes); /* none of the messages was tried */
	bed_end(&b);
}

static void one_probe_at_a_time(void)
{
	probes_follow(ready_fails);
}

static void one_probe_whatever_the_order(void)
{
	probes_follow(ready_closes);
}

static void fresh_mail_brings_the_probe_forward(void)
{
	struct bed b;

	start_with(&b, ready_fails);
	bed_add(&b, "a@example.org", "b@x");
	bed_pass(&b, 5 * M + S);
	bed_pass(&b, 15 * M + S);
	CHECK_INT(3, b.conns); /* the next one is in half an hour */
	bed_pass(&b, M);
	bed_add(&b, "a@example.org", "c@x");
	CHECK_INT(3, b.conns);
	bed_pass(&b, 4 * M + S); /* five minutes after the last one */
	CHECK_INT(4, b.conns);
	bed_pass(&b, 10 * M);
	CHECK_INT(4, b.conns);
	bed_add(&b, "a@example.org", "c@x");
	CHECK_INT(5, b.conns); /* at once: the last one is long ago */
	bed_end(&b);
}

static void all_goes_when_it_is_back(void)
{
	struct bed b;

	start_with(&b, ready_fails);
	for (int i = 0; i < 30; i++)
		bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(30, bed_stats(&b).ready);
	bed_queue_end(&b);
	b.ops.ready = bed_ready;
	bed_queue_new(&b);
	bed_restart(&b);
	CHECK_INT(20, b.nout); /* as many as there may be connections */
	CHECK_INT(0, bed_stats(&b).destinations_down);
	while (b.nout > 0)
		bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(30, b.spool.drops);
	bed_end(&b);
}

static void what_expires_behind_a_dead_host_is_returned(void)
{
	struct bed b;

	start_with(&b, ready_fails);
	bed_add(&b, "a@example.org", "b@x");
	bed_pass(&b, 4 * H + 20 * M);
	NEED(b.nsaid == 1);
	CHECK_INT(QUEUE_NOTICE_DELAYED, b.said[0].kind);
	CHECK_STR("connection refused", b.said[0].text);
	bed_pass(&b, 5 * D);
	NEED(b.nsaid == 2);
	CHECK_INT(QUEUE_NOTICE_FAILED, b.said[1].kind);
	CHECK_INT(QUEUE_CAUSE_EXPIRED, b.said[1].cause);
	CHECK_STR("connection refused", b.said[1].text);
	CHECK_INT(1, b.spool.drops);
	bed_end(&b);
}

/* A connection that is opened and does not come up yet. */
static void ready_opens(void *arg, struct queue_dest *dest)
{
	struct bed *b = arg;

	b->readies++;
	b->last_dest = dest;
	if (queue_open_connection(b->q, dest))
		b->conns++;
}

static void a_probe_is_one_connection_and_one_job(void)
{
	struct bed b;
	struct queue_work w;

	start_with(&b, ready_opens);
	for (int i = 0; i < 5; i++)
		bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(5, b.conns); /* one for each */
	struct queue_dest *d = b.last_dest;
	for (int i = 0; i < 5; i++) {
		queue_dest_failed(b.q, d, &refused);
		queue_close_connection(b.q, d);
	}
	b.conns = 0;
	bed_pass(&b, 5 * M - S);
	CHECK_INT(0, b.conns);
	CHECK(!queue_take(b.q, d, &w));
	bed_pass(&b, 2 * S); /* five failures at once are one */
	CHECK_INT(1, b.conns);
	bed_add(&b, "a@example.org", "c@x");
	CHECK_INT(1, b.conns);
	CHECK(!queue_open_connection(b.q, d));
	/* Closed without a word: nobody knows, so the same wait again. */
	queue_close_connection(b.q, d);
	bed_pass(&b, 4 * M);
	CHECK_INT(1, b.conns);
	bed_pass(&b, M + S);
	CHECK_INT(2, b.conns);
	queue_dest_ok(b.q, d);
	bed_run(&b);
	CHECK_INT(7, b.conns); /* the probe's own and one for each of the others */
	CHECK_INT(0, bed_stats(&b).destinations_down);
	CHECK(queue_take(b.q, d, &w));
	queue_put_back(b.q, w.job);
	for (int i = 0; i < 6; i++)
		queue_close_connection(b.q, d);
	bed_queue_end(&b);
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	bed_end(&b);
}

/* A delivery that takes its job first and connects then, in vain. */
static void ready_takes(void *arg, struct queue_dest *dest)
{
	struct bed *b = arg;

	b->last_dest = dest;
	if (b->idle || !queue_open_connection(b->q, dest))
		return;
	b->conns++;
	if (queue_take(b->q, dest, &b->out[b->nout]))
		b->dest[b->nout++] = dest;
}

static void all_fail(struct bed *b)
{
	while (b->nout > 0) {
		queue_dest_failed(b->q, b->dest[0], &refused);
		bed_done(b, 0, QUEUE_DEFERRED, 0, "connection refused");
	}
}

static void jobs_may_be_out_when_connecting_fails(void)
{
	struct bed b;
	struct queue_dest_view v = { 0 };

	start_with(&b, ready_takes);
	for (int i = 0; i < 30; i++)
		bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(20, b.nout);
	all_fail(&b);
	CHECK_INT(0, b.nout); /* the other ten did not try */
	CHECK_INT(1, bed_stats(&b).destinations_down);
	CHECK_INT(10, bed_stats(&b).ready);
	CHECK_INT(20, bed_stats(&b).waiting);
	bed_pass(&b, 5 * M + S);
	CHECK_INT(1, b.nout);
	all_fail(&b);
	queue_for_each_dest(b.q, see_one, &v);
	CHECK_INT(2, v.failures);
	bed_pass(&b, 15 * M + S);
	NEED(b.nout == 1);
	queue_dest_ok(b.q, b.dest[0]);
	bed_run(&b);
	CHECK_INT(20, b.nout);
	bed_end(&b);
}

static void a_host_that_wants_no_more_keeps_those_it_has(void)
{
	struct bed b;

	bed_start(&b);
	b.keep = true;
	b.take_max = 2;
	for (int i = 0; i < 10; i++)
		bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(2, b.nout);
	struct queue_dest *d = b.last_dest;
	NEED(queue_open_connection(b.q, d)); /* the third is refused */
	queue_dest_failed(b.q, d, &refused);
	queue_close_connection(b.q, d);
	CHECK_INT(0, bed_stats(&b).destinations_down);
	CHECK(!queue_open_connection(b.q, d));
	struct queue_work w;
	CHECK(queue_take(b.q, d, &w)); /* on one of the two */
	queue_put_back(b.q, w.job);
	bed_pass(&b, 31 * S);
	CHECK(queue_open_connection(b.q, d));
	queue_close_connection(b.q, d);
	while (b.nout > 0) {
		bed_put_back(&b, 0);
		queue_close_connection(b.q, d);
	}
	b.keep = false;
	bed_end(&b);
}

/* ---- limits -------------------------------------------------------------------------------------------- */

static void a_rate_is_kept(void)
{
	struct bed b;

	bed_start(&b);
	NEED(rate_parse(SPAN("60/hour,burst=3"), &b.limits.rate));
	for (int i = 0; i < 10; i++)
		bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(3, b.nout);
	bed_put_back(&b, 0); /* not sent: its token comes back */
	bed_run(&b);
	CHECK_INT(3, b.nout);
	for (int i = 1; i <= 3; i++) {
		bed_pass(&b, 50 * S);
		CHECK_INT(2 + i, b.nout);
		bed_pass(&b, 10 * S);
		CHECK_INT(3 + i, b.nout);
	}
	bed_end(&b);
}

struct other {
	unsigned granted, wanted;
};

static void other_granted(void *arg)
{
	((struct other *)arg)->granted++;
}

static void other_wanted(void *arg)
{
	((struct other *)arg)->wanted++;
}

static void workers_share_connections(void)
{
	static const struct ledger_events events = { other_granted, other_wanted };
	struct bed b;
	struct other o = { 0 };

	bed_start(&b);
	loop_set_resident(b.loop, true);
	b.limits.connections_max = 2;
	struct ledger_member *m = ledger_join(b.ledger, SPAN("r|x"), &b.limits, b.loop, &events, &o);
	CHECK(ledger_open(m));
	CHECK(ledger_open(m));
	bed_add(&b, "a@example.org", "b@x");
	bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(0, b.nout);
	CHECK_INT(1, o.wanted);
	ledger_close(m);
	bed_run(&b);
	CHECK_INT(1, b.nout); /* granted, and ready() came */
	CHECK(!queue_connection_wanted(b.q, b.last_dest));
	ledger_close(m);
	bed_run(&b);
	CHECK_INT(2, b.nout);
	CHECK(!ledger_open(m));
	bed_run(&b);
	CHECK_INT(1, b.wanted);
	CHECK(queue_connection_wanted(b.q, b.last_dest));
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(1, o.granted);
	ledger_close(m);
	ledger_leave(&m, loop_now_us(b.loop));
	bed_end(&b);
}

static void no_more_connections_than_jobs(void)
{
	struct bed b;

	start_with(&b, ready_opens);
	for (int i = 0; i < 3; i++)
		bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(3, b.conns);
	CHECK(!queue_open_connection(b.q, b.last_dest));
	bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(4, b.conns);
	for (int i = 0; i < 4; i++)
		queue_close_connection(b.q, b.last_dest);
	b.ops.ready = bed_ready;
	bed_queue_end(&b);
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	bed_end(&b);
}

/* ---- routes -------------------------------------------------------------------------------------------- */

static void a_new_configuration_routes_anew(void)
{
	struct bed b;

	bed_start(&b);
	b.idle = true;
	b.via = "[old]:25";
	bed_add(&b, "a@example.org", "b@x c@y");
	bed_add(&b, "a@example.org", "d@x");
	CHECK_SPAN("r|[old]:25", b.last_dest->name);
	CHECK_INT(1, bed_stats(&b).destinations);

	b.route_name = "new";
	b.via = NULL;
	queue_reroute(b.q);
	CHECK(b.last_dest->route_config == NULL); /* the old configuration is used by nobody */
	b.idle = false;
	b.spool.loads = 0;
	bed_run(&b);
	NEED(b.nout == 3);
	CHECK_INT(0, b.spool.loads); /* they were in memory */
	for (unsigned i = 0; i < b.nout; i++) {
		CHECK_SPAN("new", b.dest[i]->route);
		CHECK_INT(1, b.out[i].nrcpt);
	}
	while (b.nout > 0)
		bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(2, b.spool.drops);
	bed_end(&b);
}

static void what_waits_is_routed_when_it_is_due(void)
{
	struct bed b;

	bed_start(&b);
	b.via = "[old]:25";
	bed_add(&b, "a@example.org", "b@x c@y");
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	b.via = "[new]:25";
	queue_reroute(b.q); /* of the same name: the old destination stays in use */
	bed_run(&b);
	CHECK_INT(0, b.spool.loads);
	bed_pass(&b, 5 * M + S);
	NEED(b.nout == 1);
	CHECK_INT(1, b.spool.loads);
	CHECK_SPAN("r|[new]:25", b.dest[0]->name);
	CHECK_INT(2, b.out[0].nrcpt);
	CHECK_INT(2, b.out[0].attempt);
	CHECK(b.out[0].image != NULL); /* what was read for the route serves the attempt */
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(0, b.spool.images);

	bed_add(&b, "a@example.org", "b@x");
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	queue_reroute(b.q);
	b.spool.load_error = -ERR_BUSY;
	bed_pass(&b, 5 * M + S);
	CHECK_INT(0, b.nout);
	CHECK_INT(1, bed_stats(&b).waiting);
	b.spool.load_error = -ERR_CORRUPT;
	bed_pass(&b, 61 * S);
	CHECK_INT(0, b.nout);
	CHECK_INT(1, bed_stats(&b).held);
	bed_end(&b);
}

static void a_dead_host_is_routed_around(void)
{
	struct bed b;

	start_with(&b, ready_fails);
	b.via = "[dead]:25";
	for (int i = 0; i < 50; i++)
		bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(1, bed_stats(&b).destinations_down);
	bed_pass(&b, M);
	b.via = "[alive]:25";
	queue_reroute(b.q);
	b.idle = true;
	bed_run(&b);
	CHECK_SPAN("r|[alive]:25", b.last_dest->name);
	CHECK_INT(50, bed_stats(&b).ready);
	bed_end(&b);
}

/* ---- ETRN ---------------------------------------------------------------------------------------------- */

static void a_domain_is_tried_now(void)
{
	struct bed b;

	bed_start(&b);
	b.via = "[hub]:25";
	for (int i = 0; i < 3; i++) {
		bed_add(&b, "a@example.org", "b@one.example c@one.example");
		bed_add(&b, "a@example.org", "b@two.example");
		bed_add(&b, "a@example.org", "b@sub.one.example");
	}
	while (b.nout > 0)
		bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	CHECK_INT(0, queue_retry_domain(b.q, SPAN("three.example")));
	CHECK_INT(0, queue_retry_domain(b.q, SPAN("")));
	CHECK_INT(6, queue_retry_domain(b.q, SPAN("One.Example")));
	bed_run(&b);
	CHECK_INT(3, b.nout);
	while (b.nout > 0)
		bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	CHECK_INT(9, queue_retry_domain(b.q, SPAN("@one.example")));
	CHECK_INT(3, queue_retry_domain(b.q, SPAN("two.example"))); /* both at once */
	bed_run(&b);
	CHECK_INT(9, b.nout);
	bed_end(&b);
}

static void a_domain_that_is_down_is_probed_now(void)
{
	struct bed b;

	start_with(&b, ready_fails);
	bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(1, b.conns);
	CHECK_INT(1, queue_retry_domain(b.q, SPAN("x")));
	bed_run(&b);
	CHECK_INT(2, b.conns);
	bed_end(&b);
}

TEST_MAIN(TEST(one_probe_at_a_time), TEST(one_probe_whatever_the_order),
	  TEST(fresh_mail_brings_the_probe_forward), TEST(all_goes_when_it_is_back),
	  TEST(what_expires_behind_a_dead_host_is_returned), TEST(a_probe_is_one_connection_and_one_job),
	  TEST(jobs_may_be_out_when_connecting_fails), TEST(a_host_that_wants_no_more_keeps_those_it_has),
	  TEST(a_rate_is_kept), TEST(workers_share_connections), TEST(no_more_connections_than_jobs),
	  TEST(a_new_configuration_routes_anew), TEST(what_waits_is_routed_when_it_is_due),
	  TEST(a_dead_host_is_routed_around), TEST(a_domain_is_tried_now),
	  TEST(a_domain_that_is_down_is_probed_now))
