#include "io/memory_stream.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/input_gate.h"
#include "io/loop_priv.h"

enum { IOV_MAX_ = 32, CLOSE_US = 5 * 1000000 };

enum memory_phase { MEMORY_OPEN, MEMORY_DRAINING, MEMORY_FINISHED, MEMORY_CLOSED };

enum { DUE_READABLE = 1, DUE_WRITABLE = 2, DUE_CLOSED = 4 };

struct memory_stream {
	struct stream s;
	struct memory_peer *peer; /* NULL once it is gone */
	enum memory_phase phase;
	int err;
	unsigned due;
	struct input_gate gate;
	bool over_high;
	struct buf in;
	size_t in_at; /* of `in`: consumed */
	struct out_queue out;
	struct timer deadline, bound;
	struct task flush_task, event_task;
};

static struct memory_stream *memory_of(const struct stream *s)
{
	return container_of(s, struct memory_stream, s);
}

static void schedule_event(struct memory_stream *ms, unsigned due)
{
	ms->due |= due;
	task_schedule(ms->s.loop, &ms->event_task);
}

static void finish(struct memory_stream *ms, int err)
{
	struct loop *l = ms->s.loop;

	if (ms->phase >= MEMORY_FINISHED)
		return;
	ms->phase = MEMORY_FINISHED;
	ms->s.closing = true;
	ms->err = err;
	timer_unset(l, &ms->deadline);
	timer_unset(l, &ms->bound);
	task_unschedule(&ms->flush_task);
	out_queue_clear(&ms->out, &l->out_pool);
	if (ms->peer) {
		ms->peer->ended = true;
		task_schedule(l, &ms->peer->react_task);
	}
	schedule_event(ms, DUE_CLOSED);
}

/* ---- the owner's side ---------------------------------------------------------------------------------- */

static struct span memory_input(struct stream *s)
{
	struct memory_stream *ms = memory_of(s);

	return ms->phase == MEMORY_OPEN ? span_skip(buf_span(&ms->in), ms->in_at) : (struct span){ 0 };
}

static bool unread(struct memory_stream *ms)
{
	return ms->in.n > ms->in_at || ms->s.eof;
}

static void memory_consume(struct stream *s, size_t n)
{
	struct memory_stream *ms = memory_of(s);

	require(n <= ms->in.n - ms->in_at);
	if (n == 0)
		return;
	ms->in_at += n;
	ms->gate.took = true;
	if (ms->in_at == ms->in.n) {
		buf_reset(&ms->in);
		ms->in_at = 0;
	}
}

static void remind_owner(struct memory_stream *ms)
{
	if (ms->phase == MEMORY_OPEN && input_gate_due(&ms->gate) && unread(ms))
		schedule_event(ms, DUE_READABLE);
}

static void memory_want_input(struct stream *s, bool want)
{
	struct memory_stream *ms = memory_of(s);

	input_gate_set(&ms->gate, want, loop_turns(s->loop));
	remind_owner(ms);
}

static void flush_output(struct memory_stream *ms)
{
	struct memory_peer *p = ms->peer;
	struct iovec iov[IOV_MAX_];

	while (p && !p->stalled && ms->out.pending_bytes > 0) {
		const unsigned count = out_queue_iov(&ms->out, iov, IOV_MAX_);
		size_t sent = 0;
		for (unsigned i = 0; i < count; sent += iov[i++].iov_len)
			require(buf_add(&p->output, iov[i].iov_base, iov[i].iov_len));
		ms->s.bytes_out += sent;
		out_queue_sent(&ms->out, &ms->s.loop->out_pool, sent);
		task_schedule(ms->s.loop, &p->react_task);
	}
	if (ms->over_high && ms->out.pending_bytes <= STREAM_OUT_LOW && ms->phase == MEMORY_OPEN) {
		ms->over_high = false;
		schedule_event(ms, DUE_WRITABLE);
	}
	if (ms->phase == MEMORY_DRAINING && ms->out.pending_bytes == 0)
		finish(ms, 0);
}

static void run_flush(struct task *t)
{
	flush_output(container_of(t, struct memory_stream, flush_task));
}

static void memory_flush(struct stream *s)
{
	struct memory_stream *ms = memory_of(s);

	if (ms->phase == MEMORY_OPEN)
		flush_output(ms);
}

static int check_room(const struct memory_stream *ms, size_t n)
{
	if (ms->phase != MEMORY_OPEN)
		return -ERR_CLOSED;
	return n > STREAM_OUT_MAX || ms->out.pending_bytes > STREAM_OUT_MAX - n ? -ERR_TOOBIG : 0;
}

static void written(struct memory_stream *ms)
{
	if (ms->out.pending_bytes > STREAM_OUT_HIGH)
		ms->over_high = true;
	task_schedule_last(ms->s.loop, &ms->flush_task);
}

static int memory_write(struct stream *s, struct span data)
{
	struct memory_stream *ms = memory_of(s);
	const int err = check_room(ms, data.n);

	if (err < 0)
		return err;
	out_queue_add(&ms->out, &s->loop->out_pool, data);
	written(ms);
	return 0;
}

static int memory_write_ref(struct stream *s, struct span data, void (*release)(void *arg), void *arg)
{
	struct memory_stream *ms = memory_of(s);
	const int err = check_room(ms, 0);

	if (err < 0)
		return err;
	out_queue_add_ref(&ms->out, &s->loop->out_pool, data, release, arg);
	written(ms);
	return 0;
}

static size_t memory_pending(const struct stream *s)
{
	return memory_of(s)->out.pending_bytes;
}

static void memory_set_deadline(struct stream *s, int64_t in_us)
{
	struct memory_stream *ms = memory_of(s);

	if (in_us > 0 && ms->phase == MEMORY_OPEN)
		timer_set_in(s->loop, &ms->deadline, in_us);
	else
		timer_unset(s->loop, &ms->deadline);
}

