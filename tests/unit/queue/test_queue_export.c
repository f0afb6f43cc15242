#include "queue_bed.h"

#include "queue/queue_export.h"
#include "queue/queue_parcel.h"

struct trip {
	struct queue_export x;
	struct queue_import im;
	struct scope scope;
	struct buf octets;
	unsigned pieces, pause_each, done, rooms;
	int out_error;
};

static int on_out(struct queue_export *x, struct span piece)
{
	struct trip *t = container_of(x, struct trip, x);

	CHECK(buf_add_span(&t->octets, piece));
	t->pieces++;
	if (t->out_error)
		return t->out_error;
	return t->pause_each && t->pieces % t->pause_each == 0 ? -ERR_AGAIN : 0;
}

static void on_exported(struct op *op)
{
	container_of(op, struct trip, x.op)->done++;
}

static void on_imported(struct op *op)
{
	container_of(op, struct trip, im.op)->done++;
}

static void on_room(void *arg)
{
	((struct trip *)arg)->rooms++;
}

static void trip_start(struct bed *b, struct trip *t)
{
	*t = (struct trip){ 0 };
	scope_init(&t->scope, b->loop, NULL);
	buf_init(&t->octets, 1 << 20);
	queue_export_init(&t->x, on_exported);
	t->x.out = on_out;
}

static int export(struct bed *b, struct trip *t, uint64_t id)
{
	const int ret = queue_export_start(&t->x, &t->scope, b->q, id, M);

	if (ret < 0)
		return ret;
	t->done = 0;
	for (int i = 0; i < 100 && !t->done; i++) {
		bed_run(b);
		queue_export_more(&t->x);
	}
	CHECK_INT(1, t->done);
	return t->x.op.status;
}

/* Feeds @in in pieces of @step octets. Returns how many it took, or the error. */
static int64_t feed(struct bed *b, struct trip *t, struct span in, size_t step, bool *ended)
{
	int64_t fed = 0;

	*ended = false;
	queue_import_init(&t->im, b->q, on_imported);
	queue_import_on_room(&t->im, on_room, t);
	for (int tries = 0; in.n && !*ended && tries < 10000; tries++) {
		const int64_t n = queue_import_feed(&t->im, span_first(in, step), ended);
		if (n < 0)
			return n;
		in = span_skip(in, (size_t)n);
		fed += n;
		bed_run(b);
	}
	return fed;
}

static int import(struct bed *b, struct trip *t, struct span in, size_t step)
{
	bool ended;
	int64_t ret = feed(b, t, in, step, &ended);

	t->done = 0;
	if (ret >= 0)
		ret = ended ? queue_import_commit(&t->im, &t->scope) : -ERR_AGAIN;
	if (ret >= 0) {
		bed_run(b);
		CHECK_INT(1, t->done);
		ret = t->im.op.status;
	}
	queue_import_deinit(&t->im);
	return (int)ret;
}

static void there_and_back(size_t large, size_t step, unsigned pause_each, unsigned again_each)
{
	struct bed b;
	struct trip t;

	bed_start(&b);
	b.spool.large = large;
	b.spool.again_each = again_each;
	const uint64_t id = bed_add(&b, "a@example.org", "b@x c@x d@y e@z");
	for (unsigned i = 0; b.nout > 0;)
		bed_done(&b, i,
			 b.dest[i]->next_hop.p[0] == 'x'   ? QUEUE_DEFERRED
			 : b.dest[i]->next_hop.p[0] == 'y' ? QUEUE_DELIVERED
							   : QUEUE_HELD,
			 451, "text");
	trip_start(&b, &t);
	t.pause_each = pause_each;
	CHECK_INT(0, export(&b, &t, id));
	CHECK_INT(3, bed_stats(&b).recipients); /* nothing was changed */

	CHECK_INT(0, import(&b, &t, buf_span(&t.octets), step));
	CHECK(t.im.id != id);
	if (again_each && large)
		CHECK(t.rooms > 0);
	CHECK_INT(6, bed_stats(&b).recipients);
	CHECK_INT(4, bed_stats(&b).waiting);
	CHECK_INT(2, bed_stats(&b).held);
	const struct bed_message *from = bed_find(&b.spool, id), *to = bed_find(&b.spool, t.im.id);
	CHECK(span_eq(from->image->meta, to->image->meta));
	CHECK(span_eq(from->image->head, to->image->head));
	CHECK(span_eq(from->image->body, to->image->body));
	CHECK_INT(from->image->file_bytes, to->image->file_bytes);
	CHECK(!from->body || strcmp(from->body, to->body) == 0);
	bed_restart(&b); /* the state is in the spool too */
	CHECK_INT(6, bed_stats(&b).recipients);
	CHECK_INT(4, bed_stats(&b).waiting);
	bed_pass(&b, 6 * M);
	CHECK_INT(2, b.nout);
	CHECK_INT(2, b.out[0].attempt);
	buf_free(&t.octets);
	bed_end(&b);
}

