/* queue/queue.h - when to try what: the messages of one worker, their recipients, destinations and times.
 *
 * A message's recipients are grouped into jobs, one per destination (route + next hop). A job
 *   waits     for its next time, in a heap
 *   is ready  in its destination's list (fresh mail and retries apart, so that neither starves the other)
 *   is out    in delivery's hands
 *   is held   until an operator says something
 *   is ending its recipients are settled but for a notice that must be made durable first
 * A destination hands out jobs as far as the shared ledger (queue/ledger.h) has connections and rate
 * tokens for it.
 *
 * The happy path of a message:
 *   1. queue_add() after its commit: jobs are made and ready at once
 *   2. ops->ready(dest): delivery reuses a connection, or opens one if queue_open_connection() lets it,
 *      and calls queue_take() for it, before or when it is up, again and again
 *   3. queue_done() with an outcome per recipient; notes go to the spool; a settled message is dropped there
 * Ways it goes otherwise: deferred recipients make the job wait for the schedule's next time; a
 * destination that cannot be reached at all backs off as a whole (one probe at a time,
 * queue_dest_failed()); expired or refused recipients are bounced through ops->notify, and settled only
 * when that notice is durable; held ones wait for an operator.
 *
 * A crash repeats what was out, and what ended in the last moments before it (notes are committed
 * lazily); it loses nothing.
 *
 * Memory: at most 256 octets for a message with one recipient while it waits (everything: entry, job,
 * index, the spool's).
 * Threads: the worker's loop.  Times: wall clock microseconds where they are stored, loop time inside.
 * Operators' questions and orders: queue/queue_action.h. Moving mail between nodes: queue/queue_export.h.
 * Format of the notes: schema/spool-v1.md, "notes".
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
struct queue_dest_priv;

struct queue_dest {
	struct span name;     /* "<route>|<next hop>[|<variant>]", for people and for the ledger */
	struct span route;    /* the route's name */
	struct span next_hop; /* the recipient domain, or "[host]:port" of the route */
	struct span
		variant; /* what else keeps connections apart: "as a.example", "requiretls"; mostly empty */
	/* Delivery's and main's, from ops->route or ops->refresh. NULL: the route is gone; ready() does
	 * not come any more. */
	const void *route_config;
	const struct schedule *schedule;
	struct ledger_limits limits;
	void *pool; /* delivery's: idle connections and attempts under way */
	struct queue_dest_priv *priv;
};

/* Where a recipient stands; see above. */
#define QUEUE_STATE_MAP(X)                                                                                   \
	X(READY, "ready")                                                                                    \
	X(OUT, "active")                                                                                     \
	X(WAITING, "deferred")                                                                               \
	X(HELD, "held")                                                                                      \
	X(ENDING, "ending") /* over, but its notice is still to be made */

enum queue_state {
#define X(name, text) QUEUE_STATE_##name,
	QUEUE_STATE_MAP(X)
#undef X
		QUEUE_STATE_MAX_
};

const char *queue_state_name(enum queue_state s);

/* RELAYED_NO_DSN: taken by a next hop without DSN, so NOTIFY=SUCCESS is answered here (RFC 3461 section
 * 5.2.2). RELAYED_NO_BY: by one without DELIVERBY, by-mode N, so the sender is told unless NOTIFY=NEVER
 * (RFC 2852). */
#define QUEUE_STATUS_MAP(X)                                                                                  \
	X(DELIVERED, "delivered")                                                                            \
	X(DEFERRED, "deferred")                                                                              \
	X(BOUNCED, "bounced")                                                                                \
	X(HELD, "held")                                                                                      \
	X(RELAYED_NO_DSN, "relayed")                                                                         \
	X(RELAYED_NO_BY, "relayed")

enum queue_status {
#define X(name, text) QUEUE_##name,
	QUEUE_STATUS_MAP(X)
#undef X
};

const char *queue_status_name(enum queue_status s);

/* Why a recipient has this status. */
#define QUEUE_CAUSE_MAP(X)                                                                                   \
	X(ATTEMPT, "attempt")     /* what an attempt brought */                                              \
	X(EXPIRED, "expired")     /* tried until the end of its lifetime; text is of the last attempt */     \
	X(DELIVERBY, "deliverby") /* its DELIVERBY deadline passed */                                        \
	X(OPERATOR, "operator")   /* an operator's order; text is the reason */

enum queue_cause {
#define X(name, text) QUEUE_CAUSE_##name,
	QUEUE_CAUSE_MAP(X)
#undef X
};

const char *queue_cause_name(enum queue_cause c);

enum { QUEUE_TEXT_MAX = 512, QUEUE_TEXT_KEPT_MAX = 200, QUEUE_REMOTE_MAX = 128 };

