#include "sts/sts.h"

#include "../https_server.h"
#include "base/err.h"
#include "test.h"

#define POLICY  "version: STSv1\nmode: enforce\nmx: mx.example.org\nmx: *.mail.example.org\nmax_age: 3600\n"
#define TESTING "version: STSv1\nmode: testing\nmx: other.example.org\nmax_age: 3600\n"

static struct https_server server;

enum { LOOKUPS = 20 };

struct bed {
	struct loop *loop;
	struct scope scope;
	struct dns *dns;
	struct http_client *http;
	struct sts *sts;
	struct sts_lookup lookup[LOOKUPS];
	unsigned done;
	bool closed;
};

static struct bed b;

static void on_done(struct op *op)
{
	(void)op;
	b.done++;
}

static void on_closed(void *arg)
{
	(void)arg;
	b.closed = true;
}

/* The names as they are now: @id NULL: no record; "": two records. */
static struct dns_config names(struct dns_hosts *hosts, const char *id)
{
	struct dns_config config = dns_config_default();
	struct errtext why = { "" };
	char txt[80];

	config.offline = true;
	config.hosts = hosts;
	dns_hosts_add(hosts, SPAN("mta-sts.example.org"), DNS_A, SPAN("127.0.0.1"), &why);
	dns_hosts_add(hosts, SPAN("_mta-sts.example.org"), DNS_TXT, SPAN("something else"), &why);
	snprintf(txt, sizeof txt, "v=STSv1; id=%s;", id && *id ? id : "1");
	if (id)
		dns_hosts_add(hosts, SPAN("_mta-sts.example.org"), DNS_TXT, span_of(txt), &why);
	if (id && !*id)
		dns_hosts_add(hosts, SPAN("_mta-sts.example.org"), DNS_TXT, SPAN("v=STSv1; id=2"), &why);
	dns_hosts_add(hosts, SPAN("_mta-sts.no-web.example"), DNS_TXT, SPAN("v=STSv1; id=1"), &why);
	dns_hosts_add(hosts, SPAN("_mta-sts.other.example"), DNS_TXT, SPAN("v=STSv1; id=1"), &why);
	dns_hosts_add(hosts, SPAN("mta-sts.other.example"), DNS_A, SPAN("127.0.0.1"), &why);
	CHECK_STR("", why.s);
	return config;
}

static void set_names(const char *id)
{
	struct dns_hosts *hosts = dns_hosts_new();
	const struct dns_config config = names(hosts, id);
	struct errtext why = { "" };

	CHECK_INT(0, dns_reconfigure(b.dns, &config, &why));
	dns_hosts_free(&hosts);
}

static void start_sts(unsigned entries_max)
{
	b.sts = sts_new(&(struct sts_config){ .entries_max = entries_max,
					      .ca_file = span_of(server.ca),
					      .connect_port = (uint16_t)server.good },
			b.loop, b.dns, b.http);
}

static void stop_sts(void)
{
	b.closed = false;
	sts_close(b.sts, on_closed, NULL);
	while (!b.closed)
		loop_run_once(b.loop, true);
	sts_free(&b.sts);
}

static void bed_open(const char *id)
{
	struct dns_hosts *hosts = dns_hosts_new();
	const struct dns_config config = names(hosts, id);
	struct errtext why = { "" };

	b = (struct bed){ .loop = loop_new() };
	scope_init(&b.scope, b.loop, NULL);
	b.dns = dns_new(b.loop, &config, &why);
	NEED(b.dns != NULL);
	dns_hosts_free(&hosts);
	b.http = http_client_new();
	for (size_t i = 0; i < LOOKUPS; i++)
		sts_lookup_init(&b.lookup[i], on_done);
	start_sts(0);
}

static void bed_close(void)
{
	stop_sts();
	for (size_t i = 0; i < LOOKUPS; i++)
		sts_lookup_deinit(&b.lookup[i]);
	http_client_unref(&b.http);
	dns_free(&b.dns);
	loop_free(&b.loop);
}

static void wait_for(unsigned n)
{
	while (b.done < n)
		loop_run_once(b.loop, true);
}

