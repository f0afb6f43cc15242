#include "smtp/smtp_reply.h"

#include "base/err.h"
#include "test.h"

static void enhanced_codes(void)
{
	static const struct {
		const char *in;
		int rc;
		const char *out;
	} rows[] = {
		{ "2.0.0 OK", 5, "2.0.0" },      { "5.7.1", 5, "5.7.1" },
		{ "4.4.2\ttext", 5, "4.4.2" },   { "5.10.123 x", 8, "5.10.123" },
		{ "5.7.1\nmore", 5, "5.7.1" },   { "5.7", -ERR_SYNTAX, "" },
		{ "5.7.", -ERR_SYNTAX, "" },     { "3.0.0 x", -ERR_SYNTAX, "" },
		{ "5.7.1x", -ERR_SYNTAX, "" },   { "5.7.1.2", -ERR_SYNTAX, "" },
		{ "5.1000.1", -ERR_SYNTAX, "" }, { "", -ERR_SYNTAX, "" },
		{ "5..1 x", -ERR_SYNTAX, "" },   { "55.7.1 x", -ERR_SYNTAX, "" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_enhanced e = SMTP_ENHANCED(0, 0, 0);
		CHECK_INT(rows[i].rc, smtp_enhanced_parse(span_of(rows[i].in), &e));
		CHECK_STR(rows[i].out, smtp_enhanced_format(e).s);
	}
}

static void classes(void)
{
	CHECK_INT(SMTP_REPLY_NONE, smtp_reply_class(199));
	CHECK_INT(SMTP_REPLY_OK, smtp_reply_class(250));
	CHECK_INT(SMTP_REPLY_MORE, smtp_reply_class(354));
	CHECK_INT(SMTP_REPLY_TEMP, smtp_reply_class(421));
	CHECK_INT(SMTP_REPLY_PERM, smtp_reply_class(599));
	CHECK_INT(SMTP_REPLY_NONE, smtp_reply_class(600));
}

static void replies_are_written(void)
{
	static const struct {
		unsigned code;
		struct smtp_enhanced e;
		const char *text;
		unsigned flags;
		const char *out;
	} rows[] = {
		{ 250, { 2, 1, 0 }, "Ok", 0, "250 2.1.0 Ok\r\n" },
		{ 220, { 0, 0, 0 }, "mx.example ESMTP", 0, "220 mx.example ESMTP\r\n" },
		{ 354, { 2, 0, 0 }, "go on", 0, "354 go on\r\n" }, /* RFC 2034: none on 3xx */
		{ 550, { 4, 7, 1 }, "no", 0, "550 5.7.1 no\r\n" }, /* the class agrees with the code */
		{ 550, { 5, 7, 1 }, "a\nb\r\nc", 0, "550-5.7.1 a\r\n550-5.7.1 b\r\n550 5.7.1 c\r\n" },
		{ 550, { 5, 7, 1 }, "a\n", 0, "550 5.7.1 a\r\n" },
		{ 550, { 5, 7, 1 }, "a\n\nb", 0, "550-5.7.1 a\r\n550-5.7.1 \r\n550 5.7.1 b\r\n" },
		{ 250, { 0, 0, 0 }, "", 0, "250 \r\n" },
		/* no text can forge a reply */
		{ 550, { 5, 7, 1 }, "x\r250 ok", 0, "550 5.7.1 x 250 ok\r\n" },
		{ 550, { 5, 7, 1 }, "x\r\n250 ok", 0, "550-5.7.1 x\r\n550 5.7.1 250 ok\r\n" },
		{ 550, { 5, 7, 1 }, "x\033[2J\177\001y\t", 0, "550 5.7.1 x?[2J??y\t\r\n" },
		{ 550, { 5, 7, 1 }, "f\xc3\xbcr", 0, "550 5.7.1 f?r\r\n" },
		{ 550, { 5, 7, 1 }, "f\xc3\xbcr", SMTP_REPLY_UTF8, "550 5.7.1 f\xc3\xbcr\r\n" },
		{ 550, { 5, 7, 1 }, "\xff\xc3", SMTP_REPLY_UTF8, "550 5.7.1 ??\r\n" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = BUF_INIT(4096);
		CHECK(smtp_reply_add(&out, rows[i].code, rows[i].e, span_of(rows[i].text), rows[i].flags));
		CHECK_SPAN(rows[i].out, buf_span(&out));
		buf_free(&out);
	}
}

/* Every line is at most 512 octets with its CRLF, and nothing is lost but the space at which a line was broken. */
static void long_text_is_broken(void)
{
	for (size_t n = 490; n < 1600; n += 7) {
		for (unsigned word = 0; word < 3; word++) {
			struct buf text = BUF_INIT(4096), out = BUF_INIT(8192), back = BUF_INIT(8192);
			for (size_t i = 0; i < n; i++)
				buf_add_char(&text, word && i % (word * 100) == 99 ? ' ' : 'x');
			NEED(smtp_reply_add(&out, 550, SMTP_ENHANCED(5, 7, 1), buf_span(&text), 0));
			struct span rest = buf_span(&out);
			size_t lines = 0;
			while (rest.n) {
				struct span line = span_cut(&rest, '\n');
				CHECK(line.n + 1 <= SMTP_REPLY_LINE_MAX);
				CHECK(span_ends(line, SPAN("\r")));
				CHECK(span_starts(line, rest.n ? SPAN("550-5.7.1 ") : SPAN("550 5.7.1 ")));
				line = span_skip(line, 10);
				line.n--;
				if (lines++ && word)
					buf_add_char(&back, ' ');
				buf_add_span(&back, line);
			}
			CHECK(span_eq(buf_span(&text), buf_span(&back)));
			buf_free(&text);
			buf_free(&out);
			buf_free(&back);
		}
	}
	/* not inside a character */
	struct buf text = BUF_INIT(4096), out = BUF_INIT(8192);
	for (int i = 0; i < 400; i++)
		buf_add_str(&text, "\xe2\x82\xac");
	CHECK(smtp_reply_add(&out, 251, SMTP_ENHANCED(2, 1, 5), buf_span(&text), SMTP_REPLY_UTF8));
	CHECK(span_find_char(buf_span(&out), '?') < 0);
	buf_free(&text);
	buf_free(&out);
}

static void a_reply_that_does_not_fit_is_not_begun(void)
{
	struct buf out = BUF_INIT(30);

	CHECK(smtp_reply_add(&out, 250, SMTP_ENHANCED(2, 0, 0), SPAN("Ok"), 0));
	CHECK(!smtp_reply_add(&out, 250, SMTP_ENHANCED(2, 0, 0), SPAN("a\nb"), 0));
	CHECK_SPAN("250 2.0.0 Ok\r\n", buf_span(&out));
	buf_free(&out);
}

/* Feeds @in in chunks; returns what the parser said last. */
static int feed(struct smtp_reply_parser *p, struct span *in, size_t chunk, const char **why_r)
{
	int rc = 0;

	while (rc == 0 && in->n) {
		const struct span part = span_first(*in, chunk);
		char *const copy = malloc(part.n);
		struct span rest = { copy, part.n };
		memcpy(copy, part.p, part.n);
		rc = smtp_reply_parse(p, &rest, why_r);
		*in = span_skip(*in, part.n - rest.n);
		free(copy);
	}
	return rc;
}

static void replies_are_read(void)
{
	static const struct {
		const char *in;
		unsigned code;
		const char *enhanced, *text;
		unsigned lines, notes;
		const char *rest;
	} rows[] = {
		{ "250 2.1.0 Ok\r\n", 250, "2.1.0", "2.1.0 Ok", 1, 0, "" },
		{ "250 Ok\r\n354 go\r\n", 250, "", "Ok", 1, 0, "354 go\r\n" },
		{ "250\r\n", 250, "", "", 1, 0, "" },
		{ "250 \r\n", 250, "", "", 1, 0, "" },
		{ "250-a\r\n250-b\r\n250 c\r\n", 250, "", "a\nb\nc", 3, 0, "" },
		{ "250-First line\r\n250-Second line\r\n250-234 Text beginning with numbers\r\n250 The last line\r\n",
		  250, "", "First line\nSecond line\n234 Text beginning with numbers\nThe last line", 4, 0,
		  "" },
		{ "550-5.7.1 no\r\n550 5.7.1 never\r\n", 550, "5.7.1", "5.7.1 no\n5.7.1 never", 2, 0, "" },
		{ "550-no\r\n550 5.7.1 never\r\n", 550, "5.7.1", "no\n5.7.1 never", 2, 0, "" },
		{ "550-\r\n550\r\n", 550, "", "\n", 2, 0, "" },
		{ "250 ok\n", 250, "", "ok", 1, SMTP_REPLY_BARE_LF, "" },
		{ "250-a\n250 b\r\n", 250, "", "a\nb", 2, SMTP_REPLY_BARE_LF, "" },
		{ "250\n", 250, "", "", 1, SMTP_REPLY_BARE_LF, "" },
		{ "250 a\rb\r\r\n", 250, "", "a?b?", 1, SMTP_REPLY_CONTROL, "" },
		{ "250 a\033[1m\r\n", 250, "", "a?[1m", 1, SMTP_REPLY_CONTROL, "" },
		{ "251 \xc3\xbc@b\r\n", 251, "", "\xc3\xbc@b", 1, 0, "" },
		{ "421 4.3.2 bye\r\n", 421, "4.3.2", "4.3.2 bye", 1, 0, "" },
		{ "299 odd\r\n", 299, "", "odd", 1, 0, "" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t chunk = 1; chunk <= strlen(rows[i].in); chunk++) {
			struct smtp_reply_parser p;
			struct span in = span_of(rows[i].in);
			const char *why = NULL;
			smtp_reply_parser_init(&p, 200);
			CHECK(!smtp_reply_parser_is_midway(&p));
			CHECK_INT(1, feed(&p, &in, chunk, &why));
			CHECK(!smtp_reply_parser_is_midway(&p));
			CHECK_INT(rows[i].code, p.reply.code);
			CHECK_STR(rows[i].enhanced, smtp_enhanced_format(p.reply.enhanced).s);
			CHECK_SPAN(rows[i].text, p.reply.text);
			CHECK_INT(rows[i].lines, p.reply.lines);
			CHECK_INT(rows[i].notes, p.reply.notes);
			CHECK_SPAN(rows[i].rest, in);
			smtp_reply_parser_deinit(&p);
		}
	}
}

static void what_is_no_reply_is_an_error(void)
{
	static const struct {
		const char *in;
		const char *why;
	} rows[] = {
		{ "hello\r\n", "not a reply code" },
		{ "\r\n", "not a reply code" },
		{ "150 x\r\n", "not a reply code" },
		{ "650 x\r\n", "not a reply code" },
		{ "25x y\r\n", "not a reply code" },
		{ "25\r\n", "not a reply code" },
		{ "2500 x\r\n", "no space after the reply code" },
		{ "250x\r\n", "no space after the reply code" },
		{ "250-a\r\n251 b\r\n", "reply lines have different codes" },
		{ "250-a\r\nb\r\n", "not a reply code" },
		{ "HTTP/1.1 400 Bad Request\r\n", "not a reply code" },
		{ "\x15\x03\x03", "not a reply code" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t chunk = 1; chunk <= strlen(rows[i].in); chunk++) {
			struct smtp_reply_parser p;
			struct span in = span_of(rows[i].in);
			const char *why = "";
			smtp_reply_parser_init(&p, 200);
			CHECK_INT(-ERR_SYNTAX, feed(&p, &in, chunk, &why));
			CHECK_STR(rows[i].why, why);
			smtp_reply_parser_deinit(&p);
		}
	}
}

static void one_parser_reads_many_replies(void)
{
	struct smtp_reply_parser p;
	struct span in = SPAN("250-x\r\n250 5.1.1 y\r\n354\r\n550 5.1.1 z\r\n25");
	const char *why = NULL;

	smtp_reply_parser_init(&p, 3);
	CHECK_INT(1, smtp_reply_parse(&p, &in, &why));
	CHECK_SPAN("x\n5", p.reply.text);
	CHECK_INT(SMTP_REPLY_TRUNCATED, p.reply.notes);
	CHECK_INT(1, smtp_reply_parse(&p, &in, &why));
	CHECK_INT(354, p.reply.code);
	CHECK_INT(0, p.reply.text.n);
	CHECK_INT(0, p.reply.notes);
	CHECK_INT(1, smtp_reply_parse(&p, &in, &why));
	CHECK_INT(550, p.reply.code);
	CHECK_INT(0, smtp_reply_parse(&p, &in, &why));
	CHECK(smtp_reply_parser_is_midway(&p));
	CHECK_INT(0, in.n);
	smtp_reply_parser_deinit(&p);
}

static void endless_replies_end(void)
{
	struct smtp_reply_parser p;
	const char *why = "";
	int rc = 0;
	unsigned n = 0;

	smtp_reply_parser_init(&p, 100);
	for (; rc == 0 && n < 10000; n++) {
		struct span in = SPAN("250-x\r\n");
		rc = smtp_reply_parse(&p, &in, &why);
	}
	CHECK_INT(-ERR_TOOBIG, rc);
	CHECK_INT(SMTP_REPLY_LINES_MAX, n);
	CHECK_STR("reply has too many lines", why);
	CHECK(p.text.cap <= 100);
	smtp_reply_parser_deinit(&p);

	smtp_reply_parser_init(&p, 100);
	struct span in = SPAN("250 ");
	rc = smtp_reply_parse(&p, &in, &why);
	for (n = 0; rc == 0 && n < 10000; n++) {
		in = SPAN("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		rc = smtp_reply_parse(&p, &in, &why);
	}
	CHECK_INT(-ERR_TOOBIG, rc);
	CHECK_STR("reply too long", why);
	CHECK(n <= SMTP_REPLY_OCTETS_MAX / 32 + 1);
	smtp_reply_parser_deinit(&p);
}

TEST_MAIN(TEST(enhanced_codes), TEST(classes), TEST(replies_are_written), TEST(long_text_is_broken),
	  TEST(a_reply_that_does_not_fit_is_not_begun), TEST(replies_are_read),
	  TEST(what_is_no_reply_is_an_error), TEST(one_parser_reads_many_replies), TEST(endless_replies_end))
