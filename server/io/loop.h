/* io/loop.h - one thread's event loop: libuv with our rules, its clock, timers, letters and end-of-turn work.
 *
 * A loop belongs to one thread; everything in io/ that takes a loop is called on that thread, except
 * loop_post(). Time: loop_now_us() is monotonic and constant within a turn; loop_wall_us() is the calendar's.
 *
 * Timers are intrusive nodes of one heap behind one uv_timer: 10,000 sessions with a deadline each cost
 * nothing but the nodes, and moving a deadline later (the common case) does not touch the heap until it would
 * have fired.
 *
 * Ownership: handles are embedded in their owners; an owner must stop/close what it started before it goes.
 * Tests: tests/unit/io/test_loop.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/mailbox.h"

struct loop;

struct loop *loop_new(void);
void loop_free(struct loop **l); /* every handle must be closed */

/* Runs until loop_stop() was called or nothing is left that keeps it alive. */
void loop_run(struct loop *l);
/* One turn: waits at most for the next event. Returns false when nothing is alive. For tests and tools. */
bool loop_run_once(struct loop *l, bool wait);
void loop_stop(struct loop *l);

int64_t loop_now_us(const struct loop *l);  /* monotonic, as of this turn */
int64_t loop_wall_us(const struct loop *l); /* microseconds since 1970-01-01 UTC, as of this turn */
/* Counts turns; atomic. A loop that waits does not turn: a watchdog on another thread posts a letter and then
 * looks. */
uint64_t loop_turns(const struct loop *l);
/* Both clocks jump ahead, and timers with them: for tests and for `simulate`, which cannot wait five
 * minutes. */
void loop_clock_advance(struct loop *l, int64_t by_us);
/* From now on both clocks move by loop_clock_advance() alone: for simulations, whose runs must be
 * repeatable. @wall_us: what the calendar says now; 0: as it is. */
void loop_clock_hold(struct loop *l, int64_t wall_us);

/* ---- timers -------------------------------------------------------------------------------------------- */

struct timer {
	struct heap_node node;
	int64_t due_us; /* 0 = not set; may be later than node.key, then it is moved when that comes */
	/* On the loop; the timer is unset before and may be set again or freed within. */
	void (*fire)(struct timer *t);
};

void timer_init(struct timer *t, void (*fire)(struct timer *t));
void timer_set_at(struct loop *l, struct timer *t, int64_t due_us);
void timer_set_in(struct loop *l, struct timer *t, int64_t in_us);
void timer_unset(struct loop *l, struct timer *t);

/* ---- end of turn --------------------------------------------------------------------------------------- */

/* Work that runs once, after the callbacks of this turn (flush replies, complete an op "later, never from
 * inside start"). Scheduling a task that is scheduled already is harmless. */
struct task {
	struct list link;
	void (*run)(struct task *t);
};

void task_init(struct task *t, void (*run)(struct task *t));
void task_schedule(struct loop *l, struct task *t);
/* As task_schedule, behind all ordinary tasks of the turn: for flushes, which want all that the turn
 * wrote. */
void task_schedule_last(struct loop *l, struct task *t);
void task_unschedule(struct task *t);
bool task_scheduled(const struct task *t);

/* ---- letters ------------------------------------------------------------------------------------------- */

/* From any thread: l->open runs on the loop's thread. False once the loop is closing. */
bool loop_post(struct loop *l, struct letter *letter);

/* On the loop's thread, after loop_run(): from now on no letter is taken, and those that are there are opened. So nobody waits for
 * a loop that will not turn again. */
void loop_retire(struct loop *l);

/* Does the mailbox alone keep loop_run() going? Default: yes, until loop_stop(); false for tools and
 * tests. */
void loop_set_resident(struct loop *l, bool resident);

/* ---- for streams ---------------------------------------------------------------------------------------- */

/* What the out queues of the loop's streams share (io/out_queue.h). */
struct out_pool;
struct out_pool *loop_out_pool(struct loop *l);

/* ---- the library --------------------------------------------------------------------------------------- */

/* The version of libuv that is linked: "1.44.2". Constant. */
const char *loop_library(void);
