/* The happy path:
 *
 *   1. start   the name is made canonical; a static or cached answer completes the query at the end of the
 *              turn
 *   2. ask     else the query joins the open question of that type and name, or opens one: dns_channel sends
 *              it
 *   3. answer  the message is read (dns_wire), put into the cache, and every query that waits gets a
 *              reference
 *
 * How it fails: a query's own deadline or cancel takes it off the question, which goes on for the others and
 * for the cache. The question's deadline answers all who wait with DNS_TEMPFAIL and lets others ask anew;
 * c-ares cannot take a question back, so it stays, and counts as open, until c-ares is done with it, and a
 * late answer still goes into the cache. A message that is not an answer is DNS_TEMPFAIL. When there are old
 * records they are given instead of any DNS_TEMPFAIL (dns_cache).
 */
#include "dns/dns.h"

#include <ares.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "dns/dns_channel.h"
#include "dns/dns_key.h"
#include "dns/dns_wire.h"

enum { SECOND_US = 1000 * 1000, TRY_MIN_US = 10 * 1000, TRIES_MAX = 10, LATENCY_WEIGHT = 8 };

struct dns_question {
	struct map_node node; /* in dns->questions until it is over */
	struct dns *dns;
	struct dns_ask ask;
	struct dns_key key;
	struct dns_name name;
	enum dns_type type;
	struct list waiting; /* queries */
	struct timer deadline;
	int64_t started_us;
	bool over; /* the deadline has passed: nobody waits any more */
};

/* The channel of an earlier configuration, which has questions open. */
struct retired {
	struct list link;
	struct dns_channel *channel;
};

struct dns {
	struct loop *loop;
	struct dns_config config;
	struct dns_channel *channel; /* NULL: offline */
	struct list retired;
	struct task sweep; /* frees those whose last question is answered: not from inside their callbacks */
	struct dns_cache *cache;
	struct dns_hosts *hosts;
	struct map questions;
	bool closing;
	struct dns_stats stats;
};

static const struct dns_answer unanswered = { .result = DNS_TEMPFAIL, .why = "there was no answer in time" };

int dns_global_init(void)
{
	return ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS ? 0 : -ERR_NOMEM;
}

void dns_global_deinit(void)
{
	ares_library_cleanup();
}

struct dns_config dns_config_default(void)
{
	return (struct dns_config){
		.try_timeout_us = 2 * (int64_t)SECOND_US,
		.tries = 2,
		.deadline_us = 8 * (int64_t)SECOND_US,
		.questions_max = 2000,
		.cache = dns_cache_limits_default(),
	};
}

/* ---- giving answers ------------------------------------------------------------------------------------ */

/* Completes @q with a new reference to @a. */
static void give(struct dns *dns, struct dns_query *q, struct dns_answer *a, bool stale)
{
	list_remove(&q->waiting_);
	q->question_ = NULL;
	q->answer = dns_answer_ref(a);
	q->stale = stale;
	dns->stats.stale += stale;
	op_complete(&q->op, 0);
}

static void give_all(struct dns_question *qn, struct dns_answer *a, bool stale)
{
	for (struct list *it; (it = list_first(&qn->waiting)) != NULL;)
		give(qn->dns, list_entry(it, struct dns_query, waiting_), a, stale);
}

/* The resolver goes. */
static void cancel_all(struct dns_question *qn)
{
	for (struct list *it; (it = list_first(&qn->waiting)) != NULL;) {
		struct dns_query *q = list_entry(it, struct dns_query, waiting_);
		list_remove(&q->waiting_);
		q->question_ = NULL;
		op_complete(&q->op, -ERR_CANCELED);
	}
}

static void count(struct dns *dns, const struct dns_question *qn, const struct dns_answer *a)
{
	const int64_t now_us = loop_now_us(dns->loop), took_us = now_us - qn->started_us;

	if (a->result == DNS_TEMPFAIL) {
		dns->stats.failed++;
		dns->stats.last_failure_us = now_us;
		return;
	}
	dns->stats.latency_us +=
		(took_us - dns->stats.latency_us) / (dns->stats.answered ? LATENCY_WEIGHT : 1);
	dns->stats.answered++;
	dns->stats.last_answer_us = now_us;
}

