/* Reading a certificate, the chain behind it and its key from PEM, and telling an operator what is wrong in words that say what
 * to do. What keeps it from being served is an error; what some clients will mind is a warning: a relay with an expired
 * certificate still serves those who encrypt without verifying, and refusing to start would serve nobody. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sslerr.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/check.h"
#include "base/secret.h"
#include "tls/tls_context_priv.h"

enum { CHAIN_MAX = 16, EXPIRES_SOON_DAYS = 7 };

void tls_pair_deinit(struct tls_pair *p)
{
	X509_free(p->cert);
	sk_X509_pop_free(p->chain, X509_free);
	EVP_PKEY_free(p->key);
	*p = (struct tls_pair){ 0 };
}

/* ---- the file with the certificates ----------------------------------------------------------------------- */

static bool contains(const struct secret *file, const char *what)
{
	return span_find(secret_span(file), span_of(what)) >= 0;
}

static int explain_no_cert(const struct secret *file, const char *path, struct errtext *e)
{
	const struct span s = secret_span(file);

	if (s.n == 0)
		return errtext_set(e, ERR_INVAL, "%s: the file is empty", path);
	if (contains(file, "BEGIN CERTIFICATE REQUEST"))
		return errtext_set(e, ERR_INVAL, "%s: holds a request for a certificate, not the certificate",
				   path);
	if (contains(file, "PRIVATE KEY"))
		return errtext_set(e, ERR_INVAL,
				   "%s: holds a private key but no certificate; are cert and key swapped?",
				   path);
	if (s.p[0] == 0x30) /* SEQUENCE */
		return errtext_set(
			e, ERR_INVAL,
			"%s: seems to be DER or PKCS#12, not PEM; \"openssl x509 -inform der -in FILE\" converts DER",
			path);
	return errtext_set(e, ERR_INVAL, "%s: holds no PEM certificate (-----BEGIN CERTIFICATE-----)", path);
}

static bool at_the_end(void)
{
	const unsigned long err = ERR_peek_last_error();
	const bool end = ERR_GET_LIB(err) == ERR_LIB_PEM && ERR_GET_REASON(err) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

static int read_certs(struct tls_pair *p, BIO *in, const struct secret *file, const char *path,
		      struct errtext *e)
{
	p->chain = sk_X509_new_null();
	for (unsigned i = 0; p->chain; i++) {
		X509 *x = PEM_read_bio_X509(in, NULL, NULL, NULL);
		if (!x && !at_the_end())
			return tls_error_set(e, ERR_INVAL, "%s: certificate %u of the file cannot be read",
					     path, i + 1);
		if (!x)
			return p->cert ? 0 : explain_no_cert(file, path, e);
		if (i == 0)
			p->cert = x;
		else if (i > CHAIN_MAX || !sk_X509_push(p->chain, x)) {
			X509_free(x);
			return errtext_set(
				e, ERR_TOOBIG,
				"%s: more than %d certificates; only the chain belongs here, not a bundle of CAs",
				path, CHAIN_MAX + 1);
		}
	}
	return -ERR_NOMEM;
}

/* ---- the file with the key -------------------------------------------------------------------------------- */

static int no_password(char *buf, int n, int writing, void *arg)
{
	(void)buf;
	(void)n;
	(void)writing;
	*(bool *)arg = true;
	return -1;
}

static int read_key(struct tls_pair *p, const struct secret *file, const char *path, struct errtext *e)
{
	bool encrypted = false;
	const struct span s = secret_span(file);
	BIO *in = BIO_new_mem_buf(s.p ? s.p : "", (int)s.n);

	if (!in)
		return -ERR_NOMEM;
	p->key = PEM_read_bio_PrivateKey(in, NULL, no_password, &encrypted);
	BIO_free(in);
	if (p->key)
		return 0;
	if (encrypted) {
		ERR_clear_error();
		return errtext_set(
			e, ERR_INVAL,
			"%s: the private key is encrypted and nobody can be asked for its password; "
			"\"openssl pkey -in FILE -out NEWFILE\" writes it unencrypted",
			path);
	}
	if (contains(file, "PRIVATE KEY-----"))
		return tls_error_set(e, ERR_INVAL, "%s: the private key cannot be read", path);
	ERR_clear_error();
	return errtext_set(e, ERR_INVAL, "%s: holds no private key (-----BEGIN PRIVATE KEY-----)", path);
}

static int check_match(const struct tls_pair *p, const char *cert_path, const char *key_path,
		       struct errtext *e)
{
	int err = 0;

	if (X509_check_private_key(p->cert, p->key) == 1)
		return 0;
	for (int i = 0; i < sk_X509_num(p->chain) && !err; i++)
		if (X509_check_private_key(sk_X509_value(p->chain, i), p->key) == 1)
			err = errtext_set(
				e, ERR_INVAL,
				"%s: the key belongs to certificate %d of the file; the server's own must come first, its "
				"issuers behind it",
				cert_path, i + 2);
	if (!err)
		err = errtext_set(e, ERR_INVAL, "%s: the key does not belong to the certificate in %s",
				  key_path, cert_path);
	ERR_clear_error();
	return err;
}

int tls_pair_load_certs(struct tls_pair *p, const char *cert_path, struct errtext *e)
{
	struct secret file = { 0 };

	*p = (struct tls_pair){ 0 };
	ERR_clear_error();
	int rc = secret_read(&file, cert_path, e);
	if (rc >= 0) {
		const struct span s = secret_span(&file);
		BIO *in = BIO_new_mem_buf(s.p ? s.p : "", (int)s.n);
		rc = in ? read_certs(p, in, &file, cert_path, e) : -ERR_NOMEM;
		BIO_free(in);
	}
	secret_deinit(&file);
	if (rc < 0)
		tls_pair_deinit(p);
	return rc;
}

int tls_pair_load(struct tls_pair *p, const char *cert_path, const char *key_path, struct errtext *e)
{
	struct secret certs = { 0 }, keys = { 0 }; /* a combined file holds the key too */

	*p = (struct tls_pair){ 0 };
	ERR_clear_error();
	int rc = secret_read(&certs, cert_path, e);
	if (rc < 0)
		goto out;
	const struct span s = secret_span(&certs);
	BIO *in = BIO_new_mem_buf(s.p ? s.p : "", (int)s.n);
	rc = in ? read_certs(p, in, &certs, cert_path, e) : -ERR_NOMEM;
	BIO_free(in);
	if (rc == 0 && key_path) {
		rc = secret_read(&keys, key_path, e);
		rc = rc < 0 ? rc : 0;
	}
	if (rc == 0)
		rc = read_key(p, key_path ? &keys : &certs, key_path ? key_path : cert_path, e);
	if (rc == 0)
		rc = check_match(p, cert_path, key_path ? key_path : cert_path, e);
out:
	secret_deinit(&certs);
	secret_deinit(&keys);
	if (rc < 0)
		tls_pair_deinit(p);
	return rc;
}

/* ---- warnings --------------------------------------------------------------------------------------------- */

static void print_time(const ASN1_TIME *t, char *out, size_t max)
{
	struct tm tm = { 0 };

	out[0] = 0;
	if (ASN1_TIME_to_tm(t, &tm) != 1 || strftime(out, max, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		out[0] = 0;
}

bool tls_pair_names_issuer(X509 *x)
{
	AUTHORITY_INFO_ACCESS *info = X509_get_ext_d2i(x, NID_info_access, NULL, NULL);
	bool found = false;

	for (int i = 0; info && i < sk_ACCESS_DESCRIPTION_num(info); i++)
		found |= OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(info, i)->method) == NID_ad_ca_issuers;
	AUTHORITY_INFO_ACCESS_free(info);
	return found;
}

/* Whether a chain is complete can be told only when its root is one of the system's, or when its last certificate says that
 * there is more. A private CA without that is left alone. */
static bool lacks_intermediate(const struct tls_pair *p)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *run = X509_STORE_CTX_new();
	bool lacks = false;

	if (store && run && X509_STORE_set_default_paths(store) == 1 &&
	    X509_STORE_CTX_init(run, store, p->cert, p->chain) == 1) {
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(run), X509_V_FLAG_NO_CHECK_TIME);
		if (X509_verify_cert(run) != 1) {
			const int err = X509_STORE_CTX_get_error(run);
			X509 *last = X509_STORE_CTX_get_current_cert(run);
			lacks = (err == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
				 err == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE) &&
				last && tls_pair_names_issuer(last);
		}
	}
	X509_STORE_CTX_free(run);
	X509_STORE_free(store);
	ERR_clear_error();
	return lacks;
}

