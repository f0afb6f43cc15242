/* base/list.h - intrusive doubly linked list.
 *
 * A `struct list` is a head when list_init()ed and otherwise a link embedded in its element. Removing an element that is in
 * no list is harmless once its link was list_init()ed.
 *
 * Threads: one at a time.  Tests: tests/unit/base/test_list.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_before(struct list *at, struct list *link)
{
	link->prev = at->prev;
	link->next = at;
	at->prev->next = link;
	at->prev = link;
}

static inline void list_push_back(struct list *head, struct list *link)
{
	list_insert_before(head, link);
}

static inline void list_push_front(struct list *head, struct list *link)
{
	list_insert_before(head->next, link);
}

static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

static inline struct list *list_first(const struct list *head)
{
	return list_empty(head) ? NULL : head->next;
}

static inline struct list *list_pop_front(struct list *head)
{
	struct list *l = list_first(head);

	if (l)
		list_remove(l);
	return l;
}

/* Moves all of @from to the end of @to. */
static inline void list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* The element in hand may be removed. */
#define list_for_each_safe(it, head)                                                                         \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                            \
	     it = it##_next, it##_next = it->next)
#define list_entry(link, type, member) container_of(link, type, member)
