#include "state/bans_memory.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"
#include "state/bans_table.h"

struct bans_memory {
	struct bans bans;
	struct bans_memory_config cfg;
	struct hash_key seed;
	struct bans_table addresses, users;
};

static struct bans_memory *memory_of(struct bans *b)
{
	return container_of(b, struct bans_memory, bans);
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

static void name_address(const struct bans_memory *m, const struct ip_addr *addr, struct bans_name *n_r)
{
	const struct ip_net net = ip_net_of(addr, 32, 64);

	memcpy(n_r->octets, net.addr.b, net.addr.len);
	n_r->key = span_make(n_r->octets, net.addr.len);
	n_r->hash = hash_sip(&m->seed, n_r->key);
}

static void name_user(const struct bans_memory *m, struct span user, struct bans_name *n_r)
{
	user = span_first(user, BANS_USER_MAX);
	for (size_t i = 0; i < user.n; i++)
		n_r->octets[i] = ascii_lower(user.p[i]);
	n_r->key = span_make(n_r->octets, user.n);
	n_r->hash = hash_sip(&m->seed, n_r->key);
}

/* What was tried: @secret_id, for @user if that is part of it. */
static uint64_t what_of(const struct bans_memory *m, const struct bans_name *user, const uint8_t *secret_id)
{
	struct {
		uint64_t user;
		uint8_t secret[BANS_SECRET_ID];
	} both = { user ? user->hash : 0, { 0 } };

	if (!secret_id)
		return 0;
	memcpy(both.secret, secret_id, BANS_SECRET_ID);
	const uint64_t h = hash_sip(&m->seed, span_make(&both, sizeof both));
	return h ? h : 1;
}

/* ---- failures ------------------------------------------------------------------------------------------ */

static bool is_old(const struct bans_failure *f, uint64_t whose, int64_t before_us)
{
	(void)whose;
	return f->at_us <= before_us;
}

static bool is_whose(const struct bans_failure *f, uint64_t whose, int64_t before_us)
{
	(void)before_us;
	return f->whose == whose;
}

/* Counts one failure of the entry @n. True: a ban begins. */
static bool count(struct bans_table *t, const struct bans_name *n, const struct bans_rules *rules,
		  struct bans_failure f, struct bans_ban *ban_r)
{
	const uint32_t wanted = t->kind == BANS_USER ? rules->user_failures_max : rules->failures_max;
	const uint32_t max = wanted < BANS_FAILURES_MAX ? wanted : BANS_FAILURES_MAX;
	struct bans_shard *sh = bans_shard_of(t, n);
	bool begins = false;