/* Takes over the caller's reference to @a. */
static void settle(struct dns_question *qn, struct dns_answer *a)
{
	struct dns *dns = qn->dns;
	bool stale = false;

	a->authenticated = a->authenticated && dns->config.trust_ad;
	struct dns_answer *kept = dns_cache_put(dns->cache, a, loop_now_us(dns->loop), &stale);
	give_all(qn, kept, stale);
	dns_answer_unref(&a);
}

/* ---- questions ----------------------------------------------------------------------------------------- */

static void leave(struct dns_question *qn)
{
	map_remove(&qn->dns->questions, &qn->node);
	timer_unset(qn->dns->loop, &qn->deadline);
	qn->over = true;
}

static void on_answered(struct dns_ask *ask, const char *why, struct span msg)
{
	struct dns_question *qn = container_of(ask, struct dns_question, ask);
	struct dns *dns = qn->dns;
	struct dns_answer *a = NULL;
	const bool late = qn->over;

	dns->stats.open--;
	if (!list_empty(&dns->retired) && !dns->closing)
		task_schedule(dns->loop, &dns->sweep);
	if (!late)
		leave(qn);
	if (dns->closing) {
		cancel_all(qn);
		free(qn);
		return;
	}
	if (!why && dns_wire_parse(msg, &qn->name, qn->type, &a) < 0) {
		why = "the DNS server sent something that is not an answer";
		dns->stats.malformed++;
	}
	if (!a)
		a = dns_answer_new_empty(qn->type, dns_name_span(&qn->name), DNS_TEMPFAIL, why);
	/* A failure after the deadline is no news. */
	if (late && a->result == DNS_TEMPFAIL) {
		dns_answer_unref(&a);
	} else {
		count(dns, qn, a);
		settle(qn, a);
	}
	free(qn);
}

static void on_deadline(struct timer *t)
{
	struct dns_question *qn = container_of(t, struct dns_question, deadline);
	struct dns_answer *a = dns_answer_new_empty(qn->type, dns_name_span(&qn->name), DNS_TEMPFAIL,
						    "no DNS server answered in time");

	leave(qn);
	qn->dns->stats.timeouts++;
	count(qn->dns, qn, a);
	settle(qn, a);
}

static struct dns_question *find_question(const struct dns *dns, const struct dns_key *key)
{
	struct map_node *node = map_get(&dns->questions, dns_key_span(key));

	return node ? map_entry(node, struct dns_question, node) : NULL;
}

/* Asks what @q wants to know. It may be answered when this returns, and the question be gone. */
static void open_question(struct dns *dns, struct dns_query *q, enum dns_type type,
			  const struct dns_name *name)
{
	struct dns_question *qn = mem_alloc(sizeof *qn);

	*qn = (struct dns_question){
		.dns = dns, .type = type, .name = *name, .started_us = loop_now_us(dns->loop)
	};
	qn->ask.answered = on_answered;
	qn->key = dns_key_make(type, dns_name_span(name));
	map_put(&dns->questions, &qn->node, dns_key_span(&qn->key));
	list_init(&qn->waiting);
	list_push_back(&qn->waiting, &q->waiting_);
	q->question_ = qn;
	timer_init(&qn->deadline, on_deadline);
	timer_set_in(dns->loop, &qn->deadline, dns->config.deadline_us);
	dns->stats.open++;
	dns->stats.questions++;
	dns_channel_ask(dns->channel, &qn->ask, name, type);
}

/* ---- queries ------------------------------------------------------------------------------------------- */

void dns_query_init(struct dns_query *q, void (*done)(struct op *op))
{
	*q = (struct dns_query){ 0 };
	op_init(&q->op, done);
	list_init(&q->waiting_);
}

void dns_query_deinit(struct dns_query *q)
{
	require(!op_pending(&q->op));
	dns_answer_unref(&q->answer);
}

const struct dns_answer *dns_query_answer(const struct dns_query *q)
{
	return q->answer ? q->answer : &unanswered;
}

/* At its deadline as well: then something old is better than nothing. */
static void cancel(struct op *op)
{
	struct dns_query *q = container_of(op, struct dns_query, op);
	struct dns_question *qn = q->question_;

	if (qn) {
		struct dns *dns = qn->dns;
		struct dns_answer *old = dns_cache_get_stale(dns->cache, qn->type, dns_name_span(&qn->name),
							     loop_now_us(dns->loop));
		if (old) {
			q->answer = dns_answer_ref(old);
			q->stale = true;
			dns->stats.stale++;
		}
		list_remove(&q->waiting_);
		q->question_ = NULL;
	}
	op_complete(op, -ERR_CANCELED);
}

