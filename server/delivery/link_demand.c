/* link_demand.c - what is demanded of a connection before a word of mail is said: by the route, the sender, the domain.
 *
 *   1. link_tls_begin   a job is taken: the route's level, REQUIRETLS
 *   2. link_tls_demand  a target is chosen: what that means for it. For DANE its TLSA records are asked for
 *   3. settle           a login, and REQUIRETLS, want a server that is known; then it is dialled
 * How it fails: TLSA records that cannot be learned make a target count as unreachable (RFC 7672 section 2.1.2), as does a host
 * that the domain's MTA-STS policy does not name (RFC 8461 section 4.1).
 */
#include "delivery/delivery_priv.h"

#include <stdio.h>

/* ---- what is demanded --------------------------------------------------------------------------------------------- */

void link_tls_begin(struct link *l)
{
	const struct route *r = l->dest->route_config;
	const struct variant v = variant_parse(l->dest->variant);

	l->tls.demand = (struct tls_demand){ .level = r->tls.level, .requiretls = v.requiretls };
	if (v.optional && route_tls_is_asserted(r->tls.level)) /* RFC 8689 section 4.2.2 */
		l->tls.demand.level = ROUTE_TLS_MAY;
	if (!link_sts_ask(l))
		link_look_up(l);
}

/* The level of the target is known. */
static void settle(struct link *l)
{
	const struct route *r = l->dest->route_config;
	struct link_tls *s = &l->tls;

	if (!r) {
		link_put_back(l);
		return;
	}
	/* A login, and mail that requires it, go to servers that are known alone. */
	const bool known = (l->auth.credential && !r->auth_unverified) || s->demand.requiretls;
	if (known && s->verify == TLS_VERIFY_NONE && s->demand.level != ROUTE_TLS_OFF) {
		s->required = true;
		s->verify = TLS_VERIFY_NAME;
	}
	if (known && s->demand.level == ROUTE_TLS_OFF) {
		const struct link_trouble t = {
			.what = "TLS",
			.enhanced = s->demand.requiretls ? SMTP_ENHANCED(5, 7, 10) : SMTP_ENHANCED(4, 7, 4),
			.text = SPAN("encryption needed, and the route has TLS switched off"),
			.tls = true,
			.final = true,
			.bounce = s->demand.requiretls,
		};
		link_next_target(l, &t);
		return;
	}
	s->plain = !s->required && link_tls_is_plain(l);
	link_dial(l);
}

/* ---- DANE --------------------------------------------------------------------------------------------------------- */

static void take_records(struct link_tls *s, const struct dns_answer *a)
{
	for (size_t i = 0; i < a->n && s->nrecords < LINK_TLSA_MAX; i++) {
		const struct dns_record *rec = &a->record[i];
		const struct tls_tlsa t = { .usage = rec->tlsa.usage,
					    .selector = rec->tlsa.selector,
					    .matching = rec->tlsa.matching,
					    .data = rec->data };
		if (tls_tlsa_usable(&t))
			s->record[s->nrecords++] = t;
	}
	/* RFC 7672 section 2.2: records that nobody can use still say that there is TLS. */
	s->required = true;
	s->verify = s->nrecords ? TLS_VERIFY_DANE : TLS_VERIFY_NONE;
}

static void ask_tlsa(struct link *l, struct span base);

static void on_tlsa(struct op *op)
{
	struct link *l = container_of(op, struct link, tls.tlsa.op);
	const struct dns_answer *a = dns_query_answer(&l->tls.tlsa);

	if (!l->has_work)
		return;
	/* RFC 7672 section 2.1.2: who cannot learn them must not go on, for that is what an attacker would see to. An answer
	 * whose time is over proves nothing. */
	if (a->result == DNS_TEMPFAIL || a->result == DNS_INVALID || l->tls.tlsa.stale) {
		char text[200];
		snprintf(text, sizeof text, "the TLSA records of %.*s could not be learned: %s",
			 SPAN_ARG(l->tls.tlsa_base), l->tls.tlsa.stale ? "nobody answers" : a->why);
		const struct link_trouble t = {
			.what = "TLSA", .enhanced = SMTP_ENHANCED(4, 7, 5), .text = span_of(text), .tls = true
		};
		link_next_target(l, &t);
		return;
	}
	const struct mx_target *t = &l->mx.targets[l->target_at];
	if (a->result == DNS_OK && a->authenticated)
		take_records(&l->tls, a);
	else if (t->canonical.n && span_eq(l->tls.tlsa_base, t->canonical)) {
		ask_tlsa(l, t->host); /* RFC 7672 section 2.2.3: then those of the name as it was */
		return;
	}
	settle(l);
}

static void ask_tlsa(struct link *l, struct span base)
{
	char name[DNS_NAME_MAX + 16];
	const int n = snprintf(name, sizeof name, "_%u._tcp.%.*s", l->port, SPAN_ARG(base));

	l->step = LINK_ASKING_TLSA;
	if (l->tls.tlsa_used)
		dns_query_deinit(&l->tls.tlsa);
	l->tls.tlsa_used = true;
	l->tls.tlsa_base = base;
	dns_query_init(&l->tls.tlsa, on_tlsa);
	require(n > 0 && (size_t)n < sizeof name);
	require(dns_query_start(&l->tls.tlsa, l->d->dns, &l->scope, DNS_TLSA, span_make(name, (size_t)n),
				0) == 0);
}

/* ---- MTA-STS ------------------------------------------------------------------------------------------------------ */

static bool is_named(const struct tls_demand *d, struct span host)
{
	for (size_t i = 0; i < d->nmx; i++)
		if (sts_mx_matches(d->mx[i], host))
			return true;
	return false;
}

/* RFC 8461 section 4.1: the DNS says one thing and the policy another. */
static void refuse_host(struct link *l, struct span host)
{
	char text[300];

	snprintf(text, sizeof text, "TLS is required: %.*s is no MX host by the MTA-STS policy of %.*s",
		 SPAN_ARG(host), SPAN_ARG(l->dest->next_hop));
	const struct link_trouble t = {
		.what = "MTA-STS", .enhanced = SMTP_ENHANCED(4, 7, 5), .text = span_of(text), .tls = true
	};
	link_sts_failed(l, TLS_REPORT_VALIDATION, t.text);
	link_next_target(l, &t);
}

/* ---- the target ---------------------------------------------------------------------------------------------------- */

void link_tls_demand(struct link *l)
{
	struct link_tls *s = &l->tls;
	struct ip_addr literal;

	link_tls_forget(l);
	const struct mx_target *t = &l->mx.targets[l->target_at];
	switch (s->demand.level) {
	case ROUTE_TLS_ENCRYPT:
		s->required = true;
		break;
	case ROUTE_TLS_VERIFY:
		s->required = true;
		s->verify = TLS_VERIFY_NAME;
		break;
	case ROUTE_TLS_DANE:
		/* RFC 7672 section 2.2.1: where the way to the host is not signed, its records prove nothing. */
		if (t->authenticated && !ip_parse(t->host, &literal)) {
			ask_tlsa(l, t->canonical.n ? t->canonical : t->host);
			return;
		}
		break;
	case ROUTE_TLS_STS:
		if (s->demand.nmx && !is_named(&s->demand, t->host)) {
			refuse_host(l, t->host);
			return;
		}
		s->required = s->demand.nmx > 0;
		s->verify = s->required ? TLS_VERIFY_NAME : TLS_VERIFY_NONE;
		break;
	default:
		break;
	}
	settle(l);
}
