/* Compaction: one message that is held for weeks must not hold the disk space of millions that passed.
 *
 * When COMPACT_SLACK segments are dead and others need them, or when more than that and half of what lives is dead weight, one
 * that costs little to empty is read, piece by piece, within a rate (or as fast as new records are written), and what in it
 * still matters is gathered again like new records. This is looked at once for each segment that is begun.
 *
 *   message    if the index says that this is its place: a copy (MOVED) that ends with the owner's state as one note (SNAPSHOT)
 *   note       if it tells something about a live message in another segment: the owner's state, as above
 *   drop       if the home that it names is still on disk: the same drop again
 *
 * A piece is read when all records of the one before are durable, and all drops that came before them. After the last one nobody
 * needs the segment for its notes and drops; it is free, and with it go its own needs of later segments.
 *
 * Ways it fails: a batch fails: the segment stays, and is a candidate again; a record cannot be read: the segment is kept for good.
 * It must earn its keep: when less than an eighth of a segment was won the next one waits until another segment is written.
 */
#include "spool/spool_log_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum { COMPACT_SLACK = 4, GAIN_MIN_PART = 8, SNAPSHOT_MAX = 4 * 1024 * 1024 };

/* ---- which one ------------------------------------------------------------------------------------------------ */

/* At most what would have to be written again. */
static uint64_t cost_of(const struct spool_segment *seg)
{
	return seg->live_octets + (seg->pins ? seg->about_octets : 0);
}

static bool may_be_emptied(const struct spool_segment *seg)
{
	/* One that has nothing to be copied only waits for an older one. */
	return seg->state == SPOOL_SEGMENT_CLOSED && !seg->keep && !spool_segment_is_free(seg) &&
	       (seg->live || seg->about_octets);
}

static struct spool_segment *choose(const struct spool_log *log)
{
	struct spool_segment *best = NULL, *oldest_dead = NULL;
	uint64_t octets = 0, live = 0, dead = 0;

	for (size_t i = 0; i < log->segments.n; i++) {
		struct spool_segment *seg = log->segments.v[i];
		if (seg->state == SPOOL_SEGMENT_CLOSED && !seg->keep) {
			octets += seg->octets;
			live += seg->live_octets;
			dead += seg->live ? 0 : seg->octets;
		}
		if (!may_be_emptied(seg))
			continue;
		if (!oldest_dead && !seg->live)
			oldest_dead = seg;
		if (!best ||
		    (double)cost_of(seg) * (double)best->octets < (double)cost_of(best) * (double)seg->octets)
			best = seg;
	}
	/* A dead one that an older one needs often keeps a whole row of them, each needed by the one before. */
	if (dead > COMPACT_SLACK * log->cfg.segment_octets && oldest_dead &&
	    cost_of(oldest_dead) < oldest_dead->octets / 2)
		return oldest_dead;
	if (octets <= live + live / 2 + COMPACT_SLACK * log->cfg.segment_octets)
		return NULL;
	/* Nothing but notes and drops everywhere: the oldest of them, so that notes that are superseded fall out. */
	if (best && oldest_dead && cost_of(best) > best->octets / 4 * 3)
		return oldest_dead;
	return best;
}

static void finish(struct spool_log *log)
{
	struct spool_compaction *k = &log->compaction;
	struct spool_segment *seg = k->segment;

	seg->state = SPOOL_SEGMENT_CLOSED;
	k->segment = NULL;
	log->look_for_free = true;
	if (k->failed)
		return;
	spool_segments_emptied(&log->segments, seg);
	/* A message whose drop is still on its way to the disk is left in it; it frees the segment soon. */
	seg->about_octets = 0;
	if (k->octets + seg->octets / GAIN_MIN_PART > seg->octets || seg->pins)
		k->hold_seq = log->active ? log->active->seq : 0;
	spool_log_report(log, &(struct spool_report){ .kind = SPOOL_REPORT_COMPACTED,
						      .segment = seg->seq,
						      .octets = seg->octets,
						      .moved = k->moved });
}

void spool_compact_settle(struct spool_log *log)
{
	const struct spool_compaction *k = &log->compaction;

	if (!k->segment || k->pending)
		return;
	if (k->failed || k->at == k->segment->end || (!k->segment->live && !k->segment->pins))
		finish(log);
}

bool spool_compact_wants(struct spool_log *log, int64_t now_us, int64_t *again_us_r)
{
	struct spool_compaction *k = &log->compaction;

	if (!k->segment) {
		if (!log->active || log->active->seq == k->hold_seq)
			return false;
		struct spool_segment *seg = choose(log);
		if (!seg) {
			k->hold_seq = log->active->seq;
			return false;
		}
		seg->state = SPOOL_SEGMENT_MOVING;
		*k = (struct spool_compaction){ .segment = seg,
						.at = SPOOL_SEGMENT_HEADER,
						.next_us = k->next_us,
						.piece = k->piece,
						.written = k->written };
	}
	if (k->pending || k->failed || k->at == k->segment->end)
		return false;
	if (now_us < k->next_us && k->written < k->piece) {
		*again_us_r = k->next_us;
		return false;
	}
	return true;
}

