/* What a policy must not be able to do: hang, starve, eat memory, escape. Each time the answer is DEFER, the log
 * names policy, hook and line, and the state goes on serving. */
#include <time.h>

#include "dns/dns.h"
#include "policy_rig.h"

/* Every body gets a helo that works, to see that the state goes on. */
#define ALIVE "\nfunction on.helo() return relay.accept { rule = 'alive' } end"

static void check_alive(struct rig *r)
{
	const struct verdict *v = rig_ask(r, HOOK_HELO);

	CHECK_INT(VERDICT_ACCEPT, v->kind);
	CHECK_SPAN("alive", v->rule);
}

static void check_broken(struct rig *r, enum hook_id id, const char *rule)
{
	const struct verdict *v = rig_ask(r, id);

	CHECK_INT(VERDICT_DEFER, v->kind);
	CHECK(v->broken);
	CHECK_INT(451, v->code);
	CHECK_SPAN("4.3.0", v->enhanced);
	CHECK_SPAN(rule, v->rule);
	CHECK_SPAN("p", v->policy);
}

/* @body is on.connect's, on line 4 of the policy. */
static void expect_budget(const char *body, const char *limit)
{
	struct rig r;
	char text[4096], wanted[64];

	(void)snprintf(text, sizeof text, "function on.connect(conn) %s end" ALIVE, body);
	rig_open(&r, text);
	check_broken(&r, HOOK_CONNECT, "policy-budget");
	CHECK(rig_logged(&r, "\"event\":\"policy_budget\""));
	CHECK(rig_logged(&r, "\"policy\":\"p\",\"hook\":\"connect\""));
	CHECK(rig_logged(&r, "\"at\":\"policies/p.lua:4\""));
	CHECK(rig_logged(&r, "traceback"));
	(void)snprintf(wanted, sizeof wanted, "\"limit\":\"%s\"", limit);
	CHECK(rig_logged(&r, wanted));
	check_alive(&r);
	check_broken(&r, HOOK_CONNECT, "policy-budget");
	check_alive(&r);
	rig_close(&r);
}

static void an_endless_loop_ends(void)
{
	expect_budget("while true do end", "instructions");
	expect_budget("local function f() return f() end f()", "instructions");
	expect_budget("repeat until false", "instructions");
	expect_budget("for i = 1, 1e18 do local x = i end", "instructions");
}

static void pcall_does_not_help_it(void)
{
	expect_budget("while true do pcall(function() while true do end end) end", "instructions");
	expect_budget("pcall(pcall, pcall, function() while true do end end) while true do end",
		      "instructions");
	expect_budget(
		"xpcall(function() while true do end end, function() while true do end end) while true do end",
		"instructions");
	expect_budget("xpcall(error, function() while true do end end)", "instructions");
}

static void a_callback_from_c_does_not_help_it(void)
{
	expect_budget("table.sort({ 3, 2, 1, 5, 4 }, function() while true do end end)", "instructions");
	expect_budget("('aaa'):gsub('a', function() while true do end end)", "instructions");
	expect_budget(
		"local t = setmetatable({}, { __index = function() while true do end end }) local x = t.y",
		"instructions");
	expect_budget(
		"local t = setmetatable({}, { __tostring = function() while true do end end }) tostring(t)",
		"instructions");
	/* This one is called by C, where a coroutine cannot yield: the error comes at every instruction until it is left. */
	expect_budget(
		"local t = setmetatable({}, { __tostring = function() while true do pcall(function() while true do end end) end end }) "
		"pcall(string.format, '%s', t) while true do end",
		"instructions");
	expect_budget(
		"local t = setmetatable({}, { __tostring = function() xpcall(function() while true do end end, "
		"function() while true do end end) end }) while true do pcall(string.format, '%s', t) end",
		"instructions");
	expect_budget(
		"local t = setmetatable({}, { __lt = function() while true do end end }) local x = t < t",
		"instructions");
	expect_budget("local t = setmetatable({}, { __eq = function() while true do end end }) "
		      "local u = setmetatable({}, getmetatable(t)) local x = t == u",
		      "instructions");
	expect_budget(
		"local t = setmetatable({}, { __concat = function() while true do end end }) local x = t .. 'a'",
		"instructions");
	expect_budget("for k in function() while true do end end do end", "instructions");
}

