/* state/limit.h - how often something may happen: keys with a rate, in a store that this process has alone or
 * shares.
 *
 * Asking is asynchronous, since a shared store is across the network: limit_take_start(). A store that knows
 * the answer at once (memory, a lease of the shared store) gives it by limit_try(), without an operation;
 * take_start() does that first by itself and completes at the end of the turn. When a shared store cannot be
 * asked in time, on_failure says what counts: the request is always answered, and op.status is an error only
 * when it was cancelled or the request is not one.
 *
 * What was taken and not used is given back by limit_refund(): take for the whole of a transaction first,
 * refund what was refused later.
 *
 * Ownership: a store belongs to its maker (state/limit_memory.h); requests are borrowed for the call, a take
 * until done(). Threads: any, if the store says so; a take belongs to its loop.
 * Source: GCRA of base/rate.h.  Tests: tests/unit/state/test_limit_memory.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/rate.h"
#include "base/span.h"
#include "io/op.h"

enum { LIMIT_KEY_MAX = 256 };

enum limit_mode { LIMIT_TAKE, LIMIT_PEEK };

/* When the shared store does not answer. */
#define LIMIT_ON_FAILURE_MAP(X)                                                                              \
	X(LOCAL, "local")   /* this node's fair share counts, from its own memory */                         \
	X(OPEN, "open")     /* allowed */                                                                    \
	X(CLOSED, "closed") /* not allowed */

enum limit_on_failure {
#define X(name, text) LIMIT_ON_FAILURE_##name,
	LIMIT_ON_FAILURE_MAP(X)
#undef X
};

const char *limit_on_failure_name(enum limit_on_failure f);
bool limit_on_failure_parse(struct span s, enum limit_on_failure *f_r);

/* Who gave an answer. */
#define LIMIT_SOURCE_MAP(X)                                                                                  \
	X(MEMORY, "memory") /* the store of a node that is alone */                                          \
	X(SHARED, "shared") /* the shared store, or a lease of it */                                         \
	X(LOCAL, "local")   /* the shared store failed: this node's share */                                 \
	X(FAILED, "failed") /* it failed and on_failure decided */

enum limit_source {
#define X(name, text) LIMIT_SOURCE_##name,
	LIMIT_SOURCE_MAP(X)
#undef X
};

const char *limit_source_name(enum limit_source s);

struct limit_request {
	/* 1 .. LIMIT_KEY_MAX octets: the limit's name and whom it counts, e.g. "device:minute:mfp-1234" */
	struct span key;
	struct rate rate;
	uint64_t quantity; /* >= 1 */
	enum limit_mode mode;
	enum limit_on_failure on_failure;
};

struct limit_answer {
	bool allowed;
	uint64_t remaining;     /* that could be taken after this */
	int64_t retry_after_us; /* 0 when allowed; -1: more than the burst, it can never pass */
	enum limit_source source;
};

struct limit_take {
	struct op op;
	struct limit_request request;
	struct limit_answer answer; /* valid in done() when op.status is 0 */
};

struct limit_store;

struct limit_store_ops {
	/* True: *answer_r is the answer. Never waits. */
	bool (*try_now)(struct limit_store *s, const struct limit_request *req,
			struct limit_answer *answer_r);
	/* Only asked when try_now said false. */
	int (*take_start)(struct limit_store *s, struct limit_take *t, struct scope *scope,
			  int64_t deadline_us);
	void (*refund)(struct limit_store *s, const struct limit_request *req);
};

/* The head of every implementation. */
struct limit_store {
	const struct limit_store_ops *ops;
};

/* Is it one? Key and quantity in their bounds, a rate that can be computed with. */
bool limit_request_valid(const struct limit_request *req);

/* True: decided. An invalid request is decided: not allowed, retry_after_us -1. */
bool limit_try(struct limit_store *s, const struct limit_request *req, struct limit_answer *answer_r);
/* Completes once, later. -ERR_INVAL, -ERR_CANCELED. */
int limit_take_start(struct limit_store *s, struct limit_take *t, struct scope *scope, int64_t deadline_us);
/* @req as it was taken, with the quantity that goes back. Best effort: a shared store that is away keeps
 * it. */
void limit_refund(struct limit_store *s, const struct limit_request *req);
