#include "policy/box.h"

#include <luajit.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/random.h"
#include "policy/embedded.h"

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static void *allocate(void *arg, void *p, size_t old, size_t new)
{
	struct box *b = arg;

	if (new == 0) {
		b->used_bytes -= old;
		free(p);
		return NULL;
	}
	if (new > old && b->enforce && b->used_bytes + (new - old) > b->max_bytes) {
		b->refused = true;
		return NULL;
	}
	b->used_bytes += new - old;
	return mem_realloc(p, new);
}

bool box_charge(struct box *b, size_t bytes)
{
	if (b->enforce && b->used_bytes + bytes > b->max_bytes) {
		b->refused = true;
		return false;
	}
	b->used_bytes += bytes;
	return true;
}

void box_refund(struct box *b, size_t bytes)
{
	b->used_bytes -= bytes;
}

struct box *box_of(lua_State *L)
{
	void *b;

	(void)lua_getallocf(L, &b);
	return b;
}

static int panic(lua_State *L)
{
	const char *message = lua_tostring(L, -1);

	(void)fprintf(stderr, "Lua: %s\n", message ? message : "an error without a message");
	const bool every_call_was_protected = false;

	require(every_call_was_protected);
	return 0;
}

/* ---- budget ----------------------------------------------------------------------------------------------------- */

