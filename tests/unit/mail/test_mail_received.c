#include "mail/mail_received.h"

#include "base/err.h"
#include "base/mem.h"
#include "test.h"

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr = { 0 };

	NEED(ip_parse(span_of(text), &addr));
	return addr;
}

/* A message from a copier; the tests change what they are about. */
static struct mail_received copier(void)
{
	return (struct mail_received){
		.helo = SPAN("copier4"),
		.ptr_name = SPAN("copier4.example.edu"),
		.ip = ip("192.0.2.7"),
		.host = SPAN("relay.example.edu"),
		.how = MAIL_RECEIVED_ESMTP,
		.id = SPAN("k7m2p9qr3s4t"),
		.rcpt_count = 1,
		.rcpt_local = SPAN("office"),
		.rcpt_domain = SPAN("example.edu"),
		.unix_s = 1732173300,
		.zone_min = -360,
	};
}

static void check(const char *want, const struct mail_received *r)
{
	struct buf b = BUF_INIT(4000);

	CHECK_INT(0, mail_received_write(&b, r));
	CHECK_SPAN(want, buf_span(&b));
	buf_free(&b);
}

static void the_field_is_written(void)
{
	struct mail_received r = copier();

	check("Received: from copier4 (copier4.example.edu [192.0.2.7])\r\n"
	      "\tby relay.example.edu (Postern) with ESMTP id k7m2p9qr3s4t\r\n"
	      "\tfor <office@example.edu>; Thu, 21 Nov 2024 01:15:00 -0600\r\n",
	      &r);
	r.rcpt_count = 2;
	r.ptr_name = SPAN("");
	r.ip = ip("2001:db8::7");
	r.how = 0;
	check("Received: from copier4 (unknown [IPv6:2001:db8::7])\r\n"
	      "\tby relay.example.edu (Postern) with SMTP id k7m2p9qr3s4t;\r\n"
	      "\tThu, 21 Nov 2024 01:15:00 -0600\r\n",
	      &r);
	r = copier();
	r.how |= MAIL_RECEIVED_TLS | MAIL_RECEIVED_AUTH;
	r.notes[0] = SPAN("using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)");
	r.notes[1] = SPAN("No client certificate requested");
	r.notes[3] = SPAN("Authenticated sender: cp-4711");
	check("Received: from copier4 (copier4.example.edu [192.0.2.7])\r\n"
	      "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n"
	      "\t(No client certificate requested)\r\n"
	      "\t(Authenticated sender: cp-4711)\r\n"
	      "\tby relay.example.edu (Postern) with ESMTPSA id k7m2p9qr3s4t\r\n"
	      "\tfor <office@example.edu>; Thu, 21 Nov 2024 01:15:00 -0600\r\n",
	      &r);
}

static void little_is_known(void)
{
	const struct mail_received r = { .host = SPAN("relay") };
	struct buf b = BUF_INIT(100);

	check("Received: from unknown\r\n\tby relay (Postern) with SMTP; Thu, 1 Jan 1970 00:00:00 +0000\r\n",
	      &r);
	CHECK_INT(-ERR_INVAL, mail_received_write(&b, &(struct mail_received){ .helo = SPAN("x") }));
	CHECK_INT(0, b.n);
	const struct mail_received full = copier();
	CHECK_INT(-ERR_TOOBIG, mail_received_write(&b, &full));
	buf_free(&b);
}

