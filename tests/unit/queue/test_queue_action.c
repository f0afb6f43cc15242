#include "queue_bed.h"

struct asked {
	struct queue_action a;
	struct scope scope;
	unsigned done;
	unsigned rows, rcpts;
	uint64_t id[64];
	char text[4096]; /* what the rows say, one line each */
};

static void on_done(struct op *op)
{
	container_of(op, struct asked, a.op)->done++;
}

static void on_row(struct queue_action *a, const struct queue_row *row)
{
	struct asked *x = container_of(a, struct asked, a);
	size_t n = strlen(x->text);

	if (x->rows < 64)
		x->id[x->rows] = row->id;
	x->rows++;
	x->rcpts += row->nrcpt;
	for (uint32_t i = 0; i < row->nrcpt; i++) {
		const struct queue_row_rcpt *r = &row->rcpt[i];
		const struct span to = row->env ? row->env->rcpt[r->index].address : SPAN("?");
		n += (size_t)snprintf(x->text + n, sizeof x->text - n, "%.*s %s %u %.*s\n", SPAN_ARG(to),
				      queue_state_name(r->state), r->attempts, SPAN_ARG(r->last.text));
		if (n >= sizeof x->text)
			n = sizeof x->text - 1;
	}
}

static void ask_init(struct bed *b, struct asked *x, enum queue_verb verb)
{
	*x = (struct asked){ 0 };
	scope_init(&x->scope, b->loop, NULL);
	queue_action_init(&x->a, on_done);
	x->a.verb = verb;
	x->a.row = on_row;
	x->a.reason = SPAN("because");
	x->a.actor = SPAN("op");
}

static void ask(struct bed *b, struct asked *x)
{
	CHECK_INT(0, queue_action_start(&x->a, &x->scope, b->q, M));
	CHECK_INT(0, x->done);
	for (int i = 0; i < 50 && !x->done; i++)
		bed_run(b);
	CHECK_INT(1, x->done);
	CHECK_INT(0, x->a.op.status);
}

/* Two that wait, one that is out, one that is held, one of two recipients that is ready. */
static void stock(struct bed *b)
{
	struct envelope_rcpt rcpt[1];
	struct envelope env = { .sender = SPAN("held@example.org"),
				.device = SPAN("mfp-9"),
				.flags = ENVELOPE_HELD,
				.hold_reason = SPAN("policy: looks odd") };

	bed_start(b);
	bed_add(b, "a@example.org", "b@one.example");
	bed_done(b, 0, QUEUE_DEFERRED, 451, "greylisted");
	bed_pass(b, M);
	bed_add(b, "c@example.org", "d@two.example");
	bed_done(b, 0, QUEUE_DEFERRED, 452, "full");
	bed_pass(b, M);
	bed_add(b, "a@example.org", "out@three.example");
	bed_rcpts(&env, rcpt, 1, "h@one.example", 0);
	bed_add_env(b, &env);
	b->take_max = 1;
	bed_add(b, "", "e@one.example f@sub.two.example");
}

static void everything_is_shown(void)
{
	struct bed b;
	struct asked x;

	stock(&b);
	ask_init(&b, &x, QUEUE_VERB_LS);
	ask(&b, &x);
	CHECK_INT(5, x.a.seen);
	CHECK_INT(5, x.a.messages);
	CHECK_INT(6, x.a.recipients);
	CHECK_INT(5, x.rows);
	CHECK_INT(6, x.rcpts);
	CHECK_INT(0, b.spool.loads);
	CHECK_INT(0, b.spool.syncs);
	CHECK(strstr(x.text, "? deferred 1 greylisted\n") != NULL);
	CHECK(strstr(x.text, "? active 0 \n") != NULL);
	CHECK(strstr(x.text, "? held 0 policy: looks odd\n") != NULL);

	ask_init(&b, &x, QUEUE_VERB_LS);
	x.a.want_envelope = true;
	ask(&b, &x);
	CHECK_INT(5, x.rows);
	CHECK(strstr(x.text, "b@one.example deferred 1 greylisted\n") != NULL);
	CHECK(strstr(x.text, "f@sub.two.example ready 0 \n") != NULL);
	CHECK(x.id[0] < x.id[1] && x.id[1] < x.id[2] && x.id[2] < x.id[3] &&
	      x.id[3] < x.id[4]); /* in their order */
	bed_end(&b);
}

struct want {
	struct queue_select select;
	unsigned messages, recipients;
};

