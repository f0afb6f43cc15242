/* The promises of numbers: what a waiting message costs, and how long the queue keeps its loop from its
 * other work. */
#include "queue_bed.h"

#include <malloc.h>
#include <time.h>

#include "queue/queue_note.h"

/* A sanitizer's allocator is another one, and slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
	MANY = SANITIZED ? 20000 : 200000,
	ENTRY_MAX = 256 - 40, /* octets; the spool's index takes the rest */
	MEASURED = !SANITIZED,
};

static size_t in_use(void)
{
	const struct mallinfo2 mi = mallinfo2();

	return mi.uordblks + mi.hblkhd;
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Makes the queue anew with @n messages that wait an hour, of @ndomains destinations, all told the same. */
static void recover(struct bed *b, unsigned n, unsigned ndomains)
{
	const struct queue_note_group waiting = {
		.tag = QUEUE_NOTE_WAITING,
		.attempts = 4,
		.next_at_s = bed_now(b) / S + 3600,
		.reason = { .code = 451,
			    .enhanced = SPAN("4.3.2"),
			    .text = SPAN("mailbox is busy, come back later") },
	};
	struct spool_recovery rec;
	struct queue_note_writer w;
	struct buf note = BUF_INIT(1000), meta = BUF_INIT(1000);

	bed_queue_end(b);
	bed_queue_new(b);
	queue_recovery(b->q, &rec);
	queue_note_begin(&w, &note);
	queue_note_group_begin(&w, &waiting);
	queue_note_rcpt(&w, 0);
	queue_note_group_end(&w);
	NEED(queue_note_end(&w));
	for (unsigned i = 0; i < n; i++) {
		struct envelope_rcpt rcpt[1];
		struct envelope env = { .sender = SPAN("a@example.org"), .arrived_at_us = bed_now(b) };
		char to[64];

		snprintf(to, sizeof to, "someone@d%u.example", i % ndomains);
		bed_rcpts(&env, rcpt, 1, to, 0);
		buf_reset(&meta);
		NEED(envelope_encode(&env, &meta));
		rec.message(rec.arg, 1000000 + i, buf_span(&meta), 500, 1500);
		rec.note(rec.arg, 1000000 + i, buf_span(&note));
	}
	buf_free(&note);
	buf_free(&meta);
	queue_start(b->q, &b->spool);
	bed_run(b);
}

static void a_waiting_message_is_small(void)
{
	struct bed b;

	bed_start(&b);
	recover(&b, 1, 1);
	const size_t before = in_use();
	const uint64_t said_before = bed_stats(&b).bytes;
	recover(&b, MANY, 1);
	const size_t each = (in_use() - before) / MANY;
	const size_t said = (bed_stats(&b).bytes - said_before) / MANY;

	CHECK_INT(MANY, bed_stats(&b).waiting);
	CHECK(said <= ENTRY_MAX);
	if (MEASURED) {
		printf("  %zu octets a message, %zu as the queue counts\n", each, said);
		CHECK(each <= ENTRY_MAX);
		CHECK(said <= each + 8 && each <= said + 8); /* what the queue says is true */
	}
	bed_end(&b);
}

struct look {
	struct queue_action a;
	bool done;
};

static void on_done(struct op *op)
{
	container_of(op, struct look, a.op)->done = true;
}

/* The longest turn of the loop while somebody looks through everything. Generous: the machine may be busy. */
static void nobody_waits_while_an_operator_looks(void)
{
	struct bed b;
	struct look x = { 0 };
	struct scope scope;
	double longest = 0;

	bed_start(&b);
	recover(&b, MANY, 1000);
	scope_init(&scope, b.loop, NULL);
	queue_action_init(&x.a, on_done);
	x.a.verb = QUEUE_VERB_RETRY;
	x.a.select.domain = SPAN("@d17.example");
	NEED(queue_action_start(&x.a, &scope, b.q, 100 * S) == 0);
	b.take_max = 0;
	while (!x.done) {
		const double from = now_ms();
		loop_clock_advance(b.loop, 10);
		loop_run_once(b.loop, false);
		const double took = now_ms() - from;
		longest = took > longest ? took : longest;
	}
	CHECK_INT(MANY, x.a.seen);
	CHECK_INT(MANY / 1000, x.a.done_recipients);
	if (MEASURED) {
		printf("  longest turn %.2f ms\n", longest);
		CHECK(longest < 50);
	}
	bed_end(&b);
}

/* New mail among a hundred thousand that wait. */
static void new_mail_does_not_feel_old_mail(void)
{
	struct bed b;
	double took[2];

	bed_start(&b);
	for (unsigned full = 0; full < 2; full++) {
		if (full)
			recover(&b, MANY, 1000);
		const double from = now_ms();
		for (unsigned i = 0; i < 2000; i++) {
			bed_add(&b, "a@example.org", "b@fresh.example");
			NEED(b.nout == 1);
			bed_done(&b, 0, QUEUE_DELIVERED, 250, "ok");
		}
		took[full] = now_ms() - from;
	}
	CHECK_INT(4000, b.spool.drops);
	if (MEASURED)
		printf("  2000 messages: %.0f ms in an empty queue, %.0f ms in a full one\n", took[0],
		       took[1]);
	bed_end(&b);
}

TEST_MAIN(TEST(a_waiting_message_is_small), TEST(nobody_waits_while_an_operator_looks),
	  TEST(new_mail_does_not_feel_old_mail))
