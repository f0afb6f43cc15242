#include "io/op.h"

#include "base/err.h"
#include "test.h"

enum { MS = 1000, LONG_US = 60 * 1000000 };

/* An op whose module is the test: it says what `cancel` does. */
struct probe {
	struct op op;
	unsigned dones, cancels;
	int status;
	bool cancel_completes; /* at once; else the test completes it later */
	bool restart;          /* done() begins it again */
	bool inside;           /* between begin/cancel and their return: done() must not come */
	struct scope *close;   /* done() closes this scope */
};

static void probe_cancel(struct op *op)
{
	struct probe *p = container_of(op, struct probe, op);

	p->cancels++;
	if (p->cancel_completes)
		op_complete(op, -ERR_CANCELED);
}

static void probe_done(struct op *op)
{
	struct probe *p = container_of(op, struct probe, op);

	CHECK(!op_pending(op));
	CHECK(!p->inside);
	p->dones++;
	p->status = op->status;
	if (p->restart) {
		p->restart = false;
		CHECK_INT(0, op_begin(op, (struct scope *)p->close, "again", LONG_US, probe_cancel));
	} else if (p->close) {
		scope_close(p->close);
	}
}

struct bed {
	struct loop *l;
	struct scope s;
	unsigned closed, dones_at_close;
	struct probe a, b, c;
};

static void bed_closed(struct scope *s)
{
	struct bed *b = container_of(s, struct bed, s);

	CHECK(scope_idle(s));
	b->closed++;
	b->dones_at_close = b->a.dones + b->b.dones + b->c.dones;
}

static void bed_init(struct bed *b)
{
	*b = (struct bed){ .l = loop_new() };
	scope_init(&b->s, b->l, bed_closed);
	struct probe *all[] = { &b->a, &b->b, &b->c };
	for (size_t i = 0; i < 3; i++) {
		op_init(&all[i]->op, probe_done);
		all[i]->cancel_completes = true;
	}
}

static void begin(struct bed *b, struct probe *p, int64_t deadline_us)
{
	p->inside = true;
	CHECK_INT(0, op_begin(&p->op, &b->s, "probe", deadline_us, probe_cancel));
	p->inside = false;
	CHECK(op_pending(&p->op));
}

static void turn(struct bed *b)
{
	loop_run_once(b->l, false);
}

static void bed_end(struct bed *b)
{
	scope_close(&b->s);
	for (unsigned i = 0; i < 10 && !b->closed; i++)
		turn(b);
	CHECK_INT(1, b->closed);
	turn(b);
	CHECK_INT(1, b->closed);
	loop_free(&b->l);
}

static void op_completes_later_and_once(void)
{
	struct bed b;

	bed_init(&b);
	begin(&b, &b.a, LONG_US);
	CHECK(!scope_idle(&b.s));
	b.a.inside = true;
	op_complete(&b.a.op, 7);
	op_complete(&b.a.op, 8);
	b.a.inside = false;
	CHECK(op_pending(&b.a.op));
	turn(&b);
	CHECK_INT(1, b.a.dones);
	CHECK_INT(7, b.a.status);
	CHECK(scope_idle(&b.s));
	op_complete(&b.a.op, 9);
	op_cancel(&b.a.op);
	turn(&b);
	CHECK_INT(1, b.a.dones);
	CHECK_INT(0, b.a.cancels);
	bed_end(&b);
}

static void cancel_completes_later_with_its_reason(void)
{
	struct bed b;

	bed_init(&b);
	begin(&b, &b.a, LONG_US);
	b.a.inside = true;
	op_cancel(&b.a.op);
	op_cancel(&b.a.op);
	b.a.inside = false;
	CHECK_INT(0, b.a.dones);
	turn(&b);
	CHECK_INT(1, b.a.dones);
	CHECK_INT(1, b.a.cancels);
	CHECK_INT(-ERR_CANCELED, b.a.status);
	bed_end(&b);
}

static void cancel_of_a_completed_op_changes_nothing(void)
{
	struct bed b;

	bed_init(&b);
	begin(&b, &b.a, LONG_US);
	op_complete(&b.a.op, 3);
	op_cancel(&b.a.op);
	turn(&b);
	CHECK_INT(0, b.a.cancels);
	CHECK_INT(3, b.a.status);
	bed_end(&b);
}

/* A module that cannot stop at once: the op stays pending, and what it brings in the end is not reported. */
static void slow_cancel_keeps_the_op_pending(void)
{
	struct bed b;

	bed_init(&b);
	b.a.cancel_completes = false;
	begin(&b, &b.a, LONG_US);
	op_cancel(&b.a.op);
	turn(&b);
	turn(&b);
	CHECK_INT(0, b.a.dones);
	CHECK(op_pending(&b.a.op));
	op_cancel(&b.a.op);
	CHECK_INT(1, b.a.cancels);
	op_complete(&b.a.op, 5);
	turn(&b);
	CHECK_INT(1, b.a.dones);
	CHECK_INT(-ERR_CANCELED, b.a.status);
	bed_end(&b);
}

