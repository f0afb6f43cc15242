/* policy/box.h - a Lua state of ours: its memory has a limit, what runs in it a budget, and it finds our modules and no others.
 *
 * Memory: the allocator counts. While Lua runs (box_resume) it refuses what would go over the limit and Lua raises "not enough
 * memory"; what C pushes between runs is never refused, since nothing could catch it there.
 *
 * Budget: a hook every BUDGET_STEP instructions compares with the budget of what runs. When it is used up the
 * coroutine is made to yield and must be dropped: an error could be caught by pcall. Where a yield is impossible (a
 * C function is between: a __tostring that string.format calls) the hook raises an error at every instruction until
 * the C function has been left, and yields then. The JIT compiler is off, for compiled code calls no hook.
 *
 * The rule of this directory: a function that takes a lua_State and may raise is called only from Lua, and holds nothing that C
 * would have to free; functions that are called from C on a state that is at rest do not raise.
 *
 * Ownership: embedded in its owner.  Threads: one at a time.  Units: octets, instructions, microseconds of processor time.
 * Tests: tests/unit/policy/test_policy_hostile.c
 */
#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum { BUDGET_STEP = 1000, BOX_TEXT_MAX = 4096 };

enum budget_limit { BUDGET_OK, BUDGET_INSTRUCTIONS, BUDGET_COMPUTE };

struct budget {
	uint64_t instructions_max;
	int64_t compute_us_max;
	uint64_t instructions;   /* spent; steps of pattern matching count as instructions */
	int64_t compute_us;      /* spent in earlier runs */
	enum budget_limit blown; /* != OK: what runs must be dropped */
	int64_t began_us_;       /* of this run, wall */
	int64_t cpu_us_;         /* of this run, at its first step; 0: there was none yet */
};

struct box {
	lua_State *L;
	size_t used_bytes, max_bytes;
	bool enforce;          /* the limit of memory */
	bool refused;          /* an allocation was, since somebody set this to false */
	struct budget *budget; /* of what runs; NULL: none */
	int step;              /* of the hook */
	void *owner;
	char *at; /* "file:line" of what used up its budget; BOX_TEXT_MAX octets together with traceback */
	char *traceback;
};

/* Returns 0 or -ERR_BUG: the libraries of Lua did not load. */
int box_open(struct box *b, size_t memory_max_bytes, void *owner);
void box_close(struct box *b); /* also after a failed box_open */

struct box *box_of(lua_State *L);

/* As lua_resume, within limits. LUA_YIELD with budget->blown: drop the coroutine. May be called from a function that
 * Lua called; then the budget must be the one that runs. */
int box_resume(struct box *b, lua_State *co, int nargs, struct budget *budget);

/* Calls the function and its arguments on the main stack of a state at rest, within the memory limit and without a
 * budget: for our own modules. Returns 0, or -ERR_BUG with the message in @why. */
struct errtext;
int box_call(struct box *b, int nargs, int nresults, struct errtext *why);

/* Memory of C that a value of Lua keeps: false if the limit does not allow it. */
bool box_charge(struct box *b, size_t bytes);
void box_refund(struct box *b, size_t bytes);

/* ---- budget, for C functions that Lua calls ---- */

/* How much may be spent at once. */
uint64_t box_budget_left(const struct box *b);
/* False: it is used up, end with `return box_stop(L)`. */
bool box_budget_spend(struct box *b, lua_State *L, uint64_t n);
int box_stop(lua_State *L);

/* ---- texts, from a coroutine that failed ---- */

/* "file:line" of the innermost frame that is not a module of ours; "?" if there is none. */
void box_where(lua_State *co, char *out, size_t size);
void box_traceback(lua_State *co, const char *message, char *out, size_t size);
/* The file of a frame's source, without Lua's "@". */
const char *box_source_file(const char *source);

/* ---- modules ---- */

/* Pushes what `require` of our own code would return. May raise. */
void box_push_module(lua_State *L, const char *name);
/* The value on top of the stack is the module @name from now on; popped. */
void box_set_module(lua_State *L, const char *name);
/* Compiles Lua text, never bytecode. 0 and a function, or a message, is on the stack. */
int box_compile(lua_State *L, struct span text, const char *chunkname);

/* The string at @i, which must be one. */
static inline struct span box_span(lua_State *L, int i)
{
	size_t n = 0;
	const char *p = lua_tolstring(L, i, &n);

	return span_make(p, n);
}

static inline void box_push_span(lua_State *L, struct span s)
{
	lua_pushlstring(L, s.p ? s.p : "", s.n);
}
