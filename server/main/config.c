#include "main/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth_global.h"
#include "base/check.h"
#include "base/mem.h"
#include "main/config_priv.h"
#include "main/config_route_tls.h"
#include "smtp/smtp_ehlo.h"

/* ---- tools of the builders ---------------------------------------------------------------------------------------- */

struct config_set {
	struct list link;
	struct ip_set *set;
};

void *config_alloc(struct config_build *b, size_t count, size_t size)
{
	void *p = arena_alloc_array(b->cfg->mem_, count ? count : 1, size);

	require(p);
	return p;
}

const char *config_printf(struct config_build *b, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	const char *s = arena_strdup(b->cfg->mem_, span_of(text));
	require(s);
	return s;
}

void config_complain(struct config_build *b, const struct config_value *v, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	config_problem_add(b->problems, false, v ? v->file : b->cfg->file, v ? v->line : 0, "%s", text);
}

struct ip_set *config_set_new(struct config_build *b)
{
	struct config_set *s = config_alloc(b, 1, sizeof *s);

	s->set = ip_set_new();
	list_push_back(&b->cfg->sets_, &s->link);
	return s->set;
}

struct ip_set *config_networks(struct config_build *b, const struct config_value *list)
{
	const size_t n = config_count(list);

	if (n == 0)
		return NULL;
	struct ip_set *set = config_set_new(b);
	for (size_t i = 0; i < n; i++) {
		const struct span text = config_text(config_at(list, i), SPAN(""));
		struct ip_net net;
		if (ip_net_parse(text, &net))
			ip_set_add(set, &net);
		else
			config_complain(b, list, "\"%.*s\" is no network", SPAN_ARG(text));
	}
	return set;
}

uint32_t config_extensions(struct config_build *b, const struct config_value *list)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < config_count(list); i++) {
		const struct span keyword = config_text(config_at(list, i), SPAN(""));
		const uint32_t bit = smtp_ext_from_keyword(keyword);
		if (!bit)
			config_complain(b, list, "\"%.*s\" is no extension", SPAN_ARG(keyword));
		bits |= bit;
	}
	return bits;
}

void config_keep(struct config_build *b, const struct config_kept *k)
{
	struct config_kept *kept = config_alloc(b, 1, sizeof *kept);

	*kept = *k;
	list_push_back(&b->cfg->kept_, &kept->link);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static void config_free(struct config *cfg)
{
	while (!list_empty(&cfg->kept_)) {
		struct config_kept *k = container_of(cfg->kept_.next, struct config_kept, link);
		list_remove(&k->link);
		k->release(k->thing);
	}
	while (!list_empty(&cfg->sets_)) {
		struct config_set *s = container_of(cfg->sets_.next, struct config_set, link);
		list_remove(&s->link);
		ip_set_free(&s->set);
	}
	route_table_deinit(&cfg->routes);
	config_route_tls_free(cfg);
	dkim_signer_free(&cfg->dkim);
	config_credentials_free(cfg);
	policy_bundle_unref(&cfg->bundle);
	arena_free(&cfg->mem_);
	free(cfg);
}

struct config *config_ref(struct config *cfg)
{
	const unsigned before = atomic_fetch_add_explicit(&cfg->refs_, 1, memory_order_relaxed);

	require(before > 0);
	return cfg;
}

void config_unref(struct config **cfg)
{
	struct config *c = *cfg;

	*cfg = NULL;
	if (!c)
		return;
	const unsigned before = atomic_fetch_sub_explicit(&c->refs_, 1, memory_order_acq_rel);
	require(before > 0);
	if (before == 1)
		config_free(c);
}

/* Takes @bundle over. */
static int config_build(struct policy_bundle *bundle, const char *file, struct config_problems *problems,
			struct config **cfg_r)
{
	const size_t errors = problems->errors;
	struct config *cfg = mem_alloc(sizeof *cfg);
	struct config_build b = { .cfg = cfg, .problems = problems, .root = policy_bundle_config(bundle) };

	atomic_init(&cfg->refs_, 1);
	cfg->mem_ = arena_new(CONFIG_MEM_MAX);
	list_init(&cfg->sets_);
	list_init(&cfg->kept_);
	list_init(&b.tls_made);
	list_init(&b.auth_made);
	map_init(&cfg->tls_clients_);
	list_init(&cfg->credentials_);
	list_init(&cfg->tokens_);
	route_table_init(&cfg->routes);
	cfg->bundle = bundle;
	cfg->file = arena_dup(cfg->mem_, span_of(file));
	require(cfg->file.p);
	config_build_dkim(&b);
	config_build_listeners(&b);
	config_build_routes(&b);
	config_build_services(&b);
	if (problems->errors > errors) {
		config_unref(&cfg);
		return -ERR_INVAL;
	}
	*cfg_r = cfg;
	return 0;
}

int config_global_init(struct errtext *e)
{
	return auth_global_init(e);
}

int config_load(const char *file, struct config_problems *problems, struct config **cfg_r)
{
	struct policy_bundle *bundle = NULL;
	const int r = policy_bundle_load(file, problems, &bundle);

	return r < 0 ? r : config_build(bundle, file, problems, cfg_r);
}

int config_load_text(struct span text, const char *file, struct config_problems *problems,
		     struct config **cfg_r)
{
	struct policy_bundle *bundle = NULL;
	const int r = policy_bundle_load_text(text, file, problems, &bundle);

	return r < 0 ? r : config_build(bundle, file, problems, cfg_r);
}

void config_refresh(const struct config *cfg,
		    void (*tell)(void *arg, const struct config_kept *k, int result, const struct errtext *e),
		    void *arg)
{
	list_for_each(it, &cfg->kept_) {
		const struct config_kept *k = list_entry(it, struct config_kept, link);
		struct errtext e = { "" };
		const int result = k->refresh ? k->refresh(k->thing, &e) : 0;
		if (result != 0)
			tell(arg, k, result, &e);
	}
}

bool config_has_secrets(const struct config *cfg)
{
	return !list_empty(&cfg->kept_) || !list_empty(&cfg->credentials_) || !list_empty(&cfg->tokens_) ||
	       cfg->tls_clients_.n > 0 || cfg->dkim;
}

const struct config_listener *config_listener_by_name(const struct config *cfg, struct span name)
{
	for (uint32_t i = 0; i < cfg->nlisteners; i++)
		if (span_eq(cfg->listeners[i].session.name, name))
			return &cfg->listeners[i];
	return NULL;
}
