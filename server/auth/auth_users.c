/* A check of a password, when all goes well:
 *
 *   1. on the loop: the user is looked up, what is needed of him is copied into a job; was this password right a moment ago?
 *      Then that is the answer
 *   2. on a thread of the pool: a second look at what is known (another job may have been about the same), then scrypt
 *   3. on the loop: the job's end is the check's
 *
 * It fails when the queue is full or the deadline passes: nobody can say (TEMPFAIL). An unknown user costs the same scrypt when no
 * other backend follows, and a disabled one always, so that time does not tell who is here.
 */
#include "auth/auth_users.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "auth/auth_cache.h"
#include "auth/auth_saslprep.h"
#include "auth/auth_scram.h"
#include "auth/auth_users_priv.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/work.h"
#include "tls/tls_digest.h"

#define TIMEOUT_US INT64_C(20000000)

struct users {
	struct auth_backend head;
	char *file;
	int64_t timeout_us;
	struct work_pool *pool;
	pthread_mutex_t lock; /* of what follows */
	struct auth_users_table *table;
	struct auth_users_stamp stamp;
	unsigned generation; /* of the table: what was checked against another is not kept */
	struct auth_cache cache;
};

/* One check on its way; on the heap, and gone when the check's op completes. */
struct job {
	struct work work;
	struct users *users;
	struct auth_check *check;
	struct auth_user_hash hash;
	bool known, disabled;
	bool keyed; /* it has a key to be kept by */
	unsigned generation;
	struct secret password; /* prepared */
	struct auth_cache_key key;
	char name[AUTH_USER_MAX];
	enum auth_answer answer;
};

static struct users *users_of(struct auth_backend *b)
{
	return container_of(b, struct users, head);
}

/* The clock that loops and threads have in common. */
static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* ---- the file -------------------------------------------------------------------------------------------- */

static int users_refresh(struct auth_backend *b, struct errtext *e)
{
	struct users *u = users_of(b);
	struct auth_users_table *t = NULL;
	struct stat st;

	if (stat(u->file, &st) < 0) {
		const int err = auth_users_file_error(e, u->file);
		pthread_mutex_lock(&u->lock);
		const bool told = auth_users_stamp_eq(&u->stamp, &(struct auth_users_stamp){ 0 });
		u->stamp = (struct auth_users_stamp){ 0 };
		pthread_mutex_unlock(&u->lock);
		return told ? 0 : err;
	}
	struct auth_users_stamp stamp = auth_users_stamp_of(&st);
	pthread_mutex_lock(&u->lock);
	const bool same = auth_users_stamp_eq(&stamp, &u->stamp);
	u->stamp = stamp; /* what cannot be read is told once, and tried again when it changes again */
	pthread_mutex_unlock(&u->lock);
	if (same)
		return 0;
	const int err = auth_users_load(u->file, &st, &t, e);
	pthread_mutex_lock(&u->lock);
	if (err == 0) {
		struct auth_users_table *old = u->table;
		u->table = t;
		t = old;
		u->generation++;
		auth_cache_forget(&u->cache, (struct span){ NULL, 0 });
		u->stamp = auth_users_stamp_of(&st);
	}
	pthread_mutex_unlock(&u->lock);
	auth_users_table_free(&t);
	return err < 0 ? err : 1;
}

/* ---- look-up ------------------------------------------------------------------------------------------- */

/* The user of that name, or of which it is an alias. Under the lock. */
static const struct auth_user *find(const struct users *u, struct span name)
{
	const struct auth_users_entry *en = auth_users_find(u->table, name);

	if (en && en->is_alias)
		en = auth_users_find(u->table, en->to);
	return en && !en->is_alias ? &en->user : NULL;
}

static void identify(const struct auth_user *user, struct auth_identity *id)
{
	const struct span who = user->principal.n ? user->principal : user->name;
	const ptrdiff_t at = span_rfind_char(user->principal, '@');

	(void)snprintf(id->user, sizeof id->user, "%.*s", SPAN_ARG(who));
	if (at >= 0)
		(void)snprintf(id->realm, sizeof id->realm, "%.*s", SPAN_ARG(span_skip(who, (size_t)at + 1)));
}

static bool users_alias(struct auth_backend *b, struct span name, char to[AUTH_USER_MAX])
{
	struct users *u = users_of(b);

	pthread_mutex_lock(&u->lock);
	const struct auth_users_entry *en = auth_users_find(u->table, name);
	const bool is = en && en->is_alias;
	if (is)
		(void)snprintf(to, AUTH_USER_MAX, "%.*s", SPAN_ARG(en->to));
	pthread_mutex_unlock(&u->lock);
	return is;
}

