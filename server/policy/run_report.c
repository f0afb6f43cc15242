#include "policy/run.h"

#include "base/log.h"
#include "policy/verdict.h"

static struct logger *logger_of(const struct policy_run *run)
{
	return run->vm->rt->env.log;
}

static struct span queue_id_of(const struct policy_run *run)
{
	if (run->call && run->call->msg)
		return run->call->msg->queue_id;
	if (run->event)
		return run->event->msg ? run->event->msg->queue_id : run->event->queue_id;
	return span_make(NULL, 0);
}

void run_report_who(struct policy_run *run, struct log_rec *r)
{
	const struct span id = queue_id_of(run);

	log_cstr(r, LOG_F_POLICY, run->use ? run->use->name : NULL);
	log_cstr(r, LOG_F_HOOK, run->hook_name);
	if (run->conn)
		log_cstr(r, LOG_F_SESSION, run->conn->id.s);
	if (id.n)
		log_str(r, LOG_F_ID, id);
}

static void report_error(struct policy_run *run, const char *text, const char *at, const char *traceback)
{
	struct log_rec r;

	metric_add_label(run->vm->rt->env.metrics, METRIC_HOOK_ERRORS_TOTAL, span_of(run->use->name), 1);
	if (!log_begin(&r, logger_of(run), LOG_EV_POLICY_ERROR))
		return;
	run_report_who(run, &r);
	log_cstr(&r, LOG_F_AT, at);
	log_cstr(&r, LOG_F_TEXT, text);
	log_cstr(&r, LOG_F_TRACEBACK, traceback);
	log_end(&r);
}

static void report_budget(struct policy_run *run, enum run_failure what, const char *at,
			  const char *traceback)
{
	const struct policy_limits *limits = &run->vm->rt->env.budget;
	struct log_rec r;
	const char *limit = "instructions";
	int64_t max = (int64_t)limits->instructions_max, spent_us = run->budget.compute_us;

	if (what == RUN_TIMEOUT) {
		limit = "wait_us";
		max = limits->wait_us_max;
		spent_us = run->waited_us;
	} else if (run->budget.blown == BUDGET_COMPUTE) {
		limit = "compute_us";
		max = limits->compute_us_max;
	}
	metric_add_label(run->vm->rt->env.metrics, METRIC_HOOK_BUDGET_TOTAL, span_of(run->use->name), 1);
	if (!log_begin(&r, logger_of(run), LOG_EV_POLICY_BUDGET))
		return;
	run_report_who(run, &r);
	log_cstr(&r, LOG_F_AT, at);
	log_cstr(&r, LOG_F_LIMIT, limit);
	log_int(&r, LOG_F_LIMIT_MAX, max);
	log_int(&r, LOG_F_DURATION_US, spent_us);
	log_cstr(&r, LOG_F_TRACEBACK, traceback);
	log_end(&r);
}

void run_function_place(const struct policy_run *run, char *out, size_t size)
{
	lua_State *L = run->vm->box.L;
	lua_Debug ar;

	lua_rawgeti(L, LUA_REGISTRYINDEX,
		    run->call ? run->use->hook[run->call->id] : run->use->observer[run->event->id]);
	if (lua_getinfo(L, ">S", &ar))
		(void)snprintf(out, size, "%s:%d", box_source_file(ar.source), ar.linedefined);
}

void run_report_failure(struct policy_run *run, enum run_failure what, const char *text, const char *at,
			const char *traceback)
{
	char place[256] = "?";

	if (what == RUN_BUDGET || what == RUN_TIMEOUT) {
		report_budget(run, what, at, traceback);
		return;
	}
	if (what == RUN_BAD_VERDICT)
		run_function_place(run, place, sizeof place);
	report_error(run, text, at ? at : place, traceback);
}

void run_report_unreturned(struct policy_run *run)
{
	const uint32_t bit = 1u << run->call->id;
	struct log_rec r;

	if (run->use->warned & bit)
		return;
	run->use->warned |= bit;
	if (!log_begin(&r, logger_of(run), LOG_EV_POLICY_WARNING))
		return;
	run_report_who(run, &r);
	log_cstr(&r, LOG_F_TEXT, "a verdict was made and not returned: is a 'return' missing?");
	log_end(&r);
}

static void conn_fields(const struct view_conn *c, struct log_rec *r)
{
	const struct ip_text client = ip_format(&c->client.addr);

	log_str(r, LOG_F_LISTENER, c->listener);
	log_cstr(r, LOG_F_CLIENT, client.s);
	if (c->reverse == VIEW_REVERSE_PASS)
		log_str(r, LOG_F_PTR, c->reverse_name);
	if (c->helo.n)
		log_str(r, LOG_F_HELO, c->helo);
	if (c->device.n)
		log_str(r, LOG_F_DEVICE, c->device);
	if (c->auth_user.n)
		log_str(r, LOG_F_USER, c->auth_user);
	if (c->tls)
		log_str(r, LOG_F_TLS, c->tls->version);
}

void run_report_observed(struct policy_run *run, const struct verdict *v)
{
	const struct hook_call *call = run->call;
	struct log_rec r;
	struct span text = v->text;

	if (v->kind == VERDICT_NONE && run->would.n == 0)
		return;
	if (v->kind != VERDICT_NONE)
		metric_add_label(run->vm->rt->env.metrics, METRIC_HOOK_OBSERVED_TOTAL, v->rule, 1);
	if (!log_begin(&r, logger_of(run), LOG_EV_POLICY_OBSERVED))
		return;
	run_report_who(run, &r);
	log_cstr(&r, LOG_F_MODE, run->use->mode == HOOK_MODE_CANARY ? "canary" : "observe");
	log_cstr(&r, LOG_F_VERDICT, verdict_kind_name(v->kind));
	if (v->rule.n)
		log_str(&r, LOG_F_RULE, v->rule);
	if (v->code)
		log_int(&r, LOG_F_CODE, v->code);
	if (v->enhanced.n)
		log_str(&r, LOG_F_ENHANCED, v->enhanced);
	if (run->would.n) {
		if (text.n) {
			struct span would = arena_printf(call->mem, "%.*s; would have: %.*s", SPAN_ARG(text),
							 SPAN_ARG(buf_span(&run->would)));
			text = would.p ? would : text;
		} else {
			text = buf_span(&run->would);
		}
	}
	if (text.n)
		log_str(&r, LOG_F_TEXT, text);
	if (run->conn)
		conn_fields(run->conn, &r);
	if (call->txn)
		log_str(&r, LOG_F_FROM, call->txn->sender_address.p ? call->txn->sender_address : SPAN(""));
	if (call->rcpt)
		log_str(&r, LOG_F_TO, call->rcpt->address);
	log_end(&r);
}

void run_report_step(struct policy_run *run, const struct verdict *v)
{
	const int64_t took_us = run->budget.compute_us + run->waited_us;

	run->took_us += took_us;
	if (!run->call->path)
		return;
	const struct decision d = {
		.hook = (uint8_t)run->call->id,
		.kind = (uint8_t)v->kind,
		.mode = run->observing ? HOOK_MODE_OBSERVE : (uint8_t)run->use->mode,
		.broken = v->broken,
		.code = v->code,
		.took_us = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX,
		.policy = span_of(run->use->name),
		.rule = v->rule,
		.text = v->text,
	};
	decision_path_add(run->call->path, &d);
}
