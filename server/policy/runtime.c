/* policy/runtime.c - a worker's states: the one that answers, and older ones that still have something to end. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/policy_check.h"
#include "policy/run.h"

enum { REBUILD_PAUSE_US = 10000000, NAMES_MEM_MAX = 1024 * 1024 };

struct name {
	struct list link;
	char text[];
};

struct policy_limits policy_limits_default(void)
{
	return (struct policy_limits){ .memory_max_bytes = 64 * 1024 * 1024,
				       .instructions_max = 2000000,
				       .compute_us_max = 50000,
				       .wait_us_max = 5000000,
				       .setup_instructions_max = 50000000 };
}

const char *runtime_intern(struct policy_runtime *rt, struct span text)
{
	list_for_each(it, &rt->names) {
		const struct name *n = list_entry(it, struct name, link);
		if (span_eq(span_of(n->text), text))
			return n->text;
	}
	struct name *n = mem_alloc(sizeof *n + text.n + 1);
	memcpy(n->text, text.p, text.n);
	list_push_back(&rt->names, &n->link);
	return n->text;
}

struct policy_list *runtime_list(struct policy_runtime *rt, struct span listener, bool make)
{
	list_for_each(it, &rt->lists) {
		struct policy_list *l = list_entry(it, struct policy_list, link);
		if (span_eq(span_of(l->listener), listener))
			return l;
	}
	if (!make)
		return NULL;
	struct policy_list *l = mem_alloc(sizeof *l);
	l->listener = mem_strndup(listener.p, listener.n);
	l->index = rt->nlists++;
	list_push_back(&rt->lists, &l->link);
	return l;
}

/* ---- tidy: once a turn, if something ended ---------------------------------------------------------------------------- */

static void runtime_free(struct policy_runtime *rt)
{
	void (*closed)(void *) = rt->closed;
	void *arg = rt->closed_arg;

	list_for_each_safe(it, &rt->names)
		free(list_entry(it, struct name, link));
	list_for_each_safe(it, &rt->lists) {
		struct policy_list *l = list_entry(it, struct policy_list, link);
		free(l->listener);
		free(l);
	}
	task_unschedule(&rt->tidy);
	free(rt);
	if (closed)
		closed(arg);
}

static void retire(struct policy_vm *vm)
{
	vm->retiring = true;
	vm_touch(vm);
}

static void rebuild(struct policy_runtime *rt)
{
	const int64_t now = loop_now_us(rt->env.loop);
	struct policy_vm *old = rt->vm, *vm;
	struct errtext why;

	if (rt->rebuilt_us && now - rt->rebuilt_us < REBUILD_PAUSE_US)
		return;
	rt->rebuilt_us = now;
	if (vm_new(rt, old->bundle, NULL, &why, &vm) < 0)
		return; /* the old one stays: its policies fail, and say so */
	rt->rebuilt++;
	rt->vm = vm;
	old->rebuild = false;
	retire(old);
}

/* A connection that goes on after its state has gone takes vars along. */
static void move_subjects(struct policy_vm *from, struct policy_vm *to)
{
	list_for_each_safe(it, &from->subjects) {
		struct policy_subject *s = list_entry(it, struct policy_subject, link);
		void *slot = s;
		(void)subject_get(to, s->class, s->view, &slot);
	}
}

static void on_tidy(struct task *t)
{
	struct policy_runtime *rt = container_of(t, struct policy_runtime, tidy);

	if (rt->vm && rt->vm->rebuild && !rt->closing)
		rebuild(rt);
	list_for_each_safe(it, &rt->vms) {
		struct policy_vm *vm = list_entry(it, struct policy_vm, link);
		if (!vm->retiring || vm->closing || !list_empty(&vm->runs) ||
		    (vm->transactions && !rt->closing))
			continue;
		if (rt->vm != vm && !rt->closing)
			move_subjects(vm, rt->vm);
		vm_close(vm);
	}
	if (rt->closing && list_empty(&rt->vms))
		runtime_free(rt);
}

