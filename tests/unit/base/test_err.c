#include <errno.h>
#include <limits.h>

#include "base/err.h"
#include "test.h"

static void names_and_texts_belong_together(void)
{
	CHECK_STR("NOSPACE", err_name(ERR_NOSPACE));
	CHECK_STR("NOSPACE", err_name(-ERR_NOSPACE));
	CHECK_STR("no space", err_text(-ERR_NOSPACE));
	CHECK_STR("NONE", err_name(0));
	CHECK_INT(ERR_CLASS_TEMP, err_class(-ERR_NOSPACE));
	CHECK_INT(ERR_CLASS_PERM, err_class(-ERR_SYNTAX));
	CHECK_INT(ERR_CLASS_BUG, err_class(-ERR_BUG));
}

static void an_unknown_error_is_a_bug(void)
{
	CHECK_STR("BUG", err_name(ERR_MAX_));
	CHECK_STR("BUG", err_name(INT_MIN));
	CHECK_STR("BUG", err_name(INT_MAX));
	CHECK_INT(ERR_CLASS_BUG, err_class(-1000));
}

static void every_error_has_words(void)
{
	for (int i = 0; i < ERR_MAX_; i++)
		CHECK(err_name(i)[0] && err_text(i)[0]);
}

static void errno_is_translated(void)
{
	CHECK_INT(ERR_NONE, err_from_errno(0));
	CHECK_INT(ERR_NOSPACE, err_from_errno(ENOSPC));
	CHECK_INT(ERR_NOSPACE, err_from_errno(EDQUOT));
	CHECK_INT(ERR_CLOSED, err_from_errno(EPIPE));
	CHECK_INT(ERR_REFUSED, err_from_errno(ECONNREFUSED));
	CHECK_INT(ERR_IO, err_from_errno(EIO));
	CHECK_INT(ERR_IO, err_from_errno(9999));
	/* A file system that was remounted read-only after an error must not make refusals permanent. */
	CHECK_INT(ERR_CLASS_TEMP, err_class(err_from_errno(EROFS)));
}

static void text_is_wrapped_outwards(void)
{
	struct errtext e;

	CHECK_INT(-ERR_IO, errtext_set(&e, ERR_IO, "fdatasync: %s", "Input/output error"));
	CHECK_INT(-ERR_IO, errtext_set(NULL, -ERR_IO, "nobody listens"));
	errtext_wrap(&e, "segment %d", 17);
	errtext_wrap(&e, "spool");
	CHECK_STR("spool: segment 17: fdatasync: Input/output error", e.s);
	errtext_wrap(NULL, "nobody listens");
}

static void text_may_be_its_own_argument(void)
{
	struct errtext e;

	errtext_set(&e, ERR_IO, "inner");
	errtext_set(&e, ERR_IO, "<%s>", e.s);
	CHECK_STR("<inner>", e.s);
	errtext_wrap(&e, "(%s)", e.s);
	CHECK_STR("(<inner>): <inner>", e.s);
}

static void long_text_is_cut_at_its_end(void)
{
	struct errtext e;
	char big[400];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = 0;
	errtext_set(&e, ERR_IO, "%s", "cause");
	for (int i = 0; i < 60; i++)
		errtext_wrap(&e, "layer %d", i);
	CHECK(strncmp(e.s, "layer 59: layer 58: ", 20) == 0);
	CHECK_INT(sizeof e.s - 1, strlen(e.s));
	errtext_wrap(&e, "%s", big);
	CHECK_INT(sizeof e.s - 1, strlen(e.s));
	errtext_set(&e, ERR_IO, "%s", big);
	CHECK_INT(sizeof e.s - 1, strlen(e.s));
}

TEST_MAIN(TEST(names_and_texts_belong_together), TEST(an_unknown_error_is_a_bug), TEST(every_error_has_words),
	  TEST(errno_is_translated), TEST(text_is_wrapped_outwards), TEST(text_may_be_its_own_argument),
	  TEST(long_text_is_cut_at_its_end))
