/* tls_wire.h - for the fuzz targets of tls/: a server and a client of ours in one loop, and between them a wire that the input bends.
 *
 * Two ways, by the first octet of the input:
 *   even  one end alone is given the rest of the input as it is, in pieces of one octet or of 300
 *   odd   both ends shake hands and talk; what goes to the end under test is passed on by the rest of the input as a script of
 *         steps of three octets: how many octets pass unharmed, what is done to the next ones, and with which value
 *
 * What must hold: each handshake is over exactly once; what an end reads is a beginning of what the other wrote, whatever
 * happened on the wire; everything is gone at the end (AddressSanitizer, loop_free()).
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "io/memory_stream.h"
#include "tls/tls_stream.h"

#define WIRE_SECONDS(n) ((n)*INT64_C(1000000))

struct wire_end {
	struct memory_peer peer;
	struct stream *lower; /* until the handshake starts */
	struct scope scope;
	struct tls_handshake h;
	struct stream *s;
	struct buf got;
	unsigned done, closed;
	int status;
};

struct wire {
	struct loop *l;
	struct wire_end server, client;
	const uint8_t *p, *end; /* the script */
	unsigned pass, what, value;
	uint8_t last;
};

#define WIRE_TEXT "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n0123456789\r\n.\r\nQUIT\r\n"

/* ---- contexts, made once ------------------------------------------------------------------------------------ */

static inline void wire_write_cert(const char *path)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *x = X509_new();
	FILE *f = fopen(path, "w");

	require(key && x && f);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400L * 365);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const unsigned char *)"mx.example", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	require(X509_sign(x, key, EVP_sha256()) > 0);
	require(PEM_write_X509(f, x) == 1 && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
}

struct wire_contexts {
	struct tls_server *ts;
	struct tls_client *tc;
};

/* Kept for the life of the process: the targets run them a million times. */
static inline const struct wire_contexts *wire_contexts(void)
{
	static struct wire_contexts made;
	char path[] = "/tmp/postern-fuzz-XXXXXX";

	if (made.ts)
		return &made;
	const int fd = mkstemp(path);
	require(fd >= 0);
	close(fd);
	wire_write_cert(path);
	const struct tls_cert cert = { .cert = span_of(path) };
	const struct tls_server_config sc = { .certs = &cert,
					      .ncerts = 1,
					      .min = TLS_VERSION_1_0,
					      .security_level = 0,
					      .session_lifetime_s = 60 };
	const struct tls_client_config cc = { .min = TLS_VERSION_1_0,
					      .security_level = 0,
					      .ca_file = span_of(path) };
	require(tls_server_new(&sc, &made.ts, NULL) == 0);
	require(tls_client_new(&cc, &made.tc, NULL) == 0);
	unlink(path);
	return &made;
}

/* ---- ends --------------------------------------------------------------------------------------------------- */

static inline void wire_readable(struct stream *s, void *owner)
{
	struct wire_end *e = owner;
	const struct span in = stream_input(s);

	require(buf_add_span(&e->got, in));
	stream_consume(s, in.n);
	stream_want_input(s, true);
	if (stream_eof(s))
		stream_close(s, true);
}

static inline void wire_closed(struct stream *s, void *owner, int err)
{
	struct wire_end *e = owner;

	(void)err;
	e->closed++;
	e->s = NULL;
	stream_free(s);
}

static const struct stream_events wire_events = { .readable = wire_readable, .closed = wire_closed };

static inline void wire_lower_closed(struct stream *s, void *owner, int err)
{
	(void)err;
	*(struct stream **)owner = NULL;
	stream_free(s);
}

static const struct stream_events wire_lower_events = { .closed = wire_lower_closed };

static inline void wire_done(struct op *op)
{
	struct wire_end *e = container_of(container_of(op, struct tls_handshake, op), struct wire_end, h);

	e->done++;
	e->status = op->status;
	if (op->status < 0) {
		require(e->h.why[0] && e->h.fault != TLS_FAULT_NONE);
		return;
	}
	e->s = e->h.stream_r;
	stream_set_owner(e->s, &wire_events, e);
	require(stream_write(e->s, SPAN(WIRE_TEXT)) == 0 || e->s->closing);
}

static inline void wire_end_init(struct wire_end *e, struct loop *l)
{
	*e = (struct wire_end){ .got = BUF_INIT(1 << 20) };
	scope_init(&e->scope, l, NULL);
	e->lower = memory_stream_new(l, &e->peer);
	stream_set_owner(e->lower, &wire_lower_events, &e->lower);
	tls_handshake_init(&e->h, wire_done);
}

static inline void wire_start(struct wire *w, struct wire_end *e)
{
	const struct wire_contexts *c = wire_contexts();
	const struct tls_connect how = { .sni = SPAN("mx.example"), .verify = TLS_VERIFY_NONE };
	struct stream *const lower = e->lower;

	e->lower = NULL;
	if (e == &w->server)
		require(tls_accept_start(&e->h, &e->scope, lower, c->ts, WIRE_SECONDS(30)) == 0);
	else
		require(tls_connect_start(&e->h, &e->scope, lower, c->tc, &how, WIRE_SECONDS(30)) == 0);
	require(e->done == 0);
}

