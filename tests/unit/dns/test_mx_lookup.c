#include "dns/mx_lookup.h"

#include "dns_test.h"

/* name, type, value; "!tempfail" and the like for results */
static const char *const table[][3] = {
	{ "example.org", "MX", "20 mx2.example.org" },
	{ "example.org", "MX", "10 mx1.example.org" },
	{ "mx1.example.org", "A", "192.0.2.1" },
	{ "mx1.example.org", "AAAA", "2001:db8::1" },
	{ "mx2.example.org", "A", "192.0.2.2" },
	{ "implicit.example", "A", "192.0.2.3" },
	{ "null.example", "MX", "0 ." },
	{ "us.example", "MX", "10 relay.example.edu" },
	{ "us.example", "MX", "20 mx2.example.org" },
	{ "second.example", "MX", "10 mx1.example.org" },
	{ "second.example", "MX", "20 relay.example.edu" },
	{ "second.example", "MX", "30 mx2.example.org" },
	{ "relay.example.edu", "A", "198.51.100.1" },
	{ "alias-of-us.example", "A", "198.51.100.1" },
	{ "by-address.example", "MX", "10 mx1.example.org" },
	{ "by-address.example", "MX", "20 alias-of-us.example" },
	{ "by-address.example", "MX", "20 mx2.example.org" },
	{ "only-us-by-address.example", "MX", "5 alias-of-us.example" },
	{ "literal.example", "MX", "10 192.0.2.9" },
	{ "literal.example", "A", "192.0.2.10" },
	{ "dangling.example", "MX", "10 nowhere.example" },
	{ "dangling.example", "A", "192.0.2.11" },
	{ "half.example", "MX", "10 down.example" },
	{ "half.example", "MX", "20 mx2.example.org" },
	{ "down.example", "A", "!tempfail" },
	{ "down.example", "AAAA", "!tempfail" },
	{ "all-down.example", "MX", "10 down.example" },
	{ "all-down.example", "MX", "20 nowhere.example" },
	{ "v6-down.example", "A", "192.0.2.12" },
	{ "v6-down.example", "AAAA", "!tempfail" },
	{ "mx-down.example", "MX", "!tempfail" },
	{ "mx-down.example", "A", "192.0.2.13" },
	{ "implicit-down.example", "A", "!tempfail" },
	{ "xn--bcher-kva.example", "MX", "10 xn--mx-eka.example" },
	{ "xn--mx-eka.example", "A", "192.0.2.14" },
	{ "_service.192.0.2.1", "TXT", "x" },
};

struct bed {
	struct dns_test t;
	struct ip_set *own_addrs;
	struct span own_names[1];
	struct mx_config config;
	struct mx_lookup m;
};

static uint64_t last(void *arg, uint64_t bound)
{
	(void)arg;
	return bound - 1;
}

static void bed_start(struct bed *b, const char *script)
{
	struct dns_config config = dns_test_config();
	struct dns_hosts *hosts = dns_hosts_new();
	struct ip_net own;
	struct errtext why = { "" };

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		enum dns_type type = DNS_A;
		CHECK(dns_type_parse(span_of(table[i][1]), &type));
		if (table[i][2][0] == '!')
			dns_hosts_add_result(hosts, span_of(table[i][0]), type, DNS_TEMPFAIL, &why);
		else
			dns_hosts_add(hosts, span_of(table[i][0]), type, span_of(table[i][2]), &why);
		CHECK_STR("", why.s);
	}
	if (!script)
		config.hosts = hosts;
	dns_test_start(&b->t, script, config);
	dns_hosts_free(&hosts);

	b->own_addrs = ip_set_new();
	NEED(ip_net_parse(SPAN("198.51.100.1"), &own));
	ip_set_add(b->own_addrs, &own);
	b->own_names[0] = SPAN("relay.example.edu");
	b->config = (struct mx_config){ .self = { b->own_names, 1, b->own_addrs }, .random = { last, NULL } };
	mx_lookup_init(&b->m, nothing_done);
}

static void bed_stop(struct bed *b)
{
	mx_lookup_deinit(&b->m);
	dns_test_stop(&b->t);
	ip_set_free(&b->own_addrs);
}

