#include <inttypes.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "test.h"

/* 2026-11-21 07:00:00.123456 UTC */
#define NOON INT64_C(1795244400123456)

struct paper {
	struct logger lg;
	struct buf text;
	int writes;
	int64_t now_us;
};

static void paper_write(void *arg, struct span lines)
{
	struct paper *p = arg;

	p->writes++;
	buf_add_span(&p->text, lines);
	CHECK(lines.n > 0 && lines.p[lines.n - 1] == '\n');
}

static int64_t paper_clock(void *arg)
{
	return ((struct paper *)arg)->now_us;
}

static void paper_init(struct paper *p, enum log_format format)
{
	*p = (struct paper){ .text = BUF_INIT(4 << 20), .now_us = NOON };
	logger_init(&p->lg, (struct log_sink){ paper_write, p });
	p->lg.format = format;
	p->lg.wall_us = paper_clock;
	p->lg.wall_arg = p;
	p->lg.node = "relay1";
	setenv("TZ", "UTC0", 1);
}

/* What was written so far, without it. */
static const char *paper_read(struct paper *p)
{
	static char out[256 * 1024];

	log_flush(&p->lg);
	snprintf(out, sizeof out, "%s", buf_cstr(&p->text));
	buf_reset(&p->text);
	return out;
}

static void paper_deinit(struct paper *p)
{
	logger_deinit(&p->lg);
	buf_free(&p->text);
}

/* The Postfix form has the process id in each line. */
static const char *line(const char *fmt)
{
	static char out[4096];
	char *at = out;

	for (; *fmt; fmt++) {
		if (*fmt == '$')
			at += sprintf(at, "%d", (int)getpid());
		else
			*at++ = *fmt;
	}
	*at = 0;
	return out;
}

static void log_attempt(struct paper *p)
{
	struct log_rec r;

	NEED(log_begin(&r, &p->lg, LOG_EV_ATTEMPT_FINISHED));
	log_cstr(&r, LOG_F_ID, "abc234");
	log_str(&r, LOG_F_TO, SPAN("kim@example.org"));
	log_cstr(&r, LOG_F_RELAY, "mx.example.org[192.0.2.1]:25");
	log_int(&r, LOG_F_DELAY_US, 950000);
	log_int(&r, LOG_F_BEFORE_US, 350000);
	log_int(&r, LOG_F_QUEUED_US, 110000);
	log_int(&r, LOG_F_CONNECT_US, 280000);
	log_int(&r, LOG_F_TRANSFER_US, 210000);
	log_cstr(&r, LOG_F_DSN, "2.0.0");
	log_cstr(&r, LOG_F_STATUS, "sent");
	log_cstr(&r, LOG_F_TEXT, "250 Great success");
	log_end(&r);
}

static void a_record_is_a_json_line(void)
{
	struct paper p;
	struct log_rec r;

	paper_init(&p, LOG_FORMAT_JSON);
	p.lg.worker = 3;
	NEED(log_begin(&r, &p.lg, LOG_EV_SESSION_FINISHED));
	log_str(&r, LOG_F_SESSION, SPAN("s1"));
	log_str(&r, LOG_F_HELO, SPAN("a\"b\n\xff"));
	log_cstr(&r, LOG_F_DEVICE, NULL);
	log_str(&r, LOG_F_USER, (struct span){ NULL, 0 });
	log_str(&r, LOG_F_REASON, SPAN(""));
	log_int(&r, LOG_F_DURATION_US, -5);
	log_bool(&r, LOG_F_EARLY_TALKER, true);
	log_end(&r);
	CHECK_STR(
		"{\"time\":\"2026-11-21T07:00:00.123456Z\",\"level\":\"info\",\"event\":\"session_finished\",\"node\":\"relay1\","
		"\"worker\":3,\"session\":\"s1\",\"helo\":\"a\\\"b\\n\\ufffd\",\"reason\":\"\",\"duration_us\":-5,"
		"\"early_talker\":true}\n",
		paper_read(&p));
	p.lg.node = NULL;
	p.lg.worker = -1;
	p.now_us = INT64_C(-1); /* a clock before 1970 must not do harm */
	log_text(&p.lg, LOG_EV_SERVER_NOTICE, "%d%%", 5);
	CHECK_STR(
		"{\"time\":\"1969-12-31T23:59:59.999999Z\",\"level\":\"info\",\"event\":\"server_notice\",\"text\":\"5%\"}\n",
		paper_read(&p));
	paper_deinit(&p);
}

