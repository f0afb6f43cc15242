/* test_dialogue.c - commands, their order, and what is said to them. */
#include "session_bed.h"

static void test_a_message(void)
{
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	HAS(bed_say(&b, "EHLO copier.example.edu\r\n"), "250-SIZE 2097152\r\n");
	bed_envelope(&b);
	SAY(&b, "DATA\r\n", "354 ");
	SAY(&b, "Subject: scan\r\n\r\nhello\r\n..dot\r\n.\r\n", "250 2.0.0 Ok: queued as ");
	CHECK_INT(1, b.store.n);
	const char *m = buf_cstr(&b.store.msg[0].octets);
	HAS(m, "Received: from copier.example.edu (unknown [192.0.2.7])\r\n");
	HAS(m, "\tby relay.example.edu (Postern) with ESMTP id ");
	HAS(m, "\tfor <b@example.org>; ");
	HAS(m, "Subject: scan\r\n\r\nhello\r\n.dot\r\n");
	CHECK_INT(1, b.observed[OBSERVER_ACCEPTED]);
	SAY(&b, "QUIT\r\n", "221 2.0.0 Bye\r\n");
	CHECK(b.peer.ended);
	bed_end(&b);
}

static void test_helo_only(void)
{
	struct bed b;

	bed_init(&b);
	bed_open(&b);
	SAY(&b, "helo copier\r\n", "250 relay.example.edu Hello copier [192.0.2.7]\r\n");
	SAY(&b, "mail from:<> SIZE=10\r\n", "555 5.5.4 ");
	SAY(&b, "mail from:<>\r\n", "250 ");
	SAY(&b, "rcpt to:<b@example.org>\r\n", "250 ");
	SAY(&b, "data\r\n", "354 ");
	SAY(&b, "x\r\n.\r\n", "250 ");
	HAS(buf_cstr(&b.store.msg[0].octets), " with SMTP id ");
	bed_end(&b);
}

static void test_order(void)
{
	static const struct {
		const char *say, *want;
	} lines[] = {
		{ "MAIL FROM:<a@b.example>\r\n", "503 5.5.1 say EHLO or HELO first; rule sequence; case " },
		{ "NOOP\r\n", "250 " },
		{ "RSET\r\n", "250 " },
		{ "VRFY root\r\n", "252 " },
		{ "EHLO\r\n", "501 " },
		{ "EHLO a b\r\n", "501 5.5.2 " },
		{ "EHLO [192.0.2.7]\r\n", "250-" },
		{ "RCPT TO:<a@b.example>\r\n", "503 5.5.1 say MAIL first" },
		{ "DATA\r\n", "503 5.5.1 say MAIL first" },
		{ "MAIL FROM:<a@b.example>\r\n", "250 " },
		{ "MAIL FROM:<a@b.example>\r\n", "503 5.5.1 a transaction is open already" },
		{ "DATA\r\n", "503 5.5.1 say RCPT first" },
		{ "RCPT TO:<>\r\n", "501 5.1.3 " },
		{ "RCPT TO:<b@c.example>\r\n", "250 2.1.5 Ok" },
		{ "EHLO other\r\n", "250-" }, /* as RSET */
		{ "DATA\r\n", "503 " },
		{ "FOO\r\n", "500 5.5.2 command not recognised; rule unknown-command; case " },
		{ "TURN\r\n", "502 5.5.1 " },
		{ "EXPN x\r\n", "502 5.7.0 " },
		{ "DATA now\r\n", "501 " },
		{ "RSET now\r\n", "501 5.5.4 " },
		{ "AUTH PLAIN AAAA\r\n", "503 5.5.1 AUTH is not offered here" },
		{ "STARTTLS\r\n", "502 5.5.1 " },
		{ "HELP\r\n", "214-2.0.0 " },
		{ "QUIT\r\n", "221 " },
	};
	struct bed b;

	bed_init(&b);
	b.listener.errors_max = 100;
	bed_open(&b);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		SAY(&b, lines[i].say, lines[i].want);
	bed_end(&b);
}

static void test_pipelining(void)
{
	struct bed b;

	bed_init(&b);
	bed_open(&b);
	const char *got = bed_say(&b, "EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
				      "Subject: 1\r\n\r\n1\r\n.\r\nMAIL FROM:<a@b.example>\r\n"
				      "RCPT TO:<c@d.example>\r\nDATA\r\n2\r\n.\r\nQUIT\r\n");
	HAS(got, "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 ");
	HAS(got, "221 2.0.0 Bye\r\n");
	CHECK_INT(2, b.store.n);
	bed_end(&b);
}

