/* Happy path of a login:
 *
 *   1. check():     the name is parsed, realm and pattern are looked at; is the answer remembered?      (loop)
 *   2. check():     a login of the same name and password under way is joined, or one is started        (loop)
 *   3. login_run(): libkrb5 asks the KDC and verifies its ticket                                        (pool)
 *   4. login_run(): the answer is remembered, the breaker hears of it                                   (pool)
 *   5. told():      each asker's check is completed                                                     (loop)
 *
 * How it fails: names that are not ours end in 1 without a packet; a KDC that is being left alone, or a full queue, in 2; the
 * deadline ends the asker's part between 2 and 5, and the login goes on without him. Whoever opens the breaker ends all logins that
 * have not begun: their askers are told at once.
 *
 * b->lock is taken before the pool's. A login is in b->under_way from 2 to 4 and has a reference from there; one that is never run
 * is taken out by whoever sees to that: withdraw() or give_up().
 */
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth_kerberos_priv.h"
#include "base/check.h"
#include "base/mem.h"

/* What a thread of the pool keeps. */
struct thread_mine {
	struct auth_krb5 *krb5;
	unsigned generation;
};

static int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- a login on its thread ------------------------------------------------------------------------------- */

void auth_kerberos_thread_end(void *arg)
{
	struct thread_mine *m = arg;

	auth_krb5_free(&m->krb5);
	free(m);
}

static int thread_krb5(struct auth_kerberos *b, void **mine, struct auth_krb5 **k_r, struct errtext *e)
{
	struct thread_mine *m = *mine;
	const unsigned generation = atomic_load(&b->generation);

	if (!m)
		*mine = m = mem_alloc(sizeof *m);
	if (m->krb5 && m->generation != generation)
		auth_krb5_free(&m->krb5);
	if (!m->krb5) {
		const struct auth_krb5_config config = auth_kerberos_krb5(b);
		const int err = auth_krb5_new(&config, &m->krb5, e);
		if (err)
			return err;
		m->generation = generation;
	}
	*k_r = m->krb5;
	return 0;
}

/* With the lock. Nobody can join it any more; the reference that it had there is the caller's. */
static bool take_from_way(struct login *l)
{
	if (!l->is_under_way)
		return false;
	map_remove(&l->b->under_way, &l->node);
	l->is_under_way = false;
	return true;
}

/* With the lock: the KDC has just been found to be down. What waits for a thread would not get an answer in time. */
static void give_up(struct auth_kerberos *b)
{
	map_for_each_safe(node, &b->under_way) {
		struct login *l = map_entry(node, struct login, node);

		if (l->begun || l->probe)
			continue;
		take_from_way(l);
		struct auth_job *job = &l->job;
		auth_job_unref(&job); /* frees without the lock's help, and never the last reference to b */
	}
	auth_pool_drop_queued(b->pool);
}

static void heard(struct auth_kerberos *b, struct login *l)
{
	const int64_t now = clock_us();

	if (l->probe)
		b->probes--;
	if (l->result.kdc == AUTH_KRB5_KDC_ANSWERED) {
		auth_breaker_good(&b->breaker, now);
	} else if (l->result.kdc == AUTH_KRB5_KDC_SILENT && !l->counted) {
		if (auth_breaker_bad(&b->breaker, l->begun_us, now, l->probe))
			give_up(b);
	} else if (l->probe && !l->counted) {
		auth_breaker_unprobe(&b->breaker);
	}
	if (l->epoch == b->epoch)
		auth_cache_put(&b->cache, &l->key, span_of(l->identity.user), l->result.answer, now);
}

static void login_run(struct auth_job *job, void **mine)
{
	struct login *l = container_of(job, struct login, job);
	struct auth_kerberos *b = l->b;
	struct auth_krb5 *krb5 = NULL;
	struct errtext e = { "" };

	pthread_mutex_lock(&b->lock);
	l->begun = true;
	l->begun_us = clock_us();
	b->stats.asked++;
	pthread_mutex_unlock(&b->lock);

	l->result.answer = AUTH_ANSWER_TEMPFAIL;
	if (thread_krb5(b, mine, &krb5, &e) < 0)
		snprintf(l->result.why, sizeof l->result.why, "libkrb5: %.150s", e.s);
	else
		auth_krb5_login(krb5, l->identity.user, l->password, &l->result);
	mem_wipe(l->password, sizeof l->password);

	pthread_mutex_lock(&b->lock);
	const bool taken = take_from_way(l);
	heard(b, l);
	pthread_mutex_unlock(&b->lock);
	if (taken)
		auth_job_unref(&job);
}

static void login_free(struct auth_job *job)
{
	struct login *l = container_of(job, struct login, job);

	auth_kerberos_unref(l->b);
	mem_wipe(l, sizeof *l);
	free(l);
}

/* ---- a check on its loop --------------------------------------------------------------------------------- */

void auth_kerberos_answer(struct auth_check *c, enum auth_answer answer, const char *why)
{
	c->answer = answer;
	snprintf(c->why, sizeof c->why, "%s", why);
	op_complete(&c->op, 0);
}

