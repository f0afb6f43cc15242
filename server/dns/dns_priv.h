/* dns/dns_priv.h - the resolver, for dns.c (questions and queries) and dns_life.c (how it begins, changes and
 * ends) alone. Tests: tests/unit/dns/test_dns.c
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "dns/dns.h"
#include "dns/dns_channel.h"

struct dns {
	struct loop *loop;
	struct dns_config config;
	struct dns_channel *channel; /* NULL: offline */
	struct list retired;         /* channels of earlier configurations, with questions open */
	struct task sweep; /* frees those whose last question is answered: not from inside their callbacks */
	struct dns_cache *cache;
	struct dns_hosts *hosts;
	struct map questions;
	bool closing;
	struct dns_stats stats;
};
