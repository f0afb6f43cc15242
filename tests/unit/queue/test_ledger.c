#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "queue/ledger.h"

/* ---- one loop, several members ------------------------------------------------------------------------- */

struct heard {
	unsigned granted, wanted;
};

static void on_granted(void *arg)
{
	((struct heard *)arg)->granted++;
}

static void on_wanted(void *arg)
{
	((struct heard *)arg)->wanted++;
}

static const struct ledger_events heard_events = { on_granted, on_wanted };

static struct ledger_limits limits_of(uint32_t connections)
{
	struct ledger_limits limits = LEDGER_LIMITS_DEFAULT;

	limits.connections_max = connections;
	return limits;
}

static struct ledger_member *join(struct ledger *l, const char *name, struct loop *loop, uint32_t connections,
				  struct heard *h)
{
	const struct ledger_limits limits = limits_of(connections);

	return ledger_join(l, span_of(name), &limits, loop, &heard_events, h);
}

static void turn(struct loop *loop)
{
	for (int i = 0; i < 4; i++)
		loop_run_once(loop, false);
}

static void connections_are_shared_by_name(void)
{
	struct loop *loop = loop_new();
	struct ledger *l = ledger_new();
	struct heard ha = { 0 }, hb = { 0 }, hc = { 0 };
	struct ledger_member *a = join(l, "r|x", loop, 2, &ha), *b = join(l, "r|x", loop, 2, &hb),
			     *c = join(l, "r|y", loop, 2, &hc);

	CHECK(ledger_open(a));
	CHECK(ledger_open(b));
	CHECK(!ledger_open(a));
	CHECK(ledger_open(c));
	CHECK(ledger_open(c));
	ledger_close(c);
	ledger_close(c);
	ledger_unqueue(a);
	ledger_close(a);
	ledger_close(b);
	ledger_leave(&a, 0);
	ledger_leave(&b, 0);
	ledger_leave(&c, 0);
	ledger_leave(&c, 0);
	turn(loop);
	ledger_free(&l);
	loop_free(&loop);
}

static void who_waits_is_next_and_others_are_told(void)
{
	struct loop *loop = loop_new();
	struct ledger *l = ledger_new();
	struct heard ha = { 0 }, hb = { 0 }, hc = { 0 };
	struct ledger_member *a = join(l, "r|x", loop, 1, &ha), *b = join(l, "r|x", loop, 1, &hb),
			     *c = join(l, "r|x", loop, 1, &hc);

	CHECK(ledger_open(a));
	CHECK(!ledger_wanted(a));
	CHECK(!ledger_open(b));
	CHECK(!ledger_open(c));
	CHECK(!ledger_open(b));
	CHECK(ledger_wanted(a));
	turn(loop);
	CHECK_INT(1, ha.wanted);
	CHECK_INT(0, hb.wanted + hc.wanted);

	/* The first in line gets it although the one that gave it back asks at once. */
	ledger_close(a);
	CHECK(!ledger_open(a));
	CHECK_INT(0, hb.granted);
	turn(loop);
	CHECK_INT(1, hb.granted);
	CHECK_INT(0, ha.granted + hc.granted);
	ledger_close(b);
	turn(loop);
	CHECK_INT(1, hc.granted);
	ledger_close(c);
	turn(loop);
	CHECK_INT(1, ha.granted);
	CHECK(!ledger_wanted(a));
	ledger_close(a);
	ledger_leave(&a, 0);
	ledger_leave(&b, 0);
	ledger_leave(&c, 0);
	ledger_free(&l);
	loop_free(&loop);
}