bool tls_pair_warn(const struct tls_pair *p, const char *cert_path, struct errtext *e)
{
	char when[32];
	time_t soon = time(NULL) + EXPIRES_SOON_DAYS * 86400;

	if (X509_cmp_current_time(X509_get0_notBefore(p->cert)) > 0) {
		print_time(X509_get0_notBefore(p->cert), when, sizeof when);
		errtext_set(e, ERR_INVAL, "%s: the certificate is not valid before %s", cert_path, when);
		return true;
	}
	if (X509_cmp_time(X509_get0_notAfter(p->cert), &soon) < 0) {
		const bool over = X509_cmp_current_time(X509_get0_notAfter(p->cert)) < 0;
		print_time(X509_get0_notAfter(p->cert), when, sizeof when);
		errtext_set(e, ERR_INVAL, "%s: the certificate %s %s", cert_path,
			    over ? "expired at" : "expires at", when);
		return true;
	}
	if (lacks_intermediate(p)) {
		errtext_set(
			e, ERR_INVAL,
			"%s: the issuer's certificate is missing, clients that verify will refuse; put the chain behind the "
			"certificate (\"fullchain.pem\")",
			cert_path);
		return true;
	}
	return false;
}

/* ---- use -------------------------------------------------------------------------------------------------- */

int tls_pair_use(const struct tls_pair *p, SSL_CTX *ctx, const char *cert_path, struct errtext *e)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate(ctx, p->cert) == 1 && SSL_CTX_use_PrivateKey(ctx, p->key) == 1 &&
	    SSL_CTX_set1_chain(ctx, p->chain) == 1)
		return 0;
	const int reason = ERR_GET_REASON(ERR_peek_last_error());
	if (reason == SSL_R_EE_KEY_TOO_SMALL || reason == SSL_R_CA_KEY_TOO_SMALL ||
	    reason == SSL_R_CA_MD_TOO_WEAK) {
		tls_error_set(e, ERR_INVAL, "%s: too weak for security level %d", cert_path,
			      SSL_CTX_get_security_level(ctx));
		return -ERR_INVAL;
	}
	return tls_error_set(e, ERR_INVAL, "%s: cannot be used", cert_path);
}
