/* link_talk.c - the dialogue of a link: smtp/smtp_client says what to send and what it means; this moves the octets.
 *
 * A body is written as fast as the stream takes it and read from disk a chunk at a time; while it is being written replies are
 * read, too, so that a server that refuses in the middle is heard.
 */
#include <stdio.h>

#include "delivery/delivery_priv.h"

static void on_readable(struct stream *stream, void *owner);
static void on_writable(struct stream *stream, void *owner);
static void on_deadline(struct stream *stream, void *owner);
static void on_closed(struct stream *stream, void *owner, int err);

const struct stream_events link_stream_events = {
	.readable = on_readable, .writable = on_writable, .deadline = on_deadline, .closed = on_closed
};

static void set_deadline(struct link *l)
{
	const struct route *r = l->dest ? l->dest->route_config : NULL;
	const int64_t full_us = (int64_t)smtp_step_timeout_s(smtp_client_awaits(&l->client)) * 1000000;

	if (!l->d->stopping)
		stream_set_deadline(l->stream, full_us * (r ? r->timeout_percent : 100) / 100);
}

static void begin_txn(struct link *l)
{
	l->connected_us = loop_now_us(l->d->loop);
	body_seek(&l->body, 0);
	l->chunk_left = 0;
	smtp_data_encoder_init(&l->encoder);
	smtp_client_begin(&l->client, &l->txn);
}

void link_talk_new(struct link *l)
{
	const struct route *r = l->dest->route_config;
	const struct smtp_client_config cfg = { .name = span_of(l->name),
						.hide_ext = r ? r->hide_ext : 0,
						.starttls = link_tls_policy(l),
						.tls = l->tls.on,
						.secure = l->tls.on && link_tls_is_secure(l),
						.auth = l->auth.credential != NULL,
						.helo_only = r && r->helo_only };

	snprintf(l->name, sizeof l->name, "%.*s", SPAN_ARG(l->d->cfg.hostname));
	smtp_reply_parser_deinit(&l->parser);
	smtp_reply_parser_init(&l->parser, SMTP_REPLY_TEXT_MAX);
	smtp_client_init(&l->client, &cfg);
	l->client.cfg.name = span_of(l->name);
	l->step = LINK_TALKING;
	link_talk(l);
}

/* A job on a connection that is ready. */
void link_talk_begin(struct link *l)
{
	l->step = LINK_TALKING;
	begin_txn(l);
	link_talk(l);
}

/* ---- the body ------------------------------------------------------------------------------------------------- */

static void on_chunk(struct op *op)
{
	struct link *l = container_of(op, struct link, body.read.op);

	if (l->step != LINK_TALKING || !l->stream)
		return;
	body_read_done(&l->body);
	if (op->status <= 0)
		smtp_client_lost(&l->client, SMTP_ENHANCED(4, 3, 0), "the stored message cannot be read");
	link_talk(l);
}

/* Returns false when it must wait: for the disk or for the stream. */
static bool next_piece(struct link *l, size_t max, struct span *piece_r)
{
	*piece_r = body_peek(&l->body, max);
	if (piece_r->n)
		return true;
	if (!op_pending(&l->body.read.op) && body_read_start(&l->body, &l->scope, l->d->spool, on_chunk) < 0)
		smtp_client_lost(&l->client, SMTP_ENHANCED(4, 3, 0), "the stored message cannot be read");
	return false;
}

enum { PIECE_OCTETS = 32 * 1024 };

/* True: all of it is written. */
static bool write_data(struct link *l)
{
	while (!body_at_end(&l->body)) {
		struct span piece, run;
		if (stream_pending(l->stream) > STREAM_OUT_HIGH || !next_piece(l, PIECE_OCTETS, &piece))
			return false;
		const size_t n = piece.n;
		while (smtp_data_encode(&l->encoder, &piece, &run) == SMTP_DATA_RUN)
			stream_write(l->stream, run);
		body_skip(&l->body, n);
	}
	stream_write(l->stream, smtp_data_encode_end(&l->encoder));
	return true;
}

