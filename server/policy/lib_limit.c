/* policy/lib_limit.c - relay.limit: how often something may happen.
 *
 * A policy that only observes counts too, or it could not say what it would have done; but under keys of its own, so
 * that trying a policy out takes nothing from those that count. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/lib.h"
#include "policy/run.h"
#include "policy/view_push.h"
#include "policy/wait.h"

struct limit_wait {
	struct policy_wait wait;
	struct limit_take take;
	char key[LIMIT_KEY_MAX];
};

static void push_answer(lua_State *L, const struct limit_answer *a)
{
	lua_createtable(L, 0, 4);
	lua_pushboolean(L, a->allowed);
	lua_setfield(L, -2, "allowed");
	lua_pushnumber(L, (double)a->remaining);
	lua_setfield(L, -2, "remaining");
	if (!a->allowed && a->retry_after_us >= 0) {
		lua_pushnumber(L, (double)((a->retry_after_us + 999999) / 1000000));
		lua_setfield(L, -2, "retry_after");
	}
	push_field(L, "source", span_of(limit_source_name(a->source)));
}

static int push_taken(struct policy_wait *w, lua_State *L)
{
	const struct limit_take *t = &container_of(w, struct limit_wait, wait)->take;
	const struct limit_answer failed = { .allowed = t->request.on_failure == LIMIT_ON_FAILURE_OPEN,
					     .source = LIMIT_SOURCE_FAILED };

	push_answer(L, t->op.status == 0 ? &t->answer : &failed);
	return 1;
}

static void release(struct policy_wait *w)
{
	free(container_of(w, struct limit_wait, wait));
}

static void on_taken(struct op *op)
{
	wait_done(&container_of(op, struct limit_wait, take.op)->wait);
}

static struct span field(lua_State *L, const char *name)
{
	lua_getfield(L, 1, name);
	if (lua_isnil(L, -1))
		return SPAN("");
	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "relay.limit: '%s' must be a string", name);
	return box_span(L, -1); /* it stays on the stack */
}

/* { key =, rate =, quantity =, on_store_failure = } at 1; @key has room for LIMIT_KEY_MAX octets. */
static void check_request(lua_State *L, char *key, struct limit_request *req)
{
	const struct policy_run *run = vm_of(L)->running;
	const struct span prefix = run && run->observing ? SPAN("observed:") : SPAN("");

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	const struct span name = field(L, "key"), rate = field(L, "rate"),
			  on_failure = field(L, "on_store_failure");
	if (!name.n || name.n + prefix.n > LIMIT_KEY_MAX)
		luaL_error(L, "relay.limit: 'key' must be a string of 1 to %d octets", LIMIT_KEY_MAX - 10);
	memcpy(key, prefix.p, prefix.n);
	memcpy(key + prefix.n, name.p, name.n);
	req->key = span_make(key, prefix.n + name.n);
	if (!rate_parse(rate, &req->rate))
		luaL_error(L, "relay.limit: 'rate' must be like \"60/hour\" or \"60/hour,burst=10\"");
	req->on_failure = LIMIT_ON_FAILURE_LOCAL;
	if (on_failure.n && !limit_on_failure_parse(on_failure, &req->on_failure))
		luaL_error(L, "relay.limit: 'on_store_failure' is local, open or closed");
	lua_getfield(L, 1, "quantity");
	const double quantity = lua_isnil(L, -1) ? 1 : lua_tonumber(L, -1);
	if (!(quantity >= 1 && quantity <= 1e9))
		luaL_error(L, "relay.limit: 'quantity' must be a number from 1 on");
	req->quantity = (uint64_t)quantity;
	if (!limit_request_valid(req))
		luaL_error(L, "relay.limit: a limit that cannot be");
}

static int take(lua_State *L, enum limit_mode mode, const char *function)
{
	struct policy_vm *vm = wait_check(L, function);
	struct limit_store *store = vm->rt->env.limits;
	struct limit_request req = { .mode = mode };
	struct limit_answer answer;
	char key[LIMIT_KEY_MAX];

	if (!store)
		return luaL_error(L, "%s: there is no store for limits", function);
	check_request(L, key, &req);
	if (limit_try(store, &req, &answer)) {
		push_answer(L, &answer);
		return 1;
	}
	struct limit_wait *w = mem_alloc(sizeof *w);
	w->wait.push = push_taken;
	w->wait.release = release;
	memcpy(w->key, key, req.key.n);
	req.key.p = w->key;
	w->take.request = req;
	op_init(&w->take.op, on_taken);
	const int r = limit_take_start(store, &w->take, &vm->scope, wait_left_us(L));
	if (r < 0) {
		release(&w->wait);
		return luaL_error(L, "%s: %s", function, err_text(r));
	}
	return wait_begin(L, &w->wait, &w->take.op);
}

static int pl_take(lua_State *L)
{
	return take(L, LIMIT_TAKE, "relay.limit.take");
}

static int pl_peek(lua_State *L)
{
	return take(L, LIMIT_PEEK, "relay.limit.peek");
}

/* What was taken and not used goes back; as far as possible. */
static int pl_refund(lua_State *L)
{
	struct limit_store *store = vm_of(L)->rt->env.limits;
	struct limit_request req = { .mode = LIMIT_TAKE };
	char key[LIMIT_KEY_MAX];

	if (!store)
		return luaL_error(L, "relay.limit.refund: there is no store for limits");
	check_request(L, key, &req);
	limit_refund(store, &req);
	return 0;
}

void lib_limit_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "take", pl_take }, { "peek", pl_peek }, { "refund", pl_refund }, { NULL, NULL }
	};

	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "limit");
}
