/* policy/spec_policy.h - one policy under test, for relay.testing; private to policy/. */
#pragma once

#include <lua.h>

/* Pushes a table with policy { name =, text =, options =, mode =, hosts = } -> handle, or nil and a list of problems.
 * hosts is a list of { name =, type =, value = | result = }. A handle has
 *   ask(hook, subject)      the verdict as a table { kind =, code =, ... }
 *   observe(name, event)
 *   advance(seconds)
 *   log()                   the lines that were logged since the last call, as one text
 *   forget(what)            "conn" or "txn" has ended
 *   state()                 what actions and edits left: { profile =, device =, sender =, meta =, head = } */
void spec_policy_open(lua_State *L, const char *policy_dir);
