/* Recovery of one segment: its records are told to the owner and put on the books; damage is told from what a crash tore, a copy
 * of what is damaged is kept, and holes are made of both. See spool_recover.c.
 */
#include "spool/spool_recover_priv.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

enum { REPORTS_MAX = 100 };

void spool_recover_report(struct spool_recover *rv, uint32_t segment, uint64_t at, uint64_t id,
			  const char *text)
{
	rv->found.corrupt_records++;
	if (rv->reports++ < REPORTS_MAX)
		spool_log_report(rv->log, &(struct spool_report){ .kind = SPOOL_REPORT_CORRUPT,
								  .segment = segment,
								  .at = at,
								  .id = id,
								  .err = -ERR_CORRUPT,
								  .text = text });
}

int spool_recover_open(struct spool_recover *rv, const struct spool_segment *seg, uint64_t end,
		       struct spool_scan *sc)
{
	const struct spool_fs *fs = rv->log->cfg.fs;
	const struct spool_path path = spool_file_path(rv->log->dir, SPOOL_FILE_LOG, seg->seq);
	const int fd = fs->open(fs->arg, path.s, SPOOL_FS_READ);

	if (fd < 0)
		return spool_fs_error(rv->e, fd, "open", path.s);
	if (!end) {
		const int64_t octets = fs->size(fs->arg, fd);
		if (octets < 0) {
			fs->close(fs->arg, fd);
			return spool_fs_error(rv->e, (int)octets, "size of", path.s);
		}
		end = (uint64_t)octets;
	}
	spool_scan_init(sc, fs, fd, seg->epoch, SPOOL_SEGMENT_HEADER, end);
	return 0;
}

void spool_recover_close(struct spool_recover *rv, struct spool_scan *sc)
{
	rv->log->cfg.fs->close(rv->log->cfg.fs->arg, sc->fd);
	spool_scan_deinit(sc);
}

/* ---- records ----------------------------------------------------------------------------------------------- */

static void remember_large(struct spool_recover *rv, uint64_t id, uint64_t body_octets)
{
	if (rv->nlarge == rv->large_cap) {
		rv->large_cap = rv->large_cap ? 2 * rv->large_cap : 64;
		rv->large = mem_realloc(rv->large, rv->large_cap * sizeof *rv->large);
	}
	rv->large[rv->nlarge++] = (struct spool_large){ id, body_octets };
}

static void remember_id(struct spool_log *log, uint64_t id)
{
	if (spool_log_number_of(id) == log->cfg.number && id >> 60 == 0 && id > log->id_last)
		log->id_last = id;
}

static void found_message(struct spool_recover *rv, struct spool_segment *seg, const struct spool_record *r,
			  uint64_t at)
{
	struct spool_log *log = rv->log;
	const bool large = r->flags & SPOOL_FLAG_LARGE;
	struct spool_message m;

	remember_id(log, r->id);
	if (!r->id || r->id >> 60 || spool_message_parse(r->payload, r->flags, &m) < 0) {
		seg->keep = true;
		spool_recover_report(rv, seg->seq, at, r->id, "a message without sense");
		return;
	}
	struct spool_entry *e = spool_index_get(&log->index, r->id);
	if (e) {
		struct spool_segment *old = spool_segments_find(&log->segments, e->segment);
		spool_segment_dead(&log->segments, old, (uint64_t)e->octets8 * SPOOL_RECORD_ALIGN);
		spool_segment_need(old, seg, SPOOL_NEED_MOVE);
	} else {
		if (log->cfg.owner->message(log->cfg.owner->arg, r->id, m.meta, m.head.n, m.body_octets) <
		    0) {
			seg->keep = true;
			spool_recover_report(rv, seg->seq, at, r->id,
					     "the envelope cannot be read; the message is not delivered");
			return;
		}
		e = spool_index_put(&log->index, r->id);
		e->flags = large ? SPOOL_ENTRY_LARGE : 0;
		if (large)
			remember_large(rv, r->id, m.body_octets);
	}
	e->segment = e->notes_from = seg->seq;
	e->at8 = (uint32_t)(at / SPOOL_RECORD_ALIGN);
	e->octets8 = r->octets / SPOOL_RECORD_ALIGN;
	spool_segment_live(&log->segments, seg, r->octets);
	if (m.note.n)
		log->cfg.owner->note(log->cfg.owner->arg, r->id, m.note);
}

static void found_note(struct spool_recover *rv, struct spool_segment *seg, const struct spool_record *r)
{
	struct spool_log *log = rv->log;
	struct spool_entry *e = spool_index_get(&log->index, r->id);

	seg->about_octets += r->octets;
	if (!e)
		return;
	rv->found.notes++;
	spool_segment_need(spool_segments_find(&log->segments, e->segment), seg, SPOOL_NEED_NOTE);
	if (r->flags & SPOOL_FLAG_SNAPSHOT)
		e->notes_from = seg->seq;
	if (r->payload.n)
		log->cfg.owner->note(log->cfg.owner->arg, r->id, r->payload);
}

