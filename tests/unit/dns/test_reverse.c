#include "dns/reverse.h"

#include "dns_test.h"

struct bed {
	struct dns_test t;
	struct reverse r;
};

static void bed_start(struct bed *b, const char *script)
{
	struct dns_config config = dns_test_config();

	config.try_timeout_us = 30 * MS;
	dns_test_start(&b->t, script, config);
	reverse_init(&b->r, nothing_done);
}

static void bed_stop(struct bed *b)
{
	reverse_deinit(&b->r);
	dns_test_stop(&b->t);
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr = { 0 };

	CHECK(ip_parse(span_of(text), &addr));
	return addr;
}

static void look_up(struct bed *b, const char *addr)
{
	const struct ip_addr a = addr_of(addr);

	CHECK_INT(0, reverse_start(&b->r, b->t.dns, &b->t.scope, &a, 0));
	CHECK(op_pending(&b->r.op));
	dns_test_wait(&b->t, &b->r.op);
}

static void expect(struct bed *b, const char *addr, enum reverse_verdict verdict, const char *name,
		   const char *why)
{
	look_up(b, addr);
	if (b->r.verdict != verdict)
		printf("  %s:\n", addr);
	CHECK_STR(reverse_verdict_name(verdict), reverse_verdict_name(b->r.verdict));
	CHECK_SPAN(name, b->r.name);
	CHECK_STR(why, b->r.why.s);
}

/* match, no PTR, a PTR whose name is nothing, an A that is another, SERVFAIL in either step, several
 * PTRs. */
static const char campus[] = "1.2.0.192.in-addr.arpa 60 PTR Copier1.bio.example.edu\n"
			     "copier1.bio.example.edu 40 A 192.0.2.1\n"
			     "3.2.0.192.in-addr.arpa PTR gone.example.edu\n"
			     "4.2.0.192.in-addr.arpa PTR moved.example.edu\n"
			     "moved.example.edu A 192.0.2.99\n"
			     "5.2.0.192.in-addr.arpa SERVFAIL\n"
			     "6.2.0.192.in-addr.arpa PTR broken.example.edu\n"
			     "broken.example.edu SERVFAIL\n"
			     "7.2.0.192.in-addr.arpa PTR moved.example.edu\n"
			     "7.2.0.192.in-addr.arpa PTR broken.example.edu\n"
			     "7.2.0.192.in-addr.arpa PTR first.example.edu\n"
			     "7.2.0.192.in-addr.arpa PTR second.example.edu\n"
			     "first.example.edu A 192.0.2.70\n"
			     "first.example.edu A 192.0.2.7\n"
			     "second.example.edu A 192.0.2.7\n"
			     "8.2.0.192.in-addr.arpa NODATA\n"
			     "9.2.0.192.in-addr.arpa PTR 192.0.2.9\n"
			     "10.2.0.192.in-addr.arpa PTR moved.example.edu\n"
			     "10.2.0.192.in-addr.arpa PTR broken.example.edu\n"
			     "11.2.0.192.in-addr.arpa PTR v6only.example.edu\n"
			     "v6only.example.edu AAAA 2001:db8::11\n"
			     "1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
			     " PTR v6only.example.edu\n"
			     "12.2.0.192.in-addr.arpa CNAME 12.0-15.2.0.192.in-addr.arpa\n"
			     "12.0-15.2.0.192.in-addr.arpa PTR delegated.example.edu\n"
			     "delegated.example.edu CNAME real.example.edu\n"
			     "real.example.edu A 192.0.2.12\n";

static void the_six_cases(void)
{
	struct bed b;

	bed_start(&b, campus);
	expect(&b, "192.0.2.1", REVERSE_PASS, "copier1.bio.example.edu", "");
	CHECK_INT(40, b.r.ttl_s);
	CHECK(!b.r.stale && !b.r.more_names);
	CHECK_INT(0, b.r.op.status);
	expect(&b, "192.0.2.2", REVERSE_NO_PTR, "", "192.0.2.2 has no name (no PTR record)");
	expect(&b, "192.0.2.3", REVERSE_MISMATCH, "gone.example.edu",
	       "the name of 192.0.2.3 is gone.example.edu, which has no A record");
	expect(&b, "192.0.2.4", REVERSE_MISMATCH, "moved.example.edu",
	       "the name of 192.0.2.4 is moved.example.edu, whose A records do not hold that address");
	expect(&b, "192.0.2.5", REVERSE_TEMPERROR, "",
	       "the name (PTR record) of 192.0.2.5 could not be learned: every DNS server failed, "
	       "refused or could not be reached");
	expect(&b, "192.0.2.6", REVERSE_TEMPERROR, "broken.example.edu",
	       "the A records of broken.example.edu could not be learned: every DNS server failed, "
	       "refused or could not be reached");
	expect(&b, "192.0.2.7", REVERSE_PASS, "first.example.edu", "");
	NEED(b.r.n == 4);
	CHECK_INT(REVERSE_NAME_OTHER_ADDRESS, b.r.names[0].state);
	CHECK_INT(REVERSE_NAME_UNKNOWN, b.r.names[1].state);
	CHECK_INT(REVERSE_NAME_CONFIRMED, b.r.names[2].state);
	CHECK_INT(REVERSE_NAME_CONFIRMED, b.r.names[3].state);
	CHECK(reverse_confirms(&b.r, SPAN("SECOND.example.edu.")));
	CHECK(reverse_confirms(&b.r, SPAN("first.example.edu")));
	CHECK(!reverse_confirms(&b.r, SPAN("moved.example.edu")));
	CHECK(!reverse_confirms(&b.r, SPAN("broken.example.edu")));
	CHECK(!reverse_confirms(&b.r, SPAN("")));
	bed_stop(&b);
}

