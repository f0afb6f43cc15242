#include "smtp/smtp_cmd.h"

#include "base/err.h"
#include "test.h"

static void verbs_are_recognised_in_any_case(void)
{
	static const struct {
		const char *line;
		enum smtp_verb verb;
		const char *arg;
		enum smtp_verb_kind kind;
	} rows[] = {
		{ "QUIT", SMTP_VERB_QUIT, "", SMTP_VERB_IS_SERVED },
		{ "quit", SMTP_VERB_QUIT, "", SMTP_VERB_IS_SERVED },
		{ "QuIt  \t ", SMTP_VERB_QUIT, "", SMTP_VERB_IS_SERVED },
		{ "EHLO client.example", SMTP_VERB_EHLO, "client.example", SMTP_VERB_IS_SERVED },
		{ "MAIL FROM:<a@b.example> ", SMTP_VERB_MAIL, "FROM:<a@b.example>", SMTP_VERB_IS_SERVED },
		{ "NOOP  two spaces", SMTP_VERB_NOOP, " two spaces", SMTP_VERB_IS_SERVED },
		{ "STARTTLS", SMTP_VERB_STARTTLS, "", SMTP_VERB_IS_SERVED },
		{ "BDAT 10 LAST", SMTP_VERB_BDAT, "10 LAST", SMTP_VERB_IS_SERVED },
		{ "TURN", SMTP_VERB_TURN, "", SMTP_VERB_IS_UNSERVED },
		{ "xclient NAME=x", SMTP_VERB_XCLIENT, "NAME=x", SMTP_VERB_IS_UNSERVED },
		{ "GET / HTTP/1.1", SMTP_VERB_GET, "/ HTTP/1.1", SMTP_VERB_IS_HOSTILE },
		{ "CONNECT mx:25 HTTP/1.0", SMTP_VERB_CONNECT, "mx:25 HTTP/1.0", SMTP_VERB_IS_HOSTILE },
		{ "PRI * HTTP/2.0", SMTP_VERB_PRI, "* HTTP/2.0", SMTP_VERB_IS_HOSTILE },
		{ "QUITX", SMTP_VERB_UNKNOWN, "", SMTP_VERB_IS_UNKNOWN },
		{ "QUI", SMTP_VERB_UNKNOWN, "", SMTP_VERB_IS_UNKNOWN },
		{ "UNKNOWN x", SMTP_VERB_UNKNOWN, "x", SMTP_VERB_IS_UNKNOWN },
		{ "Host: x", SMTP_VERB_UNKNOWN, "x", SMTP_VERB_IS_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_cmd cmd;
		const char *why = NULL;
		CHECK_INT(0, smtp_cmd_parse(span_of(rows[i].line), 0, &cmd, &why));
		CHECK_STR(smtp_verb_name(rows[i].verb), smtp_verb_name(cmd.verb));
		CHECK_SPAN(rows[i].arg, cmd.arg);
		CHECK_INT(rows[i].kind, smtp_verb_kind(cmd.verb));
		CHECK_INT(0, cmd.tolerated);
	}
}

static void what_is_no_command_says_why(void)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{ "", "empty command" },
		{ " \t ", "empty command" },
		{ " NOOP", "space before the command" },
		{ "NOOP\tx", "tab after the command" },
		{ "NO\001OP", "invalid character in the command" },
		{ "N\xc3\xb6OP", "invalid character in the command" },
		{ "\x16\x03\x01", "invalid character in the command" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_cmd cmd;
		const char *why = NULL;
		CHECK_INT(-ERR_SYNTAX, smtp_cmd_parse(span_of(rows[i].line), 0, &cmd, &why));
		CHECK_STR(rows[i].why, why);
	}
}

static void spaces_are_forgiven_when_asked(void)
{
	static const struct {
		const char *line;
		const char *arg;
		unsigned tolerated;
	} rows[] = {
		{ "NOOP x", "x", 0 },
		{ "  NOOP x", "x", SMTP_LAX_SPACE },
		{ "NOOP\tx", "x", SMTP_LAX_SPACE },
		{ "NOOP \t  x", "x", SMTP_LAX_SPACE },
		{ "NOOP   x  ", "x", SMTP_LAX_SPACE },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_cmd cmd;
		const char *why = NULL;
		CHECK_INT(0, smtp_cmd_parse(span_of(rows[i].line), SMTP_LAX_SPACE, &cmd, &why));
		CHECK_INT(SMTP_VERB_NOOP, cmd.verb);
		CHECK_SPAN(rows[i].arg, cmd.arg);
		CHECK_INT(rows[i].tolerated, cmd.tolerated);
	}
}

