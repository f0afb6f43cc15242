#include "mail/mail_dsn.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "mail/mail_address.h"
#include "mail/mail_date.h"
#include "mail/mail_dsn_parse.h"
#include "mail/mail_head.h"
#include "mail/mail_mime.h"
#include "mail/mail_msgid.h"
#include "test.h"

#define ORIGINAL_HEAD                                                                                        \
	"Received: from copier4\r\n\tby relay.example.edu\r\n"                                               \
	"Subject: Scan of a contract\r\n"                                                                    \
	"Date: Thu, 21 Nov 2024 07:15:00 +0000\r\n"                                                          \
	"From: <copier4@example.edu>\r\n"                                                                    \
	"Message-ID: <4711@copier4>\r\n\r\n"

static const struct mail_dsn_rcpt unknown_user = {
	.address = SPAN_INIT("office@example.com"),
	.action = MAIL_DSN_FAILED,
	.status = SPAN_INIT("5.1.1"),
	.remote = SPAN_INIT("mx.example.com"),
	.diagnostic = SPAN_INIT("550-5.1.1 no such user\r\n550 5.1.1 here"),
	.attempt_s = 1732173360,
};

static struct mail_dsn bounce(const struct mail_dsn_rcpt *rcpts, size_t n)
{
	return (struct mail_dsn){
		.host = SPAN("relay.example.edu"),
		.sender = SPAN("copier4@example.edu"),
		.unique = SPAN("k7m2p9qr3s4t"),
		.now_s = 1732173400,
		.queue_id = SPAN("a2b3c4d5e6f7"),
		.arrival_s = 1732173300,
		.help_text = SPAN("Questions? Call the help desk.\r\nPhone 4711"),
		.help_url = SPAN("https://help.example.edu/smtp-relay"),
		.full = true,
		.original_head = SPAN(ORIGINAL_HEAD),
		.width = MAIL_DSN_8BIT,
		.rcpts = rcpts,
		.rcpt_count = n,
	};
}

/* A report that is written, with the message put between its halves; and what the parser reads of it. */
struct written {
	struct buf text, suffix;
	struct mail_dsn_result result;
	struct arena *a;
	struct mail_head *h;
	struct mail_dsn_report report;
	struct span parts[3], part_bodies[3];
	struct mail_mime part_mime[3];
};

static void check_lines(struct span s)
{
	while (s.n) {
		const ptrdiff_t lf = span_find_char(s, '\n');
		NEED(lf > 0);
		CHECK_INT('\r', s.p[lf - 1]);
		CHECK(lf - 1 <= 998);
		CHECK(span_find_char(span_first(s, (size_t)lf - 1), '\r') < 0);
		s = span_skip(s, (size_t)lf + 1);
	}
}

static void write_report(struct written *w, const struct mail_dsn *d, const char *message)
{
	*w = (struct written){ .text = BUF_INIT(8 << 20),
			       .suffix = BUF_INIT(1000),
			       .a = arena_new(32 << 20) };
	NEED(mail_dsn_write(d, &w->text, &w->suffix, &w->result) == 0);
	if (w->result.full)
		buf_add_str(&w->text, message);
	buf_add_span(&w->text, buf_span(&w->suffix));
	check_lines(buf_span(&w->text));
	if (w->result.needs == MAIL_DSN_7BIT)
		CHECK(ascii_only(buf_span(&w->text)));

	const int octets = mail_head_parse(w->a, buf_span(&w->text), 100000, &w->h);
	NEED(octets > 0);
	CHECK_INT(0, w->h->oddities & ~(unsigned)(w->result.needs == MAIL_DSN_UTF8 ? MAIL_HEAD_8BIT : 0));
	const struct mail_mime top = mail_mime_peek(w->h, false);
	const struct span boundary = mail_mime_param(w->a, &top.type, SPAN("boundary"));
	struct span rest = span_skip(buf_span(&w->text), (size_t)octets), none;
	for (int i = 0; i < 3; i++) {
		struct mail_head *h = NULL;
		NEED(mail_mime_next_part(&rest, boundary, &w->parts[i]));
		const int n = mail_head_parse(w->a, w->parts[i], 100000, &h);
		NEED(n > 0);
		w->part_mime[i] = mail_mime_peek(h, false);
		w->part_bodies[i] = span_skip(w->parts[i], (size_t)n);
		/* RFC 2045 section 6.4: the whole says at least what its parts say. */
		if (w->part_mime[i].eightbit)
			CHECK_INT(MAIL_MIME_8BIT, top.encoding);
	}
	CHECK(!mail_mime_next_part(&rest, boundary, &none));
	CHECK_INT(0, mail_dsn_parse(w->a, buf_span(&w->text), &w->report));
}

