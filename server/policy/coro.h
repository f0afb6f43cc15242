/* policy/coro.h - coroutines that are used again, and the tokens by which they are found.
 *
 * Whoever waits for something keeps a token {slot, generation}, never a pointer. When the answer comes the token is
 * looked up first: a coroutine that was dropped, or serves another question by now, is not found, and nothing is
 * pushed on its stack.
 *
 * Ownership: the pool owns the coroutines; who took one gives it back, or drops it when its stack is in no state to
 * be used again. Threads: the worker's.  Tests: tests/unit/policy/test_policy_wait.c
 */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct policy_run;
struct policy_wait;
struct policy_all;

struct coro_token {
	uint32_t slot, generation;
};

struct coro {
	lua_State *L;
	int ref; /* keeps L, in the registry */
	struct coro_token
		token;    /* what finds it now; the generation moves on when it is given back or dropped */
	struct list link; /* in the run's, or among the idle ones */
	struct policy_run *run;
	struct list waits;               /* of struct policy_wait: operations that were started from here */
	struct policy_wait *waiting_for; /* the one that may resume it */
	struct policy_all *all;          /* or it waits for these */
	struct coro *parent;             /* a child of relay.all */
	unsigned child;                  /* which of them */
};

struct coro_pool {
	lua_State *L;
	struct coro **v;
	uint32_t n, cap;
	struct list idle;
};

void coro_pool_init(struct coro_pool *p, lua_State *L);
void coro_pool_deinit(struct coro_pool *p); /* the state may be closed already */

/* An empty coroutine. Not to be called while the memory limit is enforced. */
struct coro *coro_take(struct coro_pool *p, struct policy_run *run);
/* Its function has returned. */
void coro_give(struct coro_pool *p, struct coro *c);
/* It failed, or waits and will not be resumed. */
void coro_drop(struct coro_pool *p, struct coro *c);

/* NULL: it has gone. */
struct coro *coro_find(const struct coro_pool *p, struct coro_token token);
