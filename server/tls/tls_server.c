/* What a listener serves TLS with.
 *
 *   1. tls_server_new() keeps a copy of the settings and makes the first live set of contexts from the files        load
 *   2. each connection begins with the live set of that moment and holds a reference to it
 *   3. the ClientHello names a server; the context with that name's certificates takes over                        on_name
 *   4. tls_server_refresh() finds other files: a new live set is made beside the old one and takes its place       refresh
 *
 * Fails by files that cannot be used: nothing is replaced, and the same files are not tried again; a certificate and a key that
 * are replaced one after the other do not match for a moment and are right at the next look.
 *
 * Sessions: tickets are sealed with keys that outlive a refresh, so that replaced certificates cost nobody a full handshake; the
 * cache for clients without tickets goes with its context. A session counts only under the same demands on client certificates:
 * they are part of the session id context (client_demands).
 */
#include <openssl/err.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_context_priv.h"
#include "tls/tls_filter_priv.h"

enum { CACHE_SESSIONS_MAX = 4096 };

struct tls_server {
	atomic_uint refs;
	struct tls_settings set;
	struct {
		const char *cert, *key; /* key NULL: with the certificate */
	} certs[TLS_CERTS_MAX];
	size_t ncerts;
	enum tls_client_cert client_cert;
	const char *client_ca;
	uint32_t session_lifetime_s;
	struct arena *mem; /* of the settings */
	struct tls_tickets tickets;
	pthread_mutex_t refreshing;
	struct tls_files files; /* under `refreshing` */
	pthread_mutex_t lock;
	struct tls_live *live; /* under `lock` */
};

/* ---- the name that a client asks for ---------------------------------------------------------------------- */

static SSL_CTX *context_of(const struct tls_live *live, tls_cert_mask certs)
{
	for (size_t i = 0; i < live->nby_certs; i++)
		if (live->by_certs[i].certs == certs)
			return live->by_certs[i].ctx;
	return NULL;
}

/* RFC 6066 section 3: an unknown name is no reason to refuse; mail is sent to names that the certificate does not have. */
static int on_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_live *live = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	if (!name)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_CTX *ctx = context_of(live, tls_names_find(&live->names, span_of(name)));
	if (ctx)
		SSL_set_SSL_CTX(ssl, ctx);
	return SSL_TLSEXT_ERR_OK;
}

/* ---- making a live set ------------------------------------------------------------------------------------ */

static int always_on(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1; /* the result is kept, and shown by tls_info() */
}

/* What a session was verified against. A ticket from before the CA changed is not honoured. */
static int client_demands(struct tls_server *ts, SSL_CTX *ctx, struct errtext *e)
{
	unsigned char id[EVP_MAX_MD_SIZE] = { 0 };
	unsigned n = 0;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	STACK_OF(X509_NAME) *cas = NULL;
	STACK_OF(X509_OBJECT) *trusted = NULL;
	int err = 0;

	if (!hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		err = -ERR_NOMEM;
	if (!err && ts->client_cert != TLS_CLIENT_CERT_NONE) {
		cas = SSL_load_client_CA_file(ts->client_ca);
		if (!cas || SSL_CTX_load_verify_file(ctx, ts->client_ca) != 1)
			err = tls_error_set(e, ERR_INVAL, "%s: no CA for client certificates can be read",
					    ts->client_ca);
	}
	if (cas && !err) {
		const int mode =
			ts->client_cert == TLS_CLIENT_CERT_REQUIRE ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | mode, mode ? tls_verify_noted : always_on);
		SSL_CTX_set_client_CA_list(ctx, cas);
		cas = NULL;
		X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
		trusted = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));
	}
	if (!err)
		EVP_DigestUpdate(hash, &ts->client_cert, sizeof ts->client_cert);
	for (int i = 0; !err && i < sk_X509_OBJECT_num(trusted); i++) {
		unsigned char one[EVP_MAX_MD_SIZE];
		unsigned one_n = 0;
		X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, i));
		if (x && X509_digest(x, EVP_sha256(), one, &one_n) == 1)
			EVP_DigestUpdate(hash, one, one_n);
	}
	if (!err &&
	    (EVP_DigestFinal_ex(hash, id, &n) != 1 || SSL_CTX_set_session_id_context(ctx, id, n) != 1))
		err = tls_error_set(e, ERR_BUG, "session id context");
	sk_X509_NAME_pop_free(cas, X509_NAME_free);
	EVP_MD_CTX_free(hash);
	return err;
}

