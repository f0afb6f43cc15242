/* main/worker_sts.h - a worker's MTA-STS policies, and the file that they survive a restart in: <data_dir>/sts-<worker>.
 *
 * What is kept protects domains whose DNS or web server an attacker keeps from us (RFC 8461 section 10.2); so it is saved within a
 * minute of a change, by the disk pool, and at the end.
 *
 * Ownership: embedded in the worker.  Threads: the worker's.
 * Errors:    a file that cannot be read or written is logged and costs nothing else.
 * Tests:     tests/scenario/o00005-mta-sts.vts
 */
#pragma once

#include "base/log.h"
#include "io/work.h"
#include "main/config.h"
#include "sts/sts.h"

struct worker_sts {
	struct sts *sts;
	struct loop *loop;
	struct work_pool *pool;
	struct logger *log;
	struct scope scope; /* of the write under way */
	struct timer timer;
	struct work write;
	struct buf text;         /* that is being written */
	char path[512], ca[512]; /* the configuration that they are of may go */
	void (*closed)(void *arg);
	void *closed_arg;
};

void worker_sts_open(struct worker_sts *ws, const struct config *cfg, unsigned worker, struct loop *loop,
		     struct dns *dns, struct http_client *http, struct work_pool *pool, struct logger *log);
void worker_sts_close(struct worker_sts *ws, void (*closed)(void *arg), void *arg);
