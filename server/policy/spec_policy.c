/* policy/spec_policy.c - a worker's surroundings for one policy: what of a spec becomes views, and what comes back.
 *
 * The loop turns inside ask(): until the verdict is there, or the time to wait is over, to which the clock jumps
 * when nothing else can happen. */
#include "policy/spec_policy.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/box.h"
#include "policy/bundle_priv.h"
#include "policy/config_lua.h"
#include "policy/policy.h"
#include "policy/spec_subject.h"
#include "state/limit_memory.h"

enum { SPEC_LOG_MAX = 4 * 1024 * 1024, SPEC_MEM_MAX = 64 * 1024 * 1024 };

struct spec_policy {
	struct loop *loop;
	struct logger log;
	struct buf lines;
	struct metric_shard metrics;
	struct limit_store *limits;
	struct dns *dns;
	struct policy_runtime *rt;
	struct arena *mem;
	struct spec_subject subject;
	struct hook_call call;
	bool answered, closed;
};

static const char metatable_key;

static void on_log(void *arg, struct span lines)
{
	buf_add_span(&((struct spec_policy *)arg)->lines, lines);
}

static int64_t limits_now(void *arg)
{
	return loop_now_us(arg);
}

static struct spec_policy *check(lua_State *L)
{
	struct spec_policy **p = lua_touserdata(L, 1);

	if (!p || !*p)
		luaL_error(L, "this is no policy under test");
	return *p;
}

static void turn(struct spec_policy *p, const bool *done)
{
	for (unsigned i = 0; i < 1000 && !*done; i++) {
		(void)loop_run_once(p->loop, false);
		if (i > 50 && !*done)
			loop_clock_advance(p->loop, 500000);
	}
}

/* ---- making and freeing ----------------------------------------------------------------------------------------------- */

static void on_closed(void *arg)
{
	((struct spec_policy *)arg)->closed = true;
}

static void spec_free(struct spec_policy *p)
{
	if (p->rt) {
		policy_hook_ops.txn_gone(p->rt, &p->subject.txn);
		policy_hook_ops.conn_gone(p->rt, &p->subject.conn);
		policy_runtime_close(&p->rt, on_closed, p);
		turn(p, &p->closed);
	}
	if (p->dns)
		dns_free(&p->dns);
	for (int i = 0; i < 10; i++)
		(void)loop_run_once(p->loop, false);
	loop_free(&p->loop);
	logger_deinit(&p->log);
	buf_free(&p->lines);
	metric_shard_deinit(&p->metrics);
	limit_memory_free(&p->limits);
	arena_free(&p->mem);
	free(p);
}

static int pl_gc(lua_State *L)
{
	struct spec_policy **p = lua_touserdata(L, 1);

	if (*p)
		spec_free(*p);
	*p = NULL;
	return 0;
}

/* The resolver with what the table at @i says. */
static struct dns *make_dns(lua_State *L, int i, struct loop *loop, struct errtext *why)
{
	struct dns_config cfg = dns_config_default();
	struct dns_hosts *hosts = dns_hosts_new();
	int r = 0;

	for (int n = 1; lua_istable(L, i) && r == 0; n++) {
		lua_rawgeti(L, i, n);
		if (!lua_istable(L, -1)) {
			lua_pop(L, 1);
			break;
		}
		r = spec_subject_host(L, hosts, why);
		lua_pop(L, 1);
	}
	cfg.offline = true;
	cfg.hosts = hosts;
	cfg.cache.entries_max = 1; /* a spec that changes its mind is to be believed */
	struct dns *dns = r < 0 ? NULL : dns_new(loop, &cfg, why);
	dns_hosts_free(&hosts);
	return dns;
}

static struct spec_policy *spec_new(void)
{
	struct spec_policy *p = mem_alloc(sizeof *p);

