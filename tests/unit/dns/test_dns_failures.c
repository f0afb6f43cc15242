#include "dns_test.h"

#include <pthread.h>

static void bed(struct dns_test *t, const char *script)
{
	dns_test_start(t, script, dns_test_config());
}

static void errors_are_temporary_and_remembered_for_seconds(void)
{
	static const struct {
		const char *word, *why;
	} cases[] = {
		{ "* SERVFAIL\n", "every DNS server failed, refused or could not be reached" },
		{ "* REFUSED\n", "every DNS server failed, refused or could not be reached" },
		{ "* DROP\n", "no DNS server answered in time" },
		{ "* GARBAGE\n", "the DNS server sent something that is not an answer" },
		{ "* ECHO\n", "the DNS server sent something that is not an answer" },
		{ "* REFERRAL\n", "the DNS server does not resolve names for us" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct dns_test t;
		struct dns_query q;

		bed(&t, cases[i].word);
		dns_query_init(&q, nothing_done);
		const struct dns_answer *a = dns_test_ask(&t, &q, DNS_MX, "example.org");
		CHECK_INT(0, q.op.status);
		CHECK_INT(DNS_TEMPFAIL, a->result);
		CHECK_STR(cases[i].why, a->why);
		const int asked = name_server_asked(t.ns, NULL, NULL);
		a = dns_test_ask(&t, &q, DNS_MX, "example.org");
		CHECK_INT(DNS_TEMPFAIL, a->result);
		CHECK(q.from_cache);
		CHECK_INT(asked, name_server_asked(t.ns, NULL, NULL));

		name_server_script(t.ns, "example.org MX 10 mx.example.org\n");
		loop_clock_advance(t.loop, 6 * SECOND);
		CHECK_INT(DNS_OK, dns_test_ask(&t, &q, DNS_MX, "example.org")->result);
		dns_query_deinit(&q);
		dns_test_stop(&t);
	}
}

static void a_dead_server_holds_nobody_beyond_the_deadline(void)
{
	struct dns_config config = dns_test_config();
	struct dns_test t;
	struct dns_query q;

	config.try_timeout_us = 60 * (int64_t)SECOND;
	config.deadline_us = 50 * MS;
	dns_test_start(&t, "* DROP\n", config);
	dns_query_init(&q, nothing_done);
	const int64_t started = loop_now_us(t.loop);
	CHECK_INT(0, dns_query_start(&q, t.dns, &t.scope, DNS_A, SPAN("a.example"), 30 * (int64_t)SECOND));
	dns_test_wait(&t, &q.op);
	CHECK(loop_now_us(t.loop) - started < SECOND);
	CHECK_INT(DNS_TEMPFAIL, dns_query_answer(&q)->result);
	CHECK_STR("no DNS server answered in time", dns_query_answer(&q)->why);
	CHECK_INT(1, dns_stats(t.dns).timeouts);
	CHECK_INT(1, dns_stats(t.dns).open); /* c-ares still has it */
	dns_query_deinit(&q);
	dns_test_stop(&t);
}

static void a_querys_own_deadline_leaves_the_others_alone(void)
{
	struct dns_test t;
	struct dns_query hasty, patient;

	bed(&t, "slow.example DELAY 80\nslow.example A 192.0.2.1\n");
	dns_query_init(&hasty, nothing_done);
	dns_query_init(&patient, nothing_done);
	CHECK_INT(0, dns_query_start(&hasty, t.dns, &t.scope, DNS_A, SPAN("slow.example"), 10 * MS));
	CHECK_INT(0, dns_query_start(&patient, t.dns, &t.scope, DNS_A, SPAN("slow.example"), 0));
	dns_test_wait(&t, &hasty.op);
	CHECK_INT(-ERR_TIMEOUT, hasty.op.status);
	CHECK_INT(DNS_TEMPFAIL, dns_query_answer(&hasty)->result);
	CHECK_STR("there was no answer in time", dns_query_answer(&hasty)->why);
	CHECK(op_pending(&patient.op));
	dns_test_wait(&t, &patient.op);
	CHECK_INT(DNS_OK, dns_query_answer(&patient)->result);
	/* And whoever was hasty gets it now. */
	CHECK_INT(DNS_OK, dns_test_ask(&t, &hasty, DNS_A, "slow.example")->result);
	CHECK(hasty.from_cache);
	dns_query_deinit(&hasty);
	dns_query_deinit(&patient);
	dns_test_stop(&t);
}

static void a_late_answer_is_not_lost(void)
{
	struct dns_config config = dns_test_config();
	struct dns_test t;
	struct dns_query q;

	config.deadline_us = 20 * MS;
	config.cache.tempfail_ttl_us = 1 * MS;
	dns_test_start(&t, "slow.example DELAY 60\nslow.example A 192.0.2.1\n", config);
	dns_query_init(&q, nothing_done);
	CHECK_INT(DNS_TEMPFAIL, dns_test_ask(&t, &q, DNS_A, "slow.example")->result);
	dns_test_sleep(&t, 100 * MS);
	CHECK_INT(DNS_OK, dns_test_ask(&t, &q, DNS_A, "slow.example")->result);
	CHECK(q.from_cache);
	dns_query_deinit(&q);
	dns_test_stop(&t);
}

static void cancelled_queries_are_gone_at_once(void)
{
	struct dns_test t;
	struct dns_query q, other;

	bed(&t, "slow.example DELAY 60\nslow.example A 192.0.2.1\n");
	dns_query_init(&q, nothing_done);
	dns_query_init(&other, nothing_done);
	CHECK_INT(0, dns_query_start(&q, t.dns, &t.scope, DNS_A, SPAN("slow.example"), 0));
	CHECK_INT(0, dns_query_start(&other, t.dns, &t.scope, DNS_A, SPAN("slow.example"), 0));
	op_cancel(&q.op);
	CHECK(op_pending(&q.op)); /* done() comes later */
	dns_test_wait(&t, &q.op);
	CHECK_INT(-ERR_CANCELED, q.op.status);
	dns_query_deinit(&q);
	memset(&q, 0xff, sizeof q); /* nobody may look at it any more */
	dns_test_wait(&t, &other.op);
	CHECK_INT(DNS_OK, dns_query_answer(&other)->result);
	dns_query_deinit(&other);
	dns_test_stop(&t);
}

static void closing_the_scope_cancels(void)
{
	struct dns_test t;
	struct dns_query q[3];

	bed(&t, "* DROP\na.example A 192.0.2.1\n");
	for (int i = 0; i < 3; i++)
		dns_query_init(&q[i], nothing_done);
	CHECK_INT(0, dns_query_start(&q[0], t.dns, &t.scope, DNS_A, SPAN("x.example"), 0));
	CHECK_INT(0, dns_query_start(&q[1], t.dns, &t.scope, DNS_A, SPAN("not a name"),
				     0)); /* is completed already */
	scope_close(&t.scope);
	CHECK_INT(-ERR_CANCELED, dns_query_start(&q[2], t.dns, &t.scope, DNS_A, SPAN("a.example"), 0));
	CHECK(!op_pending(&q[2].op));
	dns_test_wait(&t, &q[0].op);
	dns_test_wait(&t, &q[1].op);
	CHECK_INT(-ERR_CANCELED, q[0].op.status);
	CHECK_INT(0, q[1].op.status);
	for (int i = 0; i < 3; i++)
		dns_query_deinit(&q[i]);
	dns_test_stop(&t);
}

static void freeing_the_resolver_cancels(void)
{
	struct dns_test t;
	struct dns_query q[4];

	bed(&t, "* DROP\n");
	for (int i = 0; i < 4; i++) {
		dns_query_init(&q[i], nothing_done);
		CHECK_INT(0, dns_query_start(&q[i], t.dns, &t.scope, i % 2 ? DNS_A : DNS_MX,
					     SPAN("a.example"), 0));
	}
	dns_free(&t.dns);
	for (int i = 0; i < 4; i++) {
		CHECK(op_pending(&q[i].op));
		op_cancel(&q[i].op); /* harmless */
	}
	for (int i = 0; i < 4; i++) {
		dns_test_wait(&t, &q[i].op);
		CHECK_INT(-ERR_CANCELED, q[i].op.status);
		CHECK_INT(DNS_TEMPFAIL, dns_query_answer(&q[i])->result);
		dns_query_deinit(&q[i]);
	}
	dns_test_stop(&t);
}

static void open_questions_are_limited(void)
{
	struct dns_config config = dns_test_config();
	struct dns_test t;
	struct dns_query q[4];
	static const char *const names[] = { "a.example", "b.example", "c.example", "a.example" };

	config.questions_max = 2;
	dns_test_start(&t, "* DELAY 30\n* A 192.0.2.1\n", config);
	for (int i = 0; i < 4; i++) {
		dns_query_init(&q[i], nothing_done);
		CHECK_INT(0, dns_query_start(&q[i], t.dns, &t.scope, DNS_A, span_of(names[i]), 0));
	}
	for (int i = 0; i < 4; i++)
		dns_test_wait(&t, &q[i].op);
	CHECK_INT(DNS_OK, dns_query_answer(&q[0])->result);
	CHECK_INT(DNS_OK, dns_query_answer(&q[1])->result);
	CHECK_INT(-ERR_BUSY, q[2].op.status);
	CHECK_INT(DNS_TEMPFAIL, dns_query_answer(&q[2])->result);
	CHECK_STR("too many DNS questions are open", dns_query_answer(&q[2])->why);
	CHECK_INT(DNS_OK, dns_query_answer(&q[3])->result); /* joined the first */
	/* It was not put into the cache. */
	CHECK_INT(DNS_OK, dns_test_ask(&t, &q[2], DNS_A, "c.example")->result);
	for (int i = 0; i < 4; i++)
		dns_query_deinit(&q[i]);
	dns_test_stop(&t);
}

static void old_records_stand_in_when_nobody_answers(void)
{
	struct dns_test t;
	struct dns_query q;

	bed(&t, "a.example 10 A 192.0.2.1\n");
	dns_query_init(&q, nothing_done);
	dns_test_ask(&t, &q, DNS_A, "a.example");
	loop_clock_advance(t.loop, 60 * (int64_t)SECOND);
	name_server_script(t.ns, "* SERVFAIL\n");
	const struct dns_answer *a = dns_test_ask(&t, &q, DNS_A, "a.example");
	CHECK_INT(DNS_OK, a->result);
	CHECK(q.stale && !q.from_cache);
	dns_test_ask(&t, &q, DNS_A, "a.example"); /* at once */
	CHECK(q.stale && q.from_cache);
	CHECK_INT(2, dns_stats(t.dns).stale);

	/* As well for one whose own deadline is too short to see the failure. */
	loop_clock_advance(t.loop, 60 * (int64_t)SECOND);
	name_server_script(t.ns, "* DROP\n");
	CHECK_INT(0, dns_query_start(&q, t.dns, &t.scope, DNS_A, SPAN("a.example"), 10 * MS));
	dns_test_wait(&t, &q.op);
	CHECK_INT(-ERR_TIMEOUT, q.op.status);
	CHECK_INT(DNS_OK, dns_query_answer(&q)->result);
	CHECK(q.stale);

	/* But not for ever. */
	loop_clock_advance(t.loop, 7 * 3600 * (int64_t)SECOND);
	name_server_script(t.ns, "* SERVFAIL\n");
	CHECK_INT(DNS_TEMPFAIL, dns_test_ask(&t, &q, DNS_A, "a.example")->result);
	dns_query_deinit(&q);
	dns_test_stop(&t);
}

/* ---- several loops ------------------------------------------------------------------------------------- */

struct several {
	struct ip_endpoint server;
	/* All are done before the first loop goes: libuv closes its descriptors behind the back of
	 * ThreadSanitizer, which takes their next use by another thread for a race. */
	pthread_barrier_t done;
};

static void *ask_many(void *arg)
{
	struct several *several = arg;
	struct dns_config config = dns_test_config();
	struct dns_test t;

	config.servers = &several->server;
	config.servers_n = 1;
	memset(&t, 0, sizeof t);
	t.loop = loop_new();
	loop_set_resident(t.loop, false);
	scope_init(&t.scope, t.loop, test_scope_closed);
	t.dns = dns_new(t.loop, &config, NULL);
	uintptr_t wrong = 0;
	for (int round = 0; round < 30; round++) {
		struct dns_query q[5];
		for (int i = 0; i < 5; i++) {
			char name[32];
			snprintf(name, sizeof name, "n%d.example", round * 3 + i);
			dns_query_init(&q[i], nothing_done);
			dns_query_start(&q[i], t.dns, &t.scope, DNS_A, span_of(name), 0);
		}
		for (int i = 0; i < 5; i++) {
			while (op_pending(&q[i].op) && loop_run_once(t.loop, true))
				;
			wrong += dns_query_answer(&q[i])->result != DNS_OK;
			dns_query_deinit(&q[i]);
		}
	}
	pthread_barrier_wait(&several->done);
	dns_free(&t.dns);
	scope_close(&t.scope);
	while (loop_run_once(t.loop, true))
		;
	loop_free(&t.loop);
	return (void *)wrong;
}

static void every_loop_has_its_own(void)
{
	struct name_server *ns = name_server_start("* A 192.0.2.1\n");
	struct several several = { .server = ns->endpoint };
	pthread_t threads[4];

	pthread_barrier_init(&several.done, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, ask_many, &several);
	for (int i = 0; i < 4; i++) {
		void *wrong = NULL;
		pthread_join(threads[i], &wrong);
		CHECK_INT(0, (uintptr_t)wrong);
	}
	pthread_barrier_destroy(&several.done);
	name_server_stop(&ns);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		TEST(errors_are_temporary_and_remembered_for_seconds),
		TEST(a_dead_server_holds_nobody_beyond_the_deadline),
		TEST(a_querys_own_deadline_leaves_the_others_alone),
		TEST(a_late_answer_is_not_lost),
		TEST(cancelled_queries_are_gone_at_once),
		TEST(closing_the_scope_cancels),
		TEST(freeing_the_resolver_cancels),
		TEST(open_questions_are_limited),
		TEST(old_records_stand_in_when_nobody_answers),
		TEST(every_loop_has_its_own),
	};

	if (dns_global_init() < 0)
		return 1;
	const int failed = test_main(tests, sizeof tests / sizeof *tests, argc, argv);
	dns_global_deinit();
	return failed;
}
