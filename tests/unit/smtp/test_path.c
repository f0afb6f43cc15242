#include "smtp/smtp_path.h"

#include "base/err.h"
#include "test.h"

enum {
	NUL_OK = SMTP_ALLOW_NULL,
	POST = SMTP_ALLOW_POSTMASTER,
	UTF8 = SMTP_ALLOW_UTF8,
	IS_Q = SMTP_PATH_IS_QUOTED,
	IS_L = SMTP_PATH_IS_LITERAL,
	IS_U = SMTP_PATH_IS_UTF8,
	IS_N = SMTP_PATH_IS_NULL,
};

static void good_paths_have_one_form(void)
{
	static const struct {
		const char *in;
		unsigned flags;
		int rc;
		const char *local, *domain, *out;
		unsigned is, tolerated;
	} rows[] = {
		{ "<a@b.example>", 0, 13, "a", "b.example", "<a@b.example>", 0, 0 },
		{ "<A.b+c@B.EXAMPLE> SIZE=1", 0, 17, "A.b+c", "b.example", "<A.b+c@b.example>", 0, 0 },
		{ "<!#$%&'*+-/=?^_`{|}~@b>", 0, 23, "!#$%&'*+-/=?^_`{|}~", "b", "<!#$%&'*+-/=?^_`{|}~@b>", 0,
		  0 },
		{ "<>", NUL_OK, 2, "", "", "<>", IS_N, 0 },
		{ "<> BODY=7BIT", NUL_OK, 2, "", "", "<>", IS_N, 0 },
		{ "<postmaster>", POST, 12, "postmaster", "", "<postmaster>", 0, 0 },
		{ "<PostMaster>", POST, 12, "PostMaster", "", "<PostMaster>", 0, 0 },
		/* RFC 5321 section 4.1.2: all quoted forms are one */
		{ "<\"a\"@b>", 0, 7, "a", "b", "<a@b>", 0, 0 },
		{ "<\"\\a\"@b>", 0, 8, "a", "b", "<a@b>", 0, 0 },
		{ "<\"a b\"@c>", 0, 9, "a b", "c", "<\"a b\"@c>", IS_Q, 0 },
		{ "<\"a\\ b\"@c>", 0, 10, "a b", "c", "<\"a b\"@c>", IS_Q, 0 },
		{ "<\"a\\\"b\\\\c\"@d>", 0, 13, "a\"b\\c", "d", "<\"a\\\"b\\\\c\"@d>", IS_Q, 0 },
		{ "<\"Joe\\,Smith\"@b>", 0, 16, "Joe,Smith", "b", "<\"Joe,Smith\"@b>", IS_Q, 0 },
		{ "<\"a..b\"@c>", 0, 10, "a..b", "c", "<\"a..b\"@c>", IS_Q, 0 },
		{ "<\">\"@c>", 0, 7, ">", "c", "<\">\"@c>", IS_Q, 0 },
		{ "<\"a@b\"@c>", 0, 9, "a@b", "c", "<\"a@b\"@c>", IS_Q, 0 },
		/* literals */
		{ "<a@[192.0.2.1]>", 0, 15, "a", "[192.0.2.1]", "<a@[192.0.2.1]>", IS_L, 0 },
		{ "<a@[ipv6:2001:DB8::1]>", 0, 22, "a", "[IPv6:2001:db8::1]", "<a@[IPv6:2001:db8::1]>", IS_L,
		  0 },
		{ "<a@[x-tag:whatever]>", 0, 20, "a", "[x-tag:whatever]", "<a@[x-tag:whatever]>", IS_L, 0 },
		/* source routes (appendix C) are stripped */
		{ "<@a,@b:user@d>", 0, 14, "user", "d", "<user@d>", 0, 0 },
		{ "<@ONE.example,@TWO:JOE@THREE>", 0, 29, "JOE", "three", "<JOE@three>", 0, 0 },
		/* RFC 6531 */
		{ "<j\xc3\xbcrgen@b\xc3\xbc"
		  "cher.example>",
		  UTF8, 25, "j\xc3\xbcrgen",
		  "b\xc3\xbc"
		  "cher.example",
		  "<j\xc3\xbcrgen@b\xc3\xbc"
		  "cher.example>",
		  IS_U, 0 },
		{ "<\"\xc3\xbc \"@b>", UTF8, 9, "\xc3\xbc ", "b", "<\"\xc3\xbc \"@b>", IS_U | IS_Q, 0 },
		{ "<\"\xc3\xbc\"@b>", UTF8, 8, "\xc3\xbc", "b", "<\xc3\xbc@b>", IS_U, 0 },
		/* what can be forgiven */
		{ " <a@b>", SMTP_LAX_SPACE, 6, "a", "b", "<a@b>", 0, SMTP_LAX_SPACE },
		{ "< a@b >", SMTP_LAX_SPACE, 7, "a", "b", "<a@b>", 0, SMTP_LAX_SPACE },
		{ "< >", SMTP_LAX_SPACE | NUL_OK, 3, "", "", "<>", IS_N, SMTP_LAX_SPACE },
		{ "a@b SIZE=1", SMTP_LAX_BRACKETS, 3, "a", "b", "<a@b>", 0, SMTP_LAX_BRACKETS },
		{ "a@b", SMTP_LAX_BRACKETS, 3, "a", "b", "<a@b>", 0, SMTP_LAX_BRACKETS },
		{ "<a@b.>", SMTP_LAX_TRAILING_DOT, 6, "a", "b", "<a@b>", 0, SMTP_LAX_TRAILING_DOT },
		{ "<a@b_c>", SMTP_LAX_UNDERSCORE, 7, "a", "b_c", "<a@b_c>", 0, SMTP_LAX_UNDERSCORE },
		{ "<root>", SMTP_LAX_UNQUALIFIED, 6, "root", "", "<root>", 0, SMTP_LAX_UNQUALIFIED },
		{ "<postmaster>", SMTP_LAX_UNQUALIFIED | POST, 12, "postmaster", "", "<postmaster>", 0, 0 },
		{ "<a..b@c>", SMTP_LAX_DOTS, 8, "a..b", "c", "<\"a..b\"@c>", IS_Q, SMTP_LAX_DOTS },
		{ "<.a@c>", SMTP_LAX_DOTS, 6, ".a", "c", "<\".a\"@c>", IS_Q, SMTP_LAX_DOTS },
		{ "<a.@c>", SMTP_LAX_DOTS, 6, "a.", "c", "<\"a.\"@c>", IS_Q, SMTP_LAX_DOTS },
		{ "<a@[2001:db8::1]>", SMTP_LAX_LITERAL, 17, "a", "[IPv6:2001:db8::1]",
		  "<a@[IPv6:2001:db8::1]>", IS_L, SMTP_LAX_LITERAL },
		/* everything is forgiven, nothing needed it */
		{ "<a@b.example>", SMTP_LAX_ALL, 13, "a", "b.example", "<a@b.example>", 0, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct buf out = BUF_INIT(2000);
		struct smtp_path p = { 0 };
		const char *why = NULL;
		CHECK_INT(rows[i].rc, smtp_path_parse(a, span_of(rows[i].in), rows[i].flags, &p, &why));
		if (why)
			printf("  %s: %s\n", rows[i].in, why);
		CHECK_SPAN(rows[i].local, p.local);
		CHECK_SPAN(rows[i].domain, p.domain);
		CHECK_INT(rows[i].is, p.is);
		CHECK_INT(rows[i].tolerated, p.tolerated);
		CHECK_INT(0, smtp_path_format(&p, &out));
		CHECK_SPAN(rows[i].out, buf_span(&out));
		buf_free(&out);
		arena_free(&a);
	}
}

static void bad_paths_are_refused_with_a_reason(void)
{
	static const struct {
		const char *in;
		unsigned flags;
		const char *why;
	} rows[] = {
		{ "", SMTP_LAX_ALL, "address missing" },
		{ "<", 0, "local part missing or begun by an invalid character" },
		{ "<>", 0, "empty address" },
		{ "< >", NUL_OK, "space in or before the address" },
		{ " <a@b>", 0, "space in or before the address" },
		{ "<a@b >", 0, "space in or before the address" },
		{ "<a@b", 0, "closing angle bracket missing" },
		{ "<a@b> >", 0, NULL },
		{ "<a@b>>", 0, "space missing after the address" },
		{ "<a@b>SIZE=1", 0, "space missing after the address" },
		{ "a@b", 0, "address is not in angle brackets" },
		{ "a@b>", SMTP_LAX_ALL, "space missing after the address" },
		{ "Scanner <a@b>", 0, "address is not in angle brackets" },
		{ "<@b>", 0, "malformed source route" },
		{ "<a@>", 0, "empty domain name" },
		{ "<a>", 0, "address has no domain" },
		{ "<postmaster>", 0, "address has no domain" },
		{ "<hostmaster>", POST, "address has no domain" },
		{ "<a@b@c>", 0, "invalid character in the domain name" },
		{ "<a b@c>", 0, "address has no domain" },
		{ "<a,b@c>", 0, "invalid character in the local part" },
		{ "<a\\@b@c>", 0, "invalid character in the local part" },
		{ "<a\"b\"@c>", 0, "invalid character in the local part" },
		{ "<\"a\"b@c>", 0, "invalid character in the local part" },
		{ "<.a@c>", 0, "misplaced dot in the local part" },
		{ "<a.@c>", 0, "misplaced dot in the local part" },
		{ "<a..b@c>", 0, "misplaced dot in the local part" },
		{ "<\"\"@c>", 0, "empty local part" },
		{ "<\"a@c>", 0, "closing quote missing" },
		{ "<\"a\\", 0, "closing quote missing" },
		{ "<\"a\001\"@c>", 0, "invalid character in the quoted local part" },
		{ "<\"a\\\177\"@c>", 0, "invalid character in the quoted local part" },
		{ "<a@b.>", 0, "domain name ends with a dot" },
		{ "<a@b_c>", 0, "underscore in the domain name" },
		{ "<a@-b>", 0, "domain label begins or ends with a hyphen" },
		{ "<a@[1.2.3]>", 0, "malformed address literal" },
		{ "<a@[1.2.3.4>", 0, "malformed address literal" },
		{ "<a@[2001:db8::1]>", 0, "IPv6 address literal without IPv6:" },
		{ "<@a,b:c@d>", 0, "malformed source route" },
		{ "<@a:>", 0, "local part missing or begun by an invalid character" },
		{ "<@a@b>", 0, "invalid character in the domain name" },
		{ "<@a,@b>", 0, "malformed source route" },
		{ "<@a,:c@d>", 0, "malformed source route" },
		{ "<@[192.0.2.1]:a@b>", 0, "invalid character in the domain name" },
		{ "<\xc3\xbc@b>", 0, "non-ASCII address without SMTPUTF8" },
		{ "<\"\xc3\xbc\"@b>", 0, "non-ASCII address without SMTPUTF8" },
		{ "<a@\xc3\xbc>", 0, "non-ASCII domain name without SMTPUTF8" },
		{ "<\xc3@b>", UTF8, "address is not UTF-8" },
		{ "<a@\xff>", UTF8, "domain name is not UTF-8" },
		{ "<\"\\\xc3\xbc\"@b>", UTF8, "invalid character in the quoted local part" },
		{ "<a\r\n@b>", SMTP_LAX_ALL, "invalid character in the local part" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct smtp_path p = { .is = 99 };
		const char *why = NULL;
		const int rc = smtp_path_parse(a, span_of(rows[i].in), rows[i].flags, &p, &why);
		if (rows[i].why) {
			CHECK_INT(-ERR_SYNTAX, rc);
			CHECK_STR(rows[i].why, why);
			CHECK_INT(99, p.is);
			CHECK_INT(0, arena_used(a));
		} else {
			CHECK(rc > 0);
		}
		arena_free(&a);
	}
}

static void make(struct buf *b, size_t local, size_t domain)
{
	buf_reset(b);
	buf_add_char(b, '<');
	for (size_t i = 0; i < local; i++)
		buf_add_char(b, 'x');
	buf_add_char(b, '@');
	for (size_t i = 1; i <= domain; i++)
		buf_add_char(b, i % 50 == 0 && i < domain ? '.' : 'd');
	buf_add_char(b, '>');
}

static void lengths_are_limited(void)
{
	static const struct {
		size_t local, domain;
		unsigned flags;
		int rc;
		unsigned tolerated;
	} rows[] = {
		{ 64, 100, 0, 167, 0 },
		{ 65, 100, 0, -ERR_TOOBIG, 0 },
		{ 65, 100, SMTP_LAX_LONG, 168, SMTP_LAX_LONG },
		{ 255, 100, SMTP_LAX_LONG, 358, SMTP_LAX_LONG },
		{ 256, 100, SMTP_LAX_LONG, -ERR_TOOBIG, 0 },
		{ 64, 189, 0, 256, 0 }, /* the whole path with its brackets: 256 */
		{ 64, 190, 0, -ERR_TOOBIG, 0 },
		{ 1, 252, 0, 256, 0 },
		{ 1, 253, 0, -ERR_TOOBIG, 0 },
		{ 1, 255, SMTP_LAX_LONG, 259, SMTP_LAX_LONG },
		{ 1, 256, SMTP_LAX_LONG, -ERR_TOOBIG, 0 },
	};
	struct buf b = BUF_INIT(2000);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct smtp_path p = { 0 };
		const char *why = NULL;
		make(&b, rows[i].local, rows[i].domain);
		CHECK_INT(rows[i].rc, smtp_path_parse(a, buf_span(&b), rows[i].flags, &p, &why));
		CHECK_INT(rows[i].tolerated, p.tolerated);
		CHECK((rows[i].rc < 0) == (why != NULL));
		arena_free(&a);
	}
	/* a mailbox counts as if it had brackets */
	for (size_t domain = 189; domain <= 190; domain++) {
		struct arena *a = arena_new(4096);
		struct smtp_path p;
		const char *why = NULL;
		make(&b, 64, domain);
		const struct span inner = span_make(b.p + 1, b.n - 2);
		CHECK_INT(domain == 189 ? 254 : -ERR_TOOBIG, smtp_path_parse_mailbox(a, inner, 0, &p, &why));
		CHECK_INT(inner.n, smtp_path_parse_mailbox(a, inner, SMTP_LAX_LONG, &p, &why));
		arena_free(&a);
	}
	/* a route counts, too */
	buf_reset(&b);
	buf_add_str(&b, "<");
	for (int i = 0; i < 40; i++)
		buf_addf(&b, "%s@host%02d", i ? "," : "", i);
	buf_add_str(&b, ":a@b>");
	struct arena *a = arena_new(4096);
	struct smtp_path p;
	const char *why;
	CHECK_INT(-ERR_TOOBIG, smtp_path_parse(a, buf_span(&b), 0, &p, &why));
	CHECK_INT((int)b.n, smtp_path_parse(a, buf_span(&b), SMTP_LAX_LONG, &p, &why));
	CHECK_INT(b.n - 6, p.route.n);
	arena_free(&a);
	buf_free(&b);
}

static void a_route_is_reported(void)
{
	struct arena *a = arena_new(4096);
	struct smtp_path p;
	const char *why;

	CHECK(smtp_path_parse(a, SPAN("<@One,@two:user@d>"), 0, &p, &why) > 0);
	CHECK_SPAN("@One,@two", p.route);
	CHECK(smtp_path_parse(a, SPAN("<user@d>"), 0, &p, &why) > 0);
	CHECK_INT(0, p.route.n);
	arena_free(&a);
}

static void a_full_arena_is_said(void)
{
	struct arena *a = arena_new(16);
	struct smtp_path p = { 0 };
	const char *why = NULL;

	CHECK_INT(-ERR_NOMEM, smtp_path_parse(a, SPAN("<somebody.with.a.name@domain.example>"), 0, &p, &why));
	CHECK(why != NULL);
	CHECK(p.local.p == NULL);
	arena_free(&a);
}

static void routed_local_parts_are_seen(void)
{
	static const struct {
		const char *in;
		bool routed;
	} rows[] = {
		{ "<a@b>", false },
		{ "<a+b=c@d>", false },
		{ "<\"a b\"@c>", false },
		{ "<a%elsewhere@ours>", true },
		{ "<elsewhere!a@ours>", true },
		{ "<\"a@elsewhere\"@ours>", true },
		{ "<\"a\\@elsewhere\"@ours>", true },
		{ "<\"@elsewhere:a\"@ours>", true },
		{ "<\"host::user\"@ours>", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct smtp_path p;
		const char *why = NULL;
		NEED(smtp_path_parse(a, span_of(rows[i].in), 0, &p, &why) > 0);
		CHECK(smtp_path_is_routed_local(&p) == rows[i].routed);
		arena_free(&a);
	}
}

static void mailboxes_without_brackets(void)
{
	static const struct {
		const char *in;
		int rc;
		const char *out;
	} rows[] = {
		{ "a@b.example", 11, "<a@b.example>" },
		{ "\"a b\"@c", 7, "<\"a b\"@c>" },
		{ "a@b ", -ERR_SYNTAX, NULL },
		{ "a@b c", -ERR_SYNTAX, NULL },
		{ "a@b>", -ERR_SYNTAX, NULL },
		{ "<a@b>", -ERR_SYNTAX, NULL },
		{ "a", -ERR_SYNTAX, NULL },
		{ "", -ERR_SYNTAX, NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct buf out = BUF_INIT(400);
		struct smtp_path p;
		const char *why = NULL;
		CHECK_INT(rows[i].rc, smtp_path_parse_mailbox(a, span_of(rows[i].in), 0, &p, &why));
		CHECK((why == NULL) == (rows[i].rc > 0));
		if (rows[i].rc > 0) {
			CHECK_INT(0, smtp_path_format(&p, &out));
			CHECK_SPAN(rows[i].out, buf_span(&out));
		}
		buf_free(&out);
		arena_free(&a);
	}
}

static void what_cannot_be_written_is_not(void)
{
	static const struct smtp_path bad[] = {
		{ .local = SPAN_INIT("a\r\nDATA"), .domain = SPAN_INIT("b") },
		{ .local = SPAN_INIT("a"), .domain = SPAN_INIT("b\r\n") },
		{ .local = SPAN_INIT("a"), .domain = SPAN_INIT("b> X=1") },
		{ .local = SPAN_INIT("a\0b"), .domain = SPAN_INIT("b") },
		{ .local = SPAN_INIT(""), .domain = SPAN_INIT("b") },
	};
	struct buf out = BUF_INIT(100);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CHECK_INT(-ERR_INVAL, smtp_path_format(&bad[i], &out));
		CHECK_INT(0, out.n);
	}
	struct buf small = BUF_INIT(5);
	const struct smtp_path p = { .local = SPAN_INIT("abc"), .domain = SPAN_INIT("def") };
	CHECK_INT(-ERR_TOOBIG, smtp_path_format(&p, &small));
	CHECK_INT(0, small.n);
	buf_free(&small);
	buf_free(&out);
}

static void mailboxes_are_compared_by_meaning(void)
{
	static const struct {
		const char *a, *b;
		bool eq;
	} rows[] = {
		{ "<a@B>", "<\"a\"@b>", true }, { "<A@b>", "<a@b>", false },
		{ "<@x:a@b>", "<a@b>", true },  { "<>", "<>", true },
		{ "<>", "<a@b>", false },       { "<a@[IPv6:::ffff:1.2.3.4]>", "<a@[1.2.3.4]>", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct smtp_path p, q;
		const char *why = NULL;
		NEED(smtp_path_parse(a, span_of(rows[i].a), NUL_OK, &p, &why) > 0);
		NEED(smtp_path_parse(a, span_of(rows[i].b), NUL_OK, &q, &why) > 0);
		CHECK(smtp_path_eq(&p, &q) == rows[i].eq);
		arena_free(&a);
	}
}

TEST_MAIN(TEST(good_paths_have_one_form), TEST(bad_paths_are_refused_with_a_reason),
	  TEST(lengths_are_limited), TEST(a_route_is_reported), TEST(a_full_arena_is_said),
	  TEST(routed_local_parts_are_seen), TEST(mailboxes_without_brackets),
	  TEST(what_cannot_be_written_is_not), TEST(mailboxes_are_compared_by_meaning))