static void a_grant_that_nobody_takes_goes_on(void)
{
	struct loop *loop = loop_new();
	struct ledger *l = ledger_new();
	struct heard ha = { 0 }, hb = { 0 }, hc = { 0 };
	struct ledger_member *a = join(l, "r|x", loop, 1, &ha), *b = join(l, "r|x", loop, 1, &hb),
			     *c = join(l, "r|x", loop, 1, &hc);

	CHECK(ledger_open(a));
	CHECK(!ledger_open(b));
	CHECK(!ledger_open(c));
	ledger_close(a);     /* granted to b, whose letter is under way */
	ledger_leave(&b, 0); /* and who goes before it comes */
	turn(loop);
	CHECK_INT(0, hb.granted);
	CHECK_INT(1, hc.granted);
	ledger_close(c);
	ledger_leave(&c, 0);
	CHECK(ledger_open(a));
	ledger_close(a);
	ledger_leave(&a, 0);
	turn(loop);
	ledger_free(&l);
	loop_free(&loop);
}

static void new_limits_count_at_once(void)
{
	struct loop *loop = loop_new();
	struct ledger *l = ledger_new();
	struct heard ha = { 0 }, hb = { 0 };
	struct ledger_member *a = join(l, "r|x", loop, 1, &ha), *b = join(l, "r|x", loop, 1, &hb);
	struct ledger_limits limits = limits_of(2);

	CHECK(ledger_open(a));
	CHECK(!ledger_open(b));
	ledger_set_limits(a, &limits);
	turn(loop);
	CHECK_INT(1, hb.granted);
	limits.connections_max = 0; /* means 1: a destination without any would keep its mail for ever */
	ledger_set_limits(a, &limits);
	CHECK(!ledger_open(a));
	ledger_unqueue(a);
	ledger_close(b);
	CHECK(!ledger_open(b));
	ledger_close(a);
	turn(loop);
	CHECK_INT(2, hb.granted);
	ledger_close(b);
	ledger_leave(&a, 0);
	ledger_leave(&b, 0);
	ledger_free(&l);
	loop_free(&loop);
}

static void count_slots(void *arg, const struct ledger_view *v)
{
	(void)v;
	++*(unsigned *)arg;
}

static unsigned slots(struct ledger *l)
{
	unsigned n = 0;

	ledger_for_each(l, 0, count_slots, &n);
	return n;
}

static void a_rate_outlives_its_members(void)
{
	struct loop *loop = loop_new();
	struct ledger *l = ledger_new();
	struct heard h = { 0 };
	struct ledger_limits limits = limits_of(1);
	const int64_t now = loop_now_us(loop);
	int64_t retry = 0;

	limits.rate = (struct rate){ .count = 2, .period_us = 3600000000, .burst = 2 };
	struct ledger_member *m = ledger_join(l, SPAN("r|x"), &limits, loop, &heard_events, &h);
	CHECK(ledger_take(m, now, &retry));
	CHECK(ledger_take(m, now, &retry));
	CHECK(!ledger_take(m, now, &retry));
	CHECK_INT(1800000000, retry);
	ledger_leave(&m, now);
	CHECK_INT(1, slots(l));

	m = ledger_join(l, SPAN("r|x"), &limits, loop, &heard_events, &h);
	CHECK(!ledger_take(m, now, &retry));
	ledger_refund(m, now);
	CHECK(ledger_take(m, now, &retry));
	ledger_leave(&m, now + 3600000001);
	CHECK_INT(0, slots(l));
	ledger_free(&l);
	loop_free(&loop);
}

/* ---- many threads -------------------------------------------------------------------------------------- */

enum { WORKERS = 6, LIMIT = 3, ROUNDS = 400 };

struct shared {
	struct ledger *ledger;
	_Atomic int open, most, over;
	_Atomic unsigned taken;
	int64_t now_us;
};

struct worker {
	struct shared *sh;
	struct loop *loop;
	struct ledger_member *m;
	struct timer work;
	unsigned have, rounds, random;
	bool asked;
};

static void counted(struct worker *w, int by)
{
	const int open = atomic_fetch_add(&w->sh->open, by) + by;
	int most = atomic_load(&w->sh->most);

	while (open > most && !atomic_compare_exchange_weak(&w->sh->most, &most, open))
		continue;
	if (open > LIMIT)
		atomic_fetch_add(&w->sh->over, 1);
}

static void got(struct worker *w)
{
	w->have++;
	counted(w, 1);
	timer_set_in(w->loop, &w->work, 1);
}

