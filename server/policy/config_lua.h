/* policy/config_lua.h - values of the configuration, from Lua and to Lua; private to policy/. */
#pragma once

#include <lua.h>

#include "policy/config_value.h"

enum { CONFIG_DEPTH_MAX = 32, CONFIG_VALUES_MAX = 1000000 };

/* The value at @i as a tree in @mem, read-only from then on. `_file` and `_line` of a table are its place; @file is
 * the place of what has none. Two values made of the same table have the same `id`. What is no plain data becomes a
 * problem. Returns 0, -ERR_INVAL, -ERR_TOOBIG. Does not raise. */
int config_from_lua(lua_State *L, int i, struct arena *mem, struct span file,
		    struct config_problems *problems, struct config_value *v_r);

/* Pushes it. Does not raise while the memory limit is not enforced. */
void config_push(lua_State *L, const struct config_value *v);
