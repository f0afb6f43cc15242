/* test_tls.c - STARTTLS, TLS from the first octet, who must have it and from when; and what does not survive the handshake. */
#include "tls_client.h"

static void test_starttls(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	bed_open(&t.b);
	HAS(bed_say(&t.b, "EHLO copier.example.edu\r\n"), "250-STARTTLS\r\n");
	CHECK(strstr(buf_cstr(&t.b.got), "REQUIRETLS") == NULL); /* RFC 8689: under TLS only */
	SAY(&t.b, "MAIL FROM:<a@example.edu> REQUIRETLS\r\n", "530 5.7.10 ");
	SAY(&t.b, "STARTTLS now\r\n", "501 5.5.4 ");
	SAY(&t.b, "STARTTLS\r\n", "220 2.0.0 Ready to start TLS\r\n");
	tb_secure(&t);
	TSAY(&t, "MAIL FROM:<a@example.edu>\r\n", "503 5.5.1 say EHLO or HELO first");
	TSAY(&t, "EHLO copier.example.edu\r\n", "250-relay.example.edu Hello ");
	CHECK(strstr(buf_cstr(&t.got), "STARTTLS") == NULL); /* RFC 3207 section 4.2 */
	HAS(buf_cstr(&t.got), "REQUIRETLS");
	TSAY(&t, "STARTTLS\r\n", "503 5.5.1 this connection is under TLS already");
	TSAY(&t, "MAIL FROM:<a@example.edu>\r\n", "250 2.1.0 Ok\r\n");
	TSAY(&t, "RCPT TO:<b@example.org>\r\n", "250 2.1.5 Ok\r\n");
	TSAY(&t, "DATA\r\n", "354 ");
	TSAY(&t, "Subject: x\r\n\r\nhello\r\n.\r\n", "250 2.0.0 Ok: queued as ");
	NEED(t.b.store.n == 1);
	const char *m = buf_cstr(&t.b.store.msg[0].octets);
	HAS(m, "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n");
	HAS(m, "\t(No client certificate requested)\r\n");
	HAS(m, " with ESMTPS id ");
	TSAY(&t, "QUIT\r\n", "221 2.0.0 Bye\r\n");
	CHECK_INT(1, t.b.hook[HOOK_STARTTLS].asked);
	HAS(bed_log(&t.b), "\"tls\":\"TLSv1.3\",\"cipher\":\"TLS_AES_256_GCM_SHA384\"");
	HAS(bed_log(&t.b), "\"sni\":\"relay.example.edu\"");
	CHECK_INT(1, metric_sum_label(METRIC_SESSIONS_TLS_TOTAL, SPAN("TLSv1.3"),
				      (struct metric_shard *[]){ &t.b.metrics }, 1));
	tb_end(&t);
}

/* What stands behind STARTTLS in clear was said by anybody: RFC 3207 section 4.2, CVE-2011-0411. */
static void test_injection(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	bed_ehlo(&t.b);
	SAY(&t.b,
	    "STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.edu>\r\nRCPT TO:<v@example.org>\r\nDATA\r\nx\r\n.\r\nRS",
	    "220 2.0.0 Ready to start TLS\r\n");
	CHECK_STR("220 2.0.0 Ready to start TLS\r\n", buf_cstr(&t.b.got));
	tb_secure(&t);
	TSAY(&t, "RCPT TO:<b@example.org>\r\n", "503 5.5.1 say EHLO or HELO first");
	CHECK_INT(0, t.b.store.n);
	CHECK_INT(0, t.b.hook[HOOK_MAIL].asked);
	CHECK_INT(1, t.b.hook[HOOK_HELO].asked);
	HAS(bed_log(&t.b), "\"event\":\"tls_input_dropped\"");
	tb_end(&t);
}

/* In the wire's next piece it is no TLS, and the connection is over. */
static void test_injection_behind_the_reply(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	bed_ehlo(&t.b);
	SAY(&t.b, "STARTTLS\r\n", "220 ");
	bed_say(&t.b, "EHLO evil.example\r\nMAIL FROM:<evil@example.edu>\r\n");
	CHECK(t.b.s == NULL);
	CHECK_INT(0, t.b.hook[HOOK_MAIL].asked);
	HAS(bed_log(&t.b), "\"event\":\"tls_failed\"");
	HAS(bed_log(&t.b), "\"reason\":\"tls-failed\"");
	tb_end(&t);
}

