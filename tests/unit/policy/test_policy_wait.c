/* Policies that wait: for DNS, for limits, for several things at once; and what happens when nobody wants the answer
 * any more. */
#include "dns/dns.h"
#include "policy_rig.h"

/* A resolver that asks nobody. */
static void give_dns(struct rig *r)
{
	struct dns_config cfg = dns_config_default();
	struct dns_hosts *h = dns_hosts_new();
	struct errtext why;

	NEED(dns_global_init() == 0);
	NEED(dns_hosts_add(h, SPAN("example.org"), DNS_MX, SPAN("10 mx1.example.org"), &why) == 0);
	NEED(dns_hosts_add(h, SPAN("example.org"), DNS_MX, SPAN("20 mx2.example.org"), &why) == 0);
	NEED(dns_hosts_add(h, SPAN("a.example.org"), DNS_A, SPAN("192.0.2.1"), &why) == 0);
	NEED(dns_hosts_add(h, SPAN("a.example.org"), DNS_TXT, SPAN("v=spf1 -all"), &why) == 0);
	NEED(dns_hosts_add(h, SPAN("192.0.2.7"), DNS_PTR, SPAN("copier.example.edu"), &why) == 0);
	NEED(dns_hosts_add(h, SPAN("copier.example.edu"), DNS_A, SPAN("192.0.2.7"), &why) == 0);
	NEED(dns_hosts_add_result(h, SPAN("down.example.org"), DNS_MX, DNS_TEMPFAIL, &why) == 0);
	NEED(dns_hosts_add_result(h, SPAN("down.example.org"), DNS_A, DNS_TEMPFAIL, &why) == 0);
	cfg.offline = true;
	cfg.hosts = h;
	r->dns = r->env.dns = dns_new(r->loop, &cfg, &why);
	dns_hosts_free(&h);
	NEED(r->dns != NULL);
}

static void open_with_dns(struct rig *r, const char *body)
{
	rig_prepare(r);
	give_dns(r);
	const char *const policies[] = { "p", rig_policy(r, "p", body), NULL };
	rig_start(r, rig_bundle(r, "{ name = 'p' }", policies));
}

static void close_with_dns(struct rig *r)
{
	rig_close(r);
	dns_global_deinit();
}

/* @body is on.helo's and ends by returning its findings as the text of a refusal. */
static void expect_text(const char *body, const char *text)
{
	struct rig r;
	char all[2048];

	(void)snprintf(
		all, sizeof all,
		"local function say(...) return relay.reject { rule = 'x', text = table.concat({ ... }, ' ') } end\n"
		"function on.helo(conn) %s end",
		body);
	open_with_dns(&r, all);
	const struct verdict *v = rig_ask(&r, HOOK_HELO);
	CHECK(!v->broken);
	CHECK_SPAN(text, v->text);
	if (v->broken)
		(void)rig_logged(&r, "nothing is wrong");
	close_with_dns(&r);
}

static void answers_come_back(void)
{
	expect_text(
		"local mx = relay.dns.mx('example.org') return say(#mx, mx[1].host, mx[1].preference, mx[2].host)",
		"2 mx1.example.org 10 mx2.example.org");
	expect_text(
		"local a = relay.dns.a('a.example.org') local t = relay.dns.txt('a.example.org') return say(a[1], t[1])",
		"192.0.2.1 v=spf1 -all");
	expect_text(
		"local a, err = relay.dns.mx('nosuch.example.org') return say(tostring(a), err.kind, err.result)",
		"nil none nxdomain");
	expect_text("local a, err = relay.dns.mx('down.example.org') return say(tostring(a), err.kind)",
		    "nil temp");
	expect_text("local a, err = relay.dns.mx('..') return say(tostring(a), err.kind)", "nil invalid");
	expect_text(
		"return say(tostring(relay.dns.resolves('example.org')), tostring(relay.dns.resolves('a.example.org')), "
		"tostring(relay.dns.resolves('no.example.org')), tostring(relay.dns.resolves('down.example.org')))",
		"true true false nil");
	expect_text("local r = conn.reverse return say(r.status, r.name, #r.names)",
		    "pass copier.example.edu 1");
	expect_text("local r = relay.dns.reverse('192.0.2.99') return say(r.status, #r.names)", "no_ptr 0");
	expect_text("local ok, r = pcall(relay.dns.a, 'a.example.org') return say(tostring(ok), r[1])",
		    "true 192.0.2.1");
	expect_text(
		"local s = ('a b'):gsub('%a', function(c) return relay.dns.a('a.example.org')[1] end) return say(s)",
		"192.0.2.1 192.0.2.1");
	expect_text(
		"local t = { 'b', 'a' } table.sort(t, function(x, y) relay.dns.a('a.example.org') return x < y end) return say(t[1])",
		"a");
}

