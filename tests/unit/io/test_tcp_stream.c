#include "base/check.h"
#include "tcp_bed.h"

static char big[1024 * 1024]; /* a pattern that shows a gap or a repetition */

static void fill_big(void)
{
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)('a' + (i * 31 + i / 257) % 26);
}

static void count_release(void *arg)
{
	struct bed *b = arg;

	b->released++;
}

/* ---- input --------------------------------------------------------------------------------------------- */

static void octets_come_and_go(void)
{
	struct bed b;
	char answer[64];
	int end;

	bed_open(&b);
	b.echo = true;
	peer_send(&b, SPAN("EHLO one\r\n"));
	CHECK_INT(10, peer_read(&b, answer, 10, &end));
	CHECK_SPAN("EHLO one\r\n", buf_span(&b.got));
	CHECK_SPAN("EHLO one\r\n", span_make(answer, 10));
	CHECK_INT(1, b.readable);
	CHECK_INT(10, b.s->bytes_in);
	CHECK_INT(10, b.s->bytes_out);
	CHECK_INT(b.at.port, b.s->local.port);
	CHECK_STR("127.0.0.1", ip_format(&b.s->peer.addr).s);
	CHECK(!stream_eof(b.s));
	bed_end(&b);
	CHECK_INT(0, b.err);
}

static void half_a_line_waits_without_calls(void)
{
	struct bed b;

	bed_open(&b);
	b.leave = b.ask = true; /* asks each time, as a session does */
	peer_send(&b, SPAN("EHL"));
	UNTIL(b.loop, b.readable);
	spin(b.loop, 20);
	CHECK_INT(1, b.readable);
	CHECK_SPAN("EHL", stream_input(b.s));
	peer_send(&b, SPAN("O two\r\n"));
	UNTIL(b.loop, b.readable == 2);
	CHECK_SPAN("EHLO two\r\n", stream_input(b.s));
	stream_consume(b.s, 5);
	CHECK_SPAN("two\r\n", stream_input(b.s));
	stream_consume(b.s, 5);
	CHECK_SPAN("", stream_input(b.s));
	bed_end(&b);
}

static void owner_that_takes_a_part_and_asks_is_called_for_the_rest(void)
{
	struct bed b;

	bed_open(&b);
	b.consume_max = 4;
	b.ask = true;
	peer_send(&b, SPAN("one two six "));
	UNTIL(b.loop, b.got.n == 12);
	spin(b.loop, 5);
	CHECK_SPAN("one two six ", buf_span(&b.got));
	CHECK(b.readable >= 3 && b.readable <= 4);
	bed_end(&b);
}

static void pause_stops_the_calls_and_leaves_the_octets_in_the_kernel(void)
{
	struct bed b;

	bed_open(&b);
	stream_want_input(b.s, false);
	peer_send(&b, SPAN("later"));
	spin(b.loop, 10);
	CHECK_INT(0, b.readable);
	CHECK_INT(0, b.s->bytes_in);
	stream_want_input(b.s, true);
	CHECK_INT(0, b.readable);
	UNTIL(b.loop, b.readable);
	CHECK_SPAN("later", buf_span(&b.got));
	bed_end(&b);
}

/* A session that was busy when the octets came, and never said that it does not want them. */
static void octets_left_are_told_again_when_asked_for_later(void)
{
	struct bed b;

	bed_open(&b);
	b.leave = true;
	peer_send(&b, SPAN("abcdef"));
	UNTIL(b.loop, b.readable);
	spin(b.loop, 5);
	CHECK_INT(1, b.readable);
	b.leave = false;
	stream_want_input(b.s, true);
	UNTIL(b.loop, b.readable == 2);
	CHECK_SPAN("abcdef", buf_span(&b.got));
	bed_end(&b);
}

/* The owner does its work in a task of its own, and asks for more each time. */
struct deferred {
	struct bed b;
	struct task t;
};

static void deferred_run(struct task *t)
{
	struct deferred *d = container_of(t, struct deferred, t);

	stream_want_input(d->b.s, false);
	stream_want_input(d->b.s, true);
}

static void deferred_readable(struct stream *s, void *owner)
{
	struct deferred *d = owner;

	d->b.readable++;
	task_schedule(s->loop, &d->t);
}

