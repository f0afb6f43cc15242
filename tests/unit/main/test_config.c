/* What a configuration says is what the rest of the server gets. */
#include "config_bed.h"
#include "smtp/smtp_ehlo.h"
#include "smtp/smtp_syntax.h"

#define SECOND (INT64_C(1000000))
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define LISTENER                                                                                             \
	"listener \"relay\" { bind = \"127.0.0.1:2525\", policies = { use \"relay_networks\" { networks = { \"192.0.2.0/24\" } } } }\n"
#define MINIMAL "hostname = \"relay.example.org\"\n" LISTENER

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	NEED(ip_parse(span_of(text), &a));
	return a;
}

static void check_defaults(const struct config *c)
{
	const struct session_listener *l = &c->listeners[0].session;

	CHECK_SPAN("relay.example.org", l->hostname);
	CHECK_SPAN("ESMTP", l->greeting);
	CHECK_INT(25000000, l->message_max_bytes);
	CHECK_INT(262144, l->head_max_bytes);
	CHECK_INT(16384, l->line_max_octets);
	CHECK_INT(100, l->rcpts_max);
	CHECK_INT(1000, l->messages_max);
	CHECK_INT(20, l->errors_max);
	CHECK_INT(100, l->idle_commands_max);
	CHECK_INT(100, l->hops_max);
	CHECK_INT(4, l->own_hops_max);
	CHECK_INT(0, l->deliverby_min_s);
	CHECK_INT(100, l->clients.per_client_max);
	CHECK_INT(2000, l->clients.total_max);
	CHECK_INT(0, l->greet_delay_us);
	CHECK_INT(5 * MINUTE, l->command_timeout_us);
	CHECK_INT(5 * MINUTE, l->data_timeout_us);
	CHECK_INT(HOUR, l->message_timeout_us);
	CHECK_INT(5 * SECOND, l->reverse_timeout_us);
	CHECK(l->reverse_dns);
	CHECK(l->refuse_early_talkers);
	CHECK(!l->refuse_now);
	CHECK(!l->proxy_from && !l->etrn_from && !l->profile);
	CHECK_INT(0, l->nprofiles);
	CHECK_INT(0, l->help_url.n);
	CHECK(l->ext & SMTP_EXT_PIPELINING && l->ext & SMTP_EXT_DSN && l->ext & SMTP_EXT_CHUNKING);
	CHECK(!(l->ext & (SMTP_EXT_ETRN | SMTP_EXT_STARTTLS | SMTP_EXT_AUTH | SMTP_EXT_EXPN | SMTP_EXT_VRFY |
			  SMTP_EXT_XCLIENT)));
}

static void least_configuration_has_the_defaults(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_need(&bed, MINIMAL "workers = 4\n");
	const struct config *c = bed.cfg;
	CHECK_SPAN("relay.example.org", c->hostname);
	CHECK_SPAN("/var/lib/postern", c->data_dir);
	CHECK_SPAN("/run/postern/control.sock", c->control);
	CHECK_INT(0, c->user.n);
	CHECK_INT(4, c->workers);
	CHECK_INT(1, c->nlisteners);
	CHECK_INT(1, c->listeners[0].nbind);
	CHECK_INT(2525, c->listeners[0].bind[0].port);
	check_defaults(c);
	CHECK_INT(LOG_FORMAT_JSON, c->log_format);
	CHECK_INT(LOG_LEVEL_INFO, c->log_level);
	CHECK(!c->listeners[0].session.log_subject);
	CHECK_INT(0, c->dns.servers_n);
	CHECK_INT(2 * SECOND, c->dns.try_timeout_us);
	CHECK_INT(8 * SECOND, c->dns.deadline_us);
	CHECK_STR("/var/lib/postern/spool", c->spool.dir);
	CHECK_INT(64 << 20, c->spool.segment_bytes);
	CHECK_INT(256 << 10, c->spool.small_max_bytes);
	CHECK_INT(64 << 20, c->spool.memory_budget_bytes); /* 256 MiB for 4 workers */
	CHECK_INT(128 << 20, c->spool.free_min_bytes);
	CHECK_INT(50000, c->spool.lazy_commit_us);
	CHECK_INT(4 << 20, c->queue.image_budget_bytes);
	CHECK_INT(10 * MINUTE, c->queue.dest_idle_us);
	CHECK_INT(125, c->delivery.links_max);
	CHECK_INT(policy_limits_default().instructions_max, c->limits.instructions_max);
	CHECK_INT(policy_limits_default().compute_us_max, c->limits.compute_us_max);
	CHECK_INT(policy_limits_default().wait_us_max, c->limits.wait_us_max);
	CHECK_INT(policy_limits_default().memory_max_bytes, c->limits.memory_max_bytes);
	CHECK_INT(policy_limits_default().setup_instructions_max, c->limits.setup_instructions_max);
	bed_close(&bed);
}

