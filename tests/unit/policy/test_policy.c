/* A policy decides: verdicts, order, modes, views. */
#include "policy_rig.h"

static void a_refusal_has_all_its_parts(void)
{
	struct rig r;

	rig_open(
		&r,
		"function on.helo(conn, name)\n"
		"  if relay.text.find_any(name, '&') then\n"
		"    return relay.reject { code = 501, now = true, enhanced = '5.5.2', rule = 'helo-characters', text = ('HELO name %q\\r\\nbad'):format(name) }\n"
		"  end\nend");
	CHECK(policy_hook_ops.wants(r.rt, policy_hook_ops.list(r.rt, SPAN("relay")), HOOK_HELO));
	CHECK(!policy_hook_ops.wants(r.rt, policy_hook_ops.list(r.rt, SPAN("relay")), HOOK_MAIL));
	CHECK(policy_hook_ops.list(r.rt, SPAN("other")) == NULL);
	const struct verdict *v = rig_ask(&r, HOOK_HELO);
	CHECK_INT(VERDICT_REJECT, v->kind);
	CHECK(!v->broken);
	CHECK(v->now);
	CHECK_INT(501, v->code);
	CHECK_SPAN("5.5.2", v->enhanced);
	CHECK_SPAN("helo-characters", v->rule);
	CHECK_SPAN("HELO name \"copier&1\"  bad", v->text);
	CHECK_SPAN("p", v->policy);
	CHECK_INT(1, r.path.n);
	CHECK_SPAN("helo-characters", r.path.step[0].rule);
	r.conn.helo = SPAN("copier1");
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_HELO)->kind);
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_MAIL)->kind);
	rig_close(&r);
}

static void defaults_depend_on_kind_and_hook(void)
{
	struct rig r;

	rig_open(&r, "function on.connect() return relay.reject { rule = 'r' } end\n"
		     "function on.helo() return relay.defer { rule = 'r' } end\n"
		     "function on.mail() return relay.disconnect { rule = 'r' } end\n"
		     "function on.rcpt() return relay.accept end\n"
		     "function on.message() return relay.hold { rule = 'r', text = 'held' } end");
	const struct verdict *v = rig_ask(&r, HOOK_CONNECT);
	CHECK_INT(554, v->code);
	CHECK_SPAN("5.7.1", v->enhanced);
	v = rig_ask(&r, HOOK_HELO);
	CHECK_INT(451, v->code);
	CHECK_SPAN("4.7.1", v->enhanced);
	v = rig_ask(&r, HOOK_MAIL);
	CHECK_INT(VERDICT_DISCONNECT, v->kind);
	CHECK_INT(421, v->code);
	CHECK_INT(VERDICT_ACCEPT, rig_ask(&r, HOOK_RCPT)->kind);
	rig_message(&r, "From: a@b\r\n\r\n");
	CHECK_INT(VERDICT_HOLD, rig_ask(&r, HOOK_MESSAGE)->kind);
	rig_close(&r);
}

static void the_first_decisive_verdict_ends_the_stage(void)
{
	struct rig r;

	rig_prepare(&r);
	const char *const policies[] = {
		"a",
		rig_policy(&r, "a", "function on.connect() end function on.rcpt() return relay.accept end"),
		"b",
		rig_policy(&r, "b", "function on.connect() return relay.defer { rule = 'b' } end"),
		"c",
		rig_policy(&r, "c",
			   "function on.connect() return relay.reject { rule = 'c' } end\n"
			   "function on.rcpt() return relay.reject { rule = 'c' } end"),
		NULL
	};
	rig_start(&r, rig_bundle(&r, "{ name = 'a' }, { name = 'b' }, { name = 'c' }", policies));
	CHECK_SPAN("b", rig_ask(&r, HOOK_CONNECT)->policy);
	CHECK_INT(2, r.path.n);
	CHECK_SPAN("a", r.path.step[0].policy);
	CHECK_INT(VERDICT_NONE, r.path.step[0].kind);
	const struct verdict *v = rig_ask(&r, HOOK_RCPT);
	CHECK_INT(VERDICT_ACCEPT, v->kind);
	CHECK_SPAN("a", v->policy);
	rig_close(&r);
}

static void an_error_of_who_observes_does_not_decide(void)
{
	struct rig r;

	rig_prepare(&r);
	const char *const policies[] = {
		"a", rig_policy(&r, "a", "function on.connect() error('oops') end"), "b",
		rig_policy(&r, "b", "function on.connect() return relay.reject { rule = 'b' } end"), NULL
	};
	rig_start(&r, rig_bundle(&r, "{ name = 'a', mode = 'observe' }, { name = 'b' }", policies));
	const struct verdict *v = rig_ask(&r, HOOK_CONNECT);
	CHECK_SPAN("b", v->rule);
	CHECK(!v->broken);
	CHECK(rig_logged(&r, "oops"));
	CHECK(r.path.step[0].broken);
	rig_close(&r);
}

