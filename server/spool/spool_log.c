/* The life of a record is told in spool_log.h. What is kept true here:
 *
 *   1. The index knows a message from when it is durable until it is dropped, and always where its newest durable copy is.
 *   2. In a log, the drop of a message comes behind every copy of it. While a copy is on its way (SPOOL_ENTRY_MOVING) a drop waits
 *      for it, so that it can name the copy's segment as the home.
 *   3. A segment's `live` counts a message until its drop is durable; so no segment goes because of a drop that a crash would undo.
 */
#include "spool/spool_log_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"

/* ---- records that gather -------------------------------------------------------------------------------------- */

enum { BARRIER = 0 }; /* a type of record that is not on disk */

struct spool_rec *spool_rec_new(enum spool_record_type type, uint64_t id, struct span payload)
{
	struct spool_rec *r = mem_alloc_raw(sizeof *r + payload.n);
	char *copy = (char *)(r + 1);

	*r = (struct spool_rec){ .type = (uint8_t)type, .id = id };
	if (payload.n)
		memcpy(copy, payload.p, payload.n);
	r->payload[0] = span_make(copy, payload.n);
	list_init(&r->link);
	return r;
}

static bool is_urgent(const struct spool_rec *r)
{
	return r->type == BARRIER || r->type == SPOOL_RECORD_END || (r->type == SPOOL_RECORD_MESSAGE && !r->compaction);
}

/* @sign is 1 when @r joins those that gather, -1 when it leaves them. */
static void count_gathering(struct spool_log *log, const struct spool_rec *r, int sign)
{
	if (is_urgent(r))
		log->urgent += (unsigned)sign;
	if (r->type == SPOOL_RECORD_NOTE)
		log->gather_notes += (uint64_t)(int64_t)sign * r->octets;
}

void spool_rec_gather(struct spool_log *log, struct spool_rec *r)
{
	const uint64_t payload = r->payload[0].n + r->payload[1].n;

	r->octets = r->type == BARRIER ? 0 : (uint32_t)spool_record_octets(payload);
	list_init(&r->link);
	list_push_back(&log->gather, &r->link);
	count_gathering(log, r, 1);
}

static void rec_done(struct spool_rec *r, int status)
{
	if (r->done)
		r->done(r, status);
	else
		free(r);
}

/* An id: milliseconds, number of the log, counter. */
enum { MS_BITS = 41, NUMBER_BITS = 8, COUNT_BITS = 11 };

unsigned spool_log_number_of(uint64_t id)
{
	return (unsigned)(id >> COUNT_BITS) & ((1u << NUMBER_BITS) - 1);
}

uint64_t spool_log_new_id(struct spool_log *log, int64_t wall_us)
{
	const int64_t since_2020 = wall_us / 1000 - INT64_C(1577836800000);
	const uint64_t ms = since_2020 < 0 ? 0 : (uint64_t)since_2020;
	const uint64_t ms_max = (UINT64_C(1) << MS_BITS) - 1;
	uint64_t n = (ms < ms_max ? ms : ms_max) << COUNT_BITS;

	/* A clock that was set back, and more than 2048 ids in a millisecond, make it run ahead. */
	const uint64_t last = (log->id_last >> (NUMBER_BITS + COUNT_BITS)) << COUNT_BITS | (log->id_last & ((1 << COUNT_BITS) - 1));
	if (n <= last)
		n = last + 1;
	require(n >> (MS_BITS + COUNT_BITS) == 0);
	log->id_last = (n >> COUNT_BITS) << (NUMBER_BITS + COUNT_BITS) | (uint64_t)log->cfg.number << COUNT_BITS |
		       (n & ((1 << COUNT_BITS) - 1));
	return log->id_last;
}

int spool_log_add(struct spool_log *log, struct spool_rec *r)
{
	require(r->type == SPOOL_RECORD_MESSAGE && r->done);
	if (log->broken)
		return log->broken;
	if (r->payload[0].n + r->payload[1].n > SPOOL_RECORD_MAX)
		return -ERR_TOOBIG;
	spool_rec_gather(log, r);
	return 0;
}

void spool_log_barrier(struct spool_log *log, struct spool_rec *r)
{
	r->type = BARRIER;
	r->payload[0] = r->payload[1] = span_make(NULL, 0);
	if (log->broken)
		r->done(r, log->broken);
	else
		spool_rec_gather(log, r);
}

