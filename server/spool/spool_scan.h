/* spool/spool_scan.h - reads the records of a segment in order, over damage.
 *
 * Reads ahead in large pieces. A sector that cannot be read counts as zeros, and so as damage, not as the end.
 *
 * Threads: any; one at a time.  Tests: tests/unit/spool/test_scan.c, tests/fuzz/fuzz_spool_record.c
 */
#pragma once

#include <stdint.h>

#include "spool/spool_fs.h"
#include "spool/spool_record.h"

struct spool_scan {
	const struct spool_fs *fs;
	int fd;
	uint64_t epoch;
	uint64_t end;     /* nothing behind it is looked at */
	uint64_t next_at; /* where the next record is expected */

	/* What spool_scan_next() found. */
	struct spool_record record; /* payload is valid until the next call */
	uint64_t at;                /* of the record, or of the gap */
	uint64_t gap_end;
	struct spool_record
		gap_record; /* id and octets of the record there if its header was good; type 0: it was not */

	size_t piece; /* octets of one read */
	char *buf;    /* octets base .. base + n of the file */
	uint64_t base;
	size_t n, cap;
	uint64_t unreadable; /* sectors that could not be read */
};

enum spool_scan_found { SPOOL_SCAN_END, SPOOL_SCAN_RECORD, SPOOL_SCAN_GAP };

/* @fd stays the caller's. Starts at octet @from, which must be the place of a record. `piece` may be changed afterwards. */
void spool_scan_init(struct spool_scan *sc, const struct spool_fs *fs, int fd, uint64_t epoch, uint64_t from,
		     uint64_t end);
void spool_scan_deinit(struct spool_scan *sc);

/* RECORD: `record` at `at`. GAP: no good record at `at`, one (or what looks like one) at gap_end. END: none behind next_at; if
 * what is there is the rest of a record whose header was good, gap_record says which. */
enum spool_scan_found spool_scan_next(struct spool_scan *sc);
