/* policy/verdict.h - relay.accept, relay.reject ...: verdicts as values that cannot be changed; private to policy/.
 *
 * `relay.reject` itself is a verdict without a rule, which cannot be returned; calling it with a table makes a
 * proper one. What can be checked without knowing the hook is checked then, so that the error names the line that made it.
 */
#pragma once

#include "base/arena.h"
#include "hook/hook.h"
#include "policy/box.h"

enum { VERDICT_TEXT_MAX = 400, VERDICT_RULE_MAX = 64, VERDICT_ROUTE_MAX = 255, VERDICT_ENHANCED_MAX = 9 };

/* Sets the fields accept, reject ... of the table on top of the stack. May raise. */
void verdict_open(lua_State *L);

/* The value at @i as a policy's answer in hook @id: nil is VERDICT_NONE. Spans are copied to @mem. @policy must outlive it.
 * Returns 0, or -ERR_INVAL and says why it is not one. Does not raise. */
int verdict_take(lua_State *L, int i, enum hook_id id, const char *policy, struct arena *mem,
		 struct verdict *v_r, struct errtext *why);

/* Code and enhanced status that @kind has in @id unless a policy says otherwise; 0 and "" for those that have none. */
unsigned verdict_default_code(enum verdict_kind kind, enum hook_id id);
struct span verdict_default_enhanced(enum verdict_kind kind, enum hook_id id);

/* One line of printable ASCII of at most VERDICT_TEXT_MAX octets (RFC 5321 section 4.2: textstring). {NULL, 0} when
 * @mem is full. */
struct span verdict_clean_text(struct arena *mem, struct span text);
