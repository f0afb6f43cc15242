/* What is done beside the batches, by any thread: the next segment is made before it is needed, files of what is settled are
 * given back, segments are read for compaction.
 *
 * A file is given back in three steps, so that a crash at any time leaves nothing settled behind that could come back: it loses
 * its name, that is made durable, and only then the segments that it needed may go the same way. If the second step fails, nobody
 * knows; then the segment stays on the books, as LOST, until the next start looks at the disk.
 */
#include "spool/spool_log_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "spool/spool_scan.h"

enum { FILES_MAX = 32, BODIES_MAX = 256, PIECE_OCTETS = 1024 * 1024, ITEMS_MAX = 4096 };

enum chore_kind { CHORE_MAKE, CHORE_FREE, CHORE_READ };

struct freed {
	uint32_t seq;
	bool spare; /* keep the file for another segment */
	bool gone;
};

struct spool_chore {
	enum chore_kind kind;
	const struct spool_fs *fs;
	const char *dir;
	int err; /* -ERR_x */
	struct errtext e;
	/* MAKE */
	struct spool_make make;
	int fd;
	/* FREE */
	struct freed file[FILES_MAX];
	unsigned nfiles;
	uint64_t body[BODIES_MAX];
	unsigned nbodies;
	struct spool_body_given given[SPOOL_GIVEN_MAX];
	unsigned ngiven, given_max;
	uint64_t freed_octets;
	/* READ */
	uint32_t seq;
	uint64_t epoch, from, at, end;
	bool messages; /* some of them may be live */
	struct spool_item *items;
	size_t nitems;
};

bool spool_chore_makes(const struct spool_chore *c)
{
	return c && c->kind == CHORE_MAKE;
}

/* ---- choosing ------------------------------------------------------------------------------------------------- */

static bool wants_segment(const struct spool_log *log)
{
	if (log->next.seq)
		return false;
	if (log->broken)
		return true;
	return log->cfg.ahead && (!log->active || log->active->end > log->active->octets / 2);
}

static struct spool_chore *chore_new(const struct spool_log *log, enum chore_kind kind)
{
	struct spool_chore *c = mem_alloc(sizeof *c);

	c->kind = kind;
	c->fs = log->cfg.fs;
	c->dir = log->dir;
	c->fd = -1;
	return c;
}

static struct spool_chore *choose_make(struct spool_log *log, int64_t wall_us)
{
	struct spool_chore *c = chore_new(log, CHORE_MAKE);

	c->make = (struct spool_make){
		.fs = log->cfg.fs,
		.dir = log->dir,
		.header = spool_log_next_header(log, log->cfg.segment_octets, wall_us),
	};
	if (log->nspares)
		c->make.spare = log->spare[--log->nspares];
	return c;
}

static struct spool_chore *choose_free(struct spool_log *log)
{
	unsigned spares = log->nspares;

	if (!log->look_for_free && !log->nbodies)
		return NULL; /* as at the end of most turns */
	struct spool_chore *c = chore_new(log, CHORE_FREE);
	for (size_t i = 0; log->look_for_free && i < log->segments.n && c->nfiles < FILES_MAX; i++) {
		struct spool_segment *seg = log->segments.v[i];
		if (!spool_segment_is_free(seg))
			continue;
		seg->state = SPOOL_SEGMENT_FREEING;
		const bool spare =
			!seg->bad && seg->octets == log->cfg.segment_octets && spares < log->cfg.spares_max;
		spares += spare;
		c->file[c->nfiles++] = (struct freed){ .seq = seg->seq, .spare = spare };
	}
	log->look_for_free = c->nfiles == FILES_MAX;
	c->given_max = log->cfg.spares_max ? SPOOL_GIVEN_MAX - log->ngiven : 0;
	while (log->nbodies && c->nbodies < BODIES_MAX)
		c->body[c->nbodies++] = log->bodies[--log->nbodies];
	if (c->nfiles || c->nbodies)
		return c;
	free(c);
	return NULL;
}

static struct spool_chore *choose_read(struct spool_log *log)
{
	const struct spool_segment *seg = log->compaction.segment;
	struct spool_chore *c = chore_new(log, CHORE_READ);

	c->seq = seg->seq;
	c->epoch = seg->epoch;
	c->from = c->at = log->compaction.at;
	c->end = seg->end;
	c->messages = seg->live > 0;
	return c;
}

