/* The way to a stream under TLS.
 *
 *   1. tls_accept_start/tls_connect_start: the filter takes the lower stream over, OpenSSL begins      begin
 *   2. each time that there is input, it goes on                                                       tls_handshake_step
 *   3. done: the op completes with the stream; the filter has no owner until its `done` sets one
 *
 * Fails by: OpenSSL's refusal (its alert is sent first), the peer's, the end of the connection, the deadline, a cancel. All
 * close the lower stream, and only when that is gone the op completes: `why` is there by then.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "tls/tls_filter_priv.h"

void tls_handshake_init(struct tls_handshake *h, void (*done)(struct op *op))
{
	*h = (struct tls_handshake){ 0 };
	op_init(&h->op, done);
}

static void fail(struct tls_filter *f, int err, bool graceful)
{
	if (f->phase != TLS_SHAKING)
		return;
	f->phase = TLS_FAILED;
	f->err = err;
	task_unschedule(&f->flush_task);
	stream_close(f->lower, graceful);
}

/* ---- why -------------------------------------------------------------------------------------------------- */

/* What a peer's fatal alert means is its reason behind SSL_AD_REASON_OFFSET (RFC 8446 section 6.2). */
static bool is_alert(unsigned long code)
{
	return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
}

static bool nothing_shared(int reason)
{
	return reason == SSL_R_NO_SHARED_CIPHER || reason == SSL_R_UNSUPPORTED_PROTOCOL ||
	       reason == SSL_R_VERSION_TOO_LOW || reason == SSL_R_NO_PROTOCOLS_AVAILABLE ||
	       reason == SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM || reason == SSL_R_NO_SUITABLE_KEY_SHARE ||
	       reason == SSL_R_NO_SUITABLE_GROUPS || reason == SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS ||
	       reason == SSL_R_INAPPROPRIATE_FALLBACK;
}

static bool not_tls(int reason)
{
	return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
	       reason == SSL_R_HTTPS_PROXY_REQUEST || reason == SSL_R_BAD_PROTOCOL_VERSION_NUMBER ||
	       reason == SSL_R_UNKNOWN_PROTOCOL;
}

/* Fills h->why and h->offered; returns the fault and the op's status. */
static int explain(struct tls_filter *f, enum tls_fault *fault_r)
{
	struct tls_handshake *h = f->h;
	const unsigned long code = ERR_peek_last_error();
	const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
	char text[160];

	if (f->hello)
		tls_hello_print(f->hello, f->ssl, h->offered, sizeof h->offered);
	if (f->lower_ended) {
		snprintf(h->why, sizeof h->why, "the peer closed the connection during the handshake");
		*fault_r = TLS_FAULT_CLOSED;
		return -ERR_CLOSED;
	}
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED || reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		if (!h->why[0])
			snprintf(h->why, sizeof h->why, "the peer gave no certificate");
		*fault_r = tls_verify_fault(f->ssl);
		return -ERR_DENIED;
	}
	tls_error_text(text, sizeof text);
	if (is_alert(code)) {
		snprintf(h->why, sizeof h->why, "the peer refused: %s", text);
		*fault_r = TLS_FAULT_REFUSED;
		return -ERR_REFUSED;
	}
	if (nothing_shared(reason)) {
		snprintf(h->why, sizeof h->why, "%.120s%s%.150s", text,
			 h->offered[0] ? "; the client offered " : "", h->offered);
		*fault_r = TLS_FAULT_NOTHING_SHARED;
		return -ERR_UNSUPPORTED;
	}
	if (not_tls(reason))
		snprintf(h->why, sizeof h->why, "what the peer sent is not TLS: %s", text);
	else
		snprintf(h->why, sizeof h->why, "%s", code ? text : "more than a handshake needs was sent");
	*fault_r = not_tls(reason) ? TLS_FAULT_NOT_TLS : TLS_FAULT_PROTOCOL;
	return -ERR_IO;
}

