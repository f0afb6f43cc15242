/* Values of a configuration: from Lua and back, and what a reader gets for what is not there. */
#include <lauxlib.h>

#include "policy/config_lua.h"
#include "policy/full_state.h"
#include "test.h"

static int read_chunk(const char *chunk, struct arena *mem, struct config_problems *problems,
		      struct config_value *v)
{
	lua_State *L = full_state_new();

	NEED(L && luaL_dostring(L, chunk) == 0);
	const int r = config_from_lua(L, -1, mem, SPAN("c.lua"), problems, v);
	CHECK_INT(1, lua_gettop(L));
	if (r == 0) { /* there and back again: Lua compares them */
		config_push(L, v);
		lua_pop(L, 1);
	}
	lua_close(L);
	return r;
}

static void a_tree_is_read(void)
{
	struct arena *mem = arena_new(1 << 20);
	struct config_problems problems;
	struct config_value v = { .type = CONFIG_NONE };

	config_problems_init(&problems, mem);
	NEED(read_chunk(
		     "local shared = { name = 's', _line = 7 } return { a = 1, b = { x = { y = 'deep' } }, on = true, l = { 'p', shared, shared }, "
		     "other = { _file = 'd.lua', _line = 3, z = 2.5 }, empty = {} }",
		     mem, &problems, &v) == 0);
	CHECK_INT(0, problems.n);
	CHECK_INT(1, config_int(config_get(&v, "a"), 0));
	CHECK_SPAN("deep", config_text(config_find(&v, "b.x.y"), SPAN("")));
	CHECK(config_bool(config_get(&v, "on"), false));
	CHECK_INT(3, config_count(config_get(&v, "l")));
	CHECK_SPAN("p", config_text(config_at(config_get(&v, "l"), 0), SPAN("")));
	const struct config_value *s1 = config_at(config_get(&v, "l"), 1),
				  *s2 = config_at(config_get(&v, "l"), 2);
	CHECK_INT(7, s1->line);
	CHECK_SPAN("c.lua", s1->file);
	CHECK(s1->id == s2->id && s1->id != 0);
	CHECK_INT(1, s1->map.n); /* its place is no key */
	CHECK_SPAN("d.lua", config_get(config_get(&v, "other"), "z")->file);
	CHECK_INT(3, config_get(config_get(&v, "other"), "z")->line);
	CHECK(config_number(config_find(&v, "other.z"), 0) == 2.5);
	CHECK_INT(-1, config_int(config_find(&v, "other.z"), -1)); /* no integer */
	/* what is not there */
	CHECK(config_get(&v, "none") == NULL);
	CHECK(config_find(&v, "b.none.y") == NULL);
	CHECK(config_get(NULL, "a") == NULL);
	CHECK_SPAN("x", config_text(config_get(&v, "a"), SPAN("x")));
	CHECK_INT(0, config_count(config_get(&v, "empty")));
	CHECK(config_at(config_get(&v, "l"), 3) == NULL);
	CHECK(!config_bool(NULL, false));
	arena_free(&mem);
}

static void check_refused(const char *chunk, const char *text)
{
	struct arena *mem = arena_new(1 << 20);
	struct config_problems problems;
	struct config_value v = { .type = CONFIG_NONE };

	config_problems_init(&problems, mem);
	CHECK(read_chunk(chunk, mem, &problems, &v) < 0);
	CHECK_INT(1, problems.n);
	CHECK(problems.n && span_find(problems.v[0].text, span_of(text)) >= 0);
	arena_free(&mem);
}

static void what_is_no_value_is_refused(void)
{
	check_refused("return { f = print }", "a function is no value");
	check_refused("return { 1, 2, x = 3 }", "not both");
	check_refused("return { 1, nil, 3 }", "without gaps");
	check_refused("return { [true] = 1 }", "names as keys");
	check_refused("local t = {} t.t = t return t", "too deeply");
	check_refused("local t = {} for i = 1, 2000000 do t[i] = i end return t", "too");
}

static void problems_are_bounded(void)
{
	struct arena *mem = arena_new(1 << 20);
	struct config_problems p;

	config_problems_init(&p, mem);
	for (int i = 0; i < 300; i++)
		config_problem_add(&p, i % 2 == 0, SPAN("f"), 1, "number %d", i);
	CHECK_INT(CONFIG_PROBLEMS_MAX, p.n);
	CHECK_INT(100, p.dropped);
	CHECK_INT(150, p.errors);
	CHECK_SPAN("number 3", p.v[3].text);
	arena_free(&mem);
}

TEST_MAIN(TEST(a_tree_is_read), TEST(what_is_no_value_is_refused), TEST(problems_are_bounded))
