/* model_spool.h - spool/spool.h for one thread: the real log on a disk of fs_model.h, stepped by the
 * simulation, so that a run can be repeated. Commits, reads and syncs take as many steps as chance wants;
 * reads fail now and then.
 *
 * When `dead` is set the machine has stopped: nothing reaches the disk any more, and everybody is told that
 * it failed.
 */
#pragma once

#include "base/check.h"
#include "base/mem.h"
#include "spool/spool.h"
#include "spool/spool_log.h"

#include "fs_model.h"

enum { MODEL_SPOOL_SEGMENT = 16 * 1024 };

struct spool {
	struct loop *loop;
	struct model *disk;
	struct model_rng *rng;
	struct spool_log *log;
	struct spool_batch *batch;
	struct spool_chore *chore;
	bool batch_written, chore_ran, dead;
	unsigned busy_percent; /* loads that fail for now */
	uint64_t loads, notes, drops, compacted, images;
};

/* ---- images -------------------------------------------------------------------------------------------- */

struct model_image {
	struct spool_image pub;
	struct spool *spool;
	char *octets;
};

static inline struct spool_image *model_image_new(struct spool *s, uint64_t id, char *octets,
						  struct spool_message m)
{
	struct model_image *im = mem_alloc(sizeof *im);

	im->pub = (struct spool_image){ .refs = 1, .id = id, .meta = m.meta, .head = m.head, .body = m.body };
	im->spool = s;
	im->octets = octets;
	s->images++;
	return &im->pub;
}

struct spool_image *spool_image_ref(struct spool_image *img)
{
	img->refs++;
	return img;
}

void spool_image_unref(struct spool_image **imgp)
{
	struct spool_image *img = *imgp;

	*imgp = NULL;
	if (!img || --img->refs > 0)
		return;
	struct model_image *im = container_of(img, struct model_image, pub);
	im->spool->images--;
	free(im->octets);
	free(im);
}

/* ---- what the queue calls ------------------------------------------------------------------------------ */

void spool_note(struct spool *s, uint64_t id, struct span note)
{
	s->notes++;
	if (!s->dead)
		spool_log_note(s->log, id, note);
}

void spool_drop(struct spool *s, uint64_t id)
{
	s->drops++;
	if (!s->dead)
		spool_log_drop(s->log, id);
}

static inline void model_op_cancel(struct op *op)
{
	op_complete(op, -ERR_CANCELED);
}

int spool_load_start(struct spool_load *ld, struct scope *scope, struct spool *s, uint64_t id)
{
	struct spool_place place;
	struct spool_message m;
	char *octets;
	int ret = op_begin(&ld->op, scope, "load", 60000000, model_op_cancel);

	if (ret < 0)
		return ret;
	s->loads++;
	ld->image = NULL;
	ret = s->dead || model_chance(s->rng, s->busy_percent) ? -ERR_BUSY
							       : spool_log_pin(s->log, id, &place);
	if (ret >= 0) {
		ret = spool_place_read(&s->disk->fs, "log", &place, id, &octets, &m);
		spool_log_unpin(s->log, &place);
	}
	if (ret >= 0)
		ld->image = model_image_new(s, id, octets, m);
	op_complete(&ld->op, ret);
	return 0;
}

struct model_sync {
	struct spool_rec rec;
	struct op *op;
};

static inline void model_sync_ended(struct spool_rec *r, int status)
{
	struct model_sync *sync = container_of(r, struct model_sync, rec);

	op_complete(sync->op, status);
	free(sync);
}

static inline void model_sync_cancel(struct op *op)
{
	(void)op; /* its barrier completes it */
}

int spool_sync_start(struct op *op, struct scope *scope, struct spool *s)
{
	const int ret = op_begin(op, scope, "sync", INT64_MAX / 4, model_sync_cancel);

	if (ret < 0)
		return ret;
	if (s->dead) {
		op_complete(op, -ERR_IO);
		return 0;
	}
	struct model_sync *sync = mem_alloc(sizeof *sync);
	sync->op = op;
	sync->rec.done = model_sync_ended;
	spool_log_barrier(s->log, &sync->rec);
	return 0;
}

/* Not for this simulation: its messages are small, and nobody exports them. */
int spool_read_start(struct spool_read *r, struct scope *scope, struct spool *s, uint64_t id)
{
	(void)r, (void)scope, (void)s, (void)id;
	return -ERR_UNSUPPORTED;
}

