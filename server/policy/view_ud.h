/* policy/view_ud.h - the userdata that policies hold, and how their fields are found; private to policy/.
 *
 * All full userdata in a policy state are made here or in lib_*.c and begin with a struct ud_head, so that a
 * function that gets one knows what it is without a look-up. A view's `p` becomes NULL when what it shows has ended:
 * "session is gone".
 */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "gen/hook_ids.h"
#include "hook/view.h"

enum ud_type { UD_CONN = 0x706f0001, UD_TXN, UD_RCPT, UD_MSG, UD_VERDICT, UD_CIDR_SET, UD_DOMAIN_SET };

struct ud_head {
	uint32_t type;
};

struct policy_subject;

struct view_ud {
	struct ud_head head;
	void *p;                        /* struct view_conn, view_txn, view_rcpt, view_msg; NULL: gone */
	struct policy_subject *subject; /* conn, txn */
};

/* In a bit set of hooks. Observers see what they are given: the bit of HOOK_MAX_ is for all of them. */
#define IN_HOOK(name) (1u << HOOK_##name)
#define IN_OBSERVERS  (1u << HOOK_MAX_)
#define ANYWHERE      ((1u << (HOOK_MAX_ + 1)) - 1)

struct view_field {
	const char *name;
	uint32_t hooks; /* where it is available */
	/* Pushes one value and returns 1, or yields. May raise. */
	int (*get)(lua_State *L, struct view_ud *u);
};

struct view_method {
	const char *name;
	uint32_t hooks;
	lua_CFunction call;
};

struct view_class {
	const char *name; /* "conn" */
	uint32_t type;
	const struct view_field *fields; /* to a NULL name */
	const struct view_method *methods;
};

extern const struct view_class view_conn_class, view_txn_class, view_rcpt_class, view_msg_class;

/* Pushes a new view. Does not raise while the memory limit is not enforced. */
struct view_ud *view_ud_push(lua_State *L, const struct view_class *class, void *p);
/* Makes the metatables of all classes, once per state. May raise. */
void view_ud_open(lua_State *L);

/* For methods: argument 1, alive and available here; raises else. The methods' first upvalue is their struct view_method. */
struct view_ud *view_ud_check(lua_State *L, const struct view_class *class);
/* Argument @i as a userdata of @type, or NULL. */
void *ud_test(lua_State *L, int i, uint32_t type);
/* Raises unless the hook that runs is in @hooks. */
void view_ud_check_hook(lua_State *L, uint32_t hooks, const char *class, const char *what);

/* ---- subject.c ---- */

/* What is kept for a connection or transaction between its questions; view_conn.policy and view_txn.policy point here. */
struct policy_subject {
	struct list link;     /* in vm->subjects */
	struct policy_vm *vm; /* NULL: its state has gone and took all with it */
	const struct view_class *class;
	void *view; /* struct view_conn or view_txn */
	struct view_ud *ud;
	int ud_ref, vars_ref; /* references in vm, or LUA_NOREF */
};

/* The subject of @view in @vm; made, or moved there with what is plain in vars. *slot is view->policy. Does not raise. */
struct policy_subject *subject_get(struct policy_vm *vm, const struct view_class *class, void *view,
				   void **slot);
/* The connection or transaction has ended. */
void subject_end(void **slot);
/* Its state goes: nothing is left but the subject itself. */
void subject_lose(struct policy_subject *s);
void subject_push(lua_State *L, struct policy_subject *s);
/* vars, made at the first use. */
void subject_push_vars(lua_State *L, struct policy_subject *s);

/* ---- copy.c: plain data from one state to another ---- */

enum { COPY_DEPTH_MAX = 8, COPY_VALUES_MAX = 4096 };

/* Pushes a copy of the value at @i of @from on @to: numbers, strings, booleans, and tables of those; what is not
 * plain is left out (nil). Neither state's memory limit is enforced. */
void copy_plain(lua_State *from, int i, lua_State *to);
