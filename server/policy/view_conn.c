/* policy/view_conn.c - conn, as policies see it. schema/lua_api.lua says what each of these is. */
#include <lauxlib.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dns/reverse.h"
#include "policy/lib.h"
#include "policy/run.h"
#include "policy/view_push.h"
#include "policy/wait.h"

static const struct view_conn *conn_of(const struct view_ud *u)
{
	return u->p;
}

static int get_id(lua_State *L, struct view_ud *u)
{
	lua_pushstring(L, conn_of(u)->id.s);
	return 1;
}

#define SPAN_FIELD(name, member)                                                                             \
	static int get_##name(lua_State *L, struct view_ud *u)                                               \
	{                                                                                                    \
		return push_span_or_nil(L, conn_of(u)->member);                                              \
	}
SPAN_FIELD(listener, listener)
SPAN_FIELD(helo, helo)
SPAN_FIELD(profile, profile)
SPAN_FIELD(device, device)
SPAN_FIELD(auth_user, auth_user)
SPAN_FIELD(auth_mech, auth_mech)
SPAN_FIELD(auth_realm, auth_realm)
#undef SPAN_FIELD

#define TLS_FIELD(name, member)                                                                              \
	static int get_tls_##name(lua_State *L, struct view_ud *u)                                           \
	{                                                                                                    \
		const struct view_tls *tls = conn_of(u)->tls;                                                \
		return push_span_or_nil(L, tls ? tls->member : span_make(NULL, 0));                          \
	}
TLS_FIELD(version, version)
TLS_FIELD(cipher, cipher)
TLS_FIELD(sni, sni)
TLS_FIELD(subject, subject)
TLS_FIELD(issuer, issuer)
TLS_FIELD(common_name, common_name)
TLS_FIELD(email, email)
TLS_FIELD(dns_name, dns_name)
TLS_FIELD(fingerprint, fingerprint)
#undef TLS_FIELD

static int get_tls_bits(lua_State *L, struct view_ud *u)
{
	const struct view_tls *tls = conn_of(u)->tls;

	if (tls)
		lua_pushinteger(L, tls->bits);
	else
		lua_pushnil(L);
	return 1;
}

static int get_tls_resumed(lua_State *L, struct view_ud *u)
{
	const struct view_tls *tls = conn_of(u)->tls;

	lua_pushboolean(L, tls && tls->resumed);
	return 1;
}

static int get_tls_verified(lua_State *L, struct view_ud *u)
{
	const struct view_tls *tls = conn_of(u)->tls;

	lua_pushboolean(L, tls && tls->cert_ok);
	return 1;
}

#define IP_FIELD(name, member)                                                                               \
	static int get_##name(lua_State *L, struct view_ud *u)                                               \
	{                                                                                                    \
		return push_ip_or_nil(L, &conn_of(u)->member);                                               \
	}
IP_FIELD(remote_ip, client.addr)
IP_FIELD(server_ip, server.addr)
IP_FIELD(proxy_ip, proxy)
#undef IP_FIELD

#define NUMBER_FIELD(name, value)                                                                            \
	static int get_##name(lua_State *L, struct view_ud *u)                                               \
	{                                                                                                    \
		lua_pushnumber(L, (double)(value));                                                          \
		return 1;                                                                                    \
	}
NUMBER_FIELD(remote_port, conn_of(u)->client.port)
NUMBER_FIELD(server_port, conn_of(u)->server.port)
NUMBER_FIELD(messages, conn_of(u)->messages)
NUMBER_FIELD(errors, conn_of(u)->errors)
NUMBER_FIELD(started_at, conn_of(u)->started_wall_us / 1000000)
#undef NUMBER_FIELD

static int get_esmtp(lua_State *L, struct view_ud *u)
{
	lua_pushboolean(L, conn_of(u)->esmtp);
	return 1;
}

