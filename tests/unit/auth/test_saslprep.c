#include "auth/auth_saslprep.h"
#include "test.h"

static void check(int line, struct span in, int want_err, const char *want)
{
	struct buf out = BUF_INIT(200);

	buf_add_str(&out, "<");
	const int err = auth_saslprep(in, &out);
	if (err != want_err)
		FAIL("line %d: \"%.*s\" gave %s, not %s", line, SPAN_ARG(in), err_name(err),
		     err_name(want_err));
	CHECK_SPAN("<", span_first(buf_span(&out), 1));
	CHECK_SPAN(err < 0 ? "" : want, span_skip(buf_span(&out), 1));
	buf_free(&out);
}
#define PREPARED(want, in) check(__LINE__, in, 0, want)
#define REFUSED(err, in)   check(__LINE__, in, -(err), "")

/* RFC 4013 section 3; the fourth and fifth examples there (an ordinal sign, a Roman numeral) are compatibility forms. */
static void the_examples_of_the_rfc(void)
{
	PREPARED("IX", SPAN("I\xc2\xadX"));
	PREPARED("user", SPAN("user"));
	PREPARED("USER", SPAN("USER"));
	REFUSED(ERR_UNSUPPORTED, SPAN("\xc2\xaa"));
	REFUSED(ERR_UNSUPPORTED, SPAN("\xe2\x85\xa8"));
	REFUSED(ERR_INVAL, SPAN("\x07"));
	REFUSED(ERR_UNSUPPORTED, SPAN("\xd8\xa7\x31"));
}

static void letters_of_many_scripts_stay(void)
{
	PREPARED("Gr\xc3\xbc\xc3\x9f"
		 "e \xe2\x82\xac",
		 SPAN("Gr\xc3\xbc\xc3\x9f"
		      "e \xe2\x82\xac"));
	PREPARED("\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c",
		 SPAN("\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c"));
	PREPARED("\xe5\xaf\x86\xe7\xa0\x81", SPAN("\xe5\xaf\x86\xe7\xa0\x81"));
	PREPARED("\xed\x95\x9c", SPAN("\xed\x95\x9c"));
}

static void spaces_become_one_and_invisibles_none(void)
{
	PREPARED("a b", SPAN("a\xc2\xa0"
			     "b"));
	PREPARED("a b", SPAN("a\xe3\x80\x80"
			     "b"));
	PREPARED("ab", SPAN("a\xe2\x80\x8b"
			    "b\xef\xbb\xbf"));
	PREPARED("Ab1", SPAN("\xef\xbc\xa1"
			     "b\xef\xbc\x91"));
}

static void what_cannot_be_prepared_is_refused(void)
{
	REFUSED(ERR_INVAL, SPAN(""));
	REFUSED(ERR_INVAL, ((struct span){ NULL, 0 }));
	REFUSED(ERR_INVAL, SPAN("\xc2\xad")); /* nothing is left */
	REFUSED(ERR_INVAL, SPAN("a\0b"));
	REFUSED(ERR_INVAL, SPAN("a\x7f"));
	REFUSED(ERR_INVAL, SPAN("a\xc2\x85"));
	REFUSED(ERR_SYNTAX, SPAN("a\xff"));
	REFUSED(ERR_SYNTAX, SPAN("a\xc3"));
	REFUSED(ERR_UNSUPPORTED, SPAN("e\xcc\x81")); /* would have to be composed */
	REFUSED(ERR_UNSUPPORTED, SPAN("\xd7\x90"));
	REFUSED(ERR_UNSUPPORTED, SPAN("\xf0\x9f\x94\x91"));
}

static void a_full_buf_takes_nothing(void)
{
	struct buf out = BUF_INIT(4);

	CHECK_INT(-ERR_TOOBIG, auth_saslprep(SPAN("12345"), &out));
	CHECK_INT(0, out.n);
	buf_free(&out);
}

TEST_MAIN(TEST(the_examples_of_the_rfc), TEST(letters_of_many_scripts_stay),
	  TEST(spaces_become_one_and_invisibles_none), TEST(what_cannot_be_prepared_is_refused),
	  TEST(a_full_buf_takes_nothing))
