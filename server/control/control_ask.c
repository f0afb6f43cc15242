/* control_ask.c - questions from control's threads to the workers' loops.
 *
 *   1. the asker posts a letter to each loop and waits on the round's condition
 *   2. each worker runs the question on its loop, may take its time, and answers
 *   3. when all have answered, or the deadline has passed, the asker goes on
 *
 * Ways it fails: a loop is closing (its question is dropped at once), a worker is slow (its question is abandoned: the worker frees
 * it when it answers after all).
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "control/control_priv.h"

struct ask_round {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	unsigned waiting;
	unsigned refs; /* the asker and every question that is out */
	bool abandoned;
};

static void round_unref(struct ask_round *r)
{
	/* Called with the lock held; the last one to leave takes the door with him. */
	const bool last = --r->refs == 0;

	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	pthread_cond_destroy(&r->answered);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void ask_free(struct ask **a)
{
	if (!*a)
		return;
	if ((*a)->dispose)
		(*a)->dispose(*a);
	buf_free(&(*a)->out);
	free(*a);
	*a = NULL;
}

void ask_answer(struct ask *a, int status)
{
	struct ask_round *r = a->round;

	a->status = status;
	pthread_mutex_lock(&r->lock);
	const bool abandoned = r->abandoned;
	r->waiting--;
	a->round = NULL;
	pthread_cond_signal(&r->answered);
	round_unref(r);
	if (abandoned)
		ask_free(&a);
}

static void on_open(struct letter *l)
{
	struct ask *a = container_of(l, struct ask, letter);

	a->run(a);
}

static struct ask_round *round_new(void)
{
	struct ask_round *r = mem_alloc(sizeof *r);
	pthread_condattr_t attr;

	require(pthread_mutex_init(&r->lock, NULL) == 0);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	require(pthread_cond_init(&r->answered, &attr) == 0);
	pthread_condattr_destroy(&attr);
	r->refs = 1;
	return r;
}

int ask_all(struct ask **asks, size_t n)
{
	return ask_all_within(asks, n, CONTROL_DEADLINE_US);
}

int ask_all_within(struct ask **asks, size_t n, int64_t deadline_us)
{
	struct ask_round *r = round_new();
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += deadline_us / 1000000;
	until.tv_nsec += deadline_us % 1000000 * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < n; i++) {
		asks[i]->round = r;
		asks[i]->letter.open = on_open;
		r->waiting++;
		r->refs++;
		if (!loop_post(asks[i]->worker->loop, &asks[i]->letter)) {
			r->waiting--;
			r->refs--;
			asks[i]->round = NULL;
			ask_free(&asks[i]);
			err = -ERR_CLOSED;
		}
	}
	while (r->waiting && pthread_cond_timedwait(&r->answered, &r->lock, &until) == 0) {
	}
	if (r->waiting) {
		r->abandoned = true;
		err = -ERR_TIMEOUT;
		for (size_t i = 0; i < n; i++)
			if (asks[i] && asks[i]->round)
				asks[i] = NULL; /* the worker frees it */
	}
	round_unref(r);
	return err;
}
