#include "dns_test.h"

static const char zone[] = "example.org 60 MX 10 mx1.example.org\n"
			   "example.org 30 MX 20 mx2.example.org\n"
			   "mx1.example.org 300 A 192.0.2.1\n"
			   "mx1.example.org 300 AAAA 2001:db8::1\n"
			   "www.example.org 20 CNAME mx1.example.org\n"
			   "example.org TXT v=spf1 -all\n"
			   "1.2.0.192.in-addr.arpa PTR mx1.example.org\n"
			   "slow.example.org DELAY 60\n"
			   "slow.example.org A 192.0.2.9\n";

static void bed(struct dns_test *t, const char *script)
{
	dns_test_start(t, script, dns_test_config());
}

static void all_types_are_answered(void)
{
	struct dns_test t;
	struct dns_query q;
	const struct dns_answer *a;

	bed(&t, zone);
	dns_query_init(&q, nothing_done);
	a = dns_test_ask(&t, &q, DNS_MX, "Example.org");
	CHECK_INT(0, q.op.status);
	CHECK_INT(DNS_OK, a->result);
	CHECK_INT(2, a->n);
	CHECK_INT(30, a->ttl_s);
	CHECK(!q.from_cache && !q.stale);
	a = dns_test_ask(&t, &q, DNS_A, "www.example.org");
	CHECK_INT(1, a->n);
	CHECK_INT(20, a->ttl_s);
	a = dns_test_ask(&t, &q, DNS_AAAA, "mx1.example.org.");
	CHECK_INT(16, a->record[0].addr.len);
	a = dns_test_ask(&t, &q, DNS_TXT, "example.org");
	CHECK_SPAN("v=spf1 -all", a->record[0].data);
	a = dns_test_ask(&t, &q, DNS_A, "example.org");
	CHECK_INT(DNS_NODATA, a->result);
	CHECK_INT(NS_NEGATIVE_TTL, a->ttl_s);
	a = dns_test_ask(&t, &q, DNS_A, "nothing.example.org");
	CHECK_INT(DNS_NXDOMAIN, a->result);

	struct ip_addr addr;
	NEED(ip_parse(SPAN("192.0.2.1"), &addr));
	CHECK_INT(0, dns_query_start_ptr(&q, t.dns, &t.scope, &addr, 0));
	CHECK_STR("dns PTR 1.2.0.192.in-addr.arpa", q.op.what);
	dns_test_wait(&t, &q.op);
	CHECK_SPAN("mx1.example.org", dns_query_answer(&q)->record[0].data);
	dns_query_deinit(&q);
	CHECK_INT(7, dns_stats(t.dns).answered);
	CHECK_INT(0, dns_stats(t.dns).open);
	dns_test_stop(&t);
}

struct counted {
	struct dns_query q;
	bool inside_start; /* done() may not come */
	unsigned dones;
};

static void count_done(struct op *op)
{
	struct counted *c = container_of(op, struct counted, q.op);

	CHECK(!c->inside_start);
	c->dones++;
}

static void start_counted(struct dns_test *t, struct counted *c, const char *name)
{
	c->inside_start = true;
	CHECK_INT(0, dns_query_start(&c->q, t->dns, &t->scope, DNS_A, span_of(name), 0));
	c->inside_start = false;
	CHECK(op_pending(&c->q.op));
}

static void never_from_inside_start_and_once(void)
{
	static const char *const names[] = { "mx1.example.org", "mx1.example.org", "not a name", "" };
	struct dns_test t;
	struct counted c = { 0 };

	bed(&t, zone);
	dns_query_init(&c.q, count_done);
	for (unsigned i = 0; i < 4; i++) { /* asked, cached, invalid twice */
		start_counted(&t, &c, names[i]);
		dns_test_wait(&t, &c.q.op);
		CHECK_INT(i + 1, c.dones);
	}
	CHECK_INT(DNS_INVALID, dns_query_answer(&c.q)->result);
	CHECK_STR("the name is empty", dns_query_answer(&c.q)->why);
	dns_query_deinit(&c.q);
	dns_test_stop(&t);
}

