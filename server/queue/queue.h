/* queue/queue.h - when to try what: the messages of one worker, their recipients, destinations and times.
 *
 * A message's recipients are grouped into jobs, one per destination (route + next-hop domain). A job waits (in a heap, by
 * time), is ready (in its destination's list), is in delivery's hands, or is held. A destination hands out jobs as far as the
 * shared ledger (queue/ledger.h) has connections and rate tokens for it.
 *
 * The happy path of a message:
 *   1. queue_add() after its commit: jobs are made and ready at once
 *   2. ops->ready(dest): delivery opens or reuses a connection and calls queue_take() for it, again and again
 *   3. queue_done() with an outcome per recipient; notes go to the spool; a settled message is dropped there
 * Ways it goes otherwise: deferred recipients make the job wait for the schedule's next time; a destination that cannot be
 * reached at all backs off as a whole (one probe at a time, queue_dest_failed()); expired or refused recipients are bounced
 * through ops->bounce; held ones wait for an operator.
 *
 * Memory: at most 256 octets for a message with one recipient while it waits (everything: entry, job, index).
 * Threads: the worker's loop.  Times: wall clock microseconds where they are stored, loop time inside.
 * Tests: tests/unit/queue/, tests/sim/sim_queue.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "queue/ledger.h"
#include "queue/schedule.h"
#include "spool/envelope.h"
#include "spool/spool.h"

struct queue;
struct queue_job;

struct queue_dest {
	struct span name;          /* "<route>|<next hop>", for people and for the ledger */
	struct span route;         /* the route's name */
	struct span next_hop;      /* the recipient domain, or "[host]:port" of the route */
	const void *route_config;  /* delivery's; from ops->route */
	const struct schedule *schedule;
	struct ledger_slot *slot;
	void *pool;                /* delivery's: idle connections and attempts under way */
	struct queue_dest_priv *priv;
};

enum queue_status { QUEUE_DELIVERED, QUEUE_DEFERRED, QUEUE_BOUNCED, QUEUE_HELD, QUEUE_RELAYED_NO_DSN };

/* What became of one recipient in an attempt. Text is borrowed for the call. */
struct queue_outcome {
	uint32_t rcpt;            /* index into the envelope */
	enum queue_status status;
	int code;                 /* SMTP reply code; 0: none came */
	struct span enhanced;     /* "5.1.1" */
	struct span text;         /* remote text or our reason; cut at 512 octets */
	struct span remote;       /* "mx.example.org[192.0.2.1]:25"; empty: none was reached */
};

/* What delivery gets for a job. */
struct queue_work {
	struct queue_job *job;
	uint64_t id;
	const uint32_t *rcpts;    /* indices into the envelope; valid while the job is out */
	uint32_t nrcpt;
	unsigned attempt;         /* 1 = the first */
	struct spool_image *image; /* NULL: load it by id. A reference that the queue keeps while the job is out */
};

struct queue_route {
	struct span name, next_hop;
	const void *config;
	const struct schedule *schedule;
	struct ledger_limits limits;
};

struct queue_ops {
	void *arg;
	/* Where mail for this recipient goes (configuration and rcpt->route). Spans live until the next configuration. */
	void (*route)(void *arg, const struct envelope *env, const struct envelope_rcpt *rcpt, struct queue_route *route_r);
	/* @dest has ready work and may open one more connection. Called again after queue_poke() or when the ledger frees one. */
	void (*ready)(void *arg, struct queue_dest *dest);
	/* Make and enqueue a notification of @kind about these outcomes; called with the image loaded. */
	void (*notify)(void *arg, enum queue_notify_kind kind, const struct envelope *env, struct spool_image *image,
		       const struct queue_outcome *outcomes, uint32_t n, int64_t retry_until_us);
	void (*dest_gone)(void *arg, struct queue_dest *dest); /* idle for long: free dest->pool */
};

struct queue_config {
	int64_t dest_idle_us;          /* a destination without work is forgotten after this */
	uint32_t rcpts_per_job_max;    /* 100: recipients of one transaction */
	uint64_t image_budget_bytes;   /* of images kept until the first attempt ended */
};

int queue_new(struct queue **q_r, const struct queue_config *cfg, struct loop *loop, struct ledger *ledger,
	      const struct queue_ops *ops, struct logger *log, struct metric_shard *metrics);
/* For spool_open(); then queue_start() makes what was recovered ready, spread over time. */
void queue_recovery(struct queue *q, struct spool_recovery *recovery_r);
void queue_start(struct queue *q, struct spool *spool);
void queue_close(struct queue *q, void (*closed)(void *arg), void *arg); /* no more ready(); jobs that are out come back */
void queue_free(struct queue **q);

/* The message is durable. Takes over the reference @image (may be NULL). @env must live for the call only. */
void queue_add(struct queue *q, uint64_t id, const struct envelope *env, struct spool_image *image, uint64_t size_bytes);

/* The next ready job of @dest, if its rate allows; false: nothing now (ready() comes when there is). */
bool queue_take(struct queue *q, struct queue_dest *dest, struct queue_work *work_r);
/* All recipients of the job have an outcome. */
void queue_done(struct queue *q, struct queue_job *job, const struct queue_outcome *outcomes, uint32_t n);
/* The job was not tried (connection lost before it, shutting down): ready again, not an attempt. */
void queue_put_back(struct queue *q, struct queue_job *job);
/* Nobody of this destination could be reached: its ready jobs wait too, one probe after the schedule's next time. */
void queue_dest_failed(struct queue *q, struct queue_dest *dest, const struct queue_outcome *why);
void queue_dest_ok(struct queue *q, struct queue_dest *dest);

/* A new configuration: destinations are asked for their routes again. */
void queue_reroute(struct queue *q);
/* ETRN and `queue retry`: what waits for @domain (exact, or "@suffix") is tried now. Returns how many jobs. */
uint64_t queue_retry_domain(struct queue *q, struct span domain);
