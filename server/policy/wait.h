/* policy/wait.h - how a C function that Lua called waits for an operation; private to policy/.
 *
 *     static int pl_mx(lua_State *L)
 *     {
 *         struct policy_vm *vm = wait_check(L, "relay.dns.mx");    // raises where nothing may wait
 *         ... check arguments ...
 *         struct dns_wait *w = mem_alloc(sizeof *w);
 *         if (dns_query_start(&w->query, ..., &vm->scope, ...) < 0) ...
 *         return wait_begin(L, &w->wait, &w->query.op);            // yields
 *     }
 *
 * and in the operation's done(): wait_done(&w->wait), which looks for the coroutine, and only if it is there asks `push` to put
 * the results on its stack and resumes it. In any case it ends with `release`.
 */
#pragma once

#include "io/op.h"
#include "policy/coro.h"
#include "policy/vm.h"

struct policy_wait {
	struct list link; /* in coro->waits */
	struct policy_vm *vm;
	struct coro_token token;
	struct op *op;
	/* Pushes the results, at most 8, and returns how many. The memory limit is not enforced: nothing raises. */
	int (*push)(struct policy_wait *w, lua_State *L);
	void (*release)(struct policy_wait *w);
};

/* Raises unless the function that Lua runs may wait: not in setup, not in an observer, not inside a C function. */
struct policy_vm *wait_check(lua_State *L, const char *function);
/* What is left of the time to wait. */
int64_t wait_left_us(lua_State *L);
/* @op is pending. Yields: `return wait_begin(...)`. */
int wait_begin(lua_State *L, struct policy_wait *w, struct op *op);
void wait_done(struct policy_wait *w);
/* Cancels what @c started; it will find nobody. */
void wait_cancel_all(struct coro *c);
