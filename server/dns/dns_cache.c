#include "dns/dns_cache.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "dns/dns_key.h"

enum { SECOND_US = 1000 * 1000 };

struct entry {
	struct map_node node;
	struct list used; /* in cache->by_use, the longest unused first */
	struct dns_answer *answer;
	int64_t fresh_until_us; /* until then it is served */
	int64_t stale_until_us; /* until then it is kept for the case that nobody answers */
	bool stale;             /* fresh_until_us was prolonged beyond the TTL */
	struct dns_key key;
};

struct dns_cache {
	struct dns_cache_limits limits;
	struct map map;
	struct list by_use;
	size_t bytes;
};

struct dns_cache_limits dns_cache_limits_default(void)
{
	return (struct dns_cache_limits){
		.entries_max = 20000,
		.bytes_max = 8U * 1024 * 1024,
		.ttl_min_us = 1 * (int64_t)SECOND_US,
		.ttl_max_us = 3600 * (int64_t)SECOND_US,
		.negative_ttl_max_us = 300 * (int64_t)SECOND_US,
		.tempfail_ttl_us = 5 * (int64_t)SECOND_US,
		.stale_max_us = 6 * 3600 * (int64_t)SECOND_US,
	};
}

struct dns_cache *dns_cache_new(const struct dns_cache_limits *limits)
{
	struct dns_cache *c = mem_alloc(sizeof *c);

	c->limits = *limits;
	map_init(&c->map);
	list_init(&c->by_use);
	return c;
}

void dns_cache_set_limits(struct dns_cache *c, const struct dns_cache_limits *limits)
{
	c->limits = *limits;
}

static size_t bytes_of(const struct entry *e)
{
	return sizeof *e + e->answer->bytes;
}

static void forget(struct dns_cache *c, struct entry *e)
{
	map_remove(&c->map, &e->node);
	list_remove(&e->used);
	c->bytes -= bytes_of(e);
	dns_answer_unref(&e->answer);
	free(e);
}

void dns_cache_clear(struct dns_cache *c)
{
	list_for_each_safe(it, &c->by_use)
		forget(c, list_entry(it, struct entry, used));
}

void dns_cache_free(struct dns_cache **c)
{
	if (!*c)
		return;
	dns_cache_clear(*c);
	map_deinit(&(*c)->map);
	free(*c);
	*c = NULL;
}

static struct entry *find(const struct dns_cache *c, enum dns_type type, struct span name)
{
	const struct dns_key key = dns_key_make(type, name);
	struct map_node *node = map_get(&c->map, dns_key_span(&key));

	return node ? map_entry(node, struct entry, node) : NULL;
}

struct dns_answer *dns_cache_get(struct dns_cache *c, enum dns_type type, struct span name, int64_t now_us,
				 bool *stale_r)
{
	struct entry *e = find(c, type, name);

	if (!e)
		return NULL;
	if (now_us >= e->fresh_until_us) {
		if (now_us >= e->stale_until_us)
			forget(c, e);
		return NULL;
	}
	list_remove(&e->used);
	list_push_back(&c->by_use, &e->used);
	*stale_r = e->stale;
	return e->answer;
}

struct dns_answer *dns_cache_get_stale(struct dns_cache *c, enum dns_type type, struct span name,
				       int64_t now_us)
{
	const struct entry *e = find(c, type, name);

	return e && e->answer->result == DNS_OK && now_us < e->stale_until_us ? e->answer : NULL;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v > high ? high : v < low ? low : v;
}

static void set_times(const struct dns_cache_limits *limits, struct entry *e, int64_t now_us)
{
	const int64_t ttl_us = e->answer->ttl_s * (int64_t)SECOND_US;

	switch (e->answer->result) {
	case DNS_OK:
		e->fresh_until_us = now_us + clamp(ttl_us, limits->ttl_min_us, limits->ttl_max_us);
		e->stale_until_us = e->fresh_until_us + limits->stale_max_us;
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		e->fresh_until_us = now_us + clamp(ttl_us, limits->ttl_min_us, limits->negative_ttl_max_us);
		e->stale_until_us = e->fresh_until_us;
		break;
	case DNS_TEMPFAIL:
	case DNS_INVALID:
		e->fresh_until_us = e->stale_until_us = now_us + limits->tempfail_ttl_us;
		break;
	}
	e->stale = false;
}

static void shrink(struct dns_cache *c, const struct entry *keep)
{
	while (c->map.n > c->limits.entries_max || c->bytes > c->limits.bytes_max) {
		struct entry *oldest = list_entry(list_first(&c->by_use), struct entry, used);
		if (oldest == keep)
			return; /* what was just put is served from here; it goes next time */
		forget(c, oldest);
	}
}

struct dns_answer *dns_cache_put(struct dns_cache *c, struct dns_answer *a, int64_t now_us, bool *stale_r)
{
	struct entry *e = find(c, a->type, a->name);

	if (e && a->result == DNS_TEMPFAIL && e->answer->result == DNS_OK && now_us < e->stale_until_us) {
		const int64_t again_us = now_us + c->limits.tempfail_ttl_us;
		if (e->fresh_until_us <= now_us) {
			e->fresh_until_us = again_us < e->stale_until_us ? again_us : e->stale_until_us;
			e->stale = true;
		}
	} else if (e) {
		c->bytes -= bytes_of(e);
		dns_answer_ref(a);
		dns_answer_unref(&e->answer);
		e->answer = a;
		c->bytes += bytes_of(e);
		set_times(&c->limits, e, now_us);
	} else {
		e = mem_alloc(sizeof *e);
		e->key = dns_key_make(a->type, a->name);
		e->answer = dns_answer_ref(a);
		set_times(&c->limits, e, now_us);
		list_init(&e->used);
		map_put(&c->map, &e->node, dns_key_span(&e->key));
		c->bytes += bytes_of(e);
	}
	list_remove(&e->used);
	list_push_back(&c->by_use, &e->used);
	shrink(c, e);
	*stale_r = e->stale;
	return e->answer;
}

size_t dns_cache_entries(const struct dns_cache *c)
{
	return c->map.n;
}

size_t dns_cache_bytes(const struct dns_cache *c)
{
	return c->bytes;
}
