#include "smtp/smtp_ehlo.h"

#include "base/err.h"
#include "test.h"

static struct smtp_ehlo parse(const char *lines)
{
	struct smtp_ehlo e = { .ext = 12345 };
	const struct smtp_reply r = { .code = 250, .text = span_of(lines) };

	CHECK_INT(0, smtp_ehlo_parse(&r, &e));
	return e;
}

static void offers_are_read(void)
{
	struct smtp_ehlo e =
		parse("mx.example.org Hello client [192.0.2.1]\n"
		      "ENHANCEDSTATUSCODES\nPIPELINING\nEXPN\nVERB\n8BITMIME\nSIZE 50000000\nDSN\nETRN\n"
		      "AUTH GSSAPI PLAIN\nSTARTTLS\nDELIVERBY 240\nHELP");

	CHECK_STR("mx.example.org", e.name);
	CHECK_INT(SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_PIPELINING | SMTP_EXT_EXPN | SMTP_EXT_VERB |
			  SMTP_EXT_8BITMIME | SMTP_EXT_SIZE | SMTP_EXT_DSN | SMTP_EXT_ETRN | SMTP_EXT_AUTH |
			  SMTP_EXT_STARTTLS | SMTP_EXT_DELIVERBY | SMTP_EXT_HELP,
		  e.ext);
	CHECK_INT(50000000, e.size_octets_max);
	CHECK_INT(240, e.deliverby_min_s);
	CHECK_STR("GSSAPI PLAIN", e.auth);
	CHECK(smtp_ehlo_has_mech(&e, SPAN("plain")));
	CHECK(!smtp_ehlo_has_mech(&e, SPAN("PLAI")));
	CHECK(!smtp_ehlo_has_mech(&e, SPAN("")));
}

static void odd_offers_do_no_harm(void)
{
	static const struct {
		const char *in;
		uint32_t ext;
		uint64_t size;
		const char *auth;
	} rows[] = {
		{ "mx", 0, 0, "" },
		{ "", 0, 0, "" },
		{ "mx\n\n \nX-FOO bar\nLIMITS RCPTMAX=5", 0, 0, "" },
		{ "mx\npipelining\n8bitMime", SMTP_EXT_PIPELINING | SMTP_EXT_8BITMIME, 0, "" },
		{ "mx\nSIZE", SMTP_EXT_SIZE, 0, "" },
		{ "mx\nSIZE 0", SMTP_EXT_SIZE, 0, "" },
		{ "mx\nSIZE unlimited", SMTP_EXT_SIZE, 0, "" },
		{ "mx\nSIZE 99999999999999999999999", SMTP_EXT_SIZE, 0, "" },
		{ "mx\nSIZE  10  20", SMTP_EXT_SIZE, 10, "" },
		{ "mx\nAUTH=PLAIN LOGIN", SMTP_EXT_AUTH, 0, "PLAIN LOGIN" },
		{ "mx\nAUTH PLAIN LOGIN\nAUTH=PLAIN LOGIN CRAM-MD5", SMTP_EXT_AUTH, 0,
		  "PLAIN LOGIN CRAM-MD5" },
		{ "mx\nAUTH", SMTP_EXT_AUTH, 0, "" },
		{ "mx\nAUTH=", SMTP_EXT_AUTH, 0, "" },
		{ "mx\nAUTH plain b@d aaaaaaaaaaaaaaaaaaaaa", SMTP_EXT_AUTH, 0, "PLAIN" },
		{ "mx\nSMTPUTF8 with parameters", SMTP_EXT_SMTPUTF8, 0,
		  "" },                     /* RFC 6531 section 3: they are ignored */
		{ "PIPELINING", 0, 0, "" }, /* the first line is the greeting */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct smtp_ehlo e = parse(rows[i].in);
		CHECK_INT(rows[i].ext, e.ext);
		CHECK_INT(rows[i].size, e.size_octets_max);
		CHECK_STR(rows[i].auth, e.auth);
	}

	struct smtp_ehlo e;
	const struct smtp_reply refused = { .code = 502, .text = SPAN("no") };
	CHECK_INT(-ERR_INVAL, smtp_ehlo_parse(&refused, &e));
}

