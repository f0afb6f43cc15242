/* policy/run.h - one question that is being answered; private to policy/. See vm.h for the words.
 *
 * The happy path: run_start() asks the policies one after another (ask_next). A function that returns at once is judged at once
 * (judge); one that yields goes on in run_continue() when its wait ends. The answer goes out at the end of the turn (finish).
 *
 * Ways it ends otherwise: a policy fails, waits for too long or spends too much (run_break); the question is
 * cancelled (run_cancel). Both cancel what is waited for, drop the coroutines and answer DEFER. Answers that come
 * after that find nobody.
 */
#pragma once

#include "base/buf.h"
#include "policy/view_ud.h"
#include "policy/vm.h"

enum { RUN_LOG_MAX = 20 /* records of one policy in one hook */, RUN_WOULD_MAX = 1024 };

struct policy_run {
	struct list link; /* in vm->runs */
	struct policy_vm *vm;
	struct hook_call *call;         /* a question */
	const struct hook_event *event; /* or an event */
	const char *hook_name;
	struct view_conn *conn;
	const struct policy_uses *uses;
	size_t at;              /* the next one to ask */
	struct policy_use *use; /* the one that is asked */
	bool observing;         /* it only observes, for this client */
	bool answered;
	struct list coros;
	struct coro *main;
	struct budget budget;
	int64_t waiting_since_us, waited_us; /* of the policy that is asked */
	int64_t took_us;                     /* all of them, waiting included */
	struct timer deadline;
	struct task done;
	struct view_ud *rcpt, *msg;      /* what policies see; NULL: not made */
	int rcpt_ref, msg_ref, meta_ref; /* references in the registry, or LUA_NOREF */
	struct buf would;                /* what a policy that observes would have changed */
	unsigned made;                   /* verdicts */
	unsigned logged;
	const char *broken; /* the rule of a DEFER that is no opinion */
};

enum run_failure { RUN_ERROR, RUN_BUDGET, RUN_TIMEOUT, RUN_BAD_VERDICT };

void run_start(struct policy_vm *vm, struct hook_call *call);
void run_observe(struct policy_vm *vm, const struct hook_event *ev);
void run_cancel(struct policy_run *run);

/* @c was resumed, directly or by what it waited for, with @nargs values on its stack. */
void run_continue(struct coro *c, int nargs);

/* The coroutine that Lua is running, or NULL: setup, or an event. */
struct coro *run_coro(lua_State *L);
/* Ends operations and coroutines; the run itself stays. */
void run_drop_coros(struct policy_run *run);

/* ---- run_report.c: what goes to log, metrics and decision path ---- */
void run_report_failure(struct policy_run *run, enum run_failure what, const char *text, const char *at,
			const char *traceback);
void run_report_observed(struct policy_run *run, const struct verdict *v);
/* "file:line" where the policy's function for this hook begins. */
void run_function_place(const struct policy_run *run, char *out, size_t size);
void run_report_unreturned(struct policy_run *run);
void run_report_step(struct policy_run *run, const struct verdict *v);
struct log_rec;
/* policy, hook, session and id of the run. */
void run_report_who(struct policy_run *run, struct log_rec *r);

/* ---- run_args.c ---- */

/* Pushes the arguments of the hook or observer; returns how many. Does not raise: the memory limit is not enforced. */
int run_push_args(struct policy_run *run, lua_State *L);
