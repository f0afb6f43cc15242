/* A turn of the loop:
 *
 *   1. uv waits for descriptors and runs their callbacks                      (clock read on first use)
 *   2. `check`: the tasks that they scheduled, then the flushes               (clock forgotten)
 *   3. closed handles, then due timers                                        (clock read on first use)
 *   4. `prepare`: tasks and flushes once more, the alarm is set to the first timer, and uv waits again
 *
 * So whatever a callback, a timer or a letter schedules runs before the loop blocks. Tasks that schedule
 * tasks get PASSES_MAX rounds in a row; what is left then runs after a look at the descriptors that does not
 * block (`idle` sees to that): a task that never ends its chain costs time but starves nobody.
 */
#include "io/loop_priv.h"

#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"

enum { PASSES_MAX = 8, FREE_TURNS_MAX = 1000 };

/* ---- clock --------------------------------------------------------------------------------------------- */

static int64_t clock_us(clockid_t id)
{
	struct timespec ts;

	require(clock_gettime(id, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void forget_clock(struct loop *l)
{
	if (l->held)
		return;
	l->now_known = l->wall_known = false;
}

/* The clock is read when it is first asked for in a turn: to its users the loop stays as it was, hence the
 * casts. */
int64_t loop_now_us(const struct loop *cl)
{
	struct loop *l = (struct loop *)cl;

	if (!l->now_known) {
		l->now_us = clock_us(CLOCK_MONOTONIC) + l->ahead_us;
		l->now_known = true;
	}
	return l->now_us;
}

int64_t loop_wall_us(const struct loop *cl)
{
	struct loop *l = (struct loop *)cl;

	if (!l->wall_known) {
		l->wall_us = clock_us(CLOCK_REALTIME) + l->ahead_us;
		l->wall_known = true;
	}
	return l->wall_us;
}

void loop_clock_advance(struct loop *l, int64_t by_us)
{
	require(by_us >= 0);
	l->ahead_us += by_us;
	l->alarm_us = 0; /* uv's own clock did not move: its timer is set anew */
	if (l->held) {
		l->now_us += by_us;
		l->wall_us += by_us;
	}
	forget_clock(l);
}

void loop_clock_hold(struct loop *l, int64_t wall_us)
{
	loop_now_us(l);
	loop_wall_us(l);
	l->held = true;
	if (wall_us)
		l->wall_us = wall_us;
}

uint64_t loop_turns(const struct loop *l)
{
	return atomic_load_explicit(&l->turns, memory_order_relaxed);
}

/* ---- timers -------------------------------------------------------------------------------------------- */

void timer_init(struct timer *t, void (*fire)(struct timer *t))
{
	*t = (struct timer){ .fire = fire };
}

void timer_set_at(struct loop *l, struct timer *t, int64_t due_us)
{
	/* Never due already: a timer that sets itself anew from fire() would keep fire_due() from its end. */
	if (due_us <= loop_now_us(l))
		due_us = loop_now_us(l) + 1;
	t->due_us = due_us;
	if (!heap_node_in(&t->node) || due_us < t->node.key)
		heap_change(&l->timers, &t->node, due_us);
}

void timer_set_in(struct loop *l, struct timer *t, int64_t in_us)
{
	const int64_t now = loop_now_us(l);

	timer_set_at(l, t, in_us < INT64_MAX - now ? now + in_us : INT64_MAX);
}

void timer_unset(struct loop *l, struct timer *t)
{
	t->due_us = 0;
	heap_remove(&l->timers, &t->node);
}

static void fire_due(struct loop *l)
{
	const int64_t now = loop_now_us(l);
	struct heap_node *first;

	while ((first = heap_min(&l->timers)) != NULL && first->key <= now) {
		struct timer *t = container_of(first, struct timer, node);

		if (t->due_us > first->key) {
			heap_change(&l->timers, first, t->due_us); /* it was moved later meanwhile */
			continue;
		}
		timer_unset(l, t);
		t->fire(t);
	}
}

static void on_alarm(uv_timer_t *h)
{
	struct loop *l = container_of(h, struct loop, alarm);

	l->alarm_us = 0;
	fire_due(l);
}

static void set_alarm(struct loop *l)
{
	const struct heap_node *first = heap_min(&l->timers);
	const int64_t due = first ? first->key : 0;

	if (due == l->alarm_us)
		return;
	l->alarm_us = due;
	if (!first) {
		uv_timer_stop(&l->alarm);
		return;
	}
	const int64_t in_us = due - loop_now_us(l);
	uv_update_time(&l->uv);
	uv_timer_start(&l->alarm, on_alarm, in_us > 0 ? ((uint64_t)in_us + 999) / 1000 : 0, 0);
}

/* ---- tasks --------------------------------------------------------------------------------------------- */

void task_init(struct task *t, void (*run)(struct task *t))
{
	list_init(&t->link);
	t->run = run;
}

bool task_scheduled(const struct task *t)
{
	return !list_empty(&t->link);
}

void task_schedule(struct loop *l, struct task *t)
{
	if (!task_scheduled(t))
		list_push_back(&l->tasks, &t->link);
}

void task_schedule_last(struct loop *l, struct task *t)
{
	if (!task_scheduled(t))
		list_push_back(&l->tasks_last, &t->link);
}

void task_unschedule(struct task *t)
{
	list_remove(&t->link);
}

/* Runs what is in @tasks now; what is scheduled meanwhile waits for the next call. Returns whether anything
 * ran. */
static bool run_pass(struct list *tasks)
{
	struct list now;
	bool any = false;

	list_init(&now);
	list_splice_back(&now, tasks);
	for (struct list *link; (link = list_pop_front(&now)) != NULL; any = true) {
		struct task *t = list_entry(link, struct task, link);
		t->run(t);
	}
	return any;
}

static void end_turn(struct loop *l)
{
	for (unsigned pass = 0; pass < PASSES_MAX && run_pass(&l->tasks); pass++)
		continue;
	/* More than once: the flush of a filter writes to the stream below it. */
	for (unsigned pass = 0; pass < PASSES_MAX && run_pass(&l->tasks_last); pass++)
		continue;
}

static bool tasks_left(const struct loop *l)
{
	return !list_empty(&l->tasks) || !list_empty(&l->tasks_last);
}

static void on_idle(uv_idle_t *h)
{
	(void)h; /* being active is all it does */
}

/* Makes uv know what it must not sleep over. */
static void settle(struct loop *l)
{
	set_alarm(l);
	if (tasks_left(l))
		uv_idle_start(&l->idle, on_idle);
	else
		uv_idle_stop(&l->idle);
}

static void on_check(uv_check_t *h)
{
	struct loop *l = container_of(h, struct loop, check);

	end_turn(l);
	atomic_fetch_add_explicit(&l->turns, 1, memory_order_relaxed);
	forget_clock(l);
}

static void on_prepare(uv_prepare_t *h)
{
	struct loop *l = container_of(h, struct loop, prepare);

	end_turn(l);
	settle(l);
	forget_clock(l);
}

/* ---- letters ------------------------------------------------------------------------------------------- */

static void ring(void *arg)
{
	struct loop *l = arg;

	uv_async_send(&l->bell);
}

static void on_bell(uv_async_t *h)
{
	struct loop *l = container_of(h, struct loop, bell);

	mailbox_open_all(&l->mailbox);
}

bool loop_post(struct loop *l, struct letter *letter)
{
	return mailbox_post(&l->mailbox, letter);
}

void loop_retire(struct loop *l)
{
	mailbox_close(&l->mailbox);
	mailbox_open_all(&l->mailbox);
}

void loop_set_resident(struct loop *l, bool resident)
{
	if (resident)
		uv_ref((uv_handle_t *)&l->bell);
	else
		uv_unref((uv_handle_t *)&l->bell);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

struct loop *loop_new(void)
{
	struct loop *l = mem_alloc(sizeof *l);

	require(uv_loop_init(&l->uv) == 0);
	l->uv.data = l;
	list_init(&l->tasks);
	list_init(&l->tasks_last);
	mailbox_init(&l->mailbox, ring, l);
	require(uv_async_init(&l->uv, &l->bell, on_bell) == 0);
	uv_timer_init(&l->uv, &l->alarm);
	uv_idle_init(&l->uv, &l->idle);
	uv_prepare_init(&l->uv, &l->prepare);
	uv_check_init(&l->uv, &l->check);
	uv_prepare_start(&l->prepare, on_prepare);
	uv_check_start(&l->check, on_check);
	uv_unref((uv_handle_t *)&l->prepare);
	uv_unref((uv_handle_t *)&l->check);
	return l;
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (!l)
		return;
	*lp = NULL;
	loop_retire(l);
	for (unsigned turn = 0; tasks_left(l) && turn < FREE_TURNS_MAX; turn++)
		uv_run(&l->uv, UV_RUN_NOWAIT);
	require(!tasks_left(l));
	require(heap_min(&l->timers) == NULL);
	uv_close((uv_handle_t *)&l->alarm, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->check, NULL);
	uv_close((uv_handle_t *)&l->bell, NULL);
	/* Handles that their owners closed just now need a turn for their callbacks. */
	for (unsigned turn = 0; uv_loop_alive(&l->uv) && turn < FREE_TURNS_MAX; turn++)
		uv_run(&l->uv, UV_RUN_NOWAIT);
	require(uv_loop_close(&l->uv) == 0);
	mailbox_deinit(&l->mailbox);
	heap_deinit(&l->timers);
	out_pool_deinit(&l->out_pool);
	free(l->read_buf);
	free(l);
}

static bool alive(struct loop *l)
{
	return uv_loop_alive(&l->uv) || tasks_left(l) || heap_min(&l->timers) != NULL;
}

void loop_run(struct loop *l)
{
	while (!l->stopping) {
		settle(l); /* what was scheduled outside of a turn counts as alive */
		uv_run(&l->uv, UV_RUN_DEFAULT);
		if (!alive(l))
			break;
	}
	l->stopping = false;
}

bool loop_run_once(struct loop *l, bool wait)
{
	settle(l);
	uv_run(&l->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	end_turn(l); /* closed handles and timers came after `check` */
	forget_clock(l);
	return alive(l);
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
	uv_stop(&l->uv);
}

struct out_pool *loop_out_pool(struct loop *l)
{
	return &l->out_pool;
}

char *loop_read_buf(struct loop *l)
{
	if (!l->read_buf)
		l->read_buf = mem_alloc_raw(LOOP_READ_MAX);
	return l->read_buf;
}

const char *loop_library(void)
{
	return uv_version_string();
}
