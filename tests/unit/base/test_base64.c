#include "base/base64.h"

#include "base/err.h"
#include "test.h"

/* RFC 4648 section 10 */
static const struct {
	const char *octets, *text;
} vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
};

static void published_vectors(void)
{
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct buf b = BUF_INIT(100);
		CHECK(base64_encode(&b, span_of(vectors[i].octets)));
		CHECK_SPAN(vectors[i].text, buf_span(&b));
		buf_reset(&b);
		CHECK_INT(0, base64_decode(&b, span_of(vectors[i].text)));
		CHECK_SPAN(vectors[i].octets, buf_span(&b));
		buf_free(&b);
	}
}

static void any_octets_come_back(void)
{
	char all[256];
	struct buf text = BUF_INIT(1000), back = BUF_INIT(1000);

	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)i;
	for (size_t n = 0; n <= sizeof all; n++) {
		buf_reset(&text);
		buf_reset(&back);
		CHECK(base64_encode(&text, span_make(all, n)));
		CHECK_INT(BASE64_LEN(n), text.n);
		CHECK_INT(0, base64_decode(&back, buf_span(&text)));
		CHECK(span_eq(span_make(all, n), buf_span(&back)));
	}
	buf_free(&text);
	buf_free(&back);
}

static void what_is_not_base64_is_refused(void)
{
	static const char *const bad[] = { "Z",    "Zg",         "Zg=",   "Zg===",    "Zh==",   "Zm9=",
					   "====", "Z===",       "Zm9v=", "Zg==Zg==", "Zm9v\n", "Z m9",
					   "Zm-_", "\xc3\xa9Zm", "=m9v",  "Zm=v" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct buf b = BUF_INIT(100);
		buf_add_str(&b, "kept");
		if (base64_decode(&b, span_of(bad[i])) != -ERR_SYNTAX)
			FAIL("\"%s\" was taken", bad[i]);
		CHECK_SPAN("kept", buf_span(&b));
		buf_free(&b);
	}
}

static void the_maximum_holds(void)
{
	struct buf b = BUF_INIT(4);

	CHECK(!base64_encode(&b, SPAN("abcd")));
	CHECK_INT(0, b.n);
	buf_reset(&b);
	CHECK_INT(-ERR_TOOBIG, base64_decode(&b, SPAN("Zm9vYmFy")));
	CHECK_INT(0, b.n);
	buf_free(&b);
}

TEST_MAIN(TEST(published_vectors), TEST(any_octets_come_back), TEST(what_is_not_base64_is_refused),
	  TEST(the_maximum_holds))