/* ---- steps ------------------------------------------------------------------------------------------------ */

static void succeed(struct tls_filter *f)
{
	struct tls_handshake *h = f->h;

	h->stream_r = &f->s;
	h->filter_ = NULL;
	op_complete(&h->op, 0); /* `done` before any event of the stream */
	tls_filter_open(f);
}

void tls_handshake_step(struct tls_filter *f)
{
	ERR_clear_error();
	const int r = SSL_do_handshake(f->ssl);
	if (r == 1) {
		succeed(f);
		return;
	}
	switch (SSL_get_error(f->ssl, r)) {
	case SSL_ERROR_WANT_WRITE:
		tls_output_await_sent(f);
		/* fall through */
	case SSL_ERROR_WANT_READ:
		stream_want_input(f->lower, true);
		return;
	default:
		if (!f->lower->closing) {
			const int err = explain(f, &f->h->fault);
			fail(f, err, !f->lower_ended);
		}
	}
}

void tls_handshake_lower_closed(struct tls_filter *f, int err)
{
	struct tls_handshake *h = f->h;

	if (f->phase == TLS_SHAKING) {
		snprintf(h->why, sizeof h->why, "the connection was lost during the handshake: %s",
			 err_text(err));
		h->fault = TLS_FAULT_CLOSED;
		f->err = err < 0 ? err : -ERR_CLOSED;
	}
	h->filter_ = NULL;
	op_complete(&h->op, f->err);
	tls_filter_free(f);
}

static void cancel(struct op *op)
{
	struct tls_handshake *h = container_of(op, struct tls_handshake, op);
	struct tls_filter *f = h->filter_;

	if (f->phase == TLS_SHAKING) {
		const bool late = op->why_ended_ == -ERR_TIMEOUT;
		snprintf(h->why, sizeof h->why, "%s", late ? "the handshake took too long" : "canceled");
		h->fault = late ? TLS_FAULT_TIMEOUT : TLS_FAULT_CANCELED;
		fail(f, -ERR_CANCELED, false);
	} else {
		stream_close(f->lower, false);
	}
}

static void begin(struct tls_handshake *h, struct tls_filter *f)
{
	h->filter_ = f;
	h->stream_r = NULL;
	h->why[0] = h->offered[0] = 0;
	h->fault = TLS_FAULT_NONE;
	f->h = h;
	tls_filter_take_over(f);
}

int tls_accept_start(struct tls_handshake *h, struct scope *scope, struct stream *lower,
		     struct tls_server *ts, int64_t deadline_us)
{
	struct tls_filter *f = tls_filter_new(lower, tls_server_live(ts), true);

	if (!f)
		return -ERR_NOMEM;
	f->of.server = tls_server_ref(ts);
	const int err = op_begin(&h->op, scope, "tls accept", deadline_us, cancel);
	if (err < 0) {
		tls_filter_free(f);
		return err;
	}
	begin(h, f);
	tls_handshake_step(f);
	return 0;
}

int tls_connect_start(struct tls_handshake *h, struct scope *scope, struct stream *lower,
		      struct tls_client *tc, const struct tls_connect *how, int64_t deadline_us)
{
	struct tls_filter *f = tls_filter_new(lower, tls_client_live(tc), false);
	struct errtext e = { "" };

	if (!f)
		return -ERR_NOMEM;
	f->of.client = tls_client_ref(tc);
	int err = op_begin(&h->op, scope, "tls connect", deadline_us, cancel);
	if (err < 0) {
		tls_filter_free(f);
		return err;
	}
	begin(h, f);
	err = tls_verify_expect(f->ssl, how, &e);
	if (err < 0) {
		snprintf(h->why, sizeof h->why, "%s", e.s);
		h->fault = err == -ERR_UNSUPPORTED ? TLS_FAULT_TLSA : TLS_FAULT_PROTOCOL;
		fail(f, err, true);
	} else {
		tls_handshake_step(f);
	}
	return 0;
}
