/* policy/view_msg.c - msg, as policies see it: fields. schema/lua_api.lua says what each of these is. */
#include "policy/view_msg.h"

#include <lauxlib.h>

#include "dkim/dkim_verify.h"
#include "mail/mail_address.h"
#include "mail/mail_fold.h"
#include "policy/view_push.h"

static int get_queue_id(lua_State *L, struct view_ud *u)
{
	return push_span_or_nil(L, msg_of(u)->queue_id);
}

static int get_size(lua_State *L, struct view_ud *u)
{
	lua_pushnumber(L, (double)msg_of(u)->size_bytes);
	return 1;
}

static int get_received(lua_State *L, struct view_ud *u)
{
	lua_pushnumber(L, msg_of(u)->received);
	return 1;
}

static int get_has_8bit(lua_State *L, struct view_ud *u)
{
	lua_pushboolean(L, msg_of(u)->has_8bit);
	return 1;
}

/* nil when it is not in memory */
static int get_body(lua_State *L, struct view_ud *u)
{
	if (msg_of(u)->body.p)
		box_push_span(L, msg_of(u)->body);
	else
		lua_pushnil(L);
	return 1;
}

static int get_txn(lua_State *L, struct view_ud *u)
{
	struct policy_vm *vm = vm_of(L);
	struct view_txn *txn = msg_of(u)->txn;

	if (!txn) {
		lua_pushnil(L);
		return 1;
	}
	const bool enforced = lib_relax(L);
	subject_push(L, subject_get(vm, &view_txn_class, txn, &txn->policy));
	lib_enforce(L, enforced);
	return 1;
}

static int get_recipients(lua_State *L, struct view_ud *u)
{
	const struct view_msg *m = msg_of(u);

	lua_createtable(L, (int)m->nrcpt, 0);
	for (uint32_t i = 0; i < m->nrcpt; i++) {
		push_address(L, m->rcpt[i].address, m->rcpt[i].path.local, m->rcpt[i].path.domain);
		lua_rawseti(L, -2, (int)i + 1);
	}
	return 1;
}

static int get_meta(lua_State *L, struct view_ud *u)
{
	msg_meta_push(L, u);
	return 1;
}

static int push_value_of(lua_State *L, const struct view_msg *m, struct span name)
{
	const struct span v = m->head ? mail_head_value(m->head, name) : SPAN("");

	if (v.p)
		box_push_span(L, v);
	else
		lua_pushnil(L);
	return 1;
}

static int get_subject(lua_State *L, struct view_ud *u)
{
	return push_value_of(L, msg_of(u), SPAN("Subject"));
}

static int get_message_id(lua_State *L, struct view_ud *u)
{
	return push_value_of(L, msg_of(u), SPAN("Message-ID"));
}

static void push_box(lua_State *L, const struct mail_mailbox *b)
{
	struct buf address = BUF_INIT(1024);

	if (!mail_address_write(&address, b->local, b->domain, MAIL_FOLD_UTF8))
		buf_reset(&address);
	push_address(L, buf_span(&address), b->local, b->domain);
	push_field(L, "name", b->name);
	buf_free(&address);
}

/* All mailboxes of all fields @name, as a list; `broken` counts what could not be understood. */
static int push_mailboxes(lua_State *L, const struct view_msg *m, struct span name)
{
	const bool enforced = lib_relax(L);
	struct arena *a = arena_new(MSG_SCRATCH_MAX);
	int n = 0;
	size_t broken = 0;

	lua_newtable(L);
	for (int nth = 0; m->head; nth++) {
		const struct mail_field *f = mail_head_find(m->head, name, nth);
		struct mail_address_list list;
		if (!f)
			break;
		if (mail_address_parse(a, f->body, MSG_BOXES_MAX, &list) < 0) {
			broken++;
			break;
		}
		broken += list.broken;
		for (size_t i = 0; i < list.n; i++) {
			push_box(L, &list.boxes[i]);
			lua_rawseti(L, -2, ++n);
		}
	}
	lua_pushnumber(L, (double)broken);
	lua_setfield(L, -2, "broken");
	arena_free(&a);
	lib_enforce(L, enforced);
	return 1;
}

static int get_from(lua_State *L, struct view_ud *u)
{
	return push_mailboxes(L, msg_of(u), SPAN("From"));
}

static int get_to(lua_State *L, struct view_ud *u)
{
	return push_mailboxes(L, msg_of(u), SPAN("To"));
}

static int get_cc(lua_State *L, struct view_ud *u)
{
	return push_mailboxes(L, msg_of(u), SPAN("Cc"));
}

static int get_reply_to(lua_State *L, struct view_ud *u)
{
	return push_mailboxes(L, msg_of(u), SPAN("Reply-To"));
}

static void push_outcome(lua_State *L, const struct dkim_outcome *o)
{
	lua_createtable(L, 0, 8);
	push_field(L, "domain", o->domain);
	push_field(L, "selector", o->selector);
	push_field(L, "identity", o->identity);
	push_field(L, "result", span_of(dkim_result_name(o->result)));
	push_field(L, "reason", span_of(o->why));
	push_field(L, "algorithm", span_of(mail_dkim_algorithm_name(o->algorithm)));
	lua_pushboolean(L, o->testing);
	lua_setfield(L, -2, "testing");
	lua_pushboolean(L, o->partial);
	lua_setfield(L, -2, "partial");
}

/* nil where nobody looked */
static int get_dkim(lua_State *L, struct view_ud *u)
{
	const struct dkim_verify *v = msg_of(u)->dkim;

	if (!v) {
		lua_pushnil(L);
		return 1;
	}
	lua_createtable(L, (int)v->n, 0);
	for (size_t i = 0; i < v->n; i++) {
		push_outcome(L, &v->outcome[i]);
		lua_rawseti(L, -2, (int)i + 1);
	}
	return 1;
}

static int get_arc(lua_State *L, struct view_ud *u)
{
	const struct dkim_verify *v = msg_of(u)->dkim;

	return push_span_or_nil(L, v ? span_of(dkim_result_name(v->chain.result)) : (struct span){ NULL, 0 });
}

static const struct view_field fields[] = {
	{ "queue_id", ANYWHERE, get_queue_id },
	{ "size", ANYWHERE, get_size },
	{ "received", ANYWHERE, get_received },
	{ "has_8bit", ANYWHERE, get_has_8bit },
	{ "body", ANYWHERE, get_body },
	{ "txn", ANYWHERE & ~IN_HOOK(ROUTE), get_txn },
	{ "recipients", ANYWHERE, get_recipients },
	{ "meta", ANYWHERE, get_meta },
	{ "subject", ANYWHERE, get_subject },
	{ "message_id", ANYWHERE, get_message_id },
	{ "from", ANYWHERE, get_from },
	{ "to", ANYWHERE, get_to },
	{ "cc", ANYWHERE, get_cc },
	{ "reply_to", ANYWHERE, get_reply_to },
	{ "dkim", ANYWHERE, get_dkim },
	{ "arc", ANYWHERE, get_arc },
	{ NULL, 0, NULL },
};

const struct view_class view_msg_class = { "msg", UD_MSG, fields, view_msg_methods };
