#include "mail/mail_dkim_sig.h"

#include "test.h"

#define HASH "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="

static struct arena *mem;

static struct mail_field field_of(const char *name, const char *value)
{
	const struct span raw = arena_printf(mem, "%s:%s\r\n", name, value);
	const size_t n = strlen(name);

	return (struct mail_field){ .raw = raw,
				    .name = span_first(raw, n),
				    .body = span_first(span_skip(raw, n + 1), strlen(value)) };
}

static int parse(enum mail_dkim_kind kind, const char *value, struct mail_dkim_sig *sig, const char **why)
{
	/* The parsed one points into the field, which lives in the arena. */
	struct mail_field *f = arena_new_of(mem, struct mail_field);

	*f = field_of(mail_dkim_kind_name(kind), value);
	*why = "";
	return mail_dkim_sig_parse(mem, kind, f, sig, why);
}

static void all_of_a_signature(void)
{
	struct mail_dkim_sig s;
	const char *why = "";

	mem = arena_new(100000);
	CHECK_INT(
		0,
		parse(MAIL_DKIM_FIELD,
		      " v=1; a=ed25519-sha256; c=relaxed/simple;\r\n d=football.example.com;"
		      " i=joe@sub.Football.example.com; q=http/x:dns/txt; s=brisbane; t=1528637909; x=1528637910;"
		      " h=from : to :\r\n subject; l=77; z=From:x@y|To:z; bh=" HASH "; b=Zm9v\r\n YmFy",
		      &s, &why));
	CHECK_STR("", why);
	CHECK_INT(MAIL_DKIM_ED25519_SHA256, s.algorithm);
	CHECK_INT(MAIL_DKIM_RELAXED, s.head_canon);
	CHECK_INT(MAIL_DKIM_SIMPLE, s.body_canon);
	CHECK_SPAN("football.example.com", s.domain);
	CHECK_SPAN("brisbane", s.selector);
	CHECK_SPAN("joe@sub.Football.example.com", s.identity);
	CHECK_SPAN("sub.Football.example.com", s.identity_domain);
	CHECK_INT(3, s.names_n);
	CHECK_SPAN("subject", s.names[2]);
	CHECK_INT(0xda, s.body_hash[0]);
	CHECK_SPAN("foobar", s.signature);
	CHECK_INT(77, s.limit_octets);
	CHECK_INT(1528637909, s.signed_s);
	CHECK_INT(1528637910, s.expires_s);
	arena_free(&mem);
}

static void what_is_not_said_has_a_default(void)
{
	struct mail_dkim_sig s;
	const char *why = "";

	mem = arena_new(100000);
	CHECK_INT(0, parse(MAIL_DKIM_FIELD, "v=1;a=rsa-sha256;d=a.example;s=s;h=FROM;bh=" HASH ";b=Zm9v", &s,
			   &why));
	CHECK_INT(MAIL_DKIM_SIMPLE, s.head_canon);
	CHECK_INT(MAIL_DKIM_SIMPLE, s.body_canon);
	CHECK(s.limit_octets == MAIL_DKIM_NO_LIMIT);
	CHECK_INT(-1, s.signed_s);
	CHECK_INT(-1, s.expires_s);
	CHECK_SPAN("a.example", s.identity_domain);
	CHECK_INT(0, parse(MAIL_DKIM_FIELD,
			   "v=1;a=rsa-sha256;c=relaxed;d=a.example;s=s;h=FROM;bh=" HASH ";b=Zm9v", &s, &why));
	CHECK_INT(MAIL_DKIM_RELAXED, s.head_canon);
	CHECK_INT(MAIL_DKIM_SIMPLE, s.body_canon);
	arena_free(&mem);
}

#define GOOD(tags) "v=1;a=rsa-sha256;d=a.example;s=s;h=from;bh=" HASH ";b=Zm9v" tags