static void asking_from_a_task_does_not_spin(void)
{
	static const struct stream_events deferred = { .readable = deferred_readable, .closed = bed_closed };
	struct deferred d;

	bed_open(&d.b);
	task_init(&d.t, deferred_run);
	stream_set_owner(d.b.s, &deferred, &d);
	peer_send(&d.b, SPAN("half a line"));
	UNTIL(d.b.loop, d.b.readable);
	spin(d.b.loop, 20);
	CHECK_INT(1, d.b.readable);
	bed_end(&d.b);
}

static void octets_left_before_a_pause_are_told_after_it(void)
{
	struct bed b;

	bed_open(&b);
	b.consume_max = 2;
	peer_send(&b, SPAN("abcdef"));
	UNTIL(b.loop, b.readable);
	stream_want_input(b.s, false);
	spin(b.loop, 5);
	CHECK_INT(1, b.readable);
	b.consume_max = 0;
	stream_want_input(b.s, true);
	CHECK_INT(1, b.readable); /* never from inside */
	UNTIL(b.loop, b.readable == 2);
	CHECK_SPAN("abcdef", buf_span(&b.got));
	bed_end(&b);
}

static void what_is_left_unread_is_bounded(void)
{
	struct bed b;
	size_t sent = 0;

	bed_open(&b);
	b.leave = true;
	for (unsigned i = 0; i < 200 && sent < 400000; i++) {
		const ssize_t n = send(b.peer_fd, big + sent, 400000 - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		loop_run_once(b.loop, false);
	}
	CHECK_INT(64 * 1024, stream_input(b.s).n);
	CHECK_INT(64 * 1024, b.s->bytes_in);
	b.leave = false;
	buf_add_span(&b.got, span_first(stream_input(b.s), 1000));
	stream_consume(b.s, 1000); /* room again: the rest comes */
	for (unsigned i = 0; i < 4000 && b.got.n < 400000; i++) {
		const ssize_t n = send(b.peer_fd, big + sent, 400000 - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		loop_run_once(b.loop, false);
	}
	CHECK_INT(400000, b.got.n);
	CHECK(span_eq(span_make(big, 400000), buf_span(&b.got)));
	bed_end(&b);
}

static void end_of_input_comes_with_what_is_unread(void)
{
	struct bed b;
	char answer[8];
	int end;

	bed_open(&b);
	b.leave = true;
	peer_send(&b, SPAN("QUIT"));
	UNTIL(b.loop, b.readable);
	shutdown(b.peer_fd, SHUT_WR);
	UNTIL(b.loop, stream_eof(b.s));
	CHECK_INT(2, b.readable);
	CHECK_SPAN("QUIT", stream_input(b.s));
	spin(b.loop, 20); /* an end that nobody acts on does not spin */
	CHECK_INT(2, b.readable);
	/* Half closed: our side still speaks. */
	CHECK_INT(0, stream_write(b.s, SPAN("221\r\n")));
	CHECK_INT(5, peer_read(&b, answer, 5, &end));
	stream_want_input(b.s, false);
	spin(b.loop, 2);
	stream_close(b.s, true);
	UNTIL(b.loop, b.closed);
	CHECK_INT(0, b.err);
	CHECK_INT(0, peer_read(&b, answer, 5, &end));
	CHECK_INT(0, end);
	bed_end(&b);
}

static void end_of_input_is_told_after_a_pause(void)
{
	struct bed b;

	bed_open(&b);
	stream_want_input(b.s, false);
	shutdown(b.peer_fd, SHUT_WR);
	spin(b.loop, 5);
	CHECK_INT(0, b.readable);
	stream_want_input(b.s, true);
	UNTIL(b.loop, b.readable);
	CHECK(stream_eof(b.s));
	CHECK_INT(1, b.readable);
	bed_end(&b);
}

static unsigned heir_readable_calls;

static void heir_readable(struct stream *s, void *owner)
{
	struct bed *b = owner;

	heir_readable_calls++;
	buf_add_span(&b->got, stream_input(s));
	stream_consume(s, stream_input(s).n);
}

static void hand_over_readable(struct stream *s, void *owner)
{
	static const struct stream_events heir = { .readable = heir_readable, .closed = bed_closed };

	stream_consume(s, 5); /* "first" */
	stream_set_owner(s, &heir, owner);
	stream_want_input(s, true);
	CHECK_INT(0, heir_readable_calls);
}

static void stream_can_be_handed_over_with_its_unread_octets(void)
{
	static const struct stream_events first = { .readable = hand_over_readable, .closed = bed_closed };
	struct bed b;

	bed_open(&b);
	heir_readable_calls = 0;
	stream_set_owner(b.s, &first, &b);
	peer_send(&b, SPAN("firstsecond"));
	UNTIL(b.loop, heir_readable_calls);
	CHECK_SPAN("second", buf_span(&b.got));
	bed_end(&b);
}

static void idle_stream_is_small(void)
{
	struct bed b;

	bed_open(&b);
	b.echo = true;
	peer_send(&b, SPAN("NOOP\r\n"));
	UNTIL(b.loop, b.readable);
	spin(b.loop, 2);
	printf("  an idle stream holds %zu octets\n", malloc_usable_size(b.s));
	CHECK(malloc_usable_size(b.s) <= 700);
	bed_end(&b);
}

/* ---- output -------------------------------------------------------------------------------------------- */

static void copies_and_references_keep_their_order(void)
{
	struct bed b;
	char answer[64 * 1024];
	int end;
	struct buf want = BUF_INIT(1024 * 1024);

	bed_open(&b);
	for (unsigned i = 0; i < 50; i++) {
		char word[16];
		const int n = snprintf(word, sizeof word, "<%u>", i);
		CHECK_INT(0, stream_write(b.s, span_make(word, (size_t)n)));
		buf_add(&want, word, (size_t)n);
		CHECK_INT(0, stream_write_ref(b.s, span_make(big + i * 100, 100), count_release, &b));
		buf_add(&want, big + i * 100, 100);
	}
	CHECK_INT(0, stream_write_ref(b.s, SPAN(""), count_release, &b));
	CHECK_INT(want.n, stream_pending(b.s));
	CHECK_INT(0, b.released);
	CHECK_INT(want.n, peer_read(&b, answer, want.n, &end));
	CHECK(span_eq(buf_span(&want), span_make(answer, want.n)));
	CHECK_INT(51, b.released);
	CHECK_INT(0, stream_pending(b.s));
	buf_free(&want);
	bed_end(&b);
	CHECK_INT(51, b.released);
}

static void release_writes_more(void *arg)
{
	struct bed *b = arg;

	b->released++;
	CHECK_INT(0, stream_write(b->s, SPAN("+")));
	stream_flush(b->s);
}

/* What a `release` writes comes behind, and what was sent with its reference is not sent again. */
static void release_may_write_and_flush(void)
{
	struct bed b;
	char answer[16];
	int end;

	bed_open(&b);
	CHECK_INT(0, stream_write_ref(b.s, SPAN("one"), release_writes_more, &b));
	CHECK_INT(0, stream_write(b.s, SPAN("two")));
	CHECK_INT(0, stream_write_ref(b.s, SPAN("six"), release_writes_more, &b));
	stream_flush(b.s);
	CHECK_INT(11, peer_read(&b, answer, 11, &end));
	CHECK_SPAN("onetwosix++", span_make(answer, 11));
	CHECK_INT(2, b.released);
	CHECK_INT(0, stream_pending(b.s));
	bed_end(&b);
}

static void flush_sends_at_once(void)
{
	struct bed b;
	char answer[8];

	bed_open(&b);
	CHECK_INT(0, stream_write(b.s, SPAN("220\r\n")));
	CHECK_INT(-1, recv(b.peer_fd, answer, 5, MSG_DONTWAIT));
	stream_flush(b.s);
	CHECK_INT(5, recv(b.peer_fd, answer, 5, 0));
	CHECK_INT(0, stream_pending(b.s));
	stream_flush(b.s);
	bed_end(&b);
}

/* Writes until the kernel and we are full; returns how much was taken. */
static size_t write_until_full(struct bed *b)
{
	size_t total = 0;

	for (unsigned i = 0; i < 2000; i++) {
		const struct span part = span_make(big + total % 1000003 % (sizeof big - 50000), 50000);
		if (stream_write(b->s, part) < 0)
			break;
		total += part.n;
		loop_run_once(b->loop, false);
	}
	return total;
}

static void slow_reader_gets_all_and_the_writer_is_told(void)
{
	struct bed b;
	char *answer = malloc(64 * 1024 * 1024);
	int end;

	bed_open(&b);
	const size_t total = write_until_full(&b);
	CHECK(stream_pending(b.s) > STREAM_OUT_HIGH && stream_pending(b.s) <= STREAM_OUT_MAX);
	CHECK_INT(-ERR_TOOBIG, stream_write(b.s, span_make(big, 60000)));
	CHECK_INT(0, b.writable);
	const size_t most = peer_read(&b, answer, total - 1000, &end);
	CHECK_INT(total - 1000, most);
	CHECK_INT(1, b.writable);
	CHECK_INT(1000, peer_read(&b, answer + most, 1000, &end));
	size_t at = 0;
	for (; at < total; at += 50000)
		if (memcmp(answer + at, big + at % 1000003 % (sizeof big - 50000), 50000) != 0)
			break;
	CHECK_INT(total, at);
	CHECK_INT(total, b.s->bytes_out);
	spin(b.loop, 3);
	CHECK_INT(1, b.writable);
	CHECK_INT(0, stream_pending(b.s));
	bed_end(&b);
	free(answer);
}

static void too_much_is_refused_before_it_is_taken(void)
{
	struct bed b;
	static char more[STREAM_OUT_MAX + 1];

	bed_open(&b);
	CHECK_INT(-ERR_TOOBIG, stream_write(b.s, span_make(more, sizeof more)));
	CHECK_INT(0, stream_pending(b.s));
	/* A reference costs us nothing. */
	CHECK_INT(0, stream_write_ref(b.s, span_make(more, sizeof more), count_release, &b));
	CHECK_INT(-ERR_TOOBIG, stream_write_ref(b.s, SPAN("x"), count_release, &b));
	CHECK_INT(-ERR_TOOBIG, stream_write(b.s, SPAN("x")));
	bed_end(&b);
	CHECK_INT(1, b.released); /* only what was taken */
}

static void peer_that_never_reads_is_dropped_after_the_stall_time(void)
{
	struct bed b;

	bed_open(&b);
	CHECK_INT(0, stream_write_ref(b.s, SPAN("head"), count_release, &b));
	write_until_full(&b);
	CHECK_INT(-ERR_TOOBIG, stream_write(b.s, span_make(big, 60000)));
	loop_clock_advance(b.loop, TCP_STALL_US - 2000000);
	spin(b.loop, 3);
	CHECK_INT(0, b.closed);
	loop_clock_advance(b.loop, 2000000);
	UNTIL(b.loop, b.closed);
	CHECK_INT(-ERR_TIMEOUT, b.err);
	CHECK_INT(1, b.released);
	bed_end(&b);
}

static void peer_that_reads_slowly_is_not_dropped(void)
{
	struct bed b;
	static char answer[512 * 1024];
	int end;

	bed_open(&b);
	write_until_full(&b);
	for (unsigned i = 0; i < 3; i++) {
		loop_clock_advance(b.loop, TCP_STALL_US - 2000000);
		spin(b.loop, 2);
		for (unsigned k = 0; k < 4; k++) /* enough that the kernel takes some more from us */
			CHECK_INT(sizeof answer, peer_read(&b, answer, sizeof answer, &end));
		CHECK_INT(0, b.closed);
		write_until_full(&b);
	}
	bed_end(&b);
	CHECK_INT(0, b.err);
}

/* ---- closing ------------------------------------------------------------------------------------------- */

static void closed_comes_later_and_writes_are_refused(void)
{
	struct bed b;

	bed_open(&b);
	stream_close(b.s, false);
	stream_close(b.s, true);
	CHECK_INT(0, b.closed);
	CHECK(b.s->closing);
	CHECK_INT(-ERR_CLOSED, stream_write(b.s, SPAN("x")));
	CHECK_INT(-ERR_CLOSED, stream_write_ref(b.s, SPAN("x"), count_release, &b));
	stream_want_input(b.s, true);
	stream_set_deadline(b.s, 1);
	stream_flush(b.s);
	UNTIL(b.loop, b.closed);
	CHECK_INT(0, b.err);
	CHECK_INT(0, b.released);
	bed_end(&b);
}

static void graceful_close_sends_what_is_pending(void)
{
	struct bed b;
	char answer[8];
	int end;

	bed_open(&b);
	CHECK_INT(0, stream_write(b.s, SPAN("221\r\n")));
	stream_close(b.s, true);
	CHECK_INT(-ERR_CLOSED, stream_write(b.s, SPAN("x")));
	CHECK_INT(5, peer_read(&b, answer, sizeof answer, &end));
	CHECK_INT(0, end);
	CHECK_INT(0, b.closed); /* lingers until the peer has closed too */
	close(b.peer_fd);
	b.peer_fd = -1;
	UNTIL(b.loop, b.closed);
	CHECK_INT(0, b.err);
	bed_end(&b);
}

/* RFC 5321 section 3.8: a client that talks on must still be able to read the 421 or 554. */
static void last_reply_reaches_a_peer_that_talks_on(void)
{
	struct bed b;
	char answer[64];
	int end;

	bed_open(&b);
	b.close_when = ON_READABLE;
	b.close_gracefully = true;
	b.echo = false;
	CHECK_INT(0, stream_write(b.s, SPAN("554 no\r\n")));
	for (unsigned i = 0; i < 20; i++) {
		if (send(b.peer_fd, big, 50000, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			CHECK_INT(EAGAIN, errno);
		loop_run_once(b.loop, false);
	}
	CHECK_INT(0, b.closed);
	CHECK_INT(8, peer_read(&b, answer, sizeof answer, &end));
	CHECK_INT(0, end); /* the end, not ECONNRESET */
	CHECK_SPAN("554 no\r\n", span_make(answer, 8));
	close(b.peer_fd);
	b.peer_fd = -1;
	UNTIL(b.loop, b.closed);
	CHECK_INT(0, b.err);
	bed_end(&b);
}

static void lingering_is_bounded(void)
{
	struct bed b;

	bed_open(&b);
	stream_close(b.s, true);
	spin(b.loop, 5);
	CHECK_INT(0, b.closed);
	loop_clock_advance(b.loop, TCP_LINGER_US);
	UNTIL(b.loop, b.closed);
	CHECK_INT(0, b.err);
	bed_end(&b);
}

static void talking_on_for_ever_is_bounded(void)
{
	struct bed b;

	bed_open(&b);
	stream_close(b.s, true);
	for (unsigned i = 0; i < 3000 && !b.closed; i++) {
		send(b.peer_fd, big, 50000, MSG_DONTWAIT | MSG_NOSIGNAL);
		loop_run_once(b.loop, false);
	}
	CHECK_INT(1, b.closed);
	bed_end(&b);
}

static void graceful_close_to_a_peer_that_never_reads_is_bounded(void)
{
	struct bed b;

	bed_open(&b);
	write_until_full(&b);
	CHECK_INT(0, stream_write_ref(b.s, SPAN("tail"), count_release, &b));
	stream_close(b.s, true);
	spin(b.loop, 5);
	CHECK_INT(0, b.closed);
	loop_clock_advance(b.loop, TCP_DRAIN_US);
	UNTIL(b.loop, b.closed);
	CHECK_INT(-ERR_TIMEOUT, b.err);
	CHECK_INT(1, b.released);
	bed_end(&b);
}

static void graceful_close_can_be_cut_short(void)
{
	struct bed b;

	bed_open(&b);
	write_until_full(&b);
	stream_close(b.s, true);
	spin(b.loop, 2);
	stream_close(b.s, false);
	UNTIL(b.loop, b.closed);
	CHECK_INT(0, b.err);
	bed_end(&b);
}

static void close_from_each_event(void)
{
	for (int when = ON_READABLE; when <= ON_DEADLINE; when++) {
		for (unsigned graceful = 0; graceful < 2; graceful++) {
			struct bed b;
			static char answer[8 * 1024 * 1024];
			int end;

			bed_open(&b);
			b.close_when = (unsigned)when;
			b.close_gracefully = graceful;
			if (when == ON_READABLE)
				peer_send(&b, SPAN("something"));
			if (when == ON_DEADLINE)
				stream_set_deadline(b.s, 1000);
			if (when == ON_WRITABLE) {
				const size_t n = write_until_full(&b);
				CHECK(n < sizeof answer);
				peer_read(&b, answer, sizeof answer, &end);
			}
			UNTIL(b.loop, b.readable + b.writable + b.deadline);
			CHECK_INT(1, b.readable + b.writable + b.deadline);
			close(b.peer_fd);
			b.peer_fd = -1;
			UNTIL(b.loop, b.closed);
			CHECK_INT(0, b.err);
			bed_end(&b);
		}
	}
}

static void reset_breaks_the_stream(void)
{
	struct bed b;

	bed_open(&b);
	peer_reset(&b);
	UNTIL(b.loop, b.closed);
	CHECK_INT(-ERR_CLOSED, b.err);
	bed_end(&b);
}

static void reset_is_seen_during_a_pause(void)
{
	struct bed b;

	bed_open(&b);
	stream_want_input(b.s, false);
	spin(b.loop, 2);
	peer_reset(&b);
	UNTIL(b.loop, b.closed);
	CHECK_INT(-ERR_CLOSED, b.err);
	CHECK_INT(0, b.readable);
	bed_end(&b);
}

static void octets_before_a_reset_are_told(void)
{
	struct bed b;

	bed_open(&b);
	peer_send(&b, SPAN("QUIT\r\n"));
	peer_reset(&b);
	UNTIL(b.loop, b.closed);
	CHECK_SPAN("QUIT\r\n", buf_span(&b.got));
	CHECK_INT(-ERR_CLOSED, b.err);
	bed_end(&b);
}

static void reset_in_the_middle_of_output_gives_the_references_back(void)
{
	struct bed b;

	bed_open(&b);
	write_until_full(&b);
	CHECK_INT(0, stream_write_ref(b.s, SPAN("tail"), count_release, &b));
	peer_reset(&b);
	UNTIL(b.loop, b.closed);
	CHECK_INT(-ERR_CLOSED, b.err);
	CHECK_INT(1, b.released);
	bed_end(&b);
}

static void reset_while_closing_gracefully(void)
{
	struct bed b;

	bed_open(&b);
	write_until_full(&b);
	stream_close(b.s, true);
	spin(b.loop, 2);
	peer_reset(&b);
	UNTIL(b.loop, b.closed);
	CHECK_INT(-ERR_CLOSED, b.err);
	bed_end(&b);
}

/* The peer is gone without our having read that: the write fails, and no signal ends the process. */
static void write_to_a_closed_peer_is_an_error_not_a_signal(void)
{
	struct bed b;

	bed_open(&b);
	stream_want_input(b.s, false);
	peer_send(&b, SPAN("unread"));
	spin(b.loop, 3); /* from now on the descriptor is not watched */
	peer_reset(&b);
	usleep(2000);
	CHECK_INT(0, stream_write(b.s, SPAN("220\r\n")));
	stream_flush(b.s);
	CHECK_INT(0, b.closed);
	UNTIL(b.loop, b.closed);
	CHECK_INT(-ERR_CLOSED, b.err);
	bed_end(&b);
}

static void deadline_comes_once_and_can_be_moved(void)
{
	struct bed b;

	bed_open(&b);
	stream_set_deadline(b.s, 1000);
	stream_set_deadline(b.s, 60 * 1000000);
	spin(b.loop, 10);
	CHECK_INT(0, b.deadline);
	loop_clock_advance(b.loop, 60 * 1000000);
	UNTIL(b.loop, b.deadline);
	spin(b.loop, 5);
	CHECK_INT(1, b.deadline);
	CHECK_INT(0, b.closed);
	stream_set_deadline(b.s, 1000);
	stream_set_deadline(b.s, 0);
	spin(b.loop, 10);
	CHECK_INT(1, b.deadline);
	bed_end(&b);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		TEST(octets_come_and_go),
		TEST(half_a_line_waits_without_calls),
		TEST(owner_that_takes_a_part_and_asks_is_called_for_the_rest),
		TEST(pause_stops_the_calls_and_leaves_the_octets_in_the_kernel),
		TEST(octets_left_are_told_again_when_asked_for_later),
		TEST(asking_from_a_task_does_not_spin),
		TEST(octets_left_before_a_pause_are_told_after_it),
		TEST(what_is_left_unread_is_bounded),
		TEST(end_of_input_comes_with_what_is_unread),
		TEST(end_of_input_is_told_after_a_pause),
		TEST(stream_can_be_handed_over_with_its_unread_octets),
		TEST(idle_stream_is_small),
		TEST(copies_and_references_keep_their_order),
		TEST(release_may_write_and_flush),
		TEST(flush_sends_at_once),
		TEST(slow_reader_gets_all_and_the_writer_is_told),
		TEST(too_much_is_refused_before_it_is_taken),
		TEST(peer_that_never_reads_is_dropped_after_the_stall_time),
		TEST(peer_that_reads_slowly_is_not_dropped),
		TEST(closed_comes_later_and_writes_are_refused),
		TEST(graceful_close_sends_what_is_pending),
		TEST(last_reply_reaches_a_peer_that_talks_on),
		TEST(lingering_is_bounded),
		TEST(talking_on_for_ever_is_bounded),
		TEST(graceful_close_to_a_peer_that_never_reads_is_bounded),
		TEST(graceful_close_can_be_cut_short),
		TEST(close_from_each_event),
		TEST(reset_breaks_the_stream),
		TEST(reset_is_seen_during_a_pause),
		TEST(octets_before_a_reset_are_told),
		TEST(reset_in_the_middle_of_output_gives_the_references_back),
		TEST(reset_while_closing_gracefully),
		TEST(write_to_a_closed_peer_is_an_error_not_a_signal),
		TEST(deadline_comes_once_and_can_be_moved),
	};

	fill_big();
	return test_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
