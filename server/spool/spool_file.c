#include "spool/spool_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"

enum { COPY_OCTETS = 1024 * 1024, CORRUPT_COPIES_MAX = 9, SEQ_DIGITS = 10 };

static const char *const endings[] = {
	[SPOOL_FILE_LOG] = ".log",   [SPOOL_FILE_NEW] = ".new",     [SPOOL_FILE_SPARE] = ".spare",
	[SPOOL_FILE_BODY] = ".body", [SPOOL_FILE_GIVEN] = ".given",
};

/* ---- names ---------------------------------------------------------------------------------------------------- */

struct spool_path spool_file_path(const char *dir, enum spool_file_kind kind, uint64_t number)
{
	struct spool_path path;

	require(kind != SPOOL_FILE_OTHER && strlen(dir) <= SPOOL_DIR_MAX);
	if (kind >= SPOOL_FILE_BODY)
		snprintf(path.s, sizeof path.s, "%s/%s%s", dir, id_from_u64(number).s, endings[kind]);
	else
		snprintf(path.s, sizeof path.s, "%s/%0*" PRIu64 "%s", dir, SEQ_DIGITS, number, endings[kind]);
	return path;
}

enum spool_file_kind spool_file_kind(const char *name, uint64_t *number_r)
{
	const struct span all = span_of(name);

	for (size_t kind = SPOOL_FILE_LOG; kind < ARRAY_LEN(endings); kind++) {
		const struct span ending = span_of(endings[kind]);
		if (!span_ends(all, ending))
			continue;
		const struct span number = span_first(all, all.n - ending.n);
		const bool ok = kind >= SPOOL_FILE_BODY
					? id_parse(number, number_r)
					: number.n == SEQ_DIGITS && span_to_u64(number, UINT32_MAX, number_r);
		return ok ? (enum spool_file_kind)kind : SPOOL_FILE_OTHER;
	}
	return SPOOL_FILE_OTHER;
}

/* ---- making --------------------------------------------------------------------------------------------------- */

static int write_header(const struct spool_make *mk, int fd)
{
	char *octets = mem_alloc_raw(SPOOL_SEGMENT_HEADER);
	const struct iovec v = { octets, SPOOL_SEGMENT_HEADER };

	spool_segment_header_encode(&mk->header, octets);
	const int r = mk->fs->write(mk->fs->arg, fd, &v, 1, 0);
	free(octets);
	return r;
}

/* The header is durable before the file has the name that makes it count; so a segment without a good header was damaged, and
 * what a spare file held before can never be taken for records of the new one. */
int spool_file_make(const struct spool_make *mk, struct errtext *e)
{
	const struct spool_fs *fs = mk->fs;
	const struct spool_path log = spool_file_path(mk->dir, SPOOL_FILE_LOG, mk->header.seq);
	const struct spool_path from = mk->spare ? spool_file_path(mk->dir, SPOOL_FILE_SPARE, mk->spare)
						 : spool_file_path(mk->dir, SPOOL_FILE_NEW, mk->header.seq);
	const char *what = "open";
	int r;

	const int fd = fs->open(fs->arg, from.s, mk->spare ? SPOOL_FS_WRITE : SPOOL_FS_CREATE);
	if (fd < 0)
		return spool_fs_error(e, fd, what, from.s);
	if (!mk->spare) {
		what = "allocate";
		r = fs->allocate(fs->arg, fd, mk->header.octets);
		if (r < 0)
			goto err_after_open;
	}
	what = "write";
	r = write_header(mk, fd);
	if (r < 0)
		goto err_after_open;
	what = "sync";
	r = fs->sync(fs->arg, fd);
	if (r < 0)
		goto err_after_open;
	what = "rename";
	r = fs->rename(fs->arg, from.s, log.s);
	if (r < 0)
		goto err_after_open;
	what = "sync directory of";
	r = fs->sync_dir(fs->arg, mk->dir);
	if (r < 0) {
		fs->close(fs->arg, fd);
		fs->unlink(fs->arg, log.s);
		return spool_fs_error(e, r, what, log.s);
	}
	return fd;

err_after_open:
	fs->close(fs->arg, fd);
	fs->unlink(fs->arg, from.s);
	return spool_fs_error(e, r, what, from.s);
}

int spool_file_header(const struct spool_fs *fs, const char *dir, uint32_t seq,
		      struct spool_segment_header *h_r, struct errtext *e)
{
	const struct spool_path path = spool_file_path(dir, SPOOL_FILE_LOG, seq);
	char *octets = mem_alloc_raw(SPOOL_SEGMENT_HEADER);
	struct spool_segment_header h;
	int r = fs->open(fs->arg, path.s, SPOOL_FS_READ);

