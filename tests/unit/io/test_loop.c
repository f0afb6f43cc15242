#include "io/loop.h"

#include <pthread.h>
#include <unistd.h>

#include "base/check.h"
#include "io/poll.h"
#include "test.h"

enum { MS = 1000 };

/* What happened, as one letter per event. */
static char trail[256];
static size_t trail_n;

static void mark(char c)
{
	if (trail_n < sizeof trail - 1)
		trail[trail_n++] = c;
	trail[trail_n] = 0;
}

static void clear_trail(void)
{
	trail_n = 0;
	trail[0] = 0;
}

struct mark_timer {
	struct timer t;
	struct loop *l;
	char c;
	int64_t again_us; /* sets itself anew, `times` times */
	unsigned times;
};

static void mark_fired(struct timer *t)
{
	struct mark_timer *m = container_of(t, struct mark_timer, t);

	CHECK_INT(0, t->due_us);
	mark(m->c);
	if (m->times > 0) {
		m->times--;
		timer_set_in(m->l, t, m->again_us);
	}
}

static struct mark_timer timer_of(struct loop *l, char c)
{
	struct mark_timer m = { .l = l, .c = c };

	timer_init(&m.t, mark_fired);
	return m;
}

/* Turns for @us from the next turn on, and a few more: on a busy machine one turn may take all of that. */
static void run_for(struct loop *l, int64_t us)
{
	loop_run_once(l, false);
	const int64_t end = loop_now_us(l) + us;

	while (loop_now_us(l) < end) {
		loop_run_once(l, false);
		usleep(200);
	}
	for (unsigned i = 0; i < 3; i++) {
		usleep(1100);
		loop_run_once(l, false);
	}
}

static void timers_fire_in_order_of_time(void)
{
	struct loop *l = loop_new();
	struct mark_timer a = timer_of(l, 'a'), b = timer_of(l, 'b'), c = timer_of(l, 'c');

	clear_trail();
	timer_set_in(l, &c.t, 9 * MS);
	timer_set_in(l, &a.t, 3 * MS);
	timer_set_in(l, &b.t, 6 * MS);
	loop_set_resident(l, false);
	const int64_t start = loop_now_us(l);
	loop_run(l); /* ends by itself: nothing is alive after the last */
	CHECK_STR("abc", trail);
	CHECK(loop_now_us(l) - start >= 9 * MS);
	CHECK(loop_now_us(l) - start < 500 * MS);
	loop_free(&l);
}

static void timer_moved_later_stays_where_it_is_in_the_heap(void)
{
	struct loop *l = loop_new();
	struct mark_timer a = timer_of(l, 'a'), b = timer_of(l, 'b');

	clear_trail();
	timer_set_in(l, &a.t, 2 * MS);
	timer_set_in(l, &b.t, 8 * MS);
	const int64_t key = a.t.node.key;
	timer_set_in(l, &a.t, 15 * MS);
	CHECK_INT(key, a.t.node.key);
	run_for(l, 30 * MS);
	CHECK_STR("ba", trail);
	loop_free(&l);
}

static void timer_moved_earlier_fires_earlier(void)
{
	struct loop *l = loop_new();
	struct mark_timer a = timer_of(l, 'a'), b = timer_of(l, 'b');

	clear_trail();
	timer_set_in(l, &a.t, 3600 * 1000 * (int64_t)MS);
	timer_set_in(l, &b.t, 6 * MS);
	timer_set_in(l, &a.t, 2 * MS);
	run_for(l, 20 * MS);
	CHECK_STR("ab", trail);
	loop_free(&l);
}

static void timer_unset_does_not_fire(void)
{
	struct loop *l = loop_new();
	struct mark_timer a = timer_of(l, 'a'), b = timer_of(l, 'b');

	clear_trail();
	timer_set_in(l, &a.t, 1 * MS);
	timer_set_in(l, &b.t, 2 * MS);
	timer_unset(l, &a.t);
	timer_unset(l, &a.t);
	run_for(l, 10 * MS);
	CHECK_STR("b", trail);
	loop_free(&l);
}

