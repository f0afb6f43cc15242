#include "mail/mail_fault.h"

#include "base/err.h"
#include "test.h"

#define GOOD                                                                                                 \
	"Date: Thu, 21 Nov 2024 07:15:00 +0000\r\nFrom: a@b.org\r\nTo: c@d.org\r\nMessage-ID: <1@b.org>\r\n"

static struct mail_head *parse(struct arena *a, const char *text)
{
	struct mail_head *h = NULL;

	NEED(mail_head_parse(a, span_of(text), 100000, &h) >= 0);
	return h;
}

static void faults_are_found(void)
{
	static const struct {
		const char *head;
		unsigned found;
	} cases[] = {
		{ GOOD "\r\n", 0 },
		{ "\r\n", MAIL_FAULT_NO_DATE | MAIL_FAULT_NO_FROM | MAIL_FAULT_NO_MESSAGE_ID |
				  MAIL_FAULT_NO_RECIPIENT },
		{ "date: 21 Nov 2024 07:15:00 +0000\r\nFROM: a@b.org, c@d.org\r\nbcc:\r\nmessage-id: "
		  "<x@y>\r\n\r\n",
		  MAIL_FAULT_NO_SENDER },
		{ "date: yesterday\r\nFrom: a@b.org, c@d.org\r\nSender: x y\r\nCc: q@r\r\nMessage-ID: "
		  "1\r\n\r\n",
		  MAIL_FAULT_BAD_DATE | MAIL_FAULT_BAD_SENDER | MAIL_FAULT_BAD_MESSAGE_ID },
		{ GOOD "Sender: a@b, c@d\r\n\r\n", MAIL_FAULT_BAD_SENDER },
		{ "Date: 31 Feb 2024 07:15:00 +0000\r\nFrom: Copier\r\nTo: x\r\nMessage-ID:\r\n "
		  "<1@b>\r\n\r\n",
		  MAIL_FAULT_BAD_DATE | MAIL_FAULT_FROM_NO_DOMAIN },
		{ "Date: 1 Feb 2024 07:15:00 +0000\r\nFrom: Copier 4\r\nTo: x\r\nMessage-ID: <1@b>\r\n\r\n",
		  MAIL_FAULT_BAD_FROM },
		{ "Date: 1 Feb 2024 07:15:00 +0000\r\nFrom: \r\nTo: x\r\nMessage-ID: <1@b>\r\n\r\n",
		  MAIL_FAULT_BAD_FROM },
		{ GOOD "from: x@y\r\nX: 1\r\nX: 2\r\nReceived: 1\r\nReceived: 2\r\n\r\n",
		  MAIL_FAULT_DUPLICATE },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(100000);
		struct mail_faults faults;
		CHECK_INT(0, mail_fault_check(parse(a, cases[i].head), &faults));
		if (faults.found != cases[i].found)
			printf("  case %zu, \"%s\":\n", i, mail_fault_text(faults.found ^ cases[i].found));
		CHECK_INT(cases[i].found, faults.found);
		arena_free(&a);
	}
}

static const struct mail_fault_repair all = {
	.wanted = ~0u,
	.unix_s = 1732173300,
	.unique = SPAN_INIT("u1"),
	.host = SPAN_INIT("relay"),
	.from_local = SPAN_INIT("cop ier"),
	.from_domain = SPAN_INIT("b.org"),
};

static void check_mended(const char *head, const char *want, int mended,
			 const struct mail_fault_repair *repair)
{
	struct arena *a = arena_new(100000);
	struct buf b = BUF_INIT(10000);
	struct mail_head *h = parse(a, head);
	struct mail_faults faults;

	CHECK_INT(0, mail_fault_check(h, &faults));
	CHECK_INT(mended, mail_fault_mend(h, &faults, repair));
	CHECK_INT(0, mail_head_write(h, &b));
	CHECK_SPAN(want, buf_span(&b));
	CHECK_INT(0, mail_fault_check(h, &faults));
	CHECK_INT(0, faults.found & (unsigned)mended);
	buf_free(&b);
	arena_free(&a);
}

