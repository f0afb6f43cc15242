#include "dkim_bed.h"

static struct dkim_signer *signer(const char *domain, const char *selector)
{
	struct dkim_signer *s = dkim_signer_new();
	struct tls_private_key *key = NULL;
	struct errtext e = { "" };

	NEED(tls_private_key_make(TLS_KEY_RSA, 1024, &key, &e) == 0);
	NEED(dkim_signer_add(s, span_of(domain), span_of(selector), &key, &e) == 0);
	return s;
}

/* One relay more: verifies, and seals on top. Returns what dkim_seal() did. */
static int pass_on(struct dkim_bed *b, const struct dkim_signer *s, struct buf *message)
{
	struct arena *a = arena_new(4 * 1024 * 1024);
	struct dkim_body *body = dkim_body_new();
	struct buf set = BUF_INIT(100000);
	struct mail_head *h = NULL;
	struct mail_arc arc;

	dkim_bed_verify(b, buf_span(message), 100, NULL, SECOND);
	const int octets = mail_head_parse(a, buf_span(message), message->n, &h);
	NEED(octets > 0 && mail_arc_parse(a, h, &arc) == 0);
	const int hash = dkim_body_want(body, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT);
	dkim_body_add(body, span_skip(buf_span(message), (size_t)octets));
	dkim_body_end(body);
	const bool passed = b->v.chain.result == DKIM_PASS || b->v.chain.result == DKIM_NONE;
	const int rc = dkim_seal(s, h, &arc, passed, SPAN("mx.example; none"), dkim_body_hash(body, hash),
				 BED_NOW_S, &set);
	buf_insert(message, 0, buf_span(&set));
	buf_free(&set);
	dkim_body_free(&body);
	arena_free(&a);
	return rc;
}

static void check_chain(struct dkim_bed *b, const struct buf *message, enum dkim_result result,
			const char *why, size_t sets)
{
	dkim_bed_verify(b, buf_span(message), 100, NULL, SECOND);
	CHECK_STR(dkim_result_name(result), dkim_result_name(b->v.chain.result));
	CHECK_STR(why, b->v.chain.why);
	CHECK_INT(sets, b->v.sets);
}

struct bed {
	struct dkim_bed d;
	struct dkim_signer *one, *two;
	struct buf message;
};

static void bed_init(struct bed *b)
{
	dkim_bed_init(&b->d);
	b->one = signer("one.example", "s1");
	b->two = signer("two.example", "s2");
	dkim_bed_publish(&b->d, b->one);
	dkim_bed_publish(&b->d, b->two);
	b->message = BUF_INIT(1000000);
	buf_add_str(&b->message, "From: a@b.example\r\nSubject: x\r\n\r\nHello.\r\n");
}

static void bed_deinit(struct bed *b)
{
	buf_free(&b->message);
	dkim_signer_free(&b->one);
	dkim_signer_free(&b->two);
	dkim_bed_deinit(&b->d);
}

static void a_chain_grows(void)
{
	struct bed b;

	bed_init(&b);
	check_chain(&b.d, &b.message, DKIM_NONE, "", 0);
	for (size_t i = 0; i < 50; i++) {
		CHECK_INT(1, pass_on(&b.d, i % 2 ? b.two : b.one, &b.message));
		if (i < 4 || i > 47)
			check_chain(&b.d, &b.message, DKIM_PASS, "", i + 1);
	}
	CHECK_SPAN("two.example", b.d.v.chain.domain);
	/* RFC 8617 section 4.2.1: there is no 51st. */
	CHECK_INT(0, pass_on(&b.d, b.one, &b.message));
	bed_deinit(&b);
}

static void what_breaks_it(void)
{
	static const struct {
		const char *find, *put, *why;
	} cases[] = {
		{ "Hello", "Jello", "the body is not what was signed" },
		{ "Subject: x", "Subject: y", "the header is not what was signed" },
		{ "i=1; mx.example", "i=1; xm.example", "the header is not what was signed" },
		{ "cv=pass", "cv=none", "cv= does not fit the place in the chain" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bed b;
		bed_init(&b);
		pass_on(&b.d, b.one, &b.message);
		pass_on(&b.d, b.two, &b.message);
		const ptrdiff_t at = span_find(buf_span(&b.message), span_of(cases[i].find));
		NEED(at >= 0);
		memcpy(b.message.p + at, cases[i].put, strlen(cases[i].put));
		check_chain(&b.d, &b.message, DKIM_FAIL, cases[i].why, 2);
		/* The next one says so, and that is the end of it (RFC 8617 section 5.1.2). */
		CHECK_INT(1, pass_on(&b.d, b.one, &b.message));
		CHECK(span_find(buf_span(&b.message), SPAN("cv=fail")) >= 0);
		check_chain(&b.d, &b.message, DKIM_FAIL,
			    i == 3 ? "cv= does not fit the place in the chain"
				   : "the chain had failed before it came here",
			    3);
		CHECK_INT(0, pass_on(&b.d, b.two, &b.message));
		bed_deinit(&b);
	}
}

/* A body that was changed behind the first seal, by somebody who sealed again, passes: the newest signature is about it. */
static void who_changes_it_seals_it(void)
{
	struct bed b;

	bed_init(&b);
	pass_on(&b.d, b.one, &b.message);
	dkim_bed_verify(&b.d, buf_span(&b.message), 100, NULL, SECOND);
	CHECK_INT(DKIM_PASS, b.d.v.chain.result);
	buf_add_str(&b.message, "-- \r\nA list.\r\n");
	struct arena *a = arena_new(4 * 1024 * 1024);
	struct dkim_body *body = dkim_body_new();
	struct buf set = BUF_INIT(100000);
	struct mail_head *h = NULL;
	struct mail_arc arc;
	const int octets = mail_head_parse(a, buf_span(&b.message), b.message.n, &h);
	NEED(octets > 0 && mail_arc_parse(a, h, &arc) == 0);
	const int hash = dkim_body_want(body, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT);
	dkim_body_add(body, span_skip(buf_span(&b.message), (size_t)octets));
	dkim_body_end(body);
	CHECK_INT(1, dkim_seal(b.two, h, &arc, true, SPAN("list.example; arc=pass"),
			       dkim_body_hash(body, hash), BED_NOW_S, &set));
	buf_insert(&b.message, 0, buf_span(&set));
	check_chain(&b.d, &b.message, DKIM_PASS, "", 2);
	buf_free(&set);
	dkim_body_free(&body);
	arena_free(&a);
	bed_deinit(&b);
}

static void without_a_key_it_is_not_known(void)
{
	struct bed b;

	bed_init(&b);
	pass_on(&b.d, b.one, &b.message);
	struct dkim_bed other;
	dkim_bed_init(&other);
	dkim_bed_result(&other, "s1._domainkey.one.example", DNS_TEMPFAIL);
	check_chain(&other, &b.message, DKIM_TEMPERROR, "the key could not be learned", 1);
	dkim_bed_deinit(&other);
	bed_deinit(&b);
}

TEST_MAIN(TEST(a_chain_grows), TEST(what_breaks_it), TEST(who_changes_it_seals_it),
	  TEST(without_a_key_it_is_not_known))
