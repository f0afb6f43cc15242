/* io/memory_stream.h - a stream whose peer is a program in the same thread: tests, `simulate`.
 *
 * To its owner it behaves as a TCP stream does (same events, same order, never from inside a call). The peer
 * is driven by the functions below, or drives itself in `react`, which comes from the loop whenever there is
 * new output or the end.
 *
 * Ownership: the stream is its owner's; the struct memory_peer is the driver's and may outlive it: what the
 * owner sent last can be read after `closed`. A peer that goes first resets the stream.
 * Threads: the loop's.
 * Tests: tests/unit/io/test_memory_stream.c
 */
#pragma once

#include "io/stream.h"

struct memory_peer {
	struct stream *stream; /* NULL once its owner has freed it */
	struct buf output;     /* what the owner sent and the driver has not taken */
	bool ended;            /* the owner closed: nothing comes after `output` */
	bool stalled;          /* the peer reads nothing: output waits in the stream */
	void (*react)(struct memory_peer *p, void *arg); /* may be NULL */
	void *arg;
	struct task react_task; /* internal */
	struct loop *loop_;
};

enum { MEMORY_STREAM_MAX = 64 * 1024 * 1024 };

/* Sets @p up. Its addresses are none; set stream->peer and stream->local as needed. */
struct stream *memory_stream_new(struct loop *l, struct memory_peer *p);
void memory_stream_peer_deinit(struct memory_peer *p);

/* ---- what the peer does; harmless when the stream is closed -------------------------------------------- */
void memory_stream_send(struct memory_peer *p, struct span data);
void memory_stream_send_eof(struct memory_peer *p);
/* `closed` with @err (< 0), as if the connection broke. */
void memory_stream_reset(struct memory_peer *p, int err);
/* true: stops reading; false: takes what waits, at the end of the turn. */
void memory_stream_stall(struct memory_peer *p, bool stalled);
/* Moves the output to @to, or drops it when that is NULL. */
void memory_stream_take_output(struct memory_peer *p, struct buf *to);
