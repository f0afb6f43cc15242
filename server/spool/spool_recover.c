/* Recovery of a log:
 *
 *   1. list the directory; a segment without a header is set aside
 *   2. read the links at the start of each segment: where earlier ones end
 *   3. read all segments in order; messages, notes and drops are told to the owner as they come; the index is made
 *   4. after each: tell damage from what a crash tore, keep a copy of what is damaged, and make holes of both
 *   5. look for the bodies of large messages; remove what belongs to no message, and files that never became segments
 *
 * What is torn and what is damaged: a batch is written when the one before is durable, and each record says where its batch
 * begins. So everything before the last batch of a segment was durable once, as was everything before the end that a link
 * tells; a hole there is damage. A hole in the last batch of a segment that no link tells of was never acknowledged.
 *
 * Nothing is removed that could be the last trace of a message: damaged segments are copied before they are repaired and kept as
 * they are when they cannot be; bodies without a message stay when there was damage that could have hidden the message.
 */
#include "spool/spool_log_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "spool/spool_body.h"
#include "spool/spool_scan.h"

enum { LINKS_PIECE = 64 * 1024, REPORTS_MAX = 100 };

struct numbers {
	uint64_t *v;
	size_t n, cap;
};

struct gap {
	uint64_t from, to, id;
};

struct large {
	uint64_t id, body_octets;
};

struct recovery {
	struct spool_log *log;
	struct spool_log_found found;
	struct errtext *e;
	struct numbers logs, news, spares, bodies;
	uint64_t *limits; /* of logs.v[i]: where a link says it ends; 0: none does */
	struct large *large;
	size_t nlarge, large_cap;
	/* Of the segment in hand. */
	struct gap *gaps;
	size_t ngaps, gaps_cap;
	unsigned reports;
};

static void add_number(struct numbers *list, uint64_t number)
{
	if (list->n == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 64;
		list->v = mem_realloc(list->v, list->cap * sizeof *list->v);
	}
	list->v[list->n++] = number;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return x < y ? -1 : x > y;
}

static void report_corrupt(struct recovery *rv, uint32_t segment, uint64_t at, uint64_t id, const char *text)
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

/* ---- 1. what there is ----------------------------------------------------------------------------------------- */

static int on_name(void *arg, const char *name)
{
	struct recovery *rv = arg;
	uint64_t number;

	switch (spool_file_kind(name, &number)) {
	case SPOOL_FILE_LOG:
		add_number(&rv->logs, number);
		break;
	case SPOOL_FILE_NEW:
		add_number(&rv->news, number);
		break;
	case SPOOL_FILE_SPARE:
		add_number(&rv->spares, number);
		break;
	case SPOOL_FILE_BODY:
		add_number(&rv->bodies, number);
		return 0;
	case SPOOL_FILE_OTHER:
		return 0;
	}
	if (number > rv->log->seq_last)
		rv->log->seq_last = (uint32_t)number;
	return 0;
}

/* Without its epoch no record in it can be told from chance. */
static int set_aside_segment(struct recovery *rv, uint32_t seq)
{
	struct spool_log *log = rv->log;
	const struct spool_fs *fs = log->cfg.fs;
	const struct spool_path path = spool_file_path(log->dir, SPOOL_FILE_LOG, seq);
	int r = spool_file_copy_corrupt(fs, log->dir, seq, rv->e);

	if (r < 0)
		return r;
	report_corrupt(rv, seq, 0, 0, "the segment has no header");
	r = fs->unlink(fs->arg, path.s);
	if (r == 0)
		r = fs->sync_dir(fs->arg, log->dir);
	return r < 0 ? spool_fs_error(rv->e, r, "remove", path.s) : 0;
}