static int64_t clock_us(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Processor time, for another process may have had the processor; but the clock of the wall is the cheaper one, and as long as
 * that does not say that it is too much the other cannot. */
static bool compute_is_over(struct budget *g)
{
	if (!g->cpu_us_)
		g->cpu_us_ = clock_us(CLOCK_THREAD_CPUTIME_ID);
	if (g->compute_us + clock_us(CLOCK_MONOTONIC) - g->began_us_ <= g->compute_us_max)
		return false;
	return g->compute_us + clock_us(CLOCK_THREAD_CPUTIME_ID) - g->cpu_us_ > g->compute_us_max;
}

static void check_budget(struct budget *g)
{
	if (g->blown)
		return;
	if (g->instructions > g->instructions_max)
		g->blown = BUDGET_INSTRUCTIONS;
	else if (compute_is_over(g))
		g->blown = BUDGET_COMPUTE;
}

static void on_step(lua_State *L, lua_Debug *ar);

/* Remembers where, and makes the hook come at every instruction from now on. */
static void blow(struct box *b, lua_State *L)
{
	if (b->step != 1) {
		box_where(L, b->at, BOX_TEXT_MAX);
		box_traceback(L, NULL, b->traceback, BOX_TEXT_MAX);
		b->step = 1;
	}
	(void)lua_sethook(L, on_step, LUA_MASKCOUNT, b->step);
}

static void on_step(lua_State *L, lua_Debug *ar)
{
	struct box *b = box_of(L);

	(void)ar;
	if (!b->budget)
		return;
	b->budget->instructions += (uint64_t)b->step;
	check_budget(b->budget);
	if (b->budget->blown) {
		blow(b, L);
		(void)lua_yield(L, 0); /* raises an error where it cannot */
	}
}

uint64_t box_budget_left(const struct box *b)
{
	const struct budget *g = b->budget;

	if (!g)
		return UINT64_MAX;
	return g->instructions < g->instructions_max && !g->blown ? g->instructions_max - g->instructions : 0;
}

bool box_budget_spend(struct box *b, lua_State *L, uint64_t n)
{
	if (!b->budget)
		return true;
	b->budget->instructions += n;
	if (n > BUDGET_STEP)
		check_budget(b->budget);
	else if (b->budget->instructions > b->budget->instructions_max)
		b->budget->blown = BUDGET_INSTRUCTIONS;
	if (!b->budget->blown)
		return true;
	blow(b, L);
	return false;
}

int box_stop(lua_State *L)
{
	return lua_yield(L, 0);
}

int box_resume(struct box *b, lua_State *co, int nargs, struct budget *budget)
{
	struct budget *outer = b->budget;
	const bool enforced = b->enforce;

	if (!outer) {
		if (b->step != BUDGET_STEP) {
			b->step = BUDGET_STEP;
			(void)lua_sethook(b->L, on_step, LUA_MASKCOUNT, b->step);
		}
		budget->began_us_ = clock_us(CLOCK_MONOTONIC);
		budget->cpu_us_ = 0;
	}
	b->budget = budget;
	b->enforce = true;
	const int status = lua_resume(co, nargs);
	b->enforce = enforced;
	b->budget = outer;
	if (!outer)
		budget->compute_us += clock_us(CLOCK_MONOTONIC) - budget->began_us_;
	return status;
}

int box_call(struct box *b, int nargs, int nresults, struct errtext *why)
{
	struct budget *outer = b->budget;

	b->budget = NULL;
	b->enforce = true;
	const int status = lua_pcall(b->L, nargs, nresults, 0);
	b->enforce = false;
	b->budget = outer;
	if (status == 0)
		return 0;
	const char *message = lua_tostring(b->L, -1);
	const int r = errtext_set(why, ERR_BUG, "%s", message ? message : "an error that is no text");
	lua_pop(b->L, 1);
	return r;
}

/* ---- texts -------------------------------------------------------------------------------------------------------- */

const char *box_source_file(const char *source)
{
	return *source == '@' ? source + 1 : source;
}

static bool is_ours(const char *source)
{
	return strncmp(source, "@lib/", 5) == 0;
}

void box_where(lua_State *co, char *out, size_t size)
{
	lua_Debug ar;
	bool found = false;

	(void)snprintf(out, size, "?");
	for (int level = 0; level < 100 && lua_getstack(co, level, &ar); level++) {
		if (!lua_getinfo(co, "Sl", &ar) || ar.currentline < 0 || *ar.source != '@')
			continue;
		if (found && is_ours(ar.source))
			continue;
		(void)snprintf(out, size, "%s:%d", box_source_file(ar.source), ar.currentline);
		found = true;
		if (!is_ours(ar.source))
			return;
	}
}

void box_traceback(lua_State *co, const char *message, char *out, size_t size)
{
	struct box *b = box_of(co);
	const bool enforced = b->enforce;

	b->enforce = false;
	luaL_traceback(b->L, co, message, 0);
	const char *text = lua_tostring(b->L, -1);
	(void)snprintf(out, size, "%s", text ? text : "");
	lua_pop(b->L, 1);
	b->enforce = enforced;
}

/* ---- modules ------------------------------------------------------------------------------------------------------ */

static const char modules_key; /* its address is the key in the registry */

int box_compile(lua_State *L, struct span text, const char *chunkname)
{
	return luaL_loadbufferx(L, text.p ? text.p : "", text.n, chunkname, "t");
}

static void push_modules(lua_State *L)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)&modules_key);
	lua_rawget(L, LUA_REGISTRYINDEX);
}

/* "a.b" with the pattern "lib/%/init.lua": false if it does not fit, or is no name of a module. */
static bool file_name(const char *module, const char *before, const char *after, char *out, size_t size)
{
	const int n = snprintf(out, size, "%s", before);
	size_t at = (size_t)n;

	for (const char *c = module; *c; c++) {
		if (!ascii_is_alnum(*c) && *c != '_' && *c != '.' && *c != '-')
			return false;
		if (at + 1 >= size)
			return false;
		out[at++] = *c == '.' ? '/' : *c;
	}
	return (size_t)snprintf(out + at, size - at, "%s", after) < size - at;
}

/* Leaves the compiled module on the stack. Raises; the text is freed before that. */
static void compile_module(lua_State *L, const char *name)
{
	static const struct {
		const char *prefix, *before, *after;
	} places[] = {
		{ "", "lib/", ".lua" },
		{ "", "lib/", "/init.lua" },
		{ "schema.", "", ".lua" },
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		char file[256], chunkname[260];
		struct span text;
		char *to_free = NULL;
		if (strncmp(name, places[i].prefix, strlen(places[i].prefix)) != 0 ||
		    !file_name(name, places[i].before, places[i].after, file, sizeof file) ||
		    embedded_load(file, &text, &to_free) < 0)
			continue;
		(void)snprintf(chunkname, sizeof chunkname, "@%s", file);
		const int failed = box_compile(L, text, chunkname);
		free(to_free);
		if (failed)
			lua_error(L);
		return;
	}
	luaL_error(L, "there is no module '%s'", name);
}

