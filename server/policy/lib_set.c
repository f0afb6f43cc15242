/* policy/lib_set.c - relay.cidr and relay.domains: sets that are asked for every message, of any size.
 *
 * A set of domains is one block of Lua's memory: an open hash of offsets into its names. A set of networks is base's
 * ip_set, which lives beside Lua's memory and is charged to it. */
#include <lauxlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/ip.h"
#include "policy/box.h"
#include "policy/lib.h"
#include "policy/view_ud.h"

enum { SET_MAX = 1000000, CIDR_BYTES = 64 /* what a network costs, about */ };

static const char cidr_key, domains_key; /* metatables, in the registry by these addresses */

static void set_metatable(lua_State *L, const char *key)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)key);
	lua_rawget(L, LUA_REGISTRYINDEX);
	lua_setmetatable(L, -2);
}

static void open_metatable(lua_State *L, const char *key, const luaL_Reg *methods, const luaL_Reg *meta)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)key);
	lua_newtable(L);
	luaL_setfuncs(L, meta, 0);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_rawset(L, LUA_REGISTRYINDEX);
}

static int check_list(lua_State *L, const char *what)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	const size_t n = lua_objlen(L, 1);
	if (n > SET_MAX)
		luaL_error(L, "%s: more than %d entries", what, SET_MAX);
	return (int)n;
}

/* Entry @i of the list at 1; on the stack. */
static struct span entry(lua_State *L, int i, const char *what)
{
	lua_rawgeti(L, 1, i);
	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "%s: entry %d is no string", what, i);
	return box_span(L, -1);
}

/* ---- networks ----------------------------------------------------------------------------------------------------- */

struct cidr_ud {
	struct ud_head head;
	struct ip_set *set;
	size_t charged;
};

static int pl_cidr_gc(lua_State *L)
{
	struct cidr_ud *u = ud_test(L, 1, UD_CIDR_SET);

	if (u) {
		ip_set_free(&u->set);
		box_refund(box_of(L), u->charged);
		u->charged = 0;
	}
	return 0;
}

static int pl_cidr_set(lua_State *L)
{
	const int n = check_list(L, "relay.cidr.set");
	struct cidr_ud *u = lua_newuserdata(L, sizeof *u);

	*u = (struct cidr_ud){ .head = { UD_CIDR_SET } };
	set_metatable(L, &cidr_key);
	if (!box_charge(box_of(L), (size_t)n * CIDR_BYTES))
		return luaL_error(L, "not enough memory");
	u->charged = (size_t)n * CIDR_BYTES;
	u->set = ip_set_new();
	for (int i = 1; i <= n; i++) {
		const struct span text = entry(L, i, "relay.cidr.set");
		struct ip_net net;
		if (!ip_net_parse(text, &net))
			return luaL_error(L, "relay.cidr.set: '%s' is no address and no network", text.p);
		ip_set_add(u->set, &net);
		lua_pop(L, 1);
	}
	return 1;
}

static int pl_cidr_contains(lua_State *L)
{
	const struct cidr_ud *u = ud_test(L, 1, UD_CIDR_SET);
	struct ip_addr addr;

	if (!u)
		return luaL_error(L, "contains wants a ':' and a set before it");
	lua_pushboolean(L, lua_type(L, 2) == LUA_TSTRING && ip_parse(box_span(L, 2), &addr) &&
				   ip_set_contains(u->set, &addr));
	return 1;
}

/* contains(network, address) */
static int pl_cidr_in(lua_State *L)
{
	struct ip_net net;
	struct ip_addr addr;

	(void)luaL_checkstring(L, 1);
	(void)luaL_checkstring(L, 2);
	if (!ip_net_parse(box_span(L, 1), &net))
		return luaL_error(L, "relay.cidr.contains: '%s' is no network", lua_tostring(L, 1));
	lua_pushboolean(L, ip_parse(box_span(L, 2), &addr) && ip_net_contains(&net, &addr));
	return 1;
}

/* network(address, bits4, bits6) -> "192.0.2.0/24": what a limit counts that is meant for a neighbourhood */
static int pl_cidr_network(lua_State *L)
{
	const lua_Integer bits4 = luaL_checkinteger(L, 2), bits6 = luaL_checkinteger(L, 3);
	struct ip_addr addr;

	(void)luaL_checkstring(L, 1);
	luaL_argcheck(L, bits4 >= 0 && bits4 <= 32, 2, "0 to 32");
	luaL_argcheck(L, bits6 >= 0 && bits6 <= 128, 3, "0 to 128");
	if (!ip_parse(box_span(L, 1), &addr))
		return 0;
	const struct ip_net net = ip_net_of(&addr, (unsigned)bits4, (unsigned)bits6);
	const struct ip_text text = ip_net_format(&net);
	lua_pushstring(L, text.s);
	return 1;
}

/* ---- domains ------------------------------------------------------------------------------------------------------ */

enum { DOMAIN_TEXT_MAX = 255 };

struct domain_ud {
	struct ud_head head;
	uint32_t count, slots; /* slots is a power of two, or 0 */
	uint32_t at
		[]; /* slots offsets + 1 into the names behind them; 0: empty. A name is a length octet and its text */
};