static int list_segments(struct recovery *rv)
{
	struct spool_log *log = rv->log;
	size_t kept = 0;

	int r = log->cfg.fs->list(log->cfg.fs->arg, log->dir, on_name, rv);
	if (r < 0)
		return spool_fs_error(rv->e, r, "list", log->dir);
	if (rv->logs.n)
		qsort(rv->logs.v, rv->logs.n, sizeof *rv->logs.v, compare_numbers);
	for (size_t i = 0; i < rv->logs.n; i++) {
		const uint32_t seq = (uint32_t)rv->logs.v[i];
		struct spool_segment_header h;

		r = spool_file_header(log->cfg.fs, log->dir, seq, &h, rv->e);
		if (r == 0 && h.log != log->cfg.number)
			r = -ERR_CORRUPT;
		if (r == -ERR_CORRUPT)
			r = set_aside_segment(rv, seq);
		else if (r == 0) {
			spool_segments_add(&log->segments, seq, h.epoch, h.octets)->state = SPOOL_SEGMENT_CLOSED;
			if (h.id_floor > log->id_last)
				log->id_last = h.id_floor;
			rv->logs.v[kept++] = seq;
		}
		if (r < 0)
			return r;
	}
	rv->logs.n = kept;
	rv->limits = mem_alloc_array(kept + 1, sizeof *rv->limits);
	return 0;
}

static int open_segment(struct recovery *rv, const struct spool_segment *seg, uint64_t end, struct spool_scan *sc)
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

static void close_segment(struct recovery *rv, struct spool_scan *sc)
{
	rv->log->cfg.fs->close(rv->log->cfg.fs->arg, sc->fd);
	spool_scan_deinit(sc);
}

/* ---- 2. links ------------------------------------------------------------------------------------------------- */

static int read_links(struct recovery *rv)
{
	struct spool_segments *set = &rv->log->segments;

	for (size_t i = 0; i < set->n; i++) {
		struct spool_scan sc;
		uint64_t seq, end;
		const int r = open_segment(rv, set->v[i], 0, &sc);
		if (r < 0)
			return r;
		sc.piece = LINKS_PIECE;
		while (sc.next_at < SPOOL_SEGMENT_HEADER + SPOOL_LINKS_MAX * SPOOL_LINK_OCTETS &&
		       spool_scan_next(&sc) == SPOOL_SCAN_RECORD && sc.record.type == SPOOL_RECORD_LINK) {
			if (spool_link_parse(sc.record.payload, &seq, &end) < 0)
				break;
			for (size_t k = 0; k < i; k++) {
				if (set->v[k]->seq != seq || end < SPOOL_SEGMENT_HEADER || end > set->v[k]->octets)
					continue;
				set->v[k]->linked_in = set->v[i]->seq;
				rv->limits[k] = end;
			}
		}
		close_segment(rv, &sc);
	}
	return 0;
}

/* ---- 3. records ----------------------------------------------------------------------------------------------- */

static void remember_large(struct recovery *rv, uint64_t id, uint64_t body_octets)
{
	if (rv->nlarge == rv->large_cap) {
		rv->large_cap = rv->large_cap ? 2 * rv->large_cap : 64;
		rv->large = mem_realloc(rv->large, rv->large_cap * sizeof *rv->large);
	}
	rv->large[rv->nlarge++] = (struct large){ id, body_octets };
}

static void remember_id(struct spool_log *log, uint64_t id)
{
	if (spool_log_number_of(id) == log->cfg.number && id >> 60 == 0 && id > log->id_last)
		log->id_last = id;
}

static void found_message(struct recovery *rv, struct spool_segment *seg, const struct spool_record *r, uint64_t at)
{
	struct spool_log *log = rv->log;
	const bool large = r->flags & SPOOL_FLAG_LARGE;
	struct spool_message m;

	remember_id(log, r->id);
	if (!r->id || r->id >> 60 || spool_message_parse(r->payload, large, &m) < 0) {
		seg->keep = true;
		report_corrupt(rv, seg->seq, at, r->id, "a message without sense");
		return;
	}
	struct spool_entry *e = spool_index_get(&log->index, r->id);
	if (e) {
		struct spool_segment *old = spool_segments_find(&log->segments, e->segment);
		spool_segment_dead(&log->segments, old, (uint64_t)e->octets8 * SPOOL_RECORD_ALIGN);
		spool_segment_need(old, seg, SPOOL_NEED_MOVE);
	} else {
		if (log->cfg.owner->message(log->cfg.owner->arg, r->id, m.meta, m.head.n, m.body_octets) < 0) {
			seg->keep = true;
			report_corrupt(rv, seg->seq, at, r->id, "the envelope cannot be read; the message is not delivered");
			return;
		}
		e = spool_index_put(&log->index, r->id);
		e->notes_from = seg->seq;
		e->flags = large ? SPOOL_ENTRY_LARGE : 0;
		if (large)
			remember_large(rv, r->id, m.body_octets);
	}
	e->segment = seg->seq;
	e->at8 = (uint32_t)(at / SPOOL_RECORD_ALIGN);
	e->octets8 = r->octets / SPOOL_RECORD_ALIGN;
	spool_segment_live(&log->segments, seg, r->octets);
}

