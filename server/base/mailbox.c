#include "base/mailbox.h"

void mailbox_init(struct mailbox *m, void (*wake)(void *arg), void *wake_arg)
{
	*m = (struct mailbox){ .wake = wake, .wake_arg = wake_arg };
	require(pthread_mutex_init(&m->lock, NULL) == 0);
	list_init(&m->letters);
}

void mailbox_deinit(struct mailbox *m)
{
	require(list_empty(&m->letters));
	pthread_mutex_destroy(&m->lock);
}

bool mailbox_post(struct mailbox *m, struct letter *l)
{
	pthread_mutex_lock(&m->lock);
	const bool taken = !m->closed, was_empty = list_empty(&m->letters);
	if (taken)
		list_push_back(&m->letters, &l->link);
	if (taken && was_empty)
		m->wake(m->wake_arg); /* under the lock: after a close nobody wakes a loop that is gone */
	pthread_mutex_unlock(&m->lock);
	return taken;
}

unsigned mailbox_open_all(struct mailbox *m)
{
	struct list taken;
	unsigned n = 0;

	list_init(&taken);
	pthread_mutex_lock(&m->lock);
	list_splice_back(&taken, &m->letters);
	pthread_mutex_unlock(&m->lock);
	for (struct list *l; (l = list_pop_front(&taken)) != NULL; n++) {
		struct letter *letter = list_entry(l, struct letter, link);
		letter->open(letter);
	}
	return n;
}

void mailbox_close(struct mailbox *m)
{
	pthread_mutex_lock(&m->lock);
	m->closed = true;
	pthread_mutex_unlock(&m->lock);
}
