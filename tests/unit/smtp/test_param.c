#include "smtp/smtp_param.h"

#include "base/err.h"
#include "test.h"

#define X10  "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

enum { ALL = ~0 };

static void good_mail_parameters_come_back(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "   ", "" },
		{ " SIZE=0", " SIZE=0" },
		{ " size=123", " SIZE=123" },
		{ " SIZE=18446744073709551615", " SIZE=18446744073709551615" },
		{ " SIZE=99999999999999999999", " SIZE=18446744073709551615" },
		{ " BODY=7BIT", " BODY=7BIT" },
		{ " body=8bitmime", " BODY=8BITMIME" },
		{ " BODY=BINARYMIME", " BODY=BINARYMIME" },
		{ " SMTPUTF8", " SMTPUTF8" },
		{ " RET=FULL", " RET=FULL" },
		{ " RET=hdrs", " RET=HDRS" },
		{ " ENVID=QQ314159", " ENVID=QQ314159" },
		{ " ENVID=a+20b+2B", " ENVID=a+20b+2B" },
		{ " ENVID=" X100, " ENVID=" X100 },
		{ " BY=120;R", " BY=120;R" },
		{ " BY=+120;rt", " BY=120;RT" },
		{ " BY=-5;N", " BY=-5;N" },
		{ " BY=0;NT", " BY=0;NT" },
		{ " BY=999999999;R", " BY=999999999;R" },
		{ " BY=-999999999;N", " BY=-999999999;N" },
		{ " AUTH=<>", " AUTH=<>" },
		{ " AUTH=e+3Dmc2@example.com", " AUTH=e+3Dmc2@example.com" },
		{ " REQUIRETLS", " REQUIRETLS" },
		{ " ENVID=1 RET=HDRS  BODY=8BITMIME\tSIZE=9", " SIZE=9 BODY=8BITMIME RET=HDRS ENVID=1" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct buf out = BUF_INIT(1000);
		struct smtp_mail_params p = { 0 };
		struct smtp_param_error e = { 0 };
		CHECK_INT(0, smtp_mail_params_parse(a, span_of(rows[i].in), (uint32_t)ALL, &p, &e));
		if (e.why)
			printf("  %s: %s\n", rows[i].in, e.why);
		CHECK_INT(0, smtp_mail_params_format(&p, &out));
		CHECK_SPAN(rows[i].out, buf_span(&out));
		buf_free(&out);
		arena_free(&a);
	}
}