static void found_note(struct recovery *rv, struct spool_segment *seg, const struct spool_record *r)
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
	log->cfg.owner->note(log->cfg.owner->arg, r->id, r->payload);
}

/* The message is not there any more for its owner. */
static void forget_message(struct spool_log *log, struct spool_entry *e)
{
	struct spool_segment *home = spool_segments_find(&log->segments, e->segment);
	const uint64_t id = e->id;

	spool_segment_dead(&log->segments, home, (uint64_t)e->octets8 * SPOOL_RECORD_ALIGN);
	spool_index_remove(&log->index, id);
	log->cfg.owner->dropped(log->cfg.owner->arg, id);
}

static void found_drop(struct recovery *rv, struct spool_segment *seg, const struct spool_record *r, uint64_t at)
{
	struct spool_log *log = rv->log;
	struct spool_entry *e = spool_index_get(&log->index, r->id);
	uint64_t home_seq;

	seg->about_octets += r->octets;
	remember_id(log, r->id);
	if (spool_drop_parse(r->payload, &home_seq) < 0) {
		report_corrupt(rv, seg->seq, at, r->id, "a drop without sense");
		return;
	}
	struct spool_segment *home = spool_segments_find(&log->segments, home_seq);
	if (home && home->seq < seg->seq)
		spool_segment_need(home, seg, SPOOL_NEED_DROP);
	if (!e)
		return;
	spool_segment_need(spool_segments_find(&log->segments, e->segment), seg, SPOOL_NEED_DROP);
	forget_message(log, e);
}

static void found_gap(struct recovery *rv, uint64_t from, uint64_t to, uint64_t id)
{
	if (rv->ngaps == rv->gaps_cap) {
		rv->gaps_cap = rv->gaps_cap ? 2 * rv->gaps_cap : 16;
		rv->gaps = mem_realloc(rv->gaps, rv->gaps_cap * sizeof *rv->gaps);
	}
	rv->gaps[rv->ngaps++] = (struct gap){ from, to, id };
}

static void found_record(struct recovery *rv, struct spool_segment *seg, const struct spool_scan *sc)
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

/* ---- 4. damage ------------------------------------------------------------------------------------------------ */

/* @certain: everything before it was durable. */
static void judge_gaps(struct recovery *rv, struct spool_segment *seg, uint64_t certain)
{
	struct spool_log *log = rv->log;
	bool damaged = false;

	for (size_t i = 0; i < rv->ngaps; i++) {
		if (rv->gaps[i].from >= certain) {
			rv->found.torn_octets += rv->gaps[i].to - rv->gaps[i].from;
			continue;
		}
		report_corrupt(rv, seg->seq, rv->gaps[i].from, rv->gaps[i].id, "a damaged record is left out");
		damaged = true;
	}
	if (damaged && spool_file_copy_corrupt(log->cfg.fs, log->dir, seg->seq, NULL) < 0) {
		seg->keep = true; /* then the segment itself is the copy, and is found damaged again */
		return;
	}
	/* A hole that cannot be made now is found again at the next start. */
	for (size_t i = 0; i < rv->ngaps; i++)
		if (spool_file_skip(log->cfg.fs, log->dir, seg->seq, seg->epoch, rv->gaps[i].from, rv->gaps[i].to, NULL) < 0)
			seg->keep = true;
}