static void arguments_are_there_or_not(void)
{
	static const struct {
		const char *line;
		unsigned flags;
		int rc;
	} rows[] = {
		{ "DATA", 0, 0 },
		{ "DATA now", 0, -ERR_INVAL },
		{ "RSET x", 0, -ERR_INVAL },
		{ "QUIT x", 0, -ERR_INVAL },
		{ "STARTTLS x", 0, -ERR_INVAL },
		{ "DATA now", SMTP_LAX_ARGUMENT, 0 },
		{ "NOOP", 0, 0 },
		{ "NOOP x", 0, 0 },
		{ "HELP", 0, 0 },
		{ "EHLO", 0, -ERR_INVAL },
		{ "HELO", SMTP_LAX_HELO, 0 },
		{ "EHLO", SMTP_LAX_ALL, 0 },
		{ "MAIL", SMTP_LAX_ALL, -ERR_INVAL },
		{ "VRFY", 0, -ERR_INVAL },
		{ "AUTH", 0, -ERR_INVAL },
		{ "AUTH LOGIN", 0, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct smtp_cmd cmd;
		const char *why = NULL;
		NEED(smtp_cmd_parse(span_of(rows[i].line), rows[i].flags, &cmd, &why) == 0);
		CHECK_INT(rows[i].rc, smtp_cmd_arg_check(&cmd, rows[i].flags, &why));
		CHECK((rows[i].rc < 0) == (why != NULL));
		if (rows[i].flags == SMTP_LAX_ARGUMENT) {
			CHECK_INT(SMTP_LAX_ARGUMENT, cmd.tolerated);
			CHECK_INT(0, cmd.arg.n);
		}
	}
}

static void from_and_to_are_taken_off(void)
{
	static const struct {
		const char *arg, *keyword;
		unsigned flags;
		int rc;
		unsigned tolerated;
	} rows[] = {
		{ "FROM:<a@b>", "FROM", 0, 5, 0 },
		{ "from:<a@b>", "FROM", 0, 5, 0 },
		{ "TO:<a@b>", "TO", 0, 3, 0 },
		{ "FROM:", "FROM", 0, 5, 0 },
		{ "FROM: <a@b>", "FROM", 0, -ERR_SYNTAX, 0 },
		{ "FROM :<a@b>", "FROM", 0, -ERR_SYNTAX, 0 },
		{ " FROM:<a@b>", "FROM", 0, -ERR_SYNTAX, 0 },
		{ "FROM: <a@b>", "FROM", SMTP_LAX_SPACE, 6, SMTP_LAX_SPACE },
		{ " FROM : <a@b>", "FROM", SMTP_LAX_SPACE, 8, SMTP_LAX_SPACE },
		{ "FROM<a@b>", "FROM", SMTP_LAX_ALL, -ERR_SYNTAX, 0 },
		{ "TO:<a@b>", "FROM", 0, -ERR_SYNTAX, 0 },
		{ "<a@b>", "FROM", 0, -ERR_SYNTAX, 0 },
		{ "", "FROM", 0, -ERR_SYNTAX, 0 },
		{ "FRO", "FROM", 0, -ERR_SYNTAX, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned tolerated = 0;
		const char *why = NULL;
		CHECK_INT(rows[i].rc, smtp_cmd_keyword(span_of(rows[i].arg), span_of(rows[i].keyword),
						       rows[i].flags, &tolerated, &why));
		CHECK_INT(rows[i].tolerated, tolerated);
		CHECK((rows[i].rc < 0) == (why != NULL));
	}
}

static void the_longest_line_depends_on_the_verb(void)
{
	CHECK_INT(512, smtp_cmd_octets_max(SPAN("")));
	CHECK_INT(512, smtp_cmd_octets_max(SPAN("NOOP")));
	CHECK_INT(512, smtp_cmd_octets_max(SPAN("xxxxxxx")));
	CHECK_INT(2048, smtp_cmd_octets_max(SPAN("mail FROM:<")));
	CHECK_INT(2048, smtp_cmd_octets_max(SPAN("RCPT TO:<")));
	CHECK_INT(12288, smtp_cmd_octets_max(SPAN("AUTH GSSAPI YII")));
	CHECK(SMTP_LINE_ENVELOPE_MAX >= 1036); /* RFC 3461 section 5.4 */
}

static void a_tls_hello_is_recognised(void)
{
	CHECK(smtp_cmd_is_tls_hello(SPAN("\x16\x03\x01\x02\x00\x01")));
	CHECK(smtp_cmd_is_tls_hello(SPAN("\x16\x03\x03")));
	CHECK(!smtp_cmd_is_tls_hello(SPAN("\x16\x03")));
	CHECK(!smtp_cmd_is_tls_hello(SPAN("\x16\x03\x7f")));
	CHECK(!smtp_cmd_is_tls_hello(SPAN("EHLO x")));
}

static void tolerances_have_names(void)
{
	CHECK_STR("space", smtp_lax_name(SMTP_LAX_SPACE));
	CHECK_STR("argument", smtp_lax_name(SMTP_LAX_ARGUMENT));
	CHECK_STR("", smtp_lax_name(SMTP_LAX_SPACE | SMTP_LAX_DOTS));
	for (unsigned i = 0; i < 32; i++)
		CHECK((smtp_lax_name(1u << i)[0] != 0) == ((SMTP_LAX_ALL >> i & 1) != 0));
}

TEST_MAIN(TEST(verbs_are_recognised_in_any_case), TEST(what_is_no_command_says_why),
	  TEST(spaces_are_forgiven_when_asked), TEST(arguments_are_there_or_not),
	  TEST(from_and_to_are_taken_off), TEST(the_longest_line_depends_on_the_verb),
	  TEST(a_tls_hello_is_recognised), TEST(tolerances_have_names))
