#include "io/memory_stream.h"

#include "base/check.h"
#include "base/err.h"
#include "test.h"

struct bed {
	struct loop *l;
	struct memory_peer peer;
	struct stream *s;
	struct buf got;
	unsigned readable, writable, deadline, closed, reacted, released;
	int err;
	bool leave, ask, close_on_readable;
	size_t consume_max;
};

static void bed_readable(struct stream *s, void *owner)
{
	struct bed *b = owner;
	struct span in = stream_input(s);

	b->readable++;
	if (b->consume_max)
		in = span_first(in, b->consume_max);
	if (!b->leave) {
		buf_add_span(&b->got, in);
		stream_consume(s, in.n);
	}
	if (b->ask)
		stream_want_input(s, true);
	if (b->close_on_readable)
		stream_close(s, true);
}

static void bed_writable(struct stream *s, void *owner)
{
	(void)s;
	((struct bed *)owner)->writable++;
}

static void bed_deadline(struct stream *s, void *owner)
{
	(void)s;
	((struct bed *)owner)->deadline++;
}

static void bed_closed(struct stream *s, void *owner, int err)
{
	struct bed *b = owner;

	b->closed++;
	b->err = err;
	b->s = NULL;
	stream_free(s);
}

static const struct stream_events bed_events = { bed_readable, bed_writable, bed_deadline, bed_closed };

static void bed_react(struct memory_peer *p, void *arg)
{
	struct bed *b = arg;

	(void)p;
	b->reacted++;
}

static void count_release(void *arg)
{
	((struct bed *)arg)->released++;
}

static void bed_open(struct bed *b)
{
	*b = (struct bed){ .l = loop_new(), .got = BUF_INIT(1024 * 1024) };
	b->s = memory_stream_new(b->l, &b->peer);
	b->peer.react = bed_react;
	b->peer.arg = b;
	stream_set_owner(b->s, &bed_events, b);
}

static void turn(struct bed *b)
{
	loop_run_once(b->l, false);
}

static void bed_end(struct bed *b)
{
	if (b->s)
		stream_close(b->s, false);
	turn(b);
	turn(b);
	CHECK_INT(1, b->closed);
	CHECK(b->peer.stream == NULL);
	memory_stream_peer_deinit(&b->peer);
	loop_free(&b->l);
	buf_free(&b->got);
}

static void dialogue(void)
{
	struct bed b;

	bed_open(&b);
	memory_stream_send(&b.peer, SPAN("EHLO x\r\n"));
	CHECK_INT(0, b.readable);
	turn(&b);
	CHECK_SPAN("EHLO x\r\n", buf_span(&b.got));
	CHECK_INT(0, stream_write(b.s, SPAN("250-a\r\n")));
	CHECK_INT(0, stream_write_ref(b.s, SPAN("250 b\r\n"), count_release, &b));
	CHECK_INT(14, stream_pending(b.s));
	CHECK_SPAN("", buf_span(&b.peer.output));
	turn(&b);
	CHECK_SPAN("250-a\r\n250 b\r\n", buf_span(&b.peer.output));
	CHECK_INT(1, b.reacted);
	CHECK_INT(1, b.released);
	CHECK_INT(14, b.s->bytes_out);
	memory_stream_take_output(&b.peer, NULL);
	CHECK_INT(0, b.peer.output.n);
	bed_end(&b);
}

static void half_a_line_waits_without_calls(void)
{
	struct bed b;

	bed_open(&b);
	b.leave = b.ask = true;
	memory_stream_send(&b.peer, SPAN("EH"));
	for (unsigned i = 0; i < 10; i++)
		turn(&b);
	CHECK_INT(1, b.readable);
	memory_stream_send(&b.peer, SPAN("LO"));
	turn(&b);
	CHECK_INT(2, b.readable);
	CHECK_SPAN("EHLO", stream_input(b.s));
	b.leave = false;
	b.consume_max = 1;
	stream_want_input(b.s, true); /* later, when a hook has answered: the rest is told again */
	for (unsigned i = 0; i < 8; i++)
		turn(&b);
	CHECK_SPAN("EHLO", buf_span(&b.got));
	CHECK_INT(6, b.readable);
	bed_end(&b);
}

static void octets_sent_in_pieces_join_what_is_unread(void)
{
	struct bed b;
	struct buf taken = BUF_INIT(100);

	bed_open(&b);
	b.consume_max = 3;
	memory_stream_send(&b.peer, SPAN("abcde"));
	turn(&b);
	memory_stream_send(&b.peer, SPAN("fgh"));
	CHECK_SPAN("defgh", stream_input(b.s));
	turn(&b);
	CHECK_SPAN("abcdef", buf_span(&b.got));
	CHECK_SPAN("gh", stream_input(b.s));
	CHECK_INT(0, stream_write(b.s, SPAN("one")));
	turn(&b);
	memory_stream_take_output(&b.peer, &taken);
	CHECK_INT(0, stream_write(b.s, SPAN("two")));
	turn(&b);
	memory_stream_take_output(&b.peer, &taken);
	CHECK_SPAN("onetwo", buf_span(&taken));
	buf_free(&taken);
	bed_end(&b);
}

