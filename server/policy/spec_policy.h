/* policy/spec_policy.h - one policy under test, for relay.testing; private to policy/. */
#pragma once

#include <lua.h>

/* Pushes a table: policy { name =, text =, options =, mode =, hosts = { { name =, type =, value = | result = }, ... } } -> handle, or nil and a list of problems. A handle has
 *   ask(hook, subject)      the verdict as a table { kind =, code =, ... }
 *   observe(name, event)
 *   advance(seconds)
 *   log()                   the lines that were logged since the last call, as one text
 *   forget(what)            "conn" or "txn" has ended
 *   state()                 what actions and edits left: { profile =, device =, sender =, meta =, head = } */
void spec_policy_open(lua_State *L, const char *policy_dir);