/* Salts of users who are not here come of the file's key: the same after a restart and on every node that has the file. */
static void pretend(const struct auth_users_table *t, struct span name, struct auth_verifier *v)
{
	uint8_t mac[TLS_DIGEST_MAX];

	if (!t->has_key || tls_hmac(TLS_DIGEST_SHA256, span_make(t->key, sizeof t->key), name, mac) < 0)
		return;
	memcpy(v->salt, mac, AUTH_SCRAM_SALT);
	v->nsalt = AUTH_SCRAM_SALT;
	v->iterations = AUTH_SCRAM_ITERATIONS;
}

static void users_verifier(struct auth_backend *b, struct span name, struct auth_verifier *v_r)
{
	struct users *u = users_of(b);
	struct auth_verifier v = { .answer = AUTH_ANSWER_UNKNOWN_HERE };

	pthread_mutex_lock(&u->lock);
	const struct auth_user *user = find(u, name);
	if (user && user->scram.iterations) {
		v.iterations = user->scram.iterations;
		v.nsalt = user->scram.nsalt;
		memcpy(v.salt, user->scram.salt, v.nsalt);
		memcpy(v.stored_key, user->scram.stored_key, sizeof v.stored_key);
		memcpy(v.server_key, user->scram.server_key, sizeof v.server_key);
		v.answer = user->disabled ? AUTH_ANSWER_LOCKED : AUTH_ANSWER_RIGHT;
		identify(user, &v.identity);
	} else {
		pretend(u->table, name, &v);
	}
	pthread_mutex_unlock(&u->lock);
	*v_r = v;
	mem_wipe(&v, sizeof v);
}

/* ---- a check ------------------------------------------------------------------------------------------- */

static void job_free(struct job *j)
{
	secret_deinit(&j->password);
	mem_wipe(j, sizeof *j);
	free(j);
}

/* Was it right a moment ago? */
static bool known_right(struct users *u, const struct job *j)
{
	int64_t age_us;

	if (!j->keyed)
		return false;
	pthread_mutex_lock(&u->lock);
	const bool right = u->generation == j->generation &&
			   auth_cache_get(&u->cache, &j->key, now_us(), &age_us) == AUTH_ANSWER_RIGHT;
	pthread_mutex_unlock(&u->lock);
	return right;
}

static void keep_right(struct users *u, const struct job *j)
{
	pthread_mutex_lock(&u->lock);
	if (u->generation == j->generation)
		auth_cache_put(&u->cache, &j->key, span_of(j->name), AUTH_ANSWER_RIGHT, now_us());
	pthread_mutex_unlock(&u->lock);
}

static int job_run(struct work *w)
{
	struct job *j = container_of(w, struct job, work);
	int right = known_right(j->users, j);

	if (!right) {
		right = auth_user_check_password(&j->hash, secret_span(&j->password));
		if (right == 1 && j->keyed)
			keep_right(j->users, j);
	}
	if (right < 0)
		return right;
	j->answer = !j->known     ? AUTH_ANSWER_UNKNOWN_HERE
		    : !right      ? AUTH_ANSWER_WRONG
		    : j->disabled ? AUTH_ANSWER_LOCKED
				  : AUTH_ANSWER_RIGHT;
	return 0;
}

static void say(struct auth_check *c, enum auth_answer answer)
{
	static const char *const why[AUTH_ANSWER_MAX_] = {
		[AUTH_ANSWER_RIGHT] = "",
		[AUTH_ANSWER_WRONG] = "the password is wrong",
		[AUTH_ANSWER_UNKNOWN_HERE] = "the user file has no such user",
		[AUTH_ANSWER_LOCKED] = "the user is disabled",
	};

	c->answer = answer;
	(void)snprintf(c->why, sizeof c->why, "%s", why[answer] ? why[answer] : "");
}

static void job_done(struct op *op)
{
	struct job *j = container_of(op, struct job, work.op);
	struct auth_check *c = j->check;

	if (op->status < 0) {
		c->answer = AUTH_ANSWER_TEMPFAIL;
		(void)snprintf(c->why, sizeof c->why, "checking the password: %s", err_text(op->status));
	} else {
		say(c, j->answer);
	}
	c->impl = NULL;
	job_free(j);
	op_complete(&c->op, 0);
}

static void check_cancel(struct op *op)
{
	struct auth_check *c = container_of(op, struct auth_check, op);
	struct job *j = c->impl;

	op_cancel(&j->work.op); /* one that runs is waited for; then job_done() completes the check */
}

/* What a thread will need, so that it does not look at the table. Returns NULL when the answer is there already: c->answer. */
static struct job *prepare(struct users *u, struct auth_check *c)
{
	struct buf name = BUF_INIT(AUTH_USER_MAX), password = BUF_INIT(SECRET_MAX);
	struct job *j = mem_alloc(sizeof *j);

