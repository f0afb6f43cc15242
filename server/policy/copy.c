#include <lauxlib.h>

#include "policy/view_ud.h"

/* Copies by recursion over the depth, which is bounded. Cycles end at the depth. */
static void copy(lua_State *from, int i, lua_State *to, int depth, int *values)
{
	size_t n;
	const char *s;

	++*values;
	switch (lua_type(from, i)) {
	case LUA_TBOOLEAN:
		lua_pushboolean(to, lua_toboolean(from, i));
		return;
	case LUA_TNUMBER:
		lua_pushnumber(to, lua_tonumber(from, i));
		return;
	case LUA_TSTRING:
		s = lua_tolstring(from, i, &n);
		lua_pushlstring(to, s, n);
		return;
	case LUA_TTABLE:
		break;
	default:
		lua_pushnil(to);
		return;
	}
	if (depth == 0 || !lua_checkstack(from, 8) || !lua_checkstack(to, 8)) {
		lua_pushnil(to);
		return;
	}
	if (i < 0)
		i = lua_gettop(from) + i + 1;
	lua_newtable(to);
	lua_pushnil(from);
	while (lua_next(from, i)) {
		if (*values >= COPY_VALUES_MAX) {
			lua_pop(from, 2);
			return;
		}
		/* The key is not converted in place: lua_next() would lose its way. */
		if (lua_type(from, -2) == LUA_TTABLE)
			lua_pushnil(to);
		else
			copy(from, -2, to, 0, values);
		copy(from, -1, to, depth - 1, values);
		if (lua_isnil(to, -2))
			lua_pop(to, 2);
		else
			lua_rawset(to, -3);
		lua_pop(from, 1);
	}
}

void copy_plain(lua_State *from, int i, lua_State *to)
{
	int values = 0;

	copy(from, i, to, COPY_DEPTH_MAX, &values);
}
