/* Text to addresses, networks and endpoints and back; sets of networks against the plain comparison.
 *
 * Input: a line each. All that parse as networks form a set, and each address that parses is looked up in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

enum { NETS_MAX = 32 };

static void check_address(struct span line)
{
	struct ip_addr a = { 0 }, again = { 0 };

	if (!ip_parse(line, &a)) {
		MUST(a.len == 0);
		return;
	}
	MUST(a.len == 4 || a.len == 16);
	MUST(ip_parse(span_of(ip_format(&a).s), &again) && ip_eq(&a, &again));
	struct sockaddr_storage ss;
	const struct ip_endpoint e = { a, 25 };
	MUST(ip_to_sockaddr(&e, &ss) > 0);
	const struct ip_endpoint back = ip_from_sockaddr((const struct sockaddr *)&ss);
	MUST(ip_eq(&back.addr, &a) && back.port == 25);
}

static bool check_net(struct span line, struct ip_net *net_r)
{
	struct ip_net again;

	if (!ip_net_parse(line, net_r))
		return false;
	MUST(net_r->bits <= net_r->addr.len * 8);
	MUST(ip_net_contains(net_r, &net_r->addr));
	MUST(ip_net_parse(span_of(ip_net_format(net_r).s), &again));
	MUST(ip_eq(&net_r->addr, &again.addr) && net_r->bits == again.bits);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip_net nets[NETS_MAX];
	size_t n = 0;
	struct ip_set *set = ip_set_new();
	const struct span all = span_make(data, size);

	for (struct span rest = all; rest.p && rest.n && n < NETS_MAX;) {
		const struct span line = span_cut(&rest, '\n');
		struct ip_endpoint e;
		check_address(line);
		if (ip_endpoint_parse(line, &e))
			MUST(e.addr.len != 0);
		if (check_net(line, &nets[n]))
			ip_set_add(set, &nets[n++]);
	}
	MUST(ip_set_count(set) <= n);
	for (struct span rest = all; rest.p && rest.n;) {
		struct ip_addr a;
		bool in = false;
		if (!ip_parse(span_cut(&rest, '\n'), &a))
			continue;
		for (size_t i = 0; i < n; i++)
			in |= ip_net_contains(&nets[i], &a);
		if (n < NETS_MAX)
			MUST(ip_set_contains(set, &a) == in);
	}
	if (ip_set_is_everything(set)) {
		/* Then the ends of one family are in it. */
		struct ip_addr low4, high4, low6, high6;
		MUST(ip_parse(SPAN("0.0.0.0"), &low4) && ip_parse(SPAN("255.255.255.255"), &high4));
		MUST(ip_parse(SPAN("::"), &low6) &&
		     ip_parse(SPAN("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), &high6));
		MUST((ip_set_contains(set, &low4) && ip_set_contains(set, &high4)) ||
		     (ip_set_contains(set, &low6) && ip_set_contains(set, &high6)));
	}
	ip_set_free(&set);
	return 0;
}
