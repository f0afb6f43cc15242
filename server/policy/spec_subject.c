#include "policy/spec_subject.h"

#include <lauxlib.h>
#include <string.h>

#include "base/check.h"
#include "policy/spec_dkim.h"
#include "policy/view_push.h"
#include "policy/vm.h"

/* ---- what policies can do to it ---------------------------------------------------------------------------------------- */

static int use_profile(struct view_conn *conn, struct span name)
{
	conn->profile = arena_dup(container_of(conn, struct spec_subject, conn)->mem, name);
	return 0;
}

static int set_device(struct view_conn *conn, struct span id)
{
	conn->device = arena_dup(container_of(conn, struct spec_subject, conn)->mem, id);
	return 0;
}

static int set_sender(struct view_msg *msg, struct span address)
{
	struct spec_subject *s = container_of(msg, struct spec_subject, msg);
	struct smtp_path path;
	const char *why;

	if (smtp_path_parse_mailbox(s->mem, address, 0, &path, &why) < 0)
		return -ERR_SYNTAX;
	s->new_sender = arena_dup(s->mem, address);
	return 0;
}

static int set_meta(struct view_msg *msg, struct span json)
{
	msg->meta = arena_dup(container_of(msg, struct spec_subject, msg)->mem, json);
	return 0;
}

