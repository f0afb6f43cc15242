/* io/out_queue.h - what a stream has to send: copies gathered in pooled segments, and references, in the
 * order of the calls.
 *
 * The pool belongs to a loop and is shared by its streams: a stream with nothing to send holds nothing.
 * Segments are OUT_SEG_BYTES large; the pool keeps at most OUT_POOL_MAX of them (1 MiB) for reuse.
 *
 * Ownership: copies are the queue's; what a reference points to stays the caller's until `release`, which
 * only gives it up: it may come from inside a call that sends or clears.
 * Threads: the loop's.  Tests: tests/unit/io/test_out_queue.c
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"

enum { OUT_SEG_BYTES = 4096, OUT_POOL_MAX = 256 };

struct out_seg;

struct out_pool {
	struct out_seg *copies, *refs; /* free ones */
	unsigned copies_n, refs_n;
};

struct out_queue {
	struct out_seg *first, *last;
	size_t pending_bytes;
};

void out_pool_deinit(struct out_pool *pool);

void out_queue_add(struct out_queue *q, struct out_pool *pool, struct span data);
/* @release may be NULL for data that outlives the stream. */
void out_queue_add_ref(struct out_queue *q, struct out_pool *pool, struct span data,
		       void (*release)(void *arg), void *arg);

/* Describes the front of the queue in at most @max entries. Returns how many. */
unsigned out_queue_iov(const struct out_queue *q, struct iovec *iov, unsigned max);
/* The first @n octets are gone. */
void out_queue_sent(struct out_queue *q, struct out_pool *pool, size_t n);
void out_queue_clear(struct out_queue *q, struct out_pool *pool);
