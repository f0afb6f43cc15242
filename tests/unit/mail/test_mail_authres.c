#include "mail/mail_authres.h"

#include "test.h"

/* RFC 8601 appendix B has fields of these forms. */
static void fields_are_read(void)
{
	static const struct {
		const char *value;
		const char *back; /* as we write it */
	} cases[] = {
		{ " example.org 1; none", "example.org; none" },
		{ "example.org;none", "example.org; none" },
		{ "example.com; spf=pass smtp.mailfrom=example.net",
		  "example.com; spf=pass smtp.mailfrom=example.net" },
		{ "example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n spf=pass "
		  "smtp.mailfrom=example.net",
		  "example.com; auth=pass smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net" },
		{ "foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n "
		  "policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) "
		  "1362471462",
		  "foo.example.net; dkim=fail policy.expired=1362471462" },
		{ "mx.example; dkim=fail reason=\"bad \\\"signature\\\"\" header.i=@a.example header.b=\"p/q+\"",
		  "mx.example; dkim=fail reason=\"bad \\\"signature\\\"\" header.i=@a.example header.b=\"p/q+\"" },
		{ "\"quoted id\"; dkim=neutral;", "\"quoted id\"; dkim=neutral" },
		{ "mx.example; dkim=none", "mx.example; dkim=none" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(100000);
		struct buf b = BUF_INIT(1000);
		struct mail_authres x;
		CHECK_INT(0, mail_authres_parse(a, span_of(cases[i].value), &x));
		CHECK_INT(1, x.version);
		CHECK(mail_authres_write(&b, &x));
		CHECK_SPAN(cases[i].back, buf_span(&b));
		buf_free(&b);
		arena_free(&a);
	}
}

static void the_parts(void)
{
	struct arena *a = arena_new(100000);
	struct mail_authres x;

	NEED(mail_authres_parse(
		     a,
		     SPAN("mx.example 2; dkim=pass reason=fine header.d=a.example header.s=k; spf=softfail"),
		     &x) == 0);
	CHECK_SPAN("mx.example", x.id);
	CHECK_INT(2, x.version);
	CHECK_INT(2, x.n);
	CHECK_SPAN("dkim", x.v[0].method);
	CHECK_SPAN("pass", x.v[0].result);
	CHECK_SPAN("fine", x.v[0].reason);
	CHECK_INT(2, x.v[0].props_n);
	CHECK_SPAN("header", x.v[0].prop[1].type);
	CHECK_SPAN("s", x.v[0].prop[1].name);
	CHECK_SPAN("k", x.v[0].prop[1].value);
	CHECK_SPAN("softfail", x.v[1].result);
	arena_free(&a);
}

static void what_is_no_such_field(void)
{
	static const char *const bad[] = { "",
					   ";",
					   "mx.example",
					   "mx.example; dkim",
					   "mx.example; dkim=",
					   "mx.example; dkim=pass header",
					   "(open mx.example; none",
					   "mx.example; none; spf=pass",
					   "mx.example; dkim=pass header.d",
					   "\"open; none",
					   "mx.example; =pass",
					   "mx.example; dkim=pass !" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct arena *a = arena_new(100000);
		struct mail_authres x;
		if (mail_authres_parse(a, span_of(bad[i]), &x) != -ERR_SYNTAX)
			FAIL("\"%s\" was taken", bad[i]);
		arena_free(&a);
	}
}

static void forged_ones_go(void)
{
	const struct span message = SPAN("Authentication-Results: relay.example.edu; dkim=pass\r\n"
					 "Authentication-Results: other.example; dkim=pass\r\n"
					 "AUTHENTICATION-RESULTS : (x) RELAY.example.edu 1; dkim=pass\r\n"
					 "Authentication-Results: \"relay.example.edu\"; spf=pass\r\n"
					 "Authentication-Results: spf=pass smtp.mailfrom=nobody.example\r\n"
					 "Authentication-Results: dkim=pass relay.example.edu\r\n"
					 "Authentication-Results: sub.relay.example.edu; none\r\n"
					 "From: a@b.example\r\n\r\n");
	struct arena *a = arena_new(100000);
	struct buf out = BUF_INIT(10000);
	struct mail_head *h = NULL;

	NEED(mail_head_parse(a, message, 10000, &h) > 0);
	CHECK_INT(4, mail_authres_drop(h, SPAN("relay.example.edu")));
	CHECK_INT(0, mail_head_write(h, &out));
	CHECK_SPAN("Authentication-Results: other.example; dkim=pass\r\n"
		   "Authentication-Results: spf=pass smtp.mailfrom=nobody.example\r\n"
		   "Authentication-Results: sub.relay.example.edu; none\r\n"
		   "From: a@b.example\r\n\r\n",
		   buf_span(&out));
	CHECK_INT(0, mail_authres_drop(h, SPAN("relay.example.edu")));
	buf_free(&out);
	arena_free(&a);
}

static void nothing_that_is_written_opens_a_field(void)
{
	struct mail_authres_result r = { .method = SPAN("dkim"),
					 .result = SPAN("fail"),
					 .reason = SPAN("a\r\nBcc: x; \"y"),
					 .props_n = 1,
					 .prop = { { SPAN("header"), SPAN("d"),
						     SPAN("a.example; spf=pass") } } };
	struct mail_authres x = { .id = SPAN("relay; x"), .n = 1, .v = &r }, back;
	struct arena *a = arena_new(100000);
	struct buf b = BUF_INIT(1000);

	CHECK(mail_authres_write(&b, &x));
	CHECK_SPAN("\"relay; x\"; dkim=fail reason=\"a  Bcc: x; \\\"y\" header.d=\"a.example; spf=pass\"",
		   buf_span(&b));
	NEED(mail_authres_parse(a, buf_span(&b), &back) == 0);
	CHECK_INT(1, back.n);
	CHECK_SPAN("a.example; spf=pass", back.v[0].prop[0].value);
	buf_free(&b);
	arena_free(&a);
}

TEST_MAIN(TEST(fields_are_read), TEST(the_parts), TEST(what_is_no_such_field), TEST(forged_ones_go),
	  TEST(nothing_that_is_written_opens_a_field))
