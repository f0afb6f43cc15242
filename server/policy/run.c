#include "policy/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/all.h"
#include "policy/verdict.h"
#include "policy/view_msg.h"
#include "policy/wait.h"

static void ask_next(struct policy_run *run);

/* ---- the end ------------------------------------------------------------------------------------------------------- */

void run_drop_coros(struct policy_run *run)
{
	list_for_each_safe(it, &run->coros) {
		struct coro *c = list_entry(it, struct coro, link);
		wait_cancel_all(c);
		all_free(&c->all);
		coro_drop(&run->vm->coros, c);
	}
	run->main = NULL;
}

static void end_view(lua_State *L, struct view_ud **u, int *ref)
{
	if (*u)
		(*u)->p = NULL;
	*u = NULL;
	luaL_unref(L, LUA_REGISTRYINDEX, *ref);
	*ref = LUA_NOREF;
}

static void run_free(struct policy_run *run)
{
	struct policy_vm *vm = run->vm;

	run_drop_coros(run);
	end_view(vm->box.L, &run->rcpt, &run->rcpt_ref);
	end_view(vm->box.L, &run->msg, &run->msg_ref);
	luaL_unref(vm->box.L, LUA_REGISTRYINDEX, run->meta_ref);
	timer_unset(vm->rt->env.loop, &run->deadline);
	buf_free(&run->would);
	list_remove(&run->link);
	vm->rt->runs--;
	free(run);
	vm_touch(vm);
}

static void on_done(struct task *t)
{
	struct policy_run *run = container_of(t, struct policy_run, done);
	struct hook_call *call = run->call;

	run_free(run);
	call->impl = NULL;
	call->pending = false;
	call->done(call);
}

/* The verdict is in run->call. */
static void finish(struct policy_run *run)
{
	struct policy_runtime *rt = run->vm->rt;

	run->answered = true;
	run_drop_coros(run);
	timer_unset(rt->env.loop, &run->deadline);
	metric_set(rt->env.metrics, METRIC_LUA_BYTES, (int64_t)run->vm->box.used_bytes);
	metric_observe(rt->env.metrics, METRIC_HOOK_SECONDS, run->took_us);
	task_schedule(rt->env.loop, &run->done);
}

static struct verdict broken_verdict(const char *rule, const char *policy)
{
	return (struct verdict){ .kind = VERDICT_DEFER,
				 .broken = true,
				 .code = 451,
				 .enhanced = SPAN("4.3.0"),
				 .text = SPAN("a local rule could not be evaluated; try again later"),
				 .rule = span_of(rule),
				 .policy = span_of(policy ? policy : "") };
}

/* ---- what a policy said ---------------------------------------------------------------------------------------------- */

/* A policy that fails decides: DEFER. One that only observes changes nothing by failing. */
static void step_broken(struct policy_run *run, const char *rule)
{
	const struct verdict v = broken_verdict(rule, run->use->name);

	run_drop_coros(run);
	msg_meta_forget(run);
	run_report_step(run, &v);
	if (run->observing) {
		ask_next(run);
		return;
	}
	run->call->verdict = v;
	finish(run);
}

static void run_break(struct policy_run *run, enum run_failure what, const char *text, const char *at,
		      const char *traceback)
{
	static const char *const rules[] = { [RUN_ERROR] = "policy-error",
					     [RUN_BUDGET] = "policy-budget",
					     [RUN_TIMEOUT] = "policy-timeout",
					     [RUN_BAD_VERDICT] = "policy-error" };

	run_report_failure(run, what, text, at, traceback);
	if (run->call)
		step_broken(run, rules[what]);
	else
		run_drop_coros(run);
}

/* The policy has returned; its results are on the coroutine's stack. */
static void judge(struct policy_run *run)
{
	lua_State *L = run->main->L;
	struct verdict v;
	struct errtext why;

	if (!run->call) {
		coro_give(&run->vm->coros, run->main);
		run->main = NULL;
		return;
	}
	if (verdict_take(L, 1, run->call->id, run->use->name, run->call->mem, &v, &why) < 0) {
		run_break(run, RUN_BAD_VERDICT, why.s, NULL, NULL);
		return;
	}
	coro_give(&run->vm->coros, run->main);
	run->main = NULL;
	const char *meta = msg_meta_commit(run);
	if (meta) {
		(void)snprintf(why.s, sizeof why.s, "msg.meta: %s", meta);
		run_break(run, RUN_BAD_VERDICT, why.s, NULL, NULL);
		return;
	}
	if (run->made > (v.kind != VERDICT_NONE && v.rule.n > 0))
		run_report_unreturned(run);
	run_report_step(run, &v);
	if (run->observing)
		run_report_observed(run, &v);
	if (run->observing || v.kind == VERDICT_NONE) {
		ask_next(run);
		return;
	}
	run->call->verdict = v;
	finish(run);
}

