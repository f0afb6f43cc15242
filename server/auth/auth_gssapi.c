#include "auth/auth_gssapi.h"

#include <krb5.h>
#include <stdlib.h>

#include "auth/auth_gssapi_priv.h"
#include "base/mem.h"

/* Not for the configured principal alone: libkrb5 1.20 leaks a little whenever it finds no key for a name. What a client's
 * ticket is for is compared when it is there. */
OM_uint32 auth_gssapi_credential(struct auth_gssapi *g, OM_uint32 *minor, gss_cred_id_t *cred_r)
{
	const struct auth_gss_store store = { .keytab = g->keytab, .rcache = g->replay_cache };

	return auth_gss_acquire(minor, GSS_C_NO_NAME, GSS_C_ACCEPT, &store, cred_r);
}

static bool has_key(const char *keytab_name, const char *principal_name)
{
	krb5_context ctx;
	krb5_principal principal = NULL;
	krb5_keytab keytab = NULL;
	krb5_keytab_entry entry;
	bool found = false;

	if (krb5_init_context(&ctx))
		return false;
	if (!krb5_parse_name(ctx, principal_name, &principal) && !krb5_kt_resolve(ctx, keytab_name, &keytab))
		found = !krb5_kt_get_entry(ctx, keytab, principal, 0, 0, &entry);
	if (found)
		krb5_free_keytab_entry_contents(ctx, &entry);
	if (keytab)
		krb5_kt_close(ctx, keytab);
	krb5_free_principal(ctx, principal);
	krb5_free_context(ctx);
	return found;
}

int auth_gssapi_refresh(struct auth_gssapi *g, struct errtext *e)
{
	gss_cred_id_t cred = GSS_C_NO_CREDENTIAL;
	OM_uint32 minor, ignored;
	const OM_uint32 major = auth_gssapi_credential(g, &minor, &cred);
	char why[sizeof e->s];

	gss_release_cred(&ignored, &cred);
	if (GSS_ERROR(major)) {
		auth_gss_say(major, minor, g->keytab, why, sizeof why);
		return errtext_set(e, ERR_NOTFOUND, "gssapi: %.200s", why);
	}
	if (g->principal && !has_key(g->keytab, g->principal))
		return errtext_set(e, ERR_NOTFOUND, "gssapi: %.100s has no key of %.100s", g->keytab,
				   g->principal);
	return 0;
}

static char *copy_of(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

int auth_gssapi_new(const struct auth_gssapi_config *c, struct auth_gssapi **g_r, struct errtext *e)
{
	struct auth_gssapi *g = mem_alloc(sizeof *g);

	g->keytab = mem_strdup(c->keytab);
	g->service = mem_strdup(c->service ? c->service : "smtp");
	g->principal = copy_of(c->principal);
	g->realm = copy_of(c->realm);
	g->replay_cache = copy_of(c->replay_cache);
	for (; g->nrealms < c->nrealms && g->nrealms < AUTH_GSSAPI_REALMS_MAX; g->nrealms++)
		g->realms[g->nrealms] = mem_strdup(c->realms[g->nrealms]);
	g->pool =
		work_pool_new("gssapi", c->threads ? c->threads : AUTH_GSSAPI_THREADS, AUTH_GSSAPI_QUEUE_MAX);
	int err = auth_pattern_set(&g->allow, c->allow, e);
	if (err)
		errtext_wrap(e, "gssapi");
	else
		err = auth_gssapi_refresh(g, e);
	if (err) {
		auth_gssapi_free(&g);
		return err;
	}
	*g_r = g;
	return 0;
}

void auth_gssapi_free(struct auth_gssapi **gp)
{
	struct auth_gssapi *g = *gp;

	if (!g)
		return;
	*gp = NULL;
	work_pool_free(&g->pool);
	auth_pattern_deinit(&g->allow);
	for (unsigned i = 0; i < g->nrealms; i++)
		free(g->realms[i]);
	free(g->keytab);
	free(g->service);
	free(g->principal);
	free(g->realm);
	free(g->replay_cache);
	free(g);
}
