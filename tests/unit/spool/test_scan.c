#include "spool/spool_scan.h"

#include "../../sim/fs_model.h"
#include "base/hash.h"
#include "test.h"

enum { EPOCH = 99, FROM = SPOOL_SEGMENT_HEADER };

static struct model disk;
static int fd;
static uint64_t end;

static void set_up(void)
{
	model_init(&disk, 1);
	fd = disk.fs.open(&disk, "s", SPOOL_FS_CREATE);
	end = FROM;
}

static void put(uint64_t at, const void *p, size_t n)
{
	const struct iovec v = { (void *)(uintptr_t)p, n };

	NEED(disk.fs.write(&disk, fd, &v, 1, at) == 0);
}

/* A note with @n octets. */
static uint64_t add(uint64_t id, size_t n)
{
	char header[SPOOL_RECORD_HEADER];
	char *payload = mem_alloc(n + 1);
	const uint64_t at = end;
	struct spool_record r = {
		.type = SPOOL_RECORD_NOTE, .id = id, .batch_at = FROM, .payload_octets = (uint32_t)n
	};

	memset(payload, (int)id, n);
	r.payload_crc = hash_crc32c(0, payload, n);
	spool_record_encode(&r, EPOCH, at, header);
	put(at, header, sizeof header);
	if (n)
		put(at + sizeof header, payload, n);
	end += spool_record_octets(n);
	if (end > at + sizeof header + n)
		put(end - 1, "", 1);
	free(payload);
	return at;
}

static void begin(struct spool_scan *sc)
{
	spool_scan_init(sc, &disk.fs, fd, EPOCH, FROM, end);
}

static void expect_record(struct spool_scan *sc, uint64_t id, size_t n)
{
	NEED(spool_scan_next(sc) == SPOOL_SCAN_RECORD);
	CHECK_INT(id, sc->record.id);
	CHECK_INT(n, sc->record.payload.n);
	CHECK(n == 0 || (sc->record.payload.p[0] == (char)id && sc->record.payload.p[n - 1] == (char)id));
}

static void tear_down(struct spool_scan *sc)
{
	spool_scan_deinit(sc);
	model_deinit(&disk);
}

/* Records larger than what is read at once, in between small ones. */
static void records_are_read_in_order(void)
{
	static const size_t sizes[] = { 0, 5, 100000, 3000000, 1, 1048576 - 32, 7, 0 };
	struct spool_scan sc;

	set_up();
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
		add(i + 1, sizes[i]);
	for (unsigned piece = 0; piece < 3; piece++) {
		begin(&sc);
		sc.piece = piece == 0 ? 64 : piece == 1 ? 1000 : sc.piece;
		for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
			expect_record(&sc, i + 1, sizes[i]);
		CHECK_INT(SPOOL_SCAN_END, spool_scan_next(&sc));
		CHECK_INT(end, sc.next_at);
		CHECK_INT(SPOOL_SCAN_END, spool_scan_next(&sc));
		spool_scan_deinit(&sc);
	}
	tear_down(&sc);
}

static void damage_is_a_gap(void)
{
	struct spool_scan sc;
	uint64_t at[6];

	set_up();
	for (unsigned i = 0; i < 6; i++)
		at[i] = add(i + 1, 1000);
	put(at[1] + 3, "#", 1);   /* a header */
	put(at[3] + 500, "#", 1); /* a payload */
	begin(&sc);
	expect_record(&sc, 1, 1000);
	NEED(spool_scan_next(&sc) == SPOOL_SCAN_GAP);
	CHECK_INT(at[1], sc.at);
	CHECK_INT(at[2], sc.gap_end);
	CHECK_INT(0, sc.gap_record.type);
	expect_record(&sc, 3, 1000);
	NEED(spool_scan_next(&sc) == SPOOL_SCAN_GAP);
	CHECK_INT(at[3], sc.at);
	CHECK_INT(at[4], sc.gap_end);
	CHECK_INT(4, sc.gap_record.id);
	expect_record(&sc, 5, 1000);
	expect_record(&sc, 6, 1000);
	CHECK_INT(SPOOL_SCAN_END, spool_scan_next(&sc));
	tear_down(&sc);
}

