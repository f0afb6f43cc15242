#include "io/out_queue.h"

#include "base/buf.h"
#include "test.h"

static unsigned released;

static void count_release(void *arg)
{
	CHECK(arg == &released);
	released++;
}

/* Takes up to @n octets out of the queue as sendmsg() would. */
static void send_some(struct out_queue *q, struct out_pool *pool, size_t n, struct buf *to)
{
	struct iovec iov[4];
	const unsigned count = out_queue_iov(q, iov, 4);
	size_t sent = 0;

	for (unsigned i = 0; i < count && sent < n; i++) {
		const size_t part = iov[i].iov_len < n - sent ? iov[i].iov_len : n - sent;
		CHECK(buf_add(to, iov[i].iov_base, part));
		sent += part;
	}
	out_queue_sent(q, pool, sent);
}

/* Copies and references of all sizes, sent in portions that fit none of their borders. */
static void what_goes_in_comes_out_in_order(void)
{
	static char text[20000];
	struct out_pool pool = { 0 };
	struct out_queue q = { 0 };
	struct buf want = BUF_INIT(4 * 1024 * 1024), got = BUF_INIT(4 * 1024 * 1024);
	size_t portion = 1;

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)('A' + i * 7 % 53);
	released = 0;
	for (unsigned i = 0; i < 400; i++) {
		const struct span data = span_make(text + i * 13, (size_t)i * i % 9001);
		if (i % 3 == 0)
			out_queue_add_ref(&q, &pool, data, count_release, &released);
		else
			out_queue_add(&q, &pool, data);
		buf_add_span(&want, data);
		CHECK_INT(want.n - got.n, q.pending_bytes);
		if (i % 4 == 0)
			send_some(&q, &pool, portion = portion * 5 % 8191, &got);
	}
	while (q.pending_bytes > 0)
		send_some(&q, &pool, 4093, &got);
	CHECK(span_eq(buf_span(&want), buf_span(&got)));
	CHECK_INT(134, released);
	CHECK(q.first == NULL && q.last == NULL);
	buf_free(&want);
	buf_free(&got);
	out_pool_deinit(&pool);
}

static void small_writes_share_a_segment(void)
{
	struct out_pool pool = { 0 };
	struct out_queue q = { 0 };
	struct iovec iov[8];

	for (unsigned i = 0; i < 100; i++)
		out_queue_add(&q, &pool, SPAN("250 2.1.5 ok\r\n"));
	CHECK_INT(1, out_queue_iov(&q, iov, 8));
	CHECK_INT(1400, iov[0].iov_len);
	out_queue_sent(&q, &pool, 1400);
	CHECK_INT(1, pool.copies_n);
	out_queue_add(&q, &pool, SPAN("x"));
	CHECK_INT(0, pool.copies_n); /* taken from there again */
	out_queue_clear(&q, &pool);
	CHECK_INT(0, q.pending_bytes);
	CHECK_INT(1, pool.copies_n);
	out_pool_deinit(&pool);
	CHECK_INT(0, pool.copies_n);
}

static void pool_keeps_a_bounded_number(void)
{
	static char text[OUT_SEG_BYTES];
	struct out_pool pool = { 0 };
	struct out_queue q = { 0 };

	for (unsigned i = 0; i < OUT_POOL_MAX * 2; i++) {
		out_queue_add(&q, &pool, span_make(text, sizeof text));
		out_queue_add_ref(&q, &pool, span_make(text, 1), NULL, NULL);
	}
	out_queue_clear(&q, &pool);
	CHECK_INT(OUT_POOL_MAX, pool.copies_n);
	CHECK_INT(OUT_POOL_MAX, pool.refs_n);
	out_pool_deinit(&pool);
}

static void empty_parts_are_dropped_with_their_neighbours(void)
{
	struct out_pool pool = { 0 };
	struct out_queue q = { 0 };
	struct iovec iov[8];

	released = 0;
	out_queue_add_ref(&q, &pool, SPAN(""), count_release, &released);
	out_queue_add(&q, &pool, SPAN(""));
	out_queue_add(&q, &pool, SPAN("ab"));
	out_queue_add_ref(&q, &pool, SPAN(""), count_release, &released);
	CHECK_INT(1, out_queue_iov(&q, iov, 8));
	CHECK_INT(0, released);
	out_queue_sent(&q, &pool, 1);
	CHECK_INT(1, released);
	CHECK_INT(1, q.pending_bytes);
	out_queue_sent(&q, &pool, 1);
	CHECK_INT(2, released);
	CHECK(q.first == NULL);
	out_pool_deinit(&pool);
}

TEST_MAIN(TEST(what_goes_in_comes_out_in_order), TEST(small_writes_share_a_segment),
	  TEST(pool_keeps_a_bounded_number), TEST(empty_parts_are_dropped_with_their_neighbours))