static void faults_are_mended(void)
{
	struct mail_fault_repair some = all;

	check_mended(GOOD "\r\n", GOOD "\r\n", 0, &all);
	check_mended("Subject: Scan\r\n\r\n",
		     "Subject: Scan\r\n"
		     "Date: Thu, 21 Nov 2024 07:15:00 +0000\r\n"
		     "Message-ID: <u1@relay>\r\n"
		     "From: <\"cop ier\"@b.org>\r\n\r\n",
		     MAIL_FAULT_NO_DATE | MAIL_FAULT_NO_MESSAGE_ID | MAIL_FAULT_NO_FROM, &all);
	check_mended("Date: soon\r\nFrom: A <a@b>,\r\n c@d\r\nTo: x\r\nMessage-ID: 1\r\n\r\n",
		     "Date: Thu, 21 Nov 2024 07:15:00 +0000\r\nFrom: A <a@b>,\r\n c@d\r\nTo: x\r\n"
		     "Message-ID: <u1@relay>\r\nSender: A <a@b>\r\n\r\n",
		     MAIL_FAULT_BAD_DATE | MAIL_FAULT_BAD_MESSAGE_ID | MAIL_FAULT_NO_SENDER, &all);
	some.wanted = MAIL_FAULT_NO_DATE;
	some.from_local = SPAN("");
	check_mended("Subject: Scan\r\n\r\n",
		     "Subject: Scan\r\nDate: Thu, 21 Nov 2024 07:15:00 +0000\r\n\r\n", MAIL_FAULT_NO_DATE,
		     &some);
	some.wanted = MAIL_FAULT_NO_FROM;
	check_mended("Subject: Scan\r\n\r\n", "Subject: Scan\r\n\r\n", 0, &some);
}

static void the_first_of_duplicates_stays(void)
{
	check_mended("Subject: 1\r\n" GOOD
		     "subject: 2\r\nDATE: 3\r\nFrom: x@y\r\nSubject: 4\r\nX: 1\r\nX: 2\r\n\r\n",
		     "Subject: 1\r\n" GOOD "X: 1\r\nX: 2\r\n\r\n", MAIL_FAULT_DUPLICATE, &all);
	check_mended(GOOD "to: \"E, F\"\r\n <e@f.org>\r\nTo:\r\nTO: g@h.org\r\nCc: x@y\r\n\r\n",
		     "Date: Thu, 21 Nov 2024 07:15:00 +0000\r\nFrom: a@b.org\r\n"
		     "To: c@d.org, \"E, F\" <e@f.org>, g@h.org\r\nMessage-ID: <1@b.org>\r\nCc: x@y\r\n\r\n",
		     MAIL_FAULT_DUPLICATE, &all);
}

static void faults_have_words(void)
{
	CHECK_STR("no Date", mail_fault_text(MAIL_FAULT_NO_DATE | MAIL_FAULT_DUPLICATE));
	CHECK_STR("no fault", mail_fault_text(0));
	CHECK_STR("Date", mail_fault_single_name(0));
	CHECK_STR("Content-Disposition", mail_fault_single_name(16));
	CHECK(!mail_fault_single_name(17));
}

static void hostile_heads_are_bounded(void)
{
	struct arena *a = arena_new(2 * 1024 * 1024);
	struct buf b = BUF_INIT(1024 * 1024);
	struct mail_head *h = NULL;
	struct mail_faults faults = { .found = 42 };

	/* Two To fields that are too long together, and a From of very many addresses. */
	for (int field = 0; field < 2; field++) {
		buf_add_str(&b, "To: ");
		for (int i = 0; i < 10000; i++)
			buf_add_str(&b, "a@b,");
		buf_add_str(&b, "\r\n");
	}
	buf_add_str(&b, "\r\n");
	NEED(mail_head_parse(a, buf_span(&b), b.n, &h) > 0);
	CHECK_INT(0, mail_fault_check(h, &faults));
	CHECK_INT(-ERR_TOOBIG, mail_fault_mend(h, &faults, &all));
	buf_reset(&b);
	buf_add_str(&b, "From: ");
	for (int i = 0; i < 101; i++)
		buf_add_str(&b, "a@b,");
	buf_add_str(&b, "\r\n\r\n");
	NEED(mail_head_parse(a, buf_span(&b), b.n, &h) > 0);
	faults.found = 42;
	CHECK_INT(-ERR_TOOBIG, mail_fault_check(h, &faults));
	CHECK_INT(42, faults.found);
	buf_free(&b);
	arena_free(&a);
}

TEST_MAIN(TEST(faults_are_found), TEST(faults_are_mended), TEST(the_first_of_duplicates_stays),
	  TEST(faults_have_words), TEST(hostile_heads_are_bounded))
