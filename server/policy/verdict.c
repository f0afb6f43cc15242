#include "policy/verdict.h"

#include <lauxlib.h>
#include <string.h>

#include "base/check.h"
#include "policy/run.h"
#include "policy/view_ud.h"

struct verdict_ud {
	struct ud_head head;
	uint8_t kind;
	uint8_t enhanced_n, rule_n, route_n;
	bool now;
	uint16_t code, text_n;
	char bytes[]; /* enhanced, rule, route, text */
};

static const char metatable_key;

static struct span enhanced_of(const struct verdict_ud *v)
{
	return span_make(v->bytes, v->enhanced_n);
}

static struct span rule_of(const struct verdict_ud *v)
{
	return span_make(v->bytes + v->enhanced_n, v->rule_n);
}

static struct span route_of(const struct verdict_ud *v)
{
	return span_make(v->bytes + v->enhanced_n + v->rule_n, v->route_n);
}

static struct span text_of(const struct verdict_ud *v)
{
	return span_make(v->bytes + v->enhanced_n + v->rule_n + v->route_n, v->text_n);
}

/* ---- defaults ----------------------------------------------------------------------------------------------------- */

unsigned verdict_default_code(enum verdict_kind kind, enum hook_id id)
{
	switch (kind) {
	case VERDICT_REJECT:
		/* RFC 5321 section 4.3.2: 554 for a connection and for a message, 550 for a mailbox or a name; RFC 4954: 535. */
		return id == HOOK_AUTH ? 535
		       : id == HOOK_CONNECT || id == HOOK_STARTTLS || id == HOOK_DATA || id == HOOK_MESSAGE
			       ? 554
			       : 550;
	case VERDICT_DEFER:
		return 451;
	case VERDICT_DISCONNECT:
		return 421;
	default:
		return 0;
	}
}

struct span verdict_default_enhanced(enum verdict_kind kind, enum hook_id id)
{
	switch (kind) {
	case VERDICT_REJECT:
		return id == HOOK_AUTH ? SPAN("5.7.8") : SPAN("5.7.1");
	case VERDICT_DEFER:
		return SPAN("4.7.1");
	case VERDICT_DISCONNECT:
		return SPAN("4.7.0");
	default:
		return SPAN("");
	}
}

struct span verdict_clean_text(struct arena *mem, struct span text)
{
	char clean[VERDICT_TEXT_MAX];

	text = span_first(text, sizeof clean);
	for (size_t i = 0; i < text.n; i++) {
		const unsigned char c = (unsigned char)text.p[i];
		clean[i] = c == '\t' || c == '\r' || c == '\n' ? ' ' : c < 32 || c > 126 ? '?' : (char)c;
	}
	return arena_dup(mem, span_make(clean, text.n));
}

/* ---- making ------------------------------------------------------------------------------------------------------- */

static bool is_enhanced(struct span s)
{
	unsigned part = 0, digits = 0;

	if (s.n > VERDICT_ENHANCED_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.') {
			if (digits == 0 || ++part > 2)
				return false;
			digits = 0;
		} else if (!ascii_is_digit(s.p[i]) || ++digits > (part == 0 ? 1 : 3)) {
			return false;
		}
	}
	return part == 2 && digits > 0;
}

static bool is_rule(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && !memchr("-_./:", s.p[i], 5))
			return false;
	return s.n > 0 && s.n <= VERDICT_RULE_MAX;
}

static struct span string_field(lua_State *L, const char *kind, const char *name)
{
	lua_getfield(L, 2, name);
	if (lua_isnil(L, -1))
		return span_make(NULL, 0);
	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "relay.%s: '%s' must be a string", kind, name);
	return box_span(L, -1); /* it stays on the stack, and the span with it */
}

static void check_keys(lua_State *L, const char *kind, const char *const *allowed)
{
	lua_pushnil(L);
	while (lua_next(L, 2)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
		const char *const *a = allowed;
		while (*a && strcmp(*a, key) != 0)
			a++;
		if (!*a)
			luaL_error(L, "relay.%s has no field '%s'", kind, key);
		lua_pop(L, 1);
	}
}

