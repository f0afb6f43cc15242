#include "mail/mail_head.h"

#include "base/err.h"
#include "base/mem.h"
#include "mail/mail_fold.h"
#include "test.h"

enum { OCTETS_MAX = 256 * 1024 };

/* A head from text, in an arena that the test frees. */
static struct mail_head *parse(struct arena *a, const char *text)
{
	struct mail_head *h = NULL;

	NEED(mail_head_parse(a, span_of(text), OCTETS_MAX, &h) >= 0);
	return h;
}

static void check_written(const char *want, const struct mail_head *h)
{
	struct buf b = BUF_INIT(4 * OCTETS_MAX);

	CHECK_INT(0, mail_head_write(h, &b));
	CHECK_SPAN(want, buf_span(&b));
	buf_free(&b);
}

static void fields_are_found(void)
{
	static const char text[] = "Received: one\r\n"
				   "Received: two\r\n"
				   "Subject : Scan\r\n\tof a  page \r\n"
				   "TO:a@example.edu\r\n"
				   "received:\tthree\r\n"
				   "\r\n"
				   "Subject: in the body\r\n";
	struct arena *a = arena_new(10000);
	struct mail_head *h = NULL;

	CHECK_INT(sizeof text - 1 - 22, mail_head_parse(a, span_of(text), OCTETS_MAX, &h));
	NEED(h);
	CHECK_INT(5, h->count);
	CHECK_INT(MAIL_HEAD_END_BLANK, h->end);
	CHECK_INT(MAIL_HEAD_NAME_SPACE, h->oddities);
	CHECK_INT(3, mail_head_count(h, SPAN("Received")));
	CHECK_SPAN("one", mail_field_value(a, mail_head_find(h, SPAN("RECEIVED"), 0)));
	CHECK_SPAN("three", mail_field_value(a, mail_head_find(h, SPAN("received"), 2)));
	CHECK_SPAN("three", mail_field_value(a, mail_head_find(h, SPAN("received"), -1)));
	CHECK_SPAN("one", mail_field_value(a, mail_head_find(h, SPAN("received"), -3)));
	CHECK(!mail_head_find(h, SPAN("received"), 3));
	CHECK(!mail_head_find(h, SPAN("received"), -4));
	CHECK(!mail_head_find(h, SPAN("Receive"), 0));
	CHECK_SPAN("Scan\tof a  page", mail_head_value(h, SPAN("subject")));
	CHECK_SPAN("Subject", mail_head_find(h, SPAN("subject"), 0)->name);
	CHECK_SPAN(" Scan\r\n\tof a  page ", mail_head_find(h, SPAN("subject"), 0)->body);
	CHECK_SPAN("a@example.edu", mail_head_value(h, SPAN("To")));
	CHECK(!mail_head_value(h, SPAN("Cc")).p);
	size_t n = 0;
	for (struct mail_field *f = mail_head_next(h, NULL); f; f = mail_head_next(h, f))
		n++;
	CHECK_INT(5, n);
	arena_free(&a);
}

static void nobody_touched_it_so_it_is_the_same(void)
{
	static const char *const texts[] = {
		"\r\n",
		"A: b\r\n\r\n",
		"A:b\r\nB :  c  \r\n\t d\r\n \r\n\r\n",
		"X-8bit: \xfc\xff\r\nX-Utf8: \xc3\xa4\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct arena *a = arena_new(10000);
		check_written(texts[i], parse(a, texts[i]));
		arena_free(&a);
	}
}

static void broken_line_ends_are_mended(void)
{
	static const struct {
		const char *in, *out;
		unsigned oddities;
	} cases[] = {
		{ "A: b\nB: c\n\n", "A: b\r\nB: c\r\n\r\n", MAIL_HEAD_BARE_LF },
		{ "A: b\r\n\n", "A: b\r\n\r\n", MAIL_HEAD_BARE_LF },
		{ "A: b\rB: c\r\n\r\n", "A: b B: c\r\n\r\n", MAIL_HEAD_BARE_CR },
		{ "A: b\r\r\n\r\n", "A: b \r\n\r\n", MAIL_HEAD_BARE_CR },
		{ "A: b\r\n", "A: b\r\n\r\n", 0 },
		{ "A: b", "A: b\r\n\r\n", 0 },
		{ "A: b\r", "A: b\r\n\r\n", MAIL_HEAD_BARE_CR },
		{ "", "\r\n", 0 },
		{ "A: b\r\nbody\r\n", "A: b\r\n\r\n", MAIL_HEAD_NO_BLANK },
		{ "body\r\n", "\r\n", MAIL_HEAD_NO_BLANK },
		{ "A: b\r\nbody", "A: b\r\n\r\n", MAIL_HEAD_NO_BLANK },
		{ "A: \xff\r\n\r\n", "A: \xff\r\n\r\n", MAIL_HEAD_8BIT },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(10000);
		const struct mail_head *h = parse(a, cases[i].in);
		CHECK_INT(cases[i].oddities, h->oddities);
		check_written(cases[i].out, h);
		arena_free(&a);
	}
}

