/* io/stream.h - a two-way byte stream as the mail code sees it: TCP now, TLS over TCP, or a test's memory.
 *
 * Input is pulled: `events.readable` says that there may be something; stream_input() shows the unread octets
 * and stream_consume() takes them. While the owner does not consume, reading stops by itself (flow control);
 * what an idle stream holds is nothing but its struct. Output is gathered by stream_write() and sent by
 * stream_flush() or at the end of the turn, one system call for all of it. `events.writable` comes when a
 * stream whose pending output was over its high-water mark has sunk below the low-water mark.
 *
 *   readable   input came, or its end (stream_eof() is true), or the owner asked by stream_want_input()
 *   writable   room again
 *   deadline   the deadline that the owner set has passed (the stream stays open)
 *   closed     the last callback: closed by stream_close(), or broken (err < 0); the owner may free it there
 *
 * All but `closed` may be NULL. Events never come from inside a call of the owner. Threads: the loop's.
 * Ownership: stream_free in `closed` or later.
 * Tests: tests/unit/io/test_tcp_stream.c, tests/unit/io/test_memory_stream.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ip.h"
#include "base/span.h"
#include "io/loop.h"

struct stream;

struct stream_events {
	void (*readable)(struct stream *s, void *owner);
	void (*writable)(struct stream *s, void *owner);
	void (*deadline)(struct stream *s, void *owner);
	void (*closed)(struct stream *s, void *owner, int err);
};

struct stream_ops {
	struct span (*input)(struct stream *s);
	void (*consume)(struct stream *s, size_t n);
	void (*want_input)(struct stream *s, bool want);
	int (*write)(struct stream *s, struct span data);
	int (*write_ref)(struct stream *s, struct span data, void (*release)(void *arg), void *arg);
	void (*flush)(struct stream *s);
	size_t (*pending)(const struct stream *s);
	void (*set_deadline)(struct stream *s, int64_t in_us);
	void (*close)(struct stream *s, bool graceful);
	void (*free)(struct stream *s);
};

/* The head of every implementation. */
struct stream {
	const struct stream_ops *ops;
	struct loop *loop;
	const struct stream_events *events;
	void *owner;
	struct ip_endpoint peer, local;
	uint64_t bytes_in, bytes_out;
	bool eof; /* the peer will send no more */
	bool closing;
};

/* Who gets the events from now on (a filter or a protocol hands a stream over). */
static inline void stream_set_owner(struct stream *s, const struct stream_events *events, void *owner)
{
	s->events = events;
	s->owner = owner;
}

/* Unread octets; valid until the next consume or the end of this callback if nothing is consumed and
 * want_input goes on. */
static inline struct span stream_input(struct stream *s)
{
	return s->ops->input(s);
}

static inline void stream_consume(struct stream *s, size_t n)
{
	s->ops->consume(s, n);
}

/* false: no `readable` until true again, and the socket is not read (a hook or a commit is awaited). true
 * (the start): `readable` comes again for octets that wait unread, later, never from inside; but an owner that
 * asks in the turn of its last `readable` without having consumed anything since is not called until more is
 * there. So a session may ask whenever it returns, also with half a line unread. */
static inline void stream_want_input(struct stream *s, bool want)
{
	s->ops->want_input(s, want);
}

/* Copies @data to the output. Returns -ERR_TOOBIG when more than the stream's output maximum waits,
 * -ERR_CLOSED when closing. */
static inline int stream_write(struct stream *s, struct span data)
{
	return s->ops->write(s, data);
}

/* Sends @data without copying it; @release(arg) is called once it is sent or the stream is gone, perhaps from
 * inside a flush or close; it only gives @data up. After an error it is not called: the data stays the
 * caller's. */
static inline int stream_write_ref(struct stream *s, struct span data, void (*release)(void *arg), void *arg)
{
	return s->ops->write_ref(s, data, release, arg);
}

static inline void stream_flush(struct stream *s)
{
	s->ops->flush(s);
}

static inline size_t stream_pending(const struct stream *s)
{
	return s->ops->pending(s);
}

static inline bool stream_eof(const struct stream *s)
{
	return s->eof;
}

/* `deadline` comes once, @in_us from now, unless it is set anew. 0: none. */
static inline void stream_set_deadline(struct stream *s, int64_t in_us)
{
	s->ops->set_deadline(s, in_us);
}

/* Graceful: pending output is sent first (bounded by 5 s), then the connection is shut down. `closed` always
 * comes, later. */
static inline void stream_close(struct stream *s, bool graceful)
{
	s->ops->close(s, graceful);
}

static inline void stream_free(struct stream *s)
{
	s->ops->free(s);
}

enum { STREAM_OUT_HIGH = 256 * 1024, STREAM_OUT_LOW = 64 * 1024, STREAM_OUT_MAX = 1024 * 1024 };
