/* test_route.c - which route a recipient's domain has, and what names a host. */
#include "delivery/route.h"

#include "test.h"

static const struct route *add(struct route_table *t, const char *name)
{
	const struct route r = { .name = span_of(name) };
	const struct route *kept = route_table_add(t, &r);

	NEED(kept != NULL);
	return kept;
}

static void test_find(void)
{
	struct route_table t;

	route_table_init(&t);
	const struct route *other = add(&t, "other"), *exact = add(&t, "exact"), *under = add(&t, "under"),
			   *deeper = add(&t, "deeper");
	CHECK(route_table_add(&t, &(struct route){ .name = SPAN("exact") }) == NULL);
	CHECK_INT(0, route_table_match(&t, SPAN("*"), other));
	CHECK_INT(-ERR_EXISTS, route_table_match(&t, SPAN("*"), other));
	CHECK_INT(0, route_table_match(&t, SPAN("example.org"), exact));
	CHECK_INT(-ERR_EXISTS, route_table_match(&t, SPAN("example.org"), under));
	CHECK_INT(0, route_table_match(&t, SPAN(".example.org"), under));
	CHECK_INT(0, route_table_match(&t, SPAN(".a.example.org"), deeper));
	CHECK_INT(-ERR_SYNTAX, route_table_match(&t, SPAN("."), under));
	CHECK_INT(-ERR_SYNTAX, route_table_match(&t, SPAN(""), under));
	CHECK(route_find(&t, SPAN("example.org")) == exact);
	CHECK(route_find(&t, SPAN("x.example.org")) == under);
	CHECK(route_find(&t, SPAN("x.y.example.org")) == under);
	CHECK(route_find(&t, SPAN("a.example.org")) == under);
	CHECK(route_find(&t, SPAN("b.a.example.org")) == deeper);
	CHECK(route_find(&t, SPAN("notexample.org")) == other);
	CHECK(route_find(&t, SPAN("org")) == other);
	CHECK(route_find(&t, SPAN("")) == other);
	CHECK(route_by_name(&t, SPAN("under")) == under);
	CHECK(route_by_name(&t, SPAN("none")) == NULL);
	route_table_deinit(&t);
}

static void test_hosts(void)
{
	static const char *const bad[] = { "",
					   "[",
					   "[]",
					   "mx.example",
					   "[mx.example",
					   "[mx.example]:",
					   "[mx.example]:0",
					   "[mx.example]:65536",
					   "[mx.example]25",
					   "[a b]:25" };
	struct route_host h;

	CHECK_INT(0, route_host_parse(SPAN("[mx.example]:587"), &h));
	CHECK_SPAN("mx.example", h.name);
	CHECK_INT(587, h.port);
	CHECK_INT(1, h.weight);
	CHECK_INT(0, route_host_parse(SPAN("[192.0.2.1]"), &h));
	CHECK_INT(25, h.port);
	CHECK_INT(0, route_host_parse(SPAN("[2001:db8::1]:26"), &h));
	CHECK_SPAN("2001:db8::1", h.name);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (route_host_parse(span_of(bad[i]), &h) == 0)
			CHECK_STR("an error", bad[i]);
}

TEST_MAIN(TEST(test_find), TEST(test_hosts))
