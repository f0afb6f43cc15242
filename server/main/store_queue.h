/* main/store_queue.h - session/store.h over the real spool and queue.
 *
 * Tests: tests/scenario/c00001-crash.vts
 */
#pragma once

#include "queue/queue.h"
#include "session/store.h"
#include "spool/spool.h"

struct store_queue {
	struct spool *spool;
	struct queue *queue;
	struct scope *scope; /* the worker's: a commit that has begun outlives its session */
};

struct session_store store_queue_of(struct store_queue *s);
