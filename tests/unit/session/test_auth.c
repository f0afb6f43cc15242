/* test_auth.c - AUTH as a client sees it and as the log tells it; who decides is a backend of the test's. */
#include "auth/auth_backend.h"
#include "base/base64.h"
#include "state/bans_memory.h"
#include "tls_client.h"

enum { CHECK_US = 5000000 };

struct book { /* a backend */
	struct auth_backend head;
	struct auth_check *pending;
	bool waits;
	unsigned asked;
};

static void book_cancel(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

static enum auth_answer book_answer(const struct auth_check *c)
{
	if (span_eq(c->user, SPAN("gone")))
		return AUTH_ANSWER_EXPIRED;
	if (span_eq(c->user, SPAN("down")))
		return AUTH_ANSWER_TEMPFAIL;
	if (!span_eq(c->user, SPAN("copier7")) && !span_eq(c->user, SPAN("scan")))
		return AUTH_ANSWER_UNKNOWN_HERE;
	return span_eq(secret_span(c->password), SPAN("swordfish")) ? AUTH_ANSWER_RIGHT : AUTH_ANSWER_WRONG;
}

static int book_check(struct auth_backend *b, struct auth_check *c, struct scope *scope)
{
	struct book *book = container_of(b, struct book, head);
	const int err = op_begin(&c->op, scope, "book", CHECK_US, book_cancel);

	if (err < 0)
		return err;
	book->asked++;
	book->pending = c;
	c->answer = book_answer(c);
	if (c->answer == AUTH_ANSWER_RIGHT) {
		snprintf(c->identity.user, sizeof c->identity.user, "%.*s@EXAMPLE.EDU", SPAN_ARG(c->user));
		snprintf(c->identity.realm, sizeof c->identity.realm, "EXAMPLE.EDU");
	}
	if (!book->waits)
		op_complete(&c->op, 0);
	return 0;
}

static const struct auth_backend_ops book_ops = { .name = "book", .check = book_check };

struct auth_bed {
	struct tls_bed t;
	struct book book;
	struct auth_server server;
	struct ip_set *set;
	char said[300];
};

static void ab_init(struct auth_bed *a, enum session_tls_mode mode, bool clients)
{
	*a = (struct auth_bed){ 0 };
	tb_init(&a->t, mode, clients);
	a->book.head.ops = &book_ops;
	a->server = (struct auth_server){ .backend = { &a->book.head },
					  .nbackends = 1,
					  .mechs = (1u << AUTH_MECH_PLAIN) | (1u << AUTH_MECH_LOGIN) |
						   (clients ? 1u << AUTH_MECH_EXTERNAL : 0) };
	a->t.b.listener.auth = (struct session_auth_config){
		.server = &a->server, .failures_max = 3, .failure_delay_us = SECOND, .timeout_us = 10 * SECOND
	};
}

static void ab_end(struct auth_bed *a)
{
	tb_end(&a->t);
	ip_set_free(&a->set);
}

static void ab_clear_from(struct auth_bed *a, const char *network)
{
	struct ip_net net;

	a->set = ip_set_new();
	NEED(ip_net_parse(span_of(network), &net));
	ip_set_add(a->set, &net);
	a->t.b.listener.auth.clear_from = a->set;
	a->server.clear_mechs = a->server.mechs;
}

/* "AUTH PLAIN ..." of user and password. */
static const char *plain(struct auth_bed *a, const char *user, const char *password)
{
	struct buf text = BUF_INIT(200), out = BUF_INIT(300);

	buf_add_char(&text, 0);
	buf_add_str(&text, user);
	buf_add_char(&text, 0);
	buf_add_str(&text, password);
	base64_encode(&out, buf_span(&text));
	snprintf(a->said, sizeof a->said, "AUTH PLAIN %s\r\n", buf_cstr(&out));
	buf_free(&text);
	buf_free(&out);
	return a->said;
}

static void ab_ready(struct auth_bed *a)
{
	tb_starttls(&a->t);
	TSAY(&a->t, "EHLO copier.example.edu\r\n", "250-");
}

static void test_plain(void)
{
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	bed_open(&a.t.b);
	CHECK(strstr(bed_say(&a.t.b, "EHLO copier\r\n"), "AUTH") == NULL); /* nothing to steal */
	SAY(&a.t.b, plain(&a, "copier7", "swordfish"), "538 5.7.11 ");
	CHECK_INT(0, a.book.asked);
	SAY(&a.t.b, "STARTTLS\r\n", "220 ");
	tb_secure(&a.t);
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "503 5.5.1 say EHLO or HELO first");
	HAS(tb_say(&a.t, "EHLO copier.example.edu\r\n"), "250-AUTH PLAIN LOGIN\r\n");
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "235 2.7.0 Authentication successful\r\n");
	CHECK_SPAN("copier7@EXAMPLE.EDU", session_view(a.t.b.s)->auth_user);
	CHECK_SPAN("EXAMPLE.EDU", session_view(a.t.b.s)->auth_realm);
	CHECK_SPAN("PLAIN", session_view(a.t.b.s)->auth_mech);
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "503 5.5.1 you are authenticated already");
	CHECK(strstr(tb_say(&a.t, "EHLO copier.example.edu\r\n"), "AUTH") == NULL);
	TSAY(&a.t, "MAIL FROM:<a@example.edu> AUTH=scan@example.edu\r\n", "250 ");
	TSAY(&a.t, "RCPT TO:<b@example.org>\r\n", "250 ");
	TSAY(&a.t, "DATA\r\n", "354 ");
	TSAY(&a.t, "\r\nx\r\n.\r\n", "250 ");
	HAS(buf_cstr(&a.t.b.store.msg[0].octets), " with ESMTPSA id ");
	CHECK_INT(1, a.t.b.observed[OBSERVER_AUTHENTICATED]);
	CHECK_INT(1, a.t.b.hook[HOOK_AUTH].asked);
	HAS(bed_log(&a.t.b), "\"event\":\"authenticated\"");
	HAS(bed_log(&a.t.b), "\"user\":\"copier7@EXAMPLE.EDU\",\"mech\":\"PLAIN\"");
	HAS(bed_log(&a.t.b), "\"backend\":\"book\"");
	CHECK(strstr(bed_log(&a.t.b), "swordfish") == NULL &&
	      strstr(bed_log(&a.t.b), "c3dvcmRmaXNo") == NULL);
	ab_end(&a);
}

