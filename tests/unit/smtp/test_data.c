#include "smtp/smtp_data.h"

#include "base/buf.h"
#include "test.h"

struct result {
	enum smtp_data_event event;
	size_t consumed;
	struct buf out;
	struct smtp_data_decoder d;
};

/* Decodes @in in chunks of @chunk octets, each copied to its own memory so that a sanitizer sees every step too far. */
static struct result decode(struct span in, size_t chunk, enum smtp_data_mode mode, bool bdat)
{
	struct result r = { .event = SMTP_DATA_MORE, .out = BUF_INIT(1 << 20) };

	if (bdat)
		smtp_data_decoder_init_bdat(&r.d, mode);
	else
		smtp_data_decoder_init(&r.d, mode);
	while (r.consumed < in.n && r.event != SMTP_DATA_END) {
		const struct span part = span_first(span_skip(in, r.consumed), chunk);
		char *const copy = malloc(part.n);
		struct span rest = { copy, part.n }, run;
		memcpy(copy, part.p, part.n);
		while ((r.event = smtp_data_decode(&r.d, &rest, &run)) == SMTP_DATA_RUN) {
			CHECK(run.n > 0);
			buf_add_span(&r.out, run);
		}
		r.consumed += part.n - rest.n;
		free(copy);
	}
	if (bdat) {
		struct span run;
		while ((r.event = smtp_data_finish(&r.d, &run)) == SMTP_DATA_RUN)
			buf_add_span(&r.out, run);
	}
	CHECK_INT(r.out.n, r.d.octets);
	return r;
}

struct row {
	const char *in, *out;
	size_t in_n, out_n;
	int rest; /* octets behind the end; -1: the end is not there */
	unsigned flags;
	unsigned bare_lfs, bare_crs;
};

#define S(lit)   lit, lit, sizeof(lit) - 1, sizeof(lit) - 1
#define IO(i, o) i, o, sizeof(i) - 1, sizeof(o) - 1

static void check_rows(const struct row *rows, size_t n, enum smtp_data_mode mode, bool bdat)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *const row = &rows[i];
		for (size_t chunk = 1; chunk <= row->in_n + 1; chunk++) {
			const unsigned before = test_failures;
			struct result r = decode(span_make(row->in, row->in_n), chunk, mode, bdat);
			CHECK_INT(row->rest < 0 ? SMTP_DATA_MORE : SMTP_DATA_END, r.event);
			if (row->rest >= 0)
				CHECK_INT(row->rest, row->in_n - r.consumed);
			CHECK(span_eq(span_make(row->out, row->out_n), buf_span(&r.out)));
			CHECK_INT(row->flags, r.d.flags);
			CHECK_INT(row->bare_lfs, r.d.bare_lfs);
			CHECK_INT(row->bare_crs, r.d.bare_crs);
			if (test_failures > before)
				printf("  row %zu, chunks of %zu: got \"%.*s\"\n", i, chunk,
				       SPAN_ARG(buf_span(&r.out)));
			buf_free(&r.out);
		}
	}
}

enum { LF = SMTP_DATA_BARE_LF, CR = SMTP_DATA_BARE_CR };

static void plain_bodies_end_where_they_should(void)
{
	static const struct row rows[] = {
		{ IO(".\r\n", ""), 0, 0, 0, 0 },
		{ IO(".\r\nQUIT\r\n", ""), 6, 0, 0, 0 },
		{ IO("\r\n.\r\n", "\r\n"), 0, 0, 0, 0 },
		{ IO("a\r\n.\r\n", "a\r\n"), 0, 0, 0, 0 },
		{ IO("a\r\nb\r\n.\r\n.\r\n", "a\r\nb\r\n"), 3, 0, 0, 0 },
		{ IO("..\r\n.\r\n", ".\r\n"), 0, 0, 0, 0 },
		{ IO("...\r\n.\r\n", "..\r\n"), 0, 0, 0, 0 },
		{ IO(".a\r\n..b\r\nc.\r\n.\r\nRSET\r\n", "a\r\n.b\r\nc.\r\n"), 6, 0, 0, 0 },
		{ IO("a.\r\n.\r\n", "a.\r\n"), 0, 0, 0, 0 },
		{ IO(". \r\n.\r\n", " \r\n"), 0, 0, 0, 0 },
		{ IO("a\r\n. \r\n", "a\r\n \r\n"), -1, 0, 0, 0 },
		{ IO("\xc3\xa4\r\n.\r\n\xc3", "\xc3\xa4\r\n"), 1, SMTP_DATA_8BIT, 0, 0 },
		{ IO("a\0b\r\n.\r\n", "a\0b\r\n"), 0, SMTP_DATA_NUL, 0, 0 },
		{ IO("a\r\n.\r\n\0\x80\n", "a\r\n"), 3, 0, 0, 0 },
	};

	check_rows(rows, sizeof rows / sizeof *rows, SMTP_DATA_REFUSE, false);
	check_rows(rows, sizeof rows / sizeof *rows, SMTP_DATA_NORMALISE, false);
}