	if (r < 0) {
		r = spool_fs_error(e, r, "open", path.s);
		goto out;
	}
	const int64_t got = fs->read(fs->arg, r, octets, SPOOL_SEGMENT_HEADER, 0);
	fs->close(fs->arg, r);
	if (got < 0) {
		r = spool_fs_error(e, (int)got, "read", path.s);
		goto out;
	}
	r = spool_segment_header_decode(span_make(octets, (size_t)got), &h);
	if (r == 0 && h.seq != seq)
		r = -ERR_CORRUPT;
	if (r == -ERR_UNSUPPORTED)
		errtext_set(e, ERR_UNSUPPORTED, "%s is of a later version of the spool than %d", path.s,
			    SPOOL_VERSION);
	else if (r < 0)
		errtext_set(e, ERR_CORRUPT, "%s has no header", path.s);
	else
		*h_r = h;
out:
	free(octets);
	return r;
}

/* ---- damage --------------------------------------------------------------------------------------------------- */

static int copy_octets(const struct spool_fs *fs, int from, int to, char *chunk)
{
	for (uint64_t at = 0;;) {
		const int64_t got = fs->read(fs->arg, from, chunk, COPY_OCTETS, at);
		if (got <= 0)
			return (int)got;
		const struct iovec v = { chunk, (size_t)got };
		const int r = fs->write(fs->arg, to, &v, 1, at);
		if (r < 0)
			return r;
		at += (uint64_t)got;
	}
}

static int create_corrupt(const struct spool_fs *fs, const char *dir, uint32_t seq, struct spool_path *path_r)
{
	int r = -EEXIST;

	for (int i = 0; r == -EEXIST && i <= CORRUPT_COPIES_MAX; i++) {
		char nth[8] = "";
		if (i)
			snprintf(nth, sizeof nth, ".%d", i);
		snprintf(path_r->s, sizeof path_r->s, "%s/%0*" PRIu32 "%s.corrupt", dir, SEQ_DIGITS, seq,
			 nth);
		r = fs->open(fs->arg, path_r->s, SPOOL_FS_CREATE);
	}
	return r;
}

int spool_file_copy_corrupt(const struct spool_fs *fs, const char *dir, uint32_t seq, struct errtext *e)
{
	const struct spool_path from = spool_file_path(dir, SPOOL_FILE_LOG, seq);
	struct spool_path to;
	char *chunk = mem_alloc_raw(COPY_OCTETS);
	int in, out, r;

	r = in = fs->open(fs->arg, from.s, SPOOL_FS_READ);
	if (r < 0)
		goto out;
	r = out = create_corrupt(fs, dir, seq, &to);
	if (r < 0)
		goto out_after_in;
	r = copy_octets(fs, in, out, chunk);
	if (r == 0)
		r = fs->sync(fs->arg, out);
	fs->close(fs->arg, out);
	if (r == 0)
		r = fs->sync_dir(fs->arg, dir);
	if (r < 0)
		fs->unlink(fs->arg, to.s);
out_after_in:
	fs->close(fs->arg, in);
out:
	free(chunk);
	return r < 0 ? spool_fs_error(e, r, "copy", from.s) : 0;
}

int spool_file_skip(const struct spool_fs *fs, const char *dir, uint32_t seq, uint64_t epoch, uint64_t from,
		    uint64_t to, struct errtext *e)
{
	const struct spool_path path = spool_file_path(dir, SPOOL_FILE_LOG, seq);
	char header[SPOOL_RECORD_HEADER];
	const struct iovec v = { header, sizeof header };
	struct spool_record skip = { .type = SPOOL_RECORD_SKIP };

	if (to - from < SPOOL_RECORD_HEADER || to - from > UINT32_MAX)
		return errtext_set(e, ERR_INVAL, "%s: a hole of %" PRIu64 " octets", path.s, to - from);
	skip.payload_octets = (uint32_t)(to - from - SPOOL_RECORD_HEADER);
	spool_record_encode(&skip, epoch, from, header);
	int r = fs->open(fs->arg, path.s, SPOOL_FS_WRITE);
	if (r < 0)
		return spool_fs_error(e, r, "open", path.s);
	const int fd = r;
	r = fs->write(fs->arg, fd, &v, 1, from);
	if (r == 0)
		r = fs->sync(fs->arg, fd);
	fs->close(fs->arg, fd);
	return r < 0 ? spool_fs_error(e, r, "repair", path.s) : 0;
}
