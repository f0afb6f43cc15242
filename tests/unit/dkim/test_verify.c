#include "dkim/dkim_verify.h"

#include "dkim/dkim_results.h"
#include "dkim_bed.h"

/* RFC 8463 appendix A: a message with two signatures, and the keys. */
#define RFC8463_ED25519                                                                                      \
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"                                      \
	" d=football.example.com; i=@football.example.com;\r\n"                                              \
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"                                            \
	" subject : date : message-id : from : subject : date;\r\n"                                          \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"                                              \
	" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"                                    \
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
#define RFC8463_RSA                                                                                          \
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"                                          \
	" d=football.example.com; i=@football.example.com;\r\n"                                              \
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"                                      \
	" date : message-id : from : subject : date;\r\n"                                                    \
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"                                              \
	" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"                                    \
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"                                    \
	" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
#define RFC8463_HEAD(subject)                                                                                \
	"From: Joe SixPack <joe@football.example.com>\r\n"                                                   \
	"To: Suzie Q <suzie@shopping.example.net>\r\n"                                                       \
	"Subject: " subject "\r\n"                                                                           \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"                                                    \
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n"
#define RFC8463_BODY "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"

#define RSA_P                                                                                                \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"           \
	"Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2"   \
	"EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
#define ED25519_P "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define RSA_NAME  "test._domainkey.football.example.com"
#define ED_NAME   "brisbane._domainkey.football.example.com"

static const char whole[] = RFC8463_ED25519 RFC8463_RSA RFC8463_HEAD("Is dinner ready?") RFC8463_BODY;

static void with_keys(struct dkim_bed *b)
{
	dkim_bed_init(b);
	dkim_bed_key(b, ED_NAME, "v=DKIM1; k=ed25519; p=" ED25519_P);
	dkim_bed_key(b, RSA_NAME, "v=DKIM1; k=rsa; p=" RSA_P);
}

static void the_published_message(void)
{
	struct dkim_bed b;

	with_keys(&b);
	for (size_t step = 1; step < 80; step += 6) {
		dkim_bed_verify(&b, span_of(whole), step, NULL, SECOND);
		CHECK_SPAN("pass, pass", dkim_bed_results(&b));
	}
	const struct dkim_outcome *o = b.v.outcome;
	CHECK_SPAN("football.example.com", o[0].domain);
	CHECK_SPAN("brisbane", o[0].selector);
	CHECK_SPAN("@football.example.com", o[0].identity);
	CHECK_INT(MAIL_DKIM_ED25519_SHA256, o[0].algorithm);
	CHECK_STR("/gCrinpc", o[0].begin);
	CHECK_INT(1024, o[1].key_bits);
	CHECK(!o[0].partial && !o[0].testing);
	CHECK_INT(DKIM_NONE, b.v.chain.result);
	dkim_bed_deinit(&b);
}

static void what_was_changed_is_named(void)
{
	static const struct {
		const char *message, *results;
	} cases[] = {
		{ RFC8463_RSA RFC8463_HEAD("Is lunch ready?") RFC8463_BODY,
		  "fail: the header is not what was signed" },
		{ RFC8463_RSA RFC8463_HEAD("Is dinner ready?") "Hi.\r\n",
		  "fail: the body is not what was signed" },
		{ RFC8463_RSA "Subject: One more\r\n" RFC8463_HEAD("Is dinner ready?") RFC8463_BODY,
		  "fail: the header is not what was signed" },
		{ RFC8463_RSA RFC8463_HEAD(" Is\r\n\tdinner ready? ") RFC8463_BODY "\r\n\r\n", "pass" },
		{ RFC8463_HEAD("No signature") RFC8463_BODY, "" },
		{ "DKIM-Signature: v=1\r\n" RFC8463_RSA RFC8463_HEAD("Is dinner ready?") RFC8463_BODY,
		  "neutral: no domain (d=), pass" },
	};
	struct dkim_bed b;

	with_keys(&b);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		dkim_bed_verify(&b, span_of(cases[i].message), 1000, NULL, SECOND);
		CHECK_SPAN(cases[i].results, dkim_bed_results(&b));
	}
	dkim_bed_deinit(&b);
}