void box_push_module(lua_State *L, const char *name)
{
	luaL_checkstack(L, 8, "require");
	push_modules(L);
	lua_getfield(L, -1, name);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		compile_module(L, name);
		lua_pushstring(L, name);
		lua_call(L, 1, 1);
		if (lua_isnil(L, -1)) {
			lua_pop(L, 1);
			lua_pushboolean(L, 1);
		}
		lua_pushvalue(L, -1);
		lua_setfield(L, -3, name);
	}
	lua_remove(L, -2);
}

void box_set_module(lua_State *L, const char *name)
{
	push_modules(L);
	lua_insert(L, -2);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
}

static int pl_require(lua_State *L)
{
	box_push_module(L, luaL_checkstring(L, 1));
	return 1;
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */

static void open_library(lua_State *L, const char *name, lua_CFunction open)
{
	lua_pushcfunction(L, open);
	lua_pushstring(L, name);
	lua_call(L, 1, 0);
}

static int pl_open(lua_State *L)
{
	/* Our own modules have no use for these, and what is not there cannot get into the wrong hands. */
	static const char *const removed[] = { "collectgarbage", "coroutine", "dofile",   "gcinfo",
					       "getfenv",        "load",      "loadfile", "loadstring",
					       "module",         "newproxy",  "print",    "setfenv" };

	open_library(L, "", luaopen_base);
	open_library(L, LUA_TABLIBNAME, luaopen_table);
	open_library(L, LUA_STRLIBNAME, luaopen_string);
	open_library(L, LUA_MATHLIBNAME, luaopen_math);
	open_library(L, LUA_BITLIBNAME, luaopen_bit);
	for (size_t i = 0; i < ARRAY_LEN(removed); i++) {
		lua_pushnil(L);
		lua_setglobal(L, removed[i]);
	}
	lua_getglobal(L, LUA_STRLIBNAME);
	lua_pushnil(L);
	lua_setfield(L, -2, "dump");
	lua_getglobal(L, LUA_MATHLIBNAME);
	lua_getfield(L, -1, "randomseed");
	lua_pushnumber(L, (double)(random_u64() >> 11));
	lua_call(L, 1, 0);
	lua_pushnil(L);
	lua_setfield(L, -2, "randomseed");

	lua_pushlightuserdata(L, (void *)(uintptr_t)&modules_key);
	lua_newtable(L);
	lua_rawset(L, LUA_REGISTRYINDEX);
	lua_pushcfunction(L, pl_require);
	lua_setglobal(L, "require");
	return 0;
}

int box_open(struct box *b, size_t memory_max_bytes, void *owner)
{
	*b = (struct box){ .max_bytes = memory_max_bytes, .owner = owner, .step = BUDGET_STEP };
	b->at = mem_alloc(BOX_TEXT_MAX);
	b->traceback = mem_alloc(BOX_TEXT_MAX);
	b->L = lua_newstate(allocate, b);
	if (!verify(b->L != NULL))
		return -ERR_BUG;
	(void)lua_atpanic(b->L, panic);
	if (!verify(lua_cpcall(b->L, pl_open, NULL) == 0))
		return -ERR_BUG;
	(void)luaJIT_setmode(b->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
	/* The collector starts when the heap has grown by a third: with the usual "twice" half of the limit could be garbage. */
	(void)lua_gc(b->L, LUA_GCSETPAUSE, 133);
	(void)lua_gc(b->L, LUA_GCSETSTEPMUL, 400);
	(void)lua_sethook(b->L, on_step, LUA_MASKCOUNT, b->step);
	return 0;
}

void box_close(struct box *b)
{
	if (b->L)
		lua_close(b->L);
	b->L = NULL;
	free(b->at);
	free(b->traceback);
	b->at = b->traceback = NULL;
}