static void timer_may_set_itself_again(void)
{
	struct loop *l = loop_new();
	struct mark_timer a = timer_of(l, 'a'), late = timer_of(l, 'l');

	clear_trail();
	a.times = 3;
	a.again_us = -5; /* the past: later all the same, never in the same breath */
	timer_set_in(l, &a.t, -1);
	timer_set_in(l, &late.t, 20 * MS);
	run_for(l, 40 * MS);
	CHECK_STR("aaaal", trail);
	loop_free(&l);
}

static void ten_thousand_timers(void)
{
	enum { N = 10000 };
	struct loop *l = loop_new();
	struct mark_timer *t = calloc(N, sizeof *t);

	clear_trail();
	for (unsigned i = 0; i < N; i++) {
		t[i] = timer_of(l, 'x');
		timer_set_in(l, &t[i].t, 1 + (int64_t)(i * 7919 % 5000));
	}
	for (unsigned i = 0; i < N; i += 2)
		timer_unset(l, &t[i].t);
	run_for(l, 15 * MS);
	unsigned left = 0;
	for (unsigned i = 0; i < N; i++)
		left += t[i].t.due_us != 0 || heap_node_in(&t[i].t.node);
	CHECK_INT(0, left);
	CHECK_INT(sizeof trail - 1, trail_n);
	free(t);
	loop_free(&l);
}

static void clock_can_be_advanced(void)
{
	struct loop *l = loop_new();
	struct mark_timer a = timer_of(l, 'a'), b = timer_of(l, 'b');
	const int64_t hour = 3600 * 1000 * (int64_t)MS;

	clear_trail();
	timer_set_in(l, &a.t, hour);
	timer_set_in(l, &b.t, 2 * hour);
	const int64_t now = loop_now_us(l), wall = loop_wall_us(l);
	run_for(l, 2 * MS);
	CHECK_STR("", trail);
	loop_clock_advance(l, hour);
	CHECK(loop_now_us(l) >= now + hour);
	CHECK(loop_wall_us(l) >= wall + hour);
	run_for(l, 5 * MS);
	CHECK_STR("a", trail);
	timer_unset(l, &b.t);
	loop_free(&l);
}

static void clocks_stand_still_within_a_turn(void)
{
	struct loop *l = loop_new();
	const int64_t now = loop_now_us(l), wall = loop_wall_us(l);

	usleep(2000);
	CHECK_INT(now, loop_now_us(l));
	CHECK_INT(wall, loop_wall_us(l));
	loop_run_once(l, false);
	CHECK(loop_now_us(l) >= now + 2000);
	CHECK(loop_wall_us(l) > 1700000000 * INT64_C(1000000));
	loop_free(&l);
}

/* ---- tasks --------------------------------------------------------------------------------------------- */

struct mark_task {
	struct task t;
	struct loop *l;
	char c;
	struct mark_task *then, *then_last, *drop; /* scheduled, scheduled last, unscheduled */
	unsigned again;                            /* schedules itself so often */
};

static void mark_run(struct task *t)
{
	struct mark_task *m = container_of(t, struct mark_task, t);

	CHECK(!task_scheduled(t));
	mark(m->c);
	if (m->then)
		task_schedule(m->l, &m->then->t);
	if (m->then_last)
		task_schedule_last(m->l, &m->then_last->t);
	if (m->drop)
		task_unschedule(&m->drop->t);
	if (m->again > 0) {
		m->again--;
		task_schedule(m->l, t);
	}
}

static struct mark_task task_of(struct loop *l, char c)
{
	return (struct mark_task){ .l = l, .c = c };
}

static void init_tasks(struct mark_task *const *tasks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		task_init(&tasks[i]->t, mark_run);
}

static void tasks_run_in_order_once_and_flushes_last(void)
{
	struct loop *l = loop_new();
	struct mark_task a = task_of(l, 'a'), b = task_of(l, 'b'), c = task_of(l, 'c'), f = task_of(l, 'F'),
			 g = task_of(l, 'G');

	init_tasks((struct mark_task *[]){ &a, &b, &c, &f, &g }, 5);
	clear_trail();
	a.then = &c; /* runs in the next pass, still before the flush */
	a.then_last = &f;
	f.then_last = &g; /* the stream below a filter */
	task_schedule_last(l, &f.t);
	task_schedule(l, &a.t);
	task_schedule(l, &b.t);
	task_schedule(l, &a.t);
	CHECK(task_scheduled(&a.t));
	loop_run_once(l, true);
	CHECK_STR("abcFG", trail);
	CHECK(!task_scheduled(&a.t));
	loop_free(&l);
}