static bool write_chunk(struct link *l)
{
	while (l->chunk_left) {
		struct span piece;
		if (stream_pending(l->stream) > STREAM_OUT_HIGH ||
		    !next_piece(l, l->chunk_left < PIECE_OCTETS ? (size_t)l->chunk_left : PIECE_OCTETS,
				&piece))
			return false;
		stream_write(l->stream, piece);
		body_skip(&l->body, piece.n);
		l->chunk_left -= piece.n;
	}
	return true;
}

/* ---- driving -------------------------------------------------------------------------------------------------- */

static void read_replies(struct link *l)
{
	struct span in = stream_input(l->stream);
	const size_t all = in.n;
	const char *why;
	int n;

	while ((n = smtp_reply_parse(&l->parser, &in, &why)) == 1)
		if (smtp_client_reply(&l->client, &l->parser.reply) != 0)
			break; /* out of place; or we have to do something before more is read */
	stream_consume(l->stream, all - in.n);
	if (n < 0)
		smtp_client_lost(&l->client, SMTP_ENHANCED(4, 5, 0), why);
	else if (n == 0 && stream_eof(l->stream))
		smtp_client_lost(&l->client, SMTP_ENHANCED(4, 4, 2), "the server closed the connection");
}

/* The connection did not get as far as a transaction. */
static void connection_refused(struct link *l)
{
	const struct smtp_result *f = &l->client.failure;
	const struct span text =
		f->kind == SMTP_RESULT_PENDING ? SPAN("the server closed the connection") : f->text;
	const enum smtp_step step = f->step;
	struct link_trouble t = { .what = smtp_step_text(step), .code = (int)f->code };
	char kept[SMTP_RESULT_TEXT_MAX];
	const size_t n = text.n < sizeof kept ? text.n : sizeof kept;

	if (n)
		memcpy(kept, text.p, n); /* the client, whose text it is, begins anew with the next address */
	t.text = span_make(kept, n);
	if (step == SMTP_STEP_AUTH)
		link_auth_failed(l, &t);
	link_auth_over(l);
	link_drop_stream(l);
	buf_reset(&l->out);
	if (step == SMTP_STEP_STARTTLS || step == SMTP_STEP_TLS)
		link_tls_failed(l, &t);
	else
		link_next_target(l, &t);
}

/* We do not want this server, which is ready: goodbye is said, and nobody waits for the answer. */
static void refuse_server(struct link *l, const struct link_trouble *t)
{
	stream_set_owner(l->stream, &link_stream_events, NULL);
	stream_write(l->stream, SPAN("QUIT\r\n"));
	stream_close(l->stream, true);
	l->stream = NULL;
	link_next_target(l, t);
}

/* A server that is lost before it said anything about the job: an idle connection that it gave up meanwhile gives the job back,
 * a fresh one goes on to the next address. */
static void transaction_over(struct link *l)
{
	struct smtp_txn *t = smtp_client_take(&l->client);

	require(t == &l->txn);
	if (t->progress != SMTP_TXN_UNTRIED || l->client.failure.kind == SMTP_RESULT_PENDING) {
		outcome_of_txn(l);
		link_job_done(l);
	} else if (l->reused) {
		link_put_back(l);
	} else {
		connection_refused(l);
	}
}

static enum smtp_client_action next_action(struct link *l)
{
	enum smtp_client_action act;

	do {
		buf_reset(&l->out);
		act = smtp_client_next(&l->client, &l->out);
		if (l->out.n && l->stream)
			stream_write(l->stream, buf_span(&l->out));
	} while (act == SMTP_CLIENT_MORE);
	return act;
}

