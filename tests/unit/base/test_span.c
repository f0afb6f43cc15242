#include <inttypes.h>

#include "base/span.h"
#include "test.h"

static const struct span none;

static void the_empty_span_goes_everywhere(void)
{
	struct span s = none;
	uint64_t v = 7;

	CHECK(span_eq(none, SPAN("")));
	CHECK(span_ieq(none, SPAN("")));
	CHECK_INT(0, span_cmp(none, SPAN("")));
	CHECK(span_starts(SPAN("x"), none) && span_ends(SPAN("x"), none) && span_istarts(none, none));
	CHECK(!span_starts(none, SPAN("x")) && !span_ends(none, SPAN("x")));
	CHECK_INT(-1, span_find_char(none, 'x'));
	CHECK_INT(-1, span_rfind_char(none, 'x'));
	CHECK_INT(-1, span_find(none, SPAN("x")));
	CHECK_INT(0, span_find(none, none));
	CHECK_SPAN("", span_trim(none));
	CHECK_SPAN("", span_skip(none, 5));
	CHECK_SPAN("", span_first(none, 5));
	CHECK_SPAN("", span_cut(&s, ','));
	CHECK(s.p == NULL);
	CHECK(!span_to_u64(none, 10, &v));
	CHECK_INT(7, v);
	CHECK(span_of(NULL).p == NULL);
}

static void comparison_is_by_octet(void)
{
	CHECK(span_eq(SPAN("a\0b"), span_make("a\0b", 3)));
	CHECK(!span_eq(SPAN("a\0b"), SPAN("a\0c")));
	CHECK_INT(-1, span_cmp(SPAN("a"), SPAN("b")));
	CHECK_INT(1, span_cmp(SPAN("ab"), SPAN("a")));
	CHECK_INT(-1, span_cmp(SPAN("A"), SPAN("a")));
	CHECK_INT(1, span_cmp(SPAN("\xff"), SPAN("a")));
	CHECK_INT(0, span_icmp(SPAN("MaIl"), SPAN("mAiL")));
	CHECK_INT(1, span_icmp(SPAN("\xff"), SPAN("z")));
	CHECK_INT(-1, span_icmp(SPAN("ab"), SPAN("ABC")));
	CHECK(span_ieq(SPAN("EXAMPLE.org"), SPAN("example.ORG")));
	/* Only letters fold: '[' and '{', '@' and '`' differ by the same bit. */
	CHECK(!span_ieq(SPAN("["), SPAN("{")) && !span_ieq(SPAN("@"), SPAN("`")));
	CHECK(!span_ieq(SPAN("\xc4"), SPAN("\xe4")));
	CHECK(span_istarts(SPAN("SIZE=10"), SPAN("size=")));
	CHECK(!span_istarts(SPAN("SIZ"), SPAN("size=")));
}

static void parts_are_clamped(void)
{
	CHECK_SPAN("cd", span_skip(SPAN("abcd"), 2));
	CHECK_SPAN("", span_skip(SPAN("abcd"), 9));
	CHECK_SPAN("ab", span_first(SPAN("abcd"), 2));
	CHECK_SPAN("abcd", span_first(SPAN("abcd"), 9));
	CHECK_SPAN("a b", span_trim(SPAN(" \t a b\t ")));
	CHECK_SPAN("", span_trim(SPAN(" \t ")));
	CHECK_SPAN("a\r\n", span_trim(SPAN(" a\r\n"))); /* line ends are no blanks */
}

static void searching_finds_first_and_last(void)
{
	CHECK_INT(1, span_find_char(SPAN("a.b.c"), '.'));
	CHECK_INT(3, span_rfind_char(SPAN("a.b.c"), '.'));
	CHECK_INT(0, span_rfind_char(SPAN("x"), 'x'));
	CHECK_INT(2, span_find(SPAN("aaab"), SPAN("ab")));
	CHECK_INT(-1, span_find(SPAN("ab"), SPAN("abc")));
	CHECK_INT(1, span_find(SPAN("a\0b"), SPAN("\0b")));
	CHECK(span_starts(SPAN("abc"), SPAN("ab")) && span_ends(SPAN("abc"), SPAN("bc")));
	CHECK(!span_ends(SPAN("bc"), SPAN("abc")));
}

static void cutting_gives_every_piece_once(void)
{
	struct span s = SPAN("a,,b,");
	char all[32] = "";
	int n = 0;

	while (s.p) {
		const struct span piece = span_cut(&s, ',');
		n += snprintf(all + n, sizeof all - (size_t)n, "<%.*s>", SPAN_ARG(piece));
	}
	CHECK_STR("<a><><b><>", all);
}

static void numbers_are_exact(void)
{
	uint64_t v = 0;

	CHECK(span_to_u64(SPAN("0"), 0, &v));
	CHECK_INT(0, v);
	CHECK(span_to_u64(SPAN("000123"), 123, &v));
	CHECK_INT(123, v);
	CHECK(span_to_u64(SPAN("18446744073709551615"), UINT64_MAX, &v));
	CHECK(v == UINT64_MAX);
	v = 5;
	CHECK(!span_to_u64(SPAN("18446744073709551616"), UINT64_MAX, &v));
	CHECK(!span_to_u64(SPAN("99999999999999999999999"), UINT64_MAX, &v));
	CHECK(!span_to_u64(SPAN("124"), 123, &v));
	CHECK(!span_to_u64(SPAN("+1"), 9, &v));
	CHECK(!span_to_u64(SPAN("-1"), 9, &v));
	CHECK(!span_to_u64(SPAN(" 1"), 9, &v));
	CHECK(!span_to_u64(SPAN("1\0"), 9, &v));
	CHECK_INT(5, v);
}

static void printing_never_reads_past_the_end(void)
{
	char out[32];
	const char raw[3] = { 'a', 'b', 'c' }; /* no NUL behind it */

	snprintf(out, sizeof out, "%.*s|%.*s", SPAN_ARG(span_make(raw, 3)), SPAN_ARG(none));
	CHECK_STR("abc|", out);
	/* A length that is no int must not turn into a negative precision, which means "no limit". */
	const struct span huge = { "seen up to the NUL", (size_t)1 << 31 };
	CHECK_INT(18, snprintf(out, sizeof out, "%.*s", SPAN_ARG(huge)));
	const int precision = (int[]){ SPAN_PRECISION(huge) }[0];
	CHECK_INT(0x7fffffff, precision);
}

static void ascii_has_no_locale(void)
{
	for (int i = 0; i < 256; i++) {
		const char c = (char)i;
		const bool upper = i >= 'A' && i <= 'Z', lower = i >= 'a' && i <= 'z',
			   digit = i >= '0' && i <= '9';
		CHECK(ascii_lower(c) == (upper ? (char)(i + 32) : c));
		CHECK(ascii_upper(c) == (lower ? (char)(i - 32) : c));
		CHECK(ascii_is_alpha(c) == (upper || lower));
		CHECK(ascii_is_digit(c) == digit);
		CHECK(ascii_is_alnum(c) == (upper || lower || digit));
		const char *hex = memchr("0123456789abcdefABCDEF", i, 22);
		CHECK_INT(hex ? (int)strtol((char[]){ c, 0 }, NULL, 16) : -1, ascii_hex_value(c));
	}
}

TEST_MAIN(TEST(the_empty_span_goes_everywhere), TEST(comparison_is_by_octet), TEST(parts_are_clamped),
	  TEST(searching_finds_first_and_last), TEST(cutting_gives_every_piece_once), TEST(numbers_are_exact),
	  TEST(printing_never_reads_past_the_end), TEST(ascii_has_no_locale))