static void json_fields_are_built_in_place(void)
{
	struct paper p;
	struct log_rec r;

	paper_init(&p, LOG_FORMAT_JSON);
	NEED(log_begin(&r, &p.lg, LOG_EV_MESSAGE_ACCEPTED));
	struct json *j = log_json(&r, LOG_F_RECIPIENTS);
	json_array(j, NULL);
	json_str(j, NULL, SPAN("a@x.org"));
	json_str(j, NULL, SPAN("\xff@x.org"));
	json_array_end(j);
	log_int(&r, LOG_F_NRCPT, 2);
	log_json(&r, LOG_F_DECISIONS); /* nothing was written: no field */
	log_end(&r);
	CHECK(strstr(paper_read(&p),
		     "\"node\":\"relay1\",\"recipients\":[\"a@x.org\",\"\\ufffd@x.org\"],\"nrcpt\":2}\n") !=
	      NULL);
	paper_deinit(&p);
}

static void levels_are_filtered(void)
{
	struct paper p;
	struct log_rec r;
	enum log_level level = LOG_LEVEL_ERROR;

	paper_init(&p, LOG_FORMAT_JSON);
	CHECK(!log_begin(&r, &p.lg, LOG_EV_CONNECTION_OPENED));
	p.lg.level_max = LOG_LEVEL_DEBUG;
	CHECK(log_begin(&r, &p.lg, LOG_EV_CONNECTION_OPENED));
	log_end(&r);
	p.lg.level_max = LOG_LEVEL_ERROR;
	CHECK(!log_begin(&r, &p.lg, LOG_EV_SPOOL_SPACE_LOW));
	log_text(&p.lg, LOG_EV_SERVER_NOTICE, "unseen");
	CHECK(strstr(paper_read(&p), "unseen") == NULL);
	CHECK(log_level_parse(SPAN("debug"), &level));
	CHECK_INT(LOG_LEVEL_DEBUG, level);
	CHECK(!log_level_parse(SPAN("loud"), &level));
	CHECK_INT(LOG_LEVEL_DEBUG, level);
	CHECK_STR("warn", log_level_name(LOG_LEVEL_WARN));
	CHECK_STR("refused", log_event_name(LOG_EV_REFUSED));
	CHECK_STR("size_bytes", log_field_name(LOG_F_SIZE_BYTES));
	paper_deinit(&p);
}

static void fields_must_be_in_the_schema(void)
{
	struct paper p;
	struct log_rec r;
	const unsigned before = check_verify_failures();

	paper_init(&p, LOG_FORMAT_JSON);
	NEED(log_begin(&r, &p.lg, LOG_EV_SERVER_NOTICE));
	log_cstr(&r, LOG_F_CLIENT, "192.0.2.1"); /* not of this event */
	log_int(&r, LOG_F_TEXT, 5);              /* not of this type */
	struct json *j = log_json(&r, LOG_F_PATH);
	json_array(j, NULL);
	json_array_end(j);
	log_cstr(&r, LOG_F_TEXT, "once");
	log_cstr(&r, LOG_F_TEXT, "twice");
	log_end(&r);
	const char *out = paper_read(&p);
	CHECK(strstr(out, "\"node\":\"relay1\",\"text\":\"once\"}\n") != NULL);
	CHECK_INT(before + 4, check_verify_failures());
	paper_deinit(&p);
}

