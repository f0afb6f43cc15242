/* test_client_opening.c - from the greeting to READY: STARTTLS and AUTH, and servers that are not to be believed. */
#include "client_talk.h"

#define TLS_EHLO  "250-mx.example\n250-STARTTLS\n250 AUTH PLAIN\n"
#define AUTH_EHLO "250-mx.example\n250-AUTH PLAIN LOGIN\n250 PIPELINING\n"

static struct talk *greeted(struct smtp_client_config cfg, const char *ehlo)
{
	struct talk *t = talk_new(cfg);

	CLIENT("", WAIT);
	SERVER("220 mx.example ESMTP\n");
	CLIENT("EHLO relay.example\n", WAIT);
	SERVER(ehlo);
	return t;
}

/* QUIT is said, and this is why. */
static void left_(struct talk *t, enum smtp_step step, unsigned code, unsigned detail, const char *text,
		  const char *file, int line)
{
	const struct smtp_result *f = &t->c.failure;

	if (f->kind == SMTP_RESULT_PENDING || f->step != step || f->code != code ||
	    f->enhanced.detail != detail || !span_eq(span_of(text), f->text)) {
		test_fail(file, line);
		printf("expected %s %u x.7.%u \"%s\", got %s %u %u.%u.%u \"%.*s\"\n", smtp_step_text(step),
		       code, detail, text, smtp_step_text(f->step), f->code, f->enhanced.class,
		       f->enhanced.subject, f->enhanced.detail, SPAN_ARG(f->text));
	}
	CLIENT("QUIT\n", WAIT);
	SERVER("221 bye\n");
	CLIENT("", CLOSE);
}

#define LEFT(step, code, detail, text) left_(t, SMTP_STEP_##step, code, detail, text, __FILE__, __LINE__)

static void the_server_is_asked_anew_under_tls(void)
{
	struct talk *t =
		greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_REQUIRED }, TLS_EHLO);

	CLIENT("STARTTLS\n", WAIT);
	CLIENT("", WAIT);
	CHECK_INT(SMTP_STEP_STARTTLS, smtp_client_awaits(&t->c));
	CHECK_INT(1, server(t, "220 go ahead\n"));
	CLIENT("", STARTTLS);
	CHECK_INT(SMTP_STEP_TLS, smtp_client_awaits(&t->c));
	CHECK(!t->c.tls);
	smtp_client_tls_done(&t->c, true);
	CHECK(t->c.tls && t->c.secure && t->c.tls_offered);
	CHECK_INT(0, t->c.peer.ext); /* all of it is forgotten */
	CHECK_STR("", t->c.peer.auth);
	CHECK_STR("", t->c.peer.name);
	CLIENT("EHLO relay.example\n", WAIT);
	SERVER("250-mx.example\n250-STARTTLS\n250 REQUIRETLS\n"); /* a second offer is none */
	CLIENT("", READY);
	CHECK_INT(SMTP_EXT_STARTTLS | SMTP_EXT_REQUIRETLS, t->c.peer.ext);
	talk_free(t);
}

