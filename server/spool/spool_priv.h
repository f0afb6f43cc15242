/* spool/spool_priv.h - the inside of a spool, for the files that implement spool.h: loop, threads and memory around the logs. */
#pragma once

#include <pthread.h>

#include "io/loop.h"
#include "io/thread.h"
#include "spool/spool.h"
#include "spool/spool_body.h"
#include "spool/spool_log.h"

/* Octets of messages in memory. It outlives the spool as long as an image does. */
struct spool_memory {
	int refs;
	uint64_t used, max;
};

/* One log directory: the worker's own, which is the first, or one that it took over. */
struct spool_volume {
	struct spool *spool;
	struct spool_log *log;
	char dir[SPOOL_DIR_MAX + 1];
	unsigned number;
	bool due; /* what gathers lazily has waited long enough */
	struct spool_chore *chore;
};

/* One thread that writes one batch at a time. */
struct spool_committer {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct spool_batch *batch; /* under the lock; NULL: it rests */
	bool stop;                 /* under the lock */
	struct thread *thread;
	struct letter written;
	/* The loop's. */
	struct loop *loop;
	struct spool_batch *out;
	struct spool_volume *out_of;
	int64_t given_us;
};

struct spool_guard {
	int64_t checked_us;
	uint64_t written; /* octets since then */
	uint64_t free_octets;
	bool low;      /* the alarm was raised */
	bool refusing; /* the last who asked was refused */
};

struct spool {
	struct spool_config cfg;
	char dir[SPOOL_DIR_MAX + 1];
	const struct spool_fs *fs;
	struct loop *loop;
	struct work_pool *pool;
	struct logger *log;
	struct metric_shard *metrics;
	struct spool_recovery owner;
	struct spool_memory *memory;

	struct spool_volume *volumes;
	unsigned nvolumes, next_volume; /* whose turn it is */
	struct spool_committer committer;
	struct task turn;    /* at the end of the loop's turn: all that came in it shares a batch */
	struct timer lazy;   /* what gathers lazily becomes due */
	struct timer chores; /* ask for chores again */
	struct timer retry;  /* jobs that the pool had no room for */
	struct scope scope;  /* of the jobs */
	struct list jobs;    /* those that wait for room in the pool */
	unsigned njobs;      /* all of them */
	struct spool_guard guard;
	uint64_t reserved;    /* octets that the open writes may still need */
	unsigned writes;      /* open ones */
	int64_t broken_at_us; /* 0: it works */

	bool closing, ended;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- jobs: spool_job.c ---- */

/* Something for a thread of the pool. It always runs, and done() always comes; the spool's close waits for it. */
struct spool_job {
	struct work work;
	struct list link;
	struct spool *spool;
	void (*run)(struct spool_job *j);  /* on a thread of the pool */
	void (*done)(struct spool_job *j); /* on the loop; may free it */
};

void spool_job_start(struct spool *s, struct spool_job *j, void (*run)(struct spool_job *j),
		     void (*done)(struct spool_job *j));
void spool_jobs_retry(struct timer *t);

/* ---- the committer: spool_committer.c ---- */

void spool_committer_start(struct spool_committer *c, struct loop *loop, void (*written)(struct letter *l));
void spool_committer_give(struct spool_committer *c, struct spool_volume *v, struct spool_batch *b,
			  int64_t now_us);
void spool_committer_stop(struct spool_committer *c); /* it rests */

/* ---- spool.c, spool_report.c ---- */

void spool_on_turn(struct task *t);
void spool_on_lazy(struct timer *t);
void spool_on_chores(struct timer *t);
void spool_on_written(struct letter *l);
void spool_on_scope_closed(struct scope *scope);
void spool_on_report(void *arg, const struct spool_report *r);

struct spool_volume *spool_volume_of(const struct spool *s, uint64_t id); /* NULL: none of ours */
void spool_kick(struct spool *s); /* something may be written or done at the end of this turn */

/* ---- the guard of the disk space: spool_guard.c ---- */

int spool_guard_check(struct spool *s, uint64_t want);
void spool_guard_written(struct spool *s, uint64_t octets);

/* ---- memory: spool_image.c ---- */

struct spool_memory *spool_memory_new(uint64_t octets_max);
void spool_memory_unref(struct spool_memory *m);
bool spool_memory_fits(const struct spool_memory *m, uint64_t octets);

struct spool_image_own {
	struct spool_image image;
	struct spool_memory *memory;
	uint64_t counted; /* octets of the budget, given back with the image */
	char *block;      /* meta and head, perhaps body too */
	char *body;       /* NULL, or the body's own */
};

/* Takes over both blocks and @counted octets of the budget, which the caller has taken. */
struct spool_image_own *spool_image_new(struct spool_memory *m, uint64_t id, char *block, char *body,
					uint64_t counted);

/* ---- writing: spool_write.c, spool_stream.c, spool_commit.c ---- */

struct spool_write {
	struct spool *spool;
	uint64_t id, reserved, octets;
	char *p; /* what is in memory: all of a small message, the next piece of a large one */
	size_t n, cap;
	int error;                   /* of an earlier piece */
	struct spool_stream *stream; /* NULL: small */
	void (*room)(void *arg);
	void *room_arg;
};

/* The file of a large message as its pieces go to the pool: so many octets at a time, and a network read more. */
enum { SPOOL_STREAM_PIECE = 2 * SPOOL_BODY_BLOCK };

struct spool_stream {
	struct spool_job job;
	struct spool_write *write; /* NULL: given up */
	struct spool_body_writer writer;
	struct span flying; /* being written */
	size_t flying_cap;
	bool running, finishing, want_room;
	int result;
	void (*finished)(void *arg, int status); /* what commit waits for */
	void *finished_arg;
};

void spool_write_forget(struct spool_write *w); /* frees it, with what it has in memory */
void spool_stream_begin(struct spool_write *w);
int spool_stream_more(struct spool_write *w); /* w->p has grown; -ERR_AGAIN: the disk is behind */
/* @finished(0): the file is durable, end it; else give it up. Perhaps never, when it is given up before. */
void spool_stream_finish(struct spool_write *w, void (*finished)(void *arg, int status), void *arg);
void spool_stream_end(struct spool_write *w);
void spool_stream_give_up(struct spool_write *w);
