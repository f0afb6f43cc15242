/* policy/view_push.h - how values of the mail code look in Lua; private to policy/. None raises while the memory limit is not
 * enforced. */
#pragma once

#include <lua.h>

#include "base/ip.h"
#include "base/span.h"

/* Sets @key of the table on top; an empty span is left out (nil). */
void push_field(lua_State *L, const char *key, struct span value);
/* A string, or nil for an empty span. Returns 1. */
int push_span_or_nil(lua_State *L, struct span s);
int push_ip_or_nil(lua_State *L, const struct ip_addr *addr);
/* { address =, local_part =, domain =, is_null = }; the null path has empty strings. */
void push_address(lua_State *L, struct span address, struct span local, struct span domain);