static void tls_that_is_not_there(void)
{
	static const char *const plain = "250-mx.example\n250 SIZE\n";
	static const char *const text = "TLS is required, but the server does not offer STARTTLS";
	struct talk *t = greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_REQUIRED }, plain);

	CHECK(t->c.tls_required);
	LEFT(STARTTLS, 0, 4, text);
	talk_free(t);

	t = greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_REQUIRED }, TLS_EHLO);
	CLIENT("STARTTLS\n", WAIT);
	SERVER("454 4.7.0 not now\n");
	LEFT(STARTTLS, 454, 4, "TLS is required, but the server refuses STARTTLS: 4.7.0 not now");
	talk_free(t);

	/* A server without EHLO has none either. */
	t = greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_REQUIRED }, "502 what\n");
	CLIENT("HELO relay.example\n", WAIT);
	SERVER("250-mx.example\n250 STARTTLS\n");
	LEFT(STARTTLS, 0, 4, text);
	talk_free(t);

	/* Our own wish not to see it. */
	t = greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_REQUIRED,
						 .hide_ext = SMTP_EXT_STARTTLS },
		    TLS_EHLO);
	LEFT(STARTTLS, 0, 4, text);
	talk_free(t);

	static const struct {
		const char *ehlo, *starttls;
	} goes_on[] = { { plain, NULL },
			{ TLS_EHLO, "454 not now\n" },
			{ TLS_EHLO, "502 no such command\n" } };
	for (size_t i = 0; i < ARRAY_LEN(goes_on); i++) {
		t = greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_IF_OFFERED },
			    goes_on[i].ehlo);
		if (goes_on[i].starttls) {
			CLIENT("STARTTLS\n", WAIT);
			SERVER(goes_on[i].starttls);
		}
		CLIENT("", READY);
		CHECK(!t->c.tls);
		talk_free(t);
	}

	t = greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_NEVER }, TLS_EHLO);
	CLIENT("", READY);
	CHECK(t->c.tls_offered && !t->c.tls);
	talk_free(t);
}

static void replies_that_are_not_believed(void)
{
	static const char *const greetings[] = { "250 hello\n", "235 2.7.0 Authentication successful\n",
						 "221 bye\n" };
	static const char *const to_starttls[] = { "250 ok\n", "235 2.7.0 Authentication successful\n",
						   "334 \n", "354 go\n" };
	struct talk *t;

	for (size_t i = 0; i < ARRAY_LEN(greetings); i++) {
		t = talk_new(
			(struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_REQUIRED, .auth = true });
		CHECK_INT(-ERR_SYNTAX, server(t, greetings[i]));
		CLIENT("", CLOSE);
		CHECK_INT(SMTP_STEP_GREETING, t->c.failure.step);
		talk_free(t);
	}
	for (size_t i = 0; i < ARRAY_LEN(to_starttls); i++) {
		t = greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_IF_OFFERED }, TLS_EHLO);
		CLIENT("STARTTLS\n", WAIT);
		CHECK_INT(-ERR_SYNTAX, server(t, to_starttls[i]));
		CLIENT("", CLOSE);
		CHECK_INT(SMTP_STEP_STARTTLS, t->c.failure.step);
		talk_free(t);
	}
	/* One that is read although the driver should not have: on this side of the handshake nothing counts. */
	t = greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_REQUIRED, .auth = true },
		    TLS_EHLO);
	CLIENT("STARTTLS\n", WAIT);
	CHECK_INT(1, server(t, "220 go\n"));
	CHECK_INT(-ERR_SYNTAX, server(t, "235 2.7.0 Authentication successful\n"));
	CLIENT("", CLOSE);
	CHECK_INT(SMTP_STEP_TLS, t->c.failure.step);
	talk_free(t);
	/* 235 before anything was said. */
	t = greeted((struct smtp_client_config){ .auth = true }, AUTH_EHLO);
	CLIENT("", AUTH);
	CHECK_INT(-ERR_SYNTAX, server(t, "235 2.7.0 Authentication successful\n"));
	CLIENT("", CLOSE);
	talk_free(t);
}

static void a_handshake_that_fails(void)
{
	struct talk *t =
		greeted((struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_IF_OFFERED }, TLS_EHLO);

	CLIENT("STARTTLS\n", WAIT);
	CHECK_INT(1, server(t, "220 go\n"));
	CLIENT("", STARTTLS);
	smtp_client_lost(&t->c, SMTP_ENHANCED(4, 7, 5), "certificate not trusted");
	CLIENT("", CLOSE);
	CHECK_INT(SMTP_STEP_TLS, t->c.failure.step);
	CHECK_INT(5, t->c.failure.enhanced.detail);
	CHECK_SPAN("certificate not trusted", t->c.failure.text);
	talk_free(t);
}

/* The driver's part of AUTH: what is written. */
static struct buf written;

static void wrote(const char *want)
{
	CHECK_STR(want, buf_cstr(&written));
	buf_reset(&written);
}

