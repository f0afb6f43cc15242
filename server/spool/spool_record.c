#include "spool/spool_record.h"

#include <endian.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"

/* Two copies of the header, in sectors of their own: a sector that went bad does not take 64 MiB with it. */
enum { HEADER_OCTETS = 64, HEADER_COPY_AT = 2048, HEADER_CRC_AT = 60 };

static const char header_magic[8] = { 'P', 'S', 'T', 'N', 'S', 'P', 'L', '\n' };
static const char record_magic[4] = { 'R', 'c', 'S', '1' };

/* ---- little-endian -------------------------------------------------------------------------------------------- */

static void put16(char *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof v);
}

static void put32(char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof v);
}

static void put64(char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof v);
}

static uint16_t get16(const char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return le16toh(v);
}

static uint32_t get32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static uint64_t get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

/* ---- header of a segment -------------------------------------------------------------------------------------- */

void spool_segment_header_encode(const struct spool_segment_header *h, char out[SPOOL_SEGMENT_HEADER])
{
	memset(out, 0, SPOOL_SEGMENT_HEADER);
	memcpy(out, header_magic, sizeof header_magic);
	put32(out + 8, h->version);
	put32(out + 12, h->log);
	put64(out + 16, h->seq);
	put64(out + 24, h->epoch);
	put64(out + 32, h->octets);
	put64(out + 40, h->id_floor);
	put64(out + 48, (uint64_t)h->created_at_us);
	put32(out + HEADER_CRC_AT, hash_crc32c(0, out, HEADER_CRC_AT));
	memcpy(out + HEADER_COPY_AT, out, HEADER_OCTETS);
}

static int header_decode_copy(const char *p, struct spool_segment_header *h_r)
{
	if (memcmp(p, header_magic, sizeof header_magic) != 0 ||
	    get32(p + HEADER_CRC_AT) != hash_crc32c(0, p, HEADER_CRC_AT))
		return -ERR_CORRUPT;
	if (get32(p + 8) != SPOOL_VERSION)
		return -ERR_UNSUPPORTED;
	*h_r = (struct spool_segment_header){
		.version = SPOOL_VERSION,
		.log = get32(p + 12),
		.seq = get64(p + 16),
		.epoch = get64(p + 24),
		.octets = get64(p + 32),
		.id_floor = get64(p + 40),
		.created_at_us = (int64_t)get64(p + 48),
	};
	return 0;
}

int spool_segment_header_decode(struct span in, struct spool_segment_header *h_r)
{
	int r = -ERR_CORRUPT;

	if (in.n >= HEADER_OCTETS)
		r = header_decode_copy(in.p, h_r);
	if (r == -ERR_CORRUPT && in.n >= HEADER_COPY_AT + HEADER_OCTETS)
		r = header_decode_copy(in.p + HEADER_COPY_AT, h_r);
	return r;
}

/* ---- records -------------------------------------------------------------------------------------------------- */

/*  0 magic   4 type   5 flags   6 zero (2)   8 id   16 payload octets   20 batch_at / 8   24 payload crc   28 header crc */
enum { RECORD_CRC_AT = 28 };

static uint32_t header_crc(const char *p, uint64_t epoch, uint64_t at)
{
	char place[16];

	put64(place, epoch);
	put64(place + 8, at);
	return hash_crc32c(hash_crc32c(0, place, sizeof place), p, RECORD_CRC_AT);
}

void spool_record_encode(const struct spool_record *r, uint64_t epoch, uint64_t at,
			 char out[SPOOL_RECORD_HEADER])
{
	memcpy(out, record_magic, sizeof record_magic);
	out[4] = (char)r->type;
	out[5] = (char)r->flags;
	put16(out + 6, 0);
	put64(out + 8, r->id);
	put32(out + 16, r->payload_octets);
	put32(out + 20, (uint32_t)(r->batch_at / SPOOL_RECORD_ALIGN));
	put32(out + 24, r->payload_crc);
	put32(out + RECORD_CRC_AT, header_crc(out, epoch, at));
}

