#include "policy/wait.h"

#include "base/check.h"
#include "policy/run.h"

struct policy_vm *wait_check(lua_State *L, const char *function)
{
	struct policy_vm *vm = vm_of(L);
	struct policy_run *run = vm->running;

	if (!run)
		luaL_error(L, "%s waits: it can be called in a hook, not while a policy is loaded", function);
	else if (!run->call)
		luaL_error(L, "%s waits: not available in '%s', which only observes", function,
			   run->hook_name);
	else if (!lua_isyieldable(L))
		luaL_error(
			L,
			"%s waits: it cannot be called from a function that C calls (a __tostring, a comparison)",
			function);
	return vm;
}

int64_t wait_left_us(lua_State *L)
{
	const struct policy_vm *vm = vm_of(L);
	const int64_t left = vm->rt->env.budget.wait_us_max - vm->running->waited_us;

	return left > 1000 ? left : 1000;
}

int wait_begin(lua_State *L, struct policy_wait *w, struct op *op)
{
	struct coro *c = run_coro(L);

	require(c != NULL); /* wait_check() saw that there is one */
	w->vm = vm_of(L);
	w->token = c->token;
	w->op = op;
	list_init(&w->link);
	list_push_back(&c->waits, &w->link);
	c->waiting_for = w;
	return lua_yield(L, 0);
}

void wait_done(struct policy_wait *w)
{
	struct coro *c = coro_find(&w->vm->coros, w->token);

	list_remove(&w->link);
	if (!c || c->waiting_for != w) {
		w->vm->rt->stale++;
		w->release(w);
		return;
	}
	c->waiting_for = NULL;
	(void)lua_checkstack(c->L, 16);
	const int n = w->push(w, c->L);
	w->release(w);
	run_continue(c, n);
}

void wait_cancel_all(struct coro *c)
{
	c->waiting_for = NULL;
	list_for_each_safe(it, &c->waits) {
		struct policy_wait *w = list_entry(it, struct policy_wait, link);
		list_remove(&w->link);
		op_cancel(w->op);
	}
}
