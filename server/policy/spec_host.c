#include "policy/spec_host.h"

#include <lauxlib.h>

#include "base/err.h"
#include "policy/full_state.h"
#include "policy/spec_policy.h"

struct spec {
	const char *file, *policy_dir;
	struct buf *out;
	struct spec_result result;
};

static struct spec *spec_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

/* result(name, ok [, message]) */
static int pl_result(lua_State *L)
{
	struct spec *s = spec_of(L);
	const char *name = luaL_checkstring(L, 1);
	const bool ok = lua_toboolean(L, 2);
	struct span rest = span_of(luaL_optstring(L, 3, ""));

	s->result.run++;
	s->result.failed += !ok;
	buf_addf(s->out, "%s %s\n", ok ? "ok" : "not ok", name);
	while (rest.n) {
		const struct span line = span_cut(&rest, '\n');
		buf_addf(s->out, "  %.*s\n", SPAN_ARG(line));
	}
	return 0;
}

static int pl_run(lua_State *L)
{
	struct spec *s = lua_touserdata(L, 1);

	spec_policy_open(L, s->policy_dir); /* the table of functions that relay.testing needs */
	lua_pushlightuserdata(L, s);
	lua_pushcclosure(L, pl_result, 1);
	lua_setfield(L, -2, "result");
	full_state_push_json(L);
	lua_setfield(L, -2, "json");
	lua_getglobal(L, "package");
	lua_getfield(L, -1, "loaded");
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "relay.spec");
	if (luaL_loadfile(L, s->file))
		return lua_error(L);
	lua_call(L, 0, 0);
	return 0;
}

int spec_run(const char *file, const char *policy_dir, struct buf *out, struct spec_result *result_r)
{
	struct spec s = { file, policy_dir, out, { 0, 0 } };
	lua_State *L = full_state_new();

	if (!L)
		return -ERR_NOMEM;
	lua_pushcfunction(L, full_state_traceback);
	lua_pushcfunction(L, pl_run);
	lua_pushlightuserdata(L, &s);
	if (lua_pcall(L, 1, 0, 1) != 0) {
		const char *message = lua_tostring(L, -1);
		s.result.run++;
		s.result.failed++;
		buf_addf(out, "not ok %s\n  %s\n", file, message ? message : "an error that is no text");
	} else if (s.result.run == 0) {
		s.result.failed++;
		buf_addf(out, "not ok %s\n  it has no test\n", file);
	}
	lua_close(L);
	*result_r = s.result;
	return 0;
}