static void test_parameters(void)
{
	static const struct {
		const char *say, *want;
	} lines[] = {
		{ "MAIL FROM:<a@b.example> SIZE=2097153\r\n",
		  "552 5.3.4 message of 2097153 octets exceeds the limit of 2097152 octets; rule message-size" },
		{ "MAIL FROM:<a@b.example> FOO=1\r\n", "555 5.5.4 " },
		{ "MAIL FROM:<a@b.example> BODY=9BIT\r\n", "501 5.5.4 " },
		{ "MAIL FROM:<a@b.example> BY=0;R\r\n", "501 5.5.4 " },
		{ "MAIL FROM:<a@b.example> BY=10;R\r\n", "554 5.4.7 " },
		{ "MAIL FROM:<\xc3\xa9@b.example>\r\n", "550 5.6.7 " },
		{ "MAIL FROM:a@b.example\r\n", "501 " },
		{ "MAIL FROM: <a@b.example>\r\n", "501 " },
		{ "MAIL FROM:<a@b.example> SIZE=100 RET=HDRS ENVID=x BY=120;NT BODY=8BITMIME\r\n", "250 " },
		{ "RCPT TO:<\xc3\xa9@b.example>\r\n", "553 5.6.7 " },
		{ "RCPT TO:<c@d.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c@d.example\r\n", "250 " },
		{ "RCPT TO:<e@d.example> NOTIFY=NEVER\r\n", "250 " },
		{ "DATA\r\n", "354 " },
		{ "x\xff\r\n.\r\n", "250 " },
	};
	struct arena *a = arena_new(100000);
	struct envelope env;
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		SAY(&b, lines[i].say, lines[i].want);
	NEED(b.store.n == 1);
	CHECK_INT(0, envelope_decode(buf_span(&b.store.msg[0].meta), a, &env));
	CHECK_INT(ENVELOPE_8BITMIME | ENVELOPE_RET_HDRS | ENVELOPE_BY_NOTIFY | ENVELOPE_BY_TRACE | ENVELOPE_HAS_8BIT,
		  env.flags);
	CHECK_SPAN("a@b.example", env.sender);
	CHECK_SPAN("x", env.envid);
	CHECK_SPAN("copier.example.edu", env.helo);
	CHECK_SPAN("ESMTP", env.protocol);
	CHECK(env.deliver_by_us - env.arrived_at_us == 120 * SECOND);
	NEED(env.nrcpt == 2);
	CHECK_INT(NOTIFY_SUCCESS | NOTIFY_DELAY, env.rcpt[0].notify);
	CHECK_SPAN("rfc822;c@d.example", env.rcpt[0].orcpt);
	CHECK_INT(NOTIFY_NEVER, env.rcpt[1].notify);
	CHECK_SPAN("d.example", env.rcpt[1].domain);
	arena_free(&a);
	bed_end(&b);
}

static void test_lines(void)
{
	struct bed b;
	char big[5000];

	bed_init(&b);
	bed_ehlo(&b);
	SAY(&b, "NOOP\n", "500 5.5.2 a command line ends in CRLF");
	SAY(&b, "NO\rOP\r\n", "500 5.5.2 ");
	CHECK(strncmp(bed_say_span(&b, SPAN("NO\0OP\r\n")), "500 5.5.2 ", 10) == 0);
	memset(big, 'x', sizeof big);
	bed_say_span(&b, span_make(big, sizeof big));
	SAY(&b, "", "");
	SAY(&b, "\r\nNOOP\r\n", "500 5.5.2 line too long; rule line-too-long");
	HAS(buf_cstr(&b.got), "\r\n250 ");
	SAY(&b, "NO", "");
	SAY(&b, "OP\r", "");
	SAY(&b, "\nQUIT\r\n", "250 2.0.0 Ok\r\n221 ");
	bed_end(&b);
}

/* The end of the stream within a line that is too long: nobody would ever say more. */
static void test_long_line_without_end(void)
{
	struct bed b;
	char big[5000];

	memset(big, 'x', sizeof big);
	bed_init(&b);
	bed_ehlo(&b);
	bed_say_span(&b, span_make(big, sizeof big));
	memory_stream_send_eof(&b.peer);
	bed_run(&b);
	CHECK(b.s == NULL);
	bed_end(&b);
}

static void test_profile(void)
{
	struct bed b;

	bed_init(&b);
	b.listener.profile = &b.profile;
	bed_open(&b);
	SAY(&b, "EHLO\n", "250-");
	SAY(&b, " MAIL  FROM: a@b.example\n", "250 ");
	SAY(&b, "RCPT TO: c@d.example\n", "250 ");
	SAY(&b, "DATA please\n", "354 ");
	SAY(&b, "Subject: x\n\nhi\nthere\r\n.\r\n", "250 ");
	HAS(buf_cstr(&b.store.msg[0].octets), "Subject: x\r\n\r\nhi\r\nthere\r\n");
	bed_end(&b);
}

