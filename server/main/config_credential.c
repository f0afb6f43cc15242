/* main/config_credential.c - how routes log in: `auth` and `auth_by_sender`, with passwords, tokens and tickets.
 *
 * The tree says where secrets are, never what they are. Routes that say the same about a token share its source, so that one fetch
 * does for all.
 */
#include "auth/auth_credential.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "main/config_priv.h"

static const char MICROSOFT_SEND[] = "https://outlook.office365.com/.default";
static const char MICROSOFT_PERSON[] = "https://outlook.office.com/SMTP.Send offline_access";
static const char GOOGLE_URL[] = "https://oauth2.googleapis.com/token";

struct config_credential {
	struct list link; /* in cfg->credentials_ */
	struct auth_credential *credential;
	char *said; /* what was told last, so that it is told once; config_refresh_secrets() alone changes it */
};

struct config_token {
	struct list link; /* in cfg->tokens_ */
	struct auth_token *token;
};

static void warn(struct config_build *b, const struct config_value *v, const char *text)
{
	config_problem_add(b->problems, true, v->file, v->line, "%s", text);
}

/* Container runtimes mount secrets like that, so it is no mistake. */
static void warn_exposed(struct config_build *b, const struct config_value *secret)
{
	config_problem_add(b->problems, true, secret->file, secret->line,
			   "secret \"%.*s\": everybody may read %.*s; chmod o-r it",
			   SPAN_ARG(config_span(secret, "name")), SPAN_ARG(config_span(secret, "path")));
}

static struct auth_services *services_of(struct config_build *b)
{
	if (!b->cfg->services_)
		b->cfg->services_ = auth_services_new();
	return b->cfg->services_;
}

static struct span path_of(const struct config_value *secret)
{
	return config_span(secret, "path");
}

static struct span variable_of(const struct config_value *secret)
{
	return config_span(secret, "variable");
}

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

static void microsoft(struct config_build *b, const struct config_value *v, struct auth_token_config *cfg)
{
	const struct span tenant = config_span(v, "tenant");

	cfg->provider = AUTH_PROVIDER_MICROSOFT;
	if (!tenant.n && !cfg->url.n)
		config_complain(b, v, "token.tenant is missing: the id or a domain of the tenant");
	if (span_find_char(tenant, '/') >= 0)
		config_complain(b, v, "token.tenant: \"%.*s\" is neither an id nor a domain",
				SPAN_ARG(tenant));
	if (!cfg->url.n) {
		cfg->url =
			arena_printf(b->cfg->mem_, "https://login.microsoftonline.com/%.*s/oauth2/v2.0/token",
				     SPAN_ARG(tenant));
		require(cfg->url.p);
	}
	if (!cfg->scope.n)
		cfg->scope = span_of(cfg->refresh_path.n || cfg->refresh_variable.n ? MICROSOFT_PERSON
										    : MICROSOFT_SEND);
}

static void google(struct config_build *b, const struct config_value *v, struct auth_token_config *cfg)
{
	cfg->provider = AUTH_PROVIDER_GOOGLE;
	if (!cfg->url.n)
		cfg->url = span_of(GOOGLE_URL);
	if (!cfg->refresh_path.n && !cfg->refresh_variable.n)
		config_complain(
			b, v, "token.refresh_token is missing: Google gives tokens for SMTP to persons only");
}

static void check_grant(struct config_build *b, const struct config_value *v,
			const struct auth_token_config *cfg)
{
	const bool person = cfg->refresh_path.n || cfg->refresh_variable.n;

	if (!cfg->url.n)
		config_complain(b, v, "token.url is missing");
	else if (!span_istarts(cfg->url, SPAN("https://")))
		config_complain(b, v, "token.url: it has to begin with https://, for secrets go there");
	if (!person && !cfg->secret_path.n && !cfg->secret_variable.n)
		config_complain(b, v, "token.client_secret is missing");
	if (cfg->keep && !cfg->refresh_path.n)
		config_complain(
			b, v, "token.keep_refresh_token: there is no file of a refresh token to be written");
	if (person && !cfg->keep && cfg->provider != AUTH_PROVIDER_GOOGLE)
		warn(b, v,
		     "token: a new refresh token that the provider gives is kept in memory and lost with a restart; "
		     "keep_refresh_token = true writes it into its file");
}

