/* bench_policy.c - what a hook costs: a question to a list of policies, from start() to done(), without a network.
 *
 * Prints microseconds per question. 64 questions share a turn of the loop, as on a busy worker. It is not a test and
 * has no limits; build it with optimisation (-DCMAKE_BUILD_TYPE=Release). */
#include <time.h>

#include "policy/policy_rig.h"

enum { ROUND = 64, ROUNDS = 3000 };

static unsigned answers;

static void on_done(struct hook_call *call)
{
	(void)call;
	answers++;
}

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void round_of(struct rig *r, enum hook_id id, struct arena *mem)
{
	struct hook_call call[ROUND];
	const bool txn = id >= HOOK_MAIL && id <= HOOK_MESSAGE;

	answers = 0;
	for (unsigned i = 0; i < ROUND; i++) {
		call[i] = (struct hook_call){ .id = id,
					      .policies = policy_hook_ops.list(r->rt, SPAN("relay")),
					      .conn = &r->conn,
					      .txn = txn ? &r->txn : NULL,
					      .rcpt = id == HOOK_RCPT ? &r->rcpt : NULL,
					      .msg = id == HOOK_MESSAGE ? &r->msg : NULL,
					      .mem = mem,
					      .done = on_done };
		policy_hook_ops.start(r->rt, &call[i]);
	}
	while (answers < ROUND)
		(void)loop_run_once(r->loop, false);
	arena_reset(mem);
}

static void measure(const char *what, const char *body, enum hook_id id, unsigned policies)
{
	struct rig r;
	char uses[1024] = "";
	struct arena *mem = arena_new(1 << 20);

	rig_prepare(&r);
	r.log.level_max = LOG_LEVEL_ERROR;
	const char *const texts[] = { "p", rig_policy(&r, "p", body), NULL };
	for (unsigned i = 0; i < policies; i++)
		(void)strncat(uses, "{ name = 'p' },", sizeof uses - strlen(uses) - 1);
	rig_start(&r, rig_bundle(&r, uses, texts));
	rig_message(
		&r,
		"From: Ann <ann@example.edu>\r\nTo: b@example.org\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 08:00:00 +0000\r\n"
		"Message-ID: <1@example.edu>\r\n\r\n");
	round_of(&r, id, mem);
	const double began = now_s();
	for (unsigned n = 0; n < ROUNDS; n++)
		round_of(&r, id, mem);
	printf("%-44s %7.2f us\n", what, (now_s() - began) * 1e6 / ROUNDS / ROUND);
	arena_free(&mem);
	rig_close(&r);
}

int main(void)
{
	measure("nobody has the hook", "function on.connect() end", HOOK_HELO, 1);
	measure("helo: a function that does nothing", "function on.helo(conn) end", HOOK_HELO, 1);
	measure("helo: ten of them", "function on.helo(conn) end", HOOK_HELO, 10);
	measure("helo: looks at the name",
		"function on.helo(conn, name) if relay.text.find_any(name, '%') then return relay.reject { rule = 'x' } end end",
		HOOK_HELO, 1);
	measure("helo: refuses",
		"function on.helo(conn, name) return relay.reject { code = 501, enhanced = '5.5.2', rule = 'x', text = 'no ' .. name } end",
		HOOK_HELO, 1);
	measure("rcpt: network and domain, accepts",
		"local nets, names = relay.cidr.set { '192.0.2.0/24' }, relay.domains.set { 'example.org' }\n"
		"function on.rcpt(txn, rcpt) if nets:contains(txn.conn.remote_ip) and names:contains(rcpt.domain) then return relay.accept end end",
		HOOK_RCPT, 1);
	measure("rcpt: a limit",
		"function on.rcpt(txn) local l = relay.limit.take { key = txn.conn.remote_ip, rate = '1000000000/hour' }\n"
		"if not l.allowed then return relay.defer { rule = 'x' } end end",
		HOOK_RCPT, 1);
	measure("message: reads From and faults",
		"function on.message(txn, msg) local f = msg.from[1].address local w = msg:faults() end",
		HOOK_MESSAGE, 1);
	return 0;
}
