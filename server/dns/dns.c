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

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "dns/dns_key.h"
#include "dns/dns_priv.h"
#include "dns/dns_wire.h"

enum { LATENCY_WEIGHT = 8 };

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

static const struct dns_answer unanswered = { .result = DNS_TEMPFAIL, .why = "there was no answer in time" };

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