	p->loop = loop_new();
	loop_set_resident(p->loop, false);
	const struct limit_memory_config limits = {
		.keys_max = 100000, .source = LIMIT_SOURCE_MEMORY, .now_us = limits_now, .clock_arg = p->loop
	};
	p->lines = BUF_INIT(SPEC_LOG_MAX);
	logger_init(&p->log, (struct log_sink){ on_log, p });
	p->log.level_max = LOG_LEVEL_DEBUG;
	metric_shard_init(&p->metrics);
	p->limits = limit_memory_new(&limits);
	p->mem = arena_new(SPEC_MEM_MAX);
	spec_subject_init(&p->subject, p->mem);
	return p;
}

static int push_problems(lua_State *L, const struct config_problems *problems)
{
	lua_pushnil(L);
	lua_newtable(L);
	for (size_t i = 0; i < problems->n; i++) {
		box_push_span(L, problems->v[i].text);
		lua_rawseti(L, -2, (int)i + 1);
	}
	return 2;
}

/* A configuration of one listener whose only policy is that of the table at 1; built as a value, since it is one already. */
static struct policy_bundle *make_bundle(lua_State *L, const char *dir, struct config_problems *problems)
{
	char file[1024];

	(void)snprintf(file, sizeof file, "%s/spec", dir ? dir : ".");
	struct policy_bundle *b = bundle_new(file);
	lua_getfield(L, 1, "text");
	lua_getfield(L, 1, "name");
	if (lua_isstring(L, -2))
		(void)bundle_add_policy(b, box_span(L, -1), box_span(L, -2));
	lua_pop(L, 2);
	lua_newtable(L);
	lua_newtable(L);
	lua_newtable(L);
	lua_pushliteral(L, "spec");
	lua_setfield(L, -2, "name");
	lua_newtable(L);
	lua_pushvalue(L, 1);
	lua_rawseti(L, -2, 1);
	lua_setfield(L, -2, "policies");
	lua_rawseti(L, -2, 1);
	lua_setfield(L, -2, "listeners");
	lua_pushliteral(L, "relay.example.edu");
	lua_setfield(L, -2, "hostname");
	if (bundle_load_value(b, L, -1, problems) < 0)
		policy_bundle_unref(&b);
	lua_pop(L, 1);
	return b;
}

static int pl_policy(lua_State *L)
{
	const char *dir = lua_tostring(L, lua_upvalueindex(1));
	struct config_problems problems;
	struct errtext why;

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checkstack(L, 20, "spec");
	struct spec_policy **handle = lua_newuserdata(L, sizeof *handle);
	*handle = NULL;
	lua_pushlightuserdata(L, (void *)(uintptr_t)&metatable_key);
	lua_rawget(L, LUA_REGISTRYINDEX);
	lua_setmetatable(L, -2);
	struct spec_policy *p = *handle = spec_new();
	config_problems_init(&problems, p->mem);
	struct policy_bundle *b = make_bundle(L, dir, &problems);
	if (!b)
		return push_problems(L, &problems);
	struct policy_env env = { .loop = p->loop,
				  .limits = p->limits,
				  .log = &p->log,
				  .metrics = &p->metrics,
				  .budget = policy_limits_default(),
				  .worker = -1 };
	env.budget.compute_us_max = 1000000; /* the machine of a test may be slow */
	lua_getfield(L, 1, "hosts");
	env.dns = p->dns = make_dns(L, lua_gettop(L), p->loop, &why);
	lua_pop(L, 1);
	const int r = p->dns ? policy_runtime_new(&env, b, &why, &p->rt) : -ERR_INVAL;
	policy_bundle_unref(&b);
	if (r < 0)
		return luaL_error(L, "%s", why.s);
	return 1;
}

/* ---- asking ----------------------------------------------------------------------------------------------------------- */

static void on_done(struct hook_call *call)
{
	container_of(call, struct spec_policy, call)->answered = true;
}

static enum hook_id check_hook(lua_State *L, int i)
{
	const char *name = luaL_checkstring(L, i);

