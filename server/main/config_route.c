/* main/config_route.c - routes of the configuration. */
#include "main/config_route_tls.h"

static enum mx_families families_of(struct span word)
{
#define X(name, text)                                                                                        \
	if (span_eq(word, SPAN(text)))                                                                       \
		return MX_FAMILIES_##name;
	MX_FAMILIES_MAP(X)
#undef X
	return MX_FAMILIES_IPV6_FIRST;
}

static void build_schedule(struct config_build *b, const struct config_value *v, struct schedule *s)
{
	struct errtext why;

	schedule_init(s);
	if (schedule_parse_steps(s, config_span(v, "retry"), &why) < 0)
		config_complain(b, v, "retry: %s", why.s);
	if (schedule_parse_notices(s, config_span(v, "delay_notice"), &why) < 0)
		config_complain(b, v, "delay_notice: %s", why.s);
	s->jitter_percent = config_u32(v, "jitter");
	s->lifetime_us = config_us(v, "lifetime");
	s->bounce_lifetime_us = config_us(v, "bounce_lifetime");
}

static void build_hosts(struct config_build *b, const struct config_value *via, struct route *r)
{
	for (size_t i = 0; i < config_count(via) && i < ROUTE_HOSTS_MAX; i++) {
		const struct config_value *v = config_at(via, i);
		struct route_host *h = &r->host[r->nhosts++];
		if (route_host_parse(config_span(v, "text"), h) < 0)
			config_complain(b, via, "via: \"%.*s\" is no host", SPAN_ARG(config_span(v, "text")));
		h->weight = config_u32(v, "weight");
	}
}

static void build_source(struct config_build *b, const struct config_value *list, struct route *r)
{
	for (size_t i = 0; i < config_count(list); i++) {
		struct ip_addr addr;
		if (!ip_parse(config_text(config_at(list, i), SPAN("")), &addr))
			config_complain(b, list, "source: \"%.*s\" is no address",
					SPAN_ARG(config_text(config_at(list, i), SPAN(""))));
		else
			*(addr.len == 4 ? &r->source4 : &r->source6) = addr;
	}
}

static struct ledger_limits limits_of(struct config_build *b, const struct config_value *v)
{
	const struct span rate = config_span(v, "rate");
	struct ledger_limits l = { .connections_max = config_u32(v, "connections"),
				   .messages_per_connection_max = config_u32(v, "messages_per_connection") };

	if (rate.n && !rate_parse(rate, &l.rate))
		config_complain(b, v, "rate: \"%.*s\" is no rate", SPAN_ARG(rate));
	return l;
}

static void build_route(struct config_build *b, const struct config_value *v)
{
	const struct config_value *patterns = config_get(v, "patterns");
	struct route r = {
		.name = config_span(v, "name"),
		.port = (uint16_t)config_u32(v, "port"),
		.limits = limits_of(b, v),
		.families = families_of(config_span(v, "families")),
		.hide_ext = config_extensions(b, config_get(v, "hide")),
		.helo_only = config_bool(config_get(v, "helo_only"), false),
		.connect_timeout_us = config_us(v, "connect_timeout"),
		.idle_timeout_us = config_us(v, "idle_timeout"),
		.timeout_percent = config_u32(v, "timeout_percent"),
		.auth_unverified = config_bool(config_get(v, "auth_unverified"), false),
	};

	build_schedule(b, v, &r.schedule);
	build_hosts(b, config_get(v, "via"), &r);
	build_source(b, config_get(v, "source"), &r);
	config_build_auth(b, v, &r);
	config_route_tls_build(b, v, &r);
	const struct route *added = route_table_add(&b->cfg->routes, &r);
	if (!added) {
		config_complain(b, v, "route \"%.*s\" is there twice", SPAN_ARG(r.name));
		return;
	}
	for (size_t i = 0; i < config_count(patterns); i++) {
		const struct span domain = config_text(config_at(patterns, i), SPAN(""));
		const int e = route_table_match(&b->cfg->routes, domain, added);
		if (e < 0)
			config_complain(b, v, "route \"%.*s\": %s", SPAN_ARG(domain), err_text(e));
	}
}

void config_build_routes(struct config_build *b)
{
	const struct config_value *list = config_get(b->root, "routes");

	for (size_t i = 0; i < config_count(list); i++)
		build_route(b, config_at(list, i));
	if (!b->cfg->routes.other)
		config_complain(b, list, "no route for \"*\"");
}
