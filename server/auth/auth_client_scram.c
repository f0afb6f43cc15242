/* auth/auth_client_scram.c - SCRAM-SHA-256 and SCRAM-SHA-256-PLUS as a client: auth_scram.h's messages, with the password's key
 * derived on a thread of the pool and kept, for a server's salt is the same each time.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/auth_client_priv.h"
#include "auth/auth_saslprep.h"
#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_digest.h"

/* Lives as long as the thread or the exchange wants it. */
struct salting {
	struct auth_job job;
	struct secret password; /* prepared */
	uint8_t salt[AUTH_SCRAM_SALT_MAX];
	size_t nsalt;
	uint32_t iterations;
	uint8_t salted[AUTH_SCRAM_KEY];
	int status;
};

static void salting_run(struct auth_job *j, void **mine)
{
	struct salting *s = container_of(j, struct salting, job);

	(void)mine;
	s->status = auth_scram_salted(secret_span(&s->password), span_make(s->salt, s->nsalt), s->iterations,
				      s->salted);
}

static void salting_free(struct auth_job *j)
{
	struct salting *s = container_of(j, struct salting, job);

	secret_deinit(&s->password);
	tls_wipe(s->salted, sizeof s->salted);
	free(s);
}

/* ---- the messages -------------------------------------------------------------------------------------------------- */

/* RFC 5802 section 5.1 wants both prepared. */
static int prepare(struct span in, struct buf *out)
{
	buf_reset(out);
	buf_reserve(out, in.n);
	return auth_saslprep(in, out);
}

static int prepare_password(struct auth_client_state *st)
{
	struct secret raw = { 0 };
	struct buf prepared = BUF_INIT(SECRET_MAX);

	auth_credential_password(st->x->credential, &raw);
	const int err = prepare(secret_span(&raw), &prepared);
	if (err == 0)
		secret_set(&st->password, buf_span(&prepared));
	buf_wipe(&prepared);
	secret_deinit(&raw);
	return err;
}

static enum auth_client_said scram_begin(struct auth_client_state *st)
{
	struct auth_scram_hello hello = { .binding = AUTH_SCRAM_BINDING_NONE };
	struct buf user = BUF_INIT(AUTH_USER_MAX);
	char nonce[AUTH_SCRAM_NONCE];

	if (prepare_password(st) < 0 || prepare(st->x->credential->cfg.user, &user) < 0) {
		buf_free(&user);
		return auth_client_fail(
			st, true,
			"AUTH %s: the password or the user's name is empty or has characters that SCRAM cannot "
			"have; mechanisms = { \"PLAIN\" } sends them as they are",
			st->x->mech);
	}
	hello.user = buf_span(&user);
	hello.authzid = st->x->credential->cfg.authzid;
	const struct span type =
		auth_client_binding(&st->x->channel, st->binding, sizeof st->binding, &st->nbinding);
	if (st->mech == AUTH_CLIENT_MECH_SCRAM_SHA_256_PLUS) {
		hello.binding = AUTH_SCRAM_BINDING_USED;
		hello.binding_type = type;
	} else if (st->nbinding && auth_credential_mechs(st->x->credential) &
					   UINT32_C(1) << AUTH_CLIENT_MECH_SCRAM_SHA_256_PLUS) {
		/* We could, and were not offered it: a server that did offer it learns that somebody is between us. */
		hello.binding = AUTH_SCRAM_BINDING_UNKNOWN;
	}
	if (hello.binding != AUTH_SCRAM_BINDING_USED)
		st->nbinding = 0;
	auth_scram_nonce(nonce);
	buf_reset(&st->out);
	const int err = auth_scram_client_first(&st->scram, &hello, span_make(nonce, sizeof nonce), &st->out);
	buf_free(&user);
	return err < 0 ? auth_client_fail(st, true, "AUTH %s: the names are too long", st->x->mech)
		       : AUTH_CLIENT_SAID;
}

static enum auth_client_said final(struct auth_client_state *st, const uint8_t salted[AUTH_SCRAM_KEY])
{
	buf_reset(&st->out);
	buf_reserve(&st->out, AUTH_SCRAM_MESSAGE_MAX);
	st->scram_at = AUTH_CLIENT_SCRAM_FINAL;
	if (auth_scram_client_final(&st->scram, salted, span_make(st->binding, st->nbinding), &st->out) < 0)
		return auth_client_fail(st, false, "AUTH %s: the server's message is too long", st->x->mech);
	return AUTH_CLIENT_SAID;
}