static void and_the_odd_ones(void)
{
	struct bed b;

	bed_start(&b, campus);
	expect(&b, "192.0.2.8", REVERSE_NO_PTR, "", "192.0.2.8 has no name (no PTR record)");
	expect(&b, "192.0.2.9", REVERSE_MISMATCH, "192.0.2.9",
	       "the name of 192.0.2.9 is 192.0.2.9, which cannot be a host's");
	/* A wrong one and one that is not known: not known. */
	expect(&b, "192.0.2.10", REVERSE_TEMPERROR, "moved.example.edu",
	       "the A records of broken.example.edu could not be learned: every DNS server failed, "
	       "refused or could not be reached");
	/* Another family's addresses confirm nothing. */
	expect(&b, "192.0.2.11", REVERSE_MISMATCH, "v6only.example.edu",
	       "the name of 192.0.2.11 is v6only.example.edu, which has no A record");
	expect(&b, "2001:db8::11", REVERSE_PASS, "v6only.example.edu", "");
	/* RFC 2317, and an alias on the way back. */
	expect(&b, "192.0.2.12", REVERSE_PASS, "delegated.example.edu", "");
	bed_stop(&b);
}

static void names_are_limited(void)
{
	struct bed b;
	char script[4000] = "15.2.0.192.in-addr.arpa PTR n0.example\n";

	for (int i = 0; i < 15; i++) /* n0 twice */
		snprintf(script + strlen(script), sizeof script - strlen(script),
			 "15.2.0.192.in-addr.arpa PTR n%d.example\nn%d.example A 192.0.2.99\n", i, i);
	bed_start(&b, script);
	look_up(&b, "192.0.2.15");
	CHECK_INT(REVERSE_MISMATCH, b.r.verdict);
	CHECK_INT(REVERSE_NAMES_MAX, b.r.n);
	CHECK_SPAN("n9.example", b.r.names[9].name);
	CHECK(b.r.more_names);
	CHECK_INT(1 + REVERSE_NAMES_MAX, name_server_asked(b.t.ns, NULL, NULL));
	bed_stop(&b);
}

/* the resolver is gone; who was known stays known for a while, who was not is not refused for it. */
static void an_outage_is_not_a_mismatch(void)
{
	struct bed b;

	bed_start(&b, campus);
	look_up(&b, "192.0.2.1");
	CHECK_INT(REVERSE_PASS, b.r.verdict);
	look_up(&b, "192.0.2.4");
	CHECK_INT(REVERSE_MISMATCH, b.r.verdict);
	loop_clock_advance(b.t.loop, 600 * (int64_t)SECOND);
	name_server_script(b.t.ns, "* DROP\n");
	look_up(&b, "192.0.2.1");
	CHECK_INT(REVERSE_PASS, b.r.verdict);
	CHECK(b.r.stale);
	CHECK_SPAN("copier1.bio.example.edu", b.r.name);
	look_up(&b, "192.0.2.2");
	CHECK_INT(REVERSE_TEMPERROR, b.r.verdict);
	CHECK(!b.r.stale);
	loop_clock_advance(b.t.loop, 24 * 3600 * (int64_t)SECOND);
	look_up(&b, "192.0.2.1");
	CHECK_INT(REVERSE_TEMPERROR, b.r.verdict);
	bed_stop(&b);
}

static void the_deadline_holds_for_both_steps(void)
{
	const struct ip_addr silent = addr_of("192.0.2.1"), late = addr_of("192.0.2.2");
	struct bed b;

	bed_start(&b, "1.2.0.192.in-addr.arpa DROP\n2.2.0.192.in-addr.arpa PTR a.example\n"
		      "2.2.0.192.in-addr.arpa PTR b.example\na.example DROP\nb.example A 192.0.2.2\n");
	const int64_t started = loop_now_us(b.t.loop);
	CHECK_INT(0, reverse_start(&b.r, b.t.dns, &b.t.scope, &silent, 60 * MS));
	dns_test_wait(&b.t, &b.r.op);
	CHECK_INT(REVERSE_TEMPERROR, b.r.verdict);
	CHECK(loop_now_us(b.t.loop) - started < 500 * MS);
	/* One name is silent, the other is confirmed: that is enough. */
	CHECK_INT(0, reverse_start(&b.r, b.t.dns, &b.t.scope, &late, 60 * MS));
	dns_test_wait(&b.t, &b.r.op);
	CHECK_INT(REVERSE_PASS, b.r.verdict);
	CHECK_SPAN("b.example", b.r.name);
	bed_stop(&b);
}