/* Transaction, name, profile and HELO's refusal go; what connect decided stays. */
static void test_what_is_forgotten(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	t.b.hook[HOOK_HELO].verdict =
		(struct verdict){ .kind = VERDICT_REJECT, .rule = SPAN("bad-name"), .text = SPAN("no") };
	bed_ehlo(&t.b);
	NEED(t.b.s != NULL);
	CHECK_INT(0, ((struct view_conn *)(uintptr_t)session_view(t.b.s))
			     ->actions->use_profile((struct view_conn *)(uintptr_t)session_view(t.b.s),
						    SPAN("copier")));
	SAY(&t.b, "MAIL FROM:<a@example.edu>\r\n", "250 ");
	SAY(&t.b, "RCPT TO:<b@example.org>\r\n", "550 5.7.1 no; rule bad-name");
	SAY(&t.b, "STARTTLS\r\n", "220 ");
	CHECK_INT(1, t.b.txn_gone);
	CHECK_SPAN("", session_view(t.b.s)->helo);
	CHECK_SPAN("", session_view(t.b.s)->profile);
	tb_secure(&t);
	t.b.hook[HOOK_HELO].verdict = (struct verdict){ 0 };
	TSAY(&t, "EHLO copier.example.edu\r\n", "250-");
	TSAY(&t, "MAIL FROM:<a@example.edu>\r\n", "250 ");
	TSAY(&t, "RCPT TO:<b@example.org>\r\n", "250 ");
	tb_end(&t);

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	t.b.hook[HOOK_CONNECT].verdict =
		(struct verdict){ .kind = VERDICT_REJECT, .rule = SPAN("bad-net"), .text = SPAN("no") };
	tb_starttls(&t);
	TSAY(&t, "EHLO copier.example.edu\r\n", "250-");
	TSAY(&t, "MAIL FROM:<a@example.edu>\r\n", "250 ");
	TSAY(&t, "RCPT TO:<b@example.org>\r\n", "554 5.7.1 no; rule bad-net");
	tb_end(&t);
}

static void test_implicit(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_IMPLICIT, false);
	bed_connect(&t.b);
	HEAR(&t.b, "connect", ""); /* not a word before the handshake */
	tb_secure(&t);
	bed_check(__FILE__, __LINE__, "handshake", "220 relay.example.edu ", buf_cstr(&t.got));
	CHECK(strstr(tb_say(&t, "EHLO copier.example.edu\r\n"), "STARTTLS") == NULL);
	TSAY(&t, "STARTTLS\r\n", "503 ");
	tb_end(&t);
}

/* Somebody speaks SMTP on the port for TLS. */
static void test_implicit_in_clear(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_IMPLICIT, false);
	bed_connect(&t.b);
	bed_say(&t.b, "EHLO copier.example.edu\r\n");
	CHECK(strstr(buf_cstr(&t.b.got), "250") == NULL && strstr(buf_cstr(&t.b.got), "220") == NULL);
	CHECK(t.b.s == NULL);
	HAS(bed_log(&t.b), "\"event\":\"tls_failed\"");
	CHECK_INT(0, t.b.hook[HOOK_HELO].asked);
	tb_end(&t);
}

static void test_proxy_before_tls(void)
{
	struct ip_set *set = ip_set_new();
	struct ip_net net;
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_IMPLICIT, false);
	NEED(ip_net_parse(SPAN("192.0.2.7"), &net));
	ip_set_add(set, &net);
	t.b.listener.proxy_from = set;
	bed_connect(&t.b);
	SAY(&t.b, "PROXY TCP4 198.51.100.9 192.0.2.1 4711 465\r\n", "");
	tb_secure(&t);
	bed_check(__FILE__, __LINE__, "handshake", "220 ", buf_cstr(&t.got));
	HAS(tb_say(&t, "EHLO copier\r\n"), "[198.51.100.9]");
	tb_end(&t);
	ip_set_free(&set);
}

static void test_required(void)
{
	static const struct {
		const char *say, *want;
	} lines[] = {
		{ "NOOP\r\n", "250 " },
		{ "RSET\r\n", "250 " },
		{ "HELP\r\n", "214" },
		{ "MAIL FROM:<a@b.example>\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n" },
		{ "EHLO a\r\n", "250-" },
		{ "MAIL FROM:<a@b.example>\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n" },
		{ "RCPT TO:<a@b.example>\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n" },
		{ "DATA\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n" },
		{ "VRFY root\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n" },
		{ "AUTH PLAIN AGEAYg==\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n" },
		{ "BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n",
		  "530 5.7.0 Must issue a STARTTLS command first\r\n250 " },
		{ "HELO a\r\n", "250 " },
		{ "STARTTLS\r\n", "220 2.0.0 Ready to start TLS\r\n" },
	};
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_REQUIRED, false);
	bed_open(&t.b);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		SAY(&t.b, lines[i].say, lines[i].want);
	tb_secure(&t);
	TSAY(&t, "EHLO a\r\n", "250-");
	TSAY(&t, "MAIL FROM:<a@b.example>\r\n", "250 ");
	HAS(bed_log(&t.b), "\"rule\":\"starttls-first\"");
	tb_end(&t);
}