static void without_a_route_mail_goes_to_the_mx(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_need(&bed, MINIMAL);
	const struct route *r = route_find(&bed.cfg->routes, SPAN("example.net"));
	NEED(r);
	CHECK_SPAN("*", r->name);
	CHECK_INT(0, r->nhosts);
	CHECK_INT(25, r->port);
	CHECK_INT(6, r->schedule.nsteps);
	CHECK_INT(5 * MINUTE, r->schedule.step_us[0]);
	CHECK_INT(4 * HOUR, r->schedule.step_us[5]);
	CHECK_INT(10, r->schedule.jitter_percent);
	CHECK_INT(5 * DAY, r->schedule.lifetime_us);
	CHECK_INT(DAY, r->schedule.bounce_lifetime_us);
	CHECK_INT(1, r->schedule.nnotices);
	CHECK_INT(4 * HOUR, r->schedule.notice_us[0]);
	CHECK_INT(20, r->limits.connections_max);
	CHECK_INT(100, r->limits.messages_per_connection_max);
	CHECK_INT(0, r->limits.rate.count);
	CHECK_INT(MX_FAMILIES_IPV6_FIRST, r->families);
	CHECK_INT(0, r->source4.len);
	CHECK_INT(30 * SECOND, r->connect_timeout_us);
	CHECK_INT(100, r->timeout_percent);
	bed_close(&bed);
}

