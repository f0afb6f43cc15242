/* From what the owner writes to records below.
 *
 *   1. writes gather in the out queue                                                           tls_output_write
 *   2. at the end of the turn they become records of up to 16 KiB                             tls_output_encrypt
 *   3. what the lower stream does not take at once waits here, references as references, until it has sent what it has: a
 *      reference of no octets behind that tells so                                           tls_output_await_sent
 *
 * Fails by OpenSSL's refusal, which breaks the stream.
 */
#include <openssl/err.h>

#include "base/check.h"
#include "tls/tls_filter_priv.h"

enum {
	RECORD_MAX = 16 * 1024, /* RFC 8446 section 5.1 */
	TURN_MAX = 1024 * 1024, /* encrypted in one turn of the loop */
	IOV_MAX_ = 16,
};

static void on_sent(void *arg)
{
	struct tls_filter *f = arg;

	f->marked = false;
	if (f->phase < TLS_FINISHED && f->phase != TLS_FAILED)
		task_schedule(f->s.loop, &f->flush_task);
}

void tls_output_await_sent(struct tls_filter *f)
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
		tls_filter_finish(f, -ERR_IO, true);
	return false;
}

/* RFC 8446 section 6.1: our last word, so that the peer knows that nothing was cut off. */
static void end_output(struct tls_filter *f)
{
	ERR_clear_error();
	SSL_shutdown(f->ssl);
	tls_filter_finish(f, 0, true);
}

size_t tls_output_pending(const struct stream *s)
{
	const struct tls_filter *f = tls_filter_of(s);

	return f->out.pending_bytes + (f->lower ? stream_pending(f->lower) : 0);
}

/* Does the lower stream take more? Sends what it has when it seems full. */
static bool room_below(struct tls_filter *f)
{
	if (stream_pending(f->lower) > STREAM_OUT_LOW)
		stream_flush(f->lower);
	return stream_pending(f->lower) <= STREAM_OUT_LOW;
}

void tls_output_encrypt(struct tls_filter *f)
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
	if (f->over_high && tls_output_pending(&f->s) <= STREAM_OUT_LOW) {
		f->over_high = false;
		tls_filter_tell(f, TLS_DUE_WRITABLE);
	}
	if (f->over_high || f->out.pending_bytes > 0)
		tls_output_await_sent(f);
}

void tls_output_flush(struct stream *s)
{
	struct tls_filter *f = tls_filter_of(s);

	if (f->phase != TLS_OPEN)
		return;
	tls_output_encrypt(f);
	if (f->phase == TLS_OPEN)
		stream_flush(f->lower);
}

static int check_room(const struct tls_filter *f, size_t n)
{
	if (f->phase != TLS_OPEN || f->lower->closing)
		return -ERR_CLOSED;
	const size_t pending = tls_output_pending(&f->s);
	return n > STREAM_OUT_MAX || pending > STREAM_OUT_MAX - n ? -ERR_TOOBIG : 0;
}

static void written(struct tls_filter *f)
{
	if (tls_output_pending(&f->s) > STREAM_OUT_HIGH)
		f->over_high = true;
	if (!f->marked)
		task_schedule_last(f->s.loop, &f->flush_task);
}

int tls_output_write(struct stream *s, struct span data)
{
	struct tls_filter *f = tls_filter_of(s);
	const int err = check_room(f, data.n);

	if (err < 0)
		return err;
	out_queue_add(&f->out, loop_out_pool(s->loop), data);
	written(f);
	return 0;
}

int tls_output_write_ref(struct stream *s, struct span data, void (*release)(void *arg), void *arg)
{
	struct tls_filter *f = tls_filter_of(s);
	const int err = check_room(f, 0);

	if (err < 0)
		return err;
	out_queue_add_ref(&f->out, loop_out_pool(s->loop), data, release, arg);
	written(f);
	return 0;
}
