/* policy/lib_text.c - relay.text: matching without patterns. All of it is linear in its arguments, or pays from the budget. */
#include <lauxlib.h>

#include "base/utf8.h"
#include "policy/box.h"
#include "policy/lib.h"

enum { SPLIT_MAX = 10000 };

static struct span check_span(lua_State *L, int i)
{
	(void)luaL_checkstring(L, i);
	return box_span(L, i);
}

/* find_any(s, characters) -> character, position */
static int pl_find_any(lua_State *L)
{
	const struct span s = check_span(L, 1), set = check_span(L, 2);
	bool in[256] = { false };

	for (size_t i = 0; i < set.n; i++)
		in[(unsigned char)set.p[i]] = true;
	for (size_t i = 0; i < s.n; i++) {
		if (!in[(unsigned char)s.p[i]])
			continue;
		lua_pushlstring(L, s.p + i, 1);
		lua_pushnumber(L, (double)i + 1);
		return 2;
	}
	return 0;
}

/* find(s, needle) -> position */
static int pl_find(lua_State *L)
{
	const struct span s = check_span(L, 1), needle = check_span(L, 2);
	const char *at = needle.n ? memmem(s.p, s.n, needle.p, needle.n) : s.p;

	if (!at)
		return 0;
	lua_pushnumber(L, (double)(at - s.p) + 1);
	return 1;
}

/* "*" is any run, "?" any one octet. A failed "*" is tried one further on, and only the last one is: at most |s| *
 * |glob| steps. */
static bool glob(struct span s, struct span g, bool fold, uint64_t *steps)
{
	size_t at = 0, p = 0, star = SIZE_MAX, star_at = 0;

	while (at < s.n) {
		++*steps;
		const char c = fold ? ascii_lower(s.p[at]) : s.p[at];
		if (p < g.n && g.p[p] == '*') {
			star = p++;
			star_at = at;
		} else if (p < g.n && (g.p[p] == '?' || (fold ? ascii_lower(g.p[p]) : g.p[p]) == c)) {
			p++;
			at++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			at = ++star_at;
		} else {
			return false;
		}
	}
	while (p < g.n && g.p[p] == '*')
		p++;
	return p == g.n;
}

static int glob_of(lua_State *L, bool fold)
{
	const struct span s = check_span(L, 1), g = check_span(L, 2);
	struct box *b = box_of(L);
	uint64_t steps = 0;

	/* What it could cost must be there before: it cannot be stopped on the way. */
	if ((uint64_t)s.n * g.n / 8 > box_budget_left(b))
		return box_budget_spend(b, L, (uint64_t)s.n * g.n / 8) ? 0 : box_stop(L);
	lua_pushboolean(L, glob(s, g, fold, &steps));
	return box_budget_spend(b, L, steps / 8) ? 1 : box_stop(L);
}

static int pl_glob(lua_State *L)
{
	return glob_of(L, false);
}

static int pl_iglob(lua_State *L)
{
	return glob_of(L, true);
}

static int pl_prefix(lua_State *L)
{
	lua_pushboolean(L, span_starts(check_span(L, 1), check_span(L, 2)));
	return 1;
}

static int pl_suffix(lua_State *L)
{
	lua_pushboolean(L, span_ends(check_span(L, 1), check_span(L, 2)));
	return 1;
}

static int pl_iequals(lua_State *L)
{
	lua_pushboolean(L, span_ieq(check_span(L, 1), check_span(L, 2)));
	return 1;
}

static int pl_lower(lua_State *L)
{
	const struct span s = check_span(L, 1);
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (size_t i = 0; i < s.n; i++)
		luaL_addchar(&b, ascii_lower(s.p[i]));
	luaL_pushresult(&b);
	return 1;
}

static int pl_trim(lua_State *L)
{
	struct span s = check_span(L, 1);

	while (s.n && memchr(" \t\r\n", s.p[0], 4))
		s = span_skip(s, 1);
	while (s.n && memchr(" \t\r\n", s.p[s.n - 1], 4))
		s.n--;
	box_push_span(L, s);
	return 1;
}

/* split(s, separator) -> list; the separator is plain and not empty */
static int pl_split(lua_State *L)
{
	const struct span s = check_span(L, 1), sep = check_span(L, 2);
	const char *p = s.p, *end = s.p + s.n;
	int n = 0;

	luaL_argcheck(L, sep.n > 0, 2, "an empty separator");
	lua_newtable(L);
	for (;;) {
		const char *at = memmem(p, (size_t)(end - p), sep.p, sep.n);
		if (++n > SPLIT_MAX)
			return luaL_error(L, "relay.text.split: more than %d parts", SPLIT_MAX);
		lua_pushlstring(L, p, (size_t)((at ? at : end) - p));
		lua_rawseti(L, -2, n);
		if (!at)
			return 1;
		p = at + sep.n;
	}
}

static int pl_is_ascii(lua_State *L)
{
	lua_pushboolean(L, ascii_only(check_span(L, 1)));
	return 1;
}

static int pl_is_utf8(lua_State *L)
{
	lua_pushboolean(L, utf8_valid(check_span(L, 1)));
	return 1;
}

void lib_text_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "find_any", pl_find_any },
		{ "find", pl_find },
		{ "glob", pl_glob },
		{ "iglob", pl_iglob },
		{ "prefix", pl_prefix },
		{ "suffix", pl_suffix },
		{ "iequals", pl_iequals },
		{ "lower", pl_lower },
		{ "trim", pl_trim },
		{ "split", pl_split },
		{ "is_ascii", pl_is_ascii },
		{ "is_utf8", pl_is_utf8 },
		{ NULL, NULL },
	};

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "text");
}
