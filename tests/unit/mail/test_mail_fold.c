#include "mail/mail_fold.h"

#include "base/err.h"
#include "base/mem.h"
#include "test.h"

static void values_are_cleaned(void)
{
	static const struct {
		const char *in;
		unsigned flags;
		const char *out;
	} cases[] = {
		{ "plain", 0, "plain" },
		{ "", 0, "" },
		{ "   ", 0, "" },
		{ "  a b\t", 0, "a b" },
		{ "a  b\tc", 0, "a  b\tc" },
		{ "a\r\nBcc: victim@example.org", 0, "a Bcc: victim@example.org" },
		{ "a\r\n\r\nbody", 0, "a body" },
		{ "a\nb\rc\x01\x02 d\x7f", 0, "a b c d" },
		{ "\r\na", 0, "a" },
		{ "B\xc3\xbc"
		  "cher",
		  0, "B?cher" },
		{ "B\xc3\xbc"
		  "cher",
		  MAIL_FOLD_UTF8,
		  "B\xc3\xbc"
		  "cher" },
		{ "B\xfc"
		  "cher",
		  MAIL_FOLD_UTF8, "B?cher" },
		{ "\xe2\x82", MAIL_FOLD_UTF8, "??" },
		{ "a\xc2\x85"
		  "b\xe2\x80\xa8"
		  "c",
		  MAIL_FOLD_UTF8, "a b c" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT(1000);
		CHECK(mail_text_clean(&b, span_of(cases[i].in), cases[i].flags));
		CHECK_SPAN(cases[i].out, buf_span(&b));
		buf_free(&b);
	}
	struct buf b = BUF_INIT(1000);
	CHECK(mail_text_clean(&b, SPAN("a\0b"), 0));
	CHECK_SPAN("a b", buf_span(&b));
	buf_free(&b);
	struct buf small = BUF_INIT(3);
	CHECK(!mail_text_clean(&small, SPAN("abcd"), 0));
	buf_free(&small);
}

static void names_are_checked(void)
{
	char longest[MAIL_FIELD_NAME_MAX + 1];

	CHECK(mail_field_name_ok(SPAN("X-Postern-Id")));
	CHECK(mail_field_name_ok(SPAN("!")));
	CHECK(!mail_field_name_ok(SPAN("")));
	CHECK(!mail_field_name_ok(SPAN("a b")));
	CHECK(!mail_field_name_ok(SPAN("a:")));
	CHECK(!mail_field_name_ok(SPAN("a\r\nb")));
	CHECK(!mail_field_name_ok(SPAN("\xc3\xa4")));
	memset(longest, 'a', sizeof longest);
	CHECK(mail_field_name_ok(span_make(longest, sizeof longest - 1)));
	CHECK(!mail_field_name_ok(span_make(longest, sizeof longest)));
}

/* Checks that @b is one field in good lines, and returns the length of the longest. */
static size_t longest_line(struct span b)
{
	size_t longest = 0;
	bool first = true;

	while (b.n) {
		const ptrdiff_t lf = span_find_char(b, '\n');
		NEED(lf > 0);
		const struct span line = span_first(b, (size_t)lf - 1);
		CHECK_INT('\r', b.p[lf - 1]);
		CHECK(span_find_char(line, '\r') < 0);
		CHECK(span_trim(line).n > 0);
		CHECK_INT(!first, line.p[0] == ' ' || line.p[0] == '\t');
		longest = line.n > longest ? line.n : longest;
		b = span_skip(b, (size_t)lf + 1);
		first = false;
	}
	return longest;
}

static void lines_are_folded_at_white_space(void)
{
	struct buf b = BUF_INIT(10000);

	CHECK_INT(0, mail_field_write(&b, SPAN("Subject"), SPAN("short"), 0));
	CHECK_SPAN("Subject: short\r\n", buf_span(&b));
	buf_reset(&b);
	CHECK_INT(0, mail_field_write(&b, SPAN("X-Empty"), SPAN(" \r\n "), 0));
	CHECK_SPAN("X-Empty:\r\n", buf_span(&b));
	buf_reset(&b);
	/* 78 octets stay on one line, 79 do not. */
	CHECK_INT(0,
		  mail_field_write(
			  &b, SPAN("X"),
			  SPAN("aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaa"),
			  0));
	CHECK_INT(78 + 2, b.n);
	buf_reset(&b);
	CHECK_INT(
		0,
		mail_field_write(
			&b, SPAN("X"),
			SPAN("aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaa"),
			0));
	CHECK_SPAN("X: aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa\r\n aaaaaa\r\n",
		   buf_span(&b));
	buf_free(&b);
}

static void long_words_are_cut(void)
{
	struct buf b = BUF_INIT(100000);
	char word[5000];

	memset(word, 'w', sizeof word);
	CHECK_INT(0, mail_field_write(&b, SPAN("Subject"), span_make(word, 989), 0));
	CHECK_INT(998, longest_line(buf_span(&b)));
	CHECK_INT(998 + 2, b.n);
	buf_reset(&b);
	CHECK_INT(0, mail_field_write(&b, SPAN("Subject"), span_make(word, 990), 0));
	CHECK_INT(991, longest_line(buf_span(&b)));
	buf_reset(&b);
	CHECK_INT(0, mail_field_write(&b, SPAN("Subject"), span_make(word, sizeof word), 0));
	CHECK_INT(998, longest_line(buf_span(&b)));
	buf_reset(&b);
	/* Three-octet characters: never cut inside one. */
	for (size_t i = 0; i + 3 <= sizeof word; i += 3)
		memcpy(word + i, "\xe2\x82\xac", 3);
	CHECK_INT(0, mail_field_write(&b, SPAN("Subject"), span_make(word, 4998), MAIL_FOLD_UTF8));
	CHECK(longest_line(buf_span(&b)) <= 998);
	size_t euros = 0;
	for (size_t i = 0; i + 3 <= b.n; i++)
		euros += memcmp(b.p + i, "\xe2\x82\xac", 3) == 0;
	CHECK_INT(4998 / 3, euros);
	buf_reset(&b);
	memset(word, ' ', sizeof word);
	word[0] = word[sizeof word - 1] = 'x';
	CHECK_INT(0, mail_field_write(&b, SPAN("Subject"), span_make(word, sizeof word), 0));
	CHECK(longest_line(buf_span(&b)) <= 78);
	buf_free(&b);
}

static void a_megabyte_is_folded_quickly(void)
{
	struct buf b = BUF_INIT(3 * 1024 * 1024);
	const size_t n = 1024 * 1024;
	char *value = mem_alloc(n);

	for (size_t i = 0; i < n; i++)
		value[i] = i % 7 ? 'a' : i % 2 ? ' ' : '\n';
	CHECK_INT(0, mail_field_write(&b, SPAN("X-Large"), span_make(value, n), 0));
	CHECK(longest_line(buf_span(&b)) <= 78);
	buf_free(&b);
	free(value);
}

static void errors_leave_the_output_alone(void)
{
	struct buf b = BUF_INIT(12);

	CHECK_INT(-ERR_INVAL, mail_field_write(&b, SPAN("A B"), SPAN("x"), 0));
	CHECK_INT(0, b.n);
	CHECK_INT(0, mail_field_write(&b, SPAN("A"), SPAN("x"), 0));
	CHECK_INT(-ERR_TOOBIG, mail_field_write(&b, SPAN("B"), SPAN("yz"), 0));
	CHECK_SPAN("A: x\r\n", buf_span(&b));
	CHECK(b.overflow);
	buf_free(&b);
}

TEST_MAIN(TEST(values_are_cleaned), TEST(names_are_checked), TEST(lines_are_folded_at_white_space),
	  TEST(long_words_are_cut), TEST(a_megabyte_is_folded_quickly), TEST(errors_leave_the_output_alone))