static void pause_and_end_of_input(void)
{
	struct bed b;

	bed_open(&b);
	stream_want_input(b.s, false);
	memory_stream_send(&b.peer, SPAN("QUIT"));
	memory_stream_send_eof(&b.peer);
	memory_stream_send(&b.peer, SPAN("after the end"));
	turn(&b);
	CHECK_INT(0, b.readable);
	stream_want_input(b.s, true);
	CHECK_INT(0, b.readable);
	turn(&b);
	CHECK_INT(1, b.readable);
	CHECK(stream_eof(b.s));
	CHECK_SPAN("QUIT", buf_span(&b.got));
	bed_end(&b);
	CHECK_INT(0, b.err);
}

static void stalled_peer_makes_output_wait(void)
{
	static char text[STREAM_OUT_HIGH];
	struct bed b;

	bed_open(&b);
	memory_stream_stall(&b.peer, true);
	CHECK_INT(0, stream_write(b.s, span_make(text, sizeof text)));
	CHECK_INT(0, stream_write(b.s, SPAN("x")));
	turn(&b);
	CHECK_INT(sizeof text + 1, stream_pending(b.s));
	CHECK_INT(0, b.peer.output.n);
	CHECK_INT(-ERR_TOOBIG, stream_write(b.s, span_make(NULL, STREAM_OUT_MAX)));
	memory_stream_stall(&b.peer, false);
	turn(&b);
	turn(&b);
	CHECK_INT(sizeof text + 1, b.peer.output.n);
	CHECK_INT(1, b.writable);
	bed_end(&b);
}

static void graceful_close_sends_first_and_is_bounded(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(0, stream_write(b.s, SPAN("221\r\n")));
	stream_close(b.s, true);
	CHECK_INT(0, b.closed);
	turn(&b);
	turn(&b);
	CHECK_INT(1, b.closed);
	CHECK_INT(0, b.err);
	CHECK(b.peer.ended);
	CHECK_SPAN("221\r\n", buf_span(&b.peer.output)); /* outlives the stream */
	memory_stream_send(&b.peer, SPAN("nobody there"));
	bed_end(&b);

	bed_open(&b);
	memory_stream_stall(&b.peer, true);
	CHECK_INT(0, stream_write_ref(b.s, SPAN("221\r\n"), count_release, &b));
	stream_close(b.s, true);
	turn(&b);
	CHECK_INT(0, b.closed);
	loop_clock_advance(b.l, 6 * 1000000);
	for (unsigned i = 0; i < 5; i++)
		turn(&b);
	CHECK_INT(1, b.closed);
	CHECK_INT(-ERR_TIMEOUT, b.err);
	CHECK_INT(1, b.released);
	bed_end(&b);
}

static void reset_and_a_peer_that_goes_first(void)
{
	struct bed b;

	bed_open(&b);
	memory_stream_send(&b.peer, SPAN("unseen"));
	memory_stream_reset(&b.peer, -ERR_TIMEOUT);
	CHECK_INT(0, b.closed);
	turn(&b);
	CHECK_INT(1, b.closed);
	CHECK_INT(0, b.readable);
	CHECK_INT(-ERR_TIMEOUT, b.err);
	bed_end(&b);

	bed_open(&b);
	memory_stream_peer_deinit(&b.peer);
	CHECK_INT(-ERR_CLOSED, stream_write(b.s, SPAN("x")));
	turn(&b);
	CHECK_INT(1, b.closed);
	CHECK_INT(-ERR_CLOSED, b.err);
	bed_end(&b);
}

static void close_within_readable(void)
{
	struct bed b;

	bed_open(&b);
	b.close_on_readable = true;
	memory_stream_send(&b.peer, SPAN("one"));
	turn(&b);
	memory_stream_send(&b.peer, SPAN("two"));
	turn(&b);
	CHECK_INT(1, b.readable);
	CHECK_INT(1, b.closed);
	bed_end(&b);
}

static void deadline_comes_once(void)
{
	struct bed b;

	bed_open(&b);
	stream_set_deadline(b.s, 300 * 1000000);
	loop_clock_advance(b.l, 300 * 1000000);
	turn(&b);
	turn(&b);
	CHECK_INT(1, b.deadline);
	CHECK_INT(0, b.closed);
	stream_set_deadline(b.s, 300 * 1000000);
	stream_set_deadline(b.s, 0);
	loop_clock_advance(b.l, 300 * 1000000);
	turn(&b);
	CHECK_INT(1, b.deadline);
	bed_end(&b);
}

/* A peer that answers by itself, as `simulate` has one. */
static void echo_react(struct memory_peer *p, void *arg)
{
	struct bed *b = arg;

	b->reacted++;
	memory_stream_send(p, buf_span(&p->output));
	memory_stream_take_output(p, NULL);
}

static void peer_may_answer_from_react(void)
{
	struct bed b;

	bed_open(&b);
	b.peer.react = echo_react;
	CHECK_INT(0, stream_write(b.s, SPAN("ping")));
	stream_flush(b.s);
	CHECK_INT(0, b.reacted);
	turn(&b);
	CHECK_INT(1, b.reacted);
	turn(&b);
	CHECK_SPAN("ping", buf_span(&b.got));
	bed_end(&b);
}

TEST_MAIN(TEST(dialogue), TEST(half_a_line_waits_without_calls),
	  TEST(octets_sent_in_pieces_join_what_is_unread), TEST(pause_and_end_of_input),
	  TEST(stalled_peer_makes_output_wait), TEST(graceful_close_sends_first_and_is_bounded),
	  TEST(reset_and_a_peer_that_goes_first), TEST(close_within_readable), TEST(deadline_comes_once),
	  TEST(peer_may_answer_from_react))
