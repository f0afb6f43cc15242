/* JSON in: what is taken, what is not, and where it says so. */
#include "base/buf.h"
#include "base/err.h"
#include "base/json_parse.h"
#include "test.h"

/* What the listener heard, written shortly: {k"a"n1s"x"bt}... */
static int hear(void *arg, const struct json_token *t)
{
	struct buf *b = arg;

	switch (t->event) {
	case JSON_NULL:
		buf_add_str(b, "0");
		break;
	case JSON_BOOL:
		buf_add_str(b, t->boolean ? "t" : "f");
		break;
	case JSON_NUMBER:
		buf_addf(b, "n%g", t->number);
		break;
	case JSON_STRING:
		buf_addf(b, "s'%.*s'", SPAN_ARG(t->string));
		break;
	case JSON_KEY:
		buf_addf(b, "k'%.*s'", SPAN_ARG(t->string));
		break;
	case JSON_OBJECT:
		buf_add_str(b, "{");
		break;
	case JSON_OBJECT_END:
		buf_add_str(b, "}");
		break;
	case JSON_ARRAY:
		buf_add_str(b, "[");
		break;
	case JSON_ARRAY_END:
		buf_add_str(b, "]");
		break;
	}
	return 0;
}

static void check_heard(const char *text, const char *heard)
{
	struct buf b = BUF_INIT(4096);
	const char *why = "";
	size_t at;

	CHECK_INT(0, json_parse(span_of(text), hear, &b, &at, &why));
	CHECK_SPAN(heard, buf_span(&b));
	buf_free(&b);
}

static void check_refused(const char *text, int err, size_t at, const char *why)
{
	struct buf b = BUF_INIT(4096);
	const char *got_why = "";
	size_t got_at = 0;

	CHECK_INT(err, json_parse(span_of(text), hear, &b, &got_at, &got_why));
	CHECK_STR(why, got_why);
	CHECK_INT((long long)at, (long long)got_at);
	buf_free(&b);
}

static void values_are_heard(void)
{
	check_heard("{\"a\":[1,-2.5e1,true,false,null],\"b\":{}}", "{k'a'[n1n-25tf0]k'b'{}}");
	check_heard(" [ ] ", "[]");
	check_heard("\"x\"", "s'x'");
	check_heard("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e4\\ud83d\\ude00\"",
		    "s'\"\\/\b\f\n\r\tA\xc3\xa4\xf0\x9f\x98\x80'");
	check_heard("0", "n0");
	check_heard("[\"\"]", "[s'']");
}

static void the_rest_is_refused(void)
{
	check_refused("", -ERR_SYNTAX, 0, "a value is expected");
	check_refused("[1,]", -ERR_SYNTAX, 3, "a value is expected");
	check_refused("{\"a\":1,}", -ERR_SYNTAX, 7, "a name in quotes is expected");
	check_refused("{a:1}", -ERR_SYNTAX, 1, "a name in quotes is expected");
	check_refused("{\"a\" 1}", -ERR_SYNTAX, 5, "':' is expected");
	check_refused("[1 2]", -ERR_SYNTAX, 3, "',' or ']' is expected");
	check_refused("1 2", -ERR_SYNTAX, 2, "something follows the value");
	check_refused("01", -ERR_SYNTAX, 0, "not a number");
	check_refused("1.", -ERR_SYNTAX, 0, "not a number");
	check_refused("-", -ERR_SYNTAX, 0, "not a number");
	check_refused("1e999", -ERR_TOOBIG, 0, "a number is too large");
	check_refused("NaN", -ERR_SYNTAX, 0, "a value is expected");
	check_refused("\"a", -ERR_SYNTAX, 2, "a string without an end");
	check_refused("\"a\nb\"", -ERR_SYNTAX, 2, "a control character in a string");
	check_refused("\"\xff\"", -ERR_SYNTAX, 1, "not UTF-8");
	check_refused("\"\\x\"", -ERR_SYNTAX, 3, "unknown escape");
	check_refused("\"\\ud800x\"", -ERR_SYNTAX, 7, "half of a surrogate pair");
	check_refused("[", -ERR_SYNTAX, 1, "a value is expected");
	check_refused("]", -ERR_SYNTAX, 0, "a value is expected");
	check_refused("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", -ERR_TOOBIG, 32, "too deep");
}

static int stop(void *arg, const struct json_token *t)
{
	(void)arg;
	return t->event == JSON_NUMBER ? -ERR_LIMIT : 0;
}

static void the_listener_may_stop(void)
{
	const char *why = "";
	size_t at;

	CHECK_INT(-ERR_LIMIT, json_parse(SPAN("[1,2]"), stop, NULL, &at, &why));
	CHECK_STR("", why);
}

TEST_MAIN(TEST(values_are_heard), TEST(the_rest_is_refused), TEST(the_listener_may_stop))
