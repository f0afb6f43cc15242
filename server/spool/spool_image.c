#include "spool/spool_priv.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

struct spool_memory *spool_memory_new(uint64_t octets_max)
{
	struct spool_memory *m = mem_alloc(sizeof *m);

	m->refs = 1;
	m->max = octets_max;
	return m;
}

void spool_memory_unref(struct spool_memory *m)
{
	if (m && --m->refs == 0)
		free(m);
}

bool spool_memory_fits(const struct spool_memory *m, uint64_t octets)
{
	return m->used <= m->max && octets <= m->max - m->used;
}

struct spool_image_own *spool_image_new(struct spool_memory *m, uint64_t id, char *block, char *body,
					uint64_t counted)
{
	struct spool_image_own *own = mem_alloc(sizeof *own);

	own->image.refs = 1;
	own->image.id = id;
	own->memory = m;
	own->counted = counted;
	own->block = block;
	own->body = body;
	m->refs++;
	return own;
}

struct spool_image *spool_image_ref(struct spool_image *img)
{
	require(img->refs > 0);
	img->refs++;
	return img;
}

void spool_image_unref(struct spool_image **img_p)
{
	struct spool_image *img = *img_p;

	if (!img)
		return;
	*img_p = NULL;
	require(img->refs > 0);
	if (--img->refs)
		return;
	struct spool_image_own *own = container_of(img, struct spool_image_own, image);
	own->memory->used -= own->counted;
	spool_memory_unref(own->memory);
	free(own->block);
	free(own->body);
	free(own);
}