void spool_log_note(struct spool_log *log, uint64_t id, struct span note)
{
	const struct spool_entry *e = spool_index_get(&log->index, id);

	if (!e || e->flags & SPOOL_ENTRY_DROPPED || note.n > SPOOL_RECORD_MAX)
		return;
	if (log->gather_notes > SPOOL_NOTES_GATHER_MAX)
		return; /* the disk is not there; a crash now repeats what this note would tell */
	spool_rec_gather(log, spool_rec_new(SPOOL_RECORD_NOTE, id, note));
}

void spool_log_drop_entry(struct spool_log *log, struct spool_entry *e)
{
	char payload[SPOOL_DROP_PAYLOAD];

	spool_drop_payload(e->segment, payload);
	struct spool_rec *r = spool_rec_new(SPOOL_RECORD_DROP, e->id, span_make(payload, sizeof payload));
	r->flags = e->flags & SPOOL_ENTRY_LARGE ? SPOOL_FLAG_LARGE : 0;
	r->home = e->segment;
	r->home_octets = e->octets8 * SPOOL_RECORD_ALIGN;
	spool_index_remove(&log->index, e->id);
	spool_rec_gather(log, r);
}

void spool_log_drop(struct spool_log *log, uint64_t id)
{
	struct spool_entry *e = spool_index_get(&log->index, id);

	if (!e)
		return;
	if (e->flags & SPOOL_ENTRY_MOVING)
		e->flags |= SPOOL_ENTRY_DROPPED;
	else
		spool_log_drop_entry(log, e);
}

void spool_log_end(struct spool_log *log)
{
	if (log->active)
		spool_rec_gather(log, spool_rec_new(SPOOL_RECORD_END, 0, span_make(NULL, 0)));
}

bool spool_log_gathers(const struct spool_log *log)
{
	return !list_empty(&log->gather);
}

bool spool_log_urgent(const struct spool_log *log)
{
	return log->urgent > 0;
}

/* ---- broken and mended ---------------------------------------------------------------------------------------- */

void spool_log_report(const struct spool_log *log, const struct spool_report *r)
{
	if (log->cfg.report)
		log->cfg.report(log->cfg.report_arg, r);
}

/* Notes and drops wait for better times; whoever waits for a message or a barrier is told now. */
void spool_log_break(struct spool_log *log, int err, const char *text, int64_t now_us)
{
	log->broken = err;
	errtext_set(&log->why, ERR_IO, "%s", text);
	log->retry_us = now_us + SPOOL_RETRY_US;
	list_for_each_safe(link, &log->gather) {
		struct spool_rec *r = list_entry(link, struct spool_rec, link);
		if (!is_urgent(r))
			continue;
		count_gathering(log, r, -1);
		list_remove(&r->link);
		rec_done(r, err);
	}
	spool_log_report(log, &(struct spool_report){ .kind = SPOOL_REPORT_BROKEN, .err = err, .text = log->why.s });
}

void spool_log_mend(struct spool_log *log)
{
	if (!log->broken)
		return;
	log->broken = 0;
	spool_log_report(log, &(struct spool_report){ .kind = SPOOL_REPORT_MENDED, .segment = (uint32_t)log->next.seq });
}

/* ---- open and free -------------------------------------------------------------------------------------------- */

int spool_log_open(struct spool_log **log_r, const struct spool_log_config *cfg, struct spool_log_found *found_r,
		   struct errtext *e)
{
	struct spool_log_found found = { 0 };

	if (strlen(cfg->dir) > SPOOL_DIR_MAX)
		return errtext_set(e, ERR_TOOBIG, "%s: the name is too long", cfg->dir);
	require(cfg->number < SPOOL_LOGS_MAX && cfg->segment_octets >= SPOOL_SEGMENT_MIN);
	struct spool_log *log = mem_alloc(sizeof *log);
	log->cfg = *cfg;
	memcpy(log->dir, cfg->dir, strlen(cfg->dir) + 1);
	log->cfg.dir = log->dir;
	if (log->cfg.spares_max > SPOOL_SPARES_MAX)
		log->cfg.spares_max = SPOOL_SPARES_MAX;
	log->active_fd = log->next_fd = -1;
	log->look_for_free = true;
	list_init(&log->gather);
	spool_index_init(&log->index);
	const int r = spool_log_recover(log, &found, e);
	if (r < 0) {
		spool_log_free(&log);
		return r;
	}
	*found_r = found;
	*log_r = log;
	return 0;
}

