/* TLS between an owner and the stream below.
 *
 *   1. the lower stream is readable: OpenSSL takes its octets through our BIO, whole records come out     read_input
 *   2. the owner is told and consumes; what it leaves is kept, nothing left holds nothing                 tell_readable
 *   3. its writes gather in the out queue; at the end of the turn they become records of up to 16 KiB     flush_output
 *      in the lower stream, as long as that takes them
 *   4. stream_close(): the rest is encrypted, close_notify follows, the lower stream closes gracefully    end_output
 *   5. the lower stream's `closed` brings ours
 *
 * There is no buffer between OpenSSL and the lower stream: the BIO reads what is unread there and writes to its out queue; and
 * OpenSSL gives its record buffers back when they are empty (SSL_MODE_RELEASE_BUFFERS).
 *
 * Flow control: input stays below while the owner pauses. Output stays ours, and references stay references, while more than
 * STREAM_OUT_LOW waits below; a reference of no octets behind it tells when all that is sent (tls_filter_await_sent).
 *
 * Fails by: a record that is not right (OpenSSL sends the alert, we close), or the lower stream's end; both go through finish().
 */
#include <openssl/err.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_filter_priv.h"

enum {
	RECORD_MAX = 16 * 1024, /* RFC 8446 section 5.1 */
	PLAIN_MAX = 64 * 1024,  /* unread; then the lower stream is not read */
	PLAIN_MIN = 256,
	TURN_MAX = 1024 * 1024,            /* encrypted in one turn of the loop */
	HANDSHAKE_OCTETS_MAX = 256 * 1024, /* of a peer: two ClientHellos and a chain are far less */
	IOV_MAX_ = 16,
	CLOSE_US = 5 * 1000000,
};

enum { DUE_READABLE = 1, DUE_WRITABLE = 2, DUE_INPUT = 4, DUE_CLOSED = 8 };

static struct tls_filter *filter_of(const struct stream *s)
{
	return container_of(s, struct tls_filter, s);
}

static void finish(struct tls_filter *f, int err, bool graceful);

static void schedule_event(struct tls_filter *f, uint8_t due)
{
	f->due |= due;
	task_schedule(f->s.loop, &f->event_task);
}

/* ---- OpenSSL's side --------------------------------------------------------------------------------------- */

static int bio_read(BIO *bio, char *out, int n)
{
	struct tls_filter *f = BIO_get_data(bio);
	const struct span in = span_first(stream_input(f->lower), n > 0 ? (size_t)n : 0);

	BIO_clear_retry_flags(bio);
	if (f->phase == TLS_SHAKING && f->shaken_octets > HANDSHAKE_OCTETS_MAX)
		return -1;
	if (in.n == 0) {
		f->lower_ended = stream_eof(f->lower);
		if (f->lower_ended)
			return 0;
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(out, in.p, in.n);
	stream_consume(f->lower, in.n);
	if (f->phase == TLS_SHAKING)
		f->shaken_octets += (uint32_t)in.n;
	return (int)in.n;
}

static int bio_write(BIO *bio, const char *data, int n)
{
	struct tls_filter *f = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (stream_pending(f->lower) > STREAM_OUT_HIGH) {
		BIO_set_retry_write(bio);
		return -1;
	}
	return stream_write(f->lower, span_make(data, n > 0 ? (size_t)n : 0)) < 0 ? -1 : n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct tls_filter *f = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH: /* the end of the turn does it */
		return 1;
	case BIO_CTRL_EOF:
		return f->lower_ended;
	default:
		return 0;
	}
}

BIO_METHOD *tls_filter_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "postern stream");

	if (m && BIO_meth_set_read(m, bio_read) == 1 && BIO_meth_set_write(m, bio_write) == 1 &&
	    BIO_meth_set_ctrl(m, bio_ctrl) == 1)
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* ---- input ------------------------------------------------------------------------------------------------ */

/* What the owner left stays, in no more memory than it needs; nothing left, nothing held. */
static void keep_unread(struct tls_filter *f)
{
	const struct span left = f->unread;

	if (left.n == 0) {
		free(f->plain);
		f->plain = NULL;
		f->plain_cap = 0;
		f->unread = (struct span){ 0 };
		return;
	}
	if (left.p != f->plain)
		memmove(f->plain, left.p, left.n);
	if (f->plain_cap > PLAIN_MIN && f->plain_cap / 4 > left.n) {
		f->plain_cap = left.n > PLAIN_MIN ? (uint32_t)left.n : PLAIN_MIN;
		f->plain = mem_realloc(f->plain, f->plain_cap);
	}
	f->unread.p = f->plain;
}

