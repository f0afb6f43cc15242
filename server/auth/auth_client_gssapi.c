/* auth/auth_client_gssapi.c - GSSAPI as a client: each step of auth_gss_client.h as a job, for a KDC may be asked.
 *
 * While a step runs, its context belongs to the job: if the exchange goes, the job takes it along when the call returns.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/auth_client_priv.h"
#include "base/check.h"
#include "base/mem.h"

struct gss_step {
	struct auth_job job;
	struct auth_credential *credential;
	char host[256];
	struct auth_gss_client *gss; /* NULL: the first step makes it */
	struct buf in, out;
	int status;
	struct errtext why;
};

static const char *text_or_null(struct span s)
{
	return s.n ? s.p : NULL; /* spans of a credential are NUL-terminated */
}

static void step_run(struct auth_job *j, void **mine)
{
	struct gss_step *s = container_of(j, struct gss_step, job);
	const struct auth_credential_config *cfg = &s->credential->cfg;

	(void)mine;
	if (!s->gss) {
		const struct auth_gss_client_config config = {
			.host = s->host,
			.realm = text_or_null(cfg->realm),
			.principal = text_or_null(cfg->principal),
			.keytab = text_or_null(cfg->keytab),
			.ccache = text_or_null(cfg->ccache),
			.authzid = text_or_null(cfg->authzid),
		};
		s->status = auth_gss_client_new(&config, &s->gss, &s->why);
		if (s->status < 0)
			return;
	}
	s->status = auth_gss_client_step(s->gss, buf_span(&s->in), &s->out, &s->why);
}

static void step_free(struct auth_job *j)
{
	struct gss_step *s = container_of(j, struct gss_step, job);

	auth_gss_client_free(&s->gss);
	auth_credential_unref(&s->credential);
	buf_wipe(&s->in);
	buf_wipe(&s->out);
	free(s);
}

static enum auth_client_said settle(struct auth_client_state *st, struct gss_step *s)
{
	if (s->status < 0)
		return auth_client_fail(
			st, s->status == -ERR_DENIED || s->status == -ERR_NOTFOUND || s->status == -ERR_INVAL,
			"AUTH GSSAPI: %s", s->why.s);
	st->gss = s->gss;
	s->gss = NULL;
	st->gss_done = s->status > 0;
	buf_reset(&st->out);
	buf_add_span(&st->out, buf_span(&s->out));
	return AUTH_CLIENT_SAID;
}

static void on_step(struct auth_asker *a)
{
	struct auth_client_state *st = a->arg;

	st->asker = NULL; /* it goes behind this */
	auth_client_go_on(st, settle(st, container_of(a->job, struct gss_step, job)));
}

static enum auth_client_said start_step(struct auth_client_state *st, struct span in)
{
	const struct span host = st->x->channel.host;
	enum auth_client_said said = AUTH_CLIENT_WAITS;

	if (!host.n || host.n >= sizeof((struct gss_step *)0)->host)
		return auth_client_fail(st, true,
					"AUTH GSSAPI: the server has no name that a ticket could be for");
	struct gss_step *s = mem_alloc(sizeof *s);
	struct auth_job *job = &s->job;
	auth_job_init(job, st->x->credential->services->pool, step_run, step_free);
	s->credential = auth_credential_ref(st->x->credential);
	memcpy(s->host, host.p, host.n);
	s->in = BUF_INIT(AUTH_CLIENT_OUT_MAX);
	s->out = BUF_INIT(AUTH_CLIENT_OUT_MAX);
	buf_add_span(&s->in, in);
	s->gss = st->gss;
	st->gss = NULL;
	s->status = -ERR_CANCELED; /* a pool that goes does not run it */
	st->waiting_for = "getting a ticket";
	st->asker = auth_job_join(job, st->loop, on_step, st);
	if (auth_pool_start(job) < 0) {
		auth_asker_leave(&st->asker);
		said = auth_client_fail(st, false, "AUTH GSSAPI: too many logins at a time");
	}
	auth_job_unref(&job);
	return said;
}

static enum auth_client_said gssapi_begin(struct auth_client_state *st)
{
	return start_step(st, SPAN(""));
}

static enum auth_client_said gssapi_challenge(struct auth_client_state *st, struct span in)
{
	if (st->gss_done)
		return auth_client_fail(st, false,
					"AUTH GSSAPI: the server asks for more than the mechanism has");
	return start_step(st, in);
}

static bool gssapi_proven(struct auth_client_state *st)
{
	if (st->gss_done)
		return true;
	auth_client_fail(st, true, "AUTH GSSAPI: the server let us in without proving itself");
	return false;
}

static bool gssapi_leave(struct auth_client_state *st)
{
	auth_asker_leave(&st->asker);
	return true;
}

static void gssapi_deinit(struct auth_client_state *st)
{
	auth_gss_client_free(&st->gss);
}

const struct auth_client_how auth_client_gssapi = {
	.begin = gssapi_begin,
	.challenge = gssapi_challenge,
	.proven = gssapi_proven,
	.leave = gssapi_leave,
	.deinit = gssapi_deinit,
};