static void an_endless_pattern_ends(void)
{
	expect_budget("('a'):rep(40):match('^' .. ('(a?)'):rep(20) .. ('a'):rep(40) .. 'b')", "instructions");
	expect_budget("local s = ('a'):rep(3000) s:find('.-.-.-b')", "instructions");
	expect_budget("local s = ('a'):rep(3000) while true do pcall(s.find, s, '.-.-.-b') end",
		      "instructions");
	expect_budget("local s = ('a'):rep(3000) s:gsub('.-.-.-b', '')", "instructions");
	expect_budget("local s = ('a'):rep(3000) for x in s:gmatch('.-.-.-b') do end", "instructions");
	expect_budget("local s = ('a'):rep(60000) relay.text.glob(s, ('*a'):rep(2000) .. 'b')",
		      "instructions");
}

static void it_may_not_compute_for_long(void)
{
	struct rig r;

	rig_prepare(&r);
	r.env.budget.instructions_max = 1000000000000;
	r.env.budget.compute_us_max = 20000;
	const char *const policies[] = {
		"p", rig_policy(&r, "p", "function on.connect() while true do end end" ALIVE), NULL
	};
	rig_start(&r, rig_bundle(&r, "{ name = 'p' }", policies));
	check_broken(&r, HOOK_CONNECT, "policy-budget");
	CHECK(rig_logged(&r, "\"limit\":\"compute_us\""));
	check_alive(&r);
	rig_close(&r);
}

static void a_huge_string_is_an_error_of_that_hook(void)
{
	static const char *const bodies[] = {
		"local s = ('x'):rep(1e9)",
		"local s = 'x' while true do s = s .. s end",
		"local t = {} for i = 1, 1e9 do t[i] = { i } end",
		"local t = {} for i = 1, 1e5 do t[i] = ('x'):rep(1000) .. i end local s = table.concat(t)",
	};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct rig r;
		char text[512];
		(void)snprintf(text, sizeof text, "function on.connect(conn) %s end" ALIVE, bodies[i]);
		rig_prepare(&r);
		r.env.budget.memory_max_bytes = 16 * 1024 * 1024;
		r.env.budget.instructions_max = 100000000;
		const char *const policies[] = { "p", rig_policy(&r, "p", text), NULL };
		rig_start(&r, rig_bundle(&r, "{ name = 'p' }", policies));
		for (int n = 0; n < 3; n++) {
			check_broken(&r, HOOK_CONNECT, "policy-error");
			check_alive(&r);
		}
		CHECK(rig_logged(&r, "not enough memory"));
		CHECK(policy_runtime_stats(r.rt).lua_bytes < 20 * 1024 * 1024);
		rig_close(&r);
	}
}

static void a_state_that_is_full_is_made_anew(void)
{
	struct rig r;

	rig_prepare(&r);
	r.env.budget.memory_max_bytes = 8 * 1024 * 1024;
	r.env.budget.instructions_max = 100000000;
	const char *const policies[] = {
		"p",
		rig_policy(&r, "p",
			   "local kept = {}\n"
			   "function on.connect() for i = 1, 1e9 do kept[#kept + 1] = { i } end end" ALIVE),
		NULL
	};
	rig_start(&r, rig_bundle(&r, "{ name = 'p' }", policies));
	check_broken(&r, HOOK_CONNECT, "policy-error");
	for (int i = 0; i < 10; i++)
		(void)loop_run_once(r.loop, false);
	CHECK_INT(1, policy_runtime_stats(r.rt).rebuilt);
	CHECK_INT(1, policy_runtime_stats(r.rt).states);
	CHECK(policy_runtime_stats(r.rt).lua_bytes < 4 * 1024 * 1024);
	check_alive(&r);
	rig_close(&r);
}

