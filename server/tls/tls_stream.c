/* TLS between an owner and the stream below: its events, its life, its end.
 *
 *   1. the lower stream is readable: OpenSSL takes its octets through our BIO, whole records come out     tls_input.c, tls_bio.c
 *   2. the owner is told and consumes
 *   3. its writes gather in the out queue; at the end of the turn they become records below              tls_output.c
 *   4. stream_close(): the rest is encrypted, close_notify follows, the lower stream closes gracefully
 *   5. the lower stream's `closed` brings ours
 *
 * There is no buffer between OpenSSL and the lower stream, and OpenSSL gives its record buffers back when they are empty
 * (SSL_MODE_RELEASE_BUFFERS): an idle stream is its struct and OpenSSL's.
 *
 * Fails by: a record that is not right (OpenSSL sends the alert, we close), or the lower stream's end; both go through
 * tls_filter_finish().
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_filter_priv.h"

#define CLOSE_US (5 * INT64_C(1000000)) /* for what is pending, as TCP has for its part */

/* ---- events ----------------------------------------------------------------------------------------------- */

void tls_filter_tell(struct tls_filter *f, uint8_t due)
{
	f->due |= due;
	task_schedule(f->s.loop, &f->event_task);
}

static void run_flush(struct task *t)
{
	struct tls_filter *f = container_of(t, struct tls_filter, flush_task);

	if (f->phase == TLS_SHAKING) {
		tls_handshake_step(f);
		return;
	}
	f->held_up = false;
	tls_output_encrypt(f);
	if (f->phase == TLS_OPEN)
		tls_input_watch(f);
}

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
	if (due & TLS_DUE_CLOSED) {
		tell_closed(f);
		return;
	}
	if (!f->s.events)
		return; /* its owner did not take it, and is about to close it */
	if ((due & TLS_DUE_WRITABLE) && f->phase == TLS_OPEN && f->s.events->writable)
		f->s.events->writable(&f->s, f->s.owner);
	if ((due & TLS_DUE_READABLE) && f->phase == TLS_OPEN) {
		if (f->gate.want)
			tls_input_tell(f);
		else
			f->gate.due = true;
	}
	if ((due & TLS_DUE_INPUT) && f->phase == TLS_OPEN)
		tls_input_take(f);
	else if (f->phase == TLS_OPEN)
		tls_input_watch(f);
}

static void on_bound(struct timer *t)
{
	tls_filter_finish(container_of(t, struct tls_filter, bound), -ERR_TIMEOUT, false);
}

static void lower_readable(struct stream *lower, void *owner)
{
	struct tls_filter *f = owner;

	(void)lower;
	if (f->phase == TLS_SHAKING)
		tls_handshake_step(f);
	else if (f->phase == TLS_OPEN)
		tls_input_take(f);
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
		tls_filter_finish(f, err, false);
	else if (f->err == 0)
		f->err = err;
	stream_free(lower);
	f->lower = NULL;
	if (untold) /* behind the handshake's `done` */
		tls_filter_tell(f, TLS_DUE_CLOSED);
	else
		tell_closed(f);
}

static const struct stream_events lower_events = {
	.readable = lower_readable,
	.deadline = lower_deadline,
	.closed = lower_closed,
};

static void filter_set_deadline(struct stream *s, int64_t in_us)
{
	struct tls_filter *f = tls_filter_of(s);

	if (f->lower)
		stream_set_deadline(f->lower, f->phase == TLS_OPEN ? in_us : 0);
}

/* ---- end -------------------------------------------------------------------------------------------------- */

/* Unread octets stay in memory until `closed`: the owner may be looking at them right now. */
void tls_filter_finish(struct tls_filter *f, int err, bool graceful)
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

static void filter_close(struct stream *s, bool graceful)
{
	struct tls_filter *f = tls_filter_of(s);

	if (!graceful) {
		tls_filter_finish(f, 0, false);
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

static void filter_free(struct stream *s)
{
	struct tls_filter *f = tls_filter_of(s);

	require(f->phase == TLS_CLOSED);
	tls_filter_free(f);
}

const struct stream_ops tls_filter_ops = {
	.input = tls_input_unread,
	.consume = tls_input_consume,
	.want_input = tls_input_want,
	.write = tls_output_write,
	.write_ref = tls_output_write_ref,
	.flush = tls_output_flush,
	.pending = tls_output_pending,
	.set_deadline = filter_set_deadline,
	.close = filter_close,
	.free = filter_free,
};

struct tls_filter *tls_filter_new(struct stream *lower, struct tls_live *live, bool serving)
{
	struct tls_filter *f = mem_alloc(sizeof *f);

	f->s = (struct stream){
		.ops = &tls_filter_ops, .loop = lower->loop, .peer = lower->peer, .local = lower->local
	};
	f->lower = lower;
	f->live = live;
	f->serving = serving;
	input_gate_init(&f->gate);
	timer_init(&f->bound, on_bound);
	task_init(&f->flush_task, run_flush);
	task_init(&f->event_task, run_events);
	f->ssl = SSL_new(live->ctx);
	BIO *bio = BIO_new(live->bio);
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
	return f;
}

void tls_filter_free(struct tls_filter *f)
{
	/* A lower stream that breaks gives back what waits in it, and on_sent() may have asked for a turn. */
	task_unschedule(&f->flush_task);
	task_unschedule(&f->event_task);
	timer_unset(f->s.loop, &f->bound);
	/* A device that goes without close_notify may come back to its session (RFC 5246 section 7.2.1); what broke for a reason
	 * of TLS is not in the cache any more. */
	if (f->ssl && f->info)
		SSL_set_shutdown(f->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(f->ssl); /* before the live set that its BIO is of */
	tls_live_unref(&f->live);
	if (f->serving)
		tls_server_unref(&f->of.server);
	else
		tls_client_unref(&f->of.client);
	tls_info_free(&f->info);
	free(f->hello);
	if (f->plain) /* what the owner left unread may be a password, too */
		mem_wipe(f->plain, f->plain_cap);
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
	tls_input_watch(f);
}
