/* spool/spool_body.h - the file of a large body: the body as it is, and behind it a checksum for each block of it.
 *
 * Everything here blocks and may run on any thread; one writer at a time.
 *
 * Format: schema/spool-v1.md, "bodies".  Tests: tests/unit/spool/test_body.c, tests/fault/fault_spool.c
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "spool/spool_fs.h"

enum { SPOOL_BODY_BLOCK = 64 * 1024, SPOOL_BODY_CRC = 4 };

static inline uint64_t spool_body_file_octets(uint64_t body_octets)
{
	return body_octets + (body_octets + SPOOL_BODY_BLOCK - 1) / SPOOL_BODY_BLOCK * SPOOL_BODY_CRC;
}

/* A file that a settled message has given back. Writing over it takes no space from the file system and gives none back, which on
 * disks that are told of each freed block (discard) is most of what a file costs. It stays as long as it was. */
struct spool_body_given {
	uint64_t id; /* whose it was; 0: none */
	uint64_t octets;
};

struct spool_body_writer {
	const struct spool_fs *fs;
	const char *dir;
	uint64_t id;
	struct spool_body_given given; /* to be used again */
	int fd;                        /* -1: not made yet */
	uint64_t octets;               /* written so far */
	uint32_t crc;                  /* of the block in hand */
	struct buf table;
};

void spool_body_writer_init(struct spool_body_writer *bw, const struct spool_fs *fs, const char *dir,
			    uint64_t id, uint64_t octets_max, struct spool_body_given given);
/* 0, -ERR_NOSPACE, -ERR_IO. After an error it can only be discarded. */
int spool_body_write(struct spool_body_writer *bw, struct span piece);
int spool_body_finish(struct spool_body_writer *bw); /* durable, by its name too */
uint64_t spool_body_writer_file_octets(
	const struct spool_body_writer *bw);           /* finished: what the file takes */
void spool_body_discard(struct spool_body_writer *bw); /* closes and removes the file, if there is one */

/* Of a body of @body_octets. Octets read, fewer than @n only at the end; -ERR_NOTFOUND, -ERR_IO, -ERR_CORRUPT. */
int64_t spool_body_read(const struct spool_fs *fs, const char *dir, uint64_t id, uint64_t body_octets,
			char *p, size_t n, uint64_t at);