static void long_strings_are_cut_between_characters(void)
{
	struct paper p;
	struct log_rec r;
	char text[LOG_STR_MAX + 10];

	paper_init(&p, LOG_FORMAT_JSON);
	memset(text, 'x', sizeof text);
	memcpy(text + LOG_STR_MAX - 1, "\xc3\xbc", 2); /* a character over the edge */
	NEED(log_begin(&r, &p.lg, LOG_EV_SESSION_FINISHED));
	log_str(&r, LOG_F_HELO, span_make(text, sizeof text));
	log_end(&r);
	const char *out = paper_read(&p);
	const char *end = strstr(out, "x\",\"cut\":true}\n");
	NEED(end);
	CHECK_INT(LOG_STR_MAX - 1, end + 1 - strchr(strstr(out, "\"helo\":\"") + 7, 'x'));
	memset(text, 0x80, sizeof text); /* no characters at all */
	NEED(log_begin(&r, &p.lg, LOG_EV_SESSION_FINISHED));
	log_str(&r, LOG_F_HELO, span_make(text, sizeof text));
	log_end(&r);
	CHECK(strstr(paper_read(&p), "\\ufffd\",\"cut\":true}\n") != NULL);
	paper_deinit(&p);
}

static void what_does_not_fit_is_left_out(void)
{
	struct paper p;
	struct log_rec r;

	paper_init(&p, LOG_FORMAT_JSON);
	NEED(log_begin(&r, &p.lg, LOG_EV_MESSAGE_ACCEPTED));
	struct json *j = log_json(&r, LOG_F_RECIPIENTS);
	json_array(j, NULL);
	for (int i = 0; i < 5000; i++)
		json_str(j, NULL, SPAN("somebody@example.org"));
	json_array_end(j);
	log_int(&r, LOG_F_NRCPT, 5000);
	log_str(&r, LOG_F_FROM, SPAN("kim@example.org"));
	log_end(&r);
	CHECK(strstr(paper_read(&p), "\"nrcpt\":5000,\"from\":\"kim@example.org\",\"cut\":true}\n") != NULL);
	log_attempt(&p); /* and the next record is whole */
	CHECK(strstr(paper_read(&p), "cut") == NULL);
	paper_deinit(&p);
}

static void records_may_nest(void)
{
	struct paper p;
	struct log_rec outer, inner;

	paper_init(&p, LOG_FORMAT_JSON);
	NEED(log_begin(&outer, &p.lg, LOG_EV_SESSION_FINISHED));
	log_cstr(&outer, LOG_F_HELO, "outer");
	NEED(log_begin(&inner, &p.lg, LOG_EV_STS_UNAVAILABLE));
	log_cstr(&inner, LOG_F_DOMAIN, "inner");
	log_end(&inner);
	log_cstr(&outer, LOG_F_REASON, "quit");
	log_end(&outer);
	const char *out = paper_read(&p);
	CHECK(strstr(out, "\"event\":\"sts_unavailable\",\"node\":\"relay1\",\"domain\":\"inner\"}\n") !=
	      NULL);
	CHECK(strstr(out, "\"helo\":\"outer\",\"reason\":\"quit\"}\n") != NULL);
	/* A nested record inside a half-built JSON value would mix the two: it loses its fields, and that is reported. */
	NEED(log_begin(&outer, &p.lg, LOG_EV_MESSAGE_ACCEPTED));
	struct json *j = log_json(&outer, LOG_F_RECIPIENTS);
	json_array(j, NULL);
	NEED(log_begin(&inner, &p.lg, LOG_EV_STS_UNAVAILABLE));
	log_cstr(&inner, LOG_F_DOMAIN, "inner");
	log_end(&inner);
	json_array_end(j);
	log_end(&outer);
	out = paper_read(&p);
	CHECK(strstr(out, "\"event\":\"sts_unavailable\",\"node\":\"relay1\"}\n") != NULL);
	CHECK(strstr(out, "\"recipients\":[]}\n") != NULL);
	paper_deinit(&p);
}

