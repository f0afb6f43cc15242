#include "queue_bed.h"

static void a_bounce_is_durable_before_its_message_goes(void)
{
	struct bed b;

	bed_start(&b);
	b.notices_wait = true;
	bed_add(&b, "a@example.org", "b@x");
	bed_done(&b, 0, QUEUE_BOUNCED, 550, "no such user");
	NEED(b.nsaid == 1);
	CHECK_INT(QUEUE_CAUSE_ATTEMPT, b.said[0].cause);
	CHECK_INT(0, b.ended); /* delivery knows its own outcomes */
	CHECK_INT(0, b.spool.drops);
	CHECK_INT(1, bed_stats(&b).ending);
	queue_notice_done(b.q, b.said[0].notice, 0);
	CHECK_INT(0, b.spool.drops); /* not from inside */
	bed_run(&b);
	CHECK_INT(1, b.spool.drops);
	CHECK_INT(0, b.spool.loads); /* the message was still in memory */
	bed_end(&b);
}

static void a_bounce_that_cannot_be_made_is_tried_again(void)
{
	struct bed b;

	bed_start(&b);
	b.notice_status = -ERR_NOSPACE;
	bed_add(&b, "a@example.org", "b@x");
	bed_done(&b, 0, QUEUE_BOUNCED, 550, "no such user");
	CHECK_INT(1, b.nsaid);
	CHECK_INT(0, b.spool.drops);
	bed_pass(&b, 30 * S);
	CHECK_INT(1, b.nsaid);
	bed_pass(&b, 31 * S);
	CHECK_INT(2, b.nsaid);
	CHECK_INT(0, b.spool.drops);
	b.notice_status = 0;
	bed_pass(&b, 61 * S);
	CHECK_INT(3, b.nsaid);
	CHECK_STR("no such user", b.said[2].text);
	CHECK_INT(1, b.spool.drops);
	bed_end(&b);
}

static void a_message_that_cannot_be_read_now_is_read_later(void)
{
	struct bed b;

	bed_start(&b);
	b.cfg.image_budget_bytes = 0;
	bed_queue_end(&b);
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	b.spool.load_error = -ERR_BUSY;
	bed_add(&b, "a@example.org", "b@x");
	bed_done(&b, 0, QUEUE_BOUNCED, 550, "no such user");
	CHECK_INT(0, b.nsaid);
	CHECK_INT(1, b.spool.loads);
	b.spool.load_error = 0;
	bed_pass(&b, 61 * S);
	CHECK_INT(1, b.nsaid);
	CHECK_INT(1, b.spool.drops);
	/* One that is damaged will never be read: its sender cannot be told, and it is not kept for ever. */
	bed_add(&b, "a@example.org", "b@x");
	b.spool.load_error = -ERR_CORRUPT;
	bed_done(&b, 0, QUEUE_BOUNCED, 550, "no such user");
	CHECK_INT(1, b.nsaid);
	CHECK_INT(2, b.spool.drops);
	bed_end(&b);
}

struct rule {
	unsigned notify;
	bool failed, delayed, relayed;
};

/* RFC 3461 section 5.2. */
static void senders_get_what_they_asked_for(void)
{
	static const struct rule rules[] = {
		{ NOTIFY_DEFAULT, true, true, false },
		{ NOTIFY_NEVER, false, false, false },
		{ NOTIFY_SUCCESS, false, false, true },
		{ NOTIFY_FAILURE, true, false, false },
		{ NOTIFY_DELAY, false, true, false },
		{ NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, true, true, true },
	};

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct rule *r = &rules[i];
		struct bed b;

		bed_start(&b);
		bed_add_notify(&b, "a@example.org", "b@x", r->notify);
		bed_done(&b, 0, QUEUE_BOUNCED, 550, "no");
		CHECK_INT(r->failed, b.nsaid);
		CHECK_INT(1, b.spool.drops);

		b.nsaid = 0;
		bed_add_notify(&b, "a@example.org", "b@x", r->notify);
		bed_done(&b, 0, QUEUE_RELAYED_NO_DSN, 250, "ok");
		CHECK_INT(r->relayed, b.nsaid);
		if (b.nsaid)
			CHECK_INT(QUEUE_NOTICE_RELAYED, b.said[0].kind);
		CHECK_INT(2, b.spool.drops);

		b.nsaid = 0;
		bed_add_notify(&b, "a@example.org", "b@x", r->notify);
		bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
		CHECK_INT(0, b.nsaid); /* the next hop's business */

		b.take_max = 0;
		bed_add_notify(&b, "a@example.org", "b@x", r->notify);
		bed_pass(&b, 4 * H + M);
		CHECK_INT(r->delayed, b.nsaid);
		if (b.nsaid) {
			CHECK_INT(QUEUE_NOTICE_DELAYED, b.said[0].kind);
			CHECK_INT(5 * 24 - 4, (b.said[0].retry_until_us - bed_now(&b) + 2 * M) / H);
		}
		bed_end(&b);
	}
}

