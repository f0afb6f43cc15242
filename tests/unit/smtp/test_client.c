#include "client_talk.h"

/* Up to READY, with these extensions (lines, each ending in "\n", codes left out). */
static struct talk *connected(const char *ehlo)
{
	struct talk *t = talk_new((struct smtp_client_config){ .chunk_octets = 100 });

	CLIENT("", WAIT);
	CHECK_INT(SMTP_STEP_GREETING, smtp_client_awaits(&t->c));
	SERVER("220 mx.example ESMTP\n");
	CLIENT("EHLO relay.example\n", WAIT);
	CLIENT("", WAIT);
	CHECK_INT(SMTP_STEP_EHLO, smtp_client_awaits(&t->c));
	SERVER(ehlo);
	CLIENT("", READY);
	return t;
}

#define PIPE  "250-mx.example\n250-DSN\n250 PIPELINING\n"
#define PLAIN "250 mx.example\n"
#define CHUNK "250-mx.example\n250-PIPELINING\n250 CHUNKING\n"

static void result_(struct talk *t, unsigned i, enum smtp_result_kind kind, enum smtp_step step,
		    unsigned code, const char *text, const char *file, int line)
{
	const struct smtp_result *r = &t->rcpt[i].result;

	if (r->kind != kind || r->step != step || r->code != code || !span_eq(span_of(text), r->text)) {
		test_fail(file, line);
		printf("recipient %u: expected %d, %s, %u \"%s\"; got %d, %s, %u \"%.*s\"\n", i, kind,
		       smtp_step_text(step), code, text, r->kind, smtp_step_text(r->step), r->code,
		       SPAN_ARG(r->text));
	}
	CHECK_INT(kind == SMTP_RESULT_OK ? 2 : kind == SMTP_RESULT_TEMP ? 4 : 5, r->enhanced.class);
}

