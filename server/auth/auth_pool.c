/* Happy path of a job:
 *
 *   1. auth_pool_start() puts it into the queue, wakes a thread or starts one            (loop)
 *   2. auth_job_join() adds the asker                                                    (loop)
 *   3. a thread takes it, runs it without the lock, and posts a letter to each asker     (pool)
 *   4. the letter calls told(), and the asker and his reference are gone                 (loop)
 *
 * An asker who leaves before 3 is taken off the list, and the thread never hears of him. One who leaves between 3 and 4 is marked,
 * and his letter does nothing; it is his own loop that opens it. A letter is posted under the lock and only to askers who are on
 * the list: so their loop is there, for it does not end before its operations have.
 */
#include "auth/auth_pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/thread.h"

struct pool_thread {
	struct thread *thread;
	struct auth_pool *pool;
	bool busy;
};

struct auth_pool {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned refs; /* of the owner, of each thread and of each job */
	struct list queue;
	unsigned queued, queued_max;
	unsigned threads, threads_max;
	unsigned idle, busy;
	bool stopping;
	char name[16];
	void (*thread_end)(void *mine);
	struct pool_thread thread[]; /* threads_max of them, used from the start */
};

static void pool_unlock_unref(struct auth_pool *p)
{
	const bool last = --p->refs == 0;

	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- jobs and askers ----------------------------------------------------------------------------------- */

void auth_job_init(struct auth_job *j, struct auth_pool *p, void (*run)(struct auth_job *j, void **mine),
		   void (*free_job)(struct auth_job *j))
{
	*j = (struct auth_job){ .run = run, .free = free_job, .refs_ = 1, .pool_ = p };
	list_init(&j->link_);
	list_init(&j->askers_);
	pthread_mutex_lock(&p->lock);
	p->refs++;
	pthread_mutex_unlock(&p->lock);
}

/* With the pool's lock, which is given back. */
static void job_unlock_unref(struct auth_job *j)
{
	struct auth_pool *p = j->pool_;
	const bool last = --j->refs_ == 0;

	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	j->free(j);
	pthread_mutex_lock(&p->lock);
	pool_unlock_unref(p);
}

void auth_job_unref(struct auth_job **jp)
{
	struct auth_job *j = *jp;

	if (!j)
		return;
	*jp = NULL;
	pthread_mutex_lock(&j->pool_->lock);
	job_unlock_unref(j);
}

static void asker_open(struct letter *letter)
{
	struct auth_asker *a = container_of(letter, struct auth_asker, letter_);

	if (!a->left_)
		a->told(a);
	auth_job_unref(&a->job);
	free(a);
}

/* With the lock. A loop that takes no letters any more has no operations either, so nobody waits for this one. */
static void asker_post(struct auth_asker *a)
{
	list_remove(&a->link_);
	verify(loop_post(a->loop_, &a->letter_));
}

struct auth_asker *auth_job_join(struct auth_job *j, struct loop *loop, void (*told)(struct auth_asker *a),
				 void *arg)
{
	struct auth_asker *a = mem_alloc(sizeof *a);

	*a = (struct auth_asker){ .loop_ = loop, .job = j, .arg = arg, .told = told };
	a->letter_.open = asker_open;
	list_init(&a->link_);
	pthread_mutex_lock(&j->pool_->lock);
	j->refs_++;
	list_push_back(&j->askers_, &a->link_);
	if (j->ended_)
		asker_post(a);
	pthread_mutex_unlock(&j->pool_->lock);
	return a;
}

/* With the lock: takes it off the queue; the queue's reference is the caller's now. */
static void job_unqueue(struct auth_job *j)
{
	list_remove(&j->link_);
	j->pool_->queued--;
}

bool auth_asker_leave(struct auth_asker **ap)
{
	struct auth_asker *a = *ap;

	if (!a)
		return false;
	*ap = NULL;
	struct auth_job *j = a->job;

	pthread_mutex_lock(&j->pool_->lock);
	if (list_empty(&a->link_)) { /* the letter is on its way */
		a->left_ = true;
		pthread_mutex_unlock(&j->pool_->lock);
		return false;
	}
	list_remove(&a->link_);
	const bool withdrawn = list_empty(&j->askers_) && !list_empty(&j->link_);
	if (withdrawn) {
		job_unqueue(j);
		j->refs_--; /* never the last: the asker's is there yet */
	}
	job_unlock_unref(j);
	free(a);
	return withdrawn;
}

/* With the lock, after which the job is over: who still waits is told. */
static void job_end(struct auth_job *j)
{
	j->ended_ = true;
	list_for_each_safe(link, &j->askers_)
		asker_post(list_entry(link, struct auth_asker, link_));
}

/* ---- threads ------------------------------------------------------------------------------------------- */

/* The next job that may be run: all but the last thread are for every job, the last is for urgent ones. */
static struct auth_job *pool_take(struct auth_pool *p)
{
	struct list *link = list_first(&p->queue);
	struct auth_job *j = link ? list_entry(link, struct auth_job, link_) : NULL;

	if (!j || (!j->urgent && p->threads_max > 1 && p->busy + 1 >= p->threads_max))
		return NULL;
	job_unqueue(j);
	return j;
}

static void pool_run(void *arg)
{
	struct pool_thread *t = arg;
	struct auth_pool *p = t->pool;
	void *mine = NULL;

	pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		struct auth_job *j = pool_take(p);

		if (!j) {
			p->idle++;
			pthread_cond_wait(&p->changed, &p->lock);
			p->idle--;
			continue;
		}
		p->busy++;
		t->busy = true;
		pthread_mutex_unlock(&p->lock);
		j->ran = true;
		j->run(j, &mine);
		pthread_mutex_lock(&p->lock);
		p->busy--;
		t->busy = false;
		job_end(j);
		job_unlock_unref(j);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	if (p->thread_end && mine)
		p->thread_end(mine);
	pthread_mutex_lock(&p->lock);
	pool_unlock_unref(p);
}

int auth_pool_start(struct auth_job *j)
{
	struct auth_pool *p = j->pool_;
	int err = 0;

	pthread_mutex_lock(&p->lock);
	if (p->stopping || p->queued >= p->queued_max)
		err = -ERR_BUSY;
	if (!err) {
		j->refs_++;
		p->queued++;
		if (j->urgent)
			list_push_front(&p->queue, &j->link_);
		else
			list_push_back(&p->queue, &j->link_);
		if (p->idle)
			pthread_cond_signal(&p->changed);
		if (p->idle < p->queued && p->threads < p->threads_max) {
			struct pool_thread *t = &p->thread[p->threads++];
			p->refs++;
			t->pool = p;
			t->thread = thread_start(p->name, pool_run, t);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return err;
}

/* ---- pools --------------------------------------------------------------------------------------------- */

struct auth_pool *auth_pool_new(const char *name, unsigned threads, unsigned queue_max,
				void (*thread_end)(void *mine))
{
	struct auth_pool *p = mem_alloc(sizeof *p + threads * sizeof p->thread[0]);

	require(threads > 0 && queue_max > 0);
	require(pthread_mutex_init(&p->lock, NULL) == 0);
	require(pthread_cond_init(&p->changed, NULL) == 0);
	list_init(&p->queue);
	p->refs = 1;
	p->queued_max = queue_max;
	p->threads_max = threads;
	p->thread_end = thread_end;
	snprintf(p->name, sizeof p->name, "%s", name);
	return p;
}

void auth_pool_drop_queued(struct auth_pool *p)
{
	struct list dropped;

	list_init(&dropped);
	pthread_mutex_lock(&p->lock);
	list_for_each_safe(link, &p->queue) {
		struct auth_job *j = list_entry(link, struct auth_job, link_);

		if (j->urgent && !p->stopping)
			continue;
		job_unqueue(j);
		job_end(j);
		list_push_back(&dropped, link);
	}
	pthread_mutex_unlock(&p->lock);
	for (struct list *link; (link = list_pop_front(&dropped)) != NULL;) {
		struct auth_job *j = list_entry(link, struct auth_job, link_);
		auth_job_unref(&j);
	}
}

void auth_pool_free(struct auth_pool **pp)
{
	struct auth_pool *p = *pp;

	if (!p)
		return;
	*pp = NULL;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->changed);
	for (unsigned i = 0; i < p->threads; i++)
		if (p->thread[i].busy)
			thread_leave(&p->thread[i].thread);
	pthread_mutex_unlock(&p->lock);
	auth_pool_drop_queued(p);
	for (unsigned i = 0; i < p->threads; i++)
		thread_join(&p->thread[i].thread); /* it has nothing to do but to end */
	pthread_mutex_lock(&p->lock);
	pool_unlock_unref(p);
}

struct auth_pool_load auth_pool_load(struct auth_pool *p)
{
	pthread_mutex_lock(&p->lock);
	const struct auth_pool_load load = { .threads = p->threads, .busy = p->busy, .queued = p->queued };
	pthread_mutex_unlock(&p->lock);
	return load;
}
