/* queue/ledger.h - what all workers together may do to a destination: open connections, messages per time.
 *
 * A destination has one slot, shared by the workers; each worker that has work for it is a member. Limits
 * are exact over all of them.
 *
 * The happy path of a connection:
 *   1. ledger_open() says true: the connection is the member's
 *   2. ledger_close() when it is gone
 * When all are taken: ledger_open() says false and the member is in line; those that hold connections are
 * told (`wanted`) so that they do not keep idle ones. A connection that is given back goes to the first
 * in line, whose `granted` is called on its own loop: nobody can take it in between, so no worker
 * starves. What a member does not need it gives back by ledger_close().
 *
 * A slot that nobody is a member of is forgotten once its rate is as if it had never been used.
 *
 * Ownership: the ledger owns slots; a member belongs to its worker until ledger_leave().
 * Threads: ledger_join/leave/find under one lock; a slot has its own, held for a few instructions once
 *   per connection and once per message of a destination with a rate. Members are used on their loop
 *   only.
 * Units: microseconds of loop_now_us(), which all loops of the process share within a turn's length.
 * Tests: tests/unit/queue/test_ledger.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/rate.h"
#include "base/span.h"
#include "io/loop.h"

struct ledger;
struct ledger_slot;
struct ledger_member;

struct ledger_limits {
	uint32_t connections_max;             /* 20: open at once, over all workers; at least 1 */
	uint32_t messages_per_connection_max; /* 100; 0: no limit. Delivery's to keep */
	struct rate rate;                     /* of transactions; count 0: no limit */
};

#define LEDGER_LIMITS_DEFAULT                                                                                \
	((struct ledger_limits){ .connections_max = 20, .messages_per_connection_max = 100 })

struct ledger_events {
	void (*granted)(void *arg); /* a connection is yours, as if ledger_open() had said true */
	void (*wanted)(void *arg);  /* others wait: close what is idle */
};

struct ledger *ledger_new(void);
void ledger_free(struct ledger **l); /* nobody may be a member */

/* @name is "<route>|<next hop>"; copied. The limits of the last one to come count. @loop is the caller's. */
struct ledger_member *ledger_join(struct ledger *l, struct span name, const struct ledger_limits *limits,
				  struct loop *loop, const struct ledger_events *events, void *arg);
/* Every connection must have been given back. No event comes after it. Accepts NULL. */
void ledger_leave(struct ledger_member **m, int64_t now_us);
/* A new configuration. More connections than before are granted at once to those in line; with fewer,
 * none is cut off. */
void ledger_set_limits(struct ledger_member *m, const struct ledger_limits *limits);

bool ledger_open(struct ledger_member *m); /* false: in line now, unless it was already */
void ledger_close(struct ledger_member *m);
void ledger_unqueue(struct ledger_member *m);      /* no longer in line: nothing to deliver */
bool ledger_wanted(const struct ledger_member *m); /* does anybody wait? Cheap. */

/* One message may go now; else *retry_after_us_r says how long to wait. Refund: it was not sent after all. */
bool ledger_take(struct ledger_member *m, int64_t now_us, int64_t *retry_after_us_r);
void ledger_refund(struct ledger_member *m, int64_t now_us);

/* For `postern limits` and metrics. */
struct ledger_view {
	struct span name; /* valid during the call */
	struct ledger_limits limits;
	uint32_t open, waiting, members;
	uint64_t opened_total, messages_total, refused_total; /* refused: by the rate */
	uint64_t rate_remaining;
};

void ledger_for_each(struct ledger *l, int64_t now_us, void (*see)(void *arg, const struct ledger_view *v),
		     void *arg);
