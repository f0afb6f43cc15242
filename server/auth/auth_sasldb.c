/* Happy path of a check:
 *
 *   1. the user gets a realm, a job gets copies of all it needs                         (loop)
 *   2. sasldb_file_look(): is there such a file, may we read it, is it one?              (pool)
 *   3. Cyrus: a connection with our settings, sasl_checkpass(), gone again              (pool)
 *   4. the answer is copied into the check, which completes                             (loop)
 *
 * Late: the check completes with TEMPFAIL, the job is left to its end on its thread and nobody hears of it. A queue that is full:
 * -ERR_BUSY. Two looks at the file before Cyrus has it: of one that is missing Cyrus says that the user is unknown, and with one
 * that is not Berkeley DB's the library prints hundreds of lines.
 */
#include "auth/auth_sasldb.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/auth_pool.h"
#include "auth/auth_sasldb_priv.h"
#include "base/check.h"
#include "base/mem.h"

enum { THREADS = 2, QUEUE_MAX = 200, FULL_USER_MAX = AUTH_USER_MAX + AUTH_REALM_MAX };

#define TIMEOUT_US INT64_C(5000000)

struct sasldb {
	struct auth_backend backend;
	struct auth_pool *pool;
	int64_t timeout_us;
	char path[SASLDB_PATH_MAX];
	char realm[AUTH_REALM_MAX];
};

struct sasldb_job {
	struct auth_job job;
	struct secret password;
	char path[SASLDB_PATH_MAX];
	struct auth_identity who; /* whose password it would be */
	enum auth_answer answer;
	char why[AUTH_WHY_MAX];
};

/* ---- on the pool --------------------------------------------------------------------------------------- */

static enum auth_answer answer_of(int ret)
{
	switch (ret) {
	case SASL_OK:
		return AUTH_ANSWER_RIGHT;
	case SASL_NOUSER:
	case SASL_NOVERIFY: /* the account is there and has no password */
		return AUTH_ANSWER_UNKNOWN_HERE;
	case SASL_BADAUTH:
		return AUTH_ANSWER_WRONG;
	case SASL_DISABLED:
		return AUTH_ANSWER_LOCKED;
	case SASL_EXPIRED:
		return AUTH_ANSWER_EXPIRED;
	default:
		return AUTH_ANSWER_TEMPFAIL;
	}
}

static void job_run(struct auth_job *job, void **mine)
{
	struct sasldb_job *j = container_of(job, struct sasldb_job, job);
	struct sasldb_conn conn;
	struct errtext e = { "" };

	(void)mine;
	j->answer = AUTH_ANSWER_TEMPFAIL;
	if (sasldb_file_look(j->path, &e) < 0 || sasldb_open(&conn, j->path, &e) < 0) {
		snprintf(j->why, sizeof j->why, "%.*s", (int)sizeof j->why - 1, e.s);
		return;
	}
	const struct span password = secret_span(&j->password);
	const int ret = sasl_checkpass(conn.sasl, j->who.user, (unsigned)strlen(j->who.user), password.p,
				       (unsigned)password.n);
	j->answer = answer_of(ret);
	if (j->answer == AUTH_ANSWER_UNKNOWN_HERE)
		snprintf(j->why, sizeof j->why, "no such user and realm in %.150s", j->path);
	else if (j->answer == AUTH_ANSWER_TEMPFAIL)
		snprintf(j->why, sizeof j->why, "%.100s: %.90s", j->path,
			 conn.said[0] ? conn.said : sasl_errstring(ret, NULL, NULL));
	sasldb_close(&conn);
}

static void job_free(struct auth_job *job)
{
	struct sasldb_job *j = container_of(job, struct sasldb_job, job);

	secret_deinit(&j->password);
	free(j);
}

/* ---- on the loop --------------------------------------------------------------------------------------- */

static struct sasldb *sasldb_of(struct auth_backend *b)
{
	return container_of(b, struct sasldb, backend);
}

/* Who is meant. False: that cannot be a name here. Cyrus takes white space off both ends and what is behind the first "@" for the
 * realm; so "a " would be a, and "a@b@c" could be meant otherwise. */
static bool identify(const struct sasldb *s, struct span user, struct auth_identity *who_r)
{
	const ptrdiff_t at = span_find_char(user, '@');
	const struct span realm = at < 0 ? span_of(s->realm) : span_skip(user, (size_t)at + 1);

	if (user.n == 0 || at == 0 || realm.n == 0 || span_find_char(realm, '@') >= 0 ||
	    span_find_char(user, 0) >= 0)
		return false;
	if (span_trim(user).n != user.n || realm.n >= sizeof who_r->realm)
		return false;
	const int n = snprintf(who_r->user, sizeof who_r->user, "%.*s%s%.*s", SPAN_ARG(user),
			       at < 0 ? "@" : "", SPAN_ARG(at < 0 ? realm : SPAN("")));
	snprintf(who_r->realm, sizeof who_r->realm, "%.*s", SPAN_ARG(realm));
	return n > 0 && (size_t)n < sizeof who_r->user;
}

