/* policy/policy.h - the policies of one worker: implements hook/hook.h with Lua.
 *
 *   struct policy_runtime *rt;
 *   policy_runtime_new(&env, bundle, &why, &rt);
 *   struct hooks hooks = { &policy_hook_ops, rt };        // for sessions and deliveries; good until policy_runtime_close()
 *   ...
 *   policy_runtime_reload(rt, other_bundle, &why);        // sessions notice nothing
 *   ...
 *   policy_runtime_close(&rt, closed, arg);               // after the last session has gone
 *
 * The happy path of one question (hook_ops.start):
 *   1. the policies of the listener that have this hook are asked in order, in a coroutine of its own
 *   2. a policy that waits (dns, limits) starts an operation and yields; its answer resumes it
 *   3. the first decisive verdict of a policy that enforces ends it; each step goes to the decision path
 *   4. call->done at the end of the turn
 *
 * Ways it ends otherwise: an error in a policy, a budget or deadline that is used up, a cancel: VERDICT_DEFER with
 * `broken`, one record in the log that names policy, hook, file and line; the coroutine is dropped, the state goes
 * on serving. A state whose memory is used up even after a collection is made anew from the bundle.
 *
 * Reload: a new Lua state serves every question from then on. Questions in flight end on the old one, and so does a transaction
 * that began there; a connection moves over with what is plain data in conn.vars at its next question.
 *
 * Threads: the worker's; policy_runtime_now() from any.  Units: as named.
 * Tests: tests/unit/policy/test_policy*.c
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "dns/dns.h"
#include "hook/hook.h"
#include "io/loop.h"
#include "policy/bundle.h"
#include "state/limit.h"

struct policy_limits {
	size_t memory_max_bytes;         /* of a Lua state */
	uint64_t instructions_max;       /* of one policy in one hook */
	int64_t compute_us_max;          /* likewise, of processor time */
	int64_t wait_us_max;             /* likewise, of waiting */
	uint64_t setup_instructions_max; /* of loading a policy and its setup() */
};

struct policy_limits policy_limits_default(void);

struct policy_env {
	struct loop *loop;
	struct dns *dns;            /* NULL: every question ends in "temp" */
	struct limit_store *limits; /* NULL: relay.limit.take is an error */
	struct logger *log;
	struct metric_shard *metrics;
	struct policy_limits budget;
	int worker; /* for the log of who loads what; only worker 0 logs policy_loaded */
};

struct policy_runtime;

extern const struct hook_ops policy_hook_ops; /* impl: struct policy_runtime * */

/* Returns 0 or -ERR_INVAL: a policy could not be set up, which policy_bundle_load() would have said too. */
int policy_runtime_new(const struct policy_env *env, struct policy_bundle *bundle, struct errtext *why,
		       struct policy_runtime **rt_r);
/* On error everything is as it was. */
int policy_runtime_reload(struct policy_runtime *rt, struct policy_bundle *bundle, struct errtext *why);
/* No question may be asked any more; those in flight are answered (broken). @closed is called from the loop when all is gone;
 * conn_gone and txn_gone must not come after that. */
void policy_runtime_close(struct policy_runtime **rt, void (*closed)(void *arg), void *arg);

/* Whose Lua runs on the worker's thread right now; for a watchdog that found the loop standing still. Constant
 * texts; NULL: none. */
struct policy_now {
	const char *hook;
	const char *policy;
};
struct policy_now policy_runtime_now(const struct policy_runtime *rt);

struct policy_stats {
	size_t lua_bytes; /* of all states */
	unsigned states;  /* more than one: an old one still has something to end */
	unsigned running; /* questions in flight */
	uint64_t stale;   /* answers that came for a coroutine that had gone */
	uint64_t rebuilt; /* states that were made anew because of their memory */
};
struct policy_stats policy_runtime_stats(const struct policy_runtime *rt);
