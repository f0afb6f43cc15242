/* Asking is the entry's, one per domain, so that many who want the same policy cause one fetch:
 *
 *   start -> TXT -> addresses of mta-sts.<domain> -> fetch -> parse -> all who wait are told
 *
 * How it fails: every step that fails ends the asking; who waits gets what was kept, if that has not expired, or nothing. A lookup
 * that is cancelled leaves, the asking goes on for the others and for the cache.
 */
#include "sts/sts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

#define ENTRIES_MAX 10000
#define SECOND_US   INT64_C(1000000)
#define PREFIX      "mta-sts."
#define PATH        "/.well-known/mta-sts.txt"

struct entry {
	struct map_node node;
	struct list lru; /* the longest unused first */
	struct sts *sts;
	char domain[DNS_NAME_MAX + 1];
	char id[STS_ID_MAX + 1];
	struct sts_policy *policy; /* NULL: none is known */
	int64_t expires_s;         /* since 1970 */
	char failed_id[STS_ID_MAX + 1];
	int64_t failed_until_us; /* of the loop's clock: the fetch of failed_id is not tried before it */
	char why[STS_WHY_MAX];   /* of that failure */
	bool invalid;

	struct asking *asking; /* NULL: nothing is under way */
	struct list waiting;   /* struct sts_lookup */
};

struct asking {
	struct entry *entry;
	struct dns_query txt;
	struct mx_lookup host;
	struct http_fetch fetch;
	char id[STS_ID_MAX + 1]; /* of the record */
	char url[sizeof "https://" PREFIX PATH + DNS_NAME_MAX];
	struct ip_addr addr[HTTP_ADDRS_MAX];
};

struct sts {
	struct sts_config cfg;
	struct loop *loop;
	struct dns *dns;
	struct http_client *http;
	struct scope scope;
	struct map entries;
	struct list lru;
	bool changed;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void on_txt(struct op *op);
static void on_host(struct op *op);
static void on_fetched(struct op *op);

/* ---- entries -------------------------------------------------------------------------------------------------- */

static void entry_free(struct entry *e)
{
	map_remove(&e->sts->entries, &e->node);
	list_remove(&e->lru);
	sts_policy_unref(&e->policy);
	free(e);
}

static void make_room(struct sts *s)
{
	list_for_each_safe(link, &s->lru) {
		struct entry *e = list_entry(link, struct entry, lru);
		if (s->entries.n < s->cfg.entries_max)
			return;
		if (!e->asking && list_empty(&e->waiting))
			entry_free(e);
	}
}

static struct entry *find(struct sts *s, const struct dns_name *domain)
{
	struct map_node *node = map_get(&s->entries, dns_name_span(domain));
	struct entry *e = node ? map_entry(node, struct entry, node) : NULL;

