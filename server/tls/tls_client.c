/* What a route connects with: the CAs that it trusts and the certificate that it shows. Refreshed as tls_server.c does it. */
#include <openssl/err.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_context_priv.h"

struct tls_client {
	atomic_uint refs;
	struct tls_settings set;
	const char *ca_file, *cert, *key;
	struct arena *mem;
	pthread_mutex_t refreshing;
	struct tls_files files; /* under `refreshing` */
	pthread_mutex_t lock;
	struct tls_live *live; /* under `lock` */
};

/* The CAs of a file of the operator's are trusted as they stand, also an intermediate one or a partner's own certificate
 * (X509_V_FLAG_PARTIAL_CHAIN); the system's are roots. */
static int trust(const struct tls_client *tc, SSL_CTX *ctx, struct errtext *e)
{
	if (!tc->ca_file) {
		if (SSL_CTX_set_default_verify_paths(ctx) != 1)
			return tls_error_set(e, ERR_INVAL, "the system's CA certificates");
		return 0;
	}
	if (SSL_CTX_load_verify_file(ctx, tc->ca_file) != 1)
		return tls_error_set(e, ERR_INVAL, "%s: no CA certificate can be read", tc->ca_file);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	return 0;
}

static int load(struct tls_client *tc, struct tls_live **live_r, struct errtext *e)
{
	struct tls_live *live = tls_live_new();
	struct tls_pair pair = { 0 };
	struct errtext warning = { "" };
	int err = live ? 0 : -ERR_NOMEM;

	if (!err && (live->ctx = tls_settings_apply(&tc->set, TLS_client_method(), e)) == NULL)
		err = -ERR_INVAL;
	if (!err)
		err = trust(tc, live->ctx, e);
	if (!err && SSL_CTX_dane_enable(live->ctx) != 1)
		err = tls_error_set(e, ERR_UNSUPPORTED, "DANE");
	if (!err && tc->cert) {
		err = tls_pair_load(&pair, tc->cert, tc->key, e);
		if (!err)
			err = tls_pair_use(&pair, live->ctx, tc->cert, e);
		if (!err)
			tls_pair_warn(&pair, tc->cert, &warning);
	}
	tls_pair_deinit(&pair);
	if (err < 0) {
		tls_live_unref(&live);
		return err;
	}
	SSL_CTX_set_session_cache_mode(live->ctx, SSL_SESS_CACHE_OFF);
	if (e)
		*e = warning;
	*live_r = live;
	return 0;
}

int tls_client_new(const struct tls_client_config *cfg, struct tls_client **tc_r, struct errtext *e)
{
	struct tls_client *tc = mem_alloc(sizeof *tc);

	atomic_init(&tc->refs, 1);
	pthread_mutex_init(&tc->lock, NULL);
	pthread_mutex_init(&tc->refreshing, NULL);
	tc->mem = arena_new(TLS_SETTINGS_OCTETS_MAX);
	tc->set = (struct tls_settings){ .min = cfg->min,
					 .ciphers = tls_keep(tc->mem, cfg->ciphers),
					 .security_level = cfg->security_level };
	tc->ca_file = tls_keep(tc->mem, cfg->ca_file);
	tc->cert = tls_keep(tc->mem, cfg->cert);
	tc->key = tls_keep(tc->mem, cfg->key);
	tls_files_add(&tc->files, tc->ca_file);
	tls_files_add(&tc->files, tc->cert);
	tls_files_add(&tc->files, tc->key);
	tls_files_look(&tc->files);
	int err = tls_settings_check(&tc->set, e);
	if (!err)
		err = load(tc, &tc->live, e);
	if (err < 0) {
		tls_client_unref(&tc);
		return err;
	}
	*tc_r = tc;
	return 0;
}

struct tls_client *tls_client_ref(struct tls_client *tc)
{
	atomic_fetch_add_explicit(&tc->refs, 1, memory_order_relaxed);
	return tc;
}

void tls_client_unref(struct tls_client **tcp)
{
	struct tls_client *tc = *tcp;

	*tcp = NULL;
	if (!tc || atomic_fetch_sub_explicit(&tc->refs, 1, memory_order_acq_rel) > 1)
		return;
	tls_live_unref(&tc->live);
	pthread_mutex_destroy(&tc->lock);
	pthread_mutex_destroy(&tc->refreshing);
	arena_free(&tc->mem);
	free(tc);
}

struct tls_live *tls_client_live(struct tls_client *tc)
{
	pthread_mutex_lock(&tc->lock);
	struct tls_live *live = tls_live_ref(tc->live);
	pthread_mutex_unlock(&tc->lock);
	return live;
}

int tls_client_refresh(struct tls_client *tc, struct errtext *e)
{
	struct tls_live *live = NULL;
	int rc = 0;

	if (e)
		e->s[0] = 0;
	pthread_mutex_lock(&tc->refreshing);
	if (tls_files_look(&tc->files)) {
		rc = load(tc, &live, e);
		if (rc == 0) {
			rc = 1;
			pthread_mutex_lock(&tc->lock);
			struct tls_live *old = tc->live;
			tc->live = live;
			pthread_mutex_unlock(&tc->lock);
			tls_live_unref(&old);
		}
	}
	pthread_mutex_unlock(&tc->refreshing);
	return rc;
}
