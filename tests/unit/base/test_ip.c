#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/ip.h"
#include "test.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	if (!ip_parse(span_of(text), &a))
		FAIL("\"%s\" is an address", text);
	return a;
}

static struct ip_net net(const char *text)
{
	struct ip_net n = { { 0 }, 0 };

	if (!ip_net_parse(span_of(text), &n))
		FAIL("\"%s\" is a network", text);
	return n;
}

static void addresses_are_read_and_written(void)
{
	static const char *const same[] = { "192.0.2.1", "0.0.0.0",     "255.255.255.255", "::",
					    "::1",       "2001:db8::1", "fe80::1:2:3:4" };
	static const char *const wrong[] = { "",
					     "192.0.2",
					     "192.0.2.256",
					     "192.0.2.1.1",
					     "192.0.2.01",
					     " 192.0.2.1",
					     "1::2::3",
					     "2001:db8::g",
					     "fe80::1%eth0",
					     "[::1]",
					     "192.0.2.1/32",
					     "::ffff:1.2.3.4.5:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	struct ip_addr a = { 0 };

	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		CHECK_STR(same[i], ip_format((a = addr(same[i]), &a)).s);
	CHECK_STR("2001:db8::1", ip_format((a = addr("2001:0DB8:0:0:0:0:0:1"), &a)).s);
	memset(&a, 0x55, sizeof a);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK(!ip_parse(span_of(wrong[i]), &a));
		CHECK_INT(0x55, a.len);
	}
	CHECK(!ip_parse(span_make("192.0.2.1\0", 10), &a));
	a = (struct ip_addr){ 0 };
	CHECK_STR("unknown", ip_format(&a).s);
}

static void a_mapped_address_is_ipv4(void)
{
	const struct ip_addr a = addr("::ffff:192.0.2.1"), b = addr("192.0.2.1");

	CHECK(ip_eq(&a, &b));
	CHECK_STR("192.0.2.1", ip_format(&a).s);
}

static void networks_are_read_and_written(void)
{
	static const char *const wrong[] = { "192.0.2.1/24",
					     "192.0.2.0/33",
					     "192.0.2.0/",
					     "192.0.2.0/-1",
					     "192.0.2.0/24/24",
					     "/24",
					     "2001:db8::1/64",
					     "2001:db8::/129",
					     "::ffff:192.0.2.0/24",
					     "::ffff:192.0.2.1/120",
					     "x/8",
					     "0.0.0.0/18446744073709551617" };
	struct ip_net n = net("192.0.2.0/24");

	CHECK_STR("192.0.2.0/24", ip_net_format(&n).s);
	n = net("192.0.2.7");
	CHECK_STR("192.0.2.7/32", ip_net_format(&n).s);
	n = net("2001:db8::/32");
	CHECK_STR("2001:db8::/32", ip_net_format(&n).s);
	n = net("fedc:ba98:7654:3210:fedc:ba98:7654:3210/128");
	CHECK_STR("fedc:ba98:7654:3210:fedc:ba98:7654:3210/128", ip_net_format(&n).s);
	n = net("0.0.0.0/0");
	CHECK_INT(0, n.bits);
	n = net("::ffff:192.0.2.0/120"); /* counted from the start of the IPv6 form */
	CHECK_STR("192.0.2.0/24", ip_net_format(&n).s);
	n = net("::ffff:0:0/96");
	CHECK_STR("0.0.0.0/0", ip_net_format(&n).s);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		CHECK(!ip_net_parse(span_of(wrong[i]), &n));
	CHECK_STR("0.0.0.0/0", ip_net_format(&n).s);
}

static void endpoints_are_read(void)
{
	static const char *const wrong[] = {
		"",      "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:x", "::1:25",
		"[::1]", "[::1:25",   ":25",        "[]:25",           "mail:25"
	};
	struct ip_endpoint e = { 0 };

	CHECK(ip_endpoint_parse(SPAN("192.0.2.1:25"), &e));
	CHECK_STR("192.0.2.1", ip_format(&e.addr).s);
	CHECK_INT(25, e.port);
	CHECK(ip_endpoint_parse(SPAN("[2001:db8::1]:65535"), &e));
	CHECK_STR("2001:db8::1", ip_format(&e.addr).s);
	CHECK_INT(65535, e.port);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		CHECK(!ip_endpoint_parse(span_of(wrong[i]), &e));
	CHECK_INT(65535, e.port);
}

static void networks_contain(void)
{
	static const struct {
		const char *net, *addr;
		bool in;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.7", "192.0.2.7", true },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "192.0.2.1", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
	};
	const struct ip_addr nobody = { 0 };
	const struct ip_net nothing = { { 0 }, 0 };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct ip_net n = net(cases[i].net);
		const struct ip_addr a = addr(cases[i].addr);
		CHECK_INT(cases[i].in, ip_net_contains(&n, &a));
	}
	CHECK(!ip_net_contains(&nothing, &nobody));
}

