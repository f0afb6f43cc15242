#include "dkim/dkim_signer.h"

#include "dkim_bed.h"

static void add(struct dkim_signer *s, const char *domain, const char *selector, enum tls_key_kind kind)
{
	struct tls_private_key *key = NULL;
	struct errtext e = { "" };

	NEED(tls_private_key_make(kind, 1024, &key, &e) == 0);
	CHECK_INT(0, dkim_signer_add(s, span_of(domain), span_of(selector), &key, &e));
	CHECK_STR("", e.s);
	CHECK(key == NULL);
}

static struct dkim_signer *signer(void)
{
	struct dkim_signer *s = dkim_signer_new();

	add(s, "Relay.example.edu", "r1", TLS_KEY_RSA);
	add(s, "relay.example.edu", "e1", TLS_KEY_ED25519);
	add(s, "bio.example.edu", "b1", TLS_KEY_RSA);
	return s;
}

static struct mail_head *head_of(struct arena *a, struct span message, size_t *octets_r)
{
	struct mail_head *h = NULL;
	const int n = mail_head_parse(a, message, message.n, &h);

	NEED(n >= 0);
	*octets_r = (size_t)n;
	return h;
}

/* The message with its signatures on top. */
static void sign(const struct dkim_signer *s, struct span message, struct buf *out)
{
	struct arena *a = arena_new(4 * 1024 * 1024);
	struct dkim_body *body = dkim_body_new();
	size_t octets = 0;
	struct mail_head *h = head_of(a, message, &octets);
	const int hash = dkim_body_want(body, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT);

	dkim_body_add(body, span_skip(message, octets));
	dkim_body_end(body);
	CHECK(dkim_sign(s, h, dkim_body_hash(body, hash), BED_NOW_S, out) >= 0);
	buf_add_span(out, message);
	dkim_body_free(&body);
	arena_free(&a);
}

static void domains_are_chosen_by_the_author(void)
{
	static const struct {
		const char *from, *domain;
	} cases[] = {
		{ "From: a@relay.example.edu\r\n\r\n", "relay.example.edu" },
		{ "From: a@BIO.example.edu\r\n\r\n", "bio.example.edu" },
		{ "From: \"x\" <a@copier.lab.bio.example.edu>\r\n\r\n", "bio.example.edu" },
		{ "From: a@xbio.example.edu\r\n\r\n", "relay.example.edu" },
		{ "From: a@elsewhere.example\r\n\r\n", "relay.example.edu" },
		{ "From: a@bio.example.edu, b@elsewhere.example\r\n\r\n", "bio.example.edu" },
		{ "From: root\r\n\r\n", "relay.example.edu" },
		{ "From: \r\n\r\n", "relay.example.edu" },
		{ "From: a@[192.0.2.1]\r\n\r\n", "relay.example.edu" },
		/* The last counts: it is that which is signed. */
		{ "From: a@bio.example.edu\r\nFrom: a@elsewhere.example\r\n\r\n", "relay.example.edu" },
		{ "To: a@bio.example.edu\r\n\r\n", "" },
	};
	struct dkim_signer *s = signer();

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(100000);
		size_t octets = 0;
		CHECK_SPAN(cases[i].domain,
			   dkim_signer_domain(s, head_of(a, span_of(cases[i].from), &octets)));
		arena_free(&a);
	}
	CHECK_INT(0, dkim_signer_set_default(s, SPAN("BIO.example.edu")));
	CHECK_INT(-ERR_NOTFOUND, dkim_signer_set_default(s, SPAN("other.example")));
	struct arena *a = arena_new(100000);
	size_t octets = 0;
	CHECK_SPAN("bio.example.edu",
		   dkim_signer_domain(s, head_of(a, SPAN("From: a@elsewhere.example\r\n\r\n"), &octets)));
	arena_free(&a);
	dkim_signer_free(&s);
}

