/* base/mailbox.h - letters from any thread to one thread: locked, as only the log sink and labelled metrics are besides.
 *
 * A letter is embedded in its owner; posting never allocates. The receiver takes all letters at once. `wake` is called, on the
 * posting thread, when the mailbox goes from empty to not empty; it must be safe from any thread (uv_async_send, a condition).
 *
 * A letter is in one mailbox at most, and may be posted again once it was opened.
 *
 * Ownership: a posted letter belongs to the receiver.  Tests: tests/unit/base/test_mailbox.c
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"

struct letter {
	struct list link;
	void (*open)(struct letter *l); /* run by the receiver */
};

struct mailbox {
	pthread_mutex_t lock;
	struct list letters;
	bool closed;
	void (*wake)(void *arg);
	void *wake_arg;
};

void mailbox_init(struct mailbox *m, void (*wake)(void *arg), void *wake_arg);
void mailbox_deinit(struct mailbox *m); /* must be empty */

/* Returns false, and does not take the letter, once the mailbox is closed. */
bool mailbox_post(struct mailbox *m, struct letter *l);
/* Opens all letters that are there, in order, on the calling thread. Returns how many. */
unsigned mailbox_open_all(struct mailbox *m);
/* No letters are taken from now on; those that are there can still be opened. */
void mailbox_close(struct mailbox *m);
