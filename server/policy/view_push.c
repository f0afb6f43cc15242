#include "policy/view_push.h"

#include "policy/box.h"

void push_field(lua_State *L, const char *key, struct span value)
{
	if (!value.n)
		return;
	box_push_span(L, value);
	lua_setfield(L, -2, key);
}

int push_span_or_nil(lua_State *L, struct span s)
{
	if (s.n)
		box_push_span(L, s);
	else
		lua_pushnil(L);
	return 1;
}

int push_ip_or_nil(lua_State *L, const struct ip_addr *addr)
{
	if (!addr->len) {
		lua_pushnil(L);
		return 1;
	}
	const struct ip_text t = ip_format(addr);
	lua_pushstring(L, t.s);
	return 1;
}

void push_address(lua_State *L, struct span address, struct span local, struct span domain)
{
	lua_createtable(L, 0, 4);
	box_push_span(L, address);
	lua_setfield(L, -2, "address");
	box_push_span(L, local);
	lua_setfield(L, -2, "local_part");
	box_push_span(L, domain);
	lua_setfield(L, -2, "domain");
	lua_pushboolean(L, address.n == 0);
	lua_setfield(L, -2, "is_null");
}