static void test_login(void)
{
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	a.t.b.profile.auth_old_clients = true;
	a.t.b.listener.profile = &a.t.b.profile;
	tb_starttls(&a.t);
	HAS(tb_say(&a.t, "EHLO old\r\n"), "250-AUTH PLAIN LOGIN\r\n250-AUTH=PLAIN LOGIN\r\n");
	TSAY(&a.t, "auth login\r\n", "334 VXNlcm5hbWU6\r\n");
	TSAY(&a.t, "Y29waWVyNw==\r\n", "334 UGFzc3dvcmQ6\r\n");
	TSAY(&a.t, "c3dvcmRmaXNo\r\n", "235 2.7.0 Authentication successful\r\n");
	CHECK_SPAN("LOGIN", session_view(a.t.b.s)->auth_mech);
	ab_end(&a);
}

static void test_what_is_no_exchange(void)
{
	static char big[13000];
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	ab_ready(&a);
	TSAY(&a.t, "AUTH\r\n", "501 5.5.4 ");
	TSAY(&a.t, "AUTH ANONYMOUS\r\n", "504 5.5.4 "); /* */
	TSAY(&a.t, "AUTH CRAM-MD5\r\n", "504 5.5.4 ");
	HAS(bed_log(&a.t.b), "\"offered\":\"CRAM-MD5\"");
	CHECK(strstr(bed_log(&a.t.b), "auth_failed") == NULL); /* fail2ban counts those */
	TSAY(&a.t, "AUTH c2VjcmV0\r\n", "504 5.5.4 "); /* perhaps a password: not a word of it */
	CHECK(strstr(bed_log(&a.t.b), "c2VjcmV0") == NULL);
	TSAY(&a.t, "AUTH PLAIN !!!!\r\n", "501 5.5.2 ");
	TSAY(&a.t, "AUTH PLAIN\r\n", "334 \r\n");
	TSAY(&a.t, "*\r\n", "501 5.0.0 authentication cancelled");
	TSAY(&a.t, "AUTH LOGIN\r\n", "334 ");
	TSAY(&a.t, "Y29waWVyNw==\n", "501 5.5.2 "); /* a bare LF */
	TSAY(&a.t, "NOOP\r\n", "250 ");
	memset(big, 'A', sizeof big - 3);
	memcpy(big + sizeof big - 3, "\r\n", 3);
	TSAY(&a.t, "AUTH LOGIN\r\n", "334 ");
	TSAY(&a.t, big, "500 5.5.6 ");
	memcpy(big, "AUTH PLAIN ", 11);
	TSAY(&a.t, big, "500 5.5.6 ");
	TSAY(&a.t, "NOOP\r\n", "250 ");
	/* A line as long as it may be is no line too long. */
	big[12286] = '\r', big[12287] = '\n', big[12288] = 0;
	CHECK(strncmp(tb_say(&a.t, big), "500", 3) != 0);
	memset(big, 'x', 600);
	memcpy(big + 600, "\r\n", 3);
	TSAY(&a.t, big, "500 5.5.2 line too long");
	CHECK_INT(0, a.book.asked);
	ab_end(&a);
}

