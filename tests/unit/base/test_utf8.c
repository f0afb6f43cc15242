#include "base/utf8.h"
#include "test.h"

/* Every code point, encoded here by the book, is taken; surrogates and what is above U+10FFFF are not. */
static void all_code_points(void)
{
	for (uint32_t c = 0; c <= 0x120000; c++) {
		char s[4];
		size_t n;
		if (c < 0x80) {
			s[0] = (char)c;
			n = 1;
		} else if (c < 0x800) {
			s[0] = (char)(0xc0 | c >> 6);
			n = 2;
		} else if (c < 0x10000) {
			s[0] = (char)(0xe0 | c >> 12);
			n = 3;
		} else {
			s[0] = (char)(0xf0 | c >> 18);
			n = 4;
		}
		for (size_t i = 1; i < n; i++)
			s[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
		const bool good = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
		if (utf8_char_len(span_make(s, n)) != (good ? n : 0))
			FAIL("U+%04X is %s character", c, good ? "a" : "no");
		if (n > 1 && utf8_char_len(span_make(s, n - 1)) != 0)
			FAIL("U+%04X is no character without its last octet", c);
	}
}

static void malformed_forms_are_refused(void)
{
	static const struct span bad[] = {
		SPAN_INIT("\x80"),
		SPAN_INIT("\xbf"),
		SPAN_INIT("\xc0\x80"),
		SPAN_INIT("\xc1\xbf"),
		SPAN_INIT("\xe0\x80\x80"),
		SPAN_INIT("\xe0\x9f\xbf"),
		SPAN_INIT("\xf0\x80\x80\x80"),
		SPAN_INIT("\xf0\x8f\xbf\xbf"),
		SPAN_INIT("\xed\xa0\x80"),
		SPAN_INIT("\xf4\x90\x80\x80"),
		SPAN_INIT("\xf5\x80\x80\x80"),
		SPAN_INIT("\xff"),
		SPAN_INIT("\xc3"),
		SPAN_INIT("\xe2\x82"),
		SPAN_INIT("\xc3("),
		SPAN_INIT("\xe2(\xa1"),
		SPAN_INIT("\xf8\x88\x80\x80\x80"),
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CHECK_INT(0, utf8_char_len(bad[i]));
		CHECK(!utf8_valid(bad[i]));
	}
	CHECK_INT(0, utf8_char_len((struct span){ NULL, 0 }));
}

static void whole_texts(void)
{
	CHECK(utf8_valid((struct span){ NULL, 0 }));
	CHECK(utf8_valid(SPAN("Grüße, Ελλάδα, 日本, 😀")));
	CHECK(utf8_valid(SPAN("a\0b")));
	CHECK(!utf8_valid(SPAN("Gr\xfc"
			       "sse")));
	CHECK(ascii_only(SPAN("plain\0\x7f")));
	CHECK(ascii_only((struct span){ NULL, 0 }));
	CHECK(!ascii_only(SPAN("ü")));
}

TEST_MAIN(TEST(all_code_points), TEST(malformed_forms_are_refused), TEST(whole_texts))
