/* spool/spool_log_priv.h - the inside of a log, for the files that implement spool_log.h. */
#pragma once

#include "base/buf.h"
#include "spool/spool_body.h"
#include "spool/spool_index.h"
#include "spool/spool_log.h"
#include "spool/spool_record.h"
#include "spool/spool_segment.h"

enum { SPOOL_REC_BARRIER = 0 }; /* a type that is not on disk: told when all before it is */

/* How many files of settled bodies are kept, and how large they may be. */
enum { SPOOL_GIVEN_MAX = 16, SPOOL_GIVEN_OCTETS_MAX = 4 * 1024 * 1024 };

enum { SPOOL_LINKS_MAX = 1000, SPOOL_LINK_OCTETS = SPOOL_RECORD_HEADER + SPOOL_LINK_PAYLOAD };

/* Compaction of one segment: its records are read in pieces; what still matters gathers again. */
struct spool_compaction {
	struct spool_segment *segment; /* NULL: none is under way */
	uint64_t at;                   /* read up to here */
	unsigned pending;              /* records that gather or fly on its account */
	bool failed;
	uint64_t moved, octets;
	int64_t next_us; /* no piece is read before this, unless as much as the last piece was written since */
	uint64_t piece, written;
	uint32_t hold_seq; /* the last one brought nothing: none until another segment than this is written */
};

struct spool_log {
	struct spool_log_config cfg;
	char dir[SPOOL_DIR_MAX + 1];
	struct spool_index index;
	struct spool_segments segments;

	struct spool_segment *active; /* NULL until the first batch, and after a failure */
	int active_fd;
	struct spool_segment_header next; /* made ahead; seq 0: none */
	int next_fd;
	uint32_t spare[SPOOL_SPARES_MAX];
	unsigned nspares;
	uint32_t seq_last;
	uint64_t id_last;

	struct list gather;
	uint64_t gather_notes; /* octets of notes in it */
	unsigned urgent;       /* messages and barriers in it */
	unsigned deferred;     /* drops that wait for a copy of their message (SPOOL_ENTRY_DROPPED) */
	struct spool_batch *flying;
	struct spool_chore *chore;
	struct spool_compaction compaction;
	bool look_for_free; /* a segment may have become free */

	uint64_t *bodies; /* ids whose files are to be removed */
	size_t nbodies, bodies_cap;
	struct spool_body_given given[SPOOL_GIVEN_MAX]; /* files of bodies, to be used again */
	unsigned ngiven;
	uint64_t body_octets;

	int broken;
	struct errtext why;
	int64_t retry_us; /* making a segment failed: not again before this */
};

struct spool_batch {
	const struct spool_fs *fs;
	struct list records;
	struct spool_segment *segment;
	uint64_t epoch, at, octets;
	unsigned count, messages, syncs;
	bool fresh; /* the first one of its segment */
	int fd;     /* -1: make the segment first */
	int close_fd;
	struct spool_make make;
	int err; /* -ERR_x */
	struct errtext e;
};

/* The log's own record; its payload is a copy of both. */
struct spool_rec *spool_rec_new(unsigned type, uint64_t id, struct span payload, struct span more);
void spool_rec_gather(struct spool_log *log, struct spool_rec *r);
/* @sign is 1 when @r joins those that gather, -1 when it leaves them. */
void spool_rec_count(struct spool_log *log, const struct spool_rec *r, int sign);
void spool_rec_done(struct spool_rec *r, int status); /* tells its owner, or frees the log's own */
/* The message is settled in memory; @e is removed. */
void spool_log_drop_entry(struct spool_log *log, struct spool_entry *e);

void spool_log_report(const struct spool_log *log, const struct spool_report *r);
void spool_log_break(struct spool_log *log, int err, const char *text, int64_t now_us);
void spool_log_mend(struct spool_log *log);
struct spool_segment_header spool_log_next_header(struct spool_log *log, uint64_t octets, int64_t wall_us);

bool spool_chore_makes(const struct spool_chore *c); /* is it making the next segment? */

int spool_log_recover(struct spool_log *log, struct spool_log_found *found_r, struct errtext *e);

/* ---- compaction: spool_compact.c ------------------------------------------------------------------------ */

/* A record that compaction read. */
struct spool_item {
	uint8_t type, flags;
	uint64_t id, at, home;
	char *payload; /* of a message: its own memory */
	uint32_t payload_octets;
};
/* Ends the compaction that is under way, if all is done; its segment may be free then. */
void spool_compact_settle(struct spool_log *log);
/* Is a piece of compaction.segment to be read now? Begins a compaction. *again_us_r as of spool_log_chore(). */
bool spool_compact_wants(struct spool_log *log, int64_t now_us, int64_t *again_us_r);
/* The records up to @end: what still matters gathers again. Takes their payloads. */
void spool_compact_take(struct spool_log *log, struct spool_item *items, size_t n, uint64_t end,
			int64_t now_us);
/* It could not be read: its segment is kept as it is. */
void spool_compact_give_up(struct spool_log *log, int err, uint64_t at, const char *text);
/* One of its records is durable, or is not. */
void spool_compact_record_ended(struct spool_log *log, bool ok);