static void the_cache_answers_until_the_ttl_is_over(void)
{
	struct dns_test t;
	struct dns_query q;

	bed(&t, zone);
	dns_query_init(&q, nothing_done);
	CHECK(dns_cache_peek(t.dns, DNS_A, SPAN("mx1.example.org")) == NULL);
	dns_test_ask(&t, &q, DNS_A, "mx1.example.org");
	dns_test_ask(&t, &q, DNS_A, "MX1.example.org.");
	CHECK(q.from_cache && !q.stale);
	CHECK_INT(1, name_server_asked(t.ns, "mx1.example.org", "A"));
	const struct dns_answer *peeked = dns_cache_peek(t.dns, DNS_A, SPAN("Mx1.example.org"));
	CHECK(peeked == dns_query_answer(&q)); /* no copies */
	CHECK(dns_cache_peek(t.dns, DNS_A, SPAN("not a name")) == NULL);

	name_server_script(t.ns, "mx1.example.org A 192.0.2.77\n");
	loop_clock_advance(t.loop, 299 * (int64_t)SECOND);
	dns_test_ask(&t, &q, DNS_A, "mx1.example.org");
	CHECK(q.from_cache);
	loop_clock_advance(t.loop, 2 * SECOND);
	const struct dns_answer *a = dns_test_ask(&t, &q, DNS_A, "mx1.example.org");
	CHECK(!q.from_cache);
	CHECK_INT(77, a->record[0].addr.b[3]);

	dns_test_ask(&t, &q, DNS_A, "nothing.example.org");
	dns_test_ask(&t, &q, DNS_A, "nothing.example.org");
	CHECK_INT(1, name_server_asked(t.ns, "nothing.example.org", "A"));
	loop_clock_advance(t.loop, (NS_NEGATIVE_TTL + 1) * (int64_t)SECOND);
	dns_test_ask(&t, &q, DNS_A, "nothing.example.org");
	CHECK_INT(2, name_server_asked(t.ns, "nothing.example.org", "A"));
	dns_query_deinit(&q);
	dns_test_stop(&t);
}

static void an_answer_outlives_its_cache(void)
{
	struct dns_test t;
	struct dns_query q;

	bed(&t, zone);
	dns_query_init(&q, nothing_done);
	dns_test_ask(&t, &q, DNS_A, "mx1.example.org");
	struct dns_answer *kept = dns_answer_ref(q.answer);
	dns_query_deinit(&q);
	dns_test_stop(&t);
	CHECK_INT(1, kept->record[0].addr.b[3]);
	dns_answer_unref(&kept);
}

static void one_question_for_many(void)
{
	enum { N = 200 };
	struct dns_test t;
	struct counted c[N] = { 0 };

	bed(&t, zone);
	for (int i = 0; i < N; i++) {
		dns_query_init(&c[i].q, count_done);
		start_counted(&t, &c[i], i % 2 ? "slow.example.org" : "SLOW.example.org.");
	}
	for (int i = 0; i < N; i++)
		dns_test_wait(&t, &c[i].q.op);
	for (int i = 0; i < N; i++) {
		CHECK_INT(1, c[i].dones);
		CHECK(c[i].q.answer == c[0].q.answer);
		CHECK_INT(DNS_OK, c[i].q.answer->result);
	}
	for (int i = 0; i < N; i++)
		dns_query_deinit(&c[i].q);
	CHECK_INT(1, name_server_asked(t.ns, "slow.example.org", "A"));
	CHECK_INT(N - 1, dns_stats(t.dns).joined);
	CHECK_INT(1, dns_stats(t.dns).questions);
	dns_test_stop(&t);
}

static void large_answers_come_over_tcp(void)
{
	struct dns_test t;
	char script[4000] = "big.example.org TXT start\nbig.example.org CUT\n";
	struct dns_query q;

	for (int i = 0; i < 60; i++)
		snprintf(script + strlen(script), sizeof script - strlen(script),
			 "big.example.org TXT record %d of many, so that it is long\n", i);
	bed(&t, script);
	dns_query_init(&q, nothing_done);
	const struct dns_answer *a = dns_test_ask(&t, &q, DNS_TXT, "big.example.org");
	CHECK_INT(61, a->n);
	CHECK(name_server_last(t.ns).tcp);
	dns_query_deinit(&q);
	dns_test_stop(&t);
}

static void static_answers_come_first(void)
{
	struct dns_config config = dns_test_config();
	struct dns_hosts *hosts = dns_hosts_new();
	struct errtext why;
	struct dns_test t;
	struct dns_query q;

	CHECK_INT(0, dns_hosts_add(hosts, SPAN("mx1.example.org"), DNS_A, SPAN("198.51.100.1"), &why));
	config.hosts = hosts;
	dns_test_start(&t, zone, config);
	dns_hosts_free(&hosts); /* it has a copy */
	dns_query_init(&q, nothing_done);
	const struct dns_answer *a = dns_test_ask(&t, &q, DNS_A, "mx1.example.org");
	CHECK_INT(198, a->record[0].addr.b[0]);
	CHECK(q.from_cache);
	a = dns_test_ask(&t, &q, DNS_AAAA, "mx1.example.org");
	CHECK_INT(DNS_NODATA, a->result);
	CHECK(dns_cache_peek(t.dns, DNS_A, SPAN("mx1.example.org")) != NULL);
	CHECK_INT(0, name_server_asked(t.ns, NULL, NULL));
	a = dns_test_ask(&t, &q, DNS_MX, "example.org");
	CHECK_INT(DNS_OK, a->result);
	dns_query_deinit(&q);
	dns_test_stop(&t);
}

static void offline_nothing_exists(void)
{
	struct dns_test t;
	struct ip_endpoint servers[8];
	struct dns_query q;

	bed(&t, NULL);
	dns_query_init(&q, nothing_done);
	CHECK_INT(DNS_NXDOMAIN, dns_test_ask(&t, &q, DNS_MX, "example.org")->result);
	CHECK_INT(0, dns_servers(t.dns, servers));
	dns_query_deinit(&q);
	dns_test_stop(&t);
}