static void leading_bits_make_a_network(void)
{
	struct ip_addr a = addr("192.0.2.77");
	struct ip_net n = ip_net_of(&a, 24, 64);

	CHECK_STR("192.0.2.0/24", ip_net_format(&n).s);
	n = ip_net_of(&a, 99, 64);
	CHECK_STR("192.0.2.77/32", ip_net_format(&n).s);
	a = addr("2001:db8:1:2:3::4");
	n = ip_net_of(&a, 24, 64);
	CHECK_STR("2001:db8:1:2::/64", ip_net_format(&n).s);
}

static void loopback_is_known(void)
{
	static const char *const yes[] = { "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1" };
	static const char *const no[] = { "128.0.0.1", "::", "::2", "0.0.0.0", "7f00::1" };
	struct ip_addr a;

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		CHECK(ip_is_loopback((a = addr(yes[i]), &a)));
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		CHECK(!ip_is_loopback((a = addr(no[i]), &a)));
}

static void sockaddrs_go_both_ways(void)
{
	static const char *const texts[] = { "192.0.2.1:25", "[2001:db8::1]:587" };
	struct sockaddr_storage ss;
	struct ip_endpoint e, back;

	for (size_t i = 0; i < 2; i++) {
		NEED(ip_endpoint_parse(span_of(texts[i]), &e));
		CHECK_INT(i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
			  ip_to_sockaddr(&e, &ss));
		back = ip_from_sockaddr((struct sockaddr *)&ss);
		CHECK(ip_eq(&e.addr, &back.addr));
		CHECK_INT(e.port, back.port);
	}
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(25) };
	inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr);
	back = ip_from_sockaddr((struct sockaddr *)&mapped);
	CHECK_STR("192.0.2.1", ip_format(&back.addr).s);
	const struct ip_endpoint nowhere = { .port = 25 };
	CHECK_INT(0, ip_to_sockaddr(&nowhere, &ss));
	CHECK_INT(AF_UNSPEC, ss.ss_family);
	back = ip_from_sockaddr((struct sockaddr *)&ss);
	CHECK_INT(0, back.addr.len);
}

static struct ip_set *set_of(const char *const *texts)
{
	struct ip_set *set = ip_set_new();

	for (; *texts; texts++) {
		const struct ip_net n = net(*texts);
		ip_set_add(set, &n);
	}
	return set;
}

#define SET(...) set_of((const char *const[]){ __VA_ARGS__, NULL })

static void sets_contain(void)
{
	struct ip_set *set =
		SET("192.0.2.0/24", "192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "10.0.0.0/8");
	static const char *const in[] = { "192.0.2.1", "198.51.100.7", "2001:db8:ffff::1", "10.255.255.255",
					  "::ffff:10.1.1.1" };
	static const char *const out[] = { "192.0.3.1", "198.51.100.8", "2001:db9::1", "11.0.0.0", "::1" };
	const struct ip_addr nobody = { 0 };
	struct ip_addr a;

	CHECK_INT(4, ip_set_count(set));
	for (size_t i = 0; i < 5; i++) {
		CHECK(ip_set_contains(set, (a = addr(in[i]), &a)));
		CHECK(!ip_set_contains(set, (a = addr(out[i]), &a)));
	}
	CHECK(!ip_set_contains(set, &nobody));
	ip_set_free(&set);
	CHECK(set == NULL);
	ip_set_free(&set);
}

static void stray_octets_do_not_matter(void)
{
	struct ip_set *set = ip_set_new();
	struct ip_net n;
	struct ip_addr a;

	memset(&n, 0xee, sizeof n);
	n.addr.len = 4;
	memcpy(n.addr.b, (uint8_t[]){ 192, 0, 2, 55 }, 4); /* host bits too */
	n.bits = 24;
	ip_set_add(set, &n);
	memset(&a, 0x11, sizeof a);
	a.len = 4;
	memcpy(a.b, (uint8_t[]){ 192, 0, 2, 1 }, 4);
	CHECK(ip_set_contains(set, &a));
	ip_set_free(&set);
}

static void everything_is_recognised(void)
{
	const struct {
		struct ip_set *set;
		bool all;
	} cases[] = {
		{ ip_set_new(), false },
		{ SET("0.0.0.0/0"), true },
		{ SET("::/0"), true },
		{ SET("0.0.0.0/1", "128.0.0.0/1"), true },
		{ SET("0.0.0.0/1"), false },
		{ SET("0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2"), true },
		{ SET("0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"), false },
		{ SET("0.0.0.0/1", "128.0.0.0/1", "192.0.2.0/24"), true },
		{ SET("::/1", "8000::/2", "c000::/3", "e000::/3"), true },
		{ SET("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"), false },
		{ SET("::ffff:0:0/96"), true },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ip_set *set = cases[i].set;
		CHECK_INT(cases[i].all, ip_set_is_everything(set));
		ip_set_free(&set);
	}
}

TEST_MAIN(TEST(addresses_are_read_and_written), TEST(a_mapped_address_is_ipv4),
	  TEST(networks_are_read_and_written), TEST(endpoints_are_read), TEST(networks_contain),
	  TEST(leading_bits_make_a_network), TEST(loopback_is_known), TEST(sockaddrs_go_both_ways),
	  TEST(sets_contain), TEST(stray_octets_do_not_matter), TEST(everything_is_recognised))
