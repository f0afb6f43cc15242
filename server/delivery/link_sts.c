/* link_sts.c - the MTA-STS policy of the destination's domain (RFC 8461), and what is counted for TLS reports (RFC 8460).
 *
 * A policy that is enforced leaves the hosts it names, each under TLS with a certificate for its own name; one that is being tested
 * changes nothing and is reported on. What cannot be learned is no policy: sts.h has the rules.
 */
#include "delivery/delivery_priv.h"

static bool is_wanted(const struct link *l)
{
	return l->d->sts && l->hop == LINK_HOP_MX && l->tls.demand.level == ROUTE_TLS_STS;
}

static void on_policy(struct op *op)
{
	struct link *l = container_of(op, struct link, sts.lookup.op);
	const struct sts_policy *p = l->sts.lookup.policy;

	if (!l->has_work)
		return;
	if (l->sts.lookup.fetch_failed) {
		struct log_rec r;
		if (log_begin(&r, l->d->log, LOG_EV_STS_UNAVAILABLE)) {
			log_str(&r, LOG_F_DOMAIN, l->dest->next_hop);
			log_str(&r, LOG_F_ROUTE, l->dest->route);
			log_cstr(&r, LOG_F_TEXT, l->sts.lookup.why);
			log_end(&r);
		}
	}
	if (p && p->mode == STS_MODE_ENFORCE) {
		l->tls.demand.mx = p->mx;
		l->tls.demand.nmx = p->nmx;
	}
	link_look_up(l);
}

bool link_sts_ask(struct link *l)
{
	if (!is_wanted(l))
		return false;
	link_sts_deinit(l);
	sts_lookup_init(&l->sts.lookup, on_policy);
	l->sts.used = true;
	l->step = LINK_RESOLVING;
	require(sts_lookup_start(&l->sts.lookup, l->d->sts, &l->scope, l->dest->next_hop, 0) ==
		0); /* the scope is open */
	return true;
}

void link_sts_deinit(struct link *l)
{
	if (l->sts.used)
		sts_lookup_deinit(&l->sts.lookup);
	l->sts.used = false;
}

/* ---- reports -------------------------------------------------------------------------------------------------- */

static enum tls_report_policy policy_of(const struct link *l)
{
	if (l->tls.tlsa_used && l->tls.required)
		return TLS_REPORT_POLICY_TLSA;
	if (l->sts.used && l->sts.lookup.policy && l->sts.lookup.policy->mode != STS_MODE_NONE)
		return TLS_REPORT_POLICY_STS;
	return TLS_REPORT_POLICY_NONE;
}

/* What a policy under test would have refused is a failure in reports, although the mail goes. */
static enum tls_report_result tested(const struct link *l)
{
	const struct sts_policy *p = l->sts.used ? l->sts.lookup.policy : NULL;

	if (!p || p->mode != STS_MODE_TESTING)
		return TLS_REPORT_SUCCESS;
	if (!sts_policy_has_mx(p, l->mx.targets[l->target_at].host))
		return TLS_REPORT_VALIDATION;
	return l->tls.cert_ok ? TLS_REPORT_SUCCESS : TLS_REPORT_NOT_TRUSTED;
}

static enum tls_report_result result_of(enum tls_fault fault)
{
	switch (fault) {
	case TLS_FAULT_CERT_NAME:
		return TLS_REPORT_HOST_MISMATCH;
	case TLS_FAULT_CERT_EXPIRED:
		return TLS_REPORT_EXPIRED;
	case TLS_FAULT_CERT_UNTRUSTED:
	case TLS_FAULT_CERT_MISSING:
		return TLS_REPORT_NOT_TRUSTED;
	case TLS_FAULT_TLSA:
		return TLS_REPORT_TLSA_INVALID;
	default:
		return TLS_REPORT_VALIDATION;
	}
}

static void report(const struct link *l, enum tls_report_result result, struct span reason)
{
	if (!l->d->report || l->hop != LINK_HOP_MX || l->tls.demand.level == ROUTE_TLS_OFF)
		return;
	const struct mx_target *t = &l->mx.targets[l->target_at];
	const struct tls_report_session s = { .wall_us = loop_wall_us(l->d->loop),
					      .domain = l->dest->next_hop,
					      .policy = policy_of(l),
					      .result = result,
					      .mx = t->host,
					      .addr = t->addr,
					      .reason = reason };
	tls_report_add(l->d->report, &s);
}

void link_sts_report(const struct link *l)
{
	const bool missing =
		!l->tls.on && !l->tls.plain; /* a handshake that failed was told by link_sts_failed() */

	if (l->tls.on)
		report(l, tested(l), SPAN(""));
	else if (missing)
		report(l, TLS_REPORT_NO_STARTTLS, SPAN(""));
}

enum tls_report_result link_sts_result(const struct link *l)
{
	return l->client.tls_required ? TLS_REPORT_NO_STARTTLS : result_of(l->tls.handshake.fault);
}

void link_sts_failed(const struct link *l, enum tls_report_result result, struct span why)
{
	report(l, result, why);
}
