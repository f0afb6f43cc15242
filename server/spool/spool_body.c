#include "spool/spool_body.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "spool/spool_file.h"

/* Blocks of another message, or in another order, must not pass: id and number of the block come first. */
static uint32_t crc_start(uint64_t id, uint64_t block)
{
	const uint64_t place[2] = { htole64(id), htole64(block) };

	return hash_crc32c(0, place, sizeof place);
}

static int write_error(int r)
{
	return r == -ENOSPC || r == -EDQUOT ? -ERR_NOSPACE : -ERR_IO;
}

void spool_body_writer_init(struct spool_body_writer *bw, const struct spool_fs *fs, const char *dir,
			    uint64_t id, uint64_t octets_max, struct spool_body_given given)
{
	*bw = (struct spool_body_writer){ .fs = fs, .dir = dir, .id = id, .given = given, .fd = -1 };
	buf_init(&bw->table, spool_body_file_octets(octets_max) - octets_max + SPOOL_BODY_CRC);
	bw->crc = crc_start(id, 0);
}

static bool end_block(struct spool_body_writer *bw)
{
	const uint32_t crc = htole32(bw->crc);

	bw->crc = crc_start(bw->id, bw->octets / SPOOL_BODY_BLOCK);
	return buf_add(&bw->table, &crc, sizeof crc);
}

/* The given file, or a new one if that is not to be had. A crash may undo the new name: then the file is the settled message's
 * again, and is removed at the next start. */
static int open_file(struct spool_body_writer *bw)
{
	const struct spool_fs *fs = bw->fs;
	const struct spool_path path = spool_file_path(bw->dir, SPOOL_FILE_BODY, bw->id);

	if (bw->given.id) {
		const struct spool_path from = spool_file_path(bw->dir, SPOOL_FILE_GIVEN, bw->given.id);
		if (fs->rename(fs->arg, from.s, path.s) == 0)
			return fs->open(fs->arg, path.s, SPOOL_FS_WRITE);
		fs->unlink(fs->arg, from.s);
		bw->given.octets = 0;
	}
	return fs->open(fs->arg, path.s, SPOOL_FS_CREATE);
}

uint64_t spool_body_writer_file_octets(const struct spool_body_writer *bw)
{
	const uint64_t octets = spool_body_file_octets(bw->octets);

	return octets > bw->given.octets ? octets : bw->given.octets;
}

int spool_body_write(struct spool_body_writer *bw, struct span piece)
{
	const struct iovec v = { (void *)(uintptr_t)piece.p, piece.n };
	int r;

	if (bw->fd < 0) {
		r = open_file(bw);
		if (r < 0)
			return write_error(r);
		bw->fd = r;
	}
	r = piece.n ? bw->fs->write(bw->fs->arg, bw->fd, &v, 1, bw->octets) : 0;
	if (r < 0)
		return write_error(r);
	while (piece.n) {
		const size_t room = SPOOL_BODY_BLOCK - bw->octets % SPOOL_BODY_BLOCK;
		const struct span part = span_first(piece, room);
		bw->crc = hash_crc32c(bw->crc, part.p, part.n);
		bw->octets += part.n;
		piece = span_skip(piece, part.n);
		if (part.n == room && !end_block(bw))
			return -ERR_TOOBIG;
	}
	return 0;
}

int spool_body_finish(struct spool_body_writer *bw)
{
	if (bw->octets % SPOOL_BODY_BLOCK && !end_block(bw))
		return -ERR_TOOBIG;
	const struct iovec v = { bw->table.p, bw->table.n };
	int r = bw->fs->write(bw->fs->arg, bw->fd, &v, 1, bw->octets);
	if (r == 0)
		r = bw->fs->sync(bw->fs->arg, bw->fd);
	if (r == 0)
		r = bw->fs->sync_dir(bw->fs->arg, bw->dir);
	if (r < 0)
		return write_error(r);
	bw->fs->close(bw->fs->arg, bw->fd);
	bw->fd = -1;
	buf_free(&bw->table);
	return 0;
}

void spool_body_discard(struct spool_body_writer *bw)
{
	buf_free(&bw->table);
	if (bw->fd >= 0)
		bw->fs->close(bw->fs->arg, bw->fd);
	bw->fd = -1;
	bw->fs->unlink(bw->fs->arg, spool_file_path(bw->dir, SPOOL_FILE_BODY, bw->id).s);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

struct reader {
	const struct spool_fs *fs;
	int fd;
	uint64_t id, body_octets;
	char *block; /* for a part of one; NULL until it is needed */
};

/* The block that has octet @at, checked, into @to. Returns its octets. */
static int64_t read_block(const struct reader *rd, uint64_t at, char *to)
{
	const uint64_t number = at / SPOOL_BODY_BLOCK, start = number * SPOOL_BODY_BLOCK;
	const size_t n = rd->body_octets - start < SPOOL_BODY_BLOCK ? (size_t)(rd->body_octets - start)
								    : SPOOL_BODY_BLOCK;
	uint32_t crc;

	const int64_t got = rd->fs->read(rd->fs->arg, rd->fd, to, n, start);
	const int64_t got_crc = rd->fs->read(rd->fs->arg, rd->fd, &crc, sizeof crc,
					     rd->body_octets + number * SPOOL_BODY_CRC);
	if (got < 0 || got_crc < 0)
		return -ERR_IO;
	if ((size_t)got < n || (size_t)got_crc < sizeof crc ||
	    le32toh(crc) != hash_crc32c(crc_start(rd->id, number), to, n))
		return -ERR_CORRUPT;
	return (int64_t)n;
}

static int64_t read_octets(struct reader *rd, char *p, size_t n, uint64_t at)
{
	size_t done = 0;

	while (done < n && at < rd->body_octets && done < rd->body_octets - at) {
		const size_t skip = (at + done) % SPOOL_BODY_BLOCK;
		const bool whole = skip == 0 && n - done >= SPOOL_BODY_BLOCK; /* then it needs no copy */
		if (!whole && !rd->block)
			rd->block = mem_alloc_raw(SPOOL_BODY_BLOCK);
		const int64_t got = read_block(rd, at + done, whole ? p + done : rd->block);
		if (got < 0)
			return got;
		const size_t some = (size_t)got - skip < n - done ? (size_t)got - skip : n - done;
		if (!whole)
			memcpy(p + done, rd->block + skip, some);
		done += some;
	}
	return (int64_t)done;
}

int64_t spool_body_read(const struct spool_fs *fs, const char *dir, uint64_t id, uint64_t body_octets,
			char *p, size_t n, uint64_t at)
{
	struct reader rd = { .fs = fs, .id = id, .body_octets = body_octets };

	rd.fd = fs->open(fs->arg, spool_file_path(dir, SPOOL_FILE_BODY, id).s, SPOOL_FS_READ);
	if (rd.fd < 0)
		return rd.fd == -ENOENT ? -ERR_NOTFOUND : -ERR_IO;
	const int64_t r = read_octets(&rd, p, n, at);
	free(rd.block);
	fs->close(fs->arg, rd.fd);
	return r;
}
