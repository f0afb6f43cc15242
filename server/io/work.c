/* Happy path of a job:
 *
 *   1. work_start() puts it into the queue and wakes one thread                       (loop)
 *   2. a thread takes it, runs it without the lock, and posts its letter              (pool)
 *   3. the letter completes the op, whose done() runs at the end of that turn         (loop)
 *
 * Cancelled or late in the queue: it is taken out and completes at once. Cancelled or late while it runs:
 * nothing can stop it, so the op waits for step 3 and reports the reason instead of the result.
 */
#include "io/work.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"

struct work_pool {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct list queue;
	unsigned waiting, waiting_max;
	bool stopping;
	unsigned threads_n;
	struct thread *threads[];
};

static void run_queue(void *arg)
{
	struct work_pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct list *link = list_pop_front(&p->queue);

		if (!link && p->stopping)
			break;
		if (!link) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		p->waiting--;
		pthread_mutex_unlock(&p->lock);
		struct work *w = list_entry(link, struct work, link_);
		struct loop *loop = w->loop_;
		w->result_ = w->run(w);
		require(loop_post(loop, &w->letter_)); /* from here on the loop may free it */
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
}

struct work_pool *work_pool_new(const char *name, unsigned threads, unsigned queue_max)
{
	struct work_pool *p = mem_alloc(sizeof *p + threads * sizeof(struct thread *));

	require(threads > 0 && queue_max > 0);
	require(pthread_mutex_init(&p->lock, NULL) == 0);
	require(pthread_cond_init(&p->changed, NULL) == 0);
	list_init(&p->queue);
	p->waiting_max = queue_max;
	p->threads_n = threads;
	for (unsigned i = 0; i < threads; i++)
		p->threads[i] = thread_start(name, run_queue, p);
	return p;
}

void work_pool_free(struct work_pool **pp)
{
	struct work_pool *p = *pp;

	if (!p)
		return;
	*pp = NULL;
	pthread_mutex_lock(&p->lock);
	require(list_empty(&p->queue));
	p->stopping = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads_n; i++)
		thread_join(&p->threads[i]);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

unsigned work_pool_waiting(struct work_pool *p)
{
	pthread_mutex_lock(&p->lock);
	const unsigned n = p->waiting;
	pthread_mutex_unlock(&p->lock);
	return n;
}

static void work_returned(struct letter *letter)
{
	struct work *w = container_of(letter, struct work, letter_);

	op_complete(&w->op, w->result_);
}

/* Out of the queue, if it is still there. */
static void work_cancel(struct op *op)
{
	struct work *w = container_of(op, struct work, op);
	struct work_pool *p = w->pool_;

	pthread_mutex_lock(&p->lock);
	const bool queued = !list_empty(&w->link_);
	if (queued) {
		list_remove(&w->link_);
		p->waiting--;
	}
	pthread_mutex_unlock(&p->lock);
	if (queued)
		op_complete(op, -ERR_CANCELED);
}

void work_init(struct work *w, int (*run)(struct work *w), void (*done)(struct op *op))
{
	*w = (struct work){ .run = run };
	op_init(&w->op, done);
	list_init(&w->link_);
}

int work_start(struct work *w, struct work_pool *p, struct scope *scope, const char *what,
	       int64_t deadline_us)
{
	pthread_mutex_lock(&p->lock);
	int err = p->waiting >= p->waiting_max ? -ERR_BUSY : 0;
	if (!err)
		err = op_begin(&w->op, scope, what, deadline_us, work_cancel);
	if (!err) {
		w->pool_ = p;
		w->loop_ = scope->loop;
		w->letter_.open = work_returned;
		list_init(&w->link_);
		list_push_back(&p->queue, &w->link_);
		p->waiting++;
		pthread_cond_signal(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return err;
}
