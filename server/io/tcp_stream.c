/* A stream over one TCP descriptor.
 *
 *   1. readable: one recv() into the loop's shared buffer, behind what was left unread before   read_input
 *   2. the owner consumes; only what it leaves is copied to a buffer of the stream's own        tell_readable
 *   3. its writes gather in the out queue; one sendmsg() at the end of the turn takes them      flush_output
 *   4. stream_close(): what is pending is sent, our side is ended, the peer's rest is dropped   half_close
 *   5. finish(): everything stops; uv's close callback brings `closed`
 *
 * We watch the descriptor with uv_poll and make the calls ourselves instead of using uv_tcp: input then stays
 * in the kernel while the owner pauses, output needs no request of its own, MSG_NOSIGNAL and shutdown() are
 * ours to choose, and the handle is a third smaller. Changing what is watched costs two system calls, so a
 * pause only takes effect in the kernel when input comes during it.
 *
 * Fails by: an error of recv/sendmsg, an output that nobody takes (TCP_STALL_US), a close that takes too
 * long: all go through finish() with the error for `closed`.
 */
#include "io/tcp_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "io/input_gate.h"
#include "io/loop_priv.h"

enum { IOV_MAX_ = 32, KEPT_MIN = 256, LINGER_BYTES_MAX = 4 * 1024 * 1024 };

enum tcp_phase { TCP_OPEN, TCP_DRAINING, TCP_LINGERING, TCP_FINISHED, TCP_CLOSED };

enum { DUE_READABLE = 1, DUE_WRITABLE = 2 };

struct tcp_stream {
	struct stream s;
	uv_poll_t poll;
	int fd;
	int err;         /* for `closed` */
	uint8_t phase;   /* enum tcp_phase */
	uint8_t watched; /* UV_READABLE | UV_WRITABLE as given to uv_poll_start */
	uint8_t due;     /* events that event_task brings */
	struct input_gate gate;
	bool shared;        /* `unread` is in the loop's read buffer: only while telling */
	bool blocked;       /* the kernel takes no more output for now */
	bool over_high;     /* `writable` is owed */
	uint32_t discarded; /* octets thrown away while lingering */
	uint32_t kept_cap;
	char *kept; /* unread octets between two callbacks; NULL when there are none */
	struct span unread;
	struct out_queue out;
	struct timer deadline; /* the owner's */
	struct timer bound;    /* ours: stalled output, a long close */
	struct task flush_task, event_task;
};

static struct tcp_stream *tcp_of(const struct stream *s)
{
	return container_of(s, struct tcp_stream, s);
}

/* ---- watching ------------------------------------------------------------------------------------------ */

static void finish(struct tcp_stream *ts, int err);
static void on_poll(uv_poll_t *h, int status, int events);

static void watch(struct tcp_stream *ts, int events)
{
	if (ts->phase >= TCP_FINISHED || events == ts->watched)
		return;
	ts->watched = (uint8_t)events;
	const int err = events ? uv_poll_start(&ts->poll, events, on_poll) : uv_poll_stop(&ts->poll);
	if (err < 0)
		finish(ts, -err_from_errno(-err));
}

static bool can_read(const struct tcp_stream *ts)
{
	return ts->gate.want && !ts->s.eof && ts->unread.n < LOOP_READ_MAX;
}

static void watch_what_matters(struct tcp_stream *ts)
{
	int events = ts->blocked ? UV_WRITABLE : 0;

	if (ts->phase == TCP_LINGERING || (ts->phase == TCP_OPEN && can_read(ts)))
		events |= UV_READABLE;
	else if (ts->phase == TCP_DRAINING || (ts->phase == TCP_OPEN && !ts->s.eof && !ts->gate.want))
		events |= ts->watched & UV_READABLE; /* until input comes */
	watch(ts, events);
}

/* ---- input --------------------------------------------------------------------------------------------- */

/* What the owner left moves out of the shared buffer; nothing left, nothing held. */
static void keep_unread(struct tcp_stream *ts)
{
	const struct span left = ts->unread;

	if (left.n == 0) {
		free(ts->kept);
		ts->kept = NULL;
		ts->kept_cap = 0;
		ts->unread = (struct span){ 0 };
		ts->shared = false;
		return;
	}
	if (!ts->shared)
		return;
	if (left.n > ts->kept_cap) {
		uint32_t cap = KEPT_MIN;
		while (cap < left.n)
			cap *= 2;
		free(ts->kept); /* what was in it is in the shared buffer too */
		ts->kept = mem_alloc_raw(cap);
		ts->kept_cap = cap;
	}
	memcpy(ts->kept, left.p, left.n);
	ts->unread.p = ts->kept;
	ts->shared = false;
}

