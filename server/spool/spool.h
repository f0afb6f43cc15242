/* spool/spool.h - durable messages: a segment log per worker with group commit.
 *
 * A message is a record: meta (the encoded envelope, opaque here), head (its header section as it will be sent), body. Up to
 * small_max octets all of it is one contiguous record of the segment log; a larger body streams to a file of its own and the
 * record, written when that file is durable, names it. Notes (opaque here: outcomes of the queue) and drops (the message is
 * settled) are records of the same log and are committed lazily: with the next batch or after lazy_commit_us.
 *
 * The happy path of a message:
 *   1. spool_write_begin, spool_write_body ... (small: memory; large: its file, written by a pool thread)
 *   2. spool_commit_start: the record joins the gathering batch
 *   3. the committer thread takes the batch, writes it, one fdatasync, posts it back; meanwhile the next one gathers
 *   4. op.done: the message is durable: 250
 *
 * Ways it fails: no space (refused before the disk is full, see guard); a write or fdatasync fails: the segment is closed and
 * never written or synced again, every message of the batch fails with -ERR_IO, the next batch goes to a new segment; what
 * was in the failed batch may or may not be found after a crash, and since no 250 was given both are right. When the first
 * batch of a new segment fails too, or none can be made, mail is refused until making one works, which is tried every few seconds.
 *
 * The directory has one log per worker number, <dir>/<number>/, each complete in itself. A worker opens its own and those of
 * workers that are no more (number modulo workers); new mail goes to its own, what is said about an old message to the log that
 * has it. So the number of workers may change at any start.
 *
 * Ownership: struct spool owns files and memory; a struct spool_image is counted.
 * Threads:   everything here is called on the worker's loop; the committer and the pool are inside.
 * Units:     octets, microseconds of the wall clock for created_at_us.
 * Format:    schema/spool-v1.md.
 * Tests:     tests/unit/spool/, tests/sim/sim_spool.c, tests/fuzz/fuzz_spool_record.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/span.h"
#include "io/op.h"
#include "io/work.h"
#include "spool/spool_fs.h"
#include "spool/spool_recovery.h"

struct spool;

struct spool_config {
	const char *dir; /* .../spool; made if missing, 0700; at most SPOOL_DIR_MAX octets less a few */
	unsigned worker, workers; /* at most 256 */
	uint64_t segment_bytes;   /* preallocated size of a segment: 64 MiB */
	uint32_t small_max_bytes; /* 256 KiB */
	uint64_t
		memory_budget_bytes; /* of messages in memory, this worker's share; over it even small ones stream to files */
	uint64_t message_max_bytes;
	uint64_t free_min_bytes;     /* under this much free disk no message is begun: -ERR_NOSPACE */
	uint64_t free_alarm_bytes;   /* under this much an event is logged, once per fall */
	int64_t lazy_commit_us;      /* 50 ms */
	unsigned segments_spare_max; /* recycled files kept for reuse: 4 */
};

struct spool_found { /* for the log and for `postern serve`'s first lines */
	uint64_t messages, notes, segments, octets;
	uint64_t torn_octets; /* cut from the end of the last segment: never acknowledged */
	uint64_t
		corrupt_records; /* damaged: left out, reported; their segment, or a copy *.corrupt, is kept */
	int64_t took_us;
};

/* The lock on the whole spool directory (made if missing), for main: one process per spool. It lives as long as the process.
 * -ERR_BUSY: another one has it; *e says which. */
int spool_lock(const char *dir, struct errtext *e);

/* Reads what is there; blocks. @fs NULL: the system's. The rest must outlive the spool, @pool's threads too.
 * -ERR_UNSUPPORTED: it was written by a later version. */
int spool_open(struct spool **s_r, const struct spool_config *cfg, const struct spool_fs *fs,
	       struct loop *loop, struct work_pool *pool, struct logger *log, struct metric_shard *metrics,
	       const struct spool_recovery *recovery, struct spool_found *found_r, struct errtext *e);
/* Commits what waits, then stops the committer. No new writes from now on; those that are open must have been committed or
 * aborted. `closed` comes from the loop; then spool_free(). */
void spool_close(struct spool *s, void (*closed)(void *arg), void *arg);
void spool_free(struct spool **s);

