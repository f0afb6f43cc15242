/* Patterns of Lua 5.1 with a budget. */
#include "base/err.h"
#include "policy/pattern.h"
#include "test.h"

static uint64_t spent; /* of the last find() */

static int find(const char *s, const char *pattern, struct pattern_match *m)
{
	const char *why = "";
	uint64_t steps = 100000;
	const int r = pattern_find(span_of(s), span_of(pattern), 0, 0, &steps, m, &why);

	spent = 100000 - steps;
	return r;
}

static void check_match(const char *s, const char *pattern, const char *whole, const char *capture)
{
	struct pattern_match m;

	CHECK_INT(1, find(s, pattern, &m));
	CHECK_SPAN(whole, span_make(s + m.at, m.n));
	if (capture) {
		CHECK_INT(1, m.captures);
		CHECK_SPAN(capture, span_make(s + m.capture[0].at, m.capture[0].n));
	}
}

static void check_none(const char *s, const char *pattern)
{
	struct pattern_match m;

	CHECK_INT(0, find(s, pattern, &m));
}

static void check_error(const char *pattern, int err)
{
	struct pattern_match m;

	CHECK_INT(err, find("aaaa", pattern, &m));
}

static void items(void)
{
	check_match("hello", "l+", "ll", NULL);
	check_match("hello", "h.-o", "hello", NULL);
	check_match("hello", "l?o", "lo", NULL);
	check_match("hello", "x*", "", NULL);
	check_match("hello", "lo$", "lo", NULL);
	check_match("a$b", "a$b", "a$b", NULL);
	check_match("hello", "^he", "he", NULL);
	check_none("hello", "^el");
	check_none("hello", "h$");
	check_match("  x", "%S", "x", NULL);
	check_match("ab12", "%d+", "12", NULL);
	check_match("ab12", "%a+()", "ab", "");
	check_match("x-y", "[a%-]", "-", NULL);
	check_match("x]y", "[]]", "]", NULL);
	check_match("x^y", "[x^]+", "x^", NULL);
	check_match("abc", "[^a-b]", "c", NULL);
	check_match("a-z", "[a-]+", "a-", NULL);
	check_match("\x7f\x01", "%c+", "\x7f\x01", NULL);
	check_match("a.b", "%.", ".", NULL);
	check_match("f00", "%x+", "f00", NULL);
	check_none("", ".");
	check_match("", "^$", "", NULL);
}

static void captures(void)
{
	struct pattern_match m;

	check_match("key=value", "=(%w+)", "=value", "value");
	check_match("(a(b)c)d", "(%b())", "(a(b)c)", "(a(b)c)");
	check_match("THE (quick)", "%f[%a](%a+)%f[%A]", "THE", "THE");
	check_match("xx-abab-", "(ab)%1", "abab", "ab");
	CHECK_INT(1, find("hello", "()ll()", &m));
	CHECK_INT(2, m.captures);
	CHECK(m.capture[0].position && m.capture[1].position);
	CHECK_INT(2, m.capture[0].at);
	CHECK_INT(4, m.capture[1].at);
	CHECK_INT(1, find("abc", "(a)(b)(c)", &m));
	CHECK_INT(3, m.captures);
}

static void mistakes(void)
{
	check_error("%", -ERR_SYNTAX);
	check_error("[a", -ERR_SYNTAX);
	check_error("[]", -ERR_SYNTAX);
	check_error("[a%", -ERR_SYNTAX);
	check_error("(a", -ERR_SYNTAX);
	check_error("a)", -ERR_SYNTAX);
	check_error("%1", -ERR_SYNTAX);
	check_error("%bx", -ERR_SYNTAX);
	check_error("%fa", -ERR_SYNTAX);
	check_error("()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()", -ERR_TOOBIG);
}

static void the_budget_ends_it(void)
{
	struct pattern_match m;
	char s[3001];

	memset(s, 'a', 3000);
	s[3000] = 0;
	CHECK_INT(-ERR_LIMIT, find(s, ".-.-.-b", &m));
	CHECK_INT(100000, (long long)spent);
	CHECK_INT(-ERR_LIMIT, find("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
				   "(a?)(a?)(a?)(a?)(a?)(a?)(a?)(a?)(a?)(a?)a*a*a*a*b", &m));
	CHECK_INT(1, find(s, "a*", &m));
	CHECK(spent < 4000);
	CHECK_INT(3000, (long long)m.n);
}

static void a_place_to_begin(void)
{
	const char *why;
	uint64_t steps = 1000;
	struct pattern_match m;

	CHECK_INT(1, pattern_find(SPAN("abab"), SPAN("b"), 2, 0, &steps, &m, &why));
	CHECK_INT(3, m.at);
	CHECK_INT(1, pattern_find(SPAN("a^a"), SPAN("^a"), 0, PATTERN_CARET_IS_PLAIN, &steps, &m, &why));
	CHECK_INT(1, m.at);
	CHECK_INT(1, pattern_find(SPAN("abc"), SPAN("$"), 0, 0, &steps, &m, &why));
	CHECK_INT(3, m.at);
	CHECK(!pattern_is_special(SPAN("plain text")));
	CHECK(pattern_is_special(SPAN("a.b")));
	CHECK_INT(1, pattern_find(SPAN("a\0b"), SPAN("\0"), 0, 0, &steps, &m, &why));
	CHECK_INT(1, m.at);
}

TEST_MAIN(TEST(items), TEST(captures), TEST(mistakes), TEST(the_budget_ends_it), TEST(a_place_to_begin))
