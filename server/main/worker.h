/* main/worker.h - a worker: one thread, one loop, and everything that mail needs on it.
 *
 * Start: worker_start() makes the thread, which opens its spool (recovery), its policies, resolver, queue, delivery and
 * listeners, and says "ready" or why not; worker_wait_ready() waits for that. Stop: worker_drain() stops accepting, lets messages
 * that are being received end, returns jobs to the queue, brings all to the disk; then the thread ends and worker_join() returns.
 *
 * Threads: worker_*() are the main thread's; the rest of struct worker is the worker's own.
 *
 * Tests: tests/scenario/b00001-one-message.vts
 */
#pragma once

#include <stdatomic.h>

#include "base/log.h"
#include "base/metric.h"
#include "control/control.h"
#include "io/thread.h"
#include "io/work.h"
#include "main/config.h"
#include "main/worker_sts.h"
#include "sts/tls_report.h"

/* What the workers of a process share. */
struct process {
	struct ledger *ledger;
	struct clients *clients;
	struct limit_store *limits;
	struct bans *bans;
	struct http_client *http;
	struct tls_report *tls_report;
	struct work_pool *disk; /* reads of messages, bodies of large ones */
	struct log_sink log;
	const char *node;
	struct clients_total
		total[CONFIG_LISTENERS_MAX]; /* by the place of the listener in the first configuration */
};

struct worker {
	unsigned index;
	struct process *process;
	struct thread *thread;
	struct logger log;
	struct metric_shard metrics;
	struct control_worker view; /* loop, queue, ... : where they are kept */
	struct config *cfg;         /* a reference; changes only on the worker's loop */
	struct policy_runtime *policies;
	struct worker_sts sts;
	struct hooks hooks;
	struct session_env sessions;
	struct scope scope;
	struct worker_socket *sockets;
	unsigned nsockets;
	struct timer flush_timer, drain_timer;
	struct task drained_task;
	bool draining, delivery_stopped;
	_Atomic int state;  /* enum worker_state */
	struct errtext why; /* WORKER_FAILED */
	struct spool_found found;
};

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_FAILED, WORKER_DRAINING, WORKER_ENDED };

/* A listening descriptor and which listener of the configuration it is of. */
struct worker_fd {
	int fd;
	unsigned listener;
};

struct worker *worker_start(struct process *p, unsigned index, struct config *cfg,
			    const struct worker_fd *fds, unsigned nfds);
/* 0, or -ERR_x with the worker's words. */
int worker_wait_ready(struct worker *w, struct errtext *e);
/* Letters: done on the worker's loop, soon. */
void worker_reload(struct worker *w, struct config *cfg);
void worker_drain(struct worker *w, int64_t grace_us);
void worker_join(struct worker **w);
