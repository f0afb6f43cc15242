/* delivery/route.h - where mail goes: the operator's routes, as a value, and finding one for a recipient.
 *
 * A route matches recipient domains: exact names, "." and what is under a name, or "*". It leads to the domain's MX hosts, or to
 * hosts of its own ("[host]:port"), one of which is drawn by weight for each connection; the others are tried after it.
 *
 * Levels of TLS:
 *   off      never
 *   may      if the server offers it; if the handshake fails, on a new connection in the clear
 *   encrypt  always; any certificate
 *   verify   always; the chain ends at the route's CA, or at one of the system's, and the certificate is for one of the route's
 *            `names`, or without them for the host of the route, or for the MX host or the recipient domain
 *   dane     as the server's TLSA records say (RFC 7672); may, where there are none or the DNS is not signed
 *   sts      as the domain's MTA-STS policy says (RFC 8461); may, where there is none
 * What is demanded and cannot be had makes mail wait: nothing of it is ever sent in the clear.
 *
 * Ownership: the configuration snapshot's; immutable.  Threads: any.
 * Tests: tests/unit/delivery/test_route.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/map.h"
#include "base/span.h"
#include "dns/mx.h"
#include "queue/ledger.h"
#include "queue/schedule.h"

enum { ROUTE_HOSTS_MAX = 16, ROUTE_PORT = 25, ROUTE_HOST_TEXT_MAX = 280 /* "[name]:port" */ };

struct route_host {
	struct span name; /* a name or an address, without brackets */
	struct span text; /* "[name]:port" as people write it */
	uint16_t port;
	uint32_t weight; /* > 0 */
};

#define ROUTE_TLS_MAP(X)                                                                                     \
	X(OFF, "off") X(MAY, "may") X(ENCRYPT, "encrypt") X(VERIFY, "verify") X(DANE, "dane") X(STS, "sts")

enum route_tls_level {
#define X(name, text) ROUTE_TLS_##name,
	ROUTE_TLS_MAP(X)
#undef X
		ROUTE_TLS_MAX_
};

const char *route_tls_name(enum route_tls_level level);
int route_tls_parse(struct span text, enum route_tls_level *level_r); /* -ERR_NOTFOUND */
/* Is it the destination's domain that says what there has to be, and not the operator? */
static inline bool route_tls_is_asserted(enum route_tls_level level)
{
	return level == ROUTE_TLS_DANE || level == ROUTE_TLS_STS;
}

struct tls_client;
struct auth_credential;

struct route_tls {
	enum route_tls_level level;
	bool implicit; /* from the first octet on, as on port 465; the level is encrypt or verify */
	struct tls_client *context; /* the snapshot's; NULL only with OFF */
	const struct span *names;   /* of certificates, instead of the host's */
	size_t nnames;
};

/* With what we authenticate for senders of a domain. */
struct route_login {
	struct span domain; /* lower case */
	struct auth_credential *credential;
};

struct route {
	struct span name; /* for people; unique */
	struct route_host host[ROUTE_HOSTS_MAX];
	uint32_t nhosts; /* 0: the domain's MX hosts */
	uint16_t port;   /* of MX hosts */
	struct schedule schedule;
	struct ledger_limits limits;
	enum mx_families families;
	struct ip_addr source4, source6; /* len 0: the system chooses */
	uint32_t hide_ext;               /* enum smtp_ext: not to be used */
	bool helo_only;
	int64_t connect_timeout_us; /* for one address */
	int64_t idle_timeout_us;    /* an unused connection is kept for this long */
	uint32_t timeout_percent;   /* of RFC 5321's reply deadlines: 100 */
	struct route_tls tls;
	struct auth_credential *auth;        /* for all other senders; NULL: none */
	const struct route_login *by_sender; /* by domain, in order */
	size_t nby_sender;
	bool auth_unverified; /* a password may go to a server that was not verified, even in the clear */
};

struct route_match {
	struct map_node node;
	struct span domain; /* lower case; for a suffix without its dot */
	const struct route *route;
};

struct route_table {
	struct map exact, suffix;  /* of struct route_match */
	const struct route *other; /* "*"; never NULL */
	struct map by_name;        /* of struct route_name */
};

struct route_name {
	struct map_node node;
	struct route route;
};

void route_table_init(struct route_table *t);
void route_table_deinit(struct route_table *t);
/* The route is copied; spans in it must outlive the table. NULL if the name is taken. */
struct route *route_table_add(struct route_table *t, const struct route *r);
/* "example.org", ".example.org", "*". -ERR_EXISTS: it has a route; -ERR_SYNTAX: none of these. */
int route_table_match(struct route_table *t, struct span domain, const struct route *r);

const struct route *route_find(const struct route_table *t, struct span domain);
const struct route *route_by_name(const struct route_table *t, struct span name);

/* For @sender, "local@domain" or empty. NULL: none of its own. */
const struct route_login *route_login_find(const struct route *r, struct span sender);
const struct route_login *route_login_of(const struct route *r, struct span domain);

/* "[host]:port", "[host]", "[2001:db8::1]:25". Spans point into @s. */
int route_host_parse(struct span s, struct route_host *h_r);
