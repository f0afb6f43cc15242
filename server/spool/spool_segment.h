/* spool/spool_segment.h - the segments of a log as the loop knows them, and which of them still need which.
 *
 * A segment may be given back when no live message is in it and no other segment needs it. Segment A needs a later segment B
 * when B has records about messages whose own records are in A:
 *
 *   DROP  the message is settled: were B to go first, a crash would bring the message back
 *   NOTE  the state of a live message
 *   MOVE  a copy of the message, made by compaction: a drop of it names B as its home, so B has to stay until A is gone
 *   LINK  B says where A ends, and behind that end there is what a failed write left, which must never be read
 *
 * Needs go from older to newer segments only; so the oldest one is never needed, and there is always one to begin with.
 *
 * Ownership: the set owns its segments.  Threads: one at a time.  Tests: tests/unit/spool/test_segment.c, tests/sim/sim_spool.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spool_need_why { SPOOL_NEED_DROP = 1, SPOOL_NEED_NOTE = 2, SPOOL_NEED_MOVE = 4, SPOOL_NEED_LINK = 8 };

struct spool_need {
	uint32_t seq; /* of the later segment */
	uint32_t why; /* enum spool_need_why, or-ed */
};

enum spool_segment_state {
	SPOOL_SEGMENT_OPEN, /* records are added at its end */
	SPOOL_SEGMENT_CLOSED,
	SPOOL_SEGMENT_MOVING,  /* compaction reads it */
	SPOOL_SEGMENT_FREEING, /* its file is being given back */
	SPOOL_SEGMENT_LOST,    /* that failed: whether its file will be there after a crash is not known */
};

struct spool_segment {
	uint32_t seq;
	enum spool_segment_state state;
	uint64_t epoch;
	uint64_t octets;          /* of the file */
	uint64_t end;             /* records that are durable end here */
	uint64_t live_octets;     /* of records of messages that are not settled */
	uint32_t live;            /* how many those are */
	uint64_t about_octets;    /* of notes and drops: what compaction may have to copy, at most */
	uint32_t linked_in;       /* segment whose start says where this one ends; 0: none does */
	uint32_t pins;            /* segments that need this one */
	uint32_t readers;         /* reads under way */
	bool bad;                 /* a write failed: its file is not used again */
	bool keep;                /* it holds what nobody could read: never given back */
	struct spool_need *needs; /* ascending */
	uint32_t nneeds, needs_cap;
};

struct spool_segments {
	struct spool_segment **v; /* ascending */
	size_t n, cap;
	uint64_t octets, live_octets;
};

void spool_segments_deinit(struct spool_segments *set);
/* @seq is greater than those that are there. */
struct spool_segment *spool_segments_add(struct spool_segments *set, uint32_t seq, uint64_t epoch,
					 uint64_t octets);
struct spool_segment *spool_segments_find(const struct spool_segments *set,
					  uint64_t seq); /* NULL: it is gone */
/* Its file is gone for good: nothing is needed on its account any more. Frees it. */
void spool_segments_remove(struct spool_segments *set, struct spool_segment *seg);

void spool_segment_live(struct spool_segments *set, struct spool_segment *seg, uint64_t octets);
void spool_segment_dead(struct spool_segments *set, struct spool_segment *seg, uint64_t octets);

/* @older needs @newer; harmless when they are one. The newest need is found at once; others by a search. */
void spool_segment_need(struct spool_segment *older, struct spool_segment *newer, enum spool_need_why why);
/* Its notes and drops stand elsewhere too: nobody needs @seg for them any more. */
void spool_segments_emptied(struct spool_segments *set, struct spool_segment *seg);

/* Nothing in it matters and nobody reads it. */
bool spool_segment_is_free(const struct spool_segment *seg);
