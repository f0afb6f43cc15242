#include "smtp/smtp_xtext.h"

#include "base/err.h"
#include "test.h"

static void xtext_both_ways(void)
{
	static const struct {
		struct span text;
		const char *xtext;
	} rows[] = {
		{ SPAN_INIT("abc"), "abc" },
		{ SPAN_INIT(""), "" },
		{ SPAN_INIT("e=mc2@example.com"), "e+3Dmc2@example.com" }, /* RFC 4954 section 5.1 */
		{ SPAN_INIT("a+b c"), "a+2Bb+20c" },
		{ SPAN_INIT("\0\r\n\x7f\xff"), "+00+0D+0A+7F+FF" },
		{ SPAN_INIT("!~<>\"\\"), "!~<>\"\\" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(1000);
		struct buf out = BUF_INIT(100);
		struct span text;
		CHECK(smtp_xtext_encode(&out, rows[i].text));
		CHECK_SPAN(rows[i].xtext, buf_span(&out));
		CHECK_INT(0, smtp_xtext_decode(a, buf_span(&out), &text));
		CHECK(span_eq(rows[i].text, text));
		buf_free(&out);
		arena_free(&a);
	}
}

static void what_is_not_xtext(void)
{
	static const char *const rows[] = { "+",    "+2",       "+2x", "+2b",  "a=b", "a b",
					    "\x7f", "\xc3\xbc", "a+",  "++20", "+ 2" };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(1000);
		struct span text;
		CHECK_INT(-ERR_SYNTAX, smtp_xtext_decode(a, span_of(rows[i]), &text));
		arena_free(&a);
	}
}

static void orcpt_values(void)
{
	static const struct {
		const char *in;
		bool utf8;
		int rc;
		const char *type, *addr;
	} rows[] = {
		{ "rfc822;bob@example.com", false, 0, "rfc822", "bob@example.com" },
		{ "rfc822;bob+2Bx@example.com", false, 0, "rfc822", "bob+x@example.com" },
		{ "RFC822;Bob@Example.COM", false, 0, "RFC822", "Bob@Example.COM" },
		{ "x400;/G=a;/S=b", false, -ERR_SYNTAX, NULL, NULL },
		{ "x400;/G+3Da;/S+3Db", false, 0, "x400", "/G=a;/S=b" },
		{ "rfc822;", false, -ERR_SYNTAX, NULL, NULL },
		{ ";a@b", false, -ERR_SYNTAX, NULL, NULL },
		{ "bob@example.com", false, -ERR_SYNTAX, NULL, NULL },
		{ "rfc@822;a", false, -ERR_SYNTAX, NULL, NULL },
		{ "rfc822;a+0Db", false, -ERR_SYNTAX, NULL, NULL }, /* not printable: RFC 3461 section 4.2 */
		{ "rfc822;\xc3\xbc@b", true, -ERR_SYNTAX, NULL, NULL },
		{ "utf-8;\xc3\xbc@b", true, 0, "utf-8", "\xc3\xbc@b" },
		{ "utf-8;\xc3\xbc@b", false, -ERR_SYNTAX, NULL, NULL },
		{ "UTF-8;\\x{FC}@b", false, 0, "UTF-8", "\xc3\xbc@b" },
		{ "utf-8;\\x{20AC}\\x{1F600}\\x{10FFFF}", false, 0, "utf-8",
		  "\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf" },
		{ "utf-8;a\\x{2B}b\\x{3D}\\x{5C}\\x{20}", false, 0, "utf-8", "a+b=\\ " },
		{ "utf-8;\\x{41}", false, -ERR_SYNTAX, NULL, NULL },   /* ASCII must not be embedded */
		{ "utf-8;\\x{D800}", false, -ERR_SYNTAX, NULL, NULL }, /* surrogate */
		{ "utf-8;\\x{110000}", false, -ERR_SYNTAX, NULL, NULL },
		{ "utf-8;\\x{00}", false, -ERR_SYNTAX, NULL, NULL },
		{ "utf-8;\\x{fc}", false, -ERR_SYNTAX, NULL, NULL },
		{ "utf-8;\\x{FC", false, -ERR_SYNTAX, NULL, NULL },
		{ "utf-8;\\x{}", false, -ERR_SYNTAX, NULL, NULL },
		{ "utf-8;\\x{0000FC0}", false, -ERR_SYNTAX, NULL, NULL },
		{ "utf-8;a\\b", false, -ERR_SYNTAX, NULL, NULL },
		{ "utf-8;a+20b", false, -ERR_SYNTAX, NULL, NULL },
		{ "utf-8;\xff", true, -ERR_SYNTAX, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(1000);
		struct smtp_orcpt o;
		const int rc = smtp_orcpt_decode(a, span_of(rows[i].in), rows[i].utf8, &o);
		CHECK_INT(rows[i].rc, rc);
		if (rc != rows[i].rc)
			printf("  row %zu: %s\n", i, rows[i].in);
		if (rc == 0 && rows[i].addr) {
			CHECK_SPAN(rows[i].type, o.type);
			CHECK_SPAN(rows[i].addr, o.addr);
		}
		arena_free(&a);
	}
}

static void orcpt_is_written(void)
{
	static const struct {
		const char *mailbox, *value, *ascii;
	} rows[] = {
		{ "bob@example.com", "rfc822;bob@example.com", "rfc822;bob@example.com" },
		{ "\"a b\"+x@c", "rfc822;\"a+20b\"+2Bx@c", "rfc822;\"a+20b\"+2Bx@c" },
		{ "\xc3\xbc+\xe2\x82\xac@b", "utf-8;\xc3\xbc\\x{2B}\xe2\x82\xac@b",
		  "utf-8;\\x{FC}\\x{2B}\\x{20AC}@b" },
		{ "\xf0\x9f\x98\x80 x@b", "utf-8;\xf0\x9f\x98\x80\\x{20}x@b", "utf-8;\\x{1F600}\\x{20}x@b" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(1000);
		struct buf value = BUF_INIT(200), ascii = BUF_INIT(200);
		struct smtp_orcpt o;
		CHECK(smtp_orcpt_encode(&value, span_of(rows[i].mailbox)));
		CHECK_SPAN(rows[i].value, buf_span(&value));
		CHECK(smtp_orcpt_to_ascii(&ascii, buf_span(&value)));
		CHECK_SPAN(rows[i].ascii, buf_span(&ascii));
		/* both forms mean the same address */
		CHECK_INT(0, smtp_orcpt_decode(a, buf_span(&value), true, &o));
		CHECK_SPAN(rows[i].mailbox, o.addr);
		CHECK_INT(0, smtp_orcpt_decode(a, buf_span(&ascii), false, &o));
		CHECK_SPAN(rows[i].mailbox, o.addr);
		buf_free(&value);
		buf_free(&ascii);
		arena_free(&a);
	}
}

static void full_buffers_get_nothing(void)
{
	struct buf out = BUF_INIT(4);

	CHECK(!smtp_xtext_encode(&out, SPAN("a b")));
	CHECK_INT(0, out.n);
	buf_reset(&out);
	CHECK(!smtp_orcpt_encode(&out, SPAN("a@b")));
	CHECK_INT(0, out.n);
	buf_reset(&out);
	CHECK(!smtp_orcpt_to_ascii(&out, SPAN("\xc3\xbc")));
	CHECK_INT(0, out.n);
	buf_free(&out);
}

TEST_MAIN(TEST(xtext_both_ways), TEST(what_is_not_xtext), TEST(orcpt_values), TEST(orcpt_is_written),
	  TEST(full_buffers_get_nothing))