static void reserve_plain(struct tls_filter *f, size_t more)
{
	size_t cap = f->unread.n + (more > PLAIN_MIN ? more : PLAIN_MIN);

	if (f->plain && f->unread.p != f->plain)
		memmove(f->plain, f->unread.p, f->unread.n);
	if (cap > PLAIN_MAX)
		cap = PLAIN_MAX;
	if (cap > f->plain_cap) {
		f->plain = mem_realloc(f->plain, cap);
		f->plain_cap = (uint32_t)cap;
	}
	f->unread.p = f->plain;
}

static bool can_read(const struct tls_filter *f)
{
	return f->phase == TLS_OPEN && f->gate.want && !f->s.eof && !f->held_up && f->unread.n < PLAIN_MAX;
}

static bool more_below(const struct tls_filter *f)
{
	return stream_input(f->lower).n > 0 || SSL_pending(f->ssl) > 0 || (stream_eof(f->lower) && !f->s.eof);
}

static void watch_lower(struct tls_filter *f)
{
	if (f->phase > TLS_OPEN)
		return;
	stream_want_input(f->lower, can_read(f));
	if (can_read(f) && more_below(f))
		schedule_event(f, DUE_INPUT);
}

/* The end of the input, orderly or not, or a record that is not right. */
static void input_ended(struct tls_filter *f, int ssl_error)
{
	if (ssl_error == SSL_ERROR_ZERO_RETURN) {
		f->s.eof = true;
		f->info->truncated = f->lower_ended;
	} else if (!f->lower->closing) { /* else its `closed` says more */
		finish(f, -ERR_IO, true);
	}
}

/* Takes what there is, up to PLAIN_MAX. Returns whether the owner has to hear of it. */
static bool read_input(struct tls_filter *f)
{
	bool news = false;

	while (can_read(f) && more_below(f)) {
		size_t n = 0;
		reserve_plain(f, stream_input(f->lower).n + (size_t)SSL_pending(f->ssl));
		ERR_clear_error();
		if (SSL_read_ex(f->ssl, f->plain + f->unread.n, f->plain_cap - f->unread.n, &n) == 1) {
			f->unread.n += n;
			f->s.bytes_in += n;
			news = true;
			continue;
		}
		const int err = SSL_get_error(f->ssl, 0);
		if (err == SSL_ERROR_WANT_READ)
			break;
		if (err == SSL_ERROR_WANT_WRITE) { /* what must be answered first finds no room */
			f->held_up = true;
			tls_filter_await_sent(f);
			break;
		}
		input_ended(f, err);
		return news || f->s.eof;
	}
	return news;
}

static void remind_owner(struct tls_filter *f)
{
	if (input_gate_due(&f->gate) && (f->unread.n > 0 || f->s.eof))
		schedule_event(f, DUE_READABLE);
}

static void tell_readable(struct tls_filter *f)
{
	f->due &= (uint8_t)~DUE_READABLE;
	input_gate_enter(&f->gate, loop_turns(f->s.loop));
	if (f->s.events->readable)
		f->s.events->readable(&f->s, f->s.owner);
	input_gate_leave(&f->gate);
	if (f->phase != TLS_OPEN)
		f->unread = (struct span){ 0 };
	keep_unread(f);
	if (f->phase == TLS_OPEN)
		remind_owner(f);
}

static void take_input(struct tls_filter *f)
{
	if (!f->s.events) { /* the owner of the handshake is not told yet that it is over */
		schedule_event(f, DUE_INPUT);
		return;
	}
	const bool news = read_input(f);
	if (f->phase != TLS_OPEN)
		return;
	if (news)
		tell_readable(f);
	else
		keep_unread(f);
	watch_lower(f);
}

static struct span tls_input(struct stream *s)
{
	struct tls_filter *f = filter_of(s);

	return f->phase == TLS_OPEN ? f->unread : (struct span){ 0 };
}