void spool_log_free(struct spool_log **log_p)
{
	struct spool_log *log = *log_p;

	if (!log)
		return;
	*log_p = NULL;
	require(!log->flying && !log->chore);
	struct list *link;
	while ((link = list_pop_front(&log->gather)))
		rec_done(list_entry(link, struct spool_rec, link), -ERR_CLOSED);
	if (log->active_fd >= 0)
		log->cfg.fs->close(log->cfg.fs->arg, log->active_fd);
	if (log->next_fd >= 0)
		log->cfg.fs->close(log->cfg.fs->arg, log->next_fd);
	spool_index_deinit(&log->index);
	spool_segments_deinit(&log->segments);
	free(log->bodies);
	free(log);
}

/* ---- a batch begins ------------------------------------------------------------------------------------------- */

struct spool_segment_header spool_log_next_header(struct spool_log *log, uint64_t octets, int64_t wall_us)
{
	require(log->seq_last < UINT32_MAX);
	return (struct spool_segment_header){
		.version = SPOOL_VERSION,
		.log = log->cfg.number,
		.seq = ++log->seq_last,
		.epoch = random_u64(),
		.octets = octets,
		.id_floor = log->id_last,
		.created_at_us = wall_us,
	};
}

/* A new segment begins with the ends of those that no other tells. Returns how many octets that takes. */
static uint64_t count_links(const struct spool_log *log)
{
	uint64_t octets = 0;

	for (size_t i = 0; i < log->segments.n && octets < SPOOL_LINKS_MAX * SPOOL_LINK_OCTETS &&
			   octets < log->cfg.segment_octets / 4; i++)
		octets += log->segments.v[i]->linked_in ? 0 : SPOOL_LINK_OCTETS;
	return octets;
}

static void add_links(struct spool_log *log, uint64_t octets)
{
	struct list links;

	list_init(&links);
	for (size_t i = 0; octets; i++) {
		const struct spool_segment *seg = log->segments.v[i];
		char payload[SPOOL_LINK_PAYLOAD];
		if (seg->linked_in)
			continue;
		spool_link_payload(seg->seq, seg->end, payload);
		struct spool_rec *r = spool_rec_new(SPOOL_RECORD_LINK, seg->seq, span_make(payload, sizeof payload));
		r->octets = SPOOL_LINK_OCTETS;
		r->compaction = true; /* made anew when this fails */
		list_push_back(&links, &r->link);
		octets -= SPOOL_LINK_OCTETS;
	}
	list_splice_back(&links, &log->gather);
	list_splice_back(&log->gather, &links);
}

/* Makes @b the first batch of a new segment with room for a first record of @octets. */
static void begin_segment(struct spool_log *log, struct spool_batch *b, uint64_t octets, int64_t wall_us)
{
	const uint64_t links = count_links(log);
	const uint64_t need = SPOOL_SEGMENT_HEADER + links + octets;
	struct spool_segment_header h = log->next;

	add_links(log, links);
	b->fresh = true;
	b->fd = log->next_fd;
	b->close_fd = log->active_fd;
	if (log->active)
		log->active->state = SPOOL_SEGMENT_CLOSED;
	log->look_for_free = true;
	if (h.seq && h.octets < need) {
		/* Too small for this one record: it stays, empty, and is given back. */
		spool_segments_add(&log->segments, (uint32_t)h.seq, h.epoch, h.octets)->end = SPOOL_SEGMENT_HEADER;
		log->segments.v[log->segments.n - 1]->state = SPOOL_SEGMENT_CLOSED;
		log->cfg.fs->close(log->cfg.fs->arg, log->next_fd);
		h.seq = 0;
	}
	if (!h.seq) {
		h = spool_log_next_header(log, need > log->cfg.segment_octets ? need : log->cfg.segment_octets, wall_us);
		b->fd = -1;
		b->make = (struct spool_make){ .fs = log->cfg.fs, .dir = log->dir, .header = h };
		if (log->nspares && h.octets == log->cfg.segment_octets)
			b->make.spare = log->spare[--log->nspares];
	}
	log->next.seq = 0;
	log->next_fd = log->active_fd = -1;
	log->active = spool_segments_add(&log->segments, (uint32_t)h.seq, h.epoch, h.octets);
	log->active->end = SPOOL_SEGMENT_HEADER;
}

