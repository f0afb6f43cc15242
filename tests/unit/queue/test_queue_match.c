#include "test.h"

#include "queue/queue_match.h"

static bool glob(const char *pattern, const char *text)
{
	return queue_match_glob(span_of(pattern), span_of(text));
}

static void globs(void)
{
	CHECK(glob("", ""));
	CHECK(!glob("", "a"));
	CHECK(glob("abc", "ABC"));
	CHECK(!glob("abc", "abcd"));
	CHECK(!glob("abcd", "abc"));
	CHECK(glob("*", ""));
	CHECK(glob("*", "anything"));
	CHECK(glob("a*c", "abbbc"));
	CHECK(glob("a*c", "ac"));
	CHECK(!glob("a*c", "ab"));
	CHECK(glob("*b*b*", "abab"));
	CHECK(!glob("*b*b*b*", "abab"));
	CHECK(glob("a?c", "abc"));
	CHECK(!glob("a?c", "ac"));
	CHECK(glob("mfp-??", "MFP-17"));
	CHECK(glob("*aab", "aaaaaaaaaaaaaaaaaab"));
	CHECK(glob("a**b", "a123b"));
}

static void long_globs_end_soon(void)
{
	static char text[20000], pattern[64];

	memset(text, 'a', sizeof text - 1);
	for (size_t i = 0; i + 2 < sizeof pattern; i += 2) {
		pattern[i] = '*';
		pattern[i + 1] = 'a';
	}
	pattern[sizeof pattern - 2] = 'b';
	CHECK(!glob(pattern, text));
}

static void addresses(void)
{
	CHECK(queue_match_address(SPAN("bob@example.org"), SPAN("Bob@EXAMPLE.org")));
	CHECK(queue_match_address(SPAN("@example.org"), SPAN("bob@example.org")));
	CHECK(!queue_match_address(SPAN("@example.org"), SPAN("bob@mail.example.org")));
	CHECK(queue_match_address(SPAN("@*.example.org"), SPAN("bob@mail.example.org")));
	CHECK(queue_match_address(SPAN("@example.org"), SPAN("\"a@b\"@example.org")));
	CHECK(!queue_match_address(SPAN("@example.org"), SPAN("")));
	CHECK(queue_match_address(SPAN("<>"), SPAN("")));
	CHECK(!queue_match_address(SPAN("<>"), SPAN("a@b")));
	CHECK(queue_match_address(SPAN("b*@example.*"), SPAN("bob@example.net")));
	CHECK(!queue_match_address(SPAN("@"), SPAN("a@b")));
}

static void domains(void)
{
	CHECK(queue_match_domain(SPAN("example.org"), SPAN("example.org")));
	CHECK(!queue_match_domain(SPAN("example.org"), SPAN("mail.example.org")));
	CHECK(queue_match_domain(SPAN("@example.org"), SPAN("example.org")));
	CHECK(queue_match_domain(SPAN("@Example.org"), SPAN("mail.example.org")));
	CHECK(!queue_match_domain(SPAN("@example.org"), SPAN("notexample.org")));
	CHECK(queue_match_domain(SPAN("*.org"), SPAN("example.org")));
	CHECK(!queue_match_domain(SPAN("@"), SPAN("example.org")));
}

TEST_MAIN(TEST(globs), TEST(long_globs_end_soon), TEST(addresses), TEST(domains))
