/* An operator's action, from its start to its end.
 *
 *   1. queue_action_start(): the walk begins at the first entry (or the first id)
 *   2. a slice each turn: entries that cannot match by what is in memory are passed over; others are
 *      shown and treated at once, or, if their envelope is needed, take a place in a ring and are loaded,
 *      several at a time
 *   3. loaded ones are shown and treated in the order of the ring; an entry that went meanwhile is passed
 *      over
 *   4. at the end what was written is synced; then the op completes
 * Cancelled, timed out, or the queue closes: no more slices; when the last load is back the op completes.
 * What was done stays.
 */
#include "queue/queue_action.h"

#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_priv.h"

enum {
	SLICE = 1024, /* entries looked at in one go */
	RING = 8,     /* messages being loaded */
	TREATED = 64, /* entries shown or treated in one go */
};

struct walk_slot {
	struct queue_walk *walk;
	uint64_t id;
	bool done;
	struct spool_load load;
	struct spool_image *image;
};

struct queue_walk {
	struct list link; /* in q->walks */
	struct queue *q;
	struct queue_action *a;
	struct queue_cursor cursor;
	uint32_t next_id;   /* with select.ids */
	struct timer timer; /* the next slice */
	struct walk_slot slot[RING];
	unsigned first, used; /* of the ring */
	unsigned treated;     /* in this slice */
	bool at_end;          /* no more entries */
	bool full;            /* as many were treated as were asked for */
	bool changed;
	int why_ended; /* < 0: cancelled */
	bool syncing;
	struct op sync;
};

static void walk_slice(struct queue_walk *w);

/* ---- its end ------------------------------------------------------------------------------------------- */

static void walk_free(struct queue_walk *w, int status)
{
	struct queue *q = w->q;
	struct queue_action *a = w->a;

	timer_unset(q->loop, &w->timer);
	queue_cursor_stop(&w->cursor);
	list_remove(&w->link);
	free(w);
	a->walk_ = NULL;
	op_complete(&a->op, status);
	queue_kick(q); /* the queue may be closing */
}

static void on_synced(struct op *op)
{
	struct queue_walk *w = container_of(op, struct queue_walk, sync);

	walk_free(w, w->why_ended ? w->why_ended : op->status);
}

static void walk_ended(struct queue_walk *w)
{
	if (w->used > 0 || w->syncing)
		return;
	timer_unset(w->q->loop, &w->timer);
	w->syncing = true;
	op_init(&w->sync, on_synced);
	const int ret = w->changed ? spool_sync_start(&w->sync, &w->q->scope, w->q->spool) : 0;
	if (!w->changed || ret < 0)
		walk_free(w, w->why_ended ? w->why_ended : ret);
}

static void stop(struct queue_walk *w, int why)
{
	if (w->why_ended == 0)
		w->why_ended = why;
	for (unsigned i = 0; i < RING; i++)
		op_cancel(&w->slot[i].load.op);
	/* Those that are loaded and wait for their turn go now; others when their load is back. */
	while (w->used > 0 && w->slot[w->first].done) {
		spool_image_unref(&w->slot[w->first].image);
		w->first = (w->first + 1) % RING;
		w->used--;
	}
	walk_ended(w);
}

static void on_cancel(struct op *op)
{
	struct queue_action *a = container_of(op, struct queue_action, op);

	stop(a->walk_, -ERR_CANCELED);
}

void queue_walks_cancel(struct queue *q)
{
	list_for_each_safe(link, &q->walks)
		stop(list_entry(link, struct queue_walk, link), -ERR_CANCELED);
}

/* ---- entries ------------------------------------------------------------------------------------------- */

static void treat(struct queue_walk *w, struct queue_entry *e, const struct envelope *env)
{
	struct queue_action *a = w->a;
	const uint32_t n = queue_order_match(w->q, a, e, env);

	if (n == 0)
		return;
	w->treated++;
	a->messages++;
	a->recipients += n;
	if (a->messages <= a->skip)
		return;
	if (a->row)
		queue_order_row(w->q, a, e, env);
	if (queue_order_carry_out(w->q, a, e))
		w->changed = true;
	if (a->max > 0 && a->messages - a->skip >= a->max)
		w->full = w->at_end = true;
}

static void treat_image(struct queue_walk *w, struct queue_entry *e, struct spool_image *img)
{
	struct queue *q = w->q;
	struct envelope env;

	arena_reset(q->arena);
	if (envelope_decode(img->meta, q->arena, &env) < 0 || env.nrcpt != e->nrcpt_all)
		w->a->unreadable++;
	else
		treat(w, e, &env);
	arena_release(q->arena);
}