static void keys_decide(void)
{
	static const struct {
		const char *record;
		enum dns_result result; /* if there is no record */
		const char *results;
	} cases[] = {
		{ NULL, DNS_NXDOMAIN, "permerror: there is no key of that name" },
		{ NULL, DNS_NODATA, "permerror: there is no key of that name" },
		{ NULL, DNS_TEMPFAIL, "temperror: the key could not be learned" },
		{ "v=DKIM1; p=", DNS_OK, "permerror: the key was revoked" },
		{ "v=spf1 -all", DNS_OK, "permerror: the key record is of another version" },
		{ "v=DKIM1; k=ed25519; p=" ED25519_P, DNS_OK,
		  "permerror: the key is of another kind than the signature" },
		{ "v=DKIM1; s=other; p=" RSA_P, DNS_OK, "permerror: the key is not for mail" },
		{ "v=DKIM1; h=sha1; p=" RSA_P, DNS_OK, "permerror: the key is not for this hash" },
		{ "v=DKIM1; p=Zm9v", DNS_OK, "permerror: the key in the record cannot be read" },
		{ "v=DKIM1; t=s; p=" RSA_P, DNS_OK, "pass" },
		{ "v=DKIM1; t=y; p=" RSA_P, DNS_OK, "pass" },
		{ "v=DKIM1; p=MEgCQQDdtS0/ApzcIt5rWYfpNiPv+povvSVLYApwZ1sGktQ5ERVGpmgc7+hpsLcnt4yUI7hgNGNavkbAt2e7MVsT"
		  "aCD9AgMBAAE=",
		  DNS_OK, "policy: the key is too short or too long" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct dkim_bed b;
		dkim_bed_init(&b);
		if (cases[i].record)
			dkim_bed_key(&b, RSA_NAME, cases[i].record);
		else
			dkim_bed_result(&b, RSA_NAME, cases[i].result);
		dkim_bed_verify(&b, SPAN(RFC8463_RSA RFC8463_HEAD("Is dinner ready?") RFC8463_BODY), 1000,
				NULL, SECOND);
		CHECK_SPAN(cases[i].results, dkim_bed_results(&b));
		dkim_bed_deinit(&b);
	}
}

/* RFC 6376 section 3.6.1: who tries things out is not held to them. */
static void a_domain_that_tests_does_not_fail(void)
{
	struct dkim_bed b;

	dkim_bed_init(&b);
	dkim_bed_key(&b, RSA_NAME, "v=DKIM1; t=y; p=" RSA_P);
	dkim_bed_verify(&b, SPAN(RFC8463_RSA RFC8463_HEAD("changed") RFC8463_BODY), 1000, NULL, SECOND);
	CHECK_SPAN("neutral: the header is not what was signed", dkim_bed_results(&b));
	CHECK(b.v.outcome[0].testing);
	dkim_bed_deinit(&b);
}

static void of_several_records_the_key_counts(void)
{
	struct dkim_bed b;

	dkim_bed_init(&b);
	dkim_bed_key(&b, RSA_NAME, "something else");
	dkim_bed_key(&b, RSA_NAME, "v=DKIM1; p=" RSA_P);
	dkim_bed_verify(&b, SPAN(RFC8463_RSA RFC8463_HEAD("Is dinner ready?") RFC8463_BODY), 1000, NULL,
			SECOND);
	CHECK_SPAN("pass", dkim_bed_results(&b));
	dkim_bed_deinit(&b);
}

static void silence_ends_at_the_deadline(void)
{
	struct dkim_bed b;

	dkim_bed_init(&b);
	dkim_bed_verify(&b, span_of(whole), 1000, "* DROP\n", 50 * MS);
	CHECK_SPAN("temperror: the key could not be learned, temperror: the key could not be learned",
		   dkim_bed_results(&b));
	dkim_bed_deinit(&b);
}

static void only_so_many_are_looked_at(void)
{
	struct buf m = BUF_INIT(100000);
	struct dkim_bed b;

	with_keys(&b);
	for (int i = 0; i < 20; i++)
		buf_add_str(&m, RFC8463_RSA);
	buf_add_str(&m, RFC8463_HEAD("Is dinner ready?") RFC8463_BODY);
	dkim_bed_verify(&b, buf_span(&m), 1000, NULL, SECOND);
	CHECK_INT(DKIM_VERIFY_SIGNATURES_MAX, b.v.n);
	CHECK_INT(20 - DKIM_VERIFY_SIGNATURES_MAX, b.v.ignored);
	CHECK_INT(DKIM_PASS, b.v.outcome[DKIM_VERIFY_SIGNATURES_MAX - 1].result);
	buf_free(&m);
	dkim_bed_deinit(&b);
}

static void results_for_those_behind(void)
{
	struct dkim_bed b;
	struct buf out = BUF_INIT(10000);

	with_keys(&b);
	dkim_bed_verify(&b, SPAN(RFC8463_RSA RFC8463_HEAD("changed") RFC8463_BODY), 1000, NULL, SECOND);
	CHECK(dkim_results_write(&out, SPAN("relay.example.edu"), &b.v, true));
	CHECK_SPAN(
		"relay.example.edu; dkim=fail reason=\"the header is not what was signed\" "
		"header.d=football.example.com header.i=@football.example.com header.s=test header.a=rsa-sha256 "
		"header.b=F45dVWDf; arc=none",
		buf_span(&out));
	buf_reset(&out);
	dkim_bed_verify(&b, SPAN(RFC8463_HEAD("plain") RFC8463_BODY), 1000, NULL, SECOND);
	CHECK(dkim_results_write(&out, SPAN("relay.example.edu"), &b.v, false));
	CHECK_SPAN("relay.example.edu; dkim=none", buf_span(&out));
	buf_free(&out);
	dkim_bed_deinit(&b);
}

TEST_MAIN(TEST(the_published_message), TEST(what_was_changed_is_named), TEST(keys_decide),
	  TEST(a_domain_that_tests_does_not_fail), TEST(of_several_records_the_key_counts),
	  TEST(silence_ends_at_the_deadline), TEST(only_so_many_are_looked_at),
	  TEST(results_for_those_behind))