static void task_can_be_unscheduled_by_the_one_before_it(void)
{
	struct loop *l = loop_new();
	struct mark_task a = task_of(l, 'a'), b = task_of(l, 'b'), c = task_of(l, 'c');

	init_tasks((struct mark_task *[]){ &a, &b, &c }, 3);
	clear_trail();
	a.drop = &b;
	task_schedule(l, &a.t);
	task_schedule(l, &b.t);
	task_schedule(l, &c.t);
	loop_run_once(l, true);
	CHECK_STR("ac", trail);
	loop_free(&l);
}

static void pipe_ready(void *arg, int fd, bool readable, bool writable)
{
	char c;

	(void)writable;
	(void)arg;
	CHECK(readable);
	CHECK_INT(1, read(fd, &c, 1));
	mark('R');
}

/* A chain of tasks without end neither blocks the loop nor keeps it from its descriptors. */
static void endless_tasks_starve_nobody(void)
{
	struct loop *l = loop_new();
	struct mark_task a = task_of(l, '.');
	int fds[2];

	init_tasks((struct mark_task *[]){ &a }, 1);
	clear_trail();
	NEED(pipe(fds) == 0);
	struct poll *p = poll_new(l, fds[0], pipe_ready, NULL);
	poll_set(p, true, false);
	a.again = 100;
	task_schedule(l, &a.t);
	CHECK_INT(1, write(fds[1], "x", 1));
	loop_run_once(l, true);
	loop_run_once(l, true);
	const char *r = strchr(trail, 'R');
	CHECK(r != NULL && r - trail < 50);
	while (task_scheduled(&a.t))
		loop_run_once(l, true); /* would block for ever here if the loop slept over a task */
	CHECK_INT(102, trail_n);
	poll_free(&p);
	close(fds[0]);
	close(fds[1]);
	loop_free(&l);
}

static void timer_schedules(struct timer *t)
{
	struct mark_timer *m = container_of(t, struct mark_timer, t);

	mark('t');
	task_schedule(m->l, (struct task *)(void *)(intptr_t)m->again_us);
}

/* What a timer schedules runs before the loop blocks again. */
static void task_of_a_timer_runs_before_the_loop_blocks(void)
{
	struct loop *l = loop_new();
	struct mark_task a = task_of(l, 'a');
	struct mark_timer t = timer_of(l, 't'), guard = timer_of(l, 'G');

	init_tasks((struct mark_task *[]){ &a }, 1);
	clear_trail();
	timer_init(&t.t, timer_schedules);
	t.again_us = (intptr_t)&a.t;
	timer_set_in(l, &t.t, 1 * MS);
	timer_set_in(l, &guard.t, 300 * MS);
	while (!strchr(trail, 'a'))
		loop_run_once(l, true);
	CHECK_STR("ta", trail);
	timer_unset(l, &guard.t);
	loop_free(&l);
}

static void stop_run(struct task *t)
{
	struct mark_task *m = container_of(t, struct mark_task, t);

	mark('s');
	loop_stop(m->l);
}

static void run_ends_at_stop_and_can_go_on(void)
{
	struct loop *l = loop_new();
	struct mark_task a = task_of(l, 's');

	task_init(&a.t, stop_run);
	clear_trail();
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t before = loop_turns(l);
		task_schedule(l, &a.t);
		loop_run(l);
		CHECK(loop_turns(l) > before);
	}
	CHECK_STR("ss", trail);
	loop_stop(l); /* before the run: it ends at once */
	loop_run(l);
	loop_free(&l);
}

static void run_ends_when_nothing_is_alive(void)
{
	struct loop *l = loop_new();

	CHECK(loop_run_once(l, false)); /* the mailbox is open */
	loop_set_resident(l, false);
	CHECK(!loop_run_once(l, true));
	loop_run(l);
	loop_free(&l);
	loop_free(&l);
}

