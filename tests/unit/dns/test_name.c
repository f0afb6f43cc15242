#include "base/err.h"
#include "dns/dns_name.h"
#include "test.h"

static void canonical_is_lower_case_without_the_dot(void)
{
	struct dns_name n;
	const char *why = NULL;

	CHECK_INT(0, dns_name_parse(SPAN("Copier1.Bio.Example.EDU."), &n, &why));
	CHECK_SPAN("copier1.bio.example.edu", dns_name_span(&n));
	CHECK_STR("copier1.bio.example.edu", n.s);
	CHECK_INT(0, dns_name_parse(SPAN("_25._tcp.mx.example"), &n, &why));
	CHECK_INT(0, dns_name_parse(SPAN("localhost"), &n, &why));
	CHECK_INT(0, dns_name_parse(SPAN("a+b=c/d.example"), &n, &why));
}

static void what_cannot_be_asked_for_is_refused_with_a_reason(void)
{
	static const struct {
		const char *text, *why;
		int err;
	} cases[] = {
		{ "", "the name is empty", ERR_SYNTAX },
		{ ".", "the name is empty", ERR_SYNTAX },
		{ "a..b", "the name has an empty label", ERR_SYNTAX },
		{ ".a", "the name has an empty label", ERR_SYNTAX },
		{ "a..", "the name has an empty label", ERR_SYNTAX },
		{ "a b.example", "the name has a character that names cannot have", ERR_SYNTAX },
		{ "a\\.b.example", "the name has a character that names cannot have", ERR_SYNTAX },
		{ "a\x7f.example", "the name has a character that names cannot have", ERR_SYNTAX },
		{ "b\xc3\xbc"
		  "cher.example",
		  "the name is not ASCII; its A-label form is needed", ERR_SYNTAX },
	};
	struct dns_name n = { .s = "untouched", .n = 9 };
	const char *why;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		why = NULL;
		CHECK_INT(-cases[i].err, dns_name_parse(span_of(cases[i].text), &n, &why));
		CHECK_STR(cases[i].why, why);
	}
	CHECK_INT(-ERR_SYNTAX, dns_name_parse(span_make("a\0b", 3), &n, &why));
	CHECK_STR("untouched", n.s);
}

static void lengths_have_limits(void)
{
	char text[300];
	struct dns_name n;
	const char *why;

	memset(text, 'x', sizeof text);
	CHECK_INT(0, dns_name_parse(span_make(text, 63), &n, &why));
	CHECK_INT(-ERR_TOOBIG, dns_name_parse(span_make(text, 64), &n, &why));
	CHECK_STR("the name has a label longer than 63 octets", why);
	for (size_t i = 60; i < sizeof text; i += 61)
		text[i] = '.';
	CHECK_INT(0, dns_name_parse(span_make(text, 253), &n, &why));
	CHECK_INT(253, n.n);
	CHECK_INT(-ERR_TOOBIG, dns_name_parse(span_make(text, 254), &n, &why));
	CHECK_STR("the name is longer than 253 octets", why);
}

static void hosts_are_letters_digits_and_hyphens(void)
{
	static const char *const yes[] = { "a",
					   "mx1.example.org",
					   "1.2.3.x4",
					   "xn--bcher-kva.example",
					   "mail_1.example",
					   "3com.example",
					   "a-b.example" };
	static const char *const no[] = {
		"",           ".",           "192.0.2.1",  "example.123",   "-a.example",       "a-.example",
		"a.example-", "a/b.example", "a*.example", "\\065.example", "b\xc3\xbc.example"
	};

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		if (!dns_name_is_host(span_of(yes[i])))
			CHECK_STR(yes[i], "not taken for a host");
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		if (dns_name_is_host(span_of(no[i])))
			CHECK_STR(no[i], "taken for a host");
}

static void addresses_have_names(void)
{
	struct ip_addr addr;
	struct dns_name n;

	NEED(ip_parse(SPAN("192.0.2.17"), &addr));
	dns_name_of_addr(&addr, &n);
	CHECK_SPAN("17.2.0.192.in-addr.arpa", dns_name_span(&n));
	NEED(ip_parse(SPAN("2001:db8::567:89ab"), &addr));
	dns_name_of_addr(&addr, &n);
	CHECK_SPAN("b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
		   dns_name_span(&n));
	/* A mapped address is the IPv4 address. */
	NEED(ip_parse(SPAN("::ffff:192.0.2.17"), &addr));
	dns_name_of_addr(&addr, &n);
	CHECK_SPAN("17.2.0.192.in-addr.arpa", dns_name_span(&n));
}

TEST_MAIN(TEST(canonical_is_lower_case_without_the_dot),
	  TEST(what_cannot_be_asked_for_is_refused_with_a_reason), TEST(lengths_have_limits),
	  TEST(hosts_are_letters_digits_and_hyphens), TEST(addresses_have_names))