static void deadline_ends_the_op(void)
{
	struct bed b;

	bed_init(&b);
	begin(&b, &b.a, 2 * MS);
	begin(&b, &b.b, -1); /* what is left of a deadline that has passed */
	begin(&b, &b.c, LONG_US);
	while (b.a.dones == 0)
		loop_run_once(b.l, true);
	CHECK_INT(-ERR_TIMEOUT, b.a.status);
	CHECK_INT(-ERR_TIMEOUT, b.b.status);
	CHECK_INT(0, b.c.dones);
	bed_end(&b);
	CHECK_INT(1, b.c.dones);
	CHECK_INT(-ERR_CANCELED, b.c.status);
}

/* Deadline first, the answer in the same turn: one completion. */
static void deadline_and_answer_in_one_turn(void)
{
	struct bed b;

	bed_init(&b);
	b.a.cancel_completes = false;
	begin(&b, &b.a, 1 * MS);
	while (b.a.cancels == 0)
		loop_run_once(b.l, true);
	op_complete(&b.a.op, 0);
	op_complete(&b.a.op, 0);
	turn(&b);
	turn(&b);
	CHECK_INT(1, b.a.dones);
	CHECK_INT(-ERR_TIMEOUT, b.a.status);
	bed_end(&b);
}

static void done_may_begin_again(void)
{
	struct bed b;

	bed_init(&b);
	b.a.restart = true;
	b.a.close = &b.s;
	begin(&b, &b.a, LONG_US);
	op_complete(&b.a.op, 1);
	turn(&b);
	CHECK_INT(1, b.a.dones);
	CHECK(op_pending(&b.a.op));
	b.a.close = NULL;
	op_complete(&b.a.op, 2);
	turn(&b);
	CHECK_INT(2, b.a.dones);
	CHECK_INT(2, b.a.status);
	bed_end(&b);
}

/* cancels -> every done() -> closed; and nothing new once it is closing. */
static void scope_closes_after_the_last_completion(void)
{
	struct bed b;

	bed_init(&b);
	b.b.cancel_completes = false;
	begin(&b, &b.a, LONG_US);
	begin(&b, &b.b, LONG_US);
	begin(&b, &b.c, LONG_US);
	op_complete(&b.c.op, 0); /* completed, not done */
	scope_close(&b.s);
	scope_close(&b.s);
	CHECK_INT(0, b.a.dones + b.b.dones + b.c.dones + b.closed);
	turn(&b);
	CHECK_INT(1, b.a.dones);
	CHECK_INT(1, b.c.dones);
	CHECK_INT(0, b.c.status);
	CHECK_INT(0, b.closed);
	CHECK_INT(-ERR_CANCELED, op_begin(&b.a.op, &b.s, "late", LONG_US, probe_cancel));
	CHECK(!op_pending(&b.a.op));
	op_complete(&b.b.op, 0);
	turn(&b);
	CHECK_INT(1, b.b.dones);
	CHECK_INT(1, b.closed);
	CHECK_INT(3, b.dones_at_close);
	bed_end(&b);
}

static void scope_without_ops_closes_later_too(void)
{
	struct bed b;

	bed_init(&b);
	scope_close(&b.s);
	CHECK_INT(0, b.closed);
	bed_end(&b);
}

static void scope_may_be_closed_from_done(void)
{
	struct bed b;

	bed_init(&b);
	b.a.close = &b.s;
	begin(&b, &b.a, LONG_US);
	begin(&b, &b.b, LONG_US);
	op_complete(&b.a.op, 0);
	turn(&b);
	turn(&b);
	CHECK_INT(1, b.closed);
	CHECK_INT(2, b.dones_at_close);
	CHECK_INT(-ERR_CANCELED, b.b.status);
	bed_end(&b);
}

static void cancel_all_leaves_the_scope_open(void)
{
	struct bed b;

	bed_init(&b);
	begin(&b, &b.a, LONG_US);
	begin(&b, &b.b, LONG_US);
	scope_cancel_all(&b.s);
	turn(&b);
	CHECK_INT(1, b.a.dones);
	CHECK_INT(1, b.b.dones);
	CHECK_INT(0, b.closed);
	begin(&b, &b.a, LONG_US);
	op_complete(&b.a.op, 0);
	turn(&b);
	CHECK_INT(2, b.a.dones);
	bed_end(&b);
}

TEST_MAIN(TEST(op_completes_later_and_once), TEST(cancel_completes_later_with_its_reason),
	  TEST(cancel_of_a_completed_op_changes_nothing), TEST(slow_cancel_keeps_the_op_pending),
	  TEST(deadline_ends_the_op), TEST(deadline_and_answer_in_one_turn), TEST(done_may_begin_again),
	  TEST(scope_closes_after_the_last_completion), TEST(scope_without_ops_closes_later_too),
	  TEST(scope_may_be_closed_from_done), TEST(cancel_all_leaves_the_scope_open))