	if (!e) {
		make_room(s);
		e = mem_alloc(sizeof *e);
		e->sts = s;
		memcpy(e->domain, domain->s, domain->n);
		list_init(&e->waiting);
		list_init(&e->lru);
		map_put(&s->entries, &e->node, span_of(e->domain));
	}
	list_remove(&e->lru);
	list_push_back(&s->lru, &e->lru);
	return e;
}

static int64_t now_s(const struct sts *s)
{
	return loop_wall_us(s->loop) / SECOND_US;
}

static bool is_live(const struct entry *e)
{
	return e->policy && e->expires_s > now_s(e->sts);
}

/* ---- telling -------------------------------------------------------------------------------------------------- */

static void tell(struct sts_lookup *l, const struct entry *e, bool failed)
{
	l->policy = is_live(e) ? sts_policy_ref(e->policy) : NULL;
	l->fetch_failed = failed;
	l->invalid = failed && e->invalid;
	snprintf(l->why, sizeof l->why, "%s", failed ? e->why : "");
	list_remove(&l->waiting_);
	op_complete(&l->op, 0);
}

/* The asking is over. It frees itself at the end of its last operation, which is the caller's. */
static void finish(struct asking *a, bool failed)
{
	struct entry *e = a->entry;

	e->asking = NULL;
	list_for_each_safe(link, &e->waiting)
		tell(list_entry(link, struct sts_lookup, waiting_), e, failed);
	dns_query_deinit(&a->txt);
	mx_lookup_deinit(&a->host);
	http_fetch_deinit(&a->fetch);
	free(a);
}

static void fail(struct asking *a, bool invalid, const char *what, const char *why)
{
	struct entry *e = a->entry;

	snprintf(e->why, sizeof e->why, "the MTA-STS policy of %.*s: %s: %s", 100, e->domain, what, why);
	e->invalid = invalid;
	memcpy(e->failed_id, a->id, sizeof e->failed_id);
	e->failed_until_us = loop_now_us(e->sts->loop) + STS_FAILED_US;
	finish(a, true);
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

static void ask(struct entry *e)
{
	struct sts *s = e->sts;
	struct asking *a = mem_alloc(sizeof *a);
	char name[sizeof "_" PREFIX + DNS_NAME_MAX];

	a->entry = e;
	e->asking = a;
	dns_query_init(&a->txt, on_txt);
	mx_lookup_init(&a->host, on_host);
	http_fetch_init(&a->fetch, on_fetched);
	snprintf(name, sizeof name, "_" PREFIX "%s", e->domain);
	require(dns_query_start(&a->txt, s->dns, &s->scope, DNS_TXT, span_of(name), 0) == 0);
}

/* Section 3.1: not exactly one record of ours is none. */
static bool find_id(const struct dns_answer *txt, struct asking *a)
{
	unsigned ours = 0;
	struct span id;

	for (size_t i = 0; txt->result == DNS_OK && i < txt->n; i++) {
		const int r = sts_record_parse(txt->record[i].data, &id);
		if (r == -ERR_NOTFOUND)
			continue;
		if (r < 0 || ours++)
			return false;
		snprintf(a->id, sizeof a->id, "%.*s", SPAN_ARG(id));
	}
	return ours == 1;
}

static void on_txt(struct op *op)
{
	struct asking *a = container_of(op, struct asking, txt.op);
	struct entry *e = a->entry;
	struct sts *s = e->sts;
	char host[sizeof PREFIX + DNS_NAME_MAX];
	static const struct mx_config no_self;

	if (op->status == -ERR_CANCELED || !find_id(dns_query_answer(&a->txt), a)) {
		finish(a, false);
		return;
	}
	if (is_live(e) && strcmp(e->id, a->id) == 0) {
		finish(a, false);
		return;
	}
	if (strcmp(e->failed_id, a->id) == 0 && loop_now_us(s->loop) < e->failed_until_us) {
		finish(a, true);
		return;
	}
	snprintf(host, sizeof host, PREFIX "%s", e->domain);
	require(mx_lookup_start_host(&a->host, s->dns, &s->scope, &no_self, span_of(host), 0) == 0);
}

static void on_host(struct op *op)
{
	struct asking *a = container_of(op, struct asking, host.op);
	struct sts *s = a->entry->sts;
	struct http_request *rq = &a->fetch.transfer.request;

	if (op->status == -ERR_CANCELED) {
		finish(a, false);
		return;
	}
	if (a->host.result != MX_FOUND) {
		fail(a, false, "its web server", a->host.why.s);
		return;
	}
	for (size_t i = 0; i < a->host.n && i < HTTP_ADDRS_MAX; i++)
		a->addr[rq->naddrs++] = a->host.targets[i].addr;
	snprintf(a->url, sizeof a->url, "https://" PREFIX "%s" PATH, a->entry->domain);
	rq->url = span_of(a->url);
	rq->addrs = a->addr;
	rq->ca_file = s->cfg.ca_file;
	rq->connect_port = s->cfg.connect_port;
	rq->body_max = STS_POLICY_OCTETS;
	require(http_fetch_start(&a->fetch, &s->scope, s->http, "MTA-STS policy", STS_FETCH_US) == 0);
}

/* Section 3.3: 200, text/plain, and no redirects, which are not followed. */
static const char *refuse(const struct http_answer *answer)
{
	if (answer->status != 200)
		return "its web server does not answer 200";
	if (!span_istarts(span_of(answer->content_type), SPAN("text/plain")))
		return "it is not text/plain";
	return NULL;
}

static void on_fetched(struct op *op)
{
	struct asking *a = container_of(op, struct asking, fetch.op);
	const struct http_transfer *t = &a->fetch.transfer;
	struct entry *e = a->entry;
	struct sts_policy *policy;

	if (op->status == -ERR_CANCELED) {
		finish(a, false);
		return;
	}
	if (op->status < 0) {
		fail(a, false, http_step_name(t->step), t->why[0] ? t->why : err_text(op->status));
		return;
	}
	const char *why = refuse(&t->answer);
	if (why || sts_policy_parse(buf_span(&t->answer.body), &policy, &why) < 0) {
		fail(a, true, "refused", why);
		return;
	}
	sts_policy_unref(&e->policy);
	e->policy = policy;
	e->expires_s = now_s(e->sts) + policy->max_age_s;
	memcpy(e->id, a->id, sizeof e->id);
	e->sts->changed = true;
	finish(a, false);
}

/* ---- lookups -------------------------------------------------------------------------------------------------- */

static void cancel(struct op *op)
{
	struct sts_lookup *l = container_of(op, struct sts_lookup, op);

	list_remove(&l->waiting_);
	op_complete(op, -ERR_CANCELED);
}

void sts_lookup_init(struct sts_lookup *l, void (*done)(struct op *op))
{
	*l = (struct sts_lookup){ .policy = NULL };
	op_init(&l->op, done);
	list_init(&l->waiting_);
}

int sts_lookup_start(struct sts_lookup *l, struct sts *s, struct scope *scope, struct span domain,
		     int64_t deadline_us)
{
	struct dns_name name;
	const char *why;

	sts_policy_unref(&l->policy);
	const int err =
		op_begin(&l->op, scope, "MTA-STS policy", deadline_us ? deadline_us : STS_FETCH_US, cancel);
	if (err < 0)
		return err;
	/* "mta-sts." must fit in front of it; nobody can publish a policy for a domain that is longer. */
	if (s->scope.closing || dns_name_parse(domain, &name, &why) < 0 ||
	    name.n + sizeof "_" PREFIX > DNS_NAME_MAX) {
		op_complete(&l->op, 0);
		return 0;
	}
	struct entry *e = find(s, &name);
	list_push_back(&e->waiting, &l->waiting_);
	if (!e->asking)
		ask(e);
	return 0;
}

void sts_lookup_deinit(struct sts_lookup *l)
{
	require(!op_pending(&l->op));
	sts_policy_unref(&l->policy);
}

/* ---- from life to life ---------------------------------------------------------------------------------------- */

void sts_save(const struct sts *s, struct buf *out)
{
	map_for_each(node, &s->entries) {
		const struct entry *e = map_entry(node, struct entry, node);
		if (!is_live(e))
			continue;
		buf_addf(out, "%s %s %lld %s", e->domain, e->id, (long long)e->expires_s,
			 sts_mode_name(e->policy->mode));
		for (size_t i = 0; i < e->policy->nmx; i++)
			buf_addf(out, " %s%.*s", e->policy->mx[i].p[0] == '.' ? "*" : "",
				 SPAN_ARG(e->policy->mx[i]));
		buf_add_char(out, '\n');
	}
}

/* As the policy that it was, so that it is checked as one. */
static bool load_line(struct sts *s, struct span line)
{
	const struct span domain = span_cut(&line, ' '), id = span_cut(&line, ' ');
	const struct span expires = span_cut(&line, ' '), mode = span_cut(&line, ' ');
	struct buf text = BUF_INIT(STS_POLICY_OCTETS);
	struct sts_policy *policy;
	struct dns_name name;
	uint64_t expires_s;
	const char *why;
	bool ok;

	buf_addf(&text, "version: STSv1\nmode: %.*s\nmax_age: 0\n", SPAN_ARG(mode));
	while (line.n) {
		const struct span mx = span_cut(&line, ' ');
		buf_addf(&text, "mx: %.*s\n", SPAN_ARG(mx));
	}
	ok = id.n && id.n <= STS_ID_MAX && span_to_u64(expires, INT64_MAX, &expires_s) &&
	     (int64_t)expires_s > now_s(s) && (int64_t)expires_s <= now_s(s) + STS_MAX_AGE_S &&
	     dns_name_parse(domain, &name, &why) == 0 &&
	     sts_policy_parse(buf_span(&text), &policy, &why) == 0;
	buf_free(&text);
	if (!ok)
		return false;
	struct entry *e = find(s, &name);
	sts_policy_unref(&e->policy);
	e->policy = policy;
	e->expires_s = (int64_t)expires_s;
	snprintf(e->id, sizeof e->id, "%.*s", SPAN_ARG(id));
	return true;
}

size_t sts_load(struct sts *s, struct span text)
{
	size_t n = 0;

	while (text.n)
		n += load_line(s, span_cut(&text, '\n'));
	return n;
}

bool sts_changed(struct sts *s)
{
	const bool changed = s->changed;

	s->changed = false;
	return changed;
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

static void on_scope_closed(struct scope *scope)
{
	struct sts *s = container_of(scope, struct sts, scope);

	if (s->closed)
		s->closed(s->closed_arg);
}

struct sts *sts_new(const struct sts_config *cfg, struct loop *loop, struct dns *dns,
		    struct http_client *http)
{
	struct sts *s = mem_alloc(sizeof *s);

	s->cfg = *cfg;
	if (!s->cfg.entries_max)
		s->cfg.entries_max = ENTRIES_MAX;
	s->loop = loop;
	s->dns = dns;
	s->http = http_client_ref(http);
	scope_init(&s->scope, loop, on_scope_closed);
	map_init(&s->entries);
	list_init(&s->lru);
	return s;
}

void sts_close(struct sts *s, void (*closed)(void *arg), void *arg)
{
	s->closed = closed;
	s->closed_arg = arg;
	scope_close(&s->scope);
}

void sts_free(struct sts **s_p)
{
	struct sts *s = *s_p;

	if (!s)
		return;
	*s_p = NULL;
	require(scope_idle(&s->scope));
	map_for_each_safe(node, &s->entries)
		entry_free(map_entry(node, struct entry, node));
	map_deinit(&s->entries);
	http_client_unref(&s->http);
	free(s);
}