static void tls_consume(struct stream *s, size_t n)
{
	struct tls_filter *f = filter_of(s);

	require(n <= f->unread.n);
	if (n == 0)
		return;
	f->unread = span_skip(f->unread, n);
	f->gate.took = true;
	if (f->gate.telling || f->phase != TLS_OPEN)
		return;
	if (f->unread.n == 0)
		keep_unread(f);
	watch_lower(f);
}

static void tls_want_input(struct stream *s, bool want)
{
	struct tls_filter *f = filter_of(s);

	input_gate_set(&f->gate, want, loop_turns(s->loop));
	if (f->phase != TLS_OPEN || f->gate.telling)
		return; /* take_input() looks at it when the owner returns */
	if (want)
		remind_owner(f);
	watch_lower(f);
}

/* ---- output ----------------------------------------------------------------------------------------------- */

static void on_sent(void *arg)
{
	struct tls_filter *f = arg;

	f->marked = false;
	if (f->phase < TLS_FINISHED && f->phase != TLS_FAILED)
		task_schedule(f->s.loop, &f->flush_task);
}

void tls_filter_await_sent(struct tls_filter *f)
{
	if (f->marked || stream_pending(f->lower) == 0)
		return;
	f->marked = stream_write_ref(f->lower, (struct span){ 0 }, on_sent, f) == 0;
}

/* Up to a record's length from the front of the queue, in one piece: @room is used if it lies in several. */
static struct span next_record(struct tls_filter *f, char *room)
{
	struct iovec iov[IOV_MAX_];
	const unsigned count = out_queue_iov(&f->out, iov, IOV_MAX_);
	size_t n = 0;

	if (count == 1 || iov[0].iov_len >= RECORD_MAX)
		return span_first(span_make(iov[0].iov_base, iov[0].iov_len), RECORD_MAX);
	for (unsigned i = 0; i < count && n < RECORD_MAX; i++) {
		const struct span part =
			span_first(span_make(iov[i].iov_base, iov[i].iov_len), RECORD_MAX - n);
		memcpy(room + n, part.p, part.n);
		n += part.n;
	}
	return span_make(room, n);
}

/* Returns false when nothing more can be encrypted now. */
static bool encrypt_record(struct tls_filter *f)
{
	char room[RECORD_MAX];
	const struct span part = next_record(f, room);
	size_t n = 0;

	ERR_clear_error();
	if (SSL_write_ex(f->ssl, part.p, part.n, &n) == 1) {
		f->s.bytes_out += n;
		out_queue_sent(&f->out, loop_out_pool(f->s.loop), n);
		return f->phase == TLS_OPEN || f->phase == TLS_DRAINING; /* a `release` may close */
	}
	const int err = SSL_get_error(f->ssl, 0);
	if (err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE && !f->lower->closing)
		finish(f, -ERR_IO, true);
	return false;
}

/* RFC 8446 section 6.1: our last word, so that the peer knows that nothing was cut off. */
static void end_output(struct tls_filter *f)
{
	ERR_clear_error();
	SSL_shutdown(f->ssl);
	finish(f, 0, true);
}

static size_t tls_pending(const struct stream *s)
{
	const struct tls_filter *f = filter_of(s);

	return f->out.pending_bytes + (f->lower ? stream_pending(f->lower) : 0);
}

/* Does the lower stream take more? Sends what it has when it seems full. */
static bool room_below(struct tls_filter *f)
{
	if (stream_pending(f->lower) > STREAM_OUT_LOW)
		stream_flush(f->lower);
	return stream_pending(f->lower) <= STREAM_OUT_LOW;
}

static void flush_output(struct tls_filter *f)
{
	const uint64_t before = f->s.bytes_out;
	bool going = true;

	while (going && f->out.pending_bytes > 0 && room_below(f)) {
		if (f->s.bytes_out - before >= TURN_MAX) {
			task_schedule(f->s.loop, &f->flush_task);
			break;
		}
		going = encrypt_record(f);
	}
	if (f->phase == TLS_DRAINING && f->out.pending_bytes == 0) {
		end_output(f);
		return;
	}
	if (f->phase != TLS_OPEN && f->phase != TLS_DRAINING)
		return;
	if (f->over_high && tls_pending(&f->s) <= STREAM_OUT_LOW) {
		f->over_high = false;
		schedule_event(f, DUE_WRITABLE);
	}
	if (f->over_high || f->out.pending_bytes > 0)
		tls_filter_await_sent(f);
}