/* ---- running -------------------------------------------------------------------------------------------------------- */

static int64_t now_us(const struct policy_run *run)
{
	return loop_now_us(run->vm->rt->env.loop);
}

static void memory_refused(struct policy_vm *vm)
{
	/* What was refused may have been one foolish string; a state that is nearly full is another matter. Filling it took longer
	 * than the collection takes. */
	if (vm->box.used_bytes < vm->box.max_bytes / 2)
		return;
	(void)lua_gc(vm->box.L, LUA_GCCOLLECT, 0);
	if (vm->box.used_bytes > vm->box.max_bytes / 4 * 3) {
		vm->rebuild = true;
		vm_touch(vm);
	}
}

static int resume(struct coro *c, int nargs)
{
	struct policy_run *run = c->run;
	struct policy_vm *vm = run->vm;
	struct policy_runtime *rt = vm->rt;

	require(!vm->running);
	vm->running = run;
	vm->box.refused = false;
	atomic_store_explicit(&rt->now_policy, run->use->name, memory_order_relaxed);
	atomic_store_explicit(&rt->now_hook, run->hook_name, memory_order_relaxed);
	const int status = box_resume(&vm->box, c->L, nargs, &run->budget);
	atomic_store_explicit(&rt->now_hook, NULL, memory_order_relaxed);
	vm->running = NULL;
	return status;
}

/* "file:line"; after a tail call no frame is left, and the hook's function must do. */
static void where(const struct policy_run *run, lua_State *L, char *at, size_t size)
{
	box_where(L, at, size);
	if (at[0] == '?')
		run_function_place(run, at, size);
}

static void failed(struct policy_run *run, lua_State *L)
{
	struct box *box = &run->vm->box;
	const char *message = lua_tostring(L, -1);
	char at[256], text[1024];

	(void)snprintf(text, sizeof text, "%s", message ? message : "an error that is no text");
	where(run, L, at, sizeof at);
	box_traceback(L, NULL, box->traceback, BOX_TEXT_MAX);
	if (box->refused) {
		run_drop_coros(run); /* they hold what is to be collected */
		memory_refused(run->vm);
	}
	run_break(run, RUN_ERROR, text, at, box->traceback);
}

static void on_deadline(struct timer *t)
{
	struct policy_run *run = container_of(t, struct policy_run, deadline);
	char at[256];

	where(run, run->main->L, at, sizeof at);
	box_traceback(run->main->L, NULL, run->vm->box.traceback, BOX_TEXT_MAX);
	run->waited_us += now_us(run) - run->waiting_since_us;
	run_break(run, RUN_TIMEOUT, NULL, at, run->vm->box.traceback);
}

static void wait_for_it(struct policy_run *run)
{
	const int64_t left = run->vm->rt->env.budget.wait_us_max - run->waited_us;

	run->waiting_since_us = now_us(run);
	timer_set_in(run->vm->rt->env.loop, &run->deadline, left > 0 ? left : 0);
}

void run_continue(struct coro *c, int nargs)
{
	struct policy_run *run = c->run;

	if (run->waiting_since_us) {
		run->waited_us += now_us(run) - run->waiting_since_us;
		run->waiting_since_us = 0;
		timer_unset(run->vm->rt->env.loop, &run->deadline);
	}
	const int status = resume(c, nargs);
	if (run->budget.blown) {
		run_break(run, RUN_BUDGET, NULL, run->vm->box.at, run->vm->box.traceback);
	} else if (status == LUA_YIELD) {
		wait_for_it(run);
	} else if (status != 0) {
		failed(run, c->L);
	} else if (c == run->main) {
		judge(run);
	} else {
		/* A child of relay.all: whoever waits for it goes on when it was the last one. */
		struct coro *parent = c->parent;
		const int n = all_child_done(c);
		coro_give(&run->vm->coros, c);
		if (n > 0)
			run_continue(parent, n);
		else
			wait_for_it(run);
	}
}

