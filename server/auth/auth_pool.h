/* auth/auth_pool.h - calls that block and cannot be stopped, for askers who cannot wait for their end.
 *
 * io/work.h completes a job that runs only when it returns. A call of libkrb5 to a KDC that is silent returns after half a
 * minute, and a client is to be answered after five seconds. So a job here is on the heap and outlives who asked for it: an
 * asker leaves at his deadline, the job runs to its end on its thread and is then let go. Several may ask for one job.
 *
 *   loop                                             pool thread
 *   auth_pool_start(pool, job)                       job->run(job, &mine)
 *   auth_job_join(job, loop, told) -> asker          ... each asker who is still there gets a letter
 *   told(asker): read the job's result, complete     job->free(job), when the last asker has let go of it
 *   or auth_asker_leave(asker), at the deadline
 *
 * A pool has at most as many threads as it was given, starts them when they are needed, and has a bounded queue. Its last
 * thread is kept for urgent jobs (a breaker's probe), however many others are stuck.
 *
 * Ownership: a job belongs to whoever holds a reference: the pool until `run` has returned, and each asker. What `run` reads of the
 *            job must be its own; the owner's locks say who may write what.
 * Threads:   start, join, leave and told on the loop that asks; run on a pool thread; free on any.
 * Errors:    -ERR_BUSY the queue is full or the pool is going away.
 * Tests:     tests/unit/auth/test_pool.c
 */
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/mailbox.h"
#include "io/loop.h"

struct auth_pool;
struct auth_asker;

struct auth_job {
	/* @mine: a place of the thread's own, NULL at first, for what it keeps from job to job; see auth_pool_new. */
	void (*run)(struct auth_job *j, void **mine);
	void (*free)(struct auth_job *j);
	bool urgent;
	bool ran; /* for told(): false when it was dropped from the queue */
	/* private, under the pool's lock */
	struct auth_pool *pool_;
	struct list link_;   /* in the queue */
	struct list askers_; /* who has not been told yet */
	unsigned refs_;
	bool ended_;
};

struct auth_asker {
	struct letter letter_;
	struct list link_; /* in job->askers_ */
	struct loop *loop_;
	bool left_; /* the loop's */
	struct auth_job *job;
	void *arg;
	void (*told)(struct auth_asker *a);
};

/* @thread_end frees what a thread kept; it may be NULL. */
struct auth_pool *auth_pool_new(const char *name, unsigned threads, unsigned queue_max,
				void (*thread_end)(void *mine));
/* Does not wait for calls: what is queued is dropped, a thread that is in a call ends when that returns, and the pool goes with the
 * last of them. */
void auth_pool_free(struct auth_pool **p);
/* What waits and is not urgent is over without having been run; its askers are told. */
void auth_pool_drop_queued(struct auth_pool *p);

/* The caller's reference is the only one so far and stays the caller's; the pool takes its own. */
void auth_job_init(struct auth_job *j, struct auth_pool *p, void (*run)(struct auth_job *j, void **mine),
		   void (*free)(struct auth_job *j));
int auth_pool_start(struct auth_job *j);
void auth_job_unref(struct auth_job **j);

/* @told is called once, on @loop, never from inside, and the asker is gone behind it; unless he leaves before: then never. The
 * asker has a reference to the job as long as he is there. */
struct auth_asker *auth_job_join(struct auth_job *j, struct loop *loop, void (*told)(struct auth_asker *a),
				 void *arg);
/* Returns true when the job was still queued and nobody asks for it any more: it is not going to run. */
bool auth_asker_leave(struct auth_asker **a);

struct auth_pool_load {
	unsigned threads, busy, queued;
};

struct auth_pool_load auth_pool_load(struct auth_pool *p);
