/* main/config_listener.c - profiles and listeners of the configuration. */
#include "main/config_priv.h"
#include "smtp/smtp_ehlo.h"
#include "smtp/smtp_syntax.h"

enum { SECOND_US = 1000000 };

/* What a listener offers unless it hides it. ETRN comes with etrn_from, STARTTLS with tls, AUTH with auth. EXPN, VRFY, VERB and
 * XCLIENT are never offered. */
static const uint32_t EXT_OFFERED = SMTP_EXT_PIPELINING | SMTP_EXT_SIZE | SMTP_EXT_8BITMIME |
				    SMTP_EXT_SMTPUTF8 | SMTP_EXT_CHUNKING | SMTP_EXT_BINARYMIME |
				    SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN | SMTP_EXT_DELIVERBY |
				    SMTP_EXT_HELP;

static unsigned lax_bits(struct config_build *b, const struct config_value *list)
{
	unsigned bits = 0;

	for (size_t i = 0; i < config_count(list); i++) {
		const struct span word = config_text(config_at(list, i), SPAN(""));
		unsigned bit = 0;
#define X(name, number, text)                                                                                \
	if (span_eq(word, SPAN(text)))                                                                       \
		bit = SMTP_LAX_##name;
		SMTP_LAX_MAP(X)
#undef X
		if (!bit)
			config_complain(b, list, "lax: \"%.*s\" is nothing that can be forgiven",
					SPAN_ARG(word));
		bits |= bit;
	}
	return bits;
}

static void build_profiles(struct config_build *b)
{
	const struct config_value *list = config_get(b->root, "profiles");
	struct config *cfg = b->cfg;

	cfg->nprofiles = (uint32_t)config_count(list);
	cfg->profiles = config_alloc(b, cfg->nprofiles, sizeof *cfg->profiles);
	for (uint32_t i = 0; i < cfg->nprofiles; i++) {
		const struct config_value *v = config_at(list, i);
		cfg->profiles[i] = (struct session_profile){
			.name = config_span(v, "name"),
			.lax = lax_bits(b, config_get(v, "lax")),
			.normalise_newlines = config_is(v, "newlines", "normalise"),
			.nul = config_bool(config_get(v, "nul"), false),
			.early = config_bool(config_get(v, "early"), false),
			.auth_old_clients = config_bool(config_get(v, "auth_old_clients"), false),
			.hide_ext = config_extensions(b, config_get(v, "hide")),
		};
	}
}

static const struct session_profile *find_profile(const struct config *cfg, struct span name)
{
	for (uint32_t i = 0; name.n && i < cfg->nprofiles; i++)
		if (span_eq(cfg->profiles[i].name, name))
			return &cfg->profiles[i];
	return NULL;
}

static void build_bind(struct config_build *b, struct config_listener *l, const struct config_value *list)
{
	const size_t n = config_count(list);
	struct ip_endpoint *at = config_alloc(b, n, sizeof *at);

	for (size_t i = 0; i < n; i++)
		if (!ip_endpoint_parse(config_text(config_at(list, i), SPAN("")), &at[i]))
			config_complain(b, list, "bind: \"%.*s\" is no address with a port",
					SPAN_ARG(config_text(config_at(list, i), SPAN(""))));
	l->bind = at;
	l->nbind = (uint32_t)n;
}

/* Promise 2: what relays for everybody does not start. The networks of all policies that relay count together, so that two halves
 * are a whole. What is no network is the policy's to refuse. */
static void check_open_relay(struct config_build *b, struct span listener, const struct config_value *relays)
{
	struct ip_set *all = ip_set_new();

	for (size_t i = 0; i < config_count(relays); i++) {
		const struct config_value *networks = config_get(config_at(relays, i), "networks");
		for (size_t n = 0; n < config_count(networks); n++) {
			struct ip_net net;
			if (ip_net_parse(config_text(config_at(networks, n), SPAN("")), &net))
				ip_set_add(all, &net);
		}
		if (ip_set_is_everything(all)) {
			config_complain(
				b, config_at(relays, i),
				"listener \"%.*s\": relays for the whole Internet without authentication, an open relay; name your "
				"own networks, or write relay_for_everyone = \"acknowledged\"",
				SPAN_ARG(listener));
			break;
		}
	}
	ip_set_free(&all);
}