static void memory_close(struct stream *s, bool graceful)
{
	struct memory_stream *ms = memory_of(s);

	if (!graceful) {
		finish(ms, 0);
		return;
	}
	if (ms->phase != MEMORY_OPEN)
		return;
	ms->phase = MEMORY_DRAINING;
	s->closing = true;
	timer_unset(s->loop, &ms->deadline);
	timer_set_in(s->loop, &ms->bound, CLOSE_US);
	task_schedule_last(s->loop, &ms->flush_task);
}

static void memory_free(struct stream *s)
{
	struct memory_stream *ms = memory_of(s);

	require(ms->phase == MEMORY_CLOSED);
	if (ms->peer)
		ms->peer->stream = NULL;
	buf_free(&ms->in);
	free(ms);
}

/* ---- events -------------------------------------------------------------------------------------------- */

static void tell_readable(struct memory_stream *ms)
{
	input_gate_enter(&ms->gate, loop_turns(ms->s.loop));
	if (ms->s.events->readable)
		ms->s.events->readable(&ms->s, ms->s.owner);
	input_gate_leave(&ms->gate);
	remind_owner(ms);
}

static void run_events(struct task *t)
{
	struct memory_stream *ms = container_of(t, struct memory_stream, event_task);
	const unsigned due = ms->due;

	ms->due = 0;
	if ((due & DUE_WRITABLE) && ms->phase == MEMORY_OPEN && ms->s.events->writable)
		ms->s.events->writable(&ms->s, ms->s.owner);
	if ((due & DUE_READABLE) && ms->phase == MEMORY_OPEN) {
		if (ms->gate.want)
			tell_readable(ms);
		else
			ms->gate.due = true;
	}
	if (!(due & DUE_CLOSED))
		return;
	ms->phase = MEMORY_CLOSED;
	if (ms->s.events)
		ms->s.events->closed(&ms->s, ms->s.owner, ms->err);
	else
		memory_free(&ms->s);
}

static void on_deadline(struct timer *t)
{
	struct memory_stream *ms = container_of(t, struct memory_stream, deadline);

	if (ms->s.events->deadline)
		ms->s.events->deadline(&ms->s, ms->s.owner);
}

static void on_bound(struct timer *t)
{
	finish(container_of(t, struct memory_stream, bound), -ERR_TIMEOUT);
}

static void run_react(struct task *t)
{
	struct memory_peer *p = container_of(t, struct memory_peer, react_task);

	if (p->react)
		p->react(p, p->arg);
}

static const struct stream_ops memory_ops = {
	.input = memory_input,
	.consume = memory_consume,
	.want_input = memory_want_input,
	.write = memory_write,
	.write_ref = memory_write_ref,
	.flush = memory_flush,
	.pending = memory_pending,
	.set_deadline = memory_set_deadline,
	.close = memory_close,
	.free = memory_free,
};

struct stream *memory_stream_new(struct loop *l, struct memory_peer *p)
{
	struct memory_stream *ms = mem_alloc(sizeof *ms);

	ms->s = (struct stream){ .ops = &memory_ops, .loop = l };
	ms->peer = p;
	input_gate_init(&ms->gate);
	buf_init(&ms->in, MEMORY_STREAM_MAX);
	timer_init(&ms->deadline, on_deadline);
	timer_init(&ms->bound, on_bound);
	task_init(&ms->flush_task, run_flush);
	task_init(&ms->event_task, run_events);
	*p = (struct memory_peer){ .stream = &ms->s, .loop_ = l, .output = BUF_INIT(MEMORY_STREAM_MAX) };
	task_init(&p->react_task, run_react);
	return &ms->s;
}

/* ---- the peer's side ----------------------------------------------------------------------------------- */

/* The stream while it still moves octets. */
static struct memory_stream *peer_stream(const struct memory_peer *p)
{
	struct memory_stream *ms = p->stream ? memory_of(p->stream) : NULL;

	return ms && ms->phase < MEMORY_FINISHED ? ms : NULL;
}

void memory_stream_peer_deinit(struct memory_peer *p)
{
	memory_stream_reset(p, -ERR_CLOSED);
	if (p->stream)
		memory_of(p->stream)->peer = NULL;
	p->stream = NULL;
	task_unschedule(&p->react_task);
	buf_free(&p->output);
}

void memory_stream_send(struct memory_peer *p, struct span data)
{
	struct memory_stream *ms = peer_stream(p);

	if (!ms || ms->s.eof || data.n == 0)
		return;
	if (ms->in_at > 0 && !ms->gate.telling) {
		buf_consume(&ms->in, ms->in_at);
		ms->in_at = 0;
	}
	require(buf_add_span(&ms->in, data));
	ms->s.bytes_in += data.n;
	schedule_event(ms, DUE_READABLE);
}

void memory_stream_send_eof(struct memory_peer *p)
{
	struct memory_stream *ms = peer_stream(p);

	if (!ms || ms->s.eof)
		return;
	ms->s.eof = true;
	schedule_event(ms, DUE_READABLE);
}

void memory_stream_reset(struct memory_peer *p, int err)
{
	struct memory_stream *ms = peer_stream(p);

	if (ms)
		finish(ms, err);
}

void memory_stream_stall(struct memory_peer *p, bool stalled)
{
	struct memory_stream *ms = peer_stream(p);

	p->stalled = stalled;
	if (ms && !stalled)
		task_schedule_last(p->loop_, &ms->flush_task);
}

void memory_stream_take_output(struct memory_peer *p, struct buf *to)
{
	if (to)
		require(buf_add_span(to, buf_span(&p->output)));
	buf_reset(&p->output);
}
