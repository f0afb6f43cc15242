#include "queue/queue_note.h"
#include "queue_bed.h"

static void nobody_gets_it_twice(void)
{
	struct bed b;

	bed_start(&b);
	bed_add(&b, "a@example.org", "b@x c@x d@x e@y");
	NEED(b.nout == 2);
	const unsigned x = b.out[0].nrcpt == 3 ? 0 : 1;
	const struct queue_outcome o[] = {
		{ .rcpt = 0, .status = QUEUE_DELIVERED, .code = 250 },
		{ .rcpt = 1,
		  .status = QUEUE_DEFERRED,
		  .code = 451,
		  .enhanced = SPAN("4.7.1"),
		  .text = SPAN("greylisted") },
		{ .rcpt = 2, .status = QUEUE_DEFERRED, .code = 452, .text = SPAN("full") },
	};
	struct queue_job *job = b.out[x].job;
	struct queue_dest *dest = b.dest[x];
	bed_forget(&b, x);
	queue_done(b.q, job, o, 3);
	bed_hang_up(&b, dest);
	/* The job for y is out when it ends. */
	b.take_max = 1;
	bed_restart(&b);
	NEED(b.nout == 1);
	CHECK_INT(1, b.out[0].nrcpt);
	CHECK_INT(3, b.out[0].rcpts[0]);
	CHECK_INT(1, b.out[0].attempt);
	CHECK_INT(2, bed_stats(&b).waiting);
	CHECK_INT(3, bed_stats(&b).recipients);
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	bed_pass(&b, 5 * M - 10 * S);
	CHECK_INT(0, b.nout); /* the recorded time is honoured */
	bed_pass(&b, 11 * S);
	NEED(b.nout == 1);
	CHECK_INT(2, b.out[0].nrcpt);
	CHECK_INT(1, b.out[0].rcpts[0]);
	CHECK_INT(2, b.out[0].rcpts[1]);
	CHECK_INT(2, b.out[0].attempt);
	CHECK(b.out[0].image == NULL);
	bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
	CHECK_INT(1, b.spool.drops);
	bed_restart(&b);
	CHECK_INT(0, bed_stats(&b).messages);
	bed_end(&b);
}

static void what_was_refused_is_not_tried_again(void)
{
	struct bed b;

	bed_start(&b);
	b.notice_status = -ERR_NOSPACE;
	bed_add(&b, "a@example.org", "b@x c@y");
	bed_done(&b, 0, QUEUE_BOUNCED, 550, "no such user");
	bed_done(&b, 0, QUEUE_HELD, 0, "no TLS");
	CHECK_INT(1, b.nsaid);
	b.notice_status = 0;
	bed_restart(&b);
	CHECK_INT(0, b.nout);
	NEED(b.nsaid == 2);
	CHECK_INT(QUEUE_NOTICE_FAILED, b.said[1].kind);
	CHECK_INT(550, b.said[1].code);
	CHECK_STR("no such user", b.said[1].text);
	CHECK_INT(b.said[0].rcpt[0], b.said[1].rcpt[0]);
	CHECK_INT(1, bed_stats(&b).held);
	CHECK_INT(1, bed_stats(&b).recipients);
	bed_end(&b);
}

static void what_the_queue_ended_is_told_once(void)
{
	struct bed b;

	bed_start(&b);
	b.schedule.nnotices = 0;
	b.take_max = 0;
	b.notice_status = -ERR_IO;
	bed_add(&b, "a@example.org", "b@x");
	bed_pass(&b, 5 * D + 20 * M);
	CHECK_INT(1, b.ended);
	CHECK_INT(1, b.nsaid);
	bed_restart(&b);
	CHECK_INT(2, b.nsaid);
	b.notice_status = 0;
	bed_pass(&b, 2 * M);
	CHECK_INT(3, b.nsaid);
	CHECK_INT(QUEUE_CAUSE_EXPIRED, b.said[2].cause);
	CHECK_INT(1, b.ended);
	CHECK_INT(1, b.spool.drops);
	bed_end(&b);
}

static void a_million_do_not_come_at_once(void)
{
	struct bed b;
	struct envelope_rcpt rcpt[1];
	struct envelope env = { .sender = SPAN("a@example.org") };

	bed_start(&b);
	b.idle = true;
	env.arrived_at_us = bed_now(&b);
	bed_rcpts(&env, rcpt, 1, "b@x", 0);
	for (int i = 0; i < 20000; i++)
		bed_store(&b, &env);
	bed_restart(&b);
	const uint64_t at_once = bed_stats(&b).ready;
	CHECK_INT(20000, bed_stats(&b).messages);
	CHECK(at_once > 0 && at_once <= 4000);
	for (int i = 0; i < 4; i++) {
		const uint64_t before = bed_stats(&b).ready;
		b.idle = true;
		bed_pass(&b, 2500000);
		CHECK(bed_stats(&b).ready > before);
	}
	bed_pass(&b, 2 * S);
	CHECK_INT(20000, bed_stats(&b).ready + b.nout);
	bed_end(&b);
}

