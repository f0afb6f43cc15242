/* Channel bindings: what both ends of this connection know, and nobody between them. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "tls/tls_filter_priv.h"

enum { EXPORTER_OCTETS = 32 };

/* RFC 9266 section 2; older than TLS 1.3 only with extended master secret (RFC 7627), section 4.2. */
static int exporter(SSL *ssl, uint8_t *out, size_t max)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	static const unsigned char context[1];

	if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
		return -ERR_UNSUPPORTED;
	if (max < EXPORTER_OCTETS)
		return -ERR_TOOBIG;
	if (SSL_export_keying_material(ssl, out, EXPORTER_OCTETS, label, sizeof label - 1, context, 0, 1) !=
	    1)
		return -ERR_UNSUPPORTED;
	return EXPORTER_OCTETS;
}

/* RFC 5929 section 3: the first Finished message, which is the client's in a full handshake and the server's in a short one.
 * TLS 1.3 has none (RFC 8446 appendix C.5); a resumed session without extended master secret may be somebody else's. */
static int unique(SSL *ssl, bool serving, uint8_t *out, size_t max)
{
	const bool resumed = SSL_session_reused(ssl) == 1;

	if (SSL_version(ssl) >= TLS1_3_VERSION || (resumed && SSL_get_extms_support(ssl) != 1))
		return -ERR_UNSUPPORTED;
	uint8_t finished[EVP_MAX_MD_SIZE];
	const size_t n = serving == resumed ? SSL_get_finished(ssl, finished, sizeof finished)
					    : SSL_get_peer_finished(ssl, finished, sizeof finished);
	if (n == 0 || n > sizeof finished)
		return -ERR_UNSUPPORTED;
	if (n > max)
		return -ERR_TOOBIG;
	memcpy(out, finished, n);
	return (int)n;
}

/* RFC 5929 section 4: the server's certificate under the hash of its signature, but SHA-256 for MD5 and SHA-1; a signature
 * without a hash of its own (Ed25519) has none. */
int tls_end_point(const X509 *x, uint8_t *out, size_t max)
{
	int hash = NID_undef;
	unsigned n = 0;
	uint8_t md[EVP_MAX_MD_SIZE];

	if (!x || X509_get_signature_info((X509 *)x, &hash, NULL, NULL, NULL) != 1 || hash == NID_undef)
		return -ERR_UNSUPPORTED;
	if (hash == NID_md5 || hash == NID_sha1)
		hash = NID_sha256;
	const EVP_MD *type = EVP_get_digestbynid(hash);
	if (!type || X509_digest(x, type, md, &n) != 1)
		return -ERR_UNSUPPORTED;
	if (n > max)
		return -ERR_TOOBIG;
	memcpy(out, md, n);
	return (int)n;
}

/* Serving, a resumed session shows no certificate; it carries what was shown when it began. */
static int server_end_point(SSL *ssl, bool serving, uint8_t *out, size_t max)
{
	if (!serving)
		return tls_end_point(SSL_get0_peer_certificate(ssl), out, max);
	if (SSL_session_reused(ssl) != 1)
		return tls_end_point(SSL_get_certificate(ssl), out, max);
	void *kept = NULL;
	size_t n = 0;
	if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &kept, &n) != 1 || n == 0)
		return -ERR_UNSUPPORTED;
	if (n > max)
		return -ERR_TOOBIG;
	memcpy(out, kept, n);
	return (int)n;
}

int tls_channel_binding(const struct stream *s, struct span type, uint8_t *out, size_t max)
{
	if (s->ops != &tls_filter_ops)
		return -ERR_UNSUPPORTED;
	const struct tls_filter *f = tls_filter_of(s);
	int n = -ERR_UNSUPPORTED;

	if (f->phase != TLS_OPEN)
		return n;
	if (span_eq(type, SPAN("tls-exporter")))
		n = exporter(f->ssl, out, max);
	else if (span_eq(type, SPAN("tls-unique")))
		n = unique(f->ssl, f->serving, out, max);
	else if (span_eq(type, SPAN("tls-server-end-point")))
		n = server_end_point(f->ssl, f->serving, out, max);
	ERR_clear_error();
	return n;
}
