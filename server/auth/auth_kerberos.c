#include "auth/auth_kerberos.h"

#include <stdlib.h>

#include "auth/auth_kerberos_priv.h"
#include "auth/auth_principal.h"
#include "base/check.h"
#include "base/mem.h"

static struct auth_kerberos *kerberos_of(struct auth_backend *b)
{
	return container_of(b, struct auth_kerberos, head);
}

void auth_kerberos_unref(struct auth_kerberos *b)
{
	if (atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	auth_cache_deinit(&b->cache);
	map_deinit(&b->under_way);
	auth_pattern_deinit(&b->allow);
	pthread_mutex_destroy(&b->lock);
	free(b->realm);
	free(b->service);
	free(b->keytab);
	free(b->krb5_conf);
	free(b);
}

struct auth_krb5_config auth_kerberos_krb5(struct auth_kerberos *b)
{
	return (struct auth_krb5_config){ .krb5_conf = b->krb5_conf,
					  .realm = b->realm,
					  .service = b->service,
					  .keytab = b->keytab,
					  .timeout_us = b->timeout_us,
					  .kdc_turn = &b->kdc_turn };
}

static int kerberos_check(struct auth_backend *backend, struct auth_check *c, struct scope *scope)
{
	struct auth_kerberos *b = kerberos_of(backend);
	const struct span password = secret_span(c->password);
	struct auth_identity id;
	struct auth_cache_key key;
	const char *why;
	const int err = op_begin(&c->op, scope, "kerberos login", auth_kerberos_answer_in_us(b),
				 auth_kerberos_cancel);

	if (err)
		return err;
	c->impl = NULL;
	pthread_mutex_lock(&b->lock);
	b->stats.logins++;
	pthread_mutex_unlock(&b->lock);
	if (auth_principal_parse(c->user, span_of(b->realm), &id, &why) < 0)
		auth_kerberos_answer(c, AUTH_ANSWER_UNKNOWN_HERE, why);
	else if (!auth_pattern_matches(&b->allow, &id))
		auth_kerberos_answer(c, AUTH_ANSWER_UNKNOWN_HERE, "a principal that may not log in here");
	else if (password.n == 0 || password.n > AUTH_KERBEROS_PASSWORD_MAX ||
		 memchr(password.p, '\0', password.n))
		auth_kerberos_answer(c, AUTH_ANSWER_WRONG, "an empty password, or one that cannot be");
	else if (auth_cache_key(&b->cache, span_of(id.user), password, &key) < 0)
		auth_kerberos_answer(c, AUTH_ANSWER_TEMPFAIL, "no keyed hash to be had");
	else
		auth_kerberos_ask(b, c, &id, &key);
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

/* Whether the file is another one than before; a file that is not there is one, too. */
static bool stamp(const char *path, struct file_stamp *s)
{
	struct stat st;
	struct file_stamp now = { .ino = 0 };

	if (path && stat(path, &st) == 0) {
		now.dev = st.st_dev;
		now.ino = st.st_ino;
		now.size = st.st_size;
		now.mtime = st.st_mtim;
		now.ctime = st.st_ctim;
	}
	const bool changed = now.dev != s->dev || now.ino != s->ino || now.size != s->size ||
			     now.mtime.tv_sec != s->mtime.tv_sec || now.mtime.tv_nsec != s->mtime.tv_nsec ||
			     now.ctime.tv_sec != s->ctime.tv_sec || now.ctime.tv_nsec != s->ctime.tv_nsec;
	*s = now;
	return changed;
}

static const char *file_of(const char *keytab)
{
	return strncmp(keytab, "FILE:", 5) == 0 ? keytab + 5 : keytab;
}

static int kerberos_refresh(struct auth_backend *backend, struct errtext *e)
{
	struct auth_kerberos *b = kerberos_of(backend);

	pthread_mutex_lock(&b->lock);
	const bool keytab = stamp(file_of(b->keytab), &b->keytab_stamp);
	const bool conf = stamp(b->krb5_conf, &b->conf_stamp);
	const bool gone = b->keytab_stamp.ino == 0;
	if (keytab || conf) {
		b->epoch++;
		auth_cache_forget(&b->cache, (struct span){ NULL, 0 });
	}
	if (conf)
		atomic_fetch_add(&b->generation, 1);
	pthread_mutex_unlock(&b->lock);
	if (gone)
		return errtext_set(e, ERR_NOTFOUND, "kerberos: keytab %s: cannot be read", b->keytab);
	return keytab || conf;
}

static void kerberos_free(struct auth_backend *backend)
{
	struct auth_kerberos *b = kerberos_of(backend);

	auth_pool_free(&b->pool);
	auth_kerberos_unref(b);
}

static const struct auth_backend_ops kerberos_ops = {
	.name = "kerberos",
	.check = kerberos_check,
	.refresh = kerberos_refresh,
	.free = kerberos_free,
};

/* Do the library, its files and our key come together? Learns the realm. */
static int try_krb5(struct auth_kerberos *b, struct errtext *e)
{
	const struct auth_krb5_config config = auth_kerberos_krb5(b);
	struct auth_krb5 *krb5 = NULL;
	int err = auth_krb5_new(&config, &krb5, e);

	if (err)
		return err;
	err = auth_krb5_keytab_ok(krb5, e);
	if (!err && !b->realm)
		b->realm = mem_strdup(auth_krb5_realm(krb5));
	auth_krb5_free(&krb5);
	return err;
}

static char *copy_of(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

static int64_t or_default(int64_t v, int64_t dflt)
{
	return v < 0 ? 0 : v ? v : dflt;
}

int auth_kerberos_new(const struct auth_kerberos_config *c, struct auth_backend **b_r, struct errtext *e)
{
	struct auth_kerberos *b = mem_alloc(sizeof *b);
	const unsigned threads = c->threads ? c->threads : AUTH_KERBEROS_THREADS;
	const unsigned queue_max = c->queue_max ? c->queue_max : AUTH_KERBEROS_QUEUE_MAX;

	b->head.ops = &kerberos_ops;
	atomic_init(&b->refs, 1);
	require(pthread_mutex_init(&b->lock, NULL) == 0);
	map_init(&b->under_way);
	b->realm = copy_of(c->realm);
	b->service = mem_strdup(c->service);
	b->keytab = mem_strdup(c->keytab);
	b->krb5_conf = copy_of(c->krb5_conf);
	b->timeout_us = or_default(c->timeout_us, 5 * 1000000);
	auth_breaker_init(&b->breaker, c->breaker_bad_max ? c->breaker_bad_max : 3,
			  or_default(c->breaker_retry_us, 5 * 1000000));
	b->pool = auth_pool_new("kerberos", threads, queue_max, auth_kerberos_thread_end);
	int err = auth_cache_init(&b->cache, c->cache_entries ? c->cache_entries : 4096,
				  or_default(c->cache_right_us, AUTH_CACHE_RIGHT_MAX_US),
				  or_default(c->cache_refused_us, 45 * 1000000));
	if (!err)
		err = auth_pattern_set(&b->allow, c->allow, e);
	stamp(file_of(b->keytab), &b->keytab_stamp);
	stamp(b->krb5_conf, &b->conf_stamp);
	if (!err)
		err = try_krb5(b, e);
	if (err) {
		errtext_wrap(e, "kerberos");
		kerberos_free(&b->head);
		return err;
	}
	*b_r = &b->head;
	return 0;
}

void auth_kerberos_forget(struct auth_backend *backend, struct span principal)
{
	struct auth_kerberos *b = kerberos_of(backend);

	pthread_mutex_lock(&b->lock);
	b->epoch++; /* what is under way was asked before */
	auth_cache_forget(&b->cache, principal);
	pthread_mutex_unlock(&b->lock);
}

struct auth_kerberos_stats auth_kerberos_stats(struct auth_backend *backend)
{
	struct auth_kerberos *b = kerberos_of(backend);
	const struct auth_pool_load load = auth_pool_load(b->pool);

	pthread_mutex_lock(&b->lock);
	struct auth_kerberos_stats s = b->stats;
	s.cached = (unsigned)b->cache.map.n;
	s.kdc_down = auth_breaker_open(&b->breaker);
	pthread_mutex_unlock(&b->lock);
	s.busy = load.busy;
	s.queued = load.queued;
	return s;
}