static void nobody_answers_the_null_sender(void)
{
	struct bed b;

	bed_start(&b);
	bed_add_notify(&b, "", "b@x", NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY);
	bed_done(&b, 0, QUEUE_BOUNCED, 550, "no");
	NEED(b.nsaid == 1);
	CHECK_INT(QUEUE_NOTICE_NOBODY, b.said[0].kind);
	CHECK_INT(1, b.spool.drops);
	bed_add_notify(&b, "", "b@x", NOTIFY_SUCCESS);
	bed_done(&b, 0, QUEUE_RELAYED_NO_DSN, 250, "ok");
	CHECK_INT(1, b.nsaid);
	CHECK_INT(2, b.spool.drops);
	b.take_max = 0;
	bed_add(&b, "", "b@x");
	bed_pass(&b, 20 * H);
	CHECK_INT(1, b.nsaid);
	bed_pass(&b, 4 * H + 20 * M); /* a notice lives a day */
	NEED(b.nsaid == 2);
	CHECK_INT(QUEUE_NOTICE_NOBODY, b.said[1].kind);
	CHECK_INT(QUEUE_CAUSE_EXPIRED, b.said[1].cause);
	bed_end(&b);
}

static void one_notice_for_all_that_failed(void)
{
	struct bed b;

	bed_start(&b);
	b.notices_wait = true;
	bed_add(&b, "a@example.org", "b@x c@x d@y");
	NEED(b.nout == 2);
	bed_done(&b, 0, QUEUE_BOUNCED, 550, "no"); /* one is made already when the other fails */
	NEED(b.nsaid == 1);
	bed_done(&b, 0, QUEUE_BOUNCED, 551, "no");
	CHECK_INT(1, b.nsaid);
	CHECK_INT(3, bed_stats(&b).ending);
	const uint32_t first = b.said[0].n;
	queue_notice_done(b.q, b.said[0].notice, 0);
	bed_run(&b);
	NEED(b.nsaid == 2);
	CHECK_INT(3, first + b.said[1].n);
	CHECK_INT(0, b.spool.drops);
	queue_notice_done(b.q, b.said[1].notice, -ERR_IO);
	bed_run(&b);
	CHECK_INT(0, b.spool.drops);
	bed_pass(&b, 61 * S);
	NEED(b.nsaid == 3);
	CHECK_INT(b.said[1].n, b.said[2].n);
	queue_notice_done(b.q, b.said[2].notice, 0);
	bed_run(&b);
	CHECK_INT(1, b.spool.drops);
	bed_end(&b);
}

static void a_delay_is_told_once(void)
{
	struct bed b;

	bed_start(&b);
	bed_add(&b, "a@example.org", "b@x c@x");
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	for (int i = 0; i < 8; i++) {
		bed_pass(&b, 31 * M);
		if (b.nout)
			bed_done(&b, 0, QUEUE_DEFERRED, 451, "later still");
	}
	NEED(b.nsaid == 1);
	CHECK_INT(QUEUE_NOTICE_DELAYED, b.said[0].kind);
	CHECK_INT(2, b.said[0].n);
	CHECK_STR("later still", b.said[0].text);
	for (int i = 0; i < 24; i++) {
		bed_pass(&b, H);
		if (b.nout)
			bed_done(&b, 0, QUEUE_DEFERRED, 451, "later still");
	}
	CHECK_INT(1, b.nsaid);
	bed_restart(&b);
	bed_pass(&b, 5 * H);
	CHECK_INT(1, b.nsaid); /* not after a restart either */
	bed_end(&b);
}

static void a_delay_notice_may_fail_and_the_message_go(void)
{
	struct bed b;

	bed_start(&b);
	b.notice_status = -ERR_NOSPACE;
	bed_add(&b, "a@example.org", "b@x");
	CHECK_INT(0, schedule_parse_steps(&b.schedule, SPAN("1d"), NULL));
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	bed_pass(&b, 4 * H + S);
	CHECK_INT(1, b.nsaid);
	b.notice_status = 0;
	b.notices_wait = true;
	bed_pass(&b, 61 * S);
	NEED(b.nsaid == 2);
	/* While the second is being made, the message is delivered. */
	CHECK_INT(1, queue_retry_domain(b.q, SPAN("x")));
	bed_pass(&b, S);
	NEED(b.nout == 1);
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(0, b.spool.drops);
	queue_notice_done(b.q, b.said[1].notice, 0);
	bed_run(&b);
	CHECK_INT(1, b.spool.drops);
	CHECK_INT(0, bed_stats(&b).messages);
	bed_end(&b);
}