/* The sequences by which servers have been made to see an end that another server did not see. */
static void only_crlf_dot_crlf_ends_a_message_when_refusing(void)
{
	static const struct row rows[] = {
		{ IO("a\n.\n", "a\n.\n"), -1, LF, 2, 0 },
		{ IO("a\n.\r\n", "a\n.\r\n"), -1, LF, 1, 0 },
		{ IO("a\r\n.\n", "a\r\n.\n"), -1, LF, 1, 0 },
		{ IO("a\r\n.\r", "a\r\n"), -1, 0, 0, 0 },
		{ IO("a\r.\r", "a\r."), -1, CR, 0, 1 },
		{ IO("a\r.\r\n", "a\r.\r\n"), -1, CR, 0, 1 },
		{ IO("a\n\n.\r\n", "a\n\n.\r\n"), -1, LF, 2, 0 },
		{ IO("a\r\r.\r\n", "a\r\r.\r\n"), -1, CR, 0, 2 },
		{ IO(".\n", ".\n"), -1, LF, 1, 0 },
		{ IO(".\r.\r\n", ".\r.\r\n"), -1, CR, 0, 1 },
		{ IO("a\r\n.\r\r\n", "a\r\n.\r\r\n"), -1, CR, 0, 1 },
		{ IO("a\r\n.\0\r\n", "a\r\n\0\r\n"), -1, SMTP_DATA_NUL, 0, 0 },
		/* and the real end after each is still found */
		{ IO("a\n.\nMAIL\n.\r\n.\r\nX", "a\n.\nMAIL\n.\r\n"), 1, LF, 3, 0 },
		{ IO("a\r\n.\r\r\n.\r\nX", "a\r\n.\r\r\n"), 1, CR, 0, 1 },
		{ IO("a\r\r\n.\r\nX", "a\r\r\n"), 1, CR, 0, 1 },
	};

	check_rows(rows, sizeof rows / sizeof *rows, SMTP_DATA_REFUSE, false);
}

static void bare_endings_become_whole_when_normalising(void)
{
	static const struct row rows[] = {
		{ IO("a\nb\n\r\n.\r\n", "a\r\nb\r\n\r\n"), 0, LF, 2, 0 },
		{ IO("a\n.\n", "a\r\n.\r\n"), -1, LF, 2, 0 },
		{ IO("a\n.\r\n", "a\r\n.\r\n"), -1, LF, 1, 0 },
		{ IO("a\n.\r\n.\r\nX", "a\r\n.\r\n"), 1, LF, 1, 0 },
		{ IO("a\r\n.\n", "a\r\n.\r\n"), -1, LF, 1, 0 },
		{ IO(".\n.\r\n", ".\r\n.\r\n"), -1, LF, 1, 0 },
		{ IO("a\n..b\n.c\n", "a\r\n.b\r\nc\r\n"), -1, LF, 3, 0 },
		{ IO("a\rb\r\n.\r\n", "a\r\nb\r\n"), 0, CR, 0, 1 },
		{ IO("a\r.b\r\n.\r\n", "a\r\n.b\r\n"), 0, CR, 0, 1 },
		{ IO("a\r.\r\n.\r\n", "a\r\n.\r\n"), 0, CR, 0, 1 },
		{ IO("a\r\r\n.\r\n", "a\r\n"), 0, CR, 0, 1 },
		{ IO("a\r\r\r\nb\r\r\n\r\r\n.\r\n", "a\r\nb\r\n\r\n"), 0, CR, 0, 4 },
		{ IO("a\r\r\rb\r\n.\r\n", "a\r\nb\r\n"), 0, CR, 0, 3 },
		{ IO("a\r\n.\r\r\n.\r\n", "a\r\n.\r\n"), 0, CR, 0, 1 },
		{ IO("a\r\n.\rb\r\n.\r\n", "a\r\n.\r\nb\r\n"), 0, CR, 0, 1 },
		{ IO("a\n.\rb\r\n.\r\n", "a\r\n.\r\nb\r\n"), 0, LF | CR, 1, 1 },
		{ IO("a\n.\r\r\n.\r\n", "a\r\n.\r\n"), 0, LF | CR, 1, 1 },
		{ IO("\r.\r\n\n\r\n.\r\n", "\r\n.\r\n\r\n\r\n"), 0, LF | CR, 1, 1 },
	};

	check_rows(rows, sizeof rows / sizeof *rows, SMTP_DATA_NORMALISE, false);
}

