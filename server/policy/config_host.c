/* policy/config_host.c - evaluates the configuration file; README.md has the contract with lua/lib/postern/config.lua. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "policy/box.h"
#include "policy/bundle_priv.h"
#include "policy/config_lua.h"
#include "policy/lib.h"

enum {
	CONFIG_LUA_MAX = 512 * 1024 * 1024,
	CONFIG_INSTRUCTIONS_MAX = 200000000,
	CONFIG_COMPUTE_US_MAX = 10000000
};

struct config_host {
	struct box box;
	struct policy_bundle *bundle;
	struct budget budget;
	struct span text;
};

static struct config_host *host_of(lua_State *L)
{
	return box_of(L)->owner;
}

/* ---- what the loader can call ------------------------------------------------------------------------------------- */

/* compile(text, filename, environment) -> function; or nil, message */
static int pl_compile(lua_State *L)
{
	char chunkname[1100];

	(void)luaL_checkstring(L, 1);
	(void)snprintf(chunkname, sizeof chunkname, "@%s", luaL_checkstring(L, 2));
	luaL_checktype(L, 3, LUA_TTABLE);
	if (box_compile(L, box_span(L, 1), chunkname)) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	lua_pushvalue(L, 3);
	(void)lua_setfenv(L, -2);
	return 1;
}

/* call(function, ...) -> true, results...; or false, message. In a coroutine, so that the budget can end it. */
static int pl_call(lua_State *L)
{
	struct config_host *h = host_of(L);

	luaL_checktype(L, 1, LUA_TFUNCTION);
	const int nargs = lua_gettop(L) - 1;
	lua_State *co = lua_newthread(L);
	lua_insert(L, 1);
	lua_xmove(L, co, nargs + 1);
	const int status = box_resume(&h->box, co, nargs, &h->budget);
	lua_pushboolean(L, status == 0 && !h->budget.blown);
	if (h->budget.blown) {
		lua_pushfstring(L, "%s: the configuration takes too long to evaluate", h->box.at);
		return 2;
	}
	if (status == LUA_YIELD) {
		lua_pushliteral(L, "something in it waits");
		return 2;
	}
	if (status != 0) {
		const char *text = lua_tostring(co, -1);
		lua_pushstring(L, text ? text : "an error that is no text");
		return 2;
	}
	const int n = lua_gettop(co);
	luaL_checkstack(L, n, "too many results");
	lua_xmove(co, L, n);
	return n + 1;
}

/* where([level]) -> file, line of the operator's code */
static int pl_where(lua_State *L)
{
	lua_Debug ar;

	for (int level = (int)luaL_optinteger(L, 1, 1); lua_getstack(L, level, &ar); level++) {
		if (!lua_getinfo(L, "Sl", &ar) || ar.currentline < 0 || *ar.source != '@' ||
		    strncmp(ar.source, "@lib/", 5) == 0)
			continue;
		lua_pushstring(L, box_source_file(ar.source));
		lua_pushinteger(L, ar.currentline);
		return 2;
	}
	return 0;
}

/* read(path) -> text; or nil, message */
static int pl_read(lua_State *L)
{
	struct errtext why;
	struct span text;

	(void)luaL_checkstring(L, 1);
	if (bundle_read(host_of(L)->bundle, box_span(L, 1), &text, &why) < 0) {
		lua_pushnil(L);
		lua_pushstring(L, why.s);
		return 2;
	}
	box_push_span(L, text);
	return 1;
}

static int pl_exists(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);

	if (*path != '/')
		path = lua_pushfstring(L, "%s/%s", host_of(L)->bundle->dir.p, path);
	lua_pushboolean(L, access(path, F_OK) == 0);
	return 1;
}

static int pl_env(lua_State *L)
{
	const char *value = getenv(luaL_checkstring(L, 1));

	if (!value)
		return 0;
	lua_pushstring(L, value);
	return 1;
}

static int pl_sandbox(lua_State *L)
{
	box_push_module(L, "relay.sandbox");
	lua_getfield(L, -1, "globals");
	lua_call(L, 0, 1);
	return 1;
}

