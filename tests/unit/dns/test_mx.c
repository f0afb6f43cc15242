#include "dns/mx.h"
#include "test.h"

/* Random numbers that can be repeated. */
static uint64_t xorshift(void *arg, uint64_t bound)
{
	uint64_t *x = arg;

	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x % bound;
}

/* The last one: a shuffle that leaves everything where it is. */
static uint64_t last(void *arg, uint64_t bound)
{
	(void)arg;
	return bound - 1;
}

static const struct mx_random as_is = { last, NULL };

struct mx_row {
	uint16_t preference;
	const char *host;
};

static struct dns_answer *answer(const struct mx_row *rows, size_t n)
{
	struct dns_record records[DNS_RECORDS_MAX] = { { 0 } };

	for (size_t i = 0; i < n; i++) {
		records[i].preference = rows[i].preference;
		records[i].data = span_of(rows[i].host);
	}
	return dns_answer_new(DNS_MX, SPAN("example.org"), records, n);
}

/* Orders @rows for a host called relay.example.edu; the hosts as words of one string. */
static enum mx_result order(const struct mx_row *rows, size_t n, const struct mx_random *rnd, char *words,
			    size_t words_max)
{
	static const struct span own[] = { SPAN_INIT("relay.example.edu"),
					   SPAN_INIT("smtp-relay.example.edu") };
	const struct mx_self self = { own, 2, NULL };
	struct dns_answer *a = answer(rows, n);
	struct mx_host hosts[MX_HOSTS_MAX];
	size_t found = 0;
	const enum mx_result result = mx_order(a, &self, rnd, hosts, &found);

	words[0] = '\0';
	for (size_t i = 0; i < found; i++) {
		const size_t at = strlen(words);
		snprintf(words + at, words_max - at, "%s%.*s", i ? " " : "", SPAN_ARG(hosts[i].name));
	}
	dns_answer_unref(&a);
	return result;
}

