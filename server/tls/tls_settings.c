/* Versions, ciphers and modes: what every context of ours has, whatever its files say. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "tls/tls_context_priv.h"

/* Medium or better as OpenSSL calls it, in its order (forward secrecy and AEAD first). Out are: what authenticates nobody or
 * encrypts nothing, the broken ones (RFC 7465 for RC4, RFC 9155 for MD5), 64-bit blocks, what nobody deploys. No finite-field
 * Diffie-Hellman when serving: it lets a client with a cheap message make us do the most expensive operation of all, and
 * a peer without elliptic curves has plain RSA. */
#define CIPHERS_BASE                                                                                          \
	"HIGH:MEDIUM:!aNULL:!eNULL:!EXPORT:!LOW:!RC4:!MD5:!3DES:!SEED:!IDEA:!PSK:!SRP:!aDSS:!ARIA:!CAMELLIA:" \
	"!AESCCM8:!AESCCM"
#define CIPHERS_SERVING    CIPHERS_BASE ":!kDHE"
#define CIPHERS_CONNECTING CIPHERS_BASE
/* The same for TLS 1.3, whose finite fields OpenSSL has among its groups. */
#define GROUPS_SERVING "X25519:P-256:X448:P-384:P-521"

static int version_number(enum tls_version v)
{
	static const int numbers[] = { [TLS_VERSION_1_0] = TLS1_VERSION,
				       [TLS_VERSION_1_1] = TLS1_1_VERSION,
				       [TLS_VERSION_1_2] = TLS1_2_VERSION,
				       [TLS_VERSION_1_3] = TLS1_3_VERSION };

	return numbers[v];
}

int tls_version_parse(struct span text, enum tls_version *version_r)
{
	static const char *const names[] = { [TLS_VERSION_1_0] = "1.0",
					     [TLS_VERSION_1_1] = "1.1",
					     [TLS_VERSION_1_2] = "1.2",
					     [TLS_VERSION_1_3] = "1.3" };

	if (span_istarts(text, SPAN("TLSv")))
		text = span_skip(text, 4);
	if (span_eq(text, SPAN("1")))
		text = SPAN("1.0"); /* OpenSSL's "TLSv1" */
	for (unsigned v = TLS_VERSION_1_0; v <= TLS_VERSION_1_3; v++)
		if (span_eq(text, span_of(names[v]))) {
			*version_r = (enum tls_version)v;
			return 0;
		}
	return -ERR_SYNTAX;
}

const char *tls_keep(struct arena *mem, struct span s)
{
	const char *kept = s.n ? arena_strdup(mem, s) : NULL;

	require(kept || !s.n); /* a configuration file is not that large */
	return kept;
}

int tls_settings_check(const struct tls_settings *set, struct errtext *e)
{
	if (set->max != TLS_VERSION_DEFAULT && set->max < (set->min ? set->min : TLS_VERSION_1_2))
		return errtext_set(e, ERR_INVAL, "the highest TLS version is below the lowest");
	if (set->security_level < -1 || set->security_level > 5)
		return errtext_set(e, ERR_INVAL, "security level %d: there are 0 to 5", set->security_level);
	/* Their signatures are made with SHA-1 and MD5, which OpenSSL 3 has at level 0 alone. */
	if ((set->min == TLS_VERSION_1_0 || set->min == TLS_VERSION_1_1) && set->security_level != 0)
		return errtext_set(e, ERR_INVAL, "TLS 1.0 and 1.1 need security level 0");
	return 0;
}

static int apply(const struct tls_settings *set, SSL_CTX *ctx, struct errtext *e)
{
	const bool serving = SSL_CTX_get_ssl_method(ctx) == TLS_server_method();
	const char *ciphers = set->ciphers ? set->ciphers : serving ? CIPHERS_SERVING : CIPHERS_CONNECTING;
	const int min = version_number(set->min ? set->min : TLS_VERSION_1_2); /* RFC 8996 */

	/* No compression (RFC 3749 met CRIME), no renegotiation (RFC 8446 has none, and it is a way to make us work); no record
	 * that was read stays in OpenSSL's memory, for there may be a password in it; the end of the lower stream without
	 * close_notify is noted by the filter and is no error: half of the devices end so. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_SSLv3 | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	if (set->security_level >= 0)
		SSL_CTX_set_security_level(ctx, set->security_level);
	if (SSL_CTX_set_min_proto_version(ctx, min) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, set->max ? version_number(set->max) : 0) != 1)
		return tls_error_set(e, ERR_UNSUPPORTED, "this OpenSSL does not have these TLS versions");
	if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
		return tls_error_set(e, ERR_INVAL, "ciphers \"%.120s\"", ciphers);
	if (serving && SSL_CTX_set1_groups_list(ctx, GROUPS_SERVING) != 1)
		return tls_error_set(e, ERR_UNSUPPORTED, "groups \"%s\"", GROUPS_SERVING);
	if (set->ciphersuites && SSL_CTX_set_ciphersuites(ctx, set->ciphersuites) != 1)
		return tls_error_set(e, ERR_INVAL, "ciphersuites \"%.120s\"", set->ciphersuites);
	return 0;
}

SSL_CTX *tls_settings_apply(const struct tls_settings *set, const SSL_METHOD *method, struct errtext *e)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	ERR_clear_error();
	if (!ctx) {
		errtext_set(e, ERR_NOMEM, "OpenSSL makes no context");
		return NULL;
	}
	if (apply(set, ctx, e) < 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}