static void test_in_a_transaction(void)
{
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	ab_ready(&a);
	TSAY(&a.t, "MAIL FROM:<a@example.edu> AUTH=scan@example.edu\r\n", "250 ");
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "503 5.5.1 not within a transaction");
	TSAY(&a.t, "RSET\r\n", "250 ");
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "235 ");
	ab_end(&a);
}

/* Wrong and unknown are the same to the client, in words and in time; the log knows. */
static void test_wrong_credentials(void)
{
	static const char *const users[] = { "copier7", "nobody", "gone" };
	static const char *const reasons[] = { "wrong", "unknown", "expired" };
	char want[80];
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	loop_clock_hold(a.t.b.loop, 0);
	ab_ready(&a);
	for (unsigned i = 0; i < 3; i++) {
		TSAY(&a.t, plain(&a, users[i], "guess"), "");
		bed_pass(&a.t.b, (SECOND << i) - 1);
		bed_check(__FILE__, __LINE__, users[i], "", tb_hear(&a.t));
		bed_pass(&a.t.b, 1);
		bed_check(__FILE__, __LINE__, users[i],
			  "535 5.7.8 Authentication credentials invalid; rule auth-failed; case ",
			  tb_hear(&a.t));
		snprintf(want, sizeof want, "\"reason\":\"%s\",\"code\":535", reasons[i]);
		HAS(bed_log(&a.t.b), want);
	}
	HAS(buf_cstr(&a.t.got), "\r\n421 4.7.0 too many failed logins\r\n");
	CHECK(a.t.b.s == NULL);
	CHECK_INT(3, a.t.b.observed[OBSERVER_AUTH_FAILED]);
	HAS(bed_log(&a.t.b), "\"mech\":\"PLAIN\"");
	HAS(bed_log(&a.t.b), "\"user\":\"nobody\"");
	CHECK(strstr(bed_log(&a.t.b), "guess") == NULL && strstr(bed_log(&a.t.b), "Z3Vlc3") == NULL);
	ab_end(&a);
}