static const char *names_of(const struct domain_ud *u)
{
	return (const char *)(u->at + u->slots);
}

/* Lower-cased, without a final dot; "*.x" is ".x". */
static bool canonical(struct span name, char *out, struct span *c_r)
{
	if (span_starts(name, SPAN("*.")))
		name = span_skip(name, 1);
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > DOMAIN_TEXT_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		out[i] = ascii_lower(name.p[i]);
	*c_r = span_make(out, name.n);
	return true;
}

/* The slot that holds @name, or the empty one where it belongs. */
static uint32_t slot_of(const struct domain_ud *u, struct span name)
{
	uint32_t slot = hash_crc32c(0, name.p, name.n) & (u->slots - 1);

	for (; u->at[slot]; slot = (slot + 1) & (u->slots - 1)) {
		const char *there = names_of(u) + u->at[slot] - 1;
		if (span_eq(name, span_make(there + 1, (unsigned char)there[0])))
			break;
	}
	return slot;
}

static struct domain_ud *new_domains(lua_State *L, int n)
{
	size_t bytes = 0;
	uint32_t slots = 8;

	for (int i = 1; i <= n; i++) {
		bytes += entry(L, i, "relay.domains.set").n + 1;
		lua_pop(L, 1);
	}
	while (slots < (uint32_t)n * 2)
		slots *= 2;
	struct domain_ud *u = lua_newuserdata(L, sizeof *u + slots * sizeof *u->at + bytes);
	*u = (struct domain_ud){ .head = { UD_DOMAIN_SET }, .slots = slots };
	memset(u->at, 0, slots * sizeof *u->at);
	set_metatable(L, &domains_key);
	return u;
}

static int pl_domains_set(lua_State *L)
{
	const int n = check_list(L, "relay.domains.set");
	struct domain_ud *u = new_domains(L, n);
	char *names = (char *)(u->at + u->slots);
	uint32_t used = 0;

	for (int i = 1; i <= n; i++) {
		const struct span text = entry(L, i, "relay.domains.set");
		char c[DOMAIN_TEXT_MAX];
		struct span name;
		if (!canonical(text, c, &name))
			return luaL_error(L, "relay.domains.set: '%s' is no domain", text.p);
		lua_pop(L, 1);
		const uint32_t slot = slot_of(u, name);
		if (u->at[slot])
			continue;
		u->at[slot] = used + 1;
		names[used] = (char)name.n;
		memcpy(names + used + 1, name.p, name.n);
		used += (uint32_t)name.n + 1;
		u->count++;
	}
	return 1;
}

/* The entry that holds the domain at 2: itself, or ".parent" of any of its parents; the longest one first. */
static bool find_domain(lua_State *L, struct span *found_r)
{
	const struct domain_ud *u = ud_test(L, 1, UD_DOMAIN_SET);
	char c[DOMAIN_TEXT_MAX];
	struct span name;

	if (!u)
		return luaL_error(L, "contains wants a ':' and a set before it");
	if (lua_type(L, 2) != LUA_TSTRING || !canonical(box_span(L, 2), c, &name))
		return false;
	for (;;) {
		if (u->at[slot_of(u, name)]) {
			*found_r = name;
			lua_pushlstring(L, name.p, name.n); /* name points into c */
			return true;
		}
		const ptrdiff_t dot = span_find_char(span_skip(name, 1), '.');
		if (dot < 0)
			return false;
		name = span_skip(name, (size_t)dot + 1);
	}
}

static int pl_domains_contains(lua_State *L)
{
	struct span found;

	lua_pushboolean(L, find_domain(L, &found));
	return 1;
}

static int pl_domains_find(lua_State *L)
{
	struct span found;

	return find_domain(L, &found) ? 1 : 0;
}

static int pl_domains_count(lua_State *L)
{
	const struct domain_ud *u = ud_test(L, 1, UD_DOMAIN_SET);

	lua_pushnumber(L, u ? u->count : 0);
	return 1;
}

void lib_set_open(lua_State *L)
{
	static const luaL_Reg cidr[] = { { "set", pl_cidr_set },
					 { "contains", pl_cidr_in },
					 { "network", pl_cidr_network },
					 { NULL, NULL } };
	static const luaL_Reg cidr_methods[] = { { "contains", pl_cidr_contains }, { NULL, NULL } };
	static const luaL_Reg cidr_meta[] = { { "__gc", pl_cidr_gc }, { NULL, NULL } };
	static const luaL_Reg domains[] = { { "set", pl_domains_set }, { NULL, NULL } };
	static const luaL_Reg domain_methods[] = { { "contains", pl_domains_contains },
						   { "find", pl_domains_find },
						   { NULL, NULL } };
	static const luaL_Reg domain_meta[] = { { "__len", pl_domains_count }, { NULL, NULL } };

	open_metatable(L, &cidr_key, cidr_methods, cidr_meta);
	open_metatable(L, &domains_key, domain_methods, domain_meta);
	lua_newtable(L);
	luaL_setfuncs(L, cidr, 0);
	lua_setfield(L, -2, "cidr");
	lua_newtable(L);
	luaL_setfuncs(L, domains, 0);
	lua_setfield(L, -2, "domains");
}
