#include "spool/spool_body.h"

#include "../../sim/fs_model.h"
#include "base/err.h"
#include "spool/spool_file.h"
#include "test.h"

enum { ID = 12345 };

static struct model disk;
static struct spool_body_given given; /* to be used */
static size_t written;                /* octets of the last body */
static char octets[3 * SPOOL_BODY_BLOCK + 10], got[sizeof octets + 10];

static void set_up(void)
{
	struct model_rng r = { 1 };

	model_init(&disk, 1);
	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = (char)model_random(&r);
}

static int write_all(size_t n, size_t piece)
{
	struct spool_body_writer w;
	int r = 0;

	written = n;
	spool_body_writer_init(&w, &disk.fs, "d", ID, sizeof octets, given);
	for (size_t at = 0; r == 0 && at < n; at += piece)
		r = spool_body_write(&w, span_make(octets + at, n - at < piece ? n - at : piece));
	if (r == 0)
		r = spool_body_finish(&w);
	if (r < 0)
		spool_body_discard(&w);
	return r;
}

static void a_body_of_any_size_is_read_as_written(void)
{
	static const size_t sizes[] = { 1,
					SPOOL_BODY_BLOCK - 1,
					SPOOL_BODY_BLOCK,
					SPOOL_BODY_BLOCK + 1,
					3 * SPOOL_BODY_BLOCK,
					sizeof octets };

	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const size_t n = sizes[i];
		set_up();
		NEED(write_all(n, i % 2 ? 1000 : sizeof octets) == 0);
		CHECK_INT(n, spool_body_read(&disk.fs, "d", ID, written, got, sizeof got, 0));
		CHECK(memcmp(octets, got, n) == 0);
		CHECK_INT(1, spool_body_read(&disk.fs, "d", ID, written, got, 10, n - 1));
		CHECK(got[0] == octets[n - 1]);
		CHECK_INT(0, spool_body_read(&disk.fs, "d", ID, written, got, 10, n));
		CHECK_INT(0, spool_body_read(&disk.fs, "d", ID, written, got, 10, UINT64_MAX));
		const int fd =
			disk.fs.open(&disk, spool_file_path("d", SPOOL_FILE_BODY, ID).s, SPOOL_FS_READ);
		CHECK_INT(spool_body_file_octets(n), disk.fs.size(&disk, fd));
		model_crash(&disk); /* it was durable */
		CHECK_INT(n, spool_body_read(&disk.fs, "d", ID, written, got, sizeof got, 0));
		model_deinit(&disk);
	}
}

static void damage_is_found_in_its_block(void)
{
	set_up();
	NEED(write_all(sizeof octets, 5000) == 0);
	struct model_content *c = &disk.files[disk.now.v[0].file].now;
	c->p[SPOOL_BODY_BLOCK + 7] ^= 1;
	CHECK_INT(100, spool_body_read(&disk.fs, "d", ID, written, got, 100, 0));
	CHECK_INT(-ERR_CORRUPT,
		  spool_body_read(&disk.fs, "d", ID, written, got, 100, 2 * SPOOL_BODY_BLOCK - 1));
	CHECK_INT(100, spool_body_read(&disk.fs, "d", ID, written, got, 100, 2 * SPOOL_BODY_BLOCK));
	c->p[SPOOL_BODY_BLOCK + 7] ^= 1;
	c->p[sizeof octets + 2] ^= 1; /* a checksum */
	CHECK_INT(-ERR_CORRUPT, spool_body_read(&disk.fs, "d", ID, written, got, 100, 0));
	c->n = 100; /* cut */
	CHECK_INT(-ERR_CORRUPT, spool_body_read(&disk.fs, "d", ID, written, got, 100, 0));
	c->n = 2;
	CHECK_INT(-ERR_CORRUPT, spool_body_read(&disk.fs, "d", ID, written, got, 100, 0));
	model_deinit(&disk);
}

/* The same octets under another name are another message's. */
static void a_body_belongs_to_its_message(void)
{
	set_up();
	NEED(write_all(100, 100) == 0);
	NEED(disk.fs.rename(&disk, spool_file_path("d", SPOOL_FILE_BODY, ID).s,
			    spool_file_path("d", SPOOL_FILE_BODY, ID + 1).s) == 0);
	CHECK_INT(-ERR_CORRUPT, spool_body_read(&disk.fs, "d", ID + 1, written, got, 100, 0));
	CHECK_INT(-ERR_NOTFOUND, spool_body_read(&disk.fs, "d", ID, written, got, 100, 0));
	model_deinit(&disk);
}

/* A shorter body leaves the end of the old one behind it, a longer one makes the file grow; one that is gone is no harm. */
static void a_given_file_is_written_over(void)
{
	static const size_t sizes[] = { 100, SPOOL_BODY_BLOCK, 2 * SPOOL_BODY_BLOCK + 5, sizeof octets };

	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		for (unsigned gone = 0; gone < 2; gone++) {
			set_up();
			NEED(write_all(2 * SPOOL_BODY_BLOCK, 5000) == 0);
			const uint64_t before = spool_body_file_octets(written);
			NEED(disk.fs.rename(&disk, spool_file_path("d", SPOOL_FILE_BODY, ID).s,
					    spool_file_path("d", SPOOL_FILE_GIVEN, ID + gone).s) == 0);
			given = (struct spool_body_given){ ID, before };
			octets[0] ^= 1;
			CHECK_INT(0, write_all(sizes[i], 3000));
			given.id = 0;
			model_crash(&disk);
			CHECK_INT(sizes[i], spool_body_read(&disk.fs, "d", ID, written, got, sizeof got, 0));
			CHECK(memcmp(octets, got, sizes[i]) == 0);
			const int fd = disk.fs.open(&disk, spool_file_path("d", SPOOL_FILE_BODY, ID).s,
						    SPOOL_FS_READ);
			const uint64_t needs = spool_body_file_octets(sizes[i]);
			CHECK_INT(gone || needs > before ? needs : before, disk.fs.size(&disk, fd));
			model_deinit(&disk);
		}
	}
}

/* Every operation fails once: the body is there as a whole, or is not there at all. */
static void a_failure_leaves_nothing(void)
{
	for (unsigned full = 0; full < 2; full++) {
		uint64_t n = 1;
		for (;; n++) {
			set_up();
			disk.fault = full ? MODEL_FAULT_ENOSPC : MODEL_FAULT_EIO;
			disk.fail_at = n;
			disk.fail_until = n + 1;
			const int r = write_all(2 * SPOOL_BODY_BLOCK + 1, SPOOL_BODY_BLOCK);
			const bool failed = disk.ops >= n && r < 0;
			CHECK(r == 0 || r == (full ? -ERR_NOSPACE : -ERR_IO));
			CHECK_INT(r == 0, disk.now.n);
			CHECK_INT(0, model_open_fds(&disk));
			const bool over = disk.ops < n;
			model_deinit(&disk);
			CHECK(over == !failed);
			if (over)
				break;
		}
		CHECK(n > 5);
	}
}

TEST_MAIN(TEST(a_body_of_any_size_is_read_as_written), TEST(damage_is_found_in_its_block),
	  TEST(a_body_belongs_to_its_message), TEST(a_given_file_is_written_over),
	  TEST(a_failure_leaves_nothing))
