/* policy_rig.h - a worker's policies without a worker: a loop, a log that is kept, one connection with one transaction.
 *
 *     struct rig r;
 *     rig_open(&r, "function on.connect(conn) return relay.reject { rule = 'x' } end");
 *     CHECK_INT(VERDICT_REJECT, rig_ask(&r, HOOK_CONNECT)->kind);
 *     rig_close(&r);
 */
#pragma once

#include "base/mem.h"
#include "policy/bundle_priv.h"
#include "policy/policy.h"
#include "state/limit_memory.h"
#include "test.h"

struct rig {
	struct loop *loop;
	struct logger log;
	struct buf out; /* what was logged */
	struct metric_shard metrics;
	struct limit_store *limits;
	struct dns *dns;
	struct policy_env env;
	struct policy_runtime *rt;
	struct arena *mem, *problem_mem;
	struct config_problems problems;
	struct view_actions actions;
	struct view_conn conn;
	struct view_txn txn;
	struct view_rcpt rcpt;
	struct view_msg msg;
	struct decision_path path;
	struct hook_call call;
	unsigned answers;
	char did[256]; /* what the actions were asked for, most recent */
};

static inline void rig_log(void *arg, struct span lines)
{
	buf_add_span(&((struct rig *)arg)->out, lines);
}

static inline int rig_use_profile(struct view_conn *c, struct span name)
{
	struct rig *r = container_of(c, struct rig, conn);

	(void)snprintf(r->did, sizeof r->did, "profile %.*s", SPAN_ARG(name));
	return span_eq(name, SPAN("none")) ? -ERR_NOTFOUND : 0;
}

static inline int rig_set_sender(struct view_msg *m, struct span address)
{
	struct rig *r = container_of(m, struct rig, msg);

	(void)snprintf(r->did, sizeof r->did, "sender %.*s", SPAN_ARG(address));
	return 0;
}

static inline int rig_set_meta(struct view_msg *m, struct span json)
{
	struct rig *r = container_of(m, struct rig, msg);

	(void)snprintf(r->did, sizeof r->did, "meta %.*s", SPAN_ARG(json));
	m->meta = arena_dup(r->mem, json);
	return 0;
}

static inline void rig_done(struct hook_call *call)
{
	container_of(call, struct rig, call)->answers++;
}

static inline struct smtp_path rig_path(struct rig *r, const char *address)
{
	struct smtp_path p = { 0 };
	const char *why;

	if (*address)
		(void)smtp_path_parse_mailbox(r->mem, span_of(address), 0, &p, &why);
	return p;
}

static inline void rig_from(struct rig *r, const char *address)
{
	r->txn.sender_address = span_of(address);
	r->txn.sender = rig_path(r, address);
}

static inline void rig_to(struct rig *r, const char *address)
{
	r->rcpt.address = span_of(address);
	r->rcpt.path = rig_path(r, address);
}

static inline void rig_message(struct rig *r, const char *head)
{
	r->msg = (struct view_msg){ .txn = &r->txn,
				    .queue_id = SPAN("qqqqqqqqqqqq"),
				    .head_mem = r->mem,
				    .rcpt = &r->rcpt,
				    .nrcpt = 1 };
	NEED(mail_head_parse(r->mem, span_of(head), 65536, &r->msg.head) > 0);
}

/* Everything but a runtime. */
static inline void rig_prepare(struct rig *r)
{
	const struct limit_memory_config limits = { .keys_max = 1000, .source = LIMIT_SOURCE_MEMORY };

	*r = (struct rig){ .loop = loop_new(), .mem = arena_new(1 << 20), .problem_mem = arena_new(1 << 20) };
	loop_set_resident(r->loop, false);
	r->out = BUF_INIT(1 << 20);
	logger_init(&r->log, (struct log_sink){ rig_log, r });
	r->log.level_max = LOG_LEVEL_DEBUG;
	metric_shard_init(&r->metrics);
	r->limits = limit_memory_new(&limits);
	config_problems_init(&r->problems, r->problem_mem);
	r->env = (struct policy_env){ .loop = r->loop,
				      .limits = r->limits,
				      .log = &r->log,
				      .metrics = &r->metrics,
				      .budget = policy_limits_default() };
	r->env.budget.compute_us_max = 2000000; /* a machine of tests is slow and has sanitizers */
	r->actions = (struct view_actions){ .use_profile = rig_use_profile,
					    .set_sender = rig_set_sender,
					    .set_meta = rig_set_meta };
	r->conn = (struct view_conn){ .actions = &r->actions,
				      .id = id_from_u64(7),
				      .listener = SPAN("relay"),
				      .helo = SPAN("copier&1") };
	(void)ip_parse(SPAN("192.0.2.7"), &r->conn.client.addr);
	r->conn.client.port = 4711;
	r->txn.conn = &r->conn;
	r->rcpt.txn = &r->txn;
	rig_from(r, "a@example.edu");
	rig_to(r, "b@example.org");
	decision_path_init(&r->path, r->mem);
}

