/* From records below to octets for the owner.
 *
 *   1. the lower stream is readable: OpenSSL takes what is there, whole records come out       read_input
 *   2. the owner is told, and consumes                                                        tls_input_tell
 *   3. what it leaves is kept in no more memory than it needs; nothing left holds nothing      keep_unread
 *
 * Input stays below while the owner pauses or has PLAIN_MAX unread. Fails by a record that is not right: OpenSSL sends the alert
 * and the stream breaks; the end without close_notify is an end like any other, and noted.
 */
#include <openssl/err.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_filter_priv.h"

enum {
	PLAIN_MAX = 64 * 1024, /* unread; then the lower stream is not read */
	PLAIN_MIN = 256,
};

/* What was in it may have been a password. */
static void drop_plain(struct tls_filter *f)
{
	if (f->plain)
		mem_wipe(f->plain, f->plain_cap);
	free(f->plain);
	f->plain = NULL;
	f->plain_cap = 0;
	f->unread = (struct span){ 0 };
}

/* As realloc(), but that nothing stays behind where the first @keep octets were. */
static void move_plain(struct tls_filter *f, size_t keep, size_t cap)
{
	char *to = mem_alloc_raw(cap);

	if (keep)
		memcpy(to, f->unread.p, keep);
	if (f->plain)
		mem_wipe(f->plain, f->plain_cap);
	free(f->plain);
	f->plain = to;
	f->plain_cap = (uint32_t)cap;
}

/* What the owner left stays, in no more memory than it needs; nothing left, nothing held. */
static void keep_unread(struct tls_filter *f)
{
	const struct span left = f->unread;

	if (left.n == 0) {
		drop_plain(f);
		return;
	}
	if (f->plain_cap > PLAIN_MIN && f->plain_cap / 4 > left.n)
		move_plain(f, left.n, left.n > PLAIN_MIN ? left.n : PLAIN_MIN);
	else if (left.p != f->plain)
		memmove(f->plain, left.p, left.n);
	f->unread.p = f->plain;
}

static void reserve_plain(struct tls_filter *f, size_t more)
{
	size_t cap = f->unread.n + (more > PLAIN_MIN ? more : PLAIN_MIN);

	if (cap > PLAIN_MAX)
		cap = PLAIN_MAX;
	if (cap > f->plain_cap)
		move_plain(f, f->unread.n, cap);
	else if (f->plain && f->unread.p != f->plain)
		memmove(f->plain, f->unread.p, f->unread.n);
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

void tls_input_watch(struct tls_filter *f)
{
	if (f->phase > TLS_OPEN)
		return;
	stream_want_input(f->lower, can_read(f));
	if (can_read(f) && more_below(f))
		tls_filter_tell(f, TLS_DUE_INPUT);
}

/* The end of the input, orderly or not, or a record that is not right. */
static void input_ended(struct tls_filter *f, int ssl_error)
{
	if (ssl_error == SSL_ERROR_ZERO_RETURN) {
		f->s.eof = true;
		f->info->truncated = f->lower_ended;
	} else if (!f->lower->closing) { /* else its `closed` says more */
		f->info->broken = span_of(ERR_reason_error_string(ERR_peek_last_error()));
		tls_filter_finish(f, -ERR_IO, true);
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
			tls_output_await_sent(f);
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
		tls_filter_tell(f, TLS_DUE_READABLE);
}

void tls_input_tell(struct tls_filter *f)
{
	f->due &= (uint8_t)~TLS_DUE_READABLE;
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

void tls_input_take(struct tls_filter *f)
{
	if (!f->s.events) { /* the owner of the handshake is not told yet that it is over */
		tls_filter_tell(f, TLS_DUE_INPUT);
		return;
	}
	const bool news = read_input(f);
	if (f->phase != TLS_OPEN)
		return;
	if (news)
		tls_input_tell(f);
	else
		keep_unread(f);
	tls_input_watch(f);
}

struct span tls_input_unread(struct stream *s)
{
	const struct tls_filter *f = tls_filter_of(s);

	return f->phase == TLS_OPEN ? f->unread : (struct span){ 0 };
}

void tls_input_consume(struct stream *s, size_t n)
{
	struct tls_filter *f = tls_filter_of(s);

	require(n <= f->unread.n);
	if (n == 0)
		return;
	f->unread = span_skip(f->unread, n);
	f->gate.took = true;
	if (f->gate.telling || f->phase != TLS_OPEN)
		return;
	if (f->unread.n == 0)
		keep_unread(f);
	tls_input_watch(f);
}

void tls_input_want(struct stream *s, bool want)
{
	struct tls_filter *f = tls_filter_of(s);

	input_gate_set(&f->gate, want, loop_turns(s->loop));
	if (f->phase != TLS_OPEN || f->gate.telling)
		return; /* tls_input_take() looks at it when the owner returns */
	if (want)
		remind_owner(f);
	tls_input_watch(f);
}