/* ---- writing -------------------------------------------------------------------------------------------------- */

struct spool_write;

/* -ERR_NOSPACE (guard), -ERR_IO (the spool is out of order), -ERR_TOOBIG, -ERR_CLOSED. @size_hint: SIZE= or 0. */
int spool_write_begin(struct spool *s, uint64_t size_hint, struct spool_write **w_r);
/* Copies. -ERR_AGAIN: taken, but wait for `room` before more (large files: the disk is behind). -ERR_TOOBIG over
 * message_max_bytes; -ERR_IO, -ERR_NOSPACE: abort it. */
int spool_write_body(struct spool_write *w, struct span piece);
void spool_write_on_room(struct spool_write *w, void (*room)(void *arg),
			 void *arg); /* called from the loop, later */
/* The queue id that the message has from its beginning: the trace field that goes into its head names it. */
uint64_t spool_write_id(const struct spool_write *w);
uint64_t spool_write_bytes(const struct spool_write *w);
/* What was written so far, if it is in memory (small): lets the message hook see the body. {NULL,0} when large. */
struct span spool_write_peek(const struct spool_write *w);
void spool_write_abort(struct spool_write **w);

struct spool_commit {
	struct op op; /* status 0, -ERR_IO, -ERR_NOSPACE, -ERR_TOOBIG (meta and head over SPOOL_RECORD_MAX) */
	uint64_t id;  /* set by spool_commit_start at once: the queue id */
	struct spool_image
		*image; /* on success, if the message is in memory: one reference, the receiver's */
	void *internal_;
};

/* Consumes @w, unless it returns an error (-ERR_CANCELED: the scope is closing). meta and head are copied before it returns.
 * After op_cancel or the deadline of SPOOL_COMMIT_US the message may still become durable; then it is dropped. */
#define SPOOL_COMMIT_US (60 * INT64_C(1000000))
int spool_commit_start(struct spool_commit *c, struct scope *scope, struct spool_write **w, struct span meta,
		       struct span head);

/* ---- outcomes ------------------------------------------------------------------------------------------------- */

void spool_note(struct spool *s, uint64_t id, struct span note);
/* All is settled: the message goes. Commits the drop lazily. */
void spool_drop(struct spool *s, uint64_t id);
/* Commits all that waits lazily; completes when it is durable, with -ERR_IO or -ERR_NOSPACE when that failed.
 * Cancelled or late (SPOOL_COMMIT_US) it still waits for the disk, as spool_close() does. */
int spool_sync_start(struct op *op, struct scope *scope, struct spool *s);

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* A message in memory. For a large one body is empty and `file_bytes` > 0. */
struct spool_image {
	int refs;
	uint64_t id;
	struct span meta, head, body;
	uint64_t file_bytes;
};

struct spool_image *spool_image_ref(struct spool_image *img);
void spool_image_unref(struct spool_image **img);

struct spool_load {
	struct op op; /* 0, -ERR_NOTFOUND, -ERR_CORRUPT, -ERR_IO, -ERR_BUSY (memory budget; try later) */
	struct spool_image *image; /* one reference */
	void *internal_;
};

/* Reads the record back and verifies its checksum. Cancelled or late (SPOOL_READ_US), it completes at once. */
#define SPOOL_READ_US (60 * INT64_C(1000000))

int spool_load_start(struct spool_load *ld, struct scope *scope, struct spool *s, uint64_t id);

/* The next piece of a large message's body, verified. Fastest in multiples of SPOOL_BODY_BLOCK. */
struct spool_read {
	struct op op; /* octets read, 0 at the end, or -ERR_x */
	char *buf;    /* the caller's */
	uint32_t size;
	uint64_t offset;
	uint64_t body_octets; /* the image's file_bytes */
	void *internal_;
};

int spool_read_start(struct spool_read *r, struct scope *scope, struct spool *s, uint64_t id);

/* ---- state ---------------------------------------------------------------------------------------------------- */

struct spool_stats {
	uint64_t messages, segments, segments_spare, live_octets, disk_octets, free_octets, memory_octets;
	bool accepting;  /* false: spool_write_begin() would refuse: guard or failure */
	const char *why; /* why not */
};

void spool_stats(const struct spool *s, struct spool_stats *st_r);
