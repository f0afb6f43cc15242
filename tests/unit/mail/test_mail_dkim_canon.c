#include "mail/mail_dkim_canon.h"

#include "test.h"

/* The body in pieces of @step octets. */
static void canon_body(struct buf *out, enum mail_dkim_canon canon, uint64_t limit, struct span body,
		       size_t step, uint64_t *octets_r)
{
	struct mail_dkim_body b = mail_dkim_body_init(canon, limit);
	struct span run;

	buf_reset(out);
	for (size_t i = 0; i < body.n; i += step) {
		struct span piece = span_first(span_skip(body, i), step);
		while (mail_dkim_body_next(&b, &piece, &run))
			buf_add_span(out, run);
		CHECK_INT(0, piece.n);
	}
	while (mail_dkim_body_end(&b, &run))
		buf_add_span(out, run);
	*octets_r = b.octets;
}

static const struct {
	struct span body, simple, relaxed;
} bodies[] = {
	/* RFC 6376 section 3.4.5 */
	{ SPAN_INIT(" C \r\nD \t E\r\n\r\n\r\n"), SPAN_INIT(" C \r\nD \t E\r\n"),
	  SPAN_INIT(" C\r\nD E\r\n") },
	{ SPAN_INIT(""), SPAN_INIT("\r\n"), SPAN_INIT("") },
	{ SPAN_INIT("\r\n"), SPAN_INIT("\r\n"), SPAN_INIT("") },
	{ SPAN_INIT("\r\n\r\n\r\n"), SPAN_INIT("\r\n"), SPAN_INIT("") },
	{ SPAN_INIT("x"), SPAN_INIT("x\r\n"), SPAN_INIT("x\r\n") },
	{ SPAN_INIT("x\r\n"), SPAN_INIT("x\r\n"), SPAN_INIT("x\r\n") },
	{ SPAN_INIT(" "), SPAN_INIT(" \r\n"), SPAN_INIT("") },
	{ SPAN_INIT(" \t\r\n \r\n"), SPAN_INIT(" \t\r\n \r\n"), SPAN_INIT("") },
	{ SPAN_INIT("a\r\n \r\n\t\r\n"), SPAN_INIT("a\r\n \r\n\t\r\n"), SPAN_INIT("a\r\n") },
	{ SPAN_INIT("\r\n\r\na"), SPAN_INIT("\r\n\r\na\r\n"), SPAN_INIT("\r\n\r\na\r\n") },
	{ SPAN_INIT("a \r\n\r\n \tb\tc  d \t"), SPAN_INIT("a \r\n\r\n \tb\tc  d \t\r\n"),
	  SPAN_INIT("a\r\n\r\n b c d\r\n") },
	{ SPAN_INIT("a b\tc d\r\ne\r\n\r\nf g"), SPAN_INIT("a b\tc d\r\ne\r\n\r\nf g\r\n"),
	  SPAN_INIT("a b c d\r\ne\r\n\r\nf g\r\n") },
	/* A CR or LF alone ends no line. */
	{ SPAN_INIT("a\rb\nc\r"), SPAN_INIT("a\rb\nc\r\r\n"), SPAN_INIT("a\rb\nc\r\r\n") },
	{ SPAN_INIT("a \r\r\n\n\r\n"), SPAN_INIT("a \r\r\n\n\r\n"), SPAN_INIT("a \r\r\n\n\r\n") },
	{ SPAN_INIT("\r\r\r\n"), SPAN_INIT("\r\r\r\n"), SPAN_INIT("\r\r\r\n") },
	{ SPAN_INIT("a\0b \xff\r\n"), SPAN_INIT("a\0b \xff\r\n"), SPAN_INIT("a\0b \xff\r\n") },
};

static void bodies_in_pieces_of_any_size(void)
{
	struct buf out = BUF_INIT(1000);

	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		for (size_t step = 1; step <= bodies[i].body.n + 1; step++) {
			uint64_t octets = 0;
			canon_body(&out, MAIL_DKIM_SIMPLE, MAIL_DKIM_NO_LIMIT, bodies[i].body, step, &octets);
			if (!span_eq(buf_span(&out), bodies[i].simple) || octets != bodies[i].simple.n)
				FAIL("body %zu in %zus, simple: \"%.*s\"", i, step, (int)out.n, out.p);
			canon_body(&out, MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT, bodies[i].body, step,
				   &octets);
			if (!span_eq(buf_span(&out), bodies[i].relaxed) || octets != bodies[i].relaxed.n)
				FAIL("body %zu in %zus, relaxed: \"%.*s\"", i, step, (int)out.n,
				     out.p ? out.p : "");
		}
	buf_free(&out);
}