static void add_by(struct bed *b, int64_t by_us, unsigned flags)
{
	struct envelope_rcpt rcpt[1];
	struct envelope env = { .sender = SPAN("a@example.org"),
				.flags = flags,
				.arrived_at_us = bed_now(b),
				.deliver_by_us = bed_now(b) + by_us };

	bed_rcpts(&env, rcpt, 1, "b@x", 0);
	bed_add_env(b, &env);
}

static void deliverby_return(void)
{
	struct bed b;

	bed_start(&b);
	add_by(&b, 60 * S, 0);
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	bed_pass(&b, 55 * S);
	CHECK_INT(0, b.nout + b.nsaid);
	bed_pass(&b, 6 * S);
	CHECK_INT(0, b.nout);
	NEED(b.nsaid == 1);
	CHECK_INT(QUEUE_NOTICE_FAILED, b.said[0].kind);
	CHECK_INT(QUEUE_CAUSE_DELIVERBY, b.said[0].cause);
	CHECK_STR("later", b.said[0].text);
	CHECK_INT(1, b.ended);
	CHECK_INT(1, b.spool.drops);

	/* One that waits for a connection is returned as punctually. */
	b.take_max = 0;
	add_by(&b, 60 * S, 0);
	bed_pass(&b, 59 * S);
	CHECK_INT(1, b.nsaid);
	bed_pass(&b, 2 * S);
	NEED(b.nsaid == 2);
	CHECK_STR("5.4.7", b.said[1].enhanced);
	CHECK(strlen(b.said[1].text) > 10);
	bed_end(&b);
}

static void deliverby_notify(void)
{
	struct bed b;

	bed_start(&b);
	add_by(&b, 60 * S, ENVELOPE_BY_NOTIFY);
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	bed_pass(&b, 61 * S);
	NEED(b.nsaid == 1);
	CHECK_INT(QUEUE_NOTICE_DELAYED, b.said[0].kind);
	bed_pass(&b, 4 * M);
	NEED(b.nout == 1); /* it goes on */
	bed_done(&b, 0, QUEUE_RELAYED_NO_BY, 250, "ok");
	NEED(b.nsaid == 2);
	CHECK_INT(QUEUE_NOTICE_RELAYED, b.said[1].kind);
	CHECK_INT(1, b.spool.drops);
	bed_end(&b);
}

static void many_bounces_are_made_a_few_at_a_time(void)
{
	struct bed b;
	unsigned done = 0;

	bed_start(&b);
	b.notices_wait = true;
	b.via = "hub";
	for (int i = 0; i < 40; i++) {
		bed_add(&b, "a@example.org", "b@x");
		bed_done(&b, 0, QUEUE_BOUNCED, 550, "no");
	}
	CHECK_INT(16, b.nsaid);
	while (done < b.nsaid) {
		queue_notice_done(b.q, b.said[done++].notice, 0);
		bed_run(&b);
	}
	CHECK_INT(40, b.nsaid);
	CHECK_INT(40, b.spool.drops);
	bed_end(&b);
}

static void closing_waits_for_notices(void)
{
	struct bed b;

	bed_start(&b);
	b.notices_wait = true;
	bed_add(&b, "a@example.org", "b@x");
	bed_done(&b, 0, QUEUE_BOUNCED, 550, "no");
	NEED(b.nsaid == 1);
	queue_close(b.q, bed_on_closed, &b);
	bed_run(&b);
	CHECK(!b.closed);
	queue_notice_done(b.q, b.said[0].notice, 0);
	bed_run(&b);
	CHECK(b.closed);
	CHECK_INT(1, b.spool.drops);
	queue_free(&b.q);
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	bed_end(&b);
}

TEST_MAIN(TEST(a_bounce_is_durable_before_its_message_goes),
	  TEST(a_bounce_that_cannot_be_made_is_tried_again),
	  TEST(a_message_that_cannot_be_read_now_is_read_later), TEST(senders_get_what_they_asked_for),
	  TEST(nobody_answers_the_null_sender), TEST(one_notice_for_all_that_failed),
	  TEST(a_delay_is_told_once), TEST(a_delay_notice_may_fail_and_the_message_go),
	  TEST(deliverby_return), TEST(deliverby_notify), TEST(many_bounces_are_made_a_few_at_a_time),
	  TEST(closing_waits_for_notices))
