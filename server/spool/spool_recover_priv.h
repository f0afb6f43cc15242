/* spool/spool_recover_priv.h - what the two files that read a log at its opening share: spool_recover.c, the whole, and
 * spool_recover_read.c, one segment. */
#pragma once

#include "spool/spool_log_priv.h"
#include "spool/spool_scan.h"

struct spool_numbers {
	uint64_t *v;
	size_t n, cap;
};

struct spool_gap {
	uint64_t from, to, id;
};

struct spool_large {
	uint64_t id, body_octets;
};

struct spool_recover {
	struct spool_log *log;
	struct spool_log_found found;
	struct errtext *e;
	struct spool_numbers logs, news, spares, bodies, given;
	uint64_t *limits; /* of segment i: where a link says it ends; 0: none does */
	struct spool_large *large;
	size_t nlarge, large_cap;
	/* Of the segment in hand. */
	struct spool_gap *gaps;
	size_t ngaps, gaps_cap;
	unsigned reports;
};

/* @end 0: that of the file. */
int spool_recover_open(struct spool_recover *rv, const struct spool_segment *seg, uint64_t end,
		       struct spool_scan *sc);
void spool_recover_close(struct spool_recover *rv, struct spool_scan *sc);
int spool_recover_segment(struct spool_recover *rv, size_t i);
/* The message is not there any more for its owner. */
void spool_recover_forget(struct spool_log *log, struct spool_entry *e);
void spool_recover_report(struct spool_recover *rv, uint32_t segment, uint64_t at, uint64_t id,
			  const char *text);