static void a_login_in_one_step_and_in_three(void)
{
	struct talk *t = greeted((struct smtp_client_config){ .auth = true }, AUTH_EHLO);

	written = BUF_INIT(1 << 16);
	CLIENT("", AUTH);
	CLIENT("", AUTH); /* until the driver has a word to say */
	CHECK_INT(SMTP_STEP_AUTH, smtp_client_awaits(&t->c));
	CHECK(!t->c.auth_open);
	CHECK(smtp_client_auth_send(&t->c, SPAN("PLAIN"), SPAN("AGEAYg=="), &written));
	wrote("AUTH PLAIN AGEAYg==\r\n");
	CLIENT("", WAIT);
	SERVER("235 2.7.0 Authentication successful\n");
	CLIENT("", READY);
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	talk_free(t);

	t = greeted((struct smtp_client_config){ .auth = true }, AUTH_EHLO);
	CLIENT("", AUTH);
	CHECK(smtp_client_auth_send(&t->c, SPAN("LOGIN"), (struct span){ NULL, 0 }, &written));
	wrote("AUTH LOGIN\r\n");
	CHECK_INT(1, server(t, "334 VXNlcm5hbWU6\n"));
	CLIENT("", AUTH);
	CHECK(t->c.auth_open);
	CHECK_SPAN("VXNlcm5hbWU6", t->c.auth_challenge);
	CHECK(smtp_client_auth_next(&t->c, SPAN("YQ=="), &written));
	wrote("YQ==\r\n");
	CLIENT("", WAIT);
	CHECK_INT(1, server(t, "334\n")); /* no text at all */
	CHECK_SPAN("", t->c.auth_challenge);
	CHECK(smtp_client_auth_next(&t->c, SPAN(""), &written));
	wrote("\r\n");
	SERVER("235 ok\n");
	CLIENT("", READY);
	talk_free(t);

	t = greeted((struct smtp_client_config){ .auth = true }, AUTH_EHLO);
	CHECK(smtp_client_auth_send(&t->c, SPAN("EXTERNAL"), SPAN(""), &written));
	wrote("AUTH EXTERNAL =\r\n");
	talk_free(t);
	buf_free(&written);
}

static void what_cannot_be_sent_within_auth(void)
{
	char lot[SMTP_CLIENT_RESPONSE_MAX + 1];
	struct talk *t = greeted((struct smtp_client_config){ .auth = true }, AUTH_EHLO);
	const size_t most = SMTP_CLIENT_COMMAND_MAX - strlen("AUTH PLAIN \r\n");

	written = BUF_INIT(1 << 16);
	memset(lot, 'A', sizeof lot);
	CHECK(!smtp_client_auth_send(&t->c, SPAN("PLAIN"), span_make(lot, most + 1), &written));
	CHECK(!smtp_client_auth_send(&t->c, SPAN("PLAIN"), SPAN("AA\r\nMAIL"), &written));
	CHECK_INT(0, written.n);
	CHECK(smtp_client_auth_send(&t->c, SPAN("PLAIN"), span_make(lot, most), &written));
	CHECK_INT(SMTP_CLIENT_COMMAND_MAX, written.n);
	CHECK_INT(1, server(t, "334 \n"));
	CHECK(!smtp_client_auth_next(&t->c, span_make(lot, sizeof lot), &written));
	CHECK(!smtp_client_auth_next(&t->c, SPAN("a b"), &written));
	CHECK(smtp_client_auth_next(&t->c, span_make(lot, sizeof lot - 1), &written));
	talk_free(t);
	buf_free(&written);
}

