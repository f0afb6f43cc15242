#include "auth/auth_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/op.h"
#include "test.h"

/* A gate that jobs wait at until the test opens it. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open;
	unsigned inside;
};

static void gate_init(struct gate *g)
{
	*g = (struct gate){ .open = false };
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
}

static void gate_pass(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->inside++;
	pthread_cond_broadcast(&g->changed);
	while (!g->open)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void gate_wait_inside(struct gate *g, unsigned n)
{
	pthread_mutex_lock(&g->lock);
	while (g->inside < n)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void gate_open(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

struct bed {
	struct loop *l;
	struct auth_pool *pool;
	struct gate gate;
	atomic_uint runs, frees, thread_ends;
	unsigned told, told_not_run;
};

struct work_job {
	struct auth_job job;
	struct bed *bed;
	bool at_gate;
};

static void job_run(struct auth_job *job, void **mine)
{
	struct work_job *j = container_of(job, struct work_job, job);

	if (!*mine)
		*mine = j->bed;
	atomic_fetch_add(&j->bed->runs, 1);
	if (j->at_gate)
		gate_pass(&j->bed->gate);
}

static void job_free(struct auth_job *job)
{
	struct work_job *j = container_of(job, struct work_job, job);

	atomic_fetch_add(&j->bed->frees, 1);
	free(j);
}

static void thread_end(void *mine)
{
	struct bed *b = mine;

	atomic_fetch_add(&b->thread_ends, 1);
}

static void told(struct auth_asker *a)
{
	struct bed *b = a->arg;

	b->told++;
	b->told_not_run += !a->job->ran;
}

static void bed_init(struct bed *b, unsigned threads, unsigned queue_max)
{
	*b = (struct bed){ .l = loop_new() };
	gate_init(&b->gate);
	b->pool = auth_pool_new("test", threads, queue_max, thread_end);
}

/* Until @n of @what have been counted, by the loop or by threads. */
static void turn_until(struct bed *b, atomic_uint *what, unsigned n)
{
	for (int i = 0; i < 5000 && atomic_load(what) < n; i++) {
		loop_run_once(b->l, false);
		usleep(1000);
	}
	CHECK_INT(n, atomic_load(what));
	loop_run_once(b->l, false);
}

static struct auth_asker *ask(struct bed *b, bool at_gate, bool urgent, int *err_r)
{
	struct work_job *j = mem_alloc(sizeof *j);
	struct auth_job *job = &j->job;
	struct auth_asker *a = NULL;

	j->bed = b;
	j->at_gate = at_gate;
	auth_job_init(job, b->pool, job_run, job_free);
	job->urgent = urgent;
	*err_r = auth_pool_start(job);
	if (!*err_r)
		a = auth_job_join(job, b->l, told, b);
	auth_job_unref(&job);
	return a;
}

static void bed_end(struct bed *b, unsigned threads)
{
	auth_pool_free(&b->pool);
	turn_until(b, &b->thread_ends, threads);
	loop_free(&b->l);
}

static void a_job_is_run_and_its_askers_are_told(void)
{
	struct bed b;
	int err;

	bed_init(&b, 2, 10);
	struct auth_asker *a = ask(&b, true, false, &err);
	NEED(a && !err);
	gate_wait_inside(&b.gate, 1);
	CHECK(auth_job_join(a->job, b.l, told, &b) != NULL);
	CHECK_INT(1, auth_pool_load(b.pool).busy);
	gate_open(&b.gate);
	turn_until(&b, &b.frees, 1);
	CHECK_INT(2, b.told);
	CHECK_INT(0, b.told_not_run);
	bed_end(&b, 1);
}

static void who_joins_after_the_end_is_told_too(void)
{
	struct bed b;
	struct work_job *j = mem_alloc(sizeof *j);
	struct auth_job *job = &j->job;

	bed_init(&b, 1, 10);
	j->bed = &b;
	auth_job_init(job, b.pool, job_run, job_free);
	NEED(auth_pool_start(job) == 0);
	for (int i = 0; i < 5000 && auth_pool_load(b.pool).busy + auth_pool_load(b.pool).queued; i++)
		usleep(1000);
	auth_job_join(job, b.l, told, &b);
	CHECK_INT(0, b.told);
	auth_job_unref(&job);
	turn_until(&b, &b.frees, 1);
	CHECK_INT(1, b.told);
	bed_end(&b, 1);
}

