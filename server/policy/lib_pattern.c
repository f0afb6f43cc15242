/* policy/lib_pattern.c - string.find, string.match, and the step that gmatch and gsub are made of
 * (lua/lib/relay/sandbox.lua), on the matcher of policy/pattern.h. Steps are paid from the budget of the hook. */
#include <lauxlib.h>

#include "base/err.h"
#include "policy/box.h"
#include "policy/lib.h"
#include "policy/pattern.h"

static struct span check_span(lua_State *L, int i)
{
	(void)luaL_checkstring(L, i);
	return box_span(L, i);
}

/* Lua's position at @i, from 1, negative from the end, as an offset within the string. */
static size_t check_init(lua_State *L, int i, size_t n)
{
	const lua_Integer at = luaL_optinteger(L, i, 1);

	if (at > 0)
		return (size_t)at - 1 < n ? (size_t)at - 1 : n;
	return at < 0 && (size_t)-at <= n ? n - (size_t)-at : 0;
}

static int push_captures(lua_State *L, struct span s, const struct pattern_match *m, bool whole)
{
	luaL_checkstack(L, (int)m->captures + 1, "too many captures");
	if (m->captures == 0 && whole) {
		lua_pushlstring(L, s.p + m->at, m->n);
		return 1;
	}
	for (unsigned i = 0; i < m->captures; i++) {
		if (m->capture[i].position)
			lua_pushnumber(L, (double)m->capture[i].at + 1);
		else
			lua_pushlstring(L, s.p + m->capture[i].at, m->capture[i].n);
	}
	return (int)m->captures;
}

/* 1, 0; or -1: end with `return box_stop(L)`. */
static int find(lua_State *L, struct span s, struct span pattern, size_t init, unsigned flags,
		struct pattern_match *m_r)
{
	struct box *b = box_of(L);
	const uint64_t had = box_budget_left(b);
	uint64_t left = had;
	const char *why = NULL;
	const int r = pattern_find(s, pattern, init, flags, &left, m_r, &why);

	if (!box_budget_spend(b, L, had - left + (r == -ERR_LIMIT)))
		return -1;
	if (r < 0)
		luaL_error(L, "%s", why);
	return r;
}

static int find_plain(lua_State *L, struct span s, struct span needle, size_t init)
{
	const struct span rest = span_skip(s, init);
	const char *at = needle.n ? memmem(rest.p, rest.n, needle.p, needle.n) : rest.p;

	if (!at) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushnumber(L, (double)(at - s.p) + 1);
	lua_pushnumber(L, (double)(at - s.p) + (double)needle.n);
	return 2;
}

static int pl_find(lua_State *L)
{
	const struct span s = check_span(L, 1), pattern = check_span(L, 2);
	const size_t init = check_init(L, 3, s.n);
	struct pattern_match m;

	if (lua_toboolean(L, 4) || !pattern_is_special(pattern))
		return find_plain(L, s, pattern, init);
	const int r = find(L, s, pattern, init, 0, &m);
	if (r < 0)
		return box_stop(L);
	if (r == 0) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushnumber(L, (double)m.at + 1);
	lua_pushnumber(L, (double)m.at + (double)m.n);
	return 2 + push_captures(L, s, &m, false);
}

static int pl_match(lua_State *L)
{
	const struct span s = check_span(L, 1), pattern = check_span(L, 2);
	const size_t init = check_init(L, 3, s.n);
	struct pattern_match m;
	const int r = find(L, s, pattern, init, 0, &m);

	if (r < 0)
		return box_stop(L);
	if (r == 0) {
		lua_pushnil(L);
		return 1;
	}
	return push_captures(L, s, &m, true);
}

/* step(s, pattern, position, caret_is_plain) -> first, last, captures...; nothing if there is no further match */
static int pl_step(lua_State *L)
{
	const struct span s = check_span(L, 1), pattern = check_span(L, 2);
	const lua_Integer at = luaL_checkinteger(L, 3);
	struct pattern_match m;

	if (at < 1 || (size_t)at > s.n + 1)
		return 0;
	const int r =
		find(L, s, pattern, (size_t)at - 1, lua_toboolean(L, 4) ? PATTERN_CARET_IS_PLAIN : 0, &m);
	if (r < 0)
		return box_stop(L);
	if (r == 0)
		return 0;
	lua_pushnumber(L, (double)m.at + 1);
	lua_pushnumber(L, (double)m.at + (double)m.n);
	return 2 + push_captures(L, s, &m, true);
}

void lib_pattern_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "find", pl_find }, { "match", pl_match }, { "step", pl_step }, { NULL, NULL }
	};

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "pattern");
}
