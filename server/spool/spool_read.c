/* Loads and reads are jobs of their own that outlive a cancelled op: then nobody is told and what was read is thrown away. */
#include "spool/spool_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

/* ---- a whole message, or meta and head of a large one --------------------------------------------------------- */

struct load {
	struct spool_job job;
	struct spool_load *owner; /* NULL: nobody waits any more */
	struct spool_volume *volume;
	struct spool_place place;
	uint64_t id;
	int status;
	char *octets;
	struct spool_message message;
};

static void cancel_load(struct op *op)
{
	struct spool_load *ld = container_of(op, struct spool_load, op);
	struct load *l = ld->internal_;

	if (l)
		l->owner = NULL;
	ld->internal_ = NULL;
	op_complete(op, -ERR_CANCELED);
}

static void run_load(struct spool_job *j)
{
	struct load *l = container_of(j, struct load, job);

	l->status = spool_place_read(j->spool->fs, l->volume->dir, &l->place, l->id, &l->octets, &l->message);
}

static struct spool_image *image_of(const struct load *l)
{
	struct spool_image_own *own =
		spool_image_new(l->job.spool->memory, l->id, l->octets, NULL, l->place.octets);

	own->image.meta = l->message.meta;
	own->image.head = l->message.head;
	own->image.body = l->message.body;
	own->image.file_bytes = l->place.large ? l->message.body_octets : 0;
	return &own->image;
}

static void loaded(struct spool_job *j)
{
	struct load *l = container_of(j, struct load, job);
	struct spool_load *ld = l->owner;

	spool_log_unpin(l->volume->log, &l->place);
	if (ld && l->status == 0) {
		ld->image = image_of(l);
	} else {
		j->spool->memory->used -= l->place.octets;
		free(l->octets);
	}
	if (ld) {
		ld->internal_ = NULL;
		op_complete(&ld->op, l->status);
	}
	free(l);
}

int spool_load_start(struct spool_load *ld, struct scope *scope, struct spool *s, uint64_t id)
{
	struct spool_volume *v = spool_volume_of(s, id);
	struct spool_place place;

	int r = op_begin(&ld->op, scope, "spool load", SPOOL_READ_US, cancel_load);
	if (r < 0)
		return r;
	ld->image = NULL;
	ld->internal_ = NULL;
	r = s->closing ? -ERR_CLOSED : v ? spool_log_pin(v->log, id, &place) : -ERR_NOTFOUND;
	if (r < 0) {
		op_complete(&ld->op, r);
		return 0;
	}
	/* One message goes, whatever its size, when nothing else is in memory. */
	if (s->memory->used && !spool_memory_fits(s->memory, place.octets)) {
		spool_log_unpin(v->log, &place);
		op_complete(&ld->op, -ERR_BUSY);
		return 0;
	}
	struct load *l = mem_alloc(sizeof *l);
	l->owner = ld;
	l->volume = v;
	l->place = place;
	l->id = id;
	ld->internal_ = l;
	s->memory->used += place.octets;
	spool_job_start(s, &l->job, run_load, loaded);
	return 0;
}

/* ---- a piece of a large body ---------------------------------------------------------------------------------- */

struct piece {
	struct spool_job job;
	struct spool_read *owner; /* NULL: nobody waits any more */
	const char *dir;
	uint64_t id, body_octets, offset;
	size_t n;
	int64_t got;
	char octets[]; /* the caller's buffer may be gone before the thread has read */
};

static void cancel_read(struct op *op)
{
	struct spool_read *rd = container_of(op, struct spool_read, op);
	struct piece *p = rd->internal_;

	if (p)
		p->owner = NULL;
	rd->internal_ = NULL;
	op_complete(op, -ERR_CANCELED);
}

static void run_read(struct spool_job *j)
{
	struct piece *p = container_of(j, struct piece, job);

	p->got = spool_body_read(j->spool->fs, p->dir, p->id, p->body_octets, p->octets, p->n, p->offset);
}

static void piece_read(struct spool_job *j)
{
	struct piece *p = container_of(j, struct piece, job);
	struct spool_read *rd = p->owner;

	j->spool->memory->used -= p->n;
	if (rd) {
		if (p->got > 0)
			memcpy(rd->buf, p->octets, (size_t)p->got);
		rd->internal_ = NULL;
		op_complete(&rd->op, (int)p->got);
	}
	free(p);
}

int spool_read_start(struct spool_read *rd, struct scope *scope, struct spool *s, uint64_t id)
{
	const struct spool_volume *v = spool_volume_of(s, id);
	bool large = false;

	const int r = op_begin(&rd->op, scope, "spool read", SPOOL_READ_US, cancel_read);
	if (r < 0)
		return r;
	rd->internal_ = NULL;
	if (s->closing || !v || !spool_log_has(v->log, id, &large) || !large) {
		op_complete(&rd->op, s->closing ? -ERR_CLOSED : -ERR_NOTFOUND);
		return 0;
	}
	struct piece *p = mem_alloc_raw(sizeof *p + rd->size);
	*p = (struct piece){
		.owner = rd, .dir = v->dir, .id = id, .body_octets = rd->body_octets, .offset = rd->offset
	};
	p->n = rd->size < INT32_MAX ? rd->size : INT32_MAX;
	rd->internal_ = p;
	s->memory->used += p->n;
	spool_job_start(s, &p->job, run_read, piece_read);
	return 0;
}
