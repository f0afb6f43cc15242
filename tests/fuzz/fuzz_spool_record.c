/* fuzz_spool_record.c - a log is opened whatever is in its segments, and then it works.
 *
 * The input says what the segments hold: octets as they are, or records with good checksums but senseless contents. An octet is
 * a command (its low 3 bits) with a parameter (the others); commands take their operands from the input. The log is opened,
 * written to, its chores are done, and it is opened again.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../sim/fs_model.h"
#include "base/err.h"
#include "base/hash.h"
#include "spool/spool_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENT = SPOOL_SEGMENT_MIN, SEGMENTS_MAX = 4, KNOWN_MAX = 4096 };

enum command { CMD_RAW, CMD_MESSAGE, CMD_NOTE, CMD_DROP, CMD_LINK, CMD_SKIP, CMD_END, CMD_SEGMENT };

struct fuzz {
	struct span in;
	struct model disk;
	uint32_t seq;
	int fd;
	uint64_t end, batch_at;
	uint64_t known[KNOWN_MAX];
	unsigned nknown;
};

static unsigned take(struct fuzz *f)
{
	if (!f->in.n)
		return 0;
	const unsigned octet = (unsigned char)*f->in.p;
	f->in = span_skip(f->in, 1);
	return octet;
}

/* ---- the owner: it must not be told nonsense -------------------------------------------------------------------- */

static uint64_t *find_known(struct fuzz *f, uint64_t id)
{
	for (unsigned i = 0; i < f->nknown; i++)
		if (f->known[i] == id)
			return &f->known[i];
	return NULL;
}

static int on_message(void *arg, uint64_t id, struct span meta, uint64_t head_bytes, uint64_t body_bytes)
{
	struct fuzz *f = arg;

	(void)head_bytes;
	(void)body_bytes;
	if (find_known(f, id))
		abort();
	if (f->nknown == KNOWN_MAX || (meta.n && *meta.p == '!'))
		return -ERR_CORRUPT;
	f->known[f->nknown++] = id;
	return 0;
}

static void on_note(void *arg, uint64_t id, struct span note)
{
	if (!find_known(arg, id) || !note.n)
		abort();
}

static void on_dropped(void *arg, uint64_t id)
{
	struct fuzz *f = arg;
	uint64_t *known = find_known(f, id);

	if (!known)
		abort();
	*known = f->known[--f->nknown];
}

static void on_snapshot(void *arg, uint64_t id, struct buf *note_r)
{
	if (!find_known(arg, id))
		abort();
	if (id & 1)
		buf_add_str(note_r, "state");
}

/* ---- what is on the disk ---------------------------------------------------------------------------------------- */

static void put(struct fuzz *f, const void *p, size_t n)
{
	const struct iovec v = { (void *)(uintptr_t)p, n };

	if (n && f->end + n <= SEGMENT)
		f->disk.fs.write(&f->disk, f->fd, &v, 1, f->end);
	f->end += n;
}

static void begin_segment(struct fuzz *f)
{
	struct spool_segment_header h = {
		.version = SPOOL_VERSION, .seq = ++f->seq, .epoch = f->seq, .octets = SEGMENT
	};
	char octets[SPOOL_SEGMENT_HEADER];

	if (f->fd >= 0)
		f->disk.fs.close(&f->disk, f->fd);
	f->fd = f->disk.fs.open(&f->disk, spool_file_path("d", SPOOL_FILE_LOG, f->seq).s, SPOOL_FS_CREATE);
	f->disk.fs.allocate(&f->disk, f->fd, SEGMENT);
	spool_segment_header_encode(&h, octets);
	f->end = 0;
	put(f, octets, sizeof octets);
	f->batch_at = f->end;
}

