#include "policy/all.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "base/mem.h"
#include "policy/run.h"
#include "policy/wait.h"

struct policy_all {
	lua_State *L;
	unsigned pending;
	int keys, results, errors; /* references to tables: child's number -> key; key -> value */
};

void all_free(struct policy_all **all)
{
	struct policy_all *a = *all;

	if (!a)
		return;
	luaL_unref(a->L, LUA_REGISTRYINDEX, a->keys);
	luaL_unref(a->L, LUA_REGISTRYINDEX, a->results);
	luaL_unref(a->L, LUA_REGISTRYINDEX, a->errors);
	free(a);
	*all = NULL;
}

static int new_table(lua_State *L)
{
	lua_newtable(L);
	return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Moves value @i of @from to table[key of @child]. */
static void store(struct policy_all *a, int table, unsigned child, lua_State *from, int i)
{
	lua_State *L = a->L;

	if (lua_isnoneornil(from, i))
		return;
	lua_rawgeti(L, LUA_REGISTRYINDEX, table);
	lua_rawgeti(L, LUA_REGISTRYINDEX, a->keys);
	lua_rawgeti(L, -1, (int)child);
	lua_remove(L, -2);
	lua_pushvalue(from, i);
	lua_xmove(from, L, 1);
	lua_rawset(L, -3);
	lua_pop(L, 1);
}

static void collect(struct policy_all *a, unsigned child, lua_State *from)
{
	store(a, a->results, child, from, 1);
	store(a, a->errors, child, from, 2);
}

static int push_results(struct coro *parent)
{
	struct policy_all *a = parent->all;

	lua_rawgeti(parent->L, LUA_REGISTRYINDEX, a->results);
	lua_rawgeti(parent->L, LUA_REGISTRYINDEX, a->errors);
	all_free(&parent->all);
	return 2;
}

int all_child_done(struct coro *c)
{
	struct policy_all *a = c->parent->all;

	collect(a, c->child, c->L);
	return --a->pending ? 0 : push_results(c->parent);
}

static int abandon(lua_State *L, struct coro *parent, struct coro *failed)
{
	struct policy_run *run = parent->run;

	/* The message goes to the parent; its siblings that wait are of no use any more. */
	lua_xmove(failed->L, L, 1);
	list_for_each_safe(it, &run->coros) {
		struct coro *c = list_entry(it, struct coro, link);
		if (c->parent != parent)
			continue;
		wait_cancel_all(c);
		all_free(&c->all);
		coro_drop(&run->vm->coros, c);
	}
	all_free(&parent->all);
	return lua_error(L);
}

/* Starts the functions of the table at 1. Does not raise, but for what abandon() does. */
static int start_all(lua_State *L, struct coro *parent)
{
	struct policy_run *run = parent->run;
	struct policy_all *a = parent->all;
	struct box *box = &run->vm->box;
	unsigned n = 0;

	lua_pushnil(L);
	while (lua_next(L, 1)) {
		box->enforce = false;
		struct coro *c = coro_take(&run->vm->coros, run);
		list_push_back(&run->coros, &c->link);
		c->parent = parent;
		c->child = ++n;
		lua_rawgeti(L, LUA_REGISTRYINDEX, a->keys);
		lua_pushvalue(L, -3);
		lua_rawseti(L, -2, (int)n);
		lua_pop(L, 1);
		lua_xmove(L, c->L, 1);
		const int status = box_resume(box, c->L, 0, &run->budget);
		if (run->budget.blown) {
			box->enforce = true;
			return 0;
		}
		if (status == LUA_YIELD) {
			a->pending++;
		} else if (status != 0) {
			box->enforce = true;
			return abandon(L, parent, c);
		} else {
			collect(a, n, c->L);
			coro_give(&run->vm->coros, c);
		}
		box->enforce = true;
	}
	return 0;
}

int pl_all(lua_State *L)
{
	unsigned n = 0;

	(void)wait_check(L, "relay.all");
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		if (lua_type(L, -1) != LUA_TFUNCTION)
			return luaL_error(L, "relay.all wants a table of functions");
		if (++n > ALL_MAX)
			return luaL_error(L, "relay.all takes at most %d functions", ALL_MAX);
		lua_pop(L, 1);
	}
	luaL_checkstack(L, 16, "relay.all");
	struct coro *parent = run_coro(L);
	struct box *box = &parent->run->vm->box;
	box->enforce = false;
	parent->waiting_for = NULL;
	all_free(&parent->all); /* what a failed yield left */
	parent->all = mem_alloc(sizeof *parent->all);
	*parent->all = (struct policy_all){ .L = box->L };
	parent->all->keys = new_table(box->L);
	parent->all->results = new_table(box->L);
	parent->all->errors = new_table(box->L);
	box->enforce = true;
	(void)start_all(L, parent);
	if (parent->run->budget.blown)
		return box_stop(L);
	if (parent->all->pending)
		return lua_yield(L, 0);
	return push_results(parent);
}
