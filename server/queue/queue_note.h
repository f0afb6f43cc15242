/* queue/queue_note.h - what the queue writes to the spool about a message: which recipients are settled,
 * where the others stand.
 *
 * A note is a version octet and groups; each group says one thing of a set of recipients and replaces
 * what was said of them before. A reader skips groups that it does not know. Notes are read in the order
 * in which they were written.
 *
 * Pure.  Ownership: what is read points into the note.  Format: schema/spool-v1.md, "notes".
 * Tests: tests/unit/queue/test_queue_note.c, tests/fuzz/fuzz_queue_note.c
 */
#pragma once

#include "base/buf.h"
#include "queue/queue.h"

enum { QUEUE_NOTE_VERSION = 1, QUEUE_NOTE_MAX = 1024 * 1024 };

/* The numbers are on disk. */
enum queue_note_tag {
	QUEUE_NOTE_SETTLED = 1, /* nothing is left to do for them */
	QUEUE_NOTE_ONLY = 2,    /* nothing is left to do for all others */
	QUEUE_NOTE_READY = 3,   /* they may be tried at once: released, or never tried */
	QUEUE_NOTE_WAITING = 4, /* deferred until next_at */
	QUEUE_NOTE_HELD = 5,    /* until an operator says something; the reason's text says why */
	QUEUE_NOTE_ENDING = 6,  /* over, and a notice is still to be made */
};

/* A group without its recipients. Fields that a tag does not have are 0. */
struct queue_note_group {
	enum queue_note_tag tag;
	unsigned attempts;           /* READY, WAITING, HELD, ENDING: made so far */
	unsigned notices;            /* the same: delay notices made so far */
	int64_t next_at_s;           /* WAITING: wall clock, seconds */
	enum queue_notice_kind kind; /* ENDING: FAILED or RELAYED */
	enum queue_cause cause;      /* ENDING */
	bool told;                   /* ENDING: ops->ended was called */
	struct queue_outcome reason; /* WAITING, HELD, ENDING: code, enhanced, text, remote */
};

/* Writes a note into @out, which must be empty: begin, then a group, its recipients in ascending order,
 * the next group. Texts are cut at QUEUE_TEXT_KEPT_MAX (ENDING: QUEUE_TEXT_MAX). */
struct queue_note_writer {
	struct buf *out;
	struct buf body;  /* of the group that is being written */
	uint32_t last, n; /* recipients */
	struct buf rcpts;
};

void queue_note_begin(struct queue_note_writer *w, struct buf *out);
void queue_note_group_begin(struct queue_note_writer *w, const struct queue_note_group *g);
void queue_note_rcpt(struct queue_note_writer *w, uint32_t index);
void queue_note_group_end(struct queue_note_writer *w);
/* False: it does not fit; what is in @out must not be used. */
bool queue_note_end(struct queue_note_writer *w);

/* Reads a note. */
struct queue_note_reader {
	struct span left;  /* behind this group */
	struct span rcpts; /* of this group, not yet read */
	uint32_t last, n;
	bool first;
};

/* -ERR_UNSUPPORTED: a version that is not ours; -ERR_CORRUPT. */
int queue_note_open(struct queue_note_reader *r, struct span note);
/* 1: *g_r is the next group; 0: there is none; -ERR_CORRUPT. */
int queue_note_next(struct queue_note_reader *r, struct queue_note_group *g_r);
/* The next recipient of the group, ascending. 1, 0 or -ERR_CORRUPT as above. */
int queue_note_next_rcpt(struct queue_note_reader *r, uint32_t *index_r);
