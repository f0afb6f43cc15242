/* policy/all.h - relay.all { a = function() ... end, b = ... }: several waits at once; private to policy/.
 *
 * Each function runs in a coroutine of its own, on the budget and under the deadline of the policy that asks.
 * Results are two tables with the keys of the argument: first and second values. An error in one of them is an error
 * of the policy.
 *
 * Tests: tests/unit/policy/test_policy_wait.c
 */
#pragma once

#include "policy/coro.h"

enum { ALL_MAX = 32 };

struct policy_all;

int pl_all(lua_State *L);
/* @c, a child, has returned; its results are on its stack. Returns how many values its parent, whose stack they are
 * on, is to be resumed with; 0: others are still waited for. */
int all_child_done(struct coro *c);
void all_free(struct policy_all **all);