/* Treats what is loaded, in the ring's order. */
static void drain(struct queue_walk *w)
{
	while (w->used > 0 && w->slot[w->first].done && w->treated < TREATED) {
		struct walk_slot *s = &w->slot[w->first];
		struct queue_entry *e = queue_find(w->q, s->id);

		if (e && s->image && !w->full)
			treat_image(w, e, s->image);
		else if (e && !w->full)
			w->a->unreadable++;
		spool_image_unref(&s->image);
		w->first = (w->first + 1) % RING;
		w->used--;
	}
}

static void on_loaded(struct op *op)
{
	struct walk_slot *s = container_of(op, struct walk_slot, load.op);
	struct queue_walk *w = s->walk;

	s->done = true;
	if (op->status >= 0)
		s->image = s->load.image;
	if (w->why_ended)
		stop(w, w->why_ended);
	else
		timer_set_in(w->q->loop, &w->timer, 1);
}

static void load(struct queue_walk *w, struct queue_entry *e)
{
	struct walk_slot *s = &w->slot[(w->first + w->used++) % RING];

	*s = (struct walk_slot){ .walk = w, .id = e->id };
	op_init(&s->load.op, on_loaded);
	if (e->image) {
		s->image = spool_image_ref(e->image->img);
		s->done = true;
	} else if (spool_load_start(&s->load, &w->q->scope, w->q->spool, e->id) < 0) {
		s->done = true; /* unreadable now */
	}
}

/* The next entry; sets at_end when there is none. NULL may also be an id that is not here. */
static struct queue_entry *next(struct queue_walk *w)
{
	const struct queue_select *s = &w->a->select;
	struct queue_entry *e;

	if (s->ids) {
		if (w->next_id < s->nids)
			return queue_find(w->q, s->ids[w->next_id++]);
		w->at_end = true;
		return NULL;
	}
	e = queue_cursor_next(&w->cursor, w->q);
	w->at_end = e == NULL;
	return e;
}

static void walk_slice(struct queue_walk *w)
{
	w->treated = 0;
	drain(w);
	for (unsigned n = 0; n < SLICE && !w->at_end && w->used < RING && w->treated < TREATED; n++) {
		struct queue_entry *e = next(w);

		if (!e)
			continue;
		w->a->seen++;
		if (!queue_order_needs_envelope(w->a))
			treat(w, e, NULL);
		else if (queue_order_match(w->q, w->a, e, NULL) > 0)
			load(w, e);
	}
	if (w->at_end && w->used == 0)
		walk_ended(w);
	else if (w->used == 0 || w->slot[w->first].done)
		timer_set_in(w->q->loop, &w->timer, 1);
	/* else the load at the head of the ring brings it on */
}

static void on_timer(struct timer *t)
{
	walk_slice(container_of(t, struct queue_walk, timer));
}

/* ---- its start ----------------------------------------------------------------------------------------- */

static const char *const whats[] = {
	[QUEUE_VERB_LS] = "queue ls",         [QUEUE_VERB_RETRY] = "queue retry",
	[QUEUE_VERB_HOLD] = "queue hold",     [QUEUE_VERB_RELEASE] = "queue release",
	[QUEUE_VERB_BOUNCE] = "queue bounce", [QUEUE_VERB_REMOVE] = "queue remove",
};

void queue_action_init(struct queue_action *a, void (*done)(struct op *op))
{
	*a = (struct queue_action){ 0 };
	op_init(&a->op, done);
}

int queue_action_start(struct queue_action *a, struct scope *scope, struct queue *q, int64_t deadline_us)
{
	const bool wants_reason =
		a->verb == QUEUE_VERB_HOLD || a->verb == QUEUE_VERB_BOUNCE || a->verb == QUEUE_VERB_REMOVE;

	if (wants_reason && a->reason.n == 0)
		return -ERR_INVAL;
	if (q->closing)
		return -ERR_CANCELED;
	const int ret = op_begin(&a->op, scope, whats[a->verb], deadline_us, on_cancel);
	if (ret < 0)
		return ret;
	struct queue_walk *w = mem_alloc(sizeof *w);
	w->q = q;
	w->a = a;
	for (unsigned i = 0; i < RING; i++)
		op_init(&w->slot[i].load.op, on_loaded);
	timer_init(&w->timer, on_timer);
	queue_cursor_start(q, &w->cursor);
	list_push_back(&q->walks, &w->link);
	a->walk_ = w;
	a->seen = a->messages = a->recipients = a->done_recipients = a->busy_recipients = a->unreadable = 0;
	timer_set_in(q->loop, &w->timer, 1);
	return 0;
}
