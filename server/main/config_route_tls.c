/* main/config_route_tls.c - `tls` of routes: levels, and the contexts that connections are made with. Routes with the same files
 * and settings share one: there may be thousands of routes that say nothing but "verify". */
#include "main/config_route_tls.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "delivery/route.h"
#include "tls/tls_context.h"

struct config_tls_client {
	struct map_node node; /* its settings, in the snapshot's arena */
	struct tls_client *tc;
	struct span name; /* of the first route that has it */
};

static struct tls_client_config settings_of(const struct config_value *v)
{
	struct tls_client_config c = {
		.ciphers = config_span(v, "ciphers"),
		.security_level = (int)config_int(config_get(v, "security_level"), -1),
		.ca_file = config_span(v, "ca"),
		.cert = config_span(v, "cert"),
		.key = config_span(v, "key"),
	};

	(void)tls_version_parse(config_span(v, "min"), &c.min); /* one of the schema's words */
	return c;
}

/* A line end is in none of them. */
static struct span key_of(struct config_build *b, const struct tls_client_config *c)
{
	const struct span key =
		arena_printf(b->cfg->mem_, "%d %d\n%.*s\n%.*s\n%.*s\n%.*s", (int)c->min, c->security_level,
			     SPAN_ARG(c->ciphers), SPAN_ARG(c->ca_file), SPAN_ARG(c->cert), SPAN_ARG(c->key));

	require(key.p);
	return key;
}

static struct tls_client *context_of(struct config_build *b, const struct config_value *place,
				     const struct config_value *v)
{
	const struct tls_client_config c = settings_of(v);
	const struct span key = key_of(b, &c);
	struct map_node *known = map_get(&b->cfg->tls_clients_, key);
	struct tls_client *tc = NULL;
	struct errtext e = { "" };

	if (known)
		return map_entry(known, struct config_tls_client, node)->tc;
	if (tls_client_new(&c, &tc, &e) < 0) {
		config_complain(b, place, "tls: %s", e.s);
		return NULL;
	}
	if (e.s[0])
		config_problem_add(b->problems, true, place->file, place->line, "tls: %s", e.s);
	struct config_tls_client *own = mem_alloc(sizeof *own);
	own->tc = tc;
	own->name = config_span(place, "name");
	map_put(&b->cfg->tls_clients_, &own->node, key);
	return tc;
}

/* What is not said follows from the rest. */
static enum route_tls_level level_of(const struct config_value *v, bool implicit, bool has_login)
{
	enum route_tls_level level;

	if (route_tls_parse(config_span(v, "level"), &level) == 0)
		return level;
	return has_login ? ROUTE_TLS_VERIFY : implicit ? ROUTE_TLS_ENCRYPT : ROUTE_TLS_MAY;
}

static void check(struct config_build *b, const struct config_value *place, const struct route *r)
{
	const struct route_tls *t = &r->tls;
	const bool trust_ad = config_bool(config_get(config_get(b->root, "dns"), "trust_ad"), false);
	const bool verifies = t->level == ROUTE_TLS_VERIFY || t->level == ROUTE_TLS_DANE;

	if (t->nnames && !verifies)
		config_complain(b, place, "tls: names are compared at the levels verify and dane alone");
	if (t->implicit && t->level != ROUTE_TLS_ENCRYPT && t->level != ROUTE_TLS_VERIFY)
		config_complain(b, place, "tls: implicit wants the level encrypt or verify");
	if (t->level == ROUTE_TLS_DANE && !trust_ad)
		config_complain(
			b, place,
			"tls: dane wants name servers that validate, and dns.trust_ad = true to say so");
	if (t->level == ROUTE_TLS_STS && r->nhosts)
		config_complain(
			b, place,
			"tls: sts is about the MX hosts of a domain, and this route has hosts of its own");
	if ((r->auth || r->nby_sender) && !verifies && !r->auth_unverified)
		config_complain(
			b, place,
			"tls: at the level %s the password could go to anybody; write tls = \"verify\", or, if that is "
			"accepted, auth_unverified = true",
			route_tls_name(t->level));
}

void config_route_tls_build(struct config_build *b, const struct config_value *route, struct route *r)
{
	const struct config_value *v = config_get(route, "tls"), *names = config_get(v, "names");
	struct route_tls *t = &r->tls;

	t->implicit = config_bool(config_get(v, "implicit"), false);
	t->level = level_of(v, t->implicit, r->auth || r->nby_sender);
	if (t->level != ROUTE_TLS_OFF)
		t->context = context_of(b, route, v);
	t->nnames = config_count(names);
	struct span *list = config_alloc(b, t->nnames, sizeof *list);
	for (size_t i = 0; i < t->nnames; i++)
		list[i] = config_text(config_at(names, i), SPAN(""));
	t->names = list;
	check(b, route, r);
}

void config_route_tls_free(struct config *cfg)
{
	map_for_each_safe(it, &cfg->tls_clients_) {
		struct config_tls_client *own = map_entry(it, struct config_tls_client, node);
		tls_client_unref(&own->tc);
		free(own);
	}
	map_deinit(&cfg->tls_clients_);
}

void config_refresh_route_tls(const struct config *cfg,
			      void (*told)(void *arg, struct span name, int result, const char *text),
			      void *arg)
{
	map_for_each(it, &cfg->tls_clients_) {
		const struct config_tls_client *own = map_entry(it, struct config_tls_client, node);
		struct errtext e = { "" };
		const int r = tls_client_refresh(own->tc, &e);
		if (r != 0)
			told(arg, own->name, r, e.s);
	}
}
