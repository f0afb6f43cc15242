/* tls/tls_stream.h - TLS as a filter: a stream (io/stream.h) over another stream.
 *
 *   struct tls_handshake h;
 *   tls_handshake_init(&h, on_done);
 *   tls_accept_start(&h, &s->scope, s->stream, listener->tls, 30 s);     // or tls_connect_start()
 *   ...
 *   static void on_done(struct op *op) {
 *       op->status == 0:  h.stream_r is the stream from now on; set its owner. The lower one belongs to it.
 *       op->status <  0:  the lower stream is closed and gone. h.why says what went wrong, for the log.
 *   }
 *
 * Octets that the peer sent before the handshake are the caller's concern: it consumes them (throws them away) before it
 * starts; what the filter reads is the first of the handshake (RFC 3207 section 4.2). What came behind the last record of the
 * handshake is TLS and stays in the filter.
 *
 * The filter keeps io/stream.h's contract in all points: flow control, high and low water, deadlines, no event from inside a
 * call, `closed` last. close_notify is sent on a graceful close; its absence at the end of the input is told by
 * tls_info()->truncated. Renegotiation is refused. An idle stream under TLS holds no record buffers.
 *
 * Ownership: tls_accept_start/tls_connect_start take the lower stream over at once, also when they fail later.
 * Threads:   the loop's.
 * Limits:    the handshake's octets and its deadline; records as TLS has them.
 * Source:    RFC 8446, RFC 3207, RFC 7672 (DANE), RFC 6125 (names), RFC 5929 and RFC 9266 (channel bindings).
 * Tests:     tests/unit/tls/test_tls_stream.c, test_handshake.c, test_verify.c, tests/fuzz/fuzz_tls_handshake.c, fuzz_tls_connect.c
 */
#pragma once

#include "base/err.h"
#include "io/op.h"
#include "io/stream.h"
#include "tls/tls_context.h"

enum { TLS_WHY_MAX = 300, TLS_IDENTITY_MAX = 512 };

/* Why a handshake failed, for counters and reports (RFC 8460 section 4.3 has names for some). */
#define TLS_FAULT_MAP(X)                                                                                     \
	X(NONE, "none")                                                                                      \
	X(NOTHING_SHARED, "nothing-shared") /* no version, cipher or signature that both can */              \
	X(NOT_TLS, "not-tls")                                                                                \
	X(PROTOCOL, "protocol")                                                                              \
	X(REFUSED, "refused") /* the peer said so, by an alert */                                            \
	X(CLOSED, "closed")                                                                                  \
	X(TIMEOUT, "timeout")                                                                                \
	X(CANCELED, "canceled")                                                                              \
	X(CERT_EXPIRED, "certificate-expired")                                                               \
	X(CERT_NAME, "certificate-host-mismatch")                                                            \
	X(CERT_UNTRUSTED, "certificate-not-trusted")                                                         \
	X(CERT_MISSING, "certificate-missing")                                                               \
	X(TLSA, "tlsa-invalid") /* records that cannot be used, or none that matches */

enum tls_fault {
#define X(name, text) TLS_FAULT_##name,
	TLS_FAULT_MAP(X) TLS_FAULT_MAX_
#undef X
};
const char *tls_fault_name(enum tls_fault fault);

/* How a connection is protected. Spans and pointers live as long as the stream. */
struct tls_info {
	struct span version; /* "TLSv1.3" */
	struct span cipher;  /* "TLS_AES_256_GCM_SHA384" */
	int bits;            /* of the cipher's key, as it is used */
	int cipher_bits;     /* as the algorithm has it: "(128/256 bits)" */
	struct span sni;     /* asked for by a client; empty: none */
	bool resumed;
	bool truncated; /* the input ended without close_notify */
	struct span
		broken; /* in `closed`: OpenSSL's reason, if it was one of TLS (a server that minds our certificate) */

