/* spool/spool_log.h - one log: the segments of one directory, what is in them, and what is to be written next.
 *
 * This is the spool without threads and without time of its own, so that a simulation can drive it. It never touches a file
 * from the calls below that belong to the loop; what blocks is handed out as a batch or a chore, which any thread may run:
 *
 *   1. spool_log_add(), _note(), _drop(): the record joins those that gather
 *   2. spool_log_seal(): those that gather become a batch, with their places in a segment
 *   3. spool_batch_write(), on any thread: one write (or few), one sync
 *   4. spool_log_written(): the messages are in the index, what was dropped is settled, and everyone is told
 *
 *   1. spool_log_chore(): something is to be done: make the next segment, give files back, read for compaction
 *   2. spool_chore_run(), on any thread
 *   3. spool_log_chore_done()
 *
 * At most one batch and one chore are out at a time; they may run at the same time.
 *
 * Ways it fails: a batch that fails ends its segment, which is never written or synced again. Its messages are told so; its
 * notes and drops gather again, in front. When the first batch of a new segment fails too the log is broken: it takes no
 * messages until a chore has managed to make a segment, which is tried every SPOOL_RETRY_US.
 *
 * Ids are 60 bits: milliseconds since 2020, number of the log, a counter; they grow, and none is given twice.
 *
 * Ownership: see each call.  Threads: as above.  Format: schema/spool-v1.md.
 * Tests: tests/sim/sim_spool.c, tests/fault/fault_spool.c, tests/unit/spool/test_log.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"
#include "spool/spool_file.h"
#include "spool/spool_fs.h"
#include "spool/spool_recovery.h"

#define SPOOL_RETRY_US (3 * INT64_C(1000000))

enum {
	SPOOL_LOGS_MAX = 256,                 /* eight bits of an id */
	SPOOL_RECORD_MAX = 16 * 1024 * 1024,  /* payload of a record */
	SPOOL_BATCH_OCTETS = 8 * 1024 * 1024, /* a batch is not made longer than this */
	SPOOL_NOTES_GATHER_MAX =
		32 * 1024 * 1024, /* of notes while the disk does not take them; the rest is forgotten */
};

#define SPOOL_REPORT_MAP(X)                                                                                  \
	X(CORRUPT)   /* damage: a record, a segment or a body is left out */                                 \
	X(FAILED)    /* a write, sync or the like failed */                                                  \
	X(BROKEN)    /* and the log takes no messages now */                                                 \
	X(MENDED)    /* it does again */                                                                     \
	X(COMPACTED) /* a segment was emptied */

enum spool_report_kind {
#define X(name) SPOOL_REPORT_##name,
	SPOOL_REPORT_MAP(X)
#undef X
};

struct spool_report {
	enum spool_report_kind kind;
	uint32_t segment; /* 0: none */
	uint64_t at;      /* octet in it */
	uint64_t id;      /* 0: not known */
	int err;          /* -ERR_x */
	const char *text;
	uint64_t octets, moved; /* COMPACTED */
};

struct spool_log_config {
	const struct spool_fs *fs;
	const char *dir;         /* it exists; at most SPOOL_DIR_MAX octets */
	uint32_t number;         /* < SPOOL_LOGS_MAX; in ids and headers */
	uint64_t segment_octets; /* at least SPOOL_SEGMENT_MIN */
	unsigned spares_max;
	bool ahead;                /* make the next segment before it is needed */
	uint64_t compact_octets_s; /* compaction reads at most so much in a second; 0: no limit */
	const struct spool_recovery *owner;
	void (*report)(void *arg, const struct spool_report *r);
	void *report_arg;
};

enum { SPOOL_SEGMENT_MIN = 16 * 1024, SPOOL_SPARES_MAX = 64 };

struct spool_log_found {
	uint64_t messages, notes, segments, octets, torn_octets, corrupt_records;
};

struct spool_log;

/* Reads all that is there; blocks. -ERR_IO, -ERR_UNSUPPORTED (a later version), ... */
int spool_log_open(struct spool_log **log_r, const struct spool_log_config *cfg,
		   struct spool_log_found *found_r, struct errtext *e);
/* No batch and no chore is out. What gathers is forgotten; its messages are told -ERR_CLOSED. */
void spool_log_free(struct spool_log **log);

/* ---- gathering ------------------------------------------------------------------------------------------------ */

