#include "dns/dns_channel.h"

#include "dns/dns_wire.h"
#include "name_server.h"
#include "test.h"

enum { MS = 1000 };

struct asked {
	struct dns_ask ask;
	unsigned answers;
	char why[120];
	struct dns_answer *answer; /* what the message says, when there was one */
	bool malformed;
};

static void on_answered(struct dns_ask *ask, const char *why, struct span msg)
{
	struct asked *a = container_of(ask, struct asked, ask);

	a->answers++;
	snprintf(a->why, sizeof a->why, "%s", why ? why : "");
	if (!why)
		a->malformed = dns_wire_parse(msg, &ask->name_, ask->type_, &a->answer) < 0;
}

static struct dns_channel_config config_for(const struct ip_endpoint *servers, size_t n)
{
	return (struct dns_channel_config){
		.servers = servers, .servers_n = n, .try_timeout_us = 50 * MS, .tries = 2
	};
}

static struct dns_channel *start(struct loop **loop, const struct dns_channel_config *config)
{
	struct errtext why = { "" };

	*loop = loop_new();
	loop_set_resident(*loop, false);
	struct dns_channel *ch = dns_channel_new(*loop, config, &why);
	CHECK_STR("", why.s);
	NEED(ch != NULL);
	return ch;
}

static void stop(struct loop **loop, struct dns_channel **ch)
{
	dns_channel_free(ch);
	while (loop_run_once(*loop, true))
		;
	loop_free(loop);
}

static void begin(struct dns_channel *ch, struct asked *a, enum dns_type type, const char *name)
{
	struct dns_name n;
	const char *why;

	*a = (struct asked){ .ask.answered = on_answered };
	NEED(dns_name_parse(span_of(name), &n, &why) == 0);
	dns_channel_ask(ch, &a->ask, &n, type);
}

static void wait(struct loop *loop, const struct asked *a)
{
	while (a->answers == 0 && loop_run_once(loop, true))
		;
	CHECK_INT(1, a->answers);
}

static void ask(struct loop *loop, struct dns_channel *ch, struct asked *a, enum dns_type type,
		const char *name)
{
	begin(ch, a, type, name);
	wait(loop, a);
}

static void messages_come_back(void)
{
	struct name_server *ns = name_server_start("mx.example A 192.0.2.1\n");
	const struct dns_channel_config config = config_for(&ns->endpoint, 1);
	struct loop *loop;
	struct dns_channel *ch = start(&loop, &config);
	struct asked a, b;

	begin(ch, &a, DNS_A, "mx.example");
	begin(ch, &b, DNS_AAAA, "mx.example");
	CHECK_INT(0, a.answers + b.answers);
	wait(loop, &a);
	wait(loop, &b);
	NEED(a.answer && b.answer);
	CHECK_INT(DNS_OK, a.answer->result);
	CHECK_INT(DNS_NODATA, b.answer->result);
	CHECK(name_server_last(ns).edns);
	CHECK(!name_server_last(ns).ad);
	dns_answer_unref(&a.answer);
	dns_answer_unref(&b.answer);
	/* Nothing keeps the loop alive when all is answered. */
	while (loop_run_once(loop, true))
		;
	stop(&loop, &ch);
	name_server_stop(&ns);
}

static void the_authenticated_bit_is_asked_for_when_wanted(void)
{
	struct name_server *ns = name_server_start("mx.example A 192.0.2.1\nmx.example AD\n");
	struct dns_channel_config config = config_for(&ns->endpoint, 1);
	struct loop *loop;
	struct asked a;

	config.ask_authenticated = true;
	struct dns_channel *ch = start(&loop, &config);
	ask(loop, ch, &a, DNS_A, "mx.example");
	CHECK(name_server_last(ns).ad);
	NEED(a.answer != NULL);
	CHECK(a.answer->authenticated);
	dns_answer_unref(&a.answer);
	stop(&loop, &ch);
	name_server_stop(&ns);
}

static void what_is_cut_off_comes_over_tcp(void)
{
	struct name_server *ns = name_server_start("big.example CUT\nbig.example A 192.0.2.1\n");
	const struct dns_channel_config config = config_for(&ns->endpoint, 1);
	struct loop *loop;
	struct dns_channel *ch = start(&loop, &config);
	struct asked a;

	ask(loop, ch, &a, DNS_A, "big.example");
	NEED(a.answer != NULL);
	CHECK_INT(1, a.answer->n);
	CHECK(name_server_last(ns).tcp);
	CHECK_INT(2, name_server_asked(ns, "big.example", "A"));
	dns_answer_unref(&a.answer);
	stop(&loop, &ch);
	name_server_stop(&ns);
}

static void a_server_without_edns_is_served(void)
{
	struct name_server *ns =
		name_server_start("- NOEDNS\na.example A 192.0.2.1\nb.example A 192.0.2.2\n");
	const struct dns_channel_config config = config_for(&ns->endpoint, 1);
	struct loop *loop;
	struct dns_channel *ch = start(&loop, &config);
	struct asked a, b;

	begin(ch, &a, DNS_A, "a.example"); /* both are on their way before the first refusal is known */
	begin(ch, &b, DNS_A, "b.example");
	wait(loop, &a);
	wait(loop, &b);
	NEED(a.answer && b.answer);
	CHECK_INT(DNS_OK, a.answer->result);
	CHECK_INT(DNS_OK, b.answer->result);
	dns_answer_unref(&a.answer);
	dns_answer_unref(&b.answer);
	const int before = name_server_asked(ns, NULL, NULL);
	ask(loop, ch, &a, DNS_A, "a.example"); /* and now it is known */
	CHECK_INT(before + 1, name_server_asked(ns, NULL, NULL));
	CHECK(!name_server_last(ns).edns);
	dns_answer_unref(&a.answer);
	stop(&loop, &ch);
	name_server_stop(&ns);
}

