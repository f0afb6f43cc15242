/* cmd_data.c - DATA (RFC 5321 section 4.1.1.4) and BDAT (RFC 3030): up to the first octet of content. */
#include "session/session_priv.h"

static int no_recipients(struct session *s)
{
	if (s->phase == SESSION_PHASE_RCPT || s->phase == SESSION_PHASE_BDAT)
		return 0;
	if (s->phase == SESSION_PHASE_MAIL && s->txn->view.rcpts_refused)
		return session_refuse_protocol(s, 554, SMTP_ENHANCED(5, 5, 1), "no-recipients",
					       "no valid recipients");
	return session_refuse_protocol(s, 503, SMTP_ENHANCED(5, 5, 1), "sequence",
				       s->phase == SESSION_PHASE_MAIL ? "say RCPT first" : "say MAIL first");
}

int cmd_data_check(struct session *s)
{
	const int refused = no_recipients(s);

	if (refused)
		return refused;
	if ((s->txn->view.params.has & SMTP_MAIL_BODY) && s->txn->view.params.body == SMTP_BODY_BINARYMIME)
		return session_refuse_protocol(s, 503, SMTP_ENHANCED(5, 5, 1), "binary-data",
					       "a BINARYMIME message needs BDAT"); /* RFC 3030 section 3 */
	return 0;
}

enum session_next cmd_data_apply(struct session *s)
{
	s->txn->bdat = false;
	if (session_msg_begin(s) != 0)
		return session_command_done(s);
	session_reply(s, 354, (struct smtp_enhanced){ 0 }, SPAN("End data with <CR><LF>.<CR><LF>"));
	stream_consume(s->stream, s->line_octets);
	s->line_octets = 0;
	s->phase = SESSION_PHASE_DATA;
	s->step = SESSION_STEP_BODY;
	stream_set_deadline(s->stream, s->listener->data_timeout_us);
	return NEXT_STEP;
}

/* Every BDAT is followed by its octets, whatever we think of the command: unless its size is unreadable they are taken off the
 * wire and thrown away. And a message of which one chunk was refused can never be completed: were its transaction left open,
 * the next chunk in the pipeline would begin a message without its beginning (RFC 3030 section 2). */
void session_swallow_chunk(struct session *s)
{
	session_msg_end(s);
	session_txn_end(s);
	session_consume(s, s->line_octets);
	s->line_octets = 0;
	s->swallow = s->chunk.octets;
	s->swallow_since_us = loop_now_us(s->env->loop);
	s->step = SESSION_STEP_BODY;
	session_deadline(s, s->listener->data_timeout_us);
}

int cmd_bdat_check(struct session *s)
{
	const char *why;

	if (smtp_bdat_parse(s->parsed.arg, &s->chunk, &why) < 0) {
		session_refuse_protocol(s, 501, SMTP_ENHANCED(5, 5, 4), "bdat-syntax", why);
		session_end(s, "bdat-syntax");
		return 1;
	}
	if (session_tls_wanted(s) || no_recipients(s)) {
		session_swallow_chunk(s);
		return 1;
	}
	return 0;
}

enum session_next cmd_bdat_apply(struct session *s)
{
	if (s->phase != SESSION_PHASE_BDAT) {
		s->txn->bdat = true;
		if (session_msg_begin(s) != 0) {
			session_swallow_chunk(s);
			return NEXT_STEP;
		}
	}
	s->phase = SESSION_PHASE_BDAT;
	if (smtp_bdat_begin(&s->msg->bdat, s->chunk) < 0)
		session_msg_fail(s, 552, SMTP_ENHANCED(5, 3, 4), "message-size",
				 "message exceeds the size limit");
	stream_consume(s->stream, s->line_octets);
	s->line_octets = 0;
	s->step = SESSION_STEP_BODY;
	stream_set_deadline(s->stream, s->listener->data_timeout_us);
	return NEXT_STEP;
}