static void an_mbox_line_is_left_out(void)
{
	struct arena *a = arena_new(10000);
	struct mail_head *h = parse(a, "From x@y Mon Jan  1 00:00:00 2024\nA: b\r\n\r\nbody");

	CHECK_INT(MAIL_HEAD_MBOX_LINE | MAIL_HEAD_BARE_LF, h->oddities);
	CHECK_INT(1, h->count);
	CHECK_SPAN("From x@y Mon Jan  1 00:00:00 2024\n", h->mbox_line);
	check_written("A: b\r\n\r\n", h);
	CHECK_INT(0, mail_head_prepend(h, SPAN("Received"), SPAN("from here"), 0));
	check_written("Received: from here\r\nA: b\r\n\r\n", h);
	arena_free(&a);
}

static void a_head_can_be_edited(void)
{
	struct arena *a = arena_new(10000);
	struct mail_head *h =
		parse(a, "Return-Path: <x@y>\r\nA: 1\r\nreturn-path: <z@y>\r\nB : 2\r\nA: 3\r\n\r\n");

	CHECK_INT(2, mail_head_remove_all(h, SPAN("Return-Path")));
	CHECK_INT(0, mail_head_remove_all(h, SPAN("Return-Path")));
	CHECK_INT(0, mail_head_prepend(h, SPAN("Top"), SPAN("t"), 0));
	CHECK_INT(0, mail_head_append(h, SPAN("Bottom"), SPAN("b"), 0));
	CHECK_INT(0, mail_head_replace(h, mail_head_find(h, SPAN("a"), -1), SPAN("new\r\nvalue"), 0));
	CHECK_INT(0, mail_head_replace(h, mail_head_find(h, SPAN("b"), 0), SPAN("zwei"), 0));
	check_written("Top: t\r\nA: 1\r\nB: zwei\r\nA: new value\r\nBottom: b\r\n\r\n", h);
	mail_head_remove(h, mail_head_find(h, SPAN("A"), 0));
	CHECK_INT(4, h->count);
	check_written("Top: t\r\nB: zwei\r\nA: new value\r\nBottom: b\r\n\r\n", h);
	arena_free(&a);
}

static void values_cannot_become_fields(void)
{
	static const char *const hostile[] = {
		"x\r\nBcc: y", "x\nBcc: y", "x\rBcc: y", "\r\n\r\nBcc: y", "x\r\n Bcc: y", "\nBcc: y\n\n",
	};

	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		struct arena *a = arena_new(100000);
		struct mail_head *h = parse(a, "A: b\r\n\r\n");
		struct mail_head *again = NULL;
		struct buf b = BUF_INIT(1000);
		CHECK_INT(0, mail_head_prepend(h, SPAN("P"), span_of(hostile[i]), 0));
		CHECK_INT(0, mail_head_append(h, SPAN("Q"), span_of(hostile[i]), 0));
		CHECK_INT(0, mail_head_replace(h, mail_head_find(h, SPAN("A"), 0), span_of(hostile[i]), 0));
		CHECK_INT(0, mail_head_write(h, &b));
		CHECK_INT(b.n, mail_head_parse(a, buf_span(&b), OCTETS_MAX, &again));
		NEED(again);
		CHECK_INT(3, again->count);
		CHECK_INT(0, again->oddities);
		CHECK_INT(0, mail_head_count(again, SPAN("Bcc")));
		buf_free(&b);
		arena_free(&a);
	}
}

static void names_cannot_become_fields(void)
{
	struct arena *a = arena_new(10000);
	struct mail_head *h = mail_head_new(a);

	CHECK_INT(-ERR_INVAL, mail_head_append(h, SPAN("A: b\r\nC"), SPAN("d"), 0));
	CHECK_INT(-ERR_INVAL, mail_head_prepend(h, SPAN(""), SPAN("d"), 0));
	CHECK_INT(0, h->count);
	CHECK(!h->edited);
	arena_free(&a);
}