/* False: this server is not for the job. */
static bool greeted(struct link *l)
{
	struct link_trouble t;

	link_tls_note(l);
	if (!link_auth_accepted(l, &t)) {
		refuse_server(l, &t);
		return false;
	}
	link_auth_over(l);
	/* RFC 8689 section 4.2.1: this host does not do what the sender requires; the next one may. */
	if (l->tls.demand.requiretls && !(l->client.secure && (l->client.peer.ext & SMTP_EXT_REQUIRETLS))) {
		t = (struct link_trouble){
			.what = "REQUIRETLS",
			.enhanced = l->client.secure ? SMTP_ENHANCED(5, 7, 30) : SMTP_ENHANCED(5, 7, 10),
			.text = l->client.secure
					? SPAN("REQUIRETLS is not offered by the next server")
					: SPAN("encryption needed: the server's name is not certain (REQUIRETLS)"),
			.tls = true,
			.bounce = true,
		};
		refuse_server(l, &t);
		return false;
	}
	queue_dest_ok(l->d->queue, l->dest);
	begin_txn(l);
	return true;
}

void link_talk(struct link *l)
{
	while (l->step == LINK_TALKING && l->stream) {
		const enum smtp_client_action act = next_action(l);
		switch (act) {
		case SMTP_CLIENT_WAIT:
			set_deadline(l);
			return;
		case SMTP_CLIENT_BODY_DATA:
			if (!write_data(l)) {
				set_deadline(l);
				if (l->client.failure.kind == SMTP_RESULT_PENDING)
					return;
				break;
			}
			smtp_client_body_done(&l->client);
			break;
		case SMTP_CLIENT_BODY_CHUNK:
			if (l->chunk_left == 0 && l->body.at == l->client.chunk_at)
				l->chunk_left = l->client.chunk_octets;
			if (!write_chunk(l)) {
				set_deadline(l);
				if (l->client.failure.kind == SMTP_RESULT_PENDING)
					return;
				break;
			}
			smtp_client_body_done(&l->client);
			break;
		case SMTP_CLIENT_DONE:
			transaction_over(l);
			return;
		case SMTP_CLIENT_READY:
			if (!l->has_work || !greeted(l))
				return;
			break;
		case SMTP_CLIENT_STARTTLS:
			link_tls_start(l);
			return;
		case SMTP_CLIENT_AUTH:
			if (!link_auth_step(l))
				return;
			break;
		case SMTP_CLIENT_CLOSE:
			if (l->has_work)
				connection_refused(l);
			else
				stream_close(l->stream, true);
			return;
		default:
			return;
		}
	}
}

/* ---- events --------------------------------------------------------------------------------------------------- */

static void on_readable(struct stream *stream, void *owner)
{
	struct link *l = owner;

	if (!l || (l->step != LINK_IDLE && l->step != LINK_TALKING))
		return; /* job_loaded() looks for itself */
	if (l->step == LINK_IDLE && !stream_input(stream).n && !stream_eof(stream))
		return;
	if (l->step == LINK_IDLE) { /* nothing is expected: 421, or the end */
		list_remove(&l->idle);
		l->step = LINK_TALKING;
	}
	read_replies(l);
	link_talk(l);
}

static void on_writable(struct stream *stream, void *owner)
{
	struct link *l = owner;

	(void)stream;
	if (l && l->step == LINK_TALKING)
		link_talk(l);
}

static void on_deadline(struct stream *stream, void *owner)
{
	struct link *l = owner;
	char why[80];

	(void)stream;
	if (!l || (l->step != LINK_IDLE && l->step != LINK_TALKING))
		return;
	if (l->step == LINK_IDLE) {
		link_close_idle(l);
		return;
	}
	snprintf(why, sizeof why, "timed out after %s", smtp_step_text(smtp_client_awaits(&l->client)));
	smtp_client_lost(&l->client, SMTP_ENHANCED(4, 4, 2), why);
	link_talk(l);
}

static void on_closed(struct stream *stream, void *owner, int err)
{
	struct link *l = owner;

	stream_free(stream);
	if (!l || l->stream != stream) /* given up for another address */
		return;
	l->stream = NULL;
	if (!l->has_work || l->step != LINK_TALKING) {
		link_lost(l);
		return;
	}
	smtp_client_lost(&l->client, SMTP_ENHANCED(4, 4, 2), err ? err_text(err) : "connection closed");
	if (next_action(l) == SMTP_CLIENT_DONE)
		transaction_over(l); /* without a stream the link ends with its job */
	else
		connection_refused(l);
}