static unsigned check_code(lua_State *L, enum verdict_kind kind, struct span enhanced)
{
	const char *name = verdict_kind_name(kind);
	unsigned code = 0;

	lua_getfield(L, 2, "code");
	if (!lua_isnil(L, -1)) {
		const double n = lua_tonumber(L, -1);
		bool fits = false;
		if (kind == VERDICT_REJECT)
			fits = n >= 500 && n <= 599;
		else if (kind == VERDICT_DEFER)
			fits = n >= 400 && n <= 499;
		else if (kind == VERDICT_DISCONNECT)
			fits = n == 421 || n == 554;
		if (!fits || n != (int)n)
			luaL_error(L, "relay.%s: its code must be %s", name,
				   kind == VERDICT_REJECT       ? "500 to 599"
				   : kind == VERDICT_DEFER      ? "400 to 499"
				   : kind == VERDICT_DISCONNECT ? "421 or 554"
								: "left out");
		code = (unsigned)n;
	}
	if (enhanced.n) {
		const char class = kind == VERDICT_REJECT || code == 554                 ? '5'
				   : kind == VERDICT_DEFER || kind == VERDICT_DISCONNECT ? '4'
											 : 0;
		if (!is_enhanced(enhanced) || enhanced.p[0] != class)
			luaL_error(
				L,
				"relay.%s: 'enhanced' must be a status like '%c.7.1', of the class of the code",
				name, class ? class : '2');
	}
	return code;
}

static void *push_new(lua_State *L, size_t n)
{
	struct verdict_ud *v = lua_newuserdata(L, n);

	memset(v, 0, n);
	v->head.type = UD_VERDICT;
	lua_pushlightuserdata(L, (void *)(uintptr_t)&metatable_key);
	lua_rawget(L, LUA_REGISTRYINDEX);
	lua_setmetatable(L, -2);
	return v;
}

/* relay.reject { rule =, text =, ... } */
static int pl_make(lua_State *L)
{
	static const char *const refusal[] = { "rule", "text", "code", "enhanced", "now", NULL };
	static const char *const acceptance[] = { "rule", "text", "route", NULL };
	const struct verdict_ud *proto = ud_test(L, 1, UD_VERDICT);

	if (!proto || proto->rule_n)
		return luaL_error(L, "a verdict is made with relay.reject { ... } and its like");
	const char *kind = verdict_kind_name(proto->kind);
	const bool accept = proto->kind == VERDICT_ACCEPT;
	if (accept && lua_isnoneornil(L, 2)) {
		lua_settop(L, 1);
		lua_newtable(L);
	}
	if (lua_type(L, 2) != LUA_TTABLE)
		return luaL_error(L, "relay.%s wants a table: relay.%s { rule = \"...\", text = \"...\" }",
				  kind, kind);
	lua_settop(L, 2);
	check_keys(L, kind, accept ? acceptance : refusal);

	const struct span rule = string_field(L, kind, "rule");
	const struct span text = string_field(L, kind, "text");
	const struct span enhanced = string_field(L, kind, "enhanced");
	const struct span route = string_field(L, kind, "route");
	if (rule.p ? !is_rule(rule) : !accept)
		return luaL_error(
			L,
			"relay.%s needs a rule: a name of letters, digits and - _ . / : that says which rule decided",
			kind);
	if (route.n > VERDICT_ROUTE_MAX)
		return luaL_error(L, "relay.%s: 'route' is too long", kind);
	const unsigned code = check_code(L, proto->kind, enhanced);
	lua_getfield(L, 2, "now");
	const bool now = lua_toboolean(L, -1);
	const struct span cut = span_first(text, VERDICT_TEXT_MAX);
	struct verdict_ud *v = push_new(L, sizeof *v + rule.n + cut.n + enhanced.n + route.n);
	v->kind = proto->kind;
	v->code = (uint16_t)code;
	v->now = now;
	v->enhanced_n = (uint8_t)enhanced.n;
	v->rule_n = (uint8_t)rule.n;
	v->route_n = (uint8_t)route.n;
	v->text_n = (uint16_t)cut.n;
	char *to = v->bytes;
	const struct span parts[] = { enhanced, rule, route, cut };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (parts[i].n)
			memcpy(to, parts[i].p, parts[i].n);
		to += parts[i].n;
	}
	if (vm_of(L)->running)
		vm_of(L)->running->made++;
	return 1;
}

