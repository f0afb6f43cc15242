/* main/config_priv.h - how a snapshot is made of the tree of values; only main/config*.c include it.
 *
 * The loader checked the tree against schema/config.lua, so what is read here has its type. What it cannot
 * know (that networks together are the Internet, that a schedule's parser agrees) becomes a problem here. Spans
 * point into the tree: the bundle keeps it.
 */
#pragma once

#include "main/config.h"

enum { CONFIG_MEM_MAX = 64 * 1024 * 1024 };

struct config_build {
	struct config *cfg;
	struct config_problems *problems;
	const struct config_value *root;
	struct list tls_made;  /* config_tls.c */
	struct list auth_made; /* config_auth.c */
};

/* Each adds problems and goes on. Listeners want profiles and keys, routes the rest. */
void config_build_dkim(struct config_build *b);
void config_build_listener_dkim(struct config_build *b, const struct config_value *v,
				struct session_listener *s);
void config_build_listeners(struct config_build *b);
void config_build_routes(struct config_build *b);
void config_build_services(struct config_build *b);

/* `auth`, `auth_by_sender` of a route: @r's auth, by_sender. */
void config_build_auth(struct config_build *b, const struct config_value *route, struct route *r);
void config_credentials_free(struct config *cfg);

/* From the arena of the snapshot; the process ends without memory for it: a configuration of that size was refused before. */
void *config_alloc(struct config_build *b, size_t count, size_t size);

/* Likewise; NUL-terminated. */
const char *config_printf(struct config_build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A problem of @v's place, with a text. */
void config_complain(struct config_build *b, const struct config_value *v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static inline uint32_t config_u32(const struct config_value *map, const char *key)
{
	return (uint32_t)config_int(config_get(map, key), 0);
}

static inline uint64_t config_u64(const struct config_value *map, const char *key)
{
	return (uint64_t)config_int(config_get(map, key), 0);
}

/* A duration. */
static inline int64_t config_us(const struct config_value *map, const char *key)
{
	return config_int(config_get(map, key), 0);
}

static inline struct span config_span(const struct config_value *map, const char *key)
{
	return config_text(config_get(map, key), SPAN(""));
}

static inline bool config_is(const struct config_value *map, const char *key, const char *word)
{
	return span_eq(config_span(map, key), span_of(word));
}

/* Copies @k, but for its texts; the snapshot releases it. */
void config_keep(struct config_build *b, const struct config_kept *k);

/* A warning if others than owner and group may read the file. @what: "the key file". */
void config_warn_if_public(struct config_build *b, const struct config_value *at, struct span path,
			   const char *what);

/* ---- of a listener ---- */
struct session_tls_config config_tls(struct config_build *b, const struct config_value *listener);
struct session_auth_config config_auth(struct config_build *b, const struct config_value *listener);

/* An empty set that lives as long as the snapshot. */
struct ip_set *config_set_new(struct config_build *b);
/* A list of networks as such a set; NULL if it is empty. */
struct ip_set *config_networks(struct config_build *b, const struct config_value *list);
/* A list of extensions' keywords, as bits. */
uint32_t config_extensions(struct config_build *b, const struct config_value *list);
