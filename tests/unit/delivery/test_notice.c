/* test_notice.c - reports: what is sent to whom, and that another program can read it. */
#include "delivery_bed.h"

#include "mail/mail_dsn_parse.h"

static void make(struct bed *b, enum queue_notice_kind kind, struct envelope *env)
{
	struct queue_job *j = bed_mail(b, 2);
	const struct queue_outcome outcomes[] = {
		{ .rcpt = 1,
		  .status = QUEUE_BOUNCED,
		  .code = 550,
		  .enhanced = SPAN("5.1.1"),
		  .text = SPAN("5.1.1 nobody\nof that name"),
		  .remote = SPAN("mx.example[192.0.2.1]:25") },
	};
	static struct queue_notice notice;

	j->ready = false;
	notice = (struct queue_notice){ .kind = kind,
					.id = 5,
					.env = env,
					.image = &j->image,
					.outcomes = outcomes,
					.n = 1,
					.retry_until_us = loop_wall_us(b->loop) + 3600 * SECOND };
	b->notices_done = b->added = 0;
	b->ops.notify(b->ops.arg, &notice);
	bed_spin(b, 5);
	CHECK_INT(1, b->notices_done);
	CHECK_INT(0, b->notice_status);
}

static void test_reports(void)
{
	static const struct {
		enum queue_notice_kind kind;
		enum mail_dsn_action action;
	} kinds[] = { { QUEUE_NOTICE_FAILED, MAIL_DSN_FAILED },
		      { QUEUE_NOTICE_DELAYED, MAIL_DSN_DELAYED },
		      { QUEUE_NOTICE_RELAYED, MAIL_DSN_RELAYED } };
	struct envelope_rcpt rcpt[] = {
		{ .address = SPAN("r0@example.org"), .domain = SPAN("example.org") },
		{ .address = SPAN("r1@example.org"),
		  .domain = SPAN("example.org"),
		  .orcpt = SPAN("rfc822;old+2Bx@example.org") },
	};
	struct envelope env = {
		.sender = SPAN("a@example.edu"), .envid = SPAN("job+2B7"), .rcpt = rcpt, .nrcpt = 2
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct arena *a = arena_new(1 << 20);
		struct mail_dsn_report report;
		struct envelope sent;
		struct bed b;
		bed_start(&b);
		make(&b, kinds[i].kind, &env);
		CHECK_INT(1, b.added);
		CHECK_INT(0, mail_dsn_parse(a, buf_span(&b.report), &report));
		CHECK_SPAN("job+7", report.envid);
		CHECK_SPAN("relay.example.edu", report.reporting);
		NEED(report.rcpt_count == 1);
		CHECK_INT(kinds[i].action, report.rcpts[0].action);
		CHECK_SPAN("r1@example.org", report.rcpts[0].final);
		CHECK_SPAN("old+x@example.org", report.rcpts[0].original);
		CHECK(strstr(buf_cstr(&b.report), "Ask us") != NULL);
		CHECK((strstr(buf_cstr(&b.report), ".dot") != NULL) ==
		      (kinds[i].kind == QUEUE_NOTICE_FAILED));
		CHECK_INT(0, envelope_decode(buf_span(&b.report_meta), a, &sent));
		NEED(sent.nrcpt == 1);
		CHECK_SPAN("a@example.edu", sent.rcpt[0].address);
		CHECK_SPAN("example.edu", sent.rcpt[0].domain);
		CHECK_INT(0, sent.sender.n);
		arena_free(&a);
		bed_end(&b);
	}
}

/* RFC 8689 section 5: what may not travel unprotected does not come back so either, whatever RET said. */
static void test_requiretls(void)
{
	struct envelope_rcpt rcpt[] = { { .address = SPAN("r0@example.org"), .domain = SPAN("example.org") },
					{ .address = SPAN("r1@example.org"),
					  .domain = SPAN("example.org") } };
	struct envelope env = { .sender = SPAN("a@example.edu"),
				.flags = ENVELOPE_REQUIRETLS | ENVELOPE_RET_FULL,
				.rcpt = rcpt,
				.nrcpt = 2 };
	struct arena *a = arena_new(1 << 20);
	struct envelope sent;
	struct bed b;

	bed_start(&b);
	make(&b, QUEUE_NOTICE_FAILED, &env);
	CHECK(strstr(buf_cstr(&b.report), ".dot") == NULL);
	CHECK_INT(0, envelope_decode(buf_span(&b.report_meta), a, &sent));
	CHECK(sent.flags & ENVELOPE_REQUIRETLS);
	arena_free(&a);
	bed_end(&b);
}

/* Nobody to tell: it is logged, and no mail is made of it. */
static void test_nobody(void)
{
	struct envelope_rcpt rcpt[] = { { .address = SPAN("r0@example.org"), .domain = SPAN("example.org") },
					{ .address = SPAN("r1@example.org"),
					  .domain = SPAN("example.org") } };
	struct envelope env = { .device = SPAN("mfp-1"), .rcpt = rcpt, .nrcpt = 2 };
	static const char *const senders[] = { "", "no-domain" };

	for (size_t i = 0; i < ARRAY_LEN(senders); i++) {
		struct bed b;
		bed_start(&b);
		env.sender = span_of(senders[i]);
		make(&b, i ? QUEUE_NOTICE_FAILED : QUEUE_NOTICE_NOBODY, &env);
		CHECK_INT(0, b.added);
		log_flush(&b.log);
		CHECK(strstr(buf_cstr(&b.lines), "mfp-1") != NULL);
		bed_end(&b);
	}
}

TEST_MAIN(TEST(test_reports), TEST(test_requiretls), TEST(test_nobody))