/* ---- the outside ------------------------------------------------------------------------------------------------------ */

static struct policy_runtime *runtime_new(const struct policy_env *env)
{
	struct policy_runtime *rt = mem_alloc(sizeof *rt);

	rt->env = *env;
	list_init(&rt->vms);
	list_init(&rt->lists);
	list_init(&rt->names);
	task_init(&rt->tidy, on_tidy);
	return rt;
}

int policy_runtime_new(const struct policy_env *env, struct policy_bundle *bundle, struct errtext *why,
		       struct policy_runtime **rt_r)
{
	struct policy_runtime *rt = runtime_new(env);
	const int r = vm_new(rt, bundle, NULL, why, &rt->vm);

	if (r < 0) {
		runtime_free(rt);
		return r;
	}
	*rt_r = rt;
	return 0;
}

int policy_runtime_reload(struct policy_runtime *rt, struct policy_bundle *bundle, struct errtext *why)
{
	struct policy_vm *old = rt->vm, *vm;
	const int r = vm_new(rt, bundle, NULL, why, &vm);

	if (r < 0)
		return r;
	rt->vm = vm;
	retire(old);
	return 0;
}

void policy_runtime_close(struct policy_runtime **rt_p, void (*closed)(void *arg), void *arg)
{
	struct policy_runtime *rt = *rt_p;

	*rt_p = NULL;
	if (!rt)
		return;
	rt->closing = true;
	rt->vm = NULL;
	rt->closed = closed;
	rt->closed_arg = arg;
	list_for_each(it, &rt->vms) {
		struct policy_vm *vm = list_entry(it, struct policy_vm, link);
		vm->retiring = true;
		list_for_each_safe(r, &vm->runs)
			run_cancel(list_entry(r, struct policy_run, link));
	}
	task_schedule(rt->env.loop, &rt->tidy);
}

struct policy_now policy_runtime_now(const struct policy_runtime *rt)
{
	struct policy_now now = { .hook = atomic_load_explicit(&rt->now_hook, memory_order_relaxed) };

	if (now.hook)
		now.policy = atomic_load_explicit(&rt->now_policy, memory_order_relaxed);
	return now;
}

struct policy_stats policy_runtime_stats(const struct policy_runtime *rt)
{
	struct policy_stats s = { .running = rt->runs, .stale = rt->stale, .rebuilt = rt->rebuilt };

	list_for_each(it, &rt->vms) {
		s.states++;
		s.lua_bytes += list_entry(it, struct policy_vm, link)->box.used_bytes;
	}
	return s;
}

/* As the workers will have it: what the configuration gives a policy, it has while it is checked. */
static struct policy_limits limits_of(const struct policy_bundle *b)
{
	const struct config_value *v = config_get(policy_bundle_config(b), "limits");
	struct policy_limits l = policy_limits_default();

	l.memory_max_bytes = (size_t)config_int(config_get(v, "memory"), (int64_t)l.memory_max_bytes);
	l.setup_instructions_max =
		(uint64_t)config_int(config_get(v, "setup_instructions"), (int64_t)l.setup_instructions_max);
	return l;
}

int policy_check(struct policy_bundle *b, struct config_problems *problems)
{
	const size_t errors = problems->errors;
	struct policy_env env = { .loop = loop_new(), .budget = limits_of(b), .worker = -1 };
	struct policy_runtime *rt = runtime_new(&env);
	struct errtext why;
	struct policy_vm *vm;
	int r = vm_new(rt, b, problems, &why, &vm);

	if (r < 0 && problems->errors == errors)
		config_problem_add(problems, false, span_make(NULL, 0), 0, "%s", why.s);
	rt->vm = r == 0 ? vm : NULL;
	policy_runtime_close(&rt, NULL, NULL);
	loop_set_resident(env.loop, false);
	while (loop_run_once(env.loop, false))
		;
	loop_free(&env.loop);
	return r;
}
