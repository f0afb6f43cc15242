/* queue/queue_reason.h - what was said last about a recipient, kept once for all that were told the same.
 *
 * When a destination is down a million messages have the same last reply; a pointer each is what that may
 * cost. Replies that are all different (they hold ids) are kept within a budget; over it only their codes
 * are.
 *
 * Ownership: counted; every get wants a put. Threads: one at a time. Tests:
 * tests/unit/queue/test_queue_reason.c
 */
#pragma once

#include "base/map.h"
#include "queue/queue.h"

struct queue_reason {
	struct map_node node; /* its key is the octets below */
	uint32_t refs;
	uint16_t code, text_n;
	uint8_t enhanced_n, remote_n;
	char octets[]; /* code, lengths, enhanced, text, remote */
};

struct queue_reasons {
	struct map map;
	uint64_t bytes, budget_bytes;
};

void queue_reasons_init(struct queue_reasons *t, uint64_t budget_bytes);
void queue_reasons_deinit(struct queue_reasons *t); /* all must have been put */

/* For code, enhanced, text (cut at @text_max) and remote of @o. NULL when it says nothing at all. */
struct queue_reason *queue_reason_get(struct queue_reasons *t, const struct queue_outcome *o,
				      size_t text_max);
struct queue_reason *queue_reason_ref(struct queue_reason *r); /* accepts NULL, as put does */
void queue_reason_put(struct queue_reasons *t, struct queue_reason **r);

/* Sets code, enhanced, text and remote of *o, which live as long as @r. NULL: 0 and empty. */
void queue_reason_tell(const struct queue_reason *r, struct queue_outcome *o);
