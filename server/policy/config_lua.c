#include "policy/config_lua.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "policy/box.h"

struct reader {
	lua_State *L;
	struct arena *mem;
	struct config_problems *problems;
	int ids; /* stack index of a table: table -> id */
	unsigned nids, values;
	int err;
};

static void read_value(struct reader *r, int depth, const struct config_value *place,
		       struct config_value *v_r);

static void refuse(struct reader *r, int err, const struct config_value *place, const char *why)
{
	if (!r->err)
		config_problem_add(r->problems, false, place->file, place->line, "%s", why);
	r->err = r->err ? r->err : -err;
}

static struct span keep(struct reader *r, struct span s)
{
	return arena_dup(r->mem, s);
}

static unsigned id_of(struct reader *r)
{
	lua_State *L = r->L;

	lua_pushvalue(L, -1);
	lua_rawget(L, r->ids);
	unsigned id = (unsigned)lua_tointeger(L, -1);
	lua_pop(L, 1);
	if (id)
		return id;
	id = ++r->nids;
	lua_pushvalue(L, -1);
	lua_pushinteger(L, (lua_Integer)id);
	lua_rawset(L, r->ids);
	return id;
}

/* `_file` and `_line` of the table on top. */
static void read_place(struct reader *r, struct config_value *v)
{
	lua_State *L = r->L;

	lua_pushliteral(L, "_file");
	lua_rawget(L, -2);
	if (lua_type(L, -1) == LUA_TSTRING && !span_eq(box_span(L, -1), v->file))
		v->file = keep(r, box_span(L, -1));
	lua_pop(L, 1);
	lua_pushliteral(L, "_line");
	lua_rawget(L, -2);
	if (lua_type(L, -1) == LUA_TNUMBER)
		v->line = (unsigned)lua_tointeger(L, -1);
	lua_pop(L, 1);
}

static bool is_place(struct span key)
{
	return span_eq(key, SPAN("_file")) || span_eq(key, SPAN("_line"));
}

/* Counts the keys of the table on top: those that are strings, and whether others are 1 .. n. */
static bool count_keys(lua_State *L, size_t *names_r, size_t *items_r)
{
	size_t names = 0, numbers = 0;
	const size_t n = lua_objlen(L, -1);

	lua_pushnil(L);
	while (lua_next(L, -2)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TSTRING)
			names += !is_place(box_span(L, -1));
		else if (lua_type(L, -1) == LUA_TNUMBER)
			numbers++;
		else {
			lua_pop(L, 1);
			return false;
		}
	}
	*names_r = names;
	*items_r = numbers;
	return numbers == n && !(names && numbers);
}

static void read_list(struct reader *r, size_t n, int depth, struct config_value *v)
{
	v->type = CONFIG_LIST;
	v->list.n = n;
	v->list.item = arena_array(r->mem, struct config_value, n ? n : 1);
	if (!v->list.item) {
		refuse(r, ERR_TOOBIG, v, "the configuration is too large");
		return;
	}
	for (size_t i = 0; i < n && !r->err; i++) {
		lua_rawgeti(r->L, -1, (int)i + 1);
		read_value(r, depth, v, &v->list.item[i]);
		lua_pop(r->L, 1);
	}
}

static int compare_pairs(const void *a, const void *b)
{
	return span_cmp(((const struct config_pair *)a)->key, ((const struct config_pair *)b)->key);
}

static void read_map(struct reader *r, size_t n, int depth, struct config_value *v)
{
	size_t at = 0;

	v->type = CONFIG_MAP;
	v->map.n = n;
	v->map.pair = arena_array(r->mem, struct config_pair, n ? n : 1);
	if (!v->map.pair) {
		refuse(r, ERR_TOOBIG, v, "the configuration is too large");
		return;
	}
	lua_pushnil(r->L);
	while (lua_next(r->L, -2)) {
		if (!is_place(box_span(r->L, -2)) && at < n && !r->err) {
			struct config_pair *p = &v->map.pair[at++];
			p->key = keep(r, box_span(r->L, -2));
			if (!p->key.p)
				refuse(r, ERR_TOOBIG, v, "the configuration is too large");
			else
				read_value(r, depth, v, &p->value);
		}
		lua_pop(r->L, 1);
	}
	if (n)
		qsort(v->map.pair, n, sizeof *v->map.pair, compare_pairs);
}

