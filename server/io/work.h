/* io/work.h - functions that block, on threads of their own, never on a loop and never on libuv's four.
 *
 * A pool has a fixed number of threads and a bounded queue; libraries that block (fsync, krb5, SASL plug-ins,
 * SQLite) each get their own, so that one that is stuck starves no other.
 *
 * Threads: work_start on the loop; `run` on a pool thread; op.done on the loop.
 * Cancel: a job that has not begun is taken out of the queue. One that runs is let run: the op stays pending
 * until `run` has returned and completes then, with -ERR_CANCELED or -ERR_TIMEOUT; so `run` may use whatever
 * lives as long as the scope.
 * Tests: tests/unit/io/test_work.c
 */
#pragma once

#include "io/op.h"
#include "io/thread.h"

struct work_pool;
struct work_pool *work_pool_new(const char *name, unsigned threads, unsigned queue_max);
/* Waits for what runs; the queue must be empty. The loops of what ran must still take letters. */
void work_pool_free(struct work_pool **p);

struct work {
	struct op op; /* status = what run returned */
	int (*run)(struct work *w);
	struct letter letter_; /* internal */
	struct list link_;     /* in the pool's queue; under the pool's lock */
	struct work_pool *pool_;
	struct loop *loop_;
	int result_;
};

/* Sets up what work_start needs: who is told, and what is run. */
void work_init(struct work *w, int (*run)(struct work *w), void (*done)(struct op *op));
/* Returns -ERR_BUSY when the queue is full, -ERR_CANCELED when the scope is closing. The scope's close waits
 * for a `run` that has begun, and its deadline is reported only after it has returned. */
int work_start(struct work *w, struct work_pool *p, struct scope *scope, const char *what,
	       int64_t deadline_us);
unsigned work_pool_waiting(struct work_pool *p);
