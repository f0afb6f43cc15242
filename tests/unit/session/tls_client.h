/* tls_client.h - the client of a session bed under TLS: our own TLS filter over a second stream of memory, joined to the first. */
#pragma once

#include "session_bed.h"
#include "tls/tls_certs.h"
#include "tls/tls_stream.h"

struct tls_bed {
	struct bed b;
	struct cert ca, server, user;
	struct tls_server *ts;
	struct tls_client *tc;
	struct scope scope;
	struct memory_peer wire; /* what the client's side sends comes out here */
	struct stream *lower;
	struct tls_handshake handshake;
	struct stream *s; /* the client's, under TLS */
	unsigned shaken, closed;
	int status;
	struct buf got;
};

static inline void tb_readable(struct stream *s, void *owner)
{
	struct tls_bed *t = owner;
	const struct span in = stream_input(s);

	buf_add_span(&t->got, in);
	stream_consume(s, in.n);
	stream_want_input(s, true);
}

static inline void tb_closed(struct stream *s, void *owner, int err)
{
	struct tls_bed *t = owner;

	(void)err;
	t->closed++;
	t->s = NULL;
	stream_free(s);
}

static const struct stream_events tb_events = { .readable = tb_readable, .closed = tb_closed };

static inline void tb_shaken(struct op *op)
{
	struct tls_bed *t = container_of(op, struct tls_bed, handshake.op);

	t->shaken++;
	t->status = op->status;
	if (op->status < 0)
		return;
	t->s = t->handshake.stream_r;
	stream_set_owner(t->s, &tb_events, t);
	stream_want_input(t->s, true);
}

/* Octets go over and back until nothing moves. */
static inline void tb_run(struct tls_bed *t)
{
	for (int i = 0; i < 60; i++) {
		memory_stream_send(&t->b.peer, buf_span(&t->wire.output));
		if (t->wire.ended && t->wire.output.n == 0)
			memory_stream_send_eof(&t->b.peer);
		buf_reset(&t->wire.output);
		if (t->b.peer.output.n) {
			memory_stream_send(&t->wire, buf_span(&t->b.peer.output));
			buf_reset(&t->b.peer.output);
		}
		if (t->b.peer.ended)
			memory_stream_send_eof(&t->wire);
		loop_run_once(t->b.loop, false);
	}
}

/* @from: who signs clients; "" nobody asks them. */
static inline void tb_init(struct tls_bed *t, enum session_tls_mode mode, bool clients)
{
	struct errtext e = { "" };

	*t = (struct tls_bed){ .got = BUF_INIT(1 << 20), .status = 1 };
	bed_init(&t->b);
	certs_init();
	t->ca = cert_make((struct cert_spec){ .cn = "test CA", .ca = true });
	t->server = cert_make((struct cert_spec){
		.cn = "relay.example.edu", .alt = "DNS:relay.example.edu", .issuer = &t->ca });
	t->user = cert_make((struct cert_spec){ .cn = "Copier 7",
						.alt = "email:copier7@example.edu,DNS:copier7.example.edu",
						.issuer = &t->ca });
	const char *const ca = CERTS_WRITE("ca.pem", CERT_OF(t->ca));
	const struct tls_cert pair = {
		span_of(CERTS_WRITE("server.pem", CERT_OF(t->server), KEY_OF(t->server))), { NULL, 0 }
	};
	const struct tls_server_config sc = { .certs = &pair,
					      .ncerts = 1,
					      .security_level = -1,
					      .session_lifetime_s = 3600,
					      .client_cert =
						      clients ? TLS_CLIENT_CERT_ASK : TLS_CLIENT_CERT_NONE,
					      .client_ca = clients ? span_of(ca) : SPAN("") };
	struct tls_client_config cc = { .security_level = -1, .ca_file = span_of(ca) };
	if (clients)
		cc.cert = span_of(CERTS_WRITE("user.pem", CERT_OF(t->user), KEY_OF(t->user)));
	if (tls_server_new(&sc, &t->ts, &e) < 0 || tls_client_new(&cc, &t->tc, &e) < 0)
		FAIL("%s", e.s);
	NEED(t->ts && t->tc);
	t->b.listener.ext |= SMTP_EXT_STARTTLS | SMTP_EXT_AUTH | SMTP_EXT_REQUIRETLS;
	t->b.listener.tls = (struct session_tls_config){
		.mode = mode, .server = t->ts, .asks_cert = clients, .handshake_timeout_us = 30 * SECOND
	};
	scope_init(&t->scope, t->b.loop, NULL);
}

/* The client begins its side of TLS on the connection as it stands. */
static inline void tb_hello(struct tls_bed *t)
{
	const struct tls_connect how = { .sni = SPAN("relay.example.edu"), .verify = TLS_VERIFY_NONE };

	t->lower = memory_stream_new(t->b.loop, &t->wire);
	tls_handshake_init(&t->handshake, tb_shaken);
	CHECK_INT(0, tls_connect_start(&t->handshake, &t->scope, t->lower, t->tc, &how, 30 * SECOND));
}

static inline void tb_secure(struct tls_bed *t)
{
	tb_hello(t);
	tb_run(t);
	CHECK_INT(1, t->shaken);
	CHECK_INT(0, t->status);
	NEED(t->s != NULL);
}

static inline void tb_starttls(struct tls_bed *t)
{
	bed_ehlo(&t->b);
	SAY(&t->b, "STARTTLS\r\n", "220 2.0.0 Ready to start TLS\r\n");
	tb_secure(t);
}

static inline const char *tb_hear(struct tls_bed *t)
{
	buf_reset(&t->got);
	tb_run(t);
	return buf_cstr(&t->got);
}

/* What the server answers to @text under TLS. */
static inline const char *tb_say(struct tls_bed *t, const char *text)
{
	buf_reset(&t->got);
	NEED(t->s != NULL);
	CHECK_INT(0, stream_write(t->s, span_of(text)));
	tb_run(t);
	return buf_cstr(&t->got);
}

#define TSAY(t, text, want) bed_check(__FILE__, __LINE__, (text), (want), tb_say((t), (text)))

static inline void tb_end(struct tls_bed *t)
{
	if (t->s)
		stream_close(t->s, false);
	scope_close(&t->scope);
	tb_run(t);
	if (t->b.peer.stream)
		memory_stream_reset(&t->b.peer, -ERR_CLOSED);
	tb_run(t);
	CHECK(t->b.s == NULL && t->s == NULL);
	CHECK_INT(t->shaken && t->status == 0, t->closed);
	if (t->wire.loop_)
		memory_stream_peer_deinit(&t->wire);
	tls_server_unref(&t->ts);
	tls_client_unref(&t->tc);
	cert_free(&t->ca);
	cert_free(&t->server);
	cert_free(&t->user);
	certs_deinit();
	buf_free(&t->got);
	bed_end(&t->b);
}
