/* spool/spool_recovery.h - what the spool tells its owner about messages that it did not just get from it.
 *
 * Threads: message, note and dropped are called by spool_open(), on its thread; snapshot on the loop.
 * Tests: tests/unit/spool/test_spool.c
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

/* What recovery found, told in log order; all of a worker's messages come before spool_open() returns. A message that was
 * settled may be told with its notes, and dropped() then. */
struct spool_recovery {
	void *arg;
	/* -ERR_CORRUPT: the owner cannot read the meta; the message is set aside (kept on disk, reported, not delivered). */
	int (*message)(void *arg, uint64_t id, struct span meta, uint64_t head_bytes, uint64_t body_bytes);
	/* In the order in which they were written. One that snapshot() made says all that those before it said. */
	void (*note)(void *arg, uint64_t id, struct span note);
	void (*dropped)(void *arg, uint64_t id);
	/* Compaction moves a message: the owner's state as one note (empty: none). Called any time later, on the loop. */
	void (*snapshot)(void *arg, uint64_t id, struct buf *note_r);
};
