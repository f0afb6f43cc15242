/* tls/tls_filter_priv.h - the inside of a stream under TLS, for the files of tls/ alone.
 *
 * tls_handshake.c begins it, tls_stream.c ends it; tls_input.c and tls_output.c move octets, through tls_bio.c; tls_info.c and
 * tls_binding.c tell about it.
 */
#pragma once

#include <openssl/ssl.h>

#include "base/check.h"
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

enum { TLS_DUE_READABLE = 1, TLS_DUE_WRITABLE = 2, TLS_DUE_INPUT = 4, TLS_DUE_CLOSED = 8 };

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

static inline struct tls_filter *tls_filter_of(const struct stream *s)
{
	return container_of(s, struct tls_filter, s);
}

/* ---- tls_stream.c: events, life, end ---------------------------------------------------------------------- */
extern const struct stream_ops tls_filter_ops;

/* Over @lower, which stays the caller's until tls_filter_take_over(). NULL: no memory. Takes @live over in any case. */
struct tls_filter *tls_filter_new(struct stream *lower, struct tls_live *live, bool serving);
void tls_filter_free(struct tls_filter *f);
void tls_filter_take_over(struct tls_filter *f);
/* The handshake is over: the stream begins. */
void tls_filter_open(struct tls_filter *f);
/* Everything stops; `closed` with @err comes when the lower stream is gone. */
void tls_filter_finish(struct tls_filter *f, int err, bool graceful);
/* Brings these events later. */
void tls_filter_tell(struct tls_filter *f, uint8_t due);

/* ---- tls_bio.c --------------------------------------------------------------------------------------------- */
BIO_METHOD *tls_filter_bio_method(void);

/* ---- tls_input.c ------------------------------------------------------------------------------------------- */
struct span tls_input_unread(struct stream *s);
void tls_input_consume(struct stream *s, size_t n);
void tls_input_want(struct stream *s, bool want);
/* Decrypts what there is and tells the owner. */
void tls_input_take(struct tls_filter *f);
void tls_input_tell(struct tls_filter *f);
/* Lets the lower stream bring input, or not. */
void tls_input_watch(struct tls_filter *f);

/* ---- tls_output.c ------------------------------------------------------------------------------------------ */
int tls_output_write(struct stream *s, struct span data);
int tls_output_write_ref(struct stream *s, struct span data, void (*release)(void *arg), void *arg);
void tls_output_flush(struct stream *s);
size_t tls_output_pending(const struct stream *s);
/* Encrypts as much as the lower stream takes. */
void tls_output_encrypt(struct tls_filter *f);
/* The flush task runs when the lower stream has sent what it has. */
void tls_output_await_sent(struct tls_filter *f);

/* ---- tls_handshake.c, called by tls_stream.c ---------------------------------------------------------------- */
void tls_handshake_step(struct tls_filter *f);
void tls_handshake_lower_closed(struct tls_filter *f, int err);

/* ---- tls_verify.c ------------------------------------------------------------------------------------------ */

/* Tells OpenSSL what to expect of the server. */
int tls_verify_expect(SSL *ssl, const struct tls_connect *how, struct errtext *e);
/* A verify callback that puts into `why` of the handshake what was wrong, for a person. */
int tls_verify_noted(int ok, X509_STORE_CTX *store);
enum tls_fault tls_verify_fault(SSL *ssl);

/* ---- tls_info.c -------------------------------------------------------------------------------------------- */
struct tls_info *tls_info_new(const struct tls_filter *f);
void tls_info_free(struct tls_info **info);
