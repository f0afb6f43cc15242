/* Runs on the committer's thread: touches the batch and its descriptors alone. */
#include "spool/spool_log_priv.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

enum { PIECES = 4 }; /* of a record at most: header, two of payload, padding */

static size_t add_record(const struct spool_batch *b, struct spool_rec *r, struct iovec *v)
{
	static const char zeros[SPOOL_RECORD_ALIGN] = { 0 };
	const uint64_t payload = r->payload[0].n + r->payload[1].n;
	const uint64_t padding = r->octets - SPOOL_RECORD_HEADER - payload;
	const struct spool_record record = {
		.type = r->type,
		.flags = r->flags,
		.id = r->id,
		.batch_at = b->at,
		.payload_octets = (uint32_t)payload,
		.payload_crc = hash_crc32c(hash_crc32c(0, r->payload[0].p, r->payload[0].n), r->payload[1].p,
					   r->payload[1].n),
	};
	size_t n = 0;

	spool_record_encode(&record, b->epoch, r->at, r->header);
	v[n++] = (struct iovec){ r->header, SPOOL_RECORD_HEADER };
	for (unsigned i = 0; i < 2; i++)
		if (r->payload[i].n)
			v[n++] = (struct iovec){ (void *)(uintptr_t)r->payload[i].p, r->payload[i].n };
	if (padding)
		v[n++] = (struct iovec){ (void *)(uintptr_t)zeros, padding };
	return n;
}

static int write_records(struct spool_batch *b)
{
	struct iovec *v = mem_alloc_array((size_t)b->count * PIECES, sizeof *v);
	const char *what = "write";
	size_t n = 0;

	list_for_each(link, &b->records) {
		struct spool_rec *r = list_entry(link, struct spool_rec, link);
		if (r->octets)
			n += add_record(b, r, v + n);
	}
	int r = b->fs->write(b->fs->arg, b->fd, v, n, b->at);
	free(v);
	if (r == 0) {
		what = "sync";
		b->syncs++;
		r = b->fs->sync(b->fs->arg, b->fd);
	}
	return r < 0 ? spool_fs_error(&b->e, r, what, "segment") : 0;
}

void spool_batch_write(struct spool_batch *b)
{
	if (b->close_fd >= 0)
		b->fs->close(b->fs->arg, b->close_fd);
	if (!b->octets)
		return;
	if (b->fd < 0) {
		b->fd = spool_file_make(&b->make, &b->e);
		if (b->fd < 0) {
			b->err = b->fd == -ERR_NOSPACE ? -ERR_NOSPACE
						       : -ERR_IO; /* what exactly is in the text */
			return;
		}
	}
	/* -ERR_NOSPACE says that nothing was written; here something may have been, whatever the reason. */
	if (write_records(b) < 0) {
		b->err = -ERR_IO;
		b->fs->close(b->fs->arg, b->fd); /* nobody writes to it again */
	}
}

uint64_t spool_batch_octets(const struct spool_batch *b)
{
	return b->octets;
}

unsigned spool_batch_messages(const struct spool_batch *b)
{
	return b->messages;
}

unsigned spool_batch_syncs(const struct spool_batch *b)
{
	return b->syncs;
}
