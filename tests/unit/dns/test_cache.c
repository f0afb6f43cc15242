#include "dns/dns_cache.h"
#include "test.h"

enum { S = 1000 * 1000 };

static const int64_t start_us = 1000 * (int64_t)S;

static struct dns_cache_limits limits(void)
{
	return (struct dns_cache_limits){
		.entries_max = 100,
		.bytes_max = 1024 * 1024,
		.ttl_min_us = 1 * S,
		.ttl_max_us = 100 * S,
		.negative_ttl_max_us = 20 * S,
		.tempfail_ttl_us = 5 * S,
		.stale_max_us = 1000 * (int64_t)S,
	};
}

static struct dns_answer *records(const char *name, uint32_t ttl_s, const char *text)
{
	const struct dns_record record = { .ttl_s = ttl_s, .data = span_of(text) };

	return dns_answer_new(DNS_TXT, span_of(name), &record, 1);
}

static struct dns_answer *nothing(const char *name, enum dns_result result, uint32_t ttl_s)
{
	struct dns_answer *a = dns_answer_new_empty(DNS_TXT, span_of(name), result, "for the test");

	a->ttl_s = ttl_s;
	return a;
}

/* Puts and gives up the reference; returns what is to be served, borrowed. */
static const struct dns_answer *put(struct dns_cache *c, struct dns_answer *a, int64_t at_s, bool *stale)
{
	const struct dns_answer *served = dns_cache_put(c, a, start_us + at_s * S, stale);

	dns_answer_unref(&a);
	return served;
}

static const struct dns_answer *get(struct dns_cache *c, const char *name, int64_t at_s, bool *stale)
{
	return dns_cache_get(c, DNS_TXT, span_of(name), start_us + at_s * S, stale);
}

static void records_live_for_their_ttl_within_limits(void)
{
	const struct dns_cache_limits l = limits();
	struct dns_cache *c = dns_cache_new(&l);
	bool stale = true;

	put(c, records("normal", 10, "x"), 0, &stale);
	CHECK(!stale);
	put(c, records("zero", 0, "x"), 0, &stale);
	put(c, records("long", 100000, "x"), 0, &stale);
	CHECK(get(c, "normal", 9, &stale) && !stale);
	CHECK(!get(c, "normal", 10, &stale));
	CHECK(get(c, "zero", 0, &stale));
	CHECK(!get(c, "zero", 1, &stale));
	CHECK(get(c, "long", 99, &stale));
	CHECK(!get(c, "long", 100, &stale));
	CHECK(!get(c, "other", 0, &stale));
	CHECK(!dns_cache_get(c, DNS_A, SPAN("normal"), start_us, &stale)); /* another type */
	dns_cache_free(&c);
}

static void negatives_live_shorter_and_failures_very_short(void)
{
	const struct dns_cache_limits l = limits();
	struct dns_cache *c = dns_cache_new(&l);
	bool stale;

	put(c, nothing("nx", DNS_NXDOMAIN, 600), 0, &stale);
	put(c, nothing("nodata", DNS_NODATA, 7), 0, &stale);
	put(c, nothing("fail", DNS_TEMPFAIL, 0), 0, &stale);
	CHECK(get(c, "nx", 19, &stale));
	CHECK(!get(c, "nx", 20, &stale));
	CHECK(get(c, "nodata", 6, &stale));
	CHECK(!get(c, "nodata", 7, &stale));
	CHECK(get(c, "fail", 4, &stale));
	CHECK(!get(c, "fail", 5, &stale));
	CHECK_INT(0, dns_cache_entries(c)); /* none of them is worth keeping */
	CHECK_INT(0, dns_cache_bytes(c));
	dns_cache_free(&c);
}

static void old_records_stand_in_for_a_failure(void)
{
	const struct dns_cache_limits l = limits();
	struct dns_cache *c = dns_cache_new(&l);
	const struct dns_answer *a;
	bool stale = false;

	put(c, records("x", 10, "good"), 0, &stale);
	CHECK(!get(c, "x", 20, &stale));
	a = put(c, nothing("x", DNS_TEMPFAIL, 0), 20, &stale);
	CHECK_INT(DNS_OK, a->result);
	CHECK_SPAN("good", a->record[0].data);
	CHECK(stale);
	/* For a few seconds nobody needs to ask again. */
	stale = false;
	CHECK(get(c, "x", 24, &stale) && stale);
	CHECK(!get(c, "x", 25, &stale));
	/* What is new counts, and is not stale. */
	put(c, records("x", 10, "newer"), 30, &stale);
	CHECK(!stale);
	a = get(c, "x", 31, &stale);
	NEED(a != NULL);
	CHECK_SPAN("newer", a->record[0].data);
	CHECK(!stale);
	/* "There is none" counts as well: it is an answer. */
	a = put(c, nothing("x", DNS_NXDOMAIN, 5), 50, &stale);
	CHECK_INT(DNS_NXDOMAIN, a->result);
	a = put(c, nothing("x", DNS_TEMPFAIL, 0), 60, &stale);
	CHECK_INT(DNS_TEMPFAIL, a->result);
	CHECK(!stale);
	dns_cache_free(&c);
}

