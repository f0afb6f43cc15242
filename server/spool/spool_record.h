/* spool/spool_record.h - the octets of segments: the header of a file and the records behind it.
 *
 * Pure: values to octets and back. A record is found to be one by its magic, by a checksum over its header that starts from
 * the segment's random epoch and the record's place, and by a checksum over its payload; so neither what a recycled file still
 * holds nor what somebody put into the body of a message is taken for a record.
 *
 * Ownership: what is parsed points into the input.
 * Threads:   pure.
 * Format:    schema/spool-v1.md.  Tests: tests/unit/spool/test_record.c, tests/fuzz/fuzz_spool_record.c
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum {
	SPOOL_VERSION = 1,
	SPOOL_SEGMENT_HEADER = 4096, /* octets before the first record */
	SPOOL_RECORD_HEADER = 32,
	SPOOL_RECORD_ALIGN = 8,
	SPOOL_MESSAGE_PREFIX = 16, /* lengths at the start of a message's payload */
	SPOOL_DROP_PAYLOAD = 8,
	SPOOL_LINK_PAYLOAD = 16,
};

#define SPOOL_RECORD_MAP(X)                                                                                  \
	X(MESSAGE, 1) /* a message */                                                                        \
	X(NOTE, 2)    /* something about a message, its owner's */                                           \
	X(DROP, 3)    /* the message is settled */                                                           \
	X(LINK, 4)    /* where the records of an earlier segment end */                                      \
	X(SKIP, 5)    /* a hole, nothing more */                                                             \
	X(END, 6)     /* the spool was closed in order */

enum spool_record_type {
#define X(name, value) SPOOL_RECORD_##name = value,
	SPOOL_RECORD_MAP(X)
#undef X
};

enum spool_record_flags {
	SPOOL_FLAG_LARGE = 1 << 0, /* message, drop: the body is a file of its own */
	SPOOL_FLAG_MOVED =
		1 << 1, /* message: a copy made by compaction; takes the place of the earlier one */
	SPOOL_FLAG_SNAPSHOT =
		1 << 2, /* note: takes the place of all earlier ones; message: such a note is its end */
};

struct spool_segment_header {
	uint32_t version;
	uint32_t log;      /* number of the log that it belongs to */
	uint64_t seq;      /* its own number; the order of the segments of a log */
	uint64_t epoch;    /* random; starts the checksums of its records */
	uint64_t octets;   /* size of the file */
	uint64_t id_floor; /* no id given before this segment was made is greater */
	int64_t created_at_us;
};

void spool_segment_header_encode(const struct spool_segment_header *h, char out[SPOOL_SEGMENT_HEADER]);
/* -ERR_CORRUPT, or -ERR_UNSUPPORTED when it is whole but of a later version. */
int spool_segment_header_decode(struct span in, struct spool_segment_header *h_r);

struct spool_record {
	uint8_t type, flags;
	uint64_t id;
	uint64_t
		batch_at; /* where the batch that it was written with begins: all before that was synced already */
	uint32_t octets; /* of the whole record in the file, with header and padding */
	uint32_t payload_octets, payload_crc;
	struct span payload;
};

/* Octets in the file of a record with that payload. */
static inline uint64_t spool_record_octets(uint64_t payload_octets)
{
	return (SPOOL_RECORD_HEADER + payload_octets + SPOOL_RECORD_ALIGN - 1) &
	       ~(uint64_t)(SPOOL_RECORD_ALIGN - 1);
}

/* The header of the record that is to stand at @at. Uses type, flags, id, batch_at, payload_octets and payload_crc. */
void spool_record_encode(const struct spool_record *r, uint64_t epoch, uint64_t at,
			 char out[SPOOL_RECORD_HEADER]);

/* Reads the record at the start of @in, which is octet @at of its segment. Returns 0, or
 *   -ERR_SYNTAX   there is no record here
 *   -ERR_AGAIN    the header is good; @in is shorter than r_r->octets
 *   -ERR_CORRUPT  the header is good, the payload is not
 * With the last two all of *r_r but the payload is set. */
int spool_record_parse(struct span in, uint64_t epoch, uint64_t at, struct spool_record *r_r);

/* Offset in @in of the first good record header, @in being octet @at (aligned) of its segment; in.n, rounded down to where
 * the search may go on with more, when there is none. */
size_t spool_record_find(struct span in, uint64_t epoch, uint64_t at);

/* The payload of a message: lengths, meta, head, and the body unless it is a file. A copy made by compaction ends with a note, so
 * that a crash never leaves the message in its new place without its state. */
struct spool_message {
	struct span meta, head, body, note;
	uint64_t body_octets; /* of the file too */
};

void spool_message_prefix(uint32_t meta_octets, uint32_t head_octets, uint64_t body_octets,
			  char out[SPOOL_MESSAGE_PREFIX]);
/* @flags: of the record. 0 or -ERR_CORRUPT. */
int spool_message_parse(struct span payload, unsigned flags, struct spool_message *m_r);

void spool_drop_payload(uint64_t home, char out[SPOOL_DROP_PAYLOAD]);
void spool_link_payload(uint64_t seq, uint64_t end, char out[SPOOL_LINK_PAYLOAD]);
int spool_drop_parse(struct span payload, uint64_t *home_r);
int spool_link_parse(struct span payload, uint64_t *seq_r, uint64_t *end_r);
