/* The life of an op:
 *
 *   idle -> op_begin -> running -> op_complete -> completed -> (end of turn) done() -> idle
 *
 * A deadline or a cancel notes its reason and asks the module to stop; the module then calls op_complete(),
 * at once or when it can. A scope that closes lets go only when its list is empty, in a task of its own
 * behind the last done().
 */
#include "io/op.h"

#include "base/check.h"
#include "base/err.h"

/* ---- scope --------------------------------------------------------------------------------------------- */

static void run_closed(struct task *t)
{
	struct scope *s = container_of(t, struct scope, closed_task);

	if (s->closed)
		s->closed(s);
}

void scope_init(struct scope *s, struct loop *loop, void (*closed)(struct scope *s))
{
	*s = (struct scope){ .loop = loop, .closed = closed };
	list_init(&s->ops);
	task_init(&s->closed_task, run_closed);
}

static void scope_ended(struct scope *s)
{
	if (s->closing && list_empty(&s->ops))
		task_schedule(s->loop, &s->closed_task);
}

void scope_cancel_all(struct scope *s)
{
	/* Nothing leaves the list meanwhile: done() is always later. */
	list_for_each(link, &s->ops)
		op_cancel(list_entry(link, struct op, link));
}

void scope_close(struct scope *s)
{
	if (s->closing)
		return;
	s->closing = true;
	scope_cancel_all(s);
	scope_ended(s);
}

bool scope_idle(const struct scope *s)
{
	return list_empty(&s->ops);
}

/* ---- op ------------------------------------------------------------------------------------------------ */

static void run_done(struct task *t)
{
	struct op *op = container_of(t, struct op, done_task);
	struct scope *s = op->scope;

	list_remove(&op->link);
	op->scope = NULL;
	op->completed_ = false;
	op->done(op); /* may start it again or free it */
	scope_ended(s);
}

static void op_stop(struct op *op, int why)
{
	void (*cancel)(struct op * op) = op->cancel;

	if (!op_pending(op) || op->completed_ || !cancel)
		return;
	op->cancel = NULL;
	op->why_ended_ = why;
	timer_unset(op->scope->loop, &op->deadline);
	cancel(op);
}

static void on_deadline(struct timer *t)
{
	op_stop(container_of(t, struct op, deadline), -ERR_TIMEOUT);
}

void op_init(struct op *op, void (*done)(struct op *op))
{
	*op = (struct op){ .done = done };
	list_init(&op->link);
	timer_init(&op->deadline, on_deadline);
	task_init(&op->done_task, run_done);
}

void op_cancel(struct op *op)
{
	op_stop(op, -ERR_CANCELED);
}

int op_begin(struct op *op, struct scope *s, const char *what, int64_t deadline_us,
	     void (*cancel)(struct op *op))
{
	require(!op_pending(op) && op->done && cancel);
	if (s->closing)
		return -ERR_CANCELED;
	op->scope = s;
	op->what = what;
	op->started_us = loop_now_us(s->loop);
	op->status = 0;
	op->why_ended_ = 0;
	op->completed_ = false;
	op->cancel = cancel;
	list_push_back(&s->ops, &op->link);
	timer_set_in(s->loop, &op->deadline, deadline_us);
	return 0;
}

void op_complete(struct op *op, int status)
{
	if (!op_pending(op) || op->completed_)
		return;
	timer_unset(op->scope->loop, &op->deadline);
	op->completed_ = true;
	op->status = op->why_ended_ ? op->why_ended_ : status;
	task_schedule(op->scope->loop, &op->done_task);
}
