#include "queue/queue_domain.h"

#include <stdlib.h>

#include "base/mem.h"

void queue_domains_init(struct queue_domains *t)
{
	*t = (struct queue_domains){ 0 };
	map_init(&t->map);
}

void queue_domains_deinit(struct queue_domains *t)
{
	require(t->map.n == 0);
	map_deinit(&t->map);
}

struct queue_domain *queue_domain_find(struct queue_domains *t, struct span name)
{
	struct map_node *node = map_get(&t->map, name);

	return node ? map_entry(node, struct queue_domain, node) : NULL;
}

struct queue_domain *queue_domain_get(struct queue_domains *t, struct span name)
{
	struct queue_domain *d = queue_domain_find(t, name);

	if (!d) {
		d = mem_alloc(sizeof *d + name.n);
		if (name.n)
			memcpy(d->name, name.p, name.n);
		d->name_n = name.n;
		list_init(&d->link);
		map_put(&t->map, &d->node, span_make(d->name, name.n));
		t->bytes += sizeof *d + name.n;
	}
	d->refs++;
	return d;
}

void queue_domain_put(struct queue_domains *t, struct queue_domain **dp)
{
	struct queue_domain *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	require(d->refs > 0);
	if (--d->refs > 0)
		return;
	require(list_empty(&d->link) && d->pending == 0);
	t->bytes -= sizeof *d + d->name_n;
	map_remove(&t->map, &d->node);
	free(d);
}