static void forget(struct written *w)
{
	buf_free(&w->text);
	buf_free(&w->suffix);
	arena_free(&w->a);
}

static void a_bounce_reads_well(void)
{
	const struct mail_dsn d = bounce(&unknown_user, 1);
	struct written w;

	write_report(&w, &d, ORIGINAL_HEAD "The scan.\r\n");
	CHECK(w.result.full);
	CHECK_INT(MAIL_DSN_7BIT, w.result.needs);
	CHECK_SPAN("From: Mail Delivery System <postmaster@relay.example.edu>\r\n"
		   "To: <copier4@example.edu>\r\n"
		   "Subject: Your message could not be delivered\r\n"
		   "Date: Thu, 21 Nov 2024 07:16:40 +0000\r\n"
		   "Message-ID: <k7m2p9qr3s4t@relay.example.edu>\r\n"
		   "In-Reply-To: <4711@copier4>\r\n"
		   "Auto-Submitted: auto-replied\r\n"
		   "MIME-Version: 1.0\r\n"
		   "Content-Type: multipart/report; report-type=delivery-status;\r\n"
		   " boundary=\"=_k7m2p9qr3s4t.0\"\r\n"
		   "\r\n"
		   "--=_k7m2p9qr3s4t.0\r\n"
		   "Content-Description: Notification\r\n"
		   "Content-Type: text/plain; charset=us-ascii\r\n"
		   "Content-Transfer-Encoding: 7bit\r\n"
		   "\r\n"
		   "This is the mail relay relay.example.edu.\r\n"
		   "\r\n"
		   "Your message could not be delivered to the recipients below. It is not tried\r\n"
		   "again.\r\n"
		   "\r\n"
		   "    Subject: Scan of a contract\r\n"
		   "    Sent: Thu, 21 Nov 2024 07:15:00 +0000\r\n"
		   "    From: <copier4@example.edu>\r\n"
		   "    Message-ID: <4711@copier4>\r\n"
		   "    Number at the relay: a2b3c4d5e6f7\r\n"
		   "\r\n"
		   "<office@example.com>\r\n"
		   "    What happened: There is no such address. (5.1.1)\r\n"
		   "    What to do: Look for a typing mistake in the address and send the\r\n"
		   "    message again.\r\n"
		   "    Answer of mx.example.com:\r\n"
		   "        550-5.1.1 no such user\r\n"
		   "        550 5.1.1 here\r\n"
		   "\r\n"
		   "Questions? Call the help desk.\r\n"
		   "Phone 4711\r\n"
		   "Help: https://help.example.edu/smtp-relay\r\n"
		   "\r\n"
		   "\r\n"
		   "--=_k7m2p9qr3s4t.0\r\n"
		   "Content-Description: Delivery report\r\n"
		   "Content-Type: message/delivery-status\r\n"
		   "Content-Transfer-Encoding: 7bit\r\n"
		   "\r\n"
		   "Reporting-MTA: dns; relay.example.edu\r\n"
		   "Arrival-Date: Thu, 21 Nov 2024 07:15:00 +0000\r\n"
		   "X-Postern-Queue-Id: a2b3c4d5e6f7\r\n"
		   "\r\n"
		   "Final-Recipient: rfc822; office@example.com\r\n"
		   "Action: failed\r\n"
		   "Status: 5.1.1\r\n"
		   "Remote-MTA: dns; mx.example.com\r\n"
		   "Diagnostic-Code: smtp; 550-5.1.1 no such user 550 5.1.1 here\r\n"
		   "Last-Attempt-Date: Thu, 21 Nov 2024 07:16:00 +0000\r\n"
		   "\r\n"
		   "--=_k7m2p9qr3s4t.0\r\n"
		   "Content-Description: Your message\r\n"
		   "Content-Type: message/rfc822\r\n"
		   "Content-Transfer-Encoding: 7bit\r\n"
		   "\r\n" ORIGINAL_HEAD "The scan.\r\n"
		   "\r\n"
		   "--=_k7m2p9qr3s4t.0--\r\n",
		   buf_span(&w.text));
	forget(&w);
}

