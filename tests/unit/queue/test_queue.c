#include "queue_bed.h"

/* ---- the common path ----------------------------------------------------------------------------------- */

static void a_message_is_delivered(void)
{
	struct bed b;

	bed_start(&b);
	const uint64_t id = bed_add(&b, "a@example.org", "b@example.net");
	CHECK_INT(1, b.nout);
	CHECK_INT(id, b.out[0].id);
	CHECK_INT(1, b.out[0].nrcpt);
	CHECK_INT(0, b.out[0].rcpts[0]);
	CHECK_INT(1, b.out[0].attempt);
	CHECK(b.out[0].image != NULL && b.out[0].image->id == id);
	CHECK_SPAN("r|example.net", b.last_dest->name);
	CHECK_SPAN("r", b.last_dest->route);
	CHECK_SPAN("example.net", b.last_dest->next_hop);
	CHECK_INT(1, bed_stats(&b).out);
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(1, b.spool.drops);
	CHECK_INT(0, b.spool.notes); /* the drop says it all */
	CHECK_INT(0, b.spool.loads);
	CHECK_INT(1, b.removed);
	CHECK_INT(0, b.spool.images);
	CHECK_INT(0, bed_stats(&b).messages);
	CHECK_INT(0, metric_sum(METRIC_QUEUE_RECIPIENTS, b.shards, 1));
	bed_end(&b);
}

/* One route and next hop, but what must not share a connection does not share a destination. */
static void a_variant_is_a_destination_of_its_own(void)
{
	struct bed b;

	bed_start(&b);
	b.variants = true;
	bed_add(&b, "a@example.org", "b@example.net");
	CHECK_SPAN("r|example.net|a@example.org", b.last_dest->name);
	CHECK_SPAN("example.net", b.last_dest->next_hop);
	CHECK_SPAN("a@example.org", b.last_dest->variant);
	bed_add(&b, "c@example.org", "b@example.net");
	CHECK_INT(2, b.nout);
	CHECK(b.dest[0] != b.dest[1]);
	CHECK_INT(2, bed_stats(&b).destinations);
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	bed_end(&b);
}

static void ready_never_comes_from_inside(void)
{
	struct bed b;
	struct envelope_rcpt rcpt[1];
	struct envelope env = { .sender = SPAN("a@example.org") };

	bed_start(&b);
	bed_rcpts(&env, rcpt, 1, "b@example.net", 0);
	env.arrived_at_us = bed_now(&b);
	queue_add(b.q, bed_store(&b, &env), &env, NULL, 1);
	CHECK_INT(0, b.readies);
	bed_run(&b);
	CHECK_INT(1, b.nout);
	CHECK(b.out[0].image == NULL);
	bed_end(&b);
}

static void recipients_share_transactions(void)
{
	struct bed b;

	bed_start(&b);
	b.cfg.rcpts_per_job_max = 2;
	bed_queue_end(&b);
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	bed_add(&b, "a@example.org", "b@x c@y d@x e@x f@y");
	CHECK_INT(3, b.nout);
	unsigned seen = 0;
	for (unsigned i = 0; i < b.nout; i++)
		for (uint32_t k = 0; k < b.out[i].nrcpt; k++)
			seen |= 1u << b.out[i].rcpts[k];
	CHECK_INT(31, seen);
	while (b.nout > 0)
		bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(1, b.spool.drops);
	CHECK_INT(2, b.spool.notes); /* what was delivered before the last one */
	bed_end(&b);
}

static void a_message_without_recipients_goes_at_once(void)
{
	struct bed b;
	struct envelope env = { .sender = SPAN("a@example.org") };

	bed_start(&b);
	bed_add_env(&b, &env);
	CHECK_INT(1, b.spool.drops);
	bed_end(&b);
}

/* ---- deferral ------------------------------------------------------------------------------------------ */

static void deferrals_follow_the_schedule(void)
{
	static const int64_t waits[] = { 5 * M, 15 * M, 30 * M, H, 2 * H, 4 * H, 4 * H };
	struct bed b;

	bed_start(&b);
	b.schedule.nnotices = 0;
	bed_add(&b, "a@example.org", "b@example.net");
	for (unsigned i = 0; i < sizeof waits / sizeof *waits; i++) {
		CHECK_INT(1, b.nout);
		CHECK_INT(i + 1, b.out[0].attempt);
		CHECK((b.out[0].image != NULL) == (i == 0));
		bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
		CHECK_INT(0, b.nout);
		CHECK_INT(1, bed_stats(&b).waiting);
		bed_pass(&b, waits[i] - S);
		CHECK_INT(0, b.nout);
		bed_pass(&b, 2 * S);
	}
	CHECK_INT(1, b.nout);
	CHECK_INT(7, b.spool.notes);
	CHECK_INT(0, b.nsaid);
	bed_end(&b);
}

