#include "spool/spool_record.h"

#include "base/err.h"
#include "base/hash.h"
#include "test.h"

enum { EPOCH = 0x1234 };

static const struct spool_segment_header sample = {
	.version = SPOOL_VERSION,
	.log = 3,
	.seq = 42,
	.epoch = UINT64_C(0xfedcba9876543210),
	.octets = 64 * 1024 * 1024,
	.id_floor = 77,
	.created_at_us = -5,
};

static void a_segment_header_is_read_as_written(void)
{
	char octets[SPOOL_SEGMENT_HEADER];
	struct spool_segment_header h;

	spool_segment_header_encode(&sample, octets);
	NEED(spool_segment_header_decode(span_make(octets, sizeof octets), &h) == 0);
	CHECK_INT(3, h.log);
	CHECK_INT(42, h.seq);
	CHECK(h.epoch == sample.epoch);
	CHECK_INT(64 * 1024 * 1024, h.octets);
	CHECK_INT(77, h.id_floor);
	CHECK_INT(-5, h.created_at_us);
}

static void one_good_copy_of_the_header_is_enough(void)
{
	char octets[SPOOL_SEGMENT_HEADER];
	struct spool_segment_header h;

	spool_segment_header_encode(&sample, octets);
	memset(octets, 0xff, 512);
	CHECK_INT(0, spool_segment_header_decode(span_make(octets, sizeof octets), &h));
	CHECK_INT(42, h.seq);
	octets[2048 + 20] ^= 1;
	h.seq = 1;
	CHECK_INT(-ERR_CORRUPT, spool_segment_header_decode(span_make(octets, sizeof octets), &h));
	CHECK_INT(1, h.seq);
	CHECK_INT(-ERR_CORRUPT, spool_segment_header_decode(span_make(octets, 10), &h));
}

/* These octets are on disks: schema/spool-v1.md. */
static void the_octets_of_a_record_are_those_of_the_format(void)
{
	const struct spool_record r = {
		.type = SPOOL_RECORD_DROP,
		.flags = SPOOL_FLAG_LARGE,
		.id = UINT64_C(0x0102030405060708),
		.batch_at = 4096,
		.payload_octets = 8,
		.payload_crc = 0xa1b2c3d4,
	};
	static const char want[] = "RcS1"
				   "\x03\x01\0\0"
				   "\x08\x07\x06\x05\x04\x03\x02\x01"
				   "\x08\0\0\0"
				   "\0\x02\0\0"
				   "\xd4\xc3\xb2\xa1";
	static const char place[] = "\x34\x12\0\0\0\0\0\0"
				    "\x28\x10\0\0\0\0\0\0";
	char got[SPOOL_RECORD_HEADER];

	spool_record_encode(&r, EPOCH, 0x1028, got);
	CHECK(memcmp(got, want, 28) == 0);
	const uint32_t crc = hash_crc32c(hash_crc32c(0, place, 16), want, 28);
	for (unsigned i = 0; i < 4; i++)
		CHECK_INT(crc >> 8 * i & 0xff, (unsigned char)got[28 + i]);
}

/* A note "hello" as the record at 4096 + 40. */
static size_t write_note(char *out)
{
	static const char payload[] = "hello";
	const struct spool_record r = {
		.type = SPOOL_RECORD_NOTE,
		.id = 9,
		.batch_at = 4096,
		.payload_octets = 5,
		.payload_crc = hash_crc32c(0, payload, 5),
	};

	memset(out, 0, 64);
	spool_record_encode(&r, EPOCH, 4136, out);
	memcpy(out + SPOOL_RECORD_HEADER, payload, 5);
	return (size_t)spool_record_octets(5);
}

static void a_record_is_read_as_written(void)
{
	char octets[64];
	struct spool_record r;
	const size_t n = write_note(octets);

	CHECK_INT(40, n);
	NEED(spool_record_parse(span_make(octets, n), EPOCH, 4136, &r) == 0);
	CHECK_INT(SPOOL_RECORD_NOTE, r.type);
	CHECK_INT(9, r.id);
	CHECK_INT(4096, r.batch_at);
	CHECK_INT(40, r.octets);
	CHECK_SPAN("hello", r.payload);
}

static void no_changed_bit_passes(void)
{
	char octets[64];
	struct spool_record r;
	const size_t n = write_note(octets);

	for (size_t bit = 0; bit < 8 * (SPOOL_RECORD_HEADER + 5); bit++) {
		octets[bit / 8] ^= (char)(1 << bit % 8);
		const int got = spool_record_parse(span_make(octets, n), EPOCH, 4136, &r);
		CHECK_INT(bit / 8 < SPOOL_RECORD_HEADER ? -ERR_SYNTAX : -ERR_CORRUPT, got);
		octets[bit / 8] ^= (char)(1 << bit % 8);
	}
	CHECK_INT(0, spool_record_parse(span_make(octets, n), EPOCH, 4136, &r));
}