static void what_is_written_is_read(void)
{
	const struct mail_dsn_rcpt rcpts[] = {
		unknown_user,
		{ .address = SPAN("\"a b\"@example.com"),
		  .orcpt_type = SPAN("rfc822"),
		  .orcpt = SPAN("A.B@example.com"),
		  .action = MAIL_DSN_DELAYED,
		  .status = SPAN("4.4.1"),
		  .diagnostic = SPAN("connection timed out"),
		  .retry_until_s = 1732600000 },
		{ .address = SPAN("c@example.com"),
		  .action = MAIL_DSN_RELAYED,
		  .status = SPAN("bogus"),
		  .remote = SPAN("mx"),
		  .diagnostic = SPAN("250 ok"),
		  .retry_until_s = 1732600000 },
	};
	struct mail_dsn d = bounce(rcpts, 3);
	struct written w;

	d.full = false;
	d.envid = SPAN("QQ 314159");
	d.helo = SPAN("copier4");
	d.ip = SPAN("192.0.2.7");
	write_report(&w, &d, NULL);
	CHECK(!w.result.full);
	CHECK(mail_mime_type_is(&w.part_mime[2].type, "text", "rfc822-headers"));
	/* The blank line is not part of it. */
	CHECK(span_eq(w.part_bodies[2], SPAN(ORIGINAL_HEAD)) ||
	      span_eq(w.part_bodies[2], span_first(SPAN(ORIGINAL_HEAD), sizeof ORIGINAL_HEAD - 1 - 2)));
	CHECK(span_find(w.part_bodies[1], SPAN("Received-From-MTA: dns; copier4 (192.0.2.7)\r\n")) > 0);
	CHECK_SPAN("relay.example.edu", w.report.reporting);
	CHECK_SPAN("QQ 314159", w.report.envid);
	CHECK_SPAN("<4711@copier4>", w.report.message_id);
	NEED(w.report.rcpt_count == 3);
	CHECK_SPAN("office@example.com", w.report.rcpts[0].final);
	CHECK_SPAN("rfc822", w.report.rcpts[0].final_type);
	CHECK(!w.report.rcpts[0].original.n);
	CHECK_INT(MAIL_DSN_FAILED, w.report.rcpts[0].action);
	CHECK_SPAN("5.1.1", w.report.rcpts[0].status);
	CHECK_SPAN("mx.example.com", w.report.rcpts[0].remote);
	CHECK_SPAN("550-5.1.1 no such user 550 5.1.1 here", w.report.rcpts[0].diagnostic);
	CHECK_SPAN("\"a b\"@example.com", w.report.rcpts[1].final);
	CHECK_SPAN("A.B@example.com", w.report.rcpts[1].original);
	CHECK_SPAN("rfc822", w.report.rcpts[1].original_type);
	CHECK_INT(MAIL_DSN_DELAYED, w.report.rcpts[1].action);
	CHECK_SPAN("connection timed out", w.report.rcpts[1].diagnostic);
	CHECK_SPAN("", w.report.rcpts[1].remote);
	CHECK_INT(MAIL_DSN_RELAYED, w.report.rcpts[2].action);
	CHECK_SPAN("2.0.0", w.report.rcpts[2].status);
	/* RFC 3464 section 2.3.9 */
	const ptrdiff_t until = span_find(w.part_bodies[1], SPAN("Will-Retry-Until:"));
	CHECK(until > 0);
	CHECK(span_find(span_skip(w.part_bodies[1], (size_t)until + 1), SPAN("Will-Retry-Until:")) < 0);
	CHECK(span_find(w.part_bodies[1], SPAN("Diagnostic-Code: x-postern; connection timed out\r\n")) > 0);
	forget(&w);
}

