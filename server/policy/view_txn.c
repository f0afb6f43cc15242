/* policy/view_txn.c - txn and rcpt, as policies see them. schema/lua_api.lua says what each of these is. */
#include <lauxlib.h>

#include "policy/lib.h"
#include "policy/run.h"
#include "policy/view_push.h"

static struct view_txn *txn_of(const struct view_ud *u)
{
	return u->p;
}

static const struct view_rcpt *rcpt_of(const struct view_ud *u)
{
	return u->p;
}

static int push_conn_view(lua_State *L, struct view_conn *conn)
{
	struct policy_vm *vm = vm_of(L);
	const bool enforced = vm->box.enforce;

	vm->box.enforce = false;
	subject_push(L, subject_get(vm, &view_conn_class, conn, &conn->policy));
	vm->box.enforce = enforced;
	return 1;
}

static int push_txn_view(lua_State *L, struct view_txn *txn)
{
	struct policy_vm *vm = vm_of(L);
	const bool enforced = vm->box.enforce;

	vm->box.enforce = false;
	subject_push(L, subject_get(vm, &view_txn_class, txn, &txn->policy));
	vm->box.enforce = enforced;
	return 1;
}

static int get_conn(lua_State *L, struct view_ud *u)
{
	return push_conn_view(L, txn_of(u)->conn);
}

static int get_sender(lua_State *L, struct view_ud *u)
{
	const struct view_txn *t = txn_of(u);

	push_address(L, t->sender_address, t->sender.local, t->sender.domain);
	return 1;
}

static int get_vars(lua_State *L, struct view_ud *u)
{
	subject_push_vars(L, u->subject);
	return 1;
}

static bool has(const struct view_ud *u, unsigned param)
{
	return txn_of(u)->params.has & param;
}

/* nil unless the client said it */
static int get_size(lua_State *L, struct view_ud *u)
{
	if (has(u, SMTP_MAIL_SIZE))
		lua_pushnumber(L, (double)txn_of(u)->params.size_octets);
	else
		lua_pushnil(L);
	return 1;
}

static int get_body(lua_State *L, struct view_ud *u)
{
	lua_pushstring(L, smtp_body_name(has(u, SMTP_MAIL_BODY) ? txn_of(u)->params.body : SMTP_BODY_7BIT));
	return 1;
}

static int get_smtputf8(lua_State *L, struct view_ud *u)
{
	lua_pushboolean(L, has(u, SMTP_MAIL_SMTPUTF8));
	return 1;
}

static int get_requiretls(lua_State *L, struct view_ud *u)
{
	lua_pushboolean(L, has(u, SMTP_MAIL_REQUIRETLS));
	return 1;
}

static int get_envid(lua_State *L, struct view_ud *u)
{
	return push_span_or_nil(L, has(u, SMTP_MAIL_ENVID) ? txn_of(u)->params.envid : SPAN(""));
}

#define NUMBER_FIELD(name, value)                                                                            \
	static int get_##name(lua_State *L, struct view_ud *u)                                               \
	{                                                                                                    \
		lua_pushnumber(L, (double)(value));                                                          \
		return 1;                                                                                    \
	}
NUMBER_FIELD(rcpts, txn_of(u)->rcpts)
NUMBER_FIELD(rcpts_refused, txn_of(u)->rcpts_refused)
NUMBER_FIELD(started_at, txn_of(u)->started_wall_us / 1000000)
#undef NUMBER_FIELD

static const struct view_field txn_fields[] = {
	{ "conn", ANYWHERE, get_conn },
	{ "sender", ANYWHERE, get_sender },
	{ "size", ANYWHERE, get_size },
	{ "body", ANYWHERE, get_body },
	{ "smtputf8", ANYWHERE, get_smtputf8 },
	{ "requiretls", ANYWHERE, get_requiretls },
	{ "envid", ANYWHERE, get_envid },
	{ "rcpts", ANYWHERE & ~IN_HOOK(MAIL), get_rcpts },
	{ "rcpts_refused", ANYWHERE & ~IN_HOOK(MAIL), get_rcpts_refused },
	{ "started_at", ANYWHERE, get_started_at },
	{ "vars", ANYWHERE, get_vars },
	{ NULL, 0, NULL },
};

/* txn:log(level, event [, fields]) */
static int pl_log(lua_State *L)
{
	(void)view_ud_check(L, &view_txn_class);
	lua_remove(L, 1);
	return pl_log_any(L);
}

static const struct view_method txn_methods[] = {
	{ "log", ANYWHERE, pl_log },
	{ NULL, 0, NULL },
};

const struct view_class view_txn_class = { "txn", UD_TXN, txn_fields, txn_methods };

/* ---- rcpt --------------------------------------------------------------------------------------------------------- */

static int get_rcpt_txn(lua_State *L, struct view_ud *u)
{
	return push_txn_view(L, rcpt_of(u)->txn);
}

static int get_address(lua_State *L, struct view_ud *u)
{
	box_push_span(L, rcpt_of(u)->address);
	return 1;
}

static int get_local_part(lua_State *L, struct view_ud *u)
{
	box_push_span(L, rcpt_of(u)->path.local);
	return 1;
}

static int get_domain(lua_State *L, struct view_ud *u)
{
	box_push_span(L, rcpt_of(u)->path.domain);
	return 1;
}

static int get_routed_local(lua_State *L, struct view_ud *u)
{
	lua_pushboolean(L, rcpt_of(u)->routed_local);
	return 1;
}

static int get_orcpt(lua_State *L, struct view_ud *u)
{
	return push_span_or_nil(L, rcpt_of(u)->params.has & SMTP_RCPT_ORCPT ? rcpt_of(u)->params.orcpt
									    : SPAN(""));
}

/* { success =, failure =, delay = }, or nil if the client did not say */
static int get_notify(lua_State *L, struct view_ud *u)
{
	const struct smtp_rcpt_params *p = &rcpt_of(u)->params;

	if (!(p->has & SMTP_RCPT_NOTIFY)) {
		lua_pushnil(L);
		return 1;
	}
	lua_createtable(L, 0, 3);
	lua_pushboolean(L, (p->notify & SMTP_NOTIFY_SUCCESS) != 0);
	lua_setfield(L, -2, "success");
	lua_pushboolean(L, (p->notify & SMTP_NOTIFY_FAILURE) != 0);
	lua_setfield(L, -2, "failure");
	lua_pushboolean(L, (p->notify & SMTP_NOTIFY_DELAY) != 0);
	lua_setfield(L, -2, "delay");
	return 1;
}

static const struct view_field rcpt_fields[] = {
	{ "txn", ANYWHERE, get_rcpt_txn },
	{ "address", ANYWHERE, get_address },
	{ "local_part", ANYWHERE, get_local_part },
	{ "domain", ANYWHERE, get_domain },
	{ "routed_local", ANYWHERE, get_routed_local },
	{ "orcpt", ANYWHERE, get_orcpt },
	{ "notify", ANYWHERE, get_notify },
	{ NULL, 0, NULL },
};

static const struct view_method rcpt_methods[] = { { NULL, 0, NULL } };

const struct view_class view_rcpt_class = { "rcpt", UD_RCPT, rcpt_fields, rcpt_methods };
