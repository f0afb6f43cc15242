/* hook/hook.h - where the mail code asks for a decision. No Lua here: policy/ implements it, main/ plugs it in, a unit test
 * plugs in ten lines of C.
 *
 * A question is a struct hook_call embedded in whoever asks. Its answer comes exactly once through `done`, from the loop, never
 * from inside start() or cancel(). A policy that failed, ran out of budget or was cancelled answers VERDICT_DEFER with `broken`
 * set: nothing is relayed because a policy was broken.
 *
 * Threads: the worker's loop.  Ownership: the verdict's spans live in call->mem.
 * Tests: tests/unit/session/test_hooks.c, tests/unit/policy/test_policy.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"
#include "gen/hook_ids.h" /* enum hook_id { HOOK_CONNECT, ... HOOK_MAX_ }, enum observer_id */
#include "hook/view.h"

#define VERDICT_KIND_MAP(X)                                                                                  \
	X(NONE, "none")             /* no opinion */                                                         \
	X(ACCEPT, "accept")         /* ends its stage only */                                                \
	X(REJECT, "reject")         /* 5xx */                                                                \
	X(DEFER, "defer")           /* 4xx */                                                                \
	X(DISCONNECT, "disconnect") /* its code (421 or 554), then the connection ends */                    \
	X(HOLD, "hold")             /* message: accepted, kept until an operator releases it */              \
	X(DISCARD, "discard")       /* message: accepted and thrown away, logged */

enum verdict_kind {
#define X(name, text) VERDICT_##name,
	VERDICT_KIND_MAP(X)
#undef X
		VERDICT_KIND_MAX_
};

const char *verdict_kind_name(enum verdict_kind kind);
const char *hook_name(enum hook_id id);

struct verdict {
	enum verdict_kind kind;
	bool broken;          /* not an opinion: a policy failed */
	bool now;             /* connect, helo, mail: answer at once and not at RCPT */
	uint16_t code;        /* SMTP reply code; 0: the default of the kind and stage */
	struct span enhanced; /* "5.7.1"; empty: the default */
	struct span text;     /* what was wrong, one line, no CR or LF, <= 400 octets; empty: the default */
	struct span rule;     /* the rule's id; never empty in a refusal */
	struct span policy;   /* who decided */
	struct span route;    /* HOOK_ROUTE, accept: a route's name or "[host]:port" */
};

/* One step of a decision: who was asked and what they said. Kept per session, in order, bounded. */
struct decision {
	uint8_t hook; /* enum hook_id */
	uint8_t kind; /* enum verdict_kind */
	uint8_t mode; /* enum hook_mode */
	bool broken;
	uint16_t code;
	uint32_t took_us;
	struct span policy, rule, text;
};

enum hook_mode { HOOK_MODE_ENFORCE, HOOK_MODE_OBSERVE, HOOK_MODE_CANARY };

enum { DECISION_PATH_MAX = 256 };

struct decision_path {
	struct arena *mem; /* the spans live here; when it is full steps are counted, not kept */
	struct decision *step;
	uint16_t n, cap;
	uint32_t dropped;
};

void decision_path_init(struct decision_path *p, struct arena *mem);
/* Copies @d and its spans. */
void decision_path_add(struct decision_path *p, const struct decision *d);

struct hook_call {
	enum hook_id id;
	const void *policies; /* the listener's list, from hook_ops.list() at start-up */
	struct view_conn *conn;
	struct view_txn *txn;       /* NULL before MAIL */
	struct view_rcpt *rcpt;     /* HOOK_RCPT, HOOK_ROUTE */
	struct view_msg *msg;       /* HOOK_MESSAGE, HOOK_ROUTE */
	struct arena *mem;          /* for the verdict's text */
	struct decision_path *path; /* may be NULL */
	struct verdict verdict;     /* written before done() */
	void (*done)(struct hook_call *call);
	bool pending;
	void *impl; /* the implementation's */
};

struct hook_event { /* what an observer is told; all borrowed for the call */
	enum observer_id id;
	const void *policies;
	struct view_conn *conn; /* any of these may be NULL */
	struct view_txn *txn;
	struct view_msg *msg;
	const struct verdict *verdict;                                         /* refused */
	struct span queue_id, recipient, sender, device, remote, status, text; /* delivery events */
	struct span mechanism; /* auth_failed; `text` is the user, `status` the reason */
	int code;
};

struct hook_ops {
	/* Does any policy of the list have this hook? If not, nobody is asked and the answer is NONE. */
	bool (*wants)(void *impl, const void *policies, enum hook_id id);
	void (*start)(void *impl, struct hook_call *call);
	void (*cancel)(void *impl, struct hook_call *call);
	/* Cannot wait, cannot decide; returns at once, the observer may run later. */
	void (*observe)(void *impl, const struct hook_event *ev);
	/* The named list of a listener; lives until the next configuration. NULL: no such list. */
	const void *(*list)(void *impl, struct span listener);
	/* The connection or transaction ends: what the policies kept for it (vars) goes. */
	void (*conn_gone)(void *impl, struct view_conn *conn);
	void (*txn_gone)(void *impl, struct view_txn *txn);
};

struct hooks {
	const struct hook_ops *ops;
	void *impl;
};
