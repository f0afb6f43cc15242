#include "mail/mail_mime.h"

#include "base/err.h"
#include "base/mem.h"
#include "test.h"

static void types_are_parsed(void)
{
	static const struct {
		const char *body, *type, *subtype, *boundary;
	} cases[] = {
		{ " text/plain", "text", "plain", "" },
		{ " Multipart/Mixed; boundary=abc", "Multipart", "Mixed", "abc" },
		{ " multipart/report; report-type=\"delivery-status\";\r\n\tboundary=\"a \\\"b\\\\ c\"; x=y",
		  "multipart", "report", "a \"b\\ c" },
		{ "multipart / report (x;y) ; (c) BOUNDARY (d) = (e) abc ; q", "multipart", "report", "abc" },
		{ "multipart/mixed; boundary=----=_Part_1:x", "multipart", "mixed", "----=_Part_1:x" },
		{ "multipart/mixed; ; a; =; b=\"x;boundary=no\"; boundary=yes", "multipart", "mixed", "yes" },
		{ "multipart/mixed; boundary=\"open", "multipart", "mixed", "open" },
		{ "multipart/mixed; boundary=\"", "multipart", "mixed", "" },
		{ "multipart/mixed; boundary=", "multipart", "mixed", "" },
		{ "multipart/mixed; boundary=\"x\\", "multipart", "mixed", "x\\" },
	};
	static const char *const bad[] = {
		"", "text", "text/", "/plain", "text/plain x", "(text/plain", ";"
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(1000);
		struct mail_mime_type t;
		NEED(mail_mime_type_parse(span_of(cases[i].body), &t) == 0);
		CHECK_SPAN(cases[i].type, t.type);
		CHECK_SPAN(cases[i].subtype, t.subtype);
		CHECK_SPAN(cases[i].boundary, mail_mime_param(a, &t, SPAN("boundary")));
		CHECK(!mail_mime_param(a, &t, SPAN("nothing")).p);
		arena_free(&a);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct mail_mime_type t = { .type = SPAN("old") };
		CHECK_INT(-ERR_SYNTAX, mail_mime_type_parse(span_of(bad[i]), &t));
		CHECK_SPAN("old", t.type);
	}
}