static void schedule_event(struct tcp_stream *ts, uint8_t due)
{
	ts->due |= due;
	task_schedule(ts->s.loop, &ts->event_task);
}

static void remind_owner(struct tcp_stream *ts)
{
	if (input_gate_due(&ts->gate) && (ts->unread.n > 0 || ts->s.eof))
		schedule_event(ts, DUE_READABLE);
}

static void tell_readable(struct tcp_stream *ts)
{
	ts->due &= (uint8_t)~DUE_READABLE;
	input_gate_enter(&ts->gate, loop_turns(ts->s.loop));
	if (ts->s.events->readable)
		ts->s.events->readable(&ts->s, ts->s.owner);
	input_gate_leave(&ts->gate);
	if (ts->phase != TCP_OPEN)
		ts->unread = (struct span){ 0 };
	keep_unread(ts);
	if (ts->phase == TCP_OPEN)
		remind_owner(ts);
}

static void read_input(struct tcp_stream *ts)
{
	char *base = loop_read_buf(ts->s.loop);
	const size_t before = ts->unread.n;
	const ssize_t n = recv(ts->fd, base + before, LOOP_READ_MAX - before, 0);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			finish(ts, -err_from_errno(errno));
		return;
	}
	if (n == 0) {
		ts->s.eof = true;
	} else {
		ts->s.bytes_in += (size_t)n;
		if (before)
			memcpy(base, ts->unread.p, before);
		ts->unread = span_make(base, before + (size_t)n);
		ts->shared = true;
	}
	tell_readable(ts);
}

/* The reply is out and our side is ended; input is read only so that the kernel need not reset the connection
 * for it. */
static void discard_input(struct tcp_stream *ts)
{
	const ssize_t n = recv(ts->fd, loop_read_buf(ts->s.loop), LOOP_READ_MAX, 0);

	if (n > 0) {
		ts->s.bytes_in += (size_t)n;
		ts->discarded += (uint32_t)n;
	}
	if (n == 0 || ts->discarded > LINGER_BYTES_MAX || (n < 0 && errno != EAGAIN && errno != EINTR))
		finish(ts, 0);
}

static struct span tcp_input(struct stream *s)
{
	struct tcp_stream *ts = tcp_of(s);

	return ts->phase == TCP_OPEN ? ts->unread : (struct span){ 0 };
}

static void tcp_consume(struct stream *s, size_t n)
{
	struct tcp_stream *ts = tcp_of(s);

	require(n <= ts->unread.n);
	if (n == 0)
		return;
	ts->unread = span_skip(ts->unread, n);
	ts->gate.took = true;
	if (ts->gate.telling || ts->phase != TCP_OPEN)
		return;
	if (ts->unread.n == 0)
		keep_unread(ts);
	watch_what_matters(ts);
}

static void tcp_want_input(struct stream *s, bool want)
{
	struct tcp_stream *ts = tcp_of(s);

	input_gate_set(&ts->gate, want, loop_turns(s->loop));
	if (!want || ts->phase != TCP_OPEN || ts->gate.telling)
		return; /* tell_readable() looks at it when the owner returns */
	remind_owner(ts);
	watch_what_matters(ts);
}

/* ---- output -------------------------------------------------------------------------------------------- */

static void half_close(struct tcp_stream *ts)
{
	if (ts->s.eof) {
		finish(ts, 0);
		return;
	}
	if (shutdown(ts->fd, SHUT_WR) < 0) {
		finish(ts, -err_from_errno(errno));
		return;
	}
	ts->phase = TCP_LINGERING;
	timer_set_in(ts->s.loop, &ts->bound, TCP_LINGER_US);
	watch_what_matters(ts);
}

/* As much as the kernel takes. Returns false when the connection is broken (and finished). */
static bool send_output(struct tcp_stream *ts)
{
	struct out_pool *pool = &ts->s.loop->out_pool;

	while (ts->out.pending_bytes > 0 && !ts->blocked) {
		struct iovec iov[IOV_MAX_];
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = out_queue_iov(&ts->out, iov, IOV_MAX_) };
		size_t offered = 0;

		for (size_t i = 0; i < msg.msg_iovlen; i++)
			offered += iov[i].iov_len;
		const ssize_t n = sendmsg(ts->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			finish(ts, -err_from_errno(errno));
			return false;
		}
		const size_t sent = n > 0 ? (size_t)n : 0;
		ts->s.bytes_out += sent;
		ts->blocked = sent < offered;
		out_queue_sent(&ts->out, pool, sent);
		if (ts->phase >= TCP_FINISHED)
			return false; /* closed by a `release` */
	}
	return true;
}

