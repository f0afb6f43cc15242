/* queue/queue_priv.h - what the files of the queue share; nobody else includes it.
 *
 * Entry   a message. Its recipients that are not settled are in its jobs
 * Job recipients of one entry that go one way together. Between queue_job_leave() and queue_job_enter()
 * it is in no state and
 *         counted nowhere: only then its recipients may be changed
 *
 *   state     in its destination's   in q->wakes at
 *   READY     fresh or retry list    end of its lifetime, next delay notice
 *   WAITING   -                      next attempt, next delay notice
 *   OUT       out list               -
 *   HELD      -                      -
 *   ENDING    (q->endings, until it is in a notice run) after a notice could not be made: when to try again
 */
#pragma once

#include "base/arena.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/random.h"
#include "queue/queue.h"
#include "queue/queue_action.h"
#include "queue/queue_domain.h"
#include "queue/queue_note.h"
#include "queue/queue_reason.h"
#include "queue/queue_table.h"

/* ---- messages ------------------------------------------------------------------------------------------ */

struct queue_rcpt {
	struct queue_domain *domain;
	struct queue_reason *reason; /* of the last attempt, or why it is held */
	uint32_t index;
	uint8_t wants_success; /* NOTIFY=SUCCESS */
	uint8_t pick;          /* scratch: for queue_job_extract() */
};

enum queue_job_flags {
	JOB_MANY = 1 << 0,      /* rcpts are in many.v */
	JOB_IN_NOTICE = 1 << 1, /* ENDING, and the notice that is being made is about it */
	JOB_IN_DELAY = 1 << 2,  /* a delay notice about it is being made */
	JOB_TOLD = 1 << 3,      /* ENDING, and ops->ended() was called */
	JOB_ROUTING = 1 << 4,   /* READY, in no list: being routed anew */
	JOB_IMAGE = 1 << 5,     /* OUT with the entry's image */
};

struct queue_job {
	struct heap_node wake;
	struct list link;
	struct queue_entry *entry;
	struct queue_dest_priv *dest;
	struct queue_job *next; /* of the same entry */
	union {
		struct queue_rcpt one;
		struct {
			struct queue_rcpt *v;
			uint32_t *out; /* indices for delivery while OUT */
		} many;
	};
	/* WAITING: wall clock, seconds, of the next attempt. READY, OUT: q's clock, ms, since when */
	uint32_t when;
	uint16_t nrcpt; /* 0: unused (an entry's first job only) */
	uint16_t attempts;
	uint8_t state; /* enum queue_state */
	uint8_t flags;
	uint8_t notices;             /* delay notices made */
	uint8_t epoch;               /* of q when it was routed */
	uint8_t end_kind, end_cause; /* ENDING: enum queue_notice_kind, enum queue_cause */
};

enum queue_entry_flags {
	ENTRY_NULL_SENDER = 1 << 0,
	ENTRY_BY_NOTIFY = 1 << 1,
	ENTRY_HELD_AT_FIRST = 1 << 2, /* by its envelope */
	ENTRY_RECOVERED = 1 << 3,     /* from the spool: not fresh mail */
	ENTRY_IN_DELAYS = 1 << 4,     /* in q->delays, or its delay notice is being made */
	ENTRY_IN_RUN = 1 << 5,        /* another notice about it is being made: one at a time */
};

struct queue_entry {
	uint64_t id;     /* what q->table finds */
	struct list all; /* in q->entries, in the order in which they came */
	int64_t created_at_us;
	struct queue_image *image;
	int32_t deliver_by_s; /* after created_at_us; 0: none */
	uint32_t size_bytes;
	uint16_t nrcpt;     /* not settled */
	uint16_t nrcpt_all; /* of the envelope */
	uint16_t held;      /* jobs */
	uint8_t pins;       /* notice runs that point here: it must not go */
	uint8_t flags;
	struct queue_job first;
};

/* An image that is kept for the first attempt, within the budget. */
struct queue_image {
	struct list link; /* in q->images, the oldest first */
	struct queue_entry *entry;
	struct spool_image *img;
	uint64_t bytes;
	uint32_t out; /* jobs of the entry that are OUT with it */
};

/* ---- destinations -------------------------------------------------------------------------------------- */

enum queue_dest_state {
	DEST_UP,
	DEST_DOWN,    /* until probe_at */
	DEST_PROBING, /* one connection, one job */
};

struct queue_dest_priv {
	struct queue_dest pub;
	struct queue *q;
	struct map_node node;
	struct list all;               /* in q->dest_list */
	struct list work;              /* in q->work: something changed for it */
	struct list fresh, retry, out; /* jobs */
	uint64_t rcpts[QUEUE_STATE_MAX_];
	uint32_t njobs, nready, nout;
	struct ledger_member *member;
	uint32_t conns, grants;
	enum queue_dest_state state;
	unsigned failures;                 /* in a row */
	unsigned turns;                    /* fresh mail takes most of them */
	struct queue_reason *why;          /* of the last failure */
	int64_t failed_at_us, probe_at_us; /* loop time, as all that follow */
	int64_t ok_at_us;                  /* when it last greeted us or took something */
	int64_t grow_at_us;                /* no more connections before */
	int64_t rate_at_us;                /* no message before */
	int64_t idle_at_us;                /* since when it has been without work */
	bool gone;                         /* its route is */
	bool undecided; /* DOWN because the probe's connection was closed; how it went may still be said */
	struct timer timer;
	struct queue_job *building; /* while an entry is made: its job for this destination */
	char text[];
};

