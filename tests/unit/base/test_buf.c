#include <inttypes.h>

#include "base/buf.h"
#include "test.h"

static void additions_follow_each_other(void)
{
	struct buf b = BUF_INIT(1000);

	CHECK(buf_add(&b, "a\0b", 3));
	CHECK(buf_add_str(&b, "-"));
	CHECK(buf_add_char(&b, 'c'));
	CHECK(buf_add_span(&b, SPAN("def")));
	CHECK(buf_add(&b, NULL, 0));
	CHECK(buf_addf(&b, "%d%s", 42, "!"));
	CHECK(span_eq(SPAN("a\0b-cdef42!"), buf_span(&b)));
	buf_reset(&b);
	CHECK_SPAN("", buf_span(&b));
	buf_free(&b);
}

static void numbers_are_written(void)
{
	struct buf b = BUF_INIT(1000);

	buf_add_u64(&b, 0);
	buf_add_char(&b, ' ');
	buf_add_u64(&b, UINT64_MAX);
	buf_add_char(&b, ' ');
	buf_add_i64(&b, INT64_MIN);
	buf_add_char(&b, ' ');
	buf_add_i64(&b, -1);
	CHECK_SPAN("0 18446744073709551615 -9223372036854775808 -1", buf_span(&b));
	buf_free(&b);
}

static void an_addition_is_whole_or_not_at_all(void)
{
	struct buf b = BUF_INIT(5);

	CHECK(buf_add_str(&b, "1234"));
	CHECK(!buf_add_str(&b, "56"));
	CHECK(b.overflow);
	CHECK_SPAN("1234", buf_span(&b));
	CHECK(!buf_add_char(&b, '5')); /* there is room, but something is missing before it */
	CHECK(!buf_reserve(&b, 0));
	buf_reset(&b);
	CHECK(buf_add_str(&b, "12345"));
	CHECK(!b.overflow);
	CHECK(!buf_addf(&b, "%s", ""[0] ? "x" : "y"));
	buf_reset(&b);
	buf_add_str(&b, "1234");
	CHECK(!buf_add_i64(&b, -7));
	CHECK_SPAN("1234", buf_span(&b));
	buf_reset(&b);
	CHECK(!buf_insert(&b, 0, SPAN("123456")));
	CHECK_SPAN("", buf_span(&b));
	buf_free(&b);
	CHECK_INT(5, b.max);
	CHECK(!b.overflow);
}

static void long_formats_fit_exactly(void)
{
	struct buf b = BUF_INIT(1000);
	char text[1001];

	memset(text, 'x', 1000);
	text[1000] = 0;
	CHECK(buf_addf(&b, "%s", text));
	CHECK_INT(1000, b.n);
	buf_reset(&b);
	CHECK(!buf_addf(&b, "%s!", text));
	CHECK_INT(0, b.n);
	CHECK(b.overflow);
	buf_reset(&b);
	CHECK(buf_addf(&b, "%.255s", text));
	CHECK(buf_addf(&b, "%.256s", text));
	CHECK_INT(511, b.n);
	buf_free(&b);
}

static void text_does_not_count_its_nul(void)
{
	struct buf b = BUF_INIT(4);

	CHECK_STR("", buf_cstr(&b));
	buf_add_str(&b, "1234");
	CHECK_STR("1234", buf_cstr(&b));
	CHECK(!b.overflow);
	CHECK_INT(4, b.n);
	CHECK_STR("1234", buf_cstr(&b));
	CHECK(!buf_add_char(&b, '5'));
	CHECK_STR("", buf_cstr(&b));
	buf_reset(&b);
	CHECK_STR("", buf_cstr(&b));
	CHECK(!buf_add_str(&b, "12345"));
	buf_free(&b);
	b = BUF_INIT(0);
	CHECK_STR("", buf_cstr(&b));
	CHECK(!buf_add_char(&b, 'x'));
	buf_free(&b);
}

static void inside_is_edited(void)
{
	struct buf b = BUF_INIT(100);

	buf_add_str(&b, "hello world");
	CHECK(buf_insert(&b, 5, SPAN(",")));
	CHECK(buf_insert(&b, 0, SPAN(">")));
	CHECK(buf_insert(&b, b.n, SPAN("<")));
	CHECK_SPAN(">hello, world<", buf_span(&b));
	buf_remove(&b, 6, 1);
	buf_consume(&b, 1);
	buf_remove(&b, b.n - 1, 1);
	buf_remove(&b, b.n, 0);
	CHECK_SPAN("hello world", buf_span(&b));
	buf_consume(&b, b.n);
	CHECK_SPAN("", buf_span(&b));
	buf_free(&b);
}

static void a_wiped_buf_is_a_free_one(void)
{
	struct buf b = BUF_INIT(10);

	buf_wipe(&b);
	buf_add_str(&b, "secret");
	buf_wipe(&b);
	CHECK(!b.p && b.n == 0 && b.cap == 0);
	CHECK(buf_add_str(&b, "0123456789"));
	CHECK(!buf_add_char(&b, 'x'));
	buf_wipe(&b);
}

static void growth_is_bounded(void)
{
	struct buf b = BUF_INIT(1000000);

	for (int i = 0; i < 1000000; i++)
		NEED(buf_add_char(&b, (char)i));
	CHECK(!buf_add_char(&b, 'x'));
	CHECK(b.cap <= 1000000);
	bool same = true;
	for (int i = 0; i < 1000000; i++)
		same &= b.p[i] == (char)i;
	CHECK(same);
	buf_free(&b);
	b = BUF_INIT(SIZE_MAX);
	CHECK(buf_add_char(&b, 'x'));
	CHECK(!buf_reserve(&b, SIZE_MAX));
	buf_free(&b);
}

TEST_MAIN(TEST(additions_follow_each_other), TEST(numbers_are_written),
	  TEST(an_addition_is_whole_or_not_at_all), TEST(long_formats_fit_exactly),
	  TEST(text_does_not_count_its_nul), TEST(inside_is_edited), TEST(a_wiped_buf_is_a_free_one),
	  TEST(growth_is_bounded))
