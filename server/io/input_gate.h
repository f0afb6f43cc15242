/* io/input_gate.h - when a stream owes its owner a `readable`: the bookkeeping that every implementation of stream.h shares.
 *
 * New input is told at once while it is wanted. Beyond that the owner is called again for octets that it left unread if it
 * asked for it, and it either consumed something since the last call or did not want input when it was due. (Without the
 * second half an owner that waits for the rest of a line would be called for ever.)
 *
 * Pure.  Tests: tests/unit/io/test_memory_stream.c, test_tcp_stream.c
 */
#pragma once

#include <stdbool.h>

struct input_gate {
	bool want;    /* the owner's wish; starts true */
	bool asked;   /* it asked for input since the last `readable` began */
	bool took;    /* it consumed something since then */
	bool owed;    /* a `readable` was due while input was not wanted */
	bool telling; /* inside `readable` */
};

static inline void input_gate_init(struct input_gate *g)
{
	*g = (struct input_gate){ .want = true };
}

static inline void input_gate_set(struct input_gate *g, bool want)
{
	g->want = want;
	g->asked |= want;
}

static inline void input_gate_enter(struct input_gate *g)
{
	g->asked = g->took = g->owed = false;
	g->telling = true;
}

static inline void input_gate_leave(struct input_gate *g)
{
	g->telling = false;
	g->owed = !g->want;
}

/* Must the owner be called again (when something is unread, or the end has come)? */
static inline bool input_gate_due(const struct input_gate *g)
{
	return g->want && g->asked && !g->telling && (g->owed || g->took);
}