static struct spool_rec *first_on_disk(const struct spool_log *log)
{
	list_for_each(link, &log->gather) {
		struct spool_rec *r = list_entry(link, struct spool_rec, link);
		if (r->octets)
			return r;
	}
	return NULL;
}

struct spool_batch *spool_log_seal(struct spool_log *log, int64_t wall_us)
{
	if (log->flying || log->broken || list_empty(&log->gather))
		return NULL;
	const struct spool_rec *first = first_on_disk(log);
	const bool roll = first && (!log->active || first->octets > log->active->octets - log->active->end);
	if (roll && !log->next.seq && spool_chore_makes(log->chore))
		return NULL;

	struct spool_batch *b = mem_alloc(sizeof *b);
	b->fs = log->cfg.fs;
	b->close_fd = b->fd = -1;
	list_init(&b->records);
	if (roll)
		begin_segment(log, b, first->octets, wall_us);
	else
		b->fd = log->active_fd;
	b->segment = log->active;
	const uint64_t room = log->active ? log->active->octets - log->active->end : 0;
	b->at = log->active ? log->active->end : 0;
	b->epoch = log->active ? log->active->epoch : 0;
	while (!list_empty(&log->gather)) {
		struct spool_rec *r = list_entry(list_first(&log->gather), struct spool_rec, link);
		if (r->octets > room - b->octets || (b->octets && b->octets + r->octets > SPOOL_BATCH_OCTETS))
			break;
		r->at = b->at + b->octets;
		b->octets += r->octets;
		b->count++;
		b->messages += r->type == SPOOL_RECORD_MESSAGE && !r->compaction;
		count_gathering(log, r, -1);
		list_remove(&r->link);
		list_push_back(&b->records, &r->link);
	}
	log->flying = b;
	return b;
}

/* ---- a batch has ended ---------------------------------------------------------------------------------------- */

static void message_written(struct spool_log *log, struct spool_segment *seg, struct spool_rec *r)
{
	struct spool_entry *e = spool_index_put(&log->index, r->id);

	if (r->compaction) {
		struct spool_segment *old = spool_segments_find(&log->segments, e->segment);
		spool_segment_dead(&log->segments, old, e->octets8 * (uint64_t)SPOOL_RECORD_ALIGN);
		spool_segment_need(old, seg, SPOOL_NEED_MOVE);
		if (r->flags & SPOOL_FLAG_SNAPSHOT) /* there was no state to write */
			e->notes_from = seg->seq;
	} else {
		e->notes_from = seg->seq;
		e->flags = r->flags & SPOOL_FLAG_LARGE ? SPOOL_ENTRY_LARGE : 0;
	}
	e->segment = seg->seq;
	e->at8 = (uint32_t)(r->at / SPOOL_RECORD_ALIGN);
	e->octets8 = r->octets / SPOOL_RECORD_ALIGN;
	spool_segment_live(&log->segments, seg, r->octets);
	if (!r->compaction)
		return;
	const bool dropped = e->flags & SPOOL_ENTRY_DROPPED;
	e->flags &= SPOOL_ENTRY_LARGE;
	if (dropped)
		spool_log_drop_entry(log, e);
}

static void note_written(struct spool_log *log, struct spool_segment *seg, const struct spool_rec *r)
{
	struct spool_entry *e = spool_index_get(&log->index, r->id);

	seg->about_octets += r->octets;
	if (!e)
		return;
	spool_segment_need(spool_segments_find(&log->segments, e->segment), seg, SPOOL_NEED_NOTE);
	if (!(r->flags & SPOOL_FLAG_SNAPSHOT))
		return;
	e->notes_from = seg->seq;
	e->flags &= SPOOL_ENTRY_LARGE | SPOOL_ENTRY_MOVING | SPOOL_ENTRY_DROPPED;
}

