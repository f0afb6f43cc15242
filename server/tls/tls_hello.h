/* tls/tls_hello.h - private to tls: what a ClientHello offers, kept raw while the handshake runs and put into words only if it
 * fails: "TLSv1.0; RC4-MD5, RC4-SHA, DES-CBC3-SHA".
 *
 * Pure but for the allocation.  Tests: tests/unit/tls/test_handshake.c
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

enum { TLS_HELLO_CIPHERS_MAX = 128, TLS_HELLO_VERSIONS_MAX = 16 };

struct tls_hello {
	unsigned ciphers[TLS_HELLO_CIPHERS_MAX]; /* three octets if it was in SSLv2's form, else two */
	unsigned versions[TLS_HELLO_VERSIONS_MAX];
	unsigned nciphers, nversions;
	bool cut;
};

/* The client-hello callback of every serving context; the filter of the connection gets the tls_hello. */
int tls_hello_seen(SSL *ssl, int *alert, void *arg);

/* Writes at most @max octets with the NUL. */
void tls_hello_print(const struct tls_hello *hello, SSL *ssl, char *out, size_t max);