static void lines_are_gathered(void)
{
	struct paper p;

	paper_init(&p, LOG_FORMAT_JSON);
	for (int i = 0; i < 100; i++)
		log_attempt(&p);
	CHECK_INT(0, p.writes);
	log_flush(&p.lg);
	CHECK_INT(1, p.writes);
	log_flush(&p.lg);
	CHECK_INT(1, p.writes);
	for (int i = 0; i < 1000; i++)
		log_attempt(&p);
	CHECK(p.writes > 2);
	const struct span all = buf_span(&p.text);
	int lines = 0;
	for (size_t i = 0; i < all.n; i++)
		lines += all.p[i] == '\n';
	log_flush(&p.lg);
	CHECK(lines < 1100 && lines > 900);
	paper_deinit(&p);
}

static void postfix_tools_understand_attempts(void)
{
	struct paper p;

	paper_init(&p, LOG_FORMAT_POSTFIX);
	log_attempt(&p);
	CHECK_STR(
		line("Nov 21 07:00:00 relay1 postern/smtp[$]: abc234: to=<kim@example.org>, relay=mx.example.org[192.0.2.1]:25, "
		     "delay=0.95, delays=0.35/0.11/0.28/0.21, dsn=2.0.0, status=sent (250 Great success)\n"),
		paper_read(&p));
	p.now_us += INT64_C(13) * 86400 * 1000000; /* the day has a place of two */
	log_attempt(&p);
	CHECK(strncmp(paper_read(&p), "Dec  4 07:00:00 ", 16) == 0);
	paper_deinit(&p);
}

static void postfix_tools_understand_sessions(void)
{
	struct paper p;
	struct log_rec r;

	paper_init(&p, LOG_FORMAT_POSTFIX);
	NEED(log_begin(&r, &p.lg, LOG_EV_MESSAGE_ACCEPTED));
	log_cstr(&r, LOG_F_ID, "abc234");
	log_cstr(&r, LOG_F_CLIENT, "192.0.2.9");
	log_cstr(&r, LOG_F_FROM, "");
	log_int(&r, LOG_F_SIZE_BYTES, 1234);
	log_int(&r, LOG_F_NRCPT, 2);
	log_cstr(&r, LOG_F_MESSAGE_ID, "<1@example.org>");
	log_end(&r);
	CHECK_STR(
		line("Nov 21 07:00:00 relay1 postern/smtpd[$]: abc234: client=unknown[192.0.2.9]\n"
		     "Nov 21 07:00:00 relay1 postern/cleanup[$]: abc234: message-id=<1@example.org>\n"
		     "Nov 21 07:00:00 relay1 postern/qmgr[$]: abc234: from=<>, size=1234, nrcpt=2 (queue active)\n"),
		paper_read(&p));
	NEED(log_begin(&r, &p.lg, LOG_EV_REFUSED));
	log_cstr(&r, LOG_F_STAGE, "rcpt");
	log_cstr(&r, LOG_F_CLIENT, "192.0.2.9");
	log_cstr(&r, LOG_F_PTR, "copier.example.org");
	log_cstr(&r, LOG_F_HELO, "copier\r\n");
	log_cstr(&r, LOG_F_FROM, "a@example.org");
	log_cstr(&r, LOG_F_TO, "b@example.com");
	log_cstr(&r, LOG_F_PROTO, "ESMTP");
	log_int(&r, LOG_F_CODE, 554);
	log_cstr(&r, LOG_F_ENHANCED, "5.7.1");
	log_cstr(&r, LOG_F_TEXT, "Relay access denied");
	log_end(&r);
	CHECK_STR(
		line("Nov 21 07:00:00 relay1 postern/smtpd[$]: NOQUEUE: reject: RCPT from copier.example.org[192.0.2.9]: "
		     "554 5.7.1 Relay access denied; from=<a@example.org> to=<b@example.com> proto=ESMTP helo=<copier?"
		     "?>\n"),
		paper_read(&p));
	paper_deinit(&p);
}