static void outcomes_may_differ(void)
{
	struct bed b;

	bed_start(&b);
	const uint64_t id = bed_add(&b, "a@example.org", "b@x c@x d@x e@x");
	NEED(b.nout == 1 && b.out[0].nrcpt == 4);
	const struct queue_outcome o[] = {
		{ .rcpt = 3, .status = QUEUE_HELD, .text = SPAN("no TLS") },
		{ .rcpt = 0, .status = QUEUE_DELIVERED, .code = 250 },
		{ .rcpt = 2, .status = QUEUE_DEFERRED, .code = 451, .text = SPAN("greylisted") },
		{ .rcpt = 1,
		  .status = QUEUE_BOUNCED,
		  .code = 550,
		  .enhanced = SPAN("5.1.1"),
		  .text = SPAN("no such user") },
	};
	struct queue_job *job = b.out[0].job;
	struct queue_dest *dest = b.dest[0];
	bed_forget(&b, 0);
	queue_done(b.q, job, o, 4);
	bed_hang_up(&b, dest);
	bed_run(&b);
	CHECK_INT(1, b.nsaid);
	CHECK_INT(QUEUE_NOTICE_FAILED, b.said[0].kind);
	CHECK_INT(id, b.said[0].id);
	CHECK_INT(1, b.said[0].n);
	CHECK_INT(1, b.said[0].rcpt[0]);
	CHECK_INT(550, b.said[0].code);
	CHECK_STR("no such user", b.said[0].text);
	CHECK_STR("5.1.1", b.said[0].enhanced);
	CHECK_STR("a@example.org", b.said[0].sender);
	const struct queue_stats st = bed_stats(&b);
	CHECK_INT(2, st.recipients);
	CHECK_INT(1, st.waiting);
	CHECK_INT(1, st.held);
	CHECK_INT(1, metric_sum(METRIC_QUEUE_HELD, b.shards, 1));
	bed_pass(&b, 5 * M + S);
	NEED(b.nout == 1);
	CHECK_INT(1, b.out[0].nrcpt);
	CHECK_INT(2, b.out[0].rcpts[0]);
	bed_end(&b);
}

static void the_end_of_its_life(void)
{
	struct bed b;

	bed_start(&b);
	b.schedule.nnotices = 0;
	CHECK_INT(0, schedule_parse_steps(&b.schedule, SPAN("3d"), NULL));
	bed_add(&b, "a@example.org", "b@x");
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "try later");
	bed_pass(&b, 3 * D + S);
	bed_done(&b, 0, QUEUE_DEFERRED, 452, "still not");
	CHECK_INT(0, b.nsaid);
	bed_pass(&b, 2 * D - 10 * S);
	CHECK_INT(0, b.nout);
	bed_pass(&b, 10 * S);
	NEED(b.nout == 1); /* the last one, at the end */
	CHECK_INT(3, b.out[0].attempt);
	bed_done(&b, 0, QUEUE_DEFERRED, 453, "not at all");
	CHECK_INT(1, b.nsaid);
	CHECK_INT(QUEUE_NOTICE_FAILED, b.said[0].kind);
	CHECK_INT(QUEUE_CAUSE_EXPIRED, b.said[0].cause);
	CHECK_STR("not at all", b.said[0].text);
	CHECK_INT(453, b.said[0].code);
	CHECK_INT(1, b.ended);
	CHECK_INT(QUEUE_CAUSE_EXPIRED, b.ended_cause);
	CHECK_INT(1, b.spool.drops);
	bed_end(&b);
}

static void what_is_put_back_is_no_attempt(void)
{
	struct bed b;

	bed_start(&b);
	b.take_max = 1;
	const uint64_t first = bed_add(&b, "a@example.org", "b@x");
	bed_add(&b, "a@example.org", "c@x");
	CHECK_INT(1, b.nout);
	b.idle = true;
	bed_put_back(&b, 0);
	bed_run(&b);
	CHECK_INT(2, bed_stats(&b).ready);
	CHECK_INT(0, b.spool.notes);
	b.idle = false;
	queue_poke(b.q);
	bed_run(&b);
	NEED(b.nout == 1);
	CHECK_INT(first, b.out[0].id); /* in front */
	CHECK_INT(1, b.out[0].attempt);
	CHECK(b.out[0].image != NULL);
	bed_end(&b);
}

