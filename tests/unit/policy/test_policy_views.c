/* What policies see, keep and change; and that they do not see what is over. */
#include "policy_rig.h"

/* @body is @hook's and returns a list of words that become the text of a refusal. */
static void expect_in(enum hook_id id, const char *signature, const char *body, const char *text)
{
	struct rig r;
	char all[2048];

	(void)snprintf(
		all, sizeof all,
		"local function say(...) local t = { ... } for i = 1, select('#', ...) do t[i] = tostring(t[i]) end "
		"return relay.reject { rule = 'x', text = table.concat(t, ' ') } end\n"
		"on.%s = function(%s) %s end",
		hook_name(id), signature, body);
	rig_open(&r, all);
	r.conn.reverse = VIEW_REVERSE_NO_PTR;
	r.conn.esmtp = true;
	r.rcpt.params = (struct smtp_rcpt_params){ .has = SMTP_RCPT_NOTIFY, .notify = SMTP_NOTIFY_FAILURE };
	rig_message(
		&r,
		"Received: x\r\nFrom: Ann <ann@example.edu>, bob@example.edu\r\nSubject: one\r\n two\r\nX-A: 1\r\nX-A: 2\r\n\r\n");
	const struct verdict *v = rig_ask(&r, id);
	if (v->broken)
		(void)rig_logged(&r, "no error");
	CHECK_SPAN(text, v->text);
	rig_close(&r);
}

static void fields_are_there(void)
{
	expect_in(
		HOOK_HELO, "conn, name",
		"return say(conn.id, conn.remote_ip, conn.remote_port, conn.listener, name, conn.helo, conn.esmtp)",
		"222222222229 192.0.2.7 4711 relay copier&1 copier&1 true");
	expect_in(
		HOOK_HELO, "conn",
		"return say(conn.auth_user, conn.tls_version, conn.device, conn.proxy_ip, conn.reverse.status)",
		"nil nil nil nil no_ptr");
	expect_in(
		HOOK_MAIL, "txn, sender",
		"return say(sender.address, sender.local_part, sender.domain, sender.is_null, txn.conn.id, txn.size, txn.body)",
		"a@example.edu a example.edu false 222222222229 nil 7BIT");
	expect_in(
		HOOK_RCPT, "txn, rcpt",
		"return say(rcpt.address, rcpt.local_part, rcpt.domain, rcpt.routed_local, rcpt.orcpt, rcpt.notify.failure, rcpt.txn.sender.address)",
		"b@example.org b example.org false nil true a@example.edu");
	expect_in(
		HOOK_MESSAGE, "txn, msg",
		"return say(msg.queue_id, #msg.from, msg.from[1].address, msg.from[1].name, msg.from[2].domain, msg.subject)",
		"qqqqqqqqqqqq 2 ann@example.edu Ann example.edu one two");
	expect_in(
		HOOK_MESSAGE, "txn, msg",
		"return say(msg:header('subject'), msg:header('nope'), #msg:headers('x-a'), msg:headers('X-A')[2], msg:count('X-A'))",
		"one two nil 2 2 2");
	expect_in(HOOK_MESSAGE, "txn, msg",
		  "return say(#msg.recipients, msg.recipients[1].address, msg.txn.conn.remote_ip)",
		  "1 b@example.org 192.0.2.7");
	expect_in(HOOK_MESSAGE, "txn, msg",
		  "local f = msg:faults() return say(f.no_date, f.no_from, f.no_sender)",
		  "no Date nil several addresses in From and no Sender");
}

static void what_is_not_there_yet_is_an_error(void)
{
	struct rig r;

	rig_open(&r, "function on.connect(conn) return relay.reject { rule = 'x', text = conn.helo } end\n"
		     "function on.helo(conn) local x = conn.hello end\n"
		     "function on.route(msg, dest) msg:prepend('A', 'b') end\n"
		     "function on.mail(txn) local x = txn.rcpts end");
	rig_message(&r, "A: b\r\n\r\n");
	CHECK(rig_ask(&r, HOOK_CONNECT)->broken);
	CHECK(rig_logged(&r, "conn.helo is not available in 'connect'"));
	CHECK(rig_ask(&r, HOOK_HELO)->broken);
	CHECK(rig_logged(&r, "conn has no 'hello'"));
	CHECK(rig_ask(&r, HOOK_ROUTE)->broken);
	CHECK(rig_logged(&r, "msg.prepend is not available in 'route'"));
	CHECK(rig_ask(&r, HOOK_MAIL)->broken);
	CHECK(rig_logged(&r, "txn.rcpts is not available in 'mail'"));
	rig_close(&r);
}

