/* Images kept in memory until the first attempt ended, so that the common path reads nothing back. Over
 * the budget those go first that have been here longest: they wait for a destination that is slow or
 * down. */
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_priv.h"

static void drop(struct queue *q, struct queue_image *im)
{
	im->entry->image = NULL;
	list_remove(&im->link);
	q->image_bytes -= im->bytes;
	q->nimages--;
	spool_image_unref(&im->img);
	free(im);
}

void queue_image_drop(struct queue *q, struct queue_entry *e)
{
	if (e->image)
		drop(q, e->image);
}

static void make_room(struct queue *q, uint64_t bytes)
{
	list_for_each_safe(link, &q->images) {
		if (q->image_bytes + bytes <= q->cfg.image_budget_bytes)
			return;
		struct queue_image *im = list_entry(link, struct queue_image, link);
		if (im->out == 0)
			drop(q, im);
	}
}

void queue_image_keep(struct queue *q, struct queue_entry *e, struct spool_image *img)
{
	if (!img)
		return;
	const uint64_t bytes = img->meta.n + img->head.n + img->body.n + sizeof *img;
	if (!e->image)
		make_room(q, bytes);
	if (e->image || q->image_bytes + bytes > q->cfg.image_budget_bytes) {
		spool_image_unref(&img);
		return;
	}
	struct queue_image *im = mem_alloc(sizeof *im);
	im->entry = e;
	im->img = img;
	im->bytes = bytes;
	list_push_back(&q->images, &im->link);
	q->image_bytes += bytes;
	q->nimages++;
	e->image = im;
}

void queue_image_done(struct queue *q, struct queue_entry *e)
{
	if (!e->image || e->image->out > 0)
		return;
	queue_for_each_job(job,
			   e) if (job->state == QUEUE_STATE_READY || job->state == QUEUE_STATE_ENDING) return;
	drop(q, e->image);
}