static void heads_are_peeked_at(void)
{
	static const struct {
		const char *head;
		bool eightbit_body;
		const char *subtype;
		enum mail_mime_encoding encoding;
		bool eightbit, utf8;
	} cases[] = {
		{ "\r\n", false, "plain", MAIL_MIME_7BIT, false, false },
		{ "\r\n", true, "plain", MAIL_MIME_7BIT, true, false },
		{ "Content-Type: nonsense\r\n\r\n", false, "plain", MAIL_MIME_7BIT, false, false },
		{ "Content-Type: text/html\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n", false, "html",
		  MAIL_MIME_8BIT, true, false },
		{ "Content-Transfer-Encoding: (x) base64 \r\n\r\n", false, "plain", MAIL_MIME_BASE64, false,
		  false },
		{ "Content-Transfer-Encoding: x-uue\r\n\r\n", false, "plain", MAIL_MIME_ENCODING_UNKNOWN,
		  false, false },
		{ "Subject: \xc3\xa4\r\n\r\n", false, "plain", MAIL_MIME_7BIT, false, true },
		{ "Subject: \xe4\r\n\r\n", false, "plain", MAIL_MIME_7BIT, false, false },
		{ "Subject: \xe4\r\nTo: \xc3\xa4\r\n\r\n", false, "plain", MAIL_MIME_7BIT, false, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *a = arena_new(10000);
		struct mail_head *h = NULL;
		NEED(mail_head_parse(a, span_of(cases[i].head), 1000, &h) > 0);
		const struct mail_mime m = mail_mime_peek(h, cases[i].eightbit_body);
		CHECK_SPAN(cases[i].subtype, m.type.subtype);
		CHECK_INT(cases[i].encoding, m.encoding);
		CHECK_INT(cases[i].eightbit, m.eightbit);
		CHECK_INT(cases[i].utf8, m.utf8);
		arena_free(&a);
	}
	CHECK_STR("quoted-printable", mail_mime_encoding_name(MAIL_MIME_QUOTED_PRINTABLE));
	CHECK_STR("unknown", mail_mime_encoding_name(MAIL_MIME_ENCODING_UNKNOWN));
}

static void parts_are_cut(void)
{
	static const struct {
		const char *body, *parts; /* joined with | */
	} cases[] = {
		{ "preamble\r\n--b\r\none\r\n\r\n--b  \r\ntwo\r\n--b--\r\nepilogue\r\n--b\r\nno",
		  "one\r\n|two|" },
		{ "--b\none\n--b\ntwo\n--b--", "one|two|" },
		{ "--b\r\none\r\n--bb\r\n--b-\r\n-- b\r\n--b--", "one\r\n--bb\r\n--b-\r\n-- b|" },
		{ "--b\r\none\r\ntwo", "one\r\ntwo|" },
		{ "--b\r\n--b\r\n\r\n--b--", "||" },
		{ "--b--\r\n--b\r\nno\r\n", "" },
		{ "no parts", "" },
		{ "", "" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT(1000);
		struct span rest = span_of(cases[i].body), part;
		while (mail_mime_next_part(&rest, SPAN("b"), &part)) {
			buf_add_span(&b, part);
			buf_add_char(&b, '|');
		}
		CHECK_SPAN(cases[i].parts, buf_span(&b));
		buf_free(&b);
	}
}

static void lines_are_checked(void)
{
	char line[1100];

	CHECK(mail_mime_lines_ok(SPAN("")));
	CHECK(mail_mime_lines_ok(SPAN("a\r\nb\r\n\r\nc")));
	CHECK(!mail_mime_lines_ok(SPAN("a\nb")));
	CHECK(!mail_mime_lines_ok(SPAN("a\rb")));
	CHECK(!mail_mime_lines_ok(SPAN("a\r\r\nb")));
	CHECK(!mail_mime_lines_ok(SPAN("a\0b\r\n")));
	memset(line, 'x', sizeof line);
	CHECK(mail_mime_lines_ok(span_make(line, 998)));
	CHECK(!mail_mime_lines_ok(span_make(line, 999)));
	memcpy(line + 998, "\r\n", 2);
	CHECK(mail_mime_lines_ok(span_make(line, 1000)));
	line[998] = 'x';
	memcpy(line + 999, "\r\n", 2);
	CHECK(!mail_mime_lines_ok(span_make(line, 1001)));
}

static void quoted_printable(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "plain text\r\n", "plain text\r\n" },
		{ "a=b", "a=3Db" },
		{ "\xc3\xa4\n", "=C3=A4\r\n" },
		{ "end \r\n\t\r\n", "end=20\r\n=09\r\n" },
		{ "end ", "end=20" },
		{ ".\r\nFrom x\r\n--b\r\n", "=2E\r\n=46rom x\r\n=2D-b\r\n" },
		{ "a\rb", "a=0Db" },
	};
	char longest[300];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT(1000);
		CHECK(mail_mime_write_qp(&b, span_of(cases[i].in)));
		CHECK_SPAN(cases[i].out, buf_span(&b));
		buf_free(&b);
	}
	for (size_t n = 70; n < sizeof longest; n++) {
		struct buf b = BUF_INIT(2000), back = BUF_INIT(1000);
		memset(longest, n % 3 ? 'x' : '=', n);
		CHECK(mail_mime_write_qp(&b, span_make(longest, n)));
		for (struct span rest = buf_span(&b); rest.p;)
			CHECK(span_cut(&rest, '\n').n <= 76 + 1);
		CHECK_INT(0, mail_mime_decode(&back, MAIL_MIME_QUOTED_PRINTABLE, buf_span(&b)));
		CHECK(span_eq(span_make(longest, n), buf_span(&back)));
		buf_free(&b);
		buf_free(&back);
	}
}

static void encodings_are_decoded(void)
{
	static const struct {
		enum mail_mime_encoding encoding;
		const char *in, *out;
	} cases[] = {
		{ MAIL_MIME_7BIT, "a=3D\r\n", "a=3D\r\n" },
		{ MAIL_MIME_QUOTED_PRINTABLE,
		  "a=3db=\r\nc=C3=a4  \r\nd=\n=zz=4 =", "a=bc\xc3\xa4\r\nd=zz=4 " },
		{ MAIL_MIME_BASE64, "QUJD", "ABC" },
		{ MAIL_MIME_BASE64, "QUI=", "AB" },
		{ MAIL_MIME_BASE64, "Q U\r\nE9!PQ", "AA==" },
		{ MAIL_MIME_BASE64, "QQ==QUJD", "A" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT(100);
		CHECK_INT(0, mail_mime_decode(&b, cases[i].encoding, span_of(cases[i].in)));
		CHECK_SPAN(cases[i].out, buf_span(&b));
		buf_free(&b);
	}
	struct buf b = BUF_INIT(2);
	CHECK_INT(-ERR_UNSUPPORTED, mail_mime_decode(&b, MAIL_MIME_ENCODING_UNKNOWN, SPAN("a")));
	CHECK_INT(-ERR_TOOBIG, mail_mime_decode(&b, MAIL_MIME_BASE64, SPAN("QUJD")));
	buf_free(&b);
}

TEST_MAIN(TEST(types_are_parsed), TEST(heads_are_peeked_at), TEST(parts_are_cut), TEST(lines_are_checked),
	  TEST(quoted_printable), TEST(encodings_are_decoded))