static void drop_written(struct spool_log *log, struct spool_segment *seg, const struct spool_rec *r)
{
	struct spool_segment *home = spool_segments_find(&log->segments, r->home);

	seg->about_octets += r->octets;
	if (home)
		spool_segment_need(home, seg, SPOOL_NEED_DROP);
	if (r->compaction)
		return; /* a copy of a drop that was counted when it was first written */
	spool_segment_dead(&log->segments, home, r->home_octets);
	log->look_for_free |= !home->live;
	if (r->flags & SPOOL_FLAG_LARGE)
		spool_log_body_remove(log, r->id);
}

static void link_written(struct spool_log *log, const struct spool_segment *seg, const struct spool_rec *r)
{
	struct spool_segment *linked = spool_segments_find(&log->segments, r->id);

	if (linked)
		linked->linked_in = seg->seq;
}

static void batch_succeeded(struct spool_log *log, struct spool_batch *b)
{
	struct spool_segment *seg = b->segment;
	struct list *link;

	if (b->octets) {
		log->active_fd = b->fd;
		seg->end = b->at + b->octets;
	}
	while ((link = list_pop_front(&b->records))) {
		struct spool_rec *r = list_entry(link, struct spool_rec, link);
		switch (r->type) {
		case SPOOL_RECORD_MESSAGE:
			message_written(log, seg, r);
			break;
		case SPOOL_RECORD_NOTE:
			note_written(log, seg, r);
			break;
		case SPOOL_RECORD_DROP:
			drop_written(log, seg, r);
			break;
		case SPOOL_RECORD_LINK:
			link_written(log, seg, r);
			break;
		default:
			break;
		}
		if (r->compaction && r->type != SPOOL_RECORD_LINK)
			spool_compact_record_ended(log, true);
		rec_done(r, 0);
	}
}

/* What compaction wanted is left to its next try; the message stays where it is. */
static void compaction_failed(struct spool_log *log, const struct spool_rec *r)
{
	struct spool_entry *e = spool_index_get(&log->index, r->id);

	if (r->type == SPOOL_RECORD_LINK)
		return;
	if (e && r->type != SPOOL_RECORD_DROP) {
		const bool dropped = r->type == SPOOL_RECORD_MESSAGE && e->flags & SPOOL_ENTRY_DROPPED;
		e->flags &= r->type == SPOOL_RECORD_MESSAGE
				    ? SPOOL_ENTRY_LARGE | SPOOL_ENTRY_NOTING
				    : SPOOL_ENTRY_LARGE | SPOOL_ENTRY_MOVING | SPOOL_ENTRY_DROPPED;
		if (dropped)
			spool_log_drop_entry(log, e);
	}
	spool_compact_record_ended(log, false);
}

static void batch_failed(struct spool_log *log, struct spool_batch *b, int64_t now_us)
{
	struct spool_segment *seg = b->segment;
	struct list again, *link;

	list_init(&again);
	seg->state = SPOOL_SEGMENT_CLOSED;
	seg->bad = true;
	log->active = NULL;
	log->active_fd = -1;
	log->look_for_free = true;
	spool_log_report(log, &(struct spool_report){
				      .kind = SPOOL_REPORT_FAILED, .segment = seg->seq, .at = b->at, .err = b->err, .text = b->e.s });
	while ((link = list_pop_front(&b->records))) {
		struct spool_rec *r = list_entry(link, struct spool_rec, link);
		if (r->compaction) {
			compaction_failed(log, r);
			rec_done(r, b->err);
		} else if (r->type == SPOOL_RECORD_NOTE || r->type == SPOOL_RECORD_DROP) {
			list_push_back(&again, &r->link);
			count_gathering(log, r, 1);
		} else {
			rec_done(r, b->err);
		}
	}
	list_splice_back(&again, &log->gather);
	list_splice_back(&log->gather, &again);
	if (b->fresh)
		spool_log_break(log, b->err, b->e.s, now_us);
}

int spool_log_written(struct spool_log *log, struct spool_batch **b_p, int64_t now_us)
{
	struct spool_batch *b = *b_p;
	const int err = b->err;

	require(log->flying == b);
	*b_p = NULL;
	log->flying = NULL;
	if (err)
		batch_failed(log, b, now_us);
	else
		batch_succeeded(log, b);
	free(b);
	return err;
}
