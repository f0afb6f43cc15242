/* io/op.h - one pending operation, and the scope it belongs to.
 *
 *   1. An op is embedded in its owner and started by x_start(&op, ...) of some module. Starting never
 *      allocates on its behalf what the owner must free.
 *   2. It completes exactly once: `done` is called from the loop, never from inside start or cancel.
 *   3. scope_close() takes no new ops, cancels those that run, and calls `closed` after the last completion,
 *      from the loop; only there may the memory of the owner go.
 *   4. `what` says what is waited for ("dns mx example.org"); control prints it.
 *   5. Every op has a deadline: its own or its scope's.
 *
 * Threads: the loop's.  Tests: tests/unit/io/test_op.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"

struct scope {
	struct loop *loop;
	struct list ops;
	bool closing;
	struct task closed_task;
	void (*closed)(struct scope *s);
};

struct op {
	struct list link;    /* in scope->ops while pending */
	struct scope *scope; /* NULL when not pending */
	const char *what;    /* must outlive the op; its owner may put its own words here after the start */
	int64_t started_us;
	struct timer deadline;
	int status; /* valid in done(): >= 0, or -ERR_TIMEOUT, -ERR_CANCELED, or the operation's own error */
	struct task done_task; /* carries completion to the end of the turn */
	void (*done)(struct op *op);
	/* Set by the module that runs it: stop, then op_complete(). Called at most once. */
	void (*cancel)(struct op *op);
	int why_ended_;  /* -ERR_CANCELED or -ERR_TIMEOUT: why cancel was called; it becomes the status */
	bool completed_; /* op_complete() was called, done() was not yet */
};

void scope_init(struct scope *s, struct loop *loop, void (*closed)(struct scope *s));
void scope_close(struct scope *s);
/* Cancels what is pending and stays open. */
void scope_cancel_all(struct scope *s);
bool scope_idle(const struct scope *s);

static inline bool op_pending(const struct op *op)
{
	return op->scope != NULL;
}

/* ---- for owners ---------------------------------------------------------------------------------------- */
void op_init(struct op *op, void (*done)(struct op *op));
/* Completes with -ERR_CANCELED (later). Harmless when not pending. An op that completed already keeps its
 * status, and what it brought is the owner's: done() in a closing scope must give a success back. */
void op_cancel(struct op *op);

/* ---- for the modules that run ops ---------------------------------------------------------------------- */

/* Marks @op pending in @s. Returns -ERR_CANCELED (and the op is not pending) when the scope is closing.
 * @deadline_us from now; must be > 0 (what is left of a deadline that has passed ends the op at once). */
int op_begin(struct op *op, struct scope *s, const char *what, int64_t deadline_us,
	     void (*cancel)(struct op *op));
/* The operation is over. done() runs at the end of this turn. Harmless when it completed already (deadline
 * and answer in one turn). After a cancel or the deadline @status is replaced by that reason. */
void op_complete(struct op *op, int status);
