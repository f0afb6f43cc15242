/* Where a message is, reading it from there, and what the log says about itself. */
#include "spool/spool_log_priv.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

bool spool_log_has(const struct spool_log *log, uint64_t id, bool *large_r)
{
	const struct spool_entry *e = spool_index_get(&log->index, id);

	if (!e || e->flags & SPOOL_ENTRY_DROPPED)
		return false;
	*large_r = e->flags & SPOOL_ENTRY_LARGE;
	return true;
}

int spool_log_pin(struct spool_log *log, uint64_t id, struct spool_place *place_r)
{
	const struct spool_entry *e = spool_index_get(&log->index, id);

	if (!e || e->flags & SPOOL_ENTRY_DROPPED)
		return -ERR_NOTFOUND;
	struct spool_segment *seg = spool_segments_find(&log->segments, e->segment);
	require(seg);
	seg->readers++;
	*place_r = (struct spool_place){
		.segment = seg->seq,
		.epoch = seg->epoch,
		.at = (uint64_t)e->at8 * SPOOL_RECORD_ALIGN,
		.octets = e->octets8 * SPOOL_RECORD_ALIGN,
		.large = e->flags & SPOOL_ENTRY_LARGE,
	};
	return 0;
}

void spool_log_unpin(struct spool_log *log, const struct spool_place *place)
{
	struct spool_segment *seg = spool_segments_find(&log->segments, place->segment);

	require(seg && seg->readers);
	seg->readers--;
	log->look_for_free |= !seg->readers;
}

int spool_place_read(const struct spool_fs *fs, const char *dir, const struct spool_place *place, uint64_t id,
		     char **octets_r, struct spool_message *message_r)
{
	const struct spool_path path = spool_file_path(dir, SPOOL_FILE_LOG, place->segment);
	struct spool_record record;
	struct spool_message m;

	const int fd = fs->open(fs->arg, path.s, SPOOL_FS_READ);
	if (fd < 0)
		return -ERR_IO;
	char *octets = mem_alloc_raw(place->octets);
	const int64_t got = fs->read(fs->arg, fd, octets, place->octets, place->at);
	fs->close(fs->arg, fd);
	int r = got < 0 ? -ERR_IO
			: spool_record_parse(span_make(octets, (size_t)got), place->epoch, place->at,
					     &record);
	if (r == 0 && (record.type != SPOOL_RECORD_MESSAGE || record.id != id))
		r = -ERR_CORRUPT;
	if (r == 0)
		r = spool_message_parse(record.payload, record.flags, &m);
	if (r < 0) {
		free(octets);
		return r == -ERR_IO ? r : -ERR_CORRUPT;
	}
	*octets_r = octets;
	*message_r = m;
	return 0;
}

void spool_log_state(const struct spool_log *log, struct spool_log_state *st_r)
{
	struct spool_log_state st = {
		.messages = log->index.n,
		.live_octets = log->segments.live_octets,
		.segments = log->segments.n + (log->next.seq != 0),
		.spares = log->nspares,
		.broken = log->broken,
		.why = log->broken ? log->why.s : NULL,
	};

	st.disk_octets = log->segments.octets + log->next.octets * (log->next.seq != 0) +
			 log->nspares * log->cfg.segment_octets + log->body_octets;
	/* The segment that was made ahead is the reserve: drops must find room when nothing else does. */
	st.unused_octets = log->nspares * log->cfg.segment_octets +
			   (log->active ? log->active->octets - log->active->end : 0);
	*st_r = st;
}

void spool_log_body_added(struct spool_log *log, uint64_t octets)
{
	log->body_octets += octets;
}