static void lists_have_a_maximum(void)
{
	struct smtp_ehlo e = { 0 };
	char mech[8];
	int n = 0;

	while (n < 1000 && snprintf(mech, sizeof mech, "M-%d", n) > 0 &&
	       smtp_ehlo_add_mech(&e, span_of(mech)))
		n++;
	CHECK(n > 50 && n < 100);
	CHECK(strlen(e.auth) <= SMTP_EHLO_AUTH_MAX);

	char name[400];
	memset(name, 'n', sizeof name);
	name[300] = 0;
	e = parse(name);
	CHECK_STR("", e.name);
	name[255] = 0;
	e = parse(name);
	CHECK_INT(255, strlen(e.name));
}

static void offers_are_written(void)
{
	struct smtp_ehlo e = { .ext = SMTP_EXT_PIPELINING | SMTP_EXT_SIZE | SMTP_EXT_AUTH |
				      SMTP_EXT_DELIVERBY,
			       .name = "mx.example" };
	struct buf out = BUF_INIT(4096);

	CHECK(smtp_ehlo_format(&e, SPAN("Hello [192.0.2.1]"), true, &out));
	CHECK_SPAN("250-mx.example Hello [192.0.2.1]\r\n250-PIPELINING\r\n250-SIZE\r\n250 DELIVERBY\r\n",
		   buf_span(&out));
	buf_reset(&out);
	e.size_octets_max = 10240000;
	e.deliverby_min_s = 60;
	smtp_ehlo_add_mech(&e, SPAN("plain"));
	smtp_ehlo_add_mech(&e, SPAN("GSSAPI"));
	smtp_ehlo_add_mech(&e, SPAN("PLAIN"));
	CHECK(smtp_ehlo_format(&e, SPAN(""), false, &out));
	CHECK_SPAN(
		"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-DELIVERBY 60\r\n250 AUTH PLAIN GSSAPI\r\n",
		buf_span(&out));
	buf_reset(&out);
	CHECK(smtp_ehlo_format(&e, SPAN("a\r\n250 evil"), true, &out));
	CHECK_SPAN("250-mx.example a\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-DELIVERBY 60\r\n"
		   "250-AUTH PLAIN GSSAPI\r\n250 AUTH=PLAIN GSSAPI\r\n",
		   buf_span(&out));
	buf_free(&out);
	out = BUF_INIT(20);
	CHECK(!smtp_ehlo_format(&e, SPAN(""), false, &out));
	CHECK_INT(0, out.n);
	buf_free(&out);
}

static void what_is_written_is_read_back(void)
{
	struct smtp_ehlo e = { .size_octets_max = 1,
			       .deliverby_min_s = 2,
			       .name = "mx.example",
			       .auth = "PLAIN" },
			 back;
	struct smtp_reply_parser p;
	const char *why;

	smtp_reply_parser_init(&p, SMTP_REPLY_TEXT_MAX);
	for (unsigned i = 0; i < SMTP_EXT_COUNT_; i++) {
		struct buf out = BUF_INIT(4096);
		e.ext |= 1u << i;
		CHECK_INT(1u << i, smtp_ext_from_keyword(span_of(smtp_ext_name((enum smtp_ext_index)i))));
		CHECK(smtp_ehlo_format(&e, SPAN("hello"), true, &out));
		struct span in = buf_span(&out);
		CHECK_INT(1, smtp_reply_parse(&p, &in, &why));
		CHECK_INT(0, smtp_ehlo_parse(&p.reply, &back));
		CHECK_INT(e.ext, back.ext);
		buf_free(&out);
	}
	CHECK_INT(1, back.size_octets_max);
	CHECK_INT(2, back.deliverby_min_s);
	CHECK_STR("PLAIN", back.auth);
	CHECK_INT(0, smtp_ext_from_keyword(SPAN("NOPE")));
	smtp_reply_parser_deinit(&p);
}

