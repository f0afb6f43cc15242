#include "mail/mail_head_scan.h"

#include "test.h"

static const struct {
	const char *message;
	enum mail_head_end end;
	unsigned octets;
} cases[] = {
	{ "", MAIL_HEAD_END_NONE, 0 },
	{ "\r\nbody", MAIL_HEAD_END_BLANK, 2 },
	{ "\nbody", MAIL_HEAD_END_BLANK, 1 },
	{ "A: b\r\n\r\nbody", MAIL_HEAD_END_BLANK, 8 },
	{ "A: b\n\nbody", MAIL_HEAD_END_BLANK, 6 },
	{ "A: b\r\n\nbody", MAIL_HEAD_END_BLANK, 7 },
	{ "A: b\r\n c\r\n\tC: d\r\n\r\n", MAIL_HEAD_END_BLANK, 19 },
	{ "A : b\r\n\r\n", MAIL_HEAD_END_BLANK, 9 },
	{ "A\t \t: b\r\n\r\n", MAIL_HEAD_END_BLANK, 11 },
	{ "A:\r\n\r\n", MAIL_HEAD_END_BLANK, 6 },
	{ "A: b\r\nno field\r\n\r\n", MAIL_HEAD_END_JUNK, 6 },
	{ "A: b\r\n: no name\r\n\r\n", MAIL_HEAD_END_JUNK, 6 },
	{ "A: b\r\nno-colon\r\n\r\n", MAIL_HEAD_END_JUNK, 6 },
	{ "A: b\r\nno-colon\n\n", MAIL_HEAD_END_JUNK, 6 },
	{ "A: b\r\n\r\r\n", MAIL_HEAD_END_JUNK, 6 },
	{ "A: b\r\n\rB: c\r\n\r\n", MAIL_HEAD_END_JUNK, 6 },
	{ "A: b\r\nB\xc3\xa4: c\r\n\r\n", MAIL_HEAD_END_JUNK, 6 },
	{ "A: b\r\nB\r: c\r\n\r\n", MAIL_HEAD_END_JUNK, 6 },
	{ "just a body", MAIL_HEAD_END_JUNK, 0 },
	{ " A: b\r\n\r\n", MAIL_HEAD_END_JUNK, 0 },
	{ "A: b\r\n", MAIL_HEAD_END_NONE, 0 },
	{ "A: b", MAIL_HEAD_END_NONE, 0 },
	{ "A: b\r\nword", MAIL_HEAD_END_JUNK, 6 },
	{ "A: b\r\n\r", MAIL_HEAD_END_JUNK, 6 },
	{ "From x@y Mon Jan  1\r\nA: b\r\n\r\n", MAIL_HEAD_END_BLANK, 29 },
	{ ">From x@y Mon Jan  1\r\nA: b\r\n\r\n", MAIL_HEAD_END_BLANK, 30 },
	{ ">>From x@y\r\nA: b\r\n\r\n", MAIL_HEAD_END_JUNK, 0 },
	{ "From: x@y\r\n\r\n", MAIL_HEAD_END_BLANK, 13 },
	{ "From : x@y\r\n\r\n", MAIL_HEAD_END_BLANK, 14 },
	{ ">A: b\r\n\r\n", MAIL_HEAD_END_BLANK, 9 },
	{ "A: b\r\nFrom x@y Mon\r\n\r\n", MAIL_HEAD_END_JUNK, 6 },
	{ "from x@y Mon\r\n\r\n", MAIL_HEAD_END_JUNK, 0 },
	{ "From\r\n\r\n", MAIL_HEAD_END_JUNK, 0 },
};

/* The result does not depend on where the message is cut. */
static void the_end_is_found_whatever_the_pieces(void)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct span m = span_of(cases[i].message);
		for (size_t step = 1; step <= m.n + 1; step++) {
			struct mail_head_scan s = MAIL_HEAD_SCAN_INIT;
			for (size_t at = 0; at < m.n; at += step)
				mail_head_scan_feed(&s, span_first(span_skip(m, at), step));
			const bool known = mail_head_scan_finish(&s);
			if (s.end != cases[i].end)
				printf("  case %zu, pieces of %zu:\n", i, step);
			CHECK_INT(cases[i].end, s.end);
			CHECK_INT(cases[i].end != MAIL_HEAD_END_NONE, known);
			if (known)
				CHECK_INT(cases[i].octets, s.line_octets);
		}
	}
}

static void pieces_behind_the_end_are_ignored(void)
{
	struct mail_head_scan s = MAIL_HEAD_SCAN_INIT;

	CHECK(!mail_head_scan_feed(&s, SPAN("A: b\r\n")));
	CHECK(mail_head_scan_feed(&s, SPAN("\r\n\r\nmore")));
	CHECK(mail_head_scan_feed(&s, SPAN("B: c\r\n\r\n")));
	CHECK_INT(8, s.line_octets);
}

TEST_MAIN(TEST(the_end_is_found_whatever_the_pieces), TEST(pieces_behind_the_end_are_ignored))
