/* tls_certs.h - for the tests of TLS: a CA, its certificates and their files, in a directory of the test's own. */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "test.h"

enum { CERT_DAY_S = 86400, CERT_CHAIN_MAX = 3 };

struct cert {
	X509 *x;
	EVP_PKEY *key;
};

struct cert_spec {
	const char *cn;            /* NULL: none */
	const char *alt;           /* "DNS:a.example,IP:192.0.2.1"; NULL: none */
	const struct cert *issuer; /* NULL: self-signed */
	const char *key;           /* "rsa", "ec" (the default), "ed25519" */
	unsigned bits;             /* of RSA; default 2048 */
	const char *info_access;   /* "caIssuers;URI:http://..." */
	long from_s, to_s;         /* from now; default: an hour ago, ten years */
	bool ca;
};

static char certs_dir[64];

static inline void certs_init(void)
{
	snprintf(certs_dir, sizeof certs_dir, "/tmp/postern-tls-XXXXXX");
	NEED(mkdtemp(certs_dir) != NULL);
}

/* Removes what certs_init() and certs_write() made. */
static inline void certs_deinit(void)
{
	char command[128];

	if (!certs_dir[0])
		return;
	snprintf(command, sizeof command, "rm -rf '%s'", certs_dir);
	CHECK_INT(0, system(command));
	certs_dir[0] = 0;
}

static inline EVP_PKEY *cert_key(const struct cert_spec *spec)
{
	if (spec->key && strcmp(spec->key, "rsa") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)(spec->bits ? spec->bits : 2048));
	if (spec->key && strcmp(spec->key, "ed25519") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static inline void cert_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	if (!value)
		return;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	NEED(ext && X509_add_ext(x, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

/* @key: used instead of a new one, and not taken over. */
static inline struct cert cert_make_with(struct cert_spec spec, EVP_PKEY *key)
{
	struct cert c = { X509_new(), key };
	X509 *issuer = spec.issuer ? spec.issuer->x : c.x;
	EVP_PKEY *signer = spec.issuer ? spec.issuer->key : c.key;
	static long serial = 1000;

	NEED(c.x && c.key);
	X509_set_version(c.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c.x), spec.from_s ? spec.from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(c.x), spec.to_s ? spec.to_s : 3650L * CERT_DAY_S);
	X509_set_pubkey(c.x, c.key);
	if (spec.cn)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN", MBSTRING_UTF8,
					   (const unsigned char *)spec.cn, -1, -1, 0);
	X509_set_issuer_name(c.x, X509_get_subject_name(issuer));
	cert_extension(c.x, issuer, NID_basic_constraints, spec.ca ? "critical,CA:TRUE" : "CA:FALSE");
	cert_extension(c.x, issuer, NID_subject_key_identifier, "hash");
	cert_extension(c.x, issuer, NID_subject_alt_name, spec.alt);
	cert_extension(c.x, issuer, NID_info_access, spec.info_access);
	NEED(X509_sign(c.x, signer, EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) >
	     0);
	return c;
}

static inline struct cert cert_make(struct cert_spec spec)
{
	return cert_make_with(spec, cert_key(&spec));
}

static inline void cert_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	*c = (struct cert){ 0 };
}

/* "<dir>/<name>"; of the last 64 calls. */
static inline const char *certs_path(const char *name)
{
	static char paths[64][128];
	static unsigned at;
	char *path = paths[at++ % 64];

	snprintf(path, 128, "%s/%s", certs_dir, name);
	return path;
}

/* What a file is made of. */
struct cert_part {
	const struct cert *cert;
	bool key;
	const char *password;
};
#define CERT_OF(c)                                                                                           \
	{                                                                                                    \
		&(c), false, NULL                                                                            \
	}
#define KEY_OF(c)                                                                                            \
	{                                                                                                    \
		&(c), true, NULL                                                                             \
	}
#define LOCKED_KEY_OF(c, pw)                                                                                 \
	{                                                                                                    \
		&(c), true, (pw)                                                                             \
	}

/* Into a new file that takes the place of the old one, as those who renew certificates do. */
static inline const char *certs_write(const char *name, const struct cert_part *parts, size_t n)
{
	char fresh[160];
	const char *path = certs_path(name);

	snprintf(fresh, sizeof fresh, "%s.new", path);
	FILE *f = fopen(fresh, "w");
	NEED(f != NULL);
	for (size_t i = 0; i < n; i++) {
		const struct cert_part *p = &parts[i];
		if (!p->key)
			NEED(PEM_write_X509(f, p->cert->x) == 1);
		else
			NEED(PEM_write_PKCS8PrivateKey(
				     f, p->cert->key, p->password ? EVP_aes_128_cbc() : NULL, p->password,
				     p->password ? (int)strlen(p->password) : 0, NULL, NULL) == 1);
	}
	fclose(f);
	NEED(rename(fresh, path) == 0);
	return path;
}

#define CERTS_WRITE(name, ...)                                                                               \
	certs_write((name), (const struct cert_part[]){ __VA_ARGS__ },                                       \
		    sizeof((const struct cert_part[]){ __VA_ARGS__ }) / sizeof(struct cert_part))

static inline const char *certs_write_text(const char *name, const char *text)
{
	const char *path = certs_path(name);
	FILE *f = fopen(path, "w");

	NEED(f != NULL);
	fputs(text, f);
	fclose(f);
	return path;
}