	if (max == 0)
		return false;
	pthread_mutex_lock(&sh->lock);
	bans_shard_settle(sh, f.at_us);
	struct bans_entry *e = bans_entry_need(t, sh, n);
	if (!bans_entry_banned(e)) { /* what was under way when the ban began changes nothing */
		bans_entry_forget(e, is_old, 0, f.at_us - rules->find_us);
		bans_entry_add(e, f);
		const int64_t keep_us = f.at_us + rules->find_us;
		e->keep_us = e->keep_us > keep_us ? e->keep_us : keep_us;
		begins = e->nfailures >= max;
		if (begins) {
			e->since_us = f.at_us;
			e->until_us = f.at_us + rules->ban_us;
			e->ban_failures = e->nfailures;
			e->nfailures = 0;
			heap_insert(&sh->banned, &e->end, e->until_us);
			bans_entry_copy(t, e, ban_r);
		}
		bans_entry_touch(sh, e);
	}
	pthread_mutex_unlock(&sh->lock);
	return begins;
}

static enum bans_kind memory_failed(struct bans *b, const struct bans_rules *rules,
				    const struct ip_addr *addr, struct span user, const uint8_t *secret_id,
				    int64_t now_us, struct bans_ban *ban_r)
{
	struct bans_memory *m = memory_of(b);
	struct bans_ban of_user;
	struct bans_name a, u;
	bool user_begins = false;

	name_address(m, addr, &a);
	name_user(m, user, &u);
	if (user.n)
		user_begins =
			count(&m->users, &u, rules,
			      (struct bans_failure){ what_of(m, NULL, secret_id), a.hash, now_us }, &of_user);
	if (count(&m->addresses, &a, rules,
		  (struct bans_failure){ what_of(m, &u, secret_id), u.hash, now_us }, ban_r))
		return BANS_ADDRESS;
	if (!user_begins)
		return BANS_NOBODY;
	*ban_r = of_user;
	return BANS_USER;
}

/* ---- questions ----------------------------------------------------------------------------------------- */

static bool is_known(const struct bans_memory *m, const struct bans_entry *e, uint64_t address,
		     int64_t now_us)
{
	for (unsigned i = 0; e->known && i < BANS_KNOWN_MAX; i++) {
		const struct bans_known *k = &e->known[i];
		if (k->at_us && k->address == address && k->at_us + m->cfg.known_us > now_us)
			return true;
	}
	return false;
}

/* Is the entry @n banned, and does that hit who comes from @address (a user's known ones are not hit)? */
static bool hits(struct bans_memory *m, struct bans_table *t, const struct bans_name *n, uint64_t address,
		 int64_t now_us, struct bans_ban *ban_r)
{
	struct bans_shard *sh = bans_shard_of(t, n);

	pthread_mutex_lock(&sh->lock);
	const struct bans_entry *e = bans_entry_get(sh, n);
	const bool hit =
		e && bans_entry_banned(e) && e->until_us > now_us && !is_known(m, e, address, now_us);
	if (hit)
		bans_entry_copy(t, e, ban_r);
	pthread_mutex_unlock(&sh->lock);
	return hit;
}

static enum bans_kind memory_check(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr,
				   struct span user, int64_t now_us, struct bans_ban *ban_r)
{
	struct bans_memory *m = memory_of(b);
	struct bans_name a, u;

	name_address(m, addr, &a);
	if (rules->failures_max && hits(m, &m->addresses, &a, a.hash, now_us, ban_r))
		return BANS_ADDRESS;
	if (!user.n || !rules->user_failures_max)
		return BANS_NOBODY;
	name_user(m, user, &u);
	return hits(m, &m->users, &u, a.hash, now_us, ban_r) ? BANS_USER : BANS_NOBODY;
}

/* ---- success ------------------------------------------------------------------------------------------- */

/* The address takes the place of itself, or of the one seen longest ago. */
static void know(struct bans_entry *e, uint64_t address, int64_t now_us)
{
	unsigned at = 0;

	if (!e->known)
		e->known = mem_alloc_array(BANS_KNOWN_MAX, sizeof *e->known);
	for (unsigned i = 0; i < BANS_KNOWN_MAX; i++) {
		if (e->known[i].at_us && e->known[i].address == address) {
			at = i;
			break;
		}
		if (e->known[i].at_us < e->known[at].at_us)
			at = i;
	}
	e->known[at] = (struct bans_known){ address, now_us };
}

static void memory_ok(struct bans *b, const struct bans_rules *rules, const struct ip_addr *addr,
		      struct span user, int64_t now_us)
{
	struct bans_memory *m = memory_of(b);
	struct bans_name a, u;