static void what_is_over_is_gone(void)
{
	struct rig r;

	rig_open(
		&r,
		"local kept = {}\n"
		"function on.connect(conn) if kept.conn then local x = kept.conn.id end kept.conn = conn end\n"
		"function on.rcpt(txn, rcpt) if kept.rcpt then local x = kept.rcpt.address end kept.rcpt = rcpt end\n"
		"function on.data(txn) if kept.txn and kept.txn ~= txn then local x = kept.txn.sender end kept.txn = txn end");
	CHECK(!rig_ask(&r, HOOK_CONNECT)->broken);
	CHECK(!rig_ask(&r, HOOK_CONNECT)->broken); /* the same connection */
	policy_hook_ops.conn_gone(r.rt, &r.conn);
	CHECK(rig_ask(&r, HOOK_CONNECT)->broken);
	CHECK(rig_logged(&r, "the session of this conn is gone"));
	CHECK(!rig_ask(&r, HOOK_RCPT)->broken);
	CHECK(rig_ask(&r, HOOK_RCPT)->broken); /* another question: the first rcpt is over */
	CHECK(!rig_ask(&r, HOOK_DATA)->broken);
	policy_hook_ops.txn_gone(r.rt, &r.txn);
	CHECK(rig_ask(&r, HOOK_DATA)->broken);
	CHECK(rig_logged(&r, "the transaction of this txn is gone"));
	rig_close(&r);
}

static void vars_live_as_long_as_their_owner(void)
{
	struct rig r;

	rig_open(
		&r,
		"function on.connect(conn) conn.vars.n = (conn.vars.n or 0) + 1 return relay.accept { rule = 'n' .. conn.vars.n } end\n"
		"function on.rcpt(txn) txn.vars.n = (txn.vars.n or 0) + 1 return relay.accept { rule = 'n' .. txn.vars.n } end");
	CHECK_SPAN("n1", rig_ask(&r, HOOK_CONNECT)->rule);
	CHECK_SPAN("n2", rig_ask(&r, HOOK_CONNECT)->rule);
	CHECK_SPAN("n1", rig_ask(&r, HOOK_RCPT)->rule);
	CHECK_SPAN("n2", rig_ask(&r, HOOK_RCPT)->rule);
	policy_hook_ops.txn_gone(r.rt, &r.txn);
	CHECK_SPAN("n1", rig_ask(&r, HOOK_RCPT)->rule);
	CHECK_SPAN("n3", rig_ask(&r, HOOK_CONNECT)->rule);
	policy_hook_ops.conn_gone(r.rt, &r.conn);
	CHECK_SPAN("n1", rig_ask(&r, HOOK_CONNECT)->rule);
	rig_close(&r);
}

static const char edits[] =
	"function on.message(txn, msg)\n"
	"  msg:prepend('X-First', 'a\\r\\nInjected: yes')\n"
	"  msg:add('X-Last', 'z')\n"
	"  msg:replace('Subject', 'other')\n"
	"  local n = msg:remove('X-A')\n"
	"  msg:rewrite_senders { template = 'scans+{local}-{domain}@example.edu', domain = 'lab.example.edu' }\n"
	"  msg:set_sender('new@example.edu')\n"
	"  msg.meta.note = 'kept'\n"
	"  msg.meta.list = { 1, 2 }\n"
	"  local mended = msg:mend { wanted = { 'no_message_id' } }\n"
	"  txn.conn:log('info', 'edited', { removed = n, mended = mended.no_message_id })\n"
	"end";

static const char message[] =
	"From: x <root@lab.example.edu>\r\nSubject: one\r\nX-A: 1\r\nX-A: 2\r\nDate: Sat, 21 Nov 2026 08:00:00 +0000\r\n"
	"To: b@example.org\r\n\r\n";

static struct span written(struct rig *r)
{
	struct buf b = BUF_INIT(65536);

	NEED(mail_head_write(r->msg.head, &b) == 0);
	const struct span s = arena_dup(r->mem, buf_span(&b));
	buf_free(&b);
	return s;
}

static void a_message_is_edited(void)
{
	struct rig r;

	rig_open(&r, edits);
	rig_message(&r, message);
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_MESSAGE)->kind);
	const struct span head = written(&r);
	CHECK(span_starts(head, SPAN("X-First: a Injected: yes\r\n")));
	CHECK(span_find(head, SPAN("Subject: other\r\n")) >= 0);
	CHECK(span_find(head, SPAN("X-A:")) < 0);
	CHECK(span_find(head, SPAN("From: x <scans+root-lab.example.edu@example.edu>")) >= 0);
	CHECK(span_find(head, SPAN("X-Last: z\r\n")) >= 0);
	CHECK(span_find(head, SPAN("@relay.example.edu>\r\n")) >= 0); /* Message-ID */
	CHECK(span_find(r.msg.meta, SPAN("\"note\":\"kept\"")) >= 0);
	CHECK(span_find(r.msg.meta, SPAN("\"list\":[1,2]")) >= 0);
	CHECK(rig_logged(&r, "\"removed\":2"));
	CHECK(rig_logged(&r, "\"mended\":\"no Message-ID\""));
	/* What was kept comes back. */
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_MESSAGE)->kind);
	rig_close(&r);
}

