#include "io/out_queue.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

struct out_seg {
	struct out_seg *next;
	const char *p; /* what is not sent yet */
	size_t n;
	void (*release)(void *arg); /* references only */
	void *arg;
	char *room; /* copies: where the next octet goes; NULL: a reference */
	char data[];
};

static struct out_seg *seg_take(struct out_pool *pool, bool copy)
{
	struct out_seg **list = copy ? &pool->copies : &pool->refs;
	struct out_seg *seg = *list;

	if (seg) {
		*list = seg->next;
		*(copy ? &pool->copies_n : &pool->refs_n) -= 1;
	} else {
		seg = mem_alloc_raw(copy ? OUT_SEG_BYTES : sizeof *seg);
	}
	*seg = (struct out_seg){ .p = seg->data, .room = copy ? seg->data : NULL };
	return seg;
}

static void seg_give(struct out_pool *pool, struct out_seg *seg)
{
	const bool copy = seg->room != NULL;
	struct out_seg **list = copy ? &pool->copies : &pool->refs;
	unsigned *n = copy ? &pool->copies_n : &pool->refs_n;

	if (seg->release)
		seg->release(seg->arg);
	if (*n >= OUT_POOL_MAX) {
		free(seg);
		return;
	}
	seg->next = *list;
	*list = seg;
	*n += 1;
}

static void free_all(struct out_seg *seg)
{
	while (seg) {
		struct out_seg *next = seg->next;
		free(seg);
		seg = next;
	}
}

void out_pool_deinit(struct out_pool *pool)
{
	free_all(pool->copies);
	free_all(pool->refs);
	*pool = (struct out_pool){ 0 };
}

static void append(struct out_queue *q, struct out_seg *seg)
{
	if (q->last)
		q->last->next = seg;
	else
		q->first = seg;
	q->last = seg;
}

static size_t seg_room(const struct out_seg *seg)
{
	return seg && seg->room ? (size_t)((const char *)seg + OUT_SEG_BYTES - seg->room) : 0;
}

void out_queue_add(struct out_queue *q, struct out_pool *pool, struct span data)
{
	q->pending_bytes += data.n;
	while (data.n > 0) {
		if (seg_room(q->last) == 0)
			append(q, seg_take(pool, true));
		struct out_seg *seg = q->last;
		const struct span part = span_first(data, seg_room(seg));
		memcpy(seg->room, part.p, part.n);
		seg->room += part.n;
		seg->n += part.n;
		data = span_skip(data, part.n);
	}
}

void out_queue_add_ref(struct out_queue *q, struct out_pool *pool, struct span data,
		       void (*release)(void *arg), void *arg)
{
	struct out_seg *seg = seg_take(pool, false);

	seg->p = data.p;
	seg->n = data.n;
	seg->release = release;
	seg->arg = arg;
	q->pending_bytes += data.n;
	append(q, seg);
}

unsigned out_queue_iov(const struct out_queue *q, struct iovec *iov, unsigned max)
{
	unsigned count = 0;

	for (const struct out_seg *seg = q->first; seg && count < max; seg = seg->next)
		if (seg->n > 0)
			iov[count++] = (struct iovec){ .iov_base = (void *)seg->p, .iov_len = seg->n };
	return count;
}

/* Takes the segments off whose octets are all among the first *@n; leaves in *@n what is gone of the one
 * behind them. */
static struct out_seg *detach_sent(struct out_queue *q, size_t *n)
{
	struct out_seg *done = q->first, **end = &done;

	while (*end && *n >= (*end)->n) {
		*n -= (*end)->n;
		end = &(*end)->next;
	}
	q->first = *end;
	if (!q->first)
		q->last = NULL;
	*end = NULL;
	return done;
}

/* The queue is in order by now: a `release` may write to it or send from it. */
static void give_chain(struct out_pool *pool, struct out_seg *seg)
{
	while (seg) {
		struct out_seg *next = seg->next;
		seg_give(pool, seg);
		seg = next;
	}
}

void out_queue_sent(struct out_queue *q, struct out_pool *pool, size_t n)
{
	require(n <= q->pending_bytes);
	q->pending_bytes -= n;
	struct out_seg *done = detach_sent(q, &n);
	if (n > 0) {
		require(q->first);
		q->first->p += n;
		q->first->n -= n;
	}
	give_chain(pool, done);
}

void out_queue_clear(struct out_queue *q, struct out_pool *pool)
{
	struct out_seg *all = q->first;

	*q = (struct out_queue){ 0 };
	give_chain(pool, all);
}
