/* tls/tls_context_priv.h - the inside of contexts, for the files of tls/ alone.
 *
 * A tls_server or tls_client is the settings; a tls_live is what they and the files made of: OpenSSL contexts that never change
 * any more. A refresh makes a new one and puts it in the place of the old, which lives on until the last connection that began
 * with it is gone.
 */
#pragma once

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "tls/tls_context.h"
#include "tls/tls_ticket.h"

enum { TLS_CERTS_MAX = 32, TLS_SETTINGS_OCTETS_MAX = 256 * 1024 };

/* ---- files that are watched ----------------------------------------------------------------------------- */

struct tls_stamp {
	dev_t dev;
	ino_t ino;
	off_t octets;
	struct timespec mtime, ctime;
};

struct tls_files {
	struct {
		const char *path;
		struct tls_stamp seen; /* all zero: it was not there */
	} v[2 * TLS_CERTS_MAX + 1];
	size_t n;
};

/* @path must live as long; empty and known ones are not added. */
void tls_files_add(struct tls_files *f, const char *path);
/* Is any of them not what it was at the last look? */
bool tls_files_look(struct tls_files *f);

/* ---- a certificate and its key --------------------------------------------------------------------------- */

struct tls_pair {
	X509 *cert;
	STACK_OF(X509) * chain; /* what stands behind it in its file */
	EVP_PKEY *key;
};

/* Reads both; @key_path NULL: it is in the same file. */
int tls_pair_load(struct tls_pair *p, const char *cert_path, const char *key_path, struct errtext *e);
/* The certificates alone; a key that is in the file is left there. */
int tls_pair_load_certs(struct tls_pair *p, const char *cert_path, struct errtext *e);
void tls_pair_deinit(struct tls_pair *p);
/* Is something wrong with it that does not keep it from being served? Then @e says what. */
bool tls_pair_warn(const struct tls_pair *p, const char *cert_path, struct errtext *e);
/* A certificate that says where its issuer's is to be had comes from a CA whose clients expect us to send that one. */
bool tls_pair_names_issuer(X509 *x);
/* Gives it to an OpenSSL context; -ERR_INVAL when that does not take it (a key too short for the security level). */
int tls_pair_use(const struct tls_pair *p, SSL_CTX *ctx, const char *cert_path, struct errtext *e);

/* ---- the certificate for a name ---------------------------------------------------------------------------- */

/* Which certificates are served together for a name: at most one of a kind of key, so that a client gets the kind it can. */
typedef uint32_t tls_cert_mask;

struct tls_name {
	char *name; /* "mx.example.org", "*.example.org" */
	tls_cert_mask certs;
};

struct tls_names {
	struct tls_name *v;
	size_t n;
	tls_cert_mask first; /* for clients that ask for no or an unknown name */
};

int tls_names_init(struct tls_names *names, const struct tls_pair *pairs, size_t n, struct errtext *e);
void tls_names_deinit(struct tls_names *names);
tls_cert_mask tls_names_find(const struct tls_names *names, struct span name);

/* ---- what connections begin with --------------------------------------------------------------------------- */

struct tls_live {
	atomic_uint refs;
	SSL_CTX *ctx;    /* of a server: with the certificates of names.first */
	BIO_METHOD *bio; /* of the filter, over its lower stream */

	/* Serving: one context for each set of certificates that some name has. */
	struct tls_names names;
	struct {
		tls_cert_mask certs;
		SSL_CTX *ctx;
	} by_certs[TLS_CERTS_MAX * 4];
	size_t nby_certs;
};

struct tls_live *tls_live_new(void);
struct tls_live *tls_live_ref(struct tls_live *live);
void tls_live_unref(struct tls_live **live);

/* The current one, with a reference. */
struct tls_live *tls_server_live(struct tls_server *ts);
struct tls_live *tls_client_live(struct tls_client *tc);

/* What both sides share. */
struct tls_settings {
	enum tls_version min, max;
	const char *ciphers, *ciphersuites; /* NULL: ours, OpenSSL's */
	int security_level;
};
int tls_settings_check(const struct tls_settings *set, struct errtext *e);
/* A context for @method with these settings and ours; NULL and @e. */
SSL_CTX *tls_settings_apply(const struct tls_settings *set, const SSL_METHOD *method, struct errtext *e);

/* ---- tls_binding.c ---------------------------------------------------------------------------------------- */

/* "tls-server-end-point" of a certificate: octets put into @out or -ERR_UNSUPPORTED, -ERR_TOOBIG. */
int tls_end_point(const X509 *x, uint8_t *out, size_t max);

/* A NUL-terminated copy for OpenSSL; NULL when @s is empty. */
const char *tls_keep(struct arena *mem, struct span s);

/* ---- OpenSSL's errors ------------------------------------------------------------------------------------- */

/* Puts the reason of the newest error of this thread into words, and empties the queue. Never empty. */
void tls_error_text(char *out, size_t max);
/* The same as an errtext behind "@what: ". Returns -@err. */
int tls_error_set(struct errtext *e, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