static void step(struct timer *t)
{
	struct worker *w = container_of(t, struct worker, work);

	w->random = w->random * 1103515245u + 12345u;
	if (w->have && (w->random & 0x10000 || w->rounds >= ROUNDS)) {
		w->have--;
		counted(w, -1); /* before it is free for others */
		ledger_close(w->m);
		w->rounds++;
	}
	if (w->rounds < ROUNDS && !w->asked) {
		if (ledger_open(w->m))
			got(w);
		else
			w->asked = true;
	}
	if (w->have)
		timer_set_in(w->loop, &w->work, 1);
	else if (w->rounds >= ROUNDS) {
		if (w->asked)
			ledger_unqueue(w->m);
		loop_stop(w->loop);
	}
}

static void worker_granted(void *arg)
{
	struct worker *w = arg;

	w->asked = false;
	got(w);
}

static void worker_wanted(void *arg)
{
	timer_set_in(((struct worker *)arg)->loop, &((struct worker *)arg)->work, 1);
}

static void *run_worker(void *arg)
{
	static const struct ledger_events events = { worker_granted, worker_wanted };
	struct worker *w = arg;
	const struct ledger_limits limits = limits_of(LIMIT);

	w->loop = loop_new();
	timer_init(&w->work, step);
	w->m = ledger_join(w->sh->ledger, SPAN("r|x"), &limits, w->loop, &events, w);
	timer_set_in(w->loop, &w->work, 1);
	loop_run(w->loop);
	turn(w->loop); /* a grant may have come with the stop */
	while (w->have) {
		w->have--;
		counted(w, -1);
		ledger_close(w->m);
	}
	timer_unset(w->loop, &w->work);
	ledger_leave(&w->m, 0);
	loop_free(&w->loop);
	return NULL;
}

static void threads_never_open_more_than_the_limit(void)
{
	struct shared sh = { .ledger = ledger_new() };
	struct worker w[WORKERS];
	pthread_t thread[WORKERS];

	for (unsigned i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ .sh = &sh, .random = i };
		NEED(pthread_create(&thread[i], NULL, run_worker, &w[i]) == 0);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		pthread_join(thread[i], NULL);
		CHECK(w[i].rounds >= ROUNDS);
	}
	CHECK_INT(0, sh.open);
	CHECK_INT(0, sh.over);
	CHECK_INT(LIMIT, sh.most);
	ledger_free(&sh.ledger);
}

static void *take_all(void *arg)
{
	struct worker *w = arg;
	struct ledger_limits limits = limits_of(1);
	static const struct ledger_events events = { worker_granted, worker_wanted };
	int64_t retry = 0;

	limits.rate = (struct rate){ .count = 1000, .period_us = 60000000, .burst = 1000 };
	w->loop = loop_new();
	w->m = ledger_join(w->sh->ledger, SPAN("r|x"), &limits, w->loop, &events, w);
	for (int i = 0; i < 2000; i++)
		if (ledger_take(w->m, w->sh->now_us, &retry))
			atomic_fetch_add(&w->sh->taken, 1);
	ledger_leave(&w->m, w->sh->now_us);
	loop_free(&w->loop);
	return NULL;
}

static void threads_take_exactly_the_rate(void)
{
	struct shared sh = { .ledger = ledger_new() };
	struct worker w[WORKERS];
	pthread_t thread[WORKERS];
	struct loop *loop = loop_new();

	sh.now_us = loop_now_us(loop);
	loop_free(&loop);
	for (unsigned i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ .sh = &sh };
		NEED(pthread_create(&thread[i], NULL, take_all, &w[i]) == 0);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	CHECK_INT(1000, sh.taken);
	ledger_free(&sh.ledger);
}

TEST_MAIN(TEST(connections_are_shared_by_name), TEST(who_waits_is_next_and_others_are_told),
	  TEST(a_grant_that_nobody_takes_goes_on), TEST(new_limits_count_at_once),
	  TEST(a_rate_outlives_its_members), TEST(threads_never_open_more_than_the_limit),
	  TEST(threads_take_exactly_the_rate))