struct coro *run_coro(lua_State *L)
{
	const struct policy_run *run = vm_of(L)->running;

	if (!run)
		return NULL;
	list_for_each(it, &run->coros) {
		struct coro *c = list_entry(it, struct coro, link);
		if (c->L == L)
			return c;
	}
	return NULL;
}

/* ---- asking --------------------------------------------------------------------------------------------------------- */

static bool is_in_canary(const struct policy_use *use, const struct view_conn *conn, int64_t wall_us)
{
	if (use->until_us && wall_us >= use->until_us)
		return false;
	if (!conn || (!use->networks && use->share <= 0))
		return false;
	if (use->networks && !ip_set_contains(use->networks, &conn->client.addr))
		return false;
	if (use->share <= 0)
		return true;
	const uint32_t h = hash_crc32c(0, conn->client.addr.b, conn->client.addr.len);
	return h % 10000 < use->share * 100;
}

static void ask(struct policy_run *run, int function)
{
	const struct policy_limits *limits = &run->vm->rt->env.budget;

	run->budget = (struct budget){ .instructions_max = limits->instructions_max,
				       .compute_us_max = limits->compute_us_max };
	run->waited_us = run->waiting_since_us = 0;
	run->made = run->logged = 0;
	run->main = coro_take(&run->vm->coros, run);
	list_push_back(&run->coros, &run->main->link);
	lua_rawgeti(run->main->L, LUA_REGISTRYINDEX, function);
	run_continue(run->main, run_push_args(run, run->main->L));
}

static void ask_next(struct policy_run *run)
{
	const struct policy_runtime *rt = run->vm->rt;

	while (run->at < run->uses->n) {
		struct policy_use *use = run->uses->use[run->at++];
		const int function = use->hook[run->call->id];
		if (function == LUA_NOREF)
			continue;
		run->use = use;
		run->observing = use->mode == HOOK_MODE_OBSERVE ||
				 (use->mode == HOOK_MODE_CANARY &&
				  !is_in_canary(use, run->conn, loop_wall_us(rt->env.loop)));
		buf_reset(&run->would);
		ask(run, function);
		return;
	}
	run->call->verdict = (struct verdict){ .kind = VERDICT_NONE };
	finish(run);
}

static struct policy_run *run_new(struct policy_vm *vm, const struct policy_uses *uses)
{
	struct policy_run *run = mem_alloc(sizeof *run);

	run->vm = vm;
	run->uses = uses;
	run->rcpt_ref = run->msg_ref = run->meta_ref = LUA_NOREF;
	list_init(&run->coros);
	timer_init(&run->deadline, on_deadline);
	task_init(&run->done, on_done);
	buf_init(&run->would, RUN_WOULD_MAX);
	list_push_back(&vm->runs, &run->link);
	vm->rt->runs++;
	return run;
}

void run_start(struct policy_vm *vm, struct hook_call *call)
{
	struct policy_run *run = run_new(vm, vm_uses(vm, call->policies));

	run->call = call;
	run->hook_name = hook_name(call->id);
	run->conn = call->conn ? call->conn : call->txn ? call->txn->conn : NULL;
	call->impl = run;
	call->pending = true;
	metric_add_label(vm->rt->env.metrics, METRIC_HOOK_CALLS_TOTAL, span_of(run->hook_name), 1);
	ask_next(run);
}

void run_cancel(struct policy_run *run)
{
	run->call->verdict = broken_verdict("policy-canceled", run->use ? run->use->name : NULL);
	if (!run->answered)
		finish(run);
}

void run_observe(struct policy_vm *vm, const struct hook_event *ev)
{
	struct policy_run *run = run_new(vm, vm_uses(vm, ev->policies));

	run->event = ev;
	run->hook_name = observer_id_name(ev->id);
	run->conn = ev->conn ? ev->conn : ev->txn ? ev->txn->conn : NULL;
	while (run->at < run->uses->n) {
		run->use = run->uses->use[run->at++];
		if (run->use->observer[ev->id] != LUA_NOREF)
			ask(run, run->use->observer[ev->id]);
	}
	run_free(run);
}