static struct dns_answer *at_once(struct dns *dns, enum dns_type type, struct span name, bool *stale_r)
{
	struct dns_answer *a = dns->hosts ? dns_hosts_get(dns->hosts, type, name) : NULL;

	return a ? a : dns_cache_get(dns->cache, type, name, loop_now_us(dns->loop), stale_r);
}

/* An answer of this query's alone. */
static void give_empty(struct dns *dns, struct dns_query *q, enum dns_type type, struct span name,
		       enum dns_result result, const char *why)
{
	struct dns_answer *a = dns_answer_new_empty(type, span_first(name, DNS_NAME_MAX), result, why);

	give(dns, q, a, false);
	dns_answer_unref(&a);
}

static void resolve(struct dns *dns, struct dns_query *q, enum dns_type type, const struct dns_name *name)
{
	const struct span text = dns_name_span(name);
	const struct dns_key key = dns_key_make(type, text);
	bool stale = false;
	struct dns_answer *a = at_once(dns, type, text, &stale);

	if (a) {
		q->from_cache = true;
		dns->stats.from_cache++;
		give(dns, q, a, stale);
		return;
	}
	if (!dns->channel) {
		give_empty(dns, q, type, text, DNS_NXDOMAIN, NULL);
		return;
	}
	struct dns_question *qn = find_question(dns, &key);
	if (qn) {
		dns->stats.joined++;
		q->question_ = qn;
		list_push_back(&qn->waiting, &q->waiting_);
		return;
	}
	if (dns->stats.open >= dns->config.questions_max) {
		dns->stats.refused++;
		q->answer = dns_answer_new_empty(type, text, DNS_TEMPFAIL, "too many DNS questions are open");
		op_complete(&q->op, -ERR_BUSY);
		return;
	}
	open_question(dns, q, type, name);
}

int dns_query_start(struct dns_query *q, struct dns *dns, struct scope *scope, enum dns_type type,
		    struct span name, int64_t deadline_us)
{
	struct dns_name canonical;
	const char *why;

	dns_query_deinit(q);
	q->from_cache = q->stale = false;
	snprintf(q->what_, sizeof q->what_, "dns %s %.*s", dns_type_name(type),
		 SPAN_ARG(span_first(name, DNS_WHAT_MAX)));
	if (deadline_us <= 0)
		deadline_us = dns->config.deadline_us;
	const int err = op_begin(&q->op, scope, q->what_, deadline_us, cancel);
	if (err < 0)
		return err;
	dns->stats.queries++;
	if (dns_name_parse(name, &canonical, &why) < 0)
		give_empty(dns, q, type, name, DNS_INVALID, why);
	else
		resolve(dns, q, type, &canonical);
	return 0;
}

int dns_query_start_ptr(struct dns_query *q, struct dns *dns, struct scope *scope, const struct ip_addr *addr,
			int64_t deadline_us)
{
	struct dns_name name;

	dns_name_of_addr(addr, &name);
	return dns_query_start(q, dns, scope, DNS_PTR, dns_name_span(&name), deadline_us);
}