static void a_canary_counts_for_some(void)
{
	struct rig r;
	char uses[256];
	unsigned refused = 0;

	rig_prepare(&r);
	const char *const policies[] = {
		"a", rig_policy(&r, "a", "function on.connect() return relay.reject { rule = 'a' } end"), NULL
	};
	(void)snprintf(
		uses, sizeof uses,
		"{ name = 'a', mode = 'canary', share = 25, networks = { '10.0.0.0/8' }, until_at = %lld }",
		(long long)(loop_wall_us(r.loop) / 1000000 + 3600));
	rig_start(&r, rig_bundle(&r, uses, policies));
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_CONNECT)->kind); /* not in the network */
	for (unsigned i = 0; i < 400; i++) {
		r.conn.client.addr = (struct ip_addr){ 4, { 10, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		refused += rig_ask(&r, HOOK_CONNECT)->kind == VERDICT_REJECT;
	}
	CHECK(refused > 60 && refused < 140); /* 100 of 400 */
	loop_clock_advance(r.loop, 3601000000);
	(void)loop_run_once(r.loop, false);
	for (unsigned i = 0; i < 400; i++) {
		r.conn.client.addr = (struct ip_addr){ 4, { 10, 0, (uint8_t)(i >> 8), (uint8_t)i } };
		CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_CONNECT)->kind);
	}
	rig_close(&r);
}

static void a_verdict_that_is_not_returned_is_a_warning(void)
{
	struct rig r;

	rig_open(&r, "function on.connect() relay.reject { rule = 'x' } end");
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_CONNECT)->kind);
	CHECK(rig_logged(&r, "is a 'return' missing?"));
	buf_reset(&r.out);
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_CONNECT)->kind);
	log_flush(&r.log);
	CHECK_INT(0, r.out.n); /* said once */
	rig_close(&r);
}

static void a_reload_is_not_noticed(void)
{
	struct rig r;
	struct errtext why;

	rig_open(
		&r,
		"function on.connect(conn) conn.vars.from = { old = true } return relay.accept { rule = 'old' } end\n"
		"function on.mail(txn) txn.vars.x = 'old' return relay.accept { rule = 'old' } end\n"
		"function on.rcpt(txn) return relay.accept { rule = 'old-' .. txn.vars.x } end");
	CHECK_SPAN("old", rig_ask(&r, HOOK_CONNECT)->rule);
	CHECK_SPAN("old", rig_ask(&r, HOOK_MAIL)->rule);
	const void *list = policy_hook_ops.list(r.rt, SPAN("relay"));
	const char *const policies[] = {
		"n",
		rig_policy(
			&r, "n",
			"function on.connect(conn) return relay.accept { rule = 'new-' .. tostring(conn.vars.from.old) } end\n"
			"function on.mail(txn) return relay.accept { rule = 'new' } end\n"
			"function on.rcpt(txn) return relay.accept { rule = 'new' } end"),
		NULL
	};
	struct policy_bundle *b = rig_bundle(&r, "{ name = 'n' }", policies);
	NEED(b != NULL);
	CHECK_INT(0, policy_runtime_reload(r.rt, b, &why));
	policy_bundle_unref(&b);
	CHECK(list == policy_hook_ops.list(r.rt, SPAN("relay")));
	CHECK_INT(2, policy_runtime_stats(r.rt).states);
	CHECK_SPAN("old-old", rig_ask(&r, HOOK_RCPT)->rule); /* the transaction goes on where it began */
	policy_hook_ops.txn_gone(r.rt, &r.txn);
	for (int i = 0; i < 5; i++)
		(void)loop_run_once(r.loop, false);
	CHECK_INT(1, policy_runtime_stats(r.rt).states);
	CHECK_SPAN("new-true", rig_ask(&r, HOOK_CONNECT)->rule);
	CHECK_SPAN("new", rig_ask(&r, HOOK_MAIL)->rule);
	rig_close(&r);
}