static void recursion_ends(void)
{
	static const char *const bodies[] = {
		"local function f() return 1 + f() end f()",
		"local t = setmetatable({}, {}) getmetatable(t).__tostring = function() return string.format('%s', t) end tostring(t)",
		"local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k .. 'x'] end local x = t.a",
		"local function f(...) return select('#', ...) + f(1, ...) end f()",
		"local t = {} for i = 1, 1e6 do t[i] = i end return unpack(t)",
		"local function f() local ok, e = pcall(f) error(e) end f()",
	};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct rig r;
		char text[512];
		(void)snprintf(text, sizeof text, "function on.connect(conn) %s end" ALIVE, bodies[i]);
		rig_open(&r, text);
		const struct verdict *v = rig_ask(&r, HOOK_CONNECT);
		CHECK(v->broken);
		if (!v->broken)
			printf("  %s\n", bodies[i]);
		check_alive(&r);
		rig_close(&r);
	}
}

static void an_error_in_every_hook(void)
{
	struct rig r;

	rig_open(
		&r,
		"for _, h in ipairs { 'connect', 'helo', 'starttls', 'auth', 'mail', 'rcpt', 'data', 'message', 'route' } do\n"
		"  on[h] = function() error('oops in ' .. h) end\nend\n"
		"for _, h in ipairs { 'session_closed', 'refused' } do\n  on[h] = function() local x = nil + 1 end\nend");
	rig_message(&r, "Subject: x\r\n\r\n");
	for (int id = 0; id < HOOK_MAX_; id++) {
		char wanted[128];
		check_broken(&r, (enum hook_id)id, "policy-error");
		(void)snprintf(wanted, sizeof wanted, "\"hook\":\"%s\"", hook_name((enum hook_id)id));
		CHECK(rig_logged(&r, wanted));
		(void)snprintf(wanted, sizeof wanted, "policies/p.lua:5: oops in %s",
			       hook_name((enum hook_id)id));
		CHECK(rig_logged(&r, wanted));
	}
	policy_hook_ops.observe(
		r.rt, &(struct hook_event){ .id = OBSERVER_REFUSED,
					    .conn = &r.conn,
					    .policies = policy_hook_ops.list(r.rt, SPAN("relay")) });
	CHECK(rig_logged(&r, "\"hook\":\"refused\""));
	CHECK_INT(0, policy_runtime_stats(r.rt).running);
	rig_close(&r);
}

static void the_sandbox_has_no_holes(void)
{
	static const char *const forbidden[] = {
		"ffi",      "io",       "os",        "debug",  "load",    "loadstring",
		"dofile",   "loadfile", "coroutine", "jit",    "package", "collectgarbage",
		"newproxy", "setfenv",  "getfenv",   "rawset", "print",   "module",
		"_G",
	};
	static const char *const attempts[] = {
		"return string.dump",
		"string.format = nil",
		"x = 1",
		"relay.reject = nil",
		"relay.text.find = nil",
		"setmetatable(string, {})",
		"getmetatable('').__index = {}",
		"('').format = 1",
		"require 'relay.core'.all()",
		"require 'relay.sandbox'",
		"require 'io'",
		"require '../p'",
		"conn.vars = {}",
		"conn.id = 'x'",
		"getmetatable(conn).__index = nil",
		"relay.accept.kind = 'reject'",
		"math.randomseed(1)",
	};

	for (size_t i = 0; i < ARRAY_LEN(forbidden) + ARRAY_LEN(attempts); i++) {
		struct rig r;
		char text[512];
		const bool global = i < ARRAY_LEN(forbidden);
		(void)snprintf(text, sizeof text,
			       global ? "function on.connect() local x = %s end" ALIVE
				      : "function on.connect(conn) %s end" ALIVE,
			       global ? forbidden[i] : attempts[i - ARRAY_LEN(forbidden)]);
		rig_open(&r, text);
		const struct verdict *v = rig_ask(&r, HOOK_CONNECT);
		/* string.dump is nil, which is no opinion */
		if (i == ARRAY_LEN(forbidden))
			CHECK_INT(VERDICT_NONE, v->kind);
		else if (!v->broken)
			printf("  not refused: %s\n",
			       global ? forbidden[i] : attempts[i - ARRAY_LEN(forbidden)]);
		if (i != ARRAY_LEN(forbidden))
			CHECK(v->broken);
		check_alive(&r);
		rig_close(&r);
	}
}

