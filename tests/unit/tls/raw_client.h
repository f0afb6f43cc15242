/* raw_client.h - for the tests of TLS: a client that is plain OpenSSL, against a server of ours over memory. It can do what ours
 * does not: keep sessions and show them again. */
#pragma once

#include <openssl/ssl.h>

#include "tls_bed.h"

struct raw {
	SSL *ssl;
	BIO *in, *out; /* from and to the server */
};

/* Moves what there is both ways, and turns the loop. */
static inline void raw_turn(struct bed *b, struct raw *c)
{
	char piece[4096];
	int n;

	while ((n = BIO_read(c->out, piece, sizeof piece)) > 0)
		memory_stream_send(&b->wire_server, span_make(piece, (size_t)n));
	loop_run_once(b->l, false);
	if (b->wire_server.output.n) {
		CHECK_INT(b->wire_server.output.n,
			  BIO_write(c->in, b->wire_server.output.p, (int)b->wire_server.output.n));
		memory_stream_take_output(&b->wire_server, NULL);
	}
	if (!SSL_is_init_finished(c->ssl))
		SSL_do_handshake(c->ssl);
	else
		SSL_read(c->ssl, piece, sizeof piece); /* tickets too */
}

/* Returns whether the handshake succeeded at both ends. @session may be NULL. */
static inline bool raw_connect(struct bed *b, struct raw *c, SSL_CTX *ctx, struct tls_server *ts,
			       SSL_SESSION *session)
{
	bed_memory(b);
	bed_accept(b, ts);
	c->ssl = SSL_new(ctx);
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	NEED(c->ssl && c->in && c->out);
	BIO_set_mem_eof_return(c->in, -1);
	SSL_set_bio(c->ssl, c->in, c->out);
	SSL_set_connect_state(c->ssl);
	SSL_set_tlsext_host_name(c->ssl, "mx.example");
	if (session)
		CHECK_INT(1, SSL_set_session(c->ssl, session));
	for (unsigned i = 0; i < 30; i++)
		raw_turn(b, c);
	return b->server.s != NULL && SSL_is_init_finished(c->ssl);
}

/* Ends it in order, so that the session may be used again; returns that, the caller's. */
static inline SSL_SESSION *raw_end(struct bed *b, struct raw *c)
{
	SSL_shutdown(c->ssl);
	for (unsigned i = 0; i < 5; i++)
		raw_turn(b, c);
	CHECK(b->server.eof);
	SSL_SESSION *session = SSL_get1_session(c->ssl);
	SSL_free(c->ssl);
	bed_end(b);
	return session;
}

static inline SSL_CTX *raw_context(int version, unsigned long options)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	NEED(ctx != NULL);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_options(ctx, options);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	return ctx;
}
