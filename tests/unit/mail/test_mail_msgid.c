#include "mail/mail_msgid.h"

#include "base/err.h"
#include "test.h"

static void ids_are_written(void)
{
	static const struct {
		const char *unique, *host, *want;
	} cases[] = {
		{ "k7m2p9qr3s4t.1732173300", "relay.example.edu",
		  "<k7m2p9qr3s4t.1732173300@relay.example.edu>" },
		{ ".a..b.", "x.org", "<-a.-b-@x.org>" },
		{ "a>\r\nBcc: b", "x@y", "<a---Bcc--b@x-y>" },
		{ "\xc3\xa4", "[192.0.2.1]", "<--@-192.0.2.1->" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT(100);
		CHECK_INT(0, mail_msgid_write(&b, span_of(cases[i].unique), span_of(cases[i].host)));
		CHECK_SPAN(cases[i].want, buf_span(&b));
		CHECK_INT(0, mail_msgid_parse(buf_span(&b), NULL));
		buf_free(&b);
	}
	struct buf b = BUF_INIT(5);
	CHECK_INT(-ERR_INVAL, mail_msgid_write(&b, SPAN(""), SPAN("x")));
	CHECK_INT(-ERR_INVAL, mail_msgid_write(&b, SPAN("x"), SPAN("")));
	CHECK_INT(0, b.n);
	CHECK_INT(-ERR_TOOBIG, mail_msgid_write(&b, SPAN("xx"), SPAN("yy")));
	buf_free(&b);
}

static void ids_are_checked(void)
{
	static const char *const good[] = {
		"<a@b>", " <a@b>\r\n", "<a.b.c$1@[192.0.2.1]>", "<\"a\"@b>", "<a@b@c>", "<a..b@c.>",
	};
	static const char *const bad[] = {
		"",        "a@b",        "<a@b",        "a@b>",    "<@b>",      "<a@>",      "<ab>",
		"<a b@c>", "<a@b><c@d>", "<a@b> <c@d>", "<<a@b>>", "<a@b> (x)", "<a\x01@b>", "<>",
	};
	struct span id = { NULL, 0 };

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		CHECK_INT(0, mail_msgid_parse(span_of(good[i]), NULL));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const int rc = mail_msgid_parse(span_of(bad[i]), &id);
		if (rc != -ERR_SYNTAX)
			printf("  \"%s\":\n", bad[i]);
		CHECK_INT(-ERR_SYNTAX, rc);
	}
	CHECK(!id.p);
	CHECK_INT(-ERR_SYNTAX, mail_msgid_parse(SPAN("<a\0@b>"), NULL));
	CHECK_INT(0, mail_msgid_parse(SPAN("\t<a@b> "), &id));
	CHECK_SPAN("<a@b>", id);
}

TEST_MAIN(TEST(ids_are_written), TEST(ids_are_checked))
