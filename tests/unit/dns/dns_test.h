/* dns_test.h - what the tests of the resolver have in common: a loop, a scope, a resolver, and a way to
 * wait. */
#pragma once

#include "dns/dns.h"
#include "name_server.h"
#include "test.h"

struct dns_test {
	struct loop *loop;
	struct scope scope;
	struct name_server *ns; /* NULL: offline */
	struct dns *dns;
	bool scope_closed;
};

enum { MS = 1000, SECOND = 1000 * 1000, TEST_LIMIT = 10 * SECOND };

static inline void test_scope_closed(struct scope *s)
{
	container_of(s, struct dns_test, scope)->scope_closed = true;
}

/* @script NULL: offline. Time-outs are short. */
static inline struct dns_config dns_test_config(void)
{
	struct dns_config config = dns_config_default();

	config.try_timeout_us = 100 * MS;
	config.tries = 2;
	config.deadline_us = 2 * SECOND;
	return config;
}

static inline void dns_test_start(struct dns_test *t, const char *script, struct dns_config config)
{
	struct errtext why = { "" };

	memset(t, 0, sizeof *t);
	t->loop = loop_new();
	loop_set_resident(t->loop, false);
	scope_init(&t->scope, t->loop, test_scope_closed);
	if (script) {
		t->ns = name_server_start(script);
		if (!config.servers_n) {
			config.servers = &t->ns->endpoint;
			config.servers_n = 1;
		}
	} else {
		config.offline = true;
	}
	t->dns = dns_new(t->loop, &config, &why);
	CHECK_STR("", why.s);
	NEED(t->dns != NULL);
}

static inline void test_limit(struct timer *timer)
{
	(void)timer;
	printf("  waited too long\n");
	exit(1);
}

/* Turns of the loop until @op is not pending. */
static inline void dns_test_wait(struct dns_test *t, const struct op *op)
{
	struct timer limit;

	timer_init(&limit, test_limit);
	timer_set_in(t->loop, &limit, TEST_LIMIT);
	while (op_pending(op) && loop_run_once(t->loop, true))
		;
	timer_unset(t->loop, &limit);
	CHECK(!op_pending(op));
}

static inline void test_passed(struct timer *timer)
{
	timer->node.key = 0;
}

static inline void dns_test_sleep(struct dns_test *t, int64_t us)
{
	struct timer timer;

	timer_init(&timer, test_passed);
	timer_set_in(t->loop, &timer, us);
	while (timer.due_us != 0 && loop_run_once(t->loop, true))
		;
}

static inline void dns_test_stop(struct dns_test *t)
{
	dns_free(&t->dns);
	scope_close(&t->scope);
	while (loop_run_once(t->loop, true))
		;
	CHECK(t->scope_closed);
	loop_free(&t->loop);
	name_server_stop(&t->ns);
}

static inline void nothing_done(struct op *op)
{
	(void)op;
}

/* Asks and waits. The query must be initialised; it is deinited by whoever asked. */
static inline const struct dns_answer *dns_test_ask(struct dns_test *t, struct dns_query *q,
						    enum dns_type type, const char *name)
{
	CHECK_INT(0, dns_query_start(q, t->dns, &t->scope, type, span_of(name), 0));
	dns_test_wait(t, &q->op);
	return dns_query_answer(q);
}