static void names_that_are_none(void)
{
	static const char *const bad[][2] = {
		{ "", "s" },           { "a.example", "" },    { "a..example", "s" },
		{ "a example", "s" },  { "a.example", "s;x" }, { ".example", "s" },
		{ "a.example.", "s" }, { "\xff", "s" }
	};
	struct dkim_signer *s = signer();
	struct tls_private_key *key = NULL;
	struct errtext e = { "" };

	NEED(tls_private_key_make(TLS_KEY_ED25519, 0, &key, &e) == 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK_INT(-ERR_INVAL, dkim_signer_add(s, span_of(bad[i][0]), span_of(bad[i][1]), &key, &e));
	CHECK_INT(-ERR_EXISTS, dkim_signer_add(s, SPAN("bio.example.edu"), SPAN("B1"), &key, &e));
	CHECK_STR("bio.example.edu has two keys with the selector b1", e.s);
	CHECK_INT(3, dkim_signer_count(s));
	tls_private_key_free(&key);
	dkim_signer_free(&s);
}

static const struct {
	struct span message;
	const char *results;
} messages[] = {
	{ SPAN_INIT("From: a@relay.example.edu\r\nTo: b@c.example\r\nSubject: x\r\n y\r\n\r\nHello.\r\n"),
	  "pass, pass" },
	{ SPAN_INIT("From: a@bio.example.edu\r\n\r\n"), "pass" },
	{ SPAN_INIT("From: a@bio.example.edu\r\n"), "pass" },
	{ SPAN_INIT("From: a@bio.example.edu\r\n\r\nx"), "pass" },
	{ SPAN_INIT("From: a@bio.example.edu\r\n\r\n\r\n\r\n \r\n"), "pass" },
	{ SPAN_INIT(
		  "from : a@bio.example.edu\r\nFROM:b@bio.example.edu\r\nX: \xff\r\n\r\n.\r\n..\r\n\xff\0\r\n"),
	  "pass" },
	{ SPAN_INIT("From: a@bio.example.edu\r\nDKIM-Signature: v=1\r\n\r\nx\r\n"),
	  "pass, neutral: no domain (d=)" },
	{ SPAN_INIT("Subject: nobody\r\n\r\nx\r\n"), "" },
};

static void what_we_sign_we_verify(void)
{
	struct dkim_signer *s = signer();

	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		struct buf out = BUF_INIT(100000);
		struct dkim_bed b;
		dkim_bed_init(&b);
		dkim_bed_publish(&b, s);
		sign(s, messages[i].message, &out);
		dkim_bed_verify(&b, buf_span(&out), 7, NULL, SECOND);
		CHECK_SPAN(messages[i].results, dkim_bed_results(&b));
		buf_free(&out);
		dkim_bed_deinit(&b);
	}
	dkim_signer_free(&s);
}

/* RFC 6376 section 8.15: whoever adds a second From or Subject breaks it. */
static void nothing_can_be_added(void)
{
	static const char *const added[] = { "From: x@evil.example\r\n", "Subject: y\r\n",
					     "To: z@c.example\r\n", "Reply-To: x@evil.example\r\n",
					     "Content-Type: text/html\r\n" };
	struct dkim_signer *s = signer();

	for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
		struct buf out = BUF_INIT(100000);
		struct dkim_bed b;
		dkim_bed_init(&b);
		dkim_bed_publish(&b, s);
		sign(s, SPAN("From: a@bio.example.edu\r\nSubject: x\r\n\r\nx\r\n"), &out);
		buf_insert(&out, 0, span_of(added[i]));
		dkim_bed_verify(&b, buf_span(&out), 100, NULL, SECOND);
		CHECK_SPAN("fail: the header is not what was signed", dkim_bed_results(&b));
		buf_free(&out);
		dkim_bed_deinit(&b);
	}
	dkim_signer_free(&s);
}

static void no_key_signs_nothing(void)
{
	struct dkim_signer *s = dkim_signer_new();
	struct buf out = BUF_INIT(1000);

	sign(s, SPAN("From: a@b.example\r\n\r\n"), &out);
	CHECK_SPAN("From: a@b.example\r\n\r\n", buf_span(&out));
	buf_free(&out);
	dkim_signer_free(&s);
}

TEST_MAIN(TEST(domains_are_chosen_by_the_author), TEST(names_that_are_none), TEST(what_we_sign_we_verify),
	  TEST(nothing_can_be_added), TEST(no_key_signs_nothing))