static const struct sts_lookup *ask(const char *domain)
{
	b.done = 0;
	NEED(sts_lookup_start(&b.lookup[0], b.sts, &b.scope, span_of(domain), 0) == 0);
	CHECK_INT(0, b.done); /* never from inside */
	wait_for(1);
	CHECK_INT(0, b.lookup[0].op.status);
	return &b.lookup[0];
}

static void publish(const char *head, const char *policy)
{
	https_server_answer(&server, "mta-sts.txt", -1, head, policy);
}

static void a_policy_is_fetched_once(void)
{
	publish("200\nContent-Type: text/plain; charset=utf-8\n", POLICY);
	bed_open("1");
	const unsigned before = https_server_count(&server);
	for (size_t i = 0; i < LOOKUPS; i++)
		NEED(sts_lookup_start(&b.lookup[i], b.sts, &b.scope, SPAN("Example.org"), 0) == 0);
	op_cancel(&b.lookup[3].op);
	wait_for(LOOKUPS);
	for (size_t i = 0; i < LOOKUPS; i++) {
		CHECK_INT(i == 3 ? -ERR_CANCELED : 0, b.lookup[i].op.status);
		CHECK_INT(i != 3, b.lookup[i].policy != NULL);
	}
	CHECK(sts_policy_has_mx(b.lookup[0].policy, SPAN("mx.example.org")));
	CHECK_STR("", ask("example.org")->why);
	CHECK_INT(before + 1, https_server_count(&server));
	CHECK(sts_changed(b.sts));
	CHECK(!sts_changed(b.sts));
	bed_close();
}

static void a_new_id_is_a_new_policy(void)
{
	publish("200\nContent-Type: text/plain\n", POLICY);
	bed_open("1");
	CHECK_INT(STS_MODE_ENFORCE, ask("example.org")->policy->mode);
	publish("200\nContent-Type: text/plain\n", TESTING);
	CHECK_INT(STS_MODE_ENFORCE, ask("example.org")->policy->mode);
	set_names("2");
	CHECK_INT(STS_MODE_TESTING, ask("example.org")->policy->mode);
	/* No record, or none that is clear: the one that is kept is live (RFC 8461 section 5.1). */
	set_names(NULL);
	CHECK(ask("example.org")->policy != NULL);
	set_names("");
	CHECK(ask("example.org")->policy != NULL);
	loop_clock_advance(b.loop, INT64_C(3601) * 1000000);
	CHECK(ask("example.org")->policy == NULL);
	bed_close();
}

static void nobody_has_one(void)
{
	bed_open(NULL);
	CHECK(ask("example.org")->policy == NULL);
	CHECK(!b.lookup[0].fetch_failed);
	CHECK(ask("nowhere.example")->policy == NULL);
	CHECK(ask("no name")->policy == NULL);
	CHECK(ask("")->policy == NULL);
	set_names("");
	CHECK(ask("example.org")->policy == NULL); /* two records */
	bed_close();
}

static void fetches_that_fail(void)
{
	static const struct {
		const char *domain, *head, *body, *why;
		bool invalid;
	} t[] = {
		{ "example.org", "404\nContent-Type: text/plain\n", POLICY,
		  "refused: its web server does not answer 200", true },
		{ "example.org", "302\nContent-Type: text/plain\nLocation: /echo\n", POLICY,
		  "refused: its web server does not answer 200", true },
		{ "example.org", "200\nContent-Type: text/html\n", POLICY, "refused: it is not text/plain",
		  true },
		{ "example.org", "200\nContent-Type: text/plain\n", "version: STSv1\n",
		  "refused: mode is none of enforce, testing, none", true },
		{ "no-web.example", NULL, NULL, "its web server: mta-sts.no-web.example: ", false },
		{ "other.example", NULL, NULL, "tls: ", false }, /* the certificate is for another name */
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		bed_open("1");
		if (t[i].head)
			publish(t[i].head, t[i].body);
		const struct sts_lookup *l = ask(t[i].domain);
		CHECK(l->policy == NULL);
		CHECK(l->fetch_failed);
		CHECK_INT(t[i].invalid, l->invalid);
		CHECK(strstr(l->why, t[i].why) != NULL);
		const unsigned before = https_server_count(&server);
		CHECK(ask(t[i].domain)->fetch_failed); /* not at once again */
		CHECK_INT(before, https_server_count(&server));
		publish("200\nContent-Type: text/plain\n", POLICY);
		loop_clock_advance(b.loop, STS_FAILED_US + 1);
		if (t[i].head)
			CHECK(ask(t[i].domain)->policy != NULL);
		bed_close();
	}
}

