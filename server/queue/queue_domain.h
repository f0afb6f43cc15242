/* queue/queue_domain.h - the domains of all recipients in the queue, each kept once.
 *
 * Ownership: counted; every get wants a put.  Threads: one at a time.  Tests: tests/unit/queue/test_queue.c
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/span.h"

enum queue_domain_retry { DOMAIN_QUIET, DOMAIN_RETRY_WANTED, DOMAIN_RETRYING };

struct queue_domain {
	struct map_node node;
	uint32_t refs;
	uint32_t pending; /* recipients that wait or are ready */
	struct list link; /* in the list of those that are to be tried now; counts as a reference */
	enum queue_domain_retry retry;
	size_t name_n;
	char name[];
};

struct queue_domains {
	struct map map;
	uint64_t bytes;
};

void queue_domains_init(struct queue_domains *t);
void queue_domains_deinit(struct queue_domains *t); /* all must have been put */

struct queue_domain *queue_domain_get(struct queue_domains *t, struct span name);
struct queue_domain *queue_domain_find(struct queue_domains *t, struct span name); /* no reference; or NULL */
void queue_domain_put(struct queue_domains *t, struct queue_domain **d);

static inline struct span queue_domain_name(const struct queue_domain *d)
{
	return span_make(d->name, d->name_n);
}
