/* Questions to workers' loops from several threads at once: answered now, answered later, to a loop that is closing. */
#include <time.h>

#include "control_bed.h"

struct question {
	struct ask ask;
	struct timer timer;
	unsigned number;
	int64_t later_us; /* 0: answered at once */
	_Atomic int *disposed;
};

static void answer(struct question *q)
{
	buf_addf(&q->ask.out, "%u", q->number);
	ask_answer(&q->ask, (int)q->number);
}

static void on_timer(struct timer *t)
{
	answer(container_of(t, struct question, timer));
}

static void run_question(struct ask *a)
{
	struct question *q = container_of(a, struct question, ask);

	if (!q->later_us) {
		answer(q);
		return;
	}
	timer_init(&q->timer, on_timer);
	timer_set_in(a->worker->loop, &q->timer, q->later_us);
}

static void on_dispose(struct ask *a)
{
	(*container_of(a, struct question, ask)->disposed)++;
}

static struct ask *question_new(struct bed *b, unsigned worker, unsigned number, int64_t later_us,
				_Atomic int *disposed)
{
	struct question *q = mem_alloc(sizeof *q);

	q->ask.worker = b->views[worker];
	q->ask.run = run_question;
	q->ask.dispose = on_dispose;
	buf_init(&q->ask.out, 1000);
	q->number = number;
	q->later_us = later_us;
	q->disposed = disposed;
	return &q->ask;
}

struct asker {
	struct bed *bed;
	unsigned rounds, wrong;
	_Atomic int *disposed;
};

static void ask_often(void *arg)
{
	struct asker *k = arg;

	for (unsigned round = 0; round < k->rounds; round++) {
		struct ask *asks[BED_WORKERS];
		for (unsigned i = 0; i < BED_WORKERS; i++)
			asks[i] = question_new(k->bed, i, round * 10 + i, (round + i) % 3 ? 0 : 200,
					       k->disposed);
		k->wrong += ask_all(asks, BED_WORKERS) != 0;
		for (unsigned i = 0; i < BED_WORKERS; i++) {
			char want[16];
			snprintf(want, sizeof want, "%u", round * 10 + i);
			k->wrong += !asks[i] || asks[i]->status != (int)(round * 10 + i) ||
				    !span_eq(buf_span(&asks[i]->out), span_of(want));
			ask_free(&asks[i]);
		}
	}
}

static void answers_come_to_who_asked(void)
{
	enum { ASKERS = 4, ROUNDS = 100 };
	struct bed b;
	struct asker k[ASKERS];
	struct thread *t[ASKERS];
	_Atomic int disposed = 0;

	bed_open(&b);
	for (unsigned i = 0; i < ASKERS; i++) {
		k[i] = (struct asker){ .bed = &b, .rounds = ROUNDS, .disposed = &disposed };
		t[i] = thread_start("asker", ask_often, &k[i]);
	}
	for (unsigned i = 0; i < ASKERS; i++) {
		thread_join(&t[i]);
		CHECK_INT(0, k[i].wrong);
	}
	CHECK_INT(ASKERS * ROUNDS * BED_WORKERS, disposed);
	bed_close(&b);
}

static void a_late_answer_is_abandoned_and_freed_by_the_worker(void)
{
	struct bed b;
	_Atomic int disposed = 0;

	bed_open(&b);
	struct ask *asks[2] = { question_new(&b, 0, 1, 0, &disposed),
				question_new(&b, 1, 2, 300000, &disposed) };
	CHECK_INT(-ERR_TIMEOUT, ask_all_within(asks, 2, 50000));
	CHECK(asks[0] != NULL);
	CHECK(asks[1] == NULL);
	ask_free(&asks[0]);
	for (unsigned i = 0; i < 200 && disposed < 2; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	CHECK_INT(2, disposed);
	bed_close(&b);
}

static void a_loop_that_takes_no_letters_is_left_out(void)
{
	struct bed b;
	struct loop *retired = loop_new();
	struct control_worker gone = { .loop = retired };
	_Atomic int disposed = 0;

	bed_open(&b);
	loop_retire(retired);
	struct ask *asks[2] = { question_new(&b, 0, 1, 0, &disposed), question_new(&b, 1, 2, 0, &disposed) };
	asks[1]->worker = &gone;
	CHECK_INT(-ERR_CLOSED, ask_all(asks, 2));
	CHECK(asks[0] != NULL);
	CHECK(asks[1] == NULL);
	ask_free(&asks[0]);
	CHECK_INT(2, disposed);
	loop_free(&retired);
	bed_close(&b);
}

TEST_MAIN(TEST(answers_come_to_who_asked), TEST(a_late_answer_is_abandoned_and_freed_by_the_worker),
	  TEST(a_loop_that_takes_no_letters_is_left_out))
