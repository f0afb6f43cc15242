/* The happy path:
 *
 *   1. start      an address literal is its own target; else the MX records of the domain are asked for
 *   2. on_mx      they are put into order; without any the domain itself is the one host (implicit MX)
 *   3. ask_hosts  A and AAAA of every host, all at once
 *   4. conclude   when the last one is answered: the targets, host by host
 *
 * How it fails: no MX answer is MX_TEMPFAIL; NXDOMAIN, null MX, MX records that name no host and ourselves as
 * the best host are final. An address that could not be learned matters only if there is no other: then it is
 * MX_TEMPFAIL and never MX_NO_ADDRESS. At the deadline and on cancel the questions are cancelled, and
 * conclude() runs after the last of them with what there is.
 */
#include "dns/mx_lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "mail/mail_punycode.h"
#include "smtp/smtp_domain.h"

enum { V4, V6, FAMILIES };

enum { STEP_MIN_US = 1000 }; /* what a step gets when the first one took all the time */

struct address_query {
	struct dns_query q;
	struct mx_lookup *owner;
};

struct mx_lookup_host {
	struct dns_name name;
	uint16_t preference;
	struct address_query address[FAMILIES];
};

static const struct dns_answer *address_answer(const struct mx_lookup_host *h, int family)
{
	return dns_query_answer(&h->address[family].q);
}

void mx_lookup_init(struct mx_lookup *m, void (*done)(struct op *op))
{
	memset(m, 0, sizeof *m);
	op_init(&m->op, done);
}

static void free_hosts(struct mx_lookup *m)
{
	for (size_t i = 0; i < m->hosts_n; i++)
		for (int f = 0; f < FAMILIES; f++)
			dns_query_deinit(&m->hosts[i].address[f].q);
	free(m->hosts);
	m->hosts = NULL;
	m->hosts_n = 0;
}

void mx_lookup_deinit(struct mx_lookup *m)
{
	require(!op_pending(&m->op) && m->pending == 0);
	free_hosts(m);
	free(m->targets); /* the hosts' names are in the same block */
	m->targets = NULL;
	m->n = 0;
	dns_answer_unref(&m->mx.answer);
}

static void finish(struct mx_lookup *m, enum mx_result result)
{
	m->result = result;
	op_complete(&m->op, 0);
}

/* ---- 4. conclude --------------------------------------------------------------------------------------- */

static bool family_counts(const struct mx_lookup *m, int family)
{
	return m->config.families != (family == V4 ? MX_FAMILIES_IPV6_ONLY : MX_FAMILIES_IPV4_ONLY);
}

/* The preference from which on everything is ourselves, by address, or worse (RFC 5321 section 5.1). */
static uint32_t own_preference(const struct mx_lookup *m)
{
	for (size_t i = 0; i < m->hosts_n; i++) { /* best first */
		for (int f = 0; f < FAMILIES; f++) {
			const struct dns_answer *a = address_answer(&m->hosts[i], f);
			for (size_t k = 0; k < a->n; k++)
				if (mx_self_has_addr(&m->config.self, &a->record[k].addr))
					return m->hosts[i].preference;
		}
	}
	return UINT16_MAX + 1U;
}

/* One block: the targets, then the names of their hosts, and what these are aliases of, by family. */
static struct span put_name(char **at, struct span name)
{
	const struct span put = { *at, name.n };

	if (name.n > DNS_NAME_MAX) /* an alias of something with many escapes: no host */
		return (struct span){ NULL, 0 };
	if (name.n)
		memcpy(*at, name.p, name.n);
	*at += name.n;
	return put;
}