struct spool_chore *spool_log_chore(struct spool_log *log, int64_t now_us, int64_t wall_us,
				    int64_t *again_us_r)
{
	struct spool_chore *c = NULL;
	int64_t again_us = 0;

	*again_us_r = 0;
	if (log->chore)
		return NULL;
	spool_compact_settle(log);
	const bool make = wants_segment(log);
	if (make && now_us >= log->retry_us)
		c = choose_make(log, wall_us);
	if (!c)
		c = choose_free(log);
	if (!c && !log->broken && spool_compact_wants(log, now_us, &again_us))
		c = choose_read(log);
	if (!c && make && (!again_us || log->retry_us < again_us))
		again_us = log->retry_us;
	*again_us_r = c ? 0 : again_us;
	log->chore = c;
	return c;
}

/* ---- running -------------------------------------------------------------------------------------------------- */

/* The file is kept for another body, or goes. One that stays, or comes back with a crash, has no message and is removed at the
 * next start. */
static void free_body(struct spool_chore *c, uint64_t id)
{
	const struct spool_path path = spool_file_path(c->dir, SPOOL_FILE_BODY, id);
	const struct spool_path given = spool_file_path(c->dir, SPOOL_FILE_GIVEN, id);
	const int fd = c->fs->open(c->fs->arg, path.s, SPOOL_FS_READ);
	const int64_t octets = fd < 0 ? 0 : c->fs->size(c->fs->arg, fd);

	if (fd >= 0)
		c->fs->close(c->fs->arg, fd);
	if (octets > 0 && octets <= SPOOL_GIVEN_OCTETS_MAX && c->ngiven < c->given_max &&
	    c->fs->rename(c->fs->arg, path.s, given.s) == 0)
		c->given[c->ngiven++] = (struct spool_body_given){ id, (uint64_t)octets };
	else if (c->fs->unlink(c->fs->arg, path.s) == 0 && octets > 0)
		c->freed_octets += (uint64_t)octets;
}

static void run_free(struct spool_chore *c)
{
	for (unsigned i = 0; i < c->nfiles; i++) {
		const struct spool_path from = spool_file_path(c->dir, SPOOL_FILE_LOG, c->file[i].seq);
		const struct spool_path to = spool_file_path(c->dir, SPOOL_FILE_SPARE, c->file[i].seq);
		const int r = c->file[i].spare ? c->fs->rename(c->fs->arg, from.s, to.s)
					       : c->fs->unlink(c->fs->arg, from.s);
		c->file[i].gone = r == 0 || r == -ENOENT;
		c->file[i].spare &= r == 0;
		if (!c->file[i].gone)
			c->err = spool_fs_error(&c->e, r, "give back", from.s);
	}
	const int r = c->nfiles ? c->fs->sync_dir(c->fs->arg, c->dir) : 0;
	if (r < 0) {
		c->err = spool_fs_error(&c->e, r, "sync", c->dir);
		for (unsigned i = 0; i < c->nfiles; i++)
			c->file[i].gone = false;
	}
	for (unsigned i = 0; i < c->nbodies; i++)
		free_body(c, c->body[i]);
}

static bool take_item(const struct spool_scan *sc, struct spool_item *item_r)
{
	const struct spool_record *r = &sc->record;
	struct spool_message m;
	struct spool_item item = { .type = r->type, .flags = r->flags, .id = r->id, .at = sc->at };

	switch (r->type) {
	case SPOOL_RECORD_MESSAGE:
		if (spool_message_parse(r->payload, r->flags, &m) < 0)
			return false;
		item.payload_octets =
			r->payload_octets - (uint32_t)m.note.n; /* its state is newer in memory */
		item.payload = mem_alloc_raw(item.payload_octets);
		memcpy(item.payload, r->payload.p, item.payload_octets);
		break;
	case SPOOL_RECORD_DROP:
		if (spool_drop_parse(r->payload, &item.home) < 0)
			return false;
		break;
	case SPOOL_RECORD_NOTE:
		break;
	default:
		return false;
	}
	*item_r = item;
	return true;
}