static void bdat_bodies_have_no_dots(void)
{
	static const struct row refuse[] = {
		{ S("a\r\n.\r\nb\r\n"), 0, 0, 0, 0 },
		{ S("..\r\n"), 0, 0, 0, 0 },
		{ S("a"), 0, SMTP_DATA_OPEN_END, 0, 0 },
		{ S("a\nb\r\n"), 0, LF, 1, 0 },
		{ S("a\r\nb\r"), 0, CR | SMTP_DATA_OPEN_END, 0, 1 },
		{ S("\r"), 0, CR | SMTP_DATA_OPEN_END, 0, 1 },
	};
	static const struct row normalise[] = {
		{ S("a\r\n.\r\nb\r\n"), 0, 0, 0, 0 },
		{ IO("a\n.\n.b\r", "a\r\n.\r\n.b\r\n"), 0, LF | CR, 2, 1 },
		{ IO("a\r\r\n\r", "a\r\n\r\n"), 0, CR, 0, 2 },
	};
	static const struct row binary[] = {
		{ S("a\nb\r.\r\n\n"), 0, 0, 0, 0 },
		{ S("\0\x80\r"), 0, SMTP_DATA_NUL | SMTP_DATA_8BIT, 0, 0 },
	};

	check_rows(refuse, sizeof refuse / sizeof *refuse, SMTP_DATA_REFUSE, true);
	check_rows(normalise, sizeof normalise / sizeof *normalise, SMTP_DATA_NORMALISE, true);
	check_rows(binary, sizeof binary / sizeof *binary, SMTP_DATA_BINARY, true);
}

static void long_lines_are_counted_at_the_limit(void)
{
	static const struct {
		size_t n;
		bool dot;
		bool is_long;
	} rows[] = {
		{ 997, false, false }, { 998, false, false }, { 999, false, true },
		{ 998, true, false },  { 999, true, true },   { 5000, false, true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t chunk = 100; chunk <= 6000; chunk += 499) {
			struct buf b = BUF_INIT(10000);
			if (rows[i].dot) /* the dot that is doubled for transparency is not counted */
				buf_add_str(&b, "..");
			for (size_t n = rows[i].dot; n < rows[i].n; n++)
				buf_add_char(&b, 'x');
			buf_add_str(&b, "\r\n\r\n.\r\n");
			struct result r = decode(buf_span(&b), chunk, SMTP_DATA_REFUSE, false);
			CHECK_INT(SMTP_DATA_END, r.event);
			CHECK_INT(rows[i].is_long ? SMTP_DATA_LONG_LINE : 0, r.d.flags);
			CHECK_INT(rows[i].is_long, r.d.long_lines);
			CHECK_INT(rows[i].n, r.d.line_octets_most);
			buf_free(&r.out);
			buf_free(&b);
		}
	}
}

static struct buf encode(struct span in, size_t chunk)
{
	struct buf out = BUF_INIT(1 << 20);
	struct smtp_data_encoder e;

	smtp_data_encoder_init(&e);
	while (in.n) {
		struct span part = span_first(in, chunk), run;
		in = span_skip(in, part.n);
		while (smtp_data_encode(&e, &part, &run) == SMTP_DATA_RUN) {
			CHECK(run.n > 0);
			buf_add_span(&out, run);
		}
	}
	buf_add_span(&out, smtp_data_encode_end(&e));
	return out;
}

static void sending_stuffs_dots_and_ends_the_body(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", ".\r\n" },
		{ "a", "a\r\n.\r\n" },
		{ "a\r\n", "a\r\n.\r\n" },
		{ ".", "..\r\n.\r\n" },
		{ ".\r\n", "..\r\n.\r\n" },
		{ "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n" },
		{ "..a\r\nb.c\r\n..", "...a\r\nb.c\r\n...\r\n.\r\n" },
		{ "a\r\n\r\n", "a\r\n\r\n.\r\n" },
		{ "\r\n.", "\r\n..\r\n.\r\n" },
		/* what the decoder never lets through: still nothing that could end the message for anybody */
		{ "a\n.\n", "a\n..\n\r\n.\r\n" },
		{ "a\r.\r\n", "a\r..\r\n.\r\n" },
		{ "a\r", "a\r\n.\r\n" },
		{ "\n", "\n\r\n.\r\n" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t chunk = 1; chunk <= strlen(rows[i].in) + 1; chunk++) {
			struct buf out = encode(span_of(rows[i].in), chunk);
			CHECK_SPAN(rows[i].out, buf_span(&out));
			buf_free(&out);
		}
	}
}

static void what_is_sent_comes_back(void)
{
	static const char text[] = "Subject: x\r\n\r\n.\r\n..\r\n.a\r\n\r\n...\r\nend.\r\n";

	for (size_t a = 1; a < sizeof text; a++) {
		struct buf wire = encode(span_of(text), a);
		struct result r = decode(buf_span(&wire), a + 1, SMTP_DATA_REFUSE, false);
		CHECK_INT(SMTP_DATA_END, r.event);
		CHECK_INT(wire.n, r.consumed);
		CHECK_SPAN(text, buf_span(&r.out));
		CHECK_INT(0, r.d.flags);
		buf_free(&r.out);
		buf_free(&wire);
	}
}

TEST_MAIN(TEST(plain_bodies_end_where_they_should), TEST(only_crlf_dot_crlf_ends_a_message_when_refusing),
	  TEST(bare_endings_become_whole_when_normalising), TEST(bdat_bodies_have_no_dots),
	  TEST(long_lines_are_counted_at_the_limit), TEST(sending_stuffs_dots_and_ends_the_body),
	  TEST(what_is_sent_comes_back))