static void helo_names(void)
{
	enum { LAX = SMTP_LAX_HELO };
	static const struct {
		const char *arg;
		unsigned flags;
		int rc;
		const char *name;
		unsigned tolerated;
	} rows[] = {
		{ "client.example", 0, SMTP_HELO_DOMAIN, "client.example", 0 },
		{ "CLIENT", 0, SMTP_HELO_DOMAIN, "CLIENT", 0 },
		{ "localhost", 0, SMTP_HELO_DOMAIN, "localhost", 0 },
		{ "mylaptop.local", 0, SMTP_HELO_DOMAIN, "mylaptop.local", 0 },
		{ "a.b", 0, SMTP_HELO_DOMAIN, "a.b", 0 },
		{ "ab", 0, SMTP_HELO_DOMAIN, "ab", 0 },
		{ "[192.0.2.1]", 0, SMTP_HELO_LITERAL, "[192.0.2.1]", 0 },
		{ "[IPv6:2001:db8::1]", 0, SMTP_HELO_LITERAL, "[IPv6:2001:db8::1]", 0 },
		{ "192.0.2.1", 0, SMTP_HELO_ADDRESS, "192.0.2.1", 0 },
		{ "", 0, -ERR_SYNTAX, NULL, 0 },
		{ "", LAX, SMTP_HELO_OTHER, "", LAX },
		{ "  ", LAX, SMTP_HELO_OTHER, "", LAX },
		{ "a b", 0, -ERR_SYNTAX, NULL, 0 },
		{ " a", 0, -ERR_SYNTAX, NULL, 0 },
		{ "a_b", 0, -ERR_SYNTAX, NULL, 0 },
		{ "a_b", SMTP_LAX_UNDERSCORE, SMTP_HELO_DOMAIN, "a_b", SMTP_LAX_UNDERSCORE },
		{ "a&b", 0, -ERR_SYNTAX, NULL, 0 },
		{ "a.", 0, -ERR_SYNTAX, NULL, 0 },
		{ "2001:db8::1", 0, -ERR_SYNTAX, NULL, 0 },
		{ "[192.0.2.1", 0, -ERR_SYNTAX, NULL, 0 },
		{ "\xc3\xbc.example", SMTP_ALLOW_UTF8, -ERR_SYNTAX, NULL, 0 }, /* RFC 6531 section 3.7.1 */
		{ "\xc3\xbc.example", LAX, -ERR_SYNTAX, NULL, 0 },
		{ "a\001b", LAX, -ERR_SYNTAX, NULL, 0 },
		{ "client.example", LAX, SMTP_HELO_DOMAIN, "client.example", 0 },
		{ "a&b", LAX, SMTP_HELO_OTHER, "a&b", LAX },
		{ "a_b", LAX, SMTP_HELO_OTHER, "a_b", LAX },
		{ "a.", LAX, SMTP_HELO_OTHER, "a.", LAX },
		{ "[192.0.2.1", LAX, SMTP_HELO_OTHER, "[192.0.2.1", LAX },
		{ "2001:db8::1", LAX, SMTP_HELO_ADDRESS, "2001:db8::1", LAX },
		{ "[192.0.2.1] my copier", LAX, SMTP_HELO_LITERAL, "[192.0.2.1]", LAX },
		{ "copier on floor 3", LAX, SMTP_HELO_DOMAIN, "copier", LAX },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct span name = SPAN("untouched");
		unsigned tolerated = 0;
		const char *why = NULL;
		const int rc =
			smtp_helo_name_check(span_of(rows[i].arg), rows[i].flags, &name, &tolerated, &why);
		CHECK_INT(rows[i].rc, rc);
		if (rc != rows[i].rc)
			printf("  row %zu: \"%s\"\n", i, rows[i].arg);
		CHECK_SPAN(rows[i].name ? rows[i].name : "untouched", name);
		CHECK_INT(rows[i].tolerated, tolerated);
		if (rc < 0)
			CHECK(why != NULL);
	}

	char longest[300];
	struct span name;
	unsigned tolerated = 0;
	const char *why = NULL;
	memset(longest, 'a', sizeof longest);
	CHECK_INT(SMTP_HELO_OTHER,
		  smtp_helo_name_check(span_make(longest, 255), LAX, &name, &tolerated, &why));
	CHECK_INT(-ERR_TOOBIG, smtp_helo_name_check(span_make(longest, 256), LAX, &name, &tolerated, &why));
}

TEST_MAIN(TEST(offers_are_read), TEST(odd_offers_do_no_harm), TEST(lists_have_a_maximum),
	  TEST(offers_are_written), TEST(what_is_written_is_read_back), TEST(helo_names))