void spool_recover_forget(struct spool_log *log, struct spool_entry *e)
{
	struct spool_segment *home = spool_segments_find(&log->segments, e->segment);
	const uint64_t id = e->id;

	spool_segment_dead(&log->segments, home, (uint64_t)e->octets8 * SPOOL_RECORD_ALIGN);
	spool_index_remove(&log->index, id);
	log->cfg.owner->dropped(log->cfg.owner->arg, id);
}

static void found_drop(struct spool_recover *rv, struct spool_segment *seg, const struct spool_record *r,
		       uint64_t at)
{
	struct spool_log *log = rv->log;
	struct spool_entry *e = spool_index_get(&log->index, r->id);
	uint64_t home_seq;

	seg->about_octets += r->octets;
	remember_id(log, r->id);
	if (spool_drop_parse(r->payload, &home_seq) < 0) {
		spool_recover_report(rv, seg->seq, at, r->id, "a drop without sense");
		return;
	}
	struct spool_segment *home = spool_segments_find(&log->segments, home_seq);
	if (home && home->seq < seg->seq)
		spool_segment_need(home, seg, SPOOL_NEED_DROP);
	if (!e)
		return;
	spool_segment_need(spool_segments_find(&log->segments, e->segment), seg, SPOOL_NEED_DROP);
	spool_recover_forget(log, e);
}

static void found_gap(struct spool_recover *rv, uint64_t from, uint64_t to, uint64_t id)
{
	if (rv->ngaps == rv->gaps_cap) {
		rv->gaps_cap = rv->gaps_cap ? 2 * rv->gaps_cap : 16;
		rv->gaps = mem_realloc(rv->gaps, rv->gaps_cap * sizeof *rv->gaps);
	}
	rv->gaps[rv->ngaps++] = (struct spool_gap){ from, to, id };
}

static void found_record(struct spool_recover *rv, struct spool_segment *seg, const struct spool_scan *sc)
{
	switch (sc->record.type) {
	case SPOOL_RECORD_MESSAGE:
		found_message(rv, seg, &sc->record, sc->at);
		break;
	case SPOOL_RECORD_NOTE:
		found_note(rv, seg, &sc->record);
		break;
	case SPOOL_RECORD_DROP:
		found_drop(rv, seg, &sc->record, sc->at);
		break;
	default:
		break;
	}
}

/* ---- damage ------------------------------------------------------------------------------------------------ */

/* @certain: everything before it was durable. */
static void judge_gaps(struct spool_recover *rv, struct spool_segment *seg, uint64_t certain)
{
	struct spool_log *log = rv->log;
	bool damaged = false;

	for (size_t i = 0; i < rv->ngaps; i++) {
		if (rv->gaps[i].from >= certain) {
			rv->found.torn_octets += rv->gaps[i].to - rv->gaps[i].from;
			continue;
		}
		spool_recover_report(rv, seg->seq, rv->gaps[i].from, rv->gaps[i].id,
				     "a damaged record is left out");
		damaged = true;
	}
	if (damaged && spool_file_copy_corrupt(log->cfg.fs, log->dir, seg->seq, NULL) < 0) {
		seg->keep = true; /* then the segment itself is the copy, and is found damaged again */
		return;
	}
	/* A hole that cannot be made now is found again at the next start. */
	for (size_t i = 0; i < rv->ngaps; i++)
		if (spool_file_skip(log->cfg.fs, log->dir, seg->seq, seg->epoch, rv->gaps[i].from,
				    rv->gaps[i].to, NULL) < 0)
			seg->keep = true;
}

int spool_recover_segment(struct spool_recover *rv, size_t i)
{
	struct spool_segment *seg = rv->log->segments.v[i];
	const uint64_t limit = rv->limits[i];
	uint64_t last_batch_at = 0;
	enum spool_scan_found found;
	struct spool_scan sc;

	const int r = spool_recover_open(rv, seg, limit, &sc);
	if (r < 0)
		return r;
	rv->ngaps = rv->reports = 0;
	seg->end = SPOOL_SEGMENT_HEADER;
	while ((found = spool_scan_next(&sc)) != SPOOL_SCAN_END) {
		if (found == SPOOL_SCAN_GAP) {
			found_gap(rv, sc.at, sc.gap_end, sc.gap_record.id);
			continue;
		}
		found_record(rv, seg, &sc);
		seg->end = sc.next_at;
		if (sc.record.batch_at > last_batch_at)
			last_batch_at = sc.record.batch_at;
	}
	rv->found.octets += seg->end - SPOOL_SEGMENT_HEADER;
	if (limit && sc.next_at < limit) {
		found_gap(rv, sc.next_at, limit, sc.gap_record.id);
		seg->end = limit;
	} else if (!limit) {
		rv->found.torn_octets += sc.gap_record.type ? sc.gap_record.octets : 0;
	}
	/* Holes at the end that were made at an earlier start belong to it. */
	if (seg->end < sc.next_at)
		seg->end = sc.next_at;
	spool_recover_close(rv, &sc);
	judge_gaps(rv, seg, limit ? limit : last_batch_at);
	return 0;
}
