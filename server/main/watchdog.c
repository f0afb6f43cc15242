#include "main/watchdog.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

/* Behind the loop's own: what a letter has to be opened within. */
enum { PERIOD_MS = 1000, STEP_MS = 50 };

struct beat {
	struct letter letter;
	_Atomic bool posted;
	int64_t posted_at_us; /* the watchdog's own */
	_Atomic int64_t late_us;
};

struct watchdog {
	struct worker *const *workers;
	unsigned n;
	struct beat *beat;
	struct logger log;
	struct thread *thread;
	_Atomic bool stop;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void on_beat(struct letter *l)
{
	struct beat *b = container_of(l, struct beat, letter);

	atomic_store(&b->late_us, 0);
	atomic_store(&b->posted, false);
}

static void stuck(struct watchdog *w, unsigned i, int64_t late_us)
{
	const struct policy_now now = w->workers[i]->policies ? policy_runtime_now(w->workers[i]->policies)
							      : (struct policy_now){ NULL, NULL };
	struct log_rec r;

	if (log_begin(&r, &w->log, LOG_EV_WORKER_STUCK)) {
		log_int(&r, LOG_F_STUCK_WORKER, i);
		log_int(&r, LOG_F_STUCK_US, late_us);
		log_cstr(&r, LOG_F_HOOK, now.hook);
		log_cstr(&r, LOG_F_POLICY, now.policy);
		log_end(&r);
	}
	log_flush(&w->log);
	nanosleep(&(struct timespec){ .tv_nsec = 200000000 },
		  NULL); /* the log's writer has a thread of its own */
	abort();
}

static void look(struct watchdog *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct beat *b = &w->beat[i];
		if (!atomic_load(&b->posted)) {
			atomic_store(&b->posted, true);
			b->posted_at_us = now_us();
			if (!loop_post(w->workers[i]->view.loop, &b->letter))
				atomic_store(&b->posted, false); /* it is ending */
			continue;
		}
		const int64_t late_us = now_us() - b->posted_at_us;
		atomic_store(&b->late_us, late_us);
		if (late_us > WATCHDOG_STUCK_US)
			stuck(w, i, late_us);
	}
}

static void run(void *arg)
{
	struct watchdog *w = arg;

	while (!atomic_load(&w->stop)) {
		look(w);
		for (unsigned ms = 0; ms < PERIOD_MS && !atomic_load(&w->stop); ms += STEP_MS)
			nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000L }, NULL);
	}
}

struct watchdog *watchdog_start(struct worker *const *workers, unsigned n, const struct process *process)
{
	struct watchdog *w = mem_alloc(sizeof *w);

	w->workers = workers;
	w->n = n;
	w->beat = mem_alloc_array(n, sizeof *w->beat);
	for (unsigned i = 0; i < n; i++)
		w->beat[i].letter.open = on_beat;
	logger_init(&w->log, process->log);
	w->log.node = process->node;
	w->log.worker = -1;
	w->thread = thread_start("watchdog", run, w);
	return w;
}

void watchdog_stop(struct watchdog *w)
{
	atomic_store(&w->stop, true);
	thread_join(&w->thread);
}

void watchdog_free(struct watchdog **w)
{
	if (!*w)
		return;
	logger_deinit(&(*w)->log);
	free((*w)->beat);
	free(*w);
	*w = NULL;
}

int watchdog_check(struct watchdog *w, struct errtext *e)
{
	enum { LATE_US = 5000000 };

	for (unsigned i = 0; i < w->n; i++)
		if (atomic_load(&w->beat[i].late_us) > LATE_US)
			return errtext_set(e, ERR_TIMEOUT, "worker %u stands still", i);
	return 0;
}