/* 1279612800: July 20, 2010, 10 a.m. somewhere. The second before is still free, and who would be hit is told once a session. */
static void test_required_from_a_date(void)
{
	const int64_t day = INT64_C(1279638000) * SECOND;
	struct metric_shard *shards[1];
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_REQUIRED, false);
	shards[0] = &t.b.metrics;
	t.b.listener.tls.required_from_wall_us = day;
	loop_clock_hold(t.b.loop, day - 2 * SECOND);
	bed_ehlo(&t.b);
	SAY(&t.b, "MAIL FROM:<a@b.example>\r\n", "250 ");
	SAY(&t.b, "RSET\r\n", "250 ");
	CHECK_INT(1, metric_sum(METRIC_TLS_WOULD_REFUSE_TOTAL, shards, 1));
	bed_pass(&t.b, 2 * SECOND - 1);
	SAY(&t.b, "MAIL FROM:<a@b.example>\r\n", "250 ");
	SAY(&t.b, "RSET\r\n", "250 ");
	bed_pass(&t.b, 1);
	SAY(&t.b, "MAIL FROM:<a@b.example>\r\n", "530 5.7.0 Must issue a STARTTLS command first\r\n");
	CHECK_INT(1, metric_sum(METRIC_TLS_WOULD_REFUSE_TOTAL, shards, 1));
	HAS(bed_log(&t.b), "\"event\":\"tls_would_refuse\"");
	tb_end(&t);
}

/* Between MAIL and the content the second comes: nothing of it is taken. */
static void test_the_second_comes_within(void)
{
	const int64_t day = INT64_C(1279638000) * SECOND;
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_REQUIRED, false);
	t.b.listener.tls.required_from_wall_us = day;
	loop_clock_hold(t.b.loop, day - SECOND);
	bed_ehlo(&t.b);
	bed_envelope(&t.b);
	bed_pass(&t.b, SECOND);
	SAY(&t.b, "BDAT 6 LAST\r\nNOOP\r\n", "530 5.7.0 ");
	SAY(&t.b, "DATA\r\n", "530 5.7.0 ");
	CHECK_INT(0, t.b.store.n);
	tb_end(&t);
}

static void test_hidden(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	t.b.profile.hide_ext = SMTP_EXT_STARTTLS;
	t.b.listener.profile = &t.b.profile;
	bed_open(&t.b);
	CHECK(strstr(bed_say(&t.b, "EHLO old\r\n"), "STARTTLS") == NULL);
	SAY(&t.b, "STARTTLS\r\n", "502 5.5.1 STARTTLS is not offered here");
	bed_envelope(&t.b);
	tb_end(&t);
}

/* TLS at once where STARTTLS was expected: logged; served if the listener says so, for the greeting waits for it. */
static void test_hello_on_a_plain_port(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	t.b.listener.tls.serve_hello = true;
	bed_connect(&t.b);
	HEAR(&t.b, "connect", "");
	tb_secure(&t);
	bed_pass(&t.b, SECOND);
	bed_check(__FILE__, __LINE__, "handshake", "220 relay.example.edu", tb_hear(&t));
	TSAY(&t, "EHLO copier\r\n", "250-relay.example.edu");
	CHECK(!session_view(t.b.s)->early_talker);
	HAS(bed_log(&t.b), "\"event\":\"tls_on_plain_port\"");
	tb_end(&t);

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	t.b.listener.tls.serve_hello = true;
	bed_connect(&t.b);
	HEAR(&t.b, "connect", "");
	bed_pass(&t.b, SECOND);
	HEAR(&t.b, "wait", "220 relay.example.edu");
	SAY(&t.b, "EHLO copier\r\n", "250-");
	tb_end(&t);

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	bed_open(&t.b);
	tb_hello(&t);
	tb_run(&t);
	CHECK(t.b.s == NULL && t.status < 0);
	HAS(bed_log(&t.b), "\"event\":\"tls_on_plain_port\"");
	tb_end(&t);
}

static void test_client_certificate(void)
{
	const struct view_tls *tls;
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_OPTIONAL, true);
	tb_starttls(&t);
	NEED(t.b.s && session_view(t.b.s)->tls);
	tls = session_view(t.b.s)->tls;
	CHECK(tls->cert_given && tls->cert_ok);
	CHECK_SPAN("Copier 7", tls->common_name);
	CHECK_SPAN("copier7@example.edu", tls->email);
	CHECK_SPAN("copier7.example.edu", tls->dns_name);
	CHECK_INT(64, tls->fingerprint.n);
	TSAY(&t, "EHLO copier\r\n", "250-");
	TSAY(&t, "MAIL FROM:<a@example.edu>\r\n", "250 ");
	TSAY(&t, "RCPT TO:<b@example.org>\r\n", "250 ");
	TSAY(&t, "DATA\r\n", "354 ");
	TSAY(&t, "\r\nx\r\n.\r\n", "250 ");
	HAS(buf_cstr(&t.b.store.msg[0].octets), "\t(Client CN \"Copier 7\" verified OK)\r\n");
	HAS(bed_log(&t.b), "\"cert_ok\":true");
	tb_end(&t);
}