static void flush_output(struct tcp_stream *ts)
{
	const size_t before = ts->out.pending_bytes;
	const bool was_blocked = ts->blocked;

	if (!send_output(ts))
		return;
	if (ts->phase == TCP_OPEN) {
		if (ts->out.pending_bytes == 0 && ts->bound.due_us)
			timer_unset(ts->s.loop, &ts->bound);
		else if (ts->blocked && (!was_blocked || ts->out.pending_bytes < before))
			timer_set_in(ts->s.loop, &ts->bound, TCP_STALL_US);
		if (ts->over_high && ts->out.pending_bytes <= STREAM_OUT_LOW) {
			ts->over_high = false;
			schedule_event(ts, DUE_WRITABLE);
		}
	}
	if (ts->phase == TCP_DRAINING && ts->out.pending_bytes == 0)
		half_close(ts);
	else
		watch_what_matters(ts);
}

static void run_flush(struct task *t)
{
	struct tcp_stream *ts = container_of(t, struct tcp_stream, flush_task);

	flush_output(ts);
}

static void tcp_flush(struct stream *s)
{
	struct tcp_stream *ts = tcp_of(s);

	if (ts->phase == TCP_OPEN && ts->out.pending_bytes > 0 && !ts->blocked)
		flush_output(ts);
}

static void written(struct tcp_stream *ts)
{
	if (ts->out.pending_bytes > STREAM_OUT_HIGH)
		ts->over_high = true;
	if (!ts->blocked)
		task_schedule_last(ts->s.loop, &ts->flush_task);
}

static int tcp_write(struct stream *s, struct span data)
{
	struct tcp_stream *ts = tcp_of(s);

	if (ts->phase != TCP_OPEN)
		return -ERR_CLOSED;
	if (data.n > STREAM_OUT_MAX || ts->out.pending_bytes > STREAM_OUT_MAX - data.n)
		return -ERR_TOOBIG;
	out_queue_add(&ts->out, &s->loop->out_pool, data);
	written(ts);
	return 0;
}

/* What is referred to costs no memory of ours: only what waits before it counts. */
static int tcp_write_ref(struct stream *s, struct span data, void (*release)(void *arg), void *arg)
{
	struct tcp_stream *ts = tcp_of(s);

	if (ts->phase != TCP_OPEN)
		return -ERR_CLOSED;
	if (ts->out.pending_bytes > STREAM_OUT_MAX)
		return -ERR_TOOBIG;
	out_queue_add_ref(&ts->out, &s->loop->out_pool, data, release, arg);
	written(ts);
	return 0;
}

static size_t tcp_pending(const struct stream *s)
{
	return tcp_of(s)->out.pending_bytes;
}

/* ---- events -------------------------------------------------------------------------------------------- */

/* An error of the descriptor while nobody reads or writes: recv() is not asked, because there may be input
 * before it. */
