/* queue/queue_action.h - what operators ask of the queue: look, retry, hold, release, bounce, remove, by
 * any selector.
 *
 * An action walks over all messages of the worker in slices, so that a million of them do not keep the
 * loop from its mail. What the memory does not know (sender, recipient, device) is read from the spool, a
 * few messages at a time; messages that go meanwhile are left out. It completes when its effects are on
 * the disk.
 *
 * A selector that names recipients (to, domain, destination, status, held_reason) selects those; an order
 * is carried out for the selected recipients only. One that is in delivery's hands cannot be held,
 * bounced or removed: it is counted as busy.
 *
 * Ownership: the caller's, embedded; spans must live until done().  Threads: the loop's.
 * Tests: tests/unit/queue/test_queue_action.c
 */
#pragma once

#include "io/op.h"
#include "queue/queue.h"

/* Everything that is set must match. Text is compared without case. */
struct queue_select {
	const uint64_t *ids; /* any of these; NULL: all */
	uint32_t nids;
	struct span to, from;    /* "a@b", "@domain", or a glob with * and ?; from "<>": the null path */
	struct span device;      /* exact or a glob; the device or authenticated name that sent it */
	struct span domain;      /* of the recipient: exact, "@suffix" (it and all below it) or a glob */
	struct span destination; /* "<route>|<next hop>", its next hop, or a glob over either */
	struct span held_reason; /* glob or exact; implies held */
	int64_t older_than_us;   /* since its arrival; 0: any age */
	unsigned status;         /* 1 << enum queue_state, or-ed; 0: any */
};

enum queue_verb {
	QUEUE_VERB_LS,    /* rows only */
	QUEUE_VERB_RETRY, /* tried as soon as a connection is free; a destination that backs off is probed */
	QUEUE_VERB_HOLD,  /* with reason */
	QUEUE_VERB_RELEASE, /* held ones are tried again */
	QUEUE_VERB_BOUNCE,  /* returned to the sender with reason */
	QUEUE_VERB_REMOVE,  /* gone without a word to the sender */
};

struct queue_row_rcpt {
	uint32_t index; /* into the envelope */
	enum queue_state state;
	unsigned attempts;
	int64_t next_at_us; /* wall clock; 0: now, or when somebody says so */
	struct span domain, destination;
	/* what the last attempt brought; code 0 and no text: none was made. Held: text is the reason */
	struct queue_outcome last;
};

/* A message with the recipients that match. Valid during the call. */
struct queue_row {
	uint64_t id;
	int64_t arrived_at_us;
	uint64_t size_bytes;
	uint32_t nrcpt_left;        /* all that are not settled */
	const struct envelope *env; /* NULL if the action did not read it */
	const struct queue_row_rcpt *rcpt;
	uint32_t nrcpt;
};

struct queue_action {
	/* 0, or -ERR_CANCELED, -ERR_TIMEOUT (what was done until then stays done), -ERR_IO (not on the
	 * disk) */
	struct op op;
	enum queue_verb verb;
	struct queue_select select;
	struct span reason, actor;
	bool dry_run;       /* rows and counts, no effect */
	bool want_envelope; /* rows carry the envelope: each message is read */
	uint64_t skip, max; /* of the messages that match: rows and orders only for these; max 0: all */
	void (*row)(struct queue_action *a,
		    const struct queue_row *row); /* may be NULL; no queue function may be called from it */

	/* results */
	uint64_t seen;                 /* messages looked at */
	uint64_t messages, recipients; /* that matched */
	uint64_t done_recipients;      /* that the order was carried out for (would be, with dry_run) */
	uint64_t busy_recipients;      /* out with delivery */
	uint64_t unreadable;           /* messages that could not be read */

	struct queue_walk *walk_; /* internal */
};

void queue_action_init(struct queue_action *a, void (*done)(struct op *op));
/* -ERR_INVAL: hold, bounce or remove without a reason. -ERR_CANCELED. */
int queue_action_start(struct queue_action *a, struct scope *scope, struct queue *q, int64_t deadline_us);