	name_address(m, addr, &a);
	name_user(m, user, &u);
	struct bans_shard *sh = bans_shard_of(&m->addresses, &a);
	pthread_mutex_lock(&sh->lock);
	struct bans_entry *e = bans_entry_get(sh, &a);
	if (e)
		bans_entry_forget(e, is_whose, u.hash, 0);
	pthread_mutex_unlock(&sh->lock);
	if (!rules->user_failures_max)
		return;
	sh = bans_shard_of(&m->users, &u);
	pthread_mutex_lock(&sh->lock);
	bans_shard_settle(sh, now_us);
	e = bans_entry_need(&m->users, sh, &u);
	bans_entry_forget(e, is_whose, a.hash, 0);
	know(e, a.hash, now_us);
	const int64_t keep_us = now_us + m->cfg.known_us;
	e->keep_us = e->keep_us > keep_us ? e->keep_us : keep_us;
	bans_entry_touch(sh, e);
	pthread_mutex_unlock(&sh->lock);
}

/* ---- operators ----------------------------------------------------------------------------------------- */

static size_t list_table(struct bans_table *t, int64_t now_us, struct bans_ban *bans, size_t max, size_t n)
{
	for (unsigned i = 0; i < BANS_SHARDS; i++) {
		struct bans_shard *sh = &t->shard[i];
		pthread_mutex_lock(&sh->lock);
		bans_shard_settle(sh, now_us);
		for (uint32_t k = 0; k < sh->banned.n; k++, n++) {
			if (n < max)
				bans_entry_copy(t, container_of(sh->banned.v[k], struct bans_entry, end),
						&bans[n]);
		}
		pthread_mutex_unlock(&sh->lock);
	}
	return n;
}

static size_t memory_list(struct bans *b, int64_t now_us, struct bans_ban *bans, size_t max)
{
	struct bans_memory *m = memory_of(b);

	return list_table(&m->users, now_us, bans, max, list_table(&m->addresses, now_us, bans, max, 0));
}

static bool lift_named(struct bans_table *t, const struct bans_name *n, int64_t now_us)
{
	struct bans_shard *sh = bans_shard_of(t, n);

	pthread_mutex_lock(&sh->lock);
	bans_shard_settle(sh, now_us);
	struct bans_entry *e = bans_entry_get(sh, n);
	const bool was = e && bans_entry_banned(e);
	if (was)
		bans_entry_lift(sh, e);
	pthread_mutex_unlock(&sh->lock);
	return was;
}

static bool memory_remove_address(struct bans *b, const struct ip_addr *addr, int64_t now_us)
{
	struct bans_memory *m = memory_of(b);
	struct bans_name n;

	name_address(m, addr, &n);
	return lift_named(&m->addresses, &n, now_us);
}

static bool memory_remove_user(struct bans *b, struct span user, int64_t now_us)
{
	struct bans_memory *m = memory_of(b);
	struct bans_name n;

	name_user(m, user, &n);
	return lift_named(&m->users, &n, now_us);
}

static size_t clear_table(struct bans_table *t, int64_t now_us)
{
	size_t n = 0;

	for (unsigned i = 0; i < BANS_SHARDS; i++) {
		struct bans_shard *sh = &t->shard[i];
		struct heap_node *first;
		pthread_mutex_lock(&sh->lock);
		bans_shard_settle(sh, now_us);
		for (; (first = heap_min(&sh->banned)) != NULL; n++)
			bans_entry_lift(sh, container_of(first, struct bans_entry, end));
		pthread_mutex_unlock(&sh->lock);
	}
	return n;
}

static size_t memory_clear(struct bans *b, int64_t now_us)
{
	struct bans_memory *m = memory_of(b);

	return clear_table(&m->addresses, now_us) + clear_table(&m->users, now_us);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static void memory_free(struct bans *b)
{
	struct bans_memory *m = memory_of(b);

	bans_table_deinit(&m->addresses);
	bans_table_deinit(&m->users);
	free(m);
}

static const struct bans_ops memory_ops = {
	.check = memory_check,
	.failed = memory_failed,
	.ok = memory_ok,
	.list = memory_list,
	.remove_address = memory_remove_address,
	.remove_user = memory_remove_user,
	.clear = memory_clear,
	.free = memory_free,
};

struct bans *bans_memory_new(const struct bans_memory_config *cfg)
{
	struct bans_memory *m = mem_alloc(sizeof *m);

	require(cfg->entries_max > 0);
	m->bans.ops = &memory_ops;
	m->cfg = *cfg;
	random_bytes(&m->seed, sizeof m->seed);
	bans_table_init(&m->addresses, BANS_ADDRESS, cfg->entries_max);
	bans_table_init(&m->users, BANS_USER, cfg->entries_max);
	return &m->bans;
}

void bans_memory_stats(struct bans *b, struct bans_memory_stats *st_r)
{
	struct bans_memory *m = memory_of(b);
	struct bans_memory_stats st = { 0 };

	st.addresses = bans_table_count(&m->addresses, &st.forgotten);
	st.users = bans_table_count(&m->users, &st.forgotten);
	*st_r = st;
}
