/* spool/spool_file.h - what is done to whole files of a log: made, given back, copied, repaired.
 *
 *   <seq>.log      a segment; has had a good header since it got this name
 *   <seq>.new      one that is being made; nothing in it counts
 *   <seq>.spare    one that was given back and may become another; nothing in it counts
 *   <seq>.corrupt  a copy of a segment as it was found with damage, for people (<seq>.1.corrupt, ... if there were more)
 *   <id>.body      the body of a large message
 *   <id>.given     a body's file that was given back and may become another's; nothing in it counts
 *
 * Everything here blocks and may run on any thread; it shares nothing but the file system.
 *
 * Errors: -ERR_x with the words in *e.  Tests: tests/sim/sim_spool.c, tests/fault/fault_spool.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "spool/spool_fs.h"
#include "spool/spool_record.h"

enum { SPOOL_DIR_MAX = 400, SPOOL_NAME_MAX = 32 };

struct spool_path {
	char s[SPOOL_DIR_MAX + SPOOL_NAME_MAX];
};

enum spool_file_kind {
	SPOOL_FILE_OTHER,
	SPOOL_FILE_LOG,
	SPOOL_FILE_NEW,
	SPOOL_FILE_SPARE,
	SPOOL_FILE_BODY,
	SPOOL_FILE_GIVEN,
};

/* @number is a segment's, or the id of a body (BODY, GIVEN). */
struct spool_path spool_file_path(const char *dir, enum spool_file_kind kind, uint64_t number);
enum spool_file_kind spool_file_kind(const char *name, uint64_t *number_r);

/* Makes segment header.seq: from the spare file *spare if there is one (its size must fit), else new and allocated.
 * Returns a descriptor. When that fails nothing with the name <seq>.log holds anything. */
struct spool_make {
	const struct spool_fs *fs;
	const char *dir;
	struct spool_segment_header header;
	uint32_t spare; /* 0: none */
};

int spool_file_make(const struct spool_make *mk, struct errtext *e);

/* The header of segment @seq. -ERR_CORRUPT: there is none; -ERR_UNSUPPORTED: of a later version. */
int spool_file_header(const struct spool_fs *fs, const char *dir, uint32_t seq,
		      struct spool_segment_header *h_r, struct errtext *e);

/* Keeps a copy of segment @seq for people; it is durable when 0 is returned. */
int spool_file_copy_corrupt(const struct spool_fs *fs, const char *dir, uint32_t seq, struct errtext *e);

/* Makes a hole of the octets from..to of a segment, so that it is read over from now on. Durable when 0 is returned.
 * -ERR_INVAL: too small to hold a header. */
int spool_file_skip(const struct spool_fs *fs, const char *dir, uint32_t seq, uint64_t epoch, uint64_t from,
		    uint64_t to, struct errtext *e);