static void bad_ones_are_named(void)
{
	static const struct {
		const char *value;
		int err;
		const char *why;
	} cases[] = {
		{ "v=1;;", ERR_SYNTAX, "not a list of tags" },
		{ "a=rsa-sha256;d=a.example;s=s;h=from;bh=" HASH ";b=Zm9v", ERR_SYNTAX, "no version (v=)" },
		{ "v=2;a=rsa-sha256;d=a.example;s=s;h=from;bh=" HASH ";b=Zm9v", ERR_UNSUPPORTED,
		  "unknown version" },
		{ "v=1;d=a.example;s=s;h=from;bh=" HASH ";b=Zm9v", ERR_SYNTAX, "no algorithm (a=)" },
		{ "v=1;a=rsa-sha1;d=a.example;s=s;h=from;bh=" HASH ";b=Zm9v", ERR_UNSUPPORTED,
		  "rsa-sha1 is not accepted any more" },
		{ "v=1;a=rsa-md5;d=a.example;s=s;h=from;bh=" HASH ";b=Zm9v", ERR_UNSUPPORTED,
		  "unknown algorithm" },
		{ "v=1;a=rsa-sha256;s=s;h=from;bh=" HASH ";b=Zm9v", ERR_SYNTAX, "no domain (d=)" },
		{ "v=1;a=rsa-sha256;d=a..example;s=s;h=from;bh=" HASH ";b=Zm9v", ERR_SYNTAX,
		  "no domain (d=)" },
		{ "v=1;a=rsa-sha256;d=a.example;h=from;bh=" HASH ";b=Zm9v", ERR_SYNTAX, "no selector (s=)" },
		{ "v=1;a=rsa-sha256;d=a.example;s=s;bh=" HASH ";b=Zm9v", ERR_SYNTAX,
		  "no list of header fields (h=)" },
		{ "v=1;a=rsa-sha256;d=a.example;s=s;h=to:subject;bh=" HASH ";b=Zm9v", ERR_SYNTAX,
		  "From is not signed" },
		{ "v=1;a=rsa-sha256;d=a.example;s=s;h=from::to;bh=" HASH ";b=Zm9v", ERR_SYNTAX,
		  "an empty name in h=" },
		{ "v=1;a=rsa-sha256;d=a.example;s=s;h=from:t o;bh=" HASH ";b=Zm9v", ERR_SYNTAX,
		  "a bad name in h=" },
		{ "v=1;a=rsa-sha256;d=a.example;s=s;h=from;b=Zm9v", ERR_SYNTAX, "no hash of the body (bh=)" },
		{ "v=1;a=rsa-sha256;d=a.example;s=s;h=from;bh=Zm9v;b=Zm9v", ERR_SYNTAX,
		  "no hash of the body (bh=)" },
		{ "v=1;a=rsa-sha256;d=a.example;s=s;h=from;bh=" HASH, ERR_SYNTAX, "no signature (b=)" },
		{ "v=1;a=rsa-sha256;d=a.example;s=s;h=from;bh=" HASH ";b=!", ERR_SYNTAX,
		  "no signature (b=)" },
		{ GOOD(";c=x"), ERR_UNSUPPORTED, "unknown canonicalization" },
		{ GOOD(";c=simple/x"), ERR_UNSUPPORTED, "unknown canonicalization" },
		{ GOOD(";q=http/x"), ERR_UNSUPPORTED, "unknown way to the key (q=)" },
		{ GOOD(";i=@other.example"), ERR_SYNTAX, "i= is not within d=" },
		{ GOOD(";i=@xa.example"), ERR_SYNTAX, "i= is not within d=" },
		{ GOOD(";i=nobody"), ERR_SYNTAX, "i= is not an address" },
		{ GOOD(";t=5;x=5"), ERR_SYNTAX, "it expires before it was made" },
		{ GOOD(";t=now"), ERR_SYNTAX, "a time that is no number" },
		{ GOOD(";l=-1"), ERR_SYNTAX, "l= is no number" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct mail_dkim_sig s;
		const char *why = "";
		mem = arena_new(100000);
		CHECK_INT(-cases[i].err, parse(MAIL_DKIM_FIELD, cases[i].value, &s, &why));
		CHECK_STR(cases[i].why, why);
		arena_free(&mem);
	}
}

static void a_report_can_name_the_domain_of_a_bad_one(void)
{
	struct mail_dkim_sig s;
	const char *why = "";

	mem = arena_new(100000);
	CHECK_INT(-ERR_UNSUPPORTED, parse(MAIL_DKIM_FIELD, "v=1;a=rsa-sha1;d=a.example;s=s", &s, &why));
	CHECK_SPAN("a.example", s.domain);
	CHECK_INT(MAIL_DKIM_RSA_SHA1, s.algorithm);
	arena_free(&mem);
}

static void fields_are_taken_from_the_bottom(void)
{
	const struct span message =
		SPAN("X: 1\r\nFrom: a@b.example\r\nX: 2\r\nTo: c@d.example\r\nx: 3\r\n\r\n");
	const struct mail_field none = { .raw = SPAN("DKIM-Signature: b=\r\n") };
	struct span names[] = { SPAN("x"), SPAN("From"), SPAN("X"),   SPAN("Cc"),
				SPAN("X"), SPAN("X"),    SPAN("from") };
	struct mail_dkim_sig s = { .head_canon = MAIL_DKIM_SIMPLE, .names = names, .names_n = 7 };
	struct buf out = BUF_INIT(1000);
	struct mail_head *h = NULL;

	mem = arena_new(100000);
	NEED(mail_head_parse(mem, message, 1000, &h) > 0);
	CHECK(mail_dkim_sig_cover(&out, h, &s, &none));
	CHECK_SPAN("x: 3\r\nFrom: a@b.example\r\nX: 2\r\nX: 1\r\nDKIM-Signature: b=", buf_span(&out));
	buf_free(&out);
	arena_free(&mem);
}

/* RFC 6376 section 3.5: the field that is verified is not in its own h=. */
static void a_signature_does_not_sign_itself_by_name(void)
{
	const struct span message =
		SPAN("DKIM-Signature: x=1\r\nDKIM-Signature: x=2; b=Zm9v\r\nFrom: a@b.example\r\n\r\n");
	struct span names[] = { SPAN("dkim-signature"), SPAN("dkim-signature") };
	struct mail_dkim_sig s = { .head_canon = MAIL_DKIM_RELAXED, .names = names, .names_n = 2 };
	struct buf out = BUF_INIT(1000);
	struct mail_head *h = NULL;

	mem = arena_new(100000);
	NEED(mail_head_parse(mem, message, 1000, &h) > 0);
	CHECK(mail_dkim_sig_cover(&out, h, &s, mail_head_find(h, SPAN("DKIM-Signature"), 1)));
	CHECK_SPAN("dkim-signature:x=1\r\ndkim-signature:x=2; b=", buf_span(&out));
	buf_free(&out);
	arena_free(&mem);
}

static void what_we_sign(void)
{
	const struct span message = SPAN(
		"Received: x\r\nReturn-Path: <>\r\nFrom: a@b.example\r\nTo: x\r\nTo: y\r\nX-Mine: 1\r\nMIME-Version: "
		"1.0\r\n\r\n");
	struct span names[MAIL_DKIM_NAMES_MAX];
	struct buf out = BUF_INIT(10000);
	struct mail_head *h = NULL;

	mem = arena_new(100000);
	NEED(mail_head_parse(mem, message, 1000, &h) > 0);
	const size_t n = mail_dkim_names_wanted(h, names);
	for (size_t i = 0; i < n; i++) {
		buf_add_char(&out, ':');
		buf_add_span(&out, names[i]);
	}
	CHECK_SPAN(":From:From:Reply-To:To:To:To:Cc:Subject:Date:Message-ID:MIME-Version:Content-Type",
		   buf_span(&out));
	buf_free(&out);
	arena_free(&mem);
}

static void a_hostile_head_is_signed_all_the_same(void)
{
	struct buf message = BUF_INIT(100000);
	struct span names[MAIL_DKIM_NAMES_MAX];
	struct mail_head *h = NULL;

	mem = arena_new(1000000);
	buf_add_str(&message, "From: a@b.example\r\n");
	for (int i = 0; i < 1000; i++)
		buf_add_str(&message, "To: x\r\n");
	buf_add_str(&message, "\r\n");
	NEED(mail_head_parse(mem, buf_span(&message), message.n, &h) > 0);
	CHECK_INT(MAIL_DKIM_NAMES_MAX, mail_dkim_names_wanted(h, names));
	CHECK_SPAN("From", names[1]);
	buf_free(&message);
	arena_free(&mem);
}

static void what_is_written_can_be_read(void)
{
	struct span names[] = { SPAN("From"), SPAN("From"), SPAN("Content-Transfer-Encoding"),
				SPAN("List-Unsubscribe-Post"), SPAN("Subject") };
	struct mail_dkim_sig s = { .kind = MAIL_DKIM_FIELD,
				   .algorithm = MAIL_DKIM_RSA_SHA256,
				   .head_canon = MAIL_DKIM_RELAXED,
				   .body_canon = MAIL_DKIM_RELAXED,
				   .domain = SPAN("relay.example.edu"),
				   .selector = SPAN("s2026"),
				   .names = names,
				   .names_n = 5,
				   .signed_s = 1700000000,
				   .expires_s = -1 };
	struct buf out = BUF_INIT(10000);
	struct mail_dkim_sig back;
	struct mail_head *h = NULL;
	const char *why = "";

	mem = arena_new(100000);
	memset(s.body_hash, 0x5a, sizeof s.body_hash);
	CHECK_INT(0, mail_dkim_sig_write(&out, &s));
	CHECK(span_ends(buf_span(&out), SPAN(" b=")) || span_ends(buf_span(&out), SPAN("\tb=")));
	char signature[256];
	memset(signature, 7, sizeof signature);
	CHECK(mail_dkim_sig_finish(&out, span_make(signature, sizeof signature)));
	NEED(mail_head_parse(mem, buf_span(&out), out.n, &h) == (int)out.n);
	CHECK_INT(1, h->count);
	CHECK_INT(0, h->oddities);
	for (struct span rest = buf_span(&out); rest.n;)
		CHECK(span_cut(&rest, '\n').n <= 79);
	CHECK_INT(0, mail_dkim_sig_parse(mem, MAIL_DKIM_FIELD, mail_head_next(h, NULL), &back, &why));
	CHECK_STR("", why);
	CHECK_SPAN("relay.example.edu", back.domain);
	CHECK_INT(1700000000, back.signed_s);
	CHECK_INT(5, back.names_n);
	CHECK_SPAN("List-Unsubscribe-Post", back.names[3]);
	CHECK_INT(0, memcmp(back.body_hash, s.body_hash, sizeof s.body_hash));
	CHECK_INT(256, back.signature.n);
	/* A domain that would end the tag makes no field. */
	buf_reset(&out);
	s.domain = SPAN("a;b");
	CHECK_INT(-ERR_INVAL, mail_dkim_sig_write(&out, &s));
	s.domain = SPAN("a\r\nb");
	CHECK_INT(-ERR_INVAL, mail_dkim_sig_write(&out, &s));
	CHECK_INT(0, out.n);
	buf_free(&out);
	arena_free(&mem);
}

static void domains_within(void)
{
	CHECK(mail_dkim_domain_within(SPAN("a.example"), SPAN("A.example")));
	CHECK(mail_dkim_domain_within(SPAN("x.a.example"), SPAN("a.example")));
	CHECK(!mail_dkim_domain_within(SPAN("xa.example"), SPAN("a.example")));
	CHECK(!mail_dkim_domain_within(SPAN("example"), SPAN("a.example")));
	CHECK(!mail_dkim_domain_within(SPAN("a.example"), SPAN("")));
}

TEST_MAIN(TEST(all_of_a_signature), TEST(what_is_not_said_has_a_default), TEST(bad_ones_are_named),
	  TEST(a_report_can_name_the_domain_of_a_bad_one), TEST(fields_are_taken_from_the_bottom),
	  TEST(a_signature_does_not_sign_itself_by_name), TEST(what_we_sign),
	  TEST(a_hostile_head_is_signed_all_the_same), TEST(what_is_written_can_be_read),
	  TEST(domains_within))
