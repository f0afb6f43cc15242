#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tls/tls_filter_priv.h"

enum { EMAIL_MAX = 320, TEXTS_OCTETS_MAX = 8192 };

/* The texts lie behind it in one block of memory: most connections have no certificate of the peer and two of them. */
struct told {
	struct tls_info info;
	struct arena *texts;
};

static struct span keep(struct told *t, struct span s)
{
	return s.n ? arena_dup(t->texts, s) : (struct span){ 0 };
}

static struct span print_name(struct told *t, const X509_NAME *name)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *p = NULL;
	struct span s = { 0 };

	/* Control characters and what is not ASCII are escaped, so it is printable whatever stands in it. */
	if (out && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) >= 0) {
		const long n = BIO_get_mem_data(out, &p);
		s = keep(t, span_first(span_make(p, n > 0 ? (size_t)n : 0), TLS_IDENTITY_MAX));
	}
	BIO_free(out);
	return s;
}

/* Only what can be shown and compared without being taken for something else. */
static struct span clean(struct told *t, struct span s, size_t octets_max)
{
	if (s.n == 0 || s.n > octets_max || !utf8_valid(s))
		return (struct span){ 0 };
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return (struct span){ 0 };
	return keep(t, s);
}

static struct span string_span(const ASN1_STRING *s)
{
	return span_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static struct span common_name(struct told *t, const X509_NAME *name)
{
	const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	unsigned char *utf8 = NULL;
	struct span s = { 0 };

	if (at < 0)
		return s;
	const int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n > 0)
		s = clean(t, span_make(utf8, (size_t)n), TLS_IDENTITY_MAX);
	OPENSSL_free(utf8);
	return s;
}

static void alternative_names(struct told *t, X509 *x)
{
	GENERAL_NAMES *alt = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; alt && i < sk_GENERAL_NAME_num(alt); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(alt, i);
		if (name->type == GEN_EMAIL && !t->info.email.n)
			t->info.email = clean(t, string_span(name->d.rfc822Name), EMAIL_MAX);
		else if (name->type == GEN_DNS && !t->info.dns_name.n)
			t->info.dns_name = clean(t, string_span(name->d.dNSName), 253);
	}
	GENERAL_NAMES_free(alt);
}

static struct span fingerprint(struct told *t, const X509 *x)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char md[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (X509_digest(x, EVP_sha256(), md, &n) != 1)
		return (struct span){ 0 };
	for (unsigned i = 0; i < n; i++) {
		hex[2 * i] = digits[md[i] >> 4];
		hex[2 * i + 1] = digits[md[i] & 15];
	}
	return keep(t, span_make(hex, 2 * n));
}

static int64_t until(const X509 *x)
{
	struct tm tm;

	return ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void tell_cert(struct told *t, SSL *ssl)
{
	struct tls_info *info = &t->info;
	X509 *x = SSL_get0_peer_certificate(ssl);
	const long result = SSL_get_verify_result(ssl);

	if (!x)
		return;
	info->cert_given = true;
	info->cert_ok = result == X509_V_OK;
	info->dane = info->cert_ok && SSL_get0_dane_authority(ssl, NULL, NULL) >= 0;
	if (!info->cert_ok)
		info->cert_why = span_of(X509_verify_cert_error_string(result));
	info->subject = print_name(t, X509_get_subject_name(x));
	info->issuer = print_name(t, X509_get_issuer_name(x));
	info->common_name = common_name(t, X509_get_subject_name(x));
	info->fingerprint = fingerprint(t, x);
	alternative_names(t, x);
	info->cert_until_s = until(x);
}

struct tls_info *tls_info_new(const struct tls_filter *f)
{
	struct told *t = mem_alloc(sizeof *t);
	const SSL_CIPHER *cipher = SSL_get_current_cipher(f->ssl);

	t->texts = arena_new(TEXTS_OCTETS_MAX);
	t->info.version = span_of(SSL_get_version(f->ssl));
	t->info.cipher = span_of(SSL_CIPHER_get_name(cipher));
	t->info.bits = SSL_CIPHER_get_bits(cipher, &t->info.cipher_bits);
	t->info.sni = keep(t, span_of(SSL_get_servername(f->ssl, TLSEXT_NAMETYPE_host_name)));
	t->info.resumed = SSL_session_reused(f->ssl) == 1;
	tell_cert(t, f->ssl);
	ERR_clear_error();
	return &t->info;
}

void tls_info_free(struct tls_info **infop)
{
	if (!*infop)
		return;
	struct told *t = container_of(*infop, struct told, info);
	*infop = NULL;
	arena_free(&t->texts);
	free(t);
}

const struct tls_info *tls_info(const struct stream *s)
{
	return s->ops == &tls_filter_ops ? tls_filter_of(s)->info : NULL;
}
