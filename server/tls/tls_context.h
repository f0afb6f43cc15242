/* tls/tls_context.h - what a listener serves TLS with, and what a route connects with: files and settings made into OpenSSL
 * contexts, which are replaced whole when the files change.
 *
 * Ownership: counted references; a configuration snapshot holds one, a stream under TLS holds one of the context that it began
 *            with, so that a reload touches no connection that is open.
 * Threads:   all functions from any thread; a reload swaps the inside atomically.
 * Errors:    -ERR_x with a sentence for the operator: file, what is wrong with it, what to do. On success the errtext is empty or
 *            a warning: something works that not every client will like (expired, an intermediate certificate is missing).
 * Source:    RFC 8446, RFC 5246, RFC 6066 (SNI), RFC 8996 (TLS 1.0 and 1.1 are for legacy listeners only), RFC 9325.
 * Tests:     tests/unit/tls/test_context.c, test_session.c, test_refusals.c, test_threads.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum tls_version { TLS_VERSION_DEFAULT, TLS_VERSION_1_0, TLS_VERSION_1_1, TLS_VERSION_1_2, TLS_VERSION_1_3 };

/* "TLSv1.2" -> TLS_VERSION_1_2; also "1.2". -ERR_SYNTAX. */
int tls_version_parse(struct span text, enum tls_version *version_r);

/* ---- serving ------------------------------------------------------------------------------------------- */

enum tls_client_cert { TLS_CLIENT_CERT_NONE, TLS_CLIENT_CERT_ASK, TLS_CLIENT_CERT_REQUIRE };

/* A certificate: chain and key, in one file (key empty) or two. An RSA and an ECDSA one for the same name may stand side by
 * side. The names that it is served for are those in it; the first one is for clients that ask for no or another name. */
struct tls_cert {
	struct span cert, key; /* paths */
};

struct tls_server_config {
	const struct tls_cert *certs;
	size_t ncerts;             /* at least one */
	enum tls_version min, max; /* DEFAULT: 1.2, and none; below 1.2 only at security level 0 */
	struct span
		ciphers; /* OpenSSL's list for TLS 1.2 and older; empty: ours, without aNULL, eNULL, EXPORT, RC4, MD5, 3DES */
	struct span ciphersuites; /* of TLS 1.3; empty: OpenSSL's */
	int security_level;       /* -1: OpenSSL's default; 0 for a legacy listener */
	enum tls_client_cert client_cert;
	struct span client_ca;       /* file; needed unless NONE */
	uint32_t session_lifetime_s; /* of tickets and of the cache; 0: no resumption */
};

struct tls_server;

int tls_server_new(const struct tls_server_config *cfg, struct tls_server **ts_r, struct errtext *e);
struct tls_server *tls_server_ref(struct tls_server *ts);
void tls_server_unref(struct tls_server **ts);
/* Reads the files again if any of them changed (device, inode, size, mtime, ctime). 1: new connections get what is there now;
 * 0: nothing changed; -ERR_x: they cannot be used, everything stays as it was (and is tried again when they change again). */
int tls_server_refresh(struct tls_server *ts, struct errtext *e);

/* ---- connecting ---------------------------------------------------------------------------------------- */

struct tls_client_config {
	enum tls_version min;
	struct span ciphers;   /* empty: ours */
	int security_level;    /* -1: OpenSSL's default */
	struct span ca_file;   /* PEM; empty: the system's */
	struct span cert, key; /* of ours, for servers that ask; empty: none */
};

struct tls_client;

int tls_client_new(const struct tls_client_config *cfg, struct tls_client **tc_r, struct errtext *e);
struct tls_client *tls_client_ref(struct tls_client *tc);
void tls_client_unref(struct tls_client **tc);
int tls_client_refresh(struct tls_client *tc, struct errtext *e);