static void the_subject_follows_the_gravest(void)
{
	static const struct {
		enum mail_dsn_action actions[2];
		const char *subject;
		bool full;
	} cases[] = {
		{ { MAIL_DSN_DELAYED, MAIL_DSN_FAILED }, "Your message could not be delivered", true },
		{ { MAIL_DSN_DELAYED, MAIL_DSN_RELAYED }, "Your message is delayed", false },
		{ { MAIL_DSN_DELIVERED, MAIL_DSN_RELAYED }, "Your message was delivered", false },
		{ { MAIL_DSN_RELAYED, MAIL_DSN_RELAYED }, "Your message was passed on", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct mail_dsn_rcpt rcpts[2] = {
			{ .address = SPAN("a@b"), .action = cases[i].actions[0] },
			{ .address = SPAN("c@d"), .action = cases[i].actions[1] },
		};
		const struct mail_dsn d = bounce(rcpts, 2);
		struct written w;
		write_report(&w, &d, ORIGINAL_HEAD);
		CHECK_SPAN(cases[i].subject, mail_head_value(w.h, SPAN("Subject")));
		CHECK_INT(cases[i].full, w.result.full);
		forget(&w);
	}
}

static void the_way_decides_the_form(void)
{
	static const struct {
		enum mail_dsn_width width;
		bool original_8bit, original_utf8;
		const char *subject, *rcpt;
		const char *status_subtype, *third_subtype, *final;
		enum mail_mime_encoding words, third;
		bool full;
		enum mail_dsn_width needs;
	} cases[] = {
		/* ASCII fits through anything. */
		{ MAIL_DSN_UTF8, false, false, "x", "a@b", "delivery-status", "rfc822", "a@b", MAIL_MIME_7BIT,
		  MAIL_MIME_7BIT, true, MAIL_DSN_7BIT },
		/* A body with octets above 127. */
		{ MAIL_DSN_8BIT, true, false, "x", "a@b", "delivery-status", "rfc822", "a@b", MAIL_MIME_7BIT,
		  MAIL_MIME_8BIT, true, MAIL_DSN_8BIT },
		{ MAIL_DSN_7BIT, true, false, "x", "a@b", "delivery-status", "rfc822-headers", "a@b",
		  MAIL_MIME_7BIT, MAIL_MIME_7BIT, false, MAIL_DSN_7BIT },
		/* A head with UTF-8. */
		{ MAIL_DSN_UTF8, false, true, "\xc3\xa4", "a@b", "delivery-status", "global", "a@b",
		  MAIL_MIME_8BIT, MAIL_MIME_8BIT, true, MAIL_DSN_UTF8 },
		{ MAIL_DSN_8BIT, false, true, "\xc3\xa4", "a@b", "delivery-status", "global-headers", "a@b",
		  MAIL_MIME_8BIT, MAIL_MIME_QUOTED_PRINTABLE, false, MAIL_DSN_8BIT },
		{ MAIL_DSN_7BIT, false, true, "\xc3\xa4", "a@b", "delivery-status", "global-headers", "a@b",
		  MAIL_MIME_QUOTED_PRINTABLE, MAIL_MIME_QUOTED_PRINTABLE, false, MAIL_DSN_7BIT },
		/* A head that is no UTF-8 at all. */
		{ MAIL_DSN_7BIT, false, false, "\xe4", "a@b", "delivery-status", "rfc822-headers", "a@b",
		  MAIL_MIME_7BIT, MAIL_MIME_QUOTED_PRINTABLE, false, MAIL_DSN_7BIT },
		{ MAIL_DSN_8BIT, false, false, "\xe4", "a@b", "delivery-status", "rfc822", "a@b",
		  MAIL_MIME_7BIT, MAIL_MIME_8BIT, true, MAIL_DSN_8BIT },
		/* A recipient with UTF-8. */
		{ MAIL_DSN_UTF8, false, false, "x", "\xc3\xa4@b", "global-delivery-status", "rfc822",
		  "\xc3\xa4@b", MAIL_MIME_8BIT, MAIL_MIME_7BIT, true, MAIL_DSN_UTF8 },
		{ MAIL_DSN_8BIT, false, false, "x", "\xc3\xa4+1@b", "delivery-status", "rfc822",
		  "\\x{E4}\\x{2B}1@b", MAIL_MIME_8BIT, MAIL_MIME_7BIT, true, MAIL_DSN_8BIT },
		{ MAIL_DSN_7BIT, false, false, "x", "\xf0\x9f\x98\x80@b", "delivery-status", "rfc822",
		  "\\x{1F600}@b", MAIL_MIME_QUOTED_PRINTABLE, MAIL_MIME_7BIT, true, MAIL_DSN_7BIT },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct mail_dsn_rcpt rcpt = { .address = span_of(cases[i].rcpt),
						    .action = MAIL_DSN_FAILED };
		struct mail_dsn d = bounce(&rcpt, 1);
		struct buf head = BUF_INIT(1000);
		struct written w;
		const unsigned before = test_failures;
		buf_addf(&head, "Subject: %s\r\nMessage-ID: <1@c4>\r\n\r\n", cases[i].subject);
		d.original_head = buf_span(&head);
		d.original_8bit = cases[i].original_8bit;
		d.original_utf8 = cases[i].original_utf8;
		d.width = cases[i].width;
		write_report(&w, &d, buf_cstr(&head));
		CHECK(mail_mime_type_is(&w.part_mime[1].type, "message", cases[i].status_subtype));
		CHECK_SPAN(cases[i].third_subtype, w.part_mime[2].type.subtype);
		CHECK_INT(cases[i].words, w.part_mime[0].encoding);
		CHECK_INT(cases[i].third, w.part_mime[2].encoding);
		CHECK_INT(cases[i].full, w.result.full);
		CHECK_INT(cases[i].needs, w.result.needs);
		CHECK_INT(1, w.report.rcpt_count);
		CHECK_SPAN(cases[i].final, w.report.rcpts[0].final);
		CHECK_SPAN(ascii_only(rcpt.address) ? "rfc822" : "utf-8", w.report.rcpts[0].final_type);
		CHECK_SPAN("<1@c4>", w.report.message_id);
		if (test_failures != before)
			printf("  case %zu\n", i);
		buf_free(&head);
		forget(&w);
	}
}

static void a_sender_in_utf8_needs_smtputf8(void)
{
	struct mail_dsn d = bounce(&unknown_user, 1);
	struct written w;

	d.sender = SPAN("j\xc3\xbcrgen@b\xc3\xbc"
			"ro.example");
	d.width = MAIL_DSN_7BIT;
	write_report(&w, &d, ORIGINAL_HEAD);
	CHECK_INT(MAIL_DSN_UTF8, w.result.needs);
	CHECK_SPAN("<j\xc3\xbcrgen@b\xc3\xbc"
		   "ro.example>",
		   mail_head_value(w.h, SPAN("To")));
	forget(&w);
}

static void nobody_can_inject(void)
{
	static const char evil[] = "x\r\n\r\n--=_k7m2p9qr3s4t.0--\r\nBcc: y\r\n\x01\xff =_k7m2p9qr3s4t.1";
	const struct span e = span_make(evil, sizeof evil - 1);
	const struct mail_dsn_rcpt rcpt = { .address = e,
					    .orcpt_type = e,
					    .orcpt = e,
					    .action = MAIL_DSN_FAILED,
					    .status = e,
					    .remote = e,
					    .diagnostic = e };
	struct mail_dsn d = bounce(&rcpt, 1);
	struct written w;

	d.host = d.from = d.envid = d.queue_id = d.helo = d.ip = d.help_text = d.help_url = d.original_head =
		e;
	d.full = false;
	for (int width = MAIL_DSN_7BIT; width <= MAIL_DSN_UTF8; width++) {
		d.width = (enum mail_dsn_width)width;
		write_report(&w, &d, NULL);
		CHECK_INT(0, mail_head_count(w.h, SPAN("Bcc")));
		CHECK_INT(1, w.report.rcpt_count);
		CHECK_SPAN("5.0.0", w.report.rcpts[0].status);
		forget(&w);
	}
}

static void bad_requests_are_refused(void)
{
	static const char *const senders[] = { "",        "a b",     "<a@b>", "a@b, c@d", "a@b\r\nBcc: c@d",
					       "A <a@b>", "a@b (x)", " a@b" };
	struct mail_dsn d = bounce(&unknown_user, 1);
	struct mail_dsn_result r = { .full = true };
	struct buf prefix = BUF_INIT(100), suffix = BUF_INIT(100);

	for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
		d.sender = span_of(senders[i]);
		CHECK_INT(-ERR_INVAL, mail_dsn_write(&d, &prefix, &suffix, &r));
	}
	d = bounce(&unknown_user, 0);
	CHECK_INT(-ERR_INVAL, mail_dsn_write(&d, &prefix, &suffix, &r));
	d = bounce(&unknown_user, 1);
	d.unique = SPAN("");
	CHECK_INT(-ERR_INVAL, mail_dsn_write(&d, &prefix, &suffix, &r));
	CHECK_INT(0, prefix.n);
	d = bounce(&unknown_user, 1);
	d.full = false;
	CHECK_INT(-ERR_TOOBIG, mail_dsn_write(&d, &prefix, &suffix, &r));
	CHECK(r.full);
	buf_free(&prefix);
	buf_free(&suffix);
}

