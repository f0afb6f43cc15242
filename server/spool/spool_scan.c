#include "spool/spool_scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum { READ_OCTETS = 1024 * 1024, SECTOR = 4096 };

void spool_scan_init(struct spool_scan *sc, const struct spool_fs *fs, int fd, uint64_t epoch, uint64_t from,
		     uint64_t end)
{
	*sc = (struct spool_scan){ .fs = fs,
				   .fd = fd,
				   .epoch = epoch,
				   .end = end,
				   .next_at = from,
				   .base = from,
				   .piece = READ_OCTETS };
}

void spool_scan_deinit(struct spool_scan *sc)
{
	free(sc->buf);
	sc->buf = NULL;
}

/* What cannot be read as a whole is read by sectors; the bad ones become zeros. */
static void read_octets(struct spool_scan *sc, char *p, size_t n, uint64_t at)
{
	int64_t got = sc->fs->read(sc->fs->arg, sc->fd, p, n, at);

	if (got >= 0) {
		memset(p + got, 0, n - (size_t)got);
		return;
	}
	for (size_t i = 0; i < n; i += SECTOR) {
		const size_t some = n - i < SECTOR ? n - i : SECTOR;
		got = sc->fs->read(sc->fs->arg, sc->fd, p + i, some, at + i);
		sc->unreadable += got < 0;
		got = got < 0 ? 0 : got;
		memset(p + i + got, 0, some - (size_t)got);
	}
}

/* At least @want octets from @at, as far as there are so many; the span may be longer. */
static struct span window(struct spool_scan *sc, uint64_t at, size_t want)
{
	if (want > sc->end - at)
		want = (size_t)(sc->end - at);
	if (at < sc->base || at > sc->base + sc->n) {
		sc->base = at;
		sc->n = 0;
	}
	size_t have = (size_t)(sc->base + sc->n - at);
	if (have < want) {
		size_t more = want > sc->piece ? want : sc->piece;
		if (more > sc->end - at)
			more = (size_t)(sc->end - at);
		if (sc->cap < more) {
			char *larger = mem_alloc_raw(more);
			if (have)
				memcpy(larger, sc->buf + (at - sc->base), have);
			free(sc->buf);
			sc->buf = larger;
			sc->cap = more;
		} else if (have) {
			memmove(sc->buf, sc->buf + (at - sc->base), have);
		}
		sc->base = at;
		read_octets(sc, sc->buf + have, more - have, at + have);
		sc->n = have = more;
	}
	return span_make(sc->buf ? sc->buf + (at - sc->base) : NULL, have);
}

/* 0 and the record at @at, or what spool_record_parse() says, with octets set when the header was good. */
static int parse(struct spool_scan *sc, uint64_t at, struct spool_record *r_r)
{
	struct span in = window(sc, at, SPOOL_RECORD_HEADER);
	int r = spool_record_parse(in, sc->epoch, at, r_r);

	if (r != -ERR_SYNTAX && r_r->octets > sc->end - at)
		return -ERR_SYNTAX;
	if (r == -ERR_AGAIN)
		r = spool_record_parse(window(sc, at, r_r->octets), sc->epoch, at, r_r);
	return r;
}

/* The next good record header at or behind @at; end: none. */
static uint64_t find(struct spool_scan *sc, uint64_t at)
{
	while (at < sc->end && sc->end - at >= SPOOL_RECORD_HEADER) {
		const struct span in = window(sc, at, SPOOL_RECORD_HEADER);
		const size_t i = spool_record_find(in, sc->epoch, at);
		if (i + SPOOL_RECORD_HEADER <= in.n)
			return at + i;
		at += i;
	}
	return sc->end;
}

enum spool_scan_found spool_scan_next(struct spool_scan *sc)
{
	struct spool_record bad = { .type = 0 };

	for (;;) {
		sc->at = sc->next_at;
		sc->gap_record = (struct spool_record){ .type = 0 };
		if (sc->at >= sc->end || sc->end - sc->at < SPOOL_RECORD_HEADER)
			return SPOOL_SCAN_END;
		const int r = parse(sc, sc->at, &sc->record);
		if (r == -ERR_CORRUPT)
			bad = sc->record;
		if (r < 0)
			break;
		sc->next_at += sc->record.octets;
		if (sc->record.type != SPOOL_RECORD_SKIP)
			return SPOOL_SCAN_RECORD;
	}
	sc->gap_record = bad;
	sc->gap_end = find(sc, sc->at + SPOOL_RECORD_ALIGN);
	if (sc->gap_end == sc->end)
		return SPOOL_SCAN_END;
	sc->next_at = sc->gap_end;
	return SPOOL_SCAN_GAP;
}