static void fresh_mail_does_not_wait_behind_old(void)
{
	struct bed b;
	unsigned fresh = 0;

	bed_start(&b);
	for (int i = 0; i < 20; i++)
		bed_add(&b, "a@example.org", "b@x");
	NEED(b.nout == 20);
	while (b.nout > 0)
		bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	b.take_max = 0;
	bed_pass(&b, 6 * M); /* 20 retries are ready */
	for (int i = 0; i < 20; i++)
		bed_add(&b, "a@example.org", "c@x");
	CHECK_INT(40, bed_stats(&b).ready);
	b.take_max = 16;
	queue_poke(b.q);
	bed_run(&b);
	NEED(b.nout == 16);
	for (unsigned i = 0; i < 16; i++)
		fresh += b.out[i].attempt == 1;
	CHECK_INT(12, fresh);
	bed_end(&b);
}

/* ---- images -------------------------------------------------------------------------------------------- */

static void images_stay_within_their_budget(void)
{
	struct bed b;

	bed_start(&b);
	b.idle = true;
	b.cfg.image_budget_bytes = 1000;
	bed_queue_end(&b);
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	b.idle = true;
	for (int i = 0; i < 30; i++)
		bed_add(&b, "a@example.org", "b@x");
	const struct queue_stats st = bed_stats(&b);
	CHECK(st.images > 0 && st.images < 10);
	CHECK(st.image_bytes <= 1000);
	CHECK_INT(st.images, b.spool.images);
	/* The newest are kept: they have the best chance to be tried soon. */
	b.idle = false;
	queue_poke(b.q);
	bed_run(&b);
	NEED(b.nout == 20);
	CHECK(b.out[0].image == NULL);
	while (b.nout > 0)
		bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(0, b.spool.images);
	bed_end(&b);
}

/* ---- its end ------------------------------------------------------------------------------------------- */

static void closing_waits_for_what_is_out(void)
{
	struct bed b;

	bed_start(&b);
	bed_add(&b, "a@example.org", "b@x");
	bed_add(&b, "a@example.org", "b@y");
	NEED(b.nout == 2);
	queue_close(b.q, bed_on_closed, &b);
	bed_run(&b);
	CHECK(!b.closed);
	const unsigned readies = b.readies;
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK(!b.closed);
	bed_put_back(&b, 0);
	bed_run(&b);
	CHECK(b.closed);
	CHECK_INT(1, b.spool.syncs);
	CHECK_INT(readies, b.readies);
	queue_free(&b.q);
	CHECK_INT(2, b.gone);
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	bed_end(&b);
}

static void idle_destinations_are_forgotten(void)
{
	struct bed b;

	bed_start(&b);
	bed_add(&b, "a@example.org", "b@x");
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(1, bed_stats(&b).destinations);
	bed_pass(&b, 9 * M);
	CHECK_INT(0, b.gone);
	bed_pass(&b, 2 * M);
	CHECK_INT(1, b.gone);
	CHECK_INT(0, bed_stats(&b).destinations);
	bed_end(&b);
}

static void held_by_its_envelope(void)
{
	struct bed b;
	struct envelope_rcpt rcpt[2];
	struct envelope env = { .sender = SPAN("a@example.org"),
				.flags = ENVELOPE_HELD,
				.hold_reason = SPAN("looks odd") };

	bed_start(&b);
	bed_rcpts(&env, rcpt, 2, "b@x c@x", 0);
	bed_add_env(&b, &env);
	CHECK_INT(0, b.nout);
	CHECK_INT(2, bed_stats(&b).held);
	bed_pass(&b, 30 * D); /* and it does not expire */
	CHECK_INT(0, b.nout + b.nsaid);
	bed_restart(&b);
	CHECK_INT(0, b.nout);
	CHECK_INT(2, bed_stats(&b).held);
	bed_end(&b);
}

TEST_MAIN(TEST(a_message_is_delivered), TEST(a_variant_is_a_destination_of_its_own),
	  TEST(ready_never_comes_from_inside), TEST(recipients_share_transactions),
	  TEST(a_message_without_recipients_goes_at_once), TEST(deferrals_follow_the_schedule),
	  TEST(outcomes_may_differ), TEST(the_end_of_its_life), TEST(what_is_put_back_is_no_attempt),
	  TEST(fresh_mail_does_not_wait_behind_old), TEST(images_stay_within_their_budget),
	  TEST(closing_waits_for_what_is_out), TEST(idle_destinations_are_forgotten),
	  TEST(held_by_its_envelope))
