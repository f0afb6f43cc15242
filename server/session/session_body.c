/* session_body.c - the content of DATA and BDAT: decoded, its header section kept aside, the rest streamed into the store.
 *
 *   1. octets come; dots and line endings are decoded run by run
 *   2. up to the end of the header section they are gathered in head (policies edit it), then they go to the store
 *   3. at the end: STEP_MESSAGE
 *
 * Ways it fails: too large, a header section too large, bare CR or LF or NUL from a stranger, a line too long, the store cannot
 * take more: the first of these stands, the rest of the message is read and thrown away (the client would not read a reply
 * before its end), and the reply comes at the end. The client goes: what was kept is dropped. The client dawdles: data_timeout
 * between pieces, message_timeout for all.
 */
#include "session/session_priv.h"

#include <stdio.h>

void session_msg_fail(struct session *s, unsigned code, struct smtp_enhanced e, const char *rule,
		      const char *text)
{
	struct session_msg *m = s->msg;

	if (m->fail.code)
		return;
	m->fail = (struct session_refusal){
		.code = code, .enhanced = e, .rule = rule, .text = text, .stage = HOOK_MESSAGE
	};
	if (m->stored)
		s->env->store.ops->abort(s->env->store.impl, &m->stored);
	s->waiting_room = false;
	buf_free(&m->head);
}

static void fail_store(struct session *s, int err)
{
	if (err == -ERR_TOOBIG)
		session_msg_fail(s, 552, SMTP_ENHANCED(5, 3, 4), "message-size",
				 "message exceeds the size limit");
	else
		session_msg_fail(s, 452, SMTP_ENHANCED(4, 3, 1), "storage",
				 "insufficient system storage; try again later");
}

int session_msg_begin(struct session *s)
{
	const struct session_listener *l = s->listener;
	const struct smtp_mail_params *p = &s->txn->view.params;
	struct session_msg *m = arena_new_of(s->txn_mem, struct session_msg);
	const uint64_t hint = m && (p->has & SMTP_MAIL_SIZE) ? p->size_octets : 0;
	const int err = m ? s->env->store.ops->begin(s->env->store.impl, hint, &m->stored) : -ERR_NOMEM;
	const bool normalise = s->profile && s->profile->normalise_newlines;
	const bool binary = (p->has & SMTP_MAIL_BODY) && p->body == SMTP_BODY_BINARYMIME;
	const enum smtp_data_mode mode = binary      ? SMTP_DATA_BINARY
					 : normalise ? SMTP_DATA_NORMALISE
						     : SMTP_DATA_REFUSE;

	if (err < 0)
		return session_refuse_protocol(s, 452, SMTP_ENHANCED(4, 3, 1), "storage",
					       "insufficient system storage; try again later");
	m->id = s->env->store.ops->id(s->env->store.impl, m->stored);
	m->scan = MAIL_HEAD_SCAN_INIT;
	m->began_us = loop_now_us(s->env->loop);
	buf_init(&m->head, l->head_max_bytes);
	if (s->txn->bdat)
		smtp_data_decoder_init_bdat(&m->decoder, mode);
	else
		smtp_data_decoder_init(&m->decoder, mode);
	smtp_bdat_init(&m->bdat, l->message_max_bytes);
	m->view.txn = &s->txn->view;
	s->msg = m;
	return 0;
}

void session_msg_end(struct session *s)
{
	struct session_msg *m = s->msg;

	if (!m)
		return;
	if (m->stored)
		s->env->store.ops->abort(s->env->store.impl, &m->stored);
	session_dkim_free(s);
	buf_free(&m->head);
	arena_free(&m->head_mem);
	s->waiting_room = false;
	s->msg = NULL;
}

static void on_room(void *arg)
{
	struct session *s = arg;

	s->waiting_room = false;
	session_run_soon(s);
}

static void to_store(struct session *s, struct span run)
{
	struct session_msg *m = s->msg;

	if (!run.n || m->fail.code)
		return;
	session_dkim_body(s, run);
	const int err = s->env->store.ops->body(s->env->store.impl, m->stored, run);
	if (err == -ERR_AGAIN) {
		s->waiting_room = true;
		session_deadline(s, s->listener->data_timeout_us);
		s->env->store.ops->on_room(s->env->store.impl, m->stored, on_room, s);
	} else if (err < 0) {
		fail_store(s, err);
	}
}

/* The header section is over at octet scan.line_octets of the message: what is behind it in head belongs to the body. */
static void head_ends(struct session *s)
{
	struct session_msg *m = s->msg;
	const size_t head = (size_t)m->scan.line_octets;

	m->head_done = true;
	session_dkim_head(s);
	if (m->head.n > head) {
		to_store(s, span_skip(buf_span(&m->head), head));
		if (!m->fail.code)
			m->head.n = head;
	}
}

/* The limits and the rules for octets that do not depend on where they stand; the flags are those of all that came so far. */
static void check_content(struct session *s)
{
	const struct smtp_data_decoder *d = &s->msg->decoder;

	if (d->octets > s->listener->message_max_bytes)
		session_msg_fail(s, 552, SMTP_ENHANCED(5, 3, 4), "message-size",
				 "message exceeds the size limit");
	if (d->mode == SMTP_DATA_BINARY) /* RFC 3030 section 3: lines and octets of any kind */
		return;
	if (d->line_octets_most > s->listener->line_max_octets)
		session_msg_fail(s, 554, SMTP_ENHANCED(5, 6, 0), "line-length",
				 "a line of the message is too long");
	if (d->mode == SMTP_DATA_REFUSE && (d->flags & (SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF)))
		session_msg_fail(s, 550, SMTP_ENHANCED(5, 5, 2), "bare-newline",
				 "the message has a CR or LF that is not part of a CRLF");
	if ((d->flags & SMTP_DATA_NUL) && !(s->profile && s->profile->nul))
		session_msg_fail(s, 550, SMTP_ENHANCED(5, 6, 0), "nul", "the message has a NUL octet");
}

