#include "tls/tls_sign.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/mem.h"

struct tls_private_key {
	EVP_PKEY *pkey;
	enum tls_key_kind kind;
};

struct tls_public_key {
	EVP_PKEY *pkey;
	enum tls_key_kind kind;
};

enum { ED25519_OCTETS = 32, ED25519_SIGNATURE_OCTETS = 64 };

const char *tls_key_kind_name(enum tls_key_kind kind)
{
	return kind == TLS_KEY_RSA ? "rsa" : "ed25519";
}

/* libcrypto's queue of errors is per thread and must not be left for who asks it next. */
static int failed(int err)
{
	ERR_clear_error();
	return -err;
}

/* --- private --- */

/* A key that wants a pass phrase is not asked for one on a terminal. */
static int no_phrase(char *out, int size, int writing, void *asked)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static int check_private(EVP_PKEY *pkey, enum tls_key_kind *kind_r, struct errtext *e)
{
	const int id = EVP_PKEY_get_base_id(pkey);

	if (id != EVP_PKEY_RSA && id != EVP_PKEY_ED25519)
		return errtext_set(e, ERR_UNSUPPORTED, "the key is neither RSA nor Ed25519");
	if (id == EVP_PKEY_RSA && EVP_PKEY_get_bits(pkey) < TLS_RSA_BITS_MIN)
		return errtext_set(e, ERR_INVAL, "the RSA key has %d bits; less than %d are not believed",
				   EVP_PKEY_get_bits(pkey), TLS_RSA_BITS_MIN);
	*kind_r = id == EVP_PKEY_RSA ? TLS_KEY_RSA : TLS_KEY_ED25519;
	return 0;
}

static struct tls_private_key *private_key(EVP_PKEY *pkey, enum tls_key_kind kind)
{
	struct tls_private_key *key = mem_alloc(sizeof *key);

	key->pkey = pkey;
	key->kind = kind;
	return key;
}

int tls_private_key_parse(struct span pem, struct tls_private_key **key_r, struct errtext *e)
{
	bool asked = false;

	if (!pem.n || pem.n > INT_MAX)
		return errtext_set(e, ERR_SYNTAX, "no private key in PEM form");
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_phrase, &asked) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (!pkey && asked)
		return errtext_set(e, ERR_DENIED, "the private key is encrypted");
	if (!pkey)
		return errtext_set(e, ERR_SYNTAX, "no private key in PEM form");
	enum tls_key_kind kind = TLS_KEY_RSA;
	const int err = check_private(pkey, &kind, e);
	if (err < 0) {
		EVP_PKEY_free(pkey);
		return err;
	}
	*key_r = private_key(pkey, kind);
	return 0;
}

int tls_private_key_read(const char *path, struct tls_private_key **key_r, struct errtext *e)
{
	struct secret pem = { 0 };
	const int open = secret_read(&pem, path, e);

	if (open < 0)
		return open;
	const int err = tls_private_key_parse(secret_span(&pem), key_r, e);
	secret_deinit(&pem);
	if (err < 0)
		errtext_wrap(e, "%s", path);
	return err < 0 ? err : open;
}

int tls_private_key_make(enum tls_key_kind kind, unsigned bits, struct tls_private_key **key_r,
			 struct errtext *e)
{
	if (kind == TLS_KEY_RSA && (bits < TLS_RSA_BITS_MIN || bits > TLS_RSA_BITS_MAX))
		return errtext_set(e, ERR_INVAL, "an RSA key has %d to %d bits", TLS_RSA_BITS_MIN,
				   TLS_RSA_BITS_MAX);
	EVP_PKEY *pkey = kind == TLS_KEY_RSA ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
					     : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!pkey) {
		ERR_clear_error();
		return errtext_set(e, ERR_BUG, "libcrypto cannot make a key");
	}
	*key_r = private_key(pkey, kind);
	return 0;
}

void tls_private_key_free(struct tls_private_key **key)
{
	if (!*key)
		return;
	EVP_PKEY_free((*key)->pkey); /* which clears it */
	free(*key);
	*key = NULL;
}

enum tls_key_kind tls_private_key_kind(const struct tls_private_key *key)
{
	return key->kind;
}

unsigned tls_private_key_bits(const struct tls_private_key *key)
{
	return (unsigned)EVP_PKEY_get_bits(key->pkey);
}

int tls_private_key_pem(const struct tls_private_key *key, struct secret *pem_r)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *p = NULL;
	int err = 0;

	if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL)) {
		err = failed(ERR_BUG);
	} else {
		const long n = BIO_get_mem_data(bio, &p);
		err = secret_set(pem_r, span_make(p, (size_t)n));
		OPENSSL_cleanse(p, (size_t)n);
	}
	BIO_free(bio);
	return err;
}