/* The targets as "preference host address, ...". */
static const char *targets_of(const struct mx_lookup *m, char *text, size_t max)
{
	text[0] = '\0';
	for (size_t i = 0; i < m->n; i++) {
		const struct mx_target *target = &m->targets[i];
		const size_t at = strlen(text);
		snprintf(text + at, max - at, "%s%u %.*s %s", i ? ", " : "", target->preference,
			 SPAN_ARG(target->host), ip_format(&target->addr).s);
	}
	return text;
}

static void expect(struct bed *b, const char *what, enum mx_result result, const char *targets,
		   const char *why)
{
	char text[2000];

	dns_test_wait(&b->t, &b->m.op);
	targets_of(&b->m, text, sizeof text);
	if (b->m.result != result || strcmp(text, targets) != 0 || strcmp(b->m.why.s, why) != 0)
		printf("  %s:\n", what);
	CHECK_STR(mx_result_name(result), mx_result_name(b->m.result));
	CHECK_STR(targets, text);
	CHECK_STR(why, b->m.why.s);
}

static void find(struct bed *b, const char *domain, enum mx_result result, const char *targets,
		 const char *why)
{
	CHECK_INT(0, mx_lookup_start(&b->m, b->t.dns, &b->t.scope, &b->config, span_of(domain), 0));
	CHECK(op_pending(&b->m.op)); /* never from inside */
	expect(b, domain, result, targets, why);
}

static void find_host(struct bed *b, const char *host, enum mx_result result, const char *targets,
		      const char *why)
{
	CHECK_INT(0, mx_lookup_start_host(&b->m, b->t.dns, &b->t.scope, &b->config, span_of(host), 0));
	expect(b, host, result, targets, why);
}