static int read_segment(struct recovery *rv, size_t i)
{
	struct spool_segment *seg = rv->log->segments.v[i];
	const uint64_t limit = rv->limits[i];
	uint64_t last_batch_at = 0;
	enum spool_scan_found found;
	struct spool_scan sc;

	const int r = open_segment(rv, seg, limit, &sc);
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
	close_segment(rv, &sc);
	judge_gaps(rv, seg, limit ? limit : last_batch_at);
	return 0;
}

/* ---- 5. bodies and files that count for nothing ---------------------------------------------------------------- */

static void check_bodies(struct recovery *rv)
{
	struct spool_log *log = rv->log;
	const struct spool_fs *fs = log->cfg.fs;

	rv->reports = 0;
	for (size_t i = 0; i < rv->nlarge; i++) {
		struct spool_entry *e = spool_index_get(&log->index, rv->large[i].id);
		if (!e)
			continue;
		const struct spool_path path = spool_file_path(log->dir, SPOOL_FILE_BODY, e->id);
		const int fd = fs->open(fs->arg, path.s, SPOOL_FS_READ);
		const int64_t octets = fd < 0 ? -1 : fs->size(fs->arg, fd);
		if (fd >= 0)
			fs->close(fs->arg, fd);
		if (octets >= 0 && (uint64_t)octets == spool_body_file_octets(rv->large[i].body_octets)) {
			log->body_octets += (uint64_t)octets;
			continue;
		}
		spool_segments_find(&log->segments, e->segment)->keep = true;
		report_corrupt(rv, e->segment, (uint64_t)e->at8 * SPOOL_RECORD_ALIGN, e->id,
			       "the file of its body is not there or not whole; the message is not delivered");
		forget_message(log, e);
	}
}

static void remove_all(struct recovery *rv, enum spool_file_kind kind, const struct numbers *list)
{
	struct spool_log *log = rv->log;

	for (size_t i = 0; i < list->n; i++) {
		const struct spool_entry *e = kind == SPOOL_FILE_BODY ? spool_index_get(&log->index, list->v[i]) : NULL;
		if (!e)
			log->cfg.fs->unlink(log->cfg.fs->arg, spool_file_path(log->dir, kind, list->v[i]).s);
	}
}

static void take_spares(struct recovery *rv)
{
	struct spool_log *log = rv->log;
	const struct spool_fs *fs = log->cfg.fs;

	for (size_t i = 0; i < rv->spares.n; i++) {
		const struct spool_path path = spool_file_path(log->dir, SPOOL_FILE_SPARE, rv->spares.v[i]);
		const int fd = fs->open(fs->arg, path.s, SPOOL_FS_READ);
		const int64_t octets = fd < 0 ? -1 : fs->size(fs->arg, fd);
		if (fd >= 0)
			fs->close(fs->arg, fd);
		if (octets >= 0 && (uint64_t)octets == log->cfg.segment_octets && log->nspares < log->cfg.spares_max)
			log->spare[log->nspares++] = (uint32_t)rv->spares.v[i];
		else
			fs->unlink(fs->arg, path.s);
	}
}

int spool_log_recover(struct spool_log *log, struct spool_log_found *found_r, struct errtext *e)
{
	struct recovery rv = { .log = log, .e = e };

	int r = list_segments(&rv);
	if (r == 0)
		r = read_links(&rv);
	for (size_t i = 0; r == 0 && i < log->segments.n; i++)
		r = read_segment(&rv, i);
	if (r == 0) {
		check_bodies(&rv);
		if (!rv.found.corrupt_records)
			remove_all(&rv, SPOOL_FILE_BODY, &rv.bodies);
		remove_all(&rv, SPOOL_FILE_NEW, &rv.news);
		take_spares(&rv);
		rv.found.messages = log->index.n;
		rv.found.segments = log->segments.n;
		*found_r = rv.found;
	}
	free(rv.logs.v);
	free(rv.news.v);
	free(rv.spares.v);
	free(rv.bodies.v);
	free(rv.limits);
	free(rv.large);
	free(rv.gaps);
	return r;
}
