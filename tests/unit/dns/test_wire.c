#include "base/err.h"
#include "dns/dns_wire.h"
#include "test.h"

/* A message, put together by hand. */
struct msg {
	uint8_t b[4096];
	size_t n;
};

enum { QR_RD_RA = 0x8180, AA = 0x0400, AD = 0x0020, TC = 0x0200 };
enum { T_CNAME = 5, T_SOA = 6, T_NS = 2, T_OPT = 41, AT_QUESTION = 12 };

static void put(struct msg *m, const void *p, size_t n)
{
	memcpy(m->b + m->n, p, n);
	m->n += n;
}

static void put16(struct msg *m, unsigned v)
{
	const uint8_t b[] = { (uint8_t)(v >> 8), (uint8_t)v };

	put(m, b, 2);
}

static void put32(struct msg *m, uint32_t v)
{
	put16(m, v >> 16);
	put16(m, v & 0xffff);
}

static void put_name(struct msg *m, const char *name)
{
	while (*name) {
		const size_t n = strcspn(name, ".");
		const uint8_t len = (uint8_t)n;
		put(m, &len, 1);
		put(m, name, n);
		name += n + (name[n] == '.');
	}
	put(m, "", 1);
}

static void put_pointer(struct msg *m, size_t to)
{
	put16(m, 0xc000U | (unsigned)to);
}

static struct msg question(unsigned flags, const char *name, unsigned type)
{
	struct msg m = { .n = 0 };

	put16(&m, 0x1234);
	put16(&m, flags);
	put16(&m, 1);
	put16(&m, 0);
	put16(&m, 0);
	put16(&m, 0);
	put_name(&m, name);
	put16(&m, type);
	put16(&m, 1);
	return m;
}

enum { ANSWER = 7, AUTHORITY = 9, ADDITIONAL = 11 };

/* Begins a record; returns where its length is. */
static size_t begin_rr(struct msg *m, int section, const char *owner, unsigned type, uint32_t ttl)
{
	m->b[section]++;
	if (owner)
		put_name(m, owner);
	else
		put_pointer(m, AT_QUESTION);
	put16(m, type);
	put16(m, 1);
	put32(m, ttl);
	put16(m, 0);
	return m->n;
}

static void end_rr(struct msg *m, size_t start)
{
	m->b[start - 2] = (uint8_t)((m->n - start) >> 8);
	m->b[start - 1] = (uint8_t)(m->n - start);
}

static void put_a(struct msg *m, const char *owner, uint32_t ttl, unsigned last)
{
	const uint8_t addr[] = { 192, 0, 2, (uint8_t)last };
	const size_t at = begin_rr(m, ANSWER, owner, DNS_A, ttl);

	put(m, addr, 4);
	end_rr(m, at);
}

static void put_named(struct msg *m, int section, const char *owner, unsigned type, uint32_t ttl,
		      const char *target)
{
	const size_t at = begin_rr(m, section, owner, type, ttl);

	put_name(m, target);
	end_rr(m, at);
}

static void put_mx(struct msg *m, uint32_t ttl, unsigned preference, const char *host)
{
	const size_t at = begin_rr(m, ANSWER, NULL, DNS_MX, ttl);

	put16(m, preference);
	put_name(m, host);
	end_rr(m, at);
}

static void put_soa(struct msg *m, uint32_t ttl, uint32_t minimum)
{
	const size_t at = begin_rr(m, AUTHORITY, "example.org", T_SOA, ttl);

	put_name(m, "ns1.example.org");
	put_name(m, "hostmaster.example.org");
	for (int i = 0; i < 4; i++)
		put32(m, 1);
	put32(m, minimum);
	end_rr(m, at);
}

static int parse(const struct msg *m, const char *name, enum dns_type type, struct dns_answer **a)
{
	struct dns_name n;
	const char *why;

	*a = NULL;
	NEED(dns_name_parse(span_of(name), &n, &why) == 0);
	return dns_wire_parse(span_make(m->b, m->n), &n, type, a);
}

/* Parses, expects success and @result. */
static struct dns_answer *good(const struct msg *m, const char *name, enum dns_type type,
			       enum dns_result result)
{
	struct dns_answer *a;