static void every_option_arrives(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_write(&bed, "balancers.txt", "# two of them\n203.0.113.1\n\n203.0.113.2 # the other\n");
	bed_need(
		&bed,
		"hostname = \"Relay.Example.ORG\"\n"
		"data_dir = \"state\"\n"
		"control = \"off\"\n"
		"user = \"postern\" group = \"mail\" workers = 2\n"
		"help_url = \"https://help.example.org/x\" help_text = \"Ask us\"\n"
		"notice_from = \"postmaster@example.org\"\n"
		"names = { \"other.example.org\" } addresses = \"203.0.113.9\"\n"
		"message_size = 1000000\n"
		"log = { format = \"postfix\", level = \"debug\", subject = true }\n"
		"dns = { servers = { \"192.0.2.53\", \"[2001:db8::53]:5353\" }, timeout = \"500ms\", tries = 1, deadline = \"3s\", trust_ad = true }\n"
		"queue = { retry = { \"1m\", \"2m\" }, jitter = 0, lifetime = \"2d\", bounce_lifetime = \"12h\", delay_notice = \"none\" }\n"
		"spool = { segment_size = \"16MiB\", small_max = \"64KiB\", memory = \"8MiB\", free_min = \"2MiB\", spare_segments = 0 }\n"
		"limits = { instructions = 20000, compute = \"20ms\", wait = \"1s\", memory = \"8MiB\" }\n"
		"profile \"copiers\" { lax = { \"space\", \"helo\" }, newlines = \"normalise\", nul = true, early = true, hide = { \"CHUNKING\" } }\n"
		"listener \"relay\" { bind = { \"127.0.0.1:2525\", \"[::1]:2525\" }, policies = { use \"helo_characters\" }, profile = \"copiers\",\n"
		"  hostname = \"in.example.org\", greeting = \"hello\", message_size = \"2MiB\", head_size = \"64KiB\", line_max = 2000,\n"
		"  recipients_max = 7, messages_max = 8, errors_max = 9, idle_commands_max = 10, hops_max = 11, own_hops_max = 2,\n"
		"  clients = { per_client = 3, total = 4 }, hide = { \"DSN\" }, greet_delay = \"3s\", deliver_by_min = \"2m\",\n"
		"  timeouts = { command = \"1m\", data = \"2m\", message = \"3m\" }, early_talkers = \"note\", refuse_at = \"now\",\n"
		"  reverse_dns = false, reverse_timeout = \"1s\", proxy_from = file \"balancers.txt\", etrn_from = { \"10.0.0.0/8\" } }\n"
		"route { \"a.example\", \".b.example\" } { name = \"ab\", via = { \"[mx.a.example]\", { host = \"[192.0.2.9]:26\", weight = 5 } },\n"
		"  retry = \"3m\", connections = 2, messages_per_connection = 0, rate = \"10/min\", families = \"ipv4_only\",\n"
		"  source = { \"192.0.2.7\", \"2001:db8::7\" }, hide = { \"PIPELINING\" }, helo_only = true, connect_timeout = \"5s\",\n"
		"  idle_timeout = \"0s\", timeout_percent = 10 }\n");
	const struct config *c = bed.cfg;
	const struct session_listener *l = &c->listeners[0].session;
	char data_dir[BED_PATH_MAX];

	snprintf(data_dir, sizeof data_dir, "%s/state", bed.dir);
	CHECK_SPAN(data_dir, c->data_dir);
	CHECK_SPAN("relay.example.org", c->hostname);
	CHECK_INT(0, c->control.n);
	CHECK_SPAN("postern", c->user);
	CHECK_SPAN("mail", c->group);
	CHECK_INT(LOG_FORMAT_POSTFIX, c->log_format);
	CHECK_INT(LOG_LEVEL_DEBUG, c->log_level);
	CHECK(c->listeners[0].session.log_subject);
	NEED(c->dns.servers_n == 2);
	CHECK_INT(53, c->dns.servers[0].port);
	CHECK_INT(5353, c->dns.servers[1].port);
	CHECK_INT(500000, c->dns.try_timeout_us);
	CHECK_INT(1, c->dns.tries);
	CHECK(c->dns.trust_ad);
	CHECK_INT(16 << 20, c->spool.segment_bytes);
	CHECK_INT(4 << 20, c->spool.memory_budget_bytes);
	CHECK_INT(0, c->spool.segments_spare_max);
	CHECK_INT(20000, c->limits.instructions_max);
	CHECK_INT(SECOND, c->limits.wait_us_max);
	CHECK_SPAN("postmaster@example.org", c->delivery.notice_from);
	CHECK(mx_self_has_name(&c->delivery.self, SPAN("other.example.org")));
	CHECK(mx_self_has_name(&c->delivery.self, SPAN("in.example.org")));
	const struct ip_addr nat = addr("203.0.113.9"), local = addr("127.0.0.1");
	CHECK(ip_set_contains(c->delivery.self.addrs, &nat));
	CHECK(!ip_set_contains(c->delivery.self.addrs, &local)); /* no listener on port 25 */

	NEED(c->nprofiles == 1 && l->profile == &c->profiles[0]);
	CHECK_INT(SMTP_LAX_SPACE | SMTP_LAX_HELO, l->profile->lax);
	CHECK(l->profile->normalise_newlines && l->profile->nul && l->profile->early);
	CHECK_INT(SMTP_EXT_CHUNKING, l->profile->hide_ext);
	CHECK_SPAN("in.example.org", l->hostname);
	CHECK_SPAN("hello", l->greeting);
	CHECK_SPAN("https://help.example.org/x", l->help_url);
	CHECK_SPAN("Ask us", l->help_text);
	CHECK_INT(2 << 20, l->message_max_bytes);
	CHECK_INT(65536, l->head_max_bytes);
	CHECK_INT(2000, l->line_max_octets);
	CHECK_INT(7, l->rcpts_max);
	CHECK_INT(8, l->messages_max);
	CHECK_INT(9, l->errors_max);
	CHECK_INT(10, l->idle_commands_max);
	CHECK_INT(11, l->hops_max);
	CHECK_INT(2, l->own_hops_max);
	CHECK_INT(3, l->clients.per_client_max);
	CHECK_INT(4, l->clients.total_max);
	CHECK(!(l->ext & SMTP_EXT_DSN) && (l->ext & SMTP_EXT_ETRN));
	CHECK_INT(3 * SECOND, l->greet_delay_us);
	CHECK_INT(120, l->deliverby_min_s);
	CHECK_INT(MINUTE, l->command_timeout_us);
	CHECK_INT(2 * MINUTE, l->data_timeout_us);
	CHECK_INT(3 * MINUTE, l->message_timeout_us);
	CHECK(!l->refuse_early_talkers && l->refuse_now && !l->reverse_dns);
	const struct ip_addr balancer = addr("203.0.113.2"), inside = addr("10.1.2.3");
	NEED(l->proxy_from && l->etrn_from);
	CHECK_INT(2, ip_set_count(l->proxy_from));
	CHECK(ip_set_contains(l->proxy_from, &balancer));
	CHECK(ip_set_contains(l->etrn_from, &inside));

	const struct route *r = route_find(&c->routes, SPAN("a.example"));
	NEED(r && r == route_find(&c->routes, SPAN("x.b.example")));
	CHECK_SPAN("ab", r->name);
	NEED(r->nhosts == 2);
	CHECK_SPAN("mx.a.example", r->host[0].name);
	CHECK_INT(25, r->host[0].port);
	CHECK_INT(1, r->host[0].weight);
	CHECK_SPAN("[192.0.2.9]:26", r->host[1].text);
	CHECK_INT(5, r->host[1].weight);
	CHECK_INT(1, r->schedule.nsteps);
	CHECK_INT(3 * MINUTE, r->schedule.step_us[0]);
	CHECK_INT(0, r->schedule.jitter_percent);
	CHECK_INT(2 * DAY, r->schedule.lifetime_us);
	CHECK_INT(12 * HOUR, r->schedule.bounce_lifetime_us);
	CHECK_INT(0, r->schedule.nnotices);
	CHECK_INT(2, r->limits.connections_max);
	CHECK_INT(0, r->limits.messages_per_connection_max);
	CHECK_INT(10, r->limits.rate.count);
	CHECK_INT(MX_FAMILIES_IPV4_ONLY, r->families);
	CHECK_INT(4, r->source4.len);
	CHECK_INT(16, r->source6.len);
	CHECK_INT(SMTP_EXT_PIPELINING, r->hide_ext);
	CHECK(r->helo_only);
	CHECK_INT(5 * SECOND, r->connect_timeout_us);
	CHECK_INT(0, r->idle_timeout_us);
	CHECK_INT(10, r->timeout_percent);
	const struct route *other = route_find(&c->routes, SPAN("b.example"));
	CHECK_SPAN("*", other->name);
	CHECK_INT(2, other->schedule.nsteps);
	bed_close(&bed);
}