static void told(struct auth_asker *a)
{
	struct auth_check *c = a->arg;
	const struct login *l = container_of(a->job, struct login, job);

	c->impl = NULL;
	if (l->result.answer == AUTH_ANSWER_RIGHT)
		c->identity = l->identity;
	if (a->job->ran)
		auth_kerberos_answer(c, l->result.answer, l->result.why);
	else
		auth_kerberos_answer(c, AUTH_ANSWER_TEMPFAIL, "no KDC answers");
}

/* With the lock. Returns true when the login, which nobody asks for any more, was taken out: its reference is the caller's. */
static bool withdraw(struct auth_asker **a, struct login *l)
{
	if (!auth_asker_leave(a))
		return false;
	if (l->probe) {
		l->b->probes--;
		auth_breaker_unprobe(&l->b->breaker);
	}
	return take_from_way(l);
}

void auth_kerberos_cancel(struct op *op)
{
	struct auth_check *c = container_of(op, struct auth_check, op);
	struct auth_asker *a = c->impl;
	struct login *l = container_of(a->job, struct login, job);
	struct auth_job *job = &l->job;
	struct auth_kerberos *b = l->b;
	const bool late = loop_now_us(op->scope->loop) - op->started_us >= auth_kerberos_answer_in_us(b);
	bool opened = false;

	c->impl = NULL;
	c->answer = AUTH_ANSWER_TEMPFAIL;
	snprintf(c->why, sizeof c->why, "%s", late ? "no answer of a KDC in time" : "given up");
	pthread_mutex_lock(&b->lock);
	if (late)
		b->stats.late++;
	bool taken = false;
	if (late && l->begun && take_from_way(l)) { /* it is stuck: who comes next had better ask anew */
		taken = l->counted = true;
		opened = auth_breaker_bad(&b->breaker, l->begun_us, clock_us(), l->probe);
	}
	taken |= withdraw(&a, l);
	if (opened)
		give_up(b);
	pthread_mutex_unlock(&b->lock);
	if (taken)
		auth_job_unref(&job);
	op_complete(op, -ERR_CANCELED);
}

/* With the lock. NULL: there is no use in asking now, *why_r says why. */
static struct login *login_start(struct auth_kerberos *b, const struct auth_cache_key *key,
				 const struct auth_identity *id, struct span password, const char **why_r)
{
	enum auth_breaker_answer go = auth_breaker_ask(&b->breaker, clock_us());

	if (go == AUTH_BREAKER_PROBE && b->probes >= AUTH_KERBEROS_PROBES) {
		auth_breaker_unprobe(&b->breaker);
		go = AUTH_BREAKER_STOP;
	}
	if (go == AUTH_BREAKER_STOP) {
		*why_r = "no KDC has answered of late; one login at a time is tried";
		return NULL;
	}
	struct login *l = mem_alloc(sizeof *l);
	l->b = b;
	atomic_fetch_add(&b->refs, 1);
	l->key = *key;
	l->identity = *id;
	l->epoch = b->epoch;
	l->probe = go == AUTH_BREAKER_PROBE;
	memcpy(l->password, password.p, password.n);
	auth_job_init(&l->job, b->pool, login_run, login_free);
	l->job.urgent = l->probe;
	if (auth_pool_start(&l->job) < 0) {
		struct auth_job *job = &l->job;
		if (l->probe)
			auth_breaker_unprobe(&b->breaker);
		auth_job_unref(&job);
		*why_r = "too many logins wait for a KDC";
		return NULL;
	}
	b->probes += l->probe;
	l->is_under_way = true;
	map_put(&b->under_way, &l->node, span_make(l->key.b, sizeof l->key.b));
	return l;
}

/* Remembered, joined or started. */
void auth_kerberos_ask(struct auth_kerberos *b, struct auth_check *c, const struct auth_identity *id,
		       const struct auth_cache_key *key)
{
	const char *why = NULL;
	struct login *l = NULL;
	int64_t age_us = 0;

	pthread_mutex_lock(&b->lock);
	const enum auth_answer known = auth_cache_get(&b->cache, key, clock_us(), &age_us);
	if (known == AUTH_ANSWER_TEMPFAIL) {
		struct map_node *node = map_get(&b->under_way, span_make(key->b, sizeof key->b));
		l = node ? map_entry(node, struct login, node)
			 : login_start(b, key, id, secret_span(c->password), &why);
		if (l)
			c->impl = auth_job_join(&l->job, c->op.scope->loop, told, c);
	} else {
		b->stats.remembered++;
	}
	pthread_mutex_unlock(&b->lock);

	if (known == AUTH_ANSWER_RIGHT)
		c->identity = *id;
	if (known != AUTH_ANSWER_TEMPFAIL) {
		char text[64];
		snprintf(text, sizeof text, "as the KDC said %lld s ago", (long long)(age_us / 1000000));
		auth_kerberos_answer(c, known, text);
	} else if (!l) {
		auth_kerberos_answer(c, AUTH_ANSWER_TEMPFAIL, why);
	}
}