static void what_is_wrong_with_a_use_is_said_with_its_line(void)
{
	static const struct {
		const char *use, *text, *problem;
	} cases[] = {
		{ "{ name = 'p', _file = 'c.lua', _line = 9, options = { n = 'x' } }", NULL,
		  "policy p: option 'n' must be a number" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9, options = { n = 1, m = 1 } }", NULL,
		  "policy p: unknown option 'm'" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9 }", NULL,
		  "policy p: option 'n' is missing: how many" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9, options = { n = 1 }, mode = 'maybe' }", NULL,
		  "'mode' is enforce, observe or canary" },
		{ "{ name = 'nope', _file = 'c.lua', _line = 9 }", NULL, "there is no policy 'nope'" },
		{ "{ name = '../p', _file = 'c.lua', _line = 9 }", NULL, "cannot be the name of a policy" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9 }", "local x = = 1", "policies/p.lua:1:" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9 }", "error('oops')", "policies/p.lua:1: oops" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9 }", "while true do end",
		  "loading it takes too long, at policies/p.lua:1" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9 }", "return {}",
		  "a policy file ends with: return relay.policy" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9 }",
		  "return require 'relay'.policy { name = 'p', api = 2, setup = function() end }",
		  "policies/p.lua: relay.policy: api 2; this server has version 1" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9 }",
		  "return require 'relay'.policy { name = 'p', api = 1, setup = function() return { conect = function() end } end }",
		  "there is no hook 'conect'" },
		{ "{ name = 'p', _file = 'c.lua', _line = 9 }",
		  "return require 'relay'.policy { name = 'p', api = 1, options = { o = { type = 'strin', doc = 'x' } }, setup = function() end }",
		  "option 'o': unknown type 'strin'" },
	};
	static const char good[] =
		"local relay = require 'relay' return relay.policy { name = 'p', api = 1, "
		"options = { n = { type = 'number', required = true, doc = 'how many' } }, "
		"setup = function(opt) return { connect = function() return relay.accept end } end }";

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		rig_prepare(&r);
		const char *const policies[] = { "p", cases[i].text ? cases[i].text : good, NULL };
		CHECK(rig_bundle(&r, cases[i].use, policies) == NULL);
		NEED(r.problems.n >= 1);
		CHECK_SPAN("c.lua", r.problems.v[0].file);
		CHECK_INT(9, r.problems.v[0].line);
		if (span_find(r.problems.v[0].text, span_of(cases[i].problem)) < 0)
			printf("  %.*s\n", SPAN_ARG(r.problems.v[0].text));
		CHECK(span_find(r.problems.v[0].text, span_of(cases[i].problem)) >= 0);
		rig_close(&r);
	}
}

static void options_arrive_as_declared(void)
{
	struct rig r;

	rig_prepare(&r);
	const char *const policies[] = {
		"p",
		"local relay = require 'relay' return relay.policy { name = 'p', api = 1, options = {\n"
		"d = { type = 'list<domain>', required = true, doc = 'x' }, t = { type = 'duration', default = '1h30m', doc = 'x' },\n"
		"c = { type = 'list<cidr>', default = {}, doc = 'x' }, e = { type = 'enum', values = { 'a', 'b' }, default = 'b', doc = 'x' } },\n"
		"setup = function(opt) local set = relay.domains.set(opt.d) local nets = relay.cidr.set(opt.c)\n"
		"return { rcpt = function(txn, rcpt) return relay.accept { rule = table.concat({ tostring(set:contains(rcpt.domain)),\n"
		"tostring(nets:contains(txn.conn.remote_ip)), opt.t, opt.e, tostring(opt.d[2]) }, '-') } end } end }",
		NULL
	};
	rig_start(
		&r,
		rig_bundle(
			&r,
			"{ name = 'p', options = { d = 'EXAMPLE.org\\n# no\\n .example.net # sub\\n', c = { '192.0.2.0/24' } } }",
			policies));
	CHECK_SPAN("true-true-5400-b-.example.net", rig_ask(&r, HOOK_RCPT)->rule);
	rig_to(&r, "x@a.b.example.net");
	CHECK_SPAN("true-true-5400-b-.example.net", rig_ask(&r, HOOK_RCPT)->rule);
	rig_to(&r, "x@example.net");
	CHECK_SPAN("false-true-5400-b-.example.net", rig_ask(&r, HOOK_RCPT)->rule);
	rig_close(&r);
}

TEST_MAIN(TEST(a_refusal_has_all_its_parts), TEST(defaults_depend_on_kind_and_hook),
	  TEST(the_first_decisive_verdict_ends_the_stage), TEST(an_error_of_who_observes_does_not_decide),
	  TEST(a_canary_counts_for_some), TEST(a_verdict_that_is_not_returned_is_a_warning),
	  TEST(a_reload_is_not_noticed), TEST(what_is_wrong_with_a_use_is_said_with_its_line),
	  TEST(options_arrive_as_declared))
