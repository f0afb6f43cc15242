#include "smtp/smtp_domain.h"

#include "base/err.h"
#include "test.h"

#define L10 "abcdefghij"
#define L60 L10 L10 L10 L10 L10 L10
#define L63 L60 "xyz"
#define D64 L63 "."

static void domain_names(void)
{
	enum { UTF8 = SMTP_ALLOW_UTF8, DOT = SMTP_LAX_TRAILING_DOT, UNDER = SMTP_LAX_UNDERSCORE };
	static const struct {
		const char *in;
		unsigned flags;
		int rc;
		unsigned tolerated;
	} rows[] = {
		{ "example.org", 0, 11, 0 },
		{ "EXAMPLE.ORG", 0, 11, 0 },
		{ "a", 0, 1, 0 },
		{ "localhost", 0, 9, 0 },
		{ "1.2.3.4", 0, 7, 0 },
		{ "a-b.c--d.e", 0, 10, 0 },
		{ "xn--bcher-kva.example", 0, 21, 0 },
		{ L63 ".org", 0, 67, 0 },
		{ L63 "x.org", 0, -ERR_TOOBIG, 0 },
		{ D64 D64 D64 L63, 0, 255, 0 },
		{ D64 D64 D64 D64 "a", 0, -ERR_TOOBIG, 0 },
		{ D64 D64 D64 L63 ".", DOT, 255, DOT },
		{ "", 0, -ERR_SYNTAX, 0 },
		{ ".", DOT, -ERR_SYNTAX, 0 },
		{ ".a", 0, -ERR_SYNTAX, 0 },
		{ "a..b", DOT, -ERR_SYNTAX, 0 },
		{ "a.", 0, -ERR_SYNTAX, 0 },
		{ "a.", DOT, 1, DOT },
		{ "a..", DOT, -ERR_SYNTAX, 0 },
		{ "-a.b", 0, -ERR_SYNTAX, 0 },
		{ "a-.b", 0, -ERR_SYNTAX, 0 },
		{ "a_b.c", 0, -ERR_SYNTAX, 0 },
		{ "a_b.c", UNDER, 5, UNDER },
		{ "_a.b_", UNDER, 5, UNDER },
		{ "a b", SMTP_LAX_ALL, -ERR_SYNTAX, 0 },
		{ "a&b", SMTP_LAX_ALL, -ERR_SYNTAX, 0 },
		{ "a@b", SMTP_LAX_ALL, -ERR_SYNTAX, 0 },
		{ "[1.2.3.4]", SMTP_LAX_ALL, -ERR_SYNTAX, 0 },
		{ "b\xc3\xbc"
		  "cher.example",
		  0, -ERR_SYNTAX, 0 },
		{ "b\xc3\xbc"
		  "cher.example",
		  UTF8, 15, 0 },
		{ "\xe4\xbe\x8b\xe5\xad\x90.\xe5\xb9\xbf\xe5\x91\x8a", UTF8, 13, 0 },
		{ "\xff.example", UTF8, -ERR_SYNTAX, 0 },
		{ "\xc3.example", UTF8, -ERR_SYNTAX, 0 },
		{ "ours.example\xe3\x80\x82"
		  "evil.example",
		  UTF8, -ERR_SYNTAX, 0 }, /* ideographic full stop */
		{ "a\xef\xbc\x8e"
		  "b",
		  UTF8, -ERR_SYNTAX, 0 }, /* full-width full stop */
		{ "a\xe2\x80\xae"
		  "b",
		  UTF8, -ERR_SYNTAX, 0 }, /* right-to-left override */
		{ "a\xc2\xa0"
		  "b",
		  UTF8, -ERR_SYNTAX, 0 }, /* no-break space */
		{ "a\xe2\x80\x8d"
		  "b",
		  UTF8, 5, 0 }, /* a joiner */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *why = NULL;
		unsigned tolerated = 0;
		const int rc = smtp_domain_check(span_of(rows[i].in), rows[i].flags, &tolerated, &why);
		CHECK_INT(rows[i].rc, rc);
		CHECK((rc < 0) == (why != NULL));
		if (rc > 0)
			CHECK_INT(rows[i].tolerated, tolerated);
		if (rc != rows[i].rc)
			printf("  row %zu: %s: %s\n", i, rows[i].in, why ? why : "");
	}
}

static void a_u_label_has_at_most_59_characters(void)
{
	char in[2 * 60];

	for (int i = 0; i < 60; i++)
		memcpy(in + 2 * i, "\xc3\xbc", 2);
	unsigned tolerated = 0;
	const char *why = NULL;
	CHECK_INT(118, smtp_domain_check(span_make(in, 118), SMTP_ALLOW_UTF8, &tolerated, &why));
	CHECK_INT(-ERR_TOOBIG, smtp_domain_check(span_make(in, 120), SMTP_ALLOW_UTF8, &tolerated, &why));
}

static void address_literals(void)
{
	static const struct {
		const char *in;
		unsigned flags;
		int rc;
		const char *text;
		int len;
	} rows[] = {
		{ "[192.0.2.1]", 0, 0, "[192.0.2.1]", 4 },
		{ "[IPv6:2001:DB8:0:0::1]", 0, 0, "[IPv6:2001:db8::1]", 16 },
		{ "[ipv6:::1]", 0, 0, "[IPv6:::1]", 16 },
		{ "[IPv6:::ffff:192.0.2.1]", 0, 0, "[192.0.2.1]", 4 },
		{ "[tag-1:some.content!]", 0, 0, "[tag-1:some.content!]", 0 },
		{ "[2001:db8::1]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[2001:db8::1]", SMTP_LAX_LITERAL, 0, "[IPv6:2001:db8::1]", 16 },
		{ "[IPv6:192.0.2.1]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[IPv6:2001:db8]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[192.0.2.256]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[192.0.2]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[", 0, -ERR_SYNTAX, NULL, 0 },
		{ "192.0.2.1", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[192.0.2.1", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[tag:]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[:x]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[tag-:x]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[tag:a b]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[tag:a]b]", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[example.org]", 0, -ERR_SYNTAX, NULL, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_literal literal;
		const char *why = NULL;
		unsigned tolerated = 0;
		const int rc =
			smtp_literal_parse(span_of(rows[i].in), rows[i].flags, &tolerated, &literal, &why);
		CHECK_INT(rows[i].rc, rc);
		if (rc < 0)
			continue;
		CHECK_STR(rows[i].text, literal.text);
		CHECK_INT(rows[i].len, literal.addr.len);
		CHECK_INT(rows[i].flags, tolerated);
	}
}

static void a_literal_has_a_limit(void)
{
	char in[300] = "[tag:";
	struct smtp_literal literal;
	unsigned tolerated = 0;
	const char *why = NULL;

	memset(in + 5, 'x', sizeof in - 5);
	in[254] = ']';
	CHECK_INT(0, smtp_literal_parse(span_make(in, 255), 0, &tolerated, &literal, &why));
	in[254] = 'x';
	in[255] = ']';
	CHECK_INT(-ERR_TOOBIG, smtp_literal_parse(span_make(in, 256), 0, &tolerated, &literal, &why));
}

TEST_MAIN(TEST(domain_names), TEST(a_u_label_has_at_most_59_characters), TEST(address_literals),
	  TEST(a_literal_has_a_limit))
