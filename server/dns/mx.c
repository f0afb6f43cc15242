#include "dns/mx.h"

#include "base/check.h"
#include "base/random.h"
#include "dns/dns_name.h"

const char *mx_result_name(enum mx_result result)
{
	static const char *const names[] = {
#define X(name, text) [MX_##name] = text,
		MX_RESULT_MAP(X)
#undef X
	};

	return (size_t)result < ARRAY_LEN(names) ? names[result] : "unknown";
}

bool mx_self_has_name(const struct mx_self *self, struct span name)
{
	for (size_t i = 0; i < self->names_n; i++)
		if (span_ieq(self->names[i], name))
			return true;
	return false;
}

bool mx_self_has_addr(const struct mx_self *self, const struct ip_addr *addr)
{
	return self->addrs && ip_set_contains(self->addrs, addr);
}

static uint64_t system_below(void *arg, uint64_t bound)
{
	(void)arg;
	return random_below(bound);
}

struct mx_random mx_random_system(void)
{
	return (struct mx_random){ system_below, NULL };
}

static size_t pick(const struct mx_random *rnd, size_t bound)
{
	return (size_t)rnd->below(rnd->arg, bound);
}

/* ---- hosts --------------------------------------------------------------------------------------------- */

static bool is_null_mx(const struct dns_answer *mx)
{
	/* RFC 7505 section 3 wants preference 0; whoever wrote another number meant the same. */
	return mx->n == 1 && span_eq(mx->record[0].data, SPAN("."));
}

/* Equal hosts under two preferences count with the better one. */
static void add_host(struct mx_host *hosts, size_t *n, struct span name, uint16_t preference)
{
	for (size_t i = 0; i < *n; i++) {
		if (span_eq(hosts[i].name, name)) {
			if (preference < hosts[i].preference)
				hosts[i].preference = preference;
			return;
		}
	}
	hosts[(*n)++] = (struct mx_host){ name, preference };
}

static void shuffle_hosts(struct mx_host *hosts, size_t n, const struct mx_random *rnd)
{
	for (size_t i = n; i > 1; i--) {
		const size_t j = pick(rnd, i);
		const struct mx_host host = hosts[i - 1];
		hosts[i - 1] = hosts[j];
		hosts[j] = host;
	}
}

/* Stable, so that equal ones stay shuffled; there are few. */
static void sort_hosts(struct mx_host *hosts, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		const struct mx_host host = hosts[i];
		size_t j = i;
		for (; j > 0 && hosts[j - 1].preference > host.preference; j--)
			hosts[j] = hosts[j - 1];
		hosts[j] = host;
	}
}

enum mx_result mx_order(const struct dns_answer *mx, const struct mx_self *self, const struct mx_random *rnd,
			struct mx_host *hosts_r, size_t *n_r)
{
	struct mx_host hosts[DNS_RECORDS_MAX];
	size_t n = 0, better = 0;

	if (is_null_mx(mx))
		return MX_NULL;
	for (size_t i = 0; i < mx->n; i++)
		if (dns_name_is_host(mx->record[i].data)) /* not an address, not "." among others */
			add_host(hosts, &n, mx->record[i].data, mx->record[i].preference);
	if (n == 0)
		return MX_UNUSABLE; /* never the domain's own addresses then (RFC 5321 section 5.1) */

	shuffle_hosts(hosts, n, rnd);
	sort_hosts(hosts, n);
	/* Whoever is not better than ourselves would send it on to us (RFC 5321 section 5.1). */
	uint32_t limit = UINT16_MAX + 1U;
	for (size_t i = 0; i < n; i++)
		if (hosts[i].preference < limit && mx_self_has_name(self, hosts[i].name))
			limit = hosts[i].preference;
	while (better < n && better < MX_HOSTS_MAX && hosts[better].preference < limit) {
		hosts_r[better] = hosts[better];
		better++;
	}
	if (better == 0)
		return MX_LOOP;
	*n_r = better;
	return MX_FOUND;
}

/* ---- addresses ----------------------------------------------------------------------------------------- */

struct family {
	struct ip_addr addr[DNS_RECORDS_MAX];
	size_t n, at;
};

static void family_load(struct family *f, const struct dns_answer *a, const struct mx_random *rnd)
{
	f->n = f->at = 0;
	if (!a || a->result != DNS_OK)
		return;
	for (size_t i = 0; i < a->n; i++) {
		const size_t j = pick(rnd, i + 1);
		f->addr[i] = f->addr[j];
		f->addr[j] = a->record[i].addr;
	}
	f->n = a->n;
}

size_t mx_addrs_order(const struct dns_answer *v4, const struct dns_answer *v6, enum mx_families families,
		      const struct mx_random *rnd, struct ip_addr *addrs_r)
{
	const bool v4_first = families == MX_FAMILIES_IPV4_FIRST || families == MX_FAMILIES_IPV4_ONLY;
	struct family first, second;
	size_t n = 0;

	family_load(&first, v4_first ? v4 : v6, rnd);
	family_load(&second, v4_first ? v6 : v4, rnd);
	if (families == MX_FAMILIES_IPV4_ONLY || families == MX_FAMILIES_IPV6_ONLY)
		second.n = 0;
	while (n < MX_HOST_ADDRS_MAX && (first.at < first.n || second.at < second.n)) {
		if (first.at < first.n)
			addrs_r[n++] = first.addr[first.at++];
		if (n < MX_HOST_ADDRS_MAX && second.at < second.n)
			addrs_r[n++] = second.addr[second.at++];
	}
	return n;
}