static int get_early_talker(lua_State *L, struct view_ud *u)
{
	lua_pushboolean(L, conn_of(u)->early_talker);
	return 1;
}

static int get_vars(lua_State *L, struct view_ud *u)
{
	subject_push_vars(L, u->subject);
	return 1;
}

/* ---- conn.reverse ------------------------------------------------------------------------------------------------- */

struct reverse_wait {
	struct policy_wait wait;
	struct reverse reverse;
	const struct view_conn
		*conn; /* of conn.reverse: while the coroutine is there, so is the connection */
};

static void push_known_reverse(lua_State *L, const struct view_conn *c)
{
	static const char *const status[] = {
		[VIEW_REVERSE_PENDING] = "temperror",   [VIEW_REVERSE_PASS] = "pass",
		[VIEW_REVERSE_NO_PTR] = "no_ptr",       [VIEW_REVERSE_MISMATCH] = "mismatch",
		[VIEW_REVERSE_TEMPERROR] = "temperror", [VIEW_REVERSE_OFF] = "off"
	};

	lua_createtable(L, 0, 4);
	push_field(L, "status", span_of(status[c->reverse]));
	push_field(L, "name", c->reverse_name);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "stale");
	lua_newtable(L);
	if (c->reverse == VIEW_REVERSE_PASS) {
		box_push_span(L, c->reverse_name);
		lua_rawseti(L, -2, 1);
	}
	lua_setfield(L, -2, "names");
}

static int push_reverse(struct policy_wait *wait, lua_State *L)
{
	const struct reverse_wait *w = container_of(wait, struct reverse_wait, wait);

	/* The session may know more than can be learned now. */
	if (w->reverse.verdict == REVERSE_TEMPERROR && w->conn && w->conn->reverse != VIEW_REVERSE_PENDING)
		push_known_reverse(L, w->conn);
	else
		push_reverse_result(L, &w->reverse);
	return 1;
}

static void release_reverse(struct policy_wait *w)
{
	struct reverse_wait *r = container_of(w, struct reverse_wait, wait);

	reverse_deinit(&r->reverse);
	free(r);
}

static void on_reverse(struct op *op)
{
	wait_done(&container_of(op, struct reverse_wait, reverse.op)->wait);
}

static int wait_for(lua_State *L, const char *function, const struct ip_addr *addr,
		    const struct view_conn *conn)
{
	struct policy_vm *vm = wait_check(L, function);

	if (!vm->rt->env.dns) {
		if (conn)
			push_known_reverse(L, conn);
		else
			push_reverse_temperror(L);
		return 1;
	}
	struct reverse_wait *w = mem_alloc(sizeof *w);
	w->wait.push = push_reverse;
	w->wait.release = release_reverse;
	w->conn = conn;
	reverse_init(&w->reverse, on_reverse);
	if (reverse_start(&w->reverse, vm->rt->env.dns, &vm->scope, addr, wait_left_us(L) / 10 * 9) < 0) {
		release_reverse(&w->wait);
		push_reverse_temperror(L);
		return 1;
	}
	return wait_begin(L, &w->wait, &w->reverse.op);
}

int wait_for_reverse(lua_State *L, const char *function, const struct ip_addr *addr)
{
	return wait_for(L, function, addr, NULL);
}

/* The session knows the verdict and one name. Whoever wants all names asks again: the answer is in the resolver's cache. */
static int get_reverse(lua_State *L, struct view_ud *u)
{
	const struct view_conn *c = conn_of(u);
	const bool more = c->reverse == VIEW_REVERSE_PENDING || c->reverse == VIEW_REVERSE_PASS;

	if (more && vm_of(L)->running->call)
		return wait_for(L, "conn.reverse", &c->client.addr, c);
	push_known_reverse(L, c);
	return 1;
}

/* ---- methods ------------------------------------------------------------------------------------------------------ */