/* The same source again if there is one. */
static struct auth_token *shared(struct config_build *b, struct auth_token *t)
{
	list_for_each(link, &b->cfg->tokens_) {
		struct config_token *known = list_entry(link, struct config_token, link);
		if (auth_token_same(known->token, t)) {
			auth_token_unref(&t);
			return known->token;
		}
	}
	struct config_token *known = config_alloc(b, 1, sizeof *known);
	known->token = t;
	list_push_back(&b->cfg->tokens_, &known->link);
	return t;
}

/* Borrowed; NULL after a problem. */
static struct auth_token *build_token(struct config_build *b, const struct config_value *v)
{
	const struct config_value *secret = config_get(v, "client_secret"),
				  *refresh = config_get(v, "refresh_token");
	const size_t errors = b->problems->errors;
	struct auth_token_config cfg = {
		.url = config_span(v, "url"),
		.client_id = config_span(v, "client_id"),
		.scope = config_span(v, "scope"),
		.secret_path = path_of(secret),
		.secret_variable = variable_of(secret),
		.refresh_path = path_of(refresh),
		.refresh_variable = variable_of(refresh),
		.ca_file = config_span(v, "ca"),
		.proxy = config_span(v, "proxy"),
		.basic = config_bool(config_get(v, "basic"), false),
		.keep = config_bool(config_get(v, "keep_refresh_token"), false),
		.deadline_us = config_us(v, "timeout"),
	};
	struct auth_token *t = NULL;
	struct errtext why;

	if (config_is(v, "provider", "microsoft"))
		microsoft(b, v, &cfg);
	else if (config_is(v, "provider", "google"))
		google(b, v, &cfg);
	check_grant(b, v, &cfg);
	if (b->problems->errors > errors)
		return NULL;
	if (auth_token_new(&cfg, services_of(b), &t, &why) < 0) {
		config_complain(b, v, "token: %s", why.s);
		return NULL;
	}
	if (auth_token_exposes_secret(t))
		warn_exposed(b, secret);
	if (auth_token_exposes_refresh(t))
		warn_exposed(b, refresh);
	return shared(b, t);
}

/* ---- credentials --------------------------------------------------------------------------------------------------- */

static uint32_t mechs_of(const struct config_value *list)
{
	uint32_t mechs = 0;

	for (size_t i = 0; i < config_count(list); i++) {
		enum auth_client_mech mech;
		if (verify(auth_client_mech_parse(config_text(config_at(list, i), SPAN("")), &mech) == 0))
			mechs |= UINT32_C(1) << mech;
	}
	return mechs;
}

static void check_gssapi(struct config_build *b, const struct config_value *v,
			 const struct auth_credential_config *cfg)
{
	if (!cfg->keytab.n == !cfg->ccache.n)
		config_complain(b, v, "gssapi: give keytab or ccache, one of them");
}

static void check_ways(struct config_build *b, const struct config_value *v)
{
	const unsigned ways = (config_get(v, "password") != NULL) + (config_get(v, "token") != NULL);

	if (ways > 1)
		config_complain(b, v, "auth: a password and a token; give one of them");
}