/* ---- the queue ----------------------------------------------------------------------------------------- */

struct queue {
	struct queue_config cfg;
	struct loop *loop;
	struct ledger *ledger;
	struct queue_ops ops;
	struct logger *log;
	struct metric_shard *metrics;
	struct spool *spool;              /* from queue_start() on */
	struct schedule schedule_default; /* of destinations without a route */

	struct queue_table table;
	struct list entries;
	struct list cursors; /* struct queue_cursor */
	struct list walks;   /* operators' actions under way: struct queue_walk.link */
	struct list exports; /* struct queue_export_run.link */
	unsigned nimports;   /* commits of imports under way */
	struct heap wakes;
	struct timer wake_timer;
	uint64_t rcpts[QUEUE_STATE_MAX_];
	uint64_t rcpts_all, jobs_extra, many_bytes;

	struct map dests;
	struct list dest_list; /* the same, in an order that chance has no part in */
	uint64_t dests_down;
	struct list work; /* destinations to look at */
	struct task task;

	struct queue_reasons reasons;
	struct queue_domains domains;
	struct list retries; /* domains to be tried now */
	struct queue_cursor {
		struct list link; /* in q->cursors */
		/* the next to look at; moves on when that one goes. NULL: at the end */
		struct queue_entry *at;
	} retry_at;
	struct timer retry_timer;

	struct list images;
	uint64_t image_bytes, nimages;

	struct list endings; /* jobs in ENDING */
	struct list delays;  /* struct queue_delay: entries whose delay notice is due */
	unsigned ndelays;
	struct list runs; /* notices being made */
	unsigned nruns;

	struct list reroutes; /* jobs to be routed anew */
	struct list reroute_runs;
	unsigned nreroute_runs;
	uint8_t epoch;