/* A session that is resumed shows no certificate: the channel binding to it travels in the ticket. */
static int on_new_ticket(SSL *ssl, void *arg)
{
	uint8_t binding[TLS_BINDING_MAX];
	const int n = SSL_session_reused(ssl)
			      ? 0
			      : tls_end_point(SSL_get_certificate(ssl), binding, sizeof binding);

	(void)arg;
	if (n > 0)
		SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), binding, (size_t)n);
	return 1;
}

static void allow_sessions(struct tls_server *ts, SSL_CTX *ctx)
{
	if (ts->session_lifetime_s == 0) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		return;
	}
	tls_tickets_attach(&ts->tickets, ctx);
	SSL_CTX_set_session_ticket_cb(ctx, on_new_ticket, NULL, NULL);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_timeout(ctx, (long)ts->session_lifetime_s);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
	SSL_CTX_sess_set_cache_size(ctx, CACHE_SESSIONS_MAX);
}

static SSL_CTX *make_context(struct tls_server *ts, struct tls_live *live, const struct tls_pair *pairs,
			     tls_cert_mask certs, struct errtext *e)
{
	SSL_CTX *ctx = tls_settings_apply(&ts->set, TLS_server_method(), e);

	if (!ctx)
		return NULL;
	for (size_t i = 0; i < ts->ncerts; i++)
		if ((certs >> i & 1) && tls_pair_use(&pairs[i], ctx, ts->certs[i].cert, e) < 0)
			goto failed;
	if (client_demands(ts, ctx, e) < 0)
		goto failed;
	allow_sessions(ts, ctx);
	SSL_CTX_set_client_hello_cb(ctx, tls_hello_seen, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, live);
	return ctx;
failed:
	SSL_CTX_free(ctx);
	return NULL;
}

static int make_contexts(struct tls_server *ts, struct tls_live *live, const struct tls_pair *pairs,
			 struct errtext *e)
{
	int err = tls_names_init(&live->names, pairs, ts->ncerts, e);

	if (err < 0)
		return err;
	live->ctx = make_context(ts, live, pairs, live->names.first, e);
	if (!live->ctx)
		return -ERR_INVAL;
	for (size_t i = 0; i < live->names.n; i++) {
		const tls_cert_mask certs = live->names.v[i].certs;
		if (certs == live->names.first || context_of(live, certs))
			continue;
		if (live->nby_certs == ARRAY_LEN(live->by_certs))
			return errtext_set(e, ERR_TOOBIG, "the certificates overlap in more than %zu ways",
					   live->nby_certs);
		SSL_CTX *ctx = make_context(ts, live, pairs, certs, e);
		if (!ctx)
			return -ERR_INVAL;
		live->by_certs[live->nby_certs].certs = certs;
		live->by_certs[live->nby_certs++].ctx = ctx;
	}
	return 0;
}

