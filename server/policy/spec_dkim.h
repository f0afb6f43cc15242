/* policy/spec_dkim.h - what a spec supposes about the signatures of a message:
 *
 *     p:message { header = {...}, dkim = { { domain = "a.example", result = "pass" } }, arc = "none" }
 *
 * Ownership: the arena given.  Threads: the caller's.  Tests: tests/lua/relay/dkim_spec.lua
 */
#pragma once

#include <lua.h>

#include "base/arena.h"
#include "hook/view.h"

/* Reads `dkim` and `arc` of the table at @i into @m; without them nobody looked. Raises what is wrong with them. */
void spec_dkim_read(lua_State *L, int i, struct arena *mem, struct view_msg *m);
