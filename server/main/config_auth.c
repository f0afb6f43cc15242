/* main/config_auth.c - authentication of clients: the places where passwords are checked, made once for all listeners that name
 * them, and what each listener offers.
 */
#include "auth/auth_gssapi.h"
#include "auth/auth_kerberos.h"
#include "auth/auth_saslauthd.h"
#include "auth/auth_sasldb.h"
#include "auth/auth_users.h"
#include "main/config_priv.h"

/* A place that was made, or could not be. */
struct made {
	struct list link;
	struct span name;
	struct auth_backend *backend; /* NULL: a problem was said, or it is another kind of thing */
	struct auth_gssapi *gssapi;
};

/* NULL for what was not said. */
static const char *text_or_null(const struct config_value *v, const char *key)
{
	const struct span s = config_span(v, key);

	return s.n ? s.p : NULL;
}

static const struct config_value *place_of(const struct config_build *b, const char *option)
{
	const struct config_value *v = config_get(b->root, option);

	return v ? v : b->root;
}

/* ---- Kerberos ------------------------------------------------------------------------------------------------------- */

static const char *service_of(struct config_build *b, const struct config_value *v)
{
	const struct span hostname = config_span(b->root, "hostname");
	const char *said = text_or_null(v, "service");

	return said ? said : config_printf(b, "smtp/%.*s", SPAN_ARG(hostname));
}

/* 0s is "not at all" for the operator, and "the default" there. */
static int64_t or_never(int64_t us)
{
	return us ? us : -1;
}

static int make_kerberos(struct config_build *b, struct made *m, struct errtext *e)
{
	const struct config_value *v = config_get(b->root, "kerberos");
	const struct auth_kerberos_config cfg = {
		.realm = text_or_null(v, "realm"),
		.service = service_of(b, v),
		.keytab = text_or_null(v, "keytab"),
		.krb5_conf = text_or_null(v, "krb5_conf"),
		.allow = text_or_null(v, "allow"),
		.timeout_us = config_us(v, "timeout"),
		.threads = config_u32(v, "threads"),
		.queue_max = config_u32(v, "queue"),
		.cache_right_us = or_never(config_us(v, "remember")),
		.cache_refused_us = or_never(config_us(v, "remember_wrong")),
	};

	config_warn_if_public(b, config_get(v, "keytab"), config_span(v, "keytab"), "the keytab");
	return auth_kerberos_new(&cfg, &m->backend, e);
}

static int refresh_gssapi(void *thing, struct errtext *e)
{
	return auth_gssapi_refresh(thing, e);
}

static void release_gssapi(void *thing)
{
	struct auth_gssapi *g = thing;

	auth_gssapi_free(&g);
}

static int make_gssapi(struct config_build *b, struct made *m, struct errtext *e)
{
	const struct config_value *v = config_get(b->root, "kerberos"), *realms = config_get(v, "realms");
	struct auth_gssapi_config cfg = {
		.keytab = text_or_null(v, "keytab"),
		.realm = text_or_null(v, "realm"),
		.replay_cache = text_or_null(v, "replay_cache"),
		.allow = text_or_null(v, "allow"),
	};

	for (size_t i = 0; i < config_count(realms) && i < AUTH_GSSAPI_REALMS_MAX; i++)
		cfg.realms[cfg.nrealms++] = config_text(config_at(realms, i), SPAN("")).p;
	const int err = auth_gssapi_new(&cfg, &m->gssapi, e);
	if (err == 0)
		config_keep(b, &(struct config_kept){ .kind = CONFIG_KEPT_BACKEND,
						      .name = m->name,
						      .file = config_span(v, "keytab"),
						      .thing = m->gssapi,
						      .refresh = refresh_gssapi,
						      .release = release_gssapi });
	return err;
}

/* ---- our own ---- */

static int make_users(struct config_build *b, struct made *m, struct errtext *e)
{
	const struct config_value *v = config_get(b->root, "users");
	const struct auth_users_config cfg = { .file = config_span(v, "file") };

	config_warn_if_public(b, config_get(v, "file"), cfg.file, "the file of users");
	return auth_users_new(&cfg, &m->backend, e);
}

/* ---- Cyrus SASL ------------------------------------------------------------------------------------------------------- */

static void warn_lines(struct config_build *b, const struct config_value *at, const struct buf *lines)
{
	struct span rest = buf_span(lines);

	while (rest.p) {
		const struct span line = span_cut(&rest, '\n');
		if (line.n)
			config_problem_add(b->problems, true, at->file, at->line, "%.*s", SPAN_ARG(line));
	}
}

static int make_sasldb(struct config_build *b, struct made *m, struct errtext *e)
{
	const struct config_value *v = config_get(b->root, "sasldb");
	const struct auth_sasldb_config cfg = { .path = config_span(v, "path"),
						.realm = config_span(v, "realm"),
						.appname = config_span(v, "appname") };
	struct buf warnings = BUF_INIT(16 * 1024);

	const int err = auth_sasldb_new(&cfg, &m->backend, e);
	if (err == 0) {
		auth_sasldb_warnings(&cfg, &warnings);
		warn_lines(b, v, &warnings);
		config_warn_if_public(b, v, cfg.path, "the file of passwords");
	}
	buf_free(&warnings);
	return err;
}