int tls_private_key_public(const struct tls_private_key *key, struct buf *out)
{
	if (key->kind == TLS_KEY_ED25519) {
		unsigned char raw[ED25519_OCTETS];
		size_t n = sizeof raw;
		if (EVP_PKEY_get_raw_public_key(key->pkey, raw, &n) <= 0)
			return failed(ERR_BUG);
		return buf_add(out, raw, n) ? 0 : -ERR_TOOBIG;
	}
	unsigned char *der = NULL;
	const int n = i2d_PUBKEY(key->pkey, &der);
	if (n <= 0)
		return failed(ERR_BUG);
	const bool room = buf_add(out, der, (size_t)n);
	OPENSSL_free(der);
	return room ? 0 : -ERR_TOOBIG;
}

static int sign_rsa(EVP_PKEY *pkey, const uint8_t *digest, unsigned char *signature, size_t *n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	const bool ok = ctx && EVP_PKEY_sign_init(ctx) > 0 &&
			EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0 &&
			EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
			EVP_PKEY_sign(ctx, signature, n, digest, TLS_SIGN_DIGEST_OCTETS) > 0;

	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : failed(ERR_BUG);
}

/* RFC 8463 section 3: what is signed by Ed25519 is the digest. */
static int sign_ed25519(EVP_PKEY *pkey, const uint8_t *digest, unsigned char *signature, size_t *n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const bool ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) > 0 &&
			EVP_DigestSign(ctx, signature, n, digest, TLS_SIGN_DIGEST_OCTETS) > 0;

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : failed(ERR_BUG);
}

int tls_sign(const struct tls_private_key *key, const uint8_t digest[TLS_SIGN_DIGEST_OCTETS], struct buf *out)
{
	unsigned char signature[TLS_SIGN_MAX];
	size_t n = sizeof signature;
	const int err = key->kind == TLS_KEY_RSA ? sign_rsa(key->pkey, digest, signature, &n)
						 : sign_ed25519(key->pkey, digest, signature, &n);

	if (err < 0)
		return err;
	return buf_add(out, signature, n) ? 0 : -ERR_TOOBIG;
}

/* --- public --- */

/* RFC 6376 section 3.6.1 says RSAPublicKey, its examples and the world have SubjectPublicKeyInfo; both are taken. */
static EVP_PKEY *rsa_from_der(struct span octets)
{
	const unsigned char *p = (const unsigned char *)octets.p;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)octets.n);

	if (!pkey) {
		p = (const unsigned char *)octets.p;
		pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)octets.n);
	}
	if (pkey &&
	    (p != (const unsigned char *)octets.p + octets.n || EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	return pkey;
}

int tls_public_key_parse(enum tls_key_kind kind, struct span octets, struct tls_public_key **key_r)
{
	EVP_PKEY *pkey = NULL;

	if (!octets.n || octets.n > 8192)
		return -ERR_SYNTAX;
	if (kind == TLS_KEY_RSA)
		pkey = rsa_from_der(octets);
	else if (octets.n == ED25519_OCTETS)
		pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)octets.p,
						   octets.n);
	if (!pkey)
		return failed(ERR_SYNTAX);
	const int bits = EVP_PKEY_get_bits(pkey);
	if (kind == TLS_KEY_RSA && (bits < TLS_RSA_BITS_MIN || bits > TLS_RSA_BITS_MAX)) {
		EVP_PKEY_free(pkey);
		return -ERR_INVAL;
	}
	struct tls_public_key *key = mem_alloc(sizeof *key);
	key->pkey = pkey;
	key->kind = kind;
	*key_r = key;
	return 0;
}

void tls_public_key_free(struct tls_public_key **key)
{
	if (!*key)
		return;
	EVP_PKEY_free((*key)->pkey);
	free(*key);
	*key = NULL;
}

unsigned tls_public_key_bits(const struct tls_public_key *key)
{
	return (unsigned)EVP_PKEY_get_bits(key->pkey);
}

static bool verify_rsa(EVP_PKEY *pkey, const uint8_t *digest, struct span signature)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	const bool ok = ctx && EVP_PKEY_verify_init(ctx) > 0 &&
			EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0 &&
			EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
			EVP_PKEY_verify(ctx, (const unsigned char *)signature.p, signature.n, digest,
					TLS_SIGN_DIGEST_OCTETS) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool verify_ed25519(EVP_PKEY *pkey, const uint8_t *digest, struct span signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const bool ok = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) > 0 &&
			EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n, digest,
					 TLS_SIGN_DIGEST_OCTETS) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

int tls_verify(const struct tls_public_key *key, const uint8_t digest[TLS_SIGN_DIGEST_OCTETS],
	       struct span signature)
{
	const bool ok = key->kind == TLS_KEY_RSA ? verify_rsa(key->pkey, digest, signature)
						 : signature.n == ED25519_SIGNATURE_OCTETS &&
							   verify_ed25519(key->pkey, digest, signature);

	ERR_clear_error();
	return ok ? 0 : -ERR_DENIED;
}
