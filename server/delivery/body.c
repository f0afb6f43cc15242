/* body.c - the message as one run of octets, whether it is in memory or in a file. */
#include <stdlib.h>

#include "base/mem.h"
#include "delivery/delivery_priv.h"

void body_init(struct body *b, struct spool_image *image)
{
	*b = (struct body){ .image = image };
}

void body_deinit(struct body *b)
{
	free(b->chunk);
	if (b->image)
		spool_image_unref(&b->image);
	*b = (struct body){ 0 };
}

uint64_t body_octets(const struct body *b)
{
	return b->image->head.n + (b->image->file_bytes ? b->image->file_bytes : b->image->body.n);
}

bool body_at_end(const struct body *b)
{
	return b->at == body_octets(b);
}

struct span body_peek(const struct body *b, size_t max)
{
	const struct spool_image *img = b->image;

	if (b->at < img->head.n)
		return span_first(span_skip(img->head, (size_t)b->at), max);
	if (img->file_bytes)
		return span_first(b->in_chunk, max);
	return span_first(span_skip(img->body, (size_t)(b->at - img->head.n)), max);
}

void body_skip(struct body *b, size_t n)
{
	if (b->at >= b->image->head.n && b->image->file_bytes)
		b->in_chunk = span_skip(b->in_chunk, n);
	b->at += n;
}

void body_seek(struct body *b, uint64_t at)
{
	b->at = at;
	b->in_chunk = (struct span){ NULL, 0 };
}

int body_read_start(struct body *b, struct scope *scope, struct spool *spool, void (*done)(struct op *op))
{
	if (!b->chunk)
		b->chunk = mem_alloc_raw(LINK_CHUNK_OCTETS);
	op_init(&b->read.op, done);
	b->read.buf = b->chunk;
	b->read.size = LINK_CHUNK_OCTETS;
	b->read.offset = b->at - b->image->head.n;
	b->read.body_octets = b->image->file_bytes;
	return spool_read_start(&b->read, scope, spool, b->image->id);
}

void body_read_done(struct body *b)
{
	b->in_chunk = span_make(b->chunk, b->read.op.status > 0 ? (size_t)b->read.op.status : 0);
}
