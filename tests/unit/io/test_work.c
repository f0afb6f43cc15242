#include "io/work.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/err.h"
#include "test.h"

enum { MS = 1000, LONG_US = 60 * 1000000 };

/* A gate that a job waits at until the test opens it. */
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
	struct scope s;
	struct work_pool *pool;
	struct gate gate;
	pthread_t loop_thread;
	unsigned closed;
};

struct job {
	struct work w;
	struct bed *bed;
	bool at_gate;
	atomic_uint runs;
	unsigned dones;
	char thread_name[16];
	sigset_t mask;
	bool other_thread;
};

static int job_run(struct work *w)
{
	struct job *j = container_of(w, struct job, w);

	atomic_fetch_add(&j->runs, 1);
	j->other_thread = !pthread_equal(pthread_self(), j->bed->loop_thread);
	pthread_getname_np(pthread_self(), j->thread_name, sizeof j->thread_name);
	pthread_sigmask(SIG_SETMASK, NULL, &j->mask);
	if (j->at_gate)
		gate_pass(&j->bed->gate);
	return 42;
}

static void job_done(struct op *op)
{
	struct job *j = container_of(container_of(op, struct work, op), struct job, w);

	CHECK(pthread_equal(pthread_self(), j->bed->loop_thread));
	j->dones++;
}

static void bed_closed(struct scope *s)
{
	container_of(s, struct bed, s)->closed++;
}

static void bed_init(struct bed *b, unsigned threads, unsigned queue_max)
{
	*b = (struct bed){ .l = loop_new(), .loop_thread = pthread_self() };
	scope_init(&b->s, b->l, bed_closed);
	gate_init(&b->gate);
	b->pool = work_pool_new("test-pool", threads, queue_max);
}

static void bed_end(struct bed *b)
{
	scope_close(&b->s);
	while (!b->closed)
		loop_run_once(b->l, true);
	CHECK_INT(1, b->closed);
	work_pool_free(&b->pool);
	loop_free(&b->l);
	pthread_mutex_destroy(&b->gate.lock);
	pthread_cond_destroy(&b->gate.changed);
}

static void job_init(struct job *j, struct bed *b, bool at_gate)
{
	*j = (struct job){ .bed = b, .at_gate = at_gate };
	work_init(&j->w, job_run, job_done);
}

static int job_start(struct job *j, int64_t deadline_us)
{
	return work_start(&j->w, j->bed->pool, &j->bed->s, "test job", deadline_us);
}

static void job_runs_elsewhere_and_is_done_here(void)
{
	struct bed b;
	struct job j;

	bed_init(&b, 1, 4);
	job_init(&j, &b, false);
	for (unsigned again = 1; again <= 2; again++) {
		CHECK_INT(0, job_start(&j, LONG_US));
		while (j.dones < again)
			loop_run_once(b.l, true);
		CHECK_INT(42, j.w.op.status);
		CHECK_INT(again, j.runs);
	}
	CHECK(j.other_thread);
	CHECK_STR("test-pool", j.thread_name);
	CHECK(sigismember(&j.mask, SIGTERM) && sigismember(&j.mask, SIGINT) && sigismember(&j.mask, SIGUSR1));
	bed_end(&b);
}

static void queued_job_can_be_cancelled(void)
{
	struct bed b;
	struct job first, second;

	bed_init(&b, 1, 4);
	job_init(&first, &b, true);
	job_init(&second, &b, false);
	CHECK_INT(0, job_start(&first, LONG_US));
	gate_wait_inside(&b.gate, 1);
	CHECK_INT(0, job_start(&second, LONG_US));
	CHECK_INT(1, work_pool_waiting(b.pool));
	op_cancel(&second.w.op);
	CHECK_INT(0, work_pool_waiting(b.pool));
	CHECK_INT(0, second.dones);
	loop_run_once(b.l, false);
	CHECK_INT(1, second.dones);
	CHECK_INT(-ERR_CANCELED, second.w.op.status);
	CHECK_INT(0, second.runs);
	gate_open(&b.gate);
	bed_end(&b);
	CHECK_INT(1, first.dones);
}

static void running_job_is_let_run(void)
{
	struct bed b;
	struct job j;

	bed_init(&b, 1, 4);
	job_init(&j, &b, true);
	CHECK_INT(0, job_start(&j, LONG_US));
	gate_wait_inside(&b.gate, 1);
	op_cancel(&j.w.op);
	loop_run_once(b.l, false);
	CHECK_INT(0, j.dones);
	gate_open(&b.gate);
	while (!j.dones)
		loop_run_once(b.l, true);
	CHECK_INT(-ERR_CANCELED, j.w.op.status);
	CHECK_INT(42, j.w.result_);
	bed_end(&b);
}