#define RESULT(i, kind, step, code, text)                                                                    \
	result_(t, i, SMTP_RESULT_##kind, SMTP_STEP_##step, code, text, __FILE__, __LINE__)

static void take(struct talk *t)
{
	CHECK(smtp_client_take(&t->c) == &t->txn);
	CHECK(smtp_client_take(&t->c) == NULL);
}

static void a_session_without_extensions_waits_for_each_reply(void)
{
	struct talk *t = connected(PLAIN);

	begin(t, 2, 0, 10);
	CHECK(smtp_client_take(&t->c) == NULL);
	CLIENT("MAIL FROM:<s@d>\n", WAIT);
	CLIENT("", WAIT);
	CHECK_INT(SMTP_STEP_MAIL, smtp_client_awaits(&t->c));
	CHECK_INT(SMTP_TXN_UNTRIED, t->txn.progress);
	SERVER("250 ok\n");
	CHECK_INT(SMTP_TXN_ENVELOPE, t->txn.progress);
	CLIENT("RCPT TO:<r0@d>\n", WAIT);
	SERVER("250 ok\n");
	CLIENT("RCPT TO:<r1@d>\n", WAIT);
	CHECK_INT(SMTP_STEP_RCPT, smtp_client_awaits(&t->c));
	SERVER("251 forwarded\n");
	CLIENT("DATA\n", WAIT);
	CHECK_INT(SMTP_STEP_DATA, smtp_client_awaits(&t->c));
	SERVER("354 go\n");
	CLIENT("", BODY_DATA);
	CLIENT("", BODY_DATA);
	CHECK_INT(SMTP_STEP_BODY, smtp_client_awaits(&t->c));
	CHECK_INT(SMTP_TXN_BODY, t->txn.progress);
	smtp_client_body_done(&t->c);
	CHECK_INT(SMTP_TXN_SENT, t->txn.progress);
	CLIENT("", WAIT);
	CHECK_INT(SMTP_STEP_END, smtp_client_awaits(&t->c));
	SERVER("250 2.0.0 queued as 1\n");
	CLIENT("", DONE);
	RESULT(0, OK, END, 250, "2.0.0 queued as 1");
	RESULT(1, OK, END, 250, "2.0.0 queued as 1");
	take(t);
	CLIENT("", READY);
	/* a complete transaction needs no RSET */
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\n", WAIT);
	SERVER("250 ok\n");
	CLIENT("RCPT TO:<r0@d>\n", WAIT);
	SERVER("250 ok\n");
	CLIENT("DATA\n", WAIT);
	SERVER("354 go\n");
	CLIENT("", BODY_DATA);
	smtp_client_body_done(&t->c);
	SERVER("250 ok\n");
	CLIENT("", DONE);
	take(t);
	smtp_client_quit(&t->c);
	CLIENT("QUIT\n", WAIT);
	CHECK_INT(SMTP_STEP_QUIT, smtp_client_awaits(&t->c));
	SERVER("221 bye\n");
	CLIENT("", CLOSE);
	CHECK_INT(SMTP_RESULT_PENDING, t->c.failure.kind);
	talk_free(t);
}

static void pipelining_sends_the_envelope_as_a_group(void)
{
	struct talk *t = connected(PIPE);

	begin(t, 3, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nRCPT TO:<r1@d>\nRCPT TO:<r2@d>\nDATA\n", WAIT);
	SERVER("250 ok\n250 ok\n550 5.1.1 who\n450-4.2.1 later\n450 4.2.1 please\n");
	CLIENT("", WAIT);
	SERVER("354 go\n");
	CLIENT("", BODY_DATA);
	smtp_client_body_done(&t->c);
	SERVER("250 done\n");
	CLIENT("", DONE);
	RESULT(0, OK, END, 250, "done");
	RESULT(1, PERM, RCPT, 550, "5.1.1 who");
	RESULT(2, TEMP, RCPT, 450, "4.2.1 later\n4.2.1 please");
	take(t);
	talk_free(t);
}

static void the_window_limits_what_is_in_flight(void)
{
	struct talk *t = talk_new((struct smtp_client_config){ .window = 3 });

	SERVER("220 mx\n");
	CLIENT("EHLO relay.example\n", WAIT);
	SERVER(PIPE);
	begin(t, 4, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nRCPT TO:<r1@d>\n", WAIT);
	SERVER("250 ok\n");
	CLIENT("RCPT TO:<r2@d>\n", WAIT);
	SERVER("250 ok\n250 ok\n");
	CLIENT("RCPT TO:<r3@d>\nDATA\n", WAIT);
	talk_free(t);

	/* a long list is handed out in pieces that fit the buffer: client_() joins them */
	t = talk_new((struct smtp_client_config){ .window = 1000 });
	struct buf want = BUF_INIT(1 << 20);
	SERVER("220 mx\n");
	CLIENT("EHLO relay.example\n", WAIT);
	SERVER(PIPE);
	begin(t, RCPT_MAX, 0, 10);
	buf_add_str(&want, "MAIL FROM:<s@d>\n");
	for (int i = 0; i < RCPT_MAX; i++)
		buf_addf(&want, "RCPT TO:<r%d@d>\n", i);
	buf_add_str(&want, "DATA\n");
	CLIENT(buf_cstr(&want), WAIT);
	buf_free(&want);
	talk_free(t);
}

static void all_recipients_refused(void)
{
	/* in flight and answered 354: an empty body; its reply means nothing */
	struct talk *t = connected(PIPE);
	begin(t, 2, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nRCPT TO:<r1@d>\nDATA\n", WAIT);
	SERVER("250 ok\n550 no\n450 not now\n354 go\n");
	CLIENT(".\n", WAIT);
	CLIENT("", WAIT);
	CHECK_INT(SMTP_STEP_END, smtp_client_awaits(&t->c));
	SERVER("250 fine\n");
	CLIENT("", DONE);
	RESULT(0, PERM, RCPT, 550, "no");
	RESULT(1, TEMP, RCPT, 450, "not now");
	take(t);
	/* in flight and refused; then RSET */
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("250 ok\n550 no\n554 no valid recipients\n");
	CLIENT("", DONE);
	RESULT(0, PERM, RCPT, 550, "no");
	take(t);
	begin(t, 1, 0, 10);
	CLIENT("RSET\nMAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	talk_free(t);
	/* known before DATA would go: it is not sent */
	t = connected(PLAIN);
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\n", WAIT);
	SERVER("250 ok\n");
	CLIENT("RCPT TO:<r0@d>\n", WAIT);
	SERVER("550 no\n");
	CLIENT("", DONE);
	RESULT(0, PERM, RCPT, 550, "no");
	take(t);
	begin(t, 1, 0, 10);
	CLIENT("RSET\n", WAIT);
	SERVER("250 ok\n");
	CLIENT("MAIL FROM:<s@d>\n", WAIT);
	talk_free(t);
}

static void mail_refused(void)
{
	/* what was sent with it is still awaited, and means nothing */
	struct talk *t = connected(PIPE);
	begin(t, 2, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nRCPT TO:<r1@d>\nDATA\n", WAIT);
	SERVER("552 5.3.4 too large\n503 no MAIL\n250 odd\n");
	CLIENT("", WAIT);
	SERVER("503 no MAIL\n");
	CLIENT("", DONE);
	RESULT(0, PERM, MAIL, 552, "5.3.4 too large");
	RESULT(1, PERM, MAIL, 552, "5.3.4 too large");
	talk_free(t);
	/* a server that says 354 all the same gets an empty body */
	t = connected(PIPE);
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("451 later\n250 odd\n354 odder\n");
	CLIENT(".\n", WAIT);
	SERVER("250 well\n");
	CLIENT("", DONE);
	RESULT(0, TEMP, MAIL, 451, "later");
	talk_free(t);
	t = connected(PLAIN);
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\n", WAIT);
	SERVER("550 5.7.1 no\n");
	CLIENT("", DONE);
	RESULT(0, PERM, MAIL, 550, "5.7.1 no");
	talk_free(t);
}

static void data_or_the_message_refused(void)
{
	struct talk *t = connected(PIPE);
	begin(t, 2, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nRCPT TO:<r1@d>\nDATA\n", WAIT);
	SERVER("250 ok\n250 ok\n550 5.1.1 who\n451 4.3.0 disk\n");
	CLIENT("", DONE);
	RESULT(0, TEMP, DATA, 451, "4.3.0 disk");
	RESULT(1, PERM, RCPT, 550, "5.1.1 who");
	take(t);
	begin(t, 1, 0, 10);
	CLIENT("RSET\nMAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("250 ok\n250 ok\n250 ok\n354 go\n");
	CLIENT("", BODY_DATA);
	smtp_client_body_done(&t->c);
	SERVER("554 5.7.1 spam\n");
	CLIENT("", DONE);
	RESULT(0, PERM, END, 554, "5.7.1 spam");
	take(t);
	begin(t, 1, 0, 10);
	CLIENT("RSET\nMAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	talk_free(t);
}

static void too_many_recipients_is_temporary(void)
{
	struct talk *t = connected(PIPE);

	begin(t, 4, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nRCPT TO:<r1@d>\nRCPT TO:<r2@d>\nRCPT TO:<r3@d>\nDATA\n",
	       WAIT);
	SERVER("250 ok\n250 ok\n552 too many recipients\n552 5.5.3 too many\n552 5.3.4 too large for them\n354 go\n");
	CLIENT("", BODY_DATA);
	smtp_client_body_done(&t->c);
	SERVER("250 ok\n");
	CLIENT("", DONE);
	RESULT(0, OK, END, 250, "ok");
	RESULT(1, TEMP, RCPT, 552, "too many recipients");
	RESULT(2, TEMP, RCPT, 552, "5.5.3 too many");
	RESULT(3, PERM, RCPT, 552, "5.3.4 too large for them"); /* RFC 1870 section 6.4 */
	talk_free(t);
}

static void the_server_closing_at_any_point(void)
{
	struct talk *t = connected(PIPE);
	begin(t, 3, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nRCPT TO:<r1@d>\nRCPT TO:<r2@d>\nDATA\n", WAIT);
	SERVER("250 ok\n250 ok\n550 who\n421 4.3.2 shutting down\n");
	CLIENT("", DONE);
	RESULT(0, TEMP, RCPT, 421, "4.3.2 shutting down");
	RESULT(1, PERM, RCPT, 550, "who");
	RESULT(2, TEMP, RCPT, 421, "4.3.2 shutting down");
	take(t);
	CLIENT("", CLOSE);
	CHECK_INT(421, t->c.failure.code);
	CHECK_SPAN("4.3.2 shutting down", t->c.failure.text);
	talk_free(t);

	t = connected(PIPE); /* while idle */
	SERVER("421 idle for too long\n");
	CLIENT("", CLOSE);
	CHECK_INT(SMTP_RESULT_TEMP, t->c.failure.kind);
	talk_free(t);

	t = connected(PIPE); /* MAIL refused, then closed: they keep MAIL's reply */
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("550 no\n421 bye\n");
	CLIENT("", DONE);
	RESULT(0, PERM, MAIL, 550, "no");
	talk_free(t);

	t = connected(PIPE); /* after the end of data, without a word: it may have arrived */
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("250 ok\n250 ok\n354 go\n");
	CLIENT("", BODY_DATA);
	smtp_client_body_done(&t->c);
	smtp_client_lost(&t->c, SMTP_ENHANCED(4, 4, 2), "connection lost");
	CLIENT("", DONE);
	RESULT(0, TEMP, END, 0, "connection lost");
	CHECK_INT(SMTP_TXN_SENT, t->txn.progress);
	take(t);
	CLIENT("", CLOSE);
	smtp_client_lost(&t->c, SMTP_ENHANCED(4, 4, 2), "again");
	CHECK_SPAN("connection lost", t->c.failure.text);
	talk_free(t);

	t = connected(PIPE); /* before anything was answered: it may be tried again at once */
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	smtp_client_lost(&t->c, SMTP_ENHANCED(4, 4, 2), "connection lost");
	CLIENT("", DONE);
	RESULT(0, TEMP, MAIL, 0, "connection lost");
	CHECK_INT(SMTP_TXN_UNTRIED, t->txn.progress);
	talk_free(t);
}

static void a_reply_before_the_body_is_complete(void)
{
	struct talk *t = connected(PIPE);
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("250 ok\n250 ok\n354 go\n");
	CLIENT("", BODY_DATA);
	SERVER("552 5.3.4 too large\n");
	CLIENT("", DONE);
	RESULT(0, PERM, BODY, 552, "5.3.4 too large");
	smtp_client_body_done(&t->c); /* a writer that comes late does no harm */
	take(t);
	CLIENT("", CLOSE);
	CHECK_INT(SMTP_RESULT_TEMP, t->c.failure.kind);
	talk_free(t);

	t = connected(PIPE);
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("250 ok\n250 ok\n354 go\n");
	CLIENT("", BODY_DATA);
	CHECK_INT(-ERR_SYNTAX, server(t, "250 ok already\n"));
	CLIENT("", DONE);
	RESULT(0, TEMP, BODY, 0, "message was answered before it was complete");
	talk_free(t);

	t = connected(PIPE); /* we cannot read the message: no end of data is sent */
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("250 ok\n250 ok\n354 go\n");
	CLIENT("", BODY_DATA);
	smtp_client_lost(&t->c, SMTP_ENHANCED(4, 3, 0), "message could not be read");
	CLIENT("", DONE);
	RESULT(0, TEMP, BODY, 0, "message could not be read");
	take(t);
	CLIENT("", CLOSE);
	talk_free(t);
}

static void replies_out_of_place(void)
{
	static const struct {
		const char *replies;
		const char *text;
		enum smtp_step step;
	} rows[] = {
		{ "354 go\n", "unexpected intermediate reply", SMTP_STEP_MAIL },
		{ "250 ok\n334 go\n", "unexpected intermediate reply", SMTP_STEP_RCPT },
		{ "250 ok\n250 ok\n250 ok\n", "DATA was answered as if it were complete", SMTP_STEP_DATA },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct talk *t = connected(PIPE);
		begin(t, 1, 0, 10);
		CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
		CHECK_INT(-ERR_SYNTAX, server(t, rows[i].replies));
		CLIENT("", DONE);
		result_(t, 0, SMTP_RESULT_TEMP, rows[i].step, 0, rows[i].text, __FILE__, __LINE__);
		take(t);
		CLIENT("", CLOSE);
		talk_free(t);
	}

	struct talk *t = connected(PLAIN);
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\n", WAIT);
	CHECK_INT(-ERR_SYNTAX, server(t, "250 ok\n250 again\n"));
	CLIENT("", DONE);
	RESULT(0, TEMP, NONE, 0, "more replies than commands");
	talk_free(t);

	t = connected(PLAIN);
	CHECK_INT(-ERR_SYNTAX, server(t, "250 hello\n"));
	CLIENT("", CLOSE);
	talk_free(t);

	t = talk_new((struct smtp_client_config){ .window = 0 });
	CHECK_INT(-ERR_SYNTAX, server(t, "220 a\n220 b\n"));
	CLIENT("", CLOSE);
	talk_free(t);

	t = talk_new((struct smtp_client_config){ .window = 0 });
	SERVER("220 a\n");
	CLIENT("EHLO relay.example\n", WAIT);
	CHECK_INT(-ERR_SYNTAX, server(t, "334 go on\n"));
	CHECK_INT(SMTP_STEP_EHLO, t->c.failure.step);
	CLIENT("", CLOSE);
	talk_free(t);

	t = connected(PLAIN); /* not from our parser, which knows no such code */
	CHECK_INT(-ERR_SYNTAX, smtp_client_reply(&t->c, &(struct smtp_reply){ .code = 600 }));
	CLIENT("", CLOSE);
	smtp_client_quit(&t->c);
	CLIENT("", CLOSE);
	talk_free(t);
}

static void chunks_come_after_the_envelope(void)
{
	struct talk *t = connected(CHUNK); /* chunks of 100 */
	begin(t, 2, SMTP_TXN_USE_BDAT, 250);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nRCPT TO:<r1@d>\n", WAIT);
	SERVER("250 ok\n250 ok\n550 no\n");
	CLIENT("BDAT 100\n", BODY_CHUNK);
	CHECK_INT(0, t->c.chunk_at);
	CHECK_INT(100, t->c.chunk_octets);
	smtp_client_body_done(&t->c);
	CLIENT("BDAT 100\n", BODY_CHUNK);
	CHECK_INT(100, t->c.chunk_at);
	smtp_client_body_done(&t->c);
	CLIENT("", WAIT); /* two in flight */
	CHECK_INT(SMTP_STEP_BDAT, smtp_client_awaits(&t->c));
	SERVER("250 100 octets\n");
	CLIENT("BDAT 50 LAST\n", BODY_CHUNK);
	CHECK_INT(200, t->c.chunk_at);
	CHECK_INT(50, t->c.chunk_octets);
	smtp_client_body_done(&t->c);
	CHECK_INT(SMTP_TXN_SENT, t->txn.progress);
	SERVER("250 200 octets\n");
	CLIENT("", WAIT);
	SERVER("250 2.0.0 message ok\n");
	CLIENT("", DONE);
	RESULT(0, OK, BDAT, 250, "2.0.0 message ok");
	RESULT(1, PERM, RCPT, 550, "no");
	take(t);
	/* one refused: no more chunks, and RSET before the next */
	begin(t, 1, SMTP_TXN_USE_BDAT, 250);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\n", WAIT);
	SERVER("250 ok\n250 ok\n");
	CLIENT("BDAT 100\n", BODY_CHUNK);
	smtp_client_body_done(&t->c);
	CLIENT("BDAT 100\n", BODY_CHUNK);
	SERVER("452 4.3.1 disk full\n");
	CLIENT("", BODY_CHUNK); /* the begun one must be completed */
	smtp_client_body_done(&t->c);
	CHECK_INT(SMTP_TXN_BODY, t->txn.progress);
	CLIENT("", WAIT);
	SERVER("250 odd\n");
	CLIENT("", DONE);
	RESULT(0, TEMP, BDAT, 452, "4.3.1 disk full");
	take(t);
	/* no recipient: no chunk */
	begin(t, 1, SMTP_TXN_USE_BDAT, 250);
	CLIENT("RSET\nMAIL FROM:<s@d>\nRCPT TO:<r0@d>\n", WAIT);
	SERVER("250 ok\n250 ok\n550 no\n");
	CLIENT("", DONE);
	RESULT(0, PERM, RCPT, 550, "no");
	take(t);
	/* an empty message */
	begin(t, 1, SMTP_TXN_USE_BDAT, 0);
	CLIENT("RSET\nMAIL FROM:<s@d>\nRCPT TO:<r0@d>\n", WAIT);
	SERVER("250 ok\n250 ok\n250 ok\n");
	CLIENT("BDAT 0 LAST\n", BODY_CHUNK);
	smtp_client_body_done(&t->c);
	SERVER("250 ok\n");
	CLIENT("", DONE);
	RESULT(0, OK, BDAT, 250, "ok");
	talk_free(t);
}

static void a_small_message_may_go_with_its_envelope(void)
{
	enum { EAGER = SMTP_TXN_USE_BDAT | SMTP_TXN_EAGER_BDAT };
	struct talk *t = connected(CHUNK);
	begin(t, 2, EAGER, 100);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nRCPT TO:<r1@d>\nBDAT 100 LAST\n", BODY_CHUNK);
	SERVER("250 ok\n"); /* replies may come while it is written */
	CLIENT("", BODY_CHUNK);
	smtp_client_body_done(&t->c);
	CLIENT("", WAIT);
	SERVER("250 ok\n550 no\n250 taken\n");
	CLIENT("", DONE);
	RESULT(0, OK, BDAT, 250, "taken");
	RESULT(1, PERM, RCPT, 550, "no");
	take(t);
	/* nobody wants it: it was sent for nothing */
	begin(t, 1, EAGER, 100);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nBDAT 100 LAST\n", BODY_CHUNK);
	smtp_client_body_done(&t->c);
	SERVER("250 ok\n550 no\n503 no recipients\n");
	CLIENT("", DONE);
	RESULT(0, PERM, RCPT, 550, "no");
	take(t);
	/* too big for one chunk: it waits */
	begin(t, 1, EAGER, 101);
	CLIENT("RSET\nMAIL FROM:<s@d>\nRCPT TO:<r0@d>\n", WAIT);
	talk_free(t);
	/* and without PIPELINING, too */
	t = connected("250-mx\n250 CHUNKING\n");
	begin(t, 1, EAGER, 100);
	CLIENT("MAIL FROM:<s@d>\n", WAIT);
	SERVER("250 ok\n");
	CLIENT("RCPT TO:<r0@d>\n", WAIT);
	SERVER("250 ok\n");
	CLIENT("BDAT 100 LAST\n", BODY_CHUNK);
	/* a reply to a chunk that is not there yet */
	SERVER("552 too much\n");
	CLIENT("", DONE);
	RESULT(0, PERM, BODY, 552, "too much");
	take(t);
	CLIENT("", CLOSE);
	talk_free(t);
}

static void a_server_without_ehlo(void)
{
	struct talk *t = talk_new((struct smtp_client_config){ .window = 0 });
	SERVER("220-old\n220 server\n");
	CLIENT("EHLO relay.example\n", WAIT);
	SERVER("500 what\n");
	CLIENT("HELO relay.example\n", WAIT);
	CHECK_INT(SMTP_STEP_HELO, smtp_client_awaits(&t->c));
	SERVER("250-old.example\n250 PIPELINING\n");
	CLIENT("", READY);
	CHECK_INT(0, t->c.peer.ext);
	CHECK_STR("old.example", t->c.peer.name);
	talk_free(t);

	t = talk_new((struct smtp_client_config){ .helo_only = true });
	SERVER("220 old\n");
	CLIENT("HELO relay.example\n", WAIT);
	SERVER("250 hi\n");
	CLIENT("", READY);
	talk_free(t);
}

static void a_server_that_refuses_service(void)
{
	struct talk *t = talk_new((struct smtp_client_config){ .window = 0 });
	SERVER("554 5.7.1 no service for you\n");
	CHECK_INT(SMTP_RESULT_PERM, t->c.failure.kind);
	CHECK_INT(SMTP_STEP_GREETING, t->c.failure.step);
	CHECK_INT(554, t->c.failure.code);
	CHECK_STR("5.7.1", smtp_enhanced_format(t->c.failure.enhanced).s);
	CLIENT("QUIT\n", WAIT);
	SERVER("221 bye\n");
	CLIENT("", CLOSE);
	talk_free(t);

	t = talk_new((struct smtp_client_config){ .window = 0 });
	SERVER("220 mx\n");
	CLIENT("EHLO relay.example\n", WAIT);
	SERVER("450 4.3.2 not now\n");
	CHECK_INT(SMTP_RESULT_TEMP, t->c.failure.kind);
	CHECK_INT(SMTP_STEP_EHLO, t->c.failure.step);
	CLIENT("QUIT\n", WAIT);
	smtp_client_lost(&t->c, SMTP_ENHANCED(4, 4, 2), "connection lost"); /* says nothing new */
	CLIENT("", CLOSE);
	CHECK_INT(450, t->c.failure.code);
	talk_free(t);

	t = talk_new((struct smtp_client_config){ .window = 0 });
	SERVER("220 mx\n");
	CLIENT("EHLO relay.example\n", WAIT);
	SERVER("550 no\n");
	CLIENT("HELO relay.example\n", WAIT);
	SERVER("550 still no\n");
	CHECK_INT(SMTP_RESULT_PERM, t->c.failure.kind);
	CHECK_SPAN("still no", t->c.failure.text);
	CLIENT("QUIT\n", WAIT);
	talk_free(t);

	t = talk_new((struct smtp_client_config){ .window = 0 });
	SERVER("421 busy\n");
	CLIENT("", CLOSE);
	CHECK_INT(SMTP_RESULT_TEMP, t->c.failure.kind);
	talk_free(t);
}

static void rset_refused(void)
{
	struct talk *t = connected(PIPE);
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("250 ok\n550 no\n554 no\n");
	CLIENT("", DONE);
	take(t);
	begin(t, 1, 0, 10);
	CLIENT("RSET\nMAIL FROM:<s@d>\nRCPT TO:<r0@d>\nDATA\n", WAIT);
	SERVER("502 what is RSET\n");
	CLIENT("", DONE);
	RESULT(0, TEMP, RSET, 502, "what is RSET");
	CHECK_INT(SMTP_TXN_UNTRIED, t->txn.progress);
	take(t);
	CLIENT("", CLOSE);
	talk_free(t);
}

static void what_the_plan_refuses_is_not_sent(void)
{
	struct talk *t = connected(PIPE);

	begin(t, 0, 0, 10);
	CLIENT("", DONE);
	take(t);
	memset(t->rcpt, 0, sizeof t->rcpt);
	t->rcpt[0].address = SPAN("\xc3\xbc@d");
	t->rcpt[1].address = SPAN("a@d");
	t->rcpt[2].address = SPAN("\xc3\xb6@d");
	t->txn = (struct smtp_txn){ .mem = t->mem, .sender = SPAN(""), .rcpt = t->rcpt, .nrcpt = 3 };
	smtp_client_begin(&t->c, &t->txn);
	CLIENT("MAIL FROM:<>\nRCPT TO:<a@d>\nDATA\n", WAIT);
	SERVER("250 ok\n250 ok\n354 go\n");
	CLIENT("", BODY_DATA);
	smtp_client_body_done(&t->c);
	SERVER("250 ok\n");
	CLIENT("", DONE);
	CHECK_INT(SMTP_RESULT_PERM, t->rcpt[0].result.kind);
	RESULT(1, OK, END, 250, "ok");
	CHECK_INT(SMTP_RESULT_PERM, t->rcpt[2].result.kind);
	take(t);
	/* all of them: nothing is said at all */
	t->txn.nrcpt = 1;
	smtp_client_begin(&t->c, &t->txn);
	CLIENT("", DONE);
	take(t);
	CLIENT("", READY);
	talk_free(t);
}

static void extensions_can_be_hidden(void)
{
	struct talk *t = talk_new((struct smtp_client_config){ .hide_ext = SMTP_EXT_PIPELINING });

	SERVER("220 mx\n");
	CLIENT("EHLO relay.example\n", WAIT);
	SERVER(PIPE);
	CHECK_INT(SMTP_EXT_DSN, t->c.peer.ext);
	begin(t, 1, 0, 10);
	CLIENT("MAIL FROM:<s@d>\n", WAIT);
	talk_free(t);
}

static void states_have_names(void)
{
	CHECK_STR("greeting", smtp_client_state_name(SMTP_CLIENT_IN_GREETING));
	CHECK_STR("closed", smtp_client_state_name(SMTP_CLIENT_IN_CLOSED));
	CHECK_STR("", smtp_client_state_name(SMTP_CLIENT_STATE_MAX_));
}

TEST_MAIN(TEST(a_session_without_extensions_waits_for_each_reply),
	  TEST(pipelining_sends_the_envelope_as_a_group), TEST(the_window_limits_what_is_in_flight),
	  TEST(all_recipients_refused), TEST(mail_refused), TEST(data_or_the_message_refused),
	  TEST(too_many_recipients_is_temporary), TEST(the_server_closing_at_any_point),
	  TEST(a_reply_before_the_body_is_complete), TEST(replies_out_of_place),
	  TEST(chunks_come_after_the_envelope), TEST(a_small_message_may_go_with_its_envelope),
	  TEST(a_server_without_ehlo), TEST(a_server_that_refuses_service), TEST(rset_refused),
	  TEST(what_the_plan_refuses_is_not_sent), TEST(extensions_can_be_hidden), TEST(states_have_names))