static void raw_fields_are_checked(void)
{
	static const struct {
		const char *raw;
		bool ok;
	} cases[] = {
		{ "A: b\r\n", true },      { "A: b\r\n c\r\n\td\r\n", true },
		{ "A:\r\n b\r\n", true },  { "A: b\r\nB: c\r\n", false },
		{ "A: b\r\n\r\n", false }, { "A: b\r\n \r\n", false },
		{ "A: b\n", false },       { "A: b\r\n c\n", false },
		{ "A: b", false },         { "A: b\rc\r\n", false },
		{ "A: b\x01\r\n", false }, { "A b\r\n", false },
		{ ": b\r\n", false },      { " A: b\r\n", false },
		{ "A B: c\r\n", false },   { "", false },
	};
	struct arena *a = arena_new(100000);
	char line[1100];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct mail_head *h = mail_head_new(a);
		const int rc = mail_head_prepend_raw(h, span_of(cases[i].raw));
		if ((rc == 0) != cases[i].ok)
			printf("  case %zu:\n", i);
		CHECK_INT(cases[i].ok ? 0 : -ERR_INVAL, rc);
	}
	memset(line, 'x', sizeof line);
	memcpy(line, "A:", 2);
	memcpy(line + 998, "\r\n", 2);
	struct mail_head *h = mail_head_new(a);
	CHECK_INT(0, mail_head_prepend_raw(h, span_make(line, 1000)));
	line[998] = 'x';
	memcpy(line + 999, "\r\n", 2);
	CHECK_INT(-ERR_INVAL, mail_head_prepend_raw(h, span_make(line, 1001)));
	CHECK_INT(-ERR_INVAL, mail_head_prepend_raw(h, SPAN("A: \0b\r\n")));
	CHECK_INT(-ERR_INVAL,
		  mail_head_replace_raw(h, mail_head_find(h, SPAN("A"), 0), SPAN("A: b\r\nC: d\r\n")));
	CHECK_INT(0, mail_head_replace_raw(h, mail_head_find(h, SPAN("A"), 0), SPAN("A: b\r\n")));
	check_written("A: b\r\n\r\n", h);
	arena_free(&a);
}

static void maxima_hold(void)
{
	const size_t n = 1024 * 1024;
	char *big = mem_alloc(n + 10);
	struct arena *a = arena_new(4 * 1024 * 1024);
	struct mail_head *h = NULL;

	/* One field of a megabyte. */
	memset(big, 'x', n);
	memcpy(big, "A: ", 3);
	memcpy(big + n, "\r\n\r\n", 4);
	CHECK_INT(-ERR_TOOBIG, mail_head_parse(a, span_make(big, n + 4), OCTETS_MAX, &h));
	CHECK(!h);
	CHECK_INT(n + 4, mail_head_parse(a, span_make(big, n + 4), n + 4, &h));
	NEED(h);
	CHECK_INT(MAIL_HEAD_LONG_LINE, h->oddities);
	CHECK_INT(n - 3, mail_head_value(h, SPAN("a")).n);
	CHECK_INT(-ERR_TOOBIG, mail_head_append(h, SPAN("B"), span_make(big, n), 0));
	/* Too many fields. */
	h = NULL;
	for (size_t i = 0; i < MAIL_HEAD_FIELDS_MAX + 1; i++)
		memcpy(big + 4 * i, "A:\r\n", 4);
	CHECK_INT(4 * MAIL_HEAD_FIELDS_MAX,
		  mail_head_parse(a, span_make(big, 4 * MAIL_HEAD_FIELDS_MAX), n, &h));
	CHECK(h);
	h = NULL;
	CHECK_INT(-ERR_TOOBIG, mail_head_parse(a, span_make(big, 4 * (MAIL_HEAD_FIELDS_MAX + 1)), n, &h));
	CHECK(!h);
	/* An arena that is too small. */
	struct arena *small = arena_new(300);
	CHECK_INT(-ERR_TOOBIG, mail_head_parse(small, span_make(big, 4000), n, &h));
	CHECK(!h);
	arena_free(&small);
	arena_free(&a);
	free(big);
}

static void output_is_bounded(void)
{
	struct arena *a = arena_new(10000);
	const struct mail_head *h = parse(a, "A: b\r\nC: d\r\n\r\n");
	struct buf b = BUF_INIT(13);

	CHECK_INT(-ERR_TOOBIG, mail_head_write(h, &b));
	buf_free(&b);
	arena_free(&a);
}

static void nuls_are_seen_and_kept(void)
{
	struct arena *a = arena_new(10000);
	struct mail_head *h = NULL;
	struct buf b = BUF_INIT(100);

	CHECK_INT(9, mail_head_parse(a, SPAN("A: \0b\r\n\r\n"), OCTETS_MAX, &h));
	CHECK_INT(MAIL_HEAD_NUL, h->oddities);
	CHECK_STR("a NUL octet", mail_head_oddity_text(h->oddities));
	CHECK_STR("nothing odd", mail_head_oddity_text(0));
	CHECK_INT(0, mail_head_write(h, &b));
	CHECK(span_eq(SPAN("A: \0b\r\n\r\n"), buf_span(&b)));
	buf_free(&b);
	arena_free(&a);
}

TEST_MAIN(TEST(fields_are_found), TEST(nobody_touched_it_so_it_is_the_same),
	  TEST(broken_line_ends_are_mended), TEST(an_mbox_line_is_left_out), TEST(a_head_can_be_edited),
	  TEST(values_cannot_become_fields), TEST(names_cannot_become_fields), TEST(raw_fields_are_checked),
	  TEST(maxima_hold), TEST(output_is_bounded), TEST(nuls_are_seen_and_kept))
