#include "sts/tls_report.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rfc3339.h"

#define DAY_S  INT64_C(86400)
#define DAY_US (DAY_S * 1000000)

enum { DAYS = 2, NAME_MAX_ = 254, REASON_MAX = 120 };

struct detail {
	enum tls_report_result result;
	uint64_t sessions;
	char mx[NAME_MAX_];
	char reason[REASON_MAX];
	struct ip_addr addr;
};

struct counters {
	struct map_node node;
	char domain[NAME_MAX_];
	uint64_t ok[TLS_REPORT_POLICY_MAX_], failed[TLS_REPORT_POLICY_MAX_];
	struct detail *detail[TLS_REPORT_POLICY_MAX_]; /* TLS_REPORT_DETAILS each; NULL: none yet */
	unsigned ndetails[TLS_REPORT_POLICY_MAX_];
};

struct day {
	int64_t number; /* since 1970; -1: unused */
	struct map domains;
};

struct tls_report {
	pthread_mutex_t lock;
	struct day day[DAYS];
};

static const char *const policy_names[] = {
#define X(name, text) text,
	TLS_REPORT_POLICY_MAP(X)
#undef X
};

static const char *const result_names[] = {
#define X(name, text) text,
	TLS_REPORT_RESULT_MAP(X)
#undef X
};

const char *tls_report_result_name(enum tls_report_result result)
{
	return (size_t)result < ARRAY_LEN(result_names) ? result_names[result] : "?";
}

/* ---- counting ------------------------------------------------------------------------------------------------- */

static void empty(struct day *d)
{
	map_for_each_safe(node, &d->domains) {
		struct counters *c = map_entry(node, struct counters, node);
		map_remove(&d->domains, node);
		for (size_t i = 0; i < TLS_REPORT_POLICY_MAX_; i++)
			free(c->detail[i]);
		free(c);
	}
	d->number = -1;
}

/* The day's place; a later day takes that of the earliest, one that is over finds none. */
static struct day *day_of(struct tls_report *r, int64_t number, bool make)
{
	struct day *oldest = &r->day[0];

	for (size_t i = 0; i < DAYS; i++) {
		if (r->day[i].number == number)
			return &r->day[i];
		if (r->day[i].number < oldest->number)
			oldest = &r->day[i];
	}
	if (!make || oldest->number > number)
		return NULL;
	empty(oldest);
	oldest->number = number;
	return oldest;
}

static struct counters *counters_of(struct day *d, struct span domain)
{
	struct map_node *node = map_get(&d->domains, domain);

	if (node)
		return map_entry(node, struct counters, node);
	if (d->domains.n >= TLS_REPORT_DOMAINS && !span_eq(domain, SPAN("*")))
		return counters_of(d, SPAN("*"));
	struct counters *c = mem_alloc(sizeof *c);
	snprintf(c->domain, sizeof c->domain, "%.*s", SPAN_ARG(domain));
	map_put(&d->domains, &c->node, span_of(c->domain));
	return c;
}

static void note(struct counters *c, const struct tls_report_session *s)
{
	if (!c->detail[s->policy])
		c->detail[s->policy] = mem_alloc_array(TLS_REPORT_DETAILS, sizeof *c->detail[0]);
	struct detail *d = c->detail[s->policy];
	const unsigned n = c->ndetails[s->policy];

	for (unsigned i = 0; i < n; i++) {
		if (d[i].result == s->result && span_eq(span_of(d[i].mx), s->mx)) {
			d[i].sessions++;
			return;
		}
	}
	if (n == TLS_REPORT_DETAILS)
		return; /* counted in the sum */
	d[n] = (struct detail){ .result = s->result, .sessions = 1, .addr = s->addr };
	snprintf(d[n].mx, sizeof d[n].mx, "%.*s", SPAN_ARG(s->mx));
	snprintf(d[n].reason, sizeof d[n].reason, "%.*s", SPAN_ARG(s->reason));
	c->ndetails[s->policy]++;
}