static void run_read(struct spool_chore *c)
{
	const struct spool_path path = spool_file_path(c->dir, SPOOL_FILE_LOG, c->seq);
	const int fd = c->fs->open(c->fs->arg, path.s, SPOOL_FS_READ);
	enum spool_scan_found found = SPOOL_SCAN_RECORD;
	struct spool_scan sc;

	if (fd < 0) {
		c->err = spool_fs_error(&c->e, fd, "open", path.s);
		return;
	}
	c->items = mem_alloc_array(ITEMS_MAX, sizeof *c->items);
	spool_scan_init(&sc, c->fs, fd, c->epoch, c->from, c->end);
	while (c->at - c->from < PIECE_OCTETS && c->nitems < ITEMS_MAX) {
		found = spool_scan_next(&sc);
		if (found != SPOOL_SCAN_RECORD)
			break;
		if (c->messages || sc.record.type != SPOOL_RECORD_MESSAGE)
			c->nitems += take_item(&sc, &c->items[c->nitems]);
		c->at = sc.next_at;
	}
	/* It was whole when it was written: an end before the end is damage. */
	if (found == SPOOL_SCAN_END && sc.next_at >= c->end)
		c->at = c->end;
	else if (found != SPOOL_SCAN_RECORD)
		c->err = errtext_set(&c->e, ERR_CORRUPT, "%s: no record where one should be", path.s);
	spool_scan_deinit(&sc);
	c->fs->close(c->fs->arg, fd);
}

void spool_chore_run(struct spool_chore *c)
{
	switch (c->kind) {
	case CHORE_MAKE:
		c->fd = spool_file_make(&c->make, &c->e);
		c->err = c->fd < 0 ? c->fd : 0;
		break;
	case CHORE_FREE:
		run_free(c);
		break;
	case CHORE_READ:
		run_read(c);
		break;
	}
}

/* ---- done ----------------------------------------------------------------------------------------------------- */

static void made(struct spool_log *log, struct spool_chore *c, int64_t now_us)
{
	if (c->err) {
		log->retry_us = now_us + SPOOL_RETRY_US;
		if (log->broken)
			log->why = c->e;
		return;
	}
	log->next = c->make.header;
	log->next_fd = c->fd;
	log->retry_us = 0;
	spool_log_mend(log);
}

static void freed(struct spool_log *log, struct spool_chore *c)
{
	for (unsigned i = 0; i < c->nfiles; i++) {
		struct spool_segment *seg = spool_segments_find(&log->segments, c->file[i].seq);
		if (!c->file[i].gone) {
			seg->state = SPOOL_SEGMENT_LOST;
			continue;
		}
		if (c->file[i].spare)
			log->spare[log->nspares++] = seg->seq;
		for (size_t k = 0; k < log->segments.n; k++)
			if (log->segments.v[k]->linked_in == seg->seq)
				log->segments.v[k]->linked_in = 0; /* the next new segment tells it again */
		spool_segments_remove(&log->segments, seg);
		log->look_for_free = true;
	}
	for (unsigned i = 0; i < c->ngiven; i++)
		log->given[log->ngiven++] = c->given[i];
	log->body_octets -= c->freed_octets < log->body_octets ? c->freed_octets : log->body_octets;
	if (c->err)
		spool_log_report(log, &(struct spool_report){
					      .kind = SPOOL_REPORT_FAILED, .err = c->err, .text = c->e.s });
}

void spool_log_chore_done(struct spool_log *log, struct spool_chore **c_p, int64_t now_us)
{
	struct spool_chore *c = *c_p;

	require(log->chore == c);
	*c_p = NULL;
	log->chore = NULL;
	switch (c->kind) {
	case CHORE_MAKE:
		made(log, c, now_us);
		break;
	case CHORE_FREE:
		freed(log, c);
		break;
	case CHORE_READ:
		if (c->err) {
			for (size_t i = 0; i < c->nitems; i++)
				free(c->items[i].payload);
			spool_compact_give_up(log, c->err, c->at, c->e.s);
		} else {
			spool_compact_take(log, c->items, c->nitems, c->at, now_us);
		}
		break;
	}
	free(c->items);
	free(c);
}

void spool_log_body_remove(struct spool_log *log, uint64_t id)
{
	if (log->nbodies == log->bodies_cap) {
		log->bodies_cap = log->bodies_cap ? 2 * log->bodies_cap : 16;
		log->bodies = mem_realloc(log->bodies, log->bodies_cap * sizeof *log->bodies);
	}
	log->bodies[log->nbodies++] = id;
}

struct spool_body_given spool_log_body_given(struct spool_log *log)
{
	struct spool_body_given given = { 0 };

	if (log->ngiven)
		given = log->given[--log->ngiven];
	/* It counts again when it is finished. */
	log->body_octets -= given.octets < log->body_octets ? given.octets : log->body_octets;
	return given;
}