static void make_targets(struct mx_lookup *m, uint32_t limit)
{
	m->targets = mem_alloc(MX_ADDRS_MAX * sizeof *m->targets + 3 * m->hosts_n * sizeof m->domain.s);
	char *names = (char *)&m->targets[MX_ADDRS_MAX];

	for (size_t i = 0; i < m->hosts_n && m->hosts[i].preference < limit; i++) {
		const struct mx_lookup_host *h = &m->hosts[i];
		const struct dns_answer *v4 = address_answer(h, V4), *v6 = address_answer(h, V6);
		struct ip_addr addrs[MX_HOST_ADDRS_MAX];
		const size_t n = mx_addrs_order(v4, v6, m->config.families, &m->config.random, addrs);
		const struct span name = put_name(&names, dns_name_span(&h->name)),
				  c4 = put_name(&names, v4->canonical), c6 = put_name(&names, v6->canonical);

		for (size_t k = 0; k < n && m->n < MX_ADDRS_MAX; k++) {
			const bool authenticated =
				m->mx_authenticated && (addrs[k].len == 4 ? v4 : v6)->authenticated;
			m->targets[m->n++] = (struct mx_target){ .host = name,
								 .canonical = addrs[k].len == 4 ? c4 : c6,
								 .addr = addrs[k],
								 .preference = h->preference,
								 .authenticated = authenticated };
		}
	}
}

/* Looks at what the questions left behind; returns why one of them that matters failed, or NULL. */
static const char *take_stock(struct mx_lookup *m, uint32_t limit)
{
	const char *failure = NULL;

	for (size_t i = 0; i < m->hosts_n && m->hosts[i].preference < limit; i++) {
		for (int f = 0; f < FAMILIES; f++) {
			const struct dns_answer *a = address_answer(&m->hosts[i], f);
			if (!family_counts(m, f))
				continue;
			m->stale |= m->hosts[i].address[f].q.stale;
			if (a->result == DNS_TEMPFAIL)
				failure = a->why;
			else if (a->ttl_s < m->ttl_s)
				m->ttl_s = a->ttl_s;
		}
	}
	m->incomplete = failure != NULL;
	return failure;
}

static void conclude(struct mx_lookup *m)
{
	const uint32_t limit = own_preference(m);
	const char *failure = take_stock(m, limit);

	make_targets(m, limit);
	free_hosts(m);
	if (m->n) {
		finish(m, MX_FOUND);
	} else if (failure) {
		errtext_set(&m->why, ERR_AGAIN, "%s: no address of a mail host could be learned: %s",
			    m->domain.s, failure);
		finish(m, MX_TEMPFAIL);
	} else if (limit <= UINT16_MAX) {
		errtext_set(&m->why, ERR_DENIED, "%s: mail for it would come back to this host", m->domain.s);
		finish(m, MX_LOOP);
	} else {
		errtext_set(&m->why, ERR_NOTFOUND, "%s: none of its mail hosts has an address", m->domain.s);
		finish(m, MX_NO_ADDRESS);
	}
}

/* ---- 3. ask_hosts -------------------------------------------------------------------------------------- */

static void on_address(struct op *op)
{
	struct mx_lookup *m = container_of(op, struct address_query, q.op)->owner;

	if (--m->pending == 0)
		conclude(m);
}

static void ask_hosts(struct mx_lookup *m, const struct mx_host *hosts, size_t n)
{
	struct scope *scope = m->op.scope;
	const int64_t left_us = m->until_us - loop_now_us(scope->loop);

	m->hosts = mem_alloc_array(n, sizeof *m->hosts);
	m->hosts_n = n;
	for (size_t i = 0; i < n; i++) {
		struct mx_lookup_host *h = &m->hosts[i];
		h->preference = hosts[i].preference;
		h->name.n = (uint8_t)hosts[i].name.n;
		memcpy(h->name.s, hosts[i].name.p, hosts[i].name.n);
		for (int f = 0; f < FAMILIES; f++) {
			struct address_query *a = &h->address[f];
			a->owner = m;
			dns_query_init(&a->q, on_address);
			if (family_counts(m, f) &&
			    dns_query_start(&a->q, m->dns, scope, f == V4 ? DNS_A : DNS_AAAA, hosts[i].name,
					    left_us > STEP_MIN_US ? left_us : STEP_MIN_US) == 0)
				m->pending++;
		}
	}
	if (m->pending == 0)
		conclude(m); /* the scope is closing */
}

