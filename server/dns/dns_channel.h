/* dns/dns_channel.h - questions to servers and their messages back, by c-ares: sockets, retries, fail-over,
 * TCP when UDP cuts off.
 *
 * Internal to dns/. It knows nothing of caches and operations and never gives up a question early: c-ares
 * cannot. Each question is answered exactly once, at the latest after the tries of all servers, or by
 * dns_channel_free().
 *
 * Ids are ours, from the system's random numbers: those of c-ares 1.18 are from RC4 (CVE-2023-31147). So
 * c-ares is given whole messages. Only it looks at the clock here.
 *
 * Ownership: the asker embeds struct dns_ask and keeps it until it is answered.  Threads: the loop's.
 * Tests: tests/unit/dns/test_channel.c
 */
#pragma once

#include "base/err.h"
#include "base/ip.h"
#include "dns/dns_answer.h"
#include "dns/dns_name.h"
#include "io/loop.h"

enum { DNS_SERVERS_MAX = 8 };

struct dns_channel_config {
	const struct ip_endpoint *servers; /* in order of preference */
	size_t servers_n;                  /* 0: those of resolv_conf */
	const char *resolv_conf;           /* NULL: the system's */
	int64_t try_timeout_us;            /* of the first round; doubled in each round */
	unsigned tries;                    /* rounds over all servers */
	bool ask_authenticated;            /* whether the answer was validated (RFC 6840 section 5.7) */
};

struct dns_ask {
	/* @why is NULL and @msg a message that answers this question by its id, name and type, whatever else
	 * it holds; or @why says why there is none. */
	void (*answered)(struct dns_ask *ask, const char *why, struct span msg);
	struct dns_channel *channel_;
	struct dns_name name_;
	enum dns_type type_;
	bool edns_;
};

struct dns_channel;

struct dns_channel *dns_channel_new(struct loop *loop, const struct dns_channel_config *config,
				    struct errtext *why);
/* Answers what is open ("the resolver is closing"), from inside. */
void dns_channel_free(struct dns_channel **ch);

/* May be answered from inside. */
void dns_channel_ask(struct dns_channel *ch, struct dns_ask *ask, const struct dns_name *name,
		     enum dns_type type);

/* Questions that are not answered yet. */
unsigned dns_channel_open(const struct dns_channel *ch);
/* Of servers that are in use; fills at most DNS_SERVERS_MAX and returns how many. The first is the one asked
 * first. */
size_t dns_channel_servers(const struct dns_channel *ch, struct ip_endpoint *servers_r);
