#include "smtp/smtp_line.h"

#include "base/buf.h"
#include "base/err.h"
#include "test.h"

#define L(lit) lit, sizeof(lit) - 1

static void lines_are_cut_and_described(void)
{
	static const struct {
		const char *in;
		size_t n;
		int consumed;
		const char *text;
		size_t text_n;
		unsigned flags;
	} rows[] = {
		{ L("NOOP\r\n"), 6, L("NOOP"), 0 },
		{ L("NOOP\r\nQUIT\r\n"), 6, L("NOOP"), 0 },
		{ L("\r\n"), 2, L(""), 0 },
		{ L("\n"), 1, L(""), SMTP_LINE_BARE_LF },
		{ L("NOOP\n"), 5, L("NOOP"), SMTP_LINE_BARE_LF },
		{ L("NO\rOP\r\n"), 7, L("NO\rOP"), SMTP_LINE_BARE_CR },
		{ L("NOOP\r\r\n"), 7, L("NOOP\r"), SMTP_LINE_BARE_CR },
		{ L("\r\r\n"), 3, L("\r"), SMTP_LINE_BARE_CR },
		{ L("NO\rOP\n"), 6, L("NO\rOP"), SMTP_LINE_BARE_CR | SMTP_LINE_BARE_LF },
		{ L("A\0B\r\n"), 5, L("A\0B"), SMTP_LINE_NUL },
		{ L("A\xffZ\r\n"), 5, L("A\xffZ"), SMTP_LINE_8BIT },
		{ L("NOOP\r"), -ERR_AGAIN, L(""), 0 },
		{ L("NOOP"), -ERR_AGAIN, L(""), 0 },
		{ L(""), -ERR_AGAIN, L(""), 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_line_reader r = SMTP_LINE_READER_INIT;
		struct smtp_line line = { .flags = 77 };
		CHECK_INT(rows[i].consumed, smtp_line_next(&r, span_make(rows[i].in, rows[i].n), 512, &line));
		if (rows[i].consumed < 0) {
			CHECK_INT(77, line.flags);
			continue;
		}
		CHECK(span_eq(span_make(rows[i].text, rows[i].text_n), line.text));
		CHECK_INT(rows[i].flags, line.flags);
	}
}

static void a_line_in_pieces_is_searched_once(void)
{
	static const char in[] = "MAIL FROM:<a@b.example>\r\nQUIT\r\n";
	struct smtp_line_reader r = SMTP_LINE_READER_INIT;
	struct smtp_line line;

	for (size_t n = 0; n < 25; n++) {
		CHECK_INT(-ERR_AGAIN, smtp_line_next(&r, span_make(in, n), 512, &line));
		CHECK_INT(n, r.scanned);
	}
	CHECK_INT(25, smtp_line_next(&r, span_make(in, 25), 512, &line));
	CHECK_SPAN("MAIL FROM:<a@b.example>", line.text);
	CHECK_INT(6, smtp_line_next(&r, span_make(in + 25, 6), 512, &line));
	CHECK_SPAN("QUIT", line.text);
}

static void the_limit_counts_the_ending(void)
{
	char in[600];

	memset(in, 'x', sizeof in);
	for (size_t n = 500; n < 530; n++) {
		struct smtp_line_reader r = SMTP_LINE_READER_INIT;
		struct smtp_line line;
		in[n - 2] = '\r';
		in[n - 1] = '\n';
		CHECK_INT(n <= 512 ? (int)n : -ERR_TOOBIG, smtp_line_next(&r, span_make(in, n), 512, &line));
		CHECK(r.skipping == (n > 512));
		in[n - 2] = in[n - 1] = 'x';
	}
}

static void a_limit_may_grow_while_the_line_comes(void)
{
	/* the verb is not known before its first octets are here */
	char in[1000];
	struct smtp_line_reader r = SMTP_LINE_READER_INIT;
	struct smtp_line line;

	memset(in, 'x', sizeof in);
	in[998] = '\r';
	in[999] = '\n';
	CHECK_INT(-ERR_AGAIN, smtp_line_next(&r, span_make(in, 400), 512, &line));
	CHECK_INT(-ERR_AGAIN, smtp_line_next(&r, span_make(in, 600), 2048, &line));
	CHECK_INT(1000, smtp_line_next(&r, span_make(in, 1000), 2048, &line));
	CHECK_INT(-ERR_AGAIN, smtp_line_next(&r, span_make(in, 600), 2048, &line));
	CHECK_INT(-ERR_TOOBIG, smtp_line_next(&r, span_make(in, 1000), 512, &line));
}

static void the_rest_of_a_long_line_is_thrown_away_in_pieces(void)
{
	struct smtp_line_reader r = SMTP_LINE_READER_INIT;
	struct smtp_line line;
	char in[1200];

	memset(in, 'x', sizeof in);
	memcpy(in + 1100, "\r\nNOOP\r\n", 8);
	CHECK_INT(-ERR_TOOBIG, smtp_line_next(&r, span_make(in, 600), 512, &line));
	CHECK_INT(600, smtp_line_skip(&r, span_make(in, 600)));
	CHECK(r.skipping);
	CHECK_INT(400, smtp_line_skip(&r, span_make(in + 600, 400)));
	CHECK(r.skipping);
	CHECK_INT(102, smtp_line_skip(&r, span_make(in + 1000, 108)));
	CHECK(!r.skipping);
	CHECK_INT(6, smtp_line_next(&r, span_make(in + 1102, 6), 512, &line));
	CHECK_SPAN("NOOP", line.text);

	/* the end of the long line was there already */
	CHECK_INT(-ERR_TOOBIG, smtp_line_next(&r, span_make(in, 1108), 512, &line));
	CHECK_INT(1102, smtp_line_skip(&r, span_make(in, 1108)));
	CHECK(!r.skipping);
}

TEST_MAIN(TEST(lines_are_cut_and_described), TEST(a_line_in_pieces_is_searched_once),
	  TEST(the_limit_counts_the_ending), TEST(a_limit_may_grow_while_the_line_comes),
	  TEST(the_rest_of_a_long_line_is_thrown_away_in_pieces))
