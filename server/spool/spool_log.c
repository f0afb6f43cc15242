/* The life of a record until it is in a batch: it gathers, and a batch is made of those that gather, in their order. */
#include "spool/spool_log_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"

/* ---- records that gather -------------------------------------------------------------------------------------- */

struct spool_rec *spool_rec_new(unsigned type, uint64_t id, struct span payload, struct span more)
{
	struct spool_rec *r = mem_alloc_raw(sizeof *r + payload.n + more.n);
	char *copy = (char *)(r + 1);

	*r = (struct spool_rec){ .type = (uint8_t)type, .id = id };
	if (payload.n)
		memcpy(copy, payload.p, payload.n);
	if (more.n)
		memcpy(copy + payload.n, more.p, more.n);
	r->payload[0] = span_make(copy, payload.n + more.n);
	list_init(&r->link);
	return r;
}

static bool is_urgent(const struct spool_rec *r)
{
	return !r->compaction && r->type != SPOOL_RECORD_NOTE && r->type != SPOOL_RECORD_DROP;
}

void spool_rec_count(struct spool_log *log, const struct spool_rec *r, int sign)
{
	if (is_urgent(r))
		log->urgent += (unsigned)sign;
	if (r->type == SPOOL_RECORD_NOTE)
		log->gather_notes += (uint64_t)(int64_t)sign * r->octets;
}

static void gather_at(struct spool_log *log, struct list *before, struct spool_rec *r)
{
	const uint64_t payload = r->payload[0].n + r->payload[1].n;

	r->octets = r->type == SPOOL_REC_BARRIER ? 0 : (uint32_t)spool_record_octets(payload);
	list_init(&r->link);
	list_insert_before(before, &r->link);
	spool_rec_count(log, r, 1);
}

void spool_rec_gather(struct spool_log *log, struct spool_rec *r)
{
	gather_at(log, &log->gather, r);
}

void spool_rec_done(struct spool_rec *r, int status)
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
	const uint64_t last = (log->id_last >> (NUMBER_BITS + COUNT_BITS)) << COUNT_BITS |
			      (log->id_last & ((1 << COUNT_BITS) - 1));
	if (n <= last)
		n = last + 1;
	require(n >> (MS_BITS + COUNT_BITS) == 0);
	log->id_last = (n >> COUNT_BITS) << (NUMBER_BITS + COUNT_BITS) |
		       (uint64_t)log->cfg.number << COUNT_BITS | (n & ((1 << COUNT_BITS) - 1));
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
	r->type = SPOOL_REC_BARRIER;
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
	struct spool_rec *r = spool_rec_new(SPOOL_RECORD_NOTE, id, note, SPAN(""));
	r->home = e->segment;
	spool_rec_gather(log, r);
}

void spool_log_drop_entry(struct spool_log *log, struct spool_entry *e)
{
	const bool deferred = e->flags & SPOOL_ENTRY_DROPPED;
	char payload[SPOOL_DROP_PAYLOAD];

	spool_drop_payload(e->segment, payload);
	struct spool_rec *r =
		spool_rec_new(SPOOL_RECORD_DROP, e->id, span_make(payload, sizeof payload), SPAN(""));
	r->flags = e->flags & SPOOL_ENTRY_LARGE ? SPOOL_FLAG_LARGE : 0;
	r->home = e->segment;
	r->home_octets = e->octets8 * SPOOL_RECORD_ALIGN;
	log->deferred -= deferred;
	spool_index_remove(&log->index, e->id);
	/* One that had to wait is before the barriers that were set since. */
	gather_at(log, deferred ? log->gather.next : &log->gather, r);
}

void spool_log_drop(struct spool_log *log, uint64_t id)
{
	struct spool_entry *e = spool_index_get(&log->index, id);

	if (!e)
		return;
	if (!(e->flags & SPOOL_ENTRY_MOVING)) {
		spool_log_drop_entry(log, e);
	} else if (!(e->flags & SPOOL_ENTRY_DROPPED)) {
		e->flags |= SPOOL_ENTRY_DROPPED;
		log->deferred++;
	}
}

void spool_log_end(struct spool_log *log)
{
	if (log->active)
		spool_rec_gather(log, spool_rec_new(SPOOL_RECORD_END, 0, SPAN(""), SPAN("")));
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
		spool_rec_count(log, r, -1);
		list_remove(&r->link);
		spool_rec_done(r, err);
	}
	spool_log_report(
		log, &(struct spool_report){ .kind = SPOOL_REPORT_BROKEN, .err = err, .text = log->why.s });
}

void spool_log_mend(struct spool_log *log)
{
	if (!log->broken)
		return;
	log->broken = 0;
	spool_log_report(log, &(struct spool_report){ .kind = SPOOL_REPORT_MENDED,
						      .segment = (uint32_t)log->next.seq });
}

/* ---- open and free -------------------------------------------------------------------------------------------- */

int spool_log_open(struct spool_log **log_r, const struct spool_log_config *cfg,
		   struct spool_log_found *found_r, struct errtext *e)
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
	list_for_each_safe(link, &log->gather) {
		list_remove(link);
		spool_rec_done(list_entry(link, struct spool_rec, link), -ERR_CLOSED);
	}
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
			   octets < log->cfg.segment_octets / 4;
	     i++)
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
		struct spool_rec *r = spool_rec_new(SPOOL_RECORD_LINK, seg->seq,
						    span_make(payload, sizeof payload), SPAN(""));
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
		spool_segments_add(&log->segments, (uint32_t)h.seq, h.epoch, h.octets)->end =
			SPOOL_SEGMENT_HEADER;
		log->segments.v[log->segments.n - 1]->state = SPOOL_SEGMENT_CLOSED;
		log->cfg.fs->close(log->cfg.fs->arg, log->next_fd);
		h.seq = 0;
	}
	if (!h.seq) {
		h = spool_log_next_header(
			log, need > log->cfg.segment_octets ? need : log->cfg.segment_octets, wall_us);
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
		spool_rec_count(log, r, -1);
		list_remove(&r->link);
		list_push_back(&b->records, &r->link);
	}
	log->flying = b;
	return b;
}
