/* policy/hook_impl.c - struct hook_ops, as hook/hook.h wants it. */
#include "policy/run.h"

/* A transaction stays in the state in which it began; everything else goes to the newest. */
static struct policy_vm *vm_for(struct policy_runtime *rt, const struct view_txn *txn)
{
	const struct policy_subject *s = txn ? txn->policy : NULL;

	return s && s->vm && !s->vm->closing ? s->vm : rt->vm;
}

static bool wants(void *impl, const void *policies, enum hook_id id)
{
	const struct policy_runtime *rt = impl;

	list_for_each(it, &rt->vms)
		if (vm_uses(list_entry(it, struct policy_vm, link), policies)->hooks >> id & 1)
			return true;
	return false;
}

static void start(void *impl, struct hook_call *call)
{
	struct policy_runtime *rt = impl;

	run_start(vm_for(rt, call->txn), call);
}

static void cancel(void *impl, struct hook_call *call)
{
	(void)impl;
	if (call->pending && call->impl)
		run_cancel(call->impl);
}

static void observe(void *impl, const struct hook_event *ev)
{
	struct policy_runtime *rt = impl;
	struct policy_vm *vm = vm_for(rt, ev->txn);

	/* An event from within a hook (an action that a policy asked for) cannot run on the same state. */
	if (vm->running || !(vm_uses(vm, ev->policies)->observers >> ev->id & 1))
		return;
	run_observe(vm, ev);
}

static const void *list(void *impl, struct span listener)
{
	return runtime_list(impl, listener, false);
}

static void conn_gone(void *impl, struct view_conn *conn)
{
	(void)impl;
	subject_end(&conn->policy);
}

static void txn_gone(void *impl, struct view_txn *txn)
{
	(void)impl;
	subject_end(&txn->policy);
}

const struct hook_ops policy_hook_ops = {
	.wants = wants,
	.start = start,
	.cancel = cancel,
	.observe = observe,
	.list = list,
	.conn_gone = conn_gone,
	.txn_gone = txn_gone,
};
