#include "policy/cli_host.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/full_state.h"

struct invocation {
	int argc;
	char *const *argv;
	const struct cli_function *functions;
	size_t n;
};

/* host.<name>(input) -> output; or nil, message, name of the error */
static int pl_function(lua_State *L)
{
	const struct cli_function *f = lua_touserdata(L, lua_upvalueindex(1));
	struct buf out = BUF_INIT(CLI_OUTPUT_MAX);
	struct errtext why = { "" };
	size_t n;
	const char *in = luaL_optlstring(L, 1, "", &n);
	const int r = f->call(f->arg, span_make(in, n), &out, &why);

	if (r >= 0) {
		lua_pushlstring(L, out.p ? out.p : "", out.n);
		buf_free(&out);
		return 1;
	}
	buf_free(&out);
	lua_pushnil(L);
	lua_pushstring(L, why.s[0] ? why.s : err_text(r));
	lua_pushstring(L, err_name(r));
	return 3;
}

static void set_host(lua_State *L, const struct invocation *inv)
{
	full_state_push_json(L); /* the table with json_encode and json_decode */
	for (size_t i = 0; i < inv->n; i++) {
		lua_pushlightuserdata(L, (void *)(uintptr_t)&inv->functions[i]);
		lua_pushcclosure(L, pl_function, 1);
		lua_setfield(L, -2, inv->functions[i].name);
	}
	lua_setglobal(L, "host");
}

static int pl_run(lua_State *L)
{
	const struct invocation *inv = lua_touserdata(L, 1);

	lua_createtable(L, inv->argc, 1);
	for (int i = 0; i < inv->argc; i++) {
		lua_pushstring(L, inv->argv[i]);
		lua_rawseti(L, -2, i);
	}
	lua_setglobal(L, "arg");
	set_host(L, inv);
	lua_getglobal(L, "require");
	lua_pushliteral(L, "cli.main");
	lua_call(L, 1, 1);
	return 1;
}

int cli_host_run(int argc, char *const *argv, const struct cli_function *functions, size_t n)
{
	struct invocation inv = { argc, argv, functions, n };
	lua_State *L = full_state_new();
	int status = 1;

	if (!L)
		return 1;
	lua_pushcfunction(L, full_state_traceback);
	lua_pushcfunction(L, pl_run);
	lua_pushlightuserdata(L, &inv);
	if (lua_pcall(L, 1, 1, 1) != 0) {
		const char *message = lua_tostring(L, -1);
		(void)fprintf(stderr, "postern: %s\n", message ? message : "an error that is no text");
	} else {
		/* require turns "returned nothing" into true */
		status = lua_type(L, -1) == LUA_TNUMBER ? (int)lua_tointeger(L, -1) : 0;
	}
	lua_close(L);
	return status;
}
