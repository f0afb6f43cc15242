#include "tls/tls_digest.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/mem.h"

#define SCRYPT_BYTES_MAX (256u << 20)

struct tls_hash {
	EVP_MD_CTX *ctx;
};

static const EVP_MD *digest_md(enum tls_digest_kind kind)
{
	switch (kind) {
	case TLS_DIGEST_SHA1:
		return EVP_sha1();
	case TLS_DIGEST_SHA256:
		return EVP_sha256();
	case TLS_DIGEST_SHA512:
		return EVP_sha512();
	}
	return NULL;
}

size_t tls_digest_octets(enum tls_digest_kind kind)
{
	switch (kind) {
	case TLS_DIGEST_SHA1:
		return 20;
	case TLS_DIGEST_SHA256:
		return 32;
	case TLS_DIGEST_SHA512:
		return 64;
	}
	return 0;
}

/* What libcrypto refuses is the machine's (no memory, no provider): its queue must not be left for who asks it next. */
static int failed(void)
{
	ERR_clear_error();
	return -ERR_BUG;
}

/* libcrypto takes NULL for "as before" where we mean "empty". */
static const void *bytes(struct span s)
{
	return s.p ? s.p : "";
}

int tls_digest(enum tls_digest_kind kind, struct span data, uint8_t *out)
{
	uint8_t digest[TLS_DIGEST_MAX];

	if (!EVP_Digest(bytes(data), data.n, digest, NULL, digest_md(kind), NULL))
		return failed();
	memcpy(out, digest, tls_digest_octets(kind));
	return 0;
}

int tls_hmac(enum tls_digest_kind kind, struct span key, struct span data, uint8_t *out)
{
	uint8_t mac[TLS_DIGEST_MAX];
	unsigned n = sizeof mac;

	if (key.n > INT_MAX)
		return -ERR_TOOBIG;
	if (!HMAC(digest_md(kind), bytes(key), (int)key.n, bytes(data), data.n, mac, &n))
		return failed();
	memcpy(out, mac, tls_digest_octets(kind));
	OPENSSL_cleanse(mac, sizeof mac); /* it may be a key: a step of SCRAM or of a derivation */
	return 0;
}

int tls_hash_new(enum tls_digest_kind kind, struct tls_hash **h_r)
{
	struct tls_hash *h = mem_alloc(sizeof *h);

	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || !EVP_DigestInit_ex(h->ctx, digest_md(kind), NULL)) {
		tls_hash_free(&h);
		return failed();
	}
	*h_r = h;
	return 0;
}

int tls_hash_copy(const struct tls_hash *h, struct tls_hash **copy_r)
{
	struct tls_hash *copy = mem_alloc(sizeof *copy);

	copy->ctx = EVP_MD_CTX_new();
	if (!copy->ctx || !EVP_MD_CTX_copy_ex(copy->ctx, h->ctx)) {
		tls_hash_free(&copy);
		return failed();
	}
	*copy_r = copy;
	return 0;
}

int tls_hash_add(struct tls_hash *h, struct span data)
{
	return data.n == 0 || EVP_DigestUpdate(h->ctx, data.p, data.n) ? 0 : failed();
}

int tls_hash_end(struct tls_hash *h, uint8_t *out)
{
	return EVP_DigestFinal_ex(h->ctx, out, NULL) ? 0 : failed();
}

void tls_hash_free(struct tls_hash **hp)
{
	struct tls_hash *h = *hp;

	if (!h)
		return;
	*hp = NULL;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

int tls_pbkdf2(enum tls_digest_kind kind, struct span password, struct span salt, uint32_t iterations,
	       uint8_t *out, size_t n)
{
	if (password.n > INT_MAX || salt.n > INT_MAX || n > INT_MAX || iterations > INT_MAX)
		return -ERR_TOOBIG;
	if (iterations == 0 || n == 0)
		return -ERR_INVAL;
	if (!PKCS5_PBKDF2_HMAC(bytes(password), (int)password.n, bytes(salt), (int)salt.n, (int)iterations,
			       digest_md(kind), (int)n, out))
		return failed();
	return 0;
}

/* RFC 7914 section 2: @n_cost is larger than 1 and a power of two; p * r is under 2^30. */
int tls_scrypt(struct span password, struct span salt, uint64_t n_cost, uint32_t r, uint32_t p, uint8_t *out,
	       size_t n)
{
	if (n_cost < 2 || (n_cost & (n_cost - 1)) || r == 0 || p == 0 || n == 0)
		return -ERR_INVAL;
	if (n_cost > SCRYPT_BYTES_MAX / 128 / r || p > SCRYPT_BYTES_MAX / 128 / r)
		return -ERR_TOOBIG;
	/* libcrypto counts its other blocks too, which are as many as p and two. */
	if (!EVP_PBE_scrypt(bytes(password), password.n, bytes(salt), salt.n, n_cost, r, p,
			    2 * (uint64_t)SCRYPT_BYTES_MAX + 1024 * (uint64_t)r, out, n))
		return failed();
	return 0;
}

int tls_random(uint8_t *out, size_t n)
{
	while (n) {
		const int part = n < INT_MAX ? (int)n : INT_MAX;
		if (RAND_bytes(out, part) != 1)
			return failed();
		out += part;
		n -= (size_t)part;
	}
	return 0;
}

void tls_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

bool tls_equal(const void *a, const void *b, size_t n)
{
	return n == 0 || CRYPTO_memcmp(a, b, n) == 0;
}
