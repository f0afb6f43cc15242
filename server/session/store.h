/* session/store.h - where an accepted message goes: the spool and queue, or what a test and `postern simulate` put there.
 *
 * The order is begin, body ..., then commit or abort. After commit's op.done with status 0 the message is durable, or whatever
 * "accepted" means to that store.
 *
 * Threads: the worker's loop.  Ownership: a message is consumed by commit and abort.
 *
 * Tests: tests/unit/session/test_body.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "base/span.h"
#include "io/op.h"
#include "spool/envelope.h"

struct store_message; /* the store's */

struct store_commit {
	struct op op;
	void *store_; /* the store's while it runs */
};

struct session_store_ops {
	/* -ERR_NOSPACE, -ERR_IO, -ERR_CLOSED: 452. */
	int (*begin)(void *impl, uint64_t size_hint, struct store_message **m_r);
	/* The queue id that the message will have. */
	struct id (*id)(void *impl, const struct store_message *m);
	/* Copies. -ERR_AGAIN: taken, wait for `room`; others: abort. */
	int (*body)(void *impl, struct store_message *m, struct span piece);
	void (*on_room)(void *impl, struct store_message *m, void (*room)(void *arg), void *arg);
	/* All of the body so far if it is in memory. */
	struct span (*peek)(void *impl, const struct store_message *m);
	/* @env and @head are used before it returns. op.status: 0, -ERR_NOSPACE, -ERR_IO. */
	int (*commit)(void *impl, struct store_commit *c, struct scope *scope, struct store_message **m,
		      const struct envelope *env, struct span head);
	void (*abort)(void *impl, struct store_message **m);
};

struct session_store {
	const struct session_store_ops *ops;
	void *impl;
};