void tls_report_add(struct tls_report *r, const struct tls_report_session *s)
{
	if (s->domain.n >= NAME_MAX_ || !s->domain.n)
		return;
	pthread_mutex_lock(&r->lock);
	struct day *d = day_of(r, s->wall_us / DAY_US, true);
	if (d) {
		struct counters *c = counters_of(d, s->domain);
		if (s->result == TLS_REPORT_SUCCESS) {
			c->ok[s->policy]++;
		} else {
			c->failed[s->policy]++;
			note(c, s);
		}
	}
	pthread_mutex_unlock(&r->lock);
}

/* ---- the report ----------------------------------------------------------------------------------------------- */

static void write_detail(struct json *j, const struct detail *d)
{
	json_object(j, NULL);
	json_cstr(j, "result-type", tls_report_result_name(d->result));
	if (d->mx[0])
		json_cstr(j, "receiving-mx-hostname", d->mx);
	if (d->addr.len)
		json_cstr(j, "receiving-ip", ip_format(&d->addr).s);
	json_int(j, "failed-session-count", (int64_t)d->sessions);
	if (d->reason[0])
		json_cstr(j, "failure-reason-code", d->reason);
	json_object_end(j);
}

static void write_policy(struct json *j, const struct counters *c, size_t policy)
{
	json_object(j, NULL);
	json_object(j, "policy");
	json_cstr(j, "policy-type", policy_names[policy]);
	json_cstr(j, "policy-domain", c->domain);
	json_object_end(j);
	json_object(j, "summary");
	json_int(j, "total-successful-session-count", (int64_t)c->ok[policy]);
	json_int(j, "total-failure-session-count", (int64_t)c->failed[policy]);
	json_object_end(j);
	if (c->ndetails[policy]) {
		json_array(j, "failure-details");
		for (unsigned i = 0; i < c->ndetails[policy]; i++)
			write_detail(j, &c->detail[policy][i]);
		json_array_end(j);
	}
	json_object_end(j);
}

static void write_head(struct json *j, int64_t day, struct span organization, struct span contact)
{
	char id[80];

	json_object(j, NULL);
	json_str(j, "organization-name", organization);
	json_object(j, "date-range");
	json_str(j, "start-datetime", span_of(rfc3339_format(day * DAY_S).s));
	json_str(j, "end-datetime", span_of(rfc3339_format((day + 1) * DAY_S - 1).s));
	json_object_end(j);
	json_str(j, "contact-info", contact);
	snprintf(id, sizeof id, "%lld", (long long)day);
	json_cstr(j, "report-id", id);
}

int tls_report_json(struct tls_report *r, int64_t wall_us, struct span organization, struct span contact,
		    struct span domain, struct buf *out)
{
	const size_t before = out->n;
	struct json j = json_to(out);
	int domains = 0;

	write_head(&j, wall_us / DAY_US, organization, contact);
	json_array(&j, "policies");
	pthread_mutex_lock(&r->lock);
	const struct day *d = day_of(r, wall_us / DAY_US, false);
	for (struct map_node *node = d ? map_next(&d->domains, NULL) : NULL; node;
	     node = map_next(&d->domains, node)) {
		const struct counters *c = map_entry(node, struct counters, node);
		if (domain.n && !span_eq(domain, node->key))
			continue;
		domains++;
		for (size_t p = 0; p < TLS_REPORT_POLICY_MAX_; p++)
			if (c->ok[p] + c->failed[p])
				write_policy(&j, c, p);
	}
	pthread_mutex_unlock(&r->lock);
	json_array_end(&j);
	json_object_end(&j);
	if (out->overflow) {
		buf_remove(out, before, out->n - before);
		return -ERR_TOOBIG;
	}
	return domains;
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

struct tls_report *tls_report_new(void)
{
	struct tls_report *r = mem_alloc(sizeof *r);

	pthread_mutex_init(&r->lock, NULL);
	for (size_t i = 0; i < DAYS; i++) {
		map_init(&r->day[i].domains);
		r->day[i].number = -1;
	}
	return r;
}

void tls_report_free(struct tls_report **r_p)
{
	struct tls_report *r = *r_p;

	if (!r)
		return;
	*r_p = NULL;
	for (size_t i = 0; i < DAYS; i++) {
		empty(&r->day[i]);
		map_deinit(&r->day[i].domains);
	}
	pthread_mutex_destroy(&r->lock);
	free(r);
}
