/* auth/auth_scram.h - the messages and proofs of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both sides, as values.
 *
 *   client                                            server
 *   auth_scram_client_first(&c, ...)      ->          auth_scram_server_first(&s, message, &hello)
 *   auth_scram_client_challenge(&c, ...)  <-          auth_scram_server_challenge(&s, nonce, salt, iterations, &out)
 *   auth_scram_salted(password, ...)                  (off the loop if iterations are many)
 *   auth_scram_client_final(&c, salted, ...) ->       auth_scram_server_final(&s, message, binding, stored, server_key, &out)
 *   auth_scram_client_verify(&c, message) <-          proven; the message proves the server too
 *
 * Messages are as SASL has them; base64 around them is the caller's, and SASLprep of what the client puts in (auth_saslprep.h).
 *
 * Ownership: a struct auth_scram owns its buffers; auth_scram_deinit() wipes them. Spans of a hello point into it.
 * Threads:   pure, but for the random nonces.
 * Limits:    a message AUTH_SCRAM_MESSAGE_MAX octets, iterations between AUTH_SCRAM_ITERATIONS_MIN and _MAX at the client.
 * Errors:    -ERR_SYNTAX: not as RFC 5802 section 7 says; -ERR_UNSUPPORTED: a mandatory extension, or a channel binding or a
 *            number of iterations that we do not take; -ERR_DENIED: the proof, the nonce or the binding is wrong; -ERR_TOOBIG.
 * Source:    RFC 5802, RFC 7677, RFC 9266 (tls-exporter), RFC 5929 (tls-server-end-point).
 * Tests:     tests/unit/auth/test_scram.c, tests/fuzz/fuzz_auth_scram.c
 */
#pragma once

#include "auth/auth_backend.h"
#include "base/buf.h"

enum {
	AUTH_SCRAM_MESSAGE_MAX = 4096,
	AUTH_SCRAM_NONCE = 24, /* characters of ours: 144 bits */
	AUTH_SCRAM_BINDING_MAX = 256,
	AUTH_SCRAM_ITERATIONS =
		16384, /* of verifiers that we make: what a copier's processor can do in a second */
	AUTH_SCRAM_ITERATIONS_MIN = 4096, /* RFC 7677 section 3 */
	AUTH_SCRAM_ITERATIONS_MAX = 2000000,
	AUTH_SCRAM_SALT = 16, /* octets of salts that we make */
};

/* Printable, without commas (RFC 5802 section 7). */
void auth_scram_nonce(char nonce[AUTH_SCRAM_NONCE]);

/* SaltedPassword: the slow part, PBKDF2. @password is prepared. */
int auth_scram_salted(struct span password, struct span salt, uint32_t iterations,
		      uint8_t salted[AUTH_SCRAM_KEY]);
/* What a server keeps instead of the password. */
int auth_scram_keys(const uint8_t salted[AUTH_SCRAM_KEY], uint8_t stored_key[AUTH_SCRAM_KEY],
		    uint8_t server_key[AUTH_SCRAM_KEY]);

struct auth_scram {
	struct buf gs2;    /* "p=tls-exporter,," */
	struct buf dialog; /* AuthMessage as far as it has come */
	struct buf nonce;  /* client's, then client's and server's */
	struct buf names;  /* authzid and user of the first message, decoded */
	uint8_t server_signature[AUTH_SCRAM_KEY];
};

void auth_scram_init(struct auth_scram *s);
void auth_scram_deinit(struct auth_scram *s);

/* ---- server -------------------------------------------------------------------------------------------- */

enum auth_scram_binding {
	AUTH_SCRAM_BINDING_NONE, /* "n": the client has none */
	AUTH_SCRAM_BINDING_UNKNOWN, /* "y": it has, and thinks that we have not: if we have, somebody is between us */
	AUTH_SCRAM_BINDING_USED, /* "p": of the kind that binding_type says */
};

struct auth_scram_hello {
	enum auth_scram_binding binding;
	struct span binding_type;
	struct span authzid, user; /* as the client sent them, =2C and =3D undone; authzid empty: none */
};

int auth_scram_server_first(struct auth_scram *s, struct span message, struct auth_scram_hello *hello_r);
int auth_scram_server_challenge(struct auth_scram *s, struct span nonce, struct span salt,
				uint32_t iterations, struct buf *out);
/* @binding: the octets of the kind that the client uses; empty otherwise. */
int auth_scram_server_final(struct auth_scram *s, struct span message, struct span binding,
			    const uint8_t stored_key[AUTH_SCRAM_KEY],
			    const uint8_t server_key[AUTH_SCRAM_KEY], struct buf *out);

/* ---- client -------------------------------------------------------------------------------------------- */

int auth_scram_client_first(struct auth_scram *s, const struct auth_scram_hello *hello, struct span nonce,
			    struct buf *out);
/* The salt is added to @salt_r. */
int auth_scram_client_challenge(struct auth_scram *s, struct span message, struct buf *salt_r,
				uint32_t *iterations_r);
int auth_scram_client_final(struct auth_scram *s, const uint8_t salted[AUTH_SCRAM_KEY], struct span binding,
			    struct buf *out);
/* 0: it is the server that knows the verifier. -ERR_DENIED: it is not, or it says "e=...", which *why_r is then. */
int auth_scram_client_verify(struct auth_scram *s, struct span message, struct span *why_r);