static void who_leaves_is_not_told_and_the_job_goes_on(void)
{
	struct bed b;
	int err;

	bed_init(&b, 2, 10);
	struct auth_asker *a = ask(&b, true, false, &err);
	gate_wait_inside(&b.gate, 1);
	CHECK(!auth_asker_leave(&a));
	CHECK(!a);
	gate_open(&b.gate);
	turn_until(&b, &b.frees, 1);
	CHECK_INT(0, b.told);
	CHECK_INT(1, atomic_load(&b.runs));
	bed_end(&b, 1);
}

static void who_leaves_with_his_letter_on_its_way_is_not_told(void)
{
	struct bed b;
	int err;

	bed_init(&b, 1, 10);
	struct auth_asker *a = ask(&b, false, false, &err);
	for (int i = 0; i < 5000 && auth_pool_load(b.pool).busy + auth_pool_load(b.pool).queued; i++)
		usleep(1000);
	CHECK(!auth_asker_leave(&a));
	turn_until(&b, &b.frees, 1);
	CHECK_INT(0, b.told);
	bed_end(&b, 1);
}

static void a_job_without_askers_is_not_run(void)
{
	struct bed b;
	int err;

	bed_init(&b, 1, 2);
	struct auth_asker *stuck = ask(&b, true, false, &err);
	gate_wait_inside(&b.gate, 1);
	struct auth_asker *a = ask(&b, false, false, &err), *second = ask(&b, false, false, &err);
	NEED(stuck && a && second);
	CHECK(!ask(&b, false, false, &err));
	CHECK_INT(-ERR_BUSY, err);
	CHECK(auth_asker_leave(&a));
	CHECK_INT(1, auth_pool_load(b.pool).queued);
	gate_open(&b.gate);
	turn_until(&b, &b.frees, 4);
	CHECK_INT(2, atomic_load(&b.runs));
	CHECK_INT(2, b.told);
	bed_end(&b, 1);
}

static void the_last_thread_is_for_urgent_jobs(void)
{
	struct bed b;
	int err;

	bed_init(&b, 3, 10);
	for (unsigned i = 0; i < 4; i++)
		NEED(ask(&b, true, false, &err) != NULL);
	gate_wait_inside(&b.gate, 2);
	CHECK_INT(2, auth_pool_load(b.pool).queued);
	NEED(ask(&b, false, true, &err) != NULL);
	turn_until(&b, &b.frees, 1);
	CHECK_INT(3, atomic_load(&b.runs));
	CHECK_INT(2, auth_pool_load(b.pool).queued);
	gate_open(&b.gate);
	turn_until(&b, &b.frees, 5);
	CHECK_INT(5, b.told);
	bed_end(&b, auth_pool_load(b.pool).threads);
}

static void what_waits_can_be_dropped(void)
{
	struct bed b;
	int err;

	bed_init(&b, 1, 10);
	NEED(ask(&b, true, false, &err) != NULL);
	gate_wait_inside(&b.gate, 1);
	NEED(ask(&b, false, false, &err) && ask(&b, false, false, &err));
	auth_pool_drop_queued(b.pool);
	turn_until(&b, &b.frees, 2);
	CHECK_INT(2, b.told);
	CHECK_INT(2, b.told_not_run);
	gate_open(&b.gate);
	turn_until(&b, &b.frees, 3);
	CHECK_INT(3, b.told);
	bed_end(&b, 1);
}

static void freeing_does_not_wait_for_a_thread_that_is_stuck(void)
{
	struct bed b;
	int err;

	bed_init(&b, 2, 10);
	struct auth_asker *a = ask(&b, true, false, &err);
	gate_wait_inside(&b.gate, 1);
	auth_asker_leave(&a);
	auth_pool_free(&b.pool);
	CHECK_INT(0, atomic_load(&b.frees));
	gate_open(&b.gate);
	turn_until(&b, &b.frees, 1);
	turn_until(&b, &b.thread_ends, 1);
	CHECK_INT(0, b.told);
	loop_free(&b.l);
}

TEST_MAIN(TEST(a_job_is_run_and_its_askers_are_told), TEST(who_joins_after_the_end_is_told_too),
	  TEST(who_leaves_is_not_told_and_the_job_goes_on),
	  TEST(who_leaves_with_his_letter_on_its_way_is_not_told), TEST(a_job_without_askers_is_not_run),
	  TEST(the_last_thread_is_for_urgent_jobs), TEST(what_waits_can_be_dropped),
	  TEST(freeing_does_not_wait_for_a_thread_that_is_stuck))