static void on_salted(struct auth_asker *a)
{
	struct auth_client_state *st = a->arg;
	struct salting *s = container_of(a->job, struct salting, job);
	uint8_t salted[AUTH_SCRAM_KEY];
	const int status = s->status;

	st->asker = NULL; /* it goes behind this */
	memcpy(salted, s->salted, sizeof salted);
	if (status == 0)
		auth_credential_keep_salted(st->x->credential, &s->password, span_make(s->salt, s->nsalt),
					    s->iterations, salted);
	auth_client_go_on(st, status == 0 ? final(st, salted)
					  : auth_client_fail(st, false, "AUTH %s: the key cannot be derived",
							     st->x->mech));
	tls_wipe(salted, sizeof salted);
}

static enum auth_client_said start_salting(struct auth_client_state *st)
{
	struct salting *s = mem_alloc(sizeof *s);
	struct auth_job *job = &s->job;
	enum auth_client_said said = AUTH_CLIENT_WAITS;

	auth_job_init(job, st->x->credential->services->pool, salting_run, salting_free);
	job->urgent = true; /* it always ends soon, unlike a ticket's */
	secret_set(&s->password, secret_span(&st->password));
	memcpy(s->salt, st->salt.p, st->salt.n);
	s->nsalt = st->salt.n;
	s->iterations = st->iterations;
	s->status = -ERR_CANCELED; /* a pool that goes does not run it */
	st->waiting_for = "deriving the key";
	st->asker = auth_job_join(job, st->loop, on_salted, st);
	if (auth_pool_start(job) < 0) {
		auth_asker_leave(&st->asker);
		said = auth_client_fail(st, false, "AUTH %s: too many logins at a time", st->x->mech);
	}
	auth_job_unref(&job);
	return said;
}

static enum auth_client_said first_challenge(struct auth_client_state *st, struct span in)
{
	uint8_t salted[AUTH_SCRAM_KEY];

	buf_reset(&st->salt);
	const int err = auth_scram_client_challenge(&st->scram, in, &st->salt, &st->iterations);
	if (err < 0 || !st->salt.n || st->salt.n > AUTH_SCRAM_SALT_MAX)
		return auth_client_fail(
			st, err == -ERR_UNSUPPORTED, "AUTH %s: the server's challenge: %s", st->x->mech,
			err == -ERR_DENIED ? "the nonce is not ours"
			: err == -ERR_UNSUPPORTED
				? "its iterations are too few or too many, or it wants an extension"
				: "it is malformed");
	if (!auth_credential_salted(st->x->credential, buf_span(&st->salt), st->iterations, salted))
		return start_salting(st);
	const enum auth_client_said said = final(st, salted);
	tls_wipe(salted, sizeof salted);
	return said;
}

static enum auth_client_said scram_challenge(struct auth_client_state *st, struct span in)
{
	struct span why = SPAN("it is malformed");

	switch (st->scram_at) {
	case AUTH_CLIENT_SCRAM_FIRST:
		return first_challenge(st, in);
	case AUTH_CLIENT_SCRAM_FINAL:
		if (auth_scram_client_verify(&st->scram, in, &why) < 0)
			return auth_client_fail(st, true, "AUTH %s: the server's last message: %.*s",
						st->x->mech, SPAN_ARG(span_first(why, 100)));
		st->scram_at = AUTH_CLIENT_SCRAM_PROVEN;
		buf_reset(&st->out);
		return AUTH_CLIENT_SAID; /* an empty line */
	case AUTH_CLIENT_SCRAM_PROVEN:
		break;
	}
	return auth_client_fail(st, false, "AUTH %s: the server asks for more than the mechanism has",
				st->x->mech);
}

static bool scram_proven(struct auth_client_state *st)
{
	if (st->scram_at == AUTH_CLIENT_SCRAM_PROVEN)
		return true;
	auth_client_fail(st, true, "AUTH %s: the server let us in without proving that it knows the password",
			 st->x->mech);
	return false;
}

static bool scram_leave(struct auth_client_state *st)
{
	auth_asker_leave(&st->asker);
	return true;
}

const struct auth_client_how auth_client_scram = {
	.begin = scram_begin,
	.challenge = scram_challenge,
	.proven = scram_proven,
	.leave = scram_leave,
};