static void what_is_no_verdict_is_a_bug(void)
{
	static const struct {
		const char *body, *logged;
	} cases[] = {
		{ "return true", "returned a boolean" },
		{ "return 'reject'", "returned a string" },
		{ "return 550", "returned a number" },
		{ "return {}", "returned a table" },
		{ "return relay.reject", "returned relay.reject without a rule" },
		{ "return relay.reject { text = 'x' }", "relay.reject needs a rule" },
		{ "return relay.reject { rule = 'x', code = 250 }", "its code must be 500 to 599" },
		{ "return relay.reject { rule = 'x', code = 450 }", "its code must be 500 to 599" },
		{ "return relay.defer { rule = 'x', code = 550 }", "its code must be 400 to 499" },
		{ "return relay.disconnect { rule = 'x', code = 550 }", "its code must be 421 or 554" },
		{ "return relay.reject { rule = 'x', enhanced = '4.7.1' }", "of the class of the code" },
		{ "return relay.reject { rule = 'x', enhanced = '5.7' }", "of the class of the code" },
		{ "return relay.reject { rule = 'x y' }", "needs a rule" },
		{ "return relay.reject { rule = 'x', txt = 'y' }", "has no field 'txt'" },
		{ "return relay.hold { rule = 'x' }", "relay.hold is no verdict for this hook" },
		{ "return relay.accept { code = 250 }", "has no field 'code'" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		char text[512];
		(void)snprintf(text, sizeof text, "function on.connect(conn) %s end" ALIVE, cases[i].body);
		rig_open(&r, text);
		check_broken(&r, HOOK_CONNECT, "policy-error");
		CHECK(rig_logged(&r, cases[i].logged));
		CHECK(rig_logged(&r, "\"at\":\"policies/p.lua:4\""));
		check_alive(&r);
		rig_close(&r);
	}
}

static void a_dead_resolver_ends_at_the_deadline(void)
{
	struct rig r;

	rig_prepare(&r);
	struct dns_config cfg = dns_config_default();
	const struct ip_endpoint nobody = { .addr = { 4, { 127, 0, 0, 1 } }, .port = 9 };
	struct errtext why;
	cfg.servers = &nobody;
	cfg.servers_n = 1;
	cfg.try_timeout_us = cfg.deadline_us = 3600000000;
	NEED(dns_global_init() == 0);
	r.dns = r.env.dns = dns_new(r.loop, &cfg, &why);
	NEED(r.dns != NULL);
	const char *const policies[] = {
		"p",
		rig_policy(&r, "p",
			   "function on.connect() while true do relay.dns.mx('example.org') end end" ALIVE),
		NULL
	};
	rig_start(&r, rig_bundle(&r, "{ name = 'p' }", policies));
	for (int n = 0; n < 2; n++) {
		rig_ask_only(&r, HOOK_CONNECT);
		for (int i = 0; i < 50 && !r.answers; i++) {
			loop_clock_advance(r.loop, 500000);
			(void)loop_run_once(r.loop, false);
		}
		CHECK_INT(1, r.answers);
		CHECK_INT(VERDICT_DEFER, r.call.verdict.kind);
		CHECK(r.call.verdict.broken);
		CHECK_SPAN("policy-timeout", r.call.verdict.rule);
		check_alive(&r);
	}
	CHECK(rig_logged(&r, "\"limit\":\"wait_us\""));
	CHECK(rig_logged(&r, "\"at\":\"policies/p.lua:4\""));
	rig_close(&r);
	dns_global_deinit();
}

TEST_MAIN(TEST(an_endless_loop_ends), TEST(pcall_does_not_help_it), TEST(a_callback_from_c_does_not_help_it),
	  TEST(an_endless_pattern_ends), TEST(it_may_not_compute_for_long),
	  TEST(a_huge_string_is_an_error_of_that_hook), TEST(a_state_that_is_full_is_made_anew),
	  TEST(recursion_ends), TEST(an_error_in_every_hook), TEST(the_sandbox_has_no_holes),
	  TEST(what_is_no_verdict_is_a_bug), TEST(a_dead_resolver_ends_at_the_deadline))
