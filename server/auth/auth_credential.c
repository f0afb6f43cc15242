#include "auth/auth_credential.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_client_priv.h"
#include "base/check.h"
#include "base/mem.h"
#include "tls/tls_digest.h"

enum { CONFIG_MEM_MAX = 64 * 1024 };

static const char *const mech_names[] = {
#define X(name, text) text,
	AUTH_CLIENT_MECH_MAP(X)
#undef X
};

const char *auth_client_mech_name(enum auth_client_mech mech)
{
	return verify((size_t)mech < ARRAY_LEN(mech_names)) ? mech_names[mech] : "?";
}

int auth_client_mech_parse(struct span name, enum auth_client_mech *mech_r)
{
	for (size_t i = 0; i < ARRAY_LEN(mech_names); i++) {
		if (span_ieq(name, span_of(mech_names[i]))) {
			*mech_r = (enum auth_client_mech)i;
			return 0;
		}
	}
	return -ERR_NOTFOUND;
}

/* ---- what it can do -------------------------------------------------------------------------------------------- */

static uint32_t bit(enum auth_client_mech mech)
{
	return UINT32_C(1) << mech;
}

bool auth_credential_has_password(const struct auth_credential *c)
{
	return c->cfg.password_path.n || c->cfg.password_variable.n;
}

static uint32_t able(const struct auth_credential *c)
{
	uint32_t mechs = 0;

	if (auth_credential_has_password(c))
		mechs |= bit(AUTH_CLIENT_MECH_SCRAM_SHA_256_PLUS) | bit(AUTH_CLIENT_MECH_SCRAM_SHA_256) |
			 bit(AUTH_CLIENT_MECH_PLAIN) | bit(AUTH_CLIENT_MECH_LOGIN);
	if (c->token)
		mechs |= bit(AUTH_CLIENT_MECH_OAUTHBEARER) | bit(AUTH_CLIENT_MECH_XOAUTH2);
	if (c->cfg.gssapi)
		mechs |= bit(AUTH_CLIENT_MECH_GSSAPI);
	return mechs;
}

uint32_t auth_credential_mechs(const struct auth_credential *c)
{
	return able(c) & (c->cfg.mechs ? c->cfg.mechs : UINT32_MAX);
}

/* ---- secrets ----------------------------------------------------------------------------------------------------- */

void auth_credential_password(struct auth_credential *c, struct secret *password_r)
{
	pthread_mutex_lock(&c->lock);
	secret_set(password_r, secret_source_span(&c->password));
	pthread_mutex_unlock(&c->lock);
}

bool auth_credential_salted(struct auth_credential *c, struct span salt, uint32_t iterations,
			    uint8_t salted_r[AUTH_SCRAM_KEY])
{
	pthread_mutex_lock(&c->lock);
	const bool have =
		c->nsalt && c->iterations == iterations && span_eq(salt, span_make(c->salt, c->nsalt));
	if (have)
		memcpy(salted_r, c->salted, AUTH_SCRAM_KEY);
	pthread_mutex_unlock(&c->lock);
	return have;
}

void auth_credential_keep_salted(struct auth_credential *c, const struct secret *password, struct span salt,
				 uint32_t iterations, const uint8_t salted[AUTH_SCRAM_KEY])
{
	pthread_mutex_lock(&c->lock);
	if (salt.n && salt.n <= sizeof c->salt && secret_eq(password, secret_source_span(&c->password))) {
		memcpy(c->salt, salt.p, salt.n);
		memcpy(c->salted, salted, AUTH_SCRAM_KEY);
		c->nsalt = salt.n;
		c->iterations = iterations;
	}
	pthread_mutex_unlock(&c->lock);
}

/* Under the lock, or before anybody knows it. */
static int read_password(struct auth_credential *c, struct errtext *e)
{
	const int r = secret_source_refresh(&c->password, e);

	if (r > 0) {
		tls_wipe(c->salted, sizeof c->salted);
		c->nsalt = 0;
	}
	return r;
}