/* Nobody can say: never 535, for then devices give up. */
static void test_tempfail(void)
{
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	ab_ready(&a);
	TSAY(&a.t, plain(&a, "down", "swordfish"), "454 4.7.0 Temporary authentication failure");
	HAS(bed_log(&a.t.b), "\"reason\":\"tempfail\",\"code\":454");
	a.book.waits = true;
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "");
	bed_pass(&a.t.b, CHECK_US + SECOND);
	bed_check(__FILE__, __LINE__, "silence", "454 4.7.0 ", tb_hear(&a.t));
	a.book.waits = false;
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "235 ");
	ab_end(&a);
}

/* The client goes, or the server, while somebody is asked. */
static void test_leaving_while_asked(void)
{
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	ab_ready(&a);
	a.book.waits = true;
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "");
	memory_stream_reset(&a.t.b.peer, -ERR_CLOSED);
	bed_run(&a.t.b);
	CHECK(a.t.b.s == NULL);
	ab_end(&a);

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	ab_ready(&a);
	TSAY(&a.t, plain(&a, "copier7", "guess"), "");
	memory_stream_reset(&a.t.b.peer, -ERR_CLOSED); /* within the pause */
	bed_run(&a.t.b);
	CHECK(a.t.b.s == NULL);
	ab_end(&a);

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	ab_ready(&a);
	TSAY(&a.t, "AUTH LOGIN\r\n", "334 ");
	bed_pass(&a.t.b, 301 * SECOND);
	bed_check(__FILE__, __LINE__, "deadline", "421 4.4.2 ", tb_hear(&a.t));
	ab_end(&a);
}

static void test_policy(void)
{
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	a.t.b.listener.auth.failure_delay_us = 0;
	a.t.b.hook[HOOK_AUTH].verdict = (struct verdict){ .kind = VERDICT_REJECT,
							  .rule = SPAN("elsewhere"),
							  .text = SPAN("not here") };
	ab_ready(&a);
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "535 5.7.8 not here; rule elsewhere; case ");
	CHECK_SPAN("", session_view(a.t.b.s)->auth_user);
	HAS(bed_log(&a.t.b), "\"reason\":\"policy\"");
	a.t.b.hook[HOOK_AUTH].verdict.kind = VERDICT_DEFER;
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "454 4.7.0 not here");
	a.t.b.hook[HOOK_AUTH].verdict.code = 550;
	a.t.b.hook[HOOK_AUTH].verdict.kind = VERDICT_DISCONNECT;
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "550 ");
	CHECK(a.t.b.s == NULL);
	CHECK_INT(0, a.t.b.observed[OBSERVER_AUTHENTICATED]);
	ab_end(&a);
}

static void test_clear_from(void)
{
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	ab_clear_from(&a, "192.0.2.0/24");
	bed_open(&a.t.b);
	HAS(bed_say(&a.t.b, "EHLO old\r\n"), "250-AUTH PLAIN LOGIN\r\n");
	SAY(&a.t.b, plain(&a, "copier7", "swordfish"), "235 2.7.0 ");
	/* Whoever that was, after STARTTLS it is nobody: RFC 3207 section 4.2. */
	SAY(&a.t.b, "STARTTLS\r\n", "220 ");
	tb_secure(&a.t);
	CHECK_SPAN("", session_view(a.t.b.s)->auth_user);
	HAS(tb_say(&a.t, "EHLO old\r\n"), "AUTH PLAIN");
	ab_end(&a);

	ab_init(&a, SESSION_TLS_OFF, false);
	ab_clear_from(&a, "198.51.100.0/24");
	bed_open(&a.t.b);
	CHECK(strstr(bed_say(&a.t.b, "EHLO old\r\n"), "AUTH") == NULL);
	SAY(&a.t.b, "AUTH LOGIN\r\n", "538 5.7.11 ");
	bed_envelope(&a.t.b);
	ab_end(&a);
}