static void small_ones_travel(void)
{
	there_and_back(0, SIZE_MAX, 0, 0);
	there_and_back(0, 1, 1, 3);
}

static void large_ones_travel(void)
{
	there_and_back(1, SIZE_MAX, 0, 0);
	there_and_back(1, 5, 2, 2);
	there_and_back(1, 1, 1, 1);
}

static void several_in_a_row(void)
{
	struct bed b;
	struct trip t;

	bed_start(&b);
	b.idle = true;
	const uint64_t one = bed_add(&b, "a@example.org", "b@x"), two = bed_add(&b, "", "c@y");
	trip_start(&b, &t);
	CHECK_INT(0, export(&b, &t, one));
	const size_t first = t.octets.n;
	CHECK_INT(0, export(&b, &t, two));
	bool ended;
	CHECK_INT(first, feed(&b, &t, buf_span(&t.octets), SIZE_MAX, &ended)); /* no octet of the next one */
	CHECK(ended);
	queue_import_deinit(&t.im);
	CHECK_INT(0, import(&b, &t, span_skip(buf_span(&t.octets), first), SIZE_MAX));
	CHECK_INT(3, bed_stats(&b).messages);
	buf_free(&t.octets);
	bed_end(&b);
}

static void what_is_out_is_busy(void)
{
	struct bed b;
	struct trip t;

	bed_start(&b);
	const uint64_t id = bed_add(&b, "a@example.org", "b@x");
	trip_start(&b, &t);
	CHECK_INT(-ERR_BUSY, export(&b, &t, id));
	CHECK_INT(-ERR_NOTFOUND, export(&b, &t, 99));
	bed_done(&b, 0, QUEUE_DEFERRED, 451, "later");
	b.spool.load_error = -ERR_CORRUPT;
	CHECK_INT(-ERR_CORRUPT, export(&b, &t, id));
	b.spool.load_error = 0;
	t.out_error = -ERR_CLOSED;
	CHECK_INT(-ERR_CLOSED, export(&b, &t, id));
	/* Cancelled while it is loaded, and while it pauses. */
	t.out_error = 0;
	t.done = 0;
	CHECK_INT(0, queue_export_start(&t.x, &t.scope, b.q, id, M));
	op_cancel(&t.x.op);
	bed_run(&b);
	CHECK_INT(1, t.done);
	CHECK_INT(-ERR_CANCELED, t.x.op.status);
	t.pause_each = 1;
	CHECK_INT(0, queue_export_start(&t.x, &t.scope, b.q, id, M));
	bed_run(&b);
	CHECK_INT(1, t.done);
	queue_export_more(&t.x);
	bed_queue_end(&b); /* it does not wait for ever */
	CHECK_INT(2, t.done);
	CHECK_INT(-ERR_CANCELED, t.x.op.status);
	bed_queue_new(&b);
	queue_start(b.q, &b.spool);
	buf_free(&t.octets);
	bed_end(&b);
}

static void damage_is_seen(void)
{
	struct bed b;
	struct trip t;

	bed_start(&b);
	b.idle = true;
	const uint64_t id = bed_add(&b, "a@example.org", "b@x");
	trip_start(&b, &t);
	CHECK_INT(0, export(&b, &t, id));
	for (size_t i = 0; i < t.octets.n; i++) {
		t.octets.p[i] ^= 0x40;
		CHECK(import(&b, &t, buf_span(&t.octets), SIZE_MAX) < 0);
		t.octets.p[i] ^= 0x40;
	}
	for (size_t n = 0; n < t.octets.n; n++)
		CHECK_INT(-ERR_AGAIN, import(&b, &t, span_first(buf_span(&t.octets), n), SIZE_MAX));
	CHECK_INT(1, bed_stats(&b).messages);

	/* Lengths that nothing has. */
	struct queue_parcel p = { .envelope_n = UINT32_MAX };
	char fixed[QUEUE_PARCEL_FIXED];
	queue_parcel_write(&p, fixed);
	CHECK_INT(-ERR_TOOBIG, import(&b, &t, span_make(fixed, sizeof fixed), SIZE_MAX));
	/* The disk may be full before or after. */
	b.spool.begin_error = -ERR_NOSPACE;
	CHECK_INT(-ERR_NOSPACE, import(&b, &t, buf_span(&t.octets), SIZE_MAX));
	b.spool.begin_error = 0;
	b.spool.commit_error = -ERR_IO;
	CHECK_INT(-ERR_IO, import(&b, &t, buf_span(&t.octets), SIZE_MAX));
	CHECK_INT(1, bed_stats(&b).messages);
	buf_free(&t.octets);
	bed_end(&b);
}

TEST_MAIN(TEST(small_ones_travel), TEST(large_ones_travel), TEST(several_in_a_row), TEST(what_is_out_is_busy),
	  TEST(damage_is_seen))