static void selectors_select(void)
{
	static const uint64_t ids[] = { 1001, 4711, 1000 };
	const struct want wants[] = {
		{ { .ids = ids, .nids = 3 }, 2, 2 },
		{ { .to = SPAN("d@two.example") }, 1, 1 },
		{ { .to = SPAN("@one.example") }, 3, 3 },
		{ { .to = SPAN("*@*two.example") }, 2, 2 },
		{ { .to = SPAN("nobody@one.example") }, 0, 0 },
		{ { .from = SPAN("A@Example.org") }, 2, 2 },
		{ { .from = SPAN("<>") }, 1, 2 },
		{ { .from = SPAN("@example.org") }, 4, 4 },
		{ { .device = SPAN("mfp-9") }, 1, 1 },
		{ { .device = SPAN("mfp-*") }, 5, 6 },
		{ { .domain = SPAN("one.example") }, 3, 3 },
		{ { .domain = SPAN("@two.example") }, 2, 2 },
		{ { .destination = SPAN("r|three.example") }, 1, 1 },
		{ { .destination = SPAN("three.example") }, 1, 1 },
		{ { .destination = SPAN("*.example") }, 5, 6 },
		{ { .held_reason = SPAN("*odd*") }, 1, 1 },
		{ { .held_reason = SPAN("*even*") }, 0, 0 },
		{ { .status = 1u << QUEUE_STATE_WAITING }, 2, 2 },
		{ { .status = 1u << QUEUE_STATE_WAITING | 1u << QUEUE_STATE_HELD }, 3, 3 },
		{ { .older_than_us = 90 * S }, 1, 1 },
		{ { .older_than_us = 30 * S }, 2, 2 },
		{ { .from = SPAN("a@example.org"),
		    .status = 1u << QUEUE_STATE_OUT,
		    .domain = SPAN("three.example") },
		  1,
		  1 },
	};
	struct bed b;

	stock(&b);
	for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
		struct asked x;

		ask_init(&b, &x, QUEUE_VERB_LS);
		x.a.select = wants[i].select;
		ask(&b, &x);
		if (x.a.messages != wants[i].messages || x.a.recipients != wants[i].recipients)
			printf("  selector %zu\n", i);
		CHECK_INT(wants[i].messages, x.a.messages);
		CHECK_INT(wants[i].recipients, x.a.recipients);
	}
	bed_end(&b);
}

static void pages_of_rows(void)
{
	struct bed b;
	struct asked x;

	stock(&b);
	ask_init(&b, &x, QUEUE_VERB_LS);
	x.a.skip = 1;
	x.a.max = 2;
	x.a.want_envelope = true;
	ask(&b, &x);
	CHECK_INT(2, x.rows);
	CHECK_INT(1001, x.id[0]);
	CHECK_INT(1002, x.id[1]);
	bed_end(&b);
}

static void dry_runs_change_nothing(void)
{
	struct bed b;
	struct asked x;

	stock(&b);
	const unsigned notes = b.spool.notes;
	ask_init(&b, &x, QUEUE_VERB_REMOVE);
	x.a.dry_run = true;
	ask(&b, &x);
	CHECK_INT(5, x.a.messages);
	CHECK_INT(5, x.a.done_recipients);
	CHECK_INT(1, x.a.busy_recipients); /* out */
	CHECK_INT(6, bed_stats(&b).recipients);
	CHECK_INT(notes, b.spool.notes);
	CHECK_INT(0, b.spool.drops + b.spool.syncs);
	bed_end(&b);
}

static void hold_and_release(void)
{
	struct bed b;
	struct asked x;

	stock(&b);
	ask_init(&b, &x, QUEUE_VERB_HOLD);
	x.a.select.domain = SPAN("one.example");
	ask(&b, &x);
	CHECK_INT(2, x.a.done_recipients); /* the third is held already */
	CHECK_INT(0, x.a.busy_recipients);
	CHECK_INT(1, b.spool.syncs);
	CHECK_INT(3, bed_stats(&b).held);
	CHECK_INT(3, metric_sum(METRIC_QUEUE_HELD, b.shards, 1));
	bed_restart(&b);
	CHECK_INT(3, bed_stats(&b).held);
	bed_pass(&b, D);
	CHECK_INT(3, bed_stats(&b).held);

	ask_init(&b, &x, QUEUE_VERB_RELEASE);
	x.a.select.held_reason = SPAN("because");
	ask(&b, &x);
	CHECK_INT(2, x.a.done_recipients);
	CHECK_INT(1, bed_stats(&b).held);
	bed_restart(&b);
	CHECK_INT(1, bed_stats(&b).held);
	ask_init(&b, &x, QUEUE_VERB_RELEASE);
	ask(&b, &x);
	CHECK_INT(1, x.a.done_recipients);
	bed_restart(&b); /* what the envelope held stays released */
	CHECK_INT(0, bed_stats(&b).held);
	bed_end(&b);
}

static void retry(void)
{
	struct bed b;
	struct asked x;

	stock(&b);
	b.take_max = 10;
	bed_run(&b);
	const unsigned out = b.nout;
	ask_init(&b, &x, QUEUE_VERB_RETRY);
	x.a.select.domain = SPAN("@two.example");
	x.a.select.status = 1u << QUEUE_STATE_WAITING;
	ask(&b, &x);
	CHECK_INT(1, x.a.done_recipients);
	bed_run(&b);
	CHECK_INT(out + 1, b.nout);
	bed_end(&b);
}