/* ---- 2. on_mx ------------------------------------------------------------------------------------------ */

static void use_records(struct mx_lookup *m, const struct dns_answer *mx)
{
	struct mx_host hosts[MX_HOSTS_MAX];
	size_t n = 0;
	const enum mx_result result = mx_order(mx, &m->config.self, &m->config.random, hosts, &n);

	if (result == MX_FOUND) {
		ask_hosts(m, hosts, n);
		return;
	}
	errtext_set(&m->why, ERR_DENIED, "%s: %s", m->domain.s,
		    result == MX_NULL   ? "the domain takes no mail (null MX)"
		    : result == MX_LOOP ? "mail for it would come back to this host"
					: "none of its MX records names a host");
	finish(m, result);
}

/* No MX records: as if there were one of preference 0 that names the domain (RFC 5321 section 5.1). */
static void use_domain(struct mx_lookup *m)
{
	const struct mx_host host = { dns_name_span(&m->domain), 0 };

	m->implicit = true;
	if (!dns_name_is_host(host.name)) {
		errtext_set(&m->why, ERR_NOTFOUND, "%s: it has no MX records and cannot be a host",
			    m->domain.s);
		finish(m, MX_NO_ADDRESS);
	} else if (mx_self_has_name(&m->config.self, host.name)) {
		errtext_set(&m->why, ERR_DENIED, "%s: it has no MX records and is this host", m->domain.s);
		finish(m, MX_LOOP);
	} else {
		ask_hosts(m, &host, 1);
	}
}

static void on_mx(struct op *op)
{
	struct mx_lookup *m = container_of(op, struct mx_lookup, mx.op);
	const struct dns_answer *mx = dns_query_answer(&m->mx);

	m->pending--;
	if (m->canceled) { /* nothing is begun any more, though there may be an old answer */
		errtext_set(&m->why, ERR_CANCELED, "%s: its MX records were not waited for", m->domain.s);
		finish(m, MX_TEMPFAIL);
		return;
	}
	m->stale = m->mx.stale;
	m->mx_authenticated = mx->authenticated;
	m->ttl_s = mx->ttl_s;
	switch (mx->result) {
	case DNS_OK:
		use_records(m, mx);
		break;
	case DNS_NODATA:
		use_domain(m);
		break;
	case DNS_NXDOMAIN:
		errtext_set(&m->why, ERR_NOTFOUND, "%s: there is no such domain", m->domain.s);
		finish(m, MX_NXDOMAIN);
		break;
	case DNS_TEMPFAIL:
		errtext_set(&m->why, ERR_AGAIN, "%s: its MX records could not be learned: %s", m->domain.s,
			    mx->why);
		finish(m, MX_TEMPFAIL);
		break;
	case DNS_INVALID:
		errtext_set(&m->why, ERR_INVAL, "%s: %s", m->domain.s, mx->why);
		finish(m, MX_INVALID);
		break;
	}
}

/* ---- 1. start ------------------------------------------------------------------------------------------ */

/* Their completions come later and conclude. */
static void cancel(struct op *op)
{
	struct mx_lookup *m = container_of(op, struct mx_lookup, op);

	m->canceled = true;
	op_cancel(&m->mx.op);
	for (size_t i = 0; i < m->hosts_n; i++)
		for (int f = 0; f < FAMILIES; f++)
			op_cancel(&m->hosts[i].address[f].q.op);
}

