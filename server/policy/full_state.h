/* policy/full_state.h - a Lua state that may do everything and finds our modules: for the command line and for
 * specs; private to policy/. Whoever can write what runs in it can do what the process can. */
#pragma once

#include <lua.h>

/* NULL: out of memory. */
lua_State *full_state_new(void);
/* A message handler: adds a traceback unless the message is no string. */
int full_state_traceback(lua_State *L);
/* A new table with json_encode(value) -> text, and json_decode(text) -> value; or nil, message. */
void full_state_push_json(lua_State *L);