/* A run that brings the end of the header section, or more of it than may be: most of it can be body. */
static void take_last_of_head(struct session *s, struct span run)
{
	struct session_msg *m = s->msg;
	const size_t had = m->head.n;

	m->head.overflow = false;
	if (!mail_head_scan_feed(&m->scan, run) || m->scan.line_octets > s->listener->head_max_bytes) {
		session_msg_fail(s, 552, SMTP_ENHANCED(5, 3, 4), "header-size",
				 "the header section is too large");
		return;
	}
	const size_t of_run = m->scan.line_octets > had ? (size_t)m->scan.line_octets - had : 0;
	buf_add_span(&m->head, span_first(run, of_run));
	head_ends(s);
	to_store(s, span_skip(run, of_run));
}

static void take_run(struct session *s, struct span run)
{
	struct session_msg *m = s->msg;

	check_content(s);
	if (m->fail.code)
		return;
	if (m->head_done)
		to_store(s, run);
	else if (!buf_add_span(&m->head, run))
		take_last_of_head(s, run);
	else if (mail_head_scan_feed(&m->scan, run))
		head_ends(s);
}

static enum session_next content_ended(struct session *s)
{
	struct session_msg *m = s->msg;

	check_content(s);
	if (!m->fail.code && !m->head_done) {
		if (mail_head_scan_finish(&m->scan))
			head_ends(s);
		else
			session_dkim_head(s);
		m->head_done = true;
	}
	m->has_8bit = m->decoder.flags & SMTP_DATA_8BIT;
	m->body_ended_us = loop_now_us(s->env->loop);
	s->step = SESSION_STEP_MESSAGE;
	return NEXT_STEP;
}

static enum session_next need_more(struct session *s, int64_t since_us)
{
	if (stream_eof(s->stream)) {
		session_end(s, "eof");
		return NEXT_STEP;
	}
	if (loop_now_us(s->env->loop) - since_us > s->listener->message_timeout_us) {
		session_replyf(s, 421, SMTP_ENHANCED(4, 4, 2),
			       "%.*s timeout exceeded: the message comes too slowly",
			       SPAN_ARG(s->listener->hostname));
		session_end(s, "slow");
		return NEXT_STEP;
	}
	stream_set_deadline(s->stream, s->listener->data_timeout_us);
	return NEXT_WAIT;
}

static enum session_next step_data(struct session *s)
{
	const struct span all = stream_input(s->stream);
	struct span in = all, run;
	enum smtp_data_event ev = SMTP_DATA_MORE;

	while (!s->waiting_room && (ev = smtp_data_decode(&s->msg->decoder, &in, &run)) == SMTP_DATA_RUN)
		take_run(s, run);
	stream_consume(s->stream, all.n - in.n);
	if (s->waiting_room)
		return NEXT_WAIT;
	return ev == SMTP_DATA_END ? content_ended(s) : need_more(s, s->msg->began_us);
}

static enum session_next chunk_ended(struct session *s)
{
	struct session_msg *m = s->msg;
	struct span run;

	if (m->bdat.is_last) {
		while (smtp_data_finish(&m->decoder, &run) == SMTP_DATA_RUN)
			take_run(s, run);
		return content_ended(s);
	}
	if (m->fail.code) { /* RFC 3030 section 2: after a refused chunk the transaction is over */
		s->step = SESSION_STEP_MESSAGE;
		return NEXT_STEP;
	}
	session_replyf(s, 250, SMTP_ENHANCED(2, 0, 0), "%llu octets received",
		       (unsigned long long)m->bdat.octets);
	return session_command_done(s);
}

static enum session_next step_chunk(struct session *s)
{
	struct session_msg *m = s->msg;
	const struct span in = stream_input(s->stream);
	struct span run;

	struct span piece = m->bdat.remaining < in.n ? span_first(in, (size_t)m->bdat.remaining) : in;
	const size_t offered = piece.n;
	while (!s->waiting_room && smtp_data_decode(&m->decoder, &piece, &run) == SMTP_DATA_RUN)
		take_run(s, run);
	struct span taken = span_first(in, offered - piece.n);
	smtp_bdat_take(&m->bdat, &taken);
	stream_consume(s->stream, offered - piece.n);
	if (s->waiting_room)
		return NEXT_WAIT;
	return m->bdat.remaining ? need_more(s, m->began_us) : chunk_ended(s);
}

static enum session_next step_swallow(struct session *s)
{
	const struct span in = stream_input(s->stream);
	const size_t n = in.n < s->swallow ? in.n : (size_t)s->swallow;

	stream_consume(s->stream, n);
	s->swallow -= n;
	return s->swallow ? need_more(s, s->swallow_since_us) : session_command_done(s);
}

enum session_next session_step_body(struct session *s)
{
	if (!s->msg)
		return step_swallow(s);
	return s->txn->bdat ? step_chunk(s) : step_data(s);
}
