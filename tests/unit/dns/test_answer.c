#include "dns/dns_answer.h"
#include "test.h"

static void an_answer_holds_copies(void)
{
	char host[] = "mx1.example.org", name[] = "example.org";
	struct dns_record records[] = {
		{ .ttl_s = 300, .preference = 10, .data = span_of(host) },
		{ .ttl_s = 60, .preference = 20, .data = SPAN("mx2.example.org") },
	};
	struct dns_answer *a = dns_answer_new(DNS_MX, span_of(name), records, 2);

	memset(host, '?', strlen(host));
	memset(name, '?', strlen(name));
	CHECK_INT(DNS_OK, a->result);
	CHECK_SPAN("example.org", a->name);
	CHECK_INT(2, a->n);
	CHECK_SPAN("mx1.example.org", a->record[0].data);
	CHECK_SPAN("mx2.example.org", a->record[1].data);
	CHECK_INT(20, a->record[1].preference);
	CHECK_INT(60, a->ttl_s); /* the least */
	CHECK_STR("", a->why);
	dns_answer_unref(&a);
	CHECK(a == NULL);
	dns_answer_unref(&a);
}

static void the_last_reference_frees(void)
{
	struct dns_answer *a = dns_answer_new_empty(DNS_A, SPAN("x.example"), DNS_TEMPFAIL, "because");
	struct dns_answer *b = dns_answer_ref(a);

	CHECK(a == b);
	dns_answer_unref(&a);
	CHECK_INT(DNS_TEMPFAIL, b->result);
	CHECK_STR("because", b->why);
	CHECK_INT(0, b->n);
	dns_answer_unref(&b); /* the sanitizer tells if not */
}

static void names_of_types_and_results(void)
{
	enum dns_type type = DNS_A;

	CHECK_STR("AAAA", dns_type_name(DNS_AAAA));
	CHECK_STR("unknown", dns_type_name((enum dns_type)999));
	CHECK(dns_type_parse(SPAN("mx"), &type));
	CHECK_INT(DNS_MX, type);
	CHECK(!dns_type_parse(SPAN("SOA"), &type));
	CHECK_INT(DNS_MX, type);
	CHECK_STR("nxdomain", dns_result_name(DNS_NXDOMAIN));
	CHECK_STR("unknown", dns_result_name((enum dns_result)99));
}

TEST_MAIN(TEST(an_answer_holds_copies), TEST(the_last_reference_frees), TEST(names_of_types_and_results))
