/* Specs: that they pass and fail when they should. */
#include <stdlib.h>
#include <unistd.h>

#include "policy/spec_host.h"
#include "test.h"

static struct span run(const char *text, struct buf *out, struct spec_result *result)
{
	char file[] = "/tmp/specXXXXXX";
	const int fd = mkstemp(file);

	NEED(fd >= 0);
	NEED(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	(void)close(fd);
	buf_reset(out);
	NEED(spec_run(file, NULL, out, result) == 0);
	(void)unlink(file);
	return buf_span(out);
}

#define CHECK_OUT(part)                                                                                      \
	do {                                                                                                 \
		if (span_find(got, SPAN(part)) < 0)                                                          \
			printf("%.*s", SPAN_ARG(got));                                                       \
		CHECK(span_find(got, SPAN(part)) >= 0);                                                      \
	} while (0)

static void what_holds_passes(void)
{
	struct buf out = BUF_INIT(1 << 20);
	struct spec_result r;
	const struct span got = run(
		"local t = require 'relay.testing'\n"
		"local text = [[local relay = require 'relay'\n"
		"return relay.policy { name = 'p', api = 1, options = { zone = { type = 'domain', default = 'bl.example', doc = 'x' } },\n"
		"setup = function(opt) local on = {}\n"
		"function on.connect(conn) local hit, err = relay.dns.listed(conn.remote_ip, opt.zone)\n"
		"  if hit then return relay.reject { rule = 'listed', text = 'listed by ' .. opt.zone }\n"
		"  elseif err then conn:log('warn', 'unavailable', { zone = opt.zone }) end conn.vars.seen = true end\n"
		"function on.helo(conn, name) return relay.accept { rule = 'seen-' .. tostring(conn.vars.seen) } end\n"
		"function on.rcpt(txn, rcpt) local l = relay.limit.take { key = 'k', rate = '2/hour' }\n"
		"  if not l.allowed then return relay.defer { rule = 'limit', text = 'in ' .. l.retry_after } end end\n"
		"function on.mail(txn, sender) local r = txn.conn.reverse return relay.reject { rule = r.status, text = tostring(r.name) } end\n"
		"function on.message(txn, msg) msg:replace('Subject', 'new ' .. msg.subject) msg.meta.n = 1 msg:set_sender('x@example.edu') end\n"
		"function on.refused(conn, r) relay.log.info('saw', { rule = r.rule }) end\n"
		"return on end }]]\n"
		"t.describe('p', function()\n"
		"  t.it('refuses', function() local p = t.policy('p', {}, { text = text }):dns { ['2.2.0.192.bl.example'] = '127.0.0.2' }\n"
		"    t.verdict(p:connect { remote_ip = '192.0.2.2' }, 'reject', 554, 'listed by bl.example', 'listed')\n"
		"    t.no_opinion(p:connect { remote_ip = '192.0.2.3' })\n"
		"    t.verdict(p:helo { name = 'x' }, 'accept', nil, nil, 'seen-true')\n"
		"    p:reconnect() t.verdict(p:helo { name = 'x' }, 'accept', nil, nil, 'seen-nil') end)\n"
		"  t.it('logs', function() local p = t.policy('p', { zone = 'other.example' }, { text = text })\n"
		"    p:dns { ['2.2.0.192.other.example'] = t.SERVFAIL }\n"
		"    t.no_opinion(p:connect { remote_ip = '192.0.2.2' }) t.logged(p, 'unavailable', { zone = 'other.example' }) end)\n"
		"  t.it('limits', function() local p = t.policy('p', {}, { text = text })\n"
		"    t.no_opinion(p:rcpt { to = 'a@b.example' }) t.no_opinion(p:rcpt { to = 'a@b.example' })\n"
		"    t.verdict(p:rcpt { to = 'a@b.example' }, 'defer', 451, 'in 1800')\n"
		"    p:advance(1800) t.no_opinion(p:rcpt { to = 'a@b.example' }) end)\n"
		"  t.it('asks for names', function() local p = t.policy('p', {}, { text = text })\n"
		"    p:dns { ['192.0.2.9'] = 'c.example.edu', ['c.example.edu'] = '192.0.2.9' }\n"
		"    t.verdict(p:mail { remote_ip = '192.0.2.9', from = 'a@b.example' }, 'reject', 550, 'c.example.edu', 'pass')\n"
		"    t.verdict(p:mail { remote_ip = '192.0.2.8', from = '' }, 'reject', 550, 'nil', 'no_ptr')\n"
		"    t.verdict(p:mail { reverse = 'temperror', from = '' }, 'reject', 550, 'nil', 'temperror') end)\n"
		"  t.it('edits', function() local p = t.policy('p', {}, { text = text })\n"
		"    t.no_opinion(p:message { header = { 'Subject: old', 'From: a@b' } }) t.equal('new old', p:header('subject'))\n"
		"    t.equal({ n = 1 }, p:state().meta) t.equal('x@example.edu', p:state().sender) end)\n"
		"  t.it('observes', function() local p = t.policy('p', {}, { text = text }) p:observe('refused', { rule = 'r1', code = 550 })\n"
		"    t.logged(p, 'saw', { rule = 'r1' }) end)\n"
		"  t.it('says what is wrong', function() t.raises('unknown option', t.policy, 'p', { nope = 1 }, { text = text })\n"
		"    t.raises('there is no policy', t.policy, 'nosuch') end)\n"
		"end)\nt.finish()\n",
		&out, &r);
	CHECK_INT(7, r.run);
	CHECK_INT(0, r.failed);
	CHECK_OUT("ok p refuses\n");
	if (r.failed)
		printf("%.*s", SPAN_ARG(got));
	buf_free(&out);
}

static void what_does_not_hold_fails(void)
{
	struct buf out = BUF_INIT(1 << 20);
	struct spec_result r;
	struct span got = run(
		"local t = require 'relay.testing'\n"
		"local text = [[return require 'relay'.policy { name = 'p', api = 1, setup = function() return {\n"
		"connect = function() return require 'relay'.reject { rule = 'x', text = 'no' } end, helo = function() error 'oops' end } end }]]\n"
		"t.it('a', function() t.no_opinion(t.policy('p', {}, { text = text }):connect()) end)\n"
		"t.it('b', function() t.verdict(t.policy('p', {}, { text = text }):connect(), 'reject', 550) end)\n"
		"t.it('c', function() t.verdict(t.policy('p', {}, { text = text }):helo(), 'defer') end)\n"
		"t.it('d', function() t.equal({ 1, { 2 } }, { 1, { 3 } }) end)\n"
		"t.it('e', function() t.logged(t.policy('p', {}, { text = text }), 'x') end)\n"
		"t.it('f', function() local x = nil + 1 end)\n"
		"t.it('g', function() t.verdict(t.policy('p', {}, { text = text }):helo(), 'broken') end)\n",
		&out, &r);
	CHECK_INT(7, r.run);
	CHECK_INT(6, r.failed);
	CHECK_OUT("not ok a\n");
	CHECK_OUT(":4: expected none, got reject 554 5.7.1 rule x: no");
	CHECK_OUT(":5: expected code 550");
	CHECK_OUT(":6: the policy failed (policy-error)");
	CHECK_OUT("expected [1,[2]], got [1,[3]]");
	CHECK_OUT(":9: attempt to perform arithmetic");
	CHECK_OUT("ok g\n");
	got = run("error('oops')", &out, &r);
	CHECK_INT(1, r.failed);
	got = run("local x = 1", &out, &r);
	CHECK_INT(1, r.failed);
	CHECK_OUT("it has no test");
	buf_free(&out);
}

TEST_MAIN(TEST(what_holds_passes), TEST(what_does_not_hold_fails))