static void other_events_read_as_pairs(void)
{
	struct paper p;
	struct log_rec r;

	paper_init(&p, LOG_FORMAT_POSTFIX);
	NEED(log_begin(&r, &p.lg, LOG_EV_SPOOL_FAILED));
	log_cstr(&r, LOG_F_FILE, "s1");
	log_cstr(&r, LOG_F_WHAT, "");
	log_int(&r, LOG_F_OFFSET_BYTES, 5);
	log_cstr(&r, LOG_F_TEXT, "a, \"b\"=\\ \x1b\xc2\x9b\xff\xc3\xbc");
	log_end(&r);
	CHECK_STR(
		line("Nov 21 07:00:00 relay1 postern/server[$]: error: spool_failed: file=s1, what=\"\", offset_bytes=5, "
		     "text=\"a, \\\"b\\\"=\\\\ ???\xc3\xbc\"\n"),
		paper_read(&p));
	NEED(log_begin(&r, &p.lg, LOG_EV_NOTICE_FAILED));
	log_cstr(&r, LOG_F_TO, "x@example.org");
	log_cstr(&r, LOG_F_ID, "abc234");
	log_end(&r);
	CHECK_STR(
		line("Nov 21 07:00:00 relay1 postern/server[$]: abc234: warning: notice_failed: to=x@example.org\n"),
		paper_read(&p));
	paper_deinit(&p);
}

static void seconds_are_short(void)
{
	static const struct {
		int64_t us;
		const char *want;
	} cases[] = {
		{ -1, "delay=0," },        { 0, "delay=0," },         { 9999, "delay=0," },
		{ 10000, "delay=0.01," },  { 100000, "delay=0.1," },  { 999999, "delay=0.99," },
		{ 1000000, "delay=1," },   { 1050000, "delay=1," },   { 1100000, "delay=1.1," },
		{ 9999999, "delay=9.9," }, { 10500000, "delay=10," }, { 123456789, "delay=123," },
	};
	struct paper p;
	struct log_rec r;

	paper_init(&p, LOG_FORMAT_POSTFIX);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		NEED(log_begin(&r, &p.lg, LOG_EV_ATTEMPT_FINISHED));
		log_int(&r, LOG_F_DELAY_US, cases[i].us);
		log_end(&r);
		const char *out = paper_read(&p);
		if (!strstr(out, cases[i].want))
			FAIL("%" PRId64 " us: expected %s in %s", cases[i].us, cases[i].want, out);
	}
	paper_deinit(&p);
}

/* Each event with every field that it may have, in both forms: what a template names must be there. */
static void every_event_can_be_written(void)
{
	struct paper p;
	struct log_rec r;

	for (int format = LOG_FORMAT_JSON; format <= LOG_FORMAT_POSTFIX; format++) {
		paper_init(&p, (enum log_format)format);
		p.lg.level_max = LOG_LEVEL_DEBUG;
		for (int e = 0; e < LOG_EV_MAX_; e++) {
			NEED(log_begin(&r, &p.lg, (enum log_event)e));
			log_end(&r);
			const char *out = paper_read(&p);
			CHECK(format == LOG_FORMAT_POSTFIX
				      ? strstr(out, " postern/") != NULL
				      : strstr(out, log_event_name((enum log_event)e)) != NULL);
		}
		paper_deinit(&p);
	}
}

static void a_descriptor_is_a_sink(void)
{
	int fds[2];
	char out[512];
	struct logger lg;

	NEED(pipe(fds) == 0);
	logger_init(&lg, log_sink_fd(fds[1]));
	log_text(&lg, LOG_EV_SERVER_NOTICE, "hello");
	logger_deinit(&lg);
	const ssize_t n = read(fds[0], out, sizeof out - 1);
	NEED(n > 0);
	out[n] = 0;
	CHECK(strstr(out, "\"text\":\"hello\"}\n") != NULL);
	close(fds[0]);
	close(fds[1]);
}

TEST_MAIN(TEST(a_record_is_a_json_line), TEST(json_fields_are_built_in_place), TEST(levels_are_filtered),
	  TEST(fields_must_be_in_the_schema), TEST(long_strings_are_cut_between_characters),
	  TEST(what_does_not_fit_is_left_out), TEST(records_may_nest), TEST(lines_are_gathered),
	  TEST(postfix_tools_understand_attempts), TEST(postfix_tools_understand_sessions),
	  TEST(other_events_read_as_pairs), TEST(seconds_are_short), TEST(every_event_can_be_written),
	  TEST(a_descriptor_is_a_sink))
