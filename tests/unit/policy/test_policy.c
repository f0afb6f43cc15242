/* A policy decides: verdicts, order, modes, views. */
#include "policy_rig.h"

static void a_refusal_has_all_its_parts(void)
{
	struct rig r;

	rig_open(&r, "function on.helo(conn, name)\n"
	             "  if relay.text.find_any(name, '&') then\n"
	             "    return relay.reject { code = 501, enhanced = '5.5.2', rule = 'helo-characters', text = ('HELO name %q\\r\\nbad'):format(name) }\n"
	             "  end\nend");
	CHECK(policy_hook_ops.wants(r.rt, policy_hook_ops.list(r.rt, SPAN("relay")), HOOK_HELO));
	CHECK(!policy_hook_ops.wants(r.rt, policy_hook_ops.list(r.rt, SPAN("relay")), HOOK_MAIL));
	CHECK(policy_hook_ops.list(r.rt, SPAN("other")) == NULL);
	const struct verdict *v = rig_ask(&r, HOOK_HELO);
	CHECK_INT(VERDICT_REJECT, v->kind);
	CHECK(!v->broken);
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

TEST_MAIN(TEST(a_refusal_has_all_its_parts), TEST(defaults_depend_on_kind_and_hook))