/* What became of one recipient in an attempt. Text is borrowed for the call. */
struct queue_outcome {
	uint32_t rcpt; /* index into the envelope */
	enum queue_status status;
	enum queue_cause cause; /* delivery leaves it 0: ATTEMPT */
	int code;               /* SMTP reply code; 0: none came */
	struct span enhanced;   /* "5.1.1" */
	/* remote text or our reason; cut at QUEUE_TEXT_MAX, while it waits at QUEUE_TEXT_KEPT_MAX */
	struct span text;
	struct span remote; /* "mx.example.org[192.0.2.1]:25"; empty: none was reached */
};

/* What delivery gets for a job. */
struct queue_work {
	struct queue_job *job;
	uint64_t id;
	const uint32_t *rcpts; /* indices into the envelope, ascending; valid while the job is out */
	uint32_t nrcpt;
	unsigned attempt; /* 1 = the first */
	/* NULL: load it by id. A reference that the queue keeps while the job is out */
	struct spool_image *image;
	int64_t arrived_at_us; /* wall clock */
	int64_t ready_at_us;   /* loop time: since when it waited for a connection */
};

struct queue_route {
	struct span name, next_hop, variant;
	const void *config;
	const struct schedule *schedule;
	struct ledger_limits limits;
};

#define QUEUE_NOTICE_MAP(X)                                                                                  \
	X(FAILED, "failed")   /* a non-delivery report */                                                    \
	X(DELAYED, "delayed") /* it takes long; it is still tried until retry_until_us */                    \
	X(RELAYED, "relayed") /* handed to a next hop that will not report */                                \
	X(NOBODY, "nobody")   /* as FAILED, but there is no sender to tell: log it, count it, do not send */

enum queue_notice_kind {
#define X(name, text) QUEUE_NOTICE_##name,
	QUEUE_NOTICE_MAP(X)
#undef X
};

const char *queue_notice_name(enum queue_notice_kind k);

/* One notice to be made. Everything in it is valid until queue_notice_done(). */
struct queue_notice {
	enum queue_notice_kind kind;
	uint64_t id;
	const struct envelope *env;
	struct spool_image *image; /* a reference of the queue's */
	/* of those recipients whose NOTIFY wants it (RFC 3461 section 5.2), all others left out */
	const struct queue_outcome *outcomes;
	uint32_t n;             /* > 0 */
	int64_t retry_until_us; /* DELAYED: wall clock */
	void *arg;              /* the maker's */
};

struct queue_ops {
	void *arg;
	/* Where mail for this recipient goes (configuration and rcpt->route). Spans must live for the
	 * call; config and schedule until refresh() has replaced them. */
	void (*route)(void *arg, const struct envelope *env, const struct envelope_rcpt *rcpt,
		      struct queue_route *route_r);
	/* From queue_reroute(): @dest's route (by name) and next hop in the new configuration. False:
	 * there is no such route now. */
	bool (*refresh)(void *arg, const struct queue_dest *dest, struct queue_route *route_r);
	/* @dest has ready work: use an idle connection (queue_take() may be called from within), or open
	 * one if queue_open_connection() says so. Called again as long as each call opened or took
	 * something and work is left; after that when more work comes, when a connection or a rate token
	 * is free again, and after queue_poke(). Doing nothing is right when delivery is at its own
	 * limits. */
	void (*ready)(void *arg, struct queue_dest *dest);
	/* Other workers wait for a connection to @dest: close idle ones; and rather close than keep one
	 * when its message is done. */
	void (*wanted)(void *arg, struct queue_dest *dest);
	/* Make @notice and commit it to the spool (queue_add() it), then queue_notice_done() exactly
	 * once, at once or later. */
	void (*notify)(void *arg, struct queue_notice *notice);
	/* Recipients that the queue itself ended, not an attempt: expiry, DELIVERBY, an operator. Comes
	 * before the notice, for logs and observers, and again only after a crash; @env is NULL if it
	 * could not be read. */
	void (*ended)(void *arg, uint64_t id, const struct envelope *env,
		      const struct queue_outcome *outcomes, uint32_t n);
	/* Nothing is left to do for the message. */
	void (*removed)(void *arg, uint64_t id);
	/* Idle for long: free dest->pool. All its connections must be closed (queue_close_connection())
	 * when this returns. */
	void (*dest_gone)(void *arg, struct queue_dest *dest);
};

struct queue_config {
	int64_t dest_idle_us;        /* 10 min: a destination without work is forgotten after this */
	uint32_t rcpts_per_job_max;  /* 100: recipients of one transaction */
	uint64_t image_budget_bytes; /* of images kept until the first attempt ended */
	int64_t notice_retry_us;     /* 1 min: a notice that could not be made is tried again after this */
	/* 16 MiB: of last replies that are kept to be shown; over it only the codes are */
	uint64_t reason_budget_bytes;
	uint64_t seed; /* of the jitter, for simulations; 0: from the system */
};

