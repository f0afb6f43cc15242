#include "mail/mail_dkim_key.h"

#include "test.h"

static int parse(struct arena *a, const char *text, struct mail_dkim_key *key, const char **why)
{
	*why = "";
	return mail_dkim_key_parse(a, span_of(text), key, why);
}

static void records(void)
{
	static const struct {
		const char *text;
		int err;
		const char *octets;
		enum mail_dkim_key_kind kind;
		bool revoked, testing, strict, no_sha256, not_for_mail;
	} cases[] = {
		{ "v=DKIM1; k=rsa; p=Zm9v", 0, "foo", MAIL_DKIM_KEY_RSA, 0, 0, 0, 0, 0 },
		{ "p=Zm9v", 0, "foo", MAIL_DKIM_KEY_RSA, 0, 0, 0, 0, 0 },
		{ "v=DKIM1;k=ed25519;p=Zm 9v;", 0, "foo", MAIL_DKIM_KEY_ED25519, 0, 0, 0, 0, 0 },
		{ "v=DKIM1; p=", 0, "", MAIL_DKIM_KEY_RSA, 1, 0, 0, 0, 0 },
		{ "v=DKIM1; t=y:s; p=Zm9v", 0, "foo", MAIL_DKIM_KEY_RSA, 0, 1, 1, 0, 0 },
		{ "v=DKIM1; t=x : y; p=Zm9v", 0, "foo", MAIL_DKIM_KEY_RSA, 0, 1, 0, 0, 0 },
		{ "v=DKIM1; h=sha1; p=Zm9v", 0, "foo", MAIL_DKIM_KEY_RSA, 0, 0, 0, 1, 0 },
		{ "v=DKIM1; h=sha1:sha256; p=Zm9v", 0, "foo", MAIL_DKIM_KEY_RSA, 0, 0, 0, 0, 0 },
		{ "v=DKIM1; s=tlsrpt; p=Zm9v", 0, "foo", MAIL_DKIM_KEY_RSA, 0, 0, 0, 0, 1 },
		{ "v=DKIM1; s=tlsrpt:email; p=Zm9v", 0, "foo", MAIL_DKIM_KEY_RSA, 0, 0, 0, 0, 0 },
		{ "v=DKIM1; s=*; n=a note; g=*; p=Zm9v", 0, "foo", MAIL_DKIM_KEY_RSA, 0, 0, 0, 0, 0 },
		{ "k=rsa; v=DKIM1; p=Zm9v", ERR_SYNTAX, "", 0, 0, 0, 0, 0, 0 },
		{ "v=DKIM2; p=Zm9v", ERR_SYNTAX, "", 0, 0, 0, 0, 0, 0 },
		{ "v=DKIM1; k=rsa", ERR_SYNTAX, "", 0, 0, 0, 0, 0, 0 },
		{ "v=DKIM1; k=dsa; p=Zm9v", ERR_UNSUPPORTED, "", 0, 0, 0, 0, 0, 0 },
		{ "v=DKIM1; p=Zm9", ERR_SYNTAX, "", 0, 0, 0, 0, 0, 0 },
		{ "v=spf1 -all", ERR_SYNTAX, "", 0, 0, 0, 0, 0, 0 },
		{ "", ERR_SYNTAX, "", 0, 0, 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(10000);
		struct mail_dkim_key k = { .kind = MAIL_DKIM_KEY_RSA };
		const char *why = "";
		const int got = parse(a, cases[i].text, &k, &why);
		if (got != -cases[i].err || (got < 0) != (why[0] != '\0'))
			FAIL("%s: %d \"%s\"", cases[i].text, got, why);
		if (got == 0) {
			CHECK_SPAN(cases[i].octets, k.octets);
			CHECK_INT(cases[i].kind, k.kind);
			CHECK_INT(cases[i].revoked, k.revoked);
			CHECK_INT(cases[i].testing, k.testing);
			CHECK_INT(cases[i].strict, k.strict);
			CHECK_INT(cases[i].no_sha256, k.no_sha256);
			CHECK_INT(cases[i].not_for_mail, k.not_for_mail);
		}
		arena_free(&a);
	}
}

static void a_key_may_not_be_for_this(void)
{
	const struct mail_dkim_sig rsa = { .algorithm = MAIL_DKIM_RSA_SHA256,
					   .domain = SPAN("a.example"),
					   .identity_domain = SPAN("x.a.example") };
	struct mail_dkim_key k = { .kind = MAIL_DKIM_KEY_RSA };

	CHECK(mail_dkim_key_refuses(&k, &rsa) == NULL);
	k.strict = true;
	CHECK_STR("the key is not for subdomains", mail_dkim_key_refuses(&k, &rsa));
	k.kind = MAIL_DKIM_KEY_ED25519;
	CHECK_STR("the key is of another kind than the signature", mail_dkim_key_refuses(&k, &rsa));
	k.revoked = true;
	CHECK_STR("the key was revoked", mail_dkim_key_refuses(&k, &rsa));
	k.no_sha256 = true;
	CHECK_STR("the key is not for this hash", mail_dkim_key_refuses(&k, &rsa));
	k.not_for_mail = true;
	CHECK_STR("the key is not for mail", mail_dkim_key_refuses(&k, &rsa));
}

static void a_record_is_written(void)
{
	struct buf b = BUF_INIT(2000), zone = BUF_INIT(2000);
	char octets[300];

	memset(octets, 0x41, sizeof octets);
	CHECK(mail_dkim_key_write(&b, MAIL_DKIM_KEY_ED25519, SPAN("foo")));
	CHECK_SPAN("v=DKIM1; k=ed25519; p=Zm9v", buf_span(&b));
	buf_reset(&b);
	CHECK(mail_dkim_key_write(&b, MAIL_DKIM_KEY_RSA, span_make(octets, sizeof octets)));
	CHECK(mail_dkim_key_zone_text(&zone, buf_span(&b)));
	/* Two strings, the first of 255 octets. */
	CHECK_INT('"', zone.p[256]);
	CHECK_INT(b.n + 5, zone.n);
	buf_reset(&zone);
	CHECK(mail_dkim_key_zone_text(&zone, SPAN("a\"b\\")));
	CHECK_SPAN("\"a\\\"b\\\\\"", buf_span(&zone));
	buf_free(&b);
	buf_free(&zone);
}

static void where_the_key_is(void)
{
	struct buf b = BUF_INIT(600);

	CHECK_INT(0, mail_dkim_key_name(&b, SPAN("s1"),
					SPAN("b\xc3\xbc"
					     "cher.example")));
	CHECK_SPAN("s1._domainkey.xn--bcher-kva.example", buf_span(&b));
	CHECK_INT(-ERR_INVAL, mail_dkim_key_name(&b, SPAN("s1"), SPAN("\xff.example")));
	CHECK_SPAN("s1._domainkey.xn--bcher-kva.example", buf_span(&b));
	buf_free(&b);
}

TEST_MAIN(TEST(records), TEST(a_key_may_not_be_for_this), TEST(a_record_is_written), TEST(where_the_key_is))