/* What a recycled file still holds, and what somebody copied to another place. */
static void a_record_counts_in_its_place_and_epoch_alone(void)
{
	char octets[64];
	struct spool_record r;
	const size_t n = write_note(octets);

	CHECK_INT(-ERR_SYNTAX, spool_record_parse(span_make(octets, n), EPOCH + 1, 4136, &r));
	CHECK_INT(-ERR_SYNTAX, spool_record_parse(span_make(octets, n), EPOCH, 4144, &r));
	CHECK_INT(-ERR_SYNTAX, spool_record_parse(span_make(octets, 31), EPOCH, 4136, &r));
	r.octets = 0;
	CHECK_INT(-ERR_AGAIN, spool_record_parse(span_make(octets, 39), EPOCH, 4136, &r));
	CHECK_INT(40, r.octets);
}

static void the_next_record_is_found_over_damage(void)
{
	char octets[200];

	memset(octets, 'R', sizeof octets);
	write_note(octets + 40);
	CHECK_INT(40, spool_record_find(span_make(octets, sizeof octets), EPOCH, 4096));
	octets[45]++;
	const size_t none = spool_record_find(span_make(octets, sizeof octets), EPOCH, 4096);
	CHECK(none + SPOOL_RECORD_HEADER > sizeof octets && none <= sizeof octets);
	CHECK_INT(0, spool_record_find(span_make(octets, 0), EPOCH, 4096));
}

static void a_message_has_four_parts(void)
{
	char payload[SPOOL_MESSAGE_PREFIX + 100];
	struct spool_message m;

	spool_message_prefix(2, 3, 4, payload);
	memcpy(payload + SPOOL_MESSAGE_PREFIX, "mmhhhbbbbnnnnn", 14);
	NEED(spool_message_parse(span_make(payload, SPOOL_MESSAGE_PREFIX + 9), 0, &m) == 0);
	CHECK_SPAN("mm", m.meta);
	CHECK_SPAN("hhh", m.head);
	CHECK_SPAN("bbbb", m.body);
	CHECK_INT(0, m.note.n);
	CHECK_INT(4, m.body_octets);
	NEED(spool_message_parse(span_make(payload, SPOOL_MESSAGE_PREFIX + 14), SPOOL_FLAG_SNAPSHOT, &m) ==
	     0);
	CHECK_SPAN("bbbb", m.body);
	CHECK_SPAN("nnnnn", m.note);
	spool_message_prefix(2, 3, UINT64_MAX, payload);
	NEED(spool_message_parse(span_make(payload, SPOOL_MESSAGE_PREFIX + 5), SPOOL_FLAG_LARGE, &m) == 0);
	CHECK_INT(0, m.body.n);
	CHECK(m.body_octets == UINT64_MAX);
}

static void lengths_that_do_not_fit_are_refused(void)
{
	static const struct {
		uint32_t meta, head;
		uint64_t body;
		size_t n;
		unsigned flags;
	} cases[] = {
		{ 0, 0, 0, SPOOL_MESSAGE_PREFIX - 1, 0 },
		{ 5, 0, 0, SPOOL_MESSAGE_PREFIX + 4, 0 },
		{ UINT32_MAX, UINT32_MAX, 2, SPOOL_MESSAGE_PREFIX + 4, 0 },
		{ 1, 1, UINT64_MAX, SPOOL_MESSAGE_PREFIX + 4, 0 },
		{ 1, 1, 1, SPOOL_MESSAGE_PREFIX + 4, 0 }, /* a note where none may be */
		{ 1, 1, 2, SPOOL_MESSAGE_PREFIX + 4, SPOOL_FLAG_LARGE },
	};
	char payload[SPOOL_MESSAGE_PREFIX + 100] = { 0 };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct spool_message m;
		spool_message_prefix(cases[i].meta, cases[i].head, cases[i].body, payload);
		CHECK_INT(-ERR_CORRUPT,
			  spool_message_parse(span_make(payload, cases[i].n), cases[i].flags, &m));
	}
}

static void drops_and_links_are_read_as_written(void)
{
	char drop[SPOOL_DROP_PAYLOAD], link[SPOOL_LINK_PAYLOAD];
	uint64_t a = 0, b = 0;

	spool_drop_payload(17, drop);
	CHECK_INT(0, spool_drop_parse(span_make(drop, sizeof drop), &a));
	CHECK_INT(17, a);
	CHECK_INT(-ERR_CORRUPT, spool_drop_parse(span_make(drop, sizeof drop - 1), &a));
	spool_link_payload(18, 4096, link);
	CHECK_INT(0, spool_link_parse(span_make(link, sizeof link), &a, &b));
	CHECK_INT(18, a);
	CHECK_INT(4096, b);
	CHECK_INT(-ERR_CORRUPT, spool_link_parse(span_make(link, 8), &a, &b));
}

TEST_MAIN(TEST(a_segment_header_is_read_as_written), TEST(one_good_copy_of_the_header_is_enough),
	  TEST(the_octets_of_a_record_are_those_of_the_format), TEST(a_record_is_read_as_written),
	  TEST(no_changed_bit_passes), TEST(a_record_counts_in_its_place_and_epoch_alone),
	  TEST(the_next_record_is_found_over_damage), TEST(a_message_has_four_parts),
	  TEST(lengths_that_do_not_fit_are_refused), TEST(drops_and_links_are_read_as_written))