#define QUEUE_CONFIG_DEFAULT                                                                                 \
	((struct queue_config){ .dest_idle_us = INT64_C(600000000),                                          \
				.rcpts_per_job_max = 100,                                                    \
				.image_budget_bytes = 64 << 20,                                              \
				.notice_retry_us = 60000000,                                                 \
				.reason_budget_bytes = 16 << 20 })

/* Always succeeds. */
struct queue *queue_new(const struct queue_config *cfg, struct loop *loop, struct ledger *ledger,
			const struct queue_ops *ops, struct logger *log, struct metric_shard *metrics);
/* For spool_open(), which asks ops->route for what it finds; then queue_start() makes what was recovered
 * ready: at its recorded time, and what is overdue spread over up to five minutes. */
void queue_recovery(struct queue *q, struct spool_recovery *recovery_r);
void queue_start(struct queue *q, struct spool *spool);
/* No more ready(), notify() or loads. @closed comes when delivery has given back every job (queue_done,
 * queue_put_back), every notice is done and all notes are on the disk. Connections are closed after that
 * at the latest, in dest_gone(). */
void queue_close(struct queue *q, void (*closed)(void *arg), void *arg);
/* After `closed`, and after spool_close() has ended, which may ask for snapshots until then; before
 * spool_free(), which wants its images back. Calls dest_gone() for all. */
void queue_free(struct queue **q);

/* The message is durable. Takes over the reference @image (may be NULL). @env must live for the call
 * only. ENVELOPE_HELD: all of it waits for an operator. ready() comes at the end of the turn, never from
 * inside. */
void queue_add(struct queue *q, uint64_t id, const struct envelope *env, struct spool_image *image,
	       uint64_t size_bytes);

/* A connection to @dest may be opened: it counts until queue_close_connection(). False: not now; ready()
 * or nothing comes later. */
bool queue_open_connection(struct queue *q, struct queue_dest *dest);
void queue_close_connection(struct queue *q, struct queue_dest *dest);
/* Does another worker wait for one of ours? */
bool queue_connection_wanted(const struct queue *q, const struct queue_dest *dest);

/* The next ready job of @dest, if its rate allows; false: nothing now (ready() comes when there is). */
bool queue_take(struct queue *q, struct queue_dest *dest, struct queue_work *work_r);
/* All recipients of the job have an outcome, in any order; one without is taken as deferred. The job is
 * not delivery's any more. */
void queue_done(struct queue *q, struct queue_job *job, const struct queue_outcome *outcomes, uint32_t n);
/* The job was not tried (connection lost before it, shutting down): ready again, in front, not an attempt. */
void queue_put_back(struct queue *q, struct queue_job *job);
/* A connection could not be opened. If nothing of this destination works: its ready jobs wait too, and
 * one probe comes after the schedule's next time (fresh mail brings it forward to the first step). If
 * others work: no more connections for a while. Call it before or after queue_close_connection(); a job
 * that it had been taken for is deferred or put back. */
void queue_dest_failed(struct queue *q, struct queue_dest *dest, const struct queue_outcome *why);
/* A connection is up and greets us: the probe ended well. */
void queue_dest_ok(struct queue *q, struct queue_dest *dest);
/* Delivery has room again (connections in total, memory): ready() for every destination that has work. */
void queue_poke(struct queue *q);

/* @status: 0 the notice is durable, or there is none to make; -ERR_x it could not be made and is asked
 * for again later. */
void queue_notice_done(struct queue *q, struct queue_notice *notice, int status);

/* A new configuration: refresh() is called for every destination before this returns; every message is
 * routed anew before its next attempt; destinations that backed off are tried. */
void queue_reroute(struct queue *q);
/* ETRN and `queue retry`: what waits for @domain (exact, or "@suffix": the domain and all below it) is
 * tried now, beginning with the next turn. Returns how many recipients wait. */
uint64_t queue_retry_domain(struct queue *q, struct span domain);

struct queue_stats {
	uint64_t messages, recipients;
	uint64_t ready, out, waiting, held,
		ending; /* recipients by state; ending: waiting for their notice */
	uint64_t destinations, destinations_down;
	uint64_t bytes; /* memory of entries, jobs and index, without images */
	uint64_t images, image_bytes;
	uint64_t reasons, reason_bytes;
	int64_t oldest_at_us; /* arrival of the oldest message; 0: none */
};

void queue_stats(const struct queue *q, struct queue_stats *st_r);

/* Of a destination, for `postern queue` and the web page. */
struct queue_dest_view {
	const struct queue_dest *dest;
	uint64_t ready, out, waiting; /* recipients */
	uint32_t connections;         /* of this worker */
	unsigned failures;            /* in a row; 0: it works as far as we know */
	int64_t probe_at_us;          /* wall clock; 0: not backing off */
	struct queue_outcome why;     /* of the last failure, when failures > 0 */
};

void queue_for_each_dest(struct queue *q, void (*see)(void *arg, const struct queue_dest_view *v), void *arg);
