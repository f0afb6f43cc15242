/* How a resolver begins, changes and ends. A change makes a new channel; the old one is retired: it gets no
 * more questions and goes, by the sweep at the end of a turn, when its last one is answered.
 */
#include <ares.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "dns/dns_priv.h"

enum { SECOND_US = 1000 * 1000, TRY_MIN_US = 10 * 1000, TRIES_MAX = 10 };

struct retired {
	struct list link;
	struct dns_channel *channel;
};

int dns_global_init(void)
{
	return ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS ? 0 : -ERR_NOMEM;
}

void dns_global_deinit(void)
{
	ares_library_cleanup();
}

const char *dns_library(void)
{
	return ares_version(NULL);
}

struct dns_config dns_config_default(void)
{
	return (struct dns_config){
		.try_timeout_us = 2 * (int64_t)SECOND_US,
		.tries = 2,
		.deadline_us = 8 * (int64_t)SECOND_US,
		.questions_max = 2000,
		.cache = dns_cache_limits_default(),
	};
}

static void retired_free(struct retired *r)
{
	list_remove(&r->link);
	dns_channel_free(&r->channel);
	free(r);
}

static void sweep(struct task *t)
{
	struct dns *dns = container_of(t, struct dns, sweep);

	list_for_each_safe(it, &dns->retired) {
		struct retired *r = list_entry(it, struct retired, link);
		if (dns_channel_open(r->channel) == 0)
			retired_free(r);
	}
}

static int check_config(const struct dns_config *c, struct errtext *why)
{
	if (c->try_timeout_us < TRY_MIN_US || c->try_timeout_us > 3600 * (int64_t)SECOND_US)
		return errtext_set(why, ERR_INVAL, "the DNS time-out of a try must be between 10 ms and 1 h");
	if (c->tries < 1 || c->tries > TRIES_MAX)
		return errtext_set(why, ERR_INVAL, "the DNS tries must be between 1 and %d", TRIES_MAX);
	if (c->deadline_us <= 0 || c->questions_max == 0)
		return errtext_set(why, ERR_INVAL,
				   "the DNS deadline and the number of open questions must be above 0");
	return 0;
}

static int open_channel(struct loop *loop, const struct dns_config *config, struct dns_channel **channel_r,
			struct errtext *why)
{
	const struct dns_channel_config cc = {
		.servers = config->servers,
		.servers_n = config->servers_n,
		.resolv_conf = config->resolv_conf,
		.try_timeout_us = config->try_timeout_us,
		.tries = config->tries,
		.ask_authenticated = config->trust_ad,
	};

	const int err = check_config(config, why);
	if (err < 0)
		return err;
	*channel_r = config->offline ? NULL : dns_channel_new(loop, &cc, why);
	return config->offline || *channel_r ? 0 : -ERR_INVAL;
}

/* What is borrowed is not kept. */
static void keep_config(struct dns *dns, const struct dns_config *config)
{
	dns->config = *config;
	dns->config.servers = NULL;
	dns->config.resolv_conf = NULL;
	dns->config.hosts = NULL;
	dns_hosts_free(&dns->hosts);
	dns->hosts = config->hosts ? dns_hosts_copy(config->hosts) : NULL;
}

struct dns *dns_new(struct loop *loop, const struct dns_config *config, struct errtext *why)
{
	struct dns_channel *channel;

	if (open_channel(loop, config, &channel, why) < 0)
		return NULL;

	struct dns *dns = mem_alloc(sizeof *dns);
	dns->loop = loop;
	dns->channel = channel;
	dns->cache = dns_cache_new(&config->cache);
	map_init(&dns->questions);
	list_init(&dns->retired);
	task_init(&dns->sweep, sweep);
	keep_config(dns, config);
	return dns;
}

static bool same_servers(const struct dns_channel *a, const struct dns_channel *b)
{
	struct ip_endpoint of_a[DNS_SERVERS_MAX], of_b[DNS_SERVERS_MAX];
	const size_t n = a ? dns_channel_servers(a, of_a) : 0;
	size_t found = 0;

	if (n != (b ? dns_channel_servers(b, of_b) : 0))
		return false;
	for (size_t i = 0; i < n; i++) /* in any order: it may have been turned */
		for (size_t k = 0; k < n; k++)
			if (ip_eq(&of_a[i].addr, &of_b[k].addr) && of_a[i].port == of_b[k].port) {
				found++;
				break;
			}
	return found == n;
}

int dns_reconfigure(struct dns *dns, const struct dns_config *config, struct errtext *why)
{
	struct dns_channel *channel;
	const int err = open_channel(dns->loop, config, &channel, why);

	if (err < 0)
		return err;
	if (!same_servers(dns->channel, channel))
		dns_cache_clear(dns->cache);
	dns_cache_set_limits(dns->cache, &config->cache);
	if (dns->channel) {
		struct retired *r = mem_alloc(sizeof *r);
		r->channel = dns->channel;
		list_push_back(&dns->retired, &r->link);
		task_schedule(dns->loop, &dns->sweep);
	}
	dns->channel = channel;
	keep_config(dns, config);
	return 0;
}

void dns_free(struct dns **dnsp)
{
	struct dns *dns = *dnsp;

	if (!dns)
		return;
	*dnsp = NULL;
	dns->closing = true;
	/* This ends every question. */
	dns_channel_free(&dns->channel);
	list_for_each_safe(it, &dns->retired)
		retired_free(list_entry(it, struct retired, link));
	task_unschedule(&dns->sweep);
	require(dns->stats.open == 0 && dns->questions.n == 0);
	map_deinit(&dns->questions);
	dns_cache_free(&dns->cache);
	dns_hosts_free(&dns->hosts);
	free(dns);
}

int64_t dns_deadline_us(const struct dns *dns)
{
	return dns->config.deadline_us;
}

struct dns_stats dns_stats(const struct dns *dns)
{
	struct dns_stats stats = dns->stats;

	stats.cache_entries = dns_cache_entries(dns->cache);
	stats.cache_bytes = dns_cache_bytes(dns->cache);
	return stats;
}

size_t dns_servers(const struct dns *dns, struct ip_endpoint *servers_r)
{
	return dns->channel ? dns_channel_servers(dns->channel, servers_r) : 0;
}