static void bad_mail_parameters_are_named(void)
{
	static const struct {
		const char *in;
		uint32_t offered;
		int rc;
		const char *param, *why;
	} rows[] = {
		{ " SIZE", ALL, -ERR_SYNTAX, "SIZE", "value missing" },
		{ " SIZE=", ALL, -ERR_SYNTAX, "SIZE", "malformed value" },
		{ " SIZE=1x", ALL, -ERR_SYNTAX, "SIZE", "size is not a number" },
		{ " SIZE=-1", ALL, -ERR_SYNTAX, "SIZE", "size is not a number" },
		{ " SIZE=100000000000000000000", ALL, -ERR_SYNTAX, "SIZE", "size has too many digits" },
		{ " SIZE=1 size=2", ALL, -ERR_SYNTAX, "size", "parameter given twice" },
		{ " SIZE=1", 0, -ERR_UNSUPPORTED, "SIZE", "parameter not supported" },
		{ " BODY=9BIT", ALL, -ERR_SYNTAX, "BODY", "unknown body type" },
		{ " BODY=BINARYMIME", SMTP_EXT_8BITMIME, -ERR_SYNTAX, "BODY", "unknown body type" },
		{ " BODY=BINARYMIME", SMTP_EXT_BINARYMIME, -ERR_SYNTAX, "BODY", "unknown body type" },
		{ " BODY=8BITMIME", 0, -ERR_UNSUPPORTED, "BODY", "parameter not supported" },
		{ " SMTPUTF8=yes", ALL, -ERR_SYNTAX, "SMTPUTF8", "parameter takes no value" },
		{ " RET=ALL", ALL, -ERR_SYNTAX, "RET", "expected FULL or HDRS" },
		{ " RET=FULL RET=FULL", ALL, -ERR_SYNTAX, "RET", "parameter given twice" },
		{ " RET=FULL", ~(uint32_t)SMTP_EXT_DSN, -ERR_UNSUPPORTED, "RET", "parameter not supported" },
		{ " ENVID=a+2", ALL, -ERR_SYNTAX, "ENVID", "value is not xtext" },
		{ " ENVID=a+0A", ALL, -ERR_SYNTAX, "ENVID", "value has unprintable characters" },
		{ " ENVID=" X100 "x", ALL, -ERR_SYNTAX, "ENVID", "value too long" },
		{ " ENVID=a=b", ALL, -ERR_SYNTAX, "ENVID", "malformed value" },
		{ " BY=120", ALL, -ERR_SYNTAX, "BY", "expected mode N or R, and T for a trace" },
		{ " BY=120;X", ALL, -ERR_SYNTAX, "BY", "expected mode N or R" },
		{ " BY=120;RX", ALL, -ERR_SYNTAX, "BY", "expected mode N or R, and T for a trace" },
		{ " BY=;R", ALL, -ERR_SYNTAX, "BY", "time is not a number of up to 9 digits" },
		{ " BY=1000000000;R", ALL, -ERR_SYNTAX, "BY", "time is not a number of up to 9 digits" },
		{ " BY=0;R", ALL, -ERR_SYNTAX, "BY", "mode R needs a time to come" },
		{ " BY=-1;R", ALL, -ERR_SYNTAX, "BY", "mode R needs a time to come" },
		{ " AUTH=a", ALL, -ERR_SYNTAX, "AUTH", "value is neither <> nor a mailbox" },
		{ " AUTH=a+20b@c", ALL, -ERR_SYNTAX, "AUTH", "value is neither <> nor a mailbox" },
		{ " AUTH=+", ALL, -ERR_SYNTAX, "AUTH", "value is not xtext" },
		{ " REQUIRETLS", ~(uint32_t)SMTP_EXT_REQUIRETLS, -ERR_UNSUPPORTED, "REQUIRETLS",
		  "parameter not supported" },
		{ " HOLDFOR=10", ALL, -ERR_UNSUPPORTED, "HOLDFOR", "parameter not supported" },
		{ " NOTIFY=NEVER", ALL, -ERR_UNSUPPORTED, "NOTIFY", "parameter not supported" },
		{ " X-1", ALL, -ERR_UNSUPPORTED, "X-1", "parameter not supported" },
		{ " =x", ALL, -ERR_SYNTAX, "", "malformed parameter" },
		{ " -x", ALL, -ERR_SYNTAX, "-x", "malformed parameter" },
		{ " a_b=c", ALL, -ERR_SYNTAX, "a_b", "malformed parameter" },
		{ " SIZE=1\001", ALL, -ERR_SYNTAX, "SIZE", "malformed value" },
		{ " ENVID=\xff", ALL, -ERR_SYNTAX, "ENVID", "malformed value" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct smtp_mail_params p = { .has = 1234 };
		struct smtp_param_error e = { "", SPAN("") };
		CHECK_INT(rows[i].rc,
			  smtp_mail_params_parse(a, span_of(rows[i].in), rows[i].offered, &p, &e));
		CHECK_SPAN(rows[i].param, e.param);
		CHECK_STR(rows[i].why, e.why);
		CHECK_INT(1234, p.has);
		arena_free(&a);
	}
}

static void the_longest_values_are_taken(void)
{
	struct arena *a = arena_new(8192);
	struct buf in = BUF_INIT(2000);
	struct smtp_mail_params m;
	struct smtp_rcpt_params r;
	struct smtp_param_error e;

	/* RFC 3461 section 5.4: 500 for ORCPT; RFC 4954 section 5: 500 for AUTH */
	buf_add_str(&in, " ORCPT=rfc822;" X100 X100 X100 X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxx");
	CHECK_INT(0, smtp_rcpt_params_parse(a, buf_span(&in), (uint32_t)ALL, false, &r, &e));
	CHECK_INT(500, r.orcpt.n);
	buf_add_char(&in, 'x');
	CHECK_INT(-ERR_SYNTAX, smtp_rcpt_params_parse(a, buf_span(&in), (uint32_t)ALL, false, &r, &e));
	CHECK_STR("value too long", e.why);
	buf_reset(&in);
	buf_add_str(&in, " AUTH=" X100 X100 "@" X10);
	CHECK_INT(0, smtp_mail_params_parse(a, buf_span(&in), (uint32_t)ALL, &m, &e));
	CHECK_INT(211, m.auth.n);
	buf_reset(&in);
	buf_add_str(&in, " AUTH=" X100 X100 X100 X100 X100 "x");
	CHECK_INT(-ERR_SYNTAX, smtp_mail_params_parse(a, buf_span(&in), (uint32_t)ALL, &m, &e));
	CHECK_STR("value too long", e.why);
	buf_free(&in);
	arena_free(&a);
}

static void good_rcpt_parameters_come_back(void)
{
	static const struct {
		const char *in;
		bool utf8, ascii;
		const char *out;
	} rows[] = {
		{ "", false, false, "" },
		{ " NOTIFY=NEVER", false, false, " NOTIFY=NEVER" },
		{ " notify=never", false, false, " NOTIFY=NEVER" },
		{ " NOTIFY=SUCCESS", false, false, " NOTIFY=SUCCESS" },
		{ " NOTIFY=DELAY,Failure,SUCCESS", false, false, " NOTIFY=SUCCESS,FAILURE,DELAY" },
		{ " NOTIFY=FAILURE,,DELAY", false, false, " NOTIFY=FAILURE,DELAY" },
		{ " ORCPT=rfc822;Bob@Example.COM", false, false, " ORCPT=rfc822;Bob@Example.COM" },
		{ " ORCPT=rfc822;a+2Bb@c NOTIFY=DELAY", false, false, " NOTIFY=DELAY ORCPT=rfc822;a+2Bb@c" },
		{ " ORCPT=utf-8;\xc3\xbc@b", true, false, " ORCPT=utf-8;\xc3\xbc@b" },
		{ " ORCPT=utf-8;\xc3\xbc@b", true, true, " ORCPT=utf-8;\\x{FC}@b" },
		{ " ORCPT=utf-8;\\x{FC}@b", false, false, " ORCPT=utf-8;\\x{FC}@b" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct buf out = BUF_INIT(1000);
		struct smtp_rcpt_params p = { 0 };
		struct smtp_param_error e = { 0 };
		CHECK_INT(0, smtp_rcpt_params_parse(a, span_of(rows[i].in), (uint32_t)ALL, rows[i].utf8, &p,
						    &e));
		CHECK_INT(0, smtp_rcpt_params_format(&p, rows[i].ascii, &out));
		CHECK_SPAN(rows[i].out, buf_span(&out));
		buf_free(&out);
		arena_free(&a);
	}
}

static void bad_rcpt_parameters_are_named(void)
{
	static const struct {
		const char *in;
		int rc;
		const char *why;
	} rows[] = {
		{ " NOTIFY", -ERR_SYNTAX, "value missing" },
		{ " NOTIFY=", -ERR_SYNTAX, "malformed value" },
		{ " NOTIFY=,", -ERR_SYNTAX, "expected NEVER, SUCCESS, FAILURE or DELAY" },
		{ " NOTIFY=ALWAYS", -ERR_SYNTAX, "expected NEVER, SUCCESS, FAILURE or DELAY" },
		{ " NOTIFY=NEVER,SUCCESS", -ERR_SYNTAX, "NEVER stands alone" },
		{ " NOTIFY=DELAY NOTIFY=DELAY", -ERR_SYNTAX, "parameter given twice" },
		{ " ORCPT=a@b", -ERR_SYNTAX, "expected type;address in xtext" },
		{ " ORCPT=rfc822;a+b", -ERR_SYNTAX, "expected type;address in xtext" },
		{ " ORCPT=utf-8;\xc3\xbc@b", -ERR_SYNTAX, "expected type;address in xtext" },
		{ " ORCPT=rfc822;a ORCPT=rfc822;a", -ERR_SYNTAX, "parameter given twice" },
		{ " SIZE=1", -ERR_UNSUPPORTED, "parameter not supported" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena *a = arena_new(4096);
		struct smtp_rcpt_params p = { .has = 1234 };
		struct smtp_param_error e = { "", SPAN("") };
		CHECK_INT(rows[i].rc,
			  smtp_rcpt_params_parse(a, span_of(rows[i].in), (uint32_t)ALL, false, &p, &e));
		CHECK_STR(rows[i].why, e.why);
		CHECK_INT(1234, p.has);
		arena_free(&a);
	}
}

static void a_full_arena_is_said(void)
{
	struct arena *a = arena_new(64);
	struct smtp_rcpt_params p;
	struct smtp_param_error e;

	CHECK_INT(-ERR_NOMEM,
		  smtp_rcpt_params_parse(a, SPAN(" ORCPT=rfc822;" X100), (uint32_t)ALL, false, &p, &e));
	CHECK_SPAN("ORCPT", e.param);
	arena_free(&a);
}

static void values_that_could_break_a_line_are_not_written(void)
{
	const struct smtp_mail_params m = { .has = SMTP_MAIL_SIZE | SMTP_MAIL_ENVID,
					    .envid = SPAN("a\r\nRCPT") };
	const struct smtp_rcpt_params r = { .has = SMTP_RCPT_ORCPT, .orcpt = SPAN("rfc822;a b") };
	struct buf out = BUF_INIT(100);

	CHECK_INT(-ERR_INVAL, smtp_mail_params_format(&m, &out));
	CHECK_INT(-ERR_INVAL, smtp_rcpt_params_format(&r, false, &out));
	CHECK_INT(-ERR_INVAL, smtp_rcpt_params_format(&r, true, &out));
	CHECK_INT(0, out.n);
	buf_free(&out);
}

TEST_MAIN(TEST(good_mail_parameters_come_back), TEST(bad_mail_parameters_are_named),
	  TEST(the_longest_values_are_taken), TEST(good_rcpt_parameters_come_back),
	  TEST(bad_rcpt_parameters_are_named), TEST(a_full_arena_is_said),
	  TEST(values_that_could_break_a_line_are_not_written))
