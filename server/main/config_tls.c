/* main/config_tls.c - TLS of listeners: what the configuration says becomes contexts, once for all listeners that say the same.
 *
 * The files are read here, so that `postern check` and a reload find what is wrong with them before anything is served.
 */
#include <sys/stat.h>

#include "main/config_priv.h"

/* A context that was made, or could not be. */
struct made {
	struct list link;
	struct tls_server_config cfg;
	struct tls_server *server; /* NULL: a problem was said */
};

static enum tls_version version_of(const struct config_value *v, const char *key)
{
	enum tls_version version = TLS_VERSION_DEFAULT;

	(void)tls_version_parse(config_span(v, key), &version);
	return version;
}

static enum tls_client_cert client_cert_of(const struct config_value *v)
{
	return config_is(v, "client_cert", "ask")       ? TLS_CLIENT_CERT_ASK
	       : config_is(v, "client_cert", "require") ? TLS_CLIENT_CERT_REQUIRE
							: TLS_CLIENT_CERT_NONE;
}

static bool same(const struct tls_server_config *a, const struct tls_server_config *b)
{
	if (a->ncerts != b->ncerts || a->min != b->min || a->max != b->max ||
	    !span_eq(a->ciphers, b->ciphers) || !span_eq(a->ciphersuites, b->ciphersuites) ||
	    a->security_level != b->security_level || a->client_cert != b->client_cert ||
	    !span_eq(a->client_ca, b->client_ca) || a->session_lifetime_s != b->session_lifetime_s)
		return false;
	for (size_t i = 0; i < a->ncerts; i++)
		if (!span_eq(a->certs[i].cert, b->certs[i].cert) ||
		    !span_eq(a->certs[i].key, b->certs[i].key))
			return false;
	return true;
}

/* Container runtimes mount secrets like that, so it is no more than a warning. */
void config_warn_if_public(struct config_build *b, const struct config_value *at, struct span path,
			   const char *what)
{
	struct stat st;

	if (path.n && stat(path.p, &st) == 0 && (st.st_mode & S_IROTH))
		config_problem_add(
			b->problems, true, at->file, at->line,
			"%s %.*s can be read by everybody on this host; chmod 640 and a group of its own will do",
			what, SPAN_ARG(path));
}

static struct tls_server_config read_config(struct config_build *b, const struct config_value *v)
{
	const struct config_value *certs = config_get(v, "certs");
	const size_t n = config_count(certs);
	struct tls_cert *list = config_alloc(b, n, sizeof *list);

	for (size_t i = 0; i < n; i++)
		list[i] = (struct tls_cert){ .cert = config_span(config_at(certs, i), "cert"),
					     .key = config_span(config_at(certs, i), "key") };
	return (struct tls_server_config){
		.certs = list,
		.ncerts = n,
		.min = version_of(v, "min"),
		.max = version_of(v, "max"),
		.ciphers = config_span(v, "ciphers"),
		.ciphersuites = config_span(v, "ciphersuites"),
		.security_level = (int)config_int(config_get(v, "security_level"), -1),
		.client_cert = client_cert_of(v),
		.client_ca = config_span(v, "client_ca"),
		.session_lifetime_s = (uint32_t)(config_us(v, "session_lifetime") / 1000000),
	};
}

/* ---- what the snapshot keeps ---------------------------------------------------------------------------------------- */

static int refresh_server(void *thing, struct errtext *e)
{
	return tls_server_refresh(thing, e);
}

static void release_server(void *thing)
{
	struct tls_server *server = thing;

	tls_server_unref(&server);
}

static struct tls_server *make(struct config_build *b, const struct config_value *v, struct span listener,
			       const struct tls_server_config *cfg)
{
	const struct config_value *certs = config_get(v, "certs");
	struct tls_server *server;
	struct errtext e = { "" };

	if (tls_server_new(cfg, &server, &e) < 0) {
		config_complain(b, config_at(certs, 0), "listener \"%.*s\": tls: %s", SPAN_ARG(listener),
				e.s);
		return NULL;
	}
	if (e.s[0])
		config_problem_add(b->problems, true, config_at(certs, 0)->file, config_at(certs, 0)->line,
				   "listener \"%.*s\": tls: %s", SPAN_ARG(listener), e.s);
	for (size_t i = 0; i < cfg->ncerts; i++)
		config_warn_if_public(b, config_at(certs, i),
				      cfg->certs[i].key.n ? cfg->certs[i].key : cfg->certs[i].cert,
				      "the key file");
	config_keep(b, &(struct config_kept){ .kind = CONFIG_KEPT_TLS,
					      .name = listener,
					      .file = cfg->certs[0].cert,
					      .thing = server,
					      .refresh = refresh_server,
					      .release = release_server });
	return server;
}

static struct tls_server *find_or_make(struct config_build *b, const struct config_value *v,
				       struct span listener)
{
	const struct tls_server_config cfg = read_config(b, v);

	list_for_each(it, &b->tls_made) {
		const struct made *m = list_entry(it, struct made, link);
		if (same(&m->cfg, &cfg))
			return m->server;
	}
	struct made *m = config_alloc(b, 1, sizeof *m);
	m->cfg = cfg;
	m->server = make(b, v, listener, &cfg);
	list_push_back(&b->tls_made, &m->link);
	return m->server;
}

/* ---- of a listener ---------------------------------------------------------------------------------------------------- */

static enum session_tls_mode mode_of(const struct config_value *v)
{
#define X(name, text)                                                                                        \
	if (config_is(v, "mode", text))                                                                      \
		return SESSION_TLS_##name;
	SESSION_TLS_MODE_MAP(X)
#undef X
	return SESSION_TLS_OFF;
}

struct session_tls_config config_tls(struct config_build *b, const struct config_value *listener)
{
	const struct config_value *v = config_get(listener, "tls");
	const enum session_tls_mode mode = mode_of(v);
	const bool serves = config_is(v, "sniff", "serve");
	struct session_tls_config c = { .mode = SESSION_TLS_OFF };

	if ((mode == SESSION_TLS_OFF && !serves) || !config_count(config_get(v, "certs")))
		return c;
	c = (struct session_tls_config){
		.mode = mode,
		.server = find_or_make(b, v, config_span(listener, "name")),
		.required_from_wall_us = config_int(config_get(v, "from"), 0) * 1000000,
		.serve_hello = serves,
		.asks_cert = client_cert_of(v) != TLS_CLIENT_CERT_NONE,
		.handshake_timeout_us = config_us(config_get(listener, "timeouts"), "tls"),
	};
	return c;
}
