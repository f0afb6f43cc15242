/* policy/lib_json.c - JSON and Lua values, both ways. Neither direction raises: what C holds on the way is given
 * back in any case. */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/json_parse.h"
#include "policy/box.h"
#include "policy/lib.h"
#include "policy/view_msg.h"

/* ---- out ---------------------------------------------------------------------------------------------------------- */

struct writer {
	struct json json;
	unsigned values;
};

static const char *write_value(struct writer *w, lua_State *L, int depth);

/* How many elements a list has that has nothing else; 0 for the empty table, -1 for one with other keys. */
static int list_length(lua_State *L)
{
	const int n = (int)lua_objlen(L, -1);
	int keys = 0;

	lua_pushnil(L);
	while (lua_next(L, -2)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) != LUA_TNUMBER || ++keys > n) {
			lua_pop(L, 1);
			return -1;
		}
	}
	return keys == n ? n : -1;
}

static const char *write_list(struct writer *w, lua_State *L, int n, int depth)
{
	const char *why = NULL;

	json_array(&w->json, NULL);
	for (int i = 1; i <= n && !why; i++) {
		lua_rawgeti(L, -1, i);
		why = write_value(w, L, depth);
		lua_pop(L, 1);
	}
	json_array_end(&w->json);
	return why;
}

static const char *write_map(struct writer *w, lua_State *L, int depth)
{
	const char *why = NULL;

	json_object(&w->json, NULL);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (lua_type(L, -2) != LUA_TSTRING) {
			why = "a key that is no string";
		} else {
			json_key_span(&w->json, box_span(L, -2));
			why = write_value(w, L, depth);
		}
		lua_pop(L, 1);
		if (why) {
			lua_pop(L, 1);
			break;
		}
	}
	json_object_end(&w->json);
	return why;
}

static const char *write_number(struct writer *w, double n)
{
	char text[40];

	if (!isfinite(n))
		return "a number that is not finite";
	if (n == floor(n) && fabs(n) < 9007199254740992.0) {
		json_int(&w->json, NULL, (int64_t)n);
	} else {
		(void)snprintf(text, sizeof text, "%.17g", n);
		json_raw(&w->json, NULL, span_of(text));
	}
	return NULL;
}

/* The value on top. */
static const char *write_value(struct writer *w, lua_State *L, int depth)
{
	if (++w->values > JSON_VALUES_MAX || w->json.out->overflow)
		return "it is too large";
	switch (lua_type(L, -1)) {
	case LUA_TNIL:
		json_null(&w->json, NULL);
		return NULL;
	case LUA_TBOOLEAN:
		json_bool(&w->json, NULL, lua_toboolean(L, -1));
		return NULL;
	case LUA_TNUMBER:
		return write_number(w, lua_tonumber(L, -1));
	case LUA_TSTRING:
		json_str(&w->json, NULL, box_span(L, -1));
		return NULL;
	case LUA_TTABLE:
		break;
	default:
		return "a value that is no plain data";
	}
	if (depth == 0 || !lua_checkstack(L, 8))
		return "it is too deep";
	const int n = list_length(L);
	return n > 0 ? write_list(w, L, n, depth - 1) : write_map(w, L, depth - 1);
}

const char *json_of_lua(lua_State *L, int i, struct buf *out)
{
	struct writer w = { .json = json_to(out) };

	lua_pushvalue(L, i);
	const char *why = write_value(&w, L, JSON_DEPTH_MAX);
	lua_pop(L, 1);
	return why ? why : out->overflow ? "it is too large" : NULL;
}

static int pl_encode(lua_State *L)
{
	luaL_checkany(L, 1);
	const bool enforced = lib_relax(L);
	struct buf out = BUF_INIT(JSON_TEXT_MAX);
	const char *why = json_of_lua(L, 1, &out);
	if (why)
		lua_pushnil(L);
	else
		box_push_span(L, buf_span(&out));
	buf_free(&out);
	lib_enforce(L, enforced);
	if (!why)
		return 1;
	return luaL_error(L, "relay.json.encode: %s", why);
}

/* ---- in ----------------------------------------------------------------------------------------------------------- */

/* Every open bracket has its table on the stack, and below that, in an object, the key it belongs to. */
struct reader {
	lua_State *L;
	unsigned values, values_max;
	unsigned depth;
	struct {
		bool list;
		int n;
	} open[JSON_DEPTH_MAX];
};

/* The value on top goes into the bracket that is open, if there is one. */
static void put(struct reader *r)
{
	if (r->depth == 0)
		return;
	if (r->open[r->depth - 1].list)
		lua_rawseti(r->L, -2, ++r->open[r->depth - 1].n);
	else
		lua_rawset(r->L, -3);
}

static int on_token(void *arg, const struct json_token *t)
{
	struct reader *r = arg;
	lua_State *L = r->L;

	if (++r->values > r->values_max)
		return -ERR_TOOBIG;
	switch (t->event) {
	case JSON_NULL:
		/* nil would be a hole in a list: false says as much and keeps the places. */
		if (r->depth && r->open[r->depth - 1].list)
			lua_pushboolean(L, 0);
		else
			lua_pushnil(L);
		put(r);
		break;
	case JSON_BOOL:
		lua_pushboolean(L, t->boolean);
		put(r);
		break;
	case JSON_NUMBER:
		lua_pushnumber(L, t->number);
		put(r);
		break;
	case JSON_STRING:
		box_push_span(L, t->string);
		put(r);
		break;
	case JSON_KEY:
		box_push_span(L, t->string);
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
		lua_newtable(L);
		r->open[r->depth].list = t->event == JSON_ARRAY;
		r->open[r->depth].n = 0;
		r->depth++;
		break;
	case JSON_OBJECT_END:
	case JSON_ARRAY_END:
		r->depth--;
		put(r);
		break;
	}
	return 0;
}

const char *lua_of_json(lua_State *L, struct span text, unsigned values_max)
{
	struct reader r = { .L = L, .values_max = values_max };
	const int top = lua_gettop(L);
	const char *why = "it is too large";
	size_t at;

	if (!lua_checkstack(L, 4 + 2 * JSON_DEPTH_MAX))
		return why;
	if (json_parse(text, on_token, &r, &at, &why) == 0)
		return NULL;
	lua_settop(L, top);
	return why;
}

/* decode(text) -> value; or nil, message */
static int pl_decode(lua_State *L)
{
	(void)luaL_checkstring(L, 1);
	const struct span text = box_span(L, 1);
	if (!box_budget_spend(box_of(L), L, text.n / 16))
		return box_stop(L);
	const bool enforced = lib_relax(L);
	const char *why = text.n > JSON_TEXT_MAX ? "it is too large" : lua_of_json(L, text, JSON_VALUES_MAX);
	lib_enforce(L, enforced);
	if (!why)
		return 1;
	lua_pushnil(L);
	lua_pushstring(L, why);
	return 2;
}

void lib_json_open(lua_State *L)
{
	static const luaL_Reg functions[] = { { "encode", pl_encode },
					      { "decode", pl_decode },
					      { NULL, NULL } };

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "json");
}