static void a_login_that_fails(void)
{
	struct talk *t = greeted((struct smtp_client_config){ .auth = true }, "250-mx.example\n250 SIZE\n");

	written = BUF_INIT(1 << 16);
	LEFT(AUTH, 0, 0, "the server offers no authentication");
	talk_free(t);

	t = greeted((struct smtp_client_config){ .auth = true }, AUTH_EHLO);
	CHECK(smtp_client_auth_send(&t->c, SPAN("PLAIN"), SPAN("AA=="), &written));
	SERVER("535 5.7.8 no\n");
	CHECK_INT(SMTP_RESULT_PERM, t->c.failure.kind);
	LEFT(AUTH, 535, 8, "5.7.8 no");
	talk_free(t);

	/* Ours, before anything was said. */
	buf_reset(&written);
	t = greeted((struct smtp_client_config){ .auth = true }, AUTH_EHLO);
	CLIENT("", AUTH);
	smtp_client_auth_abort(&t->c, SMTP_ENHANCED(4, 7, 0), "no mechanism in common", &written);
	CHECK_INT(0, written.n);
	LEFT(AUTH, 0, 0, "no mechanism in common");
	talk_free(t);

	/* Ours, while the server waits. */
	t = greeted((struct smtp_client_config){ .auth = true }, AUTH_EHLO);
	CHECK(smtp_client_auth_send(&t->c, SPAN("LOGIN"), (struct span){ NULL, 0 }, &written));
	buf_reset(&written);
	CHECK_INT(1, server(t, "334 x\n"));
	smtp_client_auth_abort(&t->c, SMTP_ENHANCED(4, 7, 0), "the server does not know its own proof",
			       &written);
	wrote("*\r\n");
	CLIENT("", WAIT);
	SERVER("501 cancelled\n");
	LEFT(AUTH, 0, 0, "the server does not know its own proof");
	talk_free(t);

	/* It closes meanwhile. */
	t = greeted((struct smtp_client_config){ .auth = true }, AUTH_EHLO);
	CLIENT("", AUTH);
	SERVER("421 too slow\n");
	smtp_client_auth_abort(&t->c, SMTP_ENHANCED(4, 7, 0), "no token", &written);
	CLIENT("", CLOSE);
	CHECK_INT(421, t->c.failure.code);
	talk_free(t);
	buf_free(&written);
}

static void tls_from_the_start(void)
{
	struct talk *t = greeted(
		(struct smtp_client_config){
			.tls = true, .secure = true, .auth = true, .starttls = SMTP_CLIENT_TLS_REQUIRED },
		TLS_EHLO);

	CHECK(t->c.tls && t->c.secure);
	CLIENT("", AUTH); /* its STARTTLS is of no interest */
	talk_free(t);
}

static void requiretls_wants_a_secure_connection(void)
{
	static const struct {
		bool secure;
		const char *ehlo;
		unsigned detail;
	} rows[] = { { true, "250-mx\n250 REQUIRETLS\n", 0 },
		     { false, "250-mx\n250 REQUIRETLS\n", 10 },
		     { true, "250 mx\n", 30 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct talk *t = greeted(
			(struct smtp_client_config){ .starttls = SMTP_CLIENT_TLS_IF_OFFERED }, TLS_EHLO);
		CLIENT("STARTTLS\n", WAIT);
		CHECK_INT(1, server(t, "220 go\n"));
		smtp_client_tls_done(&t->c, rows[i].secure);
		CLIENT("EHLO relay.example\n", WAIT);
		SERVER(rows[i].ehlo);
		plan(t, 1, 0, 10);
		t->txn.params.has = SMTP_MAIL_REQUIRETLS;
		smtp_client_begin(&t->c, &t->txn);
		if (rows[i].detail) {
			CLIENT("", DONE);
			CHECK_INT(SMTP_RESULT_PERM, t->rcpt[0].result.kind);
			CHECK_INT(7, t->rcpt[0].result.enhanced.subject);
			CHECK_INT(rows[i].detail, t->rcpt[0].result.enhanced.detail);
		} else {
			CLIENT("MAIL FROM:<s@d> REQUIRETLS\n", WAIT);
		}
		talk_free(t);
	}
}

TEST_MAIN(TEST(the_server_is_asked_anew_under_tls), TEST(tls_that_is_not_there),
	  TEST(replies_that_are_not_believed), TEST(a_handshake_that_fails),
	  TEST(a_login_in_one_step_and_in_three), TEST(what_cannot_be_sent_within_auth),
	  TEST(a_login_that_fails), TEST(tls_from_the_start), TEST(requiretls_wants_a_secure_connection))
