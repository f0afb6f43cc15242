/* A batch has ended: what is durable now is put on the books, and everyone is told. What is kept true here:
 *
 *   1. The index knows a message from when it is durable until it is dropped, and always where its newest durable copy is.
 *   2. In a log, the drop of a message comes behind every copy of it. While a copy is on its way (SPOOL_ENTRY_MOVING) a drop
 *      waits for it, so that it can name the copy's segment as the home.
 *   3. A segment's `live` counts a message until its drop is durable; so no segment goes because of a drop that a crash would
 *      undo.
 */
#include "spool/spool_log_priv.h"

#include <stdlib.h>

#include "base/check.h"

static void message_written(struct spool_log *log, struct spool_segment *seg, struct spool_rec *r)
{
	struct spool_entry *e = spool_index_put(&log->index, r->id);

	if (r->compaction) {
		struct spool_segment *old = spool_segments_find(&log->segments, e->segment);
		spool_segment_dead(&log->segments, old, e->octets8 * (uint64_t)SPOOL_RECORD_ALIGN);
		spool_segment_need(old, seg, SPOOL_NEED_MOVE);
	} else {
		e->flags = r->flags & SPOOL_FLAG_LARGE ? SPOOL_ENTRY_LARGE : 0;
	}
	e->segment = e->notes_from = seg->seq;
	e->at8 = (uint32_t)(r->at / SPOOL_RECORD_ALIGN);
	e->octets8 = r->octets / SPOOL_RECORD_ALIGN;
	spool_segment_live(&log->segments, seg, r->octets);
	if (!r->compaction)
		return;
	e->flags &= SPOOL_ENTRY_LARGE | SPOOL_ENTRY_DROPPED;
	if (e->flags & SPOOL_ENTRY_DROPPED)
		spool_log_drop_entry(log, e);
}

static void note_written(struct spool_log *log, struct spool_segment *seg, const struct spool_rec *r)
{
	struct spool_entry *e = spool_index_get(&log->index, r->id);
	/* The message was dropped since, but a crash may undo that. */
	struct spool_segment *home = spool_segments_find(&log->segments, e ? e->segment : r->home);

	seg->about_octets += r->octets;
	if (home)
		spool_segment_need(home, seg, SPOOL_NEED_NOTE);
	if (!e || !(r->flags & SPOOL_FLAG_SNAPSHOT))
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
	require(home);  /* it counts the message as live until now */
	spool_segment_dead(&log->segments, home, r->home_octets);
	log->look_for_free |= !home->live;
	if (r->flags & SPOOL_FLAG_LARGE)
		spool_log_body_remove(log, r->id);
}

static void link_written(struct spool_log *log, struct spool_segment *seg, const struct spool_rec *r)
{
	struct spool_segment *linked = spool_segments_find(&log->segments, r->id);

	if (!linked)
		return;
	linked->linked_in = seg->seq;
	if (linked->bad)
		spool_segment_need(linked, seg, SPOOL_NEED_LINK);
}

static void batch_succeeded(struct spool_log *log, struct spool_batch *b)
{
	struct spool_segment *seg = b->segment;
	const bool deferred = log->deferred > 0;
	struct list *link;

	if (b->octets) {
		log->active_fd = b->fd;
		seg->end = b->at + b->octets;
		log->compaction.written += b->octets;
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
		if (r->type == SPOOL_REC_BARRIER && deferred && !r->compaction)
			spool_rec_gather(log, r); /* behind the drops that were waited for */
		else
			spool_rec_done(r, 0);
	}
}

/* What compaction wanted is left to its next try; the message stays where it is. */
static void compaction_failed(struct spool_log *log, const struct spool_rec *r)
{
	struct spool_entry *e = spool_index_get(&log->index, r->id);

	if (r->type == SPOOL_RECORD_LINK)
		return;
	if (e && r->type == SPOOL_RECORD_NOTE)
		e->flags &= SPOOL_ENTRY_LARGE | SPOOL_ENTRY_MOVING | SPOOL_ENTRY_DROPPED;
	if (e && r->type == SPOOL_RECORD_MESSAGE) {
		e->flags &= SPOOL_ENTRY_LARGE | SPOOL_ENTRY_NOTING | SPOOL_ENTRY_DROPPED;
		if (e->flags & SPOOL_ENTRY_DROPPED)
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
	spool_log_report(log, &(struct spool_report){ .kind = SPOOL_REPORT_FAILED,
						      .segment = seg->seq,
						      .at = b->at,
						      .err = b->err,
						      .text = b->e.s });
	while ((link = list_pop_front(&b->records))) {
		struct spool_rec *r = list_entry(link, struct spool_rec, link);
		if (r->compaction) {
			compaction_failed(log, r);
			spool_rec_done(r, b->err);
		} else if (r->type == SPOOL_RECORD_NOTE || r->type == SPOOL_RECORD_DROP) {
			list_push_back(&again, &r->link);
			spool_rec_count(log, r, 1);
		} else {
			spool_rec_done(r, b->err);
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
