#include "smtp/smtp_txn.h"

#include "base/check.h"
#include "test.h"

static struct smtp_txn_rcpt rcpts[3];

static struct smtp_txn make(struct arena *mem, const char *sender, const char *r1, const char *r2)
{
	memset(rcpts, 0, sizeof rcpts);
	rcpts[0].address = span_of(r1);
	rcpts[1].address = span_of(r2);
	return (struct smtp_txn){
		.mem = mem, .sender = span_of(sender), .octets = 1000, .rcpt = rcpts, .nrcpt = r2 ? 2 : 1
	};
}

static const char *mail(const struct smtp_txn *t)
{
	static char text[2000];
	struct buf out = BUF_INIT(SMTP_TXN_COMMAND_MAX);

	CHECK(smtp_txn_format_mail(t, &out));
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(buf_span(&out)));
	buf_free(&out);
	return text;
}

static const char *rcpt(const struct smtp_txn *t, unsigned i)
{
	static char text[4000];
	struct buf out = BUF_INIT(SMTP_TXN_COMMAND_MAX);

	CHECK(smtp_txn_format_rcpt(t, i, &out));
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(buf_span(&out)));
	buf_free(&out);
	return text;
}

static void refused(const struct smtp_txn_rcpt *r, unsigned subject, unsigned detail)
{
	CHECK_INT(SMTP_RESULT_PERM, r->result.kind);
	CHECK_INT(SMTP_STEP_NONE, r->result.step);
	CHECK_INT(0, r->result.code);
	CHECK_INT(5, r->result.enhanced.class);
	CHECK_INT(subject, r->result.enhanced.subject);
	CHECK_INT(detail, r->result.enhanced.detail);
	CHECK(r->result.text.n > 0);
	CHECK(r->skip);
}

static void a_peer_that_offers_nothing_gets_nothing(void)
{
	struct arena *a = arena_new(4096);
	const struct smtp_ehlo peer = { .ext = 0 };
	struct smtp_txn t = make(a, "a@b.example", "c@d.example", NULL);

	t.params = (struct smtp_mail_params){ .has = SMTP_MAIL_SIZE | SMTP_MAIL_RET | SMTP_MAIL_ENVID |
						     SMTP_MAIL_BY,
					      .ret = SMTP_RET_HDRS,
					      .envid = SPAN("QQ"),
					      .by = { .seconds = 10 } };
	t.needs = SMTP_TXN_HAS_8BIT;
	t.rcpt[0].params =
		(struct smtp_rcpt_params){ .has = SMTP_RCPT_NOTIFY, .notify = SMTP_NOTIFY_SUCCESS };
	CHECK_INT(1, smtp_txn_plan(&t, &peer, false));
	CHECK_STR("MAIL FROM:<a@b.example>\r\n", mail(&t));
	CHECK_STR("RCPT TO:<c@d.example>\r\n", rcpt(&t, 0));
	CHECK_INT(SMTP_TXN_8BIT_UNDECLARED | SMTP_TXN_DSN_LOST | SMTP_TXN_BY_LOST, t.notes);
	arena_free(&a);
}

static void a_peer_that_offers_all_gets_all(void)
{
	struct arena *a = arena_new(4096);
	const struct smtp_ehlo peer = { .ext = ~0u };
	struct smtp_txn t = make(a, "", "c@d.example", "e@f.example");

	t.params = (struct smtp_mail_params){ .has = SMTP_MAIL_RET | SMTP_MAIL_ENVID | SMTP_MAIL_BY |
						     SMTP_MAIL_BODY | SMTP_MAIL_AUTH | SMTP_MAIL_REQUIRETLS,
					      .ret = SMTP_RET_HDRS,
					      .envid = SPAN("Q+20Q"),
					      .by = { .seconds = 10, .is_return = true, .trace = true },
					      .body = SMTP_BODY_8BITMIME,
					      .auth = SPAN("x@y") };
	t.rcpt[0].params = (struct smtp_rcpt_params){ .has = SMTP_RCPT_NOTIFY | SMTP_RCPT_ORCPT,
						      .orcpt = SPAN("rfc822;X@y") };
	CHECK_INT(2, smtp_txn_plan(&t, &peer, true));
	CHECK_STR("MAIL FROM:<> SIZE=1000 BODY=8BITMIME RET=HDRS BY=10;RT REQUIRETLS ENVID=Q+20Q\r\n",
		  mail(&t));
	CHECK_STR("RCPT TO:<c@d.example> NOTIFY=NEVER ORCPT=rfc822;X@y\r\n", rcpt(&t, 0));
	CHECK_STR("RCPT TO:<e@f.example>\r\n", rcpt(&t, 1)); /* RFC 3461 section 5.2.1: nothing is added */
	CHECK_INT(0, t.notes);
	arena_free(&a);
}