static void test_required(void)
{
	static const char denied[] =
		"554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied\r\n";
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	a.t.b.listener.auth.required = true;
	ab_ready(&a);
	TSAY(&a.t, "MAIL FROM:<a@example.edu>\r\n", "250 2.1.0 Ok\r\n");
	TSAY(&a.t, "RCPT TO:<b@example.org>\r\n", denied);
	TSAY(&a.t, "RCPT TO:<root@relay.example.edu>\r\n", denied);
	TSAY(&a.t, "DATA\r\n", "554 5.5.1 no valid recipients");
	TSAY(&a.t, "RSET\r\n", "250 ");
	CHECK_INT(0, a.t.b.hook[HOOK_RCPT].asked);
	HAS(bed_log(&a.t.b), "\"from\":\"a@example.edu\",\"to\":\"b@example.org\",\"code\":554");
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "235 ");
	TSAY(&a.t, "MAIL FROM:<a@example.edu>\r\n", "250 ");
	TSAY(&a.t, "RCPT TO:<b@example.org>\r\n", "250 ");
	ab_end(&a);

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	a.t.b.listener.auth.required = true;
	a.t.b.listener.refuse_now = true;
	ab_ready(&a);
	TSAY(&a.t, "MAIL FROM:<a@example.edu>\r\n", "530 5.7.0 Authentication required\r\n");
	ab_end(&a);
}

static void test_external(void)
{
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, true);
	tb_starttls(&a.t);
	HAS(tb_say(&a.t, "EHLO copier\r\n"), "250-AUTH EXTERNAL PLAIN LOGIN\r\n");
	TSAY(&a.t, "AUTH EXTERNAL =\r\n", "235 2.7.0 ");
	CHECK_SPAN("copier7@example.edu", session_view(a.t.b.s)->auth_user);
	ab_end(&a);
}

/* AUTH= of MAIL is believed from those who are authenticated: RFC 4954 section 5. */
static void test_auth_parameter(void)
{
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	ab_ready(&a);
	TSAY(&a.t, "MAIL FROM:<a@example.edu> AUTH=c+2Bd@example.edu\r\n", "250 ");
	TSAY(&a.t, "RSET\r\n", "250 ");
	TSAY(&a.t, "MAIL FROM:<a@example.edu> AUTH=<>\r\n", "250 ");
	TSAY(&a.t, "RSET\r\n", "250 ");
	TSAY(&a.t, "MAIL FROM:<a@example.edu> AUTH=+\r\n", "501 5.5.4 ");
	ab_end(&a);
}

static void test_bans(void)
{
	struct bans *bans =
		bans_memory_new(&(struct bans_memory_config){ .entries_max = 100, .known_us = 7 * SECOND });
	struct auth_bed a;

	for (unsigned round = 0; round < 3; round++) {
		ab_init(&a, SESSION_TLS_OPTIONAL, false);
		a.t.b.env.bans = bans;
		a.t.b.listener.auth.failure_delay_us = 0;
		a.t.b.listener.auth.failures_max = 100;
		a.t.b.listener.auth.bans = (struct bans_rules){ .failures_max = 3,
								.find_us = 600 * SECOND,
								.ban_us = 600 * SECOND };
		if (round == 0) { /* the same wrong password again and again is one stale device */
			ab_ready(&a);
			for (unsigned i = 0; i < 8; i++)
				TSAY(&a.t, plain(&a, "copier7", "stale"), "535 5.7.8 ");
			TSAY(&a.t, plain(&a, "copier7", "swordfish"), "235 ");
		} else if (round == 1) { /* a guesser */
			ab_ready(&a);
			for (unsigned i = 0; i < 3; i++) {
				char guess[20];
				snprintf(guess, sizeof guess, "guess%u", i);
				TSAY(&a.t, plain(&a, "copier7", guess), "535 5.7.8 ");
			}
			HAS(bed_log(&a.t.b), "\"event\":\"auth_banned\"");
			const unsigned asked = a.book.asked;
			TSAY(&a.t, plain(&a, "copier7", "swordfish"), "454 4.7.0 ");
			CHECK_INT(asked, a.book.asked);
			HAS(bed_log(&a.t.b), "\"reason\":\"ban\"");
		} else {
			bed_connect(&a.t.b);
			HEAR(&a.t.b, "connect", "421 4.7.0 too many failed logins from your address");
			HAS(bed_log(&a.t.b), "\"limit\":\"ban\"");
		}
		ab_end(&a);
	}
	bans_free(&bans);
}

