/* tls/tls_digest.h - hashes, keyed hashes, password hashes and wiping, by OpenSSL's libcrypto.
 *
 * Threads: any.  Ownership: the caller's buffers.  Errors: -ERR_x; out-parameters untouched on error.
 * Source: FIPS 180-4, RFC 2104, RFC 8018 (PBKDF2), RFC 7914 (scrypt).
 * Tests: tests/unit/tls/test_digest.c (published vectors)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum tls_digest_kind { TLS_DIGEST_SHA1, TLS_DIGEST_SHA256, TLS_DIGEST_SHA512 };

enum { TLS_DIGEST_MAX = 64 };

size_t tls_digest_octets(enum tls_digest_kind kind);

int tls_digest(enum tls_digest_kind kind, struct span data, uint8_t *out); /* tls_digest_octets() of them */
int tls_hmac(enum tls_digest_kind kind, struct span key, struct span data, uint8_t *out);

/* In pieces. */
struct tls_hash;
int tls_hash_new(enum tls_digest_kind kind, struct tls_hash **h_r);
/* One more that has seen the same so far. */
int tls_hash_copy(const struct tls_hash *h, struct tls_hash **copy_r);
int tls_hash_add(struct tls_hash *h, struct span data);
int tls_hash_end(struct tls_hash *h, uint8_t *out); /* then it can be freed only */
void tls_hash_free(struct tls_hash **h);

int tls_pbkdf2(enum tls_digest_kind kind, struct span password, struct span salt, uint32_t iterations,
	       uint8_t *out, size_t n);
/* @n_cost a power of two; memory is 128 * n_cost * r octets, at most 256 MiB. */
int tls_scrypt(struct span password, struct span salt, uint64_t n_cost, uint32_t r, uint32_t p, uint8_t *out,
	       size_t n);

int tls_random(uint8_t *out, size_t n);                 /* for keys, salts, nonces */
void tls_wipe(void *p, size_t n);                       /* not optimised away */
bool tls_equal(const void *a, const void *b, size_t n); /* in constant time */