static void after_a_long_night_everything_is_tried_once(void)
{
	struct bed b;

	bed_start(&b);
	bed_add(&b, "a@example.org", "b@x");
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	b.take_max = 0;
	bed_queue_end(&b);
	loop_clock_advance(b.loop, 20 * D);
	bed_queue_new(&b);
	b.take_max = 1;
	bed_restart(&b);
	NEED(b.nout == 1); /* its time is over, but it had no chance meanwhile */
	CHECK_INT(0, b.nsaid);
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "not even now");
	NEED(b.nsaid == 1);
	CHECK_INT(QUEUE_CAUSE_EXPIRED, b.said[0].cause);
	bed_end(&b);
}

static void unreadable_notes_hold(void)
{
	struct bed b;

	bed_start(&b);
	const uint64_t id = bed_add(&b, "a@example.org", "b@x");
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	spool_note(&b.spool, id, SPAN("\x63 from the future"));
	bed_restart(&b);
	bed_pass(&b, D);
	CHECK_INT(0, b.nout);
	CHECK_INT(1, bed_stats(&b).held);
	bed_end(&b);
}

/* What compaction writes is as good as all the notes before it. */
static void snapshots_say_it_all(void)
{
	struct bed b;
	struct spool_recovery rec;
	struct buf note = BUF_INIT(QUEUE_NOTE_MAX);

	bed_start(&b);
	const uint64_t fresh = bed_add(&b, "a@example.org", "b@x");
	const uint64_t id = bed_add(&b, "a@example.org", "b@x c@x d@y e@z f@u");
	b.notices_wait = true;
	for (unsigned i = 0; i < b.nout;) {
		const struct queue_work *w = &b.out[i];
		const char next = b.dest[i]->next_hop.p[0];
		if (w->id != id || next == 'u')
			i++;
		else
			bed_done(&b, i,
				 next == 'x'   ? QUEUE_DEFERRED
				 : next == 'y' ? QUEUE_DELIVERED
					       : QUEUE_BOUNCED,
				 451, "text");
	}
	queue_recovery(b.q, &rec);
	rec.snapshot(rec.arg, fresh, &note);
	CHECK_INT(0, note.n);
	rec.snapshot(rec.arg, 12345, &note);
	CHECK_INT(0, note.n);
	rec.snapshot(rec.arg, id, &note);
	CHECK(note.n > 0);
	/* It replaces what was noted. */
	struct bed_message *m = bed_find(&b.spool, id);
	for (struct list *link; (link = list_pop_front(&m->notes)) != NULL;)
		free(list_entry(link, struct bed_note, link));
	spool_note(&b.spool, id, buf_span(&note));
	buf_free(&note);
	NEED(b.nsaid == 1);
	queue_notice_done(b.q, b.said[0].notice, -ERR_IO);
	b.take_max = 10;
	bed_run(&b);
	m = bed_find(&b.spool, id);
	/* The note that says so is the last one of this life; the next begins with the snapshot alone. */
	list_for_each_safe(link, &m->notes)
		if (link != list_first(&m->notes)) {
			list_remove(link);
			free(list_entry(link, struct bed_note, link));
		}
	bed_restart(&b);
	const struct queue_stats st = bed_stats(&b);
	CHECK_INT(2, st.messages);
	CHECK_INT(5, st.recipients); /* b, and of the other: two wait, one ends, one is to be tried */
	CHECK_INT(2, st.waiting);
	CHECK_INT(1, st.ending);
	CHECK_INT(2, st.out);
	NEED(b.nsaid == 2);
	CHECK_INT(3, b.said[1].rcpt[0]);
	queue_notice_done(b.q, b.said[1].notice, 0);
	bed_run(&b);
	bed_end(&b);
}

static void copies_and_strangers_do_no_harm(void)
{
	struct bed b;
	struct spool_recovery rec;

	bed_start(&b);
	bed_queue_end(&b);
	bed_queue_new(&b);
	queue_recovery(b.q, &rec);
	CHECK_INT(-ERR_CORRUPT, rec.message(rec.arg, 7, SPAN("\xff\xff\xff not an envelope"), 1, 1));
	rec.note(rec.arg, 8, SPAN("\x01"));
	rec.dropped(rec.arg, 9);
	struct envelope_rcpt rcpt[1];
	struct envelope env = { .sender = SPAN("a@example.org"), .arrived_at_us = bed_now(&b) };
	struct buf meta = BUF_INIT(10000);
	bed_rcpts(&env, rcpt, 1, "b@x", 0);
	NEED(envelope_encode(&env, &meta));
	CHECK_INT(0, rec.message(rec.arg, 10, buf_span(&meta), 1, 1));
	CHECK_INT(0, rec.message(rec.arg, 10, buf_span(&meta), 1, 1));
	rec.dropped(rec.arg, 10);
	CHECK_INT(0, bed_stats(&b).messages);
	CHECK_INT(0, rec.message(rec.arg, 11, buf_span(&meta), 1, 1));
	buf_free(&meta);
	queue_free(&b.q); /* the spool could not be opened after all */
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	bed_end(&b);
}

TEST_MAIN(TEST(nobody_gets_it_twice), TEST(what_was_refused_is_not_tried_again),
	  TEST(what_the_queue_ended_is_told_once), TEST(a_million_do_not_come_at_once),
	  TEST(after_a_long_night_everything_is_tried_once), TEST(unreadable_notes_hold),
	  TEST(snapshots_say_it_all), TEST(copies_and_strangers_do_no_harm))