/* A bundle with one listener "relay"; @uses is its list, as Lua text; the policies come in pairs name, text. */
static inline struct policy_bundle *rig_bundle(struct rig *r, const char *uses, const char *const *policies)
{
	struct policy_bundle *b = bundle_new("rig.lua");
	char chunk[4096];

	for (; policies && *policies; policies += 2)
		NEED(bundle_add_policy(b, span_of(policies[0]), span_of(policies[1])) == 0);
	(void)snprintf(
		chunk, sizeof chunk,
		"return { hostname = 'relay.example.edu', listeners = { { name = 'relay', policies = { %s } } } }",
		uses);
	if (bundle_load_plain(b, span_of(chunk), &r->problems) < 0) {
		policy_bundle_unref(&b);
		return NULL;
	}
	return b;
}

/* The text of a policy whose hooks are @body, with `on`, `opt` and `relay` in scope. */
static inline const char *rig_policy(struct rig *r, const char *name, const char *body)
{
	const struct span text = arena_printf(
		r->problem_mem,
		"local relay = require 'relay'\nreturn relay.policy { name = '%s', api = 1, setup = function(opt)\n"
		"local on = {}\n%s\nreturn on end }\n",
		name, body);
	return text.p;
}

static inline void rig_start(struct rig *r, struct policy_bundle *b)
{
	struct errtext why;

	for (size_t i = 0; !b && i < r->problems.n; i++)
		printf("  %.*s:%u: %.*s\n", SPAN_ARG(r->problems.v[i].file), r->problems.v[i].line,
		       SPAN_ARG(r->problems.v[i].text));
	NEED(b != NULL);
	const int started = policy_runtime_new(&r->env, b, &why, &r->rt);
	policy_bundle_unref(&b);
	NEED(started == 0);
}

/* One policy "p" that enforces; its hooks start on line 4 of policies/p.lua. */
static inline void rig_open(struct rig *r, const char *body)
{
	rig_prepare(r);
	const char *const policies[] = { "p", rig_policy(r, "p", body), NULL };
	rig_start(r, rig_bundle(r, "{ name = 'p' }", policies));
}

static inline void rig_ask_only(struct rig *r, enum hook_id id)
{
	const bool txn = id == HOOK_MAIL || id == HOOK_RCPT || id == HOOK_DATA || id == HOOK_MESSAGE;

	r->call = (struct hook_call){ .id = id,
				      .policies = policy_hook_ops.list(r->rt, SPAN("relay")),
				      .conn = &r->conn,
				      .txn = txn ? &r->txn : NULL,
				      .rcpt = id == HOOK_RCPT || id == HOOK_ROUTE ? &r->rcpt : NULL,
				      .msg = id == HOOK_MESSAGE || id == HOOK_ROUTE ? &r->msg : NULL,
				      .mem = r->mem,
				      .path = &r->path,
				      .done = rig_done };
	r->answers = 0;
	policy_hook_ops.start(r->rt, &r->call);
}

static inline const struct verdict *rig_ask(struct rig *r, enum hook_id id)
{
	rig_ask_only(r, id);
	CHECK_INT(0, r->answers); /* never from inside start */
	for (int i = 0; i < 1000 && !r->answers; i++)
		(void)loop_run_once(r->loop, false);
	CHECK_INT(1, r->answers);
	return &r->call.verdict;
}

static inline bool rig_logged(struct rig *r, const char *text)
{
	log_flush(&r->log);
	const bool found = span_find(buf_span(&r->out), span_of(text)) >= 0;
	if (!found)
		printf("  not in the log: %s\n%.*s", text, (int)r->out.n, r->out.p ? r->out.p : "");
	return found;
}

static inline void rig_closed(void *arg)
{
	*(bool *)arg = true;
}

static inline void rig_close(struct rig *r)
{
	bool closed = r->rt == NULL;

	if (r->rt) {
		policy_hook_ops.txn_gone(r->rt, &r->txn);
		policy_hook_ops.conn_gone(r->rt, &r->conn);
		policy_runtime_close(&r->rt, rig_closed, &closed);
	}
	for (int i = 0; i < 1000 && !closed; i++)
		(void)loop_run_once(r->loop, false);
	CHECK(closed);
	if (r->dns)
		dns_free(&r->dns);
	for (int i = 0; i < 10; i++)
		(void)loop_run_once(r->loop, false);
	loop_free(&r->loop);
	logger_deinit(&r->log);
	buf_free(&r->out);
	metric_shard_deinit(&r->metrics);
	limit_memory_free(&r->limits);
	arena_free(&r->mem);
	arena_free(&r->problem_mem);
}
