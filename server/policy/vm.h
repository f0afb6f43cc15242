/* policy/vm.h - one Lua state with the policies of one bundle in it; private to policy/.
 *
 * Words:
 *   use      a policy in a listener's list, with its options: set up once, asked many times
 *   run      one question (or event) that is being answered; it has a coroutine, and children of it (relay.all)
 *   wait     an operation that a coroutine has started and yielded for
 *   subject  what we keep for a connection or a transaction: the userdata that policies see, and vars
 *
 * Ownership: the runtime owns its states; a state that was replaced goes when its last run and its last transaction have.
 */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "hook/hook.h"
#include "io/op.h"
#include "policy/box.h"
#include "policy/coro.h"
#include "policy/policy.h"

struct policy_use {
	const char *name;                  /* as the policy calls itself; lives as long as the runtime */
	const struct config_value *record; /* in the bundle */
	int hook[HOOK_MAX_];               /* references to functions, or LUA_NOREF */
	int observer[OBSERVER_MAX_];
	enum hook_mode mode;
	double share;            /* canary: percent of the clients; 0: not by share */
	struct ip_set *networks; /* canary; NULL: not by network */
	int64_t until_us;        /* canary: 0: no end */
	uint32_t warned;         /* hooks in which a verdict was made and not returned: said once */
};

struct policy_uses { /* of one listener */
	struct policy_use **use;
	size_t n;
	uint32_t hooks, observers; /* a bit for each that any of them has */
};

/* What hook_ops.list() gives out: it outlives reloads. */
struct policy_list {
	struct list link; /* in rt->lists */
	char *listener;
	size_t index; /* in vm->lists */
};

struct policy_vm {
	struct box box;
	struct policy_runtime *rt;
	struct list link; /* in rt->vms */
	struct policy_bundle *bundle;
	struct arena *mem;
	struct policy_uses *lists; /* by policy_list.index; those beyond nlists are empty */
	size_t nlists;
	struct policy_use **uses;
	size_t nuses;
	struct coro_pool coros;
	struct list runs;
	struct list subjects;
	unsigned transactions;      /* of the subjects */
	struct policy_run *running; /* whose Lua is on the C stack */
	int instantiate_ref;        /* the function of lua/lib/relay/policy.lua */
	const char *loading; /* the file that is being set up; NULL: none. Only then may policies require */
	struct scope scope;  /* of all operations */
	bool retiring, closing;
	bool rebuild; /* its memory is used up */
};

struct policy_runtime {
	struct policy_env env;
	struct policy_vm *vm; /* for new questions */
	struct list vms;      /* all that live */
	struct list lists;
	size_t nlists;
	struct list names; /* interned */
	unsigned runs;
	uint64_t stale, rebuilt;
	int64_t rebuilt_us;
	struct task tidy; /* closes states that are done, makes new ones */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
	_Atomic(const char *) now_hook;
	_Atomic(const char *) now_policy;
};

static inline struct policy_vm *vm_of(lua_State *L)
{
	return box_of(L)->owner;
}

/* ---- vm.c ---- */

/* Makes a state and sets up all uses of the bundle in it. Problems go to @problems (may be NULL) and the first one to @why. */
int vm_new(struct policy_runtime *rt, struct policy_bundle *bundle, struct config_problems *problems,
	   struct errtext *why, struct policy_vm **vm_r);
/* Nothing runs in it. Operations that were cancelled may still have to end: it goes after them. */
void vm_close(struct policy_vm *vm);
/* What a listener's list is in this state. */
const struct policy_uses *vm_uses(const struct policy_vm *vm, const struct policy_list *list);
/* Something ended: is the state still needed? */
void vm_touch(struct policy_vm *vm);

/* ---- runtime.c ---- */
const char *runtime_intern(struct policy_runtime *rt, struct span name);
struct policy_list *runtime_list(struct policy_runtime *rt, struct span listener, bool make);

/* ---- instantiate.c ---- */
int vm_instantiate(struct policy_vm *vm, struct config_problems *problems);

/* ---- run_args.c ---- */
const char *observer_id_name(enum observer_id id);