	/* The peer's certificate. */
	bool cert_given;
	bool cert_ok; /* it was verified as was wanted: chain (and names), or DANE; a resumed session: as then */
	bool dane;    /* by a TLSA record */
	struct span cert_why; /* unless cert_ok: OpenSSL's reason */
	struct span subject;  /* RFC 2253 form, printable, at most TLS_IDENTITY_MAX */
	struct span common_name;
	struct span email;    /* first rfc822Name; else empty */
	struct span dns_name; /* first dNSName; else empty */
	struct span issuer;
	struct span fingerprint; /* SHA-256, lower case hexadecimal */
	int64_t cert_until_s;    /* notAfter, seconds since 1970; 0: not known */
};

struct tls_handshake {
	struct op op;
	struct stream *stream_r;
	enum tls_fault fault;  /* on failure */
	char why[TLS_WHY_MAX]; /* on failure: "no shared cipher; the client offered TLSv1.0; RC4-MD5, ..." */
	char offered
		[TLS_WHY_MAX]; /* server, on failure: versions and cipher suites of the ClientHello; may be cut */
	struct tls_filter *filter_; /* internal */
};

/* op.status on failure: -ERR_DENIED the certificate does not verify; -ERR_UNSUPPORTED nothing is shared, or no TLSA record can be
 * used; -ERR_REFUSED the peer's alert; -ERR_CLOSED or the connection's error; -ERR_TIMEOUT; -ERR_CANCELED; -ERR_INVAL a connect
 * that asks for verification without a name; -ERR_IO all else. None of them says that mail cannot be delivered: all are
 * reasons to try later. */
void tls_handshake_init(struct tls_handshake *h, void (*done)(struct op *op));

/* Returns 0 or -ERR_CANCELED (the scope is closing) or -ERR_NOMEM: then the lower stream is still the caller's. */
int tls_accept_start(struct tls_handshake *h, struct scope *scope, struct stream *lower,
		     struct tls_server *ts, int64_t deadline_us);

/* A TLSA record (RFC 6698) as the DNS has it. */
struct tls_tlsa {
	uint8_t usage, selector, matching;
	struct span data;
};

/* Can it be used for SMTP (RFC 7672 section 3.1: DANE-TA(2) and DANE-EE(3), known selectors and digests of the right length)? A
 * domain all of whose records are not gets TLS without verification (section 2.2), so ask before connecting. */
bool tls_tlsa_usable(const struct tls_tlsa *t);

enum tls_verify {
	TLS_VERIFY_NONE, /* encrypt: any certificate, or none known; cert_ok still says what verification would have said */
	TLS_VERIFY_NAME, /* the chain ends at a CA of ours and one of the names is in the certificate (subjectAltName only) */
	TLS_VERIFY_DANE, /* one of the TLSA records matches, as RFC 7672 section 3 has it; -ERR_UNSUPPORTED if none can be used */
};

struct tls_connect {
	struct span sni; /* sent unless empty or an address */
	enum tls_verify verify;
	const struct span *
		names; /* any of them; ".example.org" matches one label below (MTA-STS, "*.example.org"); needed for
				    * NAME and DANE (DANE-EE does not look at them); with NONE for cert_ok alone. An address
				    * ("192.0.2.1") stands alone and is compared with the iPAddresses. */
	size_t nnames;
	const struct tls_tlsa *tlsa;
	size_t ntlsa;
};

/* What @how points to is read during the call only. A certificate that does not verify ends the handshake with -ERR_DENIED
 * before anything is sent on the new stream. */
int tls_connect_start(struct tls_handshake *h, struct scope *scope, struct stream *lower,
		      struct tls_client *tc, const struct tls_connect *how, int64_t deadline_us);

/* NULL if @s is not one of ours. */
const struct tls_info *tls_info(const struct stream *s);

/* Channel bindings for SCRAM-PLUS and GSSAPI: "tls-server-end-point", "tls-exporter" (TLS 1.3, and older with extended
 * master secret), "tls-unique" (older, unless
 * resumed without extended master secret). Returns the octets put into @out, -ERR_UNSUPPORTED
 * when this connection has none of that kind, -ERR_TOOBIG over @max. */
enum { TLS_BINDING_MAX = 64 };
int tls_channel_binding(const struct stream *s, struct span type, uint8_t *out, size_t max);
