#include "spool/spool_priv.h"

#include "base/check.h"

static void run_committer(void *arg)
{
	struct spool_committer *c = arg;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		struct spool_batch *b = c->batch;
		if (!b && c->stop)
			break;
		if (!b) {
			pthread_cond_wait(&c->changed, &c->lock);
			continue;
		}
		pthread_mutex_unlock(&c->lock);
		spool_batch_write(b);
		pthread_mutex_lock(&c->lock);
		c->batch = NULL;
		require(loop_post(c->loop, &c->written));
	}
	pthread_mutex_unlock(&c->lock);
}

void spool_committer_start(struct spool_committer *c, struct loop *loop, void (*written)(struct letter *l))
{
	*c = (struct spool_committer){ .loop = loop, .written = { .open = written } };
	require(pthread_mutex_init(&c->lock, NULL) == 0);
	require(pthread_cond_init(&c->changed, NULL) == 0);
	c->thread = thread_start("spool-commit", run_committer, c);
}

void spool_committer_give(struct spool_committer *c, struct spool_volume *v, struct spool_batch *b,
			  int64_t now_us)
{
	require(!c->out);
	c->out = b;
	c->out_of = v;
	c->given_us = now_us;
	pthread_mutex_lock(&c->lock);
	c->batch = b;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void spool_committer_stop(struct spool_committer *c)
{
	if (!c->thread)
		return;
	require(!c->out);
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	thread_join(&c->thread);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
}