/* ---- commits ------------------------------------------------------------------------------------------- */

struct model_commit {
	struct spool_rec rec;
	struct spool *spool;
	char *octets;
	size_t head_at, body_at, end;
	void (*done)(void *arg, struct model_commit *c,
		     int status); /* frees nothing; c->id and image are valid */
	void *arg;
	uint64_t id;
};

/* A reference on an image of what was committed; for done(0). Once. */
static inline struct spool_image *model_commit_image(struct model_commit *c)
{
	char *octets = mem_alloc_raw(c->end);
	struct spool_message m;

	memcpy(octets, c->octets, c->end);
	require(spool_message_parse(span_make(octets, c->end), 0, &m) == 0);
	return model_image_new(c->spool, c->id, octets, m);
}

static inline void model_commit_ended(struct spool_rec *r, int status)
{
	struct model_commit *c = container_of(r, struct model_commit, rec);

	c->done(c->arg, c, c->spool->dead ? -ERR_IO : status);
	free(c->octets);
	free(c);
}

/* Returns the id, which the message has from now on; done() comes once, later. */
static inline uint64_t model_commit_start(struct spool *s, struct span meta, struct span head,
					  struct span body,
					  void (*done)(void *arg, struct model_commit *c, int status),
					  void *arg)
{
	struct model_commit *c = mem_alloc(sizeof *c);

	c->spool = s;
	c->done = done;
	c->arg = arg;
	c->id = spool_log_new_id(s->log, loop_wall_us(s->loop));
	c->end = SPOOL_MESSAGE_PREFIX + meta.n + head.n + body.n;
	c->octets = mem_alloc_raw(c->end);
	spool_message_prefix((uint32_t)meta.n, (uint32_t)head.n, body.n, c->octets);
	memcpy(c->octets + SPOOL_MESSAGE_PREFIX, meta.p, meta.n);
	memcpy(c->octets + SPOOL_MESSAGE_PREFIX + meta.n, head.p, head.n);
	memcpy(c->octets + SPOOL_MESSAGE_PREFIX + meta.n + head.n, body.p, body.n);
	c->rec.type = SPOOL_RECORD_MESSAGE;
	c->rec.id = c->id;
	c->rec.payload[0] = span_make(c->octets, c->end);
	c->rec.done = model_commit_ended;
	const uint64_t id = c->id;
	if (s->dead || spool_log_add(s->log, &c->rec) < 0)
		model_commit_ended(&c->rec, -ERR_IO);
	return id;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static inline void model_spool_step_batch(struct spool *s)
{
	if (!s->batch) {
		s->batch = spool_log_seal(s->log, loop_wall_us(s->loop));
		s->batch_written = false;
	} else if (!s->batch_written) {
		spool_batch_write(s->batch);
		s->batch_written = true;
	} else {
		spool_log_written(s->log, &s->batch, loop_now_us(s->loop));
	}
}

static inline void model_spool_step_chore(struct spool *s)
{
	int64_t again_us;

	if (!s->chore) {
		s->chore = spool_log_chore(s->log, loop_now_us(s->loop), loop_wall_us(s->loop), &again_us);
		s->chore_ran = false;
	} else if (!s->chore_ran) {
		spool_chore_run(s->chore);
		s->chore_ran = true;
	} else {
		spool_log_chore_done(s->log, &s->chore, loop_now_us(s->loop));
	}
}

static inline void model_spool_report(void *arg, const struct spool_report *r)
{
	struct spool *s = arg;

	s->compacted += r->kind == SPOOL_REPORT_COMPACTED;
}

static inline int model_spool_open(struct spool *s, const struct spool_recovery *owner)
{
	struct spool_log_found found;
	struct errtext e = { "" };
	const struct spool_log_config cfg = { .fs = &s->disk->fs,
					      .dir = "log",
					      .number = 7,
					      .segment_octets = MODEL_SPOOL_SEGMENT,
					      .spares_max = 2,
					      .ahead = true,
					      .owner = owner,
					      .report = model_spool_report,
					      .report_arg = s };

	s->dead = false;
	return spool_log_open(&s->log, &cfg, &found, &e);
}

/* The machine has stopped, or everything is synced. */
static inline void model_spool_close(struct spool *s)
{
	while (s->batch)
		model_spool_step_batch(s);
	while (s->chore)
		model_spool_step_chore(s);
	spool_log_free(&s->log);
}