static void run_flush(struct task *t)
{
	struct tls_filter *f = container_of(t, struct tls_filter, flush_task);

	if (f->phase == TLS_SHAKING) {
		tls_handshake_step(f);
		return;
	}
	f->held_up = false;
	flush_output(f);
	if (f->phase == TLS_OPEN)
		watch_lower(f);
}

static void tls_flush(struct stream *s)
{
	struct tls_filter *f = filter_of(s);

	if (f->phase != TLS_OPEN)
		return;
	flush_output(f);
	if (f->phase == TLS_OPEN)
		stream_flush(f->lower);
}

static int check_room(const struct tls_filter *f, size_t n)
{
	if (f->phase != TLS_OPEN || f->lower->closing)
		return -ERR_CLOSED;
	const size_t pending = tls_pending(&f->s);
	return n > STREAM_OUT_MAX || pending > STREAM_OUT_MAX - n ? -ERR_TOOBIG : 0;
}

static void written(struct tls_filter *f)
{
	if (tls_pending(&f->s) > STREAM_OUT_HIGH)
		f->over_high = true;
	if (!f->marked)
		task_schedule_last(f->s.loop, &f->flush_task);
}

static int tls_write(struct stream *s, struct span data)
{
	struct tls_filter *f = filter_of(s);
	const int err = check_room(f, data.n);

	if (err < 0)
		return err;
	out_queue_add(&f->out, loop_out_pool(s->loop), data);
	written(f);
	return 0;
}

static int tls_write_ref(struct stream *s, struct span data, void (*release)(void *arg), void *arg)
{
	struct tls_filter *f = filter_of(s);
	const int err = check_room(f, 0);

	if (err < 0)
		return err;
	out_queue_add_ref(&f->out, loop_out_pool(s->loop), data, release, arg);
	written(f);
	return 0;
}

/* ---- events ----------------------------------------------------------------------------------------------- */

static void tell_closed(struct tls_filter *f)
{
	f->phase = TLS_CLOSED;
	if (f->s.events)
		f->s.events->closed(&f->s, f->s.owner, f->err);
	else
		tls_filter_free(f);
}

static void run_events(struct task *t)
{
	struct tls_filter *f = container_of(t, struct tls_filter, event_task);
	const uint8_t due = f->due;

	f->due = 0;
	if (due & DUE_CLOSED) {
		tell_closed(f);
		return;
	}
	if (!f->s.events)
		return; /* its owner did not take it, and is about to close it */
	if ((due & DUE_WRITABLE) && f->phase == TLS_OPEN && f->s.events->writable)
		f->s.events->writable(&f->s, f->s.owner);
	if ((due & DUE_READABLE) && f->phase == TLS_OPEN) {
		if (f->gate.want)
			tell_readable(f);
		else
			f->gate.due = true;
	}
	if ((due & DUE_INPUT) && f->phase == TLS_OPEN)
		take_input(f);
	else if (f->phase == TLS_OPEN)
		watch_lower(f);
}

static void on_bound(struct timer *t)
{
	finish(container_of(t, struct tls_filter, bound), -ERR_TIMEOUT, false);
}

static void lower_readable(struct stream *lower, void *owner)
{
	struct tls_filter *f = owner;

	(void)lower;
	if (f->phase == TLS_SHAKING)
		tls_handshake_step(f);
	else if (f->phase == TLS_OPEN)
		take_input(f);
}

static void lower_deadline(struct stream *lower, void *owner)
{
	struct tls_filter *f = owner;

	(void)lower;
	if (f->phase == TLS_OPEN && f->s.events && f->s.events->deadline)
		f->s.events->deadline(&f->s, f->s.owner);
}

static void lower_closed(struct stream *lower, void *owner, int err)
{
	struct tls_filter *f = owner;
	const bool untold = f->phase == TLS_OPEN && !f->s.events;

	if (f->phase == TLS_SHAKING || f->phase == TLS_FAILED) {
		stream_free(lower);
		f->lower = NULL;
		tls_handshake_lower_closed(f, err);
		return;
	}
	if (f->phase < TLS_FINISHED)
		finish(f, err, false);
	else if (f->err == 0)
		f->err = err;
	stream_free(lower);
	f->lower = NULL;
	if (untold) /* behind the handshake's `done` */
		schedule_event(f, DUE_CLOSED);
	else
		tell_closed(f);
}

