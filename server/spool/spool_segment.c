#include "spool/spool_segment.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

static void segment_free(struct spool_segment *seg)
{
	free(seg->needs);
	free(seg);
}

void spool_segments_deinit(struct spool_segments *set)
{
	for (size_t i = 0; i < set->n; i++)
		segment_free(set->v[i]);
	free(set->v);
	*set = (struct spool_segments){ 0 };
}

struct spool_segment *spool_segments_add(struct spool_segments *set, uint32_t seq, uint64_t epoch,
					 uint64_t octets)
{
	struct spool_segment *seg = mem_alloc(sizeof *seg);

	require(!set->n || set->v[set->n - 1]->seq < seq);
	if (set->n == set->cap) {
		set->cap = set->cap ? 2 * set->cap : 16;
		set->v = mem_realloc(set->v, set->cap * sizeof(struct spool_segment *));
	}
	seg->seq = seq;
	seg->epoch = epoch;
	seg->octets = octets;
	set->v[set->n++] = seg;
	set->octets += octets;
	return seg;
}

/* Index of the first segment that is not before @seq. */
static size_t lower_bound(const struct spool_segments *set, uint64_t seq)
{
	size_t from = 0, to = set->n;

	while (from < to) {
		const size_t mid = from + (to - from) / 2;
		if (set->v[mid]->seq < seq)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

struct spool_segment *spool_segments_find(const struct spool_segments *set, uint64_t seq)
{
	if (set->n && set->v[set->n - 1]->seq == seq) /* most often the newest */
		return set->v[set->n - 1];
	const size_t i = lower_bound(set, seq);
	return i < set->n && set->v[i]->seq == seq ? set->v[i] : NULL;
}

void spool_segments_remove(struct spool_segments *set, struct spool_segment *seg)
{
	const size_t at = lower_bound(set, seg->seq);

	require(at < set->n && set->v[at] == seg && !seg->live && !seg->pins && !seg->readers);
	for (uint32_t i = 0; i < seg->nneeds; i++) {
		struct spool_segment *needed = spool_segments_find(set, seg->needs[i].seq);
		require(needed && needed->pins);
		needed->pins--;
	}
	set->octets -= seg->octets;
	set->n--;
	memmove(set->v + at, set->v + at + 1, (set->n - at) * sizeof(struct spool_segment *));
	segment_free(seg);
}

void spool_segment_live(struct spool_segments *set, struct spool_segment *seg, uint64_t octets)
{
	seg->live++;
	seg->live_octets += octets;
	set->live_octets += octets;
}

void spool_segment_dead(struct spool_segments *set, struct spool_segment *seg, uint64_t octets)
{
	require(seg->live && seg->live_octets >= octets);
	seg->live--;
	seg->live_octets -= octets;
	set->live_octets -= octets;
}

/* ---- needs ---------------------------------------------------------------------------------------------------- */

/* Index in needs of the first that is not before @seq. */
static uint32_t need_bound(const struct spool_segment *seg, uint32_t seq)
{
	uint32_t from = 0, to = seg->nneeds;

	if (to && seg->needs[to - 1].seq < seq)
		return to;
	while (from < to) {
		const uint32_t mid = from + (to - from) / 2;
		if (seg->needs[mid].seq < seq)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

void spool_segment_need(struct spool_segment *older, struct spool_segment *newer, enum spool_need_why why)
{
	if (older == newer)
		return;
	require(older->seq < newer->seq);
	if (older->nneeds &&
	    older->needs[older->nneeds - 1].seq == newer->seq) { /* the one that is being written */
		older->needs[older->nneeds - 1].why |= why;
		return;
	}
	const uint32_t at = need_bound(older, newer->seq);
	if (at < older->nneeds && older->needs[at].seq == newer->seq) {
		older->needs[at].why |= why;
		return;
	}
	if (older->nneeds == older->needs_cap) {
		older->needs_cap = older->needs_cap ? 2 * older->needs_cap : 4;
		older->needs = mem_realloc(older->needs, older->needs_cap * sizeof *older->needs);
	}
	memmove(older->needs + at + 1, older->needs + at, (older->nneeds - at) * sizeof *older->needs);
	older->needs[at] = (struct spool_need){ newer->seq, why };
	older->nneeds++;
	newer->pins++;
}

void spool_segments_emptied(struct spool_segments *set, struct spool_segment *seg)
{
	for (size_t i = 0; i < set->n && set->v[i]->seq < seg->seq; i++) {
		struct spool_segment *older = set->v[i];
		const uint32_t at = need_bound(older, seg->seq);
		if (at == older->nneeds || older->needs[at].seq != seg->seq)
			continue;
		older->needs[at].why &= SPOOL_NEED_MOVE | SPOOL_NEED_LINK;
		if (older->needs[at].why)
			continue;
		older->nneeds--;
		memmove(older->needs + at, older->needs + at + 1,
			(older->nneeds - at) * sizeof *older->needs);
		seg->pins--;
	}
}

bool spool_segment_is_free(const struct spool_segment *seg)
{
	return seg->state == SPOOL_SEGMENT_CLOSED && !seg->live && !seg->pins && !seg->readers && !seg->keep;
}
