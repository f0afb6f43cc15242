#include "policy/spec_dkim.h"

#include <lauxlib.h>

#include "dkim/dkim_verify.h"
#include "policy/box.h"

static struct span field(lua_State *L, int i, struct arena *mem, const char *name)
{
	struct span s = SPAN("");

	lua_getfield(L, i, name);
	if (lua_type(L, -1) == LUA_TSTRING)
		s = arena_dup(mem, box_span(L, -1));
	else if (!lua_isnil(L, -1))
		luaL_error(L, "'%s' must be a string", name);
	lua_pop(L, 1);
	return s;
}

static enum dkim_result result_of(lua_State *L, struct span s)
{
#define X(name, text)                                                                                        \
	if (span_eq(s, SPAN(text)))                                                                          \
		return DKIM_##name;
	DKIM_RESULT_MAP(X)
#undef X
	luaL_error(L, "'%s' is no result of DKIM", s.p);
	return DKIM_NONE;
}

static enum mail_dkim_algorithm algorithm_of(struct span s)
{
#define X(name, text)                                                                                        \
	if (span_eq(s, SPAN(text)))                                                                          \
		return MAIL_DKIM_##name;
	MAIL_DKIM_ALGORITHM_MAP(X)
#undef X
	return MAIL_DKIM_RSA_SHA256;
}

static bool flag(lua_State *L, int i, const char *name)
{
	lua_getfield(L, i, name);
	const bool b = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return b;
}

static struct dkim_outcome outcome_of(lua_State *L, int i, struct arena *mem)
{
	return (struct dkim_outcome){ .result = result_of(L, field(L, i, mem, "result")),
				      .why = field(L, i, mem, "reason").p,
				      .domain = field(L, i, mem, "domain"),
				      .selector = field(L, i, mem, "selector"),
				      .identity = field(L, i, mem, "identity"),
				      .algorithm = algorithm_of(field(L, i, mem, "algorithm")),
				      .testing = flag(L, i, "testing"),
				      .partial = flag(L, i, "partial") };
}

void spec_dkim_read(lua_State *L, int i, struct arena *mem, struct view_msg *m)
{
	const struct span arc = field(L, i, mem, "arc");
	struct dkim_verify *v = arena_new_of(mem, struct dkim_verify);

	lua_getfield(L, i, "dkim");
	if (v && lua_istable(L, -1)) {
		v->n = lua_objlen(L, -1);
		v->outcome = arena_array(mem, struct dkim_outcome, v->n + 1);
		for (size_t k = 0; v->outcome && k < v->n; k++) {
			lua_rawgeti(L, -1, (int)k + 1);
			if (!lua_istable(L, -1))
				luaL_error(L, "'dkim' must be a list of tables");
			v->outcome[k] = outcome_of(L, lua_gettop(L), mem);
			lua_pop(L, 1);
		}
		v->chain.result = arc.n ? result_of(L, arc) : DKIM_NONE;
		m->dkim = v->outcome ? v : NULL;
	} else if (!lua_isnil(L, -1)) {
		luaL_error(L, "'dkim' must be a list of tables");
	}
	lua_pop(L, 1);
}
