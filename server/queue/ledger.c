#include "queue/ledger.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

enum { ORPHANS_LOOKED_AT = 4 }; /* per join or leave: more than one of them can add */

struct ledger_slot {
	struct map_node node;
	struct list orphan; /* in ledger->orphans while nobody is a member; under the ledger's lock */
	uint32_t refs;      /* members; under the ledger's lock */

	pthread_mutex_t lock; /* the rest is under it, if not atomic */
	struct ledger_limits limits;
	_Atomic bool rated;       /* limits.rate is one: spares the lock where there is none */
	_Atomic uint32_t waiting; /* length of `line` */
	int64_t tat_us;
	uint32_t open;
	struct list members, line;
	_Atomic uint64_t opened_total, messages_total, refused_total;
	size_t name_n;
	char name[];
};

struct ledger_member {
	struct ledger *ledger;
	struct ledger_slot *slot;
	struct loop *loop;
	const struct ledger_events *events;
	void *arg;
	bool gone; /* left while its letter was under way; the letter frees it. The loop's */

	/* Under the slot's lock: */
	struct list link;      /* in slot->members */
	struct list line_link; /* in slot->line */
	_Atomic bool in_line;
	uint32_t open; /* of the slot's, ours; grants that the letter still carries included */
	uint32_t grants;
	bool wanted, posted;
	struct letter letter;
};

struct ledger {
	pthread_mutex_t lock;
	struct map slots;
	struct list orphans; /* the one left longest ago first */
};

struct ledger *ledger_new(void)
{
	struct ledger *l = mem_alloc(sizeof *l);

	pthread_mutex_init(&l->lock, NULL);
	map_init(&l->slots);
	list_init(&l->orphans);
	return l;
}

/* ---- slots; under the ledger's lock -------------------------------------------------------------------- */

static struct ledger_slot *slot_new(struct ledger *l, struct span name)
{
	struct ledger_slot *slot = mem_alloc(sizeof *slot + name.n);

	memcpy(slot->name, name.p, name.n);
	slot->name_n = name.n;
	pthread_mutex_init(&slot->lock, NULL);
	list_init(&slot->members);
	list_init(&slot->line);
	list_init(&slot->orphan);
	map_put(&l->slots, &slot->node, span_make(slot->name, name.n));
	return slot;
}

static void slot_free(struct ledger *l, struct ledger_slot *slot)
{
	map_remove(&l->slots, &slot->node);
	list_remove(&slot->orphan);
	pthread_mutex_destroy(&slot->lock);
	free(slot);
}

/* A slot without members has nothing to remember but what its rate gave out lately. */
static void forget_orphans(struct ledger *l, int64_t now_us)
{
	for (unsigned i = 0; i < ORPHANS_LOOKED_AT && !list_empty(&l->orphans); i++) {
		struct ledger_slot *slot = list_entry(list_first(&l->orphans), struct ledger_slot, orphan);

		if (slot->limits.rate.count == 0 || slot->tat_us <= now_us) {
			slot_free(l, slot);
		} else {
			list_remove(&slot->orphan);
			list_push_back(&l->orphans, &slot->orphan);
		}
	}
}

