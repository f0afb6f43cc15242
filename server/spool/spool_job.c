#include "spool/spool_priv.h"

/* A job is never cancelled: what it is for may be, and its owner looks at that in done(). */
#define JOB_DEADLINE_US (INT64_C(365) * 86400 * 1000000)
#define JOB_RETRY_US    (10 * INT64_C(1000))

static int run_job(struct work *w)
{
	struct spool_job *j = container_of(w, struct spool_job, work);

	j->run(j);
	return 0;
}

static void job_done(struct op *op)
{
	struct spool_job *j = container_of(op, struct spool_job, work.op);
	struct spool *s = j->spool;

	s->njobs--;
	j->done(j);
	spool_jobs_retry(&s->retry);
	spool_kick(s);
}

static bool try_start(struct spool_job *j)
{
	struct spool *s = j->spool;

	return work_start(&j->work, s->pool, &s->scope, "spool job", JOB_DEADLINE_US) == 0;
}

/* In the order in which they came. */
void spool_jobs_retry(struct timer *t)
{
	struct spool *s = container_of(t, struct spool, retry);

	while (!list_empty(&s->jobs)) {
		struct spool_job *j = list_entry(list_first(&s->jobs), struct spool_job, link);
		list_remove(&j->link);
		if (!try_start(j)) {
			list_push_front(&s->jobs, &j->link);
			timer_set_in(s->loop, &s->retry, JOB_RETRY_US);
			return;
		}
	}
}

void spool_job_start(struct spool *s, struct spool_job *j, void (*run)(struct spool_job *j),
		     void (*done)(struct spool_job *j))
{
	work_init(&j->work, run_job, job_done);
	list_init(&j->link);
	j->spool = s;
	j->run = run;
	j->done = done;
	s->njobs++;
	list_push_back(&s->jobs, &j->link);
	spool_jobs_retry(&s->retry);
}