static int make_saslauthd(struct config_build *b, struct made *m, struct errtext *e)
{
	const struct config_value *v = config_get(b->root, "saslauthd");
	const struct auth_saslauthd_config cfg = { .socket = config_span(v, "socket"),
						   .service = config_span(v, "service"),
						   .realm = config_span(v, "realm") };

	return auth_saslauthd_new(&cfg, &m->backend, e);
}

/* ---- all -------------------------------------------------------------------------------------------------------------- */

static const struct maker {
	const char *name;   /* in `auth` */
	const char *option; /* of the file, where it is described */
	int (*make)(struct config_build *b, struct made *m, struct errtext *e);
} makers[] = {
	{ "kerberos", "kerberos", make_kerberos },
	{ "gssapi", "kerberos", make_gssapi },
	{ "users", "users", make_users },
	{ "sasldb", "sasldb", make_sasldb },
	{ "saslauthd", "saslauthd", make_saslauthd },
};

static int refresh_backend(void *thing, struct errtext *e)
{
	struct auth_backend *backend = thing;

	return backend->ops->refresh ? backend->ops->refresh(backend, e) : 0;
}

static void release_backend(void *thing)
{
	struct auth_backend *backend = thing;

	backend->ops->free(backend);
}

static struct made *make(struct config_build *b, const struct maker *how)
{
	struct made *m = config_alloc(b, 1, sizeof *m);
	struct errtext e = { "" };

	m->name = span_of(how->name);
	list_push_back(&b->auth_made, &m->link);
	if (how->make(b, m, &e) < 0)
		config_complain(b, place_of(b, how->option), "%s: %s", how->option, e.s);
	else if (m->backend)
		config_keep(b, &(struct config_kept){ .kind = CONFIG_KEPT_BACKEND,
						      .name = m->name,
						      .thing = m->backend,
						      .refresh = refresh_backend,
						      .release = release_backend });
	return m;
}

/* NULL: it needs none of its own ("external"). */
static struct made *find_or_make(struct config_build *b, struct span name)
{
	list_for_each(it, &b->auth_made) {
		struct made *m = list_entry(it, struct made, link);
		if (span_eq(m->name, name))
			return m;
	}
	for (size_t i = 0; i < ARRAY_LEN(makers); i++)
		if (span_eq(span_of(makers[i].name), name))
			return make(b, &makers[i]);
	return NULL;
}

/* ---- of a listener ---------------------------------------------------------------------------------------------------- */

/* Without a list of them: all but EXTERNAL, which has to be named in `auth`. auth_offered() leaves out what cannot work. */
static uint32_t mechanisms_of(const struct config_value *listener)
{
	const struct config_value *list = config_get(listener, "auth_mechanisms"),
				  *auth = config_get(listener, "auth");
	uint32_t bits = list ? 0 : (UINT32_C(1) << AUTH_MECH_MAX_) - 1;
	bool external = false;

	for (size_t i = 0; i < config_count(list); i++) {
		enum auth_mech mech;
		if (auth_mech_parse(config_text(config_at(list, i), SPAN("")), &mech) == 0)
			bits |= UINT32_C(1) << mech;
	}
	for (size_t i = 0; i < config_count(auth); i++)
		external = external || span_eq(config_text(config_at(auth, i), SPAN("")), SPAN("external"));
	return external ? bits : bits & ~(UINT32_C(1) << AUTH_MECH_EXTERNAL);
}

static const struct auth_server *server_of(struct config_build *b, const struct config_value *listener)
{
	const struct config_value *auth = config_get(listener, "auth");
	struct auth_server *s = config_alloc(b, 1, sizeof *s);

	for (size_t i = 0; i < config_count(auth); i++) {
		const struct made *m = find_or_make(b, config_text(config_at(auth, i), SPAN("")));
		if (m && m->gssapi)
			s->gssapi = m->gssapi;
		if (m && m->backend && s->nbackends < AUTH_BACKENDS_MAX)
			s->backend[s->nbackends++] = m->backend;
	}
	s->mechs = mechanisms_of(listener);
	if (config_count(config_get(listener, "auth_clear_from")))
		s->clear_mechs = s->mechs;
	return s;
}

static struct bans_rules bans_of(struct config_build *b, const struct config_value *v)
{
	return (struct bans_rules){ .failures_max = config_u32(v, "per_address"),
				    .user_failures_max = config_u32(v, "per_user"),
				    .find_us = config_us(v, "within"),
				    .ban_us = config_us(v, "ban"),
				    .never = config_networks(b, config_get(v, "never")) };
}

struct session_auth_config config_auth(struct config_build *b, const struct config_value *listener)
{
	const struct config_value *failures = config_get(listener, "auth_failures");
	struct session_auth_config c = { .required =
						 config_bool(config_get(listener, "auth_required"), false) };

	if (!config_count(config_get(listener, "auth")))
		return c;
	c.server = server_of(b, listener);
	c.clear_from = config_networks(b, config_get(listener, "auth_clear_from"));
	c.old_clients = config_bool(config_get(listener, "auth_old_clients"), false);
	c.failures_max = config_u32(failures, "per_connection");
	c.failure_delay_us = config_us(failures, "delay");
	c.timeout_us = config_us(listener, "auth_timeout");
	c.bans = bans_of(b, failures);
	return c;
}
