/* Patterns: never more steps than given, never outside of the subject; and for short ones, the same answer as
 * LuaJIT's own matcher. Input: one octet n, n octets of pattern, the rest is the subject. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "policy/pattern.h"

enum { STEPS = 20000, NATIVE_PATTERN_MAX = 10, NATIVE_SUBJECT_MAX = 20 };

static lua_State *native(void)
{
	static lua_State *L;

	if (!L) {
		L = luaL_newstate();
		luaL_openlibs(L);
		require(luaL_dostring(L, "find = string.find") == 0);
	}
	return L;
}

/* Returns 1, 0, or -1 for an error. */
static int native_find(struct span s, struct span p, size_t *at_r, size_t *n_r)
{
	lua_State *L = native();
	int r = -1;

	lua_getglobal(L, "find");
	lua_pushlstring(L, s.p, s.n);
	lua_pushlstring(L, p.p, p.n);
	if (lua_pcall(L, 2, 2, 0) == 0) {
		r = lua_isnumber(L, -2);
		if (r) {
			*at_r = (size_t)lua_tointeger(L, -2) - 1;
			*n_r = (size_t)lua_tointeger(L, -1) - *at_r;
		}
	}
	lua_settop(L, 0);
	return r;
}

static void check_inside(struct span s, const struct pattern_match *m)
{
	require(m->at <= s.n && m->n <= s.n - m->at);
	require(m->captures <= PATTERN_CAPTURES_MAX);
	for (unsigned i = 0; i < m->captures; i++)
		require(m->capture[i].at <= s.n && m->capture[i].n <= s.n - m->capture[i].at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || data[0] > size - 1)
		return 0;
	/* blocks of their own, so that a step over their end is seen */
	char *pattern = malloc(data[0] + 1u), *subject = malloc(size);
	const struct span p = { pattern, data[0] }, s = { subject, size - 1 - data[0] };
	memcpy(pattern, data + 1, p.n);
	memcpy(subject, data + 1 + p.n, s.n);

	struct pattern_match m;
	const char *why = NULL;
	uint64_t steps = STEPS;
	const int r = pattern_find(s, p, 0, 0, &steps, &m, &why);
	require(steps <= STEPS);
	require(r == 1 || r == 0 || why);
	if (r == 1)
		check_inside(s, &m);
	/* LuaJIT takes a NUL for the end of a pattern; what has no special character is plain text for both, before they match. */
	if (!memchr(p.p, 0, p.n) && pattern_is_special(p) && r != -ERR_LIMIT && r != -ERR_TOOBIG &&
	    p.n <= NATIVE_PATTERN_MAX && s.n <= NATIVE_SUBJECT_MAX) {
		size_t at = 0, n = 0;
		const int wanted = native_find(s, p, &at, &n);
		require(wanted < 0 ? r < 0 : r == wanted);
		if (r == 1)
			require(at == m.at && n == m.n);
	}
	free(pattern);
	free(subject);
	return 0;
}
