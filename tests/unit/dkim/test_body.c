#include "dkim/dkim_body.h"

#include "base/base64.h"
#include "base/buf.h"
#include "test.h"

static void check_hash(const char *want, const struct dkim_body *b, int i)
{
	struct buf text = BUF_INIT(100);

	NEED(dkim_body_hash(b, i) != NULL);
	base64_encode(&text, span_make(dkim_body_hash(b, i), MAIL_DKIM_HASH_OCTETS));
	CHECK_SPAN(want, buf_span(&text));
	buf_free(&text);
}

/* RFC 6376 sections 3.4.3 and 3.4.4 name the hashes of the empty body. */
static void the_empty_body(void)
{
	struct dkim_body *b = dkim_body_new();
	const int simple = dkim_body_want(b, MAIL_DKIM_SIMPLE, MAIL_DKIM_NO_LIMIT);
	const int relaxed = dkim_body_want(b, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT);

	dkim_body_end(b);
	check_hash("frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=", b, simple);
	check_hash("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", b, relaxed);
	dkim_body_free(&b);
}

static void the_same_twice_is_one(void)
{
	struct dkim_body *b = dkim_body_new();

	CHECK_INT(0, dkim_body_want(b, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT));
	CHECK_INT(1, dkim_body_want(b, MAIL_DKIM_RELAXED, 5));
	CHECK_INT(0, dkim_body_want(b, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT));
	CHECK_INT(1, dkim_body_want(b, MAIL_DKIM_RELAXED, 5));
	for (unsigned i = 2; i < DKIM_BODY_HASHES_MAX; i++)
		CHECK_INT(i, dkim_body_want(b, MAIL_DKIM_SIMPLE, i));
	CHECK_INT(-ERR_LIMIT, dkim_body_want(b, MAIL_DKIM_SIMPLE, 100));
	dkim_body_add(b, SPAN("some"));
	dkim_body_add(b, SPAN(" body"));
	dkim_body_end(b);
	dkim_body_end(b);
	CHECK_INT(11, dkim_body_octets(b, 1));
	CHECK(dkim_body_hash(b, 1) != NULL);
	dkim_body_free(&b);
	dkim_body_free(&b);
}

TEST_MAIN(TEST(the_empty_body), TEST(the_same_twice_is_one))
