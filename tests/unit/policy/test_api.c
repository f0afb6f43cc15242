/* schema/lua_api.lua is the list of what policies can call. Here it is compared with what there is: nothing more,
 * nothing less. */
#include <lauxlib.h>

#include "policy/full_state.h"
#include "policy/view_ud.h"
#include "policy/vm.h"
#include "policy_rig.h"

/* The schema, on top of the stack of a full state. */
static lua_State *open_schema(void)
{
	lua_State *L = full_state_new();

	NEED(L != NULL);
	NEED(luaL_dostring(L, "return require 'schema.lua_api'") == 0);
	return L;
}

static uint32_t hook_bit(const char *name)
{
	for (int id = 0; id < HOOK_MAX_; id++)
		if (strcmp(hook_name((enum hook_id)id), name) == 0)
			return 1u << id;
	printf("  no hook %s\n", name);
	test_failures++;
	return 0;
}

/* The hooks of the entry on top: not_in, only_in. */
static uint32_t entry_hooks(lua_State *L)
{
	uint32_t hooks = ANYWHERE;

	lua_getfield(L, -1, "only_in");
	if (lua_istable(L, -1))
		hooks = 0;
	for (int i = 1; i <= (int)lua_objlen(L, -1) && lua_istable(L, -1); i++) {
		lua_rawgeti(L, -1, i);
		hooks |= hook_bit(lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	lua_getfield(L, -1, "not_in");
	for (int i = 1; lua_istable(L, -1) && i <= (int)lua_objlen(L, -1); i++) {
		lua_rawgeti(L, -1, i);
		hooks &= ~hook_bit(lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return hooks;
}

/* Field @list of the view on top: is @name in it, with @hooks? Counts the list. */
static void check_entry(lua_State *L, const char *view, const char *list, const char *name, uint32_t hooks)
{
	bool found = false;

	lua_getfield(L, -1, list);
	for (int i = 1; i <= (int)lua_objlen(L, -1) && !found; i++) {
		lua_rawgeti(L, -1, i);
		lua_rawgeti(L, -1, 1);
		found = strcmp(lua_tostring(L, -1), name) == 0;
		lua_pop(L, 1);
		if (found && entry_hooks(L) != hooks) {
			printf("  %s.%s: hooks 0x%x in C, 0x%x in the schema\n", view, name, hooks,
			       entry_hooks(L));
			test_failures++;
		}
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	if (!found) {
		printf("  %s.%s is not in the schema\n", view, name);
		test_failures++;
	}
}

static int count(lua_State *L, const char *list)
{
	lua_getfield(L, -1, list);
	const int n = (int)lua_objlen(L, -1);
	lua_pop(L, 1);
	return n;
}

static void views_are_those_of_the_schema(void)
{
	static const struct view_class *const classes[] = { &view_conn_class, &view_txn_class,
							    &view_rcpt_class, &view_msg_class };
	lua_State *L = open_schema();

	lua_getfield(L, -1, "views");
	CHECK_INT((int)ARRAY_LEN(classes), (int)lua_objlen(L, -1));
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		int fields = 0, methods = 0;
		lua_rawgeti(L, -1, (int)i + 1);
		lua_rawgeti(L, -1, 1);
		CHECK_STR(classes[i]->name, lua_tostring(L, -1));
		lua_pop(L, 1);
		for (const struct view_field *f = classes[i]->fields; f->name; f++, fields++)
			check_entry(L, classes[i]->name, "fields", f->name, f->hooks);
		for (const struct view_method *m = classes[i]->methods; m->name; m++, methods++)
			check_entry(L, classes[i]->name, "methods", m->name, m->hooks);
		CHECK_INT(fields, count(L, "fields"));
		CHECK_INT(methods, count(L, "methods"));
		lua_pop(L, 1);
	}
	lua_close(L);
}

/* The real table behind the read-only one at @i of @L, pushed. */
static void push_behind(lua_State *L, int i)
{
	NEED(lua_getmetatable(L, i));
	lua_getfield(L, -1, "__index");
	lua_remove(L, -2);
}

/* The module entry on top of @S is compared with the table on top of @L, of which all that is callable counts. */
static void check_module(lua_State *S, lua_State *L, const char *module)
{
	int there = 0, said = 0;

	lua_getfield(S, -1, "functions");
	for (int i = 1; i <= (int)lua_objlen(S, -1); i++, said++) {
		lua_rawgeti(S, -1, i);
		lua_rawgeti(S, -1, 1);
		lua_getfield(L, -1, lua_tostring(S, -1));
		if (lua_isnil(L, -1)) {
			printf("  %s.%s is only in the schema\n", module, lua_tostring(S, -1));
			test_failures++;
		}
		lua_pop(L, 1);
		lua_pop(S, 2);
	}
	lua_pop(S, 1);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (!lua_istable(L, -1)) /* the tables in `relay` are its modules */
			there++;
		lua_pop(L, 1);
	}
	if (there != said)
		printf("  %s:\n", module);
	CHECK_INT(there, said);
}

static void modules_are_those_of_the_schema(void)
{
	struct rig r;
	lua_State *S = open_schema();

	rig_open(&r, "function on.connect() end");
	lua_State *L = r.rt->vm->box.L;
	lua_getfield(S, -1, "modules");
	const int modules = (int)lua_objlen(S, -1);
	int tables = 0;
	for (int i = 1; i <= modules; i++) {
		lua_rawgeti(S, -1, i);
		lua_rawgeti(S, -1, 1);
		const char *name = lua_tostring(S, -1);
		lua_pop(S, 1);
		box_push_module(L, "relay");
		if (strcmp(name, "relay") != 0) {
			lua_getfield(L, -1, name + strlen("relay."));
			NEED(lua_istable(L, -1));
		}
		push_behind(L, -1);
		check_module(S, L, name);
		lua_settop(L, 0);
		lua_pop(S, 1);
	}
	box_push_module(L, "relay");
	push_behind(L, -1);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		tables += lua_istable(L, -1);
		lua_pop(L, 1);
	}
	CHECK_INT(modules - 1, tables);
	lua_settop(L, 0);
	rig_close(&r);
	lua_close(S);
}

/* Every name of @list of the schema is a key of the table on top of @L, and no other is. */
static void check_names(lua_State *S, const char *list, lua_State *L, int extra)
{
	int n = 0;

	lua_getfield(S, -1, list);
	const int said = (int)lua_objlen(S, -1);
	for (int i = 1; i <= said; i++) {
		lua_rawgeti(S, -1, i);
		lua_getfield(L, -1, lua_tostring(S, -1));
		if (lua_isnil(L, -1) && strcmp(lua_tostring(S, -1), "require") != 0) {
			printf("  %s is only in the schema\n", lua_tostring(S, -1));
			test_failures++;
		}
		lua_pop(L, 1);
		lua_pop(S, 1);
	}
	lua_pop(S, 1);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		n++;
		lua_pop(L, 1);
	}
	CHECK_INT(said, n + extra);
}

static void globals_are_those_of_the_schema(void)
{
	struct rig r;
	lua_State *S = open_schema();

	rig_open(&r, "function on.connect() end");
	lua_State *L = r.rt->vm->box.L;
	box_push_module(L, "relay.sandbox");
	lua_getfield(L, -1, "globals");
	lua_call(L, 0, 1);
	check_names(S, "globals", L, 1); /* require is added for each file */
	lua_getfield(L, -1, "string");
	push_behind(L, -1);
	check_names(S, "strings", L, 0);
	lua_settop(L, 0);
	rig_close(&r);
	lua_close(S);
}

TEST_MAIN(TEST(views_are_those_of_the_schema), TEST(modules_are_those_of_the_schema),
	  TEST(globals_are_those_of_the_schema))