/* On success @e holds a warning or nothing. */
static int load(struct tls_server *ts, struct tls_live **live_r, struct errtext *e)
{
	struct tls_pair *pairs = mem_alloc_array(ts->ncerts, sizeof *pairs);
	struct tls_live *live = tls_live_new();
	struct errtext warning = { "" };
	int err = live ? 0 : -ERR_NOMEM;

	for (size_t i = 0; i < ts->ncerts && !err; i++) {
		err = tls_pair_load(&pairs[i], ts->certs[i].cert, ts->certs[i].key, e);
		if (!err && !warning.s[0])
			tls_pair_warn(&pairs[i], ts->certs[i].cert, &warning);
	}
	if (!err)
		err = make_contexts(ts, live, pairs, e);
	for (size_t i = 0; i < ts->ncerts; i++)
		tls_pair_deinit(&pairs[i]);
	free(pairs);
	if (err < 0) {
		tls_live_unref(&live);
		return err;
	}
	if (e)
		*e = warning;
	*live_r = live;
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------- */

static int check(const struct tls_server_config *cfg, struct errtext *e)
{
	if (cfg->ncerts == 0)
		return errtext_set(e, ERR_INVAL, "TLS needs a certificate");
	if (cfg->ncerts > TLS_CERTS_MAX)
		return errtext_set(e, ERR_TOOBIG, "%zu certificates; at most %d", cfg->ncerts, TLS_CERTS_MAX);
	if (cfg->client_cert != TLS_CLIENT_CERT_NONE && cfg->client_ca.n == 0)
		return errtext_set(e, ERR_INVAL,
				   "client certificates need the CA that they are from (client_ca)");
	for (size_t i = 0; i < cfg->ncerts; i++)
		if (cfg->certs[i].cert.n == 0)
			return errtext_set(e, ERR_INVAL, "certificate %zu has no file", i + 1);
	return 0;
}

static void keep_settings(struct tls_server *ts, const struct tls_server_config *cfg)
{
	ts->mem = arena_new(TLS_SETTINGS_OCTETS_MAX);
	ts->set = (struct tls_settings){ .min = cfg->min,
					 .max = cfg->max,
					 .ciphers = tls_keep(ts->mem, cfg->ciphers),
					 .ciphersuites = tls_keep(ts->mem, cfg->ciphersuites),
					 .security_level = cfg->security_level };
	ts->ncerts = cfg->ncerts;
	for (size_t i = 0; i < cfg->ncerts; i++) {
		ts->certs[i].cert = tls_keep(ts->mem, cfg->certs[i].cert);
		ts->certs[i].key = tls_keep(ts->mem, cfg->certs[i].key);
		tls_files_add(&ts->files, ts->certs[i].cert);
		tls_files_add(&ts->files, ts->certs[i].key);
	}
	ts->client_cert = cfg->client_cert;
	ts->client_ca = tls_keep(ts->mem, cfg->client_ca);
	tls_files_add(&ts->files, ts->client_ca);
	ts->session_lifetime_s = cfg->session_lifetime_s;
}

int tls_server_new(const struct tls_server_config *cfg, struct tls_server **ts_r, struct errtext *e)
{
	int err = check(cfg, e);

	if (err < 0)
		return err;
	struct tls_server *ts = mem_alloc(sizeof *ts);
	atomic_init(&ts->refs, 1);
	pthread_mutex_init(&ts->lock, NULL);
	pthread_mutex_init(&ts->refreshing, NULL);
	keep_settings(ts, cfg);
	tls_files_look(
		&ts->files); /* before they are read: what changes meanwhile is seen at the next look */
	err = tls_settings_check(&ts->set, e);
	if (!err && tls_tickets_init(&ts->tickets, ts->session_lifetime_s) < 0)
		err = tls_error_set(e, ERR_UNSUPPORTED, "keys for session tickets");
	if (!err)
		err = load(ts, &ts->live, e);
	if (err < 0) {
		tls_server_unref(&ts);
		return err;
	}
	*ts_r = ts;
	return 0;
}

struct tls_server *tls_server_ref(struct tls_server *ts)
{
	atomic_fetch_add_explicit(&ts->refs, 1, memory_order_relaxed);
	return ts;
}

void tls_server_unref(struct tls_server **tsp)
{
	struct tls_server *ts = *tsp;

	*tsp = NULL;
	if (!ts || atomic_fetch_sub_explicit(&ts->refs, 1, memory_order_acq_rel) > 1)
		return;
	tls_live_unref(&ts->live);
	tls_tickets_deinit(&ts->tickets);
	pthread_mutex_destroy(&ts->lock);
	pthread_mutex_destroy(&ts->refreshing);
	arena_free(&ts->mem);
	free(ts);
}

struct tls_live *tls_server_live(struct tls_server *ts)
{
	pthread_mutex_lock(&ts->lock);
	struct tls_live *live = tls_live_ref(ts->live);
	pthread_mutex_unlock(&ts->lock);
	return live;
}

int tls_server_refresh(struct tls_server *ts, struct errtext *e)
{
	struct tls_live *live = NULL;
	int rc = 0;

	if (e)
		e->s[0] = 0;
	pthread_mutex_lock(&ts->refreshing);
	if (tls_files_look(&ts->files)) {
		rc = load(ts, &live, e);
		if (rc == 0) {
			rc = 1;
			pthread_mutex_lock(&ts->lock);
			struct tls_live *old = ts->live;
			ts->live = live;
			pthread_mutex_unlock(&ts->lock);
			tls_live_unref(&old);
		}
	}
	pthread_mutex_unlock(&ts->refreshing);
	return rc;
}
