/* policy/lib_dns.c - relay.dns: questions to the resolver, each of which waits.
 *
 * An answer is a list; without one: nil, { kind =, text = }. kind "none" is a fact about the name, "temp" is not: a policy that
 * refuses mail for it would refuse everybody when the resolver is down. */
#include <lauxlib.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dns/reverse.h"
#include "policy/lib.h"
#include "policy/view_push.h"
#include "policy/wait.h"

struct dns_wait {
	struct policy_wait wait;
	struct dns_query query;
};

static int push_failure(lua_State *L, const char *kind, struct span result, struct span text)
{
	lua_pushnil(L);
	lua_createtable(L, 0, 3);
	push_field(L, "kind", span_of(kind));
	push_field(L, "result", result);
	push_field(L, "text", text);
	return 2;
}

static void push_record(lua_State *L, const struct dns_answer *a, const struct dns_record *r)
{
	switch (a->type) {
	case DNS_A:
	case DNS_AAAA:
		(void)push_ip_or_nil(L, &r->addr);
		break;
	case DNS_MX:
		lua_createtable(L, 0, 2);
		push_field(L, "host", r->data);
		lua_pushinteger(L, r->preference);
		lua_setfield(L, -2, "preference");
		break;
	default:
		box_push_span(L, r->data);
		break;
	}
}

static int push_answer(struct policy_wait *w, lua_State *L)
{
	const struct dns_answer *a = dns_query_answer(&container_of(w, struct dns_wait, wait)->query);
	const struct span result = span_of(dns_result_name(a->result));

	if (a->result == DNS_TEMPFAIL)
		return push_failure(L, "temp", result, span_of(a->why));
	if (a->result == DNS_INVALID)
		return push_failure(L, "invalid", result, span_of(a->why));
	if (a->result != DNS_OK)
		return push_failure(L, "none", result, result);
	lua_createtable(L, (int)a->n, 0);
	for (size_t i = 0; i < a->n; i++) {
		push_record(L, a, &a->record[i]);
		lua_rawseti(L, -2, (int)i + 1);
	}
	return 1;
}

static void release(struct policy_wait *wait)
{
	struct dns_wait *w = container_of(wait, struct dns_wait, wait);

	dns_query_deinit(&w->query);
	free(w);
}

static void on_answer(struct op *op)
{
	wait_done(&container_of(op, struct dns_wait, query.op)->wait);
}

static int ask(lua_State *L, enum dns_type type, const char *function)
{
	struct policy_vm *vm = wait_check(L, function);

	(void)luaL_checkstring(L, 1);
	if (!vm->rt->env.dns)
		return push_failure(L, "temp", SPAN("tempfail"), SPAN("there is no resolver"));
	const struct span name = box_span(L, 1);
	struct ip_addr addr;
	const bool is_addr = type == DNS_PTR && ip_parse(name, &addr);
	struct dns_wait *w = mem_alloc(sizeof *w);
	w->wait.push = push_answer;
	w->wait.release = release;
	dns_query_init(&w->query, on_answer);
	const int64_t deadline_us = wait_left_us(L) / 10 * 9;
	const int r =
		is_addr ? dns_query_start_ptr(&w->query, vm->rt->env.dns, &vm->scope, &addr, deadline_us)
			: dns_query_start(&w->query, vm->rt->env.dns, &vm->scope, type, name, deadline_us);
	if (r < 0) {
		release(&w->wait);
		return push_failure(L, "temp", SPAN("tempfail"), span_of(err_text(r)));
	}
	return wait_begin(L, &w->wait, &w->query.op);
}

static int pl_mx(lua_State *L)
{
	return ask(L, DNS_MX, "relay.dns.mx");
}

static int pl_a(lua_State *L)
{
	return ask(L, DNS_A, "relay.dns.a");
}

static int pl_aaaa(lua_State *L)
{
	return ask(L, DNS_AAAA, "relay.dns.aaaa");
}

static int pl_txt(lua_State *L)
{
	return ask(L, DNS_TXT, "relay.dns.txt");
}

static int pl_ptr(lua_State *L)
{
	return ask(L, DNS_PTR, "relay.dns.ptr");
}

void push_reverse_result(lua_State *L, const struct reverse *r)
{
	int n = 0;

	lua_createtable(L, 0, 5);
	push_field(L, "status", span_of(reverse_verdict_name(r->verdict)));
	push_field(L, "name", r->name);
	if (r->verdict != REVERSE_PASS)
		push_field(L, "text", span_of(r->why.s));
	lua_pushboolean(L, r->stale);
	lua_setfield(L, -2, "stale");
	lua_createtable(L, (int)r->n, 0);
	for (size_t i = 0; i < r->n; i++) {
		if (r->verdict == REVERSE_PASS && r->names[i].state != REVERSE_NAME_CONFIRMED)
			continue;
		box_push_span(L, r->names[i].name);
		lua_rawseti(L, -2, ++n);
	}
	lua_setfield(L, -2, "names");
}

void push_reverse_temperror(lua_State *L)
{
	lua_createtable(L, 0, 3);
	push_field(L, "status", SPAN("temperror"));
	push_field(L, "text", SPAN("there is no answer"));
	lua_newtable(L);
	lua_setfield(L, -2, "names");
}

static int pl_reverse(lua_State *L)
{
	struct ip_addr addr;

	(void)luaL_checkstring(L, 1);
	if (!ip_parse(box_span(L, 1), &addr))
		return luaL_error(L, "relay.dns.reverse: '%s' is no address", lua_tostring(L, 1));
	return wait_for_reverse(L, "relay.dns.reverse", &addr);
}

void lib_dns_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "mx", pl_mx },   { "a", pl_a },     { "aaaa", pl_aaaa },
		{ "txt", pl_txt }, { "ptr", pl_ptr }, { "reverse", pl_reverse },
		{ NULL, NULL },
	};

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "dns");
}