static void deadline_is_reported_when_the_job_has_returned(void)
{
	struct bed b;
	struct job running, queued;

	bed_init(&b, 1, 4);
	job_init(&running, &b, true);
	job_init(&queued, &b, false);
	CHECK_INT(0, job_start(&running, 2 * MS));
	gate_wait_inside(&b.gate, 1);
	CHECK_INT(0, job_start(&queued, 2 * MS));
	while (!queued.dones)
		loop_run_once(b.l, true);
	CHECK_INT(-ERR_TIMEOUT, queued.w.op.status);
	CHECK_INT(0, running.dones);
	gate_open(&b.gate);
	while (!running.dones)
		loop_run_once(b.l, true);
	CHECK_INT(-ERR_TIMEOUT, running.w.op.status);
	CHECK_INT(0, queued.runs);
	bed_end(&b);
}

static void full_queue_refuses(void)
{
	struct bed b;
	struct job running, queued[2], refused;

	bed_init(&b, 1, 2);
	job_init(&running, &b, true);
	job_init(&refused, &b, false);
	CHECK_INT(0, job_start(&running, LONG_US));
	gate_wait_inside(&b.gate, 1);
	for (unsigned i = 0; i < 2; i++) {
		job_init(&queued[i], &b, false);
		CHECK_INT(0, job_start(&queued[i], LONG_US));
	}
	CHECK_INT(-ERR_BUSY, job_start(&refused, LONG_US));
	CHECK(!op_pending(&refused.w.op));
	gate_open(&b.gate);
	while (!queued[1].dones)
		loop_run_once(b.l, true);
	CHECK_INT(42, queued[0].w.op.status);
	bed_end(&b);
	CHECK_INT(0, refused.dones);
}

static void scope_waits_for_what_runs_and_drops_the_rest(void)
{
	struct bed b;
	struct job running, queued;

	bed_init(&b, 1, 4);
	job_init(&running, &b, true);
	job_init(&queued, &b, false);
	CHECK_INT(0, job_start(&running, LONG_US));
	gate_wait_inside(&b.gate, 1);
	CHECK_INT(0, job_start(&queued, LONG_US));
	scope_close(&b.s);
	for (unsigned i = 0; i < 5; i++)
		loop_run_once(b.l, false);
	CHECK_INT(0, b.closed);
	CHECK_INT(1, queued.dones);
	CHECK_INT(-ERR_CANCELED, job_start(&queued, LONG_US));
	gate_open(&b.gate);
	bed_end(&b);
	CHECK_INT(1, running.dones);
	CHECK_INT(0, queued.runs);
}

static void many_jobs_on_several_threads(void)
{
	enum { N = 300 };
	struct bed b;
	struct job *jobs = calloc(N, sizeof *jobs);
	unsigned dones = 0, runs = 0;

	bed_init(&b, 3, N);
	for (unsigned i = 0; i < N; i++) {
		job_init(&jobs[i], &b, false);
		CHECK_INT(0, job_start(&jobs[i], LONG_US));
	}
	for (unsigned i = 0; i < N; i += 3)
		op_cancel(&jobs[i].w.op); /* some are queued, some run, some have returned */
	while (!scope_idle(&b.s))
		loop_run_once(b.l, true);
	for (unsigned i = 0; i < N; i++) {
		dones += jobs[i].dones;
		runs += jobs[i].runs;
		CHECK(jobs[i].w.op.status == 42 || (i % 3 == 0 && jobs[i].w.op.status == -ERR_CANCELED));
	}
	CHECK_INT(N, dones);
	CHECK(runs >= N / 3 * 2 && runs <= N);
	bed_end(&b);
	free(jobs);
}

static void thread_body(void *arg)
{
	struct gate *g = arg;

	gate_pass(g);
}

static void thread_is_joined_by_its_owner(void)
{
	struct gate g;

	gate_init(&g);
	struct thread *t = thread_start("a name longer than fifteen octets", thread_body, &g);
	gate_wait_inside(&g, 1);
	gate_open(&g);
	thread_join(&t);
	CHECK(t == NULL);
	thread_join(&t);
	pthread_mutex_destroy(&g.lock);
	pthread_cond_destroy(&g.changed);
}

struct left {
	struct gate g;
	atomic_bool ended;
};

static void left_body(void *arg)
{
	struct left *x = arg;

	gate_pass(&x->g);
	atomic_store(&x->ended, true);
}

static void thread_that_is_left_runs_to_its_end(void)
{
	struct left x = { .ended = false };

	gate_init(&x.g);
	struct thread *t = thread_start("left", left_body, &x);
	gate_wait_inside(&x.g, 1);
	thread_leave(&t);
	CHECK(t == NULL);
	thread_leave(&t);
	gate_open(&x.g);
	for (int i = 0; i < 5000 && !atomic_load(&x.ended); i++)
		usleep(1000);
	CHECK(atomic_load(&x.ended));
}

TEST_MAIN(TEST(job_runs_elsewhere_and_is_done_here), TEST(queued_job_can_be_cancelled),
	  TEST(running_job_is_let_run), TEST(deadline_is_reported_when_the_job_has_returned),
	  TEST(full_queue_refuses), TEST(scope_waits_for_what_runs_and_drops_the_rest),
	  TEST(many_jobs_on_several_threads), TEST(thread_is_joined_by_its_owner),
	  TEST(thread_that_is_left_runs_to_its_end))
