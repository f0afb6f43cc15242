#include "dns/dns_hosts.h"
#include "test.h"

static void add(struct dns_hosts *h, const char *name, enum dns_type type, const char *value)
{
	struct errtext why = { "" };

	dns_hosts_add(h, span_of(name), type, span_of(value), &why);
	CHECK_STR("", why.s);
}

static void records_of_all_types(void)
{
	struct dns_hosts *h = dns_hosts_new();
	const struct dns_answer *a;
	struct ip_addr addr;

	add(h, "Mail.example.org", DNS_A, "192.0.2.1");
	add(h, "mail.example.org.", DNS_A, "192.0.2.2");
	add(h, "mail.example.org", DNS_AAAA, "2001:db8::1");
	add(h, "example.org", DNS_MX, "10 MAIL.example.org");
	add(h, "null.example", DNS_MX, "0 .");
	add(h, "example.org", DNS_TXT, "v=spf1 -all");
	add(h, "192.0.2.1", DNS_PTR, "mail.example.org");
	add(h, "2001:db8::1", DNS_PTR, "mail.example.org");
	add(h, "_25._tcp.mail.example.org", DNS_TLSA, "3 1 1 abCD01");

	a = dns_hosts_get(h, DNS_A, SPAN("mail.example.org"));
	NEED(a != NULL);
	CHECK_INT(2, a->n);
	NEED(ip_parse(SPAN("192.0.2.2"), &addr));
	CHECK(ip_eq(&addr, &a->record[1].addr));
	CHECK_INT(DNS_HOSTS_TTL_S, a->ttl_s);
	a = dns_hosts_get(h, DNS_MX, SPAN("example.org"));
	CHECK_INT(10, a->record[0].preference);
	CHECK_SPAN("mail.example.org", a->record[0].data);
	CHECK_SPAN(".", dns_hosts_get(h, DNS_MX, SPAN("null.example"))->record[0].data);
	CHECK_SPAN("v=spf1 -all", dns_hosts_get(h, DNS_TXT, SPAN("example.org"))->record[0].data);
	CHECK_SPAN("mail.example.org",
		   dns_hosts_get(h, DNS_PTR, SPAN("1.2.0.192.in-addr.arpa"))->record[0].data);
	a = dns_hosts_get(h, DNS_TLSA, SPAN("_25._tcp.mail.example.org"));
	CHECK_INT(3, a->record[0].tlsa.usage);
	CHECK_SPAN("\xab\xcd\x01", a->record[0].data);
	dns_hosts_free(&h);
}

static void a_known_name_is_known_with_all_types(void)
{
	struct dns_hosts *h = dns_hosts_new();

	add(h, "a.example", DNS_A, "192.0.2.1");
	CHECK_INT(DNS_NODATA, dns_hosts_get(h, DNS_MX, SPAN("a.example"))->result);
	CHECK(dns_hosts_get(h, DNS_MX, SPAN("b.example")) == NULL);
	dns_hosts_free(&h);
}

static void results_can_be_set(void)
{
	struct dns_hosts *h = dns_hosts_new();
	struct errtext why;

	CHECK_INT(0, dns_hosts_add_result(h, SPAN("192.0.2.1"), DNS_PTR, DNS_TEMPFAIL, &why));
	const struct dns_answer *a = dns_hosts_get(h, DNS_PTR, SPAN("1.2.0.192.in-addr.arpa"));
	NEED(a != NULL);
	CHECK_INT(DNS_TEMPFAIL, a->result);
	CHECK_STR("it was configured so", a->why);
	CHECK_INT(0, dns_hosts_add_result(h, SPAN("x.example"), DNS_A, DNS_NXDOMAIN, &why));
	CHECK_STR("", dns_hosts_get(h, DNS_A, SPAN("x.example"))->why);
	CHECK_INT(-ERR_INVAL, dns_hosts_add_result(h, SPAN("x.example"), DNS_A, DNS_OK, &why));
	dns_hosts_free(&h);
}

static void what_is_wrong_is_named(void)
{
	static const struct {
		const char *name;
		enum dns_type type;
		const char *value, *why;
	} cases[] = {
		{ "a b", DNS_A, "192.0.2.1", "a b: the name has a character that names cannot have" },
		{ "a", DNS_A, "192.0.2", "a: \"192.0.2\" is not the value of a record of type A" },
		{ "a", DNS_A, "2001:db8::1", "a: \"2001:db8::1\" is not the value of a record of type A" },
		{ "a", DNS_AAAA, "192.0.2.1", "a: \"192.0.2.1\" is not the value of a record of type AAAA" },
		{ "a", DNS_MX, "mail.example",
		  "a: \"mail.example\" is not the value of a record of type MX" },
		{ "a", DNS_MX, "70000 b", "a: \"70000 b\" is not the value of a record of type MX" },
		{ "a", DNS_PTR, "", "a: \"\" is not the value of a record of type PTR" },
		{ "a", DNS_TLSA, "3 1 1 abc", "a: \"3 1 1 abc\" is not the value of a record of type TLSA" },
	};
	struct dns_hosts *h = dns_hosts_new();

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct errtext why = { "" };
		CHECK_INT(-ERR_INVAL, dns_hosts_add(h, span_of(cases[i].name), cases[i].type,
						    span_of(cases[i].value), &why));
		CHECK_STR(cases[i].why, why.s);
	}
	CHECK_INT(0, dns_hosts_count(h));
	dns_hosts_free(&h);
}

static void limits_hold(void)
{
	struct dns_hosts *h = dns_hosts_new();
	struct errtext why;
	int err = 0;

	for (int i = 0; i < DNS_RECORDS_MAX; i++)
		add(h, "a", DNS_A, "192.0.2.1");
	CHECK_INT(-ERR_LIMIT, dns_hosts_add(h, SPAN("a"), DNS_A, SPAN("192.0.2.1"), &why));
	for (int i = 0; i < DNS_HOSTS_MAX && err == 0; i++) {
		char name[20];
		snprintf(name, sizeof name, "n%d", i);
		err = dns_hosts_add(h, span_of(name), DNS_A, SPAN("192.0.2.1"), &why);
	}
	CHECK_INT(-ERR_LIMIT, err);
	CHECK(dns_hosts_count(h) <= DNS_HOSTS_MAX);
	dns_hosts_free(&h);
}

static void a_copy_stands_alone(void)
{
	struct dns_hosts *h = dns_hosts_new();
	struct errtext why;

	add(h, "a.example", DNS_MX, "10 b.example");
	CHECK_INT(0, dns_hosts_add_result(h, SPAN("a.example"), DNS_A, DNS_TEMPFAIL, &why));
	struct dns_hosts *copy = dns_hosts_copy(h);
	CHECK_INT(dns_hosts_count(h), dns_hosts_count(copy));
	dns_hosts_free(&h);
	CHECK_SPAN("b.example", dns_hosts_get(copy, DNS_MX, SPAN("a.example"))->record[0].data);
	CHECK_INT(DNS_TEMPFAIL, dns_hosts_get(copy, DNS_A, SPAN("a.example"))->result);
	dns_hosts_free(&copy);
}

TEST_MAIN(TEST(records_of_all_types), TEST(a_known_name_is_known_with_all_types), TEST(results_can_be_set),
	  TEST(what_is_wrong_is_named), TEST(limits_hold), TEST(a_copy_stands_alone))
