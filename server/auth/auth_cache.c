#include "auth/auth_cache.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"
#include "tls/tls_digest.h"

struct entry {
	struct map_node node; /* by key */
	struct list link;     /* in auth_cache.oldest */
	struct auth_cache_key key;
	uint64_t who; /* keyed hash of the principal, to find its entries by */
	enum auth_answer answer;
	int64_t put_us;
};

static struct span key_span(const struct auth_cache_key *key)
{
	return span_make(key->b, sizeof key->b);
}

int auth_cache_init(struct auth_cache *c, size_t entries_max, int64_t right_us, int64_t refused_us)
{
	*c = (struct auth_cache){
		.entries_max = entries_max,
		.right_us = right_us < AUTH_CACHE_RIGHT_MAX_US ? right_us : AUTH_CACHE_RIGHT_MAX_US,
		.refused_us = refused_us,
	};
	const int err = tls_random(c->key, sizeof c->key);
	if (err)
		return err;
	random_bytes(&c->who, sizeof c->who);
	map_init(&c->map);
	list_init(&c->oldest);
	return 0;
}

static void entry_drop(struct auth_cache *c, struct entry *e)
{
	map_remove(&c->map, &e->node);
	list_remove(&e->link);
	free(e);
}

void auth_cache_deinit(struct auth_cache *c)
{
	if (!c || !c->oldest.next)
		return;
	auth_cache_forget(c, (struct span){ NULL, 0 });
	map_deinit(&c->map);
	mem_wipe(c, sizeof *c);
}

int auth_cache_key(const struct auth_cache *c, struct span principal, struct span password,
		   struct auth_cache_key *key_r)
{
	struct buf text = BUF_INIT(AUTH_USER_MAX + AUTH_REALM_MAX + SECRET_MAX + 1);

	buf_reserve(&text, principal.n + 1 + password.n); /* it does not move, and leaves no copy behind */
	buf_add_span(&text, principal);
	buf_add_char(&text, '\0');
	buf_add_span(&text, password);
	const int err = text.overflow ? -ERR_TOOBIG
				      : tls_hmac(TLS_DIGEST_SHA256, span_make(c->key, sizeof c->key),
						 buf_span(&text), key_r->b);
	buf_wipe(&text);
	buf_free(&text);
	return err;
}

static int64_t lifetime_us(const struct auth_cache *c, enum auth_answer answer)
{
	return answer == AUTH_ANSWER_TEMPFAIL ? 0 : answer == AUTH_ANSWER_RIGHT ? c->right_us : c->refused_us;
}

enum auth_answer auth_cache_get(struct auth_cache *c, const struct auth_cache_key *key, int64_t now_us,
				int64_t *age_us_r)
{
	struct map_node *node = map_get(&c->map, key_span(key));

	if (!node)
		return AUTH_ANSWER_TEMPFAIL;
	struct entry *e = map_entry(node, struct entry, node);
	if (now_us - e->put_us >= lifetime_us(c, e->answer)) {
		entry_drop(c, e);
		return AUTH_ANSWER_TEMPFAIL;
	}
	*age_us_r = now_us > e->put_us ? now_us - e->put_us : 0;
	return e->answer;
}

void auth_cache_put(struct auth_cache *c, const struct auth_cache_key *key, struct span principal,
		    enum auth_answer answer, int64_t now_us)
{
	struct map_node *node = map_get(&c->map, key_span(key));

	if (node)
		entry_drop(c, map_entry(node, struct entry, node));
	if (lifetime_us(c, answer) <= 0 || c->entries_max == 0)
		return;
	if (c->map.n >= c->entries_max)
		entry_drop(c, list_entry(list_first(&c->oldest), struct entry, link));
	struct entry *e = mem_alloc(sizeof *e);
	*e = (struct entry){
		.key = *key, .who = hash_sip(&c->who, principal), .answer = answer, .put_us = now_us
	};
	map_put(&c->map, &e->node, key_span(&e->key));
	list_push_back(&c->oldest, &e->link);
}

void auth_cache_forget(struct auth_cache *c, struct span principal)
{
	const uint64_t who = hash_sip(&c->who, principal);

	list_for_each_safe(link, &c->oldest) {
		struct entry *e = list_entry(link, struct entry, link);
		if (!principal.p || e->who == who)
			entry_drop(c, e);
	}
}
