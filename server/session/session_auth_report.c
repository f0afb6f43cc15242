/* session_auth_report.c - authentication in the log, the metrics, the observers, and the store of bans. */
#include "session/session_auth.h"

static struct span tried(const struct session *s)
{
	return s->auth ? span_first(s->auth->x.tried, AUTH_USER_MAX) : (struct span){ NULL, 0 };
}

static struct span mechanism(const struct session *s)
{
	if (!s->auth || s->auth->x.result == AUTH_NO_MECH)
		return (struct span){ NULL, 0 };
	return span_of(auth_mech_name(s->auth->x.mech));
}

static void observe(struct session *s, enum observer_id id, const char *reason, unsigned code)
{
	s->setup.hooks.ops->observe(s->setup.hooks.impl, &(struct hook_event){ .id = id,
									       .policies = s->setup.policies,
									       .conn = &s->conn,
									       .text = tried(s),
									       .mechanism = mechanism(s),
									       .status = span_of(reason),
									       .code = (int)code });
}

/* Refused for good, or nobody could say: who counts the first must not count the second (a dead KDC, a client that gave up). */
void session_auth_failed(struct session *s, const char *reason, unsigned code, const char *why)
{
	const bool final = code == 535 || (code >= 500 && strcmp(reason, "policy") == 0);
	struct log_rec r;

	metric_add_label(s->env->metrics, METRIC_AUTH_TOTAL, span_of(reason), 1);
	observe(s, OBSERVER_AUTH_FAILED, reason, code);
	if (!log_begin(&r, s->env->log, final ? LOG_EV_AUTH_FAILED : LOG_EV_AUTH_UNDECIDED))
		return;
	session_log_who(s, &r);
	log_str(&r, LOG_F_MECH, mechanism(s));
	if (tried(s).n)
		log_str(&r, LOG_F_USER, tried(s));
	log_cstr(&r, LOG_F_REASON, reason);
	log_int(&r, LOG_F_CODE, code);
	if (s->auth)
		log_cstr(&r, LOG_F_BACKEND, s->auth->x.backend);
	if (why && why[0])
		log_cstr(&r, LOG_F_TEXT, why);
	if (final)
		log_int(&r, LOG_F_COUNT, s->auth_failures);
	else if (s->auth && s->auth->x.result == AUTH_NO_MECH && s->auth->offered[0])
		log_cstr(&r, LOG_F_OFFERED, s->auth->offered);
	log_end(&r);
}

void session_auth_succeeded(struct session *s)
{
	struct log_rec r;

	metric_add_label(s->env->metrics, METRIC_AUTH_TOTAL, SPAN("ok"), 1);
	observe(s, OBSERVER_AUTHENTICATED, "ok", 235);
	if (s->env->bans)
		bans_ok(s->env->bans, &s->listener->auth.bans, &s->conn.client.addr, s->auth->x.account,
			loop_now_us(s->env->loop));
	if (!log_begin(&r, s->env->log, LOG_EV_AUTHENTICATED))
		return;
	session_log_who(s, &r);
	if (s->conn.auth_realm.n)
		log_str(&r, LOG_F_REALM, s->conn.auth_realm);
	if (tried(s).n)
		log_str(&r, LOG_F_LOGIN, tried(s));
	log_cstr(&r, LOG_F_BACKEND, s->auth->x.backend);
	log_end(&r);
}

/* ---- bans ----------------------------------------------------------------------------------------------------------- */

bool session_auth_banned(struct session *s, struct span user)
{
	return s->env->bans && s->listener->auth.server &&
	       bans_check(s->env->bans, &s->listener->auth.bans, &s->conn.client.addr, user,
			  loop_now_us(s->env->loop), NULL) != BANS_NOBODY;
}

static void log_ban(struct session *s, const struct bans_ban *ban, int64_t now_us)
{
	struct log_rec r;

	metric_add_label(s->env->metrics, METRIC_AUTH_BANS_TOTAL, span_of(bans_kind_name(ban->kind)), 1);
	if (!log_begin(&r, s->env->log, LOG_EV_AUTH_BANNED))
		return;
	log_cstr(&r, LOG_F_SESSION, s->conn.id.s);
	log_str(&r, LOG_F_LISTENER, s->conn.listener);
	log_cstr(&r, LOG_F_CLIENT, ip_format(&s->conn.client.addr).s);
	log_cstr(&r, LOG_F_WHAT, bans_kind_name(ban->kind));
	if (ban->kind == BANS_USER)
		log_cstr(&r, LOG_F_USER, ban->user);
	log_int(&r, LOG_F_COUNT, ban->failures);
	log_int(&r, LOG_F_RETRY_AT, (loop_wall_us(s->env->loop) + ban->until_us - now_us) / 1000000);
	log_end(&r);
}

void session_auth_count(struct session *s)
{
	const struct auth_exchange *x = &s->auth->x;
	const int64_t now = loop_now_us(s->env->loop);
	struct bans_ban ban;

	if (s->env->bans &&
	    bans_failed(s->env->bans, &s->listener->auth.bans, &s->conn.client.addr, x->account,
			x->has_secret_id ? x->secret_id : NULL, now, &ban) != BANS_NOBODY)
		log_ban(s, &ban, now);
}