/* ---- what still matters --------------------------------------------------------------------------------------- */

static void gather(struct spool_log *log, struct spool_rec *r)
{
	r->compaction = true;
	spool_rec_gather(log, r);
	log->compaction.pending++;
	log->compaction.octets += r->octets;
}

/* The owner's state of a message. False: there is more of it than a note may hold, and the segment stays as it is. */
static bool get_state(struct spool_log *log, uint64_t id, struct buf *state)
{
	buf_init(state, SNAPSHOT_MAX);
	log->cfg.owner->snapshot(log->cfg.owner->arg, id, state);
	if (!state->overflow)
		return true;
	buf_free(state);
	spool_compact_give_up(log, -ERR_TOOBIG, log->compaction.at,
			      "the state of a message is too long to be moved");
	return false;
}

static void take_message(struct spool_log *log, const struct spool_item *item)
{
	struct spool_entry *e = spool_index_get(&log->index, item->id);
	struct buf state;

	if (!e || e->segment != log->compaction.segment->seq ||
	    (uint64_t)e->at8 * SPOOL_RECORD_ALIGN != item->at)
		return; /* settled, or moved before */
	if (!get_state(log, e->id, &state))
		return;
	struct spool_rec *r = spool_rec_new(SPOOL_RECORD_MESSAGE, item->id,
					    span_make(item->payload, item->payload_octets), buf_span(&state));
	r->flags = (item->flags & SPOOL_FLAG_LARGE) | SPOOL_FLAG_MOVED | SPOOL_FLAG_SNAPSHOT;
	e->flags |= SPOOL_ENTRY_MOVING;
	gather(log, r);
	log->compaction.moved++;
	buf_free(&state);
}

static void take_note(struct spool_log *log, const struct spool_item *item)
{
	const uint32_t seq = log->compaction.segment->seq;
	struct spool_entry *e = spool_index_get(&log->index, item->id);
	struct buf state;

	/* Its own messages take their state along. */
	if (!e || e->segment == seq || seq < e->notes_from ||
	    e->flags & (SPOOL_ENTRY_NOTING | SPOOL_ENTRY_MOVING | SPOOL_ENTRY_DROPPED))
		return;
	if (!get_state(log, e->id, &state))
		return;
	struct spool_rec *r = spool_rec_new(SPOOL_RECORD_NOTE, e->id, buf_span(&state), SPAN(""));
	r->flags = SPOOL_FLAG_SNAPSHOT;
	r->home = e->segment;
	e->flags |= SPOOL_ENTRY_NOTING;
	gather(log, r);
	buf_free(&state);
}

static void take_drop(struct spool_log *log, const struct spool_item *item)
{
	const struct spool_segment *home = spool_segments_find(&log->segments, item->home);
	char payload[SPOOL_DROP_PAYLOAD];

	if (!home || home == log->compaction.segment)
		return;
	spool_drop_payload(item->home, payload);
	struct spool_rec *r =
		spool_rec_new(SPOOL_RECORD_DROP, item->id, span_make(payload, sizeof payload), SPAN(""));
	r->home = (uint32_t)item->home;
	gather(log, r);
}

/* Nothing was copied for a message whose drop is not durable yet; so nothing may go before it is. */
static void gather_barrier(struct spool_log *log)
{
	gather(log, spool_rec_new(SPOOL_REC_BARRIER, 0, SPAN(""), SPAN("")));
}

void spool_compact_take(struct spool_log *log, struct spool_item *items, size_t n, uint64_t end,
			int64_t now_us)
{
	struct spool_compaction *k = &log->compaction;

	for (size_t i = 0; i < n; i++) {
		switch (items[i].type) {
		case SPOOL_RECORD_MESSAGE:
			take_message(log, &items[i]);
			break;
		case SPOOL_RECORD_NOTE:
			take_note(log, &items[i]);
			break;
		case SPOOL_RECORD_DROP:
			take_drop(log, &items[i]);
			break;
		default:
			break;
		}
		free(items[i].payload);
	}
	gather_barrier(log);
	k->piece = end - k->at;
	k->written = 0;
	if (log->cfg.compact_octets_s)
		k->next_us = now_us + (int64_t)(k->piece * 1000000 / log->cfg.compact_octets_s);
	k->at = end;
}

void spool_compact_give_up(struct spool_log *log, int err, uint64_t at, const char *text)
{
	struct spool_compaction *k = &log->compaction;

	k->failed = true;
	k->segment->keep = true;
	spool_log_report(log, &(struct spool_report){ .kind = SPOOL_REPORT_CORRUPT,
						      .segment = k->segment->seq,
						      .at = at,
						      .err = err,
						      .text = text });
}

void spool_compact_record_ended(struct spool_log *log, bool ok)
{
	struct spool_compaction *k = &log->compaction;

	require(k->pending);
	k->pending--;
	k->failed |= !ok;
}