static void all_waits_for_several(void)
{
	expect_text(
		"local got, err = relay.all { mx = function() return relay.dns.mx('example.org') end, "
		"a = function() return relay.dns.a('a.example.org') end, no = function() return relay.dns.a('no.example.org') end, "
		"now = function() return 7 end } return say(got.mx[1].host, got.a[1], tostring(got.no), err.no.kind, got.now)",
		"mx1.example.org 192.0.2.1 nil none 7");
	expect_text(
		"local got = relay.all { function() return 1 end, function() return 2 end } return say(got[1], got[2])",
		"1 2");
	expect_text("local got = relay.all {} return say(tostring(next(got)))", "nil");
	expect_text(
		"local got = relay.all { function() local i = relay.all { function() return relay.dns.a('a.example.org') end } return i[1][1] end } "
		"return say(got[1])",
		"192.0.2.1");
	expect_text(
		"local ok, err = pcall(relay.all, { function() error('inner') end, function() return relay.dns.a('a.example.org') end }) "
		"return say(tostring(ok), tostring((err:find('inner'))) ~= 'nil' and 'inner' or err)",
		"false inner");
}

static void a_child_that_fails_later_breaks_the_policy(void)
{
	struct rig r;

	open_with_dns(
		&r,
		"function on.helo() relay.all { function() relay.dns.a('a.example.org') error('late') end, "
		"function() while true do relay.dns.a('a.example.org') end end } end\n"
		"function on.mail() relay.all { function() relay.dns.a('a.example.org') while true do end end } end\n"
		"function on.rcpt() relay.all { function() while true do end end } end\n"
		"function on.connect() return relay.accept end");
	CHECK_SPAN("policy-error", rig_ask(&r, HOOK_HELO)->rule);
	CHECK(rig_logged(&r, "policies/p.lua:4: late"));
	CHECK_SPAN("policy-budget", rig_ask(&r, HOOK_MAIL)->rule);
	CHECK_SPAN("policy-budget", rig_ask(&r, HOOK_RCPT)->rule);
	CHECK_INT(VERDICT_ACCEPT, rig_ask(&r, HOOK_CONNECT)->kind);
	close_with_dns(&r);
}

static void limits_are_taken(void)
{
	struct rig r;

	rig_open(
		&r,
		"function on.rcpt(txn, rcpt)\n"
		"  local l = relay.limit.take { key = 'device:' .. txn.conn.remote_ip, rate = '2/hour', on_store_failure = 'local' }\n"
		"  if not l.allowed then return relay.defer { rule = 'limit', text = 'again in ' .. l.retry_after } end\n"
		"  return relay.accept { rule = 'left' .. l.remaining }\nend");
	CHECK_SPAN("left1", rig_ask(&r, HOOK_RCPT)->rule);
	CHECK_SPAN("left0", rig_ask(&r, HOOK_RCPT)->rule);
	CHECK_SPAN("limit", rig_ask(&r, HOOK_RCPT)->rule);
	rig_close(&r);
}

static void a_client_that_leaves_cancels(void)
{
	struct rig r;

	open_with_dns(
		&r,
		"function on.helo() relay.dns.a('a.example.org') relay.log.warn('too late') return relay.accept end\n"
		"function on.connect() return relay.accept end");
	for (int i = 0; i < 3; i++) {
		rig_ask_only(&r, HOOK_HELO);
		policy_hook_ops.cancel(r.rt, &r.call);
		CHECK_INT(0, r.answers);
		for (int n = 0; n < 10; n++)
			(void)loop_run_once(r.loop, false);
		CHECK_INT(1, r.answers);
		CHECK(r.call.verdict.broken);
		CHECK_INT(VERDICT_DEFER, r.call.verdict.kind);
		CHECK_SPAN("policy-canceled", r.call.verdict.rule);
	}
	CHECK_INT(3,
		  policy_runtime_stats(r.rt).stale); /* the answers came, found nobody, and touched nothing */
	CHECK_INT(0, policy_runtime_stats(r.rt).running);
	log_flush(&r.log);
	CHECK(span_find(buf_span(&r.out), SPAN("too late")) < 0);
	/* The slot serves another question by now; the old answer must not reach it. */
	rig_ask_only(&r, HOOK_HELO);
	policy_hook_ops.cancel(r.rt, &r.call);
	for (int n = 0; n < 10; n++)
		(void)loop_run_once(r.loop, false);
	CHECK_INT(VERDICT_ACCEPT, rig_ask(&r, HOOK_HELO)->kind);
	CHECK_INT(VERDICT_ACCEPT, rig_ask(&r, HOOK_CONNECT)->kind);
	close_with_dns(&r);
}