static const struct stream_events lower_events = {
	.readable = lower_readable,
	.deadline = lower_deadline,
	.closed = lower_closed,
};

static void tls_set_deadline(struct stream *s, int64_t in_us)
{
	struct tls_filter *f = filter_of(s);

	if (f->lower)
		stream_set_deadline(f->lower, f->phase == TLS_OPEN ? in_us : 0);
}

/* ---- end -------------------------------------------------------------------------------------------------- */

/* Unread octets stay in memory until `closed`: the owner may be looking at them right now. */
static void finish(struct tls_filter *f, int err, bool graceful)
{
	if (f->phase >= TLS_FINISHED)
		return;
	f->phase = TLS_FINISHED;
	f->s.closing = true;
	f->err = err;
	timer_unset(f->s.loop, &f->bound);
	task_unschedule(&f->flush_task);
	task_unschedule(&f->event_task);
	f->due = 0;
	out_queue_clear(&f->out, loop_out_pool(f->s.loop));
	stream_set_deadline(f->lower, 0);
	stream_close(f->lower, graceful);
}

static void tls_close(struct stream *s, bool graceful)
{
	struct tls_filter *f = filter_of(s);

	if (!graceful) {
		finish(f, 0, false);
		if (f->lower)
			stream_close(f->lower, false);
		return;
	}
	if (f->phase != TLS_OPEN)
		return;
	f->phase = TLS_DRAINING;
	s->closing = true;
	stream_set_deadline(f->lower, 0);
	stream_want_input(f->lower, false);
	timer_set_in(s->loop, &f->bound, CLOSE_US);
	task_unschedule(&f->event_task);
	f->due = 0;
	if (!f->marked)
		task_schedule_last(s->loop, &f->flush_task);
}

static void tls_free(struct stream *s)
{
	struct tls_filter *f = filter_of(s);

	require(f->phase == TLS_CLOSED);
	tls_filter_free(f);
}

const struct stream_ops tls_filter_ops = {
	.input = tls_input,
	.consume = tls_consume,
	.want_input = tls_want_input,
	.write = tls_write,
	.write_ref = tls_write_ref,
	.flush = tls_flush,
	.pending = tls_pending,
	.set_deadline = tls_set_deadline,
	.close = tls_close,
	.free = tls_free,
};

struct tls_filter *tls_filter_new(struct stream *lower, struct tls_live *live, bool serving)
{
	struct tls_filter *f = mem_alloc(sizeof *f);
	BIO *bio = BIO_new(live->bio);

	f->live = live;
	f->serving = serving;
	f->ssl = SSL_new(live->ctx);
	if (!f->ssl || !bio) {
		BIO_free(bio);
		tls_filter_free(f);
		return NULL;
	}
	BIO_set_data(bio, f);
	BIO_set_init(bio, 1);
	SSL_set_bio(f->ssl, bio, bio);
	SSL_set_app_data(f->ssl, f);
	if (serving)
		SSL_set_accept_state(f->ssl);
	else
		SSL_set_connect_state(f->ssl);
	f->s = (struct stream){
		.ops = &tls_filter_ops, .loop = lower->loop, .peer = lower->peer, .local = lower->local
	};
	f->lower = lower;
	input_gate_init(&f->gate);
	timer_init(&f->bound, on_bound);
	task_init(&f->flush_task, run_flush);
	task_init(&f->event_task, run_events);
	return f;
}

void tls_filter_free(struct tls_filter *f)
{
	SSL_free(f->ssl); /* before the live set that its BIO is of */
	tls_live_unref(&f->live);
	if (f->serving)
		tls_server_unref(&f->of.server);
	else
		tls_client_unref(&f->of.client);
	tls_info_free(&f->info);
	free(f->hello);
	free(f->plain);
	free(f);
}

void tls_filter_take_over(struct tls_filter *f)
{
	stream_set_owner(f->lower, &lower_events, f);
	stream_set_deadline(f->lower, 0);
	stream_want_input(f->lower, true);
}

void tls_filter_open(struct tls_filter *f)
{
	f->phase = TLS_OPEN;
	f->info = tls_info_new(f);
	free(f->hello);
	f->hello = NULL;
	f->h = NULL;
	task_unschedule(&f->event_task);
	watch_lower(f);
}