static void staleness_has_an_end(void)
{
	const struct dns_cache_limits l = limits();
	struct dns_cache *c = dns_cache_new(&l);
	bool stale;

	put(c, records("x", 10, "good"), 0, &stale);
	CHECK(dns_cache_get_stale(c, DNS_TXT, SPAN("x"), start_us + 1009 * (int64_t)S));
	CHECK(!dns_cache_get_stale(c, DNS_TXT, SPAN("x"), start_us + 1010 * (int64_t)S));
	CHECK_INT(DNS_OK, put(c, nothing("x", DNS_TEMPFAIL, 0), 1008, &stale)->result);
	CHECK(get(c, "x", 1009, &stale) && stale);
	CHECK(!get(c, "x", 1010, &stale)); /* not the five seconds */
	CHECK_INT(DNS_TEMPFAIL, put(c, nothing("x", DNS_TEMPFAIL, 0), 1010, &stale)->result);
	dns_cache_free(&c);
}

static void a_failure_does_not_replace_what_is_fresh(void)
{
	const struct dns_cache_limits l = limits();
	struct dns_cache *c = dns_cache_new(&l);
	bool stale = true;

	put(c, records("x", 50, "good"), 0, &stale);
	CHECK_INT(DNS_OK, put(c, nothing("x", DNS_TEMPFAIL, 0), 10, &stale)->result);
	CHECK(!stale);
	CHECK(get(c, "x", 49, &stale));
	dns_cache_free(&c);
}

static void the_longest_unused_goes_first(void)
{
	struct dns_cache_limits l = limits();
	bool stale;

	l.entries_max = 3;
	struct dns_cache *c = dns_cache_new(&l);
	put(c, records("a", 50, "x"), 0, &stale);
	put(c, records("b", 50, "x"), 0, &stale);
	put(c, records("c", 50, "x"), 0, &stale);
	CHECK(get(c, "a", 1, &stale));
	put(c, records("d", 50, "x"), 1, &stale);
	CHECK_INT(3, dns_cache_entries(c));
	CHECK(!get(c, "b", 1, &stale));
	CHECK(get(c, "a", 1, &stale));
	CHECK(get(c, "d", 1, &stale));
	dns_cache_clear(c);
	CHECK_INT(0, dns_cache_entries(c));
	dns_cache_free(&c);
}

static void octets_are_limited_too(void)
{
	struct dns_cache_limits l = limits();
	char text[2000];
	bool stale;

	l.bytes_max = 10 * sizeof text;
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	struct dns_cache *c = dns_cache_new(&l);
	for (int i = 0; i < 50; i++) {
		char name[20];
		snprintf(name, sizeof name, "n%d", i);
		const struct dns_answer *a = put(c, records(name, 50, text), 0, &stale);
		CHECK_INT(sizeof text - 1, a->record[0].data.n);
		CHECK(dns_cache_bytes(c) <= l.bytes_max);
	}
	CHECK(dns_cache_entries(c) > 4 && dns_cache_entries(c) < 10);
	/* Growth in place counts. */
	const size_t before = dns_cache_bytes(c);
	put(c, records("n49", 50, "short"), 0, &stale);
	CHECK(dns_cache_bytes(c) < before);
	dns_cache_free(&c);
}

static void one_answer_may_be_larger_than_the_limit(void)
{
	struct dns_cache_limits l = limits();
	bool stale;

	l.bytes_max = 10;
	struct dns_cache *c = dns_cache_new(&l);
	CHECK_INT(DNS_OK, put(c, records("a", 50, "xxxxxxxxxxxxxxxxxxxx"), 0, &stale)->result);
	CHECK_INT(DNS_OK, put(c, records("b", 50, "xxxxxxxxxxxxxxxxxxxx"), 0, &stale)->result);
	CHECK_INT(1, dns_cache_entries(c));
	dns_cache_free(&c);
}

TEST_MAIN(TEST(records_live_for_their_ttl_within_limits),
	  TEST(negatives_live_shorter_and_failures_very_short), TEST(old_records_stand_in_for_a_failure),
	  TEST(staleness_has_an_end), TEST(a_failure_does_not_replace_what_is_fresh),
	  TEST(the_longest_unused_goes_first), TEST(octets_are_limited_too),
	  TEST(one_answer_may_be_larger_than_the_limit))