static void huge_input_is_cut(void)
{
	enum { RCPTS = 1000 };
	const size_t n = 1024 * 1024;
	char *huge = mem_alloc_raw(n);
	struct mail_dsn_rcpt *rcpts = mem_alloc_array(RCPTS, sizeof *rcpts);
	struct buf prefix = BUF_INIT(8 << 20), suffix = BUF_INIT(1000);
	struct mail_dsn_result result;
	struct arena *a = arena_new(64 << 20);
	struct mail_dsn_report report;

	memset(huge, 'x', n);
	for (size_t i = 0; i < RCPTS; i++) {
		rcpts[i] = unknown_user;
		rcpts[i].diagnostic = span_make(huge, n);
	}
	struct mail_dsn d = bounce(rcpts, RCPTS);
	d.help_text = d.help_url = d.envid = d.queue_id = d.helo = d.original_head = span_make(huge, n);
	d.full = false;
	CHECK_INT(0, mail_dsn_write(&d, &prefix, &suffix, &result));
	check_lines(buf_span(&prefix));
	CHECK(span_find(buf_span(&prefix), SPAN("... and 950 more recipients")) > 0);
	CHECK_INT(-ERR_TOOBIG, mail_dsn_parse(a, buf_span(&prefix), &report));
	/* A head of many fields is cut between lines. */
	for (size_t i = 0; i + 10 <= n; i += 10)
		memcpy(huge + i, "Abc: def\r\n", 10);
	d.original_head = span_make(huge, n - n % 10);
	d.rcpt_count = 1;
	buf_reset(&prefix);
	buf_reset(&suffix);
	CHECK_INT(0, mail_dsn_write(&d, &prefix, &suffix, &result));
	CHECK(prefix.n < 80 * 1024);
	CHECK(span_ends(buf_span(&prefix), SPAN("Abc: def\r\n")));
	buf_free(&prefix);
	buf_free(&suffix);
	arena_free(&a);
	free(rcpts);
	free(huge);
}

