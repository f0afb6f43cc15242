/* spool/spool_index.h - where each message is: an open hash table from id to place, 24 octets an entry.
 *
 * The table is in parts that grow on their own, by half, so that a growing queue never makes the loop wait for more than one
 * small part to be moved; between growths an entry costs 27 to 41 octets.
 *
 * Threads: one at a time.  Tests: tests/unit/spool/test_index.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spool_entry_flags {
	SPOOL_ENTRY_LARGE = 1,   /* the body is a file */
	SPOOL_ENTRY_MOVING = 2,  /* compaction's copy of it is on its way to the disk */
	SPOOL_ENTRY_DROPPED = 4, /* and meanwhile it was dropped */
	SPOOL_ENTRY_NOTING = 8,  /* a snapshot of its state is on its way to the disk */
};

struct spool_entry {
	uint64_t id : 60;
	uint64_t flags : 4;
	uint32_t segment;    /* number of the segment with the record: its home */
	uint32_t at8;        /* offset there, in units of 8 octets */
	uint32_t octets8;    /* octets of the record, likewise */
	uint32_t notes_from; /* notes in segments before this one are superseded */
};

enum { SPOOL_INDEX_PARTS = 256 };

struct spool_index_part {
	struct spool_entry *v; /* id 0: free */
	uint32_t n, cap;
};

struct spool_index {
	struct spool_index_part part[SPOOL_INDEX_PARTS];
	uint64_t n;
};

void spool_index_init(struct spool_index *ix);
void spool_index_deinit(struct spool_index *ix);

/* NULL, or the entry; it is valid until the next put or remove. */
struct spool_entry *spool_index_get(const struct spool_index *ix, uint64_t id);
/* The entry of @id, a new one (zeroed but for its id) if there is none. @id is not 0. */
struct spool_entry *spool_index_put(struct spool_index *ix, uint64_t id);
void spool_index_remove(struct spool_index *ix, uint64_t id);

/* Visits all in no order: begin with 0; returns NULL at the end. Nothing may be put or removed meanwhile. */
struct spool_entry *spool_index_next(const struct spool_index *ix, uint64_t *cursor);
