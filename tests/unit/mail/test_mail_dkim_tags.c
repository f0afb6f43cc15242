#include "mail/mail_dkim_tags.h"

#include "base/buf.h"
#include "test.h"

static void lists_are_read(void)
{
	struct mail_dkim_tags t;

	CHECK_INT(0, mail_dkim_tags_parse(SPAN(" v=1; a = rsa-sha256 ;\r\n\tb=ab c\r\n d= ; n_1=;"), &t));
	CHECK_INT(4, t.n);
	CHECK_SPAN("1", mail_dkim_tags_value(&t, "v"));
	CHECK_SPAN("rsa-sha256", mail_dkim_tags_value(&t, "a"));
	CHECK_SPAN("ab c\r\n d=", mail_dkim_tags_value(&t, "b"));
	CHECK_SPAN("", mail_dkim_tags_value(&t, "n_1"));
	CHECK(mail_dkim_tags_find(&t, "n_1") != NULL);
	CHECK(mail_dkim_tags_find(&t, "A") == NULL);
}

static void names_differ_by_case(void)
{
	struct mail_dkim_tags t;

	CHECK_INT(0, mail_dkim_tags_parse(SPAN("a=1;A=2"), &t));
	CHECK_SPAN("1", mail_dkim_tags_value(&t, "a"));
	CHECK_SPAN("2", mail_dkim_tags_value(&t, "A"));
}

static void what_is_no_list_is_refused(void)
{
	static const struct span bad[] = {
		SPAN_INIT(""),         SPAN_INIT(";"),       SPAN_INIT("a"),      SPAN_INIT("=1"),
		SPAN_INIT("a=1;;b=2"), SPAN_INIT("a=1;a=1"), SPAN_INIT("1a=1"),   SPAN_INIT("a b=1"),
		SPAN_INIT("_a=1"),     SPAN_INIT("a=\1"),    SPAN_INIT("a=x\0y"), SPAN_INIT("a=1; b"),
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct mail_dkim_tags t = { .n = 77 };
		if (mail_dkim_tags_parse(bad[i], &t) != -ERR_SYNTAX)
			FAIL("\"%.*s\" was taken", SPAN_ARG(bad[i]));
		CHECK_INT(77, t.n);
	}
}

static void there_is_a_maximum(void)
{
	struct buf b = BUF_INIT(1000);
	struct mail_dkim_tags t = { .n = 77 };

	for (int i = 0; i < MAIL_DKIM_TAGS_MAX; i++)
		buf_addf(&b, "t%d=%d;", i, i);
	CHECK_INT(0, mail_dkim_tags_parse(buf_span(&b), &t));
	CHECK_INT(MAIL_DKIM_TAGS_MAX, t.n);
	buf_add_str(&b, "more=1");
	CHECK_INT(-ERR_TOOBIG, mail_dkim_tags_parse(buf_span(&b), &t));
	buf_free(&b);
}

static void words_and_octets(void)
{
	struct arena *a = arena_new(10000);
	struct span list = SPAN("from : To:\r\n\tsubject"), octets = { NULL, 0 };
	uint64_t v = 5;

	CHECK_SPAN("from", mail_dkim_list_next(&list, ':'));
	CHECK_SPAN("To", mail_dkim_list_next(&list, ':'));
	CHECK_SPAN("subject", mail_dkim_list_next(&list, ':'));
	CHECK(mail_dkim_list_next(&list, ':').p == NULL);
	CHECK_INT(0, mail_dkim_base64(a, SPAN("Zm9v\r\n\tYm F y"), &octets));
	CHECK_SPAN("foobar", octets);
	CHECK_INT(-ERR_SYNTAX, mail_dkim_base64(a, SPAN("Zm9vY"), &octets));
	CHECK_SPAN("foobar", octets);
	CHECK_INT(0, mail_dkim_number(SPAN("1528637909"), &v));
	CHECK_INT(1528637909, v);
	CHECK_INT(-ERR_SYNTAX, mail_dkim_number(SPAN("-1"), &v));
	CHECK_INT(-ERR_SYNTAX, mail_dkim_number(SPAN(""), &v));
	CHECK_INT(-ERR_SYNTAX, mail_dkim_number(SPAN("99999999999999999999"), &v));
	arena_free(&a);
}

TEST_MAIN(TEST(lists_are_read), TEST(names_differ_by_case), TEST(what_is_no_list_is_refused),
	  TEST(there_is_a_maximum), TEST(words_and_octets))