	*j = (struct job){ .users = u, .check = c };
	buf_reserve(&password,
		    secret_span(c->password).n); /* so that nothing of it is left where it grew out of */
	const bool named = auth_saslprep(c->user, &name) == 0;
	const bool usable = auth_saslprep(secret_span(c->password), &password) == 0;
	pthread_mutex_lock(&u->lock);
	const struct auth_user *user = named ? find(u, buf_span(&name)) : NULL;
	j->generation = u->generation;
	if (user) {
		j->known = true;
		j->hash = user->hash;
		j->disabled = user->disabled;
		(void)snprintf(j->name, sizeof j->name, "%.*s", SPAN_ARG(user->name));
		identify(user, &c->identity);
		j->keyed = auth_cache_key(&u->cache, user->name, buf_span(&password), &j->key) == 0;
	}
	pthread_mutex_unlock(&u->lock);
	(void)secret_set(&j->password, buf_span(&password));
	buf_free(&name);
	buf_wipe(&password);
	if (!user && !c->last) {
		say(c, AUTH_ANSWER_UNKNOWN_HERE);
	} else if (!usable) { /* RFC 4616 section 2: what cannot be prepared fails */
		say(c, user ? AUTH_ANSWER_WRONG : AUTH_ANSWER_UNKNOWN_HERE);
	} else if (user && !j->disabled && known_right(u, j)) {
		say(c, AUTH_ANSWER_RIGHT);
	} else {
		return j;
	}
	job_free(j);
	return NULL;
}

static int users_check(struct auth_backend *b, struct auth_check *c, struct scope *scope)
{
	struct users *u = users_of(b);
	int err = op_begin(&c->op, scope, "password of the user file", u->timeout_us + TIMEOUT_US,
			   check_cancel);

	if (err < 0)
		return err;
	struct job *j = prepare(u, c);
	if (!j) {
		op_complete(&c->op, 0);
		return 0;
	}
	c->impl = j;
	work_init(&j->work, job_run, job_done);
	err = work_start(&j->work, u->pool, scope, "scrypt", u->timeout_us);
	if (err < 0) {
		c->impl = NULL;
		c->answer = AUTH_ANSWER_TEMPFAIL;
		(void)snprintf(c->why, sizeof c->why, "too many logins at once (%s)", err_text(err));
		job_free(j);
		op_complete(&c->op, 0);
	}
	return 0;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static void users_free(struct auth_backend *b)
{
	struct users *u = users_of(b);

	work_pool_free(&u->pool);
	auth_cache_deinit(&u->cache);
	auth_users_table_free(&u->table);
	pthread_mutex_destroy(&u->lock);
	free(u->file);
	free(u);
}

static const struct auth_backend_ops users_ops = {
	.name = "users",
	.check = users_check,
	.verifier = users_verifier,
	.alias = users_alias,
	.refresh = users_refresh,
	.free = users_free,
};

static unsigned default_threads(void)
{
	const long half = sysconf(_SC_NPROCESSORS_ONLN) / 2;

	return half < 2 ? 2 : half < AUTH_USERS_THREADS_MAX ? (unsigned)half : AUTH_USERS_THREADS_MAX;
}

int auth_users_new(const struct auth_users_config *cfg, struct auth_backend **b_r, struct errtext *e)
{
	char *file = mem_strndup(cfg->file.p, cfg->file.n);
	struct auth_users_table *t = NULL;
	struct stat st;
	int err = auth_users_load(file, &st, &t, e);

	if (err < 0) {
		free(file);
		return err;
	}
	struct users *u = mem_alloc(sizeof *u);
	u->head.ops = &users_ops;
	u->file = file;
	u->table = t;
	u->stamp = auth_users_stamp_of(&st);
	u->timeout_us = cfg->timeout_us ? cfg->timeout_us : TIMEOUT_US;
	require(pthread_mutex_init(&u->lock, NULL) == 0);
	const int64_t cache_us = cfg->cache_us == 0  ? AUTH_CACHE_RIGHT_MAX_US
				 : cfg->cache_us > 0 ? cfg->cache_us
						     : 0;
	err = auth_cache_init(&u->cache, AUTH_USERS_CACHE_MAX, cache_us, 0);
	u->pool = work_pool_new("users", cfg->threads ? cfg->threads : default_threads(),
				cfg->queue_max ? cfg->queue_max : AUTH_USERS_QUEUE_MAX);
	if (err < 0) {
		errtext_set(e, -err, "%s: no random numbers", file);
		users_free(&u->head);
		return err;
	}
	*b_r = &u->head;
	return 0;
}
