#include <lauxlib.h>

#include "policy/run.h"
#include "policy/view_push.h"

const char *observer_id_name(enum observer_id id)
{
	static const char *const names[OBSERVER_MAX_] = {
#define X(name, text) [OBSERVER_##name] = text,
		OBSERVER_MAP(X)
#undef X
	};

	return (unsigned)id < OBSERVER_MAX_ ? names[id] : "?";
}

static void push_conn(struct policy_run *run, lua_State *L)
{
	if (!run->conn) {
		lua_pushnil(L);
		return;
	}
	subject_push(L, subject_get(run->vm, &view_conn_class, run->conn, &run->conn->policy));
}

static void push_txn(struct policy_run *run, lua_State *L, struct view_txn *txn)
{
	if (!txn) {
		lua_pushnil(L);
		return;
	}
	subject_push(L, subject_get(run->vm, &view_txn_class, txn, &txn->policy));
}

/* One userdata for all policies that are asked; policies that keep it find it gone later. */
static void push_once(lua_State *L, struct view_ud **slot, int *ref, const struct view_class *class,
		      void *view)
{
	if (!view) {
		lua_pushnil(L);
		return;
	}
	if (!*slot) {
		*slot = view_ud_push(L, class, view);
		*ref = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, *ref);
}

static void push_identity(lua_State *L, const struct view_conn *c)
{
	lua_createtable(L, 0, 3);
	push_field(L, "user", c->auth_user);
	push_field(L, "realm", c->auth_realm);
	push_field(L, "mechanism", c->auth_mech);
}

static void push_failed_attempt(lua_State *L, const struct hook_event *ev)
{
	lua_createtable(L, 0, 4);
	push_field(L, "user", ev->text);
	push_field(L, "mechanism", ev->mechanism);
	push_field(L, "reason", ev->status);
	lua_pushinteger(L, ev->code);
	lua_setfield(L, -2, "code");
}

static void push_sender(lua_State *L, const struct view_txn *txn)
{
	push_address(L, txn->sender_address, txn->sender.local, txn->sender.domain);
}

static void push_dest(lua_State *L, const struct view_rcpt *rcpt)
{
	if (!rcpt) {
		lua_pushnil(L);
		return;
	}
	push_address(L, rcpt->address, rcpt->path.local, rcpt->path.domain);
}

static int push_question(struct policy_run *run, lua_State *L)
{
	const struct hook_call *call = run->call;

	switch (call->id) {
	case HOOK_CONNECT:
	case HOOK_STARTTLS:
		push_conn(run, L);
		return 1;
	case HOOK_HELO:
		push_conn(run, L);
		box_push_span(L, call->conn->helo);
		return 2;
	case HOOK_AUTH:
		push_conn(run, L);
		push_identity(L, call->conn);
		return 2;
	case HOOK_MAIL:
		push_txn(run, L, call->txn);
		push_sender(L, call->txn);
		return 2;
	case HOOK_RCPT:
		push_txn(run, L, call->txn);
		push_once(L, &run->rcpt, &run->rcpt_ref, &view_rcpt_class, call->rcpt);
		return 2;
	case HOOK_DATA:
		push_txn(run, L, call->txn);
		return 1;
	case HOOK_MESSAGE:
		push_txn(run, L, call->txn);
		push_once(L, &run->msg, &run->msg_ref, &view_msg_class, call->msg);
		return 2;
	case HOOK_ROUTE:
		push_once(L, &run->msg, &run->msg_ref, &view_msg_class, call->msg);
		push_dest(L, call->rcpt);
		return 2;
	case HOOK_MAX_:
		break;
	}
	return 0;
}

static void push_refusal(lua_State *L, const struct hook_event *ev)
{
	const struct verdict *v = ev->verdict;

	lua_createtable(L, 0, 8);
	push_field(L, "recipient", ev->recipient);
	push_field(L, "sender", ev->sender);
	push_field(L, "status", ev->status);
	if (!v) {
		push_field(L, "text", ev->text);
		lua_pushinteger(L, ev->code);
		lua_setfield(L, -2, "code");
		return;
	}
	push_field(L, "kind", span_of(verdict_kind_name(v->kind)));
	push_field(L, "rule", v->rule);
	push_field(L, "policy", v->policy);
	push_field(L, "text", v->text);
	push_field(L, "enhanced", v->enhanced);
	lua_pushinteger(L, v->code);
	lua_setfield(L, -2, "code");
}

/* A delivery is over when its session may be long gone: what is told are values. */
static void push_message_values(lua_State *L, const struct hook_event *ev)
{
	lua_createtable(L, 0, 3);
	push_field(L, "queue_id", ev->queue_id);
	push_field(L, "sender", ev->sender);
	push_field(L, "device", ev->device);
}

static void push_delivery(lua_State *L, const struct hook_event *ev)
{
	lua_createtable(L, 0, 5);
	push_field(L, "recipient", ev->recipient);
	push_field(L, "remote", ev->remote);
	push_field(L, "status", ev->status);
	push_field(L, "text", ev->text);
	lua_pushinteger(L, ev->code);
	lua_setfield(L, -2, "code");
}

static int push_event(struct policy_run *run, lua_State *L)
{
	const struct hook_event *ev = run->event;

	switch (ev->id) {
	case OBSERVER_SESSION_CLOSED:
	case OBSERVER_AUTHENTICATED:
		push_conn(run, L);
		return 1;
	case OBSERVER_AUTH_FAILED:
		push_conn(run, L);
		push_failed_attempt(L, ev);
		return 2;
	case OBSERVER_ACCEPTED:
		push_txn(run, L, ev->txn);
		push_once(L, &run->msg, &run->msg_ref, &view_msg_class, ev->msg);
		return 2;
	case OBSERVER_REFUSED:
		push_conn(run, L);
		push_refusal(L, ev);
		return 2;
	case OBSERVER_DELIVERED:
	case OBSERVER_DEFERRED:
	case OBSERVER_BOUNCED:
	case OBSERVER_NOTICE_FAILED:
		push_message_values(L, ev);
		push_delivery(L, ev);
		return 2;
	case OBSERVER_DEVICE_CHANGED:
		box_push_span(L, ev->device);
		lua_createtable(L, 0, 2);
		push_field(L, "status", ev->status);
		push_field(L, "text", ev->text);
		return 2;
	case OBSERVER_MAX_:
		break;
	}
	return 0;
}

int run_push_args(struct policy_run *run, lua_State *L)
{
	return run->call ? push_question(run, L) : push_event(run, L);
}