static void read_table(struct reader *r, int depth, struct config_value *v)
{
	size_t names, items;

	read_place(r, v);
	if (depth == 0 || !lua_checkstack(r->L, 12)) {
		refuse(r, ERR_TOOBIG, v, "tables are nested too deeply");
		return;
	}
	if (!count_keys(r->L, &names, &items)) {
		refuse(r, ERR_INVAL, v,
		       "a table must be a list without gaps, or have names as keys, not both");
		return;
	}
	v->id = id_of(r);
	if (items)
		read_list(r, items, depth - 1, v);
	else
		read_map(r, names, depth - 1, v);
}

/* The value on top. An empty table is a map without keys; config_count() says 0 for it, as for an empty list. */
static void read_value(struct reader *r, int depth, const struct config_value *place,
		       struct config_value *v_r)
{
	struct config_value v = { .type = CONFIG_NONE, .file = place->file, .line = place->line };

	if (++r->values > CONFIG_VALUES_MAX) {
		refuse(r, ERR_TOOBIG, place, "the configuration has too many values");
		return;
	}
	switch (lua_type(r->L, -1)) {
	case LUA_TNIL:
		break;
	case LUA_TBOOLEAN:
		v.type = CONFIG_BOOL;
		v.boolean = lua_toboolean(r->L, -1);
		break;
	case LUA_TNUMBER:
		v.type = CONFIG_NUMBER;
		v.number = lua_tonumber(r->L, -1);
		break;
	case LUA_TSTRING:
		v.type = CONFIG_TEXT;
		v.text = keep(r, box_span(r->L, -1));
		if (!v.text.p)
			refuse(r, ERR_TOOBIG, place, "the configuration is too large");
		break;
	case LUA_TTABLE:
		read_table(r, depth, &v);
		break;
	default:
		refuse(r, ERR_INVAL, place, "a function is no value of a configuration");
		break;
	}
	*v_r = v;
}

int config_from_lua(lua_State *L, int i, struct arena *mem, struct span file,
		    struct config_problems *problems, struct config_value *v_r)
{
	struct reader r = { .L = L, .mem = mem, .problems = problems };
	const struct config_value place = { .file = arena_dup(mem, file) };
	struct config_value v = place;
	const int top = lua_gettop(L);

	if (i < 0)
		i = top + i + 1;
	lua_newtable(L);
	r.ids = top + 1;
	lua_pushvalue(L, i);
	read_value(&r, CONFIG_DEPTH_MAX, &place, &v);
	lua_settop(L, top);
	if (r.err)
		return r.err;
	*v_r = v;
	return 0;
}

void config_push(lua_State *L, const struct config_value *v)
{
	(void)lua_checkstack(L, 8);
	switch (v ? v->type : CONFIG_NONE) {
	case CONFIG_NONE:
		lua_pushnil(L);
		break;
	case CONFIG_BOOL:
		lua_pushboolean(L, v->boolean);
		break;
	case CONFIG_NUMBER:
		lua_pushnumber(L, v->number);
		break;
	case CONFIG_TEXT:
		box_push_span(L, v->text);
		break;
	case CONFIG_LIST:
		lua_createtable(L, (int)v->list.n, 0);
		for (size_t i = 0; i < v->list.n; i++) {
			config_push(L, &v->list.item[i]);
			lua_rawseti(L, -2, (int)i + 1);
		}
		break;
	case CONFIG_MAP:
		lua_createtable(L, 0, (int)v->map.n);
		for (size_t i = 0; i < v->map.n; i++) {
			box_push_span(L, v->map.pair[i].key);
			config_push(L, &v->map.pair[i].value);
			lua_rawset(L, -3);
		}
		break;
	}
}
