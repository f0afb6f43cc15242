#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

static struct ip_addr from_bytes(const void *p, uint8_t len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ip_addr a = { 0 };

	if (len == 16 && memcmp(p, mapped, sizeof mapped) == 0) {
		p = (const char *)p + sizeof mapped;
		len = 4;
	}
	a.len = len;
	memcpy(a.b, p, len);
	return a;
}

bool ip_parse(struct span s, struct ip_addr *addr_r)
{
	char text[IP_TEXT_MAX];
	uint8_t b[16];

	if (s.n == 0 || s.n >= sizeof text || memchr(s.p, 0, s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	if (inet_pton(AF_INET, text, b) == 1)
		*addr_r = from_bytes(b, 4);
	else if (inet_pton(AF_INET6, text, b) == 1)
		*addr_r = from_bytes(b, 16);
	else
		return false;
	return true;
}

/* Octets behind the address are made zero too, so that equal addresses have equal octets. */
static struct ip_addr masked(struct ip_addr a, unsigned bits)
{
	const unsigned all = a.len * 8u;

	bits = bits < all ? bits : all;
	for (unsigned i = 0; i < sizeof a.b; i++) {
		const unsigned keep = bits > i * 8 ? (bits - i * 8 < 8 ? bits - i * 8 : 8) : 0;
		a.b[i] = (uint8_t)(a.b[i] & (0xff00u >> keep));
	}
	return a;
}

static struct ip_net net_of(const struct ip_addr *addr, unsigned bits)
{
	const unsigned all = addr->len * 8u;

	return (struct ip_net){ masked(*addr, bits), (uint8_t)(bits < all ? bits : all) };
}

bool ip_net_parse(struct span s, struct ip_net *net_r)
{
	struct span rest = s;
	const struct span text = span_cut(&rest, '/');
	struct ip_addr addr;
	uint64_t bits;

	if (!ip_parse(text, &addr))
		return false;
	/* In "::ffff:192.0.2.0/120" the prefix counts from the start of the IPv6 form. */
	const unsigned mapped = addr.len == 4 && span_find_char(text, ':') >= 0 ? 96 : 0;
	bits = addr.len * 8u + mapped;
	if (rest.p && (!span_to_u64(rest, bits, &bits) || bits < mapped))
		return false;
	const struct ip_net net = net_of(&addr, (unsigned)bits - mapped);
	if (!ip_eq(&net.addr, &addr))
		return false;
	*net_r = net;
	return true;
}

bool ip_endpoint_parse(struct span s, struct ip_endpoint *e_r)
{
	const ptrdiff_t colon = span_rfind_char(s, ':');
	struct ip_addr addr;
	uint64_t port;

	if (colon < 0 || !span_to_u64(span_skip(s, (size_t)colon + 1), 65535, &port))
		return false;
	struct span host = span_first(s, (size_t)colon);
	const bool bracketed = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (bracketed)
		host = span_make(host.p + 1, host.n - 2);
	else if (span_find_char(host, ':') >= 0)
		return false; /* "::1:25" could be read two ways */
	if (!ip_parse(host, &addr))
		return false;
	*e_r = (struct ip_endpoint){ addr, (uint16_t)port };
	return true;
}

struct ip_text ip_format(const struct ip_addr *addr)
{
	struct ip_text t = { "unknown" };

	if (addr->len)
		inet_ntop(addr->len == 4 ? AF_INET : AF_INET6, addr->b, t.s, sizeof t.s);
	return t;
}

struct ip_text ip_net_format(const struct ip_net *net)
{
	struct ip_text t = ip_format(&net->addr);
	const size_t n = strlen(t.s);

	snprintf(t.s + n, sizeof t.s - n, "/%u", net->bits);
	return t;
}

bool ip_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

bool ip_net_contains(const struct ip_net *net, const struct ip_addr *addr)
{
	const struct ip_addr base = masked(*addr, net->bits);

	return addr->len != 0 && ip_eq(&base, &net->addr);
}

struct ip_net ip_net_of(const struct ip_addr *addr, unsigned bits4, unsigned bits6)
{
	return net_of(addr, addr->len == 4 ? bits4 : bits6);
}

bool ip_is_loopback(const struct ip_addr *addr)
{
	static const uint8_t one[16] = { [15] = 1 };

	return (addr->len == 4 && addr->b[0] == 127) || (addr->len == 16 && memcmp(addr->b, one, 16) == 0);
}

struct ip_endpoint ip_from_sockaddr(const struct sockaddr *sa)
{
	struct ip_endpoint e = { 0 };

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		e.addr = from_bytes(&in->sin_addr, 4);
		e.port = ntohs(in->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		e.addr = from_bytes(&in6->sin6_addr, 16);
		e.port = ntohs(in6->sin6_port);
	}
	return e;
}

socklen_t ip_to_sockaddr(const struct ip_endpoint *e, struct sockaddr_storage *sa_r)
{
	memset(sa_r, 0, sizeof *sa_r);
	if (e->addr.len == 4) {
		struct sockaddr_in *in = (void *)sa_r;
		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->addr.b, 4);
		return sizeof *in;
	}
	if (e->addr.len != 16)
		return 0;
	struct sockaddr_in6 *in6 = (void *)sa_r;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(e->port);
	memcpy(&in6->sin6_addr, e->addr.b, 16);
	return sizeof *in6;
}

/* ---- sets ----------------------------------------------------------------------------------------------------- */

struct set_entry {
	struct map_node node;
	struct ip_net net;
};

struct ip_set {
	struct map nets;    /* key: the octets of struct ip_net */
	uint32_t lens4[33]; /* how many networks have this prefix length */
	uint32_t lens6[129];
};

struct ip_set *ip_set_new(void)
{
	struct ip_set *set = mem_alloc(sizeof *set);

	map_init(&set->nets);
	return set;
}

void ip_set_free(struct ip_set **set)
{
	if (!*set)
		return;
	map_for_each_safe(e, &(*set)->nets)
		free(map_entry(e, struct set_entry, node));
	map_deinit(&(*set)->nets);
	free(*set);
	*set = NULL;
}

void ip_set_add(struct ip_set *set, const struct ip_net *net)
{
	if (!verify(net->addr.len == 4 || net->addr.len == 16))
		return;
	struct set_entry *e = mem_alloc(sizeof *e);
	e->net = net_of(&net->addr, net->bits);
	if (!map_put(&set->nets, &e->node, span_make(&e->net, sizeof e->net))) {
		free(e);
		return;
	}
	(e->net.addr.len == 4 ? set->lens4 : set->lens6)[e->net.bits]++;
}

static bool has_net(const struct ip_set *set, const struct ip_net *net)
{
	return map_get(&set->nets, span_make(net, sizeof *net)) != NULL;
}

bool ip_set_contains(const struct ip_set *set, const struct ip_addr *addr)
{
	const uint32_t *lens = addr->len == 4 ? set->lens4 : set->lens6;

	if (addr->len == 0)
		return false;
	for (unsigned bits = 0; bits <= addr->len * 8u; bits++) {
		if (!lens[bits])
			continue;
		const struct ip_net net = net_of(addr, bits);
		if (has_net(set, &net))
			return true;
	}
	return false;
}

size_t ip_set_count(const struct ip_set *set)
{
	return set->nets.n;
}

/* Is all of @net in networks of the set that are not larger than it? Every step down either meets one of them or ends the search,
 * so this takes at most twice as many steps as there are networks, and as deep as an address is long. */
static bool is_covered(const struct ip_set *set, const struct ip_net *net)
{
	if (has_net(set, net))
		return true;
	if (net->bits == net->addr.len * 8u)
		return false;
	struct ip_net half = { net->addr, (uint8_t)(net->bits + 1) };
	if (!is_covered(set, &half))
		return false;
	half.addr.b[net->bits / 8] |= (uint8_t)(0x80u >> (net->bits % 8));
	return is_covered(set, &half);
}

bool ip_set_is_everything(const struct ip_set *set)
{
	static const struct ip_net families[] = { { .addr.len = 4 }, { .addr.len = 16 } };

	return is_covered(set, &families[0]) || is_covered(set, &families[1]);
}