/* ---- evaluation --------------------------------------------------------------------------------------------------- */

static void push_host(lua_State *L, const struct config_host *h)
{
	static const luaL_Reg functions[] = {
		{ "compile", pl_compile }, { "call", pl_call },     { "where", pl_where },
		{ "read", pl_read },       { "exists", pl_exists }, { "env", pl_env },
		{ "sandbox", pl_sandbox }, { NULL, NULL },
	};

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	box_push_span(L, h->bundle->dir);
	lua_setfield(L, -2, "dir");
	lib_check_open(L); /* host.check */
}

/* -> config, problems */
static int pl_load(lua_State *L)
{
	const struct config_host *h = host_of(L);

	lua_newtable(L);
	lib_pattern_open(L);
	lib_text_open(L);
	lib_check_open(L);
	box_set_module(L, "relay.core");
	box_push_module(L, "postern.config");
	lua_getfield(L, -1, "load");
	box_push_span(L, h->text);
	lua_pushstring(L, h->bundle->config_file);
	push_host(L, h);
	lua_call(L, 3, 2);
	return 2;
}

/* -> config, nothing: the text itself returns it */
static int pl_load_plain(lua_State *L)
{
	const struct config_host *h = host_of(L);

	lua_pushfstring(L, "@%s", h->bundle->config_file);
	if (box_compile(L, h->text, lua_tostring(L, -1)))
		return lua_error(L);
	lua_call(L, 0, 1);
	lua_pushnil(L);
	return 2;
}

static struct span string_of(lua_State *L, const char *key)
{
	lua_getfield(L, -1, key);
	const struct span s = lua_type(L, -1) == LUA_TSTRING ? box_span(L, -1) : SPAN("");
	lua_pop(L, 1); /* the table keeps it */
	return s;
}

/* The list on top. */
static void read_problems(lua_State *L, struct config_problems *problems)
{
	const int n = lua_istable(L, -1) ? (int)lua_objlen(L, -1) : 0;

	for (int i = 1; i <= n; i++) {
		lua_rawgeti(L, -1, i);
		if (lua_istable(L, -1)) {
			const struct span text = string_of(L, "text");
			lua_getfield(L, -1, "line");
			const unsigned line = (unsigned)lua_tointeger(L, -1);
			lua_pop(L, 1);
			lua_getfield(L, -1, "warning");
			const bool warning = lua_toboolean(L, -1);
			lua_pop(L, 1);
			config_problem_add(problems, warning, string_of(L, "file"), line, "%.*s",
					   SPAN_ARG(text));
		}
		lua_pop(L, 1);
	}
}

static int evaluate(struct config_host *h, bool plain, struct config_problems *problems)
{
	struct policy_bundle *b = h->bundle;
	const size_t errors = problems->errors;
	struct errtext why;

	lua_pushcfunction(h->box.L, plain ? pl_load_plain : pl_load);
	if (box_call(&h->box, 0, 2, &why) < 0) {
		config_problem_add(problems, false, span_of(b->config_file), 0, "%s", why.s);
		return -ERR_BUG;
	}
	read_problems(h->box.L, problems);
	if (!lua_istable(h->box.L, -2)) {
		if (problems->errors == errors)
			config_problem_add(problems, false, span_of(b->config_file), 0, "it says nothing");
		return -ERR_INVAL;
	}
	/* Also with problems: those of the policies that could be read are to be found in the same run. */
	return config_from_lua(h->box.L, -2, b->mem, span_of(b->config_file), problems, &b->config);
}

int config_host_eval(struct policy_bundle *b, struct span text, bool plain, struct config_problems *problems)
{
	struct config_host h = { .bundle = b,
				 .text = text,
				 .budget = { .instructions_max = CONFIG_INSTRUCTIONS_MAX,
					     .compute_us_max = CONFIG_COMPUTE_US_MAX } };
	int r = box_open(&h.box, CONFIG_LUA_MAX, &h);

	if (r == 0)
		r = evaluate(&h, plain, problems);
	box_close(&h.box);
	return r;
}
