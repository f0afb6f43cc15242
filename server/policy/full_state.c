#include "policy/full_state.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json_parse.h"
#include "policy/embedded.h"
#include "policy/lib.h"

static struct span find_module(const char *name, char *file, size_t size, char **free_r)
{
	char path[200];
	size_t n = 0;

	for (; name[n] && n + 1 < sizeof path; n++)
		path[n] = name[n] == '.' ? '/' : name[n];
	path[n] = 0;
	for (size_t i = 0; i < 3; i++) {
		struct span text;
		(void)snprintf(file, size,
			       i == 0   ? "lib/%s.lua"
			       : i == 1 ? "lib/%s/init.lua"
					: "%s.lua",
			       path);
		if (embedded_load(file, &text, free_r) == 0)
			return text;
	}
	return span_make(NULL, 0);
}

/* A searcher of package.loaders, in front of those that look into the file system. */
static int pl_search(lua_State *L)
{
	char file[256], chunkname[260];
	char *to_free = NULL;
	const struct span text = find_module(luaL_checkstring(L, 1), file, sizeof file, &to_free);

	if (!text.p) {
		lua_pushfstring(L, "\n\tno module '%s' in the program", lua_tostring(L, 1));
		return 1;
	}
	(void)snprintf(chunkname, sizeof chunkname, "@%s", file);
	const int failed = luaL_loadbufferx(L, text.p, text.n, chunkname, "t");
	free(to_free);
	return failed ? lua_error(L) : 1;
}

static int pl_encode(lua_State *L)
{
	struct buf out = BUF_INIT(16 * 1024 * 1024);

	luaL_checkany(L, 1);
	const char *why = json_of_lua(L, 1, &out);
	if (!why)
		lua_pushlstring(L, out.p, out.n);
	buf_free(&out);
	return why ? luaL_error(L, "json_encode: %s", why) : 1;
}

static int pl_decode(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);
	const char *why = lua_of_json(L, span_make(text, n), UINT32_MAX);

	if (!why)
		return 1;
	lua_pushnil(L);
	lua_pushstring(L, why);
	return 2;
}

void full_state_push_json(lua_State *L)
{
	static const luaL_Reg functions[] = { { "json_encode", pl_encode },
					      { "json_decode", pl_decode },
					      { NULL, NULL } };

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
}

int full_state_traceback(lua_State *L)
{
	const char *message = lua_tostring(L, 1);

	if (message)
		luaL_traceback(L, L, message, 1);
	return 1;
}

static int pl_open(lua_State *L)
{
	luaL_openlibs(L);
	lua_getglobal(L, "package");
	lua_getfield(L, -1, "loaders");
	for (int i = (int)lua_objlen(L, -1); i >= 2; i--) { /* behind package.preload */
		lua_rawgeti(L, -1, i);
		lua_rawseti(L, -2, i + 1);
	}
	lua_pushcfunction(L, pl_search);
	lua_rawseti(L, -2, 2);
	return 0;
}

lua_State *full_state_new(void)
{
	lua_State *L = luaL_newstate();

	if (L && lua_cpcall(L, pl_open, NULL) != 0) {
		lua_close(L);
		L = NULL;
	}
	return L;
}