static void other_reports_are_recognised(void)
{
	static const struct {
		const char *message;
		int rc;
	} cases[] = {
		{ "Subject: hello\r\n\r\nbody", -ERR_NOTFOUND },
		{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--", -ERR_NOTFOUND },
		{ "Content-Type: multipart/report; report-type=disposition-notification; "
		  "boundary=b\r\n\r\n--b--",
		  -ERR_NOTFOUND },
		{ "Content-Type: multipart/report; report-type=delivery-status\r\n\r\n--b--", -ERR_NOTFOUND },
		{ "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b--", -ERR_SYNTAX },
		{ "Content-Type: multipart/report; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: "
		  "message/delivery-status\n\n"
		  "Reporting-MTA: dns;x\n\n\n\nFinal-Recipient: rfc822;a@b\nAction: Failed\nStatus: 5.1.1 "
		  "(no user)\n\n--b--\n",
		  0 },
		{ "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: "
		  "message/global-delivery-status\r\n"
		  "Content-Transfer-Encoding: base64\r\n\r\n"
		  "RmluYWwtUmVjaXBpZW50OiByZmM4MjI7YUBiDQpBY3Rpb246IGZhaWxlZA0KU3RhdHVzOiA1LjEuMQ0K\r\n--b--"
		  "\r\n",
		  0 },
		{ "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: "
		  "message/delivery-status\r\n\r\n"
		  "Final-Recipient: rfc822;a@b\r\naction: fAILED\r\nStatus: 5.1.1",
		  0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(1 << 20);
		struct mail_dsn_report r = { .rcpt_count = 0 };
		const int rc = mail_dsn_parse(a, span_of(cases[i].message), &r);
		if (rc != cases[i].rc)
			printf("  case %zu:\n", i);
		CHECK_INT(cases[i].rc, rc);
		CHECK_INT(cases[i].rc == 0, r.rcpt_count);
		if (r.rcpt_count) {
			CHECK_SPAN("a@b", r.rcpts[0].final);
			CHECK_INT(MAIL_DSN_FAILED, r.rcpts[0].action);
			CHECK_SPAN("5.1.1", r.rcpts[0].status);
		}
		arena_free(&a);
	}
}

static void status_codes_are_checked(void)
{
	static const char *const good[] = { "5.1.1", "4.0.0", "2.1.5", "5.7.509", "4.999.999" };
	static const char *const bad[] = { "",       "5",     "5.1",    "5.1.",   "5..1",    "1.1.1",
					   "3.1.1",  "6.1.1", "5.01.1", "5.1.01", "5.1.1.1", "5.1000.1",
					   "5.1.1 ", "5.1.x", "55.1.1", "5,1.1" };

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		CHECK(mail_dsn_status_valid(span_of(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (mail_dsn_status_valid(span_of(bad[i]))) {
			printf("  \"%s\":\n", bad[i]);
			CHECK(!mail_dsn_status_valid(span_of(bad[i])));
		}
}

static void causes_have_plain_words(void)
{
	static const struct {
		const char *status, *words;
	} cases[] = {
		{ "5.2.2", "mailbox is full" },
		{ "5.3.4", "too large" },
		{ "5.4.6", "round in circles" },
		{ "5.7.1", "refuses the message" },
		{ "5.7.26", "refuses the message" },
		{ "5.1.10", "takes no mail at all" },
		{ "5.1.99", "not accepted" },
		{ "5.99.1", "was not accepted" },
		{ "5.10.1", "The message was not accepted" },
		{ "5.6.7", "plain English" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct mail_dsn_rcpt rcpt = { .address = SPAN("a@b"),
						    .status = span_of(cases[i].status) };
		const struct mail_dsn d = bounce(&rcpt, 1);
		struct written w;
		struct buf joined = BUF_INIT(10000);
		write_report(&w, &d, ORIGINAL_HEAD);
		for (struct span rest = w.part_bodies[0]; rest.p;)
			buf_addf(&joined, "%.*s ",
				 SPAN_ARG(span_trim(span_first(span_cut(&rest, '\r'), 200))));
		if (span_find(w.part_bodies[0], span_of(cases[i].words)) < 0)
			printf("  %s: expected \"%s\" in %s\n", cases[i].status, cases[i].words,
			       buf_cstr(&joined));
		CHECK(span_find(w.part_bodies[0], span_of(cases[i].words)) >= 0);
		buf_free(&joined);
		forget(&w);
	}
}

TEST_MAIN(TEST(a_bounce_reads_well), TEST(what_is_written_is_read), TEST(the_subject_follows_the_gravest),
	  TEST(the_way_decides_the_form), TEST(a_sender_in_utf8_needs_smtputf8), TEST(nobody_can_inject),
	  TEST(bad_requests_are_refused), TEST(huge_input_is_cut), TEST(other_reports_are_recognised),
	  TEST(status_codes_are_checked), TEST(causes_have_plain_words))