static int begin(struct mx_lookup *m, struct dns *dns, struct scope *scope, const struct mx_config *config,
		 struct span name, int64_t deadline_us)
{
	mx_lookup_deinit(m);
	m->dns = dns;
	m->config = *config;
	if (!m->config.random.below)
		m->config.random = mx_random_system();
	m->result = MX_TEMPFAIL;
	m->why.s[0] = '\0';
	m->ttl_s = UINT32_MAX;
	m->implicit = m->incomplete = m->stale = m->mx_authenticated = m->canceled = false;
	dns_query_init(&m->mx, on_mx);
	if (deadline_us <= 0)
		deadline_us = 2 * dns_deadline_us(dns);
	m->until_us = loop_now_us(scope->loop) + deadline_us;
	snprintf(m->what, sizeof m->what, "mail hosts of %.*s", SPAN_ARG(span_first(name, DNS_WHAT_MAX)));
	return op_begin(&m->op, scope, m->what, deadline_us, cancel);
}

static void use_address(struct mx_lookup *m, struct span text, const struct ip_addr *addr)
{
	m->targets = mem_alloc(sizeof *m->targets + text.n);
	char *name = (char *)&m->targets[1];
	memcpy(name, text.p, text.n);
	m->targets[0] = (struct mx_target){ .host = { name, text.n }, .addr = *addr };
	m->n = 1;
	finish(m, MX_FOUND);
}

static void use_literal(struct mx_lookup *m, struct span domain)
{
	struct smtp_literal literal = { 0 };
	unsigned tolerated = 0;
	const char *why = "it is not an address literal that mail can be sent to";

	if (smtp_literal_parse(domain, 0, &tolerated, &literal, &why) < 0 || literal.addr.len == 0) {
		errtext_set(&m->why, ERR_INVAL, "%.*s: %s", SPAN_ARG(span_first(domain, DNS_NAME_MAX)), why);
		finish(m, MX_INVALID);
	} else if (mx_self_has_addr(&m->config.self, &literal.addr)) {
		errtext_set(&m->why, ERR_DENIED, "%s: it is this host", literal.text);
		finish(m, MX_LOOP);
	} else {
		use_address(m, span_of(literal.text), &literal.addr);
	}
}

/* A name with U-labels (SMTPUTF8) is asked for by its A-labels: RFC 6531 section 3.6. */
static bool take_name(struct mx_lookup *m, struct span name)
{
	struct buf ascii = BUF_INIT(DNS_NAME_MAX + 1);
	const char *why = "no name of the DNS";
	const int err = mail_domain_to_ascii(&ascii, name);
	const bool ok = err == 0 && dns_name_parse(buf_span(&ascii), &m->domain, &why) == 0;

	buf_free(&ascii);
	if (ok)
		return true;
	errtext_set(&m->why, ERR_INVAL, "%.*s: %s", SPAN_ARG(span_first(name, DNS_NAME_MAX)), why);
	finish(m, MX_INVALID);
	return false;
}

int mx_lookup_start(struct mx_lookup *m, struct dns *dns, struct scope *scope, const struct mx_config *config,
		    struct span domain, int64_t deadline_us)
{
	const int err = begin(m, dns, scope, config, domain, deadline_us);

	if (err < 0)
		return err;
	if (domain.n && domain.p[0] == '[') {
		use_literal(m, domain);
	} else if (take_name(m, domain)) {
		/* Half of the time, so that addresses can be asked for when the answer was late or old. */
		const int64_t half_us = (m->until_us - loop_now_us(scope->loop)) / 2;
		m->pending = dns_query_start(&m->mx, dns, scope, DNS_MX, dns_name_span(&m->domain),
					     half_us > STEP_MIN_US ? half_us : STEP_MIN_US) == 0;
	}
	return 0;
}

int mx_lookup_start_host(struct mx_lookup *m, struct dns *dns, struct scope *scope,
			 const struct mx_config *config, struct span host, int64_t deadline_us)
{
	struct ip_addr addr;
	const int err = begin(m, dns, scope, config, host, deadline_us);

	if (err < 0)
		return err;
	m->config.self = (struct mx_self){ 0 };
	m->mx_authenticated = true; /* the operator named it */
	if (ip_parse(host, &addr)) {
		use_address(m, host, &addr);
	} else if (take_name(m, host)) {
		const struct mx_host only = { dns_name_span(&m->domain), 0 };
		ask_hosts(m, &only, 1);
	}
	return 0;
}