/* The words of schema/config.lua are those of smtp/. */
static void every_word_is_known(void)
{
	static const char *const lax[] = {
#define X(name, bit, word) word,
		SMTP_LAX_MAP(X)
#undef X
	};
	struct config_bed bed;
	char text[4096];

	bed_open(&bed);
	for (size_t i = 0; i < sizeof lax / sizeof *lax; i++) {
		snprintf(text, sizeof text, "%sprofile \"p\" { lax = \"%s\" }\n", MINIMAL, lax[i]);
		bed_need(&bed, text);
		CHECK_INT(1u << i, bed.cfg->profiles[0].lax);
	}
	bed_need(&bed, MINIMAL "profile \"p\" { lax = \"all\" }\n");
	CHECK_INT(SMTP_LAX_ALL, bed.cfg->profiles[0].lax);
	bed_need(&bed, MINIMAL);
	for (int i = 0; i < SMTP_EXT_COUNT_; i++) {
		const uint32_t some = SMTP_EXT_ETRN | SMTP_EXT_STARTTLS | SMTP_EXT_REQUIRETLS |
				      SMTP_EXT_AUTH; /* where options say so */
		const uint32_t offered = (bed.cfg->listeners[0].session.ext | some) & (1u << i);
		struct config_bed other;
		bed_open(&other);
		snprintf(text, sizeof text, "%sprofile \"p\" { hide = \"%s\" }\n", MINIMAL,
			 smtp_ext_name((enum smtp_ext_index)i));
		const int r = bed_load(&other, text);
		if ((r == 0) != (offered != 0))
			FAIL("%s: %s be hidden", smtp_ext_name((enum smtp_ext_index)i),
			     offered ? "can not" : "can");
		if (r == 0)
			CHECK_INT(1u << i, other.cfg->profiles[0].hide_ext);
		bed_close(&other);
	}
	bed_close(&bed);
}