/* Borrowed from the snapshot; NULL after a problem. */
static struct auth_credential *build(struct config_build *b, const struct config_value *v, struct span name,
				     bool unverified)
{
	const struct config_value *password = config_get(v, "password"), *token = config_get(v, "token"),
				  *gssapi = config_get(v, "gssapi");
	const size_t errors = b->problems->errors;
	struct auth_credential_config cfg = {
		.name = name,
		.user = config_span(v, "user"),
		.authzid = config_span(v, "act_as"),
		.password_path = path_of(password),
		.password_variable = variable_of(password),
		.gssapi = gssapi != NULL,
		.keytab = config_span(gssapi, "keytab"),
		.ccache = config_span(gssapi, "ccache"),
		.principal = config_span(gssapi, "principal"),
		.realm = config_span(gssapi, "realm"),
		.mechs = mechs_of(config_get(v, "mechanisms")),
		.allow_unverified = unverified,
	};
	struct auth_credential *c = NULL;
	struct errtext why;

	check_ways(b, v);
	if (gssapi)
		check_gssapi(b, gssapi, &cfg);
	if (token)
		cfg.token = build_token(b, token);
	if (b->problems->errors > errors)
		return NULL;
	if (auth_credential_new(&cfg, services_of(b), &c, &why) < 0) {
		config_complain(b, password ? password : v, "auth: %s", why.s);
		return NULL;
	}
	if (auth_credential_is_exposed(c))
		warn_exposed(b, password);
	struct config_credential *known = config_alloc(b, 1, sizeof *known);
	known->credential = c;
	known->said = config_alloc(b, 1, sizeof(struct errtext));
	list_push_back(&b->cfg->credentials_, &known->link);
	return c;
}

void config_build_auth(struct config_build *b, const struct config_value *v, struct route *r)
{
	const struct config_value *own = config_get(v, "auth"), *by_sender = config_get(v, "auth_by_sender");
	const size_t n = config_count(by_sender);

	if (own)
		r->auth = build(b, own, r->name, r->auth_unverified);
	if (!n)
		return;
	struct route_login *logins = config_alloc(b, n, sizeof *logins);
	for (size_t i = 0; i < n; i++) {
		const struct config_value *item = config_at(by_sender, i);
		logins[i].domain = config_span(item, "name");
		const struct span name = arena_printf(b->cfg->mem_, "%.*s, senders of %.*s",
						      SPAN_ARG(r->name), SPAN_ARG(logins[i].domain));
		require(name.p);
		logins[i].credential = build(b, item, name, r->auth_unverified);
	}
	r->by_sender = logins;
	r->nby_sender = n;
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

void config_credentials_free(struct config *cfg)
{
	struct list *link;

	while ((link = list_pop_front(&cfg->credentials_)))
		auth_credential_unref(&list_entry(link, struct config_credential, link)->credential);
	while ((link = list_pop_front(&cfg->tokens_)))
		auth_token_unref(&list_entry(link, struct config_token, link)->token);
	auth_services_unref(&cfg->services_);
}

void config_inherit(struct config *next, const struct config *now)
{
	list_for_each(new_link, &next->credentials_) {
		struct auth_credential *c = list_entry(new_link, struct config_credential, link)->credential;
		list_for_each(old_link, &now->credentials_)
			auth_credential_inherit(
				c, list_entry(old_link, struct config_credential, link)->credential);
	}
}

/* A new refresh token that could not be kept, tokens that cannot be had: the operator should know before the mail waits. */
static int token_trouble(struct auth_credential *c, struct errtext *why)
{
	struct auth_token_status status;

	if (!auth_credential_token(c))
		return 0;
	auth_token_status(auth_credential_token(c), 0, &status);
	return status.why[0] ? errtext_set(why, ERR_UNREACH, "%s", status.why) : 0;
}

static void tell(struct config_credential *known, int result, const struct errtext *why,
		 void (*told)(void *arg, struct span name, int result, const char *text), void *arg)
{
	const bool again = result < 0 && strcmp(known->said, why->s) == 0;

	(void)snprintf(known->said, sizeof why->s, "%s", result < 0 ? why->s : "");
	if (result != 0 && !again)
		told(arg, auth_credential_name(known->credential), result, why->s);
}

void config_refresh_secrets(const struct config *cfg,
			    void (*told)(void *arg, struct span name, int result, const char *text),
			    void *arg)
{
	list_for_each(link, &cfg->credentials_) {
		struct config_credential *known = list_entry(link, struct config_credential, link);
		struct errtext why = { "" };
		int r = auth_credential_refresh(known->credential, &why);
		if (r == 0)
			r = token_trouble(known->credential, &why);
		tell(known, r, &why, told, arg);
	}
}
