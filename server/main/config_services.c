/* main/config_services.c - everything of the configuration that is neither listener nor route: names, log, resolver, spool, queue,
 * delivery, budgets. Amounts that are of the whole server become a worker's share.
 */
#include <ifaddrs.h>
#include <unistd.h>

#include "base/check.h"
#include "main/config_priv.h"

enum { SMTP_PORT = 25 };

/* More than any listener may take (schema/config.lua), and what we add to it. */
static const uint64_t SPOOL_MESSAGE_MAX = (UINT64_C(4) << 30) + (64 << 20);

static unsigned cores(void)
{
	const long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX : (unsigned)n;
}

static uint64_t share(const struct config *cfg, uint64_t total)
{
	const uint64_t part = total / cfg->workers;

	return part ? part : 1;
}

static void build_log(struct config *cfg, const struct config_value *v)
{
	const struct span level = config_span(v, "level");

	cfg->log_format = config_is(v, "format", "postfix") ? LOG_FORMAT_POSTFIX : LOG_FORMAT_JSON;
	cfg->log_level = LOG_LEVEL_INFO;
#define X(name, text)                                                                                        \
	if (span_eq(level, SPAN(text)))                                                                      \
		cfg->log_level = LOG_LEVEL_##name;
	LOG_LEVEL_MAP(X)
#undef X
}

static void build_dns(struct config_build *b, const struct config_value *v)
{
	const struct config_value *servers = config_get(v, "servers");
	struct dns_config *dns = &b->cfg->dns;
	const size_t n = config_count(servers);

	*dns = dns_config_default();
	if (n) {
		struct ip_endpoint *at = config_alloc(b, n, sizeof *at);
		for (size_t i = 0; i < n; i++)
			if (!ip_endpoint_parse(config_text(config_at(servers, i), SPAN("")), &at[i]))
				config_complain(b, servers, "dns.servers: \"%.*s\" is no address",
						SPAN_ARG(config_text(config_at(servers, i), SPAN(""))));
		dns->servers = at;
		dns->servers_n = n;
	}
	dns->try_timeout_us = config_us(v, "timeout");
	dns->tries = config_u32(v, "tries");
	dns->deadline_us = config_us(v, "deadline");
	dns->questions_max = config_u32(v, "questions");
	dns->trust_ad = config_bool(config_get(v, "trust_ad"), false);
	dns->cache.entries_max = config_u32(v, "cache_entries");
	dns->cache.bytes_max = (size_t)config_u64(v, "cache_memory");
	dns->cache.stale_max_us = config_us(v, "stale");
}

static void build_spool(struct config_build *b, const struct config_value *v)
{
	struct config *cfg = b->cfg;
	const struct span dir = arena_printf(cfg->mem_, "%.*s/spool", SPAN_ARG(cfg->data_dir));

	require(dir.p);
	cfg->spool = (struct spool_config){
		.dir = dir.p,
		.workers = cfg->workers,
		.segment_bytes = config_u64(v, "segment_size"),
		.small_max_bytes = config_u32(v, "small_max"),
		.memory_budget_bytes = share(cfg, config_u64(v, "memory")),
		.message_max_bytes = SPOOL_MESSAGE_MAX,
		.free_min_bytes = config_u64(v, "free_min"),
		.free_alarm_bytes = config_u64(v, "free_alarm"),
		.lazy_commit_us = config_us(v, "lazy_commit"),
		.segments_spare_max = config_u32(v, "spare_segments"),
	};
}

static void build_queue(struct config *cfg, const struct config_value *v)
{
	cfg->queue = QUEUE_CONFIG_DEFAULT;
	cfg->queue.dest_idle_us = config_us(v, "dest_idle");
	cfg->queue.rcpts_per_job_max = config_u32(v, "recipients_max");
	cfg->queue.image_budget_bytes = share(cfg, config_u64(v, "memory"));
}

/* ---- who we are ----------------------------------------------------------------------------------------------------- */

static void add_addr(struct ip_set *set, const struct ip_addr *addr)
{
	const struct ip_net net = ip_net_of(addr, 32, 128);

	ip_set_add(set, &net);
}