	struct scope scope;  /* of loads and of the last sync */
	struct arena *arena; /* for a decoded envelope that lives for one call */
	struct buf note, scratch;
	uint64_t random;    /* state of queue_random() */
	int64_t started_us; /* loop time: zero of the job's ms */
	bool closing, syncing, closed;
	struct op sync;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

enum { QUEUE_LOAD_US = 60 * 1000 * 1000, QUEUE_LOADS_MAX = 16, QUEUE_ENV_ARENA_MAX = 16 << 20 };

/* Iterates over the jobs of @e; the one in hand may not be freed. */
static inline struct queue_job *queue_job_used(struct queue_job *job)
{
	while (job && job->nrcpt == 0)
		job = job->next;
	return job;
}

#define queue_for_each_job(it, e)                                                                            \
	for (struct queue_job *it = queue_job_used(&(e)->first); it; it = queue_job_used(it->next))
/* The one in hand may be freed, split or settled; others may not go. */
#define queue_for_each_job_safe(it, e)                                                                       \
	for (struct queue_job *it = queue_job_used(&(e)->first),                                             \
			      *it##_next = it ? queue_job_used(it->next) : NULL;                             \
	     it; it = it##_next, it##_next = it ? queue_job_used(it->next) : NULL)

static inline struct queue_rcpt *queue_job_rcpts(struct queue_job *job)
{
	return job->flags & JOB_MANY ? job->many.v : &job->one;
}

static inline struct queue_entry *queue_find(struct queue *q, uint64_t id)
{
	uint64_t *at = queue_table_get(&q->table, id);

	return at ? container_of(at, struct queue_entry, id) : NULL;
}

/* queue.c */
uint64_t queue_random(struct queue *q);
void queue_kick(struct queue *q); /* the task runs at the end of the turn */
uint32_t queue_clock_ms(const struct queue *q);
int64_t queue_loop_time(const struct queue *q, int64_t wall_us);
int64_t queue_wall_time(const struct queue *q, int64_t loop_us);

/* queue_entry.c */
struct queue_entry *queue_entry_new(struct queue *q, uint64_t id, const struct envelope *env,
				    uint64_t size_bytes);
void queue_entry_free(struct queue *q, struct queue_entry *e);  /* whatever state it is in; tells nobody */
bool queue_entry_check(struct queue *q, struct queue_entry *e); /* true: nothing was left of it and it went */
struct schedule_message queue_entry_message(const struct queue_entry *e);
const struct schedule *queue_job_schedule(const struct queue_job *job);
void queue_job_leave(struct queue *q, struct queue_job *job);
void queue_job_enter(struct queue *q, struct queue_job *job, enum queue_state state);
void queue_job_settle(struct queue *q, struct queue_job *job); /* between leave and enter; @job is gone */
/* Those recipients whose pick is @pick, as a job of their own (@job itself if all are); NULL if none.
 * Between leave and enter. */
struct queue_job *queue_job_extract(struct queue *q, struct queue_job *job, uint8_t pick);
/* Marks those of @job that are among @index (ascending) with pick 1, others with 0. Returns how many. */
uint32_t queue_job_pick(struct queue_job *job, const uint32_t *index, uint32_t n);
void queue_job_move(struct queue *q, struct queue_job *job,
		    struct queue_dest_priv *d); /* between leave and enter */
/* Notes tell recipients with different replies apart; those that stand at the same point go together
 * again. Before they enter. */
void queue_entry_merge(struct queue *q, struct queue_entry *e);
void queue_rcpt_reason(struct queue *q, struct queue_rcpt *r, const struct queue_outcome *o, size_t text_max);
uint64_t queue_memory(const struct queue *q);

/* queue_recover.c: of an entry whose jobs are in no state yet */
void queue_entry_as_it_came(struct queue *q, struct queue_entry *e, const struct envelope *env);
void queue_entry_hold_unreadable(struct queue *q, struct queue_entry *e);

/* queue_wake.c */
void queue_job_arm(struct queue *q, struct queue_job *job);
void queue_wakes_arm(struct queue *q);
void queue_wake_init(struct queue *q);
void queue_job_end(struct queue *q, struct queue_job *job, enum queue_notice_kind kind,
		   enum queue_cause cause); /* it was entered */
unsigned queue_job_notices_due(const struct queue_job *job, int64_t wall_us);

/* queue_image.c */
void queue_image_keep(struct queue *q, struct queue_entry *e,
		      struct spool_image *img); /* takes over the reference */
void queue_image_drop(struct queue *q, struct queue_entry *e);
void queue_image_done(struct queue *q,
		      struct queue_entry *e); /* drops it if no job is to be tried or returned soon */

/* queue_dest.c */
struct queue_dest_priv *queue_dest_get(struct queue *q, const struct queue_route *route);
void queue_dest_touch(struct queue_dest_priv *d);
void queue_dest_pump(struct queue_dest_priv *d);
void queue_dest_ready_job(struct queue_dest_priv *d, bool fresh); /* one more is ready */
void queue_dest_probe_now(struct queue_dest_priv *d);
void queue_dest_free(struct queue_dest_priv *d);

/* queue_state.c: notes */
void queue_state_group(struct queue_note_writer *w, struct queue_job *job, bool with_texts);
void queue_state_write(struct queue *q, struct queue_entry *e,
		       struct queue_job *job); /* where @job stands goes to the spool */
void queue_state_settled_group(struct queue_note_writer *w, struct queue_job *job);
void queue_state_write_settled(struct queue *q,
			       struct queue_job *job); /* nothing, if the message goes as a whole */
/* All of it in one note; nothing for a message that is as it came. */
void queue_state_snapshot(struct queue_entry *e, struct buf *note);
int queue_state_apply(struct queue *q, struct queue_entry *e, struct span note);

/* queue_notice.c */
void queue_notice_pump(struct queue *q);
bool queue_delay_add(struct queue *q, struct queue_entry *e); /* false: too many; ask again soon */
void queue_runs_cancel(struct queue *q);

/* queue_reroute.c */
bool queue_job_stale(const struct queue *q, const struct queue_job *job);
void queue_reroute_add(struct queue *q, struct queue_job *job); /* READY, in its list */
void queue_reroute_pump(struct queue *q);
void queue_reroutes_cancel(struct queue *q);

/* queue_cursor.c: walks over all entries that may take many turns */
void queue_cursor_start(struct queue *q, struct queue_cursor *c);
struct queue_entry *queue_cursor_next(struct queue_cursor *c, const struct queue *q);
void queue_cursor_stop(struct queue_cursor *c);
void queue_cursors_entry_gone(struct queue *q, struct queue_entry *e);

/* queue_action.c, queue_order.c */
void queue_walks_cancel(struct queue *q);
bool queue_order_needs_envelope(const struct queue_action *a);
/* Marks the recipients of @e that match with pick 1, others with 0. @env NULL: what only it can tell
 * matches. Returns how many. */
uint32_t queue_order_match(struct queue *q, const struct queue_action *a, struct queue_entry *e,
			   const struct envelope *env);
void queue_order_row(struct queue *q, struct queue_action *a, struct queue_entry *e,
		     const struct envelope *env);
/* The order for those with pick 1. Counts in @a; @e may be gone. Returns whether anything was changed. */
bool queue_order_carry_out(struct queue *q, struct queue_action *a, struct queue_entry *e);

/* queue_export.c */
void queue_exports_cancel(struct queue *q);

/* queue_retry.c */
void queue_retry_init(struct queue *q);
void queue_retry_pump(struct queue *q);
void queue_retry_forget(struct queue *q);
bool queue_job_retry(struct queue *q, struct queue_job *job); /* false: it is held or out */