static int pl_use_profile(lua_State *L)
{
	struct view_ud *u = view_ud_check(L, &view_conn_class);
	struct view_conn *c = u->p;
	const char *name = luaL_checkstring(L, 2);

	if (lib_would(L, "use profile %s", name))
		return 0;
	if (!c->actions || !c->actions->use_profile || c->actions->use_profile(c, span_of(name)) < 0)
		return luaL_error(L, "there is no profile '%s' in the configuration", name);
	return 0;
}

static int pl_set_device(lua_State *L)
{
	struct view_ud *u = view_ud_check(L, &view_conn_class);
	struct view_conn *c = u->p;
	const char *id = luaL_checkstring(L, 2);

	if (lib_would(L, "set device %s", id))
		return 0;
	if (!c->actions || !c->actions->set_device || c->actions->set_device(c, span_of(id)) < 0)
		return luaL_error(L, "'%s' is no id of a device", id);
	return 0;
}

/* conn:log(level, event [, fields]) */
static int pl_log(lua_State *L)
{
	(void)view_ud_check(L, &view_conn_class);
	lua_remove(L, 1);
	return pl_log_any(L);
}

#define BEFORE_MAIL (IN_HOOK(CONNECT) | IN_HOOK(HELO) | IN_HOOK(STARTTLS) | IN_HOOK(AUTH))

static const struct view_field fields[] = {
	{ "id", ANYWHERE, get_id },
	{ "listener", ANYWHERE, get_listener },
	{ "remote_ip", ANYWHERE, get_remote_ip },
	{ "remote_port", ANYWHERE, get_remote_port },
	{ "server_ip", ANYWHERE, get_server_ip },
	{ "server_port", ANYWHERE, get_server_port },
	{ "proxy_ip", ANYWHERE, get_proxy_ip },
	{ "helo", ANYWHERE & ~IN_HOOK(CONNECT), get_helo },
	{ "esmtp", ANYWHERE & ~IN_HOOK(CONNECT), get_esmtp },
	{ "early_talker", ANYWHERE, get_early_talker },
	{ "reverse", ANYWHERE, get_reverse },
	{ "profile", ANYWHERE, get_profile },
	{ "device", ANYWHERE, get_device },
	{ "auth_user", ANYWHERE, get_auth_user },
	{ "auth_mech", ANYWHERE, get_auth_mech },
	{ "auth_realm", ANYWHERE, get_auth_realm },
	{ "tls_version", ANYWHERE, get_tls_version },
	{ "tls_cipher", ANYWHERE, get_tls_cipher },
	{ "tls_bits", ANYWHERE, get_tls_bits },
	{ "tls_sni", ANYWHERE, get_tls_sni },
	{ "tls_resumed", ANYWHERE, get_tls_resumed },
	{ "tls_verified", ANYWHERE, get_tls_verified },
	{ "tls_subject", ANYWHERE, get_tls_subject },
	{ "tls_common_name", ANYWHERE, get_tls_common_name },
	{ "tls_email", ANYWHERE, get_tls_email },
	{ "tls_dns_name", ANYWHERE, get_tls_dns_name },
	{ "tls_issuer", ANYWHERE, get_tls_issuer },
	{ "tls_fingerprint", ANYWHERE, get_tls_fingerprint },
	{ "messages", ANYWHERE, get_messages },
	{ "errors", ANYWHERE, get_errors },
	{ "started_at", ANYWHERE, get_started_at },
	{ "vars", ANYWHERE, get_vars },
	{ NULL, 0, NULL },
};

static const struct view_method methods[] = {
	{ "use_profile", BEFORE_MAIL | IN_HOOK(MAIL) | IN_HOOK(RCPT), pl_use_profile },
	{ "set_device", ANYWHERE & ~IN_OBSERVERS & ~IN_HOOK(ROUTE), pl_set_device },
	{ "log", ANYWHERE, pl_log },
	{ NULL, 0, NULL },
};

const struct view_class view_conn_class = { "conn", UD_CONN, fields, methods };