static int pl_index(lua_State *L)
{
	const struct verdict_ud *v = ud_test(L, 1, UD_VERDICT);
	const char *key = lua_tostring(L, 2);

	if (!v || !key)
		return 0;
	if (strcmp(key, "kind") == 0)
		lua_pushstring(L, verdict_kind_name(v->kind));
	else if (strcmp(key, "rule") == 0 && v->rule_n)
		box_push_span(L, rule_of(v));
	else if (strcmp(key, "text") == 0 && v->text_n)
		box_push_span(L, text_of(v));
	else if (strcmp(key, "enhanced") == 0 && v->enhanced_n)
		box_push_span(L, enhanced_of(v));
	else if (strcmp(key, "route") == 0 && v->route_n)
		box_push_span(L, route_of(v));
	else if (strcmp(key, "now") == 0)
		lua_pushboolean(L, v->now);
	else if (strcmp(key, "code") == 0 && v->code)
		lua_pushinteger(L, v->code);
	else
		lua_pushnil(L);
	return 1;
}

static int pl_newindex(lua_State *L)
{
	return luaL_error(L, "a verdict cannot be changed");
}

static int pl_tostring(lua_State *L)
{
	const struct verdict_ud *v = ud_test(L, 1, UD_VERDICT);

	lua_pushfstring(L, "relay.%s", v ? verdict_kind_name(v->kind) : "?");
	return 1;
}

void verdict_open(lua_State *L)
{
	static const enum verdict_kind kinds[] = { VERDICT_ACCEPT,     VERDICT_REJECT, VERDICT_DEFER,
						   VERDICT_DISCONNECT, VERDICT_HOLD,   VERDICT_DISCARD };
	static const luaL_Reg meta[] = { { "__call", pl_make },
					 { "__index", pl_index },
					 { "__newindex", pl_newindex },
					 { "__tostring", pl_tostring },
					 { NULL, NULL } };

	lua_pushlightuserdata(L, (void *)(uintptr_t)&metatable_key);
	lua_newtable(L);
	luaL_setfuncs(L, meta, 0);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_rawset(L, LUA_REGISTRYINDEX);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct verdict_ud *v = push_new(L, sizeof *v);
		v->kind = (uint8_t)kinds[i];
		lua_setfield(L, -2, verdict_kind_name(kinds[i]));
	}
}

/* ---- taking ------------------------------------------------------------------------------------------------------- */

static bool is_allowed(enum hook_id id, enum verdict_kind kind)
{
	static const struct {
		uint8_t id, kind;
	} allowed[] = {
#define X(hook, verdict) { HOOK_##hook, VERDICT_##verdict },
		HOOK_ALLOWED_MAP(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (allowed[i].id == id && allowed[i].kind == kind)
			return true;
	return false;
}

int verdict_take(lua_State *L, int i, enum hook_id id, const char *policy, struct arena *mem,
		 struct verdict *v_r, struct errtext *why)
{
	const struct verdict_ud *v = ud_test(L, i, UD_VERDICT);

	if (lua_isnoneornil(L, i)) {
		*v_r = (struct verdict){ .kind = VERDICT_NONE };
		return 0;
	}
	if (!v)
		return errtext_set(
			why, ERR_INVAL,
			"returned a %s: a hook returns a verdict (relay.accept, relay.reject { ... }) or nothing",
			luaL_typename(L, i));
	if (!v->rule_n && v->kind != VERDICT_ACCEPT)
		return errtext_set(why, ERR_INVAL, "returned relay.%s without a rule",
				   verdict_kind_name(v->kind));
	if (!is_allowed(id, v->kind))
		return errtext_set(why, ERR_INVAL, "relay.%s is no verdict for this hook",
				   verdict_kind_name(v->kind));
	struct verdict r = { .kind = v->kind,
			     .now = v->now,
			     .code = v->code ? v->code : (uint16_t)verdict_default_code(v->kind, id),
			     .policy = span_of(policy) };
	r.enhanced = v->enhanced_n ? arena_dup(mem, enhanced_of(v))
		     : v->code == 554 && v->kind == VERDICT_DISCONNECT
			     ? SPAN("5.7.1")
			     : verdict_default_enhanced(v->kind, id);
	r.rule = arena_dup(mem, rule_of(v));
	r.text = verdict_clean_text(mem, text_of(v));
	r.route = arena_dup(mem, route_of(v));
	if (!r.enhanced.p || !r.rule.p || !r.text.p || !r.route.p)
		return errtext_set(why, ERR_INVAL, "no room is left for its verdict");
	*v_r = r;
	return 0;
}
