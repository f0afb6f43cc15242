/* policy/view_msg.h - what view_msg.c, view_msg_edit.c and view_msg_meta.c share; private to policy/. */
#pragma once

#include "policy/run.h"

enum { MSG_META_MAX = 16 * 1024, MSG_SCRATCH_MAX = 256 * 1024, MSG_BOXES_MAX = 200 };

static inline struct view_msg *msg_of(const struct view_ud *u)
{
	return u->p;
}

/* From here to lib_enforce() nothing raises, so that C may hold what must be freed. */
static inline bool lib_relax(lua_State *L)
{
	const bool enforced = box_of(L)->enforce;

	box_of(L)->enforce = false;
	return enforced;
}

static inline void lib_enforce(lua_State *L, bool enforced)
{
	box_of(L)->enforce = enforced;
}

extern const struct view_method view_msg_methods[];

/* The table behind msg.meta. May raise. */
void msg_meta_push(lua_State *L, struct view_ud *u);
/* A policy has returned: what it changed in msg.meta is kept with the message. NULL, or a phrase that says why it cannot be. */
const char *msg_meta_commit(struct policy_run *run);
/* It failed: what it changed is dropped. */
void msg_meta_forget(struct policy_run *run);
