#include "base/json.h"
#include "test.h"

static void documents_have_their_commas(void)
{
	struct buf b = BUF_INIT(4096);
	struct json j = json_to(&b);

	json_object(&j, NULL);
	json_int(&j, "a", -5);
	json_array(&j, "list");
	json_array_end(&j);
	json_array(&j, "more");
	json_int(&j, NULL, 1);
	json_object(&j, NULL);
	json_object_end(&j);
	json_object(&j, NULL);
	json_null(&j, "x");
	json_object_end(&j);
	json_str(&j, NULL, SPAN("y"));
	json_array_end(&j);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_cstr(&j, "null", NULL);
	json_key_span(&j, SPAN("da\"ta"));
	json_array(&j, NULL);
	json_int(&j, NULL, 2);
	json_int(&j, NULL, 3);
	json_array_end(&j);
	json_raw(&j, "raw", SPAN("{\"k\":1}"));
	json_object_end(&j);
	CHECK_SPAN(
		"{\"a\":-5,\"list\":[],\"more\":[1,{},{\"x\":null},\"y\"],\"yes\":true,\"no\":false,\"null\":null,"
		"\"da\\\"ta\":[2,3],\"raw\":{\"k\":1}}",
		buf_span(&b));
	buf_free(&b);
}

static void check_escape(const char *want, struct span s)
{
	struct buf b = BUF_INIT(4096);

	json_escape(&b, s);
	CHECK_SPAN(want, buf_span(&b));
	buf_free(&b);
}

static void peer_bytes_are_escaped(void)
{
	check_escape("", (struct span){ NULL, 0 });
	check_escape("plain", SPAN("plain"));
	check_escape("a\\\"b\\\\c", SPAN("a\"b\\c"));
	check_escape("\\r\\n\\t\\u0000\\u001b[2J\\u007f", SPAN("\r\n\t\0\x1b[2J\x7f"));
	check_escape("Gr\xc3\xbc\xc3\x9f", SPAN("Gr\xc3\xbc\xc3\x9f"));
	check_escape("\xf0\x9f\x98\x80", SPAN("\xf0\x9f\x98\x80"));
	check_escape("\\ufffd", SPAN("\xff"));
	check_escape("a\\ufffdb", SPAN("a\xc3"
				       "b"));
	check_escape("\\ufffd\\ufffd\\ufffd", SPAN("\xed\xa0\x80"));
	check_escape("x\\ufffd", SPAN("x\xe2"));
	/* The second set of control characters: U+009B begins a terminal's command as ESC [ does. */
	check_escape("<\\u009b>\xc2\xa0", SPAN("<\xc2\x9b>\xc2\xa0"));
	check_escape("\\u0080\\u009f", SPAN("\xc2\x80\xc2\x9f"));
}

static void an_overflow_shows(void)
{
	struct buf b = BUF_INIT(20);
	struct json j = json_to(&b);

	json_object(&j, NULL);
	json_str(&j, "key", SPAN("a text that does not fit"));
	json_object_end(&j);
	CHECK(b.overflow);
	buf_free(&b);
}

TEST_MAIN(TEST(documents_have_their_commas), TEST(peer_bytes_are_escaped), TEST(an_overflow_shows))