/* What policy says of the handshake. */
static void test_policy(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	t.b.hook[HOOK_STARTTLS].verdict =
		(struct verdict){ .kind = VERDICT_REJECT, .rule = SPAN("weak"), .text = SPAN("weak") };
	tb_starttls(&t);
	TSAY(&t, "EHLO a\r\n", "250-");
	TSAY(&t, "MAIL FROM:<a@example.edu>\r\n", "250 ");
	TSAY(&t, "RCPT TO:<b@example.org>\r\n", "554 5.7.1 weak; rule weak");
	tb_end(&t);

	/* At once: RFC 3207 section 4.1. */
	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	t.b.hook[HOOK_STARTTLS].verdict = (struct verdict){
		.kind = VERDICT_REJECT, .rule = SPAN("weak"), .text = SPAN("weak"), .now = true
	};
	tb_starttls(&t);
	TSAY(&t, "EHLO a\r\n", "554 5.7.1 weak; rule weak");
	TSAY(&t, "NOOP\r\n", "554 5.7.1 weak; rule weak");
	TSAY(&t, "QUIT\r\n", "221 ");
	tb_end(&t);

	tb_init(&t, SESSION_TLS_IMPLICIT, false);
	t.b.hook[HOOK_STARTTLS].verdict = (struct verdict){
		.kind = VERDICT_REJECT, .rule = SPAN("weak"), .text = SPAN("weak"), .now = true
	};
	bed_connect(&t.b);
	tb_secure(&t);
	bed_check(__FILE__, __LINE__, "handshake", "554 5.7.1 weak", buf_cstr(&t.got));
	TSAY(&t, "EHLO a\r\n", "503 ");
	TSAY(&t, "QUIT\r\n", "221 ");
	tb_end(&t);

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	t.b.hook[HOOK_STARTTLS].verdict =
		(struct verdict){ .kind = VERDICT_DISCONNECT, .rule = SPAN("away"), .text = SPAN("away") };
	bed_ehlo(&t.b);
	SAY(&t.b, "STARTTLS\r\n", "220 ");
	tb_hello(&t);
	tb_run(&t);
	bed_check(__FILE__, __LINE__, "handshake", "421 4.7.1 away", buf_cstr(&t.got));
	CHECK(t.b.s == NULL);
	tb_end(&t);
}

/* However it ends while a handshake is under way, everything is given back. */
static void test_endings_within_a_handshake(void)
{
	struct tls_bed t;

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	bed_ehlo(&t.b);
	SAY(&t.b, "STARTTLS\r\n", "220 ");
	bed_pass(&t.b, 31 * SECOND); /* nothing comes */
	CHECK(t.b.s == NULL);
	HAS(bed_log(&t.b), "\"reason\":\"tls-timeout\"");
	tb_end(&t);

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	bed_ehlo(&t.b);
	SAY(&t.b, "STARTTLS\r\n", "220 ");
	session_drain_all(&t.b.env);
	bed_run(&t.b);
	CHECK(t.b.s != NULL);
	session_close_all(&t.b.env);
	bed_run(&t.b);
	CHECK(t.b.s == NULL);
	HAS(bed_log(&t.b), "\"reason\":\"shutdown\"");
	tb_end(&t);

	tb_init(&t, SESSION_TLS_OPTIONAL, false);
	bed_ehlo(&t.b);
	SAY(&t.b, "STARTTLS\r\n", "220 ");
	memory_stream_send(&t.b.peer, SPAN("\x16\x03\x01\x02"));
	bed_run(&t.b);
	memory_stream_reset(&t.b.peer, -ERR_CLOSED);
	bed_run(&t.b);
	CHECK(t.b.s == NULL);
	tb_end(&t);
}

TEST_MAIN(TEST(test_starttls), TEST(test_injection), TEST(test_injection_behind_the_reply),
	  TEST(test_what_is_forgotten), TEST(test_implicit), TEST(test_implicit_in_clear),
	  TEST(test_proxy_before_tls), TEST(test_required), TEST(test_required_from_a_date),
	  TEST(test_the_second_comes_within), TEST(test_hidden), TEST(test_hello_on_a_plain_port),
	  TEST(test_client_certificate), TEST(test_policy), TEST(test_endings_within_a_handshake))