static void a_reload_lets_those_who_wait_end(void)
{
	struct rig r;
	struct errtext why;

	open_with_dns(
		&r,
		"function on.helo() relay.dns.a('a.example.org') return relay.accept { rule = 'old' } end");
	rig_ask_only(&r, HOOK_HELO);
	const char *const policies[] = {
		"n", rig_policy(&r, "n", "function on.helo() return relay.accept { rule = 'new' } end"), NULL
	};
	struct policy_bundle *b = rig_bundle(&r, "{ name = 'n' }", policies);
	NEED(b != NULL);
	CHECK_INT(0, policy_runtime_reload(r.rt, b, &why));
	policy_bundle_unref(&b);
	for (int n = 0; n < 10; n++)
		(void)loop_run_once(r.loop, false);
	CHECK_INT(1, r.answers);
	CHECK_SPAN("old", r.call.verdict.rule);
	CHECK_INT(1, policy_runtime_stats(r.rt).states);
	CHECK_SPAN("new", rig_ask(&r, HOOK_HELO)->rule);
	close_with_dns(&r);
}

static void closing_answers_those_who_wait(void)
{
	struct rig r;

	open_with_dns(&r, "function on.helo() relay.dns.a('a.example.org') end");
	rig_ask_only(&r, HOOK_HELO);
	policy_hook_ops.conn_gone(r.rt, &r.conn);
	bool closed = false;
	policy_runtime_close(&r.rt, rig_closed, &closed);
	for (int n = 0; n < 20; n++)
		(void)loop_run_once(r.loop, false);
	CHECK(closed);
	CHECK_INT(1, r.answers);
	CHECK(r.call.verdict.broken);
	close_with_dns(&r);
}

static void nothing_waits_where_it_may_not(void)
{
	struct rig r;

	open_with_dns(
		&r,
		"function on.session_closed(conn) relay.dns.a('a.example.org') end\n"
		"function on.helo() local t = setmetatable({}, { __tostring = function() relay.dns.a('a.example.org') return 'x' end })\n"
		"local ok, err = pcall(string.format, '%s', t) return relay.reject { rule = 'x', text = err } end");
	policy_hook_ops.observe(
		r.rt, &(struct hook_event){ .id = OBSERVER_SESSION_CLOSED,
					    .conn = &r.conn,
					    .policies = policy_hook_ops.list(r.rt, SPAN("relay")) });
	CHECK(rig_logged(&r, "relay.dns.a waits: not available in 'session_closed', which only observes"));
	const struct verdict *v = rig_ask(&r, HOOK_HELO);
	CHECK(span_find(v->text, SPAN("cannot be called from a function that C calls")) >= 0);
	close_with_dns(&r);

	rig_prepare(&r);
	const char *const policies[] = { "p", "local relay = require 'relay'\nrelay.dns.a('x')\n", NULL };
	CHECK(rig_bundle(&r, "{ name = 'p' }", policies) == NULL);
	NEED(r.problems.n == 1);
	CHECK(span_find(r.problems.v[0].text, SPAN("not while a policy is loaded")) >= 0);
	rig_close(&r);
}

static void ignore_done(struct hook_call *call)
{
	(void)call;
}

/* Two hundred questions at once, answered in any order: every answer reaches its own. */
static void many_wait_at_once(void)
{
	enum { N = 200 };
	struct rig r;
	struct hook_call call[N];
	struct view_conn conn[N];
	char helo[N][16];

	open_with_dns(
		&r,
		"function on.helo(conn, name) relay.dns.a('a.example.org') conn.vars.n = name relay.dns.mx('example.org')\n"
		"return relay.reject { rule = name, text = conn.vars.n } end");
	for (int i = 0; i < N; i++) {
		conn[i] = r.conn;
		conn[i].policy = NULL;
		(void)snprintf(helo[i], sizeof helo[i], "host%d", i);
		conn[i].helo = span_of(helo[i]);
		call[i] = (struct hook_call){ .id = HOOK_HELO,
					      .policies = policy_hook_ops.list(r.rt, SPAN("relay")),
					      .conn = &conn[i],
					      .mem = r.mem,
					      .done = ignore_done };
		policy_hook_ops.start(r.rt, &call[i]);
	}
	for (int n = 0; n < 50 && policy_runtime_stats(r.rt).running; n++)
		(void)loop_run_once(r.loop, false);
	for (int i = 0; i < N; i++) {
		CHECK_SPAN(helo[i], call[i].verdict.rule);
		CHECK_SPAN(helo[i], call[i].verdict.text);
		policy_hook_ops.conn_gone(r.rt, &conn[i]);
	}
	close_with_dns(&r);
}

TEST_MAIN(TEST(answers_come_back), TEST(all_waits_for_several),
	  TEST(a_child_that_fails_later_breaks_the_policy), TEST(limits_are_taken),
	  TEST(a_client_that_leaves_cancels), TEST(a_reload_lets_those_who_wait_end),
	  TEST(closing_answers_those_who_wait), TEST(nothing_waits_where_it_may_not), TEST(many_wait_at_once))