static void many_blank_lines_cost_nothing_until_they_count(void)
{
	struct mail_dkim_body b = mail_dkim_body_init(MAIL_DKIM_RELAXED, MAIL_DKIM_NO_LIMIT);
	struct span piece, run;
	size_t octets = 0;

	for (int i = 0; i < 1000; i++) {
		piece = SPAN(" \t\r\n");
		CHECK(!mail_dkim_body_next(&b, &piece, &run));
	}
	piece = SPAN("x");
	while (mail_dkim_body_next(&b, &piece, &run))
		octets += run.n;
	CHECK_INT(2001, octets);
}

static void the_limit_cuts(void)
{
	struct buf out = BUF_INIT(1000);
	const struct span body = SPAN("ab  c\r\n\r\nd\r\n");
	const struct span whole = SPAN("ab c\r\n\r\nd\r\n");

	for (uint64_t limit = 0; limit <= whole.n + 2; limit++)
		for (size_t step = 1; step <= body.n; step++) {
			uint64_t octets = 0;
			canon_body(&out, MAIL_DKIM_RELAXED, limit, body, step, &octets);
			CHECK(span_eq(span_first(whole, (size_t)limit), buf_span(&out)));
			CHECK_INT(whole.n, octets);
		}
	buf_free(&out);
}

static void fields(void)
{
	static const struct {
		const char *raw, *simple, *relaxed;
	} cases[] = {
		/* RFC 6376 section 3.4.5 */
		{ "A: X\r\n", "A: X\r\n", "a:X\r\n" },
		{ "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
		{ "SUBJect:\r\n  a\r\n\t b ", "SUBJect:\r\n  a\r\n\t b \r\n", "subject:a b\r\n" },
		{ "Empty:\r\n", "Empty:\r\n", "empty:\r\n" },
		{ "Empty: \r\n \r\n", "Empty: \r\n \r\n", "empty:\r\n" },
		{ "X: a:b\n c\n", "X: a:b\r\n c\r\n", "x:a:b c\r\n" },
		{ "X: a\rb\r\n", "X: a b\r\n", "x:a b\r\n" },
	};
	struct buf out = BUF_INIT(1000);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_reset(&out);
		CHECK(mail_dkim_canon_field(&out, MAIL_DKIM_SIMPLE, span_of(cases[i].raw)));
		CHECK_SPAN(cases[i].simple, buf_span(&out));
		buf_reset(&out);
		CHECK(mail_dkim_canon_field(&out, MAIL_DKIM_RELAXED, span_of(cases[i].raw)));
		CHECK_SPAN(cases[i].relaxed, buf_span(&out));
	}
	buf_free(&out);
}

static void the_signature_is_left_out_of_its_field(void)
{
	static const struct {
		const char *raw, *simple, *relaxed;
	} cases[] = {
		{ "DKIM-Signature: v=1; b=abc; bh=xyz\r\n", "DKIM-Signature: v=1; b=; bh=xyz",
		  "dkim-signature:v=1; b=; bh=xyz" },
		{ "DKIM-Signature: v=1; bh=xyz;\r\n\tb=ab\r\n\t c= \r\n",
		  "DKIM-Signature: v=1; bh=xyz;\r\n\tb=", "dkim-signature:v=1; bh=xyz; b=" },
		{ "DKIM-Signature: b = abc\r\n ;v=1\r\n", "DKIM-Signature: b =;v=1",
		  "dkim-signature:b =;v=1" },
		{ "DKIM-Signature:b=;h=b=x\r\n", "DKIM-Signature:b=;h=b=x", "dkim-signature:b=;h=b=x" },
		{ "DKIM-Signature: v=1\r\n", "DKIM-Signature: v=1", "dkim-signature:v=1" },
	};
	struct buf out = BUF_INIT(1000);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_reset(&out);
		CHECK(mail_dkim_canon_signature(&out, MAIL_DKIM_SIMPLE, span_of(cases[i].raw)));
		CHECK_SPAN(cases[i].simple, buf_span(&out));
		buf_reset(&out);
		CHECK(mail_dkim_canon_signature(&out, MAIL_DKIM_RELAXED, span_of(cases[i].raw)));
		CHECK_SPAN(cases[i].relaxed, buf_span(&out));
	}
	buf_free(&out);
}

TEST_MAIN(TEST(bodies_in_pieces_of_any_size), TEST(many_blank_lines_cost_nothing_until_they_count),
	  TEST(the_limit_cuts), TEST(fields), TEST(the_signature_is_left_out_of_its_field))