static void bounce_tells_the_sender(void)
{
	struct bed b;
	struct asked x;

	stock(&b);
	ask_init(&b, &x, QUEUE_VERB_BOUNCE);
	x.a.select.from = SPAN("@example.org");
	ask(&b, &x);
	CHECK_INT(3, x.a.done_recipients);
	CHECK_INT(1, x.a.busy_recipients);
	bed_run(&b);
	CHECK_INT(3, b.nsaid);
	CHECK_INT(3, b.ended);
	CHECK_INT(QUEUE_CAUSE_OPERATOR, b.said[0].cause);
	CHECK_STR("because", b.said[0].text);
	CHECK_INT(3, b.spool.drops);
	bed_end(&b);
}

static void remove_is_silent_and_exact(void)
{
	struct bed b;
	struct asked x;

	stock(&b);
	ask_init(&b, &x, QUEUE_VERB_REMOVE);
	x.a.select.to = SPAN("e@one.example");
	ask(&b, &x);
	CHECK_INT(1, x.a.done_recipients);
	CHECK_INT(0, b.nsaid + b.ended);
	CHECK_INT(5, bed_stats(&b).recipients);
	CHECK_INT(0, b.spool.drops); /* f@ is still there */
	bed_restart(&b);
	CHECK_INT(5, bed_stats(&b).recipients);
	bed_end(&b);
}

static void a_reason_is_wanted(void)
{
	struct bed b;
	struct asked x;

	stock(&b);
	ask_init(&b, &x, QUEUE_VERB_BOUNCE);
	x.a.reason = (struct span){ 0 };
	CHECK_INT(-ERR_INVAL, queue_action_start(&x.a, &x.scope, b.q, M));
	ask_init(&b, &x, QUEUE_VERB_HOLD);
	scope_close(&x.scope);
	CHECK_INT(-ERR_CANCELED, queue_action_start(&x.a, &x.scope, b.q, M));
	bed_end(&b);
}

static void what_cannot_be_read_is_counted(void)
{
	struct bed b;
	struct asked x;

	stock(&b);
	b.spool.load_error = -ERR_CORRUPT;
	ask_init(&b, &x, QUEUE_VERB_LS);
	x.a.select.from = SPAN("a@example.org");
	ask(&b, &x);
	CHECK_INT(1, x.a.messages); /* the one that is out is in memory */
	CHECK_INT(3, x.a.unreadable);
	bed_end(&b);
}

static void an_action_may_be_cancelled(void)
{
	struct bed b;
	struct asked x, y;

	stock(&b);
	ask_init(&b, &x, QUEUE_VERB_LS);
	x.a.want_envelope = true;
	CHECK_INT(0, queue_action_start(&x.a, &x.scope, b.q, M));
	loop_clock_advance(b.loop, 10);
	loop_run_once(b.loop, false); /* loads are under way */
	op_cancel(&x.a.op);
	CHECK_INT(0, x.done);
	bed_run(&b);
	CHECK_INT(1, x.done);
	CHECK_INT(-ERR_CANCELED, x.a.op.status);

	/* And the queue may close under it. */
	ask_init(&b, &x, QUEUE_VERB_LS);
	x.a.want_envelope = true;
	CHECK_INT(0, queue_action_start(&x.a, &x.scope, b.q, M));
	ask_init(&b, &y, QUEUE_VERB_LS);
	CHECK_INT(0, queue_action_start(&y.a, &y.scope, b.q, M));
	loop_clock_advance(b.loop, 10);
	loop_run_once(b.loop, false);
	bed_queue_end(&b);
	CHECK_INT(1, x.done);
	CHECK_INT(1, y.done);
	CHECK_INT(-ERR_CANCELED, x.a.op.status);
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	bed_end(&b);
}

/* Messages that come and go while somebody looks. */
static void the_queue_goes_on_meanwhile(void)
{
	struct bed b;
	struct asked x;

	bed_start(&b);
	b.idle = true;
	for (int i = 0; i < 300; i++)
		bed_add(&b, "a@example.org", "b@x");
	b.idle = false;
	ask_init(&b, &x, QUEUE_VERB_LS);
	x.a.want_envelope = true;
	CHECK_INT(0, queue_action_start(&x.a, &x.scope, b.q, M));
	for (int i = 0; i < 2000 && !x.done; i++) {
		loop_clock_advance(b.loop, 10);
		loop_run_once(b.loop, false);
		queue_poke(b.q);
		while (b.nout > 10)
			bed_done(&b, b.nout / 2, QUEUE_DELIVERED, 250, "ok");
	}
	CHECK_INT(1, x.done);
	CHECK(x.rows > 10 && x.rows <= 300);
	CHECK_INT(0, x.a.unreadable);
	bed_end(&b);
}

TEST_MAIN(TEST(everything_is_shown), TEST(selectors_select), TEST(pages_of_rows),
	  TEST(dry_runs_change_nothing), TEST(hold_and_release), TEST(retry), TEST(bounce_tells_the_sender),
	  TEST(remove_is_silent_and_exact), TEST(a_reason_is_wanted), TEST(what_cannot_be_read_is_counted),
	  TEST(an_action_may_be_cancelled), TEST(the_queue_goes_on_meanwhile))
