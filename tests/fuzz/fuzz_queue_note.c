/* Notes of the spool: whatever octets they are, the queue recovers with its sums right; and what it then says
 * of itself in a snapshot recovers to the same. */
#include "../unit/queue/queue_bed.h"

#include <stddef.h>
#include <stdint.h>

#include "queue/queue_note.h"

static void require_that(bool x)
{
	if (!x)
		abort();
}

static struct queue_stats recovered(struct bed *b, struct span meta, struct span note, struct buf *snapshot)
{
	struct spool_recovery rec;

	bed_queue_new(b);
	queue_recovery(b->q, &rec);
	require_that(rec.message(rec.arg, 1, meta, 10, 10) == 0);
	if (note.n)
		rec.note(rec.arg, 1, note);
	buf_reset(snapshot);
	rec.snapshot(rec.arg, 1, snapshot);
	require_that(!snapshot->overflow);
	struct queue_stats st;
	queue_stats(b->q, &st);
	require_that(st.recipients <= 40);
	queue_free(&b->q);
	return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bed b;
	static struct buf meta, one, two;

	if (!b.loop) {
		struct envelope_rcpt rcpt[40];
		struct envelope env = { .sender = SPAN("a@example.org"), .arrived_at_us = 1000000 };

		bed_start(&b);
		bed_queue_end(&b);
		env.rcpt = rcpt;
		for (; env.nrcpt < 40; env.nrcpt++)
			rcpt[env.nrcpt] =
				(struct envelope_rcpt){ .address = SPAN("b@x"),
							.domain = env.nrcpt % 3 ? SPAN("x") : SPAN("y") };
		buf_init(&meta, 100000);
		buf_init(&one, QUEUE_NOTE_MAX);
		buf_init(&two, QUEUE_NOTE_MAX);
		require_that(envelope_encode(&env, &meta));
	}
	const struct queue_stats first = recovered(&b, buf_span(&meta), span_make(data, size), &one);
	const struct queue_stats again = recovered(&b, buf_span(&meta), buf_span(&one), &two);
	require_that(first.recipients == again.recipients);
	require_that(one.n == two.n);
	return 0;
}
