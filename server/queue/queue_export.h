/* queue/queue_export.h - messages on their way to another node or version: one message as one stream of
 * octets.
 *
 *   "PSTQ1\n", then the lengths of envelope, state and head (32 bits each) and body (64 bits),
 *   little-endian, then these four, then the CRC-32C of all that came before it. The state is a note
 *   (schema/spool-v1.md): which recipients are settled already, what was tried. Exports may be
 *   concatenated.
 *
 * Exporting changes nothing: an operator holds the messages, exports, imports elsewhere, and then removes
 * them.
 *
 * Ownership: the caller's, embedded.  Threads: the loop's.
 * Tests: tests/unit/queue/test_queue_export.c, tests/fuzz/fuzz_queue_import.c
 */
#pragma once

#include "io/op.h"
#include "queue/queue.h"

enum { QUEUE_EXPORT_HEAD_MAX = 4 * 1024 * 1024 }; /* octets of a header section */

struct queue_export {
	/* 0, -ERR_NOTFOUND, -ERR_BUSY (in delivery's hands: its state would be old at once), or the
	 * spool's errors */
	struct op op;
	/* The next octets, in order. -ERR_AGAIN: taken, and no more until queue_export_more(); another
	 * error ends the export with it. */
	int (*out)(struct queue_export *x, struct span piece);
	void *arg;
	struct queue_export_run *run_; /* internal */
};

void queue_export_init(struct queue_export *x, void (*done)(struct op *op));
/* -ERR_NOTFOUND, -ERR_BUSY, -ERR_CANCELED. */
int queue_export_start(struct queue_export *x, struct scope *scope, struct queue *q, uint64_t id,
		       int64_t deadline_us);
void queue_export_more(struct queue_export *x);

/* Takes an export apart as its octets come and makes a message of it. One message at a time; feed what is
 * left to the next. */
struct queue_import {
	struct op op;                  /* the commit: 0, or the spool's errors */
	uint64_t id;                   /* of the new message, which is in the queue then */
	struct queue_import_run *run_; /* internal */
};

void queue_import_init(struct queue_import *im, struct queue *q, void (*done)(struct op *op));
/* How many octets of @in it took. Less than all: the message has ended (then *ended_r), or the spool is
 * behind and the rest is to be fed when `room` was called. -ERR_SYNTAX, -ERR_CORRUPT, -ERR_TOOBIG, or the
 * spool's: nothing can become of it. */
int64_t queue_import_feed(struct queue_import *im, struct span in, bool *ended_r);
void queue_import_on_room(struct queue_import *im, void (*room)(void *arg), void *arg);
/* After *ended_r. The same errors, or -ERR_CANCELED. */
int queue_import_commit(struct queue_import *im, struct scope *scope);
/* At any time but while the commit is pending. */
void queue_import_deinit(struct queue_import *im);
