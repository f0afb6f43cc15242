#include "policy/view_ud.h"

#include <lauxlib.h>

#include "base/check.h"
#include "policy/run.h"
#include "policy/vm.h"

void *ud_test(lua_State *L, int i, uint32_t type)
{
	if (lua_type(L, i) != LUA_TUSERDATA)
		return NULL;
	struct ud_head *head = lua_touserdata(L, i);
	return head->type == type ? head : NULL;
}

void view_ud_check_hook(lua_State *L, uint32_t hooks, const char *class, const char *what)
{
	const struct policy_run *run = vm_of(L)->running;

	if (!run)
		luaL_error(L, "%s.%s is not available while a policy is loaded", class, what);
	else if (!(hooks & (run->call ? 1u << run->call->id : IN_OBSERVERS)))
		luaL_error(L, "%s.%s is not available in '%s'", class, what, run->hook_name);
}

static void check_alive(lua_State *L, const struct view_ud *u, const char *class)
{
	if (!u->p)
		luaL_error(L, "the %s of this %s is gone: keep values, not views, between hooks",
			   class[0] == 'c'   ? "session"
			   : class[0] == 't' ? "transaction"
					     : "hook",
			   class);
}

struct view_ud *view_ud_check(lua_State *L, const struct view_class *class)
{
	const struct view_method *m = lua_touserdata(L, lua_upvalueindex(1));
	struct view_ud *u = ud_test(L, 1, class->type);

	if (!u) {
		luaL_error(L, "%s:%s wants a ':' and a %s before it", class->name, m->name, class->name);
		return NULL;
	}
	check_alive(L, u, class->name);
	view_ud_check_hook(L, m->hooks, class->name, m->name);
	return u;
}

/* upvalues: the members, by name (methods are functions, fields light userdata), and the class */
static int pl_index(lua_State *L)
{
	const struct view_class *class = lua_touserdata(L, lua_upvalueindex(2));
	struct view_ud *u = ud_test(L, 1, class->type);

	lua_pushvalue(L, 2);
	lua_rawget(L, lua_upvalueindex(1));
	if (lua_type(L, -1) == LUA_TFUNCTION)
		return 1;
	const struct view_field *f = lua_touserdata(L, -1);
	if (!f)
		return luaL_error(L, "%s has no '%s'", class->name,
				  lua_tostring(L, 2) ? lua_tostring(L, 2) : "such thing");
	if (!u)
		return luaL_error(L, "this is no %s", class->name);
	check_alive(L, u, class->name);
	view_ud_check_hook(L, f->hooks, class->name, f->name);
	return f->get(L, u);
}

static int pl_newindex(lua_State *L)
{
	const struct view_class *class = lua_touserdata(L, lua_upvalueindex(1));

	return luaL_error(L, "%s.%s is read-only: use %s.vars for what you want to keep", class->name,
			  lua_tostring(L, 2) ? lua_tostring(L, 2) : "?",
			  class->name[0] == 'c' ? "conn" : "txn");
}

static int pl_tostring(lua_State *L)
{
	const struct view_class *class = lua_touserdata(L, lua_upvalueindex(1));

	lua_pushstring(L, class->name);
	return 1;
}

static void set_closure(lua_State *L, const char *key, lua_CFunction f, const struct view_class *class)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t) class);
	lua_pushcclosure(L, f, 1);
	lua_setfield(L, -2, key);
}

/* The metatable is kept in the registry under the address of the class. */
static void open_class(lua_State *L, const struct view_class *class)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t) class);
	lua_newtable(L);
	lua_newtable(L);
	for (const struct view_field *f = class->fields; f->name; f++) {
		lua_pushlightuserdata(L, (void *)(uintptr_t)f);
		lua_setfield(L, -2, f->name);
	}
	for (const struct view_method *m = class->methods; m->name; m++) {
		lua_pushlightuserdata(L, (void *)(uintptr_t)m);
		lua_pushcclosure(L, m->call, 1);
		lua_setfield(L, -2, m->name);
	}
	lua_pushlightuserdata(L, (void *)(uintptr_t) class);
	lua_pushcclosure(L, pl_index, 2);
	lua_setfield(L, -2, "__index");
	set_closure(L, "__newindex", pl_newindex, class);
	set_closure(L, "__tostring", pl_tostring, class);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_rawset(L, LUA_REGISTRYINDEX);
}

void view_ud_open(lua_State *L)
{
	open_class(L, &view_conn_class);
	open_class(L, &view_txn_class);
	open_class(L, &view_rcpt_class);
	open_class(L, &view_msg_class);
}

struct view_ud *view_ud_push(lua_State *L, const struct view_class *class, void *p)
{
	struct view_ud *u = lua_newuserdata(L, sizeof *u);

	*u = (struct view_ud){ { class->type }, p, NULL };
	lua_pushlightuserdata(L, (void *)(uintptr_t) class);
	lua_rawget(L, LUA_REGISTRYINDEX);
	lua_setmetatable(L, -2);
	return u;
}