static void what_is_kept_survives(void)
{
	struct buf saved = BUF_INIT(65536);

	publish("200\nContent-Type: text/plain\n", POLICY);
	bed_open("1");
	ask("example.org");
	sts_save(b.sts, &saved);
	CHECK(span_istarts(buf_span(&saved), SPAN("example.org 1 ")));
	CHECK(span_ends(buf_span(&saved), SPAN(" enforce mx.example.org *.mail.example.org\n")));
	buf_add_str(
		&saved,
		"bad\nexample.net 1 99 enforce mx.example.net\nexample.net 1 99999999999999 enforce a\n\nx y z\n");
	stop_sts();
	start_sts(0);
	CHECK_INT(1, sts_load(b.sts, buf_span(&saved)));
	const unsigned before = https_server_count(&server);
	NEED(ask("example.org")->policy != NULL);
	CHECK(sts_policy_has_mx(b.lookup[0].policy, SPAN("a.mail.example.org")));
	CHECK_INT(before, https_server_count(&server));
	buf_free(&saved);
	bed_close();
}

static void there_is_a_maximum(void)
{
	char domain[40];

	bed_open("1");
	stop_sts();
	start_sts(3);
	for (int i = 0; i < 10; i++) {
		snprintf(domain, sizeof domain, "d%d.example", i);
		ask(domain);
	}
	struct buf saved = BUF_INIT(65536);
	buf_add_str(&saved, "");
	sts_save(b.sts, &saved);
	CHECK_INT(0, saved.n);
	for (int i = 0; i < 10; i++) {
		char line[120];
		snprintf(line, sizeof line, "k%d.example 1 %lld enforce mx.example\n", i,
			 (long long)(loop_wall_us(b.loop) / 1000000 + 1000));
		CHECK_INT(1, sts_load(b.sts, span_of(line)));
	}
	sts_save(b.sts, &saved);
	unsigned lines = 0;
	for (size_t i = 0; i < saved.n; i++)
		lines += saved.p[i] == '\n';
	CHECK_INT(3, lines);
	buf_free(&saved);
	bed_close();
}

static void closing_ends_what_is_asked(void)
{
	https_server_answer(&server, "mta-sts.txt", -1, "200\nContent-Type: text/plain\nWait: 3\n", POLICY);
	bed_open("1");
	b.done = 0;
	NEED(sts_lookup_start(&b.lookup[0], b.sts, &b.scope, SPAN("example.org"), 100000) == 0);
	wait_for(1); /* its own deadline */
	CHECK_INT(-ERR_TIMEOUT, b.lookup[0].op.status);
	NEED(sts_lookup_start(&b.lookup[0], b.sts, &b.scope, SPAN("example.org"), 0) == 0);
	sts_close(b.sts, on_closed, NULL);
	wait_for(2);
	CHECK(b.lookup[0].policy == NULL);
	while (!b.closed)
		loop_run_once(b.loop, true);
	sts_free(&b.sts);
	start_sts(0);
	bed_close();
}

static void set_up(void)
{
	dns_global_init();
	https_server_start(&server);
}

static void tear_down(void)
{
	https_server_stop(&server);
	dns_global_deinit();
}

TEST_MAIN(TEST(set_up), TEST(a_policy_is_fetched_once), TEST(a_new_id_is_a_new_policy), TEST(nobody_has_one),
	  TEST(fetches_that_fail), TEST(what_is_kept_survives), TEST(there_is_a_maximum),
	  TEST(closing_ends_what_is_asked), TEST(tear_down))
