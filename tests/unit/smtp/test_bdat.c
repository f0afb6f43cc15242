#include "smtp/smtp_bdat.h"

#include "base/err.h"
#include "test.h"

static void arguments(void)
{
	static const struct {
		const char *in;
		int rc;
		uint64_t octets;
		bool is_last;
	} rows[] = {
		{ "0", 0, 0, false },
		{ "0 LAST", 0, 0, true },
		{ "86 LAST", 0, 86, true },
		{ "86 last", 0, 86, true },
		{ "86  last ", 0, 86, true },
		{ "100000", 0, 100000, false },
		{ "00086", 0, 86, false },
		{ "9223372036854775807", 0, INT64_MAX, false },
		{ "9223372036854775808", -ERR_TOOBIG, 0, false },
		{ "99999999999999999999999", -ERR_TOOBIG, 0, false },
		{ "", -ERR_SYNTAX, 0, false },
		{ "LAST", -ERR_SYNTAX, 0, false },
		{ "-1", -ERR_SYNTAX, 0, false },
		{ "1x", -ERR_SYNTAX, 0, false },
		{ "1 FIRST", -ERR_SYNTAX, 0, false },
		{ "1 LAST LAST", -ERR_SYNTAX, 0, false },
		{ "0x10", -ERR_SYNTAX, 0, false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_bdat_chunk c = { 4711, false };
		const char *why = NULL;
		CHECK_INT(rows[i].rc, smtp_bdat_parse(span_of(rows[i].in), &c, &why));
		CHECK((rows[i].rc < 0) == (why != NULL));
		CHECK_INT(rows[i].rc < 0 ? 4711 : rows[i].octets, c.octets);
		CHECK_INT(rows[i].is_last, c.is_last);
	}
}

static void chunks_are_counted_off_the_input(void)
{
	struct smtp_bdat b;
	struct span in = SPAN("abcdefBDAT 3 LAST\r\nghi");

	smtp_bdat_init(&b, 9);
	CHECK_INT(0, smtp_bdat_begin(&b, (struct smtp_bdat_chunk){ 6, false }));
	struct span first = span_first(in, 4);
	CHECK_SPAN("abcd", smtp_bdat_take(&b, &first));
	CHECK_INT(0, first.n);
	CHECK_INT(2, b.remaining);
	in = span_skip(in, 4);
	CHECK_SPAN("ef", smtp_bdat_take(&b, &in));
	CHECK_SPAN("BDAT 3 LAST\r\nghi", in);
	CHECK_INT(0, b.remaining);
	CHECK_INT(0, smtp_bdat_begin(&b, (struct smtp_bdat_chunk){ 3, true }));
	CHECK_INT(9, b.octets);
	CHECK(b.is_last);
}

static void too_much_is_said_and_still_taken(void)
{
	struct smtp_bdat b;
	struct span in = SPAN("abcdef");

	smtp_bdat_init(&b, 5);
	CHECK_INT(-ERR_TOOBIG, smtp_bdat_begin(&b, (struct smtp_bdat_chunk){ 6, false }));
	CHECK_SPAN("abcdef", smtp_bdat_take(&b, &in));
	CHECK_INT(-ERR_TOOBIG, smtp_bdat_begin(&b, (struct smtp_bdat_chunk){ 0, true }));
	CHECK_INT(-ERR_BUSY, smtp_bdat_begin(&b, (struct smtp_bdat_chunk){ 0, false }));

	/* a client that adds up to more than 64 bits does not get below the maximum again */
	smtp_bdat_init(&b, 5);
	for (int i = 0; i < 4; i++) {
		CHECK_INT(-ERR_TOOBIG, smtp_bdat_begin(&b, (struct smtp_bdat_chunk){ INT64_MAX, false }));
		b.remaining = 0;
	}
}

TEST_MAIN(TEST(arguments), TEST(chunks_are_counted_off_the_input), TEST(too_much_is_said_and_still_taken))