static void who_observes_changes_nothing(void)
{
	struct rig r;

	rig_prepare(&r);
	const char *const policies[] = {
		"p", rig_policy(&r, "p", edits), "q",
		rig_policy(
			&r, "q",
			"function on.connect(conn) conn:use_profile('lax') return relay.reject { rule = 'q', text = 'no' } end"),
		NULL
	};
	rig_start(&r, rig_bundle(&r, "{ name = 'p', mode = 'observe' }, { name = 'q', mode = 'observe' }",
				 policies));
	rig_message(&r, message);
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_MESSAGE)->kind);
	CHECK_SPAN(message, written(&r));
	CHECK_INT(0, r.msg.meta.n);
	CHECK_STR("", r.did);
	CHECK(rig_logged(&r, "\"event\":\"policy_observed\""));
	CHECK(rig_logged(&r, "prepend X-First, add X-Last, replace Subject, remove X-A"));
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_CONNECT)->kind);
	CHECK_STR("", r.did);
	CHECK(rig_logged(&r, "\"mode\":\"observe\",\"verdict\":\"reject\",\"rule\":\"q\""));
	CHECK_INT(2, r.path.n);
	CHECK_INT(HOOK_MODE_OBSERVE, r.path.step[1].mode);
	CHECK_INT(VERDICT_REJECT, r.path.step[1].kind);
	CHECK_INT(1, metric_sum_label(METRIC_HOOK_OBSERVED_TOTAL, SPAN("q"),
				      (struct metric_shard *[]){ &r.metrics }, 1));
	rig_close(&r);
}

/* Two policies: the first only observes, changes msg.meta and fails; nothing of it may reach the second one's. */
static void who_fails_leaves_nothing(void)
{
	struct rig r;

	rig_prepare(&r);
	const char *const policies[] = {
		"p", rig_policy(&r, "p", "function on.message(txn, msg) msg.meta.p = 1 error('oops') end"),
		"q", rig_policy(&r, "q", "function on.message(txn, msg) msg.meta.q = 2 end"), NULL
	};
	rig_start(&r, rig_bundle(&r, "{ name = 'p', mode = 'observe' }, { name = 'q' }", policies));
	rig_message(&r, message);
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_MESSAGE)->kind);
	CHECK_SPAN("{\"q\":2}", r.msg.meta);
	rig_close(&r);

	rig_open(&r, "function on.message(txn, msg) msg.meta.f = function() end end");
	rig_message(&r, message);
	CHECK(rig_ask(&r, HOOK_MESSAGE)->broken);
	CHECK(rig_logged(&r, "msg.meta: a value that is no plain data"));
	rig_close(&r);
}

static void actions_reach_the_session(void)
{
	struct rig r;

	rig_open(
		&r,
		"function on.connect(conn) conn:use_profile('lax') end\nfunction on.helo(conn) conn:use_profile('none') end");
	CHECK_INT(VERDICT_NONE, rig_ask(&r, HOOK_CONNECT)->kind);
	CHECK_STR("profile lax", r.did);
	CHECK(rig_ask(&r, HOOK_HELO)->broken);
	CHECK(rig_logged(&r, "there is no profile 'none' in the configuration"));
	rig_close(&r);
}

static void observers_are_told(void)
{
	struct rig r;
	const struct verdict v = { .kind = VERDICT_REJECT,
				   .code = 550,
				   .rule = SPAN("r"),
				   .text = SPAN("no"),
				   .enhanced = SPAN("5.7.1") };

	rig_open(
		&r,
		"function on.refused(conn, refusal) conn:log('warn', 'told', { rule = refusal.rule, code = refusal.code, id = conn.id }) end\n"
		"function on.bounced(msg, attempt) relay.log.info('bounced', { id = msg.queue_id, to = attempt.recipient, code = attempt.code }) end\n"
		"function on.accepted(txn, msg) relay.metric.count('accepted', msg.subject) end");
	const void *list = policy_hook_ops.list(r.rt, SPAN("relay"));
	policy_hook_ops.observe(
		r.rt, &(struct hook_event){
			      .id = OBSERVER_REFUSED, .policies = list, .conn = &r.conn, .verdict = &v });
	CHECK(rig_logged(&r, "\"text\":\"told\""));
	CHECK(rig_logged(&r, "\"rule\":\"r\""));
	policy_hook_ops.observe(r.rt, &(struct hook_event){ .id = OBSERVER_BOUNCED,
							    .policies = list,
							    .queue_id = SPAN("q1"),
							    .recipient = SPAN("b@example.org"),
							    .code = 550 });
	CHECK(rig_logged(&r, "\"to\":\"b@example.org\""));
	rig_message(&r, "Subject: hello\r\n\r\n");
	policy_hook_ops.observe(
		r.rt, &(struct hook_event){
			      .id = OBSERVER_ACCEPTED, .policies = list, .txn = &r.txn, .msg = &r.msg });
	CHECK_INT(1, metric_sum_label(METRIC_POLICY_COUNTS_TOTAL, SPAN("accepted:hello"),
				      (struct metric_shard *[]){ &r.metrics }, 1));
	rig_close(&r);
}

TEST_MAIN(TEST(fields_are_there), TEST(what_is_not_there_yet_is_an_error), TEST(what_is_over_is_gone),
	  TEST(vars_live_as_long_as_their_owner), TEST(a_message_is_edited),
	  TEST(who_observes_changes_nothing), TEST(who_fails_leaves_nothing), TEST(actions_reach_the_session),
	  TEST(observers_are_told))