	CHECK_INT(0, parse(m, name, type, &a));
	NEED(a != NULL);
	CHECK_INT(result, a->result);
	return a;
}

static void malformed(const struct msg *m, const char *name, enum dns_type type)
{
	struct dns_answer *a;

	CHECK_INT(-ERR_SYNTAX, parse(m, name, type, &a));
	CHECK(a == NULL);
}

/* ---- records ------------------------------------------------------------------------------------------- */

static void addresses_with_their_ttls(void)
{
	struct msg m = question(QR_RD_RA, "Mail.Example.org", DNS_A);
	struct ip_addr want;

	put_a(&m, NULL, 300, 1);
	put_a(&m, NULL, 60, 2);
	struct dns_answer *a = good(&m, "mail.example.org", DNS_A, DNS_OK);
	CHECK_INT(2, a->n);
	CHECK_INT(60, a->ttl_s);
	CHECK_INT(300, a->record[0].ttl_s);
	NEED(ip_parse(SPAN("192.0.2.2"), &want));
	CHECK(ip_eq(&want, &a->record[1].addr));
	CHECK(!a->authenticated);
	dns_answer_unref(&a);

	m = question(QR_RD_RA | AD, "mail.example.org", DNS_AAAA);
	const size_t at = begin_rr(&m, ANSWER, NULL, DNS_AAAA, 5);
	put(&m, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09", 16);
	end_rr(&m, at);
	a = good(&m, "mail.example.org", DNS_AAAA, DNS_OK);
	NEED(ip_parse(SPAN("2001:db8::9"), &want));
	CHECK(ip_eq(&want, &a->record[0].addr));
	CHECK(a->authenticated);
	dns_answer_unref(&a);
}

static void mail_exchangers_and_the_null_mx(void)
{
	struct msg m = question(QR_RD_RA, "example.org", DNS_MX);

	put_mx(&m, 100, 10, "MX1.Example.ORG");
	put_mx(&m, 100, 20, "");
	struct dns_answer *a = good(&m, "example.org", DNS_MX, DNS_OK);
	CHECK_INT(2, a->n);
	CHECK_INT(10, a->record[0].preference);
	CHECK_SPAN("mx1.example.org", a->record[0].data);
	CHECK_SPAN(".", a->record[1].data);
	dns_answer_unref(&a);
}

static void compressed_names(void)
{
	struct msg m = question(QR_RD_RA, "example.org", DNS_MX);
	const size_t at = begin_rr(&m, ANSWER, NULL, DNS_MX, 100);

	put16(&m, 10);
	put(&m, "\3mx1", 4);
	put_pointer(&m, AT_QUESTION);
	end_rr(&m, at);
	struct dns_answer *a = good(&m, "example.org", DNS_MX, DNS_OK);
	CHECK_SPAN("mx1.example.org", a->record[0].data);
	dns_answer_unref(&a);
}

static void texts_are_joined(void)
{
	struct msg m = question(QR_RD_RA, "example.org", DNS_TXT);
	size_t at = begin_rr(&m, ANSWER, NULL, DNS_TXT, 100);

	put(&m, "\7v=spf1 ", 8);
	put(&m, "\0", 1);
	put(&m, "\4-all", 5);
	end_rr(&m, at);
	at = begin_rr(&m, ANSWER, NULL, DNS_TXT, 100);
	put(&m, "\0", 1);
	end_rr(&m, at);
	struct dns_answer *a = good(&m, "example.org", DNS_TXT, DNS_OK);
	CHECK_INT(2, a->n);
	CHECK_SPAN("v=spf1 -all", a->record[0].data);
	CHECK_SPAN("", a->record[1].data);
	dns_answer_unref(&a);
}

static void certificate_associations(void)
{
	struct msg m = question(QR_RD_RA, "_25._tcp.mx.example", DNS_TLSA);
	const size_t at = begin_rr(&m, ANSWER, NULL, DNS_TLSA, 100);

	put(&m, "\3\1\1\xab\xcd", 5);
	end_rr(&m, at);
	struct dns_answer *a = good(&m, "_25._tcp.mx.example", DNS_TLSA, DNS_OK);
	CHECK_INT(3, a->record[0].tlsa.usage);
	CHECK_INT(1, a->record[0].tlsa.selector);
	CHECK_INT(1, a->record[0].tlsa.matching);
	CHECK_SPAN("\xab\xcd", a->record[0].data);
	dns_answer_unref(&a);
}

static void odd_octets_of_names_are_escaped(void)
{
	struct msg m = question(QR_RD_RA, "1.2.0.192.in-addr.arpa", DNS_PTR);
	const size_t at = begin_rr(&m, ANSWER, NULL, DNS_PTR, 100);

	put(&m, "\6a.b \\\0\7example", 15);
	put(&m, "", 1);
	end_rr(&m, at);
	struct dns_answer *a = good(&m, "1.2.0.192.in-addr.arpa", DNS_PTR, DNS_OK);
	CHECK_SPAN("a\\046b\\032\\092\\000.example", a->record[0].data);
	dns_answer_unref(&a);
}

static void aliases_are_followed_in_any_order(void)
{
	struct msg m = question(QR_RD_RA, "www.example.org", DNS_A);

	put_a(&m, "c.example.net", 300, 7);
	put_named(&m, ANSWER, "b.example.net", T_CNAME, 200, "C.example.net");
	put_named(&m, ANSWER, NULL, T_CNAME, 20, "b.example.net");
	put_a(&m, "unrelated.example", 1, 8);
	struct dns_answer *a = good(&m, "www.example.org", DNS_A, DNS_OK);
	CHECK_INT(1, a->n);
	CHECK_INT(7, a->record[0].addr.b[3]);
	CHECK_INT(20, a->ttl_s); /* of the shortest-lived step */
	CHECK_SPAN("www.example.org", a->name);
	CHECK_SPAN("c.example.net", a->canonical);
	dns_answer_unref(&a);
}

static void an_alias_that_leads_nowhere(void)
{
	struct msg m = question(QR_RD_RA, "www.example.org", DNS_AAAA);

	put_named(&m, ANSWER, NULL, T_CNAME, 10, "host.example.org");
	put_soa(&m, 100, 50);
	struct dns_answer *a = good(&m, "www.example.org", DNS_AAAA, DNS_NODATA);
	CHECK_INT(10, a->ttl_s);
	dns_answer_unref(&a);

	m = question(QR_RD_RA, "www.example.org", DNS_A);
	put_named(&m, ANSWER, NULL, T_CNAME, 10, "www.example.org");
	a = good(&m, "www.example.org", DNS_A, DNS_TEMPFAIL);
	CHECK_STR("the name has too many aliases behind one another", a->why);
	dns_answer_unref(&a);
}

/* ---- no records ---------------------------------------------------------------------------------------- */

static void negative_answers_live_as_long_as_their_soa_says(void)
{
	struct msg m = question(QR_RD_RA, "nx.example.org", DNS_A);
	struct dns_answer *a;

	m.b[3] |= 3;
	put_soa(&m, 100, 50);
	a = good(&m, "nx.example.org", DNS_A, DNS_NXDOMAIN);
	CHECK_INT(50, a->ttl_s);
	dns_answer_unref(&a);

	m = question(QR_RD_RA, "x.example.org", DNS_A);
	put_soa(&m, 40, 50);
	a = good(&m, "x.example.org", DNS_A, DNS_NODATA);
	CHECK_INT(40, a->ttl_s);
	dns_answer_unref(&a);

	m = question(QR_RD_RA, "x.example.org", DNS_A);
	a = good(&m, "x.example.org", DNS_A, DNS_NODATA);
	CHECK_INT(0, a->ttl_s);
	dns_answer_unref(&a);
}

static void errors_are_not_facts(void)
{
	static const struct {
		unsigned rcode;
		const char *why;
	} cases[] = {
		{ 1, "the DNS server did not understand the question" },
		{ 2, "the DNS server failed (SERVFAIL)" },
		{ 5, "the DNS server refused the question" },
		{ 9, "the DNS server answered with an error" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct msg m = question(QR_RD_RA | cases[i].rcode, "x.example", DNS_A);
		struct dns_answer *a = good(&m, "x.example", DNS_A, DNS_TEMPFAIL);
		CHECK_STR(cases[i].why, a->why);
		dns_answer_unref(&a);
	}

	/* BADVERS: 16, of which the lower bits are 0. */
	struct msg m = question(QR_RD_RA, "x.example", DNS_A);
	const size_t at = begin_rr(&m, ADDITIONAL, "", T_OPT, 1U << 24);
	end_rr(&m, at);
	struct dns_answer *a = good(&m, "x.example", DNS_A, DNS_TEMPFAIL);
	dns_answer_unref(&a);
}

static void a_referral_proves_nothing(void)
{
	struct msg m = question(0x8000, "x.example", DNS_MX);
	struct dns_answer *a;

	put_named(&m, AUTHORITY, "example", T_NS, 60, "ns.example");
	a = good(&m, "x.example", DNS_MX, DNS_TEMPFAIL);
	CHECK_STR("the DNS server does not resolve names for us", a->why);
	dns_answer_unref(&a);

	m.b[2] |= AA >> 8; /* but from who is responsible it is NODATA */
	a = good(&m, "x.example", DNS_MX, DNS_NODATA);
	dns_answer_unref(&a);
}

/* ---- what is no answer --------------------------------------------------------------------------------- */

static void not_a_response_to_this_question(void)
{
	struct msg m = question(QR_RD_RA & 0x7fff, "x.example", DNS_A);

	malformed(&m, "x.example", DNS_A); /* the question itself */
	m = question(QR_RD_RA, "y.example", DNS_A);
	malformed(&m, "x.example", DNS_A);
	m = question(QR_RD_RA, "x.example", DNS_AAAA);
	malformed(&m, "x.example", DNS_A);
	m = question(QR_RD_RA | TC, "x.example", DNS_A);
	malformed(&m, "x.example", DNS_A);
	m = question(QR_RD_RA, "x.example", DNS_A);
	m.b[5] = 2;
	malformed(&m, "x.example", DNS_A);
	m.n = 0;
	malformed(&m, "x.example", DNS_A);
}

static void every_cut_is_noticed(void)
{
	struct msg m = question(QR_RD_RA, "example.org", DNS_MX);

	put_mx(&m, 100, 10, "mx1.example.org");
	put_mx(&m, 100, 20, "mx2.example.org");
	put_soa(&m, 1, 1);
	const size_t n = m.n;
	for (m.n = 0; m.n < n; m.n++)
		malformed(&m, "example.org", DNS_MX);
	m.n = n;
	struct dns_answer *a = good(&m, "example.org", DNS_MX, DNS_OK);
	dns_answer_unref(&a);
}

static void lengths_must_agree(void)
{
	struct msg m = question(QR_RD_RA, "x.example", DNS_A);
	size_t at = begin_rr(&m, ANSWER, NULL, DNS_A, 1);

	put(&m, "\1\2\3\4\5", 5);
	end_rr(&m, at);
	malformed(&m, "x.example", DNS_A);

	m = question(QR_RD_RA, "x.example", DNS_MX); /* its name ends behind the record */
	at = begin_rr(&m, ANSWER, NULL, DNS_MX, 1);
	put16(&m, 10);
	put_name(&m, "mx.example");
	end_rr(&m, at);
	m.b[at - 1] -= 3;
	malformed(&m, "x.example", DNS_MX);

	m = question(QR_RD_RA, "x.example", DNS_TXT); /* a string that is longer than its record */
	at = begin_rr(&m, ANSWER, NULL, DNS_TXT, 1);
	put(&m, "\x09short", 6);
	end_rr(&m, at);
	put(&m, "more to read", 12);
	malformed(&m, "x.example", DNS_TXT);

	m = question(QR_RD_RA, "x.example", DNS_TXT); /* no string at all */
	at = begin_rr(&m, ANSWER, NULL, DNS_TXT, 1);
	end_rr(&m, at);
	malformed(&m, "x.example", DNS_TXT);
}

static void pointers_end(void)
{
	struct msg m = question(QR_RD_RA, "x.example", DNS_PTR);
	size_t at = begin_rr(&m, ANSWER, NULL, DNS_PTR, 1);

	put_pointer(&m, at); /* to itself */
	end_rr(&m, at);
	malformed(&m, "x.example", DNS_PTR);

	m = question(QR_RD_RA, "x.example", DNS_PTR);
	at = begin_rr(&m, ANSWER, NULL, DNS_PTR, 1);
	put(&m, "\1a", 2);
	put_pointer(&m, at); /* round and round */
	end_rr(&m, at);
	malformed(&m, "x.example", DNS_PTR);

	m = question(QR_RD_RA, "x.example", DNS_PTR);
	at = begin_rr(&m, ANSWER, NULL, DNS_PTR, 1);
	put_pointer(&m, at + 40); /* forward */
	end_rr(&m, at);
	malformed(&m, "x.example", DNS_PTR);

	m = question(QR_RD_RA, "x.example", DNS_PTR);
	at = begin_rr(&m, ANSWER, NULL, DNS_PTR, 1);
	put_pointer(&m, 2); /* into the header */
	end_rr(&m, at);
	malformed(&m, "x.example", DNS_PTR);
}

static void names_have_a_limit(void)
{
	struct msg m = question(QR_RD_RA, "x.example", DNS_PTR);
	size_t at = begin_rr(&m, ANSWER, NULL, DNS_PTR, 1);

	for (int i = 0; i < 127; i++)
		put(&m, "\1a", 2);
	put(&m, "", 1); /* 255 octets */
	end_rr(&m, at);
	struct dns_answer *a = good(&m, "x.example", DNS_PTR, DNS_OK);
	CHECK_INT(253, a->record[0].data.n);
	dns_answer_unref(&a);

	m.n--;
	put(&m, "\1a", 3);
	end_rr(&m, at);
	malformed(&m, "x.example", DNS_PTR);
}

static void records_have_a_limit(void)
{
	struct msg m = question(QR_RD_RA, "x.example", DNS_A);

	for (unsigned i = 0; i < 100; i++)
		put_a(&m, NULL, 60, i);
	struct dns_answer *a = good(&m, "x.example", DNS_A, DNS_OK);
	CHECK_INT(DNS_RECORDS_MAX, a->n);
	dns_answer_unref(&a);
}

static void strange_ttls_are_zero(void)
{
	struct msg m = question(QR_RD_RA, "x.example", DNS_A);

	put_a(&m, NULL, 0x80000000, 1);
	struct dns_answer *a = good(&m, "x.example", DNS_A, DNS_OK);
	CHECK_INT(0, a->ttl_s);
	dns_answer_unref(&a);
}

static void a_refusal_of_edns_is_known(void)
{
	struct msg m = question(QR_RD_RA | 1, "x.example", DNS_A);

	CHECK(dns_wire_refuses_edns(span_make(m.b, m.n)));
	m.b[11] = 1; /* it has a record of its own: it knows */
	CHECK(!dns_wire_refuses_edns(span_make(m.b, m.n)));
	m = question(QR_RD_RA, "x.example", DNS_A);
	CHECK(!dns_wire_refuses_edns(span_make(m.b, m.n)));
	CHECK(!dns_wire_refuses_edns(span_make(m.b, 11)));
}

TEST_MAIN(TEST(addresses_with_their_ttls), TEST(mail_exchangers_and_the_null_mx), TEST(compressed_names),
	  TEST(texts_are_joined), TEST(certificate_associations), TEST(odd_octets_of_names_are_escaped),
	  TEST(aliases_are_followed_in_any_order), TEST(an_alias_that_leads_nowhere),
	  TEST(negative_answers_live_as_long_as_their_soa_says), TEST(errors_are_not_facts),
	  TEST(a_referral_proves_nothing), TEST(not_a_response_to_this_question), TEST(every_cut_is_noticed),
	  TEST(lengths_must_agree), TEST(pointers_end), TEST(names_have_a_limit), TEST(records_have_a_limit),
	  TEST(strange_ttls_are_zero), TEST(a_refusal_of_edns_is_known))
