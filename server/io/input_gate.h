/* io/input_gate.h - when a stream owes its owner a `readable`: the bookkeeping that every implementation of
 * stream.h shares.
 *
 * New input is told at once while it is wanted. Beyond that the owner is called again for octets that it left
 * unread when it asks for input - but in the turn of the last call only if it consumed something since: else
 * an owner that asks whenever it returns, and waits for the rest of a line, would be called for ever.
 *
 * Pure.  Tests: tests/unit/io/test_memory_stream.c, test_tcp_stream.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct input_gate {
	bool want;          /* the owner's wish; starts true */
	bool due;           /* a call is due: it asked in a later turn, or did not want input when told */
	bool asked;         /* it asked for input since the last `readable` began */
	bool took;          /* it consumed something since then */
	bool telling;       /* inside `readable` */
	uint64_t told_turn; /* of the last `readable`, as loop_turns() counts */
};

static inline void input_gate_init(struct input_gate *g)
{
	*g = (struct input_gate){ .want = true };
}

static inline void input_gate_set(struct input_gate *g, bool want, uint64_t turn)
{
	g->want = want;
	g->asked |= want;
	g->due |= want && turn != g->told_turn;
}

static inline void input_gate_enter(struct input_gate *g, uint64_t turn)
{
	g->asked = g->took = g->due = false;
	g->telling = true;
	g->told_turn = turn;
}

static inline void input_gate_leave(struct input_gate *g)
{
	g->telling = false;
	g->due = !g->want;
}

/* Must the owner be called again (when something is unread, or the end has come)? */
static inline bool input_gate_due(const struct input_gate *g)
{
	return g->want && g->asked && !g->telling && (g->due || g->took);
}
