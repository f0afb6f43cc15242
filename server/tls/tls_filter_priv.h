/* tls/tls_filter_priv.h - the inside of a stream under TLS, for the files of tls/ alone.
 *
 * tls_stream.c moves octets, tls_handshake.c begins and ends, tls_info.c and tls_binding.c tell about it.
 */
#pragma once

#include <openssl/ssl.h>

#include "io/input_gate.h"
#include "io/out_queue.h"
#include "tls/tls_context_priv.h"
#include "tls/tls_hello.h"
#include "tls/tls_stream.h"

enum tls_phase {
	TLS_SHAKING,  /* the owner is a tls_handshake */
	TLS_FAILED,   /* it failed; the lower stream is being closed */
	TLS_OPEN,     /* the owner is that of the stream */
	TLS_DRAINING, /* closed gracefully: output is encrypted and sent first */
	TLS_FINISHED, /* the lower stream is being closed */
	TLS_CLOSED,   /* it is gone, and `closed` was told */
};

struct tls_filter {
	struct stream s;
	struct stream *lower; /* NULL once it is gone */
	SSL *ssl;
	struct tls_live *live;
	union {
		struct tls_server *server;
		struct tls_client *client;
	} of; /* whose live set it is */
	bool serving;
	uint8_t phase;           /* enum tls_phase */
	uint8_t due;             /* events that event_task brings */
	bool over_high;          /* `writable` is owed */
	bool marked;             /* on_sent() will come */
	bool held_up;            /* the lower stream takes no more: neither do we */
	bool lower_ended;        /* OpenSSL was told of the end of the lower stream */
	uint32_t shaken_octets;  /* that OpenSSL took during the handshake */
	int err;                 /* for `closed`, or for the handshake's op */
	struct tls_handshake *h; /* while shaking */
	struct tls_hello *hello; /* the same */
	struct tls_info *info;
	struct input_gate gate;
	char *plain; /* what `unread` points into; NULL when nothing is unread */
	uint32_t plain_cap;
	struct span unread;
	struct out_queue out; /* not encrypted yet */
	struct timer bound;   /* of a graceful close */
	struct task flush_task, event_task;
};

/* ---- tls_stream.c ----------------------------------------------------------------------------------------- */
extern const struct stream_ops tls_filter_ops;

/* Over @lower, which stays the caller's until tls_filter_take_over(). NULL: no memory. Takes @live over in any case. */
struct tls_filter *tls_filter_new(struct stream *lower, struct tls_live *live, bool serving);
void tls_filter_free(struct tls_filter *f);
void tls_filter_take_over(struct tls_filter *f);
/* The handshake is over: the stream begins. */
void tls_filter_open(struct tls_filter *f);

BIO_METHOD *tls_filter_bio_method(void);
/* Makes sure that progress goes on when the lower stream has sent what it has. */
void tls_filter_await_sent(struct tls_filter *f);

/* ---- tls_handshake.c, called by tls_stream.c ---------------------------------------------------------------- */
void tls_handshake_step(struct tls_filter *f);
void tls_handshake_lower_closed(struct tls_filter *f, int err);

/* ---- tls_verify.c ------------------------------------------------------------------------------------------ */

/* Tells OpenSSL what to expect of the server. */
int tls_verify_expect(SSL *ssl, const struct tls_connect *how, struct errtext *e);
/* Why the certificate of the peer was refused, for a person. */
void tls_verify_explain(SSL *ssl, char *out, size_t max);
enum tls_fault tls_verify_fault(SSL *ssl);

/* ---- tls_info.c -------------------------------------------------------------------------------------------- */
struct tls_info *tls_info_new(const struct tls_filter *f);
void tls_info_free(struct tls_info **info);
