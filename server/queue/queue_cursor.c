#include "queue/queue_priv.h"

static struct queue_entry *entry_at(const struct queue *q, struct list *link)
{
	return link == &q->entries ? NULL : list_entry(link, struct queue_entry, all);
}

void queue_cursor_start(struct queue *q, struct queue_cursor *c)
{
	c->at = entry_at(q, q->entries.next);
	list_push_back(&q->cursors, &c->link);
}

struct queue_entry *queue_cursor_next(struct queue_cursor *c, const struct queue *q)
{
	struct queue_entry *e = c->at;

	if (e)
		c->at = entry_at(q, e->all.next);
	return e;
}

void queue_cursor_stop(struct queue_cursor *c)
{
	list_remove(&c->link);
	c->at = NULL;
}

void queue_cursors_entry_gone(struct queue *q, struct queue_entry *e)
{
	list_for_each(link, &q->cursors) {
		struct queue_cursor *c = list_entry(link, struct queue_cursor, link);
		if (c->at == e)
			c->at = entry_at(q, e->all.next);
	}
}