/* ---- letters ------------------------------------------------------------------------------------------- */

enum { THREADS = 4, LETTERS = 500 };

struct note {
	struct letter letter;
	struct post *post;
	unsigned number;
};

struct post {
	struct loop *l;
	pthread_t receiver;
	unsigned opened, disorder;
	unsigned last[THREADS];
	struct note notes[THREADS][LETTERS];
};

static void note_opened(struct letter *letter)
{
	struct note *n = container_of(letter, struct note, letter);
	struct post *p = n->post;
	const size_t thread = (size_t)(n - &p->notes[0][0]) / LETTERS;

	CHECK(pthread_equal(pthread_self(), p->receiver));
	p->disorder += n->number != p->last[thread];
	p->last[thread]++;
	if (++p->opened == THREADS * LETTERS)
		loop_stop(p->l);
}

static void *note_sender(void *arg)
{
	struct note *notes = arg;

	for (unsigned i = 0; i < LETTERS; i++)
		if (!loop_post(notes->post->l, &notes[i].letter))
			abort();
	return NULL;
}

static void letters_come_in_order_from_all_threads(void)
{
	struct post *p = calloc(1, sizeof *p);
	pthread_t threads[THREADS];

	p->l = loop_new();
	p->receiver = pthread_self();
	for (unsigned t = 0; t < THREADS; t++) {
		for (unsigned i = 0; i < LETTERS; i++)
			p->notes[t][i] = (struct note){ { .open = note_opened }, p, i };
		NEED(pthread_create(&threads[t], NULL, note_sender, p->notes[t]) == 0);
	}
	loop_run(p->l);
	for (unsigned t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	CHECK_INT(THREADS * LETTERS, p->opened);
	CHECK_INT(0, p->disorder);
	loop_free(&p->l);
	free(p);
}

static void letter_opened_late(struct letter *letter)
{
	free(letter);
	mark('L');
}

static void clocks_can_be_held(void)
{
	struct loop *l = loop_new();
	struct mark_timer m = timer_of(l, '1');
	const int64_t day = INT64_C(86400000000);

	clear_trail();
	loop_clock_hold(l, 1000 * day);
	const int64_t now = loop_now_us(l);
	timer_set_in(l, &m.t, 500);
	usleep(3 * MS);
	loop_run_once(l, false);
	CHECK_INT(now, loop_now_us(l));
	CHECK_INT(1000 * day, loop_wall_us(l));
	CHECK_STR("", trail);
	loop_clock_advance(l, 500);
	loop_run_once(l, false);
	CHECK_INT(now + 500, loop_now_us(l));
	CHECK_INT(1000 * day + 500, loop_wall_us(l));
	CHECK_STR("1", trail);
	loop_free(&l);
}

static void loop_that_goes_opens_its_last_letters(void)
{
	struct loop *l = loop_new();
	struct letter *letter = calloc(1, sizeof *letter);

	clear_trail();
	letter->open = letter_opened_late;
	CHECK(loop_post(l, letter));
	loop_free(&l);
	CHECK_STR("L", trail);
}

TEST_MAIN(TEST(timers_fire_in_order_of_time), TEST(timer_moved_later_stays_where_it_is_in_the_heap),
	  TEST(timer_moved_earlier_fires_earlier), TEST(timer_unset_does_not_fire),
	  TEST(timer_may_set_itself_again), TEST(ten_thousand_timers), TEST(clock_can_be_advanced),
	  TEST(clocks_stand_still_within_a_turn), TEST(clocks_can_be_held),
	  TEST(tasks_run_in_order_once_and_flushes_last), TEST(task_can_be_unscheduled_by_the_one_before_it),
	  TEST(endless_tasks_starve_nobody), TEST(task_of_a_timer_runs_before_the_loop_blocks),
	  TEST(run_ends_at_stop_and_can_go_on), TEST(run_ends_when_nothing_is_alive),
	  TEST(letters_come_in_order_from_all_threads), TEST(loop_that_goes_opens_its_last_letters))
