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
#include "spool/spool_recover_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "spool/spool_body.h"

enum { LINKS_PIECE = 64 * 1024 };

static void add_number(struct spool_numbers *list, uint64_t number)
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

/* ---- 1. what there is ----------------------------------------------------------------------------------------- */

static int on_name(void *arg, const char *name)
{
	struct spool_recover *rv = arg;
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
	case SPOOL_FILE_GIVEN:
		add_number(&rv->given, number);
		return 0;
	case SPOOL_FILE_OTHER:
		return 0;
	}
	if (number > rv->log->seq_last)
		rv->log->seq_last = (uint32_t)number;
	return 0;
}

/* Without its epoch no record in it can be told from chance. */
static int set_aside_segment(struct spool_recover *rv, uint32_t seq)
{
	struct spool_log *log = rv->log;
	const struct spool_fs *fs = log->cfg.fs;
	const struct spool_path path = spool_file_path(log->dir, SPOOL_FILE_LOG, seq);
	int r = spool_file_copy_corrupt(fs, log->dir, seq, rv->e);

	if (r < 0)
		return r;
	spool_recover_report(rv, seq, 0, 0, "the segment has no header");
	r = fs->unlink(fs->arg, path.s);
	if (r == 0)
		r = fs->sync_dir(fs->arg, log->dir);
	return r < 0 ? spool_fs_error(rv->e, r, "remove", path.s) : 0;
}

static int list_segments(struct spool_recover *rv)
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
			spool_segments_add(&log->segments, seq, h.epoch, h.octets)->state =
				SPOOL_SEGMENT_CLOSED;
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

/* ---- 2. links ------------------------------------------------------------------------------------------------- */

/* Is there something behind the end, which a failed write left and the link hides? */
static int look_behind(struct spool_recover *rv, struct spool_segment *seg, uint64_t end)
{
	struct spool_scan sc;
	const int r = spool_recover_open(rv, seg, 0, &sc);

	if (r < 0)
		return r;
	sc.next_at = sc.base = end;
	if (spool_scan_next(&sc) != SPOOL_SCAN_END || sc.gap_record.type) {
		seg->bad = true;
		spool_segment_need(seg, spool_segments_find(&rv->log->segments, seg->linked_in),
				   SPOOL_NEED_LINK);
	}
	spool_recover_close(rv, &sc);
	return 0;
}

static int read_links(struct spool_recover *rv)
{
	struct spool_segments *set = &rv->log->segments;

	for (size_t i = 0; i < set->n; i++) {
		struct spool_scan sc;
		uint64_t seq, end;
		const int r = spool_recover_open(rv, set->v[i], 0, &sc);
		if (r < 0)
			return r;
		sc.piece = LINKS_PIECE;
		while (sc.next_at < SPOOL_SEGMENT_HEADER + SPOOL_LINKS_MAX * SPOOL_LINK_OCTETS &&
		       spool_scan_next(&sc) == SPOOL_SCAN_RECORD && sc.record.type == SPOOL_RECORD_LINK) {
			if (spool_link_parse(sc.record.payload, &seq, &end) < 0)
				break;
			for (size_t k = 0; k < i; k++) {
				if (set->v[k]->seq != seq || end < SPOOL_SEGMENT_HEADER ||
				    end > set->v[k]->octets)
					continue;
				set->v[k]->linked_in = set->v[i]->seq;
				rv->limits[k] = end;
			}
		}
		spool_recover_close(rv, &sc);
	}
	return 0;
}

/* ---- 5. bodies and files that count for nothing ---------------------------------------------------------------- */

static void check_bodies(struct spool_recover *rv)
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
		if (octets >= 0 && (uint64_t)octets >= spool_body_file_octets(rv->large[i].body_octets)) {
			log->body_octets += (uint64_t)octets;
			continue;
		}
		spool_segments_find(&log->segments, e->segment)->keep = true;
		spool_recover_report(
			rv, e->segment, (uint64_t)e->at8 * SPOOL_RECORD_ALIGN, e->id,
			"the file of its body is not there or not whole; the message is not delivered");
		spool_recover_forget(log, e);
	}
}

static void remove_all(struct spool_recover *rv, enum spool_file_kind kind, const struct spool_numbers *list)
{
	struct spool_log *log = rv->log;

	for (size_t i = 0; i < list->n; i++) {
		const struct spool_entry *e =
			kind == SPOOL_FILE_BODY ? spool_index_get(&log->index, list->v[i]) : NULL;
		if (!e)
			log->cfg.fs->unlink(log->cfg.fs->arg, spool_file_path(log->dir, kind, list->v[i]).s);
	}
}

static void take_spares(struct spool_recover *rv)
{
	struct spool_log *log = rv->log;
	const struct spool_fs *fs = log->cfg.fs;

	for (size_t i = 0; i < rv->spares.n; i++) {
		const struct spool_path path = spool_file_path(log->dir, SPOOL_FILE_SPARE, rv->spares.v[i]);
		const int fd = fs->open(fs->arg, path.s, SPOOL_FS_READ);
		const int64_t octets = fd < 0 ? -1 : fs->size(fs->arg, fd);
		if (fd >= 0)
			fs->close(fs->arg, fd);
		if (octets >= 0 && (uint64_t)octets == log->cfg.segment_octets &&
		    log->nspares < log->cfg.spares_max)
			log->spare[log->nspares++] = (uint32_t)rv->spares.v[i];
		else
			fs->unlink(fs->arg, path.s);
	}
}

int spool_log_recover(struct spool_log *log, struct spool_log_found *found_r, struct errtext *e)
{
	struct spool_recover rv = { .log = log, .e = e };

	int r = list_segments(&rv);
	if (r == 0)
		r = read_links(&rv);
	for (size_t i = 0; r == 0 && i < log->segments.n; i++)
		r = rv.limits[i] ? look_behind(&rv, log->segments.v[i], rv.limits[i]) : 0;
	for (size_t i = 0; r == 0 && i < log->segments.n; i++)
		r = spool_recover_segment(&rv, i);
	if (r == 0) {
		check_bodies(&rv);
		if (!rv.found.corrupt_records)
			remove_all(&rv, SPOOL_FILE_BODY, &rv.bodies);
		remove_all(&rv, SPOOL_FILE_NEW, &rv.news);
		remove_all(&rv, SPOOL_FILE_GIVEN, &rv.given);
		take_spares(&rv);
		rv.found.messages = log->index.n;
		rv.found.segments = log->segments.n;
		*found_r = rv.found;
	}
	free(rv.logs.v);
	free(rv.news.v);
	free(rv.spares.v);
	free(rv.bodies.v);
	free(rv.given.v);
	free(rv.limits);
	free(rv.large);
	free(rv.gaps);
	return r;
}