static void uses_carry_their_mode(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_need(
		&bed,
		"hostname = \"relay.example.org\"\n"
		"local shared = { use \"helo_characters\" { forbidden = \"&\" } }\n"
		"listener \"a\" { bind = \"127.0.0.1:1\", policies = shared }\n"
		"listener \"b\" { bind = \"127.0.0.1:2\", policies = { shared,\n"
		"  use \"relay_networks\" { networks = { \"192.0.2.0/24\" } }:observe(),\n"
		"  use \"relay_networks\" { networks = { \"192.0.2.0/24\" } }:canary { share = 5, ends = \"2026-01-01\" } } }\n");
	const struct config_value *listeners = config_get(policy_bundle_config(bed.cfg->bundle), "listeners");
	const struct config_value *a = config_get(config_at(listeners, 0), "policies"),
				  *b = config_get(config_at(listeners, 1), "policies");
	NEED(config_count(a) == 1 && config_count(b) == 3);
	CHECK_INT(config_at(a, 0)->id, config_at(b, 0)->id); /* one table, set up once */
	CHECK_SPAN("enforce", config_text(config_get(config_at(a, 0), "mode"), SPAN("")));
	CHECK_INT(2, config_at(a, 0)->line);
	CHECK_SPAN("observe", config_text(config_get(config_at(b, 1), "mode"), SPAN("")));
	CHECK_INT(5, config_at(b, 1)->line);
	CHECK_SPAN("canary", config_text(config_get(config_at(b, 2), "mode"), SPAN("")));
	CHECK_INT(5, config_int(config_get(config_at(b, 2), "share"), 0));
	CHECK_INT(1767225600, config_int(config_get(config_at(b, 2), "until_at"), 0));
	bed_close(&bed);
}

static void a_snapshot_lives_until_its_last_reference(void)
{
	struct config_bed bed;

	bed_open(&bed);
	bed_need(&bed, MINIMAL);
	struct config *mine = config_ref(bed.cfg);
	config_unref(&bed.cfg);
	CHECK(!bed.cfg);
	CHECK_SPAN("relay.example.org", mine->hostname);
	const struct config_listener *l = config_listener_by_name(mine, SPAN("relay"));
	CHECK(l == &mine->listeners[0]);
	CHECK(!config_listener_by_name(mine, SPAN("rela")));
	config_unref(&mine);
	config_unref(&mine); /* NULL */
	bed_close(&bed);
}

TEST_MAIN(TEST(least_configuration_has_the_defaults), TEST(without_a_route_mail_goes_to_the_mx),
	  TEST(every_option_arrives), TEST(every_word_is_known), TEST(uses_carry_their_mode),
	  TEST(a_snapshot_lives_until_its_last_reference))