static void check_error(struct tcp_stream *ts)
{
	int err = 0;
	socklen_t n = sizeof err;

	if (getsockopt(ts->fd, SOL_SOCKET, SO_ERROR, &err, &n) == 0 && err != 0)
		finish(ts, -err_from_errno(err));
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct tcp_stream *ts = container_of(h, struct tcp_stream, poll);

	if (status < 0) { /* EPOLLERR: uv has stopped watching; what there is to know is told by the calls */
		ts->watched = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	if ((events & UV_WRITABLE) && ts->blocked) {
		ts->blocked = false;
		flush_output(ts);
	}
	if (events & UV_READABLE) {
		if (ts->phase == TCP_LINGERING)
			discard_input(ts);
		else if (ts->phase == TCP_OPEN && can_read(ts))
			read_input(ts);
		else if (status < 0)
			check_error(ts);
		else
			watch(ts, ts->watched & ~UV_READABLE);
	}
	watch_what_matters(ts);
}

static void run_events(struct task *t)
{
	struct tcp_stream *ts = container_of(t, struct tcp_stream, event_task);

	if ((ts->due & DUE_WRITABLE) && ts->phase == TCP_OPEN) {
		ts->due &= (uint8_t)~DUE_WRITABLE;
		if (ts->s.events->writable)
			ts->s.events->writable(&ts->s, ts->s.owner);
	}
	if ((ts->due & DUE_READABLE) && ts->phase == TCP_OPEN) {
		ts->due &= (uint8_t)~DUE_READABLE;
		if (ts->gate.want)
			tell_readable(ts);
		else
			ts->gate.due = true;
	}
	if (ts->phase == TCP_OPEN)
		watch_what_matters(ts);
}

static void on_deadline(struct timer *t)
{
	struct tcp_stream *ts = container_of(t, struct tcp_stream, deadline);

	if (ts->s.events->deadline)
		ts->s.events->deadline(&ts->s, ts->s.owner);
}

static void on_bound(struct timer *t)
{
	struct tcp_stream *ts = container_of(t, struct tcp_stream, bound);

	finish(ts, ts->phase == TCP_LINGERING ? 0 : -ERR_TIMEOUT);
}

static void tcp_set_deadline(struct stream *s, int64_t in_us)
{
	struct tcp_stream *ts = tcp_of(s);

	if (in_us > 0 && ts->phase == TCP_OPEN)
		timer_set_in(s->loop, &ts->deadline, in_us);
	else
		timer_unset(s->loop, &ts->deadline);
}

/* ---- end ----------------------------------------------------------------------------------------------- */

static void tcp_free(struct stream *s)
{
	struct tcp_stream *ts = tcp_of(s);

	require(ts->phase == TCP_CLOSED);
	free(ts->kept);
	free(ts);
}

static void on_poll_closed(uv_handle_t *h)
{
	struct tcp_stream *ts = container_of((uv_poll_t *)h, struct tcp_stream, poll);

	ts->phase = TCP_CLOSED;
	if (ts->s.events)
		ts->s.events->closed(&ts->s, ts->s.owner, ts->err);
	else
		tcp_free(&ts->s);
}

/* Unread octets stay in memory until `closed`: the owner may be looking at them right now. */
static void finish(struct tcp_stream *ts, int err)
{
	struct loop *l = ts->s.loop;

	if (ts->phase >= TCP_FINISHED)
		return;
	ts->phase = TCP_FINISHED;
	ts->s.closing = true;
	ts->err = err;
	timer_unset(l, &ts->deadline);
	timer_unset(l, &ts->bound);
	task_unschedule(&ts->flush_task);
	task_unschedule(&ts->event_task);
	uv_close((uv_handle_t *)&ts->poll, on_poll_closed);
	close(ts->fd);
	ts->fd = -1;
	out_queue_clear(&ts->out, &l->out_pool);
}

static void tcp_close(struct stream *s, bool graceful)
{
	struct tcp_stream *ts = tcp_of(s);

	if (!graceful) {
		finish(ts, 0);
		return;
	}
	if (ts->phase != TCP_OPEN)
		return;
	ts->phase = TCP_DRAINING;
	s->closing = true;
	timer_unset(s->loop, &ts->deadline);
	timer_set_in(s->loop, &ts->bound, TCP_DRAIN_US);
	task_unschedule(&ts->event_task);
	if (!ts->blocked)
		task_schedule_last(s->loop, &ts->flush_task);
}

static const struct stream_ops tcp_ops = {
	.input = tcp_input,
	.consume = tcp_consume,
	.want_input = tcp_want_input,
	.write = tcp_write,
	.write_ref = tcp_write_ref,
	.flush = tcp_flush,
	.pending = tcp_pending,
	.set_deadline = tcp_set_deadline,
	.close = tcp_close,
	.free = tcp_free,
};

static struct ip_endpoint name_of(int fd, int (*get)(int fd, struct sockaddr *sa, socklen_t *n))
{
	struct sockaddr_storage ss = { 0 };
	socklen_t n = sizeof ss;

	if (get(fd, (struct sockaddr *)&ss, &n) < 0)
		return (struct ip_endpoint){ 0 };
	return ip_from_sockaddr((struct sockaddr *)&ss);
}

struct stream *tcp_stream_new(struct loop *l, int fd, const struct ip_endpoint *peer)
{
	struct tcp_stream *ts = mem_alloc(sizeof *ts);
	const int on = 1;

	if (uv_poll_init(&l->uv, &ts->poll, fd) < 0) {
		close(fd);
		free(ts);
		return NULL;
	}
	ts->s = (struct stream){ .ops = &tcp_ops, .loop = l };
	ts->s.local = name_of(fd, getsockname);
	ts->s.peer = peer ? *peer : name_of(fd, getpeername);
	ts->fd = fd;
	input_gate_init(&ts->gate);
	timer_init(&ts->deadline, on_deadline);
	timer_init(&ts->bound, on_bound);
	task_init(&ts->flush_task, run_flush);
	task_init(&ts->event_task, run_events);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* we gather by ourselves */
	watch_what_matters(ts);
	return &ts->s;
}