void spec_subject_init(struct spec_subject *s, struct arena *mem)
{
	*s = (struct spec_subject){ .mem = mem };
	s->actions = (struct view_actions){ use_profile, set_device, set_sender, set_meta };
	s->conn = (struct view_conn){ .actions = &s->actions,
				      .id = id_from_u64(1),
				      .helo = SPAN("client.example.edu"),
				      .esmtp = true,
				      .reverse = VIEW_REVERSE_PENDING };
	(void)ip_parse(SPAN("192.0.2.1"), &s->conn.client.addr);
	s->conn.client.port = 49152;
	(void)ip_parse(SPAN("198.51.100.25"), &s->conn.server.addr);
	s->conn.server.port = 25;
	s->txn.conn = &s->conn;
	s->rcpt.txn = &s->txn;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static bool text_field(lua_State *L, int i, struct arena *mem, const char *name, struct span *s_r)
{
	lua_getfield(L, i, name);
	const bool there = !lua_isnil(L, -1);
	if (there && lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "'%s' must be a string", name);
	if (there)
		*s_r = arena_dup(mem, box_span(L, -1));
	lua_pop(L, 1);
	return there;
}

static bool bool_field(lua_State *L, int i, const char *name, bool *b_r)
{
	lua_getfield(L, i, name);
	const bool there = !lua_isnil(L, -1);
	if (there)
		*b_r = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return there;
}

static bool number_field(lua_State *L, int i, const char *name, double *n_r)
{
	lua_getfield(L, i, name);
	const bool there = lua_type(L, -1) == LUA_TNUMBER;
	if (there)
		*n_r = lua_tonumber(L, -1);
	lua_pop(L, 1);
	return there;
}

static void ip_field(lua_State *L, int i, struct arena *mem, const char *name, struct ip_addr *addr_r)
{
	struct span s;

	if (text_field(L, i, mem, name, &s) && !ip_parse(s, addr_r))
		luaL_error(L, "'%s' is no address: %s", name, s.p);
}

/* "pass", "no_ptr" ...; any other text is the confirmed name. Left out, the resolver is asked. */
static void read_reverse(lua_State *L, int i, struct spec_subject *s)
{
	static const struct {
		const char *name;
		enum view_reverse reverse;
	} known[] = { { "pending", VIEW_REVERSE_PENDING },
		      { "no_ptr", VIEW_REVERSE_NO_PTR },
		      { "mismatch", VIEW_REVERSE_MISMATCH },
		      { "temperror", VIEW_REVERSE_TEMPERROR },
		      { "off", VIEW_REVERSE_OFF } };
	struct span text;

	if (!text_field(L, i, s->mem, "reverse", &text))
		return;
	s->conn.reverse = VIEW_REVERSE_PASS;
	s->conn.reverse_name = text;
	for (size_t k = 0; k < ARRAY_LEN(known); k++) {
		if (span_eq(text, span_of(known[k].name))) {
			s->conn.reverse = known[k].reverse;
			s->conn.reverse_name = SPAN("");
		}
	}
	(void)text_field(L, i, s->mem, "reverse_name", &s->conn.reverse_name);
}

/* There is TLS once its version was said. */
static void read_tls(lua_State *L, int i, struct spec_subject *s)
{
	struct view_tls *t = &s->tls;
	double n;

	if (text_field(L, i, s->mem, "tls_version", &t->version))
		s->conn.tls = t->version.n ? t : NULL;
	(void)text_field(L, i, s->mem, "tls_cipher", &t->cipher);
	(void)text_field(L, i, s->mem, "tls_sni", &t->sni);
	(void)text_field(L, i, s->mem, "tls_common_name", &t->common_name);
	(void)text_field(L, i, s->mem, "tls_email", &t->email);
	(void)text_field(L, i, s->mem, "tls_dns_name", &t->dns_name);
	(void)text_field(L, i, s->mem, "tls_issuer", &t->issuer);
	(void)text_field(L, i, s->mem, "tls_fingerprint", &t->fingerprint);
	(void)bool_field(L, i, "tls_resumed", &t->resumed);
	(void)bool_field(L, i, "tls_verified", &t->cert_ok);
	if (text_field(L, i, s->mem, "tls_subject", &t->subject))
		t->cert_given = true;
	if (number_field(L, i, "tls_bits", &n))
		t->bits = (int)n;
}

static void read_conn(lua_State *L, int i, struct spec_subject *s)
{
	struct view_conn *c = &s->conn;
	double n;

	ip_field(L, i, s->mem, "remote_ip", &c->client.addr);
	ip_field(L, i, s->mem, "server_ip", &c->server.addr);
	ip_field(L, i, s->mem, "proxy_ip", &c->proxy);
	if (number_field(L, i, "server_port", &n))
		c->server.port = (uint16_t)n;
	if (number_field(L, i, "messages", &n))
		c->messages = (uint32_t)n;
	if (number_field(L, i, "errors", &n))
		c->errors = (uint32_t)n;
	(void)text_field(L, i, s->mem, "helo", &c->helo);
	(void)bool_field(L, i, "esmtp", &c->esmtp);
	(void)bool_field(L, i, "early_talker", &c->early_talker);
	(void)text_field(L, i, s->mem, "profile", &c->profile);
	(void)text_field(L, i, s->mem, "device", &c->device);
	(void)text_field(L, i, s->mem, "auth_user", &c->auth_user);
	(void)text_field(L, i, s->mem, "auth_mech", &c->auth_mech);
	(void)text_field(L, i, s->mem, "auth_realm", &c->auth_realm);
	read_tls(L, i, s);
	read_reverse(L, i, s);
}

/* An address; or in brackets the path as a client would give it: "<@route:a@b>", "<postmaster>". */
static int parse_path(struct arena *mem, struct span text, struct smtp_path *path_r, const char **why_r)
{
	if (!span_starts(text, SPAN("<")))
		return smtp_path_parse_mailbox(mem, text, SMTP_ALLOW_UTF8, path_r, why_r);
	return smtp_path_parse(mem, text, SMTP_ALLOW_UTF8 | SMTP_ALLOW_POSTMASTER, path_r, why_r);
}

static void read_path(lua_State *L, int i, struct spec_subject *s, const char *name, struct span *address,
		      struct smtp_path *path)
{
	struct buf text = BUF_INIT(1024);
	const char *why = "";

	if (!text_field(L, i, s->mem, name, address))
		return;
	*path = (struct smtp_path){ .is = SMTP_PATH_IS_NULL };
	if (address->n && parse_path(s->mem, *address, path, &why) < 0)
		luaL_error(L, "'%s': %s is no address: %s", name, address->p, why);
	if (span_starts(*address, SPAN("<")) && smtp_path_format_mailbox(path, &text) == 0)
		*address = arena_dup(s->mem, buf_span(&text));
	buf_free(&text);
}

static void read_txn(lua_State *L, int i, struct spec_subject *s)
{
	bool on;
	double n;

	read_path(L, i, s, "from", &s->txn.sender_address, &s->txn.sender);
	read_path(L, i, s, "to", &s->rcpt.address, &s->rcpt.path);
	s->rcpt.routed_local = smtp_path_is_routed_local(&s->rcpt.path);
	if (number_field(L, i, "size", &n)) {
		s->txn.params.has |= SMTP_MAIL_SIZE;
		s->txn.params.size_octets = (uint64_t)n;
	}
	if (bool_field(L, i, "smtputf8", &on) && on)
		s->txn.params.has |= SMTP_MAIL_SMTPUTF8;
	if (number_field(L, i, "rcpts", &n))
		s->txn.rcpts = (uint32_t)n;
	if (number_field(L, i, "rcpts_refused", &n))
		s->txn.rcpts_refused = (uint32_t)n;
}

static void read_message(lua_State *L, int i, struct spec_subject *s)
{
	struct view_msg *m = &s->msg;
	struct span text, meta = m->meta;

	(void)text_field(L, i, s->mem, "meta", &meta);
	if (!text_field(L, i, s->mem, "text", &text)) {
		if (m->head)
			return;
		text = SPAN("Subject: spec\r\n\r\n");
	}
	*m = (struct view_msg){ .txn = &s->txn,
				.queue_id = SPAN("222222222223"),
				.head_mem = s->mem,
				.size_bytes = text.n,
				.meta = meta,
				.rcpt = &s->rcpt,
				.nrcpt = s->rcpt.address.n ? 1 : 0 };
	const int used = mail_head_parse(s->mem, text, 256 * 1024, &m->head);
	if (used < 0)
		luaL_error(L, "the message cannot be read: %s", err_text(used));
	m->body = span_skip(text, (size_t)used);
	m->received = (uint32_t)mail_head_count(m->head, SPAN("Received"));
	m->has_8bit = (m->head->oddities & MAIL_HEAD_8BIT) != 0;
	spec_dkim_read(L, i, s->mem, m);
	s->new_sender = SPAN("");
}

void spec_subject_read(lua_State *L, int i, struct spec_subject *s, bool message)
{
	luaL_checkstack(L, 10, "spec");
	read_conn(L, i, s);
	read_txn(L, i, s);
	if (message)
		read_message(L, i, s);
}

int spec_subject_event(lua_State *L, const char *name, struct spec_subject *s, struct hook_event *ev,
		       struct verdict *v)
{
	int id = 0;
	double code = 0;

	while (id < OBSERVER_MAX_ && strcmp(observer_id_name((enum observer_id)id), name) != 0)
		id++;
	if (id == OBSERVER_MAX_)
		return -ERR_NOTFOUND;
	ev->id = (enum observer_id)id;
	if (id == OBSERVER_ACCEPTED) {
		ev->txn = &s->txn;
		ev->msg = &s->msg;
	}
	(void)text_field(L, 3, s->mem, "queue_id", &ev->queue_id);
	(void)text_field(L, 3, s->mem, "recipient", &ev->recipient);
	(void)text_field(L, 3, s->mem, "sender", &ev->sender);
	(void)text_field(L, 3, s->mem, "device", &ev->device);
	(void)text_field(L, 3, s->mem, "remote", &ev->remote);
	(void)text_field(L, 3, s->mem, "status", &ev->status);
	(void)text_field(L, 3, s->mem, "message", &ev->text);
	if (id == OBSERVER_AUTH_FAILED) {
		(void)text_field(L, 3, s->mem, "user", &ev->text);
		(void)text_field(L, 3, s->mem, "mechanism", &ev->mechanism);
		(void)text_field(L, 3, s->mem, "reason", &ev->status);
	}
	(void)number_field(L, 3, "code", &code);
	ev->code = (int)code;
	*v = (struct verdict){ .kind = VERDICT_REJECT, .code = (uint16_t)code, .text = ev->text };
	if (id == OBSERVER_REFUSED && text_field(L, 3, s->mem, "rule", &v->rule))
		ev->verdict = v;
	return 0;
}

int spec_subject_host(lua_State *L, struct dns_hosts *hosts, struct errtext *why)
{
	static const struct {
		const char *name;
		enum dns_result result;
	} results[] = { { "tempfail", DNS_TEMPFAIL },
			{ "nxdomain", DNS_NXDOMAIN },
			{ "nodata", DNS_NODATA } };
	struct span name, value;
	enum dns_type type;

	lua_getfield(L, -1, "name");
	lua_getfield(L, -2, "type");
	lua_getfield(L, -3, "value");
	lua_getfield(L, -4, "result");
	name = box_span(L, -4);
	value = box_span(L, -2);
	int r = dns_type_parse(box_span(L, -3), &type)
			? 0
			: errtext_set(why, ERR_INVAL, "there are no such records");
	if (r == 0 && value.p)
		r = dns_hosts_add(hosts, name, type, value, why);
	for (size_t i = 0; r == 0 && lua_isstring(L, -1) && i < ARRAY_LEN(results); i++)
		if (span_eq(box_span(L, -1), span_of(results[i].name)))
			r = dns_hosts_add_result(hosts, name, type, results[i].result, why);
	lua_pop(L, 4);
	return r;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

void spec_subject_push_verdict(lua_State *L, const struct verdict *v)
{
	lua_createtable(L, 0, 8);
	push_field(L, "kind", span_of(verdict_kind_name(v->kind)));
	push_field(L, "enhanced", v->enhanced);
	push_field(L, "text", v->text);
	push_field(L, "rule", v->rule);
	push_field(L, "policy", v->policy);
	push_field(L, "route", v->route);
	lua_pushinteger(L, v->code);
	lua_setfield(L, -2, "code");
	lua_pushboolean(L, v->broken);
	lua_setfield(L, -2, "broken");
	lua_pushboolean(L, v->now);
	lua_setfield(L, -2, "now");
}

void spec_subject_push_state(lua_State *L, const struct spec_subject *s)
{
	struct buf head = BUF_INIT(1024 * 1024);

	if (s->msg.head)
		(void)mail_head_write(s->msg.head, &head);
	lua_createtable(L, 0, 5);
	push_field(L, "profile", s->conn.profile);
	push_field(L, "device", s->conn.device);
	push_field(L, "sender", s->new_sender);
	push_field(L, "meta", s->msg.meta);
	push_field(L, "head", buf_span(&head));
	buf_free(&head);
}