const struct dns_answer *dns_cache_peek(struct dns *dns, enum dns_type type, struct span name)
{
	struct dns_name canonical;
	const char *why;
	bool stale = false;

	if (dns_name_parse(name, &canonical, &why) < 0)
		return NULL;
	return at_once(dns, type, dns_name_span(&canonical), &stale);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static void retired_free(struct retired *r)
{
	list_remove(&r->link);
	dns_channel_free(&r->channel);
	free(r);
}

static void sweep(struct task *t)
{
	struct dns *dns = container_of(t, struct dns, sweep);

	list_for_each_safe(it, &dns->retired) {
		struct retired *r = list_entry(it, struct retired, link);
		if (dns_channel_open(r->channel) == 0)
			retired_free(r);
	}
}

static int check_config(const struct dns_config *c, struct errtext *why)
{
	if (c->try_timeout_us < TRY_MIN_US || c->try_timeout_us > 3600 * (int64_t)SECOND_US)
		return errtext_set(why, ERR_INVAL, "the DNS time-out of a try must be between 10 ms and 1 h");
	if (c->tries < 1 || c->tries > TRIES_MAX)
		return errtext_set(why, ERR_INVAL, "the DNS tries must be between 1 and %d", TRIES_MAX);
	if (c->deadline_us <= 0 || c->questions_max == 0)
		return errtext_set(why, ERR_INVAL,
				   "the DNS deadline and the number of open questions must be above 0");
	return 0;
}

static int open_channel(struct loop *loop, const struct dns_config *config, struct dns_channel **channel_r,
			struct errtext *why)
{
	const struct dns_channel_config cc = {
		.servers = config->servers,
		.servers_n = config->servers_n,
		.resolv_conf = config->resolv_conf,
		.try_timeout_us = config->try_timeout_us,
		.tries = config->tries,
		.ask_authenticated = config->trust_ad,
	};

	const int err = check_config(config, why);
	if (err < 0)
		return err;
	*channel_r = config->offline ? NULL : dns_channel_new(loop, &cc, why);
	return config->offline || *channel_r ? 0 : -ERR_INVAL;
}

/* What is borrowed is not kept. */
static void keep_config(struct dns *dns, const struct dns_config *config)
{
	dns->config = *config;
	dns->config.servers = NULL;
	dns->config.resolv_conf = NULL;
	dns->config.hosts = NULL;
	dns_hosts_free(&dns->hosts);
	dns->hosts = config->hosts ? dns_hosts_copy(config->hosts) : NULL;
}

struct dns *dns_new(struct loop *loop, const struct dns_config *config, struct errtext *why)
{
	struct dns_channel *channel;

	if (open_channel(loop, config, &channel, why) < 0)
		return NULL;

	struct dns *dns = mem_alloc(sizeof *dns);
	dns->loop = loop;
	dns->channel = channel;
	dns->cache = dns_cache_new(&config->cache);
	map_init(&dns->questions);
	list_init(&dns->retired);
	task_init(&dns->sweep, sweep);
	keep_config(dns, config);
	return dns;
}

static bool same_servers(const struct dns_channel *a, const struct dns_channel *b)
{
	struct ip_endpoint of_a[DNS_SERVERS_MAX], of_b[DNS_SERVERS_MAX];
	const size_t n = a ? dns_channel_servers(a, of_a) : 0;
	size_t found = 0;

	if (n != (b ? dns_channel_servers(b, of_b) : 0))
		return false;
	for (size_t i = 0; i < n; i++) /* in any order: it may have been turned */
		for (size_t k = 0; k < n; k++)
			if (ip_eq(&of_a[i].addr, &of_b[k].addr) && of_a[i].port == of_b[k].port) {
				found++;
				break;
			}
	return found == n;
}

int dns_reconfigure(struct dns *dns, const struct dns_config *config, struct errtext *why)
{
	struct dns_channel *channel;
	const int err = open_channel(dns->loop, config, &channel, why);

	if (err < 0)
		return err;
	if (!same_servers(dns->channel, channel))
		dns_cache_clear(dns->cache);
	dns_cache_set_limits(dns->cache, &config->cache);
	if (dns->channel) {
		struct retired *r = mem_alloc(sizeof *r);
		r->channel = dns->channel;
		list_push_back(&dns->retired, &r->link);
		task_schedule(dns->loop, &dns->sweep);
	}
	dns->channel = channel;
	keep_config(dns, config);
	return 0;
}

void dns_free(struct dns **dnsp)
{
	struct dns *dns = *dnsp;

	if (!dns)
		return;
	*dnsp = NULL;
	dns->closing = true;
	/* This ends every question. */
	dns_channel_free(&dns->channel);
	list_for_each_safe(it, &dns->retired)
		retired_free(list_entry(it, struct retired, link));
	task_unschedule(&dns->sweep);
	require(dns->stats.open == 0 && dns->questions.n == 0);
	map_deinit(&dns->questions);
	dns_cache_free(&dns->cache);
	dns_hosts_free(&dns->hosts);
	free(dns);
}

int64_t dns_deadline_us(const struct dns *dns)
{
	return dns->config.deadline_us;
}

struct dns_stats dns_stats(const struct dns *dns)
{
	struct dns_stats stats = dns->stats;

	stats.cache_entries = dns_cache_entries(dns->cache);
	stats.cache_bytes = dns_cache_bytes(dns->cache);
	return stats;
}

size_t dns_servers(const struct dns *dns, struct ip_endpoint *servers_r)
{
	return dns->channel ? dns_channel_servers(dns->channel, servers_r) : 0;
}