static void keywords(void)
{
	static const struct {
		unsigned how;
		const char *want;
	} cases[] = {
		{ 0, "SMTP" },
		{ MAIL_RECEIVED_TLS, "SMTP" },
		{ MAIL_RECEIVED_ESMTP, "ESMTP" },
		{ MAIL_RECEIVED_ESMTP | MAIL_RECEIVED_TLS, "ESMTPS" },
		{ MAIL_RECEIVED_ESMTP | MAIL_RECEIVED_AUTH, "ESMTPA" },
		{ MAIL_RECEIVED_ESMTP | MAIL_RECEIVED_TLS | MAIL_RECEIVED_AUTH, "ESMTPSA" },
		{ MAIL_RECEIVED_LMTP, "LMTP" },
		{ MAIL_RECEIVED_LMTP | MAIL_RECEIVED_TLS, "LMTPS" },
		{ MAIL_RECEIVED_LMTP | MAIL_RECEIVED_AUTH, "LMTPA" },
		{ MAIL_RECEIVED_LMTP | MAIL_RECEIVED_TLS | MAIL_RECEIVED_AUTH, "LMTPSA" },
		{ MAIL_RECEIVED_ESMTP | MAIL_RECEIVED_UTF8, "UTF8SMTP" },
		{ MAIL_RECEIVED_ESMTP | MAIL_RECEIVED_UTF8 | MAIL_RECEIVED_TLS, "UTF8SMTPS" },
		{ MAIL_RECEIVED_ESMTP | MAIL_RECEIVED_UTF8 | MAIL_RECEIVED_AUTH, "UTF8SMTPA" },
		{ MAIL_RECEIVED_ESMTP | MAIL_RECEIVED_UTF8 | MAIL_RECEIVED_TLS | MAIL_RECEIVED_AUTH,
		  "UTF8SMTPSA" },
		{ MAIL_RECEIVED_LMTP | MAIL_RECEIVED_UTF8 | MAIL_RECEIVED_TLS, "UTF8LMTPS" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CHECK_STR(cases[i].want, mail_received_keyword(cases[i].how));
}

static void peers_cannot_inject(void)
{
	struct mail_received r = copier();

	r.helo = SPAN("x\r\nBcc: victim@example.org");
	r.ptr_name = SPAN("a) by relay.example.edu (Postern");
	r.notes[0] = SPAN("cipher \t \t )\r\n\r\nbody ( \\");
	r.id = SPAN("i;d\n");
	r.rcpt_local = SPAN("a\r\nTo: b");
	check("Received: from x??Bcc:?victim?example.org\r\n"
	      "\t(a??by?relay.example.edu??Postern [192.0.2.7])\r\n"
	      "\t(cipher ? body ? ?)\r\n"
	      "\tby relay.example.edu (Postern) with ESMTP id i?d?\r\n"
	      "\tfor <\"a??To: b\"@example.edu>; Thu, 21 Nov 2024 01:15:00 -0600\r\n",
	      &r);
	r = copier();
	r.helo = SPAN("\0\xff");
	r.rcpt_count = 0;
	check("Received: from ?? (copier4.example.edu [192.0.2.7])\r\n"
	      "\tby relay.example.edu (Postern) with ESMTP id k7m2p9qr3s4t;\r\n"
	      "\tThu, 21 Nov 2024 01:15:00 -0600\r\n",
	      &r);
}

static void utf8_needs_smtputf8(void)
{
	struct mail_received r = copier();

	r.helo = SPAN("b\xc3\xbc"
		      "ro");
	r.rcpt_local = SPAN("j\xc3\xbcrgen");
	check("Received: from b??ro (copier4.example.edu [192.0.2.7])\r\n"
	      "\tby relay.example.edu (Postern) with ESMTP id k7m2p9qr3s4t;\r\n"
	      "\tThu, 21 Nov 2024 01:15:00 -0600\r\n",
	      &r);
	r.how |= MAIL_RECEIVED_UTF8;
	check("Received: from b\xc3\xbc"
	      "ro (copier4.example.edu [192.0.2.7])\r\n"
	      "\tby relay.example.edu (Postern) with UTF8SMTP id k7m2p9qr3s4t\r\n"
	      "\tfor <j\xc3\xbcrgen@example.edu>; Thu, 21 Nov 2024 01:15:00 -0600\r\n",
	      &r);
}

static void huge_strings_are_cut(void)
{
	const size_t n = 1024 * 1024;
	char *huge = mem_alloc_raw(n);
	struct mail_received r = copier();
	struct buf b = BUF_INIT(4000);

	memset(huge, 'h', n);
	r.helo = r.ptr_name = r.host = r.id = r.rcpt_local = r.rcpt_domain = span_make(huge, n);
	for (size_t i = 0; i < MAIL_RECEIVED_NOTES_MAX; i++)
		r.notes[i] = r.helo;
	CHECK_INT(0, mail_received_write(&b, &r));
	struct arena *a = arena_new(10000);
	struct mail_head *h = NULL;
	CHECK_INT(b.n, mail_head_parse(a, buf_span(&b), 4000, &h));
	NEED(h);
	CHECK_INT(1, h->count);
	CHECK_INT(0, h->oddities);
	arena_free(&a);
	buf_free(&b);
	free(huge);
}

static void hops_are_counted(void)
{
	struct arena *a = arena_new(10000);
	struct mail_head *h = mail_head_new(a);
	struct mail_received r = copier();

	for (int i = 0; i < 3; i++) {
		struct buf b = BUF_INIT(1000);
		r.host = i == 1 ? SPAN("other.example.edu") : SPAN("Relay.Example.EDU");
		CHECK_INT(0, mail_received_write(&b, &r));
		CHECK_INT(0, mail_head_prepend_raw(h, arena_dup(a, buf_span(&b))));
		buf_free(&b);
	}
	static const char *const foreign[] = {
		"from by relay.example.edu (Other) with SMTP",
		"from x (by relay.example.edu (Postern)) by y (Postern)",
		"from relay.example.edu (Postern) by y",
		"by",
		"by relay.example.edu",
		"",
		"((((",
		"from x by relay.example.edu\t(Postern); date",
	};
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		CHECK_INT(0, mail_head_append(h, SPAN("Received"), span_of(foreign[i]), 0));
	CHECK_INT(0, mail_head_append(h, SPAN("X-Received"), SPAN("by relay.example.edu (Postern)"), 0));
	CHECK_INT(11, mail_received_count(h));
	CHECK_INT(3, mail_received_count_own(h, SPAN("relay.example.edu")));
	CHECK_INT(1, mail_received_count_own(h, SPAN("other.example.edu")));
	CHECK_INT(0, mail_received_count_own(h, SPAN("none.example.edu")));
	arena_free(&a);
}

static void delivered_to_and_return_path(void)
{
	struct arena *a = arena_new(10000);
	struct mail_head *h = NULL;

	NEED(mail_head_parse(
		     a,
		     SPAN("Return-Path: <>\r\nDelivered-To: A@Example.edu\r\nDelivered-To: \"x y\"@b\r\n"
			  "Delivered-To: a@b, c@d\r\nReturn-path: <x@y>\r\n\r\n"),
		     10000, &h) > 0);
	CHECK(mail_received_delivered_to(h, SPAN("a"), SPAN("example.edu")));
	CHECK(mail_received_delivered_to(h, SPAN("x y"), SPAN("b")));
	CHECK(!mail_received_delivered_to(h, SPAN("b"), SPAN("example.edu")));
	CHECK(!mail_received_delivered_to(h, SPAN("c"), SPAN("d")));
	CHECK_INT(2, mail_received_drop_return_path(h));
	CHECK_INT(3, h->count);
	arena_free(&a);
}

TEST_MAIN(TEST(the_field_is_written), TEST(little_is_known), TEST(keywords), TEST(peers_cannot_inject),
	  TEST(utf8_needs_smtputf8), TEST(huge_strings_are_cut), TEST(hops_are_counted),
	  TEST(delivered_to_and_return_path))