int auth_credential_refresh(struct auth_credential *c, struct errtext *e)
{
	pthread_mutex_lock(&c->lock);
	const int password = read_password(c, e);
	pthread_mutex_unlock(&c->lock);
	if (password < 0 || !c->token)
		return password;
	const int token = auth_token_refresh(c->token, e);
	return token < 0 ? token : password || token;
}

bool auth_credential_is_exposed(struct auth_credential *c)
{
	pthread_mutex_lock(&c->lock);
	const bool exposed = c->password.exposed;
	pthread_mutex_unlock(&c->lock);
	return exposed;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static void copy_config(struct auth_credential *c, const struct auth_credential_config *cfg)
{
	struct span *const texts[] = { &c->cfg.name,          &c->cfg.user,   &c->cfg.authzid,
				       &c->cfg.password_path, &c->cfg.keytab, &c->cfg.password_variable,
				       &c->cfg.ccache,        &c->cfg.realm,  &c->cfg.principal };

	c->cfg = *cfg;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		*texts[i] = arena_dup(c->mem, *texts[i]);
		require(texts[i]->p);
	}
}

/* The octets that separate names and secrets in one mechanism or another. */
static bool is_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return s.n < AUTH_USER_MAX;
}

static int check(const struct auth_credential *c, struct errtext *e)
{
	if (!is_name(c->cfg.user) || !is_name(c->cfg.authzid))
		return errtext_set(e, ERR_INVAL, "the user's name is too long or has a control character");
	if (!able(c))
		return errtext_set(e, ERR_INVAL,
				   "there is nothing to log in with: password, token or gssapi is missing");
	if (!auth_credential_mechs(c))
		return errtext_set(e, ERR_INVAL, "none of the mechanisms can work with what is given");
	if (!c->cfg.user.n && !c->cfg.gssapi)
		return errtext_set(e, ERR_INVAL, "user is missing");
	const struct span password = secret_source_span(&c->password);
	if (password.n && memchr(password.p, 0, password.n))
		return errtext_set(e, ERR_INVAL, "the password has a NUL in it");
	return 0;
}

static void destroy(struct auth_credential *c)
{
	auth_token_unref(&c->token);
	auth_services_unref(&c->services);
	secret_source_deinit(&c->password);
	tls_wipe(c->salted, sizeof c->salted);
	pthread_mutex_destroy(&c->lock);
	arena_free(&c->mem);
	free(c);
}

int auth_credential_new(const struct auth_credential_config *cfg, struct auth_services *services,
			struct auth_credential **c_r, struct errtext *e)
{
	struct auth_credential *c = mem_alloc(sizeof *c);

	atomic_init(&c->refs, 1);
	c->mem = arena_new(CONFIG_MEM_MAX);
	copy_config(c, cfg);
	c->services = auth_services_ref(services);
	c->token = cfg->token ? auth_token_ref(cfg->token) : NULL;
	require(pthread_mutex_init(&c->lock, NULL) == 0);
	secret_source_init(&c->password, c->cfg.password_path, c->cfg.password_variable);
	int r = read_password(c, e);
	if (r >= 0)
		r = check(c, e);
	if (r < 0) {
		destroy(c);
		return r;
	}
	*c_r = c;
	return 0;
}

struct auth_credential *auth_credential_ref(struct auth_credential *c)
{
	require(atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed) > 0);
	return c;
}

void auth_credential_unref(struct auth_credential **cp)
{
	struct auth_credential *c = *cp;

	*cp = NULL;
	if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
		destroy(c);
}

void auth_credential_inherit(struct auth_credential *c, const struct auth_credential *before)
{
	if (!c->token || !before->token || c->token == before->token ||
	    !auth_token_same(c->token, before->token))
		return;
	auth_token_unref(&c->token);
	c->token = auth_token_ref(before->token);
}

struct span auth_credential_name(const struct auth_credential *c)
{
	return c->cfg.name;
}

struct span auth_credential_user(const struct auth_credential *c)
{
	return c->cfg.user.n ? c->cfg.user : c->cfg.principal;
}

struct auth_token *auth_credential_token(const struct auth_credential *c)
{
	return c->token;
}

bool auth_credential_allows_unverified(const struct auth_credential *c)
{
	return c->cfg.allow_unverified;
}