static void add_record(struct fuzz *f, enum command cmd, unsigned parameter)
{
	char payload[SPOOL_MESSAGE_PREFIX + 256] = { 0 }, header[SPOOL_RECORD_HEADER];
	struct spool_record r = { .type = (uint8_t)cmd, .flags = parameter & 7, .id = take(f) % 16 };
	static const char zeros[SPOOL_RECORD_ALIGN];

	if (parameter & 8)
		f->batch_at = f->end;
	r.batch_at = f->batch_at;
	if (parameter & 16)
		r.id = r.id << 56 | take(f);
	switch (cmd) {
	case CMD_MESSAGE: {
		const unsigned meta = take(f) % 16, head = take(f) % 16, body = take(f), note = take(f) % 16;
		spool_message_prefix(meta, head, body, payload);
		for (unsigned i = 0; i < meta; i++)
			payload[SPOOL_MESSAGE_PREFIX + i] = (char)take(f);
		r.payload_octets = SPOOL_MESSAGE_PREFIX + meta + head + note % 4 +
				   (r.flags & SPOOL_FLAG_LARGE ? 0 : body % 200);
		break;
	}
	case CMD_DROP:
		spool_drop_payload(take(f) % 8, payload);
		r.payload_octets = SPOOL_DROP_PAYLOAD;
		break;
	case CMD_LINK:
		spool_link_payload(take(f) % 8, (uint64_t)take(f) * 128, payload);
		r.payload_octets = SPOOL_LINK_PAYLOAD;
		break;
	default:
		r.payload_octets = take(f);
		break;
	}
	r.payload_crc = hash_crc32c(0, payload, r.payload_octets);
	spool_record_encode(&r, f->seq, f->end, header);
	put(f, header, sizeof header);
	put(f, payload, r.payload_octets);
	put(f, zeros,
	    (size_t)(spool_record_octets(r.payload_octets) - SPOOL_RECORD_HEADER - r.payload_octets));
}

static void make_disk(struct fuzz *f)
{
	f->fd = -1;
	begin_segment(f);
	while (f->in.n) {
		const unsigned octet = take(f);
		const enum command cmd = octet & 7;
		if (cmd == CMD_SEGMENT) {
			if (f->seq < SEGMENTS_MAX)
				begin_segment(f);
		} else if (cmd == CMD_RAW) {
			const struct span raw = span_first(f->in, octet >> 3);
			put(f, raw.p, raw.n);
			f->in = span_skip(f->in, raw.n);
		} else {
			add_record(f, cmd, octet >> 3);
		}
	}
	f->disk.fs.close(&f->disk, f->fd);
}

/* ---- and then --------------------------------------------------------------------------------------------------- */

static void work(struct fuzz *f, struct spool_log *log)
{
	for (unsigned i = 0; i < 30; i++) {
		int64_t again_us;
		struct spool_chore *c = spool_log_chore(log, i + 1, i + 1, &again_us);
		if (c) {
			spool_chore_run(c);
			spool_log_chore_done(log, &c, i + 1);
		}
		if (i % 3 == 0 && f->nknown) {
			spool_log_note(log, f->known[i % f->nknown], SPAN("note"));
			if (i % 2)
				spool_log_drop(log, f->known[i % f->nknown]);
		}
		struct spool_batch *b = spool_log_seal(log, i + 1);
		if (b) {
			spool_batch_write(b);
			if (spool_log_written(log, &b, i + 1) < 0)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *f = mem_alloc(sizeof *f);
	const struct spool_recovery owner = { f, on_message, on_note, on_dropped, on_snapshot };
	const struct spool_log_config cfg = {
		.fs = &f->disk.fs,
		.dir = "d",
		.segment_octets = SEGMENT,
		.spares_max = 1,
		.ahead = true,
		.owner = &owner,
	};

	model_init(&f->disk, 1);
	f->in = span_make(data, size);
	make_disk(f);
	for (unsigned i = 0; i < 2; i++) {
		struct spool_log_found found;
		struct spool_log *log;
		struct errtext e;
		f->nknown = 0;
		if (spool_log_open(&log, &cfg, &found, &e) < 0 || found.messages != f->nknown)
			abort();
		work(f, log);
		spool_log_free(&log);
	}
	if (model_open_fds(&f->disk))
		abort();
	model_deinit(&f->disk);
	free(f);
	return 0;
}