static void cancel_in_every_step(void)
{
	struct bed b;

	bed_start(&b, "* DELAY 5\n* PTR a.example\n* A 192.0.2.1\n");
	for (int i = 0; i < 12; i++) {
		struct ip_addr addr = addr_of("192.0.2.0");
		addr.b[3] = (uint8_t)i;
		CHECK_INT(0, reverse_start(&b.r, b.t.dns, &b.t.scope, &addr, 0));
		if (i)
			dns_test_sleep(&b.t, i * MS);
		op_cancel(&b.r.op);
		dns_test_wait(&b.t, &b.r.op);
		CHECK(b.r.op.status == 0 || b.r.op.status == -ERR_CANCELED);
	}
	const struct ip_addr addr = addr_of("192.0.2.200");
	CHECK_INT(0, reverse_start(&b.r, b.t.dns, &b.t.scope, &addr, 0));
	scope_close(&b.t.scope);
	dns_test_wait(&b.t, &b.r.op);
	CHECK_INT(-ERR_CANCELED, b.r.op.status);
	CHECK_INT(-ERR_CANCELED, reverse_start(&b.r, b.t.dns, &b.t.scope, &addr, 0));
	bed_stop(&b);
}

static void a_cancel_is_prompt_even_with_old_answers(void)
{
	const struct ip_addr addr = addr_of("192.0.2.1");
	struct bed b;

	bed_start(&b, campus);
	look_up(&b, "192.0.2.1");
	loop_clock_advance(b.t.loop, 600 * (int64_t)SECOND);
	name_server_script(b.t.ns, "* DROP\n");
	const int asked = name_server_asked(b.t.ns, NULL, "A");
	CHECK_INT(0, reverse_start(&b.r, b.t.dns, &b.t.scope, &addr, 0));
	op_cancel(&b.r.op);
	loop_run_once(b.t.loop, false);
	CHECK(!op_pending(&b.r.op));
	CHECK_INT(-ERR_CANCELED, b.r.op.status);
	CHECK_INT(REVERSE_TEMPERROR, b.r.verdict);
	CHECK_INT(asked, name_server_asked(b.t.ns, NULL, "A"));
	bed_stop(&b);
}

static void a_client_without_an_address_has_no_name(void)
{
	const struct ip_addr none = { 0 };
	struct bed b;

	bed_start(&b, campus);
	CHECK_INT(0, reverse_start(&b.r, b.t.dns, &b.t.scope, &none, 0));
	dns_test_wait(&b.t, &b.r.op);
	CHECK_INT(REVERSE_NO_PTR, b.r.verdict);
	CHECK_STR("the client has no address, so it has no name", b.r.why.s);
	bed_stop(&b);
}

static void supposed_names(void)
{
	struct dns_config config = dns_test_config();
	struct dns_hosts *hosts = dns_hosts_new();
	struct errtext why;
	struct bed b;

	CHECK_INT(0, dns_hosts_add(hosts, SPAN("192.0.2.1"), DNS_PTR, SPAN("copier1.example.edu"), &why));
	CHECK_INT(0, dns_hosts_add(hosts, SPAN("copier1.example.edu"), DNS_A, SPAN("192.0.2.1"), &why));
	config.hosts = hosts;
	dns_test_start(&b.t, NULL, config);
	dns_hosts_free(&hosts);
	reverse_init(&b.r, nothing_done);
	look_up(&b, "192.0.2.1");
	CHECK_INT(REVERSE_PASS, b.r.verdict);
	CHECK(reverse_confirms(&b.r, SPAN("copier1.example.edu")));
	look_up(&b, "192.0.2.2");
	CHECK_INT(REVERSE_NO_PTR, b.r.verdict);
	bed_stop(&b);
}

static void names_of_verdicts(void)
{
	CHECK_STR("temperror", reverse_verdict_name(REVERSE_TEMPERROR));
	CHECK_STR("unknown", reverse_verdict_name((enum reverse_verdict)9));
	CHECK_STR("other_address", reverse_state_name(REVERSE_NAME_OTHER_ADDRESS));
}

TEST_MAIN(TEST(the_six_cases), TEST(and_the_odd_ones), TEST(names_are_limited),
	  TEST(an_outage_is_not_a_mismatch), TEST(the_deadline_holds_for_both_steps),
	  TEST(cancel_in_every_step), TEST(a_cancel_is_prompt_even_with_old_answers),
	  TEST(a_client_without_an_address_has_no_name), TEST(supposed_names), TEST(names_of_verdicts))
