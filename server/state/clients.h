/* state/clients.h - who is connected: open connections per client and per listener, over all workers.
 *
 * A client is an IPv4 address or an IPv6 /64, which one host can fill by itself. What counts per client is
 * over all listeners. The table is as large as there are clients connected, so it is bounded by the
 * connections that the process may have.
 *
 * Threads: any; shards with a lock each.  Ownership: what enters must leave, with the same address and total.
 * Tests: tests/unit/state/test_clients.c
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/ip.h"

struct clients;

/* Of a listener, shared by the workers; its owner's, zeroed before its first use. */
struct clients_total {
	_Atomic uint32_t open;
};

/* 0: no limit. */
struct clients_limits {
	uint32_t per_client_max;
	uint32_t total_max; /* of the listener */
};

#define CLIENTS_MAP(X)                                                                                       \
	X(OK, "ok")                                                                                          \
	X(OVER_CLIENT, "connections_per_client") /* this client has as many as it may have */                \
	X(OVER_TOTAL, "connections")             /* the listener has */

enum clients_verdict {
#define X(name, text) CLIENTS_##name,
	CLIENTS_MAP(X)
#undef X
};

const char *clients_verdict_name(enum clients_verdict v); /* the name of the limit, for the log */

struct clients *clients_new(void);
void clients_free(struct clients **c); /* all must have left */

/* OK: it counts from now on. *open_r (may be NULL): how many this client (or the listener, OVER_TOTAL) has
 * now. */
enum clients_verdict clients_enter(struct clients *c, const struct ip_addr *addr, struct clients_total *total,
				   const struct clients_limits *limits, uint32_t *open_r);
void clients_leave(struct clients *c, const struct ip_addr *addr, struct clients_total *total);

uint32_t clients_open(struct clients *c, const struct ip_addr *addr);
uint64_t clients_distinct(struct clients *c); /* how many different clients are connected */