static void silence_ends(void)
{
	struct name_server *ns = name_server_start("* DROP\n");
	const struct dns_channel_config config = config_for(&ns->endpoint, 1);
	struct loop *loop;
	struct dns_channel *ch = start(&loop, &config);
	struct asked a;

	ask(loop, ch, &a, DNS_A, "a.example");
	CHECK_STR("no DNS server answered in time", a.why);
	CHECK_INT(2, name_server_asked(ns, NULL, NULL)); /* twice */
	stop(&loop, &ch);
	name_server_stop(&ns);
}

static void errors_and_closed_ports_end(void)
{
	struct name_server *ns = name_server_start("* SERVFAIL\n");
	struct ip_endpoint endpoint = ns->endpoint;
	struct dns_channel_config config = config_for(&endpoint, 1);
	struct loop *loop;
	struct dns_channel *ch = start(&loop, &config);
	struct asked a;

	ask(loop, ch, &a, DNS_A, "a.example");
	CHECK_STR("every DNS server failed, refused or could not be reached", a.why);
	name_server_stop(&ns);
	ask(loop, ch, &a, DNS_A, "a.example");
	CHECK_STR("every DNS server failed, refused or could not be reached", a.why);
	stop(&loop, &ch);
}

static void the_next_server_is_asked(void)
{
	struct name_server *bad = name_server_start("* SERVFAIL\n"),
			   *good = name_server_start("a.example A 192.0.2.1\n");
	const struct ip_endpoint both[] = { bad->endpoint, good->endpoint };
	const struct dns_channel_config config = config_for(both, 2);
	struct loop *loop;
	struct dns_channel *ch = start(&loop, &config);
	struct asked a;

	ask(loop, ch, &a, DNS_A, "a.example");
	NEED(a.answer != NULL);
	CHECK_INT(DNS_OK, a.answer->result);
	dns_answer_unref(&a.answer);
	stop(&loop, &ch);
	name_server_stop(&bad);
	name_server_stop(&good);
}

static void a_dead_first_server_loses_its_place(void)
{
	struct name_server *dead = name_server_start("* DROP\n"),
			   *good = name_server_start("* A 192.0.2.1\n");
	const struct ip_endpoint both[] = { dead->endpoint, good->endpoint };
	const struct dns_channel_config config = config_for(both, 2);
	struct ip_endpoint order[DNS_SERVERS_MAX];
	struct loop *loop;
	struct dns_channel *ch = start(&loop, &config);
	struct asked a;

	CHECK_INT(2, dns_channel_servers(ch, order));
	CHECK_INT(dead->endpoint.port, order[0].port);
	for (int i = 0; i < 5; i++) {
		ask(loop, ch, &a, DNS_A, "a.example");
		NEED(a.answer != NULL);
		dns_answer_unref(&a.answer);
	}
	CHECK_INT(3, name_server_asked(dead, NULL, NULL)); /* then it was no more asked first */
	CHECK_INT(2, dns_channel_servers(ch, order));
	CHECK_INT(good->endpoint.port, order[0].port);
	stop(&loop, &ch);
	name_server_stop(&dead);
	name_server_stop(&good);
}

static void closing_answers_what_is_open(void)
{
	struct name_server *ns = name_server_start("* DROP\n");
	const struct dns_channel_config config = config_for(&ns->endpoint, 1);
	struct loop *loop;
	struct dns_channel *ch = start(&loop, &config);
	struct asked a, b;

	begin(ch, &a, DNS_A, "a.example");
	begin(ch, &b, DNS_MX, "a.example");
	loop_run_once(loop, false);
	dns_channel_free(&ch);
	CHECK(ch == NULL);
	CHECK_INT(1, a.answers);
	CHECK_INT(1, b.answers);
	CHECK_STR("the resolver is closing", a.why);
	stop(&loop, &ch);
	name_server_stop(&ns);
}

static void servers_come_from_a_file(void)
{
	char path[] = "/tmp/postern-resolv-XXXXXX";
	struct dns_channel_config config = config_for(NULL, 0);
	struct ip_endpoint servers[DNS_SERVERS_MAX];
	struct loop *loop;
	const int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	NEED(f != NULL);
	fputs("search example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions rotate\n", f);
	fclose(f);
	config.resolv_conf = path;
	struct dns_channel *ch = start(&loop, &config);
	NEED(dns_channel_servers(ch, servers) == 2);
	CHECK_STR("192.0.2.53", ip_format(&servers[0].addr).s);
	CHECK_STR("2001:db8::53", ip_format(&servers[1].addr).s);
	CHECK_INT(53, servers[0].port);
	stop(&loop, &ch);
	unlink(path);

	struct errtext why = { "" };
	loop = loop_new();
	CHECK(dns_channel_new(loop, &config, &why) == NULL);
	CHECK(strstr(why.s, "cannot be read") != NULL);
	loop_free(&loop);
}

TEST_MAIN(TEST(messages_come_back), TEST(the_authenticated_bit_is_asked_for_when_wanted),
	  TEST(what_is_cut_off_comes_over_tcp), TEST(a_server_without_edns_is_served), TEST(silence_ends),
	  TEST(errors_and_closed_ports_end), TEST(the_next_server_is_asked),
	  TEST(a_dead_first_server_loses_its_place), TEST(closing_answers_what_is_open),
	  TEST(servers_come_from_a_file))