	for (int id = 0; id < HOOK_MAX_; id++)
		if (strcmp(hook_name((enum hook_id)id), name) == 0)
			return (enum hook_id)id;
	return (enum hook_id)luaL_error(L, "there is no hook '%s'", name);
}

static int pl_ask(lua_State *L)
{
	struct spec_policy *p = check(L);
	const enum hook_id id = check_hook(L, 2);
	const bool message = id == HOOK_MESSAGE || id == HOOK_ROUTE;
	const bool txn = message || id == HOOK_MAIL || id == HOOK_RCPT || id == HOOK_DATA;

	luaL_checktype(L, 3, LUA_TTABLE);
	spec_subject_read(L, 3, &p->subject, message);
	p->subject.conn.listener = SPAN("spec");
	p->call = (struct hook_call){ .id = id,
				      .policies = policy_hook_ops.list(p->rt, SPAN("spec")),
				      .conn = &p->subject.conn,
				      .txn = txn ? &p->subject.txn : NULL,
				      .rcpt = id == HOOK_RCPT || id == HOOK_ROUTE ? &p->subject.rcpt : NULL,
				      .msg = message ? &p->subject.msg : NULL,
				      .mem = p->mem,
				      .done = on_done };
	p->answered = false;
	policy_hook_ops.start(p->rt, &p->call);
	turn(p, &p->answered);
	if (!p->answered)
		return luaL_error(L, "the policy gave no answer");
	spec_subject_push_verdict(L, &p->call.verdict);
	return 1;
}

static int pl_observe(lua_State *L)
{
	struct spec_policy *p = check(L);
	const char *name = luaL_checkstring(L, 2);
	struct hook_event ev = { .policies = policy_hook_ops.list(p->rt, SPAN("spec")),
				 .conn = &p->subject.conn };
	struct verdict v;

	luaL_checktype(L, 3, LUA_TTABLE);
	spec_subject_read(L, 3, &p->subject, strcmp(name, "accepted") == 0);
	if (spec_subject_event(L, name, &p->subject, &ev, &v) < 0)
		return luaL_error(L, "there is no observer '%s'", name);
	policy_hook_ops.observe(p->rt, &ev);
	return 0;
}

static int pl_advance(lua_State *L)
{
	struct spec_policy *p = check(L);

	loop_clock_advance(p->loop, (int64_t)(luaL_checknumber(L, 2) * 1e6));
	(void)loop_run_once(p->loop, false);
	return 0;
}

static int pl_log(lua_State *L)
{
	struct spec_policy *p = check(L);

	log_flush(&p->log);
	box_push_span(L, buf_span(&p->lines));
	buf_reset(&p->lines);
	return 1;
}

static int pl_forget(lua_State *L)
{
	struct spec_policy *p = check(L);
	const char *what = luaL_checkstring(L, 2);

	policy_hook_ops.txn_gone(p->rt, &p->subject.txn);
	if (strcmp(what, "conn") == 0)
		policy_hook_ops.conn_gone(p->rt, &p->subject.conn);
	return 0;
}

static int pl_state(lua_State *L)
{
	spec_subject_push_state(L, &check(L)->subject);
	return 1;
}

void spec_policy_open(lua_State *L, const char *policy_dir)
{
	static const luaL_Reg methods[] = {
		{ "ask", pl_ask }, { "observe", pl_observe }, { "advance", pl_advance },
		{ "log", pl_log }, { "forget", pl_forget },   { "state", pl_state },
		{ NULL, NULL },
	};

	lua_pushlightuserdata(L, (void *)(uintptr_t)&metatable_key);
	lua_newtable(L);
	lua_pushcfunction(L, pl_gc);
	lua_setfield(L, -2, "__gc");
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_rawset(L, LUA_REGISTRYINDEX);
	lua_newtable(L);
	if (policy_dir)
		lua_pushstring(L, policy_dir);
	else
		lua_pushnil(L);
	lua_pushcclosure(L, pl_policy, 1);
	lua_setfield(L, -2, "policy");
}
