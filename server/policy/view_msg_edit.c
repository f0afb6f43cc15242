/* policy/view_msg_edit.c - msg, as policies see it: its header, and what may be changed. */
#include <lauxlib.h>

#include "mail/mail_fault.h"
#include "mail/mail_fold.h"
#include "mail/mail_rewrite.h"
#include "policy/lib.h"
#include "policy/view_msg.h"
#include "policy/view_push.h"
#include "smtp/smtp_path.h"

static struct mail_head *head_of(lua_State *L, struct view_msg **m_r)
{
	struct view_ud *u = view_ud_check(L, &view_msg_class);

	*m_r = msg_of(u);
	if (!(*m_r)->head)
		luaL_error(L, "the header of this message is not at hand");
	return (*m_r)->head;
}

static struct span check_span(lua_State *L, int i)
{
	(void)luaL_checkstring(L, i);
	return box_span(L, i);
}

/* The flags for text that goes into a field of this message. */
static unsigned fold_flags(const struct view_msg *m)
{
	return m->txn && m->txn->params.has & SMTP_MAIL_SMTPUTF8 ? MAIL_FOLD_UTF8 : 0;
}

static void check_edit(lua_State *L, int r, const char *what)
{
	if (r == -ERR_INVAL)
		luaL_error(L, "%s: that is no name or no value of a header field", what);
	else if (r < 0)
		luaL_error(L, "%s: there is no room left in the header", what);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int pl_header(lua_State *L)
{
	struct view_msg *m;
	const struct mail_head *h = head_of(L, &m);
	const struct span v = mail_head_value(h, check_span(L, 2));

	if (!v.p)
		return 0;
	box_push_span(L, v);
	return 1;
}

static int pl_headers(lua_State *L)
{
	struct view_msg *m;
	const struct mail_head *h = head_of(L, &m);
	const struct span name = check_span(L, 2);
	int n = 0;

	lua_newtable(L);
	for (int nth = 0;; nth++) {
		const struct mail_field *f = mail_head_find(h, name, nth);
		if (!f)
			break;
		const struct span v = mail_field_value(m->head_mem, f);
		box_push_span(L, v);
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

static int pl_count(lua_State *L)
{
	struct view_msg *m;
	const struct mail_head *h = head_of(L, &m);

	lua_pushnumber(L, (double)mail_head_count(h, check_span(L, 2)));
	return 1;
}

/* ---- fields ------------------------------------------------------------------------------------------------------- */

static int pl_prepend(lua_State *L)
{
	struct view_msg *m;
	struct mail_head *h = head_of(L, &m);
	const struct span name = check_span(L, 2), value = check_span(L, 3);

	if (!lib_would(L, "prepend %s", name.p))
		check_edit(L, mail_head_prepend(h, name, value, fold_flags(m)), "msg:prepend");
	return 0;
}

static int pl_add(lua_State *L)
{
	struct view_msg *m;
	struct mail_head *h = head_of(L, &m);
	const struct span name = check_span(L, 2), value = check_span(L, 3);

	if (!lib_would(L, "add %s", name.p))
		check_edit(L, mail_head_append(h, name, value, fold_flags(m)), "msg:add");
	return 0;
}

/* Replaces the first field of the name and removes the others; adds one if there is none. */
static int pl_replace(lua_State *L)
{
	struct view_msg *m;
	struct mail_head *h = head_of(L, &m);
	const struct span name = check_span(L, 2), value = check_span(L, 3);
	struct mail_field *f = mail_head_find(h, name, 0);

	if (lib_would(L, "replace %s", name.p))
		return 0;
	if (!f) {
		check_edit(L, mail_head_append(h, name, value, fold_flags(m)), "msg:replace");
		return 0;
	}
	check_edit(L, mail_head_replace(h, f, value, fold_flags(m)), "msg:replace");
	for (struct mail_field *more = mail_head_find(h, name, 1); more; more = mail_head_find(h, name, 1))
		mail_head_remove(h, more);
	return 0;
}

static int pl_remove(lua_State *L)
{
	struct view_msg *m;
	struct mail_head *h = head_of(L, &m);
	const struct span name = check_span(L, 2);

	lua_pushnumber(L, (double)(lib_would(L, "remove %s", name.p) ? mail_head_count(h, name)
								     : mail_head_remove_all(h, name)));
	return 1;
}

/* ---- addresses ---------------------------------------------------------------------------------------------------- */

static int pl_set_sender(lua_State *L)
{
	struct view_msg *m;
	struct view_ud *u = view_ud_check(L, &view_msg_class);
	const struct span address = check_span(L, 2);

	m = msg_of(u);
	if (lib_would(L, "set sender <%s>", address.p))
		return 0;
	const struct view_actions *actions = m->txn && m->txn->conn ? m->txn->conn->actions : NULL;
	if (!actions || !actions->set_sender)
		return luaL_error(L, "msg:set_sender is not possible here");
	if (actions->set_sender(m, address) < 0)
		return luaL_error(L, "msg:set_sender: '%s' is no address", address.p);
	return 0;
}

static struct span string_in(lua_State *L, int table, const char *key)
{
	lua_getfield(L, table, key);
	if (lua_isnil(L, -1))
		return SPAN("");
	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "'%s' must be a string", key);
	return box_span(L, -1); /* it stays on the stack */
}

/* The parts of an address, with its local part unquoted: it is quoted anew where it is written. @lax: enum smtp_lax. */
static bool parse_address(const struct view_msg *m, struct span text, unsigned lax, struct span *local_r,
			  struct span *domain_r)
{
	struct smtp_path path;
	const char *why;

	if (smtp_path_parse_mailbox(m->head_mem, text, SMTP_ALLOW_UTF8 | lax, &path, &why) < 0)
		return false;
	*local_r = path.local;
	*domain_r = path.domain;
	return true;
}

/* msg:rewrite_senders { template =, domain =, default_domain =, keep_original = } */
static int pl_rewrite_senders(lua_State *L)
{
	struct view_msg *m;
	struct mail_head *h = head_of(L, &m);
	struct errtext why;

	luaL_checktype(L, 2, LUA_TTABLE);
	struct mail_rewrite_rule rule = { .template = string_in(L, 2, "template"),
					  .domain = string_in(L, 2, "domain"),
					  .default_domain = string_in(L, 2, "default_domain") };
	lua_getfield(L, 2, "keep_original");
	rule.keep_original = lua_toboolean(L, -1);
	if (mail_rewrite_check(rule.template, &why) < 0)
		return luaL_error(L, "msg:rewrite_senders: %s", why.s);
	if (lib_would(L, "rewrite senders to %s", rule.template.p)) {
		lua_pushinteger(L, 0);
		return 1;
	}
	const int n = mail_rewrite_senders(h, &rule);
	if (n < 0)
		return luaL_error(L, "msg:rewrite_senders: an address cannot be rewritten (%s)", err_text(n));
	lua_pushinteger(L, n);
	return 1;
}

/* msg:rewrite_author(address [, keep_original]) */
static int pl_rewrite_author(lua_State *L)
{
	struct view_msg *m;
	struct mail_head *h = head_of(L, &m);
	const struct span address = check_span(L, 2);
	struct span local, domain;

	if (!parse_address(m, address, 0, &local, &domain))
		return luaL_error(L, "msg:rewrite_author: '%s' is no address", address.p);
	if (lib_would(L, "rewrite author to %s", address.p))
		return 0;
	check_edit(L, mail_rewrite_author(h, local, domain, lua_toboolean(L, 3)), "msg:rewrite_author");
	return 0;
}

/* ---- faults ------------------------------------------------------------------------------------------------------- */

static const struct {
	unsigned bit;
	const char *name;
} fault_names[] = {
	{ MAIL_FAULT_NO_DATE, "no_date" },
	{ MAIL_FAULT_NO_FROM, "no_from" },
	{ MAIL_FAULT_NO_MESSAGE_ID, "no_message_id" },
	{ MAIL_FAULT_NO_SENDER, "no_sender" },
	{ MAIL_FAULT_NO_RECIPIENT, "no_recipient" },
	{ MAIL_FAULT_BAD_DATE, "bad_date" },
	{ MAIL_FAULT_BAD_FROM, "bad_from" },
	{ MAIL_FAULT_BAD_SENDER, "bad_sender" },
	{ MAIL_FAULT_BAD_MESSAGE_ID, "bad_message_id" },
	{ MAIL_FAULT_FROM_NO_DOMAIN, "from_no_domain" },
	{ MAIL_FAULT_DUPLICATE, "duplicate" },
};

/* { no_date = "no Date", ... } */
static void push_faults(lua_State *L, unsigned faults)
{
	lua_newtable(L);
	for (size_t i = 0; i < ARRAY_LEN(fault_names); i++) {
		if (!(faults & fault_names[i].bit))
			continue;
		lua_pushstring(L, mail_fault_text(fault_names[i].bit));
		lua_setfield(L, -2, fault_names[i].name);
	}
}

static struct mail_faults check_faults(lua_State *L, const struct mail_head *h)
{
	struct mail_faults faults = { 0 };

	if (mail_fault_check(h, &faults) < 0)
		luaL_error(L, "the header is too large to be checked");
	return faults;
}

static int pl_faults(lua_State *L)
{
	struct view_msg *m;
	const struct mail_head *h = head_of(L, &m);

	push_faults(L, check_faults(L, h).found);
	return 1;
}

static unsigned wanted_faults(lua_State *L, int i)
{
	unsigned wanted = 0;

	if (lua_isnil(L, i))
		return ~0u;
	luaL_checktype(L, i, LUA_TTABLE);
	for (int n = 1;; n++) {
		lua_rawgeti(L, i, n);
		const char *name = lua_tostring(L, -1);
		size_t at = 0;
		if (!name)
			break;
		while (at < ARRAY_LEN(fault_names) && strcmp(fault_names[at].name, name) != 0)
			at++;
		if (at == ARRAY_LEN(fault_names))
			luaL_error(L, "msg:mend: '%s' is no fault", name);
		wanted |= fault_names[at].bit;
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return wanted;
}

/* msg:mend { wanted = { "no_date", ... }, from =, host = } */
static int pl_mend(lua_State *L)
{
	struct view_msg *m;
	struct mail_head *h = head_of(L, &m);
	const struct policy_vm *vm = vm_of(L);

	if (lua_isnoneornil(L, 2)) {
		lua_settop(L, 1);
		lua_newtable(L);
	}
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	lua_getfield(L, 2, "wanted");
	struct mail_fault_repair repair = { .wanted = wanted_faults(L, 3),
					    .unix_s = loop_wall_us(vm->rt->env.loop) / 1000000,
					    .unique = m->queue_id };
	const struct span from = string_in(L, 2, "from");
	/* The sender of a device that is allowed much may be no address for From: then that is not mended. */
	if (from.n && parse_address(m, from, SMTP_LAX_ALL, &repair.from_local, &repair.from_domain) &&
	    !repair.from_domain.n)
		repair.from_local = SPAN("");
	repair.host = string_in(L, 2, "host");
	if (!repair.host.n)
		repair.host = config_text(config_get(policy_bundle_config(vm->bundle), "hostname"),
					  SPAN("localhost"));
	if (!repair.unique.n)
		repair.unique = m->txn && m->txn->conn ? span_of(m->txn->conn->id.s) : SPAN("unknown");
	const struct mail_faults faults = check_faults(L, h);
	if (lib_would(L, "mend the header")) {
		push_faults(L, faults.found & repair.wanted);
		return 1;
	}
	const int mended = mail_fault_mend(h, &faults, &repair);
	check_edit(L, mended, "msg:mend");
	push_faults(L, (unsigned)mended);
	return 1;
}

#define EDIT IN_HOOK(MESSAGE)

const struct view_method view_msg_methods[] = {
	{ "header", ANYWHERE, pl_header },
	{ "headers", ANYWHERE, pl_headers },
	{ "count", ANYWHERE, pl_count },
	{ "faults", ANYWHERE, pl_faults },
	{ "prepend", EDIT, pl_prepend },
	{ "add", EDIT, pl_add },
	{ "replace", EDIT, pl_replace },
	{ "remove", EDIT, pl_remove },
	{ "set_sender", EDIT, pl_set_sender },
	{ "rewrite_senders", EDIT, pl_rewrite_senders },
	{ "rewrite_author", EDIT, pl_rewrite_author },
	{ "mend", EDIT, pl_mend },
	{ NULL, 0, NULL },
};