static void the_rest_of_a_torn_record_is_the_end(void)
{
	struct spool_scan sc;

	set_up();
	add(1, 10);
	const uint64_t torn = add(2, 1000);
	put(torn + 600, "#", 1);
	end += 5000;
	begin(&sc);
	expect_record(&sc, 1, 10);
	CHECK_INT(SPOOL_SCAN_END, spool_scan_next(&sc));
	CHECK_INT(torn, sc.next_at);
	CHECK_INT(SPOOL_RECORD_NOTE, sc.gap_record.type);
	CHECK_INT(1032, sc.gap_record.octets);
	tear_down(&sc);
}

/* A length that leads behind the end is no record, whatever its checksum says. */
static void nothing_is_read_behind_the_end(void)
{
	struct spool_scan sc;

	set_up();
	add(1, 10);
	const uint64_t last = end;
	add(2, 1000);
	end -= 8;
	begin(&sc);
	expect_record(&sc, 1, 10);
	CHECK_INT(SPOOL_SCAN_END, spool_scan_next(&sc));
	CHECK_INT(last, sc.next_at);
	CHECK_INT(0, sc.gap_record.type);
	tear_down(&sc);
}

static void holes_are_read_over(void)
{
	char header[SPOOL_RECORD_HEADER];
	struct spool_scan sc;
	struct spool_record skip = { .type = SPOOL_RECORD_SKIP };

	set_up();
	const uint64_t hole = add(1, 1000);
	add(2, 10);
	skip.payload_octets = (uint32_t)(spool_record_octets(1000) - SPOOL_RECORD_HEADER);
	spool_record_encode(&skip, EPOCH, hole, header);
	put(hole, header, sizeof header);
	begin(&sc);
	expect_record(&sc, 2, 10);
	CHECK_INT(SPOOL_SCAN_END, spool_scan_next(&sc));
	tear_down(&sc);
}

static void a_read_that_fails_is_repeated_by_sectors(void)
{
	struct spool_scan sc;

	set_up();
	add(1, 10);
	add(2, 5000);
	begin(&sc);
	disk.reads = 0;
	disk.read_fail_at = 1;
	disk.read_fail_until = 2; /* the whole piece */
	expect_record(&sc, 1, 10);
	expect_record(&sc, 2, 5000);
	CHECK_INT(0, sc.unreadable);
	CHECK_INT(SPOOL_SCAN_END, spool_scan_next(&sc));
	tear_down(&sc);
}

static void a_sector_that_cannot_be_read_is_a_gap(void)
{
	struct spool_scan sc;

	set_up();
	add(1, 10);
	const uint64_t second = add(2, 5000);
	const uint64_t third = add(3, 10);
	begin(&sc);
	disk.reads = 0;
	disk.read_fail_at = 1;
	disk.read_fail_until = 3; /* the whole piece and its first sector */
	NEED(spool_scan_next(&sc) == SPOOL_SCAN_GAP);
	CHECK_INT(FROM, sc.at);
	CHECK_INT(third, sc.gap_end);
	CHECK(second < FROM + 4096);
	CHECK_INT(1, sc.unreadable);
	expect_record(&sc, 3, 10);
	CHECK_INT(SPOOL_SCAN_END, spool_scan_next(&sc));
	tear_down(&sc);
}

TEST_MAIN(TEST(records_are_read_in_order), TEST(damage_is_a_gap), TEST(the_rest_of_a_torn_record_is_the_end),
	  TEST(nothing_is_read_behind_the_end), TEST(holes_are_read_over),
	  TEST(a_read_that_fails_is_repeated_by_sectors), TEST(a_sector_that_cannot_be_read_is_a_gap))