static void the_matrix(void)
{
	static const struct {
		const char *domain;
		enum mx_result result;
		const char *targets, *why;
	} cases[] = {
		{ "Example.org", MX_FOUND,
		  "10 mx1.example.org 2001:db8::1, 10 mx1.example.org 192.0.2.1, 20 mx2.example.org 192.0.2.2",
		  "" },
		{ "b\xc3\xbc"
		  "cher.example",
		  MX_FOUND, "10 xn--mx-eka.example 192.0.2.14", "" },
		{ "\xff.example", MX_INVALID, "", "\xff.example: no name of the DNS" },
		{ "implicit.example", MX_FOUND, "0 implicit.example 192.0.2.3", "" },
		{ "nowhere.example", MX_NXDOMAIN, "", "nowhere.example: there is no such domain" },
		{ "null.example", MX_NULL, "", "null.example: the domain takes no mail (null MX)" },
		{ "us.example", MX_LOOP, "", "us.example: mail for it would come back to this host" },
		{ "relay.example.edu", MX_LOOP, "",
		  "relay.example.edu: it has no MX records and is this host" },
		{ "second.example", MX_FOUND, "10 mx1.example.org 2001:db8::1, 10 mx1.example.org 192.0.2.1",
		  "" },
		{ "by-address.example", MX_FOUND,
		  "10 mx1.example.org 2001:db8::1, 10 mx1.example.org 192.0.2.1", "" },
		{ "only-us-by-address.example", MX_LOOP, "",
		  "only-us-by-address.example: mail for it would come back to this host" },
		{ "alias-of-us.example", MX_LOOP, "",
		  "alias-of-us.example: mail for it would come back to this host" },
		/* The domain's own addresses do not count when it has MX records (RFC 5321 section 5.1). */
		{ "literal.example", MX_UNUSABLE, "",
		  "literal.example: none of its MX records names a host" },
		{ "dangling.example", MX_NO_ADDRESS, "",
		  "dangling.example: none of its mail hosts has an address" },
		{ "null-address.example", MX_NXDOMAIN, "", "null-address.example: there is no such domain" },
		{ "mx-down.example", MX_TEMPFAIL, "",
		  "mx-down.example: its MX records could not be learned: it was configured so" },
		{ "implicit-down.example", MX_TEMPFAIL, "",
		  "implicit-down.example: no address of a mail host could be learned: it was configured so" },
		/* One that is unknown makes "there is none" unknowable. */
		{ "all-down.example", MX_TEMPFAIL, "",
		  "all-down.example: no address of a mail host could be learned: it was configured so" },
		{ "_service.192.0.2.1", MX_NO_ADDRESS, "",
		  "_service.192.0.2.1: it has no MX records and cannot be a host" },
		{ "a..b", MX_INVALID, "", "a..b: the name has an empty label" },
		{ "b\xc3\xbc.example", MX_NXDOMAIN, "", "xn--b-eha.example: there is no such domain" },
	};
	struct bed b;

	bed_start(&b, NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		find(&b, cases[i].domain, cases[i].result, cases[i].targets, cases[i].why);
	bed_stop(&b);
}

static void what_is_missing_is_told(void)
{
	struct bed b;

	bed_start(&b, NULL);
	find(&b, "half.example", MX_FOUND, "20 mx2.example.org 192.0.2.2", "");
	CHECK(b.m.incomplete);
	CHECK(!b.m.implicit);
	find(&b, "v6-down.example", MX_FOUND, "0 v6-down.example 192.0.2.12", "");
	CHECK(b.m.incomplete);
	CHECK(b.m.implicit);
	b.config.families = MX_FAMILIES_IPV4_ONLY;
	find(&b, "v6-down.example", MX_FOUND, "0 v6-down.example 192.0.2.12", "");
	CHECK(!b.m.incomplete);
	CHECK_INT(DNS_HOSTS_TTL_S, b.m.ttl_s);
	bed_stop(&b);
}

static void families_are_configured(void)
{
	struct bed b;

	bed_start(&b, NULL);
	b.config.families = MX_FAMILIES_IPV4_FIRST;
	find(&b, "example.org", MX_FOUND,
	     "10 mx1.example.org 192.0.2.1, 10 mx1.example.org 2001:db8::1, 20 mx2.example.org 192.0.2.2",
	     "");
	b.config.families = MX_FAMILIES_IPV6_ONLY;
	find(&b, "example.org", MX_FOUND, "10 mx1.example.org 2001:db8::1", "");
	find(&b, "implicit.example", MX_NO_ADDRESS, "",
	     "implicit.example: none of its mail hosts has an address");
	bed_stop(&b);
}

static void address_literals_are_their_own_targets(void)
{
	struct bed b;

	bed_start(&b, NULL);
	find(&b, "[192.0.2.1]", MX_FOUND, "0 [192.0.2.1] 192.0.2.1", "");
	CHECK(b.m.ttl_s == UINT32_MAX);
	find(&b, "[IPv6:2001:DB8::1]", MX_FOUND, "0 [IPv6:2001:db8::1] 2001:db8::1", "");
	find(&b, "[198.51.100.1]", MX_LOOP, "", "[198.51.100.1]: it is this host");
	CHECK_INT(0, mx_lookup_start(&b.m, b.t.dns, &b.t.scope, &b.config, SPAN("[192.0.2]"), 0));
	dns_test_wait(&b.t, &b.m.op);
	CHECK_INT(MX_INVALID, b.m.result);
	CHECK_INT(0, mx_lookup_start(&b.m, b.t.dns, &b.t.scope, &b.config, SPAN("["), 0));
	dns_test_wait(&b.t, &b.m.op);
	CHECK_INT(MX_INVALID, b.m.result);
	bed_stop(&b);
}

static void hosts_of_routes_have_no_mx(void)
{
	struct bed b;

	bed_start(&b, NULL);
	find_host(&b, "mx2.example.org", MX_FOUND, "0 mx2.example.org 192.0.2.2", "");
	find_host(&b, "mx-down.example", MX_FOUND, "0 mx-down.example 192.0.2.13", "");
	find_host(&b, "192.0.2.77", MX_FOUND, "0 192.0.2.77 192.0.2.77", "");
	find_host(&b, "2001:db8::77", MX_FOUND, "0 2001:db8::77 2001:db8::77", "");
	find_host(&b, "example.org", MX_NO_ADDRESS, "", "example.org: none of its mail hosts has an address");
	find_host(&b, "down.example", MX_TEMPFAIL, "",
		  "down.example: no address of a mail host could be learned: it was configured so");
	find_host(&b, "a b", MX_INVALID, "", "a b: the name has a character that names cannot have");
	/* This host is a possible next hop: another port of it. */
	find_host(&b, "relay.example.edu", MX_FOUND, "0 relay.example.edu 198.51.100.1", "");
	bed_stop(&b);
}

static void the_number_of_targets_is_limited(void)
{
	struct bed b;
	char *script = calloc(1, 20000);
	size_t at = 0;

	for (int i = 0; i < 25; i++) {
		at += (size_t)snprintf(script + at, 20000 - at, "many.example MX %d mx%d.example\n", i + 1,
				       i);
		for (int k = 0; k < 5; k++)
			at += (size_t)snprintf(script + at, 20000 - at, "mx%d.example A 192.0.2.%d\n", i, k);
	}
	bed_start(&b, script);
	free(script);
	CHECK_INT(0, mx_lookup_start(&b.m, b.t.dns, &b.t.scope, &b.config, SPAN("many.example"), 0));
	dns_test_wait(&b.t, &b.m.op);
	CHECK_INT(MX_FOUND, b.m.result);
	CHECK_INT(MX_ADDRS_MAX, b.m.n);
	CHECK_SPAN("mx0.example", b.m.targets[4].host);
	CHECK_SPAN("mx1.example", b.m.targets[5].host);
	CHECK_INT(1 + 2 * MX_HOSTS_MAX, name_server_asked(b.t.ns, NULL, NULL)); /* not for the other hosts */
	bed_stop(&b);
}

static void a_server_says_it_too(void)
{
	struct bed b;

	bed_start(&b, "example.org 30 MX 10 mail.example.org\nmail.example.org 20 CNAME host.example.org\n"
		      "host.example.org 50 A 192.0.2.1\nhost.example.org 50 AAAA 2001:db8::5\n"
		      "example.org AD\nmail.example.org AD\n"
		      "slow.example MX 10 dead.example\ndead.example DROP\n");
	find(&b, "example.org", MX_FOUND, "10 mail.example.org 2001:db8::5, 10 mail.example.org 192.0.2.1",
	     "");
	CHECK_INT(20, b.m.ttl_s);
	CHECK(!b.m.targets[0].authenticated); /* it is not trusted here */
	for (size_t i = 0; i < 2; i++)
		CHECK_SPAN("host.example.org", b.m.targets[i].canonical);
	bed_stop(&b);
}

static void the_deadline_holds(void)
{
	struct bed b;

	bed_start(&b,
		  "slow.example MX 10 dead.example\nslow.example MX 20 mx.example\nmx.example A 192.0.2.1\n"
		  "dead.example DROP\nworse.example DROP\nimplicit.example A DROP\n");
	/* What was found until then counts. */
	CHECK_INT(0, mx_lookup_start(&b.m, b.t.dns, &b.t.scope, &b.config, SPAN("slow.example"), 60 * MS));
	expect(&b, "slow.example", MX_FOUND, "20 mx.example 192.0.2.1", "");
	CHECK(b.m.incomplete);
	CHECK_INT(0, mx_lookup_start(&b.m, b.t.dns, &b.t.scope, &b.config, SPAN("worse.example"), 60 * MS));
	dns_test_wait(&b.t, &b.m.op);
	CHECK_INT(MX_TEMPFAIL, b.m.result);
	CHECK_STR("worse.example: its MX records could not be learned: there was no answer in time",
		  b.m.why.s);
	bed_stop(&b);
}

static void cancel_in_every_step(void)
{
	struct bed b;

	bed_start(&b, "* DELAY 5\n* MX 10 mx.example\n* A 192.0.2.1\n");
	for (int64_t after = 0; after < 12 * MS; after += MS) {
		char domain[32];
		snprintf(domain, sizeof domain, "d%d.example", (int)after);
		CHECK_INT(0, mx_lookup_start(&b.m, b.t.dns, &b.t.scope, &b.config, span_of(domain), 0));
		if (after)
			dns_test_sleep(&b.t, after);
		op_cancel(&b.m.op);
		dns_test_wait(&b.t, &b.m.op);
		CHECK(b.m.op.status == 0 || b.m.op.status == -ERR_CANCELED);
	}
	/* And by its scope, in the second step. */
	CHECK_INT(0, mx_lookup_start_host(&b.m, b.t.dns, &b.t.scope, &b.config, SPAN("host.example"), 0));
	scope_close(&b.t.scope);
	dns_test_wait(&b.t, &b.m.op);
	CHECK_INT(-ERR_CANCELED, b.m.op.status);
	CHECK_INT(-ERR_CANCELED, mx_lookup_start(&b.m, b.t.dns, &b.t.scope, &b.config, SPAN("x.example"), 0));
	bed_stop(&b);
}

TEST_MAIN(TEST(the_matrix), TEST(what_is_missing_is_told), TEST(families_are_configured),
	  TEST(address_literals_are_their_own_targets), TEST(hosts_of_routes_have_no_mx),
	  TEST(the_number_of_targets_is_limited), TEST(a_server_says_it_too), TEST(the_deadline_holds),
	  TEST(cancel_in_every_step))
