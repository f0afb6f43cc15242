/* base/ip.h - addresses and networks as values.
 *
 * One type holds both families; an IPv4-mapped IPv6 address (::ffff:192.0.2.1) is the IPv4 address, so that a dual-stack
 * socket and a list of networks agree.
 *
 * Threads: pure.  Tests: tests/unit/base/test_ip.c, tests/fuzz/fuzz_base_ip.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/span.h"

struct ip_addr {
	uint8_t len; /* 4, 16, or 0 = none */
	uint8_t b[16];
};

struct ip_net {
	struct ip_addr addr; /* host bits are zero */
	uint8_t bits;
};

struct ip_endpoint {
	struct ip_addr addr;
	uint16_t port;
};

enum { IP_TEXT_MAX = 46 };
struct ip_text {
	char s[IP_TEXT_MAX];
};

/* "192.0.2.1", "2001:db8::1". These return false, and leave the result alone, when @s is something else. */
bool ip_parse(struct span s, struct ip_addr *addr_r);
/* "192.0.2.0/24", or an address alone; the host bits must be zero. */
bool ip_net_parse(struct span s, struct ip_net *net_r);
/* "192.0.2.1:25", "[::1]:25" */
bool ip_endpoint_parse(struct span s, struct ip_endpoint *e_r);
struct ip_text ip_format(const struct ip_addr *addr); /* "unknown" for none */
struct ip_text ip_net_format(const struct ip_net *net);

bool ip_eq(const struct ip_addr *a, const struct ip_addr *b);
bool ip_net_contains(const struct ip_net *net, const struct ip_addr *addr);
/* The network of @bits4 (IPv4) or @bits6 (IPv6) leading bits, or all of them if there are not so many, that holds @addr. */
struct ip_net ip_net_of(const struct ip_addr *addr, unsigned bits4, unsigned bits6);
bool ip_is_loopback(const struct ip_addr *addr);

struct ip_endpoint ip_from_sockaddr(const struct sockaddr *sa); /* no address if it is of another family */
/* Returns 0 and AF_UNSPEC when there is no address: connecting to "::" would reach ourselves. */
socklen_t ip_to_sockaddr(const struct ip_endpoint *e, struct sockaddr_storage *sa_r);

/* A set of networks; look-up is one hash probe per distinct prefix length in the set. */
struct ip_set;
struct ip_set *ip_set_new(void);
void ip_set_free(struct ip_set **set);
void ip_set_add(struct ip_set *set, const struct ip_net *net);
bool ip_set_contains(const struct ip_set *set, const struct ip_addr *addr);
size_t ip_set_count(const struct ip_set *set);
/* Does it hold the whole of a family, as 0.0.0.0/0 or in any number of pieces? */
bool ip_set_is_everything(const struct ip_set *set);