/* ---- the wire ----------------------------------------------------------------------------------------------- */

static inline void wire_next_step(struct wire *w)
{
	if (w->end - w->p < 3) {
		w->pass = UINT32_MAX;
		return;
	}
	w->pass = w->p[0] == 255 ? 2000 : w->p[0] * 3u; /* far enough for a flight */
	w->what = w->p[1] % 6;
	w->value = w->p[2];
	w->p += 3;
}

static inline void wire_octet(struct wire *w, struct buf *out, uint8_t octet)
{
	if (w->pass > 0) {
		w->pass -= w->pass != UINT32_MAX;
		buf_add_char(out, (char)octet);
		w->last = octet;
		return;
	}
	switch (w->what) {
	case 0: /* another one */
		buf_add_char(out, (char)(octet ^ w->value));
		break;
	case 1: /* lost */
		break;
	case 2: /* more of them */
		buf_add_char(out, (char)octet);
		buf_add_char(out, (char)w->value);
		break;
	case 3: /* repeated */
		for (unsigned i = 0; i <= w->value; i++)
			buf_add_char(out, (char)octet);
		break;
	case 4:
		buf_add_char(out, (char)w->value);
		break;
	default: { /* an alert, a record of another kind */
		const char record[] = {
			(char)(0x14 + w->value % 5), 3, 3, 0, 2, (char)(1 + w->value % 2), (char)w->value
		};
		buf_add(out, record, sizeof record);
		buf_add_char(out, (char)octet);
	}
	}
	wire_next_step(w);
}

static inline void wire_move(struct wire *w, struct wire_end *from, struct wire_end *to, bool bent)
{
	struct buf out = BUF_INIT(1 << 22);

	if (!bent)
		buf_add_span(&out, buf_span(&from->peer.output));
	else
		for (size_t i = 0; i < from->peer.output.n; i++)
			wire_octet(w, &out, (uint8_t)from->peer.output.p[i]);
	memory_stream_take_output(&from->peer, NULL);
	memory_stream_send(&to->peer, buf_span(&out));
	if (from->peer.ended)
		memory_stream_send_eof(&to->peer);
	buf_free(&out);
}

/* ---- the end ------------------------------------------------------------------------------------------------ */

static inline void wire_finish_end(struct wire_end *e)
{
	if (e->s)
		stream_close(e->s, false);
	if (e->lower)
		stream_close(e->lower, false);
	scope_close(&e->scope);
}

static inline void wire_check_end(struct wire_end *e, bool started)
{
	require(e->done == started && !e->s && !e->lower && scope_idle(&e->scope));
	require(e->closed == (started && e->status == 0));
	require(span_starts(SPAN(WIRE_TEXT), buf_span(&e->got)));
	memory_stream_peer_deinit(&e->peer);
	buf_free(&e->got);
}

static inline void wire_turns(struct wire *w, unsigned n)
{
	while (n-- > 0)
		loop_run_once(w->l, false);
}

/* One end alone gets the octets as they are. */
static inline void wire_feed(struct wire *w, struct wire_end *e, size_t piece)
{
	wire_start(w, e);
	for (; w->p < w->end; w->p += piece) {
		const size_t left = (size_t)(w->end - w->p);
		piece = piece < left ? piece : left;
		memory_stream_send(&e->peer, span_make(w->p, piece));
		wire_turns(w, 1);
	}
	memory_stream_send_eof(&e->peer);
	wire_turns(w, 3);
	require(e->done == 1 && e->status < 0); /* nobody can guess it */
}

static inline void wire_bend(struct wire *w, struct wire_end *tested)
{
	struct wire_end *const other = tested == &w->server ? &w->client : &w->server;

	wire_next_step(w);
	wire_start(w, &w->server);
	wire_start(w, &w->client);
	for (unsigned i = 0; i < 24; i++) {
		wire_move(w, other, tested, true);
		wire_move(w, tested, other, false);
		wire_turns(w, 1);
	}
}

static inline void wire_run(const uint8_t *data, size_t size, bool serving)
{
	struct wire w = { 0 };

	if (size < 2 || size > 20000)
		return;
	w.l = loop_new();
	w.p = data + 1;
	w.end = data + size;
	wire_end_init(&w.server, w.l);
	wire_end_init(&w.client, w.l);
	struct wire_end *const tested = serving ? &w.server : &w.client;
	const bool both = data[0] & 1;
	if (both)
		wire_bend(&w, tested);
	else
		wire_feed(&w, tested, data[0] & 2 ? 300 : 1);
	wire_finish_end(&w.server);
	wire_finish_end(&w.client);
	wire_turns(&w, 4);
	wire_check_end(&w.server, both || serving);
	wire_check_end(&w.client, both || !serving);
	loop_free(&w.l);
}
