/* Sessions of `postern simulate` against small configurations: what is said, what is decided, what comes of it. */
#include "main/simulate.h"

#include <sys/stat.h>
#include <unistd.h>

#include "main/config.h"
#include "test.h"

struct bed {
	char dir[64], config[96], policies[96], policy[160];
	struct buf out;
	struct errtext why;
	struct simulate_request req;
};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	NEED(f != NULL);
	NEED(fputs(text, f) >= 0);
	NEED(fclose(f) == 0);
}

/* A configuration whose one policy has these hooks. */
static void bed_open(struct bed *b, const char *hooks)
{
	char text[4096];

	*b = (struct bed){ .out = BUF_INIT(1 << 20) };
	snprintf(b->dir, sizeof b->dir, "/tmp/postern-simulate-XXXXXX");
	NEED(mkdtemp(b->dir) != NULL);
	snprintf(b->config, sizeof b->config, "%s/postern.lua", b->dir);
	snprintf(b->policies, sizeof b->policies, "%s/policies", b->dir);
	snprintf(b->policy, sizeof b->policy, "%s/mine.lua", b->policies);
	NEED(mkdir(b->policies, 0700) == 0);
	snprintf(text, sizeof text,
		 "hostname = 'relay.example.edu'\ndata_dir = '%s'\nhelp_url = 'https://help.example.edu/'\n"
		 "listener 'relay' { bind = '127.0.0.1:2525', policies = { use 'mine' {} } }\n"
		 "listener 'other' { bind = '127.0.0.1:2526', policies = {} }\n"
		 "route 'example.org' {}\nroute '*' { via = '[127.0.0.1]:2527' }\n",
		 b->dir);
	write_file(b->config, text);
	snprintf(text, sizeof text,
		 "local relay = require 'relay'\n"
		 "return relay.policy { name = 'mine', api = 1, options = {}, setup = function()\n"
		 "local on = {}\n%s\nreturn on\nend }\n",
		 hooks);
	write_file(b->policy, text);
	b->req = (struct simulate_request){ .config = span_of(b->config),
					    .helo = SPAN("copier.example.edu"),
					    .ptr = SPAN("copier.example.edu"),
					    .offline = true,
					    .from = SPAN("copier@example.edu"),
					    .to = { SPAN_INIT("user@example.org") },
					    .nto = 1 };
	NEED(ip_parse(SPAN("192.0.2.17"), &b->req.client));
}

static void bed_close(struct bed *b)
{
	buf_free(&b->out);
	unlink(b->policy);
	rmdir(b->policies);
	unlink(b->config);
	rmdir(b->dir);
}

static void bed_run(struct bed *b)
{
	buf_reset(&b->out);
	const int err = simulate(&b->req, &b->out, &b->why);

	if (err < 0)
		FAIL("simulate: %s", b->why.s);
}

static bool said(const struct bed *b, const char *part)
{
	if (span_find(buf_span(&b->out), span_of(part)) >= 0)
		return true;
	printf("  %s is not in %.*s\n", part, SPAN_ARG(buf_span(&b->out)));
	return false;
}

static void an_accepted_message_is_shown(void)
{
	struct bed b;

	bed_open(&b, "function on.rcpt(txn, rcpt) return relay.accept end\n"
		     "function on.message(txn, msg) msg:add('X-Seen', 'yes') end");
	bed_run(&b);
	CHECK(said(&b, "\"said\":null,\"code\":220"));
	CHECK(said(&b, "\"said\":\"EHLO copier.example.edu\",\"code\":250"));
	CHECK(said(&b, "\"said\":\"MAIL FROM:<copier@example.edu>\",\"code\":250,\"enhanced\":\"2.1.0\""));
	CHECK(said(
		&b,
		"\"hook\":\"rcpt\",\"policy\":\"mine\",\"verdict\":\"accept\",\"mode\":\"enforce\",\"broken\":false"));
	CHECK(said(&b, "{\"address\":\"user@example.org\",\"accepted\":true,\"code\":250"));
	CHECK(said(&b, "\"outcome\":\"accepted\""));
	CHECK(said(&b, "{\"address\":\"user@example.org\",\"route\":\"example.org\"}"));
	CHECK(said(&b, "X-Seen: yes"));
	CHECK(said(&b, "from copier.example.edu (copier.example.edu [192.0.2.17])")); /* --ptr is believed */
	CHECK(said(&b, "\"accepted\":true}"));
	CHECK_INT(0, access(b.config, R_OK));
	bed_close(&b);
}

static void without_a_policys_accept_nothing_is_relayed(void)
{
	struct bed b;

	bed_open(&b, "function on.mail(txn, sender) end");
	bed_run(&b);
	CHECK(said(&b, "{\"address\":\"user@example.org\",\"accepted\":false,\"code\":"));
	CHECK(said(&b, "\"outcome\":\"not sent\""));
	CHECK(said(&b, "\"accepted\":false}"));
	bed_close(&b);
}