static void size_is_compared_with_the_limit(void)
{
	struct arena *a = arena_new(4096);
	struct smtp_ehlo peer = { .ext = SMTP_EXT_SIZE, .size_octets_max = 1000 };
	struct smtp_txn t = make(a, "a@b", "c@d", "e@f");

	CHECK_INT(2, smtp_txn_plan(&t, &peer, false));
	CHECK_STR("MAIL FROM:<a@b> SIZE=1000\r\n", mail(&t));
	peer.size_octets_max = 999;
	CHECK_INT(0, smtp_txn_plan(&t, &peer, false));
	refused(&t.rcpt[0], 3, 4);
	refused(&t.rcpt[1], 3, 4);
	peer.size_octets_max = 0; /* no limit */
	CHECK_INT(2, smtp_txn_plan(&t, &peer, false));
	arena_free(&a);
}

static void bodies(void)
{
	enum { E8 = SMTP_EXT_8BITMIME, EB = SMTP_EXT_BINARYMIME, EC = SMTP_EXT_CHUNKING };
	static const struct {
		int declared;
		unsigned needs;
		uint32_t ext;
		const char *mail;
		bool bdat;
		unsigned notes;
	} rows[] = {
		{ -1, 0, E8, "MAIL FROM:<a@b>\r\n", false, 0 },
		{ SMTP_BODY_7BIT, 0, E8, "MAIL FROM:<a@b>\r\n", false, 0 },
		{ SMTP_BODY_7BIT, SMTP_TXN_HAS_8BIT, E8, "MAIL FROM:<a@b> BODY=8BITMIME\r\n", false, 0 },
		{ -1, SMTP_TXN_HAS_8BIT, E8, "MAIL FROM:<a@b> BODY=8BITMIME\r\n", false, 0 },
		{ -1, SMTP_TXN_HAS_8BIT, 0, "MAIL FROM:<a@b>\r\n", false, SMTP_TXN_8BIT_UNDECLARED },
		{ SMTP_BODY_8BITMIME, 0, E8, "MAIL FROM:<a@b> BODY=8BITMIME\r\n", false, 0 },
		{ SMTP_BODY_8BITMIME, 0, 0, "MAIL FROM:<a@b>\r\n", false, 0 },
		{ SMTP_BODY_BINARYMIME, 0, E8 | EB | EC, "MAIL FROM:<a@b> BODY=BINARYMIME\r\n", true, 0 },
		{ SMTP_BODY_BINARYMIME, 0, E8 | EC, NULL, false, 0 },
		{ SMTP_BODY_BINARYMIME, 0, E8 | EB, NULL, false, 0 },
		{ -1, SMTP_TXN_USE_BDAT, EC, "MAIL FROM:<a@b>\r\n", true, 0 },
		{ -1, SMTP_TXN_USE_BDAT, 0, "MAIL FROM:<a@b>\r\n", false, 0 },
		{ -1, 0, EC, "MAIL FROM:<a@b>\r\n", false, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		const struct smtp_ehlo peer = { .ext = rows[i].ext };
		struct smtp_txn t = make(a, "a@b", "c@d", NULL);
		if (rows[i].declared >= 0)
			t.params = (struct smtp_mail_params){ .has = SMTP_MAIL_BODY,
							      .body = (enum smtp_body)rows[i].declared };
		t.needs = rows[i].needs;
		CHECK_INT(rows[i].mail ? 1 : 0, smtp_txn_plan(&t, &peer, false));
		if (rows[i].mail)
			CHECK_STR(rows[i].mail, mail(&t));
		else
			refused(&t.rcpt[0], 6, 3);
		CHECK_INT(rows[i].bdat, t.bdat);
		CHECK_INT(rows[i].notes, t.notes);
		arena_free(&a);
	}
}

#define UE "\xc3\xbc"

static void utf8_needs_smtputf8(void)
{
	enum { EU = SMTP_EXT_SMTPUTF8 | SMTP_EXT_8BITMIME, HEAD = SMTP_TXN_HAS_UTF8 };
	static const struct {
		const char *sender, *r1, *r2;
		unsigned needs;
		uint32_t ext;
		const char *mail;
		int r1_detail, r2_detail;
	} rows[] = {
		{ "a@b", "c@d", "e@f", 0, EU, "MAIL FROM:<a@b>\r\n", 0,
		  0 }, /* RFC 6531 section 3.4: not without need */
		{ UE "@b", "c@d", "e@f", 0, EU, "MAIL FROM:<" UE "@b> BODY=8BITMIME SMTPUTF8\r\n", 0, 0 },
		{ "a@b", UE "@d", "e@f", 0, EU, "MAIL FROM:<a@b> BODY=8BITMIME SMTPUTF8\r\n", 0, 0 },
		{ "a@b", "c@d", "e@f", HEAD, EU, "MAIL FROM:<a@b> BODY=8BITMIME SMTPUTF8\r\n", 0, 0 },
		{ "a@b", UE "@d", "e@f", 0, 0, "MAIL FROM:<a@b>\r\n", 7, 0 },
		{ UE "@b", "c@d", "e@f", 0, 0, NULL, 7, 7 },
		{ "a@b", "c@d", "e@f", HEAD, 0, NULL, 9, 9 },
		{ "a@b", UE "@d", "e@f", HEAD, 0, NULL, 7, 9 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		const struct smtp_ehlo peer = { .ext = rows[i].ext };
		struct smtp_txn t = make(a, rows[i].sender, rows[i].r1, rows[i].r2);
		t.needs = rows[i].needs;
		const unsigned left = smtp_txn_plan(&t, &peer, false);
		CHECK_INT((rows[i].r1_detail == 0) + (rows[i].r2_detail == 0), left);
		if (rows[i].mail)
			CHECK_STR(rows[i].mail, mail(&t));
		if (rows[i].r1_detail)
			refused(&t.rcpt[0], 6, (unsigned)rows[i].r1_detail);
		if (rows[i].r2_detail)
			refused(&t.rcpt[1], 6, (unsigned)rows[i].r2_detail);
		arena_free(&a);
	}
}

static void orcpt_is_ascii_without_smtputf8(void)
{
	struct arena *a = arena_new(4096);
	struct smtp_ehlo peer = { .ext = SMTP_EXT_DSN | SMTP_EXT_SMTPUTF8 | SMTP_EXT_8BITMIME };
	struct smtp_txn t = make(a, "a@b", "c@d", NULL);

	t.rcpt[0].params =
		(struct smtp_rcpt_params){ .has = SMTP_RCPT_ORCPT, .orcpt = SPAN("utf-8;" UE "@d") };
	CHECK_INT(1, smtp_txn_plan(&t, &peer, false));
	CHECK_STR("RCPT TO:<c@d> ORCPT=utf-8;\\x{FC}@d\r\n", rcpt(&t, 0));
	t.needs = SMTP_TXN_HAS_UTF8;
	CHECK_INT(1, smtp_txn_plan(&t, &peer, false));
	CHECK_STR("RCPT TO:<c@d> ORCPT=utf-8;" UE "@d\r\n", rcpt(&t, 0));
	arena_free(&a);
}

static void requiretls_is_kept_or_the_mail_is_not_sent(void)
{
	struct arena *a = arena_new(4096);
	const struct smtp_ehlo peer = { .ext = SMTP_EXT_REQUIRETLS }, without = { .ext = 0 };
	struct smtp_txn t = make(a, "a@b", "c@d", NULL);

	t.params.has = SMTP_MAIL_REQUIRETLS;
	CHECK_INT(1, smtp_txn_plan(&t, &peer, true));
	CHECK_STR("MAIL FROM:<a@b> REQUIRETLS\r\n", mail(&t));
	CHECK_INT(0, smtp_txn_plan(&t, &peer, false)); /* offered in the clear: worth nothing */
	refused(&t.rcpt[0], 7, 10);
	CHECK_INT(0, smtp_txn_plan(&t, &without, true));
	refused(&t.rcpt[0], 7, 30);
	t.sender = SPAN(""); /* RFC 8689 section 5: a bounce is not discarded for it */
	CHECK_INT(1, smtp_txn_plan(&t, &without, true));
	CHECK_STR("MAIL FROM:<>\r\n", mail(&t));
	CHECK_INT(SMTP_TXN_REQUIRETLS_LOST, t.notes);
	arena_free(&a);
}

static void by_is_kept_or_said(void)
{
	struct arena *a = arena_new(4096);
	const struct smtp_ehlo peer = { .ext = SMTP_EXT_DELIVERBY }, without = { .ext = 0 };
	struct smtp_txn t = make(a, "a@b", "c@d", NULL);

	t.params =
		(struct smtp_mail_params){ .has = SMTP_MAIL_BY, .by = { .seconds = 5, .is_return = true } };
	CHECK_INT(1, smtp_txn_plan(&t, &peer, false));
	CHECK_STR("MAIL FROM:<a@b> BY=5;R\r\n", mail(&t));
	CHECK_INT(0, smtp_txn_plan(&t, &without, false));
	refused(&t.rcpt[0], 3, 3);
	t.params.by.seconds = 0;
	CHECK_INT(0, smtp_txn_plan(&t, &peer, false));
	refused(&t.rcpt[0], 4, 7);
	t.params.by = (struct smtp_by){ .seconds = -5 };
	CHECK_INT(1, smtp_txn_plan(&t, &peer, false));
	CHECK_STR("MAIL FROM:<a@b> BY=-5;N\r\n", mail(&t));
	CHECK_INT(1, smtp_txn_plan(&t, &without, false));
	CHECK_INT(SMTP_TXN_BY_LOST, t.notes);
	arena_free(&a);
}

static void addresses_that_would_break_a_line_are_not_sent(void)
{
	static char big[1000];
	struct arena *a = arena_new(4096);
	const struct smtp_ehlo peer = { .ext = 0 };
	struct smtp_txn t = make(a, "a@b", "c@d\r\nRCPT TO:<x@y>", "e@f");

	memset(big, 'x', sizeof big - 1);
	CHECK_INT(1, smtp_txn_plan(&t, &peer, false));
	refused(&t.rcpt[0], 1, 3);
	t.rcpt[0].address = span_of(big);
	CHECK_INT(1, smtp_txn_plan(&t, &peer, false));
	refused(&t.rcpt[0], 1, 3);
	t.rcpt[0].address = SPAN("");
	CHECK_INT(1, smtp_txn_plan(&t, &peer, false));
	t.sender = SPAN("a\n@b");
	CHECK_INT(0, smtp_txn_plan(&t, &peer, false));
	refused(&t.rcpt[1], 1, 7);
	arena_free(&a);
}

static void replies_become_results(void)
{
	static const struct {
		struct smtp_reply reply;
		enum smtp_result_kind kind;
		const char *enhanced;
	} rows[] = {
		{ { .code = 250, .enhanced = { 2, 1, 5 } }, SMTP_RESULT_OK, "2.1.5" },
		{ { .code = 251 }, SMTP_RESULT_OK, "2.0.0" },
		{ { .code = 450, .enhanced = { 4, 2, 1 } }, SMTP_RESULT_TEMP, "4.2.1" },
		{ { .code = 451 }, SMTP_RESULT_TEMP, "4.0.0" },
		{ { .code = 550, .enhanced = { 4, 7, 1 } },
		  SMTP_RESULT_PERM,
		  "5.7.1" }, /* the reply code counts */
		{ { .code = 450, .enhanced = { 5, 7, 1 } }, SMTP_RESULT_TEMP, "4.7.1" },
		{ { .code = 599 }, SMTP_RESULT_PERM, "5.0.0" },
	};
	struct arena *a = arena_new(4096);
	char longtext[2000];

	memset(longtext, 'x', sizeof longtext);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct smtp_result r = smtp_result_of_reply(a, SMTP_STEP_RCPT, &rows[i].reply);
		CHECK_INT(rows[i].kind, r.kind);
		CHECK_INT(rows[i].reply.code, r.code);
		CHECK_INT(SMTP_STEP_RCPT, r.step);
		CHECK_STR(rows[i].enhanced, smtp_enhanced_format(r.enhanced).s);
	}
	const struct smtp_reply verbose = { .code = 550, .text = span_make(longtext, sizeof longtext) };
	CHECK_INT(SMTP_RESULT_TEXT_MAX, smtp_result_of_reply(a, SMTP_STEP_DATA, &verbose).text.n);
	arena_free(&a);
	a = arena_new(16);
	CHECK_INT(0, smtp_result_of_reply(a, SMTP_STEP_DATA, &verbose)
			     .text.n); /* no room: no text, but a result */
	arena_free(&a);
}

static void relayed_notices_are_ours_without_dsn(void)
{
	struct arena *a = arena_new(4096);
	struct smtp_ehlo peer = { .ext = SMTP_EXT_DSN };
	struct smtp_txn t = make(a, "a@b", "c@d", "e@f");
	const struct smtp_result ok = { .kind = SMTP_RESULT_OK };

	t.rcpt[0].params =
		(struct smtp_rcpt_params){ .has = SMTP_RCPT_NOTIFY, .notify = SMTP_NOTIFY_SUCCESS };
	t.rcpt[1].params =
		(struct smtp_rcpt_params){ .has = SMTP_RCPT_NOTIFY, .notify = SMTP_NOTIFY_FAILURE };
	smtp_txn_plan(&t, &peer, false);
	smtp_txn_settle(&t, SMTP_RESULT_PENDING, &ok);
	CHECK(!t.rcpt[0].notice_is_ours && !t.rcpt[1].notice_is_ours);
	peer.ext = 0;
	smtp_txn_plan(&t, &peer, false);
	CHECK_INT(SMTP_TXN_DSN_LOST, t.notes);
	smtp_txn_settle(&t, SMTP_RESULT_PENDING, &ok);
	CHECK(t.rcpt[0].notice_is_ours && !t.rcpt[1].notice_is_ours);
	arena_free(&a);
}

static void steps_have_texts_and_times(void)
{
	CHECK_STR("RCPT TO", smtp_step_text(SMTP_STEP_RCPT));
	CHECK_STR("end of DATA", smtp_step_text(SMTP_STEP_END));
	CHECK_STR("no command", smtp_step_text((enum smtp_step)99));
	/* RFC 5321 section 4.5.3.2 */
	CHECK_INT(300, smtp_step_timeout_s(SMTP_STEP_GREETING));
	CHECK_INT(300, smtp_step_timeout_s(SMTP_STEP_MAIL));
	CHECK_INT(300, smtp_step_timeout_s(SMTP_STEP_RCPT));
	CHECK_INT(120, smtp_step_timeout_s(SMTP_STEP_DATA));
	CHECK_INT(180, smtp_step_timeout_s(SMTP_STEP_BODY));
	CHECK_INT(600, smtp_step_timeout_s(SMTP_STEP_END));
}

TEST_MAIN(TEST(a_peer_that_offers_nothing_gets_nothing), TEST(a_peer_that_offers_all_gets_all),
	  TEST(size_is_compared_with_the_limit), TEST(bodies), TEST(utf8_needs_smtputf8),
	  TEST(orcpt_is_ascii_without_smtputf8), TEST(requiretls_is_kept_or_the_mail_is_not_sent),
	  TEST(by_is_kept_or_said), TEST(addresses_that_would_break_a_line_are_not_sent),
	  TEST(replies_become_results), TEST(relayed_notices_are_ours_without_dsn),
	  TEST(steps_have_texts_and_times))