static struct session_listener session_of(struct config_build *b, const struct config_value *v)
{
	const struct config_value *clients = config_get(v, "clients"), *timeouts = config_get(v, "timeouts");
	struct session_listener s = {
		.name = config_span(v, "name"),
		.ext = EXT_OFFERED,
		.hostname = config_span(v, "hostname"),
		.postmaster = config_span(v, "postmaster"),
		.greeting = config_span(v, "greeting"),
		.help_url = config_span(v, "help_url"),
		.help_text = config_span(v, "help_text"),
		.message_max_bytes = config_u64(v, "message_size"),
		.head_max_bytes = config_u32(v, "head_size"),
		.line_max_octets = config_u32(v, "line_max"),
		.rcpts_max = config_u32(v, "recipients_max"),
		.messages_max = config_u32(v, "messages_max"),
		.errors_max = config_u32(v, "errors_max"),
		.idle_commands_max = config_u32(v, "idle_commands_max"),
		.hops_max = config_u32(v, "hops_max"),
		.own_hops_max = config_u32(v, "own_hops_max"),
		.deliverby_min_s = (uint32_t)(config_us(v, "deliver_by_min") / SECOND_US),
		.clients = { .per_client_max = config_u32(clients, "per_client"),
			     .total_max = config_u32(clients, "total") },
		.greet_delay_us = config_us(v, "greet_delay"),
		.command_timeout_us = config_us(timeouts, "command"),
		.data_timeout_us = config_us(timeouts, "data"),
		.message_timeout_us = config_us(timeouts, "message"),
		.reverse_timeout_us = config_us(v, "reverse_timeout"),
		.reverse_dns = config_bool(config_get(v, "reverse_dns"), true),
		.refuse_early_talkers = config_is(v, "early_talkers", "refuse"),
		.log_subject = config_bool(config_get(config_get(b->root, "log"), "subject"), false),
		.refuse_now = config_is(v, "refuse_at", "now"),
		.proxy_from = config_networks(b, config_get(v, "proxy_from")),
		.etrn_from = config_networks(b, config_get(v, "etrn_from")),
		.clients_from = config_networks(b, config_get(clients, "networks")),
		.tls = config_tls(b, v),
		.auth = config_auth(b, v),
		.profiles = b->cfg->profiles,
		.nprofiles = b->cfg->nprofiles,
		.profile = find_profile(b->cfg, config_span(v, "profile")),
	};
	if (s.etrn_from)
		s.ext |= SMTP_EXT_ETRN;
	if (s.tls.mode == SESSION_TLS_OPTIONAL || s.tls.mode == SESSION_TLS_REQUIRED)
		s.ext |= SMTP_EXT_STARTTLS;
	if (s.tls.server)
		s.ext |= SMTP_EXT_REQUIRETLS; /* said under TLS only: RFC 8689 section 2 */
	if (s.auth.server)
		s.ext |= SMTP_EXT_AUTH;
	s.ext &= ~config_extensions(b, config_get(v, "hide"));
	return s;
}

void config_build_listeners(struct config_build *b)
{
	const struct config_value *list = config_get(b->root, "listeners");
	struct config *cfg = b->cfg;
	size_t binds = 0;

	build_profiles(b);
	cfg->nlisteners = (uint32_t)config_count(list);
	cfg->listeners = config_alloc(b, cfg->nlisteners, sizeof *cfg->listeners);
	for (uint32_t i = 0; i < cfg->nlisteners; i++) {
		const struct config_value *v = config_at(list, i);
		cfg->listeners[i].session = session_of(b, v);
		config_build_listener_dkim(b, v, &cfg->listeners[i].session);
		build_bind(b, &cfg->listeners[i], config_get(v, "bind"));
		check_open_relay(b, cfg->listeners[i].session.name, config_get(v, "relays_for"));
		binds += cfg->listeners[i].nbind;
	}
	if (cfg->nlisteners > CONFIG_LISTENERS_MAX || binds > CONFIG_BINDS_MAX)
		config_complain(b, list, "more than %d listeners or %d addresses", CONFIG_LISTENERS_MAX,
				CONFIG_BINDS_MAX);
}