static void a_refusal_has_its_rule_and_text(void)
{
	struct bed b;

	bed_open(
		&b,
		"function on.helo(conn, name)\n"
		"return relay.reject { code = 501, enhanced = '5.5.2', rule = 'no-copiers', text = 'no copiers here' } end");
	bed_run(&b);
	CHECK(said(&b, "\"hook\":\"helo\",\"policy\":\"mine\",\"verdict\":\"reject\""));
	CHECK(said(&b, "\"rule\":\"no-copiers\",\"text\":\"no copiers here\""));
	/* decided at HELO, told at RCPT */
	CHECK(said(&b, "\"said\":\"RCPT TO:<user@example.org>\",\"code\":501,\"enhanced\":\"5.5.2\","
		       "\"text\":\"5.5.2 no copiers here; rule no-copiers; case "));
	CHECK(said(&b, "https://help.example.edu/"));
	bed_close(&b);
}

static void some_recipients_are_not_all(void)
{
	struct bed b;

	bed_open(&b, "function on.rcpt(txn, rcpt)\n"
		     "if rcpt.address:find('user', 1, true) then return relay.accept end\n"
		     "return relay.reject { rule = 'others', text = 'not to them' } end");
	b.req.to[b.req.nto++] = SPAN("them@example.net");
	bed_run(&b);
	CHECK(said(&b, "{\"address\":\"them@example.net\",\"accepted\":false,\"code\":550"));
	CHECK(said(&b, "\"outcome\":\"accepted\""));
	CHECK(said(&b, "\"accepted\":false}"));
	bed_close(&b);
}

static void held_discarded_and_refused_messages_are_told_apart(void)
{
	static const struct {
		const char *hook, *outcome;
	} cases[] = {
		{ "return relay.hold { rule = 'look', text = 'look at it' }", "\"outcome\":\"held\"" },
		{ "return relay.discard { rule = 'gone', text = 'away with it' }",
		  "\"outcome\":\"discarded\"" },
		{ "return relay.reject { rule = 'bad', text = 'bad message' }",
		  "\"outcome\":\"refused\",\"code\":554" },
		{ "error 'a bug'", "\"outcome\":\"refused\",\"code\":451" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bed b;
		char hooks[400];
		snprintf(
			hooks, sizeof hooks,
			"function on.rcpt(txn, rcpt) return relay.accept end\nfunction on.message(txn, msg) %s end",
			cases[i].hook);
		bed_open(&b, hooks);
		bed_run(&b);
		CHECK(said(&b, cases[i].outcome));
		bed_close(&b);
	}
}

static void the_message_of_a_file_has_crlf(void)
{
	struct bed b;

	bed_open(&b, "function on.rcpt(txn, rcpt) return relay.accept end");
	b.req.message = SPAN("Subject: gr\xc3\xbc\xc3\x9f"
			     "e\nTo: x@example.org\n\n.dot\nbody");
	bed_run(&b);
	CHECK(said(&b, "MAIL FROM:<copier@example.edu> BODY=8BITMIME"));
	CHECK(said(&b, "\"sent\":\"Subject: gr\xc3\xbc\xc3\x9f"
		       "e\\r\\nTo: x@example.org\\r\\n\""));
	CHECK(said(&b, "\"outcome\":\"accepted\""));
	bed_close(&b);
}

static void another_listener_has_other_policies(void)
{
	struct bed b;

	bed_open(&b, "function on.rcpt(txn, rcpt) return relay.accept end");
	b.req.listener = SPAN("other");
	bed_run(&b);
	CHECK(said(&b, "\"listener\":\"other\""));
	CHECK(said(&b, "\"accepted\":false}"));
	b.req.listener = SPAN("third");
	CHECK_INT(-ERR_NOTFOUND, simulate(&b.req, &b.out, &b.why));
	CHECK(strstr(b.why.s, "third") != NULL);
	bed_close(&b);
}

static void a_bad_configuration_is_told(void)
{
	struct bed b;

	bed_open(&b, "");
	write_file(b.config, "hostname = 5\n");
	bed_run(&b);
	CHECK(said(&b, "\"problems\":[{"));
	CHECK(said(&b, "\"accepted\":false}"));
	bed_close(&b);
}

static void an_offline_resolver_knows_no_names(void)
{
	struct bed b;

	bed_open(&b, "function on.rcpt(txn, rcpt)\n"
		     "return relay.reject { rule = 'x', text = txn.conn.reverse.status } end");
	b.req.ptr = (struct span){ NULL, 0 };
	bed_run(&b);
	CHECK(said(&b, "no_ptr"));
	bed_close(&b);
}

TEST_MAIN(TEST(an_accepted_message_is_shown), TEST(without_a_policys_accept_nothing_is_relayed),
	  TEST(a_refusal_has_its_rule_and_text), TEST(some_recipients_are_not_all),
	  TEST(held_discarded_and_refused_messages_are_told_apart), TEST(the_message_of_a_file_has_crlf),
	  TEST(another_listener_has_other_policies), TEST(a_bad_configuration_is_told),
	  TEST(an_offline_resolver_knows_no_names))