static void the_matrix(void)
{
	static const struct {
		const char *what;
		struct mx_row rows[6];
		enum mx_result result;
		const char *hosts;
	} cases[] = {
		{ "one", { { 10, "a.example" } }, MX_FOUND, "a.example" },
		{ "by preference",
		  { { 20, "b" }, { 10, "a" }, { 65535, "d" }, { 30, "c" } },
		  MX_FOUND,
		  "a b c d" },
		{ "null MX", { { 0, "." } }, MX_NULL, "" },
		{ "null MX with another number", { { 10, "." } }, MX_NULL, "" },
		{ "a dot among others", { { 0, "." }, { 10, "a" } }, MX_FOUND, "a" },
		{ "only dots", { { 0, "." }, { 10, "." } }, MX_UNUSABLE, "" },
		{ "an address", { { 10, "192.0.2.1" } }, MX_UNUSABLE, "" },
		{ "an address and a host", { { 10, "192.0.2.1" }, { 20, "b" } }, MX_FOUND, "b" },
		{ "no host", { { 10, "a b.example" }, { 20, "\\092.example" } }, MX_UNUSABLE, "" },
		{ "an underscore", { { 10, "mail_1.example" } }, MX_FOUND, "mail_1.example" },
		{ "twice the same", { { 20, "a" }, { 15, "b" }, { 10, "a" } }, MX_FOUND, "a b" },
		{ "we are the best", { { 10, "relay.example.edu" }, { 20, "b" } }, MX_LOOP, "" },
		{ "we are the only one", { { 10, "relay.example.edu" } }, MX_LOOP, "" },
		{ "we are second",
		  { { 20, "smtp-relay.example.edu" }, { 10, "a" }, { 30, "c" } },
		  MX_FOUND,
		  "a" },
		{ "our equals go too",
		  { { 20, "relay.example.edu" }, { 20, "b" }, { 10, "a" } },
		  MX_FOUND,
		  "a" },
		{ "the best of our names counts",
		  { { 30, "relay.example.edu" }, { 20, "smtp-relay.example.edu" }, { 25, "b" }, { 10, "a" } },
		  MX_FOUND,
		  "a" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char words[400];
		size_t n = 0;
		while (n < 6 && cases[i].rows[n].host)
			n++;
		const enum mx_result result = order(cases[i].rows, n, &as_is, words, sizeof words);
		if (result != cases[i].result || strcmp(words, cases[i].hosts) != 0)
			printf("  %s:\n", cases[i].what);
		CHECK_STR(mx_result_name(cases[i].result), mx_result_name(result));
		CHECK_STR(cases[i].hosts, words);
	}
}

static void equals_are_shuffled_fairly(void)
{
	static const struct mx_row rows[] = { { 10, "a" }, { 20, "x" }, { 10, "b" }, { 10, "c" } };
	static const char *const orders[] = {
		"a b c x", "a c b x", "b a c x", "b c a x", "c a b x", "c b a x"
	};
	uint64_t state = 88172645463325252;
	const struct mx_random rnd = { xorshift, &state };
	unsigned seen[6] = { 0 }, other = 0;
	char words[100];

	for (int i = 0; i < 6000; i++) {
		CHECK_INT(MX_FOUND, order(rows, 4, &rnd, words, sizeof words));
		size_t k = 0;
		while (k < 6 && strcmp(words, orders[k]) != 0)
			k++;
		if (k < 6)
			seen[k]++;
		else
			other++;
	}
	CHECK_INT(0, other);
	for (size_t k = 0; k < 6; k++)
		CHECK(seen[k] > 850 && seen[k] < 1150);
}

static void hosts_are_limited_to_the_best(void)
{
	struct mx_row rows[40];
	char names[40][8], words[400];

	for (unsigned i = 0; i < 40; i++) {
		snprintf(names[i], sizeof names[i], "h%u", 39 - i);
		rows[i] = (struct mx_row){ (uint16_t)(39 - i), names[i] };
	}
	CHECK_INT(MX_FOUND, order(rows, 40, &as_is, words, sizeof words));
	CHECK_STR("h0 h1 h2 h3 h4 h5 h6 h7 h8 h9 h10 h11 h12 h13 h14 h15 h16 h17 h18 h19", words);
}

/* ---- addresses ----------------------------------------------------------------------------------------- */

static struct dns_answer *addresses(enum dns_type type, size_t n)
{
	struct dns_record records[DNS_RECORDS_MAX] = { { 0 } };

	for (size_t i = 0; i < n; i++) {
		records[i].addr.len = type == DNS_A ? 4 : 16;
		records[i].addr.b[records[i].addr.len - 1] = (uint8_t)(i + 1);
	}
	return n ? dns_answer_new(type, SPAN("a.example"), records, n)
		 : dns_answer_new_empty(type, SPAN("a.example"), DNS_NXDOMAIN, NULL);
}

/* As "6.1 4.1 6.2 ...". */
static void order_addresses(size_t v4_n, size_t v6_n, enum mx_families families, char *words,
			    size_t words_max)
{
	struct dns_answer *v4 = addresses(DNS_A, v4_n), *v6 = addresses(DNS_AAAA, v6_n);
	struct ip_addr addrs[MX_HOST_ADDRS_MAX];
	const size_t n = mx_addrs_order(v4, v6, families, &as_is, addrs);

	words[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const size_t at = strlen(words);
		snprintf(words + at, words_max - at, "%s%d.%d", i ? " " : "", addrs[i].len == 4 ? 4 : 6,
			 addrs[i].b[addrs[i].len - 1]);
	}
	dns_answer_unref(&v4);
	dns_answer_unref(&v6);
}

static void families_take_turns(void)
{
	char words[200];

	order_addresses(2, 2, MX_FAMILIES_IPV6_FIRST, words, sizeof words);
	CHECK_STR("6.1 4.1 6.2 4.2", words);
	order_addresses(2, 2, MX_FAMILIES_IPV4_FIRST, words, sizeof words);
	CHECK_STR("4.1 6.1 4.2 6.2", words);
	order_addresses(3, 1, MX_FAMILIES_IPV6_FIRST, words, sizeof words);
	CHECK_STR("6.1 4.1 4.2 4.3", words);
	order_addresses(2, 2, MX_FAMILIES_IPV4_ONLY, words, sizeof words);
	CHECK_STR("4.1 4.2", words);
	order_addresses(2, 2, MX_FAMILIES_IPV6_ONLY, words, sizeof words);
	CHECK_STR("6.1 6.2", words);
	order_addresses(2, 0, MX_FAMILIES_IPV6_ONLY, words, sizeof words);
	CHECK_STR("", words);
	order_addresses(0, 0, MX_FAMILIES_IPV6_FIRST, words, sizeof words);
	CHECK_STR("", words);
	order_addresses(60, 60, MX_FAMILIES_IPV6_FIRST, words, sizeof words);
	CHECK_STR("6.1 4.1 6.2 4.2 6.3 4.3 6.4 4.4 6.5 4.5", words);
	order_addresses(60, 0, MX_FAMILIES_IPV6_FIRST, words, sizeof words);
	CHECK_STR("4.1 4.2 4.3 4.4 4.5 4.6 4.7 4.8 4.9 4.10", words);
}

static void addresses_are_shuffled(void)
{
	uint64_t state = 1;
	const struct mx_random rnd = { xorshift, &state };
	struct dns_answer *v4 = addresses(DNS_A, 4);
	unsigned first[5] = { 0 };

	for (int i = 0; i < 4000; i++) {
		struct ip_addr addrs[MX_HOST_ADDRS_MAX];
		unsigned seen = 0;
		CHECK_INT(4, mx_addrs_order(v4, NULL, MX_FAMILIES_IPV6_FIRST, &rnd, addrs));
		for (int k = 0; k < 4; k++)
			seen |= 1U << addrs[k].b[3];
		CHECK_INT(0x1e, seen); /* each once */
		first[addrs[0].b[3]]++;
	}
	for (int k = 1; k <= 4; k++)
		CHECK(first[k] > 850 && first[k] < 1150);
	dns_answer_unref(&v4);
}

static void own_names_and_addresses(void)
{
	const struct span names[] = { SPAN("Relay.Example.EDU") };
	struct ip_set *addrs = ip_set_new();
	struct ip_net loopback;
	struct ip_addr addr;

	NEED(ip_net_parse(SPAN("127.0.0.0/8"), &loopback));
	ip_set_add(addrs, &loopback);
	const struct mx_self self = { names, 1, addrs }, nobody = { 0 };
	NEED(ip_parse(SPAN("127.0.0.2"), &addr));
	CHECK(mx_self_has_name(&self, SPAN("relay.example.edu")));
	CHECK(!mx_self_has_name(&self, SPAN("example.edu")));
	CHECK(mx_self_has_addr(&self, &addr));
	CHECK(!mx_self_has_addr(&nobody, &addr));
	CHECK(!mx_self_has_name(&nobody, SPAN("relay.example.edu")));
	ip_set_free(&addrs);
}

TEST_MAIN(TEST(the_matrix), TEST(equals_are_shuffled_fairly), TEST(hosts_are_limited_to_the_best),
	  TEST(families_take_turns), TEST(addresses_are_shuffled), TEST(own_names_and_addresses))
