/* policy/lib_mail.c - relay.address: mail addresses as values. */
#include <lauxlib.h>

#include "mail/mail_rewrite.h"
#include "policy/lib.h"
#include "policy/view_msg.h"
#include "policy/view_push.h"
#include "smtp/smtp_path.h"

enum { ADDRESS_MEM_MAX = 16 * 1024 };

static struct span check_span(lua_State *L, int i)
{
	(void)luaL_checkstring(L, i);
	return box_span(L, i);
}

static void cut(struct span address, struct span *local_r, struct span *domain_r)
{
	const ptrdiff_t at = span_rfind_char(address, '@');

	*local_r = at < 0 ? address : span_first(address, (size_t)at);
	*domain_r = at < 0 ? SPAN("") : span_skip(address, (size_t)at + 1);
}

/* parse(text) -> { address =, local_part =, domain = }; nil if it is none */
static int pl_parse(lua_State *L)
{
	const struct span text = check_span(L, 1);
	const bool enforced = lib_relax(L);
	struct arena *a = arena_new(ADDRESS_MEM_MAX);
	struct buf b = BUF_INIT(ADDRESS_MEM_MAX);
	struct smtp_path path;
	const char *why;

	if (smtp_path_parse_mailbox(a, text, SMTP_ALLOW_UTF8, &path, &why) < 0 ||
	    smtp_path_format_mailbox(&path, &b) < 0)
		lua_pushnil(L);
	else
		push_address(L, buf_span(&b), path.local, path.domain);
	buf_free(&b);
	arena_free(&a);
	lib_enforce(L, enforced);
	return 1;
}

/* rewrite(template, address) -> another address */
static int pl_rewrite(lua_State *L)
{
	const struct span template = check_span(L, 1), address = check_span(L, 2);
	struct mail_rewritten r;
	struct errtext why;
	struct span local, domain;

	if (mail_rewrite_check(template, &why) < 0)
		return luaL_error(L, "relay.address.rewrite: %s", why.s);
	cut(address, &local, &domain);
	const bool enforced = lib_relax(L);
	struct arena *a = arena_new(ADDRESS_MEM_MAX);
	if (mail_rewrite_expand(a, template, local, domain, &r) < 0)
		lua_pushnil(L);
	else
		lua_pushfstring(L, "%s@%s", arena_strdup(a, r.local), arena_strdup(a, r.domain));
	arena_free(&a);
	lib_enforce(L, enforced);
	return 1;
}

/* base(local_part [, separator]) -> without its tag */
static int pl_base(lua_State *L)
{
	const struct span local = check_span(L, 1);
	const char *separator = luaL_optstring(L, 2, "+");

	luaL_argcheck(L, strlen(separator) == 1, 2, "one character");
	box_push_span(L, mail_base_local(local, separator[0]));
	return 1;
}

/* is_allowed(allowed, address [, separator]): the same, or the same without its tag */
static int pl_is_allowed(lua_State *L)
{
	const struct span allowed = check_span(L, 1), address = check_span(L, 2);
	const char *separator = luaL_optstring(L, 3, "");
	struct span allowed_local, allowed_domain, local, domain;

	cut(allowed, &allowed_local, &allowed_domain);
	cut(address, &local, &domain);
	lua_pushboolean(L,
			mail_address_is_allowed(allowed_local, allowed_domain, local, domain, separator[0]));
	return 1;
}

void lib_mail_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "parse", pl_parse }, { "rewrite", pl_rewrite },
		{ "base", pl_base },   { "is_allowed", pl_is_allowed },
		{ NULL, NULL },
	};

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "address");
}