static void add_interfaces(struct ip_set *set)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr)
			continue;
		const struct ip_addr addr = ip_from_sockaddr(i->ifa_addr).addr;
		if (addr.len &&
		    !ip_is_loopback(&addr)) /* those are judged by whoever resolves, see dns/mx.h */
			add_addr(set, &addr);
	}
	freeifaddrs(all);
}

static bool is_unspecified(const struct ip_addr *addr)
{
	static const uint8_t zeros[16];

	return memcmp(addr->b, zeros, addr->len) == 0;
}

/* Where a listener takes mail on the port that MX hosts are reached at, mail for such an address would come back to us
 * (RFC 5321 section 5.1). */
static struct ip_set *own_addrs(struct config_build *b)
{
	struct ip_set *set = config_networks(b, config_get(b->root, "addresses"));
	bool all = false;

	if (!set)
		set = config_set_new(b);

	for (uint32_t i = 0; i < b->cfg->nlisteners; i++) {
		const struct config_listener *l = &b->cfg->listeners[i];
		for (uint32_t n = 0; n < l->nbind; n++) {
			if (l->bind[n].port != SMTP_PORT)
				continue;
			if (is_unspecified(&l->bind[n].addr))
				all = true;
			else
				add_addr(set, &l->bind[n].addr);
		}
	}
	if (all)
		add_interfaces(set);
	return set;
}

static struct mx_self self_of(struct config_build *b)
{
	const struct config_value *extra = config_get(b->root, "names");
	const size_t n = 1 + b->cfg->nlisteners + config_count(extra);
	struct span *names = config_alloc(b, n, sizeof *names);
	size_t at = 0;

	names[at++] = b->cfg->hostname;
	for (uint32_t i = 0; i < b->cfg->nlisteners; i++)
		names[at++] = b->cfg->listeners[i].session.hostname;
	for (size_t i = 0; i < config_count(extra); i++)
		names[at++] = config_text(config_at(extra, i), SPAN(""));
	return (struct mx_self){ .names = names, .names_n = n, .addrs = own_addrs(b) };
}

static void build_delivery(struct config_build *b, const struct config_value *v)
{
	struct config *cfg = b->cfg;

	cfg->delivery = (struct delivery_config){
		.hostname = cfg->hostname,
		.self = self_of(b),
		.routes = &cfg->routes,
		.help_text = config_span(b->root, "help_text"),
		.help_url = config_span(b->root, "help_url"),
		.notice_from = config_span(b->root, "notice_from"),
		.links_max = (unsigned)share(cfg, config_u64(v, "connections")),
	};
}

static struct sts_config sts_of(const struct config_value *v)
{
	return (struct sts_config){ .entries_max = config_u32(v, "domains_max"),
				    .ca_file = config_span(v, "ca"),
				    .connect_port = (uint16_t)config_u32(v, "port") };
}

static struct policy_limits limits_of(const struct config_value *v)
{
	return (struct policy_limits){
		.memory_max_bytes = (size_t)config_u64(v, "memory"),
		.instructions_max = config_u64(v, "instructions"),
		.compute_us_max = config_us(v, "compute"),
		.wait_us_max = config_us(v, "wait"),
		.setup_instructions_max = config_u64(v, "setup_instructions"),
	};
}

void config_build_services(struct config_build *b)
{
	const struct config_value *root = b->root;
	struct config *cfg = b->cfg;

	cfg->hostname = config_span(root, "hostname");
	cfg->data_dir = config_span(root, "data_dir");
	cfg->control = config_span(root, "control");
	cfg->user = config_span(root, "user");
	cfg->group = config_span(root, "group");
	cfg->workers = (unsigned)config_int(config_get(root, "workers"), cores());
	build_log(cfg, config_get(root, "log"));
	build_dns(b, config_get(root, "dns"));
	build_spool(b, config_get(root, "spool"));
	build_queue(cfg, config_get(root, "queue"));
	build_delivery(b, config_get(root, "delivery"));
	cfg->sts = sts_of(config_get(root, "mta_sts"));
	cfg->limits = limits_of(config_get(root, "limits"));
}