static void the_servers_word_is_taken_only_when_configured(void)
{
	static const char signed_zone[] = "mx1.example.org A 192.0.2.1\nmx1.example.org AD\n";
	struct dns_config config = dns_test_config();
	struct dns_test t;
	struct dns_query q;

	dns_query_init(&q, nothing_done);
	for (int trust = 0; trust < 2; trust++) {
		config.trust_ad = trust;
		dns_test_start(&t, signed_zone, config);
		CHECK_INT(trust, dns_test_ask(&t, &q, DNS_A, "mx1.example.org")->authenticated);
		dns_query_deinit(&q);
		dns_test_stop(&t);
	}
}

static void reconfiguration_leaves_open_questions_alone(void)
{
	struct name_server *other = name_server_start("mx1.example.org A 198.51.100.9\n");
	struct dns_config config = dns_test_config();
	struct dns_test t;
	struct dns_query open, q;
	struct errtext why = { "" };

	bed(&t, zone);
	dns_query_init(&open, nothing_done);
	dns_query_init(&q, nothing_done);
	dns_test_ask(&t, &q, DNS_A, "mx1.example.org");
	CHECK_INT(0, dns_query_start(&open, t.dns, &t.scope, DNS_A, SPAN("slow.example.org"), 0));

	config.tries = 0;
	CHECK_INT(-ERR_INVAL, dns_reconfigure(t.dns, &config, &why)); /* nothing changes */
	CHECK(dns_cache_peek(t.dns, DNS_A, SPAN("mx1.example.org")) != NULL);
	config = dns_test_config();
	config.servers = &t.ns->endpoint;
	config.servers_n = 1;
	CHECK_INT(0, dns_reconfigure(t.dns, &config, &why)); /* the same server: what is known stays */
	CHECK(dns_cache_peek(t.dns, DNS_A, SPAN("mx1.example.org")) != NULL);
	config.servers = &other->endpoint;
	CHECK_INT(0, dns_reconfigure(t.dns, &config, &why));
	CHECK(dns_cache_peek(t.dns, DNS_A, SPAN("mx1.example.org")) == NULL);
	CHECK_INT(198, dns_test_ask(&t, &q, DNS_A, "mx1.example.org")->record[0].addr.b[0]);
	CHECK(op_pending(&open.op));
	dns_test_wait(&t, &open.op);
	CHECK_INT(9, dns_query_answer(&open)->record[0].addr.b[3]); /* from the first server */

	/* And with a question open on a channel that is gone, the resolver can go. */
	config.offline = true;
	name_server_script(other, "* DROP\n");
	CHECK_INT(0, dns_query_start(&open, t.dns, &t.scope, DNS_A, SPAN("a.example.org"), 0));
	CHECK_INT(0, dns_reconfigure(t.dns, &config, &why));
	CHECK_INT(DNS_NXDOMAIN, dns_test_ask(&t, &q, DNS_A, "b.example.org")->result);
	dns_free(&t.dns);
	dns_test_wait(&t, &open.op);
	CHECK_INT(-ERR_CANCELED, open.op.status);
	dns_query_deinit(&open);
	dns_query_deinit(&q);
	dns_test_stop(&t);
	name_server_stop(&other);
}

static void wrong_configurations_are_refused(void)
{
	struct loop *loop = loop_new();
	struct errtext why = { "" };
	struct dns_config config = dns_config_default();

	config.try_timeout_us = 0;
	CHECK(dns_new(loop, &config, &why) == NULL);
	CHECK_STR("the DNS time-out of a try must be between 10 ms and 1 h", why.s);
	config = dns_config_default();
	config.tries = 0;
	CHECK(dns_new(loop, &config, &why) == NULL);
	config = dns_config_default();
	config.questions_max = 0;
	CHECK(dns_new(loop, &config, &why) == NULL);
	struct ip_endpoint nine[9] = { 0 };
	config = dns_config_default();
	config.servers = nine;
	config.servers_n = 9;
	CHECK(dns_new(loop, &config, &why) == NULL);
	CHECK_STR("more than 8 DNS servers", why.s);
	loop_free(&loop);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		TEST(all_types_are_answered),
		TEST(never_from_inside_start_and_once),
		TEST(the_cache_answers_until_the_ttl_is_over),
		TEST(an_answer_outlives_its_cache),
		TEST(one_question_for_many),
		TEST(large_answers_come_over_tcp),
		TEST(static_answers_come_first),
		TEST(offline_nothing_exists),
		TEST(the_servers_word_is_taken_only_when_configured),
		TEST(reconfiguration_leaves_open_questions_alone),
		TEST(wrong_configurations_are_refused),
	};

	if (dns_global_init() < 0)
		return 1;
	const int failed = test_main(tests, sizeof tests / sizeof *tests, argc, argv);
	dns_global_deinit();
	return failed;
}