static void told(struct auth_asker *a)
{
	struct sasldb_job *j = container_of(a->job, struct sasldb_job, job);
	struct auth_check *c = a->arg;

	c->impl = NULL;
	c->answer = a->job->ran ? j->answer : AUTH_ANSWER_TEMPFAIL;
	memcpy(c->why, j->why, sizeof c->why);
	if (c->answer == AUTH_ANSWER_RIGHT)
		c->identity = j->who;
	op_complete(&c->op, 0);
}

static void check_cancel(struct op *op)
{
	struct auth_check *c = container_of(op, struct auth_check, op);
	struct auth_asker *a = c->impl;

	c->impl = NULL;
	auth_asker_leave(&a);
	c->answer = AUTH_ANSWER_TEMPFAIL;
	snprintf(c->why, sizeof c->why, "reading the sasldb took too long");
	op_complete(op, -ERR_CANCELED);
}

static int decided(struct sasldb *s, struct auth_check *c, struct scope *scope, enum auth_answer answer,
		   const char *why)
{
	const int err = op_begin(&c->op, scope, "sasldb", s->timeout_us, check_cancel);

	if (err < 0)
		return err;
	c->impl = NULL;
	c->answer = answer;
	snprintf(c->why, sizeof c->why, "%s", why);
	op_complete(&c->op, 0);
	return 0;
}

static int sasldb_check(struct auth_backend *b, struct auth_check *c, struct scope *scope)
{
	struct sasldb *s = sasldb_of(b);
	const struct span password = secret_span(c->password);
	struct auth_identity who;

	if (!identify(s, c->user, &who))
		return decided(s, c, scope, AUTH_ANSWER_UNKNOWN_HERE, "not a name that a sasldb can have");
	/* Cyrus compares as C does: what is behind a NUL would not count. It takes the length 0 for "measure it". */
	if (password.n == 0 || span_find_char(password, 0) >= 0)
		return decided(s, c, scope, AUTH_ANSWER_WRONG, "an empty password, or one with a NUL");
	if (scope->closing)
		return -ERR_CANCELED;
	struct sasldb_job *j = mem_alloc(sizeof *j);
	secret_set(&j->password, password);
	memcpy(j->path, s->path, sizeof j->path);
	j->who = who;
	auth_job_init(&j->job, s->pool, job_run, job_free);
	struct auth_job *job = &j->job;
	int err = auth_pool_start(job);
	if (err == 0)
		err = op_begin(&c->op, scope, "sasldb", s->timeout_us, check_cancel);
	if (err == 0)
		c->impl = auth_job_join(job, scope->loop, told, c);
	auth_job_unref(&job);
	return err;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static void sasldb_free(struct auth_backend *b)
{
	struct sasldb *s = sasldb_of(b);

	auth_pool_free(&s->pool);
	free(s);
}

static const struct auth_backend_ops sasldb_ops = {
	.name = "sasldb",
	.check = sasldb_check,
	.free = sasldb_free,
};

int auth_sasldb_new(const struct auth_sasldb_config *cfg, struct auth_backend **b_r, struct errtext *e)
{
	const struct span path = sasldb_path_of(cfg);
	const unsigned threads = cfg->threads ? cfg->threads : THREADS;

	if (cfg->realm.n == 0)
		return errtext_set(e, ERR_INVAL,
				   "sasldb: which realm? The one that was given to saslpasswd2 -u");
	if (cfg->realm.n >= AUTH_REALM_MAX || span_find_char(cfg->realm, '@') >= 0 ||
	    span_find_char(cfg->realm, 0) >= 0)
		return errtext_set(e, ERR_INVAL, "sasldb: the realm is too long or has an \"@\"");
	if (path.n >= SASLDB_PATH_MAX || span_find_char(path, 0) >= 0)
		return errtext_set(e, ERR_INVAL, "sasldb: the path is too long");
	struct sasldb *s = mem_alloc(sizeof *s);
	s->backend.ops = &sasldb_ops;
	s->timeout_us = cfg->timeout_us ? cfg->timeout_us : TIMEOUT_US;
	memcpy(s->path, path.p, path.n);
	memcpy(s->realm, cfg->realm.p, cfg->realm.n);
	/* one more: a pool keeps its last thread for urgent jobs, of which there are none here */
	s->pool = auth_pool_new("sasldb", threads + 1, cfg->queue_max ? cfg->queue_max : QUEUE_MAX, NULL);
	*b_r = &s->backend;
	return 0;
}