void ledger_free(struct ledger **lp)
{
	struct ledger *l = *lp;

	if (!l)
		return;
	*lp = NULL;
	while (!list_empty(&l->orphans))
		slot_free(l, list_entry(list_first(&l->orphans), struct ledger_slot, orphan));
	require(l->slots.n == 0);
	map_deinit(&l->slots);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* ---- connections; under the slot's lock ---------------------------------------------------------------- */

/* What is new for @m goes to its loop. False: that loop has ended. */
static bool post(struct ledger_member *m)
{
	if (m->posted)
		return true;
	m->posted = loop_post(m->loop, &m->letter);
	return m->posted;
}

static void leave_line(struct ledger_slot *slot, struct ledger_member *m)
{
	if (!m->in_line)
		return;
	list_remove(&m->line_link);
	m->in_line = false;
	slot->waiting--;
}

/* Hands free connections to those in line, one each, in their order. */
static void grant(struct ledger_slot *slot)
{
	while (slot->open < slot->limits.connections_max && !list_empty(&slot->line)) {
		struct ledger_member *m =
			list_entry(list_first(&slot->line), struct ledger_member, line_link);

		leave_line(slot, m);
		if (!post(m))
			continue;
		slot->open++;
		m->open++;
		m->grants++;
		atomic_fetch_add_explicit(&slot->opened_total, 1, memory_order_relaxed);
	}
}

static void set_limits(struct ledger_slot *slot, const struct ledger_limits *limits)
{
	slot->limits = *limits;
	if (slot->limits.connections_max == 0)
		slot->limits.connections_max = 1;
	slot->rated = limits->rate.count > 0;
	grant(slot);
}

/* The letter arrived: tell the owner, without the lock, since it will open and close. */
static void open_letter(struct letter *letter)
{
	struct ledger_member *m = container_of(letter, struct ledger_member, letter);

	if (m->gone) {
		free(m);
		return;
	}
	pthread_mutex_lock(&m->slot->lock);
	const uint32_t grants = m->grants;
	const bool wanted = m->wanted;
	m->grants = 0;
	m->wanted = false;
	m->posted = false;
	pthread_mutex_unlock(&m->slot->lock);
	if (wanted)
		m->events->wanted(m->arg);
	for (uint32_t i = 0; i < grants; i++)
		m->events->granted(m->arg);
}

bool ledger_open(struct ledger_member *m)
{
	struct ledger_slot *slot = m->slot;
	bool opened = false;

	pthread_mutex_lock(&slot->lock);
	if (slot->open < slot->limits.connections_max && list_empty(&slot->line)) {
		slot->open++;
		m->open++;
		atomic_fetch_add_explicit(&slot->opened_total, 1, memory_order_relaxed);
		opened = true;
	} else if (!m->in_line) {
		list_push_back(&slot->line, &m->line_link);
		m->in_line = true;
		slot->waiting++;
		list_for_each(link, &slot->members) {
			struct ledger_member *other = list_entry(link, struct ledger_member, link);
			if (other != m && other->open > 0 && post(other))
				other->wanted = true;
		}
	}
	pthread_mutex_unlock(&slot->lock);
	return opened;
}

void ledger_close(struct ledger_member *m)
{
	struct ledger_slot *slot = m->slot;

	pthread_mutex_lock(&slot->lock);
	require(m->open > m->grants && slot->open > 0);
	m->open--;
	slot->open--;
	grant(slot);
	pthread_mutex_unlock(&slot->lock);
}

void ledger_unqueue(struct ledger_member *m)
{
	if (!m->in_line)
		return;
	pthread_mutex_lock(&m->slot->lock);
	leave_line(m->slot, m);
	pthread_mutex_unlock(&m->slot->lock);
}

bool ledger_wanted(const struct ledger_member *m)
{
	return m->slot->waiting > (m->in_line ? 1 : 0);
}

/* ---- rate ---------------------------------------------------------------------------------------------- */

bool ledger_take(struct ledger_member *m, int64_t now_us, int64_t *retry_after_us_r)
{
	struct ledger_slot *slot = m->slot;
	struct rate_result res = { .allowed = true };

	if (slot->rated) {
		pthread_mutex_lock(&slot->lock);
		if (slot->limits.rate.count > 0)
			res = rate_take(&slot->limits.rate, &slot->tat_us, now_us, 1);
		pthread_mutex_unlock(&slot->lock);
	}
	atomic_fetch_add_explicit(res.allowed ? &slot->messages_total : &slot->refused_total, 1,
				  memory_order_relaxed);
	if (!res.allowed)
		*retry_after_us_r = res.retry_after_us;
	return res.allowed;
}

void ledger_refund(struct ledger_member *m, int64_t now_us)
{
	struct ledger_slot *slot = m->slot;

	if (slot->rated) {
		pthread_mutex_lock(&slot->lock);
		if (slot->limits.rate.count > 0)
			rate_refund(&slot->limits.rate, &slot->tat_us, now_us, 1);
		pthread_mutex_unlock(&slot->lock);
	}
	atomic_fetch_sub_explicit(&slot->messages_total, 1, memory_order_relaxed);
}

/* ---- members ------------------------------------------------------------------------------------------- */

struct ledger_member *ledger_join(struct ledger *l, struct span name, const struct ledger_limits *limits,
				  struct loop *loop, const struct ledger_events *events, void *arg)
{
	struct ledger_member *m = mem_alloc(sizeof *m);

	m->ledger = l;
	m->loop = loop;
	m->events = events;
	m->arg = arg;
	m->letter.open = open_letter;
	list_init(&m->letter.link);
	list_init(&m->line_link);
	list_init(&m->link);

	pthread_mutex_lock(&l->lock);
	forget_orphans(l, loop_now_us(loop));
	struct map_node *node = map_get(&l->slots, name);
	m->slot = node ? map_entry(node, struct ledger_slot, node) : slot_new(l, name);
	m->slot->refs++;
	list_remove(&m->slot->orphan);
	pthread_mutex_lock(&m->slot->lock);
	list_push_back(&m->slot->members, &m->link);
	set_limits(m->slot, limits);
	pthread_mutex_unlock(&m->slot->lock);
	pthread_mutex_unlock(&l->lock);
	return m;
}

void ledger_leave(struct ledger_member **mp, int64_t now_us)
{
	struct ledger_member *m = *mp;

	if (!m)
		return;
	*mp = NULL;
	struct ledger *l = m->ledger;
	struct ledger_slot *slot = m->slot;

	pthread_mutex_lock(&l->lock);
	pthread_mutex_lock(&slot->lock);
	/* What was granted and not yet told goes on to the next. */
	require(m->open == m->grants);
	slot->open -= m->grants;
	leave_line(slot, m);
	list_remove(&m->link);
	grant(slot);
	m->gone = m->posted;
	pthread_mutex_unlock(&slot->lock);
	if (--slot->refs == 0)
		list_push_back(&l->orphans, &slot->orphan);
	forget_orphans(l, now_us);
	pthread_mutex_unlock(&l->lock);
	if (!m->gone)
		free(m);
}

void ledger_set_limits(struct ledger_member *m, const struct ledger_limits *limits)
{
	pthread_mutex_lock(&m->slot->lock);
	set_limits(m->slot, limits);
	pthread_mutex_unlock(&m->slot->lock);
}

void ledger_for_each(struct ledger *l, int64_t now_us, void (*see)(void *arg, const struct ledger_view *v),
		     void *arg)
{
	pthread_mutex_lock(&l->lock);
	map_for_each(node, &l->slots) {
		struct ledger_slot *slot = map_entry(node, struct ledger_slot, node);
		struct ledger_view v = { .name = span_make(slot->name, slot->name_n), .members = slot->refs };

		pthread_mutex_lock(&slot->lock);
		v.limits = slot->limits;
		v.open = slot->open;
		v.waiting = slot->waiting;
		if (v.limits.rate.count > 0) {
			/* What could be taken now if nothing more is: one cell is asked for and, when
			 * there is one, counted in. */
			const struct rate_result res = rate_peek(&v.limits.rate, slot->tat_us, now_us, 1);
			v.rate_remaining = res.remaining + (res.allowed ? 1 : 0);
		}
		pthread_mutex_unlock(&slot->lock);
		v.opened_total = atomic_load_explicit(&slot->opened_total, memory_order_relaxed);
		v.messages_total = atomic_load_explicit(&slot->messages_total, memory_order_relaxed);
		v.refused_total = atomic_load_explicit(&slot->refused_total, memory_order_relaxed);
		see(arg, &v);
	}
	pthread_mutex_unlock(&l->lock);
}