static void test_other_protocols(void)
{
	struct bed b;

	bed_init(&b);
	bed_open(&b);
	SAY(&b, "GET / HTTP/1.1\r\n", "554 5.5.0 this is an SMTP server");
	CHECK(b.peer.ended);
	bed_end(&b);
	bed_init(&b);
	bed_open(&b);
	bed_say_span(&b, SPAN("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
	CHECK_INT(0, b.got.n);
	CHECK(b.peer.ended);
	HAS(bed_log(&b), "tls_on_plain_port");
	bed_end(&b);
}

static void test_too_many(void)
{
	struct bed b;

	bed_init(&b);
	b.listener.errors_max = 2;
	bed_ehlo(&b);
	SAY(&b, "FOO\r\n", "500 ");
	HAS(bed_say(&b, "FOO\r\nNOOP\r\n"), "421 4.7.0 too many errors\r\n");
	CHECK(b.peer.ended);
	bed_end(&b);

	bed_init(&b);
	b.listener.idle_commands_max = 4;
	bed_ehlo(&b);
	SAY(&b, "MAIL FROM:<a@b.example>\r\nRSET\r\nMAIL FROM:<a@b.example>\r\nRSET\r\nNOOP\r\nNOOP\r\n",
	    "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n421 4.7.0 too many commands");
	bed_end(&b);

	bed_init(&b);
	b.listener.messages_max = 1;
	b.listener.rcpts_max = 1;
	bed_ehlo(&b);
	bed_envelope(&b);
	SAY(&b, "RCPT TO:<c@example.org>\r\n", "452 4.5.3 too many recipients; send the rest in another message");
	SAY(&b, "DATA\r\n", "354 ");
	SAY(&b, ".\r\n", "250 ");
	SAY(&b, "MAIL FROM:<a@b.example>\r\n", "421 4.7.0 too many messages");
	bed_end(&b);
}

/* A HELO after another forgets what the first brought: it may be said for ever, as far as idle_commands_max lets it. */
static void test_helo_again(void)
{
	struct bed b;
	char line[300];

	bed_init(&b);
	b.listener.idle_commands_max = 3000;
	bed_ehlo(&b);
	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof line, "EHLO host%d.%050d.%050d.example.edu\r\n", i, 1, 2);
		SAY(&b, line, "250-");
	}
	SAY(&b, "NOOP\r\n", "250 ");
	bed_end(&b);
}

static void test_etrn(void)
{
	struct ip_set *set = ip_set_new();
	struct bed b;

	bed_init(&b);
	bed_ehlo(&b);
	SAY(&b, "ETRN example.org\r\n", "459 4.7.1 ");
	bed_end(&b);
	bed_init(&b);
	b.listener.etrn_from = set;
	struct ip_net net;
	NEED(ip_net_parse(SPAN("192.0.2.0/24"), &net));
	ip_set_add(set, &net);
	bed_ehlo(&b);
	SAY(&b, "ETRN #queue\r\n", "458 ");
	SAY(&b, "ETRN a b\r\n", "501 ");
	SAY(&b, "ETRN @example.org\r\n", "253 OK, 3 pending messages for node @example.org started\r\n");
	CHECK_INT(1, b.etrns);
	bed_end(&b);
	ip_set_free(&set);
}

/* Replies that nobody reads stop the commands, and none of them is lost. */
static void test_replies_unread(void)
{
	struct bed b;

	bed_init(&b);
	b.listener.idle_commands_max = UINT32_MAX;
	bed_ehlo(&b);
	memory_stream_stall(&b.peer, true);
	for (int i = 0; i < 100000; i++)
		memory_stream_send(&b.peer, SPAN("NOOP\r\n"));
	bed_run(&b);
	CHECK(b.s != NULL);
	memory_stream_stall(&b.peer, false);
	size_t n = 0;
	for (int i = 0; i < 50; i++) {
		bed_take(&b);
		n += b.got.n;
	}
	CHECK_INT(100000 * 14, n);
	bed_end(&b);
}

TEST_MAIN(TEST(test_a_message), TEST(test_helo_only), TEST(test_order), TEST(test_pipelining), TEST(test_parameters),
	  TEST(test_lines), TEST(test_long_line_without_end), TEST(test_profile), TEST(test_other_protocols),
	  TEST(test_too_many), TEST(test_helo_again), TEST(test_etrn), TEST(test_replies_unread))