/* @p has SPOOL_RECORD_HEADER octets. */
static bool header_parse(const char *p, uint64_t epoch, uint64_t at, struct spool_record *r_r)
{
	if (memcmp(p, record_magic, sizeof record_magic) != 0 ||
	    get32(p + RECORD_CRC_AT) != header_crc(p, epoch, at))
		return false;
	const uint64_t octets = spool_record_octets(get32(p + 16));
	const uint64_t batch_at = (uint64_t)get32(p + 20) * SPOOL_RECORD_ALIGN;
	const uint8_t type = (uint8_t)p[4];
	if (octets > UINT32_MAX || batch_at > at || get16(p + 6) != 0 || type < SPOOL_RECORD_MESSAGE ||
	    type > SPOOL_RECORD_END)
		return false;
	*r_r = (struct spool_record){
		.type = type,
		.flags = (uint8_t)p[5],
		.id = get64(p + 8),
		.payload_octets = get32(p + 16),
		.batch_at = batch_at,
		.payload_crc = get32(p + 24),
		.octets = (uint32_t)octets,
	};
	return true;
}

int spool_record_parse(struct span in, uint64_t epoch, uint64_t at, struct spool_record *r_r)
{
	struct spool_record r;

	if (in.n < SPOOL_RECORD_HEADER || !header_parse(in.p, epoch, at, &r))
		return -ERR_SYNTAX;
	*r_r = r;
	if (r.type == SPOOL_RECORD_SKIP)
		return 0; /* what a hole holds is of no interest */
	if (in.n < r.octets)
		return -ERR_AGAIN;
	r.payload = span_make(in.p + SPOOL_RECORD_HEADER, r.payload_octets);
	if (hash_crc32c(0, r.payload.p, r.payload.n) != r.payload_crc)
		return -ERR_CORRUPT;
	*r_r = r;
	return 0;
}

size_t spool_record_find(struct span in, uint64_t epoch, uint64_t at)
{
	struct spool_record r;
	size_t i = 0;

	for (; i + SPOOL_RECORD_HEADER <= in.n; i += SPOOL_RECORD_ALIGN)
		if (header_parse(in.p + i, epoch, at + i, &r))
			break;
	return i;
}

/* ---- payloads ------------------------------------------------------------------------------------------------- */

void spool_message_prefix(uint32_t meta_octets, uint32_t head_octets, uint64_t body_octets,
			  char out[SPOOL_MESSAGE_PREFIX])
{
	put32(out, meta_octets);
	put32(out + 4, head_octets);
	put64(out + 8, body_octets);
}

int spool_message_parse(struct span payload, unsigned flags, struct spool_message *m_r)
{
	if (payload.n < SPOOL_MESSAGE_PREFIX)
		return -ERR_CORRUPT;
	const uint64_t meta = get32(payload.p), head = get32(payload.p + 4),
		       body_octets = get64(payload.p + 8);
	const uint64_t body = flags & SPOOL_FLAG_LARGE ? 0 : body_octets;
	struct span rest = span_skip(payload, SPOOL_MESSAGE_PREFIX);
	if (meta > rest.n || head > rest.n - meta || body > rest.n - meta - head)
		return -ERR_CORRUPT;
	const struct spool_message m = {
		.meta = span_first(rest, meta),
		.head = span_first(span_skip(rest, meta), head),
		.body = span_first(span_skip(rest, meta + head), body),
		.note = span_skip(rest, meta + head + body),
		.body_octets = body_octets,
	};
	if (m.note.n && !(flags & SPOOL_FLAG_SNAPSHOT))
		return -ERR_CORRUPT;
	*m_r = m;
	return 0;
}

void spool_drop_payload(uint64_t home, char out[SPOOL_DROP_PAYLOAD])
{
	put64(out, home);
}

void spool_link_payload(uint64_t seq, uint64_t end, char out[SPOOL_LINK_PAYLOAD])
{
	put64(out, seq);
	put64(out + 8, end);
}

int spool_drop_parse(struct span payload, uint64_t *home_r)
{
	if (payload.n != SPOOL_DROP_PAYLOAD)
		return -ERR_CORRUPT;
	*home_r = get64(payload.p);
	return 0;
}

int spool_link_parse(struct span payload, uint64_t *seq_r, uint64_t *end_r)
{
	if (payload.n != SPOOL_LINK_PAYLOAD)
		return -ERR_CORRUPT;
	*seq_r = get64(payload.p);
	*end_r = get64(payload.p + 8);
	return 0;
}
