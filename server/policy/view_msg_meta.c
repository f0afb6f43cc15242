/* policy/view_msg_meta.c - msg.meta: a table that is kept with the message in the spool.
 *
 * The text comes from the view and becomes a table when the first policy asks for it. After each policy the table is
 * written as JSON again, and if that differs from what it was it goes back to the session. What a policy that only
 * observes changes is dropped. */
#include <lauxlib.h>

#include "policy/lib.h"
#include "policy/view_msg.h"

void msg_meta_push(lua_State *L, struct view_ud *u)
{
	struct policy_run *run = vm_of(L)->running;
	const struct view_msg *m = msg_of(u);

	if (run->meta_ref == LUA_NOREF) {
		const bool enforced = lib_relax(L);
		/* Text of ours, from a spool that checks its records: if it is no JSON, it is lost and nothing else. */
		if (!m->meta.n || lua_of_json(L, m->meta, JSON_VALUES_MAX) != NULL)
			lua_newtable(L);
		else if (lua_type(L, -1) != LUA_TTABLE) {
			lua_pop(L, 1);
			lua_newtable(L);
		}
		run->meta_ref = luaL_ref(L, LUA_REGISTRYINDEX);
		lib_enforce(L, enforced);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, run->meta_ref);
}

void msg_meta_forget(struct policy_run *run)
{
	luaL_unref(run->vm->box.L, LUA_REGISTRYINDEX, run->meta_ref);
	run->meta_ref = LUA_NOREF;
}

const char *msg_meta_commit(struct policy_run *run)
{
	struct view_msg *m = run->call ? run->call->msg : NULL;
	lua_State *L = run->vm->box.L;
	struct buf text = BUF_INIT(MSG_META_MAX);
	const char *why = NULL;

	if (run->meta_ref == LUA_NOREF)
		return NULL;
	if (run->observing || !m || run->call->id != HOOK_MESSAGE) {
		msg_meta_forget(run);
		return NULL;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, run->meta_ref);
	lua_pushnil(L);
	const bool empty = !lua_next(L, -2);
	lua_settop(L, empty ? lua_gettop(L) : lua_gettop(L) - 2);
	if (!empty)
		why = json_of_lua(L, -1, &text);
	lua_pop(L, 1);
	const struct view_actions *actions = m->txn && m->txn->conn ? m->txn->conn->actions : NULL;
	if (!why && !span_eq(buf_span(&text), m->meta) &&
	    (!actions || !actions->set_meta || actions->set_meta(m, buf_span(&text)) < 0))
		why = "the message cannot keep it";
	buf_free(&text);
	if (why)
		msg_meta_forget(run);
	return why;
}
