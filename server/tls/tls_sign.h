/* tls/tls_sign.h - key pairs for signing mail: loaded, made, used. RSA with SHA-256 (PKCS #1 v1.5) and Ed25519, which both
 * sign a SHA-256 digest here, as DKIM wants it.
 *
 * Ownership: the caller frees; a private key is wiped then.
 * Threads:   a key is never changed once it is made: any thread may use it, several at once.
 * Units:     bits, octets.
 * Errors:    -ERR_x; out-parameters untouched on error. A message never holds anything of a key.
 * Source:    RFC 8017 section 8.2, RFC 8032, RFC 8301 section 3.2 (sizes), RFC 8463, RFC 5208 and 7468 (files).
 * Tests:     tests/unit/tls/test_sign.c
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"

enum tls_key_kind { TLS_KEY_RSA, TLS_KEY_ED25519 };

const char *tls_key_kind_name(enum tls_key_kind kind);

enum {
	TLS_SIGN_DIGEST_OCTETS = 32,
	TLS_SIGN_MAX = 2048,        /* octets of a signature */
	TLS_RSA_BITS_MIN = 1024,    /* RFC 8301 section 3.2: less is neither made nor believed */
	TLS_RSA_BITS_WANTED = 2048, /* that of a key of ours should not be less */
	TLS_RSA_BITS_MAX = 8192,    /* to verify with; more costs too much time */
};

/* ---- private --------------------------------------------------------------------------------------------- */

struct tls_private_key;

/* From PEM, not encrypted. -ERR_SYNTAX: no such thing; -ERR_UNSUPPORTED: a key of another kind; -ERR_DENIED: encrypted;
 * -ERR_INVAL: too short. */
int tls_private_key_parse(struct span pem, struct tls_private_key **key_r, struct errtext *e);
/* From a file. Returns 1 when everybody may read it, as secret_read(). */
int tls_private_key_read(const char *path, struct tls_private_key **key_r, struct errtext *e);
int tls_private_key_make(enum tls_key_kind kind, unsigned bits, struct tls_private_key **key_r,
			 struct errtext *e);
void tls_private_key_free(struct tls_private_key **key);

enum tls_key_kind tls_private_key_kind(const struct tls_private_key *key);
unsigned tls_private_key_bits(const struct tls_private_key *key);

/* As a file: PKCS #8 in PEM. */
int tls_private_key_pem(const struct tls_private_key *key, struct secret *pem_r);
/* Adds the public half in the form that a DKIM record has: RSA: DER of a SubjectPublicKeyInfo; Ed25519: 32 octets. */
int tls_private_key_public(const struct tls_private_key *key, struct buf *out);

/* Adds the signature. */
int tls_sign(const struct tls_private_key *key, const uint8_t digest[TLS_SIGN_DIGEST_OCTETS],
	     struct buf *out);

/* ---- public ---------------------------------------------------------------------------------------------- */

struct tls_public_key;

/* RSA: DER of a SubjectPublicKeyInfo or of an RSAPublicKey; Ed25519: 32 octets. -ERR_SYNTAX: it is not that; -ERR_INVAL: too short
 * or too long. */
int tls_public_key_parse(enum tls_key_kind kind, struct span octets, struct tls_public_key **key_r);
void tls_public_key_free(struct tls_public_key **key);
unsigned tls_public_key_bits(const struct tls_public_key *key);

/* 0: it is a signature of this digest by this key; -ERR_DENIED: it is not. */
int tls_verify(const struct tls_public_key *key, const uint8_t digest[TLS_SIGN_DIGEST_OCTETS],
	       struct span signature);