/* A record on its way to the disk; embedded in its owner if it has one. */
struct spool_rec {
	struct list link;
	uint8_t type, flags;
	uint64_t id;
	struct span payload[2]; /* one after the other; borrowed until done() */
	/* Told once: 0, or -ERR_NOSPACE (nothing of it was written), -ERR_IO, -ERR_CLOSED. NULL: the log's own. */
	void (*done)(struct spool_rec *r, int status);

	/* Internal. */
	uint32_t octets;
	uint64_t at;
	uint32_t home, home_octets; /* of a note or drop: where the message was */
	bool compaction;            /* made by it, and forgotten when the batch fails */
	char header[SPOOL_RECORD_HEADER];
};

unsigned spool_log_number_of(uint64_t id); /* of the log that gave it */
uint64_t spool_log_new_id(struct spool_log *log, int64_t wall_us);
/* @r is a message (type and done set); done() comes from spool_log_written() or spool_log_free(). -ERR_IO or -ERR_NOSPACE: the
 * log is broken; -ERR_TOOBIG: over SPOOL_RECORD_MAX. Then the record was not taken. */
int spool_log_add(struct spool_log *log, struct spool_rec *r);
/* done(0) when all that gathered before it is durable; told at once when the log is broken. It is not on disk; type and payload
 * are not used. */
void spool_log_barrier(struct spool_log *log, struct spool_rec *r);
void spool_log_note(struct spool_log *log, uint64_t id, struct span note);
void spool_log_drop(struct spool_log *log, uint64_t id);
/* A last record that says that the log was closed in order. */
void spool_log_end(struct spool_log *log);

bool spool_log_gathers(const struct spool_log *log); /* anything */
bool spool_log_urgent(const struct spool_log *log);  /* somebody waits for it */

/* ---- batches -------------------------------------------------------------------------------------------------- */

struct spool_batch;

/* NULL: nothing gathers, a batch is out, the log is broken, or the next segment is just being made. */
struct spool_batch *spool_log_seal(struct spool_log *log, int64_t wall_us);
void spool_batch_write(struct spool_batch *b);
/* Frees @b. Returns 0, or the error that its messages were told. */
int spool_log_written(struct spool_log *log, struct spool_batch **b, int64_t now_us);

uint64_t spool_batch_octets(const struct spool_batch *b);
unsigned spool_batch_messages(const struct spool_batch *b);
unsigned spool_batch_syncs(const struct spool_batch *b);

/* ---- chores --------------------------------------------------------------------------------------------------- */

struct spool_chore;

/* NULL: nothing to do, or one is out. *again_us_r: when to ask again, though nothing happened till then (0: need not). */
struct spool_chore *spool_log_chore(struct spool_log *log, int64_t now_us, int64_t wall_us,
				    int64_t *again_us_r);
void spool_chore_run(struct spool_chore *c);
void spool_log_chore_done(struct spool_log *log, struct spool_chore **c, int64_t now_us); /* frees it */

/* ---- reading -------------------------------------------------------------------------------------------------- */

struct spool_place {
	uint32_t segment;
	uint64_t epoch, at;
	uint32_t octets;
	bool large;
};

/* Where message @id is; its segment stays until spool_log_unpin(). -ERR_NOTFOUND. */
int spool_log_pin(struct spool_log *log, uint64_t id, struct spool_place *place_r);
void spool_log_unpin(struct spool_log *log, const struct spool_place *place);
bool spool_log_has(const struct spool_log *log, uint64_t id, bool *large_r);

/* Reads the record and checks it; any thread. *octets_r is the caller's to free; message_r points into it. -ERR_IO,
 * -ERR_CORRUPT. */
int spool_place_read(const struct spool_fs *fs, const char *dir, const struct spool_place *place, uint64_t id,
		     char **octets_r, struct spool_message *message_r);

/* ---- state ---------------------------------------------------------------------------------------------------- */

struct spool_log_state {
	uint64_t messages, live_octets, segments, spares;
	uint64_t disk_octets; /* of segments and spares; bodies */
	uint64_t
		unused_octets; /* of these: where messages can be written without more disk, a reserve left aside */
	int broken;            /* 0, or -ERR_x */
	const char *why;
};

void spool_log_state(const struct spool_log *log, struct spool_log_state *st_r);
/* A body was written: it counts for disk_octets. */
void spool_log_body_added(struct spool_log *log, uint64_t octets);
/* A file for the next body, or none. */
struct spool_body_given spool_log_body_given(struct spool_log *log);
/* A body has no record and will have none: a chore removes its file. */
void spool_log_body_remove(struct spool_log *log, uint64_t id);