static void test_ban_of_a_user(void)
{
	static const char *const names[] = { "scan", "sc\u00adan", "s\u00adcan" };
	struct bans *bans =
		bans_memory_new(&(struct bans_memory_config){ .entries_max = 100, .known_us = 7 * SECOND });
	struct auth_bed a;

	ab_init(&a, SESSION_TLS_OPTIONAL, false);
	a.t.b.env.bans = bans;
	a.t.b.listener.auth.failure_delay_us = 0;
	a.t.b.listener.auth.failures_max = 100;
	a.t.b.listener.auth.bans = (struct bans_rules){ .user_failures_max = 3,
							.find_us = 600 * SECOND,
							.ban_us = 600 * SECOND };
	ab_ready(&a);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		TSAY(&a.t, plain(&a, names[i], "guess"), "535 5.7.8 ");
	HAS(bed_log(&a.t.b), "\"event\":\"auth_banned\"");
	TSAY(&a.t, plain(&a, "\u00adscan", "swordfish"), "454 4.7.0 ");
	TSAY(&a.t, plain(&a, "scan", "swordfish"), "454 4.7.0 ");
	TSAY(&a.t, plain(&a, "copier7", "swordfish"), "235 ");
	ab_end(&a);
	bans_free(&bans);
}

/* Who tries many at once must not learn which was right after the ban has begun: not by 235, and not by its not being 535. */
static void test_ban_while_asked(void)
{
	static const char *const passwords[] = { "swordfish", "guess" };
	struct auth_bed a;

	for (size_t i = 0; i < ARRAY_LEN(passwords); i++) {
		struct bans *bans = bans_memory_new(
			&(struct bans_memory_config){ .entries_max = 100, .known_us = 7 * SECOND });
		ab_init(&a, SESSION_TLS_OPTIONAL, false);
		a.t.b.env.bans = bans;
		const struct bans_rules rules = { .failures_max = 1,
						  .find_us = 600 * SECOND,
						  .ban_us = 600 * SECOND };
		a.t.b.listener.auth.bans = rules;
		ab_ready(&a);
		a.book.waits = true;
		TSAY(&a.t, plain(&a, "copier7", passwords[i]), "");
		CHECK_INT(BANS_ADDRESS, bans_failed(bans, &rules, &session_view(a.t.b.s)->client.addr,
						    SPAN("scan"), NULL, loop_now_us(a.t.b.loop), NULL));
		op_complete(&a.book.pending->op, 0);
		bed_check(__FILE__, __LINE__, passwords[i], "454 4.7.0 Temporary authentication failure",
			  tb_hear(&a.t));
		HAS(bed_log(&a.t.b), "\"reason\":\"ban\",\"code\":454");
		CHECK(strstr(bed_log(&a.t.b), "\"event\":\"authenticated\"") == NULL);
		CHECK_INT(0, session_view(a.t.b.s)->auth_user.n);
		ab_end(&a);
		bans_free(&bans);
	}
}

TEST_MAIN(TEST(test_plain), TEST(test_login), TEST(test_what_is_no_exchange), TEST(test_in_a_transaction),
	  TEST(test_wrong_credentials), TEST(test_tempfail), TEST(test_leaving_while_asked),
	  TEST(test_policy), TEST(test_clear_from), TEST(test_required), TEST(test_external),
	  TEST(test_auth_parameter), TEST(test_bans), TEST(test_ban_of_a_user), TEST(test_ban_while_asked))
